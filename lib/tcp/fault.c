/* fault.c: a bad network on purpose: segments of one connection that are lost, doubled or
 * overtaken, and a window that is said to be closed (conn.h: tg_conn_fault).
 *
 * What goes on is in a record apart; a bit of the connection says that there is one, so that all
 * others pay a test of a bit in a line that they have in hand. Records are few and looked for one
 * by one: who has none pays nothing, and who has one is slow on purpose.
 */
#include "stack.h"

static struct tcp_fault *fault_of(struct tg_tcp *t, const struct tg_tcb *c)
{
	uint32_t owner = tcb_index(t, c) + 1;

	for (uint32_t i = 0; i < FAULTS_MAX; i++)
		if (t->faults[i].owner == owner)
			return &t->faults[i];
	return NULL;
}

static struct tcp_fault *fault_new(struct tg_tcp *t, struct tg_tcb *c)
{
	for (uint32_t i = 0; i < FAULTS_MAX; i++) {
		struct tcp_fault *f = &t->faults[i];

		if (f->owner)
			continue;
		*f = (struct tcp_fault){.owner = tcb_index(t, c) + 1};
		c->conn.faulty = true;
		return f;
	}
	return NULL;
}

void fault_end(struct tg_tcp *t, struct tg_tcb *c)
{
	struct tcp_fault *f = fault_of(t, c);

	c->conn.faulty = false;
	if (!f)
		return;
	rte_pktmbuf_free(f->held); /* NULL: none */
	f->held = NULL;
	f->owner = 0;
}

int tcp_conn_fault(struct tg_conn *conn, const struct tg_conn_fault *in)
{
	struct tg_tcp *t = stack_of(conn);
	struct tg_tcb *c = tcb_of(conn);
	struct tcp_fault *f = conn->faulty ? fault_of(t, c) : NULL;

	if (in->truncate)
		snd_finish(conn);
	if (!in->loss && !in->duplicate && !in->reorder && !in->zero_window) {
		if (conn->faulty)
			fault_end(t, c);
		return 0;
	}
	if (!f)
		f = tcb_state(c) > S_CLOSED ? fault_new(t, c) : NULL;
	if (!f)
		return TG_ENOMEM;
	f->loss = in->loss;
	f->duplicate = in->duplicate;
	f->reorder = in->reorder;
	f->zero_until = in->zero_window ? t->wheel->now + in->zero_window : 0;
	if (f->zero_until && tcb_synchronized(c)) {
		c->flags |= F_ACK_NOW; /* the peer is told at once */
		snd_wake(t, c);
	}
	return 0;
}

static bool chance(struct tg_tcp *t, uint32_t millionths)
{
	return millionths && tg_rng_below(&t->rng, 1000000) < millionths;
}

static struct rte_mbuf *copy_of(const struct tg_tcp *t, struct rte_mbuf *m)
{
	return rte_pktmbuf_copy(m, t->conf.mbufs, 0, UINT32_MAX);
}

int fault_output(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, uint8_t tos)
{
	struct tcp_fault *f = fault_of(t, c);
	struct rte_mbuf *twin = NULL, *overtaken = f->held;
	int rc;

	if (chance(t, f->loss)) {
		t->stats->why[TG_WHY_tx_fault]++;
		rte_pktmbuf_free(m);
		return 0;
	}
	/* A copy waits for the next one: the buffer itself may be in the transmit queue, and get
	 * another header meanwhile. */
	if (!overtaken && chance(t, f->reorder)) {
		f->held = copy_of(t, m);
		f->held_tos = tos;
		if (f->held) {
			rte_pktmbuf_free(m);
			return 0;
		}
	}
	if (chance(t, f->duplicate))
		twin = copy_of(t, m);
	rc = tg_net_output(t->conf.net, m, &c->flow, tos, &c->dst);
	if (twin)
		tg_net_output(t->conf.net, twin, &c->flow, tos, &c->dst);
	f->held = NULL;
	if (overtaken)
		tg_net_output(t->conf.net, overtaken, &c->flow, f->held_tos, &c->dst);
	return rc;
}

bool fault_window_closed(struct tg_tcp *t, const struct tg_tcb *c)
{
	return t->wheel->now < fault_of(t, c)->zero_until;
}
