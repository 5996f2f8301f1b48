/* test_msg.c: looking into, editing and writing heads. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/edit.h>
#include <tidegate/err.h>

#include "../tgtest.h"
#include "cases.h"

#define CAP 16

struct parsed {
	struct tg_field fields[CAP];
	struct tg_msg m;
};

static void request(struct parsed *p, const char *in)
{
	struct tg_h1_limits limits = TG_H1_LIMITS_DEFAULT;
	struct tg_h1_scan s = {0};

	p->m = (struct tg_msg){.fields = p->fields, .field_cap = CAP};
	CU_ASSERT_TRUE_FATAL(tg_h1_parse_request(&s, (const uint8_t *)in, (uint32_t)strlen(in),
				     &limits, &p->m) > 0);
}

static void response(struct parsed *p, enum tg_method to, const char *in)
{
	struct tg_h1_limits limits = TG_H1_LIMITS_DEFAULT;
	struct tg_h1_scan s = {0};

	p->m = (struct tg_msg){.fields = p->fields, .field_cap = CAP};
	CU_ASSERT_TRUE_FATAL(tg_h1_parse_response(&s, (const uint8_t *)in, (uint32_t)strlen(in),
				     &limits, to, &p->m) > 0);
}

static void written(const struct tg_msg *m, const char *want)
{
	uint32_t len = (uint32_t)strlen(want);
	uint8_t *out = malloc(len);
	int32_t n = tg_h1_write_head(m, out, len);

	CU_ASSERT_EQUAL(n, (int32_t)len);
	if (n != (int32_t)len || memcmp(out, want, len)) {
		fprintf(stderr, "wrote %d: %.*s\nwanted: %s\n", n, n > 0 ? n : 0, out, want);
		CU_FAIL("written head");
	}
	/* With any less room: TG_ETOOBIG, and nothing behind the room is touched. */
	for (uint32_t cap = 0; cap < len; cap++) {
		uint8_t *small = malloc(cap ? cap : 1);

		CU_ASSERT_EQUAL(tg_h1_write_head(m, small, cap), TG_ETOOBIG);
		free(small);
	}
	free(out);
}

static void field_ids(void)
{
	for (uint32_t id = 1; id < TG_FIELD_MAX; id++) {
		struct tg_view name = tg_field_name(id);
		uint8_t other[64];

		CU_ASSERT_TRUE(name.n > 0 && name.n < sizeof(other));
		CU_ASSERT_EQUAL(tg_field_id_of(name), id);
		for (uint32_t i = 0; i < name.n; i++)
			other[i] = (uint8_t)toupper(name.p[i]);
		CU_ASSERT_EQUAL(tg_field_id_of(tg_view_of(other, name.n)), id);
		/* One byte changed: another name, if any. Control bytes that equal letters but for
		 * one bit, too. */
		for (uint32_t i = 0; i < name.n; i++) {
			static const uint8_t flips[] = {0x20, 0x40, 0x60, 0x01, 0x80};

			for (uint32_t k = 0; k < sizeof(flips); k++) {
				memcpy(other, name.p, name.n);
				other[i] ^= flips[k];
				CU_ASSERT_EQUAL(tg_field_id_of(tg_view_of(other, name.n)) == id,
					flips[k] == 0x20 && isalpha(name.p[i]));
			}
		}
		CU_ASSERT_NOT_EQUAL(tg_field_id_of(tg_view_of(name.p, name.n - 1)), id);
	}
	CU_ASSERT_EQUAL(tg_field_id_of(TG_VIEW("")), TG_FIELD_UNKNOWN);
	CU_ASSERT_EQUAL(tg_field_id_of(TG_VIEW("accept")), TG_FIELD_UNKNOWN);
	CU_ASSERT_EQUAL(tg_field_name(TG_FIELD_UNKNOWN).n, 0);
	CU_ASSERT_EQUAL(tg_field_name(TG_FIELD_MAX).n, 0);
}

static void methods(void)
{
	struct parsed p;

	for (uint32_t i = 0; i < TG_METHOD_OTHER; i++) {
		char in[100];

		sprintf(in, "%.*s %s HTTP/1.1\r\nHost: a\r\n\r\n", (int)tg_method_name(i).n,
			(const char *)tg_method_name(i).p, i == TG_CONNECT ? "a:1" : "/");
		request(&p, in);
		CU_ASSERT_EQUAL(p.m.method, i);
		CU_ASSERT_TRUE(tg_view_eq(p.m.method_name, tg_method_name(i)));
	}
	request(&p, "Get / HTTP/1.1\r\nHost: a\r\n\r\n");
	CU_ASSERT_EQUAL(p.m.method, TG_METHOD_OTHER);
	CU_ASSERT_EQUAL(tg_method_name(TG_METHOD_OTHER).n, 0);
	CU_ASSERT_EQUAL(tg_method_name(200).n, 0);
}

static void finding_and_editing(void)
{
	struct parsed p;
	struct tg_field *f;

	request(&p, "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-b: 2\r\nx-a: 3\r\n\r\n");
	CU_ASSERT_PTR_EQUAL(tg_msg_find(&p.m, TG_FIELD_HOST), &p.fields[0]);
	CU_ASSERT_PTR_NULL(tg_msg_find(&p.m, TG_FIELD_DATE));
	f = tg_msg_find_name(&p.m, TG_VIEW("X-a"), NULL);
	CU_ASSERT_PTR_EQUAL(f, &p.fields[1]);
	f = tg_msg_find_name(&p.m, TG_VIEW("X-a"), f);
	CU_ASSERT_PTR_EQUAL(f, &p.fields[3]);
	CU_ASSERT_PTR_NULL(tg_msg_find_name(&p.m, TG_VIEW("X-a"), f));
	f->removed = true;
	CU_ASSERT_PTR_NULL(tg_msg_find_name(&p.m, TG_VIEW("X-a"), &p.fields[1]));
	CU_ASSERT_EQUAL(tg_msg_add(&p.m, TG_FIELD_DATE, TG_VIEW("date"), TG_VIEW("now")), 0);
	CU_ASSERT_EQUAL(tg_msg_remove(&p.m, TG_FIELD_HOST), 1);
	CU_ASSERT_EQUAL(tg_msg_remove(&p.m, TG_FIELD_HOST), 0);
	written(&p.m, "GET / HTTP/1.1\r\nX-A: 1\r\nx-b: 2\r\ndate: now\r\n\r\n");
	p.m.field_cap = p.m.n_fields;
	CU_ASSERT_EQUAL(tg_msg_add(&p.m, 0, TG_VIEW("x"), TG_VIEW("y")), TG_ENOMEM);
}

static void hop_by_hop(void)
{
	struct parsed p;

	request(&p, "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-One, te ,,x-none\r\n"
		    "Keep-Alive: timeout=5\r\nx-one: 1\r\nX-One: 2\r\nX-Two: 3\r\nTE: trailers\r\n"
		    "Proxy-Connection: close\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n"
		    "Connection: x-three\r\nX-Three: 4\r\n\r\n");
	CU_ASSERT_TRUE(tg_msg_remove_hop_by_hop(&p.m));
	written(&p.m, "GET / HTTP/1.1\r\nHost: a\r\nX-Two: 3\r\nTrailer: X\r\n\r\n");
	request(&p, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
		    "Upgrade: h2c\r\nHTTP2-Settings: AAM\r\n\r\n");
	CU_ASSERT_TRUE(tg_msg_remove_hop_by_hop(&p.m));
	written(&p.m, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	request(&p, "GET / HTTP/1.1\r\nHost: a\r\nConnection: connection, keep-alive\r\n\r\n");
	CU_ASSERT_TRUE(tg_msg_remove_hop_by_hop(&p.m));
	written(&p.m, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

/* Heads that did not come through the parser are not trusted either. */
static void hop_by_hop_never_takes_framing(void)
{
	static const char *const bad[] = {"Host", "content-length", "Transfer-Encoding", "a b",
		"cookie", "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
		struct parsed p;

		request(&p, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: x\r\n"
			    "X: y\r\n\r\n");
		tg_msg_find(&p.m, TG_FIELD_CONNECTION)->value = tg_view_str(bad[i]);
		CU_ASSERT_FALSE(tg_msg_remove_hop_by_hop(&p.m));
		CU_ASSERT_PTR_NOT_NULL(tg_msg_find(&p.m, TG_FIELD_HOST));
		CU_ASSERT_PTR_NOT_NULL(tg_msg_find(&p.m, TG_FIELD_CONTENT_LENGTH));
	}
}

static void writing_requests(void)
{
	struct parsed p;

	request(&p, "GET http://b.c/d?e HTTP/1.0\r\nhost:a\r\nX:   y  \r\n\r\n");
	written(&p.m, "GET /d?e HTTP/1.1\r\nhost: b.c\r\nX: y\r\n\r\n");
	request(&p, "GET http://b.c?e HTTP/1.0\r\n\r\n");
	written(&p.m, "GET /?e HTTP/1.1\r\nhost: b.c\r\n\r\n");
	request(&p, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
	written(&p.m, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
	request(&p, "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n");
	written(&p.m, "OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n");
	request(&p, "CONNECT b:1 HTTP/1.1\r\nHost: a\r\n\r\n");
	written(&p.m, "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n");
	request(&p, "BREW /? HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n");
	written(&p.m, "BREW /? HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n");
	p.m.path = TG_VIEW("/new");
	p.m.query = TG_VIEW_NONE;
	written(&p.m, "BREW /new HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n");
	/* An expectation of HTTP/1.0 means nothing and would mean something behind us. */
	request(&p,
		"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
	written(&p.m, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
	/* Nor does one without content. */
	request(&p,
		"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
	written(&p.m, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
}

static void writing_responses(void)
{
	struct parsed p;

	response(&p, TG_GET, "HTTP/1.0 404 Not here\r\nContent-Length: 0\r\n\r\n");
	written(&p.m, "HTTP/1.1 404 Not here\r\nContent-Length: 0\r\n\r\n");
	response(&p, TG_GET, "HTTP/1.1 200 \r\nX: \xff\r\n\r\n");
	written(&p.m, "HTTP/1.1 200 \r\nX: \xff\r\n\r\n");
}

static void framing(void)
{
	uint8_t scratch[24];
	struct parsed p;

	request(&p, "POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 0005\r\nX: y\r\n\r\n");
	CU_ASSERT_EQUAL(tg_h1_frame(&p.m, TG_BODY_LENGTH, 5, false, false, scratch), 0);
	written(&p.m, "POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 5\r\nX: y\r\n\r\n");
	CU_ASSERT_EQUAL(tg_h1_frame(&p.m, TG_BODY_CHUNKED, 0, true, false, scratch), 0);
	written(&p.m, "POST / HTTP/1.1\r\nHost: a\r\nX: y\r\ntransfer-encoding: chunked\r\n"
		      "connection: close\r\n\r\n");
	CU_ASSERT_EQUAL(tg_h1_frame(&p.m, TG_BODY_NONE, 0, false, false, scratch), 0);
	written(&p.m, "POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
	CU_ASSERT_EQUAL(tg_h1_frame(&p.m, TG_BODY_LENGTH, UINT64_MAX, false, true, scratch), 0);
	written(&p.m,
		"POST / HTTP/1.1\r\nHost: a\r\nX: y\r\ncontent-length: 18446744073709551615\r\n"
		"connection: upgrade\r\n\r\n");
	response(&p, TG_GET, "HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: y\r\n\r\n");
	CU_ASSERT_EQUAL(tg_h1_frame(&p.m, TG_BODY_UNTIL_CLOSE, 0, false, false, scratch), 0);
	written(&p.m, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	CU_ASSERT_EQUAL(tg_h1_frame(&p.m, TG_BODY_LENGTH, 0, false, false, scratch), 0);
	written(&p.m, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
	p.m.field_cap = p.m.n_fields;
	CU_ASSERT_EQUAL(tg_h1_frame(&p.m, TG_BODY_CHUNKED, 0, false, false, scratch), TG_ENOMEM);
}

/* What we write we would read the same way: every good row of the tables. */
/* The fields one by one, as they are to be written. */
static uint32_t plainly(const struct tg_msg *m, uint8_t *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->n_fields; i++)
		if (!m->fields[i].removed)
			n += (uint32_t)sprintf((char *)out + n, "%.*s: %.*s\r\n",
				(int)m->fields[i].name.n, m->fields[i].name.p,
				(int)m->fields[i].value.n, m->fields[i].value.p);
	return n + (uint32_t)sprintf((char *)out + n, "\r\n");
}

/* Fields are copied in runs where they stand as they are to be written: whichever are removed. */
static void runs_are_fields(struct tg_msg *m)
{
	uint8_t out[4096], plain[4096];

	for (uint32_t set = 0; set < 64; set++) {
		uint32_t n;
		int32_t all;

		for (uint32_t i = 0; i < m->n_fields; i++)
			m->fields[i].removed = set >> i % 6 & 1;
		n = plainly(m, plain);
		all = tg_h1_write_head(m, out, sizeof(out));
		CU_ASSERT_TRUE(all > (int32_t)n);
		CU_ASSERT_EQUAL(memcmp(out + all - n, plain, n), 0);
		CU_ASSERT_EQUAL(memcmp(out + all - n - 2, "\r\n", 2), 0);
	}
}

static void round_trip(void)
{
	struct tg_h1_limits limits = TG_H1_LIMITS_DEFAULT;

	for (uint32_t i = 0; i < n_request_cases + n_response_cases; i++) {
		bool req = i < n_request_cases;
		const struct h1_case *c =
			req ? &request_cases[i] : &response_cases[i - n_request_cases];
		struct tg_field fields[CAP], fields2[CAP];
		struct tg_msg m = {.fields = fields, .field_cap = CAP}, m2 = m;
		struct tg_h1_scan s = {0}, s2 = {0};
		uint8_t out[4096], again[4096];
		int32_t n, rc;

		if (c->verdict != TG_H1_OK)
			continue;
		m2.fields = fields2;
		rc = req ? tg_h1_parse_request(&s, (const uint8_t *)c->in, c->n, &limits, &m)
			 : tg_h1_parse_response(
				   &s, (const uint8_t *)c->in, c->n, &limits, c->to, &m);
		CU_ASSERT_TRUE(rc > 0);
		n = tg_h1_write_head(&m, out, sizeof(out));
		CU_ASSERT_TRUE(n > 0);
		/* Written as HTTP/1.1: what HTTP/1.0 may do and 1.1 may not is the proxy's to add.
		 */
		if (m.version_minor == 0)
			continue;
		rc = req ? tg_h1_parse_request(&s2, out, (uint32_t)n, &limits, &m2)
			 : tg_h1_parse_response(&s2, out, (uint32_t)n, &limits, c->to, &m2);
		CU_ASSERT_EQUAL(rc, n);
		CU_ASSERT_EQUAL(tg_h1_write_head(&m2, again, sizeof(again)), n);
		CU_ASSERT_EQUAL(memcmp(out, again, (size_t)n), 0);
		CU_ASSERT_EQUAL(m.body, m2.body);
		CU_ASSERT_EQUAL(m.content_length, m2.content_length);
		CU_ASSERT_EQUAL(m.keep_alive, m2.keep_alive);
		runs_are_fields(&m);
		runs_are_fields(&m2);
	}
}

/* However many there are, whoever frames the message finds room for eight fields behind them. */
static void edits_leave_room(void)
{
	static const struct tg_piece one = {.kind = TG_PIECE_TEXT, .text = TG_VIEW_OF("1")};
	struct tg_field_add add[80];
	struct tg_arena_source source;
	struct tg_arena arena;

	CU_ASSERT_EQUAL_FATAL(tg_arena_source_init(&source, 8192, 4, 72 * 1024, 2), 0);
	tg_arena_init(&arena, &source, 1 << 18);
	for (uint32_t i = 0; i < 80; i++)
		add[i] = (struct tg_field_add){
			TG_VIEW("x-many"), 0, TG_APPEND_IF_EXISTS_OR_ADD, false, 1, &one};
	for (uint32_t n = 1; n <= 80; n++) {
		struct tg_edits e = {0, n, NULL, add};
		struct tg_field fields[CAP];
		struct tg_msg m = {.fields = fields, .field_cap = CAP};

		CU_ASSERT_TRUE(tg_edit(&e, &m, &arena, NULL, NULL));
		CU_ASSERT_EQUAL(m.n_fields, n);
		for (int i = 0; i < 8; i++)
			CU_ASSERT_EQUAL(tg_msg_add(&m, TG_FIELD_UNKNOWN, TG_VIEW("x-framing"),
						TG_VIEW("1")),
				0);
		tg_arena_reset(&arena);
	}
	tg_arena_source_fini(&source);
}

TG_TEST_MAIN("http messages", {"field_ids", field_ids}, {"methods", methods},
	{"finding_and_editing", finding_and_editing}, {"hop_by_hop", hop_by_hop},
	{"hop_by_hop_never_takes_framing", hop_by_hop_never_takes_framing},
	{"writing_requests", writing_requests}, {"writing_responses", writing_responses},
	{"framing", framing}, {"edits leave room", edits_leave_room}, {"round_trip", round_trip})
