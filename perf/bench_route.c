/* bench_route.c: what finding a route costs in a crowd, with 10 routes and with 100,000.
 *
 * 131,072 requests are asked for in an order without pattern, so that where there are many routes
 * they are not in the nearer caches: the tables of 100,000 are larger than the second one. The
 * request itself is, as it is for who has just parsed it: each pass writes its 256 requests anew.
 * What 100,000 cost more than 10 is printed as a ratio; what a request as a whole costs more is
 * bench_path's to say. Every answer is checked once.
 *
 *   hit       /team-T/service-N/v1/items/M, asked for and needed at once
 *   ahead     the same, asked for four requests before it is needed, as a worker does it some
 *             hundred ns before
 *   regex     as hit; every tenth route is an expression, /team-T/service-N/v[0-9]+/.*
 */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/route.h>

#include "bench.h"
#include "bench_routes.h"

#define REQUESTS 131072
#define PASS 256
#define AHEAD 4
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

		snprintf(text, TEXT, expression ? "/team-%u/service-%u/v[0-9]+/.*" : BENCH_ROUTE,
			i % 100, i);
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

static void write_requests(const uint32_t *picks, uint32_t at)
{
	for (uint32_t i = 0; i < PASS; i++) {
		snprintf(texts[i], TEXT, BENCH_ROUTE "/items/%u", picks[at + i] % 100,
			picks[at + i], at + i);
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
		write_requests(picks, i);
		for (uint32_t k = 0; k < PASS; k++)
			bench_check(
				tg_route_find(&v, &requests[k], &env) == &v.routes[picks[i + k]],
				"another route");
	}
	snprintf(name, sizeof(name), "route: %s, %s, of %u", way_name[way], bench_law_name(law), n);
	for (bench_begin(&b, name); bench_more(&b); at = (at + PASS) % REQUESTS) {
		write_requests(picks, at);
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

static double few_or_many(void *ctx, bool many)
{
	const struct asked *a = ctx;

	return measure(many ? 100000 : 10, a->law, a->way);
}

int main(int argc, char **argv)
{
	bench_init(argc, argv);
	for (int way = HIT; way < WAYS; way++)
		for (int law = BENCH_EVEN; law <= BENCH_ZIPF; law++) {
			struct asked a = {(enum bench_law)law, (enum way)way};
			double ratio = bench_ratio(few_or_many, &a);

			if (ratio > 0)
				printf("route: %s, %s: 100,000 cost %.2f times what 10 do\n",
					way_name[way], bench_law_name(a.law), ratio);
		}
	return bench_end();
}
