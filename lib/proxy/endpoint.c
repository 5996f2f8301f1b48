/* endpoint.c: the endpoints of a worker, and their adoption from snapshots. */
#include <stdlib.h>

#include "internal.h"

static void free_endpoint(struct px_endpoint *ep)
{
	ep->used = false;
	tg_list_del(&ep->live);
	/* What waited here does no more; who waits elsewhere says so again at the next look. */
	for (uint32_t i = 0; i < TG_PRIORITIES; i++)
		tg_breaker_need(ep->breaker, i, TG_NEED_NONE);
	tg_pool_put(&ep->proxy->endpoint_pool, ep);
}

void px_endpoint_put(struct px_endpoint *ep)
{
	if (--ep->refs == 0 && !ep->wanted)
		free_endpoint(ep);
}

static uint64_t endpoint_hash(const char *cluster, const struct tg_sockaddr *a)
{
	return tg_hash64(tg_hash64(a->port, a->ip.b, sizeof(a->ip.b)), cluster, strlen(cluster));
}

static bool same_endpoint(
	const struct px_endpoint *ep, const char *cluster, const struct tg_sockaddr *a)
{
	return ep->addr.port == a->port && tg_ip_eq(&ep->addr.ip, &a->ip) &&
	       strncmp(ep->cluster, cluster, TG_PX_NAME_MAX - 1) == 0;
}

static struct px_endpoint *new_endpoint(
	struct tg_proxy *p, struct tg_breaker *breaker, const struct tg_sockaddr *a)
{
	struct px_endpoint *ep = tg_pool_take(&p->endpoint_pool);

	if (!ep)
		return NULL;
	memset(ep, 0, sizeof(*ep));
	tg_list_init(&ep->idle);
	for (uint32_t i = 0; i < TG_PRIORITIES; i++)
		tg_list_init(&ep->pending[i]);
	tg_list_init(&ep->live);
	ep->addr = *a;
	strncpy(ep->cluster, breaker->name, TG_PX_NAME_MAX - 1);
	ep->breaker = breaker;
	ep->proxy = p;
	ep->used = true;
	return ep;
}

/* A hash table of the endpoints there are, for the time of one adoption. Linear probing. */
static struct px_endpoint *find_slot(struct px_endpoint **table, uint64_t mask, const char *cluster,
	const struct tg_sockaddr *a, struct px_endpoint ***slot)
{
	for (uint64_t i = endpoint_hash(cluster, a);; i++) {
		*slot = &table[i & mask];
		if (!**slot || same_endpoint(**slot, cluster, a))
			return **slot;
	}
}

static void close_idle_of(struct px_endpoint *ep)
{
	struct tg_link *l;

	ep->refs++; /* stays until we are through */
	while ((l = ep->idle.next) != &ep->idle)
		px_up_release(TG_CONTAINER(l, struct px_up, link), PX_RELEASE_CLOSE);
	px_endpoint_put(ep);
}

/* This worker's part in the breakers of each cluster. */
static int adopt_breakers(struct tg_proxy *p, const struct tg_snapshot *s, struct tg_breaker **rows)
{
	for (uint32_t c = 0; c < s->n_clusters; c++) {
		rows[c] = tg_breakers_get(p->breakers, s->clusters[c].name);
		if (!rows[c])
			return TG_ENOMEM;
		rows[c] += p->conf.worker;
	}
	for (uint32_t c = 0; c < s->n_clusters; c++) {
		struct tg_breaker *b = rows[c];

		tg_breaker_adopt(b, &s->clusters[c], p->conf.worker);
		if (b->known)
			continue;
		b->known = true;
		b->next = p->known;
		p->known = b;
	}
	return 0;
}

static void want(struct tg_proxy *p, const struct tg_cluster *c, struct px_endpoint *ep)
{
	ep->wanted = true;
	ep->stats = &c->stats[p->conf.worker];
}

static void adopt_one(struct tg_proxy *p, struct px_endpoint **table, uint64_t mask,
	const struct tg_cluster *c, struct tg_breaker *b, const struct tg_endpoint *e,
	struct px_endpoint **out)
{
	struct px_endpoint **slot, *ep = find_slot(table, mask, c->name, &e->addr, &slot);

	if (!ep)
		ep = *slot = new_endpoint(p, b, &e->addr);
	if (!ep)
		return;
	want(p, c, ep);
	*out = ep;
}

static void count_zones(const struct tg_proxy *p, const struct tg_cluster *c)
{
	if (c->local && c->stats)
		c->stats[p->conf.worker].lb_recalculate_zone_structures++;
}

/* What this worker chooses from, of each cluster, in one block. NULL: no memory. */
static struct tg_lb_set *make_sets(const struct tg_proxy *p, const struct tg_snapshot *s)
{
	size_t head = (s->n_clusters + 1) * sizeof(struct tg_lb_set), size = head;
	struct tg_lb_set *sets;
	uint8_t *at;

	for (uint32_t c = 0; c < s->n_clusters; c++)
		size += tg_lb_set_bytes(&s->clusters[c]);
	sets = calloc(1, size);
	if (!sets)
		return NULL;
	at = (uint8_t *)sets + head;
	for (uint32_t c = 0; c < s->n_clusters; c++) {
		tg_lb_set_init(&sets[c], tg_cluster_live(&s->clusters[c]), at);
		count_zones(p, &s->clusters[c]);
		at += tg_lb_set_bytes(&s->clusters[c]);
	}
	return sets;
}

static struct px_endpoint *of_pool(
	struct tg_proxy *p, const char *cluster, const struct tg_sockaddr *a)
{
	for (uint32_t i = 0; i < p->endpoint_pool.fresh; i++) {
		struct px_endpoint *ep = tg_pool_at(&p->endpoint_pool, i);

		if (ep->used && same_endpoint(ep, cluster, a))
			return ep;
	}
	return NULL;
}

/* Adoption happens between two turns at a reload: the one place of a worker where memory is asked
 * for. If it is refused, nothing has changed. An endpoint beyond the pool's size has no place and
 * counts as not there (lib/config bounds them below it). */
int px_endpoints_adopt(struct tg_proxy *p, struct tg_snapshot *s)
{
	uint64_t size = 64;
	struct px_endpoint **table, **list = calloc(s->n_endpoints + 1, sizeof(*list)), **slot;
	struct tg_breaker **rows = calloc(s->n_clusters + 1, sizeof(struct tg_breaker *));
	struct tg_lb_set *sets = make_sets(p, s);
	const struct tg_cluster **live =
		calloc(s->n_clusters + 1, sizeof(const struct tg_cluster *));

	while (size < 2 * ((uint64_t)s->n_endpoints + p->endpoint_pool.in_use + 1))
		size *= 2;
	table = calloc(size, sizeof(*table));
	if (!table || !list || !live || !rows || !sets || adopt_breakers(p, s, rows) ||
		px_checks_make(p, s)) {
		free(table);
		free(list);
		free(live);
		free(rows);
		free(sets);
		return TG_ENOMEM;
	}
	for (uint32_t i = 0; i < p->endpoint_pool.fresh; i++) {
		struct px_endpoint *ep = tg_pool_at(&p->endpoint_pool, i);

		if (!ep->used)
			continue;
		ep->wanted = false;
		if (!find_slot(table, size - 1, ep->cluster, &ep->addr, &slot))
			*slot = ep;
	}
	for (uint32_t c = 0; c < s->n_clusters; c++) {
		live[c] = tg_cluster_live(&s->clusters[c]);
		for (uint32_t e = 0; e < live[c]->n_endpoints; e++) {
			const struct tg_endpoint *te = &live[c]->endpoints[e];

			adopt_one(p, table, size - 1, &s->clusters[c], rows[c], te, &list[te->id]);
		}
	}
	for (uint32_t i = 0; i < p->endpoint_pool.fresh; i++) {
		struct px_endpoint *ep = tg_pool_at(&p->endpoint_pool, i);

		if (ep->used && !ep->wanted)
			close_idle_of(ep); /* frees it, unless something is under way */
	}
	free(table);
	free(rows);
	free(p->endpoints);
	free(p->sets);
	free(p->clusters);
	p->clusters = live;
	p->endpoints = list;
	p->sets = sets;
	px_checks_adopt(p, s);
	return 0;
}

static struct tg_breaker *breaker_of(const struct tg_proxy *p, const char *cluster)
{
	struct tg_breaker *b = p->known;

	while (b && strcmp(b->name, cluster) != 0)
		b = b->next;
	return b;
}

void tg_proxy_adopt_live(
	struct tg_proxy *p, const struct tg_snapshot *s, const struct tg_cluster *live)
{
	const struct tg_cluster *old;
	struct px_endpoint *was[TG_PX_LIVE_MAX], *ep;
	struct tg_breaker *b = breaker_of(p, live->name);
	uint32_t n = 0;

	if (s != p->snap || !b)
		return;
	old = p->clusters[live->id];
	for (uint32_t i = 0; i < old->n_endpoints && n < TG_PX_LIVE_MAX; i++) {
		ep = p->endpoints[old->endpoints[i].id];
		if (!ep)
			continue;
		ep->wanted = false;
		was[n++] = ep;
	}
	memset(&p->endpoints[live->first_id], 0, live->max_endpoints * sizeof(*p->endpoints));
	for (uint32_t i = 0; i < live->n_endpoints; i++) {
		const struct tg_endpoint *e = &live->endpoints[i];

		/* The one endpoint of LOGICAL_DNS is dialled elsewhere from now on; the connections
		 * that it has stay, as in Envoy. */
		ep = live->discovery == TG_DISCOVERY_LOGICAL_DNS && n ? was[0] : NULL;
		if (ep)
			ep->addr = e->addr;
		for (uint32_t k = 0; k < n && !ep; k++)
			ep = same_endpoint(was[k], live->name, &e->addr) ? was[k] : NULL;
		/* One that was removed before may still be at its last requests. */
		if (!ep)
			ep = of_pool(p, live->name, &e->addr);
		if (!ep)
			ep = new_endpoint(p, b, &e->addr);
		if (!ep)
			continue;
		want(p, live, ep);
		p->endpoints[e->id] = ep;
	}
	p->clusters[live->id] = live;
	px_checks_adopt_live(p, old, live);
	tg_lb_set_init(&p->sets[live->id], live, p->sets[live->id].groups);
	count_zones(p, live);
	for (uint32_t k = 0; k < n; k++)
		if (!was[k]->wanted)
			close_idle_of(was[k]);
}

/* Where the endpoints of c are, and in which snapshot. Those by DNS are the same for everybody:
 * also for a request under an old snapshot. */
const struct tg_cluster *px_cluster_live(
	const struct tg_proxy *p, const struct tg_snapshot **s, const struct tg_cluster *c)
{
	if (*s == p->snap)
		return p->clusters[c->id];
	if (c->discovery == TG_DISCOVERY_STATIC)
		return c;
	c = tg_cluster_find(p->snap->cluster_names, tg_view_str(c->name));
	*s = p->snap;
	return c ? p->clusters[c->id] : NULL;
}

struct peek {
	const struct tg_proxy *proxy;
	const struct tg_cluster *cluster;
};

/* Requests that an endpoint of the current snapshot has to do for this worker. */
static uint64_t active_at(void *ctx, const struct tg_endpoint *e)
{
	const struct tg_proxy *p = ctx;
	const struct px_endpoint *ep = p->endpoints[e->id];

	return ep ? ep->view.rq_active + ep->n_pending : 0;
}

/* What a worker chooses from in a cluster of the current snapshot, made anew if it has to be. */
static const struct tg_lb_set *set_of(struct tg_proxy *p, const struct tg_cluster *c)
{
	struct tg_lb_set *set = &p->sets[c->id];

	if (tg_unlikely(set->generation != tg_lb_generation(c) || px_now(p) >= set->due) &&
		px_now(p) >= set->next) {
		tg_lb_set_make(set, c, px_now(p));
		count_zones(p, c);
	}
	return set;
}

/* Whoever is well, from somewhere on; of the first priority that has any. NULL: nobody is. */
static const struct tg_endpoint *next_good(const struct tg_cluster *c, uint32_t at)
{
	const struct tg_endpoint *best = NULL;

	for (uint32_t n = 0; n < c->n_endpoints; n++) {
		const struct tg_endpoint *e = &c->endpoints[at];

		at = at + 1 < c->n_endpoints ? at + 1 : 0;
		if (tg_health_good(tg_host_flags(e->host)) &&
			(!best || e->priority < best->priority))
			best = e;
		if (best && (best->priority == 0 || c->n_levels < 2))
			break;
	}
	return best;
}

/* Where there is no set, or it is older than a verdict: a few more choices, then whoever is next.
 */
static const struct tg_endpoint *pick_good(const struct tg_cluster *c, struct tg_lb_ask *ask)
{
	const struct tg_endpoint *e = NULL, *other;

	if (ask->set || c->n_levels < 2)
		e = tg_lb_pick(c, ask);
	for (int turn = 0; turn < 8 && e && !tg_health_good(tg_host_flags(e->host)); turn++) {
		ask->has_hash = false;
		e = tg_lb_pick(c, ask);
	}
	if ((e && tg_health_good(tg_host_flags(e->host))) || ask->way == TG_LB_REFUSED)
		return e;
	other = c->n_endpoints ? next_good(c, tg_rng_below(ask->rng, c->n_endpoints)) : NULL;
	if (other || !e)
		return other;
	if (c->panic_threshold && !c->fail_on_panic)
		return e;
	return tg_health_unknown(tg_host_flags(e->host)) ? e : NULL;
}

static void count_choice(const struct tg_lb_ask *ask, struct tg_cluster_stats *stats)
{
	const struct tg_lb_set *set = ask->set;

	stats->lb_healthy_panic += set->panic && (!ask->group || ask->group->panic);
	stats->lb_zone_routing_all_directly +=
		ask->way == TG_LB_DIRECT || (set->near && ask->group == set->groups);
	stats->lb_zone_routing_sampled += ask->way == TG_LB_SAMPLED;
	stats->lb_zone_routing_cross_zone +=
		ask->way == TG_LB_CROSS || ask->way == TG_LB_NO_CAPACITY;
	stats->lb_zone_no_capacity_left += ask->way == TG_LB_NO_CAPACITY;
	stats->lb_zone_cluster_too_small += set->zoning == TG_ZONING_SMALL;
	stats->lb_local_cluster_not_ok +=
		set->zoning == TG_ZONING_NOT_OK || ask->way == TG_LB_REFUSED;
}

const struct tg_endpoint *px_endpoint_pick(struct tg_proxy *p, const struct tg_snapshot *s,
	const struct tg_cluster *c, struct tg_lb_ask *ask)
{
	const struct tg_endpoint *e;

	c = px_cluster_live(p, &s, c);
	if (!c)
		return NULL;
	ask->rng = &p->rng;
	ask->pos = &c->stats[p->conf.worker].lb_pos;
	if (s == p->snap) { /* loads and sets are those of the newest snapshot */
		ask->active = active_at;
		ask->ctx = p;
		ask->set = set_of(p, c);
		if (tg_likely(ask->set->generation == tg_lb_generation(c))) {
			e = tg_lb_pick(c, ask);
			if (tg_unlikely(ask->set->counted))
				count_choice(ask, &c->stats[p->conf.worker]);
			return e;
		}
	}
	return pick_good(c, ask);
}

struct px_endpoint *px_endpoint_known(struct tg_proxy *p, const struct tg_snapshot *s,
	const struct tg_cluster *c, const struct tg_endpoint *e)
{
	c = px_cluster_live(p, &s, c);
	if (!c)
		return NULL;
	return s == p->snap ? p->endpoints[e->id] : of_pool(p, c->name, &e->addr);
}

/* As active_at(), from another thread: p->endpoints may be replaced meanwhile, the pool's memory
 * stays. */
static uint64_t active_in_pool(void *ctx, const struct tg_endpoint *e)
{
	const struct peek *peek = ctx;

	for (uint32_t i = 0; i < peek->proxy->endpoint_pool.fresh; i++) {
		const struct px_endpoint *ep = tg_pool_at(&peek->proxy->endpoint_pool, i);

		if (ep->used && same_endpoint(ep, peek->cluster->name, &e->addr))
			return ep->view.rq_active + ep->n_pending;
	}
	return 0;
}

const struct tg_endpoint *tg_proxy_peek(
	const struct tg_proxy *p, const struct tg_cluster *c, bool has_hash, uint64_t hash)
{
	struct peek peek = {p, c = tg_cluster_live(c)};
	uint32_t pos = c->stats[p->conf.worker].lb_pos;
	void *memory = calloc(1, tg_lb_set_bytes(c) + 1);
	const struct tg_endpoint *e;
	struct tg_rng rng = p->rng;
	struct tg_lb_set set;
	struct tg_lb_ask ask = {.rng = &rng,
		.set = &set,
		.pos = &pos,
		.has_hash = has_hash,
		.hash = hash,
		.active = active_in_pool,
		.ctx = &peek};

	if (!memory)
		return NULL;
	tg_lb_set_init(&set, c, memory); /* by the verdicts of now, as the worker's will be */
	if (c->health)
		tg_lb_set_make(&set, c, p->wheel->now);
	e = tg_lb_pick(c, &ask);
	free(memory);
	return e;
}

struct px_endpoint *px_endpoint_of(struct tg_proxy *p, const struct tg_snapshot *s,
	const struct tg_cluster *c, const struct tg_endpoint *e)
{
	struct px_endpoint *ep = px_endpoint_known(p, s, c, e);
	struct tg_breaker *b;

	c = px_cluster_live(p, &s, c);
	if (ep || !c || s == p->snap)
		return ep;
	b = breaker_of(p, c->name);
	ep = b ? new_endpoint(p, b, &e->addr) : NULL;
	if (ep)
		ep->stats = &c->stats[p->conf.worker];
	return ep;
}
