/* Two stacks of ours, each made to believe in bytes that the other never sent: each acknowledges
 * what the other has not sent, and is told so. Without a bound on such answers the two would
 * exchange them as fast as the wire carries them (RFC 5961 sections 5 and 10). */
#include <stdlib.h>

#include <rte_byteorder.h>
#include <rte_mbuf.h>

#include <tidegate/net.h>
#include <tidegate/ready.h>
#include <tidegate/tcp.h>

#include "../../eal.h"
#include "../tgtest.h"

#define PORT 80
#define DELAY TG_MS
#define STEP (TG_MS / 2)
#define SECONDS 20
#define BOUND 10 /* answers that a connection may give to such segments in a second */
#define SAVED 256

struct frame {
	uint64_t at; /* of arrival */
	uint16_t len;
	uint8_t b[1600];
};

struct host {
	struct tg_core_stats stats;
	struct tg_wheel wheel;
	struct tg_ready ready;
	struct tg_net *net;
	struct tg_tcp *tcp;
	struct tg_conn *c;
	uint64_t sent, got; /* frames sent; bytes read */
	struct frame in[SAVED];
	uint32_t head, tail;
	struct frame last; /* with data, that it sent */
};

static struct rte_mempool *pool;
static struct host host[2];

static uint32_t l4_at(const uint8_t *b)
{
	return b[12] == 0x08 ? 34 : 54;
}

static uint32_t payload(const uint8_t *b, uint16_t len)
{
	uint32_t at = l4_at(b);
	uint32_t end = b[12] == 0x08 ? 14u + (uint32_t)(b[16] << 8 | b[17]) : len;

	return b[at - (at == 34 ? 11 : 34)] == 6 ? end - at - (b[at + 12] >> 4) * 4u : 0;
}

static void put_on_wire(struct host *to, const uint8_t *b, uint16_t len, uint64_t at)
{
	struct frame *f = &to->in[to->tail++ % SAVED];

	CU_ASSERT_FATAL(to->tail - to->head <= SAVED && len <= sizeof(f->b));
	f->at = at;
	f->len = len;
	memcpy(f->b, b, len);
}

static uint16_t tx(void *dev, struct rte_mbuf **pkts, uint16_t n)
{
	struct host *h = dev, *peer = &host[h == host];

	for (uint16_t i = 0; i < n; i++) {
		uint8_t b[1600];
		uint16_t len = (uint16_t)rte_pktmbuf_pkt_len(pkts[i]);
		const uint8_t *p = rte_pktmbuf_read(pkts[i], 0, len, b);

		if (p != b)
			memcpy(b, p, len);
		put_on_wire(peer, b, len, h->wheel.now + DELAY);
		if (payload(b, len))
			h->last = peer->in[(peer->tail - 1) % SAVED];
		h->sent++;
		rte_pktmbuf_free(pkts[i]);
	}
	return n;
}

static void on_ready(struct tg_conn *c, uint32_t events)
{
	struct host *h = c->owner ? c->owner : NULL;
	struct tg_view v;

	if (events & TG_EV_OPEN && !h) {
		c->owner = h = &host[1];
		h->c = c;
	}
	while (h && events & TG_EV_READABLE && tg_conn_peek(c, &v, 1)) {
		h->got += v.n;
		tg_conn_consume(c, v.n);
	}
}

static const struct tg_conn_user user = {.on_ready = on_ready};
static struct tg_tcp_listener listener;

static void start(struct host *h, bool v6)
{
	static const struct tg_netif_ops ops = {.tx = tx};
	bool first = h == host;
	struct tg_netif_conf nif = {.name = "if",
		.ops = &ops,
		.dev = h,
		.mac = {2, 0, 0, 0, 0, first ? 1 : 2},
		.mtu = 1500,
		.n_addrs = 1};
	struct tg_errbuf e;

	memset(h, 0, sizeof(*h));
	tg_wheel_init(&h->wheel, 1000 * TG_SEC);
	tg_ready_init(&h->ready);
	tg_ip_prefix_parse(v6 ? (first ? "fd00::1/64" : "fd00::2/64")
			      : (first ? "10.0.0.1/24" : "10.0.0.2/24"),
		&nif.addrs[0]);
	h->net = tg_net_create(&(struct tg_net_conf){.n_ifs = 1,
				       .ifs = &nif,
				       .mbufs = pool,
				       .wheel = &h->wheel,
				       .stats = &h->stats},
		&e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h->net);
	h->tcp = tg_tcp_create(&(struct tg_tcp_conf){.max_conns = 16,
				       .net = h->net,
				       .mbufs = pool,
				       .wheel = &h->wheel,
				       .ready = &h->ready,
				       .stats = &h->stats,
				       .no_timestamps = true,
				       .secret = "a secret of thirty-two bytes..."},
		&e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h->tcp);
}

static void stop(struct host *h)
{
	if (h->c)
		tg_conn_abort(h->c, TG_WHY_conn_aborted);
	tg_ready_drain(&h->ready, 0, tg_tcp_reap, h->tcp);
	CU_ASSERT(tg_tcp_validate(h->tcp));
	tg_tcp_destroy(h->tcp);
	tg_net_destroy(h->net);
}

static void turn(struct host *h)
{
	struct tg_seg segs[TG_NET_BURST];
	struct rte_mbuf *burst[TG_NET_BURST];
	uint32_t n = 0;

	tg_wheel_advance(&h->wheel, h->wheel.now + STEP, 0);
	while (h->head != h->tail && h->in[h->head % SAVED].at <= h->wheel.now &&
		n < TG_NET_BURST) {
		const struct frame *f = &h->in[h->head++ % SAVED];

		burst[n] = rte_pktmbuf_alloc(pool);
		memcpy(rte_pktmbuf_append(burst[n], f->len), f->b, f->len);
		n++;
	}
	n = tg_net_input(h->net, 0, burst, n, segs);
	tg_tcp_input(h->tcp, segs, n);
	tg_ready_drain(&h->ready, 0, tg_tcp_reap, h->tcp);
	tg_tcp_output(h->tcp);
	tg_net_flush(h->net);
}

static void run(uint64_t ns)
{
	for (uint64_t t = 0; t < ns; t += STEP) {
		turn(&host[0]);
		turn(&host[1]);
	}
}

/* What h sent last, once more, with the numbers that would follow: it never sent that. RFC 1624. */
static void forge(struct host *h)
{
	struct frame f = h->last;
	uint32_t at = l4_at(f.b), n = payload(f.b, f.len), seq, sum;

	CU_ASSERT_FATAL(n > 0);
	memcpy(&seq, f.b + at + 4, 4);
	sum = (uint16_t) ~(f.b[at + 16] << 8 | f.b[at + 17]);
	sum += (uint16_t) ~(rte_be_to_cpu_32(seq) >> 16) + (uint16_t)~rte_be_to_cpu_32(seq);
	seq = rte_cpu_to_be_32(rte_be_to_cpu_32(seq) + n);
	sum += (rte_be_to_cpu_32(seq) >> 16) + (uint16_t)rte_be_to_cpu_32(seq);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum;
	memcpy(f.b + at + 4, &seq, 4);
	f.b[at + 16] = (uint8_t)(sum >> 8);
	f.b[at + 17] = (uint8_t)sum;
	put_on_wire(&host[h == host], f.b, f.len, h->wheel.now);
}

static void storm(bool v6)
{
	struct tg_tcp_dial d = {.remote = {.port = PORT}, .user = &user, .owner = &host[0]};
	uint8_t hello[100] = "hello";
	struct tg_view v = tg_view_of(hello, sizeof(hello));
	uint32_t avail = rte_mempool_avail_count(pool);
	uint64_t most[2] = {0, 0};

	start(&host[0], v6);
	start(&host[1], v6);
	listener = (struct tg_tcp_listener){.addr = {.port = PORT}, .user = &user, .backlog = 8};
	tg_ip_parse(v6 ? "fd00::2" : "10.0.0.2", &listener.addr.ip);
	d.remote.ip = listener.addr.ip;
	CU_ASSERT_EQUAL_FATAL(tg_tcp_listen(host[1].tcp, &listener), 0);
	CU_ASSERT_EQUAL_FATAL(tg_tcp_connect(host[0].tcp, &d, &host[0].c), 0);
	run(TG_SEC);
	CU_ASSERT_PTR_NOT_NULL_FATAL(host[1].c);
	tg_conn_write(host[0].c, &v, 1);
	tg_conn_write(host[1].c, &v, 1);
	run(TG_SEC);
	CU_ASSERT_EQUAL(host[0].got, sizeof(hello));
	CU_ASSERT_EQUAL(host[1].got, sizeof(hello));

	forge(&host[0]);
	forge(&host[1]);
	run(TG_MS);
	CU_ASSERT_EQUAL(host[0].got, 2 * sizeof(hello)); /* it is a forgery that nobody can tell */
	CU_ASSERT_EQUAL(host[1].got, 2 * sizeof(hello));
	for (int s = 0; s < SECONDS; s++) {
		uint64_t before[2] = {host[0].sent, host[1].sent};

		run(TG_SEC);
		for (int i = 0; i < 2; i++)
			if (host[i].sent - before[i] > most[i])
				most[i] = host[i].sent - before[i];
	}
	printf("(at most %u and %u segments a second) ", (unsigned int)most[0],
		(unsigned int)most[1]);
	CU_ASSERT(most[0] <= BOUND && most[1] <= BOUND);
	CU_ASSERT(most[0] > 0 || most[1] > 0); /* else nothing happened */

	stop(&host[0]);
	run(0);
	stop(&host[1]);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), avail);
}

static void storm4(void)
{
	storm(false);
}

static void storm6(void)
{
	storm(true);
}

static void setup(void)
{
	CU_ASSERT_FATAL(tg_test_eal(64));
	pool = rte_pktmbuf_pool_create("storm", 2047, 0, 0, 2176, SOCKET_ID_ANY);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
}

TG_TEST_MAIN("storm", {"set up", setup}, {"two stacks of ours over IPv4", storm4},
	{"two stacks of ours over IPv6", storm6})
