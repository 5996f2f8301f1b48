/* reply.c: Tidegate's own answers, with Envoy's words, flags and details. */
#include "internal.h"

struct reply {
	enum tg_why why;
	uint16_t status; /* 0: from the codec's refusal */
	uint32_t flags;
	const char *details, *body;
	struct tg_field field; /* one more; no name: none */
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
	[PX_REPLY_MAX_DURATION] = {TG_WHY_req_timeout, 408, TG_FLAG(DT), "max_duration_timeout",
		"downstream duration timeout"},
	[PX_REPLY_NO_ROUTE] = {TG_WHY_req_no_route, 404, TG_FLAG(NR), "route_not_found", ""},
	[PX_REPLY_NO_CLUSTER] = {TG_WHY_req_no_cluster, 503, TG_FLAG(NC), "cluster_not_found", ""},
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
		{TG_VIEW_OF("x-envoy-overloaded"), TG_VIEW_OF("true")}},
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
	[PX_REPLY_TRY_TIMEOUT] = {TG_WHY_req_upstream_timeout, 504, TG_FLAG(UT),
		"upstream_per_try_timeout", "upstream request timeout"},
	[PX_REPLY_TRY_IDLE_TIMEOUT] = {TG_WHY_req_upstream_timeout, 504, TG_FLAG(UT),
		"upstream_per_try_idle_timeout", "upstream request timeout"},
	[PX_REPLY_UPSTREAM_BAD] = {TG_WHY_req_upstream_bad, 502, TG_FLAG(UPE),
		"upstream_reset_before_response_started{protocol_error}",
		"upstream connect error or disconnect/reset before headers. "
		"reset reason: protocol error"},
	[PX_REPLY_NO_MEMORY] = {TG_WHY_req_no_memory, 503, TG_FLAG(OM), "overload",
		"out of memory for this request",
		{TG_VIEW_OF("x-envoy-local-overloaded"), TG_VIEW_OF("true")}},
	[PX_REPLY_OVERLOADED] = {TG_WHY_req_overload, 503, TG_FLAG(OM), "overload",
		"envoy overloaded", {TG_VIEW_OF("x-envoy-local-overloaded"), TG_VIEW_OF("true")}},
};

/* RFC 9110 section 15, and RFC 6585. */
static const struct {
	uint16_t status;
	const char *reason;
} reasons[] = {{200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"},
	{301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"},
	{307, "Temporary Redirect"}, {308, "Permanent Redirect"}, {400, "Bad Request"},
	{401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"},
	{406, "Not Acceptable"}, {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"},
	{411, "Length Required"}, {412, "Precondition Failed"}, {413, "Content Too Large"},
	{414, "URI Too Long"}, {415, "Unsupported Media Type"}, {417, "Expectation Failed"},
	{421, "Misdirected Request"}, {422, "Unprocessable Content"}, {425, "Too Early"},
	{426, "Upgrade Required"}, {428, "Precondition Required"}, {429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"}, {500, "Internal Server Error"},
	{501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"},
	{504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"}};

static const char *reason_of(uint16_t status)
{
	for (uint32_t i = 0; i < TG_ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
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

/* What Tidegate says by itself. */
struct answer {
	uint16_t status;
	struct tg_view body;
	const struct tg_field *fields; /* to add */
	uint32_t n_fields;
	bool by_route;
};

static bool add(struct tg_msg *m, const char *name, struct tg_view value)
{
	return tg_msg_add(m, TG_FIELD_UNKNOWN, tg_view_str(name), value) == 0;
}

static bool add_fields(
	struct px_exch *ex, struct tg_msg *m, const struct answer *a, uint8_t *length)
{
	/* RFC 9110 section 8.6: none in a 204. */
	bool ok = a->status == 204 ||
		  add(m, "content-length", tg_view_of(length, px_text_u64(a->body.n, length)));

	if (a->body.n)
		ok = ok && add(m, "content-type", TG_VIEW("text/plain"));
	ok = ok && add(m, "date", px_text_date(ex->proxy)) &&
	     add(m, "server", tg_view_str(ex->lc->server_name));
	for (uint32_t i = 0; i < a->n_fields && ok; i++)
		ok = tg_msg_add(m, (enum tg_field_id)a->fields[i].id, a->fields[i].name,
			     a->fields[i].value) == 0;
	return ok;
}

static uint32_t size_of(const struct tg_msg *m)
{
	uint32_t n = 64 + m->reason.n;

	for (uint32_t i = 0; i < m->n_fields; i++)
		n += m->fields[i].name.n + m->fields[i].value.n + 4;
	return n;
}

/* Head and content in one piece. .p NULL: no memory; .n 0: a filter wants no answer. */
static struct tg_view compose(struct px_exch *ex, const struct answer *a)
{
	struct tg_msg m = {.version_minor = 1,
		.status = a->status,
		.field_cap = (uint16_t)(8 + a->n_fields + TG_PX_FIELDS_ADDED)};
	uint8_t *length = tg_arena_alloc(&ex->arena, 24), *out;
	uint32_t cap;
	int32_t n;

	m.reason = tg_view_str(reason_of(a->status));
	m.fields = tg_arena_alloc(&ex->arena, m.field_cap * (uint32_t)sizeof(*m.fields));
	if (!length || !m.fields || !add_fields(ex, &m, a, length))
		return TG_VIEW_NONE;
	if (a->by_route && !px_edit_response(ex, &m))
		return TG_VIEW_NONE;
	if (ex->cluster && !px_set_attempts(ex, &m)) /* it has come to the router */
		return TG_VIEW_NONE;
	if (!px_filters_local(ex, &m))
		return tg_view_of("", 0);
	if (ex->down->close_soon || !ex->req.version_minor)
		if (!add(&m, "connection",
			    ex->down->close_soon ? TG_VIEW("close") : TG_VIEW("keep-alive")))
			return TG_VIEW_NONE;
	cap = size_of(&m) + a->body.n;
	out = tg_arena_alloc(&ex->arena, cap);
	n = out ? tg_h1_write_head(&m, out, cap - a->body.n) : -1;
	if (n < 0)
		return TG_VIEW_NONE;
	if (!a->body.n || is_to_head(ex))
		return tg_view_of(out, (uint32_t)n);
	memcpy(out + n, a->body.p, a->body.n);
	return tg_view_of(out, (uint32_t)n + a->body.n);
}

/* ex has its why, flags and details. */
static void answer(struct px_exch *ex, const struct answer *a)
{
	struct px_down *d = ex->down;
	struct tg_view text;

	if (tg_unlikely(d->shadow))
		px_shadow_leave(d);
	px_exch_drop_upstream(ex, TG_WHY_conn_aborted);
	if (ex->retry)
		px_retry_end(ex);
	ex->status = a->status;
	if (!ex->req_ready)
		tg_list_del(&ex->link);
	ex->state = PX_EX_LOCAL;
	ex->waiting = false;
	ex->wake_at = UINT64_MAX;
	ex->last_activity = px_now(ex->proxy);
	/* Only behind a request that was read to its end and understood can another one begin. */
	ex->req_done = ex->req_ready && ex->req_pump.in.ended;
	if (!ex->req_done || !ex->req.keep_alive || ex->proxy->draining || d->ln->pinned ||
		ex->req.method == TG_CONNECT || a->status == 400)
		d->close_soon = true;
	if (tg_unlikely(ex->proxy->overload))
		px_overload_keepalive(d);
	tg_pump_init(&ex->resp_pump, TG_BODY_NONE, 0, TG_BODY_NONE, NULL);
	text = compose(ex, a);
	if (text.p && !text.n) {
		ex->filter_details = ex->fx->reply.details;
		px_exch_cut(ex, ex->fx->reply.why, ex->fx->reply.flags, "filter_reset");
		return;
	}
	if (!text.p) {
		ex->status = 503;
		d->close_soon = true;
		text = px_overloaded;
	}
	ex->resp_pump.lead = text;
	ex->resp_pump.content = a->body.n;
}

/* The body that also says why TLS with the origin failed, as Envoy's does. */
static struct tg_view with_transport(struct px_exch *ex, struct tg_view body)
{
	const struct tg_view between = TG_VIEW(", transport failure reason: TLS error: ");
	const struct tg_view why = tg_view_str(tg_why_text(ex->transport));
	uint8_t *t = tg_arena_alloc(&ex->arena, body.n + between.n + why.n);

	if (!t)
		return body;
	memcpy(t, body.p, body.n);
	memcpy(t + body.n, between.p, between.n);
	memcpy(t + body.n + between.n, why.p, why.n);
	return tg_view_of(t, body.n + between.n + why.n);
}

void px_reply(struct px_exch *ex, enum px_reply which)
{
	const struct reply *r = &replies[which];
	enum tg_h1_refusal refusal = which == PX_REPLY_BODY_REFUSED
					     ? (enum tg_h1_refusal)ex->req_pump.in.refusal
					     : (enum tg_h1_refusal)ex->req_head.scan.refusal;
	struct answer a = {.status = r->status ? r->status : tg_h1_status(refusal)};

	if (ex->interim_pending) {
		/* Part of an interim response is out: nothing can follow it but its rest. */
		px_exch_cut(ex, r->why, r->flags, r->details);
		return;
	}
	ex->flags |= r->flags;
	ex->why = r->status ? r->why : why_of_status(a.status);
	ex->details = r->details ? r->details : tg_h1_refusal_name(refusal);
	if (which == PX_REPLY_NO_CLUSTER && ex->route->action)
		a.status = ex->route->action->status;
	a.body = tg_view_str(r->body ? r->body : reason_of(a.status));
	if (ex->transport)
		a.body = with_transport(ex, a.body);
	if (r->field.name.n) {
		a.fields = &r->field;
		a.n_fields = 1;
	}
	if (a.status == 504 && ex->orders && ex->orders->no_content) {
		a.status = 204;
		a.body = TG_VIEW_NONE;
	}
	answer(ex, &a);
}

void px_reply_filter(struct px_exch *ex)
{
	const struct tg_filter_reply *r = &ex->fx->reply;
	struct answer a = {r->status, r->body, r->fields, r->n_fields};

	ex->filter_details = r->details;
	if (ex->interim_pending) {
		px_exch_cut(ex, r->why, r->flags, "filter_reset");
		return;
	}
	ex->flags |= r->flags;
	ex->why = r->why;
	ex->details = "filter_reply";
	answer(ex, &a);
}

void px_reply_direct(
	struct px_exch *ex, uint16_t status, struct tg_view body, const struct tg_field *field)
{
	struct answer a = {status, body, field, field != NULL, true};

	ex->why = TG_WHY_none;
	ex->details = "direct_response";
	answer(ex, &a);
}
