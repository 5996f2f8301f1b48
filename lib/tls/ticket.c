#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "internal.h"

/* --- keys ---------------------------------------------------------------------------------------
 */

bool tg_ticket_rotate(struct tg_ticket_keys *k, int64_t now)
{
	struct tg_ticket_key fresh;

	if (RAND_bytes(fresh.name, sizeof(fresh.name)) != 1 ||
		RAND_priv_bytes(fresh.aes, sizeof(fresh.aes)) != 1 ||
		RAND_priv_bytes(fresh.hmac, sizeof(fresh.hmac)) != 1)
		return false;
	fresh.made = now;
	if (k->n < TG_TICKET_KEYS)
		k->n++;
	memmove(k->key + 1, k->key, (k->n - 1) * sizeof(*k->key));
	k->key[0] = fresh;
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return true;
}

bool tg_ticket_add(struct tg_ticket_keys *k, const struct tg_blob *file, struct tg_complaints *c)
{
	struct tg_ticket_key *t = &k->key[k->n];

	if (file->n != TG_TICKET_FILE) {
		tg_complain(c,
			"%s: has %zu bytes, and a key for tickets has %d: a name of 16, and keys "
			"of 32 for AES and for HMAC",
			file->file, file->n, TG_TICKET_FILE);
		return false;
	}
	memcpy(t->name, file->p, sizeof(t->name));
	memcpy(t->aes, file->p + 16, sizeof(t->aes));
	memcpy(t->hmac, file->p + 48, sizeof(t->hmac));
	for (uint32_t i = 0; i < k->n; i++) {
		const struct tg_ticket_key *o = &k->key[i];

		if (memcmp(t->name, o->name, sizeof(t->name)) != 0)
			continue;
		if (memcmp(t->aes, o->aes, sizeof(t->aes)) == 0 &&
			memcmp(t->hmac, o->hmac, sizeof(t->hmac)) == 0)
			return true; /* the same key, on its way from one file to the next */
		tg_complain(c, "%s: another key has the same name", file->file);
		return false;
	}
	k->n++;
	return true;
}

void tg_ticket_wipe(struct tg_ticket_keys *k)
{
	OPENSSL_cleanse(k, sizeof(*k));
}

static bool set_hmac(EVP_MAC_CTX *mac, struct tg_ticket_key *k)
{
	char sha256[] = "SHA256";
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->hmac, sizeof(k->hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, p) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 use, 2 use and send a new ticket, 0 cannot, -1 fail.
 */
static int ticket_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int encrypt)
{
	struct tg_facts *f = tg_facts_of(ssl);
	struct tg_ticket_keys *keys = tg_ticket_keys_of(f->set, f->ctx);
	const struct tg_tls_lib *lib = f->ctx->worker[f->w->index].lib;
	const EVP_CIPHER *aes = lib->aes256_cbc;

	if (encrypt) {
		if (keys->n == 0 ||
			RAND_bytes_ex(lib->ctx, iv, (size_t)EVP_CIPHER_get_iv_length(aes), 0) !=
				1 ||
			!EVP_EncryptInit_ex2(cipher, aes, keys->key[0].aes, iv, NULL) ||
			!set_hmac(mac, &keys->key[0]))
			return -1;
		memcpy(name, keys->key[0].name, sizeof(keys->key[0].name));
		return 1;
	}
	for (uint32_t i = 0; i < keys->n; i++) {
		struct tg_ticket_key *k = &keys->key[i];

		if (CRYPTO_memcmp(k->name, name, sizeof(k->name)) != 0)
			continue;
		if (!set_hmac(mac, k) || !EVP_DecryptInit_ex2(cipher, aes, k->aes, iv, NULL))
			return -1;
		return i == 0 ? 1 : 2;
	}
	return 0;
}

/* --- what a ticket says --------------------------------------------------------------------------
 */

#define SAYS_VERSION 1
enum { SAYS_PEER = 1, SAYS_SVID = 2 };

void tg_ticket_write_says(const struct tg_facts *f, uint8_t b[static TG_TICKET_SAYS])
{
	memset(b, 0, TG_TICKET_SAYS);
	b[0] = SAYS_VERSION;
	if (f->peer.known)
		b[1] = SAYS_PEER | (f->peer.svid ? SAYS_SVID : 0);
	memcpy(b + 2, f->peer.anchor, TG_DIGEST);
	memcpy(b + 34, &f->peer.expires, 8);
	memcpy(b + 42, &f->now, 8);
}

static int write_says(SSL *ssl, void *arg)
{
	SSL_SESSION *s = SSL_get_session(ssl);
	uint8_t b[TG_TICKET_SAYS];
	struct tg_ticket_says says;

	if (SSL_session_reused(ssl)) /* what the first ticket said goes on */
		return tg_ticket_says(s, &says);
	tg_ticket_write_says(tg_facts_of(ssl), b);
	return SSL_SESSION_set1_ticket_appdata(s, b, sizeof(b));
}

bool tg_ticket_read_says(struct tg_view v, struct tg_ticket_says *out)
{
	memset(out, 0, sizeof(*out));
	if (v.n != TG_TICKET_SAYS || v.p[0] != SAYS_VERSION)
		return false;
	out->peer = v.p[1] & SAYS_PEER;
	out->svid = v.p[1] & SAYS_SVID;
	memcpy(out->anchor, v.p + 2, TG_DIGEST);
	memcpy(&out->expires, v.p + 34, 8);
	memcpy(&out->authenticated, v.p + 42, 8);
	return true;
}

bool tg_ticket_says(const SSL_SESSION *s, struct tg_ticket_says *out)
{
	uint8_t *b = NULL;
	size_t n = 0;

	if (!SSL_SESSION_get0_ticket_appdata((SSL_SESSION *)s, (void **)&b, &n) || !b)
		n = 0;
	return tg_ticket_read_says(tg_view_of(b, n), out);
}

/* Whether the CA that vouched for the peer is still one that we trust for it. */
static bool still_trusted(
	const struct tg_tls_ctx *x, const struct tg_ticket_says *says, struct tg_view uri)
{
	struct tg_view td, path;
	int t = 0;

	if (says->svid)
		t = tg_spiffe_parse(uri, &td, &path) ? tg_ctx_trust_of(x, td) : -1;
	return t >= 0 && (uint32_t)t < x->n_trust && tg_trust_has(&x->trust[t], says->anchor);
}

/* A ticket is worth what a full handshake with the same certificate would be worth now: the
 * certificate and its chain have not expired, its CA has not been withdrawn, nothing was revoked
 * since (the policy's digest would be another), and the policy is met.
 */
bool tg_ticket_good(
	const struct tg_facts *f, const struct tg_ticket_says *says, bool leaf, struct tg_view uri)
{
	const struct tg_tls_conf *conf = f->ctx->conf;

	if (f->now >= says->authenticated + TG_TICKET_AUTH_MAX)
		return false;
	if (!says->peer)
		return !leaf && !conf->require_client_certificate;
	return leaf && says->svid == conf->spiffe && f->now < says->expires &&
	       f->now < tg_crls_end(f->ctx->crls) && still_trusted(f->ctx, says, uri);
}

static bool still_good(const struct tg_facts *f, const SSL_SESSION *s)
{
	X509 *leaf = SSL_SESSION_get0_peer((SSL_SESSION *)s);
	struct tg_cert_names names = {0};
	struct tg_ticket_says says;
	bool good;

	if (!tg_ticket_says(s, &says))
		return false;
	if (says.svid && leaf && !tg_cert_names(leaf, &names))
		ERR_clear_error();
	good = tg_ticket_good(f, &says, leaf, names.uri);
	tg_cert_names_free(&names);
	return good;
}

static SSL_TICKET_RETURN open_ticket(SSL *ssl, SSL_SESSION *s, const unsigned char *name,
	size_t n_name, SSL_TICKET_STATUS status, void *arg)
{
	struct tg_facts *f = tg_facts_of(ssl);

	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (!still_good(f, s))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	/* TLS 1.3 clients use a ticket once (RFC 8446 appendix C.4): each gets another. */
	return status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) == TLS1_3_VERSION
		       ? SSL_TICKET_RETURN_USE_RENEW
		       : SSL_TICKET_RETURN_USE;
}

void tg_ticket_serve(SSL_CTX *ctx)
{
	SSL_CTX_set_timeout(ctx, TG_TICKET_LIFETIME);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
	SSL_CTX_set_session_ticket_cb(ctx, write_says, open_ticket, NULL);
}
