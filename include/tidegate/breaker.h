/* breaker.h: circuit breakers: how much of a cluster may be in use at once, all workers together.
 *
 * A limit is leased to the workers (lease.h), so it is never exceeded by a single one; Envoy's,
 * checked by each worker for itself, can be. What is limited, for each priority of routes:
 * connections, requests that wait for one, requests under way, retries under way.
 *
 * The state outlives configurations: it is kept by the cluster's name in a registry that is made at
 * start, one row a worker. Owner: each row is its worker's; tg_breakers_get() takes a lock and may
 * ask for memory, so it is for adoptions of a configuration only. Bounds: a block for each name
 * that ever was, freed with the registry.
 */
#ifndef TIDEGATE_BREAKER_H
#define TIDEGATE_BREAKER_H

#include <tidegate/lease.h>
#include <tidegate/stats.h>

/* Envoy's circuit_breakers.thresholds, of one priority. */
struct tg_thresholds {
	uint32_t max[TG_RESOURCES];     /* defaults 1024, 1024, 1024, 3 */
	bool has_budget;                /* instead of max[TG_RES_RETRY]: */
	uint32_t budget_percent;        /* of the requests under way and waiting; 20 */
	uint32_t min_retry_concurrency; /* at least so many; 3 */
	bool track_remaining;
};

struct tg_cluster;
struct tg_breakers;
struct tg_breaker_shared;

/* A worker's part in the breakers of a cluster. */
struct tg_breaker {
	const char *name;
	struct tg_lease lease[TG_PRIORITIES][TG_RESOURCES];
	struct tg_thresholds thresholds[TG_PRIORITIES]; /* of the newest configuration */
	struct tg_cluster_stats *stats, *all_stats;     /* this worker's; [n_workers] */
	uint32_t n_workers;
	uint8_t needs[TG_PRIORITIES]; /* enum tg_need, of connections */
	/* The worker's own to keep: idle connections, and the list of all rows that it ever used */
	uint32_t n_idle;
	bool known;
	struct tg_breaker_shared *shared;
	struct tg_breaker *next;
} __attribute__((aligned(64)));

struct tg_breakers *tg_breakers_create(uint32_t n_workers); /* NULL: no memory */
void tg_breakers_destroy(struct tg_breakers *b);
/* The rows of a cluster, [n_workers]; NULL: no memory. Any thread. */
struct tg_breaker *tg_breakers_get(struct tg_breakers *b, const char *name);
/* c's limits hold for this worker from now on. */
void tg_breaker_adopt(struct tg_breaker *row, const struct tg_cluster *c, uint32_t worker);

static inline bool tg_breaker_take(struct tg_breaker *b, enum tg_priority p, enum tg_resource r)
{
	if (!tg_lease_take(&b->lease[p][r]))
		return false;
	b->stats->breaker[p][r].used++;
	return true;
}

static inline void tg_breaker_give(struct tg_breaker *b, enum tg_priority p, enum tg_resource r)
{
	b->stats->breaker[p][r].used--;
	tg_lease_give(&b->lease[p][r]);
}

/* TG_RES_RETRY, whose limit may be a share of what goes on now. */
bool tg_breaker_take_retry(struct tg_breaker *b, enum tg_priority p);

/* Connections are kept when nobody uses them, and so are their leases. A worker whose requests wait
 * for a connection that it may not open says so, and the others lend it some: of those that idle,
 * and if it has none at all, of those that come free, down to one each. */
enum tg_need {
	TG_NEED_NONE,
	TG_NEED_MORE,
	TG_NEED_FIRST, /* it has none, so nothing that comes free of its own will serve it */
};
void tg_breaker_need(struct tg_breaker *b, enum tg_priority p, enum tg_need n);
/* What others need most. */
enum tg_need tg_breaker_others_need(const struct tg_breaker *b, enum tg_priority p);
/* Whether any worker needs anything, of any cluster: one load. */
bool tg_breakers_needed(const struct tg_breakers *b);

/* A connection of this priority that comes free is better given up, and no other one opened. */
static inline bool tg_breaker_must_lend(
	const struct tg_breaker *b, enum tg_priority p, uint32_t keep)
{
	return b->n_workers > 1 && b->lease[p][TG_RES_CX].used > keep &&
	       tg_breaker_others_need(b, p) == TG_NEED_FIRST;
}

#endif
