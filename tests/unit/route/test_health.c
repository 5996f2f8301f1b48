/* Health: the registry of hosts, and that no balancer chooses one that is not healthy. */
#include <stdlib.h>

#include <tidegate/health.h>
#include <tidegate/route.h>

#include "../tgtest.h"
#include "tests.h"

#define N 8
#define BAD (TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_FAILED_OUTLIER | TG_HEALTH_PENDING)

static struct tg_endpoint ends[N], more[N];
static struct tg_rng rng;
static void *kept[4];
static uint32_t n_kept;

static void *alloc(void *ctx, size_t n)
{
	(void)ctx;
	return kept[n_kept++] = calloc(1, n);
}

static struct tg_cluster make(
	const struct tg_lb_ops *lb, struct tg_endpoint *e, uint32_t first, uint32_t n)
{
	struct tg_cluster c = {.name = "v1",
		.endpoints = e,
		.n_endpoints = n,
		.lb = lb,
		.choice_count = 2,
		.min_ring = 1024,
		.max_ring = 1024,
		.table_size = 251};

	for (uint32_t i = 0; i < n; i++) {
		e[i] = (struct tg_endpoint){.weight = 1 + (first + i) % 3};
		snprintf(e[i].text, sizeof(e[i].text), "[fd00::%u]:80", first + i);
		CU_ASSERT_EQUAL(tg_sockaddr_parse(e[i].text, &e[i].addr), 0);
	}
	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile(&c), 0);
	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile_lb(&c, alloc, NULL), 0);
	return c;
}

static void done(void)
{
	while (n_kept)
		free(kept[--n_kept]);
}

/* A verdict stays with cluster and address while one configuration at least knows them. */
void health_registry(void)
{
	struct tg_health *h = tg_health_create(1);
	struct tg_cluster a = make(NULL, ends, 0, 4), b = make(NULL, more, 2, 4), other = b;
	struct tg_host *host;
	char text[TG_HEALTH_TEXT];
	uint32_t generation;

	CU_ASSERT_TRUE(tg_health_good(tg_host_flags(NULL)));
	CU_ASSERT_EQUAL(tg_health_bind(h, &a), 0);
	host = ends[3].host;
	generation = tg_health_generation(a.health);
	CU_ASSERT_TRUE(tg_host_change(host, TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_TIMEOUT, 0));
	CU_ASSERT_FALSE(tg_host_change(host, TG_HEALTH_TIMEOUT, TG_HEALTH_PENDING));
	CU_ASSERT_EQUAL(tg_health_generation(a.health), generation + 1);
	CU_ASSERT_STRING_EQUAL(
		tg_health_text(tg_host_flags(host), text), "/failed_active_hc/active_hc_timeout");
	CU_ASSERT_STRING_EQUAL(tg_health_text(tg_host_flags(ends[0].host), text), "healthy");

	CU_ASSERT_EQUAL(tg_health_bind(h, &b), 0);
	CU_ASSERT_PTR_EQUAL(b.health, a.health);
	CU_ASSERT_PTR_EQUAL(more[1].host, host);
	tg_health_unbind(&a);
	CU_ASSERT_PTR_NULL(ends[3].host);
	CU_ASSERT_FALSE(tg_health_good(tg_host_flags(more[1].host)));
	tg_health_unbind(&b);
	tg_health_unbind(&b);

	/* Forgotten with the last one; another cluster's is another host. */
	a = make(NULL, ends, 0, 4);
	CU_ASSERT_EQUAL(tg_health_bind(h, &a), 0);
	CU_ASSERT_EQUAL(tg_host_flags(ends[3].host), 0);
	other.name = "v2";
	CU_ASSERT_EQUAL(tg_health_bind(h, &other), 0);
	CU_ASSERT_PTR_NOT_EQUAL(more[1].host, ends[3].host);
	tg_health_unbind(&a);
	tg_health_unbind(&other);
	tg_health_destroy(h);
}

/* n picks; bit i: endpoint i was among them. none: nobody was to be had. */
static uint32_t picks(const struct tg_cluster *c, const struct tg_lb_set *set, uint32_t n,
	uint32_t *none, uint64_t share[N])
{
	uint32_t seen = 0, pos = 0;

	*none = 0;
	memset(share, 0, N * sizeof(*share));
	for (uint32_t i = 0; i < n; i++) {
		struct tg_lb_ask ask = {.rng = &rng,
			.set = set,
			.pos = &pos,
			.has_hash = true,
			.hash = tg_rng_next(&rng)};
		const struct tg_endpoint *e = tg_lb_pick(c, &ask);

		if (e) {
			seen |= 1u << (e - c->endpoints);
			share[e - c->endpoints]++;
		}
		*none += !e;
	}
	return seen;
}

/* Whatever the verdicts: who is chosen is healthy, all who are healthy are chosen, by weight. */
void health_balancers(void)
{
	static const struct tg_lb_ops *const all[] = {&tg_lb_ops_round_robin, &tg_lb_ops_random,
		&tg_lb_ops_least_request, &tg_lb_ops_ring_hash, &tg_lb_ops_maglev, NULL};
	enum { PICKS = 600 };

	tg_rng_seed(&rng, 3);
	for (size_t k = 0; k < TG_ARRAY_LEN(all); k++) {
		struct tg_health *h = tg_health_create(1);
		struct tg_cluster c = make(all[k], ends, 0, N);
		struct tg_lb_set set;
		uint64_t share[N];
		void *memory;

		CU_ASSERT_EQUAL_FATAL(tg_health_bind(h, &c), 0);
		memory = malloc(tg_lb_set_bytes(&c));
		tg_lb_set_init(&set, &c, memory);
		CU_ASSERT_TRUE(set.all);
		for (uint32_t good = 0; good < 1u << N; good++) {
			uint32_t none, sum = 0, seen;

			for (uint32_t i = 0; i < N; i++) {
				tg_host_change(ends[i].host, 0, BAD);
				if (!(good >> i & 1))
					tg_host_change(ends[i].host,
						i % 2 ? TG_HEALTH_FAILED_ACTIVE
						      : TG_HEALTH_FAILED_OUTLIER,
						0);
				else
					sum += ends[i].weight;
			}
			CU_ASSERT_TRUE(set.generation != tg_health_generation(c.health));
			tg_lb_set_make(&set, &c, 0);
			seen = picks(&c, &set, PICKS, &none, share);
			CU_ASSERT_EQUAL(seen, good);
			CU_ASSERT_EQUAL(none, good ? 0 : PICKS);
			for (uint32_t i = 0; c.lb == NULL && i < N && sum; i++)
				if (good >> i & 1)
					CU_ASSERT_TRUE(share[i] >= PICKS / sum * ends[i].weight);
		}
		free(memory);
		tg_health_unbind(&c);
		tg_health_destroy(h);
		done();
	}
}

/* Who was never checked serves only where nobody is known to be good. */
void health_pending(void)
{
	struct tg_health *h = tg_health_create(1);
	struct tg_cluster c = make(NULL, ends, 0, 3);
	struct tg_lb_set set;
	uint64_t share[N];
	uint32_t none;
	void *memory;

	CU_ASSERT_EQUAL_FATAL(tg_health_bind(h, &c), 0);
	memory = malloc(tg_lb_set_bytes(&c));
	for (uint32_t i = 0; i < 3; i++)
		tg_host_change(ends[i].host, TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_PENDING, 0);
	tg_lb_set_init(&set, &c, memory);
	CU_ASSERT_EQUAL(picks(&c, &set, 60, &none, share), 7);
	tg_host_change(ends[0].host, 0, TG_HEALTH_PENDING);
	tg_lb_set_make(&set, &c, 0);
	CU_ASSERT_EQUAL(picks(&c, &set, 60, &none, share), 6);
	tg_host_change(ends[2].host, 0, TG_HEALTH_PENDING | TG_HEALTH_FAILED_ACTIVE);
	tg_lb_set_make(&set, &c, 0);
	CU_ASSERT_EQUAL(picks(&c, &set, 60, &none, share), 4);
	free(memory);
	tg_health_unbind(&c);
	tg_health_destroy(h);
	done();
}
