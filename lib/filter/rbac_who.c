/* rbac_who.c: principals. A hash table from what a certificate says to the policies that name it.
 */
#include <stdlib.h>

#include "rbac.h"

#define SEED \
	UINT64_C(0x52424143) /* lookups are a peer's, keys the operator's: nothing to aim at \
			      */

enum who_kind { WHO_URI, WHO_BELOW, WHO_DNS, WHO_SUBJECT, WHO_ANYBODY, WHO_AUTHENTICATED };

/* One name in one policy. */
struct mention {
	struct tg_view key;
	uint8_t kind;
	bool no; /* in not_principals */
	uint32_t policy;
};

static bool has(struct tg_view v, const char *what)
{
	return memmem(v.p, v.n, what, strlen(what)) != NULL;
}

static uint8_t kind_of(struct tg_view *v)
{
	if (tg_view_eq(*v, TG_VIEW("*")))
		return WHO_ANYBODY;
	if (tg_view_eq(*v, TG_VIEW("authenticated")))
		return WHO_AUTHENTICATED;
	if (has(*v, "://")) {
		if (v->p[v->n - 1] != '*')
			return WHO_URI;
		v->n--;
		return WHO_BELOW;
	}
	return has(*v, "=") ? WHO_SUBJECT : WHO_DNS;
}

static uint32_t slashes(struct tg_view v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v.n; i++)
		n += v.p[i] == '/';
	return n;
}

const char *tg_rbac_principal_fault(const char *s)
{
	const char *star = strchr(s, '*'), *scheme = strstr(s, "://");

	if (!*s)
		return "is empty";
	if (strcmp(s, "*") == 0)
		return NULL;
	if (strncmp(s, "spiffe:", 7) == 0 && (!scheme || !scheme[3] || scheme[3] == '/'))
		return "is no SPIFFE ID: write spiffe://trust-domain/path";
	if (scheme == s)
		return "has no scheme";
	if (star && (!scheme || star[1] || star[-1] != '/' || star < scheme + 4))
		return "has a * that does not stand alone, nor at the end of a URI behind a /";
	if (star && slashes(tg_view_str(s)) > TG_RBAC_DEPTH_MAX)
		return "has too many segments in front of its *";
	if (scheme && !star && s[strlen(s) - 1] == '/')
		return "ends in a /: to mean all that is below it, write a * behind it";
	return NULL;
}

/* --- building ----------------------------------------------------------------------------------
 */

static int by_key(const void *a, const void *b)
{
	const struct mention *x = a, *y = b;
	uint32_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
	int d = (int)x->kind - (int)y->kind;

	if (!d && n)
		d = memcmp(x->key.p, y->key.p, n);
	if (!d)
		d = (x->key.n > y->key.n) - (x->key.n < y->key.n);
	if (!d)
		d = (int)x->no - (int)y->no;
	return d ? d : (x->policy > y->policy) - (x->policy < y->policy);
}

static void mention(struct mention *all, uint32_t *n, const struct tg_rbac_strings *in, bool no,
	uint32_t policy)
{
	for (uint32_t i = 0; i < in->n; i++) {
		struct tg_view key = in->v[i];
		uint8_t kind = kind_of(&key);

		if (kind >= WHO_ANYBODY)
			key = TG_VIEW_NONE;
		all[(*n)++] = (struct mention){key, kind, no, policy};
	}
}

/* Every name in every policy, sorted; the caller frees it. NULL: no memory. */
static struct mention *all_mentions(const struct tg_rbac_rules *in, uint32_t *n)
{
	static const struct tg_view star = {(const uint8_t *)"*", 1};
	static const struct tg_rbac_strings anybody = {1, &star};
	struct mention *all;
	size_t most = 1;

	for (uint32_t i = 0; i < in->n; i++)
		most += in->policies[i].principals.n + in->policies[i].not_principals.n + 1;
	all = calloc(most, sizeof(*all));
	*n = 0;
	for (uint32_t i = 0; i < in->n && all; i++) {
		const struct tg_rbac_policy *p = &in->policies[i];

		mention(all, n, p->principals.n ? &p->principals : &anybody, false, i);
		mention(all, n, &p->not_principals, true, i);
	}
	if (all)
		qsort(all, *n, sizeof(*all), by_key);
	return all;
}

static uint64_t hash(uint8_t kind, struct tg_view key)
{
	return tg_hash64(SEED + kind, key.p, key.n);
}

static void insert(struct rbac_table *t, uint32_t index)
{
	const struct rbac_who *w = &t->who[index];
	uint32_t at = (uint32_t)hash(w->kind, w->key) & t->mask;

	while (t->slots[at])
		at = (at + 1) & t->mask;
	t->slots[at] = index + 1;
}

static struct rbac_who *place_for(struct rbac_table *t, const struct mention *m)
{
	if (m->kind == WHO_ANYBODY)
		return &t->anybody;
	if (m->kind == WHO_AUTHENTICATED)
		return &t->authenticated;
	return &t->who[t->n++];
}

/* From sorted mentions, whose policies go to ids in the same order. */
static void fill(struct rbac_table *t, const struct mention *all, uint32_t n, uint32_t *ids)
{
	for (uint32_t i = 0; i < n;) {
		struct rbac_who *w = place_for(t, &all[i]);
		uint32_t first = i;

		*w = (struct rbac_who){.key = all[i].key, .kind = all[i].kind, .yes = ids + i};
		for (; i < n && all[i].kind == w->kind && tg_view_eq(all[i].key, w->key); i++) {
			ids[i] = all[i].policy;
			w->n_yes += !all[i].no;
		}
		w->no = w->yes + w->n_yes;
		w->n_no = i - first - w->n_yes;
		if (w->kind >= WHO_ANYBODY)
			continue;
		if (w->kind == WHO_BELOW)
			t->depths |= UINT64_C(1) << slashes(w->key);
		insert(t, t->n - 1);
	}
}

int rbac_table_build(
	struct rbac_table *t, const struct tg_rbac_rules *in, const struct tg_filter_env *env)
{
	uint32_t n, size = 4, *ids;
	struct mention *all = all_mentions(in, &n);

	memset(t, 0, sizeof(*t));
	if (!all)
		return TG_ENOMEM;
	while (size < n * 2)
		size *= 2;
	t->mask = size - 1;
	t->slots = env->alloc(env->ctx, size * sizeof(*t->slots));
	t->who = env->alloc(env->ctx, (n + (size_t)1) * sizeof(*t->who));
	ids = env->alloc(env->ctx, (n + (size_t)1) * sizeof(*ids));
	if (t->slots && t->who && ids)
		fill(t, all, n, ids);
	free(all);
	return t->slots && t->who && ids ? 0 : TG_ENOMEM;
}

/* --- finding -----------------------------------------------------------------------------------
 */

static void look_up(
	const struct rbac_table *t, uint8_t kind, struct tg_view key, struct rbac_found *out)
{
	uint32_t at = (uint32_t)hash(kind, key) & t->mask;

	for (; t->slots[at]; at = (at + 1) & t->mask) {
		const struct rbac_who *w = &t->who[t->slots[at] - 1];

		if (w->kind == kind && tg_view_eq(w->key, key)) {
			if (out->n < RBAC_FOUND_MAX)
				out->who[out->n++] = w;
			else
				out->more = true;
			return;
		}
	}
}

/* "Below" has a meaning only where each segment is one: a URI that was not validated as a SPIFFE ID
 * could climb out again, or be read otherwise. */
static bool has_plain_segments(struct tg_view uri)
{
	const uint8_t *p = memmem(uri.p, uri.n, "://", 3);
	uint32_t segment = 0, dots = 0;

	if (!p)
		return false;
	for (p += 3; p < uri.p + uri.n; p++) {
		if (*p == '%' || *p == '\\' || *p == '?' || *p == '#' || *p <= ' ' || *p >= 0x7f)
			return false;
		if (*p == '/') {
			if (segment == 0 || (segment == dots && dots <= 2))
				return false;
			segment = dots = 0;
			continue;
		}
		segment++;
		dots += *p == '.';
	}
	return segment && (segment != dots || dots > 2);
}

static void look_below(const struct rbac_table *t, struct tg_view uri, struct rbac_found *out)
{
	uint32_t depth = 0, before = out->n;

	for (uint32_t i = 0; i < uri.n && t->depths >> depth > 1; i++) {
		if (uri.p[i] != '/')
			continue;
		if (t->depths >> ++depth & 1 && i + 1 < uri.n)
			look_up(t, WHO_BELOW, tg_view_of(uri.p, i + 1), out);
	}
	if (out->n > before && !has_plain_segments(uri))
		out->n = before;
}

/* Takes the first of names that each have a 0 behind them. */
static bool next_name(struct tg_view *all, struct tg_view *name)
{
	const uint8_t *end = all->n ? memchr(all->p, 0, all->n) : NULL;

	if (!end)
		return false;
	*name = tg_view_of(all->p, (size_t)(end - all->p));
	*all = tg_view_of(end + 1, all->n - name->n - 1);
	return true;
}

/* As Envoy does: any URI, any DNS name, the subject. */
void rbac_table_find(const struct rbac_table *t, const struct tg_client *c, struct rbac_found *out)
{
	const struct tg_identity *id = c->identity;
	struct tg_view uris, names, name;

	out->n = 0;
	out->more = false;
	out->who[out->n++] = &t->anybody;
	if (!id)
		return;
	uris = id->uris;
	names = id->dns_names;
	out->who[out->n++] = &t->authenticated;
	if (!t->n)
		return;
	while (next_name(&uris, &name)) {
		look_up(t, WHO_URI, name, out);
		look_below(t, name, out);
	}
	while (next_name(&names, &name))
		look_up(t, WHO_DNS, name, out);
	if (id->subject.n)
		look_up(t, WHO_SUBJECT, id->subject, out);
}
