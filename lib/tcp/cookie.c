/* cookie.c: connections without memory while embryonic records are short (RFC 4987 section 3.6). */
#include "stack.h"

#define COOKIE_LIFE (128 * TG_SEC)

void cookie_answer(struct tg_tcp *t, struct tg_tcp_listener *l, const struct tg_seg *s,
	const struct tg_opts *o)
{
	uint32_t buf = l->rcv_buf ? l->rcv_buf : t->conf.rcv_buf;
	uint16_t own = own_mss(t, &s->flow.remote);
	uint16_t mss = o->has & TG_OPT_MSS && o->mss ? o->mss : default_mss(&s->flow.remote);
	bool ts = o->has & TG_OPT_TS && !t->conf.no_timestamps;
	struct tg_cookie_opts co = {
		.wscale = o->wscale,
		.wscale_ok = o->has & TG_OPT_WSCALE && !t->conf.no_window_scale,
		.sack_ok = o->has & TG_OPT_SACK_OK && !t->conf.no_sack,
		.ecn_ok = !t->conf.no_ecn && !s->ecn &&
			  (s->flags & (TG_TCP_ECE | TG_TCP_CWR)) == (TG_TCP_ECE | TG_TCP_CWR),
	};
	struct tg_opts so = {.has = TG_OPT_MSS, .mss = own};
	struct tg_bare b = {.flow = s->flow, .ack = s->seq + 1, .flags = TG_TCP_SYN | TG_TCP_ACK};
	struct tg_dst dst = {0};

	b.seq = tg_cookie_make(&t->secret, &s->flow, s->seq, mss, t->wheel->now);
	b.wnd = (uint16_t)initial_rcv_wnd(buf, own - (ts ? TG_OPTS_TS_LEN : 0u));
	if (ts) {
		so.has |= TG_OPT_TS | (co.sack_ok ? TG_OPT_SACK_OK : 0) |
			  (co.wscale_ok ? TG_OPT_WSCALE : 0);
		so.wscale = rcv_scale_for(buf);
		so.tsval = tg_cookie_ts(now_ms(t), &co) + tg_secret_ts_offset(&t->secret, &s->flow);
		so.tsecr = o->tsval;
		if (co.ecn_ok)
			b.flags |= TG_TCP_ECE;
	}
	b.n_opts = (uint8_t)tg_opts_build_syn(b.opts, &so);
	t->cookies_until = t->wheel->now + COOKIE_LIFE;
	t->stats->tcp_cookies_sent++;
	send_bare(t, &b, &dst);
}

static void cookie_options(struct tg_tcp *t, struct tg_handshake *h, const struct tg_opts *o)
{
	struct tg_cookie_opts co;

	if (!(o->has & TG_OPT_TS) || t->conf.no_timestamps)
		return;
	h->ts_off = tg_secret_ts_offset(&t->secret, &h->flow);
	tg_cookie_ts_parse(o->tsecr - h->ts_off, &co);
	h->ts_recent = o->tsval;
	h->has = TG_OPT_TS | (co.sack_ok ? TG_OPT_SACK_OK : 0) | (co.wscale_ok ? TG_OPT_WSCALE : 0);
	h->snd_scale = co.wscale_ok ? co.wscale : 0;
	h->ecn = co.ecn_ok;
}

enum tg_why cookie_input(
	struct tg_tcp *t, struct tg_tcp_listener *l, struct tg_seg *s, uint64_t hash)
{
	uint32_t buf = l->rcv_buf ? l->rcv_buf : t->conf.rcv_buf;
	struct tg_handshake h = {
		.flow = s->flow, .listener = l, .iss = s->ack - 1, .irs = s->seq - 1};
	struct tg_opts o;
	enum tg_why why;
	struct tg_tcb *c;

	h.peer_mss = tg_cookie_check(&t->secret, &s->flow, h.iss, h.irs, t->wheel->now);
	if (!h.peer_mss)
		return TG_WHY_tcp_cookie_bad;
	tg_opts_parse(
		rte_pktmbuf_mtod_offset(s->m, const uint8_t *, 20), s->hdr_len - 20u, false, &o);
	cookie_options(t, &h, &o);
	h.rcv_scale = h.has & TG_OPT_WSCALE ? rcv_scale_for(buf) : 0;
	h.rcv_wnd = initial_rcv_wnd(
		buf, own_mss(t, &s->flow.remote) - (h.has & TG_OPT_TS ? TG_OPTS_TS_LEN : 0u));
	if (t->pressure > 1)
		return TG_WHY_tcp_syn_dropped;
	why = admitted(t, l, s, true);
	if (tg_unlikely(why))
		return why;
	c = accept_tcb(t, &h, hash, 0);
	if (!c)
		return TG_WHY_tcp_syn_dropped;
	t->stats->tcp_cookies_accepted++;
	c->flags |= F_SYN_AGAIN; /* no round trip is known */
	c->snd_wnd = c->max_wnd = (uint32_t)s->wnd << c->snd_scale;
	return slow_input(t, c, s);
}
