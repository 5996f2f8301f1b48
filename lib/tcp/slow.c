/* slow.c: RFC 9293 section 3.10.7.4, for the synchronized states: every segment that is not the
 * fast path's, check by check in the RFC's order, with RFC 5961's answers to what may be forged. */
#include "stack.h"

/* A bucket, in one number: the time until which the challenges sent so far are paid for. */
void challenge_ack(struct tg_tcp *t, struct tg_tcb *c)
{
	uint32_t now = now_ms(t), ahead = c->challenge_ms - now;

	/* The past, or so far in the future that it is the past of a clock that wrapped. */
	if (ahead > CHALLENGE_BURST * CHALLENGE_MS)
		ahead = 0;
	if (ahead > (CHALLENGE_BURST - 1) * CHALLENGE_MS)
		return;
	c->challenge_ms = now + ahead + CHALLENGE_MS;
	t->stats->tcp_challenge_acks++;
	send_ack(t, c);
}

/* --- timestamps, RFC 7323 section 5 --- */

static bool paws_old(const struct tg_tcp *t, const struct tg_tcb *c, const struct tg_opts *o)
{
	/* After 24 days a clock may have wrapped: ts_recent tells nothing (section 5.5). */
	return (int32_t)(o->tsval - c->ts_recent) < 0 &&
	       now_ms(t) - c->ts_recent_ms < 24u * 86400 * 1000;
}

/* A pure ACK overtaken by newer ones is harmless reordering, not an old duplicate (Linux:
 * tcp_disordered_ack). */
static bool disordered_ack(const struct tg_tcb *c, const struct tg_seg *s, const struct tg_opts *o)
{
	return s->flags == TG_TCP_ACK && !s->payload_len && s->seq == c->rcv_nxt &&
	       s->ack == c->snd_una && ((uint32_t)s->wnd << c->snd_scale) == c->snd_wnd &&
	       (int32_t)(c->ts_recent - o->tsval) <= (int32_t)(rto_us(c) / 1000);
}

static void note_timestamp(
	struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s, const struct tg_opts *o)
{
	if (!(o->has & TG_OPT_TS) || !(c->flags & F_TS))
		return;
	/* Section 4.3: only from the segment that the last ACK asked for, or before. */
	if (seq_le(s->seq, c->rcv_wup) && !paws_old(t, c, o)) {
		c->ts_recent = o->tsval;
		c->ts_recent_ms = now_ms(t);
	}
}

/* --- the checks; each returns none to go on --- */

static uint32_t seg_len(const struct tg_seg *s)
{
	return s->payload_len + !!(s->flags & TG_TCP_SYN) + !!(s->flags & TG_TCP_FIN);
}

/* Data that the peer may be sending again: they lie within a buffer before RCV.NXT, or reach into
 * the window that is open. */
static bool may_be_again(const struct tg_tcb *c, const struct tg_seg *s)
{
	uint32_t before = u32_max(c->rcv_buf, UINT16_MAX);

	return s->payload_len && !(s->flags & TG_TCP_SYN) &&
	       s->seq - (c->rcv_nxt - before) <= before + rcv_window(c);
}

/* An answer to what cannot be used. Data are no loop of two confused ends, and who sends again what
 * we have must hear of it, so those are not limited; nobody honest sends beyond the window, or what
 * is older than it could be: that is somebody who guesses. */
static void answer(struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s)
{
	uint32_t end = s->seq + seg_len(s);

	if (may_be_again(c, s)) {
		if (seq_lt(s->seq, c->rcv_nxt)) {
			c->conn.impl[I_QUICK] = QUICK_ACKS;
			c->flags &= ~F_PINGPONG;
			ooo_dsack(t, c, s->seq, seq_lt(c->rcv_nxt, end) ? c->rcv_nxt : end);
		}
		send_ack(t, c);
		tx_release(t, c);
		return;
	}
	challenge_ack(t, c);
}

static enum tg_why check_paws(
	struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s, const struct tg_opts *o)
{
	if (!(c->flags & F_TS) || !(o->has & TG_OPT_TS) || s->flags & TG_TCP_RST ||
		!paws_old(t, c, o) || disordered_ack(c, s, o))
		return TG_WHY_none;
	answer(t, c, s);
	return TG_WHY_tcp_paws;
}

/* First check: is any of it in the window? What begins in it is trimmed later; what lies before is
 * a duplicate whose ACK still counts if it ends at RCV.NXT. */
static bool in_window(const struct tg_tcb *c, const struct tg_seg *s)
{
	uint32_t edge = seq_max(c->rcv_adv, c->rcv_nxt);

	return seq_le(c->rcv_nxt, s->seq + seg_len(s)) && seq_le(s->seq, edge);
}

/* RFC 5961 section 3.2; section 3.10.7.4 second */
static enum tg_why reset_input(struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s)
{
	enum tg_tcp_state st = tcb_state(c);
	bool exact = s->seq == c->rcv_nxt;

	/* A peer that had closed answers our data, sent before its FIN came, with that FIN's
	 * number. */
	if (c->flags & F_RCV_FIN && s->seq == c->rcv_nxt - 1)
		exact = true;
	if (!exact && (seq_lt(s->seq, c->rcv_nxt) || seq_le(c->rcv_adv, s->seq)))
		return TG_WHY_tcp_rst_blind;
	if (!exact) {
		challenge_ack(t, c);
		return TG_WHY_tcp_rst_challenged;
	}
	/* What the reset acknowledges did arrive. In SYN-RECEIVED that is our SYN: no byte. */
	if (st != S_SYN_RCVD && s->flags & TG_TCP_ACK && seq_lt(c->snd_una, s->ack) &&
		seq_le(s->ack, c->snd_nxt)) {
		uint32_t n = s->ack - c->snd_una;

		if (c->flags & F_FIN_IN_QUEUE && s->ack == c->snd_end)
			n--;
		c->tx_acked += n;
		c->snd_una = s->ack;
	}
	if (c->flags & F_RCV_FIN)
		c->flags |= F_TX_FINAL;
	if (st == S_SYN_RCVD)
		c->flags |= F_TX_FINAL;
	/* Also in LAST-ACK, where RFC 9293 just closes: the user waits for DRAINED, and this is its
	 * end. */
	tcb_fail(t, c, st == S_SYN_RCVD ? TG_WHY_conn_refused : TG_WHY_conn_reset_by_peer);
	return TG_WHY_none;
}

static enum tg_why check_sequence(struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s)
{
	if (tg_likely(in_window(c, s)))
		return TG_WHY_none;
	if (s->flags & (TG_TCP_RST | TG_TCP_SYN))
		return TG_WHY_none; /* RFC 5961 decides below */
	answer(t, c, s);
	return s->payload_len && seq_le(s->seq + seg_len(s), c->rcv_nxt) ? TG_WHY_tcp_old_data
									 : TG_WHY_tcp_out_of_window;
}

/* SYN-RECEIVED of a simultaneous open: the ACK of our SYN opens it. */
static enum tg_why syn_rcvd_ack(struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s)
{
	if (seq_le(s->ack, c->snd_una) || seq_lt(c->snd_nxt, s->ack)) {
		reset_reply(t, s);
		return TG_WHY_tcp_ack_future;
	}
	c->snd_una = s->ack;
	c->snd_end = s->ack;
	c->snd_wnd = (uint32_t)s->wnd << c->snd_scale;
	c->max_wnd = u32_max(c->max_wnd, c->snd_wnd);
	c->snd_wl1 = s->seq;
	c->backoff = 0;
	stop_rexmt(c);
	c->dl_misc = 0;
	set_state(c, S_ESTABLISHED);
	t->stats->tcp_connected++;
	tcb_raise(t, c, TG_EV_OPEN);
	if (c->flags & F_FIN_QUEUED)
		snd_wake(t, c);
	arm_keepalive(t, c);
	return TG_WHY_none;
}

static void ecn_data(struct tg_tcb *c, const struct tg_seg *s)
{
	if (!(c->flags & F_ECN))
		return;
	if (s->flags & TG_TCP_CWR)
		c->flags &= ~F_ECE;
	if (s->ecn == 3) {
		if (!(c->flags & F_ECE)) {
			c->conn.impl[I_QUICK] = u32_max(c->conn.impl[I_QUICK], 2);
			c->flags &= ~F_PINGPONG;
		}
		c->flags |= F_ECE;
	}
}

/* Seventh and eighth: segment text and FIN. */
static enum tg_why text_input(struct tg_tcp *t, struct tg_tcb *c, struct tg_seg *s)
{
	if (!s->payload_len && !(s->flags & TG_TCP_FIN)) {
		c->last_rcv = now_tick(t);
		return TG_WHY_none;
	}
	if (!tcb_receiving(c)) {
		/* The peer's FIN has been here: an old copy is acknowledged again; more behind it
		 * is nonsense (RFC 9293: "this should not occur ... ignore the segment text"). */
		answer(t, c, s);
		return TG_WHY_tcp_old_data;
	}
	ecn_data(c, s);
	/* Nobody will read what is new (RFC 1122 section 4.2.2.13). */
	if (!(c->flags & F_USER) && s->payload_len && seq_lt(c->rcv_nxt, s->seq + s->payload_len)) {
		send_reset(t, c);
		tcb_fail(t, c, TG_WHY_conn_linger);
		return TG_WHY_tcp_after_close;
	}
	return rcv_data(t, c, s);
}

void take_fin(struct tg_tcp *t, struct tg_tcb *c)
{
	c->rcv_nxt++;
	c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt);
	c->flags |= F_RCV_FIN | F_ACK_NOW;
	c->conn.impl[I_QUICK] = QUICK_ACKS;
	if (c->tx)
		ooo_free(t, c->tx);
	tcb_raise(t, c, TG_EV_EOF);
	snd_wake(t, c);
	switch (tcb_state(c)) {
	case S_ESTABLISHED:
		set_state(c, S_CLOSE_WAIT);
		break;
	case S_FIN_WAIT_1:
		set_state(c, S_CLOSING);
		break;
	case S_FIN_WAIT_2:
		send_ack(t, c);
		time_wait_enter(t, c);
		break;
	default:
		break;
	}
}

void fin_acked(struct tg_tcp *t, struct tg_tcb *c)
{
	switch (tcb_state(c)) {
	case S_FIN_WAIT_1:
		set_state(c, S_FIN_WAIT_2);
		if (c->flags & F_USER)
			break;
		/* Only the peer's FIN is to come: when connections are short, a record waits for it
		 * as well (as in Linux). */
		if (tg_unlikely(conns_short(t)) && !c->rx_bytes && !(c->tx && c->tx->ooo_head))
			time_wait_enter(t, c);
		else
			arm_misc(t, c, t->conf.fin_timeout);
		break;
	case S_CLOSING:
		if (c->flags & F_ACK_NOW)
			send_ack(t, c);
		time_wait_enter(t, c);
		break;
	case S_LAST_ACK:
		tcb_close(t, c, true);
		break;
	default:
		break;
	}
}

static enum tg_why synchronized_input(
	struct tg_tcp *t, struct tg_tcb *c, struct tg_seg *s, const struct tg_opts *o)
{
	enum tg_why why = check_paws(t, c, s, o);

	if (why)
		return why;
	why = check_sequence(t, c, s);
	if (why)
		return why;
	if (s->flags & TG_TCP_RST)
		return reset_input(t, c, s);
	if (s->flags & TG_TCP_SYN) {
		challenge_ack(t, c);
		return TG_WHY_tcp_syn_challenged;
	}
	if (!(s->flags & TG_TCP_ACK))
		return TG_WHY_tcp_no_ack_flag;
	if (tcb_state(c) == S_SYN_RCVD)
		why = syn_rcvd_ack(t, c, s);
	if (why)
		return why;
	why = ack_input(t, c, s, o);
	if (why || tcb_state(c) <= S_CLOSED)
		return why;
	note_timestamp(t, c, s, o);
	return text_input(t, c, s);
}

/* SYN-RECEIVED after a simultaneous open: the peer's SYN-ACK carries the SYN that we know. */
static bool own_syn_again(const struct tg_tcb *c, const struct tg_seg *s)
{
	return tcb_state(c) == S_SYN_RCVD && s->flags & TG_TCP_SYN && s->seq + 1 == c->rcv_nxt;
}

enum tg_why slow_input(struct tg_tcp *t, struct tg_tcb *c, struct tg_seg *s)
{
	struct tg_opts o;
	bool syn = s->flags & TG_TCP_SYN;

	tg_opts_parse(
		rte_pktmbuf_mtod_offset(s->m, const uint8_t *, 20), s->hdr_len - 20u, syn, &o);
	if (tcb_state(c) == S_SYN_SENT)
		return syn_sent_input(t, c, s);
	if (syn && own_syn_again(c, s)) {
		if (!(s->flags & TG_TCP_ACK)) { /* ours was lost */
			send_syn(t, c, true);
			return TG_WHY_none;
		}
		s->flags &= (uint8_t)~TG_TCP_SYN;
		s->seq++;
	}
	return synchronized_input(t, c, s, &o);
}
