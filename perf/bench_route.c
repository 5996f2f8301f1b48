/* bench_route.c: what finding a route costs in a crowd, with 10 routes and with 100,000.
 *
 * 131,072 requests, each with a path of its own, are asked for in an order without pattern, so that
 * neither their paths nor, where there are many, the routes are in the nearer caches: the tables of
 * 100,000 routes alone are larger than the second one. Which route a request is for is drawn
 * evenly, or by Zipf's law, in which the most wanted of 100,000 gets a twelfth of all. Every answer
 * is checked once. What 100,000 cost more than 10 is printed as a ratio.
 *
 *   hit       /team-T/service-N/v1/items/M
 *   regex     as hit; every tenth route is an expression, /team-T/service-N/v[0-9]+/.*
 */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/route.h>

#include "bench.h"

#define REQUESTS 131072
#define PASS 4096
#define TEXT 64

enum law { EVEN, ZIPF };

/* The first number whose share of the whole, up to with it, exceeds u. */
static uint32_t by_zipf(const double *upto, uint32_t n, double u)
{
	uint32_t lo = 0, hi = n - 1;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (u * upto[n - 1] < upto[mid])
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static uint32_t *pick(uint32_t n, enum law law)
{
	uint32_t *picks = bench_take(NULL, REQUESTS * sizeof(*picks));
	double *upto = bench_take(NULL, n * sizeof(*upto)), sum = 0;
	struct tg_rng rng;

	tg_rng_seed(&rng, 1);
	for (uint32_t i = 0; i < n; i++)
		upto[i] = sum += 1.0 / (i + 1);
	for (uint32_t i = 0; i < REQUESTS; i++)
		picks[i] = law == EVEN
				   ? tg_rng_below(&rng, n)
				   : by_zipf(upto, n, (double)(tg_rng_next(&rng) >> 11) * 0x1p-53);
	return picks;
}

static struct tg_regex **add_routes(struct tg_vhost *v, uint32_t n, bool regexes)
{
	struct tg_regex **re = bench_take(NULL, n * sizeof(struct tg_regex *));
	char *text = bench_take(NULL, (size_t)n * TEXT);

	*v = (struct tg_vhost){.name = "v", .n_routes = n};
	v->routes = bench_take(NULL, n * sizeof(*v->routes));
	for (uint32_t i = 0; i < n; i++, text += TEXT) {
		bool expression = regexes && i % 10 == 0;

		snprintf(text, TEXT,
			expression ? "/team-%u/service-%u/v[0-9]+/.*" : "/team-%u/service-%u/v1",
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
		v->routes[i].more = more;
	}
	bench_check(!tg_vhost_compile(v, bench_take, NULL), "routes were not compiled");
	return re;
}

static double measure(uint32_t n, enum law law, bool regexes)
{
	uint64_t hits = 0;
	struct tg_match_env env = {.regex = tg_regex_scratch_create(&hits)};
	uint32_t *picks = pick(n, law), at = 0;
	struct tg_msg *m = bench_take(NULL, REQUESTS * sizeof(*m));
	char *text = bench_take(NULL, (size_t)REQUESTS * TEXT), name[64];
	struct tg_vhost v;
	struct tg_regex **re = add_routes(&v, n, regexes);
	struct bench b;

	for (uint32_t i = 0; i < REQUESTS; i++, text += TEXT) {
		snprintf(
			text, TEXT, "/team-%u/service-%u/v1/items/%u", picks[i] % 100, picks[i], i);
		m[i] = (struct tg_msg){.is_request = true, .path = tg_view_str(text)};
		bench_check(tg_route_find(&v, &m[i], &env) == &v.routes[picks[i]], "another route");
	}
	snprintf(name, sizeof(name), "route: %s, %s, of %u", regexes ? "regex" : "hit",
		law == EVEN ? "even" : "zipf", n);
	for (bench_begin(&b, name); bench_more(&b); at = (at + PASS) % REQUESTS) {
		bench_start(&b);
		for (uint32_t i = 0; i < PASS; i++)
			bench_keep(tg_route_find(&v, &m[at + i], &env));
		bench_stop(&b, PASS);
	}
	for (uint32_t i = 0; i < n; i++)
		tg_regex_free(re[i]);
	tg_regex_scratch_destroy(env.regex);
	bench_free();
	return bench_ns(&b);
}

int main(int argc, char **argv)
{
	bench_init(argc, argv);
	for (int regexes = 0; regexes < 2; regexes++)
		for (int law = EVEN; law <= ZIPF; law++) {
			double few = measure(10, (enum law)law, regexes);
			double many = measure(100000, (enum law)law, regexes);

			if (few > 0 && many > 0)
				printf("route: %s, %s: 100,000 cost %.2f times what 10 do\n",
					regexes ? "regex" : "hit", law == EVEN ? "even" : "zipf",
					many / few);
		}
	return bench_end();
}
