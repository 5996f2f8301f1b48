#include "bench_routes.h"

#include <stdio.h>

#include <tidegate/rng.h>

#include "bench.h"

void bench_route_name(char *out, size_t size, uint32_t i, uint32_t n, const char *behind)
{
	uint32_t step = BENCH_ROUTES_MAX / n, number = i * step + i * 7919 % step;

	snprintf(out, size, "/team-%u/service-%u/%s", number % 100, number, behind);
}

/* The first number whose share of the whole, up to with it, exceeds u. */
static uint32_t by_zipf(const double *upto, uint32_t n, double u)
{
	uint32_t lo = 0, hi = n - 1;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (u * upto[n - 1] < upto[mid])
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

uint32_t *bench_pick(uint32_t n, enum bench_law law, uint32_t n_picks)
{
	uint32_t *picks = bench_take(NULL, n_picks * sizeof(*picks));
	double *upto = bench_take(NULL, n * sizeof(*upto)), sum = 0;
	struct tg_rng rng;

	tg_rng_seed(&rng, 1);
	for (uint32_t i = 0; i < n; i++)
		upto[i] = sum += 1.0 / (i + 1);
	for (uint32_t i = 0; i < n_picks; i++)
		picks[i] = law == BENCH_EVEN
				   ? tg_rng_below(&rng, n)
				   : by_zipf(upto, n, (double)(tg_rng_next(&rng) >> 11) * 0x1p-53);
	return picks;
}

const char *bench_law_name(enum bench_law law)
{
	return law == BENCH_EVEN ? "even" : "zipf";
}
