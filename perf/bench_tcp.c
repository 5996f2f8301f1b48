/* bench_tcp.c: a connection's lookup, and TCP's fast path: in-order data in, ACKs in, data out.
 *
 * Two stacks in one thread with a wire between them; what is measured is one of them. Segments come
 * in bursts, are of one connection or of many in turn, and are in the caches as far as they fit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>

#include "../tests/eal.h"
#include "bench.h"
#include "stack.h"

#define BURST TG_NET_BURST
#define MBUFS 32767
#define FRAMES 8192
#define CONNS_MOST 4096

struct host {
	struct tg_wheel wheel;
	struct tg_ready ready;
	struct tg_core_stats stats;
	struct tg_net *net;
	struct tg_tcp *tcp;
	struct tg_conn *conn[CONNS_MOST];
	uint32_t n_conns;
	struct rte_mbuf *out[FRAMES]; /* sent, not yet delivered */
	uint32_t n_out;
};

static struct rte_mempool *pool;
static struct host near_, far_; /* the one that is measured, and its peer */
static const struct tg_sockaddr *server;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_tcp: %s\n", what);
	exit(1);
}

static uint16_t device_tx(void *dev, struct rte_mbuf **pkts, uint16_t n)
{
	struct host *h = dev;

	must(h->n_out + n <= FRAMES, "too many frames on the wire");
	memcpy(&h->out[h->n_out], pkts, n * sizeof(*pkts));
	h->n_out += n;
	return n;
}

static void on_conn(struct tg_conn *c, uint32_t ev)
{
	must(!(ev & TG_EV_FAILED), "a connection failed");
}
static const struct tg_conn_user conn_user = {on_conn};

/* Of the listener, and of a connection that is being opened. */
static void on_open(struct tg_conn *c, uint32_t ev)
{
	struct host *h = c->owner;

	must(ev & TG_EV_OPEN, "a connection did not open");
	h->conn[h->n_conns++] = c;
	c->user = &conn_user;
}
static const struct tg_conn_user open_user = {on_open};

static void make_host(struct host *h, const char *address, uint8_t mac)
{
	static const struct tg_netif_ops ops = {.tx = device_tx};
	/* Checksums are the device's, as they are on a NIC. */
	struct tg_netif_conf nif = {.name = "wire",
		.ops = &ops,
		.dev = h,
		.mac = {2, 0, 0, 0, 0, mac},
		.mtu = 1500,
		.rx_ipv4_csum = true,
		.rx_tcp_csum = true,
		.tx_ipv4_csum = true,
		.tx_tcp_csum = true,
		.n_addrs = 1};
	struct tg_net_conf nc = {
		.n_ifs = 1, .ifs = &nif, .mbufs = pool, .wheel = &h->wheel, .stats = &h->stats};
	struct tg_tcp_conf tc = {.max_conns = 2 * CONNS_MOST,
		.max_active = 2 * CONNS_MOST,
		.secret = "a secret of thirty-two bytes...",
		.seed = mac,
		.mbufs = pool,
		.wheel = &h->wheel,
		.ready = &h->ready,
		.stats = &h->stats};
	struct tg_errbuf e;

	tg_wheel_init(&h->wheel, 1000 * TG_SEC);
	tg_ready_init(&h->ready);
	must(!tg_ip_prefix_parse(address, &nif.addrs[0]), "address");
	h->net = tg_net_create(&nc, &e);
	must(h->net, "tg_net_create");
	tc.net = h->net;
	h->tcp = tg_tcp_create(&tc, &e);
	must(h->tcp, "tg_tcp_create");
}

/* What is on its way to h, at most BURST, up to TCP's door. */
static uint32_t arrive(struct host *h, struct tg_seg segs[static BURST])
{
	struct host *from = h == &near_ ? &far_ : &near_;
	uint32_t n = from->n_out < BURST ? from->n_out : BURST;
	struct rte_mbuf *pkts[BURST];

	memcpy(pkts, from->out, n * sizeof(*pkts));
	from->n_out -= n;
	memmove(from->out, from->out + n, from->n_out * sizeof(*pkts));
	for (uint32_t i = 0; i < n; i++) {
		/* As a wire does: one buffer, with nothing said about it but good checksums. */
		must(rte_pktmbuf_linearize(pkts[i]) == 0, "a frame is too long");
		pkts[i]->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	}
	return tg_net_input(h->net, 0, pkts, n, segs);
}

static void act(struct host *h)
{
	tg_ready_drain(&h->ready, 0, tg_tcp_reap, h->tcp);
	tg_wheel_advance(&h->wheel, h->wheel.now, 0);
	tg_tcp_output(h->tcp);
	tg_net_flush(h->net);
}

static void turn(struct host *h)
{
	struct host *from = h == &near_ ? &far_ : &near_;
	struct tg_seg segs[BURST];

	h->wheel.now += 10 * TG_US;
	do {
		uint32_t n = arrive(h, segs);

		tg_tcp_input(h->tcp, segs, n);
	} while (from->n_out);
	act(h);
}

static void settle(void)
{
	do {
		turn(&near_);
		turn(&far_);
	} while (near_.n_out || far_.n_out);
}

static void read_all(struct host *h)
{
	struct tg_view v[64];
	uint32_t cnt;

	for (uint32_t i = 0; i < h->n_conns; i++)
		while ((cnt = tg_conn_peek(h->conn[i], v, 64))) {
			uint32_t n = 0;

			for (uint32_t k = 0; k < cnt; k++)
				n += v[k].n;
			tg_conn_consume(h->conn[i], n);
		}
}

static uint8_t content[64 * 1024];

/* One segment of n bytes on each of BURST connections, from the one at `first` on. */
static void send_burst(struct host *h, uint32_t first, uint32_t n)
{
	const struct tg_view v = tg_view_of(content, n);

	for (uint32_t i = 0; i < BURST; i++)
		must(tg_conn_write(h->conn[(first + i) % h->n_conns], &v, 1) == n, "no room");
}

/* --- what is measured ------------------------------------------------------------------------- */

static void data_in(uint32_t n)
{
	struct tg_seg segs[BURST];
	uint32_t first = 0, got;
	struct bench b;
	char name[80];

	snprintf(name, sizeof(name), "tcp: %u bytes in order in, %u connections", n, near_.n_conns);
	for (bench_begin(&b, name); bench_more(&b); first += BURST) {
		send_burst(&far_, first, n);
		act(&far_);
		near_.wheel.now += 10 * TG_US;
		got = arrive(&near_, segs);
		must(got == BURST, "another number of segments");
		bench_start(&b);
		tg_tcp_input(near_.tcp, segs, got);
		bench_stop(&b, got);
		read_all(&near_);
		settle();
	}
}

static void ack_in(void)
{
	struct tg_seg segs[BURST];
	uint32_t first = 0, got;
	struct bench b;
	char name[80];

	snprintf(name, sizeof(name), "tcp: ACK of a segment in, %u connections", near_.n_conns);
	for (bench_begin(&b, name); bench_more(&b); first += BURST) {
		send_burst(&near_, first, 350);
		act(&near_);
		/* The peer's ACKs, which wait for company: it reads, so that they leave. */
		turn(&far_);
		read_all(&far_);
		for (uint32_t i = 0; i < 100 && far_.n_out < BURST; i++) {
			far_.wheel.now += 5 * TG_MS;
			act(&far_);
		}
		near_.wheel.now += 10 * TG_US;
		got = arrive(&near_, segs);
		must(got == BURST, "another number of ACKs");
		bench_start(&b);
		tg_tcp_input(near_.tcp, segs, got);
		bench_stop(&b, got);
		near_.wheel.now += 50 * TG_MS;
		settle();
	}
}

static void data_out(uint32_t n)
{
	uint32_t first = 0;
	struct bench b;
	char name[80];

	snprintf(name, sizeof(name), "tcp: %u bytes written and sent, %u connections", n,
		near_.n_conns);
	for (bench_begin(&b, name); bench_more(&b); first += BURST) {
		near_.wheel.now += 10 * TG_US;
		bench_start(&b);
		send_burst(&near_, first, n);
		tg_tcp_output(near_.tcp);
		tg_net_flush(near_.net);
		bench_stop(&b, BURST);
		must(near_.n_out == BURST, "another number of segments");
		turn(&far_);
		read_all(&far_);
		far_.wheel.now += 50 * TG_MS;
		settle();
	}
}

static void open_connections(uint32_t n)
{
	static struct tg_tcp_listener l = {.user = &open_user, .owner = &far_};
	struct tg_tcp_dial d = {.user = &open_user, .owner = &near_, .timeout = 10 * TG_SEC};

	if (!server) {
		must(!tg_sockaddr_parse("10.0.0.2:80", &l.addr), "address");
		server = &l.addr;
		must(!tg_tcp_listen(far_.tcp, &l), "listen");
	}
	d.remote = *server;
	while (near_.n_conns < n) {
		struct tg_conn *c;

		must(!tg_tcp_connect(near_.tcp, &d, &c), "connect");
		settle();
		must(near_.n_conns == far_.n_conns, "a connection is open on one side only");
	}
	/* Past slow start's first steps, and quick ACKs. */
	for (uint32_t i = 0; i < n * 32; i += BURST) {
		send_burst(&far_, i, 1000);
		send_burst(&near_, i, 1000);
		settle();
		read_all(&near_);
		read_all(&far_);
		near_.wheel.now += TG_MS;
		far_.wheel.now += TG_MS;
		settle();
	}
}

/* --- the flow table alone --------------------------------------------------------------------- */

static void lookup(uint32_t n)
{
	struct tg_flow *flows = calloc(n + BURST, sizeof(*flows));
	static const uint8_t secret[16] = "sixteen bytes ok";
	struct tg_flow_table t;
	struct tg_rng rng;
	struct bench b;
	char name[80];

	must(flows && !tg_flow_init(&t, n, secret), "flow table");
	tg_flow_keys(&t, TG_FLOW_TCB, flows, sizeof(*flows));
	tg_rng_seed(&rng, 5);
	for (uint32_t i = 0; i < n + BURST; i++) {
		struct tg_ip any = {.b = {[10] = 0xff,
					    [11] = 0xff,
					    [12] = 10,
					    [13] = (uint8_t)(i >> 22),
					    [14] = (uint8_t)(i >> 14),
					    [15] = (uint8_t)(i >> 6)}};

		flows[i] = (struct tg_flow){
			.remote = any, .rport = (uint16_t)(1024 + i % 64), .lport = 80};
		if (i < n)
			must(!tg_flow_insert(
				     &t, tg_flow_hash(&t, &flows[i]), tg_flow_ref(TG_FLOW_TCB, i)),
				"insert");
	}
	snprintf(name, sizeof(name), "flow: lookup in bursts, of %u", n);
	for (bench_begin(&b, name); bench_more(&b);) {
		struct tg_flow f[BURST];
		uint64_t hash[BURST];

		for (uint32_t i = 0; i < BURST; i++)
			f[i] = flows[tg_rng_below(&rng, n)];
		bench_start(&b);
		/* As tg_tcp_input does it. */
		for (uint32_t i = 0; i < BURST; i++) {
			hash[i] = tg_flow_hash(&t, &f[i]);
			tg_flow_prefetch(&t, hash[i]);
		}
		for (uint32_t i = 0; i < BURST; i++) {
			uint32_t ref = tg_flow_guess(&t, hash[i]);

			__builtin_prefetch(&flows[tg_flow_index(ref)]);
		}
		for (uint32_t i = 0; i < BURST; i++)
			bench_keep(tg_flow_find(&t, hash[i], &f[i]));
		bench_stop(&b, BURST);
	}
	snprintf(name, sizeof(name), "flow: lookup of a stranger, of %u", n);
	for (bench_begin(&b, name); bench_more(&b);) {
		bench_start(&b);
		for (uint32_t i = 0; i < BURST; i++)
			bench_keep(
				tg_flow_find(&t, tg_flow_hash(&t, &flows[n + i]), &flows[n + i]));
		bench_stop(&b, BURST);
	}
	tg_flow_fini(&t);
	free(flows);
}

int main(int argc, char **argv)
{
	bench_init(argc, argv);
	must(tg_test_eal(256), "EAL does not start");
	pool = rte_pktmbuf_pool_create("bench", MBUFS, 256, 0, 2176, SOCKET_ID_ANY);
	must(pool, "no packet buffers");
	lookup(1000);
	lookup(bench_counts() ? 100000 : 1000000);
	make_host(&near_, "10.0.0.1/24", 1);
	make_host(&far_, "10.0.0.2/24", 2);
	tg_net_announce(near_.net);
	tg_net_announce(far_.net);
	settle();
	for (uint32_t n = BURST; n <= CONNS_MOST; n *= CONNS_MOST / BURST) {
		open_connections(n);
		data_in(350);
		data_in(1448);
		ack_in();
		data_out(350);
	}
	return bench_end();
}
