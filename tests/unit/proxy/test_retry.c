/* Requests that are sent again: when, where to, with what, and what is said about it. */
#include "../tgtest.h"
#include "bench.h"

#define GET "GET /api/x?y=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
#define POST5 "POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n\r\n"
#define CHUNKED "POST /api HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n"
#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define BUSY "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
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

static struct bench_peer *start(uint32_t on, uint32_t retries)
{
	bench_start(1 << 16);
	policy = (struct tg_retry_policy){.on = on,
		.num_retries = retries,
		.backoff_base = 25 * TG_MS,
		.backoff_max = 250 * TG_MS,
		.avoid_previous = true,
		.host_attempts = 1};
	bench_route()->retry = &policy;
	bench_route()->buffer_limit = 1 << 16;
	bench_route()->attempt_count = TG_ATTEMPT_COUNT_REQUEST | TG_ATTEMPT_COUNT_RESPONSE;
	return bench_client(0);
}

static void a_bad_status_is_tried_again(void)
{
	struct bench_peer *c = start(TG_RETRY_5XX, 2);
	const char *got;

	bench_send(c, GET);
	CU_ASSERT(has(bench_got(b.origin[0]), "x-envoy-attempt-count: 1\r\n"));
	bench_send(b.origin[0], BUSY);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[0]), "");
	bench_advance(BACKOFF);
	/* The whole answer was there: the connection is used again. */
	CU_ASSERT_EQUAL(b.n_origins, 1);
	got = bench_got(b.origin[0]);
	CU_ASSERT(has(got, "GET /api/x?y=1 HTTP/1.1\r\n"));
	CU_ASSERT(has(got, "x-envoy-attempt-count: 2\r\n"));
	CU_ASSERT_PTR_NULL(strstr(got, "x-envoy-attempt-count: 1"));
	bench_send(b.origin[0], OK5);
	got = bench_got(c);
	CU_ASSERT(has(got, "HTTP/1.1 200 OK\r\n"));
	CU_ASSERT(has(got, "x-envoy-attempt-count: 2\r\n"));
	CU_ASSERT(has(got, "\r\n\r\nhello"));
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry, 1);
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry_success, 1);
	CU_ASSERT_EQUAL(stats()->upstream_rq_total, 2);
	CU_ASSERT_EQUAL(bench_log()->flags, 0);
	/* and the next request begins anew */
	bench_send(c, GET);
	CU_ASSERT(has(bench_got(b.origin[0]), "x-envoy-attempt-count: 1\r\n"));
	bench_send(b.origin[0], OK5);
	bench_end();
}

static void the_last_answer_is_passed_on(void)
{
	struct bench_peer *c = start(TG_RETRY_GATEWAY_ERROR, 2);

	bench_send(c, GET);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_STRING_EQUAL(bench_got(c), "");
		bench_send(b.origin[0], BUSY);
		bench_advance(BACKOFF);
	}
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 Busy\r\n"));
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(URX));
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry, 2);
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry_success, 0);
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry_limit_exceeded, 1);
	CU_ASSERT_EQUAL(bench_breaker(0)->lease[0][TG_RES_RETRY].used, 0);
	bench_end();
}

static void what_the_policy_does_not_name_is_passed_on(void)
{
	struct bench_peer *c = start(TG_RETRY_CONNECT_FAILURE, 2);

	bench_send(c, GET);
	bench_send(b.origin[0], BUSY);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 Busy\r\n"));
	bench_send(c, GET);
	(void)bench_got(b.origin[0]);
	bench_reset(b.origin[0]);
	CU_ASSERT(has(bench_got(c), "remote reset"));
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry, 0);
	bench_end();
}

/* An answer that is not all there costs its connection. */
static void a_long_bad_answer(void)
{
	struct bench_peer *c = start(TG_RETRY_5XX, 1);

	bench_send(c, GET);
	bench_send(b.origin[0], "HTTP/1.1 503 Busy\r\nContent-Length: 400\r\n\r\nbusy");
	CU_ASSERT_TRUE(b.origin[0]->failed);
	bench_advance(BACKOFF);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	bench_end();
}

static void a_body_is_sent_again(void)
{
	struct bench_peer *c = start(TG_RETRY_RESET, 1);
	const char *got;

	bench_send(c, POST5 "wor");
	got = bench_got(b.origin[0]);
	CU_ASSERT(has(got, "\r\n\r\nwor"));
	bench_reset(b.origin[0]);
	bench_advance(BACKOFF);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	CU_ASSERT(has(bench_got(b.origin[1]), "\r\n\r\nwor"));
	bench_send(c, "ld");
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[1]), "ld");
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	/* chunks too, with their end */
	bench_send(c, CHUNKED "3\r\nabc\r\n");
	(void)bench_got(b.origin[1]);
	bench_send(c, "2\r\nde\r\n0\r\n\r\n");
	CU_ASSERT(has(bench_got(b.origin[1]), "2\r\nde\r\n0\r\n\r\n"));
	bench_reset(b.origin[1]);
	bench_advance(BACKOFF);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 3);
	CU_ASSERT(has(bench_got(b.origin[2]), "\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
	bench_send(b.origin[2], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	bench_end();
}

static void a_body_beyond_the_limit_is_not(void)
{
	static char body[3000];
	struct bench_peer *c;

	memset(body, 'x', sizeof(body) - 1);
	for (int chunked = 0; chunked < 2; chunked++) {
		c = start(TG_RETRY_RESET, 1);
		bench_route()->buffer_limit = 1000;
		bench_send(c, chunked ? CHUNKED "bb7\r\n"
				      : "POST /api HTTP/1.1\r\nHost: shop.example\r\n"
					"Content-Length: 2999\r\n\r\n");
		bench_send(c, body);
		CU_ASSERT(has(bench_got(b.origin[0]), "xxx"));
		bench_run();
		bench_reset(b.origin[0]);
		CU_ASSERT(has(bench_got(c), "remote reset"));
		CU_ASSERT_EQUAL(stats()->upstream_rq_retry, 0);
		CU_ASSERT_EQUAL(stats()->retry_or_shadow_abandoned, 1);
		bench_end();
	}
}

static void a_slow_try_is_given_up(void)
{
	struct bench_peer *c = start(TG_RETRY_5XX, 1);

	policy.per_try_timeout = 100 * TG_US;
	bench_send(c, GET);
	bench_advance(90 * TG_US);
	CU_ASSERT_EQUAL(stats()->upstream_rq_per_try_timeout, 0);
	bench_advance(30 * TG_US);
	CU_ASSERT_EQUAL(stats()->upstream_rq_per_try_timeout, 1);
	CU_ASSERT_TRUE(b.origin[0]->failed);
	/* The next try's time begins with it. */
	while (b.n_origins < 2)
		bench_advance(50 * TG_US);
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	bench_send(c, GET);
	bench_advance(BACKOFF);
	bench_advance(BACKOFF);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 504 "));
	(void)bench_log();
	CU_ASSERT_STRING_EQUAL(bench_log()->details, "upstream_per_try_timeout");
	CU_ASSERT_EQUAL(stats()->upstream_rq_per_try_timeout, 3);
	CU_ASSERT_EQUAL(stats()->upstream_rq_timeout, 0);
	bench_end();
}

static void the_routes_time_is_for_all_tries(void)
{
	struct bench_peer *c = start(TG_RETRY_5XX, 100);

	bench_route()->timeout = TG_SEC;
	bench_send(c, GET);
	for (int i = 0; i < 40 && !stats()->upstream_rq_timeout; i++) {
		if (*bench_got(b.origin[0]))
			bench_send(b.origin[0], BUSY);
		bench_advance(50 * TG_MS);
	}
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 504 "));
	CU_ASSERT_TRUE(stats()->upstream_rq_retry >= 3);
	CU_ASSERT_EQUAL(stats()->upstream_rq_timeout, 1);
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UT));
	bench_end();
}

/* As many as are allowed, each with a head of its own. */
static void very_many_tries(void)
{
	struct bench_peer *c = start(TG_RETRY_5XX, 100);

	bench_route()->timeout = 0;
	bench_web()->stream_idle_timeout = 0;
	bench_send(c, GET);
	for (int i = 0; i < 100; i++) {
		bench_send(b.origin[0], BUSY);
		bench_advance(BACKOFF);
	}
	CU_ASSERT(has(bench_got(b.origin[0]), "x-envoy-attempt-count: 101\r\n"));
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "x-envoy-attempt-count: 101\r\n"));
	bench_end();
}

static void another_endpoint_is_tried(void)
{
	struct bench_peer *c = start(TG_RETRY_CONNECT_FAILURE, 1);

	bench_cluster()->n_endpoints = 2;
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, b.snap), 0);
	for (uint32_t i = 0; i < 6; i += 2) {
		b.connect_fails = TG_WHY_conn_refused;
		bench_send(c, GET);
		b.connect_fails = TG_WHY_none;
		CU_ASSERT_EQUAL(b.n_origins, i + 1);
		bench_advance(BACKOFF);
		CU_ASSERT_EQUAL_FATAL(b.n_origins, i + 2);
		CU_ASSERT_NOT_EQUAL(b.to[i].ip.b[15], b.to[i + 1].ip.b[15]);
		bench_send(b.origin[i + 1],
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
		CU_ASSERT(has(bench_got(c), "hello"));
	}
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry_success, 3);
	bench_end();
}

static void the_breaker_bounds_retries(void)
{
	struct bench_peer *c = start(TG_RETRY_5XX, 3), *d = bench_client(0);

	bench_limit(TG_RES_RETRY, 1);
	bench_send(c, GET);
	bench_send(d, GET);
	bench_send(b.origin[0], BUSY); /* waits, and holds the one retry */
	bench_send(b.origin[1], BUSY);
	CU_ASSERT(has(bench_got(d), "HTTP/1.1 503 Busy\r\n"));
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UO));
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry_overflow, 1);
	/* A budget of the two under way allows one. */
	bench_cluster()->thresholds[0].has_budget = true;
	bench_cluster()->thresholds[0].budget_percent = 50;
	bench_limit(TG_RES_RETRY, 0);
	bench_reset(c); /* who leaves gives it back */
	CU_ASSERT_EQUAL(bench_breaker(0)->lease[0][TG_RES_RETRY].used, 0);
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(d, GET);
	bench_send(b.origin[0], BUSY);
	bench_send(b.origin[1], BUSY);
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry_overflow, 2);
	CU_ASSERT_EQUAL(bench_breaker(0)->lease[0][TG_RES_RETRY].used, 1);
	bench_end();
}

static void a_trusted_client_may_ask(void)
{
	static const char asks[] =
		"GET /api HTTP/1.1\r\nHost: shop.example\r\nX-Envoy-Retry-On: "
		"retriable-status-codes\r\nx-envoy-max-retries: 1\r\n"
		"x-envoy-retriable-status-codes: 404, 410\r\nx-envoy-upstream-rq-timeout-ms: "
		"900\r\n"
		"x-envoy-expected-rq-timeout-ms: 1\r\nx-envoy-attempt-count: 7\r\n\r\n";
	const char *gone = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n";
	struct bench_peer *c;
	const char *got;

	for (int trusted = 0; trusted < 2; trusted++) {
		c = start(0, 0);
		bench_route()->retry = NULL;
		bench_route()->attempt_count = 0;
		bench_web()->use_remote_address = !trusted;
		bench_web()->xff_num_trusted_hops = 1; /* who is behind them is still a stranger */
		bench_send(c, asks);
		got = bench_got(b.origin[0]);
		CU_ASSERT_PTR_NULL(strcasestr(got, "retry-on"));
		CU_ASSERT_PTR_NULL(strstr(got, "attempt-count"));
		CU_ASSERT_EQUAL(!strstr(got, "x-envoy-expected-rq-timeout-ms: 900\r\n"), !trusted);
		CU_ASSERT_EQUAL(!strstr(got, "-ms: "), !trusted);
		bench_send(b.origin[0], gone);
		bench_advance(BACKOFF);
		CU_ASSERT_EQUAL(stats()->upstream_rq_retry, (uint64_t)trusted);
		if (trusted) {
			CU_ASSERT(has(bench_got(b.origin[0]), "GET /api"));
			bench_advance(TG_SEC);
		}
		CU_ASSERT(has(bench_got(c), trusted ? "HTTP/1.1 504 " : "HTTP/1.1 410 "));
		bench_end();
	}
}

/* Sends it from the mesh, or from outside. */
static struct bench_peer *ask(bool trusted, const char *fields)
{
	struct bench_peer *c = start(0, 0);
	char text[1024];

	bench_route()->retry = NULL;
	bench_route()->attempt_count = 0;
	bench_web()->use_remote_address = !trusted;
	snprintf(text, sizeof(text), "GET /api HTTP/1.1\r\nHost: shop.example\r\n%s\r\n", fields);
	bench_send(c, text);
	return c;
}

static void a_trusted_client_may_ask_for_more(void)
{
	struct bench_peer *c;

	for (int trusted = 0; trusted < 2; trusted++) {
		/* a name of the client's list, and of gRPC */
		c = ask(trusted, "x-envoy-retry-on: retriable-headers\r\nx-envoy-retry-grpc-on: "
				 "unavailable\r\n"
				 "x-envoy-max-retries: 2\r\nx-envoy-retriable-header-names: "
				 "x-later, X-Again\r\n");
		CU_ASSERT_PTR_NULL(strcasestr(bench_got(b.origin[0]), "x-envoy-retr"));
		bench_send(
			b.origin[0], "HTTP/1.1 200 OK\r\nx-again: 1\r\nContent-Length: 0\r\n\r\n");
		bench_advance(BACKOFF);
		CU_ASSERT_EQUAL(stats()->upstream_rq_retry, (uint64_t)trusted);
		if (trusted) {
			bench_send(b.origin[0],
				"HTTP/1.1 200 OK\r\ngrpc-status: 14\r\nContent-Length: 0\r\n\r\n");
			bench_advance(BACKOFF);
			CU_ASSERT_EQUAL(stats()->upstream_rq_retry, 2);
		}
		bench_end();
		/* a second try beside the first */
		c = ask(trusted,
			"x-envoy-retry-on: 5xx\r\nx-envoy-upstream-rq-per-try-timeout-ms: 100\r\n"
			"x-envoy-hedge-on-per-try-timeout: true\r\n");
		bench_advance(100 * TG_MS + BACKOFF);
		CU_ASSERT_EQUAL(stats()->upstream_rq_hedged, (uint64_t)trusted);
		CU_ASSERT_FALSE(b.origin[0]->failed);
		bench_send(b.origin[0], OK5);
		CU_ASSERT(has(bench_got(c), "hello"));
		bench_end();
		/* and no content instead of a 504 */
		c = ask(trusted, "x-envoy-upstream-rq-timeout-ms: 100\r\n"
				 "x-envoy-upstream-rq-timeout-alt-response: 1\r\n");
		bench_advance(20 * TG_SEC);
		CU_ASSERT(has(
			bench_got(c), trusted ? "HTTP/1.1 204 No Content\r\n" : "HTTP/1.1 504 "));
		CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UT));
		bench_end();
	}
}

/* What else only the mesh says of a request passes there, and ends at the edge. */
static void words_of_the_mesh(void)
{
	static const char *const names[] = {"internal", "external-address", "original-path",
		"original-host", "original-url", "downstream-service-cluster",
		"downstream-service-node", "decorator-operation", "upstream-alt-stat-name",
		"force-trace", "ip-tags"};
	char field[100];
	const char *got;

	for (uint32_t i = 0; i < TG_ARRAY_LEN(names); i++) {
		for (int trusted = 0; trusted < 2; trusted++) {
			snprintf(field, sizeof(field), "X-Envoy-%s: true\r\nx-other: 1\r\n",
				names[i]);
			ask(trusted, field);
			got = bench_got(b.origin[0]);
			CU_ASSERT(has(got, "x-other: 1\r\n"));
			CU_ASSERT_EQUAL(strcasestr(got, "x-envoy-") != NULL, trusted);
			bench_end();
		}
	}
}

static void headers_and_limits_of_others_decide(void)
{
	const struct tg_header_match again = {
		.name = TG_VIEW("x-again"), .kind = TG_HEADER_PRESENT};
	struct bench_peer *c = start(TG_RETRY_RETRIABLE_HEADERS | TG_RETRY_5XX, 5);

	policy.headers = &again;
	policy.n_headers = 1;
	bench_send(c, GET);
	bench_send(b.origin[0], "HTTP/1.1 200 OK\r\nX-Again: 1\r\nContent-Length: 0\r\n\r\n");
	bench_advance(BACKOFF);
	bench_send(b.origin[0],
		"HTTP/1.1 503 No\r\nx-envoy-ratelimited: true\r\nContent-Length: 0\r\n\r\n");
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 No\r\n"));
	CU_ASSERT_EQUAL(stats()->upstream_rq_retry, 1);
	bench_end();
}

/* Only the exchange holds it any more, and chooses it again. */
static void an_endpoint_that_a_reload_removed(void)
{
	struct bench_peer *c = start(TG_RETRY_5XX, 2);
	struct tg_snapshot *old = b.snap, *next = bench_snapshot(2);

	bench_send(c, GET);
	bench_send(b.origin[0],
		"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy");
	next->clusters[0].endpoints[0].addr.port = 99;
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, next), 0);
	bench_advance(BACKOFF);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT_EQUAL(old->worker[0].pins, 0);
	b.snap = next;
	bench_snapshot_free(old);
	CU_ASSERT_TRUE(tg_proxy_validate(b.proxy));
	bench_end();
}

TG_TEST_MAIN("retry", {"a bad status is tried again", a_bad_status_is_tried_again},
	{"the last answer is passed on", the_last_answer_is_passed_on},
	{"what the policy does not name is passed on", what_the_policy_does_not_name_is_passed_on},
	{"a long bad answer", a_long_bad_answer}, {"a body is sent again", a_body_is_sent_again},
	{"a body beyond the limit is not", a_body_beyond_the_limit_is_not},
	{"a slow try is given up", a_slow_try_is_given_up},
	{"the route's time is for all tries", the_routes_time_is_for_all_tries},
	{"very many tries", very_many_tries},
	{"another endpoint is tried", another_endpoint_is_tried},
	{"the breaker bounds retries", the_breaker_bounds_retries},
	{"a trusted client may ask", a_trusted_client_may_ask},
	{"a trusted client may ask for more", a_trusted_client_may_ask_for_more},
	{"words of the mesh", words_of_the_mesh},
	{"headers and limits of others decide", headers_and_limits_of_others_decide},
	{"an endpoint that a reload removed", an_endpoint_that_a_reload_removed})
