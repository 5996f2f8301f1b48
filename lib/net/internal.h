/* internal.h: what the files of lib/net share. Nothing outside includes it.
 *
 *                    +- arp.c --+                       +- arp.c, nd.c (solicit)
 *   input.c - eth.c -+- ip4.c --+- frag.c - l4.c - out[] |
 *                    +- ip6.c --+         - icmp.c      neigh.c - output.c - device
 *                        nd.c --+                       route.c, pmtu.c
 *
 * How a received packet ends: every step of input returns an enum tg_why. TG_WHY_none: the step
 * took the packet over and counted it as delivered (or handed it on). Anything else: nobody took
 * it, and the one place in input.c that sees the value counts it and frees the packet. So "exactly
 * one reason" cannot be got wrong step by step.
 */
#ifndef TG_NET_INTERNAL_H
#define TG_NET_INTERNAL_H

#include <rte_ether.h>
#include <rte_hash.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <tidegate/list.h>
#include <tidegate/net.h>
#include <tidegate/rng.h>

#define TG_NET_TX_BATCH 64
#define TG_NET_PENDING_EACH 8 /* packets that wait for one neighbour */
#define TG_NET_TTL 64

/* NUD (RFC 4861 section 10), used for ARP as well. */
#define TG_ND_RETRANS TG_SEC
#define TG_ND_REACHABLE (30 * TG_SEC) /* times 0.5 .. 1.5 */
#define TG_ND_DELAY (5 * TG_SEC)
#define TG_ND_PROBES 3             /* to the known address, and as many to all */
#define TG_ND_LATE (100 * TG_MS)   /* a timer that fires later says nothing of the neighbour */
#define TG_ND_DOUBT (200 * TG_MS)  /* from a claim to the question whether it is true ... */
#define TG_ND_VERIFY (250 * TG_MS) /* ... and between those questions */
#define TG_ND_GC (600 * TG_SEC)    /* an unused STALE entry is forgotten after this */
#define TG_ND_BUSY (30 * TG_SEC)   /* an entry used within this is never evicted */

/* Addresses that a packet to us may carry: looked up for each packet, so a table of its own.
 * Link-local addresses and groups count on their own port only (scope = ifidx + 1, else 0). */
enum tg_own_kind { TG_OWN_NONE, TG_OWN_ADDR, TG_OWN_BROADCAST, TG_OWN_GROUP };
#define TG_OWN_SLOTS \
	4096 /* power of two; at most 16 ports * (32 addresses, broadcasts, groups) \
	      */
struct tg_own {
	struct tg_ip ip;
	uint8_t kind, scope, ifidx;
};

struct tg_netif {
	struct tg_netif_conf c; /* c.addrs holds the link-local address as well */
	uint16_t l2_len;        /* 14, or 18 with a tag */
	bool has4, has6;
	/* Not before: an own address is defended again (RFC 5227 2.4 c), an MLD query answered. */
	uint64_t defend4_after, defend6_after, mld_after;
	uint32_t n_tx;
	struct rte_mbuf *tx[TG_NET_TX_BATCH];
};

struct tg_route {
	struct tg_ip_prefix dst; /* host bits zero */
	struct tg_ip via;        /* any (::): on link */
	uint32_t parent;         /* the next shorter prefix around this one: index + 1; 0: none */
	uint16_t ifidx;
};

/* Where a destination is reached. */
struct tg_path {
	uint16_t ifidx;
	struct tg_ip hop;
};

/* A packet that waits for a neighbour: the IP packet, without Ethernet header. Not linked through
 * the mbuf, because TCP may hold a reference to it. */
struct tg_pend {
	struct rte_mbuf *m;
	struct tg_pend *next;
};

/*
 *               send                        answer, TCP progress
 *   (no entry) ------> INCOMPLETE ------------------------------> REACHABLE
 *        ^                 |  other sign of life                    |  ^ 30 s
 *        | 3 requests      +---------------------> STALE <----------+  | answer,
 *        +-- unanswered <-- PROBE <-- 5 s -- DELAY <-- send --+        | TCP progress
 *                             +----------------+-----------------------+
 *
 * PROBE asks the known address three times, then three times all, and uses what it knows until
 * then: three lost packets are no proof on a busy link (RFC 7048), and a stream that had to wait
 * for the answer would lose all of its window but TG_NET_PENDING_EACH packets. Nor is anybody
 * silent whom a worker had no CPU to hear: a question whose time was over long before its timer
 * fired does not count, because the answer may lie unread in the device's ring.
 *
 * Anybody on the link can say that an address is his. So what is known is not given up for a claim
 * (RFC 4861 section 7.2.5 would, for an advertisement with O): the claim makes us ask the known
 * address, in DELAY and PROBE at a quicker pace, unless TCP's progress shows meanwhile that it is
 * good. Only when it is silent is the question put to all, and then who answers has it. A neighbour
 * that did move is followed within about a second.
 */
enum tg_nud {
	TG_NUD_FREE,
	TG_NUD_INCOMPLETE,
	TG_NUD_REACHABLE,
	TG_NUD_STALE,
	TG_NUD_DELAY,
	TG_NUD_PROBE
};
struct tg_neigh {
	struct tg_ip ip;
	uint8_t mac[6];
	uint8_t ifidx;
	uint8_t state;       /* enum tg_nud */
	uint32_t generation; /* changes when the entry is freed: makes old tg_dst hints void */
	uint8_t probes;      /* requests sent in this state */
	uint8_t n_pend;
	bool doubted;       /* DELAY, PROBE: somebody else claims the address */
	uint64_t used;      /* last packet sent through it */
	uint64_t confirmed; /* last proof of two-way reachability */
	struct tg_pend *first, **last;
	struct tg_timer timer;
	struct tg_link asked; /* INCOMPLETE: in the table's list */
	uint32_t next_free;   /* index + 1 */
};

struct tg_neigh_table {
	struct rte_hash *hash; /* (ip, ifidx) -> index */
	struct tg_neigh *e;
	uint32_t size, n, free,
		hand;         /* free: index + 1; hand: where the search for a victim goes on */
	struct tg_link asked; /* INCOMPLETE entries, oldest first */
	struct tg_pend *pends, *free_pend;
	uint32_t n_pend, max_pend;
	uint8_t timer_kind;
};

struct tg_pmtu {
	struct tg_ip ip;
	/* What TCP has confirmed and its segments keep to; what anybody said, which only decides
	 * into how large fragments an echo is cut: a forged message costs TCP nothing. */
	uint16_t mtu, any;
	struct tg_timer timer;
	struct tg_link link; /* oldest first; or the free list */
};

struct tg_pmtu_table {
	struct rte_hash *hash;
	struct tg_pmtu *e;
	struct tg_link used, free;
	uint32_t size, n;
	uint16_t min; /* smallest mtu of all, UINT16_MAX when empty: shorter packets need no lookup
		       */
	uint8_t timer_kind;
};

struct tg_frag_table; /* frag.c */

/* Token bucket in time units: a token costs `cost` ns of the `credit` that time brings. */
struct tg_bucket {
	uint64_t last, credit, cost, depth;
};

struct tg_net {
	struct rte_mempool *mbufs;
	struct tg_wheel *wheel;
	struct tg_core_stats *stats;
	const struct tg_steer *steer; /* NULL: one worker */
	struct rte_ring **rings;
	uint32_t worker;
	uint32_t n_ifs;
	uint32_t n_routes;
	uint32_t data_room; /* bytes of a buffer behind the headroom */
	tg_icmp_error_fn *icmp_fn;
	void *icmp_ctx;
	uint64_t seed;     /* table hashes */
	uint32_t ip_id;    /* counter that goes into IP ids */
	struct tg_rng rng; /* NUD jitter */
	struct tg_bucket errors, echoes;
	struct tg_neigh_table neigh;
	struct tg_pmtu_table pmtu;
	struct tg_frag_table *frag;
	struct tg_route *routes; /* sorted by address, then length */
	struct tg_own own[TG_OWN_SLOTS];
	struct tg_netif ifs[TG_NETIF_MAX];
};

/* A received packet on its way up. From IP on, m->data is at the IP header. */
struct tg_rx {
	struct rte_mbuf *m;
	struct tg_seg *seg; /* where a TCP segment goes; NULL again once filled */
	struct tg_ip src, dst;
	uint16_t ifidx;
	uint16_t l4_off;  /* from the IP header to the upper layer */
	uint16_t nh_off;  /* IPv6: where the next-header byte that names the upper layer stands */
	uint8_t proto;    /* of the upper layer */
	uint8_t tos, ttl; /* traffic class, hop limit */
	uint8_t eth_src[6];
	bool v6;
	bool l2_multi;    /* Ethernet broadcast or multicast */
	bool dst_group;   /* IPv6 multicast group of ours */
	bool steered;     /* came through a ring: not steered again */
	bool mirrored;    /* a copy: not counted, not answered */
	bool reassembled; /* m may be a chain */
	bool nic_hash;    /* m->hash.rss is the flow's hash */
};

/* input.c */
enum tg_why tg_rx_steer(struct tg_net *n, struct tg_rx *p, uint32_t owner);
void tg_rx_mirror(struct tg_net *n, const struct tg_rx *p, uint16_t ethertype);
/* One buffer instead of a chain; else m stays as it was. */
enum tg_why tg_rx_linearise(struct tg_net *n, struct tg_rx *p);

/* eth.c */
enum tg_why tg_eth_input(struct tg_net *n, struct tg_rx *p);
/* Puts the Ethernet header before m->data. False: no headroom. */
bool tg_eth_push(const struct tg_netif *i, struct rte_mbuf *m, const uint8_t dst[6], uint16_t type);
void tg_eth_group6(const uint8_t ip[16], uint8_t mac[6]);

/* arp.c */
enum tg_why tg_arp_input(struct tg_net *n, struct tg_rx *p);
void tg_arp_solicit(struct tg_net *n, struct tg_neigh *e, bool unicast);
void tg_arp_announce(struct tg_net *n, uint16_t ifidx, const struct tg_ip *a);

/* nd.c. types 133 .. 137; p->l4_off at the ICMPv6 header, checksum verified. */
enum tg_why tg_nd_input(struct tg_net *n, struct tg_rx *p);
void tg_nd_solicit(struct tg_net *n, struct tg_neigh *e, bool unicast);
void tg_nd_announce(struct tg_net *n, uint16_t ifidx, const struct tg_ip *a);

/* mld.c: groups we are in, said to the switches (RFC 3810). */
void tg_mld_report(struct tg_net *n, uint16_t ifidx);
enum tg_why tg_mld_input(struct tg_net *n, struct tg_rx *p);

/* neigh.c */
int tg_neigh_init(struct tg_net *n, const struct tg_net_conf *c);
void tg_neigh_fini(struct tg_net *n);
struct tg_neigh *tg_neigh_find(struct tg_net *n, uint16_t ifidx, const struct tg_ip *ip);
/* Finds or makes; NULL: table full of busy entries. */
struct tg_neigh *tg_neigh_get(struct tg_net *n, uint16_t ifidx, const struct tg_ip *ip);
/* Sends an IP packet (m->data at its header) to e, or keeps it until e's address is known.
 * Consumes m. 0, or TG_ENOMEM (counted). */
int tg_neigh_output(struct tg_net *n, struct tg_neigh *e, struct rte_mbuf *m);
/* The neighbour says its address: NA or ARP reply. mac NULL: none given. */
void tg_neigh_advert(struct tg_net *n, struct tg_neigh *e, const uint8_t *mac, bool solicited);
/* The neighbour was heard with this address, which proves no reachability: NS, ARP request. */
void tg_neigh_heard(struct tg_net *n, struct tg_neigh *e, const uint8_t *mac);
void tg_neigh_confirm(struct tg_net *n, struct tg_neigh *e);
bool tg_neigh_validate(const struct tg_net *n);

static inline struct tg_neigh *tg_neigh_cached(struct tg_net *n, const struct tg_dst *d)
{
	struct tg_neigh *e;

	/* entry 0 (a zeroed hint) becomes UINT32_MAX: out of range. */
	if (tg_unlikely(d->entry - 1 >= n->neigh.size))
		return NULL;
	e = &n->neigh.e[d->entry - 1];
	return tg_likely(e->generation == d->generation && e->state != TG_NUD_FREE) ? e : NULL;
}

/* route.c */
int tg_route_init(struct tg_net *n, const struct tg_net_conf *c, struct tg_errbuf *e);
int tg_own_init(struct tg_net *n, struct tg_errbuf *e);
const struct tg_own *tg_own_find(const struct tg_net *n, const struct tg_ip *a, uint16_t ifidx);
/* An own address of this port. */
bool tg_own_on(const struct tg_net *n, const struct tg_ip *a, uint16_t ifidx);
/* local: our end, which decides the port for link-local destinations; may be NULL. */
bool tg_path_find(const struct tg_net *n, const struct tg_ip *dst, const struct tg_ip *local,
	struct tg_path *p);
/* The own address of a port to use towards hop; NULL: none of the family. */
const struct tg_ip *tg_route_source(
	const struct tg_net *n, uint16_t ifidx, const struct tg_ip *hop);
struct tg_ip tg_solicited_node(const struct tg_ip *a);
bool tg_on_link(const struct tg_net *n, uint16_t ifidx, const struct tg_ip *a);

/* pmtu.c */
int tg_pmtu_init(struct tg_net *n, const struct tg_net_conf *c);
void tg_pmtu_fini(struct tg_net *n);
/* checked: TCP found that it quotes what is in flight. */
void tg_pmtu_learn(struct tg_net *n, const struct tg_ip *remote, uint16_t mtu, bool checked);
/* limit, or less: for TCP's segments; for all else. */
uint16_t tg_pmtu_find(const struct tg_net *n, const struct tg_ip *remote, uint16_t limit);
uint16_t tg_pmtu_find_any(const struct tg_net *n, const struct tg_ip *remote, uint16_t limit);
bool tg_pmtu_validate(const struct tg_net *n);

/* frag.c. A fragment of a datagram to us. TG_WHY_none: p->m is NULL (kept), or the whole datagram
 * as a chain with its headers set right and p->reassembled. */
int tg_frag_init(struct tg_net *n, const struct tg_net_conf *c);
void tg_frag_fini(struct tg_net *n);
struct tg_frag_info {
	uint32_t id;
	uint32_t off, len; /* bytes; len: of the fragment's payload */
	uint16_t hdr_len;  /* from the IP header to the payload, IPv6 fragment header included */
	bool more;
};
enum tg_why tg_frag_input(struct tg_net *n, struct tg_rx *p, const struct tg_frag_info *f);
bool tg_frag_validate(const struct tg_net *n);
void tg_frag_usage(const struct tg_net *n, struct tg_net_usage *u);

/* ip4.c, ip6.c */
enum tg_why tg_ip4_input(struct tg_net *n, struct tg_rx *p);
enum tg_why tg_ip6_input(struct tg_net *n, struct tg_rx *p);

/* l4.c: the upper layer of a whole datagram to us. */
enum tg_why tg_l4_input(struct tg_net *n, struct tg_rx *p);

/* icmp.c */
enum tg_why tg_icmp4_input(struct tg_net *n, struct tg_rx *p);
enum tg_why tg_icmp6_input(struct tg_net *n, struct tg_rx *p);
void tg_icmp_init(struct tg_net *n);
/* Answers p with an error if that is allowed; word: the second 32 bits of the message. Returns why,
 * or icmp_rate when the limit withheld it. */
enum tg_why tg_icmp_refuse(struct tg_net *n, struct tg_rx *p, uint8_t type, uint8_t code,
	uint32_t word, enum tg_why why);

/* output.c */
/* Sends m, whose data is the upper layer's packet, from src (ours) to dst; fragments it if it must.
 * ifidx: the port for link-local destinations. Consumes m; failures are counted. */
void tg_ip_send(struct tg_net *n, struct rte_mbuf *m, uint8_t proto, const struct tg_ip *src,
	const struct tg_ip *dst, uint16_t ifidx, uint8_t tos);
/* Hands a whole frame to a port's batch. */
void tg_tx_frame(struct tg_net *n, uint16_t ifidx, struct rte_mbuf *m);
/* An empty packet buffer; NULL is counted. */
struct rte_mbuf *tg_tx_alloc(struct tg_net *n);
/* Writes the 40 bytes of an IPv6 header. */
void tg_ip6_header(uint8_t *h, uint8_t proto, uint32_t len, const struct tg_ip *src,
	const struct tg_ip *dst, uint8_t hops, uint8_t tos);

/* Appends len bytes to a buffer from tg_tx_alloc(); create() made sure that the largest MTU fits.
 */
static inline uint8_t *tg_tx_put(struct rte_mbuf *m, uint32_t len)
{
	uint8_t *at = rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len);

	m->data_len = (uint16_t)(m->data_len + len);
	m->pkt_len += len;
	return at;
}

static inline void tg_tx_lost(struct tg_net *n, struct rte_mbuf *m, enum tg_why why)
{
	n->stats->why[why]++;
	rte_pktmbuf_free(m);
}

/* A hash table of DPDK's for one worker; keys are hashed by the caller with tg_net_hash. */
struct rte_hash *tg_net_table(const char *what, uint32_t entries, uint32_t key_len, int socket);

static inline uint32_t tg_net_hash(const struct tg_net *n, const void *key, size_t len)
{
	uint64_t h = tg_hash64(n->seed, key, len);

	return (uint32_t)(h ^ h >> 32);
}

#endif
