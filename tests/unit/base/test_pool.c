#include "tgtest.h"

#include <tidegate/arena.h>

static void hands_out_count_and_no_more(void)
{
	struct tg_pool p;
	void *o[3];

	CU_ASSERT_EQUAL_FATAL(tg_pool_init(&p, "t", 100, 3), 0);
	CU_ASSERT_EQUAL(p.size, 128);
	for (int i = 0; i < 3; i++) {
		o[i] = tg_pool_take(&p);
		CU_ASSERT_PTR_NOT_NULL_FATAL(o[i]);
		CU_ASSERT_EQUAL((uintptr_t)o[i] % 64, 0);
		memset(o[i], 0xff, 100);
	}
	CU_ASSERT_PTR_NULL(tg_pool_take(&p));
	CU_ASSERT_EQUAL(p.refused, 1);
	CU_ASSERT_EQUAL(p.peak, 3);
	CU_ASSERT_PTR_EQUAL(tg_pool_at(&p, tg_pool_index(&p, o[1])), o[1]);
	tg_pool_put(&p, o[1]);
	CU_ASSERT_TRUE(tg_pool_validate(&p));
	CU_ASSERT_PTR_EQUAL(tg_pool_take(&p), o[1]);
	for (int i = 0; i < 3; i++)
		tg_pool_put(&p, o[i]);
	CU_ASSERT_EQUAL(p.in_use, 0);
	CU_ASSERT_TRUE(tg_pool_validate(&p));
	tg_pool_fini(&p);
}

static void fails_on_demand(void)
{
	struct tg_pool p;
	void *a;

	CU_ASSERT_EQUAL_FATAL(tg_pool_init(&p, "t", 16, 10), 0);
	p.fail_every = 2;
	a = tg_pool_take(&p);
	CU_ASSERT_PTR_NOT_NULL(a);
	CU_ASSERT_PTR_NULL(tg_pool_take(&p));
	tg_pool_put(&p, a);
	tg_pool_fini(&p);
}

static void refuses_nonsense(void)
{
	struct tg_pool p;

	CU_ASSERT_EQUAL(tg_pool_init(&p, "t", 0, 3), TG_EINVAL);
	CU_ASSERT_EQUAL(tg_pool_init(&p, "t", 8, 0), TG_EINVAL);
	CU_ASSERT_EQUAL(tg_pool_init(&p, "t", UINT32_MAX, 1), TG_EINVAL);
}

static void arena_is_bounded_and_gives_all_back(void)
{
	struct tg_arena_source s;
	struct tg_arena a;
	struct tg_view v = TG_VIEW("hello");
	uint8_t *big;

	CU_ASSERT_EQUAL_FATAL(tg_arena_source_init(&s, 1024, 4, 8192, 1), 0);
	tg_arena_init(&a, &s, 1024 * 2 + 8192);
	CU_ASSERT_TRUE(tg_view_eq(tg_arena_copy(&a, v), v));
	big = tg_arena_alloc(&a, 5000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	memset(big, 1, 5000);
	CU_ASSERT_PTR_NULL(tg_arena_alloc(&a, 5000)); /* the only large chunk is nearly full */
	CU_ASSERT_PTR_NULL(tg_arena_alloc(&a, 9000)); /* no chunk is that large */
	CU_ASSERT_PTR_NULL(tg_arena_alloc(&a, UINT32_MAX));
	/* three in the rest of the large chunk, one in a second small one, then max_bytes */
	for (int i = 0; i < 4; i++)
		CU_ASSERT_PTR_NOT_NULL(tg_arena_alloc(&a, 900));
	CU_ASSERT_PTR_NULL(tg_arena_alloc(&a, 900));
	tg_arena_reset(&a);
	CU_ASSERT_EQUAL(s.small.in_use + s.large.in_use, 0);
	CU_ASSERT_PTR_NOT_NULL(tg_arena_alloc(&a, 5000));
	tg_arena_reset(&a);
	tg_arena_source_fini(&s);
}

static void arena_pieces_do_not_overlap(void)
{
	struct tg_arena_source s;
	struct tg_arena a;
	uint8_t *p[40];

	CU_ASSERT_EQUAL_FATAL(tg_arena_source_init(&s, 256, 40, 4096, 1), 0);
	tg_arena_init(&a, &s, 1 << 20);
	for (int i = 0; i < 40; i++) {
		p[i] = tg_arena_alloc(&a, 61);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p[i]);
		CU_ASSERT_EQUAL((uintptr_t)p[i] % 8, 0);
		memset(p[i], i, 61);
	}
	for (int i = 0; i < 40; i++)
		for (int k = 0; k < 61; k++)
			CU_ASSERT_EQUAL_FATAL(p[i][k], i);
	tg_arena_reset(&a);
	tg_arena_source_fini(&s);
}

TG_TEST_MAIN("pool", {"hands out count and no more", hands_out_count_and_no_more},
	{"fails on demand", fails_on_demand}, {"refuses nonsense", refuses_nonsense},
	{"arena is bounded and gives all back", arena_is_bounded_and_gives_all_back},
	{"arena pieces do not overlap", arena_pieces_do_not_overlap})
