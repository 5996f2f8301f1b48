/* test_hello.c: lib/tls/hello.h and schedule.h: RFC 8448 section 3, and what is no plain
 * ClientHello. */
#include "hello.h"
#include "schedule.h"

#include <CUnit/CUnit.h>

#include "../tgtest.h"
#include "rfc8448.h"
#include "tlstest.h"

static const char client_hello[] =
	"010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113"
	"031302010000910000000b0009000006736572766572ff01000100000a00140012001d001700180019010001"
	"01010201030104002300000033002600240 01d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae"
	"4d5413691e529aaf2c002b0003020304000d0020001e040305030603020308040805080604010501060102010"
	"402050206020202002d00020101001c00024001";
static const char server_hello[] =
	"020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e"
	"00330024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b0002"
	"0304";
static const char dhe_secret[] = "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d";

static bool is(const uint8_t *got, const char *want)
{
	uint8_t w[64];

	return memcmp(got, w, unhex(want, w)) == 0;
}

static void add(struct tg_sched *s, const char *hex)
{
	uint8_t b[256];

	tg_sched_add(s, tg_view_of(b, unhex(hex, b)));
}

/* The server's messages behind ServerHello; their bytes. */
static uint32_t open_flight(const uint8_t *secret, uint8_t *b)
{
	struct tg_aead_key key = {{0}};
	struct tg_span span = {b, unhex(s_flight, b)};
	struct tg_rec r;
	uint8_t type;
	int32_t n;

	tg_rec_init(&r, TG_SUITE_AES_128_GCM_SHA256, secret, 0);
	CU_ASSERT_FATAL(tg_rec_wake(&r, &key));
	n = tg_rec_open(&r, &span, 1, &type);
	CU_ASSERT_FATAL(n > 36 && type == TG_REC_HANDSHAKE);
	tg_rec_rest(&r);
	tg_aead_get(TG_AEAD_AES_128_GCM)->discard(&key);
	return (uint32_t)n;
}

static void schedule_one(void)
{
	uint8_t client[48], server[48], b[1024], secret[32], mac[48], psk[48], nonce[2] = {0, 0};
	uint32_t n;
	struct tg_sched s;

	tg_sched_begin(&s, TG_SUITE_AES_128_GCM_SHA256, TG_VIEW_NONE);
	add(&s, client_hello);
	add(&s, server_hello);
	unhex(dhe_secret, secret);
	tg_sched_handshake(&s, tg_view_of(secret, 32), client, server);
	CU_ASSERT(is(client, c_hs_secret));
	CU_ASSERT(is(server, s_hs_secret));
	n = open_flight(server, b);
	tg_sched_add(&s, tg_view_of(b + 5, n - 36));
	tg_sched_finished(&s, server, mac);
	CU_ASSERT(memcmp(mac, b + 5 + n - 32, 32) == 0);
	tg_sched_add(&s, tg_view_of(b + 5 + n - 36, 36));
	tg_sched_finished(&s, client, mac);
	CU_ASSERT(is(mac, finished_text + 8));
	tg_sched_master(&s, client, server);
	CU_ASSERT(is(client, c_ap_secret));
	CU_ASSERT(is(server, s_ap_secret));
	add(&s, finished_text);
	tg_sched_ticket(&s, tg_view_of(nonce, 2), psk);
	CU_ASSERT(is(psk, resumption));
	tg_sched_wipe(&s);
}

/* What is a constant there is what the rules of section 7.1 make of nothing. */
static void constants(void)
{
	static const enum tg_suite suites[] = {
		TG_SUITE_AES_128_GCM_SHA256, TG_SUITE_AES_256_GCM_SHA384};
	static const uint8_t zeros[TG_HASH_MAX];

	for (uint32_t i = 0; i < TG_ARRAY_LEN(suites); i++) {
		uint32_t n = tg_suite_hash_size(suites[i]);
		uint8_t empty[TG_HASH_MAX], early[TG_HASH_MAX], want[TG_HASH_MAX];
		struct tg_sched s;
		struct tg_hash h;

		tg_hash_init(&h, n == 48);
		tg_hash_final(&h, want);
		tg_hkdf_hash_empty(suites[i], empty);
		CU_ASSERT(memcmp(empty, want, n) == 0);
		tg_hkdf_extract(suites[i], TG_VIEW_NONE, tg_view_of(zeros, n), early);
		tg_hkdf_expand_label(suites[i], early, "derived", tg_view_of(empty, n), want, n);
		tg_sched_begin(&s, suites[i], TG_VIEW_NONE);
		CU_ASSERT(memcmp(s.salt, want, n) == 0);
		tg_sched_wipe(&s);
	}
}

static void schedule(void)
{
	for (uint32_t i = 0; i < TG_ARRAY_LEN(impls); i++)
		if (tg_aead_init(impls[i]))
			schedule_one();
}

static void plain(void)
{
	uint8_t b[256];
	struct tg_hello h;
	struct tg_view m = tg_view_of(b, unhex(client_hello, b));

	CU_ASSERT_FATAL(tg_hello_read(m, &h));
	CU_ASSERT(h.suite[0] && h.suite[1] && h.suite[2] && !h.chacha_first);
	CU_ASSERT(tg_view_eq(h.sni, TG_VIEW("server")));
	CU_ASSERT(h.group == TG_GROUP_X25519 && h.share.n == 32 && h.session.n == 0);
	CU_ASSERT(h.psk_dhe && h.modes && h.schemes.n == 30 && !h.identities.n && !h.alpn.n);
}

/* Each byte gone, and each byte more: no such message is whole. */
static void cut(void)
{
	uint8_t b[512];
	struct tg_hello h;
	uint32_t n = unhex(client_hello, b);

	memset(b + n, 0, sizeof(b) - n);
	for (uint32_t i = 0; i < sizeof(b); i++)
		CU_ASSERT(tg_hello_read(tg_view_of(b, i), &h) == (i == n));
}

/* Places in the ClientHello above, and what makes it another's to judge. */
static void odd(void)
{
	static const struct {
		uint16_t at;
		uint8_t b;
	} cases[] = {
		{0, 2},     /* a ServerHello */
		{4, 2},     /* version */
		{38, 33},   /* session ID: too long */
		{40, 5},    /* half a suite */
		{41, 0x14}, /* the first suite: another */
		{47, 0},    /* no compression at all */
		{48, 1},    /* compression */
		{50, 0x90}, /* extensions: their length */
		{56, 8},    /* server names: their length */
		{57, 1},    /* a name of another type */
		{59, 7},    /* longer than its list */
		{61, 0},    /* a NUL in it */
		{70, 1},    /* renegotiation_info: not of a first handshake */
		{72, 41},   /* pre_shared_key, not the last */
		{96, 51},   /* key_share twice */
		{106, 24},  /* no share of ours */
		{108, 31},  /* a share too short */
		{147, 3},   /* TLS 1.2 */
		{149, 42},  /* early_data */
		{188, 5},   /* psk_key_exchange_modes: longer than it is */
	};
	uint8_t b[256];
	struct tg_hello h;
	uint32_t n;

	for (uint32_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		n = unhex(client_hello, b);
		CU_ASSERT(b[cases[i].at] != cases[i].b);
		b[cases[i].at] = cases[i].b;
		CU_ASSERT(!tg_hello_read(tg_view_of(b, n), &h));
		if (tg_hello_read(tg_view_of(b, n), &h))
			fprintf(stderr, "byte %u as %02x\n", cases[i].at, cases[i].b);
	}
}

static void chacha(void)
{
	static const struct {
		uint8_t suite[3];
		bool plain, first;
	} cases[] = {{{3, 1, 2}, true, true}, {{3, 3, 3}, true, true}, {{1, 3, 2}, true, false},
		{{4, 3, 1}, false, false}};
	uint8_t b[256];
	struct tg_hello h;

	for (uint32_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		uint32_t n = unhex(client_hello, b);

		for (int k = 0; k < 3; k++)
			b[42 + 2 * k] = cases[i].suite[k];
		CU_ASSERT(tg_hello_read(tg_view_of(b, n), &h) == cases[i].plain);
		CU_ASSERT(!cases[i].plain || h.chacha_first == cases[i].first);
	}
	unhex(client_hello, b);
	b[41] = b[42] = 0x4a; /* GREASE */
	b[44] = 3;
	CU_ASSERT(tg_hello_read(tg_view_of(b, unhex(client_hello, (uint8_t[256]){0})), &h));
	CU_ASSERT(h.chacha_first && !h.suite[0]);
}

TG_TEST_MAIN("tls_hello", {"constants", constants}, {"RFC 8448: schedule", schedule},
	{"plain", plain}, {"cut", cut}, {"odd", odd}, {"ChaCha20 first", chacha})
