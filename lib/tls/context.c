#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "admit.h"
#include "internal.h"

#define CA_NAMES_MAX 8192 /* bytes of names in a CertificateRequest; of more, none is sent */

/* A pair, opened for one worker. */
struct open_pair {
	X509 *leaf;
	STACK_OF(X509) * chain; /* with the leaf at 0 */
	EVP_PKEY *key;
};

/* What is known while a context is made. */
struct making {
	struct tg_tls_ctx *x;
	const struct tg_material *m;
	const struct tg_tls_lib *lib;
	struct tg_complaints *c;
	int64_t now;
	bool first; /* the first worker's: checks, and notes what all share */
	struct open_pair pair[TG_TLS_CERTS_MAX];
};

/* --- what /certs shows --------------------------------------------------------------------------
 */

static bool note_cert(
	struct making *k, X509 *leaf, const struct tg_blob *from, const char *trust_domain)
{
	struct tg_tls_ctx *x = k->x;
	struct tg_cert_entry *e = realloc(x->certs, (x->n_certs + 1) * sizeof(*e));
	struct tg_cert_names names;
	struct tg_view id = TG_VIEW_NONE;

	if (!e)
		return false;
	x->certs = e;
	e += x->n_certs++;
	memset(e, 0, sizeof(*e));
	if (!tg_cert_names(leaf, &names))
		ERR_clear_error();
	if (trust_domain)
		id = tg_view_str(trust_domain); /* of a CA: "" where there is none */
	else if (!tg_svid_fault(leaf, &names))
		id = names.uri;
	e->subject = tg_cert_subject(leaf);
	e->serial = tg_cert_serial(leaf);
	e->names = tg_cert_dns_and_ip(&names);
	e->file = strdup(from->der ? "" : from->file);
	if (asprintf(&e->spiffe_id, "%s%.*s", trust_domain && id.n ? "spiffe://" : "", (int)id.n,
		    id.n ? (const char *)id.p : "") < 0)
		e->spiffe_id = NULL;
	tg_cert_names_free(&names);
	e->pub = (struct tg_tls_cert){
		.file = e->file,
		.subject = e->subject,
		.serial = e->serial,
		.names = e->names,
		.spiffe_id = e->spiffe_id,
		.not_before = tg_cert_not_before(leaf),
		.not_after = tg_cert_not_after(leaf),
	};
	return e->file && e->subject && e->serial && e->names && e->spiffe_id;
}

/* --- names --------------------------------------------------------------------------------------
 */

static bool add_name(struct tg_tls_ctx *x, struct tg_view v, uint32_t group)
{
	struct tg_own_name *n = realloc(x->names, (x->n_names + 1) * sizeof(*n));
	char *s;

	if (!n)
		return false;
	x->names = n;
	if (v.n >= 2 && v.p[0] == '*' && v.p[1] == '.') {
		v.p++;
		v.n--;
	}
	s = strndup((const char *)v.p, v.n);
	if (!s)
		return false;
	for (uint32_t i = 0; i < v.n; i++)
		s[i] = (char)tg_ascii_lower((uint8_t)s[i]);
	x->names[x->n_names++] = (struct tg_own_name){s, group};
	return true;
}

/* The names of a certificate: DNS names, or the common name where there are none (RFC 6125 section
 * 6.4.4). */
static bool add_names_of(struct tg_tls_ctx *x, X509 *leaf, uint32_t group)
{
	struct tg_cert_names names;
	bool ok = true, any = false;
	char cn[256];

	if (!tg_cert_names(leaf, &names))
		ERR_clear_error();
	for (int i = 0; i < sk_GENERAL_NAME_num(names.all) && ok; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names.all, i);

		if (g->type != GEN_DNS)
			continue;
		any = true;
		ok = add_name(x,
			tg_view_of(ASN1_STRING_get0_data(g->d.dNSName),
				(size_t)ASN1_STRING_length(g->d.dNSName)),
			group);
	}
	tg_cert_names_free(&names);
	if (!any && ok &&
		X509_NAME_get_text_by_NID(
			X509_get_subject_name(leaf), NID_commonName, cn, sizeof(cn)) > 0)
		ok = add_name(x, tg_view_str(cn), group);
	return ok;
}

static int by_name(const void *a, const void *b)
{
	const struct tg_own_name *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	return d ? d : (x->group > y->group) - (x->group < y->group);
}

static int find_name(const struct tg_tls_ctx *x, const char *name)
{
	uint32_t lo = 0, hi = x->n_names;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (strcmp(x->names[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < x->n_names && strcmp(x->names[lo].name, name) == 0 ? (int)x->names[lo].group
								       : -1;
}

uint32_t tg_ctx_group(const struct tg_tls_ctx *x, const char *name)
{
	char low[256];
	size_t n = name ? strlen(name) : 0;
	const char *dot;
	int g;

	if (n && name[n - 1] == '.')
		n--; /* the root's dot */
	if (n == 0 || n >= sizeof(low))
		return 0;
	for (size_t i = 0; i < n; i++)
		low[i] = (char)tg_ascii_lower((uint8_t)name[i]);
	low[n] = 0;
	g = low[0] == '.' ? -1 : find_name(x, low);
	dot = strchr(low, '.');
	if (g < 0 && dot && dot != low)
		g = find_name(x, dot);
	return g < 0 ? 0 : (uint32_t)g;
}

/* --- trust --------------------------------------------------------------------------------------
 */

int tg_ctx_trust_of(const struct tg_tls_ctx *x, struct tg_view trust_domain)
{
	for (uint32_t i = 0; i < x->n_trust; i++)
		if (x->trust[i].trust_domain &&
			tg_view_eq(tg_view_str(x->trust[i].trust_domain), trust_domain))
			return (int)i;
	return -1;
}

bool tg_trust_has(const struct tg_trust *t, const uint8_t digest[static TG_DIGEST])
{
	for (uint32_t i = 0; i < t->n; i++)
		if (memcmp(t->digest[i], digest, TG_DIGEST) == 0)
			return true;
	return false;
}

/* The trust domain that `ca` is for: that of our own SVID, else the one that all of
 * match_spiffe_ids are in. */
static char *own_trust_domain(struct making *k)
{
	const struct tg_tls_conf *conf = k->x->conf;
	struct tg_view td = TG_VIEW_NONE, path, other;
	struct tg_cert_names names;
	char *s = NULL;

	for (uint32_t i = 0; i < k->m->n_pairs && !s; i++) {
		if (!k->pair[i].leaf)
			continue;
		if (tg_cert_names(k->pair[i].leaf, &names) &&
			!tg_svid_fault(k->pair[i].leaf, &names) &&
			tg_spiffe_parse(names.uri, &td, &path))
			s = strndup((const char *)td.p, td.n);
		tg_cert_names_free(&names);
	}
	ERR_clear_error();
	for (uint32_t i = 0; i < conf->n_match && !s; i++) {
		struct tg_view v = tg_view_str(conf->match_spiffe_ids[i]);

		if (v.n && v.p[v.n - 1] == '*')
			v.n -= v.n > 1 ? 2 : 1;
		if (!tg_spiffe_parse(v, &other, &path))
			return NULL;
		if (i && !tg_view_eq(td, other))
			return NULL;
		td = other;
	}
	return s || !td.n ? s : strndup((const char *)td.p, td.n);
}

static bool name_trust(struct making *k, uint32_t i)
{
	struct tg_tls_ctx *x = k->x;
	const char *td = k->m->trust[i].trust_domain;

	if (!x->conf->spiffe)
		return true;
	x->trust[i].trust_domain = td ? strdup(td) : own_trust_domain(k);
	if (!x->trust[i].trust_domain) {
		tg_complain(k->c,
			"%s: of which SPIFFE trust domain is this the bundle? Neither our "
			"certificate nor match_spiffe_ids say it: name it in trust_bundles",
			k->m->trust[i].pem.file);
		return false;
	}
	for (uint32_t j = 0; j < i; j++)
		if (x->trust[j].trust_domain &&
			strcmp(x->trust[j].trust_domain, x->trust[i].trust_domain) == 0) {
			tg_complain(k->c, "%s: trust domain %s has a bundle already: %s",
				k->m->trust[i].pem.file, x->trust[i].trust_domain,
				k->m->trust[j].pem.file);
			return false;
		}
	return true;
}

static bool note_trust(struct making *k, uint32_t i, STACK_OF(X509) * all)
{
	struct tg_trust *t = &k->x->trust[i];
	uint32_t n = (uint32_t)sk_X509_num(all);

	if (!name_trust(k, i))
		return false;
	t->digest = calloc(n, sizeof(*t->digest));
	if (!t->digest)
		return false;
	for (t->n = 0; t->n < n; t->n++) {
		X509 *a = sk_X509_value(all, (int)t->n);

		if (!tg_cert_digest(a, k->lib->sha256, t->digest[t->n]) ||
			!note_cert(
				k, a, &k->m->trust[i].pem, t->trust_domain ? t->trust_domain : ""))
			return false;
		k->x->certs[k->x->n_certs - 1].pub.ca = true;
	}
	return tg_anchors_note(t, all);
}

static bool open_trust(struct making *k, struct tg_ctx_worker *w)
{
	bool ok = true;

	w->trust = calloc(k->x->n_trust + 1u, sizeof(*w->trust));
	if (!w->trust)
		return false;
	for (uint32_t i = 0; i < k->x->n_trust; i++) {
		w->trust[i] = tg_pem_certs(&k->m->trust[i].pem, k->lib->ctx, k->c);
		if (!w->trust[i] || (k->first && !note_trust(k, i, w->trust[i])))
			ok = false;
	}
	return ok;
}

/* Lists are read once for all workers: they may be long. */
static bool open_crls(struct making *k, const struct tg_ctx_worker *w)
{
	struct tg_tls_ctx *x = k->x;

	x->crls = tg_crls_read(&k->m->crl, k->lib->ctx, x->n_workers, k->now, k->c);
	/* In a file of ours they are for all; the Workload API may have none of another domain. */
	for (uint32_t i = 0; x->crls && i < x->n_trust; i++)
		x->trust[i].crl = !k->m->crl.der || tg_crls_concern(x->crls, w->trust[i]);
	return x->crls &&
	       tg_crls_signed(x->crls, &k->m->crl, w->trust, x->n_trust, k->lib->sha256, k->c);
}

/* --- our own certificates -----------------------------------------------------------------------
 */

static bool open_pairs(struct making *k)
{
	uint32_t before = k->c->n;

	for (uint32_t i = 0; i < k->m->n_pairs; i++) {
		struct open_pair *p = &k->pair[i];
		const struct tg_blob *cert = &k->m->pair[i].cert, *key = &k->m->pair[i].key;

		p->chain = tg_pem_certs(cert, k->lib->ctx, k->c);
		p->key = tg_pem_key(key, k->lib, k->c);
		if (!p->chain || !p->key)
			continue;
		p->leaf = sk_X509_value(p->chain, 0);
		if (!k->first)
			continue;
		tg_pair_check(p->leaf, p->key, cert->file, key->file, k->now, k->c);
		if (!note_cert(k, p->leaf, cert, NULL))
			tg_complain(k->c, "%s: no memory left", cert->file);
	}
	return k->c->n == before;
}

static void close_pairs(struct making *k)
{
	for (uint32_t i = 0; i < k->m->n_pairs; i++) {
		sk_X509_pop_free(k->pair[i].chain, X509_free);
		EVP_PKEY_free(k->pair[i].key);
	}
}

static bool same_names(X509 *a, X509 *b)
{
	struct tg_cert_names na, nb;
	bool read_a = tg_cert_names(a, &na), read_b = tg_cert_names(b, &nb), same = false;

	if (read_a && read_b) {
		char *ta = tg_cert_dns_and_ip(&na), *tb = tg_cert_dns_and_ip(&nb);

		same = ta && tb && strcmp(ta, tb) == 0 &&
		       (*ta || X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) ==
				       0);
		free(ta);
		free(tb);
	}
	tg_cert_names_free(&na);
	tg_cert_names_free(&nb);
	ERR_clear_error();
	return same;
}

/* Puts pair i beside one with the same names and another type of key, or into a group of its own.
 */
static bool group_pair(struct making *k, uint32_t i)
{
	struct tg_tls_ctx *x = k->x;
	int into = -1;

	for (uint32_t j = 0; j < i; j++) {
		if (x->conf->server && !same_names(k->pair[i].leaf, k->pair[j].leaf))
			continue;
		if (EVP_PKEY_get_base_id(k->pair[i].key) == EVP_PKEY_get_base_id(k->pair[j].key)) {
			tg_complain(k->c,
				x->conf->server ? "%s: %s is for the same names, with the same "
						  "type of key"
						: "%s: %s has the same type of key: only one can "
						  "be shown",
				k->m->pair[i].cert.file, k->m->pair[j].cert.file);
			return false;
		}
		into = x->group_of[j];
	}
	if (into >= 0) {
		x->group_of[i] = (uint8_t)into;
		return true;
	}
	x->group_of[i] = (uint8_t)x->n_groups++;
	return add_names_of(x, k->pair[i].leaf, x->group_of[i]);
}

static bool group_pairs(struct making *k)
{
	struct tg_tls_ctx *x = k->x;
	bool ok = true;

	for (uint32_t i = 0; i < k->m->n_pairs; i++)
		ok &= group_pair(k, i);
	if (x->n_groups == 0)
		x->n_groups = 1; /* a client without a certificate */
	if (x->n_names)
		qsort(x->names, x->n_names, sizeof(*x->names), by_name);
	return ok;
}

static bool use_pair(struct making *k, SSL_CTX *c, uint32_t i)
{
	struct open_pair *p = &k->pair[i];
	STACK_OF(X509) *rest = sk_X509_dup(p->chain);
	bool ok;

	if (!rest)
		return false;
	sk_X509_delete(rest, 0);
	ok = SSL_CTX_use_cert_and_key(c, p->leaf, p->key, rest, 1) == 1;
	sk_X509_free(rest);
	if (!ok)
		tg_complain(
			k->c, "%s: cannot be used: %s", k->m->pair[i].cert.file, tg_ssl_reason());
	return ok;
}

/* --- contexts -----------------------------------------------------------------------------------
 */

/* The names of the CAs of `ca`, which help a client that has several certificates to choose. */
static bool add_ca_names(SSL_CTX *c, const struct tg_tls_ctx *x, STACK_OF(X509) * all)
{
	int bytes = 0;

	if (x->conf->spiffe)
		return true;
	for (int i = 0; i < sk_X509_num(all); i++)
		bytes += i2d_X509_NAME(X509_get_subject_name(sk_X509_value(all, i)), NULL) + 2;
	for (int i = 0; i < sk_X509_num(all) && bytes <= CA_NAMES_MAX; i++)
		if (!SSL_CTX_add_client_CA(c, sk_X509_value(all, i)))
			return false;
	return true;
}

/* What serve.h needs of a server's pair. */
static bool show_pair(struct making *k, struct tg_ctx_worker *w, uint32_t i)
{
	struct open_pair *p = &k->pair[i];

	if (!k->x->conf->server)
		return true;
	return (!k->first || tg_present_shared(k->x, i, p->chain)) &&
	       tg_present_signer(k->lib, p->leaf, p->key, &w->signer[i]);
}

/* Which pair is shown depends on all of them, so each must be one of ours. */
static bool can_serve(const struct tg_tls_ctx *x, const struct tg_ctx_worker *w, uint32_t n_pairs)
{
	bool ok = x->conf->server && (x->request.n || !x->n_trust);

	for (uint32_t i = 0; i < n_pairs; i++)
		ok &= x->shown[i].n && w->signer[i].scheme;
	return ok;
}

static bool make_contexts(struct making *k, struct tg_ctx_worker *w)
{
	struct tg_tls_ctx *x = k->x;

	for (uint32_t g = 0; g < x->n_groups; g++) {
		w->group[g] = tg_ssl_ctx(x, k->lib);
		if (!w->group[g] || (x->conf->server && x->n_trust &&
					    !add_ca_names(w->group[g], x, w->trust[0]))) {
			tg_complain(k->c, "OpenSSL refuses a context: %s", tg_ssl_reason());
			return false;
		}
	}
	for (uint32_t i = 0; i < k->m->n_pairs; i++) {
		if (!use_pair(k, w->group[x->group_of[i]], i) || !show_pair(k, w, i))
			return false;
		w->own[i] = k->pair[i].leaf;
		if (!tg_cert_digest(w->own[i], k->lib->sha256, w->own_digest[i]))
			return false;
	}
	if (k->first && x->conf->server && x->n_trust && !tg_present_request(x, w))
		return false;
	x->plain = can_serve(x, w, k->m->n_pairs);
	return true;
}

/* Not the content of our certificates, which change while we stay who we are; nor the anchors:
 * tickets say theirs. */
static void digest_policy(const struct making *k, EVP_MD_CTX *md)
{
	const struct tg_tls_ctx *x = k->x;
	const struct tg_tls_conf *f = x->conf;
	uint8_t flags[5] = {f->server, f->require_client_certificate, f->spiffe, f->min_version,
		x->n_trust > 0};

	tg_digest_bytes(md, flags, sizeof(flags));
	for (uint32_t i = 0; i < x->n_certs; i++) {
		const struct tg_tls_cert *c = &x->certs[i].pub;

		if (c->ca)
			continue;
		tg_digest_text(md, c->spiffe_id);
		tg_digest_text(md, c->names);
		tg_digest_text(md, *c->spiffe_id || *c->names ? "" : c->subject);
	}
	tg_digest_bytes(md, x->alpn, x->n_alpn);
	tg_digest_bytes(md, k->m->crl.p ? k->m->crl.p : (const uint8_t *)"", k->m->crl.n);
}

static bool set_policy(struct making *k)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestInit_ex(md, k->lib->sha256, NULL);

	if (ok) {
		digest_policy(k, md);
		ok = EVP_DigestFinal_ex(md, k->x->policy, NULL);
	}
	EVP_MD_CTX_free(md);
	return ok;
}

static bool read_tickets(struct making *k)
{
	bool ok = true;

	for (uint32_t i = 0; i < k->m->n_tickets; i++)
		ok &= tg_ticket_add(&k->x->tickets, &k->m->ticket[i], k->c);
	return ok;
}

static bool make_worker(struct making *k, struct tg_ctx_worker *w)
{
	bool ok = open_pairs(k);

	w->lib = k->lib;
	ok &= open_trust(k, w);
	if (ok && k->first && k->m->crl.p)
		ok = open_crls(k, w);
	ok = ok && (!k->first || (group_pairs(k) && set_policy(k))) && make_contexts(k, w);
	close_pairs(k);
	memset(k->pair, 0, sizeof(k->pair));
	return ok;
}

static bool check_conf(
	const struct tg_tls_conf *f, const struct tg_material *m, struct tg_complaints *c)
{
	uint32_t before = c->n;

	if (f->n_ticket_keys > TG_TLS_TICKET_KEYS_MAX)
		tg_complain(c, "more than %u keys for tickets", TG_TLS_TICKET_KEYS_MAX);
	if (f->n_pairs > TG_TLS_CERTS_MAX)
		tg_complain(c, "more than %u certificates", TG_TLS_CERTS_MAX);
	if (f->server && m->n_pairs == 0)
		tg_complain(c, "a listener with TLS needs a certificate and a private_key");
	if (f->require_client_certificate && m->n_trust == 0)
		tg_complain(c, "require_client_certificate needs client_ca");
	if (f->spiffe && m->n_trust == 0)
		tg_complain(c, "SPIFFE identities need a trust bundle: ca or trust_bundles");
	if (!f->server && m->n_trust == 0)
		tg_complain(c, "a cluster with TLS needs ca: origins are always verified");
	if (f->crl && m->n_trust == 0)
		tg_complain(c, "%s: whose list is this? There is no CA here", f->crl);
	if (f->n_match && !f->spiffe)
		tg_complain(c, "match_spiffe_ids without spiffe");
	for (uint32_t i = 0; i < f->n_match; i++)
		if (!tg_spiffe_pattern_ok(tg_view_str(f->match_spiffe_ids[i])))
			tg_complain(c,
				"match_spiffe_ids: \"%s\" is neither a SPIFFE ID nor one "
				"that ends in /*",
				f->match_spiffe_ids[i]);
	for (uint32_t i = 0; i < f->n_bundles; i++)
		if (!tg_spiffe_trust_domain_ok(tg_view_str(f->bundles[i].trust_domain)))
			tg_complain(c, "\"%s\" is not the name of a SPIFFE trust domain",
				f->bundles[i].trust_domain);
	if (f->n_bundles && !f->spiffe)
		tg_complain(c, "trust_bundles without spiffe");
	return c->n == before;
}

static bool set_alpn(struct tg_tls_ctx *x, struct tg_complaints *c)
{
	for (uint32_t i = 0; i < x->conf->n_alpn; i++) {
		size_t n = strlen(x->conf->alpn[i]);

		if (n == 0 || n > 255) {
			tg_complain(c, "ALPN protocols have 1 to 255 bytes");
			return false;
		}
		x->alpn[x->n_alpn++] = (uint8_t)n;
		memcpy(x->alpn + x->n_alpn, x->conf->alpn[i], n);
		x->n_alpn += (uint32_t)n;
	}
	return true;
}

static bool make_all(struct making *k, const struct tg_tls_lib *libs)
{
	struct tg_tls_ctx *x = k->x;

	for (uint32_t w = 0; w < x->n_workers; w++) {
		k->lib = &libs[w];
		k->first = w == 0;
		if (!make_worker(k, &x->worker[w]))
			return false;
	}
	return true;
}

struct tg_tls_ctx *tg_ctx_create(const struct tg_tls_conf *conf, const struct tg_material *m,
	const struct tg_tls_lib *libs, uint32_t workers, int64_t now, struct tg_complaints *c)
{
	static uint64_t last_serial; /* the control core's */
	struct tg_tls_ctx *x = calloc(1, sizeof(*x));
	struct making k = {.x = x, .m = m, .c = c, .now = now};
	uint32_t before = c->n;

	if (!x)
		goto no_memory;
	x->refs = 1;
	x->serial = ++last_serial;
	memcpy(x->digest, m->digest, TG_DIGEST);
	x->conf = tg_conf_copy(conf);
	x->trust = calloc(m->n_trust + 1u, sizeof(*x->trust));
	x->worker = calloc(workers, sizeof(*x->worker));
	if (!x->conf || !x->trust || !x->worker)
		goto no_memory;
	x->n_trust = m->n_trust;
	x->n_workers = workers;
	if (check_conf(x->conf, m, c) && set_alpn(x, c) && read_tickets(&k) && make_all(&k, libs))
		return x;
	if (c->n == before)
		goto no_memory;
	tg_ctx_drop(x);
	return NULL;
no_memory:
	tg_complain(c, "no memory left");
	tg_ctx_drop(x);
	return NULL;
}

static void free_worker(struct tg_tls_ctx *x, struct tg_ctx_worker *w)
{
	for (uint32_t g = 0; g < x->n_groups; g++)
		SSL_CTX_free(w->group[g]);
	for (uint32_t i = 0; i < TG_TLS_CERTS_MAX; i++)
		EVP_PKEY_CTX_free(w->signer[i].ctx);
	for (uint32_t i = 0; w->trust && i < x->n_trust; i++)
		sk_X509_pop_free(w->trust[i], X509_free);
	free(w->trust);
}

void tg_ctx_drop(struct tg_tls_ctx *x)
{
	if (!x || --x->refs)
		return;
	for (uint32_t i = 0; x->worker && i < x->n_workers; i++)
		free_worker(x, &x->worker[i]);
	for (uint32_t i = 0; x->trust && i < x->n_trust; i++) {
		free(x->trust[i].trust_domain);
		free(x->trust[i].digest);
		free(x->trust[i].anchor);
	}
	tg_crls_free(x->crls);
	tg_ticket_wipe(&x->tickets);
	for (uint32_t i = 0; i < x->n_names; i++)
		free(x->names[i].name);
	for (uint32_t i = 0; i < x->n_certs; i++) {
		struct tg_cert_entry *e = &x->certs[i];

		free(e->file);
		free(e->subject);
		free(e->serial);
		free(e->names);
		free(e->spiffe_id);
	}
	for (uint32_t i = 0; i < TG_TLS_CERTS_MAX; i++)
		free((void *)(uintptr_t)x->shown[i].p);
	free((void *)(uintptr_t)x->request.p);
	free(x->worker);
	free(x->trust);
	free(x->names);
	free(x->certs);
	free(x->conf);
	free(x);
}
