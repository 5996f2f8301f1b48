/* What results of active checks mean: thresholds, intervals, jitter. */
#include <stdlib.h>

#include <tidegate/route.h>

#include "../tgtest.h"
#include "tests.h"

static const struct tg_status_range ok = {200, 300}, again = {429, 430};
static struct tg_health_check hc;
static struct tg_endpoint end;
static struct tg_cluster cluster;
static struct tg_cluster_stats stats[2];
static struct tg_health *registry;
static struct tg_health_count count;
static struct tg_rng rng;
static bool changed;

#define SEC UINT64_C(1000000000)

static void begin(void)
{
	hc = (struct tg_health_check){.timeout = SEC,
		.interval = 10 * SEC,
		.unhealthy_threshold = 3,
		.healthy_threshold = 2,
		.unhealthy_interval = 20 * SEC,
		.unhealthy_edge_interval = 2 * SEC,
		.healthy_edge_interval = 3 * SEC,
		.no_traffic_interval = 60 * SEC,
		.no_traffic_healthy_interval = 90 * SEC,
		.n_expected = 1,
		.expected = &ok,
		.n_retriable = 1,
		.retriable = &again};
	end = (struct tg_endpoint){.weight = 1};
	tg_sockaddr_parse("[fd00::1]:80", &end.addr);
	cluster = (struct tg_cluster){
		.name = "v1", .n_endpoints = 1, .endpoints = &end, .check = &hc, .stats = stats};
	memset(stats, 0, sizeof(stats));
	count = (struct tg_health_count){0};
	tg_rng_seed(&rng, 5);
	registry = tg_health_create(2);
	CU_ASSERT_EQUAL_FATAL(tg_health_bind(registry, &cluster), 0);
}

static void finish(void)
{
	tg_health_unbind(&cluster);
	tg_health_destroy(registry);
}

static uint64_t judge(enum tg_health_result r)
{
	return tg_health_judge(end.host, &hc, &count, r, true, stats, &rng, &changed);
}

static bool good(void)
{
	return tg_health_good(tg_host_flags(end.host));
}

void verdict_statuses(void)
{
	begin();
	CU_ASSERT_EQUAL(tg_health_status(&hc, 200), TG_CHECK_PASSED);
	CU_ASSERT_EQUAL(tg_health_status(&hc, 299), TG_CHECK_PASSED);
	CU_ASSERT_EQUAL(tg_health_status(&hc, 300), TG_CHECK_FAILED);
	CU_ASSERT_EQUAL(tg_health_status(&hc, 503), TG_CHECK_FAILED);
	CU_ASSERT_EQUAL(tg_health_status(&hc, 429), TG_CHECK_RETRIABLE);
	finish();
}

/* The first check decides alone, either way; later ones count up to the thresholds, with the edges'
 * intervals in between; an unexpected status is believed at once. */
void verdict_thresholds(void)
{
	begin();
	CU_ASSERT_EQUAL(tg_host_flags(end.host), TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_PENDING);
	CU_ASSERT_EQUAL(judge(TG_CHECK_PASSED), 10 * SEC);
	CU_ASSERT_TRUE(changed);
	CU_ASSERT_EQUAL(tg_host_flags(end.host), 0);

	CU_ASSERT_EQUAL(judge(TG_CHECK_NETWORK), 2 * SEC);
	CU_ASSERT_EQUAL(judge(TG_CHECK_RETRIABLE), 2 * SEC);
	CU_ASSERT_TRUE(good());
	CU_ASSERT_EQUAL(judge(TG_CHECK_PASSED), 10 * SEC); /* begins anew */
	CU_ASSERT_EQUAL(judge(TG_CHECK_NETWORK), 2 * SEC);
	CU_ASSERT_EQUAL(judge(TG_CHECK_NETWORK), 2 * SEC);
	CU_ASSERT_TRUE(good());
	CU_ASSERT_EQUAL(judge(TG_CHECK_TIMEOUT), 20 * SEC);
	CU_ASSERT_TRUE(changed);
	CU_ASSERT_EQUAL(tg_host_flags(end.host), TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_TIMEOUT);
	CU_ASSERT_EQUAL(judge(TG_CHECK_NETWORK), 20 * SEC);
	CU_ASSERT_EQUAL(tg_host_flags(end.host), TG_HEALTH_FAILED_ACTIVE);

	CU_ASSERT_EQUAL(judge(TG_CHECK_PASSED), 3 * SEC);
	CU_ASSERT_FALSE(good());
	CU_ASSERT_EQUAL(judge(TG_CHECK_FAILED), 20 * SEC);
	CU_ASSERT_EQUAL(judge(TG_CHECK_PASSED), 3 * SEC);
	CU_ASSERT_EQUAL(judge(TG_CHECK_PASSED), 10 * SEC);
	CU_ASSERT_TRUE(good());
	CU_ASSERT_EQUAL(judge(TG_CHECK_FAILED), 20 * SEC);
	CU_ASSERT_FALSE(good());

	CU_ASSERT_EQUAL(stats->check.success, 5);
	CU_ASSERT_EQUAL(stats->check.failure, 8);
	CU_ASSERT_EQUAL(stats->check.network_failure, 5);
	finish();

	begin();
	judge(TG_CHECK_NETWORK);
	CU_ASSERT_FALSE(changed);
	CU_ASSERT_EQUAL(tg_host_flags(end.host), TG_HEALTH_FAILED_ACTIVE);
	finish();
}

void verdict_degraded(void)
{
	begin();
	judge(TG_CHECK_DEGRADED);
	CU_ASSERT_EQUAL(tg_host_flags(end.host), TG_HEALTH_DEGRADED);
	judge(TG_CHECK_PASSED);
	CU_ASSERT_EQUAL(tg_host_flags(end.host), 0);
	finish();
}

/* A cluster that was never used is asked seldom. */
void verdict_no_traffic(void)
{
	begin();
	CU_ASSERT_EQUAL(tg_health_judge(end.host, &hc, &count, TG_CHECK_PASSED, false, stats, &rng,
				&changed),
		90 * SEC);
	CU_ASSERT_EQUAL(tg_health_judge(end.host, &hc, &count, TG_CHECK_FAILED, false, stats, &rng,
				&changed),
		60 * SEC);
	finish();
}

/* Both jitters, within their bounds and all over them. */
void verdict_jitter(void)
{
	uint64_t least = UINT64_MAX, most = 0;

	begin();
	hc.interval_jitter = 4 * SEC;
	hc.interval_jitter_percent = 10;
	for (uint32_t i = 0; i < 10000; i++) {
		uint64_t ns = tg_health_interval(&hc, 20 * SEC, &rng);

		least = ns < least ? ns : least;
		most = ns > most ? ns : most;
	}
	CU_ASSERT_TRUE(least >= 20 * SEC && least < 20 * SEC + SEC / 4);
	CU_ASSERT_TRUE(most < 26 * SEC && most > 26 * SEC - SEC / 4);
	finish();
}

/* Events come out in the words of the log; what does not fit is counted. */
void verdict_events(void)
{
	struct tg_health_event e;
	char text[TG_HEALTH_TEXT];
	uint64_t lost, n = 0;

	begin();
	judge(TG_CHECK_PASSED);
	judge(TG_CHECK_FAILED);
	CU_ASSERT_TRUE(tg_health_next(registry, &e, &lost));
	CU_ASSERT_STRING_EQUAL(tg_health_event_text(&e, text), "healthy: a check passed");
	CU_ASSERT_STRING_EQUAL(e.cluster, "v1");
	CU_ASSERT_TRUE(tg_health_next(registry, &e, &lost));
	CU_ASSERT_STRING_EQUAL(
		tg_health_event_text(&e, text), "unhealthy: its answer was not an expected one");
	CU_ASSERT_FALSE(tg_health_next(registry, &e, &lost));
	for (uint32_t i = 0; i < 300; i++)
		tg_health_say(end.host, 1, TG_HEALTH_EJECTED, TG_DETECT_SUCCESS_RATE);
	while (tg_health_next(registry, &e, &lost)) {
		n += lost + 1;
		CU_ASSERT_STRING_EQUAL(tg_health_event_text(&e, text), "ejected: success_rate");
	}
	CU_ASSERT_EQUAL(n, 300);
	finish();
}
