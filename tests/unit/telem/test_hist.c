#include <stdlib.h>

#include <tidegate/hist.h>
#include <tidegate/rng.h>

#include "../tgtest.h"

static struct tg_hist h, copy;

static void buckets_tile_the_range(void)
{
	uint64_t next = 0;

	for (uint32_t i = 0; i < TG_HIST_BUCKETS; i++) {
		CU_ASSERT_EQUAL_FATAL(tg_hist_low(i), next);
		CU_ASSERT_FATAL(tg_hist_high(i) >= tg_hist_low(i));
		CU_ASSERT_EQUAL_FATAL(tg_hist_index(tg_hist_low(i)), i);
		CU_ASSERT_EQUAL_FATAL(tg_hist_index(tg_hist_high(i)), i);
		/* One part in 64. */
		CU_ASSERT_FATAL((tg_hist_high(i) - tg_hist_low(i)) * 64 <= tg_hist_low(i));
		next = tg_hist_high(i) + 1;
	}
	CU_ASSERT_EQUAL(next, 1ull << TG_HIST_MAX_BITS);
}

static void out_of_range_counts_as_longest(void)
{
	memset(&h, 0, sizeof(h));
	tg_hist_record(&h, UINT64_MAX);
	tg_hist_record(&h, 1ull << TG_HIST_MAX_BITS);
	CU_ASSERT_EQUAL(h.bucket[TG_HIST_BUCKETS - 1], 2);
	CU_ASSERT_EQUAL(h.max, UINT64_MAX);
	CU_ASSERT_EQUAL(tg_hist_percentile(&h, 100), UINT64_MAX);
}

static void empty_and_one(void)
{
	memset(&h, 0, sizeof(h));
	CU_ASSERT_EQUAL(tg_hist_percentile(&h, 50), 0);
	CU_ASSERT_EQUAL(tg_hist_count(&h), 0);
	tg_hist_record(&h, 77);
	for (int p = 0; p <= 100; p++)
		CU_ASSERT_EQUAL(tg_hist_percentile(&h, p), 77);
	tg_hist_record(&h, 0);
	CU_ASSERT_EQUAL(tg_hist_percentile(&h, 0), 0);
	CU_ASSERT_EQUAL(tg_hist_percentile(&h, 50), 0);
	CU_ASSERT_EQUAL(tg_hist_percentile(&h, 51), 77);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Against the sorted values themselves, over durations spread evenly on a logarithmic scale. */
static void percentiles_match_sorted_values(void)
{
	enum { N = 100000 };
	static uint64_t v[N];
	struct tg_rng rng;
	double p;
	uint64_t sum = 0;

	tg_rng_seed(&rng, 42);
	memset(&h, 0, sizeof(h));
	for (uint32_t i = 0; i < N; i++) {
		v[i] = tg_rng_next(&rng) >> (22 + tg_rng_next(&rng) % 42);
		sum += v[i];
		tg_hist_record(&h, v[i]);
	}
	qsort(v, N, sizeof(v[0]), by_value);
	CU_ASSERT_EQUAL(tg_hist_count(&h), N);
	CU_ASSERT_EQUAL(h.sum, sum);
	CU_ASSERT_EQUAL(h.max, v[N - 1]);
	for (p = 0.01; p < 100; p += 0.37) {
		uint64_t rank = (uint64_t)__builtin_ceil(p * N / 100), want, got;

		want = v[rank ? rank - 1 : 0];
		got = tg_hist_percentile(&h, p);
		CU_ASSERT((got > want ? got - want : want - got) * 128 <= want);
	}
	for (uint32_t i = 0; i < 42; i++) {
		uint64_t bound = (1ull << i) - 1, n = 0;

		while (n < N && v[n] <= bound)
			n++;
		CU_ASSERT_EQUAL(tg_hist_at_most(&h, bound), n);
	}
}

static void merge_adds(void)
{
	memset(&h, 0, sizeof(h));
	memset(&copy, 0, sizeof(copy));
	tg_hist_record(&h, 10);
	tg_hist_record(&h, 1000000);
	tg_hist_record(&copy, 2000000);
	tg_hist_merge(&copy, &h);
	CU_ASSERT_EQUAL(tg_hist_count(&copy), 3);
	CU_ASSERT_EQUAL(copy.sum, 3000010);
	CU_ASSERT_EQUAL(copy.max, 2000000);
	CU_ASSERT_EQUAL(tg_hist_percentile(&copy, 1), 10);
}

TG_TEST_MAIN("hist", {"buckets tile the range", buckets_tile_the_range},
	{"out of range counts as longest", out_of_range_counts_as_longest},
	{"empty and one", empty_and_one},
	{"percentiles match sorted values", percentiles_match_sorted_values},
	{"merge adds", merge_adds})
