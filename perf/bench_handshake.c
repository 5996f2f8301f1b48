/* TLS 1.3 handshakes a second on one core: one end is Tidegate's engine, and only its own steps are
 * timed (begin, steps, take), in CPU time; the other end is OpenSSL's, untimed. So each line is one
 * side alone, the server's or the client's.
 *
 *	build/perf/bench_handshake [SECONDS A LINE [PART OF A LINE'S NAME]]
 *
 * The bound is what that side cannot do without, by OpenSSL's raw primitives on the same core,
 * through EVP with algorithms fetched before: an X25519 key and secret, its own signature, the
 * verification of the peer's signature (CertificateVerify) and of the signature on the peer's
 * certificate (one CA above the leaf). All are measured in turn, in short rounds, and medians are
 * printed, since other guests of the machine come and go.
 *
 * Each is measured in two ways. A core that has handshakes to do has them one after the other: ROW
 * of them are under way, and the engine's steps for all come in a row, then the other ends'; the
 * bound is the primitives in a loop. "alone": one handshake at a time, so that before each step the
 * other end has had the caches for itself; its bound is the primitives once after each handshake,
 * which find them in the same state.
 *
 * ECDSA P-256 but where a line says RSA-2048; TLS_AES_128_GCM_SHA256; no tickets but where a line
 * says so. "by OpenSSL": the same servers where they leave it all to OpenSSL's state machine, as
 * they do with ClientHellos that are not plain. "new clients": 3000 certificates in turn, more than
 * the engine remembers, so that each one's chain is verified; "known": one certificate, whose chain
 * was verified before, and whose proof of possession is verified each time: its bound is without
 *the chain's verification.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/rsa.h>

#include "../tests/unit/tls/lab.h"

#define CLIENTS 3000
#define ROUNDS 15
#define ROW LAB_HANDSHAKES

static struct lab lab;
static double limit = 1;
static const char *only; /* part of the names of the lines to run; NULL: all */
static struct pki_cert ca, server, rsa, client[CLIENTS];
static struct tg_tls_pair pair[3];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double median(double *v, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t k = i; k && v[k] < v[k - 1]; k--) {
			double t = v[k];

			v[k] = v[k - 1];
			v[k - 1] = t;
		}
	return v[n / 2];
}

/* --- libcrypto's memory -------------------------------------------------------------------------
 */

static bool counting;
static bool ours; /* while the engine runs, if counting: the other end's is not counted */
static int64_t bytes, peak;

static void *grown(void *p)
{
	if (!ours)
		return p;
	bytes += (int64_t)malloc_usable_size(p);
	if (bytes > peak)
		peak = bytes;
	return p;
}

static void shrinks(void *p)
{
	if (ours)
		bytes -= (int64_t)malloc_usable_size(p);
}

static void *count_malloc(size_t n, const char *file, int line)
{
	return grown(tg_heap_take(n, file, line));
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
	shrinks(p);
	return grown(tg_heap_take_other(p, n, file, line));
}

static void count_free(void *p, const char *file, int line)
{
	shrinks(p);
	tg_heap_give(p, file, line);
}

/* --- the bound ----------------------------------------------------------------------------------
 */

/* How often a side does what. */
struct work {
	uint32_t exchange, sign, rsa_sign, verify;
};

static EVP_PKEY_CTX *generating, *signing, *rsa_signing, *verifying;
static EVP_PKEY *other; /* the peer's share */
static uint8_t sig[80];
static size_t n_sig = sizeof(sig);

static void must(int r)
{
	if (r == 1)
		return;
	fprintf(stderr, "a primitive failed\n");
	exit(1);
}

static EVP_PKEY_CTX *context_of(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *))
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

	must(c && init(c) == 1);
	return c;
}

static void exchange(void)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *d;
	uint8_t secret[32];
	size_t n = sizeof(secret);

	must(EVP_PKEY_generate(generating, &key));
	d = context_of(key, EVP_PKEY_derive_init);
	must(EVP_PKEY_derive_set_peer(d, other));
	must(EVP_PKEY_derive(d, secret, &n));
	EVP_PKEY_CTX_free(d);
	EVP_PKEY_free(key);
}

static const uint8_t digest[32] = {1};

static void sign(void)
{
	n_sig = sizeof(sig);
	must(EVP_PKEY_sign(signing, sig, &n_sig, digest, sizeof(digest)));
}

static void rsa_sign(void)
{
	uint8_t b[256];
	size_t n = sizeof(b);

	must(EVP_PKEY_sign(rsa_signing, b, &n, digest, sizeof(digest)));
}

static void verify(void)
{
	must(EVP_PKEY_verify(verifying, sig, n_sig, digest, sizeof(digest)));
}

/* Seconds of CPU for one. */
static double time_of(void (*f)(void), double for_seconds)
{
	double start = now(), t;
	uint32_t n = 0;

	do {
		f();
		n++;
		t = now() - start;
	} while (t < for_seconds);
	return t / n;
}

static double bound_of(const struct work *w, double each)
{
	double t = w->exchange * time_of(exchange, each);

	if (w->sign)
		t += w->sign * time_of(sign, each);
	if (w->rsa_sign)
		t += w->rsa_sign * time_of(rsa_sign, each);
	if (w->verify)
		t += w->verify * time_of(verify, each);
	return t;
}

/* The same, once, with caches as they are. */
static double bound_once(const struct work *w)
{
	double start = now();

	for (uint32_t i = 0; i < w->exchange; i++)
		exchange();
	for (uint32_t i = 0; i < w->sign; i++)
		sign();
	for (uint32_t i = 0; i < w->rsa_sign; i++)
		rsa_sign();
	for (uint32_t i = 0; i < w->verify; i++)
		verify();
	return now() - start;
}

static void open_primitives(void)
{
	generating = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
	must(EVP_PKEY_keygen_init(generating));
	other = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	signing = context_of(server.key, EVP_PKEY_sign_init);
	verifying = context_of(server.key, EVP_PKEY_verify_init);
	rsa_signing = context_of(rsa.key, EVP_PKEY_sign_init);
	must(EVP_PKEY_CTX_set_rsa_padding(rsa_signing, RSA_PKCS1_PSS_PADDING));
	must(EVP_PKEY_CTX_set_signature_md(rsa_signing, EVP_sha256()));
	sign();
}

static void close_primitives(void)
{
	EVP_PKEY_CTX_free(generating);
	EVP_PKEY_CTX_free(signing);
	EVP_PKEY_CTX_free(verifying);
	EVP_PKEY_CTX_free(rsa_signing);
	EVP_PKEY_free(other);
}

static void print_primitives(void)
{
	double x[ROUNDS], s[ROUNDS], r[ROUNDS], v[ROUNDS];

	for (uint32_t i = 0; i < ROUNDS; i++) {
		x[i] = time_of(exchange, limit / ROUNDS / 4) * 1e6;
		s[i] = time_of(sign, limit / ROUNDS / 4) * 1e6;
		r[i] = time_of(rsa_sign, limit / ROUNDS / 4) * 1e6;
		v[i] = time_of(verify, limit / ROUNDS / 4) * 1e6;
	}
	printf("%s\nX25519 key and secret %.1f us, ECDSA P-256 sign %.1f us, verify %.1f us, "
	       "RSA-2048 sign %.1f us\n",
		OpenSSL_version(OPENSSL_VERSION), median(x, ROUNDS), median(s, ROUNDS),
		median(v, ROUNDS), median(r, ROUNDS));
}

/* --- the engine ---------------------------------------------------------------------------------
 */

enum { MUTUAL_TICKETS, PLAIN, CLIENT, MUTUAL, RSA_MUTUAL }; /* configurations */

struct run {
	uint32_t conf;
	bool serve, resume; /* serve: the engine's server, else its client, is timed */
	bool openssl;       /* its server by OpenSSL's state machine, though it could do without */
	uint32_t clients;
	struct work work;
	uint32_t n, resumed;
	double spent;
	int64_t peak, left; /* most bytes of libcrypto's in one handshake; what the last one left */
};

static SSL_SESSION *newest;

static int on_session(SSL *ssl, SSL_SESSION *s)
{
	SSL_SESSION_free(newest);
	newest = s;
	return 1;
}

static double enter(void)
{
	ours = counting;
	return now();
}

static void leave(struct run *r, double since)
{
	r->spent += now() - since;
	ours = false;
}

/* One handshake under way. */
struct pair {
	struct lab_end us, peer;
	uint32_t used; /* of the peer's bytes, in the last step */
	int64_t before;
};
static struct pair *pairs; /* ROW of them */

static void use(struct lab_end *from, uint32_t n)
{
	memmove(from->out, from->out + n, from->n_out - n);
	from->n_out -= n;
}

/* A step of each engine, one after the other; then of the other ends. False: nobody is left. */
static bool step_all(struct run *r, uint32_t n, bool first)
{
	double start = enter();
	bool left = false;

	for (uint32_t i = 0; i < n; i++) {
		struct pair *p = &pairs[i];

		p->used = p->us.done || (p->us.n_out && !first)
				  ? 0
				  : lab_feed(&p->us, p->peer.out, p->peer.n_out);
	}
	leave(r, start);
	for (uint32_t i = 0; i < n; i++) {
		struct pair *p = &pairs[i];

		use(&p->peer, p->used);
		if (!p->peer.done)
			use(&p->us, lab_feed(&p->peer, p->us.out, p->us.n_out));
		left |= !(p->us.done && p->peer.done);
	}
	return left;
}

static void open_peer(struct run *r, SSL_CTX *ctx, struct lab_end *peer, uint32_t i)
{
	struct pki_cert *c = &client[(r->n + i) % r->clients];

	peer->ssl = SSL_new(ctx);
	SSL_set0_rbio(peer->ssl, BIO_new(BIO_s_mem()));
	SSL_set0_wbio(peer->ssl, BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(peer->ssl), -1);
	BIO_set_mem_eof_return(SSL_get_wbio(peer->ssl), -1);
	if (!r->serve) {
		SSL_set_accept_state(peer->ssl);
		return;
	}
	SSL_set_connect_state(peer->ssl);
	SSL_use_certificate(peer->ssl, c->x);
	SSL_use_PrivateKey(peer->ssl, c->key);
	if (r->resume && newest)
		SSL_set_session(peer->ssl, newest);
}

/* The engines' results are taken, and given back as when the connections end. */
static void take_all(struct run *r, uint32_t n)
{
	static struct tg_hs_result res[ROW];
	double start = enter();

	for (uint32_t i = 0; i < n; i++)
		if (tg_hs_take(pairs[i].us.hs, &res[i]))
			exit(1);
	leave(r, start);
	for (uint32_t i = 0; i < n; i++) {
		r->resumed += res[i].resumed;
		r->left = bytes - pairs[i].before;
		if (peak - pairs[i].before > r->peak)
			r->peak = peak - pairs[i].before;
		ours = counting;
		lab_drop(&lab, 0, &res[i]);
		ours = false;
	}
}

static void close_peer(const struct run *r, struct pair *p)
{
	uint8_t b[16];

	if (r->resume) {
		BIO_write(SSL_get_rbio(p->peer.ssl), p->us.out, (int)p->us.n_out);
		SSL_read(p->peer.ssl, b, sizeof(b));
	}
	SSL_set_shutdown(p->peer.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(p->peer.ssl);
}

/* n handshakes at one time. */
static void once(struct run *r, SSL_CTX *ctx, uint32_t n)
{
	static const struct tg_sockaddr origin = {.port = 443};
	double start;
	enum tg_why why;

	for (uint32_t i = 0; i < n; i++) {
		struct pair *p = &pairs[i];

		p->before = peak = bytes;
		p->us.n_out = p->peer.n_out = 0;
		p->us.done = p->peer.done = p->us.failed = false;
		open_peer(r, ctx, &p->peer, i);
	}
	start = enter();
	for (uint32_t i = 0; i < n; i++)
		pairs[i].us.hs =
			tg_hs_begin(lab.w[0], r->conf, r->serve ? NULL : &origin, lab.now, &why);
	leave(r, start);
	for (int i = 0; i < 40 && step_all(r, n, i == 0); i++)
		;
	for (uint32_t i = 0; i < n; i++)
		if (!pairs[i].us.done)
			exit(1);
	take_all(r, n);
	for (uint32_t i = 0; i < n; i++)
		close_peer(r, &pairs[i]);
	r->n += n;
}

/* Seconds of CPU for one, with n at one time. */
static double engine(struct run *r, SSL_CTX *ctx, uint32_t n, double for_seconds)
{
	uint32_t before = r->n;

	for (r->spent = 0; r->spent < for_seconds;)
		once(r, ctx, n);
	return r->spent / (r->n - before);
}

static SSL_CTX *peers_of(const struct run *r)
{
	SSL_CTX *ctx = r->serve ? lab_peer(false, &client[0], NULL, NULL)
				: lab_peer(true, &server, NULL, &ca);

	SSL_CTX_set1_groups_list(ctx, "X25519");
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	if (r->serve)
		SSL_CTX_sess_set_new_cb(ctx, on_session);
	return ctx;
}

static void measure(const char *what, struct run r)
{
	double took[ROUNDS], bound[ROUNDS], alone[ROUNDS], place[ROUNDS], t, b, a, p;
	SSL_CTX *ctx;

	if (only && !strstr(what, only))
		return;
	lab.w[0]->serve->off = r.openssl;
	ctx = peers_of(&r);
	counting = true;
	for (uint32_t i = 0; i < 4; i++) {
		r.peak = 0; /* the first ones also fill OpenSSL's caches */
		once(&r, ctx, 1);
	}
	counting = false;
	r.resumed = r.n = 0;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t before;

		bound[i] = bound_of(&r.work, limit / ROUNDS / 8);
		took[i] = engine(&r, ctx, ROW, limit / ROUNDS / 3);
		alone[i] = engine(&r, ctx, 1, limit / ROUNDS / 4);
		before = r.n;
		for (place[i] = 0; place[i] < limit / ROUNDS / 4;) {
			once(&r, ctx, 1);
			place[i] += bound_once(&r.work);
		}
		place[i] /= r.n - before;
	}
	if (r.resume && r.resumed != r.n)
		exit(1);
	t = median(took, ROUNDS);
	b = median(bound, ROUNDS);
	a = median(alone, ROUNDS);
	p = median(place, ROUNDS);
	printf("%-40s %6.0f/s %6.1f us   bound %6.1f us %.2f   alone %6.1f us   bound %6.1f us "
	       "%.2f   %4.1f KiB, then %" PRId64 " B\n",
		what, 1 / t, t * 1e6, b * 1e6, b / t, a * 1e6, p * 1e6, p / a,
		(double)r.peak / 1024, r.left);
	SSL_SESSION_free(newest);
	newest = NULL;
	SSL_CTX_free(ctx);
}

static void make_pki(void)
{
	ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
	server = pki_issue(&(struct pki_spec){.cn = "server",
				   .san = "URI:spiffe://mesh.example/shop,DNS:a.shop.example"},
		&ca);
	rsa = pki_issue(&(struct pki_spec){.cn = "server",
				.san = "URI:spiffe://mesh.example/shop,DNS:a.shop.example",
				.key = "RSA"},
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
	pair[2].certificate = pki_write_certs("r.crt", (const struct pki_cert *[]){&rsa}, 1);
	pair[2].private_key = pki_write_key("r.key", &rsa, NULL);
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
	struct tg_tls_conf no_tickets = mutual, by_rsa;
	struct tg_tls_conf plain = {
		.server = true, .n_pairs = 1, .pairs = &pair[0], .min_version = 13};
	struct tg_tls_conf to = {.n_pairs = 1,
		.pairs = &pair[1],
		.ca = ca_file,
		.spiffe = true,
		.sni = "a.shop.example",
		.min_version = 13};

	no_tickets.session_tickets = false;
	by_rsa = no_tickets;
	by_rsa.pairs = &pair[2];
	if (lab_load(&lab,
		    (const struct tg_tls_conf *[]){&mutual, &plain, &to, &no_tickets, &by_rsa},
		    5)) {
		fprintf(stderr, "%s", lab.complaints);
		exit(1);
	}
}

static void measure_all(void)
{
	const struct work full = {.exchange = 1, .sign = 1, .verify = 2},
			  known = {.exchange = 1, .sign = 1, .verify = 1},
			  one_sided = {.exchange = 1, .sign = 1}, resumed = {.exchange = 1},
			  rsa_full = {.exchange = 1, .rsa_sign = 1, .verify = 2};
	const struct {
		const char *name[2];
		struct run run;
	} servers[] = {
		{{"server, mTLS, new clients", "by OpenSSL, mTLS, new clients"},
			{.conf = MUTUAL, .clients = CLIENTS, .work = full}},
		{{"server, mTLS, known client", "by OpenSSL, mTLS, known client"},
			{.conf = MUTUAL, .clients = 1, .work = known}},
		{{"server, mTLS, known client, a ticket",
			 "by OpenSSL, mTLS, known client, a ticket"},
			{.conf = MUTUAL_TICKETS, .clients = 1, .work = known}},
		{{"server of RSA-2048, mTLS, new clients",
			 "by OpenSSL, RSA-2048, mTLS, new clients"},
			{.conf = RSA_MUTUAL, .clients = CLIENTS, .work = rsa_full}},
		{{"server, no client certificate", "by OpenSSL, no client certificate"},
			{.conf = PLAIN, .clients = 1, .work = one_sided}},
		{{"server, mTLS, resumed, a ticket", "by OpenSSL, mTLS, resumed, a ticket"},
			{.conf = MUTUAL_TICKETS, .resume = true, .clients = 1, .work = resumed}},
	};

	for (int openssl = 0; openssl < 2; openssl++)
		for (uint32_t i = 0; i < TG_ARRAY_LEN(servers); i++) {
			struct run r = servers[i].run;

			r.serve = true;
			r.openssl = openssl;
			measure(servers[i].name[openssl], r);
		}
	measure("client, mTLS, known server",
		(struct run){.conf = CLIENT, .clients = 1, .work = known});
}

int main(int argc, char **argv)
{
	if (argc > 1)
		limit = atof(argv[1]);
	if (argc > 2)
		only = argv[2];
	must(CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free));
	pairs = calloc(ROW, sizeof(*pairs));
	if (!pairs)
		return 1;
	make_pki();
	lab_open(&lab);
	load();
	open_primitives();
	print_primitives();
	measure_all();
	close_primitives();
	lab_close(&lab);
	free(pairs);
	return 0;
}
