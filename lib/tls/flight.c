/* flight.c: the server's answer to a plain ClientHello (RFC 8446 sections 4.1.3 to 4.4.4), in as
 * few records as it fits into. */
#include <openssl/err.h>

#include "internal.h"

enum { SERVER_HELLO = 2, ENCRYPTED_EXTENSIONS = 8, CERTIFICATE_VERIFY = 15, FINISHED = 20 };
enum {
	SERVER_NAME = 0,
	SUPPORTED_GROUPS = 10,
	ALPN = 16,
	PRE_SHARED_KEY = 41,
	SUPPORTED_VERSIONS = 43,
	KEY_SHARE = 51
};

#define SIGNATURE_MAX 1024 /* RSA of 8192 bits */

/* Messages, one behind the other. All have room: SERVE_FLIGHT_MAX. */
struct put {
	uint8_t *p;
	uint32_t n;
};

static void put8(struct put *o, uint8_t v)
{
	o->p[o->n++] = v;
}

static void put16(struct put *o, uint16_t v)
{
	tg_store_be16(o->p + o->n, v);
	o->n += 2;
}

static void put_bytes(struct put *o, const void *p, uint32_t n)
{
	if (n)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

/* A message's head; its length is filled in at the end. */
static uint32_t begin_message(struct put *o, uint8_t type)
{
	put8(o, type);
	put8(o, 0);
	put16(o, 0);
	return o->n;
}

static void end_message(struct put *o, uint32_t body)
{
	tg_store_be16(o->p + body - 2, (uint16_t)(o->n - body)); /* all are short */
}

static uint32_t begin_vec16(struct put *o)
{
	put16(o, 0);
	return o->n;
}

static void end_vec16(struct put *o, uint32_t at)
{
	tg_store_be16(o->p + at - 2, (uint16_t)(o->n - at));
}

/* --- choices, as OpenSSL makes them -------------------------------------------------------------
 */

static enum tg_suite choose_suite(const struct tg_hello *h)
{
	if (h->chacha_first)
		return TG_SUITE_CHACHA20_POLY1305_SHA256;
	return h->suite[0]   ? TG_SUITE_AES_128_GCM_SHA256
	       : h->suite[1] ? TG_SUITE_AES_256_GCM_SHA384
			     : TG_SUITE_CHACHA20_POLY1305_SHA256;
}

static bool pair_fits(const struct tg_signer *s, uint16_t scheme, const struct tg_hello *h)
{
	return s->scheme == scheme && tg_list16_has(h->schemes, scheme) &&
	       (!h->cert_schemes.n ||
		       (s->cert_scheme && tg_list16_has(h->cert_schemes, s->cert_scheme)));
}

/* The group is the server name's, the order of schemes ours. False: none fits. */
static bool choose_pair(struct tg_hs *hs, const struct tg_hello *h)
{
	static const uint16_t order[] = {
		TG_SCHEME_P256_SHA256, TG_SCHEME_P384_SHA384, TG_SCHEME_RSA_PSS_SHA256};
	const struct tg_tls_ctx *x = hs->f.ctx;
	const struct tg_ctx_worker *cw = &x->worker[hs->f.w->index];
	uint32_t group = tg_ctx_group(x, hs->serve.sni);

	for (uint32_t k = 0; k < TG_ARRAY_LEN(order); k++)
		for (uint32_t i = 0; i < TG_TLS_CERTS_MAX && cw->own[i]; i++)
			if (x->group_of[i] == group && pair_fits(&cw->signer[i], order[k], h)) {
				hs->serve.pair = (uint8_t)i;
				return true;
			}
	return false;
}

static bool offers(struct tg_view protocols, struct tg_view what)
{
	struct tg_view name;

	while (tg_take_vec(&protocols, 1, &name))
		if (tg_view_eq(name, what))
			return true;
	return false;
}

static bool choose_alpn(struct tg_hs *hs, const struct tg_hello *h)
{
	struct tg_view ours = tg_view_of(hs->f.ctx->alpn, hs->f.ctx->n_alpn), name;

	if (!ours.n || !h->alpn.n)
		return true;
	while (tg_take_vec(&ours, 1, &name))
		if (offers(h->alpn, name)) {
			hs->serve.alpn = name;
			return true;
		}
	return false;
}

/* --- messages -----------------------------------------------------------------------------------
 */

static void put_hello(struct put *o, const struct tg_hello *h, enum tg_suite suite,
	struct tg_view random, struct tg_view share, bool resumed)
{
	uint32_t m = begin_message(o, SERVER_HELLO), exts;

	put16(o, 0x0303);
	put_bytes(o, random.p, random.n);
	put8(o, (uint8_t)h->session.n);
	put_bytes(o, h->session.p, h->session.n);
	put16(o, (uint16_t)(0x1301 + suite));
	put8(o, 0);
	exts = begin_vec16(o);
	put16(o, SUPPORTED_VERSIONS);
	put16(o, 2);
	put16(o, 0x0304);
	put16(o, KEY_SHARE);
	put16(o, (uint16_t)(share.n + 4));
	put16(o, h->group);
	put16(o, (uint16_t)share.n);
	put_bytes(o, share.p, share.n);
	if (resumed) {
		put16(o, PRE_SHARED_KEY);
		put16(o, 2);
		put16(o, 0); /* the first one */
	}
	end_vec16(o, exts);
	end_message(o, m);
}

static void put_extensions(struct put *o, const struct tg_hello *h, struct tg_view alpn)
{
	uint32_t m = begin_message(o, ENCRYPTED_EXTENSIONS), exts = begin_vec16(o);

	if (h->sni.n) {
		put16(o, SERVER_NAME);
		put16(o, 0);
	}
	if (h->group != TG_GROUP_X25519) { /* we would rather have had another */
		put16(o, SUPPORTED_GROUPS);
		put16(o, 6);
		put16(o, 4);
		put16(o, TG_GROUP_X25519);
		put16(o, TG_GROUP_P256);
	}
	if (alpn.n) {
		put16(o, ALPN);
		put16(o, (uint16_t)(alpn.n + 3));
		put16(o, (uint16_t)(alpn.n + 1));
		put8(o, (uint8_t)alpn.n);
		put_bytes(o, alpn.p, alpn.n);
	}
	end_vec16(o, exts);
	end_message(o, m);
}

uint32_t tg_proof_text(const struct tg_sched *s, bool server, uint8_t out[static TG_PROOF_MAX])
{
	static const char text[2][34] = {
		"TLS 1.3, client CertificateVerify", "TLS 1.3, server CertificateVerify"};

	memset(out, ' ', 64);
	memcpy(out + 64, text[server], 34); /* with its 0 */
	tg_sched_hash(s, out + 98);
	return 98 + tg_suite_hash_size(s->suite);
}

static bool put_verify(struct put *o, const struct tg_signer *signer, const struct tg_sched *s)
{
	uint8_t text[TG_PROOF_MAX], digest[TG_HASH_MAX];
	bool wide = signer->scheme == TG_SCHEME_P384_SHA384;
	uint32_t m = begin_message(o, CERTIFICATE_VERIFY), sig;
	size_t n = SIGNATURE_MAX;
	struct tg_hash h;

	tg_hash_init(&h, wide);
	tg_hash_update(&h, text, tg_proof_text(s, true, text));
	tg_hash_final(&h, digest);
	put16(o, signer->scheme);
	sig = begin_vec16(o);
	if (EVP_PKEY_sign(signer->ctx, o->p + o->n, &n, digest, wide ? 48 : 32) != 1)
		return false;
	o->n += (uint32_t)n;
	end_vec16(o, sig);
	end_message(o, m);
	return true;
}

static void put_finished(struct put *o, const struct tg_sched *s, const uint8_t *secret)
{
	uint32_t m = begin_message(o, FINISHED);

	tg_sched_finished(s, secret, o->p + o->n);
	o->n += tg_suite_hash_size(s->suite);
	end_message(o, m);
}

/* --- records ------------------------------------------------------------------------------------
 */

static void wire_plain(struct tg_serve_worker *w, uint8_t type, const void *p, uint32_t n)
{
	struct put o = {w->wire, w->n_wire};

	put8(&o, type);
	put16(&o, 0x0303);
	put16(&o, (uint16_t)n);
	put_bytes(&o, p, n);
	w->n_wire = o.n;
}

bool tg_serve_seal(struct tg_serve_worker *w, struct tg_rec *r, uint8_t type, struct tg_view all)
{
	bool ok = tg_rec_wake(r, &w->key);

	while (ok && all.n) {
		struct tg_view part = {
			all.p, all.n < TG_REC_CONTENT_MAX ? all.n : TG_REC_CONTENT_MAX};
		struct tg_span out = {w->wire + w->n_wire, part.n + tg_rec_overhead(r)};

		tg_rec_seal(r, type, &part, 1, part.n, &out, 1);
		w->n_wire += out.n;
		all.p += part.n;
		all.n -= part.n;
	}
	if (ok)
		tg_rec_rest(r);
	return ok;
}

/* --- the flight ---------------------------------------------------------------------------------
 */

static void add_from(struct tg_sched *s, const struct put *o, uint32_t from)
{
	tg_sched_add(s, tg_view_of(o->p + from, o->n - from));
}

/* Certificate and CertificateVerify, and before them the request for the client's. */
static bool put_proof(struct tg_hs *hs, struct put *o)
{
	const struct tg_tls_ctx *x = hs->f.ctx;
	struct tg_serve *s = &hs->serve;
	uint32_t from = o->n;

	put_bytes(o, x->request.p, x->request.n);
	put_bytes(o, x->shown[s->pair].p, x->shown[s->pair].n);
	add_from(&s->sched, o, from);
	from = o->n;
	if (!put_verify(o, &x->worker[hs->f.w->index].signer[s->pair], &s->sched))
		return false;
	add_from(&s->sched, o, from);
	return true;
}

/* Behind ServerHello, which is on the wire. */
static bool put_sealed(struct tg_hs *hs, const struct tg_hello *h, const uint8_t *server)
{
	struct tg_serve_worker *w = hs->f.w->serve;
	struct tg_serve *s = &hs->serve;
	struct put o = {w->flight, 0};
	struct tg_rec tx;
	uint32_t from;
	bool ok;

	put_extensions(&o, h, s->alpn);
	add_from(&s->sched, &o, 0);
	if (!s->resumed && !put_proof(hs, &o))
		return false;
	from = o.n;
	put_finished(&o, &s->sched, server);
	add_from(&s->sched, &o, from);
	tg_rec_init(&tx, s->sched.suite, server, 0);
	ok = tg_serve_seal(w, &tx, TG_REC_HANDSHAKE, tg_view_of(o.p, o.n));
	tg_rec_wipe(&tx);
	return ok;
}

static void note_name(struct tg_serve *s, struct tg_view sni)
{
	s->n_sni = (uint16_t)sni.n;
	if (sni.n)
		memcpy(s->sni, sni.p, sni.n);
	s->sni[sni.n] = 0;
}

/* The schedule has begun; rest: of the message, what it does not have yet. */
static bool answer(struct tg_hs *hs, const struct tg_hello *h, struct tg_view rest)
{
	const struct tg_tls_lib *lib = hs->f.ctx->worker[hs->f.w->index].lib;
	uint8_t secret[32], server[TG_HASH_MAX], share[TG_HELLO_SHARE_P256], random[32];
	struct tg_serve_worker *w = hs->f.w->serve;
	struct tg_serve *s = &hs->serve;
	struct put o = {w->flight, 0};
	uint32_t n = tg_exchange(lib, h->group, h->share, share, secret);
	bool ok = n && tg_serve_random(w, lib, random, sizeof(random));

	if (ok) {
		put_hello(&o, h, s->sched.suite, tg_view_of(random, sizeof(random)),
			tg_view_of(share, n), s->resumed);
		tg_sched_add(&s->sched, rest);
		add_from(&s->sched, &o, 0);
		wire_plain(w, TG_REC_HANDSHAKE, o.p, o.n);
		wire_plain(w, TG_REC_CCS, "\1", 1);
		tg_sched_handshake(&s->sched, tg_view_of(secret, 32), s->client, server);
		ok = put_sealed(hs, h, server);
	}
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(server, sizeof(server));
	return ok;
}

/* What is shown in a session that goes on: nothing; this is whom OpenSSL says that we are. */
static bool choose_last(struct tg_hs *hs)
{
	const struct tg_tls_ctx *x = hs->f.ctx;
	uint32_t group = tg_ctx_group(x, hs->serve.sni);

	for (uint32_t i = 0; i < TG_TLS_CERTS_MAX && x->shown[i].n; i++)
		if (x->group_of[i] == group)
			hs->serve.pair = (uint8_t)i;
	return true;
}

bool tg_flight_make(struct tg_hs *hs, struct tg_view message)
{
	struct tg_serve *s = &hs->serve;
	enum tg_suite suite;
	struct tg_hello h;
	uint32_t from = 0;
	bool ok;

	if (!tg_hello_read(message, &h) || (hs->f.ctx->conf->session_tickets && !h.psk_dhe))
		return false;
	suite = choose_suite(&h);
	note_name(s, h.sni);
	s->group = h.group;
	if (h.identities.n) {
		if (!tg_resume_open(hs, &h, message, suite))
			return false;
		from = h.unbound;
	} else {
		tg_sched_begin(&s->sched, suite, TG_VIEW_NONE);
	}
	hs->f.w->serve->n_wire = 0;
	ok = choose_alpn(hs, &h) && (s->resumed ? choose_last(hs) : choose_pair(hs, &h)) &&
	     answer(hs, &h, tg_view_of(message.p + from, message.n - from));
	if (!ok) {
		tg_ident_drop(hs->f.w->idents, s->known);
		s->known = NULL;
		memset(&hs->f.peer, 0, sizeof(hs->f.peer));
		ERR_clear_error();
		return false;
	}
	tg_rec_init(&s->rx, s->sched.suite, s->client, 0);
	tg_sched_master(&s->sched, hs->f.secret[0], hs->f.secret[1]);
	tg_rec_init(&s->tx, s->sched.suite, hs->f.secret[1], 0);
	hs->f.n_secret[0] = hs->f.n_secret[1] = (uint8_t)tg_suite_hash_size(s->sched.suite);
	return true;
}
