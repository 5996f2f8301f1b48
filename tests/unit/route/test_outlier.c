/* Outlier detection: streaks over workers, who may be ejected, how long, success rates. */
#include <pthread.h>
#include <stdlib.h>

#include <tidegate/route.h>

#include "../tgtest.h"
#include "tests.h"

#define N 10
#define WORKERS 2
#define SEC UINT64_C(1000000000)

static struct tg_outlier o;
static struct tg_endpoint ends[N];
static struct tg_cluster cluster;
static struct tg_cluster_stats stats[WORKERS];
static struct tg_health *registry;
static struct tg_rng rng;
static uint64_t now;

static void begin(uint32_t n)
{
	o = (struct tg_outlier){.consecutive = {5, 5, 5},
		.enforcing = {100, 0, 100, 100, 0, 100, 0},
		.interval = 10 * SEC,
		.base_ejection = 30 * SEC,
		.max_ejection = 300 * SEC,
		.max_percent = 10,
		.one_in_any_case = true,
		.rate_hosts = 5,
		.rate_volume = 100,
		.rate_factor = 1900,
		.failure_percent = 85,
		.failure_hosts = 5,
		.failure_volume = 50};
	for (uint32_t i = 0; i < n; i++) {
		ends[i] = (struct tg_endpoint){.weight = 1};
		snprintf(ends[i].text, sizeof(ends[i].text), "10.0.0.%u:80", i + 1);
		tg_sockaddr_parse(ends[i].text, &ends[i].addr);
	}
	cluster = (struct tg_cluster){
		.name = "v1", .n_endpoints = n, .endpoints = ends, .outlier = &o, .stats = stats};
	memset(stats, 0, sizeof(stats));
	now = SEC;
	tg_rng_seed(&rng, 5);
	registry = tg_health_create(WORKERS);
	CU_ASSERT_EQUAL_FATAL(tg_health_bind(registry, &cluster), 0);
	tg_health_use(&cluster);
}

static void finish(void)
{
	tg_health_unbind(&cluster);
	tg_health_destroy(registry);
}

static struct tg_outlier_ask ask(uint32_t worker)
{
	return (struct tg_outlier_ask){&cluster, worker, WORKERS, now, &rng};
}

static void answers(uint32_t worker, uint32_t e, uint16_t status, uint32_t n)
{
	struct tg_outlier_ask a = ask(worker);

	while (n--)
		tg_outlier_answer(&a, ends[e].host, status);
}

static bool out(uint32_t e)
{
	return tg_host_flags(ends[e].host) & TG_HEALTH_FAILED_OUTLIER;
}

static void look(void)
{
	struct tg_outlier_ask a = ask(0);

	tg_outlier_look(&a);
}

static uint64_t sum(size_t offset)
{
	uint64_t n = 0;

	for (uint32_t w = 0; w < WORKERS; w++)
		n += *(uint64_t *)((char *)&stats[w].outlier + offset);
	return n;
}
#define SUM(field) sum(offsetof(struct tg_outlier_stats, field))

/* The fifth in a row ejects, whichever workers saw them; one that is no 5xx begins anew. */
void outlier_streaks(void)
{
	begin(2);
	answers(0, 0, 500, 2);
	answers(1, 0, 503, 2);
	CU_ASSERT_FALSE(out(0));
	answers(1, 0, 404, 1);
	answers(0, 0, 500, 4);
	CU_ASSERT_FALSE(out(0));
	answers(1, 0, 500, 1);
	CU_ASSERT_TRUE(out(0));
	CU_ASSERT_FALSE(out(1));
	CU_ASSERT_EQUAL(SUM(enforced_total), 1);
	CU_ASSERT_EQUAL(SUM(enforced[TG_DETECT_CONSECUTIVE_5XX]), 1);
	CU_ASSERT_EQUAL(SUM(detected[TG_DETECT_CONSECUTIVE_5XX]), 1);
	CU_ASSERT_EQUAL(cluster.health->ejected, 1);
	answers(0, 0, 500, 20); /* what was under way */
	CU_ASSERT_EQUAL(SUM(detected[TG_DETECT_CONSECUTIVE_5XX]), 1);
	finish();

	/* A limit that a reload makes smaller than the streak is. */
	begin(2);
	o.consecutive[TG_DETECT_CONSECUTIVE_5XX] = 0;
	answers(0, 0, 500, 9);
	CU_ASSERT_FALSE(out(0));
	o.consecutive[TG_DETECT_CONSECUTIVE_5XX] = 5;
	answers(1, 0, 500, 1);
	CU_ASSERT_TRUE(out(0));
	CU_ASSERT_EQUAL(SUM(detected[TG_DETECT_CONSECUTIVE_5XX]), 1);
	finish();

	/* 502, 503 and 504: seen, and not enforced by default. 500 ends that streak only. */
	begin(2);
	o.consecutive[TG_DETECT_CONSECUTIVE_5XX] = 0;
	answers(0, 1, 502, 4);
	answers(0, 1, 500, 1);
	answers(1, 1, 504, 4);
	CU_ASSERT_EQUAL(SUM(detected[TG_DETECT_CONSECUTIVE_GATEWAY_FAILURE]), 0);
	answers(0, 1, 503, 1);
	CU_ASSERT_EQUAL(SUM(detected[TG_DETECT_CONSECUTIVE_GATEWAY_FAILURE]), 1);
	CU_ASSERT_FALSE(out(1));
	o.enforcing[TG_DETECT_CONSECUTIVE_GATEWAY_FAILURE] = 100;
	answers(0, 1, 503, 5);
	CU_ASSERT_TRUE(out(1));
	finish();
}

/* Failures on the way count as 503 and 504, or apart. */
void outlier_local(void)
{
	struct tg_outlier_ask a;

	begin(2);
	a = ask(0);
	for (uint32_t i = 0; i < 5; i++)
		tg_outlier_failure(&a, ends[0].host, i & 1);
	CU_ASSERT_TRUE(out(0));
	CU_ASSERT_EQUAL(SUM(detected[TG_DETECT_CONSECUTIVE_5XX]), 1);
	CU_ASSERT_EQUAL(SUM(detected[TG_DETECT_CONSECUTIVE_GATEWAY_FAILURE]), 1);
	finish();

	begin(2);
	a = ask(0);
	o.split = true;
	for (uint32_t i = 0; i < 4; i++) {
		tg_outlier_failure(&a, ends[0].host, false);
		tg_outlier_answer(&a, ends[0].host, 200); /* not that streak's */
	}
	tg_outlier_connected(&a, ends[0].host);
	for (uint32_t i = 0; i < 4; i++)
		tg_outlier_failure(&a, ends[0].host, true);
	CU_ASSERT_FALSE(out(0));
	tg_outlier_failure(&a, ends[0].host, false);
	CU_ASSERT_TRUE(out(0));
	CU_ASSERT_EQUAL(SUM(enforced[TG_DETECT_CONSECUTIVE_LOCAL_ORIGIN_FAILURE]), 1);
	CU_ASSERT_EQUAL(SUM(detected[TG_DETECT_CONSECUTIVE_5XX]), 0);
	finish();
}

/* One in any case, then no more than the percentage. */
void outlier_percent(void)
{
	begin(N);
	o.max_percent = 0;
	for (uint32_t i = 0; i < N; i++)
		answers(0, i, 500, 5);
	CU_ASSERT_EQUAL(cluster.health->ejected, 1);
	CU_ASSERT_EQUAL(SUM(overflow), N - 1);
	finish();
	begin(N);
	o.max_percent = 35;
	for (uint32_t i = 0; i < N; i++)
		answers(i & 1, i, 500, 5);
	CU_ASSERT_EQUAL(cluster.health->ejected, 3);
	finish();
	/* Exactly so many, as in Envoy: a tenth of ten, and of nine none. */
	for (uint32_t n = N - 1; n <= N; n++) {
		begin(n);
		o.one_in_any_case = false;
		for (uint32_t i = 0; i < n; i++)
			answers(i & 1, i, 500, 5);
		CU_ASSERT_EQUAL(cluster.health->ejected, n == N);
		CU_ASSERT_EQUAL(SUM(overflow), N - 1);
		finish();
	}
}

/* An ejection lasts base times how often it was, at most max; intervals without one forget. */
void outlier_times(void)
{
	static const uint32_t lasts[] = {30, 60, 90, 100, 100};

	begin(2);
	o.max_ejection = 100 * SEC;
	for (size_t i = 0; i < TG_ARRAY_LEN(lasts); i++) {
		answers(0, 0, 500, 5);
		CU_ASSERT_TRUE(out(0));
		now += lasts[i] * SEC - 1;
		look();
		CU_ASSERT_TRUE(out(0));
		now += 1;
		look();
		CU_ASSERT_FALSE(out(0));
		CU_ASSERT_EQUAL(cluster.health->ejected, 0);
	}
	for (uint32_t i = 0; i < 4; i++)
		look();
	answers(0, 0, 500, 4); /* no streak came over from before */
	CU_ASSERT_FALSE(out(0));
	answers(0, 0, 500, 1);
	now += 30 * SEC;
	look();
	CU_ASSERT_FALSE(out(0));
	/* An active check that passes ends it at once. */
	answers(0, 0, 500, 5);
	tg_outlier_return(ends[0].host, 1);
	CU_ASSERT_FALSE(out(0));
	CU_ASSERT_EQUAL(cluster.health->ejected, 0);
	finish();
}

/* Nine with all good, one with 90%: mean 99, deviation 3, so that 93.3 is the least. */
void outlier_success_rate(void)
{
	begin(N);
	for (uint32_t i = 0; i < N; i++) {
		answers(0, i, 200, 40);
		answers(1, i, 200, 40);
		for (uint32_t k = 0; k < 10; k++) { /* no two of them in a row */
			answers(0, i, i ? 200 : 500, 1);
			answers(1, i, 200, 1);
		}
	}
	CU_ASSERT_FALSE(out(0));
	look();
	CU_ASSERT_TRUE(out(0));
	CU_ASSERT_EQUAL(cluster.health->ejected, 1);
	CU_ASSERT_EQUAL(SUM(enforced[TG_DETECT_SUCCESS_RATE]), 1);
	look(); /* nothing came since */
	CU_ASSERT_EQUAL(SUM(detected[TG_DETECT_SUCCESS_RATE]), 1);
	finish();

	/* Too few answers, or too few hosts with enough. */
	begin(N);
	o.rate_hosts = N;
	for (uint32_t i = 0; i < N; i++)
		answers(0, i, i ? 200 : 404, i == 3 ? 99 : 100);
	ends[0].host->rows[1].n.total += 50;
	look();
	CU_ASSERT_EQUAL(SUM(detected[TG_DETECT_SUCCESS_RATE]), 0);
	finish();
}

void outlier_failure_percentage(void)
{
	begin(6);
	o.enforcing[TG_DETECT_FAILURE_PERCENTAGE] = 100;
	o.rate_volume = 1000;
	o.max_percent = 50;
	for (uint32_t i = 0; i < 6; i++)
		ends[i].host->rows[i & 1].n = (struct tg_outlier_counts){.total = 50,
			.good = i == 0   ? 7
				: i == 1 ? 8
					 : 50};
	look();
	CU_ASSERT_TRUE(out(0));  /* 86% */
	CU_ASSERT_FALSE(out(1)); /* 84% */
	CU_ASSERT_EQUAL(SUM(enforced[TG_DETECT_FAILURE_PERCENTAGE]), 1);
	finish();
}

/* Nobody is left ejected when the newest configuration knows no detection. */
void outlier_not_watched(void)
{
	struct tg_cluster next;

	begin(2);
	next = cluster;
	next.outlier = NULL;
	next.health = NULL;
	next.n_endpoints = 0;
	/* one that was refused after it had been bound changes nothing */
	CU_ASSERT_EQUAL_FATAL(tg_health_bind(registry, &next), 0);
	tg_health_unbind(&next);
	answers(0, 0, 500, 5);
	CU_ASSERT_TRUE(out(0));
	tg_outlier_return(ends[0].host, 0);
	CU_ASSERT_EQUAL_FATAL(tg_health_bind(registry, &next), 0);
	tg_health_use(&next);
	answers(0, 0, 500, 5);
	CU_ASSERT_FALSE(out(0));
	CU_ASSERT_EQUAL(cluster.health->ejected, 0);
	tg_health_unbind(&next);
	finish();
}

struct hammer {
	struct tg_outlier_ask ask;
	struct tg_rng rng;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;

	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t e = tg_rng_below(&h->rng, N);

		tg_outlier_answer(&h->ask, ends[e].host, 500);
		if (i % 64 == 0)
			tg_outlier_return(ends[tg_rng_below(&h->rng, N)].host, h->ask.worker);
	}
	return NULL;
}

/* Who the newest configuration does not know gives its place back, and takes none while something
 * under way still has it; when it is known again, it may be ejected again. */
void outlier_gone(void)
{
	struct tg_endpoint left[N];
	struct tg_cluster next;

	begin(4);
	memcpy(left, ends, sizeof(left));
	next = cluster;
	next.endpoints = left + 1;
	next.n_endpoints = 3;
	CU_ASSERT_EQUAL_FATAL(tg_health_bind(registry, &next), 0);
	answers(0, 0, 500, 5);
	CU_ASSERT_TRUE(out(0));
	CU_ASSERT_EQUAL(cluster.health->ejected, 1);
	tg_health_replaced(&cluster, &next);
	CU_ASSERT_FALSE(out(0));
	CU_ASSERT_EQUAL(cluster.health->ejected, 0);
	answers(0, 0, 500, 5);
	CU_ASSERT_FALSE(out(0));
	CU_ASSERT_EQUAL(cluster.health->ejected, 0);
	answers(1, 1, 500, 5); /* the one place is free */
	CU_ASSERT_TRUE(out(1));
	tg_outlier_return(ends[1].host, 1);
	tg_health_replaced(&next, &cluster);
	answers(0, 0, 500, 5);
	CU_ASSERT_TRUE(out(0));
	tg_health_replaced(&cluster, NULL);
	CU_ASSERT_EQUAL(cluster.health->ejected, 0);
	tg_health_unbind(&next);
	finish();
}

/* Two threads eject and take back: never more than the limit, and the count is right at the end. */
void outlier_threads(void)
{
	struct hammer h[WORKERS];
	pthread_t t[WORKERS];
	uint32_t n = 0;

	begin(N);
	o.max_percent = 30;
	for (uint32_t w = 0; w < WORKERS; w++) {
		h[w].ask = (struct tg_outlier_ask){&cluster, w, WORKERS, now, &h[w].rng};
		tg_rng_seed(&h[w].rng, w + 1);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[w], NULL, hammer, &h[w]), 0);
	}
	for (uint32_t i = 0; i < 2000; i++)
		CU_ASSERT_TRUE(__atomic_load_n(&cluster.health->ejected, __ATOMIC_RELAXED) <= 3);
	for (uint32_t w = 0; w < WORKERS; w++)
		pthread_join(t[w], NULL);
	for (uint32_t i = 0; i < N; i++)
		n += out(i);
	CU_ASSERT_EQUAL(n, cluster.health->ejected);
	CU_ASSERT_TRUE(n <= 3);
	finish();
}
