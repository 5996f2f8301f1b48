/* What routes do with requests: `route`, `redirect` and `direct_response`. */
#include <string.h>

#include "keys.h"

static const struct cfg_key weighted_keys[] = {
	KEY(raw_weighted, cluster, "cluster", .type = CFG_NAME, .flags = CFG_REQUIRED,
		.example = "\"v1\"", .doc = "one of the clusters"),
	KEY(raw_weighted, weight, "weight", .type = CFG_U32, .flags = CFG_REQUIRED, .max = 1000000,
		.example = "90", .doc = "its share of the sum of all weights; 0: none"),
	EDIT_KEYS(raw_weighted), END};

static const struct cfg_key weighted_tcp_keys[] = {
	KEY(raw_weighted, cluster, "cluster", .type = CFG_NAME, .flags = CFG_REQUIRED,
		.example = "\"db\"", .doc = "one of the clusters"),
	KEY(raw_weighted, weight, "weight", .type = CFG_U32, .flags = CFG_REQUIRED, .max = 1000000,
		.example = "90", .doc = "its share of the sum of all weights; 0: none"),
	END};

static const struct cfg_key rewrite_keys[] = {
	KEY(raw_rewrite, pattern, "pattern", .type = CFG_REGEX, .flags = CFG_REQUIRED,
		.example = "\"^/service/([^/]+)(/.*)$\"",
		.doc = "what is looked for in the path, without query; every match is replaced"),
	KEY(raw_rewrite, substitution, "substitution", .type = CFG_STRING, .flags = CFG_REQUIRED,
		.example = "\"\\\\2/instance/\\\\1\"",
		.doc = "by what: \\\\1 is the first group, \\\\0 all of the match"),
	END};

static const struct cfg_key redirect_keys[] = {
	KEY(raw_redirect, https, "https_redirect", .type = CFG_BOOL, .dflt = "false",
		.example = "true", .doc = "to https"),
	KEY(raw_redirect, scheme, "scheme_redirect", .type = CFG_NAME, .max = 32,
		.example = "\"https\"", .doc = "to this scheme"),
	KEY(raw_redirect, host, "host_redirect", .type = CFG_NAME, .max = 260,
		.example = "\"www.shop.example\"", .doc = "to this host"),
	KEY(raw_redirect, port, "port_redirect", .type = CFG_U32, .min = 1, .max = 65535,
		.example = "8443", .doc = "to this port"),
	KEY(raw_redirect, path, "path_redirect", .type = CFG_STRING, .example = "\"/moved\"",
		.doc = "to this path; if it has a query, the request's is not kept"),
	KEY(raw_redirect, prefix, "prefix_rewrite", .type = CFG_STRING, .example = "\"/v2\"",
		.doc = "this in the place of what the route matched"),
	KEY(raw_redirect, regex, "regex_rewrite", .type = CFG_GROUP, .group = &cfg_regex_rewrite,
		.example = "{ pattern = \"^/a\"; substitution = \"/b\"; }",
		.doc = "the path with every match replaced"),
	KEY(raw_redirect, status, "response_code", .type = CFG_U32, .min = 301, .max = 308,
		.dflt = "301", .example = "302", .doc = "301, 302, 303, 307 or 308"),
	KEY(raw_redirect, strip_query, "strip_query", .type = CFG_BOOL, .dflt = "false",
		.example = "true", .doc = "the request's query is not kept"),
	END};

static const struct cfg_key direct_keys[] = {
	KEY(raw_direct, status, "status", .type = CFG_U32, .flags = CFG_REQUIRED, .min = 200,
		.max = 599, .example = "403", .doc = "of the answer"),
	KEY(raw_direct, body, "body", .type = CFG_STRING, .example = "\"closed\\n\"",
		.doc = "its content, text/plain, at most 4096 bytes"),
	END};

static const struct cfg_key mirror_keys[] = {
	KEY(raw_mirror, cluster, "cluster", .type = CFG_NAME, .flags = CFG_REQUIRED,
		.example = "\"v2\"", .doc = "where a copy goes; its answer is dropped"),
	KEY(raw_mirror, fraction, "runtime_fraction", .type = CFG_GROUP,
		.group = &cfg_runtime_fraction,
		.example = "{ default_value: { numerator = 10; }; }",
		.doc = "of how many requests; without it, of all"),
	END};

static const struct cfg_refused refused_weighted[] = {{"name", "cluster"},
	{"cluster_header", "cluster"}, {"metadata_match"}, {"host_rewrite_literal"},
	{"typed_per_filter_config"}, {NULL}};
static const struct cfg_refused refused_weighted_tcp[] = {
	{"name", "cluster"}, {"metadata_match"}, {NULL}};
static const struct cfg_refused refused_redirect[] = {{NULL}};
static const struct cfg_refused refused_direct[] = {
	{"inline_string", "body"}, {"body_format"}, {NULL}};
static const struct cfg_refused refused_mirror[] = {{"cluster_header", "cluster"},
	{"trace_sampled"}, {"disable_shadow_host_suffix_append"}, {"runtime_key"}, {NULL}};
static const struct cfg_refused refused_none[] = {{NULL}};

const struct cfg_group cfg_weighted = {
	"weighted cluster", sizeof(struct raw_weighted), weighted_keys, refused_weighted};
const struct cfg_group cfg_weighted_tcp = {
	"weighted cluster", sizeof(struct raw_weighted), weighted_tcp_keys, refused_weighted_tcp};
const struct cfg_group cfg_regex_rewrite = {
	"regex_rewrite", sizeof(struct raw_rewrite), rewrite_keys, refused_none};
const struct cfg_group cfg_redirect = {
	"redirect", sizeof(struct raw_redirect), redirect_keys, refused_redirect};
const struct cfg_group cfg_direct = {
	"direct_response", sizeof(struct raw_direct), direct_keys, refused_direct};
const struct cfg_group cfg_mirror = {
	"request_mirror_policy", sizeof(struct raw_mirror), mirror_keys, refused_mirror};

/* --- checks ------------------------------------------------------------------------------------
 */

struct check {
	struct cfg *c;
	const char *who; /* the route */
	const struct cfg_index *clusters;
};

static void refer(struct check *k, const struct raw_head *h, const char *cluster)
{
	if (cluster)
		cfg_index_refer(
			k->c, k->clusters, cluster, cfg_key_line(h, "cluster"), k->who, "cluster");
}

static void check_rewrite(struct check *k, const struct raw_rewrite *w, const char *key)
{
	const struct tg_regex *re;
	struct tg_errbuf e;

	if (!w->pattern)
		return;
	re = cfg_regex(
		k->c, w->pattern, TG_REGEX_SEARCH, k->who, key, cfg_key_line(&w->h, "pattern"));
	if (re && w->substitution && tg_regex_check_substitution(re, w->substitution, &e))
		cfg_error(k->c, cfg_key_line(&w->h, "substitution"), "%s: %s: \"substitution\": %s",
			k->who, key, e.text);
}

/* A part of a URI: what would end up in a head or a Location field. */
static bool is_uri_text(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s == 0x7f || strchr("\"<>\\^`{|}", *s))
			return false;
	return true;
}

static void check_path_text(
	struct check *k, const struct raw_head *h, const char *key, const char *s, bool query)
{
	if (!s)
		return;
	if (s[0] != '/' || !is_uri_text(s) || strchr(s, '#') || (!query && strchr(s, '?')))
		cfg_error(k->c, cfg_key_line(h, key),
			"%s: \"%s\" is \"%s\" and has to be a path: it begins with \"/\"%s", k->who,
			key, s, query ? "" : " and has no query");
}

/* Their sum. */
static uint64_t check_weights(struct check *k, const struct raw_list *l)
{
	const struct raw_weighted *w = l->items;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		refer(k, &w[i].h, w[i].cluster);
		cfg_check_edits(k->c, &w[i].request, &w[i].response, k->who);
		sum += w[i].weight;
	}
	if (l->n && l->whole && !sum)
		cfg_error(k->c, cfg_line_of(l->at), "%s: weighted_clusters: the weights are all 0",
			k->who);
	if (sum > UINT32_MAX)
		cfg_error(k->c, cfg_line_of(l->at),
			"%s: weighted_clusters: the sum of weights is too large", k->who);
	return sum;
}

void cfg_check_tcp_route(
	struct cfg *c, const struct raw_listener *l, const struct cfg_index *clusters)
{
	struct check k = {.c = c, .who = cfg_who(c, l->h.at, &cfg_listeners), .clusters = clusters};

	refer(&k, &l->h, l->cluster);
	check_weights(&k, &l->weighted);
	if (l->cluster && l->weighted.at)
		cfg_error(c, cfg_line_of(l->h.at),
			"%s: give only one of \"cluster\", \"weighted_clusters\"", k.who);
	cfg_check_hash(c, &l->hash, k.who);
}

static void check_weighted(struct check *k, const struct raw_action *a)
{
	uint64_t sum = check_weights(k, &a->weighted);

	if (!cfg_given(&cfg_action, &a->h, "total_weight"))
		return;
	if (!a->weighted.at || sum != a->total_weight)
		cfg_error(k->c, cfg_key_line(&a->h, "total_weight"),
			"%s: \"total_weight\" is %u and has to be the sum of the weights, %u",
			k->who, a->total_weight, (uint32_t)sum);
}

static void check_mirrors(struct check *k, const struct raw_list *l)
{
	const struct raw_mirror *m = l->items;

	for (uint32_t i = 0; i < l->n; i++)
		refer(k, &m[i].h, m[i].cluster);
	if (l->n > TG_MIRRORS_MAX)
		cfg_error(k->c, cfg_line_of(l->at),
			"%s: at most %d request_mirror_policies are possible, here are %u", k->who,
			TG_MIRRORS_MAX, l->n);
}

void cfg_check_mirrors(
	struct cfg *c, const struct raw_list *l, const struct cfg_index *clusters, const char *who)
{
	struct check k = {.c = c, .who = who, .clusters = clusters};

	check_mirrors(&k, l);
}

static void check_host(struct check *k, const struct raw_head *h, const char *key, const char *s)
{
	if (s && !tg_is_authority(tg_view_str(s)))
		cfg_error(k->c, cfg_key_line(h, key), "%s: \"%s\" is \"%s\", which is no host",
			k->who, key, s);
}

static void check_name(struct check *k, const struct raw_head *h, const char *key, const char *s)
{
	if (s && !cfg_is_token(s))
		cfg_error(k->c, cfg_key_line(h, key),
			"%s: \"%s\" is \"%s\", which is no field name", k->who, key, s);
}

/* How many of the keys stand there. */
static uint32_t given(const struct cfg_group *g, const struct raw_head *h, const char *const *keys)
{
	uint32_t n = 0;

	for (; *keys; keys++)
		n += cfg_given(g, h, *keys);
	return n;
}

static void at_most_one(struct check *k, const struct cfg_group *g, const struct raw_head *h,
	const char *const *keys)
{
	const char *list = "";

	if (given(g, h, keys) <= 1)
		return;
	for (; *keys; keys++)
		list = cfg_printf(&k->c->tmp, "%s%s\"%s\"", list, *list ? ", " : "", *keys);
	cfg_error(k->c, cfg_line_of(h->at), "%s: give only one of %s", k->who, list ? list : "");
}

static const char *const where[] = {"cluster", "cluster_header", "weighted_clusters", NULL};
static const char *const path_keys[] = {"prefix_rewrite", "regex_rewrite", NULL};
static const char *const host_keys[] = {
	"host_rewrite_literal", "host_rewrite_header", "host_rewrite_path_regex", NULL};

static void check_forward(struct check *k, const struct raw_action *a)
{
	if (!given(&cfg_action, &a->h, where) && !a->h.meant)
		cfg_error(k->c, cfg_line_of(a->h.at),
			"%s: route: give one of \"cluster\", \"cluster_header\" and "
			"\"weighted_clusters\"",
			k->who);
	at_most_one(k, &cfg_action, &a->h, where);
	at_most_one(k, &cfg_action, &a->h, path_keys);
	at_most_one(k, &cfg_action, &a->h, host_keys);
	refer(k, &a->h, a->cluster);
	check_name(k, &a->h, "cluster_header", a->cluster_header);
	check_weighted(k, a);
	check_mirrors(k, &a->mirrors);
	check_path_text(k, &a->h, "prefix_rewrite", a->prefix, false);
	check_rewrite(k, &a->path, "regex_rewrite");
	check_host(k, &a->h, "host_rewrite_literal", a->host);
	check_name(k, &a->h, "host_rewrite_header", a->host_field);
	check_rewrite(k, &a->host_path, "host_rewrite_path_regex");
	if (a->append_x_forwarded_host && !given(&cfg_action, &a->h, host_keys))
		cfg_error(k->c, cfg_key_line(&a->h, "append_x_forwarded_host"),
			"%s: \"append_x_forwarded_host\" is for routes that rewrite the host",
			k->who);
}

static void check_redirect(struct check *k, const struct raw_redirect *r)
{
	static const char *const schemes[] = {"https_redirect", "scheme_redirect", NULL};
	static const char *const paths[] = {
		"path_redirect", "prefix_rewrite", "regex_rewrite", NULL};
	uint32_t s = r->status;

	at_most_one(k, &cfg_redirect, &r->h, schemes);
	at_most_one(k, &cfg_redirect, &r->h, paths);
	if (s > 303 && s != 307 && s != 308)
		cfg_error(k->c, cfg_key_line(&r->h, "response_code"),
			"%s: redirect: \"response_code\" is %u and has to be 301, 302, 303, 307 or "
			"308",
			k->who, s);
	if (r->scheme && (!is_uri_text(r->scheme) || strpbrk(r->scheme, ":/?#")))
		cfg_error(k->c, cfg_key_line(&r->h, "scheme_redirect"),
			"%s: redirect: \"%s\" is no scheme", k->who, r->scheme);
	check_host(k, &r->h, "host_redirect", r->host);
	check_path_text(k, &r->h, "path_redirect", r->path, true);
	check_path_text(k, &r->h, "prefix_rewrite", r->prefix, false);
	check_rewrite(k, &r->regex, "regex_rewrite");
}

static void check_direct(struct check *k, const struct raw_direct *d)
{
	uint32_t line = cfg_key_line(&d->h, "body");

	if (!d->body || !*d->body)
		return;
	if (strlen(d->body) > TG_DIRECT_BODY_MAX)
		cfg_error(k->c, line, "%s: direct_response: \"body\" is longer than %d bytes",
			k->who, TG_DIRECT_BODY_MAX);
	if (d->status == 204 || d->status == 304)
		cfg_error(k->c, line, "%s: direct_response: %u has no content, so no \"body\"",
			k->who, d->status);
}

void cfg_check_action(struct cfg *c, const struct raw_route *r, const struct cfg_index *clusters)
{
	static const char *const actions[] = {"route", "redirect", "direct_response", NULL};
	struct check k = {c, cfg_who(c, r->h.at, &cfg_route), clusters};

	if (!given(&cfg_route, &r->h, actions) && !r->h.meant)
		cfg_error(c, cfg_line_of(r->h.at),
			"%s: \"route\" is missing: route = { cluster = \"v1\"; }; or \"redirect\" "
			"or "
			"\"direct_response\"",
			k.who);
	at_most_one(&k, &cfg_route, &r->h, actions);
	if (r->action.h.at)
		check_forward(&k, &r->action);
	if (r->redirect.h.at)
		check_redirect(&k, &r->redirect);
	if (r->direct.h.at)
		check_direct(&k, &r->direct);
	cfg_check_edits(c, &r->request, &r->response, k.who);
}

/* --- into the snapshot -------------------------------------------------------------------------
 */

static struct tg_view text(const char *s)
{
	return s ? tg_view_str(s) : TG_VIEW_NONE;
}

static struct tg_rewrite rewrite(struct cfg *c, const struct raw_rewrite *raw)
{
	struct tg_rewrite w = {NULL, text(raw->substitution)};

	if (raw->h.at)
		w.regex = cfg_regex(c, raw->pattern, TG_REGEX_SEARCH, "", "", 0);
	return w;
}

struct compile {
	struct cfg *c;
	const struct cfg_index *index;
	const struct tg_cluster *clusters;
};

static const struct tg_cluster *cluster(const struct compile *k, const char *name)
{
	return &k->clusters[cfg_index_find(k->index, name)];
}

static const struct tg_weighted *weighted(const struct compile *k, const struct raw_list *l)
{
	const struct raw_weighted *raw = l->items;
	struct tg_weighted *w = cfg_need(k->c, k->c->keep, l->n * sizeof(*w));
	uint32_t upto = 0;

	for (uint32_t i = 0; i < l->n && w; i++) {
		upto += raw[i].weight;
		w[i] = (struct tg_weighted){cluster(k, raw[i].cluster), upto,
			cfg_compile_edits(k->c, &raw[i].request),
			cfg_compile_edits(k->c, &raw[i].response)};
	}
	return w;
}

bool cfg_compile_tcp_route(struct cfg *c, const struct raw_listener *raw,
	const struct cfg_index *index, const struct tg_cluster *clusters,
	struct tg_listener_conf *l)
{
	struct compile k = {c, index, clusters};

	l->hash_source_ip = raw->hash.n;
	if (raw->cluster) {
		l->cluster = cluster(&k, raw->cluster);
		return true;
	}
	l->n_weighted = raw->weighted.n;
	l->weighted = weighted(&k, &raw->weighted);
	return l->weighted;
}

static bool compile_weighted(
	const struct compile *k, const struct raw_list *l, struct tg_route_action *a)
{
	a->kind = TG_ACTION_WEIGHTED;
	a->n_weighted = l->n;
	a->weighted = weighted(k, l);
	return a->weighted;
}

static bool compile_mirrors(
	const struct compile *k, const struct raw_list *l, struct tg_route_action *a)
{
	const struct raw_mirror *raw = l->items;
	struct tg_mirror *m = cfg_need(k->c, k->c->keep, (l->n + (size_t)1) * sizeof(*m));

	for (uint32_t i = 0; i < l->n && m; i++)
		m[i] = (struct tg_mirror){
			cluster(k, raw[i].cluster), cfg_fraction_of(&raw[i].fraction)};
	a->n_mirrors = l->n;
	a->mirrors = m;
	return m != NULL;
}

static bool compile_forward(const struct compile *k, const struct raw_action *raw,
	const struct raw_list *mirrors, struct tg_route_action *a)
{
	a->kind = TG_ACTION_CLUSTER;
	a->status = (uint16_t)raw->not_found;
	if (raw->cluster_header) {
		a->kind = TG_ACTION_FIELD;
		a->cluster_header = text(raw->cluster_header);
	}
	if (raw->weighted.n && !compile_weighted(k, &raw->weighted, a))
		return false;
	a->prefix = text(raw->prefix);
	a->path = rewrite(k->c, &raw->path);
	a->host = text(raw->host);
	a->host_field = text(raw->host_field);
	a->host_path = rewrite(k->c, &raw->host_path);
	a->append_x_forwarded_host = raw->append_x_forwarded_host;
	return compile_mirrors(k, mirrors, a);
}

static void compile_redirect(
	struct cfg *c, const struct raw_redirect *raw, struct tg_route_action *a)
{
	a->kind = TG_ACTION_REDIRECT;
	a->status = (uint16_t)raw->status;
	a->redirect = (struct tg_redirect){raw->https ? TG_VIEW("https") : text(raw->scheme),
		text(raw->host), text(raw->path), (uint16_t)raw->port, raw->strip_query};
	a->prefix = text(raw->prefix);
	a->path = rewrite(c, &raw->regex);
}

/* A cluster, and nothing else. */
static bool is_plain(const struct raw_route *r, const struct raw_list *mirrors)
{
	const struct raw_action *a = &r->action;

	return a->cluster && !a->prefix && !a->path.h.at && !a->host && !a->host_field &&
	       !a->host_path.h.at && !mirrors->n && !r->request.add.n && !r->request.remove.n &&
	       !r->response.add.n && !r->response.remove.n;
}

bool cfg_compile_action(struct cfg *c, const struct raw_vhost *v, const struct raw_route *raw,
	const struct cfg_index *index, const struct tg_cluster *clusters, struct tg_route *r)
{
	/* The virtual host's are for routes that have none. */
	const struct raw_list *mirrors = raw->action.mirrors.n ? &raw->action.mirrors : &v->mirrors;
	struct compile k = {c, index, clusters};
	struct tg_route_action *a;

	if (raw->action.cluster)
		r->cluster = cluster(&k, raw->action.cluster);
	if (is_plain(raw, mirrors))
		return true;
	a = cfg_need(c, c->keep, sizeof(*a));
	if (!a)
		return false;
	r->action = a;
	a->request = cfg_compile_edits(c, &raw->request);
	a->response = cfg_compile_edits(c, &raw->response);
	if (raw->redirect.h.at) {
		compile_redirect(c, &raw->redirect, a);
	} else if (raw->direct.h.at) {
		a->kind = TG_ACTION_DIRECT;
		a->status = (uint16_t)raw->direct.status;
		a->body = text(raw->direct.body);
	} else if (!compile_forward(&k, &raw->action, mirrors, a)) {
		return false;
	}
	return !c->no_memory;
}
