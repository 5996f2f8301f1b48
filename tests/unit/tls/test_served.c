/* Connections of TLS 1.2 and 1.3 that we serve to OpenSSL's client: data in any cut, backpressure
 * both ways, ends, and what a hostile client may do. */
#include <stdlib.h>

#include <tidegate/rng.h>

#include "../tgtest.h"
#include "served.h"

static struct served s;

static const char *const suites12[] = {"ECDHE-ECDSA-AES128-GCM-SHA256",
	"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"};

static struct served_link *shaken(int version)
{
	struct served_link *l = served_client(&s, version, NULL);

	served_shake(l);
	return l;
}

static enum tg_why why_of(struct served_link *l)
{
	struct tg_conn_info info;

	tg_conn_info(l->server, &info);
	return info.why;
}

/* --- data ---------------------------------------------------------------------------------------
 */

static void read_all(struct served_link *l, uint32_t at_once)
{
	do {
		served_run(l);
	} while (served_reads(l, at_once));
	CU_ASSERT_EQUAL(l->up, l->sent);
}

static void write_all(struct served_link *l, uint32_t n, uint32_t at_once)
{
	while (n) {
		uint32_t done = served_writes(l, n < at_once ? n : at_once);

		n -= done;
		served_run(l);
		CU_ASSERT_FATAL(served_client_reads(l) || done);
	}
	served_run(l);
	served_client_reads(l);
	CU_ASSERT_EQUAL(l->seen, l->down);
}

/* However the bytes are cut on their way, from the ClientHello on. */
static void any_cut(void)
{
	static const uint32_t cuts[] = {1, 3, 1000, 0},
			      sizes[] = {1, 2, 100, 5000, 16384, 17, 16383};

	for (uint32_t i = 0; i < 4 * TG_ARRAY_LEN(cuts); i++) {
		const char *suite = i % 4 < 3 ? suites12[i % 4] : NULL;
		struct served_link *l =
			served_client(&s, suite ? TLS1_2_VERSION : TLS1_3_VERSION, suite);
		struct tg_tls_info info;

		l->chunk = cuts[i / 4];
		served_shake(l);
		CU_ASSERT_FATAL(tg_tls_info(l->server, &info));
		CU_ASSERT_STRING_EQUAL(info.version, suite ? "TLSv1.2" : "TLSv1.3");
		CU_ASSERT(tg_view_eq(info.peer->subject, TG_VIEW("CN=c")));
		for (uint32_t k = 0; k < TG_ARRAY_LEN(sizes); k++) {
			served_client_writes(l, sizes[k]);
			read_all(l, k % 2 ? 700 : UINT32_MAX);
			write_all(l, sizes[k], 9000);
		}
		served_end(l);
	}
}

/* Who does not read stops the other, and what lies between is bounded. */
static void reader_waits(int version)
{
	struct served_link *l = shaken(version);
	uint32_t before;

	served_client_writes(l, 1000000);
	served_run(l);
	CU_ASSERT(l->events & TG_EV_READABLE);
	before = (uint32_t)BIO_pending(SSL_get_wbio(l->ssl));
	CU_ASSERT(before >= 1000000 - SERVED_QUEUE);
	CU_ASSERT(tls_of(l->server)->act->plain <= OPEN_MAX + TG_REC_CONTENT_MAX);
	/* Looking does not open the window, reading does. */
	for (int i = 0; i < 3; i++) {
		struct tg_view v[8];

		CU_ASSERT(tg_conn_peek(l->server, v, 8) > 0);
		served_run(l);
	}
	CU_ASSERT_EQUAL((uint32_t)BIO_pending(SSL_get_wbio(l->ssl)), before);
	read_all(l, 12345);
	served_end(l);
}

static void writer_waits(int version)
{
	struct served_link *l = shaken(version);
	uint64_t written = 0;

	l->deaf = true;
	while (served_writes(l, 10000))
		served_run(l);
	CU_ASSERT(l->down > SERVED_QUEUE / 2 && l->down < SERVED_QUEUE);
	/* A close and what else must be said still fit. */
	CU_ASSERT(tg_conn_space(tls_of(l->server)->lower) >= TX_RESERVE);
	while (written < 500000) {
		l->events = 0;
		l->deaf = false;
		served_run(l);
		CU_ASSERT_FATAL(l->events & TG_EV_WRITABLE);
		served_client_reads(l);
		l->deaf = true;
		while (served_writes(l, 10000))
			;
		written = l->down;
	}
	tg_conn_finish(l->server);
	l->deaf = false;
	served_run(l);
	served_client_reads(l);
	CU_ASSERT_EQUAL(l->seen, l->down);
	CU_ASSERT_EQUAL(SSL_get_shutdown(l->ssl), SSL_RECEIVED_SHUTDOWN);
	served_end(l);
}

static void backpressure(void)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		reader_waits(version);
		writer_waits(version);
	}
}

/* More connections than expanded keys: they take turns. */
static void few_keys(void)
{
	struct served_link *l[3 * SERVED_ACTIVE];
	uint32_t moved;

	for (uint32_t i = 0; i < TG_ARRAY_LEN(l); i++)
		l[i] = shaken(i % 3 ? TLS1_2_VERSION : TLS1_3_VERSION);
	for (int round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < TG_ARRAY_LEN(l); i++) {
			served_client_writes(l[i], 100);
			served_run(l[i]);
		}
		CU_ASSERT_EQUAL(s.tls->acts.in_use, SERVED_ACTIVE);
		/* Who waits for keys gets those of one whose content has been read. */
		do {
			moved = 0;
			for (uint32_t i = 0; i < TG_ARRAY_LEN(l); i++) {
				served_run(l[i]);
				moved += served_reads(l[i], 30);
			}
		} while (moved);
		for (uint32_t i = 0; i < TG_ARRAY_LEN(l); i++) {
			CU_ASSERT_EQUAL(l[i]->up, l[i]->sent);
			write_all(l[i], 100, 100);
		}
	}
	for (uint32_t i = 0; i < TG_ARRAY_LEN(l); i++)
		served_end(l[i]);
}

/* A client that has little memory gets records that it can hold. */
static void short_records(void)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct served_link *l = served_client(&s, version, NULL);

		SSL_set_tlsext_max_fragment_length(l->ssl, TLSEXT_max_fragment_length_512);
		served_shake(l);
		write_all(l, 20000, 20000);
		served_client_writes(l, 20000);
		read_all(l, 20000);
		served_end(l);
	}
}

/* Anything, in any order. */
static void random_world(struct tg_rng *r, int version)
{
	static const uint32_t chunks[] = {0, 1, 5, 97, 1448, 5000};
	struct served_link *l = served_client(&s, version, NULL);

	l->chunk = chunks[1 + tg_rng_below(r, 5)];
	served_shake(l);
	for (uint32_t i = 0; i < 60; i++) {
		uint32_t n = tg_rng_below(r, tg_rng_below(r, 2) ? 40000 : 40);

		l->chunk = chunks[tg_rng_below(r, 6)];
		if (l->chunk && l->chunk < 97)
			n %= 500;
		switch (tg_rng_below(r, 5)) {
		case 0:
			if (BIO_pending(SSL_get_wbio(l->ssl)) < 200000)
				served_client_writes(l, n);
			break;
		case 1:
			served_writes(l, n);
			break;
		case 2:
			served_reads(l, n);
			break;
		case 3:
			served_client_reads(l);
			break;
		case 4:
			l->deaf = !l->deaf;
			break;
		}
		if (tg_rng_below(r, 2))
			served_run(l);
	}
	l->chunk = 0;
	l->deaf = false;
	read_all(l, UINT32_MAX);
	served_client_reads(l);
	CU_ASSERT_EQUAL(l->seen, l->down);
	CU_ASSERT_EQUAL(l->events & (TG_EV_EOF | TG_EV_FAILED), 0);
	served_end(l);
}

static void random_worlds(void)
{
	struct tg_rng r;

	tg_rng_seed(&r, 3);
	for (int i = 0; i < 60; i++)
		random_world(&r, i % 3 ? TLS1_2_VERSION : TLS1_3_VERSION);
}

/* --- ends ---------------------------------------------------------------------------------------
 */

static void close_notify(int version)
{
	struct served_link *l = shaken(version);

	SSL_shutdown(l->ssl);
	served_run(l);
	CU_ASSERT_EQUAL(l->events & (TG_EV_EOF | TG_EV_FAILED), TG_EV_EOF);
	write_all(l, 5000, 5000); /* its half stays open */
	tg_conn_finish(l->server);
	CU_ASSERT_EQUAL(tg_conn_space(l->server), 0);
	served_run(l);
	CU_ASSERT_EQUAL(SSL_shutdown(l->ssl), 1);
	served_end(l);
	/* The other way round. */
	l = shaken(version);
	tg_conn_finish(l->server);
	served_run(l);
	served_client_writes(l, 5000);
	read_all(l, 100);
	SSL_shutdown(l->ssl);
	served_run(l);
	CU_ASSERT_EQUAL(l->events & (TG_EV_EOF | TG_EV_FAILED), TG_EV_EOF);
	served_end(l);
}

static void truncation(int version)
{
	struct served_link *l = shaken(version);

	served_client_writes(l, 100);
	served_run(l);
	tg_conn_finish(l->raw);
	served_run(l);
	CU_ASSERT(l->events & TG_EV_FAILED);
	CU_ASSERT_EQUAL(why_of(l), TG_WHY_tls_truncated);
	CU_ASSERT_EQUAL(served_reads(l, 1000), 100); /* what came before is authentic */
	served_end(l);
}

static void aborts(int version)
{
	struct served_link *l = shaken(version);

	served_client_writes(l, 100000);
	served_writes(l, 1000);
	served_run(l);
	tg_conn_abort(l->server, TG_WHY_conn_aborted);
	l->server = NULL;
	served_run(l);
	CU_ASSERT(l->raw_events & TG_EV_FAILED);
	served_end(l);
	l = shaken(version);
	served_writes(l, 1000);
	tg_conn_abort(l->raw, TG_WHY_conn_aborted);
	l->raw = NULL;
	served_run(l);
	CU_ASSERT(l->events & TG_EV_FAILED);
	CU_ASSERT_EQUAL(tg_conn_space(l->server), 0);
	served_end(l);
	/* In the middle of the handshake, at every step of it. */
	for (uint32_t n = 0; n < 40; n++) {
		l = served_client(&s, version, NULL);
		l->chunk = 40;
		for (uint32_t i = 0; i < n; i++) {
			SSL_do_handshake(l->ssl);
			l->deaf = i % 3 == 0;
			served_run(l);
			l->chunk += 40;
		}
		tg_conn_abort(l->server, TG_WHY_conn_aborted);
		l->server = NULL;
		served_end(l);
	}
}

static void ends(void)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		close_notify(version);
		truncation(version);
		aborts(version);
	}
}

static void expiry(void)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct served_link *l = shaken(version);
		int64_t end = tg_cert_not_after(s.client.x) - s.lab.now;

		CU_ASSERT_EQUAL(tg_tls_expires(l->server), (uint64_t)end * TG_SEC);
		served_end(l);
	}
}

/* When a connection has ended, nothing in our memory says how to read it. */
static void secrets_are_wiped(void)
{
	for (uint32_t i = 0; i < TG_ARRAY_LEN(suites12); i++) {
		struct served_link *l = served_client(&s, TLS1_2_VERSION, suites12[i]);
		uint8_t key[2][16];
		const void *at;

		served_shake(l);
		served_client_writes(l, 100);
		read_all(l, 100);
		at = tls_of(l->server);
		memcpy(key[0], tls_of(l->server)->rx.traffic_key, 16);
		memcpy(key[1], tls_of(l->server)->tx.traffic_key, 16);
		CU_ASSERT_PTR_NOT_NULL(memmem(at, sizeof(struct tls_conn), key[0], 16));
		served_end(l);
		for (int k = 0; k < 2; k++) {
			CU_ASSERT_PTR_NULL(memmem(at, sizeof(struct tls_conn), key[k], 16));
			for (uint32_t a = 0; a < s.tls->acts.fresh; a++)
				CU_ASSERT_PTR_NULL(memmem(tg_pool_at(&s.tls->acts, a),
					sizeof(struct tls_act), key[k], 16));
		}
	}
}

/* --- hostile clients of TLS 1.2 -----------------------------------------------------------------
 */

static struct served_link *begin12(struct served_keys *k, uint32_t suite)
{
	struct served_link *l = served_client(&s, TLS1_2_VERSION, suites12[suite]);

	served_shake(l);
	served_keys(l, k);
	return l;
}

/* The connection has failed, and the client was told by this alert, the last thing that came. */
static void refused_with(struct served_link *l, struct served_keys *k, uint8_t alert)
{
	uint8_t type = 0, b[TG_REC_CONTENT_MAX];
	int32_t n, last = -1;

	served_run(l);
	CU_ASSERT_EQUAL(l->events & (TG_EV_EOF | TG_EV_FAILED), TG_EV_FAILED);
	CU_ASSERT_EQUAL(why_of(l), TG_WHY_tls_record);
	tg_conn_detach(l->server);
	l->server = NULL;
	served_run(l);
	while ((n = served_next(l, k, &type, b)) >= 0)
		last = n;
	CU_ASSERT(last == 2 && type == TG_REC_ALERT && b[0] == 2);
	CU_ASSERT_EQUAL(b[1], alert);
	CU_ASSERT(l->raw_events & TG_EV_EOF);
	served_keys_end(k);
	served_end(l);
}

static void flipped_bits(void)
{
	static const uint32_t at[] = {0, 1, 2, 3, 4, 5, 6, 12, 13, 14, 20, 27, 28, 29};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(at) * TG_ARRAY_LEN(suites12); i++) {
		struct served_keys k;
		struct served_link *l = begin12(&k, i % TG_ARRAY_LEN(suites12));
		uint32_t byte = at[i / TG_ARRAY_LEN(suites12)];
		uint8_t rec[64];
		struct tg_span out = {rec, 10 + tg_rec_overhead(&k.to)};
		bool shorter = byte == 4; /* 1 less: what follows is no record */

		tg_rec_seal(&k.to, TG_REC_DATA, &TG_VIEW("0123456789"), 1, 10, &out, 1);
		rec[byte] ^= byte == 3 ? 0x80 : 1;
		if (shorter && !(rec[4] & 1))
			served_send(l, rec, out.n);
		else
			served_send(l, rec, out.n + shorter);
		refused_with(l, &k,
			byte == 1 || byte == 2 ? TG_ALERT_PROTOCOL_VERSION
			: byte == 3            ? TG_ALERT_RECORD_OVERFLOW
					       : TG_ALERT_BAD_RECORD_MAC);
	}
}

static void records_of_all_kinds(void)
{
	static const uint8_t zeros[TG_REC_CONTENT_MAX + 1];
	struct served_keys k;
	struct served_link *l;

	for (uint32_t suite = 0; suite < TG_ARRAY_LEN(suites12); suite++) {
		l = begin12(&k, suite);
		for (int i = 0; i < 32; i++)
			served_seal(l, &k, TG_REC_DATA, "", 0);
		served_seal(l, &k, TG_REC_DATA, "x", 1);
		served_run(l);
		CU_ASSERT(l->events & TG_EV_READABLE);
		for (int i = 0; i < 33; i++)
			served_seal(l, &k, TG_REC_DATA, "", 0);
		refused_with(l, &k, TG_ALERT_UNEXPECTED_MESSAGE);
		l = begin12(&k, suite);
		served_seal(l, &k, TG_REC_DATA, zeros, sizeof(zeros));
		refused_with(l, &k, TG_ALERT_RECORD_OVERFLOW);
		l = begin12(&k, suite);
		served_seal(l, &k, 24, "heartbeat", 9);
		refused_with(l, &k, TG_ALERT_UNEXPECTED_MESSAGE);
		l = begin12(&k, suite);
		served_seal(l, &k, TG_REC_CCS, "\1", 1);
		refused_with(l, &k, TG_ALERT_UNEXPECTED_MESSAGE);
		l = begin12(&k, suite);
		k.to.seq++; /* one is missing */
		served_seal(l, &k, TG_REC_DATA, "x", 1);
		refused_with(l, &k, TG_ALERT_BAD_RECORD_MAC);
		l = begin12(&k, suite);
		served_seal(l, &k, TG_REC_DATA, "x", 1);
		k.to.seq--; /* once more */
		served_seal(l, &k, TG_REC_DATA, "x", 1);
		refused_with(l, &k, TG_ALERT_BAD_RECORD_MAC);
	}
}

/* OpenSSL's client asks for it, takes the warning for the end, and says so. */
static void renegotiation(void)
{
	struct served_link *l = shaken(TLS1_2_VERSION);

	CU_ASSERT_EQUAL(SSL_renegotiate(l->ssl), 1);
	SSL_do_handshake(l->ssl);
	CU_ASSERT(SSL_in_init(l->ssl));
	served_run(l);
	CU_ASSERT_EQUAL(l->events & (TG_EV_EOF | TG_EV_FAILED), TG_EV_FAILED);
	CU_ASSERT_EQUAL(why_of(l), TG_WHY_tls_alert);
	served_end(l);
}

/* Each is refused with a warning, the connection goes on, and nothing grows. */
static void renegotiations(void)
{
	static uint8_t hello[TG_REC_CONTENT_MAX], b[TG_REC_CONTENT_MAX];
	struct served_keys k;
	struct served_link *l = begin12(&k, 0);
	uint8_t type;
	uint32_t warnings = 0;

	/* The longest ClientHello that there is. */
	memcpy(hello, "\1\2\1\104", 4);
	served_seal(l, &k, TG_REC_HANDSHAKE, hello, 4);
	for (uint32_t left = TG_POST_HELLO_LEGAL; left;) {
		uint32_t n = left < sizeof(hello) ? left : (uint32_t)sizeof(hello);

		served_seal(l, &k, TG_REC_HANDSHAKE, hello, n);
		left -= n;
	}
	served_seal(l, &k, TG_REC_DATA, "x", 1);
	served_run(l);
	CU_ASSERT(l->events & TG_EV_READABLE);
	CU_ASSERT_EQUAL(served_next(l, &k, &type, b), 2);
	CU_ASSERT(type == TG_REC_ALERT && b[0] == 1 && b[1] == TG_ALERT_NO_RENEGOTIATION);
	/* Many, to which the client does not listen. */
	l->deaf = true;
	for (uint32_t i = 0; i < TG_POST_KEY_UPDATES_MAX; i++)
		served_seal(l, &k, TG_REC_HANDSHAKE, "\1\0\0\0", 4);
	served_run(l);
	CU_ASSERT_EQUAL(l->events & (TG_EV_EOF | TG_EV_FAILED), 0);
	l->deaf = false;
	served_run(l);
	while (served_next(l, &k, &type, b) == 2)
		warnings += b[0] == 1 && b[1] == TG_ALERT_NO_RENEGOTIATION;
	CU_ASSERT_EQUAL(warnings, TG_POST_KEY_UPDATES_MAX);
	/* So many that they do not fit, with data between. */
	l->deaf = true;
	for (uint32_t i = 0; i < 5000; i++) {
		served_seal(l, &k, TG_REC_DATA, "x", 1);
		served_seal(l, &k, TG_REC_HANDSHAKE, "\1\0\0\0", 4);
		served_run(l);
		tg_conn_consume(l->server, 1);
	}
	CU_ASSERT_EQUAL(tls_of(l->server)->post.due, UINT8_MAX);
	CU_ASSERT_EQUAL(l->events & (TG_EV_EOF | TG_EV_FAILED), 0);
	l->deaf = false;
	for (uint32_t i = 1; i < TG_POST_KEY_UPDATES_MAX; i++)
		served_seal(l, &k, TG_REC_HANDSHAKE, "\1\0\0\0", 4);
	served_seal(l, &k, TG_REC_HANDSHAKE, "\1\0\0\0", 4);
	refused_with(l, &k, TG_ALERT_UNEXPECTED_MESSAGE);
}

/* Behind Finished, in its record, there is more: it cannot be taken over. */
static void more_behind_finished(void)
{
	struct served_link *l = served_client(&s, TLS1_2_VERSION, suites12[0]);
	struct tg_aead_key key = {0};
	uint8_t last[4096], plain[20] = {[16] = 1}, type, master[48], cr[32], sr[32];
	struct tg_keys12 keys;
	struct tg_rec r;
	int n;

	SSL_do_handshake(l->ssl);
	while (SSL_get_state(l->ssl) != TLS_ST_CR_SESSION_TICKET &&
		SSL_get_state(l->ssl) != TLS_ST_CW_FINISHED && !BIO_pending(SSL_get_rbio(l->ssl))) {
		SSL_do_handshake(l->ssl);
		n = BIO_read(SSL_get_wbio(l->ssl), last, sizeof(last));
		if (n > 0)
			tg_conn_write(l->raw, &(struct tg_view){last, (uint32_t)n}, 1);
		while (tg_tls_turn(s.tls) + tg_ready_drain(&s.ready, 0, tg_memconn_reap, NULL))
			;
		{
			struct tg_view v;

			while (tg_conn_peek(l->raw, &v, 1)) {
				BIO_write(SSL_get_rbio(l->ssl), v.p, (int)v.n);
				tg_conn_consume(l->raw, v.n);
			}
		}
	}
	SSL_do_handshake(l->ssl);
	n = BIO_read(SSL_get_wbio(l->ssl), last, sizeof(last));
	CU_ASSERT_FATAL(n > 45);
	SSL_SESSION_get_master_key(SSL_get_session(l->ssl), master, sizeof(master));
	SSL_get_client_random(l->ssl, cr, sizeof(cr));
	SSL_get_server_random(l->ssl, sr, sizeof(sr));
	tg_keys12(TG_SUITE12_AES_128_GCM_SHA256, master, cr, sr, &keys);
	tg_rec_init12(&r, TG_SUITE12_AES_128_GCM_SHA256, keys.key[0], keys.iv[0], 5, 0);
	CU_ASSERT_FATAL(tg_rec_wake(&r, &key));
	CU_ASSERT_EQUAL_FATAL(tg_rec_open(&r, &(struct tg_span){last + n - 45, 45}, 1, &type), 16);
	memcpy(plain, last + n - 32, 16);
	r.seq = 0;
	tg_rec_seal(&r, TG_REC_HANDSHAKE, &(struct tg_view){plain, 20}, 1, 20,
		&(struct tg_span){last + n - 45, 49}, 1);
	served_send(l, last, (uint32_t)n + 4);
	served_run(l);
	CU_ASSERT_EQUAL(l->events & (TG_EV_OPEN | TG_EV_FAILED), TG_EV_OPEN | TG_EV_FAILED);
	CU_ASSERT_EQUAL(why_of(l), TG_WHY_tls_record);
	tg_rec_rest(&r);
	tg_aead_get(TG_AEAD_AES_128_GCM)->discard(&key);
	served_end(l);
}

static void in_lab(void (*fn)(void))
{
	served_open(&s);
	fn();
	served_close(&s);
}

#define LAB_TEST(fn) \
	static void fn##_in_lab(void) \
	{ \
		in_lab(fn); \
	}
LAB_TEST(any_cut)
LAB_TEST(backpressure)
LAB_TEST(few_keys)
LAB_TEST(short_records)
LAB_TEST(random_worlds)
LAB_TEST(ends)
LAB_TEST(expiry)
LAB_TEST(secrets_are_wiped)
LAB_TEST(flipped_bits)
LAB_TEST(records_of_all_kinds)
LAB_TEST(renegotiation)
LAB_TEST(renegotiations)
LAB_TEST(more_behind_finished)

TG_TEST_MAIN("tls_served", {"any cut", any_cut_in_lab}, {"backpressure", backpressure_in_lab},
	{"few keys", few_keys_in_lab}, {"short records", short_records_in_lab},
	{"random worlds", random_worlds_in_lab}, {"ends", ends_in_lab}, {"expiry", expiry_in_lab},
	{"secrets are wiped", secrets_are_wiped_in_lab},
	{"TLS 1.2: flipped bits", flipped_bits_in_lab},
	{"TLS 1.2: records of all kinds", records_of_all_kinds_in_lab},
	{"TLS 1.2: renegotiation", renegotiation_in_lab},
	{"TLS 1.2: renegotiations", renegotiations_in_lab},
	{"TLS 1.2: more behind Finished", more_behind_finished_in_lab})
