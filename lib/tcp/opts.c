#include <string.h>

#include "opts.h"

enum { EOL = 0, NOP = 1, MSS = 2, WSCALE = 3, SACK_OK = 4, SACK = 5, TS = 8 };

static void read_sack(const uint8_t *p, uint32_t len, struct tg_opts *o)
{
	uint32_t n = (len - 2) / 8;

	if (len < 10 || (len - 2) % 8 || n > TG_OPTS_SACK_MAX)
		return;
	o->has |= TG_OPT_SACK;
	o->n_sack = (uint8_t)n;
	for (uint32_t i = 0; i < n; i++) {
		o->sack[i].start = tg_load_be32(p + 2 + 8 * i);
		o->sack[i].end = tg_load_be32(p + 6 + 8 * i);
	}
}

/* One option of a SYN only; p is at its kind byte, len its whole length. */
static void read_syn_only(const uint8_t *p, uint32_t len, struct tg_opts *o)
{
	if (p[0] == MSS && len == 4) {
		o->has |= TG_OPT_MSS;
		o->mss = tg_load_be16(p + 2);
	} else if (p[0] == WSCALE && len == 3) {
		o->has |= TG_OPT_WSCALE;
		o->wscale = p[2] > TG_WSCALE_MAX ? TG_WSCALE_MAX : p[2];
	} else if (p[0] == SACK_OK && len == 2) {
		o->has |= TG_OPT_SACK_OK;
	}
}

bool tg_opts_parse(const uint8_t *p, uint32_t n, bool syn, struct tg_opts *o)
{
	const uint8_t *end = p + n;

	memset(o, 0, sizeof(*o));
	while (p < end && *p != EOL) {
		uint32_t len;

		if (*p == NOP) {
			p++;
			continue;
		}
		if (end - p < 2 || p[1] < 2 || p[1] > end - p)
			return false;
		len = p[1];
		if (*p == TS && len == 10) {
			o->has |= TG_OPT_TS;
			o->tsval = tg_load_be32(p + 2);
			o->tsecr = tg_load_be32(p + 6);
		} else if (*p == SACK && !syn) {
			read_sack(p, len, o);
		} else if (syn) {
			read_syn_only(p, len, o);
		}
		p += len;
	}
	return true;
}

uint32_t tg_opts_build_syn(uint8_t out[static TG_OPTS_MAX], const struct tg_opts *o)
{
	uint8_t *p = out;

	if (o->has & TG_OPT_MSS) {
		*p++ = MSS;
		*p++ = 4;
		tg_store_be16(p, o->mss);
		p += 2;
	}
	/* SACK-permitted takes the place of TS's two NOPs, and has two of its own without TS, as
	 * Linux does: peers and middleboxes have seen nothing else for decades. */
	if (o->has & TG_OPT_SACK_OK && o->has & TG_OPT_TS) {
		*p++ = SACK_OK;
		*p++ = 2;
	} else if (o->has & (TG_OPT_SACK_OK | TG_OPT_TS)) {
		*p++ = NOP;
		*p++ = NOP;
	}
	if (o->has & TG_OPT_SACK_OK && !(o->has & TG_OPT_TS)) {
		*p++ = SACK_OK;
		*p++ = 2;
	}
	if (o->has & TG_OPT_TS) {
		*p++ = TS;
		*p++ = 10;
		tg_store_be32(p, o->tsval);
		tg_store_be32(p + 4, o->tsecr);
		p += 8;
	}
	if (o->has & TG_OPT_WSCALE) {
		*p++ = NOP;
		*p++ = WSCALE;
		*p++ = 3;
		*p++ = o->wscale;
	}
	return (uint32_t)(p - out);
}

uint32_t tg_opts_put_sack(uint8_t *out, uint32_t room, const struct tg_sack *s, uint32_t n)
{
	if (n > TG_OPTS_SACK_MAX)
		n = TG_OPTS_SACK_MAX;
	while (n && 4 + 8 * n > room)
		n--;
	if (!n)
		return 0;
	out[0] = NOP;
	out[1] = NOP;
	out[2] = SACK;
	out[3] = (uint8_t)(2 + 8 * n);
	for (uint32_t i = 0; i < n; i++) {
		tg_store_be32(out + 4 + 8 * i, s[i].start);
		tg_store_be32(out + 8 + 8 * i, s[i].end);
	}
	return 4 + 8 * n;
}
