/* timer.c: one timer a connection for three deadlines.
 *
 *   dl_rexmt  RTO | tail loss probe | reordering window | window probe | starved: impl[I_REXMT]
 *   dl_ack    delayed ACK | a last segment that waits for more (F_HELD)
 *   dl_misc   connect timeout | keepalive | an orphan's patience: follows from the state
 *
 * Deadlines are the low 32 bits of wheel ticks, 0 = none. The wheel's timer stands at the earliest
 * or before it: it is moved only when a deadline comes nearer, and finds out when it fires.
 *
 * Most deadlines never come: the answer is faster than the delayed ACK, the ACK faster than the
 * retransmission. So one that is at least as far off as a delayed ACK does not go on the wheel,
 * whose lists lead through the cold lines of other connections, but into a line, first come, first
 * served: 8 bytes, and when its turn comes, memory has been asked for in time. Only what is still
 * awaited then goes on the wheel. A connection stands in the line at most once; a full line sends
 * it to the wheel.
 */
#include <stdlib.h>

#include "stack.h"

#define LINE_ENTRIES (1u << 16) /* 1.6 million a second wait 40 ms */
#define LINE_BUDGET 256         /* looked at in one go */
#define LINE_AHEAD 8            /* whose memory is asked for */

static bool due(uint32_t deadline, uint32_t now)
{
	return deadline && (int32_t)(deadline - now) <= 0;
}

static uint32_t nearer(uint32_t a, uint32_t b)
{
	if (!a || !b)
		return a | b;
	return (int32_t)(a - b) < 0 ? a : b;
}

/* Ticks from now on; negative: it is over. */
static int32_t ticks_to(const struct tg_tcp *t, uint32_t tick)
{
	return (int32_t)(tick - now_tick(t));
}

static void start_in(struct tg_tcp *t, struct tg_timer *timer, uint8_t kind, int32_t ticks)
{
	tg_timer_start(
		t->wheel, timer, kind, (uint64_t)(ticks > 0 ? ticks : 0) << TG_WHEEL_TICK_SHIFT);
}

static void look_at(struct tg_tcp *t, struct tg_tcb *c);

/* --- the line --- */

int line_init(struct tg_tcp *t)
{
	uint32_t n = 16;

	while (n < t->conf.max_conns && n < LINE_ENTRIES)
		n *= 2;
	t->line_mask = n - 1;
	t->line = calloc(n, sizeof(t->line[0]));
	return t->line ? 0 : TG_ENOMEM;
}

void line_fini(struct tg_tcp *t)
{
	free(t->line);
}

/* True: c's deadlines will be looked at within the time of a delayed ACK from now. */
static bool stand_in_line(struct tg_tcp *t, struct tg_tcb *c)
{
	uint32_t tick = now_tick(t) + us_to_ticks(DELACK_US);

	if (c->flags & F_IN_LINE)
		return true;
	if (t->line_tail - t->line_head > t->line_mask)
		return false;
	t->line[t->line_tail++ & t->line_mask] = (struct tg_line_entry){tcb_index(t, c), tick};
	c->flags |= F_IN_LINE;
	if (!tg_timer_running(&t->line_timer))
		start_in(t, &t->line_timer, t->kind_line, ticks_to(t, tick));
	return true;
}

static void prefetch_in_line(const struct tg_tcp *t, uint32_t at)
{
	const struct tg_tcb *c = tcb_at(t, t->line[at & t->line_mask].index);

	__builtin_prefetch(&c->flags, 1);
	__builtin_prefetch(&c->dl_misc, 1);
}

void line_timer(void *stack, struct tg_timer *timer)
{
	struct tg_tcp *t = stack;
	uint32_t budget = LINE_BUDGET;

	for (uint32_t i = 0; i < LINE_AHEAD; i++)
		prefetch_in_line(t, t->line_head + i);
	while (t->line_head != t->line_tail) {
		const struct tg_line_entry *e = &t->line[t->line_head & t->line_mask];
		struct tg_tcb *c = tcb_at(t, e->index);
		int32_t ticks = ticks_to(t, e->tick);

		if (ticks > 0 || !budget--) {
			start_in(t, timer, t->kind_line, ticks);
			return;
		}
		prefetch_in_line(t, t->line_head + LINE_AHEAD);
		t->line_head++;
		c->flags &= ~F_IN_LINE;
		if (c->dl_rexmt | c->dl_ack | c->dl_misc)
			look_at(t, c);
	}
}

bool line_ok(const struct tg_tcp *t)
{
	uint32_t n = 0;

	for (uint32_t i = t->line_head; i != t->line_tail; i++) {
		const struct tg_line_entry *e = &t->line[i & t->line_mask];

		if (e->index >= t->tcbs.fresh || !(tcb_at(t, e->index)->flags & F_IN_LINE))
			return false;
		n++;
	}
	for (uint32_t i = 0; i < t->tcbs.fresh; i++)
		n -= !!(tcb_at(t, i)->flags & F_IN_LINE);
	return n == 0 && (t->line_head == t->line_tail || tg_timer_running(&t->line_timer));
}

/* --- the three deadlines --- */

static void sync_timer(struct tg_tcp *t, struct tg_tcb *c, bool in_line)
{
	uint32_t first = nearer(nearer(c->dl_rexmt, c->dl_ack), c->dl_misc);
	int32_t ticks = ticks_to(t, first);

	if (!first)
		return; /* one that runs still finds nothing due */
	if (tg_timer_running(&c->timer) && (int32_t)((uint32_t)c->timer.expires - first) <= 0)
		return;
	if (in_line && ticks >= (int32_t)us_to_ticks(DELACK_US) && stand_in_line(t, c))
		return;
	start_in(t, &c->timer, t->kind_tcb, ticks);
}

static uint32_t deadline_in(const struct tg_tcp *t, uint64_t ns)
{
	uint64_t ticks = (ns >> TG_WHEEL_TICK_SHIFT) + 1;
	uint32_t d = now_tick(t) + (uint32_t)(ticks < INT32_MAX ? ticks : INT32_MAX);

	return d ? d : 1;
}

void arm_rexmt(struct tg_tcp *t, struct tg_tcb *c, enum tg_rexmt what, uint32_t us)
{
	c->conn.impl[I_REXMT] = what;
	c->dl_rexmt = deadline_in(t, (uint64_t)us * 1000);
	sync_timer(t, c, true);
}

void stop_rexmt(struct tg_tcb *c)
{
	c->dl_rexmt = 0;
	c->conn.impl[I_REXMT] = RX_NONE;
}

void arm_ack(struct tg_tcp *t, struct tg_tcb *c, uint32_t us)
{
	uint32_t d = deadline_in(t, (uint64_t)us * 1000);

	c->dl_ack = c->flags & F_HELD ? nearer(c->dl_ack, d) : d;
	sync_timer(t, c, true);
}

void arm_hold(struct tg_tcp *t, struct tg_tcb *c)
{
	c->flags &= ~F_HELD;
	arm_ack(t, c, HOLD_US);
	c->flags |= F_HELD;
}

void arm_misc(struct tg_tcp *t, struct tg_tcb *c, uint64_t ns)
{
	c->dl_misc = ns ? deadline_in(t, ns) : 0;
	sync_timer(t, c, true);
}

static uint32_t backed_off(const struct tg_tcb *c)
{
	uint64_t us = (uint64_t)rto_us(c) << (c->backoff < 12 ? c->backoff : 12);

	return us < RTO_MAX_US ? (uint32_t)us : RTO_MAX_US;
}

/* The user's patience (RFC 9293 section 3.8.3) cuts the last back-off short. */
static uint32_t within_patience(const struct tg_tcp *t, const struct tg_tcb *c, uint32_t us)
{
	uint64_t limit = t->conf.user_timeout / 1000,
		 passed = (uint64_t)(now_ms(t) - c->tx->stall_ms) * 1000;

	if (passed >= limit)
		return RTO_MIN_US;
	return limit - passed < us ? (uint32_t)(limit - passed) : us;
}

/* RFC 8985 section 7.2 */
static bool tlp_allowed(const struct tg_tcb *c)
{
	const struct tg_tx *x = c->tx;

	return c->flags & F_SACK && x->ca == CA_OPEN && !x->sacked && !(x->flags & TXF_TLP) &&
	       c->srtt_us && !c->backoff;
}

static uint32_t tlp_timeout(const struct tg_tcp *t, const struct tg_tcb *c)
{
	const struct rte_mbuf *head = c->tx->head;
	const struct tg_mark *k = mark_of(t, head);
	uint32_t us = 2 * c->srtt_us, rto = rto_us(c);
	int32_t rto_left = (int32_t)(k->sent_us + rto - now_us(t));

	/* A lone segment may sit out the peer's delayed ACK. */
	us += k->next == NULL || k->next == c->tx->unsent ? RTO_MIN_US : 2000;
	if (rto_left > 0)
		us = u32_min(us, (uint32_t)rto_left);
	return us;
}

/* No ACK will come that makes it go on: it has to ask again. */
static bool wants_memory(const struct tg_tcb *c)
{
	return c->flags & F_STARVED || (c->flags & F_WANT_WRITE && !(c->tx && c->tx->head));
}

void rearm(struct tg_tcp *t, struct tg_tcb *c)
{
	const struct tg_tx *x = c->tx;
	uint8_t what = c->conn.impl[I_REXMT];

	if (tcb_state(c) < S_ESTABLISHED)
		return;
	if (!x || c->snd_una == c->snd_nxt) {
		if (wants_memory(c)) {
			if (what != RX_STARVED)
				arm_rexmt(t, c, RX_STARVED, STARVED_US);
		} else if (x && x->unsent && !(c->flags & F_HELD)) { /* the window holds it back */
			if (what != RX_PERSIST)
				arm_rexmt(t, c, RX_PERSIST, backed_off(c));
		} else {
			stop_rexmt(c);
		}
		return;
	}
	if (what == RX_RTO || what == RX_TLP || what == RX_REO)
		return;
	if (tlp_allowed(c))
		arm_rexmt(t, c, RX_TLP, tlp_timeout(t, c));
	else
		arm_rexmt(t, c, RX_RTO, within_patience(t, c, backed_off(c)));
}

/* --- what happens when they are due --- */

static void syn_timeout(struct tg_tcp *t, struct tg_tcb *c)
{
	bool rcvd = tcb_state(c) == S_SYN_RCVD;

	if (c->backoff >= (rcvd ? SYNACK_RETRIES : SYN_RETRIES)) {
		tcb_fail(t, c,
			c->flags & F_SOFT_ERROR ? TG_WHY_conn_unreachable
						: TG_WHY_conn_connect_timeout);
		return;
	}
	c->backoff++;
	c->flags |= F_SYN_AGAIN;
	t->stats->tcp_retransmits++;
	t->stats->tcp_rto++;
	send_syn(t, c, rcvd);
	arm_rexmt(t, c, RX_RTO, backed_off(c));
}

static void rto_timeout(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;

	if (tcb_state(c) < S_ESTABLISHED) {
		syn_timeout(t, c);
		return;
	}
	if (!x || !x->head || x->head == x->unsent) {
		rearm(t, c);
		return;
	}
	if ((uint64_t)(now_ms(t) - x->stall_ms) * TG_MS >= t->conf.user_timeout) {
		tcb_fail(t, c,
			c->flags & F_SOFT_ERROR ? TG_WHY_conn_unreachable : TG_WHY_conn_timeout);
		return;
	}
	recovery_on_rto(t, c);
	snd_output(t, c);
	if (tcb_state(c) > S_CLOSED)
		arm_rexmt(t, c, RX_RTO, within_patience(t, c, backed_off(c)));
}

/* A sequence number that the peer must answer. It is outside the window, so the peer looks no
 * further: an ACK that is owed goes by itself. */
static void send_probe(struct tg_tcp *t, struct tg_tcb *c)
{
	if (c->flags & (F_ACK_NOW | F_ACK_LATER))
		send_ack(t, c);
	send_ack_at(t, c, c->snd_una - 1);
}

/* A byte of what the window does take leaves, if there is any; else an ACK of the past (Linux),
 * which the peer must answer (RFC 9293 section 3.8.6.1). */
static void probe_window(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;
	struct rte_mbuf *m = x->unsent;
	uint32_t open = c->snd_wnd;

	if (open && m && (mark_of(t, m)->len <= open || snd_split(t, c, m, open))) {
		x->stall_ms = now_ms(t);
		if (seq_le(mark_of(t, m)->seq + mark_len(mark_of(t, m)), tcb_peer_window_end(c)) &&
			snd_segment(t, c, m, false)) {
			x->unsent = mark_of(t, m)->next;
			c->snd_nxt += mark_len(mark_of(t, m));
			rearm(t, c);
			return;
		}
	}
	send_probe(t, c);
}

static void persist_timeout(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;

	if (!x || !x->unsent || c->snd_una != c->snd_nxt) {
		snd_output(t, c);
		return;
	}
	/* RFC 9293 section 3.8.6.1: for as long as the peer answers. */
	if (c->conn.impl[I_PROBES] &&
		(uint64_t)(now_ms(t) - x->stall_ms) * TG_MS >= t->conf.user_timeout) {
		tcb_fail(t, c, TG_WHY_conn_timeout);
		return;
	}
	if (!c->conn.impl[I_PROBES])
		x->stall_ms = now_ms(t);
	if (c->conn.impl[I_PROBES] < UINT8_MAX)
		c->conn.impl[I_PROBES]++;
	t->stats->tcp_zero_window_probes++;
	if (c->backoff < 12)
		c->backoff++;
	probe_window(t, c);
	if (c->conn.impl[I_REXMT] == RX_NONE)
		arm_rexmt(t, c, RX_PERSIST, backed_off(c));
}

/* What nobody holds any more and whose peer does not take it keeps memory that others need (Linux:
 * tcp_check_oom). True: c is gone. */
static bool orphan_shed(struct tg_tcp *t, struct tg_tcb *c)
{
	if (tg_likely(!t->pressure && !conns_short(t)) || c->flags & F_USER || !c->tx ||
		!c->tx->head)
		return false;
	send_reset(t, c);
	tcb_fail(t, c, TG_WHY_conn_shed);
	return true;
}

static void rexmt_due(struct tg_tcp *t, struct tg_tcb *c)
{
	enum tg_rexmt what = c->conn.impl[I_REXMT];
	bool flying = c->tx && c->tx->head && c->tx->head != c->tx->unsent;

	stop_rexmt(c);
	if (orphan_shed(t, c))
		return;
	switch (what) {
	case RX_RTO:
		rto_timeout(t, c);
		break;
	case RX_TLP:
		if (flying)
			recovery_on_tlp(t, c);
		break;
	case RX_REO:
		if (flying)
			recovery_on_reo(t, c);
		break;
	case RX_PERSIST:
		persist_timeout(t, c);
		break;
	case RX_STARVED:
		snd_wake_writer(t, c);
		snd_output(t, c);
		break;
	case RX_NONE:
		break;
	}
}

static void ack_due(struct tg_tcp *t, struct tg_tcb *c)
{
	c->dl_ack = 0;
	if (c->flags & F_HELD) { /* it takes the ACK along */
		c->flags &= ~F_HELD;
		c->conn.tx_more = 0;
		snd_output(t, c);
	}
	if (!(c->flags & F_ACK_LATER))
		return;
	c->flags &= ~F_PINGPONG; /* nobody answered in time: no conversation */
	send_ack(t, c);
	tx_release(t, c);
}

void arm_keepalive(struct tg_tcp *t, struct tg_tcb *c)
{
	if (c->flags & F_KEEPALIVE && c->flags & F_USER && tcb_synchronized(c))
		arm_misc(t, c, t->conf.keepalive_idle);
}

/* RFC 9293 section 3.8.4 */
static void keepalive_due(struct tg_tcp *t, struct tg_tcb *c)
{
	uint64_t quiet = (uint64_t)(now_tick(t) - c->last_rcv) << TG_WHEEL_TICK_SHIFT;

	if (c->snd_una != c->snd_nxt || (c->tx && c->tx->unsent)) {
		arm_keepalive(t, c); /* retransmission looks after this one */
		return;
	}
	if (quiet < t->conf.keepalive_idle) {
		c->conn.impl[I_PROBES] = 0;
		arm_misc(t, c, t->conf.keepalive_idle - quiet);
		return;
	}
	if (c->conn.impl[I_PROBES] >= t->conf.keepalive_probes) {
		send_reset(t, c);
		tcb_fail(t, c, TG_WHY_conn_keepalive);
		return;
	}
	c->conn.impl[I_PROBES]++;
	t->stats->tcp_keepalive_probes++;
	send_probe(t, c);
	arm_misc(t, c, t->conf.keepalive_interval);
}

static void misc_due(struct tg_tcp *t, struct tg_tcb *c)
{
	c->dl_misc = 0;
	if (tcb_state(c) < S_ESTABLISHED) {
		tcb_fail(t, c,
			c->flags & F_SOFT_ERROR ? TG_WHY_conn_unreachable
						: TG_WHY_conn_connect_timeout);
	} else if (!(c->flags & F_USER)) {
		if (tcb_state(c) != S_FIN_WAIT_2)
			send_reset(t, c);
		tcb_fail(t, c, TG_WHY_conn_linger);
	} else if (c->flags & F_KEEPALIVE) {
		keepalive_due(t, c);
	}
}

static void look_at(struct tg_tcp *t, struct tg_tcb *c)
{
	uint32_t now = now_tick(t);

	if (due(c->dl_ack, now))
		ack_due(t, c);
	if (due(c->dl_rexmt, now))
		rexmt_due(t, c);
	if (tcb_state(c) > S_CLOSED && due(c->dl_misc, now))
		misc_due(t, c);
	if (tcb_state(c) > S_CLOSED)
		sync_timer(t, c, false);
}

void tcb_timer(void *stack, struct tg_timer *timer)
{
	look_at(stack, TG_CONTAINER(timer, struct tg_tcb, timer));
}

void tg_tcp_set_keepalive(struct tg_conn *conn, bool on)
{
	struct tg_tcb *c = tcb_of(conn);

	c->conn.impl[I_PROBES] = 0;
	if (on) {
		c->flags |= F_KEEPALIVE;
		arm_keepalive(stack_of(conn), c);
	} else if (c->flags & F_KEEPALIVE) {
		c->flags &= ~F_KEEPALIVE;
		if (tcb_synchronized(c))
			c->dl_misc = 0;
	}
}
