#include "rig.h"
#include "../../eal.h"

#include <rte_errno.h>
#include <stdio.h>
#include <stdlib.h>

#define POOL 2047
#define VECTORS_MAX 256

struct rig_frame rig_sent[RIG_FRAMES];
uint32_t rig_n_sent, rig_tx_refuse, rig_n_errors;
bool rig_disbelieve;
struct rte_mempool *rig_mbufs;
struct tg_net_conf rig_conf;
struct tg_netif_conf rig_ifs[2];
struct tg_net *rig_net[RIG_WORKERS];
struct tg_core_stats rig_stats[RIG_WORKERS];
struct tg_wheel rig_wheel;
struct tg_seg rig_out[TG_NET_BURST];
struct tg_icmp_error rig_error;

static struct rte_ring *rings[RIG_WORKERS];
static struct tg_net_route routes[2];
static struct tg_steer steer;
static uint64_t segments; /* that came out: what TCP would count */

static struct {
	char *name;
	uint32_t n;
	uint8_t *b;
} vectors[VECTORS_MAX];
static uint32_t n_vectors;

static uint16_t tx(void *dev, struct rte_mbuf **pkts, uint16_t n)
{
	if (rig_tx_refuse) {
		rig_tx_refuse--;
		return 0;
	}
	for (uint16_t i = 0; i < n; i++) {
		struct rig_frame *f = &rig_sent[rig_n_sent % RIG_FRAMES];

		CU_ASSERT_EQUAL(pkts[i]->nb_segs, 1);
		f->ifidx = (uint32_t)(uintptr_t)dev;
		f->n = pkts[i]->pkt_len;
		f->ol_flags = pkts[i]->ol_flags;
		f->l2_len = pkts[i]->l2_len;
		f->l3_len = pkts[i]->l3_len;
		f->l4_len = pkts[i]->l4_len;
		memcpy(f->b, rte_pktmbuf_mtod(pkts[i], void *), f->n);
		rig_n_sent++;
		rte_pktmbuf_free(pkts[i]);
	}
	return n;
}

static const struct tg_netif_ops ops = {tx};

static bool on_error(void *ctx, const struct tg_icmp_error *e)
{
	rig_error = *e;
	rig_n_errors++;
	return !rig_disbelieve;
}

static void read_vectors(void)
{
	FILE *f = fopen(RIG_VECTORS, "r");
	static char line[20000];

	if (!f)
		exit(2);
	while (fgets(line, sizeof(line), f)) {
		char *hex = strchr(line, ' ');
		uint32_t n;

		if (line[0] == '#' || !hex)
			continue;
		*hex++ = 0;
		n = (uint32_t)strspn(hex, "0123456789abcdef") / 2;
		vectors[n_vectors].name = strdup(line);
		vectors[n_vectors].n = n;
		vectors[n_vectors].b = malloc(n);
		for (uint32_t i = 0; i < n; i++) {
			char two[3] = {hex[2 * i], hex[2 * i + 1], 0};

			vectors[n_vectors].b[i] = (uint8_t)strtoul(two, NULL, 16);
		}
		if (++n_vectors == VECTORS_MAX)
			exit(2);
	}
	fclose(f);
}

static void once(void)
{
	if (!tg_test_eal(64))
		exit(2);
	rig_mbufs = rte_pktmbuf_pool_create(
		"rig", POOL, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	for (uint32_t w = 0; w < RIG_WORKERS; w++) {
		char name[16];

		snprintf(name, sizeof(name), "rig%u", w);
		rings[w] = rte_ring_create(name, 64, SOCKET_ID_ANY, RING_F_SC_DEQ);
	}
	if (!rig_mbufs || !rings[1])
		exit(2);
}

struct tg_ip rig_ip(const char *s)
{
	struct tg_ip a;

	if (tg_ip_parse(s, &a))
		exit(2);
	return a;
}

static void port(uint32_t i, const char *name, const char *v4, const char *v6)
{
	const uint8_t mac[6] = {2, 0, 0, 0, (uint8_t)i, 1};

	rig_ifs[i] = (struct tg_netif_conf){.name = name, .ops = &ops, .mtu = 1500, .n_addrs = 2};
	rig_ifs[i].dev = (void *)(uintptr_t)i;
	memcpy(rig_ifs[i].mac, mac, 6);
	tg_ip_prefix_parse(v4, &rig_ifs[i].addrs[0]);
	tg_ip_prefix_parse(v6, &rig_ifs[i].addrs[1]);
}

void rig_init(void)
{
	static bool done;

	if (!done)
		once();
	done = true;
	memset(rig_stats, 0, sizeof(rig_stats));
	tg_wheel_init(&rig_wheel, 1000 * TG_SEC);
	port(RIG_NORTH, "north", "10.77.1.1/24", "fd77:1::1/64");
	port(RIG_SOUTH, "south", "10.77.2.1/24", "fd77:2::1/64");
	routes[0].via = rig_ip("10.77.1.254");
	tg_ip_prefix_parse("0.0.0.0/0", &routes[0].dst);
	routes[1].via = rig_ip("fd77:1::fe");
	tg_ip_prefix_parse("::/0", &routes[1].dst);
	rig_conf = (struct tg_net_conf){
		.socket = (uint32_t)SOCKET_ID_ANY,
		.n_ifs = 2,
		.ifs = rig_ifs,
		.n_routes = 2,
		.routes = routes,
		.mbufs = rig_mbufs,
		.max_neighbours = 64,
		.max_pending = 32,
		.max_reassembly = 8,
		.max_pmtu = 16,
		.steer_rings = rings,
		.wheel = &rig_wheel,
		.secret = "0123456789abcde",
	};
	rig_tx_refuse = 0;
	rig_n_errors = 0;
	rig_disbelieve = false;
	segments = 0;
	rig_clear();
}

void rig_start(uint32_t workers)
{
	struct tg_errbuf e;

	tg_steer_init(&steer, workers);
	for (uint32_t w = 0; w < workers; w++) {
		rig_conf.worker = w;
		rig_conf.stats = &rig_stats[w];
		rig_conf.steer = workers > 1 ? &steer : NULL;
		rig_net[w] = tg_net_create(&rig_conf, &e);
		if (!rig_net[w]) {
			fprintf(stderr, "%s\n", e.text);
			exit(2);
		}
		tg_net_on_icmp_error(rig_net[w], on_error, NULL);
	}
}

void rig_up(void)
{
	rig_init();
	rig_start(1);
}

int64_t rig_missing(void)
{
	uint64_t in = 0, out = segments;

	for (uint32_t w = 0; w < RIG_WORKERS; w++) {
		const struct tg_core_stats *s = &rig_stats[w];

		in += s->rx_packets;
		out += s->rx_arp + s->rx_nd + s->rx_icmp + s->rx_absorbed_fragments +
		       s->rx_in_flight;
		for (uint32_t i = 0; i < TG_WHY_MAX; i++)
			if (tg_why_class(i) == TG_WHY_PKT || tg_why_class(i) == TG_WHY_SEG)
				out += s->why[i];
	}
	return (int64_t)(in - out);
}

void rig_down(void)
{
	for (uint32_t w = 0; w < RIG_WORKERS && rig_net[w]; w++) {
		struct rte_mbuf *m;

		CU_ASSERT_TRUE(tg_net_validate(rig_net[w]));
		while (rte_ring_dequeue(rings[w], (void **)&m) == 0) {
			rte_pktmbuf_free(m);
			rig_stats[w].rx_in_flight--;
			segments++;
		}
	}
	CU_ASSERT_EQUAL(rig_missing(), 0);
	for (uint32_t w = 0; w < RIG_WORKERS; w++) {
		tg_net_destroy(rig_net[w]);
		rig_net[w] = NULL;
	}
	CU_ASSERT_EQUAL(rig_wheel.running, 0);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(rig_mbufs), POOL);
}

const uint8_t *rig_vector(const char *name, uint32_t *len)
{
	if (!n_vectors)
		read_vectors();
	for (uint32_t i = 0; i < n_vectors; i++) {
		if (strcmp(vectors[i].name, name) == 0) {
			*len = vectors[i].n;
			return vectors[i].b;
		}
	}
	fprintf(stderr, "no vector %s\n", name);
	exit(2);
}

struct rte_mbuf *rig_mbuf(const void *b, uint32_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig_mbufs);

	memcpy(rte_pktmbuf_append(m, (uint16_t)n), b, n);
	return m;
}

uint32_t rig_feed(const void *b, uint32_t n)
{
	struct rte_mbuf *m = rig_mbuf(b, n);
	uint32_t got = tg_net_input(rig_net[0], RIG_NORTH, &m, 1, rig_out);

	tg_net_flush(rig_net[0]);
	return got;
}

uint32_t rig_in(const char *name)
{
	uint32_t n;
	const uint8_t *b = rig_vector(name, &n);

	return rig_feed(b, n);
}

void rig_free_segs(uint32_t n)
{
	segments += n;
	for (uint32_t i = 0; i < n; i++)
		rte_pktmbuf_free(rig_out[i].m);
}

uint64_t rig_why(enum tg_why w)
{
	return rig_stats[0].why[w];
}

void rig_dropped(const char *name, enum tg_why why)
{
	uint64_t before = rig_why(why), segs = rig_in(name);

	if (segs || rig_why(why) != before + 1 || rig_missing() != 0) {
		fprintf(stderr, "%s: not dropped as %s\n", name, tg_why_name(why));
		CU_FAIL("not dropped for the right reason");
	}
	rig_free_segs((uint32_t)segs);
}

void rig_clear(void)
{
	rig_n_sent = 0;
}

/* Takes over the id and the header checksum, after checking that the checksum is right. */
static void copy_ip_id(uint8_t *want, const uint8_t *got)
{
	uint32_t sum = 0;

	if (tg_load_be16(got + 12) != 0x0800 || (got[14] >> 4) != 4 || got[20] & 0x40)
		return;
	for (uint32_t i = 0; i < 20; i += 2)
		sum += tg_load_be16(got + 14 + i);
	sum = (sum & 0xffff) + (sum >> 16);
	CU_ASSERT_EQUAL((sum & 0xffff) + (sum >> 16), 0xffff);
	memcpy(want + 18, got + 18, 2);
	memcpy(want + 24, got + 24, 2);
}

void rig_expect(uint32_t at, const char *name)
{
	const struct rig_frame *f = &rig_sent[at % RIG_FRAMES];
	uint8_t want[2048];
	uint32_t n;
	const uint8_t *b = rig_vector(name, &n);

	if (at >= rig_n_sent) {
		fprintf(stderr, "%s: frame %u was not sent\n", name, at);
		CU_FAIL("frame not sent");
		return;
	}
	memcpy(want, b, n);
	if (f->n >= 34)
		copy_ip_id(want, f->b);
	if (f->n == n && memcmp(want, f->b, n) == 0)
		return;
	fprintf(stderr, "%s: differs\n want", name);
	for (uint32_t i = 0; i < n; i++)
		fprintf(stderr, " %02x", want[i]);
	fprintf(stderr, "\n got ");
	for (uint32_t i = 0; i < f->n; i++)
		fprintf(stderr, " %02x", f->b[i]);
	fprintf(stderr, "\n");
	CU_FAIL("another frame was sent");
}

void rig_wait(uint64_t ns)
{
	const uint64_t step = TG_MS, end = rig_wheel.now + ns;

	/* In steps, as a worker turns: what a timer starts again counts from its own time. */
	while (rig_wheel.now < end)
		tg_wheel_advance(&rig_wheel, RTE_MIN(end, rig_wheel.now + step), 0);
	for (uint32_t w = 0; w < RIG_WORKERS && rig_net[w]; w++)
		tg_net_flush(rig_net[w]);
}

struct rte_mbuf *rig_segment(uint32_t payload)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig_mbufs);
	uint8_t *h = rte_pktmbuf_mtod(m, uint8_t *);

	m->data_len = (uint16_t)(20 + payload);
	m->pkt_len = m->data_len;
	memset(h, 0, 20);
	memset(h + 20, 'x', payload);
	tg_store_be16(h, 80);
	tg_store_be16(h + 2, 40000);
	h[12] = 0x50;
	h[13] = TG_TCP_ACK;
	return m;
}

int rig_send(const char *local, const char *remote, uint32_t payload, struct tg_dst *d)
{
	struct tg_flow f = {rig_ip(local), rig_ip(remote), 80, 40000};
	struct tg_dst none = {0};
	int rc = tg_net_output(rig_net[0], rig_segment(payload), &f, 0, d ? d : &none);

	tg_net_flush(rig_net[0]);
	return rc;
}

void rig_know_peer(void)
{
	CU_ASSERT_EQUAL(rig_send("10.77.1.1", "10.77.1.2", 0, NULL), 0);
	CU_ASSERT_EQUAL(rig_send("fd77:1::1", "fd77:1::2", 0, NULL), 0);
	rig_in("arp_reply");
	rig_in("na");
	CU_ASSERT_EQUAL(rig_n_sent, 4); /* two questions, then the two segments that waited */
	rig_clear();
}
