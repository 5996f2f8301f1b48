/* pmtu.c: how large a segment may be: MSS options, path MTU (RFC 1191, 8201), black holes (RFC
 * 4821), and ICMP errors (RFC 5461, 5927). */
#include "stack.h"

#define HOLE_MIN 10 /* minutes; RFC 8201 section 4: no sooner than five, ten are recommended */

static uint8_t now_min(const struct tg_tcp *t)
{
	return (uint8_t)(t->wheel->now / (60 * TG_SEC));
}

static uint32_t headers_of(const struct tg_ip *remote)
{
	return tg_ip_is_v4(remote) ? 40 : 60;
}

void mss_update(struct tg_tcp *t, struct tg_tcb *c, uint32_t mtu)
{
	uint32_t headers = headers_of(&c->flow.remote), mss = c->peer_mss;

	if (mtu > headers)
		mss = u32_min(mss, mtu - headers);
	mss = u32_max(mss, MIN_MSS);
	if (c->flags & F_TS)
		mss -= TG_OPTS_TS_LEN; /* RFC 6691 */
	mss = u32_min(mss, t->room);
	if (c->flags & F_BLACK_HOLE && (uint8_t)(now_min(t) - c->conn.impl[I_HOLE_MIN]) < HOLE_MIN)
		mss = u32_min(mss, c->mss);
	else
		c->flags &= ~F_BLACK_HOLE;
	if (mss == c->mss)
		return;
	c->mss = (uint16_t)mss;
	if (c->tx)
		tg_cc_set_mss(&c->tx->cc, mss);
}

/* RFC 4821 in its smallest form: packets of this size vanish and nobody says so. After four
 * timeouts in a row 1024 bytes, then half of it with each. When the smallest vanish too it is no
 * matter of size, and the path's own is tried again. What gets through is kept for ten minutes: to
 * find out anew costs seconds each time. */
void mss_black_hole(struct tg_tcp *t, struct tg_tcb *c)
{
	uint32_t floor = tg_ip_is_v4(&c->flow.remote) ? 552 - 40 - TG_OPTS_TS_LEN
						      : 1280 - 60 - TG_OPTS_TS_LEN;
	uint32_t mss = u32_max(c->mss > 1024 ? 1024 : c->mss / 2u, floor);

	if (mss >= c->mss) {
		if (c->flags & F_BLACK_HOLE) {
			c->flags &= ~F_BLACK_HOLE;
			mss_update(t, c, tg_net_mtu(t->conf.net, &c->flow.remote));
		}
		return;
	}
	c->mss = (uint16_t)mss;
	c->flags |= F_BLACK_HOLE;
	c->conn.impl[I_HOLE_MIN] = now_min(t);
	if (c->tx)
		tg_cc_set_mss(&c->tx->cc, mss);
}

static void too_big(struct tg_tcp *t, struct tg_tcb *c, const struct tg_icmp_error *e)
{
	uint16_t before = c->mss;

	if (tcb_state(c) < S_ESTABLISHED)
		return; /* a SYN is never too big */
	mss_update(t, c, u32_min(e->mtu, tg_net_mtu(t->conf.net, &c->flow.remote)));
	if (c->mss < before)
		recovery_too_big(t, c);
}

bool on_icmp_error(void *stack, const struct tg_icmp_error *e)
{
	struct tg_tcp *t = stack;
	uint32_t ref = tg_flow_find(&t->flows, tg_flow_hash(&t->flows, &e->flow), &e->flow);
	struct tg_tcb *c;

	if (tg_flow_kind(ref) != TG_FLOW_TCB)
		return false; /* handshakes and TIME-WAIT have their own ends */
	c = tcb_at(t, tg_flow_index(ref));
	/* RFC 5927 section 4.1: it must quote something that is in flight. */
	if (seq_lt(e->seq, c->snd_una) || !seq_lt(e->seq, c->snd_nxt))
		return false;
	switch (e->kind) {
	case TG_ICMP_TOO_BIG:
		too_big(t, c, e);
		break;
	case TG_ICMP_HARD:
		/* RFC 5461 section 4.1: hard while it opens, soft when it is open. */
		if (tcb_state(c) == S_SYN_SENT)
			tcb_fail(t, c, TG_WHY_conn_unreachable);
		else
			c->flags |= F_SOFT_ERROR;
		break;
	case TG_ICMP_SOFT:
		c->flags |= F_SOFT_ERROR;
		break;
	}
	return true;
}
