/* place.h: a place in a table for each of a fixed set of hashes, no two in one: hash and displace.
 * Private to lib/route.
 *
 * Hashes are divided into small crowds; each crowd has a number, its bend, that was chosen when the
 * table was built so that the places that it leads to are free. A look-up so reads one byte of a
 * small table and then exactly one place, whether the key is there or not: a place of a large
 * table is a cache line that is in no cache, and what is read of it can be asked for ahead.
 *
 *	hash --crowd--> bends[] --bend--> place      five hashes for two bends, four of five places
 *in use
 *
 * Of equal hashes only the first gets a place: the others have to be found from there. Owner: none;
 * the functions are pure. Bound: 256 tries a crowd.
 */
#ifndef TG_ROUTE_PLACE_H
#define TG_ROUTE_PLACE_H

#include <tidegate/err.h>
#include <tidegate/view.h>

struct place_in {
	const uint64_t *hash;
	uint32_t n, n_places; /* n_places > n */
};

/* How many bends n hashes have, and places; both at least 1. */
static inline uint32_t place_bends(uint32_t n)
{
	return n / 5 * 2 + 3;
}
static inline uint32_t place_count(uint32_t n)
{
	return n + n / 4 + 2;
}

static inline uint32_t place_crowd(uint64_t hash, uint32_t n_bends)
{
	return (uint32_t)((uint64_t)(uint32_t)hash * n_bends >> 32);
}

static inline uint32_t place_of(uint64_t hash, uint8_t bend, uint32_t n_places)
{
	uint64_t x = hash ^ bend * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)((x * UINT64_C(0xd1342543de82ef95) >> 32) * n_places >> 32);
}

#define PLACE_NONE UINT32_MAX

/* Chooses bends[place_bends(n)] and writes place[n], PLACE_NONE for a hash that stands in front
 * already. TG_EEXIST: these hashes are unlucky, others will hardly be; TG_ENOMEM. */
int place_all(const struct place_in *in, uint8_t *bends, uint32_t *place);

#endif
