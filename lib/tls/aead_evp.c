/* aead_evp.c: AEAD by OpenSSL's EVP interface.
 *
 * The memory of an expanded key holds one EVP_CIPHER_CTX for each cipher that it has served, made
 * by the first expand() and kept through forget(), which overwrites the key schedule with that of a
 * zero key: freeing it instead would make each waking connection allocate. Setting a nonce,
 * updating and the tag allocate nothing in OpenSSL 3.0 (checked by tests/unit/tls/test_aead.c).
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "aead.h"

struct evp {
	EVP_CIPHER_CTX *ctx[TG_AEAD_MAX];
	uint8_t id; /* of the key in use */
	bool sealing, failed;
};
_Static_assert(sizeof(struct evp) <= TG_AEAD_KEY_BYTES, "an expanded key");

/* Fetched once, by tg_aead_evp(). */
static EVP_CIPHER *ciphers[TG_AEAD_MAX];

static EVP_CIPHER_CTX *ctx_of(const struct evp *e)
{
	return e->ctx[e->id];
}

/* What goes wrong here is memory, or a library that is not what it was at start. */
static bool expand(struct tg_aead_key *k, const uint8_t *key, enum tg_aead_id id)
{
	struct evp *e = (struct evp *)k;
	EVP_CIPHER_CTX *ctx = e->ctx[id];

	if (ctx) {
		if (!EVP_CipherInit_ex2(ctx, NULL, key, NULL, 1, NULL))
			return false;
	} else {
		ctx = EVP_CIPHER_CTX_new();
		if (!ctx || !EVP_CipherInit_ex2(ctx, ciphers[id], key, NULL, 1, NULL)) {
			EVP_CIPHER_CTX_free(ctx);
			return false;
		}
		e->ctx[id] = ctx;
	}
	e->id = (uint8_t)id;
	return true;
}

static bool expand_128(struct tg_aead_key *k, const uint8_t *key)
{
	return expand(k, key, TG_AEAD_AES_128_GCM);
}

static bool expand_256(struct tg_aead_key *k, const uint8_t *key)
{
	return expand(k, key, TG_AEAD_AES_256_GCM);
}

static bool expand_chacha(struct tg_aead_key *k, const uint8_t *key)
{
	return expand(k, key, TG_AEAD_CHACHA20_POLY1305);
}

static void forget(struct tg_aead_key *k)
{
	static const uint8_t zeros[TG_AEAD_KEY_MAX];
	struct evp *e = (struct evp *)k;

	EVP_CipherInit_ex2(ctx_of(e), NULL, zeros, zeros, 1, NULL);
}

static void discard(struct tg_aead_key *k)
{
	struct evp *e = (struct evp *)k;

	for (uint32_t i = 0; i < TG_AEAD_MAX; i++)
		EVP_CIPHER_CTX_free(e->ctx[i]);
	memset(e, 0, sizeof(*e));
}

static void start(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
	struct tg_view aad, bool sealing)
{
	struct evp *e = (struct evp *)k;
	EVP_CIPHER_CTX *ctx = ctx_of(e);
	int n;

	e->sealing = sealing;
	e->failed = EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, sealing, NULL) <= 0 ||
		    (aad.n && EVP_CipherUpdate(ctx, NULL, &n, aad.p, (int)aad.n) <= 0);
}

/* No peer can make OpenSSL fail here. If it does all the same, no plain text may leave in place of
 * what was to be encrypted: zeros and a zero tag go out, which the peer refuses. */
static void step(struct tg_aead_key *k, const uint8_t *in, uint8_t *out, uint32_t n)
{
	struct evp *e = (struct evp *)k;
	int done;

	if (!n)
		return;
	if (e->failed || EVP_CipherUpdate(ctx_of(e), out, &done, in, (int)n) <= 0) {
		e->failed = true;
		memset(out, 0, n);
	}
}

static bool finish(struct tg_aead_key *k, uint8_t tag[static TG_AEAD_TAG])
{
	struct evp *e = (struct evp *)k;
	EVP_CIPHER_CTX *ctx = ctx_of(e);
	uint8_t none[16];
	int n;

	if (!e->sealing)
		return !e->failed &&
		       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TG_AEAD_TAG, tag) > 0 &&
		       EVP_CipherFinal_ex(ctx, none, &n) > 0;
	if (e->failed || EVP_CipherFinal_ex(ctx, none, &n) <= 0 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TG_AEAD_TAG, tag) <= 0) {
		memset(tag, 0, TG_AEAD_TAG);
		return false;
	}
	return true;
}

static void seal(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
	struct tg_view aad, const uint8_t *in, uint8_t *out, uint32_t n,
	uint8_t tag[static TG_AEAD_TAG])
{
	start(k, nonce, aad, true);
	step(k, in, out, n);
	finish(k, tag);
}

static bool open_(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
	struct tg_view aad, uint8_t *io, uint32_t n, const uint8_t tag[static TG_AEAD_TAG])
{
	uint8_t theirs[TG_AEAD_TAG];

	memcpy(theirs, tag, sizeof(theirs));
	start(k, nonce, aad, false);
	step(k, io, io, n);
	return finish(k, theirs);
}

static const struct tg_aead_ops ops[TG_AEAD_MAX] = {
	[TG_AEAD_AES_128_GCM] = {"evp", 16, sizeof(struct evp), TG_AEAD_GCM_RECORDS, expand_128,
		forget, discard, seal, open_, start, step, finish},
	[TG_AEAD_AES_256_GCM] = {"evp", 32, sizeof(struct evp), TG_AEAD_GCM_RECORDS, expand_256,
		forget, discard, seal, open_, start, step, finish},
	[TG_AEAD_CHACHA20_POLY1305] = {"evp", 32, sizeof(struct evp), TG_AEAD_CHACHA_RECORDS,
		expand_chacha, forget, discard, seal, open_, start, step, finish},
};

const struct tg_aead_ops *tg_aead_evp(void)
{
	static const char *const names[TG_AEAD_MAX] = {
		"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};

	for (uint32_t i = 0; i < TG_AEAD_MAX; i++) {
		if (!ciphers[i])
			ciphers[i] = EVP_CIPHER_fetch(NULL, names[i], NULL);
		if (!ciphers[i])
			return NULL;
	}
	return ops;
}
