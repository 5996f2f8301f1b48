/* lab.h: a store and two workers in one process, and peers for them: the engine itself, and
 * OpenSSL's own client and server over memory BIOs. */
#ifndef LAB_H
#define LAB_H

#include <time.h>

#include "handshake.h"
#include "internal.h"
#include "pki.h"

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

/* Runs both ends until neither moves. True: both are done. */
bool lab_run(struct lab_end *a, struct lab_end *b);
/* Bytes of n are handed to end e as if from the peer; returns how many it used. */
uint32_t lab_feed(struct lab_end *e, const uint8_t *p, uint32_t n);
/* OpenSSL's end of ctx, which is freed with it. */
SSL *lab_ssl(SSL_CTX *ctx, bool server);
void lab_ssl_free(SSL *ssl);
/* An OpenSSL peer with (or without) a certificate, that believes in ca (or in anybody). */
SSL_CTX *lab_peer(bool server, const struct pki_cert *own, const struct pki_cert *chain,
	const struct pki_cert *ca);

#endif
