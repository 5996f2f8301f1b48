/* validate.c: what holds between any two calls into the stack. Tests and simulations call it. */
#include "stack.h"

static bool rx_ok(const struct tg_tcp *t, const struct tg_tcb *c)
{
	uint32_t bytes = 0, bufs = 0;
	const struct rte_mbuf *m = c->rx_head, *last = NULL;

	for (; m; last = m, m = mark_of(t, m)->next) {
		if (!rte_pktmbuf_data_len(m) || m->next)
			return false;
		bytes += rte_pktmbuf_data_len(m);
		bufs++;
	}
	/* rcv_append(): two neighbours hold more than one buffer's room, less what headers took of
	 * it; the first may be half read. */
	return bytes == c->rx_bytes && last == c->rx_tail && bufs <= 2 * bytes / (t->room / 2) + 3;
}

/* The scoreboard's counts are what its segments say. */
static bool tx_ok(const struct tg_tcp *t, const struct tg_tcb *c)
{
	const struct tg_tx *x = c->tx;
	uint32_t seq = c->snd_una, sacked = 0, lost = 0, retrans = 0, bufs = 0, segs = 0;
	const struct rte_mbuf *last = NULL;
	bool sent = true;

	for (const struct rte_mbuf *m = x->head; m; last = m, m = mark_of(t, m)->next) {
		const struct tg_mark *k = mark_of(t, m);

		if (m == x->unsent) {
			if (seq != c->snd_nxt)
				return false;
			sent = false;
		}
		if (k->seq != seq || !mark_len(k) || (!sent && k->flags & (M_SACKED | M_LOST)))
			return false;
		seq += mark_len(k);
		sacked += k->flags & M_SACKED ? mark_len(k) : 0;
		segs += !!(k->flags & M_SACKED);
		lost += k->flags & M_LOST ? mark_len(k) : 0;
		retrans += k->flags & M_RETRANS ? mark_len(k) : 0;
		bufs++;
	}
	return seq == c->snd_end && last == x->tail && (!sent || c->snd_nxt == c->snd_end) &&
	       sacked == x->sacked && lost == x->lost && retrans == x->retrans && bufs == x->bufs &&
	       segs == x->sacked_segs && x->cc.cwnd >= 1;
}

/* What we say that we have, we have. */
static bool sack_ok(const struct tg_tcp *t, const struct tg_tx *x, const struct tg_sack *b)
{
	uint32_t at = b->start;

	for (const struct rte_mbuf *m = x->ooo_head; m; m = mark_of(t, m)->next) {
		const struct tg_mark *k = mark_of(t, m);

		if (seq_le(k->seq, at) && seq_lt(at, k->seq + mark_len(k)))
			at = k->seq + mark_len(k);
	}
	return seq_le(b->end, at);
}

static bool ooo_ok(const struct tg_tcp *t, const struct tg_tcb *c)
{
	const struct tg_tx *x = c->tx;
	uint32_t at = c->rcv_nxt, bytes = 0, bufs = 0;
	const struct rte_mbuf *last = NULL;

	for (const struct rte_mbuf *m = x->ooo_head; m; last = m, m = mark_of(t, m)->next) {
		const struct tg_mark *k = mark_of(t, m);

		if (!seq_le(at, k->seq) || k->len != rte_pktmbuf_data_len(m))
			return false;
		if (m == x->ooo_head && k->seq == c->rcv_nxt && k->len)
			return false; /* should have been merged */
		at = k->seq + k->len;
		bytes += k->len;
		bufs++;
	}
	for (uint32_t i = 0; i < x->n_sacks; i++)
		if (!sack_ok(t, x, &x->sacks[i]))
			return false;
	if (!x->ooo_bufs != !(x->flags & TXF_OOO_LINE))
		return false;
	return last == x->ooo_tail && bytes == x->ooo_bytes && bufs == x->ooo_bufs &&
	       bufs <= ooo_limit(c) + 1;
}

static bool timer_ok(const struct tg_tcb *c)
{
	bool wanted = c->dl_rexmt || c->dl_ack || c->dl_misc;

	if (wanted && !tg_timer_running(&c->timer) && !(c->flags & F_IN_LINE))
		return false;
	/* Nothing in flight may be without somebody who looks after it. */
	if (tcb_synchronized(c) && c->snd_una != c->snd_nxt && !c->dl_rexmt &&
		!(c->flags & F_ON_OUT))
		return false;
	return true;
}

static bool tcb_ok(const struct tg_tcp *t, const struct tg_tcb *c)
{
	if (!rx_ok(t, c))
		return false;
	if (tcb_state(c) == S_CLOSED)
		return !c->tx && !tg_timer_running(&c->timer);
	if (tg_flow_find(&t->flows, tg_flow_hash(&t->flows, &c->flow), &c->flow) !=
		tg_flow_ref(TG_FLOW_TCB, tcb_index(t, c)))
		return false;
	if (!timer_ok(c) || seq_lt(c->snd_nxt, c->snd_una))
		return false;
	if (tcb_synchronized(c) && seq_lt(c->rcv_adv, c->rcv_nxt))
		return false;
	if (c->tx)
		return tx_ok(t, c) && ooo_ok(t, c);
	return !tcb_synchronized(c) || c->snd_una == c->snd_end;
}

static bool tws_ok(const struct tg_tcp *t)
{
	uint32_t n = 0, prev = 0;

	for (uint32_t ref = t->tw_head; ref; n++) {
		const struct tg_tw *w = tg_pool_at(&t->tws, ref - 1);

		if (w->prev != prev || n > t->tws.count)
			return false;
		prev = ref;
		ref = w->next;
	}
	return prev == t->tw_tail && n == t->tws.in_use && n == t->stats->tcp_time_wait &&
	       (!n || tg_timer_running(&t->tw_timer));
}

/* Each out-of-order queue is in their line, and the buffers add up. */
static bool ooo_line_ok(const struct tg_tcp *t)
{
	uint32_t bufs = 0, prev = 0, n = 0;

	for (uint32_t ref = t->ooo_first; ref; n++) {
		const struct tg_tx *x = tg_pool_at(&t->txs, ref - 1);

		if (x->ooo_prev != prev || n > t->txs.count || !x->ooo_bufs ||
			tcb_at(t, x->owner)->tx != x)
			return false;
		bufs += x->ooo_bufs;
		prev = ref;
		ref = x->ooo_next;
	}
	return prev == t->ooo_last && bufs == t->ooo_bufs;
}

bool tg_tcp_validate(const struct tg_tcp *t)
{
	uint32_t used = 0, in_table = 0, blocks = 0, embs = 0, orphans = 0;

	for (uint32_t i = 0; i < t->tcbs.fresh; i++) {
		const struct tg_tcb *c = tcb_at(t, i);

		if (tcb_state(c) == S_FREE)
			continue;
		if (!tcb_ok(t, c))
			return false;
		used++;
		in_table += tcb_state(c) > S_CLOSED;
		blocks += !!c->tx;
		orphans += !!(c->flags & F_ORPHAN);
	}
	for (uint32_t i = 0; i < t->embs.fresh; i++)
		embs += ((const struct tg_emb *)tg_pool_at(&t->embs, i))->used;
	return line_ok(t) && ooo_line_ok(t) && used == t->tcbs.in_use && blocks == t->txs.in_use &&
	       embs == t->embs.in_use && in_table == t->stats->tcp_connections &&
	       embs == t->stats->tcp_embryonic && orphans == t->orphans &&
	       t->flows.count == in_table + embs + t->tws.in_use && tws_ok(t) &&
	       tg_flow_validate(&t->flows) && tg_pool_validate(&t->tcbs) &&
	       tg_pool_validate(&t->txs) && tg_pool_validate(&t->embs) && tg_pool_validate(&t->tws);
}
