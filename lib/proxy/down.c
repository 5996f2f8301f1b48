/* down.c: the client's connection: accept, deadlines, close. */
#include "internal.h"

static void on_down_ready(struct tg_conn *c, uint32_t ev);
static const struct tg_conn_user down_user = {on_down_ready};

static struct tg_proxy *proxy_of(const struct px_down *d)
{
	return d->ln->proxy;
}

/* One connection of ln is gone. */
static void let_go_of(struct px_listener *ln)
{
	struct tg_proxy *p = ln->proxy;

	if (--ln->conns == 0 && ln->pinned) {
		px_unpin(p, ln->pinned);
		ln->pinned = NULL;
		ln->used = false;
		tg_pool_put(&p->listener_pool, ln);
	}
}

static void free_down(struct px_down *d)
{
	struct px_listener *ln = d->ln;
	struct tg_proxy *p = ln->proxy;

	if (tg_unlikely(d->shadow)) {
		px_shadow_free(d);
		return;
	}
	tg_timer_stop(p->wheel, &d->timer);
	p->n_idle -= d->state == PX_DOWN_IDLE;
	ln->stats->downstream_cx_destroy++;
	ln->stats->downstream_cx_active--;
	d->used = false;
	tg_pool_put(&p->downs, d);
	let_go_of(ln);
}

void px_down_close(struct px_down *d)
{
	tg_conn_detach(d->conn);
	free_down(d);
}

void px_down_abort(struct px_down *d, enum tg_why why)
{
	tg_conn_abort(d->conn, why);
	free_down(d);
}

static uint64_t now_tick(const struct tg_proxy *p)
{
	return (px_now(p) + (1 << TG_WHEEL_TICK_SHIFT) - 1) >> TG_WHEEL_TICK_SHIFT;
}

/* A list of idle connections by age would cost every request two or three cold cache lines, to be
 * exact in the rare moment when one must go. Up to SHED_CHOICE idle ones it is exact without; of
 * more it takes one that is older than most. */
#define SHED_CHOICE 64
#define SHED_LOOK 4096

#define SHED_FRESH (100 * TG_MS)

/* Its first request is on its way, and shall at least be refused with a word. */
static bool just_come(const struct tg_proxy *p, const struct px_down *d)
{
	return d->since == d->opened && now_tick(p) - d->opened < SHED_FRESH >> TG_WHEEL_TICK_SHIFT;
}

bool px_shed_idle(struct tg_proxy *p, uint32_t shortage)
{
	uint32_t left = p->downs.fresh < SHED_LOOK ? p->downs.fresh : SHED_LOOK;
	struct px_down *oldest = NULL;
	struct tg_conn_info info;

	if (!p->n_idle)
		return false;
	for (uint32_t seen = 0; left && seen < SHED_CHOICE; left--) {
		struct px_down *d = tg_pool_at(&p->downs, p->shed_at);

		p->shed_at = p->shed_at + 1 < p->downs.fresh ? p->shed_at + 1 : 0;
		if (!d->used || d->state != PX_DOWN_IDLE || (shortage && just_come(p, d)))
			continue;
		seen++;
		if (!oldest || d->since < oldest->since)
			oldest = d;
	}
	if (!oldest)
		return false;
	tg_conn_info(oldest->conn, &info);
	if (shortage & TG_SHORT_NOW &&
		info.tx_written == info.tx_acked) { /* a reset destroys no answer */
		px_down_abort(oldest, TG_WHY_conn_shed);
		return true;
	}
	px_why(p, TG_WHY_conn_shed);
	px_down_close(oldest);
	return true;
}

void px_down_set(struct px_down *d, enum px_down_state s)
{
	struct tg_proxy *p = proxy_of(d);

	p->n_idle -= d->state == PX_DOWN_IDLE;
	p->n_idle += s == PX_DOWN_IDLE;
	d->state = s;
	d->since = now_tick(p);
}

/* Absolute time, ns, of a timeout that runs from the tick `from`; 0 switches it off. */
static uint64_t at(uint64_t from, uint64_t timeout)
{
	return timeout ? (from << TG_WHEEL_TICK_SHIFT) + timeout : UINT64_MAX;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When d has to end whatever it does: too old, or the certificate that it was opened with expires.
 */
static uint64_t end_of_life(const struct px_down *d)
{
	return earlier(
		at(d->opened, d->ln->conf->max_connection_duration), tg_tls_expires(d->conn));
}

static enum tg_why why_too_old(const struct px_down *d)
{
	return px_now(proxy_of(d)) >= tg_tls_expires(d->conn) ? tg_tls_expires_why(d->conn)
							      : TG_WHY_conn_max_duration;
}

static uint64_t next_deadline(const struct px_down *d)
{
	const struct tg_listener_conf *lc = d->ln->conf;
	uint64_t max_age = d->close_soon ? UINT64_MAX : end_of_life(d);

	switch (d->state) {
	case PX_DOWN_IDLE:
		return earlier(max_age, at(d->since, lc->idle_timeout));
	case PX_DOWN_LINGER:
		return at(d->since, lc->delayed_close_timeout ? lc->delayed_close_timeout : 1);
	case PX_DOWN_L4:
		return earlier(max_age, px_l4_next_deadline(d->l4));
	default:
		return max_age;
	}
}

static void arm(struct tg_proxy *p, struct tg_timer *t, uint8_t kind, uint64_t due)
{
	uint64_t now = px_now(p);

	if (due == UINT64_MAX)
		return;
	/* A timer that is early is left alone: when it fires it is set anew. */
	if (tg_timer_running(t) && tg_timer_deadline(t) <= due)
		return;
	tg_timer_start(p->wheel, t, kind, due > now ? due - now : 0);
}

/* The exchange has a timer of its own: the connection's stands an hour ahead, and moving that with
 * every request would touch its cold neighbours in the wheel's lists. */
void px_down_arm(struct px_down *d)
{
	struct tg_proxy *p = proxy_of(d);

	arm(p, &d->timer, p->down_kind, next_deadline(d));
	if (d->state == PX_DOWN_BUSY)
		arm(p, &d->ex->timer, p->exch_kind, px_exch_next_deadline(d->ex));
}

static void idle_deadline(struct px_down *d, bool too_old)
{
	struct tg_proxy *p = proxy_of(d);

	if (too_old) {
		px_why(p, why_too_old(d));
	} else {
		px_why(p, TG_WHY_conn_idle);
		d->ln->stats->downstream_cx_idle_timeout++;
	}
	px_down_close(d);
}

/* A client that still takes its answer, however slowly, is given time; TCP ends one that is stuck.
 */
static void linger_deadline(struct px_down *d)
{
	struct tg_proxy *p = proxy_of(d);
	struct tg_conn_info info;

	tg_conn_info(d->conn, &info);
	if ((uint32_t)info.tx_acked != d->acked_mark) {
		d->acked_mark = (uint32_t)info.tx_acked;
		d->since = now_tick(p);
		px_down_arm(d);
		return;
	}
	px_why(p, TG_WHY_conn_linger);
	px_down_close(d);
}

static void on_timer(void *ctx, struct tg_timer *t)
{
	struct px_down *d = TG_CONTAINER(t, struct px_down, timer);
	struct tg_proxy *p = ctx;
	uint64_t now = px_now(p);
	bool too_old = now >= end_of_life(d);

	if (now < next_deadline(d)) {
		px_down_arm(d);
		return;
	}
	switch (d->state) {
	case PX_DOWN_IDLE:
		idle_deadline(d, too_old);
		return;
	case PX_DOWN_LINGER:
		linger_deadline(d);
		return;
	case PX_DOWN_L4:
		if (too_old)
			px_l4_end(d->l4, why_too_old(d));
		else
			px_l4_deadline(d->l4, now);
		return;
	default:
		/* Too old with a request under way: it is the last one. */
		if (too_old && !d->close_soon) {
			px_why(p, why_too_old(d));
			d->close_soon = true;
		}
	}
}

static void on_exch_timer(void *ctx, struct tg_timer *t)
{
	struct px_exch *ex = TG_CONTAINER(t, struct px_exch, timer);
	struct px_down *d = ex->down;
	uint64_t now = px_now(ctx);

	if (now >= px_exch_next_deadline(ex)) {
		px_exch_deadline(ex, now); /* may free d */
		if (d->used && d->state == PX_DOWN_BUSY)
			px_down_run(d);
	}
	if (d->used)
		px_down_arm(d);
}

int px_down_init(struct tg_proxy *p)
{
	int down = tg_wheel_kind(p->wheel, on_timer, p);
	int exch = tg_wheel_kind(p->wheel, on_exch_timer, p);

	p->down_kind = (uint8_t)down;
	p->exch_kind = (uint8_t)exch;
	return down < 0 || exch < 0 ? TG_ENOMEM : 0;
}

void px_down_linger(struct px_down *d)
{
	if (d->shadow || (d->eof && !tg_conn_peek(d->conn, &(struct tg_view){0}, 1))) {
		px_down_close(d);
		return;
	}
	tg_conn_finish(d->conn);
	px_down_set(d, PX_DOWN_LINGER);
	d->discarded = d->acked_mark = 0;
	px_down_arm(d);
	px_down_run(d);
}

/* Reads and forgets, so that our last answer is not destroyed by a RST for unread bytes. */
static void run_linger(struct px_down *d)
{
	struct tg_view v[8];
	uint32_t cnt;

	while ((cnt = tg_conn_peek(d->conn, v, TG_ARRAY_LEN(v)))) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < cnt; i++)
			n += v[i].n;
		tg_conn_consume(d->conn, n);
		d->discarded += n;
		if (d->discarded > TG_PX_DISCARD_MAX) {
			px_down_abort(d, TG_WHY_conn_linger);
			return;
		}
	}
	if (d->eof)
		px_down_close(d);
}

/* True: there is an exchange now. False: nothing to do, or d is gone. */
static bool next_request(struct px_down *d)
{
	if (tg_conn_peek(d->conn, &(struct tg_view){0}, 1))
		return px_exch_begin(d);
	if (d->eof)
		px_down_close(d);
	return false;
}

/* Pipelined requests follow each other in a loop, not by recursion: their number is the client's
 * choice. The send buffer bounds the rounds. */
static void run_http(struct px_down *d)
{
	do {
		if (d->state == PX_DOWN_IDLE && !next_request(d))
			return;
		px_exch_run(d->ex);
	} while (d->used && d->state == PX_DOWN_IDLE);
}

void px_down_run(struct px_down *d)
{
	if (d->state == PX_DOWN_L4)
		px_l4_run(d->l4);
	else if (d->state == PX_DOWN_LINGER)
		run_linger(d);
	else
		run_http(d);
}

static void failed(struct px_down *d)
{
	if (d->state == PX_DOWN_L4) {
		d->l4->flags |= TG_FLAG(DC);
		px_l4_lost(d->l4);
		return;
	}
	if (d->state == PX_DOWN_BUSY)
		px_exch_downstream_gone(d->ex);
	px_down_close(d);
}

static void on_down_ready(struct tg_conn *c, uint32_t ev)
{
	struct px_down *d = c->owner;

	if (ev & TG_EV_EOF)
		d->eof = true;
	if (ev & TG_EV_FAILED)
		failed(d);
	else
		px_down_run(d);
}

static struct px_down *take_down(struct tg_proxy *p)
{
	struct px_down *d = tg_pool_take(&p->downs);

	/* The order of refusals: an idle connection goes before a new one is turned away. */
	if (!d && px_shed_idle(p, 0))
		d = tg_pool_take(&p->downs);
	return d;
}

/* c is open and has no owner yet but the listener. */
static void take(struct px_listener *ln, struct tg_conn *c, uint32_t ev)
{
	struct tg_proxy *p = ln->proxy;
	struct px_down *d = p->draining || !ln->handle ? NULL : take_down(p);

	if (!d) {
		ln->stats->downstream_cx_overflow++;
		tg_conn_abort(c, TG_WHY_conn_no_memory);
		return;
	}
	memset(d, 0, sizeof(*d));
	d->used = true;
	d->conn = c;
	d->ln = ln;
	d->opened = d->since = now_tick(p);
	p->n_idle++; /* state 0 */
	ln->conns++;
	ln->stats->downstream_cx_total++;
	ln->stats->downstream_cx_active++;
	c->user = &down_user;
	c->owner = d;
	if (ln->conf->protocol == TG_PROTOCOL_TCP) {
		px_l4_begin(d); /* may free d */
		if (!d->used)
			return;
	} else {
		struct tg_filter_reply denied;

		px_down_set(d, PX_DOWN_IDLE);
		if (!px_filters_conn(d, &denied)) {
			px_down_abort(d, denied.why);
			return;
		}
		px_down_arm(d);
	}
	on_down_ready(c, ev & ~(uint32_t)TG_EV_OPEN);
}

/* The end of a TLS handshake. */
static void on_tls_accept(struct tg_conn *c, uint32_t ev)
{
	struct px_listener *ln = c->owner;

	if (ev & TG_EV_FAILED) {
		ln->stats->downstream_cx_tls_error++;
		tg_conn_detach(c);
	} else if (ev & TG_EV_OPEN) {
		take(ln, c, ev);
	} else {
		return;
	}
	let_go_of(ln);
}

static const struct tg_conn_user tls_accept_user = {on_tls_accept};

/* A client that has yet to prove itself costs a handshake, and no px_down. */
static void begin_tls(struct px_listener *ln, struct tg_conn *lower, uint32_t ev)
{
	struct tg_proxy *p = ln->proxy;
	enum tg_why why = TG_WHY_conn_drain;
	struct tg_conn *c = NULL;

	if (p->conf.tls && !p->draining && ln->handle) {
		why = TG_WHY_conn_aborted; /* why it was refused has been counted */
		c = tg_tls_accept(p->conf.tls, ln->conf->tls->id, lower,
			ln->conf->tls_handshake_timeout, &tls_accept_user, ln);
	}
	if (!c) {
		ln->stats->downstream_cx_overflow++;
		tg_conn_abort(lower, why);
		return;
	}
	ln->conns++;
	lower->user->on_ready(lower, ev & ~(uint32_t)TG_EV_OPEN);
}

static void on_accept(struct tg_conn *c, uint32_t ev)
{
	struct px_listener *ln = c->owner;

	if (ev & TG_EV_FAILED)
		tg_conn_detach(c);
	else if (ln->conf->tls)
		begin_tls(ln, c, ev);
	else
		take(ln, c, ev);
}

const struct tg_conn_user px_accept_user = {on_accept};
