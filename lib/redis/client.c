#include <tidegate/redis.h>

#include <errno.h>
#include <fcntl.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tidegate/rng.h>

#define HANGUP_SECONDS ((unsigned long long)(TG_REDIS_HANGUP / 1000000000))
#define SECRET_MAX 512
#define ANSWER_MAX (1u << 20) /* bytes that may wait to become an answer */
#define ELEMENTS_MAX 2        /* of an answer to the script */
#define KEY_MAX (TG_QUOTA_TEXT_MAX + 32)

/* n < 0 gives back. What was given on credit counts whatever the limit says. A counter expires two
 * windows after its last change. What is no counter is somebody else's and counts as used up: one
 * such key is not to end the connection that all others need. */
static const char script[] =
	"local n = tonumber(ARGV[1])\n"
	"local charge = tonumber(ARGV[4])\n"
	"local was = redis.pcall('GET', KEYS[1]) or '0'\n"
	"if type(was) == 'table' and not string.find(was.err, 'WRONGTYPE') then return was end\n"
	"if type(was) == 'table' or not string.find(was, '^%-?%d+$') then\n"
	"  return {0, tonumber(ARGV[2])}\n"
	"end\n"
	"local used = tonumber(was) + charge\n"
	"if n < 0 then n = math.max(n, -used)\n"
	"else n = math.max(math.min(n, tonumber(ARGV[2]) - used), 0) end\n"
	"if n + charge ~= 0 then\n"
	"  used = redis.call('INCRBY', KEYS[1], string.format('%d', n + charge))\n"
	"  redis.call('EXPIRE', KEYS[1], ARGV[3])\n"
	"end\n"
	"return {n, used}\n";

enum state { STATE_WAITING, STATE_CONNECTING, STATE_GREETING, STATE_READY };

struct flight {
	struct tg_quota_ask ask;
	uint64_t sent;
};

struct tg_redis {
	const struct tg_redis_conf *conf;
	struct tg_quota *quota;
	struct tg_redis_counts *counts;
	tg_redis_say *say;
	void *arg;
	enum state state;
	redisAsyncContext *ac; /* NULL while waiting */
	bool wants_read, wants_write;
	bool doomed;      /* the connection is of no more use */
	uint64_t now, at; /* ns: the wait is over, or the connection has to be ready */
	uint64_t wait;    /* ns: the next one */
	uint64_t pinged;  /* ns; when a PING was sent that has no answer; 0: none */
	uint64_t heard;   /* ns */
	char sha[41];
	/* Answers come in the order of the questions. */
	struct flight flight[TG_REDIS_FLIGHT];
	uint32_t first, n;
	struct tg_rng rng;
	char fault[256]; /* what was said last; "": all is well */
};

static void count(uint64_t *n)
{
	__atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
}

/* --- what is said ------------------------------------------------------------------------------
 */

static void fault(struct tg_redis *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fault(struct tg_redis *r, const char *fmt, ...)
{
	char text[sizeof(r->fault)];
	va_list ap;

	if (r->doomed) /* why has been said */
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->doomed = r->ac != NULL;
	if (strcmp(text, r->fault) == 0)
		return;
	memcpy(r->fault, text, sizeof(text));
	r->say(r->arg, true, text);
}

static void here(struct tg_redis *r, bool yes)
{
	if (yes == (r->counts->connected == 1))
		return;
	__atomic_store_n(&r->counts->connected, yes, __ATOMIC_RELAXED);
	tg_quota_here(r->quota, yes);
}

static const char *where(const struct tg_redis *r, char buf[static TG_ADDR_TEXT])
{
	return r->conf->socket ? r->conf->socket : tg_sockaddr_format(&r->conf->address, buf);
}

/* --- hiredis' events ---------------------------------------------------------------------------
 */

static void add_read(void *p)
{
	((struct tg_redis *)p)->wants_read = true;
}

static void del_read(void *p)
{
	((struct tg_redis *)p)->wants_read = false;
}

static void add_write(void *p)
{
	((struct tg_redis *)p)->wants_write = true;
}

static void del_write(void *p)
{
	((struct tg_redis *)p)->wants_write = false;
}

/* The connection is gone: who had no answer gets none. */
static void lost(struct tg_redis *r)
{
	uint64_t jitter = tg_rng_below(&r->rng, (uint32_t)(r->wait / 2 / 1000)) * UINT64_C(1000);

	if (r->state == STATE_WAITING)
		return;
	r->ac = NULL;
	r->wants_read = r->wants_write = r->doomed = false;
	here(r, false);
	while (r->n) {
		r->n--;
		tg_quota_unanswered(r->quota, &r->flight[r->first++ % TG_REDIS_FLIGHT].ask);
	}
	count(&r->counts->failures);
	r->state = STATE_WAITING;
	r->at = r->now + r->wait - r->wait / 4 + jitter;
	r->wait = r->wait * 2 < TG_REDIS_WAIT_MAX ? r->wait * 2 : TG_REDIS_WAIT_MAX;
}

static void cleanup(void *p)
{
	lost(p);
}

static void on_disconnect(const redisAsyncContext *ac, int status)
{
	struct tg_redis *r = ac->data;
	char buf[TG_ADDR_TEXT];

	if (status != REDIS_OK && !r->doomed)
		fault(r, "%s: the connection broke: %s", where(r, buf), ac->errstr);
}

static void hang_up(struct tg_redis *r)
{
	if (!r->ac)
		return;
	redisAsyncFree(r->ac); /* calls cleanup() */
	lost(r);
}

/* --- the greeting ------------------------------------------------------------------------------
 */

static void refused(struct tg_redis *r, const char *what, const redisReply *reply)
{
	char buf[TG_ADDR_TEXT];

	if (reply)
		fault(r, "%s: %s: %.*s", where(r, buf), what,
			(int)(reply->len < 120 ? reply->len : 120),
			reply->str ? reply->str : "an answer that is none");
	r->doomed = r->ac != NULL;
}

static void on_ok(redisAsyncContext *ac, void *reply_, void *what)
{
	const redisReply *reply = reply_;

	if (!reply || reply->type != REDIS_REPLY_STATUS)
		refused(ac->data, what, reply);
}

static void on_script(redisAsyncContext *ac, void *reply_, void *what)
{
	const redisReply *reply = reply_;
	struct tg_redis *r = ac->data;
	char buf[TG_ADDR_TEXT], text[160];

	if (!reply || r->doomed || reply->type != REDIS_REPLY_STRING ||
		reply->len != sizeof(r->sha) - 1) {
		refused(r, what, reply);
		return;
	}
	memcpy(r->sha, reply->str, reply->len);
	r->state = STATE_READY;
	r->wait = TG_REDIS_WAIT_MIN;
	r->heard = r->now;
	r->pinged = 0;
	r->fault[0] = 0;
	count(&r->counts->connects);
	here(r, true);
	snprintf(text, sizeof(text), "%s answers", where(r, buf));
	r->say(r->arg, false, text);
}

/* The first line of the file. False: it cannot be read, which was said. */
static bool read_secret(struct tg_redis *r, char out[static SECRET_MAX])
{
	const char *path = r->conf->password_file;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, SECRET_MAX - 1);

	if (n < 0)
		fault(r, "password_file: cannot read %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	out[n] = 0;
	out[strcspn(out, "\r\n")] = 0;
	return true;
}

static bool authenticate(struct tg_redis *r)
{
	static char what[] = "AUTH";
	char secret[SECRET_MAX] = {0};
	const char *argv[3] = {what};
	int n = 1, rc;

	if (!r->conf->password && !r->conf->password_file)
		return true;
	if (r->conf->password_file && !read_secret(r, secret))
		return false;
	if (r->conf->user)
		argv[n++] = r->conf->user;
	argv[n++] = r->conf->password_file ? secret : r->conf->password;
	rc = redisAsyncCommandArgv(r->ac, on_ok, what, n, argv, NULL);
	explicit_bzero(secret, sizeof(secret));
	return rc == REDIS_OK;
}

static void greet(struct tg_redis *r)
{
	static char select[] = "SELECT", load[] = "SCRIPT LOAD";

	r->state = STATE_GREETING;
	if (!authenticate(r) ||
		(r->conf->database && redisAsyncCommand(r->ac, on_ok, select, "SELECT %u",
					      r->conf->database) != REDIS_OK) ||
		redisAsyncCommand(r->ac, on_script, load, "SCRIPT LOAD %b", script,
			sizeof(script) - 1) != REDIS_OK)
		r->doomed = true;
}

static void on_connect(const redisAsyncContext *ac, int status)
{
	struct tg_redis *r = ac->data;
	char buf[TG_ADDR_TEXT];

	if (status == REDIS_OK)
		greet(r);
	else
		fault(r, "%s: cannot connect: %s", where(r, buf), ac->errstr);
}

/* hiredis aborts the process at an answer that nobody asked for, and makes arrays as large as it is
 * told: neither gets past the reader, which then breaks the connection. Errors that come unasked it
 * takes well. */
static bool asked(const redisReadTask *t)
{
	const redisAsyncContext *ac = t->privdata;

	return t->parent || t->type == REDIS_REPLY_ERROR || ac->replies.head;
}

static redisReplyObjectFunctions made,
	checked; /* the same for all connections; of the keeper's thread */

static void *make_string(const redisReadTask *t, char *s, size_t n)
{
	return asked(t) ? made.createString(t, s, n) : NULL;
}

static void *make_array(const redisReadTask *t, int n)
{
	return asked(t) && !t->parent && n <= ELEMENTS_MAX ? made.createArray(t, n) : NULL;
}

static void *make_integer(const redisReadTask *t, long long v)
{
	return asked(t) ? made.createInteger(t, v) : NULL;
}

static void *make_nil(const redisReadTask *t)
{
	return asked(t) ? made.createNil(t) : NULL;
}

static void check_answers(redisAsyncContext *ac)
{
	redisReader *reader = ac->c.reader;

	made = checked = *reader->fn;
	checked.createString = make_string;
	checked.createArray = make_array;
	checked.createInteger = make_integer;
	checked.createNil = make_nil;
	reader->fn = &checked;
	reader->privdata = ac;
}

static void connect_now(struct tg_redis *r)
{
	const struct tg_redis_conf *c = r->conf;
	char buf[TG_ADDR_TEXT];
	redisAsyncContext *ac =
		c->socket ? redisAsyncConnectUnix(c->socket)
			  : redisAsyncConnect(tg_ip_format(&c->address.ip, buf), c->address.port);

	r->state = STATE_CONNECTING;
	r->at = r->now + TG_REDIS_HANGUP;
	if (!ac || ac->err) {
		fault(r, "%s: cannot connect: %s", where(r, buf), ac ? ac->errstr : "no memory");
		if (ac)
			redisAsyncFree(ac);
		lost(r);
		return;
	}
	r->ac = ac;
	ac->data = ac->ev.data = r;
	check_answers(ac);
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = cleanup;
	redisAsyncSetDisconnectCallback(ac, on_disconnect);
	redisAsyncSetConnectCallback(ac, on_connect); /* wants to write: then it is connected */
}

/* --- questions ---------------------------------------------------------------------------------
 */

static void on_answer(redisAsyncContext *ac, void *reply_, void *unused)
{
	const redisReply *reply = reply_;
	struct tg_redis *r = ac->data;
	struct flight *f = &r->flight[r->first % TG_REDIS_FLIGHT];
	bool good = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
		    reply->element[0]->type == REDIS_REPLY_INTEGER &&
		    reply->element[1]->type == REDIS_REPLY_INTEGER;
	long long given = good ? reply->element[0]->integer : 0;

	(void)unused;
	if (!r->n)
		return;
	r->first++;
	r->n--;
	r->heard = r->now;
	if (good && !f->ask.back && (given < 0 || given > f->ask.n))
		good = false;
	if (good)
		tg_quota_answered(r->quota, &f->ask, f->ask.back ? 0 : (uint32_t)given,
			(uint64_t)reply->element[1]->integer);
	else
		tg_quota_unanswered(r->quota, &f->ask);
	if (reply && !good)
		refused(r, "EVALSHA", reply);
}

static void on_pong(redisAsyncContext *ac, void *reply_, void *what)
{
	const redisReply *reply = reply_;
	struct tg_redis *r = ac->data;

	r->pinged = 0;
	r->heard = r->now;
	if (reply && reply->type != REDIS_REPLY_STATUS)
		refused(r, what, reply);
}

static bool send_ask(struct tg_redis *r, const struct tg_quota_ask *a)
{
	char n[16], limit[16], ttl[16], charge[16], key[KEY_MAX];
	const char *argv[] = {"EVALSHA", r->sha, "1", key, n, limit, ttl, charge};
	size_t len[] = {7, 40, 1, 0, 0, 0, 0, 0};

	len[3] = (size_t)snprintf(
		key, sizeof(key), "tidegate|%.*s|%u", (int)a->key.n, a->key.p, a->window);
	len[4] = (size_t)snprintf(n, sizeof(n), "%s%u", a->back ? "-" : "", a->n);
	len[5] = (size_t)snprintf(limit, sizeof(limit), "%u", a->limit);
	len[6] = (size_t)snprintf(ttl, sizeof(ttl), "%u", 2 * a->seconds);
	len[7] = (size_t)snprintf(charge, sizeof(charge), "%u", a->charge);
	count(&r->counts->commands);
	return redisAsyncCommandArgv(r->ac, on_answer, NULL, 8, argv, len) == REDIS_OK;
}

static void ask(struct tg_redis *r)
{
	static char what[] = "PING";

	while (r->n < TG_REDIS_FLIGHT && !r->doomed) {
		struct flight *f = &r->flight[(r->first + r->n) % TG_REDIS_FLIGHT];

		if (!tg_quota_next(r->quota, &f->ask))
			break;
		f->sent = r->now;
		r->n++;
		if (!send_ask(r, &f->ask)) {
			r->n--;
			tg_quota_unanswered(r->quota, &f->ask);
			r->doomed = true;
		}
	}
	if (r->n || r->pinged || r->doomed || r->now - r->heard < TG_REDIS_PING)
		return;
	r->pinged = r->now;
	if (redisAsyncCommand(r->ac, on_pong, what, "PING") != REDIS_OK)
		r->doomed = true;
}

/* Since when the oldest question has had no answer. */
static uint64_t silent_for(const struct tg_redis *r)
{
	uint64_t since = r->n ? r->flight[r->first % TG_REDIS_FLIGHT].sent : r->now;

	if (r->pinged && r->pinged < since)
		since = r->pinged;
	return r->now - since;
}

static void look_whether_it_answers(struct tg_redis *r)
{
	uint64_t silent = silent_for(r);
	char buf[TG_ADDR_TEXT];

	if (silent >= TG_REDIS_HANGUP)
		fault(r, "%s: no answer within %llu s", where(r, buf), HANGUP_SECONDS);
	here(r, silent < r->conf->timeout);
}

/* --- interface ---------------------------------------------------------------------------------
 */

struct tg_redis *tg_redis_open(const struct tg_redis_conf *conf, struct tg_quota *q,
	struct tg_redis_counts *counts, tg_redis_say *say, void *arg)
{
	struct tg_redis *r = calloc(1, sizeof(*r));
	uint64_t seed = 0;

	if (!r)
		return NULL;
	r->conf = conf;
	r->quota = q;
	r->counts = counts;
	r->say = say;
	r->arg = arg;
	r->wait = TG_REDIS_WAIT_MIN;
	tg_rng_secret(&seed, sizeof(seed));
	tg_rng_seed(&r->rng, seed);
	return r;
}

void tg_redis_close(struct tg_redis *r)
{
	if (!r)
		return;
	hang_up(r);
	free(r);
}

static struct pollfd socket_of(const struct tg_redis *r)
{
	struct pollfd p = {.fd = -1};

	if (r->ac) {
		p.fd = r->ac->c.fd;
		p.events = (short)((r->wants_read ? POLLIN : 0) | (r->wants_write ? POLLOUT : 0));
	}
	return p;
}

void tg_redis_wait(const struct tg_redis *r, int also, int ms)
{
	struct pollfd p[2] = {socket_of(r), {.fd = also, .events = POLLIN}};

	poll(p, 2, ms);
}

static void attend_socket(struct tg_redis *r)
{
	struct pollfd p = socket_of(r);
	char buf[TG_ADDR_TEXT];

	if (poll(&p, 1, 0) <= 0 || !r->ac)
		return;
	/* Either may free the connection; whoever only broke is told so by writing. */
	if (p.revents & POLLIN)
		redisAsyncHandleRead(r->ac);
	if (r->ac && p.revents & (POLLOUT | POLLERR | POLLHUP))
		redisAsyncHandleWrite(r->ac);
	if (r->ac && p.revents & (POLLERR | POLLHUP) && !(p.revents & POLLIN))
		redisAsyncHandleRead(r->ac);
	if (r->ac && r->ac->c.reader->len > ANSWER_MAX)
		fault(r, "%s: an answer without an end", where(r, buf));
}

bool tg_redis_poll(struct tg_redis *r, uint64_t monotonic, uint64_t realtime)
{
	uint64_t asked = r->counts->commands;
	char buf[TG_ADDR_TEXT];

	r->now = monotonic;
	/* First what has come: whoever was held up himself must not take it for silence. */
	attend_socket(r);
	/* A read is 16 KiB at most, and the answers to a whole flight may be more. */
	for (uint32_t i = 0; i < 2 && r->n && !r->doomed; i++)
		attend_socket(r);
	if (r->doomed)
		hang_up(r);
	tg_quota_tick(r->quota, monotonic, realtime);
	if (r->state == STATE_WAITING && monotonic >= r->at)
		connect_now(r);
	if (r->state == STATE_READY) {
		ask(r);
		look_whether_it_answers(r);
	} else if (r->state != STATE_WAITING && monotonic >= r->at) {
		fault(r, "%s: not connected within %llu s", where(r, buf), HANGUP_SECONDS);
	}
	/* Not waiting for leave to write: what does not fit is written when there is room. */
	if (r->ac && !r->doomed && r->wants_write && r->state == STATE_READY)
		redisAsyncHandleWrite(r->ac);
	if (r->doomed)
		hang_up(r);
	return r->counts->commands != asked;
}

void tg_redis_counts(const struct tg_redis_counts *counts, struct tg_redis_counts *out)
{
	out->connected = __atomic_load_n(&counts->connected, __ATOMIC_RELAXED);
	out->connects = __atomic_load_n(&counts->connects, __ATOMIC_RELAXED);
	out->failures = __atomic_load_n(&counts->failures, __ATOMIC_RELAXED);
	out->commands = __atomic_load_n(&counts->commands, __ATOMIC_RELAXED);
}
