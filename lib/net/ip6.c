#include <netinet/in.h>
#include <string.h>

#include "internal.h"

/* RFC 8200, 5095, 7112, 8504 section 5.3 (limits on extension headers). */
#define IP6_LEN 40
#define EXT_HEADERS_MAX 8
#define EXT_BYTES_MAX 256
#define EXT_OPTIONS_MAX 16
#define PARAM_PROBLEM 4
#define PP_FIELD 0
#define PP_NEXT_HEADER 1
#define PP_OPTION 2

/* ::1, IPv4-mapped (which would pass for an IPv4 address inside), multicast and our own addresses
 * never come from outside. The unspecified address is left to ICMPv6: only DAD and MLD use it. */
static bool source_ok(const struct tg_net *n, const struct tg_rx *p)
{
	static const struct tg_ip loopback = {.b = {[15] = 1}};

	if (tg_ip_is_v4(&p->src) || p->src.b[0] == 0xff || tg_ip_eq(&p->src, &loopback))
		return false;
	return !tg_own_find(n, &p->src, p->ifidx);
}

static enum tg_why destination(const struct tg_net *n, struct tg_rx *p)
{
	const struct tg_own *o;

	if (tg_ip_is_v4(&p->dst))
		return TG_WHY_ip_not_ours;
	o = tg_own_find(n, &p->dst, p->ifidx);
	if (tg_likely(o && o->kind == TG_OWN_ADDR))
		return p->l2_multi ? TG_WHY_ip_multicast : TG_WHY_none;
	if (o)
		p->dst_group = true;
	else
		return p->dst.b[0] == 0xff ? TG_WHY_ip_multicast : TG_WHY_ip_not_ours;
	return TG_WHY_none;
}

static enum tg_why problem(struct tg_net *n, struct tg_rx *p, uint8_t code, uint32_t pointer)
{
	enum tg_why why = code == PP_NEXT_HEADER ? TG_WHY_ip_protocol : TG_WHY_ip6_ext_header;

	return tg_icmp_refuse(n, p, PARAM_PROBLEM, code, pointer, why);
}

/* The TLV options of a hop-by-hop or destination options header (RFC 8200 section 4.2): we know
 * none but padding and the router alert; the two top bits of the others say what to do. */
static enum tg_why options(struct tg_net *n, struct tg_rx *p, uint32_t at, uint32_t end)
{
	const uint8_t *h = rte_pktmbuf_mtod(p->m, const uint8_t *);
	uint32_t count = 0;

	while (at < end) {
		uint8_t type = h[at];

		if (++count > EXT_OPTIONS_MAX)
			return TG_WHY_ip6_ext_header;
		if (type == 0) { /* Pad1 */
			at++;
			continue;
		}
		if (end - at < 2 || h[at + 1] > end - at - 2)
			return TG_WHY_ip6_ext_header;
		if (type != 1 && type != 5 && type >> 6) {
			if (type >> 6 == 1 || (type >> 6 == 3 && p->dst_group))
				return TG_WHY_ip6_ext_header;
			return problem(n, p, PP_OPTION, at);
		}
		at += 2u + h[at + 1];
	}
	return TG_WHY_none;
}

/* One extension header at p->l4_off, all of it in the buffer. */
static enum tg_why extension(struct tg_net *n, struct tg_rx *p, uint32_t len, bool first)
{
	const uint8_t *h = rte_pktmbuf_mtod_offset(p->m, const uint8_t *, p->l4_off);

	switch (p->proto) {
	case IPPROTO_HOPOPTS:
		if (!first)
			return problem(n, p, PP_NEXT_HEADER, p->nh_off);
		return options(n, p, p->l4_off + 2u, p->l4_off + len);
	case IPPROTO_DSTOPTS:
		return options(n, p, p->l4_off + 2u, p->l4_off + len);
	default: /* routing: we are no router on anybody's list, nor is type 0 to be served */
		return h[3] ? problem(n, p, PP_FIELD, p->l4_off + 2u) : TG_WHY_none;
	}
}

static enum tg_why fragment(struct tg_net *n, struct tg_rx *p, bool *kept)
{
	const uint8_t *h = rte_pktmbuf_mtod_offset(p->m, const uint8_t *, p->l4_off);
	uint16_t off = tg_load_be16(h + 2);
	struct tg_frag_info f = {
		.id = tg_load_be32(h + 4),
		.off = off & 0xfff8u,
		.len = p->m->pkt_len - p->l4_off - 8,
		.hdr_len = (uint16_t)(p->l4_off + 8),
		.more = off & 1,
	};
	enum tg_why why;

	/* Neighbour discovery comes whole (RFC 6980), and nothing else of these is for us. */
	if (p->dst_group || tg_ip_is_any(&p->src))
		return TG_WHY_frag_bad;
	/* RFC 8200 section 4.5: a length that is no multiple of 8, a datagram beyond 64 KiB. */
	if (f.more && f.len % 8)
		return tg_icmp_refuse(n, p, PARAM_PROBLEM, PP_FIELD, 4, TG_WHY_frag_bad);
	if (f.off + f.len > UINT16_MAX)
		return tg_icmp_refuse(
			n, p, PARAM_PROBLEM, PP_FIELD, p->l4_off + 2u, TG_WHY_frag_bad);
	why = tg_frag_input(n, p, &f);
	*kept = !p->m;
	return why;
}

static bool is_extension(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_DSTOPTS || proto == IPPROTO_ROUTING ||
	       proto == IPPROTO_FRAGMENT;
}

/* Walks to the upper layer. *kept: a fragment was taken, there is no packet any more. */
static enum tg_why walk(struct tg_net *n, struct tg_rx *p, bool *kept)
{
	for (uint32_t count = 0; is_extension(p->proto); count++) {
		uint32_t left = p->m->data_len - p->l4_off, len;
		const uint8_t *h = rte_pktmbuf_mtod_offset(p->m, const uint8_t *, p->l4_off);
		enum tg_why why;

		if (left < 8 || count == EXT_HEADERS_MAX)
			return TG_WHY_ip6_ext_header;
		if (p->proto == IPPROTO_FRAGMENT) {
			if (p->reassembled)
				return TG_WHY_ip6_ext_header;
			why = fragment(n, p, kept);
			if (why || *kept)
				return why;
			continue; /* whole now; p->proto and p->l4_off are behind the header */
		}
		len = (h[1] + 1u) * 8;
		if (len > left || p->l4_off + len > IP6_LEN + EXT_BYTES_MAX)
			return TG_WHY_ip6_ext_header;
		why = extension(n, p, len, p->l4_off == IP6_LEN);
		if (why)
			return why;
		p->nh_off = p->l4_off;
		p->proto = h[0];
		p->l4_off = (uint16_t)(p->l4_off + len);
	}
	return TG_WHY_none;
}

enum tg_why tg_ip6_input(struct tg_net *n, struct tg_rx *p)
{
	const uint8_t *h = rte_pktmbuf_mtod(p->m, const uint8_t *);
	uint32_t len = p->m->data_len, total;
	bool kept = false;
	enum tg_why why;

	if (tg_unlikely(len < IP6_LEN))
		return TG_WHY_ip_bad_header;
	total = IP6_LEN + tg_load_be16(h + 4); /* jumbograms are longer than any port of ours */
	if (tg_unlikely(h[0] >> 4 != 6 || total > len))
		return TG_WHY_ip_bad_header;
	rte_pktmbuf_trim(p->m, (uint16_t)(len - total));
	memcpy(p->src.b, h + 8, 16);
	memcpy(p->dst.b, h + 24, 16);
	if (tg_unlikely(!source_ok(n, p)))
		return TG_WHY_ip_bad_source;
	why = destination(n, p);
	if (tg_unlikely(why))
		return why;
	p->v6 = true;
	p->tos = (uint8_t)(tg_load_be16(h) >> 4);
	p->ttl = h[7];
	p->proto = h[6];
	p->nh_off = 6;
	p->l4_off = IP6_LEN;
	if (tg_unlikely(is_extension(p->proto))) {
		why = walk(n, p, &kept);
		if (why || kept)
			return why;
		p->nic_hash = false; /* a NIC may have hashed less than the 4-tuple */
	}
	if (tg_unlikely(tg_ip_is_any(&p->src) && p->proto != IPPROTO_ICMPV6))
		return TG_WHY_ip_bad_source;
	if (tg_unlikely(p->dst_group && p->proto != IPPROTO_ICMPV6))
		return TG_WHY_ip_multicast;
	return tg_l4_input(n, p);
}
