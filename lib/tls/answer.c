/* answer.c: the client's Certificate, CertificateVerify and Finished (RFC 8446 sections 4.4.2 to
 * 4.4.4): what is looked at, in which order, and with which alert it is refused. The order and the
 * alerts are OpenSSL 3.0's. */
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/sslerr.h>

#include "admit.h"
#include "internal.h"

/* --- Certificate --------------------------------------------------------------------------------
 */

enum { STATUS_REQUEST = 5, CERTIFICATE_TIMESTAMPS = 18 };

/* Extensions that OpenSSL knows, which may not stand beside a certificate. */
static bool is_misplaced(uint32_t type)
{
	static const uint16_t known[] = {0, 1, 10, 11, 12, 13, 14, 16, 21, 22, 23, 35, 41, 42, 43,
		44, 45, 47, 49, 50, 51, 13172, 0xfde8, 0xff01};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(known); i++)
		if (known[i] == type)
			return true;
	return false;
}

static bool read_extensions(struct tg_hs *h, struct tg_view exts)
{
	bool timestamps = false;
	struct tg_view data;
	uint32_t type;

	while (exts.n) {
		if (!tg_take_uint(&exts, 2, &type) || !tg_take_vec(&exts, 2, &data))
			return tg_serve_refuse(h, SSL_AD_DECODE_ERROR, SSL_R_BAD_EXTENSION);
		if (is_misplaced(type) || (type == CERTIFICATE_TIMESTAMPS && timestamps))
			return tg_serve_refuse(h, SSL_AD_ILLEGAL_PARAMETER, SSL_R_BAD_EXTENSION);
		timestamps |= type == CERTIFICATE_TIMESTAMPS;
		if (type == STATUS_REQUEST) /* we have not asked */
			return tg_serve_refuse(
				h, SSL_AD_UNSUPPORTED_EXTENSION, SSL_R_UNSOLICITED_EXTENSION);
	}
	return true;
}

/* Whether this leaf has been verified before, and can be believed without being read again. */
static bool is_known(struct tg_hs *h, const uint8_t digest[TG_DIGEST])
{
	struct tg_facts *f = &h->f;

	if (f->now >= tg_crls_end(f->ctx->crls))
		return false;
	h->serve.known = tg_ident_known(f->w->idents, digest, f->ctx, f->now, &f->peer);
	if (h->serve.known && f->ctx->conf->keep_pem && !h->serve.known->cert_pem.n) {
		tg_ident_drop(f->w->idents, h->serve.known);
		h->serve.known = NULL;
		memset(&f->peer, 0, sizeof(f->peer));
	}
	return h->serve.known;
}

/* Whether the leaf is good without OpenSSL being asked. list: what follows the leaf: its
 * extensions, and any certificates. Extensions may still be wrong, and the handshake refused for
 * that. */
static bool is_good_alone(struct tg_hs *h, struct tg_view der, struct tg_view list)
{
	uint8_t digest[TG_DIGEST];
	struct tg_hash hash;
	struct tg_view exts;

	tg_hash_init(&hash, false);
	tg_hash_update(&hash, der.p, der.n);
	tg_hash_final(&hash, digest);
	if (is_known(h, digest))
		return true;
	if (!tg_take_whole(list, 2, &exts))
		return false;
	h->serve.known = tg_admit(&h->f, der, digest);
	return h->serve.known;
}

/* A certificate, if it is one; and onto the chain. */
static bool read_der(struct tg_hs *h, struct tg_view der, STACK_OF(X509) * chain)
{
	const struct tg_tls_lib *lib = h->f.ctx->worker[h->f.w->index].lib;
	X509 *x = X509_new_ex(lib->ctx, NULL);
	const uint8_t *p = der.p;

	if (!x || !d2i_X509(&x, &p, der.n)) {
		X509_free(x);
		return tg_serve_refuse(h, SSL_AD_DECODE_ERROR, ERR_R_ASN1_LIB);
	}
	if (p == der.p + der.n && sk_X509_push(chain, x))
		return true;
	X509_free(x);
	return tg_serve_refuse(h, SSL_AD_DECODE_ERROR, SSL_R_CERT_LENGTH_MISMATCH);
}

static bool read_list(struct tg_hs *h, struct tg_view list, STACK_OF(X509) * chain)
{
	struct tg_view der, exts;
	bool first = true;

	while (list.n) {
		if (!tg_take_vec(&list, 3, &der))
			return tg_serve_refuse(h, SSL_AD_DECODE_ERROR, SSL_R_CERT_LENGTH_MISMATCH);
		if (!(first && is_good_alone(h, der, list)) && !read_der(h, der, chain))
			return false;
		if (first)
			tg_serve_keep(&h->serve, der);
		if (!tg_take_vec(&list, 2, &exts))
			return tg_serve_refuse(h, SSL_AD_DECODE_ERROR, SSL_R_BAD_LENGTH);
		if (!read_extensions(h, exts))
			return false;
		first = false;
	}
	return true;
}

/* A ticket has the certificate as it came, and whoever comes with it is known by the hash of that;
 * here he is known by the hash of its DER. BER, which OpenSSL reads as well, would make two of him:
 * there is no ticket then. */
static void keep_der_alone(struct tg_hs *h)
{
	struct tg_serve *s = &h->serve;
	uint8_t digest[TG_DIGEST];
	struct tg_hash hash;

	if (s->n_cert > sizeof(s->cert))
		return;
	tg_hash_init(&hash, false);
	tg_hash_update(&hash, s->cert, s->n_cert);
	tg_hash_final(&hash, digest);
	if (memcmp(digest, h->f.peer.leaf, TG_DIGEST) != 0)
		s->n_cert = SERVE_LEAF_MAX + 1;
}

static bool verify_chain(struct tg_hs *h, STACK_OF(X509) * chain)
{
	int error;

	if (sk_X509_num(chain) == 0) {
		h->serve.state = SERVE_FINISHED;
		return !h->f.ctx->conf->require_client_certificate ||
		       tg_serve_refuse(h, SSL_AD_CERTIFICATE_REQUIRED,
			       SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE);
	}
	error = tg_verify_chain(&h->f, chain);
	if (error != X509_V_OK)
		return tg_serve_refuse(h, tg_alert_of_x509(error), SSL_R_CERTIFICATE_VERIFY_FAILED);
	keep_der_alone(h);
	h->serve.leaf = sk_X509_shift(chain);
	if (!X509_get0_pubkey(h->serve.leaf))
		return tg_serve_refuse(h, SSL_AD_HANDSHAKE_FAILURE, SSL_R_UNKNOWN_CERTIFICATE_TYPE);
	h->serve.state = SERVE_VERIFY;
	return true;
}

static bool take_list(struct tg_hs *h, struct tg_view list)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	bool ok;

	if (!chain)
		return tg_serve_refuse(h, SSL_AD_INTERNAL_ERROR, ERR_R_MALLOC_FAILURE);
	ok = read_list(h, list, chain);
	if (ok && h->serve.known)
		h->serve.state = SERVE_VERIFY;
	else
		ok = ok && verify_chain(h, chain);
	sk_X509_pop_free(chain, X509_free);
	return ok;
}

bool tg_answer_certificate(struct tg_hs *h, struct tg_view m)
{
	struct tg_view body = {m.p + 4, m.n - 4}, context, list;

	if (!tg_take_vec(&body, 1, &context) || context.n)
		return tg_serve_refuse(h, SSL_AD_DECODE_ERROR, SSL_R_INVALID_CONTEXT);
	if (!tg_take_whole(body, 3, &list))
		return tg_serve_refuse(h, SSL_AD_DECODE_ERROR, SSL_R_LENGTH_MISMATCH);
	if (!take_list(h, list))
		return false;
	tg_sched_add(&h->serve.sched, m);
	return true;
}

/* --- CertificateVerify --------------------------------------------------------------------------
 */

static const struct scheme {
	uint16_t id;
	int key;           /* EVP_PKEY_... */
	const char *group; /* the key's, if it is on a curve */
	const char *md;    /* NULL: the signature's own */
} schemes[] = {
	{0x0403, EVP_PKEY_EC, "prime256v1", "SHA2-256"},
	{0x0503, EVP_PKEY_EC, "secp384r1", "SHA2-384"},
	{0x0603, EVP_PKEY_EC, "secp521r1", "SHA2-512"},
	{0x0807, EVP_PKEY_ED25519, NULL, NULL},
	{0x0809, EVP_PKEY_RSA_PSS, NULL, "SHA2-256"},
	{0x080a, EVP_PKEY_RSA_PSS, NULL, "SHA2-384"},
	{0x080b, EVP_PKEY_RSA_PSS, NULL, "SHA2-512"},
	{0x0804, EVP_PKEY_RSA, NULL, "SHA2-256"},
	{0x0805, EVP_PKEY_RSA, NULL, "SHA2-384"},
	{0x0806, EVP_PKEY_RSA, NULL, "SHA2-512"},
};

/* The scheme must be one that we asked for, and the key's. */
static const struct scheme *scheme_for(uint32_t id, EVP_PKEY *key)
{
	const struct scheme *s = schemes, *end = schemes + TG_ARRAY_LEN(schemes);
	char group[32];
	size_t n;

	while (s < end && s->id != id)
		s++;
	if (s == end || EVP_PKEY_get_base_id(key) != s->key)
		return NULL;
	if (s->group && (!EVP_PKEY_get_group_name(key, group, sizeof(group), &n) ||
				strcmp(group, s->group) != 0))
		return NULL;
	return s;
}

/* 1: good; 0: not; negative: error. */
static int check_by_evp(struct tg_hs *h, EVP_PKEY *key, const struct scheme *s, struct tg_view text,
	struct tg_view sig)
{
	const struct tg_tls_lib *lib = h->f.ctx->worker[h->f.w->index].lib;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pc;
	int r = -1;

	if (c && EVP_DigestVerifyInit_ex(c, &pc, s->md, lib->ctx, NULL, key, NULL) == 1 &&
		((s->key != EVP_PKEY_RSA && s->key != EVP_PKEY_RSA_PSS) ||
			(EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) == 1 &&
				EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, RSA_PSS_SALTLEN_DIGEST) == 1)))
		r = EVP_DigestVerify(c, sig.p, sig.n, text.p, text.n) == 1;
	EVP_MD_CTX_free(c);
	return r;
}

static int check_by_point(
	struct tg_hs *h, const uint8_t *point, struct tg_view text, struct tg_view sig)
{
	const struct tg_direct *d = &h->f.ctx->worker[h->f.w->index].lib->direct;
	uint8_t digest[TG_HASH_MAX];
	struct tg_hash hash;

	tg_hash_init(&hash, false);
	tg_hash_update(&hash, text.p, text.n);
	tg_hash_final(&hash, digest);
	return tg_p256_verify(d, d->p256.peers, point, digest, TG_DIGEST, sig);
}

static bool check_proof(struct tg_hs *h, uint32_t id, struct tg_view rest)
{
	const uint8_t *point =
		h->serve.known ? tg_ident_point(h->serve.known) : tg_cert_point(h->serve.leaf);
	EVP_PKEY *key = point ? NULL : X509_get0_pubkey(h->serve.leaf);
	const struct scheme *s = point ? schemes : scheme_for(id, key);
	struct tg_view text, sig;
	uint8_t b[TG_PROOF_MAX];
	int r;

	if (!s || s->id != id)
		return tg_serve_refuse(h, SSL_AD_ILLEGAL_PARAMETER, SSL_R_WRONG_SIGNATURE_TYPE);
	if (!tg_take_whole(rest, 2, &sig))
		return tg_serve_refuse(h, SSL_AD_DECODE_ERROR, SSL_R_LENGTH_MISMATCH);
	text = tg_view_of(b, tg_proof_text(&h->serve.sched, false, b));
	r = point ? check_by_point(h, point, text, sig) : check_by_evp(h, key, s, text, sig);
	if (r < 0)
		return tg_serve_refuse(h, SSL_AD_INTERNAL_ERROR, ERR_R_EVP_LIB);
	return r || tg_serve_refuse(h, SSL_AD_DECRYPT_ERROR, SSL_R_BAD_SIGNATURE);
}

bool tg_answer_verify(struct tg_hs *h, struct tg_view m)
{
	struct tg_view body = {m.p + 4, m.n - 4};
	uint32_t id;

	if (!tg_take_uint(&body, 2, &id))
		return tg_serve_refuse(h, SSL_AD_DECODE_ERROR, SSL_R_BAD_PACKET);
	if (!check_proof(h, id, body))
		return false;
	tg_sched_add(&h->serve.sched, m);
	h->serve.state = SERVE_FINISHED;
	return true;
}

/* --- Finished -----------------------------------------------------------------------------------
 */

bool tg_answer_finished(struct tg_hs *h, struct tg_view m)
{
	struct tg_serve *s = &h->serve;
	uint8_t want[TG_HASH_MAX];
	uint32_t n = tg_suite_hash_size(s->sched.suite);

	if (m.n - 4 != n)
		return tg_serve_refuse(h, SSL_AD_DECODE_ERROR, SSL_R_BAD_DIGEST_LENGTH);
	tg_sched_finished(&s->sched, s->client, want);
	if (CRYPTO_memcmp(want, m.p + 4, n) != 0)
		return tg_serve_refuse(h, SSL_AD_DECRYPT_ERROR, SSL_R_DIGEST_CHECK_FAILED);
	tg_sched_add(&s->sched, m);
	s->state = SERVE_OPEN;
	return true;
}
