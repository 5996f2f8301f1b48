/* zone.c: which zone of a priority a request goes to, by Envoy's two rules.
 *
 * locality_weighted_lb_config: by weights of localities, each times the part of its endpoints that
 * are well, times overprovisioning_factor, at most 1.
 *
 * zone_aware_lb_config: processes like this one, the local cluster, stand in zones as the endpoints
 * do. Where the own zone has at least as large a part of the endpoints as of the processes, it can
 * take all requests of this process. Else it takes as many as are its part, and the rest goes to
 * zones that have a larger part of the endpoints than of the processes, as far as it is larger: so
 * that all endpoints have about as much to do. */
#include <stdlib.h>
#include <string.h>

#include "set.h"

#define PARTS 10000 /* Envoy's unit of parts, which are rounded down */
/* Of weights; and steps through them that come by each zone as often as it is due, evenly. */
#define SHARES 65536
#define STRIDE 40503

/* Endpoints in each locality. */
struct census {
	uint32_t all[TG_LOCALITIES_MAX], good[TG_LOCALITIES_MAX];
	uint32_t n, n_good, n_degraded, n_zones;
};

static void count_one(struct census *k, uint32_t locality, bool good, bool degraded)
{
	k->n_zones += k->all[locality]++ == 0;
	k->good[locality] += good;
	k->n++;
	k->n_good += good;
	k->n_degraded += degraded;
}

static void count_local(struct census *k, const struct tg_cluster *local)
{
	memset(k, 0, sizeof(*k));
	for (uint32_t i = 0; i < local->n_self; i++)
		count_one(k, 0, true, false);
	for (uint32_t i = 0; i < local->n_endpoints; i++) {
		uint32_t flags = tg_host_flags(local->endpoints[i].host);
		bool good = tg_health_good(flags), degraded = flags & TG_HEALTH_DEGRADED;

		count_one(k, local->endpoints[i].locality, good && !degraded, good && degraded);
	}
}

static void count_first(struct census *k, const struct tg_lb_set *set, const struct tg_cluster *c)
{
	memset(k, 0, sizeof(*k));
	for (uint32_t i = 0; i < c->n_endpoints; i++)
		if (c->endpoints[i].priority == 0)
			count_one(k, c->endpoints[i].locality, set->state[i] == SET_GOOD, false);
}

static uint32_t part(const struct census *k, uint32_t locality)
{
	return k->n_good ? (uint32_t)((uint64_t)PARTS * k->good[locality] / k->n_good) : 0;
}

static bool in_panic(const struct census *k, uint32_t threshold)
{
	uint64_t well = (uint64_t)k->n_good + k->n_degraded;

	return well * 1000000 < (uint64_t)threshold * k->n;
}

static enum tg_lb_zoning zoning_of(struct tg_lb_set *set, const struct tg_cluster *c,
	const struct census *up, const struct census *local, struct zone_plan *plan)
{
	uint32_t there = part(up, 0), here = part(local, 0);

	if (up->n_zones < 2 || local->n_zones < 2)
		return TG_ZONING_OFF;
	if (!local->all[0])
		return TG_ZONING_NOT_OK;
	if (up->n_good < c->zone_min)
		return TG_ZONING_SMALL;
	if (in_panic(local, c->panic_threshold))
		return c->fail_on_panic ? TG_ZONING_REFUSED : TG_ZONING_NOT_OK;
	if (there && there >= here)
		return TG_ZONING_DIRECT;
	set->local_part = here ? there * PARTS / here : 0;
	for (uint32_t i = 1; i < TG_LOCALITIES_MAX; i++)
		if (part(up, i) > part(local, i))
			plan->room[i] = part(up, i) - part(local, i);
	return TG_ZONING_RESIDUAL;
}

void zone_plan(struct tg_lb_set *set, const struct tg_cluster *c, struct zone_plan *plan)
{
	struct census up, local;

	set->local_part = 0;
	set->zoning = TG_ZONING_OFF;
	if (!c->local || set->levels[0].panic)
		return;
	memset(plan, 0, sizeof(*plan));
	count_first(&up, set, c);
	count_local(&local, tg_cluster_live(c->local));
	set->zoning = (uint8_t)zoning_of(set, c, &up, &local, plan);
}

/* Of the endpoints of a locality and priority: how many there are, in factor percent of them. */
static double well_of(const struct tg_cluster *c, uint32_t n, uint32_t all)
{
	double factor = c->overprovisioning ? c->overprovisioning : 140;
	double part = factor / 100 * n / all;

	return part < 1 ? part : 1;
}

static void share_by_weight(
	struct tg_lb_set *set, const struct tg_cluster *c, struct tg_lb_group *g, uint32_t priority)
{
	struct tg_lb_zone *z = &set->zones[g->zone];
	uint32_t all[TG_LOCALITIES_MAX] = {0};
	double weight[TG_LOCALITIES_MAX], sum = 0, before = 0;

	for (uint32_t i = 0; i < c->n_endpoints; i++)
		all[c->endpoints[i].locality] += c->endpoints[i].priority == priority;
	for (uint32_t i = 0; i < g->n_zones; i++) {
		weight[i] = c->endpoints[set->index[z[i].from]].zone_weight *
			    well_of(c, z[i].n, all[z[i].locality]);
		sum += weight[i];
	}
	for (uint32_t i = 0; i < g->n_zones && sum > 0; i++) {
		before += weight[i];
		z[i].share = (uint32_t)(before / sum * SHARES + 0.5);
	}
	g->shares = SHARES;
	if (!(sum > 0))
		g->n_zones = 0; /* nothing is said: by endpoint */
}

void zone_share(struct tg_lb_set *set, const struct tg_cluster *c, const struct zone_plan *plan,
	struct tg_lb_group *g, uint32_t priority)
{
	struct tg_lb_zone *z = &set->zones[g->zone];

	g->shares = 0;
	if (c->zone_weighted) {
		share_by_weight(set, c, g, priority);
		return;
	}
	for (uint32_t i = 0; i < g->n_zones && set->zoning == TG_ZONING_RESIDUAL; i++)
		z[i].share = g->shares += plan->room[z[i].locality];
}

/* --- of a request --- */

static struct tg_lb_zone *owner_of(const struct tg_lb_ask *ask, uint32_t at)
{
	struct tg_lb_zone *z = &ask->set->zones[ask->group->zone];

	while (at >= z->share)
		z++;
	return z;
}

static void pick_residual(struct tg_lb_ask *ask)
{
	const struct tg_lb_group *g = ask->group;

	if (tg_rng_below(ask->rng, PARTS) < ask->set->local_part) {
		ask->way = TG_LB_SAMPLED;
		ask->zone = &ask->set->zones[g->zone];
	} else if (g->shares) {
		ask->way = TG_LB_CROSS;
		ask->zone = owner_of(ask, tg_rng_below(ask->rng, g->shares));
	} else { /* rounding has left nothing */
		ask->way = TG_LB_NO_CAPACITY;
		ask->zone = &ask->set->zones[g->zone + tg_rng_below(ask->rng, g->n_zones)];
	}
}

bool tg_lb_pick_zone(const struct tg_cluster *c, struct tg_lb_ask *ask)
{
	struct tg_lb_group *g = ask->group;

	if (c->zone_weighted) {
		ask->way = TG_LB_WEIGHTED;
		g->turn = (g->turn + STRIDE) % SHARES;
		ask->zone = owner_of(ask, g->turn);
		return true;
	}
	if (c->zone_percent < 100 && tg_rng_below(ask->rng, 100) >= c->zone_percent)
		return true;
	if (ask->set->zoning == TG_ZONING_RESIDUAL) {
		pick_residual(ask);
		return true;
	}
	ask->way = ask->set->zoning == TG_ZONING_DIRECT ? TG_LB_DIRECT : TG_LB_REFUSED;
	ask->zone = &ask->set->zones[g->zone];
	return ask->way == TG_LB_DIRECT;
}

struct tg_lb_zone *tg_lb_next_zone(const struct tg_lb_ask *ask)
{
	const struct tg_lb_group *g = ask->group;
	struct tg_lb_zone *first = &ask->set->zones[g->zone];
	uint32_t at = (uint32_t)(ask->zone - first);

	for (uint32_t n = 1; n < g->n_zones; n++) {
		uint32_t i = (at + n) % g->n_zones;

		if (first[i].share > (i ? first[i - 1].share : 0))
			return &first[i];
	}
	return ask->zone;
}

double tg_lb_zone_part(const struct tg_lb_set *set, const struct tg_lb_group *g, uint32_t i)
{
	const struct tg_lb_zone *z = &set->zones[g->zone + i];
	double own = set->zoning == TG_ZONING_DIRECT ? 1 : (double)set->local_part / PARTS;
	double share = g->shares ? (double)(z->share - (i ? z[-1].share : 0)) / g->shares : 0;

	if (set->zoning == TG_ZONING_OFF) /* by weight */
		return share;
	if (!g->shares && set->zoning == TG_ZONING_RESIDUAL)
		share = 1.0 / g->n_zones;
	return (z->locality ? 0 : own) + (1 - own) * share;
}

/* --- of a configuration --- */

int zone_compile(struct tg_cluster *c, tg_alloc_fn *alloc, void *ctx)
{
	uint32_t at[TG_LOCALITIES_MAX + 1] = {0};

	if ((!c->local && !c->zone_weighted) || (c->lb && c->lb->compile) || !c->n_endpoints)
		return 0;
	c->by_zone = alloc(ctx, c->n_endpoints * sizeof(*c->by_zone));
	if (!c->by_zone)
		return TG_ENOMEM;
	for (uint32_t i = 0; i < c->n_endpoints; i++)
		at[c->endpoints[i].locality + 1]++;
	for (uint32_t l = 0; l < TG_LOCALITIES_MAX; l++)
		at[l + 1] += at[l];
	for (uint32_t i = 0; i < c->n_endpoints; i++)
		c->by_zone[at[c->endpoints[i].locality]++] = i;
	return 0;
}

/* Sums over the endpoints of a priority, and of its localities. */
struct sums {
	double weight, zones, of[TG_LOCALITIES_MAX];
};

double *zone_table_weights(const struct tg_cluster *c)
{
	double *weights = malloc((c->n_endpoints + 1) * sizeof(*weights));
	struct sums *sums = calloc(c->n_levels + 1, sizeof(*sums));

	if (!weights || !sums) {
		free(weights);
		free(sums);
		return NULL;
	}
	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		const struct tg_endpoint *e = &c->endpoints[i];
		struct sums *s = &sums[e->priority];

		s->zones += s->of[e->locality] > 0 ? 0 : e->zone_weight;
		s->of[e->locality] += e->weight;
		s->weight += e->weight;
	}
	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		const struct tg_endpoint *e = &c->endpoints[i];
		const struct sums *s = &sums[e->priority];

		weights[i] = e->weight;
		if (c->zone_weighted && s->zones > 0)
			weights[i] *= s->weight * e->zone_weight / s->zones / s->of[e->locality];
	}
	free(sums);
	return weights;
}
