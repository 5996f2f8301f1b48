/* ooo.c: data that came before what they follow: kept by sequence number, and told by SACK.
 *
 *   rcv_nxt        [ seg ][ seg ]        [ seg ]            rcv_adv
 *      |----hole------|----range---|hole---|range|---------------|
 *
 * Bounds of a connection: the window in bytes, ooo_limit() in packet buffers. Beyond, what lies
 * furthest goes first: it is the last to be of use. Of all connections together: an eighth of the
 * buffers. Beyond, the queue that has been without progress for longest goes: a hole that nobody
 * fills must not pin buffers for ever. Either takes back a SACK, which RFC 2018 section 8 allows.
 * Small neighbours share a buffer, so that only holes cost one.
 */
#include "stack.h"

uint32_t ooo_limit(const struct tg_tcb *c)
{
	return c->rcv_buf / 1024 + 16;
}

static uint32_t end_of(const struct tg_mark *k)
{
	return k->seq + k->len;
}

/* RFC 2018 section 4: the block with the newest segment first, then those told most recently. */
static void sack_note(struct tg_tx *x, uint32_t start, uint32_t end)
{
	struct tg_sack s = {start, end};
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->n_sacks; i++) {
		struct tg_sack b = x->sacks[i];

		if (seq_le(b.start, s.end) && seq_le(s.start, b.end)) {
			s.start = seq_lt(b.start, s.start) ? b.start : s.start;
			s.end = seq_max(s.end, b.end);
		} else {
			x->sacks[n++] = b;
		}
	}
	n = u32_min(n, TG_OPTS_SACK_MAX - 1);
	memmove(&x->sacks[1], &x->sacks[0], n * sizeof(s));
	x->sacks[0] = s;
	x->n_sacks = (uint8_t)(n + 1);
}

/* After RCV.NXT moved or segments were given up: only what is still there. */
static void sack_refresh(const struct tg_tcp *t, struct tg_tx *x, uint32_t rcv_nxt)
{
	uint32_t n = 0, last;

	if (!x->ooo_head) {
		x->n_sacks = 0;
		return;
	}
	last = end_of(mark_of(t, x->ooo_tail)) + !!(mark_of(t, x->ooo_tail)->flags & M_FIN);
	for (uint32_t i = 0; i < x->n_sacks; i++) {
		struct tg_sack b = x->sacks[i];

		if (seq_lt(last, b.end))
			b.end = last;
		if (seq_lt(rcv_nxt, b.start) && seq_lt(b.start, b.end))
			x->sacks[n++] = b;
	}
	x->n_sacks = (uint8_t)n;
}

void ooo_dsack(struct tg_tcp *t, struct tg_tcb *c, uint32_t start, uint32_t end)
{
	if (!(c->flags & F_SACK) || !tx_take(t, c))
		return;
	c->tx->dsack = (struct tg_sack){start, end};
	c->tx->flags |= TXF_DSACK;
	c->flags |= F_SLOW;
}

/* --- the line of all such queues --- */

static struct tg_tx *queue_at(const struct tg_tcp *t, uint32_t ref)
{
	return tg_pool_at(&t->txs, ref - 1);
}

static void line_leave(struct tg_tcp *t, struct tg_tx *x)
{
	if (!(x->flags & TXF_OOO_LINE))
		return;
	x->flags &= ~(uint32_t)TXF_OOO_LINE;
	if (x->ooo_prev)
		queue_at(t, x->ooo_prev)->ooo_next = x->ooo_next;
	else
		t->ooo_first = x->ooo_next;
	if (x->ooo_next)
		queue_at(t, x->ooo_next)->ooo_prev = x->ooo_prev;
	else
		t->ooo_last = x->ooo_prev;
}

/* To the end of the line, if it has buffers. */
static void line_last(struct tg_tcp *t, struct tg_tx *x)
{
	uint32_t ref = tg_pool_index(&t->txs, x) + 1;

	line_leave(t, x);
	if (!x->ooo_bufs)
		return;
	x->flags |= TXF_OOO_LINE;
	x->ooo_prev = t->ooo_last;
	x->ooo_next = 0;
	if (t->ooo_last)
		queue_at(t, t->ooo_last)->ooo_next = ref;
	else
		t->ooo_first = ref;
	t->ooo_last = ref;
}

/* One buffer more or less in x's queue. */
static void account(struct tg_tcp *t, struct tg_tx *x, int n)
{
	x->ooo_bufs += (uint32_t)n;
	t->ooo_bufs += (uint32_t)n;
}

static void free_one(struct tg_tcp *t, struct tg_tx *x, struct rte_mbuf *m)
{
	account(t, x, -1);
	x->ooo_bytes -= mark_of(t, m)->len;
	rte_pktmbuf_free(m);
}

/* Gives up the furthest segments until `keep` buffers are left. */
void ooo_prune(struct tg_tcp *t, struct tg_tcb *c, uint32_t keep)
{
	struct tg_tx *x = c->tx;
	struct rte_mbuf **p, *m, *next;

	if (!x || x->ooo_bufs <= keep)
		return;
	x->ooo_tail = NULL;
	for (p = &x->ooo_head; *p && keep; p = &mark_of(t, *p)->next, keep--)
		x->ooo_tail = *p;
	m = *p;
	*p = NULL;
	for (; m; m = next) {
		next = mark_of(t, m)->next;
		free_one(t, x, m);
		t->stats->tcp_ooo_pruned++;
	}
	if (!x->ooo_bufs)
		line_leave(t, x);
	sack_refresh(t, x, c->rcv_nxt);
}

/* Back to the bound of all queues; not c's, whose segment has just come. */
static void prune_others(struct tg_tcp *t, const struct tg_tcb *c)
{
	while (t->ooo_bufs > t->ooo_max) {
		struct tg_tx *x = queue_at(t, t->ooo_first);

		if (x == c->tx)
			x = x->ooo_next ? queue_at(t, x->ooo_next) : NULL;
		if (!x)
			return; /* its own limit holds */
		t->stats->tcp_ooo_pruned += x->ooo_bufs;
		ooo_free(t, x);
		tx_release(t, tcb_at(t, x->owner));
	}
}

void ooo_free(struct tg_tcp *t, struct tg_tx *x)
{
	struct rte_mbuf *next;

	for (struct rte_mbuf *m = x->ooo_head; m; m = next) {
		next = mark_of(t, m)->next;
		free_one(t, x, m);
	}
	x->ooo_head = x->ooo_tail = NULL;
	x->n_sacks = 0;
	line_leave(t, x);
}

/* Takes n bytes off the front of m's data. */
static void cut_front(struct rte_mbuf *m, struct tg_mark *k, uint32_t n)
{
	m->data_off = (uint16_t)(m->data_off + n);
	m->data_len = (uint16_t)(m->data_len - n);
	m->pkt_len = m->data_len;
	k->seq += n;
	k->len = (uint16_t)(k->len - n);
}

static void cut_back(struct rte_mbuf *m, struct tg_mark *k, uint32_t len)
{
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	k->len = (uint16_t)len;
	k->flags &= (uint8_t)~M_FIN;
}

/* The last one that starts at or before seq; NULL: before all. */
static struct rte_mbuf *place_of(const struct tg_tcp *t, const struct tg_tx *x, uint32_t seq)
{
	struct rte_mbuf *prev = NULL;

	if (x->ooo_tail && seq_le(mark_of(t, x->ooo_tail)->seq, seq))
		return x->ooo_tail;
	for (struct rte_mbuf *m = x->ooo_head; m && seq_le(mark_of(t, m)->seq, seq);
		m = mark_of(t, m)->next)
		prev = m;
	return prev;
}

/* What follows and is covered by the new segment goes; what sticks out stays and the new one is
 * cut. */
static void absorb_following(
	struct tg_tcp *t, struct tg_tx *x, struct rte_mbuf *m, struct rte_mbuf **link)
{
	struct tg_mark *k = mark_of(t, m);

	while (*link) {
		struct rte_mbuf *f = *link;
		struct tg_mark *fk = mark_of(t, f);

		if (seq_le(end_of(k), fk->seq))
			return;
		if (seq_lt(end_of(k), end_of(fk))) {
			cut_back(m, k, fk->seq - k->seq);
			return;
		}
		k->flags |= fk->flags & M_FIN && end_of(fk) == end_of(k) ? M_FIN : 0;
		*link = fk->next;
		if (x->ooo_tail == f)
			x->ooo_tail = NULL; /* the caller's m becomes the tail */
		free_one(t, x, f);
	}
}

/* A small segment right behind prev moves into its buffer. */
static bool coalesce(const struct tg_tcp *t, struct rte_mbuf *prev, struct rte_mbuf *m)
{
	struct tg_mark *pk = mark_of(t, prev), *k = mark_of(t, m);

	if (end_of(pk) != k->seq || k->len > rte_pktmbuf_tailroom(prev) || pk->flags & M_FIN ||
		rte_mbuf_refcnt_read(prev) != 1 || !RTE_MBUF_DIRECT(prev))
		return false;
	memcpy(rte_pktmbuf_mtod_offset(prev, uint8_t *, prev->data_len),
		rte_pktmbuf_mtod(m, uint8_t *), k->len);
	prev->data_len = (uint16_t)(prev->data_len + k->len);
	prev->pkt_len = prev->data_len;
	pk->len = (uint16_t)(pk->len + k->len);
	pk->flags |= k->flags & M_FIN;
	return true;
}

static void link_in(struct tg_tcp *t, struct tg_tx *x, struct rte_mbuf *prev, struct rte_mbuf *m)
{
	struct rte_mbuf **link = prev ? &mark_of(t, prev)->next : &x->ooo_head;
	struct tg_mark *k = mark_of(t, m);

	absorb_following(t, x, m, link);
	x->ooo_bytes += k->len;
	if (prev && coalesce(t, prev, m)) {
		if (!x->ooo_tail)
			x->ooo_tail = prev;
		rte_pktmbuf_free(m);
		return;
	}
	k->next = *link;
	*link = m;
	account(t, x, 1);
	if (!k->next)
		x->ooo_tail = m;
}

/* The duplicate ACK that every such segment calls for (RFC 5681 section 4.2), by itself. */
static enum tg_why answered(struct tg_tcp *t, struct tg_tcb *c, enum tg_why why)
{
	c->conn.impl[I_QUICK] = QUICK_ACKS;
	c->flags &= ~F_PINGPONG;
	c->last_rcv = now_tick(t);
	send_ack(t, c);
	tx_release(t, c);
	return why;
}

enum tg_why ooo_insert(
	struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, uint32_t seq, bool fin, bool psh)
{
	struct tg_mark *k = mark_of(t, m);
	struct rte_mbuf *prev;
	struct tg_tx *x;
	uint32_t end, limit = t->pressure > 1 ? 8 : u32_min(ooo_limit(c), t->ooo_max + 1);

	(void)psh;
	*k = (struct tg_mark){.seq = seq, .len = rte_pktmbuf_data_len(m), .flags = fin ? M_FIN : 0};
	if (!tx_take(t, c)) {
		rte_pktmbuf_free(m);
		return answered(t, c, TG_WHY_tcp_ooo_full);
	}
	x = c->tx;
	prev = place_of(t, x, seq);
	if (prev && seq_lt(seq, end_of(mark_of(t, prev)))) {
		uint32_t prev_end = end_of(mark_of(t, prev));

		if (seq_le(end_of(k), prev_end)) {
			ooo_dsack(t, c, seq, end_of(k));
			rte_pktmbuf_free(m);
			return answered(t, c, TG_WHY_tcp_old_data);
		}
		ooo_dsack(t, c, seq, prev_end);
		cut_front(m, k, prev_end - seq);
	}
	if (!k->len && !fin) {
		rte_pktmbuf_free(m);
		return answered(t, c, TG_WHY_tcp_old_data);
	}
	if (x->ooo_bufs >= limit && (!prev || prev == x->ooo_tail) && x->ooo_head &&
		seq_lt(mark_of(t, x->ooo_tail)->seq, k->seq)) {
		rte_pktmbuf_free(m);
		return answered(t, c, TG_WHY_tcp_ooo_full);
	}
	end = end_of(k) + fin; /* the FIN has a number too */
	seq = k->seq;
	link_in(t, x, prev, m);
	if (!(x->flags & TXF_OOO_LINE))
		line_last(t, x);
	sack_note(x, seq, end);
	ooo_prune(t, c, limit);
	prune_others(t, c);
	c->flags |= F_SLOW;
	t->stats->tcp_ooo_segments++;
	return answered(t, c, TG_WHY_none);
}

bool ooo_merge(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tg_tx *x = c->tx;
	bool fin = false;

	while (x->ooo_head && !fin) {
		struct rte_mbuf *m = x->ooo_head;
		struct tg_mark *k = mark_of(t, m);

		if (seq_lt(c->rcv_nxt, k->seq))
			break;
		x->ooo_head = k->next;
		if (!x->ooo_head)
			x->ooo_tail = NULL;
		account(t, x, -1);
		x->ooo_bytes -= k->len;
		/* A FIN counts also when its bytes have come by another way. */
		fin = k->flags & M_FIN && seq_le(c->rcv_nxt, end_of(k));
		if (seq_le(end_of(k), c->rcv_nxt)) {
			rte_pktmbuf_free(m);
			continue;
		}
		cut_front(m, k, c->rcv_nxt - k->seq);
		c->rcv_nxt += k->len;
		rcv_append(t, c, m);
	}
	if (fin)
		ooo_free(t, x); /* nothing comes behind a FIN */
	line_last(t, x);        /* progress */
	sack_refresh(t, x, c->rcv_nxt);
	return fin;
}
