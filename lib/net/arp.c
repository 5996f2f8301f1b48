#include <string.h>

#include "internal.h"

/*
 * RFC 826, 5227. The packet for Ethernet and IPv4, 28 bytes:
 *   0 hardware 1 | 2 protocol 0x0800 | 4 hlen 6 | 5 plen 4 | 6 op | 8 sender MAC | 14 sender IP
 *   | 18 target MAC | 24 target IP
 */
#define ARP_LEN 28
#define OP_REQUEST 1
#define OP_REPLY 2
#define DEFEND_INTERVAL (10 * TG_SEC) /* RFC 5227 section 1.1 */

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t fixed[6] = {0, 1, 8, 0, 6, 4};

static struct tg_ip arp_ip(const uint8_t *p)
{
	uint32_t be;

	memcpy(&be, p, 4);
	return tg_ip_v4(be);
}

static void arp_send(struct tg_net *n, uint16_t ifidx, uint16_t op, const struct tg_ip *sender,
	const uint8_t target_mac[6], const struct tg_ip *target, const uint8_t eth_dst[6])
{
	const struct tg_netif *i = &n->ifs[ifidx];
	struct rte_mbuf *m = tg_tx_alloc(n);
	uint8_t *d;

	if (!m)
		return;
	d = tg_tx_put(m, ARP_LEN);
	memcpy(d, fixed, 6);
	tg_store_be16(d + 6, op);
	memcpy(d + 8, i->c.mac, 6);
	memcpy(d + 14, &sender->b[12], 4);
	memcpy(d + 18, target_mac, 6);
	memcpy(d + 24, &target->b[12], 4);
	tg_eth_push(i, m, eth_dst, RTE_ETHER_TYPE_ARP);
	tg_tx_frame(n, ifidx, m);
}

void tg_arp_solicit(struct tg_net *n, struct tg_neigh *e, bool unicast)
{
	static const uint8_t unknown[6];
	const struct tg_ip *src = tg_route_source(n, e->ifidx, &e->ip);

	if (src)
		arp_send(n, e->ifidx, OP_REQUEST, src, unicast ? e->mac : unknown, &e->ip,
			unicast ? e->mac : broadcast);
}

/* ARP Announcement of RFC 5227 section 2.3: a request for the own address. */
void tg_arp_announce(struct tg_net *n, uint16_t ifidx, const struct tg_ip *a)
{
	static const uint8_t unknown[6];

	arp_send(n, ifidx, OP_REQUEST, a, unknown, a, broadcast);
}

/* Another host sends from our address: say once in ten seconds that it is ours (RFC 5227 2.4 b).
 */
static void defend(struct tg_net *n, struct tg_rx *p, const struct tg_ip *a)
{
	struct tg_netif *i = &n->ifs[p->ifidx];

	if (p->mirrored || n->wheel->now < i->defend4_after)
		return;
	i->defend4_after = n->wheel->now + DEFEND_INTERVAL;
	tg_arp_announce(n, p->ifidx, a);
}

static bool well_formed(const uint8_t *d)
{
	static const uint8_t zero[6];
	uint16_t op = tg_load_be16(d + 6);

	return memcmp(d, fixed, 6) == 0 && (op == OP_REQUEST || op == OP_REPLY) && !(d[8] & 1) &&
	       memcmp(d + 8, zero, 6) != 0;
}

enum tg_why tg_arp_input(struct tg_net *n, struct tg_rx *p)
{
	const uint8_t *d = rte_pktmbuf_mtod(p->m, const uint8_t *);
	struct tg_ip sender, target;
	struct tg_neigh *e;
	bool probe, reply;

	if (p->m->data_len < ARP_LEN || !well_formed(d))
		return TG_WHY_arp_bad;
	sender = arp_ip(d + 14);
	target = arp_ip(d + 24);
	reply = tg_load_be16(d + 6) == OP_REPLY;
	probe = tg_ip_is_any(&sender) && !reply; /* somebody checks whether an address is free */
	if (tg_own_on(n, &sender, p->ifidx)) {
		if (memcmp(d + 8, n->ifs[p->ifidx].c.mac, 6) != 0)
			defend(n, p, &sender);
		return TG_WHY_arp_bad;
	}
	if (memcmp(d + 8, n->ifs[p->ifidx].c.mac, 6) == 0 ||
		(!probe && !tg_on_link(n, p->ifidx, &sender)))
		return TG_WHY_arp_bad;
	tg_rx_mirror(n, p, RTE_ETHER_TYPE_ARP);
	/* Only entries that we made because we send there: nobody can fill the table from outside.
	 */
	e = probe ? NULL : tg_neigh_find(n, p->ifidx, &sender);
	if (e && reply && tg_own_on(n, &target, p->ifidx))
		tg_neigh_advert(
			n, e, d + 8, e->state == TG_NUD_INCOMPLETE || e->state == TG_NUD_PROBE);
	else if (e)
		tg_neigh_heard(n, e, d + 8);
	if (!reply && !p->mirrored && tg_own_on(n, &target, p->ifidx))
		arp_send(n, p->ifidx, OP_REPLY, &target, d + 8, &sender, d + 8);
	if (!p->mirrored)
		n->stats->rx_arp++;
	rte_pktmbuf_free(p->m);
	return TG_WHY_none;
}
