/* redis.h: what carries the questions of quota.h to Redis and back: one connection, pipelined.
 *
 *	off --> connecting --> AUTH, SELECT, SCRIPT LOAD --> ready: EVALSHA ... , PING --> off, and
 *again
 *
 * A question is one run of a script over one key, `tidegate|<the quota's key>|<window's number>`, a
 * counter that expires: it adds what was given on credit, and at most what the limit leaves, in one
 * step. Answers come in order. While nothing is under way, PING keeps looking. Whoever is silent
 *for the configured timeout counts as away at once (tg_quota_here), and is hung up on after
 * TG_REDIS_HANGUP; an error for an answer ends the connection too. It is made again after a wait
 * that doubles, 50 ms to 2 s, give or take a quarter. What happened is said once per cause, never
 * with a password.
 *
 * Owner: the quota's keeper, one thread. Never blocks but in tg_redis_wait(), for as long as told.
 * Bound: TG_REDIS_FLIGHT questions under way. Not here: TLS, which Debian's hiredis does not have;
 * clusters and sentinels (one key a script: a proxy for either may stand between).
 */
#ifndef TIDEGATE_REDIS_H
#define TIDEGATE_REDIS_H

#include <tidegate/addr.h>
#include <tidegate/quota.h>

#define TG_REDIS_FLIGHT 1024u
#define TG_REDIS_TIMEOUT_MIN (UINT64_C(1) * 1000000) /* ns; of the configured one */
#define TG_REDIS_HANGUP (UINT64_C(5000) * 1000000)   /* ns; also for a connection to be made */
#define TG_REDIS_PING (UINT64_C(250) * 1000000)      /* ns */
#define TG_REDIS_WAIT_MIN (UINT64_C(50) * 1000000)   /* ns */
#define TG_REDIS_WAIT_MAX (UINT64_C(2000) * 1000000) /* ns */

struct tg_redis_conf {
	struct tg_sockaddr address;                  /* or ... */
	const char *socket;                          /* ... the path of a unix socket; NULL: none */
	const char *user, *password, *password_file; /* NULL: none */
	uint32_t database;
	uint64_t timeout; /* ns; TG_REDIS_TIMEOUT_MIN .. TG_REDIS_HANGUP */
};

struct tg_redis;

/* Any thread may read them with tg_redis_counts(). */
struct tg_redis_counts {
	uint64_t connected; /* 1 while it answers */
	uint64_t connects, failures, commands;
};

/* bad: something is wrong; else it is well again. */
typedef void tg_redis_say(void *arg, bool bad, const char *text);

/* conf has to stay. counts: where to count. NULL: no memory. */
struct tg_redis *tg_redis_open(const struct tg_redis_conf *conf, struct tg_quota *q,
	struct tg_redis_counts *counts, tg_redis_say *say, void *arg);
void tg_redis_close(struct tg_redis *r);
/* Until the connection or the other descriptor is ready, or so long. */
void tg_redis_wait(const struct tg_redis *r, int also, int ms);
/* A round: what came, what is due, what is to be asked. True: something was asked. Both clocks in
 * ns, read behind tg_redis_wait(). */
bool tg_redis_poll(struct tg_redis *r, uint64_t monotonic, uint64_t realtime);
void tg_redis_counts(const struct tg_redis_counts *counts, struct tg_redis_counts *out);

#endif
