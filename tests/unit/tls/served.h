/* served.h: a worker's TLS that serves, and OpenSSL's clients at the other end of memconns. */
#ifndef SERVED_H
#define SERVED_H

#include <tidegate/memconn.h>
#include <tidegate/stats.h>

#include "conn.h"
#include "lab.h"

#define SERVED_QUEUE 65536u /* of each memconn's end */
#define SERVED_ACTIVE 4u    /* expanded keys */

struct served {
	struct lab lab;
	struct pki_cert ca, cert, client;
	struct tg_wheel wheel;
	struct tg_ready ready;
	struct tg_core_stats *stats;
	struct tg_tls *tls;
};

/* One connection. */
struct served_link {
	struct served *s;
	SSL *ssl;               /* OpenSSL's end */
	struct tg_conn *raw;    /* below it; NULL: closed */
	struct tg_conn *server; /* ours; NULL: given up */
	uint32_t events;        /* what ours was told; the test clears it */
	uint32_t raw_events;
	uint32_t chunk;      /* most bytes that pass at a time; 0: any */
	bool deaf;           /* OpenSSL's end does not read */
	uint64_t up, down;   /* bytes of the pattern that our user has read, and written */
	uint64_t sent, seen; /* bytes that OpenSSL's has written, and read */
	bool differs;        /* something was not as the pattern says */
};

void served_open(struct served *s);
void served_close(struct served *s);

/* A client of that version (TLS1_2_VERSION, ...), whose handshake has not begun. suite: of TLS 1.2,
 * as OpenSSL names it; NULL: any. */
struct served_link *served_client(struct served *s, int version, const char *suite);
/* Everything moves until nothing does. */
void served_run(struct served_link *l);
/* Both ends are open; stops the test otherwise. */
void served_shake(struct served_link *l);
/* Lets go of what is left of both ends. */
void served_end(struct served_link *l);

/* Bytes of a pattern: as many as could be written or read now. */
void served_client_writes(struct served_link *l, uint32_t n);
uint32_t served_client_reads(struct served_link *l);
uint32_t served_writes(struct served_link *l, uint32_t n);
uint32_t served_reads(struct served_link *l, uint32_t n);

/* TLS 1.2: keys of both directions as they stand after the handshake, awake, to seal what OpenSSL
 * would not. */
struct served_keys {
	struct tg_rec to, from;
	struct tg_aead_key key[2];
};
void served_keys(struct served_link *l, struct served_keys *k);
void served_keys_end(struct served_keys *k);
/* Sends a record with them, or bytes as they are. */
void served_seal(
	struct served_link *l, struct served_keys *k, uint8_t type, const void *p, uint32_t n);
void served_send(struct served_link *l, const void *p, uint32_t n);
/* The next record that came for the client, opened: bytes of content, and its type; -1: none. */
int32_t served_next(struct served_link *l, struct served_keys *k, uint8_t *type, uint8_t *content);

#endif
