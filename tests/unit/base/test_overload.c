/* From pressures to states of actions. */
#include <string.h>

#include <tidegate/overload.h>

#include "../tgtest.h"

static struct tg_overload_conf conf;
static struct tg_overload o;
static uint32_t pressure[TG_MONITORS];

static void start(void)
{
	memset(&conf, 0, sizeof(conf));
	memset(&o, 0, sizeof(o));
	memset(pressure, 0, sizeof(pressure));
}

static uint32_t look(uint32_t cpu, uint32_t memory)
{
	pressure[TG_MONITOR_CPU] = cpu;
	pressure[TG_MONITOR_MEMORY] = memory;
	return tg_overload_look(&o, &conf, pressure);
}

static void a_threshold_is_left_below_another(void)
{
	start();
	conf.trigger[TG_OVERLOAD_NO_REQUESTS][TG_MONITOR_CPU] =
		(struct tg_overload_trigger){true, false, 900000, 700000};
	CU_ASSERT_EQUAL(look(899999, TG_OVERLOAD_WHOLE), 0);
	CU_ASSERT_EQUAL(look(900000, 0), TG_OVERLOAD_BIT(NO_REQUESTS));
	CU_ASSERT_EQUAL(o.state[TG_OVERLOAD_NO_REQUESTS], TG_OVERLOAD_WHOLE);
	CU_ASSERT_EQUAL(look(700000, 0), TG_OVERLOAD_BIT(NO_REQUESTS));
	CU_ASSERT_EQUAL(look(699999, 0), 0);
	CU_ASSERT_EQUAL(look(899999, 0), 0);
	CU_ASSERT_EQUAL(look(TG_OVERLOAD_WHOLE, 0), TG_OVERLOAD_BIT(NO_REQUESTS));
	/* a configuration without it */
	CU_ASSERT_EQUAL(tg_overload_look(&o, NULL, pressure), 0);
	CU_ASSERT_EQUAL(look(899999, 0), 0);
}

static void a_scaled_one_follows_the_pressure(void)
{
	start();
	conf.trigger[TG_OVERLOAD_SHED_REQUESTS][TG_MONITOR_CPU] =
		(struct tg_overload_trigger){true, true, 500000, 900000};
	CU_ASSERT_EQUAL(look(500000, 0), 0);
	CU_ASSERT_EQUAL(look(600000, 0), TG_OVERLOAD_BIT(SHED_REQUESTS));
	CU_ASSERT_EQUAL(o.state[TG_OVERLOAD_SHED_REQUESTS], 250000);
	look(900000, 0);
	CU_ASSERT_EQUAL(o.state[TG_OVERLOAD_SHED_REQUESTS], TG_OVERLOAD_WHOLE);
	look(TG_OVERLOAD_WHOLE, 0);
	CU_ASSERT_EQUAL(o.state[TG_OVERLOAD_SHED_REQUESTS], TG_OVERLOAD_WHOLE);
	CU_ASSERT_EQUAL(look(0, 0), 0);
}

static void the_strongest_trigger_counts(void)
{
	start();
	conf.trigger[TG_OVERLOAD_NO_KEEPALIVE][TG_MONITOR_CPU] =
		(struct tg_overload_trigger){true, true, 0, TG_OVERLOAD_WHOLE};
	conf.trigger[TG_OVERLOAD_NO_KEEPALIVE][TG_MONITOR_MEMORY] =
		(struct tg_overload_trigger){true, true, 0, 500000};
	look(300000, 200000);
	CU_ASSERT_EQUAL(o.state[TG_OVERLOAD_NO_KEEPALIVE], 400000);
	look(600000, 200000);
	CU_ASSERT_EQUAL(o.state[TG_OVERLOAD_NO_KEEPALIVE], 600000);
}

/* Times in ms; what the shortest wait is then. */
static uint64_t turn(struct tg_queue *q, uint64_t now, bool work, bool left)
{
	tg_queue_turn(q, now * 1000000, work, left);
	return q->least / 1000000;
}

static void a_queue_is_as_long_as_its_shortest_wait(void)
{
	struct tg_queue q = {.drained_at = 0, .least = UINT64_MAX};

	/* long turns that leave nothing: what came during one waited as long as it took */
	CU_ASSERT_EQUAL(turn(&q, 30, true, false), 30);
	CU_ASSERT_EQUAL(turn(&q, 80, true, false), 30);
	q.least = UINT64_MAX;
	CU_ASSERT_EQUAL(turn(&q, 120, true, false), 40);
	/* short ones that leave something: since when they have */
	q.least = UINT64_MAX;
	CU_ASSERT_EQUAL(turn(&q, 121, true, true), 1);
	q.least = UINT64_MAX;
	CU_ASSERT_EQUAL(turn(&q, 122, true, true), 2);
	CU_ASSERT_EQUAL(turn(&q, 160, true, true), 2);
	q.least = UINT64_MAX;
	CU_ASSERT_EQUAL(turn(&q, 170, true, false), 50);
	CU_ASSERT_EQUAL(turn(&q, 171, true, false), 1);
	/* and nobody waits where there is nothing to do, however long the worker slept */
	q.least = UINT64_MAX;
	CU_ASSERT_EQUAL(turn(&q, 400, false, false), 0);
	CU_ASSERT_EQUAL(turn(&q, 900, true, false), 0);
}

static void shares(void)
{
	CU_ASSERT_EQUAL(tg_pressure_of(5, 0), 0);
	CU_ASSERT_EQUAL(tg_pressure_of(0, 5), 0);
	CU_ASSERT_EQUAL(tg_pressure_of(1, 4), 250000);
	CU_ASSERT_EQUAL(tg_pressure_of(7, 4), TG_OVERLOAD_WHOLE);
	CU_ASSERT_EQUAL(tg_pressure_of(UINT64_MAX / 2, UINT64_MAX), 499999);
}

TG_TEST_MAIN("overload", {"a threshold is left below another", a_threshold_is_left_below_another},
	{"a scaled one follows the pressure", a_scaled_one_follows_the_pressure},
	{"the strongest trigger counts", the_strongest_trigger_counts},
	{"a queue is as long as its shortest wait", a_queue_is_as_long_as_its_shortest_wait},
	{"shares", shares})
