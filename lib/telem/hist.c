#include <tidegate/hist.h>

/* Inverse of tg_hist_index(): above 2 * 64, `shift` counts the doublings. */
static uint32_t shift_of(uint32_t index)
{
	uint32_t row = index >> TG_HIST_SUB_BITS;

	return row < 2 ? 0 : row - 1;
}

uint64_t tg_hist_low(uint32_t index)
{
	uint32_t shift = shift_of(index);

	return (uint64_t)(index - (shift << TG_HIST_SUB_BITS)) << shift;
}

uint64_t tg_hist_high(uint32_t index)
{
	return tg_hist_low(index) + ((uint64_t)1 << shift_of(index)) - 1;
}

void tg_hist_merge(struct tg_hist *dst, const struct tg_hist *src)
{
	uint64_t max = __atomic_load_n(&src->max, __ATOMIC_RELAXED);

	dst->sum += __atomic_load_n(&src->sum, __ATOMIC_RELAXED);
	if (max > dst->max)
		dst->max = max;
	for (uint32_t i = 0; i < TG_HIST_BUCKETS; i++)
		dst->bucket[i] += __atomic_load_n(&src->bucket[i], __ATOMIC_RELAXED);
}

/* Counted afresh each time: a counter of its own could disagree with the buckets in a copy made
 * under a writer, and a scraper must never see that. */
uint64_t tg_hist_count(const struct tg_hist *h)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < TG_HIST_BUCKETS; i++)
		n += h->bucket[i];
	return n;
}

uint64_t tg_hist_percentile(const struct tg_hist *h, double percent)
{
	uint64_t count = tg_hist_count(h), rank, seen = 0, middle;
	uint32_t i = 0;
	double exact;

	if (count == 0)
		return 0;
	if (percent >= 100.0)
		return h->max;
	exact = percent > 0.0 ? percent * (double)count / 100.0 : 0.0;
	rank = (uint64_t)exact;
	if ((double)rank < exact || rank == 0)
		rank++;
	for (; i < TG_HIST_BUCKETS - 1; i++) {
		seen += h->bucket[i];
		if (seen >= rank)
			break;
	}
	middle = (tg_hist_low(i) + tg_hist_high(i)) / 2;
	return middle < h->max ? middle : h->max;
}

uint64_t tg_hist_at_most(const struct tg_hist *h, uint64_t ns)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < TG_HIST_BUCKETS && tg_hist_high(i) <= ns; i++)
		n += h->bucket[i];
	return n;
}
