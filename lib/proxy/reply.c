/* reply.c: Tidegate's own answers, with Envoy's words, flags and details. */
#include "internal.h"

struct reply {
	enum tg_why why;
	uint16_t status; /* 0: from the codec's refusal */
	uint32_t flags;
	const char *details, *body;
	const char *field; /* one more field line, or NULL */
};

static const struct reply replies[PX_REPLY_MAX] = {
	[PX_REPLY_REFUSED] = {TG_WHY_req_malformed, 0, TG_FLAG(DPE), NULL, NULL},
	[PX_REPLY_BODY_REFUSED] = {TG_WHY_req_malformed, 0, TG_FLAG(DPE), NULL, NULL},
	/* Not a reset: answers to earlier requests may be on their way to a client that still
	   reads. */
	[PX_REPLY_BODY_CUT] = {TG_WHY_req_downstream_gone, 400, TG_FLAG(DPE) | TG_FLAG(DC),
		"downstream_remote_disconnect", "Bad Request"},
	[PX_REPLY_BAD_PATH] = {TG_WHY_req_malformed, 400, TG_FLAG(DPE), "path_normalization_failed",
		"Bad Request"},
	[PX_REPLY_LAST_HOP] = {TG_WHY_none, 200, 0, "max_forwards", ""},
	[PX_REPLY_NO_TRACE] = {TG_WHY_req_coding, 501, 0, "max_forwards", "Not Implemented"},
	[PX_REPLY_TIMEOUT] = {TG_WHY_req_timeout, 408, TG_FLAG(DT), "request_overall_timeout",
		"request timeout"},
	[PX_REPLY_HEADERS_TIMEOUT] = {TG_WHY_req_timeout, 408, TG_FLAG(DT),
		"request_header_timeout", "request header timeout"},
	[PX_REPLY_IDLE_TIMEOUT] = {TG_WHY_req_timeout, 408, TG_FLAG(SI), "stream_idle_timeout",
		"stream timeout"},
	[PX_REPLY_NO_ROUTE] = {TG_WHY_req_no_route, 404, TG_FLAG(NR), "route_not_found", ""},
	[PX_REPLY_NO_HOST] = {TG_WHY_req_no_host, 503, TG_FLAG(UH), "no_healthy_upstream",
		"no healthy upstream"},
	[PX_REPLY_CONNECT_FAILURE] = {TG_WHY_req_connect_failure, 503, TG_FLAG(UF),
		"upstream_reset_before_response_started{connection_failure}",
		"upstream connect error or disconnect/reset before headers. "
		"reset reason: connection failure"},
	[PX_REPLY_NO_PORT] = {TG_WHY_req_connect_failure, 503, TG_FLAG(UF),
		"upstream_reset_before_response_started{connection_failure|no_free_source_port}",
		"upstream connect error or disconnect/reset before headers. reset reason: "
		"connection failure, transport failure reason: no free source port"},
	[PX_REPLY_CONNECT_TIMEOUT] = {TG_WHY_req_connect_failure, 503, TG_FLAG(UF),
		"upstream_reset_before_response_started{connection_timeout}",
		"upstream connect error or disconnect/reset before headers. "
		"reset reason: connection timeout"},
	[PX_REPLY_OVERFLOW] = {TG_WHY_req_overflow, 503, TG_FLAG(UO),
		"upstream_reset_before_response_started{overflow}",
		"upstream connect error or disconnect/reset before headers. reset reason: "
		"overflow",
		"x-envoy-overloaded: true"},
	[PX_REPLY_UPSTREAM_RESET] = {TG_WHY_req_upstream_reset, 503, TG_FLAG(UR),
		"upstream_reset_before_response_started{remote_reset}",
		"upstream connect error or disconnect/reset before headers. "
		"reset reason: remote reset"},
	[PX_REPLY_UPSTREAM_CLOSED] = {TG_WHY_req_upstream_reset, 503, TG_FLAG(UC),
		"upstream_reset_before_response_started{connection_termination}",
		"upstream connect error or disconnect/reset before headers. "
		"reset reason: connection termination"},
	[PX_REPLY_UPSTREAM_TIMEOUT] = {TG_WHY_req_upstream_timeout, 504, TG_FLAG(UT),
		"response_timeout", "upstream request timeout"},
	[PX_REPLY_UPSTREAM_BAD] = {TG_WHY_req_upstream_bad, 502, TG_FLAG(UPE),
		"upstream_reset_before_response_started{protocol_error}",
		"upstream connect error or disconnect/reset before headers. "
		"reset reason: protocol error"},
	[PX_REPLY_NO_MEMORY] = {TG_WHY_req_no_memory, 503, TG_FLAG(OM), "overload",
		"out of memory for this request", "x-envoy-local-overloaded: true"},
};

static const char *reason_of(uint16_t status)
{
	switch (status) {
	case 200:
		return "OK";
	case 404:
		return "Not Found";
	case 408:
		return "Request Timeout";
	case 414:
		return "URI Too Long";
	case 417:
		return "Expectation Failed";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Bad Request";
	}
}

static enum tg_why why_of_status(uint16_t status)
{
	switch (status) {
	case 414:
		return TG_WHY_req_target_too_long;
	case 417:
		return TG_WHY_req_expectation;
	case 431:
		return TG_WHY_req_head_too_big;
	case 501:
		return TG_WHY_req_coding;
	case 505:
		return TG_WHY_req_version;
	default:
		return TG_WHY_req_malformed;
	}
}

const struct tg_view px_overloaded = {
#define TEXT \
	"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n" \
	"x-envoy-local-overloaded: true\r\nconnection: close\r\n\r\n"
	(const uint8_t *)TEXT, sizeof(TEXT) - 1
#undef TEXT
};

static void put(uint8_t **w, const char *s)
{
	size_t n = strlen(s);

	memcpy(*w, s, n);
	*w += n;
}

/* A HEAD that was refused before its end is one all the same. Nothing of it was consumed then. */
static bool is_to_head(const struct px_exch *ex)
{
	const struct px_head *h = &ex->req_head;
	struct tg_view v = tg_view_of(h->buf, h->have);

	if (ex->req_ready)
		return ex->req.method == TG_HEAD;
	if (!h->buf && !tg_conn_peek(ex->down->conn, &v, 1))
		return false;
	if (v.n < h->scan.start)
		return false;
	v.p += h->scan.start;
	v.n -= h->scan.start;
	return tg_view_has_prefix(v, TG_VIEW("HEAD "));
}

static struct tg_view compose(
	struct px_exch *ex, uint16_t status, const char *field, const char *body)
{
	const char *reason = reason_of(status), *server = ex->lc->server_name;
	struct tg_view date = px_text_date(ex->proxy);
	uint32_t body_n = (uint32_t)strlen(body);
	uint8_t *t = tg_arena_alloc(&ex->arena,
			256 + (uint32_t)strlen(reason) + (uint32_t)strlen(server) + body_n),
		*w = t;

	if (!t) {
		ex->status = 503;
		ex->down->close_soon = true;
		return px_overloaded;
	}
	put(&w, "HTTP/1.1 ");
	w += px_text_u64(status, w);
	put(&w, " ");
	put(&w, reason);
	put(&w, "\r\ncontent-length: ");
	w += px_text_u64(body_n, w);
	if (body_n)
		put(&w, "\r\ncontent-type: text/plain");
	put(&w, "\r\ndate: ");
	memcpy(w, date.p, date.n);
	w += date.n;
	put(&w, "\r\nserver: ");
	put(&w, server);
	if (field) {
		put(&w, "\r\n");
		put(&w, field);
	}
	put(&w, ex->down->close_soon    ? "\r\nconnection: close\r\n\r\n"
		: ex->req.version_minor ? "\r\n\r\n"
					: "\r\nconnection: keep-alive\r\n\r\n");
	if (!is_to_head(ex))
		put(&w, body);
	return tg_view_of(t, (size_t)(w - t));
}

/* The body that also says why TLS with the origin failed, as Envoy's does. */
static const char *with_transport(struct px_exch *ex, const char *body)
{
	static const char between[] = ", transport failure reason: TLS error: ";
	const char *why = tg_why_text(ex->transport);
	uint8_t *t = tg_arena_alloc(
			&ex->arena, (uint32_t)(strlen(body) + sizeof(between) + strlen(why))),
		*w = t;

	if (!t)
		return body;
	put(&w, body);
	put(&w, between);
	put(&w, why);
	*w = 0;
	return (const char *)t;
}

void px_reply(struct px_exch *ex, enum px_reply which)
{
	const struct reply *r = &replies[which];
	enum tg_h1_refusal refusal = which == PX_REPLY_BODY_REFUSED
					     ? (enum tg_h1_refusal)ex->req_pump.in.refusal
					     : (enum tg_h1_refusal)ex->req_head.scan.refusal;
	uint16_t status = r->status ? r->status : tg_h1_status(refusal);
	const char *body = r->body ? r->body : reason_of(status);
	struct px_down *d = ex->down;

	if (ex->interim_pending) {
		/* Part of an interim response is out: nothing can follow it but its rest. */
		px_exch_cut(ex, r->why, r->flags, r->details);
		return;
	}
	px_exch_drop_upstream(ex, TG_WHY_conn_aborted);
	if (ex->transport)
		body = with_transport(ex, body);
	ex->flags |= r->flags;
	ex->why = r->status ? r->why : why_of_status(status);
	ex->details = r->details ? r->details : tg_h1_refusal_name(refusal);
	ex->status = status;
	if (!ex->req_ready)
		tg_list_del(&ex->link);
	ex->state = PX_EX_LOCAL;
	ex->last_activity = px_now(ex->proxy);
	/* Only behind a request that was read to its end and understood can another one begin. */
	ex->req_done = ex->req_ready && ex->req_pump.in.ended;
	if (!ex->req_done || !ex->req.keep_alive || ex->proxy->draining || d->ln->pinned ||
		ex->req.method == TG_CONNECT || status == 400)
		d->close_soon = true;
	tg_pump_init(&ex->resp_pump, TG_BODY_NONE, 0, TG_BODY_NONE, NULL);
	ex->resp_pump.lead = compose(ex, status, r->field, body);
	ex->resp_pump.content = strlen(body);
}
