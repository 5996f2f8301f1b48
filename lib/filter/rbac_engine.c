/* rbac_engine.c: one list of policies with its action. */
#include <tidegate/http1.h>

#include "rbac.h"

/* --- building ----------------------------------------------------------------------------------
 */

#define DETAILS "rbac_access_denied_matched_policy["
static const struct tg_view none = {(const uint8_t *)DETAILS "none]", sizeof(DETAILS "none]") - 1};

/* Envoy's details: spaces would be read as the end of the log's column. */
static int name_details(struct rbac_policy *p, const char *name, const struct tg_filter_env *env)
{
	size_t n = strlen(name);
	char *text = env->alloc(env->ctx, sizeof(DETAILS) + n + 1);

	if (!text)
		return TG_ENOMEM;
	memcpy(text, DETAILS, sizeof(DETAILS) - 1);
	for (size_t i = 0; i < n; i++)
		text[sizeof(DETAILS) - 1 + i] = name[i] == ' ' ? '_' : name[i];
	text[sizeof(DETAILS) - 1 + n] = ']';
	p->name = name;
	p->details = tg_view_of(text, sizeof(DETAILS) + n);
	return 0;
}

static int build_policy(
	struct rbac_policy *p, const struct tg_rbac_policy *in, const struct tg_filter_env *env)
{
	p->n_headers = in->n_headers;
	p->headers = in->headers;
	p->any_path = !in->paths.n;
	p->any_method = !in->methods.n;
	p->any_source = !in->source_ips.n;
	p->excludes = in->not_principals.n > 0;
	if (name_details(p, in->name, env) || rbac_set_build(&p->paths, &in->paths, true, env) ||
		rbac_set_build(&p->not_paths, &in->not_paths, true, env) ||
		rbac_set_build(&p->methods, &in->methods, false, env) ||
		rbac_set_build(&p->not_methods, &in->not_methods, false, env) ||
		rbac_nets_build(&p->source_ips, &in->source_ips, env) ||
		rbac_nets_build(&p->not_source_ips, &in->not_source_ips, env))
		return TG_ENOMEM;
	return 0;
}

int rbac_engine_build(
	struct rbac_engine *e, const struct tg_rbac_rules *in, const struct tg_filter_env *env)
{
	e->given = in->given;
	e->action = in->action;
	e->n = in->n;
	e->policies = env->alloc(env->ctx, (in->n + (size_t)1) * sizeof(*e->policies));
	if (!e->policies)
		return TG_ENOMEM;
	for (uint32_t i = 0; i < in->n; i++)
		if (build_policy(&e->policies[i], &in->policies[i], env))
			return TG_ENOMEM;
	return rbac_table_build(&e->table, in, env);
}

/* --- paths -------------------------------------------------------------------------------------
 */

/* Of an escape at p, what it stands for if a reader may take it for a slash. */
static bool is_slash(struct tg_view path, uint32_t i, uint32_t *len)
{
	*len = 1;
	if (path.p[i] == '/' || path.p[i] == '\\')
		return true;
	*len = 3;
	return path.n - i >= 3 && path.p[i] == '%' &&
	       (memcmp(path.p + i, "%2F", 3) == 0 || memcmp(path.p + i, "%5C", 3) == 0);
}

bool rbac_path_ambiguous(struct tg_view path)
{
	bool slash = false;
	uint32_t len;

	for (uint32_t i = 0; i < path.n; i++) {
		uint8_t c = path.p[i];

		if (c == ';' || c == '\\' || (c == '/' && slash))
			return true;
		if (c == '%' && is_slash(path, i, &len))
			return true;
		slash = c == '/';
	}
	return false;
}

uint32_t rbac_path_reading(struct tg_view path, uint8_t *out)
{
	uint32_t n = 0, len;
	bool parameter = false;
	int32_t rc;

	for (uint32_t i = 0; i < path.n; i += len) {
		if (is_slash(path, i, &len)) {
			parameter = false;
			if (!n || out[n - 1] != '/')
				out[n++] = '/';
			continue;
		}
		len = 1;
		parameter |= path.p[i] == ';';
		if (!parameter)
			out[n++] = path.p[i];
	}
	/* In place: normalising never writes ahead of what it reads. */
	rc = tg_path_normalise(tg_view_of(out, n), true, out);
	return rc < 0 ? 0 : (uint32_t)rc;
}

/* --- asking ------------------------------------------------------------------------------------
 */

static bool listed(const uint32_t *ids, uint32_t n, uint32_t id)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (ids[mid] < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && ids[lo] == id;
}

static bool excluded(const struct rbac_found *f, uint32_t id)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (listed(f->who[i]->no, f->who[i]->n_no, id))
			return true;
	return false;
}

/* A spelling that a policy has word for word is meant, whoever may read it otherwise. */
static bool path_holds(const struct rbac_policy *p, const struct rbac_question *q, bool reading)
{
	struct tg_view path = reading ? q->reading : q->path;

	if (!p->any_path && !rbac_set_has(&p->paths, path) &&
		!(reading && rbac_set_exact(&p->paths, q->path)))
		return false;
	return !rbac_set_has(&p->not_paths, path);
}

static bool method_holds(const struct rbac_policy *p, const struct tg_msg *m)
{
	return (p->any_method || rbac_set_exact(&p->methods, m->method_name)) &&
	       !rbac_set_exact(&p->not_methods, m->method_name);
}

static bool source_holds(const struct rbac_policy *p, const struct tg_ip *from)
{
	return (p->any_source || rbac_nets_have(&p->source_ips, from)) &&
	       !rbac_nets_have(&p->not_source_ips, from);
}

static bool request_holds(const struct rbac_policy *p, const struct rbac_question *q, bool reading)
{
	const struct tg_msg *m = q->m;

	return !m || (method_holds(p, m) && path_holds(p, q, reading) &&
			     tg_headers_match(p->headers, p->n_headers, m, NULL));
}

static bool policy_holds(const struct rbac_engine *e, uint32_t id, const struct rbac_question *q,
	const struct rbac_found *f, bool reading)
{
	const struct rbac_policy *p = &e->policies[id];

	return source_holds(p, &q->client->remote.ip) && request_holds(p, q, reading) &&
	       !(p->excludes && excluded(f, id));
}

/* The first policy in configured order that matches, or RBAC_NONE. */
static uint32_t first_match(const struct rbac_engine *e, const struct rbac_question *q,
	const struct rbac_found *f, bool reading)
{
	uint32_t best = RBAC_NONE;

	for (uint32_t i = 0; i < f->n; i++)
		for (uint32_t k = 0; k < f->who[i]->n_yes && f->who[i]->yes[k] < best; k++)
			if (policy_holds(e, f->who[i]->yes[k], q, f, reading))
				best = f->who[i]->yes[k];
	return best;
}

static struct rbac_answer judge(const struct rbac_engine *e, uint32_t policy)
{
	bool matched = policy != RBAC_NONE;

	switch (e->action) {
	case TG_RBAC_ALLOW:
		return (struct rbac_answer){matched, matched, none, policy};
	case TG_RBAC_DENY:
		return (struct rbac_answer){
			!matched, matched, matched ? e->policies[policy].details : none, policy};
	default:
		return (struct rbac_answer){true, matched, none, policy};
	}
}

struct rbac_answer rbac_engine_ask(const struct rbac_engine *e, const struct rbac_question *q)
{
	struct rbac_answer a;
	struct rbac_found f;

	rbac_table_find(&e->table, q->client, &f);
	if (tg_unlikely(f.more) && e->action != TG_RBAC_LOG)
		return (struct rbac_answer){false, false, none, RBAC_NONE};
	a = judge(e, first_match(e, q, &f, false));
	/* A path that can be read in two ways has to be allowed in both. */
	if (tg_likely(!q->reading.p) || !a.allowed || e->action == TG_RBAC_LOG)
		return a;
	if (!q->reading.n) /* out of the root: whatever that is, nobody has allowed it */
		return (struct rbac_answer){false, false, none, RBAC_NONE};
	return judge(e, first_match(e, q, &f, true));
}

const char *rbac_engine_miss(const struct rbac_engine *e, uint32_t policy,
	const struct rbac_question *q, const struct rbac_found *f)
{
	const struct rbac_policy *p = &e->policies[policy];
	const struct tg_msg *m = q->m;

	if (!source_holds(p, &q->client->remote.ip))
		return "the client's address";
	if (m && !method_holds(p, m))
		return "the method";
	if (m && !path_holds(p, q, false))
		return "the path";
	if (m && q->reading.n && !path_holds(p, q, true))
		return "the path as others may read it";
	if (m && !tg_headers_match(p->headers, p->n_headers, m, NULL))
		return "a field";
	return p->excludes && excluded(f, policy) ? "not_principals" : NULL;
}
