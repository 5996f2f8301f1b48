/* der.h: certificates for tests, part by part, right or wrong, and signed all the same. */
#ifndef DER_H
#define DER_H

#include <openssl/evp.h>

#include <tidegate/view.h>

#define DER_MAX 8192

struct der {
	uint8_t b[DER_MAX];
	uint32_t n;
};

/* Adds to d: bytes; a value with its tag and length; the same with a length of `width` bytes (0:
 * indefinite, which is BER). */
void der_put(struct der *d, struct tg_view v);
void der_wrap(struct der *d, uint8_t tag, struct tg_view content);
void der_wrap_ber(struct der *d, uint8_t tag, struct tg_view content, uint32_t width);

/* An Extension: id-ce (2.5.29) n, or, where n is 0, any identifier. */
void der_ext(struct der *d, uint8_t n, bool critical, struct tg_view value);
void der_ext_of(struct der *d, struct tg_view oid, struct tg_view critical, struct tg_view value);

/* A Name of one attribute 2.5.4.type. */
void der_name(struct der *d, uint8_t type, uint8_t tag, const char *value);
/* A Validity, in the way of RFC 5280. */
void der_validity(struct der *d, int64_t from, int64_t to);

/* The parts of a certificate, each with tag and length, but for `exts`: the Extensions. */
struct der_cert {
	struct tg_view version, serial, alg, issuer, validity, subject, key, exts, more;
	struct tg_view outer_alg;
	uint8_t unused;      /* of the signature's bits */
	struct tg_view tail; /* behind all */
};
/* Those of a plain one, but for issuer, validity, subject, key and exts. */
struct der_cert der_plain(void);
void der_sign(struct der *d, const struct der_cert *c, EVP_PKEY *by);
/* Signs these bytes instead of parts. */
void der_sign_bytes(struct der *d, struct tg_view tbs, const struct der_cert *c, EVP_PKEY *by);

#endif
