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

/* How readers undo escapes in a quoted value differs, so a name that would need one is left out: no
 * URI and no host name has a quote or a backslash. */
static bool is_quotable(struct tg_view v)
{
	return is_plain(v) && !memchr(v.p, '"', v.n) && !memchr(v.p, '\\', v.n);
}

static void put_pair(struct text *t, struct tg_view key, struct tg_view value, bool quoted)
{
	if (!is_quotable(value))
		return;
	if (t->n)
		put(t, TG_VIEW(";"));
	put(t, key);
	quoted = quoted || wants_quotes(value);
	if (quoted)
		put(t, TG_VIEW("\""));
	put(t, value);
	if (quoted)
		put(t, TG_VIEW("\""));
}

/* RFC 2253 text has its escapes already, a quote's too. A backslash's is written in hexadecimal
 * (RFC 4514 section 2.4): for a reader that knows but \" it would hide the closing quote. */
static void put_subject(struct text *t, struct tg_view v)
{
	if (t->n)
		put(t, TG_VIEW(";"));
	put(t, TG_VIEW("Subject=\""));
	for (uint32_t i = 0; i < v.n; i++) {
		bool escape = v.p[i] == '\\' && i + 1 < v.n;

		if (escape && v.p[i + 1] == '\\')
			put(t, TG_VIEW("\\5C"));
		else
			put(t, tg_view_of(v.p + i, escape ? 2 : 1));
		i += escape;
	}
	put(t, TG_VIEW("\""));
}

/* One pair for each of the names, which have a 0 behind them. False: there was none. */
static bool put_all(struct text *t, struct tg_view key, struct tg_view names)
{
	uint32_t before = t->n;

	for (uint32_t i = 0, start = 0; i < names.n; i++) {
		if (names.p[i])
			continue;
		put_pair(t, key, tg_view_of(names.p + start, i - start), false);
		start = i + 1;
	}
	return t->n != before;
}

/* The element of this hop, as Envoy writes it: the keys URI and Subject are there even if empty; .p
 * NULL: no memory. */
static struct tg_view element(struct px_exch *ex, const struct tg_tls_info *tls)
{
	const struct tg_listener_conf *lc = ex->lc;
	const struct tg_identity *peer = tls->peer;
	struct text t = {.cap = FIELD_MAX};

	t.p = tg_arena_alloc(&ex->arena, FIELD_MAX);
	if (!t.p)
		return TG_VIEW_NONE;
	if (tls->own)
		put_all(&t, TG_VIEW("By="), tls->own->uris);
	put_pair(&t, TG_VIEW("Hash="), peer->hash, false);
	if (lc->xfcc_set & TG_XFCC_CERT)
		put_pair(&t, TG_VIEW("Cert="), peer->cert_pem, true);
	if (lc->xfcc_set & TG_XFCC_SUBJECT)
		put_subject(&t, peer->subject);
	if (lc->xfcc_set & TG_XFCC_URI && !put_all(&t, TG_VIEW("URI="), peer->uris))
		put(&t, TG_VIEW(";URI=")); /* behind the hash */
	if (lc->xfcc_set & TG_XFCC_DNS)
		put_all(&t, TG_VIEW("DNS="), peer->dns_names);
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
	bool proven = tg_tls_peer(ex->down->conn) != NULL;

	if (how == TG_XFCC_ALWAYS_FORWARD_ONLY || (how == TG_XFCC_FORWARD_ONLY && proven))
		return true;
	if (how == TG_XFCC_SANITIZE || !proven) {
		tg_msg_remove(m, TG_FIELD_X_FORWARDED_CLIENT_CERT);
		return true;
	}
	if (!tg_tls_info(ex->down->conn, &tls))
		return false;
	v = element(ex, &tls);
	if (v.p && how == TG_XFCC_APPEND_FORWARD)
		v = appended(ex, v);
	tg_msg_remove(m, TG_FIELD_X_FORWARDED_CLIENT_CERT);
	return v.p && (!v.n || tg_msg_add(m, TG_FIELD_X_FORWARDED_CLIENT_CERT,
				       tg_field_name(TG_FIELD_X_FORWARDED_CLIENT_CERT), v) == 0);
}
