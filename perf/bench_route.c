/* bench_route.c: what a match costs by itself, with 10 to 100,000 routes.
 *
 * 131,072 requests are asked for in an order without pattern, so that where there are many routes
 * they are not in the nearer caches: the tables of 100,000 are larger than the second one. The
 * request itself is, as it is for who has just parsed it: each pass writes its 256 requests anew.
 * Nothing else is done meanwhile, so that the tables of 10 routes stay in the first cache: what a
 * match costs inside of a request, where nothing does, is bench_path's to say. Every answer is
 * checked once.
 *
 *   hit       /team-T/service-N/v1/items/M, asked for and needed at once: each match waits for what
 *             is in no cache
 *   ahead     the same in the steps of route.h, as a worker takes them: prepared eight requests
 *             before it is needed and looked at four before, so that the misses of several overlap
 *             and memory's throughput is left of them. The time is that of all steps
 *   regex     as hit; every tenth route is an expression, /team-T/service-N/v[0-9]+/.*
 */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/route.h>

#include "bench.h"
#include "bench_routes.h"

#define REQUESTS 131072
#define PASS 256
#define AHEAD 8 /* a power of two */
#define LOOK 4
#define TEXT 64

enum way { HIT, REGEX, AHEAD_OF, WAYS };
static const char *const way_name[] = {"hit", "regex", "ahead"};

static struct tg_regex **add_routes(struct tg_vhost *v, uint32_t n, bool regexes)
{
	struct tg_regex **re = bench_take(NULL, n * sizeof(struct tg_regex *));
	char *text = bench_take(NULL, (size_t)n * TEXT);

	*v = (struct tg_vhost){.name = "v", .n_routes = n};
	v->routes = bench_take(NULL, n * sizeof(*v->routes));
	for (uint32_t i = 0; i < n; i++, text += TEXT) {
		bool expression = regexes && i % 10 == 0;

		bench_route_name(text, TEXT, i, n, expression ? "v[0-9]+/.*" : "v1");
		v->routes[i] = (struct tg_route){
			.name = "", .kind = TG_MATCH_PREFIX, .match = tg_view_str(text)};
		if (!expression)
			continue;
		struct tg_route_match *more = bench_take(NULL, sizeof(*more));

		re[i] = tg_regex_compile(text, TG_REGEX_FULL, NULL);
		bench_check(re[i] != NULL, "an expression was not compiled");
		*more = (struct tg_route_match){.regex = re[i], .fraction = TG_FRACTION_WHOLE};
		v->routes[i].kind = TG_MATCH_REGEX;
		v->routes[i].match = TG_VIEW_NONE;
		v->routes[i].more = more;
	}
	bench_check(!tg_vhost_compile(v, bench_take, NULL), "routes were not compiled");
	return re;
}

static struct tg_msg requests[PASS];
static char texts[PASS][TEXT];

static void write_requests(const uint32_t *picks, uint32_t n, uint32_t at)
{
	char behind[24];

	for (uint32_t i = 0; i < PASS; i++) {
		snprintf(behind, sizeof(behind), "v1/items/%u", at + i);
		bench_route_name(texts[i], TEXT, picks[at + i], n, behind);
		requests[i] = (struct tg_msg){.is_request = true, .path = tg_view_str(texts[i])};
	}
}

static void find_at_once(const struct tg_vhost *v, const struct tg_match_env *env)
{
	for (uint32_t i = 0; i < PASS; i++)
		bench_keep(tg_route_find(v, &requests[i], env));
}

static void find_ahead(const struct tg_vhost *v, const struct tg_match_env *env)
{
	struct tg_route_probe q[AHEAD];

	for (uint32_t i = 0; i < PASS + AHEAD; i++) {
		if (i >= AHEAD)
			bench_keep(tg_route_find_prepared(
				&q[i % AHEAD], v, &requests[i - AHEAD], env));
		if (i >= LOOK && i < PASS + LOOK)
			tg_route_look(&q[(i - LOOK) % AHEAD], v, requests[i - LOOK].path);
		if (i < PASS)
			tg_route_prepare(&q[i % AHEAD], v, requests[i].path);
	}
}

static double measure(uint32_t n, enum bench_law law, enum way way)
{
	uint64_t hits = 0;
	struct tg_match_env env = {.regex = tg_regex_scratch_create(&hits)};
	uint32_t *picks = bench_pick(n, law, REQUESTS), at = 0;
	char name[64];
	struct tg_vhost v;
	struct tg_regex **re = add_routes(&v, n, way == REGEX);
	struct bench b;

	for (uint32_t i = 0; i < REQUESTS; i += PASS) {
		write_requests(picks, n, i);
		for (uint32_t k = 0; k < PASS; k++)
			bench_check(
				tg_route_find(&v, &requests[k], &env) == &v.routes[picks[i + k]],
				"another route");
	}
	snprintf(name, sizeof(name), "route: %s, %s, of %u", way_name[way], bench_law_name(law), n);
	for (bench_begin(&b, name); bench_more(&b); at = (at + PASS) % REQUESTS) {
		write_requests(picks, n, at);
		bench_start(&b);
		if (way == AHEAD_OF)
			find_ahead(&v, &env);
		else
			find_at_once(&v, &env);
		bench_stop(&b, PASS);
	}
	for (uint32_t i = 0; i < n; i++)
		tg_regex_free(re[i]);
	tg_regex_scratch_destroy(env.regex);
	bench_free();
	return bench_ns(&b);
}

struct asked {
	enum bench_law law;
	enum way way;
};

static double of_many(void *ctx, uint32_t n)
{
	const struct asked *a = ctx;

	return measure(n, a->law, a->way);
}

int main(int argc, char **argv)
{
	bench_init(argc, argv);
	for (int way = HIT; way < WAYS; way++)
		for (int law = BENCH_EVEN; law <= BENCH_ZIPF; law++) {
			struct asked a = {(enum bench_law)law, (enum way)way};
			char what[64];

			snprintf(what, sizeof(what), "route: %s, %s", way_name[way],
				bench_law_name(a.law));
			bench_curve(what, of_many, &a);
		}
	return bench_end();
}
