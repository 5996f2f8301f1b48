/* Token buckets: never one token too many, and none that is lost without need. */
#include <pthread.h>
#include <stdlib.h>
#include <tidegate/bucket.h>
#include <tidegate/view.h>

#include "../tgtest.h"

#define SEC UINT64_C(1000000000)
#define MS UINT64_C(1000000)

static const uint8_t secret[16] = "0123456789abcde";

static uint32_t take_all(struct tg_bucket *b, const struct tg_bucket_rate *r, uint64_t now)
{
	uint32_t n = 0, left;

	while (tg_bucket_take(b, r, now, &left)) {
		n++;
		if (left != r->max - n && left > r->max)
			CU_FAIL("left");
	}
	return n;
}

static void fills(void)
{
	struct tg_bucket_rate r = {10, 3, SEC};
	struct tg_bucket b = {0};
	uint64_t t = 1000 * SEC;

	CU_ASSERT_EQUAL(tg_bucket_left(&b, &r, t), 10);
	CU_ASSERT_EQUAL(take_all(&b, &r, t), 10);
	CU_ASSERT_EQUAL(take_all(&b, &r, t + SEC - 1), 0);
	CU_ASSERT_EQUAL(tg_bucket_next_fill(&r, t + SEC - 1), 1);
	CU_ASSERT_EQUAL(take_all(&b, &r, t + SEC), 3);
	CU_ASSERT_EQUAL(take_all(&b, &r, t), 0); /* a clock that is behind */
	CU_ASSERT_EQUAL(tg_bucket_left(&b, &r, t + 3 * SEC), 6);
	CU_ASSERT_EQUAL(take_all(&b, &r, t + 3 * SEC), 6);
	CU_ASSERT_EQUAL(take_all(&b, &r, t + 100 * SEC), 10); /* no more than fit */
	CU_ASSERT_EQUAL(tg_bucket_next_fill(&r, t), SEC);
}

static void ends_of_ranges(void)
{
	struct tg_bucket_rate one = {1, 1, 50 * MS}, all = {TG_BUCKET_MAX, TG_BUCKET_MAX, 50 * MS};
	struct tg_bucket b = {0};
	uint64_t t = (UINT64_C(1) << 32) * 50 * MS - 1; /* the last fill before the count wraps */

	CU_ASSERT_EQUAL(take_all(&b, &one, t - 100000 * one.interval), 1);
	CU_ASSERT_EQUAL(take_all(&b, &one, t), 1);
	CU_ASSERT_EQUAL(take_all(&b, &one, t), 0);
	CU_ASSERT_EQUAL(take_all(&b, &one, t + 1), 1);
	CU_ASSERT_EQUAL(take_all(&b, &one, t + 2), 0);
	b = (struct tg_bucket){0};
	CU_ASSERT_EQUAL(take_all(&b, &all, t), TG_BUCKET_MAX);
	CU_ASSERT_EQUAL(take_all(&b, &all, t), 0);
	CU_ASSERT_EQUAL(take_all(&b, &one, t), 0); /* another limit, below what is spent */
}

/* One worker with leases: it gets all; the others' leases cost at most a 64th. */
static void leases(void)
{
	static const uint32_t maxes[] = {1, 100, 255, 256, 10000, 1000000};

	for (size_t i = 0; i < TG_ARRAY_LEN(maxes); i++) {
		struct tg_bucket_rate r = {maxes[i], maxes[i], SEC};
		struct tg_bucket_lease l[2] = {{0}};
		struct tg_bucket b = {0};
		uint32_t got[2] = {0}, left = 0;

		while (tg_bucket_take_leased(&b, &r, &l[0], 2, SEC, &left))
			CU_ASSERT_EQUAL_FATAL(left, r.max - ++got[0]);
		CU_ASSERT_EQUAL(got[0], r.max);
		CU_ASSERT_EQUAL(left, 0);
		/* the next second half is taken here, and then all by the other */
		for (got[0] = 0; got[0] < r.max / 2; got[0]++)
			CU_ASSERT_FATAL(tg_bucket_take_leased(&b, &r, &l[0], 2, 2 * SEC, NULL));
		while (tg_bucket_take_leased(&b, &r, &l[1], 2, 2 * SEC, NULL))
			got[1]++;
		CU_ASSERT(got[0] + got[1] <= r.max);
		CU_ASSERT(got[0] + got[1] >= r.max - r.max / 128);
		CU_ASSERT_EQUAL(got[0] + got[1] + l[0].left, r.max);
		/* what was left of it is no more than that of the fill */
		for (got[0] = 0; tg_bucket_take_leased(&b, &r, &l[0], 2, 3 * SEC, NULL);)
			got[0]++;
		CU_ASSERT_EQUAL(got[0], r.max);
	}
}

/* --- threads: each takes with a clock of its own, which moves --- */

#define THREADS 4
#define FILLS 200

struct shared {
	struct tg_bucket_rate r;
	struct tg_bucket b;
	struct tg_buckets table;
	uint64_t fill; /* the newest */
	bool leased;
	uint32_t keys;
	uint64_t given[64]; /* by key */
};

struct thread {
	struct shared *s;
	uint32_t number;
	uint64_t given[64];
};

static bool take_one(struct thread *t, struct tg_bucket_lease *l, uint64_t now, uint32_t i)
{
	struct shared *s = t->s;
	uint32_t key = i % s->keys;
	bool ok;

	if (!s->table.sets)
		ok = s->leased ? tg_bucket_take_leased(&s->b, &s->r, l, THREADS, now, NULL)
			       : tg_bucket_take(&s->b, &s->r, now, NULL);
	else
		ok = tg_buckets_take(&s->table, &s->r,
			     tg_buckets_hash(&s->table, 0, &key, sizeof(key)), now,
			     NULL) == TG_BUCKETS_GIVEN;
	t->given[key] += ok;
	return ok;
}

static void *run(void *arg)
{
	struct thread *t = arg;
	struct tg_bucket_lease l = {0};

	for (uint32_t i = 0, dry = 0; dry < 3 * t->s->keys; i++) {
		uint64_t f = __atomic_load_n(&t->s->fill, __ATOMIC_RELAXED);

		if (take_one(t, &l, (1000 + f) * t->s->r.interval, i)) {
			dry = 0;
			continue;
		}
		if (f >= FILLS)
			dry++;
		else if (i % t->s->keys == 0) /* nobody waits for the others */
			__atomic_compare_exchange_n(
				&t->s->fill, &f, f + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void run_threads(struct shared *s)
{
	struct thread t[THREADS] = {{0}};
	pthread_t id[THREADS];

	for (uint32_t i = 0; i < THREADS; i++) {
		t[i] = (struct thread){.s = s, .number = i};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&id[i], NULL, run, &t[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(id[i], NULL);
		for (uint32_t k = 0; k < s->keys; k++)
			s->given[k] += t[i].given[k];
	}
}

static void exact_over_threads(void)
{
	for (int leased = 0; leased < 2; leased++) {
		struct shared s = {.r = {1000, 500, SEC}, .leased = leased, .keys = 1};
		uint64_t all = 1000 + 500 * FILLS;

		run_threads(&s);
		CU_ASSERT(s.given[0] <= all);
		/* Whoever moves the clock found nothing left: all of a fill was given, but for
		 * leases. */
		CU_ASSERT(s.given[0] >= (leased ? all - all / 16 : all));
	}
}

/* --- many --- */

static struct tg_buckets table_for(uint32_t keys)
{
	struct tg_buckets t;
	void *mem = aligned_alloc(64, tg_buckets_bytes(keys));

	CU_ASSERT_PTR_NOT_NULL_FATAL(mem);
	memset(mem, 0, tg_buckets_bytes(keys));
	tg_buckets_init(&t, mem, keys, secret);
	return t;
}

static uint64_t key(const struct tg_buckets *t, uint32_t k)
{
	return tg_buckets_hash(t, 0, &k, sizeof(k));
}

static void keys_are_apart(void)
{
	struct tg_bucket_rate r = {3, 1, SEC};
	struct tg_buckets t = table_for(1000);
	uint32_t left;

	for (uint32_t k = 0; k < 500; k++) {
		CU_ASSERT(tg_buckets_left(&t, &r, key(&t, k), SEC));
		for (uint32_t i = 3; i-- > 0;) {
			CU_ASSERT_EQUAL(
				tg_buckets_take(&t, &r, key(&t, k), SEC, &left), TG_BUCKETS_GIVEN);
			CU_ASSERT_EQUAL(left, i);
		}
		CU_ASSERT_EQUAL(tg_buckets_take(&t, &r, key(&t, k), SEC, &left), TG_BUCKETS_EMPTY);
		CU_ASSERT(!tg_buckets_left(&t, &r, key(&t, k), SEC));
		CU_ASSERT(tg_buckets_left(&t, &r, key(&t, k), 2 * SEC));
	}
	CU_ASSERT_EQUAL(tg_buckets_take(&t, &r, key(&t, 7), 2 * SEC, NULL), TG_BUCKETS_GIVEN);
	CU_ASSERT_EQUAL(tg_buckets_take(&t, &r, key(&t, 7), 2 * SEC, NULL), TG_BUCKETS_EMPTY);
	CU_ASSERT_NOT_EQUAL(tg_buckets_hash(&t, 0, "ab", 2), tg_buckets_hash(&t, 0, "ba", 2));
	CU_ASSERT_NOT_EQUAL(tg_buckets_hash(&t, tg_buckets_hash(&t, 0, "a", 1), "b", 1),
		tg_buckets_hash(&t, 0, "ab", 2));
	free(t.sets);
}

/* 100,000 keys in 8 MiB: all but a few are remembered. A million: the oldest go, and are counted.
 */
static void a_hundred_thousand(void)
{
	struct tg_bucket_rate r = {1, 1, 3600 * SEC};
	struct tg_buckets t = table_for(100000);
	uint32_t refused = 0, evicted = 0;

	CU_ASSERT_EQUAL(tg_buckets_bytes(100000), 8u << 20);
	for (uint32_t k = 0; k < 100000; k++) {
		enum tg_buckets_answer a = tg_buckets_take(&t, &r, key(&t, k), 3600 * SEC, NULL);

		CU_ASSERT_FATAL(a != TG_BUCKETS_EMPTY);
		evicted += a == TG_BUCKETS_GIVEN_EVICTED;
	}
	for (uint32_t k = 0; k < 100000; k++)
		refused +=
			tg_buckets_take(&t, &r, key(&t, k), 3600 * SEC, NULL) == TG_BUCKETS_EMPTY;
	CU_ASSERT(evicted <= 20);
	CU_ASSERT(refused >= 100000 - 40 * 8 && refused <= 100000);
	for (uint32_t k = 0; k < 1000000; k++)
		evicted += tg_buckets_take(&t, &r, key(&t, k), 3601 * SEC, NULL) ==
			   TG_BUCKETS_GIVEN_EVICTED;
	CU_ASSERT(evicted > 400000);
	/* An hour later all are full again: nothing is lost by an eviction. */
	evicted = 0;
	for (uint32_t k = 0; k < 100000; k++)
		evicted += tg_buckets_take(&t, &r, key(&t, k + 5000000), 7200 * SEC, NULL) ==
			   TG_BUCKETS_GIVEN_EVICTED;
	CU_ASSERT(evicted <= 40);
	free(t.sets);
}

static void the_oldest_goes(void)
{
	struct tg_bucket_rate r = {1, 1, SEC};
	struct tg_buckets t = table_for(1); /* one set of eight */

	r.per_fill = 1;
	r.max = 5;
	for (uint32_t k = 0; k < 8; k++) /* k was asked for at k seconds, and spent all */
		for (int i = 0; i < 5; i++)
			tg_buckets_take(&t, &r, key(&t, k), (10 + k) * SEC, NULL);
	CU_ASSERT_EQUAL(
		tg_buckets_take(&t, &r, key(&t, 8), 14 * SEC, NULL), TG_BUCKETS_GIVEN_EVICTED);
	CU_ASSERT_EQUAL(tg_buckets_take(&t, &r, key(&t, 7), 14 * SEC, NULL), TG_BUCKETS_EMPTY);
	CU_ASSERT(!tg_buckets_left(&t, &r, key(&t, 7), 14 * SEC));
	/* 0 has gone; 1 goes next, which is full again by then */
	CU_ASSERT_EQUAL(tg_buckets_take(&t, &r, key(&t, 0), 16 * SEC, NULL), TG_BUCKETS_GIVEN);
	free(t.sets);
}

/* Sets of one with more keys than ways would evict; eight keys in one set, brought by all at once.
 */
static void many_exact_over_threads(void)
{
	struct shared s = {.r = {50, 20, SEC}, .keys = 8, .table = table_for(1)};

	run_threads(&s);
	for (uint32_t k = 0; k < s.keys; k++)
		CU_ASSERT(s.given[k] <= 50 + 20 * FILLS);
	CU_ASSERT(s.given[0] >= 20 * FILLS);
	free(s.table.sets);
}

TG_TEST_MAIN("bucket", {"fills", fills}, {"ends of ranges", ends_of_ranges}, {"leases", leases},
	{"exact over threads", exact_over_threads}, {"keys are apart", keys_are_apart},
	{"a hundred thousand", a_hundred_thousand}, {"the oldest goes", the_oldest_goes},
	{"many, exact over threads", many_exact_over_threads})
