/* conn.c: tg_conn_ops of a TLS connection, its events and its end. */
#include "conn.h"

void tls_deliver(struct tls_conn *c, uint32_t ev)
{
	ev |= c->conn.events;
	c->conn.events = 0;
	if (c->flags & F_FAIL_TOLD)
		return;
	if (ev & TG_EV_FAILED) {
		c->flags |= F_FAIL_TOLD;
		if (tls_mode(c) == TLS_OPEN)
			tls_count(c, (enum tg_why)c->conn.impl[I_WHY]);
	}
	if (c->flags & F_EOF_TOLD)
		ev &= ~(uint32_t)TG_EV_EOF;
	if (ev & TG_EV_EOF)
		c->flags |= F_EOF_TOLD;
	if (ev) {
		struct tg_tax *tax = &c->tls->conf.stats->tax;
		enum tg_stage before = tg_tax_enter(tax, TG_STAGE_http);

		c->conn.user->on_ready(&c->conn, ev); /* may end c */
		tg_tax_leave(tax, before);
	}
}

void tls_call_back(struct tls_conn *c)
{
	tg_ready_raise(c->tls->conf.ready, c->lower, TG_EV_READABLE);
}

/* Everything but lower and c itself. */
static void release(struct tls_conn *c)
{
	struct tg_tls *t = c->tls;

	if (c->hs && (tls_mode(c) == TLS_HANDSHAKE || tls_mode(c) == TLS_LINGER)) {
		tls_hs_drop(c);
	} else if (tls_mode(c) == TLS_OPEN) {
		tg_post_end(&c->post, &t->gather);
		tg_rec_rest(&c->rx);
		tg_rec_rest(&c->tx);
		if (c->act) {
			t->pinned -= c->act->n_regions > 0;
			tg_pool_put(&t->acts, c->act);
		}
	}
	c->hs = NULL;
	tg_list_del(&c->starved);
	tg_rec_wipe(&c->rx);
	tg_rec_wipe(&c->tx);
	tg_hs_resume_drop(c->resume);
	tg_hs_name_drop(t->handshakes, c->sni);
	tg_hs_name_drop(t->handshakes, c->alpn);
	tg_hs_identity_drop(t->handshakes, c->peer);
	tg_hs_identity_drop(t->handshakes, c->own);
	c->resume = NULL;
	c->sni = c->alpn = NULL;
	c->peer = c->own = NULL;
}

/* Reads and forgets. */
static void forget_rest(struct tls_conn *c)
{
	struct tg_view v[16];
	uint32_t cnt;

	while ((cnt = tg_conn_peek(c->lower, v, TG_ARRAY_LEN(v)))) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < cnt; i++)
			n += v[i].n;
		tg_conn_consume(c->lower, n);
	}
}

static void end(struct tls_conn *c)
{
	/* Behind our FIN unread bytes would mean a RST, which could destroy an alert. */
	if (c->flags & F_FINISHED)
		forget_rest(c);
	tg_conn_detach(c->lower);
	release(c);
	tg_pool_put(&c->tls->conns, c);
}

void tls_linger_end(struct tls_conn *c)
{
	end(c);
}

/* Our FIN is out, behind an alert; the peer has not closed yet. */
static bool last_words(const struct tls_conn *c)
{
	return c->flags & F_FINISHED && !(c->flags & (F_LOWER_FAILED | F_LOWER_EOF));
}

static void discard(struct tls_conn *c)
{
	forget_rest(c);
	if (c->flags & (F_LOWER_EOF | F_LOWER_FAILED))
		end(c);
}

static void linger(struct tls_conn *c)
{
	release(c);
	c->conn.impl[I_MODE] = TLS_LINGER;
	if (tls_hs_linger(c))
		discard(c);
	else
		end(c);
}

/* Below, something happened. */
static void open_event(struct tls_conn *c, uint32_t ev)
{
	uint32_t up = ev & (TG_EV_WRITABLE | TG_EV_DRAINED);

	if (ev & TG_EV_WRITABLE && tg_post_wants_tx(&c->post, &c->tx, &c->rx, false))
		tls_tx_control(c, false);
	up |= tls_rx_open(c);
	if (ev & TG_EV_FAILED && !(up & TG_EV_FAILED)) {
		struct tg_conn_info info;

		tg_conn_info(c->lower, &info);
		c->conn.impl[I_WHY] = (uint8_t)info.why;
		up |= TG_EV_FAILED;
	}
	tls_deliver(c, up);
}

/* What opening a record will need, and what comes of it. */
static void on_lower_soon(const struct tg_conn *lower)
{
	const struct tls_conn *c = lower->owner;

	__builtin_prefetch(c->conn.owner, 1);
	__builtin_prefetch(&c->post, 1);
	if (tls_mode(c) == TLS_OPEN && c->act) {
		tls_prefetch(c->act, tls_rx_key(c->act));
		/* The answer goes out here, a while later. */
		tls_prefetch(c->act, tls_tx_key(c->act));
	}
}

/* The user will write: what sealing will need. */
static void tls_tx_soon(const struct tg_conn *conn)
{
	const struct tls_conn *c = tls_of(conn);

	__builtin_prefetch(c->lower, 1);
	__builtin_prefetch(&c->post, 1);
	__builtin_prefetch(&c->tx, 1);
	if (tls_mode(c) == TLS_OPEN && c->act)
		tls_prefetch(c->act, tls_tx_key(c->act));
}

static void on_lower_ready(struct tg_conn *lower, uint32_t ev)
{
	struct tls_conn *c = lower->owner;
	struct tg_tax *tax = &c->tls->conf.stats->tax;
	enum tg_stage before = tg_tax_enter(tax, TG_STAGE_tls);

	if (ev & TG_EV_EOF)
		c->flags |= F_LOWER_EOF;
	if (ev & TG_EV_FAILED)
		c->flags |= F_LOWER_FAILED;
	if (tls_mode(c) == TLS_HANDSHAKE)
		tls_hs_event(c, ev);
	else if (tls_mode(c) == TLS_OPEN)
		open_event(c, ev);
	else if (tls_mode(c) == TLS_LINGER)
		discard(c);
	tg_tax_leave(tax, before);
}

const struct tg_conn_user tls_lower_user = {on_lower_ready, on_lower_soon};

/* The peer's last word was an alert, or a FIN that came too early: a FIN answers it, not a RST. */
static bool answer_end(struct tls_conn *c)
{
	enum tg_why why = (enum tg_why)c->conn.impl[I_WHY];

	if (!(c->flags & F_FAIL_TOLD) || c->flags & (F_LOWER_FAILED | F_FINISHED) ||
		(why != TG_WHY_tls_alert && why != TG_WHY_tls_truncated))
		return false;
	c->flags |= F_FINISHED;
	tg_conn_finish(c->lower);
	return true;
}

static void tls_abort(struct tg_conn *conn, enum tg_why why)
{
	struct tls_conn *c = tls_of(conn);
	bool answered = answer_end(c);

	if (last_words(c)) {
		linger(c);
		return;
	}
	if (answered) {
		end(c);
		return;
	}
	/* Why it failed has been counted. */
	tg_conn_abort(c->lower, c->flags & F_FAIL_TOLD ? TG_WHY_conn_aborted : why);
	release(c);
	tg_pool_put(&c->tls->conns, c);
}

static void tls_detach(struct tg_conn *conn)
{
	struct tls_conn *c = tls_of(conn);

	answer_end(c);
	tls_tx_finish(conn);
	/* What is there and needs no user (close_notify, tickets) is taken, lest it be answered
	 * with a RST that destroys what we sent last. */
	if (tls_mode(c) == TLS_OPEN && !(c->flags & F_LOWER_FAILED))
		tls_rx_open(c);
	if (c->conn.impl[I_WHY] && last_words(c))
		linger(c);
	else
		end(c);
}

static void info(const struct tg_conn *conn, struct tg_conn_info *out)
{
	const struct tls_conn *c = tls_of(conn);

	/* Bytes are counted as they are on the wire: what the peer's TCP has of a record is some of
	 * it. */
	tg_conn_info(c->lower, out);
	if (c->conn.impl[I_WHY])
		out->why = (enum tg_why)c->conn.impl[I_WHY];
	if (tls_mode(c) != TLS_OPEN)
		out->tx_written = out->tx_acked = 0; /* none of the user's */
}

void tls_ops_init(struct tg_tls *t)
{
	static const struct tg_conn_ops ops = {
		.rx_peek = tls_rx_peek,
		.rx_consume = tls_rx_consume,
		.tx_space = tls_tx_space,
		.tx_write = tls_tx_write,
		.tx_fill = tls_tx_fill,
		.tx_finish = tls_tx_finish,
		.abort = tls_abort,
		.detach = tls_detach,
		.info = info,
		.fault = tls_conn_fault,
		.tx_soon = tls_tx_soon,
	};

	tg_traced_init(&t->ops, &ops, &t->conf.stats->tax, TG_STAGE_tls);
}

void tg_tls_trace(struct tg_tls *t, bool on)
{
	tg_traced_set(&t->ops, on);
}

/* Every worker has a table of its own, but the same function in this place. */
static bool is_tls(const struct tg_conn *conn)
{
	return conn->ops->info == info;
}

struct tg_conn *tg_tls_accept(struct tg_tls *t, uint32_t conf_id, struct tg_conn *lower,
	uint64_t timeout, const struct tg_conn_user *user, void *owner)
{
	return tls_begin(t, true, conf_id, lower, timeout, user, owner);
}

struct tg_conn *tg_tls_connect(struct tg_tls *t, uint32_t conf_id, struct tg_conn *lower,
	uint64_t timeout, const struct tg_conn_user *user, void *owner)
{
	return tls_begin(t, false, conf_id, lower, timeout, user, owner);
}

static struct tg_view name_of(const struct tg_name *n)
{
	return n ? tg_view_of(n->s, n->n) : TG_VIEW_NONE;
}

bool tg_tls_info(const struct tg_conn *conn, struct tg_tls_info *out)
{
	const struct tls_conn *c = tls_of(conn);

	if (tg_unlikely(conn->dry)) {
		const struct tg_dry_conn *dry = (const struct tg_dry_conn *)conn;

		*out = dry->tls;
		return dry->is_tls;
	}
	if (!is_tls(conn) || tls_mode(c) != TLS_OPEN)
		return false;
	*out = (struct tg_tls_info){
		.peer = c->peer,
		.own = c->own,
		.version = tg_rec_is12(&c->rx) ? "TLSv1.2" : "TLSv1.3",
		.cipher = c->cipher,
		.sni = name_of(c->sni),
		.alpn = name_of(c->alpn),
		.resumed = c->flags & F_RESUMED,
	};
	return true;
}

const struct tg_identity *tg_tls_peer(const struct tg_conn *conn)
{
	const struct tls_conn *c = tls_of(conn);

	if (tg_unlikely(conn->dry))
		return ((const struct tg_dry_conn *)conn)->tls.peer;
	return is_tls(conn) && tls_mode(c) == TLS_OPEN ? c->peer : NULL;
}

uint64_t tg_tls_expires(const struct tg_conn *conn)
{
	const struct tls_conn *c = tls_of(conn);
	int64_t ns;

	if (!is_tls(conn) || c->expires == TLS_NEVER)
		return UINT64_MAX;
	ns = (int64_t)c->expires * (int64_t)TG_SEC - (int64_t)c->tls->conf.realtime_offset;
	return ns > 0 ? (uint64_t)ns : 0;
}

enum tg_why tg_tls_expires_why(const struct tg_conn *conn)
{
	return tls_of(conn)->flags & F_OWN_EXPIRES ? TG_WHY_tls_own_expired
						   : TG_WHY_tls_peer_expired;
}
