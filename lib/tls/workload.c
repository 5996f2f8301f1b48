#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "context.h"
#include "spiffe.h"
#include "workload.h"

/* --- a copy -------------------------------------------------------------------------------------
 */

static struct tg_blob put(struct tg_workload *w, size_t *used, struct tg_view v)
{
	uint8_t *to = w->block + *used;

	if (v.n)
		memcpy(to, v.p, v.n);
	*used += v.n;
	return (struct tg_blob){.file = "Workload API", .p = to, .n = v.n, .der = true};
}

static const char *put_text(struct tg_workload *w, size_t *used, struct tg_view v)
{
	const char *s = (const char *)put(w, used, v).p;

	w->block[(*used)++] = 0;
	return s;
}

static size_t size_of(const struct tg_tls_workload *f)
{
	size_t n = 1;

	for (uint32_t i = 0; i < f->n_svids; i++) {
		const struct tg_tls_svid *s = &f->svids[i];

		/* The ID once more for the name of its trust domain. */
		n += 2 * (s->spiffe_id.n + 1u) + s->hint.n + 1u + s->chain.n + s->key.n +
		     s->bundle.n;
	}
	for (uint32_t i = 0; i < f->n_bundles; i++)
		n += f->bundles[i].trust_domain.n + 1u + f->bundles[i].certs.n;
	for (uint32_t i = 0; i < f->n_crls; i++)
		n += f->crls[i].n;
	return n;
}

void tg_workload_free(struct tg_workload *w)
{
	if (!w)
		return;
	if (w->block)
		OPENSSL_cleanse(w->block, w->bytes);
	free(w->block);
	free(w->svid);
	free(w->trust);
	free(w);
}

static struct tg_workload *make_room(const struct tg_tls_workload *f)
{
	struct tg_workload *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->bytes = size_of(f);
	w->block = malloc(w->bytes);
	w->svid = calloc(f->n_svids + 1u, sizeof(*w->svid));
	w->trust = calloc((size_t)f->n_svids + f->n_bundles + 1, sizeof(*w->trust));
	if (w->block && w->svid && w->trust)
		return w;
	tg_workload_free(w);
	return NULL;
}

/* --- checks -------------------------------------------------------------------------------------
 */

static void check_certs(
	const struct tg_blob *b, const struct tg_tls_lib *lib, struct tg_complaints *c)
{
	STACK_OF(X509) *all = tg_pem_certs(b, lib->ctx, c);

	sk_X509_pop_free(all, X509_free);
}

static void check_leaf(X509 *leaf, const struct tg_workload_svid *s, struct tg_complaints *c)
{
	struct tg_cert_names names;
	const char *fault;

	if (!tg_cert_names(leaf, &names))
		tg_complain(c, "SVID %s: its alternative names are malformed", s->id);
	else if ((fault = tg_svid_fault(leaf, &names)))
		tg_complain(c, "SVID %s: the certificate is no X.509-SVID: %s", s->id, fault);
	else if (!tg_view_eq(names.uri, tg_view_str(s->id)))
		tg_complain(c, "SVID %s: the certificate is for %.*s", s->id, (int)names.uri.n,
			(const char *)names.uri.p);
	tg_cert_names_free(&names);
	ERR_clear_error();
}

static void check_svid(const struct tg_workload_svid *s, const struct tg_tls_lib *lib, int64_t now,
	struct tg_complaints *c)
{
	STACK_OF(X509) *chain = tg_pem_certs(&s->chain, lib->ctx, c);
	EVP_PKEY *key = tg_pem_key(&s->key, lib, c);

	if (chain && key) {
		check_leaf(sk_X509_value(chain, 0), s, c);
		tg_pair_check(sk_X509_value(chain, 0), key, s->id, s->id, now, c);
	}
	sk_X509_pop_free(chain, X509_free);
	EVP_PKEY_free(key);
}

/* --- filling ------------------------------------------------------------------------------------
 */

/* Of a trust domain that several SVIDs are in, the first bundle counts: they are the same. */
static void add_trust(struct tg_workload *w, size_t *used, struct tg_view td, struct tg_view certs)
{
	for (uint32_t i = 0; i < w->n_trust; i++)
		if (tg_view_eq(tg_view_str(w->trust[i].trust_domain), td))
			return;
	w->trust[w->n_trust].trust_domain = put_text(w, used, td);
	w->trust[w->n_trust++].certs = put(w, used, certs);
}

static void add_svid(
	struct tg_workload *w, size_t *used, const struct tg_tls_svid *f, struct tg_complaints *c)
{
	struct tg_workload_svid *s = &w->svid[w->n_svids++];
	struct tg_view td, path;

	s->id = put_text(w, used, f->spiffe_id);
	s->hint = put_text(w, used, f->hint);
	s->chain = put(w, used, f->chain);
	s->key = put(w, used, f->key);
	if (tg_spiffe_parse(f->spiffe_id, &td, &path) && path.n)
		add_trust(w, used, td, f->bundle);
	else
		tg_complain(c, "\"%s\" is no SPIFFE ID", s->id);
}

static void add_bundle(struct tg_workload *w, size_t *used, const struct tg_tls_der_bundle *f,
	struct tg_complaints *c)
{
	struct tg_view td, path;

	if (!f->certs.n)
		return; /* nobody vouches for that trust domain: as if it were not there */
	if (tg_spiffe_parse(f->trust_domain, &td, &path) && !path.n)
		add_trust(w, used, td, f->certs);
	else
		tg_complain(c, "a bundle for \"%.*s\", which is no trust domain",
			(int)f->trust_domain.n, (const char *)f->trust_domain.p);
}

static void add_crls(struct tg_workload *w, size_t *used, const struct tg_tls_workload *f,
	const struct tg_tls_lib *lib, int64_t now, struct tg_complaints *c)
{
	size_t from = *used;

	w->crl = put(w, used, TG_VIEW_NONE);
	for (uint32_t i = 0; i < f->n_crls; i++)
		put(w, used, f->crls[i]);
	w->crl.n = *used - from;
	if (w->crl.n)
		tg_crls_free(tg_crls_read(&w->crl, lib->ctx, 1, now, c));
}

struct tg_workload *tg_workload_create(const struct tg_tls_workload *f,
	const struct tg_tls_lib *lib, int64_t now, struct tg_complaints *c)
{
	struct tg_workload *w = make_room(f);
	uint32_t before = c->n;
	size_t used = 0;

	if (!w) {
		tg_complain(c, "no memory left");
		return NULL;
	}
	for (uint32_t i = 0; i < f->n_svids; i++)
		add_svid(w, &used, &f->svids[i], c);
	for (uint32_t i = 0; i < f->n_bundles; i++)
		add_bundle(w, &used, &f->bundles[i], c);
	add_crls(w, &used, f, lib, now, c);
	for (uint32_t i = 0; i < w->n_svids; i++)
		check_svid(&w->svid[i], lib, now, c);
	for (uint32_t i = 0; i < w->n_trust; i++)
		check_certs(&w->trust[i].certs, lib, c);
	if (c->n == before)
		return w;
	tg_workload_free(w);
	return NULL;
}

const struct tg_workload_svid *tg_workload_find(const struct tg_workload *w, const char *which)
{
	for (uint32_t i = 0; i < w->n_svids; i++)
		if (!which || strcmp(w->svid[i].id, which) == 0 ||
			strcmp(w->svid[i].hint, which) == 0)
			return &w->svid[i];
	return NULL;
}
