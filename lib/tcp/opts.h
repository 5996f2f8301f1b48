/* opts.h: TCP options, read and written.
 *
 * Pure functions over bytes; no state; any thread. Reading is total: any bytes give an answer, and
 * never a read beyond n. Strictness is Linux's, so that what reaches Linux reaches us: unknown
 * kinds are skipped; a known kind with a wrong length is ignored; a length that cannot be (0, 1,
 * beyond the end) ends the parse, what was read before stays, and the call says "malformed".
 * Of a kind that comes twice the last one counts.
 *
 * Kinds: EOL, NOP, MSS (RFC 9293 section 3.7.1), window scale and timestamps (RFC 7323),
 * SACK-permitted and SACK (RFC 2018, D-SACK: RFC 2883). Others are skipped.
 */
#ifndef TG_TCP_OPTS_H
#define TG_TCP_OPTS_H

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/view.h>

#define TG_OPTS_MAX 40     /* bytes of options in a header */
#define TG_OPTS_SACK_MAX 4 /* blocks; 3 beside timestamps */
#define TG_OPTS_TS_LEN 12  /* NOP NOP TS as sent */
#define TG_WSCALE_MAX 14   /* RFC 7323 section 2.3 */

struct tg_sack {
	uint32_t start, end; /* host order; bytes start .. end-1. As received: unchecked */
};

/* Bits of tg_opts.has */
#define TG_OPT_MSS 0x01
#define TG_OPT_WSCALE 0x02
#define TG_OPT_SACK_OK 0x04 /* SACK-permitted */
#define TG_OPT_TS 0x08
#define TG_OPT_SACK 0x10

struct tg_opts {
	uint8_t has;    /* TG_OPT_x: fields not named in it are zero */
	uint8_t wscale; /* 0 .. 14; larger values were cut to 14 as RFC 7323 section 2.3 says */
	uint8_t n_sack; /* 1 .. 4 with TG_OPT_SACK */
	uint16_t mss;   /* as received, 0 included */
	uint32_t tsval, tsecr;
	struct tg_sack sack[TG_OPTS_SACK_MAX];
};

/* Reads n (0 .. 40) bytes of options. syn: MSS, window scale and SACK-permitted count only in a
 * SYN; SACK only elsewhere. False: malformed (see above). */
bool tg_opts_parse(const uint8_t *p, uint32_t n, bool syn, struct tg_opts *o);

/* The layout that nearly all data segments have: exactly NOP NOP TS. tcp is at the TCP header, of
 * which hdr_len bytes are there. False: something else, nothing set. */
static inline bool tg_opts_fast_ts(
	const uint8_t *tcp, uint32_t hdr_len, uint32_t *tsval, uint32_t *tsecr)
{
	if (tg_unlikely(hdr_len != 20 + TG_OPTS_TS_LEN || tg_load_be32(tcp + 20) != 0x0101080a))
		return false;
	*tsval = tg_load_be32(tcp + 24);
	*tsecr = tg_load_be32(tcp + 28);
	return true;
}

/* Writes the options that o->has names, for a SYN or SYN-ACK: MSS, SACK-permitted, TS, window
 * scale, in Linux's order, padded to 4. n_sack is not looked at. Returns the length, at most 24. */
uint32_t tg_opts_build_syn(uint8_t out[static TG_OPTS_MAX], const struct tg_opts *o);

/* Writes NOP NOP TS (12 bytes) if ts. */
static inline uint32_t tg_opts_put_ts(uint8_t *out, uint32_t tsval, uint32_t tsecr)
{
	tg_store_be32(out, 0x0101080a);
	tg_store_be32(out + 4, tsval);
	tg_store_be32(out + 8, tsecr);
	return TG_OPTS_TS_LEN;
}

/* Writes NOP NOP SACK with n blocks as they stand (RFC 2018: the newest first; RFC 2883: a D-SACK
 * block before all), as many as `room` bytes hold. Returns the length: 0 or 4 + 8 * blocks. */
uint32_t tg_opts_put_sack(uint8_t *out, uint32_t room, const struct tg_sack *s, uint32_t n);

#endif
