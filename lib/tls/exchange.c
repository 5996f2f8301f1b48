/* exchange.c: key exchange (RFC 8446 section 4.2.8), by OpenSSL's primitives. */
#include <openssl/crypto.h>

#include "internal.h"

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

static bool derive(
	const struct tg_tls_lib *lib, EVP_PKEY *ours, EVP_PKEY *peer, uint8_t secret[static 32])
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(lib->ctx, ours, NULL);
	size_t n = 32;
	bool ok = c && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, peer) == 1 &&
		  EVP_PKEY_derive(c, secret, &n) == 1 && n == 32;

	EVP_PKEY_CTX_free(c);
	return ok;
}

static bool share_of(EVP_PKEY *ours, uint8_t *own)
{
	uint8_t *point;
	bool ok = EVP_PKEY_get1_encoded_public_key(ours, &point) == TG_HELLO_SHARE_P256;

	if (!ok)
		return false;
	memcpy(own, point, TG_HELLO_SHARE_P256);
	OPENSSL_free(point);
	return true;
}

static bool exchange_p256(
	const struct tg_tls_lib *lib, struct tg_view share, uint8_t *own, uint8_t secret[static 32])
{
	EVP_PKEY *ours = NULL, *peer = NULL;
	bool ok;

	if (EVP_PKEY_generate(lib->make_p256, &ours) == 1)
		peer = peer_p256(ours, share);
	ok = peer && derive(lib, ours, peer, secret) && share_of(ours, own);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(ours);
	return ok;
}

uint32_t tg_exchange(const struct tg_tls_lib *lib, uint16_t group, struct tg_view share,
	uint8_t *own, uint8_t secret[static 32])
{
	if (group != TG_GROUP_X25519)
		return exchange_p256(lib, share, own, secret) ? TG_HELLO_SHARE_P256 : 0;
	return tg_x25519_exchange(&lib->direct, share.p, own, secret) ? TG_HELLO_SHARE_X25519 : 0;
}
