/* pki.h: certificates for tests, made while they run. */
#ifndef PKI_H
#define PKI_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

struct pki_cert {
	X509 *x;
	EVP_PKEY *key;
};

struct pki_spec {
	const char *cn;  /* NULL: no subject */
	const char *san; /* as in openssl's config: "DNS:a.example,URI:spiffe://x/y" */
	const char *key; /* "EC" (default), "P-384", "RSA", "RSA1024", "ED25519" */
	bool ca;
	const char *usage;       /* default: digitalSignature, or keyCertSign of a CA; "": none */
	const char *ext_usage;   /* default of leaves: serverAuth,clientAuth; "": none */
	const char *constraints; /* name constraints, of CAs */
	int64_t from, to;        /* seconds from now; 0, 0: -3600 to +86400 */
};

/* issuer NULL: self-signed. Exits the test program if OpenSSL refuses. */
struct pki_cert pki_issue(const struct pki_spec *s, const struct pki_cert *issuer);
void pki_free(struct pki_cert *c);

/* Writes PEM files into a directory of this process, made at the first use and removed at exit.
 * Returns their path, which stays valid. */
const char *pki_write_certs(const char *name, const struct pki_cert *const *certs, uint32_t n);
const char *pki_write_key(const char *name, const struct pki_cert *c, const char *password);

struct pki_crl {
	const struct pki_cert *issuer, *signer; /* signer NULL: the issuer */
	const struct pki_cert *const *revoked;
	uint32_t n;
	int64_t from, to;      /* seconds from now; 0, 0: -3600 to +86400 */
	bool endless;          /* without nextUpdate */
	int ext;               /* NID of one more extension, 0: none */
	const char *ext_value; /* as in openssl's config */
};
const char *pki_write_crls(const char *name, const struct pki_crl *crls, uint32_t n);
const char *pki_write_text(const char *name, const char *text);
const char *pki_path(const char *name);

#endif
