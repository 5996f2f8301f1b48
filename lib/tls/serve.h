/* serve.h: handshakes of our own: the server's side of TLS 1.3 (RFC 8446 section 4) for a plain
 * ClientHello (hello.h), over OpenSSL's primitives. OpenSSL's own state machine costs as much as
 * all signatures and curves together (perf/results/handshake.txt).
 *
 *   HELLO --plain, answered--> CERTIFICATE --> VERIFY --> FINISHED --> OPEN
 *     |                            `-------- no certificate ---^
 *     `--anything else--> OpenSSL: what was read is handed on, nothing has been sent
 *
 * From the answer on the handshake is ours to the end, so what the client may do wrong behind it is
 * refused here: when, and with which alert, is what OpenSSL 3.0 does
 * (tests/unit/tls/test_twins.c, tests/e2e/test_tls_refusals.py). Choices, extensions and their
 * order are OpenSSL's too, so that a client cannot tell; only that the answer's messages share
 * records. Ours: messages, records, transcript, keys (schedule.h, record.h), proofs of possession.
 * OpenSSL's: curves and signatures, reading certificates, and verifying their chains (verify.c).
 *
 * Owner: the worker. Bounds: struct tg_serve; a message of the client's that does not fit it takes
 * memory from malloc(), up to OpenSSL's limit for a Certificate (SERVE_CERTIFICATE_MAX) and a
 * record. Secrets are wiped. A step takes one record at most.
 *
 * Not here: sessions without a plain ClientHello, clients, TLS 1.2 (handshake.c).
 */
#ifndef TG_TLS_SERVE_H
#define TG_TLS_SERVE_H

#include "schedule.h"

#include <openssl/x509.h>

#include "context.h"
#include "handshake.h"
#include "hello.h"
#include "ticket13.h"

#define SERVE_INLINE 4096            /* a ClientHello's record must fit */
#define SERVE_LEAF_MAX 4096          /* the client's certificate, to be in a ticket */
#define SERVE_CERTIFICATE_MAX 102400 /* bytes of messages, without their heads */
#define SERVE_VERIFY_MAX 16384
#define SERVE_FINISHED_MAX 64
#define SERVE_OWN_MAX 32768     /* our Certificate; longer chains are OpenSSL's to show */
#define SERVE_REQUEST_MAX 16384 /* our CertificateRequest */
#define SERVE_RANDOM 1024       /* bytes that are asked for at one time */
#define SERVE_FLIGHT_MAX (SERVE_OWN_MAX + SERVE_REQUEST_MAX + 4096)

enum tg_serve_state {
	SERVE_NOT,
	SERVE_HELLO,
	SERVE_CERTIFICATE,
	SERVE_VERIFY,
	SERVE_FINISHED,
	SERVE_OPEN
};

struct tg_serve {
	uint8_t state; /* SERVE_NOT: OpenSSL does it */
	bool resumed;
	bool finished;           /* OPEN, and the ticket is written */
	uint16_t group;          /* of the exchange */
	bool plain_alerts;       /* may come in clear: no message that was sealed has been read */
	uint8_t empty, warnings; /* CCS and warnings in a row */
	uint8_t pair;            /* whose certificate we show */
	struct tg_view alpn;     /* in the context; .n 0: none */
	uint16_t n_sni;
	char sni[256];
	struct tg_sched sched;
	uint8_t client[TG_HASH_MAX]; /* the client's handshake traffic secret */
	struct tg_rec rx;            /* at rest but within a step */
	struct tg_rec tx;            /* the application's keys: for all behind our Finished */
	X509 *leaf;                  /* the client's certificate, if it had to be read */
	struct tg_identity *known;   /* or who it is, if it had not */
	/* n_msg bytes of a message, then n_rec bytes of a record. Before anything is read: n_out
	 * bytes of our flight that had no room, from `sent` on. */
	uint8_t *buf;
	uint32_t size, n_msg, n_rec, n_out, sent;
	/* For our ticket: */
	uint32_t n_cert;
	uint8_t says[TG_TICKET_SAYS];
	uint8_t cert[SERVE_LEAF_MAX];

	uint8_t space[SERVE_INLINE];
};

/* A worker's. */
struct tg_serve_worker {
	bool off;               /* for tests: all goes to OpenSSL */
	struct tg_aead_key key; /* within a step */
	EVP_CIPHER_CTX *cipher; /* the same */
	uint32_t n_random;
	uint8_t random[SERVE_RANDOM];
	uint32_t n_wire;
	uint8_t ticket[TG_TICKET13_MAX];
	uint8_t flight[SERVE_FLIGHT_MAX];
	uint8_t wire[SERVE_FLIGHT_MAX + 1024];
};

/* Facts are there (internal.h), without an SSL object. Whether this configuration can be served
 * here is looked at too: if not, the state is SERVE_NOT. */
void tg_serve_begin(struct tg_hs *h);
/* As tg_hs_step(); io->used and io->made are 0. False: the ClientHello is not plain, and what was
 * read of it stands in buf (n_rec bytes), to be handed to OpenSSL; io->used counts it. */
bool tg_serve_step(struct tg_hs *h, struct tg_hs_io *io, enum tg_hs_state *state);
/* OPEN: as tg_hs_take(). False: no memory. */
bool tg_serve_take(struct tg_hs *h, struct tg_hs_result *out);
/* In any state. */
void tg_serve_end(struct tg_hs *h);

/* --- flight.c -----------------------------------------------------------------------------------
 */

/* Answers a ClientHello: the flight is in w->serve.wire, and all keys are there. False: it cannot
 * be answered here, and nothing but the worker's memory has changed. */
bool tg_flight_make(struct tg_hs *h, struct tg_view hello);

/* Content as sealed records behind what is in the worker's wire. False: the library refuses. */
bool tg_serve_seal(struct tg_serve_worker *w, struct tg_rec *r, uint8_t type, struct tg_view all);

/* Random bytes that will be seen by all, at most SERVE_RANDOM: not for keys. False: the library has
 * none. */
bool tg_serve_random(
	struct tg_serve_worker *w, const struct tg_tls_lib *lib, uint8_t *out, uint32_t n);

/* The client's certificate, for a ticket; what is too long is not kept, and there is no ticket. */
void tg_serve_keep(struct tg_serve *s, struct tg_view cert);

/* --- resume.c -----------------------------------------------------------------------------------
 */

/* Whether the handshake resumes: then all about the client is there, and the schedule has begun,
 * with the message up to its binders. False: the ticket leaves something to judge. */
bool tg_resume_open(
	struct tg_hs *h, const struct tg_hello *hello, struct tg_view message, enum tg_suite suite);
/* Puts a NewSessionTicket behind what is in the worker's wire. False: there is none. */
bool tg_resume_ticket(struct tg_hs *h);

/* --- answer.c -----------------------------------------------------------------------------------
 */

/* A message of the client's, with its head, which fits the state. False: refused (tg_serve_refuse).
 */
bool tg_answer_certificate(struct tg_hs *h, struct tg_view m);
bool tg_answer_verify(struct tg_hs *h, struct tg_view m);
bool tg_answer_finished(struct tg_hs *h, struct tg_view m);

/* Notes alert (0: none) and OpenSSL's reason (SSL_R_...), once; false. */
bool tg_serve_refuse(struct tg_hs *h, uint8_t alert, int reason);

/* CertificateVerify (section 4.4.3): what is signed over the transcript so far; its bytes. */
#define TG_PROOF_MAX (64 + 34 + TG_HASH_MAX)
uint32_t tg_proof_text(const struct tg_sched *s, bool server, uint8_t out[static TG_PROOF_MAX]);

/* --- exchange.c ---------------------------------------------------------------------------------
 */

/* A fresh key of ours for the group, its share (TG_HELLO_SHARE_P256 bytes at most; returns how
 * many), and the secret with the client's, 32 bytes. 0: the share is no good, or no memory. */
uint32_t tg_exchange(const struct tg_tls_lib *lib, uint16_t group, struct tg_view share,
	uint8_t *own, uint8_t secret[static 32]);

/* --- present.c ----------------------------------------------------------------------------------
 */

/* For a context that is done but for this: what a server shows, and asks for. False: no memory.
 * What cannot be served here leaves x->plain false. */
bool tg_present_shared(struct tg_tls_ctx *x, uint32_t pair, STACK_OF(X509) * chain);
bool tg_present_request(struct tg_tls_ctx *x, const struct tg_ctx_worker *w);
bool tg_present_signer(
	const struct tg_tls_lib *lib, X509 *leaf, EVP_PKEY *key, struct tg_signer *s);

#endif
