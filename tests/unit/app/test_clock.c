/* The worker's clock against a kernel clock whose rate differs from what was measured. */
#include "../../../dpdk_app/clock.h"

#include "../tgtest.h"

#define HZ UINT64_C(2600000000)
#define SEC UINT64_C(1000000000)

static void scales(void)
{
	struct tg_clock c;

	tg_clock_init(&c, 1000, 5 * SEC, HZ);
	CU_ASSERT_EQUAL(tg_clock_at(&c, 1000), 5 * SEC);
	CU_ASSERT_EQUAL(tg_clock_at(&c, 500), 5 * SEC);
	CU_ASSERT(tg_clock_at(&c, 1000 + HZ) >= 6 * SEC - 2);
	CU_ASSERT(tg_clock_at(&c, 1000 + HZ) <= 6 * SEC);
}

/* true_hz against HZ: after some corrections the error is below 20 us, and stays. */
static void follow(uint64_t true_hz)
{
	uint64_t tsc = 123456789, last = 0, interval = true_hz / 10, ticks = 0;
	struct tg_clock c;

	tg_clock_init(&c, tsc, SEC, HZ);
	for (int i = 1; i <= 3000; i++) {
		uint64_t mono, own;

		ticks += interval;
		mono = SEC + (uint64_t)((unsigned __int128)ticks * SEC / true_hz);
		own = tg_clock_at(&c, tsc + ticks);
		CU_ASSERT(own >= last);
		last = own;
		if (i > 10)
			CU_ASSERT(own > mono ? own - mono < 20000 : mono - own < 20000);
		tg_clock_correct(&c, tsc + ticks, mono);
		CU_ASSERT(tg_clock_at(&c, tsc + ticks) >= last);
	}
}

static void follows_faster_and_slower(void)
{
	follow(HZ);
	follow(HZ + HZ / 1000);
	follow(HZ - HZ / 1000);
	follow(HZ + HZ / 50);
}

static void never_back(void)
{
	struct tg_clock c;
	uint64_t before, at = HZ;

	tg_clock_init(&c, 0, SEC, HZ);
	before = tg_clock_at(&c, HZ);
	/* The kernel says that half a second less went by (it cannot, but virtual machines move).
	 */
	tg_clock_correct(&c, HZ, SEC + SEC / 2);
	CU_ASSERT(tg_clock_at(&c, HZ) >= before);
	/* ... then time goes slower, by 5 % at most, until it is made up for. */
	CU_ASSERT(tg_clock_at(&c, 2 * HZ) - before >= SEC * 94 / 100);
	CU_ASSERT(tg_clock_at(&c, 2 * HZ) - before <= SEC * 96 / 100);
	for (int i = 1; i < 40; i++) {
		at += HZ;
		before = tg_clock_at(&c, at);
		tg_clock_correct(&c, at, SEC + SEC / 2 + (uint64_t)i * SEC);
		CU_ASSERT(tg_clock_at(&c, at) >= before);
	}
	CU_ASSERT(tg_clock_at(&c, at) + 1000 - (SEC + SEC / 2 + 39 * SEC) < 2000);
}

static void catches_up_at_once(void)
{
	struct tg_clock c;

	tg_clock_init(&c, 0, SEC, HZ);
	/* The machine was suspended: the TSC stood still. */
	tg_clock_correct(&c, HZ, 3600 * SEC);
	CU_ASSERT_EQUAL(tg_clock_at(&c, HZ), 3600 * SEC);
	tg_clock_correct(&c, HZ, 3600 * SEC);
	tg_clock_correct(&c, HZ - 1, 3601 * SEC);
	CU_ASSERT_EQUAL(tg_clock_at(&c, HZ), 3600 * SEC);
}

TG_TEST_MAIN("clock", {"scales", scales}, {"follows faster and slower", follows_faster_and_slower},
	{"never goes back", never_back}, {"catches up at once", catches_up_at_once})
