#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <tidegate/addr.h>

#include "context.h"

#define CLOCK_SKEW 300 /* seconds by which a certificate may come too early */

/* One behind the other, to the last byte. */
static STACK_OF(X509) *
	der_certs(const struct tg_blob *b, OSSL_LIB_CTX *lib, struct tg_complaints *c)
{
	const unsigned char *p = b->p, *end = b->p + b->n;
	STACK_OF(X509) *all = sk_X509_new_null();

	ERR_clear_error();
	while (all && p < end) {
		X509 *x = X509_new_ex(lib, NULL);

		if (!d2i_X509(&x, &p, end - p) || !sk_X509_push(all, x)) {
			X509_free(x);
			break;
		}
	}
	if (p == end && sk_X509_num(all) > 0)
		return all;
	tg_complain(c, "%s: certificate %d cannot be read: %s", b->file,
		all ? sk_X509_num(all) + 1 : 0, tg_ssl_reason());
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

STACK_OF(X509) * tg_pem_certs(const struct tg_blob *b, OSSL_LIB_CTX *lib, struct tg_complaints *c)
{
	STACK_OF(X509) * all;
	BIO *in;

	if (b->der)
		return der_certs(b, lib, c);
	in = BIO_new_mem_buf(b->p, (int)b->n);
	all = sk_X509_new_null();
	ERR_clear_error();
	while (in && all) {
		X509 *x = X509_new_ex(lib, NULL);

		if (!PEM_read_bio_X509(in, &x, NULL, NULL)) {
			X509_free(x);
			break;
		}
		if (!sk_X509_push(all, x)) {
			X509_free(x);
			break;
		}
	}
	BIO_free(in);
	/* The end of the file shows as the lack of another beginning. */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		tg_complain(c, "%s: certificate %d cannot be read: %s", b->file,
			all ? sk_X509_num(all) + 1 : 0, tg_ssl_reason());
	else if (sk_X509_num(all) == 0)
		tg_complain(c, "%s: holds no certificate in PEM form", b->file);
	else {
		ERR_clear_error();
		return all;
	}
	ERR_clear_error();
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

static int no_password(char *buf, int size, int writing, void *asked)
{
	*(bool *)asked = true;
	return -1;
}

static EVP_PKEY *der_key(const struct tg_blob *b, OSSL_LIB_CTX *lib)
{
	const unsigned char *p = b->p;
	EVP_PKEY *key = d2i_AutoPrivateKey_ex(NULL, &p, (long)b->n, lib, NULL);

	if (key && p == b->p + b->n)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

static EVP_PKEY *pem_key(const struct tg_blob *b, OSSL_LIB_CTX *lib, bool *asked)
{
	BIO *in = BIO_new_mem_buf(b->p, (int)b->n);
	EVP_PKEY *key =
		in ? PEM_read_bio_PrivateKey_ex(in, NULL, no_password, asked, lib, NULL) : NULL;

	BIO_free(in);
	return key;
}

EVP_PKEY *tg_pem_key(const struct tg_blob *b, const struct tg_tls_lib *lib, struct tg_complaints *c)
{
	bool asked = false;
	EVP_PKEY *read, *key = NULL;

	ERR_clear_error();
	read = b->der ? der_key(b, lib->full) : pem_key(b, lib->full, &asked);
	if (!read && asked)
		tg_complain(c, "%s: the key is encrypted: give it without a password", b->file);
	else if (!read)
		tg_complain(c, "%s: holds no private key in %s form that can be read: %s", b->file,
			b->der ? "PKCS#8" : "PEM", tg_ssl_reason());
	else if (!(key = tg_lib_import(lib, read)))
		tg_complain(c, "%s: is neither an RSA nor an ECDSA key", b->file);
	EVP_PKEY_free(read);
	ERR_clear_error();
	return key;
}

static const char *key_fault(EVP_PKEY *key)
{
	char curve[64] = "";

	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) < 2048 ? "is an RSA key of less than 2048 bits"
						     : NULL;
	if (!EVP_PKEY_is_a(key, "EC"))
		return "is neither an RSA nor an ECDSA key";
	EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL);
	if (strcmp(curve, "prime256v1") != 0 && strcmp(curve, "secp384r1") != 0 &&
		strcmp(curve, "secp521r1") != 0)
		return "is an ECDSA key on a curve other than P-256, P-384 and P-521";
	return NULL;
}

void tg_pair_check(X509 *leaf, EVP_PKEY *key, const char *cert_file, const char *key_file,
	int64_t now, struct tg_complaints *c)
{
	const char *fault = key_fault(key);
	char when[32];

	if (fault)
		tg_complain(c, "%s: %s", key_file, fault);
	else if (X509_check_private_key(leaf, key) != 1)
		tg_complain(c, "%s: the key does not belong to the certificate in %s", key_file,
			cert_file);
	tg_cert_date(when, tg_cert_not_after(leaf));
	if (tg_cert_not_after(leaf) <= now)
		tg_complain(c, "%s: the certificate expired on %s", cert_file, when);
	tg_cert_date(when, tg_cert_not_before(leaf));
	if (tg_cert_not_before(leaf) > now + CLOCK_SKEW)
		tg_complain(c, "%s: the certificate is not valid before %s", cert_file, when);
	ERR_clear_error();
}
