/* aead_vaes.c: AES-GCM (NIST SP 800-38D) on two blocks at a time.
 *
 * GHASH: blocks are reversed byte by byte, so that a 128-bit word holds the polynomial with its
 * bits in falling order; the hash key is multiplied by x once, which takes the one-bit shift of
 * reflected products away. The sum S begins with A H (A: the additional data); each group of eight
 * blocks, and at the end the k blocks that are left and the lengths L, go through one reduction:
 *
 *	S' = (S + B1) H^8 + B2 H^7 + ... + B8 H
 *	S' = (S + B1) H^(k+1) + B2 H^k + ... + Bk H^2 + L H
 *
 * The pair of blocks that needs S comes last. Longer groups would save reductions, which stand
 * beside other work anyway, and cost cache lines with more powers of H: of very many keys most are
 * cold. The reduction is by x^128 + x^127 + x^126 + x^121 + 1, the reflected polynomial, 64 bits at
 * a time.
 *
 * AES: all counters of a chunk go through the rounds side by side, and with those of the last one
 * the counter of the tag's mask. Carry-less products are what most of the time goes into (three a
 * block, by Karatsuba's method), and the CPU makes them beside AES if it finds both at the same
 * time: so, opening, a pair of blocks is hashed beside each round.
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

/* What p points to is loaded anew: what the compiler would keep of a key from one use to the next
 * it would keep on the stack, and nobody wipes that. */
#define ANEW(p) __asm__ volatile("" : "+r"(p))

#define BLOCK 16u
#define PAIR 32u
#define PAIRS 8u /* of blocks in a chunk */
#define CHUNK (PAIRS * PAIR)
#define GROUP 4u /* pairs that are hashed without a reduction in between */
_Static_assert(TG_GCM_VAES_POWERS == 2 * GROUP + 1, "a group and the lengths");

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

INLINE void store(uint8_t *p, __m128i v)
{
	_mm_storeu_si128((__m128i *)(void *)p, v);
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

/* A sum of products, two sums side by side: of the lower halves, of the upper halves, and of both
 * halves' sums. */
struct product {
	__m256i lo, both, hi;
};

INLINE struct product nothing(void)
{
	__m256i zero = _mm256_setzero_si256();

	return (struct product){zero, zero, zero};
}

INLINE __m256i swapped_halves(__m256i v)
{
	return _mm256_shuffle_epi32(v, 0x4e);
}

/* In both halves. */
INLINE __m256i sum_of_halves(__m256i v)
{
	return _mm256_xor_si256(v, swapped_halves(v));
}

/* p + b h, on both sides. */
INLINE struct product plus_times(struct product p, __m256i b, __m256i h)
{
	p.lo = _mm256_xor_si256(p.lo, _mm256_clmulepi64_epi128(b, h, 0x00));
	p.hi = _mm256_xor_si256(p.hi, _mm256_clmulepi64_epi128(b, h, 0x11));
	p.both = _mm256_xor_si256(
		p.both, _mm256_clmulepi64_epi128(sum_of_halves(b), sum_of_halves(h), 0x00));
	return p;
}

/* Each side by itself. */
INLINE __m256i reduced2(struct product p)
{
	const __m256i poly =
		_mm256_set_epi64x((int64_t)0xc200000000000000, 1, (int64_t)0xc200000000000000, 1);
	__m256i t = _mm256_clmulepi64_epi128(poly, p.lo, 0x01);
	__m256i mid = _mm256_xor_si256(_mm256_xor_si256(p.both, p.hi), sum_of_halves(p.lo));

	mid = _mm256_xor_si256(mid, t);
	t = _mm256_clmulepi64_epi128(poly, mid, 0x01);
	return _mm256_xor_si256(_mm256_xor_si256(p.hi, swapped_halves(mid)), t);
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
	ANEW(g);
	return g->power[TG_GCM_VAES_POWERS - k];
}

/* --- AES -------------------------------------------------------------------------------------- */

INLINE __m256i round_key(const uint8_t *keys, uint32_t i)
{
	ANEW(keys);
	return _mm256_broadcastsi128_si256(load(keys + i * BLOCK));
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
	__m256i ctr;      /* the next two, reversed */
	__m128i y0;       /* the tag's counter block */
	__m128i sum;      /* S, reversed */
	struct product p; /* of the group that is being added to it */
};

INLINE void hash_pair(struct gcm_state *s, __m256i b, const uint8_t *powers)
{
	s->p = plus_times(s->p, reversed2(b), load2(powers));
}

/* The first pair of a group, when the others are there. */
INLINE void hash_first(struct gcm_state *s, __m256i b, const uint8_t *powers)
{
	b = _mm256_xor_si256(reversed2(b), pair_of(s->sum, _mm_setzero_si128()));
	s->p = plus_times(s->p, b, load2(powers));
}

INLINE void end_group(struct gcm_state *s)
{
	s->sum = reduced(s->p);
	s->p = nothing();
}

/* Whole groups of cipher text, and behind them the second pair and others of the last group, whose
 * first pair goes with `last`: what is to be done when, one pair at a time. */
struct hashing {
	const uint8_t *text;
	uint32_t groups;
	const uint8_t *last;
};

INLINE void hash_step(struct gcm_state *s, const struct hashing *h, uint32_t step)
{
	uint32_t group = step / GROUP * GROUP, i = step + 1;
	const uint8_t *powers = power(s->g, 2 * GROUP);

	if (step >= h->groups * GROUP) {
		group = h->groups * GROUP;
		powers = h->last;
	} else if (i % GROUP == 0) {
		hash_first(s, load2(h->text + group * PAIR), powers);
		end_group(s);
		return;
	}
	hash_pair(s, load2(h->text + i * PAIR), powers + (i - group) * PAIR);
}

INLINE void hash_steps(struct gcm_state *s, const struct hashing *h, uint32_t steps)
{
	_Pragma("GCC unroll 8") for (uint32_t step = 0; step < steps; step++) hash_step(s, h, step);
}

/* Blocks through all rounds, in place; beside them so many steps of hashing. */
INLINE void encrypt_and_hash(
	__m256i *b, uint32_t pairs, struct gcm_state *s, const struct hashing *h, uint32_t steps)
{
	__m256i k = round_key(s->keys, 0);

	EACH_PAIR
	b[i] = _mm256_xor_si256(b[i], k);
	_Pragma("GCC unroll 14") for (uint32_t r = 1; r < s->rounds; r++)
	{
		k = round_key(s->keys, r);
		EACH_PAIR
		b[i] = _mm256_aesenc_epi128(b[i], k);
		if (r <= steps)
			hash_step(s, h, r - 1);
	}
	k = round_key(s->keys, s->rounds);
	EACH_PAIR
	b[i] = _mm256_aesenclast_epi128(b[i], k);
}

INLINE void add_key_stream(const __m256i *b, uint32_t pairs, const uint8_t *in, uint8_t *out)
{
	EACH_PAIR
	store2(out + i * PAIR, _mm256_xor_si256(load2(in + i * PAIR), b[i]));
}

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

/* One block, reversed, into the sum. */
INLINE void hash_block(struct gcm_state *s, __m128i b)
{
	const __m128i zero = _mm_setzero_si128();

	s->p = plus_times(
		s->p, pair_of(_mm_xor_si128(s->sum, b), zero), pair_of(load(power(s->g, 1)), zero));
	end_group(s);
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
	s->sum = _mm_setzero_si128();
	s->p = nothing();
	for (; aad.n >= BLOCK; aad.p += BLOCK, aad.n -= BLOCK)
		hash_block(s, reversed(load(aad.p)));
	if (aad.n)
		hash_block(s, reversed(load_cut(aad.p, aad.n)));
}

INLINE void chunk(struct gcm_state *s, const uint8_t *in, uint8_t *out)
{
	struct hashing h = {s->sealing ? out : in, PAIRS / GROUP, NULL};
	__m256i b[PAIRS];

	count(&s->ctr, PAIRS, b);
	encrypt_and_hash(b, PAIRS, s, &h, s->sealing ? 0 : PAIRS);
	add_key_stream(b, PAIRS, in, out);
	if (s->sealing)
		hash_steps(s, &h, PAIRS);
}

/* n < 16 bytes. Returns their cipher text, zeros behind it. */
INLINE __m128i cut_block(bool sealing, const uint8_t *in, uint8_t *out, uint32_t n, __m128i key)
{
	__m128i v = load_cut(in, n), x = _mm_and_si128(_mm_xor_si128(v, key), first_bytes(n));

	store_cut(out, x, n);
	return sealing ? x : v;
}

INLINE __m128i whole_block(bool sealing, const uint8_t *in, uint8_t *out, __m128i key)
{
	__m128i v = load(in), x = _mm_xor_si128(v, key);

	store(out, x);
	return sealing ? x : v;
}

/* Two blocks, which need not be whole. */
INLINE __m256i last_pair(bool sealing, const uint8_t *in, uint8_t *out, uint32_t n, __m256i key)
{
	__m128i first = _mm256_castsi256_si128(key), second = _mm256_extracti128_si256(key, 1);

	if (n < BLOCK)
		return pair_of(cut_block(sealing, in, out, n, first), _mm_setzero_si128());
	first = whole_block(sealing, in, out, first);
	if (n == PAIR)
		second = whole_block(sealing, in + BLOCK, out + BLOCK, second);
	else
		second = cut_block(sealing, in + BLOCK, out + BLOCK, n - BLOCK, second);
	return pair_of(first, second);
}

/* The blocks that are left, and the lengths, have gone into the sum. c: the last pair, reversed; it
 * is the i-th of its group, head the first. cut: bytes in it. */
INLINE __m128i end_sum(struct gcm_state *s, __m256i c, uint32_t i, __m256i head, uint32_t cut,
	__m128i lengths, const uint8_t *powers)
{
	const __m128i zero = _mm_setzero_si128();

	/* The lengths go beside a lone block. */
	if (cut <= BLOCK)
		c = _mm256_inserti128_si256(c, lengths, 1);
	else
		s->p = plus_times(
			s->p, pair_of(lengths, zero), pair_of(load(power(s->g, 1)), zero));
	if (i) {
		s->p = plus_times(s->p, c, load2(powers + i * PAIR));
		hash_first(s, head, powers);
	} else {
		s->p = plus_times(s->p, _mm256_xor_si256(c, pair_of(s->sum, zero)), load2(powers));
	}
	return reduced(s->p);
}

INLINE void put_tag(uint8_t *tag, __m128i sum, __m256i mask)
{
	store(tag, _mm_xor_si128(reversed(sum), _mm256_castsi256_si128(mask)));
}

/* No bytes at all. */
INLINE void empty(struct gcm_state *s, __m128i lengths, uint8_t *tag)
{
	const struct hashing none = {0};
	__m256i b = pair_of(s->y0, s->y0);
	__m128i zero = _mm_setzero_si128();

	encrypt_and_hash(&b, 1, s, &none, 0);
	s->p = plus_times(s->p, pair_of(_mm_xor_si128(s->sum, lengths), zero),
		pair_of(load(power(s->g, 1)), zero));
	put_tag(tag, reduced(s->p), b);
}

/* The last n > 0 bytes, in `pairs` pairs of blocks, and the tag. */
INLINE void tail(struct gcm_state *s, const uint8_t *in, uint8_t *out, uint32_t n, uint32_t pairs,
	__m128i lengths, uint8_t *tag)
{
	uint32_t last = pairs - 1, groups = last / GROUP, first = groups * GROUP, i = last - first;
	uint32_t cut = n - last * PAIR, blocks = (n + BLOCK - 1) / BLOCK - 2 * first;
	uint32_t steps = i ? last - 1 : last;
	struct hashing h = {s->sealing ? out : in, groups, power(s->g, blocks + 1)};
	__m256i b[PAIRS + 1], c, head = _mm256_setzero_si256();

	count(&s->ctr, pairs, b);
	b[pairs] = pair_of(s->y0, s->y0);
	encrypt_and_hash(b, pairs + 1, s, &h, s->sealing ? 0 : steps);
	if (i && !s->sealing)
		head = load2(in + first * PAIR);
	add_key_stream(b, last, in, out);
	c = reversed2(last_pair(s->sealing, in + last * PAIR, out + last * PAIR, cut, b[last]));
	if (s->sealing)
		hash_steps(s, &h, steps);
	if (i && s->sealing)
		head = load2(out + first * PAIR);
	put_tag(tag, end_sum(s, c, i, head, cut, lengths, h.last), b[pairs]);
}

INLINE void run(struct gcm_state *s, const uint8_t *nonce, struct tg_view aad, const uint8_t *in,
	uint8_t *out, uint32_t n, uint8_t *tag)
{
	__m128i lengths = _mm_set_epi64x((int64_t)aad.n * 8, (int64_t)n * 8);

	begin(s, nonce, aad);
	for (; n > CHUNK; n -= CHUNK, in += CHUNK, out += CHUNK)
		chunk(s, in, out);
	/* The number of pairs has to be a constant. */
	switch ((n + PAIR - 1) / PAIR) {
	case 0:
		empty(s, lengths, tag);
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

/* The number of rounds has to be a constant, too. */
INLINE struct gcm_state state_of(const struct tg_gcm_vaes *g, uint32_t rounds, bool sealing)
{
	return (struct gcm_state){
		.g = g, .keys = g->round_key[0], .rounds = rounds, .sealing = sealing};
}

VAES void tg_gcm_vaes_seal(const struct tg_gcm_vaes *g, uint32_t rounds,
	const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, const uint8_t *in,
	uint8_t *out, uint32_t n, uint8_t tag[static TG_AEAD_TAG])
{
	struct gcm_state s;

	if (rounds == 10) {
		s = state_of(g, 10, true);
		run(&s, nonce, aad, in, out, n, tag);
	} else {
		s = state_of(g, 14, true);
		run(&s, nonce, aad, in, out, n, tag);
	}
}

VAES void tg_gcm_vaes_open(const struct tg_gcm_vaes *g, uint32_t rounds,
	const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, uint8_t *io, uint32_t n,
	uint8_t tag[static TG_AEAD_TAG])
{
	struct gcm_state s;

	if (rounds == 10) {
		s = state_of(g, 10, false);
		run(&s, nonce, aad, io, io, n, tag);
	} else {
		s = state_of(g, 14, false);
		run(&s, nonce, aad, io, io, n, tag);
	}
}

/* --- a record in pieces ----------------------------------------------------------------------- */

/* Between two pieces. */
INLINE void keep(struct tg_gcm_vaes *g, const struct gcm_state *s)
{
	store(g->piece.counter, _mm256_castsi256_si128(s->ctr));
	store(g->piece.sum, s->sum);
}

INLINE struct gcm_state kept(const struct tg_gcm_vaes *g, uint32_t rounds)
{
	struct gcm_state s = state_of(g, rounds, g->piece.sealing);

	s.ctr = _mm256_add_epi32(_mm256_broadcastsi128_si256(load(g->piece.counter)),
		_mm256_set_epi32(0, 0, 0, 1, 0, 0, 0, 0));
	s.sum = load(g->piece.sum);
	s.p = nothing();
	return s;
}

VAES void tg_gcm_vaes_start(struct tg_gcm_vaes *g, const uint8_t nonce[static TG_AEAD_NONCE],
	struct tg_view aad, bool sealing)
{
	struct gcm_state s = state_of(g, 0, sealing);

	begin(&s, nonce, aad);
	keep(g, &s);
	store(g->piece.first_counter, s.y0);
	g->piece.n = 0;
	g->piece.n_aad = aad.n;
	g->piece.used = 0;
	g->piece.sealing = sealing;
}

/* Up to GROUP whole pairs. */
INLINE void whole_pairs(struct gcm_state *s, const uint8_t *in, uint8_t *out, uint32_t pairs)
{
	struct hashing h = {s->sealing ? out : in, 0, power(s->g, 2 * pairs)};
	uint32_t steps = pairs - 1;
	__m256i b[GROUP], first = load2(in);

	count(&s->ctr, pairs, b);
	encrypt_and_hash(b, pairs, s, &h, s->sealing ? 0 : steps);
	add_key_stream(b, pairs, in, out);
	if (s->sealing) {
		hash_steps(s, &h, steps);
		first = load2(out);
	}
	hash_first(s, first, h.last);
	end_group(s);
}

/* Whole pairs, as many as there are; returns how many bytes. */
INLINE uint32_t all_pairs(struct gcm_state *s, const uint8_t *in, uint8_t *out, uint32_t n)
{
	uint32_t i = 0;

	for (; n - i >= CHUNK; i += CHUNK)
		chunk(s, in + i, out + i);
	for (; n - i >= GROUP * PAIR; i += GROUP * PAIR)
		whole_pairs(s, in + i, out + i, GROUP);
	for (; n - i >= PAIR; i += PAIR)
		whole_pairs(s, in + i, out + i, 1);
	return i;
}

INLINE void next_stream(struct tg_gcm_vaes *g, struct gcm_state *s)
{
	const struct hashing none = {0};
	__m128i ctr = _mm256_castsi256_si128(s->ctr);
	__m256i b = pair_of(reversed(ctr), _mm_setzero_si128());

	encrypt_and_hash(&b, 1, s, &none, 0);
	store(g->piece.stream, _mm256_castsi256_si128(b));
	s->ctr = _mm256_add_epi32(s->ctr, _mm256_set_epi32(0, 0, 0, 1, 0, 0, 0, 1));
}

/* Of a block that is not complete up to n bytes; returns how many. */
INLINE uint32_t part_of_block(
	struct tg_gcm_vaes *g, struct gcm_state *s, const uint8_t *in, uint8_t *out, uint32_t n)
{
	uint32_t at = g->piece.used;

	if (n > BLOCK - at)
		n = BLOCK - at;
	store(g->piece.text + at,
		n < BLOCK ? cut_block(s->sealing, in, out, n, load(g->piece.stream + at))
			  : whole_block(s->sealing, in, out, load(g->piece.stream)));
	g->piece.used = (uint8_t)((at + n) % BLOCK);
	if (!g->piece.used)
		hash_block(s, reversed(load(g->piece.text)));
	return n;
}

INLINE void step_of(
	struct tg_gcm_vaes *g, uint32_t rounds, const uint8_t *in, uint8_t *out, uint32_t n)
{
	struct gcm_state s = kept(g, rounds);
	uint32_t i = g->piece.used ? part_of_block(g, &s, in, out, n) : 0;

	g->piece.n += n;
	if (i < n)
		i += all_pairs(&s, in + i, out + i, n - i);
	while (i < n) {
		next_stream(g, &s);
		i += part_of_block(g, &s, in + i, out + i, n - i);
	}
	keep(g, &s);
}

VAES void tg_gcm_vaes_step(
	struct tg_gcm_vaes *g, uint32_t rounds, const uint8_t *in, uint8_t *out, uint32_t n)
{
	if (rounds == 10)
		step_of(g, 10, in, out, n);
	else
		step_of(g, 14, in, out, n);
}

VAES void tg_gcm_vaes_finish(
	struct tg_gcm_vaes *g, uint32_t rounds, uint8_t tag[static TG_AEAD_TAG])
{
	const struct hashing none = {0};
	struct gcm_state s = kept(g, rounds);
	__m128i y0 = load(g->piece.first_counter);
	__m256i b = pair_of(y0, y0);

	if (g->piece.used)
		hash_block(&s, reversed(load(g->piece.text)));
	hash_block(&s, _mm_set_epi64x((int64_t)g->piece.n_aad * 8, (int64_t)g->piece.n * 8));
	encrypt_and_hash(&b, 1, &s, &none, 0);
	put_tag(tag, s.sum, b);
	explicit_bzero((uint8_t *)g + offsetof(struct tg_gcm_vaes, piece), sizeof(g->piece));
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

VAES void tg_gcm_vaes_init(struct tg_gcm_vaes *g, uint32_t rounds)
{
	const struct hashing none = {0};
	struct gcm_state s = state_of(g, rounds, true);
	__m256i h = _mm256_setzero_si256(), two, pair;

	encrypt_and_hash(&h, 1, &s, &none, 0);
	h = _mm256_broadcastsi128_si256(times_x(reversed(_mm256_castsi256_si128(h))));
	two = times2(h, h);
	store(g->power[TG_GCM_VAES_POWERS - 1], _mm256_castsi256_si128(h));
	/* H^3 and H^2; then two further down each time. */
	pair = pair_of(_mm256_castsi256_si128(times2(two, h)), _mm256_castsi256_si128(two));
	for (uint32_t k = 3; k <= TG_GCM_VAES_POWERS; k += 2) {
		store2(g->power[TG_GCM_VAES_POWERS - k], pair);
		pair = times2(pair, two);
	}
}

#endif
