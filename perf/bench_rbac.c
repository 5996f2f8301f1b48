/* bench_rbac.c: what the filter rbac costs a request with 10, 100 and 10,000 principals.
 *
 * Two lines a shape: ns a request, the best of several rounds. First ten clients ask, however many
 * principals there are: what the search costs. Then all of them in random order, whose names, table
 * and policies together are larger than the caches: what memory costs, in any table. Exit 1 if in
 * the first 10,000 principals cost more than LIMIT times what 10 do.
 *
 *   policies    a policy for each principal, with paths and a method
 *   one list    one policy that names them all
 *   patterns    a policy for each namespace, "spiffe://td/ns/N/" and a star
 *   strangers   as policies, asked for by clients that none of them names
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tidegate/rbac.h>

#include "bench.h"

#define ROUNDS 15
#define ASKED 8192 /* requests a round */
#define MOST 10000
#define LIMIT 1.5

enum shape { POLICIES, ONE_LIST, PATTERNS, STRANGERS, SHAPES };
static const char *const shape_name[] = {"policies", "one list", "patterns", "strangers"};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static char ids[MOST][64], patterns[MOST][64];
static struct tg_view id_views[MOST], pattern_views[MOST];
static const struct tg_view paths[] = {
	{(const uint8_t *)"/cart", 5}, {(const uint8_t *)"/api/*", 6}};
static const struct tg_view methods[] = {{(const uint8_t *)"GET", 3}, {(const uint8_t *)"POST", 4}};

static struct tg_rbac_policy policy(const struct tg_view *who, uint32_t n)
{
	return (struct tg_rbac_policy){
		.name = "p", .principals = {n, who}, .paths = {2, paths}, .methods = {2, methods}};
}

static void make(enum shape s, uint32_t n, struct tg_filter_chain *chain, struct tg_stats *stats)
{
	const struct tg_filter_env env = {bench_take, NULL, 1};
	struct tg_rbac_policy *p = bench_take(NULL, n * sizeof(*p));
	struct tg_filter_conf *conf = bench_take(NULL, sizeof(*conf));
	struct tg_filter_list list = {1, conf};
	struct tg_rbac_in in = {.rules = {true, TG_RBAC_ALLOW, s == ONE_LIST ? 1 : n, p}};

	if (s == ONE_LIST)
		p[0] = policy(id_views, n);
	for (uint32_t i = 0; i < n && s != ONE_LIST; i++)
		p[i] = policy(s == PATTERNS ? &pattern_views[i] : &id_views[i], 1);
	if (tg_filter_compile(conf, &tg_rbac_http, "", &in, &env) ||
		tg_filter_chain_build(chain, &list, 1, &env) ||
		tg_filter_chain_bind(chain, stats, "web"))
		abort();
}

/* Nanoseconds a request. */
static double measure(enum shape s, uint32_t n, uint32_t clients, struct tg_stats *stats)
{
	static uint32_t order[ASKED];
	static struct tg_identity who[MOST];
	struct tg_filter_chain chain;
	struct tg_exchange *ex;
	struct tg_msg m = {.is_request = true,
		.method_name = TG_VIEW("GET"),
		.path = TG_VIEW("/api/v1/items/17")};
	double best = 1e18;
	struct tg_rng rng;

	make(s, n, &chain, stats);
	ex = bench_take(NULL, sizeof(*ex) + chain.exch_bytes);
	ex->chain = &chain;
	tg_rng_seed(&rng, 7);
	for (uint32_t i = 0; i < ASKED; i++)
		order[i] = tg_rng_below(&rng, clients) * (n / clients);
	for (uint32_t i = 0; i < n; i++) {
		bool stranger = s == STRANGERS; /* without the first letter: below none of them */
		struct tg_view uris =
			tg_view_of(id_views[i].p + stranger, id_views[i].n + !stranger);

		who[i] = (struct tg_identity){.uris = uris, .subject = TG_VIEW("CN=web")};
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t passed = 0;
		double start = now(), took;

		for (uint32_t i = 0; i < ASKED; i++) {
			ex->client.identity = &who[order[i]];
			ex->next = 0;
			passed += tg_chain_request(ex, &m) == TG_PASS;
		}
		took = (now() - start) / ASKED;
		if (passed != (s == STRANGERS ? 0 : ASKED)) {
			fprintf(stderr, "%s, %u: ", shape_name[s], n);
			bench_check(false, "wrong verdicts");
		}
		if (took < best)
			best = took;
	}
	bench_free();
	return best;
}

int main(void)
{
	static const uint32_t sizes[] = {10, 100, 10000};
	struct tg_stats *stats = tg_stats_create(1);
	int rc = 0;

	for (uint32_t i = 0; i < MOST; i++) {
		snprintf(
			ids[i], sizeof(ids[i]), "spiffe://mesh.example/ns/team-%05u/sa/service", i);
		snprintf(patterns[i], sizeof(patterns[i]), "spiffe://mesh.example/ns/team-%05u/*",
			i);
		id_views[i] = tg_view_str(ids[i]);
		pattern_views[i] = tg_view_str(patterns[i]);
	}
	printf("%-10s %-8s %8s %8s %8s   ns a request\n", "principals", "clients", "10", "100",
		"10000");
	for (uint32_t i = 0; i < 2 * SHAPES; i++) {
		enum shape s = i / 2;
		bool all = i % 2;
		double ns[3];

		for (int k = 0; k < 3; k++)
			ns[k] = measure(s, sizes[k], all ? sizes[k] : 10, stats);
		printf("%-10s %-8s %8.1f %8.1f %8.1f   10,000 cost %.2f times as much as 10\n",
			shape_name[s], all ? "all" : "10", ns[0], ns[1], ns[2], ns[2] / ns[0]);
		rc |= !all && ns[2] > ns[0] * LIMIT;
	}
	tg_stats_destroy(stats);
	return rc;
}
