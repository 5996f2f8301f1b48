/* Reassembly: order, duplicates, overlaps, timeouts, bounds. */
#include "rig.h"

/* Feeds one by one; the last must make the segment of 100 bytes whole. */
static void whole(const char *const *names, uint32_t n, uint8_t ecn)
{
	uint32_t segs = 0;

	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(segs, 0);
		segs = rig_in(names[i]);
		if (!segs)
			CU_ASSERT_EQUAL(rig_missing(), 0);
	}
	CU_ASSERT_EQUAL_FATAL(segs, 1);
	CU_ASSERT_EQUAL(rig_out[0].m->nb_segs, 1);
	CU_ASSERT_EQUAL(rig_out[0].seq, 7);
	CU_ASSERT_EQUAL(rig_out[0].payload_len, 100);
	CU_ASSERT_EQUAL(rig_out[0].ecn, ecn);
	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(*rte_pktmbuf_mtod_offset(rig_out[0].m, uint8_t *, 20 + i), i);
	rig_free_segs(1);
	CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 0);
}

static void any_order_will_do(void)
{
	static const uint8_t order[6][3] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	static const char *const v4[] = {"frag4_0", "frag4_1", "frag4_2"};
	static const char *const v6[] = {"frag6_0", "frag6_1", "frag6_2"};

	rig_up();
	for (uint32_t i = 0; i < 6; i++) {
		const char *a[3], *b[3];

		for (uint32_t k = 0; k < 3; k++) {
			a[k] = v4[order[i][k]];
			b[k] = v6[order[i][k]];
		}
		whole(a, 3, 0);
		whole(b, 3, 0);
	}
	CU_ASSERT_EQUAL(rig_stats[0].rx_fragments, 36);
	CU_ASSERT_EQUAL(rig_stats[0].rx_absorbed_fragments, 24);
	CU_ASSERT_EQUAL(rig_stats[0].rx_reassembled, 12);
	rig_down();
}

static void duplicates_do_no_harm(void)
{
	static const char *const names[] = {
		"frag4_0", "frag4_0", "frag4_2", "frag4_2", "frag4_0", "frag4_1"};

	rig_up();
	whole(names, 6, 0);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_duplicate), 3);
	rig_down();
}

static void one_congested_fragment_marks_the_datagram(void)
{
	static const char *const capable[] = {"frag4_0_ect", "frag4_ce", "frag4_2"};
	static const char *const not_capable[] = {"frag4_0", "frag4_ce", "frag4_2"};

	rig_up();
	whole(capable, 3, 3);
	whole(not_capable, 3, 0); /* to mark it is forbidden (RFC 3168 section 5.3) */
	rig_down();
}

static void overlaps_refuse_the_datagram(void)
{
	static const char *const pairs[][2] = {{"frag4_0", "frag4_overlap"},
		{"frag4_1", "frag4_overlap"}, {"frag6_1", "frag6_overlap"},
		{"frag4_2", "frag4_last_short"}, {"frag4_2", "frag4_after_end"},
		{"frag4_after_end", "frag4_2"}};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(pairs); i++) {
		bool v6 = pairs[i][0][4] == '6';

		rig_up();
		rig_in(pairs[i][0]);
		CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 1);
		rig_in(pairs[i][1]);
		CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_bad), 2);
		CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 0);
		/* What comes late must not be put together without it. */
		rig_dropped(v6 ? "frag6_0" : "frag4_0", TG_WHY_frag_bad);
		rig_dropped(v6 ? "frag6_1" : "frag4_1", TG_WHY_frag_bad);
		rig_dropped(v6 ? "frag6_2" : "frag4_2", TG_WHY_frag_bad);
		CU_ASSERT_TRUE(tg_net_validate(rig_net[0]));
		rig_wait(61 * TG_SEC); /* and then the id is free again */
		rig_in(v6 ? "frag6_0" : "frag4_0");
		CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 1);
		rig_down();
	}
}

static void incomplete_datagrams_time_out(void)
{
	struct tg_net_usage u;

	rig_up();
	rig_know_peer();
	rig_in("frag4_0");
	rig_in("frag4_2");
	rig_in("frag6_0");
	rig_in("frag6_1");
	CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 4);
	tg_net_usage(rig_net[0], &u);
	CU_ASSERT_EQUAL(u.reassembly, 2);
	rig_wait(29 * TG_SEC);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_timeout), 0);
	rig_wait(2 * TG_SEC);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_timeout), 2);
	rig_expect(0, "x_frag4_timeout");
	rig_wait(30 * TG_SEC);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_timeout), 4);
	rig_expect(1, "x_frag6_timeout");
	CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 0);
	tg_net_usage(rig_net[0], &u);
	CU_ASSERT_EQUAL(u.reassembly, 0);
	rig_down();
}

static void how_long_can_be_told(void)
{
	rig_init();
	rig_conf.reassembly_timeout = 4 * TG_SEC;
	rig_start(1);
	rig_know_peer();
	rig_in("frag4_0");
	rig_in("frag6_0");
	rig_wait(TG_SEC);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_timeout), 0);
	rig_wait(2 * TG_SEC);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_timeout), 1);
	rig_wait(2 * TG_SEC);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_timeout), 2);
	rig_down();
}

static void errors_are_not_answered_with_errors(void)
{
	static const char *const names[][2] = {
		{"frag4_icmp_error", "frag6_icmp_error"}, {"frag4_echo", "frag6_echo"}};

	for (uint32_t i = 0; i < 2; i++) {
		rig_up();
		rig_know_peer();
		rig_in(names[i][0]);
		rig_in(names[i][1]);
		rig_wait(61 * TG_SEC);
		CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_timeout), 2);
		CU_ASSERT_EQUAL(rig_n_sent, i * 2);
		rig_down();
	}
}

static void without_the_first_nobody_is_told(void)
{
	rig_up();
	rig_know_peer();
	rig_in("frag4_1");
	rig_wait(31 * TG_SEC);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_timeout), 1);
	CU_ASSERT_EQUAL(rig_n_sent, 0);
	rig_down();
}

static uint8_t frame[200];

/* A fragment of 8 bytes at `off` of the datagram `id`. */
static uint32_t small(uint16_t id, uint32_t off)
{
	uint32_t n, sum = 0;
	const uint8_t *b = rig_vector("frag4_1", &n);

	memcpy(frame, b, n);
	tg_store_be16(frame + 16, 28);
	tg_store_be16(frame + 18, id);
	tg_store_be16(frame + 20, (uint16_t)(0x2000 | off / 8));
	tg_store_be16(frame + 24, 0);
	for (uint32_t i = 14; i < 34; i += 2)
		sum += tg_load_be16(frame + i);
	sum = (sum & 0xffff) + (sum >> 16);
	tg_store_be16(frame + 24, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
	return rig_feed(frame, 42);
}

static void the_table_is_bounded(void)
{
	rig_up(); /* 8 datagrams, 32 fragments */
	for (uint16_t id = 0; id < 10; id++)
		small(id, 16);
	CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 8);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_table_full), 2);
	for (uint32_t i = 0; i < 40; i++)
		small(3, 24 + i * 8);
	CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 32);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_table_full), 2 + 40 - 24);
	CU_ASSERT_TRUE(tg_net_validate(rig_net[0]));
	rig_down();
}

static void a_flood_does_not_shut_others_out(void)
{
	static const char *const names[] = {"frag4_0", "frag4_1", "frag4_2"};

	rig_up();
	for (uint16_t id = 0; id < 1000; id++) {
		small(id, 16);
		if (id % 100 == 99)
			for (uint32_t i = 0; i < 3; i++) {
				uint32_t n = rig_in(names[i]);

				CU_ASSERT_EQUAL(n, i == 2);
				rig_free_segs(n);
				if (i < 2)
					small((uint16_t)(2000 + id + i), 16);
			}
		CU_ASSERT_EQUAL(rig_missing(), 0);
	}
	CU_ASSERT_EQUAL(rig_stats[0].rx_reassembled, 10);
	CU_ASSERT_TRUE(tg_net_validate(rig_net[0]));
	rig_down();
}

static void a_datagram_has_at_most_64_fragments(void)
{
	rig_init();
	rig_conf.max_reassembly = 32;
	rig_start(1);
	for (uint32_t i = 0; i < 64; i++)
		small(3, 16 + i * 16);
	CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 64);
	small(3, 16 + 64 * 16);
	CU_ASSERT_EQUAL(rig_stats[0].rx_in_flight, 0);
	CU_ASSERT_EQUAL(rig_why(TG_WHY_frag_bad), 65);
	rig_down();
}

TG_TEST_MAIN("net fragments", {"any order will do", any_order_will_do},
	{"duplicates do no harm", duplicates_do_no_harm},
	{"a congested fragment marks the datagram", one_congested_fragment_marks_the_datagram},
	{"overlaps refuse the datagram", overlaps_refuse_the_datagram},
	{"incomplete datagrams time out", incomplete_datagrams_time_out},
	{"how long can be told", how_long_can_be_told},
	{"errors are not answered with errors", errors_are_not_answered_with_errors},
	{"without the first nobody is told", without_the_first_nobody_is_told},
	{"the table is bounded", the_table_is_bounded},
	{"a flood does not shut others out", a_flood_does_not_shut_others_out},
	{"a datagram has at most 64 fragments", a_datagram_has_at_most_64_fragments})
