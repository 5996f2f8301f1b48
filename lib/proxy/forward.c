/* forward.c: what Tidegate adds to, removes from and changes in a request on its way to an origin.
 */
#include "internal.h"

/* origin-form (RFC 9112 section 3.2.1) of whatever form came; "*" stays. */
static bool set_target(struct px_exch *ex)
{
	struct tg_msg *m = &ex->req;
	struct tg_view path = m->path.n ? m->path : TG_VIEW("/");
	uint32_t n = path.n + (m->query.p ? 1 + m->query.n : 0);
	uint8_t *t;

	if (tg_view_eq(m->path, TG_VIEW("*")) ||
		(!m->scheme.n && n == m->target.n && path.p == m->target.p))
		return true;
	t = tg_arena_alloc(&ex->arena, n);
	if (!t)
		return false;
	memcpy(t, path.p, path.n);
	if (m->query.p) {
		t[path.n] = '?';
		memcpy(t + path.n + 1, m->query.p, m->query.n);
	}
	m->target = tg_view_of(t, n);
	return true;
}

static int set_field(struct tg_msg *m, enum tg_field_id id, struct tg_view value)
{
	tg_msg_remove(m, id);
	return tg_msg_add(m, id, tg_field_name(id), value);
}

/* Absolute-form decides over Host (RFC 9112 section 3.2.2). A client of HTTP/1.0 may have none: it
 * gets the address that it connected to, because HTTP/1.1 needs one. */
static bool set_host(struct px_exch *ex)
{
	struct tg_msg *m = &ex->req;
	struct tg_field *host = tg_msg_find(m, TG_FIELD_HOST);
	uint8_t *text;

	if (host && !m->scheme.n)
		return true;
	if (m->scheme.n)
		return set_field(m, TG_FIELD_HOST, m->authority) == 0;
	text = tg_arena_alloc(&ex->arena, TG_ADDR_TEXT);
	if (!text)
		return false;
	tg_sockaddr_format(&ex->lc->addr, (char *)text);
	return set_field(m, TG_FIELD_HOST, tg_view_str((char *)text)) == 0;
}

/* Appends the peer's address: "a, b, peer". Several fields become one list (RFC 9110 section 5.3).
 */
static bool set_xff(struct px_exch *ex)
{
	struct tg_msg *m = &ex->req;
	struct tg_field *f = tg_msg_find(m, TG_FIELD_X_FORWARDED_FOR);
	struct tg_conn_info info;
	uint32_t size = TG_ADDR_TEXT, n = 0;
	uint8_t *t;

	if (!ex->lc->use_remote_address) {
		ex->xff = f ? f->value : TG_VIEW_NONE;
		return true;
	}
	for (uint32_t i = 0; i < m->n_fields; i++)
		if (m->fields[i].id == TG_FIELD_X_FORWARDED_FOR && !m->fields[i].removed)
			size += m->fields[i].value.n + 2;
	t = tg_arena_alloc(&ex->arena, size);
	if (!t)
		return false;
	for (uint32_t i = 0; i < m->n_fields; i++) {
		f = &m->fields[i];
		if (f->id != TG_FIELD_X_FORWARDED_FOR || f->removed || !f->value.n)
			continue;
		memcpy(t + n, f->value.p, f->value.n);
		n += f->value.n;
		memcpy(t + n, ", ", 2);
		n += 2;
	}
	tg_conn_info(ex->down->conn, &info);
	n += px_text_ip(&info.remote.ip, t + n);
	ex->xff = tg_view_of(t, n);
	return set_field(m, TG_FIELD_X_FORWARDED_FOR, ex->xff) == 0;
}

static bool set_proto(struct px_exch *ex)
{
	const struct tg_field *f = tg_msg_find(&ex->req, TG_FIELD_X_FORWARDED_PROTO);

	/* Believed only from a proxy that we were told to trust. */
	if (f && (!ex->lc->use_remote_address || ex->lc->xff_num_trusted_hops))
		return true;
	return set_field(&ex->req, TG_FIELD_X_FORWARDED_PROTO,
		       ex->lc->tls ? TG_VIEW("https") : TG_VIEW("http")) == 0;
}

/* At the edge (use_remote_address) a client's own id is replaced, as Envoy does, unless the
 * listener preserves it; inside the mesh it is kept, so that a trace keeps its name. */
static bool set_request_id(struct px_exch *ex)
{
	const struct tg_field *f = tg_msg_find(&ex->req, TG_FIELD_X_REQUEST_ID);
	bool edge = ex->lc->use_remote_address && !ex->lc->xff_num_trusted_hops &&
		    !ex->lc->preserve_external_request_id;
	uint8_t *t;

	if (!ex->lc->generate_request_id || (f && f->value.n && !edge)) {
		ex->request_id = f ? f->value : TG_VIEW_NONE;
		return true;
	}
	t = tg_arena_alloc(&ex->arena, 36);
	if (!t)
		return false;
	ex->request_id = tg_view_of(t, px_text_uuid4(&ex->proxy->rng, t));
	return set_field(&ex->req, TG_FIELD_X_REQUEST_ID, ex->request_id) == 0;
}

/* Only WebSocket is carried: any other protocol behind an Upgrade (h2c above all) would be a way
 * around the rules for requests. RFC 9110 section 7.8 lets an intermediary ignore the field. It
 * begins with a GET (RFC 6455 section 4.1); an origin that would switch for another method is not
 * tempted. */
static struct tg_view wanted_upgrade(const struct tg_msg *m)
{
	const struct tg_field *f = tg_msg_find(m, TG_FIELD_UPGRADE);

	if (!m->upgrade || !f || m->method != TG_GET || m->version_minor == 0 ||
		m->body != TG_BODY_NONE || !tg_view_eq_nocase(f->value, TG_VIEW("websocket")))
		return TG_VIEW_NONE;
	return f->value;
}

struct tg_view px_write_head(struct tg_arena *a, const struct tg_msg *m)
{
	uint32_t n = 64 + m->method_name.n + m->target.n + m->reason.n;
	uint8_t *out;
	int32_t len;

	for (uint32_t i = 0; i < m->n_fields; i++)
		if (!m->fields[i].removed)
			n += m->fields[i].name.n + m->fields[i].value.n + 4;
	out = tg_arena_alloc(a, n);
	if (!out)
		return TG_VIEW_NONE;
	len = tg_h1_write_head(m, out, n);
	return len < 0 ? TG_VIEW_NONE : tg_view_of(out, (uint32_t)len);
}

enum px_forward px_request_edit(struct px_exch *ex)
{
	struct tg_msg *m = &ex->req;
	struct tg_view upgrade = wanted_upgrade(m);

	if (!tg_msg_remove_hop_by_hop(m))
		return PX_FORWARD_REFUSED;
	ex->upgrade = upgrade.n > 0;
	if (ex->upgrade && tg_msg_add(m, TG_FIELD_UPGRADE, TG_VIEW("upgrade"), upgrade))
		return PX_FORWARD_NO_MEMORY;
	if (!px_retry_orders(ex) || !set_host(ex) || !set_xff(ex) || !set_proto(ex) ||
		!px_set_xfcc(ex) || !set_request_id(ex))
		return PX_FORWARD_NO_MEMORY;
	return PX_FORWARD_OK;
}

bool px_request_write(struct px_exch *ex)
{
	struct tg_msg *m = &ex->req;
	bool length =
		m->body == TG_BODY_LENGTH || (m->body == TG_BODY_NONE && m->has_content_length);
	uint8_t *scratch = tg_arena_alloc(&ex->arena, 24);

	if (!scratch || !set_target(ex))
		return false;
	if (tg_h1_frame(m, length ? TG_BODY_LENGTH : m->body, m->content_length, false, ex->upgrade,
		    scratch))
		return false;
	ex->out_head = px_write_head(&ex->arena, m);
	return ex->out_head.p != NULL;
}
