#include <regex.h>
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

/* By the C library's expressions, for patterns that mean the same there. */
static bool reference_regex(struct tg_view pattern, struct tg_view text)
{
	char p[256], t[256];
	regex_t re;
	bool yes;

	if (pattern.n > 200 || text.n > 200)
		abort();
	snprintf(p, sizeof(p), "^(%.*s)$", (int)pattern.n, (const char *)pattern.p);
	snprintf(t, sizeof(t), "%.*s", (int)text.n, (const char *)text.p);
	if (regcomp(&re, p, REG_EXTENDED | REG_NOSUB))
		abort();
	yes = regexec(&re, t, 0, NULL, 0) == 0;
	regfree(&re);
	return yes;
}

static bool reference_prefix(const struct tg_route *r, struct tg_view path)
{
	if (path.n < r->match.n)
		return false;
	for (uint32_t i = 0; i < r->match.n; i++)
		if ((r->ignore_case ? tg_ascii_lower(path.p[i]) : path.p[i]) != r->match.p[i])
			return false;
	return true;
}

static bool reference_path(const struct tg_route *r, struct tg_view path)
{
	bool prefix = reference_prefix(r, path);

	switch (r->kind) {
	case TG_MATCH_PATH:
		return prefix && path.n == r->match.n;
	case TG_MATCH_PREFIX:
		return prefix;
	case TG_MATCH_SEPARATED:
		return prefix && (path.n == r->match.n || path.p[r->match.n] == '/');
	default:
		return reference_regex(r->match, path);
	}
}

const struct tg_route *reference_find(const struct tg_vhost *v, const struct tg_msg *m)
{
	for (uint32_t i = 0; i < v->n_routes; i++) {
		const struct tg_route *r = &v->routes[i];
		bool yes = reference_path(r, m->path);

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
