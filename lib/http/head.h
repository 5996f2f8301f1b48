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
	/* The well-known fields seen (bit sets of enum tg_field_id), those seen more than once, and
	 * where each was seen last. */
	uint64_t ids, ids_again;
	uint16_t where[TG_FIELD_MAX];
	/* bitmaps of buf[base .. base + window), see scan.h; then no bit up to the next word, which
	 * is all ones */
	uint32_t base, window;
	uint64_t not_token[TG_HEAD_BLOCKS + 1], stops[TG_HEAD_BLOCKS + 1];
};

/* What the callers of tg_head_parse() set; the rest is set there. */
static inline void tg_head_init(struct tg_head *h, struct tg_h1_scan *s, const uint8_t *buf,
	uint32_t len, const struct tg_h1_limits *limits, struct tg_msg *m)
{
	h->s = s;
	h->limits = limits;
	h->m = m;
	h->buf = buf;
	h->len = len;
	h->base = h->window = 0;
}

/* Everything that looks at a piece of head: 1 done, 0 more bytes are needed, -1 refused. */
typedef int tg_head_fn(struct tg_head *h);

static inline int tg_head_refuse(struct tg_head *h, enum tg_h1_refusal r)
{
	h->s->refusal = (uint8_t)r;
	return -1;
}

/* Moves the window to pos and goes on there. */
uint32_t tg_head_next_far(struct tg_head *h, const uint64_t *map, uint32_t pos);

/* The first set bit of map at or behind pos; h->len if there is none. map: one of h's two. */
static inline uint32_t tg_head_next(struct tg_head *h, const uint64_t *map, uint32_t pos)
{
	uint32_t i = pos - h->base; /* huge if pos is before the window */
	uint64_t w;

	if (tg_unlikely(i >= h->window))
		return tg_head_next_far(h, map, pos);
	w = map[i / 64] >> (i % 64);
	if (tg_likely(w))
		return pos + (uint32_t)__builtin_ctzll(w);
	/* The word behind the last has a bit set, so that this ends. */
	for (i /= 64; !(w = map[++i]);)
		;
	i = i * 64 + (uint32_t)__builtin_ctzll(w);
	if (tg_likely(i < h->window))
		return h->base + i;
	return tg_head_next_far(h, map, h->base + h->window);
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
