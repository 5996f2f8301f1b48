#include "control.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "dns.h"
#include "port.h"
#include "sink.h"
#include "snapshots.h"
#include "tls.h"
#include "worker.h"

#define HOUSEKEEPING_MS 1000
#define DRAIN_LOOK_MS 20
/* After the last client is gone: time for FINs and last bytes to be acknowledged. */
#define ORPHANS_NS (3 * TG_SEC)
/* After the rest has been aborted: time for the RSTs to leave. */
#define ABORT_NS (100 * TG_MS)

struct tg_control {
	int epoll, signals;
	uint64_t deadline; /* CLOCK_MONOTONIC, ns: the drain ends */
	uint64_t idle_at;  /* ... no client was left; 0: not yet */
	uint64_t looked_at;
	bool done;
};

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * TG_SEC + (uint64_t)ts.tv_nsec;
}

/* --- what is asked --- */

void tg_app_command(struct tg_app *app, enum tg_command c)
{
	const uint64_t one = 1;
	int saved = errno;

	atomic_fetch_or(&app->commands, (uint32_t)c);
	if (write(app->command_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: it is awake already. */
	}
	errno = saved;
}

static uint32_t command_of(uint32_t signo)
{
	switch (signo) {
	case SIGHUP:
		return TG_CMD_RELOAD;
	case SIGUSR1:
		return TG_CMD_REOPEN;
	case SIGTERM:
	case SIGINT:
		return TG_CMD_DRAIN;
	}
	return 0;
}

static int watch(int epoll, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) ? TG_ESYS : 0;
}

int tg_control_start(struct tg_app *app, struct tg_errbuf *e)
{
	struct tg_control *c = calloc(1, sizeof(*c));
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, SIGHUP);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &ours, NULL);
	signal(SIGPIPE, SIG_IGN);
	app->command_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!c)
		return tg_fail(e, TG_ENOMEM, "out of memory");
	app->control = c;
	c->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0 || watch(c->epoll, c->signals) || watch(c->epoll, app->command_fd)) {
		tg_fail(e, TG_ESYS, "cannot wait for signals: %s", strerror(errno));
		tg_control_stop(app);
		return TG_ESYS;
	}
	return 0;
}

void tg_control_stop(struct tg_app *app)
{
	struct tg_control *c = app->control;

	if (!c)
		return;
	close(c->signals);
	close(c->epoll);
	close(app->command_fd);
	free(c);
	app->control = NULL;
}

static uint32_t take_commands(struct tg_app *app, int timeout_ms)
{
	struct tg_control *c = app->control;
	struct signalfd_siginfo info;
	struct epoll_event ev[8];
	uint32_t commands = 0;
	uint64_t n;

	if (epoll_wait(c->epoll, ev, 8, timeout_ms) < 0 && errno != EINTR)
		return TG_CMD_QUIT;
	while (read(c->signals, &info, sizeof(info)) == sizeof(info)) {
		uint32_t one = command_of(info.ssi_signo);

		/* Asked twice to end: now. */
		if (one == TG_CMD_DRAIN &&
			(commands & TG_CMD_DRAIN || atomic_load(&app->state) == TG_STATE_DRAINING))
			one = TG_CMD_QUIT;
		commands |= one;
	}
	if (read(app->command_fd, &n, sizeof(n)) == sizeof(n))
		commands |= atomic_exchange(&app->commands, 0);
	return commands;
}

/* --- what is done --- */

static void say_not_open(const struct tg_app *app, const struct tg_snapshot *s)
{
	char addr[TG_ADDR_TEXT];

	for (uint32_t i = 0; i < s->n_listeners; i++) {
		const struct tg_listener_conf *l = &s->listeners[i];
		uint32_t on = 0;

		for (uint32_t w = 0; w < app->n_workers; w++)
			on += l->stats[w].listening != 0;
		if (on < app->n_workers)
			tg_say(TG_WARN, "listener %s: %s could not be opened on %u of %u worker(s)",
				l->name, tg_sockaddr_format(&l->addr, addr), app->n_workers - on,
				app->n_workers);
	}
}

static void reload(struct tg_app *app)
{
	static struct tg_order order = {.kind = TG_ORDER_ADOPT};
	struct tg_snapshot *old = app->current, *next = tg_snapshots_load(app);
	uint32_t failed = 0;

	if (!next)
		return;
	order.snapshot = next;
	order.tls = tg_tls_current(app);
	tg_workers_order(app, &order);
	for (uint32_t i = 0; i < app->n_workers; i++)
		failed += atomic_load(&app->workers[i].listeners_failed);
	if (failed)
		say_not_open(app, next);
	tg_names_adopted(app);
	tg_snapshots_replaced(old, next);
	atomic_fetch_add(&app->reloads, 1);
	tg_say(TG_INFO,
		"reloaded %s: generation %llu, %u listener(s), %u virtual host(s), %u cluster(s)",
		app->config_path, (unsigned long long)next->generation, next->n_listeners,
		next->n_vhosts, next->n_clusters);
}

static void begin_drain(struct tg_app *app)
{
	static struct tg_order order = {.kind = TG_ORDER_DRAIN};
	struct tg_control *c = app->control;
	uint64_t now = monotonic(), time = app->boot->dataplane.drain_time;

	if (atomic_load(&app->state) != TG_STATE_LIVE)
		return;
	c->deadline = now + time;
	atomic_store(&app->drain_began, now);
	atomic_store(&app->state, TG_STATE_DRAINING);
	tg_say(TG_INFO,
		"draining: no new connections, up to %llu s for those under way; a second signal "
		"ends it now",
		(unsigned long long)(time / TG_SEC));
	tg_workers_order(app, &order);
}

static uint64_t connections(const struct tg_app *app)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < app->n_workers; i++)
		n += __atomic_load_n(&app->workers[i].stats->tcp_connections, __ATOMIC_RELAXED);
	return n;
}

static bool all_idle(struct tg_app *app)
{
	for (uint32_t i = 0; i < app->n_workers; i++)
		if (!atomic_load(&app->workers[i].idle))
			return false;
	return true;
}

static void look_at_drain(struct tg_app *app)
{
	static struct tg_order order = {.kind = TG_ORDER_ABORT};
	struct tg_control *c = app->control;
	uint64_t now = monotonic();

	if (!c->idle_at && all_idle(app)) {
		c->idle_at = now;
		/* No client is left: what remains are idle connections to origins, and last bytes
		 * and FINs under way, which the stack sends by itself. */
		tg_workers_order(app, &order);
	}
	if (c->idle_at && (!connections(app) || now - c->idle_at >= ORPHANS_NS)) {
		tg_say(TG_INFO, "drained in %.1f s",
			(double)(now - atomic_load(&app->drain_began)) / 1e9);
		c->done = true;
	} else if (now >= c->deadline) {
		tg_say(TG_WARN, "the drain time is over: %llu connection(s) are cut",
			(unsigned long long)connections(app));
		c->done = true;
	}
}

static void obey(struct tg_app *app, uint32_t commands)
{
	struct tg_control *c = app->control;

	if (commands & TG_CMD_REOPEN) {
		tg_sink_reopen(app);
		tg_say(TG_INFO, "log files are opened anew");
	}
	if (commands & TG_CMD_RELOAD && atomic_load(&app->state) == TG_STATE_LIVE)
		reload(app);
	if (commands & TG_CMD_DRAIN)
		begin_drain(app);
	if (commands & TG_CMD_QUIT) {
		tg_say(TG_INFO, "ending now: %llu connection(s) are cut",
			(unsigned long long)connections(app));
		c->done = true;
	}
}

/* What workers found out about endpoints. */
static void say_health(struct tg_app *app)
{
	char addr[TG_ADDR_TEXT], text[TG_HEALTH_TEXT];
	struct tg_health_event e;
	uint64_t lost, sum = 0;

	for (bool more = true; more; sum += lost) {
		more = tg_health_next(app->health, &e, &lost);
		if (more)
			tg_say(TG_INFO, "cluster %s: %s is %s", e.cluster,
				tg_sockaddr_format(&e.addr, addr), tg_health_event_text(&e, text));
	}
	if (sum)
		tg_say(TG_WARN, "%llu changes of endpoints' health came too fast to be told",
			(unsigned long long)sum);
}

static void housekeep(struct tg_app *app)
{
	static struct tg_order announce = {.kind = TG_ORDER_ANNOUNCE};
	struct tg_control *c = app->control;
	uint64_t now = monotonic();

	if (now - c->looked_at < HOUSEKEEPING_MS * TG_MS)
		return;
	c->looked_at = now;
	if (tg_ports_look(app))
		tg_workers_order(app, &announce);
	tg_snapshots_sweep(app);
	tg_names_look(app);
	tg_tls_look(app);
	say_health(app);
}

/* What is left is told so, not left to time out. */
static void abort_rest(struct tg_app *app)
{
	static struct tg_order order = {.kind = TG_ORDER_ABORT};
	const struct timespec nap = {.tv_nsec = 1000 * 1000};
	uint64_t until;

	if (!tg_workers_order(app, &order))
		return;
	until = monotonic() + ABORT_NS;
	while (connections(app) && monotonic() < until)
		nanosleep(&nap, NULL);
}

static void say_ready(const struct tg_app *app)
{
	const struct tg_snapshot *s = app->boot;
	char cpus[128], addr[TG_ADDR_TEXT];

	for (uint32_t i = 0; i < s->n_listeners; i++)
		tg_say(TG_INFO, "listener %s: %s %s", s->listeners[i].name,
			s->listeners[i].protocol == TG_PROTOCOL_HTTP ? "http" : "tcp",
			tg_sockaddr_format(&s->listeners[i].addr, addr));
	tg_say(TG_INFO, "%u packet buffers of %u bytes, %u connections a worker",
		app->budget.n_mbufs, app->budget.mbuf_bytes, app->budget.max_conns);
	tg_say(TG_INFO, "ready: %u worker(s), control on CPU %s, HTTP heads scanned by %s",
		app->n_workers, tg_cpu_set_text(&app->cpus.control, cpus, sizeof(cpus)),
		tg_h1_scanner());
}

static int go_live(struct tg_app *app, struct tg_errbuf *e)
{
	static struct tg_order announce = {.kind = TG_ORDER_ANNOUNCE};
	static struct tg_order adopt = {.kind = TG_ORDER_ADOPT};
	uint32_t failed = 0;
	int rc = tg_workers_run(app, e);

	if (rc)
		return rc;
	adopt.snapshot = app->boot;
	adopt.tls = tg_tls_current(app);
	if (!tg_workers_order(app, &announce) || !tg_workers_order(app, &adopt))
		return tg_fail(e, TG_ESYS, "the workers do not start");
	for (uint32_t i = 0; i < app->n_workers; i++)
		failed += atomic_load(&app->workers[i].listeners_failed);
	if (failed) {
		say_not_open(app, app->boot);
		return tg_fail(e, TG_EEXIST, "%u listener(s) could not be opened", failed);
	}
	atomic_store(&app->state, TG_STATE_LIVE);
	say_ready(app);
	return 0;
}

/* -1: never. */
static int sooner(int a, int b)
{
	return b >= 0 && b < a ? b : a;
}

int tg_control_run(struct tg_app *app, struct tg_errbuf *e)
{
	struct tg_control *c = app->control;
	int rc = go_live(app, e);

	if (!rc) {
		tg_tls_attach(app, c->epoll);
		tg_names_attach(app, c->epoll);
	}
	while (!rc && !c->done) {
		bool draining = atomic_load(&app->state) == TG_STATE_DRAINING;
		int ms = draining ? DRAIN_LOOK_MS : HOUSEKEEPING_MS;

		ms = sooner(ms, tg_tls_poll(app));
		ms = sooner(ms, tg_names_poll(app));
		obey(app, take_commands(app, ms));
		if (draining && !c->done)
			look_at_drain(app);
		housekeep(app);
	}
	atomic_store(&app->state, TG_STATE_STOPPING);
	if (!rc)
		abort_rest(app);
	tg_workers_halt(app);
	return rc;
}
