#include <stdlib.h>

#include "trie.h"

#define SEEDS 64

/* A node before it has its place; [0] is the root. In directories and by numbers, which are those
 * of the entries. */
struct entry {
	uint32_t parent, len;
	union trie_label label;
	uint32_t shorter; /* 0: none */
	uint32_t min, max_label, depth;
	uint32_t tails, n_tails;
	uint32_t end[TRIE_LISTS]; /* list k is refs[end[k - 1] .. end[k]), the first from begin */
	uint32_t begin;
	uint32_t place;
	uint64_t hash;
};

struct slot {
	uint32_t tag;
	uint32_t entry; /* 0: free; the root is nobody's child */
};

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
	struct entry *entries;
	struct slot *slots;
	uint32_t mask; /* slots - 1 */
	uint32_t *refs, *tail_lens;
	uint32_t odd_begin, odd_end;
	uint32_t n_entries, cap_entries;
	bool ignore_case;     /* which routes it is about */
	uint32_t n_here;      /* how many they are */
	uint32_t n_refs;      /* and in how many lists they stand */
	struct place *places; /* [n_routes] */
	struct tail *tails;   /* [n_routes] */
	uint32_t n_tails;
};

static const uint8_t *label_of(const struct entry *e)
{
	return trie_label(&e->label, e->len);
}

/* The entry of a label in parent's directory; 0: none. */
static uint32_t child(const struct build *b, uint32_t parent, const uint8_t *p, uint32_t n)
{
	uint64_t h = trie_hash(b->entries[parent].hash, p, n);

	for (uint32_t i = trie_tag(h) & b->mask;; i = (i + 1) & b->mask) {
		const struct slot *s = &b->slots[i];
		const struct entry *e = &b->entries[s->entry];

		if (!s->entry)
			return 0;
		if (s->tag == trie_tag(h) && e->parent == parent && e->len == n &&
			memcmp(label_of(e), p, n) == 0)
			return s->entry;
	}
}

static void put_slot(struct build *b, uint32_t entry)
{
	uint32_t tag = trie_tag(b->entries[entry].hash), i = tag & b->mask;

	while (b->slots[i].entry)
		i = (i + 1) & b->mask;
	b->slots[i] = (struct slot){tag, entry};
}

/* Doubles entries and, at two slots an entry, the hash table. */
static int grow(struct build *b)
{
	uint32_t cap = b->cap_entries ? b->cap_entries * 2 : 16;
	struct entry *entries;

	if (cap > UINT32_C(1) << 28)
		return TG_ENOMEM;
	entries = realloc(b->entries, cap * sizeof(*entries));
	if (!entries)
		return TG_ENOMEM;
	b->entries = entries;
	free(b->slots);
	b->slots = calloc(cap * 2, sizeof(*b->slots));
	if (!b->slots)
		return TG_ENOMEM;
	b->cap_entries = cap;
	b->mask = cap * 2 - 1;
	for (uint32_t i = 1; i < b->n_entries; i++)
		put_slot(b, i);
	return 0;
}

static int new_entry(struct build *b, uint32_t parent, struct tg_view label, uint32_t *out)
{
	struct entry *e;

	if (b->n_entries == b->cap_entries && grow(b))
		return TG_ENOMEM;
	*out = b->n_entries++;
	e = &b->entries[*out];
	*e = (struct entry){.parent = parent, .len = label.n, .min = TRIE_NONE};
	if (label.n <= TRIE_INLINE && label.n)
		memcpy(e->label.inl, label.p, label.n);
	else
		e->label.ptr = label.p;
	return 0;
}

/* The entry of a label, made if need be. */
static int step(struct build *b, uint32_t parent, struct tg_view label, uint32_t *out)
{
	struct entry *e, *dir;
	int rc;

	*out = child(b, parent, label.p, label.n);
	if (*out)
		return 0;
	rc = new_entry(b, parent, label, out);
	if (rc)
		return rc;
	e = &b->entries[*out];
	dir = &b->entries[parent];
	e->hash = trie_hash(dir->hash, label.p, label.n);
	e->depth = dir->depth + 1;
	put_slot(b, *out);
	if (dir->max_label < label.n)
		dir->max_label = label.n;
	return 0;
}

static void note_min(struct build *b, uint32_t entry, uint32_t number)
{
	if (b->entries[entry].min > number)
		b->entries[entry].min = number;
}

/* What the trie knows of a route: a path, or what paths begin with. */
static struct tg_view key_of(const struct tg_route *r)
{
	return r->kind == TG_MATCH_REGEX ? tg_regex_literal(r->more->regex) : r->match;
}

static void count_in(struct build *b, uint32_t entry, uint32_t list)
{
	b->entries[entry].end[list]++;
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
	if (list == OWN_PREFIX && b->entries[cur].end[list] == 0)
		b->tails[b->n_tails++] = (struct tail){b->entries[cur].parent, b->entries[cur].len};
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
		struct entry *e = &b->entries[i];

		e->begin = at;
		for (uint32_t k = 0; k < TRIE_LISTS; k++) {
			uint32_t count = e->end[k];

			e->end[k] = at; /* grows to the list's end below */
			at += count;
		}
	}
	b->odd_begin = b->odd_end = at;
	for (uint32_t i = 0; i < b->v->n_routes; i++) {
		const struct place *p = &b->places[i];
		struct entry *e;

		if (p->list == TRIE_LISTS)
			continue;
		if (p->entry == TRIE_NONE) {
			b->refs[b->odd_end++] = i;
			continue;
		}
		e = &b->entries[p->entry];
		b->refs[e->end[p->list]++] = i;
		if (b->v->routes[i].kind == TG_MATCH_SEPARATED)
			b->refs[e->end[DIR_PREFIX]++] = i;
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
		struct entry *d = &b->entries[b->tails[i].dir];

		if (i && b->tails[i - 1].dir == b->tails[i].dir) {
			if (b->tails[i - 1].len == b->tails[i].len)
				continue;
		} else {
			d->tails = n;
		}
		b->tail_lens[n++] = b->tails[i].len;
		d->n_tails++;
	}
	b->n_tails = n;
}

static void link_shorter(struct build *b)
{
	for (uint32_t i = 1; i < b->n_entries; i++) {
		struct entry *e = &b->entries[i];
		const struct entry *d = &b->entries[e->parent];

		for (uint32_t k = 0; k < d->n_tails && !e->shorter; k++) {
			uint32_t len = b->tail_lens[d->tails + k], s;

			s = len < e->len ? child(b, e->parent, label_of(e), len) : 0;
			if (s && b->entries[s].end[OWN_PREFIX] > b->entries[s].begin)
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
	b->refs = calloc(2 * (size_t)n + 1, sizeof(*b->refs));
	b->tail_lens = calloc(n + 1, sizeof(*b->tail_lens));
	if (!b->places || !b->tails || !b->refs || !b->tail_lens)
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

/* --- where it stays ----------------------------------------------------------------------------
 */

/* n bytes of the snapshot's memory, at a cache line, zeroed. */
static void *lines(size_t n, tg_alloc_fn *alloc, void *ctx)
{
	uint8_t *p = alloc(ctx, n + 64);

	if (!p)
		return NULL;
	p += -(uintptr_t)p & 63;
	memset(p, 0, n);
	return p;
}

static uint32_t ref_of(const struct build *b, uint32_t number)
{
	const struct tg_route *r = &b->v->routes[number];

	return number | (r->n_headers || r->more ? 0 : TRIE_PLAIN);
}

static uint32_t list_begin(const struct entry *e, uint32_t list)
{
	return list ? e->end[list - 1] : e->begin;
}

/* Whether one route is all there is in e's lists; *lists: in which. */
static bool has_one(const struct build *b, const struct entry *e, uint32_t *lists)
{
	*lists = 0;
	for (uint32_t k = 0; k < TRIE_LISTS; k++) {
		uint32_t from = list_begin(e, k);

		if (e->end[k] - from > 1 ||
			(e->end[k] > from && b->refs[from] != b->refs[e->begin]))
			return false;
		*lists |= (uint32_t)(e->end[k] > from) << k;
	}
	return true;
}

/* e's lists; *at: where those of this trie end. */
static void put_lists(const struct build *b, const struct entry *e, struct trie_node *x,
	uint32_t *refs, uint32_t *at)
{
	uint32_t ends = *at;

	if (has_one(b, e, &x->lists)) {
		x->refs = x->lists ? ref_of(b, b->refs[e->begin]) : 0;
		return;
	}
	x->lists = TRIE_MANY;
	x->refs = ends;
	*at += TRIE_LISTS;
	for (uint32_t k = 0; k < TRIE_LISTS; k++) {
		for (uint32_t i = list_begin(e, k); i < e->end[k]; i++)
			refs[(*at)++] = ref_of(b, b->refs[i]);
		refs[ends + k] = *at;
	}
}

static void put_node(
	const struct build *b, const struct entry *e, struct tg_route_trie *t, uint32_t *n_refs)
{
	struct trie_node *x = &t->nodes[e->place];

	*x = (struct trie_node){.tag = trie_tag(e->hash),
		.parent = b->entries[e->parent].place,
		.len = e->len,
		.max_label = e->max_label,
		.label = e->label,
		.shorter = e->shorter ? b->entries[e->shorter].place : TRIE_NONE,
		.min = e->min,
		.tails = e->tails,
		.n_tails = e->n_tails};
	put_lists(b, e, x, t->refs, n_refs);
	if (t->depth < e->depth)
		t->depth = e->depth;
	if (t->longest < e->len)
		t->longest = e->len;
}

/* All hashes anew. Parents stand before their children. */
static void hash_again(struct build *b, uint64_t seed)
{
	b->entries[0].hash = seed;
	for (uint32_t i = 1; i < b->n_entries; i++) {
		struct entry *e = &b->entries[i];

		e->hash = trie_hash(b->entries[e->parent].hash, label_of(e), e->len);
	}
}

static int try_places(struct build *b, struct tg_route_trie *t, uint64_t *hash, uint32_t *place)
{
	struct place_in in = {hash + 1, b->n_entries - 1, t->n};
	uint32_t behind = t->n + 1;
	int rc;

	for (uint32_t i = 1; i < b->n_entries; i++)
		hash[i] = b->entries[i].hash;
	rc = place_all(&in, t->bends, place + 1);
	for (uint32_t i = 1; i < b->n_entries && !rc; i++)
		b->entries[i].place = place[i] != PLACE_NONE ? place[i] : behind++;
	t->n_same = behind - t->n - 1;
	return rc;
}

/* Gives every entry its place: behind the root's those whose hash another has. A second try is
 * hardly ever needed. */
static int choose_places(struct build *b, struct tg_route_trie *t)
{
	uint64_t *hash = calloc(b->n_entries, sizeof(*hash));
	uint32_t *place = calloc(b->n_entries, sizeof(*place));
	int rc = hash && place ? TG_EEXIST : TG_ENOMEM;

	b->entries[0].place = t->n;
	for (uint64_t seed = 0; seed < SEEDS && rc == TG_EEXIST; seed++) {
		if (seed)
			hash_again(b, seed);
		t->seed = seed;
		rc = try_places(b, t, hash, place);
	}
	free(hash);
	free(place);
	return rc ? TG_ENOMEM : 0;
}

/* Those behind the root are found from the one that has their place. */
static void chain_same(const struct build *b, struct tg_route_trie *t)
{
	for (uint32_t i = 1; i < b->n_entries && t->n_same; i++) {
		const struct entry *e = &b->entries[i];
		struct trie_node *first = &t->nodes[trie_place(t, e->hash)];

		if (e->place < t->n)
			continue;
		t->nodes[e->place].same = first->same;
		first->same = e->place;
	}
}

static int keep_all(struct build *b, tg_alloc_fn *alloc, void *ctx)
{
	struct tg_route_trie *t = alloc(ctx, sizeof(*t));
	uint32_t n_refs = 0, lists, many = 0;

	if (!t)
		return TG_ENOMEM;
	memset(t, 0, sizeof(*t));
	for (uint32_t i = 0; i < b->n_entries; i++)
		many += !has_one(b, &b->entries[i], &lists);
	t->n = place_count(b->n_entries - 1);
	t->n_bends = place_bends(b->n_entries - 1);
	t->bends = lines(t->n_bends, alloc, ctx);
	if (!t->bends || choose_places(b, t))
		return TG_ENOMEM;
	t->nodes = lines(((size_t)t->n + 1 + t->n_same) * sizeof(*t->nodes), alloc, ctx);
	t->refs = lines((b->n_refs + (size_t)many * TRIE_LISTS) * sizeof(*t->refs), alloc, ctx);
	t->tails = lines(b->n_tails * sizeof(*t->tails), alloc, ctx);
	if (!t->nodes || !t->refs || !t->tails)
		return TG_ENOMEM;
	for (uint32_t i = 0; i < b->n_entries; i++)
		put_node(b, &b->entries[i], t, &n_refs);
	chain_same(b, t);
	t->odd_begin = n_refs;
	for (uint32_t i = b->odd_begin; i < b->odd_end; i++)
		t->refs[n_refs++] = ref_of(b, b->refs[i]);
	t->odd_end = n_refs;
	memcpy(t->tails, b->tail_lens, b->n_tails * sizeof(*t->tails));
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
	free(b.slots);
	free(b.entries);
	free(b.refs);
	free(b.tail_lens);
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
