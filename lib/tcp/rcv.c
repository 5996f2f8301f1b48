/* rcv.c: the receive side: the queue of in-order bytes, the window, and when to acknowledge.
 *
 * Payload stays in the packet buffers that it came in. A small segment would pin a whole buffer, so
 * it is copied to the tail's free room where it fits: two neighbours in the queue always hold more
 * bytes together than one buffer, and the queue never takes more than about 2.3 times its bytes.
 */
#include "stack.h"

static uint8_t *payload(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, uint8_t *);
}

void rcv_append(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m)
{
	uint16_t len = rte_pktmbuf_data_len(m);
	struct rte_mbuf *tail = c->rx_tail;

	c->rx_bytes += len;
	if (tail) {
		if (len <= rte_pktmbuf_tailroom(tail) && rte_mbuf_refcnt_read(tail) == 1 &&
			RTE_MBUF_DIRECT(tail)) {
			memcpy(payload(tail) + rte_pktmbuf_data_len(tail), payload(m), len);
			tail->data_len = (uint16_t)(tail->data_len + len);
			tail->pkt_len = tail->data_len;
			rte_pktmbuf_free(m);
			return;
		}
		mark_of(t, tail)->next = m;
	} else {
		c->rx_head = m;
	}
	mark_of(t, m)->next = NULL;
	c->rx_tail = m;
}

void rcv_free(struct tg_tcp *t, struct tg_tcb *c)
{
	struct rte_mbuf *next;

	for (struct rte_mbuf *m = c->rx_head; m; m = next) {
		next = mark_of(t, m)->next;
		rte_pktmbuf_free(m);
	}
	c->rx_head = c->rx_tail = NULL;
	c->rx_bytes = 0;
}

/* While buffers are getting few a queue may hold a part of what is left of them, but for one whose
 * user waits for the rest of something (a TLS record, a head) and can take nothing before that: it
 * would stand still for good. Once they are few it does, and may be ended for that. */
static bool is_held_back(const struct tg_tcp *t, const struct tg_tcb *c)
{
	return tg_unlikely(t->share != UINT32_MAX) && (t->pressure || !c->conn.rx_short);
}

/* The window that the buffer allows, before the rules that keep it steady. */
static uint32_t window_wanted(struct tg_tcp *t, struct tg_tcb *c)
{
	uint32_t free = c->rcv_buf > c->rx_bytes ? c->rcv_buf - c->rx_bytes : 0;

	/* RFC 9293 section 3.8.6.2.2: rather nothing than a silly little. */
	if (free < c->rcv_buf / 16 || free < u32_min(c->rcv_mss, c->rcv_buf / 2))
		free = 0;
	if (is_held_back(t, c)) {
		uint32_t share = share_of(t, c->rcv_mss);

		free = u32_min(free, c->rx_bytes < share ? share - c->rx_bytes : 0);
	}
	return u32_min(free, UINT32_C(65535) << c->rcv_scale);
}

/* Windows were promised while buffers were plenty. Once they are scarce, who has enough to read
 * already gets no more, and the peer will send it again; the device's share is not for them at all.
 */
static bool has_enough(const struct tg_tcp *t, const struct tg_tcb *c)
{
	if (tg_likely(t->share > SHARE_STRICT) || !is_held_back(t, c))
		return false;
	return c->rx_bytes >= (t->pressure > 1 ? 1 : share_of(t, c->rcv_mss));
}

/* RFC 9293 section 3.8.6.2.2: the right edge moves by a segment or half the buffer, or not. */
static bool window_may_grow(const struct tg_tcb *c, uint32_t offered, uint32_t wanted)
{
	return wanted > offered && wanted - offered >= u32_min(c->rcv_buf / 2, c->rcv_mss);
}

uint16_t rcv_select_window(struct tg_tcp *t, struct tg_tcb *c)
{
	uint32_t offered = rcv_window(c), wanted = window_wanted(t, c), unit = 1u << c->rcv_scale;
	uint32_t field, free = c->rcv_buf > c->rx_bytes ? c->rcv_buf - c->rx_bytes : 0;

	if (window_may_grow(c, offered, wanted))
		field = wanted >> c->rcv_scale;
	else /* rounded up: a window once offered is not taken back */
		field = (offered + unit - 1) >> c->rcv_scale;
	/* Rounding up at every small segment would move the right edge without end. Where the
	 * buffer ends the field is rounded down; what was offered is still taken (RFC 7323 section
	 * 2.4). */
	if (field << c->rcv_scale > free && field << c->rcv_scale > offered)
		field = offered >> c->rcv_scale;
	field = u32_min(field, UINT16_MAX);
	c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt + (field << c->rcv_scale));
	/* What was offered before is still taken. */
	if (tg_unlikely(c->conn.faulty) && fault_window_closed(t, c))
		return 0;
	return (uint16_t)field;
}

void rcv_ack_policy(struct tg_tcp *t, struct tg_tcb *c, uint32_t len, bool psh)
{
	uint32_t now = now_tick(t);

	/* Who sends on has got the ACKs before: a stream that only comes in needs no probes
	 * (RFC 4861 section 7.3.1). */
	tg_net_confirm(t->conf.net, &c->flow.remote, &c->dst);
	/* The estimate of a full segment (Linux: tcp_measure_rcv_mss). */
	if (len >= c->rcv_mss)
		c->rcv_mss = (uint16_t)len;
	else
		psh = true;
	/* What the peer pushed may be all that its window or its user has for now. */
	if (psh)
		c->flags |= F_PUSHED;
	/* At the start, and after a pause that made the peer start slowly again, every segment is
	 * acknowledged, so that its window grows (RFC 5681 section 4.1). */
	if (!(c->flags & F_HAD_DATA) || now - c->last_rcv > us_to_ticks(rto_us(c))) {
		c->flags |= F_HAD_DATA;
		c->conn.impl[I_QUICK] = QUICK_ACKS;
	}
	c->last_rcv = now;
	if (c->rcv_nxt - c->rcv_wup > c->rcv_mss ||
		(c->conn.impl[I_QUICK] && !(c->flags & F_PINGPONG))) {
		c->flags |= F_ACK_NOW;
		snd_wake(t, c);
	} else if (!(c->flags & (F_ACK_NOW | F_ACK_LATER))) {
		c->flags |= F_ACK_LATER;
		arm_ack(t, c, DELACK_US);
	}
}

/* Wholly or partly old: says so by D-SACK (RFC 2883), at once. */
static void duplicate(struct tg_tcp *t, struct tg_tcb *c, uint32_t start, uint32_t end)
{
	ooo_dsack(t, c, start, end);
	c->conn.impl[I_QUICK] = QUICK_ACKS;
	c->flags &= ~F_PINGPONG;
	c->flags |= F_ACK_NOW;
	snd_wake(t, c);
}

/* Cuts m down to the payload bytes [cut, cut + len). */
static void trim(struct tg_seg *s, uint32_t cut, uint32_t len)
{
	struct rte_mbuf *m = s->m;

	m->data_off = (uint16_t)(m->data_off + s->hdr_len + cut);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
}

static enum tg_why in_order(
	struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, uint32_t len, bool fin, bool psh)
{
	bool gap = c->tx && c->tx->ooo_head;

	if (len) {
		c->conn.rx_more = len >= c->mss && !fin;
		rcv_append(t, c, m);
		c->rcv_nxt += len;
		tcb_raise(t, c, TG_EV_READABLE);
		if (gap)
			fin |= ooo_merge(t, c);
		rcv_ack_policy(t, c, len, psh);
	} else {
		rte_pktmbuf_free(m);
	}
	if (gap) { /* RFC 5681 section 4.2: at once when it fills a gap */
		c->flags |= F_ACK_NOW;
		snd_wake(t, c);
	}
	if (fin)
		take_fin(t, c);
	return TG_WHY_none;
}

/* Where the window ends that is backed by buffer: edges once offered hold, but rounding to the
 * window scale moves them on by bytes, and a peer could live off those. */
static uint32_t buffer_edge(const struct tg_tcb *c)
{
	uint32_t free = c->rcv_buf > c->rx_bytes ? c->rcv_buf - c->rx_bytes : 0;

	return c->rcv_nxt + u32_min(rcv_window(c), free);
}

enum tg_why rcv_data(struct tg_tcp *t, struct tg_tcb *c, struct tg_seg *s)
{
	uint32_t seq = s->seq, len = s->payload_len, cut = 0, room;
	bool fin = s->flags & TG_TCP_FIN;

	/* One ACK for every second full segment, also when several come in one burst. */
	if (c->flags & F_ACK_NOW && len)
		send_ack(t, c);
	if (seq_lt(seq, c->rcv_nxt)) {
		cut = c->rcv_nxt - seq;
		if (cut >= len + fin) {
			duplicate(t, c, seq, seq + len + fin);
			return TG_WHY_tcp_old_data;
		}
		if (cut)
			duplicate(t, c, seq, c->rcv_nxt);
		seq += cut;
		len -= cut;
	}
	room = buffer_edge(c) - seq;
	if ((int32_t)room < 0 || has_enough(t, c))
		room = 0;
	if (len > room) {
		if (!room) {
			c->flags |= F_ACK_NOW;
			snd_wake(t, c);
			return TG_WHY_tcp_rcv_full;
		}
		len = room;
		fin = false;
	}
	trim(s, cut, len);
	if (seq == c->rcv_nxt) {
		struct rte_mbuf *m = s->m;

		s->m = NULL;
		return in_order(t, c, m, len, fin, s->flags & TG_TCP_PSH);
	}
	{
		struct rte_mbuf *m = s->m;

		s->m = NULL;
		return ooo_insert(t, c, m, seq, fin, s->flags & TG_TCP_PSH);
	}
}

uint32_t rcv_peek(struct tg_conn *conn, struct tg_view *v, uint32_t cnt)
{
	struct tg_tcp *t = stack_of(conn);
	const struct rte_mbuf *m = tcb_of(conn)->rx_head;
	uint32_t n = 0;

	for (; m && n < cnt; m = mark_of(t, m)->next)
		v[n++] = tg_view_of(rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m));
	return n;
}

/* Reading opened the window: tell the peer when it helps (Linux: tcp_cleanup_rbuf), that is, when
 * the window has at least doubled. */
static void after_consume(struct tg_tcp *t, struct tg_tcb *c)
{
	uint32_t offered = rcv_window(c);

	if (!tcb_receiving(c))
		return;
	if (c->flags & F_ACK_LATER && c->flags & F_PUSHED && !c->rx_bytes &&
		!(c->flags & F_PINGPONG))
		c->flags |= F_ACK_NOW;
	if (2 * (uint64_t)offered <= c->rcv_buf) {
		uint32_t wanted = window_wanted(t, c);

		/* An ACK that says the same again would count as a duplicate. */
		if (wanted >= 2 * (uint64_t)offered && window_may_grow(c, offered, wanted))
			c->flags |= F_ACK_NOW;
	}
	if (c->flags & F_ACK_NOW)
		snd_wake(t, c);
}

/* The user cannot answer before more comes, so there is nothing that the ACK could travel with; and
 * a peer that holds its next piece back until then (Nagle) would wait for the whole delay. */
static void wants_more(struct tg_tcp *t, struct tg_tcb *c)
{
	c->conn.rx_short = 1;
	if (c->flags & F_ACK_LATER && c->flags & F_PUSHED && tcb_receiving(c)) {
		c->flags |= F_ACK_NOW;
		snd_wake(t, c);
	}
	if (tg_unlikely(t->share != UINT32_MAX))
		after_consume(t, c);
}

void rcv_consume(struct tg_conn *conn, uint32_t n)
{
	struct tg_tcp *t = stack_of(conn);
	struct tg_tcb *c = tcb_of(conn);

	if (n == 0) {
		wants_more(t, c);
		return;
	}
	c->conn.rx_short = 0;
	n = u32_min(n, c->rx_bytes);
	c->rx_bytes -= n;
	while (n) {
		struct rte_mbuf *m = c->rx_head;
		uint16_t len = rte_pktmbuf_data_len(m);

		if (n < len) {
			m->data_off = (uint16_t)(m->data_off + n);
			m->data_len = (uint16_t)(len - n);
			m->pkt_len = m->data_len;
			break;
		}
		n -= len;
		c->rx_head = mark_of(t, m)->next;
		rte_pktmbuf_free(m);
	}
	if (!c->rx_head)
		c->rx_tail = NULL;
	after_consume(t, c);
}

void tg_tcp_set_rcv_buf(struct tg_conn *conn, uint32_t bytes)
{
	struct tg_tcb *c = tcb_of(conn);

	/* What was promised stays backed. */
	c->rcv_buf = u32_max(u32_max(bytes, 4096), c->rx_bytes + rcv_window(c));
	ooo_prune(stack_of(conn), c, ooo_limit(c));
	after_consume(stack_of(conn), c);
}
