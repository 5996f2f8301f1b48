/* set.c: the endpoints that a worker chooses from. The one place that says which they are. */
#include <math.h>
#include <string.h>

#include <tidegate/health.h>
#include <tidegate/route.h>

/* Looking through many takes time: a set is made again only after so much more of it, in ns for
 * each endpoint. In between who is chosen is looked at himself. */
#define REST_PER_ENDPOINT 1000
#define FEW 64
/* Of slow start: weights are in so many parts, and looked at so often in its time, but not more
 * often than that (ns). */
#define SLOW_PARTS 1000
#define SLOW_LOOKS 128
#define SLOW_REST 5000000

enum state { BAD, GOOD, DEGRADED };

static uint32_t levels_of(const struct tg_cluster *c)
{
	return c->n_levels ? c->n_levels : 1;
}

size_t tg_lb_set_bytes(const struct tg_cluster *c)
{
	/* As many as it may ever have, where they come and go. */
	size_t n = c->n_endpoints > c->max_endpoints ? c->n_endpoints : c->max_endpoints;
	size_t level = sizeof(struct tg_lb_level) + 2 * sizeof(struct tg_lb_group);

	return c->health ? levels_of(c) * level + n * (2 * sizeof(uint32_t)) + (2 * n + 7) / 8 * 8
			 : 0;
}

void tg_lb_set_init(struct tg_lb_set *set, const struct tg_cluster *c, void *memory)
{
	*set = (struct tg_lb_set){.all = true, .n = c->n_endpoints, .due = UINT64_MAX};
	set->groups = memory;
	if (!c->health)
		return;
	memset(set->groups, 0, 2 * levels_of(c) * sizeof(*set->groups));
	set->levels = (struct tg_lb_level *)(set->groups + 2 * levels_of(c));
	set->index = (uint32_t *)(set->levels + levels_of(c));
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

		set->state[i] = !well ? BAD : flags & TG_HEALTH_DEGRADED ? DEGRADED : GOOD;
		l->n++;
		l->good += set->state[i] == GOOD;
		l->degraded += set->state[i] == DEGRADED;
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

/* Whether those that are near get what priority 0 is given. */
static bool prefers_near(struct tg_lb_set *set, const struct tg_cluster *c)
{
	uint32_t n = 0;

	set->small = c->near_least && c->n_endpoints < c->near_cluster_size;
	if (!c->near_least || set->small || set->levels[0].panic)
		return false;
	for (uint32_t i = 0; i < c->n_endpoints; i++)
		n += c->endpoints[i].near && c->endpoints[i].priority == 0 && set->state[i] == GOOD;
	return n >= c->near_least;
}

/* Group g is of the endpoints of a priority that are in this state; of all in panic. */
static void fill(struct tg_lb_set *set, const struct tg_cluster *c, uint32_t g, uint32_t priority,
	enum state state, uint64_t now)
{
	struct tg_lb_group *group = &set->groups[g];
	uint64_t never = UINT64_MAX, sum = 0;
	uint32_t before = 0, scale = scale_of(c, set->due != UINT64_MAX);

	group->n = 0;
	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		const struct tg_endpoint *e = &c->endpoints[i];
		uint32_t upto = c->total_weight ? e->upto : i + 1;
		uint64_t weight = (uint64_t)(upto - before) * scale;

		before = upto;
		if (e->priority != priority || (!group->panic && set->state[i] != state) ||
			(set->near && g == 0 && !e->near))
			continue;
		if (scale > 1)
			weight = weight * part_of(c, e, now, &never) / SLOW_PARTS;
		sum += weight ? weight : 1;
		set->in[i] = (uint8_t)(g + 1);
		set->index[group->from + group->n] = i;
		set->upto[group->from + group->n++] = (uint32_t)sum;
	}
	group->total = (uint32_t)sum;
	group->stride = tg_lb_stride(group->total, group->n);
}

static void make_groups(struct tg_lb_set *set, const struct tg_cluster *c, uint64_t now)
{
	uint32_t n = levels_of(c), percent = 0;

	memset(set->in, 0, c->n_endpoints);
	set->n = 0;
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
		group->n = 0;
		if (load == 100)
			set->only = group;
		if (load && !(l->panic && c->fail_on_panic))
			fill(set, c, g, g % n, g < n ? GOOD : DEGRADED, now);
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
	bool panic;

	set->next = c->n_endpoints > FEW ? now + (uint64_t)c->n_endpoints * REST_PER_ENDPOINT : 0;
	set->generation = tg_health_generation(c->health);
	set->due = slow_until(c, now);
	set->panic = false;
	if (!mark(set, c, false))
		mark(set, c, true);
	tg_lb_loads(set->levels, n, c->overprovisioning ? c->overprovisioning : 140,
		c->panic_threshold);
	panic = set->levels[0].panic && !c->fail_on_panic;
	set->near = prefers_near(set, c);
	set->all = n == 1 && set->due == UINT64_MAX && !set->near &&
		   (set->levels[0].good == c->n_endpoints || panic);
	if (!set->all) {
		make_groups(set, c, now);
		return;
	}
	set->n = c->n_endpoints;
	set->panic = panic;
}
