/* test_path.c: path normalisation. */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/err.h>
#include <tidegate/http1.h>

#include "../tgtest.h"

struct row {
	const char *in, *out; /* out NULL: refused */
};

/* clang-format off */
static const struct row rows[] = {
	{"", ""}, {"*", "*"}, {"/", "/"}, {"/a", "/a"}, {"/a/", "/a/"}, {"/a/b/c", "/a/b/c"},
	/* dot segments, RFC 3986 section 5.2.4 */
	{"/.", "/"}, {"/./", "/"}, {"/a/.", "/a/"}, {"/a/./", "/a/"}, {"/a/./b", "/a/b"}, {"/./a", "/a"},
	{"/a/..", "/"}, {"/a/../", "/"}, {"/a/../b", "/b"}, {"/a/b/..", "/a/"}, {"/a/b/../c", "/a/c"},
	{"/a/b/c/./../../g", "/a/g"}, {"/a/b/../../c", "/c"}, {"/mid/content=5/../6", "/mid/6"},
	{"/...", "/..."}, {"/a/...", "/a/..."}, {"/.a", "/.a"}, {"/..a", "/..a"}, {"/a.", "/a."}, {"/a..", "/a.."},
	{"/.a/..b", "/.a/..b"},
	{"/..", NULL}, {"/../", NULL}, {"/../a", NULL}, {"/./..", NULL}, {"/a/../..", NULL}, {"/a/../../b", NULL},
	{"/a/b/../../../c", NULL},
	/* empty segments are segments */
	{"//", "//"}, {"//a", "//a"}, {"/a//b", "/a//b"}, {"/a//", "/a//"}, {"/a//../b", "/a/b"}, {"//..", "/"},
	{"//../a", "/a"}, {"//../..", NULL}, {"/.//a", "//a"},
	/* escapes */
	{"/%41", "/A"}, {"/%7e", "/~"}, {"/%7Euser", "/~user"}, {"/%2d%2E%5f", "/-._"}, {"/%30%39%61%7a%5A", "/09azZ"},
	{"/%e4", "/%E4"}, {"/%c3%a4", "/%C3%A4"}, {"/%20", "/%20"}, {"/%25", "/%25"}, {"/%3f%23", "/%3F%23"},
	{"/%2541", "/%2541"}, {"/%25%34%31", "/%2541"}, {"/%0d%0a", "/%0D%0A"}, {"/%7f", "/%7F"}, {"/%3a%40", "/%3A%40"},
	{"/%2e", "/"}, {"/%2E/", "/"}, {"/a/%2e%2e", "/"}, {"/a/%2E%2e/b", "/b"}, {"/a/.%2e/b", "/b"}, {"/a/%2e./b", "/b"},
	{"/%2e%2e", NULL}, {"/%2e%2e/a", NULL}, {"/.%2e", NULL}, {"/a/%2e%2e/%2e%2e/b", NULL},
	{"/%", NULL}, {"/%4", NULL}, {"/%zz", NULL}, {"/%4g", NULL}, {"/%g4", NULL}, {"/a%", NULL}, {"/%%34%31", NULL},
	{"/% 1", NULL}, {"/%-1", NULL}, {"/%00", NULL}, {"/a%00.html", NULL}, {"/%u0041", NULL},
	/* what a path may not hold */
	{"a", NULL}, {"**", NULL}, {"a/b", NULL}, {"./a", NULL}, {"%2fa", NULL}, {"?a", NULL}, {"/a?b", NULL}, {"/a#b", NULL},
	{"/a b", NULL}, {"/a\\b", NULL}, {"/\\..\\a", NULL}, {"/a\xc3\xa4", NULL}, {"/\x01", NULL}, {"/\x7f", NULL}, {"/\"", NULL},
	/* all the rest passes */
	{"/!$&'()*+,;=:@", "/!$&'()*+,;=:@"}, {"/{a}|[b]^c`", "/{a}|[b]^c`"}, {"/a;b=c/..;/d", "/a;b=c/..;/d"},
};
/* Escaped slashes: kept, or refused. */
static const struct row slashes[] = {
	{"/a%2fb", "/a%2Fb"}, {"/a%2Fb", "/a%2Fb"}, {"/a%5cb", "/a%5Cb"}, {"/%2f", "/%2F"}, {"/..%2fa", "/..%2Fa"},
	{"/a/..%2f..%2fb", "/a/..%2F..%2Fb"}, {"/%2e%2e%2fa", "/..%2Fa"}, {"/a/..%5c", "/a/..%5C"},
};
/* clang-format on */

static int32_t normalise(struct tg_view in, bool keep, uint8_t **out)
{
	*out = malloc(in.n ? in.n : 1); /* not one byte more than is promised to be enough */
	return tg_path_normalise(in, keep, *out);
}

static void check(const char *in, bool keep, const char *want)
{
	uint8_t *out, *again;
	int32_t n = normalise(tg_view_str(in), keep, &out), m;
	bool ok =
		want ? n == (int32_t)strlen(want) && !memcmp(out, want, (size_t)n) : n == TG_EINVAL;

	if (!ok)
		fprintf(stderr, "%s: %d \"%.*s\", wanted %s\n", in, n, n > 0 ? n : 0, out,
			want ? want : "refusal");
	CU_ASSERT_TRUE(ok);
	if (n > 0) {
		m = normalise(tg_view_of(out, (size_t)n), keep, &again);
		CU_ASSERT_EQUAL(m, n);
		CU_ASSERT_EQUAL(memcmp(out, again, (size_t)n), 0);
		free(again);
	}
	free(out);
}

static void paths(void)
{
	for (uint32_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
		check(rows[i].in, true, rows[i].out);
		check(rows[i].in, false, rows[i].out);
	}
}

static void escaped_slashes(void)
{
	for (uint32_t i = 0; i < TG_ARRAY_LEN(slashes); i++) {
		check(slashes[i].in, true, slashes[i].out);
		check(slashes[i].in, false, NULL);
	}
}

static void nul_byte(void)
{
	uint8_t out[8];

	CU_ASSERT_EQUAL(tg_path_normalise(TG_VIEW("/a\0b"), true, out), TG_EINVAL);
}

TG_TEST_MAIN("http paths", {"paths", paths}, {"escaped_slashes", escaped_slashes},
	{"nul_byte", nul_byte})
