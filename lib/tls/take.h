/* take.h: reading handshake messages: a view is cut from its front; false, and nothing is cut,
 * where there is not enough. Any thread; no state. */
#ifndef TG_TLS_TAKE_H
#define TG_TLS_TAKE_H

#include <tidegate/view.h>

static inline bool tg_take(struct tg_view *v, uint32_t n, struct tg_view *out)
{
	if (v->n < n)
		return false;
	*out = (struct tg_view){v->p, n};
	v->p += n;
	v->n -= n;
	return true;
}

/* A number of 1 to 3 bytes. */
static inline bool tg_take_uint(struct tg_view *v, uint32_t bytes, uint32_t *out)
{
	struct tg_view b;

	if (!tg_take(v, bytes, &b))
		return false;
	*out = 0;
	for (uint32_t i = 0; i < bytes; i++)
		*out = *out << 8 | b.p[i];
	return true;
}

/* A vector behind its length, which has 1 to 3 bytes (RFC 8446 section 3.4). */
static inline bool tg_take_vec(struct tg_view *v, uint32_t bytes, struct tg_view *out)
{
	struct tg_view at = *v;
	uint32_t n;

	if (!tg_take_uint(&at, bytes, &n) || !tg_take(&at, n, out))
		return false;
	*v = at;
	return true;
}

/* The same where nothing stands behind it. */
static inline bool tg_take_whole(struct tg_view v, uint32_t bytes, struct tg_view *out)
{
	return tg_take_vec(&v, bytes, out) && v.n == 0;
}

/* Whether a list of 16-bit numbers has this one. */
static inline bool tg_list16_has(struct tg_view list, uint16_t what)
{
	for (uint32_t i = 0; i + 2 <= list.n; i += 2)
		if (tg_load_be16(list.p + i) == what)
			return true;
	return false;
}

#endif
