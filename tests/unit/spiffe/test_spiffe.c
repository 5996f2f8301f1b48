/* The Workload API's client without sockets: endpoints, responses, and a call against nghttp2's
 * server session, whose bytes arrive in pieces of every size. */
#include <stdio.h>
#include <stdlib.h>

#include <nghttp2/nghttp2.h>
#include <tidegate/spiffe.h>

#include "../tgtest.h"

static void endpoints(void)
{
	static const struct {
		const char *uri;
		bool ok;
	} t[] = {{"unix:///run/a.sock", true}, {"unix:/run/a.sock", true},
		{"tcp://127.0.0.1:8081", true}, {"tcp://[::1]:8081", true}, {"unix://run/a", false},
		{"unix:run/a", false}, {"unix:///", false}, {"unix:///a?b", false},
		{"tcp://localhost:1", false}, {"tcp://127.0.0.1", false},
		{"tcp://127.0.0.1:0", false}, {"tcp://127.0.0.1:65536", false},
		{"tcp://127.0.0.1:1/", false}, {"tcp://[::1:1", false}, {"tcp://::1:1", false},
		{"http://127.0.0.1:1", false}, {"", false}};
	struct tg_spiffe_endpoint at;
	struct tg_errbuf e;

	for (size_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		int rc = tg_spiffe_endpoint(t[i].uri, &at, &e);

		if ((rc == 0) != t[i].ok)
			fprintf(stderr, "%s: %d\n", t[i].uri, rc);
		CU_ASSERT_EQUAL(rc == 0, t[i].ok);
	}
}

static void retries(void)
{
	for (uint32_t n = 0; n < 40; n++) {
		uint64_t base = n < 9 ? UINT64_C(100000000) << n : 30000000000u;

		base = base > 30000000000u ? 30000000000u : base;
		for (uint64_t r = 0; r < 1000; r++) {
			uint64_t d = tg_spiffe_retry_delay(n, r * UINT64_C(0x9e3779b97f4a7c15));

			CU_ASSERT(d >= base / 2 && d <= base);
		}
	}
}

/* --- responses ----------------------------------------------------------------------------------
 */

struct buf {
	uint8_t b[512];
	uint32_t n;
};

/* A field of fewer than 128 bytes. */
static void put(struct buf *to, int field, const void *p, uint32_t n)
{
	to->b[to->n++] = (uint8_t)(field << 3 | 2);
	to->b[to->n++] = (uint8_t)n;
	memcpy(to->b + to->n, p, n);
	to->n += n;
}

/* With one SVID, which lacks the field `but`. */
static struct buf response(int but)
{
	static const char *const f[] = {"spiffe://a/b", "chain", "key", "bundle", "hint"};
	static const char *const certs[] = {"old", "new"};
	struct buf m = {.n = 0}, s = {.n = 0};

	for (int i = 0; i < 5; i++)
		if (i + 1 != but)
			put(&s, i + 1, f[i], (uint32_t)strlen(f[i]));
	put(&m, 1, s.b, s.n);
	put(&m, 2, "crl", 3);
	for (int i = 0; i < 2; i++) { /* the same key twice: the last counts */
		s.n = 0;
		put(&s, 1, "spiffe://c", 10);
		put(&s, 2, certs[i], 3);
		put(&m, 3, s.b, s.n);
	}
	return m;
}

static void decodes(void)
{
	struct buf m = response(0);
	struct tg_spiffe_update *u;
	struct tg_errbuf e;

	CU_ASSERT_EQUAL_FATAL(tg_spiffe_decode(TG_SPIFFE_SVIDS, tg_view_of(m.b, m.n), &u, &e), 0);
	CU_ASSERT(u->n_svids == 1 && u->n_crls == 1 && u->n_bundles == 1);
	CU_ASSERT(tg_view_eq(u->svids[0].spiffe_id, TG_VIEW("spiffe://a/b")));
	CU_ASSERT(tg_view_eq(u->svids[0].chain, TG_VIEW("chain")));
	CU_ASSERT(tg_view_eq(u->svids[0].key, TG_VIEW("key")));
	CU_ASSERT(tg_view_eq(u->svids[0].bundle, TG_VIEW("bundle")));
	CU_ASSERT(tg_view_eq(u->svids[0].hint, TG_VIEW("hint")));
	CU_ASSERT(tg_view_eq(u->bundles[0].trust_domain, TG_VIEW("spiffe://c")));
	CU_ASSERT(tg_view_eq(u->bundles[0].certs, TG_VIEW("new")));
	tg_spiffe_update_free(u);
	for (int but = 1; but <= 5; but++) { /* only the hint may be absent */
		m = response(but);
		CU_ASSERT_EQUAL(tg_spiffe_decode(TG_SPIFFE_SVIDS, tg_view_of(m.b, m.n), &u, &e),
			but == 5 ? 0 : TG_EINVAL);
		tg_spiffe_update_free(u);
	}
	for (int call = 0; call < TG_SPIFFE_CALLS; call++)
		CU_ASSERT_EQUAL(tg_spiffe_decode((enum tg_spiffe_call)call, TG_VIEW_NONE, &u, &e),
			TG_EINVAL);
}

/* Two million SVIDs without a byte in them would take far more memory than they have bytes. */
static void bounds(void)
{
	struct tg_spiffe_update *u;
	struct tg_errbuf e;
	uint32_t n = 4000000;
	uint8_t *b = calloc(1, n);

	for (uint32_t i = 0; i < n; i += 2)
		b[i] = 1 << 3 | 2;
	CU_ASSERT(tg_spiffe_decode(TG_SPIFFE_SVIDS, tg_view_of(b, n), &u, &e) < 0);
	CU_ASSERT(tg_spiffe_decode(TG_SPIFFE_SVIDS, tg_view_of(b, 4000), &u, &e) < 0);
	free(b);
}

/* --- a call -------------------------------------------------------------------------------------
 */

static struct {
	uint32_t updates, ends;
	int status;
	char text[256], marker[16];
} told;

static void on_update(void *arg, enum tg_spiffe_call call, const struct tg_spiffe_update *u)
{
	CU_ASSERT(call == TG_SPIFFE_SVIDS && u->n_svids == 1);
	told.updates++;
}

static void on_end(void *arg, enum tg_spiffe_call call, int status, const char *text)
{
	told.ends++;
	told.status = status;
	snprintf(told.text, sizeof(told.text), "%s", text);
}

static const struct tg_spiffe_events events = {on_update, on_end};

static int on_header(nghttp2_session *h2, const nghttp2_frame *f, const uint8_t *name, size_t n,
	const uint8_t *value, size_t n_value, uint8_t flags, void *arg)
{
	if (n == 18 && memcmp(name, "workload.spiffe.io", 18) == 0 && n_value < 16)
		memcpy(told.marker, value, n_value);
	return 0;
}

struct answer {
	const char *http, *type, *status; /* status NULL: no trailers */
	uint8_t body[2048];
	size_t n, at;
};

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
		strlen(value), 0};
}

static ssize_t read_body(nghttp2_session *h2, int32_t stream, uint8_t *to, size_t room,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct answer *a = source->ptr;
	size_t n = a->n - a->at < room ? a->n - a->at : room;

	memcpy(to, a->body + a->at, n);
	a->at += n;
	if (a->at < a->n)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (a->status) {
		nghttp2_nv nv[] = {
			field("grpc-status", a->status), field("grpc-message", "why%20%E4%")};

		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(h2, stream, nv, 2);
	}
	return (ssize_t)n;
}

static void add_message(struct answer *a, const struct buf *m, uint8_t compressed, uint32_t len)
{
	uint8_t *to = a->body + a->n;

	to[0] = compressed;
	tg_store_be32(to + 1, len);
	memcpy(to + 5, m->b, m->n);
	a->n += 5u + m->n;
}

/* Client and server until both are silent; the server's bytes come in pieces. */
static void run(struct tg_spiffe *s, nghttp2_session *h2, struct answer *a, size_t piece)
{
	nghttp2_data_provider body = {{.ptr = a}, read_body};
	nghttp2_nv nv[] = {field(":status", a->http), field("content-type", a->type)};
	bool answered = false, more = true;
	struct tg_errbuf e;
	struct tg_view v;
	const uint8_t *p;
	ssize_t n;

	while (more) {
		more = false;
		while (tg_spiffe_pull(s, &v) == 0 && v.n) {
			CU_ASSERT_EQUAL(nghttp2_session_mem_recv(h2, v.p, v.n), v.n);
			more = true;
		}
		if (told.marker[0] && !answered)
			nghttp2_submit_response(h2, 1, nv, 2, &body);
		answered |= told.marker[0] != 0;
		while ((n = nghttp2_session_mem_send(h2, &p)) > 0)
			for (size_t at = 0; at < (size_t)n; at += piece) {
				size_t left = (size_t)n - at;

				more = true;
				CU_ASSERT_EQUAL(
					tg_spiffe_feed(s, p + at, left < piece ? left : piece, &e),
					0);
			}
	}
}

static void meet(struct answer *a, size_t piece)
{
	struct tg_spiffe *s = tg_spiffe_open(1u << TG_SPIFFE_SVIDS, &events, NULL);
	nghttp2_session_callbacks *cb;
	nghttp2_session *h2;

	memset(&told, 0, sizeof(told));
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	CU_ASSERT_EQUAL_FATAL(nghttp2_session_server_new(&h2, cb, NULL), 0);
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(h2, 0, NULL, 0);
	run(s, h2, a, piece);
	CU_ASSERT_STRING_EQUAL(told.marker, "true");
	CU_ASSERT_EQUAL(told.ends, 1);
	CU_ASSERT_FALSE(tg_spiffe_alive(s));
	tg_spiffe_close(s);
	nghttp2_session_del(h2);
}

static void streams(void)
{
	struct buf m = response(0);

	for (size_t piece = 1; piece < 400; piece = piece * 2 + 1) {
		struct answer a = {.http = "200", .type = "application/grpc+proto", .status = "14"};

		add_message(&a, &m, 0, m.n);
		add_message(&a, &m, 0, m.n);
		meet(&a, piece);
		CU_ASSERT_EQUAL(told.updates, 2);
		CU_ASSERT_EQUAL(told.status, TG_SPIFFE_UNAVAILABLE);
		CU_ASSERT_STRING_EQUAL(told.text, "why ?%");
	}
}

static void faults(void)
{
	static const char grpc[] = "application/grpc";
	struct buf m = response(0), bad = {.b = {0xff, 0xff}, .n = 2};
	const struct {
		const char *http, *type, *status;
		const struct buf *msg;
		uint8_t compressed;
		uint32_t len;
		int want;
		const char *text;
	} t[] = {
		{"200", grpc, "7", NULL, 0, 0, TG_SPIFFE_PERMISSION_DENIED, "why"},
		{"200", grpc, "3", NULL, 0, 0, TG_SPIFFE_INVALID_ARGUMENT, "why"},
		{"200", grpc, "x", NULL, 0, 0, TG_SPIFFE_UNKNOWN, "why"},
		{"200", grpc, NULL, NULL, 0, 0, TG_SPIFFE_UNAVAILABLE, "stream ended"},
		{"404", "text/html", NULL, NULL, 0, 0, TG_SPIFFE_UNIMPLEMENTED, "status 404"},
		{"403", "text/html", NULL, NULL, 0, 0, TG_SPIFFE_PERMISSION_DENIED, "403"},
		{"200", "text/html", NULL, &m, 0, m.n, TG_SPIFFE_UNKNOWN, "no gRPC"},
		{"200", grpc, "0", &bad, 0, 2, TG_SPIFFE_BAD_MESSAGE, "decoded"},
		{"200", grpc, "0", &m, 1, m.n, TG_SPIFFE_BAD_MESSAGE, "compressed"},
		{"200", grpc, "0", &m, 0, UINT32_MAX, TG_SPIFFE_BAD_MESSAGE, "4 MiB"},
		{"200", grpc, "0", &m, 0, 0, TG_SPIFFE_BAD_MESSAGE, "no SVID"},
	};

	for (size_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		struct answer a = {.http = t[i].http, .type = t[i].type, .status = t[i].status};

		if (t[i].msg)
			add_message(&a, t[i].msg, t[i].compressed, t[i].len);
		meet(&a, 7);
		if (told.status != t[i].want || !strstr(told.text, t[i].text))
			fprintf(stderr, "case %zu: %d %s\n", i, told.status, told.text);
		CU_ASSERT_EQUAL(told.status, t[i].want);
		CU_ASSERT_PTR_NOT_NULL(strstr(told.text, t[i].text));
		CU_ASSERT_EQUAL(told.updates, 0);
	}
}

static void no_http2(void)
{
	struct tg_spiffe *s = tg_spiffe_open(3, &events, NULL);
	struct tg_view v = TG_VIEW("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
	struct tg_errbuf e = {""};
	struct tg_view out;

	CU_ASSERT(tg_spiffe_alive(s));
	tg_spiffe_feed(s, v.p, v.n, &e);
	while (tg_spiffe_pull(s, &out) == 0 && out.n) /* GOAWAY says what is wrong */
		;
	CU_ASSERT_FALSE(tg_spiffe_alive(s));
	tg_spiffe_close(s);
}

TG_TEST_MAIN("spiffe", {"endpoints", endpoints}, {"trying again", retries}, {"responses", decodes},
	{"bounds", bounds}, {"streams", streams}, {"faults", faults}, {"no HTTP/2", no_http2})
