#include <tidegate/view.h>

#include "admit.h"
#include "tgtest.h"

static struct tg_admit a;

static struct tg_ip source(uint32_t n)
{
	return tg_ip_v4(n);
}

static void bursts(uint32_t n, bool backlog)
{
	while (n--)
		tg_admit_burst(&a, backlog);
}

static uint32_t answered(uint32_t of, uint32_t first, uint32_t now_ms)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < of; i++) {
		struct tg_ip ip = source(first + i);

		n += tg_admit_syn(&a, &ip, now_ms);
	}
	return n;
}

static void all_are_answered_without_a_backlog(void)
{
	tg_admit_init(&a, 1);
	bursts(1000, false);
	CU_ASSERT_EQUAL(answered(32, 1, 0), 32);
	/* a herd of clients, as many as a device's queue holds for a while */
	bursts(20, true);
	CU_ASSERT_EQUAL(answered(32, 1, 0), 32);
}

static void a_backlog_cuts_them_down_and_calm_brings_them_back(void)
{
	uint32_t before;

	tg_admit_init(&a, 1);
	bursts(1000, true);
	CU_ASSERT_EQUAL(answered(32, 1, 0), TG_ADMIT_LEAST);
	CU_ASSERT_EQUAL(answered(32, 1, 0), 0); /* of one burst */
	bursts(1, true);
	CU_ASSERT_EQUAL(answered(32, 1, 0), TG_ADMIT_LEAST);
	before = a.budget;
	bursts(200, false);
	CU_ASSERT_TRUE(a.budget > before && a.budget < TG_ADMIT_ALL);
	bursts(10000, false);
	CU_ASSERT_EQUAL(a.budget, TG_ADMIT_ALL);
	CU_ASSERT_EQUAL(answered(32, 1, 0), 32);
}

static void who_proved_itself_is_no_stranger(void)
{
	struct tg_ip good = source(77), v6 = {.b = {0xfd, 0x77, [15] = 1}}, near = v6, far = v6;

	near.b[15] = 2;
	far.b[7] = 1;
	tg_admit_init(&a, 1);
	tg_admit_proven(&a, &good, 1000);
	tg_admit_proven(&a, &v6, 1000);
	bursts(1000, true);
	answered(32, 1000, 1000); /* uses the budget up */
	CU_ASSERT_TRUE(tg_admit_syn(&a, &good, 1000));
	CU_ASSERT_TRUE(tg_admit_syn(&a, &near, 1000)); /* the same /64 */
	CU_ASSERT_FALSE(tg_admit_syn(&a, &far, 1000));
	/* An hour later nobody knows who has the address. */
	CU_ASSERT_FALSE(tg_admit_syn(&a, &good, 1000 + 3600 * 1000));
}

/* A flood that spoofs a good client's address gets that client's rate, no more. */
static void a_proven_source_has_a_rate(void)
{
	struct tg_ip good = source(77);
	uint32_t n = 0;

	tg_admit_init(&a, 1);
	tg_admit_proven(&a, &good, 1000);
	bursts(1000, true);
	answered(32, 1000, 1000);
	for (uint32_t i = 0; i < 100000; i++)
		n += tg_admit_syn(&a, &good, 1000 + i / 100);
	CU_ASSERT_TRUE(n <= TG_ADMIT_BURST + 1000 * TG_ADMIT_RATE);
	CU_ASSERT_TRUE(n >= 1000 * TG_ADMIT_RATE);
}

/* Times wrap, and a source of long ago has its tokens back. */
static void tokens_survive_the_wrap(void)
{
	struct tg_ip good = source(77);
	uint32_t n = 0, start = UINT32_MAX - 5;

	tg_admit_init(&a, 1);
	tg_admit_proven(&a, &good, start);
	bursts(1000, true);
	answered(32, 1000, start);
	for (uint32_t i = 0; i < 1000; i++)
		n += tg_admit_syn(&a, &good, start);
	CU_ASSERT_EQUAL(n, TG_ADMIT_BURST);
	n = 0;
	for (uint32_t i = 0; i < 1000; i++)
		n += tg_admit_syn(&a, &good, start + 10);
	CU_ASSERT_EQUAL(n, 10 * TG_ADMIT_RATE);
	n = 0;
	for (uint32_t i = 0; i < 1000; i++)
		n += tg_admit_syn(&a, &good, start + 100000);
	CU_ASSERT_EQUAL(n, TG_ADMIT_BURST);
}

TG_TEST_MAIN("tcp_admit",
	{"all are answered without a backlog", all_are_answered_without_a_backlog},
	{"a backlog cuts them down and calm brings them back",
		a_backlog_cuts_them_down_and_calm_brings_them_back},
	{"who proved itself is no stranger", who_proved_itself_is_no_stranger},
	{"a proven source has a rate", a_proven_source_has_a_rate},
	{"tokens survive the wrap", tokens_survive_the_wrap})
