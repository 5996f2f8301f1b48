/* hist.h: how often which duration, in fixed memory.
 *
 * Log-linear buckets (as HDR histograms have): 64 to each doubling, so a value is known to within
 * one part in 64 whatever its size, from 1 ns to 73 min; longer ones count as the longest. One
 * writer, which needs neither atomics nor floating point; any other thread may merge it into a copy
 * of its own at any time and sees at most the record under way missing. All zero is the empty
 * histogram. Not here: rendering (stats.h), windows of time.
 */
#ifndef TIDEGATE_HIST_H
#define TIDEGATE_HIST_H

#include <stdint.h>

#define TG_HIST_SUB_BITS 6  /* 64 buckets a doubling */
#define TG_HIST_MAX_BITS 42 /* values below 2^42 ns */
#define TG_HIST_BUCKETS ((TG_HIST_MAX_BITS - TG_HIST_SUB_BITS + 1) << TG_HIST_SUB_BITS)

struct tg_hist {
	uint64_t sum; /* ns, of all values (exact) */
	uint64_t max; /* ns, the largest value (exact) */
	uint64_t bucket[TG_HIST_BUCKETS];
};

/* Values below 128 have a bucket of their own; above, the leading 7 bits name the bucket. */
static inline uint32_t tg_hist_index(uint64_t ns)
{
	uint32_t shift;

	if (ns >> TG_HIST_MAX_BITS)
		return TG_HIST_BUCKETS - 1;
	if (ns < 2u << TG_HIST_SUB_BITS)
		return (uint32_t)ns;
	shift = 63 - (uint32_t)__builtin_clzll(ns) - TG_HIST_SUB_BITS;
	return (shift << TG_HIST_SUB_BITS) + (uint32_t)(ns >> shift);
}

/* The owner only. ns: any value. */
static inline void tg_hist_record(struct tg_hist *h, uint64_t ns)
{
	h->bucket[tg_hist_index(ns)]++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
}

/* Smallest and largest value of a bucket. */
uint64_t tg_hist_low(uint32_t index);
uint64_t tg_hist_high(uint32_t index);

/* Adds src to dst (the caller's own); src may be written meanwhile. */
void tg_hist_merge(struct tg_hist *dst, const struct tg_hist *src);

/* The rest reads a histogram that nobody writes: a merged copy. */
uint64_t tg_hist_count(const struct tg_hist *h);
/* The value below or at which `percent` (0 .. 100) of the values lie, ns: the middle of its bucket,
 * thus at most 1/128 away from the true one, and never above the maximum. 0 when empty. */
uint64_t tg_hist_percentile(const struct tg_hist *h, double percent);
/* How many values are at most ns, values in the bucket that ns cuts counted only if it ends there.
 */
uint64_t tg_hist_at_most(const struct tg_hist *h, uint64_t ns);

#endif
