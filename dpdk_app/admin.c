/* The admin interface's life: sockets, threads, dispatch. What the paths do is in admin_*.c. */
#include "admin.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin_req.h"

#define ADMIN_CONNECTIONS 64
#define ADMIN_TIMEOUT_S 15
#define ADMIN_THREADS 2
#define ADMIN_BODY_MAX (64u * 1024) /* bytes of a request's content, which no path uses */

struct tg_admin {
	struct tg_app *app;
	struct MHD_Daemon *on_socket, *on_address;                /* NULL: not asked for */
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": none of ours to remove */
	dev_t socket_dev; /* the socket file as we made it, so that nobody else's is removed */
	ino_t socket_ino;
	_Atomic bool failed; /* /healthcheck/fail */
};

/* What a path does. A path that changes something takes POST only, as Envoy's. */
static const struct path {
	const char *path;
	bool post;
	tg_admin_fn *fn; /* NULL: the list itself */
	const char *text;
} paths[] = {
	{"/", false, NULL, "this list"},
	{"/help", false, NULL, "this list"},
	{"/ready", false, tg_admin_ready,
		"200 LIVE, or 503 PRE_INITIALIZING, INITIALIZING (what is waited for) or DRAINING"},
	{"/server_info", false, tg_admin_server_info, "version, state, uptime, workers (JSON)"},
	{"/stats", false, tg_admin_stats,
		"all statistics; ?filter=REGEX, ?usedonly, ?format=json|prometheus"},
	{"/stats/prometheus", false, tg_admin_prometheus, "the same for Prometheus"},
	{"/drops", false, tg_admin_drops,
		"packet ledger and every drop reason; ?usedonly, ?format=json"},
	{"/clusters", false, tg_admin_clusters, "clusters and their endpoints; ?format=json"},
	{"/listeners", false, tg_admin_listeners, "listeners; ?format=json"},
	{"/ports", false, tg_admin_ports, "ports of the dataplane; ?format=json"},
	{"/memory", false, tg_admin_memory, "every pool: size, in use, peak; ?format=json"},
	{"/tax", false, tg_admin_tax,
		"where the workers' time goes, counted since the start; ?format=json"},
	{"/tax/sample", true, tg_admin_tax_sample,
		"trace turns, for the stages of /tax, for ?seconds=N"},
	{"/certs", false, tg_admin_certs,
		"certificates in use, whose they are and days left; ?format=json"},
	{"/explain", false, tg_admin_explain,
		"what would become of a request now, and why (JSON): ?method=, ?url= and more"},
	{"/config_dump", false, tg_admin_config_dump,
		"the configuration in use (JSON); ?format=text: just its text"},
	{"/reload", true, tg_admin_reload, "read the configuration again, as SIGHUP does"},
	{"/drain", true, tg_admin_drain, "finish what is under way, then exit, as SIGTERM does"},
	{"/drain_listeners", true, tg_admin_drain, "the same; ?graceful is accepted"},
	{"/healthcheck/fail", true, tg_admin_fail, "make /ready answer 503 DRAINING"},
	{"/healthcheck/ok", true, tg_admin_ok, "undo /healthcheck/fail"},
	{"/reopen_logs", true, tg_admin_reopen, "open the access log anew, as SIGUSR1 does"},
	{"/quitquitquit", true, tg_admin_quit, "end now"},
};

static unsigned int print_help(struct tg_admin_req *q)
{
	fputs("admin commands are:\n", q->out);
	for (size_t i = 0; i < TG_ARRAY_LEN(paths); i++)
		fprintf(q->out, "  %s%s: %s\n", paths[i].path, paths[i].post ? " (POST)" : "",
			paths[i].text);
	return MHD_HTTP_OK;
}

static const struct path *find_path(const char *url)
{
	for (size_t i = 0; i < TG_ARRAY_LEN(paths); i++)
		if (strcmp(paths[i].path, url) == 0)
			return &paths[i];
	return NULL;
}

/* Sets *allow when the method is not the path's. */
static unsigned int dispatch(
	struct tg_admin_req *q, const char *url, const char *method, const char **allow)
{
	const struct path *p = find_path(url);
	bool post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
	bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
		   strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;

	if (!p) {
		fputs("invalid path. ", q->out);
		print_help(q);
		return MHD_HTTP_NOT_FOUND;
	}
	if (p->post ? !post : !get) {
		*allow = p->post ? "POST" : "GET, HEAD";
		fprintf(q->out, "Method %s not allowed, %s required.\n", method,
			p->post ? "POST" : "GET");
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	}
	/* A page in somebody's browser must not drain a proxy that listens on its loopback. */
	if (post && MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND, "Origin")) {
		fputs("requests from web pages are refused\n", q->out);
		return MHD_HTTP_FORBIDDEN;
	}
	return p->fn ? p->fn(q) : print_help(q);
}

static enum MHD_Result send_response(
	struct tg_admin_req *q, unsigned int status, char *body, size_t n, const char *allow)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(n, body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result rc;

	if (!r) {
		free(body);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, q->type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache, max-age=0");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (allow)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, allow);
	rc = MHD_queue_response(q->conn, status, r);
	MHD_destroy_response(r);
	return rc;
}

/* Called once with the head, then for each run of content, then once more when it is complete.
 * *state holds how much content there was, plus one. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_n, void **state)
{
	struct tg_admin *a = ctx;
	struct tg_admin_req q = {
		.app = a->app,
		.conn = conn,
		.failed = &a->failed,
		.type = "text/plain; charset=utf-8",
	};
	const char *allow = NULL;
	unsigned int status;
	char *body = NULL;
	size_t n = 0;

	if (!*state) {
		*state = (void *)1;
		return MHD_YES;
	}
	if (*upload_n) {
		*state = (char *)*state + *upload_n;
		*upload_n = 0;
		return (uintptr_t)*state > ADMIN_BODY_MAX ? MHD_NO : MHD_YES;
	}
	q.out = open_memstream(&body, &n);
	if (!q.out)
		return MHD_NO;
	status = dispatch(&q, url, method, &allow);
	if (fclose(q.out) != 0) {
		free(body);
		return MHD_NO;
	}
	return send_response(&q, status, body, n, allow);
}

/* A socket file that nobody answers on is left over from a process that died. */
static int clear_stale(const struct sockaddr_un *sun, struct tg_errbuf *e)
{
	struct stat st;
	int fd, rc, err;

	if (lstat(sun->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return tg_fail(e, TG_EEXIST, "admin: %s exists and is not a socket", sun->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return tg_fail(e, TG_ESYS, "admin: socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	err = rc < 0 ? errno : 0;
	close(fd);
	if (err && err != ECONNREFUSED && err != EAGAIN)
		return tg_fail(e, TG_ESYS, "admin: cannot tell whose %s is: %s", sun->sun_path,
			strerror(err));
	if (err != ECONNREFUSED)
		return tg_fail(e, TG_EEXIST,
			"admin: a running process has %s: stop it, or choose another admin.socket",
			sun->sun_path);
	if (unlink(sun->sun_path) < 0 && errno != ENOENT)
		return tg_fail(e, TG_ESYS, "admin: cannot remove the old %s: %s", sun->sun_path,
			strerror(errno));
	return 0;
}

/* /run is empty after a boot: the last folder of the path is made if it is not there. */
static void make_folder(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	strcpy(dir, path);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return;
	*slash = '\0';
	(void)mkdir(dir, 0755); /* a failure shows in bind() */
}

static int listen_socket(struct tg_admin *a, const char *path, struct tg_errbuf *e)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, rc;

	if (strlen(path) >= sizeof(sun.sun_path))
		return tg_fail(e, TG_ETOOBIG, "admin: socket path longer than %zu bytes: %s",
			sizeof(sun.sun_path) - 1, path);
	strcpy(sun.sun_path, path);
	make_folder(path);
	rc = clear_stale(&sun, e);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return tg_fail(e, TG_ESYS, "admin: socket: %s", strerror(errno));
	/* On Linux the file gets the socket's mode (and the umask): it is never open wider than
	 * that, not for a moment. chmod() then undoes the umask. */
	if (fchmod(fd, 0660) < 0 || bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0 ||
		chmod(path, 0660) < 0 || lstat(path, &st) < 0 ||
		listen(fd, ADMIN_CONNECTIONS) < 0) {
		rc = tg_fail(e, TG_ESYS, "admin: cannot listen on %s: %s", path, strerror(errno));
		close(fd);
		return rc;
	}
	strcpy(a->socket, path);
	a->socket_dev = st.st_dev;
	a->socket_ino = st.st_ino;
	return fd;
}

static int listen_address(const struct tg_sockaddr *addr, struct tg_errbuf *e)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
	bool v4 = tg_ip_is_v4(&addr->ip);
	char text[TG_ADDR_TEXT];
	int fd, one = 1, rc;

	memcpy(&in6.sin6_addr, addr->ip.b, 16);
	memcpy(&in.sin_addr, addr->ip.b + 12, 4);
	fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return tg_fail(e, TG_ESYS, "admin: socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!v4)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	rc = v4 ? bind(fd, (struct sockaddr *)&in, sizeof(in))
		: bind(fd, (struct sockaddr *)&in6, sizeof(in6));
	if (rc < 0 || listen(fd, ADMIN_CONNECTIONS) < 0) {
		rc = tg_fail(e, TG_ESYS, "admin: cannot listen on %s: %s",
			tg_sockaddr_format(addr, text), strerror(errno));
		close(fd);
		return rc;
	}
	return fd;
}

/* fd: listening, taken over. */
static struct MHD_Daemon *serve(struct tg_admin *a, int fd, struct tg_errbuf *e)
{
	struct MHD_Daemon *d;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	d = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL, NULL,
		on_request, a, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)ADMIN_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)ADMIN_TIMEOUT_S,
		MHD_OPTION_THREAD_POOL_SIZE, (unsigned int)ADMIN_THREADS, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!d) {
		close(fd);
		tg_fail(e, TG_ESYS, "admin: cannot start its threads");
	}
	return d;
}

static int start(struct tg_admin *a, const struct tg_admin_conf *conf, struct tg_errbuf *e)
{
	int fd;

	if (conf->socket && conf->socket[0]) {
		fd = listen_socket(a, conf->socket, e);
		if (fd < 0)
			return fd;
		a->on_socket = serve(a, fd, e);
		if (!a->on_socket)
			return TG_ESYS;
	}
	if (conf->has_address) {
		fd = listen_address(&conf->address, e);
		if (fd < 0)
			return fd;
		a->on_address = serve(a, fd, e);
		if (!a->on_address)
			return TG_ESYS;
	}
	return 0;
}

int tg_admin_start(struct tg_app *app, struct tg_errbuf *e)
{
	int rc;

	app->admin = calloc(1, sizeof(*app->admin));
	if (!app->admin)
		return tg_fail(e, TG_ENOMEM, "admin: out of memory");
	app->admin->app = app;
	rc = start(app->admin, &app->boot->admin, e);
	if (rc < 0)
		tg_admin_stop(app);
	return rc;
}

void tg_admin_stop(struct tg_app *app)
{
	struct tg_admin *a = app->admin;
	struct stat st;

	if (!a)
		return;
	if (a->on_socket)
		MHD_stop_daemon(a->on_socket);
	if (a->on_address)
		MHD_stop_daemon(a->on_address);
	if (a->socket[0] && lstat(a->socket, &st) == 0 && st.st_dev == a->socket_dev &&
		st.st_ino == a->socket_ino)
		(void)unlink(a->socket);
	free(a);
	app->admin = NULL;
}
