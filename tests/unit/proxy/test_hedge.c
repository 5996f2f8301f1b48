/* Two tries at once, and what else bounds a try. */
#include "../tgtest.h"
#include "bench.h"

#define GET "GET /api/x?y=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
#define POST5 "POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n\r\nhallo"
#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define BUSY "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
#define TRY TG_SEC
#define BACKOFF (250 * TG_MS) /* longer than any here */

static struct tg_retry_policy policy;

static bool has(const char *text, const char *part)
{
	if (strstr(text, part))
		return true;
	printf("\n--- not found: %s\n--- in: %s\n", part, text);
	return false;
}

static const struct tg_cluster_stats *stats(void)
{
	return bench_cluster()->stats;
}

static struct bench_peer *start(uint32_t retries)
{
	bench_start(1 << 16);
	policy = (struct tg_retry_policy){.on = TG_RETRY_5XX,
		.num_retries = retries,
		.backoff_base = 25 * TG_MS,
		.backoff_max = 250 * TG_MS,
		.host_attempts = 1};
	bench_route()->retry = &policy;
	bench_route()->buffer_limit = 1 << 16;
	bench_route()->attempt_count = TG_ATTEMPT_COUNT_REQUEST;
	return bench_client(0);
}

/* A request whose first try has met its time, and whose second one is at its origin. */
static struct bench_peer *start_hedged(uint32_t retries, const char *request)
{
	struct bench_peer *c = start(retries);

	policy.per_try_timeout = TRY;
	bench_route()->hedge = true;
	bench_send(c, request);
	bench_got(b.origin[0]);
	bench_advance(TRY + TG_MS);
	CU_ASSERT_EQUAL(stats()->upstream_rq_per_try_timeout, 1);
	bench_advance(BACKOFF);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	CU_ASSERT_FALSE(b.origin[0]->failed);
	CU_ASSERT_EQUAL(stats()->upstream_rq_hedged, 1);
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry, 1);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	return c;
}

static void ends_well(void)
{
	CU_ASSERT_EQUAL(stats()->upstream_rq_active, 0);
	for (int r = 0; r < TG_RESOURCES; r++)
		if (r != TG_RES_CX)
			CU_ASSERT_EQUAL(bench_breaker(0)->lease[TG_PRIORITY_DEFAULT][r].used, 0);
	bench_end();
}

static void the_first_try_wins(void)
{
	struct bench_peer *c = start_hedged(3, GET);
	const struct tg_log_record *r;

	CU_ASSERT(has(bench_got(b.origin[1]), "x-envoy-attempt-count: 2\r\n"));
	bench_send(b.origin[0], "HTTP/1.1 103 Early\r\n\r\n"); /* the newest one's are passed on */
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
	CU_ASSERT_TRUE(b.origin[1]->failed);
	CU_ASSERT_EQUAL(stats()->upstream_rq_hedge_won, 1);
	CU_ASSERT_EQUAL(stats()->upstream_rq_tx_reset, 1);
	r = bench_log();
	CU_ASSERT_EQUAL(r->flags, 0);
	CU_ASSERT_EQUAL(r->status, 200);
	bench_send(c, GET); /* its connection is used again */
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT_EQUAL(b.n_origins, 2);
	ends_well();
}

static void the_second_try_wins(void)
{
	struct bench_peer *c = start_hedged(3, POST5);

	CU_ASSERT(has(bench_got(b.origin[1]), "\r\n\r\nhallo"));
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT_TRUE(b.origin[0]->failed);
	CU_ASSERT_EQUAL(stats()->upstream_rq_hedge_won, 0);
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry_success, 1);
	ends_well();
}

static void a_bad_answer_of_one_waits_for_the_other(void)
{
	struct bench_peer *c = start_hedged(1, GET);

	bench_send(b.origin[0], BUSY);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	CU_ASSERT_TRUE(b.origin[0]->failed);
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT_EQUAL(bench_log()->flags, 0);
	ends_well();
	/* the newest one's too, though it may not be tried again */
	c = start_hedged(1, GET);
	bench_send(b.origin[1], BUSY);
	bench_advance(BACKOFF);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT_EQUAL(bench_log()->flags, 0);
	ends_well();
}

static void the_last_failure_is_told(void)
{
	struct bench_peer *c = start_hedged(1, GET);

	bench_send(b.origin[1], BUSY);
	bench_send(b.origin[0], BUSY);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 Busy\r\n"));
	ends_well();
	c = start_hedged(1, GET);
	bench_reset(b.origin[1]);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	bench_reset(b.origin[0]);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 Service"));
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UR));
	ends_well();
	c = start_hedged(1, GET);
	bench_reset(b.origin[0]);
	bench_fin(b.origin[1]);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 Service"));
	ends_well();
	c = start_hedged(1, GET);
	bench_route()->timeout = 0; /* the exchange has its own */
	bench_advance(20 * TG_SEC);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 504 "));
	CU_ASSERT_TRUE(b.origin[0]->failed);
	CU_ASSERT_TRUE(b.origin[1]->failed);
	ends_well();
}

static void without_a_retry_left_it_goes_on(void)
{
	struct bench_peer *c = start(0);

	policy.per_try_timeout = TRY;
	bench_route()->hedge = true;
	bench_send(c, GET);
	bench_advance(3 * TRY);
	CU_ASSERT_EQUAL(stats()->upstream_rq_per_try_timeout, 1);
	CU_ASSERT_FALSE(b.origin[0]->failed);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT_EQUAL(bench_log()->flags, 0);
	CU_ASSERT_EQUAL(stats()->upstream_rq_hedged, 0);
	ends_well();
}

/* Each retry that is under way holds its lease: one is all there may be. */
static void the_breaker_bounds_them(void)
{
	struct bench_peer *c;

	c = start(5);
	bench_limit(TG_RES_RETRY, 1);
	policy.per_try_timeout = TRY;
	bench_route()->hedge = true;
	bench_send(c, GET);
	bench_advance(5 * TRY);
	CU_ASSERT_EQUAL(b.n_origins, 2);
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry_overflow, 1);
	CU_ASSERT_EQUAL(bench_breaker(0)->lease[TG_PRIORITY_DEFAULT][TG_RES_RETRY].used, 1);
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	ends_well();
	/* nor does a limit of connections that refuses the second end the first */
	c = start(5);
	bench_limit(TG_RES_RQ, 1);
	policy.per_try_timeout = TRY;
	bench_route()->hedge = true;
	bench_send(c, GET);
	bench_advance(3 * TRY);
	CU_ASSERT_EQUAL(stats()->upstream_rq_pending_overflow, 1);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	ends_well();
}

static void all_are_ended_with_the_client(void)
{
	struct bench_peer *c = start_hedged(5, GET);

	bench_advance(TRY + BACKOFF);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 3);
	bench_reset(c);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_TRUE(b.origin[i]->failed);
	ends_well();
	c = start_hedged(50, GET);
	bench_route()->timeout = 0;
	bench_advance(12 * TRY); /* never more than five at once */
	CU_ASSERT_TRUE(stats()->upstream_rq_active <= 5);
	tg_proxy_abort_all(b.proxy);
	bench_run();
	CU_ASSERT_TRUE(c->failed);
	ends_well();
}

static void a_try_that_idles_is_given_up(void)
{
	struct bench_peer *c = start(1);

	policy.per_try_idle_timeout = 200 * TG_MS;
	bench_send(c, GET);
	bench_advance(190 * TG_MS);
	CU_ASSERT_EQUAL(stats()->upstream_rq_per_try_idle_timeout, 0);
	bench_advance(20 * TG_MS);
	CU_ASSERT_EQUAL(stats()->upstream_rq_per_try_idle_timeout, 1);
	CU_ASSERT_TRUE(b.origin[0]->failed);
	while (b.n_origins < 2)
		bench_advance(TG_MS);
	bench_send(b.origin[1], "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhel");
	for (int i = 0; i < 4; i++) {
		bench_advance(150 * TG_MS);
		bench_send(b.origin[1], "lo");
	}
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhellolololo"));
	bench_advance(210 * TG_MS);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(stats()->upstream_rq_per_try_idle_timeout, 2);
	CU_ASSERT_STRING_EQUAL(bench_log()->details, "upstream_per_try_idle_timeout");
	/* without a retry left it is answered */
	policy.num_retries = 0;
	c = bench_client(0);
	bench_send(c, GET);
	bench_advance(210 * TG_MS);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 504 "));
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UT) | TG_FLAG(URX));
	ends_well();
}

/* What the response says about when to come again. */
static void after(const char *field, uint64_t least, uint64_t most)
{
	static const struct tg_retry_reset resets[] = {
		{TG_VIEW("retry-after"), false}, {TG_VIEW("x-ratelimit-reset"), true}};
	struct bench_peer *c = start(1);
	char text[128];

	policy.n_resets = 2;
	policy.resets = resets;
	policy.reset_max = 10 * TG_SEC;
	bench_send(c, GET);
	bench_got(b.origin[0]);
	snprintf(text, sizeof(text), "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n%s\r\n\r\n", field);
	bench_send(b.origin[0], text);
	bench_advance(least);
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[0]), "");
	bench_advance(most - least);
	CU_ASSERT(has(bench_got(b.origin[0]), "GET /api"));
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	ends_well();
}

static void when_to_come_again(void)
{
	after("Retry-After: 2", 1999 * TG_MS, 3001 * TG_MS);
	after("X-RateLimit-Reset: 784111781", 3900 * TG_MS, 6001 * TG_MS); /* 4 s ahead */
	after("Retry-After: soon\r\nX-RateLimit-Reset: 784111781", 3900 * TG_MS, 6001 * TG_MS);
	/* not believed */
	after("Retry-After: 11", 0, 25 * TG_MS);
	after("Retry-After: 99999999999999999999", 0, 25 * TG_MS);
	after("Retry-After: 0", 0, 25 * TG_MS);
	after("Retry-After:", 0, 25 * TG_MS);
	after("X-RateLimit-Reset: 784111777", 0, 25 * TG_MS);
}

TG_TEST_MAIN("hedge", {"the first try wins", the_first_try_wins},
	{"the second try wins", the_second_try_wins},
	{"a bad answer of one waits for the other", a_bad_answer_of_one_waits_for_the_other},
	{"the last failure is told", the_last_failure_is_told},
	{"without a retry left it goes on", without_a_retry_left_it_goes_on},
	{"the breaker bounds them", the_breaker_bounds_them},
	{"all are ended with the client", all_are_ended_with_the_client},
	{"a try that idles is given up", a_try_that_idles_is_given_up},
	{"when to come again", when_to_come_again})
