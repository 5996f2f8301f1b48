/* stack.h: the stack of one worker, and what the files of lib/tcp offer each other.
 *
 *   input.c      demultiplexing, the fast path           slow.c      RFC 9293 section 3.10.7
 *   handshake.c  listeners, embryonic, SYN-SENT          cookie.c    SYN cookies
 *   rcv.c        receive queue, window, ACK policy       ooo.c       out of order data, SACK made
 *   snd.c        transmit queue, output                  build.c     headers, ACK, RST
 *   ack.c        acknowledgements in, SACK scoreboard    recovery.c  loss: RACK-TLP, PRR, RTO
 *   timer.c      the one timer of a TCB                  timewait.c  TIME-WAIT records
 *   conn.c       tg_conn_ops, ends of connections        tcp.c       create, listen, connect
 *   pmtu.c       segment sizes, ICMP errors              validate.c  what must always hold
 *   admit.c      which strangers are answered under a flood
 */
#ifndef TG_TCP_STACK_H
#define TG_TCP_STACK_H

#include <tidegate/pool.h>
#include <tidegate/rng.h>
#include <tidegate/tcp.h>
#include <tidegate/traced.h>

#include "admit.h"
#include "flow.h"
#include "secret.h"
#include "tcb.h"

#define RTO_INIT_US 1000000u     /* RFC 6298 section 2.1 */
#define RTO_FALLBACK_US 3000000u /* section 5.7: the handshake was slow to answer */
#define RTO_MIN_US 200000u       /* Linux: shorter than the RFC's second */
#define RTO_MAX_US 120000000u    /* RFC 6298 section 2.5: at least 60 s */
#define DELACK_US 40000u         /* RFC 9293 section 3.8.6.3: below 500 ms */
#define PERSIST_MAX_US 120000000u
#define SYN_RETRIES 6    /* 1 + 2 + ... + 64 = 127 s */
#define SYNACK_RETRIES 5 /* 1 + 2 + ... + 32 = 63 s */
#define QUICK_ACKS 16
#define HOLD_US 1000 /* a segment that is not full waits for tx_more, rounded up to ticks */
#define SHARE_STRICT (32u * 1024) /* a share so small that data beyond it are not even accepted */
#define SHARE_UNIT 1448u          /* payload bytes that a packet buffer is taken to hold */
#define DUP_THRESH 3
#define CHALLENGE_MS 200  /* RFC 5961 section 7: one in that time, and CHALLENGE_BURST at once: */
#define CHALLENGE_BURST 5 /* at most ten in any second, for each connection */
#define STARVED_US 5000u  /* until somebody without a block or buffer tries again */
#define RCV_SCALE 7       /* window scale that we offer, as Linux; larger for large buffers */
#define MIN_MSS 48        /* as Linux: a smaller one is an attack on our packet rate */
#define MAX_LISTENERS 1024
/* Connections left of the pool: below the first idle ones are closed, below the second none is
 * dialled, below the third none is accepted. A part of the pool, of a large one an absolute number:
 * it is for what comes in while idle ones go. */
#define CONNS_SHED(n) u32_min((n) / 8, 512)
#define CONNS_DIAL(n) u32_min((n) / 16, 256)
#define CONNS_ACCEPT(n) u32_min((n) / 32, 128)
#define LISTENER_BUCKETS 2048

/* A listener and its handshakes in progress. */
struct listener_slot {
	struct tg_tcp_listener *listener;
	uint32_t embryonic;
};

/* A connection whose deadlines are looked at, at that tick (32 bits). */
struct tg_line_entry {
	uint32_t index, tick;
};

/* A destination towards which no source port was free, until then (ns) not searched for again. */
struct no_port {
	struct tg_sockaddr to;
	uint64_t until;
};

/* A conn's ops object tells its stack. */
struct tg_tcp_ops {
	struct tg_traced_ops traced; /* first */
	struct tg_tcp *stack;
};

/* fault.c: of one connection. */
#define FAULTS_MAX 256
struct tcp_fault {
	uint32_t owner;                    /* index of the TCB + 1; 0: free */
	uint32_t loss, duplicate, reorder; /* millionths */
	uint64_t zero_until;               /* ns */
	struct rte_mbuf *held;             /* goes behind the next one; NULL: none */
	uint8_t held_tos;
};

struct tg_tcp {
	struct tg_tcp_ops ops;
	struct tg_tcp_conf conf; /* zeros replaced by the defaults */
	struct tg_wheel *wheel;
	struct tg_core_stats *stats;
	const struct tg_cc_ops *cc;
	struct tg_flow_table flows;
	struct tg_pool tcbs, txs, embs, tws;
	struct tg_secret secret;
	struct tg_admit admit;
	struct tg_rng rng;
	int mark_at;                 /* offset of struct tg_mark in an mbuf */
	uint32_t room;               /* bytes behind the headroom in a packet buffer */
	uint32_t out_head, out_tail; /* connections with something to send: index + 1 */
	uint8_t kind_tcb, kind_emb, kind_tw, kind_line;
	uint8_t pressure; /* on buffers. 0: none; 1: the least for everyone; 2: no new connections
			   */
	bool short_badly; /* between the two */
	bool refusing;    /* no SYN is taken: tg_tcp_refuse() */
	uint32_t pressure_ms; /* when it was last looked at */
	uint32_t share;       /* bytes that one queue may hold while buffers are scarce */
	uint32_t mbufs_total;
	uint32_t orphans;             /* TCBs with F_ORPHAN: they will be free soon */
	uint32_t ooo_bufs, ooo_max;   /* in out-of-order queues of all connections, and at most */
	uint32_t ooo_first, ooo_last; /* those queues, longest without progress first: index + 1 */
	uint32_t tw_head, tw_tail;    /* oldest first; index + 1 */
	struct tg_timer tw_timer;
	struct tg_line_entry *line; /* timer.c: ring of line_mask + 1 */
	uint32_t line_head, line_tail, line_mask;
	struct tg_timer line_timer;
	uint64_t cookies_until; /* ns: ACKs may carry our cookies until then */
	struct no_port no_ports[64];
	struct tcp_fault faults[FAULTS_MAX];
	uint32_t n_listeners;
	struct listener_slot listeners[LISTENER_BUCKETS]; /* by port, open addressing */
};

static inline struct tg_mark *mark_of(const struct tg_tcp *t, const struct rte_mbuf *m)
{
	return (struct tg_mark *)((uintptr_t)m + (uintptr_t)t->mark_at);
}
static inline uint32_t now_tick(const struct tg_tcp *t)
{
	return (uint32_t)(t->wheel->now >> TG_WHEEL_TICK_SHIFT);
}
static inline uint32_t now_us(const struct tg_tcp *t)
{
	return (uint32_t)(t->wheel->now / 1000);
}
/* The timestamp clock, 1 ms (RFC 7323 section 5.4: 1 ms .. 1 s), before the connection's offset. */
static inline uint32_t now_ms(const struct tg_tcp *t)
{
	return (uint32_t)(t->wheel->now / 1000000);
}
static inline uint32_t us_to_ticks(uint32_t us)
{
	return (uint32_t)(((uint64_t)us * 1000) >> TG_WHEEL_TICK_SHIFT) + 1;
}
/* What one queue may hold while t->share is not UINT32_MAX, in bytes: something always moves. */
static inline uint32_t share_of(const struct tg_tcp *t, uint32_t mss)
{
	uint32_t least = (t->pressure ? 2 : 4) * mss;

	return t->share > least ? t->share : least;
}

static inline uint32_t tcb_index(const struct tg_tcp *t, const struct tg_tcb *c)
{
	return tg_pool_index(&t->tcbs, c);
}
static inline struct tg_tcb *tcb_at(const struct tg_tcp *t, uint32_t i)
{
	return tg_pool_at(&t->tcbs, i);
}
/* The payload bytes of a full segment that the window ever offered allows (RFC 9293
 * section 3.8.6.2.1: a peer whose whole buffer is below one segment). */
static inline uint32_t tcb_seg_limit(const struct tg_tcb *c)
{
	uint32_t half = c->max_wnd > 536 ? c->max_wnd / 2u : c->max_wnd;

	return half && c->mss > half ? u32_max(half, 68 - 40) : c->mss;
}

static inline struct tg_tcp *stack_of(const struct tg_conn *c)
{
	return ((const struct tg_tcp_ops *)(const void *)c->ops)->stack;
}

/* --- input.c --- */
enum tg_why tcp_input_one(struct tg_tcp *t, struct tg_seg *s, uint64_t hash);

/* --- slow.c --- */
/* Everything about a segment for a TCB that is not the fast path. Consumes s->m (sets it NULL when
 * it is kept). The result is its place in the ledger: none = accepted. */
enum tg_why slow_input(struct tg_tcp *t, struct tg_tcb *c, struct tg_seg *s);
/* A challenge ACK, unless there were too many of late (RFC 5961 section 7). */
void challenge_ack(struct tg_tcp *t, struct tg_tcb *c);
/* The FIN stands at rcv_nxt: takes it (RFC 9293 section 3.10.7.4, eighth). */
void take_fin(struct tg_tcp *t, struct tg_tcb *c);
/* Our FIN was acknowledged. */
void fin_acked(struct tg_tcp *t, struct tg_tcb *c);

/* --- handshake.c --- */
enum tg_why listen_input(struct tg_tcp *t, struct tg_tcp_listener *l, struct tg_seg *s,
	uint64_t hash, uint32_t tw_ref);
static inline enum tg_why admitted(
	struct tg_tcp *t, const struct tg_tcp_listener *l, const struct tg_seg *s, bool take)
{
	return l->admit ? l->admit(l->admit_ctx, &s->flow.remote, t->wheel->now, take)
			: TG_WHY_none;
}
enum tg_why embryonic_input(struct tg_tcp *t, struct tg_emb *e, struct tg_seg *s, uint64_t hash);
enum tg_why syn_sent_input(struct tg_tcp *t, struct tg_tcb *c, struct tg_seg *s);
void embryonic_timer(void *stack, struct tg_timer *timer);
void embryonic_drop(struct tg_tcp *t, struct tg_emb *e);
struct tg_tcp_listener *listener_find(struct tg_tcp *t, const struct tg_flow *f);
/* What an agreed handshake leads to: a TCB in ESTABLISHED, in the flow table in the place of `ref`
 * (0: it was not in it). NULL: no memory. */
struct tg_handshake {
	struct tg_flow flow;
	struct tg_tcp_listener *listener;
	struct tg_dst dst;
	uint32_t iss, irs, ts_recent, ts_off, rcv_wnd;
	uint16_t peer_mss;
	uint8_t snd_scale, rcv_scale, has;
	bool ecn;
};
struct tg_tcb *accept_tcb(
	struct tg_tcp *t, const struct tg_handshake *h, uint64_t hash, uint32_t ref);
/* Initial window to offer and the scale to offer it with (RFC 7323 section 2.2). */
uint8_t rcv_scale_for(uint32_t rcv_buf);
uint32_t initial_rcv_wnd(uint32_t rcv_buf, uint32_t mss);
/* What a SYN without the option means (RFC 9293 section 3.7.1), and what we advertise. */
uint16_t default_mss(const struct tg_ip *remote);
uint16_t own_mss(struct tg_tcp *t, const struct tg_ip *remote);
void send_syn(struct tg_tcp *t, struct tg_tcb *c, bool ack);

/* --- fault.c: only of connections with conn.faulty --- */
int tcp_conn_fault(struct tg_conn *conn, const struct tg_conn_fault *in);
int fault_output(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, uint8_t tos);
bool fault_window_closed(struct tg_tcp *t, const struct tg_tcb *c);
void fault_end(struct tg_tcp *t, struct tg_tcb *c);

/* --- cookie.c --- */
void cookie_answer(struct tg_tcp *t, struct tg_tcp_listener *l, const struct tg_seg *s,
	const struct tg_opts *o);
enum tg_why cookie_input(
	struct tg_tcp *t, struct tg_tcp_listener *l, struct tg_seg *s, uint64_t hash);

/* --- rcv.c --- */
/* In-order payload at rcv_nxt: into the queue. Takes m (whose data are exactly those bytes). */
void rcv_append(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m);
/* Data of a segment: trimmed to the window, in order or out of order, FIN included. */
enum tg_why rcv_data(struct tg_tcp *t, struct tg_tcb *c, struct tg_seg *s);
/* Decides when the data just taken are acknowledged. */
void rcv_ack_policy(struct tg_tcp *t, struct tg_tcb *c, uint32_t len, bool psh);
/* RCV.WND to offer now; moves rcv_adv. Returns the header field. */
uint16_t rcv_select_window(struct tg_tcp *t, struct tg_tcb *c);
uint32_t rcv_peek(struct tg_conn *conn, struct tg_view *v, uint32_t cnt);
void rcv_consume(struct tg_conn *conn, uint32_t n);
void rcv_free(struct tg_tcp *t, struct tg_tcb *c);

/* --- ooo.c --- */
enum tg_why ooo_insert(
	struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, uint32_t seq, bool fin, bool psh);
/* Moves what has become in-order; true if a FIN came with it. */
bool ooo_merge(struct tg_tcp *t, struct tg_tcb *c);
void ooo_free(struct tg_tcp *t, struct tg_tx *x);
void ooo_dsack(struct tg_tcp *t, struct tg_tcb *c, uint32_t start, uint32_t end);
/* Packet buffers are short: gives up what may be given up. */
void ooo_prune(struct tg_tcp *t, struct tg_tcb *c, uint32_t keep);
uint32_t ooo_limit(const struct tg_tcb *c);

/* --- snd.c --- */
bool tx_take(struct tg_tcp *t, struct tg_tcb *c);
/* Gives the block back if nothing is under way. */
void tx_release(struct tg_tcp *t, struct tg_tcb *c);
void tx_drop(struct tg_tcp *t, struct tg_tcb *c);
uint32_t snd_space(const struct tg_conn *conn);
uint32_t snd_write(struct tg_conn *conn, const struct tg_view *v, uint32_t cnt);
uint32_t snd_fill(struct tg_conn *conn, uint32_t least, uint32_t most, tg_fill_fn *fill, void *ctx);
void snd_finish(struct tg_conn *conn);
/* Puts the FIN in the queue if it is due; false: no memory now. */
bool snd_queue_fin(struct tg_tcp *t, struct tg_tcb *c);
/* Sends what may be sent now: retransmissions, new data, an ACK if one is owed. */
void snd_output(struct tg_tcp *t, struct tg_tcb *c);
/* Puts c in the list that tg_tcp_output() walks. */
void snd_wake(struct tg_tcp *t, struct tg_tcb *c);
/* Sends the queued segment m (again). False: no buffer. */
bool snd_segment(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, bool again);
/* Cuts m so that it has n payload bytes; the rest becomes the next one. False: no buffer. */
bool snd_split(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, uint32_t n);
void snd_starved(struct tg_tcp *t, struct tg_tcb *c);
void snd_wake_writer(struct tg_tcp *t, struct tg_tcb *c);
static inline uint32_t in_flight(const struct tg_tcb *c)
{
	const struct tg_tx *x = c->tx;
	uint32_t n;

	if (!x)
		return 0;
	n = c->snd_nxt - c->snd_una - x->sacked - x->lost + x->retrans;
	return n > x->reno_out ? n - x->reno_out : 0;
}
/* Sequence space of a queued segment. */
static inline uint32_t mark_len(const struct tg_mark *k)
{
	return k->len + (k->flags & M_FIN ? 1u : 0);
}

/* --- build.c --- */
void send_ack(struct tg_tcp *t, struct tg_tcb *c);
void send_ack_at(struct tg_tcp *t, struct tg_tcb *c, uint32_t seq); /* probes: seq is chosen */
void send_reset(struct tg_tcp *t, struct tg_tcb *c);
/* RST to a segment of no connection (RFC 9293 section 3.10.7.1). */
void reset_reply(struct tg_tcp *t, const struct tg_seg *s);
/* A segment from scratch, for what has no TCB. */
struct tg_bare {
	struct tg_flow flow;
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags, n_opts;
	uint8_t opts[TG_OPTS_MAX];
};
void send_bare(struct tg_tcp *t, const struct tg_bare *b, struct tg_dst *dst);
/* Header of a connection's segment in front of m's data. */
void put_header(
	struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, uint32_t seq, uint8_t flags);
int give(struct tg_tcp *t, struct tg_tcb *c, struct rte_mbuf *m, uint8_t tos);

/* --- ack.c --- */
/* SEG.ACK, window and SACK blocks. none: fine; else the segment's fate. */
enum tg_why ack_input(
	struct tg_tcp *t, struct tg_tcb *c, const struct tg_seg *s, const struct tg_opts *o);
void rtt_sample(struct tg_tcb *c, uint32_t us);
uint32_t rto_us(const struct tg_tcb *c);

/* What an ACK brought, between ack.c and recovery.c. */
struct tg_acked {
	uint32_t prior_una, prior_flight; /* prior_flight: in flight before */
	uint32_t bytes;                   /* of sequence space newly acknowledged */
	uint32_t sacked;                  /* newly sacked */
	uint32_t rtt_us;                  /* of the newest segment that was sent once; 0: none */
	uint32_t tsecr_ms;                /* echoed timestamp without offset; valid with has_ts */
	bool has_ts, ece;
	bool una_moved, again; /* again: says nothing but SND.UNA */
	bool dup;              /* RFC 5681 section 2 duplicate: again, and data are in flight */
	bool dsack;            /* the ACK carried a D-SACK */
	bool orig_acked; /* acknowledged or sacked a segment never sent again, from below high_seq
			  */
	bool lost_again; /* new loss marked by this ACK */
};

/* --- recovery.c --- */
void recovery_delivered(
	struct tg_tcp *t, struct tg_tcb *c, const struct tg_mark *k, struct tg_acked *a);
void recovery_on_ack(struct tg_tcp *t, struct tg_tcb *c, struct tg_acked *a);
void recovery_on_rto(struct tg_tcp *t, struct tg_tcb *c);
void recovery_on_reo(struct tg_tcp *t, struct tg_tcb *c);
void recovery_on_tlp(struct tg_tcp *t, struct tg_tcb *c);
void mark_lost(struct tg_tx *x, struct tg_mark *k);
void recovery_too_big(struct tg_tcp *t, struct tg_tcb *c);

/* --- timer.c --- */
void tcb_timer(void *stack, struct tg_timer *timer);
void line_timer(void *stack, struct tg_timer *timer);
int line_init(struct tg_tcp *t);
void line_fini(struct tg_tcp *t);
bool line_ok(const struct tg_tcp *t);
void arm_rexmt(struct tg_tcp *t, struct tg_tcb *c, enum tg_rexmt what, uint32_t us);
void arm_ack(struct tg_tcp *t, struct tg_tcb *c, uint32_t us);
/* What tx_more holds back leaves in HOLD_US. */
void arm_hold(struct tg_tcp *t, struct tg_tcb *c);
void arm_misc(struct tg_tcp *t, struct tg_tcb *c, uint64_t ns);
void stop_rexmt(struct tg_tcb *c);
/* What must the retransmission timer wait for now? After every ACK and transmission. */
void rearm(struct tg_tcp *t, struct tg_tcb *c);
void arm_keepalive(struct tg_tcp *t, struct tg_tcb *c);

/* --- timewait.c --- */
void time_wait_enter(struct tg_tcp *t, struct tg_tcb *c);
enum tg_why time_wait_input(struct tg_tcp *t, struct tg_tw *w, struct tg_seg *s, uint64_t hash);
void time_wait_free(struct tg_tcp *t, struct tg_tw *w, bool in_table);
void time_wait_timer(void *stack, struct tg_timer *timer);

/* --- conn.c --- */
void conn_ops_init(struct tg_tcp *t);
void tcb_raise(struct tg_tcp *t, struct tg_tcb *c, uint32_t events);
struct tg_tcb *tcb_new(struct tg_tcp *t, const struct tg_flow *f);
/* Ends the connection with a reason: FAILED for the user; nothing is sent. */
void tcb_fail(struct tg_tcp *t, struct tg_tcb *c, enum tg_why why);
/* Out of the table and without queues (received bytes stay for the user); frees it if no one else
 * needs it. */
void tcb_close(struct tg_tcp *t, struct tg_tcb *c, bool in_table);
void tcb_maybe_free(struct tg_tcp *t, struct tg_tcb *c);
void set_state(struct tg_tcb *c, enum tg_tcp_state s);
/* An orphan's patience starts anew. */
void orphan_progress(struct tg_tcp *t, struct tg_tcb *c);

/* --- pmtu.c --- */
bool on_icmp_error(void *stack, const struct tg_icmp_error *e);
/* Sets mss from the path MTU and the peer's MSS. */
void mss_update(struct tg_tcp *t, struct tg_tcb *c, uint32_t mtu);
/* Another timeout: maybe for the segments' size. */
void mss_black_hole(struct tg_tcp *t, struct tg_tcb *c);

/* --- tcp.c --- */
void pressure_update(struct tg_tcp *t);
static inline uint32_t conns_left(const struct tg_tcp *t)
{
	return t->tcbs.count - t->tcbs.in_use;
}
static inline bool conns_short(const struct tg_tcp *t)
{
	return conns_left(t) < CONNS_SHED(t->tcbs.count);
}

#endif
