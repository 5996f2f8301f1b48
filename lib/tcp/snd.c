/* snd.c: the send side: the transmit queue and what leaves it when.
 *
 *      head                 unsent           tail
 *       |--------------------|----------------|
 *    snd_una              snd_nxt          snd_end
 *
 * One packet buffer a segment, filled to the segment size as the user writes, kept until it is
 * acknowledged. To send is to put a header in its headroom and to lend the buffer: while the device
 * still reads it (reference count above one) a retransmission goes out as a copy.
 */
#include "stack.h"

bool tx_take(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;

	if (x)
		return true;
	x = tg_pool_take(&t->txs);
	if (!x)
		return false;
	memset(x, 0, sizeof(*x));
	t->cc->init(&x->cc, c->mss);
	if (c->cwnd) {
		x->cc.cwnd = u32_max(c->cwnd, c->mss);
		x->cc.ssthresh = c->ssthresh;
	}
	x->owner = tcb_index(t, c);
	x->min_rtt = UINT32_MAX;
	x->reo_mult = 1;
	x->undo_retrans = -1;
	if (c->flags & F_TLP) {
		x->flags = TXF_TLP | TXF_TLP_RETRANS;
		x->tlp_end = c->snd_nxt;
	}
	if (c->flags & F_RENO_HOLD) {
		x->flags |= TXF_RENO_HOLD;
		x->high_seq = c->snd_una;
	}
	c->flags &= ~(F_TLP | F_RENO_HOLD);
	c->tx = x;
	return true;
}

/* The block goes back whatever is in it. */
void tx_drop(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;
	struct rte_mbuf *next;

	if (!x)
		return;
	for (struct rte_mbuf *m = x->head; m; m = next) {
		next = mark_of(t, m)->next;
		rte_pktmbuf_free(m);
	}
	ooo_free(t, x);
	c->cwnd = x->cc.cwnd;
	c->ssthresh = x->cc.ssthresh;
	tg_pool_put(&t->txs, x);
	c->tx = NULL;
	c->flags &= ~F_SLOW;
}

void tx_release(struct tg_tcp *t, struct tg_tcb *c)
{
	const struct tg_tx *x = c->tx;

	if (x && !x->head && !x->ooo_head && !(x->flags & (TXF_DSACK | TXF_CWR_PENDING))) {
		/* What the next ACKs decide */
		if (x->flags & TXF_TLP_RETRANS)
			c->flags |= F_TLP;
		if (x->flags & TXF_RENO_HOLD)
			c->flags |= F_RENO_HOLD;
		tx_drop(t, c);
	}
}

void snd_wake(struct tg_tcp *t, struct tg_tcb *c)
{
	uint32_t ref = tcb_index(t, c) + 1;

	if (c->flags & F_ON_OUT)
		return;
	c->flags |= F_ON_OUT;
	c->out_next = 0;
	if (t->out_tail)
		tcb_at(t, t->out_tail - 1)->out_next = ref;
	else
		t->out_head = ref;
	t->out_tail = ref;
}

void tg_tcp_output(struct tg_tcp *t)
{
	uint32_t last = t->out_tail, ref;

	pressure_update(t);
	/* Those woken meanwhile come in the next turn. */
	do {
		struct tg_tcb *c;

		ref = t->out_head;
		if (!ref)
			return;
		c = tcb_at(t, ref - 1);
		t->out_head = c->out_next;
		if (!t->out_head)
			t->out_tail = 0;
		c->flags &= ~F_ON_OUT;
		if (tg_likely(tcb_state(c) > S_CLOSED))
			snd_output(t, c);
		else
			tcb_maybe_free(t, c);
	} while (ref != last);
}

static uint32_t queued(const struct tg_tcb *c)
{
	return c->snd_end - c->snd_una;
}

uint32_t snd_space(const struct tg_conn *conn)
{
	const struct tg_tcb *c = tcb_of(conn);
	const struct tg_tcp *t = stack_of(conn);
	uint32_t space, used = queued(c);

	if ((tcb_state(c) != S_ESTABLISHED && tcb_state(c) != S_CLOSE_WAIT) ||
		c->flags & F_FIN_QUEUED || used >= c->snd_buf)
		return 0;
	space = c->snd_buf - used;
	if (tg_unlikely(t->share != UINT32_MAX)) {
		uint32_t share = share_of(t, c->mss);

		space = u32_min(space, used < share ? share - used : 0);
	}
	if (!c->tx)
		return t->txs.in_use < t->txs.count ? space : 0;
	/* Small writes in many turns: a buffer each, so they are bounded too. */
	return c->tx->bufs < c->snd_buf / 512 + 16 ? space : 0;
}

void snd_starved(struct tg_tcp *t, struct tg_tcb *c)
{
	if (tcb_state(c) <= S_CLOSED)
		return;
	c->flags |= F_STARVED;
	if (tcb_synchronized(c) && c->conn.impl[I_REXMT] == RX_NONE)
		arm_rexmt(t, c, RX_STARVED, STARVED_US);
}

static struct rte_mbuf *new_segment(struct tg_tcp *t, struct tg_tcb *c, uint32_t seq)
{
	struct rte_mbuf *m = tg_net_alloc(t->conf.mbufs);

	if (tg_unlikely(!m)) {
		t->stats->why[TG_WHY_tx_no_mbuf]++;
		return NULL;
	}
	*mark_of(t, m) = (struct tg_mark){.seq = seq, .off = m->data_off};
	c->tx->bufs++;
	return m;
}

static uint8_t *mark_data(const struct rte_mbuf *m, const struct tg_mark *k)
{
	return (uint8_t *)m->buf_addr + k->off;
}

/* An empty segment at the end of the queue. */
static struct rte_mbuf *queue_segment(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;
	struct rte_mbuf *m = new_segment(t, c, c->snd_end);

	if (!m)
		return NULL;
	if (x->tail)
		mark_of(t, x->tail)->next = m;
	else
		x->head = m;
	x->tail = m;
	if (!x->unsent)
		x->unsent = m;
	return m;
}

/* After a pause the window may be out of date (RFC 5681 section 4.1), and so may the path's MTU. */
static void after_idle(struct tg_tcp *t, struct tg_tcb *c)
{
	uint64_t idle = (uint64_t)(now_tick(t) - c->last_snd) << TG_WHEEL_TICK_SHIFT;
	uint64_t rto = (uint64_t)rto_us(c) * 1000;

	if (!c->last_snd || idle <= rto)
		return;
	t->cc->on_idle(&c->tx->cc, t->wheel->now, idle, rto);
	mss_update(t, c, tg_net_mtu(t->conf.net, &c->flow.remote));
}

/* Lengthens the queue by up to n bytes that lie in one piece; .n 0: no packet buffer is left. */
static struct tg_span extend(struct tg_tcp *t, struct tg_tcb *c, uint32_t n)
{
	struct tg_tx *x = c->tx;
	uint32_t limit = u32_min(tcb_seg_limit(c), t->room);
	struct rte_mbuf *m = x->unsent ? x->tail : NULL;
	struct tg_span s = {NULL, 0};
	struct tg_mark *k;

	if (!m || mark_of(t, m)->len >= limit || rte_mbuf_refcnt_read(m) != 1)
		m = queue_segment(t, c);
	if (!m)
		return s;
	k = mark_of(t, m);
	s.p = mark_data(m, k) + k->len;
	s.n = u32_min(n, limit - k->len);
	k->len = (uint16_t)(k->len + s.n);
	c->snd_end += s.n;
	return s;
}

/* Appends up to n bytes to the queue; returns how many: less when there is no packet buffer. */
static uint32_t enqueue(struct tg_tcp *t, struct tg_tcb *c, const uint8_t *p, uint32_t n)
{
	uint32_t done = 0;

	while (done < n) {
		struct tg_span s = extend(t, c, n - done);

		if (!s.n)
			break;
		memcpy(s.p, p + done, s.n);
		done += s.n;
	}
	return done;
}

/* Takes the last n bytes off the queue again: they were added in this call, behind old_tail. */
static void unextend(
	struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *old_tail, uint16_t old_len, uint32_t n)
{
	struct tg_tx *x = c->tx;
	struct rte_mbuf *next, *m = old_tail ? mark_of(t, old_tail)->next : x->head;

	for (; m; m = next) {
		next = mark_of(t, m)->next;
		if (x->unsent == m)
			x->unsent = NULL;
		rte_pktmbuf_free(m);
		x->bufs--;
	}
	if (old_tail) {
		mark_of(t, old_tail)->next = NULL;
		mark_of(t, old_tail)->len = old_len;
	} else {
		x->head = NULL;
	}
	x->tail = old_tail;
	c->snd_end -= n;
}

/* The user could not write all that it wanted. */
static void want_write(struct tg_tcp *t, struct tg_tcb *c)
{
	c->flags |= F_WANT_WRITE;
	if (!c->tx || !c->tx->head) /* no ACK will come that makes room */
		snd_starved(t, c);
}

uint32_t snd_write(struct tg_conn *conn, const struct tg_view *v, uint32_t cnt)
{
	struct tg_tcp *t = stack_of(conn);
	struct tg_tcb *c = tcb_of(conn);
	uint32_t done = 0, space = snd_space(conn), wanted = 0;

	for (uint32_t i = 0; i < cnt; i++)
		wanted += v[i].n;
	if (wanted && space) {
		if (!c->tx && tx_take(t, c))
			after_idle(t, c);
		for (uint32_t i = 0; c->tx && i < cnt && done < space; i++) {
			uint32_t n = u32_min(v[i].n, space - done);
			uint32_t took = n ? enqueue(t, c, v[i].p, n) : 0;

			done += took;
			if (took < n)
				break;
		}
	}
	if (done) {
		c->flags &= ~F_DRAIN_TOLD;
		snd_wake(t, c);
	}
	if (done < wanted || !cnt || !wanted)
		want_write(t, c);
	return done;
}

uint32_t snd_fill(struct tg_conn *conn, uint32_t least, uint32_t most, tg_fill_fn *fill, void *ctx)
{
	struct tg_tcp *t = stack_of(conn);
	struct tg_tcb *c = tcb_of(conn);
	uint32_t n = u32_min(snd_space(conn), most), done = 0, cnt = 0;
	struct tg_span to[TG_FILL_SPANS];
	struct rte_mbuf *old_tail;
	uint16_t old_len;

	if (n && n >= least && !c->tx && tx_take(t, c))
		after_idle(t, c);
	if (!n || n < least || !c->tx) {
		want_write(t, c);
		return 0;
	}
	old_tail = c->tx->tail;
	old_len = old_tail ? mark_of(t, old_tail)->len : 0;
	while (done < n && cnt < TG_FILL_SPANS) {
		to[cnt] = extend(t, c, n - done);
		if (!to[cnt].n)
			break;
		done += to[cnt++].n;
	}
	if (!done || done < least) {
		unextend(t, c, old_tail, old_len, done);
		tx_release(t, c);
		want_write(t, c);
		return 0;
	}
	fill(ctx, to, cnt, done);
	c->flags &= ~F_DRAIN_TOLD;
	snd_wake(t, c);
	if (done < most)
		c->flags |= F_WANT_WRITE;
	return done;
}

bool snd_queue_fin(struct tg_tcp *t, struct tg_tcb *c)
{
	struct rte_mbuf *m;

	if (!tx_take(t, c)) {
		snd_starved(t, c);
		return false;
	}
	m = c->tx->unsent ? c->tx->tail : queue_segment(t, c);
	if (!m) {
		snd_starved(t, c);
		tx_release(t, c);
		return false;
	}
	mark_of(t, m)->flags |= M_FIN;
	c->snd_end++;
	c->flags |= F_FIN_IN_QUEUE;
	c->flags &= ~F_DRAIN_TOLD;
	set_state(c, tcb_state(c) == S_CLOSE_WAIT ? S_LAST_ACK : S_FIN_WAIT_1);
	return true;
}

void snd_finish(struct tg_conn *conn)
{
	struct tg_tcp *t = stack_of(conn);
	struct tg_tcb *c = tcb_of(conn);

	if (c->flags & F_FIN_QUEUED || tcb_state(c) <= S_CLOSED)
		return;
	c->flags |= F_FIN_QUEUED;
	if (tcb_synchronized(c))
		snd_wake(t, c);
}

void snd_wake_writer(struct tg_tcp *t, struct tg_tcb *c)
{
	uint32_t space;

	if (!(c->flags & F_WANT_WRITE))
		return;
	space = snd_space(&c->conn);
	if (space && (space >= c->snd_buf / 4 || !c->tx || !c->tx->head)) {
		c->flags &= ~F_WANT_WRITE;
		tcb_raise(t, c, TG_EV_WRITABLE);
	}
}

bool snd_split(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, uint32_t n)
{
	struct tg_mark *k = mark_of(t, m), *rk;
	struct tg_tx *x = c->tx;
	struct rte_mbuf *rest = new_segment(t, c, k->seq + n);

	if (!rest)
		return false;
	rk = mark_of(t, rest);
	rk->len = (uint16_t)(k->len - n);
	rk->flags = k->flags;
	rk->sent_us = k->sent_us;
	rk->next = k->next;
	memcpy(mark_data(rest, rk), mark_data(m, k) + n, rk->len);
	k->len = (uint16_t)n;
	k->flags &= (uint8_t) ~(M_FIN | M_PSH);
	k->next = rest;
	if (x->tail == m)
		x->tail = rest;
	if (k->flags & M_SACKED)
		x->sacked_segs++;
	return true;
}

/* m with its data as they were queued; a copy while somebody else still reads m. */
static struct rte_mbuf *lendable(struct tg_tcp *t, struct rte_mbuf *m, const struct tg_mark *k)
{
	struct rte_mbuf *copy;

	if (tg_likely(rte_mbuf_refcnt_read(m) == 1)) {
		m->data_off = k->off;
		m->data_len = k->len;
		m->pkt_len = k->len;
		m->nb_segs = 1;
		m->ol_flags = 0;
		rte_mbuf_refcnt_update(m, 1);
		return m;
	}
	copy = tg_net_alloc(t->conf.mbufs);
	if (!copy) {
		t->stats->why[TG_WHY_tx_no_mbuf]++;
		return NULL;
	}
	memcpy(rte_pktmbuf_mtod(copy, uint8_t *), mark_data(m, k), k->len);
	copy->data_len = k->len;
	copy->pkt_len = k->len;
	return copy;
}

static void note_again(struct tg_tcp *t, struct tg_tcb *c, struct tg_mark *k)
{
	struct tg_tx *x = c->tx;

	if (!(k->flags & M_RETRANS))
		x->retrans += mark_len(k);
	k->flags |= M_RETRANS | M_EVER;
	x->undo_retrans = x->undo_retrans < 0 ? 1 : x->undo_retrans + 1;
	if (!x->undo_ms)
		x->undo_ms = now_ms(t) ? now_ms(t) : 1;
	t->stats->tcp_retransmits++;
}

bool snd_segment(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, bool again)
{
	struct tg_tx *x = c->tx;
	struct tg_mark *k = mark_of(t, m);
	uint8_t flags = TG_TCP_ACK, tos = 0;
	struct rte_mbuf *out = lendable(t, m, k);

	if (!out)
		return false;
	if (k->flags & M_FIN)
		flags |= TG_TCP_FIN;
	if (k->len && (m == x->tail || k->flags & M_PSH)) {
		k->flags |= M_PSH;
		flags |= TG_TCP_PSH;
	}
	if (c->flags & F_ECN && !again && k->len) { /* RFC 3168 section 6.1.5 */
		tos = 2;
		if (c->flags & F_CWR) {
			flags |= TG_TCP_CWR;
			c->flags &= ~F_CWR;
		}
	}
	if (again)
		note_again(t, c, k);
	if (x->ca == CA_RECOVERY)
		x->prr_out += mark_len(k);
	k->sent_us = now_us(t);
	c->last_snd = now_tick(t);
	if (k->len && c->last_snd - c->last_rcv < us_to_ticks(DELACK_US))
		c->flags |= F_PINGPONG;
	put_header(t, c, out, k->seq, flags);
	if (give(t, c, out, tos) == TG_ETOOBIG)
		x->flags |= TXF_TOO_BIG;
	return true;
}

/* No segment leaves that is larger than what the path and the peer take now. */
static bool fit(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m)
{
	uint32_t limit = tcb_seg_limit(c);

	return mark_of(t, m)->len <= limit || snd_split(t, c, m, limit);
}

/* RFC 6582: what a partial ACK asks for goes at once. */
static bool must_resend(const struct tg_tcb *c, const struct rte_mbuf *m)
{
	return !(c->flags & F_SACK) && c->tx->ca == CA_RECOVERY && m == c->tx->head;
}

static bool output_lost(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;

	for (struct rte_mbuf *m = x->head; m && m != x->unsent; m = mark_of(t, m)->next) {
		struct tg_mark *k = mark_of(t, m);
		uint32_t flight = in_flight(c);

		if ((k->flags & (M_LOST | M_RETRANS)) != M_LOST)
			continue;
		if (!fit(t, c, m))
			return false;
		if (flight && flight + mark_len(k) > x->cc.cwnd && !must_resend(c, m))
			break;
		/* Beyond a window that was taken back: only the first keeps trying. */
		if (seq_le(tcb_peer_window_end(c), k->seq) && k->seq != c->snd_una)
			break;
		if (!snd_segment(t, c, m, true))
			return false;
		/* rearm() starts the RTO from now, and no probe (Linux: tcp_xmit_retransmit_queue)
		 */
		if (m == x->head && c->conn.impl[I_REXMT] != RX_REO)
			stop_rexmt(c);
	}
	return true;
}

/* May the whole of an unsent segment leave now? */
static bool allowed(struct tg_tcb *c, const struct tg_mark *k)
{
	struct tg_tx *x = c->tx;
	uint32_t flight = in_flight(c);

	if (flight && flight + mark_len(k) > x->cc.cwnd && !(k->flags & M_FIN && !k->len)) {
		x->flags |= TXF_CWND_LIMITED;
		return false;
	}
	return seq_le(k->seq + mark_len(k), tcb_peer_window_end(c));
}

/* tx_more: a peer that fills segments of another size than ours would make two of ours for each of
 * its own, one of them small. */
static bool may_hold(const struct tg_tcb *c, const struct rte_mbuf *m, const struct tg_mark *k)
{
	return c->conn.tx_more && m == c->tx->tail && !(c->flags & F_FIN_QUEUED) &&
	       k->len < tcb_seg_limit(c);
}

/* Was the window full (RFC 9438 section 5.8, RFC 7661)? */
static void note_flight(struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;
	uint32_t flight = in_flight(c);

	if (flight > x->max_out || seq_le(x->max_seq, c->snd_una)) {
		x->max_out = flight;
		x->max_seq = c->snd_nxt;
	}
}

static bool output_new(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;
	struct rte_mbuf *m;
	bool sent = false, held = false, ok = true;

	if (x->unsent)
		x->flags &= ~(uint32_t)TXF_CWND_LIMITED;
	while ((m = x->unsent)) {
		struct tg_mark *k = mark_of(t, m);

		ok = fit(t, c, m);
		if (!ok || !allowed(c, k))
			break;
		held = may_hold(c, m, k);
		if (held)
			break;
		if (c->snd_nxt == c->snd_una)
			x->stall_ms = now_ms(t);
		ok = snd_segment(t, c, m, false);
		if (!ok)
			break;
		x->unsent = k->next;
		c->snd_nxt += mark_len(k);
		sent = true;
	}
	if (!held)
		c->flags &= ~F_HELD;
	else if (sent || !(c->flags & F_HELD))
		arm_hold(t, c);
	if (sent) {
		note_flight(c);
		if (c->conn.impl[I_REXMT] != RX_REO && c->conn.impl[I_REXMT] != RX_RTO)
			stop_rexmt(c); /* rearm() starts the right one, from now */
	}
	return ok;
}

void snd_output(struct tg_tcp *t, struct tg_tcb *c)
{
	bool ok = true;

	if (!tcb_synchronized(c)) {
		if (c->flags & F_ACK_NOW && tcb_state(c) == S_SYN_RCVD)
			send_ack(t, c);
		return;
	}
	c->flags &= ~F_STARVED;
	if ((c->flags & (F_FIN_QUEUED | F_FIN_IN_QUEUE)) == F_FIN_QUEUED)
		snd_queue_fin(t, c);
	if (c->tx) {
		if (c->tx->lost && !(c->tx->flags & TXF_FRTO_NEW))
			ok = output_lost(t, c);
		if (ok && c->tx->unsent && tcb_sending(c))
			ok = output_new(t, c);
		if (!ok)
			snd_starved(t, c);
		if (tg_unlikely(c->tx->flags & TXF_TOO_BIG)) {
			c->tx->flags &= ~(uint32_t)TXF_TOO_BIG;
			mss_update(t, c, tg_net_mtu(t->conf.net, &c->flow.remote));
			recovery_too_big(t, c);
		}
	}
	if (c->flags & F_ACK_NOW)
		send_ack(t, c);
	tx_release(t, c);
	rearm(t, c);
}
