/* bucket.h: token buckets over all workers that never give one token too many.
 *
 * A bucket holds at most `max` tokens and gets `per_fill` more at each multiple of `interval`, as
 * Envoy's do. It is one 64-bit word, changed by compare-and-swap:
 *
 *	[ fill: 32 | generation: 8 | spent: 24 ]	zeroed memory is a full bucket
 *
 * so up to any instant at most max + per_fill * (fills so far) tokens have been given, whatever the
 * workers do at once; one whose clock is behind counts as being at the newest fill.
 *
 * Leases: a worker that takes many tokens between two fills takes some ahead, and needs no atomic
 * for them. They end with their fill, and what is left of them is lost: a refusal comes early by at
 * most a 64th of max, and by at most a 16th of what the worker used itself. Buckets of fewer than
 * 128 tokens a worker have no leases: there every take is one atomic, and none is lost.
 *
 * Many buckets: a table for keys that nobody knows before (a client's address, an identity). Fixed
 * size; sets of eight ways, found by the key's hash, whose secret a client does not know. A key
 *that finds its set full takes the place of the one that was asked for longest ago, which begins
 *with a full bucket when it comes back: if it had not filled up again by itself, this is counted
 * (evicted). Two keys whose 47 bits of hash are equal share a bucket.
 *
 * Owner: anybody; leases belong to one worker. No memory of its own. Not here: what is limited.
 */
#ifndef TIDEGATE_BUCKET_H
#define TIDEGATE_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TG_BUCKET_MAX ((1u << 24) - 1)                  /* tokens */
#define TG_BUCKET_INTERVAL_MIN (UINT64_C(50) * 1000000) /* ns; fills are counted in 32 bits */

struct tg_bucket_rate {
	uint32_t max, per_fill; /* 1 .. TG_BUCKET_MAX */
	uint64_t interval;      /* ns */
};

/* Shared by all workers. */
struct tg_bucket {
	uint64_t word;
} __attribute__((aligned(64)));

/* One worker's. Zeroed at first. */
struct tg_bucket_lease {
	uint32_t fill;       /* which the rest is of */
	uint32_t used, left; /* of that fill */
};

/* Takes a token. now: ns, of one clock for all. left, if not NULL: tokens that are still there for
 * everybody. */
bool tg_bucket_take(
	struct tg_bucket *b, const struct tg_bucket_rate *r, uint64_t now, uint32_t *left);
bool tg_bucket_take_leased(struct tg_bucket *b, const struct tg_bucket_rate *r,
	struct tg_bucket_lease *l, uint32_t n_workers, uint64_t now, uint32_t *left);
/* Tokens that are there. */
uint32_t tg_bucket_left(const struct tg_bucket *b, const struct tg_bucket_rate *r, uint64_t now);

/* Of a worker's lease, tokens that still count. */
uint32_t tg_bucket_lease_left(
	const struct tg_bucket_lease *l, const struct tg_bucket_rate *r, uint64_t now);

/* ns until the next fill. */
static inline uint64_t tg_bucket_next_fill(const struct tg_bucket_rate *r, uint64_t now)
{
	return r->interval - now % r->interval;
}

/* --- many --------------------------------------------------------------------------------------
 */

#define TG_BUCKETS_KEYS_MAX (1u << 24)

struct tg_buckets_set;
struct tg_buckets {
	struct tg_buckets_set *sets;
	uint32_t mask;
	uint8_t secret[16];
};

/* Bytes of zeroed memory, aligned to 64, for a table that holds that many keys (1 ..
 * TG_BUCKETS_KEYS_MAX), all but a few in 100,000 of them without an eviction. */
size_t tg_buckets_bytes(uint32_t keys);
void tg_buckets_init(
	struct tg_buckets *t, void *mem, uint32_t keys, const uint8_t secret[static 16]);
/* The hash of a key in several parts: h is that of the parts before, 0 at first. */
uint64_t tg_buckets_hash(const struct tg_buckets *t, uint64_t h, const void *part, size_t n);

enum tg_buckets_answer {
	TG_BUCKETS_GIVEN,
	TG_BUCKETS_GIVEN_EVICTED, /* and another key lost its bucket before it was full again */
	TG_BUCKETS_EMPTY,
};
/* Takes a token from the bucket of the key with that hash. */
enum tg_buckets_answer tg_buckets_take(struct tg_buckets *t, const struct tg_bucket_rate *r,
	uint64_t hash, uint64_t now, uint32_t *left);
/* Tokens that it would find now. */
uint32_t tg_buckets_left(
	const struct tg_buckets *t, const struct tg_bucket_rate *r, uint64_t hash, uint64_t now);

#endif
