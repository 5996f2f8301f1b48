/* exchange.c: key exchange (RFC 8446 section 4.2.8) and the verification of P-256 signatures, by
 * OpenSSL's primitives, with whatever can be prepared before prepared. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#include "internal.h"
#include "provider.h"

/* X25519 (RFC 7748 section 5): the peer's share is only 32 bytes, whose u-coordinate may be any. A
 * secret of zeros is refused by OpenSSL. */
static EVP_PKEY *peer_x25519(const struct tg_tls_lib *lib, struct tg_view share)
{
	return EVP_PKEY_new_raw_public_key_ex(lib->ctx, "X25519", NULL, share.p, share.n);
}

/* A point of P-256: it is on the curve, or there is none. */
static EVP_PKEY *peer_p256(EVP_PKEY *ours, struct tg_view share)
{
	EVP_PKEY *peer = EVP_PKEY_new();

	if (peer && EVP_PKEY_copy_parameters(peer, ours) == 1 &&
		EVP_PKEY_set1_encoded_public_key(peer, share.p, share.n) == 1)
		return peer;
	EVP_PKEY_free(peer);
	return NULL;
}

static bool derive(const struct tg_tls_lib *lib, EVP_PKEY *ours, EVP_PKEY *peer, bool validate,
	uint8_t secret[static 32])
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(lib->ctx, ours, NULL);
	size_t n = 32;
	bool ok = c && EVP_PKEY_derive_init(c) == 1 &&
		  EVP_PKEY_derive_set_peer_ex(c, peer, validate) == 1 &&
		  EVP_PKEY_derive(c, secret, &n) == 1 && n == 32;

	EVP_PKEY_CTX_free(c);
	return ok;
}

static uint32_t share_of(EVP_PKEY *ours, uint16_t group, uint8_t *own)
{
	size_t n = TG_HELLO_SHARE_X25519;
	uint8_t *point;

	if (group == TG_GROUP_X25519)
		return EVP_PKEY_get_raw_public_key(ours, own, &n) == 1 ? (uint32_t)n : 0;
	n = EVP_PKEY_get1_encoded_public_key(ours, &point);
	if (n != TG_HELLO_SHARE_P256)
		return 0;
	memcpy(own, point, n);
	OPENSSL_free(point);
	return (uint32_t)n;
}

uint32_t tg_exchange(const struct tg_tls_lib *lib, uint16_t group, struct tg_view share,
	uint8_t *own, uint8_t secret[static 32])
{
	bool x25519 = group == TG_GROUP_X25519;
	EVP_PKEY *ours = NULL, *peer = NULL;
	uint32_t n = 0;

	if (EVP_PKEY_generate(x25519 ? lib->make_x25519 : lib->make_p256, &ours) == 1)
		peer = x25519 ? peer_x25519(lib, share) : peer_p256(ours, share);
	if (peer && derive(lib, ours, peer, !x25519, secret))
		n = share_of(ours, group, own);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(ours);
	return n;
}

bool tg_p256_holds(const struct tg_tls_lib *lib, const uint8_t *point)
{
	void *key = tg_spki_key(&lib->ec, point);

	if (key)
		lib->ec.free(key);
	return key;
}

int tg_p256_verify(const struct tg_tls_lib *lib, const uint8_t *point, const uint8_t *digest,
	uint32_t n, struct tg_view sig)
{
	const struct tg_lib_ec *ec = &lib->ec;
	void *key = tg_spki_key(ec, point), *c = NULL;
	int r = -1;

	if (key)
		c = ec->sig_new(OSSL_PROVIDER_get0_provider_ctx(lib->base), NULL);
	if (c && ec->verify_init(c, key, NULL) == 1)
		r = ec->verify(c, sig.p, sig.n, digest, n) == 1;
	if (c)
		ec->sig_free(c);
	if (key)
		ec->free(key);
	return r;
}
