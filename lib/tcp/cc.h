/* cc.h: congestion control, exchangeable.
 *
 * A connection has one struct tg_cc (64 bytes) in its transmit block: cwnd and ssthresh in bytes,
 * which the sender reads, and the algorithm's own state. Owner: the connection's worker. Time is
 * handed in (ns). The sender calls:
 *
 *   init ---> on_ack for each ACK of new data outside of recovery
 *        `--> on_loss: recovery begins (fast retransmit; RFC 6675, 8985). ssthresh is set; cwnd is
 *             left for PRR (RFC 6937) to move. When recovery ends the sender sets cwnd = ssthresh.
 *        `--> on_rto: the first timeout of a flight: ssthresh is set, cwnd = 1 segment. Not called
 *             again for backed-off timeouts of the same flight (RFC 5681 section 3.1, eq. 4).
 *        `--> on_ecn: ECE arrived, at most once a round trip (RFC 3168): ssthresh and cwnd are set.
 *        `--> on_idle: about to send after a pause
 *        `--> undo: the last on_loss or on_rto was spurious (D-SACK, Eifel, F-RTO): as before it
 *
 * cwnd grows only by ACKs with `limited` (RFC 9293 has no rule; RFC 7661 and 9438 section 5.8 do).
 */
#ifndef TG_TCP_CC_H
#define TG_TCP_CC_H

#include <stdbool.h>
#include <stdint.h>

#define TG_CC_STATE 48                /* bytes for the algorithm */
#define TG_CC_SSTHRESH_MAX UINT32_MAX /* "arbitrarily high" (RFC 5681 section 3.1) */
#define TG_CC_CWND_MAX (UINT32_C(1) << 30)

struct tg_cc {
	uint32_t cwnd;     /* bytes, at least one segment */
	uint32_t ssthresh; /* bytes */
	uint32_t mss;      /* bytes: sender's maximum segment without options (Eff.snd.MSS) */
	uint32_t reserved;
	uint64_t state[TG_CC_STATE / 8];
};
_Static_assert(sizeof(struct tg_cc) == 64, "one cache line");

/* An ACK that acknowledged new data. */
struct tg_cc_ack {
	uint64_t now;              /* ns */
	uint32_t acked;            /* bytes newly acknowledged, by ACK or SACK */
	uint32_t rtt_us;           /* sample of this ACK; 0: none */
	uint32_t srtt_us;          /* smoothed; 0: not yet known */
	uint32_t snd_una, snd_nxt; /* after this ACK: they mark the rounds of HyStart++ */
	bool limited; /* since the last ACK, cwnd (not the user, not the peer's window) held back
			 data, or slow start filled more than half of it */
};

/* At most eight slots. */
struct tg_cc_ops {
	const char *name;
	void (*init)(struct tg_cc *c, uint32_t mss);
	void (*on_ack)(struct tg_cc *c, const struct tg_cc_ack *a);
	/* flight = SND.NXT - SND.UNA before the ACK, bytes */
	void (*on_loss)(struct tg_cc *c, uint64_t now, uint32_t flight);
	void (*on_rto)(struct tg_cc *c, uint64_t now, uint32_t flight);
	void (*on_ecn)(struct tg_cc *c, uint64_t now, uint32_t flight);
	/* Nothing was sent or outstanding for idle ns; rto ns (RFC 5681 section 4.1). */
	void (*on_idle)(struct tg_cc *c, uint64_t now, uint64_t idle, uint64_t rto);
	void (*undo)(struct tg_cc *c, uint64_t now);
};

/* RFC 9438 with HyStart++ (RFC 9406). */
extern const struct tg_cc_ops tg_cc_cubic;

/* RFC 6928: min(10 * mss, max(2 * mss, 14600)) bytes. */
static inline uint32_t tg_cc_initial_window(uint32_t mss)
{
	uint32_t low = 2 * mss > 14600 ? 2 * mss : 14600;

	return 10 * mss < low ? 10 * mss : low;
}

/* The segment size changed (path MTU): cwnd is kept in bytes, at least one segment. */
static inline void tg_cc_set_mss(struct tg_cc *c, uint32_t mss)
{
	c->mss = mss;
	if (c->cwnd < mss)
		c->cwnd = mss;
}

#endif
