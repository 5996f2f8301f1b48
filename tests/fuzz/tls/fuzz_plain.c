/* Certificates: what the reader of plain ones (plain.h) takes, OpenSSL reads too, to its last byte,
 * and finds the same in it: no CA, no extension that it does not know or finds malformed, the same
 * usage, times, names and key. */
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "cert.h"
#include "plain.h"

static void must(int ok)
{
	if (!ok)
		abort();
}

static void same_names(const struct tg_plain *c, X509 *x)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	struct tg_view names = c->names, v;
	uint32_t uris = 0;
	uint8_t type;
	int i = 0;

	for (; tg_plain_next(&names, &type, &v); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

		must(g && g->type == type - 0x80 && (uint32_t)ASN1_STRING_length(g->d.ia5) == v.n &&
			memcmp(ASN1_STRING_get0_data(g->d.ia5), v.p, v.n) == 0);
		uris += type == TG_PLAIN_URI;
	}
	must(i == (all ? sk_GENERAL_NAME_num(all) : 0) && uris == c->n_uri);
	GENERAL_NAMES_free(all);
}

static void same_subject(const struct tg_plain *c, X509 *x)
{
	char text[TG_PLAIN_SUBJECT_MAX], *theirs = tg_cert_subject(x);
	uint32_t n;

	must(theirs != NULL);
	if (tg_plain_text(c->subject, text, &n))
		must(n == strlen(theirs) && memcmp(text, theirs, n) == 0);
	if (tg_plain_differ(c->subject, c->issuer))
		must(X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) != 0);
	free(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *p = data;
	struct tg_plain c;
	uint32_t flags;
	X509 *x;

	if (!tg_plain_read(tg_view_of(data, size), &c))
		return 0;
	x = d2i_X509(NULL, &p, (long)size);
	must(x && p == data + size && X509_get_version(x) == X509_VERSION_3);
	flags = X509_get_extension_flags(x);
	must(!(flags & (EXFLAG_INVALID | EXFLAG_CRITICAL | EXFLAG_CA | EXFLAG_PROXY)));
	must((flags & EXFLAG_KUSAGE) && (X509_get_key_usage(x) & KU_DIGITAL_SIGNATURE) &&
		!(X509_get_key_usage(x) & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)));
	must(X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 0) == 1 && X509_check_ca(x) == 0);
	must(X509_get_signature_nid(x) == NID_ecdsa_with_SHA256);
	must(X509_cmp_time(X509_get0_notBefore(x), NULL) &&
		X509_cmp_time(X509_get0_notAfter(x), NULL));
	must(tg_cert_not_before(x) == c.not_before && tg_cert_not_after(x) == c.not_after);
	must(tg_cert_point(x) && memcmp(tg_cert_point(x), c.point, TG_PLAIN_POINT) == 0);
	same_names(&c, x);
	same_subject(&c, x);
	X509_free(x);
	ERR_clear_error();
	return 0;
}
