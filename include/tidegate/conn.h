/* conn.h: an ordered byte stream, whatever carries it (TCP, later TLS over TCP, memory in tests).
 *
 * Owner: the worker that created it; nobody else may touch it. Bounds: receive and send buffer,
 * fixed at creation. Nothing calls up from inside an op: what happens goes on the worker's ready
 * list as event bits, and the worker's turn calls on_ready() for each conn in it once.
 *
 *        accept / connect                              user calls detach() or abort()
 *   --> [ opening ] --OPEN--> [ open ] --EOF, FAILED--> ... -----------------------> gone
 *
 * Life: a conn exists until its user calls detach() or abort(), exactly one of them, after which
 * the pointer is dead. Until then it stays valid, also after FAILED. Backpressure is the absence of
 * rx_consume: the peer's window is opened by nothing else.
 *
 * Not here: HTTP, timeouts of the application, connection pools.
 */
#ifndef TIDEGATE_CONN_H
#define TIDEGATE_CONN_H

#include <tidegate/addr.h>
#include <tidegate/view.h>
#include <tidegate/why.h>

struct tg_conn;

/* Event bits, OR-ed until on_ready() takes them all. They say "look again", not how much. */
enum tg_ev {
	TG_EV_OPEN = 1 << 0,     /* handshake done (active: connect succeeded; passive: accepted) */
	TG_EV_READABLE = 1 << 1, /* more bytes than at the last look */
	TG_EV_WRITABLE =
		1 << 2,         /* tx_space() grew after a tx_write() that took less than offered */
	TG_EV_EOF = 1 << 3,     /* the peer's FIN is behind the readable bytes */
	TG_EV_FAILED = 1 << 4,  /* reset, timeout ...: see info.why. Unread bytes stay readable */
	TG_EV_DRAINED = 1 << 5, /* everything written (and our FIN, if any) has been acknowledged */
};

struct tg_conn_info {
	struct tg_sockaddr local, remote;
	enum tg_why why;     /* after FAILED: the reason, which the conn has counted */
	uint64_t tx_written; /* stream bytes accepted by tx_write so far */
	uint64_t tx_acked; /* stream bytes that the peer's TCP is proven to have received, so far */
	/* The proof that bytes beyond tx_acked never reached the peer's user, and never will: its
	 * FIN arrived, then its RST, and nothing acknowledged more. (RST alone proves nothing: the
	 * ACK may have been lost.) Also true for a connection that never opened. The proxy's replay
	 * rule. */
	bool tx_final;
	uint32_t rx_held; /* bytes received and not consumed, also those that cannot be read yet */
	uint32_t srtt_us; /* smoothed round trip; 0 = not yet known */
};

/* What a stack is short of, for who can give some of it back. */
#define TG_SHORT_CONNS 0x1u /* few connections are left: close idle ones */
#define TG_SHORT_BUFFERS \
	0x2u                /* few packet buffers are left: end what holds some and stands still */
#define TG_SHORT_BADLY 0x4u /* of buffers, so few that new requests are better refused */
#define TG_SHORT_NOW 0x8u   /* of connections, so few that there is no time for a FIN and its ACK */

/* tx_fill's: writes exactly n bytes, the total of the cnt pieces. Calls no op of any conn. */
typedef void tg_fill_fn(void *ctx, const struct tg_span *to, uint32_t cnt, uint32_t n);
#define TG_FILL_SPANS 64 /* pieces of one tx_fill at most */

/* What a bad network or a broken peer does, on purpose: replaces what was asked for before. Chances
 * are millionths of the segments that are sent from now on, retransmissions too. */
struct tg_conn_fault {
	uint32_t loss, duplicate, reorder; /* reorder: goes behind the next one */
	uint64_t zero_window;              /* ns from now on in which the window is said to be 0 */
	bool truncate; /* FIN behind what is written; over TLS, without close_notify */
	uint8_t alert; /* over TLS: this fatal alert, and FIN; 0: none */
};

/* "Cheap" = a few loads. */
struct tg_conn_ops {
	/* Views of the unread bytes in order, at most cnt of them; returns how many it filled (0:
	 * none now). They stay valid until the next rx_consume, detach or abort, and where TLS
	 * stands upon it until they themselves are consumed. Cheap. */
	uint32_t (*rx_peek)(struct tg_conn *c, struct tg_view *v, uint32_t cnt);
	/* Drops n bytes (at most what is readable) from the front. The only call that opens the
	 * receive window. n = 0 says that the user needs more before it can answer or read on: an
	 * ACK that waits for company leaves now, and the peer may send on though buffers are
	 * getting few: held back, what is there could never be read, nor its buffers be given back.
	 */
	void (*rx_consume)(struct tg_conn *c, uint32_t n);
	/* Bytes that tx_write would take now; 0 before OPEN, after tx_finish and after FAILED.
	 * Cheap. */
	uint32_t (*tx_space)(const struct tg_conn *c);
	/* Copies the views' bytes to the send queue, as many as fit; returns how many. Segments
	 * leave at the end of the turn, so several writes share packets. */
	uint32_t (*tx_write)(struct tg_conn *c, const struct tg_view *v, uint32_t cnt);
	/* For what is made where it is sent from (TLS seals into packets): reserves between least
	 * and most bytes of the send queue, as many as fit, and has fill() write them, once, before
	 * it returns. Returns how many; 0: fewer than least fit now, nothing was reserved, and
	 * WRITABLE follows as after a short tx_write. */
	uint32_t (*tx_fill)(
		struct tg_conn *c, uint32_t least, uint32_t most, tg_fill_fn *fill, void *ctx);
	/* FIN (close_notify for TLS) after everything written. Reading goes on: a half-close. */
	void (*tx_finish)(struct tg_conn *c);
	/* RST now, whatever is queued, and the pointer is dead. why is counted. */
	void (*abort)(struct tg_conn *c, enum tg_why why);
	/* The user is done: unsent bytes and FIN (sent if tx_finish was not called) still go out
	 * under the stack's own timeouts; bytes that come later are answered with RST. Pointer is
	 * dead. */
	void (*detach)(struct tg_conn *c);
	void (*info)(const struct tg_conn *c, struct tg_conn_info *out);
	/* 0; TG_ENOMEM: there are too many already; TG_EINVAL: it is not open. NULL: knows none. */
	int (*fault)(struct tg_conn *c, const struct tg_conn_fault *f);
	/* A hint, to be given some hundred nanoseconds ahead: the user will write. Prefetches what
	 * that needs. NULL: nothing would gain by it. */
	void (*tx_soon)(const struct tg_conn *c);
};

/* What a user of conns hands over; one static object a kind of user. */
struct tg_conn_user {
	void (*on_ready)(struct tg_conn *c, uint32_t events);
	/* on_ready comes soon, though perhaps not for this user: prefetch what it needs. c->owner's
	 * first cache line has been asked for before. May be NULL. */
	void (*soon)(const struct tg_conn *c);
};

/* Embedded at the front of each implementation. 40 bytes. */
struct tg_conn {
	const struct tg_conn_ops *ops;
	const struct tg_conn_user *user;
	void *owner;                /* the user's: its connection object or listener */
	struct tg_conn *ready_next; /* ready.h's */
	uint8_t events;             /* enum tg_ev, pending */
	uint8_t ready_state : 3;    /* ready.h's */
	uint8_t rx_more : 1;  /* the implementation's guess: what was read last is not the end of
				 what the peer is writing */
	uint8_t tx_more : 1;  /* the user's word: more will be written at once. A last segment that
				 is not full may wait for it, two milliseconds at most */
	uint8_t faulty : 1;   /* the implementation's: a fault is asked for */
	uint8_t dry : 1;      /* a struct tg_dry_conn of tls.h */
	uint8_t rx_short : 1; /* rx_consume(0) was the last one, or the user's word for the same:
				 what is there is too little for it to go on */
	uint8_t impl[6];      /* the implementation's, free to use */
};
_Static_assert(sizeof(struct tg_conn) == 40, "idle connections are counted in bytes");

/* Sugar, so that callers read well. */
static inline uint32_t tg_conn_peek(struct tg_conn *c, struct tg_view *v, uint32_t cnt)
{
	return c->ops->rx_peek(c, v, cnt);
}
static inline void tg_conn_consume(struct tg_conn *c, uint32_t n)
{
	c->ops->rx_consume(c, n);
}
static inline uint32_t tg_conn_space(const struct tg_conn *c)
{
	return c->ops->tx_space(c);
}
static inline void tg_conn_tx_soon(const struct tg_conn *c)
{
	if (c->ops->tx_soon)
		c->ops->tx_soon(c);
}
static inline uint32_t tg_conn_write(struct tg_conn *c, const struct tg_view *v, uint32_t cnt)
{
	return c->ops->tx_write(c, v, cnt);
}
static inline uint32_t tg_conn_fill(
	struct tg_conn *c, uint32_t least, uint32_t most, tg_fill_fn *fill, void *ctx)
{
	return c->ops->tx_fill(c, least, most, fill, ctx);
}
static inline void tg_conn_finish(struct tg_conn *c)
{
	c->ops->tx_finish(c);
}
static inline void tg_conn_abort(struct tg_conn *c, enum tg_why why)
{
	c->ops->abort(c, why);
}
static inline void tg_conn_detach(struct tg_conn *c)
{
	c->ops->detach(c);
}
/* TG_ENOSUP: this kind of connection knows no faults. */
static inline int tg_conn_fault(struct tg_conn *c, const struct tg_conn_fault *f)
{
	return c->ops->fault ? c->ops->fault(c, f) : TG_ENOSUP;
}
static inline void tg_conn_info(const struct tg_conn *c, struct tg_conn_info *out)
{
	c->ops->info(c, out);
}

#endif
