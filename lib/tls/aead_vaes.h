/* aead_vaes.h: whole records of AES-GCM by VAES and VPCLMULQDQ on 256 bits (AVX2).
 *
 * For CPUs that have these but not AVX-512: there ipsec-mb 1.3 works on 128 bits, and a record of
 * the size of a request costs half as much again (perf/results/aead.txt). Used by aead_ipsecmb.c,
 * which expands the key, does whatever comes in pieces, and is what this is tested against.
 *
 * Owner: whoever owns the key. Bounds: struct tg_gcm_vaes. No branch and no address depends on key
 * or content. Not here: key expansion, pieces.
 */
#ifndef TG_TLS_AEAD_VAES_H
#define TG_TLS_AEAD_VAES_H

#include "aead.h"

#define TG_GCM_VAES_AAD 16 /* at most so many bytes of additional data */
#define TG_GCM_VAES_POWERS 18

/* Powers of the hash key, the highest first. */
struct tg_gcm_vaes {
	uint8_t power[TG_GCM_VAES_POWERS][16];
};

/* Whether this CPU and system have what it takes. */
bool tg_gcm_vaes_here(void);
/* round_keys: rounds + 1 of 16 bytes, in order (FIPS 197 section 5.2); rounds: 10 or 14. */
void tg_gcm_vaes_init(struct tg_gcm_vaes *g, const uint8_t *round_keys, uint32_t rounds);
/* As tg_aead_ops.seal and .open; aad.n at most TG_GCM_VAES_AAD. The second returns the tag that
 * would be right. */
void tg_gcm_vaes_seal(const struct tg_gcm_vaes *g, const uint8_t *round_keys, uint32_t rounds,
	const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, const uint8_t *in,
	uint8_t *out, uint32_t n, uint8_t tag[static TG_AEAD_TAG]);
void tg_gcm_vaes_open(const struct tg_gcm_vaes *g, const uint8_t *round_keys, uint32_t rounds,
	const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, uint8_t *io, uint32_t n,
	uint8_t tag[static TG_AEAD_TAG]);

#endif
