/* Whom the engine refuses, with which alert, reason and text, as server and as client; and what is
 * refused when files are loaded. */
#include <stdlib.h>

#include "../tgtest.h"
#include "lab.h"

static struct lab lab;
static struct pki_cert ca, other_ca, foreign_ca, expired_ca, server;
static const char *ca_file, *other_file, *foreign_file, *cert_file, *key_file;

#define DAY 86400

static void make_pki(void)
{
	static bool made;

	if (made)
		return;
	made = true;
	ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
	other_ca = pki_issue(&(struct pki_spec){.cn = "Other", .ca = true}, NULL);
	foreign_ca = pki_issue(&(struct pki_spec){.cn = "Foreign", .ca = true}, NULL);
	expired_ca = pki_issue(
		&(struct pki_spec){.cn = "Old", .ca = true, .from = -9 * DAY, .to = -DAY}, NULL);
	server = pki_issue(&(struct pki_spec){.cn = "server",
				   .san = "DNS:shop.example,URI:spiffe://mesh.example/gate"},
		&ca);
	ca_file = pki_write_certs("ca.crt", (const struct pki_cert *[]){&ca, &expired_ca}, 2);
	other_file = pki_write_certs("other.crt", (const struct pki_cert *[]){&other_ca}, 1);
	foreign_file = pki_write_certs("foreign.crt", (const struct pki_cert *[]){&foreign_ca}, 1);
	cert_file = pki_write_certs("server.crt", (const struct pki_cert *[]){&server}, 1);
	key_file = pki_write_key("server.key", &server, NULL);
}

static struct tg_tls_pair pair[1];
static struct tg_tls_bundle federated[1];

static struct tg_tls_conf server_conf(bool spiffe)
{
	make_pki();
	pair[0] = (struct tg_tls_pair){cert_file, key_file};
	federated[0] = (struct tg_tls_bundle){"foreign.example", foreign_file};
	return (struct tg_tls_conf){.server = true,
		.n_pairs = 1,
		.pairs = pair,
		.ca = ca_file,
		.spiffe = spiffe,
		.n_bundles = spiffe ? 1 : 0,
		.bundles = federated,
		.require_client_certificate = true,
		.min_version = 12};
}

static struct tg_tls_conf client_conf(const char **match, uint32_t n)
{
	make_pki();
	federated[0] = (struct tg_tls_bundle){"foreign.example", foreign_file};
	return (struct tg_tls_conf){.ca = ca_file,
		.sni = n ? NULL : "a.shop.example",
		.spiffe = n > 0,
		.n_bundles = n ? 1 : 0,
		.bundles = federated,
		.n_match = n,
		.match_spiffe_ids = match,
		.min_version = 12};
}

static void load(const struct tg_tls_conf *conf)
{
	int r = lab_load(&lab, &conf, 1);

	if (r)
		fprintf(stderr, "%s", lab.complaints);
	CU_ASSERT_EQUAL_FATAL(r, 0);
}

/* What became of a handshake between the engine and OpenSSL's peer. */
struct outcome {
	bool ok;
	enum tg_why why;
	int alert; /* -1: none */
	bool by_peer;
	char text[400];
	char spiffe_id[200];
};

static void meet(bool engine_serves, SSL_CTX *c, int version, struct outcome *o)
{
	struct tg_sockaddr origin = {.port = 443};
	struct lab_end *us = lab_engine(&lab, 0, 0, engine_serves ? NULL : &origin), *peer;
	struct tg_hs_result r;
	struct tg_hs_fail f;

	memset(o, 0, sizeof(*o));
	SSL_CTX_set_max_proto_version(c, version);
	peer = lab_openssl(c, !engine_serves);
	lab_run(us, peer);
	o->ok = us->done;
	if (us->done) {
		lab_take(us, &r);
		if (r.peer)
			snprintf(o->spiffe_id, sizeof(o->spiffe_id), "%.*s",
				(int)r.peer->spiffe_id.n, (const char *)r.peer->spiffe_id.p);
		lab_drop(&lab, 0, &r);
	} else {
		CU_ASSERT(us->failed);
		tg_hs_failure(us->hs, &f);
		o->why = f.why;
		o->alert = f.alert ? f.alert : -1;
		o->by_peer = f.alert_by_peer;
		snprintf(o->text, sizeof(o->text), "%s", f.text);
	}
	lab_end(us);
	lab_end(peer);
}

static void check(
	const char *what, const struct outcome *o, enum tg_why why, int alert, const char *text)
{
	bool good = why == TG_WHY_none ? o->ok
				       : !o->ok && o->why == why && o->alert == alert &&
						 !o->by_peer && strstr(o->text, text);

	if (!good)
		fprintf(stderr, "%s: ok %d, %s, alert %d%s, %s\n", what, o->ok, tg_why_name(o->why),
			o->alert, o->by_peer ? " by peer" : "", o->text);
	CU_ASSERT(good);
}

enum issuer { SELF, CA, OTHER, FOREIGN, OLD, NONE };

static struct pki_cert issue(const struct pki_spec *s, enum issuer by)
{
	const struct pki_cert *const issuers[] = {NULL, &ca, &other_ca, &foreign_ca, &expired_ca};

	return pki_issue(s, by == NONE ? NULL : issuers[by]);
}

#define ID(path) "URI:spiffe://mesh.example" path
#define FID(path) "URI:spiffe://foreign.example" path

static const struct refusal {
	const char *what;
	enum issuer by;
	struct pki_spec spec;
	enum tg_why why;
	int alert;
	const char *text;
} plain[] =
	{
		{"good", CA, {.cn = "web"}, TG_WHY_none, 0, ""},
		{"wrong CA", OTHER, {.cn = "web"}, TG_WHY_tls_unknown_ca, 48, "peer \"CN=web\": "},
		{"self-signed", SELF, {.cn = "web", .san = "URI:x:y"}, TG_WHY_tls_self_signed, 48,
			"peer \"CN=web\" (x:y): self-signed certificate"},
		{"expired", CA, {.cn = "web", .from = -DAY, .to = -60}, TG_WHY_tls_expired, 45,
			"peer \"CN=web\": certificate has expired"},
		{"not yet valid", CA, {.cn = "web", .from = 600, .to = DAY},
			TG_WHY_tls_not_yet_valid, 42,
			"peer \"CN=web\": certificate is not yet valid"},
		{"expired CA", OLD, {.cn = "web"}, TG_WHY_tls_expired, 45,
			"peer \"CN=web\": certificate has expired (\"CN=Old\")"},
		{"for servers only", CA, {.cn = "web", .ext_usage = "serverAuth"},
			TG_WHY_tls_cert_bad, 43, "peer \"CN=web\": "},
		{"short RSA key", CA, {.cn = "web", .key = "RSA1024"}, TG_WHY_tls_cert_bad, 42,
			"peer \"CN=web\": "},
		{"no certificate", NONE, {0}, TG_WHY_tls_no_certificate, 116,
			"did not return a certificate"},
},
  svids[] = {
	  {"good", CA, {.san = ID("/web")}, TG_WHY_none, 0, "spiffe://mesh.example/web"},
	  {"federated", FOREIGN, {.san = FID("/web")}, TG_WHY_none, 0,
		  "spiffe://foreign.example/web"},
	  {"two URIs", CA, {.san = ID("/web") ",URI:x:y"}, TG_WHY_tls_svid_bad, 42,
		  "more than one URI"},
	  {"no URI", CA, {.cn = "web", .san = "DNS:web"}, TG_WHY_tls_svid_bad, 42, "has no URI"},
	  {"no path", CA, {.san = ID("")}, TG_WHY_tls_svid_bad, 42, "no path"},
	  {"a CA", CA, {.san = ID("/web"), .ca = true}, TG_WHY_tls_svid_bad, 42, "is a CA"},
	  {"may sign", CA, {.san = ID("/web"), .usage = "digitalSignature,cRLSign"},
		  TG_WHY_tls_svid_bad, 42, "may sign"},
	  {"no key usage", CA, {.san = ID("/web"), .usage = ""}, TG_WHY_tls_svid_bad, 42,
		  "no key usage"},
	  {"for servers only", CA, {.san = ID("/web"), .ext_usage = "serverAuth"},
		  TG_WHY_tls_cert_bad, 43, "(spiffe://mesh.example/web): "},
	  {"unknown trust domain", CA, {.san = "URI:spiffe://evil.example/web"},
		  TG_WHY_tls_trust_domain, 48, "(spiffe://evil.example/web): its trust domain"},
	  /* Each bundle vouches for its own trust domain only. */
	  {"own domain, federated CA", FOREIGN, {.san = ID("/web")}, TG_WHY_tls_unknown_ca, 48,
		  "(spiffe://mesh.example/web): "},
	  {"federated domain, own CA", CA, {.san = FID("/web")}, TG_WHY_tls_unknown_ca, 48,
		  "(spiffe://foreign.example/web): "},
	  {"expired", CA, {.san = ID("/web"), .from = -DAY, .to = -60}, TG_WHY_tls_expired, 45,
		  "(spiffe://mesh.example/web): certificate has expired"},
	  {"self-signed", SELF, {.san = ID("/web")}, TG_WHY_tls_self_signed, 48, "self-signed"},
};

static void clients(const struct refusal *t, size_t n, bool spiffe)
{
	struct tg_tls_conf conf = server_conf(spiffe);

	load(&conf);
	for (size_t i = 0; i < n; i++) {
		struct pki_cert c = issue(&t[i].spec, t[i].by);

		for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
			struct outcome o;
			int alert = t[i].alert;

			if (t[i].by == NONE && v == TLS1_2_VERSION)
				alert = 40; /* TLS 1.2 has no certificate_required */
			meet(true, lab_peer(false, t[i].by == NONE ? NULL : &c, NULL, NULL), v, &o);
			check(t[i].what, &o, t[i].why, alert, t[i].text);
			if (spiffe && o.ok)
				CU_ASSERT_STRING_EQUAL(o.spiffe_id, t[i].text);
		}
		pki_free(&c);
	}
}

static void plain_clients(void)
{
	clients(plain, TG_ARRAY_LEN(plain), false);
}

static void svid_clients(void)
{
	clients(svids, TG_ARRAY_LEN(svids), true);
}

static void optional(void)
{
	struct tg_tls_conf conf = server_conf(false);
	struct outcome o;

	conf.require_client_certificate = false;
	load(&conf);
	meet(true, lab_peer(false, NULL, NULL, NULL), TLS1_3_VERSION, &o);
	check("none", &o, TG_WHY_none, 0, "");
	/* Whoever shows a certificate must show a good one. */
	struct pki_cert c = issue(&(struct pki_spec){.cn = "web"}, OTHER);

	meet(true, lab_peer(false, &c, NULL, NULL), TLS1_3_VERSION, &o);
	check("bad one", &o, TG_WHY_tls_unknown_ca, 48, "CN=web");
	pki_free(&c);
}

static void origins(void)
{
	static const struct refusal t[] = {
		{"good", CA, {.san = "DNS:a.shop.example"}, TG_WHY_none, 0, ""},
		{"wildcard", CA, {.san = "DNS:*.shop.example"}, TG_WHY_none, 0, ""},
		{"wrong name", CA, {.cn = "x", .san = "DNS:b.shop.example"}, TG_WHY_tls_wrong_name,
			42, "peer \"CN=x\": is not for the name"},
		{"partial wildcard", CA, {.san = "DNS:a*.shop.example"}, TG_WHY_tls_wrong_name, 42,
			""},
		{"an address", CA, {.san = "IP:10.0.0.1"}, TG_WHY_tls_wrong_name, 42, ""},
		{"wrong CA", OTHER, {.san = "DNS:a.shop.example"}, TG_WHY_tls_unknown_ca, 48, ""},
		{"expired", CA, {.san = "DNS:a.shop.example", .from = -DAY, .to = -60},
			TG_WHY_tls_expired, 45, "expired"},
		{"for clients only", CA, {.san = "DNS:a.shop.example", .ext_usage = "clientAuth"},
			TG_WHY_tls_cert_bad, 43, ""},
	};
	struct tg_tls_conf conf = client_conf(NULL, 0);

	load(&conf);
	for (size_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		struct pki_cert c = issue(&t[i].spec, t[i].by);
		struct outcome o;

		meet(false, lab_peer(true, &c, NULL, NULL), TLS1_3_VERSION, &o);
		check(t[i].what, &o, t[i].why, t[i].alert, t[i].text);
		pki_free(&c);
	}
}

static void origins_by_id(void)
{
	static const char *match[] = {"spiffe://mesh.example/shop", "spiffe://mesh.example/cart/*",
		"spiffe://foreign.example/*"};
	static const struct refusal t[] = {
		{"exact", CA, {.san = ID("/shop")}, TG_WHY_none, 0, ""},
		{"below", CA, {.san = ID("/cart/v1")}, TG_WHY_none, 0, ""},
		{"federated", FOREIGN, {.san = FID("/x")}, TG_WHY_none, 0, ""},
		{"another", CA, {.san = ID("/shop2")}, TG_WHY_tls_wrong_name, 42,
			"(spiffe://mesh.example/shop2): is not in match_spiffe_ids"},
		{"not below", CA, {.san = ID("/cart")}, TG_WHY_tls_wrong_name, 42, ""},
		{"right name, no SVID", CA, {.san = "DNS:shop.example"}, TG_WHY_tls_svid_bad, 42,
			""},
	};
	struct tg_tls_conf conf = client_conf(match, 3);
	int r;

	/* Two trust domains in match_spiffe_ids do not say whose bundle `ca` is. */
	r = lab_load(&lab, (const struct tg_tls_conf *[]){&conf}, 1);
	CU_ASSERT_EQUAL(r, TG_EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(lab.complaints, "of which SPIFFE trust domain"));
	pair[0] = (struct tg_tls_pair){cert_file, key_file}; /* our own SVID says it */
	conf.n_pairs = 1;
	conf.pairs = pair;
	load(&conf);
	for (size_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		struct pki_cert c = issue(&t[i].spec, t[i].by);
		struct outcome o;

		meet(false, lab_peer(true, &c, NULL, NULL), TLS1_3_VERSION, &o);
		check(t[i].what, &o, t[i].why, t[i].alert, t[i].text);
		pki_free(&c);
	}
}

static void by_address(void)
{
	struct tg_tls_conf conf = client_conf(NULL, 0);
	struct pki_cert c = issue(&(struct pki_spec){.san = "IP:2001:db8::1"}, CA);
	struct outcome o;

	conf.sni = "2001:db8::1";
	load(&conf);
	meet(false, lab_peer(true, &c, NULL, NULL), TLS1_3_VERSION, &o);
	check("address", &o, TG_WHY_none, 0, "");
	conf.sni = "2001:db8::2";
	load(&conf);
	meet(false, lab_peer(true, &c, NULL, NULL), TLS1_3_VERSION, &o);
	check("another", &o, TG_WHY_tls_wrong_name, 42, "");
	pki_free(&c);
}

static void refused_by_peer(void)
{
	struct tg_tls_conf conf = server_conf(false);
	struct pki_cert c = issue(&(struct pki_spec){.cn = "web"}, CA);
	struct outcome o;

	load(&conf);
	meet(true, lab_peer(false, &c, NULL, &other_ca), TLS1_3_VERSION, &o);
	CU_ASSERT_FALSE(o.ok);
	CU_ASSERT_EQUAL(o.why, TG_WHY_tls_peer_alert);
	CU_ASSERT_EQUAL(o.alert, 48);
	CU_ASSERT(o.by_peer);
	CU_ASSERT_STRING_EQUAL(o.text, "the peer sent alert unknown CA (48)");
	pki_free(&c);
}

/* A certificate that was found good is not found good any more once its CA is withdrawn, or it has
 * expired, although it is remembered. */
static void remembered(void)
{
	struct tg_tls_conf conf = server_conf(false);
	struct pki_cert c = issue(&(struct pki_spec){.cn = "web", .from = -60, .to = 600}, CA);
	struct outcome o;

	load(&conf);
	for (int i = 0; i < 2; i++) {
		meet(true, lab_peer(false, &c, NULL, NULL), TLS1_3_VERSION, &o);
		check("good", &o, TG_WHY_none, 0, "");
	}
	lab.now += 601;
	meet(true, lab_peer(false, &c, NULL, NULL), TLS1_3_VERSION, &o);
	check("later", &o, TG_WHY_tls_expired, 45, "expired");
	lab.now -= 601;
	meet(true, lab_peer(false, &c, NULL, NULL), TLS1_3_VERSION, &o);
	check("good again", &o, TG_WHY_none, 0, "");
	conf.ca = other_file;
	load(&conf);
	meet(true, lab_peer(false, &c, NULL, NULL), TLS1_3_VERSION, &o);
	check("withdrawn", &o, TG_WHY_tls_unknown_ca, 48, "CN=web");
	pki_free(&c);
}

/* --- bytes that are no handshake
 * ------------------------------------------------------------------ */

static void no_handshake(void)
{
	static const struct {
		const char *bytes;
		uint32_t n;
		enum tg_why why;
		int alert;
		bool http; /* answered in plain HTTP */
	} t[] = {
		{"GET / HTTP/1.1\r\n\r\n", 18, TG_WHY_tls_not_tls, -1, true},
		{"OPTIONS * HTTP/1.1\r\n\r\n", 22, TG_WHY_tls_not_tls, -1, true},
		{"GETTY", 5, TG_WHY_tls_not_tls, -1},
		{"\x00\x00\x00\x00\x00\x00\x00\x00", 8, TG_WHY_tls_not_tls, -1},
		{"SSH-2.0-OpenSSH_9.2\r\n", 21, TG_WHY_tls_not_tls, -1},
		{"\x17\x03\x03\x00\x05hello", 10, TG_WHY_tls_malformed, 10},
		{"\x14\x03\x03\x00\x01\x01", 6, TG_WHY_tls_malformed, 10},
		{"\x16\x03\x01\x48\x01", 5, TG_WHY_tls_malformed, 22},
		{"\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9, TG_WHY_tls_malformed, 10},
		{"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10, TG_WHY_tls_malformed, 50},
		/* An alert, even close_notify, is not what comes first. */
		{"\x15\x03\x03\x00\x02\x02\x28", 7, TG_WHY_tls_malformed, 10},
		{"\x15\x03\x03\x00\x02\x01\x00", 7, TG_WHY_tls_malformed, 10},
	};
	struct tg_tls_conf conf = server_conf(false);

	load(&conf);
	for (size_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		struct lab_end *us = lab_engine(&lab, 0, 0, NULL);
		struct tg_hs_fail f;

		for (uint32_t at = 0; at < t[i].n && !us->failed;)
			at += lab_feed(us, (const uint8_t *)t[i].bytes + at, t[i].n - at);
		CU_ASSERT(us->failed);
		tg_hs_failure(us->hs, &f);
		if (f.why != t[i].why || (f.alert ? f.alert : -1) != t[i].alert)
			fprintf(stderr, "case %zu: %s, alert %d: %s\n", i, tg_why_name(f.why),
				f.alert, f.text);
		CU_ASSERT_EQUAL(f.why, t[i].why);
		CU_ASSERT_EQUAL(f.alert ? f.alert : -1, t[i].alert);
		/* What goes out is that alert, or HTTP to whom speaks it, or nothing. */
		if (t[i].http) {
			CU_ASSERT(us->n_out > 7 && memcmp(us->out, "HTTP/1.1 400 ", 13) == 0);
		} else {
			CU_ASSERT_EQUAL(us->n_out, !f.alert || f.alert_by_peer ? 0 : 7);
		}
		if (us->n_out == 7)
			CU_ASSERT_EQUAL(us->out[6], f.alert);
		lab_end(us);
	}
}

/* --- loading
 * -------------------------------------------------------------------------------------- */

static void refuses_to_load(const struct tg_tls_conf *conf, const char *complaint)
{
	struct tg_tls_set *before = tg_tls_store_current(lab.store);

	CU_ASSERT_EQUAL(lab_load(&lab, &conf, 1), TG_EINVAL);
	if (!strstr(lab.complaints, complaint))
		fprintf(stderr, "not \"%s\" but %s", complaint, lab.complaints);
	CU_ASSERT_PTR_NOT_NULL(strstr(lab.complaints, complaint));
	CU_ASSERT_PTR_EQUAL(tg_tls_store_current(lab.store), before);
}

static void bad_pairs(void)
{
	struct tg_tls_conf conf = server_conf(false);
	struct pki_cert good = issue(&(struct pki_spec){.cn = "x"}, CA);
	struct pki_cert old = issue(&(struct pki_spec){.cn = "x", .from = -DAY, .to = -60}, CA);
	struct pki_cert early = issue(&(struct pki_spec){.cn = "x", .from = 3600, .to = DAY}, CA);
	struct pki_cert tiny = issue(&(struct pki_spec){.cn = "x", .key = "RSA1024"}, CA);
	struct pki_cert ed = issue(&(struct pki_spec){.cn = "x", .key = "ED25519"}, CA);
	struct pki_cert odd = issue(&(struct pki_spec){.cn = "x", .key = "secp256k1"}, CA);
	const struct {
		const char *cert, *key, *complaint;
	} t[] = {
		{pki_path("missing"), key_file, "missing: cannot be opened: No such file"},
		{cert_file, pki_path("missing"), "missing: cannot be opened"},
		{cert_file, "/tmp", "/tmp: is not a regular file"},
		{cert_file, pki_write_text("empty", ""), "empty: is empty"},
		{pki_write_text("text", "hello\n"), key_file,
			"text: holds no certificate in PEM form"},
		{cert_file, pki_write_text("text", "hello\n"), "text: holds no private key"},
		{key_file, key_file, "server.key: holds no certificate"},
		{cert_file, cert_file, "server.crt: holds no private key"},
		{pki_write_text("cut.crt", "-----BEGIN CERTIFICATE-----\nMIIB\n"), key_file,
			"cut.crt: certificate 1 cannot be read"},
		{cert_file, pki_write_key("locked.key", &server, "secret"),
			"locked.key: the key is encrypted"},
		{cert_file, pki_write_key("good.key", &good, NULL),
			"good.key: the key does not belong to the certificate in"},
		{pki_write_certs("old.crt", (const struct pki_cert *[]){&old}, 1),
			pki_write_key("old.key", &old, NULL),
			"old.crt: the certificate expired on 20"},
		{pki_write_certs("early.crt", (const struct pki_cert *[]){&early}, 1),
			pki_write_key("early.key", &early, NULL),
			"early.crt: the certificate is not valid before 20"},
		{pki_write_certs("tiny.crt", (const struct pki_cert *[]){&tiny}, 1),
			pki_write_key("tiny.key", &tiny, NULL), "tiny.key: is an RSA key of less"},
		{pki_write_certs("ed.crt", (const struct pki_cert *[]){&ed}, 1),
			pki_write_key("ed.key", &ed, NULL),
			"ed.key: is neither an RSA nor an ECDSA"},
		{pki_write_certs("odd.crt", (const struct pki_cert *[]){&odd}, 1),
			pki_write_key("odd.key", &odd, NULL),
			"odd.key: is an ECDSA key on a curve"},
	};

	load(&conf);
	for (size_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		struct tg_tls_pair p = {t[i].cert, t[i].key};

		conf.pairs = &p;
		refuses_to_load(&conf, t[i].complaint);
	}
	pki_free(&good);
	pki_free(&old);
	pki_free(&early);
	pki_free(&tiny);
	pki_free(&ed);
	pki_free(&odd);
}

static void bad_confs(void)
{
	static const char *match[] = {"spiffe://mesh.example/x", "spiffe://mesh.example/*x"};
	struct tg_tls_pair twice[2];
	struct tg_tls_bundle again = {"mesh.example", NULL}, bad = {"Mesh", NULL};
	struct tg_tls_conf conf = server_conf(false), c;

	load(&conf);
	c = conf;
	c.ca = pki_write_text("text", "hello\n");
	refuses_to_load(&c, "text: holds no certificate");
	c = conf;
	c.ca = NULL;
	refuses_to_load(&c, "require_client_certificate needs client_ca");
	c = conf;
	c.n_pairs = 0;
	refuses_to_load(&c, "needs a certificate");
	twice[0] = twice[1] = (struct tg_tls_pair){cert_file, key_file};
	c = conf;
	c.n_pairs = 2;
	c.pairs = twice;
	refuses_to_load(&c, "is for the same names, with the same type of key");
	c = client_conf(NULL, 0);
	c.ca = NULL;
	refuses_to_load(&c, "a cluster with TLS needs ca");
	c = client_conf(match, 2);
	refuses_to_load(&c, "\"spiffe://mesh.example/*x\" is neither");
	c = server_conf(true);
	again.ca = bad.ca = foreign_file;
	c.bundles = &again;
	refuses_to_load(&c, "trust domain mesh.example has a bundle already");
	c.bundles = &bad;
	refuses_to_load(&c, "\"Mesh\" is not the name of a SPIFFE trust domain");
	c = server_conf(false);
	c.n_alpn = 1;
	c.alpn[0] = "";
	refuses_to_load(&c, "ALPN protocols have 1 to 255 bytes");
	/* All that is wrong is told at once, and only checking changes nothing. */
	c = server_conf(false);
	c.ca = pki_path("missing");
	twice[0] = (struct tg_tls_pair){pki_path("nothing"), pki_path("nowhere")};
	c.pairs = twice;
	refuses_to_load(&c, "missing: cannot");
	CU_ASSERT_PTR_NOT_NULL(strstr(lab.complaints, "nothing: cannot"));
	CU_ASSERT_PTR_NOT_NULL(strstr(lab.complaints, "nowhere: cannot"));
	CU_ASSERT_EQUAL(
		tg_tls_store_check((const struct tg_tls_conf *[]){&c}, 1, lab.now, NULL, NULL),
		TG_EINVAL);
	CU_ASSERT_EQUAL(
		tg_tls_store_check((const struct tg_tls_conf *[]){&conf}, 1, lab.now, NULL, NULL),
		0);
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
LAB_TEST(plain_clients)
LAB_TEST(svid_clients)
LAB_TEST(optional)
LAB_TEST(origins)
LAB_TEST(origins_by_id)
LAB_TEST(by_address)
LAB_TEST(refused_by_peer)
LAB_TEST(remembered)
LAB_TEST(no_handshake)
LAB_TEST(bad_pairs)
LAB_TEST(bad_confs)

TG_TEST_MAIN("tls_refusals", {"clients", plain_clients_in_lab},
	{"clients with SVIDs", svid_clients_in_lab},
	{"client certificates optional", optional_in_lab}, {"origins", origins_in_lab},
	{"origins by SPIFFE ID", origins_by_id_in_lab}, {"origins by address", by_address_in_lab},
	{"refused by the peer", refused_by_peer_in_lab},
	{"remembered certificates", remembered_in_lab}, {"no handshake", no_handshake_in_lab},
	{"bad files", bad_pairs_in_lab}, {"bad configurations", bad_confs_in_lab})
