#include <stdlib.h>

#include "tgtest.h"

#include <tidegate/rng.h>
#include <tidegate/view.h>
#include <tidegate/wheel.h>

struct item {
	struct tg_timer t;
	uint64_t due;   /* ns: not before */
	uint64_t fired; /* ns, 0: not yet */
	uint32_t count;
};

static struct tg_wheel w;

static void on_fire(void *ctx, struct tg_timer *t)
{
	struct item *i = TG_CONTAINER(t, struct item, t);

	(void)ctx;
	i->fired = w.now;
	i->count++;
}

static void setup(uint64_t now)
{
	tg_wheel_init(&w, now);
	CU_ASSERT_EQUAL(tg_wheel_kind(&w, on_fire, NULL), 0);
}

static void start(struct item *i, uint64_t delay)
{
	i->due = w.now + delay;
	tg_timer_start(&w, &i->t, 0, delay);
}

static void never_early_at_most_a_tick_late(void)
{
	static const uint64_t delays[] = {0, 1, 100 * TG_US, TG_MS, 4 * TG_MS, 5 * TG_MS,
		200 * TG_MS, TG_SEC, 15 * TG_SEC, 300 * TG_SEC, 3600 * TG_SEC, 86400 * TG_SEC};

	for (uint32_t d = 0; d < TG_ARRAY_LEN(delays); d++) {
		struct item i = {0};

		setup(123456789);
		start(&i, delays[d]);
		CU_ASSERT_EQUAL(tg_wheel_advance(&w, i.due - 1, 0), 0);
		CU_ASSERT_TRUE(tg_timer_running(&i.t));
		tg_wheel_advance(&w, i.due + (2 << TG_WHEEL_TICK_SHIFT), 0);
		CU_ASSERT_EQUAL(i.count, 1);
		CU_ASSERT_FALSE(tg_timer_running(&i.t));
	}
}

static void crosses_every_level_boundary(void)
{
	/* Start just before a boundary of each level, the top digit of 208 days included. */
	for (uint32_t level = 1; level < TG_WHEEL_LEVELS; level++) {
		uint64_t boundary = UINT64_C(1) << (8 * level + TG_WHEEL_TICK_SHIFT);
		struct item i = {0};

		setup(boundary - 40000);
		start(&i, 100000);
		CU_ASSERT_TRUE(tg_wheel_validate(&w));
		CU_ASSERT_EQUAL(tg_wheel_advance(&w, i.due - 1, 0), 0);
		CU_ASSERT_EQUAL(tg_wheel_advance(&w, i.due + 40000, 0), 1);
	}
}

static void next_leads_to_every_deadline(void)
{
	struct item i = {0};
	uint32_t hops = 0;

	setup(5 * TG_SEC);
	CU_ASSERT_EQUAL(tg_wheel_next(&w), UINT64_MAX);
	start(&i, 7777 * TG_SEC);
	while (!i.count && hops++ < 10) {
		uint64_t next = tg_wheel_next(&w);

		CU_ASSERT_TRUE(next > w.now && next <= i.due + (1 << TG_WHEEL_TICK_SHIFT));
		tg_wheel_advance(&w, next, 0);
	}
	CU_ASSERT_EQUAL(i.count, 1);
	CU_ASSERT_TRUE(i.fired >= i.due && i.fired <= i.due + (1 << TG_WHEEL_TICK_SHIFT));
}

static void budget_leaves_the_rest_for_later(void)
{
	struct item i[10] = {0};

	setup(0);
	for (int k = 0; k < 10; k++)
		start(&i[k], TG_MS);
	CU_ASSERT_EQUAL(tg_wheel_advance(&w, 2 * TG_MS, 4), 4);
	CU_ASSERT_TRUE(tg_wheel_validate(&w));
	CU_ASSERT_EQUAL(tg_wheel_next(&w), w.now);
	CU_ASSERT_EQUAL(tg_wheel_advance(&w, 2 * TG_MS, 0), 6);
	CU_ASSERT_EQUAL(w.running, 0);
}

static struct item *victim;

static void kill_other(void *ctx, struct tg_timer *t)
{
	(void)ctx;
	(void)t;
	tg_timer_stop(&w, &victim->t);
	memset(victim, 0xee, sizeof(*victim));
}

static void callback_may_free_its_neighbour(void)
{
	struct item a = {0}, *b = calloc(1, sizeof(*b));
	int kind;

	setup(0);
	kind = tg_wheel_kind(&w, kill_other, NULL);
	victim = b;
	/* LIFO within a slot: a, started last, fires first */
	start(b, TG_MS);
	tg_timer_start(&w, &a.t, (uint8_t)kind, TG_MS);
	CU_ASSERT_EQUAL(tg_wheel_advance(&w, 10 * TG_MS, 0), 1);
	CU_ASSERT_EQUAL(w.running, 0);
	free(b);
}

#define N 2000

static void random_against_a_model(void)
{
	static struct item items[N];
	struct tg_rng r;

	tg_rng_seed(&r, 7);
	memset(items, 0, sizeof(items));
	setup(tg_rng_next(&r) >> 12);
	for (int step = 0; step < 20000; step++) {
		struct item *i = &items[tg_rng_below(&r, N)];
		uint64_t span = UINT64_C(1) << tg_rng_below(&r, 46);

		switch (tg_rng_below(&r, 4)) {
		case 0:
		case 1:
			i->fired = 0;
			i->count = 0;
			start(i, tg_rng_next(&r) % span);
			break;
		case 2:
			tg_timer_stop(&w, &i->t);
			break;
		default:
			tg_wheel_advance(&w, w.now + tg_rng_next(&r) % (span / 64 + 1), 0);
		}
		if (step % 1000 == 0)
			CU_ASSERT_TRUE(tg_wheel_validate(&w));
		if (tg_timer_running(&i->t) && i->due + (2 << TG_WHEEL_TICK_SHIFT) < w.now)
			CU_FAIL("a due timer did not fire");
		if (i->count && i->fired < i->due)
			CU_FAIL("a timer fired early");
	}
	tg_wheel_advance(&w, w.now + (UINT64_C(1) << 47), 0);
	CU_ASSERT_EQUAL(w.running, 0);
	for (int k = 0; k < N; k++)
		CU_ASSERT_FATAL(items[k].count <= 1);
}

static void time_never_goes_back(void)
{
	setup(TG_SEC);
	tg_wheel_advance(&w, TG_MS, 0);
	CU_ASSERT_EQUAL(w.now, TG_SEC);
}

TG_TEST_MAIN("wheel", {"never early, at most a tick late", never_early_at_most_a_tick_late},
	{"crosses every level boundary", crosses_every_level_boundary},
	{"next leads to every deadline", next_leads_to_every_deadline},
	{"budget leaves the rest for later", budget_leaves_the_rest_for_later},
	{"callback may free its neighbour", callback_may_free_its_neighbour},
	{"random against a model", random_against_a_model},
	{"time never goes back", time_never_goes_back})
