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

static void ask_and_answer(void)
{
	struct bench_peer *c;
	const struct tg_log_record *r;
	const char *got;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 1);
	got = bench_got(b.origin[0]);
	CU_ASSERT(starts(got, "GET /api/x?y=1 HTTP/1.1\r\nHost: shop.example\r\n"));
	CU_ASSERT(has(got, "\r\nx-forwarded-for: 10.0.1.2\r\n"));
	CU_ASSERT(has(got, "\r\nx-forwarded-proto: http\r\n"));
	CU_ASSERT(has(got, "\r\nx-request-id: "));
	bench_send(b.origin[0], OK5);
	got = bench_got(c);
	CU_ASSERT(starts(got, "HTTP/1.1 200 OK\r\n"));
	CU_ASSERT(has(got, "server: tidegate\r\n"));
	CU_ASSERT(has(got, "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	CU_ASSERT(has(got, "\r\n\r\nhello"));
	r = bench_log();
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(r->status, 200);
	CU_ASSERT_EQUAL(r->flags, 0);
	CU_ASSERT_EQUAL(r->bytes_sent, 5);
	CU_ASSERT_STRING_EQUAL(r->details, "via_upstream");
	/* the same connections again */
	bench_send(c, GET);
	CU_ASSERT_EQUAL(b.n_origins, 1);
	bench_got(b.origin[0]);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
	bench_end();
}

static void head_in_single_bytes(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	for (const char *p = GET; *p; p++) {
		CU_ASSERT_EQUAL(b.n_origins, 0);
		bench_send_n(c, p, 1);
	}
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 1);
	CU_ASSERT(starts(bench_got(b.origin[0]), "GET /api/x?y=1 HTTP/1.1\r\n"));
	for (const char *p = OK5; *p; p++)
		bench_send_n(b.origin[0], p, 1);
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
	bench_end();
}

static void pipelined_in_order(void)
{
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET "GET /nowhere HTTP/1.1\r\nHost: shop.example\r\n\r\n" GET);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 1);
	bench_got(b.origin[0]);
	bench_send(b.origin[0], OK5);
	got = bench_got(c);
	CU_ASSERT(starts(got, "HTTP/1.1 200 OK\r\n"));
	CU_ASSERT(has(got, "helloHTTP/1.1 404 Not Found\r\n"));
	bench_send(b.origin[0], OK5);
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 200 OK\r\n"));
	CU_ASSERT_EQUAL(bench_log()->status, 200);
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(NR));
	bench_end();
}

/* Some clients send an empty line behind a body (RFC 9112 section 2.2), also behind their last. */
static void empty_lines_and_the_end(void)
{
	static const char *tails[] = {"\r\n", "\r\n\r\n"};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(tails); i++) {
		struct bench_peer *c;

		bench_start(4096);
		c = bench_client(0);
		bench_send(c, GET);
		bench_send(c, tails[i]);
		bench_fin(c);
		bench_send(b.origin[0], OK5);
		CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
		CU_ASSERT_TRUE(c->eof);
		CU_ASSERT_FALSE(c->failed); /* a reset could overtake the answer */
		CU_ASSERT_EQUAL(bench_log()->status, 200);
		bench_end();
	}
}

static void empty_lines_and_silence(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET "\r\n");
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
	bench_advance(301 * TG_SEC);
	CU_ASSERT_TRUE(c->eof);
	CU_ASSERT_STRING_EQUAL(bench_got(c), ""); /* no answer to what nobody asked */
	bench_end();
}

/* The client can still read: it is told, and what it was told before is not lost in a reset. */
static void body_that_ends_too_early(void)
{
	static const char *bodies[] = {"Content-Length: 5\r\n\r\nhell",
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(bodies); i++) {
		struct bench_peer *c;
		const char *got;

		bench_start(4096);
		c = bench_client(0);
		c->hold = true;
		bench_send(c, GET "POST /api HTTP/1.1\r\nHost: shop.example\r\n");
		bench_send(c, bodies[i]);
		bench_fin(c);
		bench_send(b.origin[0], OK5);
		CU_ASSERT_TRUE(b.origin[0]->failed); /* half a request is in there */
		c->hold = false;
		got = bench_got(c);
		CU_ASSERT(has(got, "\r\n\r\nhelloHTTP/1.1 400 Bad Request\r\n"));
		CU_ASSERT_TRUE(c->eof);
		CU_ASSERT_FALSE(c->failed);
		bench_log();
		CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(DPE) | TG_FLAG(DC));
		bench_end();
	}
}

static void no_content_to_a_head_that_is_refused(void)
{
	static const char *heads[] = {"HEAD /api HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"\r\nHEAD /api HTTP/1.1\r\n bad\r\n", "HEAD /nowhere HTTP/1.0\r\n\r\n"};

	for (uint32_t i = 0; i < 2 * TG_ARRAY_LEN(heads); i++) {
		const char *head = heads[i / 2], *got;
		struct bench_peer *c;

		bench_start(4096);
		c = bench_client(0);
		for (; i & 1 && head[1]; head++) /* in pieces, too */
			bench_send_n(c, head, 1);
		bench_send(c, head);
		got = bench_got(c);
		CU_ASSERT(starts(got, "HTTP/1.1 40"));
		CU_ASSERT_STRING_EQUAL(got + strlen(got) - 4, "\r\n\r\n");
		bench_end();
	}
}

static void many_pipelined_local_replies(void)
{
	struct bench_peer *c;
	uint32_t n = 0;

	bench_start(2048);
	c = bench_client(0);
	for (int i = 0; i < 500; i++)
		bench_send(c, "GET /nowhere HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	for (const char *p = bench_got(c); (p = strstr(p, "HTTP/1.1 404")); p++)
		n++;
	CU_ASSERT_EQUAL(n, 500);
	bench_end();
}

static void local_replies(void)
{
	static const struct {
		const char *request, *status;
		uint32_t flags;
		bool closes;
	} rows[] = {
		{"GET /nowhere HTTP/1.1\r\nHost: shop.example\r\n\r\n", "404", TG_FLAG(NR), false},
		{"GET /api HTTP/1.1\r\nHost: other.example\r\n\r\n", "404", TG_FLAG(NR), false},
		{"GET /empty HTTP/1.1\r\nHost: shop.example\r\n\r\n", "503", TG_FLAG(UH), false},
		{"POST /nowhere HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n\r\n", "404",
			TG_FLAG(NR), true},
		{"GET /api HTTP/1.1\r\n\r\n", "400", TG_FLAG(DPE), true},
		{"GET /api HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400", TG_FLAG(DPE), true},
		{"GET /%zz HTTP/1.1\r\nHost: shop.example\r\n\r\n", "400", TG_FLAG(DPE), true},
		{"GET /../api HTTP/1.1\r\nHost: shop.example\r\n\r\n", "400", TG_FLAG(DPE), true},
		{"GET https://shop.example/api HTTP/1.1\r\nHost: shop.example\r\n\r\n", "400",
			TG_FLAG(DPE), true},
		{"GET /api HTTP/1.1\r\nHost:\r\n\r\n", "400", TG_FLAG(DPE), true},
		{"POST /api HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: gzip, "
		 "chunked\r\n\r\n",
			"501", TG_FLAG(DPE), true},
		{"GET /api HTTP/3.0\r\nHost: shop.example\r\n\r\n", "505", TG_FLAG(DPE), true},
		{"POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n",
			"400", TG_FLAG(DPE), true},
		{"CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n", "404",
			TG_FLAG(NR), true},
	};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
		struct bench_peer *c;
		char want[32];

		bench_start(8192);
		c = bench_client(0);
		bench_send(c, rows[i].request);
		snprintf(want, sizeof(want), "HTTP/1.1 %s ", rows[i].status);
		CU_ASSERT(starts(bench_got(c), want));
		CU_ASSERT_EQUAL(b.n_origins, 0);
		CU_ASSERT_EQUAL(bench_log()->flags, rows[i].flags);
		CU_ASSERT_EQUAL(c->eof, rows[i].closes);
		bench_end();
	}
}

static void max_forwards(void)
{
	static const struct {
		const char *method, *value, *want; /* at the origin, or what the client is told */
	} rows[] = {
		{"OPTIONS", "1", "Max-Forwards: 0\r\n"},
		{"TRACE", "10", "Max-Forwards: 9\r\n"},
		{"OPTIONS", "99999999999999999999", "Max-Forwards: 999999998\r\n"},
		{"GET", "0", "Max-Forwards: 0\r\n"},
		{"GET", "x", "Max-Forwards: x\r\n"},
		{"OPTIONS", "0", "HTTP/1.1 200 OK\r\n"},
		{"TRACE", "0", "HTTP/1.1 501 "},
		{"OPTIONS", "-1", "HTTP/1.1 400 "},
		{"TRACE", "", "HTTP/1.1 400 "},
		{"TRACE", "5\r\nMax-Forwards: 5", "HTTP/1.1 400 "},
	};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
		bool here = rows[i].want[0] == 'H';
		struct bench_peer *c;
		char text[256];

		bench_start(4096);
		c = bench_client(0);
		snprintf(text, sizeof(text),
			"%s /api HTTP/1.1\r\nHost: shop.example\r\nMax-Forwards: %s\r\n\r\n",
			rows[i].method, rows[i].value);
		bench_send(c, text);
		CU_ASSERT_EQUAL_FATAL(b.n_origins, here ? 0 : 1);
		CU_ASSERT(has(bench_got(here ? c : b.origin[0]), rows[i].want));
		bench_end();
	}
}

static void bodies_both_ways(void)
{
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, "POST /api HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n"
		      "Trailer: x-t\r\n\r\n3\r\nabc\r\n4;q=1\r\ndefg\r\n0\r\nx-t: 1\r\n\r\n");
	got = bench_got(b.origin[0]);
	CU_ASSERT(has(got, "transfer-encoding: chunked\r\n"));
	CU_ASSERT(has(got, "7\r\nabcdefg\r\n0\r\nx-t: 1\r\n\r\n"));
	bench_send(b.origin[0], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				"5\r\nhello\r\n0\r\nx-sum: 9\r\n\r\n");
	got = bench_got(c);
	CU_ASSERT(has(got, "transfer-encoding: chunked\r\n"));
	CU_ASSERT(has(got, "\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 9\r\n\r\n"));
	CU_ASSERT_FALSE(c->eof);
	bench_end();
}

static void http10_client_gets_no_chunks(void)
{
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, "GET /api HTTP/1.0\r\nHost: shop.example\r\nConnection: keep-alive\r\n\r\n");
	CU_ASSERT(starts(bench_got(b.origin[0]), "GET /api HTTP/1.1\r\n"));
	bench_send(b.origin[0], OK5);
	got = bench_got(c);
	CU_ASSERT(has(got, "connection: keep-alive\r\n"));
	CU_ASSERT_FALSE(c->eof);
	bench_send(c, "GET /api HTTP/1.0\r\nHost: shop.example\r\nConnection: keep-alive\r\n\r\n");
	bench_send(b.origin[0],
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
	got = bench_got(c);
	CU_ASSERT(has(got, "connection: close\r\n"));
	CU_ASSERT(has(got, "\r\n\r\nhello"));
	CU_ASSERT_PTR_NULL(strstr(got, "chunked"));
	CU_ASSERT_TRUE(c->eof);
	bench_end();
}

static void until_close_responses_end_or_are_cut(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[0], "HTTP/1.0 200 OK\r\n\r\nhello");
	CU_ASSERT(has(bench_got(c), "transfer-encoding: chunked\r\n"));
	bench_fin(b.origin[0]);
	CU_ASSERT(has(bench_got(c), "0\r\n\r\n"));
	CU_ASSERT_FALSE(c->eof);
	bench_send(c, GET);
	bench_send(b.origin[1], "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
	bench_fin(b.origin[1]);
	CU_ASSERT_TRUE(c->failed); /* a short body must not look whole */
	CU_ASSERT_EQUAL(bench_log()->flags, 0);
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UC));
	bench_end();
}

static void head_and_304_have_no_body(void)
{
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, "HEAD /api HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	bench_send(b.origin[0], "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
	got = bench_got(c);
	CU_ASSERT(has(got, "Content-Length: 500\r\n"));
	bench_send(c, GET);
	bench_got(b.origin[0]);
	bench_send(b.origin[0], "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n");
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 304 Not Modified\r\n"));
	bench_send(c, GET);
	bench_send(b.origin[0], "HTTP/1.1 204 No Content\r\n\r\n");
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 204 No Content\r\n"));
	CU_ASSERT_EQUAL(b.n_origins, 1);
	bench_end();
}

static void interim_responses(void)
{
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, "POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n"
		      "Expect: 100-continue\r\n\r\n");
	CU_ASSERT(has(bench_got(b.origin[0]), "Expect: 100-continue\r\n"));
	bench_send(b.origin[0], "HTTP/1.1 100 Continue\r\n\r\n");
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 100 Continue\r\n"));
	bench_send(c, "abc");
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[0]), "abc");
	bench_send(b.origin[0], "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" OK5);
	got = bench_got(c);
	CU_ASSERT(starts(got, "HTTP/1.1 103 Early Hints\r\n"));
	CU_ASSERT(has(got, "HTTP/1.1 200 OK\r\n"));
	/* nobody asked for this one */
	bench_send(c, GET);
	bench_send(b.origin[0], "HTTP/1.1 100 Continue\r\n\r\n" OK5);
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 200 OK\r\n"));
	/* and there is nothing to continue with here */
	bench_got(b.origin[0]);
	bench_send(c, "GET /api HTTP/1.1\r\nHost: shop.example\r\nExpect: 100-continue\r\n\r\n");
	CU_ASSERT_PTR_NULL(strstr(bench_got(b.origin[0]), "100-continue"));
	bench_send(b.origin[0], OK5);
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 200 OK\r\n"));
	bench_end();
}

static void an_answer_instead_of_continue(void)
{
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, "POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n"
		      "Expect: 100-continue\r\n\r\n");
	bench_send(b.origin[0], "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
	got = bench_got(c);
	CU_ASSERT(starts(got, "HTTP/1.1 417 "));
	CU_ASSERT(has(got, "connection: close\r\n"));
	CU_ASSERT_TRUE(c->eof);
	CU_ASSERT_TRUE(b.origin[0]->failed); /* it waits for a body that does not come */
	bench_end();
}

static void endless_interim_responses_are_refused(void)
{
	struct bench_peer *c;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, GET);
	for (int i = 0; i < 17; i++)
		bench_send(b.origin[0], "HTTP/1.1 102 Processing\r\n\r\n");
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 502 Bad Gateway\r\n"));
	bench_end();
}

static void websocket_becomes_a_tunnel(void)
{
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c,
		"GET /api HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\n"
		"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\nEARLY");
	got = bench_got(b.origin[0]);
	CU_ASSERT(has(got, "upgrade: websocket\r\n"));
	CU_ASSERT(has(got, "connection: upgrade\r\n"));
	CU_ASSERT_PTR_NULL(strstr(got, "EARLY")); /* nothing passes before the 101 */
	bench_send(b.origin[0], "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
				"Upgrade: websocket\r\n\r\nframe");
	got = bench_got(c);
	CU_ASSERT(starts(got, "HTTP/1.1 101 "));
	CU_ASSERT(has(got, "\r\n\r\nframe"));
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[0]), "EARLY");
	bench_advance(20 * TG_SEC); /* no route timeout in a tunnel */
	bench_send(c, "more");
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[0]), "more");
	bench_fin(c);
	CU_ASSERT_TRUE(b.origin[0]->eof);
	bench_send(b.origin[0], "bye");
	CU_ASSERT_STRING_EQUAL(bench_got(c), "bye");
	bench_fin(b.origin[0]);
	CU_ASSERT_TRUE(tg_proxy_idle(b.proxy));
	CU_ASSERT_EQUAL(bench_log()->status, 101);
	bench_end();
}

static void tunnel_ends_with_its_origin(void)
{
	struct bench_peer *c, *other;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c, "GET /api HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\n"
		      "Upgrade: websocket\r\n\r\n");
	bench_send(b.origin[0], "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
				"Upgrade: websocket\r\n\r\n");
	/* another request cannot be dialled for: it does not wait for the tunnel to end */
	b.connect_error = TG_ENOPORT;
	other = bench_client(0);
	bench_send(other, GET);
	CU_ASSERT(starts(bench_got(other), "HTTP/1.1 503 "));
	bench_fin(b.origin[0]);
	CU_ASSERT_TRUE(c->eof);
	CU_ASSERT_FALSE(c->failed);
	bench_reset(b.origin[0]);
	CU_ASSERT_TRUE(c->failed);
	bench_end();
}

static void unwanted_upgrades(void)
{
	struct bench_peer *c;
	const char *got;

	bench_start(4096);
	c = bench_client(0);
	bench_send(c,
		"GET /api HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade, HTTP2-Settings\r\n"
		"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n");
	got = bench_got(b.origin[0]);
	CU_ASSERT_PTR_NULL(strstr(got, "h2c"));
	CU_ASSERT_PTR_NULL(strstr(got, "HTTP2-Settings"));
	bench_send(b.origin[0],
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 502 "));
	/* WebSocket, but not by a GET */
	bench_send(c, "POST /api HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\n"
		      "Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n");
	CU_ASSERT_PTR_NULL(strstr(bench_got(b.origin[1]), "pgrade"));
	bench_send(b.origin[1], "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
				"Upgrade: websocket\r\n\r\n");
	CU_ASSERT(starts(bench_got(c), "HTTP/1.1 502 "));
	bench_end();
}

TG_TEST_MAIN("http", {"ask and answer", ask_and_answer},
	{"head in single bytes", head_in_single_bytes}, {"pipelined in order", pipelined_in_order},
	{"empty lines and the end", empty_lines_and_the_end},
	{"empty lines and silence", empty_lines_and_silence},
	{"body that ends too early", body_that_ends_too_early},
	{"no content to a HEAD that is refused", no_content_to_a_head_that_is_refused},
	{"many pipelined local replies", many_pipelined_local_replies},
	{"local replies", local_replies}, {"Max-Forwards", max_forwards},
	{"bodies both ways", bodies_both_ways},
	{"HTTP/1.0 client gets no chunks", http10_client_gets_no_chunks},
	{"until-close responses end or are cut", until_close_responses_end_or_are_cut},
	{"HEAD and 304 have no body", head_and_304_have_no_body},
	{"interim responses", interim_responses},
	{"an answer instead of 100", an_answer_instead_of_continue},
	{"endless interim responses are refused", endless_interim_responses_are_refused},
	{"websocket becomes a tunnel", websocket_becomes_a_tunnel},
	{"tunnel ends with its origin", tunnel_ends_with_its_origin},
	{"unwanted upgrades", unwanted_upgrades})
