#include <stdlib.h>

#include "trie.h"

/* Where a route went. A separated prefix stands in DIR_PREFIX of the same entry too. */
struct place {
	uint32_t entry; /* TRIE_NONE: odd */
	uint32_t list;  /* enum trie_list; TRIE_LISTS: not in this trie */
};

struct tail {
	uint32_t dir, len;
};

/* Work in progress, malloc'ed; the finished tables are copied to the snapshot's memory. */
struct build {
	struct tg_vhost *v;
	struct tg_route_trie t;
	uint32_t n_entries, cap_entries;
	bool ignore_case;     /* which routes it is about */
	uint32_t n_here;      /* how many they are */
	uint32_t n_refs;      /* and in how many lists they stand */
	struct place *places; /* [n_routes] */
	struct tail *tails;   /* [n_routes] */
	uint32_t n_tails;
};

static void put_slot(struct tg_route_trie *t, uint32_t entry)
{
	const struct trie_entry *e = &t->entries[entry];
	uint64_t h = trie_hash(e->parent, trie_label(e), e->len);
	uint32_t i = (uint32_t)h & t->mask;

	while (t->slots[i].entry)
		i = (i + 1) & t->mask;
	t->slots[i] = (struct trie_slot){(uint32_t)(h >> 32), entry};
}

/* Doubles entries and, at four slots an entry, the hash table. */
static int grow(struct build *b)
{
	uint32_t cap = b->cap_entries ? b->cap_entries * 2 : 16;
	struct trie_entry *entries;

	if (cap > UINT32_C(1) << 28)
		return TG_ENOMEM;
	entries = realloc(b->t.entries, cap * sizeof(*entries));
	if (!entries)
		return TG_ENOMEM;
	b->t.entries = entries;
	free(b->t.slots);
	b->t.slots = calloc(cap * 2, sizeof(*b->t.slots));
	if (!b->t.slots)
		return TG_ENOMEM;
	b->cap_entries = cap;
	b->t.mask = cap * 2 - 1;
	for (uint32_t i = 1; i < b->n_entries; i++)
		put_slot(&b->t, i);
	return 0;
}

static int new_entry(struct build *b, uint32_t parent, struct tg_view label, uint32_t *out)
{
	struct trie_entry *e;

	if (b->n_entries == b->cap_entries && grow(b))
		return TG_ENOMEM;
	*out = b->n_entries++;
	e = &b->t.entries[*out];
	*e = (struct trie_entry){.parent = parent, .len = label.n, .min = TRIE_NONE};
	if (label.n <= TRIE_INLINE && label.n)
		memcpy(e->label.inl, label.p, label.n);
	else
		e->label.ptr = label.p;
	return 0;
}

/* The entry of a label, made if need be. */
static int step(struct build *b, uint32_t parent, struct tg_view label, uint32_t *out)
{
	int rc;

	*out = trie_child(&b->t, parent, label.p, label.n);
	if (*out)
		return 0;
	rc = new_entry(b, parent, label, out);
	if (rc)
		return rc;
	put_slot(&b->t, *out);
	if (b->t.entries[parent].max_label < label.n)
		b->t.entries[parent].max_label = label.n;
	return 0;
}

static void note_min(struct build *b, uint32_t entry, uint32_t number)
{
	if (b->t.entries[entry].min > number)
		b->t.entries[entry].min = number;
}

/* What the trie knows of a route: a path, or what paths begin with. */
static struct tg_view key_of(const struct tg_route *r)
{
	return r->kind == TG_MATCH_REGEX ? tg_regex_literal(r->more->regex) : r->match;
}

static void count_in(struct build *b, uint32_t entry, uint32_t list)
{
	b->t.entries[entry].end[list]++;
	b->n_refs++;
}

/* Finds the place of a route. Counts it in end[list] of its entry for now. */
static int place_route(struct build *b, uint32_t number)
{
	const struct tg_route *r = &b->v->routes[number];
	bool exact = r->kind == TG_MATCH_PATH || r->kind == TG_MATCH_SEPARATED;
	struct tg_view rest = key_of(r);
	uint32_t cur = 0, list = exact ? DIR_EXACT : DIR_PREFIX;
	const uint8_t *slash;
	int rc;

	b->n_here++;
	if (rest.n == 0 || rest.p[0] != '/') {
		b->places[number] = (struct place){TRIE_NONE, 0};
		b->n_refs++;
		return 0;
	}
	rest = tg_view_of(rest.p + 1, rest.n - 1);
	note_min(b, 0, number);
	while (rest.n) {
		slash = memchr(rest.p, '/', rest.n);
		rc = step(b, cur, tg_view_of(rest.p, slash ? (size_t)(slash - rest.p) : rest.n),
			&cur);
		if (rc)
			return rc;
		note_min(b, cur, number);
		if (!slash) {
			list = exact ? OWN_EXACT : OWN_PREFIX;
			break;
		}
		rest = tg_view_of(slash + 1, (size_t)(rest.p + rest.n - slash - 1));
	}
	b->places[number] = (struct place){cur, list};
	if (list == OWN_PREFIX && b->t.entries[cur].end[list] == 0)
		b->tails[b->n_tails++] =
			(struct tail){b->t.entries[cur].parent, b->t.entries[cur].len};
	count_in(b, cur, list);
	if (r->kind == TG_MATCH_SEPARATED)
		count_in(b, cur, DIR_PREFIX);
	return 0;
}

/* Turns the counts into ranges of refs and fills them; routes come in ascending order. */
static void fill_lists(struct build *b)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < b->n_entries; i++) {
		struct trie_entry *e = &b->t.entries[i];

		e->begin = at;
		for (uint32_t k = 0; k < TRIE_LISTS; k++) {
			uint32_t count = e->end[k];

			e->end[k] = at; /* grows to the list's end below */
			at += count;
		}
	}
	b->t.odd_begin = b->t.odd_end = at;
	for (uint32_t i = 0; i < b->v->n_routes; i++) {
		const struct place *p = &b->places[i];
		struct trie_entry *e;

		if (p->list == TRIE_LISTS)
			continue;
		if (p->entry == TRIE_NONE) {
			b->t.refs[b->t.odd_end++] = i;
			continue;
		}
		e = &b->t.entries[p->entry];
		b->t.refs[e->end[p->list]++] = i;
		if (b->v->routes[i].kind == TG_MATCH_SEPARATED)
			b->t.refs[e->end[DIR_PREFIX]++] = i;
	}
}

static int by_dir_longest_first(const void *x, const void *y)
{
	const struct tail *a = x, *b = y;

	if (a->dir != b->dir)
		return a->dir < b->dir ? -1 : 1;
	return a->len > b->len ? -1 : a->len < b->len;
}

/* Each directory's distinct lengths of tails, longest first. */
static void fill_tails(struct build *b)
{
	uint32_t n = 0;

	if (b->n_tails)
		qsort(b->tails, b->n_tails, sizeof(*b->tails), by_dir_longest_first);
	for (uint32_t i = 0; i < b->n_tails; i++) {
		struct trie_entry *d = &b->t.entries[b->tails[i].dir];

		if (i && b->tails[i - 1].dir == b->tails[i].dir) {
			if (b->tails[i - 1].len == b->tails[i].len)
				continue;
		} else {
			d->tails = n;
		}
		b->t.tails[n++] = b->tails[i].len;
		d->n_tails++;
	}
	b->n_tails = n;
}

static void link_shorter(struct build *b)
{
	for (uint32_t i = 1; i < b->n_entries; i++) {
		struct trie_entry *e = &b->t.entries[i];
		const struct trie_entry *d = &b->t.entries[e->parent];

		for (uint32_t k = 0; k < d->n_tails && !e->shorter; k++) {
			uint32_t len = b->t.tails[d->tails + k], s;

			s = len < e->len ? trie_child(&b->t, e->parent, trie_label(e), len) : 0;
			if (s && b->t.entries[s].end[OWN_PREFIX] > b->t.entries[s].begin)
				e->shorter = s;
		}
	}
}

static int build(struct build *b)
{
	uint32_t n = b->v->n_routes, root;
	int rc;

	b->places = calloc(n + 1, sizeof(*b->places));
	b->tails = calloc(n + 1, sizeof(*b->tails));
	b->t.refs = calloc(2 * (size_t)n + 1, sizeof(*b->t.refs));
	b->t.tails = calloc(n + 1, sizeof(*b->t.tails));
	if (!b->places || !b->tails || !b->t.refs || !b->t.tails)
		return TG_ENOMEM;
	rc = new_entry(b, 0, TG_VIEW_NONE, &root);
	for (uint32_t i = 0; i < n && !rc; i++) {
		b->v->routes[i].order = i;
		b->places[i].list = TRIE_LISTS;
		if (b->v->routes[i].ignore_case == b->ignore_case)
			rc = place_route(b, i);
	}
	if (rc)
		return rc;
	fill_lists(b);
	fill_tails(b);
	link_shorter(b);
	return 0;
}

/* n bytes of src in the snapshot's memory, at a cache line. */
static void *keep(const void *src, size_t n, tg_alloc_fn *alloc, void *ctx)
{
	uint8_t *p = alloc(ctx, n + 64);

	if (!p)
		return NULL;
	p += -(uintptr_t)p & 63;
	if (n)
		memcpy(p, src, n);
	return p;
}

static int keep_all(struct build *b, tg_alloc_fn *alloc, void *ctx)
{
	struct tg_route_trie *t = alloc(ctx, sizeof(*t));

	if (!t)
		return TG_ENOMEM;
	*t = b->t;
	t->slots = keep(b->t.slots, (size_t)(b->t.mask + 1) * sizeof(*t->slots), alloc, ctx);
	t->entries = keep(b->t.entries, b->n_entries * sizeof(*t->entries), alloc, ctx);
	t->refs = keep(b->t.refs, b->n_refs * sizeof(*t->refs), alloc, ctx);
	t->tails = keep(b->t.tails, b->n_tails * sizeof(*t->tails), alloc, ctx);
	if (!t->slots || !t->entries || !t->refs || !t->tails)
		return TG_ENOMEM;
	if (b->ignore_case)
		b->v->ignore_case = t;
	else
		b->v->trie = t;
	return 0;
}

static int compile(struct tg_vhost *v, bool ignore_case, tg_alloc_fn *alloc, void *ctx)
{
	struct build b = {.v = v, .ignore_case = ignore_case};
	int rc = build(&b);

	if (!rc && b.n_here)
		rc = keep_all(&b, alloc, ctx);
	free(b.places);
	free(b.tails);
	free(b.t.slots);
	free(b.t.entries);
	free(b.t.refs);
	free(b.t.tails);
	return rc;
}

int tg_vhost_compile(struct tg_vhost *v, tg_alloc_fn *alloc, void *ctx)
{
	int rc = compile(v, false, alloc, ctx);
	bool any = false;

	for (uint32_t i = 0; i < v->n_routes; i++)
		any |= v->routes[i].ignore_case;
	return rc || !any ? rc : compile(v, true, alloc, ctx);
}
