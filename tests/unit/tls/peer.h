/* peer.h: OpenSSL's own TLS, after a handshake, in memory: the peer that lib/tls is compared with.
 *
 * The handshake is between two SSL objects. One of them, the subject, lives on; of the other only
 * the secrets are used, so that any record can be made for the subject and read from it.
 */
#ifndef PEER_H
#define PEER_H

#include <openssl/ssl.h>

#include "record.h"

struct peer {
	SSL_CTX *server_ctx, *client_ctx;
	SSL *ssl; /* the subject */
	BIO *in, *out;
	bool server; /* the subject is */
	enum tg_suite suite;
	struct tg_rec to, from; /* what the subject reads and writes is sealed with; at rest */
};

/* Once. */
bool peer_init(struct peer *p);
void peer_exit(struct peer *p);
/* A new handshake; the suite says whether of TLS 1.3 or 1.2. No tickets are sent. */
bool peer_begin(struct peer *p, bool server, enum tg_suite suite);
void peer_end(struct peer *p);

#endif
