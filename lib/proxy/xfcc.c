/* xfcc.c: x-forwarded-client-cert, as Envoy sets it: who the client proved to be.
 *
 *   By=<URI of our certificate>;Hash=<SHA-256>;Cert="<PEM>";Subject="...";URI=...;DNS=...
 *
 * What a client sends is worth nothing unless it proved itself to be one of us: by default it is
 * removed.
 */
#include "internal.h"

#define FIELD_MAX 8192 /* of one element; more than that (a huge PEM) is left out */

struct text {
	uint8_t *p;
	uint32_t n, cap;
	bool full;
};

static void put(struct text *t, struct tg_view v)
{
	if (v.n > t->cap - t->n) {
		t->full = true;
		return;
	}
	memcpy(t->p + t->n, v.p, v.n);
	t->n += v.n;
}

/* A certificate may say anything: nothing that could end the field, or the head, gets into it. */
static bool is_plain(struct tg_view v)
{
	for (uint32_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x20 || v.p[i] > 0x7e)
			return false;
	return v.n > 0;
}

static bool wants_quotes(struct tg_view v)
{
	for (uint32_t i = 0; i < v.n; i++)
		if (memchr(",;=\"", v.p[i], 4))
			return true;
	return false;
}

static void put_pair(struct text *t, struct tg_view key, struct tg_view value, bool quoted)
{
	if (!is_plain(value))
		return;
	if (t->n)
		put(t, TG_VIEW(";"));
	put(t, key);
	quoted = quoted || wants_quotes(value);
	if (!quoted) {
		put(t, value);
		return;
	}
	put(t, TG_VIEW("\""));
	for (uint32_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"')
			put(t, TG_VIEW("\\"));
		put(t, tg_view_of(value.p + i, 1));
	}
	put(t, TG_VIEW("\""));
}

/* The element of this hop; .p NULL: no memory. */
static struct tg_view element(struct px_exch *ex, const struct tg_tls_info *tls)
{
	const struct tg_listener_conf *lc = ex->lc;
	const struct tg_identity *peer = tls->peer;
	struct text t = {.cap = FIELD_MAX};

	t.p = tg_arena_alloc(&ex->arena, FIELD_MAX);
	if (!t.p)
		return TG_VIEW_NONE;
	if (tls->own)
		put_pair(&t, TG_VIEW("By="), tls->own->uri, false);
	put_pair(&t, TG_VIEW("Hash="), peer->hash, false);
	if (lc->xfcc_set & TG_XFCC_CERT)
		put_pair(&t, TG_VIEW("Cert="), peer->cert_pem, true);
	if (lc->xfcc_set & TG_XFCC_SUBJECT)
		put_pair(&t, TG_VIEW("Subject="), peer->subject, true);
	if (lc->xfcc_set & TG_XFCC_URI)
		put_pair(&t, TG_VIEW("URI="), peer->uri, false);
	if (lc->xfcc_set & TG_XFCC_DNS)
		put_pair(&t, TG_VIEW("DNS="), peer->dns, false);
	/* Half an element would be another one. */
	return t.full ? tg_view_of(t.p, 0) : tg_view_of(t.p, t.n);
}

/* What came, several fields as one list, and the element behind it; .p NULL: no memory. */
static struct tg_view appended(struct px_exch *ex, struct tg_view mine)
{
	const struct tg_msg *m = &ex->req;
	struct text t = {.cap = mine.n};

	for (uint32_t i = 0; i < m->n_fields; i++)
		if (m->fields[i].id == TG_FIELD_X_FORWARDED_CLIENT_CERT && !m->fields[i].removed)
			t.cap += m->fields[i].value.n + 1;
	t.p = tg_arena_alloc(&ex->arena, t.cap + 1);
	if (!t.p)
		return TG_VIEW_NONE;
	for (uint32_t i = 0; i < m->n_fields; i++) {
		const struct tg_field *f = &m->fields[i];

		if (f->id != TG_FIELD_X_FORWARDED_CLIENT_CERT || f->removed || !f->value.n)
			continue;
		put(&t, f->value);
		put(&t, TG_VIEW(","));
	}
	put(&t, mine);
	return tg_view_of(t.p, t.n);
}

bool px_set_xfcc(struct px_exch *ex)
{
	enum tg_xfcc how = (enum tg_xfcc)ex->lc->xfcc;
	struct tg_msg *m = &ex->req;
	struct tg_tls_info tls;
	struct tg_view v;
	bool proven = tg_tls_info(ex->down->conn, &tls) && tls.peer;

	if (how == TG_XFCC_ALWAYS_FORWARD_ONLY || (how == TG_XFCC_FORWARD_ONLY && proven))
		return true;
	if (how == TG_XFCC_SANITIZE || !proven) {
		tg_msg_remove(m, TG_FIELD_X_FORWARDED_CLIENT_CERT);
		return true;
	}
	v = element(ex, &tls);
	if (v.p && how == TG_XFCC_APPEND_FORWARD)
		v = appended(ex, v);
	tg_msg_remove(m, TG_FIELD_X_FORWARDED_CLIENT_CERT);
	return v.p && (!v.n || tg_msg_add(m, TG_FIELD_X_FORWARDED_CLIENT_CERT,
				       tg_field_name(TG_FIELD_X_FORWARDED_CLIENT_CERT), v) == 0);
}
