/* input.c: segments in: three passes over a burst (hash, prefetch, work), the demultiplexer, and
 * the fast path. */
#include "stack.h"

/* Null, FIN alone, Christmas tree: no connection and no listener makes anything of them. */
static bool bad_flags(uint8_t flags)
{
	return !(flags & (TG_TCP_SYN | TG_TCP_ACK | TG_TCP_RST));
}

/* No connection of this flow (RFC 9293 sections 3.10.7.1 and 3.10.7.2). */
static enum tg_why no_flow(struct tg_tcp *t, struct tg_seg *s, uint64_t hash)
{
	struct tg_tcp_listener *l = listener_find(t, &s->flow);
	bool syn = s->flags & TG_TCP_SYN, ack = s->flags & TG_TCP_ACK;

	if (s->flags & TG_TCP_RST)
		return TG_WHY_tcp_no_connection;
	if (l && (bad_flags(s->flags) || (syn && s->flags & TG_TCP_FIN)))
		return TG_WHY_tcp_bad_flags;
	if (l && syn && !ack)
		return listen_input(t, l, s, hash, 0);
	if (l && ack && !syn && t->wheel->now < t->cookies_until) {
		enum tg_why why = cookie_input(t, l, s, hash);

		if (why == TG_WHY_tcp_cookie_bad)
			reset_reply(t, s);
		return why;
	}
	reset_reply(t, s);
	return syn && !ack ? TG_WHY_tcp_no_listener : TG_WHY_tcp_no_connection;
}

static enum tg_why __attribute__((noinline))
slow_path(struct tg_tcp *t, struct tg_seg *s, uint64_t hash, uint32_t ref)
{
	if (bad_flags(s->flags) && ref)
		return TG_WHY_tcp_bad_flags;
	switch (tg_flow_kind(ref)) {
	case TG_FLOW_TCB:
		return slow_input(t, tcb_at(t, tg_flow_index(ref)), s);
	case TG_FLOW_EMBRYONIC:
		return embryonic_input(t, tg_pool_at(&t->embs, tg_flow_index(ref)), s, hash);
	case TG_FLOW_TIME_WAIT:
		return time_wait_input(t, tg_pool_at(&t->tws, tg_flow_index(ref)), s, hash);
	default:
		return no_flow(t, s, hash);
	}
}

/* In-order data or a pure ACK on an established connection where nothing is unusual. */
static inline bool is_plain(const struct tg_tcb *c, const struct tg_seg *s, struct tg_opts *o)
{
	uint32_t odd = (uint32_t)(s->flags & ~TG_TCP_PSH) ^ TG_TCP_ACK;

	odd |= tcb_state(c) ^ S_ESTABLISHED;
	odd |= s->seq ^ c->rcv_nxt;
	odd |= (c->flags & (F_SLOW | F_ECE | F_TLP | F_USER)) ^ F_USER;
	odd |= s->ecn == 3;
	odd |= s->payload_len > rcv_window(c);
	odd |= c->rx_bytes + s->payload_len > c->rcv_buf;
	odd |= s->ack - c->snd_una > c->snd_nxt - c->snd_una;
	if (odd)
		return false;
	o->has = 0;
	if (!(c->flags & F_TS))
		return s->hdr_len == 20;
	if (!tg_opts_fast_ts(
		    rte_pktmbuf_mtod(s->m, const uint8_t *), s->hdr_len, &o->tsval, &o->tsecr) ||
		(int32_t)(o->tsval - c->ts_recent) < 0)
		return false;
	o->has = TG_OPT_TS;
	return true;
}

static inline void plain_data(struct tg_tcp *t, struct tg_tcb *c, struct tg_seg *s)
{
	struct rte_mbuf *m = s->m;

	s->m = NULL;
	c->conn.rx_more = s->payload_len >= c->mss;
	/* One ACK for every second full segment, also when several come in one burst. */
	if (c->flags & F_ACK_NOW)
		send_ack(t, c);
	m->data_off = (uint16_t)(m->data_off + s->hdr_len);
	m->data_len = s->payload_len;
	m->pkt_len = s->payload_len;
	rcv_append(t, c, m);
	c->rcv_nxt += s->payload_len;
	tcb_raise(t, c, TG_EV_READABLE);
	rcv_ack_policy(t, c, s->payload_len, s->flags & TG_TCP_PSH);
}

enum tg_why tcp_input_one(struct tg_tcp *t, struct tg_seg *s, uint64_t hash)
{
	uint32_t ref = tg_flow_find(&t->flows, hash, &s->flow);
	struct tg_opts o;
	struct tg_tcb *c;

	if (tg_unlikely(tg_flow_kind(ref) != TG_FLOW_TCB))
		return slow_path(t, s, hash, ref);
	c = tcb_at(t, tg_flow_index(ref));
	if (tg_unlikely(t->share <= SHARE_STRICT || !is_plain(c, s, &o)))
		return slow_path(t, s, hash, ref);
	if (o.has && c->rcv_wup == c->rcv_nxt) {
		c->ts_recent = o.tsval;
		c->ts_recent_ms = now_ms(t);
	}
	if (c->tx || (uint32_t)s->wnd << c->snd_scale != c->snd_wnd) {
		o.n_sack = 0;
		ack_input(t, c, s, &o); /* cannot end the connection: no FIN of ours is out */
	} else {
		c->conn.impl[I_PROBES] = 0;
		c->snd_wl1 = s->seq;
	}
	if (s->payload_len)
		plain_data(t, c, s);
	else
		c->last_rcv = now_tick(t);
	return TG_WHY_none;
}

static void finish(struct tg_tcp *t, struct tg_seg *s, enum tg_why why)
{
	if (tg_likely(!why))
		t->stats->rx_tcp_segments++;
	else
		t->stats->why[why]++;
	if (s->m)
		rte_pktmbuf_free(s->m);
}

static void input_burst(struct tg_tcp *t, struct tg_seg *segs, uint32_t n)
{
	uint64_t hash[TG_NET_BURST];

	for (uint32_t i = 0; i < n; i++) {
		hash[i] = tg_flow_hash(&t->flows, &segs[i].flow);
		tg_flow_prefetch(&t->flows, hash[i]);
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t ref = tg_flow_guess(&t->flows, hash[i]);

		if (tg_flow_kind(ref) == TG_FLOW_TCB) {
			const char *c = (const char *)tcb_at(t, tg_flow_index(ref));

			__builtin_prefetch(c, 1);
			__builtin_prefetch(c + 64, 1);
			__builtin_prefetch(c + 128, 1);
			__builtin_prefetch(c + 192, 1);
		}
	}
	for (uint32_t i = 0; i < n; i++)
		finish(t, &segs[i], tcp_input_one(t, &segs[i], hash[i]));
}

void tg_tcp_backlog(struct tg_tcp *t, bool backlog)
{
	tg_admit_burst(&t->admit, backlog);
}

void tg_tcp_input(struct tg_tcp *t, struct tg_seg *segs, uint32_t n)
{
	pressure_update(t);
	while (n) {
		uint32_t part = u32_min(n, TG_NET_BURST);

		input_burst(t, segs, part);
		segs += part;
		n -= part;
	}
}
