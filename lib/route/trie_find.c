#include "trie.h"

struct walk {
	const struct tg_vhost *v;
	const struct tg_route_trie *t;
	const struct tg_msg *m;
	uint32_t best; /* number of the best route so far, TRIE_NONE at first */
};

/* The first route of a list whose fields match, if it is better than what there is. */
static inline void consider(struct walk *w, const struct trie_entry *e, enum trie_list list)
{
	uint32_t i = list ? e->end[list - 1] : e->begin;

	for (; i < e->end[list]; i++) {
		uint32_t number = w->t->refs[i];
		const struct tg_route *r;

		if (number >= w->best)
			return;
		r = &w->v->routes[number];
		if (r->n_headers == 0 || tg_headers_match(r->headers, r->n_headers, w->m)) {
			w->best = number;
			return;
		}
	}
}

/* Prefixes that end inside the segment, from entry e on to ever shorter ones. */
static void consider_tails(struct walk *w, uint32_t e)
{
	for (; e; e = w->t->entries[e].shorter)
		consider(w, &w->t->entries[e], OWN_PREFIX);
}

/* The segment is no label of directory dir: the longest tail that begins it leads to the others. */
static void find_tail(struct walk *w, uint32_t dir, struct tg_view seg)
{
	const struct trie_entry *d = &w->t->entries[dir];

	for (uint32_t i = 0; i < d->n_tails; i++) {
		uint32_t len = w->t->tails[d->tails + i];
		uint32_t e = len < seg.n ? trie_child(w->t, dir, seg.p, len) : 0;

		if (e) {
			consider_tails(w, e);
			return;
		}
	}
}

static struct tg_view first_segment(struct tg_view rest)
{
	const uint8_t *slash = memchr(rest.p, '/', rest.n);

	return tg_view_of(rest.p, slash ? (size_t)(slash - rest.p) : rest.n);
}

static void walk(struct walk *w, struct tg_view rest)
{
	uint32_t cur = 0;

	for (;;) {
		const struct trie_entry *dir = &w->t->entries[cur];
		struct tg_view seg;
		uint32_t next;

		consider(w, dir, DIR_PREFIX);
		if (rest.n == 0) {
			consider(w, dir, DIR_EXACT);
			return;
		}
		if (dir->min >= w->best)
			return;
		seg = first_segment(rest);
		next = seg.n <= dir->max_label ? trie_child(w->t, cur, seg.p, seg.n) : 0;
		if (!next) {
			find_tail(w, cur, seg);
			return;
		}
		consider_tails(w, next);
		if (seg.n == rest.n) {
			consider(w, &w->t->entries[next], OWN_EXACT);
			return;
		}
		cur = next;
		rest = tg_view_of(rest.p + seg.n + 1, rest.n - seg.n - 1);
	}
}

/* "*" of OPTIONS, and whatever else has no slash in front: too few for a table. */
static void find_odd(struct walk *w)
{
	for (uint32_t i = w->t->odd_begin; i < w->t->odd_end; i++) {
		uint32_t number = w->t->refs[i];
		const struct tg_route *r = &w->v->routes[number];

		if (number >= w->best)
			return;
		if ((r->kind == TG_MATCH_PATH ? tg_view_eq(w->m->path, r->match)
					      : tg_view_has_prefix(w->m->path, r->match)) &&
			tg_headers_match(r->headers, r->n_headers, w->m))
			w->best = number;
	}
}

const struct tg_route *tg_route_find(const struct tg_vhost *v, const struct tg_msg *m)
{
	struct walk w = {v, v->trie, m, TRIE_NONE};

	if (!v->trie)
		return NULL;
	if (m->path.n && m->path.p[0] == '/')
		walk(&w, tg_view_of(m->path.p + 1, m->path.n - 1));
	find_odd(&w);
	return w.best == TRIE_NONE ? NULL : &v->routes[w.best];
}
