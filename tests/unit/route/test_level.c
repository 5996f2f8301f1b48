/* Priorities, panic and slow start: exact loads, and who is chosen by them. */
#include <math.h>
#include <stdlib.h>

#include <tidegate/health.h>
#include <tidegate/route.h>

#include "../tgtest.h"
#include "tests.h"

#define HALF 500000 /* healthy_panic_threshold's default */

/* n endpoints each; percent of them that are well; what comes of it. */
struct vector {
	uint32_t levels, n, threshold;
	uint32_t good[4], degraded[4];
	uint32_t load[4], load_degraded[4];
	bool panic[4];
};

static const struct vector vectors[] = {
	/* Envoy's documentation of priority levels: two levels, the second one well. */
	{2, 100, HALF, {100, 100}, {0}, {100, 0}, {0}, {0}},
	{2, 100, HALF, {72, 100}, {0}, {100, 0}, {0}, {0}},
	{2, 100, HALF, {71, 100}, {0}, {99, 1}, {0}, {0}},
	{2, 100, HALF, {50, 100}, {0}, {70, 30}, {0}, {0}},
	{2, 100, HALF, {25, 100}, {0}, {35, 65}, {0}, {0}},
	{2, 100, HALF, {0, 100}, {0}, {0, 100}, {0}, {0}},
	/* Three levels. */
	{3, 100, HALF, {100, 100, 100}, {0}, {100, 0, 0}, {0}, {0}},
	{3, 100, HALF, {72, 72, 100}, {0}, {100, 0, 0}, {0}, {0}},
	{3, 100, HALF, {71, 71, 100}, {0}, {99, 1, 0}, {0}, {0}},
	{3, 100, HALF, {50, 50, 100}, {0}, {70, 30, 0}, {0}, {0}},
	{3, 100, HALF, {25, 100, 100}, {0}, {35, 65, 0}, {0}, {0}},
	{3, 100, HALF, {25, 25, 100}, {0}, {35, 35, 30}, {0}, {0}},
	{3, 100, HALF, {25, 25, 20}, {0}, {36, 36, 28}, {0}, {1, 1, 1}},
	/* Its documentation of the panic threshold. */
	{2, 100, HALF, {72, 72}, {0}, {100, 0}, {0}, {0}},
	{2, 100, HALF, {71, 71}, {0}, {99, 1}, {0}, {0}},
	{2, 100, HALF, {50, 60}, {0}, {70, 30}, {0}, {0}},
	{2, 100, HALF, {25, 100}, {0}, {35, 65}, {0}, {0}},
	{2, 100, HALF, {25, 25}, {0}, {50, 50}, {0}, {1, 1}},
	{2, 100, HALF, {5, 65}, {0}, {8, 92}, {0}, {1, 0}},
	/* Panic disabled. */
	{2, 100, 0, {0, 25}, {0}, {0, 100}, {0}, {0}},
	{2, 100, 0, {5, 65}, {0}, {8, 92}, {0}, {0}},
	{2, 100, 0, {0, 0}, {0}, {50, 50}, {0}, {0}},
	/* Degraded ones: behind all good ones. */
	{2, 100, HALF, {50, 50}, {50, 50}, {70, 30}, {0, 0}, {0}},
	{2, 100, HALF, {50, 0}, {50, 0}, {70, 0}, {30, 0}, {0}},
	{1, 100, HALF, {0}, {100}, {0}, {100}, {0}},
	{1, 100, HALF, {49}, {0}, {100}, {0}, {1}},
	{1, 100, HALF, {50}, {0}, {100}, {0}, {0}},
	{1, 100, HALF, {25}, {25}, {50}, {50}, {0}},
	{1, 100, HALF, {0}, {0}, {100}, {0}, {1}},
};

void level_loads(void)
{
	for (size_t i = 0; i < TG_ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct tg_lb_level l[4] = {{0}};
		uint32_t sum = 0;

		for (uint32_t k = 0; k < v->levels; k++)
			l[k] = (struct tg_lb_level){
				.n = v->n, .good = v->good[k], .degraded = v->degraded[k]};
		tg_lb_loads(l, v->levels, 140, v->threshold);
		for (uint32_t k = 0; k < v->levels; k++) {
			if (l[k].panic != v->panic[k] ||
				(!l[k].panic && (l[k].load != v->load[k] ||
							l[k].load_degraded != v->load_degraded[k])))
				printf("vector %zu level %u: %u + %u, panic %d\n", i, k, l[k].load,
					l[k].load_degraded, l[k].panic);
			CU_ASSERT_EQUAL(l[k].panic, v->panic[k]);
			sum += l[k].load + l[k].load_degraded;
			CU_ASSERT_TRUE(v->panic[k] || l[k].load == v->load[k]);
			CU_ASSERT_TRUE(v->panic[k] || l[k].load_degraded == v->load_degraded[k]);
		}
		CU_ASSERT_EQUAL(sum, 100);
	}
}

/* Envoy's comment: 10 / 20 / 10 % available and 20 / 10 / 0 % degraded give 16 / 28 / 14 and 28 /
 * 14 / 0. */
void level_degraded(void)
{
	struct tg_lb_level l[3] = {{.n = 10, .good = 1, .degraded = 2},
		{.n = 10, .good = 2, .degraded = 1}, {.n = 10, .good = 1}};

	tg_lb_loads(l, 3, 100, 0);
	CU_ASSERT_EQUAL(l[0].load, 16);
	CU_ASSERT_EQUAL(l[1].load, 28);
	CU_ASSERT_EQUAL(l[2].load, 14);
	CU_ASSERT_EQUAL(l[0].load_degraded, 28);
	CU_ASSERT_EQUAL(l[1].load_degraded, 14);
	CU_ASSERT_EQUAL(l[2].load_degraded, 0);
	/* All in panic: by size, with what rounding leaves at the first that has any. */
	l[0] = (struct tg_lb_level){.n = 0};
	l[1] = (struct tg_lb_level){.n = 1};
	l[2] = (struct tg_lb_level){.n = 2};
	tg_lb_loads(l, 3, 140, HALF);
	CU_ASSERT_EQUAL(l[0].load, 0);
	CU_ASSERT_EQUAL(l[1].load, 34);
	CU_ASSERT_EQUAL(l[2].load, 66);
	/* A factor beyond all. */
	l[0] = (struct tg_lb_level){.n = 4, .good = 1};
	tg_lb_loads(l, 1, UINT32_MAX, 0);
	CU_ASSERT_EQUAL(l[0].load, 100);
}

/* --- a cluster of ten at priority 0 and five at priority 1 --- */

#define FIRST 10
#define SECOND 5
#define N (FIRST + SECOND)
#define MANY 20000

static struct tg_endpoint ends[N];
static struct tg_host hosts[N];
static struct tg_health_cluster health;
static struct tg_lb_set set;
static struct tg_rng rng;
static uint32_t count[N + 1];
static void *kept[4];
static uint32_t n_kept;
static void *memory;

static void *alloc(void *ctx, size_t n)
{
	(void)ctx;
	return kept[n_kept++] = calloc(1, n);
}

static struct tg_cluster make(const struct tg_lb_ops *lb)
{
	struct tg_cluster c = {.name = "v1",
		.endpoints = ends,
		.n_endpoints = N,
		.lb = lb,
		.choice_count = 2,
		.min_ring = 16384,
		.max_ring = 16384,
		.table_size = 65537,
		.panic_threshold = HALF,
		.health = &health};

	memset(hosts, 0, sizeof(hosts));
	tg_rng_seed(&rng, 5);
	for (uint32_t i = 0; i < N; i++) {
		ends[i] = (struct tg_endpoint){
			.weight = 1, .id = i, .priority = i >= FIRST, .host = &hosts[i]};
		hosts[i].of = &health;
		snprintf(ends[i].text, sizeof(ends[i].text), "10.0.0.%u:80", i);
	}
	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile(&c), 0);
	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile_lb(&c, alloc, NULL), 0);
	memory = malloc(tg_lb_set_bytes(&c));
	tg_lb_set_init(&set, &c, memory);
	return c;
}

static void done(void)
{
	free(memory);
	while (n_kept)
		free(kept[--n_kept]);
}

static void fail(const struct tg_cluster *c, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < from + n; i++)
		tg_host_change(&hosts[i], TG_HEALTH_FAILED_ACTIVE, 0);
	tg_lb_set_make(&set, c, 0);
}

static uint64_t idle(void *ctx, const struct tg_endpoint *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

/* Of MANY requests, those of endpoints from .. from + n - 1. count[N]: nobody. */
static void spread(const struct tg_cluster *c)
{
	uint32_t pos = 0;

	memset(count, 0, sizeof(count));
	for (uint32_t i = 0; i < MANY; i++) {
		struct tg_lb_ask ask = {.rng = &rng,
			.set = &set,
			.pos = &pos,
			.has_hash = true,
			.hash = tg_rng_next(&rng),
			.active = idle};
		const struct tg_endpoint *e = tg_lb_pick(c, &ask);

		count[e ? e - ends : N]++;
	}
}

static uint32_t sum(uint32_t from, uint32_t n)
{
	uint32_t s = 0;

	for (uint32_t i = from; i < from + n; i++)
		s += count[i];
	return s;
}

/* Within five standard deviations of a share of MANY, in percent. */
static bool near(uint32_t got, double percent)
{
	double p = percent / 100, sigma = sqrt(MANY * p * (1 - p));

	return got > MANY * p - 5 * sigma && got < MANY * p + 5 * sigma;
}

static const struct tg_lb_ops *const all[] = {&tg_lb_ops_round_robin, &tg_lb_ops_random,
	&tg_lb_ops_least_request, &tg_lb_ops_ring_hash, &tg_lb_ops_maglev};

void level_balancers(void)
{
	for (size_t b = 0; b < TG_ARRAY_LEN(all); b++) {
		struct tg_cluster c = make(all[b]);

		spread(&c);
		CU_ASSERT_EQUAL(sum(0, FIRST), MANY);
		fail(&c, 0, 3); /* 70 % are well: 98 % */
		spread(&c);
		CU_ASSERT_EQUAL(sum(0, 3), 0);
		CU_ASSERT_TRUE(near(sum(3, 7), 98));
		CU_ASSERT_TRUE(near(sum(FIRST, SECOND), 2));
		fail(&c, 3, 2); /* 50 %: 70 % */
		spread(&c);
		CU_ASSERT_EQUAL(sum(0, 5), 0);
		CU_ASSERT_TRUE(near(sum(5, 5), 70));
		CU_ASSERT_TRUE(near(sum(FIRST, SECOND), 30));
		if (all[b] == &tg_lb_ops_round_robin)
			/* Turns in one level do not disturb those in the other. */
			for (uint32_t i = 6; i < FIRST; i++)
				CU_ASSERT_TRUE(
					count[i] + 1 >= count[5] && count[5] + 1 >= count[i]);
		for (uint32_t i = FIRST; i < N; i++)
			CU_ASSERT_TRUE(
				count[i] > MANY * 0.06 * 0.6 && count[i] < MANY * 0.06 * 1.4);
		fail(&c, 5, 5); /* nobody: the other level has all */
		spread(&c);
		CU_ASSERT_EQUAL(sum(FIRST, SECOND), MANY);
		fail(&c, FIRST, 3); /* 40 % there: 56 % in all; both in panic, by their sizes */
		spread(&c);
		CU_ASSERT_TRUE(set.panic);
		CU_ASSERT_TRUE(near(sum(0, FIRST), 67));
		CU_ASSERT_TRUE(near(sum(FIRST, SECOND), 33));
		for (uint32_t i = 0; i < N; i++)
			CU_ASSERT_TRUE(count[i] > 0);
		c.fail_on_panic = true;
		tg_lb_set_make(&set, &c, 0);
		spread(&c);
		CU_ASSERT_EQUAL(count[N], MANY);
		done();
	}
}

/* A hash stays with its endpoint while that and its level are well. */
void level_hash_stays(void)
{
	struct tg_cluster c = make(&tg_lb_ops_maglev);
	uint32_t moved = 0, hit = 0;

	for (uint64_t h = 0; h < 20000; h++) {
		struct tg_lb_ask ask = {
			.rng = &rng, .has_hash = true, .hash = h * 0x9e3779b97f4a7c15};
		uint32_t before, after;

		tg_host_change(&hosts[0], 0, TG_HEALTH_FAILED_ACTIVE);
		tg_lb_set_make(&set, &c, 0);
		ask.set = &set;
		before = tg_lb_pick(&c, &ask)->id;
		tg_host_change(
			&hosts[0], TG_HEALTH_FAILED_ACTIVE, 0); /* 90 %: no other level needed */
		tg_lb_set_make(&set, &c, 0);
		after = tg_lb_pick(&c, &ask)->id;
		hit += before == 0;
		moved += before != 0 && before != after;
		CU_ASSERT_TRUE(after != 0 && after < FIRST);
	}
	CU_ASSERT_EQUAL(moved, 0);
	CU_ASSERT_TRUE(hit > 1000);
	done();
}

/* --- one level in panic, degraded ones --- */

void level_single(void)
{
	struct tg_cluster c = make(&tg_lb_ops_round_robin);

	for (uint32_t i = 0; i < N; i++)
		ends[i].priority = 0;
	c.n_levels = 1;
	fail(&c, 0, 7); /* 8 of 15 */
	CU_ASSERT_FALSE(set.all);
	CU_ASSERT_FALSE(set.panic);
	CU_ASSERT_EQUAL(set.n, 8);
	fail(&c, 7, 1); /* 7 of 15 */
	CU_ASSERT_TRUE(set.all);
	CU_ASSERT_TRUE(set.panic);
	c.panic_threshold = 0;
	tg_lb_set_make(&set, &c, 0);
	CU_ASSERT_EQUAL(set.n, 7);
	fail(&c, 8, 7);
	spread(&c);
	CU_ASSERT_EQUAL(count[N], MANY); /* nobody is well, and there is no panic */
	for (uint32_t i = 0; i < N; i++)
		tg_host_change(&hosts[i], i < 10 ? TG_HEALTH_DEGRADED : 0, TG_HEALTH_FAILED_ACTIVE);
	tg_lb_set_make(&set, &c, 0);
	spread(&c);
	/* 5 of 15 good: 46 %; the others have what is left. */
	CU_ASSERT_TRUE(near(sum(10, 5), 46));
	CU_ASSERT_TRUE(near(sum(0, 10), 54));
	done();
}

/* --- zone preference --- */

void level_near(void)
{
	for (size_t b = 0; b < TG_ARRAY_LEN(all); b++) {
		struct tg_cluster c = make(all[b]);

		for (uint32_t i = 3; i < N; i++)
			ends[i].locality = i != FIRST; /* only priority 0 counts */
		c.near_least = 2;
		c.zone_min = 2;
		tg_lb_set_make(&set, &c, 0);
		spread(&c);
		CU_ASSERT_TRUE(set.near);
		CU_ASSERT_EQUAL(sum(0, 3), MANY);
		fail(&c, 0, 1); /* two are enough */
		spread(&c);
		CU_ASSERT_EQUAL(count[0], 0);
		CU_ASSERT_EQUAL(sum(1, 2), MANY);
		fail(&c, 3, 3); /* 60 % at priority 0: 84 % */
		spread(&c);
		CU_ASSERT_TRUE(near(sum(1, 2), 84));
		CU_ASSERT_TRUE(near(sum(FIRST, SECOND), 16));
		fail(&c, 1, 1); /* one is not: all of them again */
		spread(&c);
		CU_ASSERT_FALSE(set.near);
		CU_ASSERT_TRUE(near(sum(0, FIRST), 70));
		CU_ASSERT_TRUE(count[2] > 0 && count[6] > 0 && count[9] > 0);
		done();
		c = make(all[b]);
		c.near_least = 1;
		c.zone_min = FIRST;
		fail(&c, 0, 1);
		CU_ASSERT_EQUAL(set.zoning, TG_ZONING_SMALL);
		CU_ASSERT_FALSE(set.near);
		done();
	}
}

/* --- slow start --- */

#define SEC UINT64_C(1000000000)

/* One of five is new. */
static double share_after(const struct tg_lb_ops *lb, double aggression, uint64_t age)
{
	struct tg_cluster c = make(lb);
	double got;

	c.n_endpoints = 5;
	c.n_levels = 1;
	CU_ASSERT_EQUAL(tg_cluster_compile(&c), 0);
	c.slow_window = 60 * SEC;
	c.slow_exponent = 1 / aggression;
	c.slow_least = 0.1;
	for (uint32_t i = 0; i < 5; i++)
		hosts[i].since = 1;
	hosts[2].since = 1000 * SEC;
	tg_lb_set_init(&set, &c, memory);
	tg_lb_set_make(&set, &c, 1000 * SEC + age);
	CU_ASSERT_EQUAL(set.due == UINT64_MAX, age >= 60 * SEC);
	CU_ASSERT_EQUAL(set.all, age >= 60 * SEC);
	spread(&c);
	CU_ASSERT_EQUAL(sum(0, 5), MANY);
	got = count[2];
	done();
	return got / ((MANY - got) / 4);
}

static bool about(double got, double want)
{
	return got > want * 0.9 && got < want * 1.1;
}

void level_slow_start(void)
{
	const struct tg_lb_ops *lb[] = {&tg_lb_ops_round_robin, &tg_lb_ops_random};

	/* Weight against that of the others: max(min_weight_percent, time^(1 / aggression)). */
	for (size_t i = 0; i < TG_ARRAY_LEN(lb); i++) {
		CU_ASSERT_TRUE(about(share_after(lb[i], 1, 0), 0.1));
		CU_ASSERT_TRUE(about(share_after(lb[i], 1, 3 * SEC), 0.1));
		CU_ASSERT_TRUE(about(share_after(lb[i], 1, 15 * SEC), 0.25));
		CU_ASSERT_TRUE(about(share_after(lb[i], 1, 30 * SEC), 0.5));
		CU_ASSERT_TRUE(about(share_after(lb[i], 1, 54 * SEC), 0.9));
		CU_ASSERT_TRUE(about(share_after(lb[i], 1, 60 * SEC), 1));
		CU_ASSERT_TRUE(about(share_after(lb[i], 2, 15 * SEC), 0.5));
		CU_ASSERT_TRUE(about(share_after(lb[i], 0.5, 30 * SEC), 0.25));
	}
}

/* It begins when an endpoint comes and when it is well again, and goes on over a reload. */
void level_slow_since(void)
{
	struct tg_health *h = tg_health_create(1);
	struct tg_endpoint now[2] = {{.weight = 1}, {.weight = 1}}, next[2];
	struct tg_cluster a = {.name = "v1", .endpoints = now, .n_endpoints = 2}, b = a;
	struct tg_host *host;
	uint64_t since;

	now[1].addr.port = 1;
	memcpy(next, now, sizeof(next));
	b.endpoints = next; /* the next configuration, with the same hosts */
	CU_ASSERT_EQUAL_FATAL(tg_health_bind(h, &a), 0);
	host = now[0].host;
	since = tg_host_since(host);
	CU_ASSERT_TRUE(since > 0);
	CU_ASSERT_EQUAL_FATAL(tg_health_bind(h, &b), 0);
	CU_ASSERT_PTR_EQUAL(next[0].host, host);
	tg_health_unbind(&a);
	CU_ASSERT_EQUAL(tg_host_since(host), since);
	tg_host_change(host, TG_HEALTH_FAILED_ACTIVE, 0);
	tg_host_change(host, TG_HEALTH_FAILED_OUTLIER, TG_HEALTH_FAILED_ACTIVE);
	CU_ASSERT_EQUAL(tg_host_since(host), since); /* still not well */
	while (tg_host_since(host) == since) {
		tg_host_change(host, TG_HEALTH_FAILED_ACTIVE, 0);
		tg_host_change(host, 0, TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_FAILED_OUTLIER);
	}
	CU_ASSERT_TRUE(tg_host_since(host) > since);
	tg_health_unbind(&b);
	tg_health_destroy(h);
}
