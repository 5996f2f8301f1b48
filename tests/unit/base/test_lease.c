/* Leases of a limit: never exceeded, early by no more than promised, nothing lost. */
#include <pthread.h>

#include <tidegate/lease.h>
#include <tidegate/rng.h>
#include <tidegate/view.h>

#include "../tgtest.h"

#define WORKERS 4

static struct tg_lease_pool pool;
static struct tg_lease lease[WORKERS];

static void start(uint32_t n, uint32_t limit)
{
	pool = (struct tg_lease_pool){0};
	for (uint32_t i = 0; i < n; i++) {
		tg_lease_init(&lease[i], &pool);
		tg_lease_limit(&lease[i], limit, n);
	}
}

static uint32_t take_all(struct tg_lease *l)
{
	uint32_t n = 0;

	while (tg_lease_take(l))
		n++;
	return n;
}

static void give(struct tg_lease *l, uint32_t n)
{
	while (n--)
		tg_lease_give(l);
}

static void nobody_holds_a_small_limit(void)
{
	start(2, 1);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(tg_lease_take(&lease[i % 2]));
		CU_ASSERT_FALSE(tg_lease_take(&lease[i % 2]));
		CU_ASSERT_FALSE(tg_lease_take(&lease[1 - i % 2]));
		tg_lease_give(&lease[i % 2]);
		CU_ASSERT_EQUAL(pool.leased, 0);
	}
}

static void one_worker_has_all(void)
{
	start(1, 1000);
	CU_ASSERT_EQUAL(take_all(&lease[0]), 1000);
	give(&lease[0], 1000);
	CU_ASSERT_EQUAL(take_all(&lease[0]), 1000);
}

static void a_limit_of_nothing(void)
{
	struct tg_lease zero = {0};

	start(2, 0);
	CU_ASSERT_FALSE(tg_lease_take(&lease[0]));
	CU_ASSERT_FALSE(tg_lease_take(&zero));
}

/* What one worker may be refused while others rest is bounded as lease.h says. */
static void early_by_the_leased_share_at_most(void)
{
	static const uint32_t limits[] = {1, 7, 63, 64, 65, 100, 1024, 100000};

	for (uint32_t k = 0; k < TG_ARRAY_LEN(limits); k++) {
		uint32_t limit = limits[k], got, spare = 0;

		start(WORKERS, limit);
		for (uint32_t w = 1; w < WORKERS; w++) {
			uint32_t n = limit / WORKERS;

			for (uint32_t i = 0; i < n; i++)
				CU_ASSERT_TRUE(tg_lease_take(&lease[w]));
			give(&lease[w], n);
			spare += lease[w].held;
			CU_ASSERT_TRUE(lease[w].held <= 2 * (lease[w].batch - 1));
		}
		got = take_all(&lease[0]);
		CU_ASSERT_EQUAL(got, limit - spare);
		CU_ASSERT_TRUE(8 * spare < limit || spare == 0);
	}
}

/* What the one does not use the other may have, to the last unit. */
static void nobody_owns_a_part(void)
{
	start(2, 10);
	CU_ASSERT_EQUAL(take_all(&lease[0]), 10);
	CU_ASSERT_EQUAL(take_all(&lease[1]), 0);
	give(&lease[0], 1);
	CU_ASSERT_EQUAL(take_all(&lease[1]), 1);
	give(&lease[0], 9);
	CU_ASSERT_EQUAL(take_all(&lease[1]), 9);
	CU_ASSERT_EQUAL(lease[0].held, 0);
}

static void new_limit(uint32_t limit)
{
	for (uint32_t w = 0; w < 2; w++)
		tg_lease_limit(&lease[w], limit, 2);
}

static void the_limit_changes_under_use(void)
{
	start(2, 100);
	for (int i = 0; i < 60; i++)
		CU_ASSERT_TRUE(tg_lease_take(&lease[i % 2]));
	new_limit(10);
	CU_ASSERT_FALSE(tg_lease_take(&lease[0]));
	give(&lease[0], 30);
	CU_ASSERT_FALSE(tg_lease_take(&lease[1]));
	CU_ASSERT_EQUAL(take_all(&lease[0]), 0);
	give(&lease[1], 30);
	CU_ASSERT_EQUAL(take_all(&lease[0]), 10);
	new_limit(1);
	give(&lease[0], 10);
	CU_ASSERT_EQUAL(take_all(&lease[1]), 1);
	CU_ASSERT_EQUAL(take_all(&lease[0]), 0);
	new_limit(200);
	CU_ASSERT_EQUAL(take_all(&lease[1]), 199);
	give(&lease[1], 200);
	new_limit(0);
	CU_ASSERT_EQUAL(pool.leased, 0);
}

/* Who goes on taking and giving under a lower limit comes down to it all the same. */
static void churn_does_not_stay_above_a_new_limit(void)
{
	start(2, 2000);
	for (int i = 0; i < 1500; i++)
		CU_ASSERT_TRUE(tg_lease_take(&lease[0]));
	new_limit(1000);
	CU_ASSERT_EQUAL(lease[0].batch, 1000 / 2 / 16);
	for (int i = 0; i < 2000; i++) {
		tg_lease_give(&lease[0]);
		if (tg_lease_take(&lease[0]))
			break;
	}
	CU_ASSERT_EQUAL(lease[0].used, 1000);
	CU_ASSERT_EQUAL(take_all(&lease[0]), 0);
}

/* Threads at full speed: the sum in use, counted beside, is never above the limit, and when all is
 * given back nothing is missing. */
struct thread {
	pthread_t id;
	struct tg_lease *lease;
	uint64_t seed;
	uint64_t refused;
};

static int64_t in_use, most;
static uint32_t stress_limit;

static void note_most(int64_t now)
{
	int64_t seen = __atomic_load_n(&most, __ATOMIC_RELAXED);

	while (now > seen && !__atomic_compare_exchange_n(
				     &most, &seen, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void *run(void *arg)
{
	struct thread *t = arg;
	struct tg_rng rng;
	uint32_t mine = 0;

	tg_rng_seed(&rng, t->seed);
	for (int i = 0; i < 60000; i++) {
		if (i % 5000 == 4999) /* as at a reload */
			tg_lease_limit(t->lease, stress_limit, WORKERS);
		if (tg_rng_below(&rng, 64) < 33) {
			if (tg_lease_take(t->lease)) {
				note_most(__atomic_add_fetch(&in_use, 1, __ATOMIC_SEQ_CST));
				mine++;
			} else {
				t->refused++;
			}
		} else if (mine) {
			__atomic_sub_fetch(&in_use, 1, __ATOMIC_SEQ_CST);
			tg_lease_give(t->lease);
			mine--;
		}
	}
	__atomic_sub_fetch(&in_use, mine, __ATOMIC_SEQ_CST);
	while (mine--)
		tg_lease_give(t->lease);
	tg_lease_limit(t->lease, 0, WORKERS);
	return NULL;
}

static void threads_never_exceed_it(void)
{
	static const uint32_t limits[] = {1, 3, 40, 300};

	for (uint32_t k = 0; k < TG_ARRAY_LEN(limits); k++) {
		struct thread t[WORKERS] = {0};
		uint64_t refused = 0;

		stress_limit = limits[k];
		in_use = most = 0;
		start(WORKERS, stress_limit);
		for (uint32_t w = 0; w < WORKERS; w++) {
			t[w].lease = &lease[w];
			t[w].seed = w + 1;
			CU_ASSERT_EQUAL_FATAL(pthread_create(&t[w].id, NULL, run, &t[w]), 0);
		}
		for (uint32_t w = 0; w < WORKERS; w++) {
			pthread_join(t[w].id, NULL);
			refused += t[w].refused;
		}
		CU_ASSERT_TRUE(most <= stress_limit);
		CU_ASSERT_TRUE(most > 0);
		CU_ASSERT_TRUE(refused > 0);
		CU_ASSERT_EQUAL(pool.leased, 0);
	}
}

TG_TEST_MAIN("lease", {"nobody holds a small limit", nobody_holds_a_small_limit},
	{"one worker has all", one_worker_has_all}, {"a limit of nothing", a_limit_of_nothing},
	{"early by the leased share at most", early_by_the_leased_share_at_most},
	{"nobody owns a part", nobody_owns_a_part},
	{"the limit changes under use", the_limit_changes_under_use},
	{"churn does not stay above a new limit", churn_does_not_stay_above_a_new_limit},
	{"threads never exceed it", threads_never_exceed_it})
