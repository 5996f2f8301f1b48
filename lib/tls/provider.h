/* provider.h: what our provider (library.c) does itself instead of the default one, since OpenSSL's
 * way of doing it costs more than the cryptography: see perf/results/handshake.txt.
 *
 * Each is a table of functions as openssl-core_dispatch.h(7) describes them; they are called
 * through EVP by libssl, on the worker that owns the library context. Neither keeps state between
 * calls.
 *
 *   kdf.c    TLS13-KDF: the key schedule of RFC 8446 section 7.1
 *   spki.c   a decoder for the public keys of certificates, if they are of P-256
 */
#ifndef TG_TLS_PROVIDER_H
#define TG_TLS_PROVIDER_H

#include <openssl/core_dispatch.h>

#include "context.h"

/* For what libssl asks: all parameters come with the derivation, none is set before. */
extern const OSSL_DISPATCH tg_kdf_functions[];
extern const OSSL_DISPATCH tg_spki_functions[];

/* The library whose default provider has this context; NULL: none. Any thread. */
struct tg_tls_lib *tg_lib_of(const void *provider);

/* Of OSSL_FUNC_BIO_READ_EX, which the core hands to each provider alike. */
void tg_spki_core(const OSSL_DISPATCH *in);

/* A provider's function by its number; NULL: not there. */
void (*tg_dispatch_find(const OSSL_DISPATCH *d, int id))(void);

#endif
