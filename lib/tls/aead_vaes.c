/* aead_vaes.c: AES-GCM (NIST SP 800-38D) on two blocks at a time.
 *
 * GHASH: blocks are reversed byte by byte, so that a 128-bit word holds the polynomial with its
 * bits in falling order; the hash key is multiplied by x once, which takes the one-bit shift of
 * reflected products away. A record of up to 16 blocks is one sum, reduced once, so that nothing
 * waits for a reduction but the tag:
 *
 *	S = A H^(k+2) + B1 H^(k+1) + ... + Bk H^2 + L H      A: additional data, L: the lengths
 *
 * A longer one begins with chunks of 16 blocks, each S' = (S + B1) H^16 + ... + B16 H. The
 *reduction is by x^128 + x^127 + x^126 + x^121 + 1, the reflected polynomial, 64 bits at a time.
 *
 * AES: all counters of a chunk go through the rounds side by side, and with those of the last one
 * the counter of the tag's mask.
 */
#include "aead_vaes.h"

#ifndef __x86_64__

bool tg_gcm_vaes_here(void)
{
	return false;
}

#else

#include <cpuid.h>
#include <immintrin.h>

#define VAES __attribute__((target("avx2,aes,pclmul,vaes,vpclmulqdq")))
#define INLINE static inline __attribute__((always_inline)) VAES
/* Pairs of blocks stand in registers: their number is a constant wherever this is used. */
#define EACH_PAIR _Pragma("GCC unroll 9") for (uint32_t i = 0; i < pairs; i++)

#define BLOCK 16u
#define PAIR 32u
#define PAIRS 8u /* of blocks in a chunk */
#define CHUNK (PAIRS * PAIR)
_Static_assert(TG_GCM_VAES_POWERS == CHUNK / BLOCK + 2, "a chunk, additional data, lengths");

bool tg_gcm_vaes_here(void)
{
	unsigned int a, b, c, d;

	/* The first asks for the system's support of the registers, too. */
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("aes") &&
	       __builtin_cpu_supports("pclmul") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
	       c & bit_VAES && c & bit_VPCLMULQDQ;
}

/* --- GHASH ------------------------------------------------------------------------------------ */

INLINE __m128i load(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

INLINE __m256i load2(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INLINE void store2(uint8_t *p, __m256i v)
{
	_mm256_storeu_si256((__m256i *)(void *)p, v);
}

INLINE __m128i reversed(__m128i v)
{
	return _mm_shuffle_epi8(
		v, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

INLINE __m256i reversed2(__m256i v)
{
	return _mm256_shuffle_epi8(
		v, _mm256_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3,
			   4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* A sum of products, two sums side by side, in three parts that overlap by 64 bits. */
struct product {
	__m256i lo, mid, hi;
};

INLINE struct product nothing(void)
{
	__m256i zero = _mm256_setzero_si256();

	return (struct product){zero, zero, zero};
}

/* p + b h, on both sides. */
INLINE struct product plus_times(struct product p, __m256i b, __m256i h)
{
	p.lo = _mm256_xor_si256(p.lo, _mm256_clmulepi64_epi128(b, h, 0x00));
	p.mid = _mm256_xor_si256(p.mid, _mm256_clmulepi64_epi128(b, h, 0x01));
	p.mid = _mm256_xor_si256(p.mid, _mm256_clmulepi64_epi128(b, h, 0x10));
	p.hi = _mm256_xor_si256(p.hi, _mm256_clmulepi64_epi128(b, h, 0x11));
	return p;
}

/* Each side by itself. */
INLINE __m256i reduced2(struct product p)
{
	const __m256i poly =
		_mm256_set_epi64x((int64_t)0xc200000000000000, 1, (int64_t)0xc200000000000000, 1);
	__m256i t = _mm256_clmulepi64_epi128(poly, p.lo, 0x01);

	p.mid = _mm256_xor_si256(_mm256_xor_si256(p.mid, _mm256_shuffle_epi32(p.lo, 0x4e)), t);
	t = _mm256_clmulepi64_epi128(poly, p.mid, 0x01);
	return _mm256_xor_si256(_mm256_xor_si256(p.hi, _mm256_shuffle_epi32(p.mid, 0x4e)), t);
}

INLINE __m128i sum_of_both(__m256i v)
{
	return _mm_xor_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

INLINE __m128i reduced(struct product p)
{
	return sum_of_both(reduced2(p));
}

INLINE __m256i pair_of(__m128i first, __m128i second)
{
	return _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
}

INLINE const uint8_t *power(const struct tg_gcm_vaes *g, uint32_t k)
{
	return g->power[TG_GCM_VAES_POWERS - k];
}

/* --- AES -------------------------------------------------------------------------------------- */

INLINE __m256i round_key(const uint8_t *keys, uint32_t i)
{
	return _mm256_broadcastsi128_si256(load(keys + i * BLOCK));
}

/* Blocks through all rounds, in place. */
INLINE void encrypt(__m256i *b, uint32_t pairs, const uint8_t *keys, uint32_t rounds)
{
	__m256i k = round_key(keys, 0);

	EACH_PAIR
	b[i] = _mm256_xor_si256(b[i], k);
	for (uint32_t r = 1; r < rounds; r++) {
		k = round_key(keys, r);
		EACH_PAIR
		b[i] = _mm256_aesenc_epi128(b[i], k);
	}
	k = round_key(keys, rounds);
	EACH_PAIR
	b[i] = _mm256_aesenclast_epi128(b[i], k);
}

/* The next counter blocks; *ctr: the first two, reversed. */
INLINE void count(__m256i *ctr, uint32_t pairs, __m256i *b)
{
	EACH_PAIR
	{
		b[i] = reversed2(*ctr);
		*ctr = _mm256_add_epi32(*ctr, _mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 2));
	}
}

/* --- a record --------------------------------------------------------------------------------- */

struct gcm_state {
	const struct tg_gcm_vaes *g;
	const uint8_t *keys;
	uint32_t rounds;
	bool sealing;
	__m256i ctr; /* the next two, reversed */
	__m128i y0;  /* the tag's counter block */
	__m128i aad; /* A, reversed; zero once it is in S */
	__m128i sum; /* S, reversed */
};

/* n < 16 bytes, zeros behind them. Put together in registers: a load of what was just stored in
 * smaller pieces would wait for it to reach the cache. */
INLINE __m128i load_cut(const uint8_t *p, uint32_t n)
{
	uint64_t first = 0, rest = 0;
	uint32_t b4, shift = 0;
	uint16_t b2;

	if (n & 8) {
		memcpy(&first, p, 8);
		p += 8;
	}
	if (n & 4) {
		memcpy(&b4, p, 4);
		rest = b4;
		shift = 32;
		p += 4;
	}
	if (n & 2) {
		memcpy(&b2, p, 2);
		rest |= (uint64_t)b2 << shift;
		shift += 16;
		p += 2;
	}
	if (n & 1)
		rest |= (uint64_t)*p << shift;
	return n & 8 ? _mm_set_epi64x((int64_t)rest, (int64_t)first)
		     : _mm_set_epi64x(0, (int64_t)rest);
}

INLINE void store_cut(uint8_t *p, __m128i v, uint32_t n)
{
	uint64_t w = (uint64_t)_mm_cvtsi128_si64(v);

	if (n & 8) {
		memcpy(p, &w, 8);
		p += 8;
		w = (uint64_t)_mm_extract_epi64(v, 1);
	}
	if (n & 4) {
		memcpy(p, &w, 4);
		p += 4;
		w >>= 32;
	}
	if (n & 2) {
		memcpy(p, &w, 2);
		p += 2;
		w >>= 16;
	}
	if (n & 1)
		*p = (uint8_t)w;
}

/* All ones in the first n < 16 bytes. */
INLINE __m128i first_bytes(uint32_t n)
{
	return _mm_cmpgt_epi8(_mm_set1_epi8((char)n),
		_mm_set_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
}

INLINE void begin(struct gcm_state *s, const uint8_t *nonce, struct tg_view aad)
{
	uint32_t first;
	uint64_t rest;

	memcpy(&first, nonce, sizeof(first));
	memcpy(&rest, nonce + sizeof(first), sizeof(rest));
	s->y0 = _mm_set_epi64x(
		(int64_t)(rest >> 32 | UINT64_C(1) << 56), (int64_t)(rest << 32 | first));
	s->ctr = _mm256_add_epi32(_mm256_broadcastsi128_si256(reversed(s->y0)),
		_mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 1));
	s->aad = reversed(aad.n < BLOCK ? load_cut(aad.p, aad.n) : load(aad.p));
	s->sum = _mm_setzero_si128();
}

INLINE void chunk(struct gcm_state *s, const uint8_t *in, uint8_t *out, bool first)
{
	const uint32_t pairs = PAIRS;
	struct product p = nothing();
	__m256i b[PAIRS];

	count(&s->ctr, pairs, b);
	encrypt(b, pairs, s->keys, s->rounds);
	if (first)
		p = plus_times(p, pair_of(s->aad, s->sum), load2(power(s->g, 2 * PAIRS + 1)));
	EACH_PAIR
	{
		__m256i v = load2(in + i * PAIR), x = _mm256_xor_si256(v, b[i]), c;

		store2(out + i * PAIR, x);
		c = reversed2(s->sealing ? x : v);
		if (i == 0)
			c = _mm256_xor_si256(c, pair_of(s->sum, _mm_setzero_si128()));
		p = plus_times(p, c, load2(power(s->g, 2 * PAIRS) + i * PAIR));
	}
	s->aad = _mm_setzero_si128();
	s->sum = reduced(p);
}

/* n < 16 bytes. Returns their cipher text, zeros behind it. */
INLINE __m128i cut_block(bool sealing, const uint8_t *in, uint8_t *out, uint32_t n, __m128i key)
{
	__m128i v = load_cut(in, n), x = _mm_and_si128(_mm_xor_si128(v, key), first_bytes(n));

	store_cut(out, x, n);
	return sealing ? x : v;
}

/* Two blocks, which need not be whole. */
INLINE __m256i last_pair(bool sealing, const uint8_t *in, uint8_t *out, uint32_t n, __m256i key)
{
	__m128i first = _mm256_castsi256_si128(key), second = _mm256_extracti128_si256(key, 1), v,
		x;

	if (n < BLOCK)
		return pair_of(cut_block(sealing, in, out, n, first), _mm_setzero_si128());
	v = load(in);
	x = _mm_xor_si128(v, first);
	if (n == PAIR) {
		__m128i w = load(in + BLOCK), y = _mm_xor_si128(w, second);

		_mm_storeu_si128((__m128i *)(void *)(out + BLOCK), y);
		second = sealing ? y : w;
	} else {
		second = cut_block(sealing, in + BLOCK, out + BLOCK, n - BLOCK, second);
	}
	_mm_storeu_si128((__m128i *)(void *)out, x);
	return pair_of(sealing ? x : v, second);
}

/* The last n bytes, in `pairs` pairs of blocks, and the tag. */
INLINE void tail(struct gcm_state *s, const uint8_t *in, uint8_t *out, uint32_t n, uint32_t pairs,
	__m128i lengths, uint8_t *tag)
{
	uint32_t blocks = (n + BLOCK - 1) / BLOCK;
	__m256i b[PAIRS + 1], ends = pair_of(s->aad, lengths);
	const uint8_t *powers = power(s->g, blocks + 1);
	struct product p;

	count(&s->ctr, pairs, b);
	b[pairs] = pair_of(s->y0, s->y0);
	encrypt(b, pairs + 1, s->keys, s->rounds);
	p = plus_times(
		nothing(), ends, pair_of(load(power(s->g, blocks + 2)), load(power(s->g, 1))));
	EACH_PAIR
	{
		__m256i c;

		if (i + 1 < pairs) {
			__m256i v = load2(in + i * PAIR), x = _mm256_xor_si256(v, b[i]);

			store2(out + i * PAIR, x);
			c = s->sealing ? x : v;
		} else {
			c = last_pair(
				s->sealing, in + i * PAIR, out + i * PAIR, n - i * PAIR, b[i]);
		}
		c = reversed2(c);
		if (i == 0)
			c = _mm256_xor_si256(c, pair_of(s->sum, _mm_setzero_si128()));
		p = plus_times(p, c, load2(powers + i * PAIR));
	}
	_mm_storeu_si128((__m128i *)(void *)tag,
		_mm_xor_si128(reversed(reduced(p)), _mm256_castsi256_si128(b[pairs])));
}

INLINE void run(struct gcm_state *s, const uint8_t *nonce, struct tg_view aad, const uint8_t *in,
	uint8_t *out, uint32_t n, uint8_t *tag)
{
	__m128i lengths = _mm_set_epi64x((int64_t)aad.n * 8, (int64_t)n * 8);

	begin(s, nonce, aad);
	if (n > CHUNK) {
		chunk(s, in, out, true);
		for (n -= CHUNK, in += CHUNK, out += CHUNK; n > CHUNK;
			n -= CHUNK, in += CHUNK, out += CHUNK)
			chunk(s, in, out, false);
	}
	/* The number of pairs has to be a constant. */
	switch ((n + PAIR - 1) / PAIR) {
	case 0:
		tail(s, in, out, n, 0, lengths, tag);
		break;
	case 1:
		tail(s, in, out, n, 1, lengths, tag);
		break;
	case 2:
		tail(s, in, out, n, 2, lengths, tag);
		break;
	case 3:
		tail(s, in, out, n, 3, lengths, tag);
		break;
	case 4:
		tail(s, in, out, n, 4, lengths, tag);
		break;
	case 5:
		tail(s, in, out, n, 5, lengths, tag);
		break;
	case 6:
		tail(s, in, out, n, 6, lengths, tag);
		break;
	case 7:
		tail(s, in, out, n, 7, lengths, tag);
		break;
	default:
		tail(s, in, out, n, 8, lengths, tag);
	}
}

VAES void tg_gcm_vaes_seal(const struct tg_gcm_vaes *g, const uint8_t *round_keys, uint32_t rounds,
	const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, const uint8_t *in,
	uint8_t *out, uint32_t n, uint8_t tag[static TG_AEAD_TAG])
{
	struct gcm_state s = {.g = g, .keys = round_keys, .rounds = rounds, .sealing = true};

	run(&s, nonce, aad, in, out, n, tag);
}

VAES void tg_gcm_vaes_open(const struct tg_gcm_vaes *g, const uint8_t *round_keys, uint32_t rounds,
	const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, uint8_t *io, uint32_t n,
	uint8_t tag[static TG_AEAD_TAG])
{
	struct gcm_state s = {.g = g, .keys = round_keys, .rounds = rounds, .sealing = false};

	run(&s, nonce, aad, io, io, n, tag);
}

/* --- powers of the hash key ------------------------------------------------------------------- */

/* By x, modulo the polynomial. */
INLINE __m128i times_x(__m128i v)
{
	uint64_t lo = (uint64_t)_mm_cvtsi128_si64(v), hi = (uint64_t)_mm_extract_epi64(v, 1);
	uint64_t carry = -(hi >> 63);

	hi = (hi << 1 | lo >> 63) ^ (carry & 0xc200000000000000);
	lo = lo << 1 ^ (carry & 1);
	return _mm_set_epi64x((int64_t)hi, (int64_t)lo);
}

INLINE __m256i times2(__m256i a, __m256i b)
{
	return reduced2(plus_times(nothing(), a, b));
}

VAES void tg_gcm_vaes_init(struct tg_gcm_vaes *g, const uint8_t *round_keys, uint32_t rounds)
{
	__m256i h = _mm256_setzero_si256(), two, pair;

	encrypt(&h, 1, round_keys, rounds);
	h = _mm256_broadcastsi128_si256(times_x(reversed(_mm256_castsi256_si128(h))));
	two = times2(h, h);
	/* H^2 and H; then two further down each time. */
	pair = pair_of(_mm256_castsi256_si128(two), _mm256_castsi256_si128(h));
	for (uint32_t k = 2; k <= TG_GCM_VAES_POWERS; k += 2) {
		store2(g->power[TG_GCM_VAES_POWERS - k], pair);
		pair = times2(pair, two);
	}
}

#endif
