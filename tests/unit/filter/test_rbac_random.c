/* Random policies and requests against a reference that looks at everything in order. */
#include <stdlib.h>

#include <tidegate/http1.h>

#include "../tgtest.h"
#include "rbac.h"
#include "rig.h"

static struct tg_rng rng;

static uint32_t below(uint32_t n)
{
	return tg_rng_below(&rng, n);
}

/* --- the reference ------------------------------------------------------------------------------
 */

static bool has_prefix(const char *s, const char *prefix, size_t n)
{
	return strncmp(s, prefix, n) == 0 && strlen(s) >= n;
}

static bool is(const char *word, const char *principal, const struct who *w)
{
	size_t n = strlen(principal);

	if (strcmp(principal, "*") == 0)
		return true;
	if (strcmp(principal, "authenticated") == 0)
		return w->uri || w->dns || w->subject;
	if (principal[n - 1] == '*')
		return w->uri && has_prefix(w->uri, principal, n - 1) && strlen(w->uri) > n - 1;
	return (w->uri && strcmp(w->uri, principal) == 0) ||
	       (w->dns && strcmp(w->dns, principal) == 0) ||
	       (w->subject && strcmp(w->subject, principal) == 0);
}

static bool path_is(const char *word, const char *pattern, const struct who *w)
{
	size_t n = strlen(pattern);

	if (pattern[n - 1] == '*')
		return has_prefix(word, pattern, n - 1);
	return strcmp(word, pattern) == 0;
}

static bool same(const char *word, const char *pattern, const struct who *w)
{
	return strcmp(word, pattern) == 0;
}

static bool from(const char *word, const char *net, const struct who *w)
{
	struct tg_ip_prefix p;
	struct tg_ip ip;

	tg_ip_prefix_parse(net, &p);
	tg_ip_parse(w->from, &ip);
	return tg_ip_in(&ip, &p);
}

typedef bool one_fn(const char *word, const char *pattern, const struct who *w);

static bool any(one_fn *fn, const char *word, const char *list, const struct who *w)
{
	char copy[512], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", list);
	for (char *t = strtok_r(copy, " ", &save); t; t = strtok_r(NULL, " ", &save))
		if (fn(word, t, w))
			return true;
	return false;
}

static bool holds(
	one_fn *fn, const char *word, const char *yes, const char *no, const struct who *w)
{
	return (!*yes || any(fn, word, yes, w)) && !any(fn, word, no, w);
}

static bool reference(
	const struct spec *s, uint32_t n, const struct who *w, const char *method, const char *path)
{
	for (uint32_t i = 0; i < n; i++)
		if (holds(is, "", s[i].who, s[i].not_who, w) &&
			holds(path_is, path, s[i].paths, s[i].not_paths, w) &&
			holds(same, method, s[i].methods, s[i].not_methods, w) &&
			holds(from, "", s[i].from, s[i].not_from, w))
			return true;
	return false;
}

/* --- random everything --------------------------------------------------------------------------
 */

static const char *const ids[] = {"spiffe://a", "spiffe://a/x", "spiffe://a/x/y",
	"spiffe://a/x/y/z", "spiffe://a/xx", "spiffe://b/x", "spiffe://b/x/y", "spiffe://ab/x"};
static const char *const patterns[] = {"*", "authenticated", "spiffe://a/*", "spiffe://a/x/*",
	"spiffe://a/x/y/*", "spiffe://b/*", "spiffe://b/x/*", "n.example", "m.example", "CN=n"};
static const char *const paths[] = {"/", "/a", "/a/b", "/ab", "/b", "/a/", "/a/b/c", "/c"};
static const char *const path_patterns[] = {"*", "/*", "/a*", "/a/*", "/a/b*", "/b*", "/ab*"};
static const char *const methods[] = {"GET", "POST", "BREW"};
static const char *const addresses[] = {"10.0.0.1", "10.0.1.1", "10.1.0.0", "11.0.0.1", "fd00::1"};
static const char *const nets[] = {"10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24", "10.0.0.1/32",
	"10.1.0.0/16", "0.0.0.0/0", "::/0", "fd00::/8"};

#define PICK(a) (a)[below(TG_ARRAY_LEN(a))]

/* Up to most words, often none. */
static char *some(struct rig *r, const char *const *a, uint32_t na, const char *const *b,
	uint32_t nb, uint32_t most, uint32_t seldom)
{
	char *out = rig_alloc(r, 512);
	uint32_t n = below(seldom) ? 0 : 1 + below(most);

	while (n--) {
		const char *w = below(na + nb) < na ? a[below(na)] : b[below(nb)];

		strcat(out, w);
		strcat(out, " ");
	}
	return out;
}

#define SOME(a, b, most, seldom) some(&rig, a, TG_ARRAY_LEN(a), b, TG_ARRAY_LEN(b), most, seldom)

static struct who random_who(void)
{
	struct who w = {.from = PICK(addresses)};

	if (below(4))
		w.uri = PICK(ids);
	if (below(4) == 0)
		w.dns = below(2) ? "n.example" : "m.example";
	if (below(4) == 0)
		w.subject = "CN=n";
	return w;
}

static void differential(void)
{
	uint32_t allowed = 0, refused = 0;

	tg_rng_seed(&rng, 20260129);
	for (uint32_t round = 0; round < 1500; round++) {
		uint32_t n = below(8), action = below(2);
		struct tg_rbac_in in = {.rules = {0}};
		struct spec s[8];
		struct rig rig;

		rig_start(&rig);
		for (uint32_t i = 0; i < n; i++)
			s[i] = (struct spec){.name = "p",
				.who = SOME(ids, patterns, 4, 2),
				.not_who = SOME(ids, patterns, 2, 4),
				.paths = SOME(paths, path_patterns, 4, 2),
				.not_paths = SOME(paths, path_patterns, 2, 4),
				.methods = SOME(methods, methods, 2, 2),
				.not_methods = SOME(methods, methods, 1, 4),
				.from = SOME(nets, nets, 3, 3),
				.not_from = SOME(nets, nets, 1, 6)};
		in.rules = rig_rules(&rig, (enum tg_rbac_action)action, s, n);
		CU_ASSERT_EQUAL_FATAL(rig_chain(&rig, &tg_rbac_http, &in), 0);
		for (uint32_t k = 0; k < 60; k++) {
			struct who w = random_who();
			struct request q = {.method = PICK(methods), .path = PICK(paths)};
			bool want =
				reference(s, n, &w, q.method, q.path) == (action == TG_RBAC_ALLOW);
			bool got = rig_ask(&rig, &w, &q, NULL) == 200;

			CU_ASSERT_EQUAL(got, want);
			allowed += got;
			refused += !got;
		}
		rig_end(&rig);
	}
	CU_ASSERT(allowed > 10000 && refused > 10000);
}

/* Ten thousand principals: each is found, no other is. */
static void many(void)
{
	enum { N = 10000 };
	struct tg_rbac_in in = {.rules = {0}};
	struct spec *s = calloc(N, sizeof(*s));
	char(*names)[2][64] = calloc(N, sizeof(*names));
	struct rig rig;

	rig_start(&rig);
	for (uint32_t i = 0; i < N; i++) {
		snprintf(names[i][0], 64,
			i % 2 ? "spiffe://td/ns/n%u/sa/web" : "spiffe://td/ns/n%u/*", i);
		snprintf(names[i][1], 64, "spiffe://td/ns/n%u/sa/web", i);
		s[i] = (struct spec){.name = names[i][0], .who = names[i][0], .paths = "/a*"};
	}
	in.rules = rig_rules(&rig, TG_RBAC_ALLOW, s, N);
	CU_ASSERT_EQUAL_FATAL(rig_chain(&rig, &tg_rbac_http, &in), 0);
	for (uint32_t i = 0; i < N; i++) {
		struct who w = {.uri = names[i][1]};

		CU_ASSERT_EQUAL(rig_ask(&rig, &w, &(struct request){.path = "/a/b"}, NULL), 200);
		CU_ASSERT_EQUAL(rig_ask(&rig, &w, &(struct request){.path = "/b"}, NULL), 403);
		names[i][1][13]++;
		CU_ASSERT_EQUAL(rig_ask(&rig, &w, &(struct request){.path = "/a"}, NULL), 403);
	}
	rig_end(&rig);
	free(names);
	free(s);
}

static bool has(const uint8_t *p, uint32_t n, const char *part)
{
	return memmem(p, n, part, strlen(part)) != NULL;
}

/* The most liberal reading of a normalised path leaves nothing to read otherwise, and a path that
 * is not called ambiguous reads as it stands. */
static void readings(void)
{
	static const char *const pieces[] = {
		"/", "/", "a", "b", ".", "..", ";", "%2f", "%5C", "%2e", "%25", "%41", "x=1"};
	uint32_t ambiguous = 0, plain = 0, climbed = 0;

	tg_rng_seed(&rng, 4);
	for (uint32_t round = 0; round < 50000; round++) {
		uint8_t norm[128], out[128];
		char text[128] = "/";
		struct tg_view path;
		uint32_t n;
		int32_t rc;

		for (uint32_t i = below(12); i; i--)
			strcat(text, PICK(pieces));
		rc = tg_path_normalise(tg_view_str(text), true, norm);
		if (rc <= 0)
			continue;
		path = tg_view_of(norm, (uint32_t)rc);
		n = rbac_path_reading(path, out);
		CU_ASSERT(n <= path.n);
		if (!rbac_path_ambiguous(path)) {
			CU_ASSERT(tg_view_eq(tg_view_of(out, n), path));
			plain++;
			continue;
		}
		ambiguous++;
		climbed += n == 0;
		if (n == 0)
			continue;
		CU_ASSERT_EQUAL(out[0], '/');
		CU_ASSERT(!rbac_path_ambiguous(tg_view_of(out, n)));
		CU_ASSERT(!has(out, n, "/../") && !has(out, n, "/./"));
	}
	CU_ASSERT(ambiguous > 10000 && plain > 5000 && climbed > 500);
}

TG_TEST_MAIN("rbac, at random", {"readings of paths", readings},
	{"against the reference", differential}, {"ten thousand principals", many})
