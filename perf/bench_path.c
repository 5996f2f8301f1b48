/* bench_path.c: the way of a whole request through the worker, in plain text: four packets, TCP on
 * both sides, HTTP, routing, a pooled connection, the access log's record. All but the device and
 * the clock: frames are handed over by pointer (perf/callgrind.py has the whole program).
 *
 * The same a second time while each turn is traced (tax.h), for what that costs; and with 10 and
 * with 100,000 routes, of which each request takes another one (bench_routes.h): the ratio is what
 * many routes cost a user.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../tests/scale/world.h"
#include "bench.h"
#include "bench_routes.h"

#define CLIENTS 256
#define WARM 32      /* requests on each connection before */
#define PICKS 131072 /* requests that are drawn */
#define ASKED 32     /* at once: a burst from the clients, a burst from the origin */

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
	uint32_t next;
};

static const char *next_path(void *ctx)
{
	static char text[64];
	struct crowd *c = ctx;
	uint32_t i = c->picks[c->next++ % PICKS];

	snprintf(text, sizeof(text), BENCH_ROUTE, i % 100, i);
	return text;
}

static char *write_routes(uint32_t n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	for (uint32_t i = 0; i < n && out; i++)
		fprintf(out,
			"{ match: { prefix = \"" BENCH_ROUTE "\"; }; "
			"route: { cluster = \"origin\"; }; },\n",
			i % 100, i);
	return out && !fclose(out) ? text : NULL;
}

/* ns a request; 0: it was left out, or failed, which is said. */
static double crowded(uint32_t n, enum bench_law law)
{
	struct crowd crowd = {bench_pick(n, law, PICKS), 0};
	char *routes = write_routes(n), name[64];
	struct world_conf conf = {.clients = CLIENTS,
		.step = 10 * TG_US,
		.around = not_measured,
		.routes = routes,
		.path = next_path,
		.ctx = &crowd};

	snprintf(name, sizeof(name), "path: a request, %s, of %u routes", bench_law_name(law), n);
	bench_check(begin(&conf) && requests(name), "a world of many routes failed");
	world_free(w);
	free(routes);
	bench_free();
	return bench_ns(&b);
}

static double few_or_many(void *ctx, bool many)
{
	uint32_t most = bench_counts() ? 1000 : 100000; /* the instructions are the same */

	return crowded(many ? most : 10, *(enum bench_law *)ctx);
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
		enum bench_law l = (enum bench_law)law;
		double ratio = bench_ratio(few_or_many, &l);

		if (ratio > 0)
			printf("path: a request, %s: 100,000 routes cost %.2f times what 10 do\n",
				bench_law_name(l), ratio);
	}
	return bench_end();
}
