/* Predicates and regular expressions; what routes make of them is in test_route.c, where the older
 * kinds are compared with a reference. */
#include <tidegate/match.h>

#include "../tgtest.h"

static uint64_t hits;
static struct tg_match_env env;

static bool field(struct tg_header_match h, const char *a, const char *b)
{
	struct tg_field f[] = {{TG_VIEW("X"), a ? tg_view_str(a) : TG_VIEW_NONE, 0, !a},
		{TG_VIEW("x"), b ? tg_view_str(b) : TG_VIEW_NONE, 0, !b}};
	struct tg_msg m = {.fields = f, .n_fields = 2};

	h.name = TG_VIEW("x");
	return tg_headers_match(&h, 1, &m, &env);
}

static bool parameter(struct tg_header_match h, const char *query)
{
	struct tg_msg m = {.query = query ? tg_view_str(query) : TG_VIEW_NONE};

	h.name = TG_VIEW("x");
	return tg_query_matches(&h, 1, &m, &env);
}

static struct tg_header_match fold(enum tg_header_match_kind kind, const char *value)
{
	return (struct tg_header_match){
		.value = tg_view_str(value), .kind = kind, .ignore_case = true};
}

static void without_case(void)
{
	CU_ASSERT(field(fold(TG_HEADER_EXACT, "abc"), "aBC", NULL));
	CU_ASSERT(!field(fold(TG_HEADER_EXACT, "abc"), "aBCd", NULL));
	CU_ASSERT(field(fold(TG_HEADER_PREFIX, "ab"), "ABc", NULL));
	CU_ASSERT(field(fold(TG_HEADER_SUFFIX, "bc"), "ABc", NULL));
	CU_ASSERT(field(fold(TG_HEADER_CONTAINS, "bc"), "xABcx", NULL));
	CU_ASSERT(!field(fold(TG_HEADER_CONTAINS, "bd"), "xABcx", NULL));
	CU_ASSERT(field(fold(TG_HEADER_EXACT, "abc,d"), "ABC", "D"));
	CU_ASSERT(field(fold(TG_HEADER_CONTAINS, "c,d"), "ABC", "D"));
	CU_ASSERT(field(fold(TG_HEADER_SUFFIX, "c,d"), "ABC", "D"));
	CU_ASSERT(parameter(fold(TG_HEADER_EXACT, "abc"), "x=ABC"));
	CU_ASSERT(parameter(fold(TG_HEADER_CONTAINS, "bc"), "y=1&x=ABCD"));
	CU_ASSERT(!parameter(fold(TG_HEADER_CONTAINS, "bc"), "y=1&x=B"));
}

static void missing(void)
{
	struct tg_header_match h = {.value = TG_VIEW("a"), .kind = TG_HEADER_EXACT, .invert = true};

	CU_ASSERT(!field(h, NULL, NULL));
	h.missing_is_empty = true;
	CU_ASSERT(field(h, NULL, NULL));
	CU_ASSERT(!field(h, "a", NULL));
	h.invert = false;
	CU_ASSERT(!field(h, NULL, NULL));
	h.value = TG_VIEW_NONE;
	CU_ASSERT(field(h, NULL, NULL));
}

static bool between(const char *value, int64_t from, int64_t to)
{
	return field((struct tg_header_match){.kind = TG_HEADER_RANGE, .from = from, .to = to},
		value, NULL);
}

static void ranges(void)
{
	CU_ASSERT(between("-10", -10, 0));
	CU_ASSERT(between("-1", -10, 0));
	CU_ASSERT(!between("0", -10, 0));
	CU_ASSERT(!between("-11", -10, 0));
	CU_ASSERT(between("+5", 5, 6));
	CU_ASSERT(between("005", 5, 6));
	CU_ASSERT(!between("5a", 5, 6));
	CU_ASSERT(!between("5.0", 5, 6));
	CU_ASSERT(!between("", -1, 1));
	CU_ASSERT(!between("-", -1, 1));
	CU_ASSERT(between("-9223372036854775808", INT64_MIN, 0));
	CU_ASSERT(between("9223372036854775806", 0, INT64_MAX));
	CU_ASSERT(!between("9223372036854775808", INT64_MIN, INT64_MAX));
	CU_ASSERT(!between("99999999999999999999999", INT64_MIN, INT64_MAX));
	CU_ASSERT(!field(
		(struct tg_header_match){.kind = TG_HEADER_RANGE, .from = 0, .to = 9}, "1", "2"));
}

static bool matches(const char *pattern, const char *a, const char *b)
{
	struct tg_regex *re = tg_regex_compile(pattern, TG_REGEX_FULL, NULL);
	struct tg_header_match h = {.kind = TG_HEADER_REGEX, .regex = re};
	bool yes;

	CU_ASSERT_PTR_NOT_NULL_FATAL(re);
	yes = field(h, a, b);
	tg_regex_free(re);
	return yes;
}

static void expressions(void)
{
	CU_ASSERT(matches("v[0-9]+", "v12", NULL));
	CU_ASSERT(!matches("v[0-9]+", "v12x", NULL));
	CU_ASSERT(!matches("v[0-9]+", "xv12", NULL));
	CU_ASSERT(!matches("v[0-9]+", "v12\n", NULL));
	CU_ASSERT(matches("a|ab|abc", "abc", NULL));
	CU_ASSERT(matches("", "", NULL));
	CU_ASSERT(matches("(?i)abc", "ABC", NULL));
	CU_ASSERT(matches("a,b", "a", "b"));
	CU_ASSERT(!matches("a", "a", "b"));
	CU_ASSERT(!matches("a*", NULL, NULL));
}

static void parameters(void)
{
	struct tg_header_match two = {.value = TG_VIEW("2"), .kind = TG_HEADER_EXACT};
	struct tg_header_match there = {.kind = TG_HEADER_PRESENT};
	struct tg_header_match absent = {.kind = TG_HEADER_PRESENT, .invert = true};

	CU_ASSERT(parameter(two, "x=2"));
	CU_ASSERT(parameter(two, "a&b=1&x=2&c"));
	CU_ASSERT(!parameter(two, "x=1&x=2"));
	CU_ASSERT(!parameter(two, "X=2"));
	CU_ASSERT(!parameter(two, "xx=2"));
	CU_ASSERT(!parameter(two, "x=%32"));
	CU_ASSERT(!parameter(two, NULL));
	CU_ASSERT(parameter(there, "x"));
	CU_ASSERT(parameter(there, "x="));
	CU_ASSERT(parameter(there, "&&x&"));
	CU_ASSERT(!parameter(there, "&&=x&"));
	CU_ASSERT(!parameter(there, ""));
	CU_ASSERT(parameter(absent, "y=x"));
	CU_ASSERT(!parameter(absent, "x=y"));
}

/* However it is asked, an expression takes its steps and no more. */
static void limits(void)
{
	static const char *const evil[] = {
		"(a+)+[bc]", "(a|aa)+[bc]", "(.*)(.*)(.*)(.*)(.*)(.*)[bc]", "([^b]*a)*[bc]"};
	char text[1025];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (size_t i = 0; i < TG_ARRAY_LEN(evil); i++) {
		hits = 0;
		CU_ASSERT(!matches(evil[i], text, NULL));
		CU_ASSERT_EQUAL(hits, 1);
	}
	hits = 0;
	CU_ASSERT(matches("([a-z]+/?)+", text, NULL));
	CU_ASSERT_EQUAL(hits, 0);
}

static bool compiles(const char *pattern, const char *why)
{
	struct tg_errbuf e = {""};
	struct tg_regex *re = tg_regex_compile(pattern, TG_REGEX_FULL, &e);
	bool ok = re != NULL;

	CU_ASSERT(ok || strstr(e.text, why) != NULL);
	tg_regex_free(re);
	return ok;
}

static void refused(void)
{
	char text[TG_REGEX_PATTERN_MAX + 2];

	CU_ASSERT(!compiles("a(b", "missing closing parenthesis, at byte 3"));
	CU_ASSERT(!compiles("a**+(", "at byte"));
	CU_ASSERT(!compiles("(*NO_JIT)a", "machine code"));
	CU_ASSERT(!compiles("(*UTF)a", "at byte"));
	CU_ASSERT(!compiles("a\\Cb", "at byte"));
	CU_ASSERT(!compiles("/a(*ACCEPT)b", "(*ACCEPT)"));
	CU_ASSERT(!compiles("/a(*ACCEPT:x)", "(*ACCEPT)"));
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = 0;
	CU_ASSERT(!compiles(text, "longer than 1024"));
	text[sizeof(text) - 2] = 0;
	CU_ASSERT(compiles(text, ""));
}

static bool literal(const char *pattern, const char *want)
{
	struct tg_regex *re = tg_regex_compile(pattern, TG_REGEX_FULL, NULL);
	bool yes;

	CU_ASSERT_PTR_NOT_NULL_FATAL(re);
	yes = tg_view_eq(tg_regex_literal(re), tg_view_str(want));
	tg_regex_free(re);
	return yes;
}

static void literals(void)
{
	CU_ASSERT(literal("/api/v[0-9]+/x", "/api/v"));
	CU_ASSERT(literal("^/api/.*$", "/api/"));
	CU_ASSERT(literal("/a\\.b\\-c", "/a.b-c"));
	CU_ASSERT(literal("/ab?", "/a"));
	CU_ASSERT(literal("/ab*", "/a"));
	CU_ASSERT(literal("/ab{0,2}", "/a"));
	CU_ASSERT(literal("/ab+", "/ab"));
	CU_ASSERT(literal("/a\\d", "/a"));
	CU_ASSERT(literal("/a|/b", ""));
	CU_ASSERT(literal("/a(b|c)", "/a"));
	CU_ASSERT(literal("/a[|]", "/a"));
	CU_ASSERT(literal("/a[]|]", "/a"));
	CU_ASSERT(literal("/a[^]|]", "/a"));
	CU_ASSERT(literal("/a[b]|c", ""));
	CU_ASSERT(literal("/a\\|b", "/a|b"));
	CU_ASSERT(literal("/a\\Q|b\\E", ""));
	CU_ASSERT(literal("(?i)/a", ""));
	/* Brackets that are none, and quantifiers of what stands before nothing. */
	CU_ASSERT(literal("/a[[:alpha:](]|c", ""));
	CU_ASSERT(literal("/a[[:alpha:](]", "/a"));
	CU_ASSERT(literal("/a[\\Q]\\E(]|c", ""));
	CU_ASSERT(literal("/a\\c(|c", ""));
	CU_ASSERT(literal("/a(?#()|c", ""));
	CU_ASSERT(literal("/a(?C'(')|c", ""));
	CU_ASSERT(literal("/a(*MARK:()|c", ""));
	CU_ASSERT(literal("/a\\E*", ""));
	CU_ASSERT(literal("/a(?#x)*", ""));
	CU_ASSERT(literal("", ""));
}

/* What stands behind the literal is compiled alone only where that means the same. */
static void rests(void)
{
	static const struct {
		const char *pattern, *rest;
	} cases[] = {{"/api/v[0-9]+/.*", "[0-9]+/.*"}, {"^/a(b|c)$", "(b|c)$"},
		{"/a\\.b\\d", "\\d"}, {"/a$", "$"}, {"/a", ""}, {"/a.(?:b)", ".(?:b)"},
		{"/ab?c", "/ab?c"}, {"/ab+c", "/ab+c"}, {"/a{2}", "/a{2}"}, {"/a|b", "/a|b"},
		{"/a.|b", "/a.|b"}, {"/a\\E+", "/a\\E+"}, {"/a(?#x)+", "/a(?#x)+"},
		{"/a(*UTF)", "/a(*UTF)"}, {"/a.(*F)", "/a.(*F)"}, {"/a(.(?R)?)", "/a(.(?R)?)"},
		{"/a.\\Gb", "/a.\\Gb"}, {"/a(.)\\1", "/a(.)\\1"}, {"/a.\\Kb", "/a.\\Kb"},
		{"/a.\\", "/a.\\"}, {".*", ".*"}, {"(?i)/a", "(?i)/a"}, {"", ""}};

	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		const char *rest = tg_regex_rest(cases[i].pattern);

		CU_ASSERT_STRING_EQUAL(rest, cases[i].rest);
		CU_ASSERT_PTR_EQUAL(
			rest + strlen(rest), cases[i].pattern + strlen(cases[i].pattern));
	}
}

/* Errors in a rest are told as they are of the whole. */
static void rests_that_are_wrong(void)
{
	CU_ASSERT(!compiles("/abc[0-9", "missing terminating ] for character class, at byte 8"));
	CU_ASSERT(!compiles("/abc(x", "missing closing parenthesis, at byte 6"));
	CU_ASSERT(!compiles("/abc.***", "quantifier does not follow a repeatable item, at byte 6"));
}

static bool takes(const struct tg_regex *r, const char *text)
{
	return tg_regex_matches(r, tg_view_str(text), env.regex);
}

static void shared_rests(void)
{
	struct tg_regex *a = tg_regex_compile("/a/v[0-9]+", TG_REGEX_FULL, NULL);
	struct tg_regex *b = tg_regex_compile_like(a, "^/bb/v[0-9]+", NULL);
	struct tg_regex *c = tg_regex_compile_like(b, "[0-9]+", NULL);

	CU_ASSERT_FATAL(a && b && c);
	CU_ASSERT(takes(a, "/a/v12") && !takes(a, "/bb/v12") && !takes(a, "12"));
	CU_ASSERT(takes(b, "/bb/v12") && !takes(b, "/a/v12") && !takes(b, "/bb/v"));
	CU_ASSERT(takes(c, "12") && !takes(c, "/a/v12") && !takes(c, ""));
	CU_ASSERT_STRING_EQUAL(tg_regex_pattern(b), "^/bb/v[0-9]+");
	CU_ASSERT(tg_view_eq(tg_regex_literal(b), TG_VIEW("/bb/v")));
	tg_regex_free(a);
	CU_ASSERT(takes(b, "/bb/v12") && !takes(b, "/bb"));
	tg_regex_free(b);
	CU_ASSERT(takes(c, "12"));
	tg_regex_free(c);
}

/* Random expressions, and the same behind (?:), which nothing is taken from. */
static void rests_mean_the_same(void)
{
	static const char *const parts[] = {"a", "b", "/", "a?", "b*", "/+", "(a|b)", "(?:/a)*",
		"[ab]", "[^a]*", ".", ".*", "\\b", "\\B", "$", "^", "\\w", "\\/", "(b)?", "a{2}",
		"|a", "(a)\\1", "(?=b)", "(?<=a)", "[a/]+?"};
	uint32_t compiled = 0, taken = 0, wrong = 0;
	struct tg_rng rng;

	tg_rng_seed(&rng, 5);
	for (int i = 0; i < 3000; i++) {
		char pattern[96] = "(?:)", text[12];
		struct tg_regex *split, *whole;

		if (tg_rng_below(&rng, 4))
			strcat(pattern, tg_rng_below(&rng, 2) ? "/a" : "^b\\/");
		for (uint32_t n = tg_rng_below(&rng, 5); n; n--)
			strcat(pattern, parts[tg_rng_below(&rng, TG_ARRAY_LEN(parts))]);
		split = tg_regex_compile(pattern + 4, TG_REGEX_FULL, NULL);
		whole = tg_regex_compile(pattern, TG_REGEX_FULL, NULL);
		if (split && whole) {
			compiled += tg_regex_rest(pattern + 4) != pattern + 4;
			for (int k = 0; k < 40; k++) {
				uint32_t n = tg_rng_below(&rng, sizeof(text));

				for (uint32_t c = 0; c < n; c++)
					text[c] = "ab/"[tg_rng_below(&rng, 3)];
				text[n] = 0;
				taken += takes(whole, text);
				wrong += takes(split, text) != takes(whole, text);
			}
		}
		tg_regex_free(split);
		tg_regex_free(whole);
	}
	CU_ASSERT(compiled > 300);
	CU_ASSERT(taken > 1000);
	CU_ASSERT_EQUAL(wrong, 0);
}

static void replaced(const char *pattern, const char *sub, const char *text, const char *want)
{
	struct tg_regex *re = tg_regex_compile(pattern, TG_REGEX_SEARCH, NULL);
	uint8_t out[64];
	int32_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(re);
	CU_ASSERT_EQUAL(tg_regex_check_substitution(re, sub, NULL), 0);
	n = tg_regex_replace(re, tg_view_str(text), tg_view_str(sub), env.regex, out, sizeof(out));
	CU_ASSERT_FATAL(n >= 0);
	if (!tg_view_eq(tg_view_of(out, (size_t)n), tg_view_str(want)))
		printf("%s on %s: %.*s, not %s\n", pattern, text, n, out, want);
	CU_ASSERT(tg_view_eq(tg_view_of(out, (size_t)n), tg_view_str(want)));
	tg_regex_free(re);
}

/* As RE2's GlobalReplace. */
static void replacement(void)
{
	struct tg_regex *re = tg_regex_compile("(a)", TG_REGEX_SEARCH, NULL);
	struct tg_errbuf e;
	uint8_t out[4];

	replaced("^/service/([^/]+)(/.*)$", "\\2/instance/\\1", "/service/foo/v1/api",
		"/v1/api/instance/foo");
	replaced("one", "two", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz");
	replaced("^(.*?)one(.*)$", "\\1two\\2", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/one/zzz");
	replaced("(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb", "/aaa/yyy/bbb");
	replaced("b", "\\0\\0\\\\", "abc", "abb\\c");
	replaced("x", "y", "abc", "abc");
	replaced("b*", "-", "abc", "-a-c-");
	replaced("", "-", "ab", "-a-b-");
	replaced("(x)?b", "<\\1>", "abc", "a<>c");
	replaced("^a", "", "aaa", "aa");
	CU_ASSERT_EQUAL(tg_regex_check_substitution(re, "\\2", &e), TG_EINVAL);
	CU_ASSERT_EQUAL(tg_regex_check_substitution(re, "\\x", &e), TG_EINVAL);
	CU_ASSERT_EQUAL(tg_regex_check_substitution(re, "x\\", &e), TG_EINVAL);
	CU_ASSERT_EQUAL(
		tg_regex_replace(re, TG_VIEW("aaa"), TG_VIEW("bb"), env.regex, out, sizeof(out)),
		TG_ETOOBIG);
	tg_regex_free(re);
}

static void run(void (*test)(void))
{
	env.regex = tg_regex_scratch_create(&hits);
	CU_ASSERT_PTR_NOT_NULL_FATAL(env.regex);
	test();
	tg_regex_scratch_destroy(env.regex);
}

#define RUN(name) \
	static void run_##name(void) \
	{ \
		run(name); \
	}
RUN(expressions)
RUN(limits)
RUN(replacement)
RUN(shared_rests)
RUN(rests_mean_the_same)

TG_TEST_MAIN("match", {"without case", without_case}, {"missing", missing}, {"ranges", ranges},
	{"expressions", run_expressions}, {"query parameters", parameters},
	{"limits of expressions", run_limits}, {"refused expressions", refused},
	{"what an expression begins with", literals}, {"replacement", run_replacement},
	{"rests", rests}, {"wrong rests", rests_that_are_wrong}, {"shared rests", run_shared_rests},
	{"rests mean the same", run_rests_mean_the_same})
