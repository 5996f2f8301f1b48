#include "ratelimit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* A worker that needs tokens wakes the keeper as soon as it is idle; one that never is makes no
 * system call, so the keeper looks: often while there is something to do, and for as long after. */
#define LOOK_MS 1
#define IDLE_MS 10
#define BUSY_NS (100 * TG_MS)
#define NO_SERVICE_MS 100

struct tg_ratelimit {
	struct tg_quota *quota;
	struct tg_redis_counts counts;
	pthread_t thread;
	int wake_fd;  /* wakes it */
	bool running; /* control core's */
	_Atomic bool stop;
	pthread_mutex_t lock;
	/* Behind lock: the service to use, of this structure's memory. */
	struct tg_redis_conf *next;
	bool changed;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * TG_SEC + (uint64_t)ts.tv_nsec;
}

/* --- the service's configuration, apart from snapshots -------------------------------------------
 */

static void conf_free(struct tg_redis_conf *c)
{
	if (!c)
		return;
	if (c->password)
		explicit_bzero((char *)(uintptr_t)c->password, strlen(c->password));
	free((char *)(uintptr_t)c->socket);
	free((char *)(uintptr_t)c->user);
	free((char *)(uintptr_t)c->password);
	free((char *)(uintptr_t)c->password_file);
	free(c);
}

static bool copy(const char **out, const char *s)
{
	*out = s ? strdup(s) : NULL;
	return !s || *out;
}

static struct tg_redis_conf *conf_copy(const struct tg_redis_conf *c)
{
	struct tg_redis_conf *n = calloc(1, sizeof(*n));
	bool ok = n != NULL;

	if (!ok)
		return NULL;
	n->address = c->address;
	n->database = c->database;
	n->timeout = c->timeout;
	ok = copy(&n->socket, c->socket) && ok;
	ok = copy(&n->user, c->user) && ok;
	ok = copy(&n->password, c->password) && ok;
	ok = copy(&n->password_file, c->password_file) && ok;
	if (ok)
		return n;
	conf_free(n);
	return NULL;
}

/* --- the thread --------------------------------------------------------------------------------
 */

static void say(void *arg, bool bad, const char *text)
{
	(void)arg;
	tg_say(bad ? TG_WARN : TG_INFO, "rate_limit_service: %s", text);
}

/* What is to be used now, if that changed. */
static bool take_next(struct tg_ratelimit *l, struct tg_redis_conf **conf)
{
	bool changed;

	pthread_mutex_lock(&l->lock);
	changed = l->changed;
	if (changed)
		*conf = l->next;
	l->next = NULL;
	l->changed = false;
	pthread_mutex_unlock(&l->lock);
	return changed;
}

static void be_woken(struct tg_ratelimit *l)
{
	uint64_t n;

	while (read(l->wake_fd, &n, sizeof(n)) > 0)
		;
}

static void wake(struct tg_ratelimit *l)
{
	const uint64_t one = 1;
	ssize_t rc = write(l->wake_fd, &one, sizeof(one)); /* full: it is awake */

	(void)rc;
}

/* Until there is something to do, or may be. */
static void doze(struct tg_ratelimit *l, const struct tg_redis *redis, int ms)
{
	if (!tg_quota_sleep(l->quota))
		return;
	if (redis)
		tg_redis_wait(redis, l->wake_fd, ms);
	else
		poll(&(struct pollfd){.fd = l->wake_fd, .events = POLLIN}, 1, NO_SERVICE_MS);
	tg_quota_woke(l->quota);
	be_woken(l);
}

static void *run(void *arg)
{
	struct tg_ratelimit *l = arg;
	struct tg_redis_conf *conf = NULL, *next = NULL;
	struct tg_redis *redis = NULL;
	uint64_t now = 0, busy_at = 0;

	while (!atomic_load(&l->stop)) {
		if (take_next(l, &next)) {
			tg_redis_close(redis);
			conf_free(conf);
			conf = next;
			redis = conf ? tg_redis_open(conf, l->quota, &l->counts, say, NULL) : NULL;
		}
		doze(l, redis, now - busy_at < BUSY_NS ? LOOK_MS : IDLE_MS);
		now = clock_ns(CLOCK_MONOTONIC);
		if (redis && tg_redis_poll(redis, now, clock_ns(CLOCK_REALTIME)))
			busy_at = now;
	}
	tg_redis_close(redis);
	conf_free(conf);
	return NULL;
}

static int start_thread(struct tg_ratelimit *l)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		pthread_setname_np(l->thread, "tg-ratelimit");
	l->running = rc == 0;
	return rc;
}

/* --- control core ------------------------------------------------------------------------------
 */

static void discard(struct tg_ratelimit *l)
{
	if (!l)
		return;
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	tg_quota_destroy(l->quota);
	free(l);
}

bool tg_ratelimit_prepare(struct tg_app *app, struct tg_snapshot *s, FILE *err)
{
	struct tg_ratelimit *l = app->ratelimit;
	struct tg_quota_counts c;

	if (!l && !s->has_rate_limit_service)
		return true;
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (l)
			l->quota = tg_quota_create(s->quota_keys, app->n_workers);
		if (l)
			l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (!l || !l->quota || l->wake_fd < 0) {
			fprintf(err, "rate_limit_service.max_keys = %u: %s\n", s->quota_keys,
				l && l->quota ? strerror(errno) : "out of memory");
			discard(l);
			return false;
		}
		pthread_mutex_init(&l->lock, NULL);
		atomic_store_explicit(&app->ratelimit, l, memory_order_release); /* workers run */
	}
	tg_quota_counts(l->quota, &c);
	if (s->has_rate_limit_service && c.keys_max != s->quota_keys) {
		fprintf(err,
			"rate_limit_service.max_keys changed from %llu to %u; this takes a "
			"restart\n",
			(unsigned long long)c.keys_max, s->quota_keys);
		return false;
	}
	s->quota = l->quota;
	return true;
}

static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_service(const struct tg_snapshot *a, const struct tg_snapshot *b)
{
	const struct tg_redis_conf *x = &a->redis, *y = &b->redis;

	return a->has_rate_limit_service == b->has_rate_limit_service &&
	       x->address.port == y->address.port && tg_ip_eq(&x->address.ip, &y->address.ip) &&
	       same(x->socket, y->socket) && same(x->user, y->user) &&
	       same(x->password, y->password) && same(x->password_file, y->password_file) &&
	       x->database == y->database && x->timeout == y->timeout;
}

static void use(struct tg_app *app, const struct tg_snapshot *s)
{
	struct tg_ratelimit *l = app->ratelimit;
	struct tg_redis_conf *conf;

	if (!l)
		return;
	conf = s->has_rate_limit_service ? conf_copy(&s->redis) : NULL;
	if (s->has_rate_limit_service && !conf) {
		tg_say(TG_ERROR, "rate_limit_service: out of memory: it stays as it was");
		return;
	}
	pthread_mutex_lock(&l->lock);
	conf_free(l->next);
	l->next = conf;
	l->changed = true;
	pthread_mutex_unlock(&l->lock);
	wake(l);
	if (!l->running && start_thread(l))
		tg_say(TG_ERROR, "rate_limit_service: cannot start a thread: reload to try again");
}

void tg_ratelimit_change(
	struct tg_app *app, const struct tg_snapshot *before, const struct tg_snapshot *s)
{
	if (!same_service(before, s) || (app->ratelimit && !app->ratelimit->running))
		use(app, s);
}

int tg_ratelimit_start(struct tg_app *app, struct tg_errbuf *e)
{
	(void)e;
	use(app, app->boot);
	return 0;
}

void tg_ratelimit_stop(struct tg_app *app)
{
	struct tg_ratelimit *l = app->ratelimit;

	if (!l || !l->running)
		return;
	atomic_store(&l->stop, true);
	wake(l);
	pthread_join(l->thread, NULL);
	l->running = false;
}

void tg_ratelimit_free(struct tg_app *app)
{
	struct tg_ratelimit *l = app->ratelimit;

	if (!l)
		return;
	conf_free(l->next);
	pthread_mutex_destroy(&l->lock);
	discard(l);
	app->ratelimit = NULL;
}

void tg_ratelimit_counts(const struct tg_app *app, struct tg_ratelimit_counts *out)
{
	const struct tg_ratelimit *l = app->ratelimit;

	memset(out, 0, sizeof(*out));
	if (!l)
		return;
	tg_quota_counts(l->quota, &out->quota);
	tg_redis_counts(&l->counts, &out->redis);
}

void tg_ratelimit_rest(struct tg_app *app)
{
	struct tg_ratelimit *l = atomic_load_explicit(&app->ratelimit, memory_order_acquire);

	if (l && tg_quota_wake(l->quota))
		wake(l);
}
