/* proxy.h: where both sides meet. Listeners, exchanges, the byte pump, upstream pools, retries.
 *
 * One struct tg_proxy a worker, which owns all that is in it; it sees TCP only through tg_conn.
 * Bounds: exchanges, downstream and upstream connection objects come from pools made at start. Each
 * request ends with exactly one log record, one set of counters and one call of release, however it
 * ends. See docs/architecture.md for the exchange's states.
 */
#ifndef TIDEGATE_PROXY_H
#define TIDEGATE_PROXY_H

#include <tidegate/config.h>
#include <tidegate/conn.h>
#include <tidegate/log.h>
#include <tidegate/pool.h>
#include <tidegate/rng.h>
#include <tidegate/wheel.h>

struct tg_proxy;

/* How the proxy opens and accepts connections: TCP in the program, memory in tests. */
struct tg_proxy_net {
	/* As tg_tcp_connect(); on_ready comes later. */
	int (*connect)(void *ctx, const struct tg_sockaddr *to, uint64_t timeout, uint32_t buf,
		const struct tg_conn_user *user, void *owner, struct tg_conn **out);
	/* Conns accepted at addr get user and owner. TG_EEXIST, TG_ENOMEM. *handle for unlisten. */
	int (*listen)(void *ctx, const struct tg_sockaddr *addr, uint32_t buf,
		const struct tg_conn_user *user, void *owner, void **handle);
	void (*unlisten)(void *ctx, void *handle);
	/* From now on the listener takes no more new connections than l lets it, NULL: all; it
	 * lives until another one is given, or unlisten. NULL: no limits. */
	void (*limit)(void *ctx, void *handle, struct tg_connlimit *l);
	uint32_t (*shortage)(void *ctx);    /* TG_SHORT_x; NULL: never short */
	void (*refuse)(void *ctx, bool on); /* no new connection at all, or again; NULL: cannot */
	void *ctx;
};

struct tg_proxy_conf {
	uint32_t worker, n_workers;
	uint32_t max_downstream, max_upstream, max_exchanges; /* objects in the pools */
	uint32_t max_pairs; /* of connections under protocol = "tcp"; 0: max_downstream */
	struct tg_proxy_net net;
	struct tg_tls *tls; /* NULL: listeners and clusters with TLS do not work */
	/* Of all workers, made for n_workers; it outlives the proxies. NULL: one of its own. */
	struct tg_breakers *breakers;
	struct tg_wheel *wheel;
	struct tg_core_stats *stats;
	struct tg_log_ring *log;  /* NULL: no access log */
	uint64_t realtime_offset; /* ns: CLOCK_REALTIME = wheel->now + this */
	uint64_t seed;
};

struct tg_proxy *tg_proxy_create(const struct tg_proxy_conf *conf, struct tg_errbuf *e);
void tg_proxy_destroy(struct tg_proxy *p);
/* The time of day was set. offset: as realtime_offset. */
void tg_proxy_set_realtime(struct tg_proxy *p, uint64_t offset);

/* Uses s from now on: new listeners listen, gone ones stop, the others change under their
 * connections from the next request on. Requests under way keep the snapshot that they began with.
 * Returns 0, or the number of listeners that could not be opened (they are counted and named in
 * /listeners). The old snapshot is unpinned when its last exchange ends. */
int tg_proxy_adopt(struct tg_proxy *p, struct tg_snapshot *s);
/* A cluster of s has other endpoints: live is what it has now, and nothing of this worker's points
 * into the one before when this returns. Nothing, if s is not in use any more. What is under way at
 * an endpoint that is gone ends there. */
void tg_proxy_adopt_live(
	struct tg_proxy *p, const struct tg_snapshot *s, const struct tg_cluster *live);

/* Stop accepting; finish what is under way (`Connection: close` on each response); idle connections
 * are closed now. */
void tg_proxy_drain(struct tg_proxy *p);
/* The drain time is over: everything left is aborted. */
void tg_proxy_abort_all(struct tg_proxy *p);
/* TCP is short of something: gives some back, a bounded part a call. Connections: closes idle ones.
 * Buffers: aborts those that hold some and have stood still longest; a second is their due, less
 * when there is no time (TG_SHORT_BADLY). Each is counted as conn_shed. Once a turn while
 * net.shortage says so. */
void tg_proxy_relieve(struct tg_proxy *p);
/* Now and then, also while nothing happens: whether other workers need what this one keeps. */
void tg_proxy_attend(struct tg_proxy *p);
/* True when no downstream connection is left. */
bool tg_proxy_idle(const struct tg_proxy *p);

/* For /memory. Fills up to n pools, returns how many there are. */
uint32_t tg_proxy_pools(const struct tg_proxy *p, const struct tg_pool **out, uint32_t n);

/* For /clusters: this worker's view of an endpoint. Read by the control core while it changes:
 * plain counters. */
struct tg_endpoint_view {
	uint64_t cx_active, cx_idle, rq_active, rq_total, rq_error, cx_connect_fail, cx_total;
};
bool tg_proxy_endpoint(const struct tg_proxy *p, const char *cluster,
	const struct tg_sockaddr *addr, struct tg_endpoint_view *out);
/* For explanations: the endpoint that this worker's next request to c would get, by its position,
 * loads and generator as they are now; none of them moves. As tg_proxy_endpoint(): it may be a turn
 * old. NULL: c has no endpoint. c is of a snapshot that is held. */
const struct tg_endpoint *tg_proxy_peek(
	const struct tg_proxy *p, const struct tg_cluster *c, bool has_hash, uint64_t hash);
bool tg_proxy_validate(const struct tg_proxy *p);

#endif
