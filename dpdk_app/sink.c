#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (256u * 1024)
#define FLUSH_BYTES (64u * 1024)
#define FLUSH_NS 1000000000ull
#define RECORDS_A_RING 64 /* from one ring before the next has its turn */
/* When all rings are empty: twice as long each time. A ring holds what its worker can log
 * meanwhile. */
#define SLEEP_MIN_NS 250000
#define SLEEP_MAX_NS 4000000
#define PIPE_WAIT_MS 200

struct tg_sink {
	struct tg_app *app;
	struct tg_log_format *format;
	const char *path; /* "-": standard output */
	int fd;
	bool regular;   /* a file: writes do not block for long */
	bool torn_line; /* the file ends within a line: the rest could not be written */
	bool failing;   /* the last write failed: said once */
	char *buf;
	uint32_t used;
	uint64_t first_at; /* CLOCK_MONOTONIC, ns, of the oldest line in buf */
	_Atomic bool stop, reopen;
	_Atomic uint64_t lines, bytes, lines_lost, writes_failed, reopened, reopen_failed;
	pthread_t thread;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Single writer: no read-modify-write needed. */
static void add(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(
		c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static uint64_t count_lines(const char *p, uint32_t n)
{
	uint64_t lines = 0;

	for (uint32_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	return lines;
}

static int open_log(const char *path)
{
	/* Not blocking: a FIFO without a reader is an error, not a wait. */
	return strcmp(path, "-") == 0
		       ? dup(STDOUT_FILENO)
		       : open(path,
				 O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
				 0640);
}

static void use_fd(struct tg_sink *s, int fd)
{
	struct stat st;

	s->fd = fd;
	s->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	s->torn_line = false;
}

/* Writes n bytes; returns how many went out. A pipe whose reader is slow gets PIPE_BUF at a time,
 * as that is what poll() promises not to block for; after PIPE_WAIT_MS without room the rest is
 * given up, and from then on at once, until it has taken all of a write again. */
static uint32_t write_all(struct tg_sink *s, const char *p, uint32_t n)
{
	uint32_t done = 0;

	while (done < n) {
		uint32_t want = n - done;
		ssize_t got;

		if (!s->regular) {
			struct pollfd pfd = {.fd = s->fd, .events = POLLOUT};

			if (poll(&pfd, 1, s->failing ? 0 : PIPE_WAIT_MS) == 0) {
				errno = EAGAIN;
				break;
			}
			want = want < 4096 ? want : 4096;
		}
		got = write(s->fd, p + done, want);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			break;
		done += (uint32_t)got;
	}
	return done;
}

static void flush(struct tg_sink *s)
{
	uint32_t n = s->used, done;
	uint64_t lines = count_lines(s->buf, n), written;

	s->used = 0;
	if (n == 0)
		return;
	/* A line torn by a failed write ends here: its tail is lost, the next line begins at a
	 * margin. */
	if (s->torn_line && write_all(s, "\n", 1) == 1)
		s->torn_line = false;
	done = s->torn_line ? 0 : write_all(s, s->buf, n);
	written = count_lines(s->buf, done);
	add(&s->lines, written);
	add(&s->bytes, done);
	if (done == n) {
		if (s->failing)
			tg_say(TG_INFO, "access log %s: written again", s->path);
		s->failing = false;
		return;
	}
	if (!s->failing)
		tg_say(TG_ERROR, "access log %s: %s; lines are dropped until this is mended",
			s->path, strerror(errno));
	s->failing = true;
	s->torn_line = s->torn_line || (done > 0 && s->buf[done - 1] != '\n');
	add(&s->writes_failed, 1);
	add(&s->lines_lost, lines - written);
}

static void reopen(struct tg_sink *s)
{
	int fd;

	flush(s);
	fd = open_log(s->path);
	if (fd < 0) {
		tg_say(TG_ERROR, "access log %s: cannot open it again: %s; the old file is kept",
			s->path, strerror(errno));
		add(&s->reopen_failed, 1);
		return;
	}
	close(s->fd);
	use_fd(s, fd);
	add(&s->reopened, 1);
}

static uint32_t take(struct tg_sink *s, struct tg_log_ring *ring)
{
	const struct tg_log_record *r;
	uint32_t n = 0;

	while (n < RECORDS_A_RING && (r = tg_log_peek(ring))) {
		if (BUFFER_BYTES - s->used < TG_LOG_LINE_MAX)
			flush(s);
		if (s->used == 0)
			s->first_at = now_ns();
		s->used += tg_log_format_line(s->format, r, s->buf + s->used, TG_LOG_LINE_MAX);
		tg_log_release(ring);
		n++;
	}
	return n;
}

static uint32_t take_all(struct tg_sink *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->app->n_workers; i++)
		if (s->app->workers[i].log)
			n += take(s, s->app->workers[i].log);
	return n;
}

static void *run(void *arg)
{
	struct tg_sink *s = arg;
	long sleep_ns = SLEEP_MIN_NS;

	for (;;) {
		/* Read before the rings: what was logged before stop is seen after it. */
		bool stopping = atomic_load(&s->stop);
		uint32_t n = take_all(s);

		if (atomic_exchange(&s->reopen, false))
			reopen(s);
		if (s->used >= FLUSH_BYTES || (s->used && now_ns() - s->first_at >= FLUSH_NS))
			flush(s);
		if (n) {
			sleep_ns = SLEEP_MIN_NS;
			continue;
		}
		if (stopping)
			break;
		nanosleep(&(struct timespec){0, sleep_ns}, NULL);
		sleep_ns = sleep_ns * 2 < SLEEP_MAX_NS ? sleep_ns * 2 : SLEEP_MAX_NS;
	}
	flush(s);
	return NULL;
}

static void sink_free(struct tg_sink *s)
{
	if (s->fd >= 0)
		close(s->fd);
	tg_log_format_free(s->format);
	free(s->buf);
	free(s);
}

static int start_thread(struct tg_sink *s)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		pthread_setname_np(s->thread, "tg-sink");
	return rc;
}

static int sink_init(struct tg_sink *s, const struct tg_admin_conf *conf, struct tg_errbuf *e)
{
	int fd, rc;

	s->fd = -1;
	s->path = conf->access_log;
	s->buf = malloc(BUFFER_BYTES);
	if (!s->buf)
		return tg_fail(e, TG_ENOMEM, "access log: out of memory");
	s->format = tg_log_format_compile(
		conf->access_log_format ? conf->access_log_format : tg_log_default_format, e);
	if (!s->format)
		return TG_EINVAL;
	fd = open_log(s->path);
	if (fd < 0)
		return tg_fail(
			e, TG_ESYS, "access log: cannot open %s: %s", s->path, strerror(errno));
	use_fd(s, fd);
	rc = start_thread(s);
	if (rc)
		return tg_fail(e, TG_ESYS, "access log: cannot start a thread: %s", strerror(rc));
	return 0;
}

int tg_sink_start(struct tg_app *app, struct tg_errbuf *e)
{
	const struct tg_admin_conf *conf = &app->boot->admin;
	struct tg_sink *s;
	int rc;

	app->sink = NULL;
	if (!conf->access_log || !conf->access_log[0])
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return tg_fail(e, TG_ENOMEM, "access log: out of memory");
	s->app = app;
	rc = sink_init(s, conf, e);
	if (rc < 0) {
		sink_free(s);
		return rc;
	}
	app->sink = s;
	return 0;
}

void tg_sink_stop(struct tg_app *app)
{
	if (!app->sink)
		return;
	atomic_store(&app->sink->stop, true);
	pthread_join(app->sink->thread, NULL);
	sink_free(app->sink);
	app->sink = NULL;
}

void tg_sink_reopen(struct tg_app *app)
{
	if (app->sink)
		atomic_store(&app->sink->reopen, true);
}

void tg_sink_counts(const struct tg_app *app, struct tg_sink_counts *out)
{
	struct tg_sink *s = app->sink;

	memset(out, 0, sizeof(*out));
	if (!s)
		return;
	out->lines = atomic_load_explicit(&s->lines, memory_order_relaxed);
	out->bytes = atomic_load_explicit(&s->bytes, memory_order_relaxed);
	out->lines_lost = atomic_load_explicit(&s->lines_lost, memory_order_relaxed);
	out->writes_failed = atomic_load_explicit(&s->writes_failed, memory_order_relaxed);
	out->reopened = atomic_load_explicit(&s->reopened, memory_order_relaxed);
	out->reopen_failed = atomic_load_explicit(&s->reopen_failed, memory_order_relaxed);
}
