/* stack.c: the wire is Tidegate's own: lib/net and lib/tcp on two DPDK ports.
 *
 * One stack with both ports; but when the target is the origin itself, two stacks with one each:
 * the origin's address is on the other side of a cable then, not an own one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_pause.h>

#include <tidegate/net.h>
#include <tidegate/tcp.h>

#include "../../dpdk_app/args.h"
#include "load.h"

#define SIDES 2 /* north: the clients'; south: the origin's */
#define RING 1024
#define MBUFS 65535
#define LINK_SECONDS 20
#define ACTIVE_MAX 65536 /* connections with data under way: more requests than packet buffers */
#define READY_BUDGET 256

struct half {
	struct tg_net *net;
	struct tg_tcp *tcp;
	struct tg_ready *ready;
};

struct stack {
	struct half half[SIDES]; /* clients are of the first, the origin is of the last */
	uint32_t n_halves;
	struct tg_ready ready; /* of the second half: each stack reaps its own */
	struct rte_mempool *mbufs;
	uint16_t port[SIDES];
	struct tg_tcp_listener listener;
};

static uint32_t receive(struct load *l)
{
	struct stack *s = l->wire_state;
	struct rte_mbuf *pkts[TG_NET_BURST];
	struct tg_seg segs[TG_NET_BURST];
	uint32_t total = 0;

	for (uint16_t i = 0; i < SIDES; i++) {
		struct half *h = &s->half[i % s->n_halves];
		uint32_t n = rte_eth_rx_burst(s->port[i], 0, pkts, TG_NET_BURST);

		total += n;
		n = tg_net_input(h->net, i / s->n_halves, pkts, n, segs);
		tg_tcp_input(h->tcp, segs, n);
	}
	if (s->n_halves > 1)
		total += tg_ready_drain(&s->ready, READY_BUDGET, tg_tcp_reap, s->half[1].tcp);
	return total;
}

static void flush(struct load *l)
{
	struct stack *s = l->wire_state;

	for (uint32_t i = 0; i < s->n_halves; i++) {
		tg_tcp_output(s->half[i].tcp);
		tg_net_flush(s->half[i].net);
	}
}

static void rest(struct load *l, uint64_t ns)
{
	(void)l;
	(void)ns;
	rte_pause();
}

/* The i-th address after a. */
static struct tg_ip after(struct tg_ip a, uint32_t i)
{
	uint32_t last;

	memcpy(&last, a.b + 12, sizeof(last));
	last = __builtin_bswap32(__builtin_bswap32(last) + i);
	memcpy(a.b + 12, &last, sizeof(last));
	return a;
}

static int stack_connect(struct load *l, uint32_t address, const struct tg_conn_user *user,
	void *owner, struct tg_conn **out)
{
	struct stack *s = l->wire_state;
	const struct tg_tcp_dial d = {.remote = l->conf.target,
		.local = after(l->conf.client.ip, address),
		.user = user,
		.owner = owner,
		.rcv_buf = LOAD_BUFFER,
		.snd_buf = LOAD_BUFFER};

	return tg_tcp_connect(s->half[0].tcp, &d, out);
}

static int stack_listen(struct load *l, const struct tg_conn_user *user)
{
	struct stack *s = l->wire_state;

	s->listener = (struct tg_tcp_listener){.addr = l->conf.origin,
		.user = user,
		.owner = l,
		.rcv_buf = LOAD_BUFFER,
		.snd_buf = LOAD_BUFFER};
	return tg_tcp_listen(s->half[s->n_halves - 1].tcp, &s->listener);
}

/* --- starting --------------------------------------------------------------------------------- */

static int start_eal(const struct load_conf *c, struct tg_errbuf *e)
{
	struct tg_args a = {0};

	tg_args_split(&a, "tg_load --no-pci --no-huge --no-telemetry --no-shconf --iova-mode=va");
	tg_args_add(&a, "--log-level=*:warning");
	tg_args_add(&a, "--lcores=0@(%d)", c->cpu < 0 ? 0 : c->cpu);
	tg_args_add(&a, "-m%u", c->memory);
	tg_args_add(&a, "--file-prefix=tg_load%d", (int)getpid());
	if (rte_eal_init(a.n, a.v) < 0)
		return tg_fail(e, TG_ESYS, "DPDK does not start: %s", rte_strerror(rte_errno));
	return 0;
}

/* netns: where an interface that the device uses is; NULL: here. */
static int start_port(
	struct stack *s, uint32_t side, const char *device, const char *netns, struct tg_errbuf *e)
{
	const struct rte_eth_conf conf = {0};
	char name[64];
	uint16_t rx = RING, tx = RING;
	int rc;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(device, ","), device);
	if (!load_enter(netns))
		return tg_fail(e, TG_ESYS, "there is no namespace %s", netns);
	rc = rte_dev_probe(device);
	if (!rc)
		rc = rte_eth_dev_get_port_by_name(name, &s->port[side]);
	if (!rc)
		rc = rte_eth_dev_configure(s->port[side], 1, 1, &conf);
	if (!rc)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(s->port[side], &rx, &tx);
	if (!rc)
		rc = rte_eth_rx_queue_setup(
			s->port[side], 0, rx, (unsigned int)SOCKET_ID_ANY, NULL, s->mbufs);
	if (!rc)
		rc = rte_eth_tx_queue_setup(
			s->port[side], 0, tx, (unsigned int)SOCKET_ID_ANY, NULL);
	if (!rc)
		rc = rte_eth_dev_start(s->port[side]);
	if (rc)
		return tg_fail(e, TG_ESYS, "%s does not start: %s", device, rte_strerror(-rc));
	if (rte_eth_allmulticast_enable(s->port[side]))
		rte_eth_promiscuous_enable(s->port[side]);
	return 0;
}

static uint16_t device_tx(void *dev, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_tx_burst(*(const uint16_t *)dev, 0, pkts, n);
}

/* Of a half: its interfaces are the sides from `side` on. */
static int start_net(
	struct load *l, struct stack *s, struct half *of, uint32_t side, struct tg_errbuf *e)
{
	static const struct tg_netif_ops ops = {.tx = device_tx};
	const struct load_conf *c = &l->conf;
	struct tg_netif_conf ifs[SIDES];
	struct tg_net_conf conf = {.n_ifs = SIDES / s->n_halves,
		.ifs = ifs + side,
		.mbufs = s->mbufs,
		.wheel = &l->wheel,
		.stats = l->stats};

	memset(ifs, 0, sizeof(ifs));
	for (uint32_t i = 0; i < SIDES; i++) {
		struct rte_ether_addr mac;

		rte_eth_macaddr_get(s->port[i], &mac);
		memcpy(ifs[i].mac, &mac, sizeof(ifs[i].mac));
		ifs[i].name = i ? "south" : "north";
		ifs[i].ops = &ops;
		ifs[i].dev = &s->port[i];
		ifs[i].mtu = 1500;
	}
	for (uint32_t i = 0; i < c->n_addresses; i++)
		ifs[0].addrs[i] = (struct tg_ip_prefix){after(c->client.ip, i), c->client.len};
	ifs[0].n_addrs = c->n_addresses;
	ifs[1].addrs[0] = (struct tg_ip_prefix){c->origin.ip, c->origin_len};
	ifs[1].n_addrs = 1;
	if (tg_rng_secret(conf.secret, sizeof(conf.secret)))
		return TG_ESYS;
	of->net = tg_net_create(&conf, e);
	return of->net ? 0 : TG_ENOMEM;
}

static int start_tcp(struct load *l, struct stack *s, struct half *of, struct tg_errbuf *e)
{
	uint32_t conns = 2 * l->conf.connections + 1024;
	struct tg_tcp_conf conf = {.max_conns = conns,
		.max_active = conns < ACTIVE_MAX ? conns : ACTIVE_MAX,
		/* So that source ports do not run out. */
		.msl = TG_SEC / 2,
		.net = of->net,
		.mbufs = s->mbufs,
		.wheel = &l->wheel,
		.ready = of->ready,
		.stats = l->stats,
		.seed = l->conf.seed};

	if (tg_rng_secret(conf.secret, sizeof(conf.secret)))
		return TG_ESYS;
	of->tcp = tg_tcp_create(&conf, e);
	return of->tcp ? 0 : TG_ENOMEM;
}

static bool is_direct(const struct load_conf *c)
{
	return c->target.port == c->origin.port &&
	       memcmp(c->target.ip.b, c->origin.ip.b, sizeof(c->origin.ip.b)) == 0;
}

static int start_halves(struct load *l, struct stack *s, struct tg_errbuf *e)
{
	int rc = 0;

	s->n_halves = is_direct(&l->conf) ? SIDES : 1;
	tg_ready_init(&s->ready);
	for (uint32_t i = 0; i < s->n_halves && !rc; i++) {
		struct half *h = &s->half[i];

		h->ready = i ? &s->ready : &l->ready;
		rc = start_net(l, s, h, i, e);
		if (!rc)
			rc = start_tcp(l, s, h, e);
	}
	for (uint32_t i = 0; i < s->n_halves && !rc; i++)
		tg_net_announce(s->half[i].net);
	return rc;
}

static int wait_for_links(const struct stack *s, struct tg_errbuf *e)
{
	uint64_t until = load_now() + LINK_SECONDS * TG_SEC;
	struct rte_eth_link link;
	uint32_t up = 0;

	while (up < SIDES && load_now() < until) {
		up = 0;
		for (uint32_t i = 0; i < SIDES; i++)
			up += rte_eth_link_get_nowait(s->port[i], &link) == 0 && link.link_status;
		rte_delay_us_sleep(1000);
	}
	return up == SIDES ? 0 : tg_fail(e, TG_ESYS, "no link: is the other side there?");
}

const struct load_wire *load_stack_start(struct load *l, struct tg_errbuf *e)
{
	static struct load_wire wire = {.receive = receive,
		.flush = flush,
		.rest = rest,
		.connect = stack_connect,
		.listen = stack_listen,
		.reap = tg_tcp_reap};
	struct stack *s = calloc(1, sizeof(*s));
	const char *device[SIDES] = {l->conf.north, l->conf.south};
	const char *netns[SIDES] = {l->conf.client_netns, l->conf.origin_netns};

	if (!s || start_eal(&l->conf, e))
		return NULL;
	l->wire_state = s;
	s->mbufs = rte_pktmbuf_pool_create(
		"load", MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!s->mbufs) {
		tg_fail(e, TG_ENOMEM, "no memory for packet buffers: more --memory");
		return NULL;
	}
	for (uint32_t i = 0; i < SIDES; i++)
		if (start_port(s, i, device[i], netns[i], e))
			return NULL;
	if (wait_for_links(s, e) || start_halves(l, s, e))
		return NULL;
	wire.reap_ctx = s->half[0].tcp;
	return &wire;
}
