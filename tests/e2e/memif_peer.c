/* memif_peer.c: the other side of Tidegate's memif ports, which spreads flows over the queues as a
 * NIC does.
 *
 *   memif_peer EAL-ARGUMENTS --vdev net_memif0,... --vdev net_af_packet0,iface=... [--vdev
 *              net_memif1,... ...] -- QUEUES [SHIFT]
 *
 * Carries frames between net_memifN and net_af_packetN. A TCP packet from the kernel's side goes to
 * the queue that Toeplitz over its 4-tuple with the key 6d5a... and a table of 128 entries, filled
 * round robin, says; everything else, and every fragment, goes to queue 0. The hash is DPDK's own
 * rte_softrss(), on purpose: a second opinion about lib/net/steer.c. SHIFT turns the queue's number
 * on by so many, as a device does that has another key.
 *
 * It prints "ready" when both sides are started and, when SIGTERM ends it, how many TCP packets
 * each queue got. One thread, which sleeps when there is nothing to carry.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_thash.h>

#define BURST 32
#define QUEUES_MAX 8
#define CABLES_MAX 4
#define RETA 128
#define KEY_LEN 40
#define RING 1024
#define MBUFS 16384
#define IDLE_NS 50000

struct cable {
	uint16_t memif, kernel;
};

static volatile sig_atomic_t stop;
static uint8_t key[KEY_LEN];
static uint16_t queues, shift;
static uint64_t tcp_packets[QUEUES_MAX], lost;

static void on_signal(int signo)
{
	(void)signo;
	stop = 1;
}

static void die(const char *what, int rc)
{
	fprintf(stderr, "memif_peer: %s: %s\n", what, rte_strerror(-rc));
	exit(1);
}

/* --- the hash --- */

static uint32_t toeplitz(const uint8_t *addrs, uint32_t len, const uint8_t *ports)
{
	uint32_t tuple[9], n = len / 4;

	for (uint32_t i = 0; i < n; i++) {
		memcpy(&tuple[i], addrs + (size_t)4 * i, 4);
		tuple[i] = rte_be_to_cpu_32(tuple[i]);
	}
	memcpy(&tuple[n], ports, 4);
	tuple[n] = rte_be_to_cpu_32(tuple[n]);
	return rte_softrss(tuple, n + 1, key);
}

/* The 4-tuple's hash of a whole TCP packet without options before it: what a NIC parses. */
static bool hash_of(const uint8_t *p, uint32_t len, uint32_t *hash)
{
	uint32_t type = len < 14 ? 0 : (uint32_t)p[12] << 8 | p[13], head;

	if (type == RTE_ETHER_TYPE_IPV4 && len >= 34) {
		head = 14 + (uint32_t)(p[14] & 15) * 4;
		if (p[23] != IPPROTO_TCP || (p[20] & 0x3f) || p[21] || len < head + 4)
			return false;
		*hash = toeplitz(p + 26, 8, p + head);
		return true;
	}
	if (type == RTE_ETHER_TYPE_IPV6 && len >= 58 && p[20] == IPPROTO_TCP) {
		*hash = toeplitz(p + 22, 32, p + 54);
		return true;
	}
	return false;
}

static uint16_t queue_of(const struct rte_mbuf *m)
{
	uint32_t hash;
	uint16_t q;

	if (!hash_of(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &hash))
		return 0;
	q = (uint16_t)((hash % RETA % queues + shift) % queues);
	tcp_packets[q]++;
	return q;
}

/* --- carrying --- */

static void transmit(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent = n ? rte_eth_tx_burst(port, queue, pkts, n) : 0;

	lost += n - sent;
	if (sent < n)
		rte_pktmbuf_free_bulk(pkts + sent, n - sent);
}

static uint32_t to_memif(const struct cable *c)
{
	struct rte_mbuf *in[BURST], *out[QUEUES_MAX][BURST];
	uint16_t n_out[QUEUES_MAX] = {0}, n = rte_eth_rx_burst(c->kernel, 0, in, BURST);

	for (uint16_t i = 0; i < n; i++) {
		uint16_t q = queue_of(in[i]);

		out[q][n_out[q]++] = in[i];
	}
	for (uint16_t q = 0; q < queues; q++)
		transmit(c->memif, q, out[q], n_out[q]);
	return n;
}

static uint32_t to_kernel(const struct cable *c)
{
	struct rte_mbuf *pkts[BURST];
	uint32_t total = 0;

	for (uint16_t q = 0; q < queues; q++) {
		uint16_t n = rte_eth_rx_burst(c->memif, q, pkts, BURST);

		transmit(c->kernel, 0, pkts, n);
		total += n;
	}
	return total;
}

static void carry(const struct cable *cables, uint32_t n)
{
	const struct timespec idle = {.tv_nsec = IDLE_NS};

	while (!stop) {
		uint32_t moved = 0;

		for (uint32_t i = 0; i < n; i++)
			moved += to_memif(&cables[i]) + to_kernel(&cables[i]);
		if (!moved)
			nanosleep(&idle, NULL);
	}
}

/* --- setting up --- */

static void start(uint16_t port, uint16_t n, struct rte_mempool *pool)
{
	struct rte_eth_conf conf = {0};
	int rc = rte_eth_dev_configure(port, n, n, &conf);

	for (uint16_t q = 0; q < n && !rc; q++) {
		rc = rte_eth_rx_queue_setup(port, q, RING, 0, NULL, pool);
		if (!rc)
			rc = rte_eth_tx_queue_setup(port, q, RING, 0, NULL);
	}
	if (!rc)
		rc = rte_eth_dev_start(port);
	if (rc)
		die("a port does not start", rc);
}

static uint32_t start_cables(struct cable *cables)
{
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create("peer", MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	char memif[32], kernel[32];
	uint32_t n = 0;

	if (!pool)
		die("no packet buffers", -rte_errno);
	for (; n < CABLES_MAX; n++) {
		snprintf(memif, sizeof(memif), "net_memif%u", n);
		snprintf(kernel, sizeof(kernel), "net_af_packet%u", n);
		if (rte_eth_dev_get_port_by_name(memif, &cables[n].memif) ||
			rte_eth_dev_get_port_by_name(kernel, &cables[n].kernel))
			break;
		start(cables[n].memif, queues, pool);
		start(cables[n].kernel, 1, pool);
		rte_eth_promiscuous_enable(cables[n].kernel);
	}
	return n;
}

int main(int argc, char **argv)
{
	struct cable cables[CABLES_MAX];
	int used = rte_eal_init(argc, argv);
	uint32_t n;

	if (used < 0)
		die("EAL", -rte_errno);
	argc -= used;
	argv += used;
	queues = argc > 1 ? (uint16_t)atoi(argv[1]) : 0;
	shift = argc > 2 ? (uint16_t)atoi(argv[2]) : 0;
	if (!queues || queues > QUEUES_MAX) {
		fprintf(stderr, "usage: memif_peer EAL-ARGUMENTS -- QUEUES [SHIFT]\n");
		return 1;
	}
	for (uint32_t i = 0; i < KEY_LEN; i += 2) {
		key[i] = 0x6d;
		key[i + 1] = 0x5a;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	n = start_cables(cables);
	printf("ready %u\n", n);
	fflush(stdout);
	carry(cables, n);
	for (uint16_t q = 0; q < queues; q++)
		printf("queue %u: %lu\n", q, (unsigned long)tcp_packets[q]);
	printf("lost: %lu\n", (unsigned long)lost);
	rte_eal_cleanup();
	return 0;
}
