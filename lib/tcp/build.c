/* build.c: segments as they stand in a packet: headers, pure ACKs, resets. */
#include <rte_byteorder.h>
#include <rte_tcp.h>

#include "stack.h"

static void write_header(uint8_t *p, const struct tg_flow *f, uint32_t seq, uint32_t ack,
	uint8_t flags, uint16_t wnd, uint32_t len)
{
	tg_store_be16(p, f->lport);
	tg_store_be16(p + 2, f->rport);
	tg_store_be32(p + 4, seq);
	tg_store_be32(p + 8, ack);
	p[12] = (uint8_t)(len << 2); /* len / 4 << 4 */
	p[13] = flags;
	tg_store_be16(p + 14, wnd);
	tg_store_be32(p + 16, 0); /* checksum: net's; urgent pointer: never */
}

/* Options of a segment on a synchronized connection, at most `room` bytes of SACK. */
static uint32_t put_options(struct tg_tcp *t, struct tg_tcb *c, uint8_t *out, uint32_t room)
{
	struct tg_tx *x = c->tx;
	struct tg_sack blocks[TG_OPTS_SACK_MAX + 1];
	uint32_t n = 0, cnt = 0;

	if (c->flags & F_TS)
		n = tg_opts_put_ts(out, now_ms(t) + c->ts_off, c->ts_recent);
	if (!x || !(x->n_sacks || x->flags & TXF_DSACK) || !(c->flags & F_SACK))
		return n;
	if (x->flags & TXF_DSACK)
		blocks[cnt++] = x->dsack;
	for (uint32_t i = 0; i < x->n_sacks; i++)
		blocks[cnt++] = x->sacks[i];
	room = u32_min(room, TG_OPTS_MAX - n);
	cnt = u32_min(cnt, TG_OPTS_SACK_MAX);
	if (room < 12)
		return n;
	x->flags &= ~(uint32_t)TXF_DSACK;
	return n + tg_opts_put_sack(out + n, room, blocks, cnt);
}

/* The ACK that is owed rides on what is being sent. */
static void ack_is_sent(struct tg_tcb *c)
{
	c->flags &= ~(F_ACK_NOW | F_ACK_LATER | F_PUSHED);
	if (tg_likely(!(c->flags & F_HELD)))
		c->dl_ack = 0;
	c->rcv_wup = c->rcv_nxt;
	if (c->conn.impl[I_QUICK])
		c->conn.impl[I_QUICK]--;
}

void put_header(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, uint32_t seq, uint8_t flags)
{
	uint8_t opts[TG_OPTS_MAX], *p;
	uint32_t room = rte_pktmbuf_data_len(m) >= c->mss ? 0 : c->mss - rte_pktmbuf_data_len(m);
	uint32_t n = put_options(t, c, opts, room);
	uint16_t wnd = rcv_select_window(t, c);

	if (c->flags & F_ECE && !(flags & TG_TCP_RST))
		flags |= TG_TCP_ECE;
	p = (uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)(20 + n));
	write_header(p, &c->flow, seq, c->rcv_nxt, flags | TG_TCP_ACK, wnd, 20 + n);
	memcpy(p + 20, opts, n);
	ack_is_sent(c);
}

int give(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, uint8_t tos)
{
	t->stats->tcp_tx_segments++;
	if (tg_unlikely(c->conn.faulty))
		return fault_output(t, c, m, tos);
	return tg_net_output(t->conf.net, m, &c->flow, tos, &c->dst);
}

static struct rte_mbuf *fresh(struct tg_tcp *t)
{
	struct rte_mbuf *m = tg_net_alloc(t->conf.mbufs);

	if (tg_unlikely(!m))
		t->stats->why[TG_WHY_tx_no_mbuf]++;
	return m;
}

void send_ack_at(struct tg_tcp *t, struct tg_tcb *c, uint32_t seq)
{
	struct rte_mbuf *m = fresh(t);

	if (tg_unlikely(!m)) {
		/* Owed still: the timer tries again. */
		c->flags |= F_ACK_LATER;
		c->flags &= ~F_ACK_NOW;
		arm_ack(t, c, STARVED_US);
		return;
	}
	put_header(t, c, m, seq, TG_TCP_ACK);
	give(t, c, m, 0);
}

/* SND.NXT, but not beyond the peer's window: it would not look at the ACK (Linux:
 * tcp_acceptable_seq). */
static uint32_t acceptable_seq(const struct tg_tcb *c)
{
	uint32_t end = tcb_peer_window_end(c);

	return seq_lt(end, c->snd_nxt) ? seq_max(end, c->snd_una) : c->snd_nxt;
}

void send_ack(struct tg_tcp *t, struct tg_tcb *c)
{
	send_ack_at(t, c, acceptable_seq(c));
}

void send_reset(struct tg_tcp *t, struct tg_tcb *c)
{
	struct rte_mbuf *m = fresh(t);

	if (!m)
		return;
	put_header(t, c, m, acceptable_seq(c), TG_TCP_RST);
	t->stats->tcp_resets_sent++;
	give(t, c, m, 0);
}

void send_bare(struct tg_tcp *t, const struct tg_bare *b, struct tg_dst *dst)
{
	struct rte_mbuf *m = fresh(t);
	uint32_t len = 20u + b->n_opts;
	uint8_t *p;

	if (!m)
		return;
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
	write_header(p, &b->flow, b->seq, b->ack, b->flags, b->wnd, len);
	memcpy(p + 20, b->opts, b->n_opts);
	t->stats->tcp_tx_segments++;
	tg_net_output(t->conf.net, m, &b->flow, 0, dst);
}

void reset_reply(struct tg_tcp *t, const struct tg_seg *s)
{
	struct tg_bare b = {.flow = s->flow};
	struct tg_dst dst = {0};

	if (s->flags & TG_TCP_RST || !tg_admit_stranger(&t->admit))
		return;
	if (s->flags & TG_TCP_ACK) {
		b.seq = s->ack;
		b.flags = TG_TCP_RST;
	} else {
		b.ack = s->seq + s->payload_len + !!(s->flags & TG_TCP_SYN) +
			!!(s->flags & TG_TCP_FIN);
		b.flags = TG_TCP_RST | TG_TCP_ACK;
	}
	t->stats->tcp_resets_sent++;
	send_bare(t, &b, &dst);
}

/* SYN or SYN-ACK of an active open: RFC 7323 section 2.2: the window is never scaled here. */
void send_syn(struct tg_tcp *t, struct tg_tcb *c, bool ack)
{
	struct tg_opts o = {.has = TG_OPT_MSS, .mss = own_mss(t, &c->flow.remote)};
	struct tg_bare b = {.flow = c->flow, .seq = c->snd_una, .flags = TG_TCP_SYN};

	if (c->flags & F_SACK)
		o.has |= TG_OPT_SACK_OK;
	if (c->flags & F_WSCALE) {
		o.has |= TG_OPT_WSCALE;
		o.wscale = c->rcv_scale;
	}
	if (c->flags & F_TS) {
		o.has |= TG_OPT_TS;
		o.tsval = now_ms(t) + c->ts_off;
		o.tsecr = ack ? c->ts_recent : 0;
	}
	b.wnd = (uint16_t)u32_min(c->rcv_adv - c->rcv_nxt, UINT16_MAX);
	if (ack) {
		b.flags |= TG_TCP_ACK;
		b.ack = c->rcv_nxt;
	}
	b.n_opts = (uint8_t)tg_opts_build_syn(b.opts, &o);
	send_bare(t, &b, &c->dst);
}
