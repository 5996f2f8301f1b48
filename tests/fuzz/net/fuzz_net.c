/*
 * Two workers' tg_net under any frames, in any order, with time passing in between.
 *
 * The input is a program. Low two bits of an operation's first byte:
 *   0 frame:  bits 2 port, 3 set our MAC, 4 right IPv4 checksum, 5 right upper checksum, 6 a chain;
 *             then length (2 bytes), bytes
 *   1 time:   then one byte: (high nibble + 1) * 4^(low nibble) us, at most 100 s
 *   2 output: bits 2-4 to whom, 5 worker, 6 keep a reference, 7 flush; then payload / 6
 *   3 rings:  worker 1 (bit 2) or 0 takes what was steered to it; bit 3 announces, bit 4 confirms
 *
 * After it, rings are emptied and time runs until every table must be empty. Then: structures
 * valid, received = used + dropped, every packet buffer back, no timer left. Frames lie in buffers
 * of exactly their size, so that AddressSanitizer sees a read past the end.
 */
#include <netinet/in.h>
#include <rte_ring.h>
#include <stdlib.h>

#include <tidegate/net.h>
#include <tidegate/view.h>

#include "../../eal.h"

#define POOL 2047
#define WORKERS 2
#define KEEP 16

#define CHECK(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort(); \
		} \
	} while (0)

static struct rte_mempool *mbufs;
static struct rte_ring *rings[WORKERS];
static struct tg_steer steer;
static struct tg_wheel wheel;
static struct tg_core_stats stats[WORKERS];
static struct tg_net *nets[WORKERS];
static struct rte_mbuf *kept[KEEP];
static uint64_t segments, frames_out;

static uint16_t tx(void *dev, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t sum = 0;

	/* A slow device now and then. */
	if (frames_out % 31 == 30)
		n = n / 2;
	frames_out++;
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *b = rte_pktmbuf_mtod(pkts[i], const uint8_t *);

		CHECK(pkts[i]->nb_segs == 1 && pkts[i]->pkt_len >= 42 && pkts[i]->pkt_len <= 1514);
		for (uint32_t k = 0; k < pkts[i]->pkt_len; k++)
			sum += b[k];
		rte_pktmbuf_free(pkts[i]);
	}
	__asm__ volatile("" ::"r"(sum));
	return n;
}

static const struct tg_netif_ops ops = {tx};

static bool on_error(void *ctx, const struct tg_icmp_error *e)
{
	CHECK(tg_net_is_local(ctx, &e->flow.local));
	CHECK(e->kind != TG_ICMP_TOO_BIG || e->mtu >= 552);
	return e->seq & 1;
}

static struct tg_ip ip(const char *s)
{
	struct tg_ip a;

	CHECK(tg_ip_parse(s, &a) == 0);
	return a;
}

static void create(void)
{
	static struct tg_netif_conf ifs[2] = {{.name = "north",
						      .ops = &ops,
						      .mac = {2, 0, 0, 0, 0, 1},
						      .mtu = 1500,
						      .n_addrs = 2},
		{.name = "south",
			.ops = &ops,
			.mac = {2, 0, 0, 0, 1, 1},
			.mtu = 1500,
			.n_addrs = 2}};
	static struct tg_net_route routes[2];
	struct tg_net_conf c = {.socket = (uint32_t)SOCKET_ID_ANY,
		.n_ifs = 2,
		.ifs = ifs,
		.n_routes = 2,
		.routes = routes,
		.mbufs = mbufs,
		.max_neighbours = 16,
		.max_pending = 24,
		.max_reassembly = 8,
		.max_pmtu = 8,
		.steer = &steer,
		.steer_rings = rings,
		.wheel = &wheel};

	tg_ip_prefix_parse("10.77.1.1/24", &ifs[0].addrs[0]);
	tg_ip_prefix_parse("fd77:1::1/64", &ifs[0].addrs[1]);
	tg_ip_prefix_parse("10.77.2.1/24", &ifs[1].addrs[0]);
	tg_ip_prefix_parse("fd77:2::1/64", &ifs[1].addrs[1]);
	tg_ip_prefix_parse("0.0.0.0/0", &routes[0].dst);
	routes[0].via = ip("10.77.1.254");
	tg_ip_prefix_parse("::/0", &routes[1].dst);
	routes[1].via = ip("fd77:1::fe");
	tg_steer_init(&steer, WORKERS);
	tg_wheel_init(&wheel, TG_SEC);
	for (uint32_t w = 0; w < WORKERS; w++) {
		c.worker = w;
		c.stats = &stats[w];
		nets[w] = tg_net_create(&c, NULL);
		CHECK(nets[w]);
		tg_net_on_icmp_error(nets[w], on_error, nets[w]);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	CHECK(tg_test_eal(64));
	mbufs = rte_pktmbuf_pool_create(
		"fuzz", POOL, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	for (uint32_t w = 0; w < WORKERS; w++)
		rings[w] = rte_ring_create(w ? "fuzz1" : "fuzz0", 16, SOCKET_ID_ANY, RING_F_SC_DEQ);
	CHECK(mbufs && rings[1]);
	create();
	return 0;
}

/* --- frames --- */

struct external {
	struct rte_mbuf_ext_shared_info info;
	uint8_t room[]; /* headroom, then the frame, and nothing behind it */
};

static void external_free(void *addr, void *opaque)
{
	free(opaque);
}

static struct rte_mbuf *exact(const uint8_t *b, uint32_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(mbufs);
	struct external *x = malloc(sizeof(*x) + RTE_PKTMBUF_HEADROOM + n);

	CHECK(m && x);
	x->info.free_cb = external_free;
	x->info.fcb_opaque = x;
	rte_mbuf_ext_refcnt_set(&x->info, 1);
	rte_pktmbuf_attach_extbuf(
		m, x->room, RTE_BAD_IOVA, (uint16_t)(RTE_PKTMBUF_HEADROOM + n), &x->info);
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->data_len = (uint16_t)n;
	m->pkt_len = n;
	memcpy(x->room + RTE_PKTMBUF_HEADROOM, b, n);
	return m;
}

static struct rte_mbuf *chain(const uint8_t *b, uint32_t n)
{
	struct rte_mbuf *m = exact(b, n / 2);

	CHECK(rte_pktmbuf_chain(m, exact(b + n / 2, n - n / 2)) == 0);
	return m;
}

static uint16_t sum_of(const uint8_t *b, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Sets the upper layer's checksum, if there is one that we know. */
static void fix_upper(
	uint8_t *b, uint32_t n, uint8_t proto, const uint8_t *addrs, uint32_t addrs_len)
{
	uint32_t at = proto == IPPROTO_TCP ? 16 : 2, sum;

	if (n < at + 2 ||
		(proto != IPPROTO_TCP && proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6))
		return;
	sum = proto == IPPROTO_ICMP ? 0 : sum_of(addrs, addrs_len, n + proto);
	tg_store_be16(b + at, 0);
	tg_store_be16(b + at, (uint16_t)~sum_of(b, n, sum));
}

static void fix(uint8_t *b, uint32_t n, uint8_t op)
{
	uint32_t type, ihl, len;

	if (n < 14 + 20)
		return;
	if (op & 8)
		memcpy(b, op & 4 ? "\2\0\0\0\1\1" : "\2\0\0\0\0\1", 6);
	type = tg_load_be16(b + 12);
	if (type == 0x0800) {
		ihl = (b[14] & 15u) * 4;
		len = tg_load_be16(b + 16);
		if (ihl < 20 || len < ihl || 14 + len > n)
			return;
		if (op & 32)
			fix_upper(b + 14 + ihl, len - ihl, b[23], b + 26, 8);
		if (op & 16) {
			tg_store_be16(b + 24, 0);
			tg_store_be16(b + 24, (uint16_t)~sum_of(b + 14, ihl, 0));
		}
	} else if (type == 0x86dd && n >= 54 && op & 32) {
		len = tg_load_be16(b + 18);
		if (54 + len <= n)
			fix_upper(b + 54, len, b[20], b + 22, 32);
	}
}

static void take_segments(struct tg_seg *s, uint32_t n)
{
	CHECK(n <= TG_NET_BURST);
	segments += n;
	for (uint32_t i = 0; i < n; i++) {
		CHECK(s[i].m->nb_segs == 1 && s[i].hdr_len >= 20);
		CHECK(s[i].m->pkt_len == (uint32_t)s[i].hdr_len + s[i].payload_len);
		CHECK(s[i].m->data_len == s[i].m->pkt_len);
		rte_pktmbuf_free(s[i].m);
	}
}

static const uint8_t *do_frame(uint8_t op, const uint8_t *p, const uint8_t *end)
{
	struct tg_seg out[TG_NET_BURST];
	static uint8_t b[1600];
	struct rte_mbuf *m;
	uint32_t n;

	if (end - p < 2)
		return end;
	n = tg_load_be16(p) % 1519;
	p += 2;
	n = RTE_MIN(n, (uint32_t)(end - p));
	memcpy(b, p, n);
	fix(b, n, op);
	m = op & 64 ? chain(b, n) : exact(b, n);
	take_segments(out, tg_net_input(nets[0], op >> 2 & 1, &m, 1, out));
	return p + n;
}

/* --- the other operations --- */

/* From event to event, as a worker that turns all the time would see them. */
static void pass(uint64_t ns)
{
	uint64_t end = wheel.now + ns;

	while (wheel.now < end) {
		uint64_t next = RTE_MAX(tg_wheel_next(&wheel), wheel.now + 1);

		tg_wheel_advance(&wheel, RTE_MIN(end, next), 0);
	}
}

static void do_output(uint8_t op, uint32_t payload)
{
	static const char *const to[8] = {"10.77.1.2", "fd77:1::2", "10.77.1.254", "8.8.8.8",
		"fe80::ff:fe00:2", "2001:db8::1", "10.77.2.9", "fd77:2::9"};
	struct tg_net *n = nets[op >> 5 & 1];
	struct tg_flow f = {.remote = ip(to[op >> 2 & 7]), .lport = 80, .rport = 40000};
	struct rte_mbuf *m = rte_pktmbuf_alloc(mbufs);
	struct tg_dst d = {0};
	uint8_t *h;

	CHECK(m && tg_net_source(n, &f.remote, &f.local) == 0);
	h = rte_pktmbuf_mtod(m, uint8_t *);
	m->data_len = (uint16_t)(20 + payload);
	m->pkt_len = m->data_len;
	memset(h, 0x50, m->data_len);
	for (uint32_t i = 0; op & 64 && i < KEEP; i++) {
		if (kept[i])
			continue;
		kept[i] = m;
		rte_mbuf_refcnt_update(m, 1);
		break;
	}
	tg_net_output(n, m, &f, 0, &d);
	if (op & 128)
		tg_net_flush(n);
}

static void do_rings(uint8_t op)
{
	struct tg_net *n = nets[op >> 2 & 1];
	struct tg_seg out[TG_NET_BURST];
	struct tg_ip peer = ip("fd77:1::2");
	struct tg_dst d = {0};

	take_segments(out, tg_net_input_steered(n, out));
	if (op & 8)
		tg_net_announce(n);
	if (op & 16)
		tg_net_confirm(n, &peer, &d);
	tg_net_flush(n);
}

static void run(const uint8_t *p, const uint8_t *end)
{
	uint32_t left = 400; /* operations: keeps one input short */

	while (p < end && left--) {
		uint8_t op = *p++, arg = p < end ? *p : 0;

		switch (op & 3) {
		case 0:
			p = do_frame(op, p, end);
			break;
		case 1:
			p += p < end;
			pass(RTE_MIN(((arg >> 4) + UINT64_C(1)) << (arg & 15) * 2,
				     UINT64_C(100000000)) *
				TG_US);
			break;
		case 2:
			p += p < end;
			do_output(op, arg * 6u);
			break;
		default:
			do_rings(op);
		}
		if (left % 8 == 0)
			tg_net_flush(nets[0]);
	}
}

static void check_ledger(void)
{
	uint64_t in = 0, out = segments;

	for (uint32_t w = 0; w < WORKERS; w++) {
		const struct tg_core_stats *s = &stats[w];

		in += s->rx_packets;
		out += s->rx_arp + s->rx_nd + s->rx_icmp + s->rx_absorbed_fragments +
		       s->rx_in_flight;
		for (uint32_t i = 0; i < TG_WHY_MAX; i++)
			if (tg_why_class(i) == TG_WHY_PKT || tg_why_class(i) == TG_WHY_SEG)
				out += s->why[i];
		CHECK(s->why[TG_WHY_none] == 0);
	}
	CHECK(in == out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(stats, 0, sizeof(stats));
	segments = 0;
	run(data, data + size);
	for (uint32_t w = 0; w < WORKERS; w++)
		CHECK(tg_net_validate(nets[w]));
	check_ledger();
	for (uint8_t op = 3; op <= 7; op += 4)
		while (rte_ring_count(rings[op >> 2]))
			do_rings(op);
	for (uint32_t i = 0; i < KEEP; i++) {
		rte_pktmbuf_free(kept[i]);
		kept[i] = NULL;
	}
	pass(1300 * TG_SEC); /* neighbours: 45 s REACHABLE, 600 s STALE; path MTUs: 600 s */
	for (uint32_t w = 0; w < WORKERS; w++) {
		struct tg_net_usage u;

		tg_net_flush(nets[w]);
		tg_net_usage(nets[w], &u);
		CHECK(!u.neighbours && !u.pending && !u.reassembly && !u.pmtu);
		CHECK(tg_net_validate(nets[w]));
	}
	check_ledger();
	CHECK(stats[0].rx_in_flight + stats[1].rx_in_flight == 0);
	CHECK(wheel.running == 0);
	CHECK(rte_mempool_avail_count(mbufs) == POOL);
	return 0;
}
