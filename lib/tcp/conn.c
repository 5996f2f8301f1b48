/* conn.c: the life of a TCB: made, handed to its user, ended, freed; tg_conn_ops. */
#include "stack.h"

void set_state(struct tg_tcb *c, enum tg_tcp_state s)
{
	c->conn.impl[I_STATE] = (uint8_t)s;
}

void tcb_raise(struct tg_tcp *t, struct tg_tcb *c, uint32_t events)
{
	if (c->flags & F_USER)
		tg_ready_raise(t->conf.ready, &c->conn, events);
}

struct tg_tcb *tcb_new(struct tg_tcp *t, const struct tg_flow *f)
{
	struct tg_tcb *c = tg_pool_take(&t->tcbs);
	uint32_t in_line;

	if (!c)
		return NULL;
	in_line = c->flags & F_IN_LINE;
	memset(c, 0, sizeof(*c));
	c->conn.ops = &t->ops.traced.ops;
	c->flow = *f;
	c->flags = F_USER | in_line;
	c->rcv_buf = t->conf.rcv_buf;
	c->snd_buf = t->conf.snd_buf;
	c->ssthresh = TG_CC_SSTHRESH_MAX;
	c->rcv_mss = 536;
	set_state(c, S_CLOSED);
	return c;
}

void tcb_maybe_free(struct tg_tcp *t, struct tg_tcb *c)
{
	if (tcb_state(c) != S_CLOSED || c->flags & (F_USER | F_ON_READY | F_ON_OUT))
		return;
	rcv_free(t, c);
	set_state(c, S_FREE);
	tg_pool_put(&t->tcbs, c);
}

void tcb_close(struct tg_tcp *t, struct tg_tcb *c, bool in_table)
{
	if (in_table)
		tg_flow_remove(&t->flows, tg_flow_hash(&t->flows, &c->flow),
			tg_flow_ref(TG_FLOW_TCB, tcb_index(t, c)));
	t->stats->tcp_connections--;
	t->orphans -= !!(c->flags & F_ORPHAN);
	c->flags &= ~F_ORPHAN;
	if (tg_unlikely(c->conn.faulty))
		fault_end(t, c);
	tg_timer_stop(t->wheel, &c->timer);
	c->dl_rexmt = c->dl_ack = c->dl_misc = 0;
	/* What info() tells of the queue must outlive it. */
	if (!tcb_synchronized(c))
		c->snd_end = c->snd_una;
	if (c->flags & F_FIN_IN_QUEUE && c->snd_una != c->snd_end)
		c->snd_end--;
	c->flags &= ~(F_FIN_IN_QUEUE | F_ACK_NOW | F_ACK_LATER);
	tx_drop(t, c);
	set_state(c, S_CLOSED);
	tcb_maybe_free(t, c);
}

void tcb_fail(struct tg_tcp *t, struct tg_tcb *c, enum tg_why why)
{
	t->stats->why[why]++;
	c->conn.impl[I_WHY] = (uint8_t)why;
	/* Nothing was ever sent on what never opened. */
	if (tcb_state(c) < S_ESTABLISHED)
		c->flags |= F_TX_FINAL;
	tcb_raise(t, c, TG_EV_FAILED);
	tcb_close(t, c, true);
}

void orphan_progress(struct tg_tcp *t, struct tg_tcb *c)
{
	arm_misc(t, c, t->conf.fin_timeout);
}

/* --- tg_conn_ops --- */

/* The user's pointer is dead from here on. */
static void let_go(struct tg_tcp *t, struct tg_tcb *c)
{
	c->flags &= ~(F_USER | F_WANT_WRITE | F_KEEPALIVE);
	c->dl_misc = 0;
	if (tg_ready_cancel(t->conf.ready, &c->conn))
		c->flags |= F_ON_READY;
}

/* Linux: tcp_need_reset. In SYN-SENT the peer knows of nothing; after both FINs it has everything.
 */
static bool must_reset(const struct tg_tcb *c)
{
	switch (tcb_state(c)) {
	case S_SYN_SENT:
		return false;
	case S_CLOSING:
	case S_LAST_ACK:
		return c->snd_nxt != c->snd_end;
	default:
		return true;
	}
}

static void conn_abort(struct tg_conn *conn, enum tg_why why)
{
	struct tg_tcp *t = stack_of(conn);
	struct tg_tcb *c = tcb_of(conn);
	enum tg_tcp_state s = tcb_state(c);

	let_go(t, c);
	if (s == S_CLOSED) {
		tcb_maybe_free(t, c);
		return;
	}
	if (must_reset(c))
		send_reset(t, c);
	tcb_fail(t, c, why);
}

static void conn_detach(struct tg_conn *conn)
{
	struct tg_tcp *t = stack_of(conn);
	struct tg_tcb *c = tcb_of(conn);
	enum tg_tcp_state s = tcb_state(c);

	/* Bytes that nobody read: the peer must not believe that they were (RFC 2525 section 2.17).
	 */
	if (s == S_SYN_SENT || (s > S_CLOSED && c->rx_bytes)) {
		conn_abort(conn, TG_WHY_conn_aborted);
		return;
	}
	let_go(t, c);
	if (s == S_CLOSED) {
		tcb_maybe_free(t, c);
		return;
	}
	c->flags |= F_ORPHAN;
	t->orphans++;
	if (!(c->flags & F_FIN_QUEUED)) {
		c->flags |= F_FIN_QUEUED;
		snd_wake(t, c);
	}
	orphan_progress(t, c);
}

static void conn_info(const struct tg_conn *conn, struct tg_conn_info *out)
{
	const struct tg_tcb *c = tcb_of(conn);
	uint32_t queued = c->snd_end - c->snd_una;

	if (!tcb_synchronized(c) && tcb_state(c) != S_CLOSED)
		queued = 0;
	if (c->flags & F_FIN_IN_QUEUE && queued)
		queued--;
	*out = (struct tg_conn_info){
		.local = {c->flow.local, c->flow.lport},
		.remote = {c->flow.remote, c->flow.rport},
		.why = c->conn.impl[I_WHY],
		.tx_written = c->tx_acked + queued,
		.tx_acked = c->tx_acked,
		.tx_final = c->flags & F_TX_FINAL,
		.rx_held = c->rx_bytes,
		.srtt_us = c->srtt_us,
	};
}

void tg_tcp_reap(void *ctx, struct tg_conn *conn)
{
	struct tg_tcb *c = tcb_of(conn);

	c->flags &= ~F_ON_READY;
	tcb_maybe_free(ctx, c);
}

void conn_ops_init(struct tg_tcp *t)
{
	static const struct tg_conn_ops ops = {
		.rx_peek = rcv_peek,
		.rx_consume = rcv_consume,
		.tx_space = snd_space,
		.tx_write = snd_write,
		.tx_fill = snd_fill,
		.tx_finish = snd_finish,
		.abort = conn_abort,
		.detach = conn_detach,
		.info = conn_info,
		.fault = tcp_conn_fault,
	};

	tg_traced_init(&t->ops.traced, &ops, &t->stats->tax, TG_STAGE_tcp);
	t->ops.stack = t;
}

void tg_tcp_trace(struct tg_tcp *t, bool on)
{
	tg_traced_set(&t->ops.traced, on);
}
