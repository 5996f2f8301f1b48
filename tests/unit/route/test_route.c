#include <stdlib.h>
#include <time.h>

#include "../tgtest.h"
#include "reference.h"
#include "tests.h"

static uint64_t limit_hits;
static struct tg_match_env env;

static struct tg_view copy_view(struct test_memory *mem, const char *s)
{
	size_t n = strlen(s);

	return tg_view_of(memcpy(test_alloc(mem, n), s, n), n);
}

static struct tg_route path_route(const char *s)
{
	return (struct tg_route){.kind = TG_MATCH_PATH, .match = tg_view_str(s)};
}

static struct tg_route prefix_route(const char *s)
{
	return (struct tg_route){.kind = TG_MATCH_PREFIX, .match = tg_view_str(s)};
}

/* As a worker does it, fields known only at the end. */
static const struct tg_route *find_in_steps(const struct tg_vhost *v, const struct tg_msg *m)
{
	struct tg_route_probe q;

	memset(&q, 0xa5, sizeof(q));
	tg_route_prepare(&q, v, m->path);
	tg_route_look(&q, v, m->path);
	return tg_route_find_prepared(&q, v, m, &env);
}

static int find(const struct tg_vhost *v, const char *path)
{
	struct tg_msg m = {.path = tg_view_str(path)};
	const struct tg_route *r = tg_route_find(v, &m, NULL);

	CU_ASSERT_PTR_EQUAL(r, reference_find(v, &m));
	CU_ASSERT_PTR_EQUAL(find_in_steps(v, &m), r);
	return r ? (int)(r - v->routes) : -1;
}

static void first_in_order(void)
{
	struct tg_route r[] = {path_route("/a"), prefix_route("/api/v1/us"), prefix_route("/api"),
		path_route("/api/v1/users"), prefix_route("/a/"), path_route("/a/"),
		path_route("/b//c/"), prefix_route("/averyverylongsegmentindeed/x"),
		path_route("*"), prefix_route("/zz"), path_route("/zzz"), prefix_route("/")};
	struct tg_vhost v = {.n_routes = TG_ARRAY_LEN(r), .routes = r};
	struct test_memory mem = {0};

	CU_ASSERT_EQUAL_FATAL(tg_vhost_compile(&v, test_alloc, &mem), 0);
	CU_ASSERT_EQUAL(find(&v, "/a"), 0);
	CU_ASSERT_EQUAL(find(&v, "/api/v1/users"), 1);
	CU_ASSERT_EQUAL(find(&v, "/api/v1/u"), 2);
	CU_ASSERT_EQUAL(find(&v, "/apix"), 2);
	CU_ASSERT_EQUAL(find(&v, "/a/"), 4);
	CU_ASSERT_EQUAL(find(&v, "/a/b"), 4);
	CU_ASSERT_EQUAL(find(&v, "/b//c/"), 6);
	CU_ASSERT_EQUAL(find(&v, "/b//c"), 11);
	CU_ASSERT_EQUAL(find(&v, "/averyverylongsegmentindeed/xy"), 7);
	CU_ASSERT_EQUAL(find(&v, "/averyverylongsegmentindeee/x"), 11);
	CU_ASSERT_EQUAL(find(&v, "*"), 8);
	CU_ASSERT_EQUAL(find(&v, "**"), -1);
	CU_ASSERT_EQUAL(find(&v, "/zzz"), 9);
	CU_ASSERT_EQUAL(find(&v, "/z"), 11);
	CU_ASSERT_EQUAL(find(&v, "/"), 11);
	CU_ASSERT_EQUAL(find(&v, ""), -1);
	CU_ASSERT_EQUAL(find(&v, "x"), -1);
	test_memory_free(&mem);
}

static void no_routes(void)
{
	struct tg_vhost v = {.n_routes = 0};
	struct test_memory mem = {0};

	CU_ASSERT_EQUAL(find(&v, "/"), -1);
	CU_ASSERT_EQUAL_FATAL(tg_vhost_compile(&v, test_alloc, &mem), 0);
	CU_ASSERT_EQUAL(find(&v, "/"), -1);
	CU_ASSERT_EQUAL(find(&v, "/a/b"), -1);
	test_memory_free(&mem);
}

static void no_memory(void)
{
	struct tg_route r[] = {prefix_route("/")};
	struct tg_vhost v = {.n_routes = 1, .routes = r};
	struct test_memory mem = {0};

	for (uint32_t left = 0;; left++) {
		int rc;

		mem.n = TG_ARRAY_LEN(mem.block) - left;
		memset(mem.block, 0, sizeof(mem.block));
		rc = tg_vhost_compile(&v, test_alloc, &mem);
		test_memory_free(&mem);
		if (rc == 0)
			break;
		CU_ASSERT_EQUAL(rc, TG_ENOMEM);
		CU_ASSERT_PTR_NULL(v.trie);
	}
}

static bool matches(struct tg_header_match h, struct tg_field *fields, uint16_t n)
{
	struct tg_msg m = {.fields = fields,
		.n_fields = n,
		.method_name = TG_VIEW("GET"),
		.authority = TG_VIEW("shop.example:80")};
	bool yes = tg_headers_match(&h, 1, &m, NULL);

	if (h.name.p[0] != ':')
		CU_ASSERT_EQUAL(yes, reference_header(&h, &m));
	return yes;
}

#define H(name, value, kind, invert) \
	((struct tg_header_match){TG_VIEW(name), TG_VIEW(value), TG_HEADER_##kind, invert})

static void predicates(void)
{
	struct tg_field f[] = {
		{TG_VIEW("X-Group"), TG_VIEW("beta"), 0, false},
		{TG_VIEW("Empty"), TG_VIEW_NONE, 0, false},
		{TG_VIEW("Accept"), TG_VIEW("text/html"), 0, false},
		{TG_VIEW("gone"), TG_VIEW("x"), 0, true},
		{TG_VIEW("accept"), TG_VIEW("text/plain"), 0, false},
	};

	CU_ASSERT(matches(H("x-group", "beta", EXACT, false), f, 5));
	CU_ASSERT(!matches(H("x-group", "bet", EXACT, false), f, 5));
	CU_ASSERT(!matches(H("x-group", "betas", EXACT, false), f, 5));
	CU_ASSERT(!matches(H("x-group", "Beta", EXACT, false), f, 5));
	CU_ASSERT(!matches(H("x-group", "beta", EXACT, true), f, 5));
	CU_ASSERT(matches(H("x-group", "bet", PREFIX, false), f, 5));
	CU_ASSERT(matches(H("x-group", "eta", SUFFIX, false), f, 5));
	CU_ASSERT(matches(H("x-group", "beta", SUFFIX, false), f, 5));
	CU_ASSERT(!matches(H("x-group", "abeta", SUFFIX, false), f, 5));
	CU_ASSERT(!matches(H("x-group", "bet", SUFFIX, false), f, 5));
	CU_ASSERT(matches(H("accept", "html,text/plain", SUFFIX, false), f, 5));
	CU_ASSERT(!matches(H("accept", "html", SUFFIX, false), f, 5));
	CU_ASSERT(matches(H(":authority", ":80", SUFFIX, false), f, 5));
	CU_ASSERT(matches(H("x-group", "eta", CONTAINS, false), f, 5));
	CU_ASSERT(matches(H("x-group", "gamma", CONTAINS, true), f, 5));
	CU_ASSERT(matches(H("empty", "", EXACT, false), f, 5));
	CU_ASSERT(matches(H("empty", "", PRESENT, false), f, 5));
	CU_ASSERT(!matches(H("empty", "", PRESENT, true), f, 5));
	/* missing: no, whatever is asked, but for inverted presence */
	CU_ASSERT(!matches(H("missing", "", EXACT, false), f, 5));
	CU_ASSERT(!matches(H("missing", "x", EXACT, true), f, 5));
	CU_ASSERT(matches(H("missing", "", PRESENT, true), f, 5));
	CU_ASSERT(matches(H("gone", "", PRESENT, true), f, 5));
	/* two lines count as one */
	CU_ASSERT(!matches(H("accept", "text/html", EXACT, false), f, 5));
	CU_ASSERT(matches(H("accept", "text/html,text/plain", EXACT, false), f, 5));
	CU_ASSERT(matches(H("accept", "text/html,t", PREFIX, false), f, 5));
	CU_ASSERT(matches(H("accept", "plain", CONTAINS, false), f, 5));
	CU_ASSERT(matches(H("accept", "html,text", CONTAINS, false), f, 5));
	CU_ASSERT(matches(H("accept", "l,t", CONTAINS, false), f, 5));
	CU_ASSERT(!matches(H("accept", "htmltext", CONTAINS, false), f, 5));
	/* parts of the request */
	CU_ASSERT(matches(H(":method", "GET", EXACT, false), f, 5));
	CU_ASSERT(!matches(H(":method", "GET", EXACT, true), f, 5));
	CU_ASSERT(matches(H(":authority", "shop.", PREFIX, false), f, 5));
	CU_ASSERT(matches(H(":authority", "example", CONTAINS, false), f, 5));
	CU_ASSERT(!matches(H(":status", "200", EXACT, true), f, 5));
}

/* Text over a small alphabet, so that prefixes, slashes and joints meet often. */
static void random_text(struct tg_rng *r, const char *alphabet, uint32_t max, char *out)
{
	uint32_t n = tg_rng_below(r, max + 1);

	for (uint32_t i = 0; i < n; i++)
		out[i] = alphabet[tg_rng_below(r, (uint32_t)strlen(alphabet))];
	out[n] = 0;
}

static struct tg_header_match random_header(struct tg_rng *r, struct test_memory *mem)
{
	struct tg_header_match h = {.kind = tg_rng_below(r, 5), .invert = tg_rng_below(r, 4) == 0};
	char text[16];

	h.name = copy_view(mem, tg_rng_below(r, 2) ? "x" : "y");
	random_text(r, "ab,", 4, text);
	h.value = copy_view(mem, text);
	return h;
}

/* An expression that the C library understands in the same way. In match too, where the reference
 * looks for it. */
static void random_regex(struct tg_rng *r, struct test_memory *mem, struct tg_route *t)
{
	static const char *const parts[] = {"/", "a", "b", "/a", "ab", "a?", "b*", "/+", "(a|b)",
		"(/a)*", "[ab]", "[^a]*", ".*", ".", "\\.", "|/b", "(a|/|b){1,2}"};
	struct tg_route_match *more = test_alloc(mem, sizeof(*more));
	char text[64];

	strcpy(text, tg_rng_below(r, 8) ? "/" : ".*");
	for (uint32_t n = 1 + tg_rng_below(r, 4); n; n--)
		strcat(text, parts[tg_rng_below(r, TG_ARRAY_LEN(parts))]);
	*more = (struct tg_route_match){.fraction = TG_FRACTION_WHOLE};
	more->regex = tg_regex_compile(text, TG_REGEX_FULL, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(more->regex);
	*t = (struct tg_route){.kind = TG_MATCH_REGEX, .match = copy_view(mem, text), .more = more};
}

static void random_path(struct tg_rng *r, struct test_memory *mem, struct tg_route *t)
{
	static const enum tg_match_kind kinds[] = {
		TG_MATCH_PATH, TG_MATCH_PREFIX, TG_MATCH_PREFIX, TG_MATCH_SEPARATED};
	char text[64] = "/";

	random_text(r, "aab/", tg_rng_below(r, 8) ? 7 : 40, text + 1);
	memset(t, 0, sizeof(*t));
	t->kind = kinds[tg_rng_below(r, 4)];
	t->ignore_case = tg_rng_below(r, 4) == 0;
	t->match = copy_view(mem, tg_rng_below(r, 30) ? text : text + 1);
	if (t->match.n && t->match.p[t->match.n - 1] == '/' && t->kind == TG_MATCH_SEPARATED)
		t->kind = TG_MATCH_PATH;
}

/* regexes: of so many routes one is an expression; 0: none. */
static void random_table(
	struct tg_rng *r, struct test_memory *mem, uint32_t regexes, struct tg_vhost *v)
{
	v->n_routes = 1 + tg_rng_below(r, 40);
	v->routes = test_alloc(mem, v->n_routes * sizeof(*v->routes));
	for (uint32_t i = 0; i < v->n_routes; i++) {
		struct tg_route *t = &v->routes[i];

		if (regexes && tg_rng_below(r, regexes) == 0)
			random_regex(r, mem, t);
		else
			random_path(r, mem, t);
		t->n_headers = tg_rng_below(r, 3) ? 0 : 1 + tg_rng_below(r, 2);
		t->headers = test_alloc(mem, 2 * sizeof(*t->headers));
		for (uint32_t k = 0; k < t->n_headers; k++)
			t->headers[k] = random_header(r, mem);
	}
}

static void free_regexes(const struct tg_vhost *v)
{
	for (uint32_t i = 0; i < v->n_routes; i++)
		if (v->routes[i].more)
			tg_regex_free((struct tg_regex *)(uintptr_t)v->routes[i].more->regex);
}

static void random_request(struct tg_rng *r, char text[8][64], struct tg_field *f, struct tg_msg *m)
{
	m->n_fields = (uint16_t)tg_rng_below(r, 4);
	m->fields = f;
	for (uint32_t i = 0; i < m->n_fields; i++) {
		random_text(r, "ab,", 6, text[i]);
		f[i] = (struct tg_field){tg_rng_below(r, 2) ? TG_VIEW("X") : TG_VIEW("Y"),
			tg_view_str(text[i]), 0, tg_rng_below(r, 8) == 0};
	}
	text[7][0] = '/';
	random_text(r, "aabA/", tg_rng_below(r, 8) ? 9 : 50, text[7] + 1);
	m->path = tg_view_str(text[7] + (tg_rng_below(r, 30) == 0));
}

/* By what explanations are told of each. */
static const struct tg_route *first_that_takes(const struct tg_vhost *v, const struct tg_msg *m)
{
	uint32_t which;

	for (uint32_t i = 0; i < v->n_routes; i++)
		if (tg_route_test(&v->routes[i], m, &env, &which) == TG_ROUTE_TAKES)
			return &v->routes[i];
	return NULL;
}

/* Random tables against the reference; a failure prints the seed, which goes into `first`. */
static void compare(uint64_t first, uint64_t seeds, int requests, uint32_t regexes)
{
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		struct test_memory mem = {0};
		struct tg_vhost v = {0};
		struct tg_rng r;
		uint32_t wrong = 0;

		tg_rng_seed(&r, seed);
		random_table(&r, &mem, regexes, &v);
		CU_ASSERT_EQUAL_FATAL(tg_vhost_compile(&v, test_alloc, &mem), 0);
		for (int i = 0; i < requests; i++) {
			char text[8][64];
			struct tg_field f[4];
			struct tg_msg m = {0};

			random_request(&r, text, f, &m);
			if (tg_route_find(&v, &m, &env) != reference_find(&v, &m) ||
				find_in_steps(&v, &m) != reference_find(&v, &m) ||
				first_that_takes(&v, &m) != reference_find(&v, &m))
				wrong++;
		}
		if (wrong)
			printf("seed %llu: %u requests differ\n", (unsigned long long)seed, wrong);
		CU_ASSERT_EQUAL(wrong, 0);
		free_regexes(&v);
		test_memory_free(&mem);
	}
}

static void differential(void)
{
	compare(1, 1500, 200, 0);
}

static void differential_regexes(void)
{
	env.regex = tg_regex_scratch_create(&limit_hits);
	CU_ASSERT_PTR_NOT_NULL_FATAL(env.regex);
	compare(1, 60, 100, 4);
	CU_ASSERT_EQUAL(limit_hits, 0);
	tg_regex_scratch_destroy(env.regex);
	env.regex = NULL;
}

/* What a segment of a case-insensitive label can be at most, and one more byte. */
static void long_segments(void)
{
	char label[TG_SEGMENT_MAX + 2] = "/", path[TG_SEGMENT_MAX + 4] = "/";
	struct tg_route r = {.kind = TG_MATCH_PREFIX, .ignore_case = true};
	struct tg_vhost v = {.n_routes = 1, .routes = &r};
	struct test_memory mem = {0};

	memset(label + 1, 'x', TG_SEGMENT_MAX);
	memset(path + 1, 'X', TG_SEGMENT_MAX + 2);
	r.match = tg_view_of(label, TG_SEGMENT_MAX + 1);
	CU_ASSERT_EQUAL_FATAL(tg_vhost_compile(&v, test_alloc, &mem), 0);
	path[TG_SEGMENT_MAX] = 0;
	CU_ASSERT_EQUAL(find(&v, path), -1);
	path[TG_SEGMENT_MAX] = 'X';
	path[TG_SEGMENT_MAX + 1] = 0;
	CU_ASSERT_EQUAL(find(&v, path), 0);
	path[TG_SEGMENT_MAX + 1] = 'X';
	CU_ASSERT_EQUAL(find(&v, path), 0);
	test_memory_free(&mem);
}

/* Of 20,000 draws at 10% a fair generator gives 2000 +- 42; beyond 6 of these it is not fair. */
static void fraction(void)
{
	struct tg_route_match tenth = {.fraction = TG_FRACTION_WHOLE / 10}, never = {.fraction = 0};
	struct tg_route r[] = {prefix_route("/"), prefix_route("/a"), prefix_route("/")};
	struct tg_vhost v = {.n_routes = TG_ARRAY_LEN(r), .routes = r};
	struct tg_msg m = {.path = TG_VIEW("/a")};
	struct test_memory mem = {0};
	uint32_t hits[3] = {0};
	struct tg_rng rng;

	r[0].more = &never;
	r[1].more = &tenth;
	tg_rng_seed(&rng, 7);
	env.rng = &rng;
	CU_ASSERT_EQUAL_FATAL(tg_vhost_compile(&v, test_alloc, &mem), 0);
	for (int i = 0; i < 20000; i++)
		hits[tg_route_find(&v, &m, &env) - r]++;
	CU_ASSERT_EQUAL(hits[0], 0);
	CU_ASSERT(hits[1] > 2000 - 252 && hits[1] < 2000 + 252);
	env.rng = NULL;
	CU_ASSERT_PTR_EQUAL(tg_route_find(&v, &m, &env), &r[2]);
	test_memory_free(&mem);
}

/* A query that holds lets a route win, one that does not leaves the next. */
static void query(void)
{
	struct tg_header_match q[] = {{TG_VIEW("v"), TG_VIEW("2"), TG_HEADER_EXACT, false}};
	struct tg_route_match more = {.n_query = 1, .query = q, .fraction = TG_FRACTION_WHOLE};
	struct tg_route r[] = {path_route("/a"), prefix_route("/")};
	struct tg_vhost v = {.n_routes = TG_ARRAY_LEN(r), .routes = r};
	struct tg_msg m = {.path = TG_VIEW("/a"), .query = TG_VIEW("x=1&v=2")};
	struct test_memory mem = {0};

	r[0].more = &more;
	CU_ASSERT_EQUAL_FATAL(tg_vhost_compile(&v, test_alloc, &mem), 0);
	CU_ASSERT_PTR_EQUAL(tg_route_find(&v, &m, &env), &r[0]);
	m.query = TG_VIEW("v=3&v=2");
	CU_ASSERT_PTR_EQUAL(tg_route_find(&v, &m, &env), &r[1]);
	m.query = TG_VIEW_NONE;
	CU_ASSERT_PTR_EQUAL(tg_route_find(&v, &m, &env), &r[1]);
	test_memory_free(&mem);
}

/* A look ahead does not throw the dice, and does not take a field for granted. */
static void look_asks_nothing(void)
{
	struct tg_route_match never = {.fraction = 0};
	struct tg_header_match h = H("x", "1", EXACT, false);
	struct tg_route r[] = {
		path_route("/a"), path_route("/a"), prefix_route("/"), prefix_route("/a")};
	struct tg_vhost v = {.n_routes = TG_ARRAY_LEN(r), .routes = r};
	struct tg_field f = {TG_VIEW("x"), TG_VIEW("1"), 0, false};
	struct tg_msg m = {.path = TG_VIEW("/a")};
	struct test_memory mem = {0};

	r[0].more = &never;
	r[1].n_headers = 1;
	r[1].headers = &h;
	CU_ASSERT_EQUAL_FATAL(tg_vhost_compile(&v, test_alloc, &mem), 0);
	CU_ASSERT_PTR_EQUAL(find_in_steps(&v, &m), &r[2]);
	m.fields = &f;
	m.n_fields = 1;
	CU_ASSERT_PTR_EQUAL(find_in_steps(&v, &m), &r[1]);
	m.path = TG_VIEW("/b");
	CU_ASSERT_PTR_EQUAL(find_in_steps(&v, &m), &r[2]);
	test_memory_free(&mem);
}

/* What follows 16 bytes here makes tg_hash64() forget them: these labels have one hash, whatever
 * the seed, and are told apart all the same. */
#define FORGET "\xdb\x28\xb4\xa0\xd1\x7e\x03\xe7"

static void equal_hashes(void)
{
	struct tg_route r[] = {path_route("/0123456789abcdef" FORGET),
		path_route("/0123456789abcdeg" FORGET),
		prefix_route("/0123456789abcdeh" FORGET "/x"),
		path_route("/0123456789abcdeh" FORGET "/y"), path_route("/z")};
	struct tg_vhost v = {.n_routes = TG_ARRAY_LEN(r), .routes = r};
	struct test_memory mem = {0};

	CU_ASSERT_EQUAL_FATAL(
		tg_hash64(5, r[0].match.p + 1, 24), tg_hash64(5, r[1].match.p + 1, 24));
	CU_ASSERT_EQUAL_FATAL(tg_vhost_compile(&v, test_alloc, &mem), 0);
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(find(&v, (const char *)r[i].match.p), i);
	CU_ASSERT_EQUAL(find(&v, "/0123456789abcdei" FORGET), -1);
	CU_ASSERT_EQUAL(find(&v, "/0123456789abcdeh" FORGET), -1);
	CU_ASSERT_EQUAL(find(&v, "/0123456789abcdeh" FORGET "/xy"), 2);
	CU_ASSERT_EQUAL(find(&v, "/0123456789abcdef" FORGET "/y"), -1);
	test_memory_free(&mem);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 100,000 routes compile, and each of them is found. The time is printed; perf/ measures it. */
static void hundred_thousand(void)
{
	enum { N = 100000 };
	struct test_memory mem = {0};
	struct tg_vhost v = {.n_routes = N};
	char(*text)[40] = malloc(N * sizeof(*text));
	double t0;
	uint32_t wrong = 0;

	v.routes = calloc(N, sizeof(*v.routes));
	for (uint32_t i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]),
			i % 3 ? "/team%u/service-%05u/" : "/team%u/s-%05u", i % 100, i);
		v.routes[i] = i % 2 ? path_route(text[i]) : prefix_route(text[i]);
	}
	t0 = seconds();
	CU_ASSERT_EQUAL_FATAL(tg_vhost_compile(&v, test_alloc, &mem), 0);
	printf("compiled in %.3f s ", seconds() - t0);
	t0 = seconds();
	for (uint32_t i = 0; i < N; i++) {
		struct tg_msg m = {.path = v.routes[i].match};

		wrong += tg_route_find(&v, &m, NULL) != &v.routes[i];
	}
	printf("found in %.0f ns each ", (seconds() - t0) * 1e9 / N);
	CU_ASSERT_EQUAL(wrong, 0);
	test_memory_free(&mem);
	free(v.routes);
	free(text);
}

TG_TEST_MAIN("route", {"first route in order wins", first_in_order}, {"no routes", no_routes},
	{"no memory", no_memory}, {"predicates over fields", predicates},
	{"random tables against the reference", differential},
	{"random tables with expressions", differential_regexes},
	{"segments without case", long_segments}, {"fraction", fraction}, {"query", query},
	{"a look ahead asks nothing", look_asks_nothing}, {"equal hashes", equal_hashes},
	{"a hundred thousand routes", hundred_thousand}, {"place: each its own", place_each},
	{"place: equal hashes", place_equal}, {"place: unlucky hashes", place_unlucky},
	{"host: exact, suffix, any", host_order}, {"host: bad authority", host_bad_authority},
	{"host: without *", host_without_any}, {"host: duplicates", host_duplicates},
	{"host: many", host_many}, {"balance: equal weights", balance_equal},
	{"balance: weights", balance_weights}, {"balance: avoid", balance_avoid},
	{"balance: any position", balance_any_position},
	{"balance: bad weights", balance_bad_weights}, {"lb: weights", lb_weights},
	{"lb: without a hash", lb_without_hash}, {"lb: least request", lb_least_request},
	{"lb: little moves", lb_little_moves}, {"lb: hash policies", lb_hash_policies},
	{"health: registry", health_registry}, {"health: balancers", health_balancers},
	{"health: never checked", health_pending}, {"levels: loads", level_loads},
	{"levels: degraded", level_degraded}, {"levels: balancers", level_balancers},
	{"levels: a hash stays", level_hash_stays}, {"levels: one", level_single},
	{"levels: zone", level_near}, {"zones: Envoy's formula", zone_formula},
	{"zones: within one", zone_within}, {"zones: bounds", zone_bounds},
	{"zones: panic", zone_panic}, {"zones: avoid", zone_avoid},
	{"zones: weights", zone_weights}, {"zones: no weights", zone_weights_none},
	{"zones: weights by level", zone_weights_levels},
	{"zones: weights in tables", zone_weights_tables}, {"slow start", level_slow_start},
	{"slow start: since when", level_slow_since}, {"verdict: statuses", verdict_statuses},
	{"verdict: thresholds", verdict_thresholds}, {"verdict: degraded", verdict_degraded},
	{"verdict: no traffic", verdict_no_traffic}, {"verdict: jitter", verdict_jitter},
	{"verdict: events", verdict_events}, {"outlier: streaks", outlier_streaks},
	{"outlier: local", outlier_local}, {"outlier: percent", outlier_percent},
	{"outlier: times", outlier_times}, {"outlier: success rate", outlier_success_rate},
	{"outlier: failure percentage", outlier_failure_percentage},
	{"outlier: not watched", outlier_not_watched}, {"outlier: gone", outlier_gone},
	{"outlier: threads", outlier_threads}, {"retry: words", retry_words},
	{"retry: statuses", retry_statuses}, {"retry: gRPC", retry_grpc},
	{"retry: failures", retry_failures}, {"retry: back-off", retry_backoff})
