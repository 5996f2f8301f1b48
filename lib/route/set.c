/* set.c: the endpoints that a worker chooses from. The one place that says which they are. */
#include <math.h>
#include <string.h>

#include <tidegate/health.h>

#include "set.h"

/* Looking through many takes time: a set is made again only after so much more of it, in ns for
 * each endpoint. In between who is chosen is looked at himself. */
#define REST_PER_ENDPOINT 1000
#define FEW 64
/* Of slow start: weights are in so many parts, and looked at so often in its time, but not more
 * often than that (ns). */
#define SLOW_PARTS 1000
#define SLOW_LOOKS 128
#define SLOW_REST 5000000

static uint32_t levels_of(const struct tg_cluster *c)
{
	return c->n_levels ? c->n_levels : 1;
}

/* Zones that groups can have: an endpoint at least is in each, and in one group. */
static size_t zones_of(const struct tg_cluster *c, size_t n)
{
	size_t most = 2 * (size_t)levels_of(c) * TG_LOCALITIES_MAX;

	return !c->local && !c->zone_weighted ? 0 : n < most ? n : most;
}

size_t tg_lb_set_bytes(const struct tg_cluster *c)
{
	/* As many as it may ever have, where they come and go. */
	size_t n = c->n_endpoints > c->max_endpoints ? c->n_endpoints : c->max_endpoints;
	size_t level = sizeof(struct tg_lb_level) + 2 * sizeof(struct tg_lb_group);

	if (!c->health)
		return 0;
	return levels_of(c) * level + zones_of(c, n) * sizeof(struct tg_lb_zone) +
	       n * (2 * sizeof(uint32_t)) + (2 * n + 7) / 8 * 8;
}

void tg_lb_set_init(struct tg_lb_set *set, const struct tg_cluster *c, void *memory)
{
	*set = (struct tg_lb_set){.all = true, .n = c->n_endpoints, .due = UINT64_MAX};
	set->groups = memory;
	if (!c->health)
		return;
	memset(set->groups, 0,
		2 * levels_of(c) * sizeof(*set->groups) + levels_of(c) * sizeof(*set->levels) +
			zones_of(c, c->n_endpoints) * sizeof(*set->zones));
	set->levels = (struct tg_lb_level *)(set->groups + 2 * levels_of(c));
	set->zones = (struct tg_lb_zone *)(set->levels + levels_of(c));
	set->index = (uint32_t *)(set->zones + zones_of(c, c->n_endpoints));
	set->upto = set->index + c->n_endpoints;
	set->in = (uint8_t *)(set->upto + c->n_endpoints);
	set->state = set->in + c->n_endpoints;
	tg_lb_set_make(set, c, 0);
}

/* Marks those that are known to be good, or those of which nothing is known; returns how many. */
static uint32_t mark(struct tg_lb_set *set, const struct tg_cluster *c, bool pending)
{
	uint32_t n = 0;

	memset(set->levels, 0, levels_of(c) * sizeof(*set->levels));
	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		uint32_t flags = tg_host_flags(c->endpoints[i].host);
		bool well = pending ? tg_health_unknown(flags) : tg_health_good(flags);
		struct tg_lb_level *l = &set->levels[c->endpoints[i].priority];

		set->state[i] = !well                        ? SET_BAD
				: flags & TG_HEALTH_DEGRADED ? SET_DEGRADED
							     : SET_GOOD;
		l->n++;
		l->good += set->state[i] == SET_GOOD;
		l->degraded += set->state[i] == SET_DEGRADED;
		n += well;
	}
	return n;
}

/* Part of its weight that an endpoint has, in SLOW_PARTS; *due: when it will be another. */
static uint32_t part_of(
	const struct tg_cluster *c, const struct tg_endpoint *e, uint64_t now, uint64_t *due)
{
	uint64_t since = e->host ? tg_host_since(e->host) : 0;
	uint64_t age = now > since ? now - since : 0, look;
	double part;

	if (!c->slow_window || !since || age >= c->slow_window)
		return SLOW_PARTS;
	part = (double)(age ? age : 1) / (double)c->slow_window;
	if (c->slow_exponent != 1)
		part = pow(part, c->slow_exponent);
	part = part > c->slow_least ? part : c->slow_least;
	look = c->slow_window / SLOW_LOOKS > SLOW_REST ? c->slow_window / SLOW_LOOKS : SLOW_REST;
	*due = now + look < *due ? now + look : *due;
	return part * SLOW_PARTS > 1 ? (uint32_t)(part * SLOW_PARTS) : 1;
}

/* What a weight is multiplied with while some start slowly, so that parts of it can be told and the
 * sum is held. */
static uint32_t scale_of(const struct tg_cluster *c, bool slow)
{
	uint64_t total = c->total_weight ? c->total_weight : c->n_endpoints;
	uint64_t most = total ? UINT32_MAX / total : 1;

	return !slow ? 1 : most < SLOW_PARTS ? (uint32_t)most : SLOW_PARTS;
}

static bool is_near(const struct tg_endpoint *e)
{
	return e->locality == 0 && e->priority == 0;
}

/* Whether those in the own locality get what priority 0 is given. */
static bool prefers_near(struct tg_lb_set *set, const struct tg_cluster *c)
{
	uint32_t n = 0;

	if (!c->near_least || set->levels[0].panic)
		return false;
	if (set->levels[0].good < c->zone_min) {
		set->zoning = TG_ZONING_SMALL;
		return false;
	}
	for (uint32_t i = 0; i < c->n_endpoints; i++)
		n += is_near(&c->endpoints[i]) && set->state[i] == SET_GOOD;
	return n >= c->near_least;
}

static bool goes_by_zone(const struct tg_lb_set *set, const struct tg_cluster *c, uint32_t g)
{
	if (!c->by_zone || set->levels[g % levels_of(c)].panic)
		return false;
	return c->zone_weighted || (g == 0 && set->zoning >= TG_ZONING_REFUSED);
}

/* Who is put in next is the first of its locality. */
static void begin_zone(struct tg_lb_set *set, struct tg_lb_group *group, uint32_t locality)
{
	struct tg_lb_zone *z = &set->zones[set->n_zones++];

	group->n_zones++;
	z->from = group->from + group->n;
	z->n = 0;
	z->before = group->total;
	z->total = 0;
	z->locality = locality;
}

static void put_in(struct tg_lb_set *set, const struct tg_cluster *c, struct tg_lb_group *group,
	uint32_t i, uint32_t weight, bool by_zone)
{
	struct tg_lb_zone *z = &set->zones[group->zone + group->n_zones - 1];

	if (by_zone && (!group->n_zones || z->locality != c->endpoints[i].locality)) {
		begin_zone(set, group, c->endpoints[i].locality);
		z = &set->zones[set->n_zones - 1];
	}
	group->total += weight;
	if (by_zone) {
		z->n++;
		z->total += weight;
	}
	set->in[i] = (uint8_t)(group - set->groups + 1);
	set->index[group->from + group->n] = i;
	set->upto[group->from + group->n++] = group->total;
}

static uint32_t weight_of(const struct tg_cluster *c, uint32_t i)
{
	if (!c->total_weight)
		return 1;
	return c->endpoints[i].upto - (i ? c->endpoints[i - 1].upto : 0);
}

/* Group g is of the endpoints of a priority that are in this state; of all in panic. */
static void fill(struct tg_lb_set *set, const struct tg_cluster *c, uint32_t g, uint32_t priority,
	enum set_state state, uint64_t now)
{
	struct tg_lb_group *group = &set->groups[g];
	bool by_zone = goes_by_zone(set, c, g);
	uint64_t never = UINT64_MAX;
	uint32_t scale = scale_of(c, set->due != UINT64_MAX);

	for (uint32_t k = 0; k < c->n_endpoints; k++) {
		uint32_t i = by_zone ? c->by_zone[k] : k;
		const struct tg_endpoint *e = &c->endpoints[i];
		uint64_t weight = (uint64_t)weight_of(c, i) * scale;

		if (e->priority != priority || (!group->panic && set->state[i] != state) ||
			(set->near && g == 0 && !is_near(e)))
			continue;
		if (scale > 1)
			weight = weight * part_of(c, e, now, &never) / SLOW_PARTS;
		put_in(set, c, group, i, weight ? (uint32_t)weight : 1, by_zone);
	}
	group->stride = tg_lb_stride(group->total, group->n);
	for (uint32_t z = group->zone; z < group->zone + group->n_zones; z++)
		set->zones[z].stride = tg_lb_stride(set->zones[z].total, set->zones[z].n);
}

static void make_groups(struct tg_lb_set *set, const struct tg_cluster *c,
	const struct zone_plan *plan, uint64_t now)
{
	uint32_t n = levels_of(c), percent = 0;

	memset(set->in, 0, c->n_endpoints);
	set->n = set->n_zones = 0;
	set->only = NULL;
	for (uint32_t g = 0; g < 2 * n; g++) {
		const struct tg_lb_level *l = &set->levels[g % n];
		struct tg_lb_group *group = &set->groups[g];
		/* In panic one group is of all. */
		uint32_t load = g < n      ? l->load + (l->panic ? l->load_degraded : 0)
				: l->panic ? 0
					   : l->load_degraded;

		percent += load;
		group->percent = percent;
		group->panic = l->panic;
		group->from = set->n;
		group->zone = set->n_zones;
		group->n = group->n_zones = group->total = 0;
		if (load == 100)
			set->only = group;
		if (load && !(l->panic && c->fail_on_panic))
			fill(set, c, g, g % n, g < n ? SET_GOOD : SET_DEGRADED, now);
		if (group->n_zones)
			zone_share(set, c, plan, group, g % n);
		set->panic |= load && l->panic;
		set->n += group->n;
	}
}

static uint64_t slow_until(const struct tg_cluster *c, uint64_t now)
{
	uint64_t due = UINT64_MAX;

	for (uint32_t i = 0; i < c->n_endpoints && c->slow_window; i++)
		part_of(c, &c->endpoints[i], now, &due);
	return due;
}

void tg_lb_set_make(struct tg_lb_set *set, const struct tg_cluster *c, uint64_t now)
{
	uint32_t n = levels_of(c);
	struct zone_plan plan;
	bool panic;

	set->next = c->n_endpoints > FEW ? now + (uint64_t)c->n_endpoints * REST_PER_ENDPOINT : 0;
	set->generation = tg_lb_generation(c);
	set->due = slow_until(c, now);
	set->panic = false;
	if (!mark(set, c, false))
		mark(set, c, true);
	tg_lb_loads(set->levels, n, c->overprovisioning ? c->overprovisioning : 140,
		c->panic_threshold);
	panic = set->levels[0].panic && !c->fail_on_panic;
	zone_plan(set, c, &plan);
	set->near = prefers_near(set, c);
	if (set->near)
		set->zoning = TG_ZONING_OFF;
	set->all = n == 1 && set->due == UINT64_MAX && !set->near && !goes_by_zone(set, c, 0) &&
		   (set->levels[0].good == c->n_endpoints || panic);
	if (set->all) {
		set->n = c->n_endpoints;
		set->panic = panic;
	} else {
		make_groups(set, c, &plan, now);
	}
	set->counted = set->panic || set->near || set->zoning != TG_ZONING_OFF;
}
