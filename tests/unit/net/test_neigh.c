/* ARP and neighbour discovery: answers, resolution, unreachability detection, bounds. */
#include "rig.h"

static void arp_is_answered(void)
{
	rig_up();
	rig_in("arp_request");
	rig_expect(0, "x_arp_reply");
	rig_in("arp_probe");
	rig_expect(1, "x_arp_probe_reply");
	rig_in("arp_other"); /* not for us */
	rig_in("arp_reply"); /* nobody asked */
	CU_ASSERT_EQUAL(rig_n_sent, 2);
	CU_ASSERT_EQUAL(rig_stats[0].rx_arp, 4);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 0); /* nothing received makes an entry */
	rig_down();
}

static void nd_is_answered(void)
{
	static const char *const pairs[][2] = {{"ns", "x_na"}, {"ns_unicast", "x_na_unicast"},
		{"ns_dad", "x_na_dad"}, {"ns_link_local", "x_na_link_local"}};

	rig_up();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(pairs); i++) {
		rig_in(pairs[i][0]);
		rig_expect(i, pairs[i][1]);
	}
	rig_in("na"); /* unasked */
	CU_ASSERT_EQUAL(rig_stats[0].rx_nd, 5);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 0);
	rig_down();
}

static void addresses_are_announced(void)
{
	rig_up();
	tg_net_announce(rig_net[0]);
	tg_net_flush(rig_net[0]);
	rig_expect(0, "x_mld_report");
	rig_expect(1, "x_arp_announce");
	CU_ASSERT_EQUAL(rig_n_sent, 8); /* a report and three addresses a port */
	rig_clear();
	rig_in("mld_query");
	rig_expect(0, "x_mld_answer");
	rig_dropped("mld_query", TG_WHY_icmp_rate);
	rig_wait(TG_SEC);
	rig_in("mld_query");
	CU_ASSERT_EQUAL(rig_n_sent, 2);
	rig_down();
}

static void own_addresses_are_defended(void)
{
	rig_up();
	rig_dropped("arp_conflict", TG_WHY_arp_bad);
	rig_expect(0, "x_arp_announce");
	rig_dropped("arp_conflict", TG_WHY_arp_bad); /* once in ten seconds */
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	rig_wait(10 * TG_SEC);
	rig_dropped("arp_conflict", TG_WHY_arp_bad);
	CU_ASSERT_EQUAL(rig_n_sent, 2);
	rig_dropped("na_ours", TG_WHY_nd_bad);
	CU_ASSERT_EQUAL(rig_n_sent, 3);
	rig_down();
}

static void resolve(const char *local, const char *remote, const char *ask, const char *answer,
	const char *sent_first)
{
	struct tg_dst d = {0};

	rig_up();
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(rig_send(local, remote, 0, &d), 0);
	CU_ASSERT_EQUAL(rig_n_sent, 1); /* one question, whatever waits */
	rig_expect(0, ask);
	rig_in(answer);
	CU_ASSERT_EQUAL(rig_n_sent, 4);
	CU_ASSERT_EQUAL(memcmp(rig_sent[1].b, sent_first, 6), 0);
	CU_ASSERT_EQUAL(rig_send(local, remote, 0, &d), 0);
	CU_ASSERT_EQUAL(rig_n_sent, 5);
	CU_ASSERT_EQUAL(rig_stats[0].tx_packets, 5);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 1);
	rig_down();
}

static void a_next_hop_is_resolved(void)
{
	resolve("10.77.1.1", "10.77.1.2", "x_arp_request", "arp_reply", "\2\0\0\0\0\2");
	resolve("fd77:1::1", "fd77:1::2", "x_ns", "na", "\2\0\0\0\0\2");
}

static void a_silent_next_hop_is_given_up(void)
{
	struct tg_dst d = {0};

	rig_up();
	rig_send("10.77.1.1", "10.77.1.2", 0, &d);
	rig_send("10.77.1.1", "10.77.1.2", 0, &d);
	rig_wait(900 * TG_MS);
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	rig_wait(200 * TG_MS);
	CU_ASSERT_EQUAL(rig_n_sent, 2);
	rig_expect(1, "x_arp_request");
	rig_wait(TG_SEC);
	CU_ASSERT_EQUAL(rig_n_sent, 3);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tx_no_neighbour), 0);
	rig_wait(TG_SEC);
	CU_ASSERT_EQUAL(rig_n_sent, 3);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tx_no_neighbour), 2);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 0);
	/* The old hint is void: the next packet asks anew. */
	rig_send("10.77.1.1", "10.77.1.2", 0, &d);
	CU_ASSERT_EQUAL(rig_n_sent, 4);
	rig_down();
}

static void waiting_packets_are_bounded(void)
{
	rig_up();
	for (uint32_t i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(rig_send("10.77.1.1", "10.77.1.2", i, NULL), 0);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tx_pending_full), 2);
	rig_in("arp_reply");
	CU_ASSERT_EQUAL(rig_n_sent, 9);
	CU_ASSERT_EQUAL(rig_sent[1].n, 54 + 2); /* the oldest two were given up */
	CU_ASSERT_EQUAL(rig_sent[8].n, 54 + 9);
	rig_down();
}

static void waiting_packets_are_bounded_in_all(void)
{
	struct tg_net_usage u;
	char remote[16];
	uint32_t refused = 0;

	rig_up(); /* 32 in all */
	for (uint32_t i = 0; i < 5 * 8; i++) {
		snprintf(remote, sizeof(remote), "10.77.1.%u", 10 + i / 8);
		refused += rig_send("10.77.1.1", remote, 0, NULL) == TG_ENOMEM;
	}
	/* The neighbour that was asked first made room for the fifth. */
	CU_ASSERT_EQUAL(refused, 0);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tx_pending_full), 8);
	tg_net_usage(rig_net[0], &u);
	CU_ASSERT_EQUAL(u.pending, 32);
	CU_ASSERT_EQUAL(u.pending_max, 32);
	CU_ASSERT_EQUAL(u.neighbours, 4);
	CU_ASSERT_TRUE(tg_net_validate(rig_net[0]));
	rig_down();
}

static void a_reference_survives_the_wait(void)
{
	struct tg_flow f = {rig_ip("10.77.1.1"), rig_ip("10.77.1.2"), 80, 40000};
	struct rte_mbuf *m;
	struct tg_dst d = {0};

	rig_up();
	m = rig_segment(100);
	rte_mbuf_refcnt_update(m, 1); /* as TCP keeps it for retransmission */
	CU_ASSERT_EQUAL(tg_net_output(rig_net[0], m, &f, 0, &d), 0);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(m), 2);
	rig_in("arp_reply");
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(m), 1);
	rte_pktmbuf_free(m);
	m = rig_segment(100);
	rte_mbuf_refcnt_update(m, 1);
	rig_tx_refuse = 3;
	CU_ASSERT_EQUAL(tg_net_output(rig_net[0], m, &f, 0, &d), 0);
	tg_net_flush(rig_net[0]);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(m), 1);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tx_ring_full), 1);
	rte_pktmbuf_free(m);
	rig_down();
}

static void an_idle_neighbour_is_probed_when_used_again(void)
{
	struct tg_dst d = {0};

	rig_up();
	rig_know_peer();
	rig_send("10.77.1.1", "10.77.1.2", 0, &d);
	rig_wait(46 * TG_SEC); /* REACHABLE lasts 15 .. 45 s */
	rig_clear();
	rig_send("10.77.1.1", "10.77.1.2", 0, &d); /* STALE: used at once ... */
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	rig_wait(4900 * TG_MS);
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	rig_wait(200 * TG_MS); /* ... and asked directly after 5 s */
	rig_expect(1, "x_arp_unicast");
	rig_in("arp_reply");
	rig_wait(10 * TG_SEC);
	CU_ASSERT_EQUAL(rig_n_sent, 2);
	rig_down();
}

static void a_dead_neighbour_is_forgotten(void)
{
	struct tg_dst d = {0};

	rig_up();
	rig_know_peer();
	rig_wait(46 * TG_SEC);
	rig_send("fd77:1::1", "fd77:1::2", 0, &d);
	rig_clear();
	rig_wait(5100 * TG_MS);
	for (int i = 0; i < 5; i++)
		rig_wait(TG_SEC);
	CU_ASSERT_EQUAL(rig_n_sent, 6);
	for (uint32_t i = 0; i < 3; i++) {
		rig_expect(i, "x_ns_probe");
		rig_expect(3 + i, "x_ns"); /* it may have a new address */
	}
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 2);
	rig_wait(TG_SEC);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 1);
	rig_clear();
	rig_send("fd77:1::1", "fd77:1::2", 0, &d);
	rig_expect(0, "x_ns");
	rig_down();
}

static void progress_confirms(void)
{
	struct tg_dst d = {0}, none = {0};
	struct tg_ip peer = rig_ip("10.77.1.2");

	rig_up();
	rig_know_peer();
	rig_send("10.77.1.1", "10.77.1.2", 0, &d);
	rig_clear();
	for (int i = 0; i < 60; i++) { /* without it, five minutes would bring probes */
		rig_wait(5 * TG_SEC);
		tg_net_confirm(rig_net[0], &peer, i % 2 ? &d : &none);
		rig_send("10.77.1.1", "10.77.1.2", 0, &d);
	}
	CU_ASSERT_EQUAL(rig_n_sent, 60);
	rig_down();
}

static void unused_neighbours_age_out(void)
{
	rig_up();
	rig_know_peer();
	rig_wait(500 * TG_SEC);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 2);
	rig_wait(200 * TG_SEC);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 0);
	rig_down();
}

/* Sends and checks which MAC address the frame goes to. */
static void goes_to(const char *local, const char *remote, uint8_t last)
{
	const uint8_t mac[6] = {2, 0, 0, 0, 0, last};

	rig_clear();
	rig_send(local, remote, 0, NULL);
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	CU_ASSERT_EQUAL(memcmp(rig_sent[0].b, mac, 6), 0);
}

/* What is known stays known while its owner answers, whatever others say of it. */
static void a_claim_is_checked(void)
{
	rig_up();
	rig_know_peer();
	for (uint32_t i = 0; i < 50; i++) {
		rig_in("arp_gratuitous");
		rig_in("na_other_override");
		rig_in("na_other_override_solicited");
		goes_to("10.77.1.1", "10.77.1.2", 2);
		goes_to("fd77:1::1", "fd77:1::2", 2);
	}
	rig_clear();
	rig_wait(210 * TG_MS);
	CU_ASSERT_EQUAL(rig_n_sent, 2); /* each is asked, once, directly */
	rig_expect(0, "x_arp_unicast");
	rig_expect(1, "x_ns_probe");
	rig_in("arp_gratuitous");
	rig_in("na_other_override_solicited"); /* not an answer of who was asked */
	rig_in("arp_reply");
	rig_in("na");
	rig_clear();
	rig_wait(10 * TG_SEC);
	CU_ASSERT_EQUAL(rig_n_sent, 0);
	goes_to("10.77.1.1", "10.77.1.2", 2);
	goes_to("fd77:1::1", "fd77:1::2", 2);
	rig_down();
}

/* Nobody is even asked when TCP's progress shows that the address is good. */
static void progress_refutes_a_claim(void)
{
	struct tg_ip peer = rig_ip("10.77.1.2");
	struct tg_dst d = {0};

	rig_up();
	rig_know_peer();
	rig_clear();
	for (uint32_t i = 0; i < 50; i++) {
		rig_in("arp_gratuitous");
		rig_wait(100 * TG_MS);
		tg_net_confirm(rig_net[0], &peer, &d);
	}
	CU_ASSERT_EQUAL(rig_n_sent, 0);
	goes_to("10.77.1.1", "10.77.1.2", 2);
	rig_down();
}

/* A failover: the old owner is silent, so within about a second all are asked, and who answers has
 * it. */
static void a_moved_address_is_followed(void)
{
	rig_up();
	rig_know_peer();
	rig_in("arp_gratuitous");
	rig_in("na_other_override");
	rig_wait(940 * TG_MS);
	goes_to("10.77.1.1", "10.77.1.2", 2);
	goes_to("fd77:1::1", "fd77:1::2", 2);
	rig_clear();
	rig_wait(20 * TG_MS);
	rig_expect(0, "x_ns");
	rig_expect(1, "x_arp_request");
	rig_in("arp_gratuitous");
	rig_in("na_other_override_solicited");
	goes_to("10.77.1.1", "10.77.1.2", 0x99);
	goes_to("fd77:1::1", "fd77:1::2", 0x99);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 2);
	rig_down();
}

static void an_answer_without_address_resolves_nothing(void)
{
	rig_up();
	rig_send("fd77:1::1", "fd77:1::2", 0, NULL);
	rig_in("na_no_mac");
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	rig_in("na_unsolicited"); /* an address without S: usable, but unconfirmed */
	CU_ASSERT_EQUAL(rig_n_sent, 2);
	rig_clear();
	rig_send("fd77:1::1", "fd77:1::2", 0, NULL);
	rig_wait(5100 * TG_MS);
	CU_ASSERT_EQUAL(rig_n_sent, 2);
	rig_expect(1, "x_ns_probe");
	rig_in("na_no_mac"); /* fine now: the address is known */
	rig_wait(10 * TG_SEC);
	CU_ASSERT_EQUAL(rig_n_sent, 2);
	rig_down();
}

/* A flood of made-up addresses: the table stays as large as it is, who is in use stays in it, and a
 * new real one among them still gets its answer. */
static void a_full_table_keeps_what_is_in_use(void)
{
	char remote[16];

	rig_up(); /* 64 entries */
	rig_know_peer();
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(remote, sizeof(remote), "10.77.1.%u", 3 + i % 250);
		CU_ASSERT_EQUAL(rig_send("10.77.1.1", remote, 0, NULL), 0);
		rig_clear();
	}
	CU_ASSERT_TRUE(rig_stats[0].neighbours <= 64);
	CU_ASSERT_TRUE(tg_net_validate(rig_net[0]));
	goes_to("10.77.1.1", "10.77.1.2", 2);
	goes_to("fd77:1::1", "fd77:1::2", 2);
	rig_wait(31 * TG_SEC); /* idle for 30 s: they may go when there is no other */
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(remote, sizeof(remote), "10.77.1.%u", 3 + i);
		CU_ASSERT_EQUAL(rig_send("10.77.1.1", remote, 0, NULL), 0);
		rig_clear();
	}
	rig_send("10.77.1.1", "10.77.1.2", 7, NULL);
	rig_in("arp_reply");
	goes_to("10.77.1.1", "10.77.1.2", 2);
	rig_down();
}

/* The same with room for packets to spare: the table itself is what is short. */
static void a_full_table_gives_up_who_waits_longest(void)
{
	char remote[16];

	rig_init();
	rig_conf.max_pending = 512;
	rig_start(1);
	rig_know_peer();
	for (uint32_t i = 0; i < 62; i++) {
		snprintf(remote, sizeof(remote), "10.77.1.%u", 10 + i);
		rig_send("10.77.1.1", remote, 0, NULL);
	}
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 64);
	CU_ASSERT_EQUAL(rig_send("10.77.1.1", "10.77.1.200", 0, NULL), 0);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tx_neigh_full), 1);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 64);
	CU_ASSERT_TRUE(tg_net_validate(rig_net[0]));
	goes_to("10.77.1.1", "10.77.1.2", 2);
	rig_down();
}

static void routers_are_neighbours_too(void)
{
	rig_up();
	rig_send("10.77.1.1", "192.0.2.9", 0, NULL);
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	CU_ASSERT_EQUAL(memcmp(&rig_sent[0].b[38], "\x0a\x4d\x01\xfe", 4), 0);
	rig_in("arp_reply_254");
	CU_ASSERT_EQUAL(rig_n_sent, 2);
	rig_send("10.77.1.1", "198.51.100.3", 0, NULL); /* the same next hop */
	CU_ASSERT_EQUAL(rig_n_sent, 3);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 1);
	rig_down();
}

static void nothing_to_answer_with(void)
{
	struct rte_mbuf *hold[2048], *m;
	uint32_t held = 0, n;
	const uint8_t *b = rig_vector("arp_request", &n);

	rig_up();
	m = rig_mbuf(b, n);
	while ((hold[held] = rte_pktmbuf_alloc(rig_mbufs)))
		held++;
	tg_net_input(rig_net[0], RIG_NORTH, &m, 1, rig_out);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tx_no_mbuf), 1);
	CU_ASSERT_EQUAL(rig_stats[0].rx_arp, 1);
	rte_pktmbuf_free_bulk(hold, held);
	rig_down();
}

TG_TEST_MAIN("net neighbours", {"ARP is answered", arp_is_answered},
	{"ND is answered", nd_is_answered}, {"addresses are announced", addresses_are_announced},
	{"own addresses are defended", own_addresses_are_defended},
	{"a next hop is resolved", a_next_hop_is_resolved},
	{"a silent next hop is given up", a_silent_next_hop_is_given_up},
	{"waiting packets are bounded", waiting_packets_are_bounded},
	{"waiting packets are bounded in all", waiting_packets_are_bounded_in_all},
	{"a reference survives the wait", a_reference_survives_the_wait},
	{"an idle neighbour is probed when used again",
		an_idle_neighbour_is_probed_when_used_again},
	{"a dead neighbour is forgotten", a_dead_neighbour_is_forgotten},
	{"progress confirms", progress_confirms},
	{"unused neighbours age out", unused_neighbours_age_out},
	{"a claim is checked", a_claim_is_checked},
	{"progress refutes a claim", progress_refutes_a_claim},
	{"a moved address is followed", a_moved_address_is_followed},
	{"an answer without address resolves nothing", an_answer_without_address_resolves_nothing},
	{"a full table keeps what is in use", a_full_table_keeps_what_is_in_use},
	{"a full table gives up who waits longest", a_full_table_gives_up_who_waits_longest},
	{"routers are neighbours too", routers_are_neighbours_too},
	{"nothing to answer with", nothing_to_answer_with})
