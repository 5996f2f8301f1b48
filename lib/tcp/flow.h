/* flow.h: the flow table of one worker: 4-tuple -> 32-bit reference.
 *
 * Owner: one worker. Bound: `capacity` entries, one cache line for each six of them (10.7 bytes an
 * entry at full load), reserved at init; a full table refuses. Insert, find and remove are O(1);
 * nothing degrades with time: a removal leaves no tombstone. The keys are not here: they rest in
 * the objects (connection, handshake, TIME-WAIT record), reached from the reference by base and
 * stride, which tg_flow_keys() tells. Hash: SipHash-1-3 under a secret key, so that a peer who
 * chooses addresses and ports cannot aim at a bucket.
 *
 *   bucket (64 bytes): [ tag 16 x 10 ][ passed 32 ][ ref 32 x 10 ]
 *
 * tag 0 = free slot. `passed` counts the entries that found this bucket full and went on to a
 * later one: a search ends at the first bucket that nobody passed.
 *
 * Not here: the life of the objects; several threads.
 */
#ifndef TG_TCP_FLOW_H
#define TG_TCP_FLOW_H

#include <tidegate/addr.h>
#include <tidegate/err.h>
#include <tidegate/view.h>

/* A reference: 2 bits kind, 30 bits index (the pool's). 0 = none. */
enum tg_flow_kind { TG_FLOW_NONE, TG_FLOW_TCB, TG_FLOW_EMBRYONIC, TG_FLOW_TIME_WAIT };
#define TG_FLOW_KINDS 4
#define TG_FLOW_INDEX_BITS 30
#define TG_FLOW_INDEX_MAX ((UINT32_C(1) << TG_FLOW_INDEX_BITS) - 1)

static inline uint32_t tg_flow_ref(enum tg_flow_kind kind, uint32_t index)
{
	return (uint32_t)kind << TG_FLOW_INDEX_BITS | index;
}
static inline enum tg_flow_kind tg_flow_kind(uint32_t ref)
{
	return (enum tg_flow_kind)(ref >> TG_FLOW_INDEX_BITS);
}
static inline uint32_t tg_flow_index(uint32_t ref)
{
	return ref & TG_FLOW_INDEX_MAX;
}

#define TG_FLOW_SLOTS 10 /* of a bucket */
#define TG_FLOW_FILL 6   /* entries a bucket at full load */

struct tg_flow_bucket {
	uint16_t tag[TG_FLOW_SLOTS];
	uint32_t passed;
	uint32_t ref[TG_FLOW_SLOTS];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct tg_flow_bucket) == 64, "one cache line a bucket");

struct tg_flow_table {
	struct tg_flow_bucket *buckets;
	uint32_t n_buckets;
	uint32_t count, capacity, peak;         /* entries */
	uint64_t refused;                       /* inserts that found the table full */
	uint64_t key[2];                        /* SipHash key */
	const uint8_t *key_base[TG_FLOW_KINDS]; /* the tg_flow of object 0 */
	uint32_t key_stride[TG_FLOW_KINDS];     /* bytes from object to object */
};

/* Reserves the table. capacity 1 .. TG_FLOW_INDEX_MAX. TG_EINVAL, TG_ENOMEM. */
int tg_flow_init(struct tg_flow_table *t, uint32_t capacity, const uint8_t secret[16]);
void tg_flow_fini(struct tg_flow_table *t);

/* Where the keys of a kind are: object i's struct tg_flow is at base + i * stride. For a tg_pool p
 * of struct x: tg_flow_keys(t, kind, p.base + offsetof(struct x, flow), p.size). */
void tg_flow_keys(
	struct tg_flow_table *t, enum tg_flow_kind kind, const void *base, uint32_t stride);

/* The key's hash: computed once a packet and handed to the calls below. */
uint64_t tg_flow_hash(const struct tg_flow_table *t, const struct tg_flow *f);

/* For batches: hash all, prefetch all, then find. */
static inline void tg_flow_prefetch(const struct tg_flow_table *t, uint64_t hash)
{
	__builtin_prefetch(&t->buckets[((hash >> 32) * t->n_buckets) >> 32]);
}

/* The reference of f, or 0. hash = tg_flow_hash(t, f). */
uint32_t tg_flow_find(const struct tg_flow_table *t, uint64_t hash, const struct tg_flow *f);

/* A guess at find()'s result without looking at keys: the first reference with f's tag, or 0. For
 * prefetching the object in a batch; wrong about once in 65,000 times. */
uint32_t tg_flow_guess(const struct tg_flow_table *t, uint64_t hash);

/* Adds ref, whose object already holds the key, which must not be in the table. TG_ENOMEM. */
int tg_flow_insert(struct tg_flow_table *t, uint64_t hash, uint32_t ref);

/* Takes ref out. False: it was not there (and nothing changed). */
bool tg_flow_remove(struct tg_flow_table *t, uint64_t hash, uint32_t ref);

/* The entry old becomes new (same key: a handshake turns into a connection, a connection into a
 * TIME-WAIT record). False: old was not there. Cannot fail for want of room. */
bool tg_flow_replace(struct tg_flow_table *t, uint64_t hash, uint32_t old, uint32_t new_ref);

/* Walks everything: every entry is found by its key exactly once and the counts agree. Tests only.
 */
bool tg_flow_validate(const struct tg_flow_table *t);

#endif
