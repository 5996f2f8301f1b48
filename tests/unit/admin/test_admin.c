#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../tgtest.h"
#include "fake_app.h"

static struct fake_app f;
static char answer[1 << 20], *body;

static void start(void)
{
	struct tg_errbuf e = {""};

	fake_app_init(&f);
	f.snapshot.admin.socket = f.socket;
	if (tg_admin_start(&f.app, &e) < 0) {
		CU_FAIL_FATAL(e.text);
	}
}

static int dial(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, f.socket);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Sends text, reads until the end; returns the status, 0 when there is none. */
static int exchange(const char *text, size_t n)
{
	int fd = dial(), status = 0;
	size_t got = 0;
	ssize_t k;

	CU_ASSERT_FATAL(fd >= 0);
	(void)!send(fd, text, n, MSG_NOSIGNAL);
	while ((k = recv(fd, answer + got, sizeof(answer) - 1 - got, 0)) > 0)
		got += (size_t)k;
	close(fd);
	answer[got] = '\0';
	body = strstr(answer, "\r\n\r\n");
	body = body ? body + 4 : answer + got;
	sscanf(answer, "HTTP/1.%*d %d", &status);
	return status;
}

static int request(const char *method, const char *target, const char *fields)
{
	char text[1024];
	int n = snprintf(text, sizeof(text),
		"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, target, fields);

	return exchange(text, (size_t)n);
}

static int get(const char *target)
{
	return request("GET", target, "");
}

static int post(const char *target)
{
	return request("POST", target, "Content-Length: 0\r\n");
}

#define SAYS(text) CU_ASSERT_PTR_NOT_NULL(strstr(body, text))

static void ready_follows_the_state(void)
{
	start();
	CU_ASSERT_EQUAL(get("/ready"), 200);
	CU_ASSERT_STRING_EQUAL(body, "LIVE\n");
	CU_ASSERT_EQUAL(post("/healthcheck/fail"), 200);
	CU_ASSERT_EQUAL(get("/ready"), 503);
	CU_ASSERT_STRING_EQUAL(body, "DRAINING\n");
	CU_ASSERT_EQUAL(post("/healthcheck/ok"), 200);
	CU_ASSERT_EQUAL(get("/ready"), 200);
	atomic_store(&f.app.state, TG_STATE_INIT);
	CU_ASSERT_EQUAL(get("/ready"), 503);
	CU_ASSERT_STRING_EQUAL(body, "PRE_INITIALIZING\n");
	/* Workers are not there yet. */
	f.app.workers = NULL;
	CU_ASSERT_EQUAL(get("/memory"), 200);
	CU_ASSERT_EQUAL(get("/stats"), 200);
	CU_ASSERT_EQUAL(get("/clusters"), 200);
	CU_ASSERT_EQUAL(get("/ports"), 200);
	f.app.workers = f.workers;
	atomic_store(&f.app.state, TG_STATE_DRAINING);
	CU_ASSERT_EQUAL(get("/ready"), 503);
	CU_ASSERT_STRING_EQUAL(body, "DRAINING\n");
	fake_app_fini(&f);
}

static void mutations_take_post_only(void)
{
	static const struct {
		const char *path;
		unsigned int command;
	} t[] = {
		{"/drain", TG_CMD_DRAIN},
		{"/drain_listeners?graceful", TG_CMD_DRAIN},
		{"/reopen_logs", TG_CMD_REOPEN},
		{"/quitquitquit", TG_CMD_QUIT},
	};

	start();
	fake_commands();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		CU_ASSERT_EQUAL(get(t[i].path), 405);
		CU_ASSERT_PTR_NOT_NULL(strstr(answer, "Allow: POST\r\n"));
		CU_ASSERT_EQUAL(request("POST", t[i].path,
					"Content-Length: 0\r\nOrigin: http://evil.example\r\n"),
			403);
		CU_ASSERT_EQUAL(fake_commands(), 0);
		CU_ASSERT_EQUAL(post(t[i].path), 200);
		CU_ASSERT_EQUAL(fake_commands(), t[i].command);
	}
	CU_ASSERT_EQUAL(post("/ready"), 405);
	CU_ASSERT_EQUAL(request("DELETE", "/ready", ""), 405);
	CU_ASSERT_EQUAL(request("HEAD", "/ready", ""), 200);
	CU_ASSERT_STRING_EQUAL(body, "");
	CU_ASSERT_EQUAL(get("/nope"), 404);
	CU_ASSERT_EQUAL(get("/ready/"), 404);
	SAYS("/stats/prometheus");
	fake_app_fini(&f);
}

static void reload_tells_every_error(void)
{
	start();
	fake_commands();
	fake_reload_succeeds(false);
	CU_ASSERT_EQUAL(post("/reload"), 400);
	CU_ASSERT_STRING_EQUAL(body, "/etc/tidegate.cfg:3: first mistake\n"
				     "/etc/tidegate.cfg:4: second mistake\nnothing was changed\n");
	CU_ASSERT_EQUAL(fake_commands(), TG_CMD_RELOAD);
	fake_reload_succeeds(true);
	CU_ASSERT_EQUAL(post("/reload"), 200);
	CU_ASSERT_STRING_EQUAL(body, "OK\ngeneration 3\n");
	CU_ASSERT_EQUAL(fake_commands(), TG_CMD_RELOAD);
	atomic_store(&f.app.state, TG_STATE_DRAINING);
	CU_ASSERT_EQUAL(post("/reload"), 409);
	CU_ASSERT_EQUAL(fake_commands(), 0);
	CU_ASSERT_EQUAL(f.app.holds, 0);
	fake_app_fini(&f);
}

static json_t *get_json(const char *target)
{
	json_error_t e;
	json_t *j;

	CU_ASSERT_EQUAL(get(target), 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "Content-Type: application/json\r\n"));
	j = json_loads(body, 0, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	return j;
}

/* Follows a path like "ledger.dropped" or "pools.0.name". */
static json_t *at(json_t *j, const char *path)
{
	char copy[128], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *k = strtok_r(copy, ".", &save); k; k = strtok_r(NULL, ".", &save))
		j = json_is_array(j) ? json_array_get(j, strtoul(k, NULL, 10))
				     : json_object_get(j, k);
	return j;
}

#define IS_STR(j, path, want) CU_ASSERT_STRING_EQUAL(json_string_value(at(j, path)), want)
#define IS_INT(j, path, want) CU_ASSERT_EQUAL(json_integer_value(at(j, path)), want)

static void clusters_and_listeners(void)
{
	json_t *j;

	start();
	CU_ASSERT_EQUAL(get("/clusters"), 200);
	SAYS("v1::default_priority::max_connections::1024\n");
	SAYS("v1::10.77.2.2:8080::cx_active::2\n"); /* both workers' */
	SAYS("v1::10.77.2.2:8080::rq_total::28\n");
	SAYS("v1::10.77.2.2:8080::rq_success::12\n");
	SAYS("v1::10.77.2.2:8080::health_flags::/failed_active_hc/active_hc_timeout\n");
	SAYS("v1::10.77.2.2:8080::weight::3\n");
	j = get_json("/clusters?format=json");
	IS_STR(j, "cluster_statuses.0.name", "v1");
	IS_STR(j, "cluster_statuses.0.host_statuses.0.address.socket_address.address", "10.77.2.2");
	IS_INT(j, "cluster_statuses.0.host_statuses.0.address.socket_address.port_value", 8080);
	IS_STR(j, "cluster_statuses.0.host_statuses.0.stats.0.value", "2");
	json_decref(j);
	CU_ASSERT_EQUAL(get("/listeners"), 200);
	CU_ASSERT_STRING_EQUAL(body, "web::10.77.1.1:80\nraw::[fd77:1::1]:5432\n");
	f.snapshot.listeners[1].stats[1].listening = 0;
	CU_ASSERT_EQUAL(get("/listeners"), 200);
	SAYS("raw::[fd77:1::1]:5432::not_open::1/2\n");
	j = get_json("/listeners?format=json");
	IS_STR(j, "listener_statuses.1.local_address.socket_address.address", "fd77:1::1");
	IS_STR(j, "listener_statuses.1.protocol", "tcp");
	IS_INT(j, "listener_statuses.1.listening", 1);
	IS_INT(j, "not_open", 1);
	json_decref(j);
	CU_ASSERT_EQUAL(get("/listeners?format=xml"), 400);
	CU_ASSERT_EQUAL(get("/clusters?format=xml"), 400);
	CU_ASSERT_EQUAL(f.app.holds, 0);
	fake_app_fini(&f);
}

static void config_and_info(void)
{
	json_t *j;

	start();
	j = get_json("/config_dump");
	IS_INT(j, "configs.0.generation", 3);
	IS_STR(j, "configs.0.last_updated", "2025-12-31T23:59:59.123Z");
	IS_STR(j, "configs.0.source", "# caf?\nworkers = 2;\n");
	json_decref(j);
	CU_ASSERT_EQUAL(get("/config_dump?format=text"), 200);
	CU_ASSERT_STRING_EQUAL(body, "# caf\xe9\nworkers = 2;\n");
	strcpy(f.app.reload_error, "x:1: no");
	j = get_json("/server_info");
	IS_STR(j, "state", "LIVE");
	IS_STR(j, "version", "tidegate/" TG_VERSION);
	IS_INT(j, "pid", getpid());
	IS_INT(j, "concurrency", FAKE_WORKERS);
	IS_STR(j, "last_reload_error", "x:1: no");
	IS_INT(j, "workers.1.worker", 1);
	json_decref(j);
	j = get_json("/ports?format=json");
	IS_STR(j, "ports.0.name", "north");
	IS_STR(j, "ports.0.addresses.0", "10.77.1.1");
	json_decref(j);
	fake_app_fini(&f);
}

static void certs(void)
{
	json_t *j;

	start();
	j = get_json("/certs?format=json");
	IS_STR(j, "certificates.0.kind", "cert_chain");
	IS_STR(j, "certificates.0.path", "server.crt");
	IS_STR(j, "certificates.0.subject_alt_names.0.uri", "spiffe://mesh.example/a");
	IS_STR(j, "certificates.0.subject_alt_names.2.dns", "b.test");
	IS_STR(j, "certificates.0.expiration_time", "2100-01-01T00:00:00.000Z");
	json_decref(j);
	CU_ASSERT_EQUAL(get("/certs"), 200);
	SAYS("server.crt  CN=server");
	fake_app_fini(&f);
}

static void memory(void)
{
	json_t *j;

	start();
	CU_ASSERT_PTR_NOT_NULL(tg_log_reserve(f.workers[0].log));
	tg_log_commit(f.workers[0].log);
	j = get_json("/memory?format=json");
	IS_STR(j, "pools.0.name", "tcb");
	IS_INT(j, "pools.0.worker", 0);
	IS_INT(j, "pools.0.size", 256);
	IS_INT(j, "pools.0.count", 1000);
	IS_INT(j, "pools.0.in_use", 3);
	IS_INT(j, "pools.0.peak", 9);
	IS_INT(j, "pools.0.refused", 2);
	IS_STR(j, "pools.1.name", "exchange");
	CU_ASSERT(json_is_null(at(j, "pools.2.peak"))); /* a table */
	IS_STR(j, "pools.3.name", "log_ring");
	IS_INT(j, "pools.3.in_use", 1);
	IS_INT(j, "configured_bytes", 1 << 29);
	json_decref(j);
	CU_ASSERT_EQUAL(get("/memory"), 200);
	SAYS("tcb                       1      256       1000          3          9          2\n");
	fake_app_fini(&f);
}

static void stats_and_drops(void)
{
	json_t *j;

	start();
	f.workers[0].stats->rx_packets = 10;
	f.workers[0].stats->rx_arp = 7;
	f.workers[1].stats->why[TG_WHY_ip_not_ours] = 3;
	tg_stats_listener(f.app.stats, "raw")[1].downstream_cx_total = 4;
	CU_ASSERT_EQUAL(get("/stats"), 200);
	SAYS("server.live: 1\n");
	SAYS("config.generation: 3\n");
	SAYS("pool.tcb.in_use: 6\n");
	SAYS("port.north.link_up: 0\n");
	SAYS("server.rx_packets: 10\n");
	SAYS("tcp.raw.downstream_cx_total: 4\n");
	CU_ASSERT_EQUAL(get("/stats?usedonly&filter=%5Edrop%5C."), 200);
	CU_ASSERT_STRING_EQUAL(body, "drop.ip_not_ours: 3\n");
	CU_ASSERT_EQUAL(get("/stats?filter=%28"), 400);
	SAYS("filter: ");
	CU_ASSERT_EQUAL(get("/stats?format=xml"), 400);
	CU_ASSERT_EQUAL(get("/stats/prometheus?filter=rx_packets"), 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "text/plain; version=0.0.4"));
	CU_ASSERT_STRING_EQUAL(body, "# HELP tidegate_rx_packets_total packets taken from ports\n"
				     "# TYPE tidegate_rx_packets_total counter\n"
				     "tidegate_rx_packets_total{worker=\"0\"} 10\n"
				     "tidegate_rx_packets_total{worker=\"1\"} 0\n");
	json_decref(get_json("/stats?format=json"));
	j = get_json("/drops?format=json&usedonly");
	IS_INT(j, "ledger.received", 10);
	IS_INT(j, "ledger.dropped", 3);
	CU_ASSERT(json_is_true(at(j, "ledger.balanced")));
	IS_STR(j, "reasons.0.reason", "ip_not_ours");
	IS_INT(j, "reasons.0.count", 3);
	CU_ASSERT_EQUAL(json_array_size(at(j, "reasons")), 1);
	json_decref(j);
	f.workers[0].stats->rx_packets++;
	CU_ASSERT_EQUAL(get("/drops"), 200);
	SAYS("missing: 1\nbalanced: no\n");
	fake_app_fini(&f);
}

/* The readings of two workers, one with a thread that the kernel knows. */
static void tax(void)
{
	json_t *j, *w;
	struct tg_tax *t;

	start();
	t = &f.workers[0].stats->tax;
	f.workers[0].stats->busy_cycles = 77;
	tg_hist_record(&f.workers[0].stats->rq_duration, 1000);
	atomic_store(&f.workers[0].tid, (int)gettid());
	tg_tax_begin(t, 100);
	tg_tax_border(t, TG_STAGE_http, 110);
	tg_tax_end(t, 150, true);
	CU_ASSERT_EQUAL(get("/tax"), 200);
	SAYS("0::requests::1\n");
	SAYS("0::busy_cycles::77\n");
	SAYS("0::traced_cycles_http::40\n");
	SAYS("0::system_ms::");
	CU_ASSERT_PTR_NULL(strstr(body, "1::system_ms"));
	CU_ASSERT_EQUAL(get("/tax?format=json"), 200);
	j = json_loads(body, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	CU_ASSERT_TRUE(json_integer_value(json_object_get(j, "tsc_hz")) >= 0);
	w = json_array_get(json_object_get(j, "workers"), 0);
	CU_ASSERT_EQUAL(
		json_integer_value(json_object_get(json_object_get(w, "traced"), "cycles")), 50);
	CU_ASSERT_EQUAL(
		json_integer_value(json_object_get(json_object_get(w, "thread"), "tid")), gettid());
	CU_ASSERT_TRUE(json_is_integer(
		json_object_get(json_object_get(w, "thread"), "voluntary_switches")));
	CU_ASSERT_TRUE(json_is_false(json_object_get(w, "sampling")));
	w = json_array_get(json_object_get(j, "workers"), 1);
	CU_ASSERT_TRUE(json_is_null(json_object_get(w, "thread")));
	json_decref(j);
	CU_ASSERT_EQUAL(get("/tax?format=xml"), 400);
	fake_app_fini(&f);
}

static void tax_samples_for_a_while(void)
{
	static const char *const bad[] = {"", "0", "-1", "3601", "1x", "99999999999999999999"};
	char target[64];
	struct timespec now;

	start();
	for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
		snprintf(target, sizeof(target), "/tax/sample?seconds=%s", bad[i]);
		CU_ASSERT_EQUAL(post(target), 400);
	}
	CU_ASSERT_EQUAL(get("/tax/sample"), 405);
	CU_ASSERT_EQUAL(atomic_load(&f.workers[1].stats->tax.until), 0);
	CU_ASSERT_EQUAL(post("/tax/sample?seconds=100"), 200);
	clock_gettime(CLOCK_MONOTONIC, &now);
	for (uint32_t i = 0; i < FAKE_WORKERS; i++) {
		struct tg_tax *t = &f.workers[i].stats->tax;

		CU_ASSERT_TRUE(tg_tax_wanted(t, ((uint64_t)now.tv_sec + 90) * TG_SEC));
		CU_ASSERT_FALSE(tg_tax_wanted(t, ((uint64_t)now.tv_sec + 102) * TG_SEC));
	}
	CU_ASSERT_EQUAL(get("/tax?format=json"), 200);
	SAYS("\"sampling\": true");
	fake_app_fini(&f);
}

static void bad_requests_do_no_harm(void)
{
	static char big[200000];
	static const char head[] = "POST /healthcheck/fail HTTP/1.1\r\nHost: x\r\n"
				   "Content-Length: 150000\r\n\r\n";
	int fd;

	start();
	memset(big, 'A', sizeof(big));
	exchange(big, sizeof(big));
	fd = dial();
	CU_ASSERT_EQUAL(send(fd, "\r\n\r\n\0\1\2garbage\r\n\r\n", 18, 0), 18);
	close(fd); /* gone before any answer */
	memcpy(big, head, sizeof(head) - 1);
	CU_ASSERT_NOT_EQUAL(exchange(big, sizeof(head) - 1 + 150000), 200);
	CU_ASSERT_EQUAL(get("/ready"), 200);
	fake_app_fini(&f);
}

/* Clients that say nothing take one thread's time, not the other requests'. */
static void silent_clients_do_not_block(void)
{
	int fd[40];

	start();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(fd); i++) {
		fd[i] = dial();
		CU_ASSERT(fd[i] >= 0);
		(void)!send(fd[i], "GET /re", 7, MSG_NOSIGNAL);
	}
	CU_ASSERT_EQUAL(get("/ready"), 200);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(fd); i++)
		close(fd[i]);
	fake_app_fini(&f);
}

static void socket_file(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct tg_errbuf e = {""};
	struct tg_app other;
	struct stat st;
	int fd;

	start();
	CU_ASSERT_EQUAL(lstat(f.socket, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0660);
	/* A second process is refused, and does not take the socket away. */
	other = f.app;
	CU_ASSERT_EQUAL(tg_admin_start(&other, &e), TG_EEXIST);
	CU_ASSERT_PTR_NULL(other.admin);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "a running process has"));
	CU_ASSERT_EQUAL(get("/ready"), 200);
	tg_admin_stop(&f.app);
	CU_ASSERT_EQUAL(lstat(f.socket, &st), -1);
	/* What a killed process left behind is replaced. */
	strcpy(sun.sun_path, f.socket);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	CU_ASSERT_EQUAL(tg_admin_start(&f.app, &e), 0);
	CU_ASSERT_EQUAL(get("/ready"), 200);
	tg_admin_stop(&f.app);
	/* Somebody's file is not. */
	close(open(f.socket, O_CREAT | O_WRONLY, 0600));
	CU_ASSERT_EQUAL(tg_admin_start(&f.app, &e), TG_EEXIST);
	CU_ASSERT_EQUAL(lstat(f.socket, &st), 0);
	unlink(f.socket);
	/* Neither socket nor address: nothing to do. */
	f.snapshot.admin.socket = "";
	CU_ASSERT_EQUAL(tg_admin_start(&f.app, &e), 0);
	fake_app_fini(&f);
}

/* A port of the kernel's that is free now, on ip. */
static struct tg_sockaddr free_address(const char *ip)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u = {.sa.sa_family = strchr(ip, ':') ? AF_INET6 : AF_INET};
	socklen_t n = sizeof(u);
	struct tg_sockaddr a;
	int fd = socket(u.sa.sa_family, SOCK_STREAM, 0);

	tg_ip_parse(ip, &a.ip);
	if (u.sa.sa_family == AF_INET6)
		memcpy(&u.in6.sin6_addr, a.ip.b, 16);
	else
		memcpy(&u.in.sin_addr, a.ip.b + 12, 4);
	a.port = 0;
	if (bind(fd, &u.sa, sizeof(u)) == 0 && getsockname(fd, &u.sa, &n) == 0)
		a.port = ntohs(u.in.sin_port); /* in the same place in both */
	close(fd);
	return a;
}

static int get_at(const struct tg_sockaddr *a)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
	bool v4 = tg_ip_is_v4(&a->ip);
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0), status = 0, rc;

	memcpy(&in6.sin6_addr, a->ip.b, 16);
	memcpy(&in.sin_addr, a->ip.b + 12, 4);
	rc = v4 ? connect(fd, (struct sockaddr *)&in, sizeof(in))
		: connect(fd, (struct sockaddr *)&in6, sizeof(in6));
	if (rc == 0 && send(fd, "GET /ready HTTP/1.0\r\n\r\n", 23, 0) == 23 &&
		recv(fd, answer, 15, MSG_WAITALL) == 15)
		sscanf(answer, "HTTP/1.%*d %d", &status);
	close(fd);
	return status;
}

static void tcp_address(void)
{
	static const char *const ips[] = {"127.0.0.1", "::1"};
	struct tg_errbuf e = {""};
	struct tg_app other;

	fake_app_init(&f);
	f.snapshot.admin.socket = "";
	f.snapshot.admin.has_address = true;
	for (uint32_t i = 0; i < TG_ARRAY_LEN(ips); i++) {
		f.snapshot.admin.address = free_address(ips[i]);
		if (f.snapshot.admin.address.port == 0)
			continue; /* a kernel without IPv6 */
		CU_ASSERT_EQUAL_FATAL(tg_admin_start(&f.app, &e), 0);
		CU_ASSERT_EQUAL(get_at(&f.snapshot.admin.address), 200);
		other = f.app;
		CU_ASSERT_EQUAL(tg_admin_start(&other, &e), TG_ESYS);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "in use"));
		tg_admin_stop(&f.app);
	}
	fake_app_fini(&f);
}

TG_TEST_MAIN("admin", {"ready follows the state", ready_follows_the_state}, {"tax", tax},
	{"tax samples for a while", tax_samples_for_a_while},
	{"mutations take POST only", mutations_take_post_only},
	{"reload tells every error", reload_tells_every_error},
	{"clusters and listeners", clusters_and_listeners}, {"config and info", config_and_info},
	{"memory", memory}, {"certs", certs}, {"stats and drops", stats_and_drops},
	{"bad requests do no harm", bad_requests_do_no_harm},
	{"silent clients do not block", silent_clients_do_not_block}, {"socket file", socket_file},
	{"tcp address", tcp_address})
