/* Ethernet, VLAN, IP input, TCP segments: what goes up, and the one reason for what does not. */
#include "rig.h"

static const struct {
	const char *name;
	enum tg_why why;
} drops[] = {
	{"bad_eth_short", TG_WHY_eth_short},
	{"bad_eth_host", TG_WHY_eth_other_host},
	{"tcp4_vlan7", TG_WHY_eth_vlan},
	{"bad_vlan_two", TG_WHY_eth_vlan},
	{"bad_vlan_qinq", TG_WHY_eth_vlan},
	{"bad_vlan_short", TG_WHY_eth_vlan},
	{"bad_type", TG_WHY_eth_type},
	{"bad_llc", TG_WHY_eth_type},
	{"bad_arp_off_link", TG_WHY_arp_bad},
	{"bad_arp_op", TG_WHY_arp_bad},
	{"bad_arp_group", TG_WHY_arp_bad},
	{"bad_arp_hlen", TG_WHY_arp_bad},
	{"bad_arp_short", TG_WHY_arp_bad},
	{"bad_na_hops", TG_WHY_nd_bad},
	{"bad_na_group_solicited", TG_WHY_nd_bad},
	{"bad_na_target", TG_WHY_nd_bad},
	{"bad_na_mac", TG_WHY_nd_bad},
	{"bad_ns_off_link", TG_WHY_nd_bad},
	{"bad_ns_dad_mac", TG_WHY_nd_bad},
	{"bad_ns_dad_unicast", TG_WHY_nd_bad},
	{"bad_ns_code", TG_WHY_nd_bad},
	{"bad_ns_option", TG_WHY_nd_bad},
	{"bad_ns_option_long", TG_WHY_nd_bad},
	{"bad_ns_fragment", TG_WHY_nd_bad},
	{"bad_ip4_version", TG_WHY_ip_bad_header},
	{"bad_ip4_ihl", TG_WHY_ip_bad_header},
	{"bad_ip4_len", TG_WHY_ip_bad_header},
	{"bad_ip4_len_short", TG_WHY_ip_bad_header},
	{"bad_ip4_cut", TG_WHY_ip_bad_header},
	{"bad_ip4_checksum", TG_WHY_ip_bad_checksum},
	{"bad_src4_loopback", TG_WHY_ip_bad_source},
	{"bad_src4_group", TG_WHY_ip_bad_source},
	{"bad_src4_class_e", TG_WHY_ip_bad_source},
	{"bad_src4_broadcast", TG_WHY_ip_bad_source},
	{"bad_src4_zero", TG_WHY_ip_bad_source},
	{"bad_src4_own", TG_WHY_ip_bad_source},
	{"bad_src4_own_south", TG_WHY_ip_bad_source},
	{"bad_src4_subnet", TG_WHY_ip_bad_source},
	{"bad_lsrr", TG_WHY_ip_options},
	{"bad_ssrr", TG_WHY_ip_options},
	{"bad_option_len", TG_WHY_ip_options},
	{"bad_option_zero", TG_WHY_ip_options},
	{"bad_dst4", TG_WHY_ip_not_ours},
	{"bad_dst6", TG_WHY_ip_not_ours},
	{"bad_dst6_mapped", TG_WHY_ip_not_ours},
	{"bad_dst6_south_local", TG_WHY_ip_not_ours},
	{"bad_group4", TG_WHY_ip_multicast},
	{"bad_broadcast4", TG_WHY_ip_multicast},
	{"bad_unicast_in_broadcast", TG_WHY_ip_multicast},
	{"echo4_broadcast", TG_WHY_ip_multicast},
	{"bad_group6", TG_WHY_ip_multicast},
	{"bad_group6_tcp", TG_WHY_ip_multicast},
	{"bad_unicast6_in_group", TG_WHY_ip_multicast},
	{"bad_ip6_version", TG_WHY_ip_bad_header},
	{"bad_ip6_len", TG_WHY_ip_bad_header},
	{"bad_ip6_cut", TG_WHY_ip_bad_header},
	{"bad_src6_loopback", TG_WHY_ip_bad_source},
	{"bad_src6_group", TG_WHY_ip_bad_source},
	{"bad_src6_mapped", TG_WHY_ip_bad_source},
	{"bad_src6_own", TG_WHY_ip_bad_source},
	{"bad_src6_any", TG_WHY_ip_bad_source},
	{"none6", TG_WHY_ip_protocol},
	{"bad_option6_silent", TG_WHY_ip6_ext_header},
	{"bad_option6_overrun", TG_WHY_ip6_ext_header},
	{"bad_option6_group", TG_WHY_ip6_ext_header},
	{"bad_ext_many", TG_WHY_ip6_ext_header},
	{"bad_ext_overrun", TG_WHY_ip6_ext_header},
	{"bad_ext_cut", TG_WHY_ip6_ext_header},
	{"bad_ext_long", TG_WHY_ip6_ext_header},
	{"bad_ext_padding", TG_WHY_ip6_ext_header},
	{"bad_fragment_nested", TG_WHY_ip6_ext_header},
	{"bad_icmp4_checksum", TG_WHY_icmp_bad},
	{"bad_icmp4_short", TG_WHY_icmp_bad},
	{"bad_icmp6_checksum", TG_WHY_icmp_bad},
	{"bad_mld_hops", TG_WHY_icmp_bad},
	{"bad_err4_short", TG_WHY_icmp_bad},
	{"echo_reply4", TG_WHY_icmp_ignored},
	{"timestamp4", TG_WHY_icmp_ignored},
	{"echo_reply6", TG_WHY_icmp_ignored},
	{"echo6_group", TG_WHY_icmp_ignored},
	{"ra", TG_WHY_icmp_ignored},
	{"err4_redirect", TG_WHY_icmp_ignored},
	{"err4_quench", TG_WHY_icmp_ignored},
	{"bad_udp_short", TG_WHY_ip_bad_header},
	{"bad_frag4_tiny", TG_WHY_frag_bad},
	{"bad_frag4_at_8", TG_WHY_frag_bad},
	{"bad_frag4_odd", TG_WHY_frag_bad},
	{"bad_frag4_empty", TG_WHY_frag_bad},
	{"bad_frag4_death", TG_WHY_frag_bad},
	{"bad_frag6_group", TG_WHY_frag_bad},
	{"bad_tcp_short", TG_WHY_tcp_bad_header},
	{"bad_tcp_doff", TG_WHY_tcp_bad_header},
	{"bad_tcp_doff_long", TG_WHY_tcp_bad_header},
	{"bad_tcp4_checksum", TG_WHY_tcp_bad_checksum},
	{"bad_tcp6_checksum", TG_WHY_tcp_bad_checksum},
};

static void every_bad_frame_has_its_reason(void)
{
	rig_up();
	rig_know_peer();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(drops); i++) {
		rig_dropped(drops[i].name, drops[i].why);
		if (drops[i].why != TG_WHY_ip6_ext_header && drops[i].why != TG_WHY_ip_protocol)
			CU_ASSERT_EQUAL(rig_n_sent, 0); /* bad input is not answered */
	}
	CU_ASSERT_EQUAL(rig_stats[0].why[TG_WHY_none], 0);
	rig_down();
}

static const struct tg_seg *segment(const char *name)
{
	uint32_t n = rig_in(name);

	CU_ASSERT_EQUAL_FATAL(n, 1);
	return &rig_out[0];
}

static void segments_come_out_parsed(void)
{
	static const char *const names[] = {
		"tcp4", "tcp6", "tcp4_options", "tcp4_prio", "tcp6_ext", "tcp6_atomic"};

	rig_up();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(names); i++) {
		const struct tg_seg *s = segment(names[i]);
		bool v6 = strncmp(names[i], "tcp6", 4) == 0;
		struct tg_ip local = rig_ip(v6 ? "fd77:1::1" : "10.77.1.1");
		struct tg_ip remote = rig_ip(v6 ? "fd77:1::2" : "10.77.1.2");

		CU_ASSERT_TRUE(tg_ip_eq(&s->flow.local, &local));
		CU_ASSERT_TRUE(tg_ip_eq(&s->flow.remote, &remote));
		CU_ASSERT_EQUAL(s->flow.lport, 80);
		CU_ASSERT_EQUAL(s->flow.rport, 40000);
		CU_ASSERT_EQUAL(s->seq, 0x01020304);
		CU_ASSERT_EQUAL(s->ack, 0x11121314);
		CU_ASSERT_EQUAL(s->wnd, 512);
		CU_ASSERT_EQUAL(s->flags, TG_TCP_PSH | TG_TCP_ACK);
		CU_ASSERT_EQUAL(s->hdr_len, 20);
		CU_ASSERT_EQUAL(s->payload_len, 5);
		CU_ASSERT_EQUAL(s->m->pkt_len, 25);
		CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod_offset(s->m, char *, 20), "hello", 5), 0);
		rig_free_segs(1);
	}
	CU_ASSERT_EQUAL(segment("tcp4")->ecn, 2);
	rig_free_segs(1);
	CU_ASSERT_EQUAL(segment("tcp6")->ecn, 1);
	rig_free_segs(1);
	rig_down();
}

static void padding_is_no_payload(void)
{
	rig_up();
	CU_ASSERT_EQUAL(segment("tcp4_padded")->payload_len, 0);
	rig_free_segs(1);
	CU_ASSERT_EQUAL(segment("tcp4_mss")->hdr_len, 32);
	rig_free_segs(1);
	rig_down();
}

static void a_burst_keeps_its_order(void)
{
	struct rte_mbuf *m[TG_NET_BURST];
	uint32_t n, good = 0;
	const uint8_t *b = rig_vector("tcp4", &n);

	rig_up();
	for (uint32_t i = 0; i < TG_NET_BURST; i++) {
		m[i] = rig_mbuf(b, n);
		if (i % 3 == 1) /* cut: a bad one between good ones */
			rte_pktmbuf_trim(m[i], 1);
		else
			good++;
	}
	n = tg_net_input(rig_net[0], RIG_NORTH, m, TG_NET_BURST, rig_out);
	CU_ASSERT_EQUAL(n, good);
	for (uint32_t i = 0, k = 0; i < TG_NET_BURST; i++)
		if (i % 3 != 1)
			CU_ASSERT_PTR_EQUAL(rig_out[k++].m, m[i]);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_ip_bad_header), TG_NET_BURST - good);
	CU_ASSERT_EQUAL(rig_stats[0].rx_packets, TG_NET_BURST);
	rig_free_segs(n);
	rig_down();
}

static void a_port_carries_one_vlan(void)
{
	rig_init();
	rig_ifs[RIG_NORTH].vlan = 7;
	rig_start(1);
	CU_ASSERT_EQUAL(rig_in("tcp4_vlan7"), 1);
	rig_free_segs(1);
	rig_dropped("tcp4", TG_WHY_eth_vlan);
	rig_dropped("tcp4_prio", TG_WHY_eth_vlan);
	rig_down();
}

static void a_tag_taken_by_the_device_counts(void)
{
	uint32_t n;
	const uint8_t *b = rig_vector("tcp4", &n);
	struct rte_mbuf *m;

	rig_init();
	rig_ifs[RIG_NORTH].vlan = 7;
	rig_start(1);
	m = rig_mbuf(b, n);
	m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	m->vlan_tci = 0x6007; /* with a priority */
	CU_ASSERT_EQUAL(tg_net_input(rig_net[0], RIG_NORTH, &m, 1, rig_out), 1);
	rig_free_segs(1);
	rig_down();
}

/* Splits a frame into a chain of parts of `part` bytes. */
static struct rte_mbuf *chain_of(const uint8_t *b, uint32_t n, uint32_t part, uint32_t tailroom)
{
	struct rte_mbuf *head = NULL;

	for (uint32_t at = 0; at < n; at += part) {
		struct rte_mbuf *m = rig_mbuf(b + at, RTE_MIN(part, n - at));

		if (!head) {
			m->data_off = (uint16_t)(m->buf_len - tailroom - m->data_len);
			memcpy(rte_pktmbuf_mtod(m, void *), b, m->data_len);
			head = m;
		} else {
			rte_pktmbuf_chain(head, m);
		}
	}
	return head;
}

static void chains_are_made_one_buffer(void)
{
	uint32_t n;
	const uint8_t *b = rig_vector("tcp4", &n);
	struct rte_mbuf *m;

	rig_up();
	for (uint32_t tailroom = 0; tailroom <= 1000; tailroom += 1000) {
		m = chain_of(b, n, 7, tailroom);
		CU_ASSERT_EQUAL_FATAL(tg_net_input(rig_net[0], RIG_NORTH, &m, 1, rig_out), 1);
		CU_ASSERT_EQUAL(rig_out[0].m->nb_segs, 1);
		CU_ASSERT_EQUAL(rig_out[0].payload_len, 5);
		rig_free_segs(1);
	}
	rig_down();
}

static void too_long_a_chain_is_dropped(void)
{
	static uint8_t b[5000];
	struct rte_mbuf *m, *hold[2048];
	uint32_t n, held = 0;
	const uint8_t *good = rig_vector("tcp4", &n);

	rig_up();
	m = chain_of(b, sizeof(b), 1000, 0);
	CU_ASSERT_EQUAL(tg_net_input(rig_net[0], RIG_NORTH, &m, 1, rig_out), 0);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_rx_too_long), 1);
	m = chain_of(good, n, 7, 0);
	while ((hold[held] = rte_pktmbuf_alloc(rig_mbufs)))
		held++;
	CU_ASSERT_EQUAL(tg_net_input(rig_net[0], RIG_NORTH, &m, 1, rig_out), 0);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_no_mbuf), 1);
	rte_pktmbuf_free_bulk(hold, held);
	rig_down();
}

static uint32_t feed_flags(const char *name, uint64_t flags)
{
	uint32_t n;
	const uint8_t *b = rig_vector(name, &n);
	struct rte_mbuf *m = rig_mbuf(b, n);

	m->ol_flags = flags;
	n = tg_net_input(rig_net[0], RIG_NORTH, &m, 1, rig_out);
	rig_free_segs(n);
	return n;
}

static void device_flags_count_only_if_the_port_says_so(void)
{
	uint64_t l4_good = RTE_MBUF_F_RX_L4_CKSUM_GOOD, l4_bad = RTE_MBUF_F_RX_L4_CKSUM_BAD;
	uint64_t ip_good = RTE_MBUF_F_RX_IP_CKSUM_GOOD, ip_bad = RTE_MBUF_F_RX_IP_CKSUM_BAD;

	rig_up(); /* a device that promises nothing is not believed */
	CU_ASSERT_EQUAL(feed_flags("tcp4", l4_bad | ip_bad), 1);
	CU_ASSERT_EQUAL(feed_flags("bad_tcp4_checksum", l4_good | ip_good), 0);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tcp_bad_checksum), 1);
	rig_down();
	rig_init();
	rig_ifs[RIG_NORTH].rx_tcp_csum = rig_ifs[RIG_NORTH].rx_ipv4_csum = true;
	rig_start(1);
	CU_ASSERT_EQUAL(feed_flags("tcp4", ip_good | l4_bad), 0);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tcp_bad_checksum), 1);
	CU_ASSERT_EQUAL(feed_flags("tcp4", ip_bad | l4_good), 0);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_ip_bad_checksum), 1);
	CU_ASSERT_EQUAL(feed_flags("bad_tcp4_checksum", ip_good | l4_good), 1);
	CU_ASSERT_EQUAL(feed_flags("tcp4", 0), 1); /* "not looked at": computed here */
	CU_ASSERT_EQUAL(feed_flags("bad_tcp4_checksum", 0), 0);
	rig_down();
}

TG_TEST_MAIN("net input", {"every bad frame has its reason", every_bad_frame_has_its_reason},
	{"segments come out parsed", segments_come_out_parsed},
	{"padding is no payload", padding_is_no_payload},
	{"a burst keeps its order", a_burst_keeps_its_order},
	{"a port carries one VLAN", a_port_carries_one_vlan},
	{"a tag taken by the device counts", a_tag_taken_by_the_device_counts},
	{"chains are made one buffer", chains_are_made_one_buffer},
	{"too long a chain is dropped", too_long_a_chain_is_dropped},
	{"device flags count only if the port says so",
		device_flags_count_only_if_the_port_says_so})
