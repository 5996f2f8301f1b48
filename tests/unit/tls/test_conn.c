/* TLS connections end to end in memory: what passes between records and their user. */
#include <stdlib.h>

#include <tidegate/memconn.h>
#include <tidegate/rng.h>
#include <tidegate/stats.h>

#include "../tgtest.h"
#include "conn.h"
#include "lab.h"

#define QUEUE 65536

static struct lab lab;
static struct pki_cert ca, server_cert;
static struct tg_wheel wheel;
static struct tg_ready ready;
static struct tg_core_stats *stats;
static struct tg_tls *tls;
static uint32_t client_events, server_events;
static struct tg_conn *client, *server;

static void on_client(struct tg_conn *c, uint32_t ev)
{
	client_events |= ev;
}

static void on_server(struct tg_conn *c, uint32_t ev)
{
	server_events |= ev;
}

static const struct tg_conn_user client_user = {on_client}, server_user = {on_server};

/* --- a receive queue of small pieces ------------------------------------------------------------
 */

static const struct tg_conn_ops *whole;
static uint32_t piece_size = 1000; /* as packets bring them */

static uint32_t peek_pieces(struct tg_conn *c, struct tg_view *v, uint32_t cnt)
{
	struct tg_view w[2];
	uint32_t n = whole->rx_peek(c, w, 2), k = 0;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t at = 0, m; at < w[i].n && k < cnt; at += m) {
			m = w[i].n - at < piece_size ? w[i].n - at : piece_size;
			v[k++] = tg_view_of(w[i].p + at, m);
		}
	return k;
}

/* --- the two ends -------------------------------------------------------------------------------
 */

static void run(void)
{
	uint32_t moved;

	do {
		moved = tg_tls_turn(tls);
		moved += tg_ready_drain(&ready, 0, tg_memconn_reap, NULL);
	} while (moved);
}

static void load(void)
{
	static struct tg_tls_pair pair[1];
	static struct tg_tls_conf confs[2];
	const struct tg_tls_conf *list[2] = {&confs[0], &confs[1]};

	ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
	server_cert = pki_issue(&(struct pki_spec){.cn = "s", .san = "DNS:s.example"}, &ca);
	pair[0] = (struct tg_tls_pair){
		pki_write_certs("s.crt", (const struct pki_cert *[]){&server_cert}, 1),
		pki_write_key("s.key", &server_cert, NULL)};
	confs[0] = (struct tg_tls_conf){
		.id = 0, .server = true, .n_pairs = 1, .pairs = pair, .min_version = 13};
	confs[1] = (struct tg_tls_conf){.id = 1,
		.ca = pki_write_certs("ca.crt", (const struct pki_cert *[]){&ca}, 1),
		.sni = "s.example",
		.min_version = 13};
	CU_ASSERT_EQUAL_FATAL(lab_load(&lab, list, 2), 0);
}

static void open_pair(void)
{
	static struct tg_conn_ops pieces;
	const struct tg_sockaddr a = {.port = 1}, b = {.port = 2};
	struct tg_memconn_pair p = tg_memconn_open(&ready, QUEUE, &a, &b);

	whole = p.b->ops;
	pieces = *whole;
	pieces.rx_peek = peek_pieces;
	p.b->ops = &pieces;
	client_events = server_events = 0;
	client = tg_tls_connect(tls, 1, p.a, 0, &client_user, NULL);
	server = tg_tls_accept(tls, 0, p.b, 0, &server_user, NULL);
	CU_ASSERT_FATAL(client && server);
	tg_ready_raise(&ready, p.a, TG_EV_OPEN | TG_EV_WRITABLE);
	run();
	CU_ASSERT_FATAL((client_events & server_events & TG_EV_OPEN) != 0);
}

static void close_pair_of(struct tg_conn *c, struct tg_conn *s)
{
	tg_conn_detach(c);
	tg_conn_detach(s);
	run();
}

static void wheel_runs(uint64_t ns)
{
	tg_wheel_advance(&wheel, wheel.now + ns, UINT32_MAX);
	run();
}

static void close_pair(void)
{
	close_pair_of(client, server);
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
}

/* A record that the client's end would never make by itself. */
static void client_sends(uint8_t type, const void *p, uint32_t n, uint32_t padding)
{
	static uint8_t rec[TG_REC_BODY_MAX + TG_REC_HEADER], content[TG_REC_BODY_MAX];
	struct tls_conn *c = tls_of(client);
	uint32_t body = n + 1 + padding + TG_AEAD_TAG;
	uint8_t header[TG_REC_HEADER] = {TG_REC_DATA, 3, 3, (uint8_t)(body >> 8), (uint8_t)body};
	uint8_t nonce[TG_AEAD_NONCE];
	struct tg_view v = {rec, TG_REC_HEADER + body};

	CU_ASSERT_FATAL(tls_wake(c) != NULL);
	memset(content, 0, sizeof(content));
	memcpy(content, p, n);
	content[n] = type;
	memcpy(nonce, c->tx.iv, sizeof(nonce));
	nonce[TG_AEAD_NONCE - 1] ^= (uint8_t)c->tx.seq++;
	memcpy(rec, header, sizeof(header));
	tg_aead_get(TG_AEAD_AES_128_GCM)
		->seal(c->tx.key, nonce, (struct tg_view){header, sizeof(header)}, content,
			rec + TG_REC_HEADER, n + 1 + padding,
			rec + TG_REC_HEADER + n + 1 + padding);
	CU_ASSERT_EQUAL(tg_conn_write(c->lower, &v, 1), v.n);
}

static bool reads(struct tg_conn *c, const char *text)
{
	uint32_t n = (uint32_t)strlen(text);
	struct tg_view v;
	bool same;

	if (!tg_conn_peek(c, &v, 1))
		return false;
	same = v.n == n && memcmp(v.p, text, n) == 0;
	tg_conn_consume(c, v.n);
	return same;
}

static void server_writes(const char *text)
{
	struct tg_view v = tg_view_str(text);

	CU_ASSERT_EQUAL(tg_conn_write(server, &v, 1), v.n);
}

static void fill_x(void *ctx, const struct tg_span *to, uint32_t cnt, uint32_t n)
{
	for (uint32_t i = 0; i < cnt; i++)
		memset(to[i].p, 'x', to[i].n);
}

/* --- cases --------------------------------------------------------------------------------------
 */

static void ask_for_new_keys(void)
{
	static const uint8_t update[] = {24, 0, 0, 1, 1};

	client_sends(TG_REC_HANDSHAKE, update, sizeof(update), 0);
	CU_ASSERT(tg_rec_next_key(&tls_of(client)->tx));
	run();
}

/* RFC 8446 section 4.6.3: our own KeyUpdate goes before our next data. */
static void key_update_is_answered_before_data(void)
{
	ask_for_new_keys();
	CU_ASSERT_EQUAL(stats->tls_key_updates, 1);
	server_writes("abc");
	run();
	CU_ASSERT_EQUAL(stats->tls_key_updates, 2);
	CU_ASSERT(reads(client, "abc"));
	ask_for_new_keys();
	CU_ASSERT_EQUAL(tg_conn_fill(server, 3, 3, fill_x, NULL), 3);
	run();
	CU_ASSERT_EQUAL(stats->tls_key_updates, 4);
	CU_ASSERT(reads(client, "xxx"));
	server_writes("once");
	run();
	CU_ASSERT_EQUAL(stats->tls_key_updates, 4);
	CU_ASSERT(reads(client, "once"));
}

/* Section 5.5: keys that have sealed much are changed before the next data. */
static void worn_keys_are_changed_before_data(void)
{
	uint64_t max = tg_aead_get(TG_AEAD_AES_128_GCM)->max_records;

	tls_of(server)->tx.seq = tls_of(client)->rx.seq = max - max / 8;
	server_writes("abc");
	run();
	/* The server's own, then what the client asks for, its keys for receiving being worn. */
	CU_ASSERT(stats->tls_key_updates >= 1);
	CU_ASSERT(tls_of(server)->tx.seq < 4);
	CU_ASSERT(reads(client, "abc"));
}

/* Much padding in a record without content: what comes next is found all the same. */
static void content_is_found_behind_padding(void)
{
	for (uint32_t padding = 0; padding < TG_REC_CONTENT_MAX; padding += 5000) {
		client_sends(TG_REC_DATA, "", 0, padding);
		client_sends(TG_REC_DATA, "abc", 3, 0);
		server_events = 0;
		run();
		CU_ASSERT((server_events & TG_EV_READABLE) != 0);
		CU_ASSERT(reads(server, "abc"));
	}
	client_sends(TG_REC_DATA, "def", 3, 15000);
	client_sends(TG_REC_DATA, "ghi", 3, 15000);
	run();
	CU_ASSERT(reads(server, "defghi"));
}

/* Reads what is there as a user may: some of the pieces, some of their bytes. Returns how many, all
 * of which are the ones that come after *at. */
static uint32_t read_some(struct tg_conn *c, struct tg_rng *r, uint32_t *at)
{
	struct tg_view v[16];
	uint32_t cnt = tg_conn_peek(c, v, 1 + tg_rng_below(r, TG_ARRAY_LEN(v))), n = 0, all = 0;

	for (uint32_t i = 0; i < cnt; i++)
		all += v[i].n;
	all = all ? 1 + tg_rng_below(r, all) : 0;
	for (uint32_t i = 0; i < cnt && n < all; i++)
		for (uint32_t k = 0; k < v[i].n && n < all; k++, n++)
			if (v[i].p[k] != (uint8_t)((*at + n) * 7 + ((*at + n) >> 8)))
				return 0;
	tg_conn_consume(c, n);
	*at += n;
	return n;
}

/* Content that stands in one piece is found without a look below, any other with one: both read the
 * same stream, whatever the sizes of records, pieces and reads. */
static void content_is_the_same_in_any_pieces(void)
{
	static const uint32_t size[] = {150, 999, 4096, QUEUE};
	struct tg_rng r;
	uint8_t b[6000];

	tg_rng_seed(&r, 1);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(size); i++) {
		uint32_t sent = 0, seen = 0, rounds = 0;

		piece_size = size[i];
		while (seen < 300000 && rounds++ < 100000) {
			uint32_t n = tg_rng_below(&r, 4) ? tg_rng_below(&r, 1500)
							 : tg_rng_below(&r, sizeof(b));

			for (uint32_t k = 0; k < n; k++)
				b[k] = (uint8_t)((sent + k) * 7 + ((sent + k) >> 8));
			if (sent - seen < 20000)
				sent += tg_conn_write(client, &(struct tg_view){b, n}, 1);
			if (tg_rng_below(&r, 3))
				run();
			if (tg_rng_below(&r, 2) && !read_some(server, &r, &seen))
				CU_ASSERT_FATAL(!tg_conn_peek(server, &(struct tg_view){0}, 1));
		}
		run();
		while (read_some(server, &r, &seen))
			;
		CU_ASSERT_EQUAL(seen, sent);
		CU_ASSERT(seen >= 300000);
	}
	piece_size = 1000;
}

/* More connections than keys: whoever has nothing opened gives them up, whoever has keeps them. */
static void keys_go_round(void)
{
	struct tg_conn *c[3], *s[3];

	for (uint32_t i = 0; i < TG_ARRAY_LEN(c); i++) {
		if (i)
			open_pair();
		c[i] = client;
		s[i] = server;
	}
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < TG_ARRAY_LEN(c); i++) {
			struct tg_view v = TG_VIEW("ping");

			CU_ASSERT_EQUAL(tg_conn_write(c[i], &v, 1), v.n);
		}
		run();
		/* All three have content opened: one set of keys is left for the clients. */
		CU_ASSERT_EQUAL(tls->pinned, 3);
		for (uint32_t i = 0; i < TG_ARRAY_LEN(c); i++) {
			server = s[i];
			CU_ASSERT(reads(s[i], "ping"));
			server_writes("pong");
			run();
			CU_ASSERT(reads(c[i], "pong"));
		}
		CU_ASSERT_EQUAL(tls->pinned, 0);
		CU_ASSERT_EQUAL(tls->acts.in_use, 4);
	}
	for (uint32_t i = TG_ARRAY_LEN(c); i-- > 1;) {
		tg_conn_detach(c[i]);
		tg_conn_detach(s[i]);
	}
	client = c[0];
	server = s[0];
}

static void open_four(struct tg_conn *c[4], struct tg_conn *s[4])
{
	struct tg_view v = TG_VIEW("more");

	for (uint32_t i = 0; i < 4; i++) {
		if (i)
			open_pair();
		c[i] = client;
		s[i] = server;
	}
	for (uint32_t i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(tg_conn_write(c[i], &v, 1), v.n);
		run();
	}
	CU_ASSERT_EQUAL(tls->pinned, 4);
}

static void leave_one(struct tg_conn *c[4], struct tg_conn *s[4])
{
	for (uint32_t i = 4; i-- > 1;) {
		if (c[i])
			tg_conn_detach(c[i]);
		tg_conn_detach(s[i]);
	}
	CU_ASSERT_EQUAL(tls->pinned, 0);
	client = c[0];
	server = s[0];
}

/* Where all keys have content opened, a reader gets none, and is told when there are some. */
static void who_gets_no_keys_is_called(void)
{
	struct tg_conn *c[4], *s[4];

	open_four(c, s);
	server = s[0];
	server_writes("back");
	client_events = 0;
	run();
	CU_ASSERT_EQUAL(client_events & TG_EV_READABLE, 0);
	CU_ASSERT(reads(s[3], "more"));
	run();
	CU_ASSERT((client_events & TG_EV_READABLE) != 0);
	CU_ASSERT(reads(c[0], "back"));
	CU_ASSERT(reads(s[0], "more"));
	leave_one(c, s);
}

/* A writer always gets some: otherwise what is opened on one connection, and goes out on another,
 * would wait for itself. */
static void a_writer_waits_for_no_keys(void)
{
	struct tg_conn *c[4], *s[4];
	struct tg_view v = TG_VIEW("and more");

	open_four(c, s);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(tg_conn_write(c[i], &v, 1), v.n);
	CU_ASSERT_EQUAL(tg_conn_fill(c[0], 3, 3, fill_x, NULL), 3);
	run();
	CU_ASSERT_EQUAL(tls->pinned, 4);
	CU_ASSERT(reads(s[0], "moreand morexxx"));
	for (uint32_t i = 1; i < 4; i++)
		CU_ASSERT(reads(s[i], "moreand more"));
	leave_one(c, s);
}

/* Who goes says so, although all keys have content opened: his user is not there any more to try
 * again. */
static void close_notify_waits_for_no_keys(void)
{
	struct tg_conn *c[4], *s[4];

	open_four(c, s);
	server_events = 0;
	tg_conn_detach(c[2]);
	c[2] = NULL;
	run();
	CU_ASSERT_EQUAL(server_events & (TG_EV_EOF | TG_EV_FAILED), TG_EV_EOF);
	CU_ASSERT_EQUAL(stats->why[TG_WHY_tls_truncated], 0);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT(reads(s[i], "more"));
	leave_one(c, s);
}

/* Who ends it with an alert, or without a word, gets a FIN: a RST could destroy what was sent to
 * him before. */
static void who_ends_it_gets_a_fin(void)
{
	struct tg_conn *first = client, *first_server = server;

	for (int how = 0; how < 4; how++) {
		open_pair();
		if (how & 1)
			client_sends(TG_REC_ALERT, "\2\x28", 2, 0);
		else
			tg_conn_finish(tls_of(client)->lower);
		server_events = 0;
		run();
		CU_ASSERT((server_events & TG_EV_FAILED) != 0);
		if (how & 2)
			tg_conn_abort(server, TG_WHY_conn_aborted);
		else
			tg_conn_detach(server);
		run();
		CU_ASSERT_EQUAL(
			tls_of(client)->flags & (F_LOWER_EOF | F_LOWER_FAILED), F_LOWER_EOF);
		tg_conn_detach(client);
		run();
	}
	CU_ASSERT_EQUAL(stats->why[TG_WHY_tls_alert], 2);
	CU_ASSERT(stats->why[TG_WHY_tls_truncated] >= 2);
	client = first;
	server = first_server;
}

static struct tg_conn *refused_client(void)
{
	const struct tg_sockaddr a = {.port = 1}, b = {.port = 2};
	struct tg_memconn_pair p = tg_memconn_open(&ready, QUEUE, &a, &b);
	struct tg_view v = TG_VIEW("\x16\x03\x01\x00\x05 junk and more");
	struct tg_conn *c = tg_tls_accept(tls, 0, p.b, 0, &server_user, NULL);

	CU_ASSERT_FATAL(c != NULL);
	p.a->user = &client_user;
	server_events = 0;
	CU_ASSERT_EQUAL(tg_conn_write(p.a, &v, 1), v.n);
	run();
	CU_ASSERT((server_events & TG_EV_FAILED) != 0);
	tg_conn_abort(c, TG_WHY_conn_aborted);
	run();
	return p.a;
}

/* Who was refused is listened to for a second, lest a RST destroy the alert; but the places for
 * handshakes are others' as soon as they want them. */
static void the_refused_keep_nobody_out(void)
{
	struct tg_conn *first = client, *first_server = server, *raw[20];

	for (uint32_t i = 0; i < TG_ARRAY_LEN(raw); i++) {
		raw[i] = refused_client();
		CU_ASSERT(tls->hs.in_use == (i < 8 ? i + 1 : 8));
	}
	open_pair();
	close_pair_of(client, server);
	CU_ASSERT_EQUAL(tls->hs.in_use, 6);
	/* Those that came last have their second still. */
	wheel_runs(TG_SEC / 2);
	CU_ASSERT_EQUAL(tls->hs.in_use, 6);
	wheel_runs(TG_SEC);
	CU_ASSERT_EQUAL(tls->hs.in_use, 0);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(raw); i++)
		tg_conn_detach(raw[i]);
	client = first;
	server = first_server;
}

/* Nor does he keep the last place for a connection. */
static void the_refused_keep_no_connection(void)
{
	const struct tg_sockaddr a = {.port = 1}, b = {.port = 2};
	struct tg_conn *first = client, *first_server = server, *raw[4], *c[10];
	struct tg_memconn_pair p;
	uint32_t n = 0;

	for (uint32_t i = 0; i < TG_ARRAY_LEN(raw); i++)
		raw[i] = refused_client();
	while (tls->conns.in_use + 2 <= tls->conns.count) {
		open_pair();
		c[n++] = client;
		c[n++] = server;
	}
	p = tg_memconn_open(&ready, QUEUE, &a, &b);
	server = tg_tls_accept(tls, 0, p.b, 0, &server_user, NULL);
	CU_ASSERT(server != NULL);
	if (server)
		tg_conn_abort(server, TG_WHY_conn_aborted);
	else
		tg_conn_detach(p.b);
	tg_conn_detach(p.a);
	while (n)
		tg_conn_detach(c[--n]);
	wheel_runs(3 * TG_SEC);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(raw); i++)
		tg_conn_detach(raw[i]);
	client = first;
	server = first_server;
}

static void begin(void)
{
	struct tg_errbuf e;
	struct tg_tls_worker_conf conf = {.max_conns = 16,
		.max_handshakes = 8,
		.max_active = 4,
		.wheel = &wheel,
		.ready = &ready};

	lab_open(&lab);
	load();
	tg_wheel_init(&wheel, TG_SEC);
	tg_ready_init(&ready);
	stats = calloc(1, sizeof(*stats));
	CU_ASSERT_FATAL(stats != NULL);
	conf.stats = stats;
	conf.realtime_offset = (uint64_t)lab.now * TG_SEC;
	tls = tg_tls_create(&conf, &e);
	CU_ASSERT_FATAL(tls != NULL);
	tg_tls_adopt(tls, tg_tls_store_current(lab.store));
}

static void finish(void)
{
	tg_tls_destroy(tls);
	free(stats);
	pki_free(&ca);
	pki_free(&server_cert);
	lab_close(&lab);
}

static void in_lab(void (*fn)(void))
{
	begin();
	open_pair();
	stats->tls_key_updates = 0;
	fn();
	close_pair();
	finish();
}

#define LAB_TEST(fn) \
	static void fn##_in_lab(void) \
	{ \
		in_lab(fn); \
	}
LAB_TEST(key_update_is_answered_before_data)
LAB_TEST(worn_keys_are_changed_before_data)
LAB_TEST(content_is_found_behind_padding)
LAB_TEST(content_is_the_same_in_any_pieces)
LAB_TEST(keys_go_round)
LAB_TEST(who_gets_no_keys_is_called)
LAB_TEST(a_writer_waits_for_no_keys)
LAB_TEST(close_notify_waits_for_no_keys)
LAB_TEST(the_refused_keep_nobody_out)
LAB_TEST(the_refused_keep_no_connection)
LAB_TEST(who_ends_it_gets_a_fin)

TG_TEST_MAIN("tls_conn",
	{"KeyUpdate is answered before data", key_update_is_answered_before_data_in_lab},
	{"worn keys are changed before data", worn_keys_are_changed_before_data_in_lab},
	{"content is found behind padding", content_is_found_behind_padding_in_lab},
	{"content is the same in any pieces", content_is_the_same_in_any_pieces_in_lab},
	{"keys go round", keys_go_round_in_lab},
	{"who gets no keys is called", who_gets_no_keys_is_called_in_lab},
	{"a writer waits for no keys", a_writer_waits_for_no_keys_in_lab},
	{"close_notify waits for no keys", close_notify_waits_for_no_keys_in_lab},
	{"the refused keep nobody out", the_refused_keep_nobody_out_in_lab},
	{"the refused keep no connection", the_refused_keep_no_connection_in_lab},
	{"who ends it gets a FIN", who_ends_it_gets_a_fin_in_lab})
