/* conn.h: a TLS connection as a tg_conn over another, private to lib/tls.
 *
 *   worker.c     a worker's pools, contexts, turn          handshaking.c  driving a handshake
 *   conn.c       tg_conn_ops, ends of connections          rx.c, tx.c     records in and out
 *
 * What lies in lower's receive queue, from its front:
 *
 *   | skip | plain | skip | plain | ... | tail_skip | records not yet opened ...
 *     header         tag, header          tag
 *
 * Records are opened where they lie, when the user looks (pull), up to OPEN_MAX bytes of content
 * ahead. A small one's content is moved up to the one before, so that a request cut into single
 * bytes is still read in few pieces. A connection with nothing opened holds no struct tls_act: its
 * keys are expanded again when it wakes, so that an idle one costs its secrets and no more.
 */
#ifndef TG_TLS_CONN_H
#define TG_TLS_CONN_H

#include <tidegate/list.h>
#include <tidegate/pool.h>
#include <tidegate/stats.h>
#include <tidegate/tls.h>
#include <tidegate/traced.h>

#include "handshake.h"
#include "post.h"

#define OPEN_MAX (64u * 1024) /* content opened ahead of the user */
#define REGIONS 8
#define SMALL_RECORD 1024u /* content up to this is moved up to the one before */
#define RAW_VIEWS 128      /* pieces of lower's queue looked at at once */
#define TX_RESERVE 64u     /* of lower's send queue, for alerts and KeyUpdates */

/* LINGER: the user is gone, our alert is on its way: what still comes is read and forgotten,
 * because a RST for unread bytes would destroy the alert. */
enum tls_mode { TLS_HANDSHAKE, TLS_OPEN, TLS_FAILED, TLS_LINGER };

/* conn.impl */
enum { I_MODE, I_WHY };

#define F_LOWER_EOF 0x01 /* lower's FIN is behind what it holds */
#define F_LOWER_FAILED 0x02
#define F_STOPPED 0x04 /* opening stopped at a bound: more may lie there */
#define F_EOF_TOLD 0x08
#define F_FAIL_TOLD 0x10
#define F_FINISHED 0x20 /* lower has our FIN */
#define F_STARVED 0x40  /* on the list of those that wait for a struct tls_act */
#define F_SERVER 0x80
#define F_RESUMED 0x100
#define F_OWN_EXPIRES 0x200 /* what `expires` says is our SVID's end */

/* What a connection needs while it moves data; behind it stand the keys, tg_aead_key_bytes each,
 * for receiving and for sending. They keep what the implementation of AEAD put into them from one
 * owner to the next: the pool's own link in a free one must not stand there. */
struct tls_act {
	uint32_t n_regions; /* above 0: the keys stay (pinned) */
	uint32_t plain;     /* bytes of content opened and not consumed */
	uint32_t tail_skip; /* behind the last region */
	bool used;          /* since the hand last came by */
	struct tls_conn *owner;
	struct {
		const uint8_t *p; /* where its content begins, if that is in one piece; else NULL */
		uint32_t skip, plain;
	} region[REGIONS];
} __attribute__((aligned(64)));
_Static_assert(
	sizeof(struct tls_act) >= sizeof(struct tg_pool_node), "the link stands before the keys");

static inline uint32_t tls_act_size(void)
{
	return sizeof(struct tls_act) + 2 * tg_aead_key_bytes;
}
static inline struct tg_aead_key *tls_rx_key(struct tls_act *a)
{
	return (struct tg_aead_key *)(a + 1);
}
static inline struct tg_aead_key *tls_tx_key(struct tls_act *a)
{
	return (struct tg_aead_key *)((uint8_t *)(a + 1) + tg_aead_key_bytes);
}

/* A handshake under way. */
struct tls_hs {
	struct tg_hs *engine;
	struct tls_conn *c; /* NULL: free; behind the word that the pool uses in free ones */
	struct tg_timer timer;
	struct tg_link queue; /* tls->work: has something to do */
	struct tg_link age;   /* servers: tls->begun; LINGER: tls->lingering */
	uint64_t since;       /* ns */
};

/* What a request touches stands in the first two cache lines, and in the fourth: of very many
 * connections most are cold. */
struct tls_conn {
	struct tg_conn conn; /* first */
	struct tg_tls *tls;
	struct tg_conn *lower;
	union {
		struct tls_hs *hs;   /* HANDSHAKE; LINGER: for its timer */
		struct tls_act *act; /* OPEN; NULL: at rest */
	};
	struct tg_post post;
	struct tg_identity *peer;
	uint32_t expires; /* seconds since 1970: the peer's certificates, or our SVID */
	uint16_t flags;
	struct tg_rec rx, tx;
	struct tg_hs_resume *resume;
	struct tg_name *sni, *alpn;
	struct tg_identity *own;
	const char *cipher;
	struct tg_link starved;
};
_Static_assert(offsetof(struct tls_conn, rx.traffic_key) <= 128, "see above");
_Static_assert(offsetof(struct tls_conn, tx) / 64 == 3, "see above");
_Static_assert(offsetof(struct tls_conn, tx.traffic_key) <= 256, "see above");
_Static_assert(sizeof(struct tls_conn) <= 384, "idle connections are counted in bytes");

struct tg_tls {
	struct tg_tls_worker_conf conf;
	struct tg_hs_worker *handshakes;
	struct tg_pool conns, hs, acts;
	struct tg_link work;      /* struct tls_hs */
	struct tg_link begun;     /* struct tls_hs of servers, oldest first */
	struct tg_link lingering; /* struct tls_hs, oldest first */
	struct tg_link starved;   /* struct tls_conn */
	uint32_t hand;            /* the act that is looked at next for keys to take away */
	uint32_t pinned;          /* acts with content opened */
	struct tg_aead_key spare; /* for what is sent while all acts are pinned */
	uint8_t hs_timer;
	struct tls_log *log;
	struct tg_traced_ops ops; /* of its connections */
	struct tg_post_gather gather;
	uint8_t scratch[TG_REC_BODY_MAX + 4096];
};

#define TLS_NEVER UINT32_MAX /* expires: not within what it can say, which ends in 2106 */

/* Brings near what one record of moderate size touches. */
static inline void tls_prefetch(const struct tls_act *a, const struct tg_aead_key *key)
{
	__builtin_prefetch(a, 1);
	for (uint32_t i = 0; i < TG_AEAD_KEY_HOT; i += 64)
		__builtin_prefetch(&key->b[i]);
}

static inline struct tls_conn *tls_of(const struct tg_conn *c)
{
	return (struct tls_conn *)(uintptr_t)c; /* conn is first */
}

static inline enum tls_mode tls_mode(const struct tls_conn *c)
{
	return (enum tls_mode)c->conn.impl[I_MODE];
}

static inline int64_t tls_time(const struct tg_tls *t)
{
	return (int64_t)((t->conf.wheel->now + t->conf.realtime_offset) / TG_SEC);
}

/* Why a connection failed. What happened below has been counted there. */
static inline void tls_count(struct tls_conn *c, enum tg_why why)
{
	if (!(c->flags & F_LOWER_FAILED) || tg_why_is_tls(why))
		c->tls->conf.stats->why[why]++;
}

/* conn.c */
void tls_ops_init(struct tg_tls *t);
/* fault.c */
int tls_conn_fault(struct tg_conn *conn, const struct tg_conn_fault *f);
extern const struct tg_conn_user tls_lower_user;
/* Calls the user with ev, if any. c may be gone afterwards: the last thing a caller does. */
void tls_deliver(struct tls_conn *c, uint32_t ev);
/* An op found events: they are delivered by the ready list. */
void tls_call_back(struct tls_conn *c);
void tls_linger_end(struct tls_conn *c);

/* worker.c: keys of a connection that moves data. NULL: all are in use; c is called back. */
struct tls_act *tls_wake(struct tls_conn *c);
/* The key to send with, until tls_rest_tx(). It never waits: content that was opened on one
 * connection goes when it can be sent on another, and a close_notify has no second chance. False:
 * the library refuses; c is called back. */
bool tls_wake_tx(struct tls_conn *c);
static inline void tls_rest_tx(struct tls_conn *c)
{
	if (tg_unlikely(!c->act))
		tg_rec_rest(&c->tx);
}

/* One line for the log. Formats: only where a handshake or connection has failed. */
void tls_log_failure(struct tls_conn *c, const char *who_why);

/* handshaking.c */
struct tg_conn *tls_begin(struct tg_tls *t, bool server, uint32_t conf_id, struct tg_conn *lower,
	uint64_t timeout, const struct tg_conn_user *user, void *owner);
void tls_hs_event(struct tls_conn *c, uint32_t ev);
void tls_hs_step(struct tls_hs *h);
void tls_hs_drop(struct tls_conn *c);   /* ends it without a word */
bool tls_hs_linger(struct tls_conn *c); /* a timer for it; false: the pool is empty */
void tls_hs_timeout(void *ctx, struct tg_timer *timer);

/* rx.c */
/* Opens records, as far as bounds allow. Returns events for the user: READABLE, EOF, FAILED. */
uint32_t tls_rx_open(struct tls_conn *c);
uint32_t tls_rx_peek(struct tg_conn *c, struct tg_view *v, uint32_t cnt);
void tls_rx_consume(struct tg_conn *c, uint32_t n);

/* tx.c */
uint32_t tls_tx_space(const struct tg_conn *c);
uint32_t tls_tx_write(struct tg_conn *c, const struct tg_view *v, uint32_t cnt);
uint32_t tls_tx_fill(struct tg_conn *c, uint32_t least, uint32_t most, tg_fill_fn *fill, void *ctx);
void tls_tx_finish(struct tg_conn *c);
/* Sends what post has to say; data_left: what must go before data, too. False: lower has no room
 * now, WRITABLE will come. */
bool tls_tx_control(struct tls_conn *c, bool data_left);

#endif
