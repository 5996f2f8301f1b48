/* upstream.c: connections to endpoints, and who waits for one. */
#include "internal.h"

static void on_up_ready(struct tg_conn *c, uint32_t ev);
static const struct tg_conn_user up_user = {on_up_ready};

/* --- connections ---------------------------------------------------------------------------- */

static void pump_queue(struct px_endpoint *ep);

static void not_idle(struct px_up *u)
{
	tg_list_del(&u->link);
	u->ep->n_idle--;
	u->ep->breaker->n_idle--;
	u->ep->view.cx_idle--;
}

static void not_connecting(struct px_up *u)
{
	u->ep->n_connecting--;
	u->ep->connecting[u->priority]--;
}

static void free_up(struct px_up *u)
{
	struct px_endpoint *ep = u->ep;
	struct tg_proxy *p = ep->proxy;

	tg_timer_stop(p->wheel, &u->timer);
	if (u->state == PX_UP_IDLE)
		not_idle(u);
	if (u->state == PX_UP_CONNECTING)
		not_connecting(u);
	if (u->ex && !u->parked)
		u->ex->up = NULL;
	if (u->l4)
		u->l4->up = NULL;
	ep->n_conns--;
	ep->view.cx_active--;
	ep->stats->upstream_cx_active--;
	tg_breaker_give(ep->breaker, u->priority, TG_RES_CX);
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
	tg_breaker_give(u->ep->breaker, u->ex->priority, TG_RES_RQ);
	if (tg_likely(!u->parked))
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

static uint64_t end_of_life(const struct px_up *u)
{
	return u->max_duration ? u->opened + u->max_duration : UINT64_MAX;
}

/* What authenticated the connection is at its end: counted once, when it is closed for that. */
static bool is_expired(const struct px_up *u)
{
	if (px_now(u->ep->proxy) >= end_of_life(u)) {
		px_why(u->ep->proxy, TG_WHY_conn_max_duration);
		u->ep->stats->upstream_cx_max_duration_reached++;
		return true;
	}
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

	if (end_of_life(u) < expires)
		expires = end_of_life(u);
	if (expires != UINT64_MAX && (!left || expires < now + left))
		left = expires > now ? expires - now : 1;
	if (left)
		tg_timer_start(p->wheel, &u->timer, p->up_kind, left);
}

static void put_idle(struct px_up *u)
{
	struct px_endpoint *ep = u->ep;

	u->state = PX_UP_IDLE;
	tg_list_push(&ep->idle, &u->link);
	ep->n_idle++;
	ep->breaker->n_idle++;
	ep->view.cx_idle++;
	arm_idle(u);
	px_yield_arm(ep);
}

static void to_idle(struct px_up *u)
{
	put_idle(u);
	pump_queue(u->ep);
}

void px_up_release(struct px_up *u, enum px_release how)
{
	struct tg_tax *tax = &u->ep->proxy->stats->tax;
	enum tg_stage before = tg_tax_enter(tax, TG_STAGE_upstream);
	bool spent = u->max_requests && u->requests >= u->max_requests;
	bool wanted = u->ep->wanted && !u->ep->proxy->draining && !spent;

	u->ep->stats->upstream_cx_max_requests += spent;
	end_exchange_of(u);
	if (how == PX_RELEASE_ABORT) {
		px_up_abort(u, TG_WHY_conn_aborted);
	} else if (how == PX_RELEASE_CLOSE || !wanted || is_expired(u) ||
		   tg_breaker_must_lend(u->ep->breaker, u->priority, 1)) {
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

static uint32_t buffer_for(const struct tg_cluster *c, bool l4)
{
	static const struct tg_h1_limits limits = TG_PX_RESPONSE_LIMITS;

	return px_buffer_for(c->buffer_limit, l4 ? 0 : limits.max_head, c->tls != NULL);
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

/* u has its lease, and is given back with it on an error. */
static int dial(struct px_up *u, struct px_endpoint *ep, const struct tg_cluster *c, bool l4)
{
	struct tg_proxy *p = ep->proxy;
	int err = p->conf.net.connect(p->conf.net.ctx, &ep->addr, c->connect_timeout,
		buffer_for(c, l4), &up_user, u, &u->conn);

	if (!err && c->tls)
		err = wrap_in_tls(p, c, u);
	ep->stats->upstream_cx_total++;
	ep->view.cx_total++;
	if (err) {
		ep->stats->upstream_cx_connect_fail++;
		ep->view.cx_connect_fail++;
		tg_breaker_give(ep->breaker, u->priority, TG_RES_CX);
		tg_pool_put(&p->ups, u);
	}
	return err;
}

struct px_up *px_up_dial(struct px_endpoint *ep, const struct tg_cluster *c,
	enum tg_priority priority, struct px_l4 *l4, int *err)
{
	struct tg_proxy *p = ep->proxy;
	struct px_up *u;

	*err = TG_EAGAIN;
	if (tg_breaker_must_lend(ep->breaker, priority, 0))
		return NULL;
	if (!tg_breaker_take(ep->breaker, priority, TG_RES_CX))
		return NULL;
	*err = TG_ENOMEM;
	u = tg_pool_take(&p->ups);
	if (!u) {
		tg_breaker_give(ep->breaker, priority, TG_RES_CX);
		return NULL;
	}
	memset(u, 0, sizeof(*u));
	tg_list_init(&u->link);
	u->priority = priority;
	*err = dial(u, ep, c, l4 != NULL);
	if (*err)
		return NULL;
	tg_breaker_need(ep->breaker, priority, TG_NEED_NONE);
	u->used = true;
	u->ep = ep;
	u->l4 = l4;
	u->state = PX_UP_CONNECTING;
	u->opened = px_now(p);
	u->idle_timeout = c->idle_timeout;
	u->max_requests = c->max_requests_per_connection;
	u->max_duration = c->max_connection_duration;
	ep->refs++;
	ep->n_conns++;
	ep->n_connecting++;
	ep->connecting[priority]++;
	ep->view.cx_active++;
	ep->stats->upstream_cx_active++;
	return u;
}

void px_up_close_all(struct px_endpoint *ep)
{
	struct tg_proxy *p = ep->proxy;

	ep->refs++;
	for (uint32_t i = 0; i < p->ups.fresh && ep->n_conns; i++) {
		struct px_up *u = tg_pool_at(&p->ups, i);
		struct px_down *d = u->used && u->ep == ep && u->ex ? u->ex->down : NULL;

		/* One that is parked beside another try (hedge.c) goes on: it is given up soon. */
		if (!u->used || u->ep != ep || u->state == PX_UP_CONNECTING || u->parked)
			continue;
		if (u->l4) {
			u->l4->flags |= TG_FLAG(UC);
			px_l4_lost(u->l4);
		} else if (d) {
			px_exch_upstream_lost(u->ex, false);
			if (d->used) /* it is not, where an answer was cut */
				px_down_run(d);
		} else {
			close_up(u);
		}
	}
	px_endpoint_put(ep);
}

/* --- requests and connections come together -------------------------------------------------- */

void px_up_leave_queue(struct px_exch *ex)
{
	tg_list_del(&ex->link);
	ex->ep->n_pending--;
	ex->ep->waiting[ex->priority]--;
	ex->ep->stats->upstream_rq_pending_active--;
	tg_breaker_give(ex->ep->breaker, ex->priority, TG_RES_PENDING);
}

/* What is sent first on a new try: the head and what of the body is no longer at the client's side.
 */
static void set_lead(struct px_exch *ex, bool reused)
{
	struct tg_pump *q = &ex->req_pump;

	tg_pump_restart(q, ex->out_head);
	/* A pooled connection may have been closed by the origin: keep what a replay would need. */
	if (reused && !q->replay && !q->in.ended && !q->taken) {
		q->replay = tg_arena_alloc(&ex->arena, TG_PX_REPLAY);
		q->replay_cap = q->replay ? TG_PX_REPLAY : 0;
	}
}

/* ex has its lease of a request. */
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
	u->requests++;
	if (tg_unlikely(ex->cluster->outlier != NULL))
		px_outlier_connected(ex);
	if (tg_unlikely(ex->retry != NULL) && !px_retry_try(ex))
		px_reply(ex, PX_REPLY_NO_MEMORY);
	else
		set_lead(ex, u->requests > 1);
}

/* The most recently used idle connection that is as silent as it should be. */
static struct px_up *take_idle(struct px_endpoint *ep)
{
	while (!tg_list_empty(&ep->idle)) {
		struct px_up *u = TG_CONTAINER(ep->idle.prev, struct px_up, link);

		tg_conn_tx_soon(u->conn);
		if (is_expired(u)) { /* its timer comes later in this turn */
			close_up(u);
			continue;
		}
		if (!u->conn->events && !tg_conn_peek(u->conn, &(struct tg_view){0}, 1)) {
			not_idle(u);
			tg_timer_stop(ep->proxy->wheel, &u->timer);
			u->state = PX_UP_BUSY;
			return u;
		}
		px_up_abort(u, TG_WHY_conn_aborted);
	}
	return NULL;
}

static struct px_exch *first_of(struct px_endpoint *ep, enum tg_priority p)
{
	struct tg_link *l = &ep->pending[p];

	return tg_list_empty(l) ? NULL : TG_CONTAINER(l->next, struct px_exch, link);
}

/* Each has limits of its own, and whatever connection comes free serves HIGH first. */
static struct px_exch *first_pending(struct px_endpoint *ep)
{
	struct px_exch *ex = first_of(ep, TG_PRIORITY_HIGH);

	return ex ? ex : first_of(ep, TG_PRIORITY_DEFAULT);
}

/* Dials as long as more requests of this priority wait than connections are being opened for it,
 * and of both together. TG_EAGAIN: there may be no more connections. */
static int dial_for_queue(struct px_endpoint *ep, enum tg_priority p)
{
	int err = 0;

	while (ep->connecting[p] < ep->waiting[p] && ep->n_connecting < ep->n_pending && !err)
		px_up_dial(ep, first_of(ep, p)->cluster, p, NULL, &err);
	return err;
}

/* An idle connection to another endpoint of the cluster makes room for one that is needed. */
static bool give_up_idle(const struct px_exch *ex)
{
	const struct tg_snapshot *s = ex->snap;
	const struct tg_cluster *c = px_cluster_live(ex->proxy, &s, ex->cluster);

	for (uint32_t i = 0; c && i < c->n_endpoints && ex->ep->breaker->n_idle; i++) {
		struct px_endpoint *other = px_endpoint_known(ex->proxy, s, c, &c->endpoints[i]);

		if (!other || !other->n_idle || other == ex->ep)
			continue;
		close_up(TG_CONTAINER(other->idle.next, struct px_up, link));
		return true;
	}
	return false;
}

/* The queue of ep cannot be dialled for. True: it is worth waiting: connections to it are there, or
 * other workers have all that there may be and lend one. */
static bool can_wait(struct px_endpoint *ep, enum tg_priority p)
{
	struct tg_breaker *b = ep->breaker;
	const struct tg_lease *l = &b->lease[p][TG_RES_CX];
	bool wait;

	if (!ep->n_conns && give_up_idle(first_of(ep, p)) && dial_for_queue(ep, p) == 0)
		return true;
	wait = ep->n_conns || (!l->used && l->limit) || tg_breaker_must_lend(b, p, 0);
	if (wait && b->n_workers > 1) {
		tg_breaker_need(b, p, ep->n_conns || l->used ? TG_NEED_MORE : TG_NEED_FIRST);
		px_yield_arm(ep);
	}
	return wait;
}

/* What a request is told that could not be dialled for. */
static enum px_reply reply_for(int err)
{
	return err == TG_EAGAIN    ? PX_REPLY_OVERFLOW
	       : err == TG_ENOPORT ? PX_REPLY_NO_PORT
				   : PX_REPLY_CONNECT_FAILURE;
}

static void not_dialled(struct px_exch *ex, int err)
{
	if (err == TG_EAGAIN ? px_hedge_goes_on(ex) : px_retry_failure(ex, TG_RETRY_NO_CONNECTION))
		return;
	px_reply(ex, reply_for(err));
}

static void overflow(struct px_exch *ex)
{
	ex->cluster->stats[ex->proxy->conf.worker].upstream_rq_pending_overflow++;
	if (!px_hedge_goes_on(ex))
		px_reply(ex, PX_REPLY_OVERFLOW);
}

/* The request's own affairs again, amid those of connections. May end it. */
static void go_on(struct px_exch *ex)
{
	struct tg_tax *tax = &ex->proxy->stats->tax;
	enum tg_stage before = tg_tax_enter(tax, TG_STAGE_http);

	px_down_run(ex->down);
	tg_tax_leave(tax, before);
}

/* Gives waiting requests to idle connections. Who is run may serve the queue itself. */
static void serve_queue(struct px_endpoint *ep)
{
	struct px_exch *ex;
	struct px_up *u;

	while (first_pending(ep) && (u = take_idle(ep))) {
		ex = first_pending(ep);
		if (ex && tg_breaker_take(ep->breaker, ex->priority, TG_RES_RQ)) {
			px_up_leave_queue(ex);
			attach(u, ex);
		} else {
			put_idle(u);
			if (!ex)
				return;
			overflow(ex);
		}
		go_on(ex);
	}
}

/* One that cannot be dialled for is told so: the others may hold their connections for days. */
static void dial_or_refuse(struct px_endpoint *ep, enum tg_priority p)
{
	struct px_exch *ex;
	int err;

	while ((ex = first_of(ep, p)) && (err = dial_for_queue(ep, p))) {
		if (err == TG_EAGAIN && can_wait(ep, p))
			break;
		not_dialled(ex, err);
		go_on(ex);
	}
}

/* Gives waiting requests to idle connections, and dials for the rest. */
static void pump_queue(struct px_endpoint *ep)
{
	ep->refs++;
	serve_queue(ep);
	dial_or_refuse(ep, TG_PRIORITY_HIGH);
	dial_or_refuse(ep, TG_PRIORITY_DEFAULT);
	px_endpoint_put(ep);
}

void px_up_try_again(struct px_endpoint *ep)
{
	pump_queue(ep);
}

/* The endpoint of c with this address. NULL: it has none. */
static const struct tg_endpoint *endpoint_at(
	const struct tg_cluster *c, const struct tg_sockaddr *a)
{
	for (uint32_t i = 0; c && i < c->n_endpoints; i++)
		if (tg_sockaddr_eq(&c->endpoints[i].addr, a))
			return &c->endpoints[i];
	return NULL;
}

/* On a retry: another one, if there is another. */
static const struct tg_endpoint *choose(struct px_exch *ex)
{
	const struct px_retry *r = ex->retry;
	bool avoid = r && r->n_tried && (!r->policy || r->policy->avoid_previous);
	uint32_t more = avoid && r->policy ? r->policy->host_attempts : avoid;
	struct tg_lb_ask ask = {.has_hash = ex->has_hash, .hash = ex->hash};
	const struct tg_snapshot *s = ex->snap;
	const struct tg_endpoint *e;

	if (avoid)
		ask.avoid = endpoint_at(px_cluster_live(ex->proxy, &s, ex->cluster), &r->last);

	do {
		e = px_endpoint_pick(ex->proxy, ex->snap, ex->cluster, &ask);
	} while (more-- && e && px_retry_was_tried(ex, e));
	return e;
}

static bool choose_endpoint(struct px_exch *ex)
{
	const struct tg_endpoint *e = choose(ex);
	struct px_endpoint *ep = e ? px_endpoint_of(ex->proxy, ex->snap, ex->cluster, e) : NULL;

	if (ep)
		ep->refs++; /* first: it may be the same, held by nobody else */
	if (ex->ep)
		px_endpoint_put(ex->ep);
	ex->ep = ep;
	ex->chosen = ex->cluster->discovery == TG_DISCOVERY_STATIC ? e : NULL;
	if (e && tg_unlikely(ex->retry != NULL))
		px_retry_chosen(ex, e);
	return ep;
}

static void join_queue(struct px_exch *ex)
{
	struct px_endpoint *ep = ex->ep;
	int err;

	ex->state = PX_EX_WAIT;
	tg_list_push(&ep->pending[ex->priority], &ex->link);
	ep->n_pending++;
	ep->waiting[ex->priority]++;
	ep->stats->upstream_rq_pending_active++;
	err = dial_for_queue(ep, ex->priority);
	if (err == TG_EAGAIN) {
		ep->stats->upstream_cx_overflow++;
		if (can_wait(ep, ex->priority))
			return;
	}
	if (err) {
		ep->stats->upstream_rq_total += err != TG_EAGAIN;
		not_dialled(ex, err);
	}
}

static void find_connection(struct px_exch *ex)
{
	struct tg_cluster_stats *cs = &ex->cluster->stats[ex->proxy->conf.worker];
	struct tg_breaker *b;
	struct px_up *u;

	if (!choose_endpoint(ex)) {
		cs->upstream_cx_none_healthy++;
		if (!px_hedge_goes_on(ex))
			px_reply(ex, PX_REPLY_NO_HOST);
		return;
	}
	b = ex->ep->breaker;
	if (!tg_breaker_take(b, ex->priority, TG_RES_RQ)) {
		overflow(ex);
		return;
	}
	u = ex->replays ? NULL : take_idle(ex->ep);
	if (u) {
		attach(u, ex);
		return;
	}
	/* Only what is sent counts as under way: the limit is looked at again then. */
	tg_breaker_give(b, ex->priority, TG_RES_RQ);
	if (tg_breaker_take(b, ex->priority, TG_RES_PENDING))
		join_queue(ex);
	else
		overflow(ex);
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
	enum tg_priority priority = u->priority;
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

		l->transport = px_transport_of(info.why);
		px_outlier_l4(l, false, timeout);
		px_l4_connect_failed(l);
		return;
	}
	ep->refs++;
	tg_conn_detach(u->conn);
	free_up(u);
	/* One failed connection, one failed request: the oldest one that waits. */
	if (ep->n_pending) {
		struct px_exch *ex = first_of(ep, priority);

		if (!ex)
			ex = first_pending(ep);
		if (tg_unlikely(ex->cluster->outlier != NULL))
			px_outlier_failure(ex, timeout);
		if (!px_retry_failure(ex, TG_RETRY_NO_CONNECTION)) {
			ex->transport = timeout ? TG_WHY_none : px_transport_of(info.why);
			px_reply(ex, timeout ? PX_REPLY_CONNECT_TIMEOUT : PX_REPLY_CONNECT_FAILURE);
		}
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
	not_connecting(u);
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

	__builtin_prefetch(ex->down->conn, 1); /* for response.c's tg_conn_tx_soon() */
	u->eof |= (ev & TG_EV_EOF) != 0;
	u->failed |= (ev & TG_EV_FAILED) != 0;
	if (tg_unlikely(u->parked)) {
		px_hedge_event(u);
		return;
	}
	if (ex->req_pump.replay) {
		struct tg_conn_info info;

		tg_conn_info(u->conn, &info);
		if (info.tx_acked > u->base && ex->retry && ex->retry->keeps_body)
			ex->req_pump.give_up = true; /* when it is full */
		else if (info.tx_acked > u->base)
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
