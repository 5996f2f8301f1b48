/* tcb.h: what a connection is made of, by lifetime.
 *
 *   SYN ---> [ embryonic 128 ] --ACK--> [ TCB 256 ] --both FINs--> [ TIME-WAIT 64 ] ---> gone
 *                                           |
 *                              data under way: [ transmit block ], given back when all is still
 *
 * TCB, by cache line:
 *
 *   0  | conn: ops, user, owner, ready link, events, state (40) | flow (24 of 36)              |
 *   64 | flow | RCV.NXT | tx | rx tail | right edge, SND.UNA/NXT/WND/WL1, TS.Recent, ... flags |
 *   128| rx head | timer (24) | dst | acked | SND end, TS age and offset, SRTT, RTTVAR ...     |
 *   192| cwnd, ssthresh, bounds, deadlines, idle clocks, small counters                        |
 *
 * The demultiplexer and the fast path's predicate read the first two lines only. Everything is
 * owned by one worker. Sequence numbers are RFC 9293's, in host order; their names are its names.
 */
#ifndef TG_TCP_TCB_H
#define TG_TCP_TCB_H

#include <rte_mbuf.h>

#include <tidegate/conn.h>
#include <tidegate/net.h>
#include <tidegate/wheel.h>

#include "cc.h"
#include "opts.h"

/* RFC 9293 section 3.3.2. LISTEN is a listener, SYN-RECEIVED of a passive open an embryonic record
 * and TIME-WAIT a record too. CLOSED: out of the flow table, but its user still holds it. */
enum tg_tcp_state {
	S_FREE,
	S_CLOSED,
	S_SYN_SENT,
	S_SYN_RCVD, /* of a simultaneous open */
	S_ESTABLISHED,
	S_FIN_WAIT_1,
	S_FIN_WAIT_2,
	S_CLOSE_WAIT,
	S_CLOSING,
	S_LAST_ACK,
};

/* tg_tcb.flags */
#define F_TS (1u << 0)            /* timestamps agreed (RFC 7323) */
#define F_SACK (1u << 1)          /* SACK agreed (RFC 2018) */
#define F_ECN (1u << 2)           /* ECN agreed (RFC 3168) */
#define F_USER (1u << 3)          /* a user holds the conn */
#define F_ON_READY (1u << 4)      /* user gone, conn still queued: reap frees it */
#define F_ON_OUT (1u << 5)        /* in the output list */
#define F_ACK_NOW (1u << 6)       /* an ACK leaves at the end of this turn */
#define F_ACK_LATER (1u << 7)     /* dl_ack runs */
#define F_WANT_WRITE (1u << 8)    /* tx_write took less than offered */
#define F_FIN_QUEUED (1u << 9)    /* user is done writing: FIN follows the queue */
#define F_FIN_IN_QUEUE (1u << 10) /* the FIN has a place in the transmit queue (and in snd_end) */
#define F_RCV_FIN (1u << 11)      /* peer's FIN taken: rcv_nxt is behind it */
#define F_KEEPALIVE (1u << 12)
#define F_ECE (1u << 13)        /* CE seen: echo until CWR comes */
#define F_CWR (1u << 14)        /* tell the peer that we slowed down */
#define F_SLOW (1u << 15)       /* out-of-order data, loss or the like: no fast path */
#define F_ACTIVE (1u << 16)     /* we dialled */
#define F_TX_FINAL (1u << 17)   /* conn.h: tx_final */
#define F_SOFT_ERROR (1u << 18) /* ICMP says unreachable; maybe it passes */
#define F_SYN_AGAIN (1u << 19)  /* SYN or SYN-ACK was retransmitted: no RTT from it (Karn) */
#define F_PINGPONG (1u << 20)   /* we answer: delayed ACKs ride on data */
#define F_IN_LINE (1u << 21)    /* in the line of timer.c; outlives the connection */
#define F_ORPHAN (1u << 30)     /* detached, and not yet closed */
#define F_STARVED (1u << 22)    /* wanted a block or a buffer and got none: tries again by timer */
#define F_PUSHED (1u << 23)     /* the unacknowledged data have a short or pushed segment */
#define F_HAD_DATA (1u << 24)   /* first data came: the delayed-ACK clock runs */
#define F_WSCALE (1u << 25)     /* window scaling agreed (SYN-SENT, SYN-RCVD: as offered) */
#define F_DRAIN_TOLD (1u << 26) /* DRAINED raised for all that was written */
#define F_BLACK_HOLE (1u << 27) /* mss was lowered because large segments vanish */
#define F_TLP (1u << 28)        /* no block, but TXF_TLP_RETRANS: did the probe repair a loss? */
#define F_RENO_HOLD (1u << 29)  /* no block, but TXF_RENO_HOLD */
#define F_HELD (1u << 31)       /* the queue's last segment waits for tx_more; dl_ack ends it */

/* What dl_rexmt waits for */
enum tg_rexmt { RX_NONE, RX_RTO, RX_TLP, RX_REO, RX_PERSIST, RX_STARVED };

/* Beside `state` these live in conn.impl: it has six bytes that would else be lost. */
enum {
	I_STATE,
	I_WHY,
	I_REXMT,
	I_PROBES,
	I_QUICK,
	I_HOLE_MIN, /* minute (modulo 256) in which F_BLACK_HOLE was set */
};

struct tg_tx;

struct tg_tcb {
	struct tg_conn conn;
	struct tg_flow flow;
	uint32_t rcv_nxt;
	struct tg_tx *tx;         /* NULL when nothing is under way */
	struct rte_mbuf *rx_tail; /* in-order bytes not yet consumed */
	uint32_t rcv_adv;         /* right edge of the window offered: RCV.NXT + RCV.WND */
	uint32_t snd_una, snd_nxt;
	uint32_t snd_wnd; /* bytes, scaled */
	uint32_t snd_wl1;
	uint32_t ts_recent;
	uint32_t rx_bytes; /* in the in-order queue */
	uint32_t flags;
	/* --- two cache lines --- */
	struct rte_mbuf *rx_head;
	struct tg_timer timer; /* earliest of the three deadlines, moved lazily */
	struct tg_dst dst;
	uint64_t tx_acked;     /* stream bytes acknowledged */
	uint32_t snd_end;      /* behind the last byte queued (FIN included when in the queue) */
	uint32_t ts_recent_ms; /* when ts_recent was taken */
	uint32_t ts_off;       /* TSval = clock + ts_off */
	uint32_t srtt_us, rttvar_us;        /* RFC 6298; srtt 0: no sample yet */
	uint32_t cwnd, ssthresh;            /* kept here while there is no block */
	uint32_t rcv_buf, snd_buf;          /* bounds, bytes */
	uint32_t dl_rexmt, dl_ack, dl_misc; /* ticks (32 bits of them); 0: none */
	uint32_t last_rcv, last_snd;        /* ticks: last segment in, last data out */
	uint32_t rcv_wup;                   /* RCV.NXT in the last ACK sent */
	uint32_t out_next;                  /* output list: index + 1 */
	uint32_t challenge_ms; /* challenge ACKs are paid for until then; see challenge_ack() */
	uint32_t max_wnd;      /* largest window ever offered to us (RFC 5961's MAX.SND.WND) */
	uint16_t mss;          /* payload bytes of a full segment: SendMSS - options (RFC 6691) */
	uint16_t peer_mss;     /* its MSS option */
	uint16_t rcv_mss;      /* estimate of what the peer sends as full segments */
	uint8_t snd_scale : 4, rcv_scale : 4;
	uint8_t backoff; /* consecutive timeouts */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct tg_tcb) == 256, "four cache lines a connection");
_Static_assert(offsetof(struct tg_tcb, flags) + sizeof(uint32_t) == 128,
	"what the fast path decides on is in two cache lines");

/* Loss recovery, RFC 5681, 6675, 6937, 8985; the names are Linux's */
enum tg_ca { CA_OPEN, CA_DISORDER, CA_RECOVERY, CA_LOSS };

/* State that only a connection with data under way needs: sent and unacknowledged, queued, or
 * received out of order. */
struct tg_tx {
	/* the transmit queue: [una .. nxt) sent, from `unsent` on not yet */
	struct rte_mbuf *head, *tail, *unsent;
	struct rte_mbuf *ooo_head, *ooo_tail; /* by sequence number, no overlaps */
	struct tg_cc cc;
	uint32_t sacked, lost, retrans; /* bytes of sequence space, see recovery.c */
	uint32_t reno_out; /* without SACK: bytes that duplicate ACKs say have arrived */
	uint32_t high_seq; /* SND.NXT when recovery began */
	uint32_t fack;     /* highest byte sacked */
	uint32_t prr_delivered, prr_out, prr_flight;   /* RFC 6937 */
	uint32_t rack_us, rack_end, rack_rtt, min_rtt; /* RFC 8985: newest delivered; us */
	uint32_t reo_round;   /* SND.NXT of the round in which reo_mult last grew */
	uint32_t undo_marker; /* SND.UNA at the reduction */
	int32_t undo_retrans; /* retransmissions since, less those proven needless; -1: none yet */
	uint32_t undo_ms;     /* TS clock of the first retransmission of this recovery; 0: none */
	uint32_t stall_ms;    /* since when nothing is acknowledged; 0: progress */
	uint32_t tlp_end;     /* SND.NXT of a tail loss probe; see TXF_TLP */
	uint32_t max_out, max_seq; /* most bytes in flight in this window of data */
	uint32_t cwr_seq;          /* no second ECN reduction before it is acknowledged */
	uint32_t sacked_segs;      /* queued segments marked M_SACKED */
	struct tg_sack sacks[TG_OPTS_SACK_MAX]; /* of ours, newest first */
	struct tg_sack dsack;
	uint32_t ooo_bytes;
	uint32_t bufs; /* packet buffers in the transmit queue */
	uint32_t ooo_bufs;
	uint32_t owner;              /* index of the TCB */
	uint32_t ooo_prev, ooo_next; /* the stack's line of such queues: index + 1 */
	uint32_t flags;              /* TXF_ */
	uint8_t ca;                  /* enum tg_ca */
	uint8_t n_sacks;
	uint8_t dupacks;               /* without SACK */
	uint8_t reo_mult, reo_persist; /* RFC 8985 section 6.2 step 4 */
};

#define TXF_UNDO 0x001        /* undo_marker holds */
#define TXF_FRTO 0x002        /* RFC 5682 under way */
#define TXF_TLP 0x004         /* a tail loss probe is out */
#define TXF_TLP_RETRANS 0x008 /* it was a retransmission */
#define TXF_REORDERING 0x010  /* seen on this path */
#define TXF_DSACK 0x020       /* send dsack with the next ACK */
#define TXF_CWND_LIMITED 0x040
#define TXF_CWR_PENDING 0x080 /* cwr_seq holds */
#define TXF_RACK 0x100        /* rack_* hold */
#define TXF_RENO_HOLD 0x200   /* RFC 6582: dup ACKs count again when SND.UNA has moved */
#define TXF_TOO_BIG 0x800     /* net refused a segment: the path MTU shrank */
#define TXF_OOO_LINE 0x1000   /* in the stack's line of out-of-order queues */
#define TXF_FRTO_NEW 0x400    /* F-RTO step 2b: new data instead of retransmissions */

/* What we note in a packet buffer (an mbuf dynamic field of this size). */
struct tg_mark {
	struct rte_mbuf *next; /* of the queue it is in; never mbuf->next, which drivers follow */
	uint32_t seq;
	uint32_t sent_us;  /* last transmission */
	uint16_t len, off; /* payload; off from buf_addr */
	uint8_t flags;     /* M_ */
	uint8_t pad[3];
};
_Static_assert(sizeof(struct tg_mark) == 24, "the mbuf has 36 bytes of dynamic fields for all");

#define M_SACKED 0x01
#define M_LOST 0x02
#define M_RETRANS 0x04 /* retransmitted, and that copy is counted in flight */
#define M_EVER 0x08    /* was retransmitted at least once */
#define M_FIN 0x10
#define M_PSH 0x20
#define M_TLP 0x40 /* was a tail loss probe */

/* SYN-RECEIVED of a passive open. */
struct tg_emb {
	struct tg_timer timer;
	struct tg_flow flow;
	uint32_t iss, irs;
	struct tg_tcp_listener *listener;
	struct tg_dst dst;
	uint32_t ts_recent, ts_recent_ms, ts_off;
	uint32_t sent_us;     /* the SYN-ACK */
	uint32_t rcv_wnd;     /* bytes offered in it */
	uint32_t answered_ms; /* last ACK sent to a segment that did not fit */
	uint16_t peer_mss;
	uint8_t snd_scale, rcv_scale;
	uint8_t has; /* TG_OPT_x agreed; 0: the slot is free */
	bool ecn, used;
	uint8_t retries;
};
_Static_assert(sizeof(struct tg_emb) <= 128, "a SYN costs two cache lines");

/* TIME-WAIT: in order of their ends, so that one timer serves all. */
struct tg_tw {
	struct tg_flow flow;
	uint32_t prev, next; /* index + 1 */
	uint32_t ends;       /* tick, 32 bits */
	uint32_t rcv_nxt, snd_nxt;
	uint32_t ts_recent;
	uint16_t wnd; /* as sent in the last ACK, unscaled */
	uint8_t has_ts : 1;
	uint8_t half : 1; /* FIN-WAIT-2 in truth: nobody is left to read, the peer's FIN is to come
			   */
	uint8_t answered; /* tenths of a second, 8 bits: last answer */
};
_Static_assert(sizeof(struct tg_tw) == 64, "a cache line");

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}
static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b : a;
}
static inline uint32_t u32_min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}
static inline uint32_t u32_max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline struct tg_tcb *tcb_of(const struct tg_conn *c)
{
	return (struct tg_tcb *)(uintptr_t)c; /* conn is first */
}
static inline enum tg_tcp_state tcb_state(const struct tg_tcb *c)
{
	return (enum tg_tcp_state)c->conn.impl[I_STATE];
}
static inline bool tcb_synchronized(const struct tg_tcb *c)
{
	return tcb_state(c) >= S_ESTABLISHED;
}
/* States in which the peer may still send data. */
static inline bool tcb_receiving(const struct tg_tcb *c)
{
	enum tg_tcp_state s = tcb_state(c);

	return s == S_ESTABLISHED || s == S_FIN_WAIT_1 || s == S_FIN_WAIT_2;
}
/* States in which the transmit queue is served. */
static inline bool tcb_sending(const struct tg_tcb *c)
{
	enum tg_tcp_state s = tcb_state(c);

	return s >= S_ESTABLISHED && s != S_FIN_WAIT_2;
}
static inline uint32_t tcb_peer_window_end(const struct tg_tcb *c)
{
	return c->snd_una + c->snd_wnd;
}
static inline uint32_t rcv_window(const struct tg_tcb *c)
{
	return seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
}

#endif
