/* upstream.c: endpoints, their connections, and who waits for one. */
#include <stdlib.h>

#include "internal.h"

static void on_up_ready(struct tg_conn *c, uint32_t ev);
static const struct tg_conn_user up_user = {on_up_ready};

static void pump_queue(struct px_endpoint *ep);

/* --- endpoints ------------------------------------------------------------------------------ */

static void free_endpoint(struct px_endpoint *ep)
{
	ep->used = false;
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
	struct tg_proxy *p, const char *cluster, const struct tg_sockaddr *a)
{
	struct px_endpoint *ep = tg_pool_take(&p->endpoint_pool);

	if (!ep)
		return NULL;
	memset(ep, 0, sizeof(*ep));
	tg_list_init(&ep->idle);
	tg_list_init(&ep->pending);
	ep->addr = *a;
	strncpy(ep->cluster, cluster, TG_PX_NAME_MAX - 1);
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

static void adopt_one(struct tg_proxy *p, struct px_endpoint **table, uint64_t mask,
	const struct tg_cluster *c, const struct tg_endpoint *e, struct px_endpoint **out)
{
	struct px_endpoint **slot, *ep = find_slot(table, mask, c->name, &e->addr, &slot);

	if (!ep)
		ep = *slot = new_endpoint(p, c->name, &e->addr);
	if (!ep)
		return;
	ep->wanted = true;
	ep->conf = c;
	ep->stats = &c->stats[p->conf.worker];
	*out = ep;
}

/* Adoption happens between two turns at a reload: the one place of a worker where memory is asked
 * for. If it is refused, nothing has changed. An endpoint beyond the pool's size has no place and
 * counts as not there (lib/config bounds them below it). */
int px_endpoints_adopt(struct tg_proxy *p, struct tg_snapshot *s)
{
	uint64_t size = 64;
	struct px_endpoint **table, **list = calloc(s->n_endpoints + 1, sizeof(*list)), **slot;
	uint32_t *rr = calloc(s->n_clusters + 1, sizeof(*rr));

	while (size < 2 * ((uint64_t)s->n_endpoints + p->endpoint_pool.in_use + 1))
		size *= 2;
	table = calloc(size, sizeof(*table));
	if (!table || !list || !rr) {
		free(table);
		free(list);
		free(rr);
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
	for (uint32_t c = 0; c < s->n_clusters; c++)
		for (uint32_t e = 0; e < s->clusters[c].n_endpoints; e++) {
			const struct tg_endpoint *te = &s->clusters[c].endpoints[e];

			adopt_one(p, table, size - 1, &s->clusters[c], te, &list[te->id]);
		}
	for (uint32_t i = 0; i < p->endpoint_pool.fresh; i++) {
		struct px_endpoint *ep = tg_pool_at(&p->endpoint_pool, i);

		if (ep->used && !ep->wanted)
			close_idle_of(ep); /* frees it, unless something is under way */
	}
	free(table);
	free(p->endpoints);
	free(p->rr);
	p->endpoints = list;
	p->rr = rr;
	return 0;
}

const struct tg_endpoint *px_endpoint_pick(
	struct tg_proxy *p, const struct tg_snapshot *s, const struct tg_cluster *c)
{
	uint32_t anywhere;

	if (s == p->snap)
		return tg_lb_round_robin(c, &p->rr[c->id], NULL);
	/* The positions are those of the newest snapshot: an older exchange starts from anywhere.
	 */
	anywhere = tg_rng_below(&p->rng, c->n_endpoints ? c->n_endpoints : 1);
	return tg_lb_round_robin(c, &anywhere, NULL);
}

struct px_endpoint *px_endpoint_of(struct tg_proxy *p, const struct tg_snapshot *s,
	const struct tg_cluster *c, const struct tg_endpoint *e)
{
	struct px_endpoint *ep;

	if (s == p->snap)
		return p->endpoints[e->id];
	for (uint32_t i = 0; i < p->endpoint_pool.fresh; i++) {
		ep = tg_pool_at(&p->endpoint_pool, i);
		if (ep->used && same_endpoint(ep, c->name, &e->addr))
			return ep;
	}
	ep = new_endpoint(p, c->name, &e->addr);
	if (ep) {
		ep->conf = c;
		ep->stats = &c->stats[p->conf.worker];
	}
	return ep;
}

/* --- connections ---------------------------------------------------------------------------- */

static void free_up(struct px_up *u)
{
	struct px_endpoint *ep = u->ep;
	struct tg_proxy *p = ep->proxy;

	tg_timer_stop(p->wheel, &u->timer);
	if (u->state == PX_UP_IDLE) {
		tg_list_del(&u->link);
		ep->n_idle--;
		ep->view.cx_idle--;
	}
	if (u->state == PX_UP_CONNECTING)
		ep->n_connecting--;
	if (u->ex)
		u->ex->up = NULL;
	if (u->l4)
		u->l4->up = NULL;
	ep->n_conns--;
	ep->view.cx_active--;
	ep->stats->upstream_cx_active--;
	u->used = false;
	tg_pool_put(&p->ups, u);
	px_endpoint_put(ep);
}

static void end_exchange_of(struct px_up *u)
{
	if (!u->ex)
		return;
	u->ep->stats->upstream_rq_active--;
	u->ep->view.rq_active--;
	u->ex->up = NULL;
	u->ex = NULL;
}

void px_up_abort(struct px_up *u, enum tg_why why)
{
	struct px_endpoint *ep = u->ep;

	if (u->ex) {
		ep->stats->upstream_cx_destroy_local_with_active_rq++;
		ep->stats->upstream_rq_tx_reset++;
	}
	end_exchange_of(u);
	ep->refs++;
	tg_conn_abort(u->conn, why);
	free_up(u);
	pump_queue(ep); /* room under the connection limit */
	px_endpoint_put(ep);
}

/* A graceful end: FIN. */
static void close_up(struct px_up *u)
{
	struct px_endpoint *ep = u->ep;

	end_exchange_of(u);
	ep->refs++;
	tg_conn_detach(u->conn);
	free_up(u);
	pump_queue(ep);
	px_endpoint_put(ep);
}

/* What authenticated the connection is at its end: counted once, when it is closed for that. */
static bool is_expired(const struct px_up *u)
{
	if (px_now(u->ep->proxy) < tg_tls_expires(u->conn))
		return false;
	px_why(u->ep->proxy, tg_tls_expires_why(u->conn));
	return true;
}

/* Idle too long, or its certificates are at their end. */
static void arm_idle(struct px_up *u)
{
	struct tg_proxy *p = u->ep->proxy;
	uint64_t expires = tg_tls_expires(u->conn), now = px_now(p), left = u->idle_timeout;

	if (expires != UINT64_MAX && (!left || expires < now + left))
		left = expires > now ? expires - now : 1;
	if (left)
		tg_timer_start(p->wheel, &u->timer, p->up_kind, left);
}

static void to_idle(struct px_up *u)
{
	struct px_endpoint *ep = u->ep;

	u->state = PX_UP_IDLE;
	tg_list_push(&ep->idle, &u->link);
	ep->n_idle++;
	ep->view.cx_idle++;
	arm_idle(u);
	pump_queue(ep);
}

void px_up_release(struct px_up *u, enum px_release how)
{
	struct tg_tax *tax = &u->ep->proxy->stats->tax;
	enum tg_stage before = tg_tax_enter(tax, TG_STAGE_upstream);
	bool wanted = u->ep->wanted && !u->ep->proxy->draining &&
		      (!u->max_requests || u->requests < u->max_requests);

	end_exchange_of(u);
	if (how == PX_RELEASE_ABORT) {
		px_up_abort(u, TG_WHY_conn_aborted);
	} else if (how == PX_RELEASE_CLOSE || !wanted || is_expired(u)) {
		close_up(u);
	} else {
		to_idle(u);
	}
	tg_tax_leave(tax, before);
}

static void on_idle_timer(void *ctx, struct tg_timer *t)
{
	struct px_up *u = TG_CONTAINER(t, struct px_up, timer);

	if (!is_expired(u)) {
		px_why(ctx, TG_WHY_conn_idle);
		u->ep->stats->upstream_cx_idle_timeout++;
	}
	close_up(u);
}

int px_up_init(struct tg_proxy *p)
{
	int kind = tg_wheel_kind(p->wheel, on_idle_timer, p);

	p->up_kind = (uint8_t)kind;
	return kind < 0 ? kind : 0;
}

/* What is read of a response's head stays in the receive buffer until the head is whole. */
static uint32_t buffer_for(const struct tg_cluster *c)
{
	static const struct tg_h1_limits limits = TG_PX_RESPONSE_LIMITS;
	uint32_t least = limits.max_head + 4096;

	return c->buffer_limit < least ? least : c->buffer_limit;
}

/* The connection opens when its handshake is done, within the same connect_timeout. */
static int wrap_in_tls(struct tg_proxy *p, const struct tg_cluster *c, struct px_up *u)
{
	struct tg_conn *tls = NULL;

	if (p->conf.tls)
		tls = tg_tls_connect(
			p->conf.tls, c->tls->id, u->conn, c->connect_timeout, &up_user, u);
	if (!tls) {
		tg_conn_abort(u->conn, TG_WHY_conn_aborted); /* why has been counted */
		return TG_ENOMEM;
	}
	u->conn = tls;
	return 0;
}

struct px_up *px_up_dial(
	struct px_endpoint *ep, const struct tg_cluster *c, struct px_l4 *l4, int *err)
{
	struct tg_proxy *p = ep->proxy;
	struct px_up *u = tg_pool_take(&p->ups);

	*err = TG_ENOMEM;
	if (!u)
		return NULL;
	memset(u, 0, sizeof(*u));
	tg_list_init(&u->link);
	*err = p->conf.net.connect(p->conf.net.ctx, &ep->addr, c->connect_timeout,
		l4 ? c->buffer_limit : buffer_for(c), &up_user, u, &u->conn);
	if (!*err && c->tls)
		*err = wrap_in_tls(p, c, u);
	ep->stats->upstream_cx_total++;
	ep->view.cx_total++;
	if (*err) {
		ep->stats->upstream_cx_connect_fail++;
		ep->view.cx_connect_fail++;
		tg_pool_put(&p->ups, u);
		return NULL;
	}
	u->used = true;
	u->ep = ep;
	u->l4 = l4;
	u->state = PX_UP_CONNECTING;
	u->opened = px_now(p);
	u->idle_timeout = c->idle_timeout;
	u->max_requests = c->max_requests_per_connection;
	ep->refs++;
	ep->n_conns++;
	ep->n_connecting++;
	ep->view.cx_active++;
	ep->stats->upstream_cx_active++;
	return u;
}

/* --- requests and connections come together -------------------------------------------------- */

void px_up_leave_queue(struct px_exch *ex)
{
	tg_list_del(&ex->link);
	ex->ep->n_pending--;
	ex->ep->stats->upstream_rq_pending_active--;
}

/* What is sent first on a new try: the head and what of the body is no longer at the client's side.
 */
static bool set_lead(struct px_exch *ex, bool reused)
{
	struct tg_pump *q = &ex->req_pump;
	uint8_t *again;

	if (q->replay_len) {
		again = tg_arena_alloc(&ex->arena, ex->out_head.n + q->replay_len);
		if (!again)
			return false;
		memcpy(again, ex->out_head.p, ex->out_head.n);
		memcpy(again + ex->out_head.n, q->replay, q->replay_len);
		ex->out_head = tg_view_of(again, ex->out_head.n + q->replay_len);
		q->replay_len = 0;
	}
	q->lead = ex->out_head;
	q->sealed = false;
	/* A pooled connection may have been closed by the origin: keep what a replay would need. */
	if (reused && !q->replay && !q->in.ended && !q->taken)
		q->replay = tg_arena_alloc(&ex->arena, TG_PX_REPLAY);
	q->replay_cap = q->replay ? TG_PX_REPLAY : 0;
	return true;
}

static void attach(struct px_up *u, struct px_exch *ex)
{
	struct px_endpoint *ep = u->ep;
	struct tg_conn_info info;

	tg_conn_info(u->conn, &info);
	u->base = info.tx_written;
	u->state = PX_UP_BUSY;
	u->ex = ex;
	ex->up = u;
	ex->state = PX_EX_UPSTREAM;
	ex->req_done = false;
	ex->resp_head = (struct px_head){0};
	ex->sent = px_now(ep->proxy);
	ep->stats->upstream_rq_total++;
	ep->stats->upstream_rq_active++;
	ep->view.rq_total++;
	ep->view.rq_active++;
	if (!set_lead(ex, u->requests++ > 0))
		px_reply(ex, PX_REPLY_NO_MEMORY);
}

/* The most recently used idle connection that is as silent as it should be. */
static struct px_up *take_idle(struct px_endpoint *ep)
{
	while (!tg_list_empty(&ep->idle)) {
		struct px_up *u = TG_CONTAINER(ep->idle.prev, struct px_up, link);

		if (is_expired(u)) { /* its timer comes later in this turn */
			close_up(u);
			continue;
		}
		if (!u->conn->events && !tg_conn_peek(u->conn, &(struct tg_view){0}, 1)) {
			tg_list_del(&u->link);
			ep->n_idle--;
			ep->view.cx_idle--;
			tg_timer_stop(ep->proxy->wheel, &u->timer);
			u->state = PX_UP_BUSY;
			return u;
		}
		px_up_abort(u, TG_WHY_conn_aborted);
	}
	return NULL;
}

static struct px_exch *first_pending(struct px_endpoint *ep)
{
	return tg_list_empty(&ep->pending) ? NULL
					   : TG_CONTAINER(ep->pending.next, struct px_exch, link);
}

/* Dials as long as more requests wait than connections are being opened. */
static int dial_for_queue(struct px_endpoint *ep)
{
	int err = 0;

	while (ep->n_connecting < ep->n_pending) {
		const struct tg_cluster *c = first_pending(ep)->cluster;

		if (ep->stats->upstream_cx_active >= c->max_connections)
			return 0;
		if (!px_up_dial(ep, c, NULL, &err))
			return err;
	}
	return 0;
}

/* What a request is told that could not be dialled for. */
static enum px_reply reply_for(int err)
{
	return err == TG_ENOPORT ? PX_REPLY_NO_PORT : PX_REPLY_CONNECT_FAILURE;
}

/* The request's own affairs again, amid those of connections. May end it. */
static void go_on(struct px_exch *ex)
{
	struct tg_tax *tax = &ex->proxy->stats->tax;
	enum tg_stage before = tg_tax_enter(tax, TG_STAGE_http);

	px_down_run(ex->down);
	tg_tax_leave(tax, before);
}

/* Gives waiting requests to idle connections, and dials for the rest. */
static void pump_queue(struct px_endpoint *ep)
{
	struct px_exch *ex;
	struct px_up *u;
	int err;

	ep->refs++;
	while ((ex = first_pending(ep)) && (u = take_idle(ep))) {
		px_up_leave_queue(ex);
		attach(u, ex);
		go_on(ex);
	}
	/* One that cannot be dialled for is told so: the others may hold their connections for
	 * days. */
	while ((ex = first_pending(ep)) && (err = dial_for_queue(ep))) {
		px_reply(ex, reply_for(err));
		go_on(ex);
	}
	px_endpoint_put(ep);
}

static bool choose_endpoint(struct px_exch *ex)
{
	struct tg_proxy *p = ex->proxy;
	const struct tg_endpoint *e = px_endpoint_pick(p, ex->snap, ex->cluster);
	struct px_endpoint *ep = e ? px_endpoint_of(p, ex->snap, ex->cluster, e) : NULL;

	if (ex->ep)
		px_endpoint_put(ex->ep);
	ex->ep = ep;
	if (ep)
		ep->refs++;
	return ep;
}

static void find_connection(struct px_exch *ex)
{
	struct tg_proxy *p = ex->proxy;
	struct tg_cluster_stats *cs = &ex->cluster->stats[p->conf.worker];
	struct px_endpoint *ep;
	struct px_up *u;
	int err;

	if (!choose_endpoint(ex)) {
		cs->upstream_cx_none_healthy++;
		px_reply(ex, PX_REPLY_NO_HOST);
		return;
	}
	ep = ex->ep;
	if (cs->upstream_rq_active >= ex->cluster->max_requests) {
		cs->upstream_rq_pending_overflow++;
		px_reply(ex, PX_REPLY_OVERFLOW);
		return;
	}
	u = ex->replays ? NULL : take_idle(ep);
	if (u) {
		attach(u, ex);
		return;
	}
	if (cs->upstream_rq_pending_active >= ex->cluster->max_pending_requests) {
		cs->upstream_rq_pending_overflow++;
		px_reply(ex, PX_REPLY_OVERFLOW);
		return;
	}
	ex->state = PX_EX_WAIT;
	tg_list_push(&ep->pending, &ex->link);
	ep->n_pending++;
	cs->upstream_rq_pending_active++;
	err = dial_for_queue(ep);
	if (err) {
		cs->upstream_rq_total++;
		px_reply(ex, reply_for(err));
	} else if (!ep->n_conns) {
		/* Other endpoints of the cluster hold all the connections that it may have. */
		cs->upstream_cx_overflow++;
		px_reply(ex, PX_REPLY_OVERFLOW);
	}
}

void px_up_request(struct px_exch *ex)
{
	struct tg_tax *tax = &ex->proxy->stats->tax;
	enum tg_stage before = tg_tax_enter(tax, TG_STAGE_upstream);

	find_connection(ex); /* may end ex */
	tg_tax_leave(tax, before);
}

/* --- events ---------------------------------------------------------------------------------- */

static void connect_failed(struct px_up *u)
{
	struct px_endpoint *ep = u->ep;
	struct tg_conn_info info;
	bool timeout;

	tg_conn_info(u->conn, &info);
	timeout = info.why == TG_WHY_conn_connect_timeout || info.why == TG_WHY_conn_timeout ||
		  info.why == TG_WHY_tls_timeout;
	ep->stats->upstream_cx_connect_fail++;
	ep->stats->upstream_cx_connect_timeout += timeout;
	ep->view.cx_connect_fail++;
	if (u->l4) {
		struct px_l4 *l = u->l4;

		l->flags |= TG_FLAG(UF);
		l->details = "upstream_connect_failure";
		l->transport = px_transport_of(info.why);
		px_l4_lost(l);
		return;
	}
	ep->refs++;
	tg_conn_detach(u->conn);
	free_up(u);
	/* One failed connection, one failed request: the oldest one that waits. */
	if (!tg_list_empty(&ep->pending)) {
		struct px_exch *ex = TG_CONTAINER(ep->pending.next, struct px_exch, link);

		ex->transport = timeout ? TG_WHY_none : px_transport_of(info.why);
		px_reply(ex, timeout ? PX_REPLY_CONNECT_TIMEOUT : PX_REPLY_CONNECT_FAILURE);
		px_down_run(ex->down);
	}
	pump_queue(ep);
	px_endpoint_put(ep);
}

/* No HTTP server answers before it was asked. Dialling again would only meet the same. */
static void speaks_first(struct px_up *u)
{
	struct px_endpoint *ep = u->ep;
	struct px_exch *ex = first_pending(ep);

	ep->refs++;
	u->state = PX_UP_BUSY;
	if (ex) {
		px_reply(ex, PX_REPLY_UPSTREAM_BAD);
		px_down_run(ex->down);
	}
	px_up_abort(u, TG_WHY_conn_aborted);
	px_endpoint_put(ep);
}

static void opened(struct px_up *u)
{
	struct px_endpoint *ep = u->ep;

	ep->n_connecting--;
	if (u->l4) {
		u->state = PX_UP_BUSY;
		return;
	}
	if (tg_conn_peek(u->conn, &(struct tg_view){0}, 1)) {
		speaks_first(u);
		return;
	}
	to_idle(u); /* and from there to the first that waits */
}

static void busy_event(struct px_up *u, uint32_t ev)
{
	struct px_exch *ex = u->ex;

	u->eof |= (ev & TG_EV_EOF) != 0;
	u->failed |= (ev & TG_EV_FAILED) != 0;
	if (ex->req_pump.replay) {
		struct tg_conn_info info;

		tg_conn_info(u->conn, &info);
		if (info.tx_acked > u->base)
			tg_pump_forget(&ex->req_pump);
	}
	px_down_run(ex->down);
}

static void on_up_ready(struct tg_conn *c, uint32_t ev)
{
	struct px_up *u = c->owner;

	if (u->state == PX_UP_CONNECTING) {
		if (ev & TG_EV_FAILED) {
			connect_failed(u);
			return;
		}
		if (!(ev & TG_EV_OPEN))
			return;
		opened(u); /* gives u to a request, which may end it */
		if (!u->used || (!u->l4 && ev == TG_EV_OPEN))
			return;
	}
	if (u->l4) {
		px_l4_up_event(u->l4, ev);
	} else if (u->state == PX_UP_BUSY) {
		busy_event(u, ev);
	} else if (ev & (TG_EV_READABLE | TG_EV_EOF | TG_EV_FAILED)) {
		/* Nobody asked: the origin closes, or sends what nobody may get. READABLE alone
		 * proves nothing: the client's event may have come first and taken the response. */
		if (ev & TG_EV_FAILED || tg_conn_peek(u->conn, &(struct tg_view){0}, 1))
			px_up_abort(u, TG_WHY_conn_aborted);
		else if (ev & TG_EV_EOF)
			close_up(u);
	}
}
