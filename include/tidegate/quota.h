/* quota.h: limits of a window of time over several processes, whose sum is never more.
 *
 * A store that all processes ask (Redis) counts, for each key and window, the tokens that it has
 * given out. A process takes some at a time from it (a lease) and gives them to its requests from
 * its own memory:
 *
 *	workers: take --> entry of the key: tokens that are here <-- grant -- keeper --ask--> store
 *	              --> none: "wanted" ----------------------------------> keeper
 *
 * The keeper is one thread: it alone adds tokens, brings keys and takes them out; it decides what
 * to ask, and somebody else carries it to the store and back (lib/redis). Nothing here waits.
 *
 * The bound. Let L be the limit, g_i what the store gave process i for a window, u_i what its
 * requests took of it. The store gives only while the sum of g_i is below L and counts what it
 * gives before it says so; an answer that is lost is a g_i that nobody uses. Tokens end with their
 * window. So
 *
 *	sum of u_i  <=  sum of g_i  <=  L                                 at every instant, and
 *	a refusal comes early by at most the sum of (g_i - u_i)           of the other processes.
 *
 * g_i - u_i is what requests of process i wait for at that moment, and what it holds ahead: at most
 * a 16th of what it used in this window (and one), and at most L / 64; one where L is from 16 to
 *63; nothing where L is below 16: there each token is asked for by a request that waits for it.
 *What is not used within TG_QUOTA_REST goes back to the store, and who was refused by it may ask
 *again after as long, so an early refusal does not last.
 *
 * What bounds cannot cover: a store that forgets (restarted empty) begins anew, and its windows are
 * those of the processes' clocks (CLOCK_REALTIME): they should agree.
 *
 * Keys: a table of fixed size; one that finds it full takes the place of the one that was asked for
 * longest ago, which is counted (evicted) if its window is not over. Nothing is forgotten by that:
 * the store has the count.
 *
 * Owner: see above; struct tg_quota itself is made and freed by whoever has stopped all others.
 * Bound: about 400 bytes a key. Not here: what is limited, and what is done when the store is away.
 */
#ifndef TIDEGATE_QUOTA_H
#define TIDEGATE_QUOTA_H

#include <tidegate/view.h>

#define TG_QUOTA_KEYS_MAX (1u << 22)
#define TG_QUOTA_TEXT_MAX 224                   /* bytes of a key */
#define TG_QUOTA_LIMIT_MAX 1000000000u          /* requests a window */
#define TG_QUOTA_REST (UINT64_C(100) * 1000000) /* ns */

struct tg_quota_rate {
	uint32_t limit;   /* of a window; 1 .. TG_QUOTA_LIMIT_MAX */
	uint32_t seconds; /* a window: those of the epoch divided by this are its number; 1 .. */
};

struct tg_quota;

/* keys: 1 .. TG_QUOTA_KEYS_MAX. NULL: no memory. */
struct tg_quota *tg_quota_create(uint32_t keys, uint32_t workers);
void tg_quota_destroy(struct tg_quota *q);
size_t tg_quota_bytes(uint32_t keys, uint32_t workers);

/* --- workers -----------------------------------------------------------------------------------
 */

/* The hash of a key in several parts: h is that of the parts before, at first anything that tells
 * apart what the parts are of, but 0. */
uint64_t tg_quota_hash(const struct tg_quota *q, uint64_t h, const void *part, size_t n);

enum tg_quota_answer {
	TG_QUOTA_GIVEN,
	TG_QUOTA_OVER,    /* none is left for anybody, or was a moment ago */
	TG_QUOTA_EMPTY,   /* none is here: tg_quota_enter(), and look again */
	TG_QUOTA_UNKNOWN, /* the key is not here: tg_quota_want(), and look again */
	TG_QUOTA_AWAY,    /* none is here, and the store does not answer */
};
/* now: CLOCK_MONOTONIC, ns. left, if not NULL: what is left of the limit, as far as is known. */
enum tg_quota_answer tg_quota_take(struct tg_quota *q, uint64_t hash, const struct tg_quota_rate *r,
	uint64_t now, uint32_t *left);
/* Tokens that are here, and left of the limit as far as is known; takes none. Any thread. */
void tg_quota_look(const struct tg_quota *q, uint64_t hash, const struct tg_quota_rate *r,
	uint64_t now, uint32_t *here, uint32_t *left);
bool tg_quota_is_here(const struct tg_quota *q);
/* Asks for a token for one request, once; for a key that is unknown here, this brings it. text: the
 * key's, the same in all processes. Returns what tg_quota_lost() wants to know. */
uint32_t tg_quota_want(struct tg_quota *q, uint32_t worker, uint64_t hash,
	const struct tg_quota_rate *r, struct tg_view text);
/* A key that was wanted was looked at: if it is still unknown, there was no room for it. */
bool tg_quota_lost(const struct tg_quota *q, uint32_t worker, uint32_t wanted);
/* A request waits for a token of a key, which keeps its place as long: there are asked as many as
 * wait. Returns its place, with which it leaves: before it looks again, and when it gives up.
 * TG_QUOTA_NOWHERE: the key is unknown. */
#define TG_QUOTA_NOWHERE UINT32_MAX
uint32_t tg_quota_enter(struct tg_quota *q, uint64_t hash);
void tg_quota_leave(struct tg_quota *q, uint32_t place);
/* ns until the window ends. */
uint64_t tg_quota_reset(const struct tg_quota *q, const struct tg_quota_rate *r, uint64_t now);

/* A key's text: parts one after another; bytes that stand between parts are escaped in them. What
 * is too long is told apart by a hash. */
struct tg_quota_text {
	uint32_t n; /* what it would have taken: it may be more than was kept */
	uint8_t b[TG_QUOTA_TEXT_MAX];
	uint64_t rest[2]; /* two hashes of all of it, the same in all processes */
};
void tg_quota_text_raw(struct tg_quota_text *t, struct tg_view v);
void tg_quota_text_add(struct tg_quota_text *t, struct tg_view v); /* escaped */
struct tg_view tg_quota_text_end(struct tg_quota_text *t);

/* --- the keeper --------------------------------------------------------------------------------
 */

struct tg_quota_ask {
	uint32_t entry;
	uint32_t window;  /* its number */
	uint32_t n;       /* tokens, 1 .. */
	uint32_t limit;   /* of the window */
	uint32_t seconds; /* how long a window is */
	bool back;        /* n are given back, else asked for */
	struct tg_view key;
};

/* Each millisecond or so, before tg_quota_next(). Both clocks in ns. */
void tg_quota_tick(struct tg_quota *q, uint64_t monotonic, uint64_t realtime);
/* The next thing to ask of the store; false: nothing. Each has to be answered. */
bool tg_quota_next(struct tg_quota *q, struct tg_quota_ask *out);
/* given: of the n asked for; used: what the store has given out of the window in all. */
void tg_quota_answered(
	struct tg_quota *q, const struct tg_quota_ask *a, uint32_t given, uint64_t used);
/* Nobody knows what has come of it: the tokens count as given and lost. */
void tg_quota_unanswered(struct tg_quota *q, const struct tg_quota_ask *a);
/* Whether the store answers; away at first. */
void tg_quota_here(struct tg_quota *q, bool here);

/* Counters; any thread. */
struct tg_quota_counts {
	uint64_t keys, keys_max;     /* in the table; that it has room for */
	uint64_t asked, given, back; /* times; tokens */
	uint64_t evicted, unanswered;
	uint64_t ring_full; /* keys that came faster than the keeper took them; asked for again */
};
void tg_quota_counts(const struct tg_quota *q, struct tg_quota_counts *out);

#endif
