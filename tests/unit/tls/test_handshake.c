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
		CU_ASSERT_EQUAL(r.rx.suite, i);
		CU_ASSERT_STRING_EQUAL(r.cipher, suites[i]);
		CU_ASSERT_EQUAL(r.version, 13);
		CU_ASSERT_EQUAL(r.rx.seq, 0);
		CU_ASSERT_EQUAL(r.tx.seq, server ? 1 : 0); /* a ticket */
		if (server)
			lab_talk(&r, peer->ssl);
		else {
			/* The server's two tickets are the first records of its keys. */
			uint8_t skip[4096];
			int n = BIO_read(SSL_get_wbio(peer->ssl), skip, sizeof(skip));

			CU_ASSERT_EQUAL(n, -1); /* lab_run has moved them */
			r.rx.seq = 2;
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
			CU_ASSERT_EQUAL(r.tx.seq, 1);
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
	rx = r.rx;
	CU_ASSERT_FATAL(tg_rec_wake(&rx, &key));
	open_record(&rx, peer->out + peer->n_out, n, TG_REC_DATA, "early");
	tg_rec_rest(&rx);
	tg_rec_wipe(&rx);
	lab_drop(&lab, 0, &r);
	lab_end(us);
	lab_end(peer);
}

/* --- TLS 1.2 ------------------------------------------------------------------------------------
 */

static const struct {
	const char *openssl, *name;
	enum tg_suite suite;
	bool rsa;
} suites12[] = {
	{"ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
		TG_SUITE12_AES_128_GCM_SHA256, false},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
		TG_SUITE12_AES_256_GCM_SHA384, false},
	{"ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
		TG_SUITE12_CHACHA20_POLY1305_SHA256, false},
	{"ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		TG_SUITE12_AES_128_GCM_SHA256, true},
	{"ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
		TG_SUITE12_AES_256_GCM_SHA384, true},
	{"ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
		TG_SUITE12_CHACHA20_POLY1305_SHA256, true},
};

static struct tg_tls_conf conf12(bool server)
{
	struct tg_tls_conf conf = server_conf();

	if (!server)
		conf = (struct tg_tls_conf){.ca = ca_file, .sni = "shop.example"};
	conf.n_pairs = server ? 2 : 0;
	conf.pairs = server ? pairs_both : NULL;
	conf.session_tickets = true;
	conf.min_version = 12;
	return conf;
}

/* OpenSSL's end of one that we serve, or that serves us; it knows no more than TLS 1.2. */
static SSL_CTX *peer12(bool we_serve, bool rsa)
{
	SSL_CTX *c = we_serve ? lab_peer(false, &client_ec, NULL, &ca)
		     : rsa    ? lab_peer(true, &server_rsa, NULL, NULL)
			      : lab_peer(true, &server_ec, &inter, NULL);

	SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
	return c;
}

static void tls12_suites(void)
{
	struct tg_sockaddr origin = {.port = 443};

	for (uint32_t i = 0; i < 4 * TG_ARRAY_LEN(suites12); i++) {
		bool server = i & 1, ems = i & 2;
		uint32_t s = i / 4;
		struct tg_tls_conf conf = conf12(server);
		SSL_CTX *c = peer12(server, suites12[s].rsa);
		struct lab_end *us, *peer;
		struct tg_hs_result r;

		load(&conf);
		CU_ASSERT_EQUAL(SSL_CTX_set_cipher_list(c, suites12[s].openssl), 1);
		if (!ems)
			SSL_CTX_set_options(c, SSL_OP_NO_EXTENDED_MASTER_SECRET);
		us = lab_engine(&lab, 0, 0, server ? NULL : &origin);
		us->chunk = us->room = i % 3 ? 0 : 1;
		peer = lab_openssl(c, !server);
		CU_ASSERT_FATAL(lab_run(us, peer));
		CU_ASSERT_EQUAL(SSL_get_extms_support(peer->ssl), ems);
		CU_ASSERT_EQUAL(SSL_get_secure_renegotiation_support(peer->ssl), 1);
		CU_ASSERT_PTR_NULL(SSL_get_current_compression(peer->ssl));
		lab_take(us, &r);
		lab_deliver(us, peer->ssl);
		CU_ASSERT_EQUAL(r.version, 12);
		CU_ASSERT_STRING_EQUAL(r.cipher, suites12[s].name);
		CU_ASSERT(r.rx.suite == suites12[s].suite && r.tx.suite == suites12[s].suite);
		CU_ASSERT(r.rx.seq == 1 && r.tx.seq == 1); /* Finished */
		CU_ASSERT(r.peer && !r.resume && !r.trailing);
		lab_talk(&r, peer->ssl);
		lab_drop(&lab, 0, &r);
		lab_end(us);
		lab_end(peer);
	}
}

/* A server's end that waits for the client's last flight, which is in peer->out. */
static struct lab_end *before_last12(struct lab_end **us, const char *suite)
{
	struct tg_tls_conf conf = conf12(true);
	SSL_CTX *c = peer12(true, false);
	struct lab_end *peer;

	load(&conf);
	SSL_CTX_set_cipher_list(c, suite);
	peer = lab_openssl(c, false);
	*us = lab_engine(&lab, 0, 0, NULL);
	lab_feed(peer, NULL, 0);
	for (uint32_t at = 0; at < peer->n_out;)
		at += lab_feed(*us, peer->out + at, peer->n_out - at);
	peer->n_out = 0;
	lab_feed(peer, (*us)->out, (*us)->n_out);
	(*us)->n_out = 0;
	return peer;
}

static uint64_t nonce_at(const uint8_t *p)
{
	return (uint64_t)tg_load_be32(p) << 32 | tg_load_be32(p + 4);
}

/* With GCM the same nonce twice would be the end of it. */
static void tls12_nonces(void)
{
	uint8_t rec[64];
	struct tg_span out = {rec, 1 + TG_REC_OVERHEAD_MAX};
	struct tg_aead_key key = {0};
	struct lab_end *us, *peer = before_last12(&us, suites12[0].openssl);
	struct tg_hs_result r;
	uint64_t finished;

	for (uint32_t at = 0; !us->done && !us->failed;)
		at += lab_feed(us, peer->out + at, peer->n_out - at);
	CU_ASSERT_FATAL(us->done);
	finished = nonce_at(us->out + us->n_out - 40);
	lab_take(us, &r);
	CU_ASSERT_FATAL(tg_rec_wake(&r.tx, &key));
	for (uint32_t i = 1; i < 4; i++) {
		tg_rec_seal(&r.tx, TG_REC_DATA, &TG_VIEW("x"), 1, 1, &out, 1);
		CU_ASSERT_EQUAL(nonce_at(rec + TG_REC_HEADER), finished + i);
	}
	tg_rec_rest(&r.tx);
	lab_drop(&lab, 0, &r);
	lab_end(us);
	lab_end(peer);
}

/* The client's keys as they stand before its Finished. */
static void client_keys12(SSL *ssl, enum tg_suite suite, struct tg_rec *r)
{
	uint8_t master[48], cr[32], sr[32];
	struct tg_keys12 k;

	SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof(master));
	SSL_get_client_random(ssl, cr, sizeof(cr));
	SSL_get_server_random(ssl, sr, sizeof(sr));
	tg_keys12(suite, master, cr, sr, &k);
	tg_rec_init12(r, suite, k.key[0], k.iv[0], 7, 0);
}

/* Behind Finished, in its record, stands the beginning of another handshake. */
static void tls12_trailing(void)
{
	struct lab_end *us, *peer = before_last12(&us, suites12[0].openssl);
	uint32_t n = peer->n_out - 45;
	uint8_t *rec = peer->out + n, plain[20] = {0}, type;
	struct tg_aead_key key = {0};
	struct tg_hs_result r;
	struct tg_rec keys;

	client_keys12(peer->ssl, suites12[0].suite, &keys);
	CU_ASSERT_FATAL(tg_rec_wake(&keys, &key));
	CU_ASSERT_EQUAL(tg_rec_open(&keys, &(struct tg_span){rec, 45}, 1, &type), 16);
	memcpy(plain, rec + TG_REC_FRONT_MAX, 16);
	plain[16] = 1;
	keys.seq = 0;
	tg_rec_seal(&keys, TG_REC_HANDSHAKE, &(struct tg_view){plain, 20}, 1, 20,
		&(struct tg_span){rec, 49}, 1);
	for (uint32_t at = 0; !us->done && !us->failed;)
		at += lab_feed(us, peer->out + at, n + 49 - at);
	CU_ASSERT_FATAL(us->done);
	lab_take(us, &r);
	CU_ASSERT(r.trailing);
	tg_rec_rest(&keys);
	lab_drop(&lab, 0, &r);
	lab_end(us);
	lab_end(peer);
}

/* A client that asks for short records gets them (RFC 6066), in both versions. */
static void max_fragment(void)
{
	struct tg_tls_conf conf = conf12(true);

	load(&conf);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
		for (uint8_t code = 0; code <= 4; code++) {
			struct lab_end *us = lab_engine(&lab, 0, 0, NULL), *peer;
			SSL_CTX *c = lab_peer(false, &client_ec, NULL, &ca);
			struct tg_hs_result r;

			SSL_CTX_set_max_proto_version(c, version);
			SSL_CTX_set_tlsext_max_fragment_length(c, code);
			peer = lab_openssl(c, false);
			CU_ASSERT_FATAL(lab_run(us, peer));
			lab_take(us, &r);
			lab_deliver(us, peer->ssl);
			CU_ASSERT_EQUAL(tg_rec_content_max(&r.tx),
				code ? 256u << code : TG_REC_CONTENT_MAX);
			CU_ASSERT_EQUAL(tg_rec_content_max(&r.rx), tg_rec_content_max(&r.tx));
			lab_talk(&r, peer->ssl);
			lab_drop(&lab, 0, &r);
			lab_end(us);
			lab_end(peer);
		}
}

/* What is spoken with a peer of one version and these suites of TLS 1.2; alert 0: a connection. */
static void spoken(
	uint8_t min_version, int version, const char *suites, uint8_t alert, enum tg_why why)
{
	struct tg_tls_conf conf = conf12(true);
	SSL_CTX *c = lab_peer(false, &client_ec, NULL, &ca);
	struct lab_end *us, *peer;
	struct tg_hs_result r;
	struct tg_hs_fail f;

	conf.min_version = min_version;
	load(&conf);
	SSL_CTX_set_security_level(c, 0);
	SSL_CTX_set_min_proto_version(c, version);
	SSL_CTX_set_max_proto_version(c, version);
	CU_ASSERT_EQUAL_FATAL(SSL_CTX_set_cipher_list(c, suites), 1);
	us = lab_engine(&lab, 0, 0, NULL);
	peer = lab_openssl(c, false);
	CU_ASSERT_EQUAL(lab_run(us, peer), alert == 0);
	if (alert) {
		tg_hs_failure(us->hs, &f);
		CU_ASSERT_EQUAL(f.why, why);
		CU_ASSERT_EQUAL(f.alert, alert);
		CU_ASSERT_FALSE(f.alert_by_peer);
	} else {
		lab_take(us, &r);
		lab_drop(&lab, 0, &r);
	}
	lab_end(us);
	lab_end(peer);
}

static void versions(void)
{
	spoken(13, TLS1_3_VERSION, "ALL", 0, TG_WHY_none);
	spoken(13, TLS1_2_VERSION, "ALL", SSL_AD_PROTOCOL_VERSION, TG_WHY_tls_version);
	spoken(12, TLS1_3_VERSION, "ALL", 0, TG_WHY_none);
	spoken(12, TLS1_2_VERSION, "ALL", 0, TG_WHY_none);
	spoken(12, TLS1_1_VERSION, "ALL", SSL_AD_PROTOCOL_VERSION, TG_WHY_tls_version);
	spoken(12, TLS1_VERSION, "ALL", SSL_AD_PROTOCOL_VERSION, TG_WHY_tls_version);
	/* Neither CBC nor CCM, nor key exchanges without forward secrecy. */
	spoken(12, TLS1_2_VERSION, "ECDHE+AES:!AESGCM", SSL_AD_HANDSHAKE_FAILURE,
		TG_WHY_tls_cipher);
	spoken(12, TLS1_2_VERSION, "kRSA+AESGCM", SSL_AD_HANDSHAKE_FAILURE, TG_WHY_tls_cipher);
	spoken(12, TLS1_2_VERSION, "DHE+AESGCM", SSL_AD_HANDSHAKE_FAILURE, TG_WHY_tls_cipher);
	spoken(12, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-CCM", SSL_AD_HANDSHAKE_FAILURE,
		TG_WHY_tls_cipher);
	spoken(12, TLS1_2_VERSION, "aNULL", SSL_AD_HANDSHAKE_FAILURE, TG_WHY_tls_cipher);
}

/* --- pools
 * ---------------------------------------------------------------------------------------- */

static void bounds(void)
{
	struct tg_tls_conf conf = server_conf();
	struct tg_hs *all[LAB_HANDSHAKES];
	enum tg_why why;

	load(&conf);
	for (int i = 0; i < LAB_HANDSHAKES; i++)
		CU_ASSERT_PTR_NOT_NULL_FATAL(
			all[i] = tg_hs_begin(lab.w[0], 0, NULL, lab.now, &why));
	CU_ASSERT_PTR_NULL(tg_hs_begin(lab.w[0], 0, NULL, lab.now, &why));
	CU_ASSERT_EQUAL(why, TG_WHY_tls_no_memory);
	for (int i = 0; i < LAB_HANDSHAKES; i++)
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
LAB_TEST(tls12_suites)
LAB_TEST(tls12_nonces)
LAB_TEST(tls12_trailing)
LAB_TEST(max_fragment)
LAB_TEST(versions)
LAB_TEST(bounds)

TG_TEST_MAIN("tls_handshake", {"every suite, as server", suites_server_in_lab},
	{"every suite, as client", suites_client_in_lab},
	{"ECDSA and RSA certificates", both_key_types_in_lab}, {"identities", identity_in_lab},
	{"certificates by SNI", names_in_lab}, {"ALPN", alpn_in_lab},
	{"single bytes and HelloRetryRequest", slowly_in_lab},
	{"what follows Finished stays", leaves_the_rest_in_lab},
	{"TLS 1.2: every suite", tls12_suites_in_lab}, {"TLS 1.2: nonces", tls12_nonces_in_lab},
	{"TLS 1.2: more behind Finished", tls12_trailing_in_lab},
	{"max_fragment_length", max_fragment_in_lab}, {"versions", versions_in_lab},
	{"pools", bounds_in_lab})
