/* trie.h: the compiled routes of one virtual host. Private to lib/route.
 *
 * A trie over the segments of the path, held in one hash table, so that the depth is the number of
 * segments of the request and not of routes, and a step is one lookup. A node stands for a label
 * inside its parent's directory, and for two strings: its path without and with the slash behind.
 *
 *	routes  /api  /api/  /api/v1/users  /api/v1/us      (path or prefix each)
 *
 *	root "/" --"api"--> n1 --"v1"--> n2 --"users"--> n3
 *	                                   `-"us"-----> n4
 *
 *	OWN lists of n1: "/api"; DIR lists of n1: "/api/"; OWN of n3, n4: the two others.
 *
 * What a match costs where there are many routes is memory: a line that is in no cache is worth
 * some hundred instructions. So a node is one line, which stands in the table itself, alone at its
 * place (place.h); where that is comes of the path's text alone, so that the lines of all segments
 * can be fetched at once, before they are needed (tg_route_prepare()); and of a route whose path is
 * all there is to ask, only the number is read.
 *
 * A prefix that ends inside a segment (OWN prefix: "/api/v1/us" matches "/api/v1/users") is found
 * by n3.shorter -> n4, which build computed; for a segment that is no label of its own, by trying
 * the lengths of such labels in that directory (tails), longest first. A request never costs more
 * than one lookup for each of its segments that is configured, and one for each length of tails.
 *
 * path_separated_prefix stands in two lists, OWN_EXACT and DIR_PREFIX. An expression is a prefix:
 * what all that it matches begins with. Routes that ignore case are in a trie of their own, whose
 * labels are in lower case.
 *
 * Lists hold the numbers of routes, ascending. `min` is the smallest number at or below a node:
 * a walk that has a better match already ends there.
 */
#ifndef TG_ROUTE_TRIE_H
#define TG_ROUTE_TRIE_H

#include <tidegate/route.h>

#include "place.h"

#define TRIE_NONE UINT32_MAX /* no route, no node */
#define TRIE_INLINE 16       /* bytes of a label held in its node */

enum trie_list { OWN_PREFIX, OWN_EXACT, DIR_PREFIX, DIR_EXACT, TRIE_LISTS };

/* In a list: the number of a route, and whether it asks for nothing but its path. */
#define TRIE_PLAIN (UINT32_C(1) << 31)
/* In lists: refs is where the ends of the four lists stand in the trie's refs, and behind them the
 * lists. Else refs is the one route of this node, if bit k says that list k has it. */
#define TRIE_MANY (UINT32_C(1) << TRIE_LISTS)

union trie_label {
	uint8_t inl[TRIE_INLINE];
	const uint8_t *ptr; /* of more bytes: in a route's match */
};

struct trie_node {
	uint32_t tag;       /* of the hash of its path; 0: the place is free */
	uint32_t parent;    /* place of the node in whose directory the label stands */
	uint32_t len;       /* bytes of the label */
	uint32_t max_label; /* longest label in this directory */
	union trie_label label;
	uint32_t shorter;        /* longest proper prefix of label with OWN_PREFIX routes */
	uint32_t min;            /* smallest route number at or below */
	uint32_t tails, n_tails; /* lengths of labels with OWN_PREFIX, descending: in trie->tails */
	uint32_t refs, lists;
	uint32_t same; /* place of the next node with the same hash; 0: none, as is usual */
	uint32_t pad;
};
_Static_assert(sizeof(struct trie_node) == 64, "a step of the walk touches one cache line");

struct tg_route_trie {
	struct trie_node *nodes; /* [n + 1 + those that are `same`]; n is the root directory "/" */
	uint8_t *bends;          /* [n_bends]: place.h */
	uint32_t n_bends;
	uint32_t n; /* places, more than nodes */
	uint32_t n_same;
	uint64_t seed; /* of all hashes: that of the root's path */
	uint32_t *refs, *tails;
	uint32_t depth;              /* labels of the longest path */
	uint32_t longest;            /* label's bytes */
	uint32_t odd_begin, odd_end; /* refs of routes that do not begin with "/", in order */
};

static inline const uint8_t *trie_label(const union trie_label *l, uint32_t len)
{
	return len <= TRIE_INLINE ? l->inl : l->ptr;
}

/* Of a path, from that of its directory (the root's is the seed) and its last label. */
static inline uint64_t trie_hash(uint64_t dir, const uint8_t *p, uint32_t n)
{
	return tg_hash64(dir, p, n);
}

/* The only place where a node can be. */
static inline uint32_t trie_place(const struct tg_route_trie *t, uint64_t hash)
{
	return place_of(hash, t->bends[place_crowd(hash, t->n_bends)], t->n);
}

static inline uint32_t trie_tag(uint64_t hash)
{
	return (uint32_t)hash | 1;
}

static inline bool trie_is(
	const struct trie_node *x, uint32_t parent, uint64_t hash, const uint8_t *p, uint32_t n)
{
	return x->tag == trie_tag(hash) && x->parent == parent && x->len == n &&
	       memcmp(trie_label(&x->label, n), p, n) == 0;
}

/* The node of a label in parent's directory, whose path has that hash and that place; TRIE_NONE. */
static inline uint32_t trie_child(const struct tg_route_trie *t, uint32_t place, uint32_t parent,
	uint64_t hash, const uint8_t *p, uint32_t n)
{
	if (tg_likely(trie_is(&t->nodes[place], parent, hash, p, n)))
		return place;
	for (place = t->nodes[place].same; tg_unlikely(place); place = t->nodes[place].same)
		if (trie_is(&t->nodes[place], parent, hash, p, n))
			return place;
	return TRIE_NONE;
}

#endif
