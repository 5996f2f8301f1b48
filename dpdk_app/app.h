/* app.h: the process: what the control core, the workers, the admin thread and the sink share.
 *
 * Threads: the control core (main lcore; signals, reloads, housekeeping), one worker an lcore, the
 * admin thread (admin.h) and the sink thread (sink.h). struct tg_app is built by the control core
 * before the others start and taken down after they have stopped; what may change in between is
 * atomic or behind a call below. A worker's own state is written by that worker alone; others may
 * read its counters and the usage calls of its modules, which are plain loads.
 *
 * Not here: how a module works. Each step of the start is in a file of its own (eal.c, port.c,
 * memory.c, worker.c, control.c, privs.c); main.c is the order of them.
 */
#ifndef TIDEGATE_APP_H
#define TIDEGATE_APP_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include <tidegate/config.h>
#include <tidegate/net.h>
#include <tidegate/proxy.h>
#include <tidegate/ready.h>
#include <tidegate/steer.h>
#include <tidegate/tcp.h>
#include <tidegate/tls.h>

#include "clock.h"
#include "cpus.h"
#include "memory.h"

struct tg_admin;
struct tg_control;
struct tg_janitor;
struct tg_ratelimit;
struct tg_sink;
struct tg_tls_control;
struct tg_dns_control;
struct rte_mempool;
struct rte_ring;

/* Envoy's names: /ready answers "LIVE" with 200 in TG_STATE_LIVE, 503 in the others; and also
 * "INITIALIZING" with 503 while a listener waits for certificates of the Workload API. */
enum tg_state {
	TG_STATE_INIT,     /* "PRE_INITIALIZING": not yet listening */
	TG_STATE_LIVE,     /* "LIVE" */
	TG_STATE_DRAINING, /* "DRAINING": finishes what is under way, then ends */
	TG_STATE_STOPPING, /* "DRAINING": taking down */
};
const char *tg_state_name(enum tg_state s);

/* A port after start. Constant but for the counters, which the control core renews every second.
 */
struct tg_port {
	const struct tg_port_conf *conf; /* in the first snapshot, which lives until the end */
	uint16_t id;                     /* ethdev */
	uint16_t n_queues;  /* rx and tx queues; rx queue q is polled by worker q ... */
	uint16_t polled_by; /* ... but if there is only one: by this worker */
	bool opened, started;
	uint32_t ifindex;    /* of the kernel's interface below (AF_XDP, AF_PACKET); 0: none */
	uint32_t xdp_before; /* id of the XDP program that it had; 0: none */
	bool promiscuous, was_promiscuous;
	bool tx_shared; /* fewer queues than workers: sending is behind tx_lock */
	pthread_mutex_t tx_lock;
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t tx_room; /* longest chain of segments that the device takes in one packet; >= 1 */
	bool tx_ipv4_csum, tx_tcp_csum, rx_ipv4_csum, rx_tcp_csum, rx_rss_hash;
	const char *driver;   /* "net_af_xdp" ... */
	_Atomic bool link_up; /* as last seen */
	_Atomic uint64_t
		missed; /* packets that the device could not deliver: imissed + rx_nombuf */
	_Atomic uint64_t rx_errors, tx_errors;
};

/* One (port, queue) as a worker uses it: tg_netif_ops' dev. */
struct tg_txq {
	uint16_t port, queue;
	pthread_mutex_t *lock; /* NULL: the queue is this worker's alone */
	struct tg_tax *tax;    /* this worker's */
};

/* An order to a worker. It sits in the worker's slot until it has been carried out. */
enum tg_order_kind {
	TG_ORDER_ADOPT,
	TG_ORDER_TLS,
	TG_ORDER_LIVE,
	TG_ORDER_ANNOUNCE,
	TG_ORDER_DRAIN,
	TG_ORDER_ABORT,
	TG_ORDER_STOP
};
struct tg_order {
	enum tg_order_kind kind;
	struct tg_snapshot *snapshot;  /* ADOPT, LIVE */
	struct tg_tls_set *tls;        /* ADOPT, TLS */
	const struct tg_cluster *live; /* LIVE */
};

struct tg_app;

/* Everything that one core owns. */
struct tg_worker {
	struct tg_app *app;
	uint32_t index, lcore;
	int cpu; /* -1: shares a set of CPUs */
	struct tg_clock clock;
	struct tg_wheel *wheel;
	struct tg_ready ready;
	struct tg_net *net;
	struct tg_tcp *tcp;
	struct tg_tls *tls;
	struct tg_proxy *proxy;
	struct tg_log_ring *log;     /* NULL: no access log; consumer: the sink */
	struct tg_core_stats *stats; /* written by this worker alone */
	struct rte_mempool *mbufs;
	struct rte_ring *steer_ring; /* of frames for this worker; NULL: one worker */
	uint32_t n_rxq;
	struct {
		uint16_t port, queue, ifidx;
	} rxq[TG_NETIF_MAX]; /* what this worker polls */
	struct tg_txq txq[TG_NETIF_MAX];
	struct tg_pool listeners; /* TCP's listeners of the proxy */
	bool adaptive, stopping, was_busy;
	bool full;                /* a queue had a whole burst: there may be more */
	uint64_t turn_tsc;        /* when this turn began */
	uint64_t busy_at;         /* ns: the last turn with something to do */
	uint64_t sleep;           /* ns of the last sleep since; 0: none */
	uint64_t clock_due;       /* ns: next correction */
	uint64_t realtime_offset; /* ns: CLOCK_REALTIME = wheel->now + this */
	bool taxed;               /* turns are traced now and then: tax.h */
	uint32_t mbufs_peak; /* most of app->mbufs out at once, looked at with each correction */
	bool running;        /* its lcore has been launched; control core's */
	_Atomic(struct tg_order *) order;  /* control core puts, worker clears when done */
	_Atomic uint64_t generation;       /* of the snapshot in use */
	_Atomic uint32_t listeners_failed; /* of the last adoption */
	_Atomic bool idle;                 /* while draining: nothing is left */
	_Atomic int tid;                   /* its thread's, once that runs; 0 before */
} __attribute__((aligned(64)));

struct tg_app {
	const char *config_path;
	uint32_t n_workers;
	struct tg_worker *workers; /* [n_workers] */
	uint32_t n_ports;
	struct tg_port ports[TG_NETIF_MAX];
	struct tg_stats *stats;
	struct tg_breakers *breakers;
	struct tg_health *health;
	struct tg_steer steer;
	uint8_t secret[32];                           /* TCP's */
	struct rte_ring *steer_rings[TG_MAX_WORKERS]; /* NULL: one worker */
	struct rte_mempool *mbufs; /* one pool, a cache for each worker; for /memory */
	struct tg_budget budget;   /* how dataplane.memory was divided */
	struct tg_cpu_plan cpus;
	bool hugepages; /* false: --no-huge */
	bool capture;   /* dpdk-dumpcap can attach: capture.h */
	enum { TG_MEMORY_PLAIN, TG_MEMORY_PRIVATE, TG_MEMORY_SHARED } memory_kind; /* eal.h */
	bool eal_up;
	char file_prefix[32];        /* EAL's, for dpdk-dumpcap */
	char runtime_base[PATH_MAX]; /* folder of all DPDK processes' runtime folders */
	char huge_dir[PATH_MAX];     /* hugetlbfs in use; "" = none */
	const char *runtime_dir;     /* this process's */
	struct tg_janitor *janitor;

	_Atomic int state;            /* enum tg_state */
	uint64_t started_at;          /* CLOCK_REALTIME, ns */
	_Atomic uint64_t drain_began; /* CLOCK_MONOTONIC, ns; 0: not draining */
	_Atomic uint32_t commands;    /* enum tg_command, not yet taken */
	int command_fd;               /* wakes the control core */
	_Atomic uint64_t reloads, reload_failures;
	char reload_error[256]; /* the first line of the last failed reload; behind lock */

	/* The first snapshot holds what is fixed at start (dataplane, admin, ports): it stays until
	 * the end, so `boot` can be read without tg_app_hold. */
	struct tg_snapshot *boot;
	struct tg_snapshot *current; /* newest; behind lock */
	struct tg_snapshots *old;    /* snapshots.c's: before current, perhaps still in use */
	uint32_t holds;              /* readers of snapshots now; behind lock */
	pthread_mutex_t lock;

	struct tg_admin *admin;
	struct tg_sink *sink;
	struct tg_control *control;
	struct tg_tls_control *tls;               /* tls.c's */
	struct tg_dns_control *dns;               /* dns.c's */
	_Atomic uint32_t endpoint_sets;           /* that dns.c has in memory */
	_Atomic(struct tg_ratelimit *) ratelimit; /* ratelimit.c's; NULL: never needed yet */
};

/* The current snapshot, which cannot be freed until tg_app_release(). Any thread but a worker;
 * short: no snapshot at all is freed meanwhile. */
const struct tg_snapshot *tg_app_hold(struct tg_app *app);
void tg_app_release(struct tg_app *app);

/* Asks the control core for something and returns at once; any thread, async-signal-safe. What
 * happened is in the log, in reloads/reload_failures and in state. */
enum tg_command {
	TG_CMD_RELOAD = 1 << 0,
	TG_CMD_DRAIN = 1 << 1,  /* finish within drain_time, then exit 0 */
	TG_CMD_QUIT = 1 << 2,   /* now */
	TG_CMD_REOPEN = 1 << 3, /* log files */
};
void tg_app_command(struct tg_app *app, enum tg_command c);

/* One line to standard error: time, level, text. Not for workers. The text of a warning or error
 * says what to do. */
enum tg_level { TG_INFO, TG_WARN, TG_ERROR };
void tg_say(enum tg_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
