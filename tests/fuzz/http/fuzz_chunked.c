/* fuzz_chunked.c: chunked content. Byte 0: the size of the pieces; then the content.
 *
 * Against a reference that is written another way: over the whole input, line by line, from the
 * ABNF.
 */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/http1.h>

#define MAX 6000
#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

struct result {
	bool refused, ended;
	uint8_t refusal;
	uint32_t used, n_data, n_trailers;
	uint8_t data[MAX], trailers[TG_H1_TRAILERS_MAX];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const uint8_t *in, uint32_t n, uint32_t step, bool keep, struct result *r)
{
	struct tg_h1_body b;
	uint32_t used, end = 0;
	struct tg_view data;

	memset(r, 0, sizeof(*r));
	tg_h1_body_init(&b, TG_BODY_CHUNKED, 0);
	b.trailers = keep ? r->trailers : NULL;
	b.trailers_cap = sizeof(r->trailers);
	do {
		end = n - end > step ? end + step : n;
		do {
			struct tg_view v = tg_view_of(in + r->used, end - r->used);

			r->refused = tg_h1_body_read(&b, v, &used, &data) < 0;
			if (r->refused)
				break;
			MUST(used <= v.n && (!data.n || data.p + data.n <= v.p + used));
			memcpy(r->data + r->n_data, data.p, data.n);
			r->n_data += data.n;
			r->used += used;
		} while (used);
	} while (!r->refused && !b.ended && end < n);
	r->refusal = b.refusal;
	r->ended = b.ended;
	r->n_trailers = b.trailer_len;
}

/* The reference. A cursor over the whole input; every function says whether it could go on. */
struct cursor {
	const uint8_t *p, *end;
};

static bool is_tchar(uint8_t c)
{
	return c > ' ' && c < 127 && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static void blanks(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
}

static bool token(struct cursor *c)
{
	const uint8_t *from = c->p;

	while (c->p < c->end && is_tchar(*c->p))
		c->p++;
	return c->p > from;
}

static bool quoted(struct cursor *c)
{
	for (c->p++; c->p < c->end && *c->p != '"'; c->p++) {
		if (*c->p == '\\' && ++c->p == c->end)
			return false;
		if ((*c->p < ' ' && *c->p != '\t') || *c->p == 127)
			return false;
	}
	return c->p++ < c->end;
}

static bool extensions(struct cursor *c)
{
	while (c->p < c->end) {
		struct cursor before_equals;

		blanks(c);
		if (c->p == c->end || *c->p++ != ';')
			return false;
		blanks(c);
		if (!token(c))
			return false;
		before_equals = *c;
		blanks(c);
		if (c->p == c->end || *c->p != '=') {
			*c = before_equals;
			continue;
		}
		c->p++;
		blanks(c);
		if (!(c->p < c->end && *c->p == '"' ? quoted(c) : token(c)))
			return false;
	}
	return true;
}

/* The line at the cursor without its CRLF; false: there is none. */
static bool line(struct cursor *c, struct cursor *l)
{
	const uint8_t *crlf =
		c->p < c->end ? memmem(c->p, (size_t)(c->end - c->p), "\r\n", 2) : NULL;

	if (!crlf)
		return false;
	l->p = c->p;
	l->end = crlf;
	c->p = crlf + 2;
	return true;
}

static bool size_of(struct cursor *l, uint64_t *size)
{
	char digits[300];
	uint32_t n = 0;

	if (l->end - l->p >= TG_H1_CHUNK_LINE_MAX)
		return false;
	while (l->p < l->end && strchr("0123456789abcdefABCDEF", *l->p) && *l->p)
		digits[n++] = (char)*l->p++;
	digits[n] = '\0';
	*size = strtoull(digits, NULL, 16);
	/* Saturates: anything from 2^63 on is too much. */
	return n && *size <= INT64_MAX && extensions(l);
}

static bool reference(const uint8_t *in, uint32_t n, struct result *r)
{
	struct cursor c = {in, in + n}, l;
	const uint8_t *section;
	uint64_t size;

	r->n_data = 0;
	for (;;) {
		if (!line(&c, &l) || !size_of(&l, &size))
			return false;
		if (!size)
			break;
		if (size > (uint64_t)(c.end - c.p))
			return false;
		memcpy(r->data + r->n_data, c.p, size);
		r->n_data += (uint32_t)size;
		c.p += size;
		if (!line(&c, &l) || l.p != l.end)
			return false;
	}
	for (section = c.p; line(&c, &l) && l.p != l.end;) {
		if (!token(&l) || l.p == l.end || *l.p++ != ':')
			return false;
		for (; l.p < l.end; l.p++)
			if ((*l.p < ' ' && *l.p != '\t') || *l.p == 127)
				return false;
	}
	r->used = (uint32_t)(c.p - in);
	return c.p - section >= 2 && c.p[-1] == '\n' && c.p - section <= TG_H1_TRAILERS_MAX &&
	       (c.p - section == 2 || !memcmp(c.p - 4, "\r\n\r\n", 4));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, cut, dropped, ref;
	uint8_t *in;
	uint32_t n;
	bool ok;

	if (size < 1 || size > MAX)
		return 0;
	n = (uint32_t)size - 1;
	in = malloc(n ? n : 1);
	memcpy(in, data + 1, n);
	read_all(in, n, UINT32_MAX, true, &whole);
	read_all(in, n, data[0] + 1u, true, &cut);
	read_all(in, n, 1, false, &dropped);
	MUST(whole.refusal == cut.refusal && whole.ended == cut.ended);
	MUST(whole.refused || whole.used == cut.used);
	MUST(whole.n_data == cut.n_data && !memcmp(whole.data, cut.data, whole.n_data));
	MUST(whole.n_trailers == cut.n_trailers &&
		!memcmp(whole.trailers, cut.trailers, whole.n_trailers));
	MUST(dropped.ended == whole.ended && dropped.n_data == whole.n_data);
	ok = reference(in, n, &ref);
	if (whole.ended) {
		MUST(ok && ref.used == whole.used && ref.n_data == whole.n_data);
		MUST(!memcmp(ref.data, whole.data, whole.n_data));
	} else if (ok) {
		/* Only for what the reference does not know: names that may not be trailers, and
		 * our output's room. */
		MUST(whole.refusal == TG_H1_BAD_TRAILER || whole.refusal == TG_H1_TRAILERS_TOO_BIG);
	}
	free(in);
	return 0;
}
