/* quota.h: the table of keys behind <tidegate/quota.h>: quota.c takes, quota_keeper.c fills. */
#ifndef TG_BASE_QUOTA_H
#define TG_BASE_QUOTA_H

#include <tidegate/quota.h>

#define NONE UINT32_MAX
#define RING 512u /* keys that a worker can have on the way to the keeper; a power of two */

/* Tokens of one window:	[ window: 32 | generation: 8 | tokens: 24 ]
 * The generation is new whenever the entry gets another key, so that who has looked it up for the
 * old one takes none of the new one's. Window w is in word[w & 1]: the next one can be filled
 * before it begins. */
#define TOKENS_MAX ((1u << 24) - 1)
#define GENERATION_ONE (UINT64_C(1) << 24)
#define GENERATION_MASK (UINT64_C(0xff) << 24)

static inline uint32_t word_window(uint64_t w)
{
	return (uint32_t)(w >> 32);
}

static inline uint32_t word_tokens(uint64_t w)
{
	return (uint32_t)w & TOKENS_MAX;
}

/* What workers touch. */
struct quota_entry {
	uint64_t hash; /* 0: none; changed by the keeper alone */
	uint64_t word[2];
	uint32_t next; /* in its chain */
	uint32_t todo; /* in the stack below */
	uint32_t queued, want;
	uint32_t shut; /* the window that the store has nothing left of; NONE */
	uint32_t limit, left_there;
	uint32_t mark;    /* fewer tokens than this: the keeper is to ask for more */
	uint32_t waiters; /* requests that wait now; want: tokens that were asked for */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct quota_entry) == 64, "one cache line");

/* What only the keeper does. */
struct quota_cold {
	uint32_t seconds;
	uint32_t window[2], given[2]; /* to this process, in word[]'s windows */
	uint32_t older, newer;        /* by when something was asked */
	uint32_t pending_next, check_next;
	uint32_t left_seen; /* at the last check; NONE: something came since */
	uint64_t check_at;
	bool pending, checking, flying, again, give_back, ahead;
	uint16_t n;
	uint8_t text[TG_QUOTA_TEXT_MAX];
};

struct quota_record {
	uint64_t hash;
	struct tg_quota_rate rate;
	uint32_t n;
	uint8_t text[TG_QUOTA_TEXT_MAX];
};

/* From one worker to the keeper. */
struct quota_ring {
	uint32_t head __attribute__((aligned(64))); /* the worker's */
	uint64_t full;
	uint32_t tail __attribute__((aligned(64))); /* the keeper's */
	struct quota_record r[RING];
};

struct quota_list {
	uint32_t first, last;
};

struct tg_quota {
	uint32_t n_keys, n_workers, mask;
	uint8_t secret[16];
	uint32_t *heads; /* [mask + 1] of chains */
	struct quota_entry *entries;
	struct quota_cold *cold;
	struct quota_ring *rings;
	uint64_t offset; /* CLOCK_REALTIME - CLOCK_MONOTONIC, ns */
	uint32_t here;   /* the store answers */
	uint32_t todo;   /* stack of entries that workers want something of */
	struct quota_list pending, checks;
	uint32_t used, oldest, newest;
	uint64_t now; /* CLOCK_MONOTONIC of the last tick */
	struct tg_quota_counts counts;
};

static inline uint32_t quota_window(const struct tg_quota *q, uint32_t seconds, uint64_t now)
{
	uint64_t offset = __atomic_load_n(&q->offset, __ATOMIC_RELAXED);

	return (uint32_t)((now + offset) / (UINT64_C(1000000000) * seconds));
}

#endif
