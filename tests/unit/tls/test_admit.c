/* Clients that are accepted without OpenSSL (admit.h): never one that OpenSSL refuses, and the same
 * comes out (admitting.h). */
#include <openssl/rand.h>

#include "../tgtest.h"
#include "admitting.h"

/* --- all bits -----------------------------------------------------------------------------------
 */

/* What is signed, with each bit turned, and signed again: it is the reader that must notice. */
static void bits_signed_again(void)
{
	struct der_cert c;
	struct tg_view tbs;
	struct der d, e;

	open_all();
	c = leaf();
	der_sign(&d, &c, ca_key);
	tbs = tg_view_of(d.b + 4, 4u + tg_load_be16(d.b + 6));
	CU_ASSERT_FATAL(d.b[1] == 0x82 && d.b[4] == 0x30 && d.b[5] == 0x82);
	for (uint32_t bit = 0; bit < 8 * tbs.n; bit++) {
		d.b[4 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		der_sign_bytes(&e, tbs, &c, ca_key);
		takes("a bit, signed again", bit % 2, of(&e));
		d.b[4 + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CU_ASSERT(n_taken > 150 && n_left > 1000); /* serial, dates, subject and URI are free */
	for (uint32_t at = 0; at < tbs.n; at++)    /* a byte left out, or put in twice */
		for (int more = -1; more <= 1; more += 2) {
			struct der cut = {.n = 0};

			der_put(&cut, tg_view_of(tbs.p, at + (more > 0)));
			der_put(&cut, tg_view_of(tbs.p + at + (more < 0), tbs.n - at - (more < 0)));
			der_sign_bytes(&e, of(&cut), &c, ca_key);
			takes("a byte less or more", at % 2, of(&e));
		}
	close_all();
}

/* The whole, with each bit turned: nothing of it can be good, but where OpenSSL says so. */
static void bits_of_all(void)
{
	struct der_cert c;
	struct der d;

	open_all();
	c = leaf();
	der_sign(&d, &c, ca_key);
	for (uint32_t bit = 0; bit < 8 * d.n; bit++) {
		d.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_FALSE(takes("a bit", bit % 2, of(&d)));
		d.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (uint32_t n = 0; n < d.n; n++)
		CU_ASSERT_FALSE(takes("cut", n % 2, tg_view_of(d.b, n)));
	expect("both", "whole", of(&d));
	close_all();
}

/* Bytes at random over a part of a certificate, signed again. */
static void bytes_at_random(void)
{
	struct der_cert c;
	struct tg_view tbs;
	struct der d, e;
	uint8_t r[8];

	open_all();
	c = leaf();
	for (uint32_t i = 0; i < 2000; i++) {
		der_sign(&d, &c, ca_key);
		tbs = tg_view_of(d.b + 4, 4u + tg_load_be16(d.b + 6));
		CU_ASSERT_FATAL(RAND_bytes(r, sizeof(r)) == 1);
		for (uint32_t k = 0; k <= r[0] % 3; k++)
			d.b[8 + (uint32_t)(r[1 + k] << 8 | r[4]) % (tbs.n - 4)] =
				k % 2 ? r[6] : (uint8_t)(r[7] % 0x40);
		der_sign_bytes(&e, tbs, &c, ca_key);
		takes("random bytes", i % 2, of(&e));
	}
	close_all();
}

/* The certificate's values in BER: lengths that are longer than they need be, or indefinite. */
static void lengths(void)
{
	struct der_cert c;
	struct der d, e, body;
	struct tg_view inner;

	open_all();
	c = leaf();
	der_sign(&d, &c, ca_key);
	inner = tg_view_of(d.b + 4, d.n - 4);
	for (uint32_t width = 0; width < 10; width++) {
		e.n = 0;
		der_wrap_ber(&e, 0x30, inner, width == 1 ? 3 : width); /* it is longer than 127 */
		expect(width == 1 || width == 3 ? "both" : "none", "length", of(&e));
	}
	for (uint32_t width = 0; width < 10; width++) {
		body.n = e.n = 0;
		der_wrap_ber(&body, 0x30, tg_view_of(leaf_name.b + 2, leaf_name.n - 2), width);
		c.subject = of(&body);
		der_sign(&e, &c, ca_key);
		expect(width == 1 ? "both" : "none", "length of the subject", of(&e));
	}
	close_all();
}

/* --- anchors ------------------------------------------------------------------------------------
 */

/* Whether a leaf of ca_key's is taken where these CAs are trusted, in this order. */
static void expect_with(const char *want, const char *what, const struct ca_spec *specs, uint32_t n)
{
	struct der_cert c = leaf();
	X509 *x[8];

	for (uint32_t i = 0; i < n; i++)
		x[i] = make_ca(&specs[i]);
	load(x, n);
	expect_cert(want, what, &c);
	for (uint32_t i = 0; i < n; i++)
		X509_free(x[i]);
}

static void anchors(void)
{
	struct der caps = {.n = 0}, limits = {.n = 0}, policies = {.n = 0}, ext_use = {.n = 0},
		   unknown = {.n = 0};
	struct ca_spec one;

	open_all();
	der_name(&caps, 10, 0x0c, "EXAMPLE ROOT");
	der_ext(&limits, 30, true, TG_VIEW("\x30\x0c\xa0\x0a\x30\x08\x86\x06.other"));
	der_ext(&policies, 36, true, TG_VIEW("\x30\x03\x80\x01\x00"));
	der_ext(&ext_use, PURPOSES, false,
		TG_VIEW("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"));
	der_ext_of(&unknown, TG_VIEW("\x2a\x03\x04"), TG_VIEW("\x01\x01\xff"), TG_VIEW("\x05\x00"));
#define WITH(want, what, ...) \
	do { \
		one = (struct ca_spec){__VA_ARGS__}; \
		expect_with(want, what, &one, 1); \
	} while (0)
	WITH("both", "without key id", .key = NULL);
	WITH("none", "an empty key id", .key_id = "");
	WITH("both", "by somebody else", .issued = true);
	WITH("both", "path length 0", .constraints = TG_VIEW("\x30\x06\x01\x01\xff\x02\x01\x00"));
	WITH("none", "another key", .key = other_key);
	WITH("none", "another key id", .key_id = "dddd");
	WITH("none", "expired", .from = -86400, .to = -1);
	WITH("none", "expired now", .from = -86400, .to = 0);
	WITH("none", "not yet valid", .from = 1, .to = 3600);
	WITH("both", "ends before the leaf", .from = -60, .to = 60);
	WITH("none", "no CA", .constraints = TG_VIEW("\x30\x00"));
	WITH("none", "CA without usage", .no_usage = true);
	WITH("none", "may not sign", .usage = TG_VIEW("\x03\x02\x07\x80"));
	WITH("none", "version 1", .version1 = true);
	WITH("none", "name constraints", .more = of(&limits));
	WITH("none", "policy constraints", .more = of(&policies));
	WITH("none", "for servers", .more = of(&ext_use));
	WITH("none", "an unknown extension", .more = of(&unknown));
	WITH("none", "spelt in capitals", .name = of(&caps));
#undef WITH
	{ /* Of several that bear the name, the first that might have signed decides. */
		struct ca_spec old = {.key = other_key, .key_id = "oooo"}, now = {.key_id = "cccc"},
			       bare = {.key = other_key},
			       late = {.key_id = "cccc", .from = -86400, .to = -60},
			       loud = {.key = other_key, .key_id = "oooo", .name = of(&caps)},
			       odd = {.key_id = "cccc", .more = of(&limits)};

		expect_with("both", "rotated", (struct ca_spec[]){old, now}, 2);
		expect_with("both", "rotated, the other order", (struct ca_spec[]){now, old}, 2);
		expect_with("none", "another before it", (struct ca_spec[]){bare, now}, 2);
		expect_with("both", "another behind it", (struct ca_spec[]){now, bare}, 2);
		expect_with("none", "renewed, the old one first", (struct ca_spec[]){late, now}, 2);
		expect_with("both", "renewed, the new one first", (struct ca_spec[]){now, late}, 2);
		expect_with("none", "names that clash", (struct ca_spec[]){loud, now}, 2);
		expect_with("none", "an odd one first", (struct ca_spec[]){odd, now}, 2);
		expect_with("both", "an odd one behind", (struct ca_spec[]){now, odd}, 2);
	}
	close_all();
}

/* Who is trusted as a leaf; where PEM is wanted, or there are lists. */
static void not_here(void)
{
	struct pki_cert ca = {NULL, NULL};
	struct der_cert c;
	const uint8_t *p;
	X509 *x[2];
	struct der d;

	open_all();
	c = leaf();
	der_sign(&d, &c, ca_key);
	p = d.b;
	x[0] = make_ca(&(struct ca_spec){.key_id = "cccc"});
	x[1] = d2i_X509(NULL, &p, d.n);
	load(x, 2);
	expect("none", "a leaf that is an anchor", of(&d));
	load_more(x, 1, NULL, true);
	expect("both", "PEM is wanted", of(&d));
	ca.x = x[0];
	ca.key = ca_key;
	load_more(x, 1, pki_write_crls("c.crl", &(struct pki_crl){.issuer = &ca}, 1), false);
	expect("none", "there is a revocation list", of(&d));
	load_more(x, 1, NULL, false);
	expect("both", "the usual", of(&d));
	X509_free(x[0]);
	X509_free(x[1]);
	close_all();
}

/* --- whole handshakes ---------------------------------------------------------------------------
 */

/* A client with that certificate meets our server: what became of it. */
static void meet(uint32_t conf, X509 *x, EVP_PKEY *key, bool done)
{
	struct pki_cert own = {x, key};
	struct lab_end *us = lab_engine(&lab, 0, conf, NULL),
		       *peer = lab_openssl(lab_peer(false, &own, NULL, NULL), false);
	struct tg_hs_result r;

	lab_run(us, peer);
	CU_ASSERT_EQUAL(us->done, done);
	CU_ASSERT_EQUAL(us->failed, !done);
	if (us->done) {
		lab_take(us, &r);
		CU_ASSERT_PTR_NOT_NULL_FATAL(r.peer);
		CU_ASSERT_EQUAL(r.peer->spiffe_id.n, conf == C_SPIFFE ? 25 : 0);
		CU_ASSERT_EQUAL(r.peer_expires, lab.now + 3600);
		lab_talk(&r, peer->ssl);
		lab_drop(&lab, 0, &r);
	}
	lab_end(us);
	lab_end(peer);
}

static void handshakes(void)
{
	struct der_cert c;
	const uint8_t *p;
	struct der d;
	X509 *x;

	open_all();
	for (uint32_t conf = 0; conf < CONFS; conf++) {
		c = leaf();
		der_sign(&d, &c, ca_key);
		p = d.b;
		x = d2i_X509(NULL, &p, d.n);
		meet(conf, x, leaf_key, true);
		meet(conf, x, leaf_key, true); /* known now */
		X509_free(x);
		der_sign(&d, &c, other_key); /* left to OpenSSL, which refuses */
		p = d.b;
		x = d2i_X509(NULL, &p, d.n);
		meet(conf, x, leaf_key, false);
		X509_free(x);
	}
	close_all();
}

TG_TEST_MAIN("tls_admit", {"bits, signed again", bits_signed_again}, {"bits of all", bits_of_all},
	{"bytes at random", bytes_at_random}, {"lengths", lengths}, {"anchors", anchors},
	{"not here", not_here}, {"handshakes", handshakes})
