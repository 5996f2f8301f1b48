/* scan.h: bytes into bitmaps.
 *
 * The only thing that SIMD does for HTTP/1 here: 64 bytes become two 64-bit words, one bit a byte.
 * The parser above walks the bits and is the same code for every scanner, so that a scanner can
 * be compared with its scalar twin exhaustively. Private to lib/http. Pure functions.
 */
#ifndef TIDEGATE_HTTP_SCAN_H
#define TIDEGATE_HTTP_SCAN_H

#include <stdint.h>

#define TG_SCAN_BLOCK 64

struct tg_scan_ops {
	const char *name;
	/* Classifies blocks * 64 bytes at p. Bit i of word i / 64 is set in
	 *   not_token: the byte is not a tchar (RFC 9110 section 5.6.2);
	 *   stops:     the byte may not stand in a field value: CTLs but HTAB (so CR and LF), DEL.
	 */
	void (*classify)(const uint8_t *p, uint32_t blocks, uint64_t *not_token, uint64_t *stops);
	/* How many bytes at p may stand in a request target (TG_BYTE_TARGET), at most n. */
	uint32_t (*target_run)(const uint8_t *p, uint32_t n);
};

extern const struct tg_scan_ops tg_scan_scalar;
/* NULL where the CPU or the build has it not. */
const struct tg_scan_ops *tg_scan_avx2(void);
const struct tg_scan_ops *tg_scan_neon(void);

/* The one in use. */
extern const struct tg_scan_ops *tg_scan;

/* Classes of bytes, for everything that is not worth a bitmap. */
enum {
	TG_BYTE_TOKEN = 1,  /* tchar */
	TG_BYTE_VALUE = 2,  /* HTAB, SP, VCHAR, obs-text */
	TG_BYTE_TARGET = 4, /* VCHAR that a request target may hold: see target.c */
	TG_BYTE_HOST = 8,   /* in a registered name: see target.c */
	TG_BYTE_DIGIT = 16,
	TG_BYTE_HEX = 32,
	TG_BYTE_QUOTED = 64,      /* qdtext */
	TG_BYTE_UNRESERVED = 128, /* RFC 3986 section 2.3 */
};
extern const uint8_t tg_byte_class[256];

#endif
