/* handshake.h: one TLS handshake, sans-IO: by OpenSSL, or, of servers with a plain ClientHello, by
 * serve.h. Nobody outside can tell which.
 *
 *   begin --> step(bytes in, bytes out) ... WANT_INPUT / WANT_OUTPUT --> DONE ----> take -->
 * records
 *                                     \--> FAILED (alert already in out) --> abandon
 *
 * Neither connections nor time are known here: whoever calls hands in views of the peer's bytes
 * and memory for ours, and the time at begin. OpenSSL reads and writes through a BIO of ours that
 * stands on those two for the length of one step, so bytes are not copied on the way and nothing
 * is kept between steps but what OpenSSL keeps. It never reads beyond the record that it needs, and
 * a step ends after one record: bytes of the application stay where they are.
 *
 * After `take` OpenSSL's object is gone, in TLS 1.2 as in TLS 1.3: what is left are the keys and
 * counts of both directions, for record.h.
 *
 * Owner: each tg_hs_worker and all that it hands out belong to one worker. Bounds: max_handshakes
 * and max_resumes OpenSSL connections; identities and names at most one a connection,
 * shared where equal; `sessions` entries of the client's resumption cache. Secrets are wiped when
 * their holder ends. Not here: files and certificates (store.c), records (record.h), timeouts
 * (conn.c).
 */
#ifndef TG_TLS_HANDSHAKE_H
#define TG_TLS_HANDSHAKE_H

#include <tidegate/addr.h>
#include <tidegate/tls.h>

#include "post.h"
#include "record.h"

struct tg_hs;
struct tg_hs_resume;
struct tg_hs_worker;

/* --- a worker's part ----------------------------------------------------------------------------
 */

struct tg_hs_worker_conf {
	uint32_t worker;         /* index of its contexts in a set */
	uint32_t max_handshakes; /* under way at one time */
	uint32_t max_conns;      /* bound of identities and names */
	uint32_t sessions;       /* client: sessions kept for resumption; 0: none */
	uint32_t max_resumes;    /* client: connections that keep OpenSSL's object for their first
				    ticket */
};

struct tg_hs_worker *tg_hs_worker_create(const struct tg_hs_worker_conf *c, struct tg_errbuf *e);
/* Everything handed out must be back. */
void tg_hs_worker_destroy(struct tg_hs_worker *w);
/* From the next begin on. Handshakes under way end with the set that they began with. Holds s, and
 * lets go of the set before once nothing of this worker uses it. s may be NULL (nothing can begin).
 */
void tg_hs_worker_adopt(struct tg_hs_worker *w, struct tg_tls_set *s);

/* --- a handshake --------------------------------------------------------------------------------
 */

enum tg_hs_state {
	TG_HS_WANT_INPUT,  /* call again when there are bytes that the last step has not used */
	TG_HS_WANT_OUTPUT, /* `out` was too small: send, and call again with room (any room will do)
			    */
	TG_HS_DONE,        /* everything is in `out`; take it */
	TG_HS_FAILED,      /* an alert may be in `out`: send it, read tg_hs_fail, abandon */
};

/* One step's bytes. Both sides belong to the caller and are not looked at after the call. */
struct tg_hs_io {
	const struct tg_view *in; /* what came from the peer and was not used yet, in order */
	uint32_t n_in;            /* views */
	struct tg_span out;       /* where to put bytes for the peer: as many as can be sent now */
	uint32_t used;            /* set: bytes of `in` that are spent */
	uint32_t made;            /* set: bytes put into `out` */
};

/* Role and contexts are those of configuration conf_id in the worker's set. now: seconds since
 * 1970. origin: clients: whom sessions are kept for; NULL for servers. NULL: *why is
 * tls_no_memory, or tls_not_loaded. */
struct tg_hs *tg_hs_begin(struct tg_hs_worker *w, uint32_t conf_id,
	const struct tg_sockaddr *origin, int64_t now, enum tg_why *why);

/* Goes on: at most one record of the peer's, and so at most one flight of ours. A client's first
 * step needs no input. Cost: up to some 100 us (a signature, a chain of certificates); microseconds
 * when the record is not complete. */
enum tg_hs_state tg_hs_step(struct tg_hs *h, struct tg_hs_io *io);

/* The peer will send no more: notes a failure for the log (tls_closed), without an alert. */
void tg_hs_eof(struct tg_hs *h);

/* Why it FAILED. */
struct tg_hs_fail {
	enum tg_why why;    /* tls_* */
	uint8_t alert;      /* AlertDescription; 0 (close_notify is never a failure's): none */
	bool alert_by_peer; /* received, else sent */
	/* One line for the log: who (name and SPIFFE ID of the peer's certificate, if it showed
	 * one, escaped) and why, as in `peer "CN=x" (spiffe://...): certificate has expired`. */
	const char *text; /* valid until abandon */
};
void tg_hs_failure(const struct tg_hs *h, struct tg_hs_fail *out);

/* "certificate expired"; static. */
const char *tg_alert_name(uint8_t alert);

/* A short text that connections of a worker share: server name, protocol. */
struct tg_name {
	uint32_t refs;
	uint16_t n;
	char s[]; /* n bytes, and a 0 */
};

/* Everything that stays of a handshake. Whoever takes it owns it: wipe the keys (tg_rec_wipe), and
 * hand back names and identities when the connection ends. */
struct tg_hs_result {
	uint8_t version; /* 12 or 13 */
	bool resumed;
	const char *cipher;             /* static text: "TLS_AES_128_GCM_SHA256" */
	struct tg_name *sni, *alpn;     /* NULL: none */
	struct tg_identity *peer, *own; /* NULL: no certificate */
	int64_t peer_expires; /* the earliest end in the peer's verified chain; INT64_MAX: no peer
			       */
	struct tg_rec rx,
		tx; /* at rest; the records done already are counted (tickets, Finished) */
	/* More stood behind the peer's Finished in its record: a renegotiation, or nonsense. It is
	 * lost, so the connection must end with unexpected_message. */
	bool trailing;
	/* TLS 1.3, clients: takes the first ticket; NULL: none is wanted. */
	struct tg_hs_resume *resume;
};

/* After DONE, once. h is gone. 0, or TG_ENOMEM (max_conns): h has FAILED now. */
int tg_hs_take(struct tg_hs *h, struct tg_hs_result *out);
/* Ends a handshake in any state. h is gone. */
void tg_hs_abandon(struct tg_hs *h);

void tg_hs_name_drop(struct tg_hs_worker *w, struct tg_name *n);          /* NULL: nothing */
void tg_hs_identity_drop(struct tg_hs_worker *w, struct tg_identity *id); /* NULL: nothing */

/* Clients, after `take`: a ticket becomes a session for a later connection to the same origin. Lets
 * go of r if no more are wanted; false then. */
bool tg_hs_ticket(struct tg_hs_resume *r, const struct tg_ticket *t, int64_t now);
void tg_hs_resume_drop(struct tg_hs_resume *r); /* NULL: nothing */

/* heap.c: what OpenSSL gives back is wiped from now on. Before it has memory of any kind; false: it
 * has already, and is left as it is. */
bool tg_heap_init(void);
/* Those of CRYPTO_set_mem_functions(3). */
void *tg_heap_take(size_t n, const char *file, int line);
void *tg_heap_take_other(void *p, size_t n, const char *file, int line);
void tg_heap_give(void *p, const char *file, int line);

#endif
