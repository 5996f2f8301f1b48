/* bench_path.c: the way of a whole request through the worker, in plain text: four packets, TCP on
 * both sides, HTTP, routing, a pooled connection, the access log's record. All but the device and
 * the clock: frames are handed over by pointer (perf/callgrind.py has the whole program).
 *
 * The same a second time while each turn is traced (tax.h), for what that costs; and with 10 to
 * 100,000 routes, of which each request takes another one (bench_routes.h):
 *
 *   a request       as a whole: what many routes cost a user
 *   its match       of it the time in the stage `route`, by the TSC at its borders: virtual host,
 *                   table, predicates, and the first look at the route that was found. So this is a
 *                   match as the worker does it: in three steps, with its other work between them,
 *                   which takes the nearer caches from the tables, also those of 10 routes. What
 *                   the borders themselves cost is measured, and left out
 */
#include <stdio.h>
#include <stdlib.h>

#include "../tests/scale/world.h"
#include "bench.h"
#include "bench_routes.h"

#define CLIENTS 256
#define WARM 32      /* requests on each connection before */
#define PICKS 131072 /* requests that are drawn */
#define STEPS 3      /* of a match in the worker, visits to its stage */
#define VISITS 256
#define TRIES 64
#define ASKED 32 /* at once: a burst from the clients, a burst from the origin */

static struct bench b;
static struct world *w;
static bool traced;

static void around(void *ctx, bool begin)
{
	struct tg_tax *tax = &w->stats->tax;

	if (begin) {
		bench_start(&b);
		if (traced)
			tg_tax_begin(tax, tg_tsc());
	} else {
		if (traced)
			tg_tax_end(tax, tg_tsc(), true);
		bench_stop(&b, 0);
	}
}

static void traced_only(void *ctx, bool begin)
{
	if (begin)
		tg_tax_begin(&w->stats->tax, tg_tsc());
	else
		tg_tax_end(&w->stats->tax, tg_tsc(), true);
}

static void not_measured(void *ctx, bool begin)
{
}

static bool settled(void)
{
	if (world_settle(w, 60))
		return true;
	fprintf(stderr, "bench_path: %s\n", world_failure(w) ? world_failure(w) : "stuck");
	return false;
}

static bool ask(uint32_t first)
{
	for (uint32_t i = 0; i < ASKED; i++)
		outside_ask(&w->out, (first + i) % CLIENTS, false);
	return settled();
}

static bool requests(const char *name)
{
	uint32_t next = 0;

	for (bench_begin(&b, name); bench_more(&b);) {
		uint64_t before = w->out.answered;

		w->conf.around = around;
		if (!ask(next))
			return false;
		next += ASKED;
		w->conf.around = not_measured;
		b.count += w->out.answered - before;
	}
	return true;
}

/* Connections in steady state: past quick ACKs and slow start. */
static bool begin(const struct world_conf *conf)
{
	w = world_make(conf);
	for (uint32_t i = 0; i < CLIENTS && w; i++) {
		outside_open(&w->out, i);
		if (!settled())
			return false;
	}
	for (uint32_t i = 0; i < WARM * CLIENTS && w; i += ASKED)
		if (!ask(i))
			return false;
	return w;
}

/* --- a crowd of routes -------------------------------------------------------------------------
 */

struct crowd {
	const uint32_t *picks;
	uint32_t next, n;
};

struct asked {
	enum bench_law law;
	bool match; /* of a request only its match */
};

static const char *next_path(void *ctx)
{
	static char text[64];
	struct crowd *c = ctx;
	uint32_t i = c->picks[c->next++ % PICKS];

	bench_route_name(text, sizeof(text), i, c->n, "v1");
	return text;
}

static char *write_routes(uint32_t n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	char name[64];

	for (uint32_t i = 0; i < n && out; i++) {
		bench_route_name(name, sizeof(name), i, n, "v1");
		fprintf(out,
			"{ match: { prefix = \"%s\"; }; route: { cluster = \"origin\"; }; },\n",
			name);
	}
	return out && !fclose(out) ? text : NULL;
}

/* Cycles of the stage `route` so far. */
static uint64_t routing(void)
{
	struct tg_tax_totals t;

	tg_tax_read(&w->stats->tax, &t);
	return t.stage[TG_STAGE_route];
}

/* Cycles of a visit to the stage in which nothing is done: the least of several, as it is where
 * nobody interrupts. */
static double empty_visit(void)
{
	struct tg_tax *tax = &w->stats->tax;
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < TRIES; i++) {
		uint64_t before = routing();

		tg_tax_begin(tax, tg_tsc());
		for (uint32_t k = 0; k < VISITS; k++)
			tg_tax_leave(tax, tg_tax_enter(tax, TG_STAGE_route));
		tg_tax_end(tax, tg_tsc(), true);
		if (routing() - before < least)
			least = routing() - before;
	}
	return (double)least / VISITS;
}

static bool matches(const char *name)
{
	double empty = empty_visit();
	uint32_t next = 0;

	tg_tcp_trace(w->tcp, true);
	for (bench_begin(&b, name); bench_more(&b); next += ASKED) {
		uint64_t before = routing(), answered = w->out.answered;

		w->conf.around = traced_only;
		if (!ask(next))
			return false;
		w->conf.around = not_measured;
		answered = w->out.answered - answered;
		bench_add(&b, (double)(routing() - before), STEPS * empty, (uint32_t)answered);
	}
	return true;
}

/* ns; 0: it was left out. Failures end the process. */
static double crowded(void *ctx, uint32_t n)
{
	const struct asked *a = ctx;
	struct crowd crowd = {bench_pick(n, a->law, PICKS), 0, n};
	char *routes = write_routes(n), name[64];
	struct world_conf conf = {.clients = CLIENTS,
		.step = 10 * TG_US,
		.around = not_measured,
		.routes = routes,
		.path = next_path,
		.ctx = &crowd};

	snprintf(name, sizeof(name), "path: %s, %s, of %u routes",
		a->match ? "its match" : "a request", bench_law_name(a->law), n);
	bench_check(begin(&conf) && (a->match ? matches(name) : requests(name)),
		"a world of many routes failed");
	world_free(w);
	free(routes);
	bench_free();
	return bench_ns(&b);
}

static void curve(enum bench_law law, bool match)
{
	struct asked a = {law, match};
	char what[64];

	snprintf(what, sizeof(what), "path: %s, %s", match ? "its match" : "a request",
		bench_law_name(law));
	bench_curve(what, crowded, &a);
}

int main(int argc, char **argv)
{
	struct world_conf conf = {.clients = CLIENTS, .step = 10 * TG_US, .around = not_measured};

	bench_init(argc, argv);
	if (!world_eal(256) || !begin(&conf) || !requests("path: a request, plain text"))
		return 1;
	traced = true;
	tg_tcp_trace(w->tcp, true);
	if (!requests("path: a request, each turn traced"))
		return 1;
	traced = false;
	world_free(w);
	for (int law = BENCH_EVEN; law <= BENCH_ZIPF; law++) {
		curve((enum bench_law)law, false);
		if (!bench_counts())
			curve((enum bench_law)law, true);
	}
	return bench_end();
}
