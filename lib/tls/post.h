/* post.h: what passes on a connection besides application data once the handshake is done:
 *KeyUpdate, NewSessionTicket, alerts (RFC 8446 sections 4.6 and 6), and the floods of them. In
 *TLS 1.2: alerts (RFC 5246 section 7.2), and ClientHello or HelloRequest, which ask for a
 *renegotiation and are refused with a warning.
 *
 * Sans-IO: contents of opened records in, events out; what must be sent comes out of tg_post_tx(),
 * to be sealed by the caller. Owner: the worker of the connection. Bounds: struct tg_post; a ticket
 * that is cut over several records is put together in one buffer a worker (struct tg_post_gather),
 * by one connection at a time; where that is taken the ticket is skipped, which costs a resumption
 * and nothing else. Nothing here is secret but the tickets.
 *
 * The order in which the caller works:
 *
 *	tg_rec_frame(), tg_rec_open()          negative: tg_post_fail(p, alert)
 *	   DATA:  tg_post_data(p, n)           negative: refused, as TG_POST_REFUSED
 *	   else:  tg_post_take() until it says DONE, or something that ends the reading
 *	before any sealing, and when tg_post_wants_tx(): tg_post_tx() until false
 *
 * What is refused, and with which alert, is what OpenSSL 3.0 does below nginx 1.22; the table
 *stands in post.c, and tests/unit/tls/test_peer.c compares with the real one.
 *
 * Not here: records (record.h), what a ticket is used for, closing the stream below.
 */
#ifndef TG_TLS_POST_H
#define TG_TLS_POST_H

#include "record.h"

#define TG_POST_EMPTY_MAX 32         /* empty records in a row */
#define TG_POST_WARNINGS_MAX 4       /* warning alerts in a row, close_notify included */
#define TG_POST_KEY_UPDATES_MAX 1024 /* KeyUpdates in a row, without application data */
#define TG_POST_TICKET_MAX 16384     /* body of a ticket that is handed up; longer: skipped */
#define TG_POST_TICKET_LEGAL 131338  /* longer ones are illegal */
#define TG_POST_HELLO_LEGAL 131396   /* TLS 1.2: the longest ClientHello that OpenSSL lets pass */

/* One a worker. */
struct tg_post_gather {
	const struct tg_post *owner; /* NULL: free */
	uint32_t n;
	uint8_t b[TG_POST_TICKET_MAX];
};

/* Whose keys and what is under way. 16 bytes. */
struct tg_post {
	uint32_t left;        /* bytes of the message's body still to come */
	uint8_t head[4];      /* HandshakeType, length */
	uint8_t n_head : 4;   /* bytes of it that are here; 0: between messages */
	uint8_t warnings : 4; /* in a row */
	bool tls12 : 1;
	bool server : 1;      /* we are */
	bool asked : 1;       /* we asked the peer for new keys, and they have not come */
	bool peer_closed : 1; /* close_notify or another alert has come: nothing is read any more */
	bool finish : 1;      /* close_notify is to be sent */
	bool tx_closed : 1;   /* close_notify or another alert has been given out by tg_post_tx() */
	uint8_t empty;        /* records in a row */
	uint8_t answers;      /* KeyUpdates that the peer asked for: before the next data */
	uint8_t due;          /* so many of them at once. TLS 1.2: warnings no_renegotiation */
	uint8_t alert;        /* fatal one to be sent; 0: none */
	uint16_t key_updates; /* in a row. TLS 1.2: renegotiations refused */
};
_Static_assert(sizeof(struct tg_post) == 16, "idle connections are counted in bytes");

void tg_post_init(struct tg_post *p, bool server, bool tls12);
/* Lets go of the gathering buffer, if p has it. */
void tg_post_end(struct tg_post *p, struct tg_post_gather *g);

/* --- receiving -------------------------------------------------------------------------------- */

enum tg_post_ev {
	TG_POST_DONE,       /* all of the content has been taken: next record */
	TG_POST_KEY_UPDATE, /* tg_rec_next_key() of the receiving side now. The content is at its
			       end */
	TG_POST_TICKET,     /* out->ticket; go on with the same content */
	TG_POST_CLOSED,     /* close_notify: the peer will send nothing more. Sending goes on */
	TG_POST_ALERT,  /* a fatal alert came (out->alert): the connection is dead, send nothing */
	TG_POST_REFUSED /* the peer breaks the rules: out->alert is to be sent, then close. It has
			   been queued: tg_post_tx() gives it */
};

/* NewSessionTicket (section 4.6.1), checked. The views stand in the content or in the gathering
 * buffer and are good until the next tg_post call of this worker. */
struct tg_ticket {
	uint32_t lifetime; /* seconds, as sent: at most 604800 may be used */
	uint32_t age_add;
	uint32_t max_early_data; /* 0: none */
	struct tg_view nonce, ticket;
};

struct tg_post_out {
	uint8_t alert;
	struct tg_ticket ticket;
};

/* A record of n bytes of application data was opened. 0: hand it up (unless it is empty); a
 * negative alert: the peer breaks the rules, and the alert has been queued. */
int32_t tg_post_data(struct tg_post *p, uint32_t n);
/* The same where nothing is to be refused, n > 0; false: it may be, ask the other. */
static inline bool tg_post_plain_data(struct tg_post *p)
{
	if (tg_unlikely(p->n_head))
		return false;
	p->empty = 0;
	p->warnings = 0;
	p->key_updates = 0;
	return true;
}
/* A record of another type (TG_REC_HANDSHAKE, TG_REC_ALERT) was opened; content: all of it, in one
 * piece; what has been taken is cut off at its front. */
enum tg_post_ev tg_post_take(struct tg_post *p, uint8_t type, struct tg_view *content,
	struct tg_post_gather *g, struct tg_post_out *out);

/* --- sending ---------------------------------------------------------------------------------- */

/* alert (negative, as tg_rec_open() returns it) ends the connection: nothing is read any more, and
 * the alert is the next and last thing to be sent. */
void tg_post_fail(struct tg_post *p, int32_t alert);
/* close_notify shall be sent. Not before the data written so far is sealed: tg_post_tx() gives it
 * only when data_left is false. */
void tg_post_finish(struct tg_post *p);

struct tg_post_msg {
	uint8_t type; /* of the record to seal: TG_REC_HANDSHAKE, TG_REC_ALERT */
	uint8_t n;
	uint8_t b[5];
	bool next_key; /* tg_rec_next_key() of the sending side after sealing it */
};

/* Whether tg_post_tx() would give something. Cheap: a few loads. */
bool tg_post_wants_any(
	const struct tg_post *p, const struct tg_rec *tx, const struct tg_rec *rx, bool data_left);
static inline bool tg_post_wants_tx(
	const struct tg_post *p, const struct tg_rec *tx, const struct tg_rec *rx, bool data_left)
{
	/* Without data to send tx is not looked at: it is mostly cold then. */
	if (tg_likely(!(p->alert | p->finish | p->answers | p->due) && !tg_rec_may_be_worn(rx) &&
		      !(data_left && tg_rec_may_be_worn(tx))))
		return false;
	return tg_post_wants_any(p, tx, rx, data_left);
}
/* The next message that must be sealed before any application data (data_left: there is some to
 * seal). False: nothing. A KeyUpdate that asked for one is answered one for one, when there is data
 * to send or when the next handshake message comes, whichever is first; so does OpenSSL. Worn keys
 * ask for KeyUpdates by themselves: one of our own when tx is worn, with update_requested when rx
 * is. (TLS 1.2 has none: keys serve on.) */
bool tg_post_tx(struct tg_post *p, const struct tg_rec *tx, const struct tg_rec *rx, bool data_left,
	struct tg_post_msg *m);

#endif
