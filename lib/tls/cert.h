/* cert.h: what can be read in a certificate: names, times, texts.
 *
 * Pure functions on OpenSSL's X509; any thread. Texts come from malloc() and are free of control
 * bytes, so that they can go into logs and header fields.
 */
#ifndef TG_TLS_CERT_H
#define TG_TLS_CERT_H

#include <openssl/x509.h>

#include <tidegate/view.h>

#define TG_DIGEST 32 /* SHA-256 */

/* Views of a certificate's subject alternative names, good as long as the certificate. Names with
 * bytes outside 0x21..0x7e are no names: nobody must have to escape them. */
struct tg_cert_names {
	uint32_t n_uri;               /* URI names in all, also those that are no names */
	struct tg_view uri, dns;      /* the first of each; .n 0: none */
	STACK_OF(GENERAL_NAME) * all; /* owned: tg_cert_names_free */
};
bool tg_cert_names(X509 *x, struct tg_cert_names *n); /* false: extension malformed */
/* All names of a type (GEN_URI, GEN_DNS), each with a 0 behind it; returns the bytes. to NULL: only
 * counts. */
uint32_t tg_cert_list(const struct tg_cert_names *n, int type, char *to);
void tg_cert_names_free(struct tg_cert_names *n);

/* SHA-256 of the certificate's DER; false: no memory. md: SHA-256, fetched. */
bool tg_cert_digest(const X509 *x, const EVP_MD *md, uint8_t out[static TG_DIGEST]);
/* The public key as an uncompressed point of P-256, 65 bytes; NULL: it is none. */
const uint8_t *tg_cert_point(const X509 *x);
/* Seconds since 1970; times that cannot be read are in 1970. */
int64_t tg_cert_time(const ASN1_TIME *t);
int64_t tg_cert_not_before(const X509 *x);
int64_t tg_cert_not_after(const X509 *x);
/* "2026-01-31 12:00:00 UTC", for complaints. */
void tg_cert_date(char out[static 32], int64_t t);
/* RFC 2253. NULL: no memory. */
char *tg_cert_subject(const X509 *x);
/* Hexadecimal. */
char *tg_cert_serial(const X509 *x);
/* DNS and IP subject alternative names, separated by ", ". */
char *tg_cert_dns_and_ip(const struct tg_cert_names *n);
/* PEM (RFC 7468) of a certificate's DER, percent-encoded but for letters, digits, "-", ".", "_" and
 * "~", as Envoy puts it into x-forwarded-client-cert. */
char *tg_cert_url_pem(struct tg_view der);

#endif
