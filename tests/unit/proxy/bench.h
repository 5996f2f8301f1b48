/* bench.h: a proxy on a bench: clients and origins are memory conns, time is a number.
 *
 * Each test opens clients, looks at what the origin got, answers as the origin, and looks at what
 * the client got. bench_end() checks that nothing is left: pools, conns, pins.
 */
#ifndef BENCH_H
#define BENCH_H

#include <tidegate/memconn.h>
#include <tidegate/proxy.h>

#define BENCH_PEERS 64
#ifndef BENCH_BYTES
#define BENCH_BYTES (1 << 20)
#endif

/* One end that the test plays: a client or an origin's side of a connection. */
struct bench_peer {
	struct tg_conn *conn;
	bool used, open, eof, failed, detached;
	bool hold; /* does not read: its window fills */
	uint32_t n;
	uint8_t *got; /* BENCH_BYTES */
};

struct bench {
	struct tg_wheel wheel;
	struct tg_ready ready;
	struct tg_core_stats core;
	struct tg_proxy *proxy;
	struct tg_snapshot *snap;
	struct tg_log_ring *log;
	const struct tg_conn_user *accept_user;
	void *accept_owner[8];
	uint32_t n_listeners;
	uint32_t n_workers;
	struct tg_breakers *breakers;
	struct tg_health *health;
	bool refuse_listen; /* the network opens no listener */
	bool refusing;      /* what the proxy said last of new connections */
	struct bench_peer peers[BENCH_PEERS];
	uint32_t n_origins;                     /* connections dialled so far */
	struct bench_peer *origin[BENCH_PEERS]; /* in order of dialling */
	struct tg_sockaddr to[BENCH_PEERS];     /* where to */
	struct tg_conn *dialled[BENCH_PEERS];   /* the proxy's ends of them */
	uint32_t buf;                           /* bytes of each memory conn */
	int connect_error;                      /* != 0: connect() returns it */
	bool connect_hangs;                     /* no OPEN comes by itself */
	bool honour_buffer;                     /* dialled conns have what the proxy asks for */
	enum tg_why connect_fails;              /* the conn fails with it at once */
	uint32_t connect_fails_first;           /* only the first so many; 0: all */
};

extern struct bench b;

void bench_start(uint32_t buf);
void bench_start_of(uint32_t buf, uint32_t n_workers); /* the proxy is worker 0 of 1 or 2 */
/* A limit of the cluster, as if a configuration with it had been adopted by all workers. */
void bench_limit(enum tg_resource r, uint32_t limit);
struct tg_breaker *bench_breaker(uint32_t worker); /* the cluster's */
void bench_end(void);
/* Runs the ready list dry, reading at every peer that does not hold. */
void bench_run(void);
void bench_advance(uint64_t ns);

struct bench_peer *bench_client(uint32_t listener);
/* Sends all of text (running the bench as windows open). */
void bench_send(struct bench_peer *p, const char *text);
void bench_send_n(struct bench_peer *p, const void *data, uint32_t n);
void bench_fin(struct bench_peer *p);
void bench_reset(struct bench_peer *p);
void bench_detach(struct bench_peer *p);
/* What p got since the last call, as a C string; valid until the next call for p. */
const char *bench_got(struct bench_peer *p);
/* The configuration of listener 0 ("web") and the only routes' and cluster's, to be changed before
 * use. */
struct tg_listener_conf *bench_web(void);
struct tg_cluster *bench_cluster(void);
struct tg_route *bench_route(void);
/* A second generation of the same configuration; the caller adopts it. */
struct tg_snapshot *bench_snapshot(uint64_t generation);
void bench_snapshot_free(struct tg_snapshot *s);
/* The oldest log record, released at the next call; NULL: none. */
const struct tg_log_record *bench_log(void);

#endif
