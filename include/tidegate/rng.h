/* rng.h: random numbers, handed in so that a run can be repeated from its seed.
 *
 * struct tg_rng is xoshiro256**: fast and statistically good, NOT for secrets. Secrets (hash keys,
 * ISN keys) are filled by tg_rng_secret() at start from the kernel, or from a seed in simulations.
 * Owner: one thread.
 */
#ifndef TIDEGATE_RNG_H
#define TIDEGATE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct tg_rng {
	uint64_t s[4];
};

void tg_rng_seed(struct tg_rng *r, uint64_t seed);
uint64_t tg_rng_next(struct tg_rng *r);

/* Uniform in [0, n), n > 0, without modulo bias worth naming (Lemire's multiply). */
static inline uint32_t tg_rng_below(struct tg_rng *r, uint32_t n)
{
	return (uint32_t)(((tg_rng_next(r) >> 32) * (uint64_t)n) >> 32);
}

/* Fills buf from getrandom(2). Start-up and control core only. TG_ESYS. */
int tg_rng_secret(void *buf, size_t n);

/* SipHash-2-4 (Aumasson, Bernstein 2012): the keyed hash for ISNs, ports and cookies. */
uint64_t tg_siphash24(const uint8_t key[16], const void *data, size_t n);

/* A fast keyed hash for tables that a peer can aim at: 64-bit multiply-fold over the data. */
uint64_t tg_hash64(uint64_t seed, const void *data, size_t n);

#endif
