/* /clusters, /listeners, /config_dump: what the snapshot in use says, and how its endpoints fare.
 */
#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "admin_req.h"

static struct tg_endpoint_view endpoint_sum(
	const struct tg_admin_req *q, const struct tg_cluster *c, const struct tg_endpoint *ep)
{
	struct tg_endpoint_view sum = {0}, v;

	for (uint32_t i = 0; i < tg_admin_workers(q); i++) {
		const struct tg_proxy *p = q->app->workers[i].proxy;

		if (!p || !tg_proxy_endpoint(p, c->name, &ep->addr, &v))
			continue;
		sum.cx_active += v.cx_active;
		sum.cx_idle += v.cx_idle;
		sum.rq_active += v.rq_active;
		sum.rq_total += v.rq_total;
		sum.rq_error += v.rq_error;
		sum.cx_connect_fail += v.cx_connect_fail;
		sum.cx_total += v.cx_total;
	}
	return sum;
}

/* Read at different moments, the difference can come out below zero. */
static uint64_t rq_success(const struct tg_endpoint_view *v)
{
	uint64_t other = v->rq_error + v->rq_active;

	return v->rq_total > other ? v->rq_total - other : 0;
}

static const struct {
	const char *name;
	bool gauge;
	size_t offset;
} columns[] = {
	{"cx_active", true, offsetof(struct tg_endpoint_view, cx_active)},
	{"cx_connect_fail", false, offsetof(struct tg_endpoint_view, cx_connect_fail)},
	{"cx_idle", true, offsetof(struct tg_endpoint_view, cx_idle)},
	{"cx_total", false, offsetof(struct tg_endpoint_view, cx_total)},
	{"rq_active", true, offsetof(struct tg_endpoint_view, rq_active)},
	{"rq_error", false, offsetof(struct tg_endpoint_view, rq_error)},
	{"rq_total", false, offsetof(struct tg_endpoint_view, rq_total)},
};

static uint64_t column(const struct tg_endpoint_view *v, size_t i)
{
	uint64_t n;

	memcpy(&n, (const char *)v + columns[i].offset, sizeof(n));
	return n;
}

static struct tg_locality locality_of(const struct tg_snapshot *s, const struct tg_endpoint *ep)
{
	return ep->locality < s->n_localities ? s->localities[ep->locality]
					      : (struct tg_locality){"", "", ""};
}

static void endpoint_text(struct tg_admin_req *q, const struct tg_snapshot *s,
	const struct tg_cluster *c, const struct tg_endpoint *ep)
{
	struct tg_locality l = locality_of(s, ep);
	struct tg_endpoint_view v = endpoint_sum(q, c, ep);
	char flags[TG_HEALTH_TEXT];

	for (size_t i = 0; i < TG_ARRAY_LEN(columns); i++)
		fprintf(q->out, "%s::%s::%s::%" PRIu64 "\n", c->name, ep->text, columns[i].name,
			column(&v, i));
	fprintf(q->out, "%s::%s::rq_success::%" PRIu64 "\n", c->name, ep->text, rq_success(&v));
	fprintf(q->out, "%s::%s::health_flags::%s\n", c->name, ep->text,
		tg_health_text(tg_host_flags(ep->host), flags));
	fprintf(q->out, "%s::%s::weight::%u\n", c->name, ep->text, ep->weight);
	fprintf(q->out, "%s::%s::region::%s\n", c->name, ep->text, l.region);
	fprintf(q->out, "%s::%s::zone::%s\n", c->name, ep->text, l.zone);
	fprintf(q->out, "%s::%s::sub_zone::%s\n", c->name, ep->text, l.sub_zone);
	fprintf(q->out, "%s::%s::priority::%u\n", c->name, ep->text, ep->priority);
}

static const char *const limits[TG_RESOURCES] = {
	"max_connections", "max_pending_requests", "max_requests", "max_retries"};

static void cluster_text(
	struct tg_admin_req *q, const struct tg_snapshot *s, const struct tg_cluster *c)
{
	fprintf(q->out, "%s::observability_name::%s\n", c->name, c->name);
	for (uint32_t p = 0; p < TG_PRIORITIES; p++)
		for (uint32_t r = 0; r < TG_RESOURCES; r++)
			fprintf(q->out, "%s::%s_priority::%s::%u\n", c->name,
				p ? "high" : "default", limits[r], c->thresholds[p].max[r]);
	fprintf(q->out, "%s::added_via_api::false\n", c->name);
	c = tg_cluster_live(c);
	for (uint32_t i = 0; i < c->n_endpoints; i++)
		endpoint_text(q, s, c, &c->endpoints[i]);
}

/* 64-bit numbers are strings, as in Envoy's (protobuf's) JSON. */
static json_t *stat_json(const char *name, bool gauge, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return json_pack("{s:s, s:s, s:s}", "type", gauge ? "GAUGE" : "COUNTER", "name", name,
		"value", text);
}

/* As Envoy's HostHealthStatus: flags that are not set are left out. */
static json_t *health_json(uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} words[] = {{TG_HEALTH_FAILED_ACTIVE, "failed_active_health_check"},
		{TG_HEALTH_FAILED_OUTLIER, "failed_outlier_check"},
		{TG_HEALTH_DEGRADED, "failed_active_degraded_check"},
		{TG_HEALTH_PENDING, "pending_active_hc"}, {TG_HEALTH_TIMEOUT, "active_hc_timeout"}};
	json_t *j = json_pack("{s:s}", "eds_health_status", "HEALTHY");

	for (size_t i = 0; i < TG_ARRAY_LEN(words); i++)
		if (flags & words[i].flag)
			json_object_set_new(j, words[i].name, json_true());
	return j;
}

/* As Envoy's: parts that are not given are left out. */
static json_t *locality_json(struct tg_locality l)
{
	const char *const names[] = {"region", "zone", "sub_zone"};
	const char *const parts[] = {l.region, l.zone, l.sub_zone};
	json_t *j = json_object();

	for (size_t i = 0; i < TG_ARRAY_LEN(parts); i++)
		if (parts[i][0])
			json_object_set_new(j, names[i], json_string(parts[i]));
	return j;
}

static json_t *endpoint_json(struct tg_admin_req *q, const struct tg_snapshot *s,
	const struct tg_cluster *c, const struct tg_endpoint *ep)
{
	struct tg_endpoint_view v = endpoint_sum(q, c, ep);
	json_t *stats = json_array();

	for (size_t i = 0; i < TG_ARRAY_LEN(columns); i++)
		json_array_append_new(
			stats, stat_json(columns[i].name, columns[i].gauge, column(&v, i)));
	json_array_append_new(stats, stat_json("rq_success", false, rq_success(&v)));
	return json_pack("{s:o, s:o, s:o, s:o, s:i, s:i}", "address", tg_admin_sockaddr(&ep->addr),
		"locality", locality_json(locality_of(s, ep)), "stats", stats, "health_status",
		health_json(tg_host_flags(ep->host)), "weight", (int)ep->weight, "priority",
		(int)ep->priority);
}

static json_t *thresholds_json(const struct tg_cluster *c)
{
	json_t *list = json_array();

	for (uint32_t p = 0; p < TG_PRIORITIES; p++) {
		json_t *t = json_pack("{s:s}", "priority", p ? "HIGH" : "DEFAULT");

		for (uint32_t r = 0; r < TG_RESOURCES; r++)
			json_object_set_new(t, limits[r], json_integer(c->thresholds[p].max[r]));
		json_array_append_new(list, t);
	}
	return list;
}

static json_t *cluster_json(
	struct tg_admin_req *q, const struct tg_snapshot *s, const struct tg_cluster *c)
{
	json_t *hosts = json_array();

	c = tg_cluster_live(c);
	for (uint32_t i = 0; i < c->n_endpoints; i++)
		json_array_append_new(hosts, endpoint_json(q, s, c, &c->endpoints[i]));
	return json_pack("{s:s, s:b, s:s, s:o, s:{s:o}}", "name", c->name, "added_via_api", 0,
		"observability_name", c->name, "host_statuses", hosts, "circuit_breakers",
		"thresholds", thresholds_json(c));
}

unsigned int tg_admin_clusters(struct tg_admin_req *q)
{
	unsigned int status;
	bool json = tg_admin_wants_json(q, &status);
	json_t *list = json ? json_array() : NULL;
	const struct tg_snapshot *s;

	if (status != MHD_HTTP_OK)
		return status;
	s = tg_app_hold(q->app);
	for (uint32_t i = 0; i < s->n_clusters; i++) {
		if (json)
			json_array_append_new(list, cluster_json(q, s, &s->clusters[i]));
		else
			cluster_text(q, s, &s->clusters[i]);
	}
	tg_app_release(q->app);
	return json ? tg_admin_json(q, json_pack("{s:o}", "cluster_statuses", list)) : status;
}

/* How many workers take connections for it: all, unless it could not be opened (or is drained). */
static uint32_t listening(const struct tg_admin_req *q, const struct tg_listener_conf *l)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < tg_admin_workers(q); i++)
		n += l->stats[i].listening != 0;
	return n;
}

unsigned int tg_admin_listeners(struct tg_admin_req *q)
{
	unsigned int status;
	bool json = tg_admin_wants_json(q, &status);
	json_t *list = json ? json_array() : NULL;
	uint32_t workers = tg_admin_workers(q), on, closed = 0;
	const struct tg_snapshot *s;
	char text[TG_ADDR_TEXT];

	if (status != MHD_HTTP_OK)
		return status;
	s = tg_app_hold(q->app);
	for (uint32_t i = 0; i < s->n_listeners; i++) {
		const struct tg_listener_conf *l = &s->listeners[i];

		on = listening(q, l);
		closed += on < workers;
		if (json)
			json_array_append_new(list,
				json_pack("{s:s, s:o, s:s, s:i, s:i}", "name", l->name,
					"local_address", tg_admin_sockaddr(&l->addr), "protocol",
					l->protocol == TG_PROTOCOL_TCP ? "tcp" : "http",
					"listening", (int)on, "workers", (int)workers));
		else
			fprintf(q->out, on < workers ? "%s::%s::not_open::%u/%u\n" : "%s::%s\n",
				l->name, tg_sockaddr_format(&l->addr, text), workers - on, workers);
	}
	tg_app_release(q->app);
	if (json)
		return tg_admin_json(q, json_pack("{s:o, s:i}", "listener_statuses", list,
						"not_open", (int)closed));
	return status;
}

/* A file in another encoding is still shown: bytes that JSON cannot hold become '?'. */
static json_t *source_json(const char *source)
{
	json_t *j = json_string(source);
	char *copy;

	if (j)
		return j;
	copy = strdup(source);
	for (char *c = copy; c && *c; c++)
		if ((uint8_t)*c >= 0x80)
			*c = '?';
	j = json_string(copy ? copy : "");
	free(copy);
	return j;
}

unsigned int tg_admin_config_dump(struct tg_admin_req *q)
{
	const char *format = tg_admin_arg(q, "format");
	char at[TG_ADMIN_TIME];
	const struct tg_snapshot *s;
	json_t *j;

	if (format && strcmp(format, "text") != 0 && strcmp(format, "json") != 0) {
		fputs("usage: ?format=json or ?format=text\n", q->out);
		return MHD_HTTP_BAD_REQUEST;
	}
	s = tg_app_hold(q->app);
	if (format && strcmp(format, "text") == 0) {
		fputs(s->source ? s->source : "", q->out);
		tg_app_release(q->app);
		return MHD_HTTP_OK;
	}
	j = json_pack("{s:[{s:s, s:I, s:s, s:s, s:o}]}", "configs", "@type", "tidegate.ConfigDump",
		"generation", (json_int_t)s->generation, "last_updated",
		tg_admin_time(s->loaded_at, at), "file", q->app->config_path, "source",
		source_json(s->source ? s->source : ""));
	tg_app_release(q->app);
	return tg_admin_json(q, j);
}
