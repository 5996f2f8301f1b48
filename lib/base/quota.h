/* quota.h: the table of keys behind <tidegate/quota.h>: quota.c takes, quota_keeper.c asks.
 *
 * An entry goes round:
 *
 *	keeper: free --stock of a worker--> bring: in its chain --news--> listed by age
 *	          ^                                                          |
 *	          +------------------ out of its chain, evicted -------------+
 *
 * The number of entries is that of keys and what all stocks hold, so a key finds an entry while the
 * keeper makes room behind it.
 *
 * Chains are read without a lock. Workers put new entries first, by compare-and-swap of the head;
 * the keeper alone takes entries out. The head has a version that either changes: who found a key
 * missing puts it in only if the chain is as it was, so no key is there twice. Who reads on in an
 * entry that was taken out may miss a key, and then finds the version changed.
 */
#ifndef TG_BASE_QUOTA_H
#define TG_BASE_QUOTA_H

#include <tidegate/quota.h>

#define NONE UINT32_MAX
#define STOCK 512u /* entries that a worker may have for new keys; a power of two */

/* Balance of one window:	[ window: 32 | generation: 8 | balance + BALANCE_ZERO: 24 ]
 * The generation is new whenever the entry gets another key, so that who has looked it up for the
 * old one takes none of the new one's. Window w is in word[w & 1]: the next one can be filled
 * before it begins. */
#define BALANCE_MASK ((1u << 24) - 1)
#define BALANCE_ZERO (1 << 23)
#define BALANCE_MAX (BALANCE_ZERO - 1)
#define GENERATION_ONE (UINT64_C(1) << 24)
#define GENERATION_MASK (UINT64_C(0xff) << 24)
_Static_assert(TG_QUOTA_CREDIT_MAX < BALANCE_ZERO, "it fits");

static inline uint32_t word_window(uint64_t w)
{
	return (uint32_t)(w >> 32);
}

static inline int32_t word_balance(uint64_t w)
{
	return (int32_t)(w & BALANCE_MASK) - BALANCE_ZERO;
}

static inline uint64_t word_of(uint64_t old, uint32_t window, int32_t balance)
{
	return (uint64_t)window << 32 | (old & GENERATION_MASK) |
	       (uint32_t)(balance + BALANCE_ZERO);
}

/* What workers touch. */
struct quota_entry {
	uint64_t hash; /* 0: none */
	uint64_t word[2];
	uint64_t left[2]; /* [ window: 32 | what the store has left of it ]; of word[]'s windows */
	uint32_t next;    /* in its chain */
	uint32_t todo;    /* in the stack below */
	uint32_t queued;
	uint32_t shut; /* the window that the store has nothing left of; NONE */
	uint32_t limit;
	uint32_t mark; /* a balance below this: the keeper is to ask */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct quota_entry) == 64, "one cache line");

/* What only the keeper looks at. */
struct quota_cold {
	uint32_t window[2], given[2]; /* what the store counted for this process, less what went
				       * back; in word[]'s windows */
	uint32_t older, newer;        /* by when something was asked; newer: of those that are free
				       */
	uint32_t pending_next, check_next;
	int32_t seen; /* balance at the last check; NONE_SEEN: something came since */
	uint64_t check_at;
	bool listed, pending, checking, flying, again, give_back, ahead, leaving;
	/* By the worker that brings it. */
	uint16_t n;
	uint32_t seconds;
	uint8_t text[TG_QUOTA_TEXT_MAX];
};
#define NONE_SEEN INT32_MIN

/* Entries from the keeper to one worker, and back. */
struct quota_ring {
	/* The worker's. */
	uint32_t stock_tail __attribute__((aligned(64)));
	uint32_t news_head;
	uint32_t spare; /* one that it needed not after all; NONE */
	uint64_t late;
	/* The keeper's. */
	uint32_t stock_head __attribute__((aligned(64)));
	uint32_t news_tail;
	uint32_t stock[STOCK], news[STOCK];
};

struct quota_list {
	uint32_t first, last;
};

struct tg_quota {
	uint32_t n_keys, n_entries, n_workers, mask;
	uint8_t secret[16];
	uint64_t *heads; /* [mask + 1] of chains: [ version: 32 | entry ] */
	struct quota_entry *entries;
	struct quota_cold *cold;
	struct quota_ring *rings;
	uint64_t offset; /* CLOCK_REALTIME - CLOCK_MONOTONIC, ns */
	uint32_t here;   /* the store answers */
	uint32_t todo;   /* stack of entries that workers want something of */
	uint32_t asleep; /* the keeper; who makes it 0 wakes it */
	struct quota_list pending, checks;
	uint32_t free; /* by newer */
	uint32_t listed, leaving, oldest, newest;
	uint64_t now; /* CLOCK_MONOTONIC of the last tick */
	struct tg_quota_counts counts;
};

static inline uint32_t quota_window(const struct tg_quota *q, uint32_t seconds, uint64_t now)
{
	uint64_t offset = __atomic_load_n(&q->offset, __ATOMIC_RELAXED);

	return (uint32_t)((now + offset) / (UINT64_C(1000000000) * seconds));
}

/* Fills the stocks with what is free. The keeper's. */
void quota_stock(struct tg_quota *q);

static inline uint64_t *quota_head(const struct tg_quota *q, uint64_t hash)
{
	return &q->heads[hash >> 8 & q->mask];
}

#endif
