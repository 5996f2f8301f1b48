/* aead_vaes.h: AES-GCM by VAES and VPCLMULQDQ on 256 bits (AVX2).
 *
 * For CPUs that have these but not AVX-512: there ipsec-mb 1.3 works on 128 bits, and a record
 * costs half as much again and more (perf/results/aead.txt). Used by aead_ipsecmb.c, which expands
 * the key by ipsec-mb; tested against that and against OpenSSL.
 *
 * Owner: whoever owns the key. Bounds: struct tg_gcm_vaes, no more than 2^31 bytes a record. No
 * branch and no address depends on key or content. Not here: key expansion.
 */
#ifndef TG_TLS_AEAD_VAES_H
#define TG_TLS_AEAD_VAES_H

#include "aead.h"

#define TG_GCM_VAES_POWERS 9

/* What a record in one piece touches stands at the front: of very many keys most are cold. */
struct tg_gcm_vaes {
	uint8_t power[TG_GCM_VAES_POWERS][16]; /* of the hash key, the highest first */
	uint8_t round_key[15][16];             /* in order (FIPS 197 section 5.2) */
	/* Of a record in pieces; blocks are kept as the code has them in registers. */
	struct {
		uint8_t counter[16], first_counter[16], sum[16];
		/* Of a block that is not complete; behind it anything, and zeros. */
		uint8_t stream[32], text[32];
		uint64_t n;
		uint32_t n_aad;
		uint8_t used; /* of stream; below 16 */
		bool sealing;
	} piece;
};

/* Whether this CPU and system have what it takes. */
bool tg_gcm_vaes_here(void);
/* When round_key has been filled: rounds + 1 of them. rounds: 10 or 14, everywhere. */
void tg_gcm_vaes_init(struct tg_gcm_vaes *g, uint32_t rounds);
/* As tg_aead_ops.seal and .open; the second returns the tag that would be right. */
void tg_gcm_vaes_seal(const struct tg_gcm_vaes *g, uint32_t rounds,
	const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, const uint8_t *in,
	uint8_t *out, uint32_t n, uint8_t tag[static TG_AEAD_TAG]);
void tg_gcm_vaes_open(const struct tg_gcm_vaes *g, uint32_t rounds,
	const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, uint8_t *io, uint32_t n,
	uint8_t tag[static TG_AEAD_TAG]);
/* As tg_aead_ops.start, .step and .finish; the last gives the tag in both directions. */
void tg_gcm_vaes_start(struct tg_gcm_vaes *g, const uint8_t nonce[static TG_AEAD_NONCE],
	struct tg_view aad, bool sealing);
void tg_gcm_vaes_step(
	struct tg_gcm_vaes *g, uint32_t rounds, const uint8_t *in, uint8_t *out, uint32_t n);
void tg_gcm_vaes_finish(struct tg_gcm_vaes *g, uint32_t rounds, uint8_t tag[static TG_AEAD_TAG]);

#endif
