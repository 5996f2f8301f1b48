/* lease.h: a limit over all workers that not one use exceeds, without an atomic per use.
 *
 * One counter a limit (struct tg_lease_pool) says how much of it the workers hold between them.
 * A worker takes a part in one atomic step (a batch) and uses it bit by bit in plain memory; what
 * it holds beyond what it uses goes back in batches too. So
 *
 *	sum of used  <=  sum of held  <=  limit              at every instant, and
 *	a refusal comes early by at most (workers - 1) * 2 * (batch - 1)  <  limit / 8
 *
 * and a limit below 16 a worker has batches of one: then nobody holds what it does not use.
 * A single worker holds all.
 *
 *	pool.leased  [###### A used ######|A spare|### B used ###|B]............... limit
 *
 * Nobody owns a part of the limit: what one worker does not use another may have. That none is
 * starved by what others keep for later is for those who keep it (tg_breaker_need()).
 *
 * When the limit falls (a reload), what is given goes back at once until the rest fits. While some
 * workers know the new limit and others the old one, the sum stays below the larger of both.
 *
 * Owner: the pool is shared; a struct tg_lease belongs to one worker, and n_workers of them to a
 * pool. Bounds: fixed size, no memory of its own. Not here: tokens that are spent instead of given
 * back; who leases those takes and gives with tg_lease_pool_take() and tg_lease_pool_add().
 */
#ifndef TIDEGATE_LEASE_H
#define TIDEGATE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

struct tg_lease_pool {
	int64_t leased; /* units that workers hold */
};

struct tg_lease {
	struct tg_lease_pool *pool;
	uint32_t limit;      /* of the pool */
	uint32_t batch;      /* units taken at a time; 1 .. */
	uint32_t used, held; /* used <= held */
	uint32_t keep;       /* units that may be held beyond used; 0 while above a new limit */
};

/* Takes as many as there are below limit, at most n; returns how many. Any thread. */
uint32_t tg_lease_pool_take(struct tg_lease_pool *p, uint32_t limit, uint32_t n);
/* Adds n, limit or not; n < 0 gives back. Any thread. */
void tg_lease_pool_add(struct tg_lease_pool *p, int64_t n);

/* Zeroed memory becomes a lease that is refused everything. */
void tg_lease_init(struct tg_lease *l, struct tg_lease_pool *pool);
/* The limit of all n_workers together, from now on. What this one does not use goes back. */
void tg_lease_limit(struct tg_lease *l, uint32_t limit, uint32_t n_workers);

bool tg_lease_more(struct tg_lease *l); /* private */
void tg_lease_less(struct tg_lease *l);

/* One unit; false: there is none. */
static inline bool tg_lease_take(struct tg_lease *l)
{
	if (l->used >= l->held && !tg_lease_more(l))
		return false;
	l->used++;
	return true;
}

static inline void tg_lease_give(struct tg_lease *l)
{
	l->used--;
	if (l->held - l->used > l->keep)
		tg_lease_less(l);
}

#endif
