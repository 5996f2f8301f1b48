/* The filter "rbac": its keys, checks, and into what lib/filter compiles. */
#include <string.h>

#include <tidegate/rbac.h>

#include "keys.h"

struct raw_policy {
	struct raw_head h;
	const char *name;
	struct raw_list principals, not_principals, paths, not_paths, methods, not_methods,
		source_ips, not_source_ips, headers;
};

struct raw_rbac {
	struct raw_filter_head f;
	uint32_t action, shadow_action;
	struct raw_list policies, shadow_policies;
};

/* In the order of enum tg_rbac_action. */
static const char *const words_action[] = {"ALLOW", "DENY", "LOG", NULL};

static const struct cfg_key policy_keys[] = {
	KEY(raw_policy, name, "name", .type = CFG_NAME, .flags = CFG_REQUIRED, .example = "\"web\"",
		.doc = "for the access log's details"),
	KEY(raw_policy, principals, "principals", .type = CFG_NAMES, .max = 2048,
		.flags = CFG_NOT_EMPTY, .example = "[\"spiffe://mesh.example/ns/shop/*\"]",
		.doc = "who: URI (or all below one), DNS name or subject of a verified "
		       "certificate; \"authenticated\": any; \"*\": anybody"),
	KEY(raw_policy, not_principals, "not_principals", .type = CFG_NAMES, .max = 2048,
		.flags = CFG_NOT_EMPTY, .example = "[\"spiffe://mesh.example/ns/shop/sa/test\"]",
		.doc = "and none of these"),
	KEY(raw_policy, paths, "paths", .type = CFG_STRINGS, .flags = CFG_NOT_EMPTY,
		.example = "[\"/healthz\", \"/api/*\"]",
		.doc = "a path, or what paths begin with and a *; without the query"),
	KEY(raw_policy, not_paths, "not_paths", .type = CFG_STRINGS, .flags = CFG_NOT_EMPTY,
		.example = "[\"/api/admin*\"]", .doc = "and none of these"),
	KEY(raw_policy, methods, "methods", .type = CFG_NAMES, .flags = CFG_NOT_EMPTY,
		.example = "[\"GET\", \"HEAD\"]", .doc = "one of these methods"),
	KEY(raw_policy, not_methods, "not_methods", .type = CFG_NAMES, .flags = CFG_NOT_EMPTY,
		.example = "[\"DELETE\"]", .doc = "and none of these"),
	KEY(raw_policy, headers, "headers", .type = CFG_GROUPS, .flags = CFG_NOT_EMPTY,
		.group = &cfg_header, .example = "( { name = \"x-team\"; exact = \"blue\"; } )",
		.doc = "fields that must match, all of them"),
	KEY(raw_policy, source_ips, "source_ips", .type = CFG_PREFIXES, .flags = CFG_NOT_EMPTY,
		.example = "[\"10.77.1.0/24\"]",
		.doc = "the connection comes from one of these networks"),
	KEY(raw_policy, not_source_ips, "not_source_ips", .type = CFG_PREFIXES,
		.flags = CFG_NOT_EMPTY, .example = "[\"10.77.1.13/32\"]",
		.doc = "and from none of these"),
	END};

static const struct cfg_refused refused_policy[] = {{"permissions", "principals"}, {"condition"},
	{"checked_condition"}, {"metadata"}, {"ports"}, {"destination_ports"},
	{"requested_server_name"}, {"remote_ips"}, {"hosts"}, {NULL}};

static const struct cfg_group policy_group = {
	"policy", sizeof(struct raw_policy), policy_keys, refused_policy};

static const struct cfg_key rbac_keys[] = {FILTER_KEYS(raw_rbac, "rbac", "deny"),
	KEY(raw_rbac, action, "action", .type = CFG_ENUM, .words = words_action, .dflt = "ALLOW",
		.example = "\"ALLOW\"",
		.doc = "ALLOW: only what a policy matches; DENY: all but that; LOG: only counts"),
	KEY(raw_rbac, policies, "policies", .type = CFG_GROUPS, .group = &policy_group,
		.example = "( { name = \"web\"; principals = [\"authenticated\"]; } )",
		.doc = "what may be done, or not; an empty list matches nothing"),
	KEY(raw_rbac, shadow_action, "shadow_action", .type = CFG_ENUM, .words = words_action,
		.dflt = "ALLOW", .example = "\"ALLOW\"", .doc = "the action of shadow_policies"),
	KEY(raw_rbac, shadow_policies, "shadow_policies", .type = CFG_GROUPS,
		.group = &policy_group,
		.example = "( { name = \"web\"; principals = [\"authenticated\"]; } )",
		.doc = "the same, to try out: the verdict is counted and not carried out"),
	END};

static const struct cfg_refused refused_rbac[] = {{"rules", "policies"},
	{"shadow_rules", "shadow_policies"}, {"matcher", "policies"},
	{"shadow_matcher", "shadow_policies"}, {"rules_stat_prefix"}, {"shadow_rules_stat_prefix"},
	{"track_per_rule_stats"}, {NULL}};

static const struct cfg_group rbac_group = {
	"filter", sizeof(struct raw_rbac), rbac_keys, refused_rbac};

/* --- checks ------------------------------------------------------------------------------------
 */

static void check_principals(struct cfg *c, const struct raw_list *l, const char *who)
{
	const struct raw_item *p = l->items;

	for (uint32_t i = 0; i < l->n; i++) {
		const char *fault = p[i].ok ? tg_rbac_principal_fault(p[i].s) : NULL;

		if (fault)
			cfg_error(c, cfg_line_of(p[i].at), "%s: principal \"%.80s\" %s", who,
				p[i].s, fault);
	}
}

static void check_paths(struct cfg *c, const struct raw_list *l, const char *key, const char *who)
{
	const struct raw_item *p = l->items;

	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t line = cfg_line_of(p[i].at);
		const char *star = p[i].ok ? strchr(p[i].s, '*') : NULL;
		char *text;

		if (!p[i].ok || (star == p[i].s && !star[1]))
			continue;
		if (star && star[1]) {
			cfg_error(c, line, "%s: \"%s\": \"%.80s\" has a * that is not its end", who,
				key, p[i].s);
			continue;
		}
		text = cfg_strndup(&c->tmp, p[i].s, strlen(p[i].s) - (star != NULL));
		if (text)
			cfg_check_path(c, who, key, text, star != NULL, line);
		else
			c->no_memory = true;
	}
}

static void check_methods(struct cfg *c, const struct raw_list *l, const char *key, const char *who)
{
	const struct raw_item *m = l->items;

	for (uint32_t i = 0; i < l->n; i++) {
		const char *s = m[i].s;

		if (!m[i].ok)
			continue;
		if (!cfg_is_token(s))
			cfg_error(c, cfg_line_of(m[i].at), "%s: \"%s\": \"%s\" is no method", who,
				key, s);
		else if (strpbrk(s, "abcdefghijklmnopqrstuvwxyz"))
			cfg_error(c, cfg_line_of(m[i].at),
				"%s: \"%s\": \"%s\" would never match: methods are in upper case",
				who, key, s);
	}
}

static void check_policy(struct cfg *c, const struct raw_policy *p, bool tcp)
{
	static const char *const of_requests[] = {
		"paths", "not_paths", "methods", "not_methods", "headers"};
	const char *who = cfg_who(c, p->h.at, &policy_group);
	const struct raw_header *headers = p->headers.items;

	check_principals(c, &p->principals, who);
	check_principals(c, &p->not_principals, who);
	check_paths(c, &p->paths, "paths", who);
	check_paths(c, &p->not_paths, "not_paths", who);
	check_methods(c, &p->methods, "methods", who);
	check_methods(c, &p->not_methods, "not_methods", who);
	for (uint32_t i = 0; i < p->headers.n; i++)
		cfg_check_header(c, &headers[i]);
	for (size_t i = 0; tcp && i < TG_ARRAY_LEN(of_requests); i++)
		if (cfg_given(&policy_group, &p->h, of_requests[i]))
			cfg_error(c, cfg_key_line(&p->h, of_requests[i]),
				"%s: \"%s\": connections of protocol = \"tcp\" have none", who,
				of_requests[i]);
	/* Only the name: bit 0. */
	if (!(p->h.given >> 1) && !p->h.meant)
		cfg_error(c, cfg_line_of(p->h.at),
			"%s: it says nothing about whom or what it means: principals = [\"*\"]; is "
			"everybody",
			who);
}

static void check_policies(struct cfg *c, const struct raw_list *l, bool tcp)
{
	const struct raw_policy *p = l->items;
	struct cfg_index names;

	cfg_index_build(c, &names, l, &policy_group, offsetof(struct raw_policy, name));
	for (uint32_t i = 0; i < l->n; i++)
		check_policy(c, &p[i], tcp);
}

static void check(struct cfg *c, const struct raw_filter_head *raw, bool tcp)
{
	const struct raw_rbac *r = (const struct raw_rbac *)raw;
	const struct raw_head *h = &raw->h;
	const struct {
		const char *action, *policies;
		const struct raw_list *list;
	} rules[] = {{"action", "policies", &r->policies},
		{"shadow_action", "shadow_policies", &r->shadow_policies}};
	bool any = false;

	for (size_t i = 0; i < TG_ARRAY_LEN(rules); i++) {
		bool given = cfg_given(&rbac_group, h, rules[i].policies);

		any |= given;
		check_policies(c, rules[i].list, tcp);
		if (!given && cfg_given(&rbac_group, h, rules[i].action) && !h->meant)
			cfg_error(c, cfg_key_line(h, rules[i].action),
				"filter \"rbac\": \"%s\" without \"%s\"", rules[i].action,
				rules[i].policies);
	}
	if (!any && !raw->disabled && !h->meant)
		cfg_error(c, cfg_line_of(h->at),
			"filter \"rbac\": \"policies\" is missing: policies: ( { name = \"web\"; "
			"principals = [\"authenticated\"]; } );");
}

static bool names_somebody(const struct raw_list *principals)
{
	const struct raw_item *p = principals->items;

	for (uint32_t i = 0; i < principals->n; i++)
		if (p[i].ok && strcmp(p[i].s, "*") != 0)
			return true;
	return false;
}

bool cfg_rbac_needs_identity(const struct raw_filter_head *raw)
{
	const struct raw_rbac *r = (const struct raw_rbac *)raw;
	const struct raw_list *lists[] = {&r->policies, &r->shadow_policies};

	for (size_t k = 0; k < TG_ARRAY_LEN(lists); k++) {
		const struct raw_policy *p = lists[k]->items;

		for (uint32_t i = 0; i < lists[k]->n; i++)
			if (names_somebody(&p[i].principals) ||
				names_somebody(&p[i].not_principals))
				return true;
	}
	return false;
}

/* --- into the snapshot -------------------------------------------------------------------------
 */

static void *keep(struct cfg *c, size_t n, size_t size)
{
	return cfg_need(c, c->keep, (n + 1) * size);
}

static bool strings(struct cfg *c, const struct raw_list *l, struct tg_rbac_strings *out)
{
	const struct raw_item *s = l->items;
	struct tg_view *v = keep(c, l->n, sizeof(*v));

	out->n = l->n;
	out->v = v;
	for (uint32_t i = 0; i < l->n && v; i++)
		v[i] = tg_view_str(s[i].s);
	return v != NULL;
}

static bool networks(struct cfg *c, const struct raw_list *l, struct tg_rbac_networks *out)
{
	const struct raw_item *s = l->items;
	struct tg_ip_prefix *v = keep(c, l->n, sizeof(*v));

	out->n = l->n;
	out->v = v;
	for (uint32_t i = 0; i < l->n && v; i++)
		v[i] = s[i].prefix;
	return v != NULL;
}

static bool policy(struct cfg *c, const struct raw_policy *raw, struct tg_rbac_policy *out)
{
	out->name = raw->name;
	out->n_headers = raw->headers.n;
	out->headers = cfg_compile_headers(c, &raw->headers);
	return out->headers && strings(c, &raw->principals, &out->principals) &&
	       strings(c, &raw->not_principals, &out->not_principals) &&
	       strings(c, &raw->paths, &out->paths) &&
	       strings(c, &raw->not_paths, &out->not_paths) &&
	       strings(c, &raw->methods, &out->methods) &&
	       strings(c, &raw->not_methods, &out->not_methods) &&
	       networks(c, &raw->source_ips, &out->source_ips) &&
	       networks(c, &raw->not_source_ips, &out->not_source_ips);
}

static bool rules(
	struct cfg *c, const struct raw_list *l, uint32_t action, struct tg_rbac_rules *out)
{
	const struct raw_policy *raw = l->items;
	struct tg_rbac_policy *p = keep(c, l->n, sizeof(*p));

	*out = (struct tg_rbac_rules){
		.given = l->at, .action = (enum tg_rbac_action)action, .n = l->n, .policies = p};
	for (uint32_t i = 0; i < l->n && p; i++)
		if (!policy(c, &raw[i], &p[i]))
			return false;
	return p != NULL;
}

static const void *input(struct cfg *c, const struct raw_filter_head *raw)
{
	const struct raw_rbac *r = (const struct raw_rbac *)raw;
	struct tg_rbac_in *in = keep(c, 0, sizeof(*in));

	if (!in || !rules(c, &r->policies, r->action, &in->rules) ||
		!rules(c, &r->shadow_policies, r->shadow_action, &in->shadow))
		return NULL;
	return in;
}

const struct cfg_filter_kind cfg_filter_rbac = {
	&rbac_group, &tg_rbac_http, &tg_rbac_tcp, check, input};
