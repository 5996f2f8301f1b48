/* timewait.c: TIME-WAIT in 64 bytes. All last equally long, so they stand in a list by their ends
 * and one timer of the wheel serves them; the oldest makes room when the pool is full. */
#include "stack.h"

static struct tg_tw *tw_at(const struct tg_tcp *t, uint32_t ref)
{
	return tg_pool_at(&t->tws, ref - 1);
}

static void unlink_tw(struct tg_tcp *t, struct tg_tw *w)
{
	if (w->prev)
		tw_at(t, w->prev)->next = w->next;
	else
		t->tw_head = w->next;
	if (w->next)
		tw_at(t, w->next)->prev = w->prev;
	else
		t->tw_tail = w->prev;
}

static uint64_t duration(const struct tg_tcp *t)
{
	return 2 * t->conf.msl;
}

static void link_last(struct tg_tcp *t, struct tg_tw *w)
{
	uint32_t ref = tg_pool_index(&t->tws, w) + 1;

	w->ends = now_tick(t) + (uint32_t)(duration(t) >> TG_WHEEL_TICK_SHIFT) + 1;
	w->next = 0;
	w->prev = t->tw_tail;
	if (t->tw_tail)
		tw_at(t, t->tw_tail)->next = ref;
	else
		t->tw_head = ref;
	t->tw_tail = ref;
	if (!tg_timer_running(&t->tw_timer))
		tg_timer_start(t->wheel, &t->tw_timer, t->kind_tw, duration(t));
}

void time_wait_free(struct tg_tcp *t, struct tg_tw *w, bool in_table)
{
	if (in_table)
		tg_flow_remove(&t->flows, tg_flow_hash(&t->flows, &w->flow),
			tg_flow_ref(TG_FLOW_TIME_WAIT, tg_pool_index(&t->tws, w)));
	unlink_tw(t, w);
	t->stats->tcp_time_wait--;
	tg_pool_put(&t->tws, w);
}

void time_wait_timer(void *stack, struct tg_timer *timer)
{
	struct tg_tcp *t = stack;
	uint32_t now = now_tick(t), budget = 1024;

	while (t->tw_head && budget--) {
		struct tg_tw *w = tw_at(t, t->tw_head);
		int32_t ahead = (int32_t)(w->ends - now);

		if (ahead > 0) {
			tg_timer_start(t->wheel, timer, t->kind_tw,
				(uint64_t)ahead << TG_WHEEL_TICK_SHIFT);
			return;
		}
		time_wait_free(t, w, true);
	}
	if (t->tw_head)
		tg_timer_start(t->wheel, timer, t->kind_tw, 0);
}

void time_wait_enter(struct tg_tcp *t, struct tg_tcb *c)
{
	uint64_t hash = tg_flow_hash(&t->flows, &c->flow);
	uint32_t ref = tg_flow_ref(TG_FLOW_TCB, tcb_index(t, c));
	struct tg_tw *w = tg_pool_take(&t->tws);

	if (!w && t->tw_head) {
		time_wait_free(t, tw_at(t, t->tw_head), true);
		w = tg_pool_take(&t->tws);
	}
	if (!w) { /* made to fail: the 4-tuple is free at once */
		tcb_close(t, c, true);
		return;
	}
	*w = (struct tg_tw){
		.flow = c->flow,
		.rcv_nxt = c->rcv_nxt,
		.snd_nxt = c->snd_nxt,
		.ts_recent = c->ts_recent,
		.wnd = (uint16_t)u32_min(rcv_window(c) >> c->rcv_scale, UINT16_MAX),
		.has_ts = !!(c->flags & F_TS),
		.half = !(c->flags & F_RCV_FIN),
	};
	tg_flow_replace(
		&t->flows, hash, ref, tg_flow_ref(TG_FLOW_TIME_WAIT, tg_pool_index(&t->tws, w)));
	t->stats->tcp_time_wait++;
	link_last(t, w);
	tcb_close(t, c, false);
}

/* The last ACK again, ten times a second at most. */
static void answer(struct tg_tcp *t, struct tg_tw *w)
{
	struct tg_bare b = {.flow = w->flow,
		.seq = w->snd_nxt,
		.ack = w->rcv_nxt,
		.wnd = w->wnd,
		.flags = TG_TCP_ACK};
	uint8_t tenth = (uint8_t)(now_ms(t) / 100 + 1);
	struct tg_dst dst = {0};

	if (w->answered == tenth)
		return;
	w->answered = tenth;
	if (w->has_ts)
		b.n_opts = (uint8_t)tg_opts_put_ts(b.opts,
			now_ms(t) + tg_secret_ts_offset(&t->secret, &w->flow), w->ts_recent);
	send_bare(t, &b, &dst);
}

/* RFC 6191 section 2 and RFC 1122 section 4.2.2.13: may this SYN begin a new connection? */
static bool may_reopen(const struct tg_tw *w, const struct tg_seg *s, const struct tg_opts *o)
{
	if ((s->flags & (TG_TCP_SYN | TG_TCP_ACK | TG_TCP_RST | TG_TCP_FIN)) != TG_TCP_SYN)
		return false;
	if (w->has_ts && o->has & TG_OPT_TS && (int32_t)(o->tsval - w->ts_recent) != 0)
		return (int32_t)(o->tsval - w->ts_recent) > 0;
	return seq_lt(w->rcv_nxt, s->seq);
}

enum tg_why time_wait_input(struct tg_tcp *t, struct tg_tw *w, struct tg_seg *s, uint64_t hash)
{
	uint32_t len = s->payload_len + !!(s->flags & TG_TCP_SYN) + !!(s->flags & TG_TCP_FIN);
	struct tg_opts o;
	bool old;

	tg_opts_parse(rte_pktmbuf_mtod_offset(s->m, const uint8_t *, 20), s->hdr_len - 20u,
		s->flags & TG_TCP_SYN, &o);
	if (s->flags & TG_TCP_RST) {
		if (s->seq != w->rcv_nxt)
			return TG_WHY_tcp_rst_blind;
		time_wait_free(t, w, true);
		return TG_WHY_none;
	}
	if (may_reopen(w, s, &o)) {
		struct tg_tcp_listener *l = listener_find(t, &s->flow);

		if (l)
			return listen_input(t, l, s, hash,
				tg_flow_ref(TG_FLOW_TIME_WAIT, tg_pool_index(&t->tws, w)));
	}
	old = w->has_ts && o.has & TG_OPT_TS && (int32_t)(o.tsval - w->ts_recent) < 0;
	if (!old && w->has_ts && o.has & TG_OPT_TS && seq_le(s->seq, w->rcv_nxt))
		w->ts_recent = o.tsval;
	if (w->half && !old && s->seq == w->rcv_nxt) {
		if (s->payload_len) { /* nobody will read it (RFC 1122 section 4.2.2.13) */
			reset_reply(t, s);
			time_wait_free(t, w, true);
			return TG_WHY_tcp_after_close;
		}
		if (s->flags & TG_TCP_FIN) {
			w->rcv_nxt++;
			w->half = 0;
		}
	}
	/* A bare ACK where it should be needs no answer: so two ends in TIME-WAIT come to rest. */
	if (!len && s->seq == w->rcv_nxt && !old)
		return TG_WHY_tcp_time_wait;
	answer(t, w);
	if (!old && s->flags & TG_TCP_FIN) { /* RFC 9293 section 3.10.7.4: the 2 MSL start anew */
		unlink_tw(t, w);
		link_last(t, w);
	}
	return TG_WHY_tcp_time_wait;
}
