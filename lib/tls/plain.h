/* plain.h: reads the leaf certificates that a mesh has: X.509 version 3 (RFC 5280 section 4.1) in
 * DER (X.690), a key of P-256, signed with ECDSA and SHA-256, with nothing in it but what an
 * X.509-SVID needs.
 *
 * OpenSSL 3.0 takes longer to read and judge such a certificate than to verify its signature
 * (perf/results/handshake.txt). So this reader is small and narrow instead of complete: it takes
 * what it knows in the only way in which it may be written, and for whatever else the answer is
 * "not plain", which says nothing about the certificate: OpenSSL is asked then. What is plain,
 * OpenSSL can read too, and finds the same in it (tests/unit/tls/test_plain.c, fuzz_plain.c).
 *
 * Pure functions; any thread; no memory of its own: what is found are views of the DER. Bounds:
 * PLAIN_MAX bytes, one pass. Not here: whether it is to be believed (admit.c).
 */
#ifndef TG_TLS_PLAIN_H
#define TG_TLS_PLAIN_H

#include <tidegate/view.h>

#define TG_PLAIN_MAX 4096
#define TG_PLAIN_POINT 65         /* 04, x, y */
#define TG_PLAIN_SUBJECT_MAX 1024 /* bytes of text, with a 0 */

enum { TG_PLAIN_DNS = 0x82, TG_PLAIN_URI = 0x86, TG_PLAIN_IP = 0x87 }; /* GeneralName's tags */

struct tg_plain {
	struct tg_view signed_part;     /* tbsCertificate */
	struct tg_view signature;       /* ECDSA-Sig-Value: not looked into */
	struct tg_view issuer, subject; /* Names in DER, for tg_plain_name() */
	const uint8_t *point;           /* the key, TG_PLAIN_POINT bytes: not checked */
	int64_t not_before, not_after;  /* seconds since 1970; both are within the validity */
	struct tg_view key_id;          /* subjectKeyIdentifier; .n 0: none */
	struct tg_view issuer_key_id;   /* authorityKeyIdentifier's; .n 0: none */
	struct tg_view names;           /* for tg_plain_next(); .n 0: none */
	uint32_t n_uri;                 /* names of that type */
};

/* Whether the DER, to its last byte, is such a certificate, fit to identify a TLS client: its key
 * may sign handshakes but no certificates or CRLs, and an extendedKeyUsage, if there is one, says
 * clientAuth. */
bool tg_plain_read(struct tg_view der, struct tg_plain *out);

/* The next of its names (of a copy of `names`); all are well-formed. URI and DNS names are at least
 * one byte of 0x21..0x7e each. False: there are no more. */
bool tg_plain_next(struct tg_view *names, uint8_t *type, struct tg_view *name);

/* Whether a Name (RFC 5280 section 4.1.2.4), which may be empty, is of the kind whose text and
 * whose comparison (section 7.1) are simple: single attributes of well-known types, in ASCII
 * without what RFC 2253 escapes. So are both of plain certificates. */
bool tg_plain_name(struct tg_view name);
/* Whether two such Names certainly differ, by OpenSSL's rules: those of section 7.1, more or less.
 */
bool tg_plain_differ(struct tg_view a, struct tg_view b);
/* Its text (RFC 2253), as tg_cert_subject() writes it; returns its length without the 0. False
 * where it is too long. */
bool tg_plain_text(struct tg_view name, char out[static TG_PLAIN_SUBJECT_MAX], uint32_t *n);

#endif
