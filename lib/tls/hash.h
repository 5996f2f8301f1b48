/* hash.h: SHA-256 and SHA-384 (FIPS 180-4) whose state is a plain struct, to be copied and kept
 * anywhere: transcripts of handshakes, HMAC.
 *
 * They are OpenSSL's SHA functions of old: EVP_MD allocates at each use. They are marked as
 * deprecated since 3.0 and are part of all of 3.x. Include this before any other header of
 * OpenSSL's.
 */
#ifndef TG_TLS_HASH_H
#define TG_TLS_HASH_H

#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#endif
#include <openssl/sha.h>

#include <tidegate/view.h>

#define TG_HASH_MAX 48

struct tg_hash {
	bool wide; /* SHA-384 */
	union {
		SHA256_CTX s256;
		SHA512_CTX s384;
	};
};

void tg_hash_init(struct tg_hash *h, bool wide);
void tg_hash_update(struct tg_hash *h, const void *p, uint32_t n);
/* out: 32 or 48 bytes. h is used up. */
void tg_hash_final(struct tg_hash *h, uint8_t *out);

/* HMAC (RFC 2104): the two states behind a key's blocks. To be wiped. */
struct tg_hmac {
	struct tg_hash inner, outer;
};

/* A secret of the hash's size, from which several things are derived by HKDF-Expand-Label (RFC 8446
 * section 7.1; the rules are those of tg_hkdf_expand_label()). */
void tg_hkdf_begin(struct tg_hmac *m, bool wide, const uint8_t *secret);
void tg_hkdf_expand(const struct tg_hmac *keyed, const char *label, struct tg_view context,
	uint8_t *out, uint32_t n);

#endif
