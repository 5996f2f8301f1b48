/* x25519.h: the public key of X25519 (RFC 7748 section 5): a secret scalar times the base point.
 *
 * OpenSSL's takes four times as long (perf/results/handshake.txt), and each handshake makes a key.
 * The other half of an exchange, the peer's point times the scalar, stays OpenSSL's.
 *
 * Constant time: neither branches nor addresses depend on the scalar. State: one table of multiples
 * of the base point, 30 KiB, made by tg_x25519_init() and read by all threads from then on.
 */
#ifndef TG_TLS_X25519_H
#define TG_TLS_X25519_H

#include <stdint.h>

/* Once, before any other thread is here. */
void tg_x25519_init(void);
/* scalar: any 32 bytes; the bits that RFC 7748 fixes are fixed here. */
void tg_x25519_public(uint8_t out[32], const uint8_t scalar[32]);

#endif
