/* lab.h: a store and two workers in one process, and peers for them: the engine itself, and
 * OpenSSL's own client and server over memory BIOs. */
#ifndef LAB_H
#define LAB_H

#include <time.h>

#include "handshake.h"
#include "internal.h"
#include "pki.h"

#define LAB_HANDSHAKES 32 /* of a worker's, under way at one time */

struct lab {
	struct tg_tls_store *store;
	struct tg_hs_worker *w[2];
	char complaints[4096]; /* all that load and refresh said, one a line */
	int64_t now;
};

void lab_open(struct lab *l);
void lab_close(struct lab *l);
/* Loads and lets both workers adopt. Returns what load returned. */
int lab_load(struct lab *l, const struct tg_tls_conf *const *confs, uint32_t n);
void lab_adopt(struct lab *l);

/* One end of a handshake. */
struct lab_end {
	struct tg_hs *hs; /* the engine's, or */
	SSL *ssl;         /* OpenSSL's */
	uint8_t out[65536];
	uint32_t n_out; /* bytes for the other end */
	uint32_t room;  /* engine: most bytes of output a step; 0: no limit */
	uint32_t chunk; /* engine: most bytes of input a step; 0: no limit */
	bool done, failed;
	uint32_t steps;
};

/* An engine's end for a configuration; origin NULL: a server's. Stops the test if it cannot begin.
 */
struct lab_end *lab_engine(
	struct lab *l, uint32_t worker, uint32_t conf_id, const struct tg_sockaddr *origin);
/* OpenSSL's end; ctx is freed with it. */
struct lab_end *lab_openssl(SSL_CTX *ctx, bool server);
void lab_end(struct lab_end *e);
/* The engine's result, which must be there; and its end. */
void lab_take(struct lab_end *e, struct tg_hs_result *r);
void lab_drop(struct lab *l, uint32_t worker, struct tg_hs_result *r);
/* What the engine's end has sent and lab_run has not delivered goes to OpenSSL. */
void lab_deliver(struct lab_end *from, SSL *ssl);
/* Data both ways between the taken secrets and OpenSSL, which proves secrets and counts. */
void lab_talk(const struct tg_hs_result *r, SSL *ssl);

/* Runs both ends until neither moves. True: both are done. */
bool lab_run(struct lab_end *a, struct lab_end *b);
/* Bytes of n are handed to end e as if from the peer; returns how many it used. */
uint32_t lab_feed(struct lab_end *e, const uint8_t *p, uint32_t n);
/* An OpenSSL peer with (or without) a certificate, that believes in ca (or in anybody). */
SSL_CTX *lab_peer(bool server, const struct pki_cert *own, const struct pki_cert *chain,
	const struct pki_cert *ca);

#endif
