#include <stdlib.h>
#include <string.h>

#include "schema.h"

static int by_name(const void *x, const void *y)
{
	const struct cfg_name *a = x, *b = y;
	int d = strcmp(a->name, b->name);

	if (d)
		return d;
	return a->index < b->index ? -1 : a->index > b->index;
}

static struct raw_head *head_of(const struct raw_list *l, const struct cfg_group *g, uint32_t i)
{
	return (struct raw_head *)((char *)l->items + i * g->size);
}

static void report_duplicates(struct cfg *c, const struct cfg_index *x, const struct raw_list *l,
	const struct cfg_group *g)
{
	for (uint32_t i = 1, first = 0; i < x->n; i++) {
		struct raw_head *h = head_of(l, g, x->names[i].index);
		uint32_t line;

		if (strcmp(x->names[i].name, x->names[first].name) != 0) {
			first = i;
			continue;
		}
		line = cfg_key_line(h, "name");
		cfg_error(c, line, "%s \"%s\": this name is taken in %s; names must differ",
			g->what, x->names[i].name,
			cfg_line_text(c, cfg_key_line(head_of(l, g, x->names[first].index), "name"),
				line));
		h->skip = true;
	}
}

void cfg_index_build(struct cfg *c, struct cfg_index *x, const struct raw_list *l,
	const struct cfg_group *g, size_t name_at)
{
	x->n = 0;
	x->whole = l->whole;
	x->names = cfg_need(c, &c->tmp, (l->n + 1) * sizeof(*x->names));
	if (!x->names)
		return;
	for (uint32_t i = 0; i < l->n; i++) {
		const char *name;

		memcpy(&name, (char *)l->items + i * g->size + name_at, sizeof(name));
		if (name)
			x->names[x->n++] = (struct cfg_name){name, i};
		else
			x->whole = false;
	}
	qsort(x->names, x->n, sizeof(*x->names), by_name);
	report_duplicates(c, x, l, g);
}

uint32_t cfg_index_find(const struct cfg_index *x, const char *name)
{
	uint32_t lo = 0, hi = x->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (strcmp(x->names[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < x->n && strcmp(x->names[lo].name, name) == 0 ? x->names[lo].index : UINT32_MAX;
}

const char *cfg_index_like(const struct cfg_index *x, const char *name)
{
	uint32_t best = ((uint32_t)strlen(name) + 1) / 3;
	const char *like = NULL;

	for (uint32_t i = 0; i < x->n && i < 1000; i++) {
		uint32_t d = cfg_distance(name, x->names[i].name, best);

		if (d < best || (d == best && !like)) {
			best = d;
			like = x->names[i].name;
		}
	}
	return like;
}

uint32_t cfg_index_refer(struct cfg *c, const struct cfg_index *x, const char *name, uint32_t line,
	const char *who, const char *what)
{
	uint32_t i = cfg_index_find(x, name);
	const char *like;

	if (i != UINT32_MAX || !x->whole)
		return i;
	like = cfg_index_like(x, name);
	if (like)
		cfg_error(c, line, "%s: there is no %s \"%s\"; did you mean \"%s\"?", who, what,
			name, like);
	else
		cfg_error(c, line, "%s: there is no %s \"%s\"", who, what, name);
	return i;
}

uint32_t cfg_distance(const char *a, const char *b, uint32_t most)
{
	uint32_t row[65];
	size_t na = strlen(a), nb = strlen(b);

	if (na > 64 || nb > 64 || (na > nb ? na - nb : nb - na) > most)
		return most + 1;
	for (uint32_t j = 0; j <= nb; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= na; i++) {
		uint32_t diagonal = row[0];

		row[0] = i;
		for (uint32_t j = 1; j <= nb; j++) {
			uint32_t above = row[j], d = diagonal + (a[i - 1] != b[j - 1]);

			if (above + 1 < d)
				d = above + 1;
			if (row[j - 1] + 1 < d)
				d = row[j - 1] + 1;
			row[j] = d;
			diagonal = above;
		}
	}
	return row[nb];
}
