/* test_heads.c: every row of the tables, whole and in every way to cut it, with every scanner. */
#include <stdio.h>
#include <stdlib.h>

#include "../tgtest.h"
#include "cases.h"

#define MAX_FIELDS 64

struct verdict {
	int32_t rc;
	uint8_t refusal;
	char facts[12000];
};

static const char *const scanners[] = {"scalar", "avx2", "neon"};

/* Parses from memory that ends where the bytes end, so that a sanitizer sees a byte read too many.
 */
static int32_t feed(
	const struct h1_case *c, bool request, struct tg_h1_scan *s, uint32_t n, struct verdict *v)
{
	struct tg_h1_limits limits = TG_H1_LIMITS_DEFAULT;
	struct tg_field fields[MAX_FIELDS];
	struct tg_msg m = {.fields = fields, .field_cap = MAX_FIELDS};
	uint8_t *buf = malloc(n ? n : 1);

	memcpy(buf, c->in, n);
	v->rc = request ? tg_h1_parse_request(s, buf, n, &limits, &m)
			: tg_h1_parse_response(s, buf, n, &limits, c->to, &m);
	v->refusal = s->refusal;
	v->facts[0] = '\0';
	if (v->rc > 0)
		h1_facts(&m, v->facts, sizeof(v->facts));
	free(buf);
	return v->rc;
}

static bool same(const struct verdict *a, const struct verdict *b)
{
	return a->rc == b->rc && a->refusal == b->refusal && !strcmp(a->facts, b->facts);
}

static void complain(const struct h1_case *c, const char *what, const struct verdict *v)
{
	fprintf(stderr, "%s: %s: %d %s \"%s\", wanted %s \"%s\"\n", c->name, what, v->rc,
		tg_h1_refusal_name(v->refusal), v->facts,
		c->verdict == INCOMPLETE ? "more" : tg_h1_refusal_name(c->verdict),
		c->facts ? c->facts : "");
}

static bool whole(const struct h1_case *c, bool request, struct verdict *v)
{
	struct tg_h1_scan s = {0};

	feed(c, request, &s, c->n, v);
	if (c->verdict == INCOMPLETE)
		return v->rc == 0 && !v->refusal;
	if (c->verdict != TG_H1_OK)
		return v->rc == -1 && v->refusal == c->verdict;
	return v->rc > 0 && !v->refusal && (!c->facts || !strcmp(v->facts, c->facts));
}

/* One byte more each time. The verdict comes at some length and, for each shorter prefix, not. */
static bool trickled(const struct h1_case *c, bool request, const struct verdict *want)
{
	struct tg_h1_scan s = {0};
	struct verdict v = {0};
	uint32_t n = 0;

	do
		feed(c, request, &s, n, &v);
	while (v.rc == 0 && n++ < c->n);
	if (!same(&v, want))
		return false;
	/* A prefix parsed at once says the same as when it came byte by byte. */
	for (uint32_t i = 0; i <= c->n; i++) {
		struct tg_h1_scan once = {0};
		struct verdict w;

		feed(c, request, &once, i, &w);
		if (i < n ? w.rc != 0 : !same(&w, want))
			return false;
	}
	return true;
}

static bool in_two(const struct h1_case *c, bool request, const struct verdict *want)
{
	for (uint32_t cut = 0; cut <= c->n; cut++) {
		struct tg_h1_scan s = {0};
		struct verdict v;

		if (feed(c, request, &s, cut, &v) == 0)
			feed(c, request, &s, c->n, &v);
		if (!same(&v, want))
			return false;
	}
	return true;
}

static void run_table(const struct h1_case *cases, uint32_t n, bool request)
{
	for (uint32_t k = 0; k < TG_ARRAY_LEN(scanners); k++) {
		if (tg_h1_init(scanners[k]) < 0)
			continue;
		for (uint32_t i = 0; i < n; i++) {
			const struct h1_case *c = &cases[i];
			struct verdict v;
			bool ok;

			ok = whole(c, request, &v);
			if (!ok)
				complain(c, scanners[k], &v);
			CU_ASSERT_TRUE(ok);
			ok = trickled(c, request, &v) && in_two(c, request, &v);
			if (!ok)
				complain(c, "in pieces it is not as whole", &v);
			CU_ASSERT_TRUE(ok);
		}
	}
	tg_h1_init("auto");
}

static void requests(void)
{
	run_table(request_cases, n_request_cases, true);
}

static void responses(void)
{
	run_table(response_cases, n_response_cases, false);
}

/* Rows are found by name in the comparison with llhttp. */
static void names_unique(void)
{
	const struct h1_case *tables[] = {request_cases, response_cases, chunked_cases};
	const uint32_t lengths[] = {n_request_cases, n_response_cases, n_chunked_cases};

	for (uint32_t t = 0; t < 3; t++)
		for (uint32_t i = 0; i < lengths[t]; i++)
			for (uint32_t j = 0; j < i; j++)
				CU_ASSERT_STRING_NOT_EQUAL(tables[t][i].name, tables[t][j].name);
}

/* Builds start line + n fields of `each` bytes and parses them under the limits, in pieces of
 * `step`. */
static uint8_t with_limits(uint32_t target, uint32_t n, uint32_t each, uint32_t step,
	const struct tg_h1_limits *limits, int32_t *rc)
{
	static char buf[200000];
	struct tg_field fields[300];
	struct tg_msg m = {.fields = fields, .field_cap = 300};
	struct tg_h1_scan s = {0};
	uint32_t len = (uint32_t)sprintf(buf, "GET /");

	memset(buf + len, 'a', target - 1);
	len += target - 1;
	len += (uint32_t)sprintf(buf + len, " HTTP/1.1\r\nHost: a\r\n");
	for (uint32_t i = 1; i < n; i++) {
		len += (uint32_t)sprintf(buf + len, "X: ");
		memset(buf + len, 'b', each - 5);
		len += each - 5;
		len += (uint32_t)sprintf(buf + len, "\r\n");
	}
	len += (uint32_t)sprintf(buf + len, "\r\n");
	*rc = 0;
	for (uint32_t k = step; *rc == 0; k += step) {
		*rc = tg_h1_parse_request(&s, (uint8_t *)buf, k < len ? k : len, limits, &m);
		if (k >= len)
			break;
	}
	if (*rc > 0)
		CU_ASSERT_EQUAL(*rc, (int32_t)len);
	return s.refusal;
}

static void limits_hold(void)
{
	static const uint32_t steps[] = {1, 7, 64, 1000, 200000};
	int32_t rc;

	for (uint32_t i = 0; i < TG_ARRAY_LEN(steps); i++) {
		struct tg_h1_limits l = TG_H1_LIMITS_DEFAULT;
		uint32_t st = steps[i];

		CU_ASSERT_EQUAL(with_limits(8192, 1, 0, st, &l, &rc), TG_H1_OK);
		CU_ASSERT_EQUAL(with_limits(8193, 1, 0, st, &l, &rc), TG_H1_TARGET_TOO_LONG);
		CU_ASSERT_EQUAL(with_limits(70000, 1, 0, st, &l, &rc), TG_H1_TARGET_TOO_LONG);
		CU_ASSERT_EQUAL(with_limits(1, 100, 10, st, &l, &rc), TG_H1_OK);
		CU_ASSERT_EQUAL(with_limits(1, 101, 10, st, &l, &rc), TG_H1_TOO_MANY_FIELDS);
		CU_ASSERT_EQUAL(with_limits(1, 100, 650, st, &l, &rc), TG_H1_HEAD_TOO_BIG);
		CU_ASSERT_EQUAL(with_limits(1, 2, 70000, st, &l, &rc), TG_H1_HEAD_TOO_BIG);
		/* 25 + 1 * 100 + 2 bytes, to the byte */
		l.max_head = 127;
		CU_ASSERT_EQUAL(with_limits(1, 2, 100, st, &l, &rc), TG_H1_OK);
		CU_ASSERT_EQUAL(rc, 127);
		l.max_head = 126;
		CU_ASSERT_EQUAL(with_limits(1, 2, 100, st, &l, &rc), TG_H1_HEAD_TOO_BIG);
	}
}

/* The caller's array is the limit, too; an absolute target without Host in 1.0 needs one slot. */
static void field_array_is_a_limit(void)
{
	static const char two[] = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
	static const char add[] = "GET http://b/ HTTP/1.0\r\nX: y\r\n\r\n";
	struct tg_h1_limits limits = TG_H1_LIMITS_DEFAULT;
	struct tg_field fields[2];
	struct tg_msg m = {.fields = fields, .field_cap = 1};
	struct tg_h1_scan s = {0};

	CU_ASSERT_EQUAL(
		tg_h1_parse_request(&s, (const uint8_t *)two, sizeof(two) - 1, &limits, &m), -1);
	CU_ASSERT_EQUAL(s.refusal, TG_H1_TOO_MANY_FIELDS);
	CU_ASSERT_EQUAL(
		tg_h1_parse_request(&s, (const uint8_t *)two, sizeof(two) - 1, &limits, &m), -1);
	s = (struct tg_h1_scan){0};
	CU_ASSERT_EQUAL(
		tg_h1_parse_request(&s, (const uint8_t *)add, sizeof(add) - 1, &limits, &m), -1);
	CU_ASSERT_EQUAL(s.refusal, TG_H1_TOO_MANY_FIELDS);
	m.field_cap = 2;
	s = (struct tg_h1_scan){0};
	CU_ASSERT_EQUAL(tg_h1_parse_request(&s, (const uint8_t *)add, sizeof(add) - 1, &limits, &m),
		(int32_t)sizeof(add) - 1);
	CU_ASSERT_TRUE(tg_view_eq(tg_msg_find(&m, TG_FIELD_HOST)->value, TG_VIEW("b")));
}

/* The buffer may move between calls: only the last one counts. */
static void views_are_of_the_last_buffer(void)
{
	static const char in[] = "GET /p?q HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
	const uint32_t n = sizeof(in) - 1;
	struct tg_h1_limits limits = TG_H1_LIMITS_DEFAULT;
	struct tg_field fields[4];
	struct tg_msg m = {.fields = fields, .field_cap = 4};
	struct tg_h1_scan s = {0};
	uint8_t first[sizeof(in)], last[sizeof(in)];

	memcpy(first, in, n);
	memcpy(last, in, n);
	CU_ASSERT_EQUAL(tg_h1_parse_request(&s, first, n - 3, &limits, &m), 0);
	memset(first, 0, sizeof(first));
	CU_ASSERT_EQUAL(tg_h1_parse_request(&s, last, n, &limits, &m), (int32_t)n);
	for (uint32_t i = 0; i < m.n_fields; i++) {
		CU_ASSERT_TRUE(m.fields[i].name.p >= last && m.fields[i].name.p < last + n);
		CU_ASSERT_TRUE(m.fields[i].value.p >= last && m.fields[i].value.p < last + n);
	}
	CU_ASSERT_TRUE(m.path.p >= last && m.path.p < last + n);
	CU_ASSERT_TRUE(m.query.p >= last && m.query.p < last + n);
}

static void statuses(void)
{
	CU_ASSERT_EQUAL(tg_h1_status(TG_H1_TARGET_TOO_LONG), 414);
	CU_ASSERT_EQUAL(tg_h1_status(TG_H1_HEAD_TOO_BIG), 431);
	CU_ASSERT_EQUAL(tg_h1_status(TG_H1_UNKNOWN_CODING), 501);
	CU_ASSERT_EQUAL(tg_h1_status(TG_H1_VERSION_NOT_SUPPORTED), 505);
	CU_ASSERT_EQUAL(tg_h1_status(TG_H1_BAD_EXPECT), 417);
	CU_ASSERT_EQUAL(tg_h1_status((enum tg_h1_refusal)200), 400);
	CU_ASSERT_STRING_EQUAL(tg_h1_refusal_name(TG_H1_OBS_FOLD), "obs_fold");
	for (uint32_t i = 1; i < TG_H1_REFUSAL_MAX; i++)
		CU_ASSERT_TRUE(tg_h1_status(i) >= 400 && tg_h1_refusal_name(i)[0]);
}

TG_TEST_MAIN("http heads", {"requests", requests}, {"responses", responses},
	{"names_unique", names_unique}, {"limits_hold", limits_hold},
	{"field_array_is_a_limit", field_array_is_a_limit},
	{"views_are_of_the_last_buffer", views_are_of_the_last_buffer}, {"statuses", statuses})
