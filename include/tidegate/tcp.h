/* tcp.h: TCP (RFC 9293), one stack a worker.
 *
 * Owner: one worker. All memory is reserved at create: TCBs (256 bytes with their tg_conn and
 * timer), a transmit block for a connection with data under way, embryonic and TIME-WAIT records
 * apart. Payload rests in packet buffers: received ones until the user consumes, sent ones until
 * they are acknowledged. Nothing calls up from inside tg_tcp_input(): events go to the ready list.
 *
 *   device -> tg_net_input -> tg_tcp_input -> ready list -> user -> tx_write -> tg_tcp_output ->
 * net
 *
 * Fast path: in-order data or a pure ACK on an ESTABLISHED connection, decided by one predicate;
 * all else leaves through one noinline call to the slow path. Time comes from the wheel, randomness
 * from the seed, packets through tg_net: two stacks run in one test process, repeatable from a
 * seed.
 *
 * RFCs: 9293, 7323, 2018, 2883, 6675, 8985, 6298, 5681, 6928, 9438, 6937, 5961, 6528, 6056, 4987,
 * 1191, 8201, 6691; docs/tcp.md says which parts and why not the rest.
 * Not here: sockets, applications' timeouts, IP.
 */
#ifndef TIDEGATE_TCP_H
#define TIDEGATE_TCP_H

#include <tidegate/conn.h>
#include <tidegate/net.h>
#include <tidegate/ready.h>

struct tg_tcp;
struct tg_cc_ops; /* congestion control: lib/tcp/cc.h */

struct tg_tcp_conf {
	uint32_t worker;
	uint32_t max_conns;  /* TCBs; at least 16 */
	uint32_t max_active; /* transmit blocks: connections with data in flight; 0: max_conns / 4 +
				64 */
	uint32_t max_embryonic; /* handshakes remembered; beyond: SYN cookies. 0: max_conns / 8 + 64
				 */
	uint32_t max_time_wait; /* 0: max_conns / 2 + 64; the oldest goes first */
	uint32_t rcv_buf, snd_buf; /* default bytes a connection each way; 0: 256 KiB. >= 4096 */
	uint64_t msl;              /* ns; TIME-WAIT lasts 2 * msl; 0: 30 s */
	uint64_t keepalive_idle, keepalive_interval; /* ns; 0: 2 h, 75 s */
	uint32_t keepalive_probes;                   /* 0: 9 */
	uint64_t user_timeout; /* ns without progress until FAILED (RFC 9293 3.8.3); 0: 100 s */
	uint64_t fin_timeout; /* ns an orphan (detached) stays in FIN-WAIT-2 or LAST-ACK; 0: 60 s */
	bool no_timestamps, no_sack, no_window_scale; /* tests and odd peers */
	bool no_ecn;                    /* default: ECN is accepted when the peer asks (RFC 3168) */
	uint16_t port_first, port_last; /* source ports of active opens; 0: 1024..65535 */
	uint8_t secret[32]; /* ISNs, ports, cookies, table hash: never repeat over restarts */
	uint64_t seed;      /* jitter */
	const struct tg_cc_ops *cc; /* NULL: CUBIC */
	struct tg_net *net;
	struct rte_mempool *mbufs;
	const struct tg_steer *steer; /* NULL: every flow is ours */
	struct tg_wheel *wheel;
	struct tg_ready *ready;
	struct tg_core_stats *stats;
};

/* What to do with connections to an address. Owner memory of the caller until unlisten. */
struct tg_tcp_listener {
	struct tg_sockaddr addr; /* ip any (0.0.0.0 or ::): every own address of that family */
	const struct tg_conn_user *user; /* gets OPEN for each new conn ... */
	void *owner;               /* ... whose owner is this at first; on_ready replaces it */
	uint32_t rcv_buf, snd_buf; /* 0: the stack's default */
	uint32_t backlog;          /* handshakes in progress before cookies; 0: max_embryonic */
	/* Asked for each new connection before anything is done for it, NULL: all may come. Not
	 * TG_WHY_none: the segment is dropped for that reason. take: it is about to come, else it
	 * is only asked whether it could (its SYN is answered by a cookie, and its ACK asks again).
	 */
	enum tg_why (*admit)(void *ctx, const struct tg_ip *from, uint64_t now, bool take);
	void *admit_ctx;
};

struct tg_tcp_dial {
	struct tg_sockaddr remote;
	struct tg_ip local; /* any: chosen by route */
	const struct tg_conn_user *user;
	void *owner;
	uint32_t rcv_buf, snd_buf; /* 0: default */
	uint64_t timeout; /* ns until FAILED with conn_connect_timeout; 0: 127 s as SYN retries give
			   */
};

struct tg_tcp *tg_tcp_create(const struct tg_tcp_conf *conf, struct tg_errbuf *e);
/* Frees everything; conns of users must be detached or aborted before. Sends nothing. */
void tg_tcp_destroy(struct tg_tcp *t);

/* Before the segments of a burst: was it a whole one (TG_NET_BURST frames), so that the device has
 * more? As long as it has, answers to strangers (SYN-ACKs, resets) are cut down to what the worker
 * can give without losing packets of connections; a stack that is never told answers all. */
void tg_tcp_backlog(struct tg_tcp *t, bool backlog);
/* Takes the segments (and their buffers). */
void tg_tcp_input(struct tg_tcp *t, struct tg_seg *segs, uint32_t n);
/* Between two turns: operations of connections are traced (traced.h) from now on, or no longer. */
void tg_tcp_trace(struct tg_tcp *t, bool on);
/* Sends what connections have to send: data, window updates, ACKs. Once a turn, after the ready
 * list. */
void tg_tcp_output(struct tg_tcp *t);
/* tg_ready_drain()'s reap for conns of this stack: ctx = the stack. */
void tg_tcp_reap(void *ctx, struct tg_conn *c);

/* 0; TG_EEXIST: something listens there; TG_ENOMEM: more than 1024 listeners. */
int tg_tcp_listen(struct tg_tcp *t, struct tg_tcp_listener *l);
/* No new connections; the existing ones live on (their embryonic ones are dropped). */
void tg_tcp_unlisten(struct tg_tcp *t, struct tg_tcp_listener *l);

/* Active open. 0 and *out: OPEN or FAILED follows. TG_ENOMEM, TG_ENOROUTE, TG_ENOPORT: counted,
 * no conn. The source port is drawn (RFC 6056 section 3.3.2) among those whose replies come to this
 * worker; a 4-tuple in TIME-WAIT is reused only when nothing else is free, and as RFC 6191 allows.
 */
int tg_tcp_connect(struct tg_tcp *t, const struct tg_tcp_dial *d, struct tg_conn **out);

/* Changes a conn's receive-buffer bound (never shrinks an offered window: RFC 9293 section 3.8.6).
 */
void tg_tcp_set_rcv_buf(struct tg_conn *c, uint32_t bytes);
/* Keepalive probes on or off (off at first). */
void tg_tcp_set_keepalive(struct tg_conn *c, bool on);

/* TG_SHORT_x. The order of refusals as the last connections go: idle ones are closed
 * (TG_SHORT_CONNS, by the user), then tg_tcp_connect() refuses (conn_no_memory), then SYNs are
 * dropped (tcp_syn_dropped). As buffers go: the user ends what stands still (TG_SHORT_BUFFERS), and
 * connections that nobody holds any more are reset (conn_shed); then the user refuses requests
 * (TG_SHORT_BADLY); then SYNs are dropped. */
uint32_t tg_tcp_shortage(const struct tg_tcp *t);
/* From now on SYNs are dropped (tcp_syn_overload), or no longer. Handshakes go on. */
void tg_tcp_refuse(struct tg_tcp *t, bool on);

struct tg_tcp_usage {
	const char *name; /* "tcb", "tcp_transmit", "tcp_embryonic", "tcp_time_wait" */
	uint32_t size, count, in_use, peak;
	uint64_t refused;
};
/* Fills up to n pools; returns how many there are. For /memory. */
uint32_t tg_tcp_usage(const struct tg_tcp *t, struct tg_tcp_usage *out, uint32_t n);
/* Walks everything: flow table, queues, timers, buffer counts. Tests only. */
bool tg_tcp_validate(const struct tg_tcp *t);

#endif
