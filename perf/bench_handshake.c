/* TLS 1.3 handshakes a second on one core: Tidegate's engine, only its own steps timed, against the
 *bound of OpenSSL's raw primitives (X25519 key and secret, a signature, one or two verifications)
 *on the same core.
 *
 *	build/perf/bench_handshake [SECONDS PER LINE]
 *
 * X25519, ECDSA P-256, one CA above the leaf, TLS_AES_128_GCM_SHA256. "new clients": 3000
 *certificates in turn, more than the engine remembers, so that each one's chain is verified; "known
 *clients": one certificate, whose chain was verified before and whose proof of possession is
 *verified each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../tests/unit/tls/lab.h"

#define CLIENTS 3000

static struct lab lab;
static double limit = 1;
static const char *only; /* part of the names of the lines to run; NULL: all */
static struct pki_cert ca, server, client[CLIENTS];
static struct tg_tls_pair pair[2];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- the bound
 * ------------------------------------------------------------------------------------ */

static double exchange(EVP_PKEY *peer)
{
	EVP_PKEY_CTX *gen = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
	double start = now();
	uint32_t n = 0;

	EVP_PKEY_keygen_init(gen);
	for (; now() - start < limit; n++) {
		EVP_PKEY *key = NULL;
		EVP_PKEY_CTX *d;
		uint8_t secret[32];
		size_t len = sizeof(secret);

		EVP_PKEY_generate(gen, &key);
		d = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
		EVP_PKEY_derive_init(d);
		EVP_PKEY_derive_set_peer(d, peer);
		EVP_PKEY_derive(d, secret, &len);
		EVP_PKEY_CTX_free(d);
		EVP_PKEY_free(key);
	}
	EVP_PKEY_CTX_free(gen);
	return (now() - start) / n;
}

static double sign(EVP_PKEY *key, uint8_t *sig, size_t *n_sig)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	uint8_t digest[32] = {1};
	double start = now();
	uint32_t n = 0;

	EVP_PKEY_sign_init(c);
	for (; now() - start < limit; n++) {
		*n_sig = 80;
		EVP_PKEY_sign(c, sig, n_sig, digest, sizeof(digest));
	}
	EVP_PKEY_CTX_free(c);
	return (now() - start) / n;
}

static double verify(EVP_PKEY *key, const uint8_t *sig, size_t n_sig)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	uint8_t digest[32] = {1};
	double start = now();
	uint32_t n = 0;

	EVP_PKEY_verify_init(c);
	for (; now() - start < limit; n++)
		if (EVP_PKEY_verify(c, sig, n_sig, digest, sizeof(digest)) != 1)
			exit(1);
	EVP_PKEY_CTX_free(c);
	return (now() - start) / n;
}

/* --- the engine
 * ----------------------------------------------------------------------------------- */

struct run {
	bool mutual, serve, tickets,
		resume; /* serve: the engine's server, else its client, is timed */
	uint32_t clients;
	uint32_t n, resumed;
	double spent;
};

static SSL_SESSION *newest;

static int on_session(SSL *ssl, SSL_SESSION *s)
{
	SSL_SESSION_free(newest);
	newest = s;
	return 1;
}

static void feed(struct lab_end *from, struct lab_end *to, struct run *r)
{
	double start = now();
	uint32_t n = lab_feed(to, from->out, from->n_out);

	if (to->hs && r)
		r->spent += now() - start;
	memmove(from->out, from->out + n, from->n_out - n);
	from->n_out -= n;
}

static uint32_t conf_of(const struct run *r)
{
	if (!r->serve)
		return 2;
	return !r->mutual ? 1 : r->tickets ? 0 : 3;
}

static void once(struct run *r, SSL_CTX *ctx, struct lab_end *us, struct lab_end *peer)
{
	static const struct tg_sockaddr origin = {.port = 443};
	struct pki_cert *c = &client[r->n % r->clients];
	struct tg_hs_result res;
	enum tg_why why;
	double start = now();
	uint8_t b[16];

	us->hs = tg_hs_begin(lab.w[0], conf_of(r), r->serve ? NULL : &origin, lab.now, &why);
	r->spent += now() - start;
	peer->ssl = SSL_new(ctx);
	us->n_out = peer->n_out = 0;
	us->done = peer->done = us->failed = false;
	SSL_set0_rbio(peer->ssl, BIO_new(BIO_s_mem()));
	SSL_set0_wbio(peer->ssl, BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(peer->ssl), -1);
	BIO_set_mem_eof_return(SSL_get_wbio(peer->ssl), -1);
	if (r->serve) {
		SSL_set_connect_state(peer->ssl);
		SSL_use_certificate(peer->ssl, c->x);
		SSL_use_PrivateKey(peer->ssl, c->key);
		if (r->resume && newest)
			SSL_set_session(peer->ssl, newest);
	} else {
		SSL_set_accept_state(peer->ssl);
	}
	for (int i = 0; i < 40 && !(us->done && peer->done); i++) {
		if (!us->done && (us->n_out == 0 || i == 0))
			feed(peer, us, r);
		if (!peer->done)
			feed(us, peer, NULL);
	}
	if (!us->done)
		exit(1);
	start = now();
	if (tg_hs_take(us->hs, &res))
		exit(1);
	r->spent += now() - start;
	r->resumed += res.resumed;
	if (r->resume) {
		BIO_write(SSL_get_rbio(peer->ssl), us->out, (int)us->n_out);
		SSL_read(peer->ssl, b, sizeof(b));
	}
	lab_drop(&lab, 0, &res);
	SSL_set_shutdown(peer->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(peer->ssl);
	r->n++;
}

static double measure(const char *what, struct run r, double bound)
{
	struct lab_end *us, *peer;
	SSL_CTX *ctx;

	if (only && !strstr(what, only))
		return 0;
	us = calloc(1, sizeof(*us));
	peer = calloc(1, sizeof(*peer));
	ctx = r.serve ? lab_peer(false, &client[0], NULL, NULL)
		      : lab_peer(true, &server, NULL, r.mutual ? &ca : NULL);

	SSL_CTX_set1_groups_list(ctx, "X25519");
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	if (r.serve)
		SSL_CTX_sess_set_new_cb(ctx, on_session);
	once(&r, ctx, us, peer);
	r.spent = 0;
	r.n = r.resumed = 0;
	while (r.spent < limit)
		once(&r, ctx, us, peer);
	if (r.resume && r.resumed != r.n)
		exit(1);
	printf("%-44s %8.0f/s  %6.1f us", what, r.n / r.spent, r.spent / r.n * 1e6);
	if (bound > 0)
		printf("   bound %8.0f/s  %6.1f us   ratio %.2f", 1 / bound, bound * 1e6,
			bound / (r.spent / r.n));
	printf("\n");
	SSL_SESSION_free(newest);
	newest = NULL;
	SSL_CTX_free(ctx);
	free(us);
	free(peer);
	return r.spent / r.n;
}

static void make_pki(void)
{
	ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
	server = pki_issue(&(struct pki_spec){.cn = "server",
				   .san = "URI:spiffe://mesh.example/shop,DNS:a.shop.example"},
		&ca);
	for (int i = 0; i < CLIENTS; i++) {
		char san[64];

		snprintf(san, sizeof(san), "URI:spiffe://mesh.example/web/%d", i);
		client[i] = pki_issue(&(struct pki_spec){.san = san}, &ca);
	}
	pair[0].certificate = pki_write_certs("s.crt", (const struct pki_cert *[]){&server}, 1);
	pair[0].private_key = pki_write_key("s.key", &server, NULL);
	pair[1].certificate = pki_write_certs("c.crt", (const struct pki_cert *[]){&client[0]}, 1);
	pair[1].private_key = pki_write_key("c.key", &client[0], NULL);
}

static void load(void)
{
	const char *ca_file = pki_write_certs("ca.crt", (const struct pki_cert *[]){&ca}, 1);
	struct tg_tls_conf mutual = {.server = true,
		.n_pairs = 1,
		.pairs = &pair[0],
		.ca = ca_file,
		.spiffe = true,
		.require_client_certificate = true,
		.session_tickets = true,
		.min_version = 13};
	struct tg_tls_conf no_tickets = mutual;
	struct tg_tls_conf plain = {
		.server = true, .n_pairs = 1, .pairs = &pair[0], .min_version = 13};
	struct tg_tls_conf to = {.n_pairs = 1,
		.pairs = &pair[1],
		.ca = ca_file,
		.spiffe = true,
		.sni = "a.shop.example",
		.min_version = 13};

	no_tickets.session_tickets = false;
	if (lab_load(&lab, (const struct tg_tls_conf *[]){&mutual, &plain, &to, &no_tickets}, 4)) {
		fprintf(stderr, "%s", lab.complaints);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	double x, s, v;
	uint8_t sig[80];
	size_t n_sig;
	EVP_PKEY *peer = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");

	if (argc > 1)
		limit = atof(argv[1]);
	if (argc > 2)
		only = argv[2];
	make_pki();
	lab_open(&lab);
	load();
	x = exchange(peer);
	s = sign(server.key, sig, &n_sig);
	v = verify(server.key, sig, n_sig);
	printf("X25519 key and secret %.1f us, ECDSA P-256 sign %.1f us, verify %.1f us\n", x * 1e6,
		s * 1e6, v * 1e6);
	measure("server, mTLS, new clients",
		(struct run){.mutual = true, .serve = true, .clients = CLIENTS}, x + s + 2 * v);
	measure("server, mTLS, known client",
		(struct run){.mutual = true, .serve = true, .clients = 1}, x + s + 2 * v);
	measure("server, mTLS, known client, a ticket",
		(struct run){.mutual = true, .serve = true, .tickets = true, .clients = 1},
		x + s + 2 * v);
	measure("server, no client certificate", (struct run){.serve = true, .clients = 1}, x + s);
	measure("server, mTLS, resumed, a ticket",
		(struct run){.mutual = true,
			.serve = true,
			.tickets = true,
			.resume = true,
			.clients = 1},
		x);
	measure("client, mTLS, known server", (struct run){.mutual = true, .clients = 1},
		x + s + 2 * v);
	EVP_PKEY_free(peer);
	lab_close(&lab);
	return 0;
}
