/* direct.h: the default provider's own functions for curves, called without EVP in between: X25519
 * (RFC 7748) and P-256.
 *
 * EVP looks algorithms up by name for each key that it makes and for each operation, walks all
 * their names, and takes locks: of an exchange it was a tenth. The functions are those that EVP
 * would call (provider-keymgmt(7), provider-keyexch(7), provider-signature(7)), so all arithmetic,
 * and all that touches secrets, is OpenSSL's.
 *
 * Owner: a worker's library. Bounds: one key and one context of a kind at one time. Private keys
 * are made and freed within one call. Not here: signing, and what EVP does no worse (exchange.c).
 */
#ifndef TG_TLS_DIRECT_H
#define TG_TLS_DIRECT_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/core_dispatch.h>
#include <openssl/provider.h>

#include <tidegate/view.h>

#define TG_P256_POINT 65 /* 04, x, y */
#define TG_X25519_KEY 32

/* Of one type. */
struct tg_direct_keys {
	OSSL_FUNC_keymgmt_new_fn *make;
	OSSL_FUNC_keymgmt_free_fn *free;
	OSSL_FUNC_keymgmt_import_fn *import;
	OSSL_FUNC_keymgmt_dup_fn *dup;
	OSSL_FUNC_keymgmt_set_params_fn *set_params;
	OSSL_FUNC_keymgmt_get_params_fn *get_params;
	OSSL_FUNC_keymgmt_gen_init_fn *gen_init;
	OSSL_FUNC_keymgmt_gen_fn *gen;
	OSSL_FUNC_keymgmt_gen_cleanup_fn *gen_cleanup;
};

/* What verifies: a key into which points are put, and a context for it. The last point stays, since
 * it may be asked for again. */
struct tg_p256 {
	void *key, *ctx;
	bool is_set;
	uint8_t point[TG_P256_POINT];
};

struct tg_direct {
	void *provider; /* the default provider's context */
	struct {
		struct tg_direct_keys keys;
		void *curve; /* a key without a point, to be copied: EC_GROUP is costly to make */
		struct tg_p256 *peers, *anchors; /* for keys of either */
		OSSL_FUNC_signature_newctx_fn *make;
		OSSL_FUNC_signature_verify_init_fn *init;
		OSSL_FUNC_signature_verify_fn *verify;
		OSSL_FUNC_signature_freectx_fn *free;
	} p256;
	struct {
		struct tg_direct_keys keys;
		void *gen;  /* makes keys */
		void *peer; /* a key without a secret: the peer's share is put into it */
		OSSL_FUNC_keyexch_newctx_fn *make;
		OSSL_FUNC_keyexch_init_fn *init;
		OSSL_FUNC_keyexch_set_peer_fn *set_peer;
		OSSL_FUNC_keyexch_derive_fn *derive;
		OSSL_FUNC_keyexch_freectx_fn *free;
	} x25519;
};

/* base: the default provider, which outlives d. False: something is not there; tg_direct_close()
 * all the same. */
bool tg_direct_open(struct tg_direct *d, const OSSL_PROVIDER *base);
void tg_direct_close(struct tg_direct *d);

/* A key of the default provider's with that point; d->p256.keys.free(). NULL: it is none, or no
 * memory. */
void *tg_direct_p256(const struct tg_direct *d, const uint8_t *point);
/* Whether these bytes are a point of P-256, which is in v then. */
bool tg_p256_set(const struct tg_direct *d, struct tg_p256 *v, const uint8_t *point);
/* Verifies an ECDSA signature over a digest. 1: good; 0: not; negative: no point, or error. */
int tg_p256_verify(const struct tg_direct *d, struct tg_p256 *v, const uint8_t *point,
	const uint8_t *digest, uint32_t n, struct tg_view sig);

/* A fresh key, its share into `own`, and the secret with the peer's share (whose u-coordinate may
 * be any; a secret of zeros is refused: RFC 8446 section 7.4.2). */
bool tg_x25519_exchange(const struct tg_direct *d, const uint8_t share[static TG_X25519_KEY],
	uint8_t own[static TG_X25519_KEY], uint8_t secret[static TG_X25519_KEY]);

#endif
