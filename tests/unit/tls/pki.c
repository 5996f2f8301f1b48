#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "pki.h"

static char dir[64];
static uint32_t n_files;
static char *files[512];

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pki: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(2);
}

static EVP_PKEY *rsa_key(void)
{
	static EVP_PKEY *key; /* RSA keys take long to make: one is enough for all tests */

	if (!key)
		must((key = EVP_RSA_gen(2048)) != NULL, "RSA key");
	EVP_PKEY_up_ref(key);
	return key;
}

static EVP_PKEY *make_key(const char *kind)
{
	EVP_PKEY *key;

	if (kind && strcmp(kind, "RSA") == 0)
		return rsa_key();
	if (kind && strcmp(kind, "RSA1024") == 0)
		key = EVP_RSA_gen(1024);
	else if (kind && strcmp(kind, "ED25519") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		key = EVP_EC_gen(kind && strcmp(kind, "EC") != 0 ? kind : "P-256");
	must(key != NULL, "key");
	return key;
}

static void add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	if (!value || !*value)
		return;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(e && X509_add_ext(x, e, -1), value);
	X509_EXTENSION_free(e);
}

struct pki_cert pki_issue(const struct pki_spec *s, const struct pki_cert *issuer)
{
	struct pki_cert c = {X509_new(), make_key(s->key)};
	const struct pki_cert *by = issuer ? issuer : &c;
	const char *usage = s->ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature";
	const char *ext_usage = s->ca ? "" : "serverAuth,clientAuth";
	int64_t from = s->from || s->to ? s->from : -3600, to = s->from || s->to ? s->to : 86400;
	uint8_t serial[8];

	must(c.x && RAND_bytes(serial, sizeof(serial)) == 1, "certificate");
	serial[0] &= 0x7f;
	X509_set_version(c.x, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(c.x), *(uint64_t *)serial);
	X509_time_adj_ex(X509_getm_notBefore(c.x), 0, from, NULL);
	X509_time_adj_ex(X509_getm_notAfter(c.x), 0, to, NULL);
	if (s->cn)
		must(X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x), "CN", MBSTRING_UTF8,
			     (const unsigned char *)s->cn, -1, -1, 0),
			"subject");
	must(X509_set_issuer_name(c.x, X509_get_subject_name(by->x)), "issuer");
	must(X509_set_pubkey(c.x, c.key), "public key");
	add_ext(c.x, by->x, NID_basic_constraints,
		s->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	add_ext(c.x, by->x, NID_key_usage, s->usage ? s->usage : usage);
	add_ext(c.x, by->x, NID_ext_key_usage, s->ext_usage ? s->ext_usage : ext_usage);
	add_ext(c.x, by->x, NID_subject_alt_name, s->san);
	add_ext(c.x, by->x, NID_name_constraints, s->constraints);
	must(X509_sign(c.x, by->key, EVP_PKEY_is_a(by->key, "ED25519") ? NULL : EVP_sha256()) > 0,
		"signature");
	return c;
}

void pki_free(struct pki_cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	c->x = NULL;
	c->key = NULL;
}

static void remove_files(void)
{
	for (uint32_t i = 0; i < n_files; i++) {
		unlink(files[i]);
		free(files[i]);
	}
	rmdir(dir);
}

const char *pki_path(const char *name)
{
	char path[256];

	if (!dir[0]) {
		snprintf(dir, sizeof(dir), "/tmp/tg-test-tls-XXXXXX");
		must(mkdtemp(dir) != NULL, "temporary directory");
		atexit(remove_files);
	}
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (uint32_t i = 0; i < n_files; i++)
		if (strcmp(files[i], path) == 0)
			return files[i];
	must(n_files < 512, "too many files");
	return files[n_files++] = strdup(path);
}

static FILE *create(const char *path)
{
	FILE *f;

	unlink(path);
	f = fopen(path, "w");
	must(f != NULL, path);
	return f;
}

const char *pki_write_certs(const char *name, const struct pki_cert *const *certs, uint32_t n)
{
	const char *path = pki_path(name);
	FILE *f = create(path);

	for (uint32_t i = 0; i < n; i++)
		must(PEM_write_X509(f, certs[i]->x), path);
	fclose(f);
	return path;
}

const char *pki_write_key(const char *name, const struct pki_cert *c, const char *password)
{
	const char *path = pki_path(name);
	FILE *f = create(path);

	must(PEM_write_PKCS8PrivateKey(f, c->key, password ? EVP_aes_128_cbc() : NULL, NULL, 0,
		     NULL, (void *)(uintptr_t)password),
		path);
	fclose(f);
	return path;
}

static X509_CRL *make_crl(const struct pki_crl *s)
{
	int64_t from = s->from || s->to ? s->from : -3600, to = s->from || s->to ? s->to : 86400;
	ASN1_TIME *start = X509_gmtime_adj(NULL, (long)from),
		  *end = X509_gmtime_adj(NULL, (long)to);
	X509_CRL *c = X509_CRL_new();

	must(c && start && end && X509_CRL_set_version(c, X509_CRL_VERSION_2), "CRL");
	X509_CRL_set_issuer_name(c, X509_get_subject_name(s->issuer->x));
	X509_CRL_set1_lastUpdate(c, start);
	if (!s->endless)
		X509_CRL_set1_nextUpdate(c, end);
	for (uint32_t i = 0; i < s->n; i++) {
		X509_REVOKED *r = X509_REVOKED_new();

		must(r && X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(s->revoked[i]->x)),
			"entry");
		X509_REVOKED_set_revocationDate(r, start);
		must(X509_CRL_add0_revoked(c, r), "entry");
	}
	if (s->ext == NID_delta_crl) { /* not known to X509V3_EXT_conf_nid */
		ASN1_INTEGER *base = ASN1_INTEGER_new();

		must(base && ASN1_INTEGER_set_int64(base, 1) &&
				X509_CRL_add1_ext_i2d(c, s->ext, base, 1, 0),
			"delta");
		ASN1_INTEGER_free(base);
	} else if (s->ext) {
		X509V3_CTX ctx;
		X509_EXTENSION *e;

		X509V3_set_ctx(&ctx, s->issuer->x, NULL, NULL, c, 0);
		e = X509V3_EXT_conf_nid(NULL, &ctx, s->ext, s->ext_value);
		must(e && X509_CRL_add_ext(c, e, -1), s->ext_value);
		X509_EXTENSION_free(e);
	}
	must(X509_CRL_sign(c, (s->signer ? s->signer : s->issuer)->key, EVP_sha256()) > 0, "sign");
	ASN1_TIME_free(start);
	ASN1_TIME_free(end);
	return c;
}

const char *pki_write_crls(const char *name, const struct pki_crl *crls, uint32_t n)
{
	const char *path = pki_path(name);
	FILE *f = create(path);

	for (uint32_t i = 0; i < n; i++) {
		X509_CRL *c = make_crl(&crls[i]);

		must(PEM_write_X509_CRL(f, c), path);
		X509_CRL_free(c);
	}
	fclose(f);
	return path;
}

const char *pki_write_text(const char *name, const char *text)
{
	const char *path = pki_path(name);
	FILE *f = create(path);

	fputs(text, f);
	fclose(f);
	return path;
}
