/* ratelimit_descriptor.c: which descriptor a request has, and what its client is told. */
#include "ratelimit.h"

#include <stdio.h>

#include <tidegate/log.h>

static bool fits(const struct tg_ratelimit_limit *l, const struct tg_ratelimit_descriptor *d)
{
	if (l->n != d->n)
		return false;
	for (uint32_t i = 0; i < d->n; i++)
		if (!tg_view_eq(l->actions[i].key, d->entries[i].key))
			return false;
	return true;
}

struct ratelimit_limit *ratelimit_limits(const struct tg_ratelimit_limit *limits, uint32_t n_limits,
	const struct tg_ratelimit_descriptor *descriptors, uint32_t n_descriptors,
	const struct tg_filter_env *env)
{
	struct ratelimit_limit *out = env->alloc(env->ctx, (n_limits + 1) * sizeof(*out));

	for (uint32_t k = 0; k < n_limits && out; k++) {
		struct ratelimit_limit *l = &out[k];

		l->in = &limits[k];
		l->fit = env->alloc(env->ctx, (n_descriptors + 1) * sizeof(*l->fit));
		if (!l->fit)
			return NULL;
		for (uint32_t i = 0; i < n_descriptors; i++)
			if (fits(l->in, &descriptors[i]))
				l->fit[l->n_fit++] = i;
	}
	return out;
}

bool ratelimit_is_open(const struct tg_ratelimit_descriptor *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (d->entries[i].any)
			return true;
	return false;
}

bool ratelimit_is_address(const struct tg_ratelimit_action *a)
{
	return a->kind == TG_RATELIMIT_REMOTE_ADDRESS || a->kind == TG_RATELIMIT_MASKED_ADDRESS;
}

/* False: the request has no such thing. */
static bool evaluate(const struct tg_ratelimit_action *a, const struct tg_exchange *ex,
	const struct tg_msg *m, struct ratelimit_value *out)
{
	const struct tg_ip *ip = &ex->client.remote.ip;
	const struct tg_field *f;

	switch (a->kind) {
	case TG_RATELIMIT_HEADER:
		f = tg_msg_find_name(m, a->value, NULL);
		if (!f)
			return false;
		out->text = f->value;
		return true;
	case TG_RATELIMIT_REMOTE_ADDRESS:
		out->ip = *ip;
		return true;
	case TG_RATELIMIT_MASKED_ADDRESS:
		out->ip = tg_ip_masked(ip, tg_ip_is_v4(ip) ? 96u + a->v4_len : a->v6_len);
		return true;
	case TG_RATELIMIT_IDENTITY:
		if (!ex->client.identity || !ex->client.identity->uri.n)
			return false;
		out->text = ex->client.identity->uri;
		return true;
	case TG_RATELIMIT_PATH:
		out->text = m->path;
		return true;
	case TG_RATELIMIT_HEADER_MATCH:
		out->text = a->value;
		return tg_headers_match(a->headers, a->n_headers, m, NULL) == a->expect_match;
	default:
		out->text = a->value;
		return true;
	}
}

static bool equal(const struct tg_ratelimit_action *a, const struct tg_ratelimit_entry *e,
	const struct ratelimit_value *v)
{
	if (e->any)
		return true;
	if (ratelimit_is_address(a))
		return tg_ip_eq(&v->ip, &e->ip.ip);
	return tg_view_eq(v->text, e->value);
}

const struct tg_ratelimit_descriptor *ratelimit_find(const struct ratelimit_limit *l,
	const struct tg_ratelimit_descriptor *descriptors, const struct tg_exchange *ex,
	const struct tg_msg *m, struct ratelimit_value v[static TG_RATELIMIT_ENTRIES_MAX])
{
	if (!l->n_fit)
		return NULL;
	for (uint32_t i = 0; i < l->in->n; i++)
		if (!evaluate(&l->in->actions[i], ex, m, &v[i]))
			return NULL;
	for (uint32_t k = 0; k < l->n_fit; k++) {
		const struct tg_ratelimit_descriptor *d = &descriptors[l->fit[k]];
		uint32_t i = 0;

		while (i < d->n && equal(&l->in->actions[i], &d->entries[i], &v[i]))
			i++;
		if (i == d->n)
			return d;
	}
	return NULL;
}

/* --- texts -----------------------------------------------------------------------------------
 */

void ratelimit_describe(const struct ratelimit_limit *l, const struct tg_ratelimit_descriptor *d,
	const struct ratelimit_value *v, char *out, size_t n)
{
	size_t at = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < d->n && at < n - 1; i++) {
		const struct tg_view key = d->entries[i].key;
		char ip[TG_ADDR_TEXT] = "";

		if (ratelimit_is_address(&l->in->actions[i]))
			tg_ip_format(&v[i].ip, ip);
		snprintf(out + at, n - at, "%s%.*s=%.*s", i ? ", " : "", (int)key.n,
			(const char *)key.p, ip[0] ? (int)strlen(ip) : (int)v[i].text.n,
			ip[0] ? ip : (const char *)v[i].text.p);
		at += strlen(out + at);
	}
}

struct tg_view ratelimit_number(struct tg_exchange *ex, uint64_t v)
{
	uint8_t *text = tg_arena_alloc(ex->arena, 24);
	uint32_t at = 24;

	if (!text)
		return TG_VIEW_NONE;
	do
		text[--at] = (uint8_t)('0' + v % 10);
	while (v /= 10);
	return tg_view_of(text + at, 24 - at);
}

/* --- what the client is told -------------------------------------------------------------------
 */

/* The whole seconds in which it has happened. */
static struct tg_view seconds_of(struct tg_exchange *ex, uint64_t ns)
{
	return ratelimit_number(ex, (ns + RATELIMIT_SEC - 1) / RATELIMIT_SEC);
}

void ratelimit_tell(struct tg_exchange *ex, struct tg_msg *m, const struct ratelimit_told *t,
	struct tg_view policy)
{
	static const struct tg_view names[] = {TG_VIEW_OF("x-ratelimit-limit"),
		TG_VIEW_OF("x-ratelimit-remaining"), TG_VIEW_OF("x-ratelimit-reset")};
	struct tg_view values[TG_ARRAY_LEN(names)];

	if (!t->known)
		return;
	values[0] = policy.p ? policy : ratelimit_number(ex, t->limit);
	values[1] = ratelimit_number(ex, t->left);
	values[2] = seconds_of(ex, t->reset);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(names); i++)
		if (values[i].p)
			tg_msg_add(m, TG_FIELD_UNKNOWN, names[i], values[i]);
}

enum tg_verdict ratelimit_refuse(struct tg_exchange *ex, uint16_t status, struct tg_view details,
	const struct ratelimit_told *t, const struct tg_field *more, uint32_t n)
{
	struct tg_field *fields = tg_arena_alloc(ex->arena, (uint32_t)((n + 1) * sizeof(*fields)));
	struct tg_view after = seconds_of(ex, t->reset);

	ex->reply.status = status;
	ex->reply.flags = TG_FLAG(RL);
	ex->reply.why = TG_WHY_req_rate_limited;
	ex->reply.details = details;
	if (!fields || !after.p) /* refused all the same */
		return TG_REPLY;
	fields[0] = (struct tg_field){.name = TG_VIEW("retry-after"), .value = after};
	if (n)
		memcpy(fields + 1, more, n * sizeof(*fields));
	ex->reply.fields = fields;
	ex->reply.n_fields = n + 1;
	return TG_REPLY;
}
