/* Zones: what Envoy's formulas give, worked out by hand, and that balancers keep to it. */
#include <math.h>
#include <stdlib.h>

#include <tidegate/health.h>
#include <tidegate/route.h>

#include "../tgtest.h"
#include "tests.h"

#define ZONES 4
#define MOST 10001
#define MANY 65536

/* n endpoints in each zone, of which the first good ones are healthy. */
struct side {
	uint32_t n[ZONES], good[ZONES];
};

static struct tg_endpoint ends[MOST], locals[MOST];
static struct tg_host hosts[MOST], local_hosts[MOST];
static struct tg_health_cluster health, local_health;
static struct tg_cluster local;
static struct tg_lb_set set;
static struct tg_rng rng;
static uint32_t count[ZONES + 1], ways[TG_LB_WEIGHTED + 1], each[MOST];
static void *kept[8];
static uint32_t n_kept;

static const struct tg_lb_ops *const free_ones[] = {
	NULL, &tg_lb_ops_round_robin, &tg_lb_ops_random, &tg_lb_ops_least_request};
static const struct tg_lb_ops *const tables[] = {&tg_lb_ops_ring_hash, &tg_lb_ops_maglev};

static void *alloc(void *ctx, size_t n)
{
	(void)ctx;
	return kept[n_kept++] = calloc(1, n);
}

static void done(void)
{
	while (n_kept)
		free(kept[--n_kept]);
}

/* Zones alternate, as endpoints of a file may. */
static uint32_t put(struct tg_endpoint *e, struct tg_host *h, struct tg_health_cluster *of,
	const struct side *s)
{
	uint32_t n = 0, sum = 0;

	for (uint32_t z = 0; z < ZONES; z++)
		sum += s->n[z];
	for (uint32_t round = 0; n < sum; round++)
		for (uint32_t z = 0; z < ZONES; z++) {
			if (round >= s->n[z])
				continue;
			h[n] = (struct tg_host){.of = of,
				.flags = round < s->good[z] ? 0 : TG_HEALTH_FAILED_ACTIVE};
			e[n] = (struct tg_endpoint){
				.weight = 1, .id = n, .locality = z, .host = &h[n]};
			snprintf(e[n].text, sizeof(e[n].text), "10.%u.%u.%u:80", z, round >> 8,
				round & 255);
			n++;
		}
	return n;
}

static void compile(struct tg_cluster *c)
{
	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile(c), 0);
	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile_lb(c, alloc, NULL), 0);
	tg_lb_set_init(&set, c, alloc(NULL, tg_lb_set_bytes(c)));
}

static struct tg_cluster make(const struct tg_lb_ops *lb, const struct side *up)
{
	tg_rng_seed(&rng, 5);
	health.generation = local_health.generation = 0;
	return (struct tg_cluster){.name = "up",
		.endpoints = ends,
		.n_endpoints = put(ends, hosts, &health, up),
		.lb = lb,
		.choice_count = 2,
		.min_ring = 16384,
		.max_ring = 16384,
		.table_size = 65537,
		.panic_threshold = 500000,
		.zone_percent = 100,
		.zone_min = 1,
		.health = &health};
}

static struct tg_cluster aware(
	const struct tg_lb_ops *lb, const struct side *here, const struct side *up)
{
	struct tg_cluster c = make(lb, up);

	local = (struct tg_cluster){.name = "local",
		.endpoints = locals,
		.n_endpoints = put(locals, local_hosts, &local_health, here),
		.health = &local_health};
	c.local = &local;
	compile(&c);
	return c;
}

static uint64_t idle(void *ctx, const struct tg_endpoint *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

/* MANY requests. count[ZONES]: for nobody. */
static void spread(const struct tg_cluster *c)
{
	uint32_t pos = 0;

	memset(count, 0, sizeof(count));
	memset(ways, 0, sizeof(ways));
	memset(each, 0, sizeof(each));
	for (uint32_t i = 0; i < MANY; i++) {
		struct tg_lb_ask ask = {.rng = &rng,
			.set = &set,
			.pos = &pos,
			.has_hash = true,
			.hash = tg_rng_next(&rng),
			.active = idle};
		const struct tg_endpoint *e = tg_lb_pick(c, &ask);

		CU_ASSERT_TRUE(!e || tg_health_good(tg_host_flags(e->host)));
		count[e ? e->locality : ZONES]++;
		each[e ? e->id : 0]++;
		ways[ask.way]++;
	}
}

/* Percent of the requests, to within 1 (five sigma of 65536). */
static bool near(uint32_t got, double percent)
{
	return fabs(100.0 * got / MANY - percent) < 1;
}

/* Of Envoy's formulas: what there is, and what comes of it. room: the zones' shares one by one. */
struct vector {
	struct side here, up;
	enum tg_lb_zoning zoning;
	uint32_t local_part, room[ZONES];
	double percent[ZONES];
};

static const struct vector vectors[] = {
	/* The example in Envoy's source: 40 / 40 / 20 % call 25 / 50 / 25 %. Of its own requests
	 * this zone keeps 25 / 40, and the rest goes where 10 % and 5 % are left. */
	{{{4, 4, 2}, {4, 4, 2}}, {{2, 4, 2}, {2, 4, 2}}, TG_ZONING_RESIDUAL, 6250, {0, 1000, 500},
		{62.5, 25, 12.5}},
	/* As much as it asks for, or more, is here. */
	{{{1, 1}, {1, 1}}, {{2, 1}, {2, 1}}, TG_ZONING_DIRECT, 0, {0}, {100}},
	{{{2, 2}, {2, 2}}, {{3, 3}, {3, 3}}, TG_ZONING_DIRECT, 0, {0}, {100}},
	{{{1, 1, 1}, {1, 1, 1}}, {{1, 1, 1}, {1, 1, 1}}, TG_ZONING_DIRECT, 0, {0}, {100}},
	/* Those that are not healthy do not count, on neither side. 3 of 4 call 1 of 3. */
	{{{3, 3}, {3, 1}}, {{3, 2}, {1, 2}}, TG_ZONING_RESIDUAL, 4444, {0, 6666 - 2500},
		{44.44, 55.56}},
	/* Nobody well is here, though endpoints are. */
	{{{1, 1}, {1, 1}}, {{2, 3}, {0, 3}}, TG_ZONING_RESIDUAL, 0, {0, 5000}, {0, 100}},
	/* No endpoint is here; and one zone has no callers. */
	{{{1, 1, 0}, {1, 1, 0}}, {{0, 2, 1}, {0, 2, 1}}, TG_ZONING_RESIDUAL, 0, {0, 1666, 3333},
		{0, 33.3, 66.7}},
	/* A zone that has more callers than endpoints gets nothing from elsewhere. */
	{{{2, 2, 0, 1}, {2, 2, 0, 1}}, {{1, 1, 3, 5}, {1, 1, 3, 5}}, TG_ZONING_RESIDUAL, 2500,
		{0, 0, 3000, 3000}, {25, 0, 37.5, 37.5}},
	/* Rounding leaves room nowhere: 3332 of 10000 are here, for 3333; each other has 3333. */
	{{{1, 1, 1}, {1, 1, 1}}, {{3333, 3334, 3334}, {3333, 3334, 3334}}, TG_ZONING_RESIDUAL, 9996,
		{0}, {99.97, 0.013, 0.013}},
	/* By zone makes no difference, or nobody knows how. */
	{{{2, 0}, {2, 0}}, {{2, 2}, {2, 2}}, TG_ZONING_OFF, 0, {0}, {50, 50}},
	{{{2, 2}, {2, 2}}, {{0, 2}, {0, 2}}, TG_ZONING_OFF, 0, {0}, {0, 100}},
	{{{0, 1, 1}, {0, 1, 1}}, {{2, 2}, {2, 2}}, TG_ZONING_NOT_OK, 0, {0}, {50, 50}},
	{{{1, 2}, {1, 0}}, {{2, 2}, {2, 2}}, TG_ZONING_NOT_OK, 0, {0}, {50, 50}},
};

static void check(const struct vector *v, const struct tg_cluster *c, size_t i)
{
	const struct tg_lb_group *g = &set.groups[0];
	uint32_t before = 0;

	if (set.zoning != v->zoning || set.local_part != v->local_part)
		printf("vector %zu: zoning %u, local_part %u\n", i, set.zoning, set.local_part);
	CU_ASSERT_EQUAL(set.zoning, v->zoning);
	CU_ASSERT_EQUAL(set.local_part, v->local_part);
	for (uint32_t z = 0; v->zoning == TG_ZONING_RESIDUAL && z < g->n_zones; z++) {
		const struct tg_lb_zone *zone = &set.zones[g->zone + z];

		CU_ASSERT_EQUAL(zone->share - before, v->room[zone->locality]);
		CU_ASSERT_EQUAL(zone->n, v->up.good[zone->locality]);
		CU_ASSERT_TRUE(
			fabs(tg_lb_zone_part(&set, g, z) * 100 - v->percent[zone->locality]) < 0.1);
		before = zone->share;
	}
	spread(c);
	for (uint32_t z = 0; z < ZONES; z++) {
		if (!near(count[z], v->percent[z]))
			printf("vector %zu: zone %u: %u of %u\n", i, z, count[z], MANY);
		CU_ASSERT_TRUE(near(count[z], v->percent[z]));
	}
	if (v->zoning == TG_ZONING_DIRECT)
		CU_ASSERT_EQUAL(ways[TG_LB_DIRECT], MANY);
	if (v->zoning == TG_ZONING_RESIDUAL) {
		CU_ASSERT_EQUAL(
			ways[TG_LB_SAMPLED] + ways[TG_LB_CROSS] + ways[TG_LB_NO_CAPACITY], MANY);
		CU_ASSERT_TRUE(near(ways[TG_LB_SAMPLED], v->local_part / 100.0));
		CU_ASSERT_EQUAL(ways[TG_LB_NO_CAPACITY] > 0, g->shares == 0);
	}
}

void zone_formula(void)
{
	for (size_t b = 0; b < TG_ARRAY_LEN(free_ones); b++)
		for (size_t i = 0; i < TG_ARRAY_LEN(vectors); i++) {
			const struct vector *v = &vectors[i];
			struct tg_cluster c = aware(free_ones[b], &v->here, &v->up);

			check(v, &c, i);
			done();
		}
}

/* In the own zone each has the same, whoever asks for how many at a time; by weight, if they have
 * some. */
void zone_within(void)
{
	const struct side here = {{1, 1}, {1, 1}}, up = {{3, 1}, {2, 1}};
	struct tg_cluster c = aware(NULL, &here, &up);

	spread(&c);
	CU_ASSERT_EQUAL(each[0], MANY / 2);
	CU_ASSERT_EQUAL(each[2], MANY / 2);
	done();
	for (size_t b = 0; b < 3;
		b++) { /* an idle one that weighs more is always the less loaded */
		c = aware(free_ones[b], &here, &up);
		ends[2].weight = 3;
		compile(&c);
		spread(&c);
		CU_ASSERT_TRUE(near(each[0], 25));
		CU_ASSERT_TRUE(near(each[2], 75));
		done();
	}
}

/* min_cluster_size counts those that are healthy; routing_enabled is a part of the requests; a
 * verdict on the local cluster makes the set anew. */
void zone_bounds(void)
{
	const struct side here = {{1, 1}, {1, 1}}, up = {{4, 4}, {3, 3}};
	struct tg_cluster c = aware(NULL, &here, &up);
	uint32_t generation = tg_lb_generation(&c);

	c.zone_min = 7;
	tg_lb_set_make(&set, &c, 0);
	CU_ASSERT_EQUAL(set.zoning, TG_ZONING_SMALL);
	CU_ASSERT_TRUE(set.counted);
	c.zone_min = 6;
	c.zone_percent = 60;
	tg_lb_set_make(&set, &c, 0);
	CU_ASSERT_EQUAL(set.zoning, TG_ZONING_DIRECT);
	spread(&c);
	CU_ASSERT_TRUE(near(ways[TG_LB_DIRECT], 60));
	CU_ASSERT_TRUE(near(ways[TG_LB_ANYWHERE], 40));
	CU_ASSERT_TRUE(near(count[0], 80));
	tg_host_change(&local_hosts[1], TG_HEALTH_FAILED_ACTIVE, 0);
	CU_ASSERT_EQUAL(tg_lb_generation(&c), generation + 1);
	tg_lb_set_make(&set, &c, 0); /* all callers are here: 50 % of them can stay */
	CU_ASSERT_EQUAL(set.zoning, TG_ZONING_RESIDUAL);
	CU_ASSERT_EQUAL(set.local_part, 5000);
	done();
}

/* The local cluster in panic: what then is the configuration's. The cluster itself in panic: all.
 */
void zone_panic(void)
{
	const struct side here = {{1, 2}, {1, 0}}, up = {{2, 2}, {2, 2}};
	const struct side well = {{1, 1}, {1, 1}}, ill = {{3, 3}, {1, 1}};
	struct tg_cluster c = aware(NULL, &here, &up);

	c.fail_on_panic = true;
	tg_lb_set_make(&set, &c, 0);
	CU_ASSERT_EQUAL(set.zoning, TG_ZONING_REFUSED);
	spread(&c);
	CU_ASSERT_EQUAL(count[ZONES], MANY);
	CU_ASSERT_EQUAL(ways[TG_LB_REFUSED], MANY);
	c.zone_percent = 50;
	spread(&c);
	CU_ASSERT_TRUE(near(count[ZONES], 50));
	done();
	c = aware(NULL, &well, &ill);
	CU_ASSERT_EQUAL(set.zoning, TG_ZONING_OFF);
	CU_ASSERT_TRUE(set.panic);
	CU_ASSERT_EQUAL(set.n, 6);
	done();
}

/* A hundred requests that avoid the first endpoint go to `want`. */
static void avoid_the_first(const struct tg_cluster *c, const struct tg_endpoint *want)
{
	uint32_t pos = 0;

	for (uint32_t i = 0; i < 100; i++) {
		struct tg_lb_ask ask = {
			.rng = &rng, .set = &set, .pos = &pos, .active = idle, .avoid = &ends[0]};

		CU_ASSERT_PTR_EQUAL(tg_lb_pick(c, &ask), want);
	}
}

/* Another one than the one that is to be avoided, though that is alone in its zone. */
void zone_avoid(void)
{
	const struct side here = {{1, 1}, {1, 1}}, up = {{1, 1}, {1, 1}};

	for (size_t b = 0; b < TG_ARRAY_LEN(free_ones); b++) {
		struct tg_cluster c = aware(free_ones[b], &here, &up);

		avoid_the_first(&c, &ends[1]);
		done();
	}
}

/* --- weights of localities ------------------------------------------------------------------- */

static struct tg_cluster weighted(
	const struct tg_lb_ops *lb, const struct side *up, const uint32_t weight[ZONES])
{
	struct tg_cluster c = make(lb, up);

	c.zone_weighted = true;
	for (uint32_t i = 0; i < c.n_endpoints; i++)
		ends[i].zone_weight = weight[ends[i].locality];
	compile(&c);
	return c;
}

/* Effective weights: weight * min(1, 1.4 * healthy / all). */
static const struct {
	struct side up;
	uint32_t weight[ZONES];
	uint32_t upto[ZONES]; /* of 65536 */
} weights[] = {
	/* However many there are in each. */
	{{{1, 3, 2}, {1, 3, 2}}, {1, 2, 1}, {16384, 49152, 65536}},
	{{{2, 2}, {2, 2}}, {80, 20}, {52429, 65536}},
	/* 72 % healthy is still all; 50 % is 70 % of the weight: 56 of 76. */
	{{{25, 1}, {18, 1}}, {80, 20}, {52429, 65536}},
	{{{4, 2}, {2, 2}}, {80, 20}, {48290, 65536}},
	/* Nobody is well in one. */
	{{{1, 2, 1}, {0, 2, 1}}, {50, 25, 75}, {16384, 65536}},
	/* 0: none; the same everywhere: as if nothing was said. */
	{{{1, 1}, {1, 1}}, {0, 5}, {0, 65536}},
};

void zone_weights(void)
{
	for (size_t b = 0; b < TG_ARRAY_LEN(free_ones); b++)
		for (size_t i = 0; i < TG_ARRAY_LEN(weights); i++) {
			struct tg_cluster c =
				weighted(free_ones[b], &weights[i].up, weights[i].weight);
			const struct tg_lb_group *g = &set.groups[0];
			uint32_t before = 0;

			spread(&c);
			for (uint32_t z = 0; z < g->n_zones; z++) {
				uint32_t locality = set.zones[g->zone + z].locality;

				CU_ASSERT_EQUAL(set.zones[g->zone + z].share, weights[i].upto[z]);
				/* 65536 turns come by each exactly so often. */
				CU_ASSERT_EQUAL(count[locality], weights[i].upto[z] - before);
				before = weights[i].upto[z];
			}
			CU_ASSERT_EQUAL(before, MANY);
			done();
		}
}

/* To avoid the only endpoint of a zone is no reason to choose one of a zone that is to get nothing.
 */
void zone_weights_avoid(void)
{
	const struct side up = {{1, 1, 1}, {1, 1, 1}};
	const uint32_t one[ZONES] = {1, 0, 0}, two[ZONES] = {1, 0, 1};

	for (size_t b = 0; b < TG_ARRAY_LEN(free_ones); b++)
		for (uint32_t other = 0; other < 2; other++) {
			struct tg_cluster c = weighted(free_ones[b], &up, other ? two : one);

			avoid_the_first(&c, &ends[other ? 2 : 0]);
			done();
		}
}

void zone_weights_none(void)
{
	const struct side up = {{1, 3}, {1, 3}};
	const uint32_t zero[ZONES] = {0};
	struct tg_cluster c = weighted(NULL, &up, zero);

	CU_ASSERT_EQUAL(set.groups[0].n_zones, 0);
	spread(&c);
	CU_ASSERT_EQUAL(count[0], MANY / 4);
	done();
}

/* Each priority has weights of its own, and degraded ones theirs. */
void zone_weights_levels(void)
{
	const struct side up = {{4, 4}, {4, 4}};
	const uint32_t first[ZONES] = {3, 1};
	struct tg_cluster c = weighted(NULL, &up, first);

	for (uint32_t i = 4; i < 8; i++) { /* two of each */
		ends[i].priority = 1;
		ends[i].zone_weight = ends[i].locality ? 9 : 1;
	}
	compile(&c);
	for (uint32_t i = 0; i < 4; i++)
		tg_host_change(&hosts[i], TG_HEALTH_DEGRADED, 0);
	tg_host_change(&hosts[6], TG_HEALTH_FAILED_ACTIVE, 0);
	tg_host_change(&hosts[7], TG_HEALTH_FAILED_ACTIVE, 0);
	tg_lb_set_make(&set, &c, 0);
	/* Priority 1 is 70 % well; what is left is for the degraded ones of priority 0. */
	spread(&c);
	CU_ASSERT_TRUE(near(each[4], 70 * 0.1));
	CU_ASSERT_TRUE(near(each[5], 70 * 0.9));
	CU_ASSERT_TRUE(near(each[0] + each[2], 30 * 0.75));
	CU_ASSERT_TRUE(near(each[1] + each[3], 30 * 0.25));
	done();
}

/* In a table the weight of a locality is shared by its endpoints: one has what four have. */
void zone_weights_tables(void)
{
	const struct side up = {{1, 4}, {1, 4}};
	const uint32_t weight[ZONES] = {80, 20}, none[ZONES] = {0, 1};

	for (size_t b = 0; b < TG_ARRAY_LEN(tables); b++) {
		struct tg_cluster c = weighted(tables[b], &up, weight);

		CU_ASSERT_PTR_NULL(c.by_zone);
		spread(&c);
		CU_ASSERT_TRUE(fabs(100.0 * count[0] / MANY - 80) < 3);
		for (uint32_t i = 1; i < 5; i++)
			CU_ASSERT_TRUE(fabs(100.0 * each[i] / MANY - 5) < 2);
		done();
		c = weighted(tables[b], &up, none);
		spread(&c);
		CU_ASSERT_EQUAL(count[0], 0);
		done();
	}
}
