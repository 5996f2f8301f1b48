#include <tidegate/lease.h>

#define SHARES 16 /* batches of a worker's fair share */

uint32_t tg_lease_pool_take(struct tg_lease_pool *p, uint32_t limit, uint32_t n)
{
	int64_t have = __atomic_load_n(&p->leased, __ATOMIC_RELAXED);
	uint32_t got;

	do {
		if (have >= (int64_t)limit)
			return 0;
		got = (uint32_t)((int64_t)limit - have);
		got = got < n ? got : n;
		/* Only the number is shared: nothing else is ordered by it. */
	} while (!__atomic_compare_exchange_n(
		&p->leased, &have, have + got, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return got;
}

void tg_lease_pool_add(struct tg_lease_pool *p, int64_t n)
{
	__atomic_fetch_add(&p->leased, n, __ATOMIC_RELAXED);
}

void tg_lease_init(struct tg_lease *l, struct tg_lease_pool *pool)
{
	*l = (struct tg_lease){.pool = pool, .batch = 1};
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static bool fits(const struct tg_lease *l)
{
	return __atomic_load_n(&l->pool->leased, __ATOMIC_RELAXED) <= (int64_t)l->limit;
}

static uint32_t keep_of(const struct tg_lease *l)
{
	return fits(l) ? 2 * (l->batch - 1) : 0;
}

void tg_lease_limit(struct tg_lease *l, uint32_t limit, uint32_t n_workers)
{
	l->limit = limit;
	l->batch = n_workers == 1 ? larger(limit, 1) : larger(limit / n_workers / SHARES, 1);
	if (l->held != l->used)
		tg_lease_pool_add(l->pool, -(int64_t)(l->held - l->used));
	l->held = l->used;
	l->keep = keep_of(l);
}

bool tg_lease_more(struct tg_lease *l)
{
	uint32_t got = l->pool ? tg_lease_pool_take(l->pool, l->limit, l->batch) : 0;

	l->held += got;
	return got;
}

/* Back to half of what may be kept, so that neither the next take nor the next give has to come
 * here again. */
void tg_lease_less(struct tg_lease *l)
{
	uint32_t rest = l->used + l->keep / 2;

	tg_lease_pool_add(l->pool, -(int64_t)(l->held - rest));
	l->held = rest;
	if (!l->keep)
		l->keep = keep_of(l);
}
