/* bench_match.c: where a request goes: virtual host, path, predicates, with 10 to 100,000 of them.
 *
 * uniform: each of 1024 requests asks for another route, drawn from all. Predicates: of four routes
 * with the same path the last one's holds.
 */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/msg.h>
#include <tidegate/route.h>

#include "bench.h"

#define ASKED 1024
#define MOST 100000

static uint32_t picks[ASKED];

static void pick(uint32_t n)
{
	struct tg_rng rng;

	tg_rng_seed(&rng, 3);
	for (uint32_t i = 0; i < ASKED; i++)
		picks[i] = tg_rng_below(&rng, n);
}

/* --- hosts ------------------------------------------------------------------------------------ */

static void hosts(uint32_t n)
{
	struct tg_vhost *v = bench_take(NULL, n * sizeof(*v)),
			**list = bench_take(NULL, n * sizeof(void *));
	struct tg_view asked[ASKED], wild[ASKED];
	struct tg_host_table *t;
	struct tg_errbuf e;
	struct bench b;
	char name[64];

	pick(n);
	for (uint32_t i = 0; i < n; i++) {
		v[i].name = "v";
		v[i].n_domains = 2;
		v[i].domains = bench_take(NULL, 2 * sizeof(struct tg_view));
		v[i].domains[0] = bench_text("service-%05u.team-%u.example", i, i % 100);
		v[i].domains[1] = bench_text("*.wild-%05u.team-%u.example", i, i % 100);
		bench_check(!tg_vhost_compile(&v[i], bench_take, NULL),
			"a virtual host was not compiled");
		list[i] = &v[i];
	}
	t = tg_host_table_build(list, n, bench_take, NULL, &e);
	bench_check(t, "no table of hosts");
	for (uint32_t i = 0; i < ASKED; i++) {
		asked[i] =
			bench_text("service-%05u.team-%u.example:8443", picks[i], picks[i] % 100);
		wild[i] = bench_text("a.b.wild-%05u.team-%u.example", picks[i], picks[i] % 100);
		bench_check(tg_host_find(t, asked[i]) == &v[picks[i]], "another host");
		bench_check(tg_host_find(t, wild[i]) == &v[picks[i]], "another wildcard");
	}
	snprintf(name, sizeof(name), "match: host, of %u", n);
	for (bench_begin(&b, name); bench_more(&b);) {
		bench_start(&b);
		for (uint32_t i = 0; i < ASKED; i++)
			bench_keep(tg_host_find(t, asked[i]));
		bench_stop(&b, ASKED);
	}
	snprintf(name, sizeof(name), "match: wildcard two labels up, of %u", n);
	for (bench_begin(&b, name); bench_more(&b);) {
		bench_start(&b);
		for (uint32_t i = 0; i < ASKED; i++)
			bench_keep(tg_host_find(t, wild[i]));
		bench_stop(&b, ASKED);
	}
	bench_free();
}

/* --- routes ----------------------------------------------------------------------------------- */

static void find(const char *name, const struct tg_vhost *v, struct tg_msg *m)
{
	struct bench b;

	for (bench_begin(&b, name); bench_more(&b);) {
		bench_start(&b);
		for (uint32_t i = 0; i < ASKED; i++)
			bench_keep(tg_route_find(v, &m[i], NULL));
		bench_stop(&b, ASKED);
	}
}

static void routes(uint32_t n)
{
	static const struct tg_cluster cluster = {.name = "c"};
	struct tg_vhost v = {.name = "v", .n_routes = n};
	struct tg_msg *m = bench_take(NULL, ASKED * sizeof(*m));
	char name[64];

	pick(n);
	v.routes = bench_take(NULL, n * sizeof(*v.routes));
	for (uint32_t i = 0; i < n; i++)
		v.routes[i] = (struct tg_route){.name = "",
			.kind = TG_MATCH_PREFIX,
			.match = bench_text("/team-%u/service-%u/v1", i % 100, i),
			.cluster = &cluster};
	bench_check(!tg_vhost_compile(&v, bench_take, NULL), "routes were not compiled");
	for (uint32_t i = 0; i < ASKED; i++) {
		m[i].is_request = true;
		m[i].path =
			bench_text("/team-%u/service-%u/v1/items/4711", picks[i] % 100, picks[i]);
		bench_check(tg_route_find(&v, &m[i], NULL) == &v.routes[picks[i]], "another route");
	}
	snprintf(name, sizeof(name), "match: path, of %u routes", n);
	find(name, &v, m);
	bench_free();
}

/* n routes, four of a path, which differ in a field. */
static void predicates(uint32_t n)
{
	static const struct tg_cluster cluster = {.name = "c"};
	struct tg_vhost v = {.name = "v", .n_routes = n};
	struct tg_msg *m = bench_take(NULL, ASKED * sizeof(*m));
	struct tg_field *f = bench_take(NULL, 3 * sizeof(*f));
	char name[64];

	pick(n / 4);
	f[0] = (struct tg_field){.name = TG_VIEW("accept"), .value = TG_VIEW("*/*")};
	f[1] = (struct tg_field){.name = TG_VIEW("user-agent"), .value = TG_VIEW("bench/1")};
	f[2] = (struct tg_field){.name = TG_VIEW("x-group"), .value = TG_VIEW("group-3")};
	v.routes = bench_take(NULL, n * sizeof(*v.routes));
	for (uint32_t i = 0; i < n; i++) {
		struct tg_header_match *h = bench_take(NULL, sizeof(*h));

		*h = (struct tg_header_match){.name = TG_VIEW("x-group"),
			.kind = TG_HEADER_EXACT,
			.value = bench_text("group-%u", i % 4)};
		v.routes[i] = (struct tg_route){.name = "",
			.kind = TG_MATCH_PREFIX,
			.match = bench_text("/team-%u/service-%u/v1", i / 4 % 100, i / 4),
			.n_headers = 1,
			.headers = h,
			.cluster = &cluster};
	}
	bench_check(!tg_vhost_compile(&v, bench_take, NULL), "routes were not compiled");
	for (uint32_t i = 0; i < ASKED; i++) {
		m[i].is_request = true;
		m[i].fields = f;
		m[i].n_fields = 3;
		m[i].path = bench_text("/team-%u/service-%u/v1/items", picks[i] % 100, picks[i]);
		bench_check(tg_route_find(&v, &m[i], NULL) == &v.routes[picks[i] * 4 + 3],
			"another route");
	}
	snprintf(name, sizeof(name), "match: path and the 4th's field, of %u", n);
	find(name, &v, m);
	bench_free();
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = {10, 1000, MOST};

	bench_init(argc, argv);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(sizes); i++)
		hosts(sizes[i]);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(sizes); i++)
		routes(sizes[i]);
	predicates(100);
	predicates(MOST);
	return bench_end();
}
