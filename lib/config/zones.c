/* Where endpoints and this process are, and which zone gets what. */
#include <stdlib.h>
#include <string.h>

#include "keys.h"

static const struct cfg_key locality_keys[] = {
	KEY(raw_locality, region, "region", .type = CFG_STRING, .dflt = "", .example = "\"eu-1\"",
		.doc = "the largest part"),
	KEY(raw_locality, zone, "zone", .type = CFG_STRING, .dflt = "", .example = "\"eu-1a\"",
		.doc = "a part of the region"),
	KEY(raw_locality, sub_zone, "sub_zone", .type = CFG_STRING, .dflt = "",
		.example = "\"rack-7\"", .doc = "a part of the zone"),
	END};
static const struct cfg_refused refused_locality[] = {{NULL}};
const struct cfg_group cfg_locality = {
	"locality", sizeof(struct raw_locality), locality_keys, refused_locality};

static const struct cfg_key node_keys[] = {
	KEY(raw_node, locality, "locality", .type = CFG_GROUP, .group = &cfg_locality,
		.example = "{ zone = \"eu-1a\"; }", .doc = "where this process is"),
	END};
static const struct cfg_refused refused_node[] = {{"id"}, {"cluster"}, {"metadata"}, {NULL}};
const struct cfg_group cfg_node = {"node", sizeof(struct raw_node), node_keys, refused_node};

static const struct cfg_key manager_keys[] = {
	KEY(raw_cluster_manager, local, "local_cluster_name", .type = CFG_NAME,
		.example = "\"gateways\"",
		.doc = "the cluster whose endpoints are all processes like this one: their zones "
		       "decide how much of its requests each sends to its own"),
	END};
static const struct cfg_refused refused_manager[] = {{"outlier_detection"},
	{"upstream_bind_config"}, {"load_stats_config"}, {"enable_deferred_cluster_creation"},
	{NULL}};
const struct cfg_group cfg_cluster_manager = {
	"cluster_manager", sizeof(struct raw_cluster_manager), manager_keys, refused_manager};

static const struct cfg_key local_zone_keys[] = {
	KEY(raw_local_zone, min_size, "min_size", .type = CFG_U32, .min = 1, .max = 65536,
		.dflt = "1", .example = "2",
		.doc = "as long as so many healthy endpoints of priority 0 are near"),
	END};
static const struct cfg_refused refused_local_zone[] = {{"enabled"}, {NULL}};
static const struct cfg_group cfg_local_zone = {
	"force_local_zone", sizeof(struct raw_local_zone), local_zone_keys, refused_local_zone};

static const struct cfg_key zone_aware_keys[] = {
	KEY(raw_zone_aware, local, "force_local_zone", .type = CFG_GROUP, .group = &cfg_local_zone,
		.example = "{ min_size = 1; }",
		.doc = "endpoints in the node's own locality get all that priority 0 gets"),
	KEY(raw_zone_aware, min_cluster_size, "min_cluster_size", .type = CFG_U32, .max = 65536,
		.dflt = "6", .example = "6",
		.doc = "not where fewer endpoints of priority 0 are healthy"),
	KEY(raw_zone_aware, routing_enabled, "routing_enabled", .type = CFG_PERCENT, .dflt = "100",
		.example = "100",
		.doc = "of the requests, where there is a local cluster; 0: no preference"),
	KEY(raw_zone_aware, fail_on_panic, "fail_traffic_on_panic", .type = CFG_BOOL,
		.dflt = "false", .example = "true",
		.doc = "in panic requests are answered 503 (UH), not sent to all endpoints"),
	END};

static const struct cfg_refused refused_zone_aware[] = {
	{"force_locality_direct_routing", "force_local_zone"}, {NULL}};
const struct cfg_group cfg_zone_aware = {
	"zone_aware_lb_config", sizeof(struct raw_zone_aware), zone_aware_keys, refused_zone_aware};

static const struct cfg_key locality_weighted_keys[] = {END};
static const struct cfg_refused refused_locality_weighted[] = {{NULL}};
const struct cfg_group cfg_locality_weighted = {"locality_weighted_lb_config",
	sizeof(struct raw_locality_weighted), locality_weighted_keys, refused_locality_weighted};

static const struct cfg_key zone_weight_keys[] = {
	KEY(raw_zone_weight, locality, "locality", .type = CFG_GROUP, .flags = CFG_TOLD,
		.group = &cfg_locality, .example = "{ zone = \"eu-1a\"; }",
		.doc = "as its endpoints have it"),
	KEY(raw_zone_weight, priority, "priority", .type = CFG_U32, .max = TG_LB_LEVELS_MAX - 1,
		.dflt = "0", .example = "0", .doc = "of the endpoints"),
	KEY(raw_zone_weight, weight, "load_balancing_weight", .type = CFG_U32,
		.flags = CFG_REQUIRED, .max = 1000000, .example = "80",
		.doc = "its share of the priority's requests; 0: none"),
	END};
static const struct cfg_refused refused_zone_weight[] = {
	{"lb_endpoints", NULL, "the cluster's own endpoints say where they are by their locality"},
	{"proximity"}, {"metadata"}, {NULL}};
const struct cfg_group cfg_zone_weight = {
	"locality", sizeof(struct raw_zone_weight), zone_weight_keys, refused_zone_weight};

/* --- numbers of localities ------------------------------------------------------------------- */

/* NULL: it could not be read, which has been said. */
static const char *text_of(const char *s)
{
	return s ? s : "";
}

static bool same(const struct raw_locality *a, const struct raw_locality *b)
{
	return strcmp(text_of(a->region), text_of(b->region)) == 0 &&
	       strcmp(text_of(a->zone), text_of(b->zone)) == 0 &&
	       strcmp(text_of(a->sub_zone), text_of(b->sub_zone)) == 0;
}

static bool is_somewhere(const struct raw_locality *l)
{
	return *text_of(l->region) || *text_of(l->zone) || *text_of(l->sub_zone);
}

void cfg_zones_begin(struct cfg_zones *z, const struct raw_locality *own)
{
	z->all[0] = own; /* nobody is there, if it says nothing */
	z->n = 1;
	z->last = 0;
	z->too_many = false;
}

static bool is(const struct cfg_zones *z, uint32_t i, const struct raw_locality *l)
{
	return same(z->all[i], l) && (i || is_somewhere(l));
}

uint32_t cfg_zone_number(struct cfg_zones *z, const struct raw_locality *l)
{
	if (is(z, z->last, l)) /* they mostly stand together */
		return z->last;
	for (z->last = 0; z->last < z->n && !is(z, z->last, l);)
		z->last++;
	if (z->last == TG_LOCALITIES_MAX) {
		z->too_many = true;
		return z->last = 0;
	}
	z->all[z->last] = l;
	z->n += z->last == z->n;
	return z->last;
}

/* "eu-1/eu-1a", in quotes. */
static const char *name_of(struct cfg *c, const struct raw_locality *l)
{
	const char *parts[] = {text_of(l->region), text_of(l->zone), text_of(l->sub_zone)};
	const char *name = "";

	for (size_t i = 0; i < TG_ARRAY_LEN(parts) && name; i++)
		if (*parts[i])
			name = cfg_printf(&c->tmp, "%s%s%s", name, *name ? "/" : "", parts[i]);
	return !name || !*name ? "an unnamed locality" : cfg_printf(&c->tmp, "\"%s\"", name);
}

/* --- weights of localities: [priority][locality], 1 more than what stands there -------------- */

static uint32_t *weights_of(struct cfg_zones *z, const struct raw_cluster *raw)
{
	uint32_t *w = calloc(TG_LB_LEVELS_MAX * TG_LOCALITIES_MAX, sizeof(*w));
	const struct raw_zone_weight *l = raw->localities.items;

	for (uint32_t i = 0; w && i < raw->localities.n; i++)
		if (l[i].priority < TG_LB_LEVELS_MAX)
			w[l[i].priority * TG_LOCALITIES_MAX + cfg_zone_number(z, &l[i].locality)] =
				l[i].weight + 1;
	return w;
}

static uint32_t *weight_of(struct cfg_zones *z, uint32_t *w, const struct raw_endpoint *e)
{
	uint32_t p = e->c.priority < TG_LB_LEVELS_MAX ? e->c.priority : 0;

	return &w[p * TG_LOCALITIES_MAX + cfg_zone_number(z, &e->locality)];
}

/* --- checks ---------------------------------------------------------------------------------- */

static const char *who_of(struct cfg *c, const struct raw_cluster *raw)
{
	return cfg_who(c, raw->h.at, &cfg_clusters);
}

static void check_localities(struct cfg *c, struct cfg_zones *z, const struct raw_cluster *raw)
{
	const struct raw_zone_weight *l = raw->localities.items;
	const struct raw_endpoint *e = raw->endpoints.items;
	uint32_t *w = weights_of(z, raw);

	c->no_memory |= !w;
	for (uint32_t i = 0; w && i < raw->endpoints.n && raw->localities.whole; i++) {
		uint32_t *weight = weight_of(z, w, &e[i]);

		if (!*weight)
			cfg_error(c, cfg_line_of(e[i].h.at),
				"%s: endpoints of priority %u in %s would get no request: "
				"\"localities\" has no \"load_balancing_weight\" for them",
				who_of(c, raw), e[i].c.priority, name_of(c, &e[i].locality));
		*weight = UINT32_MAX; /* somebody is there; said once */
	}
	for (uint32_t i = 0; w && i < raw->localities.n && raw->endpoints.whole; i++) {
		uint32_t *weight = &w[l[i].priority % TG_LB_LEVELS_MAX * TG_LOCALITIES_MAX +
				      cfg_zone_number(z, &l[i].locality)];

		if (*weight != UINT32_MAX)
			cfg_error(c, cfg_line_of(l[i].h.at),
				"%s: \"localities\": %s at priority %u %s", who_of(c, raw),
				name_of(c, &l[i].locality), l[i].priority,
				*weight ? "has no endpoint" : "stands twice");
		*weight = 0;
	}
	free(w);
}

static void check_cluster(
	struct cfg *c, struct cfg_zones *z, const struct raw_cluster *raw, bool local)
{
	const struct raw_common_lb *lb = &raw->common;
	bool enabled = cfg_given(&cfg_zone_aware, &lb->zone.h, "routing_enabled");
	bool hashes = raw->lb_policy == CFG_LB_RING_HASH || raw->lb_policy == CFG_LB_MAGLEV;

	if (enabled && (!local || hashes))
		cfg_error(c, cfg_key_line(&lb->zone.h, "routing_enabled"),
			hashes ? "%s: zone_aware_lb_config: \"routing_enabled\" is not for "
				 "lb_policy = \"ring_hash\" and \"maglev\""
			       : "%s: zone_aware_lb_config: \"routing_enabled\" wants to know "
				 "the cluster that this process is one of: cluster_manager: { "
				 "local_cluster_name = \"gateways\"; };",
			who_of(c, raw));
	if (lb->weighted.h.at && lb->zone.h.at)
		cfg_error(c, cfg_line_of(lb->weighted.h.at),
			"%s: give one of \"zone_aware_lb_config\" and "
			"\"locality_weighted_lb_config\", not both",
			who_of(c, raw));
	if (raw->localities.at && !lb->weighted.h.at)
		cfg_error(c, cfg_line_of(raw->localities.at),
			"%s: \"localities\" wants common_lb_config: { "
			"locality_weighted_lb_config: { }; };",
			who_of(c, raw));
	else if (lb->weighted.h.at)
		check_localities(c, z, raw);
}

static void check_local(struct cfg *c, const struct raw_config *raw, const struct cfg_index *names)
{
	const struct raw_cluster_manager *m = &raw->manager;
	uint32_t line = m->local ? cfg_key_line(&m->h, "local_cluster_name") : 0, at;
	const struct raw_cluster *local;
	const struct raw_endpoint *e;

	if (!m->local)
		return;
	at = cfg_index_refer(c, names, m->local, line, "cluster_manager", "cluster");
	if (!is_somewhere(&raw->node.locality))
		cfg_error(c, line,
			"cluster_manager: \"local_cluster_name\" wants to know where this process "
			"is: node: { locality: { zone = \"eu-1a\"; }; };");
	if (at == UINT32_MAX)
		return;
	local = &cfg_items(&raw->clusters, raw_cluster)[at];
	e = local->endpoints.items;
	for (uint32_t i = 0; i < local->endpoints.n; i++)
		if (e[i].c.priority) {
			cfg_error(c, cfg_key_line(&e[i].h, "priority"),
				"%s: the local cluster's endpoints have no \"priority\": all of "
				"them "
				"send requests",
				who_of(c, local));
			break;
		}
}

void cfg_check_zones(struct cfg *c, const struct raw_config *raw, const struct cfg_index *clusters)
{
	const struct raw_cluster *list = raw->clusters.items;
	struct cfg_zones z;

	cfg_zones_begin(&z, &raw->node.locality);
	check_local(c, raw, clusters);
	for (uint32_t i = 0; i < raw->clusters.n; i++) {
		const struct raw_endpoint *e = list[i].endpoints.items;

		for (uint32_t k = 0; k < list[i].endpoints.n; k++) {
			cfg_zone_number(&z, &e[k].locality);
			if (!z.too_many)
				continue;
			cfg_error(c, cfg_line_of(e[k].h.at),
				"at most %d localities are possible in all clusters",
				TG_LOCALITIES_MAX - 1);
			return;
		}
	}
	for (uint32_t i = 0; i < raw->clusters.n; i++)
		check_cluster(c, &z, &list[i], raw->manager.local != NULL);
}

/* --- compiled -------------------------------------------------------------------------------- */

bool cfg_compile_weights(
	struct cfg *c, struct cfg_zones *z, const struct raw_cluster *raw, uint32_t *out)
{
	const struct raw_endpoint *e = raw->endpoints.items;
	uint32_t *w = raw->common.weighted.h.at ? weights_of(z, raw) : NULL;

	if (raw->common.weighted.h.at && !w) {
		c->no_memory = true;
		return false;
	}
	for (uint32_t i = 0; w && i < raw->endpoints.n; i++)
		out[i] = *weight_of(z, w, &e[i]) - 1;
	free(w);
	return true;
}

void cfg_compile_zones(
	const struct raw_cluster *raw, const struct tg_cluster *local, struct tg_cluster *out)
{
	const struct raw_zone_aware *zone = &raw->common.zone;
	bool hashes = raw->lb_policy == CFG_LB_RING_HASH || raw->lb_policy == CFG_LB_MAGLEV;

	out->fail_on_panic = zone->fail_on_panic;
	out->zone_min = zone->min_cluster_size;
	out->near_least = zone->local.h.at ? zone->local.min_size : 0;
	out->zone_weighted = raw->common.weighted.h.at != NULL;
	out->zone_percent = (zone->routing_enabled + 5000) / 10000;
	if (out->zone_percent && !hashes && !out->zone_weighted)
		out->local = local;
}

bool cfg_keep_zones(struct cfg *c, const struct cfg_zones *z, struct tg_snapshot *s)
{
	struct tg_locality *l = cfg_need(c, c->keep, z->n * sizeof(*l));

	for (uint32_t i = 0; l && i < z->n; i++)
		l[i] = (struct tg_locality){
			z->all[i]->region, z->all[i]->zone, z->all[i]->sub_zone};
	s->localities = l;
	s->n_localities = z->n;
	return l;
}
