#include <CUnit/CUnit.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "admitting.h"

struct lab lab;
uint32_t n_taken, n_left;
static struct pki_cert server;
static struct tg_tls_pair pair;

/* --- certificates -------------------------------------------------------------------------------
 */

EVP_PKEY *ca_key, *other_key, *leaf_key;
struct der ca_name, leaf_name, leaf_spki, leaf_exts;
static struct der validity, uri;

void spki_of(struct der *d, EVP_PKEY *key)
{
	uint8_t *p = NULL;
	int n = i2d_PUBKEY(key, &p);

	CU_ASSERT_FATAL(n > 0);
	d->n = 0;
	der_put(d, tg_view_of(p, (size_t)n));
	OPENSSL_free(p);
}

struct tg_view of(const struct der *d)
{
	return tg_view_of(d->b, d->n);
}

void name_of(struct der *d, uint8_t type, const char *text)
{
	struct der one = {.n = 0};

	d->n = 0;
	der_wrap(&one, type, tg_view_str(text));
	der_wrap(d, 0x30, of(&one));
}

void leaf_exts_but(struct der *d, uint8_t but, bool critical, struct tg_view with)
{
	const struct {
		uint8_t n;
		bool critical;
		struct tg_view value;
	} all[] = {{USAGE, true, TG_VIEW("\x03\x02\x07\x80")},
		{PURPOSES, false, TG_VIEW(CLIENT_AUTH)}, {CONSTRAINTS, true, TG_VIEW("\x30\x00")},
		{SUBJECT_KEY, false, TG_VIEW(KEY_ID)}, {ISSUER_KEY, false, TG_VIEW(ISSUER_KEY_ID)},
		{NAMES, true, of(&uri)}};

	d->n = 0;
	for (uint32_t i = 0; i < TG_ARRAY_LEN(all); i++)
		if (all[i].n != but)
			der_ext(d, all[i].n, all[i].critical, all[i].value);
		else if (with.n)
			der_ext(d, but, critical, with);
}

struct der_cert leaf(void)
{
	struct der_cert c = der_plain();

	c.issuer = of(&ca_name);
	c.subject = of(&leaf_name);
	c.validity = of(&validity);
	c.key = of(&leaf_spki);
	c.exts = of(&leaf_exts);
	return c;
}

X509 *make_ca(const struct ca_spec *s)
{
	struct der exts = {.n = 0}, spki, key_id = {.n = 0}, when = {.n = 0}, d, root = {.n = 0};
	EVP_PKEY *key = s->key ? s->key : ca_key;
	struct der_cert c = der_plain();
	const uint8_t *p = d.b;
	X509 *x;

	spki_of(&spki, key);
	der_name(&root, 3, 0x0c, "Somebody");
	der_validity(&when, lab.now + (s->from || s->to ? s->from : -86400),
		lab.now + (s->from || s->to ? s->to : 86400));
	c.subject = s->name.n ? s->name : of(&ca_name);
	c.issuer = s->issued ? of(&root) : c.subject;
	c.validity = of(&when);
	c.key = of(&spki);
	der_ext(&exts, CONSTRAINTS, true,
		s->constraints.n ? s->constraints : TG_VIEW("\x30\x03\x01\x01\xff"));
	if (!s->no_usage)
		der_ext(&exts, USAGE, true, s->usage.n ? s->usage : TG_VIEW("\x03\x02\x01\x06"));
	if (s->key_id) {
		der_wrap(&key_id, 0x04, tg_view_str(s->key_id));
		der_ext(&exts, SUBJECT_KEY, false, of(&key_id));
	}
	der_put(&exts, s->more);
	c.exts = of(&exts);
	if (s->version1)
		c.version = c.exts = TG_VIEW_NONE;
	der_sign(&d, &c, s->issued ? other_key : key);
	x = d2i_X509(NULL, &p, d.n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	return x;
}

/* --- configurations -----------------------------------------------------------------------------
 */

void load_more(X509 *const *anchors, uint32_t n, const char *crl, bool pem)
{
	const struct pki_cert *certs[8];
	struct pki_cert c[8];
	struct tg_tls_conf conf[CONFS];

	for (uint32_t i = 0; i < n; i++) {
		c[i] = (struct pki_cert){anchors[i], NULL};
		certs[i] = &c[i];
	}
	conf[C_PLAIN] = (struct tg_tls_conf){.server = true,
		.n_pairs = 1,
		.pairs = &pair,
		.ca = pki_write_certs("ca.crt", certs, n),
		.crl = crl,
		.keep_pem = pem,
		.require_client_certificate = true,
		.min_version = 13};
	conf[C_SPIFFE] = conf[C_PLAIN];
	conf[C_SPIFFE].spiffe = true;
	if (lab_load(&lab, (const struct tg_tls_conf *[]){&conf[0], &conf[1]}, CONFS))
		fprintf(stderr, "%s", lab.complaints);
	CU_ASSERT_EQUAL_FATAL(lab.complaints[0], 0);
}

void load(X509 *const *anchors, uint32_t n)
{
	load_more(anchors, n, NULL, false);
}

void open_all(void)
{
	X509 *x;

	lab_open(&lab);
	ca_key = EVP_EC_gen("P-256");
	other_key = EVP_EC_gen("P-256");
	leaf_key = EVP_EC_gen("P-256");
	ca_name.n = leaf_name.n = validity.n = 0;
	der_name(&ca_name, 10, 0x0c, "Example Root");
	der_name(&leaf_name, 3, 0x13, "web-7.example");
	der_validity(&validity, lab.now - 60, lab.now + 3600);
	spki_of(&leaf_spki, leaf_key);
	name_of(&uri, TG_PLAIN_URI, "spiffe://mesh.example/web");
	leaf_exts_but(&leaf_exts, 0, false, TG_VIEW_NONE);
	server = pki_issue(
		&(struct pki_spec){.cn = "gate", .san = "URI:spiffe://mesh.example/gate"}, NULL);
	pair.certificate = pki_write_certs("s.crt", (const struct pki_cert *[]){&server}, 1);
	pair.private_key = pki_write_key("s.key", &server, NULL);
	x = make_ca(&(struct ca_spec){.key_id = "cccc"});
	load(&x, 1);
	X509_free(x);
	n_taken = n_left = 0;
}

void close_all(void)
{
	lab_close(&lab);
	pki_free(&server);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(leaf_key);
}

/* --- comparing ----------------------------------------------------------------------------------
 */

static struct tg_hs *begin(uint32_t worker, uint32_t conf)
{
	enum tg_why why;
	struct tg_hs *h = tg_hs_begin(lab.w[worker], conf, NULL, lab.now, &why);

	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	return h;
}

/* As answer.c does it. */
static struct tg_identity *by_openssl(struct tg_hs *h, struct tg_view der, const uint8_t *digest)
{
	const struct tg_tls_lib *lib = h->f.ctx->worker[h->f.w->index].lib;
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *x = X509_new_ex(lib->ctx, NULL);
	struct tg_identity *id = NULL;
	const uint8_t *p = der.p;

	if (d2i_X509(&x, &p, der.n) && p == der.p + der.n && sk_X509_push(chain, x) &&
		tg_verify_chain(&h->f, chain) == X509_V_OK && X509_get0_pubkey(x) &&
		tg_cert_point(x))
		id = tg_ident_of(
			h->f.w->idents, x, digest, h->f.peer.svid ? TG_IDENT_SVID : TG_IDENT_PLAIN);
	CU_ASSERT(!id || !h->f.ctx->conf->keep_pem || tg_ident_keep_pem_of(id, x));
	if (sk_X509_num(chain) == 0)
		X509_free(x);
	sk_X509_pop_free(chain, X509_free);
	ERR_clear_error();
	return id;
}

static bool same_identity(const struct tg_identity *a, const struct tg_identity *b)
{
	return tg_view_eq(a->spiffe_id, b->spiffe_id) && tg_view_eq(a->uri, b->uri) &&
	       tg_view_eq(a->dns, b->dns) && tg_view_eq(a->uris, b->uris) &&
	       tg_view_eq(a->dns_names, b->dns_names) && tg_view_eq(a->subject, b->subject) &&
	       tg_view_eq(a->hash, b->hash) && tg_view_eq(a->cert_pem, b->cert_pem) &&
	       a->not_after == b->not_after &&
	       memcmp(tg_ident_point(a), tg_ident_point(b), TG_PLAIN_POINT) == 0;
}

static bool same_peer(const struct tg_peer *a, const struct tg_peer *b)
{
	return a->known == b->known && a->svid == b->svid && a->expires == b->expires &&
	       a->authenticated == b->authenticated && memcmp(a->leaf, b->leaf, TG_DIGEST) == 0 &&
	       memcmp(a->anchor, b->anchor, TG_DIGEST) == 0;
}

bool takes(const char *what, uint32_t conf, struct tg_view der)
{
	struct tg_hs *h = begin(0, conf), *ref;
	struct tg_identity *id, *other;
	uint8_t digest[TG_DIGEST];
	uint8_t *copy = malloc(der.n + 1u); /* so that the sanitizer sees the end */

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, der.p, der.n);
	CU_ASSERT_FATAL(EVP_Digest(copy, der.n, digest, NULL, EVP_sha256(), NULL) == 1);
	id = tg_admit(&h->f, tg_view_of(copy, der.n), digest);
	free(copy);
	if (id) {
		ref = begin(1, conf);
		other = by_openssl(ref, der, digest);
		if (!other || !same_identity(id, other) || !same_peer(&h->f.peer, &ref->f.peer)) {
			fprintf(stderr, "%s (%u): OpenSSL says %s\n", what, conf,
				other ? "something else" : ref->f.text);
			CU_FAIL("not as OpenSSL");
		}
		tg_ident_drop(lab.w[1]->idents, other);
		tg_hs_abandon(ref);
	} else {
		CU_ASSERT(!h->f.peer.known);
	}
	tg_ident_drop(lab.w[0]->idents, id);
	tg_hs_abandon(h);
	n_taken += id != NULL;
	n_left += id == NULL;
	return id;
}

void expect(const char *want, const char *what, struct tg_view der)
{
	const char *got = "none";
	bool a = takes(what, C_SPIFFE, der), b = takes(what, C_PLAIN, der);

	got = a && b ? "both" : a ? "spiffe" : b ? "plain" : "none";
	if (strcmp(got, want) != 0) {
		fprintf(stderr, "%s: taken by %s, expected %s\n", what, got, want);
		CU_FAIL("not as expected");
	}
}

void expect_cert(const char *want, const char *what, const struct der_cert *c)
{
	static struct der d;

	der_sign(&d, c, ca_key);
	expect(want, what, of(&d));
}
