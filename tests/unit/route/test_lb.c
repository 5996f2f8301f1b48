/* Balancers: shares by weight, loads, and how little moves when endpoints come and go. */
#include <stdlib.h>

#include <tidegate/route.h>

#include "../tgtest.h"
#include "tests.h"

#define MANY 200000

static struct tg_endpoint ends[64];
static uint64_t count[64], load[64];
static void *kept[4];
static uint32_t n_kept;
static struct tg_rng rng;

static void *alloc(void *ctx, size_t n)
{
	(void)ctx;
	return kept[n_kept++] = calloc(1, n);
}

static struct tg_cluster make(const struct tg_lb_ops *lb, const uint32_t *weights, uint32_t n)
{
	struct tg_cluster c = {.endpoints = ends,
		.n_endpoints = n,
		.lb = lb,
		.choice_count = 2,
		.min_ring = 4096,
		.max_ring = 8 << 20,
		.table_size = 65537};

	for (uint32_t i = 0; i < n; i++) {
		ends[i] = (struct tg_endpoint){.weight = weights ? weights[i] : 1, .id = i};
		snprintf(ends[i].text, sizeof(ends[i].text), "10.0.0.%u:80", i + 1);
	}
	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile(&c), 0);
	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile_lb(&c, alloc, NULL), 0);
	tg_rng_seed(&rng, 7);
	return c;
}

static void done(void)
{
	while (n_kept)
		free(kept[--n_kept]);
}

static uint64_t active(void *ctx, const struct tg_endpoint *e)
{
	(void)ctx;
	return load[e->id];
}

static void spread(const struct tg_cluster *c, struct tg_lb_ask ask, uint32_t n)
{
	memset(count, 0, sizeof(count));
	ask.rng = &rng;
	for (uint32_t i = 0; i < n; i++) {
		ask.hash = tg_rng_next(&rng);
		count[tg_lb_pick(c, &ask)->id]++;
	}
}

static bool about(uint64_t got, double want, double part)
{
	return (double)got > want * (1 - part) && (double)got < want * (1 + part);
}

/* All draw or hash by weight; consistent hashing is coarser. */
void lb_weights(void)
{
	static const uint32_t weights[] = {1, 2, 5};
	static const struct {
		const struct tg_lb_ops *ops;
		double part;
	} rows[] = {
		{&tg_lb_ops_random, 0.02}, {&tg_lb_ops_maglev, 0.02}, {&tg_lb_ops_ring_hash, 0.15}};

	for (size_t r = 0; r < TG_ARRAY_LEN(rows); r++) {
		struct tg_cluster c = make(rows[r].ops, weights, 3);

		spread(&c, (struct tg_lb_ask){.has_hash = true}, MANY);
		for (uint32_t i = 0; i < 3; i++)
			CU_ASSERT_TRUE(about(count[i], MANY * weights[i] / 8.0, rows[r].part));
		done();
	}
}

/* Without a hash consistent hashing is as good as random; `avoid` is never taken. */
void lb_without_hash(void)
{
	static const struct tg_lb_ops *const all[] = {&tg_lb_ops_random, &tg_lb_ops_least_request,
		&tg_lb_ops_ring_hash, &tg_lb_ops_maglev};

	for (size_t r = 0; r < TG_ARRAY_LEN(all); r++) {
		struct tg_cluster c = make(all[r], NULL, 4);

		spread(&c, (struct tg_lb_ask){0}, MANY);
		for (uint32_t i = 0; i < 4; i++)
			CU_ASSERT_TRUE(about(count[i], MANY / 4.0, 0.2));
		spread(&c, (struct tg_lb_ask){.avoid = &ends[1]}, MANY);
		CU_ASSERT_EQUAL(count[1], 0);
		for (uint32_t i = 0; i < 4; i++)
			CU_ASSERT_TRUE(i == 1 || count[i] > MANY / 8);
		done();
		c = make(all[r], NULL, 1); /* one is taken whoever avoids it */
		spread(&c, (struct tg_lb_ask){.avoid = &ends[0]}, 10);
		CU_ASSERT_EQUAL(count[0], 10);
		done();
	}
}

/* Two of four drawn, the idler wins: the one that is busiest only when drawn twice (1/16), the
 * idlest whenever it is drawn (7/16). With weights the load counts against them. */
void lb_least_request(void)
{
	static const uint32_t weights[] = {1, 4};
	struct tg_cluster c = make(&tg_lb_ops_least_request, NULL, 4);
	struct tg_lb_ask ask = {.active = active};

	for (uint32_t i = 0; i < 4; i++)
		load[i] = i;
	spread(&c, ask, MANY);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_TRUE(about(count[i], MANY * (7.0 - 2 * i) / 16, 0.05));
	done();
	c = make(&tg_lb_ops_least_request, weights, 2);
	load[0] = 1; /* 2 / 1 against 7 / 4: the second */
	load[1] = 6;
	spread(&c, ask, MANY);
	CU_ASSERT_TRUE(about(count[0], MANY / 25.0, 0.1));
	load[1] = 8; /* 9 / 4: the first */
	spread(&c, ask, MANY);
	CU_ASSERT_TRUE(about(count[0], MANY * 9 / 25.0, 0.05));
	done();
}

/* One of twenty goes: nearly all that was not its share stays where it was. */
void lb_little_moves(void)
{
	static const struct {
		const struct tg_lb_ops *ops;
		uint32_t most; /* of 1000 that were elsewhere */
	} rows[] = {{&tg_lb_ops_ring_hash, 90}, {&tg_lb_ops_maglev, 60}};

	for (size_t r = 0; r < TG_ARRAY_LEN(rows); r++) {
		static uint32_t before[1000];
		struct tg_lb_ask ask = {.has_hash = true, .rng = &rng};
		struct tg_cluster c = make(rows[r].ops, NULL, 20);
		uint32_t moved = 0;

		for (uint32_t i = 0; i < 1000; i++) {
			ask.hash = tg_hash64(1, &i, sizeof(i));
			before[i] = tg_lb_pick(&c, &ask)->id;
			CU_ASSERT_EQUAL(tg_lb_pick(&c, &ask)->id, before[i]);
		}
		done();
		c = make(rows[r].ops, NULL, 19); /* the last one is gone */
		for (uint32_t i = 0; i < 1000; i++) {
			ask.hash = tg_hash64(1, &i, sizeof(i));
			moved += before[i] != 19 && tg_lb_pick(&c, &ask)->id != before[i];
		}
		CU_ASSERT_TRUE(moved <= rows[r].most);
		done();
	}
}

static struct tg_field fields[8];
static struct tg_msg m;

static void field(const char *name, const char *value)
{
	fields[m.n_fields++] = (struct tg_field){tg_view_str(name), tg_view_str(value), 0, false};
}

static uint64_t hash(const struct tg_hash_policy *p, uint32_t n, bool found)
{
	const struct tg_hash_policy *give;
	uint8_t value[16];
	struct tg_ip ip = {.b = {1, 2, 3}};
	uint64_t h = 0;

	CU_ASSERT_EQUAL(tg_hash_request(p, n, &m, &ip, &rng, &h, &give, value), found);
	CU_ASSERT_PTR_NULL(give);
	return h;
}

void lb_hash_policies(void)
{
	struct tg_hash_policy header = {.kind = TG_HASH_HEADER, .name = TG_VIEW("x-user")},
			      query = {.kind = TG_HASH_QUERY, .name = TG_VIEW("user")},
			      cookie = {.kind = TG_HASH_COOKIE, .name = TG_VIEW("stick")},
			      ip = {.kind = TG_HASH_SOURCE_IP}, two[2];
	const struct tg_hash_policy *give;
	uint8_t value[17] = {0};
	char line[64];
	struct tg_ip from = {.b = {0}};
	uint64_t a, b;

	m = (struct tg_msg){.is_request = true, .fields = fields, .field_cap = 8};
	hash(&header, 1, false);
	hash(&query, 1, false);
	hash(&cookie, 1, false);
	field("X-User", "ann");
	a = hash(&header, 1, true);
	m.query = TG_VIEW("x=1&users=bob&user=ann&user=bob");
	CU_ASSERT_EQUAL(hash(&query, 1, true), a);
	m.query = TG_VIEW("user=bob");
	CU_ASSERT_NOT_EQUAL(hash(&query, 1, true), a);
	m.query = TG_VIEW("user");
	hash(&query, 1, true);
	field("Cookie", "a=b; stickx=bob;stick=\"ann\"; stick=bob");
	CU_ASSERT_EQUAL(hash(&cookie, 1, true), a);
	/* the first that is terminal decides alone; else all do, in order */
	two[0] = header;
	two[1] = ip;
	b = hash(two, 2, true);
	CU_ASSERT_NOT_EQUAL(b, a);
	two[0].terminal = true;
	CU_ASSERT_EQUAL(hash(two, 2, true), a);
	two[0].name = TG_VIEW("x-nobody");
	CU_ASSERT_EQUAL(hash(two, 2, true), hash(&ip, 1, true));
	/* a cookie to be given is as if it had come */
	cookie.has_ttl = true;
	m.n_fields = 0;
	CU_ASSERT_TRUE(tg_hash_request(&cookie, 1, &m, &from, &rng, &a, &give, value));
	CU_ASSERT_PTR_EQUAL(give, &cookie);
	CU_ASSERT_EQUAL(strspn((char *)value, "0123456789abcdef"), 16);
	snprintf(line, sizeof(line), "stick=%s", (char *)value);
	field("cookie", line);
	CU_ASSERT_EQUAL(hash(&cookie, 1, true), a);
}
