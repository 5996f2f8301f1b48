/* What happens at the edges of memory: who is turned away, how, and who is not. */
#include "../tgtest.h"
#include "bench.h"

#define GET "GET /api/x?y=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define EXCHANGES 16 /* bench_start()'s */

static bool has(const char *text, const char *part)
{
	if (strstr(text, part))
		return true;
	printf("\n--- not found: %s\n--- in: %s\n", part, text);
	return false;
}

static void overflow_says_so(void)
{
	struct bench_peer *c[2];
	const char *got;

	bench_start(4096);
	bench_limit(TG_RES_RQ, 1);
	c[0] = bench_client(0);
	bench_send(c[0], GET);
	c[1] = bench_client(0);
	bench_send(c[1], GET);
	got = bench_got(c[1]);
	CU_ASSERT(has(got, "HTTP/1.1 503 Service Unavailable\r\n"));
	CU_ASSERT(has(got, "\r\nx-envoy-overloaded: true\r\n"));
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UO));
	/* and nobody else does */
	bench_send(c[1], "GET /empty HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	got = bench_got(c[1]);
	CU_ASSERT(has(got, "HTTP/1.1 503 Service Unavailable\r\n"));
	CU_ASSERT_PTR_NULL(strstr(got, "overloaded"));
	bench_end();
}

/* Worker 0 of two is the proxy; the other is played through its row of the breakers. */
static void limits_hold_over_workers(void)
{
	struct tg_breaker *other;
	struct bench_peer *c;

	bench_start_of(4096, 2);
	bench_limit(TG_RES_RQ, 1);
	other = bench_breaker(1);
	CU_ASSERT_TRUE(tg_breaker_take(other, TG_PRIORITY_DEFAULT, TG_RES_RQ));
	c = bench_client(0);
	bench_send(c, GET);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 "));
	CU_ASSERT_EQUAL(b.n_origins, 0);
	/* another priority has limits of its own */
	bench_route()->priority = TG_PRIORITY_HIGH;
	bench_send(c, GET);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	bench_route()->priority = TG_PRIORITY_DEFAULT;
	tg_breaker_give(other, TG_PRIORITY_DEFAULT, TG_RES_RQ);
	bench_send(c, GET);
	CU_ASSERT_FALSE(tg_breaker_take(other, TG_PRIORITY_DEFAULT, TG_RES_RQ));
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT_TRUE(tg_breaker_take(other, TG_PRIORITY_DEFAULT, TG_RES_RQ));
	tg_breaker_give(other, TG_PRIORITY_DEFAULT, TG_RES_RQ);
	bench_end();
}

/* What waited for a connection is counted when it is sent: by then others may be under way. */
static void the_limit_is_met_behind_the_queue(void)
{
	struct bench_peer *c[2];

	bench_start(4096);
	bench_limit(TG_RES_RQ, 1);
	b.connect_hangs = true;
	for (int i = 0; i < 2; i++) {
		c[i] = bench_client(0);
		bench_send(c[i], GET);
	}
	CU_ASSERT_EQUAL(b.n_origins, 2);
	for (int i = 0; i < 2; i++)
		tg_ready_raise(&b.ready, b.dialled[i], TG_EV_OPEN);
	bench_run();
	CU_ASSERT(has(bench_got(c[1]), "HTTP/1.1 503 "));
	CU_ASSERT_EQUAL(bench_cluster()->stats->upstream_rq_pending_overflow, 1);
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UO));
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c[0]), "hello"));
	bench_end();
}

/* One connection for two workers: it goes to who needs it. */
static void a_scarce_connection_goes_round(void)
{
	struct tg_breaker *other;
	struct bench_peer *c;

	bench_start_of(4096, 2);
	bench_cluster()->n_endpoints = 2;
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, b.snap), 0);
	bench_limit(TG_RES_CX, 1);
	other = bench_breaker(1);
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	bench_advance(TG_SEC);
	CU_ASSERT_FALSE(b.origin[0]->eof); /* nobody wants it */
	CU_ASSERT_FALSE(tg_breaker_take(other, TG_PRIORITY_DEFAULT, TG_RES_CX));
	tg_breaker_need(other, TG_PRIORITY_DEFAULT, TG_NEED_FIRST);
	bench_advance(10 * TG_MS);
	CU_ASSERT_TRUE(b.origin[0]->eof);
	CU_ASSERT_TRUE(tg_breaker_take(other, TG_PRIORITY_DEFAULT, TG_RES_CX));
	tg_breaker_need(other, TG_PRIORITY_DEFAULT, TG_NEED_NONE);
	/* and back */
	bench_send(c, GET);
	bench_advance(TG_SEC);
	CU_ASSERT_EQUAL(b.n_origins, 1);
	CU_ASSERT_EQUAL(tg_breaker_others_need(other, TG_PRIORITY_DEFAULT), TG_NEED_FIRST);
	CU_ASSERT_EQUAL(tg_breaker_others_need(other, TG_PRIORITY_HIGH), TG_NEED_NONE);
	tg_breaker_give(other, TG_PRIORITY_DEFAULT, TG_RES_CX);
	bench_advance(10 * TG_MS);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	CU_ASSERT_FALSE(tg_breakers_needed(b.breakers));
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	bench_end();
}

/* All that there may be are in use here: one that comes free is lent, the last one is not. */
static void connections_that_come_free_are_lent(void)
{
	struct tg_breaker *other;
	struct bench_peer *c[4];

	bench_start_of(4096, 2);
	bench_limit(TG_RES_CX, 3);
	other = bench_breaker(1);
	for (int i = 0; i < 4; i++) {
		c[i] = bench_client(0);
		bench_send(c[i], GET);
	}
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 3); /* nothing is kept back for the other */
	CU_ASSERT_EQUAL(tg_breaker_others_need(other, TG_PRIORITY_DEFAULT), TG_NEED_MORE);
	CU_ASSERT_FALSE(tg_breaker_take(other, TG_PRIORITY_DEFAULT, TG_RES_CX));
	tg_breaker_need(other, TG_PRIORITY_DEFAULT, TG_NEED_FIRST);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c[0]), "hello"));
	CU_ASSERT_TRUE(b.origin[0]->eof);
	CU_ASSERT_EQUAL(b.n_origins, 3); /* nor is another one opened, though a request waits */
	CU_ASSERT_TRUE(tg_breaker_take(other, TG_PRIORITY_DEFAULT, TG_RES_CX));
	tg_breaker_need(other, TG_PRIORITY_DEFAULT, TG_NEED_NONE);
	bench_send(b.origin[1], OK5);
	CU_ASSERT_FALSE(b.origin[1]->eof);
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c[3]), "hello"));
	tg_breaker_give(other, TG_PRIORITY_DEFAULT, TG_RES_CX);
	tg_breaker_need(other, TG_PRIORITY_DEFAULT, TG_NEED_FIRST);
	bench_advance(10 * TG_MS);
	CU_ASSERT_TRUE(b.origin[1]->eof); /* it was idle */
	bench_send(b.origin[2], OK5);
	CU_ASSERT(has(bench_got(c[2]), "hello"));
	CU_ASSERT_FALSE(b.origin[2]->eof);
	tg_breaker_need(other, TG_PRIORITY_DEFAULT, TG_NEED_NONE);
	bench_end();
}

/* A priority has limits of its own, and does not stand behind requests that wait for another's. */
static void high_does_not_wait_behind_default(void)
{
	struct bench_peer *c[4];

	bench_start(4096);
	bench_limit(TG_RES_CX, 1);
	for (int i = 0; i < 2; i++) {
		c[i] = bench_client(0);
		bench_send(c[i], GET);
	}
	CU_ASSERT_EQUAL(b.n_origins, 1); /* the second one waits */
	bench_route()->priority = TG_PRIORITY_HIGH;
	c[2] = bench_client(0);
	bench_send(c[2], GET);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c[2]), "hello"));
	CU_ASSERT(has(bench_got(b.origin[1]), "GET ")); /* what comes free serves who waits */
	c[3] = bench_client(0);
	bench_send(c[3], GET);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2 + 1);
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c[1]), "hello"));
	bench_end();
}

/* Two endpoints, one connection: the idle one is given up for the endpoint that is chosen. */
static void an_idle_connection_makes_room(void)
{
	struct bench_peer *c;

	bench_start(4096);
	bench_cluster()->n_endpoints = 2;
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, b.snap), 0);
	bench_limit(TG_RES_CX, 1);
	c = bench_client(0);
	for (uint32_t i = 0; i < 3; i++) {
		bench_send(c, GET);
		CU_ASSERT_EQUAL_FATAL(b.n_origins, i + 1);
		bench_send(b.origin[i], OK5);
		CU_ASSERT(has(bench_got(c), "hello"));
		CU_ASSERT_TRUE(i == 0 || b.origin[i - 1]->eof);
	}
	/* one that is busy is not */
	bench_send(c, GET);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 4);
	bench_send(bench_client(0), GET);
	CU_ASSERT_EQUAL(b.n_origins, 4);
	CU_ASSERT_EQUAL(bench_cluster()->stats->upstream_cx_overflow, 4);
	bench_end();
}

static void so_many_requests_a_connection(void)
{
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	bench_web()->max_requests_per_connection = 2;
	c = bench_client(0);
	bench_send(c, GET GET GET);
	bench_send(b.origin[0], OK5);
	got = bench_got(c);
	CU_ASSERT(has(got, "hello"));
	CU_ASSERT_PTR_NULL(strstr(got, "connection: close"));
	bench_send(b.origin[0], OK5);
	got = bench_got(c);
	CU_ASSERT(has(got, "connection: close\r\n"));
	CU_ASSERT(has(got, "hello"));
	CU_ASSERT_TRUE(c->eof);
	CU_ASSERT_EQUAL(bench_web()->stats->downstream_cx_max_requests_reached, 1);
	CU_ASSERT_EQUAL(bench_cluster()->stats->upstream_rq_total, 2);
	bench_end();
}

static void a_request_has_its_time(void)
{
	struct bench_peer *c;

	bench_start(4096);
	bench_web()->max_stream_duration = 2 * TG_SEC;
	bench_route()->timeout = 0;
	c = bench_client(0);
	bench_advance(3 * TG_SEC); /* it is a request's, not a connection's */
	bench_send(c, GET);
	bench_advance(1900 * TG_MS);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	bench_advance(200 * TG_MS);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 408 "));
	CU_ASSERT_STRING_EQUAL(bench_log()->details, "max_duration_timeout");
	/* a response that is on its way is cut */
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[1], "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
	bench_advance(2100 * TG_MS);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(bench_web()->stats->downstream_rq_max_duration_reached, 2);
	bench_end();
}

static void an_origins_connection_has_its_time(void)
{
	struct bench_peer *c;

	bench_start(4096);
	bench_cluster()->max_connection_duration = 2 * TG_SEC;
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[0], OK5);
	bench_advance(1900 * TG_MS);
	CU_ASSERT_FALSE(b.origin[0]->eof);
	bench_send(c, GET); /* one that is under way is not cut */
	bench_advance(TG_SEC);
	CU_ASSERT_FALSE(b.origin[0]->eof);
	bench_send(b.origin[0], OK5);
	CU_ASSERT_TRUE(b.origin[0]->eof);
	bench_send(c, GET);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	bench_send(b.origin[1], OK5);
	bench_advance(2100 * TG_MS); /* nor does one that idles live on */
	CU_ASSERT_TRUE(b.origin[1]->eof);
	CU_ASSERT_EQUAL(bench_cluster()->stats->upstream_cx_max_duration_reached, 2);
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_conn_max_duration], 2);
	bench_end();
}

/* All exchanges wait for an origin: the next request is told 503, not just cut off. */
static void no_exchange_left(void)
{
	struct bench_peer *c[EXCHANGES], *late;
	const char *got;

	bench_start(4096);
	for (int i = 0; i < EXCHANGES; i++) {
		c[i] = bench_client(0);
		bench_send(c[i], GET);
	}
	late = bench_client(0);
	bench_send(late, GET);
	got = bench_got(late);
	CU_ASSERT(has(got, "HTTP/1.1 503 Service Unavailable\r\n"));
	CU_ASSERT(has(got, "\r\nconnection: close\r\n"));
	CU_ASSERT_TRUE(late->eof);
	CU_ASSERT_FALSE(late->failed);
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_req_no_memory], 1);
	CU_ASSERT_EQUAL(b.n_origins, EXCHANGES);
	for (int i = 0; i < EXCHANGES; i++) {
		bench_send(b.origin[i], OK5);
		CU_ASSERT(has(bench_got(c[i]), "hello"));
	}
	bench_end();
}

/* Heads that trickle hold every exchange: the oldest makes room. */
static void slow_heads_do_not_keep_others_out(void)
{
	struct bench_peer *slow[EXCHANGES], *c;

	bench_start(4096);
	for (int i = 0; i < EXCHANGES; i++) {
		slow[i] = bench_client(0);
		bench_send(slow[i], "GET /api HTTP/1.1\r\nHost: shop");
	}
	/* young ones are let finish */
	c = bench_client(0);
	bench_send(c, GET);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 "));
	bench_advance(2 * TG_SEC);
	for (int i = 0; i < 3; i++) {
		c = bench_client(0);
		bench_send(c, GET);
		CU_ASSERT_EQUAL_FATAL(b.n_origins, (uint32_t)i + 1);
		CU_ASSERT(has(bench_got(slow[i]), "HTTP/1.1 408 "));
		CU_ASSERT_TRUE(slow[i]->eof);
		CU_ASSERT_FALSE(slow[i + 1]->eof);
	}
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_conn_shed], 3);
	bench_send(slow[5], ".example\r\n\r\n");
	CU_ASSERT_EQUAL(b.n_origins, 4);
	bench_end();
}

/* Not the client's fault, so not a 431. */
static void no_memory_for_a_head(void)
{
	static char text[40000];
	const struct tg_pool *pools[16];
	const struct tg_log_record *r;
	struct bench_peer *c;
	uint32_t n, size;

	size = (uint32_t)snprintf(
		text, sizeof(text), "GET /api HTTP/1.1\r\nHost: shop.example\r\nX: ");
	memset(text + size, 'a', sizeof(text) - size);
	memcpy(text + sizeof(text) - 4, "\r\n\r\n", 4);
	for (uint32_t first = 700; first <= sizeof(text); first += sizeof(text) - 700) {
		bench_start(1 << 17);
		n = tg_proxy_pools(b.proxy, pools, 16);
		for (uint32_t i = 0; i < n; i++)
			if (!strcmp(pools[i]->name, "arena_large"))
				((struct tg_pool *)(uintptr_t)pools[i])->fail_every = 1;
		c = bench_client(0);
		bench_send_n(c, text, first); /* in two pieces it is gathered, in one copied */
		bench_send_n(c, text + first, sizeof(text) - first);
		CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 "));
		CU_ASSERT_TRUE(c->eof);
		r = bench_log();
		CU_ASSERT_EQUAL(r->flags, TG_FLAG(OM));
		CU_ASSERT_EQUAL(r->version_minor, 1);
		CU_ASSERT_EQUAL(b.n_origins, 0);
		bench_end();
	}
}

/* A cluster's small buffer must still hold the largest head that we take. */
static void a_big_response_head_fits(void)
{
	static char text[59000];
	struct bench_peer *c;
	uint32_t n;

	n = (uint32_t)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: ");
	memset(text + n, 'a', sizeof(text) - n);
	memcpy(text + sizeof(text) - 9, "\r\n\r\nhello", 9);
	bench_start(1 << 17);
	bench_cluster()->buffer_limit = 16 * 1024;
	b.honour_buffer = true;
	c = bench_client(0);
	bench_send(c, GET);
	bench_send_n(b.origin[0], text, sizeof(text));
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
	bench_end();
}

TG_TEST_MAIN("limits", {"overflow says so", overflow_says_so},
	{"limits hold over workers", limits_hold_over_workers},
	{"the limit is met behind the queue", the_limit_is_met_behind_the_queue},
	{"a scarce connection goes round", a_scarce_connection_goes_round},
	{"connections that come free are lent", connections_that_come_free_are_lent},
	{"high does not wait behind default", high_does_not_wait_behind_default},
	{"an idle connection makes room", an_idle_connection_makes_room},
	{"so many requests a connection", so_many_requests_a_connection},
	{"a request has its time", a_request_has_its_time},
	{"an origin's connection has its time", an_origins_connection_has_its_time},
	{"no exchange left", no_exchange_left},
	{"slow heads do not keep others out", slow_heads_do_not_keep_others_out},
	{"no memory for a head", no_memory_for_a_head},
	{"a big response head fits", a_big_response_head_fits})
