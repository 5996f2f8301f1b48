#include <rte_prefetch.h>
#include <rte_ring.h>

#include "internal.h"

/*
 * What a packet buffer in a steering ring says about itself: mbuf->hash.usr, DPDK's own field for
 * a user's tag. The RSS hash that shares the place was used up by the decision to steer.
 */
#define TAG_IFIDX 0xffu
#define TAG_MIRROR_ARP 0x100u /* a copy of an ARP packet; data at the ARP header */
#define TAG_MIRROR_ND 0x200u  /* a copy of an ND packet; data at the IPv6 header */

enum tg_why tg_rx_steer(struct tg_net *n, struct tg_rx *p, uint32_t owner)
{
	struct rte_mbuf *m = p->m;

	m->hash.usr = p->ifidx;
	if (rte_ring_mp_enqueue(n->rings[owner], m) != 0)
		return TG_WHY_steer_full;
	n->stats->rx_steered_out++;
	n->stats->rx_in_flight++; /* the owner's gauge takes it off: the sum over workers is right
				   */
	p->m = NULL;
	return TG_WHY_none;
}

/* Neighbour packets reach one worker's queue, but every worker has a neighbour table. The copy is
 * no received packet of its own: it is outside the ledger. */
void tg_rx_mirror(struct tg_net *n, const struct tg_rx *p, uint16_t ethertype)
{
	if (!n->steer || p->mirrored)
		return;
	for (uint32_t w = 0; w < n->steer->n_workers; w++) {
		struct rte_mbuf *copy;

		if (w == n->worker)
			continue;
		copy = rte_pktmbuf_copy(p->m, n->mbufs, 0, UINT32_MAX);
		if (!copy) {
			n->stats->rx_mirror_lost++;
			continue;
		}
		copy->hash.usr = p->ifidx |
				 (ethertype == RTE_ETHER_TYPE_ARP ? TAG_MIRROR_ARP : TAG_MIRROR_ND);
		if (rte_ring_mp_enqueue(n->rings[w], copy) != 0) {
			n->stats->rx_mirror_lost++;
			rte_pktmbuf_free(copy);
			continue;
		}
		n->stats->rx_mirrored++;
	}
}

enum tg_why tg_rx_linearise(struct tg_net *n, struct tg_rx *p)
{
	struct rte_mbuf *m = p->m, *one;

	if (rte_pktmbuf_is_contiguous(m))
		return TG_WHY_none;
	if (m->pkt_len - m->data_len <= rte_pktmbuf_tailroom(m) && RTE_MBUF_DIRECT(m) &&
		rte_mbuf_refcnt_read(m) == 1) {
		rte_pktmbuf_linearize(m); /* cannot fail with this tailroom */
		return TG_WHY_none;
	}
	if (m->pkt_len > n->data_room)
		return TG_WHY_rx_too_long;
	one = rte_pktmbuf_copy(m, n->mbufs, 0, UINT32_MAX);
	if (!one)
		return TG_WHY_no_mbuf;
	rte_pktmbuf_free(m);
	p->m = one;
	return TG_WHY_none;
}

/* The one place where received packets are dropped. */
static void finish(struct tg_net *n, struct tg_rx *p, enum tg_why why)
{
	if (tg_likely(why == TG_WHY_none))
		return;
	if (!p->mirrored)
		n->stats->why[why]++;
	rte_pktmbuf_free(p->m);
}

uint32_t tg_net_input(struct tg_net *n, uint16_t ifidx, struct rte_mbuf **pkts, uint32_t cnt,
	struct tg_seg out[static TG_NET_BURST])
{
	uint32_t n_out = 0;
	uint64_t bytes = 0;

	/* A pass of its own: the headers travel to the cache while the first packets are handled.
	 */
	for (uint32_t i = 0; i < cnt; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
	n->stats->rx_packets += cnt;
	for (uint32_t i = 0; i < cnt; i++) {
		struct tg_rx p = {.m = pkts[i], .seg = &out[n_out], .ifidx = ifidx};

		bytes += pkts[i]->pkt_len;
		finish(n, &p, tg_eth_input(n, &p));
		n_out += !p.seg;
	}
	n->stats->rx_bytes += bytes;
	return n_out;
}

static enum tg_why input_steered_one(struct tg_net *n, struct tg_rx *p)
{
	uint32_t tag = p->m->hash.usr;

	p->ifidx = tag & TAG_IFIDX;
	if (tag & TAG_MIRROR_ARP) {
		p->mirrored = true;
		return tg_arp_input(n, p);
	}
	if (tag & TAG_MIRROR_ND) {
		p->mirrored = true;
		return tg_ip6_input(n, p);
	}
	n->stats->rx_steered_in++;
	n->stats->rx_in_flight--;
	p->steered = true;
	/* Ethernet and IP were checked by the worker that received it; the second look at the
	 * headers costs little and keeps one way in. */
	if ((*rte_pktmbuf_mtod(p->m, uint8_t *) >> 4) == 4)
		return tg_ip4_input(n, p);
	return tg_ip6_input(n, p);
}

uint32_t tg_net_input_steered(struct tg_net *n, struct tg_seg out[static TG_NET_BURST])
{
	struct rte_mbuf *pkts[TG_NET_BURST];
	uint32_t n_out = 0, cnt;

	if (!n->steer)
		return 0;
	cnt = rte_ring_dequeue_burst(n->rings[n->worker], (void **)pkts, TG_NET_BURST, NULL);
	for (uint32_t i = 0; i < cnt; i++)
		rte_prefetch0(pkts[i]);
	for (uint32_t i = 0; i < cnt; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
	for (uint32_t i = 0; i < cnt; i++) {
		struct tg_rx p = {.m = pkts[i], .seg = &out[n_out]};

		finish(n, &p, input_steered_one(n, &p));
		n_out += !p.seg;
	}
	return n_out;
}
