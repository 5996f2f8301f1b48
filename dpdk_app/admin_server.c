/* /ready, /server_info, /ports, and what handlers share. */
#include <microhttpd.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin_req.h"
#include "tls.h"

const char *tg_admin_arg(const struct tg_admin_req *q, const char *name)
{
	const char *value = NULL;
	size_t n = 0;

	if (MHD_lookup_connection_value_n(
		    q->conn, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value, &n) == MHD_NO)
		return NULL;
	return value ? value : "";
}

bool tg_admin_wants_json(struct tg_admin_req *q, unsigned int *status)
{
	const char *format = tg_admin_arg(q, "format");

	*status = MHD_HTTP_OK;
	if (!format || strcmp(format, "text") == 0)
		return false;
	if (strcmp(format, "json") == 0)
		return true;
	fputs("usage: ?format=text or ?format=json\n", q->out);
	*status = MHD_HTTP_BAD_REQUEST;
	return false;
}

unsigned int tg_admin_json(struct tg_admin_req *q, json_t *j)
{
	int rc = j ? json_dumpf(j, q->out, JSON_INDENT(1)) : -1;

	json_decref(j);
	if (rc < 0) {
		fputs("cannot make the JSON text\n", q->out);
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
	fputc('\n', q->out);
	q->type = "application/json";
	return MHD_HTTP_OK;
}

/* Listeners that cannot let anybody in yet; out: a line for each, or NULL. */
static bool waits(struct tg_app *app, FILE *out)
{
	const struct tg_snapshot *s = tg_app_hold(app);
	bool any = false;

	for (uint32_t i = 0; i < s->n_listeners && (out || !any); i++) {
		const struct tg_tls_conf *tls = s->listeners[i].tls;

		if (!tls || tg_tls_usable(app, tls))
			continue;
		any = true;
		if (!out)
			continue;
		fprintf(out, "listener %s waits for the Workload API: %s%s\n", s->listeners[i].name,
			tls->n_pairs ? "bundles"
			: tls->svid  ? "the SVID "
				     : "an SVID",
			tls->n_pairs || !tls->svid ? "" : tls->svid);
	}
	tg_app_release(app);
	return any;
}

const char *tg_admin_state(const struct tg_admin_req *q)
{
	enum tg_state s = (enum tg_state)atomic_load(&q->app->state);

	if (s == TG_STATE_LIVE && *q->failed)
		return tg_state_name(TG_STATE_DRAINING);
	return s == TG_STATE_LIVE && waits(q->app, NULL) ? "INITIALIZING" : tg_state_name(s);
}

uint32_t tg_admin_workers(const struct tg_admin_req *q)
{
	enum tg_state s = (enum tg_state)atomic_load(&q->app->state);

	return s == TG_STATE_INIT || !q->app->workers ? 0 : q->app->n_workers;
}

char *tg_admin_time(uint64_t realtime_ns, char out[static TG_ADMIN_TIME])
{
	time_t t = (time_t)(realtime_ns / 1000000000u);
	struct tm tm;
	size_t n;

	gmtime_r(&t, &tm);
	n = strftime(out, TG_ADMIN_TIME, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(
		out + n, TG_ADMIN_TIME - n, ".%03uZ", (unsigned int)(realtime_ns / 1000000 % 1000));
	return out;
}

json_t *tg_admin_sockaddr(const struct tg_sockaddr *a)
{
	char text[TG_ADDR_TEXT];

	return json_pack("{s:{s:s, s:i}}", "socket_address", "address", tg_ip_format(&a->ip, text),
		"port_value", (int)a->port);
}

uint64_t tg_admin_uptime_ns(const struct tg_app *app)
{
	struct timespec t;
	uint64_t now;

	clock_gettime(CLOCK_REALTIME, &t);
	now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	return now > app->started_at ? now - app->started_at : 0;
}

unsigned int tg_admin_ready(struct tg_admin_req *q)
{
	const char *state = tg_admin_state(q);

	fprintf(q->out, "%s\n", state);
	if (strcmp(state, "INITIALIZING") == 0)
		waits(q->app, q->out);
	return strcmp(state, "LIVE") == 0 ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static json_t *workers_json(const struct tg_admin_req *q)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < tg_admin_workers(q); i++) {
		struct tg_worker *w = &q->app->workers[i];

		json_array_append_new(
			list, json_pack("{s:i, s:i, s:i, s:I, s:b}", "worker", (int)w->index,
				      "lcore", (int)w->lcore, "cpu", w->cpu, "config_generation",
				      (json_int_t)atomic_load(&w->generation), "adaptive_idle",
				      (int)w->adaptive));
	}
	return list;
}

unsigned int tg_admin_server_info(struct tg_admin_req *q)
{
	struct tg_app *app = q->app;
	char started[TG_ADMIN_TIME], uptime[32], why[sizeof(app->reload_error)];
	uint64_t generation = tg_app_hold(app)->generation;

	tg_app_release(app);
	pthread_mutex_lock(&app->lock);
	memcpy(why, app->reload_error, sizeof(why));
	pthread_mutex_unlock(&app->lock);
	snprintf(uptime, sizeof(uptime), "%llus",
		(unsigned long long)(tg_admin_uptime_ns(app) / 1000000000u));
	return tg_admin_json(q,
		json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:s, s:s, s:I, s:I, s:I, s:s%, s:o}",
			"version", "tidegate/" TG_VERSION, "state", tg_admin_state(q),
			"uptime_current_epoch", uptime, "started_at",
			tg_admin_time(app->started_at, started), "pid", (int)getpid(),
			"concurrency", (int)app->n_workers, "hugepages", (int)app->hugepages, "eal",
			app->boot->dataplane.eal ? app->boot->dataplane.eal : "", "config_path",
			app->config_path, "config_generation", (json_int_t)generation, "reloads",
			(json_int_t)atomic_load(&app->reloads), "reload_failures",
			(json_int_t)atomic_load(&app->reload_failures), "last_reload_error", why,
			strnlen(why, sizeof(why)), "workers", workers_json(q)));
}

static json_t *port_json(const struct tg_port *p, const char *mac)
{
	json_t *addrs = json_array();

	for (uint32_t i = 0; i < p->conf->n_addrs; i++) {
		char text[TG_ADDR_TEXT];

		json_array_append_new(
			addrs, json_string(tg_ip_format(&p->conf->addrs[i].ip, text)));
	}
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:b, s:i, s:i, s:i, s:o, s:{s:b, s:b, s:b, s:b, s:b}, "
		"s:I, s:I, s:I}",
		"name", p->conf->name, "device", p->conf->device, "driver",
		p->driver ? p->driver : "", "mac", mac, "link_up", (int)atomic_load(&p->link_up),
		"mtu", (int)p->mtu, "vlan", (int)p->conf->vlan, "queues", (int)p->n_queues,
		"addresses", addrs, "offloads", "tx_ipv4_checksum", (int)p->tx_ipv4_csum,
		"tx_tcp_checksum", (int)p->tx_tcp_csum, "rx_ipv4_checksum", (int)p->rx_ipv4_csum,
		"rx_tcp_checksum", (int)p->rx_tcp_csum, "rx_rss_hash", (int)p->rx_rss_hash,
		"missed", (json_int_t)atomic_load(&p->missed), "rx_errors",
		(json_int_t)atomic_load(&p->rx_errors), "tx_errors",
		(json_int_t)atomic_load(&p->tx_errors));
}

static void port_text(FILE *out, const struct tg_port *p, const char *mac)
{
	fprintf(out, "%s::device::%s\n", p->conf->name, p->conf->device);
	fprintf(out, "%s::driver::%s\n", p->conf->name, p->driver ? p->driver : "");
	fprintf(out, "%s::mac::%s\n", p->conf->name, mac);
	fprintf(out, "%s::link_up::%d\n", p->conf->name, (int)atomic_load(&p->link_up));
	fprintf(out, "%s::mtu::%u\n", p->conf->name, p->mtu);
	fprintf(out, "%s::queues::%u\n", p->conf->name, p->n_queues);
}

unsigned int tg_admin_ports(struct tg_admin_req *q)
{
	unsigned int status;
	bool json = tg_admin_wants_json(q, &status);
	uint32_t n = tg_admin_workers(q) ? q->app->n_ports : 0;
	json_t *list = json ? json_array() : NULL;

	for (uint32_t i = 0; status == MHD_HTTP_OK && i < n; i++) {
		const struct tg_port *p = &q->app->ports[i];
		char mac[18];

		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", p->mac[0], p->mac[1],
			p->mac[2], p->mac[3], p->mac[4], p->mac[5]);
		if (json)
			json_array_append_new(list, port_json(p, mac));
		else
			port_text(q->out, p, mac);
	}
	return json ? tg_admin_json(q, json_pack("{s:o}", "ports", list)) : status;
}
