/* clock.h: a worker's time: the TSC, scaled so that it follows CLOCK_MONOTONIC.
 *
 * One rdtsc and one multiplication a reading; every 100 ms or so the scale is corrected against the
 * kernel's clock, so that a worker's time is CLOCK_MONOTONIC to some microseconds for as long as it
 * runs (the TSC frequency that one measures at start is wrong by up to 1e-3, a minute a day). It
 * never goes back. Owner: one thread.
 */
#ifndef TIDEGATE_CLOCK_H
#define TIDEGATE_CLOCK_H

#include <stdint.h>

struct tg_clock {
	uint64_t tsc, ns; /* the reference point: at tsc it was ns here ... */
	uint64_t mono;    /* ... and mono by the kernel's clock */
	uint64_t mult;    /* ns a tick, times 2^32 */
	uint64_t nominal; /* mult of the frequency measured at start */
};

/* tsc, mono: both clocks read at once. hz: ticks a second as measured, not 0. */
void tg_clock_init(struct tg_clock *c, uint64_t tsc, uint64_t mono, uint64_t hz);
/* Corrects the scale with a fresh pair of readings: the error of now is gone at the next
 * correction, if that comes as late as this one came after the last. At most 5 % faster or slower
 * than measured; a lag of more than a second (a suspended machine) is made good at once. */
void tg_clock_correct(struct tg_clock *c, uint64_t tsc, uint64_t mono);

/* ns at tsc; a tsc before the reference point counts as that. */
static inline uint64_t tg_clock_at(const struct tg_clock *c, uint64_t tsc)
{
	uint64_t d = tsc > c->tsc ? tsc - c->tsc : 0;

	return c->ns + (uint64_t)(((unsigned __int128)d * c->mult) >> 32);
}

#endif
