/* ticket.h: session tickets of servers (RFC 8446 section 4.6.1, RFC 5077): keys that all workers
 * share, and what a ticket says of the peer.
 *
 * The first key encrypts, all decrypt. Keys are made by the store, live in the sets, and are wiped
 * with them; or they are read from files of 80 bytes, whoever shares them, and belong to the
 * configuration that names them. A ticket carries, sealed with the session, who
 * vouched for the peer's certificate and until when, so that a resumed session is worth no more
 * than a full handshake would be now: see tg_ticket_good().
 *
 * Owner: keys by the store and its contexts, read by workers. No other state.
 */
#ifndef TG_TLS_TICKET_H
#define TG_TLS_TICKET_H

#include <openssl/ssl.h>

#include "material.h"

#define TG_TICKET_KEYS 4 /* made here: one encrypts, the others still decrypt */
#define TG_TICKET_FILE 80
#define TG_TICKET_LIFETIME 7200 /* seconds */
#define TG_TICKET_ROTATE 3600   /* seconds between new keys: three old ones outlive their tickets */
#define TG_TICKET_AUTH_MAX \
	86400 /* seconds from the full handshake on, over any number of tickets */

struct tg_ticket_key {
	uint8_t name[16], aes[32], hmac[32]; /* in the order of the 80-byte files */
	int64_t made;                        /* seconds since 1970 */
};

struct tg_ticket_keys {
	uint32_t n;
	struct tg_ticket_key key[TG_TLS_TICKET_KEYS_MAX];
};

/* Puts a fresh random key in front, dropping the oldest. False: no randomness. */
bool tg_ticket_rotate(struct tg_ticket_keys *k, int64_t now);
/* Adds what a file holds: name, AES key, HMAC key. False after a complaint. */
bool tg_ticket_add(struct tg_ticket_keys *k, const struct tg_blob *file, struct tg_complaints *c);
void tg_ticket_wipe(struct tg_ticket_keys *k);

/* Sets OpenSSL's callbacks on a server's context. */
void tg_ticket_serve(SSL_CTX *ctx);

#define TG_TICKET_SAYS (2 + 32 + 8 + 8) /* bytes of what a ticket says */

/* What a ticket says besides OpenSSL's session. */
struct tg_ticket_says {
	bool peer, svid;       /* the client showed a certificate; it was an SVID */
	uint8_t anchor[32];    /* SHA-256 of the CA certificate at the end of its chain */
	int64_t expires;       /* the earliest end in that chain */
	int64_t authenticated; /* when that was */
};
/* Of a session that was made or opened under tg_ticket_serve(); false: not there. */
bool tg_ticket_says(const SSL_SESSION *s, struct tg_ticket_says *out);
bool tg_ticket_read_says(struct tg_view v, struct tg_ticket_says *out);

#endif
