/* tg_crowd: the world of outside.h on two DPDK ports, for a running Tidegate.
 *
 *	tg_crowd CLIENTS [EAL arguments: two ports, north first]
 *
 * Reads commands from standard input and answers each with a line:
 *
 *	greet              the gate's addresses are known: "ready"
 *	open FROM TO       handshakes of the clients FROM .. TO-1: "opened N"
 *	ask N AMONG        N requests of random ones of the first AMONG clients: "answered N"
 *	close FROM TO      "closed N"
 *	count              "opened A answered B closed C pushed D repeats E"
 *	quit
 *
 * or with "failed: why". At most WINDOW clients wait for something at any time, so that no ring is
 * ever full: nothing here is sent twice but SYNs, after a second as everywhere.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ethdev.h>

#include "outside.h"

#define WINDOW 128
#define RING 1024
#define BURST 32
#define PATIENCE 30 /* seconds without any progress */

static struct outside out;
static struct rte_mbuf *queue[OUTSIDE_SIDES][RING];
static uint32_t head[OUTSIDE_SIDES], tail[OUTSIDE_SIDES];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void to_gate(void *ctx, enum outside_side side, struct rte_mbuf *m)
{
	(void)ctx;
	if (tail[side] - head[side] == RING) {
		if (!out.failure[0])
			snprintf(out.failure, sizeof(out.failure), "the gate takes no frames");
		rte_pktmbuf_free(m);
		return;
	}
	queue[side][tail[side]++ % RING] = m;
}

/* False: nothing moved. */
static bool move(void)
{
	bool moved = false;

	out.now_ms = (uint32_t)(now() * 1000);
	for (uint16_t side = 0; side < OUTSIDE_SIDES; side++) {
		struct rte_mbuf *m[BURST];
		uint16_t n;

		while (head[side] != tail[side] &&
			rte_eth_tx_burst(side, 0, &queue[side][head[side] % RING], 1)) {
			head[side]++;
			moved = true;
		}
		n = rte_eth_rx_burst(side, 0, m, BURST);
		for (uint16_t i = 0; i < n; i++)
			outside_input(&out, side, m[i]);
		moved |= n > 0;
	}
	return moved;
}

/* Until at most `left` clients wait. */
static bool wait_for(uint32_t left)
{
	double moved = now(), again = moved;

	while (out.pending > left && !out.failure[0]) {
		if (move()) {
			moved = again = now();
		} else if (now() - again > 1) {
			outside_open_again(&out);
			again = now();
		} else if (now() - moved > PATIENCE) {
			snprintf(out.failure, sizeof(out.failure), "%u clients wait in vain",
				out.pending);
		} else {
			usleep(20);
		}
	}
	return !out.failure[0];
}

static uint32_t pick(uint32_t among)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(((x >> 32) * among) >> 32);
}

static void greet(void)
{
	double began = now();

	for (uint32_t i = 0; !outside_ready(&out) && now() - began < PATIENCE; i++) {
		if (i % 10000 == 0)
			outside_greet(&out);
		if (!move())
			usleep(20);
	}
	if (outside_ready(&out))
		printf("ready\n");
	else
		printf("failed: no answer to ARP\n");
}

static void open_clients(uint32_t from, uint32_t to)
{
	uint64_t before = out.opened;

	for (uint32_t i = from; i < to && i < out.conf.clients && wait_for(WINDOW - 1); i++)
		outside_open(&out, i);
	if (wait_for(0))
		printf("opened %llu\n", (unsigned long long)(out.opened - before));
}

static void ask(uint32_t n, uint32_t among)
{
	uint64_t before = out.answered;

	for (uint32_t i = 0; i < n && wait_for(WINDOW - 1); i++) {
		uint32_t c = pick(among);

		while (outside_state(&out, c) != CLIENT_OPEN)
			c = pick(among);
		outside_ask(&out, c, false);
	}
	if (wait_for(0))
		printf("answered %llu\n", (unsigned long long)(out.answered - before));
}

static void close_clients(uint32_t from, uint32_t to)
{
	uint64_t before = out.closed;

	for (uint32_t i = from; i < to && i < out.conf.clients && wait_for(WINDOW - 1); i++)
		outside_close(&out, i);
	if (wait_for(0))
		printf("closed %llu\n", (unsigned long long)(out.closed - before));
}

/* False: the end. */
static bool obey(const char *line)
{
	unsigned int a, b;

	if (strcmp(line, "greet") == 0)
		greet();
	else if (sscanf(line, "open %u %u", &a, &b) == 2)
		open_clients(a, b);
	else if (sscanf(line, "ask %u %u", &a, &b) == 2 && b <= out.conf.clients && b > WINDOW)
		ask(a, b);
	else if (sscanf(line, "close %u %u", &a, &b) == 2)
		close_clients(a, b);
	else if (strcmp(line, "count") == 0)
		printf("opened %llu answered %llu closed %llu pushed %llu repeats %llu\n",
			(unsigned long long)out.opened, (unsigned long long)out.answered,
			(unsigned long long)out.closed, (unsigned long long)out.pushed_out,
			(unsigned long long)out.repeats);
	else
		return false;
	if (out.failure[0])
		printf("failed: %s\n", out.failure);
	fflush(stdout);
	return true;
}

/* The next command, while the ports are served: the gate may ask for addresses at any time. */
static bool command(char *line, size_t cap)
{
	size_t n = 0;

	while (n < cap - 1) {
		struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

		if (poll(&in, 1, move() ? 0 : 1) == 0)
			continue;
		if (read(STDIN_FILENO, &line[n], 1) != 1)
			return false;
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	return true;
}

static bool start_port(uint16_t port, struct rte_mempool *mp)
{
	const struct rte_eth_conf conf = {0};

	return rte_eth_dev_configure(port, 1, 1, &conf) == 0 &&
	       rte_eth_rx_queue_setup(port, 0, RING, 0, NULL, mp) == 0 &&
	       rte_eth_tx_queue_setup(port, 0, RING, 0, NULL) == 0 && rte_eth_dev_start(port) == 0;
}

int main(int argc, char **argv)
{
	struct outside_conf conf = {.checksums = true, .send = to_gate};
	struct rte_mempool *mp;
	char line[128];

	if (argc < 2)
		return fprintf(stderr, "usage: tg_crowd CLIENTS [EAL arguments]\n"), 2;
	conf.clients = (uint32_t)strtoul(argv[1], NULL, 0);
	argv[1] = argv[0];
	if (!conf.clients || conf.clients > OUTSIDE_CLIENTS_MAX ||
		rte_eal_init(argc - 1, argv + 1) < 0)
		return 1;
	mp = rte_pktmbuf_pool_create(
		"crowd", 16383, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	conf.mbufs = mp;
	if (!mp || rte_eth_dev_count_avail() != OUTSIDE_SIDES || !start_port(0, mp) ||
		!start_port(1, mp) || !outside_init(&out, &conf))
		return fprintf(stderr, "tg_crowd: no ports or no memory\n"), 1;
	while (command(line, sizeof(line)) && obey(line))
		;
	for (uint16_t side = 0; side < OUTSIDE_SIDES; side++)
		rte_eth_dev_stop(side);
	outside_fini(&out);
	return rte_eal_cleanup() != 0;
}
