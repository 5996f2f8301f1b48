/* head.h: one call of a head parser. Private to lib/http.
 *
 * A head is read by a small state machine over tokens, whose state lives in tg_h1_scan, so that
 * bytes that trickle in are looked at once. Syntax is refused at the first wrong byte, whatever the
 * pieces it came in; what fields mean is looked at when the head is complete (fields.c). A head
 * that came in several pieces is parsed once more in one go at its end: its views of earlier calls
 * may point into a buffer that moved.
 */
#ifndef TIDEGATE_HTTP_HEAD_H
#define TIDEGATE_HTTP_HEAD_H

#include <tidegate/http1.h>

#include "scan.h"

#define TG_HEAD_BLOCKS 8
#define TG_HEAD_METHOD_MAX 32 /* bytes */

enum tg_head_phase {
	TG_HEAD_EMPTY, /* empty lines before a request */
	TG_HEAD_METHOD,
	TG_HEAD_TARGET,
	TG_HEAD_VERSION, /* of a request; a response's whole status line up to its reason */
	TG_HEAD_REASON,
	TG_HEAD_LINE, /* at the start of a field line */
	TG_HEAD_NAME,
	TG_HEAD_VALUE,
};

struct tg_head {
	struct tg_h1_scan *s;
	const struct tg_h1_limits *limits;
	struct tg_msg *m;
	const uint8_t *buf;
	uint32_t len; /* never more than limits->max_head */
	uint32_t pos; /* all before it was looked at */
	uint64_t ids; /* bit set of the enum tg_field_id seen */
	/* bitmaps of buf[base .. window_end), see scan.h */
	uint32_t base, window_end;
	uint64_t not_token[TG_HEAD_BLOCKS], stops[TG_HEAD_BLOCKS];
};

/* Everything that looks at a piece of head: 1 done, 0 more bytes are needed, -1 refused. */
typedef int tg_head_fn(struct tg_head *h);

static inline int tg_head_refuse(struct tg_head *h, enum tg_h1_refusal r)
{
	h->s->refusal = (uint8_t)r;
	return -1;
}

void tg_head_refill(struct tg_head *h, uint32_t pos);

/* The first set bit of map at or behind pos; h->len if there is none. map: one of h's two. */
static inline uint32_t tg_head_next(struct tg_head *h, const uint64_t *map, uint32_t pos)
{
	while (pos < h->len) {
		uint32_t i;
		uint64_t w;

		if (tg_unlikely(pos >= h->window_end))
			tg_head_refill(h, pos);
		i = pos - h->base;
		w = map[i / 64] >> (i % 64);
		if (tg_likely(w))
			return pos + (uint32_t)__builtin_ctzll(w);
		pos = h->base + (i | 63) + 1;
	}
	return h->len;
}

/* h->pos is at a CR: takes CRLF. */
static inline int tg_head_crlf(struct tg_head *h)
{
	if (tg_unlikely(h->pos + 1 >= h->len))
		return 0;
	if (tg_unlikely(h->buf[h->pos + 1] != '\n'))
		return tg_head_refuse(h, TG_H1_BARE_CR);
	h->pos += 2;
	return 1;
}

/* "HTTP/1.x" at `at`, as far as it is there; sets m->version_minor. 1: all 8 bytes are good. */
int tg_head_version(struct tg_head *h, uint32_t at);
/* The field section with its final empty line. */
int tg_head_fields(struct tg_head *h);

/* Runs start_line, the fields, then finish (which returns a refusal or TG_H1_OK) as http1.h says.
 */
int32_t tg_head_parse(struct tg_head *h, uint8_t first_phase, tg_head_fn *start_line,
	enum tg_h1_refusal (*finish)(struct tg_head *h));

#endif
