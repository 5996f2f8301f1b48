#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>
#include <openssl/err.h>

#include "lab.h"

void lab_open(struct lab *l)
{
	struct tg_errbuf e;

	memset(l, 0, sizeof(*l));
	l->now = time(NULL);
	assert(tg_aead_init("auto"));
	l->store = tg_tls_store_create(2, &e);
	assert(l->store);
	for (uint32_t i = 0; i < 2; i++) {
		l->w[i] = tg_hs_worker_create(&(struct tg_hs_worker_conf){.worker = i,
						      .max_handshakes = LAB_HANDSHAKES,
						      .max_conns = 64,
						      .sessions = 64,
						      .max_resumes = 4},
			&e);
		assert(l->w[i]);
	}
}

void lab_close(struct lab *l)
{
	for (uint32_t i = 0; i < 2; i++)
		tg_hs_worker_destroy(l->w[i]);
	tg_tls_store_destroy(l->store);
}

static void note(void *arg, const char *text)
{
	struct lab *l = arg;
	size_t n = strlen(l->complaints);

	snprintf(l->complaints + n, sizeof(l->complaints) - n, "%s\n", text);
}

void lab_adopt(struct lab *l)
{
	for (uint32_t i = 0; i < 2; i++)
		tg_hs_worker_adopt(l->w[i], tg_tls_store_current(l->store));
}

int lab_load(struct lab *l, const struct tg_tls_conf *const *confs, uint32_t n)
{
	int r;

	l->complaints[0] = 0;
	r = tg_tls_store_load(l->store, confs, n, l->now, note, l);
	if (r == 0)
		lab_adopt(l);
	return r;
}

/* --- ends ---------------------------------------------------------------------------------------
 */

static uint32_t feed_engine(struct lab_end *e, const uint8_t *p, uint32_t n)
{
	uint32_t room = (uint32_t)sizeof(e->out) - e->n_out;
	struct tg_view in = {p, e->chunk && n > e->chunk ? e->chunk : n};
	struct tg_hs_io io = {.in = &in,
		.n_in = 1,
		.out = {e->out + e->n_out, e->room && room > e->room ? e->room : room}};
	enum tg_hs_state st = tg_hs_step(e->hs, &io);

	e->steps++;
	e->n_out += io.made;
	e->done = st == TG_HS_DONE;
	e->failed = st == TG_HS_FAILED;
	return io.used;
}

static uint32_t feed_ssl(struct lab_end *e, const uint8_t *p, uint32_t n)
{
	BIO *in = SSL_get_rbio(e->ssl), *out = SSL_get_wbio(e->ssl);
	int r;

	if (n)
		BIO_write(in, p, (int)n);
	ERR_clear_error();
	r = SSL_do_handshake(e->ssl);
	e->done = r == 1;
	e->failed = r != 1 && SSL_get_error(e->ssl, r) == SSL_ERROR_SSL;
	r = BIO_read(out, e->out + e->n_out, (int)(sizeof(e->out) - e->n_out));
	if (r > 0)
		e->n_out += (uint32_t)r;
	return n;
}

uint32_t lab_feed(struct lab_end *e, const uint8_t *p, uint32_t n)
{
	return e->hs ? feed_engine(e, p, n) : feed_ssl(e, p, n);
}

static bool move(struct lab_end *from, struct lab_end *to)
{
	uint32_t before = to->n_out, n;
	bool was = to->done || to->failed;

	if (was)
		return false;
	n = lab_feed(to, from->out, from->n_out);
	memmove(from->out, from->out + n, from->n_out - n);
	from->n_out -= n;
	return n || to->n_out != before || to->done || to->failed;
}

bool lab_run(struct lab_end *a, struct lab_end *b)
{
	bool more = true;

	for (uint32_t i = 0; more && i < 100000; i++) {
		more = move(b, a);
		more |= move(a, b);
	}
	return a->done && b->done;
}

/* --- OpenSSL's peers ----------------------------------------------------------------------------
 */

struct lab_end *lab_openssl(SSL_CTX *ctx, bool server)
{
	struct lab_end *e = calloc(1, sizeof(*e));
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	e->ssl = SSL_new(ctx);
	assert(e->ssl && in && out);
	SSL_CTX_free(ctx);
	BIO_set_mem_eof_return(in, -1);
	BIO_set_mem_eof_return(out, -1);
	SSL_set_bio(e->ssl, in, out);
	if (server)
		SSL_set_accept_state(e->ssl);
	else
		SSL_set_connect_state(e->ssl);
	return e;
}

struct lab_end *lab_engine(
	struct lab *l, uint32_t worker, uint32_t conf_id, const struct tg_sockaddr *origin)
{
	struct lab_end *e = calloc(1, sizeof(*e));
	enum tg_why why;

	e->hs = tg_hs_begin(l->w[worker], conf_id, origin, l->now, &why);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e->hs);
	return e;
}

void lab_end(struct lab_end *e)
{
	if (e->hs)
		tg_hs_abandon(e->hs);
	if (e->ssl)
		SSL_set_shutdown(e->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(e->ssl);
	free(e);
}

void lab_take(struct lab_end *e, struct tg_hs_result *r)
{
	CU_ASSERT_EQUAL_FATAL(tg_hs_take(e->hs, r), 0);
	e->hs = NULL;
}

void lab_drop(struct lab *l, uint32_t worker, struct tg_hs_result *r)
{
	tg_hs_identity_drop(l->w[worker], r->peer);
	tg_hs_identity_drop(l->w[worker], r->own);
	tg_hs_name_drop(l->w[worker], r->sni);
	tg_hs_name_drop(l->w[worker], r->alpn);
	tg_hs_resume_drop(r->resume);
}

void lab_deliver(struct lab_end *from, SSL *ssl)
{
	if (from->n_out)
		BIO_write(SSL_get_rbio(ssl), from->out, (int)from->n_out);
	from->n_out = 0;
}

static void open_one(struct tg_rec *rx, uint8_t *p, uint32_t n, const char *text)
{
	struct tg_span s = {p, n};
	uint8_t type;
	int32_t len = tg_rec_open(rx, &s, 1, &type);

	CU_ASSERT_EQUAL(len, (int32_t)strlen(text));
	CU_ASSERT_EQUAL(type, TG_REC_DATA);
	CU_ASSERT(len > 0 && memcmp(p + rx->front, text, (size_t)len) == 0);
}

void lab_talk(const struct tg_hs_result *r, SSL *ssl)
{
	struct tg_aead_key keys[2] = {0};
	struct tg_rec rx = r->rx, tx = r->tx;
	uint8_t rec[512], plain[64];
	struct tg_view msg = TG_VIEW("from the engine");
	struct tg_span out = {rec, msg.n + tg_rec_overhead(&tx)};
	int n;

	CU_ASSERT_FATAL(tg_rec_wake(&rx, &keys[0]) && tg_rec_wake(&tx, &keys[1]));
	for (int i = 0; i < 3; i++) {
		tg_rec_seal(&tx, TG_REC_DATA, &msg, 1, msg.n, &out, 1);
		BIO_write(SSL_get_rbio(ssl), rec, (int)out.n);
		n = SSL_read(ssl, plain, sizeof(plain)); /* tickets come first */
		CU_ASSERT(n == (int)msg.n && memcmp(plain, msg.p, msg.n) == 0);
		CU_ASSERT_EQUAL(SSL_write(ssl, "from OpenSSL", 12), 12);
		n = BIO_read(SSL_get_wbio(ssl), rec, sizeof(rec));
		CU_ASSERT_FATAL(n > 0);
		open_one(&rx, rec, (uint32_t)n, "from OpenSSL");
	}
	tg_rec_rest(&rx);
	tg_rec_rest(&tx);
	tg_rec_wipe(&rx);
	tg_rec_wipe(&tx);
}

SSL_CTX *lab_peer(bool server, const struct pki_cert *own, const struct pki_cert *chain,
	const struct pki_cert *ca)
{
	SSL_CTX *c = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	assert(c);
	SSL_CTX_set_security_level(c, 1);
	if (own) {
		assert(SSL_CTX_use_certificate(c, own->x) == 1);
		assert(SSL_CTX_use_PrivateKey(c, own->key) == 1);
	}
	if (chain)
		assert(SSL_CTX_add1_chain_cert(c, chain->x) == 1);
	if (ca) {
		assert(X509_STORE_add_cert(SSL_CTX_get_cert_store(c), ca->x) == 1);
		SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	return c;
}
