/* sim.h: two whole stacks (lib/net, lib/tcp, wheel, ready list) on a simulated wire, in virtual
 * time, in one process: what the files of tests/sim share.
 *
 *	params.c   a seed -> a scenario
 *	world.c    one run: hosts, their turns, the order of events
 *	host.c     a stack: from its start to its end, what it receives, what must hold
 *	wire.c     loss, delay, reordering, duplication, corruption, bandwidth, path MTU
 *	app.c      users of tg_conn: what they write, read, expect; the judgement at the end
 *	trace.c    the last packets and events as text
 *	main.c     the command line
 *
 * Everything that happens follows from the seed: no clock, no address, no thread decides.
 */
#ifndef TG_SIM_H
#define TG_SIM_H

#include <stdarg.h>
#include <stdio.h>

#include <tidegate/net.h>
#include <tidegate/ready.h>
#include <tidegate/rng.h>
#include <tidegate/stats.h>
#include <tidegate/tcp.h>

#define SIM_FLOWS 24
#define SIM_CONNS 16      /* TCBs of a host: with all flows not enough */
#define SIM_POOL 4096     /* packet buffers a host */
#define SIM_PORT 80       /* where both hosts listen */
#define SIM_STEPS 3000000 /* events after which a run is said to go round in circles */

/* --- scenario --- */

struct sim_dir {                               /* one direction of the wire */
	uint32_t loss, dup, corrupt, reorder;  /* packets in a million */
	uint64_t delay, jitter, reorder_delay; /* ns */
	uint64_t bps;                          /* bits a second; 0: no limit */
	uint32_t queue;                        /* bytes that may wait for the wire */
	bool fifo;                             /* jitter does not reorder */
};

enum sim_ending {
	SIM_CLEAN,  /* writes all, finishes, reads to the end, leaves */
	SIM_DETACH, /* writes all, leaves without reading to the end */
	SIM_ABORT,  /* aborts in the middle */
};

struct sim_end_params {
	enum sim_ending ending;
	uint32_t total;               /* bytes to write */
	uint32_t write_max, read_max; /* bytes at once */
	uint64_t write_gap, read_gap; /* ns between two of them; 0: driven by events */
	uint64_t end_after;           /* SIM_ABORT: bytes read and written */
	uint64_t start_gap;           /* ns from OPEN to the first write */
	uint32_t rcv_buf, snd_buf;    /* 0: the stack's */
	uint32_t new_rcv_buf;         /* != 0: tg_tcp_set_rcv_buf() when half is read */
	bool keepalive, wait_drained, abort_after_failure;
};

struct sim_flow_params {
	uint8_t dialer; /* host */
	uint64_t open_at;
	struct sim_end_params end[2]; /* dialer, acceptor */
};

struct sim_host_params {
	bool no_ts, no_sack, no_wscale, no_ecn;
	bool offload;       /* the device makes and checks checksums */
	bool tx_lazy;       /* the device gives sent buffers back late */
	bool input_first;   /* order within a turn: packets before timers */
	uint32_t tx_refuse; /* in a million: the device takes less than it is offered */
	uint32_t rcv_buf, snd_buf, max_embryonic, max_active, max_time_wait;
	uint32_t mbufs; /* packet buffers left to the stack */
	uint64_t turn_gap, msl, keepalive_idle, user_timeout;
	uint64_t clock; /* its monotonic clock at the start */
};

enum sim_mtu_change { SIM_MTU_NONE, SIM_MTU_PTB, SIM_MTU_BLACK_HOLE };
enum sim_fate { SIM_FATE_NONE, SIM_FATE_VANISH, SIM_FATE_REBOOT };

struct sim_params {
	uint64_t seed;
	bool v6, simultaneous;
	uint16_t if_mtu, path_mtu;
	enum sim_mtu_change mtu_change;
	uint64_t mtu_at;
	enum sim_fate fate; /* of host 1 */
	uint64_t fate_at, back_at;
	uint16_t port_first, port_last;
	uint32_t attack; /* in a million packets: one is forged by somebody who sees none of them */
	struct sim_dir dir[2]; /* from host 0, from host 1 */
	struct sim_host_params host[2];
	uint32_t n_flows;
	struct sim_flow_params flow[SIM_FLOWS];
	/* Nothing in this world excuses a failure: clean connections must come to a clean end. */
	bool strict;
	/* More: the wire takes everything, in order and soon. Nothing may be sent twice, and nobody
	 * may wait for a timer. */
	bool perfect;
};

void sim_params_make(struct sim_params *p, uint64_t seed);
/* Makes a scenario small and its wire plain. */
void sim_params_tame(struct sim_params *p);
void sim_params_print(const struct sim_params *p, FILE *f);
/* which: host + 2 * boots before this one */
void sim_secret(uint64_t seed, uint32_t which, uint8_t secret[32]);
struct tg_ip sim_ip(bool v6, uint32_t host);

/* --- run --- */

struct sim_pkt {
	uint64_t at;    /* world time of arrival */
	uint64_t order; /* of equal times */
	struct sim_pkt *next;
	uint8_t to; /* host */
	uint16_t len;
	uint8_t data[];
};

struct sim_held { /* a frame that the device has not let go of yet */
	struct rte_mbuf *m;
	uint64_t done, hash;
};
#define SIM_HELD 64

struct sim_world;

struct sim_host {
	struct sim_world *w;
	uint8_t idx;
	bool up;
	struct rte_mempool *pool;
	struct tg_stats *registry;
	struct tg_core_stats *stats;
	struct tg_net *net;
	struct tg_tcp *tcp;
	struct tg_wheel wheel;
	struct tg_ready ready;
	struct tg_tcp_listener listener;
	uint8_t app_timer; /* kind */
	uint64_t turn_at;  /* world time; UINT64_MAX: nothing to do */
	struct sim_pkt *rx, **rx_tail;
	struct sim_held held[SIM_HELD];
	uint32_t n_held;
	struct rte_mbuf *taken[SIM_POOL]; /* kept from the stack: scarcity */
	uint32_t n_taken, pool_start;
	uint32_t lives; /* boots */
};

struct sim_flow;

struct sim_end {
	struct sim_flow *flow;
	struct sim_host *host;
	const struct sim_end_params *p;
	uint8_t side; /* 0 dialer, 1 acceptor */
	struct tg_conn *c;
	struct tg_timer timer;
	bool was, open, eof, failed, finished, drained, over, killed, read_blocked, write_blocked;
	enum tg_why why;
	uint64_t sent, rcvd;
	uint64_t next_read, next_write; /* host time */
	uint64_t acked_final;
	bool saw_final;
};

struct sim_flow {
	uint32_t idx;
	bool dialed, skipped;
	uint16_t lport;
	uint64_t over_at; /* when the last of its ends left */
	uint64_t key[2];  /* of the byte streams: from dialer, from acceptor */
	struct sim_end end[2];
};

struct sim_record { /* of the trace */
	uint64_t t;
	char fate; /* see trace.c; 0: a note */
	uint8_t from;
	uint16_t len;
	uint8_t data[120]; /* the frame's first bytes, or text */
};
#define SIM_TRACE 256

struct sim_world {
	struct sim_params p;
	uint64_t t; /* ns since the start */
	uint64_t steps, order, progress_at;
	struct tg_rng wire_rng, app_rng;
	struct sim_host host[2];
	bool (*on_boot)(struct sim_host *h); /* the stack's user; false: the run has failed */
	struct sim_flow flow[SIM_FLOWS];
	/* wire */
	struct sim_pkt **heap;
	uint32_t n_heap, cap_heap;
	uint64_t busy_until[2], last_at[2];
	bool cut;
	uint64_t n_sent, n_lost, n_corrupt, n_forged, n_bytes;
	const uint8_t *script; /* != NULL: decides the packets' fates instead of chance */
	size_t script_left;
	/* what went wrong first */
	bool failed;
	char why[400];
	uint64_t hash; /* over everything that happened */
	bool live_trace;
	uint32_t n_records;
	struct sim_record record[SIM_TRACE];
	uint32_t ghosts;
	uint32_t validate_every;
};

/* Once a process: EAL is up; pools are kept over worlds. */
bool sim_setup(void);
/* Runs a seed. True: all was well. The world stays readable until the next run. */
bool sim_run(struct sim_world *w, uint64_t seed);
/* The same with a wire that does what the bytes say, packet by packet, and nothing when they are at
 * an end. For fuzzing: small flows, nothing promised but that all ends well or with a failure. */
bool sim_run_script(struct sim_world *w, uint64_t seed, const uint8_t *script, size_t n);
/* Adds the counters of the last world to sum, and prints what is not zero. */
void sim_add_stats(const struct sim_world *w, struct tg_core_stats *sum);
void sim_print_stats(const struct tg_core_stats *s, const char *title, FILE *f);
void sim_report(struct sim_world *w, FILE *f);

/* The first failure is kept, the run ends. */
void sim_fail(struct sim_world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_note(struct sim_world *w, uint8_t host, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void sim_hash(struct sim_world *w, uint64_t v);

static inline bool sim_chance(struct tg_rng *r, uint32_t ppm)
{
	return ppm && tg_rng_below(r, 1000000) < ppm;
}

/* host.c */
void sim_host_init(struct sim_world *w, uint8_t idx); /* and boots it */
void sim_host_boot(struct sim_host *h);
void sim_host_shut_down(struct sim_host *h); /* its conns have been left before */
void sim_host_finish(struct sim_host *h);    /* the same, and checks that nothing is lost */
void sim_host_input(struct sim_host *h);     /* a burst */
void sim_host_set_clock(struct sim_host *h);
void sim_host_validate(struct sim_host *h);
bool sim_host_idle(const struct sim_host *h);     /* its TCP holds nothing */
uint64_t sim_host_next(const struct sim_host *h); /* world time of its next turn */

/* wire.c */
void sim_wire_reset(struct sim_world *w);
uint16_t sim_wire_tx(void *dev, struct rte_mbuf **pkts, uint16_t n);
void sim_wire_release(struct sim_host *h, bool all);
/* Moves what has arrived by now to the hosts' receive queues. */
void sim_wire_deliver(struct sim_world *w);
uint64_t sim_wire_next(const struct sim_world *w);

/* RFC 1071 over n bytes and a start; 0 when a right checksum was among them. */
uint16_t sim_sum16(const uint8_t *p, uint32_t n, uint32_t sum);

/* app.c */
extern const struct tg_conn_user sim_accept_user;
void sim_app_timer(void *ctx, struct tg_timer *t);
void sim_app_dial(struct sim_world *w, struct sim_flow *f);
void sim_app_check(struct sim_world *w);
/* Nothing was sent twice. */
void sim_app_perfect(struct sim_world *w);
bool sim_app_over(const struct sim_world *w);
/* Leaves every conn of a host (or of all: NULL) at once. */
void sim_app_kill(struct sim_world *w, struct sim_host *h);
void sim_app_judge(struct sim_world *w);

/* trace.c */
void sim_trace_packet(struct sim_world *w, uint8_t from, char fate, const uint8_t *p, uint16_t len);
void sim_trace_print(const struct sim_world *w, FILE *f);

#endif
