#include "spiffe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

/* The first response has to come at once (SPIFFE_Workload_API.md, section 4.3). */
#define ANSWER_NS (30 * TG_SEC)

enum state {
	STATE_OFF,        /* nothing is wanted, or asking again is of no use */
	STATE_WAITING,    /* until `at` */
	STATE_CONNECTING, /* TCP */
	STATE_OPEN
};

struct tg_agent {
	struct tg_spiffe_endpoint to;
	tg_agent_take *take;
	void *arg;
	int epoll, fd;
	enum state state;
	uint32_t wanted;   /* calls */
	uint32_t refused;  /* of them, those that the agent told not to make again */
	uint32_t waits;    /* of them, those whose first response is still to come */
	uint32_t failures; /* in a row */
	uint64_t at;       /* ns: the wait is over, or an answer has to be there */
	bool again;        /* the connection is of no more use: connect anew */
	struct tg_spiffe *client;
	uint8_t *unsent; /* the client's bytes that the socket has not taken */
	size_t n_unsent, unsent_at;
	char fault[400]; /* what was logged last */
	_Atomic uint64_t connected, updates, updates_bad, all_failures;
};

/* A fault that stays is said once. */
static void say(struct tg_agent *a, enum tg_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void say(struct tg_agent *a, enum tg_level level, const char *fmt, ...)
{
	char text[sizeof(a->fault)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (strcmp(text, a->fault) == 0)
		return;
	memcpy(a->fault, text, sizeof(text));
	tg_say(level, "Workload API: %s", text);
}

static const char *const call_names[] = {"FetchX509SVID", "FetchX509Bundles"};

/* --- what the client tells ----------------------------------------------------------------------
 */

static void on_update(void *arg, enum tg_spiffe_call call, const struct tg_spiffe_update *update)
{
	struct tg_agent *a = arg;

	a->waits &= ~(1u << call);
	atomic_fetch_add(&a->updates, 1);
	if (a->take(a->arg, call, update)) {
		a->failures = 0;
		a->fault[0] = 0;
		return;
	}
	/* What was said before stays in use; the agent is asked anew, more and more rarely. */
	atomic_fetch_add(&a->updates_bad, 1);
	a->again = true;
}

static void on_end(void *arg, enum tg_spiffe_call call, int status, const char *text)
{
	struct tg_agent *a = arg;
	const char *sep = text[0] ? ": " : "";

	if (status == TG_SPIFFE_INVALID_ARGUMENT || status == TG_SPIFFE_UNIMPLEMENTED) {
		a->refused |= 1u << call;
		say(a, TG_ERROR, "%s: %s%s%s: it is not asked again before a reload",
			call_names[call], tg_spiffe_status_name(status), sep, text);
		a->again = (a->wanted & ~a->refused) == 0;
		return;
	}
	a->again = true;
	if (status == TG_SPIFFE_BAD_MESSAGE) {
		atomic_fetch_add(&a->updates_bad, 1);
		say(a, TG_ERROR,
			"%s: the response cannot be used: %s; what was said before stays in use",
			call_names[call], text);
		return;
	}
	say(a, TG_WARN, "%s ended: %s%s%s", call_names[call], tg_spiffe_status_name(status), sep,
		text);
	/* Section 5.2.1: who may have no SVIDs any more stops using them. */
	if (status == TG_SPIFFE_PERMISSION_DENIED)
		a->take(a->arg, call, NULL);
}

static const struct tg_spiffe_events events = {on_update, on_end};

/* --- the socket ---------------------------------------------------------------------------------
 */

static void hang_up(struct tg_agent *a)
{
	tg_spiffe_close(a->client);
	a->client = NULL;
	free(a->unsent);
	a->unsent = NULL;
	a->n_unsent = a->unsent_at = 0;
	if (a->fd >= 0)
		close(a->fd); /* epoll forgets it */
	a->fd = -1;
	a->again = false;
	atomic_store(&a->connected, 0);
}

static void wait_and_retry(struct tg_agent *a, uint64_t now)
{
	uint64_t random = 0;

	hang_up(a);
	if ((a->wanted & ~a->refused) == 0) {
		a->state = STATE_OFF;
		return;
	}
	RAND_bytes((unsigned char *)&random, sizeof(random));
	a->at = now + tg_spiffe_retry_delay(a->failures++, random);
	atomic_fetch_add(&a->all_failures, 1);
	a->state = STATE_WAITING;
}

static void listen_for(struct tg_agent *a, bool room)
{
	struct epoll_event ev = {.events = EPOLLIN | (room ? EPOLLOUT : 0), .data.fd = a->fd};

	epoll_ctl(a->epoll, EPOLL_CTL_MOD, a->fd, &ev);
}

static void talk(struct tg_agent *a, uint64_t now)
{
	a->client = tg_spiffe_open(a->wanted & ~a->refused, &events, a);
	if (!a->client) {
		say(a, TG_ERROR, "no memory left");
		wait_and_retry(a, now);
		return;
	}
	a->waits = a->wanted & ~a->refused;
	a->at = now + ANSWER_NS;
	a->state = STATE_OPEN;
	atomic_store(&a->connected, 1);
}

static void connect_now(struct tg_agent *a, uint64_t now)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT};
	int family = a->to.addr.ss_family;

	a->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ev.data.fd = a->fd;
	if (a->fd < 0 || epoll_ctl(a->epoll, EPOLL_CTL_ADD, a->fd, &ev)) {
		say(a, TG_ERROR, "no socket: %s", strerror(errno));
		wait_and_retry(a, now);
	} else if (connect(a->fd, (const struct sockaddr *)&a->to.addr, a->to.len) == 0) {
		talk(a, now);
	} else if (errno == EINPROGRESS) {
		a->at = now + ANSWER_NS;
		a->state = STATE_CONNECTING;
	} else {
		say(a, TG_WARN, "cannot connect: %s", strerror(errno));
		wait_and_retry(a, now);
	}
}

static void look_if_connected(struct tg_agent *a, uint64_t now)
{
	struct sockaddr_storage peer;
	socklen_t n = sizeof(peer), n_error;
	int error = 0;

	n_error = sizeof(error);
	getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n_error);
	if (!error && getpeername(a->fd, (struct sockaddr *)&peer, &n) == 0) {
		talk(a, now);
	} else if (error || now >= a->at) {
		say(a, TG_WARN, "cannot connect: %s", strerror(error ? error : ETIMEDOUT));
		wait_and_retry(a, now);
	}
}

/* False: the connection is over. */
static bool receive(struct tg_agent *a)
{
	struct tg_errbuf e;
	uint8_t buf[16384];
	int rc = 0;
	ssize_t n;

	while (!rc && (n = recv(a->fd, buf, sizeof(buf), 0)) > 0) {
		rc = tg_spiffe_feed(a->client, buf, (size_t)n, &e);
		OPENSSL_cleanse(buf, (size_t)n); /* there was a private key in it */
	}
	if (rc)
		say(a, TG_ERROR, "%s", e.text);
	else if (n == 0)
		say(a, TG_WARN, "the agent has closed the connection");
	else if (errno == EAGAIN || errno == EINTR)
		return true;
	else
		say(a, TG_WARN, "the connection broke: %s", strerror(errno));
	return false;
}

static bool keep_unsent(struct tg_agent *a, struct tg_view v)
{
	a->unsent = malloc(v.n);
	if (!a->unsent)
		return false;
	memcpy(a->unsent, v.p, v.n);
	a->n_unsent = v.n;
	a->unsent_at = 0;
	return true;
}

/* Sends what is left of before. False: the connection is over. */
static bool send_rest(struct tg_agent *a)
{
	while (a->unsent) {
		ssize_t n = send(
			a->fd, a->unsent + a->unsent_at, a->n_unsent - a->unsent_at, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		a->unsent_at += (size_t)n;
		if (a->unsent_at < a->n_unsent)
			continue;
		free(a->unsent);
		a->unsent = NULL;
	}
	return true;
}

static bool send_all(struct tg_agent *a)
{
	struct tg_view v;

	while (send_rest(a)) {
		if (a->unsent)
			return true;
		if (tg_spiffe_pull(a->client, &v))
			return false;
		if (!v.n)
			return true;
		if (!keep_unsent(a, v))
			return false;
	}
	return false;
}

/* Nothing was answered in time. A call that has no response yet does not end one that has. */
static bool is_silent(const struct tg_agent *a, uint64_t now)
{
	return a->waits == (a->wanted & ~a->refused) && now >= a->at;
}

static void converse(struct tg_agent *a, uint64_t now)
{
	bool up = receive(a);

	if (up && !a->again)
		up = send_all(a);
	if (up && !a->again && tg_spiffe_alive(a->client) && !is_silent(a, now)) {
		listen_for(a, a->unsent != NULL);
		return;
	}
	if (up && !a->again && !tg_spiffe_alive(a->client))
		say(a, TG_WARN,
			"the connection was ended: what the agent sends is not HTTP/2 as it should "
			"be");
	else if (up && !a->again && is_silent(a, now))
		say(a, TG_WARN, "no answer within %llu s",
			(unsigned long long)(ANSWER_NS / TG_SEC));
	wait_and_retry(a, now);
}

/* --- interface ----------------------------------------------------------------------------------
 */

struct tg_agent *tg_agent_open(
	const struct tg_spiffe_endpoint *at, int epoll, tg_agent_take *take, void *arg)
{
	struct tg_agent *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->to = *at;
	a->epoll = epoll;
	a->take = take;
	a->arg = arg;
	a->fd = -1;
	return a;
}

void tg_agent_close(struct tg_agent *a)
{
	if (!a)
		return;
	hang_up(a);
	free(a);
}

void tg_agent_want(struct tg_agent *a, uint32_t calls, bool again)
{
	bool more = calls & ~a->wanted;

	a->wanted = calls;
	if (again && a->refused) {
		a->refused = 0;
		more = true;
	}
	if (!more && calls)
		return;
	hang_up(a);
	a->failures = 0;
	a->at = 0;
	a->state = calls ? STATE_WAITING : STATE_OFF;
}

int tg_agent_poll(struct tg_agent *a, uint64_t now)
{
	if (a->state == STATE_WAITING && now >= a->at)
		connect_now(a, now);
	if (a->state == STATE_CONNECTING)
		look_if_connected(a, now);
	if (a->state == STATE_OPEN)
		converse(a, now);
	if (a->state == STATE_OFF ||
		(a->state == STATE_OPEN && a->waits != (a->wanted & ~a->refused)))
		return -1;
	return now >= a->at ? 0 : (int)((a->at - now) / TG_MS) + 1;
}

void tg_agent_counts(const struct tg_agent *a, struct tg_agent_counts *out)
{
	out->connected = atomic_load(&a->connected);
	out->updates = atomic_load(&a->updates);
	out->updates_bad = atomic_load(&a->updates_bad);
	out->failures = atomic_load(&a->all_failures);
}
