/* rbac_set.c: sets of strings, prefixes and networks. */
#include <stdlib.h>

#include "rbac.h"

static int compare(struct tg_view a, struct tg_view b)
{
	uint32_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.p, b.p, n) : 0;

	return d ? d : (a.n > b.n) - (a.n < b.n);
}

static int by_text(const void *a, const void *b)
{
	return compare(*(const struct tg_view *)a, *(const struct tg_view *)b);
}

/* What is behind a prefix in sorted order and begins with it is found by it already: then at most
 * one prefix can fit a text, the last that is not greater. */
static uint32_t drop_covered(struct tg_view *v, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		if (!kept || !tg_view_has_prefix(v[i], v[kept - 1]))
			v[kept++] = v[i];
	return kept;
}

int rbac_set_build(struct rbac_set *s, const struct tg_rbac_strings *in, bool stars,
	const struct tg_filter_env *env)
{
	memset(s, 0, sizeof(*s));
	s->exact = env->alloc(env->ctx, (in->n + (size_t)1) * sizeof(*s->exact));
	s->prefix = env->alloc(env->ctx, (in->n + (size_t)1) * sizeof(*s->prefix));
	if (!s->exact || !s->prefix)
		return TG_ENOMEM;
	for (uint32_t i = 0; i < in->n; i++) {
		struct tg_view v = in->v[i];

		if (stars && v.n && v.p[v.n - 1] == '*')
			s->prefix[s->n_prefix++] = tg_view_of(v.p, v.n - 1);
		else
			s->exact[s->n_exact++] = v;
	}
	qsort(s->exact, s->n_exact, sizeof(*s->exact), by_text);
	qsort(s->prefix, s->n_prefix, sizeof(*s->prefix), by_text);
	s->n_prefix = drop_covered(s->prefix, s->n_prefix);
	return 0;
}

/* The last of v[0 .. n) that is not greater; NULL: all are. */
static const struct tg_view *last_up_to(const struct tg_view *v, uint32_t n, struct tg_view x)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (compare(v[mid], x) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &v[lo - 1] : NULL;
}

bool rbac_set_exact(const struct rbac_set *s, struct tg_view v)
{
	const struct tg_view *at = last_up_to(s->exact, s->n_exact, v);

	return at && tg_view_eq(*at, v);
}

bool rbac_set_has(const struct rbac_set *s, struct tg_view v)
{
	const struct tg_view *at = last_up_to(s->prefix, s->n_prefix, v);

	return (at && tg_view_has_prefix(v, *at)) || rbac_set_exact(s, v);
}

/* --- networks ----------------------------------------------------------------------------------
 */

static int by_start(const void *a, const void *b)
{
	const struct rbac_range *x = a, *y = b;

	return memcmp(x->from.b, y->from.b, sizeof(x->from.b));
}

static struct rbac_range range_of(const struct tg_ip_prefix *p)
{
	struct rbac_range r = {p->ip, p->ip};

	for (uint32_t bit = p->len; bit < 128; bit++) {
		uint8_t m = (uint8_t)(0x80 >> (bit & 7));

		r.from.b[bit >> 3] &= (uint8_t)~m;
		r.to.b[bit >> 3] |= m;
	}
	return r;
}

int rbac_nets_build(
	struct rbac_nets *s, const struct tg_rbac_networks *in, const struct tg_filter_env *env)
{
	s->n = 0;
	s->ranges = env->alloc(env->ctx, (in->n + (size_t)1) * sizeof(*s->ranges));
	if (!s->ranges)
		return TG_ENOMEM;
	for (uint32_t i = 0; i < in->n; i++)
		s->ranges[i] = range_of(&in->v[i]);
	qsort(s->ranges, in->n, sizeof(*s->ranges), by_start);
	/* Networks are nested or apart: one that begins inside another ends in it. */
	for (uint32_t i = 0; i < in->n; i++) {
		struct rbac_range *last = s->n ? &s->ranges[s->n - 1] : NULL;

		if (!last || memcmp(s->ranges[i].from.b, last->to.b, 16) > 0)
			s->ranges[s->n++] = s->ranges[i];
		else if (memcmp(s->ranges[i].to.b, last->to.b, 16) > 0)
			last->to = s->ranges[i].to;
	}
	return 0;
}

bool rbac_nets_have(const struct rbac_nets *s, const struct tg_ip *a)
{
	uint32_t lo = 0, hi = s->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (memcmp(s->ranges[mid].from.b, a->b, 16) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && memcmp(a->b, s->ranges[lo - 1].to.b, 16) <= 0;
}
