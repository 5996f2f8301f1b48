/* trie.h: the compiled routes of one virtual host. Private to lib/route.
 *
 * A trie over the segments of the path, held in one hash table, so that the depth is the number of
 * segments of the request and not of routes, and a step is one lookup. An entry stands for a label
 * inside its parent's directory, and for two strings: its path without and with the slash behind.
 *
 *	routes  /api  /api/  /api/v1/users  /api/v1/us      (path or prefix each)
 *
 *	root "/" --"api"--> e1 --"v1"--> e2 --"users"--> e3
 *	                                   `-"us"-----> e4
 *
 *	OWN lists of e1: "/api"; DIR lists of e1: "/api/"; OWN of e3, e4: the two others.
 *
 * A prefix that ends inside a segment (OWN prefix: "/api/v1/us" matches "/api/v1/users") is found
 * by e3.shorter -> e4, which build computed; for a segment that is no label of its own, by trying
 * the lengths of such labels in that directory (tails), longest first. A request never costs more
 * than one lookup for each of its segments that is configured, and one for each length of tails.
 *
 * path_separated_prefix stands in two lists, OWN_EXACT and DIR_PREFIX. An expression is a prefix:
 * what all that it matches begins with. Routes that ignore case are in a trie of their own, whose
 * labels are in lower case.
 *
 * Lists hold the numbers of routes, ascending. `min` is the smallest number at or below an entry:
 * a walk that has a better match already ends there.
 */
#ifndef TG_ROUTE_TRIE_H
#define TG_ROUTE_TRIE_H

#include <tidegate/route.h>

#define TRIE_NONE UINT32_MAX /* no route */
#define TRIE_INLINE 16       /* bytes of a label held in its entry */

enum trie_list { OWN_PREFIX, OWN_EXACT, DIR_PREFIX, DIR_EXACT, TRIE_LISTS };

struct trie_entry {
	uint32_t parent; /* entry in whose directory the label stands */
	uint32_t len;    /* bytes of the label */
	union {
		uint8_t inl[TRIE_INLINE];
		const uint8_t *ptr; /* len > TRIE_INLINE: in a route's match */
	} label;
	uint32_t shorter;   /* longest proper prefix of label with OWN_PREFIX routes; 0: none */
	uint32_t min;       /* smallest route number at or below */
	uint32_t max_label; /* longest label in this directory */
	uint32_t tails, n_tails; /* lengths of labels with OWN_PREFIX, descending: in trie->tails */
	uint32_t end[TRIE_LISTS]; /* list k is refs[end[k - 1] .. end[k]), the first from begin */
	uint32_t begin;
};
_Static_assert(sizeof(struct trie_entry) == 64, "a step of the walk touches one cache line");

struct trie_slot {
	uint32_t tag;
	uint32_t entry; /* 0: free; the root is nobody's child */
};

struct tg_route_trie {
	struct trie_slot *slots;
	struct trie_entry *entries; /* [0] is the root directory "/" */
	uint32_t *refs, *tails;
	uint32_t mask;               /* slots - 1 */
	uint32_t odd_begin, odd_end; /* refs of routes that do not begin with "/", in order */
};

static inline const uint8_t *trie_label(const struct trie_entry *e)
{
	return e->len <= TRIE_INLINE ? e->label.inl : e->label.ptr;
}

static inline uint64_t trie_hash(uint32_t parent, const uint8_t *p, uint32_t n)
{
	return tg_hash64(parent, p, n);
}

/* The entry of a label in parent's directory; 0: none. */
static inline uint32_t trie_child(
	const struct tg_route_trie *t, uint32_t parent, const uint8_t *p, uint32_t n)
{
	uint64_t h = trie_hash(parent, p, n);
	uint32_t tag = (uint32_t)(h >> 32);

	for (uint32_t i = (uint32_t)h & t->mask;; i = (i + 1) & t->mask) {
		const struct trie_slot *s = &t->slots[i];
		const struct trie_entry *e = &t->entries[s->entry];

		if (!s->entry)
			return 0;
		if (s->tag == tag && e->parent == parent && e->len == n &&
			memcmp(trie_label(e), p, n) == 0)
			return s->entry;
	}
}

#endif
