/* ICMP (RFC 792, 1122 section 3.2.2) and ICMPv6 (RFC 4443): echo, errors about our packets, errors
 * that we send. */
#include <netinet/in.h>
#include <string.h>

#include "csum.h"
#include "internal.h"

#define ECHO4 8
#define ECHO_REPLY4 0
#define ECHO6 128
#define ECHO_REPLY6 129
#define UNREACH4 3
#define UNREACH4_PROTOCOL 2
#define UNREACH4_PORT 3
#define UNREACH4_FRAG_NEEDED 4
#define TIME_EXCEEDED4 11
#define PARAM_PROBLEM4 12
#define UNREACH6 1
#define UNREACH6_ADMIN 1
#define UNREACH6_PORT 4
#define TOO_BIG6 2
#define TIME_EXCEEDED6 3
#define PARAM_PROBLEM6 4
#define PP6_NEXT_HEADER 1
#define PP6_OPTION 2
#define MLD_QUERY 130

#define MTU4_MIN 552 /* less is an attack or a link that nobody runs TCP over */
#define QUOTE4 (576 - 20 - 8)
#define QUOTE6 (1280 - 40 - 8)

/* Errors: 1000 a second, 50 at once. Echo replies: 20,000 and 2,000. */
void tg_icmp_init(struct tg_net *n)
{
	n->errors = (struct tg_bucket){n->wheel->now, 50 * TG_MS, TG_MS, 50 * TG_MS};
	n->echoes = (struct tg_bucket){n->wheel->now, 100 * TG_MS, 50 * TG_US, 100 * TG_MS};
}

static bool take(struct tg_bucket *b, uint64_t now)
{
	b->credit = RTE_MIN(b->credit + (now - b->last), b->depth);
	b->last = now;
	if (b->credit < b->cost)
		return false;
	b->credit -= b->cost;
	return true;
}

/* --- errors that we send --- */

/* RFC 1122 section 3.2.2, RFC 4443 section 2.4 e: never about an error, a broadcast or multicast
 * (but for an unknown option that asks for it), or a packet of no single host. */
static bool may_refuse(const struct tg_rx *p, uint8_t type, uint8_t code)
{
	bool for_groups = p->v6 && type == PARAM_PROBLEM6 && code == PP6_OPTION;
	uint8_t about;

	if (p->mirrored || ((p->l2_multi || p->dst_group) && !for_groups) || tg_ip_is_any(&p->src))
		return false;
	if (p->proto != (p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return true;
	if (p->m->data_len <= p->l4_off)
		return false;
	about = *rte_pktmbuf_mtod_offset(p->m, uint8_t *, p->l4_off);
	if (p->v6)
		return about >= 128 && about != 137;
	return about == ECHO4 || about == ECHO_REPLY4 || about >= 13;
}

enum tg_why tg_icmp_refuse(struct tg_net *n, struct tg_rx *p, uint8_t type, uint8_t code,
	uint32_t word, enum tg_why why)
{
	uint32_t quote = RTE_MIN(p->m->pkt_len, p->v6 ? (uint32_t)QUOTE6 : (uint32_t)QUOTE4);
	uint8_t proto = p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	const struct tg_ip *src = &p->dst;
	struct rte_mbuf *m;
	const uint8_t *data;
	uint16_t sum;
	uint8_t *h;

	if (!may_refuse(p, type, code))
		return why;
	if (!take(&n->errors, n->wheel->now))
		return TG_WHY_icmp_rate;
	if (p->dst_group)
		src = tg_route_source(n, p->ifidx, &p->src);
	m = src ? tg_tx_alloc(n) : NULL;
	if (!m)
		return why;
	h = tg_tx_put(m, 8 + quote);
	data = rte_pktmbuf_read(p->m, 0, quote, h + 8);
	if (data != h + 8)
		memcpy(h + 8, data, quote);
	h[0] = type;
	h[1] = code;
	memset(h + 2, 0, 2);
	tg_store_be32(h + 4, word);
	sum = tg_csum_of((p->v6 ? tg_csum_pseudo(src, &p->src, proto, 8 + quote) : 0) +
			 tg_csum_raw(h, 8 + quote));
	memcpy(h + 2, &sum, 2);
	tg_ip_send(n, m, proto, src, &p->src, p->ifidx, 0);
	return why;
}

/* --- echo --- */

/* The request's own buffers go back as the reply, of any size: tg_ip_send() fragments. */
static enum tg_why echo(struct tg_net *n, struct tg_rx *p, uint8_t reply)
{
	uint8_t *h = rte_pktmbuf_mtod_offset(p->m, uint8_t *, p->l4_off);
	uint64_t sum;
	uint16_t field;

	if (p->dst_group || p->l2_multi || tg_ip_is_any(&p->src))
		return TG_WHY_icmp_ignored;
	if (!take(&n->echoes, n->wheel->now))
		return TG_WHY_icmp_rate;
	/* Only the type changes; the pseudo header's sum is the same both ways (RFC 1624). */
	memcpy(&field, h + 2, 2);
	sum = (uint64_t)(uint16_t)~field + (uint16_t)~htons((uint16_t)(h[0] << 8)) +
	      htons((uint16_t)(reply << 8));
	h[0] = reply;
	field = tg_csum_of(sum);
	memcpy(h + 2, &field, 2);
	rte_pktmbuf_adj(p->m, p->l4_off);
	n->stats->rx_icmp++;
	tg_ip_send(n, p->m, p->proto, &p->dst, &p->src, p->ifidx, p->tos & 0xfc);
	return TG_WHY_none;
}

/* --- errors about our packets --- */

/* What an error quotes of a packet that we sent. */
struct quoted {
	struct tg_icmp_error e;
	uint32_t ip_len;
	uint8_t proto;
};

static bool quoted4(const uint8_t *q, uint32_t len, struct quoted *out)
{
	uint32_t ihl = (q[0] & 0xfu) * 4, be;

	if (len < 20 || q[0] >> 4 != 4 || ihl < 20 || len < ihl + 8 ||
		tg_load_be16(q + 6) & RTE_IPV4_HDR_OFFSET_MASK)
		return false;
	memcpy(&be, q + 12, 4);
	out->e.flow.local = tg_ip_v4(be);
	memcpy(&be, q + 16, 4);
	out->e.flow.remote = tg_ip_v4(be);
	out->ip_len = tg_load_be16(q + 2);
	out->proto = q[9];
	q += ihl;
	out->e.flow.lport = tg_load_be16(q);
	out->e.flow.rport = tg_load_be16(q + 2);
	out->e.seq = tg_load_be32(q + 4);
	return true;
}

/* Our TCP segments carry no extension headers, so the upper layer follows at once. */
static bool quoted6(const uint8_t *q, uint32_t len, struct quoted *out)
{
	if (len < 48 || q[0] >> 4 != 6)
		return false;
	memcpy(out->e.flow.local.b, q + 8, 16);
	memcpy(out->e.flow.remote.b, q + 24, 16);
	if (tg_ip_is_v4(&out->e.flow.local) || tg_ip_is_v4(&out->e.flow.remote))
		return false;
	out->ip_len = 40u + tg_load_be16(q + 4);
	out->proto = q[6];
	out->e.flow.lport = tg_load_be16(q + 40);
	out->e.flow.rport = tg_load_be16(q + 42);
	out->e.seq = tg_load_be32(q + 44);
	return true;
}

/* RFC 1191 section 7: the router named no MTU; the next plateau below the packet. */
static uint16_t plateau(uint32_t len)
{
	static const uint16_t table[] = {8166, 4352, 2002, 1492, 1006};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(table); i++)
		if (table[i] < len)
			return table[i];
	return MTU4_MIN;
}

/* Sets e->mtu. False: the message makes no sense for the packet it quotes. */
static bool next_mtu(const struct tg_rx *p, const uint8_t *h, struct quoted *q)
{
	uint32_t mtu = p->v6 ? tg_load_be32(h + 4) : tg_load_be16(h + 6);

	if (p->v6 && mtu < TG_MTU_MIN)
		return false;
	if (!p->v6 && mtu == 0)
		mtu = plateau(q->ip_len);
	if (!p->v6 && mtu < MTU4_MIN)
		mtu = MTU4_MIN;
	if (mtu >= q->ip_len)
		return false;
	q->e.mtu = (uint16_t)mtu;
	return true;
}

/* RFC 1122 section 4.2.3.9, RFC 5461 section 2.1: what TCP may take for final. */
static int kind_of(const struct tg_rx *p, uint8_t type, uint8_t code)
{
	if (!p->v6) {
		if (type == UNREACH4 && code == UNREACH4_FRAG_NEEDED)
			return TG_ICMP_TOO_BIG;
		return type == UNREACH4 && (code == UNREACH4_PROTOCOL || code == UNREACH4_PORT)
			       ? TG_ICMP_HARD
			       : TG_ICMP_SOFT;
	}
	if (type == TOO_BIG6)
		return TG_ICMP_TOO_BIG;
	if (type == UNREACH6 && (code == UNREACH6_ADMIN || code == UNREACH6_PORT))
		return TG_ICMP_HARD;
	return type == PARAM_PROBLEM6 && code == PP6_NEXT_HEADER ? TG_ICMP_HARD : TG_ICMP_SOFT;
}

static enum tg_why error_input(struct tg_net *n, struct tg_rx *p)
{
	const uint8_t *h;
	struct quoted q = {0};
	const struct tg_own *o;
	uint32_t len, owner;
	enum tg_why why = tg_rx_linearise(n, p);
	bool ok;

	if (why)
		return why;
	h = rte_pktmbuf_mtod_offset(p->m, const uint8_t *, p->l4_off);
	len = p->m->pkt_len - p->l4_off - 8;
	ok = len >= 20 && (p->v6 ? quoted6(h + 8, len, &q) : quoted4(h + 8, len, &q));
	if (!ok)
		return TG_WHY_icmp_bad;
	o = tg_own_find(n, &q.e.flow.local, p->ifidx);
	if (!o || o->kind != TG_OWN_ADDR)
		return TG_WHY_icmp_ignored;
	if (q.proto == IPPROTO_TCP && n->steer && !p->steered) {
		owner = tg_steer_owner(n->steer, &q.e.flow);
		if (owner != n->worker)
			return tg_rx_steer(n, p, owner);
	}
	q.e.kind = kind_of(p, h[0], h[1]);
	if (q.e.kind == TG_ICMP_TOO_BIG) {
		if (!next_mtu(p, h, &q))
			return TG_WHY_icmp_ignored;
		if (q.proto != IPPROTO_TCP)
			tg_pmtu_learn(n, &q.e.flow.remote, q.e.mtu, false);
	} else if (q.proto != IPPROTO_TCP) {
		return TG_WHY_icmp_ignored;
	}
	if (q.proto == IPPROTO_TCP) {
		if (!n->icmp_fn || !n->icmp_fn(n->icmp_ctx, &q.e))
			return TG_WHY_icmp_ignored;
		if (q.e.kind == TG_ICMP_TOO_BIG)
			tg_pmtu_learn(n, &q.e.flow.remote, q.e.mtu, true);
	}
	n->stats->rx_icmp++;
	rte_pktmbuf_free(p->m);
	return TG_WHY_none;
}

/* --- in --- */

static bool checksum_ok(const struct tg_rx *p, uint32_t len)
{
	uint64_t sum = tg_csum_mbuf(p->m, p->l4_off, len);

	if (p->v6)
		sum += tg_csum_pseudo(&p->src, &p->dst, IPPROTO_ICMPV6, len);
	return tg_csum_fold(sum) == 0xffff;
}

/* The type, or -1: shorter than the header, or a wrong checksum. */
static int icmp_type(const struct tg_rx *p)
{
	uint32_t len = p->m->pkt_len - p->l4_off;

	/* A header that is spread over fragments: RFC 7112 forbids it, nobody does it in IPv4. */
	if (len < 8 || p->m->data_len < p->l4_off + 8u || !checksum_ok(p, len))
		return -1;
	return *rte_pktmbuf_mtod_offset(p->m, uint8_t *, p->l4_off);
}

enum tg_why tg_icmp4_input(struct tg_net *n, struct tg_rx *p)
{
	switch (icmp_type(p)) {
	case -1:
		return TG_WHY_icmp_bad;
	case ECHO4:
		return echo(n, p, ECHO_REPLY4);
	case UNREACH4:
	case TIME_EXCEEDED4:
	case PARAM_PROBLEM4:
		return error_input(n, p);
	default: /* redirects and source quench too (RFC 6633): routes are static */
		return TG_WHY_icmp_ignored;
	}
}

enum tg_why tg_icmp6_input(struct tg_net *n, struct tg_rx *p)
{
	int type = icmp_type(p);

	switch (type) {
	case -1:
		return TG_WHY_icmp_bad;
	case ECHO6:
		return echo(n, p, ECHO_REPLY6);
	case UNREACH6:
	case TOO_BIG6:
	case TIME_EXCEEDED6:
	case PARAM_PROBLEM6:
		return p->dst_group ? TG_WHY_icmp_ignored : error_input(n, p);
	case MLD_QUERY:
		return tg_mld_input(n, p);
	default:
		return type >= 133 && type <= 137 ? tg_nd_input(n, p) : TG_WHY_icmp_ignored;
	}
}
