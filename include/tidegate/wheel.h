/* wheel.h: the worker's timers and its notion of now.
 *
 * A hierarchical timer wheel: 6 levels of 256 slots, one tick = 2^14 ns (16.384 us), so start and
 * stop are O(1) and 100 us timeouts are real. Owner: one worker; no lock; no allocation: a timer
 * is embedded in what it times. Time is handed in (tg_wheel_advance), never read: a test can run a
 * day in a millisecond. A timer fires at or after its deadline, never before, at most one tick plus
 * the caller's turn late. Callbacks run inside tg_wheel_advance, may start and stop any timer
 * (their own too) and may free the object that the timer is in.
 *
 * Habit for the hot path: leave a timer where it is and, when it fires early, start it again for
 * the true deadline ("lazy re-arm"); moving it at every packet costs more.
 */
#ifndef TIDEGATE_WHEEL_H
#define TIDEGATE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define TG_US UINT64_C(1000)
#define TG_MS UINT64_C(1000000)
#define TG_SEC UINT64_C(1000000000)

#define TG_WHEEL_TICK_SHIFT 14
#define TG_WHEEL_LEVELS 6
#define TG_WHEEL_SLOTS 256
#define TG_WHEEL_KINDS 32

/* 24 bytes. Zeroed = stopped. `kind` picks the callback, so that a timer needs no pointer to it. */
struct tg_timer {
	struct tg_timer *next, **pprev; /* pprev != NULL: running */
	uint64_t expires : 56;          /* tick */
	uint64_t kind : 8;              /* 0 .. TG_WHEEL_KINDS-1 */
};

typedef void tg_timer_fn(void *ctx, struct tg_timer *t);

struct tg_wheel {
	uint64_t now;  /* ns, monotonic: the time of this turn */
	uint64_t tick; /* all timers that expire at or before this tick have fired */
	uint32_t running;
	uint32_t n_kinds;
	tg_timer_fn *fn[TG_WHEEL_KINDS];
	void *ctx[TG_WHEEL_KINDS];
	uint64_t occupied[TG_WHEEL_LEVELS][TG_WHEEL_SLOTS / 64];
	struct tg_timer *slot[TG_WHEEL_LEVELS][TG_WHEEL_SLOTS];
};

void tg_wheel_init(struct tg_wheel *w, uint64_t now);
/* Registers a callback; returns its kind, or TG_ENOMEM after TG_WHEEL_KINDS of them. */
int tg_wheel_kind(struct tg_wheel *w, tg_timer_fn *fn, void *ctx);

/* Starts t (or moves it, if it runs) so that fn[kind] is called at now + delay_ns or up to a tick
 * later. delay_ns up to 200 days. */
void tg_timer_start(struct tg_wheel *w, struct tg_timer *t, uint8_t kind, uint64_t delay_ns);
void tg_timer_stop(struct tg_wheel *w, struct tg_timer *t);

static inline bool tg_timer_running(const struct tg_timer *t)
{
	return t->pprev;
}

/* The running timer's deadline in ns. */
static inline uint64_t tg_timer_deadline(const struct tg_timer *t)
{
	return (uint64_t)t->expires << TG_WHEEL_TICK_SHIFT;
}

/* Sets now and fires what is due, at most budget callbacks (0: all); the rest fire at the next
 * call. Time never goes back: an older now is ignored. Returns the number fired. */
uint32_t tg_wheel_advance(struct tg_wheel *w, uint64_t now, uint32_t budget);

/* The earliest deadline in ns (a lower bound that is exact within a slot of its level), or
 * UINT64_MAX. For idle sleeps and for simulators that jump to the next event. */
uint64_t tg_wheel_next(const struct tg_wheel *w);

/* Walks everything: links, slots and counts agree. Tests only. */
bool tg_wheel_validate(const struct tg_wheel *w);

#endif
