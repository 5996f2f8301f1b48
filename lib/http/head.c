/* head.c: what request and response heads have in common (RFC 9112 sections 2 and 5). */
#include "head.h"
#include "fields.h"
#include "names.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CRLF 0x0a0d /* as a 16-bit load sees it */
#else
#define CRLF 0x0d0a
#endif

/* The last bytes of the buffer, less than a block, as word b. Nothing beyond them is read. */
static void classify_tail(struct tg_head *h, uint32_t b, uint32_t tail)
{
	const uint8_t *end = h->buf + h->len;
	uint8_t last[TG_SCAN_BLOCK];

	if (h->len < TG_SCAN_BLOCK) {
		memset(last, 0, sizeof(last));
		memcpy(last + TG_SCAN_BLOCK - tail, end - tail, tail);
		end = last + TG_SCAN_BLOCK;
	}
	tg_scan->classify(end - TG_SCAN_BLOCK, 1, h->not_token + b, h->stops + b);
	h->not_token[b] >>= TG_SCAN_BLOCK - tail;
	h->stops[b] >>= TG_SCAN_BLOCK - tail;
}

/* Moves the window to pos, which is before h->len. 512 bytes: most heads need one or two, and a
 * body behind a short head is not scanned for nothing. */
static void refill(struct tg_head *h, uint32_t pos)
{
	uint32_t n = h->len - pos, blocks = n / TG_SCAN_BLOCK, tail = n % TG_SCAN_BLOCK;

	if (blocks >= TG_HEAD_BLOCKS) {
		blocks = TG_HEAD_BLOCKS;
		n = TG_HEAD_BLOCKS * TG_SCAN_BLOCK;
		tail = 0;
	}
	h->base = pos;
	h->window = n;
	tg_scan->classify(h->buf + pos, blocks, h->not_token, h->stops);
	if (tail)
		classify_tail(h, blocks++, tail);
	h->not_token[blocks] = h->stops[blocks] = ~0ull;
}

uint32_t tg_head_next_far(struct tg_head *h, const uint64_t *map, uint32_t pos)
{
	if (pos >= h->len)
		return h->len;
	refill(h, pos);
	return tg_head_next(h, map, pos);
}

/* One byte at a time, because it may end anywhere; the digits decide only when all of it is there.
 */
static int version_slow(struct tg_head *h, uint32_t at)
{
	static const char form[] = "HTTP/d.d";
	const uint8_t *p = h->buf + at;

	for (uint32_t i = 0; i < 8; i++) {
		if (at + i >= h->len)
			return 0;
		if (form[i] == 'd' ? !(tg_byte_class[p[i]] & TG_BYTE_DIGIT) : p[i] != form[i])
			return tg_head_refuse(h, TG_H1_BAD_VERSION);
	}
	if (p[5] != '1')
		return tg_head_refuse(h, TG_H1_VERSION_NOT_SUPPORTED);
	/* RFC 9110 section 2.5: a higher minor version is processed as the highest that we know. */
	h->m->version_minor = p[7] != '0';
	return 1;
}

int tg_head_version(struct tg_head *h, uint32_t at)
{
	if (tg_likely(at + 8 <= h->len) && tg_likely(!memcmp(h->buf + at, "HTTP/1.1", 8))) {
		h->m->version_minor = 1;
		return 1;
	}
	return version_slow(h, at);
}

static inline bool may_look_alike(struct tg_view name)
{
	return name.n == 14 || name.n == 17;
}

static inline bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static int field_name(struct tg_head *h, struct tg_field *f)
{
	uint32_t start = h->s->token, end = tg_head_next(h, h->not_token, h->pos);

	h->pos = end;
	if (tg_unlikely(end == h->len))
		return 0;
	if (tg_unlikely(h->buf[end] != ':' || end == start))
		return tg_head_refuse(
			h, h->buf[end] == '\n' ? TG_H1_BARE_LF : TG_H1_BAD_FIELD_NAME);
	f->name = tg_view_of(h->buf + start, end - start);
	f->id = (uint16_t)tg_field_id_of_token(f->name);
	f->removed = false;
	if (f->id == TG_FIELD_UNKNOWN && may_look_alike(f->name) && tg_field_is_lookalike(f->name))
		return tg_head_refuse(h, TG_H1_BAD_FIELD_NAME);
	h->s->token = h->pos = end + 1;
	return 1;
}

static struct tg_view trimmed(const uint8_t *p, const uint8_t *end)
{
	while (p < end && is_space(*p))
		p++;
	while (p < end && is_space(end[-1]))
		end--;
	return tg_view_of(p, (size_t)(end - p));
}

/* Field n is a well-known one. */
static inline void note(struct tg_head *h, uint32_t id, uint32_t n)
{
	h->ids_again |= h->ids & 1ull << id;
	h->ids |= 1ull << id;
	h->where[id] = (uint16_t)n;
}

static int field_value(struct tg_head *h, struct tg_field *f)
{
	uint32_t start = h->s->token, end = tg_head_next(h, h->stops, h->pos);
	int rc;

	h->pos = end;
	if (tg_unlikely(end == h->len))
		return 0;
	if (tg_unlikely(h->buf[end] != '\r'))
		return tg_head_refuse(
			h, h->buf[end] == '\n' ? TG_H1_BARE_LF : TG_H1_BAD_FIELD_VALUE);
	rc = tg_head_crlf(h);
	if (tg_unlikely(rc <= 0))
		return rc;
	f->value = trimmed(h->buf + start, h->buf + end);
	note(h, f->id, h->s->n_fields);
	return 1;
}
_Static_assert(TG_FIELD_MAX <= 64, "ids is a bit set");

/* At the start of a line: 1 it is a field, 0 more bytes, -1 refused, 2 the empty line was taken. */
static int line_start(struct tg_head *h)
{
	uint32_t cap = h->m->field_cap;
	int rc;

	if (tg_unlikely(h->pos == h->len))
		return 0;
	switch (h->buf[h->pos]) {
	case '\r':
		rc = tg_head_crlf(h);
		return rc == 1 ? 2 : rc;
	case '\n':
		return tg_head_refuse(h, TG_H1_BARE_LF);
	case ' ':
	case '\t':
		return tg_head_refuse(h, TG_H1_OBS_FOLD);
	default:
		break;
	}
	if (cap > h->limits->max_fields)
		cap = h->limits->max_fields;
	if (tg_unlikely(h->s->n_fields >= cap))
		return tg_head_refuse(h, TG_H1_TOO_MANY_FIELDS);
	h->s->token = h->pos;
	return 1;
}

/* Takes whole, plain field lines. Stops in front of the first that is anything else (not all there,
 * the empty line, not plain or wrong), which field_name() and field_value() then look at closely.
 */
static void plain_lines(struct tg_head *h)
{
	const uint8_t *buf = h->buf;
	struct tg_field *f = &h->m->fields[h->s->n_fields];
	uint32_t pos = h->pos, cap = h->m->field_cap, n = h->s->n_fields;

	if (cap > h->limits->max_fields)
		cap = h->limits->max_fields;
	for (; n < cap; n++, f++) {
		uint32_t colon = tg_head_next(h, h->not_token, pos), end;
		const uint8_t *p = buf + colon, *q;
		enum tg_field_id id;
		uint16_t crlf;

		/* Not even a value's first byte: buf[colon] may be the end of the buffer. */
		if (tg_unlikely(colon + 1 >= h->len || *p++ != ':' || colon == pos))
			break;
		end = tg_head_next(h, h->stops, colon + 1);
		if (tg_unlikely(end + 2 > h->len))
			break;
		q = buf + end;
		memcpy(&crlf, q, 2);
		if (tg_unlikely(crlf != CRLF))
			break;
		f->name = tg_view_of(buf + pos, colon - pos);
		id = tg_field_id_of_token(f->name);
		p += *p == ' ';
		/* More white space, or none and no value: CR is below SP, too. */
		if (tg_likely(*p > ' ' && q[-1] > ' '))
			f->value = tg_view_of(p, (size_t)(q - p));
		else
			f->value = trimmed(p, q);
		f->id = (uint16_t)id;
		f->removed = false;
		if (id)
			note(h, id, n);
		else if (tg_unlikely(may_look_alike(f->name)) && tg_field_is_lookalike(f->name))
			break;
		pos = end + 2;
	}
	h->pos = pos;
	h->s->n_fields = (uint16_t)n;
}

int tg_head_fields(struct tg_head *h)
{
	struct tg_h1_scan *s = h->s;
	int rc;

	for (;;) {
		struct tg_field *f = &h->m->fields[s->n_fields];

		/* One line at a time only when there is something about it. */
		if (s->phase == TG_HEAD_LINE) {
			plain_lines(h);
			f = &h->m->fields[s->n_fields];
			rc = line_start(h);
			if (rc != 1)
				return rc == 2 ? 1 : rc;
			s->phase = TG_HEAD_NAME;
		}
		if (s->phase == TG_HEAD_NAME) {
			rc = field_name(h, f);
			if (tg_unlikely(rc <= 0))
				return rc;
			s->phase = TG_HEAD_VALUE;
		}
		rc = field_value(h, f);
		if (tg_unlikely(rc <= 0))
			return rc;
		s->phase = TG_HEAD_LINE;
		s->n_fields++;
	}
}

static int run(struct tg_head *h, tg_head_fn *start_line)
{
	struct tg_msg *m = h->m;
	int rc;

	*m = (struct tg_msg){.fields = m->fields, .field_cap = m->field_cap};
	h->pos = h->s->seen;
	h->ids = h->ids_again = 0;
	if (h->s->phase < TG_HEAD_LINE) {
		rc = start_line(h);
		if (rc <= 0)
			return rc;
		h->s->phase = TG_HEAD_LINE;
	}
	rc = tg_head_fields(h);
	m->n_fields = h->s->n_fields;
	if (rc == 1) /* unknown fields are not noted */
		m->absent = ~h->ids & ~(UINT64_C(1) << TG_FIELD_UNKNOWN);
	return rc;
}

int32_t tg_head_parse(struct tg_head *h, uint8_t first_phase, tg_head_fn *start_line,
	enum tg_h1_refusal (*finish)(struct tg_head *h))
{
	struct tg_h1_scan *s = h->s;
	bool resumed = s->seen > 0;
	enum tg_h1_refusal r;
	int rc;

	if (s->refusal)
		return -1;
	if (h->len > h->limits->max_head)
		h->len = h->limits->max_head;
	if (!resumed)
		s->phase = first_phase;
	rc = run(h, start_line);
	if (rc == 1 && resumed) {
		*s = (struct tg_h1_scan){.phase = first_phase};
		rc = run(h, start_line);
	}
	s->seen = h->pos;
	if (rc == 0 && h->len == h->limits->max_head)
		rc = tg_head_refuse(h, TG_H1_HEAD_TOO_BIG);
	if (rc <= 0)
		return rc;
	r = finish(h);
	return r == TG_H1_OK ? (int32_t)h->pos : tg_head_refuse(h, r);
}
