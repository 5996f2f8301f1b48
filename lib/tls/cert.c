#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "cert.h"

static struct tg_view name_text(const ASN1_STRING *s)
{
	struct tg_view v = tg_view_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));

	for (uint32_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x21 || v.p[i] > 0x7e)
			return TG_VIEW_NONE;
	return v;
}

bool tg_cert_names(X509 *x, struct tg_cert_names *n)
{
	int crit = 0;

	memset(n, 0, sizeof(*n));
	n->all = X509_get_ext_d2i(x, NID_subject_alt_name, &crit, NULL);
	if (!n->all)
		return crit == -1; /* not there; else malformed or twice there */
	for (int i = 0; i < sk_GENERAL_NAME_num(n->all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(n->all, i);

		if (g->type == GEN_URI) {
			n->n_uri++;
			if (n->n_uri == 1)
				n->uri = name_text(g->d.uniformResourceIdentifier);
		} else if (g->type == GEN_DNS && n->dns.n == 0) {
			n->dns = name_text(g->d.dNSName);
		}
	}
	return true;
}

uint32_t tg_cert_list(const struct tg_cert_names *n, int type, char *to)
{
	uint32_t bytes = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(n->all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(n->all, i);
		struct tg_view v;

		if (g->type != type)
			continue;
		v = name_text(g->d.ia5); /* URI and DNS names are both */
		if (v.n && to) {
			memcpy(to + bytes, v.p, v.n);
			to[bytes + v.n] = 0;
		}
		bytes += v.n ? v.n + 1 : 0;
	}
	return bytes;
}

void tg_cert_names_free(struct tg_cert_names *n)
{
	GENERAL_NAMES_free(n->all);
	memset(n, 0, sizeof(*n));
}

bool tg_cert_digest(const X509 *x, const EVP_MD *md, uint8_t out[static TG_DIGEST])
{
	return X509_digest(x, md, out, NULL) == 1;
}

const uint8_t *tg_cert_point(const X509 *x)
{
	X509_PUBKEY *spki = X509_get_X509_PUBKEY(x);
	const ASN1_OBJECT *curve;
	const unsigned char *p;
	ASN1_OBJECT *type;
	X509_ALGOR *alg;
	const void *v;
	int n, kind;

	if (!X509_PUBKEY_get0_param(&type, &p, &n, &alg, spki) || n != 65 || p[0] != 4 ||
		OBJ_obj2nid(type) != NID_X9_62_id_ecPublicKey)
		return NULL;
	X509_ALGOR_get0(NULL, &kind, &v, alg);
	curve = v;
	return kind == V_ASN1_OBJECT && OBJ_obj2nid(curve) == NID_X9_62_prime256v1 ? p : NULL;
}

int64_t tg_cert_time(const ASN1_TIME *t)
{
	struct tm tm;

	return t && ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

int64_t tg_cert_not_before(const X509 *x)
{
	return tg_cert_time(X509_get0_notBefore(x));
}

int64_t tg_cert_not_after(const X509 *x)
{
	return tg_cert_time(X509_get0_notAfter(x));
}

void tg_cert_date(char out[static 32], int64_t t)
{
	time_t tt = (time_t)t;
	struct tm tm;

	strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&tt, &tm));
}

/* What was written to b, as a string; frees b. */
static char *bio_text(BIO *b)
{
	char *data, *s = NULL;
	long n = b ? BIO_get_mem_data(b, &data) : -1;

	if (n >= 0 && (s = malloc((size_t)n + 1))) {
		if (n)
			memcpy(s, data, (size_t)n);
		s[n] = 0;
	}
	BIO_free(b);
	return s;
}

char *tg_cert_subject(const X509 *x)
{
	BIO *b = BIO_new(BIO_s_mem());

	/* The flags escape control bytes and all beyond ASCII. */
	if (b)
		X509_NAME_print_ex(b, X509_get_subject_name(x), 0, XN_FLAG_RFC2253);
	return bio_text(b);
}

char *tg_cert_serial(const X509 *x)
{
	BIO *b = BIO_new(BIO_s_mem());

	if (b)
		i2a_ASN1_INTEGER(b, X509_get0_serialNumber(x));
	return bio_text(b);
}

char *tg_cert_dns_and_ip(const struct tg_cert_names *n)
{
	BIO *b = BIO_new(BIO_s_mem());
	const char *sep = "";

	for (int i = 0; b && i < sk_GENERAL_NAME_num(n->all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(n->all, i);
		char ip[INET6_ADDRSTRLEN] = "";
		struct tg_view v = TG_VIEW_NONE;

		if (g->type == GEN_DNS) {
			v = name_text(g->d.dNSName);
		} else if (g->type == GEN_IPADD) {
			int len = ASN1_STRING_length(g->d.iPAddress);

			if (len == 4 || len == 16)
				inet_ntop(len == 4 ? AF_INET : AF_INET6,
					ASN1_STRING_get0_data(g->d.iPAddress), ip, sizeof(ip));
			v = tg_view_str(ip);
		}
		if (v.n) {
			BIO_printf(b, "%s%.*s", sep, (int)v.n, (const char *)v.p);
			sep = ", ";
		}
	}
	return bio_text(b);
}

static bool is_unreserved(uint8_t c)
{
	return (uint8_t)((c | 0x20) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-' ||
	       c == '.' || c == '_' || c == '~';
}

static char *put_url(char *to, const char *s, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)s[i];

		if (is_unreserved(c)) {
			*to++ = s[i];
		} else {
			*to++ = '%';
			*to++ = hex[c >> 4];
			*to++ = hex[c & 15];
		}
	}
	return to;
}

#define PEM_LINE 48 /* bytes, which make 64 */

char *tg_cert_url_pem(struct tg_view der)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----\n",
			  end[] = "-----END CERTIFICATE-----\n";
	size_t lines = der.n / PEM_LINE + 1, n = sizeof(begin) + sizeof(end) + lines * 65;
	char *s = malloc(3 * n), *to = s;
	unsigned char line[65 + 1];

	if (!s)
		return NULL;
	to = put_url(to, begin, sizeof(begin) - 1);
	while (der.n) {
		uint32_t part = der.n < PEM_LINE ? der.n : PEM_LINE;
		int made = EVP_EncodeBlock(line, der.p, (int)part);

		line[made] = '\n';
		to = put_url(to, (const char *)line, (size_t)made + 1);
		der.p += part;
		der.n -= part;
	}
	to = put_url(to, end, sizeof(end) - 1);
	*to = 0;
	return s;
}
