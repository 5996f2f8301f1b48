#include <stdlib.h>

#include <openssl/err.h>

#include "../tgtest.h"
#include "served.h"

static void on_server(struct tg_conn *c, uint32_t ev)
{
	struct served_link *l = c->owner;

	l->events |= ev;
}

static void on_raw(struct tg_conn *c, uint32_t ev)
{
	struct served_link *l = c->owner;

	l->raw_events |= ev;
}

static const struct tg_conn_user server_user = {on_server}, raw_user = {on_raw};

/* --- the worker ---------------------------------------------------------------------------------
 */

static void load(struct served *s)
{
	static struct tg_tls_pair pair[1];
	struct tg_tls_conf conf = {.server = true,
		.n_pairs = 1,
		.pairs = pair,
		.session_tickets = true,
		.min_version = 12};
	const struct tg_tls_conf *list[1] = {&conf};

	s->ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
	s->cert = pki_issue(&(struct pki_spec){.cn = "s", .san = "DNS:s.example"}, &s->ca);
	s->client = pki_issue(&(struct pki_spec){.cn = "c", .san = "DNS:c.example"}, &s->ca);
	pair[0] = (struct tg_tls_pair){
		pki_write_certs("s.crt", (const struct pki_cert *[]){&s->cert}, 1),
		pki_write_key("s.key", &s->cert, NULL)};
	conf.ca = pki_write_certs("ca.crt", (const struct pki_cert *[]){&s->ca}, 1);
	CU_ASSERT_EQUAL_FATAL(lab_load(&s->lab, list, 1), 0);
}

void served_open(struct served *s)
{
	struct tg_errbuf e;
	struct tg_tls_worker_conf conf = {.max_conns = 16,
		.max_handshakes = 16,
		.max_active = SERVED_ACTIVE,
		.wheel = &s->wheel,
		.ready = &s->ready};

	memset(s, 0, sizeof(*s));
	lab_open(&s->lab);
	load(s);
	tg_wheel_init(&s->wheel, TG_SEC);
	tg_ready_init(&s->ready);
	s->stats = calloc(1, sizeof(*s->stats));
	CU_ASSERT_FATAL(s->stats != NULL);
	conf.stats = s->stats;
	conf.realtime_offset = (uint64_t)s->lab.now * TG_SEC;
	s->tls = tg_tls_create(&conf, &e);
	CU_ASSERT_FATAL(s->tls != NULL);
	tg_tls_adopt(s->tls, tg_tls_store_current(s->lab.store));
}

void served_close(struct served *s)
{
	while (tg_ready_drain(&s->ready, 0, tg_memconn_reap, NULL))
		;
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
	CU_ASSERT_EQUAL(s->tls->conns.in_use, 0);
	CU_ASSERT_EQUAL(s->tls->hs.in_use, 0);
	CU_ASSERT_EQUAL(s->tls->acts.in_use, 0);
	tg_tls_destroy(s->tls);
	free(s->stats);
	pki_free(&s->ca);
	pki_free(&s->cert);
	pki_free(&s->client);
	lab_close(&s->lab);
}

/* --- a connection -------------------------------------------------------------------------------
 */

struct served_link *served_client(struct served *s, int version, const char *suite)
{
	const struct tg_sockaddr a = {.port = 1}, b = {.port = 2};
	struct tg_memconn_pair p = tg_memconn_open(&s->ready, SERVED_QUEUE, &a, &b);
	struct served_link *l = calloc(1, sizeof(*l));
	SSL_CTX *c = lab_peer(false, &s->client, NULL, &s->ca);

	CU_ASSERT_FATAL(l && SSL_CTX_set_min_proto_version(c, version) &&
			SSL_CTX_set_max_proto_version(c, version) &&
			(!suite || SSL_CTX_set_cipher_list(c, suite)));
	SSL_CTX_set_mode(c, SSL_MODE_AUTO_RETRY);
	l->s = s;
	l->ssl = SSL_new(c);
	SSL_CTX_free(c);
	SSL_set_connect_state(l->ssl);
	SSL_set_bio(l->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(l->ssl), -1);
	BIO_set_mem_eof_return(SSL_get_wbio(l->ssl), -1);
	l->raw = p.a;
	l->raw->user = &raw_user;
	l->raw->owner = l;
	l->server = tg_tls_accept(s->tls, 0, p.b, 0, &server_user, l);
	CU_ASSERT_FATAL(l->server != NULL);
	return l;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* What OpenSSL has for the other end, as far as there is room. */
static uint32_t move_up(struct served_link *l)
{
	uint8_t b[4096];
	uint32_t n = l->raw ? least(sizeof(b), tg_conn_space(l->raw)) : 0;
	struct tg_view v = {b, 0};
	int got;

	if (l->chunk)
		n = least(n, l->chunk);
	got = n ? BIO_read(SSL_get_wbio(l->ssl), b, (int)n) : 0;
	if (got <= 0)
		return 0;
	v.n = (uint32_t)got;
	CU_ASSERT_EQUAL(tg_conn_write(l->raw, &v, 1), v.n);
	return v.n;
}

static uint32_t move_down(struct served_link *l)
{
	struct tg_view v;

	if (!l->raw || l->deaf || !tg_conn_peek(l->raw, &v, 1))
		return 0;
	if (l->chunk)
		v.n = least(v.n, l->chunk);
	BIO_write(SSL_get_rbio(l->ssl), v.p, (int)v.n);
	tg_conn_consume(l->raw, v.n);
	return v.n;
}

void served_run(struct served_link *l)
{
	uint32_t moved;

	do {
		if (!SSL_is_init_finished(l->ssl))
			SSL_do_handshake(l->ssl);
		ERR_clear_error();
		moved = move_up(l);
		moved += tg_tls_turn(l->s->tls);
		moved += tg_ready_drain(&l->s->ready, 0, tg_memconn_reap, NULL);
		moved += move_down(l);
	} while (moved);
}

void served_shake(struct served_link *l)
{
	served_run(l);
	CU_ASSERT_FATAL(SSL_is_init_finished(l->ssl));
	CU_ASSERT_FATAL((l->events & (TG_EV_OPEN | TG_EV_FAILED)) == TG_EV_OPEN);
	l->events = 0;
}

void served_end(struct served_link *l)
{
	CU_ASSERT_FALSE(l->differs);
	if (l->server)
		tg_conn_detach(l->server);
	served_run(l);
	if (l->raw)
		tg_conn_detach(l->raw);
	l->raw = NULL;
	served_run(l);
	SSL_set_shutdown(l->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(l->ssl);
	free(l);
}

/* --- data ---------------------------------------------------------------------------------------
 */

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 7 + (at >> 8) + (at >> 16) * 3);
}

static void make(uint8_t *p, uint32_t n, uint64_t at)
{
	for (uint32_t i = 0; i < n; i++)
		p[i] = pattern(at + i);
}

static void compare(struct served_link *l, const uint8_t *p, uint32_t n, uint64_t at)
{
	for (uint32_t i = 0; i < n; i++)
		l->differs |= p[i] != pattern(at + i);
}

void served_client_writes(struct served_link *l, uint32_t n)
{
	uint8_t b[TG_REC_CONTENT_MAX];

	while (n) {
		uint32_t part = least(n, sizeof(b));

		make(b, part, l->sent);
		CU_ASSERT_EQUAL(SSL_write(l->ssl, b, (int)part), (int)part);
		l->sent += part;
		n -= part;
	}
}

uint32_t served_client_reads(struct served_link *l)
{
	uint8_t b[TG_REC_CONTENT_MAX];
	uint32_t all = 0;
	int n;

	ERR_clear_error();
	while ((n = SSL_read(l->ssl, b, sizeof(b))) > 0) {
		compare(l, b, (uint32_t)n, l->seen);
		l->seen += (uint32_t)n;
		all += (uint32_t)n;
	}
	return all;
}

uint32_t served_writes(struct served_link *l, uint32_t n)
{
	static uint8_t b[100000];
	struct tg_view v[3];
	uint32_t done;

	n = least(n, sizeof(b));
	make(b, n, l->down);
	v[0] = (struct tg_view){b, n / 3};
	v[1] = (struct tg_view){b + n / 3, 0};
	v[2] = (struct tg_view){b + n / 3, n - n / 3};
	done = tg_conn_write(l->server, v, 3);
	l->down += done;
	return done;
}

uint32_t served_reads(struct served_link *l, uint32_t n)
{
	struct tg_view v[5];
	uint32_t cnt = tg_conn_peek(l->server, v, 5), all = 0;

	for (uint32_t i = 0; i < cnt && all < n; i++) {
		uint32_t part = least(v[i].n, n - all);

		compare(l, v[i].p, part, l->up + all);
		all += part;
	}
	tg_conn_consume(l->server, all);
	l->up += all;
	return all;
}

/* --- records of our own making ------------------------------------------------------------------
 */

void served_keys(struct served_link *l, struct served_keys *k)
{
	uint8_t master[48], cr[32], sr[32];
	enum tg_suite suite = (enum tg_suite)tls_of(l->server)->rx.suite;
	struct tg_keys12 keys;

	memset(k, 0, sizeof(*k));
	SSL_SESSION_get_master_key(SSL_get_session(l->ssl), master, sizeof(master));
	SSL_get_client_random(l->ssl, cr, sizeof(cr));
	SSL_get_server_random(l->ssl, sr, sizeof(sr));
	tg_keys12(suite, master, cr, sr, &keys);
	tg_rec_init12(&k->to, suite, keys.key[0], keys.iv[0], 99, 1);
	tg_rec_init12(&k->from, suite, keys.key[1], keys.iv[1], 0, 1);
	CU_ASSERT_FATAL(tg_rec_wake(&k->to, &k->key[0]) && tg_rec_wake(&k->from, &k->key[1]));
}

void served_keys_end(struct served_keys *k)
{
	tg_rec_rest(&k->to);
	tg_rec_rest(&k->from);
	tg_aead_get(TG_AEAD_AES_128_GCM)->discard(&k->key[0]);
	tg_aead_get(TG_AEAD_AES_128_GCM)->discard(&k->key[1]);
}

void served_send(struct served_link *l, const void *p, uint32_t n)
{
	BIO_write(SSL_get_wbio(l->ssl), p, (int)n);
}

void served_seal(
	struct served_link *l, struct served_keys *k, uint8_t type, const void *p, uint32_t n)
{
	static uint8_t rec[20000];
	struct tg_span out = {rec, n + tg_rec_overhead(&k->to)};

	tg_rec_seal(&k->to, type, &(struct tg_view){p, n}, 1, n, &out, 1);
	served_send(l, rec, out.n);
}

int32_t served_next(struct served_link *l, struct served_keys *k, uint8_t *type, uint8_t *content)
{
	static uint8_t rec[TG_REC_HEADER + TG_REC_BODY_MAX];
	BIO *in = SSL_get_rbio(l->ssl);
	int32_t n;

	if (BIO_read(in, rec, TG_REC_HEADER) != TG_REC_HEADER)
		return -1;
	n = tg_rec_frame(&k->from, rec);
	CU_ASSERT_FATAL(n > TG_REC_HEADER);
	CU_ASSERT_EQUAL_FATAL(
		BIO_read(in, rec + TG_REC_HEADER, n - TG_REC_HEADER), n - TG_REC_HEADER);
	n = tg_rec_open(&k->from, &(struct tg_span){rec, (uint32_t)n}, 1, type);
	CU_ASSERT_FATAL(n >= 0);
	memcpy(content, rec + k->from.front, (uint32_t)n);
	return n;
}
