/* internal.h: what the files of the handshake engine share: a worker's state, and the facts that
 * hang at every SSL object for OpenSSL's callbacks.
 *
 * Owner: the worker. Not here: contracts (handshake.h, context.h).
 */
#ifndef TG_TLS_INTERNAL_H
#define TG_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include <tidegate/list.h>
#include <tidegate/pool.h>

#include "context.h"
#include "handshake.h"
#include "serve.h"
#include "spiffe.h"

/* --- bytes: wire.c ------------------------------------------------------------------------------
 */

/* TLS 1.2, GCM: a Finished as a record, which is the last thing that a handshake sends. */
#define TG_WIRE_SENT (TG_REC_FRONT_MAX + 16 + TG_AEAD_TAG)

/* The BIO below an SSL object stands on the caller's io for the length of one call. */
struct tg_wire {
	struct tg_hs_io *io; /* NULL between calls: nothing to read, no room to write */
	uint32_t view, off;  /* where reading stands in io->in */
	uint8_t head[TG_REC_HEADER];
	uint8_t n_head;             /* bytes of the current record's header that have been read */
	uint32_t left;              /* bytes of its body still to be read */
	bool ended;                 /* a record has ended in this call: no more is given out */
	uint8_t sent[TG_WIRE_SENT]; /* the last bytes that went out */
};

BIO_METHOD *tg_wire_method(void); /* one a worker; NULL: no memory */
bool tg_wire_attach(const BIO_METHOD *m, SSL *ssl, struct tg_wire *w);
void tg_wire_begin(struct tg_wire *w, struct tg_hs_io *io);
void tg_wire_end(struct tg_wire *w);

/* --- facts --------------------------------------------------------------------------------------
 */

/* What verification found out about the peer's certificate. */
struct tg_peer {
	bool known, svid;
	uint8_t leaf[TG_DIGEST], anchor[TG_DIGEST];
	int64_t expires; /* the earliest end in the chain */
	int64_t authenticated;
};

/* The application data of each SSL object (SSL_get_app_data). */
struct tg_facts {
	struct tg_hs_worker *w;
	struct tg_tls_set *set; /* held */
	struct tg_tls_ctx *ctx;
	SSL *ssl;
	struct tg_wire wire;
	int64_t now;
	struct tg_sockaddr origin; /* clients */
	struct tg_peer peer;
	/* From the callbacks: */
	uint64_t rx_seq, tx_seq; /* records since the last change of keys */
	bool asked;              /* client: the server wants a certificate */
	uint8_t secret[2][48];   /* application traffic secrets: [0] client's, [1] server's */
	uint8_t n_secret[2];
	/* Failure: */
	enum tg_why why; /* none: not decided */
	uint8_t alert;
	bool alert_by_peer;
	char text[320];
};

struct tg_hs {
	struct tg_facts f; /* first. Without an SSL object: serve.h's */
	enum tg_hs_state state;
	struct tg_serve serve;
};

/* A client's connection whose first ticket is still to come. */
struct tg_hs_resume {
	struct tg_facts f;
	struct tg_rec rec; /* the server's keys, at the record that OpenSSL expects */
};

static inline struct tg_facts *tg_facts_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

/* --- a worker -----------------------------------------------------------------------------------
 */

struct tg_ident_table;
struct tg_plain;
struct tg_session_table;

struct tg_hs_worker {
	uint32_t index, max_conns;
	struct tg_tls_set *set; /* adopted and held; NULL: none */
	BIO_METHOD *bio;
	struct tg_serve_worker *serve;
	struct tg_pool handshakes, resumes;
	struct tg_ident_table *idents;
	struct tg_session_table *sessions; /* NULL: none */
};

/* handshake.c */
/* Hangs f at ssl: application data, and a BIO on f's wire. f's even if false. */
bool tg_facts_bind(struct tg_facts *f, SSL *ssl);
/* OpenSSL reads sessions in the thread's default library context, whatever the connection's is:
 * that should be the worker's `bare` one, where the peer's certificate is read without its key.
 * Returns the one before, for OSSL_LIB_CTX_set0_default(). */
OSSL_LIB_CTX *tg_facts_enter(const struct tg_facts *f);
void tg_facts_failure(const struct tg_facts *f, struct tg_hs_fail *out);
/* Lets go of the SSL object and the set, and wipes the rest. */
void tg_facts_fini(struct tg_facts *f);
void tg_hs_callbacks(SSL_CTX *ctx);

/* ticket.c: what a ticket says of the peer that was verified just now; and whether one is good now.
 * leaf: it has the peer's certificate; uri: the first in it, for SVIDs. */
void tg_ticket_write_says(const struct tg_facts *f, uint8_t b[static TG_TICKET_SAYS]);
bool tg_ticket_good(
	const struct tg_facts *f, const struct tg_ticket_says *says, bool leaf, struct tg_view uri);

/* refuse.c: decides why and writes the text, once. */
void tg_refuse(struct tg_facts *f, enum tg_why why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same about a certificate of the peer's. */
void tg_refuse_cert(struct tg_facts *f, enum tg_why why, X509 *x, const char *what);
/* From a reason of OpenSSL's (SSL_R_...) and the alert that we send; 0: none. */
void tg_refuse_reason(struct tg_facts *f, uint8_t alert, int reason);
/* From OpenSSL's error queue and the alert. */
void tg_refuse_ssl(struct tg_facts *f);
/* Who speaks plain HTTP to a server is told so, in plain HTTP. Bytes put into out; 0: it is no
 * HTTP, or there is no room. */
uint32_t tg_refuse_http(const struct tg_facts *f, struct tg_span out);

/* verify.c */
int tg_verify_peer(X509_STORE_CTX *sc, void *arg); /* SSL_CTX_set_cert_verify_callback */

/* The same without an SSL object: a client's chain, its leaf first. X509_V_OK, or why not. */
int tg_verify_chain(struct tg_facts *f, STACK_OF(X509) * chain);
/* The alert for that (OpenSSL's own choice is not to be had). */
uint8_t tg_alert_of_x509(int error);

/* identity.c */
struct tg_ident_table *tg_idents_create(uint32_t max_conns);
void tg_idents_destroy(struct tg_ident_table *t);
/* How a certificate came to be believed decides what its identity says: a SPIFFE ID counts only
 * where its trust domain's own bundle vouched for it. */
enum tg_ident_kind { TG_IDENT_PLAIN, TG_IDENT_SVID, TG_IDENT_OWN };
/* The identity of x (digest: of its DER), made if need be; with a reference. NULL: no memory, or
 * the certificate cannot be read. */
struct tg_identity *tg_ident_of(struct tg_ident_table *t, X509 *x,
	const uint8_t digest[static TG_DIGEST], enum tg_ident_kind kind);
/* The same for a plain one, whose bytes are not needed any more. */
struct tg_identity *tg_ident_of_plain(struct tg_ident_table *t, const struct tg_plain *c,
	const uint8_t digest[static TG_DIGEST], enum tg_ident_kind kind);
/* The same if it is there; NULL: it is not. */
struct tg_identity *tg_ident_find(
	struct tg_ident_table *t, const uint8_t digest[static TG_DIGEST], enum tg_ident_kind kind);
/* Makes its cert_pem, if it has none, from its certificate's DER. False: no memory. */
bool tg_ident_keep_pem(struct tg_identity *id, struct tg_view der);
bool tg_ident_keep_pem_of(struct tg_identity *id, X509 *x);
void tg_ident_drop(struct tg_ident_table *t, struct tg_identity *id);
/* Whether a chain for this leaf was verified under x, and holds now; then *out is what came out.
 * Remembered as long as the identity is there. */
bool tg_ident_recall(struct tg_ident_table *t, const uint8_t leaf[static TG_DIGEST],
	const struct tg_tls_ctx *x, int64_t now, struct tg_peer *out);
/* The same for a client whose key is of P-256: who it is, with a reference. NULL: not known, or of
 * another kind. */
struct tg_identity *tg_ident_known(struct tg_ident_table *t, const uint8_t leaf[static TG_DIGEST],
	const struct tg_tls_ctx *x, int64_t now, struct tg_peer *out);
/* Its point, 65 bytes. */
const uint8_t *tg_ident_point(const struct tg_identity *id);
void tg_ident_remember(struct tg_identity *id, uint64_t serial, const struct tg_peer *p);
struct tg_name *tg_name_of(struct tg_ident_table *t, const char *s, size_t n);
void tg_name_drop(struct tg_ident_table *t, struct tg_name *n);

/* session.c: clients' sessions */
struct tg_session_table *tg_sessions_create(uint32_t n);
void tg_sessions_destroy(struct tg_session_table *t);
/* Takes a session for one use (RFC 8446 appendix C.4), with a reference; NULL: none. *peer: what
 * its full handshake found. */
SSL_SESSION *tg_session_take(struct tg_session_table *t, uint64_t serial,
	const struct tg_sockaddr *origin, int64_t now, struct tg_peer *peer);
bool tg_session_wanted(
	const struct tg_session_table *t, uint64_t serial, const struct tg_sockaddr *origin);
int tg_session_new(SSL *ssl, SSL_SESSION *s); /* SSL_CTX_sess_set_new_cb */
/* TLS 1.2: OpenSSL does not tell of a session that was resumed, which may be used again, be it with
 * the ticket that it had or with a new one. */
void tg_session_again(const struct tg_facts *f);
struct tg_hs_resume *tg_resume_create(struct tg_facts *f);

#endif
