/* proxy.c: a worker's proxy as a whole: memory, adoption of snapshots, drain. */
#include <stdlib.h>

#include "internal.h"

static int init_pools(struct tg_proxy *p)
{
	const struct tg_proxy_conf *c = &p->conf;
	uint32_t large = c->max_exchanges / 16 + 16;
	int rc = tg_pool_init(&p->downs, "downstream", sizeof(struct px_down), c->max_downstream);

	if (!rc)
		rc = tg_pool_init(&p->ups, "upstream", sizeof(struct px_up), c->max_upstream);
	if (!rc)
		rc = tg_pool_init(&p->exchs, "exchange", sizeof(struct px_exch), c->max_exchanges);
	if (!rc)
		rc = tg_pool_init(&p->l4s, "l4_pair", sizeof(struct px_l4),
			c->max_pairs ? c->max_pairs : c->max_downstream);
	if (!rc)
		rc = tg_pool_init(&p->listener_pool, "listener", sizeof(struct px_listener),
			TG_PX_LISTENERS_MAX);
	if (!rc)
		rc = tg_pool_init(&p->endpoint_pool, "endpoint", sizeof(struct px_endpoint),
			TG_PX_ENDPOINTS_MAX);
	if (!rc)
		rc = tg_arena_source_init(
			&p->arenas, TG_PX_SMALL_CHUNK, c->max_exchanges, TG_PX_LARGE_CHUNK, large);
	return rc;
}

struct tg_proxy *tg_proxy_create(const struct tg_proxy_conf *conf, struct tg_errbuf *e)
{
	struct tg_proxy *p = calloc(1, sizeof(*p));

	if (!p)
		goto no_memory;
	p->conf = *conf;
	p->wheel = conf->wheel;
	p->stats = conf->stats;
	tg_rng_seed(&p->rng, conf->seed);
	tg_list_init(&p->heads);
	tg_list_init(&p->live);
	tg_list_init(&p->checks);
	tg_list_init(&p->looks);
	p->field_cap = 1024 + TG_PX_FIELDS_ADDED;
	p->fields = calloc(p->field_cap, sizeof(*p->fields));
	p->breakers = conf->breakers;
	if (!p->breakers)
		p->breakers = p->own_breakers = tg_breakers_create(conf->n_workers);
	p->match.rng = &p->rng;
	p->match.regex = tg_regex_scratch_create(&p->stats->regex_limit);
	if (!p->fields || !p->breakers || !p->match.regex || init_pools(p) || px_down_init(p) ||
		px_up_init(p) || px_yield_init(p) || px_overload_init(p) || px_shadows_init(p) ||
		px_checks_init(p))
		goto no_memory;
	return p;
no_memory:
	tg_fail(e, TG_ENOMEM,
		"worker %u: no memory for %u connections and %u exchanges; lower "
		"dataplane.max_connections or dataplane.memory",
		conf->worker, conf->max_downstream, conf->max_exchanges);
	if (p)
		tg_proxy_destroy(p);
	return NULL;
}

static void listener_gone(struct px_listener *ln)
{
	struct tg_proxy *p = ln->proxy;

	if (ln->handle) {
		ln->stats->listening = 0;
		p->conf.net.unlisten(p->conf.net.ctx, ln->handle);
		ln->handle = NULL;
	}
}

void tg_proxy_destroy(struct tg_proxy *p)
{
	tg_proxy_abort_all(p);
	tg_timer_stop(p->wheel, &p->yield_timer);
	tg_timer_stop(p->wheel, &p->overload_timer);
	px_yield_end(p);
	free(p->check_buf);
	for (uint32_t i = 0; i < p->listener_pool.fresh; i++) {
		struct px_listener *ln = tg_pool_at(&p->listener_pool, i);

		if (!ln->used)
			continue;
		listener_gone(ln);
		tg_pool_put(&p->listener_pool, ln);
	}
	for (uint32_t i = 0; i < p->endpoint_pool.fresh; i++) {
		struct px_endpoint *ep = tg_pool_at(&p->endpoint_pool, i);

		if (ep->used)
			tg_pool_put(&p->endpoint_pool, ep);
	}
	if (p->snap)
		px_unpin(p, p->snap);
	if (p->arenas.small.base)
		tg_arena_source_fini(&p->arenas);
	tg_pool_fini(&p->shadows);
	tg_pool_fini(&p->endpoint_pool);
	tg_pool_fini(&p->listener_pool);
	tg_pool_fini(&p->l4s);
	tg_pool_fini(&p->exchs);
	tg_pool_fini(&p->ups);
	tg_pool_fini(&p->downs);
	tg_regex_scratch_destroy(p->match.regex);
	free(p->fields);
	free(p->endpoints);
	free(p->sets);
	free(p->clusters);
	tg_breakers_destroy(p->own_breakers);
	free(p);
}

/* --- adoption -------------------------------------------------------------------------------- */

static struct px_listener *find_listener(struct tg_proxy *p, const struct tg_sockaddr *a)
{
	for (uint32_t i = 0; i < p->listener_pool.fresh; i++) {
		struct px_listener *ln = tg_pool_at(&p->listener_pool, i);

		if (ln->used && !ln->pinned && ln->addr.port == a->port &&
			tg_ip_eq(&ln->addr.ip, &a->ip))
			return ln;
	}
	return NULL;
}

static uint32_t buffer_for(const struct tg_listener_conf *c)
{
	return px_buffer_for(c->buffer_limit,
		c->protocol == TG_PROTOCOL_HTTP ? c->limits.max_head : 0, c->tls != NULL);
}

static bool open_listener(struct tg_proxy *p, const struct tg_listener_conf *c)
{
	struct px_listener *ln = tg_pool_take(&p->listener_pool);

	if (!ln)
		return false;
	*ln = (struct px_listener){.addr = c->addr, .conf = c, .proxy = p};
	ln->stats = &c->stats[p->conf.worker];
	if (p->conf.net.listen(
		    p->conf.net.ctx, &c->addr, buffer_for(c), &px_accept_user, ln, &ln->handle)) {
		tg_pool_put(&p->listener_pool, ln);
		return false;
	}
	ln->used = ln->wanted = true;
	return true;
}

static void close_idle_on(struct tg_proxy *p, struct px_listener *ln)
{
	for (uint32_t i = 0; i < p->downs.fresh && p->n_idle; i++) {
		struct px_down *d = tg_pool_at(&p->downs, i);

		if (!d->used || d->state != PX_DOWN_IDLE || (ln && d->ln != ln))
			continue;
		d->ln->stats->downstream_cx_drain_close++;
		px_down_close(d);
	}
}

/* Gone from the configuration: nothing new; what is under way ends under the old snapshot. */
static void retire_listener(struct tg_proxy *p, struct px_listener *ln)
{
	listener_gone(ln);
	ln->conns++; /* stays until we are through */
	ln->pinned = p->snap;
	px_pin(p, ln->pinned);
	close_idle_on(p, ln);
	if (--ln->conns == 0) {
		px_unpin(p, ln->pinned);
		ln->used = false;
		tg_pool_put(&p->listener_pool, ln);
	}
}

int tg_proxy_adopt(struct tg_proxy *p, struct tg_snapshot *s)
{
	struct tg_snapshot *old = p->snap;
	int failed = 0;

	px_pin(p, s);
	if (px_endpoints_adopt(p, s)) {
		px_unpin(p, s);
		return (int)s->n_listeners + 1;
	}
	for (uint32_t i = 0; i < p->listener_pool.fresh; i++)
		((struct px_listener *)tg_pool_at(&p->listener_pool, i))->wanted = false;
	for (uint32_t i = 0; i < s->n_listeners; i++) {
		const struct tg_listener_conf *c = &s->listeners[i];
		struct px_listener *ln = find_listener(p, &c->addr);

		/* Another protocol at the same address is another listener. */
		if (ln && ln->conf->protocol == c->protocol) {
			ln->wanted = true;
			ln->conf = c;
			ln->stats->listening = 0; /* under its former name */
			ln->stats = &c->stats[p->conf.worker];
		}
	}
	for (uint32_t i = 0; i < p->listener_pool.fresh; i++) {
		struct px_listener *ln = tg_pool_at(&p->listener_pool, i);

		if (ln->used && !ln->wanted && !ln->pinned)
			retire_listener(p, ln);
	}
	p->snap = s;
	for (uint32_t i = 0; i < s->n_listeners && !p->draining; i++)
		if (!find_listener(p, &s->listeners[i].addr))
			failed += !open_listener(p, &s->listeners[i]);
	for (uint32_t i = 0; i < p->listener_pool.fresh; i++) {
		struct px_listener *ln = tg_pool_at(&p->listener_pool, i);

		if (!ln->used || !ln->handle)
			continue;
		ln->stats->listening = 1;
		if (p->conf.net.limit)
			p->conf.net.limit(p->conf.net.ctx, ln->handle, ln->conf->connlimit);
	}
	px_overload_adopt(p);
	if (old)
		px_unpin(p, old);
	return failed;
}

/* --- drain ----------------------------------------------------------------------------------- */

void tg_proxy_set_realtime(struct tg_proxy *p, uint64_t offset)
{
	p->conf.realtime_offset = offset;
}

void tg_proxy_drain(struct tg_proxy *p)
{
	p->draining = true;
	for (uint32_t i = 0; i < p->listener_pool.fresh; i++) {
		struct px_listener *ln = tg_pool_at(&p->listener_pool, i);

		if (ln->used)
			listener_gone(ln);
	}
	close_idle_on(p, NULL);
}

void tg_proxy_abort_all(struct tg_proxy *p)
{
	p->draining = true;
	if (p->conf.tls)
		tg_tls_abort_handshakes(p->conf.tls, TG_WHY_conn_drain);
	close_idle_on(p, NULL);
	px_shadows_abort(p);
	px_checks_stop(p);
	for (uint32_t i = 0; i < p->downs.fresh; i++) {
		struct px_down *d = tg_pool_at(&p->downs, i);

		if (!d->used)
			continue;
		if (d->state == PX_DOWN_L4)
			px_l4_end(d->l4, TG_WHY_conn_drain);
		else if (d->state == PX_DOWN_BUSY)
			px_exch_cut(d->ex, TG_WHY_req_drain, 0, "drain_timeout");
		else
			px_down_abort(d, TG_WHY_conn_drain);
	}
	/* Nobody is left who waits for what these could bring. One that is idle is closed, not cut:
	 * its origin has done nothing wrong. */
	for (uint32_t i = 0; i < p->ups.fresh; i++) {
		struct px_up *u = tg_pool_at(&p->ups, i);

		if (u->used && u->state == PX_UP_IDLE)
			px_up_release(u, PX_RELEASE_CLOSE);
		else if (u->used)
			px_up_abort(u, TG_WHY_conn_drain);
	}
}

bool tg_proxy_idle(const struct tg_proxy *p)
{
	return p->downs.in_use == 0;
}

/* --- views ----------------------------------------------------------------------------------- */

uint32_t tg_proxy_pools(const struct tg_proxy *p, const struct tg_pool **out, uint32_t n)
{
	const struct tg_pool *all[] = {&p->downs, &p->ups, &p->exchs, &p->l4s, &p->arenas.small,
		&p->arenas.large, &p->listener_pool, &p->endpoint_pool};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(all) && i < n; i++)
		out[i] = all[i];
	return TG_ARRAY_LEN(all);
}

/* Reads while the worker writes: objects never leave their pool's memory, so the worst is a number
 * that is a turn old, or of an endpoint that has just gone. */
bool tg_proxy_endpoint(const struct tg_proxy *p, const char *cluster,
	const struct tg_sockaddr *addr, struct tg_endpoint_view *out)
{
	for (uint32_t i = 0; i < p->endpoint_pool.fresh; i++) {
		const struct px_endpoint *ep = tg_pool_at(&p->endpoint_pool, i);

		if (!ep->used || ep->addr.port != addr->port ||
			!tg_ip_eq(&ep->addr.ip, &addr->ip) ||
			strncmp(ep->cluster, cluster, TG_PX_NAME_MAX - 1) != 0)
			continue;
		*out = ep->view;
		return true;
	}
	return false;
}

static bool downs_ok(const struct tg_proxy *p)
{
	uint32_t idle = 0, used = 0;

	for (uint32_t i = 0; i < p->downs.fresh; i++) {
		const struct px_down *d = tg_pool_at(&p->downs, i);

		if (!d->used)
			continue;
		used++;
		idle += d->state == PX_DOWN_IDLE;
		if (!d->conn || d->conn->owner != d)
			return false;
		if (d->state == PX_DOWN_BUSY && (!d->ex || !d->ex->used || d->ex->down != d))
			return false;
		if (d->state == PX_DOWN_L4 && (!d->l4->used || d->l4->down != d))
			return false;
	}
	return used == p->downs.in_use && idle == p->n_idle;
}

static bool ups_ok(const struct tg_proxy *p)
{
	uint32_t busy = 0;

	for (uint32_t i = 0; i < p->ups.fresh; i++) {
		const struct px_up *u = tg_pool_at(&p->ups, i);

		if (!u->used)
			continue;
		busy++;
		if (!u->ep->used || u->ep->refs == 0 || (u->ex && (u->ex->up == u) == u->parked))
			return false;
		if (u->state == PX_UP_IDLE && (u->ex || u->l4))
			return false;
	}
	return busy == p->ups.in_use;
}

bool tg_proxy_validate(const struct tg_proxy *p)
{
	return downs_ok(p) && ups_ok(p) && tg_pool_validate(&p->downs) &&
	       tg_pool_validate(&p->ups) && tg_pool_validate(&p->exchs) &&
	       tg_pool_validate(&p->l4s) && tg_pool_validate(&p->arenas.small) &&
	       tg_pool_validate(&p->arenas.large) && p->stats->http_exchanges == p->exchs.in_use;
}
