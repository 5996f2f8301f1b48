/* work.c: what requests and responses look like. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

/* What a browser sends: with the rest of the head 350 bytes or so. */
static const char usual[] =
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0\r\n"
	"Accept: text/html,application/json;q=0.9,*/*;q=0.8\r\n"
	"Accept-Language: en-US,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate, br\r\n"
	"Cookie: session=6b1f0a52c0d94f0e8f6d; theme=dark\r\n";

static void add(struct load_head *h, const char *text)
{
	size_t n = strlen(text);

	if (h->n + n > sizeof(h->text))
		abort(); /* they are ours, and fit */
	memcpy(h->text + h->n, text, n);
	h->n += (uint32_t)n;
}

static void add_number(struct load_head *h)
{
	h->number = h->n;
	add(h, "00000000");
}

static void add_fields(struct load_head *h, enum load_headers set)
{
	char field[64];

	if (set == LOAD_SMALL)
		add(h, "User-Agent: tg_load\r\nAccept: */*\r\n");
	else
		add(h, usual);
	for (uint32_t i = 0; set == LOAD_MANY && i < 30; i++) {
		snprintf(field, sizeof(field), "X-Field-%02u: value %u of a header of many\r\n", i,
			i * 7919);
		add(h, field);
	}
}

static void make_request(struct load_head *h, const struct load_conf *c, bool last)
{
	char text[64];

	h->n = 0;
	add(h, c->upload ? "POST /load/" : "GET /load/");
	add_number(h);
	add(h, "/item HTTP/1.1\r\nHost: load.test\r\n");
	add_fields(h, c->headers);
	if (c->upload) {
		snprintf(text, sizeof(text), "Content-Length: %u\r\n", c->upload);
		add(h, text);
	}
	if (last)
		add(h, "Connection: close\r\n");
	add(h, "\r\n");
}

static void make_response(struct load_head *h, const struct load_conf *c, bool last)
{
	char text[64];

	h->n = 0;
	add(h, "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Load: ");
	add_number(h);
	add(h, "\r\nContent-Type: application/octet-stream\r\nCache-Control: no-store\r\n");
	if (c->headers == LOAD_MANY)
		add_fields(h, c->headers);
	snprintf(text, sizeof(text), "Content-Length: %u\r\n", c->body);
	add(h, text);
	if (last)
		add(h, "Connection: close\r\n");
	add(h, "\r\n");
}

bool load_work_init(struct load_work *w, const struct load_conf *c)
{
	struct tg_rng r;

	make_request(&w->request, c, false);
	make_request(&w->last_request, c, true);
	make_response(&w->response, c, false);
	make_response(&w->last_response, c, true);
	w->pattern = malloc(2 * (size_t)LOAD_PATTERN);
	if (!w->pattern)
		return false;
	tg_rng_seed(&r, 1);
	for (uint32_t i = 0; i < LOAD_PATTERN; i++)
		w->pattern[i] = (uint8_t)(tg_rng_next(&r) >> 32);
	memcpy(w->pattern + LOAD_PATTERN, w->pattern, LOAD_PATTERN);
	return true;
}

static struct tg_view content(
	const struct load_work *w, uint32_t number, uint64_t at, uint64_t bytes)
{
	uint64_t left = bytes - at;

	return tg_view_of(w->pattern + (number + at) % LOAD_PATTERN,
		left < LOAD_PATTERN ? left : LOAD_PATTERN);
}

static void put_number(struct load_head *h, uint32_t n)
{
	for (uint32_t i = LOAD_NUMBER; i-- > 0; n /= 10)
		h->text[h->number + i] = (char)('0' + n % 10);
}

bool load_send(const struct load_work *w, struct tg_conn *conn, struct load_head *h,
	uint32_t number, uint64_t *at, uint64_t bytes)
{
	struct tg_view v[] = {tg_view_of(h->text, h->n), content(w, number, 0, bytes)};
	uint32_t done;

	put_number(h, number);
	done = tg_conn_write(conn, v, bytes ? 2 : 1);
	*at = done > h->n ? done - h->n : 0;
	return done >= h->n;
}

void load_send_body(const struct load_work *w, struct tg_conn *conn, uint32_t number, uint64_t *at,
	uint64_t bytes)
{
	while (*at < bytes) {
		struct tg_view v = content(w, number, *at, bytes);
		uint32_t n = tg_conn_write(conn, &v, 1);

		*at += n;
		if (n < v.n)
			break;
	}
}

void load_send_slowly(
	struct tg_conn *conn, struct load_head *h, uint32_t number, uint32_t *at, uint32_t most)
{
	uint32_t left = h->n - *at;
	struct tg_view v = tg_view_of(h->text + *at, left < most ? left : most);

	put_number(h, number);
	*at += tg_conn_write(conn, &v, 1);
}

bool load_is_content(
	const struct load_work *w, uint32_t number, uint64_t at, const uint8_t *p, uint32_t n)
{
	while (n) {
		uint32_t part = n < LOAD_PATTERN ? n : LOAD_PATTERN;

		if (memcmp(p, w->pattern + (number + at) % LOAD_PATTERN, part) != 0)
			return false;
		p += part;
		at += part;
		n -= part;
	}
	return true;
}

struct tg_view load_front(struct tg_conn *conn, uint8_t scratch[static LOAD_HEAD_MAX])
{
	struct tg_view v[16];
	uint32_t cnt = tg_conn_peek(conn, v, TG_ARRAY_LEN(v)), n = 0;

	if (cnt <= 1)
		return cnt ? v[0] : TG_VIEW_NONE;
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t part = v[i].n < LOAD_HEAD_MAX - n ? v[i].n : LOAD_HEAD_MAX - n;

		memcpy(scratch + n, v[i].p, part);
		n += part;
	}
	return tg_view_of(scratch, n);
}

uint32_t load_digits(struct tg_view v)
{
	uint32_t n = 0, i = 0;

	for (; i < v.n && i < 9 && v.p[i] >= '0' && v.p[i] <= '9'; i++)
		n = n * 10 + (uint32_t)(v.p[i] - '0');
	return i ? n : UINT32_MAX;
}
