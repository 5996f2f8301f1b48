#include <stdlib.h>

#include "place.h"

#define CROWD_MAX 16 /* larger crowds come first too, in no order */

/* Hashes by their bends, and those by how many they have, the most first. */
struct crowds {
	uint32_t *begin; /* [n_bends + 1]: of a bend's hashes in who */
	uint32_t *who;   /* [n] */
	uint32_t *order; /* [n_bends] */
	uint64_t *taken; /* a bit for each place */
};

static bool is_taken(const struct crowds *c, uint32_t place)
{
	return c->taken[place / 64] >> place % 64 & 1;
}

static void flip(struct crowds *c, uint32_t place)
{
	c->taken[place / 64] ^= UINT64_C(1) << place % 64;
}

/* Counts become where each one's begin; begin[] has a 0 in front. */
static void sum_up(uint32_t *begin, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		begin[i + 1] += begin[i];
}

static uint32_t size_of(const struct crowds *c, uint32_t crowd)
{
	return c->begin[crowd + 1] - c->begin[crowd];
}

static uint32_t rank(const struct crowds *c, uint32_t crowd)
{
	uint32_t size = size_of(c, crowd);

	return size > CROWD_MAX ? 0 : CROWD_MAX - size;
}

static void group(struct crowds *c, const struct place_in *in, uint32_t n_bends)
{
	uint32_t ranks[CROWD_MAX + 2] = {0};
	uint32_t *next = c->order; /* until it is needed */

	for (uint32_t i = 0; i < in->n; i++)
		c->begin[place_crowd(in->hash[i], n_bends) + 1]++;
	sum_up(c->begin, n_bends);
	memcpy(next, c->begin, n_bends * sizeof(*next));
	for (uint32_t i = 0; i < in->n; i++)
		c->who[next[place_crowd(in->hash[i], n_bends)]++] = i;
	for (uint32_t i = 0; i < n_bends; i++)
		ranks[rank(c, i) + 1]++;
	sum_up(ranks, CROWD_MAX + 1);
	for (uint32_t i = 0; i < n_bends; i++)
		c->order[ranks[rank(c, i)]++] = i;
}

/* Takes those out of a crowd that have the hash of one in front; how many stay. */
static uint32_t set_equals_apart(
	const struct place_in *in, uint32_t *who, uint32_t n, uint32_t *place)
{
	uint32_t kept = 0, k;

	for (uint32_t i = 0; i < n; i++) {
		for (k = 0; k < kept && in->hash[who[k]] != in->hash[who[i]]; k++)
			;
		if (k < kept)
			place[who[i]] = PLACE_NONE;
		else
			who[kept++] = who[i];
	}
	return kept;
}

/* Places for who[0..n) with that bend, if they are free. */
static bool fits(struct crowds *c, const struct place_in *in, const uint32_t *who, uint32_t n,
	uint8_t bend, uint32_t *place)
{
	uint32_t k;

	for (k = 0; k < n; k++) {
		uint32_t at = place_of(in->hash[who[k]], bend, in->n_places);

		if (is_taken(c, at))
			break;
		flip(c, at);
		place[who[k]] = at;
	}
	if (k == n)
		return true;
	while (k--)
		flip(c, place[who[k]]);
	return false;
}

static bool seat(
	struct crowds *c, const struct place_in *in, uint32_t crowd, uint8_t *bend, uint32_t *place)
{
	uint32_t *who = &c->who[c->begin[crowd]];
	uint32_t n = set_equals_apart(in, who, size_of(c, crowd), place);

	for (uint32_t b = 0; b <= UINT8_MAX; b++)
		if (fits(c, in, who, n, (uint8_t)b, place)) {
			*bend = (uint8_t)b;
			return true;
		}
	return false;
}

int place_all(const struct place_in *in, uint8_t *bends, uint32_t *place)
{
	uint32_t n_bends = place_bends(in->n);
	struct crowds c = {
		.begin = calloc(n_bends + (size_t)1, sizeof(*c.begin)),
		.who = calloc(in->n + (size_t)1, sizeof(*c.who)),
		.order = calloc(n_bends, sizeof(*c.order)),
		.taken = calloc(in->n_places / 64 + (size_t)1, sizeof(*c.taken)),
	};
	int rc = c.begin && c.who && c.order && c.taken ? 0 : TG_ENOMEM;

	if (!rc)
		group(&c, in, n_bends);
	for (uint32_t i = 0; i < n_bends && !rc; i++)
		if (!seat(&c, in, c.order[i], &bends[c.order[i]], place))
			rc = TG_EEXIST;
	free(c.begin);
	free(c.who);
	free(c.order);
	free(c.taken);
	return rc;
}
