/* scan_neon.c: 16 bytes at a time; every AArch64 CPU has NEON. */
#include <stddef.h>

#include "scan.h"

#ifdef __aarch64__
#include <arm_neon.h>

/* As in scan_avx2.c: rows by low nibble, bits by high nibble. A table index above 15 gives 0. */
static const uint8_t high_bits[16] = {1, 2, 4, 8, 16, 32, 64, 128};
static const uint8_t token_rows[16] = {0xe8, 0xfc, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xf8, 0xf8,
	0xf4, 0x54, 0xd0, 0x54, 0xf4, 0x70};
static const uint8_t target_rows[16] = {0xf8, 0xfc, 0xf8, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc,
	0xfc, 0xfc, 0xd4, 0xfc, 0xf4, 0x7c};

/* 0xff in the bytes that are not in the set. */
static inline uint8x16_t outside(uint8x16_t v, uint8x16_t rows, uint8x16_t bits)
{
	uint8x16_t low = vqtbl1q_u8(rows, vandq_u8(v, vdupq_n_u8(0x0f)));
	uint8x16_t high = vqtbl1q_u8(bits, vshrq_n_u8(v, 4));

	return vceqzq_u8(vandq_u8(low, high));
}

static inline uint8x16_t stop_bytes(uint8x16_t v)
{
	uint8x16_t low = vcltq_u8(v, vdupq_n_u8(0x20));
	uint8x16_t tab = vceqq_u8(v, vdupq_n_u8('\t'));

	return vorrq_u8(vbicq_u8(low, tab), vceqq_u8(v, vdupq_n_u8(0x7f)));
}

/* One bit of each of 64 bytes that are 0 or 0xff: keep bit i % 8 of byte i, then add neighbours
 * until eight bytes have become one. */
static inline uint64_t mask64(const uint8x16_t m[4])
{
	static const uint8_t pick[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
	uint8x16_t bit = vld1q_u8(pick);
	uint8x16_t a = vpaddq_u8(vandq_u8(m[0], bit), vandq_u8(m[1], bit));
	uint8x16_t b = vpaddq_u8(vandq_u8(m[2], bit), vandq_u8(m[3], bit));

	a = vpaddq_u8(a, b);
	a = vpaddq_u8(a, a);
	return vgetq_lane_u64(vreinterpretq_u64_u8(a), 0);
}

static void classify(const uint8_t *p, uint32_t blocks, uint64_t *not_token, uint64_t *stops)
{
	const uint8x16_t rows = vld1q_u8(token_rows), bits = vld1q_u8(high_bits);

	for (uint32_t b = 0; b < blocks; b++, p += TG_SCAN_BLOCK) {
		uint8x16_t t[4], s[4];

		for (uint32_t i = 0; i < 4; i++) {
			uint8x16_t v = vld1q_u8(p + 16 * i);

			t[i] = outside(v, rows, bits);
			s[i] = stop_bytes(v);
		}
		not_token[b] = mask64(t);
		stops[b] = mask64(s);
	}
}

static uint32_t target_run(const uint8_t *p, uint32_t n)
{
	const uint8x16_t rows = vld1q_u8(target_rows), bits = vld1q_u8(high_bits);
	uint32_t i = 0;

	/* Only whole blocks of good bytes; the last, mixed one byte by byte. */
	while (n - i >= 16 && vmaxvq_u8(outside(vld1q_u8(p + i), rows, bits)) == 0)
		i += 16;
	while (i < n && tg_byte_class[p[i]] & TG_BYTE_TARGET)
		i++;
	return i;
}

static const struct tg_scan_ops neon = {"neon", classify, target_run};

const struct tg_scan_ops *tg_scan_neon(void)
{
	return &neon;
}

#else

const struct tg_scan_ops *tg_scan_neon(void)
{
	return NULL;
}

#endif
