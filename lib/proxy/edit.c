/* edit.c: what is put into and taken out of heads by configuration, and what variables stand for.
 */
#include "internal.h"

struct about {
	struct px_exch *ex;
	const struct tg_msg *response; /* NULL: this is the request */
};

static bool copy(struct px_exch *ex, const uint8_t *p, uint32_t n, struct tg_view *out)
{
	*out = tg_arena_copy(&ex->arena, tg_view_of(p, n));
	return out->p != NULL || n == 0;
}

static bool address(struct px_exch *ex, const struct tg_sockaddr *a, bool port, struct tg_view *out)
{
	uint8_t t[TG_ADDR_TEXT + 20];
	bool brackets = port && !tg_ip_is_v4(&a->ip);
	uint32_t n = 0;

	if (brackets)
		t[n++] = '[';
	n += px_text_ip(&a->ip, t + n);
	if (brackets)
		t[n++] = ']';
	if (port) {
		t[n++] = ':';
		n += px_text_u64(a->port, t + n);
	}
	return copy(ex, t, n, out);
}

/* Of the client's connection. */
static bool client_address(struct px_exch *ex, enum tg_edit_var var, struct tg_view *out)
{
	bool remote = var == TG_VAR_DOWNSTREAM_REMOTE_ADDRESS ||
		      var == TG_VAR_DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT;
	bool port =
		var == TG_VAR_DOWNSTREAM_REMOTE_ADDRESS || var == TG_VAR_DOWNSTREAM_LOCAL_ADDRESS;
	struct tg_conn_info info;

	tg_conn_info(ex->down->conn, &info);
	return address(ex, remote ? &info.remote : &info.local, port, out);
}

static struct tg_view tls_text(const struct px_exch *ex, enum tg_edit_var var)
{
	struct tg_tls_info tls;

	if (!tg_tls_info(ex->down->conn, &tls))
		return TG_VIEW_NONE;
	/* The client's own word, which is any bytes; in a field only a name may be. */
	if (var == TG_VAR_REQUESTED_SERVER_NAME)
		return tg_is_authority(tls.sni) ? tls.sni : TG_VIEW_NONE;
	if (!tls.peer)
		return TG_VIEW_NONE;
	return var == TG_VAR_DOWNSTREAM_PEER_SUBJECT ? tls.peer->subject : tls.peer->uri;
}

static bool variable(const struct about *a, enum tg_edit_var var, struct tg_view *out)
{
	struct px_exch *ex = a->ex;
	uint8_t t[32];

	switch (var) {
	case TG_VAR_DOWNSTREAM_REMOTE_ADDRESS:
	case TG_VAR_DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT:
	case TG_VAR_DOWNSTREAM_LOCAL_ADDRESS:
	case TG_VAR_DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT:
		return client_address(ex, var, out);
	case TG_VAR_DOWNSTREAM_PEER_URI_SAN:
	case TG_VAR_DOWNSTREAM_PEER_SUBJECT:
	case TG_VAR_REQUESTED_SERVER_NAME:
		/* Kept by the connection, which may close before the head is read. */
		*out = tls_text(ex, var);
		return copy(ex, out->p, out->n, out);
	case TG_VAR_PROTOCOL:
		*out = ex->req.version_minor ? TG_VIEW("HTTP/1.1") : TG_VIEW("HTTP/1.0");
		return true;
	case TG_VAR_RESPONSE_CODE:
		return !a->response || copy(ex, t, px_text_u64(a->response->status, t), out);
	case TG_VAR_ROUTE_NAME:
		*out = ex->route ? tg_view_str(ex->route->name) : TG_VIEW_NONE;
		return true;
	case TG_VAR_VIRTUAL_HOST_NAME:
		*out = ex->vhost ? tg_view_str(ex->vhost->name) : TG_VIEW_NONE;
		return true;
	case TG_VAR_START_TIME:
		return copy(
			ex, t, px_text_time(ex->start + ex->proxy->conf.realtime_offset, t), out);
	case TG_VAR_UPSTREAM_CLUSTER:
		*out = ex->goes_to ? tg_view_str(ex->goes_to->name) : TG_VIEW_NONE;
		return true;
	case TG_VAR_UPSTREAM_HOST:
		return !ex->ep || address(ex, &ex->ep->addr, true, out);
	case TG_VAR_MAX:
		break;
	}
	return true;
}

static bool path_and_query(struct px_exch *ex, struct tg_view *out)
{
	const struct tg_msg *m = &ex->req;
	uint8_t *t;

	*out = m->path;
	if (!m->query.p)
		return true;
	t = tg_arena_alloc(&ex->arena, m->path.n + 1 + m->query.n);
	if (!t)
		return false;
	memcpy(t, m->path.p, m->path.n);
	t[m->path.n] = '?';
	if (m->query.n)
		memcpy(t + m->path.n + 1, m->query.p, m->query.n);
	*out = tg_view_of(t, m->path.n + 1 + m->query.n);
	return true;
}

static bool of_request(struct px_exch *ex, struct tg_view name, struct tg_view *out)
{
	const struct tg_field *f;

	*out = TG_VIEW_NONE;
	if (!name.n || name.p[0] != ':') {
		f = name.n ? tg_msg_find_name(&ex->req, name, NULL) : NULL;
		if (f)
			*out = f->value;
		return true;
	}
	if (tg_view_eq_nocase(name, TG_VIEW(":path")))
		return path_and_query(ex, out);
	if (tg_view_eq_nocase(name, TG_VIEW(":method")))
		*out = ex->req.method_name;
	else if (tg_view_eq_nocase(name, TG_VIEW(":authority")))
		*out = ex->req.authority;
	else if (tg_view_eq_nocase(name, TG_VIEW(":scheme")))
		*out = px_scheme(ex);
	return true;
}

static bool piece(void *ctx, const struct tg_piece *p, struct tg_view *out)
{
	const struct about *a = ctx;
	const struct tg_field *f;

	*out = TG_VIEW_NONE;
	switch (p->kind) {
	case TG_PIECE_VAR:
		return variable(a, p->var, out);
	case TG_PIECE_REQ:
		if (!of_request(a->ex, p->text, out))
			return false;
		return out->n || of_request(a->ex, p->other, out);
	default: /* TG_PIECE_RESP */
		f = a->response ? tg_msg_find_name(a->response, p->text, NULL) : NULL;
		if (!f && a->response && p->other.n)
			f = tg_msg_find_name(a->response, p->other, NULL);
		/* A response's fields stand in its connection's buffer. */
		return !f || copy(a->ex, f->value.p, f->value.n, out);
	}
}

static bool apply(const struct tg_edits *e, struct px_exch *ex, struct tg_msg *m,
	const struct tg_msg *response)
{
	struct about a = {ex, response};

	return tg_likely(!e) || tg_edit(e, m, &ex->arena, piece, &a);
}

/* The most specific first, as in Envoy: what the listener overwrites, nobody sees. */
bool px_edit_request(struct px_exch *ex)
{
	const struct tg_route_action *act = ex->route->action;

	return (!ex->weighted || apply(ex->weighted->request, ex, &ex->req, NULL)) &&
	       (!act || apply(act->request, ex, &ex->req, NULL)) &&
	       apply(ex->vhost->request, ex, &ex->req, NULL) &&
	       apply(ex->lc->request_edits, ex, &ex->req, NULL);
}

bool px_edit_response(struct px_exch *ex, struct tg_msg *m)
{
	const struct tg_route_action *act = ex->route->action;

	return (!ex->weighted || apply(ex->weighted->response, ex, m, m)) &&
	       (!act || apply(act->response, ex, m, m)) && apply(ex->vhost->response, ex, m, m) &&
	       apply(ex->lc->response_edits, ex, m, m);
}
