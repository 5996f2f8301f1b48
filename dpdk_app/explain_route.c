/* Routes of an explanation: which were asked, what of them did not hold, and what the one does. */
#include <stdlib.h>
#include <string.h>

#include "explain.h"

#define SHOWN 16 /* routes, unless all are asked for */
#define SHOWN_ALL 4096
#define NEAREST 3 /* by path, where no route has it */

/* --- text --------------------------------------------------------------------------------------
 */

static const char *const kinds[] = {[TG_MATCH_PATH] = "path",
	[TG_MATCH_PREFIX] = "prefix",
	[TG_MATCH_SEPARATED] = "path_separated_prefix",
	[TG_MATCH_REGEX] = "safe_regex"};

static void print_view(FILE *out, struct tg_view v)
{
	fprintf(out, "\"%.*s\"", (int)v.n, v.n ? (const char *)v.p : "");
}

/* x-beta-group exact "true" */
static void print_predicate(FILE *out, const struct tg_header_match *h)
{
	static const char *const names[] = {[TG_HEADER_EXACT] = "exact",
		[TG_HEADER_PREFIX] = "prefix",
		[TG_HEADER_SUFFIX] = "suffix",
		[TG_HEADER_CONTAINS] = "contains",
		[TG_HEADER_PRESENT] = "present",
		[TG_HEADER_REGEX] = "safe_regex",
		[TG_HEADER_RANGE] = "range"};

	fprintf(out, "%.*s %s%s", (int)h->name.n, (const char *)h->name.p, h->invert ? "not " : "",
		names[h->kind]);
	if (h->kind < TG_HEADER_PRESENT) {
		fputc(' ', out);
		print_view(out, h->value);
	} else if (h->kind == TG_HEADER_REGEX) {
		fprintf(out, " \"%s\"", tg_regex_pattern(h->regex));
	} else if (h->kind == TG_HEADER_RANGE) {
		fprintf(out, " from %lld to below %lld", (long long)h->from, (long long)h->to);
	}
	if (h->ignore_case)
		fputs(", any case", out);
}

static void print_route(FILE *out, const struct tg_route *r)
{
	fprintf(out, "%s ", kinds[r->kind]);
	if (r->kind == TG_MATCH_REGEX)
		fprintf(out, "\"%s\"", tg_regex_pattern(r->more->regex));
	else
		print_view(out, r->match);
	if (r->ignore_case)
		fputs(" in any case", out);
	for (uint32_t i = 0; i < r->n_headers; i++) {
		fputs(", header ", out);
		print_predicate(out, &r->headers[i]);
	}
	for (uint32_t i = 0; r->more && i < r->more->n_query; i++) {
		fputs(", query parameter ", out);
		print_predicate(out, &r->more->query[i]);
	}
	if (r->more && r->more->fraction < TG_FRACTION_WHOLE)
		fprintf(out, ", %.4f %% of requests", r->more->fraction / 1e4);
}

static json_t *end_text(FILE *out, char **text, size_t *n)
{
	json_t *j = out && !fclose(out) ? tg_explain_text(tg_view_of(*text, *n)) : NULL;

	free(*text);
	return j;
}

static json_t *match_json(const struct tg_route *r)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (out)
		print_route(out, r);
	return end_text(out, &text, &n);
}

static void print_field(FILE *out, const struct tg_msg *m, struct tg_view name)
{
	struct tg_field *f = NULL;
	bool any = false;

	if (tg_view_eq(name, TG_VIEW(":method")) || tg_view_eq(name, TG_VIEW(":authority"))) {
		fputs("it is ", out);
		print_view(
			out, tg_view_eq(name, TG_VIEW(":method")) ? m->method_name : m->authority);
		return;
	}
	while ((f = tg_msg_find_name(m, name, f))) {
		fputs(any ? ", " : "it is ", out);
		print_view(out, f->value);
		any = true;
	}
	if (!any)
		fputs("there is none", out);
}

/* Why a route does not take it, for people. */
static json_t *why_json(
	const struct tg_route *r, enum tg_route_miss miss, uint32_t which, const struct tg_msg *m)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (!out)
		return NULL;
	switch (miss) {
	case TG_ROUTE_PATH:
		fputs("the path is another one", out);
		break;
	case TG_ROUTE_FIELD:
		fputs("header ", out);
		print_predicate(out, &r->headers[which]);
		fputs(": ", out);
		print_field(out, m, r->headers[which].name);
		break;
	case TG_ROUTE_REGEX:
		fputs("the expression does not match the whole path", out);
		break;
	case TG_ROUTE_QUERY:
		fputs("query parameter ", out);
		print_predicate(out, &r->more->query[which]);
		break;
	default:
		fprintf(out, "%.4f %% of such requests, by chance", r->more->fraction / 1e4);
	}
	return end_text(out, &text, &n);
}

/* --- which came close --------------------------------------------------------------------------
 */

static void add(json_t *list, const struct tg_vhost *v, const struct tg_route *r,
	const char *result, json_t *why)
{
	json_array_append_new(list,
		json_pack("{s:I, s:s, s:o, s:s, s:o*}", "number", (json_int_t)(r - v->routes),
			"name", r->name, "match", match_json(r), "result", result, "why", why));
}

static uint32_t common(struct tg_view a, struct tg_view b)
{
	uint32_t n = 0;

	while (n < a.n && n < b.n && a.p[n] == b.p[n])
		n++;
	return n;
}

static struct tg_view path_of(const struct tg_route *r)
{
	return r->kind == TG_MATCH_REGEX ? tg_regex_literal(r->more->regex) : r->match;
}

/* Those whose path has most in common with the request's. */
static void add_nearest(json_t *list, const struct tg_vhost *v, const struct tg_msg *m)
{
	const struct tg_route *best[NEAREST] = {NULL};
	uint32_t most[NEAREST] = {0};

	for (uint32_t i = 0; i < v->n_routes; i++) {
		uint32_t n = common(path_of(&v->routes[i]), m->path), k = NEAREST;

		while (k && n > most[k - 1] && n > 1)
			k--;
		if (k == NEAREST)
			continue;
		memmove(&best[k + 1], &best[k], (NEAREST - 1 - k) * sizeof(best[0]));
		memmove(&most[k + 1], &most[k], (NEAREST - 1 - k) * sizeof(most[0]));
		best[k] = &v->routes[i];
		most[k] = n;
	}
	for (uint32_t k = 0; k < NEAREST && best[k]; k++)
		add(list, v, best[k], "no", why_json(best[k], TG_ROUTE_PATH, 0, m));
}

/* In configured order: those with this path, up to the one that takes it, and those behind it that
 * would. OPTIONS * is routed as "/". */
json_t *tg_explain_routes(const struct tg_vhost *v, const struct tg_route *taken,
	const struct tg_msg *m, const struct tg_match_env *env, bool all)
{
	json_t *list = json_array();
	struct tg_msg as_root = *m;
	uint32_t shown = all ? SHOWN_ALL : SHOWN, which, later = 0;

	if (tg_view_eq(m->path, TG_VIEW("*")))
		as_root.path = TG_VIEW("/");
	for (uint32_t i = 0; i < v->n_routes && json_array_size(list) < shown; i++) {
		const struct tg_route *r = &v->routes[i];
		enum tg_route_miss miss = tg_route_test(r, &as_root, env, &which);
		bool behind = taken && r > taken;
		bool by_chance = r->more && r->more->fraction < TG_FRACTION_WHOLE;

		if (r == taken)
			add(list, v, r, "taken", by_chance ? why_json(r, miss, which, m) : NULL);
		else if (miss == TG_ROUTE_TAKES && behind && (all || later++ < NEAREST))
			add(list, v, r, "later", NULL);
		else if (miss == TG_ROUTE_TAKES && !behind)
			add(list, v, r, "by chance", why_json(r, miss, which, m));
		else if (miss != TG_ROUTE_PATH && miss != TG_ROUTE_TAKES && !behind)
			add(list, v, r, "no", why_json(r, miss, which, m));
	}
	if (!json_array_size(list))
		add_nearest(list, v, m);
	return list;
}

/* --- what the one does -------------------------------------------------------------------------
 */

static json_t *retry_json(const struct tg_dry_result *r)
{
	static const char *const words[] = {
#define X(id, text) text,
		TG_RETRY_LIST(X)
#undef X
	};
	json_t *on = json_array();

	for (uint32_t i = 0; i < TG_ARRAY_LEN(words); i++)
		if (r->retry_on >> i & 1)
			json_array_append_new(on, json_string(words[i]));
	return json_pack("{s:o, s:I, s:f}", "retry_on", on, "num_retries", (json_int_t)r->retries,
		"per_try_timeout_ms", (double)r->per_try_timeout / 1e6);
}

static json_t *hash_json(const struct tg_route *route, const struct tg_dry_result *r)
{
	static const char *const names[] = {[TG_HASH_HEADER] = "header",
		[TG_HASH_COOKIE] = "cookie",
		[TG_HASH_SOURCE_IP] = "source_ip",
		[TG_HASH_QUERY] = "query_parameter"};
	json_t *by = json_array(), *j;
	char hex[24];

	for (uint32_t i = 0; i < route->n_hash; i++)
		json_array_append_new(
			by, json_pack("{s:s, s:o}", "kind", names[route->hash[i].kind], "name",
				    tg_explain_text(route->hash[i].name)));
	j = json_pack("{s:o}", "by", by);
	snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)r->hash);
	json_object_set_new(j, "hash", r->has_hash ? json_string(hex) : json_null());
	if (r->cookie.n)
		json_object_set_new(j, "set_cookie", tg_explain_text(r->cookie));
	return j;
}

static json_t *mirrors_json(const struct tg_route_action *a)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < a->n_mirrors; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:f}", "cluster", a->mirrors[i].cluster->name,
				      "percent", a->mirrors[i].fraction / 1e4));
	return list;
}

static const char *action_of(const struct tg_route *r)
{
	static const char *const names[] = {[TG_ACTION_CLUSTER] = "cluster",
		[TG_ACTION_WEIGHTED] = "weighted_clusters",
		[TG_ACTION_FIELD] = "cluster_header",
		[TG_ACTION_REDIRECT] = "redirect",
		[TG_ACTION_DIRECT] = "direct_response"};

	return r->action ? names[r->action->kind] : "cluster";
}

json_t *tg_explain_route(const struct tg_vhost *v, const struct tg_dry_result *r)
{
	const struct tg_route *route = r->route;
	json_t *j = json_pack("{s:I, s:s, s:o, s:s}", "number", (json_int_t)(route - v->routes),
		"name", route->name, "match", match_json(route), "action", action_of(route));

	if (r->end != TG_DRY_FORWARDED)
		return j;
	json_object_set_new(j, "timeout_ms", json_real((double)r->timeout / 1e6));
	json_object_set_new(
		j, "priority", json_string(r->priority == TG_PRIORITY_HIGH ? "HIGH" : "DEFAULT"));
	if (r->retry_on || r->per_try_timeout)
		json_object_set_new(j, "retry_policy", retry_json(r));
	if (route->n_hash)
		json_object_set_new(j, "hash_policy", hash_json(route, r));
	if (route->action && route->action->n_mirrors)
		json_object_set_new(j, "mirrors", mirrors_json(route->action));
	return j;
}
