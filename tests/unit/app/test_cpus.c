/* Who runs where. */
#include "../../../dpdk_app/cpus.h"

#include "../tgtest.h"

static cpu_set_t set(int first, int last)
{
	cpu_set_t s;

	CPU_ZERO(&s);
	for (int c = first; c <= last; c++)
		CPU_SET(c, &s);
	return s;
}

static void check(int last_cpu, uint32_t workers, const char *lcores, bool shares, bool all_share)
{
	cpu_set_t s = set(0, last_cpu);
	struct tg_cpu_plan p;
	char text[4096];

	CU_ASSERT_EQUAL(tg_cpu_plan_make(&p, &s, workers, NULL, 0, NULL), 0);
	CU_ASSERT_EQUAL(tg_cpu_plan_lcores(&p, text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, lcores);
	CU_ASSERT_EQUAL(p.control_shares, shares);
	CU_ASSERT_EQUAL(p.workers_share, all_share);
	CU_ASSERT(CPU_COUNT(&p.control) > 0);
}

static void chosen(void)
{
	check(1, 1, "0@(0),1@1", false, false);
	check(3, 2, "0@(0-1),1@2,2@3", false, false);
	check(1, 2, "0@(0-1),1@0,2@1", true, false);
	check(0, 1, "0@(0),1@0", true, false);
	check(1, 3, "0@(0-1),1@(0-1),2@(0-1),3@(0-1)", true, true);
}

static void asked(void)
{
	cpu_set_t s = set(0, 7);
	uint32_t cpus[] = {5, 2, 40};
	struct tg_errbuf e;
	struct tg_cpu_plan p;
	char text[256];

	CPU_CLR(3, &s);
	CU_ASSERT_EQUAL(tg_cpu_plan_make(&p, &s, 2, cpus, 2, &e), 0);
	CU_ASSERT_EQUAL(tg_cpu_plan_lcores(&p, text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "0@(0-1,4,6-7),1@5,2@2");
	CU_ASSERT_EQUAL(tg_cpu_plan_make(&p, &s, 3, cpus, 3, &e), TG_EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "CPU 40"));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "0-2,4-7"));
	cpus[2] = 3;
	CU_ASSERT_EQUAL(tg_cpu_plan_make(&p, &s, 3, cpus, 3, &e), TG_EINVAL);
	cpus[2] = UINT32_MAX;
	CU_ASSERT_EQUAL(tg_cpu_plan_make(&p, &s, 3, cpus, 3, &e), TG_EINVAL);
	CU_ASSERT_EQUAL(tg_cpu_plan_make(&p, &s, 3, cpus, 2, &e), TG_EINVAL);
}

static void bounds(void)
{
	cpu_set_t s;
	struct tg_cpu_plan p;
	char small[16], text[8192];

	CPU_ZERO(&s);
	for (int c = 0; c < CPU_SETSIZE; c += 2)
		CPU_SET(c, &s);
	CU_ASSERT_EQUAL(tg_cpu_plan_make(&p, &s, TG_MAX_WORKERS, NULL, 0, NULL), 0);
	CU_ASSERT_EQUAL(tg_cpu_plan_lcores(&p, text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(tg_cpu_plan_lcores(&p, small, sizeof(small)), TG_ETOOBIG);
	CU_ASSERT(strlen(tg_cpu_set_text(&s, small, sizeof(small))) < sizeof(small));
}

TG_TEST_MAIN("cpus", {"chosen", chosen}, {"asked for", asked}, {"bounds", bounds})
