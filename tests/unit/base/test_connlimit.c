/* New connections: of all clients, and of each. */
#include <stdlib.h>
#include <tidegate/connlimit.h>

#include "../tgtest.h"

#define SEC UINT64_C(1000000000)

static struct tg_connlimit l;

static void start(bool all, bool client)
{
	static _Alignas(64) uint8_t mem[1 << 16];

	memset(mem, 0, sizeof(mem));
	l = (struct tg_connlimit){.has_all = all,
		.has_client = client,
		.all = {5, 1, SEC},
		.client = {2, 1, SEC},
		.v4_len = 24,
		.v6_len = 64};
	CU_ASSERT_FATAL(tg_buckets_bytes(100) <= sizeof(mem));
	tg_buckets_init(&l.clients, mem, 100, (const uint8_t *)"0123456789abcdef");
}

static enum tg_why ask(const char *from, uint64_t now, bool take)
{
	struct tg_ip ip;

	CU_ASSERT_EQUAL_FATAL(tg_ip_parse(from, &ip), 0);
	return tg_connlimit_ask(&l, &ip, now, take);
}

static void of_all(void)
{
	start(true, false);
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(ask("10.0.0.1", SEC, true), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("fd00::1", SEC, true), TG_WHY_tcp_listener_rate);
	CU_ASSERT_EQUAL(ask("fd00::1", SEC, false), TG_WHY_tcp_listener_rate);
	CU_ASSERT_EQUAL(ask("fd00::1", 2 * SEC, false), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("fd00::1", 2 * SEC, false), TG_WHY_none); /* asking costs nothing */
	CU_ASSERT_EQUAL(ask("fd00::1", 2 * SEC, true), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("fd00::1", 2 * SEC, true), TG_WHY_tcp_listener_rate);
}

static void of_each(void)
{
	start(false, true);
	CU_ASSERT_EQUAL(ask("10.0.0.1", SEC, true), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("10.0.0.1", SEC, false), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("10.0.0.9", SEC, true), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("10.0.0.7", SEC, true), TG_WHY_tcp_client_rate);
	CU_ASSERT_EQUAL(ask("10.0.0.7", SEC, false), TG_WHY_tcp_client_rate);
	CU_ASSERT_EQUAL(ask("10.0.1.7", SEC, true), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("fd00::1", SEC, true), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("fd00::2", SEC, true), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("fd00::3", SEC, true), TG_WHY_tcp_client_rate);
	CU_ASSERT_EQUAL(ask("fd00:0:0:1::3", SEC, true), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("10.0.0.7", 2 * SEC, true), TG_WHY_none);
}

/* Who is over his own limit takes nothing from the others. */
static void both(void)
{
	start(true, true);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(
			ask("10.0.0.1", SEC, true), i < 2 ? TG_WHY_none : TG_WHY_tcp_client_rate);
	CU_ASSERT_EQUAL(ask("10.0.1.1", SEC, true), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("10.0.2.1", SEC, true), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("10.0.3.1", SEC, true), TG_WHY_none);
	CU_ASSERT_EQUAL(ask("10.0.4.1", SEC, true), TG_WHY_tcp_listener_rate);
}

TG_TEST_MAIN("connlimit", {"of all", of_all}, {"of each", of_each}, {"both", both})
