/* material.h: the content of the files that a configuration names, and how what is wrong is told.
 *
 * Owner: the control core. Bounds: files of at most TG_FILE_MAX bytes. Whatever may hold a key is
 * wiped when it is freed.
 */
#ifndef TG_TLS_MATERIAL_H
#define TG_TLS_MATERIAL_H

#include <openssl/evp.h>

#include <tidegate/tls.h>

#include "cert.h"

#define TG_FILE_MAX (4u << 20)

/* Whom to tell what is wrong, and how often it was told. */
struct tg_complaints {
	tg_tls_complain *tell; /* NULL: only counted */
	void *arg;
	uint32_t n;
};
void tg_complain(struct tg_complaints *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The newest reason in OpenSSL's error queue, as text; the queue is empty afterwards. */
const char *tg_ssl_reason(void);

struct tg_blob {
	const char *file; /* where it came from */
	uint8_t *p;
	size_t n;
	bool der; /* the Workload API's, which owns it; else PEM */
};

struct tg_material {
	uint32_t n_pairs, n_trust;
	struct {
		struct tg_blob cert, key; /* PEM: leaf and chain; private key */
	} pair[TG_TLS_CERTS_MAX];
	struct {
		const char *trust_domain; /* NULL: `ca` */
		struct tg_blob pem;
	} * trust;
	struct tg_blob crl; /* .p NULL: none */
	uint32_t n_tickets;
	struct tg_blob ticket[TG_TLS_TICKET_KEYS_MAX];
	uint8_t digest[TG_DIGEST]; /* of the configuration and all content */
};

struct tg_workload;
/* Everything that conf needs; conf and said (what the Workload API said, by enum tg_tls_source;
 * NULL: nothing) must outlive m. NULL after complaints; without one, what is missing is the
 * Workload API's. */
struct tg_material *tg_material_read(const struct tg_tls_conf *conf,
	struct tg_workload *const said[static TG_TLS_SOURCES], struct tg_complaints *c);
void tg_material_free(struct tg_material *m);
/* The files that conf names; secret: it holds a key. */
void tg_material_files(const struct tg_tls_conf *conf,
	void (*each)(void *arg, const char *path, bool secret), void *arg);

/* A deep copy in one block, to be given to free(). NULL: no memory. */
struct tg_tls_conf *tg_conf_copy(const struct tg_tls_conf *conf);
/* A number of texts and blobs as one digest: no two lists of them have the same. NULL: no text. */
void tg_digest_text(EVP_MD_CTX *md, const char *s);
void tg_digest_bytes(EVP_MD_CTX *md, const void *p, size_t n);

#endif
