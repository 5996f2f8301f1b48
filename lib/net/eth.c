#include <string.h>

#include "internal.h"

#define ETH_LEN 14
#define TAG_LEN 4
#define TYPE_QINQ 0x88a8

/* The VLAN of a frame (0: none or a priority tag) and its type; moves *off past the tag. False: two
 * tags. */
static bool eth_tag(
	const struct rte_mbuf *m, const uint8_t *d, uint32_t *off, uint16_t *vid, uint16_t *type)
{
	bool stripped = m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED;

	*off = ETH_LEN;
	*vid = stripped ? m->vlan_tci & 0xfff : 0;
	*type = tg_load_be16(d + 12);
	if (*type == RTE_ETHER_TYPE_VLAN) {
		if (stripped || m->data_len < ETH_LEN + TAG_LEN)
			return false;
		*vid = tg_load_be16(d + 14) & 0xfff;
		*type = tg_load_be16(d + 16);
		*off += TAG_LEN;
	}
	return *type != RTE_ETHER_TYPE_VLAN && *type != TYPE_QINQ &&
	       !(m->ol_flags & RTE_MBUF_F_RX_QINQ_STRIPPED);
}

enum tg_why tg_eth_input(struct tg_net *n, struct tg_rx *p)
{
	const struct tg_netif *i = &n->ifs[p->ifidx];
	uint16_t vid, type;
	const uint8_t *d;
	enum tg_why why;
	uint32_t off;

	if (tg_unlikely(!rte_pktmbuf_is_contiguous(p->m))) {
		why = tg_rx_linearise(n, p);
		if (why)
			return why;
	}
	if (tg_unlikely(p->m->data_len < ETH_LEN))
		return TG_WHY_eth_short;
	d = rte_pktmbuf_mtod(p->m, const uint8_t *);
	if (tg_unlikely(!eth_tag(p->m, d, &off, &vid, &type)) || vid != i->c.vlan)
		return TG_WHY_eth_vlan;
	if (d[0] & 1)
		p->l2_multi = true;
	else if (tg_unlikely(memcmp(d, i->c.mac, 6) != 0))
		return TG_WHY_eth_other_host;
	memcpy(p->eth_src, d + 6, 6);
	p->nic_hash = i->c.rx_rss_hash && p->m->ol_flags & RTE_MBUF_F_RX_RSS_HASH;
	rte_pktmbuf_adj(p->m, (uint16_t)off);
	switch (type) {
	case RTE_ETHER_TYPE_IPV4:
		return tg_ip4_input(n, p);
	case RTE_ETHER_TYPE_IPV6:
		return tg_ip6_input(n, p);
	case RTE_ETHER_TYPE_ARP:
		return tg_arp_input(n, p);
	default:
		return TG_WHY_eth_type;
	}
}

bool tg_eth_push(const struct tg_netif *i, struct rte_mbuf *m, const uint8_t dst[6], uint16_t type)
{
	uint8_t *h = (uint8_t *)rte_pktmbuf_prepend(m, i->l2_len);

	if (!h)
		return false;
	memcpy(h, dst, 6);
	memcpy(h + 6, i->c.mac, 6);
	if (i->c.vlan) {
		tg_store_be16(h + 12, RTE_ETHER_TYPE_VLAN);
		tg_store_be16(h + 14, i->c.vlan);
	}
	tg_store_be16(h + i->l2_len - 2, type);
	return true;
}

/* RFC 2464 section 7. */
void tg_eth_group6(const uint8_t ip[16], uint8_t mac[6])
{
	const uint8_t m[6] = {0x33, 0x33, ip[12], ip[13], ip[14], ip[15]};

	memcpy(mac, m, 6);
}
