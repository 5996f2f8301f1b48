#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate/tax.h>

#include "../tgtest.h"

static struct tg_tax *fresh(void)
{
	struct tg_tax *t = aligned_alloc(64, sizeof(*t));

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	memset(t, 0, sizeof(*t));
	return t;
}

static uint64_t sum(const struct tg_tax_totals *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < TG_STAGES; i++)
		n += s->stage[i];
	return n;
}

/* A stage within another interrupts it, and the other goes on after it. */
static void time_is_exclusive(void)
{
	struct tg_tax *t = fresh();
	struct tg_tax_totals s;
	enum tg_stage outer, inner;

	tg_tax_begin(t, 1000);
	outer = tg_tax_border(t, TG_STAGE_http, 1010);
	CU_ASSERT_EQUAL(outer, TG_STAGE_loop);
	inner = tg_tax_border(t, TG_STAGE_tls, 1030);
	CU_ASSERT_EQUAL(inner, TG_STAGE_http);
	CU_ASSERT_EQUAL(tg_tax_border(t, TG_STAGE_tcp, 1100), TG_STAGE_tls);
	tg_tax_border(t, TG_STAGE_tls, 1107);
	tg_tax_border(t, inner, 1110);
	tg_tax_border(t, outer, 1150);
	tg_tax_end(t, 1151, true);
	tg_tax_read(t, &s);
	CU_ASSERT_EQUAL(s.stage[TG_STAGE_loop], 10 + 1);
	CU_ASSERT_EQUAL(s.stage[TG_STAGE_http], 20 + 40);
	CU_ASSERT_EQUAL(s.stage[TG_STAGE_tls], 70 + 3);
	CU_ASSERT_EQUAL(s.stage[TG_STAGE_tcp], 7);
	CU_ASSERT_EQUAL(s.turns, 1);
	CU_ASSERT_EQUAL(s.cycles, 151);
	CU_ASSERT_EQUAL(s.square, 151. * 151);
	CU_ASSERT_EQUAL(s.squares[TG_STAGE_http], 60. * 60);
	CU_ASSERT_EQUAL(s.products[TG_STAGE_http], 60. * 151);
	free(t);
}

/* By the real counter, in any order of stages: the parts are the whole. */
static void stages_add_up_to_the_turn(void)
{
	struct tg_tax *t = fresh();
	uint64_t whole = 0;
	struct tg_tax_totals s;

	srandom(1);
	for (uint32_t turn = 0; turn < 1000; turn++) {
		uint64_t begin = tg_tsc(), end;

		tg_tax_begin(t, begin);
		for (uint32_t i = 0; i < 20; i++) {
			enum tg_stage a = tg_tax_enter(t, (enum tg_stage)(random() % TG_STAGES));
			enum tg_stage b = tg_tax_enter(t, (enum tg_stage)(random() % TG_STAGES));

			tg_tax_leave(t, b);
			if (i % 3)
				tg_tax_leave(
					t, a); /* one that is forgotten does no harm to the sum */
		}
		end = tg_tsc();
		tg_tax_end(t, end, true);
		whole += end - begin;
	}
	tg_tax_read(t, &s);
	CU_ASSERT_EQUAL(s.turns, 1000);
	CU_ASSERT_EQUAL(s.cycles, whole);
	CU_ASSERT_EQUAL(sum(&s), whole);
	free(t);
}

static void an_empty_turn_is_apart(void)
{
	struct tg_tax *t = fresh();
	struct tg_tax_totals s;

	tg_tax_begin(t, 100);
	tg_tax_border(t, TG_STAGE_rx, 120);
	tg_tax_end(t, 150, false);
	tg_tax_read(t, &s);
	CU_ASSERT_EQUAL(s.turns, 0);
	CU_ASSERT_EQUAL(sum(&s), 0);
	CU_ASSERT_EQUAL(s.empty_turns, 1);
	CU_ASSERT_EQUAL(s.empty_cycles, 50);
	free(t);
}

static void a_turn_that_is_not_traced_counts_nothing(void)
{
	struct tg_tax *t = fresh();
	struct tg_tax_totals s;

	tg_tax_leave(t, tg_tax_enter(t, TG_STAGE_http));
	tg_tax_read(t, &s);
	CU_ASSERT_EQUAL(sum(&s) + s.turns + s.empty_turns, 0);
	CU_ASSERT_EQUAL(t->mark, 0);
	free(t);
}

static void turns_are_chosen_at_random_one_in_so_many(void)
{
	struct tg_tax *t = fresh();
	uint32_t chosen = 0, last = 0, gaps[2 * TG_TAX_EVERY] = {0}, kinds = 0;

	for (uint32_t i = 1; i <= 100000 * TG_TAX_EVERY; i++) {
		if (!tg_tax_chosen(t))
			continue;
		if (chosen++) {
			CU_ASSERT_TRUE_FATAL(i - last < 2 * TG_TAX_EVERY);
			gaps[i - last]++;
		}
		last = i;
	}
	CU_ASSERT_TRUE(chosen > 99000 && chosen < 101000);
	for (uint32_t i = 1; i < 2 * TG_TAX_EVERY; i++)
		kinds += gaps[i] > 0;
	CU_ASSERT_EQUAL(kinds, 2 * TG_TAX_EVERY - 1);
	free(t);
}

static void the_latest_wish_holds(void)
{
	struct tg_tax *t = fresh();

	CU_ASSERT_FALSE(tg_tax_wanted(t, 1));
	tg_tax_ask(t, 500);
	tg_tax_ask(t, 300);
	CU_ASSERT_TRUE(tg_tax_wanted(t, 499));
	CU_ASSERT_FALSE(tg_tax_wanted(t, 500));
	free(t);
}

static _Atomic bool done;

static void *reader(void *arg)
{
	struct tg_tax_totals s;
	uintptr_t wrong = 0;

	do {
		tg_tax_read(arg, &s);
		wrong += sum(&s) != s.cycles || s.cycles != s.turns * 30;
	} while (!atomic_load(&done));
	return (void *)wrong;
}

/* Whoever reads while the worker writes sees whole turns. */
static void a_reader_sees_whole_turns(void)
{
	struct tg_tax *t = fresh();
	void *wrong;
	pthread_t id;

	atomic_store(&done, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&id, NULL, reader, t), 0);
	for (uint64_t i = 0; i < 100000; i++) {
		tg_tax_begin(t, i * 30);
		tg_tax_border(t, TG_STAGE_rx, i * 30 + 10);
		tg_tax_border(t, TG_STAGE_tx, i * 30 + 15);
		tg_tax_end(t, i * 30 + 30, true);
	}
	atomic_store(&done, true);
	pthread_join(id, &wrong);
	CU_ASSERT_PTR_NULL(wrong);
	free(t);
}

static void stages_have_names(void)
{
	CU_ASSERT_STRING_EQUAL(tg_stage_name(TG_STAGE_rx), "rx");
	CU_ASSERT_STRING_EQUAL(tg_stage_name(TG_STAGE_loop), "loop");
	for (uint32_t i = 0; i < TG_STAGES; i++)
		CU_ASSERT_TRUE(tg_stage_text((enum tg_stage)i)[0] != '\0');
}

TG_TEST_MAIN("tax", {"time is exclusive", time_is_exclusive},
	{"stages add up to the turn", stages_add_up_to_the_turn},
	{"an empty turn is apart", an_empty_turn_is_apart},
	{"a turn that is not traced counts nothing", a_turn_that_is_not_traced_counts_nothing},
	{"turns are chosen at random, one in so many", turns_are_chosen_at_random_one_in_so_many},
	{"the latest wish holds", the_latest_wish_holds},
	{"a reader sees whole turns", a_reader_sees_whole_turns},
	{"stages have names", stages_have_names})
