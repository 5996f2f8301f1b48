#include <netinet/in.h>

#include "csum.h"
#include "internal.h"

/* ICMP answers to what we do not speak: RFC 1122 section 3.2.2.1, RFC 4443 sections 3.1, 3.4. */
#define UNREACH4 3
#define UNREACH4_PROTOCOL 2
#define UNREACH4_PORT 3
#define UNREACH6 1
#define UNREACH6_PORT 4
#define PARAM_PROBLEM6 4
#define PP_NEXT_HEADER 1

static bool tcp_checksum_ok(const struct tg_net *n, const struct tg_rx *p, uint32_t len)
{
	uint64_t flags = p->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	/* Of a datagram made from fragments, the device has seen only parts. */
	if (n->ifs[p->ifidx].c.rx_tcp_csum && !p->reassembled) {
		if (flags == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
			return true;
		if (flags == RTE_MBUF_F_RX_L4_CKSUM_BAD)
			return false;
	}
	return tg_csum_fold(tg_csum_pseudo(&p->src, &p->dst, IPPROTO_TCP, len) +
			    tg_csum_raw(rte_pktmbuf_mtod_offset(p->m, uint8_t *, p->l4_off),
				    len)) == 0xffff;
}

static enum tg_why tcp_input(struct tg_net *n, struct tg_rx *p)
{
	struct tg_seg *s = p->seg;
	struct rte_mbuf *m;
	const uint8_t *h;
	enum tg_why why;
	uint32_t len, doff;

	if (tg_unlikely(p->reassembled)) {
		why = tg_rx_linearise(n, p);
		if (why)
			return why;
		p->nic_hash = false;
	}
	m = p->m;
	len = m->pkt_len - p->l4_off;
	h = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);
	if (tg_unlikely(len < 20))
		return TG_WHY_tcp_bad_header;
	s->flow.local = p->dst;
	s->flow.remote = p->src;
	s->flow.lport = tg_load_be16(h + 2);
	s->flow.rport = tg_load_be16(h);
	if (n->steer && !p->steered) {
		uint32_t owner = p->nic_hash ? tg_steer_owner_of(n->steer, m->hash.rss)
					     : tg_steer_owner(n->steer, &s->flow);

		if (tg_unlikely(owner != n->worker))
			return tg_rx_steer(n, p, owner);
	}
	doff = (h[12] >> 4) * 4u;
	if (tg_unlikely(doff < 20 || doff > len))
		return TG_WHY_tcp_bad_header;
	if (tg_unlikely(!tcp_checksum_ok(n, p, len)))
		return TG_WHY_tcp_bad_checksum;
	s->m = m;
	s->seq = tg_load_be32(h + 4);
	s->ack = tg_load_be32(h + 8);
	s->wnd = tg_load_be16(h + 14);
	s->payload_len = (uint16_t)(len - doff);
	s->hdr_len = (uint8_t)doff;
	s->flags = h[13];
	s->ecn = p->tos & 3;
	s->ifidx = (uint8_t)p->ifidx;
	rte_pktmbuf_adj(m, p->l4_off);
	p->seg = NULL;
	return TG_WHY_none;
}

static enum tg_why refuse_udp(struct tg_net *n, struct tg_rx *p)
{
	if (p->m->pkt_len - p->l4_off < 8)
		return TG_WHY_ip_bad_header;
	if (p->v6)
		return tg_icmp_refuse(n, p, UNREACH6, UNREACH6_PORT, 0, TG_WHY_udp_closed);
	return tg_icmp_refuse(n, p, UNREACH4, UNREACH4_PORT, 0, TG_WHY_udp_closed);
}

enum tg_why tg_l4_input(struct tg_net *n, struct tg_rx *p)
{
	switch (p->proto) {
	case IPPROTO_TCP:
		return tcp_input(n, p);
	case IPPROTO_UDP:
		return refuse_udp(n, p);
	case IPPROTO_ICMP:
		if (!p->v6)
			return tg_icmp4_input(n, p);
		break;
	case IPPROTO_ICMPV6:
		if (p->v6)
			return tg_icmp6_input(n, p);
		break;
	case IPPROTO_NONE: /* RFC 8200 section 4.7: nothing follows, nothing is wrong */
		if (p->v6)
			return TG_WHY_ip_protocol;
		break;
	default:
		break;
	}
	if (p->v6)
		return tg_icmp_refuse(
			n, p, PARAM_PROBLEM6, PP_NEXT_HEADER, p->nh_off, TG_WHY_ip_protocol);
	return tg_icmp_refuse(n, p, UNREACH4, UNREACH4_PROTOCOL, 0, TG_WHY_ip_protocol);
}
