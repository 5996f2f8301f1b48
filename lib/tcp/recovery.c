/* recovery.c: finding and repairing loss.
 *
 *            SACK'd beyond, or 3 dup ACKs           all of high_seq acknowledged
 *   OPEN <-> DISORDER ------------------> RECOVERY ------------------------------> OPEN
 *      \                                     |  PRR moves cwnd to ssthresh (6937)    ^
 *       `------------- RTO ------------------'--> LOSS: slow start (5681, F-RTO) ----'
 *
 * Detection is RACK-TLP (RFC 8985): a segment is lost when one sent a reordering window later was
 * delivered. Without SACK: NewReno (RFC 6582). Each queued segment is marked SACKED, LOST, RETRANS;
 * the counts x->sacked, lost and retrans are bytes of sequence space, so that
 *
 *   in flight = SND.NXT - SND.UNA - sacked - lost + retrans       (RFC 6675's "pipe")
 *
 * A reduction that proves needless (D-SACK of all retransmissions; timestamps: Eifel, RFC 3522;
 * F-RTO, RFC 5682) is undone (RFC 4015). Names of states as in Linux.
 */
#include "stack.h"

void mark_lost(struct tg_tx *x, struct tg_mark *k)
{
	if (k->flags & M_SACKED)
		return;
	if (k->flags & M_RETRANS) {
		x->retrans -= mark_len(k);
		k->flags &= (uint8_t)~M_RETRANS;
	}
	if (!(k->flags & M_LOST)) {
		x->lost += mark_len(k);
		k->flags |= M_LOST;
	}
}

/* Was (us1, end1) sent after (us2, end2)? RFC 8985 section 6.1 */
static bool sent_after(uint32_t us1, uint32_t end1, uint32_t us2, uint32_t end2)
{
	return (int32_t)(us1 - us2) > 0 || (us1 == us2 && seq_lt(end2, end1));
}

/* RFC 8985 section 6.2 steps 1 and 2, for each segment newly acknowledged or sacked. */
void recovery_delivered(
	struct tg_tcp *t, struct tg_tcb *c, const struct tg_mark *k, struct tg_acked *a)
{
	struct tg_tx *x = c->tx;
	uint32_t rtt = now_us(t) - k->sent_us, end = k->seq + mark_len(k);

	if (k->flags & M_EVER) {
		uint32_t sent_ms = now_ms(t) - rtt / 1000; /* to a millisecond */

		/* The ACK may be the original's. */
		if (rtt < x->min_rtt || (a->has_ts && (int32_t)(a->tsecr_ms - sent_ms) < -1))
			return;
	}
	if (x->flags & TXF_RACK && !sent_after(k->sent_us, end, x->rack_us, x->rack_end))
		return;
	x->flags |= TXF_RACK;
	x->rack_us = k->sent_us;
	x->rack_end = end;
	x->rack_rtt = rtt;
}

/* RFC 8985 section 6.2 step 4 */
static uint32_t reo_wnd(const struct tg_tcb *c)
{
	const struct tg_tx *x = c->tx;
	uint32_t base;

	if (!(x->flags & TXF_REORDERING) && (x->ca >= CA_RECOVERY || x->sacked_segs >= DUP_THRESH))
		return 0;
	if (x->min_rtt == UINT32_MAX)
		return 0;
	base = x->min_rtt / 4;
	return u32_min(base * x->reo_mult, c->srtt_us);
}

/* D-SACKs say that the reordering window was too small: it grows by a quarter of min RTT a round,
 * and falls back after 16 recoveries without. */
static void adapt_reo_wnd(struct tg_tcb *c, const struct tg_acked *a)
{
	struct tg_tx *x = c->tx;

	if (!a->dsack || (x->reo_round && seq_lt(c->snd_una, x->reo_round)))
		return;
	x->reo_round = c->snd_nxt;
	x->reo_persist = 16;
	if (x->reo_mult < UINT8_MAX)
		x->reo_mult++;
}

/* Step 5: marks what RACK says is lost. Returns us until the next one may be; 0: none. */
static uint32_t detect(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;
	uint32_t wnd = reo_wnd(c), wait = 0;

	if (!(x->flags & TXF_RACK))
		return 0;
	for (struct rte_mbuf *m = x->head; m && m != x->unsent; m = mark_of(t, m)->next) {
		struct tg_mark *k = mark_of(t, m);
		int32_t left;

		if (k->flags & M_SACKED || (k->flags & (M_LOST | M_RETRANS)) == M_LOST ||
			!sent_after(x->rack_us, x->rack_end, k->sent_us, k->seq + mark_len(k)))
			continue;
		left = (int32_t)(k->sent_us + x->rack_rtt + wnd - now_us(t));
		if (left <= 0)
			mark_lost(x, k);
		else
			wait = u32_max(wait, (uint32_t)left);
	}
	return wait;
}

static void detect_and_arm(struct tg_tcp *t, struct tg_tcb *c)
{
	uint32_t wait;

	if (!(c->flags & F_SACK))
		return;
	wait = detect(t, c);
	if (wait)
		arm_rexmt(t, c, RX_REO, wait);
	else if (c->conn.impl[I_REXMT] == RX_REO)
		stop_rexmt(c);
}

/* --- undo --- */

static void undo_init(struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;

	x->flags |= TXF_UNDO;
	x->undo_marker = c->snd_una;
	x->undo_retrans = x->retrans ? 1 : -1;
}

/* Linux: tcp_may_undo. Eifel: the ACK echoes a timestamp older than the first retransmission. */
static bool may_undo(const struct tg_tx *x, const struct tg_acked *a)
{
	return x->flags & TXF_UNDO &&
	       (x->undo_retrans == 0 ||
		       (x->undo_ms && a->has_ts && (int32_t)(a->tsecr_ms - x->undo_ms) < 0));
}

static void unmark_lost(struct tg_tcp *t, struct tg_tx *x)
{
	for (struct rte_mbuf *m = x->head; m && m != x->unsent; m = mark_of(t, m)->next)
		mark_of(t, m)->flags &= (uint8_t)~M_LOST;
	x->lost = 0;
}

static void undo(struct tg_tcp *t, struct tg_tcb *c, bool unmark)
{
	struct tg_tx *x = c->tx;

	if (unmark)
		unmark_lost(t, x);
	t->cc->undo(&x->cc, t->wheel->now);
	x->flags &= ~(uint32_t)TXF_UNDO;
	t->stats->tcp_spurious++;
}

static void to_open(struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;

	x->ca = x->sacked || x->dupacks ? CA_DISORDER : CA_OPEN;
	x->flags &= ~(uint32_t)(TXF_FRTO | TXF_FRTO_NEW);
	if (!x->retrans)
		x->undo_ms = 0;
}

/* --- entering --- */

static void enter_recovery(struct tg_tcp *t, struct tg_tcb *c, uint32_t una)
{
	struct tg_tx *x = c->tx;
	/* una: as it was before the ACK. */
	uint32_t flight = c->snd_nxt - una;

	if (!x->retrans)
		x->undo_ms = 0;
	/* RFC 6937's RecoverFS is what ssthresh is a part of. */
	x->prr_flight = x->cc.cwnd;
	t->cc->on_loss(&x->cc, t->wheel->now, flight);
	undo_init(c);
	x->high_seq = c->snd_nxt;
	x->prr_delivered = x->prr_out = 0;
	x->ca = CA_RECOVERY;
	x->flags &= ~(uint32_t)(TXF_TLP | TXF_TLP_RETRANS);
	if (c->flags & F_ECN)
		c->flags |= F_CWR;
	t->stats->tcp_fast_recovery++;
}

/* Ends recovery or the time after a timeout: everything of high_seq is acknowledged. */
static void leave(struct tg_tcp *t, struct tg_tcb *c, const struct tg_acked *a)
{
	struct tg_tx *x = c->tx;

	if (may_undo(x, a))
		undo(t, c, x->ca == CA_LOSS);
	else if (x->ca == CA_RECOVERY && x->flags & TXF_UNDO)
		x->cc.cwnd = u32_max(u32_min(x->cc.ssthresh, TG_CC_CWND_MAX), x->cc.mss);
	/* D-SACKs of the retransmissions may still come: in_open(). */
	if (x->undo_retrans <= 0 || !(c->flags & F_SACK))
		x->flags &= ~(uint32_t)TXF_UNDO;
	x->dupacks = 0;
	x->reno_out = 0;
	/* RFC 6582 section 3.2: duplicate ACKs of our own retransmissions start nothing. */
	if (!(c->flags & F_SACK) && c->snd_una == x->high_seq)
		x->flags |= TXF_RENO_HOLD;
	if (x->reo_persist && !--x->reo_persist)
		x->reo_mult = 1;
	to_open(c);
}

/* RFC 6937, with the reduction bound of the recent revision: slow start towards ssthresh only while
 * ACKs move SND.UNA and show no further loss. */
static void prr(struct tg_tcb *c, const struct tg_acked *a)
{
	struct tg_tx *x = c->tx;
	uint32_t pipe = in_flight(c), delivered = a->bytes + a->sacked, mss = x->cc.mss;
	int64_t send;

	x->prr_delivered += delivered;
	if (pipe > x->cc.ssthresh) {
		/* Rounded up to whole segments: a crumb of a window would wait for the next ACK */
		send = (int64_t)((uint64_t)x->prr_delivered * x->cc.ssthresh / x->prr_flight + mss -
				 1);
		send = send / mss * mss - x->prr_out;
	} else {
		send = (int64_t)x->prr_delivered - x->prr_out;
		if (send < (int64_t)delivered)
			send = delivered;
		if (a->una_moved && !a->lost_again)
			send += mss;
		if (send > (int64_t)(x->cc.ssthresh - pipe))
			send = x->cc.ssthresh - pipe;
	}
	if (!x->prr_out && send < (int64_t)mss)
		send = mss; /* the fast retransmit itself */
	if (send < 0)
		send = 0;
	x->cc.cwnd = u32_max(pipe + (uint32_t)send, mss);
}

/* --- NewReno: no SACK --- */

/* Each duplicate ACK means that a segment has left the network (RFC 6582 section 3.2 step 3). An
 * ACK of new data fills one hole and takes the rest of what it covers from those. */
static void reno_count(struct tg_tcb *c, struct tg_acked *a)
{
	struct tg_tx *x = c->tx;

	if (a->dup) {
		a->sacked = u32_min(c->mss, in_flight(c));
		x->reno_out += a->sacked;
		if (x->dupacks < UINT8_MAX)
			x->dupacks++;
	} else if (a->una_moved) {
		uint32_t rest = a->bytes > c->mss ? a->bytes - c->mss : 0;

		a->bytes =
			u32_min(a->bytes, c->mss) + (rest > x->reno_out ? rest - x->reno_out : 0);
		x->reno_out -= u32_min(rest, x->reno_out);
	}
	if (c->snd_una == c->snd_nxt)
		x->reno_out = 0;
}

static void reno_mark_head(struct tg_tcp *t, struct tg_tx *x)
{
	struct tg_mark *k = x->head && x->head != x->unsent ? mark_of(t, x->head) : NULL;

	if (k && !(k->flags & M_RETRANS))
		mark_lost(x, k);
}

/* --- ACKs --- */

/* RFC 8985 section 7.4.2: was the tail really lost? An ACK of just the probe does not tell: the
 * next one does. */
static void tlp_ack(struct tg_tcp *t, struct tg_tcb *c, const struct tg_acked *a)
{
	struct tg_tx *x = c->tx;

	if (!(x->flags & TXF_TLP) || seq_lt(c->snd_una, x->tlp_end))
		return;
	if (x->flags & TXF_TLP_RETRANS && !a->dsack) {
		if (seq_lt(x->tlp_end, c->snd_una) && x->ca < CA_RECOVERY) {
			/* The probe repaired a loss that nobody saw: the window still pays for it.
			 * What is in flight now may be another, smaller flight. */
			t->cc->on_loss(&x->cc, t->wheel->now, x->cc.cwnd);
			x->flags &= ~(uint32_t)TXF_UNDO;
			x->cc.cwnd = u32_max(u32_min(x->cc.ssthresh, TG_CC_CWND_MAX), x->cc.mss);
		} else if (a->una_moved || a->sacked || !a->again) {
			return;
		}
	}
	x->flags &= ~(uint32_t)(TXF_TLP | TXF_TLP_RETRANS);
}

static void in_recovery(struct tg_tcp *t, struct tg_tcb *c, struct tg_acked *a)
{
	struct tg_tx *x = c->tx;

	if (c->flags & F_SACK) {
		if ((a->una_moved || x->undo_retrans == 0) && may_undo(x, a)) {
			/* A partial ACK of originals, or D-SACKs for all that was sent again:
			 * reordering, not loss. */
			undo(t, c, true);
			to_open(c);
			return;
		}
		detect_and_arm(t, c);
		return;
	}
	if (a->una_moved)
		reno_mark_head(t, x); /* RFC 6582: a partial ACK tells of the next hole */
}

/* After a timeout. RFC 5682's F-RTO decides whether it was needless. */
static void in_loss(struct tg_tcp *t, struct tg_tcb *c, struct tg_acked *a)
{
	struct tg_tx *x = c->tx;

	x->flags &= ~(uint32_t)TXF_FRTO_NEW;
	if (a->una_moved && may_undo(x, a)) {
		undo(t, c, true);
		to_open(c);
		return;
	}
	if (x->flags & TXF_FRTO) {
		if (a->orig_acked) { /* step 3b: data of before the timeout arrive by themselves */
			undo(t, c, true);
			to_open(c);
			return;
		}
		if (seq_lt(x->high_seq, c->snd_nxt)) {
			if (a->sacked || a->dup)
				x->flags &= ~(uint32_t)TXF_FRTO; /* step 3a */
		} else if (a->una_moved) { /* step 2b: two new segments, no retransmission */
			x->high_seq = c->snd_nxt;
			if (x->unsent && seq_lt(c->snd_nxt, tcb_peer_window_end(c))) {
				x->flags |= TXF_FRTO_NEW;
				return;
			}
			x->flags &= ~(uint32_t)TXF_FRTO;
		}
	}
	detect_and_arm(t, c);
}

static void in_open(struct tg_tcp *t, struct tg_tcb *c, struct tg_acked *a)
{
	struct tg_tx *x = c->tx;

	if (a->una_moved) {
		x->dupacks = 0;
		x->reno_out = 0;
		if (x->flags & TXF_RENO_HOLD && seq_lt(x->high_seq, c->snd_una))
			x->flags &= ~(uint32_t)TXF_RENO_HOLD;
	}
	/* All retransmissions proved needless after recovery was over. */
	if (x->flags & TXF_UNDO && x->undo_retrans == 0)
		undo(t, c, false);
	if (c->flags & F_SACK) {
		if (x->sacked || x->retrans || x->lost || x->ca != CA_OPEN)
			detect_and_arm(t, c);
	} else if (x->dupacks >= DUP_THRESH && !(x->flags & TXF_RENO_HOLD)) {
		reno_mark_head(t, x);
	}
	if (x->lost)
		enter_recovery(t, c, a->prior_una);
	else
		to_open(c);
}

static void grow(struct tg_tcp *t, struct tg_tcb *c, const struct tg_acked *a)
{
	struct tg_tx *x = c->tx;
	struct tg_cc_ack ca = {.now = t->wheel->now,
		.acked = a->bytes + a->sacked,
		.rtt_us = a->rtt_us,
		.srtt_us = c->srtt_us,
		.snd_una = c->snd_una,
		.snd_nxt = c->snd_nxt};

	if (!a->una_moved || x->flags & TXF_CWR_PENDING)
		return;
	ca.limited = x->flags & TXF_CWND_LIMITED ||
		     (x->cc.cwnd < x->cc.ssthresh && x->cc.cwnd < 2 * (uint64_t)x->max_out);
	t->cc->on_ack(&x->cc, &ca);
}

void recovery_on_ack(struct tg_tcp *t, struct tg_tcb *c, struct tg_acked *a)
{
	struct tg_tx *x = c->tx;
	uint32_t lost_before = x->lost;

	if (!(c->flags & F_SACK))
		reno_count(c, a);
	tlp_ack(t, c, a);
	adapt_reo_wnd(c, a);
	if (x->ca >= CA_RECOVERY && seq_le(x->high_seq, c->snd_una)) {
		bool frto = x->ca == CA_LOSS && x->flags & TXF_FRTO && a->orig_acked;

		if (frto && x->flags & TXF_UNDO)
			undo(t, c, true);
		leave(t, c, a);
	}
	if (x->ca == CA_RECOVERY)
		in_recovery(t, c, a);
	else if (x->ca == CA_LOSS)
		in_loss(t, c, a);
	else
		in_open(t, c, a);
	a->lost_again = x->lost > lost_before;
	if (x->ca == CA_RECOVERY)
		prr(c, a);
	else
		grow(t, c, a);
	if (x->ca != CA_OPEN || x->sacked || x->lost || x->ooo_head || x->dupacks)
		c->flags |= F_SLOW;
	else
		c->flags &= ~F_SLOW;
	if (a->una_moved && c->conn.impl[I_REXMT] != RX_REO)
		stop_rexmt(c); /* RFC 6298 section 5.3: rearm() starts it from now */
}

/* --- timers --- */

/* The reordering window is over. */
void recovery_on_reo(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;
	struct tg_acked a = {.prior_una = c->snd_una};
	uint32_t wait = detect(t, c);

	if (x->lost && x->ca < CA_RECOVERY)
		enter_recovery(t, c, c->snd_una);
	if (x->ca == CA_RECOVERY && x->lost)
		prr(c, &a);
	if (wait)
		arm_rexmt(t, c, RX_REO, wait);
	c->flags |= F_SLOW;
	snd_output(t, c);
}

/* The head was sacked, and yet it is not acknowledged: the peer dropped it again (RFC 2018 section
 * 8: after a timeout SACK information counts no more). */
static void forget_sacks(struct tg_tcp *t, struct tg_tx *x)
{
	for (struct rte_mbuf *m = x->head; m && m != x->unsent; m = mark_of(t, m)->next)
		mark_of(t, m)->flags &= (uint8_t)~M_SACKED;
	x->sacked = 0;
	x->sacked_segs = 0;
}

static void mark_after_rto(struct tg_tcp *t, struct tg_tcb *c, bool all)
{
	struct tg_tx *x = c->tx;

	for (struct rte_mbuf *m = x->head; m && m != x->unsent; m = mark_of(t, m)->next) {
		struct tg_mark *k = mark_of(t, m);

		/* RFC 8985 section 6.3: what was sent just now may still be on its way. */
		if (all || m == x->head ||
			(int32_t)(k->sent_us + x->rack_rtt + reo_wnd(c) - now_us(t)) <= 0)
			mark_lost(x, k);
	}
}

void recovery_on_rto(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;
	bool reneged = mark_of(t, x->head)->flags & M_SACKED, fresh;
	uint32_t flight = c->snd_nxt - c->snd_una;

	t->stats->tcp_rto++;
	if (reneged || !(c->flags & F_SACK))
		forget_sacks(t, x);
	/* RFC 5681 section 3.1: ssthresh is set once a flight. */
	fresh = x->ca <= CA_DISORDER || seq_le(x->high_seq, c->snd_una) ||
		(x->ca == CA_LOSS && !c->backoff);
	if (fresh) {
		if (!x->retrans)
			x->undo_ms = 0;
		t->cc->on_rto(&x->cc, t->wheel->now, flight);
		undo_init(c);
	}
	x->reno_out = 0;
	mark_after_rto(t, c, reneged || !(x->flags & TXF_RACK) || !(c->flags & F_SACK));
	if (c->backoff > 2 && c->snd_wnd) /* a shut window is no hole: the peer answers */
		mss_black_hole(t, c);
	x->cc.cwnd = in_flight(c) + x->cc.mss;
	x->dupacks = 0;
	x->high_seq = c->snd_nxt;
	x->flags &= ~(uint32_t)(TXF_FRTO | TXF_FRTO_NEW | TXF_TLP | TXF_TLP_RETRANS);
	if (fresh && !reneged)
		x->flags |= TXF_FRTO;
	x->ca = CA_LOSS;
	c->flags |= F_SLOW;
	if (c->flags & F_ECN)
		c->flags |= F_CWR;
	if (c->backoff < UINT8_MAX)
		c->backoff++;
}

/* RFC 8985 section 7.3: new data if there are any, else the last segment again. */
void recovery_on_tlp(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;
	struct rte_mbuf *m = x->unsent, *last = NULL;
	bool again = false;

	if (m && mark_of(t, m)->len <= tcb_seg_limit(c) &&
		seq_le(mark_of(t, m)->seq + mark_len(mark_of(t, m)), tcb_peer_window_end(c))) {
		if (snd_segment(t, c, m, false)) {
			x->unsent = mark_of(t, m)->next;
			c->snd_nxt += mark_len(mark_of(t, m));
			last = m;
		}
	} else {
		for (m = x->head; m && m != x->unsent; m = mark_of(t, m)->next)
			last = m;
		again = true;
		if (last && !snd_segment(t, c, last, true))
			last = NULL;
	}
	if (last) {
		x->flags |= TXF_TLP | (again ? TXF_TLP_RETRANS : 0);
		x->tlp_end = c->snd_nxt;
		t->stats->tcp_tlp++;
	}
	arm_rexmt(t, c, RX_RTO, rto_us(c));
}

/* The path takes smaller segments than those in flight: they are lost for sure, and no sign of
 * congestion (RFC 8201 section 5.4; Linux: tcp_simple_retransmit). */
void recovery_too_big(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;
	uint32_t limit = tcb_seg_limit(c);
	bool any = false;

	if (!x)
		return;
	for (struct rte_mbuf *m = x->head; m && m != x->unsent; m = mark_of(t, m)->next) {
		struct tg_mark *k = mark_of(t, m);

		if (k->len <= limit || k->flags & M_SACKED)
			continue;
		mark_lost(x, k); /* the copies of those that are lost already are too */
		any = true;
	}
	if (!any)
		return;
	if (x->ca != CA_LOSS) {
		x->high_seq = c->snd_nxt;
		x->cc.ssthresh = u32_max(u32_min(x->cc.ssthresh, x->cc.cwnd), x->cc.mss);
		x->flags &= ~(uint32_t)TXF_UNDO;
		x->ca = CA_LOSS;
	}
	c->flags |= F_SLOW;
	snd_wake(t, c);
}
