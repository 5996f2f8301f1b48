/* TCP segments out, routes, source addresses, configuration errors. */
#include "rig.h"

static struct rte_mbuf *hello(void)
{
	static const uint8_t h[20] = {0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0x11, 0x12, 0x13, 0x14, 0x50,
		0x18, 2, 0, 0xde, 0xad, 0, 0}; /* a checksum field with rubbish */
	struct rte_mbuf *m = rig_segment(5);

	memcpy(rte_pktmbuf_mtod(m, void *), h, 20);
	memcpy(rte_pktmbuf_mtod_offset(m, char *, 20), "hello", 5);
	return m;
}

static void output(const char *local, const char *remote, uint8_t tos)
{
	struct tg_flow f = {rig_ip(local), rig_ip(remote), 40000, 80};
	struct tg_dst d = {0};

	CU_ASSERT_EQUAL(tg_net_output(rig_net[0], hello(), &f, tos, &d), 0);
	tg_net_flush(rig_net[0]);
}

static void frames_are_as_others_make_them(void)
{
	rig_up();
	rig_know_peer();
	output("10.77.1.1", "10.77.1.2", 2);
	rig_expect(0, "x_tcp4");
	output("fd77:1::1", "fd77:1::2", 1);
	rig_expect(1, "x_tcp6");
	CU_ASSERT_EQUAL(rig_sent[0].ol_flags, 0);
	rig_down();
}

static void a_tag_goes_on_every_frame(void)
{
	uint8_t tagged[64];
	uint32_t n;
	const uint8_t *b = rig_vector("arp_reply", &n);

	rig_init();
	rig_ifs[RIG_NORTH].vlan = 7;
	rig_start(1);
	output("10.77.1.1", "10.77.1.2", 0);
	CU_ASSERT_EQUAL(memcmp(rig_sent[0].b + 12, "\x81\x00\x00\x07\x08\x06", 6), 0);
	memcpy(tagged, b, 12);
	memcpy(tagged + 12, "\x81\x00\x00\x07", 4);
	memcpy(tagged + 16, b + 12, n - 12);
	rig_feed(tagged, n + 4);
	rig_expect(1, "x_tcp4_vlan7");
	rig_down();
}

static uint32_t sum_of(const uint8_t *b, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void devices_may_fill_the_checksums(void)
{
	const struct rig_frame *f = &rig_sent[0];

	rig_init();
	rig_ifs[RIG_NORTH].tx_tcp_csum = rig_ifs[RIG_NORTH].tx_ipv4_csum = true;
	rig_start(1);
	rig_know_peer();
	output("10.77.1.1", "10.77.1.2", 0);
	CU_ASSERT_EQUAL(
		f->ol_flags, RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4);
	CU_ASSERT_EQUAL(f->l2_len, 14);
	CU_ASSERT_EQUAL(f->l3_len, 20);
	CU_ASSERT_EQUAL(f->l4_len, 20);
	CU_ASSERT_EQUAL(tg_load_be16(f->b + 24), 0);
	/* The pseudo header's sum, so that adding up the segment gives the checksum. */
	CU_ASSERT_EQUAL(tg_load_be16(f->b + 14 + 20 + 16), sum_of(f->b + 26, 8, 6 + 25));
	rig_clear();
	output("fd77:1::1", "fd77:1::2", 0);
	CU_ASSERT_EQUAL(f->ol_flags, RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV6);
	CU_ASSERT_EQUAL(f->l3_len, 40);
	CU_ASSERT_EQUAL(tg_load_be16(f->b + 14 + 40 + 16), sum_of(f->b + 22, 32, 6 + 25));
	rig_down();
}

static void no_route_is_no_route(void)
{
	static const char *const remotes[] = {
		"10.77.1.1", "10.77.2.1", "10.77.1.255", "224.0.0.1", "255.255.255.255", "0.0.0.0"};
	static const char *const remotes6[] = {"fd77:2::1", "ff02::1", "::", "fe80::ff:fe00:1"};

	rig_up();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(remotes); i++)
		CU_ASSERT_EQUAL(rig_send("10.77.1.1", remotes[i], 0, NULL), TG_ENOROUTE);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(remotes6); i++)
		CU_ASSERT_EQUAL(rig_send("fe80::ff:fe00:1", remotes6[i], 0, NULL), TG_ENOROUTE);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tx_no_route), 10);
	CU_ASSERT_EQUAL(rig_n_sent, 0);
	rig_down();
	rig_init();
	rig_conf.n_routes = 0;
	rig_start(1);
	CU_ASSERT_EQUAL(rig_send("10.77.1.1", "192.0.2.1", 0, NULL), TG_ENOROUTE);
	CU_ASSERT_EQUAL(rig_send("fd77:1::1", "2001:db8::1", 0, NULL), TG_ENOROUTE);
	rig_down();
}

static void a_full_device_drops_and_counts(void)
{
	struct tg_dst d = {0};

	rig_up();
	rig_know_peer();
	rig_tx_refuse = 2; /* a short hiccup is waited out */
	rig_send("10.77.1.1", "10.77.1.2", 10, &d);
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	rig_tx_refuse = 3;
	rig_send("10.77.1.1", "10.77.1.2", 10, &d);
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tx_ring_full), 1);
	CU_ASSERT_EQUAL(rig_stats[0].tx_packets, 4 + 1);
	rig_down();
}

static void a_long_turn_flushes_by_itself(void)
{
	struct tg_flow f = {rig_ip("10.77.1.1"), rig_ip("10.77.1.2"), 1, 2};
	struct tg_dst d = {0};

	rig_up();
	rig_know_peer();
	for (uint32_t i = 0; i < 100; i++)
		tg_net_output(rig_net[0], rig_segment(i), &f, 0, &d);
	CU_ASSERT_EQUAL(rig_n_sent, 64);
	tg_net_flush(rig_net[0]);
	CU_ASSERT_EQUAL(rig_n_sent, 100);
	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(rig_sent[i].n, 54 + i);
	rig_down();
}

static void segments_out_are_segments_in(void)
{
	/* What we send to the peer, sent back to us with both ends swapped, must be accepted. */
	for (uint32_t payload = 0; payload < 200; payload += 7) {
		uint8_t b[400], t[16];

		rig_up();
		rig_know_peer();
		rig_send("fd77:1::1", "fd77:1::2", payload, NULL);
		memcpy(b, rig_sent[0].b, rig_sent[0].n);
		memcpy(t, b, 6);
		memcpy(b, b + 6, 6);
		memcpy(b + 6, t, 6);
		memcpy(t, b + 22, 16);
		memcpy(b + 22, b + 38, 16);
		memcpy(b + 38, t, 16);
		CU_ASSERT_EQUAL(rig_feed(b, rig_sent[0].n), 1);
		CU_ASSERT_EQUAL(rig_out[0].payload_len, payload);
		rig_free_segs(1);
		rig_down();
	}
}

static void source_is(const char *remote, const char *want)
{
	struct tg_ip r = rig_ip(remote), w = rig_ip(want), got;

	CU_ASSERT_EQUAL(tg_net_source(rig_net[0], &r, &got), 0);
	CU_ASSERT_TRUE(tg_ip_eq(&got, &w));
}

static void sources_fit_the_way_out(void)
{
	struct tg_ip r, got;

	rig_init();
	rig_ifs[RIG_NORTH].n_addrs = 3;
	tg_ip_prefix_parse("192.168.5.1/24", &rig_ifs[RIG_NORTH].addrs[2]);
	rig_start(1);
	source_is("10.77.1.9", "10.77.1.1");
	source_is("192.168.5.9", "192.168.5.1");
	source_is("10.77.2.9", "10.77.2.1");
	source_is("8.8.8.8", "10.77.1.1");
	source_is("fd77:2::9", "fd77:2::1");
	source_is("2001:db8::9", "fd77:1::1");
	source_is("fe80::9", "fe80::ff:fe00:1");
	r = rig_ip("224.0.0.1");
	CU_ASSERT_EQUAL(tg_net_source(rig_net[0], &r, &got), TG_ENOROUTE);
	r = rig_ip("10.77.2.1");
	CU_ASSERT_TRUE(tg_net_is_local(rig_net[0], &r));
	r = rig_ip("fe80::ff:fe00:101");
	CU_ASSERT_TRUE(tg_net_is_local(rig_net[0], &r));
	r = rig_ip("10.77.2.255");
	CU_ASSERT_FALSE(tg_net_is_local(rig_net[0], &r));
	rig_down();
}

static void beyond_a_link_local_router_goes_a_global_source(void)
{
	struct tg_net_route r;
	struct tg_ip remote = rig_ip("2001:db8::9"), got;

	rig_init();
	tg_ip_prefix_parse("::/0", &r.dst);
	r.via = rig_ip("fe80::1");
	rig_conf.routes = &r;
	rig_conf.n_routes = 1;
	rig_conf.n_ifs = 1;
	rig_start(1);
	source_is("2001:db8::9", "fd77:1::1");
	source_is("fe80::1", "fe80::ff:fe00:1");
	rig_down();
	rig_init(); /* a port without a global address has none to send from */
	rig_conf.routes = &r;
	rig_conf.n_routes = 1;
	rig_conf.n_ifs = 1;
	tg_ip_prefix_parse("fe80::2/64", &rig_ifs[0].addrs[1]);
	rig_start(1);
	CU_ASSERT_EQUAL(tg_net_source(rig_net[0], &remote, &got), TG_ENOROUTE);
	rig_down();
}

/* MTU 9000: buffers of another pool, frames of 9014 bytes both ways. */
static void jumbo_frames_go_in_and_out(void)
{
	struct rte_mempool *jumbo = rte_pktmbuf_pool_create(
				   "jumbo", 255, 0, 0, 9216 + 128, SOCKET_ID_ANY),
			   *std;
	uint8_t b[9014], t[16];

	rig_init();
	std = rig_mbufs;
	rig_mbufs = rig_conf.mbufs = jumbo;
	rig_ifs[RIG_NORTH].mtu = 9000;
	rig_start(1);
	rig_know_peer();
	CU_ASSERT_EQUAL(rig_send("fd77:1::1", "fd77:1::2", 8941, NULL), TG_ETOOBIG);
	CU_ASSERT_EQUAL(rig_send("fd77:1::1", "fd77:1::2", 8940, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(rig_sent[0].n, 9014);
	memcpy(b, rig_sent[0].b, 9014);
	memcpy(t, b + 22, 16); /* swapped ends: the pseudo header's sum stays */
	memcpy(b + 22, b + 38, 16);
	memcpy(b + 38, t, 16);
	memcpy(b, "\2\0\0\0\0\1", 6);
	CU_ASSERT_EQUAL(rig_feed(b, 9014), 1);
	CU_ASSERT_EQUAL(rig_out[0].payload_len, 8940);
	rig_free_segs(1);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(jumbo), 255);
	rig_mbufs = std;
	rig_down();
	rte_mempool_free(jumbo);
}

/* --- longest prefix, against a scan of all routes --- */

static struct tg_net_route many[1024];

static const struct tg_net_route *scan(const struct tg_ip *a, uint32_t n)
{
	const struct tg_net_route *best = NULL;

	for (uint32_t i = 0; i < n; i++)
		if (tg_ip_is_v4(a) == tg_ip_is_v4(&many[i].dst.ip) && tg_ip_in(a, &many[i].dst) &&
			(!best || many[i].dst.len > best->dst.len))
			best = &many[i];
	return best;
}

/* A route or address in 10.0.0.0/9 (clear of 10.77 by bit 0x80) or 2001:db8::/32, few bits random,
 * so that prefixes nest. */
static struct tg_ip random_ip(struct tg_rng *r, bool v6)
{
	uint64_t x = tg_rng_next(r);
	struct tg_ip a = v6 ? rig_ip("2001:db8::") : rig_ip("10.128.0.0");

	for (uint32_t i = 0; i < (v6 ? 12u : 3u); i++)
		a.b[(v6 ? 4 : 13) + i] |= (uint8_t)(x >> (i % 8 * 8)) & 0x65;
	return a;
}

static bool make_route(struct tg_rng *r, uint32_t i)
{
	bool v6 = i & 1;
	struct tg_net_route *m = &many[i];

	m->dst.ip = random_ip(r, v6);
	m->dst.len = (uint8_t)((v6 ? 32 : 105) + tg_rng_below(r, v6 ? 97 : 24));
	for (uint32_t bit = m->dst.len; bit < 128; bit++)
		m->dst.ip.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	m->via = rig_ip(v6 ? "fd77:1::1:0" : "10.77.1.0");
	m->via.b[15] = (uint8_t)(2 + i % 250);
	for (uint32_t k = 0; k < i; k++)
		if (many[k].dst.len == m->dst.len && tg_ip_eq(&many[k].dst.ip, &m->dst.ip))
			return false;
	return true;
}

/* The next hop that net asks for when it sends to a; any: no route. */
static struct tg_ip asked_for(const struct tg_ip *a)
{
	struct tg_flow f = {rig_ip("10.77.1.1"), *a, 1, 2};
	struct tg_dst d = {0};
	struct tg_ip hop = {0};

	if (!tg_ip_is_v4(a))
		f.local = rig_ip("fd77:1::1");
	rig_clear();
	if (tg_net_output(rig_net[0], rig_segment(0), &f, 0, &d))
		return hop;
	tg_net_flush(rig_net[0]);
	if (tg_ip_is_v4(a)) {
		hop = rig_ip("10.77.1.0");
		memcpy(&hop.b[12], &rig_sent[0].b[38], 4);
	} else {
		memcpy(hop.b, &rig_sent[0].b[62], 16);
	}
	rig_wait(3100 * TG_MS); /* until it is given up, so that it is asked for again */
	return hop;
}

static void the_longest_prefix_wins(void)
{
	struct tg_rng r;
	uint32_t hits = 0;

	tg_rng_seed(&r, 1);
	rig_init();
	for (uint32_t i = 0; i < 1024;)
		i += make_route(&r, i);
	rig_conf.routes = many;
	rig_conf.n_routes = 1024;
	rig_start(1);
	for (uint32_t i = 0; i < 400; i++) {
		struct tg_ip a = random_ip(&r, i & 1), hop;
		const struct tg_net_route *want = scan(&a, 1024);

		hop = asked_for(&a);
		CU_ASSERT_TRUE(want ? tg_ip_eq(&hop, &want->via) : tg_ip_is_any(&hop));
		hits += want != NULL;
	}
	CU_ASSERT_TRUE(hits > 100);
	rig_down();
}

/* --- configuration --- */

static void refused(const char *words)
{
	struct tg_errbuf e = {
		"",
	};

	rig_conf.stats = &rig_stats[0];
	CU_ASSERT_PTR_NULL(tg_net_create(&rig_conf, &e));
	if (!strstr(e.text, words)) {
		fprintf(stderr, "want \"%s\" in \"%s\"\n", words, e.text);
		CU_FAIL("another text");
	}
	CU_ASSERT_EQUAL(rig_wheel.running, 0);
}

static void mistakes_are_named(void)
{
	struct tg_net_route r;
	struct tg_steer two;

	rig_init();
	rig_ifs[0].mtu = 1279;
	refused("north: MTU 1279");
	rig_init();
	rig_ifs[0].mtu = 9000;
	refused("needs packet buffers of 9146");
	rig_init();
	rig_ifs[1].vlan = 4095;
	refused("south: VLAN 4095");
	rig_init();
	rig_ifs[1].mac[0] = 1;
	refused("south: MAC");
	rig_init();
	rig_ifs[1].ops = NULL;
	refused("nothing to send with");
	rig_init();
	rig_ifs[1].addrs[0] = rig_ifs[0].addrs[0];
	refused("10.77.1.1 is configured twice");
	rig_init();
	tg_ip_prefix_parse("127.0.0.1/8", &rig_ifs[0].addrs[0]);
	refused("127.0.0.1 is no address of a host");
	rig_init();
	tg_ip_prefix_parse("10.77.1.9/24", &rig_ifs[1].addrs[0]);
	refused("two routes to 10.77.1.0/24");
	rig_init();
	rig_conf.n_ifs = 0;
	refused("0 ports");
	rig_init();
	rig_conf.n_routes = 1025;
	refused("1024 is the most");
	rig_init();
	rig_conf.routes = &r;
	rig_conf.n_routes = 1;
	tg_ip_prefix_parse("192.0.2.0/24", &r.dst);
	r.via = rig_ip("10.99.0.1");
	refused("10.99.0.1: the next hop is not a neighbour");
	rig_init();
	rig_conf.routes = &r;
	rig_conf.n_routes = 1;
	r.via = rig_ip("fd77:1::5");
	refused("of the other IP version");
	rig_init();
	rig_conf.routes = &r;
	rig_conf.n_routes = 1;
	tg_ip_prefix_parse("2001:db8::/32", &r.dst);
	r.via = rig_ip("fe80::5");
	refused("on several ports");
	rig_init();
	rig_conf.wheel = NULL;
	refused("a wheel");
	rig_init();
	rig_ifs[1].n_addrs = TG_NETIF_ADDRS_MAX + 1;
	refused("south: more than 32 addresses");
	rig_init();
	rig_ifs[1].n_addrs = TG_NETIF_ADDRS_MAX;
	for (uint32_t i = 2; i < TG_NETIF_ADDRS_MAX; i++) {
		rig_ifs[1].addrs[i] = rig_ifs[1].addrs[0];
		rig_ifs[1].addrs[i].ip.b[15] = (uint8_t)(i + 1);
	}
	refused("south: no room for its link-local address");
	rig_init();
	while (tg_wheel_kind(&rig_wheel, NULL, NULL) >= 0)
		;
	refused("timer kind");
	rig_init();
	tg_steer_init(&two, 2);
	rig_conf.steer = &two;
	rig_conf.steer_rings = NULL;
	refused("steering rings");
}

TG_TEST_MAIN("net output", {"frames are as others make them", frames_are_as_others_make_them},
	{"a tag goes on every frame", a_tag_goes_on_every_frame},
	{"devices may fill the checksums", devices_may_fill_the_checksums},
	{"no route is no route", no_route_is_no_route},
	{"a full device drops and counts", a_full_device_drops_and_counts},
	{"a long turn flushes by itself", a_long_turn_flushes_by_itself},
	{"segments out are segments in", segments_out_are_segments_in},
	{"sources fit the way out", sources_fit_the_way_out},
	{"beyond a link-local router goes a global source",
		beyond_a_link_local_router_goes_a_global_source},
	{"jumbo frames go in and out", jumbo_frames_go_in_and_out},
	{"the longest prefix wins", the_longest_prefix_wins},
	{"mistakes are named", mistakes_are_named})
