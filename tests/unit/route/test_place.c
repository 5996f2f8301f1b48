#include <stdlib.h>

#include <tidegate/rng.h>

#include "../../../lib/route/place.h"
#include "../tgtest.h"
#include "tests.h"

struct table {
	struct place_in in;
	uint64_t *hash;
	uint8_t *bends;
	uint32_t *place;
	int rc;
};

static void begin(struct table *t, uint32_t n)
{
	t->hash = calloc(n + 1, sizeof(*t->hash));
	t->bends = calloc(place_bends(n), 1);
	t->place = calloc(n + 1, sizeof(*t->place));
	t->in = (struct place_in){t->hash, n, place_count(n)};
}

static void end(struct table *t)
{
	free(t->hash);
	free(t->bends);
	free(t->place);
}

static uint32_t found_at(const struct table *t, uint64_t hash)
{
	uint8_t bend = t->bends[place_crowd(hash, place_bends(t->in.n))];

	return place_of(hash, bend, t->in.n_places);
}

/* How many have no place of their own, or are not found there. */
static uint32_t misplaced(const struct table *t)
{
	uint8_t *taken = calloc(t->in.n_places, 1);
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < t->in.n; i++) {
		uint32_t at = t->place[i];

		if (at == PLACE_NONE)
			continue;
		wrong += at >= t->in.n_places || taken[at]++ || found_at(t, t->hash[i]) != at;
	}
	free(taken);
	return wrong;
}

void place_each(void)
{
	static const uint32_t sizes[] = {0, 1, 2, 3, 7, 64, 1000, 20000, 200000};
	struct tg_rng r;
	struct table t;

	tg_rng_seed(&r, 11);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(sizes); i++) {
		begin(&t, sizes[i]);
		t.rc = TG_EEXIST;
		for (int tries = 0; tries < 3 && t.rc == TG_EEXIST; tries++) {
			for (uint32_t k = 0; k < sizes[i]; k++)
				t.hash[k] = tg_rng_next(&r);
			t.rc = place_all(&t.in, t.bends, t.place);
		}
		CU_ASSERT_EQUAL(t.rc, 0);
		CU_ASSERT_EQUAL(misplaced(&t), 0);
		for (uint32_t k = 0; k < sizes[i]; k++)
			t.rc |= t.place[k] == PLACE_NONE;
		CU_ASSERT_EQUAL(t.rc, 0);
		end(&t);
	}
}

/* Of equal hashes the first has the place. */
void place_equal(void)
{
	struct tg_rng r;
	struct table t;
	uint32_t wrong = 0;

	tg_rng_seed(&r, 12);
	begin(&t, 300);
	for (uint32_t i = 0; i < 300; i++)
		t.hash[i] = i < 100 ? tg_rng_next(&r) : i < 200 ? t.hash[i - 100] : t.hash[7];
	CU_ASSERT_EQUAL_FATAL(place_all(&t.in, t.bends, t.place), 0);
	CU_ASSERT_EQUAL(misplaced(&t), 0);
	for (uint32_t i = 0; i < 300; i++)
		wrong += (t.place[i] == PLACE_NONE) != (i >= 100);
	CU_ASSERT_EQUAL(wrong, 0);
	end(&t);
}

/* Too many that share a bend. */
void place_unlucky(void)
{
	struct tg_rng r;
	struct table t;

	tg_rng_seed(&r, 13);
	begin(&t, 300);
	for (uint32_t i = 0; i < 300; i++)
		t.hash[i] = tg_rng_next(&r) << 32;
	CU_ASSERT_EQUAL(place_all(&t.in, t.bends, t.place), TG_EEXIST);
	end(&t);
}
