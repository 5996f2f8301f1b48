/* handshaking.c: drives handshakes: lower's bytes to the engine, its bytes to lower, within the
 * turn's budget. */
#include "conn.h"

#define HS_VIEWS 64
#define SLOW TG_SEC /* a client that lets a handshake wait for longer may be shed */
#define SHED_LOOK 16
#define LINGER (1 * TG_SEC) /* nginx waits as long for a client that reads its last answer */

static void fail(struct tls_conn *c, enum tg_why why)
{
	c->conn.impl[I_WHY] = (uint8_t)why;
	c->conn.impl[I_MODE] = TLS_FAILED;
	tls_count(c, why);
	c->tls->conf.stats->tls_handshake_failed++;
	tls_deliver(c, TG_EV_FAILED);
}

void tls_hs_drop(struct tls_conn *c)
{
	struct tls_hs *h = c->hs;

	c->hs = NULL;
	tg_timer_stop(c->tls->conf.wheel, &h->timer);
	tg_list_del(&h->queue);
	tg_list_del(&h->age);
	if (h->engine)
		tg_hs_abandon(h->engine);
	h->c = NULL;
	tg_pool_put(&c->tls->hs, h);
}

/* Who was refused and lingers keeps nobody out, nor whoever is refused next. */
static void *take_linger(struct tg_tls *t, struct tg_pool *from)
{
	void *found = tg_pool_take(from);

	if (found || tg_list_empty(&t->lingering))
		return found;
	tls_linger_end(TG_CONTAINER(t->lingering.next, struct tls_hs, age)->c);
	return tg_pool_take(from);
}

bool tls_hs_linger(struct tls_conn *c)
{
	struct tg_tls *t = c->tls;
	struct tls_hs *h = take_linger(t, &t->hs);

	if (!h)
		return false;
	memset(h, 0, sizeof(*h));
	h->c = c;
	tg_list_init(&h->queue);
	tg_list_init(&h->age);
	tg_list_push(&t->lingering, &h->age);
	tg_timer_start(t->conf.wheel, &h->timer, t->hs_timer, LINGER);
	c->hs = h;
	return true;
}

static void queue(struct tls_hs *h)
{
	tg_list_del(&h->queue);
	tg_list_push(&h->c->tls->work, &h->queue);
}

/* Who begins handshakes and ends none does not keep others out: the oldest one that has waited for
 * its client for a while goes. */
static bool shed_slow(struct tg_tls *t)
{
	struct tg_link *l = t->begun.next;

	for (int n = 0; l != &t->begun && n < SHED_LOOK; n++, l = l->next) {
		struct tls_hs *h = TG_CONTAINER(l, struct tls_hs, age);
		struct tls_conn *c = h->c;

		if (t->conf.wheel->now - h->since < SLOW)
			return false;
		if (!tg_list_empty(&h->queue))
			continue; /* it waits for us */
		tls_hs_drop(c);
		fail(c, TG_WHY_conn_shed);
		return true;
	}
	return false;
}

static struct tls_hs *take_hs(struct tg_tls *t)
{
	struct tls_hs *h = take_linger(t, &t->hs);

	return h || !shed_slow(t) ? h : tg_pool_take(&t->hs);
}

struct tg_conn *tls_begin(struct tg_tls *t, bool server, uint32_t conf_id, struct tg_conn *lower,
	uint64_t timeout, const struct tg_conn_user *user, void *owner)
{
	struct tls_conn *c = take_linger(t, &t->conns);
	struct tls_hs *h = c ? take_hs(t) : NULL;
	enum tg_why why = TG_WHY_tls_no_memory;
	struct tg_conn_info info;

	if (h) {
		tg_conn_info(lower, &info);
		memset(h, 0, sizeof(*h));
		h->engine = tg_hs_begin(
			t->handshakes, conf_id, server ? NULL : &info.remote, tls_time(t), &why);
	}
	if (!h || !h->engine) {
		t->conf.stats->why[why]++;
		if (h) {
			h->c = NULL;
			tg_pool_put(&t->hs, h);
		}
		if (c)
			tg_pool_put(&t->conns, c);
		return NULL;
	}
	memset(c, 0, sizeof(*c));
	c->conn.ops = &t->ops.ops;
	c->conn.user = user;
	c->conn.owner = owner;
	c->conn.impl[I_MODE] = TLS_HANDSHAKE;
	c->tls = t;
	c->lower = lower;
	c->hs = h;
	c->flags = server ? F_SERVER : 0;
	c->expires = TLS_NEVER;
	tg_list_init(&c->starved);
	h->c = c;
	h->since = t->conf.wheel->now;
	tg_list_init(&h->queue);
	tg_list_init(&h->age);
	if (server)
		tg_list_push(&t->begun, &h->age);
	tg_timer_start(t->conf.wheel, &h->timer, t->hs_timer,
		timeout ? timeout : t->conf.handshake_timeout);
	lower->user = &tls_lower_user;
	lower->owner = c;
	if (server)
		queue(h); /* its first bytes may be there already */
	return &c->conn;
}

void tls_hs_event(struct tls_conn *c, uint32_t ev)
{
	if (ev & TG_EV_FAILED) {
		struct tg_conn_info info;

		tg_conn_info(c->lower, &info);
		tls_hs_drop(c);
		fail(c, info.why);
		return;
	}
	queue(c->hs);
}

void tls_hs_timeout(void *ctx, struct tg_timer *timer)
{
	struct tls_conn *c = TG_CONTAINER(timer, struct tls_hs, timer)->c;

	(void)ctx;
	if (tls_mode(c) == TLS_LINGER) {
		tls_linger_end(c);
		return;
	}
	tls_log_failure(c, "the handshake was not done in time");
	tls_hs_drop(c);
	fail(c, TG_WHY_tls_timeout);
}

void tg_tls_abort_handshakes(struct tg_tls *t, enum tg_why why)
{
	for (uint32_t i = 0; i < t->hs.fresh; i++) {
		struct tls_hs *h = tg_pool_at(&t->hs, i);
		struct tls_conn *c = h->c;

		if (!c)
			continue;
		if (tls_mode(c) == TLS_LINGER) {
			tls_linger_end(c);
			continue;
		}
		tls_hs_drop(c);
		fail(c, why);
	}
}

/* A certificate of ours that is no SVID may outlive its end: whether the peer still takes it is the
 * peer's affair. */
static void set_expires(struct tls_conn *c, int64_t peer)
{
	int64_t own = c->own && c->own->spiffe_id.n ? c->own->not_after : INT64_MAX;
	int64_t end = own < peer ? own : peer;

	c->expires = end >= TLS_NEVER ? TLS_NEVER : end > 0 ? (uint32_t)end : 0;
	c->flags |= own < peer ? F_OWN_EXPIRES : 0;
}

/* The engine is through: its secrets become ours. */
static void open(struct tls_conn *c)
{
	struct tg_core_stats *s = c->tls->conf.stats;
	struct tls_hs *h = c->hs;
	struct tg_hs_result r;
	uint32_t ev = TG_EV_OPEN;

	if (tg_hs_take(h->engine, &r)) {
		tls_hs_drop(c);
		fail(c, TG_WHY_tls_no_memory);
		return;
	}
	h->engine = NULL;
	tls_hs_drop(c);
	c->act = NULL;
	c->sni = r.sni;
	c->alpn = r.alpn;
	c->peer = r.peer;
	c->own = r.own;
	set_expires(c, r.peer_expires);
	c->resume = r.resume;
	c->cipher = r.cipher;
	c->flags |= r.resumed ? F_RESUMED : 0;
	tg_post_init(&c->post, c->flags & F_SERVER, r.version == 12);
	c->rx = r.rx;
	c->tx = r.tx;
	tg_rec_wipe(&r.rx);
	tg_rec_wipe(&r.tx);
	c->conn.impl[I_MODE] = TLS_OPEN;
	s->tls_handshakes++;
	s->tls_resumed += r.resumed;
	if (r.trailing) {
		tg_post_fail(&c->post, -TG_ALERT_UNEXPECTED_MESSAGE);
		c->conn.impl[I_WHY] = TG_WHY_tls_record;
		tls_tx_control(c, false);
		ev |= TG_EV_FAILED;
	}
	ev |= tls_rx_open(c);
	tls_deliver(c, ev);
}

/* The engine refused, or the peer did. Its alert, if any, has been written already. */
static void refused(struct tls_conn *c)
{
	struct tg_hs_fail f;
	enum tg_why why;

	tg_hs_failure(c->hs->engine, &f);
	why = f.why;
	tls_log_failure(c, f.text);
	tls_hs_drop(c);
	tg_conn_finish(c->lower);
	c->flags |= F_FINISHED;
	fail(c, why);
}

/* Everything that lower has, as views; *n: bytes. */
static uint32_t look(struct tg_conn *lower, struct tg_view *v, uint32_t *n)
{
	uint32_t cnt = tg_conn_peek(lower, v, HS_VIEWS);

	*n = 0;
	for (uint32_t i = 0; i < cnt; i++)
		*n += v[i].n;
	return cnt;
}

static bool write_all(struct tls_conn *c, uint32_t n)
{
	struct tg_view v = tg_view_of(c->tls->scratch, n);

	return !n || tg_conn_write(c->lower, &v, 1) == n;
}

void tls_hs_step(struct tls_hs *h)
{
	struct tls_conn *c = h->c;
	struct tg_view in[HS_VIEWS];
	struct tg_hs_io io = {.in = in, .out = {c->tls->scratch, sizeof(c->tls->scratch)}};
	uint32_t have, space = tg_conn_space(c->lower);
	enum tg_hs_state state;

	io.n_in = look(c->lower, in, &have);
	if (io.out.n > space)
		io.out.n = space;
	state = tg_hs_step(h->engine, &io);
	tg_conn_consume(c->lower, io.used);
	if (!write_all(c, io.made)) {
		tls_hs_drop(c);
		fail(c, TG_WHY_tx_no_mbuf);
		return;
	}
	switch (state) {
	case TG_HS_DONE:
		open(c);
		return;
	case TG_HS_FAILED:
		refused(c);
		return;
	case TG_HS_WANT_OUTPUT:
		tg_conn_write(c->lower, NULL, 0); /* asks for WRITABLE */
		return;
	case TG_HS_WANT_INPUT:
		if (have > io.used && io.used) {
			queue(h);
		} else if (c->flags & F_LOWER_EOF && have == io.used) {
			tg_hs_eof(h->engine);
			refused(c);
		}
		return;
	}
}
