#include <netinet/in.h>
#include <string.h>

#include "csum.h"
#include "internal.h"

#define TX_TRIES 3 /* a full device ring may drain while we look again */
#define FRAG_HDR_LEN 8

/* --- frames --- */

static void flush_port(struct tg_net *n, struct tg_netif *i)
{
	uint32_t done = 0, tries = 0;
	uint64_t bytes = 0;

	for (uint32_t k = 0; k < i->n_tx; k++)
		bytes += i->tx[k]->pkt_len;
	while (done < i->n_tx && tries < TX_TRIES) {
		uint16_t took = i->c.ops->tx(i->c.dev, &i->tx[done], (uint16_t)(i->n_tx - done));

		done += took;
		tries += !took;
	}
	n->stats->tx_packets += done;
	for (; done < i->n_tx; done++) {
		bytes -= i->tx[done]->pkt_len;
		tg_tx_lost(n, i->tx[done], TG_WHY_tx_ring_full);
	}
	n->stats->tx_bytes += bytes;
	i->n_tx = 0;
}

void tg_tx_frame(struct tg_net *n, uint16_t ifidx, struct rte_mbuf *m)
{
	struct tg_netif *i = &n->ifs[ifidx];

	if (tg_unlikely(i->n_tx == TG_NET_TX_BATCH))
		flush_port(n, i);
	i->tx[i->n_tx++] = m;
}

void tg_net_flush(struct tg_net *n)
{
	for (uint32_t i = 0; i < n->n_ifs; i++)
		if (n->ifs[i].n_tx)
			flush_port(n, &n->ifs[i]);
}

struct rte_mbuf *tg_tx_alloc(struct tg_net *n)
{
	struct rte_mbuf *m = tg_net_alloc(n->mbufs);

	if (!m)
		n->stats->why[TG_WHY_tx_no_mbuf]++;
	return m;
}

/* --- IP headers --- */

/* Ids of datagrams that may be fragmented must not repeat soon, nor be guessed (RFC 6864, 7739). */
static uint32_t next_id(struct tg_net *n, const struct tg_ip *dst)
{
	return (uint32_t)tg_hash64(n->seed, dst, sizeof(*dst)) + n->ip_id++;
}

/* frag: the flags and offset field. The checksum is computed unless `offload`. */
static void ip4_header(uint8_t *h, uint8_t proto, uint32_t len, const struct tg_ip *src,
	const struct tg_ip *dst, uint8_t tos, uint16_t id, uint16_t frag, bool offload)
{
	h[0] = 0x45;
	h[1] = tos;
	tg_store_be16(h + 2, (uint16_t)len);
	tg_store_be16(h + 4, id);
	tg_store_be16(h + 6, frag);
	h[8] = TG_NET_TTL;
	h[9] = proto;
	memset(h + 10, 0, 2);
	memcpy(h + 12, &src->w[3], 4);
	memcpy(h + 16, &dst->w[3], 4);
	if (!offload) {
		uint16_t sum = tg_csum_of(tg_csum_raw(h, 20));

		memcpy(h + 10, &sum, 2);
	}
}

void tg_ip6_header(uint8_t *h, uint8_t proto, uint32_t len, const struct tg_ip *src,
	const struct tg_ip *dst, uint8_t hops, uint8_t tos)
{
	tg_store_be32(h, 0x60000000u | (uint32_t)tos << 20);
	tg_store_be16(h + 4, (uint16_t)len);
	h[6] = proto;
	h[7] = hops;
	memcpy(h + 8, src->b, 16);
	memcpy(h + 24, dst->b, 16);
}

/* --- TCP segments --- */

/* Fills the checksum field of a segment, or prepares it for the device (which wants the pseudo
 * header's sum there). */
static void tcp_checksum(const struct tg_netif *i, struct rte_mbuf *m, const struct tg_flow *f)
{
	uint8_t *h = rte_pktmbuf_mtod(m, uint8_t *);
	uint64_t sum = tg_csum_pseudo(&f->local, &f->remote, IPPROTO_TCP, m->pkt_len);
	uint16_t field;

	memset(h + 16, 0, 2);
	if (i->c.tx_tcp_csum) {
		field = tg_csum_fold(sum);
		m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
		m->l4_len = (h[12] >> 4) * 4u;
	} else {
		field = tg_csum_of(sum + tg_csum_mbuf(m, 0, m->pkt_len));
	}
	memcpy(h + 16, &field, 2);
}

/* Puts the IP header on, TCP's checksum first, because it needs the segment alone. */
static bool tcp_headers(
	const struct tg_netif *i, struct rte_mbuf *m, const struct tg_flow *f, uint8_t tos)
{
	uint32_t seg_len = m->pkt_len;
	bool v4 = tg_ip_is_v4(&f->remote);
	uint8_t *h;

	m->ol_flags &= ~(RTE_MBUF_F_TX_OFFLOAD_MASK);
	tcp_checksum(i, m, f);
	h = (uint8_t *)rte_pktmbuf_prepend(m, v4 ? 20 : 40);
	if (tg_unlikely(!h))
		return false;
	if (v4) {
		/* DF: the path MTU is wanted. With DF an id has no meaning (RFC 6864). */
		ip4_header(h, IPPROTO_TCP, m->pkt_len, &f->local, &f->remote, tos, 0,
			RTE_IPV4_HDR_DF_FLAG, i->c.tx_ipv4_csum);
		if (i->c.tx_ipv4_csum)
			m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4;
	} else {
		tg_ip6_header(h, IPPROTO_TCP, seg_len, &f->local, &f->remote, TG_NET_TTL, tos);
	}
	if (i->c.tx_tcp_csum)
		m->ol_flags |= v4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	m->l2_len = i->l2_len;
	m->l3_len = v4 ? 20 : 40;
	return true;
}

/* Finds the next hop the long way and remembers it in *cache. NULL: *rc says why. */
static __attribute__((noinline)) struct tg_neigh *resolve(struct tg_net *n,
	const struct tg_ip *remote, const struct tg_ip *local, struct tg_dst *cache, int *rc)
{
	struct tg_path path;
	struct tg_neigh *e;

	*rc = TG_ENOROUTE;
	if (!tg_path_find(n, remote, local, &path))
		return NULL;
	*rc = TG_ENOMEM;
	e = tg_neigh_get(n, path.ifidx, &path.hop);
	if (e && cache)
		*cache = (struct tg_dst){(uint32_t)(e - n->neigh.e) + 1, e->generation};
	return e;
}

int tg_net_output(struct tg_net *n, struct rte_mbuf *m, const struct tg_flow *f, uint8_t tos,
	struct tg_dst *cache)
{
	uint32_t len = m->pkt_len + (tg_ip_is_v4(&f->remote) ? 20 : 40);
	struct tg_neigh *e = tg_neigh_cached(n, cache);
	const struct tg_netif *i;
	int rc;

	if (tg_unlikely(!e)) {
		e = resolve(n, &f->remote, &f->local, cache, &rc);
		if (!e) {
			tg_tx_lost(n, m,
				rc == TG_ENOROUTE ? TG_WHY_tx_no_route : TG_WHY_tx_neigh_full);
			return rc;
		}
	}
	i = &n->ifs[e->ifidx];
	/* Only segments longer than the shortest known path need a look at their own. */
	if (tg_unlikely(len > i->c.mtu || len > n->pmtu.min) &&
		len > tg_pmtu_find(n, &f->remote, i->c.mtu)) {
		tg_tx_lost(n, m, TG_WHY_tx_too_big);
		return TG_ETOOBIG;
	}
	if (tg_unlikely(!tcp_headers(i, m, f, tos))) {
		tg_tx_lost(n, m, TG_WHY_tx_no_mbuf);
		return TG_ENOMEM;
	}
	return tg_neigh_output(n, e, m);
}

void tg_net_confirm(struct tg_net *n, const struct tg_ip *remote, struct tg_dst *cache)
{
	struct tg_neigh *e = tg_neigh_cached(n, cache);
	struct tg_path path;

	if (tg_unlikely(!e)) {
		if (!tg_path_find(n, remote, NULL, &path))
			return;
		e = tg_neigh_find(n, path.ifidx, &path.hop);
		if (!e)
			return;
	}
	tg_neigh_confirm(n, e);
}

/* --- everything else that we send in IP --- */

/* What ip_send's parts share. */
struct send {
	const struct tg_ip *src, *dst;
	struct tg_neigh *e;
	uint8_t proto, tos;
	uint16_t mtu;
};

static void send_whole(struct tg_net *n, struct rte_mbuf *m, const struct send *s)
{
	bool v4 = tg_ip_is_v4(s->dst);
	uint32_t len = m->pkt_len;
	uint8_t *h = (uint8_t *)rte_pktmbuf_prepend(m, v4 ? 20 : 40);

	if (!h) {
		tg_tx_lost(n, m, TG_WHY_tx_no_mbuf);
		return;
	}
	/* What the device said of the request is not to be asked of the reply. */
	m->ol_flags &= RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT;
	if (v4)
		ip4_header(h, s->proto, len + 20, s->src, s->dst, s->tos,
			(uint16_t)next_id(n, s->dst), 0, false);
	else
		tg_ip6_header(h, s->proto, len, s->src, s->dst, TG_NET_TTL, s->tos);
	tg_neigh_output(n, s->e, m);
}

/* Came in fragments, goes whole. Fits one buffer: the data room is longer than any MTU. */
static void send_joined(struct tg_net *n, struct rte_mbuf *m, const struct send *s)
{
	struct rte_mbuf *one = rte_pktmbuf_copy(m, n->mbufs, 0, UINT32_MAX);

	if (one)
		send_whole(n, one, s);
	else
		n->stats->why[TG_WHY_tx_no_mbuf]++;
	rte_pktmbuf_free(m);
}

/* One fragment: len bytes of m from off on, copied, because frames leave as single buffers. */
static bool send_fragment(struct tg_net *n, const struct rte_mbuf *m, const struct send *s,
	uint32_t id, uint32_t off, uint32_t len)
{
	bool v4 = tg_ip_is_v4(s->dst), more = off + len < m->pkt_len;
	uint32_t hdr = v4 ? 20 : 40 + FRAG_HDR_LEN;
	struct rte_mbuf *f = tg_tx_alloc(n);
	const uint8_t *data;
	uint8_t *h;

	if (!f)
		return false;
	h = tg_tx_put(f, hdr + len);
	data = rte_pktmbuf_read(m, off, len, h + hdr);
	if (data != h + hdr)
		memcpy(h + hdr, data, len);
	if (v4) {
		ip4_header(h, s->proto, hdr + len, s->src, s->dst, s->tos, (uint16_t)id,
			(uint16_t)(off / 8 | (more ? RTE_IPV4_HDR_MF_FLAG : 0)), false);
	} else {
		tg_ip6_header(h, IPPROTO_FRAGMENT, FRAG_HDR_LEN + len, s->src, s->dst, TG_NET_TTL,
			s->tos);
		h[40] = s->proto;
		h[41] = 0;
		tg_store_be16(h + 42, (uint16_t)(off | more));
		tg_store_be32(h + 44, id);
	}
	tg_neigh_output(n, s->e, f);
	return true;
}

static void send_in_fragments(struct tg_net *n, struct rte_mbuf *m, const struct send *s)
{
	uint32_t hdr = tg_ip_is_v4(s->dst) ? 20 : 40 + FRAG_HDR_LEN;
	uint32_t each = (s->mtu - hdr) & ~7u, id = next_id(n, s->dst);

	for (uint32_t off = 0; off < m->pkt_len; off += each)
		if (!send_fragment(n, m, s, id, off, RTE_MIN(each, m->pkt_len - off)))
			break;
	rte_pktmbuf_free(m);
}

void tg_ip_send(struct tg_net *n, struct rte_mbuf *m, uint8_t proto, const struct tg_ip *src,
	const struct tg_ip *dst, uint16_t ifidx, uint8_t tos)
{
	struct send s = {.src = src, .dst = dst, .proto = proto, .tos = tos};
	bool scoped = !tg_ip_is_v4(dst) && tg_ip_is_linklocal(dst);
	int rc = TG_ENOMEM;

	s.e = scoped ? tg_neigh_get(n, ifidx, dst) : resolve(n, dst, src, NULL, &rc);
	if (!s.e) {
		tg_tx_lost(n, m, rc == TG_ENOROUTE ? TG_WHY_tx_no_route : TG_WHY_tx_neigh_full);
		return;
	}
	s.mtu = tg_pmtu_find_any(n, dst, n->ifs[s.e->ifidx].c.mtu);
	if (m->pkt_len + (tg_ip_is_v4(dst) ? 20u : 40u) > s.mtu)
		send_in_fragments(n, m, &s);
	else if (m->nb_segs > 1)
		send_joined(n, m, &s);
	else
		send_whole(n, m, &s);
}
