/* resume.c: tickets in handshakes of our own (RFC 8446 sections 2.2, 4.2.11 and 4.6.1). A
 * ClientHello with a ticket is plain if the first one is good in every respect; otherwise OpenSSL
 * finds the same fault, and says what it says. */
#include <openssl/err.h>

#include "internal.h"
#include "ticket13.h"

enum { NEW_SESSION_TICKET = 4, NONCE = 8, IV = 16 };

/* --- a ticket that comes ------------------------------------------------------------------------
 */

/* OpenSSL looks no further either, once the first one is good. */
static bool first_of(const struct tg_hello *h, struct tg_view *ticket, struct tg_view *binder)
{
	struct tg_view ids = h->identities, binders = h->binders, rest;
	uint32_t age;

	if (!tg_take_vec(&ids, 2, ticket) || !ticket->n || !tg_take_uint(&ids, 2, &age) ||
		!tg_take_uint(&ids, 2, &age) || !tg_take_vec(&binders, 1, binder))
		return false;
	while (ids.n)
		if (!tg_take_vec(&ids, 2, &rest) || !tg_take(&ids, 4, &rest))
			return false;
	return true;
}

/* The schedule begins with the ticket's PSK. hello: up to the binders. */
static bool is_bound(struct tg_sched *s, enum tg_suite suite, const struct tg_session13 *t,
	struct tg_view hello, struct tg_view binder)
{
	uint32_t n = tg_suite_hash_size(suite);
	uint8_t want[TG_HASH_MAX];

	if (tg_suite_hash_size(t->suite) != n || binder.n != n)
		return false;
	tg_sched_begin(s, suite, tg_view_of(t->psk, n));
	tg_sched_add(s, hello);
	tg_sched_binder(s, want);
	return CRYPTO_memcmp(want, binder.p, n) == 0;
}

/* The client of the ticket, from its certificate, whose digest is noted, and which is read only if
 * this worker does not know it. */
static struct tg_identity *identity_of(struct tg_hs *hs, const struct tg_session13 *t,
	enum tg_ident_kind kind, uint8_t digest[TG_DIGEST])
{
	const struct tg_tls_lib *lib = hs->f.ctx->worker[hs->f.w->index].lib;
	struct tg_ident_table *table = hs->f.w->idents;
	bool pem = hs->f.ctx->conf->keep_pem;
	const uint8_t *p = t->cert.p;
	struct tg_identity *id;
	struct tg_hash hash;
	X509 *x;

	tg_hash_init(&hash, false);
	tg_hash_update(&hash, t->cert.p, t->cert.n);
	tg_hash_final(&hash, digest);
	id = tg_ident_find(table, digest, kind);
	if (id && (!pem || id->cert_pem.n))
		return id;
	tg_ident_drop(table, id);
	id = NULL;
	x = X509_new_ex(lib->bare, NULL); /* nobody needs its key */
	if (x && d2i_X509(&x, &p, t->cert.n))
		id = tg_ident_of(table, x, digest, kind);
	if (id && pem && !tg_ident_keep_pem(id, t->cert)) {
		tg_ident_drop(table, id);
		id = NULL;
	}
	X509_free(x);
	return id;
}

static bool recall_peer(
	struct tg_hs *hs, const struct tg_session13 *t, const struct tg_ticket_says *says)
{
	struct tg_peer *p = &hs->f.peer;
	uint8_t digest[TG_DIGEST];

	if (!says->peer)
		return true;
	hs->serve.known = identity_of(hs, t, says->svid ? TG_IDENT_SVID : TG_IDENT_PLAIN, digest);
	if (!hs->serve.known)
		return false;
	memcpy(p->leaf, digest, TG_DIGEST);
	p->known = true;
	p->svid = says->svid;
	p->expires = says->expires;
	p->authenticated = says->authenticated;
	memcpy(p->anchor, says->anchor, TG_DIGEST);
	return true;
}

/* Everything that OpenSSL and ticket.c look at. */
static bool is_good(struct tg_hs *hs, const struct tg_session13 *t)
{
	const struct tg_facts *f = &hs->f;
	struct tg_ticket_says says;
	bool good;

	if (!tg_view_eq(t->context, tg_view_of(f->ctx->policy, TG_DIGEST)) ||
		t->timeout < f->now - t->time || !tg_ticket_read_says(t->says, &says) ||
		t->cert.n > SERVE_LEAF_MAX || says.peer != (t->cert.n > 0) ||
		!recall_peer(hs, t, &says))
		return false;
	good = tg_ticket_good(f, &says, t->cert.n, says.peer ? hs->serve.known->uri : TG_VIEW_NONE);
	if (good)
		return true;
	tg_ident_drop(f->w->idents, hs->serve.known);
	hs->serve.known = NULL;
	memset(&hs->f.peer, 0, sizeof(hs->f.peer));
	return false;
}

bool tg_resume_open(
	struct tg_hs *hs, const struct tg_hello *h, struct tg_view message, enum tg_suite suite)
{
	const struct tg_tls_lib *lib = hs->f.ctx->worker[hs->f.w->index].lib;
	struct tg_serve_worker *w = hs->f.w->serve;
	struct tg_serve *s = &hs->serve;
	struct tg_view ticket, binder;
	struct tg_session13 t;
	bool ok = hs->f.ctx->conf->session_tickets && first_of(h, &ticket, &binder) &&
		  tg_session13_open(ticket, tg_ticket_keys_of(hs->f.set, hs->f.ctx), w->cipher,
			  lib->aes256_cbc, w->ticket, &t) &&
		  is_bound(&s->sched, suite, &t, tg_view_of(message.p, h->unbound), binder) &&
		  is_good(hs, &t);

	if (ok) {
		memcpy(s->says, t.says.p, t.says.n);
		tg_serve_keep(s, t.cert);
		s->resumed = true;
	}
	explicit_bzero(&t, sizeof(t));
	explicit_bzero(w->ticket, sizeof(w->ticket));
	ERR_clear_error();
	return ok;
}

/* --- a ticket that goes -------------------------------------------------------------------------
 */

/* The message; returns its bytes. */
static uint32_t write_message(uint8_t *m, uint32_t age_add, const uint8_t *nonce, uint32_t n_ticket)
{
	uint8_t *p = m + 4;

	tg_store_be32(p, TG_TICKET_LIFETIME);
	tg_store_be32(p + 4, age_add);
	p[8] = NONCE;
	memcpy(p + 9, nonce, NONCE);
	p += 9 + NONCE;
	tg_store_be16(p, (uint16_t)n_ticket);
	p += 2 + n_ticket; /* it is there */
	tg_store_be16(p, 0);
	p += 2;
	tg_store_be32(m, (uint32_t)(p - m - 4));
	m[0] = NEW_SESSION_TICKET;
	return (uint32_t)(p - m);
}

bool tg_resume_ticket(struct tg_hs *hs)
{
	static const uint8_t nonce[NONCE];
	const struct tg_tls_lib *lib = hs->f.ctx->worker[hs->f.w->index].lib;
	struct tg_serve_worker *w = hs->f.w->serve;
	struct tg_serve *s = &hs->serve;
	struct tg_session13 t = {.suite = s->sched.suite,
		.time = hs->f.now,
		.timeout = TG_TICKET_LIFETIME,
		.group = s->group,
		.cert = {s->cert, s->n_cert},
		.context = {hs->f.ctx->policy, TG_DIGEST},
		.sni = {(const uint8_t *)s->sni, s->n_sni},
		.alpn = s->alpn,
		.says = {s->says, TG_TICKET_SAYS}};
	uint8_t random[IV + 4];
	uint32_t n;

	if (!s->resumed)
		tg_ticket_write_says(&hs->f, s->says);
	if (!tg_serve_random(w, lib, random, sizeof(random)))
		return false;
	t.age_add = tg_load_be32(random + IV);
	tg_sched_ticket(&s->sched, tg_view_of(nonce, NONCE), t.psk);
	n = tg_session13_seal(&t, tg_ticket_keys_of(hs->f.set, hs->f.ctx), random, w->cipher,
		lib->aes256_cbc, w->flight + 15 + NONCE);
	explicit_bzero(t.psk, sizeof(t.psk));
	if (!n)
		return false;
	n = write_message(w->flight, t.age_add, nonce, n);
	return tg_serve_seal(w, &s->tx, TG_REC_HANDSHAKE, tg_view_of(w->flight, n));
}
