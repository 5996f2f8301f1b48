/* Neighbour discovery for a host with static addresses (RFC 4861): solicitations and
 * advertisements. Router messages and redirects are not used. */
#include <netinet/in.h>
#include <string.h>

#include "csum.h"
#include "internal.h"

#define NS 135
#define NA 136
#define OPT_SOURCE_MAC 1
#define OPT_TARGET_MAC 2
#define ND_LEN 24 /* type, code, checksum, flags, target */
#define FLAG_SOLICITED 0x40000000u
#define FLAG_OVERRIDE 0x20000000u
#define DEFEND_INTERVAL (10 * TG_SEC)

static const struct tg_ip all_nodes = {.b = {0xff, 0x02, [15] = 1}};

/* Sends an NS or NA with one link-layer address option, ours. */
static void nd_send(struct tg_net *n, uint16_t ifidx, uint8_t type, uint32_t flags,
	const struct tg_ip *src, const struct tg_ip *dst, const struct tg_ip *target,
	const uint8_t eth_dst[6])
{
	const uint32_t len = ND_LEN + 8;
	struct rte_mbuf *m = tg_tx_alloc(n);
	uint16_t sum;
	uint8_t *h;

	if (!m)
		return;
	h = tg_tx_put(m, 40 + len);
	tg_ip6_header(h, IPPROTO_ICMPV6, len, src, dst, 255, 0);
	h += 40;
	memset(h, 0, len);
	h[0] = type;
	tg_store_be32(h + 4, flags);
	memcpy(h + 8, target->b, 16);
	h[ND_LEN] = type == NS ? OPT_SOURCE_MAC : OPT_TARGET_MAC;
	h[ND_LEN + 1] = 1;
	memcpy(h + ND_LEN + 2, n->ifs[ifidx].c.mac, 6);
	sum = tg_csum_of(tg_csum_pseudo(src, dst, IPPROTO_ICMPV6, len) + tg_csum_raw(h, len));
	memcpy(h + 2, &sum, 2);
	tg_eth_push(&n->ifs[ifidx], m, eth_dst, RTE_ETHER_TYPE_IPV6);
	tg_tx_frame(n, ifidx, m);
}

void tg_nd_solicit(struct tg_net *n, struct tg_neigh *e, bool unicast)
{
	const struct tg_ip *src = tg_route_source(n, e->ifidx, &e->ip);
	struct tg_ip group = tg_solicited_node(&e->ip);
	uint8_t mac[6];

	if (!src)
		return;
	tg_eth_group6(group.b, mac);
	nd_send(n, e->ifidx, NS, 0, src, unicast ? &e->ip : &group, &e->ip, unicast ? e->mac : mac);
}

void tg_nd_announce(struct tg_net *n, uint16_t ifidx, const struct tg_ip *a)
{
	uint8_t mac[6];

	tg_eth_group6(all_nodes.b, mac);
	nd_send(n, ifidx, NA, FLAG_OVERRIDE, a, &all_nodes, a, mac);
}

/* The options: *mac is the address of kind `want`, if one is there. False: malformed (RFC 4861
 * section 4.6: a length of zero). */
static bool options(const uint8_t *o, uint32_t len, uint8_t want, const uint8_t **mac)
{
	*mac = NULL;
	while (len) {
		uint32_t n;

		if (len < 8)
			return false;
		n = o[1] * 8u;
		if (!n || n > len)
			return false;
		if (o[0] == want)
			*mac = o + 2;
		o += n;
		len -= n;
	}
	return true;
}

static bool mac_ok(const struct tg_net *n, const struct tg_rx *p, const uint8_t *mac)
{
	static const uint8_t zero[6];

	return !(mac[0] & 1) && memcmp(mac, zero, 6) != 0 &&
	       memcmp(mac, n->ifs[p->ifidx].c.mac, 6) != 0;
}

/* RFC 4861 sections 7.1.1, 7.2.3, 7.2.4. */
static enum tg_why solicited(
	struct tg_net *n, struct tg_rx *p, const struct tg_ip *target, const uint8_t *mac)
{
	bool dad = tg_ip_is_any(&p->src);
	struct tg_neigh *e;
	uint8_t group[6];

	if (dad ? mac || !p->dst_group : !tg_on_link(n, p->ifidx, &p->src))
		return TG_WHY_nd_bad;
	tg_rx_mirror(n, p, RTE_ETHER_TYPE_IPV6);
	e = mac ? tg_neigh_find(n, p->ifidx, &p->src) : NULL;
	if (e)
		tg_neigh_heard(n, e, mac);
	if (p->mirrored || !tg_own_on(n, target, p->ifidx))
		return TG_WHY_none;
	if (dad) { /* somebody wants our address: tell everybody whose it is */
		tg_eth_group6(all_nodes.b, group);
		nd_send(n, p->ifidx, NA, FLAG_OVERRIDE, target, &all_nodes, target, group);
		return TG_WHY_none;
	}
	nd_send(n, p->ifidx, NA, FLAG_OVERRIDE | FLAG_SOLICITED, target, &p->src, target,
		mac ? mac : p->eth_src);
	return TG_WHY_none;
}

/* RFC 4861 sections 7.1.2, 7.2.5; 5227's manners for a conflict. */
static enum tg_why advertised(struct tg_net *n, struct tg_rx *p, const struct tg_ip *target,
	const uint8_t *mac, uint32_t flags)
{
	struct tg_netif *i = &n->ifs[p->ifidx];
	struct tg_neigh *e;

	if ((p->dst_group && flags & FLAG_SOLICITED) || tg_ip_is_any(&p->src))
		return TG_WHY_nd_bad;
	if (tg_own_on(n, target, p->ifidx)) {
		if (!p->mirrored && n->wheel->now >= i->defend6_after) {
			i->defend6_after = n->wheel->now + DEFEND_INTERVAL;
			tg_nd_announce(n, p->ifidx, target);
		}
		return TG_WHY_nd_bad;
	}
	tg_rx_mirror(n, p, RTE_ETHER_TYPE_IPV6);
	e = tg_neigh_find(n, p->ifidx, target);
	if (e)
		tg_neigh_advert(n, e, mac, flags & FLAG_SOLICITED);
	return TG_WHY_none;
}

enum tg_why tg_nd_input(struct tg_net *n, struct tg_rx *p)
{
	const uint8_t *h, *mac;
	struct tg_ip target;
	enum tg_why why;
	uint32_t len;

	/* 255: no router has touched it, so it comes from this link. Whole: RFC 6980. */
	if (p->ttl != 255 || p->reassembled)
		return TG_WHY_nd_bad;
	h = rte_pktmbuf_mtod_offset(p->m, const uint8_t *, p->l4_off);
	len = p->m->pkt_len - p->l4_off;
	if (h[1] != 0)
		return TG_WHY_nd_bad;
	if (h[0] != NS && h[0] != NA)
		return TG_WHY_icmp_ignored;
	if (len < ND_LEN || !options(h + ND_LEN, len - ND_LEN,
				    h[0] == NS ? OPT_SOURCE_MAC : OPT_TARGET_MAC, &mac))
		return TG_WHY_nd_bad;
	memcpy(target.b, h + 8, 16);
	if (tg_ip_is_multicast(&target) || tg_ip_is_v4(&target) || (mac && !mac_ok(n, p, mac)))
		return TG_WHY_nd_bad;
	if (h[0] == NS)
		why = solicited(n, p, &target, mac);
	else
		why = advertised(n, p, &target, mac, tg_load_be32(h + 4));
	if (why)
		return why;
	if (!p->mirrored)
		n->stats->rx_nd++;
	rte_pktmbuf_free(p->m);
	return TG_WHY_none;
}
