/* balance.c: weights, and the balancers that need no tables. */
#include <tidegate/route.h>

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

int tg_cluster_compile(struct tg_cluster *c)
{
	uint64_t sum = 0;
	uint32_t div = 0;

	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		if (c->endpoints[i].weight == 0)
			return TG_ERANGE;
		sum += c->endpoints[i].weight;
		div = gcd(c->endpoints[i].weight, div);
	}
	if (sum > UINT32_MAX)
		return TG_ERANGE;
	c->total_weight = div ? (uint32_t)sum / div : 0;
	/* Equal weights are taken in the order in which they stand. */
	c->stride = c->total_weight == c->n_endpoints ? 1 : golden_stride(c->total_weight);
	sum = 0;
	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		sum += c->endpoints[i].weight / div;
		c->endpoints[i].upto = (uint32_t)sum;
	}
	return 0;
}

/* The endpoint whose share of 0 .. total-1 holds `at`. */
static uint32_t owner_of(const struct tg_cluster *c, uint32_t at)
{
	uint32_t lo = 0, hi = c->n_endpoints - 1;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (at < c->endpoints[mid].upto)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static uint32_t pick(const struct tg_cluster *c, uint32_t *pos)
{
	uint32_t total = c->total_weight ? c->total_weight : c->n_endpoints;
	uint32_t p = *pos < total ? *pos : *pos % total;

	*pos = p + 1 < total ? p + 1 : 0;
	if (total == c->n_endpoints)
		return p;
	return owner_of(c, (uint32_t)((uint64_t)p * c->stride % total));
}

const struct tg_endpoint *tg_lb_round_robin(
	const struct tg_cluster *c, uint32_t *pos, const struct tg_endpoint *avoid)
{
	uint32_t i;

	if (c->n_endpoints == 0)
		return NULL;
	i = pick(c, pos);
	/* A few more turns keep the weights; beyond (one endpoint has nearly all) take the next. */
	for (int turn = 0; turn < 4 && &c->endpoints[i] == avoid && c->n_endpoints > 1; turn++)
		i = pick(c, pos);
	if (&c->endpoints[i] == avoid)
		i = i + 1 < c->n_endpoints ? i + 1 : 0;
	return &c->endpoints[i];
}

static const struct tg_endpoint *round_robin(
	const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	return tg_lb_round_robin(c, ask->pos, ask->avoid);
}

static uint32_t draw(const struct tg_cluster *c, struct tg_rng *rng)
{
	uint32_t total = c->total_weight ? c->total_weight : c->n_endpoints;
	uint32_t at = tg_rng_below(rng, total);

	return total == c->n_endpoints ? at : owner_of(c, at);
}

/* By weight; seldom `avoid`, and never if a few draws more can help it. */
static const struct tg_endpoint *random_one(const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	uint32_t i = draw(c, ask->rng);

	for (int turn = 0; turn < 4 && &c->endpoints[i] == ask->avoid; turn++)
		i = draw(c, ask->rng);
	if (&c->endpoints[i] == ask->avoid)
		i = i + 1 < c->n_endpoints ? i + 1 : 0;
	return &c->endpoints[i];
}

/* The least loaded of a few drawn by weight: requests under way against weight. */
static const struct tg_endpoint *least_request(
	const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	const struct tg_endpoint *best = random_one(c, ask);
	uint64_t best_load = ask->active ? ask->active(ask->ctx, best) + 1 : 0;

	for (uint32_t i = 1; i < c->choice_count && ask->active; i++) {
		const struct tg_endpoint *e = random_one(c, ask);
		uint64_t load = ask->active(ask->ctx, e) + 1;

		if (load * best->weight < best_load * e->weight) {
			best = e;
			best_load = load;
		}
	}
	return best;
}

const struct tg_lb_ops tg_lb_ops_round_robin = {"round_robin", NULL, round_robin};
const struct tg_lb_ops tg_lb_ops_random = {"random", NULL, random_one};
const struct tg_lb_ops tg_lb_ops_least_request = {"least_request", NULL, least_request};

int tg_cluster_compile_lb(struct tg_cluster *c, tg_alloc_fn *alloc, void *ctx)
{
	return c->lb && c->lb->compile && c->n_endpoints ? c->lb->compile(c, alloc, ctx) : 0;
}

const struct tg_endpoint *tg_lb_pick(const struct tg_cluster *c, const struct tg_lb_ask *ask)
{
	if (c->n_endpoints < 2)
		return c->n_endpoints ? c->endpoints : NULL;
	return c->lb ? c->lb->pick(c, ask) : round_robin(c, ask);
}
