/* gRPC over HTTP/2 (nghttp2), as far as two calls that stream responses need it. */
#include <stdio.h>
#include <stdlib.h>

#include <nghttp2/nghttp2.h>

#include <tidegate/spiffe.h>

#define PREFIX 5 /* of a message: compressed or not, length */

struct call {
	enum tg_spiffe_call which;
	int32_t stream;  /* 0: none */
	bool ended;      /* or not wanted */
	bool grpc;       /* the response is one of gRPC */
	int http_status; /* 0: none yet */
	int status;      /* grpc-status; -1: none yet */
	char text[200];  /* grpc-message */
	uint8_t prefix[PREFIX];
	uint32_t n_prefix;
	uint8_t *msg; /* NULL: between messages */
	uint32_t len, got;
};

struct tg_spiffe {
	nghttp2_session *h2;
	struct tg_spiffe_events ev;
	void *arg;
	struct call call[TG_SPIFFE_CALLS];
};

const char *tg_spiffe_status_name(int status)
{
	static const char *const names[] = {"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
		"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};

	if (status == TG_SPIFFE_BAD_MESSAGE)
		return "BAD_MESSAGE";
	return status >= 0 && status < (int)TG_ARRAY_LEN(names) ? names[status] : "UNKNOWN";
}

static struct call *call_of(struct tg_spiffe *s, int32_t stream)
{
	for (int i = 0; i < TG_SPIFFE_CALLS; i++)
		if (stream && s->call[i].stream == stream)
			return &s->call[i];
	return NULL;
}

static void drop_message(struct call *c)
{
	if (c->msg)
		explicit_bzero(c->msg, c->got);
	free(c->msg);
	c->msg = NULL;
	c->n_prefix = c->got = c->len = 0;
}

static void end(struct tg_spiffe *s, struct call *c, int status, const char *text)
{
	if (c->ended)
		return;
	c->ended = true;
	drop_message(c);
	s->ev.on_end(s->arg, c->which, status, text);
}

static void give_up(struct tg_spiffe *s, struct call *c, int status, const char *text)
{
	nghttp2_submit_rst_stream(s->h2, NGHTTP2_FLAG_NONE, c->stream, NGHTTP2_CANCEL);
	end(s, c, status, text);
}

/* --- header fields ------------------------------------------------------------------------------
 */

static int number(const uint8_t *p, size_t n)
{
	int v = 0;

	if (n == 0 || n > 4)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

static int hex(uint8_t c)
{
	return c >= '0' && c <= '9'                     ? c - '0'
	       : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
							: -1;
}

/* Percent-encoded (gRPC over HTTP2, Status-Message); what is not printable becomes "?". */
static void decode_text(struct call *c, const uint8_t *p, size_t n)
{
	size_t used = 0;

	for (size_t i = 0; i < n && used < sizeof(c->text) - 1; i++) {
		uint8_t b = p[i];

		if (b == '%' && i + 2 < n && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0) {
			b = (uint8_t)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
			i += 2;
		}
		c->text[used++] = b >= 0x20 && b < 0x7f ? (char)b : '?';
	}
	c->text[used] = 0;
}

static bool is(const uint8_t *name, size_t n, const char *what)
{
	return n == strlen(what) && memcmp(name, what, n) == 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *f, const uint8_t *name, size_t n,
	const uint8_t *value, size_t n_value, uint8_t flags, void *arg)
{
	struct call *c = call_of(arg, f->hd.stream_id);
	static const char type[] = "application/grpc";

	if (!c)
		return 0;
	if (is(name, n, ":status"))
		c->http_status = number(value, n_value);
	else if (is(name, n, "content-type"))
		c->grpc = n_value >= sizeof(type) - 1 && memcmp(value, type, sizeof(type) - 1) == 0;
	else if (is(name, n, "grpc-status"))
		c->status = number(value, n_value) < 0 ? TG_SPIFFE_UNKNOWN : number(value, n_value);
	else if (is(name, n, "grpc-message"))
		decode_text(c, value, n_value);
	return 0;
}

/* --- messages -----------------------------------------------------------------------------------
 */

static void on_message(struct tg_spiffe *s, struct call *c)
{
	struct tg_spiffe_update *u;
	struct tg_errbuf e = {""};
	int rc = tg_spiffe_decode(c->which, tg_view_of(c->msg, c->len), &u, &e);

	drop_message(c);
	if (rc) {
		give_up(s, c, TG_SPIFFE_BAD_MESSAGE, e.text);
		return;
	}
	s->ev.on_update(s->arg, c->which, u);
	tg_spiffe_update_free(u);
}

/* The prefix is complete. */
static void begin_message(struct tg_spiffe *s, struct call *c)
{
	c->len = tg_load_be32(c->prefix + 1);
	if (c->prefix[0] != 0)
		give_up(s, c, TG_SPIFFE_BAD_MESSAGE, "it is compressed, which was not offered");
	else if (c->len > TG_SPIFFE_MESSAGE_MAX)
		give_up(s, c, TG_SPIFFE_BAD_MESSAGE, "it is longer than 4 MiB");
	else if (!(c->msg = malloc(c->len + 1u)))
		give_up(s, c, TG_SPIFFE_RESOURCE_EXHAUSTED, "no memory left");
	else if (c->len == 0)
		on_message(s, c);
}

static size_t take_some(struct tg_spiffe *s, struct call *c, const uint8_t *p, size_t n)
{
	size_t want;

	if (!c->msg) {
		want = PREFIX - c->n_prefix < n ? PREFIX - c->n_prefix : n;
		memcpy(c->prefix + c->n_prefix, p, want);
		c->n_prefix += (uint32_t)want;
		if (c->n_prefix == PREFIX)
			begin_message(s, c);
		return want;
	}
	want = c->len - c->got < n ? c->len - c->got : n;
	memcpy(c->msg + c->got, p, want);
	c->got += (uint32_t)want;
	if (c->got == c->len)
		on_message(s, c);
	return want;
}

static int on_data(
	nghttp2_session *h2, uint8_t flags, int32_t stream, const uint8_t *p, size_t n, void *arg)
{
	struct tg_spiffe *s = arg;
	struct call *c = call_of(s, stream);

	if (!c || !c->grpc || c->http_status != 200)
		return 0; /* an error page: its status says enough */
	while (n && !c->ended) {
		size_t used = take_some(s, c, p, n);

		p += used;
		n -= used;
	}
	return 0;
}

/* gRPC's table for responses without grpc-status (http-grpc-status-mapping). */
static int status_of_http(int http)
{
	switch (http) {
	case 400:
		return TG_SPIFFE_INTERNAL;
	case 401:
		return TG_SPIFFE_UNAUTHENTICATED;
	case 403:
		return TG_SPIFFE_PERMISSION_DENIED;
	case 404:
		return TG_SPIFFE_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return TG_SPIFFE_UNAVAILABLE;
	}
	return TG_SPIFFE_UNKNOWN;
}

static int on_close(nghttp2_session *h2, int32_t stream, uint32_t code, void *arg)
{
	struct tg_spiffe *s = arg;
	struct call *c = call_of(s, stream);
	char text[64];

	if (!c)
		return 0;
	if (c->status >= 0) {
		end(s, c, c->status, c->text);
	} else if (c->http_status && (c->http_status != 200 || !c->grpc)) {
		snprintf(text, sizeof(text), "HTTP status %d, and no gRPC", c->http_status);
		end(s, c, status_of_http(c->http_status), text);
	} else {
		snprintf(text, sizeof(text), "the stream ended: %s", nghttp2_http2_strerror(code));
		end(s, c, TG_SPIFFE_UNAVAILABLE, text);
	}
	c->stream = 0;
	return 0;
}

/* --- a connection -------------------------------------------------------------------------------
 */

/* The request's body: a message of no bytes. */
static ssize_t read_request(nghttp2_session *h2, int32_t stream, uint8_t *buf, size_t n,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	if (n < PREFIX)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	memset(buf, 0, PREFIX);
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	return PREFIX;
}

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
		strlen(value), NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static bool submit(struct tg_spiffe *s, struct call *c)
{
	static const char *const paths[] = {
		"/SpiffeWorkloadAPI/FetchX509SVID", "/SpiffeWorkloadAPI/FetchX509Bundles"};
	nghttp2_nv nv[] = {field(":method", "POST"), field(":scheme", "http"),
		field(":path", paths[c->which]), field(":authority", "localhost"),
		field("te", "trailers"), field("content-type", "application/grpc"),
		field("user-agent", "tidegate/" TG_VERSION), field("workload.spiffe.io", "true")};
	nghttp2_data_provider body = {.read_callback = read_request};

	c->stream = nghttp2_submit_request(s->h2, NULL, nv, TG_ARRAY_LEN(nv), &body, NULL);
	if (c->stream > 0)
		return true;
	c->stream = 0;
	return false;
}

static bool begin(struct tg_spiffe *s, uint32_t calls)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 16384},
	};
	bool ok = nghttp2_submit_settings(
			  s->h2, NGHTTP2_FLAG_NONE, settings, TG_ARRAY_LEN(settings)) == 0;

	for (int i = 0; i < TG_SPIFFE_CALLS && ok; i++) {
		s->call[i] = (struct call){.which = (enum tg_spiffe_call)i, .status = -1};
		s->call[i].ended = !(calls & 1u << i);
		if (!s->call[i].ended)
			ok = submit(s, &s->call[i]);
	}
	return ok;
}

struct tg_spiffe *tg_spiffe_open(uint32_t calls, const struct tg_spiffe_events *ev, void *arg)
{
	struct tg_spiffe *s = calloc(1, sizeof(*s));
	nghttp2_session_callbacks *cb = NULL;

	if (!s || nghttp2_session_callbacks_new(&cb)) {
		free(s);
		return NULL;
	}
	s->ev = *ev;
	s->arg = arg;
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	if (nghttp2_session_client_new(&s->h2, cb, s) == 0 && begin(s, calls)) {
		nghttp2_session_callbacks_del(cb);
		return s;
	}
	nghttp2_session_callbacks_del(cb);
	tg_spiffe_close(s);
	return NULL;
}

void tg_spiffe_close(struct tg_spiffe *s)
{
	if (!s)
		return;
	for (int i = 0; i < TG_SPIFFE_CALLS; i++) {
		s->call[i].ended = true; /* nothing is told any more */
		drop_message(&s->call[i]);
	}
	nghttp2_session_del(s->h2);
	free(s);
}

int tg_spiffe_feed(struct tg_spiffe *s, const uint8_t *p, size_t n, struct tg_errbuf *e)
{
	ssize_t used = nghttp2_session_mem_recv(s->h2, p, n);

	if (used < 0)
		return tg_fail(e, TG_EINVAL, "what it sends is no HTTP/2: %s",
			nghttp2_strerror((int)used));
	return 0;
}

int tg_spiffe_pull(struct tg_spiffe *s, struct tg_view *out)
{
	const uint8_t *p;
	ssize_t n = nghttp2_session_mem_send(s->h2, &p);

	*out = tg_view_of(p, n > 0 ? (size_t)n : 0);
	return n < 0 ? TG_ENOMEM : 0;
}

bool tg_spiffe_alive(const struct tg_spiffe *s)
{
	bool open = false;

	for (int i = 0; i < TG_SPIFFE_CALLS; i++)
		open |= !s->call[i].ended;
	return open && (nghttp2_session_want_read(s->h2) || nghttp2_session_want_write(s->h2));
}
