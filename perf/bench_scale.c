/* bench_scale: what many connections cost one worker: bytes for each, and time for each request.
 *
 *	bench_scale [--connections N] [--small-pages]
 *
 * The whole path of the program but the device: frames in, lib/net, lib/tcp, lib/proxy with HTTP
 * keep-alive, routing, the access log, a pooled connection to an origin, frames out. Connections
 * are opened by real handshakes. Time is the worker's alone, in its turns; clients and origin are
 * not in it (but share its caches). Bytes are the slope of the whole process's resident memory.
 * --small-pages: no transparent hugepages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "../tests/scale/world.h"

#define BURST 32
#define NS_A_REQUEST 2000 /* of virtual time: half a million a second */
#define ROUNDS 7
#define REQUESTS (1u << 16) /* a round */

static struct world *w;
static uint32_t opened;

static void stop(void)
{
	fprintf(stderr, "bench_scale: %s\n", world_failure(w) ? world_failure(w) : "stuck");
	exit(1);
}

/* ns of the worker for a connection. */
static double open_up_to(uint32_t n)
{
	uint64_t began = w->cpu_ns;
	uint32_t from = opened;

	while (opened < n) {
		for (uint32_t k = 0; k < BURST && opened < n; k++)
			outside_open(&w->out, opened++);
		world_pace(w);
	}
	if (!world_settle(w, 60))
		stop();
	return (double)(w->cpu_ns - began) / (n - from);
}

static uint32_t pick(uint32_t among)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(((x >> 32) * among) >> 32);
}

/* ns of the worker for a request, on random connections of the first `among`. */
static double ask(uint32_t n, uint32_t among)
{
	uint64_t began = w->cpu_ns, before = w->out.answered;

	for (uint32_t done = 0; done < n; done += BURST) {
		for (uint32_t k = 0; k < BURST; k++) {
			uint32_t c = pick(among);

			if (outside_state(&w->out, c) == CLIENT_OPEN)
				outside_ask(&w->out, c, false);
		}
		world_pace(w);
	}
	if (!world_settle(w, 60))
		stop();
	return (double)(w->cpu_ns - began) / (double)(w->out.answered - before);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static double ask_rounds(uint32_t among)
{
	double v[ROUNDS];

	ask(REQUESTS, among);
	for (uint32_t i = 0; i < ROUNDS; i++)
		v[i] = ask(REQUESTS, among);
	return median(v, ROUNDS);
}

/* The machine's mood changes within minutes: a few and all in turns, and the ratios' median. */
static void compare(uint32_t few)
{
	double ratio[ROUNDS], few_ns[ROUNDS], all_ns[ROUNDS], mid;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		double first = ask(REQUESTS, few);

		all_ns[i] = ask(REQUESTS, opened);
		few_ns[i] = (first + ask(REQUESTS, few)) / 2;
		ratio[i] = all_ns[i] / few_ns[i];
	}
	printf("in turns, %u rounds: %.0f ns a request among %u of them, %.0f among all: ", ROUNDS,
		median(few_ns, ROUNDS), few, median(all_ns, ROUNDS));
	mid = median(ratio, ROUNDS); /* sorts */
	printf("%.2f times (%.2f .. %.2f)\n", mid, ratio[0], ratio[ROUNDS - 1]);
}

static void accept_close(uint32_t n)
{
	uint64_t began = w->cpu_ns;
	uint32_t first = opened;

	for (uint32_t done = 0; done < n; done += BURST) {
		for (uint32_t k = 0; k < BURST; k++)
			outside_open(&w->out, first + k);
		world_pace(w);
		world_pace(w);
		for (uint32_t k = 0; k < BURST; k++)
			outside_close(&w->out, first + k);
		world_pace(w);
		world_pace(w);
	}
	if (!world_settle(w, 60))
		stop();
	printf("accept and close: %.0f ns\n", (double)(w->cpu_ns - began) / n);
}

static void print_pools(void)
{
	struct world_usage u[WORLD_POOLS];
	uint32_t n = world_usage(w, u);

	printf("pool                bytes     objects      in use   bytes a connection\n");
	for (uint32_t i = 0; i < n; i++)
		printf("%-16s %8u %11u %11u %20.1f\n", u[i].name, u[i].size, u[i].count,
			u[i].in_use, (double)u[i].size * u[i].count / w->conf.max_connections);
	printf("objects of an idle client connection: %.0f bytes (at most 384)\n",
		world_idle_bytes(w));
	printf("reserved for a connection, if all pools were full: %.0f bytes\n",
		(double)world_reserved(w) / w->conf.max_connections);
}

int main(int argc, char **argv)
{
	static const uint32_t levels[] = {1000, 10000, 100000, 1000000};
	/* A request is two packets in. */
	struct world_conf conf = {.clients = 1000000, .step = BURST * NS_A_REQUEST / 2};
	double at_1k = 0, slope_from = 0;
	uint32_t slope_conns = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--connections") == 0 && i + 1 < argc)
			conf.clients = (uint32_t)strtoul(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--small-pages") == 0)
			prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		else
			return fprintf(stderr,
				       "usage: bench_scale [--connections N] [--small-pages]\n"),
			       2;
	}
	if (!world_eal(256))
		return 1;
	conf.clients += BURST; /* for accept and close */
	w = world_make(&conf);
	if (!w)
		return 1;
	/* One of each family alone: few packets wait for a neighbour's address. */
	open_up_to(1);
	open_up_to(2);
	for (uint32_t i = 0; i < RTE_DIM(levels) && opened < conf.clients - BURST; i++) {
		uint32_t n = RTE_MIN(levels[i], conf.clients - BURST);
		double open_ns = open_up_to(n), ns;

		if (n > 10000)
			printf("%u to %u connections: %.0f bytes each\n", slope_conns, n,
				((double)world_resident() - slope_from) / (n - slope_conns));
		ns = ask_rounds(n);
		if (!at_1k)
			at_1k = ns;
		/* After requests: what they alone need is touched by now. */
		if (n == 10000) {
			slope_from = (double)world_resident();
			slope_conns = n;
		}
		printf("%8u connections: %5.0f ns to accept one, %5.0f ns a request: %.2f times "
		       "that at "
		       "1000\n",
			n, open_ns, ns, ns / at_1k);
	}
	compare(1000);
	accept_close(1u << 18);
	print_pools();
	return world_failure(w) != NULL;
}
