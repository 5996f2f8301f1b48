#include "trie.h"

struct walk {
	const struct tg_vhost *v;
	const struct tg_route_trie *t;
	const struct tg_msg *m;
	const struct tg_match_env *env;
	uint32_t best; /* number of the best route so far, TRIE_NONE at first */
	bool fold;     /* t's labels are in lower case */
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

static inline bool predicates_hold(const struct walk *w, const struct tg_route *r)
{
	return (r->n_headers == 0 || tg_headers_match(r->headers, r->n_headers, w->m, w->env)) &&
	       (!r->more || more_holds(w, r));
}

/* The first route of a list whose predicates hold, if it is better than what there is. */
static inline void consider(struct walk *w, const struct trie_entry *e, enum trie_list list)
{
	uint32_t i = list ? e->end[list - 1] : e->begin;

	for (; i < e->end[list]; i++) {
		uint32_t number = w->t->refs[i];

		if (number >= w->best)
			return;
		if (predicates_hold(w, &w->v->routes[number])) {
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

/* As labels are written. Of a segment that is longer than any label only the beginning counts. */
static struct tg_view folded(struct walk *w, struct tg_view seg)
{
	uint32_t n = seg.n < sizeof(w->folded) ? seg.n : (uint32_t)sizeof(w->folded);

	for (uint32_t i = 0; i < n; i++)
		w->folded[i] = tg_ascii_lower(seg.p[i]);
	return tg_view_of(w->folded, n);
}

/* The label at rest's front, in dir; 0: there is none, and tails have been considered. */
static uint32_t step(struct walk *w, uint32_t dir, struct tg_view seg)
{
	struct tg_view label = tg_unlikely(w->fold) ? folded(w, seg) : seg;
	uint32_t next = 0;

	if (seg.n <= w->t->entries[dir].max_label)
		next = trie_child(w->t, dir, label.p, label.n);
	if (next)
		consider_tails(w, next);
	else
		find_tail(w, dir, label);
	return next;
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
		next = step(w, cur, seg);
		if (!next)
			return;
		if (seg.n == rest.n) {
			consider(w, &w->t->entries[next], OWN_EXACT);
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
		uint32_t number = w->t->refs[i];
		const struct tg_route *r = &w->v->routes[number];

		if (number >= w->best)
			return;
		if (path_matches(r, w->m->path) && predicates_hold(w, r))
			w->best = number;
	}
}

static void find(struct walk *w, const struct tg_route_trie *t, bool fold)
{
	w->t = t;
	w->fold = fold;
	if (w->m->path.n && w->m->path.p[0] == '/')
		walk(w, tg_view_of(w->m->path.p + 1, w->m->path.n - 1));
	find_odd(w);
}

const struct tg_route *tg_route_find(
	const struct tg_vhost *v, const struct tg_msg *m, const struct tg_match_env *env)
{
	struct walk w;

	w.v = v;
	w.m = m;
	w.env = env;
	w.best = TRIE_NONE;
	if (v->trie)
		find(&w, v->trie, false);
	if (v->ignore_case)
		find(&w, v->ignore_case, true);
	return w.best == TRIE_NONE ? NULL : &v->routes[w.best];
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
