/* set.c: the endpoints that a worker chooses from. The one place that says which they are. */
#include <string.h>

#include <tidegate/health.h>
#include <tidegate/route.h>

/* Looking through many takes time: a set is made again only after so much more of it, in ns for
 * each endpoint. In between who is chosen is looked at himself. */
#define REST_PER_ENDPOINT 1000
#define FEW 64

size_t tg_lb_set_bytes(const struct tg_cluster *c)
{
	/* As many as it may ever have, where they come and go. */
	size_t n = c->n_endpoints > c->max_endpoints ? c->n_endpoints : c->max_endpoints;

	return c->health ? n * (2 * sizeof(uint32_t)) + (n + 7) / 8 * 8 : 0;
}

void tg_lb_set_init(struct tg_lb_set *set, const struct tg_cluster *c, void *memory)
{
	*set = (struct tg_lb_set){.all = true, .n = c->n_endpoints};
	if (!c->health)
		return;
	set->index = memory;
	set->upto = set->index + c->n_endpoints;
	set->in = (uint8_t *)(set->upto + c->n_endpoints);
	tg_lb_set_make(set, c, 0);
}

/* Marks those that are known to be good, or those of which nothing is known; returns how many. */
static uint32_t mark(struct tg_lb_set *set, const struct tg_cluster *c, bool pending)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		uint32_t flags = tg_host_flags(c->endpoints[i].host);

		set->in[i] = pending ? tg_health_unknown(flags) : tg_health_good(flags);
		n += set->in[i];
	}
	return n;
}

/* The weights of those that are in, as tg_cluster_compile() does it for all. */
static void weigh(struct tg_lb_set *set, const struct tg_cluster *c)
{
	uint32_t n = 0, sum = 0, before = 0;

	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		uint32_t upto = c->total_weight ? c->endpoints[i].upto : i + 1;

		if (set->in[i]) {
			sum += upto - before;
			set->index[n] = i;
			set->upto[n++] = sum;
		}
		before = upto;
	}
	set->total = sum;
	set->stride = tg_lb_stride(sum, n);
}

void tg_lb_set_make(struct tg_lb_set *set, const struct tg_cluster *c, uint64_t now)
{
	set->next = c->n_endpoints > FEW ? now + (uint64_t)c->n_endpoints * REST_PER_ENDPOINT : 0;
	set->generation = tg_health_generation(c->health);
	set->n = mark(set, c, false);
	if (!set->n)
		set->n = mark(set, c, true);
	set->all = set->n == c->n_endpoints;
	if (!set->all)
		weigh(set, c);
}

bool tg_lb_set_has(
	const struct tg_lb_set *set, const struct tg_cluster *c, const struct tg_endpoint *e)
{
	return !set || set->all || set->in[e - c->endpoints];
}
