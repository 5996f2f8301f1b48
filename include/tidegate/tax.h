/* tax.h: where a worker's time goes, by stage of its work.
 *
 * Nothing is measured until somebody asks (tg_tax_ask); then some of the worker's turns, chosen at
 * random, are traced: at each border between stages the TSC is read, and the time since the last
 * border belongs to the stage that was left. A stage within another (TLS in the reading of a
 * request) interrupts it, so each cycle of the turn belongs to exactly one stage: their sum is the
 * turn's time, to the cycle. The first border is the turn's begin, the last one the next turn's.
 *
 * A turn that is not traced pays a branch at each border of the proxy and of TLS, and one in the
 * worker's loop; the operations of connections are traced by other functions in their tables
 * (tg_tcp_trace, tg_tls_trace). A traced turn pays for reading the TSC, so the *parts* are to be
 * believed, not its length: what a request takes is the busy time of all turns by the number of
 * requests, divided as the traced turns were. For the error of the parts, each keeps sums of
 * squares: see tg_tax_totals.
 *
 * Owner: one worker. Others may ask (an atomic) and read the totals, which are behind a sequence
 * count. Bound: this object. Not here: who prints it (dpdk_app).
 */
#ifndef TIDEGATE_TAX_H
#define TIDEGATE_TAX_H

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/view.h>

/* name, sentence; the order in which a request meets them. */
#define TG_STAGE_LIST(X) \
	X(rx, "packets from the devices, checked up to their IP and TCP headers") \
	X(tcp, "segments in and out: flow table, acknowledgements, headers, checksums") \
	X(tls, "handshakes, records opened and sealed") \
	X(http, "heads read, edited and written, bodies moved, connections of the proxy") \
	X(filters, "filters of requests and responses") \
	X(route, "virtual host and route of a request") \
	X(upstream, "endpoint and connection to it") \
	X(tx, "frames to the devices, and what the kernel does for them at once") \
	X(loop, "the rest of the turn: clock, timers and what they start, orders")

enum tg_stage {
#define X(name, text) TG_STAGE_##name,
	TG_STAGE_LIST(X)
#undef X
		TG_STAGES
};
const char *tg_stage_name(enum tg_stage s);
const char *tg_stage_text(enum tg_stage s);

/* Sums over traced turns that had something to do. With T the cycles of a turn and X those of a
 * stage in it, r = sum X / sum T is the stage's part, and its standard error, turns taken as
 * independent, sqrt(sum X^2 - 2 r sum XT + r^2 sum T^2) / sum T. */
struct tg_tax_totals {
	uint64_t turns;             /* traced, with something to do */
	uint64_t cycles;            /* of them; the sum of stage[] */
	uint64_t stage[TG_STAGES];  /* TSC cycles */
	uint64_t empty_turns;       /* traced, with nothing to do */
	uint64_t empty_cycles;      /* of them, sleeps included */
	double square;              /* sum of T^2 */
	double squares[TG_STAGES];  /* sum of X^2 */
	double products[TG_STAGES]; /* sum of XT */
};

struct tg_tax {
	bool on; /* this turn is traced */
	uint8_t stage;
	uint32_t left;            /* turns until the next one that is traced */
	uint64_t mark;            /* TSC at the last border */
	uint64_t now[TG_STAGES];  /* cycles of this turn */
	uint64_t random;          /* state of the choice of turns */
	_Atomic uint64_t until;   /* ns of the worker's clock: traced until then */
	_Atomic uint32_t version; /* of totals; odd: they are being written */
	struct tg_tax_totals totals;
} __attribute__((aligned(64)));

/* Of turns, one in so many is traced, on average. */
#define TG_TAX_EVERY 64

/* Cycles of the counter that does not stop. */
static inline uint64_t tg_tsc(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t t;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#else
#error "which counter?"
#endif
}

/* --- borders; the worker --- */

/* From here on the time is stage s's; returns whose it was. The turn must be traced. */
enum tg_stage tg_tax_border(struct tg_tax *t, enum tg_stage s, uint64_t tsc);

/* A pair of them is around what belongs to a stage; leave takes what enter returned. */
static inline enum tg_stage tg_tax_enter(struct tg_tax *t, enum tg_stage s)
{
	if (tg_likely(!t->on))
		return TG_STAGE_loop;
	return tg_tax_border(t, s, tg_tsc());
}
static inline void tg_tax_leave(struct tg_tax *t, enum tg_stage before)
{
	if (tg_unlikely(t->on))
		tg_tax_border(t, before, tg_tsc());
}

/* --- turns; the worker's loop --- */

/* Whether turns are to be traced at this time. Now and then, not each turn. */
bool tg_tax_wanted(struct tg_tax *t, uint64_t now);
/* Once a turn while they are: whether this one is to be. */
bool tg_tax_chosen(struct tg_tax *t);
/* Around a traced turn. busy: it had something to do. */
void tg_tax_begin(struct tg_tax *t, uint64_t tsc);
void tg_tax_end(struct tg_tax *t, uint64_t tsc, bool busy);

/* --- anybody --- */

/* Turns are traced until then at least; ns of the worker's clock (CLOCK_MONOTONIC). */
void tg_tax_ask(struct tg_tax *t, uint64_t until);
/* The totals as they are between two turns. */
void tg_tax_read(const struct tg_tax *t, struct tg_tax_totals *out);

#endif
