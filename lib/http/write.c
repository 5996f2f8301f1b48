/* write.c: heads and chunk sizes into bytes. */
#include <tidegate/err.h>
#include <tidegate/http1.h>

uint32_t tg_h1_chunk_head(uint8_t out[static TG_H1_CHUNK_HEAD_MAX], uint64_t n)
{
	uint32_t digits = n ? (63 - (uint32_t)__builtin_clzll(n)) / 4 + 1 : 1;

	for (uint32_t i = 0; i < digits; i++)
		out[i] = (uint8_t) "0123456789abcdef"[n >> (4 * (digits - 1 - i)) & 15];
	out[digits] = '\r';
	out[digits + 1] = '\n';
	return digits + 2;
}

struct out {
	uint8_t *p;
	uint32_t n, cap; /* n > cap: it did not fit, and nothing was written beyond cap */
};

static inline void put(struct out *o, struct tg_view v)
{
	if (tg_likely(v.n <= o->cap - o->n) && v.n)
		memcpy(o->p + o->n, v.p, v.n);
	else if (v.n)
		o->cap = o->n = 0;
	o->n += o->cap ? v.n : 0;
}

static void put_request_line(struct out *o, const struct tg_msg *m)
{
	put(o, m->method_name);
	put(o, TG_VIEW(" "));
	if (m->method == TG_CONNECT) {
		put(o, m->target);
	} else {
		put(o, m->path);
		if (m->query.p) {
			put(o, TG_VIEW("?"));
			put(o, m->query);
		}
	}
	put(o, TG_VIEW(" HTTP/1.1\r\n"));
}

static void put_status_line(struct out *o, const struct tg_msg *m)
{
	uint8_t digits[3] = {(uint8_t)('0' + m->status / 100 % 10),
		(uint8_t)('0' + m->status / 10 % 10), (uint8_t)('0' + m->status % 10)};

	put(o, TG_VIEW("HTTP/1.1 "));
	put(o, tg_view_of(digits, sizeof(digits)));
	put(o, TG_VIEW(" "));
	put(o, m->reason);
	put(o, TG_VIEW("\r\n"));
}

/* The end of f's line if it stands in its message just as it would be written, else NULL. */
static const uint8_t *as_it_stands(const struct tg_field *f)
{
	const uint8_t *gap = f->name.p + f->name.n, *end = f->value.p + f->value.n;

	if (f->value.p != gap + 2 || gap[0] != ':' || gap[1] != ' ' || end[0] != '\r' ||
		end[1] != '\n')
		return NULL;
	return end + 2;
}

static void put_field(struct out *o, const struct tg_field *f)
{
	put(o, f->name);
	put(o, TG_VIEW(": "));
	put(o, f->value);
	put(o, TG_VIEW("\r\n"));
}

/* Of a message that goes on much as it came, most fields stand one behind the other already: those
 * are copied as one run. */
static void put_fields(struct out *o, const struct tg_msg *m)
{
	struct tg_view run = TG_VIEW_NONE;

	for (uint32_t i = 0; i < m->n_fields; i++) {
		const struct tg_field *f = &m->fields[i];
		const uint8_t *end;

		if (f->removed)
			continue;
		end = as_it_stands(f);
		if (end && run.n && f->name.p == run.p + run.n) {
			run.n = (uint32_t)(end - run.p);
			continue;
		}
		put(o, run);
		run = TG_VIEW_NONE;
		if (end)
			run = tg_view_of(f->name.p, (size_t)(end - f->name.p));
		else
			put_field(o, f);
	}
	put(o, run);
}

int32_t tg_h1_write_head(const struct tg_msg *m, uint8_t *out, uint32_t cap)
{
	struct out o = {out, 0, cap};

	if (m->is_request)
		put_request_line(&o, m);
	else
		put_status_line(&o, m);
	put_fields(&o, m);
	put(&o, TG_VIEW("\r\n"));
	return o.cap ? (int32_t)o.n : TG_ETOOBIG;
}

/* Leaves exactly one field with that id. An existing one keeps its place and its name's case. */
static int set(struct tg_msg *m, enum tg_field_id id, struct tg_view value)
{
	struct tg_field *f = tg_msg_find(m, id);

	if (!f)
		return tg_msg_add(m, id, tg_field_name(id), value);
	tg_msg_remove(m, id);
	m->absent &= ~(UINT64_C(1) << id);
	f->removed = false;
	f->value = value;
	return 0;
}

static struct tg_view decimal(uint8_t scratch[static 24], uint64_t n)
{
	uint32_t i = 24;

	do {
		scratch[--i] = (uint8_t)('0' + n % 10);
		n /= 10;
	} while (n);
	return tg_view_of(scratch + i, 24 - i);
}

int tg_h1_frame(struct tg_msg *m, enum tg_body_kind body, uint64_t content_length, bool close,
	bool upgrade, uint8_t scratch[static 24])
{
	int rc = 0;

	if (body == TG_BODY_LENGTH)
		rc = set(m, TG_FIELD_CONTENT_LENGTH, decimal(scratch, content_length));
	else
		tg_msg_remove(m, TG_FIELD_CONTENT_LENGTH);
	if (rc < 0)
		return rc;
	if (body == TG_BODY_CHUNKED)
		rc = set(m, TG_FIELD_TRANSFER_ENCODING, TG_VIEW("chunked"));
	else
		tg_msg_remove(m, TG_FIELD_TRANSFER_ENCODING);
	if (rc < 0)
		return rc;
	if (upgrade)
		return set(m, TG_FIELD_CONNECTION, TG_VIEW("upgrade"));
	if (close || body == TG_BODY_UNTIL_CLOSE)
		return set(m, TG_FIELD_CONNECTION, TG_VIEW("close"));
	tg_msg_remove(m, TG_FIELD_CONNECTION);
	return 0;
}
