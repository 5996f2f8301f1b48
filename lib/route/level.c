/* level.c: how requests are shared out over priorities. */
#include <tidegate/lb.h>

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t availability(const struct tg_lb_level *l, uint32_t count, uint32_t factor)
{
	return l->n ? (uint32_t)least(100, (uint32_t)((uint64_t)factor * count / l->n)) : 0;
}

static bool in_panic(const struct tg_lb_level *l, uint32_t threshold)
{
	uint64_t well = (uint64_t)l->good + l->degraded;

	return well * 1000000 < (uint64_t)threshold * l->n || (!l->n && threshold);
}

/* Of *left percent, as much as is available of a sum; returns the first level that has any. */
static uint32_t *share_out(struct tg_lb_level *levels, uint32_t n, bool degraded, uint32_t factor,
	uint32_t sum, uint32_t *left)
{
	uint32_t *first = NULL;

	for (uint32_t i = 0; i < n; i++) {
		struct tg_lb_level *l = &levels[i];
		uint32_t *load = degraded ? &l->load_degraded : &l->load;
		uint32_t have = availability(l, degraded ? l->degraded : l->good, factor);

		*load = least(*left, have * 100 / sum);
		*left -= *load;
		if (have && !first)
			first = load;
	}
	return first;
}

/* Nothing is well enough anywhere: each level by its size. */
static void share_by_size(struct tg_lb_level *levels, uint32_t n)
{
	uint64_t all = 0;
	uint32_t left = 100, *first = NULL;

	for (uint32_t i = 0; i < n; i++)
		all += levels[i].n;
	for (uint32_t i = 0; i < n; i++) {
		levels[i].load = all ? (uint32_t)(100 * (uint64_t)levels[i].n / all) : 0;
		levels[i].load_degraded = 0;
		left -= levels[i].load;
		if (levels[i].n && !first)
			first = &levels[i].load;
	}
	*(first ? first : &levels[0].load) += left;
}

void tg_lb_loads(struct tg_lb_level *levels, uint32_t n, uint32_t factor, uint32_t panic_threshold)
{
	uint32_t left = 100, *first, *first_degraded;
	uint64_t sum = 0;
	bool panic = true;

	for (uint32_t i = 0; i < n; i++)
		sum += availability(&levels[i], levels[i].good, factor) +
		       availability(&levels[i], levels[i].degraded, factor);
	sum = sum < 100 ? sum : 100;
	for (uint32_t i = 0; i < n; i++) {
		levels[i].panic = sum < 100 && in_panic(&levels[i], panic_threshold);
		panic &= levels[i].panic;
	}
	if (panic || !sum) {
		/* Without panic there is nobody to choose, wherever one looks. */
		share_by_size(levels, n);
		return;
	}
	first = share_out(levels, n, false, factor, (uint32_t)sum, &left);
	first_degraded = share_out(levels, n, true, factor, (uint32_t)sum, &left);
	/* What rounding has left. */
	*(first ? first : first_degraded) += left;
}
