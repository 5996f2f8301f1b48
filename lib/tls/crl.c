#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "crl.h"

#define CLOCK_SKEW 300 /* seconds by which a list may come too early */

struct crl {
	X509_CRL *x;
	int64_t from, to; /* of its validity; to: INT64_MAX without nextUpdate */
};

struct tg_crls {
	uint32_t n, workers;
	struct crl *list;
	/* [worker * n + list]: the certificate by whose key its signature was found good. */
	uint8_t (*signer)[TG_DIGEST];
};

/* --- reading ------------------------------------------------------------------------------------
 */

static void complain_of(
	struct tg_complaints *c, const struct tg_blob *b, const X509_CRL *x, const char *what)
{
	char name[160];

	X509_NAME_oneline(X509_CRL_get_issuer(x), name, sizeof(name));
	tg_complain(c, "%s: the list of %s %s", b->file, name, what);
}

/* Extensions that do not change what a list means, critical or not. */
static bool is_harmless(int nid)
{
	return nid == NID_authority_key_identifier || nid == NID_crl_number ||
	       nid == NID_issuer_alt_name || nid == NID_freshest_crl || nid == NID_info_access ||
	       nid == NID_crl_reason || nid == NID_invalidity_date;
}

static bool entry_understood(const X509_REVOKED *r)
{
	for (int i = 0; i < X509_REVOKED_get_ext_count(r); i++) {
		X509_EXTENSION *e = X509_REVOKED_get_ext(r, i);

		if (X509_EXTENSION_get_critical(e) &&
			!is_harmless(OBJ_obj2nid(X509_EXTENSION_get_object(e))))
			return false;
	}
	return true;
}

/* RFC 5280 section 5.2: a list with a critical extension that is not understood must not be used.
 */
static const char *fault_of(X509_CRL *x)
{
	STACK_OF(X509_REVOKED) *all = X509_CRL_get_REVOKED(x);

	for (int i = 0; i < X509_CRL_get_ext_count(x); i++) {
		X509_EXTENSION *e = X509_CRL_get_ext(x, i);
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(e));

		if (nid == NID_delta_crl)
			return "holds only changes (a delta): give the complete one";
		if (nid == NID_issuing_distribution_point)
			return "covers only a part of its CA's certificates: give the complete one";
		if (X509_EXTENSION_get_critical(e) && !is_harmless(nid))
			return "has a critical extension that is not known";
	}
	for (int i = 0; i < sk_X509_REVOKED_num(all); i++)
		if (!entry_understood(sk_X509_REVOKED_value(all, i)))
			return "has an entry with a critical extension that is not known";
	return NULL;
}

static void check_list(struct crl *l, const struct tg_blob *b, int64_t now, struct tg_complaints *c)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(l->x);
	const char *fault = fault_of(l->x);
	ASN1_INTEGER *none = ASN1_INTEGER_new();
	X509_REVOKED *rev;
	char what[96], when[32];

	l->from = tg_cert_time(X509_CRL_get0_lastUpdate(l->x));
	l->to = next ? tg_cert_time(next) : INT64_MAX;
	if (fault)
		complain_of(c, b, l->x, fault);
	/* The Workload API's are taken as they are: who needs one that is too old is refused. */
	if (l->to <= now && !b->der) {
		tg_cert_date(when, l->to);
		snprintf(what, sizeof(what), "had to be replaced by %s", when);
		complain_of(c, b, l->x, what);
	}
	if (none) /* the first look sorts the list: here, not on a worker */
		X509_CRL_get0_by_serial(l->x, &rev, none);
	ASN1_INTEGER_free(none);
}

static bool add(struct tg_crls *l, X509_CRL *x)
{
	struct crl *more = realloc(l->list, (l->n + 1) * sizeof(*more));

	if (!more)
		return false;
	l->list = more;
	l->list[l->n++] = (struct crl){.x = x};
	return true;
}

static void read_all(struct tg_crls *l, BIO *in, OSSL_LIB_CTX *lib)
{
	while (in) {
		X509_CRL *x = X509_CRL_new_ex(lib, NULL);

		if (x && PEM_read_bio_X509_CRL(in, &x, NULL, NULL) && add(l, x))
			continue;
		X509_CRL_free(x);
		return;
	}
}

/* One behind the other, to the last byte. */
static bool read_der(struct tg_crls *l, const struct tg_blob *b, OSSL_LIB_CTX *lib)
{
	const unsigned char *p = b->p, *end = b->p + b->n;

	while (p < end) {
		X509_CRL *x = X509_CRL_new_ex(lib, NULL);

		if (!x || !d2i_X509_CRL(&x, &p, end - p) || !add(l, x)) {
			X509_CRL_free(x);
			return false;
		}
	}
	return true;
}

static bool read_pem(struct tg_crls *l, const struct tg_blob *b, OSSL_LIB_CTX *lib)
{
	BIO *in = BIO_new_mem_buf(b->p, (int)b->n);

	read_all(l, in, lib);
	BIO_free(in);
	/* The end of the file shows as the lack of another beginning. */
	return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

struct tg_crls *tg_crls_read(const struct tg_blob *b, OSSL_LIB_CTX *lib, uint32_t workers,
	int64_t now, struct tg_complaints *c)
{
	struct tg_crls *l = calloc(1, sizeof(*l));
	uint32_t before = c->n;

	ERR_clear_error();
	if (!l || !(b->der ? read_der : read_pem)(l, b, lib))
		tg_complain(c, "%s: list %u cannot be read: %s", b->file, l ? l->n + 1 : 0,
			tg_ssl_reason());
	else if (l->n == 0)
		tg_complain(c, "%s: holds no CRL in PEM form", b->file);
	ERR_clear_error();
	for (uint32_t i = 0; l && i < l->n; i++)
		check_list(&l->list[i], b, now, c);
	if (c->n == before) {
		l->workers = workers;
		l->signer = calloc((size_t)workers * l->n, sizeof(*l->signer));
		if (l->signer)
			return l;
		tg_complain(c, "no memory left");
	}
	tg_crls_free(l);
	return NULL;
}

void tg_crls_free(struct tg_crls *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < l->n; i++)
		X509_CRL_free(l->list[i].x);
	free(l->list);
	free(l->signer);
	free(l);
}

/* --- signatures ---------------------------------------------------------------------------------
 */

static bool may_sign(X509 *issuer, X509_CRL *x)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	bool ok = X509_get_key_usage(issuer) & KU_CRL_SIGN && key && X509_CRL_verify(x, key) == 1;

	ERR_clear_error();
	return ok;
}

static bool is_by(const X509_CRL *x, const X509 *issuer)
{
	return X509_NAME_cmp(X509_CRL_get_issuer(x), X509_get_subject_name(issuer)) == 0;
}

static bool signed_by(
	struct tg_crls *l, uint32_t worker, uint32_t i, X509 *issuer, const EVP_MD *sha256)
{
	uint8_t *note = l->signer[(size_t)worker * l->n + i], digest[TG_DIGEST];

	if (!tg_cert_digest(issuer, sha256, digest))
		return false;
	if (memcmp(note, digest, TG_DIGEST) == 0)
		return true;
	if (!may_sign(issuer, l->list[i].x))
		return false;
	memcpy(note, digest, TG_DIGEST);
	return true;
}

/* Notes by which anchor a list is signed. False: anchors bear the name of its issuer, and it is by
 * none of them. */
static bool note_signer(struct tg_crls *l, uint32_t i, STACK_OF(X509) *const *anchors, uint32_t n,
	const EVP_MD *sha256)
{
	bool named = false;

	for (uint32_t t = 0; t < n; t++)
		for (int a = 0; a < sk_X509_num(anchors[t]); a++) {
			X509 *ca = sk_X509_value(anchors[t], a);

			if (!is_by(l->list[i].x, ca))
				continue;
			named = true;
			if (!signed_by(l, 0, i, ca, sha256))
				continue;
			for (uint32_t w = 1; w < l->workers; w++)
				memcpy(l->signer[(size_t)w * l->n + i], l->signer[i], TG_DIGEST);
			return true;
		}
	return !named;
}

bool tg_crls_signed(struct tg_crls *l, const struct tg_blob *b, STACK_OF(X509) *const *anchors,
	uint32_t n, const EVP_MD *sha256, struct tg_complaints *c)
{
	uint32_t before = c->n;

	for (uint32_t i = 0; i < l->n; i++)
		if (!note_signer(l, i, anchors, n, sha256))
			complain_of(c, b, l->list[i].x, "is not signed by that CA");
	return c->n == before;
}

bool tg_crls_concern(const struct tg_crls *l, STACK_OF(X509) * anchors)
{
	for (uint32_t i = 0; i < l->n; i++)
		for (int a = 0; a < sk_X509_num(anchors); a++)
			if (is_by(l->list[i].x, sk_X509_value(anchors, a)))
				return true;
	return false;
}

/* --- asking -------------------------------------------------------------------------------------
 */

static int check_one(struct tg_crls *l, uint32_t worker, X509 *cert, X509 *issuer, int64_t now,
	const EVP_MD *sha256)
{
	int fault = X509_V_ERR_UNABLE_TO_GET_CRL;
	bool good = false;
	X509_REVOKED *rev;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct crl *one = &l->list[i];

		if (!is_by(one->x, issuer))
			continue;
		if (!signed_by(l, worker, i, issuer, sha256)) {
			fault = X509_V_ERR_CRL_SIGNATURE_FAILURE;
			continue;
		}
		/* 2: removed from the list. Whoever is on an old list is not trusted either. */
		if (X509_CRL_get0_by_cert(one->x, &rev, cert) == 1)
			return X509_V_ERR_CERT_REVOKED;
		if (now >= one->to)
			fault = X509_V_ERR_CRL_HAS_EXPIRED;
		else if (one->from > now + CLOCK_SKEW)
			fault = X509_V_ERR_CRL_NOT_YET_VALID;
		else
			good = true;
	}
	return good ? X509_V_OK : fault;
}

int tg_crls_check(struct tg_crls *l, uint32_t worker, STACK_OF(X509) * chain, int64_t now,
	const EVP_MD *sha256, X509 **where)
{
	int n = sk_X509_num(chain), error = X509_V_OK;

	/* From the anchor down: a list counts only if its signer does. */
	for (int i = n - 2; i >= 0 && error == X509_V_OK; i--) {
		*where = sk_X509_value(chain, i);
		error = check_one(l, worker, *where, sk_X509_value(chain, i + 1), now, sha256);
	}
	return error;
}

int64_t tg_crls_end(const struct tg_crls *l)
{
	int64_t end = INT64_MAX;

	for (uint32_t i = 0; l && i < l->n; i++)
		if (l->list[i].to < end)
			end = l->list[i].to;
	return end;
}
