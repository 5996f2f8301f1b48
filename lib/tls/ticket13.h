/* ticket13.h: tickets of TLS 1.3 as libssl writes them, so that one made by either way of serving
 * (serve.h, OpenSSL) is good for both, on every worker.
 *
 *   key's name 16 | IV 16 | AES-256-CBC of the session | HMAC-SHA256 of all before
 *
 * The session is libssl's structure in DER (i2d_SSL_SESSION(3)); read here is what libssl writes
 * for TLS 1.3 under our configuration, and nothing else: another, though it may be right, is left
 * to libssl.
 *
 * Owner: the caller; views stand in its memory. Not here: whether a session is still good
 * (ticket.h).
 */
#ifndef TG_TLS_TICKET13_H
#define TG_TLS_TICKET13_H

#include <openssl/evp.h>

#include "record.h"
#include "ticket.h"

#define TG_TICKET13_MAX 8192 /* bytes of a sealed one */

struct tg_session13 {
	enum tg_suite suite;
	uint8_t psk[48]; /* of the hash's size */
	int64_t time;    /* seconds since 1970: when the ticket was made */
	int64_t timeout; /* seconds */
	uint32_t age_add;
	uint16_t group;
	struct tg_view cert;    /* the client's, DER; .n 0: none */
	struct tg_view context; /* policy */
	struct tg_view sni, alpn;
	struct tg_view says; /* ticket.h */
};

/* Seals s with the first key into out, TG_TICKET13_MAX bytes; returns how many. 0: the certificate
 * is too long for that, or the library refuses. iv: random. */
uint32_t tg_session13_seal(const struct tg_session13 *s, const struct tg_ticket_keys *keys,
	const uint8_t iv[static 16], EVP_CIPHER_CTX *c, const EVP_CIPHER *aes, uint8_t *out);
/* Opens one into plain, TG_TICKET13_MAX bytes, where the views stand then. False: it is none of
 * these. */
bool tg_session13_open(struct tg_view ticket, const struct tg_ticket_keys *keys, EVP_CIPHER_CTX *c,
	const EVP_CIPHER *aes, uint8_t *plain, struct tg_session13 *s);

#endif
