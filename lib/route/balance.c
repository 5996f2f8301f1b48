/* balance.c: weights, and the balancers that need no tables. */
#include "set.h"

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/* Steps of this size visit each of 0 .. total-1 once, neighbours far apart: the number without
 * common divisor that is nearest to total / golden ratio. */
static uint32_t golden_stride(uint32_t total)
{
	uint32_t s = (uint32_t)((uint64_t)total * 618034 / 1000000);

	if (s < 1)
		s = 1;
	while (gcd(s, total) != 1)
		s++;
	return s;
}

uint32_t tg_lb_stride(uint32_t total, uint32_t n)
{
	/* Equal weights are taken in the order in which they stand. */
	return total == n ? 1 : golden_stride(total);
}

int tg_cluster_compile(struct tg_cluster *c)
{
	uint64_t sum = 0;
	uint32_t div = 0;

	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		if (c->endpoints[i].weight == 0)
			return TG_ERANGE;
		sum += c->endpoints[i].weight;
		if (c->endpoints[i].priority >= c->n_levels)
			c->n_levels = c->endpoints[i].priority + 1;
		div = gcd(c->endpoints[i].weight, div);
	}
	if (sum > UINT32_MAX)
		return TG_ERANGE;
	c->total_weight = div ? (uint32_t)sum / div : 0;
	c->stride = tg_lb_stride(c->total_weight, c->n_endpoints);
	sum = 0;
	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		sum += c->endpoints[i].weight / div;
		c->endpoints[i].upto = (uint32_t)sum;
	}
	return 0;
}

/* What is chosen from: the whole cluster, or a group of its set. */
struct choice {
	const struct tg_cluster *c;
	const uint32_t *index, *upto; /* NULL: the whole */
	uint32_t n, total, stride;
	uint32_t before; /* of upto[], in front */
};

static struct choice choice_of(const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	const struct tg_lb_group *g = ask->group;
	const struct tg_lb_zone *z = ask->zone;

	if (z)
		return (struct choice){c, ask->set->index + z->from, ask->set->upto + z->from, z->n,
			z->total, z->stride, z->before};
	if (g)
		return (struct choice){c, ask->set->index + g->from, ask->set->upto + g->from, g->n,
			g->total, g->stride, 0};
	return (struct choice){c, NULL, NULL, c->n_endpoints,
		c->total_weight ? c->total_weight : c->n_endpoints, c->stride, 0};
}

static const struct tg_endpoint *nth(const struct choice *k, uint32_t i)
{
	return &k->c->endpoints[k->index ? k->index[i] : i];
}

static uint32_t upto(const struct choice *k, uint32_t i)
{
	return k->upto ? k->upto[i] - k->before : k->c->endpoints[i].upto;
}

static uint64_t weight(const struct choice *k, uint32_t i)
{
	if (k->total == k->n)
		return 1;
	return upto(k, i) - (i ? upto(k, i - 1) : 0);
}

/* The one whose share of 0 .. total-1 holds `at`. */
static uint32_t owner_of(const struct choice *k, uint32_t at)
{
	uint32_t lo = 0, hi = k->n - 1;

	if (k->total == k->n)
		return at;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (at < upto(k, mid))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static uint32_t pick(const struct choice *k, uint32_t *pos)
{
	uint32_t p = *pos < k->total ? *pos : *pos % k->total;

	*pos = p + 1 < k->total ? p + 1 : 0;
	return owner_of(k, k->total == k->n ? p : (uint32_t)((uint64_t)p * k->stride % k->total));
}

static const struct tg_endpoint *take_turns(
	const struct choice *k, uint32_t *pos, const struct tg_endpoint *avoid)
{
	uint32_t i = pick(k, pos);

	/* A few more turns keep the weights; beyond (one endpoint has nearly all) take the next. */
	for (int turn = 0; turn < 4 && nth(k, i) == avoid && k->n > 1; turn++)
		i = pick(k, pos);
	if (nth(k, i) == avoid)
		i = i + 1 < k->n ? i + 1 : 0;
	return nth(k, i);
}

const struct tg_endpoint *tg_lb_round_robin(
	const struct tg_cluster *c, uint32_t *pos, const struct tg_endpoint *avoid)
{
	const struct tg_lb_ask ask = {0};
	struct choice k = choice_of(c, &ask);

	return k.n ? take_turns(&k, pos, avoid) : NULL;
}

static const struct tg_endpoint *round_robin(
	const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	struct choice k = choice_of(c, ask);
	uint32_t *pos = ask->pos;

	/* Turns in one level, or zone, do not count in another. */
	if (ask->zone)
		pos = &ask->zone->pos;
	else if (ask->group && ask->group != ask->set->only)
		pos = &ask->group->pos;
	return take_turns(&k, pos, ask->avoid);
}

/* By weight; seldom `avoid`, and never if a few draws more can help it. */
static uint32_t draw(const struct choice *k, const struct tg_lb_ask *ask)
{
	uint32_t i = owner_of(k, tg_rng_below(ask->rng, k->total));

	for (int turn = 0; turn < 4 && nth(k, i) == ask->avoid; turn++)
		i = owner_of(k, tg_rng_below(ask->rng, k->total));
	if (nth(k, i) == ask->avoid)
		i = i + 1 < k->n ? i + 1 : 0;
	return i;
}

static const struct tg_endpoint *random_one(const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	struct choice k = choice_of(c, ask);

	return nth(&k, draw(&k, ask));
}

/* The least loaded of a few drawn by weight: requests under way against weight. */
static const struct tg_endpoint *least_request(
	const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	struct choice k = choice_of(c, ask);
	uint32_t best = draw(&k, ask);
	uint64_t best_load = ask->active ? ask->active(ask->ctx, nth(&k, best)) + 1 : 0;

	for (uint32_t i = 1; i < c->choice_count && ask->active; i++) {
		uint32_t other = draw(&k, ask);
		uint64_t load = ask->active(ask->ctx, nth(&k, other)) + 1;

		if (load * weight(&k, best) < best_load * weight(&k, other)) {
			best = other;
			best_load = load;
		}
	}
	return nth(&k, best);
}

const struct tg_lb_ops tg_lb_ops_round_robin = {"round_robin", NULL, round_robin};
const struct tg_lb_ops tg_lb_ops_random = {"random", NULL, random_one};
const struct tg_lb_ops tg_lb_ops_least_request = {"least_request", NULL, least_request};

int tg_cluster_compile_lb(struct tg_cluster *c, tg_alloc_fn *alloc, void *ctx)
{
	int rc = zone_compile(c, alloc, ctx);

	return !rc && c->lb && c->lb->compile && c->n_endpoints ? c->lb->compile(c, alloc, ctx)
								: rc;
}

/* The group that a request is for. A hash decides that too, where it decides the rest. */
static struct tg_lb_group *group_of(const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	struct tg_lb_group *g = ask->set->groups;
	uint32_t at;

	if (ask->set->only)
		return ask->set->only;
	at = ask->has_hash && c->lb && c->lb->compile ? (uint32_t)(ask->hash % 100)
						      : tg_rng_below(ask->rng, 100);
	while (at >= g->percent)
		g++;
	return g;
}

/* Out of the way of those that have no zones. False: it is refused. */
static __attribute__((noinline)) bool choose_zone(const struct tg_cluster *c, struct tg_lb_ask *ask)
{
	const struct tg_lb_zone *z;

	if (!tg_lb_pick_zone(c, ask))
		return false;
	z = ask->zone;
	/* There are others elsewhere; but none in a zone of weight 0. */
	if (z && z->n == 1 && &c->endpoints[ask->set->index[z->from]] == ask->avoid)
		ask->zone = c->zone_weighted ? tg_lb_next_zone(ask) : NULL;
	return true;
}

/* Of fewer than two. */
static const struct tg_endpoint *only_one(const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	struct choice k = choice_of(c, ask);

	return k.n ? nth(&k, 0) : NULL;
}

const struct tg_endpoint *tg_lb_pick(const struct tg_cluster *c, struct tg_lb_ask *ask)
{
	uint32_t n;

	ask->group = ask->set && !ask->set->all ? group_of(c, ask) : NULL;
	ask->zone = NULL;
	ask->way = TG_LB_ANYWHERE;
	if (tg_unlikely(ask->group && ask->group->n_zones) && !choose_zone(c, ask))
		return NULL;
	n = ask->zone ? ask->zone->n : ask->group ? ask->group->n : c->n_endpoints;
	if (n < 2)
		return only_one(c, ask);
	return c->lb ? c->lb->pick(c, ask) : round_robin(c, ask);
}
