/* test_body.c: content of every kind, whole and in every way to cut it. */
#include <stdio.h>
#include <stdlib.h>

#include "../tgtest.h"
#include "cases.h"

struct reader {
	struct tg_h1_body b;
	uint8_t trailers[TG_H1_TRAILERS_MAX], data[1024];
	uint32_t n_data, used; /* bytes of content, bytes of input done with */
	bool refused;
};

static void start(struct reader *r, enum tg_body_kind kind, uint64_t length, bool keep_trailers)
{
	memset(r, 0, sizeof(*r));
	tg_h1_body_init(&r->b, kind, length);
	if (keep_trailers) {
		r->b.trailers = r->trailers;
		r->b.trailers_cap = sizeof(r->trailers);
	}
}

/* Hands in the bytes [r->used, end) of in, from memory that ends there, until nothing moves. */
static void read_to(struct reader *r, const char *in, uint32_t end)
{
	uint32_t from = r->used, n = end - from, used;
	uint8_t *buf = malloc(n ? n : 1);
	struct tg_view left, data;

	memcpy(buf, in + from, n);
	left = tg_view_of(buf, n);
	do {
		if (tg_h1_body_read(&r->b, left, &used, &data) < 0) {
			CU_ASSERT_EQUAL(data.n, 0);
			r->refused = true;
			break;
		}
		CU_ASSERT_TRUE(used <= left.n);
		CU_ASSERT_TRUE(!data.n || (data.p >= left.p && data.p + data.n <= left.p + used));
		CU_ASSERT_TRUE(r->n_data + data.n <= sizeof(r->data));
		memcpy(r->data + r->n_data, data.p, data.n);
		r->n_data += data.n;
		r->used += used;
		left.p += used;
		left.n -= used;
	} while (used);
	free(buf);
}

static bool is_as_wanted(const struct h1_case *c, const struct reader *r)
{
	char got[2048];
	uint32_t n = r->n_data;

	if (c->verdict == INCOMPLETE)
		return !r->refused && !r->b.ended && r->used == c->n;
	if (c->verdict != TG_H1_OK)
		return r->refused && r->b.refusal == c->verdict && !r->b.ended;
	memcpy(got, r->data, n);
	n += (uint32_t)snprintf(got + n, sizeof(got) - n, "|%.*s|%.*s", (int)(c->n - r->used),
		c->in + r->used, (int)r->b.trailer_len, (const char *)r->trailers);
	return !r->refused && r->b.ended && !memcmp(got, c->facts, n + 1);
}

static void chunked(void)
{
	for (uint32_t i = 0; i < n_chunked_cases; i++) {
		const struct h1_case *c = &chunked_cases[i];
		struct reader r, dropped;
		bool ok;

		start(&r, TG_BODY_CHUNKED, 0, true);
		read_to(&r, c->in, c->n);
		ok = is_as_wanted(c, &r);
		if (!ok)
			fprintf(stderr, "%s: %s ended %d, data \"%.*s\", used %u\n", c->name,
				tg_h1_refusal_name(r.b.refusal), r.b.ended, (int)r.n_data, r.data,
				r.used);
		CU_ASSERT_TRUE(ok);
		/* Without memory for trailers they are checked all the same. */
		start(&dropped, TG_BODY_CHUNKED, 0, false);
		read_to(&dropped, c->in, c->n);
		CU_ASSERT_EQUAL(dropped.b.refusal, r.b.refusal);
		CU_ASSERT_TRUE(r.refused || dropped.used == r.used);
		CU_ASSERT_EQUAL(dropped.b.ended, r.b.ended);
		CU_ASSERT_EQUAL(dropped.b.trailer_len, 0);
	}
}

static void same_result(const struct h1_case *c, const struct reader *a, const struct reader *b)
{
	bool same = a->refused == b->refused && a->b.refusal == b->b.refusal &&
		    a->b.ended == b->b.ended && (a->refused || a->used == b->used) &&
		    a->n_data == b->n_data && !memcmp(a->data, b->data, a->n_data) &&
		    a->b.trailer_len == b->b.trailer_len &&
		    !memcmp(a->trailers, b->trailers, a->b.trailer_len);

	if (!same)
		fprintf(stderr, "%s: in pieces it is not as whole\n", c->name);
	CU_ASSERT_TRUE(same);
}

static void chunked_in_pieces(void)
{
	for (uint32_t i = 0; i < n_chunked_cases; i++) {
		const struct h1_case *c = &chunked_cases[i];
		struct reader whole, r;

		start(&whole, TG_BODY_CHUNKED, 0, true);
		read_to(&whole, c->in, c->n);
		start(&r, TG_BODY_CHUNKED, 0, true);
		for (uint32_t n = 0; n <= c->n; n++)
			read_to(&r, c->in, n);
		same_result(c, &whole, &r);
		for (uint32_t cut = 0; cut <= c->n; cut++) {
			start(&r, TG_BODY_CHUNKED, 0, true);
			read_to(&r, c->in, cut);
			read_to(&r, c->in, c->n);
			same_result(c, &whole, &r);
		}
	}
}

static void length(void)
{
	struct reader r;

	start(&r, TG_BODY_LENGTH, 5, false);
	read_to(&r, "hello world", 3);
	CU_ASSERT_FALSE(r.b.ended);
	CU_ASSERT_EQUAL(r.b.left, 2);
	read_to(&r, "hello world", 11);
	CU_ASSERT_TRUE(r.b.ended);
	CU_ASSERT_EQUAL(r.used, 5);
	CU_ASSERT_EQUAL(memcmp(r.data, "hello", 5), 0);
	start(&r, TG_BODY_LENGTH, 0, false);
	CU_ASSERT_TRUE(r.b.ended);
	read_to(&r, "x", 1);
	CU_ASSERT_EQUAL(r.used, 0);
	/* More than fits 32 bits. */
	start(&r, TG_BODY_LENGTH, 1ull << 40, false);
	read_to(&r, "hello", 5);
	CU_ASSERT_EQUAL(r.b.left, (1ull << 40) - 5);
}

static void none_close_tunnel(void)
{
	struct reader r;

	start(&r, TG_BODY_NONE, 0, false);
	CU_ASSERT_TRUE(r.b.ended);
	read_to(&r, "hello", 5);
	CU_ASSERT_EQUAL(r.used, 0);
	start(&r, TG_BODY_UNTIL_CLOSE, 0, false);
	read_to(&r, "hello", 5);
	CU_ASSERT_FALSE(r.b.ended);
	CU_ASSERT_EQUAL(r.n_data, 5);
	start(&r, TG_BODY_TUNNEL, 0, false);
	read_to(&r, "0\r\n\r\n", 5);
	CU_ASSERT_FALSE(r.b.ended);
	CU_ASSERT_EQUAL(r.n_data, 5);
}

/* After the end or a refusal nothing is taken any more. */
static void stays_ended(void)
{
	struct tg_h1_body b;
	struct tg_view data;
	uint32_t used;

	tg_h1_body_init(&b, TG_BODY_CHUNKED, 0);
	CU_ASSERT_EQUAL(tg_h1_body_read(&b, TG_VIEW("0\r\n\r\n5\r\n"), &used, &data), 0);
	CU_ASSERT_EQUAL(used, 5);
	CU_ASSERT_EQUAL(tg_h1_body_read(&b, TG_VIEW("5\r\n"), &used, &data), 0);
	CU_ASSERT_EQUAL(used, 0);
	tg_h1_body_init(&b, TG_BODY_CHUNKED, 0);
	CU_ASSERT_EQUAL(tg_h1_body_read(&b, TG_VIEW("x"), &used, &data), -1);
	CU_ASSERT_EQUAL(used, 0);
	CU_ASSERT_EQUAL(tg_h1_body_read(&b, TG_VIEW("5\r\n"), &used, &data), -1);
	CU_ASSERT_EQUAL(b.refusal, TG_H1_BAD_CHUNK_SIZE);
	CU_ASSERT_EQUAL(tg_h1_body_read(&b, TG_VIEW_NONE, &used, &data), -1);
}

/* "x-a: bbb..." lines until the section has n bytes without its empty line. */
static uint8_t trailers_of(uint32_t n, uint8_t *out, uint32_t cap)
{
	static char in[20000];
	uint32_t len = (uint32_t)sprintf(in, "0\r\n");
	struct tg_h1_body b;
	struct tg_view data;
	uint32_t used;

	len += (uint32_t)sprintf(in + len, "x-a: ");
	memset(in + len, 'b', n - 7);
	len += n - 7;
	len += (uint32_t)sprintf(in + len, "\r\n\r\n");
	tg_h1_body_init(&b, TG_BODY_CHUNKED, 0);
	b.trailers = out;
	b.trailers_cap = cap;
	tg_h1_body_read(&b, tg_view_of(in, len), &used, &data);
	CU_ASSERT_EQUAL(b.ended, !b.refusal);
	return b.refusal;
}

static void trailer_limits(void)
{
	uint8_t out[TG_H1_TRAILERS_MAX];

	CU_ASSERT_EQUAL(trailers_of(TG_H1_TRAILERS_MAX - 2, out, sizeof(out)), TG_H1_OK);
	CU_ASSERT_EQUAL(
		trailers_of(TG_H1_TRAILERS_MAX - 1, out, sizeof(out)), TG_H1_TRAILERS_TOO_BIG);
	CU_ASSERT_EQUAL(trailers_of(TG_H1_TRAILERS_MAX - 1, NULL, 0), TG_H1_TRAILERS_TOO_BIG);
	CU_ASSERT_EQUAL(trailers_of(100, out, 100), TG_H1_OK);
	CU_ASSERT_EQUAL(trailers_of(101, out, 100), TG_H1_TRAILERS_TOO_BIG);
	CU_ASSERT_EQUAL(trailers_of(101, out, 99), TG_H1_TRAILERS_TOO_BIG);
	CU_ASSERT_EQUAL(trailers_of(10, out, 0), TG_H1_TRAILERS_TOO_BIG);
}

static void chunk_heads_read_back(void)
{
	static const uint64_t sizes[] = {
		1, 9, 10, 15, 16, 255, 256, 4095, 65536, 0xffffffff, 1ull << 32, INT64_MAX};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(sizes); i++) {
		uint8_t out[TG_H1_CHUNK_HEAD_MAX];
		uint32_t n = tg_h1_chunk_head(out, sizes[i]), used;
		struct tg_h1_body b;
		struct tg_view data;
		char want[32];

		sprintf(want, "%llx\r\n", (unsigned long long)sizes[i]);
		CU_ASSERT_EQUAL(n, strlen(want));
		CU_ASSERT_EQUAL(memcmp(out, want, n), 0);
		tg_h1_body_init(&b, TG_BODY_CHUNKED, 0);
		CU_ASSERT_EQUAL(tg_h1_body_read(&b, tg_view_of(out, n), &used, &data), 0);
		CU_ASSERT_EQUAL(used, n);
		CU_ASSERT_EQUAL(b.left, sizes[i]);
	}
	uint8_t out[TG_H1_CHUNK_HEAD_MAX];
	CU_ASSERT_EQUAL(tg_h1_chunk_head(out, UINT64_MAX), TG_H1_CHUNK_HEAD_MAX);
	CU_ASSERT_EQUAL(tg_h1_chunk_head(out, 0), 3);
}

TG_TEST_MAIN("http bodies", {"chunked", chunked}, {"chunked_in_pieces", chunked_in_pieces},
	{"length", length}, {"none_close_tunnel", none_close_tunnel}, {"stays_ended", stays_ended},
	{"trailer_limits", trailer_limits}, {"chunk_heads_read_back", chunk_heads_read_back})
