/* scan_avx2.c: 32 bytes at a time. Compiled for AVX2 function by function; the rest of the tree
 * stays at the baseline, and this is called only where the CPU says that it has it. */
#include <stddef.h>

#include "scan.h"

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/* Set membership by two shuffles: row[low nibble] has one bit for each high nibble 0..7, and
 * bit[high nibble] picks it. Bytes from 0x80 on shuffle to 0 and so are in no set. */
#define ROW(...) _mm256_setr_epi8(__VA_ARGS__, __VA_ARGS__)
#define HIGH_BITS ROW(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0)
#define TOKEN_ROWS \
	ROW((char)0xe8, (char)0xfc, (char)0xf8, (char)0xfc, (char)0xfc, (char)0xfc, (char)0xfc, \
		(char)0xfc, (char)0xf8, (char)0xf8, (char)0xf4, 0x54, (char)0xd0, 0x54, \
		(char)0xf4, 0x70)
#define TARGET_ROWS \
	ROW((char)0xf8, (char)0xfc, (char)0xf8, (char)0xf8, (char)0xfc, (char)0xfc, (char)0xfc, \
		(char)0xfc, (char)0xfc, (char)0xfc, (char)0xfc, (char)0xfc, (char)0xd4, \
		(char)0xfc, (char)0xf4, 0x7c)

/* Bits of the bytes that are not in the set. */
AVX2 static inline uint32_t outside(__m256i v, __m256i rows, __m256i bits)
{
	__m256i high = _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(0x0f));
	__m256i in =
		_mm256_and_si256(_mm256_shuffle_epi8(rows, v), _mm256_shuffle_epi8(bits, high));

	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(in, _mm256_setzero_si256()));
}

AVX2 static inline uint32_t stop_bits(__m256i v)
{
	__m256i low = _mm256_cmpeq_epi8(v, _mm256_min_epu8(v, _mm256_set1_epi8(0x1f)));
	__m256i tab = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\t'));
	__m256i del = _mm256_cmpeq_epi8(v, _mm256_set1_epi8(0x7f));

	return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_andnot_si256(tab, low), del));
}

AVX2 static void classify(const uint8_t *p, uint32_t blocks, uint64_t *not_token, uint64_t *stops)
{
	const __m256i rows = TOKEN_ROWS, bits = HIGH_BITS;

	for (uint32_t b = 0; b < blocks; b++, p += TG_SCAN_BLOCK) {
		__m256i v0 = _mm256_loadu_si256((const __m256i *)p);
		__m256i v1 = _mm256_loadu_si256((const __m256i *)(p + 32));

		not_token[b] = outside(v0, rows, bits) | (uint64_t)outside(v1, rows, bits) << 32;
		stops[b] = stop_bits(v0) | (uint64_t)stop_bits(v1) << 32;
	}
}

AVX2 static uint32_t target_run(const uint8_t *p, uint32_t n)
{
	const __m256i rows = TARGET_ROWS, bits = HIGH_BITS;
	uint32_t i = 0;

	for (; n - i >= 32; i += 32) {
		uint32_t out = outside(_mm256_loadu_si256((const __m256i *)(p + i)), rows, bits);

		if (out)
			return i + (uint32_t)__builtin_ctz(out);
	}
	while (i < n && tg_byte_class[p[i]] & TG_BYTE_TARGET)
		i++;
	return i;
}

static const struct tg_scan_ops avx2 = {"avx2", classify, target_run};

const struct tg_scan_ops *tg_scan_avx2(void)
{
	return __builtin_cpu_supports("avx2") ? &avx2 : NULL;
}

#else

const struct tg_scan_ops *tg_scan_avx2(void)
{
	return NULL;
}

#endif
