/* request.c: from the client's head to the origin's. */
#include "internal.h"

static void rebase(struct tg_view *v, const uint8_t *from, uint32_t n, const uint8_t *to)
{
	if (v->p >= from && v->p <= from + n)
		v->p = to + (v->p - from);
}

/* Moves a parsed head and its fields from where they were parsed to the exchange's arena. */
static bool keep_head(struct px_exch *ex, const uint8_t *base, uint32_t n)
{
	struct tg_msg *m = &ex->req;
	struct tg_field *fields;
	struct tg_view copy = tg_arena_copy(&ex->arena, tg_view_of(base, n));

	m->field_cap = (uint16_t)(m->n_fields + TG_PX_FIELDS_ADDED);
	fields = tg_arena_alloc(&ex->arena, m->field_cap * (uint32_t)sizeof(*fields));
	if (!copy.p || !fields)
		return false;
	memcpy(fields, m->fields, m->n_fields * sizeof(*fields));
	m->fields = fields;
	rebase(&m->method_name, base, n, copy.p);
	rebase(&m->target, base, n, copy.p);
	rebase(&m->scheme, base, n, copy.p);
	rebase(&m->authority, base, n, copy.p);
	rebase(&m->path, base, n, copy.p);
	rebase(&m->query, base, n, copy.p);
	for (uint32_t i = 0; i < m->n_fields; i++) {
		rebase(&fields[i].name, base, n, copy.p);
		rebase(&fields[i].value, base, n, copy.p);
	}
	return true;
}

/* Makes room for one more byte at least, at most max in all. The small sizes share a small chunk.
 */
static bool grow(struct px_exch *ex, struct px_head *h, uint32_t max)
{
	uint32_t cap = !h->cap                         ? TG_PX_HEAD_FIRST
		       : h->cap < 4 * TG_PX_HEAD_FIRST ? h->cap * 4
						       : max;
	uint8_t *buf;

	if (cap > max)
		cap = max;
	if (cap <= h->cap)
		return false;
	buf = tg_arena_alloc(&ex->arena, cap);
	if (!buf) {
		h->no_memory = true;
		return false;
	}
	if (h->have)
		memcpy(buf, h->buf, h->have);
	h->buf = buf;
	h->cap = cap;
	return true;
}

/* Copies what conn has beyond h->have. False: no memory, or max is reached. */
static bool gather(struct px_exch *ex, struct px_head *h, struct tg_conn *conn, uint32_t max)
{
	struct tg_view v[64];
	uint32_t cnt = tg_conn_peek(conn, v, TG_ARRAY_LEN(v)), skip = h->have;

	for (uint32_t i = 0; i < cnt; i++) {
		struct tg_view rest = v[i];

		if (skip >= rest.n) {
			skip -= rest.n;
			continue;
		}
		rest.p += skip;
		rest.n -= skip;
		skip = 0;
		while (rest.n) {
			uint32_t n = rest.n < h->cap - h->have ? rest.n : h->cap - h->have;

			if (!n && !grow(ex, h, max))
				return false;
			if (n)
				memcpy(h->buf + h->have, rest.p, n);
			h->have += n;
			rest.p += n;
			rest.n -= n;
		}
	}
	return true;
}

static int32_t parse(struct px_head *h, const uint8_t *p, uint32_t n,
	const struct tg_h1_limits *lim, int to, struct tg_msg *m)
{
	if (to == PX_PARSE_REQUEST)
		return tg_h1_parse_request(&h->scan, p, n, lim, m);
	return tg_h1_parse_response(&h->scan, p, n, lim, (enum tg_method)to, m);
}

int32_t px_head_parse(struct px_exch *ex, struct px_head *h, struct tg_conn *conn,
	const struct tg_h1_limits *lim, int to, struct tg_msg *m, const uint8_t **base)
{
	uint32_t max = lim->max_head + 8; /* with the empty lines that may stand in front */
	bool all;
	int32_t n;

	memset(m, 0, sizeof(*m));
	m->fields = ex->proxy->fields;
	m->field_cap = (uint16_t)ex->proxy->field_cap;
	if (!h->buf) {
		struct tg_view v;

		if (!tg_conn_peek(conn, &v, 1))
			return 0;
		*base = v.p;
		n = parse(h, v.p, v.n, lim, to, m);
		if (n)
			return n;
	}
	all = gather(ex, h, conn, max);
	*base = h->buf;
	n = parse(h, h->buf, h->have, lim, to, m);
	if (n == 0 && !all) {
		h->scan.refusal = TG_H1_HEAD_TOO_BIG;
		return -1;
	}
	return n;
}

/* `OPTIONS *` asks the server as a whole: it goes where "/" goes. */
static struct tg_view routed_path(const struct tg_msg *m)
{
	return tg_view_eq(m->path, TG_VIEW("*")) ? TG_VIEW("/") : m->path;
}

/* The host and the path are known, and soon its routes will be looked up: their memory comes while
 * what takes some time is done. */
static void find_vhost(struct px_exch *ex, struct px_lookup *l)
{
	struct tg_tax *tax = &ex->proxy->stats->tax;
	enum tg_stage before = tg_tax_enter(tax, TG_STAGE_route);

	l->vhost = NULL;
	/* CONNECT asks for a tunnel, which no route offers. */
	if (ex->req.method != TG_CONNECT && ex->lc->hosts)
		l->vhost = tg_host_find(ex->lc->hosts, ex->req.authority);
	if (l->vhost)
		tg_route_prepare(&l->probe, l->vhost, routed_path(&ex->req));
	tg_tax_leave(tax, before);
}

int px_request_read(struct px_exch *ex, struct px_lookup *l)
{
	const uint8_t *base = NULL;
	int32_t n = px_head_parse(ex, &ex->req_head, ex->down->conn, &ex->lc->limits,
		PX_PARSE_REQUEST, &ex->req, &base);
	struct tg_msg *m = &ex->req;

	if (n <= 0) {
		/* What was parsed of it points into memory that does not stay. */
		memset(m, 0, sizeof(*m));
		return n < 0 ? -1 : 0;
	}
	find_vhost(ex, l);
	if (!keep_head(ex, base, (uint32_t)n)) {
		memset(m, 0, sizeof(*m));
		ex->req_head.no_memory = true;
		return -1;
	}
	tg_conn_consume(ex->down->conn, (uint32_t)n);
	ex->req_ready = true;
	tg_list_del(&ex->link);
	ex->target = m->target;
	ex->last_activity = px_now(ex->proxy);
	tg_pump_init(&ex->req_pump, m->body, m->content_length, m->body,
		m->body == TG_BODY_CHUNKED ? tg_arena_alloc(&ex->arena, TG_PUMP_TRAILERS) : NULL);
	ex->head_bytes = (uint32_t)n;
	if (ex->req_pump.in.ended) {
		ex->req_complete = px_now(ex->proxy);
		px_down_arm(ex->down);
	}
	return 1;
}

static bool must_normalise(struct tg_view path)
{
	for (uint32_t i = 0; i < path.n; i++)
		if (path.p[i] == '%' ||
			(path.p[i] == '/' && i + 1 < path.n && path.p[i + 1] == '.'))
			return true;
	return false;
}

/* Routes see, and origins get, the path with dot segments and needless escapes resolved: otherwise
 * the two could understand different things by it. */
static bool normalise(struct px_exch *ex, struct px_lookup *l)
{
	struct tg_msg *m = &ex->req;
	uint8_t *out;
	int32_t n;

	if (m->path.n && m->path.p[0] == '/' && must_normalise(m->path)) {
		out = tg_arena_alloc(&ex->arena, m->path.n);
		n = out ? tg_path_normalise(m->path, true, out) : TG_ENOMEM;
		if (n <= 0)
			return false;
		m->path = tg_view_of(out, (uint32_t)n);
		if (l->vhost)
			tg_route_prepare(&l->probe, l->vhost, m->path);
	}
	return true;
}

/* An https URI must not be answered for on a connection that is not secured (RFC 9110 section 7.4):
 * what is forwarded in origin-form no longer says that the client meant one. */
static bool scheme_fits(const struct tg_msg *m, bool tls)
{
	struct tg_view ours = tls ? TG_VIEW("https") : TG_VIEW("http");

	return !m->scheme.n || tg_view_eq_nocase(m->scheme, ours);
}

static const struct tg_route *find_route(struct px_exch *ex, const struct tg_route_probe *q)
{
	struct tg_msg *m = &ex->req;
	struct tg_view path = m->path;
	const struct tg_route *r;

	m->path = routed_path(m);
	r = tg_route_find_prepared(q, ex->vhost, m, &ex->proxy->match);
	m->path = path;
	return r;
}

/* And now that of the route itself. */
static void look_ahead(struct px_exch *ex, struct px_lookup *l)
{
	struct tg_tax *tax = &ex->proxy->stats->tax;
	enum tg_stage before = tg_tax_enter(tax, TG_STAGE_route);

	ex->vhost = l->vhost;
	if (ex->vhost)
		tg_route_look(&l->probe, ex->vhost, routed_path(&ex->req));
	tg_tax_leave(tax, before);
}

/* OPTIONS and TRACE may say how many may forward them (RFC 9110 section 7.6.2). True: it goes on.
 */
static bool count_forward(struct px_exch *ex)
{
	struct tg_msg *m = &ex->req;
	const struct tg_view name = TG_VIEW("max-forwards");
	struct tg_field *f = tg_msg_find_name(m, name, NULL);
	bool bad = f && (!f->value.n || tg_msg_find_name(m, name, f));
	uint8_t *text;
	uint32_t n = 0;

	if (!f || (m->method != TG_OPTIONS && m->method != TG_TRACE))
		return true;
	for (uint32_t i = 0; i < f->value.n; i++) {
		bad |= f->value.p[i] < '0' || f->value.p[i] > '9';
		if (n < 100 * 1000 * 1000) /* more is as good as that */
			n = n * 10 + (f->value.p[i] & 15);
	}
	text = tg_arena_alloc(&ex->arena, 20);
	if (bad) {
		ex->req_head.scan.refusal = TG_H1_BAD_FIELD_VALUE;
		px_reply(ex, PX_REPLY_REFUSED);
	} else if (n == 0) {
		px_reply(ex, m->method == TG_OPTIONS ? PX_REPLY_LAST_HOP : PX_REPLY_NO_TRACE);
	} else if (!text) {
		px_reply(ex, PX_REPLY_NO_MEMORY);
	} else {
		f->value = tg_view_of(text, px_text_u64(n - 1, text));
		return true;
	}
	return false;
}

static void choose_route(struct px_exch *ex, const struct tg_route_probe *q)
{
	struct tg_tax *tax = &ex->proxy->stats->tax;
	enum tg_stage before = tg_tax_enter(tax, TG_STAGE_route);

	if (ex->vhost)
		ex->route = find_route(ex, q);
	if (ex->route)
		px_choose_cluster(ex);
	if (tg_unlikely(ex->proxy->dry != NULL))
		px_dry_routed(ex);
	tg_tax_leave(tax, before);
}

bool px_request_route(struct px_exch *ex, struct px_lookup *l)
{
	if (!scheme_fits(&ex->req, ex->lc->tls != NULL)) {
		ex->req_head.scan.refusal = TG_H1_BAD_TARGET;
		px_reply(ex, PX_REPLY_REFUSED);
		return false;
	}
	if (!normalise(ex, l)) {
		px_reply(ex, PX_REPLY_BAD_PATH);
		return false;
	}
	look_ahead(ex, l);
	if (!count_forward(ex))
		return false;
	switch (px_request_edit(ex)) {
	case PX_FORWARD_OK:
		break;
	case PX_FORWARD_REFUSED:
		ex->req_head.scan.refusal = TG_H1_BAD_CONNECTION;
		px_reply(ex, PX_REPLY_REFUSED);
		return false;
	default:
		px_reply(ex, PX_REPLY_NO_MEMORY);
		return false;
	}
	choose_route(ex, &l->probe);
	if (tg_unlikely(ex->proxy->overload) && !px_overload_admits(ex))
		return false;
	if (!px_filters_begin(ex)) {
		px_reply(ex, PX_REPLY_NO_MEMORY);
		return false;
	}
	return px_request_pass(ex);
}

bool px_request_pass(struct px_exch *ex)
{
	enum px_reply r;

	if (!px_filters_request(ex))
		return false;
	if (!ex->route) {
		px_reply(ex, PX_REPLY_NO_ROUTE);
		return false;
	}
	if (px_answer_by_route(ex))
		return false;
	if (!ex->goes_to) {
		px_reply(ex, PX_REPLY_NO_CLUSTER);
		return false;
	}
	r = px_rewrite(ex);
	if (r == PX_REPLY_MAX && !px_edit_request(ex))
		r = PX_REPLY_NO_MEMORY;
	if (r != PX_REPLY_MAX) {
		px_reply(ex, r);
		return false;
	}
	ex->cluster = ex->goes_to;
	ex->priority = (uint8_t)ex->route->priority;
	if (!px_retry_begin(ex) || (tg_unlikely(ex->route->n_hash) && !px_affinity(ex))) {
		px_reply(ex, PX_REPLY_NO_MEMORY);
		return false;
	}
	px_down_arm(ex->down);
	if (px_request_write(ex))
		return true;
	px_reply(ex, PX_REPLY_NO_MEMORY);
	return false;
}
