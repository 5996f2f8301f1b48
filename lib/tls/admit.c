#include "admit.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "internal.h"
#include "plain.h"

/* A certificate of a bundle. */
struct tg_anchor {
	bool plain;                  /* may admit; else whoever it might have signed is OpenSSL's */
	struct tg_view name, key_id; /* subject in DER; subjectKeyIdentifier, .n 0: none */
	int64_t from, to;            /* good in between */
	uint8_t point[TG_PLAIN_POINT];
};

/* --- anchors ------------------------------------------------------------------------------------
 */

/* A CA for clients, in version 3, with no extension that could limit whom it vouches for. */
static bool is_simple_ca(X509 *a)
{
	static const int known[] = {NID_basic_constraints, NID_key_usage,
		NID_subject_key_identifier, NID_authority_key_identifier, NID_subject_alt_name};
	uint32_t flags = X509_get_extension_flags(a);

	for (int i = 0; i < X509_get_ext_count(a); i++) {
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(X509_get_ext(a, i)));
		uint32_t k = 0;

		while (k < TG_ARRAY_LEN(known) && known[k] != nid)
			k++;
		if (k == TG_ARRAY_LEN(known))
			return false;
	}
	return X509_get_version(a) == X509_VERSION_3 && X509_check_ca(a) == 1 &&
	       X509_check_purpose(a, X509_PURPOSE_SSL_CLIENT, 1) == 1 && !X509_trusted(a) &&
	       !(flags & (EXFLAG_INVALID | EXFLAG_CRITICAL | EXFLAG_PROXY)) &&
	       (flags & EXFLAG_KUSAGE) && (X509_get_key_usage(a) & KU_KEY_CERT_SIGN);
}

/* Times as X509_cmp_time() wants them: to the second, in UTC. */
static bool has_simple_times(const X509 *a)
{
	return X509_cmp_time(X509_get0_notBefore(a), NULL) != 0 &&
	       X509_cmp_time(X509_get0_notAfter(a), NULL) != 0;
}

/* False: it has no name that could be compared. */
static bool note_anchor(struct tg_anchor *to, X509 *a)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(a);
	const uint8_t *point = tg_cert_point(a);
	const unsigned char *der;
	size_t n;

	if (X509_NAME_get0_der(X509_get_subject_name(a), &der, &n) != 1)
		return false;
	to->name = tg_view_of(der, n);
	if (id)
		to->key_id = tg_view_of(ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id));
	to->from = tg_cert_not_before(a);
	to->to = tg_cert_not_after(a);
	/* An empty identifier is like no other to OpenSSL, and would be none here. */
	if (!point || !X509_get0_pubkey(a) || (id && !to->key_id.n))
		return true;
	memcpy(to->point, point, sizeof(to->point));
	to->plain = is_simple_ca(a) && has_simple_times(a) && tg_plain_name(to->name);
	return true;
}

/* Names are compared by their bytes here, and by OpenSSL in the way of RFC 5280 section 7.1: no
 * two may be alike that are not the same. */
static bool names_clash(STACK_OF(X509) * all, const struct tg_anchor *anchor)
{
	for (int i = 0; i < sk_X509_num(all); i++)
		for (int k = 0; k < i; k++)
			if (X509_NAME_cmp(X509_get_subject_name(sk_X509_value(all, i)),
				    X509_get_subject_name(sk_X509_value(all, k))) == 0 &&
				!tg_view_eq(anchor[i].name, anchor[k].name))
				return true;
	return false;
}

bool tg_anchors_note(struct tg_trust *t, STACK_OF(X509) * all)
{
	uint32_t n = (uint32_t)sk_X509_num(all);
	bool named = true;

	if (n > TG_ANCHORS_MAX)
		return true;
	t->anchor = calloc(n + 1u, sizeof(*t->anchor));
	if (!t->anchor)
		return false;
	for (uint32_t i = 0; i < n; i++)
		named &= note_anchor(&t->anchor[i], sk_X509_value(all, (int)i));
	/* All or none: one that is passed over might be the first to come in question. */
	if (!named || names_clash(all, t->anchor)) {
		free(t->anchor);
		t->anchor = NULL;
	}
	ERR_clear_error();
	return true;
}

/* The first that might have signed c, as OpenSSL chooses it; negative: none. */
static int find_anchor(const struct tg_trust *t, const struct tg_plain *c)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct tg_anchor *a = &t->anchor[i];

		if (tg_view_eq(a->name, c->issuer) &&
			(!c->issuer_key_id.n || !a->key_id.n ||
				tg_view_eq(c->issuer_key_id, a->key_id)))
			return (int)i;
	}
	return -1;
}

/* --- admission ----------------------------------------------------------------------------------
 */

/* The trust that may vouch for it (X509-SVID section 5: one URI, which is a SPIFFE ID with a path;
 * usage and basic constraints are those of all plain ones). NULL: none. */
static const struct tg_trust *choose_trust(const struct tg_tls_ctx *x, const struct tg_plain *c)
{
	struct tg_view names = c->names, name = TG_VIEW_NONE, td, path;
	uint8_t type = 0;
	int t = 0;

	if (x->conf->spiffe) {
		if (c->n_uri != 1)
			return NULL;
		while (type != TG_PLAIN_URI && tg_plain_next(&names, &type, &name))
			;
		if (!tg_spiffe_parse(name, &td, &path) || !path.n)
			return NULL;
		t = tg_ctx_trust_of(x, td);
	}
	return t >= 0 && (uint32_t)t < x->n_trust ? &x->trust[t] : NULL;
}

static bool is_within(int64_t now, int64_t from, int64_t to)
{
	return from <= now && now < to;
}

/* A certificate that is its own issuer is another matter, and so is a leaf that is an anchor. */
static bool is_signed(const struct tg_facts *f, const struct tg_plain *c, const struct tg_anchor *a)
{
	const struct tg_direct *d = &f->ctx->worker[f->w->index].lib->direct;
	uint8_t digest[TG_HASH_MAX];
	struct tg_hash hash;

	if (!a->plain || !is_within(f->now, a->from, a->to) ||
		!is_within(f->now, c->not_before, c->not_after) ||
		!tg_plain_differ(c->subject, a->name) || !tg_p256_set(d, d->p256.peers, c->point))
		return false;
	tg_hash_init(&hash, false);
	tg_hash_update(&hash, c->signed_part.p, c->signed_part.n);
	tg_hash_final(&hash, digest);
	return tg_p256_verify(d, d->p256.anchors, a->point, digest, TG_DIGEST, c->signature) == 1;
}

/* As verify.c notes it. */
static struct tg_identity *note(struct tg_facts *f, struct tg_view der, const struct tg_plain *c,
	const uint8_t *leaf, const uint8_t *anchor, int64_t anchor_end)
{
	struct tg_peer p = {.known = true,
		.svid = f->ctx->conf->spiffe,
		.expires = c->not_after < anchor_end ? c->not_after : anchor_end,
		.authenticated = f->now};
	struct tg_identity *id;

	id = tg_ident_of_plain(f->w->idents, c, leaf, p.svid ? TG_IDENT_SVID : TG_IDENT_PLAIN);
	if (!id || (f->ctx->conf->keep_pem && !tg_ident_keep_pem(id, der))) {
		tg_ident_drop(f->w->idents, id);
		return NULL;
	}
	memcpy(p.leaf, leaf, TG_DIGEST);
	memcpy(p.anchor, anchor, TG_DIGEST);
	tg_ident_remember(id, f->ctx->serial, &p);
	f->peer = p;
	return id;
}

struct tg_identity *tg_admit(
	struct tg_facts *f, struct tg_view der, const uint8_t digest[static TG_DIGEST])
{
	const struct tg_tls_ctx *x = f->ctx;
	const struct tg_trust *t;
	struct tg_plain c;
	int a;

	if (!tg_plain_read(der, &c))
		return NULL;
	t = choose_trust(x, &c);
	if (!t || !t->anchor || t->crl || tg_trust_has(t, digest))
		return NULL;
	a = find_anchor(t, &c);
	if (a < 0 || !is_signed(f, &c, &t->anchor[a]))
		return NULL;
	return note(f, der, &c, digest, t->digest[a], t->anchor[a].to);
}
