#include <stdlib.h>

#include "reference.h"

/* The joined value of a field, built for real; n_found: lines. Caller frees. */
static char *reference_join(
	const struct tg_msg *m, struct tg_view name, uint32_t *n, uint32_t *n_found)
{
	char *out = NULL;

	*n = *n_found = 0;
	for (uint32_t i = 0; i < m->n_fields; i++) {
		const struct tg_field *f = &m->fields[i];

		if (f->removed || !tg_view_eq_nocase(f->name, name))
			continue;
		out = realloc(out, *n + f->value.n + 2);
		if ((*n_found)++)
			out[(*n)++] = ',';
		if (f->value.n)
			memcpy(out + *n, f->value.p, f->value.n);
		*n += f->value.n;
	}
	return out;
}

static bool reference_value(const struct tg_header_match *h, const char *s, uint32_t n)
{
	const uint8_t *v = h->value.p;
	uint32_t vn = h->value.n;

	if (h->kind == TG_HEADER_PRESENT)
		return true;
	if (h->kind == TG_HEADER_EXACT)
		return n == vn && (n == 0 || memcmp(s, v, n) == 0);
	if (h->kind == TG_HEADER_SUFFIX)
		return n >= vn && (vn == 0 || memcmp(s + n - vn, v, vn) == 0);
	for (uint32_t at = 0; at + vn <= n; at++) {
		if (vn == 0 || memcmp(s + at, v, vn) == 0)
			return true;
		if (h->kind == TG_HEADER_PREFIX)
			return false;
	}
	return false;
}

bool reference_header(const struct tg_header_match *h, const struct tg_msg *m)
{
	uint32_t n, found;
	char *s = reference_join(m, h->name, &n, &found);
	bool yes = found ? reference_value(h, s, n) != h->invert
			 : h->kind == TG_HEADER_PRESENT && h->invert;

	free(s);
	return yes;
}

const struct tg_route *reference_find(const struct tg_vhost *v, const struct tg_msg *m)
{
	for (uint32_t i = 0; i < v->n_routes; i++) {
		const struct tg_route *r = &v->routes[i];
		bool yes = r->kind == TG_MATCH_PATH ? tg_view_eq(m->path, r->match)
						    : tg_view_has_prefix(m->path, r->match);

		for (uint32_t k = 0; k < r->n_headers && yes; k++)
			yes = reference_header(&r->headers[k], m);
		if (yes)
			return r;
	}
	return NULL;
}

void *test_alloc(void *ctx, size_t n)
{
	struct test_memory *t = ctx;

	if (t->n == TG_ARRAY_LEN(t->block))
		return NULL;
	t->block[t->n] = malloc(n ? n : 1);
	return t->block[t->n++];
}

void test_memory_free(struct test_memory *t)
{
	while (t->n)
		free(t->block[--t->n]);
}
