/* Multicast listener discovery, the host's half (RFC 3810): switches that snoop pass on
 * solicitations for our addresses only if we say that we listen. */
#include <netinet/in.h>
#include <string.h>

#include "csum.h"
#include "internal.h"

#define REPORT 143
#define IS_EXCLUDE 2 /* "we are in this group" in answer to a query ... */
#define TO_EXCLUDE 4 /* ... and unasked */
#define RECORD_LEN 20
#define EXT_LEN 8

static const struct tg_ip routers = {.b = {0xff, 0x02, [15] = 0x16}};

static const struct tg_ip *link_local(const struct tg_netif *i)
{
	for (uint32_t a = 0; a < i->c.n_addrs; a++)
		if (!tg_ip_is_v4(&i->c.addrs[a].ip) && tg_ip_is_linklocal(&i->c.addrs[a].ip))
			return &i->c.addrs[a].ip;
	return NULL;
}

/* One record for each address's solicited-node group; a repeated group does no harm. */
static uint16_t records(const struct tg_netif *i, struct rte_mbuf *m, uint8_t kind)
{
	uint16_t count = 0;

	for (uint32_t a = 0; a < i->c.n_addrs; a++) {
		struct tg_ip group;
		uint8_t *r;

		if (tg_ip_is_v4(&i->c.addrs[a].ip))
			continue;
		r = tg_tx_put(m, RECORD_LEN);
		memset(r, 0, RECORD_LEN);
		r[0] = kind;
		group = tg_solicited_node(&i->c.addrs[a].ip);
		memcpy(r + 4, group.b, 16);
		count++;
	}
	return count;
}

static void report(struct tg_net *n, uint16_t ifidx, uint8_t kind)
{
	/* Hop-by-hop header with the router alert option (RFC 2711), PadN. */
	static const uint8_t alert[EXT_LEN] = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0};
	const struct tg_netif *i = &n->ifs[ifidx];
	const struct tg_ip *src = link_local(i);
	struct rte_mbuf *m = src ? tg_tx_alloc(n) : NULL;
	uint8_t *h, mac[6];
	uint16_t len, sum;

	if (!m)
		return;
	h = tg_tx_put(m, 40 + EXT_LEN + 8);
	memcpy(h + 40, alert, EXT_LEN);
	memset(h + 48, 0, 8);
	h[48] = REPORT;
	tg_store_be16(h + 54, records(i, m, kind));
	len = (uint16_t)(m->pkt_len - 40);
	tg_ip6_header(h, IPPROTO_HOPOPTS, len, src, &routers, 1, 0);
	len -= EXT_LEN;
	sum = tg_csum_of(
		tg_csum_pseudo(src, &routers, IPPROTO_ICMPV6, len) + tg_csum_raw(h + 48, len));
	memcpy(h + 50, &sum, 2);
	tg_eth_group6(routers.b, mac);
	tg_eth_push(i, m, mac, RTE_ETHER_TYPE_IPV6);
	tg_tx_frame(n, ifidx, m);
}

void tg_mld_report(struct tg_net *n, uint16_t ifidx)
{
	report(n, ifidx, TO_EXCLUDE);
}

/* A query is answered at once, in full, at most once a second: the random delay of RFC 3810 section
 * 5.1.9 is for links full of hosts that all hear it; a snooping switch needs the answer alone. */
enum tg_why tg_mld_input(struct tg_net *n, struct tg_rx *p)
{
	struct tg_netif *i = &n->ifs[p->ifidx];

	if (p->ttl != 1 || !tg_ip_is_linklocal(&p->src) || p->m->pkt_len - p->l4_off < 24)
		return TG_WHY_icmp_bad;
	if (n->wheel->now < i->mld_after)
		return TG_WHY_icmp_rate;
	i->mld_after = n->wheel->now + TG_SEC;
	report(n, p->ifidx, IS_EXCLUDE);
	n->stats->rx_icmp++;
	rte_pktmbuf_free(p->m);
	return TG_WHY_none;
}
