#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tidegate/pages.h>
#include <tidegate/tax.h>

#ifdef TG_HAVE_CALLGRIND
#include <valgrind/callgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(what) (void)(what)
#endif

#define ROUND_NS 250000
#define COUNTED 512 /* times that are enough for instructions: they hardly differ */
#define WARM_PASSES 3
#define LOW (BENCH_ROUNDS / 10)

#define TEXT_MAX 96

struct block {
	struct block *next;
	size_t large; /* bytes of pages of its own; 0: malloc'ed */
	_Alignas(64) uint8_t data[];
};
static struct block *blocks;

void *bench_take(void *ctx, size_t n)
{
	size_t size = (sizeof(struct block) + n + 63) / 64 * 64;
	bool large = n >= TG_PAGES_HUGE; /* as the configuration's memory, lib/config/mem.c */
	struct block *b = large ? tg_pages_reserve(size) : aligned_alloc(64, size);

	if (!b)
		abort();
	if (!large)
		memset(b, 0, size);
	b->large = large ? size : 0;
	b->next = blocks;
	blocks = b;
	return b->data;
}

void bench_free(void)
{
	while (blocks) {
		struct block *next = blocks->next;

		if (blocks->large)
			tg_pages_release(blocks, blocks->large);
		else
			free(blocks);
		blocks = next;
	}
}

struct tg_view bench_text(const char *fmt, ...)
{
	char *s = bench_take(NULL, TEXT_MAX);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s, TEXT_MAX, fmt, ap);
	va_end(ap);
	return tg_view_str(s);
}

void bench_check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static char **wanted;
static uint32_t n_wanted, printed;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool bench_counts(void)
{
	return RUNNING_ON_VALGRIND;
}

void bench_init(int argc, char **argv)
{
	wanted = argv + 1;
	n_wanted = argc > 1 ? (uint32_t)argc - 1 : 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static bool is_wanted(const char *name)
{
	for (uint32_t i = 0; i < n_wanted; i++)
		if (strstr(name, wanted[i]))
			return true;
	return !n_wanted;
}

void bench_begin(struct bench *b, const char *name)
{
	memset(b, 0, sizeof(*b));
	b->name = name;
	if (!is_wanted(name))
		b->rounds = UINT32_MAX;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(struct bench *b)
{
	const double *v = b->ns_of;

	qsort(b->ns_of, BENCH_ROUNDS, sizeof(double), by_value);
	qsort(b->cycles_of, BENCH_ROUNDS, sizeof(double), by_value);
	printf("%-44s %9.1f ns (%.1f .. %.1f) %9.0f cycles\n", b->name, v[BENCH_ROUNDS / 2], v[LOW],
		v[BENCH_ROUNDS - 1 - LOW], b->cycles_of[BENCH_ROUNDS / 2]);
	printed++;
}

/* The first passes are for caches, branch predictors and memory that is touched for the first time;
 * they count as round 0, which is thrown away. */
static bool more_counting(struct bench *b)
{
	char text[200];

	b->rounds++;
	if (b->rounds == WARM_PASSES + 1) {
		CALLGRIND_ZERO_STATS;
		b->count = 0;
	}
	if (b->rounds <= WARM_PASSES || b->count < COUNTED)
		return true;
	snprintf(text, sizeof(text), "%s\t%llu", b->name, (unsigned long long)b->count);
	CALLGRIND_DUMP_STATS_AT(text);
	printed++;
	return false;
}

bool bench_more(struct bench *b)
{
	if (b->rounds == UINT32_MAX)
		return false;
	if (bench_counts())
		return more_counting(b);
	if (b->ns < ROUND_NS)
		return true;
	if (b->rounds) {
		b->ns_of[b->rounds - 1] = (double)b->ns / (double)b->count;
		b->cycles_of[b->rounds - 1] = (double)b->cycles / (double)b->count;
	}
	b->ns = b->cycles = b->count = 0;
	if (b->rounds++ < BENCH_ROUNDS)
		return true;
	print(b);
	return false;
}

void bench_start(struct bench *b)
{
	b->start_ns = now();
	b->start_cycles = tg_tsc();
	CALLGRIND_TOGGLE_COLLECT;
}

void bench_stop(struct bench *b, uint32_t count)
{
	CALLGRIND_TOGGLE_COLLECT;
	b->cycles += tg_tsc() - b->start_cycles;
	b->ns += now() - b->start_ns;
	b->count += count;
}

static double tsc_ns(void)
{
	static double ns;
	uint64_t t0, c0;

	if (ns > 0)
		return ns;
	t0 = now();
	c0 = tg_tsc();
	while (now() - t0 < 20 * 1000 * 1000)
		;
	ns = (double)(now() - t0) / (double)(tg_tsc() - c0);
	return ns;
}

void bench_add(struct bench *b, double cycles, double each, uint32_t count)
{
	cycles -= each * count;
	if (cycles < 0)
		cycles = 0;
	b->cycles += (uint64_t)cycles;
	b->ns += (uint64_t)(cycles * tsc_ns());
	b->count += count;
}

double bench_ns(const struct bench *b)
{
	return b->rounds == UINT32_MAX || bench_counts() ? 0 : b->ns_of[BENCH_ROUNDS / 2];
}

void bench_curve(const char *what, double (*measure)(void *ctx, uint32_t n), void *ctx)
{
	static const uint32_t sizes[BENCH_SIZES] = {10, 100, 1000, 10000, 100000};
	double best[BENCH_SIZES] = {0};

	if (bench_counts()) { /* the instructions are the same */
		measure(ctx, 10);
		measure(ctx, 1000);
		return;
	}
	for (int i = 0; i < 2 * BENCH_SIZES; i++) {
		int k = i < BENCH_SIZES ? i : 2 * BENCH_SIZES - 1 - i;
		double ns = measure(ctx, sizes[k]);

		if (!best[k] || ns < best[k])
			best[k] = ns;
	}
	if (!best[0])
		return;
	printf("%s, times what 10 cost:", what);
	for (int k = 0; k < BENCH_SIZES; k++)
		printf("%s %u: %.2f", k ? "," : "", sizes[k], best[k] / best[0]);
	printf("\n");
}

int bench_end(void)
{
	return printed ? 0 : 2;
}
