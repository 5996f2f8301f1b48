/* ack.c: what the peer acknowledges: SND.UNA, the SACK scoreboard, round trips, the peer's window.
 */
#include "stack.h"

#define MIN_RTT_US 1
#define RENEGING_US 10000u

/* RFC 6298 section 2, in microseconds with integer shifts: srtt += (r - srtt) / 8 ... */
void rtt_sample(struct tg_tcb *c, uint32_t us)
{
	int32_t err;

	us = u32_max(us, MIN_RTT_US);
	if (!c->srtt_us) {
		c->srtt_us = us;
		c->rttvar_us = us / 2;
	} else {
		err = (int32_t)(us - c->srtt_us);
		c->srtt_us = u32_max((uint32_t)((int32_t)c->srtt_us + err / 8), MIN_RTT_US);
		err = err < 0 ? -err : err;
		c->rttvar_us =
			(uint32_t)((int32_t)c->rttvar_us + (err - (int32_t)c->rttvar_us) / 4);
	}
	c->backoff = 0; /* Karn: a new sample ends the back-off */
}

/* The timeout without back-off. The minimum bounds the variance term, not the sum, as in Linux: a
 * long path keeps its 200 ms of slack. */
uint32_t rto_us(const struct tg_tcb *c)
{
	if (!c->srtt_us)
		return c->flags & F_SYN_AGAIN && tcb_synchronized(c) ? RTO_FALLBACK_US
								     : RTO_INIT_US;
	return u32_min(c->srtt_us + u32_max(4 * c->rttvar_us, RTO_MIN_US), RTO_MAX_US);
}

/* A segment leaves the scoreboard: its bytes leave the counts. */
static void uncount(struct tg_tx *x, const struct tg_mark *k)
{
	uint32_t n = mark_len(k);

	if (k->flags & M_SACKED) {
		x->sacked -= n;
		x->sacked_segs--;
	}
	if (k->flags & M_LOST)
		x->lost -= n;
	if (k->flags & M_RETRANS)
		x->retrans -= n;
}

/* Only the front of a segment is acknowledged: the path or the peer cut it. */
static void cut_acked(struct tg_tx *x, struct tg_mark *k, uint32_t n)
{
	k->seq += n;
	k->off = (uint16_t)(k->off + n);
	k->len = (uint16_t)(k->len - n);
	if (k->flags & M_SACKED)
		x->sacked -= n;
	if (k->flags & M_LOST)
		x->lost -= n;
	if (k->flags & M_RETRANS)
		x->retrans -= n;
}

static void acked_segment(struct tg_tcp *t, struct tg_tcb *c, struct tg_mark *k, struct tg_acked *a,
	bool *retrans, uint32_t *first_us)
{
	struct tg_tx *x = c->tx;

	if (k->flags & M_EVER)
		*retrans = true;
	else if (!(k->flags & M_SACKED)) {
		if (!*first_us)
			*first_us = u32_max(now_us(t) - k->sent_us, MIN_RTT_US);
		if (x->sacked && seq_lt(k->seq, x->fack)) /* RFC 8985 section 6.2 step 3 */
			x->flags |= TXF_REORDERING;
		if (seq_le(k->seq + mark_len(k), x->high_seq))
			a->orig_acked = true;
	}
	if (!(k->flags & M_SACKED))
		recovery_delivered(t, c, k, a);
}

/* Takes what SND.UNA passed off the queue. */
static void clean_queue(struct tg_tcp *t, struct tg_tcb *c, struct tg_acked *a)
{
	struct tg_tx *x = c->tx;
	bool retrans = false;
	uint32_t first_us = 0;

	while (x->head && x->head != x->unsent) {
		struct rte_mbuf *m = x->head;
		struct tg_mark *k = mark_of(t, m);
		uint32_t n = c->snd_una - k->seq;

		if (seq_le(c->snd_una, k->seq))
			break;
		if (n < mark_len(k)) {
			a->bytes += k->flags & M_SACKED ? 0 : n;
			cut_acked(x, k, n);
			break;
		}
		a->bytes += k->flags & M_SACKED ? 0 : mark_len(k);
		acked_segment(t, c, k, a, &retrans, &first_us);
		uncount(x, k);
		x->head = k->next;
		x->bufs--;
		rte_pktmbuf_free(m);
	}
	if (!x->head)
		x->tail = NULL;
	/* Without SACK the hole that was filled may have been the only one: that the rest had come
	 * tells nothing of the timeout (Linux, too). */
	if (retrans && !(c->flags & F_SACK))
		a->orig_acked = false;
	if (!retrans && first_us)
		a->rtt_us = first_us;
}

/* RFC 2883: a block below SND.UNA, or inside the second one, tells of a segment that came twice. */
static bool take_dsack(struct tg_tcb *c, const struct tg_seg *s, const struct tg_opts *o)
{
	const struct tg_sack *b = o->sack;
	struct tg_tx *x = c->tx;

	if (seq_le(b[0].end, s->ack) && seq_lt(b[0].start, s->ack))
		;
	else if (o->n_sack > 1 && seq_le(b[1].start, b[0].start) && seq_le(b[0].end, b[1].end))
		;
	else
		return false;
	if (!seq_lt(b[0].start, b[0].end) || b[0].end - b[0].start > c->max_wnd)
		return true;
	if (x->flags & TXF_UNDO && x->undo_retrans > 0 && seq_lt(x->undo_marker, b[0].end))
		x->undo_retrans--;
	return true;
}

static bool covers(const struct tg_sack *b, const struct tg_mark *k)
{
	return seq_le(b->start, k->seq) && seq_le(k->seq + mark_len(k), b->end);
}

static void sack_segment(struct tg_tcp *t, struct tg_tcb *c, struct tg_mark *k, struct tg_acked *a,
	uint32_t *sack_us)
{
	struct tg_tx *x = c->tx;
	uint32_t n = mark_len(k);

	if (!(k->flags & M_EVER)) {
		*sack_us = u32_max(now_us(t) - k->sent_us, MIN_RTT_US);
		if (seq_lt(k->seq, x->fack))
			x->flags |= TXF_REORDERING;
		if (seq_le(k->seq + n, x->high_seq))
			a->orig_acked = true;
	}
	recovery_delivered(t, c, k, a);
	if (k->flags & M_LOST)
		x->lost -= n;
	if (k->flags & M_RETRANS)
		x->retrans -= n;
	k->flags = (uint8_t)((k->flags & ~(M_LOST | M_RETRANS)) | M_SACKED);
	x->sacked += n;
	x->sacked_segs++;
	x->fack = seq_max(x->fack, k->seq + n);
	a->sacked += n;
}

/* RFC 2018 section 5, RFC 6675 section 4. */
static void sack_input(struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s,
	const struct tg_opts *o, struct tg_acked *a)
{
	struct tg_tx *x = c->tx;
	uint32_t first = 0, sack_us = 0;

	a->dsack = take_dsack(c, s, o);
	if (a->dsack)
		first = 1;
	if (!x->sacked)
		x->fack = c->snd_una;
	for (struct rte_mbuf *m = x->head; m && m != x->unsent; m = mark_of(t, m)->next) {
		struct tg_mark *k = mark_of(t, m);

		if (k->flags & M_SACKED)
			continue;
		for (uint32_t i = first; i < o->n_sack; i++) {
			const struct tg_sack *b = &o->sack[i];

			/* Blocks that no receiver could send mean nothing. */
			if (seq_le(c->snd_una, b->start) && seq_le(b->end, c->snd_nxt) &&
				covers(b, k)) {
				sack_segment(t, c, k, a, &sack_us);
				break;
			}
		}
	}
	if (!a->rtt_us && sack_us)
		a->rtt_us = sack_us;
}

/* RFC 9293 section 3.10.7.4, fifth: an older segment's window is not taken. SND.WL2 is SND.UNA
 * here: older acknowledgements do not come this far. */
static bool window_is_newer(const struct tg_tcb *c, const struct tg_seg *s)
{
	return seq_lt(c->snd_una, s->ack) || seq_le(c->snd_wl1, s->seq);
}

static bool update_window(struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s)
{
	uint32_t wnd = (uint32_t)s->wnd << c->snd_scale;

	if (!window_is_newer(c, s))
		return false;
	c->snd_wl1 = s->seq;
	if (wnd == c->snd_wnd)
		return false;
	c->max_wnd = u32_max(c->max_wnd, wnd);
	/* What backed off were probes, which the peer answered: nothing says that the path is slow.
	 */
	if (!c->snd_wnd && c->snd_una == c->snd_nxt)
		c->backoff = 0;
	c->snd_wnd = wnd;
	if (c->tx && c->tx->unsent)
		snd_wake(t, c);
	return true;
}

static void ecn_input(
	struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s, const struct tg_acked *a)
{
	struct tg_tx *x = c->tx;

	if (x->flags & TXF_CWR_PENDING && seq_le(x->cwr_seq, c->snd_una))
		x->flags &= ~(uint32_t)TXF_CWR_PENDING;
	/* RFC 3168 section 6.1.2: once a window of data */
	if (!(c->flags & F_ECN) || !(s->flags & TG_TCP_ECE) || x->flags & TXF_CWR_PENDING ||
		x->ca >= CA_RECOVERY || a->prior_una == c->snd_nxt)
		return;
	t->cc->on_ecn(&x->cc, t->wheel->now, c->snd_nxt - a->prior_una);
	if (c->snd_una != c->snd_nxt) {
		x->flags |= TXF_CWR_PENDING;
		x->cwr_seq = c->snd_nxt;
	}
	c->flags |= F_CWR;
}

/* New data is acknowledged. */
static void advance(struct tg_tcp *t, struct tg_tcb *c, uint32_t ack, struct tg_acked *a)
{
	uint32_t bytes = ack - c->snd_una;

	a->una_moved = true;
	c->snd_una = ack;
	if (c->flags & F_FIN_IN_QUEUE && ack == c->snd_end)
		bytes--;
	c->tx_acked += bytes;
	clean_queue(t, c, a);
	c->tx->stall_ms = now_ms(t);
	if (!(c->flags & F_USER))
		orphan_progress(t, c);
}

static void sample_rtt(struct tg_tcp *t, struct tg_tcb *c, struct tg_acked *a)
{
	struct tg_tx *x = c->tx;

	if (!a->rtt_us && a->has_ts && a->una_moved) {
		uint32_t ms = now_ms(t) - a->tsecr_ms;

		if (ms < UINT32_MAX / 1000 / 2)
			a->rtt_us = u32_max(ms, 1) * 1000;
	}
	if (!a->rtt_us)
		return;
	x->min_rtt = u32_min(x->min_rtt, a->rtt_us);
	rtt_sample(c, a->rtt_us);
}

static void done_check(struct tg_tcp *t, struct tg_tcb *c)
{
	if (c->snd_una != c->snd_end)
		return;
	if (c->flags & F_FIN_IN_QUEUE) {
		tcb_raise(t, c, TG_EV_DRAINED);
		fin_acked(t, c);
	} else if (!(c->flags & (F_FIN_QUEUED | F_DRAIN_TOLD))) {
		c->flags |= F_DRAIN_TOLD;
		tcb_raise(t, c, TG_EV_DRAINED);
	}
}

static void with_block(struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s,
	const struct tg_opts *o, struct tg_acked *a)
{
	struct tg_tx *x = c->tx;

	if (seq_lt(c->snd_una, s->ack))
		advance(t, c, s->ack, a);
	if (o->has & TG_OPT_SACK && c->flags & F_SACK)
		sack_input(t, c, s, o, a);
	sample_rtt(t, c, a);
	/* Without timestamps and SACK, retransmissions lost one after the other give no sample for
	 * minutes, and a back-off that only grows outlasts the user's patience though every timeout
	 * made progress. Eight times the RTO is kept: Karn's rule for a path that became slower. */
	if (a->una_moved && c->backoff > 3)
		c->backoff = 3;
	ecn_input(t, c, s, a);
	/* The peer is alive: a window that stays closed is no reason to give up. */
	if (!c->snd_wnd || c->conn.impl[I_REXMT] == RX_PERSIST) {
		x->stall_ms = now_ms(t);
		if (c->conn.impl[I_REXMT] == RX_PERSIST)
			c->conn.impl[I_PROBES] = 0;
	}
	recovery_on_ack(t, c, a);
}

/* The oldest segment in flight was sacked: the peer has thrown it away again (RFC 2018 section 8),
 * or its next ACK is late. It gets a moment, not a whole RTO (Linux: tcp_check_sack_reneging). */
static void check_reneging(struct tg_tcp *t, struct tg_tcb *c)
{
	const struct tg_tx *x = c->tx;

	if (x->head && x->head != x->unsent && mark_of(t, x->head)->flags & M_SACKED)
		arm_rexmt(t, c, RX_RTO, u32_max(c->srtt_us / 2, RENEGING_US));
}

enum tg_why ack_input(
	struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s, const struct tg_opts *o)
{
	struct tg_acked a = {.prior_una = c->snd_una, .prior_flight = in_flight(c)};
	bool window;

	if (seq_lt(s->ack, c->snd_una)) {
		/* RFC 5961 section 5.2 */
		if (seq_lt(s->ack, c->snd_una - c->max_wnd)) {
			challenge_ack(t, c);
			return TG_WHY_tcp_ack_old;
		}
	} else if (seq_lt(c->snd_nxt, s->ack)) {
		challenge_ack(t, c);
		return TG_WHY_tcp_ack_future;
	}
	if (o->has & TG_OPT_TS && c->flags & F_TS) {
		a.has_ts = o->tsecr;
		a.tsecr_ms = o->tsecr - c->ts_off;
	}
	window = seq_le(c->snd_una, s->ack) && update_window(t, c, s);
	a.again = s->ack == c->snd_una && !s->payload_len && !window &&
		  !(s->flags & (TG_TCP_SYN | TG_TCP_FIN));
	a.dup = a.again && c->snd_una != c->snd_nxt; /* RFC 5681 section 2 */
	c->conn.impl[I_PROBES] = 0;
	if (!c->tx) {
		/* RFC 8985 section 7.4.2: a duplicate of the last ACK: both had arrived. */
		if (a.again)
			c->flags &= ~F_TLP;
		return TG_WHY_none;
	}
	with_block(t, c, s, o, &a);
	if (a.una_moved) {
		tg_net_confirm(t->conf.net, &c->flow.remote, &c->dst);
		done_check(t, c);
		if (tcb_state(c) <= S_CLOSED)
			return TG_WHY_none;
		snd_wake_writer(t, c);
	}
	if (c->tx) {
		if (c->tx->unsent || c->tx->lost)
			snd_wake(t, c);
		if (a.una_moved)
			check_reneging(t, c);
		tx_release(t, c);
	}
	rearm(t, c);
	return TG_WHY_none;
}
