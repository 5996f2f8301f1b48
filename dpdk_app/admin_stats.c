/* /stats, /stats/prometheus, /drops. */
#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin_req.h"
#include "ratelimit.h"
#include "sink.h"
#include "tls.h"

#define EXTRAS_MAX 1024
#define CERTS_MAX 256 /* what is beyond is in /certs */
#define CERT_LABEL 256

static const char ends_name[] = "expiration_unix_time_seconds";
static const char ends_text[] = "when the certificate ends, seconds since 1970";

/* A certificate of one configuration. */
struct cert {
	uint32_t conf;
	int64_t ends;
	char label[CERT_LABEL];
	char name[CERT_LABEL + sizeof("ssl.certificate..") + sizeof(ends_name)];
};

/* What the registry does not know: the process, its pools, ports and log. docs/statistics.md
 * (statdoc.c) lists them. */
struct extras {
	struct tg_stat v[EXTRAS_MAX];
	uint32_t n, n_certs;
	int64_t first_end; /* of a certificate of ours or a CA; INT64_MAX: there is none */
	struct cert cert[CERTS_MAX];
};

static void put(struct extras *x, const char *scope, const char *who, const char *name,
	const char *text, uint64_t value, bool gauge)
{
	if (x->n < EXTRAS_MAX)
		x->v[x->n++] = (struct tg_stat){scope, who, name, text, value, gauge, NULL};
}

/* Envoy's numbers for server.state. */
static uint64_t state_number(const char *state)
{
	static const char *const states[] = {
		"LIVE", "DRAINING", "PRE_INITIALIZING", "INITIALIZING"};
	uint64_t n = 0;

	while (n < TG_ARRAY_LEN(states) - 1 && strcmp(state, states[n]) != 0)
		n++;
	return n;
}

static void put_server(struct extras *x, struct tg_admin_req *q)
{
	const char *state = tg_admin_state(q);
	struct tg_app *app = q->app;
	uint64_t generation = tg_app_hold(app)->generation;

	tg_app_release(app);
	put(x, "server", "", "live", "1 when /ready answers 200", strcmp(state, "LIVE") == 0, true);
	put(x, "server", "", "state", "0 live, 1 draining, 2 pre-initializing, 3 initializing",
		state_number(state), true);
	put(x, "server", "", "uptime", "seconds since start", tg_admin_uptime_ns(app) / 1000000000u,
		true);
	put(x, "server", "", "concurrency", "workers", app->n_workers, true);
	put(x, "dns", "", "endpoint_sets", "sets of endpoints by DNS in memory",
		atomic_load(&app->endpoint_sets), true);
	put(x, "config", "", "generation", "number of the configuration in use", generation, true);
	put(x, "config", "", "reloads", "configurations applied after the first",
		atomic_load(&app->reloads), false);
	put(x, "config", "", "reload_failures", "configurations refused",
		atomic_load(&app->reload_failures), false);
}

static void put_ports(struct extras *x, const struct tg_admin_req *q)
{
	for (uint32_t i = 0; tg_admin_workers(q) && i < q->app->n_ports; i++) {
		struct tg_port *p = &q->app->ports[i];
		const char *who = p->conf->name;

		put(x, "port", who, "link_up", "1 when the link was last seen up",
			atomic_load(&p->link_up), true);
		put(x, "port", who, "missed", "packets that the device could not deliver",
			atomic_load(&p->missed), false);
		put(x, "port", who, "rx_errors", "receive errors of the device",
			atomic_load(&p->rx_errors), false);
		put(x, "port", who, "tx_errors", "transmit errors of the device",
			atomic_load(&p->tx_errors), false);
	}
}

/* Sums over the workers: /memory has each. */
static void put_pools(
	struct extras *x, const struct tg_admin_req *q, struct tg_admin_pool *pools, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct tg_admin_pool *p = &pools[i];

		if (!p->name)
			continue;
		for (uint32_t j = i + 1; j < n; j++) {
			if (!pools[j].name || strcmp(pools[j].name, p->name) != 0)
				continue;
			p->count += pools[j].count;
			p->in_use += pools[j].in_use;
			p->refused += pools[j].refused;
			pools[j].name = NULL;
		}
		put(x, "pool", p->name, "count", "objects in all", p->count, true);
		put(x, "pool", p->name, "in_use", "objects handed out", p->in_use, true);
		put(x, "pool", p->name, "refused", "takes that found it empty", p->refused, false);
	}
}

static void put_log(struct extras *x, const struct tg_admin_req *q)
{
	struct tg_sink_counts c;

	tg_sink_counts(q->app, &c);
	put(x, "access_log", "", "lines", "lines written", c.lines, false);
	put(x, "access_log", "", "bytes", "bytes written", c.bytes, false);
	put(x, "access_log", "", "lines_lost", "lines that could not be written", c.lines_lost,
		false);
	put(x, "access_log", "", "writes_failed", "writes that failed", c.writes_failed, false);
	put(x, "access_log", "", "reopened", "times that the file was opened anew", c.reopened,
		false);
	put(x, "access_log", "", "reopen_failed", "times that this failed", c.reopen_failed, false);
}

static void put_tls(struct extras *x, const struct tg_admin_req *q)
{
	struct tg_tls_counts c;

	tg_tls_counts(q->app, &c);
	put(x, "tls", "", "rotations", "changes of certificates, keys and CAs taken into use",
		c.rotations, false);
	put(x, "tls", "", "rotation_failures", "tries that found files which cannot be used",
		c.rotation_failures, false);
	put(x, "workload_api", "", "connected", "1 while the agent is connected", c.agent_connected,
		true);
	put(x, "workload_api", "", "updates", "responses of the agent", c.agent_updates, false);
	put(x, "workload_api", "", "updates_bad", "of them, those that could not be used",
		c.agent_updates_bad, false);
	put(x, "workload_api", "", "failures", "connections that failed or ended, and calls",
		c.agent_failures, false);
}

static void put_ratelimit(struct extras *x, const struct tg_admin_req *q)
{
	struct tg_ratelimit_counts c;

	tg_ratelimit_counts(q->app, &c);
	put(x, "ratelimit", "", "connected", "1 while Redis answers", c.redis.connected, true);
	put(x, "ratelimit", "", "connects", "connections to Redis that were made", c.redis.connects,
		false);
	put(x, "ratelimit", "", "connect_failures", "those that failed or ended", c.redis.failures,
		false);
	put(x, "ratelimit", "", "commands", "questions to Redis", c.redis.commands, false);
	put(x, "ratelimit", "", "unanswered", "of them, those without an answer that can be used",
		c.quota.unanswered, false);
	put(x, "ratelimit", "", "tokens_leased", "tokens that Redis gave", c.quota.given, false);
	put(x, "ratelimit", "", "tokens_returned",
		"of them, those that were not used and went back", c.quota.back, false);
	put(x, "ratelimit", "", "tokens_on_credit",
		"tokens that requests were given before Redis, which counts them now",
		c.quota.credited, false);
	put(x, "ratelimit", "", "keys", "values with tokens of their own", c.quota.keys, true);
	put(x, "ratelimit", "", "keys_max", "values that there is room for", c.quota.keys_max,
		true);
	put(x, "ratelimit", "", "keys_evicted",
		"values that others took the place of before their window was over",
		c.quota.evicted, false);
	put(x, "ratelimit", "", "keys_late",
		"times that a value found no room, because values came too fast", c.quota.late,
		false);
}

/* By its file, or its SPIFFE ID if it came from the Workload API. Of files with several
 * certificates (bundles) the one that ends first counts. */
static void note_cert(void *arg, const struct tg_tls_cert *c)
{
	struct extras *x = arg;
	const char *label = c->file[0] ? c->file : c->spiffe_id;
	uint32_t i = 0;

	if (c->not_after < x->first_end)
		x->first_end = c->not_after;
	while (i < x->n_certs && (x->cert[i].conf != c->conf_id ||
					 strncmp(x->cert[i].label, label, CERT_LABEL - 1) != 0))
		i++;
	if (i == CERTS_MAX)
		return;
	if (i == x->n_certs) {
		struct cert *to = &x->cert[x->n_certs++];

		*to = (struct cert){.conf = c->conf_id, .ends = c->not_after};
		snprintf(to->label, sizeof(to->label), "%s", label);
		snprintf(to->name, sizeof(to->name), "ssl.certificate.%.*s.%s", CERT_LABEL - 1,
			label, ends_name);
	} else if (x->cert[i].ends > c->not_after) {
		x->cert[i].ends = c->not_after;
	}
}

/* Each worker acts for itself: what the worst of them has. */
static uint32_t worst(const struct tg_admin_req *q, size_t at)
{
	const struct tg_core_stats *c = tg_stats_cores(q->app->stats);
	uint64_t most = 0;

	for (uint32_t w = 0; w < q->app->n_workers; w++) {
		uint64_t v = __atomic_load_n(
			(const uint64_t *)((const char *)&c[w] + at), __ATOMIC_RELAXED);

		most = v > most ? v : most;
	}
	return (uint32_t)most;
}

static uint64_t shed_count(const struct tg_admin_req *q)
{
	const struct tg_core_stats *c = tg_stats_cores(q->app->stats);
	uint64_t n = 0;

	for (uint32_t w = 0; w < q->app->n_workers; w++)
		n += __atomic_load_n(&c[w].overload_shed, __ATOMIC_RELAXED);
	return n;
}

static void put_action(struct extras *x, const struct tg_admin_req *q, enum tg_overload_action a)
{
	const char *name = tg_overload_name(a);
	uint32_t state = worst(q, offsetof(struct tg_core_stats, overload_state[a]));

	put(x, "overload", name, "scale_percent", "how far the action is on, of a hundred",
		state / (TG_OVERLOAD_WHOLE / 100), true);
	if (a == TG_OVERLOAD_SHED_REQUESTS)
		put(x, "overload", name, "shed_load_count", "requests refused there", shed_count(q),
			false);
	else
		put(x, "overload", name, "active", "1 while the action is wholly on",
			state == TG_OVERLOAD_WHOLE, true);
}

/* With Envoy's names; only what the configuration has. */
static void put_overload(struct extras *x, struct tg_admin_req *q)
{
	const struct tg_overload_conf *c = tg_app_hold(q->app)->overload;

	for (uint32_t m = 0; c && m < TG_MONITORS; m++)
		if (c->watched[m])
			put(x, "overload", tg_monitor_name(m), "pressure",
				"of the resource, of a hundred",
				worst(q, offsetof(struct tg_core_stats, overload_pressure[m])) /
					(TG_OVERLOAD_WHOLE / 100),
				true);
	for (uint32_t a = 0; c && a < TG_OVERLOADS; a++) {
		bool given = false;

		for (uint32_t m = 0; m < TG_MONITORS; m++)
			given |= c->trigger[a][m].given;
		if (given)
			put_action(x, q, a);
	}
	tg_app_release(q->app);
}

/* One gauge a certificate, whoever uses it. */
static void put_each_cert(struct extras *x)
{
	for (uint32_t i = 0; i < x->n_certs; i++) {
		int64_t ends = x->cert[i].ends;
		uint32_t before = 0;

		while (strcmp(x->cert[before].label, x->cert[i].label) != 0)
			before++;
		if (before != i)
			continue;
		for (uint32_t j = i + 1; j < x->n_certs; j++)
			if (x->cert[j].ends < ends &&
				strcmp(x->cert[j].label, x->cert[i].label) == 0)
				ends = x->cert[j].ends;
		put(x, "certificate", x->cert[i].label, ends_name, ends_text, (uint64_t)ends, true);
	}
}

/* And Envoy's, for each who uses one. */
static void put_certs_of(
	struct extras *x, const char *scope, const char *who, const struct tg_tls_conf *tls)
{
	for (uint32_t i = 0; tls && i < x->n_certs; i++) {
		if (x->cert[i].conf != tls->id)
			continue;
		if (x->n == EXTRAS_MAX)
			return;
		put(x, scope, who, x->cert[i].name, ends_text, (uint64_t)x->cert[i].ends, true);
		x->v[x->n - 1].certificate = x->cert[i].label;
	}
}

static void put_certs(struct extras *x, const struct tg_admin_req *q)
{
	const struct tg_snapshot *s;
	int64_t left;

	x->first_end = INT64_MAX;
	tg_tls_certs(q->app, note_cert, x);
	if (x->first_end == INT64_MAX)
		return;
	left = x->first_end - (int64_t)time(NULL);
	put(x, "server", "", "days_until_first_cert_expiring",
		"days until the first certificate in use ends",
		left > 0 ? (uint64_t)left / 86400 : 0, true);
	put_each_cert(x);
	s = tg_app_hold(q->app);
	for (uint32_t i = 0; i < s->n_listeners; i++)
		put_certs_of(x, "listener", s->listeners[i].name, s->listeners[i].tls);
	for (uint32_t i = 0; i < s->n_clusters; i++)
		put_certs_of(x, "cluster", s->clusters[i].name, s->clusters[i].tls);
	tg_app_release(q->app);
}

/* A listener's protocol may change at a reload: said anew each time. */
static void mark_protocols(struct tg_app *app)
{
	const struct tg_snapshot *s = tg_app_hold(app);

	for (uint32_t i = 0; i < s->n_listeners; i++)
		tg_stats_listener_is_tcp(app->stats, s->listeners[i].name,
			s->listeners[i].protocol == TG_PROTOCOL_TCP);
	tg_app_release(app);
}

static struct tg_member_stats members_of(const struct tg_cluster *c)
{
	struct tg_member_stats m = {0};

	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		uint32_t flags = tg_host_flags(c->endpoints[i].host);
		bool good = tg_health_good(flags), degraded = flags & TG_HEALTH_DEGRADED;

		m.membership_healthy += good && !degraded;
		m.membership_degraded += good && degraded;
		m.check_healthy += c->check && !(flags & TG_HEALTH_FAILED_ACTIVE);
		m.check_degraded += c->check && degraded && !(flags & TG_HEALTH_FAILED_ACTIVE);
		m.ejections_active += (flags & TG_HEALTH_FAILED_OUTLIER) != 0;
	}
	return m;
}

/* Nobody counts these as they change: they are looked up when somebody asks. */
static void count_members(struct tg_app *app)
{
	const struct tg_snapshot *s = tg_app_hold(app);

	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (s->clusters[i].stats)
			s->clusters[i].stats[0].members =
				members_of(tg_cluster_live(&s->clusters[i]));
	tg_app_release(app);
}

static unsigned int render(struct tg_admin_req *q, enum tg_stats_format format)
{
	enum { POOLS_MAX = 2048 };
	struct extras *x = malloc(sizeof(*x));
	struct tg_admin_pool *pools = calloc(POOLS_MAX, sizeof(*pools));
	struct tg_errbuf e = {""};
	const char *filter = tg_admin_arg(q, "filter");
	uint32_t n;
	int rc;

	if (!x || !pools) {
		free(x);
		free(pools);
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
	x->n = x->n_certs = 0;
	mark_protocols(q->app);
	count_members(q->app);
	put_server(x, q);
	put_ports(x, q);
	n = tg_admin_pools(q, pools, POOLS_MAX);
	put_pools(x, q, pools, n < POOLS_MAX ? n : POOLS_MAX);
	put_log(x, q);
	put_tls(x, q);
	put_ratelimit(x, q);
	put_overload(x, q);
	put_certs(x, q);
	rc = tg_stats_render(q->app->stats,
		&(struct tg_stats_query){
			.format = format,
			.used_only = tg_admin_arg(q, "usedonly") != NULL,
			.filter = filter && filter[0] ? filter : NULL,
			.extra = x->v,
			.n_extra = x->n,
		},
		q->out, &e);
	free(x);
	free(pools);
	if (rc < 0) {
		fprintf(q->out, "%s\n", e.text);
		return MHD_HTTP_BAD_REQUEST;
	}
	if (format == TG_STATS_PROMETHEUS)
		q->type = "text/plain; version=0.0.4; charset=utf-8";
	else if (format == TG_STATS_JSON)
		q->type = "application/json";
	return MHD_HTTP_OK;
}

unsigned int tg_admin_stats(struct tg_admin_req *q)
{
	const char *format = tg_admin_arg(q, "format");

	if (!format || strcmp(format, "text") == 0)
		return render(q, TG_STATS_TEXT);
	if (strcmp(format, "json") == 0)
		return render(q, TG_STATS_JSON);
	if (strcmp(format, "prometheus") == 0)
		return render(q, TG_STATS_PROMETHEUS);
	fputs("usage: /stats?format=text, json or prometheus\n", q->out);
	return MHD_HTTP_BAD_REQUEST;
}

unsigned int tg_admin_prometheus(struct tg_admin_req *q)
{
	return render(q, TG_STATS_PROMETHEUS);
}

static uint64_t why_count(struct tg_app *app, enum tg_why w)
{
	const struct tg_core_stats *c = tg_stats_cores(app->stats);
	uint64_t n = 0;

	for (uint32_t i = 0; i < app->n_workers; i++)
		n += __atomic_load_n(&c[i].why[w], __ATOMIC_RELAXED);
	return n;
}

/* While packets flow, a reader sees a turn half counted; looked at some times, the books are soon
 * seen closed. */
static struct tg_ledger look(struct tg_app *app)
{
	struct tg_ledger l = tg_stats_ledger(app->stats);

	for (uint32_t i = 0; i < 64 && tg_ledger_missing(&l) != 0; i++)
		l = tg_stats_ledger(app->stats);
	return l;
}

static unsigned int drops_json(struct tg_admin_req *q, const struct tg_ledger *l, bool used_only)
{
	json_t *reasons = json_array();

	for (uint32_t w = TG_WHY_none + 1; w < TG_WHY_MAX; w++) {
		uint64_t n = why_count(q->app, w);

		if (n || !used_only)
			json_array_append_new(
				reasons, json_pack("{s:s, s:s, s:I, s:s}", "reason", tg_why_name(w),
						 "class", tg_why_class_name(tg_why_class(w)),
						 "count", (json_int_t)n, "text", tg_why_text(w)));
	}
	return tg_admin_json(
		q, json_pack("{s:{s:I, s:I, s:I, s:I, s:I, s:b}, s:o}", "ledger", "received",
			   (json_int_t)l->received, "delivered", (json_int_t)l->delivered,
			   "dropped", (json_int_t)l->dropped, "in_flight", (json_int_t)l->in_flight,
			   "missing", (json_int_t)tg_ledger_missing(l), "balanced",
			   tg_ledger_missing(l) == 0, "reasons", reasons));
}

unsigned int tg_admin_drops(struct tg_admin_req *q)
{
	unsigned int status;
	bool json = tg_admin_wants_json(q, &status);
	bool used_only = tg_admin_arg(q, "usedonly") != NULL;
	struct tg_ledger l = look(q->app);

	if (json)
		return drops_json(q, &l, used_only);
	if (status != MHD_HTTP_OK)
		return status;
	fprintf(q->out,
		"received: %" PRIu64 "\ndelivered: %" PRIu64 "\ndropped: %" PRIu64
		"\nin_flight: %" PRId64 "\nmissing: %" PRId64 "\nbalanced: %s\n\n",
		l.received, l.delivered, l.dropped, (int64_t)l.in_flight, tg_ledger_missing(&l),
		tg_ledger_missing(&l) == 0 ? "yes" : "no");
	for (uint32_t w = TG_WHY_none + 1; w < TG_WHY_MAX; w++) {
		uint64_t n = why_count(q->app, w);

		if (n || !used_only)
			fprintf(q->out, "%-24s %-4s %12" PRIu64 "  %s\n", tg_why_name(w),
				tg_why_class_name(tg_why_class(w)), n, tg_why_text(w));
	}
	return MHD_HTTP_OK;
}
