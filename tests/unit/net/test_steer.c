/* Steering: the hash against the definition and DPDK's, two workers that share the packets of one
 * queue. */
#include <rte_thash.h>

#include "rig.h"

/* Toeplitz by its definition: for each set bit of the input, the 32 bits of the key from there. */
static uint32_t toeplitz(const uint8_t *key, const uint8_t *in, uint32_t n)
{
	uint32_t h = 0;

	for (uint32_t bit = 0; bit < n * 8; bit++) {
		uint64_t window = (uint64_t)tg_load_be32(key + bit / 8) << 8 | key[bit / 8 + 4];

		if (in[bit / 8] & 0x80 >> bit % 8)
			h ^= (uint32_t)(window >> (8 - bit % 8));
	}
	return h;
}

static uint32_t tuple(const struct tg_flow *f, uint8_t out[36])
{
	uint32_t n = tg_ip_is_v4(&f->local) ? 4 : 16;

	memcpy(out, &f->remote.b[16 - n], n);
	memcpy(out + n, &f->local.b[16 - n], n);
	tg_store_be16(out + 2 * n, f->rport);
	tg_store_be16(out + 2 * n + 2, f->lport);
	return 2 * n + 4;
}

static void random_flow(struct tg_rng *r, bool v6, struct tg_flow *f)
{
	for (uint32_t i = 0; i < 4; i++) {
		f->local.w[i] = (uint32_t)tg_rng_next(r);
		f->remote.w[i] = (uint32_t)tg_rng_next(r);
	}
	if (!v6) {
		f->local = tg_ip_v4(f->local.w[3]);
		f->remote = tg_ip_v4(f->remote.w[3]);
	}
	f->lport = (uint16_t)tg_rng_next(r);
	f->rport = (uint16_t)tg_rng_next(r);
}

static void the_hash_is_what_devices_compute(void)
{
	struct tg_steer s;
	struct tg_rng r;

	tg_steer_init(&s, 3);
	tg_rng_seed(&r, 1);
	for (uint32_t i = 0; i < 2000; i++) {
		struct tg_flow f, back;
		uint32_t words[9], n;
		uint8_t in[36];

		random_flow(&r, i & 1, &f);
		back = (struct tg_flow){f.remote, f.local, f.rport, f.lport};
		n = tuple(&f, in);
		for (uint32_t k = 0; k < n / 4; k++)
			words[k] = tg_load_be32(in + 4 * k);
		CU_ASSERT_EQUAL(tg_steer_hash(&s, &f), toeplitz(s.key, in, n));
		CU_ASSERT_EQUAL(tg_steer_hash(&s, &f), rte_softrss(words, n / 4, s.key));
		CU_ASSERT_EQUAL(tg_steer_hash(&s, &f), tg_steer_hash(&s, &back));
	}
}

static void flows_spread_over_the_workers(void)
{
	uint32_t count[5] = {0};
	struct tg_steer s;
	struct tg_flow f;

	tg_steer_init(&s, 5);
	f.local = rig_ip("10.77.1.1");
	f.remote = rig_ip("10.77.1.2");
	f.lport = 80;
	for (uint32_t p = 1024; p < 1024 + 10000; p++) {
		f.rport = (uint16_t)p;
		count[tg_steer_owner(&s, &f)]++;
	}
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT_TRUE(count[i] > 1800 && count[i] < 2200);
	tg_steer_init(&s, 1);
	CU_ASSERT_EQUAL(tg_steer_owner(&s, &f), 0);
}

/* A TCP frame of source port `port`, so that its owner can be chosen. The checksum of the vector is
 * kept right by moving the port's change into the sequence number. */
static uint32_t frame_of(uint16_t port, uint8_t *b)
{
	uint32_t n, seq;
	const uint8_t *v = rig_vector("tcp4", &n);

	memcpy(b, v, n);
	seq = tg_load_be16(b + 34 + 6) + 40000u - port; /* low half of seq */
	tg_store_be16(b + 34, port);
	tg_store_be16(b + 34 + 6, (uint16_t)((seq & 0xffff) + (seq >> 16)));
	return n;
}

static uint32_t owner_of(uint16_t port)
{
	struct tg_flow f = {rig_ip("10.77.1.1"), rig_ip("10.77.1.2"), 80, port};
	struct tg_steer s;

	tg_steer_init(&s, RIG_WORKERS);
	return tg_steer_owner(&s, &f);
}

static uint32_t steered(void)
{
	uint32_t n = tg_net_input_steered(rig_net[1], rig_out);

	tg_net_flush(rig_net[1]);
	return n;
}

static void segments_reach_their_owner(void)
{
	uint32_t mine = 0, theirs = 0, n;
	uint8_t b[100];

	rig_init();
	rig_start(2);
	for (uint16_t port = 39000; port < 39040; port++) {
		uint32_t got;

		n = frame_of(port, b);
		got = rig_feed(b, n);
		CU_ASSERT_EQUAL(got, owner_of(port) == 0);
		CU_ASSERT_EQUAL(rig_missing(), got ? 1 : 0);
		mine += got;
		rig_free_segs(got);
		if (got)
			continue;
		CU_ASSERT_EQUAL_FATAL(steered(), 1);
		CU_ASSERT_EQUAL(rig_out[0].flow.rport, port);
		CU_ASSERT_EQUAL(rig_out[0].payload_len, 5);
		CU_ASSERT_EQUAL(rig_out[0].ifidx, RIG_NORTH);
		theirs++;
		rig_free_segs(1);
	}
	CU_ASSERT_TRUE(mine > 10 && theirs > 10);
	CU_ASSERT_EQUAL(rig_stats[0].rx_packets, 40);
	CU_ASSERT_EQUAL(rig_stats[0].rx_steered_out, theirs);
	CU_ASSERT_EQUAL(rig_stats[1].rx_steered_in, theirs);
	CU_ASSERT_EQUAL(rig_stats[1].rx_packets, 0);
	rig_down();
}

static uint16_t foreign_port(void)
{
	uint16_t port = 39000;

	while (owner_of(port) == 0)
		port++;
	return port;
}

static void the_owner_checks_the_checksum(void)
{
	uint8_t b[100];
	uint32_t n;

	rig_init();
	rig_start(2);
	n = frame_of(foreign_port(), b);
	b[n - 1] ^= 1;
	CU_ASSERT_EQUAL(rig_feed(b, n), 0);
	CU_ASSERT_EQUAL(steered(), 0);
	CU_ASSERT_EQUAL(rig_stats[1].why[TG_WHY_tcp_bad_checksum], 1);
	rig_down();
}

static void the_devices_hash_is_used(void)
{
	uint16_t port = foreign_port();
	struct rte_mbuf *m;
	uint8_t b[100];
	uint32_t n;

	rig_init();
	rig_ifs[RIG_NORTH].rx_rss_hash = true;
	rig_start(2);
	n = frame_of(port, b);
	m = rig_mbuf(b, n);
	m->ol_flags = RTE_MBUF_F_RX_RSS_HASH;
	m->hash.rss = 0; /* bucket 0 is ours: the device decided */
	CU_ASSERT_EQUAL(tg_net_input(rig_net[0], RIG_NORTH, &m, 1, rig_out), 1);
	rig_free_segs(1);
	CU_ASSERT_EQUAL(rig_feed(b, n), 0); /* without the flag it is computed */
	CU_ASSERT_EQUAL(steered(), 1);
	rig_free_segs(1);
	rig_down();
}

static void a_full_ring_drops_and_counts(void)
{
	uint8_t b[100];
	uint32_t n;

	rig_init();
	rig_start(2);
	n = frame_of(foreign_port(), b);
	for (uint32_t i = 0; i < 70; i++)
		rig_feed(b, n);
	CU_ASSERT_EQUAL(rig_stats[0].why[TG_WHY_steer_full], 70 - 63);
	CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 63);
	for (uint32_t left = 63; left;) {
		n = steered();
		rig_free_segs(n);
		left -= n;
	}
	CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight + rig_stats[1].rx_in_flight, 0);
	rig_down();
}

static void every_worker_learns_its_neighbours(void)
{
	struct tg_flow f = {rig_ip("fd77:1::1"), rig_ip("fd77:1::2"), 80, 40000};
	struct tg_flow f4 = {rig_ip("10.77.1.1"), rig_ip("10.77.1.2"), 80, 40000};
	struct tg_dst d = {0}, d4 = {0};

	rig_init();
	rig_start(2);
	tg_net_output(rig_net[1], rig_segment(0), &f, 0, &d);
	tg_net_output(rig_net[1], rig_segment(0), &f4, 0, &d4);
	tg_net_flush(rig_net[1]);
	CU_ASSERT_EQUAL(rig_n_sent, 2);
	rig_clear();
	rig_in("na"); /* the answers come to worker 0's queue */
	rig_in("arp_reply");
	CU_ASSERT_EQUAL(rig_stats[0].rx_mirrored, 2);
	CU_ASSERT_EQUAL(rig_n_sent, 0);
	CU_ASSERT_EQUAL(steered(), 0);
	CU_ASSERT_EQUAL(rig_n_sent, 2); /* worker 1 had waited for them */
	rig_clear();
	rig_in("arp_request");
	rig_in("ns");
	CU_ASSERT_EQUAL(steered(), 0);
	CU_ASSERT_EQUAL(rig_n_sent, 2); /* one answer each */
	CU_ASSERT_EQUAL(rig_stats[1].rx_packets + rig_stats[1].rx_arp + rig_stats[1].rx_nd, 0);
	CU_ASSERT_EQUAL(rig_stats[1].rx_steered_in, 0);
	rig_down();
}

static void lost_copies_are_counted(void)
{
	rig_init();
	rig_start(2);
	for (uint32_t i = 0; i < 70; i++)
		rig_in("arp_request");
	CU_ASSERT_EQUAL(rig_stats[0].rx_mirrored, 63);
	CU_ASSERT_EQUAL(rig_stats[0].rx_mirror_lost, 7);
	CU_ASSERT_EQUAL(rig_stats[0].rx_arp, 70);
	for (uint32_t i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(steered(), 0);
	rig_down();
}

static void errors_go_to_the_flows_owner(void)
{
	struct tg_flow f = {rig_ip("10.77.1.1"), rig_ip("10.77.1.2"), 80, 40000};
	struct tg_ip r = f.remote;
	struct tg_steer s;
	uint32_t owner;

	tg_steer_init(&s, RIG_WORKERS);
	owner = tg_steer_owner(&s, &f);
	rig_init();
	rig_start(2);
	rig_in("err4_too_big");
	steered();
	CU_ASSERT_EQUAL(rig_n_errors, 1);
	CU_ASSERT_EQUAL(rig_stats[owner].rx_icmp, 1);
	CU_ASSERT_EQUAL(rig_stats[0].rx_steered_out, owner);
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[owner], &r), 1300);
	rig_down();
}

static void datagrams_are_steered_when_whole(void)
{
	static const char *const names[] = {
		"frag6_2", "frag6_0", "frag6_1", "frag4_1", "frag4_0", "frag4_2"};
	uint32_t got = 0;

	rig_init();
	rig_start(2);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(names); i++) {
		uint32_t n = rig_in(names[i]);

		rig_free_segs(n);
		got += n;
		n = steered();
		if (n) {
			CU_ASSERT_EQUAL(rig_out[0].payload_len, 100);
			CU_ASSERT_EQUAL(rig_out[0].seq, 7);
		}
		rig_free_segs(n);
		got += n;
	}
	CU_ASSERT_EQUAL(got, 2);
	CU_ASSERT_EQUAL(rig_missing(), 0);
	rig_down();
}

TG_TEST_MAIN("net steering", {"the hash is what devices compute", the_hash_is_what_devices_compute},
	{"flows spread over the workers", flows_spread_over_the_workers},
	{"segments reach their owner", segments_reach_their_owner},
	{"the owner checks the checksum", the_owner_checks_the_checksum},
	{"the device's hash is used", the_devices_hash_is_used},
	{"a full ring drops and counts", a_full_ring_drops_and_counts},
	{"every worker learns its neighbours", every_worker_learns_its_neighbours},
	{"lost copies are counted", lost_copies_are_counted},
	{"errors go to the flow's owner", errors_go_to_the_flows_owner},
	{"datagrams are steered when whole", datagrams_are_steered_when_whole})
