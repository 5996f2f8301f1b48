/* Handshakes of our own (serve.h) beside OpenSSL's: the same client meets one and then the other,
 * and cannot tell which it was; nor can whoever takes what came out. */
#include <stdio.h>
#include <stdlib.h>

#include "../tgtest.h"
#include "lab.h"

static struct lab lab;

enum { NOBODY, EC, BY_RSA, P384, P521, ED25519, STRANGER, EXPIRED, CHAIN, CLIENTS };
static struct pki_cert ca, other, inter, client[CLIENTS];
enum { S_EC, S_RSA, S_P384, S_ALPHA, SERVERS };
static struct tg_tls_pair pair[SERVERS], both[2], named[2];
static const char *ca_file;

static void make_pki(void)
{
	static const char san[] = "URI:spiffe://mesh.example/web";
	static const char *const files[SERVERS][2] = {{"ec.crt", "ec.key"}, {"rsa.crt", "rsa.key"},
		{"384.crt", "384.key"}, {"a.crt", "a.key"}};
	struct pki_spec own[SERVERS] = {
		{.cn = "gate", .san = "DNS:gate.example,URI:spiffe://mesh.example/gate"},
		{.cn = "gate",
			.san = "DNS:gate.example,URI:spiffe://mesh.example/gate",
			.key = "RSA"},
		{.cn = "gate", .san = "DNS:gate.example", .key = "P-384"},
		{.cn = "alpha", .san = "DNS:alpha.example"}};
	static struct pki_cert server[SERVERS];

	if (ca_file)
		return;
	ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
	other = pki_issue(&(struct pki_spec){.cn = "Other", .ca = true}, NULL);
	inter = pki_issue(&(struct pki_spec){.cn = "Intermediate", .ca = true}, &ca);
	ca_file = pki_write_certs("ca.crt", (const struct pki_cert *[]){&ca}, 1);
	for (int i = 0; i < SERVERS; i++) {
		server[i] = pki_issue(&own[i], &inter);
		pair[i].certificate = pki_write_certs(
			files[i][0], (const struct pki_cert *[]){&server[i], &inter}, 2);
		pair[i].private_key = pki_write_key(files[i][1], &server[i], NULL);
	}
	both[0] = pair[S_EC];
	both[1] = pair[S_RSA];
	named[0] = pair[S_EC];
	named[1] = pair[S_ALPHA];
	client[EC] = pki_issue(&(struct pki_spec){.san = san}, &ca);
	client[BY_RSA] = pki_issue(&(struct pki_spec){.san = san, .key = "RSA"}, &ca);
	client[P384] = pki_issue(&(struct pki_spec){.san = san, .key = "P-384"}, &ca);
	client[P521] = pki_issue(&(struct pki_spec){.san = san, .key = "P-521"}, &ca);
	client[ED25519] = pki_issue(&(struct pki_spec){.san = san, .key = "ED25519"}, &ca);
	client[STRANGER] = pki_issue(&(struct pki_spec){.san = san}, &other);
	client[EXPIRED] = pki_issue(&(struct pki_spec){.san = san, .from = -86400, .to = -60}, &ca);
	client[CHAIN] = pki_issue(&(struct pki_spec){.san = san}, &inter);
}

/* --- configurations -----------------------------------------------------------------------------
 */

enum {
	C_EC,
	C_OPTIONAL,
	C_PLAIN,
	C_RSA,
	C_P384,
	C_BOTH,
	C_NAMED,
	C_ALPN,
	C_SPIFFE,
	C_PEM,
	C_TICKETS,
	C_T_ALPN,
	C_T_SPIFFE,
	C_T_PEM,
	C_T_PLAIN,
	CONFS
};

static void load(void)
{
	struct tg_tls_conf base, conf[CONFS];
	const struct tg_tls_conf *p[CONFS];

	make_pki();
	base = (struct tg_tls_conf){.server = true,
		.n_pairs = 1,
		.pairs = &pair[S_EC],
		.ca = ca_file,
		.require_client_certificate = true,
		.min_version = 12};
	for (int i = 0; i < CONFS; i++) {
		conf[i] = base;
		p[i] = &conf[i];
	}
	conf[C_OPTIONAL].require_client_certificate = false;
	conf[C_PLAIN].require_client_certificate = false;
	conf[C_PLAIN].ca = NULL;
	conf[C_RSA].pairs = &pair[S_RSA];
	conf[C_P384].pairs = &pair[S_P384];
	conf[C_BOTH].pairs = both;
	conf[C_BOTH].n_pairs = 2;
	conf[C_NAMED].pairs = named;
	conf[C_NAMED].n_pairs = 2;
	conf[C_ALPN].n_alpn = 2;
	conf[C_ALPN].alpn[0] = "http/1.1";
	conf[C_ALPN].alpn[1] = "acme";
	conf[C_SPIFFE].spiffe = true;
	conf[C_PEM].keep_pem = true;
	conf[C_T_ALPN] = conf[C_ALPN];
	conf[C_T_SPIFFE] = conf[C_SPIFFE];
	conf[C_T_PEM] = conf[C_PEM];
	conf[C_T_PLAIN] = conf[C_PLAIN];
	for (int i = C_TICKETS; i < CONFS; i++)
		conf[i].session_tickets = true;
	if (lab_load(&lab, p, CONFS))
		fprintf(stderr, "%s", lab.complaints);
	CU_ASSERT_EQUAL_FATAL(lab.complaints[0], 0);
}

/* --- what can be seen ---------------------------------------------------------------------------
 */

#define SEEN_MAX 16384

struct sight {
	bool ours, done;
	/* The client's: messages of the server's without what is random, and what became of it. */
	uint8_t seen[SEEN_MAX];
	uint32_t n_seen;
	char client[200];
	/* The server's. */
	char result[1200];
};

static void note(struct sight *s, const void *p, size_t n)
{
	CU_ASSERT_FATAL(n <= SEEN_MAX - s->n_seen);
	memcpy(s->seen + s->n_seen, p, n);
	s->n_seen += (uint32_t)n;
}

static void on_message(
	int sent, int version, int type, const void *buf, size_t n, SSL *ssl, void *arg)
{
	const uint8_t *b = buf;
	struct sight *s = arg;
	uint8_t copy[1024];

	if (sent || (type != SSL3_RT_HANDSHAKE && type != SSL3_RT_ALERT &&
			    type != SSL3_RT_CHANGE_CIPHER_SPEC))
		return;
	if (type != SSL3_RT_HANDSHAKE ||
		(b[0] != SSL3_MT_SERVER_HELLO && b[0] != SSL3_MT_FINISHED &&
			b[0] != SSL3_MT_CERTIFICATE_VERIFY && b[0] != SSL3_MT_SERVER_KEY_EXCHANGE &&
			b[0] != SSL3_MT_NEWSESSION_TICKET)) {
		note(s, b, n);
	} else if (b[0] == SSL3_MT_SERVER_HELLO) {
		uint32_t psk = memcmp(b + n - 6, "\0\51\0\2\0", 6) == 0 ? 6 : 0;
		uint32_t share = memcmp(b + n - psk - 34, "\0\40", 2) == 0 ? 32 : 65;

		CU_ASSERT_FATAL(n <= sizeof(copy));
		memcpy(copy, b, n);
		memset(copy + 6, 0, 32);
		memset(copy + 39, 0, copy[38]); /* the client's */
		if (n > 80)
			memset(copy + n - psk - share, 0, share);
		note(s, copy, n);
	} else { /* signatures in DER differ in length */
		note(s, b, 1);
		if (b[0] == SSL3_MT_CERTIFICATE_VERIFY)
			note(s, b + 4, 2);
	}
}

static void tell_result(struct sight *s, struct lab_end *us, SSL *peer)
{
	struct tg_hs_result r;
	struct tg_hs_fail f;

	s->ours = !us->hs->f.ssl;
	s->done = us->done;
	if (!us->done) {
		tg_hs_failure(us->hs, &f);
		snprintf(s->result, sizeof(s->result), "failed: %s, alert %u%s, %s",
			tg_why_name(f.why), f.alert, f.alert_by_peer ? " by peer" : "", f.text);
		return;
	}
	lab_take(us, &r);
	snprintf(s->result, sizeof(s->result),
		"%u %d %s sni %s alpn %s peer %.*s|%.*s|%.*s|pem %u own %.*s until %ld seq %lu/%lu "
		"suite %u/%u log2 %u/%u trailing %d",
		r.version, r.resumed, r.cipher, r.sni ? r.sni->s : "-", r.alpn ? r.alpn->s : "-",
		r.peer ? (int)r.peer->hash.n : 0, r.peer ? (const char *)r.peer->hash.p : "",
		r.peer ? (int)r.peer->spiffe_id.n : 0,
		r.peer ? (const char *)r.peer->spiffe_id.p : "", r.peer ? (int)r.peer->uri.n : 0,
		r.peer ? (const char *)r.peer->uri.p : "", r.peer ? r.peer->cert_pem.n : 0,
		(int)r.own->hash.n, (const char *)r.own->hash.p, (long)r.peer_expires,
		(unsigned long)r.rx.seq, (unsigned long)r.tx.seq, r.rx.suite, r.tx.suite,
		r.rx.max_log2, r.tx.max_log2, r.trailing);
	lab_deliver(us, peer); /* tickets */
	lab_talk(&r, peer);
	lab_drop(&lab, 0, &r);
}

/* --- clients ------------------------------------------------------------------------------------
 */

struct variant {
	const char *name;
	uint8_t conf, who;
	const char *suites, *groups, *schemes, *sni;
	const char *alpn; /* as on the wire */
	uint64_t off;     /* options not to have: SSL_OP_ENABLE_MIDDLEBOX_COMPAT */
	uint64_t on;
	uint32_t chunk, room;
	int max, fragment;
	bool openssl; /* not plain: it is OpenSSL's in any case */
	bool status, pha;
};

static SSL_SESSION *newest;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION_free(newest);
	newest = session;
	return 1;
}

static SSL_CTX *peer_of(const struct variant *v, struct sight *s)
{
	const struct pki_cert *own = v->who == NOBODY ? NULL : &client[v->who];
	SSL_CTX *c = lab_peer(false, own, v->who == CHAIN ? &inter : NULL, &ca);
	int ok = 1;

	if (v->suites)
		ok &= SSL_CTX_set_ciphersuites(c, v->suites);
	if (v->groups)
		ok &= SSL_CTX_set1_groups_list(c, v->groups);
	if (v->schemes)
		ok &= SSL_CTX_set1_sigalgs_list(c, v->schemes);
	if (v->alpn)
		ok &= !SSL_CTX_set_alpn_protos(
			c, (const uint8_t *)v->alpn, (unsigned int)strlen(v->alpn));
	if (v->max)
		ok &= SSL_CTX_set_max_proto_version(c, v->max);
	if (v->fragment)
		ok &= SSL_CTX_set_tlsext_max_fragment_length(c, (uint8_t)v->fragment);
	CU_ASSERT_EQUAL(ok, 1);
	SSL_CTX_clear_options(c, v->off);
	SSL_CTX_set_options(c, v->on);
	SSL_CTX_set_post_handshake_auth(c, v->pha);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c, on_session);
	SSL_CTX_set_msg_callback(c, on_message);
	SSL_CTX_set_msg_callback_arg(c, s);
	return c;
}

/* with: a session to resume, or NULL. */
static void meet(const struct variant *v, bool openssl, SSL_SESSION *with, struct sight *s)
{
	struct lab_end *us, *peer;

	memset(s, 0, sizeof(*s));
	lab.w[0]->serve->off = openssl;
	us = lab_engine(&lab, 0, v->conf, NULL);
	us->chunk = v->chunk;
	us->room = v->room;
	peer = lab_openssl(peer_of(v, s), false);
	if (with)
		CU_ASSERT_EQUAL(SSL_set_session(peer->ssl, with), 1);
	if (v->sni)
		SSL_set_tlsext_host_name(peer->ssl, v->sni);
	if (v->status)
		SSL_set_tlsext_status_type(peer->ssl, TLSEXT_STATUSTYPE_ocsp);
	lab_run(us, peer);
	if (us->failed && us->n_out) /* its alert */
		lab_feed(peer, us->out, us->n_out);
	snprintf(s->client, sizeof(s->client), "done %d failed %d, %s, verify %ld", peer->done,
		peer->failed, SSL_get_cipher(peer->ssl), SSL_get_verify_result(peer->ssl));
	tell_result(s, us, peer->ssl);
	lab_end(us);
	lab_end(peer);
	lab.w[0]->serve->off = false;
}

static void compare(const struct variant *v, const struct sight *a, const struct sight *b)
{
	bool same = a->done == b->done && a->n_seen == b->n_seen &&
		    memcmp(a->seen, b->seen, a->n_seen) == 0 && !strcmp(a->client, b->client) &&
		    !strcmp(a->result, b->result) && a->ours == !v->openssl && !b->ours;

	CU_ASSERT(same);
	if (same)
		return;
	fprintf(stderr, "%s: ours %d/%d\n  %s\n  %s\n  %s\n  %s\n  %u %u bytes\n", v->name, a->ours,
		b->ours, a->result, b->result, a->client, b->client, a->n_seen, b->n_seen);
	for (uint32_t i = 0; i < a->n_seen && i < b->n_seen; i++)
		if (a->seen[i] != b->seen[i]) {
			fprintf(stderr, "  first difference at %u: %02x %02x\n", i, a->seen[i],
				b->seen[i]);
			break;
		}
}

#define GCM256 "TLS_AES_256_GCM_SHA384"
#define GCM128 "TLS_AES_128_GCM_SHA256"
#define CHACHA "TLS_CHACHA20_POLY1305_SHA256"

static const struct variant variants[] = {
	{"as it is", C_EC, EC},
	{"again", C_EC, EC},
	{"256", C_EC, EC, .suites = GCM256},
	{"chacha", C_EC, EC, .suites = CHACHA},
	{"chacha first", C_EC, EC, .suites = CHACHA ":" GCM128},
	{"chacha second", C_EC, EC, .suites = GCM256 ":" CHACHA},
	{"256 first", C_EC, EC, .suites = GCM256 ":" GCM128},
	{"suites of both versions", C_EC, EC, .max = TLS1_3_VERSION},
	{"TLS 1.2", C_EC, EC, .max = TLS1_2_VERSION, .openssl = true},
	{"P-256", C_EC, EC, .groups = "P-256"},
	{"P-256 and 384", C_EC, EC, .groups = "P-256", .suites = GCM256},
	{"P-256 first", C_EC, EC, .groups = "P-256:X25519"},
	{"X25519", C_EC, EC, .groups = "X25519"},
	{"a retry", C_EC, EC, .groups = "P-384:X25519", .openssl = true},
	{"no group", C_EC, EC, .groups = "P-384", .openssl = true},
	{"a scheme", C_EC, EC, .schemes = "ECDSA+SHA256"},
	{"many schemes", C_EC, EC, .schemes = "RSA-PSS+SHA256:ECDSA+SHA384:ECDSA+SHA256"},
	{"no scheme", C_EC, EC, .schemes = "RSA-PSS+SHA256", .openssl = true},
	{"a client of RSA", C_EC, BY_RSA},
	{"a client of P-384", C_EC, P384},
	{"a client of P-521", C_EC, P521},
	{"a client of Ed25519", C_EC, ED25519},
	{"a client with a chain", C_EC, CHAIN},
	{"a client with a chain again", C_EC, CHAIN},
	{"no client", C_EC, NOBODY},
	{"a stranger", C_EC, STRANGER},
	{"expired", C_EC, EXPIRED},
	{"no client need be", C_OPTIONAL, NOBODY},
	{"but may", C_OPTIONAL, EC},
	{"a stranger may not", C_OPTIONAL, STRANGER},
	{"no request", C_PLAIN, NOBODY},
	{"no request, 384", C_PLAIN, EC, .suites = GCM256},
	{"RSA", C_RSA, EC},
	{"RSA, no scheme", C_RSA, EC, .schemes = "RSA-PSS+SHA384:ECDSA+SHA256", .openssl = true},
	{"server of P-384", C_P384, EC},
	{"server of P-384, other hash", C_P384, EC, .suites = GCM256},
	{"both, ECDSA", C_BOTH, EC},
	{"both, RSA", C_BOTH, EC, .schemes = "RSA-PSS+SHA256:RSA+SHA256"},
	{"both, RSA first", C_BOTH, EC, .schemes = "RSA-PSS+SHA256:ECDSA+SHA256"},
	{"a name", C_NAMED, EC, .sni = "gate.example"},
	{"another name", C_NAMED, EC, .sni = "alpha.example"},
	{"another name in capitals", C_NAMED, EC, .sni = "ALPHA.Example"},
	{"unknown name", C_NAMED, EC, .sni = "nobody.example"},
	{"no protocol", C_ALPN, EC},
	{"a protocol", C_ALPN, EC, .alpn = "\010http/1.1"},
	{"protocols", C_ALPN, EC, .alpn = "\002h2\004acme\010http/1.1", .sni = "gate.example"},
	{"no protocol of ours", C_ALPN, EC, .alpn = "\002h2", .openssl = true},
	{"protocols for nobody", C_EC, EC, .alpn = "\002h2"},
	{"an SVID", C_SPIFFE, EC},
	{"an SVID again", C_SPIFFE, EC},
	{"kept as PEM", C_PEM, EC},
	{"kept as PEM, with a chain", C_PEM, CHAIN},
	{"without a session", C_EC, EC, .off = SSL_OP_ENABLE_MIDDLEBOX_COMPAT},
	{"single bytes", C_EC, EC, .chunk = 1},
	{"single bytes out", C_EC, EC, .room = 1},
	{"little by little", C_RSA, CHAIN, .chunk = 100, .room = 100},
	{"single bytes, refused", C_EC, STRANGER, .chunk = 1},
	{"short records", C_EC, EC, .fragment = 1, .openssl = true},
	{"a status", C_EC, EC, .status = true},
	{"later authentication", C_EC, EC, .pha = true},
	{"no tickets", C_EC, EC, .on = SSL_OP_NO_TICKET},
	{"a ticket", C_TICKETS, EC},
	{"a ticket all the same", C_TICKETS, EC, .on = SSL_OP_NO_TICKET},
	{"a ticket for RSA", C_TICKETS, BY_RSA, .suites = GCM256},
};

static void same_for_clients(void)
{
	static struct sight a, b;

	load();
	for (size_t i = 0; i < TG_ARRAY_LEN(variants); i++) {
		meet(&variants[i], false, NULL, &a);
		meet(&variants[i], true, NULL, &b);
		compare(&variants[i], &a, &b);
		meet(&variants[i], false, NULL, &a); /* a client that is known now */
		compare(&variants[i], &a, &b);
	}
}

/* --- tickets ------------------------------------------------------------------------------------
 */

/* first: whose ticket it is; then: who comes with it. */
static const struct {
	struct variant first, then;
	bool full; /* it is of no use */
} tickets[] = {
	{{"a ticket", C_TICKETS, EC}, {"a ticket", C_TICKETS, EC}},
	{{"384", C_TICKETS, EC, .suites = GCM256}, {"384", C_TICKETS, EC, .suites = GCM256}},
	{{"chacha", C_TICKETS, EC, .suites = CHACHA}, {"chacha", C_TICKETS, EC, .suites = CHACHA}},
	{{"one hash", C_TICKETS, EC, .suites = GCM128},
		{"one hash", C_TICKETS, EC, .suites = CHACHA ":" GCM128}},
	{{"P-256", C_TICKETS, EC}, {"P-256", C_TICKETS, EC, .groups = "P-256"}},
	{{"of RSA", C_TICKETS, BY_RSA}, {"of RSA", C_TICKETS, BY_RSA}},
	{{"names", C_TICKETS, EC, .sni = "gate.example"},
		{"names", C_TICKETS, EC, .sni = "other.example"}},
	{{"name", C_TICKETS, EC, .sni = "gate.example"}, {"name", C_TICKETS, EC}},
	{{"protocol", C_T_ALPN, EC, .alpn = "\010http/1.1"},
		{"protocol", C_T_ALPN, EC, .alpn = "\004acme"}},
	{{"SVID", C_T_SPIFFE, EC}, {"SVID", C_T_SPIFFE, EC}},
	{{"PEM", C_T_PEM, EC}, {"PEM", C_T_PEM, EC}},
	{{"nobody", C_T_PLAIN, NOBODY}, {"nobody", C_T_PLAIN, NOBODY}},
	{{"pieces", C_TICKETS, EC, .chunk = 1, .room = 1},
		{"pieces", C_TICKETS, EC, .chunk = 1, .room = 1}},
	{{"a retry", C_TICKETS, EC},
		{"a retry", C_TICKETS, EC, .groups = "P-384:X25519", .openssl = true}},
	{{"other policy", C_TICKETS, EC}, {"other policy", C_T_SPIFFE, EC, .openssl = true}, true},
	{{"none wanted", C_TICKETS, EC}, {"none wanted", C_EC, EC, .openssl = true}, true},
	{{"other hash", C_TICKETS, EC, .suites = GCM256},
		{"other hash", C_TICKETS, EC, .suites = GCM128 ":" GCM256, .openssl = true}, true},
};

/* A session, from which OpenSSL takes what it has used. */
static SSL_SESSION *session_of(const struct variant *v, bool openssl, struct sight *s)
{
	SSL_SESSION *got;

	meet(v, openssl, NULL, s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(newest);
	got = newest;
	newest = NULL;
	return got;
}

static void same_tickets(void)
{
	static struct sight a, b, first[2];

	load();
	for (size_t i = 0; i < TG_ARRAY_LEN(tickets); i++)
		for (int by = 0; by < 2; by++) {
			SSL_SESSION *s = session_of(&tickets[i].first, by, &first[by]);
			SSL_SESSION *again = SSL_SESSION_dup(s);

			meet(&tickets[i].then, false, s, &a);
			meet(&tickets[i].then, true, again, &b);
			compare(&tickets[i].then, &a, &b);
			CU_ASSERT_EQUAL(strncmp(a.result, "13 1", 4) == 0, !tickets[i].full);
			if (by)
				compare(&tickets[i].first, &first[0], &first[1]);
			SSL_SESSION_free(s);
			SSL_SESSION_free(again);
		}
	SSL_SESSION_free(newest);
	newest = NULL;
}

static void tickets_in_lab(void)
{
	lab_open(&lab);
	same_tickets();
	lab_close(&lab);
}

static void clients_in_lab(void)
{
	lab_open(&lab);
	same_for_clients();
	lab_close(&lab);
}

TG_TEST_MAIN("tls_twins", {"clients", clients_in_lab}, {"tickets", tickets_in_lab})
