#include "../tgtest.h"
#include "bench.h"

#define GET "GET /api/x?y=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static bool has(const char *text, const char *part)
{
	if (strstr(text, part))
		return true;
	printf("\n--- not found: %s\n--- in: %s\n", part, text);
	return false;
}

static bool starts(const char *text, const char *part)
{
	if (strncmp(text, part, strlen(part)) == 0)
		return true;
	printf("\n--- does not start with: %s\n--- text: %s\n", part, text);
	return false;
}

static void hostile_responses_are_502(void)
{
	static const char *bad[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"HTTP/1.1 200 A\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"garbage that is no response at all\r\n\r\n",
		"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
		"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
	};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
		struct bench_peer *c;

		bench_start(4096);
		c = bench_client(0);
		bench_send(c, GET);
		bench_send(b.origin[0], bad[i]);
		CU_ASSERT(starts(bench_got(c), "HTTP/1.1 502 "));
		CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UPE));
		CU_ASSERT_TRUE(b.origin[0]->failed || b.origin[0]->eof);
		bench_end();
	}
}

/* The client's event came first and took the response: what the origin's event is about is gone
 * when its turn comes, and the connection rests in the pool. */
static void a_late_event_ends_no_idle_connection(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[0], OK5);
	tg_ready_raise(&b.ready, b.dialled[0], TG_EV_READABLE);
	bench_run();
	CU_ASSERT_FALSE(b.origin[0]->failed || b.origin[0]->eof);
	bench_send(c, GET);
	CU_ASSERT_EQUAL(b.n_origins, 1);
	bench_end();
}

static void nothing_behind_a_response_reaches_anyone(void)
{
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[0], OK5 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
	got = bench_got(c);
	CU_ASSERT_PTR_NULL(strstr(got, "evil"));
	bench_send(c, GET);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2); /* the poisoned connection is not used again */
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	/* and one that speaks while nobody asked */
	bench_send(b.origin[1], "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
	bench_send(c, GET);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 3);
	bench_end();
}

static void answer_before_the_request_was_acknowledged(void)
{
	struct bench_peer *c;

	bench_start(4096);
	b.connect_hangs = true;
	c = bench_client(0);
	bench_send(c, GET);
	tg_memconn_deaf(b.origin[0]->conn);
	/* the origin's "answer" comes with the handshake */
	tg_conn_write(
		b.origin[0]->conn, &(struct tg_view){(const uint8_t *)OK5, sizeof(OK5) - 1}, 1);
	tg_ready_raise(&b.ready, b.dialled[0], TG_EV_OPEN);
	bench_run();
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 502 "));
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UPE));
	bench_end();
}

static void replays_what_was_never_delivered(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[0], OK5);
	bench_got(c);
	/* The origin closes the pooled connection; its FIN crosses the next request, a POST. */
	tg_memconn_deaf(b.origin[0]->conn);
	bench_send(c, "POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 6\r\n\r\nabc");
	CU_ASSERT_EQUAL(b.n_origins, 1);
	tg_conn_finish(b.origin[0]->conn);
	bench_run();
	CU_ASSERT_STRING_EQUAL(bench_got(c), ""); /* FIN alone decides nothing */
	bench_reset(b.origin[0]);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	bench_send(c, "def");
	{
		const char *got = bench_got(b.origin[1]);

		CU_ASSERT(starts(got, "POST /api HTTP/1.1\r\n"));
		CU_ASSERT(has(got, "\r\n\r\nabcdef"));
	}
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	bench_end();
}

static void does_not_replay_what_may_have_been_delivered(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[0], OK5);
	bench_got(c);
	bench_send(c, GET);
	bench_reset(b.origin[0]); /* acknowledged, then reset */
	CU_ASSERT_EQUAL(b.n_origins, 1);
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 503 "));
	CU_ASSERT_EQUAL(bench_log()->flags, 0);
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UR));
	bench_end();
}

static void connect_failures(void)
{
	const struct tg_log_record *log;
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	b.connect_fails = TG_WHY_conn_refused;
	c = bench_client(0);
	bench_send(c, GET);
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 503 "));
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UF));
	b.connect_fails = TG_WHY_none;
	b.connect_error = TG_ENOPORT;
	bench_send(c, GET);
	got = bench_got(c);
	CU_ASSERT(starts(got, "HTTP/1.1 503 ") && has(got, "no free source port"));
	log = bench_log();
	CU_ASSERT_EQUAL(log->flags, TG_FLAG(UF));
	CU_ASSERT_STRING_EQUAL(log->details,
		"upstream_reset_before_response_started{connection_failure|"
		"no_free_source_port}");
	b.connect_error = 0;
	bench_send(c, GET);
	bench_send(b.origin[b.n_origins - 1], OK5);
	CU_ASSERT(has(bench_got(c), "hello")); /* and the client's connection lived through it */
	bench_end();
}

/* What TLS says goes to the client and into the log; a handshake that takes too long is a timeout.
 */
static void tls_failures(void)
{
	const struct tg_log_record *log;
	struct bench_peer *c;

	bench_start(4096);
	b.connect_fails = TG_WHY_tls_expired;
	c = bench_client(0);
	bench_send(c, GET);
	CU_ASSERT(has(bench_got(c), "reset reason: connection failure, transport failure reason: "
				    "TLS error: certificate has expired"));
	log = bench_log();
	CU_ASSERT_EQUAL(log->flags, TG_FLAG(UF));
	CU_ASSERT_EQUAL(log->transport, TG_WHY_tls_expired);
	CU_ASSERT_EQUAL(bench_cluster()->stats->upstream_cx_connect_timeout, 0);
	b.connect_fails = TG_WHY_tls_timeout;
	bench_send(c, GET);
	CU_ASSERT(has(bench_got(c), "reset reason: connection timeout"));
	CU_ASSERT_EQUAL(bench_cluster()->stats->upstream_cx_connect_timeout, 1);
	CU_ASSERT_EQUAL(bench_log()->transport, TG_WHY_none);
	b.connect_fails = TG_WHY_none;
	bench_send(c, GET);
	bench_send(b.origin[b.n_origins - 1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT_EQUAL(bench_log()->transport, TG_WHY_none);
	bench_end();
}

static void the_time_of_day_is_set(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, "GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n");
	CU_ASSERT(has(bench_got(c), "\r\ndate: Sun, 06 Nov 1994 "));
	tg_proxy_set_realtime(b.proxy, (UINT64_C(784111776) + 86400) * TG_SEC);
	bench_send(c, "GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n");
	CU_ASSERT(has(bench_got(c), "\r\ndate: Mon, 07 Nov 1994 "));
	bench_end();
}

static void timeouts(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET);
	bench_advance(14 * TG_SEC);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	bench_advance(2 * TG_SEC);
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 504 "));
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UT));
	CU_ASSERT_TRUE(b.origin[0]->failed);
	/* a request that never becomes whole */
	bench_send(c, "GET /api HTT");
	bench_advance(301 * TG_SEC);
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 408 "));
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(SI));
	CU_ASSERT_TRUE(c->eof);
	bench_end();
}

static void configured_timeouts(void)
{
	struct bench_peer *c;

	bench_start(4096);
	bench_web()->request_headers_timeout = 2 * TG_SEC;
	bench_web()->request_timeout = 5 * TG_SEC;
	bench_web()->idle_timeout = 10 * TG_SEC;
	bench_route()->timeout = 0;
	c = bench_client(0);
	bench_send(c, "GET /api HTT");
	bench_advance(3 * TG_SEC);
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 408 "));
	c = bench_client(0);
	bench_send(c, "POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n\r\na");
	bench_advance(6 * TG_SEC);
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 408 "));
	c = bench_client(0);
	bench_send(c, GET);
	bench_advance(100 * TG_SEC); /* route timeout off */
	bench_send(b.origin[b.n_origins - 1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	bench_advance(11 * TG_SEC);
	CU_ASSERT_TRUE(c->eof);
	bench_end();
}

static void max_connection_duration_is_polite(void)
{
	struct bench_peer *c, *idle;

	bench_start(4096);
	bench_web()->max_connection_duration = 5 * TG_SEC;
	idle = bench_client(0);
	c = bench_client(0);
	bench_send(c, GET);
	bench_advance(6 * TG_SEC);
	CU_ASSERT_TRUE(idle->eof);
	CU_ASSERT_FALSE(c->eof);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "connection: close\r\n"));
	CU_ASSERT_TRUE(c->eof);
	bench_end();
}

static void downstream_goes_away(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET);
	bench_reset(c);
	CU_ASSERT_TRUE(b.origin[0]->failed);
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(DC));
	/* half-closed clients get their answer */
	c = bench_client(0);
	bench_send(c, GET);
	bench_fin(c);
	bench_send(b.origin[1], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT_TRUE(c->eof);
	/* half a body, then FIN: the origin must not take it for whole */
	c = bench_client(0);
	bench_send(c, "POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 9\r\n\r\nabc");
	bench_fin(c);
	CU_ASSERT_TRUE(b.origin[b.n_origins - 1]->failed);
	bench_end();
}

static void bad_chunks_of_the_client_reset_the_origin(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c,
		"POST /api HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n"
		"3\r\nabc\r\nzz\r\n");
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 400 "));
	CU_ASSERT_TRUE(b.origin[0]->failed);
	CU_ASSERT_TRUE(c->eof);
	bench_end();
}

/* On a reused connection the pump waits for an ACK; an origin that answers meanwhile gives a better
 * proof. */
static void answer_during_an_upload_goes_on(void)
{
	static char body[20000];
	struct bench_peer *c, *o;
	uint32_t n;

	memset(body, 'b', sizeof(body));
	bench_start(8192);
	c = bench_client(0);
	bench_send(c, GET);
	o = b.origin[0];
	bench_send(o, OK5);
	bench_got(c);
	bench_got(o);
	tg_memconn_deaf(o->conn);
	bench_send(c, "POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 20000\r\n\r\n");
	bench_send_n(c, body, 8000);
	CU_ASSERT(o->n > 3000 && o->n < 4000); /* the head and what a replay can keep */
	n = o->n;
	tg_memconn_hears(o->conn);
	bench_send(o, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	bench_send_n(c, body, 12000);
	CU_ASSERT(o->n > n && o->n > 20000);
	bench_send(o, "hello");
	CU_ASSERT(has(bench_got(c), "hello"));
	bench_end();
}

static void early_answer_to_an_upload(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, "POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 900\r\n\r\nabc");
	bench_send(b.origin[0], "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 413 "));
	CU_ASSERT_TRUE(c->eof);
	CU_ASSERT_FALSE(c->failed);
	bench_send(c, "the rest goes nowhere");
	CU_ASSERT_FALSE(c->failed);
	CU_ASSERT_TRUE(b.origin[0]->failed);
	bench_end();
}

static void absolute_form_and_paths(void)
{
	static const struct {
		const char *request, *want;
	} rows[] = {
		{"GET http://shop.example/api/a?b HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			"GET /api/a?b HTTP/1.1\r\n"},
		{"GET /api/./b/../c%41 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			"GET /api/cA HTTP/1.1\r\n"},
		{"GET /api/a%2fb? HTTP/1.1\r\nHost: SHOP.example:80\r\n\r\n",
			"GET /api/a%2Fb? HTTP/1.1\r\n"},
	};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
		bench_start(4096);
		bench_send(bench_client(0), rows[i].request);
		CU_ASSERT_EQUAL_FATAL(b.n_origins, 1);
		CU_ASSERT(starts(bench_got(b.origin[0]), rows[i].want));
		bench_end();
	}
}

static void forwarded_fields(void)
{
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c,
		"GET /api HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 1.2.3.4\r\n"
		"X-Forwarded-For: 5.6.7.8\r\nX-Forwarded-Proto: https\r\nX-Request-Id: mine\r\n"
		"Connection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n"
		"Proxy-Connection: x\r\nX-Public: 2\r\n\r\n");
	got = bench_got(b.origin[0]);
	CU_ASSERT(has(got, "x-forwarded-for: 1.2.3.4, 5.6.7.8, 10.0.1.2\r\n"));
	CU_ASSERT(has(got, "x-forwarded-proto: http\r\n"));
	CU_ASSERT_PTR_NULL(strstr(got, "https"));
	CU_ASSERT_PTR_NULL(strstr(got, "mine"));
	CU_ASSERT_PTR_NULL(strstr(got, "Private"));
	CU_ASSERT_PTR_NULL(strstr(got, "Keep-Alive"));
	CU_ASSERT_PTR_NULL(strstr(got, "gzip"));
	CU_ASSERT_PTR_NULL(strstr(got, "Proxy-Connection"));
	CU_ASSERT(has(got, "X-Public: 2\r\n"));
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "connection: close\r\n"));
	CU_ASSERT_TRUE(c->eof);
	bench_end();
	bench_start(4096);
	bench_web()->use_remote_address = false;
	bench_send(bench_client(0),
		"GET /api HTTP/1.1\r\nHost: shop.example\r\nX-Request-Id: mine\r\n"
		"X-Forwarded-Proto: https\r\n\r\n");
	got = bench_got(b.origin[0]);
	CU_ASSERT(has(got, "X-Request-Id: mine\r\n"));
	CU_ASSERT(has(got, "X-Forwarded-Proto: https\r\n"));
	CU_ASSERT_PTR_NULL(strstr(got, "x-forwarded-for"));
	bench_end();
}

static void limits_of_the_cluster(void)
{
	struct bench_peer *c[3];

	bench_start(4096);
	bench_limit(TG_RES_CX, 1);
	bench_limit(TG_RES_PENDING, 1);
	for (int i = 0; i < 3; i++) {
		c[i] = bench_client(0);
		bench_send(c[i], GET);
	}
	CU_ASSERT_EQUAL(b.n_origins, 1);
	CU_ASSERT(starts(bench_got(c[2]), "HTTP/1.1 503 "));
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UO));
	bench_send(b.origin[0], OK5); /* and the waiting one gets the connection */
	CU_ASSERT(has(bench_got(c[0]), "hello"));
	CU_ASSERT(starts(bench_got(b.origin[0]), "GET "));
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c[1]), "hello"));
	bench_end();
}

static void too_many_connections_shed_the_idle(void)
{
	struct bench_peer *c[33];

	bench_start(4096);
	for (int i = 0; i < 33; i++)
		c[i] = bench_client(0);
	CU_ASSERT_TRUE(c[0]->eof);
	CU_ASSERT_FALSE(c[1]->eof);
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_conn_shed], 1);
	bench_send(c[32], "GET /nowhere HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	CU_ASSERT(starts(bench_got(c[32]), "HTTP/1.1 404 "));
	bench_end();
}

static void who_has_just_asked_is_not_shed(void)
{
	struct bench_peer *c[36];

	bench_start(4096);
	for (int i = 0; i < 32; i++) {
		c[i] = bench_client(0);
		bench_advance(TG_MS);
	}
	bench_send(c[0], "GET /nowhere HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	bench_send(c[2], "GET /api HTTP/1.1\r\nHost: shop.example\r\n\r\n"); /* under way */
	for (int i = 32; i < 36; i++)
		c[i] = bench_client(0);
	for (int i = 0; i < 36; i++)
		CU_ASSERT_EQUAL(c[i]->eof, i == 1 || i == 3 || i == 4 || i == 5);
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_conn_shed], 4);
	CU_ASSERT_TRUE(tg_proxy_validate(b.proxy));
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c[2]), "hello"));
	bench_end();
}

static void nobody_is_shed_when_all_are_busy(void)
{
	struct bench_peer *c[33];

	bench_start(4096);
	for (int i = 0; i < 32; i++) {
		c[i] = bench_client(i % 2); /* web, or a pair of connections under "raw" */
		if (i % 2 == 0)
			bench_send(c[i], "GET /api HTTP/1.1\r\n"); /* the head is not whole */
	}
	c[32] = bench_client(0);
	CU_ASSERT_TRUE(c[32]->failed);
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_conn_shed], 0);
	CU_ASSERT_TRUE(tg_proxy_validate(b.proxy));
	bench_end();
}

static void reload_keeps_what_is_under_way(void)
{
	struct tg_snapshot *next, *old;
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET);
	old = b.snap;
	next = bench_snapshot(2);
	next->n_listeners = 1; /* "raw" is gone */
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, next), 0);
	CU_ASSERT_NOT_EQUAL(old->worker[0].pins, 0);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT_EQUAL(old->worker[0].pins, 0);
	b.snap = next;
	bench_snapshot_free(old);
	bench_send(c, GET); /* the same client, the same pooled connection, the new snapshot */
	CU_ASSERT_EQUAL(b.n_origins, 1);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT_PTR_NULL(b.accept_owner[1]);
	bench_end();
}

static void a_listener_that_cannot_be_opened_shows(void)
{
	static struct tg_listener_stats other;
	struct tg_snapshot *next, *old;

	bench_start(4096);
	old = b.snap;
	CU_ASSERT_EQUAL(old->listeners[0].stats[0].listening, 1);
	CU_ASSERT_EQUAL(old->listeners[1].stats[0].listening, 1);
	next = bench_snapshot(2);
	next->listeners[0].stats = &other; /* another name at the same address */
	next->listeners[1].addr.port = 99;
	b.refuse_listen = true;
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, next), 1);
	CU_ASSERT_EQUAL(other.listening, 1);
	CU_ASSERT_EQUAL(old->listeners[0].stats[0].listening, 0);
	CU_ASSERT_EQUAL(next->listeners[1].stats[0].listening, 0);
	b.refuse_listen = false;
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, next), 0); /* tried again */
	CU_ASSERT_EQUAL(next->listeners[1].stats[0].listening, 1);
	b.snap = next;
	bench_snapshot_free(old);
	tg_proxy_drain(b.proxy);
	CU_ASSERT_EQUAL(other.listening, 0);
	CU_ASSERT_EQUAL(next->listeners[1].stats[0].listening, 0);
	bench_end();
}

/* At the end of a drain: an idle origin gets a FIN, one that is busy a reset. */
static void idle_origins_are_closed_not_cut(void)
{
	struct bench_peer *a, *c;

	bench_start(4096);
	a = bench_client(0);
	c = bench_client(0);
	bench_send(a, GET);
	bench_send(c, GET);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(a), "hello"));
	tg_proxy_drain(b.proxy);
	bench_run();
	CU_ASSERT_FALSE(b.origin[0]->eof); /* a request under way may still want it */
	tg_proxy_abort_all(b.proxy);
	bench_run();
	CU_ASSERT_TRUE(b.origin[0]->eof);
	CU_ASSERT_FALSE(b.origin[0]->failed);
	CU_ASSERT_TRUE(b.origin[1]->failed);
	bench_end();
}

static void drain_is_polite(void)
{
	struct bench_peer *c, *idle;

	bench_start(4096);
	idle = bench_client(0);
	c = bench_client(0);
	bench_send(c, GET);
	tg_proxy_drain(b.proxy);
	bench_run();
	CU_ASSERT_TRUE(idle->eof);
	CU_ASSERT_FALSE(tg_proxy_idle(b.proxy));
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "connection: close\r\n"));
	CU_ASSERT_TRUE(c->eof);
	bench_fin(c);
	CU_ASSERT_TRUE(tg_proxy_idle(b.proxy));
	bench_end();
}

static void slow_client_stops_the_origin(void)
{
	static uint8_t big[100000];
	struct bench_peer *c;
	struct tg_view v;
	uint32_t sent;

	memset(big, 'x', sizeof(big));
	bench_start(4096);
	c = bench_client(0);
	c->hold = true;
	bench_send(c, GET);
	bench_send(b.origin[0], "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
	v = tg_view_of(big, sizeof(big));
	while ((sent = tg_conn_write(b.origin[0]->conn, &v, 1))) {
		v.p += sent;
		v.n -= sent;
		bench_run();
	}
	CU_ASSERT(v.n > sizeof(big) - 8192 - 1);
	c->hold = false;
	bench_run();
	bench_send_n(b.origin[0], v.p, v.n);
	CU_ASSERT_EQUAL(strlen(strstr(bench_got(c), "\r\n\r\n") + 4), sizeof(big));
	bench_end();
}

static void big_heads(void)
{
	static char text[70000];
	struct bench_peer *c;
	uint32_t n;

	for (uint32_t size = 1500; size < 61000; size += 7001) {
		n = (uint32_t)snprintf(
			text, sizeof(text), "GET /api HTTP/1.1\r\nHost: shop.example\r\nX: ");
		memset(text + n, 'a', size - n - 4);
		memcpy(text + size - 4, "\r\n\r\n", 5);
		bench_start(1 << 17);
		c = bench_client(0);
		bench_send_n(c, text, 700); /* in two pieces: gathered */
		bench_send_n(c, text + 700, size - 700);
		CU_ASSERT_EQUAL_FATAL(b.n_origins, 1);
		CU_ASSERT(b.origin[0]->n > size);
		bench_send(b.origin[0], OK5);
		CU_ASSERT(has(bench_got(c), "hello"));
		bench_end();
	}
	bench_start(1 << 17);
	c = bench_client(0);
	memset(text, 'a', sizeof(text));
	n = (uint32_t)snprintf(
		text, sizeof(text), "GET /api HTTP/1.1\r\nHost: shop.example\r\nX: ");
	text[n] = 'a';
	bench_send_n(c, text, 65000);
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 431 "));
	bench_end();
}

static void pools_may_fail_anywhere(void)
{
	for (uint32_t every = 1; every < 12; every++) {
		const struct tg_pool *pools[16];
		uint32_t n;

		bench_start(4096);
		n = tg_proxy_pools(b.proxy, pools, 16);
		for (uint32_t i = 0; i < n; i++)
			((struct tg_pool *)(uintptr_t)pools[i])->fail_every = every;
		for (int k = 0; k < 12; k++) {
			struct bench_peer *c = bench_client(0);

			if (!c->failed && !c->eof) {
				struct tg_view v = TG_VIEW(GET);

				tg_conn_write(c->conn, &v, 1);
				bench_run();
			}
			for (uint32_t o = 0; o < b.n_origins; o++) {
				struct tg_view v = TG_VIEW(OK5);

				if (b.origin[o]->n && !b.origin[o]->failed && !b.origin[o]->eof) {
					b.origin[o]->n = 0;
					tg_conn_write(b.origin[o]->conn, &v, 1);
					bench_run();
				}
			}
			bench_run();
			/* each client was answered or its connection ended: nobody hangs */
			CU_ASSERT(c->n || c->eof || c->failed);
		}
		bench_end();
	}
}

TG_TEST_MAIN("origins", {"hostile responses are 502", hostile_responses_are_502},
	{"nothing behind a response reaches anyone", nothing_behind_a_response_reaches_anyone},
	{"answer before the request was acknowledged", answer_before_the_request_was_acknowledged},
	{"replays what was never delivered", replays_what_was_never_delivered},
	{"does not replay what may have been delivered",
		does_not_replay_what_may_have_been_delivered},
	{"connect failures", connect_failures}, {"TLS failures", tls_failures},
	{"the time of day is set", the_time_of_day_is_set}, {"timeouts", timeouts},
	{"configured timeouts", configured_timeouts},
	{"max connection duration is polite", max_connection_duration_is_polite},
	{"downstream goes away", downstream_goes_away},
	{"bad chunks of the client reset the origin", bad_chunks_of_the_client_reset_the_origin},
	{"answer during an upload goes on", answer_during_an_upload_goes_on},
	{"early answer to an upload", early_answer_to_an_upload},
	{"a late event ends no idle connection", a_late_event_ends_no_idle_connection},
	{"absolute form and paths", absolute_form_and_paths},
	{"forwarded fields", forwarded_fields}, {"limits of the cluster", limits_of_the_cluster},
	{"too many connections shed the idle", too_many_connections_shed_the_idle},
	{"who has just asked is not shed", who_has_just_asked_is_not_shed},
	{"nobody is shed when all are busy", nobody_is_shed_when_all_are_busy},
	{"reload keeps what is under way", reload_keeps_what_is_under_way},
	{"drain is polite", drain_is_polite},
	{"a listener that cannot be opened shows", a_listener_that_cannot_be_opened_shows},
	{"idle origins are closed, not cut", idle_origins_are_closed_not_cut},
	{"slow client stops the origin", slow_client_stops_the_origin}, {"big heads", big_heads},
	{"pools may fail anywhere", pools_may_fail_anywhere})
