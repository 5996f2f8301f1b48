/* Clusters of an explanation: the room under their breakers, and which endpoint is next. */
#include <string.h>

#include "explain.h"

#include <tidegate/health.h>

#define SHOWN 32 /* endpoints, unless all are asked for */
#define SHOWN_ALL 4096

static uint64_t used_of(const struct tg_cluster *c, const struct tg_explain_world *w,
	enum tg_priority p, enum tg_resource r)
{
	uint64_t n = 0;

	/* Written by their workers meanwhile: each is right, a moment ago. */
	for (uint32_t i = 0; i < w->n_workers && c->stats; i++)
		n += __atomic_load_n(&c->stats[i].breaker[p][r].used, __ATOMIC_RELAXED);
	return n;
}

static uint64_t limit_of(const struct tg_thresholds *t, enum tg_resource r, uint64_t going_on)
{
	uint64_t limit;

	if (r != TG_RES_RETRY || !t->has_budget)
		return t->max[r];
	limit = going_on * t->budget_percent / 100;
	return limit < t->min_retry_concurrency ? t->min_retry_concurrency : limit;
}

static json_t *breakers(
	const struct tg_cluster *c, const struct tg_explain_world *w, enum tg_priority p)
{
	static const char *const names[] = {[TG_RES_CX] = "max_connections",
		[TG_RES_PENDING] = "max_pending_requests",
		[TG_RES_RQ] = "max_requests",
		[TG_RES_RETRY] = "max_retries"};
	uint64_t going_on = used_of(c, w, p, TG_RES_RQ) + used_of(c, w, p, TG_RES_PENDING);
	json_t *list = json_array();

	for (uint32_t r = 0; r < TG_RESOURCES; r++) {
		uint64_t used = used_of(c, w, p, (enum tg_resource)r);
		uint64_t max = limit_of(&c->thresholds[p], (enum tg_resource)r, going_on);

		json_array_append_new(
			list, json_pack("{s:s, s:I, s:I, s:I}", "what", names[r], "max",
				      (json_int_t)max, "used", (json_int_t)used, "left",
				      (json_int_t)(used < max ? max - used : 0)));
	}
	return list;
}

static json_t *endpoint_json(
	const struct tg_cluster *c, const struct tg_endpoint *e, const struct tg_explain_world *w)
{
	struct tg_endpoint_view v, sum = {0};
	char health[TG_HEALTH_TEXT];

	for (uint32_t i = 0; i < w->n_workers; i++) {
		if (!tg_proxy_endpoint(w->proxies[i], c->name, &e->addr, &v))
			continue;
		sum.cx_active += v.cx_active;
		sum.cx_idle += v.cx_idle;
		sum.rq_active += v.rq_active;
	}
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "address", e->text, "health",
		tg_health_text(tg_host_flags(e->host), health), "weight", (json_int_t)e->weight,
		"cx_active", (json_int_t)sum.cx_active, "cx_idle", (json_int_t)sum.cx_idle,
		"rq_active", (json_int_t)sum.rq_active);
}

static json_t *endpoints(const struct tg_cluster *c, const struct tg_explain_world *w, bool all)
{
	uint32_t most = all ? SHOWN_ALL : SHOWN;
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->n_endpoints && i < most; i++)
		json_array_append_new(list, endpoint_json(c, &c->endpoints[i], w));
	return list;
}

/* Endpoints that are chosen from (lb.h). */
static uint32_t usable(const struct tg_cluster *c)
{
	uint32_t good = 0, unknown = 0;

	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		uint32_t flags = tg_host_flags(c->endpoints[i].host);

		good += tg_health_good(flags);
		unknown += tg_health_unknown(flags);
	}
	return good ? good : unknown;
}

/* "eu-1/eu-1a". */
static json_t *locality_text(const struct tg_locality *l)
{
	const char *parts[] = {l->region, l->zone, l->sub_zone};
	char text[256] = "";

	for (size_t i = 0; i < TG_ARRAY_LEN(parts); i++)
		if (parts[i][0])
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				text[0] ? "/" : "", parts[i]);
	return tg_explain_text(tg_view_str(text[0] ? text : "no locality"));
}

static const char *zoning_text(const struct tg_cluster *c, const struct tg_lb_set *set)
{
	static const char *const texts[] = {
		[TG_ZONING_OFF] = "anywhere: not two zones in the cluster and in the local cluster",
		[TG_ZONING_SMALL] = "anywhere: fewer healthy endpoints than min_cluster_size",
		[TG_ZONING_NOT_OK] = "anywhere: of the local cluster nobody is in this zone, or it "
				     "is in panic",
		[TG_ZONING_REFUSED] = "refused: the local cluster is in panic, "
				      "fail_traffic_on_panic",
		[TG_ZONING_DIRECT] = "to the own zone",
		[TG_ZONING_RESIDUAL] = "to the own zone for its part of the endpoints, the rest "
				       "where more is left",
	};

	return set->near          ? "to the own zone: force_local_zone"
	       : c->zone_weighted ? "by load_balancing_weight"
				  : texts[set->zoning];
}

static json_t *shares(
	const struct tg_cluster *c, const struct tg_lb_set *set, const struct tg_explain_world *w)
{
	uint32_t levels = c->n_levels ? c->n_levels : 1;
	json_t *list = json_array();

	for (uint32_t g = 0; g < 2 * levels && !set->all; g++)
		for (uint32_t i = 0; i < set->groups[g].n_zones; i++) {
			const struct tg_lb_zone *z = &set->zones[set->groups[g].zone + i];

			json_array_append_new(list,
				json_pack("{s:o, s:b, s:I, s:b, s:I, s:f}", "locality",
					locality_text(&w->snap->localities[z->locality]), "own",
					z->locality == 0, "priority", (json_int_t)(g % levels),
					"degraded", g >= levels, "n_endpoints", (json_int_t)z->n,
					"share", tg_lb_zone_part(set, &set->groups[g], i)));
		}
	return list;
}

/* Which zone requests go to, by the verdicts of now. NULL: nobody asked for one. *by_zone: it is
 * not one for all. */
static json_t *zones(const struct tg_cluster *c, const struct tg_explain_world *w, bool *by_zone)
{
	struct tg_lb_set set;
	void *memory;
	json_t *j;

	if (!c->health || !(c->local || c->zone_weighted || c->near_least))
		return NULL;
	memory = calloc(1, tg_lb_set_bytes(c) + 1);
	if (!memory)
		return NULL;
	tg_lb_set_init(&set, c, memory);
	*by_zone = !set.all && set.n_zones;
	j = json_pack("{s:s, s:i, s:o}", "how", zoning_text(c, &set), "routing_enabled",
		c->local ? (int)c->zone_percent : 100, "shares", shares(c, &set, w));
	free(memory);
	return j;
}

/* Whether the worker's next choice is known, or by chance. */
static bool is_certain(const struct tg_cluster *c, const struct tg_dry_result *r, bool by_zone)
{
	if (usable(c) < 2)
		return true;
	if (by_zone)
		return false;
	if (!c->lb || c->lb == &tg_lb_ops_round_robin)
		return c->n_levels < 2; /* which priority is by chance */
	return r->has_hash && (c->lb == &tg_lb_ops_ring_hash || c->lb == &tg_lb_ops_maglev);
}

static json_t *choices(const struct tg_cluster *c, const struct tg_dry_result *r,
	const struct tg_explain_world *w, bool certain)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < w->n_workers; i++) {
		const struct tg_endpoint *e =
			certain ? tg_proxy_peek(w->proxies[i], c, r->has_hash, r->hash) : NULL;

		json_array_append_new(
			list, json_pack("{s:I, s:o}", "worker", (json_int_t)i, "endpoint",
				      e ? json_string(e->text) : json_null()));
	}
	return list;
}

json_t *tg_explain_cluster(const struct tg_cluster *c, double share, const struct tg_dry_result *r,
	const struct tg_explain_world *w, bool all)
{
	const char *how;
	bool by_zone = false, certain;
	json_t *j, *z;

	c = tg_cluster_live(c);
	z = zones(c, w, &by_zone);
	certain = is_certain(c, r, by_zone);
	how = !usable(c) ? "no healthy upstream: 503, UH" : certain ? "known" : "by chance";

	j = json_pack("{s:s, s:f, s:s, s:b, s:s, s:I, s:o, s:o, s:o}", "name", c->name, "share",
		share, "lb_policy", c->lb ? c->lb->name : "round_robin", "tls", c->tls != NULL,
		"choice", how, "n_endpoints", (json_int_t)c->n_endpoints, "next",
		choices(c, r, w, certain), "endpoints", endpoints(c, w, all), "circuit_breakers",
		breakers(c, w, r->priority));
	if (j && z)
		json_object_set_new(j, "zones", z);
	else
		json_decref(z);
	return j;
}
