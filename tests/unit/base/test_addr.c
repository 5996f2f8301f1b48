#include "tgtest.h"

#include <tidegate/addr.h>
#include <tidegate/view.h>

static void parses_and_prints_both_families(void)
{
	static const char *same[] = {"10.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1",
		"fd77:1::1", "fe80::42:acff:fe11:2"};
	struct tg_ip a;
	char buf[TG_ADDR_TEXT];

	for (size_t i = 0; i < TG_ARRAY_LEN(same); i++) {
		CU_ASSERT_EQUAL(tg_ip_parse(same[i], &a), 0);
		CU_ASSERT_STRING_EQUAL(tg_ip_format(&a, buf), same[i]);
		CU_ASSERT_EQUAL(tg_ip_is_v4(&a), !strchr(same[i], ':'));
	}
}

static void refuses_what_is_no_address(void)
{
	static const char *bad[] = {"", "10.0.0", "10.0.0.256", "10.0.0.1 ", "::ffff:10.0.0.1",
		"g::1", "10.0.0.01", "1"};
	struct tg_ip a;

	for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
		CU_ASSERT_NOT_EQUAL(tg_ip_parse(bad[i], &a), 0);
}

static void prefixes(void)
{
	struct tg_ip_prefix p;
	struct tg_ip a;

	CU_ASSERT_EQUAL(tg_ip_prefix_parse("10.77.1.1/20", &p), 0);
	CU_ASSERT_EQUAL(p.len, 96 + 20);
	tg_ip_parse("10.77.15.9", &a);
	CU_ASSERT_TRUE(tg_ip_in(&a, &p));
	tg_ip_parse("10.77.16.9", &a);
	CU_ASSERT_FALSE(tg_ip_in(&a, &p));
	tg_ip_parse("fd77::1", &a);
	CU_ASSERT_FALSE(tg_ip_in(&a, &p));
	CU_ASSERT_EQUAL(tg_ip_prefix_parse("0.0.0.0/0", &p), 0);
	CU_ASSERT_FALSE(tg_ip_in(&a, &p));
	tg_ip_parse("1.2.3.4", &a);
	CU_ASSERT_TRUE(tg_ip_in(&a, &p));
	CU_ASSERT_EQUAL(tg_ip_prefix_parse("::/0", &p), 0);
	CU_ASSERT_EQUAL(p.len, 0);
	CU_ASSERT_EQUAL(tg_ip_prefix_parse("fd77:1::1", &p), 0);
	CU_ASSERT_EQUAL(p.len, 128);
	CU_ASSERT_EQUAL(tg_ip_prefix_parse("10.0.0.1/33", &p), TG_ERANGE);
	CU_ASSERT_EQUAL(tg_ip_prefix_parse("10.0.0.1/", &p), TG_EINVAL);
	CU_ASSERT_EQUAL(tg_ip_prefix_parse("10.0.0.1/-1", &p), TG_EINVAL);
	CU_ASSERT_EQUAL(tg_ip_prefix_parse("/8", &p), TG_EINVAL);
}

static void socket_addresses(void)
{
	static const char *same[] = {"10.0.0.1:80", "[fd77:1::1]:65535", "[::]:1"};
	static const char *bad[] = {"10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", ":80",
		"fd77::1:80", "[fd77::1]80", "[10.0.0.1]:80", "[]:80", "10.0.0.1:8 ", "10.0.0.1:+8",
		"10.0.0.1:080"};
	struct tg_sockaddr a;
	char buf[TG_ADDR_TEXT];

	for (size_t i = 0; i < TG_ARRAY_LEN(same); i++) {
		CU_ASSERT_EQUAL(tg_sockaddr_parse(same[i], &a), 0);
		CU_ASSERT_STRING_EQUAL(tg_sockaddr_format(&a, buf), same[i]);
	}
	for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
		CU_ASSERT_NOT_EQUAL(tg_sockaddr_parse(bad[i], &a), 0);
}

static void kinds_of_address(void)
{
	static const struct {
		const char *s;
		bool multicast, any, linklocal;
	} rows[] = {
		{"224.0.0.1", true, false, false},
		{"239.255.255.255", true, false, false},
		{"240.0.0.1", false, false, false},
		{"ff02::1", true, false, false},
		{"0.0.0.0", false, true, false},
		{"::", false, true, false},
		{"169.254.3.4", false, false, true},
		{"fe80::1", false, false, true},
		{"febf::1", false, false, true},
		{"fec0::1", false, false, false},
	};
	struct tg_ip a;

	for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
		CU_ASSERT_EQUAL(tg_ip_parse(rows[i].s, &a), 0);
		CU_ASSERT_EQUAL(tg_ip_is_multicast(&a), rows[i].multicast);
		CU_ASSERT_EQUAL(tg_ip_is_any(&a), rows[i].any);
		CU_ASSERT_EQUAL(tg_ip_is_linklocal(&a), rows[i].linklocal);
	}
}

TG_TEST_MAIN("addr", {"parses and prints both families", parses_and_prints_both_families},
	{"refuses what is no address", refuses_what_is_no_address}, {"prefixes", prefixes},
	{"socket addresses", socket_addresses}, {"kinds of address", kinds_of_address})
