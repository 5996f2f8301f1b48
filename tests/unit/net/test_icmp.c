/* Echo of any size, refusals, errors about our packets, path MTU. */
#include "rig.h"

static void echo_is_answered(void)
{
	rig_up();
	rig_know_peer();
	rig_in("echo4");
	rig_expect(0, "x_echo4");
	rig_in("echo6");
	rig_expect(1, "x_echo6");
	CU_ASSERT_EQUAL(rig_stats[0].rx_icmp, 2);
	rig_clear();
	rig_in("echo6_link_local"); /* a neighbour of its own */
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 3);
	rig_down();
}

static void link_local_echo_stays_on_its_port(void)
{
	uint32_t n;
	const uint8_t *b;
	uint8_t answer[200];

	rig_up();
	rig_in("echo6_link_local");
	CU_ASSERT_EQUAL(rig_sent[0].ifidx, RIG_NORTH);
	b = rig_vector("ns_link_local", &n); /* the peer's own question tells its address */
	memcpy(answer, b, n);
	rig_feed(answer, n);
	rig_expect(1, "x_echo6_link_local");
	rig_expect(2, "x_na_link_local");
	rig_down();
}

/* An echo request of `size` data bytes, cut for an MTU of 1500; fed in the given order. */
static uint8_t echo[70000], frame[1600];

static uint16_t sum_of(const uint8_t *b, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint32_t pseudo6(uint32_t len)
{
	uint32_t n;
	const uint8_t *b = rig_vector("echo6", &n);

	return sum_of(b + 14 + 8, 32, 0) + (len >> 16) + (len & 0xffff) + 58;
}

static void build_echo(uint32_t size, bool v6)
{
	memset(echo, 0, 8);
	echo[0] = v6 ? 128 : 8;
	for (uint32_t i = 0; i < size; i++)
		echo[8 + i] = (uint8_t)(i * 7 + (i >> 8));
	tg_store_be16(echo + 2, (uint16_t)~sum_of(echo, 8 + size, v6 ? pseudo6(8 + size) : 0));
}

static void feed_part(uint32_t off, uint32_t len, bool more, bool v6)
{
	uint32_t n, hdr = v6 ? 14 + 40 + 8 : 14 + 20;

	memcpy(frame, rig_vector(v6 ? "echo6" : "echo4", &n), 14 + (v6 ? 40 : 20));
	if (v6) {
		tg_store_be16(frame + 18, (uint16_t)(8 + len));
		frame[20] = 44;
		frame[54] = 58;
		frame[55] = 0;
		tg_store_be16(frame + 56, (uint16_t)(off | more));
		tg_store_be32(frame + 58, 0x1234567);
	} else {
		tg_store_be16(frame + 16, (uint16_t)(20 + len));
		tg_store_be16(frame + 20, (uint16_t)(off / 8 | (more ? 0x2000 : 0)));
		tg_store_be16(frame + 24, 0);
		tg_store_be16(frame + 24, (uint16_t)~sum_of(frame + 14, 20, 0));
	}
	memcpy(frame + hdr, echo + off, len);
	rig_feed(frame, hdr + len);
}

/* Puts the reply's frames together again and compares. */
static void expect_echo(uint32_t size, uint32_t mtu, bool v6)
{
	static uint8_t got[70000];
	uint32_t at = 0, hdr = v6 ? 14 + 40 + 8 : 14 + 20;

	for (uint32_t i = 0; i < rig_n_sent; i++) {
		const struct rig_frame *f = &rig_sent[i];
		uint32_t off = v6 ? tg_load_be16(f->b + 56) & 0xfff8
				  : (tg_load_be16(f->b + 20) & 0x1fffu) * 8;
		bool more = v6 ? f->b[57] & 1 : f->b[20] & 0x20;

		CU_ASSERT_TRUE(f->n <= 14 + mtu);
		CU_ASSERT_EQUAL(more, i + 1 < rig_n_sent);
		CU_ASSERT_EQUAL(off, at);
		if (v6) {
			CU_ASSERT_EQUAL(memcmp(f->b + 58, rig_sent[0].b + 58, 4), 0);
			CU_ASSERT_EQUAL(f->b[20], 44);
			CU_ASSERT_EQUAL(tg_load_be16(f->b + 18), f->n - 54);
		} else {
			CU_ASSERT_EQUAL(memcmp(f->b + 18, rig_sent[0].b + 18, 2), 0);
			CU_ASSERT_EQUAL(sum_of(f->b + 14, 20, 0), 0xffff);
			CU_ASSERT_EQUAL(tg_load_be16(f->b + 16), f->n - 14);
		}
		memcpy(got + at, f->b + hdr, f->n - hdr);
		at += f->n - hdr;
	}
	CU_ASSERT_EQUAL_FATAL(at, 8 + size);
	CU_ASSERT_EQUAL(got[0], v6 ? 129 : 0);
	CU_ASSERT_EQUAL(sum_of(got, at, v6 ? pseudo6(at) : 0), 0xffff);
	CU_ASSERT_EQUAL(memcmp(got + 8, echo + 8, size), 0);
}

static void big_echo(uint32_t size, bool v6, uint32_t each)
{
	uint32_t total = 8 + size, parts = (total + each - 1) / each;

	rig_clear();
	build_echo(size, v6);
	for (uint32_t k = 0; k < parts; k++) { /* the even ones, then the odd ones backwards */
		uint32_t half = (parts + 1) / 2;
		uint32_t i = k < half ? 2 * k : 2 * (parts - 1 - k) + 1;

		feed_part(i * each, RTE_MIN(each, total - i * each), i + 1 < parts, v6);
	}
	expect_echo(size, 1500, v6);
}

static void big_echoes_are_answered_in_fragments(void)
{
	rig_init();
	rig_conf.max_reassembly = 16;
	rig_start(1);
	rig_know_peer();
	for (uint32_t v6 = 0; v6 < 2; v6++) {
		big_echo(8000, v6, v6 ? 1448 : 1480);
		big_echo(1473, v6, 1448); /* just over the MTU */
		big_echo(9001, v6, 1448);
		big_echo(60000, v6, 1448);
		CU_ASSERT_EQUAL(rig_missing(), 0);
	}
	CU_ASSERT_EQUAL(rig_stats[0].rx_icmp, 8);
	CU_ASSERT_EQUAL(rig_stats[0].rx_reassembled, 8);
	CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 0);
	rig_down();
}

/* Came in fragments (of a smaller path), goes back whole. */
static void small_pieces_are_answered_whole(void)
{
	rig_up();
	rig_know_peer();
	build_echo(92, false);
	for (uint32_t off = 0; off < 100; off += 24)
		feed_part(off, RTE_MIN(24u, 100 - off), off + 24 < 100, false);
	expect_echo(92, 1500, false);
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	rig_clear();
	build_echo(92, true);
	for (uint32_t off = 0; off < 100; off += 24)
		feed_part(off, RTE_MIN(24u, 100 - off), off + 24 < 100, true);
	CU_ASSERT_EQUAL(rig_n_sent, 1);
	CU_ASSERT_EQUAL(rig_sent[0].b[20], 58); /* no fragment header */
	CU_ASSERT_EQUAL(sum_of(rig_sent[0].b + 54, 100, pseudo6(100)), 0xffff);
	rig_down();
}

static void a_big_echo_with_a_wrong_checksum_is_dropped(void)
{
	rig_up();
	build_echo(3000, false);
	echo[2000] ^= 1;
	feed_part(0, 1480, true, false);
	feed_part(1480, 1480, true, false);
	feed_part(2960, 48, false, false);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_icmp_bad), 1);
	CU_ASSERT_EQUAL(rig_stats[0].rx_absorbed_fragments, 2);
	CU_ASSERT_EQUAL(rig_n_sent, 0);
	rig_down();
}

static void refusals_are_sent(void)
{
	static const struct {
		const char *in, *out;
		enum tg_why why;
	} t[] = {
		{"udp4", "x_udp4", TG_WHY_udp_closed},
		{"udp6", "x_udp6", TG_WHY_udp_closed},
		{"udp4_big", "x_udp4_big", TG_WHY_udp_closed},
		{"sctp4", "x_sctp4", TG_WHY_ip_protocol},
		{"sctp6", "x_sctp6", TG_WHY_ip_protocol},
		{"bad_rh0", "x_bad_rh0", TG_WHY_ip6_ext_header},
		{"bad_hbh_late", "x_bad_hbh_late", TG_WHY_ip_protocol},
		{"bad_option6", "x_bad_option6", TG_WHY_ip6_ext_header},
		{"bad_option6_group_told", "x_bad_option6_group_told", TG_WHY_ip6_ext_header},
		{"bad_frag6_odd", "x_bad_frag6_odd", TG_WHY_frag_bad},
		{"bad_frag6_death", "x_bad_frag6_death", TG_WHY_frag_bad},
	};

	rig_up();
	rig_know_peer();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		rig_dropped(t[i].in, t[i].why);
		rig_expect(i, t[i].out);
	}
	CU_ASSERT_EQUAL(rig_n_sent, TG_ARRAY_LEN(t));
	rig_down();
}

static void errors_are_limited(void)
{
	rig_up();
	rig_know_peer();
	for (uint32_t i = 0; i < 60; i++)
		rig_in("udp4");
	CU_ASSERT_EQUAL(rig_n_sent, 50);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_udp_closed), 50);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_icmp_rate), 10);
	rig_wait(5 * TG_MS);
	for (uint32_t i = 0; i < 60; i++)
		rig_in("udp6");
	CU_ASSERT_EQUAL(rig_n_sent, 55);
	rig_down();
}

static void echoes_are_limited(void)
{
	rig_up();
	rig_know_peer();
	for (uint32_t i = 0; i < 3000; i++)
		rig_in("echo4");
	CU_ASSERT_EQUAL(rig_stats[0].rx_icmp, 2000);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_icmp_rate), 1000);
	rig_down();
}

static void told(const char *name, uint32_t kind, uint16_t mtu)
{
	bool v6 = strncmp(name, "err6", 4) == 0;
	struct tg_ip local = rig_ip(v6 ? "fd77:1::1" : "10.77.1.1");
	struct tg_ip remote = rig_ip(v6 ? "fd77:1::2" : "10.77.1.2");
	uint32_t before = rig_n_errors;

	rig_in(name);
	CU_ASSERT_EQUAL(rig_n_errors, before + 1);
	CU_ASSERT_EQUAL(rig_error.kind, kind);
	CU_ASSERT_EQUAL(rig_error.seq, 0xa1a2a3a4);
	CU_ASSERT_EQUAL(rig_error.flow.lport, 80);
	CU_ASSERT_EQUAL(rig_error.flow.rport, 40000);
	CU_ASSERT_TRUE(tg_ip_eq(&rig_error.flow.local, &local));
	CU_ASSERT_TRUE(tg_ip_eq(&rig_error.flow.remote, &remote));
	if (mtu)
		CU_ASSERT_EQUAL(rig_error.mtu, mtu);
}

static void errors_are_told_to_tcp(void)
{
	rig_up();
	told("err4_port", TG_ICMP_HARD, 0);
	told("err4_host", TG_ICMP_SOFT, 0);
	told("err4_ttl", TG_ICMP_SOFT, 0);
	told("err6_port", TG_ICMP_HARD, 0);
	told("err6_route", TG_ICMP_SOFT, 0);
	told("err6_next_header", TG_ICMP_HARD, 0);
	CU_ASSERT_EQUAL(rig_stats[0].rx_icmp, 6);
	rig_dropped("err4_other", TG_WHY_icmp_ignored);
	CU_ASSERT_EQUAL(rig_n_errors, 6);
	CU_ASSERT_EQUAL(rig_n_sent, 0);
	rig_dropped("err4_in_bad_protocol", TG_WHY_icmp_bad);
	CU_ASSERT_EQUAL(rig_n_sent, 0);
	rig_down();
}

static void path_mtu_is_learnt_and_forgotten(void)
{
	struct tg_ip r4 = rig_ip("10.77.1.2"), r6 = rig_ip("fd77:1::2");
	struct tg_ip other = rig_ip("10.77.1.3"), nowhere = rig_ip("127.0.0.1");

	rig_up();
	rig_know_peer();
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r4), 1500);
	told("err4_too_big", TG_ICMP_TOO_BIG, 1300);
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r4), 1300);
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &other), 1500);
	told("err6_too_big", TG_ICMP_TOO_BIG, 1400);
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r6), 1400);
	rig_dropped("err6_too_big_tiny", TG_WHY_icmp_ignored); /* RFC 8201 section 4 */
	rig_dropped("err4_too_big_larger", TG_WHY_icmp_ignored);
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r4), 1300);
	rig_in("err6_echo_too_big"); /* about an echo reply: nobody is told, TCP does not care */
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r6), 1400);
	CU_ASSERT_EQUAL(rig_n_errors, 2);
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &nowhere), 1500); /* the default route's port */
	rig_wait(601 * TG_SEC);
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r4), 1500);
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r6), 1500);
	told("err4_too_big_0", TG_ICMP_TOO_BIG, 1006); /* the plateau below 1440 is 1006 */
	told("err4_too_big_tiny", TG_ICMP_TOO_BIG, 552);
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r4), 552);
	rig_down();
}

/* RFC 5927: who does not know what is in flight does not shrink a path. */
static void path_mtu_is_not_learnt_from_the_blind(void)
{
	struct tg_ip r4 = rig_ip("10.77.1.2"), r6 = rig_ip("fd77:1::2");
	struct tg_net_usage u;

	rig_up();
	rig_know_peer();
	rig_disbelieve = true;
	rig_dropped("err4_too_big", TG_WHY_icmp_ignored);
	rig_dropped("err6_too_big", TG_WHY_icmp_ignored);
	rig_dropped("err4_host", TG_WHY_icmp_ignored);
	CU_ASSERT_EQUAL(rig_n_errors, 3);
	tg_net_usage(rig_net[0], &u);
	CU_ASSERT_EQUAL(u.pmtu, 0);
	rig_in("err6_echo_too_big"); /* 1300; only echoes keep to it */
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r4), 1500);
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r6), 1500);
	tg_net_usage(rig_net[0], &u);
	CU_ASSERT_EQUAL(u.pmtu, 1);
	CU_ASSERT_TRUE(tg_net_validate(rig_net[0]));
	rig_down();
}

static void segments_keep_to_the_path_mtu(void)
{
	struct tg_dst d = {0}, d2 = {0};

	rig_up();
	rig_know_peer();
	CU_ASSERT_EQUAL(rig_send("10.77.1.1", "10.77.1.2", 1460, &d), 0);
	CU_ASSERT_EQUAL(rig_send("10.77.1.1", "10.77.1.2", 1461, &d), TG_ETOOBIG);
	told("err4_too_big", TG_ICMP_TOO_BIG, 1300);
	CU_ASSERT_EQUAL(rig_send("10.77.1.1", "10.77.1.2", 1261, &d), TG_ETOOBIG);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tx_too_big), 2);
	CU_ASSERT_EQUAL(rig_send("10.77.1.1", "10.77.1.2", 1260, &d), 0);
	CU_ASSERT_EQUAL(rig_send("10.77.1.1", "10.77.1.3", 1460, &d2), 0);
	rig_down();
}

static void a_big_echo_keeps_to_the_path_mtu(void)
{
	rig_up();
	rig_know_peer();
	told("err4_too_big", TG_ICMP_TOO_BIG, 1300);
	build_echo(1400, false);
	feed_part(0, 1408, false, false);
	expect_echo(1400, 1300, false);
	CU_ASSERT_EQUAL(rig_n_sent, 2);
	rig_down();
}

static void the_path_table_is_bounded(void)
{
	struct tg_net_usage u;
	struct tg_ip r;
	uint32_t n;
	const uint8_t *vector = rig_vector("err4_too_big", &n);
	uint8_t b[200];

	rig_up(); /* 16 entries */
	for (uint32_t i = 0; i < 40; i++) {
		memcpy(b, vector, n);
		b[14 + 20 + 8 + 19] = (uint8_t)(2 + i); /* other quoted destinations */
		tg_store_be16(b + 36, 0);
		tg_store_be16(b + 36, (uint16_t)~sum_of(b + 34, n - 34, 0));
		rig_feed(b, n);
	}
	tg_net_usage(rig_net[0], &u);
	CU_ASSERT_EQUAL(u.pmtu, 16);
	r = rig_ip("10.77.1.41");
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r), 1300);
	r = rig_ip("10.77.1.2");
	CU_ASSERT_EQUAL(tg_net_mtu(rig_net[0], &r), 1500);
	CU_ASSERT_TRUE(tg_net_validate(rig_net[0]));
	rig_down();
}

TG_TEST_MAIN("net icmp", {"echo is answered", echo_is_answered},
	{"link-local echo stays on its port", link_local_echo_stays_on_its_port},
	{"big echoes are answered in fragments", big_echoes_are_answered_in_fragments},
	{"small pieces are answered whole", small_pieces_are_answered_whole},
	{"a big echo with a wrong checksum is dropped",
		a_big_echo_with_a_wrong_checksum_is_dropped},
	{"refusals are sent", refusals_are_sent}, {"errors are limited", errors_are_limited},
	{"echoes are limited", echoes_are_limited},
	{"errors are told to TCP", errors_are_told_to_tcp},
	{"path MTU is learnt and forgotten", path_mtu_is_learnt_and_forgotten},
	{"path MTU is not learnt from the blind", path_mtu_is_not_learnt_from_the_blind},
	{"segments keep to the path MTU", segments_keep_to_the_path_mtu},
	{"a big echo keeps to the path MTU", a_big_echo_keeps_to_the_path_mtu},
	{"the path table is bounded", the_path_table_is_bounded})
