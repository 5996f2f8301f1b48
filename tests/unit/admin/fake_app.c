#include "fake_app.h"

#include "../../../dpdk_app/admin_req.h"
#include "../../../dpdk_app/ratelimit.h"
#include "../../../dpdk_app/tls.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic unsigned int commands;
static _Atomic bool reload_good;
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;
static char said[512];

static struct tg_pool exchanges = {
	.name = "exchange", .size = 512, .count = 100, .in_use = 1, .peak = 4, .refused = 0};
static struct tg_host host = {.flags = TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_TIMEOUT};
static struct tg_endpoint endpoint = {.weight = 3, .host = &host, .text = "10.77.2.2:8080"};
static struct tg_cluster cluster = {.name = "v1",
	.thresholds = {{.max = {1024, 1024, 1024, 3}}, {.max = {1024, 1024, 1024, 3}}},
	.n_endpoints = 1,
	.endpoints = &endpoint};
static struct tg_listener_stats listener_stats[2][FAKE_WORKERS];
static struct tg_listener_conf listeners[2] = {{.name = "web", .stats = listener_stats[0]},
	{.name = "raw", .protocol = TG_PROTOCOL_TCP, .stats = listener_stats[1]}};
static struct tg_ip_prefix prefix;
static struct tg_port_conf port = {
	.name = "north", .device = "net_af_xdp0,iface=x", .n_addrs = 1, .addrs = &prefix};

uint32_t tg_tcp_usage(const struct tg_tcp *t, struct tg_tcp_usage *out, uint32_t n)
{
	out[0] = (struct tg_tcp_usage){"tcb", 256, 1000, 3, 9, 2};
	return 1;
}

bool tg_tls_usable(struct tg_app *app, const struct tg_tls_conf *conf)
{
	return true;
}

void tg_tls_certs(
	struct tg_app *app, void (*each)(void *arg, const struct tg_tls_cert *c), void *arg)
{
	static const struct tg_tls_cert cert = {.file = "server.crt",
		.spiffe_id = "spiffe://mesh.example/a",
		.subject = "CN=server",
		.serial = "2a",
		.names = "a.test, b.test",
		.not_before = 1,
		.not_after = INT64_C(4102444800)};

	(void)app;
	each(arg, &cert);
}

void tg_tls_counts(struct tg_app *app, struct tg_tls_counts *out)
{
	*out = (struct tg_tls_counts){.rotations = 3, .rotation_failures = 1};
}

void tg_ratelimit_counts(const struct tg_app *app, struct tg_ratelimit_counts *out)
{
	(void)app;
	*out = (struct tg_ratelimit_counts){.quota.keys = 7, .redis.connected = 1};
}

uint32_t tg_tls_pools(const struct tg_tls *t, const struct tg_pool **out, uint32_t n)
{
	(void)t;
	(void)out;
	(void)n;
	return 0;
}

uint32_t tg_proxy_pools(const struct tg_proxy *p, const struct tg_pool **out, uint32_t n)
{
	out[0] = &exchanges;
	return 1;
}

bool tg_proxy_endpoint(const struct tg_proxy *p, const char *name, const struct tg_sockaddr *addr,
	struct tg_endpoint_view *out)
{
	*out = (struct tg_endpoint_view){.cx_active = 1,
		.cx_idle = 2,
		.rq_active = 3,
		.rq_total = 14,
		.rq_error = 5,
		.cx_connect_fail = 6,
		.cx_total = 7};
	return true;
}

void tg_net_usage(const struct tg_net *n, struct tg_net_usage *out)
{
	*out = (struct tg_net_usage){.neighbours = 1, .neighbours_max = 4096};
}

struct tg_snapshot *tg_config_load(const char *path, struct tg_stats *stats, FILE *err)
{
	if (reload_good)
		return calloc(1, sizeof(struct tg_snapshot));
	fprintf(err, "%s:3: first mistake\n%s:4: second mistake\n", path, path);
	return NULL;
}

uint32_t tg_config_static_diff(
	const struct tg_snapshot *running, const struct tg_snapshot *next, FILE *err)
{
	return 0;
}

void tg_snapshot_free(struct tg_snapshot *s)
{
	free(s);
}

const struct tg_snapshot *tg_app_hold(struct tg_app *app)
{
	pthread_mutex_lock(&app->lock);
	app->holds++;
	pthread_mutex_unlock(&app->lock);
	return app->current;
}

void tg_app_release(struct tg_app *app)
{
	pthread_mutex_lock(&app->lock);
	app->holds--;
	pthread_mutex_unlock(&app->lock);
}

void tg_app_command(struct tg_app *app, enum tg_command c)
{
	commands |= c;
	if (c == TG_CMD_RELOAD)
		atomic_fetch_add(reload_good ? &app->reloads : &app->reload_failures, 1);
}

const char *tg_state_name(enum tg_state s)
{
	return s == TG_STATE_INIT ? "PRE_INITIALIZING" : s == TG_STATE_LIVE ? "LIVE" : "DRAINING";
}

void tg_say(enum tg_level level, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&said_lock);
	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	pthread_mutex_unlock(&said_lock);
}

const char *fake_said(void)
{
	static char copy[sizeof(said)];

	pthread_mutex_lock(&said_lock);
	memcpy(copy, said, sizeof(copy));
	said[0] = '\0';
	pthread_mutex_unlock(&said_lock);
	return copy;
}

unsigned int fake_commands(void)
{
	return atomic_exchange(&commands, 0);
}

void fake_reload_succeeds(bool yes)
{
	reload_good = yes;
}

void fake_pause(void)
{
	nanosleep(&(struct timespec){0, 1000000}, NULL);
}

void fake_app_init(struct fake_app *f)
{
	struct timespec now;

	memset(f, 0, sizeof(*f));
	strcpy(f->dir, "/tmp/tg-admin-XXXXXX");
	if (!mkdtemp(f->dir))
		abort();
	snprintf(f->socket, sizeof(f->socket), "%s/admin.sock", f->dir);
	snprintf(f->log, sizeof(f->log), "%s/access.log", f->dir);
	tg_sockaddr_parse("10.77.2.2:8080", &endpoint.addr);
	tg_sockaddr_parse("10.77.1.1:80", &listeners[0].addr);
	tg_sockaddr_parse("[fd77:1::1]:5432", &listeners[1].addr);
	tg_ip_prefix_parse("10.77.1.1/24", &prefix);
	f->snapshot.generation = 3;
	f->snapshot.loaded_at = 1767225599123456789u;
	f->snapshot.source = "# caf\xe9\nworkers = 2;\n"; /* not UTF-8 */
	f->snapshot.n_clusters = 1;
	f->snapshot.clusters = &cluster;
	for (int i = 0; i < 2; i++)
		for (int w = 0; w < FAKE_WORKERS; w++)
			listener_stats[i][w].listening = 1;
	f->snapshot.n_listeners = 2;
	f->snapshot.listeners = listeners;
	f->snapshot.dataplane.memory = 1u << 29;
	f->app.config_path = "/etc/tidegate.cfg";
	f->app.boot = f->app.current = &f->snapshot;
	f->app.n_workers = FAKE_WORKERS;
	f->app.workers = f->workers;
	f->app.n_ports = 1;
	f->app.ports[0].conf = &port;
	f->app.ports[0].driver = "net_af_xdp";
	f->app.ports[0].mtu = 1500;
	f->app.stats = tg_stats_create(FAKE_WORKERS);
	pthread_mutex_init(&f->app.lock, NULL);
	clock_gettime(CLOCK_REALTIME, &now);
	f->app.started_at = (uint64_t)now.tv_sec * 1000000000u;
	for (uint32_t i = 0; i < FAKE_WORKERS; i++) {
		struct tg_worker *w = &f->workers[i];

		w->app = &f->app;
		w->index = i;
		/* Never followed: the fakes above do not look. */
		w->tcp = (void *)w;
		w->proxy = (void *)w;
		w->net = (void *)w;
		w->stats = &tg_stats_cores(f->app.stats)[i];
		w->log = tg_log_ring_create(1024);
	}
	tg_stats_listener(f->app.stats, "web");
	tg_stats_listener(f->app.stats, "raw");
	tg_stats_cluster(f->app.stats, "v1");
	atomic_store(&f->app.state, TG_STATE_LIVE);
}

void fake_app_fini(struct fake_app *f)
{
	struct dirent *d;
	DIR *dir;

	tg_admin_stop(&f->app);
	tg_sink_stop(&f->app);
	for (uint32_t i = 0; i < FAKE_WORKERS; i++)
		tg_log_ring_destroy(f->workers[i].log);
	tg_stats_destroy(f->app.stats);
	pthread_mutex_destroy(&f->app.lock);
	dir = opendir(f->dir);
	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
	rmdir(f->dir);
}

unsigned int tg_admin_explain(struct tg_admin_req *q)
{
	(void)q; /* test_explain.c */
	return 500;
}
