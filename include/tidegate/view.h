/* view.h: a run of bytes that somebody else owns.
 *
 * A view never owns memory; whoever hands one out says how long it lasts. Length is 32 bits: no
 * single run of bytes in Tidegate comes near 4 GiB. Also here: unaligned big-endian loads and
 * stores, and the few helpers on ASCII that protocols need. Any thread; no state.
 */
#ifndef TIDEGATE_VIEW_H
#define TIDEGATE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tg_view {
	const uint8_t *p;
	uint32_t n; /* bytes */
};

/* A run of bytes that may be written to; the same rules. */
struct tg_span {
	uint8_t *p;
	uint32_t n; /* bytes */
};

#define TG_VIEW(lit) ((struct tg_view){(const uint8_t *)(lit), sizeof(lit) - 1})
/* As TG_VIEW(), for constants. */
#define TG_VIEW_OF(lit) \
	{ \
		(const uint8_t *)(lit), sizeof(lit) - 1 \
	}
#define TG_VIEW_NONE ((struct tg_view){NULL, 0})
#define TG_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TG_CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define tg_likely(x) __builtin_expect(!!(x), 1)
#define tg_unlikely(x) __builtin_expect(!!(x), 0)

static inline struct tg_view tg_view_of(const void *p, size_t n)
{
	return (struct tg_view){p, (uint32_t)n};
}

static inline struct tg_view tg_view_str(const char *s)
{
	return tg_view_of(s, strlen(s));
}

static inline bool tg_view_eq(struct tg_view a, struct tg_view b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline uint8_t tg_ascii_lower(uint8_t c)
{
	return (uint8_t)(c - 'A') < 26 ? c | 0x20 : c;
}

/* ASCII case-insensitive equality (RFC 9110 section 5.1: field names). */
static inline bool tg_view_eq_nocase(struct tg_view a, struct tg_view b)
{
	if (a.n != b.n)
		return false;
	for (uint32_t i = 0; i < a.n; i++)
		if (tg_ascii_lower(a.p[i]) != tg_ascii_lower(b.p[i]))
			return false;
	return true;
}

static inline bool tg_view_has_prefix(struct tg_view v, struct tg_view prefix)
{
	return v.n >= prefix.n && (prefix.n == 0 || memcmp(v.p, prefix.p, prefix.n) == 0);
}

static inline uint16_t tg_load_be16(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t tg_load_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline void tg_store_be16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void tg_store_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

#endif
