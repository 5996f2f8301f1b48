/* world.h: one worker as the program makes it (net, TCP, proxy, wheel, ready list, access log) with
 * outside.h around it, in one thread and in virtual time.
 *
 * A turn of the world is a turn of the worker: bursts from both sides, ready list, timers, output.
 * What the worker's part took is added up in ns of this thread's CPU time (on a machine that is
 * shared, the clock on the wall measures the others); what those outside took is not. Memory is
 * divided by dpdk_app/memory.h as in the program.
 */
#ifndef SCALE_WORLD_H
#define SCALE_WORLD_H

#include <tidegate/config.h>
#include <tidegate/pool.h>
#include <tidegate/proxy.h>
#include <tidegate/tcp.h>

#include "../../dpdk_app/memory.h"
#include "outside.h"

#define WORLD_FRAMES 8192 /* on their way to one side of the worker; a power of two */
#define WORLD_POOLS 24

struct world_conf {
	uint32_t clients;         /* addresses, not all of them open */
	uint32_t max_connections; /* of the worker, as in the configuration; 0: clients and some */
	uint64_t step;            /* ns that a turn lasts */
	const char *listener;     /* more keys of the listeners; NULL: none */
	const char *routes;       /* in front of the one for all, each with a comma; NULL: none */
	const char *(*path)(void *ctx); /* of outside_conf, with this ctx; NULL: none */
	/* Around each turn of the worker, for who measures otherwise than by cpu_ns; NULL: nobody.
	 */
	void (*around)(void *ctx, bool begin);
	void *ctx;
};

struct world_queue {
	struct rte_mbuf *m[WORLD_FRAMES];
	uint32_t head, tail;
};

struct world {
	struct world_conf conf;
	struct tg_budget budget;
	struct tg_wheel wheel;
	struct tg_ready ready;
	struct tg_stats *registry;
	struct tg_core_stats *stats;
	struct tg_snapshot *snap;
	struct tg_log_ring *log;
	struct tg_net *net;
	struct tg_tcp *tcp;
	struct tg_proxy *proxy;
	struct rte_mempool *mbufs;
	struct tg_pool listeners;
	struct outside out;
	struct world_queue in[OUTSIDE_SIDES], sent[OUTSIDE_SIDES];
	uint64_t cpu_ns; /* of the worker's turns */
	uint64_t turns;
};

/* EAL without hugepages, devices or files, `mib` MiB. False: it does not start. */
bool world_eal(uint32_t mib);
/* NULL: said on standard error. One at a time. */
struct world *world_make(const struct world_conf *conf);
/* Drains, waits for what is left, and frees. */
void world_free(struct world *w);

void world_turn(struct world *w);
/* Turns, at least one, until less than a burst waits to come in. */
void world_pace(struct world *w);
/* Turns until nothing is pending outside and nothing is under way; false: a failure, or not after
 * `seconds` of virtual time. */
bool world_settle(struct world *w, uint64_t seconds);
/* Time passes without packets, from timer to timer. */
void world_sleep(struct world *w, uint64_t ns);
/* The first failure: of those outside, or of an invariant; NULL: none. */
const char *world_failure(const struct world *w);

/* Every pool and table with a bound, those of lib/tcp first. */
struct world_usage {
	const char *name;
	uint32_t size, count, in_use, peak;
	uint64_t refused;
};
uint32_t world_usage(const struct world *w, struct world_usage out[static WORLD_POOLS]);
/* Bytes of the objects that an idle client connection takes: TCB, downstream object, and its share
 * of the flow table. */
double world_idle_bytes(const struct world *w);
/* Bytes that all pools reserve, the flow table included, packet buffers not. */
uint64_t world_reserved(const struct world *w);

/* VmRSS of this process, bytes. */
uint64_t world_resident(void);

#endif
