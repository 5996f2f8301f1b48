/* Revocation lists: who is refused, with which alert, reason and text; lists that are no good; what
 * was found good before. */
#include <stdlib.h>

#include "../tgtest.h"
#include "lab.h"

#define DAY 86400

static struct lab lab;
static struct pki_cert ca, sub_ca, mute_ca, foreign_ca, server, web, gone, below, below_gone,
	below_mute, foreign;
static const char *ca_file, *foreign_file;
static struct tg_tls_pair pair[1];
static struct tg_tls_bundle federated[1];

static struct pki_cert leaf(const char *cn, const char *san, const struct pki_cert *by)
{
	return pki_issue(&(struct pki_spec){.cn = cn, .san = san}, by);
}

static void make_pki(void)
{
	static bool made;

	if (made)
		return;
	made = true;
	ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
	sub_ca = pki_issue(&(struct pki_spec){.cn = "Sub", .ca = true}, &ca);
	mute_ca = pki_issue(
		&(struct pki_spec){.cn = "Mute", .ca = true, .usage = "critical,keyCertSign"}, &ca);
	foreign_ca = pki_issue(&(struct pki_spec){.cn = "Foreign", .ca = true}, NULL);
	server = leaf("server", "DNS:a.example,URI:spiffe://mesh.example/gate", &ca);
	web = leaf("web", "URI:spiffe://mesh.example/web", &ca);
	gone = leaf("gone", "URI:spiffe://mesh.example/gone", &ca);
	below = leaf("below", "URI:spiffe://mesh.example/below", &sub_ca);
	below_gone = leaf("below_gone", NULL, &sub_ca);
	below_mute = leaf("below_mute", NULL, &mute_ca);
	foreign = leaf("alien", "URI:spiffe://foreign.example/x", &foreign_ca);
	ca_file = pki_write_certs("ca.crt", (const struct pki_cert *[]){&ca}, 1);
	foreign_file = pki_write_certs("foreign.crt", (const struct pki_cert *[]){&foreign_ca}, 1);
	pair[0].certificate =
		pki_write_certs("server.crt", (const struct pki_cert *[]){&server}, 1);
	pair[0].private_key = pki_write_key("server.key", &server, NULL);
	federated[0] = (struct tg_tls_bundle){"foreign.example", foreign_file};
}

static const struct pki_cert *const revoked[] = {&gone, &server};

static struct tg_tls_conf conf_of(const char *crl)
{
	return (struct tg_tls_conf){.server = true,
		.n_pairs = 1,
		.pairs = pair,
		.ca = ca_file,
		.crl = crl,
		.require_client_certificate = true,
		.session_tickets = true,
		.min_version = 12};
}

static int load(const struct tg_tls_conf *conf)
{
	return lab_load(&lab, &conf, 1);
}

static void must_load(const struct tg_tls_conf *conf)
{
	int r = load(conf);

	if (r)
		fprintf(stderr, "%s", lab.complaints);
	CU_ASSERT_EQUAL_FATAL(r, 0);
}

/* The engine as server meets a client with c. why none: let in. */
static void client_is(const struct pki_cert *c, const struct pki_cert *chain, enum tg_why why,
	int alert, const char *text)
{
	struct lab_end *us = lab_engine(&lab, 0, 0, NULL);
	struct lab_end *peer = lab_openssl(lab_peer(false, c, chain, NULL), false);
	struct tg_hs_fail f = {.text = ""};

	lab_run(us, peer);
	if (!us->done)
		tg_hs_failure(us->hs, &f);
	if (f.why != why || f.alert != alert || f.alert_by_peer || !strstr(f.text, text))
		fprintf(stderr, "wanted %s, %d, %s: %s, %d, %s\n", tg_why_name(why), alert, text,
			tg_why_name(f.why), f.alert, f.text);
	CU_ASSERT_EQUAL(f.why, why);
	CU_ASSERT_EQUAL(f.alert, alert);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, text));
	lab_end(us);
	lab_end(peer);
}

static void clients(void)
{
	const struct pki_cert *const subs[] = {&below_gone}, *const mutes[] = {&sub_ca};
	const struct pki_crl both[] = {{.issuer = &ca, .revoked = revoked, .n = 2},
		{.issuer = &sub_ca, .revoked = subs, .n = 1}};
	struct tg_tls_conf conf = conf_of(pki_write_crls("a.crl", both, 2));

	must_load(&conf);
	for (int again = 0; again < 2; again++) { /* the second time it is remembered */
		client_is(&web, NULL, TG_WHY_none, 0, "");
		client_is(&gone, NULL, TG_WHY_tls_revoked, 44,
			"peer \"CN=gone\" (spiffe://mesh.example/gone): certificate revoked");
		client_is(&below, &sub_ca, TG_WHY_none, 0, "");
		client_is(&below_gone, &sub_ca, TG_WHY_tls_revoked, 44, "CN=below_gone");
	}
	client_is(&below_mute, &mute_ca, TG_WHY_tls_no_crl, 48, "CN=below_mute");
	/* Of the CA of a chain there is no list: refused, whoever it is. */
	conf.crl = pki_write_crls("a.crl", both, 1);
	must_load(&conf);
	client_is(&web, NULL, TG_WHY_none, 0, "");
	client_is(&below, &sub_ca, TG_WHY_tls_no_crl, 48, "unable to get certificate CRL");
	/* A CA in between that is revoked, and with it all that it signed. */
	conf.crl = pki_write_crls("a.crl",
		(const struct pki_crl[]){{.issuer = &ca, .revoked = mutes, .n = 1}, both[1]}, 2);
	must_load(&conf);
	client_is(&below, &sub_ca, TG_WHY_tls_revoked, 44, "\"CN=Sub\": certificate revoked");
	client_is(&gone, NULL, TG_WHY_none, 0, "");
	/* An anchor that is not self-signed: its own issuer's list is not asked for. */
	conf.ca = pki_write_certs("sub.crt", (const struct pki_cert *[]){&sub_ca}, 1);
	conf.crl = pki_write_crls("a.crl", both + 1, 1);
	must_load(&conf);
	client_is(&below, &sub_ca, TG_WHY_none, 0, "");
	client_is(&below_gone, &sub_ca, TG_WHY_tls_revoked, 44, "CN=below_gone");
}

static void origins(void)
{
	const struct pki_crl list = {.issuer = &ca, .revoked = revoked, .n = 2};
	struct tg_tls_conf conf = {.ca = ca_file, .sni = "a.example", .min_version = 13};
	struct tg_sockaddr origin = {.port = 443};

	for (int i = 0; i < 2; i++) {
		struct lab_end *us, *peer = lab_openssl(lab_peer(true, &server, NULL, NULL), true);
		struct tg_hs_fail f;

		conf.crl = i ? pki_write_crls("o.crl", &list, 1) : NULL;
		must_load(&conf);
		us = lab_engine(&lab, 0, 0, &origin);
		CU_ASSERT_EQUAL(lab_run(us, peer), i == 0);
		tg_hs_failure(us->hs, &f);
		CU_ASSERT_EQUAL(f.why, i ? TG_WHY_tls_revoked : TG_WHY_none);
		CU_ASSERT_EQUAL(f.alert, i ? 44 : 0);
		lab_end(us);
		lab_end(peer);
	}
}

/* A new list is for everybody: whose certificate was found good before, and whoever has a ticket.
 */
static void changes(void)
{
	struct pki_crl list = {.issuer = &ca};
	struct tg_tls_conf conf = conf_of(pki_write_crls("c.crl", &list, 1));
	const char *note = NULL;

	must_load(&conf);
	client_is(&gone, NULL, TG_WHY_none, 0, "");
	list.revoked = revoked;
	list.n = 1;
	pki_write_crls("c.crl", &list, 1);
	CU_ASSERT_EQUAL(tg_tls_store_refresh(lab.store, lab.now, NULL, &note), 1);
	lab_adopt(&lab);
	client_is(&gone, NULL, TG_WHY_tls_revoked, 44, "CN=gone");
	client_is(&web, NULL, TG_WHY_none, 0, "");
}

/* Times are those of the test: certificates are good for a day, the list for ten minutes. */
static void ends(void)
{
	const struct pki_crl list = {.issuer = &ca, .from = -60, .to = 600};
	struct tg_tls_conf conf = conf_of(pki_write_crls("e.crl", &list, 1));

	must_load(&conf);
	client_is(&web, NULL, TG_WHY_none, 0, "");
	lab.now += 601;
	client_is(&web, NULL, TG_WHY_tls_no_crl, 45, "CRL has expired");
	lab.now -= 601;
	client_is(&web, NULL, TG_WHY_none, 0, "");
	lab.now -= 3600;
	client_is(&below, &sub_ca, TG_WHY_tls_no_crl, 42, "");
	lab.now += 3600;
	conf.crl = pki_write_crls("e.crl", &(struct pki_crl){.issuer = &ca, .endless = true}, 1);
	must_load(&conf);
	client_is(&web, NULL, TG_WHY_none, 0, "");
}

static SSL_SESSION *full(SSL_CTX *ctx)
{
	struct lab_end *us = lab_engine(&lab, 0, 0, NULL), *peer;
	SSL_SESSION *s;
	char nothing[1];

	SSL_CTX_up_ref(ctx);
	peer = lab_openssl(ctx, false);
	CU_ASSERT_FATAL(lab_run(us, peer));
	lab_deliver(us, peer->ssl);
	SSL_read(peer->ssl, nothing, 1);
	s = SSL_get1_session(peer->ssl);
	CU_ASSERT_FATAL(SSL_SESSION_is_resumable(s));
	lab_end(us);
	lab_end(peer);
	return s;
}

/* True: resumed. */
static bool again(SSL_CTX *ctx, SSL_SESSION *s, enum tg_why why)
{
	struct lab_end *us = lab_engine(&lab, 0, 0, NULL), *peer;
	struct tg_hs_fail f = {0};
	bool resumed;

	SSL_CTX_up_ref(ctx);
	peer = lab_openssl(ctx, false);
	SSL_set_session(peer->ssl, s);
	SSL_SESSION_free(s);
	lab_run(us, peer);
	resumed = us->done && SSL_session_reused(peer->ssl);
	if (!us->done)
		tg_hs_failure(us->hs, &f);
	CU_ASSERT_EQUAL(f.why, why);
	lab_end(us);
	lab_end(peer);
	return resumed;
}

static void tickets(void)
{
	struct pki_crl list = {.issuer = &ca, .from = -60, .to = 600};
	struct tg_tls_conf conf = conf_of(pki_write_crls("t.crl", &list, 1));
	SSL_CTX *ctx = lab_peer(false, &gone, NULL, NULL);
	SSL_SESSION *s;

	must_load(&conf);
	CU_ASSERT(again(ctx, full(ctx), TG_WHY_none));
	s = full(ctx);
	lab.now += 601;
	CU_ASSERT_FALSE(again(ctx, s, TG_WHY_tls_no_crl));
	lab.now -= 601;
	s = full(ctx);
	list.revoked = revoked;
	list.n = 1;
	pki_write_crls("t.crl", &list, 1);
	must_load(&conf);
	CU_ASSERT_FALSE(again(ctx, s, TG_WHY_tls_revoked));
	SSL_CTX_free(ctx);
}

/* Each trust domain's chains need their own CA's list. */
static void federation(void)
{
	const struct pki_crl lists[] = {{.issuer = &ca}, {.issuer = &foreign_ca}};
	struct tg_tls_conf conf = conf_of(pki_write_crls("f.crl", lists, 1));

	conf.spiffe = true;
	conf.n_bundles = 1;
	conf.bundles = federated;
	must_load(&conf);
	client_is(&web, NULL, TG_WHY_none, 0, "");
	client_is(&foreign, NULL, TG_WHY_tls_no_crl, 48, "spiffe://foreign.example/x");
	conf.crl = pki_write_crls("f.crl", lists, 2);
	must_load(&conf);
	client_is(&foreign, NULL, TG_WHY_none, 0, "");
}

static void bad_lists(void)
{
	const struct {
		struct pki_crl crl;
		const char *complaint;
	} t[] = {
		{{.issuer = &ca, .from = -DAY, .to = -60},
			"b.crl: the list of /CN=Root had to be replaced by 20"},
		{{.issuer = &ca, .signer = &foreign_ca}, "/CN=Root is not signed by that CA"},
		{{.issuer = &ca, .ext = NID_delta_crl, .ext_value = NULL}, "a delta"},
		{{.issuer = &ca,
			 .ext = NID_issuing_distribution_point,
			 .ext_value = "critical,onlyCA:TRUE"},
			"covers only a part"},
		{{.issuer = &ca,
			 .ext = NID_policy_constraints,
			 .ext_value = "critical,requireExplicitPolicy:3"},
			"a critical extension that is not known"},
	};
	struct tg_tls_conf good = conf_of(NULL), conf;
	struct tg_tls_set *before;

	must_load(&good);
	before = tg_tls_store_current(lab.store);
	for (size_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		conf = conf_of(pki_write_crls("b.crl", &t[i].crl, 1));
		CU_ASSERT_EQUAL(load(&conf), TG_EINVAL);
		if (!strstr(lab.complaints, t[i].complaint))
			fprintf(stderr, "not %s but %s", t[i].complaint, lab.complaints);
		CU_ASSERT_PTR_NOT_NULL(strstr(lab.complaints, t[i].complaint));
	}
	conf = conf_of(pki_write_text("b.crl", "hello\n"));
	CU_ASSERT_EQUAL(load(&conf), TG_EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(lab.complaints, "b.crl: holds no CRL in PEM form"));
	conf = conf_of(pki_write_text("b.crl", "-----BEGIN X509 CRL-----\nMIIB\n"));
	CU_ASSERT_EQUAL(load(&conf), TG_EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(lab.complaints, "b.crl: list 1 cannot be read"));
	conf.ca = NULL;
	conf.require_client_certificate = false;
	CU_ASSERT_EQUAL(load(&conf), TG_EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(lab.complaints, "b.crl: whose list is this?"));
	CU_ASSERT_PTR_EQUAL(tg_tls_store_current(lab.store), before);
}

static void in_lab(void (*fn)(void))
{
	make_pki();
	lab_open(&lab);
	fn();
	lab_close(&lab);
}

#define LAB_TEST(fn) \
	static void fn##_in_lab(void) \
	{ \
		in_lab(fn); \
	}
LAB_TEST(clients)
LAB_TEST(origins)
LAB_TEST(changes)
LAB_TEST(ends)
LAB_TEST(tickets)
LAB_TEST(federation)
LAB_TEST(bad_lists)

TG_TEST_MAIN("tls_crl", {"clients", clients_in_lab}, {"origins", origins_in_lab},
	{"a new list", changes_in_lab}, {"the end of a list", ends_in_lab},
	{"tickets", tickets_in_lab}, {"federation", federation_in_lab},
	{"bad lists", bad_lists_in_lab})
