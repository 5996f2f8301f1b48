/* Tickets and sessions: what is resumed, by which worker, and what is not resumed any more; 0-RTT.
 */
#include <stdlib.h>

#include "../tgtest.h"
#include "lab.h"

#define DAY 86400

static struct lab lab;
static struct pki_cert ca, other_ca, server, client;
static const char *ca_file, *both_file;
static struct tg_tls_pair server_pair[1], client_pair[1];

static void write_ca(const struct pki_cert *a, const struct pki_cert *b)
{
	ca_file = pki_write_certs("ca.crt", (const struct pki_cert *[]){a, b}, b ? 2 : 1);
}

static void make_pki(void)
{
	static bool made;

	if (!made) {
		made = true;
		ca = pki_issue(
			&(struct pki_spec){.cn = "Root", .ca = true, .from = -DAY, .to = 20 * DAY},
			NULL);
		other_ca = pki_issue(&(struct pki_spec){.cn = "Other", .ca = true}, NULL);
		server = pki_issue(
			&(struct pki_spec){.cn = "server",
				.san = "DNS:shop.mesh.example,URI:spiffe://mesh.example/shop",
				.from = -DAY,
				.to = 10 * DAY},
			&ca);
		client = pki_issue(&(struct pki_spec){.cn = "client",
					   .san = "URI:spiffe://mesh.example/web",
					   .from = -DAY,
					   .to = 3 * DAY},
			&ca);
	}
	write_ca(&ca, NULL);
	both_file = pki_write_certs("both.crt", (const struct pki_cert *[]){&ca, &other_ca}, 2);
	server_pair[0].certificate =
		pki_write_certs("server.crt", (const struct pki_cert *[]){&server}, 1);
	server_pair[0].private_key = pki_write_key("server.key", &server, NULL);
	client_pair[0].certificate =
		pki_write_certs("client.crt", (const struct pki_cert *[]){&client}, 1);
	client_pair[0].private_key = pki_write_key("client.key", &client, NULL);
}

static struct tg_tls_conf server_conf(void)
{
	return (struct tg_tls_conf){.server = true,
		.n_pairs = 1,
		.pairs = server_pair,
		.ca = ca_file,
		.require_client_certificate = true,
		.session_tickets = true,
		.min_version = 12};
}

static struct tg_tls_conf client_conf(void)
{
	return (struct tg_tls_conf){.n_pairs = 1,
		.pairs = client_pair,
		.ca = ca_file,
		.sni = "shop.mesh.example",
		.session_tickets = true,
		.min_version = 12};
}

static void load(const struct tg_tls_conf *a, const struct tg_tls_conf *b)
{
	const struct tg_tls_conf *confs[2] = {a, b};
	int r = lab_load(&lab, confs, b ? 2 : 1);

	if (r)
		fprintf(stderr, "%s", lab.complaints);
	CU_ASSERT_EQUAL_FATAL(r, 0);
}

static void refresh(void)
{
	CU_ASSERT_EQUAL(tg_tls_store_refresh(lab.store, lab.now, NULL, NULL), 1);
	lab_adopt(&lab);
}

/* --- servers
 * -------------------------------------------------------------------------------------- */

static SSL_SESSION *newest; /* of OpenSSL's client */

static int on_session(SSL *ssl, SSL_SESSION *s)
{
	SSL_SESSION_free(newest);
	newest = s;
	return 1;
}

static void forget_session(void)
{
	SSL_SESSION_free(newest);
	newest = NULL;
}

static SSL_CTX *client_ctx(int version)
{
	SSL_CTX *c = lab_peer(false, &client, NULL, &ca);

	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c, on_session);
	if (version)
		SSL_CTX_set_max_proto_version(c, version);
	return c;
}

/* OpenSSL's client, with its newest session, against the engine's server. */
enum met { REFUSED, FULL, RESUMED };
static enum met meet(uint32_t worker, int version, struct tg_hs_result *out)
{
	struct lab_end *us = lab_engine(&lab, worker, 0, NULL);
	struct lab_end *peer = lab_openssl(client_ctx(version), false);
	struct tg_hs_result r;
	enum met met = REFUSED;
	uint8_t b[16];

	if (newest)
		SSL_set_session(peer->ssl, newest);
	if (lab_run(us, peer)) {
		lab_take(us, &r);
		lab_deliver(us, peer->ssl);
		CU_ASSERT_EQUAL(r.resumed, SSL_session_reused(peer->ssl));
		met = r.resumed ? RESUMED : FULL;
		CU_ASSERT_EQUAL(SSL_read(peer->ssl, b, sizeof(b)), -1); /* takes tickets */
		if (out)
			*out = r;
		else
			lab_drop(&lab, worker, &r);
	}
	lab_end(us);
	lab_end(peer);
	return met;
}

static void by_any_worker(void)
{
	struct tg_tls_conf conf = server_conf();
	struct tg_hs_result first, again;

	load(&conf, NULL);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		forget_session();
		CU_ASSERT_EQUAL(meet(0, version, &first), FULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(newest);
		CU_ASSERT_EQUAL(meet(1, version, &again), RESUMED);
		CU_ASSERT(tg_view_eq(first.peer->hash, again.peer->hash));
		CU_ASSERT(tg_view_eq(first.peer->uri, again.peer->uri));
		CU_ASSERT_EQUAL(first.peer_expires, tg_cert_not_after(client.x));
		CU_ASSERT_EQUAL(again.peer_expires, first.peer_expires);
		CU_ASSERT_PTR_NOT_NULL(again.own);
		CU_ASSERT_EQUAL(again.tx.seq, 1); /* one more ticket; in TLS 1.2 Finished */
		lab_drop(&lab, 0, &first);
		lab_drop(&lab, 1, &again);
		/* And from ticket to ticket. */
		for (int i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(meet(i & 1, version, NULL), RESUMED);
	}
	forget_session();
}

static void keys_rotate(void)
{
	struct tg_tls_conf conf = server_conf();
	SSL_SESSION *old;

	load(&conf, NULL);
	CU_ASSERT_EQUAL(meet(0, 0, NULL), FULL);
	old = newest;
	SSL_SESSION_up_ref(old);
	CU_ASSERT_FALSE(tg_tls_store_tick(lab.store, lab.now + TG_TICKET_ROTATE - 1));
	for (int i = 1; i <= TG_TICKET_KEYS; i++) {
		CU_ASSERT(tg_tls_store_tick(lab.store, lab.now + i * TG_TICKET_ROTATE));
		CU_ASSERT_FALSE(tg_tls_store_tick(lab.store, lab.now + i * TG_TICKET_ROTATE));
		lab_adopt(&lab);
		on_session(NULL, SSL_SESSION_dup(old)); /* OpenSSL spoils what it has used */
		CU_ASSERT_EQUAL(meet(0, 0, NULL), i < TG_TICKET_KEYS ? RESUMED : FULL);
	}
	SSL_SESSION_free(old);
	forget_session();
}

/* A file of one key; n: bytes of it. */
static const char *ticket_file(const char *name, char fill, int n)
{
	char text[TG_TICKET_FILE + 2];

	memset(text, fill, sizeof(text));
	text[n] = 0;
	return pki_write_text(name, text);
}

/* Keys in files, of which the first is the newest. */
static struct tg_tls_conf with_files(void)
{
	static const char *files[2];
	struct tg_tls_conf conf = server_conf();

	files[0] = ticket_file("0.key", 'a', TG_TICKET_FILE);
	files[1] = ticket_file("1.key", 'b', TG_TICKET_FILE);
	conf.n_ticket_keys = 2;
	conf.ticket_keys = files;
	return conf;
}

static void by_another_process(void)
{
	struct tg_tls_conf conf = with_files();
	struct tg_tls_pair moved = {.certificate = pki_write_certs(
					    "moved.crt", (const struct pki_cert *[]){&server}, 1),
		.private_key = pki_write_key("moved.key", &server, NULL)};

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		load(&conf, NULL);
		CU_ASSERT_EQUAL(meet(0, version, NULL), FULL);
		/* The same after a start anew, from other files, with other certificates beside. */
		lab_close(&lab);
		lab_open(&lab);
		conf.pairs = &moved;
		conf.ca = both_file;
		load(&conf, NULL);
		CU_ASSERT_EQUAL(meet(1, version, NULL), RESUMED);
		/* Not by one with keys of its own, */
		conf.n_ticket_keys = 0;
		load(&conf, NULL);
		CU_ASSERT_EQUAL(meet(1, version, NULL), FULL);
		/* and its tickets are not good here. */
		conf = with_files();
		load(&conf, NULL);
		CU_ASSERT_EQUAL(meet(0, version, NULL), FULL);
		forget_session();
	}
}

static void files_rotate(void)
{
	struct tg_tls_conf conf = with_files();
	SSL_SESSION *old;

	load(&conf, NULL);
	CU_ASSERT_EQUAL(meet(0, 0, NULL), FULL);
	old = newest;
	SSL_SESSION_up_ref(old);
	for (int i = 0; i < 2; i++) { /* the key becomes the second, then it is gone */
		ticket_file("1.key", i ? 'c' : 'a', TG_TICKET_FILE);
		ticket_file("0.key", i ? 'd' : 'c', TG_TICKET_FILE);
		refresh();
		on_session(NULL, SSL_SESSION_dup(old));
		CU_ASSERT_EQUAL(meet(0, 0, NULL), i ? FULL : RESUMED);
		CU_ASSERT_EQUAL(meet(0, 0, NULL), RESUMED); /* with the newest */
	}
	/* Time alone makes no new key. */
	CU_ASSERT(tg_tls_store_tick(lab.store, lab.now + TG_TICKET_ROTATE));
	lab_adopt(&lab);
	CU_ASSERT_EQUAL(meet(0, 0, NULL), RESUMED);
	SSL_SESSION_free(old);
	forget_session();
}

static void expect_fault(const struct tg_tls_conf *conf, const char *text)
{
	CU_ASSERT_EQUAL(lab_load(&lab, &conf, 1), TG_EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(lab.complaints, text));
}

static void files_that_are_wrong(void)
{
	struct tg_tls_conf conf = with_files();

	load(&conf, NULL);
	CU_ASSERT_EQUAL(meet(0, 0, NULL), FULL);
	for (int n = TG_TICKET_FILE - 1; n <= TG_TICKET_FILE + 1; n += 2) {
		ticket_file("1.key", 'x', n);
		expect_fault(&conf, n < TG_TICKET_FILE ? "1.key: has 79 bytes, and a key"
						       : "1.key: has 81 bytes, and a key");
		CU_ASSERT_EQUAL(tg_tls_store_refresh(lab.store, lab.now, NULL, NULL), TG_EINVAL);
		CU_ASSERT_EQUAL(meet(0, 0, NULL), RESUMED); /* the old ones stay */
	}
	ticket_file("1.key", 'a', TG_TICKET_FILE); /* twice the same: as if once */
	load(&conf, NULL);
	CU_ASSERT_EQUAL(meet(0, 0, NULL), RESUMED);
	pki_write_text("1.key", "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
				"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
	expect_fault(&conf, "1.key: another key has the same name");
	conf.ticket_keys[1] = pki_path("none.key");
	expect_fault(&conf, "none.key: cannot be opened");
	forget_session();
}

static void withdrawn(void)
{
	struct tg_tls_conf conf = server_conf();

	load(&conf, NULL);
	CU_ASSERT_EQUAL(meet(0, 0, NULL), FULL);
	write_ca(&ca, &other_ca); /* another CA beside it changes nothing */
	refresh();
	CU_ASSERT_EQUAL(meet(0, 0, NULL), RESUMED);
	write_ca(&other_ca, NULL);
	refresh();
	CU_ASSERT_EQUAL(meet(0, 0, NULL), REFUSED);
	write_ca(&ca, NULL);
	refresh();
	CU_ASSERT_EQUAL(meet(0, 0, NULL), RESUMED);
	forget_session();
}

static void expired(void)
{
	struct tg_tls_conf conf = server_conf();

	load(&conf, NULL);
	CU_ASSERT_EQUAL(meet(0, 0, NULL), FULL);
	lab.now += DAY - 1;
	CU_ASSERT_EQUAL(meet(0, 0, NULL), RESUMED);
	/* A day after the full handshake the client proves again that it has its key. */
	lab.now += 1;
	CU_ASSERT_EQUAL(meet(0, 0, NULL), FULL);
	CU_ASSERT_EQUAL(meet(0, 0, NULL), RESUMED);
	lab.now += 2 * DAY; /* the certificate has expired */
	CU_ASSERT_EQUAL(meet(0, 0, NULL), REFUSED);
	forget_session();
}

static void other_policy(void)
{
	struct tg_tls_conf conf = server_conf();

	conf.require_client_certificate = false;
	load(&conf, NULL);
	CU_ASSERT_EQUAL(meet(0, 0, NULL), FULL);
	conf.require_client_certificate = true;
	load(&conf, NULL);
	CU_ASSERT_EQUAL(meet(0, 0, NULL), FULL);
	conf.session_tickets = false;
	load(&conf, NULL);
	forget_session();
	CU_ASSERT_EQUAL(meet(0, 0, NULL), FULL);
	CU_ASSERT_PTR_NULL(newest);
}

static void svids(void)
{
	static struct tg_tls_bundle bundle[1];
	struct tg_tls_conf conf = server_conf();
	struct tg_hs_result r;

	conf.spiffe = true;
	conf.ca = NULL;
	conf.n_bundles = 1;
	conf.bundles = bundle;
	bundle[0] = (struct tg_tls_bundle){"mesh.example", ca_file};
	load(&conf, NULL);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(meet(0, 0, &r), i ? RESUMED : FULL);
		CU_ASSERT(tg_view_eq(r.peer->spiffe_id, TG_VIEW("spiffe://mesh.example/web")));
		lab_drop(&lab, 0, &r);
	}
	/* The trust domain's own bundle is withdrawn. */
	write_ca(&other_ca, NULL);
	refresh();
	CU_ASSERT_EQUAL(meet(0, 0, NULL), REFUSED);
	forget_session();
}

/* --- clients
 * -------------------------------------------------------------------------------------- */

static const struct tg_sockaddr origin = {.ip.b = {[15] = 1}, .port = 443};

/* Opens the server's tickets with the client's keys, as conn.c does, and hands them in. */
static void take_tickets(struct tg_hs_result *r, uint8_t *p, uint32_t n)
{
	static struct tg_post_gather gather;
	struct tg_aead_key key = {0};
	struct tg_post post;
	struct tg_post_out out;
	struct tg_rec rx;
	uint32_t tickets = 0;

	tg_post_init(&post, false, false);
	rx = r->rx;
	CU_ASSERT_FATAL(tg_rec_wake(&rx, &key));
	while (n) {
		int32_t len = tg_rec_frame(&rx, p);
		struct tg_span s = {p, n};
		struct tg_view content;
		uint8_t type;

		CU_ASSERT_FATAL(len > 0 && (uint32_t)len <= n);
		s.n = (uint32_t)len;
		content = tg_view_of(p + TG_REC_HEADER, (size_t)tg_rec_open(&rx, &s, 1, &type));
		CU_ASSERT_EQUAL_FATAL(type, TG_REC_HANDSHAKE);
		while (tg_post_take(&post, type, &content, &gather, &out) == TG_POST_TICKET) {
			tickets++;
			if (r->resume && !tg_hs_ticket(r->resume, &out.ticket, lab.now))
				r->resume = NULL;
		}
		p += len;
		n -= (uint32_t)len;
	}
	CU_ASSERT(tickets > 0);
	tg_rec_rest(&rx);
	tg_rec_wipe(&rx);
}

/* The engine as client (worker 0, conf 1) and as server (worker 1, conf 0). */
static enum met meet_own(const struct tg_sockaddr *to, struct tg_hs_result *out)
{
	struct lab_end *cl = lab_engine(&lab, 0, 1, to), *sv = lab_engine(&lab, 1, 0, NULL);
	struct tg_hs_result rc, rs;
	enum met met = REFUSED;

	if (lab_run(cl, sv)) {
		lab_take(cl, &rc);
		lab_take(sv, &rs);
		CU_ASSERT_EQUAL(rc.resumed, rs.resumed);
		CU_ASSERT_EQUAL(memcmp(rc.tx.traffic_key, rs.rx.traffic_key, TG_AEAD_KEY_MAX), 0);
		CU_ASSERT_EQUAL(memcmp(rc.rx.traffic_key, rs.tx.traffic_key, TG_AEAD_KEY_MAX), 0);
		met = rc.resumed ? RESUMED : FULL;
		if (rc.version == 13 && sv->n_out)
			take_tickets(&rc, sv->out, sv->n_out);
		lab_drop(&lab, 1, &rs);
		if (out)
			*out = rc;
		else
			lab_drop(&lab, 0, &rc);
	}
	lab_end(cl);
	lab_end(sv);
	return met;
}

static void own_client(void)
{
	struct tg_tls_conf s = server_conf(), c = client_conf();
	struct tg_sockaddr elsewhere = origin;
	struct tg_hs_result first, again;

	load(&s, &c);
	CU_ASSERT_EQUAL(meet_own(&origin, &first), FULL);
	CU_ASSERT_PTR_NULL(first.resume); /* the first ticket is enough */
	CU_ASSERT_EQUAL(meet_own(&origin, &again), RESUMED);
	CU_ASSERT_PTR_EQUAL(first.peer, again.peer);
	CU_ASSERT_PTR_EQUAL(first.own, again.own);
	CU_ASSERT_EQUAL(first.peer_expires, again.peer_expires);
	lab_drop(&lab, 0, &first);
	lab_drop(&lab, 0, &again);
	/* Another origin, or the same one on another port, has its own. */
	elsewhere.port = 8443;
	CU_ASSERT_EQUAL(meet_own(&elsewhere, NULL), FULL);
	elsewhere = origin;
	elsewhere.ip.b[0] = 9;
	CU_ASSERT_EQUAL(meet_own(&elsewhere, NULL), FULL);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(meet_own(&origin, NULL), RESUMED);
}

static void own_client_trust(void)
{
	struct tg_tls_conf s = server_conf(), c = client_conf();

	load(&s, &c);
	CU_ASSERT_EQUAL(meet_own(&origin, NULL), FULL);
	/* Any change of what we trust or are means a full handshake. */
	c.ca = both_file;
	load(&s, &c);
	CU_ASSERT_EQUAL(meet_own(&origin, NULL), FULL);
	CU_ASSERT_EQUAL(meet_own(&origin, NULL), RESUMED);
	/* Not after the origin's certificate has expired, or a day. */
	lab.now += DAY;
	CU_ASSERT_EQUAL(meet_own(&origin, NULL), FULL);
	c.session_tickets = false;
	load(&s, &c);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(meet_own(&origin, NULL), FULL);
}

static void own_client_tls12(void)
{
	struct tg_tls_conf s = server_conf(), c = client_conf();
	SSL_CTX *ctx;

	load(&s, &c);
	for (int i = 0; i < 4; i++) {
		struct lab_end *us = lab_engine(&lab, 0, 1, &origin), *peer;
		struct tg_hs_result r;
		static SSL_CTX *kept; /* its ticket keys must live on */

		ctx = kept ? kept : lab_peer(true, &server, NULL, NULL);
		kept = ctx;
		SSL_CTX_up_ref(ctx);
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
		peer = lab_openssl(ctx, true);
		CU_ASSERT_FATAL(lab_run(us, peer));
		lab_take(us, &r);
		CU_ASSERT_EQUAL(r.resumed, i > 0);
		CU_ASSERT_PTR_NOT_NULL(r.peer);
		lab_drop(&lab, 0, &r);
		lab_end(us);
		lab_end(peer);
		if (i == 3)
			SSL_CTX_free(kept);
	}
}

/* Connections that keep OpenSSL's object for a ticket are few; the others do without. */
static void few_resumes(void)
{
	struct tg_tls_conf s = server_conf(), c = client_conf();
	struct tg_hs_result r[5];

	s.session_tickets = false; /* no ticket ever comes */
	load(&s, &c);
	for (int i = 0; i < 5; i++) {
		struct tg_sockaddr to = origin;

		to.port = (uint16_t)(1000 + i);
		CU_ASSERT_EQUAL(meet_own(&to, &r[i]), FULL);
		CU_ASSERT_EQUAL(r[i].resume != NULL, i < 4);
	}
	for (int i = 0; i < 5; i++)
		lab_drop(&lab, 0, &r[i]);
}

/* Tickets with anything in them, and one as long as any. */
static void odd_tickets(void)
{
	static uint8_t bytes[65535];
	struct tg_tls_conf s = server_conf(), c = client_conf();
	struct tg_hs_result r;
	struct tg_ticket t = {.lifetime = 60, .ticket = {bytes, 0}, .nonce = {bytes, 0}};

	s.session_tickets = false;
	load(&s, &c);
	CU_ASSERT_EQUAL(meet_own(&origin, &r), FULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.resume);
	for (uint32_t n = 0; n <= 65535; n = n * 2 + 1) {
		t.ticket.n = n;
		t.nonce.n = n < 255 ? n : 255;
		if (!r.resume)
			break;
		if (!tg_hs_ticket(r.resume, &t, lab.now))
			r.resume = NULL;
	}
	/* An origin that does not know the ticket makes a full handshake. */
	lab_drop(&lab, 0, &r);
	CU_ASSERT_EQUAL(meet_own(&origin, NULL), FULL);
	CU_ASSERT_EQUAL(meet_own(&origin, NULL), FULL);
}

/* Whether a ticket of ours for a client with this certificate is opened; what is known of the peer
 * then. */
static bool open_ticket(struct tg_view cert, struct tg_peer *peer)
{
	struct lab_end *us = lab_engine(&lab, 0, 0, NULL);
	struct tg_hs *h = us->hs;
	const struct tg_tls_lib *lib = h->f.ctx->worker[0].lib;
	static const uint8_t iv[16], message[] = "a ClientHello up to its binders";
	static uint8_t ids[TG_TICKET13_MAX + 6], binders[33] = {32};
	struct tg_hello hello = {.unbound = sizeof(message)};
	uint8_t says[TG_TICKET_SAYS];
	struct tg_session13 t = {.suite = TG_SUITE_AES_128_GCM_SHA256,
		.psk = {1},
		.time = lab.now,
		.timeout = 60,
		.cert = cert,
		.context = {h->f.ctx->policy, TG_DIGEST},
		.says = {says, sizeof(says)}};
	struct tg_sched s;
	uint32_t n;
	bool ok;

	h->f.peer = (struct tg_peer){.known = true, .expires = lab.now + 60};
	memcpy(h->f.peer.anchor, h->f.ctx->trust[0].digest[0], TG_DIGEST);
	tg_ticket_write_says(&h->f, says);
	memset(&h->f.peer, 0, sizeof(h->f.peer));
	n = tg_session13_seal(&t, tg_ticket_keys_of(h->f.set, h->f.ctx), iv, h->f.w->serve->cipher,
		lib->aes256_cbc, ids + 2);
	CU_ASSERT_FATAL(n > 0);
	tg_store_be16(ids, (uint16_t)n);
	tg_sched_begin(&s, t.suite, tg_view_of(t.psk, 32));
	tg_sched_add(&s, tg_view_of(message, sizeof(message)));
	tg_sched_binder(&s, binders + 1);
	hello.identities = tg_view_of(ids, n + 6);
	hello.binders = tg_view_of(binders, sizeof(binders));
	ok = tg_resume_open(h, &hello, tg_view_of(message, sizeof(message)), t.suite);
	*peer = h->f.peer;
	lab_end(us);
	return ok;
}

/* What cannot be read leaves no trace: OpenSSL goes on with this handshake. */
static void unreadable_client(void)
{
	static const struct tg_peer nothing;
	struct tg_tls_conf s = server_conf();
	uint8_t *der = NULL, digest[TG_DIGEST];
	int n = i2d_X509(client.x, &der);
	struct tg_peer peer;

	load(&s, NULL);
	CU_ASSERT_TRUE_FATAL(n > 0 && tg_cert_digest(client.x, EVP_sha256(), digest));
	CU_ASSERT_FALSE(open_ticket(TG_VIEW("no certificate"), &peer));
	CU_ASSERT_EQUAL(memcmp(&peer, &nothing, sizeof(peer)), 0);
	CU_ASSERT_TRUE(open_ticket(tg_view_of(der, (size_t)n), &peer));
	CU_ASSERT(peer.known && memcmp(peer.leaf, digest, TG_DIGEST) == 0);
	OPENSSL_free(der);
}

/* --- 0-RTT
 * ---------------------------------------------------------------------------------------- */

/* Early data is refused, and the handshake goes on: with a ticket of ours whose session pretends
 * that early data were welcome, and with one that we cannot open. */
static void early_data(void)
{
	struct tg_tls_conf conf = server_conf();

	load(&conf, NULL);
	for (int ours = 0; ours < 2; ours++) {
		struct lab_end *us, *peer;
		struct tg_hs_result r;
		SSL_SESSION *s;
		size_t n;

		CU_ASSERT_EQUAL(meet(0, TLS1_3_VERSION, NULL), FULL);
		s = newest;
		newest = NULL;
		SSL_SESSION_set_max_early_data(s, 16384);
		if (!ours)
			for (int i = 0; i < TG_TICKET_KEYS; i++)
				tg_tls_store_tick(lab.store, lab.now + (i + 1) * TG_TICKET_ROTATE);
		lab_adopt(&lab);
		us = lab_engine(&lab, 0, 0, NULL);
		peer = lab_openssl(client_ctx(TLS1_3_VERSION), false);
		CU_ASSERT_EQUAL(SSL_set_session(peer->ssl, s), 1);
		for (int i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(
				SSL_write_early_data(peer->ssl, "GET / HTTP/1.1\r\n\r\n", 18, &n),
				1);
		CU_ASSERT_FATAL(lab_run(us, peer));
		CU_ASSERT_EQUAL(SSL_get_early_data_status(peer->ssl), SSL_EARLY_DATA_REJECTED);
		lab_take(us, &r);
		lab_deliver(us, peer->ssl);
		CU_ASSERT_EQUAL(r.resumed, ours);
		CU_ASSERT_EQUAL(r.rx.seq, 0);
		lab_talk(&r, peer->ssl);
		lab_drop(&lab, 0, &r);
		SSL_SESSION_free(s);
		lab_end(us);
		lab_end(peer);
		forget_session();
	}
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
LAB_TEST(by_any_worker)
LAB_TEST(keys_rotate)
LAB_TEST(by_another_process)
LAB_TEST(files_rotate)
LAB_TEST(files_that_are_wrong)
LAB_TEST(withdrawn)
LAB_TEST(expired)
LAB_TEST(other_policy)
LAB_TEST(svids)
LAB_TEST(own_client)
LAB_TEST(own_client_trust)
LAB_TEST(own_client_tls12)
LAB_TEST(few_resumes)
LAB_TEST(odd_tickets)
LAB_TEST(unreadable_client)
LAB_TEST(early_data)

TG_TEST_MAIN("tls_resumption", {"by any worker", by_any_worker_in_lab},
	{"keys rotate", keys_rotate_in_lab},
	{"keys in files: another process", by_another_process_in_lab},
	{"keys in files: rotation", files_rotate_in_lab},
	{"keys in files: faults", files_that_are_wrong_in_lab}, {"CA withdrawn", withdrawn_in_lab},
	{"certificate expired", expired_in_lab}, {"other policy", other_policy_in_lab},
	{"SVIDs", svids_in_lab}, {"as client", own_client_in_lab},
	{"as client: change of trust", own_client_trust_in_lab},
	{"as client: TLS 1.2", own_client_tls12_in_lab},
	{"few wait for tickets", few_resumes_in_lab}, {"odd tickets", odd_tickets_in_lab},
	{"a client that cannot be read", unreadable_client_in_lab}, {"0-RTT", early_data_in_lab})
