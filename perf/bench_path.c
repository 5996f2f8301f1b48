/* bench_path.c: the way of a whole request through the worker, in plain text: four packets, TCP on
 * both sides, HTTP, routing, a pooled connection, the access log's record. All but the device and
 * the clock: frames are handed over by pointer (perf/callgrind.py has the whole program).
 *
 * The same a second time while each turn is traced (tax.h), for what that costs.
 */
#include <stdio.h>

#include "../tests/scale/world.h"
#include "bench.h"

#define CLIENTS 256
#define WARM 32  /* requests on each connection before */
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

int main(int argc, char **argv)
{
	struct world_conf conf = {.clients = CLIENTS, .step = 10 * TG_US, .around = not_measured};

	bench_init(argc, argv);
	w = world_eal(256) ? world_make(&conf) : NULL;
	if (!w)
		return 1;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		outside_open(&w->out, i);
		if (!settled())
			return 1;
	}
	/* Connections in steady state: past quick ACKs and slow start. */
	for (uint32_t i = 0; i < WARM * CLIENTS; i += ASKED)
		if (!ask(i))
			return 1;
	if (!requests("path: a request, plain text"))
		return 1;
	traced = true;
	tg_tcp_trace(w->tcp, true);
	if (!requests("path: a request, each turn traced"))
		return 1;
	return bench_end();
}
