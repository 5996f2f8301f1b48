#include <string.h>

#include "csum.h"
#include "internal.h"

/* RFC 791, 1122 section 3.2.1, 7126. */
#define OPT_END 0
#define OPT_NOP 1
#define OPT_LSRR 131
#define OPT_SSRR 137

/* Walks the options: each must lie inside the header, and none may be a source route. The others
 * carry nothing that an end host acts on. */
static bool options_ok(const uint8_t *o, uint32_t len)
{
	while (len) {
		if (*o == OPT_END)
			return true;
		if (*o == OPT_NOP) {
			o++;
			len--;
			continue;
		}
		if (len < 2 || o[1] < 2 || o[1] > len || *o == OPT_LSRR || *o == OPT_SSRR)
			return false;
		len -= o[1];
		o += o[1];
	}
	return true;
}

/* RFC 1122 section 3.2.1.3: this network, loopback, multicast, class E and broadcast never send;
 * nor do our own addresses and the subnets' broadcast addresses from outside. */
static bool source_ok(const struct tg_net *n, const struct tg_rx *p)
{
	uint8_t top = p->src.b[12];

	return top != 0 && top != 127 && top < 224 && !tg_own_find(n, &p->src, p->ifidx);
}

static enum tg_why destination(const struct tg_net *n, const struct tg_rx *p)
{
	const struct tg_own *o = tg_own_find(n, &p->dst, p->ifidx);

	/* A unicast packet in a broadcast frame: RFC 1122 section 3.3.6. */
	if (tg_likely(o && o->kind == TG_OWN_ADDR))
		return p->l2_multi ? TG_WHY_ip_multicast : TG_WHY_none;
	if (o || tg_ip_is_multicast(&p->dst) || p->dst.w[3] == UINT32_MAX)
		return TG_WHY_ip_multicast;
	return TG_WHY_ip_not_ours;
}

static bool checksum_ok(
	const struct tg_net *n, const struct tg_rx *p, const uint8_t *h, uint32_t ihl)
{
	uint64_t flags = p->m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;

	if (n->ifs[p->ifidx].c.rx_ipv4_csum && flags == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		return true;
	if (n->ifs[p->ifidx].c.rx_ipv4_csum && flags == RTE_MBUF_F_RX_IP_CKSUM_BAD)
		return false;
	return tg_csum_fold(tg_csum_raw(h, ihl)) == 0xffff;
}

static enum tg_why fragment(struct tg_net *n, struct tg_rx *p, const uint8_t *h, uint16_t frag)
{
	struct tg_frag_info f = {
		.id = tg_load_be16(h + 4),
		.off = (uint32_t)(frag & RTE_IPV4_HDR_OFFSET_MASK) * 8,
		.len = p->m->pkt_len - p->l4_off,
		.hdr_len = p->l4_off,
		.more = frag & RTE_IPV4_HDR_MF_FLAG,
	};
	enum tg_why why = tg_frag_input(n, p, &f);

	return why || !p->m ? why : tg_l4_input(n, p);
}

enum tg_why tg_ip4_input(struct tg_net *n, struct tg_rx *p)
{
	const uint8_t *h = rte_pktmbuf_mtod(p->m, const uint8_t *);
	uint32_t len = p->m->data_len, ihl, total;
	enum tg_why why;
	uint16_t frag;

	if (tg_unlikely(len < 20))
		return TG_WHY_ip_bad_header;
	ihl = (h[0] & 0xfu) * 4;
	total = tg_load_be16(h + 2);
	if (tg_unlikely(h[0] >> 4 != 4 || ihl < 20 || total < ihl || total > len))
		return TG_WHY_ip_bad_header;
	if (tg_unlikely(!checksum_ok(n, p, h, ihl)))
		return TG_WHY_ip_bad_checksum;
	rte_pktmbuf_trim(p->m, (uint16_t)(len - total)); /* Ethernet padding */
	memcpy(&p->src, &(struct tg_ip){.b = {[10] = 0xff, [11] = 0xff}}, 12);
	memcpy(&p->dst, &p->src, 12);
	memcpy(&p->src.w[3], h + 12, 4);
	memcpy(&p->dst.w[3], h + 16, 4);
	if (tg_unlikely(!source_ok(n, p)))
		return TG_WHY_ip_bad_source;
	why = destination(n, p);
	if (tg_unlikely(why))
		return why;
	if (tg_unlikely(ihl > 20 && !options_ok(h + 20, ihl - 20)))
		return TG_WHY_ip_options;
	p->tos = h[1];
	p->ttl = h[8];
	p->proto = h[9];
	p->l4_off = (uint16_t)ihl;
	frag = tg_load_be16(h + 6);
	if (tg_unlikely(frag & (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)))
		return fragment(n, p, h, frag);
	return tg_l4_input(n, p);
}
