#include "trie.h"

struct walk {
	const struct tg_vhost *v;
	const struct tg_route_trie *t;
	struct tg_view path;
	const struct tg_msg *m; /* NULL: all predicates are taken to hold, and `open` says so */
	const struct tg_match_env *env;
	uint32_t best; /* number of the best route so far, TRIE_NONE at first */
	bool open;
	bool fold; /* t's labels are in lower case */
	uint8_t folded[TG_SEGMENT_MAX + 1];
};

static bool regex_holds(
	const struct tg_route *r, const struct tg_msg *m, const struct tg_match_env *env)
{
	return env && env->regex && tg_regex_matches(r->more->regex, m->path, env->regex);
}

/* Chance is asked last, and only of what has matched up to there. */
static bool more_holds(const struct walk *w, const struct tg_route *r)
{
	const struct tg_route_match *more = r->more;

	if (r->kind == TG_MATCH_REGEX && !regex_holds(r, w->m, w->env))
		return false;
	if (more->n_query && !tg_query_matches(more->query, more->n_query, w->m, w->env))
		return false;
	return tg_fraction_met(w->env, more->fraction);
}

static inline bool predicates_hold(struct walk *w, const struct tg_route *r)
{
	if (!w->m)
		return w->open = true;
	return (r->n_headers == 0 || tg_headers_match(r->headers, r->n_headers, w->m, w->env)) &&
	       (!r->more || more_holds(w, r));
}

/* True: it is what a list has to say, whether it is taken or too late. */
static inline bool take(struct walk *w, uint32_t ref)
{
	uint32_t number = ref & ~TRIE_PLAIN;

	if (number >= w->best)
		return true;
	if (!(ref & TRIE_PLAIN) && !predicates_hold(w, &w->v->routes[number]))
		return false;
	w->best = number;
	return true;
}

/* The first route of a list whose predicates hold, if it is better than what there is. */
static inline void consider(struct walk *w, const struct trie_node *x, enum trie_list list)
{
	const uint32_t *refs = w->t->refs;
	uint32_t i;

	if (tg_likely(!(x->lists & TRIE_MANY))) {
		if (x->lists >> list & 1)
			take(w, x->refs);
		return;
	}
	i = list ? refs[x->refs + list - 1] : x->refs + TRIE_LISTS;
	while (i < refs[x->refs + list] && !take(w, refs[i]))
		i++;
}

/* Prefixes that end inside the segment, from node x on to ever shorter ones. */
static void consider_tails(struct walk *w, uint32_t x)
{
	for (; x != TRIE_NONE; x = w->t->nodes[x].shorter)
		consider(w, &w->t->nodes[x], OWN_PREFIX);
}

/* The segment is no label of directory dir: the longest tail that begins it leads to the others. */
static void find_tail(struct walk *w, uint32_t dir, uint64_t hash, struct tg_view seg)
{
	const struct trie_node *d = &w->t->nodes[dir];

	for (uint32_t i = 0; i < d->n_tails; i++) {
		uint32_t len = w->t->tails[d->tails + i], x;
		uint64_t at;

		if (len >= seg.n)
			continue;
		at = trie_hash(hash, seg.p, len);
		x = trie_child(w->t, trie_place(w->t, at), dir, at, seg.p, len);
		if (x != TRIE_NONE) {
			consider_tails(w, x);
			return;
		}
	}
}

static struct tg_view first_segment(struct tg_view rest)
{
	const uint8_t *slash = memchr(rest.p, '/', rest.n);

	return tg_view_of(rest.p, slash ? (size_t)(slash - rest.p) : rest.n);
}

/* As labels are written. Of a segment that is longer than any label only the beginning counts. */
static struct tg_view folded(struct walk *w, struct tg_view seg)
{
	uint32_t n = seg.n < sizeof(w->folded) ? seg.n : (uint32_t)sizeof(w->folded);

	for (uint32_t i = 0; i < n; i++)
		w->folded[i] = tg_ascii_lower(seg.p[i]);
	return tg_view_of(w->folded, n);
}

/* The label at rest's front, in dir, whose path's hash is *hash, which becomes the label's;
 * TRIE_NONE: there is none, and tails have been considered. k: which of the path's segments. */
static uint32_t step(struct walk *w, uint32_t dir, struct tg_view seg, uint64_t *hash,
	const struct tg_route_probe *q, uint32_t k)
{
	struct tg_view label = tg_unlikely(w->fold) ? folded(w, seg) : seg;
	uint64_t above = *hash;
	uint32_t next = TRIE_NONE;

	if (seg.n <= w->t->nodes[dir].max_label) {
		*hash = k < q->n ? q->hash[k] : trie_hash(above, label.p, label.n);
		next = trie_child(w->t, k < q->n ? q->place[k] : trie_place(w->t, *hash), dir,
			*hash, label.p, label.n);
	}
	if (next != TRIE_NONE)
		consider_tails(w, next);
	else
		find_tail(w, dir, above, label);
	return next;
}

static void walk(struct walk *w, struct tg_view rest, const struct tg_route_probe *q)
{
	uint32_t cur = w->t->n, k = 0;
	uint64_t hash = w->t->seed;

	for (;; k++) {
		const struct trie_node *dir = &w->t->nodes[cur];
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
		next = step(w, cur, seg, &hash, q, k);
		if (next == TRIE_NONE)
			return;
		if (seg.n == rest.n) {
			consider(w, &w->t->nodes[next], OWN_EXACT);
			return;
		}
		cur = next;
		rest = tg_view_of(rest.p + seg.n + 1, rest.n - seg.n - 1);
	}
}

static bool begins_with(struct tg_view path, struct tg_view v, bool fold)
{
	return fold ? path.n >= v.n && tg_view_eq_nocase(tg_view_of(path.p, v.n), v)
		    : tg_view_has_prefix(path, v);
}

static bool path_matches(const struct tg_route *r, struct tg_view path)
{
	switch (r->kind) {
	case TG_MATCH_PATH:
		return path.n == r->match.n && begins_with(path, r->match, r->ignore_case);
	case TG_MATCH_PREFIX:
		return begins_with(path, r->match, r->ignore_case);
	case TG_MATCH_SEPARATED:
		return begins_with(path, r->match, r->ignore_case) &&
		       (path.n == r->match.n || path.p[r->match.n] == '/');
	default:
		/* The rest of the expression is among the predicates. */
		return tg_view_has_prefix(path, tg_regex_literal(r->more->regex));
	}
}

/* "*" of OPTIONS, and whatever else has no slash in front: too few for a table. */
static void find_odd(struct walk *w)
{
	for (uint32_t i = w->t->odd_begin; i < w->t->odd_end; i++) {
		uint32_t number = w->t->refs[i] & ~TRIE_PLAIN;
		const struct tg_route *r = &w->v->routes[number];

		if (number >= w->best)
			return;
		if (path_matches(r, w->path) &&
			((w->t->refs[i] & TRIE_PLAIN) || predicates_hold(w, r)))
			w->best = number;
	}
}

static const struct tg_route_probe nothing_known;

static void find(
	struct walk *w, const struct tg_route_trie *t, bool fold, const struct tg_route_probe *q)
{
	w->t = t;
	w->fold = fold;
	if (w->path.n && w->path.p[0] == '/')
		walk(w, tg_view_of(w->path.p + 1, w->path.n - 1), q);
	find_odd(w);
}

void tg_route_prepare(struct tg_route_probe *q, const struct tg_vhost *v, struct tg_view path)
{
	const struct tg_route_trie *t = v->trie;
	struct tg_view rest;
	uint64_t hash;

	q->n = 0;
	q->known = false;
	if (!t || !path.n || path.p[0] != '/')
		return;
	hash = t->seed;
	rest = tg_view_of(path.p + 1, path.n - 1);
	while (q->n < t->depth && q->n < TG_ROUTE_PROBE && rest.n) {
		struct tg_view seg = first_segment(rest);

		if (seg.n > t->longest)
			return;
		hash = trie_hash(hash, seg.p, seg.n);
		q->place[q->n] = trie_place(t, hash);
		__builtin_prefetch(&t->nodes[q->place[q->n]]);
		q->hash[q->n++] = hash;
		if (seg.n == rest.n)
			return;
		rest = tg_view_of(rest.p + seg.n + 1, rest.n - seg.n - 1);
	}
}

static const struct tg_route *find_all(struct walk *w, const struct tg_route_probe *q)
{
	const struct tg_vhost *v = w->v;

	w->best = TRIE_NONE;
	w->open = false;
	if (v->trie)
		find(w, v->trie, false, q);
	if (v->ignore_case)
		find(w, v->ignore_case, true, &nothing_known);
	return w->best == TRIE_NONE ? NULL : &v->routes[w->best];
}

void tg_route_look(struct tg_route_probe *q, const struct tg_vhost *v, struct tg_view path)
{
	struct walk w;

	w.v = v;
	w.path = path;
	w.m = NULL;
	q->route = find_all(&w, q);
	q->known = !w.open;
	if (!q->route)
		return;
	__builtin_prefetch(q->route);
	if (w.open)
		__builtin_prefetch(&q->route->kind);
}

const struct tg_route *tg_route_find_prepared(const struct tg_route_probe *q,
	const struct tg_vhost *v, const struct tg_msg *m, const struct tg_match_env *env)
{
	struct walk w;

	if (tg_likely(q->known))
		return q->route;
	w.v = v;
	w.path = m->path;
	w.m = m;
	w.env = env;
	return find_all(&w, q);
}

const struct tg_route *tg_route_find(
	const struct tg_vhost *v, const struct tg_msg *m, const struct tg_match_env *env)
{
	struct tg_route_probe q;

	tg_route_prepare(&q, v, m->path);
	return tg_route_find_prepared(&q, v, m, env);
}

enum tg_route_miss tg_route_test(const struct tg_route *r, const struct tg_msg *m,
	const struct tg_match_env *env, uint32_t *which)
{
	*which = 0;
	if (!path_matches(r, m->path))
		return TG_ROUTE_PATH;
	for (; *which < r->n_headers; ++*which)
		if (!tg_headers_match(&r->headers[*which], 1, m, env))
			return TG_ROUTE_FIELD;
	*which = 0;
	if (r->kind == TG_MATCH_REGEX && !regex_holds(r, m, env))
		return TG_ROUTE_REGEX;
	for (; r->more && *which < r->more->n_query; ++*which)
		if (!tg_query_matches(&r->more->query[*which], 1, m, env))
			return TG_ROUTE_QUERY;
	return TG_ROUTE_TAKES;
}
