/* net.h: Ethernet to IP, one instance a worker.
 *
 * In: bursts of frames become validated TCP segments; ARP, neighbour discovery, echo, reassembly,
 * refusals and every drop are dealt with here and counted (why.h). Out: TCP hands a segment and
 * its flow; IP and Ethernet headers, checksums, the next hop and the device are found here.
 *
 * Owner: one worker; nothing is shared but the steering rings. Time comes from the wheel. Bounds:
 * all tables have fixed sizes (struct tg_net_conf); a full neighbour table never evicts an entry
 * that was used in the last 30 s. No malloc after create. Devices are reached through struct
 * tg_netif_ops, so a simulator can be the wire.
 *
 * Not here: TCP, sockets, ethdev configuration (dpdk_app/port.c), DHCP, SLAAC: addresses are
 * static.
 */
#ifndef TIDEGATE_NET_H
#define TIDEGATE_NET_H

#include <rte_mbuf.h>

#include <tidegate/addr.h>
#include <tidegate/err.h>
#include <tidegate/stats.h>
#include <tidegate/steer.h>
#include <tidegate/wheel.h>

#define TG_NETIF_MAX 16       /* ports */
#define TG_NETIF_ADDRS_MAX 32 /* addresses a port, link-local included */
#define TG_NET_BURST 32
#define TG_MTU_MIN 1280
#define TG_MTU_MAX 9000

/* How frames leave. tx takes up to n frames and returns how many it took; the taken ones are its.
 */
struct tg_netif_ops {
	uint16_t (*tx)(void *dev, struct rte_mbuf **pkts, uint16_t n);
};

struct tg_netif_conf {
	const char *name;
	const struct tg_netif_ops *ops;
	void *dev; /* ops' first argument: for ethdev (port, queue) of this worker */
	uint8_t mac[6];
	uint16_t mtu;  /* IP packet bytes, TG_MTU_MIN .. TG_MTU_MAX */
	uint16_t vlan; /* 0: untagged; else 1..4094, every frame carries this one tag */
	bool tx_ipv4_csum, tx_tcp_csum; /* the device fills them (mbuf offload flags) */
	bool rx_ipv4_csum, rx_tcp_csum; /* the device verifies them (mbuf flags say GOOD or BAD) */
	bool rx_rss_hash;               /* mbuf->hash.rss is tg_steer_hash() */
	uint32_t n_addrs;
	struct tg_ip_prefix
		addrs[TG_NETIF_ADDRS_MAX]; /* fe80:: EUI-64 is added when IPv6 is used */
};

struct tg_net_route {
	struct tg_ip_prefix dst; /* host bits zero */
	struct tg_ip via;        /* next hop: on link of one port */
};

struct tg_net_conf {
	uint32_t worker, socket; /* own worker number; NUMA socket for tables */
	uint32_t n_ifs;
	const struct tg_netif_conf *ifs; /* ifs[i] is interface i everywhere below */
	uint32_t n_routes;               /* beside the connected ones; at most 1024 */
	const struct tg_net_route *routes;
	struct rte_mempool
		*mbufs;          /* headroom of at least 128, data room for the largest MTU + 18 */
	uint32_t max_neighbours; /* 0: 4096 */
	uint32_t max_pending;    /* packets that wait for a neighbour, in all; 0: 1024 (8 each) */
	uint32_t max_reassembly; /* datagrams under reassembly; 0: 256 */
	uint32_t max_pmtu;       /* path-MTU entries; 0: 1024 */
	uint64_t reassembly_timeout;   /* ns, of IPv6; IPv4: half of it; 0: 60 s */
	const struct tg_steer *steer;  /* NULL: one worker */
	struct rte_ring **steer_rings; /* [n_workers], multi-producer; own one is polled */
	struct tg_wheel *wheel;
	struct tg_core_stats *stats;
	uint8_t secret[16]; /* IPv4 ids, hash seeds */
};

/* A TCP segment that passed every check of IP, and the TCP checksum and header length. m->data is
 * at the TCP header; m->pkt_len is header plus payload; m is a single buffer. */
struct tg_seg {
	struct rte_mbuf *m;
	struct tg_flow flow; /* local = destination address */
	uint32_t seq, ack;   /* host order */
	uint16_t wnd;        /* as sent, unscaled */
	uint16_t payload_len;
	uint8_t hdr_len; /* 20 .. 60: payload starts here */
	uint8_t flags;   /* FIN SYN RST PSH ACK URG ECE CWR, low to high (RFC 9293 3.1) */
	uint8_t ecn;     /* the two ECN bits of IP */
	uint8_t ifidx;
};

#define TG_TCP_FIN 0x01
#define TG_TCP_SYN 0x02
#define TG_TCP_RST 0x04
#define TG_TCP_PSH 0x08
#define TG_TCP_ACK 0x10
#define TG_TCP_URG 0x20
#define TG_TCP_ECE 0x40
#define TG_TCP_CWR 0x80

/* An ICMP or ICMPv6 error about a TCP segment of ours (RFC 5461, 5927). Not trusted: TCP checks
 * seq. */
struct tg_icmp_error {
	struct tg_flow flow; /* local = we */
	uint32_t seq;        /* of the segment quoted */
	enum { TG_ICMP_TOO_BIG, TG_ICMP_HARD, TG_ICMP_SOFT } kind;
	uint16_t mtu; /* TOO_BIG: next-hop MTU, already bounded to >= 1280 (v6) or >= 552 (v4) */
};
/* True if it quotes what is in flight: only then a path MTU is learnt from it (RFC 5927 section 7).
 */
typedef bool tg_icmp_error_fn(void *ctx, const struct tg_icmp_error *e);

struct tg_net;

/* NULL with e->text on a bad configuration or when memory is short. */
struct tg_net *tg_net_create(const struct tg_net_conf *conf, struct tg_errbuf *e);
void tg_net_destroy(struct tg_net *n);
/* Where ICMP errors about TCP go (called inside tg_net_input). */
void tg_net_on_icmp_error(struct tg_net *n, tg_icmp_error_fn *fn, void *ctx);
/* Announces own addresses: gratuitous ARP, unsolicited NA. Call once when ports are up. */
void tg_net_announce(struct tg_net *n);

/* Takes n <= TG_NET_BURST frames received on interface ifidx (all are consumed) and fills out[]
 * with the TCP segments among them; returns how many. Segments of flows that another worker owns
 * went to its ring. The caller (TCP) owns out[].m. */
uint32_t tg_net_input(struct tg_net *n, uint16_t ifidx, struct rte_mbuf **pkts, uint32_t cnt,
	struct tg_seg out[static TG_NET_BURST]);
/* The same for frames that other workers steered here. Returns the segments; up to TG_NET_BURST. */
uint32_t tg_net_input_steered(struct tg_net *n, struct tg_seg out[static TG_NET_BURST]);

/* A remembered path to a destination: 8 bytes in each connection, zeroed at first. It is only a
 * hint: net checks it and repairs it. */
struct tg_dst {
	uint32_t entry, generation;
};

/* Sends one TCP segment: m->data at its TCP header (checksum field anything), m->pkt_len its whole
 * length, ports, sequence and flags filled. tos: DSCP and ECN bits. Consumes m in every case; when
 * m's reference count is above one the caller keeps its own reference, and must not touch headroom
 * or payload until the count is back at one (the device or a neighbour queue still reads it). Net
 * moves m->data to the start of the frame: who sends m again sets data_off and lengths anew. One
 * segment is one buffer (not every device takes chains); headroom of 58 is used.
 * Returns 0, or TG_ENOROUTE, TG_ETOOBIG (larger than the path MTU now known), TG_ENOMEM (counted).
 */
int tg_net_output(struct tg_net *n, struct rte_mbuf *m, const struct tg_flow *f, uint8_t tos,
	struct tg_dst *cache);
/* Gives everything collected to the devices. Once at the end of the turn. */
void tg_net_flush(struct tg_net *n);

/* Own address to use towards remote (RFC 6724 kept simple: the first address of the right family on
 * the outgoing port, link-local for link-local). TG_ENOROUTE. */
int tg_net_source(struct tg_net *n, const struct tg_ip *remote, struct tg_ip *local);
/* Path MTU towards remote now: the port's, or less after packet-too-big (RFC 1191, 8201: forgotten
 * after 10 minutes). 0: no route. */
uint16_t tg_net_mtu(struct tg_net *n, const struct tg_ip *remote);
/* Neighbour reachability confirmation from TCP (RFC 4861 section 7.3.1): forward progress was made.
 */
void tg_net_confirm(struct tg_net *n, const struct tg_ip *remote, struct tg_dst *cache);
bool tg_net_is_local(const struct tg_net *n, const struct tg_ip *a);

static inline struct rte_mbuf *tg_net_alloc(struct rte_mempool *mbufs)
{
	return rte_pktmbuf_alloc(mbufs);
}

/* For /memory and tests. */
struct tg_net_usage {
	uint32_t neighbours, neighbours_max, pending, pending_max, reassembly, reassembly_max, pmtu,
		pmtu_max;
};
void tg_net_usage(const struct tg_net *n, struct tg_net_usage *out);
bool tg_net_validate(const struct tg_net *n);

#endif
