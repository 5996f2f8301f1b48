/* quota.h: limits of a window of time over several processes, without waiting for whoever counts.
 *
 * A store that all processes ask (Redis) counts, for each key and window, the tokens that are out.
 * A process takes some at a time from it (a lease) and gives them to its requests from its own
 * memory; what it has not leased yet it may give on credit, and charges the store with it:
 *
 *	workers: take --> balance of the key <-- answer -- keeper --charge, ask--> store
 *	              --> low: queued ----------------------> keeper
 *	              --> no such key: bring ---------------> keeper
 *
 * The balance is one word, changed by compare-and-swap: tokens that are here if positive, tokens
 * given on credit if negative. The keeper is one thread: it alone asks, adds what was answered, and
 * takes keys out; somebody else carries its questions to the store and back (lib/redis). Nobody
 * waits for anybody.
 *
 * The bound. Let L be the limit, N the number of processes, c their credit. The store adds what it
 * is charged with whatever L says, and gives only what leaves its count at L or below. A process
 * that owes x gives on credit only while x < c, and while x is less than what the store had left
 * when it last answered (L, if it never has in this window); an answer takes x down by what was
 * charged with the question and by what was given. A question without an answer takes nothing down,
 * so it is charged with again. Then
 *
 *	not more than  L + N c  pass in a window;  not more than L of a single process;
 *	not more than  L        where c is 0.
 *
 * Proof. Let T be the last instant of the window at which the store's count is at most L. What the
 * store had counted by T is at most L. What passes besides was given on credit and not counted by
 * T. Of one process that is at most c: all of it is owed until a question that the store sees after
 * T is answered, and from then on the process knows that nothing is left. If there is only one
 * process, what it knows to be left is what is left, so that counted and owed together are at most
 * L. With c = 0 only what the store gave passes. A process that is started anew, or forgets a key
 * (evicted, below), knows nothing of it and counts once more as one of N.
 *
 * Refusals. One comes early by at most what the other processes hold and have not used: a fourth of
 * what each used in this window and one, and at most L / 64 (and at least one). What is beyond one
 * goes back after TG_QUOTA_REST without use; that one stays until the window ends, so that the next
 * request is decided by a token and not on credit. Early is also who comes while all that is leased
 * is used and c is owed: faster than the store answers (TG_QUOTA_EMPTY).
 *
 * What bounds cannot cover: a store that forgets (restarted empty) begins anew, and its windows are
 * those of the processes' clocks (CLOCK_REALTIME): they should agree.
 *
 * Keys: a table of fixed size. Beyond it the one that was asked about longest ago goes, which is
 * counted (evicted) if its window is not over; first it gives its tokens back. One that owes stays
 * until that has been charged, so nothing is forgotten: the store has the count.
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
#define TG_QUOTA_CREDIT_MAX (1u << 20)          /* tokens */
#define TG_QUOTA_REST (UINT64_C(100) * 1000000) /* ns */

struct tg_quota_rate {
	uint32_t limit;   /* of a window; 1 .. TG_QUOTA_LIMIT_MAX */
	uint32_t seconds; /* a window: those of the epoch divided by this are its number; 1 .. */
	uint32_t credit;  /* tokens; 0 .. min(limit, TG_QUOTA_CREDIT_MAX) */
};

/* Unless told otherwise: what a burst takes until the store has answered. */
static inline uint32_t tg_quota_credit(uint32_t limit, uint32_t most)
{
	uint32_t n = most ? most : limit / 64 > 16 ? limit / 64 : 16;

	n = n < limit ? n : limit;
	return n < TG_QUOTA_CREDIT_MAX ? n : TG_QUOTA_CREDIT_MAX;
}

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
	TG_QUOTA_CREDITED, /* the same, on credit */
	TG_QUOTA_OVER,     /* none is left for anybody, as far as is known */
	TG_QUOTA_EMPTY,    /* none is here, but the store may have some, and is being asked */
	TG_QUOTA_UNKNOWN,  /* the key is not here: tg_quota_bring(), and take again */
	TG_QUOTA_AWAY,     /* none is here, and the store does not answer */
};
/* now: CLOCK_MONOTONIC, ns. left, if not NULL: what is left of the limit, as far as is known. */
enum tg_quota_answer tg_quota_take(struct tg_quota *q, uint64_t hash, const struct tg_quota_rate *r,
	uint64_t now, uint32_t *left);
/* text: the key's, the same in all processes. False: there is no room for it now, which is counted
 * (keys_late). */
bool tg_quota_bring(struct tg_quota *q, uint32_t worker, uint64_t hash,
	const struct tg_quota_rate *r, struct tg_view text);
/* Tokens that are here, and left of the limit as far as is known; takes none. Any thread. */
void tg_quota_look(const struct tg_quota *q, uint64_t hash, const struct tg_quota_rate *r,
	uint64_t now, uint32_t *here, uint32_t *left);
bool tg_quota_is_here(const struct tg_quota *q);
/* ns until the window ends. */
uint64_t tg_quota_reset(const struct tg_quota *q, const struct tg_quota_rate *r, uint64_t now);
/* The keeper sleeps and has something to do: who gets true has to wake it. For when a worker is
 * idle: to wake is a system call. */
bool tg_quota_wake(struct tg_quota *q);

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
	uint32_t charge;  /* tokens that were given on credit and are not counted yet */
	uint32_t n;       /* tokens */
	uint32_t limit;   /* of the window */
	uint32_t seconds; /* how long a window is */
	bool back;        /* n are given back, else asked for; then charge is 0 */
	struct tg_view key;
};

/* Before tg_quota_next(). Both clocks in ns. */
void tg_quota_tick(struct tg_quota *q, uint64_t monotonic, uint64_t realtime);
/* The next thing to ask of the store; false: nothing. Each has to be answered. */
bool tg_quota_next(struct tg_quota *q, struct tg_quota_ask *out);
/* given: of the n asked for; used: what the store has counted in the window in all. */
void tg_quota_answered(
	struct tg_quota *q, const struct tg_quota_ask *a, uint32_t given, uint64_t used);
/* Nobody knows what has come of it: n counts as given and lost, charge is charged again. */
void tg_quota_unanswered(struct tg_quota *q, const struct tg_quota_ask *a);
/* Whether the store answers; away at first. */
void tg_quota_here(struct tg_quota *q, bool here);
/* From here on tg_quota_wake() may be true, until tg_quota_woke(). False: there is something to do
 * already. */
bool tg_quota_sleep(struct tg_quota *q);
void tg_quota_woke(struct tg_quota *q);

/* Counters; any thread. */
struct tg_quota_counts {
	uint64_t keys, keys_max;     /* in the table; that it has room for */
	uint64_t asked, given, back; /* times; tokens */
	uint64_t credited;           /* tokens that were given on credit, and are counted now */
	uint64_t evicted, unanswered;
	uint64_t late; /* times that a key found no room, for they came too fast */
};
void tg_quota_counts(const struct tg_quota *q, struct tg_quota_counts *out);

#endif
