/* admitting.h: certificates of clients, each shown to tg_admit() on one worker and, if that takes
 * it, to OpenSSL on another, which remembers nothing of the first: as d2i_X509() and
 * tg_verify_chain(). OpenSSL must then accept it too, and the same must come out. */
#ifndef ADMITTING_H
#define ADMITTING_H

#include <openssl/x509v3.h>

#include "admit.h"
#include "der.h"
#include "lab.h"
#include "plain.h"

#define POINT_HEAD \
	"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01" \
	"\x07\x03\x42\x00"
#define KEY_ID "\x04\x04kkkk"
#define ISSUER_KEY_ID \
	"\x30\x06\x80\x04" \
	"cccc"
#define CLIENT_AUTH "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02"

enum { USAGE = 15, NAMES = 17, CONSTRAINTS = 19, PURPOSES = 37, SUBJECT_KEY = 14, ISSUER_KEY = 35 };

extern EVP_PKEY *ca_key, *other_key, *leaf_key;
extern struct der ca_name, leaf_name, leaf_spki, leaf_exts;
extern struct lab lab;
extern uint32_t n_taken, n_left;

struct tg_view of(const struct der *d);
void spki_of(struct der *d, EVP_PKEY *key);
/* SubjectAltName of one name. */
void name_of(struct der *d, uint8_t type, const char *text);

/* What a leaf of the tests has, but for extension `but`, instead of which `with` comes. */
void leaf_exts_but(struct der *d, uint8_t but, bool critical, struct tg_view with);
/* The plain leaf of the tests, which ca_key signs. */
struct der_cert leaf(void);

/* How a CA of the tests differs from the usual one. */
struct ca_spec {
	EVP_PKEY *key;       /* NULL: ca_key */
	struct tg_view name; /* its subject; none: ca_name */
	const char *key_id;  /* four bytes; NULL: none */
	bool issued;         /* by somebody else */
	int64_t from, to;    /* seconds from now; 0, 0: a day each way */
	struct tg_view usage, constraints, more;
	bool no_usage, version1;
};

X509 *make_ca(const struct ca_spec *s);

enum { C_SPIFFE, C_PLAIN, CONFS }; /* configurations, which trust the same */

/* A lab whose only anchor is the CA of the tests; the end of it. */
void open_all(void);
void close_all(void);
void load(X509 *const *anchors, uint32_t n);
void load_more(X509 *const *anchors, uint32_t n, const char *crl, bool pem);

/* Whether tg_admit() takes it; counted. */
bool takes(const char *what, uint32_t conf, struct tg_view der);
/* want: "both", "spiffe", "plain" or "none" of the configurations take it. */
void expect(const char *want, const char *what, struct tg_view der);
/* The same; ca_key signs it. */
void expect_cert(const char *want, const char *what, const struct der_cert *c);

#endif
