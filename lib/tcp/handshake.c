/* handshake.c: connections begin: listeners and their embryonic connections, SYN-SENT.
 *
 * A SYN costs 128 bytes here, not a TCB: the record remembers the two ISNs and what was agreed, and
 * sends the SYN-ACK again. The TCB comes with the ACK. When there is no room for a record the
 * answer is a SYN cookie (cookie.c).
 */
#include "stack.h"

/* --- listeners: open addressing by port --- */

static uint32_t listener_slot_of(uint16_t port)
{
	return (port * UINT32_C(2654435761)) >> 21; /* 11 bits */
}

static bool address_matches(const struct tg_ip *listens, const struct tg_ip *local)
{
	return tg_ip_eq(listens, local) ||
	       (tg_ip_is_any(listens) && tg_ip_is_v4(listens) == tg_ip_is_v4(local));
}

static struct listener_slot *slot_find(struct tg_tcp *t, const struct tg_ip *local, uint16_t port)
{
	struct listener_slot *any = NULL;

	for (uint32_t i = listener_slot_of(port); t->listeners[i].listener;
		i = (i + 1) % LISTENER_BUCKETS) {
		struct tg_tcp_listener *l = t->listeners[i].listener;

		if (l->addr.port != port || !address_matches(&l->addr.ip, local))
			continue;
		if (tg_ip_eq(&l->addr.ip, local))
			return &t->listeners[i]; /* the exact address wins */
		any = &t->listeners[i];
	}
	return any;
}

struct tg_tcp_listener *listener_find(struct tg_tcp *t, const struct tg_flow *f)
{
	struct listener_slot *slot = slot_find(t, &f->local, f->lport);

	return slot ? slot->listener : NULL;
}

static struct listener_slot *slot_of(struct tg_tcp *t, const struct tg_tcp_listener *l)
{
	for (uint32_t i = listener_slot_of(l->addr.port); t->listeners[i].listener;
		i = (i + 1) % LISTENER_BUCKETS)
		if (t->listeners[i].listener == l)
			return &t->listeners[i];
	return NULL;
}

static void slot_put(struct tg_tcp *t, struct listener_slot s)
{
	uint32_t i = listener_slot_of(s.listener->addr.port);

	while (t->listeners[i].listener)
		i = (i + 1) % LISTENER_BUCKETS;
	t->listeners[i] = s;
}

int tg_tcp_listen(struct tg_tcp *t, struct tg_tcp_listener *l)
{
	struct listener_slot *s = slot_find(t, &l->addr.ip, l->addr.port);

	if (s && tg_ip_eq(&s->listener->addr.ip, &l->addr.ip))
		return TG_EEXIST;
	if (t->n_listeners == MAX_LISTENERS)
		return TG_ENOMEM;
	slot_put(t, (struct listener_slot){.listener = l});
	t->n_listeners++;
	return 0;
}

void tg_tcp_unlisten(struct tg_tcp *t, struct tg_tcp_listener *l)
{
	struct listener_slot *s = slot_of(t, l);
	uint32_t i;

	if (!s)
		return;
	for (i = 0; i < t->embs.fresh && s->embryonic; i++) {
		struct tg_emb *e = tg_pool_at(&t->embs, i);

		if (e->used && e->listener == l)
			embryonic_drop(t, e);
	}
	s->listener = NULL;
	t->n_listeners--;
	/* Those behind it may have wanted its place. */
	for (i = (uint32_t)(s - t->listeners + 1) % LISTENER_BUCKETS; t->listeners[i].listener;
		i = (i + 1) % LISTENER_BUCKETS) {
		struct listener_slot moved = t->listeners[i];

		t->listeners[i].listener = NULL;
		slot_put(t, moved);
	}
}

/* --- what we offer --- */

uint8_t rcv_scale_for(uint32_t rcv_buf)
{
	uint8_t scale = RCV_SCALE;

	while (scale < TG_WSCALE_MAX && rcv_buf >> scale > UINT16_MAX)
		scale++;
	return scale;
}

/* Whole segments, at most what an unscaled field says. */
uint32_t initial_rcv_wnd(uint32_t rcv_buf, uint32_t mss)
{
	uint32_t wnd = u32_min(rcv_buf, UINT16_MAX);

	return wnd > mss ? wnd - wnd % mss : wnd;
}

uint16_t default_mss(const struct tg_ip *remote)
{
	return tg_ip_is_v4(remote) ? 536 : 1220;
}

uint16_t own_mss(struct tg_tcp *t, const struct tg_ip *remote)
{
	uint16_t mtu = tg_net_mtu(t->conf.net, remote), headers = tg_ip_is_v4(remote) ? 40 : 60;

	return mtu ? (uint16_t)(mtu - headers) : default_mss(remote);
}

static uint16_t peer_mss_of(const struct tg_opts *o, const struct tg_ip *remote)
{
	if (!(o->has & TG_OPT_MSS) || !o->mss)
		return default_mss(remote);
	return (uint16_t)u32_max(o->mss, MIN_MSS);
}

/* --- passive: SYN --- */

static void send_synack(struct tg_tcp *t, struct tg_emb *e)
{
	struct tg_bare b = {.flow = e->flow,
		.seq = e->iss,
		.ack = e->irs + 1,
		.wnd = (uint16_t)e->rcv_wnd,
		.flags = TG_TCP_SYN | TG_TCP_ACK | (e->ecn ? TG_TCP_ECE : 0)};
	struct tg_opts o = {.has = e->has | TG_OPT_MSS, .mss = own_mss(t, &e->flow.remote)};

	o.wscale = e->rcv_scale;
	o.tsval = now_ms(t) + e->ts_off;
	o.tsecr = e->ts_recent;
	b.n_opts = (uint8_t)tg_opts_build_syn(b.opts, &o);
	e->sent_us = now_us(t);
	send_bare(t, &b, &e->dst);
}

static void arm_embryonic(struct tg_tcp *t, struct tg_emb *e)
{
	tg_timer_start(t->wheel, &e->timer, t->kind_emb, TG_SEC << e->retries);
}

static uint32_t emb_ref(const struct tg_tcp *t, const struct tg_emb *e)
{
	return tg_flow_ref(TG_FLOW_EMBRYONIC, tg_pool_index(&t->embs, e));
}

/* The record goes; its place in the flow table stays the caller's business. */
static void embryonic_free(struct tg_tcp *t, struct tg_emb *e)
{
	struct listener_slot *slot = slot_of(t, e->listener);

	if (slot)
		slot->embryonic--;
	tg_timer_stop(t->wheel, &e->timer);
	e->used = false;
	t->stats->tcp_embryonic--;
	tg_pool_put(&t->embs, e);
}

void embryonic_drop(struct tg_tcp *t, struct tg_emb *e)
{
	tg_flow_remove(&t->flows, tg_flow_hash(&t->flows, &e->flow), emb_ref(t, e));
	embryonic_free(t, e);
}

void embryonic_timer(void *stack, struct tg_timer *timer)
{
	struct tg_tcp *t = stack;
	struct tg_emb *e = TG_CONTAINER(timer, struct tg_emb, timer);

	if (e->retries >= SYNACK_RETRIES) {
		t->stats->why[TG_WHY_conn_connect_timeout]++;
		embryonic_drop(t, e);
		return;
	}
	e->retries++;
	t->stats->tcp_retransmits++;
	send_synack(t, e);
	arm_embryonic(t, e);
}

/* What both sides can do. */
static uint8_t agreed(const struct tg_tcp *t, const struct tg_opts *o)
{
	uint8_t has = o->has & (TG_OPT_WSCALE | TG_OPT_SACK_OK | TG_OPT_TS);

	if (t->conf.no_timestamps)
		has &= (uint8_t)~TG_OPT_TS;
	if (t->conf.no_sack)
		has &= (uint8_t)~TG_OPT_SACK_OK;
	if (t->conf.no_window_scale)
		has &= (uint8_t)~TG_OPT_WSCALE;
	return has;
}

static void fill_embryonic(struct tg_tcp *t, struct tg_emb *e, struct tg_tcp_listener *l,
	const struct tg_seg *s, const struct tg_opts *o, uint32_t iss)
{
	uint32_t buf = l->rcv_buf ? l->rcv_buf : t->conf.rcv_buf;
	uint32_t mss = own_mss(t, &s->flow.remote);

	*e = (struct tg_emb){
		.flow = s->flow,
		.iss = iss,
		.irs = s->seq,
		.listener = l,
		.peer_mss = peer_mss_of(o, &s->flow.remote),
		.snd_scale = o->wscale,
		.rcv_scale = rcv_scale_for(buf),
		.has = agreed(t, o),
		.used = true,
	};
	if (e->has & TG_OPT_TS) {
		e->ts_recent = o->tsval;
		e->ts_recent_ms = now_ms(t);
		e->ts_off = tg_secret_ts_offset(&t->secret, &e->flow);
		mss -= TG_OPTS_TS_LEN;
	}
	if (!(e->has & TG_OPT_WSCALE))
		e->snd_scale = e->rcv_scale = 0;
	e->rcv_wnd = initial_rcv_wnd(buf, mss);
	/* RFC 3168 section 6.1.1: an ECN-setup SYN; not on an ECT or CE marked packet */
	e->ecn = !t->conf.no_ecn && !s->ecn &&
		 (s->flags & (TG_TCP_ECE | TG_TCP_CWR)) == (TG_TCP_ECE | TG_TCP_CWR);
}

/* RFC 6528; after a TIME-WAIT it must also be above what that one sent (RFC 6191 section 2, RFC
 * 1122 section 4.2.2.13). */
static uint32_t choose_iss(struct tg_tcp *t, const struct tg_flow *f, uint32_t tw_ref)
{
	uint32_t iss = tg_secret_isn(&t->secret, f, t->wheel->now);

	if (tw_ref) {
		const struct tg_tw *w = tg_pool_at(&t->tws, tg_flow_index(tw_ref));
		uint32_t above = w->snd_nxt + 65535 + 2;

		if (seq_lt(iss, above))
			iss = above;
	}
	return iss;
}

enum tg_why listen_input(struct tg_tcp *t, struct tg_tcp_listener *l, struct tg_seg *s,
	uint64_t hash, uint32_t tw_ref)
{
	struct listener_slot *slot = slot_of(t, l);
	bool record =
		(!l->backlog || slot->embryonic < l->backlog) && t->embs.in_use < t->embs.count;
	struct tg_emb *e = NULL;
	struct tg_opts o;
	enum tg_why why;
	uint32_t iss;

	if (tg_unlikely(t->refusing))
		return TG_WHY_tcp_syn_overload;
	if (t->pressure > 1 || conns_left(t) <= CONNS_ACCEPT(t->tcbs.count))
		return TG_WHY_tcp_syn_dropped;
	if (!tg_admit_syn(&t->admit, &s->flow.remote, now_ms(t)))
		return TG_WHY_tcp_syn_dropped;
	why = admitted(t, l, s, record);
	if (tg_unlikely(why))
		return why;
	tg_opts_parse(
		rte_pktmbuf_mtod_offset(s->m, const uint8_t *, 20), s->hdr_len - 20u, true, &o);
	if (record)
		e = tg_pool_take(&t->embs);
	if (!e) {
		if (tw_ref)
			time_wait_free(t, tg_pool_at(&t->tws, tg_flow_index(tw_ref)), true);
		cookie_answer(t, l, s, &o);
		return TG_WHY_none;
	}
	iss = choose_iss(t, &s->flow, tw_ref);
	fill_embryonic(t, e, l, s, &o, iss);
	if (tw_ref) {
		tg_flow_replace(&t->flows, hash, tw_ref, emb_ref(t, e));
		time_wait_free(t, tg_pool_at(&t->tws, tg_flow_index(tw_ref)), false);
	} else if (tg_flow_insert(&t->flows, hash, emb_ref(t, e))) {
		e->used = false;
		tg_pool_put(&t->embs, e);
		return TG_WHY_tcp_syn_dropped;
	}
	slot->embryonic++;
	t->stats->tcp_embryonic++;
	send_synack(t, e);
	arm_embryonic(t, e);
	return TG_WHY_none;
}

/* --- passive: the ACK --- */

struct tg_tcb *accept_tcb(
	struct tg_tcp *t, const struct tg_handshake *h, uint64_t hash, uint32_t ref)
{
	struct tg_tcp_listener *l = h->listener;
	struct tg_tcb *c = tcb_new(t, &h->flow);
	uint32_t own;

	if (!c)
		return NULL;
	own = tg_flow_ref(TG_FLOW_TCB, tcb_index(t, c));
	if (ref ? !tg_flow_replace(&t->flows, hash, ref, own)
		: tg_flow_insert(&t->flows, hash, own) != 0) {
		c->flags &= F_IN_LINE;
		tcb_maybe_free(t, c);
		return NULL;
	}
	t->stats->tcp_connections++;
	t->stats->tcp_accepted++;
	tg_admit_proven(&t->admit, &h->flow.remote, now_ms(t));
	c->conn.user = l->user;
	c->conn.owner = l->owner;
	c->dst = h->dst;
	if (l->rcv_buf)
		c->rcv_buf = u32_max(l->rcv_buf, 4096);
	if (l->snd_buf)
		c->snd_buf = u32_max(l->snd_buf, 4096);
	c->flags |= (h->has & TG_OPT_TS ? F_TS : 0) | (h->has & TG_OPT_SACK_OK ? F_SACK : 0) |
		    (h->has & TG_OPT_WSCALE ? F_WSCALE : 0) | (h->ecn ? F_ECN : 0) | F_DRAIN_TOLD;
	c->rcv_nxt = c->rcv_wup = h->irs + 1;
	c->rcv_adv = c->rcv_nxt + h->rcv_wnd;
	c->snd_una = c->snd_nxt = c->snd_end = h->iss + 1;
	c->snd_wl1 = h->irs;
	c->snd_scale = h->snd_scale & 15;
	c->rcv_scale = h->rcv_scale & 15;
	c->ts_recent = h->ts_recent;
	c->ts_recent_ms = now_ms(t);
	c->ts_off = h->ts_off;
	c->peer_mss = h->peer_mss;
	c->last_rcv = now_tick(t);
	mss_update(t, c, tg_net_mtu(t->conf.net, &c->flow.remote));
	set_state(c, S_ESTABLISHED);
	tcb_raise(t, c, TG_EV_OPEN);
	return c;
}

static struct tg_handshake handshake_of(const struct tg_emb *e)
{
	return (struct tg_handshake){
		.flow = e->flow,
		.listener = e->listener,
		.dst = e->dst,
		.iss = e->iss,
		.irs = e->irs,
		.ts_recent = e->ts_recent,
		.ts_off = e->ts_off,
		.rcv_wnd = e->rcv_wnd,
		.peer_mss = e->peer_mss,
		.snd_scale = e->snd_scale,
		.rcv_scale = e->rcv_scale,
		.has = e->has,
		.ecn = e->ecn,
	};
}

static bool may_answer(const struct tg_tcp *t, struct tg_emb *e)
{
	uint32_t now = now_ms(t);

	if (e->answered_ms && now - e->answered_ms < 500)
		return false;
	e->answered_ms = now ? now : 1;
	return true;
}

/* An ACK to what does not fit, twice a second at most. */
static enum tg_why embryonic_answer(struct tg_tcp *t, struct tg_emb *e, enum tg_why why)
{
	struct tg_bare b = {.flow = e->flow,
		.seq = e->iss + 1,
		.ack = e->irs + 1,
		.wnd = (uint16_t)(e->rcv_wnd >> e->rcv_scale),
		.flags = TG_TCP_ACK};

	if (!may_answer(t, e))
		return why;
	if (e->has & TG_OPT_TS)
		b.n_opts = (uint8_t)tg_opts_put_ts(b.opts, now_ms(t) + e->ts_off, e->ts_recent);
	t->stats->tcp_challenge_acks++;
	send_bare(t, &b, &e->dst);
	return why;
}

static bool paws_old(const struct tg_tcp *t, const struct tg_emb *e, const struct tg_opts *o)
{
	(void)t;
	return e->has & TG_OPT_TS && o->has & TG_OPT_TS && (int32_t)(o->tsval - e->ts_recent) < 0;
}

/* Everything fits: the connection is there, and the segment is its first. */
static enum tg_why open_embryonic(
	struct tg_tcp *t, struct tg_emb *e, struct tg_seg *s, uint64_t hash)
{
	struct tg_handshake h = handshake_of(e);
	uint8_t retries = e->retries;
	uint32_t rtt = now_us(t) - e->sent_us;
	struct tg_tcb *c;

	if (t->pressure > 1)
		return TG_WHY_tcp_syn_dropped;
	c = accept_tcb(t, &h, hash, emb_ref(t, e));
	if (!c)
		return TG_WHY_tcp_syn_dropped; /* the SYN-ACK comes again, and so does its ACK */
	embryonic_free(t, e);
	if (!retries)
		rtt_sample(c, rtt);
	else
		c->flags |= F_SYN_AGAIN;
	if (retries > 1)
		c->cwnd = c->mss;
	c->snd_wnd = c->max_wnd = (uint32_t)s->wnd << c->snd_scale;
	return slow_input(t, c, s);
}

enum tg_why embryonic_input(struct tg_tcp *t, struct tg_emb *e, struct tg_seg *s, uint64_t hash)
{
	uint32_t len = s->payload_len + !!(s->flags & TG_TCP_FIN), rcv_nxt = e->irs + 1;
	struct tg_opts o;

	tg_opts_parse(
		rte_pktmbuf_mtod_offset(s->m, const uint8_t *, 20), s->hdr_len - 20u, false, &o);
	if (s->flags & TG_TCP_RST) {
		if (s->seq != rcv_nxt)
			return TG_WHY_tcp_embryonic;
		t->stats->why[TG_WHY_conn_reset_by_peer]++;
		embryonic_drop(t, e);
		return TG_WHY_none;
	}
	if ((s->flags & (TG_TCP_SYN | TG_TCP_ACK)) == TG_TCP_SYN && s->seq == e->irs) {
		/* The SYN again: ours was lost. It costs a SYN-ACK twice a second at most. */
		if (may_answer(t, e)) {
			e->retries += !e->retries; /* no RTT sample from it any more */
			send_synack(t, e);
		}
		return TG_WHY_none;
	}
	if (paws_old(t, e, &o))
		return embryonic_answer(t, e, TG_WHY_tcp_paws);
	if (seq_lt(s->seq + len, rcv_nxt) || seq_lt(rcv_nxt + e->rcv_wnd, s->seq) ||
		s->flags & TG_TCP_SYN)
		return embryonic_answer(t, e, TG_WHY_tcp_embryonic);
	if (!(s->flags & TG_TCP_ACK))
		return TG_WHY_tcp_no_ack_flag;
	if (s->ack != e->iss + 1) {
		reset_reply(t, s);
		return TG_WHY_tcp_embryonic;
	}
	return open_embryonic(t, e, s, hash);
}

/* --- active --- */

static void adopt_options(
	struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s, const struct tg_opts *o)
{
	c->rcv_nxt = c->rcv_wup = s->seq + 1;
	c->rcv_adv = c->rcv_nxt + initial_rcv_wnd(c->rcv_buf, own_mss(t, &c->flow.remote));
	c->peer_mss = peer_mss_of(o, &c->flow.remote);
	if (o->has & TG_OPT_WSCALE && c->flags & F_WSCALE) {
		c->snd_scale = o->wscale & 15;
	} else {
		c->flags &= ~F_WSCALE;
		c->rcv_scale = 0;
	}
	if (!(o->has & TG_OPT_SACK_OK))
		c->flags &= ~F_SACK;
	if (!(o->has & TG_OPT_TS))
		c->flags &= ~F_TS;
	if (c->flags & F_TS) {
		c->ts_recent = o->tsval;
		c->ts_recent_ms = now_ms(t);
	}
	c->snd_wnd = c->max_wnd = s->wnd; /* never scaled in a SYN */
	c->snd_wl1 = s->seq;
	c->last_rcv = now_tick(t);
}

/* RFC 6298 section 5.7: without a sample the first RTO is 3 s (rto_us()). */
static void syn_rtt(struct tg_tcp *t, struct tg_tcb *c, const struct tg_opts *o)
{
	if (!(c->flags & F_SYN_AGAIN)) {
		rtt_sample(c,
			(uint32_t)(((uint64_t)(now_tick(t) - c->last_snd) << TG_WHEEL_TICK_SHIFT) /
				   1000));
	} else if (c->flags & F_TS && o->tsecr) {
		uint32_t ms = now_ms(t) - (o->tsecr - c->ts_off);

		if (ms < RTO_MAX_US / 1000)
			rtt_sample(c, u32_max(ms, 1) * 1000);
	}
}

static enum tg_why syn_ack_input(
	struct tg_tcp *t, struct tg_tcb *c, struct tg_seg *s, const struct tg_opts *o)
{
	adopt_options(t, c, s, o);
	syn_rtt(t, c, o);
	c->snd_una = c->snd_end = s->ack;
	mss_update(t, c, tg_net_mtu(t->conf.net, &c->flow.remote));
	if (c->flags & F_SYN_AGAIN && c->backoff > 1)
		c->cwnd = c->mss;
	c->backoff = 0;
	stop_rexmt(c);
	c->dl_misc = 0;
	c->flags |= F_ACK_NOW | F_DRAIN_TOLD;
	if (c->flags & F_ECN && (s->flags & (TG_TCP_ECE | TG_TCP_CWR)) != TG_TCP_ECE)
		c->flags &= ~F_ECN;
	set_state(c, S_ESTABLISHED);
	t->stats->tcp_connected++;
	tcb_raise(t, c, TG_EV_OPEN);
	tg_net_confirm(t->conf.net, &c->flow.remote, &c->dst);
	arm_keepalive(t, c);
	snd_wake(t, c);
	/* Text behind the SYN (RFC 9293 section 3.10.7.3, fifth) */
	if (s->payload_len || s->flags & TG_TCP_FIN) {
		s->seq++;
		s->flags &= (uint8_t)~TG_TCP_SYN;
		c->flags &= ~F_ACK_NOW; /* one ACK for both */
		return rcv_data(t, c, s);
	}
	return TG_WHY_none;
}

/* RFC 9293 section 3.5, figure 8: both sides have sent a SYN. */
static enum tg_why simultaneous(
	struct tg_tcp *t, struct tg_tcb *c, struct tg_seg *s, const struct tg_opts *o)
{
	adopt_options(t, c, s, o);
	mss_update(t, c, tg_net_mtu(t->conf.net, &c->flow.remote));
	c->backoff = 0;
	set_state(c, S_SYN_RCVD);
	c->flags &= ~F_ECN;
	send_syn(t, c, true);
	arm_rexmt(t, c, RX_RTO, RTO_INIT_US);
	return TG_WHY_none;
}

enum tg_why syn_sent_input(struct tg_tcp *t, struct tg_tcb *c, struct tg_seg *s)
{
	bool ack = s->flags & TG_TCP_ACK;
	struct tg_opts o;

	tg_opts_parse(
		rte_pktmbuf_mtod_offset(s->m, const uint8_t *, 20), s->hdr_len - 20u, true, &o);
	if (ack && s->ack != c->snd_nxt) {
		reset_reply(t, s);
		return TG_WHY_tcp_ack_future;
	}
	/* The echo must be one of ours (Linux: PAWSACTIVEREJECTED). */
	if (ack && o.has & TG_OPT_TS && o.tsecr && c->flags & F_TS &&
		(int32_t)(now_ms(t) + c->ts_off - o.tsecr) < 0) {
		reset_reply(t, s);
		return TG_WHY_tcp_paws;
	}
	if (s->flags & TG_TCP_RST) {
		if (!ack)
			return TG_WHY_tcp_rst_blind;
		tcb_fail(t, c, TG_WHY_conn_refused);
		return TG_WHY_none;
	}
	if (!(s->flags & TG_TCP_SYN))
		return TG_WHY_tcp_embryonic;
	if (tg_ip_is_multicast(&s->flow.remote))
		return TG_WHY_tcp_bad_flags;
	return ack ? syn_ack_input(t, c, s, &o) : simultaneous(t, c, s, &o);
}
