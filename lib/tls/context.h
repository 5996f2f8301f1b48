/* context.h: configurations compiled to OpenSSL's contexts, and sets of them.
 *
 *   tg_tls_store (control core) --makes--> tg_tls_set --refers to--> tg_tls_ctx, one a
 * configuration |                          `- a part for each worker
 *                                             `- keys of tickets
 *
 * Life: the control core makes and frees everything here. A worker holds a set (adopts it, begins
 * handshakes with it) by the counts in set.c; what it reads is immutable, but for its own part's
 * OpenSSL objects, which only it uses. A tg_tls_ctx is shared by the sets in which its
 * configuration and files are the same. Each worker's objects live in an OSSL_LIB_CTX of their own:
 * OpenSSL 3.0 takes locks on whatever is reached through a library context.
 *
 * Bounds: by the configuration. Private keys are wiped when the last set that has them is freed.
 */
#ifndef TG_TLS_CONTEXT_H
#define TG_TLS_CONTEXT_H

#include <stdatomic.h>

#include <openssl/provider.h>
#include <openssl/ssl.h>

#include <tidegate/tls.h>

#include "cert.h"
#include "crl.h"
#include "direct.h"
#include "material.h"
#include "ticket.h"
#include "workload.h"

/* What a worker's contexts live in; the store's, since it outlives them all. See library.c. */
struct tg_tls_lib {
	OSSL_LIB_CTX *full, *ctx, *bare;
	OSSL_PROVIDER *base, *part, *none;
	EVP_MD *sha256;
	EVP_CIPHER *aes256_cbc;  /* for tickets */
	EVP_PKEY_CTX *make_p256; /* new keys for an exchange */
	struct tg_direct direct;
};

/* Certificates of one CA file or trust domain. Each is an anchor (RFC 5280 section 6.1.1 d),
 * self-signed or not: that is what naming it in a bundle means. */
struct tg_trust {
	char *trust_domain; /* NULL: `ca` where identities are not SPIFFE's */
	uint32_t n;
	uint8_t (*digest)[TG_DIGEST]; /* of each anchor's DER */
	struct tg_anchor *anchor;     /* n; see admit.h */
	bool crl;                     /* its chains are looked up in the revocation lists */
};

/* A name that a server's certificate is for. */
struct tg_own_name {
	char *name; /* lower case; "*.domain" without its star */
	uint32_t group;
};

/* SignatureScheme (RFC 8446 section 4.2.3) */
enum {
	TG_SCHEME_P256_SHA256 = 0x0403,
	TG_SCHEME_P384_SHA384 = 0x0503,
	TG_SCHEME_RSA_PSS_SHA256 = 0x0804
};

/* A pair's key, ready to sign a digest. */
struct tg_signer {
	EVP_PKEY_CTX *ctx;
	uint16_t scheme;      /* 0: a key of another kind; there is no ctx */
	uint16_t cert_scheme; /* by which the certificate itself is signed; 0: another */
};

struct tg_ctx_worker {
	const struct tg_tls_lib *lib;
	SSL_CTX *group[TG_TLS_CERTS_MAX]; /* n_groups; servers start with the first */
	/* Own certificates, one a pair: what SSL_get_certificate() says, and the digest of it. */
	const X509 *own[TG_TLS_CERTS_MAX]; /* the group's */
	uint8_t own_digest[TG_TLS_CERTS_MAX][TG_DIGEST];
	struct tg_signer signer[TG_TLS_CERTS_MAX]; /* servers */
	STACK_OF(X509) * *trust;                   /* one a tg_trust */
};

/* Texts behind a tg_tls_cert. */
struct tg_cert_entry {
	struct tg_tls_cert pub;
	char *file, *subject, *serial, *names, *spiffe_id;
};

struct tg_tls_ctx {
	uint32_t refs;             /* sets that have it */
	uint64_t serial;           /* never that of another */
	uint8_t digest[TG_DIGEST]; /* of the configuration and its files */
	/* Whose tickets are good here: of what is asked of a peer, what is revoked, and who we are;
	 * the same wherever these are, from whatever files they came. */
	uint8_t policy[TG_DIGEST];
	struct tg_tls_conf *conf; /* a copy */
	struct tg_trust *trust;
	uint32_t n_trust;
	struct tg_crls *crls;          /* NULL: revocation is not looked at */
	struct tg_ticket_keys tickets; /* .n 0: the set's */
	struct tg_own_name *names;     /* sorted */
	uint32_t n_names;
	/* Certificates that a server may show, in groups: those of a group are for the same names
	 * and differ in the type of their key. */
	uint32_t n_groups;
	uint8_t group_of[TG_TLS_CERTS_MAX]; /* a pair's */
	struct tg_cert_entry *certs;        /* for /certs */
	uint32_t n_certs;
	uint8_t alpn[TG_TLS_ALPN_MAX * 256]; /* as on the wire, in order of preference */
	uint32_t n_alpn;
	/* Servers: what serve.h sends: Certificate messages, one a pair, and CertificateRequest. */
	bool plain;                                      /* it can be served there */
	struct tg_view shown[TG_TLS_CERTS_MAX], request; /* from malloc(); request.n 0: none */
	uint32_t n_workers;
	struct tg_ctx_worker *worker;
};

struct tg_tls_set {
	struct tg_tls_set *next; /* the store's list */
	struct tg_tls_store *store;
	uint64_t gen;          /* 1, 2, ... */
	_Atomic uint32_t refs; /* workers that use it */
	uint32_t n;
	struct tg_tls_ctx **ctx; /* n, some NULL; by conf_id */
	struct tg_ticket_keys keys;
	uint32_t *users; /* a worker: its adoption, handshakes, resumes; only its own */
};

/* Those for tickets of x. */
static inline struct tg_ticket_keys *tg_ticket_keys_of(struct tg_tls_set *s, struct tg_tls_ctx *x)
{
	return x->tickets.n ? &x->tickets : &s->keys;
}

/* --- context.c ----------------------------------------------------------------------------------
 */

/* NULL after complaints. now: seconds since 1970. refs is 1. */
struct tg_tls_ctx *tg_ctx_create(const struct tg_tls_conf *conf, const struct tg_material *m,
	const struct tg_tls_lib *libs, uint32_t workers, int64_t now, struct tg_complaints *c);
void tg_ctx_drop(struct tg_tls_ctx *x);
/* The group of certificates for a server name in any case; the first one if none fits, or NULL. */
uint32_t tg_ctx_group(const struct tg_tls_ctx *x, const char *name);
/* Index of the trust for a SPIFFE trust domain; negative: none. */
int tg_ctx_trust_of(const struct tg_tls_ctx *x, struct tg_view trust_domain);
bool tg_trust_has(const struct tg_trust *t, const uint8_t digest[static TG_DIGEST]);

/* --- library.c ----------------------------------------------------------------------------------
 */

bool tg_lib_open(struct tg_tls_lib *l); /* false: to be closed all the same */
void tg_lib_close(struct tg_tls_lib *l);
/* A private key of l->full as one of l->ctx; NULL: of a kind that is not there. */
EVP_PKEY *tg_lib_import(const struct tg_tls_lib *l, EVP_PKEY *key);

/* --- pem.c --------------------------------------------------------------------------------------
 */

/* All certificates of a blob, PEM or DER; NULL after complaints. */
STACK_OF(X509) * tg_pem_certs(const struct tg_blob *b, OSSL_LIB_CTX *lib, struct tg_complaints *c);
EVP_PKEY *tg_pem_key(
	const struct tg_blob *b, const struct tg_tls_lib *lib, struct tg_complaints *c);
/* Complains if the leaf cannot be used: key of another certificate or of a kind or size that we do
 * not take, expired, not yet valid. */
void tg_pair_check(X509 *leaf, EVP_PKEY *key, const char *cert_file, const char *key_file,
	int64_t now, struct tg_complaints *c);

/* --- options.c ----------------------------------------------------------------------------------
 */

/* A context with everything but certificates and CA names. NULL: OpenSSL refuses. */
SSL_CTX *tg_ssl_ctx(struct tg_tls_ctx *x, const struct tg_tls_lib *lib);

/* --- store.c ------------------------------------------------------------------------------------
 */

struct tg_tls_store {
	uint32_t workers;
	struct tg_tls_lib *libs;
	struct tg_tls_conf **confs; /* n copies, some NULL: what refresh reads again */
	uint32_t n;
	struct tg_tls_set *current;               /* NULL before the first load */
	struct tg_tls_set *sets;                  /* all that are not freed, newest first */
	struct tg_workload *said[TG_TLS_SOURCES]; /* by the Workload API; NULL: nothing */
	struct tg_ticket_keys keys;               /* the newest */
	uint64_t last_gen;
	_Atomic uint64_t *adopted; /* a worker: the newest set it has adopted */
};

/* --- set.c: the worker's side -------------------------------------------------------------------
 */

void tg_set_hold(struct tg_tls_set *s, uint32_t worker);
void tg_set_drop(struct tg_tls_set *s, uint32_t worker);
/* This worker will never again adopt a set older than s. */
void tg_set_adopted(struct tg_tls_set *s, uint32_t worker);

#endif
