/* bench.h: what a piece of code costs, in ns, TSC cycles and instructions.
 *
 *	for (bench_begin(&b, "what it is"); bench_more(&b);) {
 *		...                     not measured
 *		bench_start(&b);
 *		...                     n times what is measured
 *		bench_stop(&b, n);
 *	}
 *
 * Many passes make a round of a quarter of a millisecond or so; the median of the rounds is
 *printed, and the range of all but the lowest and the highest tenth. Passes should be some
 *microseconds long: reading the clock costs some ten ns.
 *
 * Under callgrind (perf/bench.py) the same program counts instructions: a few passes, of which only
 * what is between start and stop is collected, and a dump of the totals for each name. There is no
 * other way on machines without performance counters. Owner: one thread.
 */
#ifndef PERF_BENCH_H
#define PERF_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tidegate/view.h>

#define BENCH_ROUNDS 61

struct bench {
	const char *name;
	uint32_t rounds;                 /* done */
	uint64_t ns, cycles, count;      /* of this round */
	uint64_t start_ns, start_cycles; /* of this pass */
	double ns_of[BENCH_ROUNDS], cycles_of[BENCH_ROUNDS];
};

/* NAME ...: only what has one of these in its name. */
void bench_init(int argc, char **argv);
/* False for a name that is not wanted: bench_more() is false at once. */
void bench_begin(struct bench *b, const char *name);
bool bench_more(struct bench *b);
void bench_start(struct bench *b);
void bench_stop(struct bench *b, uint32_t count);
/* In the place of both: what was measured elsewhere, in TSC cycles, of which so many each are those
 * of measuring. Not under callgrind. */
void bench_add(struct bench *b, double cycles, double each, uint32_t count);
/* Whether instructions are being counted: what is slow to prepare may be smaller then. */
bool bench_counts(void);
/* ns, median of the last bench; 0: it was left out. For benches that compare. */
double bench_ns(const struct bench *b);
/* What it costs as its tables grow: measure() is called with 10, 100, ... 100,000, and back to 10,
 * on a machine whose speed changes; it returns bench_ns(). Of both times the better counts; each is
 * printed with its ratio to that of 10. Under callgrind: 10 and 1000, and nothing is printed. */
#define BENCH_SIZES 5
void bench_curve(const char *what, double (*measure)(void *ctx, uint32_t n), void *ctx);
/* The process's exit code; 2: nothing was measured. */
int bench_end(void);

/* Zeroed memory until bench_free(): a tg_alloc_fn. There is always some. */
void *bench_take(void *ctx, size_t n);
void bench_free(void);
/* fmt with its numbers, at most 95 bytes, in such memory. */
struct tg_view bench_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Ends the process with exit code 1, saying what, unless ok. */
void bench_check(bool ok, const char *what);

/* The value is needed: the compiler must not leave its making out. */
#define bench_keep(x) __asm__ volatile("" : : "g"(x) : "memory")

#endif
