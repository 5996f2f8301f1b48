/* tlstest.h: what the tests of lib/tls share. */
#ifndef TLSTEST_H
#define TLSTEST_H

#include <stdio.h>
#include <stdlib.h>

#include <tidegate/rng.h>
#include <tidegate/view.h>

#include "record.h"

static const char *const impls[] = {"ipsec-mb", "evp"};

/* Digits of hex text into out; spaces are skipped. Returns the bytes. */
static inline uint32_t unhex(const char *s, uint8_t *out)
{
	uint32_t n = 0, digits = 0, v = 0;

	for (; *s; s++) {
		if (*s == ' ')
			continue;
		v = v << 4 | (uint32_t)(*s <= '9' ? *s - '0' : *s - 'a' + 10);
		if (++digits % 2 == 0)
			out[n++] = (uint8_t)v;
	}
	return n;
}

static inline void fill(struct tg_rng *r, uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		p[i] = (uint8_t)tg_rng_next(r);
}

/* Cuts p[0..n) into pieces of random sizes (also 0), at most max of them; returns how many. */
static inline uint32_t cut_random(
	struct tg_rng *r, uint8_t *p, uint32_t n, struct tg_span *v, uint32_t max)
{
	uint32_t cnt = 0, take;

	while (cnt + 1 < max && tg_rng_below(r, 8)) {
		take = tg_rng_below(r, tg_rng_below(r, 2) ? n + 1 : (n < 40 ? n + 1 : 40));
		v[cnt++] = (struct tg_span){p, take};
		p += take;
		n -= take;
	}
	v[cnt++] = (struct tg_span){p, n};
	return cnt;
}

/* Cuts p[0..n) into pieces of `size` bytes. */
static inline uint32_t cut_even(uint8_t *p, uint32_t n, uint32_t size, struct tg_span *v)
{
	uint32_t cnt = 0;

	for (uint32_t at = 0; at < n; at += size)
		v[cnt++] = (struct tg_span){p + at, n - at < size ? n - at : size};
	return cnt;
}

static inline const struct tg_aead_ops *ops_in_use(const struct tg_rec *r)
{
	static const enum tg_aead_id ids[] = {
		TG_AEAD_AES_128_GCM, TG_AEAD_AES_256_GCM, TG_AEAD_CHACHA20_POLY1305};

	return tg_aead_get(ids[r->suite % 3]);
}

/* Seals an inner plaintext as it is (type and padding included), whatever it says; header NULL: a
 * right one. Returns the bytes of the record. */
static inline uint32_t seal_raw(
	struct tg_rec *r, const uint8_t *inner, uint32_t n, const uint8_t *header, uint8_t *out)
{
	uint8_t nonce[TG_AEAD_NONCE], right[TG_REC_HEADER] = {TG_REC_DATA, 3, 3};

	tg_store_be16(right + 3, (uint16_t)(n + TG_AEAD_TAG));
	memcpy(out, header ? header : right, TG_REC_HEADER);
	memcpy(nonce, r->iv, sizeof(nonce));
	for (uint32_t i = 0; i < 8; i++)
		nonce[4 + i] ^= (uint8_t)(r->seq >> (56 - 8 * i));
	ops_in_use(r)->seal(r->key, nonce, (struct tg_view){out, TG_REC_HEADER}, inner,
		out + TG_REC_HEADER, n, out + TG_REC_HEADER + n);
	r->seq++;
	return TG_REC_HEADER + n + TG_AEAD_TAG;
}

#endif
