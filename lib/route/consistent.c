/* consistent.c: ring_hash and maglev: the same hash goes to the same endpoint, and when endpoints
 * come or go, few hashes move. The tables depend on addresses and weights only, so that all
 * workers, and all processes with this configuration, agree. */
#include <math.h>
#include <stdlib.h>

#include "set.h"

static uint64_t hash_of(const struct tg_endpoint *e, uint64_t seed)
{
	return tg_hash64(seed, e->text, strlen(e->text));
}

/* --- ring ---------------------------------------------------------------------------------------
 */

static int by_hash(const void *x, const void *y)
{
	const struct tg_ring_point *a = x, *b = y;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->endpoint < b->endpoint ? -1 : a->endpoint > b->endpoint;
}

/* Points an endpoint has for each unit of weight, in parts of 2^16: so many that the ring is not
 * smaller than asked for, and each endpoint has one. */
static int ring_compile(struct tg_cluster *c, tg_alloc_fn *alloc, void *ctx)
{
	uint64_t want = c->min_ring > c->n_endpoints ? c->min_ring : c->n_endpoints;
	double *weight = zone_table_weights(c), sum = 0;
	uint64_t n = 0, cap;

	if (want > c->max_ring)
		want = c->max_ring;
	cap = want + c->n_endpoints;
	c->ring = alloc(ctx, cap * sizeof(*c->ring));
	if (!weight || !c->ring) {
		free(weight);
		return TG_ENOMEM;
	}
	for (uint32_t i = 0; i < c->n_endpoints; i++)
		sum += weight[i];
	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		uint64_t points = (uint64_t)ceil((double)want * weight[i] / sum);

		for (uint64_t k = 0; k < points && n < cap; k++)
			c->ring[n++] = (struct tg_ring_point){hash_of(&c->endpoints[i], k + 1), i};
	}
	free(weight);
	c->n_ring = (uint32_t)n;
	qsort(c->ring, n, sizeof(*c->ring), by_hash);
	return 0;
}

static uint64_t hash_or_any(const struct tg_lb_ask *ask)
{
	return ask->has_hash ? ask->hash : tg_rng_next(ask->rng);
}

/* Where the table has no place for those that may be chosen. */
static const struct tg_endpoint *first_of(const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	return &c->endpoints[ask->group ? ask->set->index[ask->group->from] : 0];
}

static const struct tg_endpoint *ring_pick(const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	uint64_t h = hash_or_any(ask);
	uint32_t lo = 0, hi = c->n_ring;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (c->ring[mid].hash < h)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* The next one that may be taken. */
	for (uint32_t i = 0; i < c->n_ring; i++, lo++) {
		const struct tg_endpoint *e;

		lo = lo < c->n_ring ? lo : 0;
		e = &c->endpoints[c->ring[lo].endpoint];
		if (e != ask->avoid && tg_lb_may(ask, (uint32_t)(e - c->endpoints)))
			return e;
	}
	return first_of(c, ask);
}

const struct tg_lb_ops tg_lb_ops_ring_hash = {"ring_hash", ring_compile, ring_pick};

/* --- Maglev -------------------------------------------------------------------------------------
 */

/* Where an endpoint's permutation of the table stands. */
struct walk {
	uint32_t at, skip;
	double target;
};

#define FREE UINT32_MAX

static uint32_t next_free(const uint32_t *table, uint32_t n, struct walk *w)
{
	uint32_t at;

	do {
		at = w->at;
		w->at = (uint32_t)(((uint64_t)w->at + w->skip) % n);
	} while (table[at] != FREE);
	return at;
}

/* Eisenbud et al. 2016, section 3.4; an endpoint takes part in as many rounds as its weight says.
 */
static void fill(const struct tg_cluster *c, uint32_t *table, struct walk *w, const double *weight)
{
	uint32_t n = c->table_size, filled = 0;
	double most = 0;

	for (uint32_t i = 0; i < c->n_endpoints; i++)
		most = weight[i] > most ? weight[i] : most;
	for (uint32_t i = 0; i < n; i++)
		table[i] = FREE;
	for (uint64_t round = 1; filled < n; round++)
		for (uint32_t i = 0; i < c->n_endpoints && filled < n; i++) {
			if (!(weight[i] > 0) || (double)round * weight[i] < w[i].target)
				continue;
			w[i].target += most;
			table[next_free(table, n, &w[i])] = i;
			filled++;
		}
}

static int maglev_compile(struct tg_cluster *c, tg_alloc_fn *alloc, void *ctx)
{
	struct walk *w = calloc(c->n_endpoints + 1, sizeof(*w));
	double *weight = zone_table_weights(c);

	c->table = alloc(ctx, c->table_size * sizeof(*c->table));
	if (!w || !weight || !c->table) {
		free(w);
		free(weight);
		return TG_ENOMEM;
	}
	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		w[i].at = (uint32_t)(hash_of(&c->endpoints[i], 0) % c->table_size);
		w[i].skip = (uint32_t)(hash_of(&c->endpoints[i], 1) % (c->table_size - 1)) + 1;
	}
	fill(c, c->table, w, weight);
	free(w);
	free(weight);
	return 0;
}

static const struct tg_endpoint *maglev_pick(
	const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	uint32_t at = (uint32_t)(hash_or_any(ask) % c->table_size);

	for (uint32_t i = 0; i < c->table_size; i++) {
		const struct tg_endpoint *e = &c->endpoints[c->table[at]];

		if (e != ask->avoid && tg_lb_may(ask, c->table[at]))
			return e;
		at = at + 1 < c->table_size ? at + 1 : 0;
	}
	return first_of(c, ask);
}

const struct tg_lb_ops tg_lb_ops_maglev = {"maglev", maglev_compile, maglev_pick};
