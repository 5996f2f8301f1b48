/* The engine against OpenSSL's own client and server: roles, keys, suites, names, takeover. */
#include <openssl/err.h>
#include <stdlib.h>

#include "../tgtest.h"
#include "lab.h"

static struct lab lab;
static struct pki_cert ca, inter, server_ec, server_rsa, client_ec, client_rsa;
static const char *ca_file, *client_ca_file, *ec_file, *ec_key, *rsa_file, *rsa_key;

#define CLIENT_ID "spiffe://mesh.example/ns/shop/sa/web"

static void make_pki(void)
{
	static bool made;

	if (made)
		return;
	made = true;
	ca = pki_issue(
		&(struct pki_spec){.cn = "Root", .ca = true, .from = -7200, .to = 10 * 86400},
		NULL);
	inter = pki_issue(&(struct pki_spec){.cn = "Intermediate", .ca = true}, &ca);
	server_ec = pki_issue(
		&(struct pki_spec){.cn = "server", .san = "DNS:shop.example,DNS:*.shop.example"},
		&inter);
	server_rsa = pki_issue(
		&(struct pki_spec){
			.cn = "server", .san = "DNS:shop.example,DNS:*.shop.example", .key = "RSA"},
		&ca);
	client_ec = pki_issue(
		&(struct pki_spec){.cn = "client", .san = "URI:" CLIENT_ID ",DNS:web.example"},
		&ca);
	client_rsa = pki_issue(&(struct pki_spec){.cn = "client r", .key = "RSA"}, &ca);
	ca_file = pki_write_certs("ca.crt", (const struct pki_cert *[]){&ca}, 1);
	client_ca_file = ca_file;
	ec_file = pki_write_certs("ec.crt", (const struct pki_cert *[]){&server_ec, &inter}, 2);
	ec_key = pki_write_key("ec.key", &server_ec, NULL);
	rsa_file = pki_write_certs("rsa.crt", (const struct pki_cert *[]){&server_rsa}, 1);
	rsa_key = pki_write_key("rsa.key", &server_rsa, NULL);
}

static struct tg_tls_pair pairs_ec[1], pairs_rsa[1], pairs_both[2];

static struct tg_tls_conf server_conf(void)
{
	make_pki();
	pairs_ec[0] = pairs_both[0] = (struct tg_tls_pair){ec_file, ec_key};
	pairs_rsa[0] = pairs_both[1] = (struct tg_tls_pair){rsa_file, rsa_key};
	return (struct tg_tls_conf){.server = true,
		.n_pairs = 1,
		.pairs = pairs_ec,
		.ca = client_ca_file,
		.require_client_certificate = true,
		.min_version = 13};
}

static void load(const struct tg_tls_conf *conf)
{
	int r = lab_load(&lab, &conf, 1);

	if (r)
		fprintf(stderr, "%s", lab.complaints);
	CU_ASSERT_EQUAL_FATAL(r, 0);
}

/* --- taking over --------------------------------------------------------------------------------
 */

static void open_record(struct tg_rec *rx, uint8_t *p, uint32_t n, uint8_t type, const char *text)
{
	struct tg_span s = {p, n};
	uint8_t got;
	int32_t len = tg_rec_open(rx, &s, 1, &got);

	CU_ASSERT_EQUAL(len, (int32_t)strlen(text));
	CU_ASSERT_EQUAL(got, type);
	CU_ASSERT(len > 0 && memcmp(p + TG_REC_HEADER, text, (size_t)len) == 0);
}

static void every_suite(bool server)
{
	static const char *const suites[] = {
		"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
	struct tg_tls_conf conf = server_conf();
	struct tg_sockaddr origin = {.port = 443};

	conf.session_tickets = true;
	if (!server)
		conf = (struct tg_tls_conf){
			.ca = ca_file, .sni = "shop.example", .min_version = 13};
	load(&conf);
	for (int i = 0; i < 3; i++) {
		SSL_CTX *c = server ? lab_peer(false, &client_ec, NULL, &ca)
				    : lab_peer(true, &server_ec, &inter, NULL);
		struct lab_end *us = lab_engine(&lab, 0, 0, server ? NULL : &origin), *peer;
		struct tg_hs_result r;

		SSL_CTX_set_ciphersuites(c, suites[i]);
		peer = lab_openssl(c, !server);
		CU_ASSERT_FATAL(lab_run(us, peer));
		lab_take(us, &r);
		lab_deliver(us, peer->ssl);
		CU_ASSERT_EQUAL(r.suite, (enum tg_suite)i);
		CU_ASSERT_STRING_EQUAL(r.cipher, suites[i]);
		CU_ASSERT_EQUAL(r.version, 13);
		CU_ASSERT_EQUAL(r.rx_seq, 0);
		CU_ASSERT_EQUAL(r.tx_seq, server ? 1 : 0); /* a ticket */
		if (server)
			lab_talk(&r, peer->ssl);
		else {
			/* The server's two tickets are the first records of its keys. */
			uint8_t skip[4096];
			int n = BIO_read(SSL_get_wbio(peer->ssl), skip, sizeof(skip));

			CU_ASSERT_EQUAL(n, -1); /* lab_run has moved them */
			r.rx_seq = 2;
			lab_talk(&r, peer->ssl);
		}
		lab_drop(&lab, 0, &r);
		lab_end(us);
		lab_end(peer);
	}
}

static void suites_server(void)
{
	every_suite(true);
}

static void suites_client(void)
{
	every_suite(false);
}

/* --- keys and names
 * ------------------------------------------------------------------------------- */

static void both_key_types(void)
{
	struct tg_tls_conf conf = server_conf();

	conf.n_pairs = 2;
	conf.pairs = pairs_both;
	load(&conf);
	for (int rsa = 0; rsa < 2; rsa++) {
		SSL_CTX *c = lab_peer(false, rsa ? &client_rsa : &client_ec, NULL, &ca);
		struct lab_end *us = lab_engine(&lab, 0, 0, NULL), *peer;
		struct tg_hs_result r;

		SSL_CTX_set1_sigalgs_list(c, rsa ? "RSA-PSS+SHA256:RSA+SHA256"
						 : "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256");
		peer = lab_openssl(c, false);
		CU_ASSERT_FATAL(lab_run(us, peer));
		CU_ASSERT_EQUAL(
			EVP_PKEY_is_a(
				X509_get0_pubkey(SSL_get0_peer_certificate(peer->ssl)), "RSA"),
			rsa);
		lab_take(us, &r);
		CU_ASSERT(tg_view_eq(
			r.peer->subject, rsa ? TG_VIEW("CN=client r") : TG_VIEW("CN=client")));
		lab_drop(&lab, 0, &r);
		lab_end(us);
		lab_end(peer);
	}
}

static void identity(void)
{
	struct tg_tls_conf conf = server_conf();
	struct lab_end *us, *peer;
	struct tg_hs_result r, again;
	uint8_t digest[32];
	char hex[65];

	load(&conf);
	for (int i = 0; i < 2; i++) {
		us = lab_engine(&lab, 0, 0, NULL);
		peer = lab_openssl(lab_peer(false, &client_ec, NULL, &ca), false);
		SSL_set_tlsext_host_name(peer->ssl, "shop.example");
		CU_ASSERT_FATAL(lab_run(us, peer));
		lab_take(us, i ? &again : &r);
		lab_end(us);
		lab_end(peer);
	}
	CU_ASSERT_PTR_EQUAL(r.peer, again.peer);
	CU_ASSERT_PTR_EQUAL(r.own, again.own);
	CU_ASSERT_PTR_EQUAL(r.sni, again.sni);
	CU_ASSERT_EQUAL(r.peer->refs, 2);
	CU_ASSERT(tg_view_eq(r.peer->uri, TG_VIEW(CLIENT_ID)));
	CU_ASSERT_EQUAL(r.peer->spiffe_id.n, 0); /* no trust domain vouched for it */
	CU_ASSERT(tg_view_eq(r.peer->dns, TG_VIEW("web.example")));
	CU_ASSERT(tg_view_eq(r.peer->subject, TG_VIEW("CN=client")));
	CU_ASSERT(tg_view_eq(r.own->dns, TG_VIEW("shop.example")));
	CU_ASSERT_STRING_EQUAL(r.sni->s, "shop.example");
	CU_ASSERT_PTR_NULL(r.alpn);
	CU_ASSERT_EQUAL(r.peer->not_after, tg_cert_not_after(client_ec.x));
	CU_ASSERT_EQUAL(r.peer_expires, tg_cert_not_after(client_ec.x));
	X509_digest(client_ec.x, EVP_sha256(), digest, NULL);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	CU_ASSERT(tg_view_eq(r.peer->hash, tg_view_str(hex)));
	CU_ASSERT_EQUAL(r.peer->cert_pem.n, 0); /* nobody wants it */
	lab_drop(&lab, 0, &r);
	CU_ASSERT_EQUAL(again.peer->refs, 1);
	lab_drop(&lab, 0, &again);
}

static void names(void)
{
	static const struct {
		const char *sni, *subject;
	} cases[] = {
		{"a.example", "a"},
		{"A.Example", "a"},
		{"a.example.", "a"},
		{"b.example", "b"},
		{"x.b.example", "b wild"},
		{"x.y.b.example", "a"}, /* a star is one label */
		{".b.example", "a"},
		{"c.example", "c"}, /* by its common name */
		{"nobody.example", "a"},
		{NULL, "a"},
	};
	struct tg_tls_conf conf = server_conf();
	struct pki_spec spec[] = {{.cn = "a", .san = "DNS:a.example"},
		{.cn = "b wild", .san = "DNS:*.B.example"}, {.cn = "b", .san = "DNS:b.example"},
		{.cn = "c.example"}};
	struct tg_tls_pair pairs[4];
	char name[32];

	for (int i = 0; i < 4; i++) {
		struct pki_cert c = pki_issue(&spec[i], &ca);

		snprintf(name, sizeof(name), "sni%d.crt", i);
		pairs[i].certificate = pki_write_certs(name, (const struct pki_cert *[]){&c}, 1);
		snprintf(name, sizeof(name), "sni%d.key", i);
		pairs[i].private_key = pki_write_key(name, &c, NULL);
		pki_free(&c);
	}
	conf.n_pairs = 4;
	conf.pairs = pairs;
	conf.ca = NULL;
	conf.require_client_certificate = false;
	load(&conf);
	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		struct lab_end *us = lab_engine(&lab, 0, 0, NULL);
		struct lab_end *peer = lab_openssl(lab_peer(false, NULL, NULL, &ca), false);
		struct tg_hs_result r;
		char cn[64] = "";

		if (cases[i].sni)
			SSL_set_tlsext_host_name(peer->ssl, cases[i].sni);
		CU_ASSERT_FATAL(lab_run(us, peer));
		X509_NAME_get_text_by_NID(
			X509_get_subject_name(SSL_get0_peer_certificate(peer->ssl)), NID_commonName,
			cn, sizeof(cn));
		if (strncmp(cn, cases[i].subject, strlen(cases[i].subject)) != 0)
			fprintf(stderr, "%s: %s\n", cases[i].sni, cn);
		CU_ASSERT(strncmp(cn, cases[i].subject, strlen(cases[i].subject)) == 0);
		lab_take(us, &r);
		CU_ASSERT(tg_view_eq(
			tg_view_of(r.own->subject.p + 3, r.own->subject.n - 3), tg_view_str(cn)));
		CU_ASSERT_PTR_NULL(r.peer);
		CU_ASSERT_EQUAL(r.peer_expires, INT64_MAX);
		lab_drop(&lab, 0, &r);
		lab_end(us);
		lab_end(peer);
	}
}

static void alpn(void)
{
	static const struct {
		const char *offer; /* wire form */
		uint32_t n;
		const char *chosen; /* NULL: refused */
	} cases[] = {
		{"\x02h2\x08http/1.1", 12, "http/1.1"}, /* the server's order */
		{"\x02h2", 3, "h2"},
		{"\x03"
		 "foo",
			4, NULL},
		{"", 0, ""},
	};
	struct tg_tls_conf conf = server_conf();

	conf.n_alpn = 2;
	conf.alpn[0] = "http/1.1";
	conf.alpn[1] = "h2";
	load(&conf);
	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		struct lab_end *us = lab_engine(&lab, 0, 0, NULL);
		struct lab_end *peer = lab_openssl(lab_peer(false, &client_ec, NULL, &ca), false);
		struct tg_hs_result r;
		struct tg_hs_fail f;

		SSL_set_alpn_protos(peer->ssl, (const uint8_t *)cases[i].offer, cases[i].n);
		CU_ASSERT_EQUAL(lab_run(us, peer), cases[i].chosen != NULL);
		if (cases[i].chosen) {
			lab_take(us, &r);
			CU_ASSERT_STRING_EQUAL(r.alpn ? r.alpn->s : "", cases[i].chosen);
			lab_drop(&lab, 0, &r);
		} else {
			tg_hs_failure(us->hs, &f);
			CU_ASSERT_EQUAL(f.why, TG_WHY_tls_alpn);
			CU_ASSERT_EQUAL(f.alert, 120);
		}
		lab_end(us);
		lab_end(peer);
	}
}

/* --- pieces
 * --------------------------------------------------------------------------------------- */

/* Input in single bytes, output through a gap of one byte, and a HelloRetryRequest. */
static void slowly(void)
{
	static const uint32_t sizes[] = {1, 3, 1000};
	struct tg_tls_conf conf = server_conf();

	conf.session_tickets = true;
	load(&conf);
	for (int retry = 0; retry < 2; retry++)
		for (size_t i = 0; i < TG_ARRAY_LEN(sizes); i++) {
			struct lab_end *us = lab_engine(&lab, 0, 0, NULL), *peer;
			SSL_CTX *c = lab_peer(false, &client_ec, NULL, &ca);
			struct tg_hs_result r;

			if (retry) /* a share for a group that we do not take */
				SSL_CTX_set1_groups_list(c, "P-384:P-256");
			peer = lab_openssl(c, false);
			us->chunk = us->room = sizes[i];
			CU_ASSERT_FATAL(lab_run(us, peer));
			lab_take(us, &r);
			lab_deliver(us, peer->ssl);
			CU_ASSERT_EQUAL(r.tx_seq, 1);
			lab_talk(&r, peer->ssl);
			lab_drop(&lab, 0, &r);
			lab_end(us);
			lab_end(peer);
		}
}

/* What follows the client's Finished in the same bytes is not touched. */
static void leaves_the_rest(void)
{
	struct tg_tls_conf conf = server_conf();
	struct lab_end *us, *peer;
	struct tg_hs_result r;
	struct tg_aead_key key = {0};
	struct tg_rec rx;
	uint32_t n;

	load(&conf);
	us = lab_engine(&lab, 0, 0, NULL);
	peer = lab_openssl(lab_peer(false, &client_ec, NULL, &ca), false);
	lab_feed(peer, NULL, 0);
	for (uint32_t at = 0; at < peer->n_out;)
		at += lab_feed(us, peer->out + at, peer->n_out - at);
	peer->n_out = 0;
	lab_feed(peer, us->out, us->n_out);
	us->n_out = 0;
	CU_ASSERT_FATAL(peer->done);
	CU_ASSERT_EQUAL(SSL_write(peer->ssl, "early", 5), 5);
	n = (uint32_t)BIO_read(SSL_get_wbio(peer->ssl), peer->out + peer->n_out, 1000);
	CU_ASSERT_EQUAL(n, 5 + TG_REC_OVERHEAD);
	for (uint32_t at = 0; !us->done && !us->failed;) {
		uint32_t used = lab_feed(us, peer->out + at, peer->n_out + n - at);

		CU_ASSERT(used > 0);
		at += used;
		if (us->done)
			CU_ASSERT_EQUAL(at, peer->n_out);
	}
	CU_ASSERT(us->done);
	lab_take(us, &r);
	tg_rec_init(&rx, r.suite, r.rx_secret, r.rx_seq);
	CU_ASSERT_FATAL(tg_rec_wake(&rx, &key));
	open_record(&rx, peer->out + peer->n_out, n, TG_REC_DATA, "early");
	tg_rec_rest(&rx);
	tg_rec_wipe(&rx);
	lab_drop(&lab, 0, &r);
	lab_end(us);
	lab_end(peer);
}

/* --- TLS 1.2
 * -------------------------------------------------------------------------------------- */

static void tls12_talk(struct tg_tls12 *t, SSL *ssl)
{
	static uint8_t plain[TG_REC_CONTENT_MAX], wire[TG_REC_CONTENT_MAX + TG_TLS12_OVERHEAD];
	uint8_t got[64];
	struct tg_view in;
	struct tg_hs_io io = {.in = &in, .n_in = 1, .out = {wire, sizeof(wire)}};
	uint32_t n, at;
	int len;

	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(tg_tls12_write(t, &io, TG_VIEW("to OpenSSL"), &n), TG_TLS12_OK);
		CU_ASSERT_EQUAL(n, 10);
		BIO_write(SSL_get_rbio(ssl), wire, (int)io.made);
		CU_ASSERT_EQUAL(SSL_read(ssl, got, sizeof(got)), 10);
		SSL_write(ssl, "one", 3);
		SSL_write(ssl, "two", 3);
		len = BIO_read(SSL_get_wbio(ssl), wire, sizeof(wire));
		CU_ASSERT_FATAL(len > 0);
		io.out.n = 0;
		for (at = 0; at < (uint32_t)len; at += io.used) {
			in = tg_view_of(wire + at, 1); /* byte by byte */
			CU_ASSERT_EQUAL(
				tg_tls12_read(t, &io, (struct tg_span){plain, sizeof(plain)}, &n),
				TG_TLS12_OK);
			CU_ASSERT_EQUAL_FATAL(io.used, 1);
			if (n)
				CU_ASSERT(n == 3 &&
					  memcmp(plain, at + 1 < (uint32_t)len ? "one" : "two",
						  3) == 0);
		}
		io.out = (struct tg_span){wire, sizeof(wire)};
	}
	/* Without room for a whole record nothing is written. */
	io.out.n = 10 + TG_TLS12_OVERHEAD - 1;
	CU_ASSERT_EQUAL(tg_tls12_write(t, &io, TG_VIEW("to OpenSSL"), &n), TG_TLS12_OK);
	CU_ASSERT(n == 0 && io.made == 0);
	io.out.n = sizeof(wire);
	in = TG_VIEW_NONE;
	tg_tls12_finish(t, &io);
	BIO_write(SSL_get_rbio(ssl), wire, (int)io.made);
	CU_ASSERT_EQUAL(SSL_read(ssl, got, sizeof(got)), 0);
	SSL_shutdown(ssl);
	len = BIO_read(SSL_get_wbio(ssl), wire, sizeof(wire));
	CU_ASSERT_FATAL(len > 0);
	in = tg_view_of(wire, (size_t)len);
	CU_ASSERT_EQUAL(
		tg_tls12_read(t, &io, (struct tg_span){plain, sizeof(plain)}, &n), TG_TLS12_CLOSED);
}

static void tls12(void)
{
	struct tg_tls_conf conf = server_conf();
	struct tg_sockaddr origin = {.port = 443};

	for (int server = 0; server < 2; server++) {
		struct lab_end *us, *peer;
		struct tg_hs_result r;
		SSL_CTX *c;

		conf = server_conf();
		if (!server)
			conf = (struct tg_tls_conf){.ca = ca_file, .sni = "shop.example"};
		conf.min_version = 12;
		load(&conf);
		c = server ? lab_peer(false, &client_ec, NULL, &ca)
			   : lab_peer(true, &server_ec, &inter, NULL);
		SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
		us = lab_engine(&lab, 0, 0, server ? NULL : &origin);
		peer = lab_openssl(c, !server);
		CU_ASSERT_FATAL(lab_run(us, peer));
		lab_take(us, &r);
		lab_deliver(us, peer->ssl);
		CU_ASSERT_EQUAL(r.version, 12);
		CU_ASSERT_PTR_NOT_NULL_FATAL(r.tls12);
		CU_ASSERT_EQUAL((r.peer != NULL), true);
		tls12_talk(r.tls12, peer->ssl);
		lab_drop(&lab, 0, &r);
		lab_end(us);
		lab_end(peer);
	}
}

static void versions(void)
{
	struct tg_tls_conf conf = server_conf();
	struct lab_end *us, *peer;
	struct tg_hs_fail f;
	SSL_CTX *c;

	load(&conf);
	c = lab_peer(false, &client_ec, NULL, &ca);
	SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
	us = lab_engine(&lab, 0, 0, NULL);
	peer = lab_openssl(c, false);
	CU_ASSERT_FALSE(lab_run(us, peer));
	tg_hs_failure(us->hs, &f);
	CU_ASSERT_EQUAL(f.why, TG_WHY_tls_version);
	CU_ASSERT_EQUAL(f.alert, 70);
	CU_ASSERT_FALSE(f.alert_by_peer);
	lab_end(us);
	lab_end(peer);
}

/* --- pools
 * ---------------------------------------------------------------------------------------- */

static void bounds(void)
{
	struct tg_tls_conf conf = server_conf();
	struct tg_hs *all[8];
	enum tg_why why;

	load(&conf);
	for (int i = 0; i < 8; i++)
		CU_ASSERT_PTR_NOT_NULL_FATAL(
			all[i] = tg_hs_begin(lab.w[0], 0, NULL, lab.now, &why));
	CU_ASSERT_PTR_NULL(tg_hs_begin(lab.w[0], 0, NULL, lab.now, &why));
	CU_ASSERT_EQUAL(why, TG_WHY_tls_no_memory);
	for (int i = 0; i < 8; i++)
		tg_hs_abandon(all[i]);
	CU_ASSERT_PTR_NULL(tg_hs_begin(lab.w[0], 1, NULL, lab.now, &why));
	CU_ASSERT_EQUAL(why, TG_WHY_tls_not_loaded);
	tg_hs_worker_adopt(lab.w[0], NULL);
	CU_ASSERT_PTR_NULL(tg_hs_begin(lab.w[0], 0, NULL, lab.now, &why));
	CU_ASSERT_EQUAL(why, TG_WHY_tls_not_loaded);
}

static void in_lab(void (*fn)(void))
{
	lab_open(&lab);
	fn();
	lab_close(&lab);
}

#define LAB_TEST(fn) \
	static void fn##_in_lab(void) \
	{ \
		in_lab(fn); \
	}
LAB_TEST(suites_server)
LAB_TEST(suites_client)
LAB_TEST(both_key_types)
LAB_TEST(identity)
LAB_TEST(names)
LAB_TEST(alpn)
LAB_TEST(slowly)
LAB_TEST(leaves_the_rest)
LAB_TEST(tls12)
LAB_TEST(versions)
LAB_TEST(bounds)

TG_TEST_MAIN("tls_handshake", {"every suite, as server", suites_server_in_lab},
	{"every suite, as client", suites_client_in_lab},
	{"ECDSA and RSA certificates", both_key_types_in_lab}, {"identities", identity_in_lab},
	{"certificates by SNI", names_in_lab}, {"ALPN", alpn_in_lab},
	{"single bytes and HelloRetryRequest", slowly_in_lab},
	{"what follows Finished stays", leaves_the_rest_in_lab}, {"TLS 1.2", tls12_in_lab},
	{"versions", versions_in_lab}, {"pools", bounds_in_lab})
