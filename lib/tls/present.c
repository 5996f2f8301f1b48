/* present.c: what a server's side of our own shows and signs with, made when its context is. */
#include <stdlib.h>

#include <openssl/rsa.h>

#include "internal.h"

enum { CERTIFICATE = 11, CERTIFICATE_REQUEST = 13, SIGNATURE_ALGORITHMS = 13, AUTHORITIES = 47 };

/* What a client may sign with, and what certificates may be signed with: OpenSSL's list at our
 * level of security, in its order. */
static const uint8_t schemes[] = {0x04, 0x03, 0x05, 0x03, 0x06, 0x03, 0x08, 0x07, 0x08, 0x09, 0x08,
	0x0a, 0x08, 0x0b, 0x08, 0x04, 0x08, 0x05, 0x08, 0x06, 0x04, 0x01, 0x05, 0x01, 0x06, 0x01};

static void store_be24(uint8_t *p, uint32_t n)
{
	p[0] = (uint8_t)(n >> 16);
	tg_store_be16(p + 1, (uint16_t)n);
}

/* Section 4.4.2: no context, no extensions. */
bool tg_present_shared(struct tg_tls_ctx *x, uint32_t pair, STACK_OF(X509) * chain)
{
	struct tg_view *to = &x->shown[pair];
	uint32_t n = 8;
	uint8_t *m, *p;

	for (int i = 0; i < sk_X509_num(chain); i++)
		n += (uint32_t)i2d_X509(sk_X509_value(chain, i), NULL) + 5;
	m = n <= SERVE_OWN_MAX ? malloc(n) : NULL;
	if (!m)
		return n > SERVE_OWN_MAX;
	m[0] = CERTIFICATE;
	store_be24(m + 1, n - 4);
	m[4] = 0;
	store_be24(m + 5, n - 8);
	p = m + 8;
	for (int i = 0; i < sk_X509_num(chain); i++) {
		uint8_t *der = p + 3;

		store_be24(p, (uint32_t)i2d_X509(sk_X509_value(chain, i), &der));
		tg_store_be16(der, 0);
		p = der + 2;
	}
	*to = tg_view_of(m, n);
	return true;
}

/* Section 4.2.4; returns its bytes, 0: none. to NULL: only counts. */
static uint32_t put_authorities(const STACK_OF(X509_NAME) * names, uint8_t *to)
{
	uint32_t n = 6;

	for (int i = 0; i < sk_X509_NAME_num(names); i++) {
		uint32_t size = (uint32_t)i2d_X509_NAME(sk_X509_NAME_value(names, i), NULL);

		if (to) {
			uint8_t *p = to + n + 2;

			tg_store_be16(to + n, (uint16_t)size);
			i2d_X509_NAME(sk_X509_NAME_value(names, i), &p);
		}
		n += 2 + size;
	}
	if (n == 6)
		return 0;
	if (to) {
		tg_store_be16(to, AUTHORITIES);
		tg_store_be16(to + 2, (uint16_t)(n - 4));
		tg_store_be16(to + 4, (uint16_t)(n - 6));
	}
	return n;
}

/* Section 4.3.2 */
bool tg_present_request(struct tg_tls_ctx *x, const struct tg_ctx_worker *w)
{
	const STACK_OF(X509_NAME) *names = SSL_CTX_get_client_CA_list(w->group[0]);
	uint32_t names_n = put_authorities(names, NULL), exts = 6 + sizeof(schemes) + names_n;
	uint8_t *m = exts + 7 <= SERVE_REQUEST_MAX ? malloc(exts + 7) : NULL, *p;

	if (!m)
		return exts + 7 > SERVE_REQUEST_MAX;
	m[0] = CERTIFICATE_REQUEST;
	store_be24(m + 1, exts + 3);
	m[4] = 0;
	tg_store_be16(m + 5, (uint16_t)exts);
	p = m + 7;
	tg_store_be16(p, SIGNATURE_ALGORITHMS);
	tg_store_be16(p + 2, sizeof(schemes) + 2);
	tg_store_be16(p + 4, sizeof(schemes));
	memcpy(p + 6, schemes, sizeof(schemes));
	if (names_n)
		put_authorities(names, p + 6 + sizeof(schemes));
	x->request = tg_view_of(m, exts + 7);
	return true;
}

/* The scheme by which a certificate says it is signed (signature_algorithms_cert); 0: another. */
static uint16_t scheme_of_cert(X509 *leaf)
{
	int md, type;

	if (!X509_get_signature_info(leaf, &md, &type, NULL, NULL))
		return 0;
	if (type != EVP_PKEY_RSA && type != EVP_PKEY_EC)
		return 0;
	if (md != NID_sha256 && md != NID_sha384 && md != NID_sha512)
		return 0;
	return (uint16_t)((md == NID_sha256          ? 0x400
				  : md == NID_sha384 ? 0x500
						     : 0x600) +
			  (type == EVP_PKEY_EC ? 3 : 1));
}

static uint16_t scheme_of_key(EVP_PKEY *key)
{
	char group[32];
	size_t n;

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		return TG_SCHEME_RSA_PSS_SHA256;
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
		!EVP_PKEY_get_group_name(key, group, sizeof(group), &n))
		return 0;
	return strcmp(group, "prime256v1") == 0  ? TG_SCHEME_P256_SHA256
	       : strcmp(group, "secp384r1") == 0 ? TG_SCHEME_P384_SHA384
						 : 0;
}

bool tg_present_signer(const struct tg_tls_lib *lib, X509 *leaf, EVP_PKEY *key, struct tg_signer *s)
{
	s->scheme = scheme_of_key(key);
	if (!s->scheme)
		return true;
	s->cert_scheme = scheme_of_cert(leaf);
	s->ctx = EVP_PKEY_CTX_new_from_pkey(lib->ctx, key, NULL);
	if (!s->ctx || EVP_PKEY_sign_init(s->ctx) != 1)
		return false;
	return s->scheme != TG_SCHEME_RSA_PSS_SHA256 ||
	       (EVP_PKEY_CTX_set_rsa_padding(s->ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_signature_md(s->ctx, lib->sha256) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(s->ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}
