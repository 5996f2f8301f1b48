/* test_record.c: lib/tls/record.h against RFC 8448, against everything that can be done to a
 * record, and with OpenSSL's key derivation.
 */
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <tgtest.h>

#include "rfc8448.h"
#include "tlstest.h"

#define BIG (TG_REC_HEADER + TG_REC_BODY_MAX)

static const enum tg_suite suites[] = {TG_SUITE_AES_128_GCM_SHA256, TG_SUITE_AES_256_GCM_SHA384,
	TG_SUITE_CHACHA20_POLY1305_SHA256, TG_SUITE12_AES_128_GCM_SHA256,
	TG_SUITE12_AES_256_GCM_SHA384, TG_SUITE12_CHACHA20_POLY1305_SHA256};
#define SUITES TG_ARRAY_LEN(suites)
#define SUITES13 3

/* Two ends of one direction, awake. */
struct pair {
	struct tg_rec tx, rx;
	struct tg_aead_key tx_key, rx_key;
};

static struct pair pair;

static void rec_begin(struct tg_rec *r, enum tg_suite suite, const uint8_t *secret, uint64_t seq)
{
	/* The sender's nonces pass all ones on their way. */
	if (tg_suite_is12(suite))
		tg_rec_init12(r, suite, secret, secret + 32, r == &pair.tx ? -seq - 2 : 0, seq);
	else
		tg_rec_init(r, suite, secret, seq);
}

static void pair_begin(enum tg_suite suite, const uint8_t *secret, uint64_t seq)
{
	memset(&pair, 0, sizeof(pair));
	rec_begin(&pair.tx, suite, secret, seq);
	rec_begin(&pair.rx, suite, secret, seq);
	CU_ASSERT_FATAL(tg_rec_wake(&pair.tx, &pair.tx_key));
	CU_ASSERT_FATAL(tg_rec_wake(&pair.rx, &pair.rx_key));
}

static void rec_discard(struct tg_rec *r)
{
	const struct tg_aead_ops *ops = ops_in_use(r);

	ops->discard(tg_rec_rest(r));
	tg_rec_wipe(r);
}

static void pair_end(void)
{
	rec_discard(&pair.tx);
	rec_discard(&pair.rx);
}

static int32_t open_one(struct tg_rec *r, uint8_t *rec, uint8_t *type)
{
	int32_t n = tg_rec_frame(r, rec);

	return n < 0 ? n : tg_rec_open(r, &(struct tg_span){rec, (uint32_t)n}, 1, type);
}

static void seal_one(
	struct tg_rec *r, uint8_t type, const uint8_t *content, uint32_t n, uint8_t *out)
{
	tg_rec_seal(r, type, &(struct tg_view){content, n}, 1, n,
		&(struct tg_span){out, n + tg_rec_overhead(r)}, 1);
}

/* Runs a test with each implementation that is there. */
static void each(void (*test)(void))
{
	for (uint32_t i = 0; i < TG_ARRAY_LEN(impls); i++)
		if (tg_aead_init(impls[i]))
			test();
}

/* --- RFC 8448 --------------------------------------------------------------------------------- */

static void keys_are(const char *secret, const char *key, const char *iv)
{
	uint8_t s[32], k[16], v[12];
	struct tg_rec r;

	unhex(secret, s);
	unhex(key, k);
	unhex(iv, v);
	tg_rec_init(&r, TG_SUITE_AES_128_GCM_SHA256, s, 0);
	CU_ASSERT(!memcmp(r.traffic_key, k, sizeof(k)));
	CU_ASSERT(!memcmp(r.iv, v, sizeof(v)));
	tg_rec_wipe(&r);
}

static void label_gives(const char *secret, const char *label, struct tg_view ctx, const char *want)
{
	uint8_t s[32], w[32], got[32];

	unhex(secret, s);
	unhex(want, w);
	tg_hkdf_expand_label(TG_SUITE_AES_128_GCM_SHA256, s, label, ctx, got, 32);
	CU_ASSERT(!memcmp(got, w, 32));
}

static void rfc8448_keys(void)
{
	tg_aead_init("auto");
	keys_are(s_hs_secret, s_hs_key, s_hs_iv);
	keys_are(c_hs_secret, c_hs_key, c_hs_iv);
	keys_are(s_ap_secret, s_ap_key, s_ap_iv);
	keys_are(c_ap_secret, c_ap_key, c_ap_iv);
	label_gives(s_hs_secret, "finished", TG_VIEW_NONE, s_finished_key);
	label_gives(
		res_master, "resumption", (struct tg_view){(const uint8_t *)"\0\0", 2}, resumption);
}

/* The record opens to that, in one piece and in all pieces of one size; sealed again it is the
 * same. */
static void record_is(
	const char *secret, uint64_t seq, const char *record, uint8_t type, const char *text)
{
	static uint8_t rec[1024], want[1024], got[1024], s[32];
	static struct tg_span cuts[1024];
	uint32_t n = unhex(record, rec), len = text ? unhex(text, want) : 0, cnt, bad = 0;
	uint8_t t;

	unhex(secret, s);
	for (uint32_t size = n; size; size -= size > 80 ? 37 : 1) {
		pair_begin(TG_SUITE_AES_128_GCM_SHA256, s, seq);
		memcpy(got, rec, n);
		bad += tg_rec_frame(&pair.rx, got) != (int32_t)n;
		cnt = cut_even(got, n, size, cuts);
		if (!text) {
			bad += tg_rec_open(&pair.rx, cuts, cnt, &t) != (int32_t)(n - 22);
			memcpy(want, got + 5, len = n - 22);
		} else {
			bad += tg_rec_open(&pair.rx, cuts, cnt, &t) != (int32_t)len;
		}
		bad += t != type || memcmp(got + 5, want, len) || pair.rx.seq != seq + 1;
		memset(got, 0, n);
		tg_rec_seal(&pair.tx, type, &(struct tg_view){want, len}, 1, len, cuts, cnt);
		bad += memcmp(got, rec, n) != 0;
		pair_end();
	}
	CU_ASSERT_EQUAL(bad, 0);
}

static void rfc8448_records_one(void)
{
	static char data[101];

	for (uint32_t i = 0; i < 50; i++)
		sprintf(data + 2 * i, "%02x", i);
	record_is(s_hs_secret, 0, s_flight, TG_REC_HANDSHAKE, NULL);
	record_is(c_hs_secret, 0, c_finished, TG_REC_HANDSHAKE, finished_text);
	record_is(s_ap_secret, 0, s_ticket, TG_REC_HANDSHAKE, ticket_text);
	record_is(c_ap_secret, 0, c_data, TG_REC_DATA, data);
	record_is(s_ap_secret, 1, s_data, TG_REC_DATA, data);
	record_is(c_ap_secret, 1, c_alert, TG_REC_ALERT, "0100");
	record_is(s_ap_secret, 2, s_alert, TG_REC_ALERT, "0100");
}

static void rfc8448_records(void)
{
	each(rfc8448_records_one);
}

/* --- key derivation --------------------------------------------------------------------------- */

static void kdf(EVP_KDF_CTX *ctx, const char *digest, uint8_t *secret, uint32_t secret_n,
	const char *label, struct tg_view context, uint8_t *out, uint32_t n)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	OSSL_PARAM p[] = {OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret, secret_n),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, (void *)"tls13 ", 6),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_LABEL, (void *)label, strlen(label)),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_DATA, (void *)context.p, context.n),
		OSSL_PARAM_construct_end()};

	CU_ASSERT_EQUAL_FATAL(EVP_KDF_derive(ctx, out, n, p), 1);
}

static void derivation(void)
{
	static const char *const labels[] = {
		"key", "iv", "traffic upd", "finished", "resumption", "exp master"};
	EVP_KDF *k = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
	uint8_t secret[48], context[64], got[255], want[255];
	struct tg_rng r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	tg_rng_seed(&r, 1);
	for (uint32_t i = 0; i < 300; i++) {
		EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(k);
		enum tg_suite suite = suites[i % 3];
		uint32_t size = tg_suite_hash_size(suite), n = 1 + i % 255;
		struct tg_view c = {context, i % 65};
		const char *label = labels[i % 6];

		CU_ASSERT_EQUAL(size, suite == TG_SUITE_AES_256_GCM_SHA384 ? 48 : 32);
		fill(&r, secret, sizeof(secret));
		fill(&r, context, sizeof(context));
		kdf(ctx, size == 48 ? "SHA384" : "SHA256", secret, size, label, c, want, n);
		memset(got, 0, sizeof(got));
		tg_hkdf_expand_label(suite, secret, label, c, got, n);
		CU_ASSERT(!memcmp(got, want, n));
		CU_ASSERT(n == 255 || !got[n]);
		EVP_KDF_CTX_free(ctx);
	}
	EVP_KDF_free(k);
}

static void prf(EVP_KDF *k, const char *digest, uint8_t *secret, uint32_t secret_n,
	const char *label, struct tg_view seed, uint8_t *out, uint32_t n)
{
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(k);
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret, secret_n),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_SEED, (void *)label, strlen(label)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)seed.p, seed.n),
		OSSL_PARAM_construct_end()};

	CU_ASSERT_EQUAL_FATAL(EVP_KDF_derive(ctx, out, n, p), 1);
	EVP_KDF_CTX_free(ctx);
}

/* TLS 1.2: the PRF, and how the key block is cut. */
static void derivation12(void)
{
	EVP_KDF *k = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	uint8_t secret[48], random[2][32], seed[64], got[200], want[200];
	struct tg_keys12 keys;
	struct tg_rng r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	tg_aead_init("auto");
	tg_rng_seed(&r, 1);
	for (uint32_t i = 0; i < 200; i++) {
		enum tg_suite suite = suites[SUITES13 + i % 3];
		const char *digest = suite == TG_SUITE12_AES_256_GCM_SHA384 ? "SHA384" : "SHA256";
		uint32_t key = tg_suite_key_size(suite), iv = tg_suite12_iv_size(suite);

		fill(&r, secret, sizeof(secret));
		fill(&r, random[0], sizeof(random));
		prf(k, digest, secret, 48, "some label", tg_view_of(random, i % 65), want, 1 + i);
		tg_prf12(suite, tg_view_of(secret, 48), "some label", tg_view_of(random, i % 65),
			got, 1 + i);
		CU_ASSERT(!memcmp(got, want, 1 + i));
		memcpy(seed, random[1], 32);
		memcpy(seed + 32, random[0], 32);
		prf(k, digest, secret, 48, "key expansion", tg_view_of(seed, 64), want, 88);
		tg_keys12(suite, secret, random[0], random[1], &keys);
		CU_ASSERT(!memcmp(keys.key[0], want, key) && !memcmp(keys.key[1], want + key, key));
		CU_ASSERT(!memcmp(keys.iv[0], want + 2 * key, iv));
		CU_ASSERT(!memcmp(keys.iv[1], want + 2 * key + iv, iv));
	}
	EVP_KDF_free(k);
}

/* --- sealing and opening ---------------------------------------------------------------------- */

static const uint32_t sizes[] = {
	0, 1, 2, 15, 16, 17, 63, 64, 255, 256, 511, 512, 513, 1024, 1400, 4096, 16383, 16384};

static void round_trips_one(void)
{
	static uint8_t content[TG_REC_CONTENT_MAX], rec[BIG], rec2[BIG];
	struct tg_span in[16], out[32], back[32];
	struct tg_view views[16];
	uint8_t secret[48], type, got;
	struct tg_rng r;
	uint32_t bad = 0;

	tg_rng_seed(&r, 4);
	fill(&r, content, sizeof(content));
	for (uint32_t s = 0; s < SUITES; s++) {
		fill(&r, secret, sizeof(secret));
		pair_begin(suites[s], secret, tg_rng_next(&r) >> 1);
		for (uint32_t i = 0; i < 40 * TG_ARRAY_LEN(sizes); i++) {
			uint32_t n = sizes[i % TG_ARRAY_LEN(sizes)],
				 total = n + tg_rec_overhead(&pair.tx);
			uint32_t n_in, n_out, n_back;
			struct tg_rec twin = pair.tx;

			type = (uint8_t[]){
				TG_REC_DATA, TG_REC_HANDSHAKE, TG_REC_ALERT}[n ? i % 3 : 0];
			n_in = cut_random(&r, content, n, in, 16);
			for (uint32_t k = 0; k < n_in; k++)
				views[k] = (struct tg_view){in[k].p, in[k].n};
			n_out = cut_random(&r, rec, total, out, 32);
			n_back = cut_random(&r, rec, total, back, 32);
			tg_rec_seal(&pair.tx, type, views, n_in, n, out, n_out);
			/* However it is cut, it is one and the same record; also in place. */
			memcpy(rec2 + twin.front, content, n);
			seal_one(&twin, type, rec2 + twin.front, n, rec2);
			bad += memcmp(rec, rec2, total) != 0;
			bad += tg_rec_frame(&pair.rx, rec) != (int32_t)total;
			bad += tg_rec_open(&pair.rx, back, n_back, &got) != (int32_t)n;
			bad += got != type || memcmp(rec + twin.front, content, n);
		}
		pair_end();
	}
	CU_ASSERT_EQUAL(bad, 0);
}

static void round_trips(void)
{
	each(round_trips_one);
}

/* What one implementation seals the other opens. */
static void interop(void)
{
	uint8_t secret[48] = {8}, content[700] = {1}, rec[2][800], type;
	struct tg_span cuts[8];
	struct tg_rng r;

	if (!tg_aead_init("ipsec-mb"))
		return;
	tg_rng_seed(&r, 5);
	for (uint32_t s = 0; s < SUITES; s++)
		for (uint32_t n = 0; n <= sizeof(content); n += 7) {
			uint32_t total = n + TG_REC_OVERHEAD_MAX;

			for (uint32_t i = 0; i < 2; i++) {
				tg_aead_init(impls[i]);
				pair_begin(suites[s], secret, n);
				seal_one(&pair.tx, TG_REC_DATA, content, n, rec[i]);
				total = n + tg_rec_overhead(&pair.tx);
				pair_end();
			}
			CU_ASSERT(!memcmp(rec[0], rec[1], total));
			for (uint32_t i = 0; i < 2; i++) {
				uint32_t cnt =
					cut_random(&r, rec[!i], total, cuts, TG_ARRAY_LEN(cuts));

				tg_aead_init(impls[i]);
				pair_begin(suites[s], secret, n);
				CU_ASSERT_EQUAL(
					tg_rec_open(&pair.rx, cuts, cnt, &type), (int32_t)n);
				pair_end();
			}
		}
}

/* --- what is done to records ------------------------------------------------------------------ */

/* A fresh pair, a record, one thing done to it. */
static int32_t after(void (*spoil)(uint8_t *rec, uint32_t n, uint32_t arg), uint32_t arg)
{
	static uint8_t rec[BIG]; /* a longer length finds bytes, too */
	uint8_t secret[48] = {3}, content[60] = {9}, type;
	int32_t rc;

	pair_begin(suites[arg % SUITES], secret, 77);
	seal_one(&pair.tx, TG_REC_DATA, content, sizeof(content), rec);
	spoil(rec, sizeof(content) + tg_rec_overhead(&pair.tx), arg / SUITES);
	rc = open_one(&pair.rx, rec, &type);
	pair_end();
	return rc;
}

static void flip(uint8_t *rec, uint32_t n, uint32_t bit)
{
	rec[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static void nothing(uint8_t *rec, uint32_t n, uint32_t arg)
{
}

static void shorten(uint8_t *rec, uint32_t n, uint32_t by)
{
	tg_store_be16(rec + 3, (uint16_t)(n - TG_REC_HEADER - by));
}

static int32_t flipped_is(uint32_t bit, bool tls12)
{
	if (bit < 8)
		return tls12 ? -TG_ALERT_BAD_RECORD_MAC : -TG_ALERT_UNEXPECTED_MESSAGE;
	if (bit < 16)
		return -TG_ALERT_PROTOCOL_VERSION;
	if (bit < 24)
		return tls12 ? -TG_ALERT_PROTOCOL_VERSION : -TG_ALERT_DECODE_ERROR;
	if (bit == 38 && tls12) /* the length without its 64: too short for nonce and tag */
		return -TG_ALERT_INTERNAL_ERROR;
	/* The length's highest bit; the next one makes 16461 of 77. */
	return bit == 31 ? -TG_ALERT_RECORD_OVERFLOW : -TG_ALERT_BAD_RECORD_MAC;
}

static void every_bit_one(void)
{
	uint8_t secret[48] = {0};
	uint32_t bad = 0, more;
	struct tg_rec r;

	for (uint32_t s = 0; s < SUITES; s++) {
		rec_begin(&r, suites[s], secret, 0);
		more = tg_rec_overhead(&r);
		CU_ASSERT_EQUAL(after(nothing, s), 60);
		for (uint32_t bit = 0; bit < (60 + more) * 8; bit++)
			bad += after(flip, bit * SUITES + s) !=
			       flipped_is(bit, tg_suite_is12(suites[s]));
		/* Down to nothing: shorter than a tag, shorter than a nonce. */
		for (uint32_t by = 1; by <= 60 + more - TG_REC_HEADER; by++)
			bad += after(shorten, by * SUITES + s) !=
			       (by > 60 && tg_suite_is12(suites[s]) ? -TG_ALERT_INTERNAL_ERROR
								    : -TG_ALERT_BAD_RECORD_MAC);
	}
	CU_ASSERT_EQUAL(bad, 0);
}

static void every_bit(void)
{
	each(every_bit_one);
}

/* Replayed, reordered, lost: the sequence number is in the nonce. */
static void order_one(void)
{
	uint8_t secret[48] = {3}, rec[3][40], copy[40], type;

	for (uint32_t s = 0; s < SUITES; s++)
		for (uint32_t first = 0; first < 3; first++)
			for (uint32_t second = 0; second < 3; second++) {
				int32_t rc;

				pair_begin(suites[s], secret, 0);
				for (uint8_t i = 0; i < 3; i++)
					seal_one(&pair.tx, TG_REC_DATA, &i, 1, rec[i]);
				memcpy(copy, rec[first], sizeof(copy));
				rc = open_one(&pair.rx, copy, &type);
				CU_ASSERT_EQUAL(rc, first == 0 ? 1 : -TG_ALERT_BAD_RECORD_MAC);
				if (first == 0) {
					memcpy(copy, rec[second], sizeof(copy));
					rc = open_one(&pair.rx, copy, &type);
					CU_ASSERT_EQUAL(
						rc, second == 1 ? 1 : -TG_ALERT_BAD_RECORD_MAC);
				}
				pair_end();
			}
}

static void order(void)
{
	each(order_one);
}

static void headers(void)
{
	static const struct {
		uint8_t h[5];
		int32_t want;
	} t[] = {
		{{23, 3, 3, 0, 0}, 5},
		{{23, 3, 3, 0, 17}, 22},
		{{23, 3, 3, 0x40, 0x00}, 16389},
		{{23, 3, 3, 0x41, 0x00}, 16645},
		{{23, 3, 3, 0x41, 0x01}, -TG_ALERT_RECORD_OVERFLOW},
		{{23, 3, 3, 0xff, 0xff}, -TG_ALERT_RECORD_OVERFLOW},
		{{20, 3, 3, 0, 1}, -TG_ALERT_UNEXPECTED_MESSAGE},
		{{21, 3, 3, 0, 2}, -TG_ALERT_UNEXPECTED_MESSAGE},
		{{22, 3, 3, 0, 40}, -TG_ALERT_UNEXPECTED_MESSAGE},
		{{24, 3, 3, 0, 40}, -TG_ALERT_UNEXPECTED_MESSAGE},
		{{0, 3, 3, 0, 40}, -TG_ALERT_UNEXPECTED_MESSAGE},
		{{23, 3, 1, 0, 40}, -TG_ALERT_DECODE_ERROR},
		{{23, 3, 4, 0, 40}, -TG_ALERT_DECODE_ERROR},
		{{23, 2, 0, 0, 40}, -TG_ALERT_PROTOCOL_VERSION},
		{{0x80, 0x2e, 1, 3, 1}, -TG_ALERT_PROTOCOL_VERSION},
		{{'G', 'E', 'T', ' ', '/'}, -TG_ALERT_PROTOCOL_VERSION},
		{{22, 3, 1, 0xff, 0xff}, -TG_ALERT_UNEXPECTED_MESSAGE},
		{{23, 3, 1, 0xff, 0xff}, -TG_ALERT_DECODE_ERROR},
	};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(t); i++)
		CU_ASSERT_EQUAL(tg_rec_frame(&(struct tg_rec){0}, t[i].h), t[i].want);
}

/* TLS 1.2 says the type in the header, and any length up to a limit is looked at. */
static void headers12(void)
{
	static const struct {
		uint8_t h[5];
		int32_t want;
	} t[] = {
		{{23, 3, 3, 0, 0}, 5},
		{{21, 3, 3, 0, 26}, 31},
		{{20, 3, 3, 0, 25}, 30},
		{{23, 3, 3, 0x41, 0x40}, 16709},
		{{23, 3, 3, 0x41, 0x41}, -TG_ALERT_RECORD_OVERFLOW},
		{{23, 3, 3, 0xff, 0xff}, -TG_ALERT_RECORD_OVERFLOW},
		{{23, 3, 1, 0, 40}, -TG_ALERT_PROTOCOL_VERSION},
		{{23, 3, 4, 0xff, 0xff}, -TG_ALERT_PROTOCOL_VERSION},
		{{23, 2, 3, 0, 40}, -TG_ALERT_PROTOCOL_VERSION},
		{{'G', 'E', 'T', ' ', '/'}, -TG_ALERT_PROTOCOL_VERSION},
	};
	struct tg_rec r = {.suite = TG_SUITE12_AES_128_GCM_SHA256};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(t); i++)
		CU_ASSERT_EQUAL(tg_rec_frame(&r, t[i].h), t[i].want);
}

/* Authentic, and still wrong; and what max_fragment_length makes of it. */
static void contents12(void)
{
	static uint8_t content[TG_REC_CONTENT_MAX + 1], rec[BIG];
	uint8_t secret[48] = {6}, type;

	tg_aead_init("auto");
	for (uint32_t s = SUITES13; s < SUITES; s++) {
		pair_begin(suites[s], secret, 1);
		for (uint32_t t = 0; t < 256; t++) {
			seal_one(&pair.tx, (uint8_t)t, content, t % 3, rec);
			CU_ASSERT_EQUAL(open_one(&pair.rx, rec, &type),
				t >= TG_REC_ALERT && t <= TG_REC_DATA
					? (int32_t)t % 3
					: -TG_ALERT_UNEXPECTED_MESSAGE);
		}
		for (uint8_t max = 14; max >= 9; max--) {
			pair.rx.max_log2 = max;
			seal_one(&pair.tx, TG_REC_DATA, content, 1u << max, rec);
			CU_ASSERT_EQUAL(open_one(&pair.rx, rec, &type), 1 << max);
			seal_one(&pair.tx, TG_REC_DATA, content, (1u << max) + 1, rec);
			CU_ASSERT_EQUAL(open_one(&pair.rx, rec, &type), -TG_ALERT_RECORD_OVERFLOW);
		}
		pair_end();
	}
}

/* Not even a type, if with a tag that is right. */
static void no_inner_plaintext(void)
{
	uint8_t secret[48] = {6}, rec[32], type;

	pair_begin(TG_SUITE_AES_128_GCM_SHA256, secret, 1);
	CU_ASSERT_EQUAL(seal_raw(&pair.tx, rec, 0, NULL, rec), TG_REC_HEADER + TG_AEAD_TAG);
	CU_ASSERT_EQUAL(open_one(&pair.rx, rec, &type), -TG_ALERT_BAD_RECORD_MAC);
	pair_end();
}

/* Authentic, and still wrong: the inner plain text is `n` bytes of 'x', then `type`, then zeros. */
static int32_t inner(uint32_t n, uint8_t type, uint32_t zeros, uint32_t piece)
{
	static uint8_t text[BIG], rec[BIG];
	static struct tg_span cuts[BIG];
	uint8_t secret[48] = {6}, got = 0;
	uint32_t total;
	int32_t rc;

	pair_begin(TG_SUITE_AES_128_GCM_SHA256, secret, 1);
	memset(text, 'x', n);
	text[n] = type;
	memset(text + n + 1, 0, zeros);
	total = seal_raw(&pair.tx, text, n + 1 + zeros, NULL, rec);
	rc = tg_rec_frame(&pair.rx, rec);
	CU_ASSERT_EQUAL(rc, (int32_t)total);
	rc = tg_rec_open(&pair.rx, cuts, cut_even(rec, total, piece, cuts), &got);
	CU_ASSERT(rc < 0 || (got == type && !memcmp(rec + TG_REC_HEADER, text, n)));
	pair_end();
	return rc;
}

static void inner_plaintext(void)
{
	static const uint32_t pieces[] = {BIG, 1, 5, 7, 8, 21, 1448};

	tg_aead_init("auto");
	no_inner_plaintext();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(pieces); i++) {
		uint32_t p = pieces[i];

		for (uint32_t zeros = 0; zeros < 40; zeros++) {
			CU_ASSERT_EQUAL(inner(0, TG_REC_DATA, zeros, p), 0);
			CU_ASSERT_EQUAL(inner(3, TG_REC_ALERT, zeros, p), 3);
			CU_ASSERT_EQUAL(inner(0, 0, zeros, p), -TG_ALERT_UNEXPECTED_MESSAGE);
		}
		CU_ASSERT_EQUAL(inner(16384, TG_REC_DATA, 0, p), 16384);
		CU_ASSERT_EQUAL(inner(16384, TG_REC_HANDSHAKE, 239, p), 16384);
		CU_ASSERT_EQUAL(inner(16385, TG_REC_DATA, 0, p), -TG_ALERT_RECORD_OVERFLOW);
		CU_ASSERT_EQUAL(inner(16385, TG_REC_DATA, 238, p), -TG_ALERT_RECORD_OVERFLOW);
		CU_ASSERT_EQUAL(inner(16623, TG_REC_DATA, 0, p), -TG_ALERT_RECORD_OVERFLOW);
		CU_ASSERT_EQUAL(inner(16623, 99, 0, p), -TG_ALERT_UNEXPECTED_MESSAGE);
		CU_ASSERT_EQUAL(inner(0, TG_REC_DATA, 16623, p), 0);
		CU_ASSERT_EQUAL(inner(0, 0, 16623, p), -TG_ALERT_UNEXPECTED_MESSAGE);
		CU_ASSERT_EQUAL(inner(0, TG_REC_ALERT, 0, p), -TG_ALERT_UNEXPECTED_MESSAGE);
		CU_ASSERT_EQUAL(inner(0, TG_REC_HANDSHAKE, 9, p), -TG_ALERT_UNEXPECTED_MESSAGE);
	}
	for (uint32_t type = 1; type < 256; type++)
		CU_ASSERT_EQUAL(inner(4, (uint8_t)type, 3, 9),
			type >= TG_REC_ALERT && type <= TG_REC_DATA ? 4
								    : -TG_ALERT_UNEXPECTED_MESSAGE);
}

/* --- keys ------------------------------------------------------------------------------------- */

static void generations_one(void)
{
	uint8_t secret[48] = {1}, byte = 7, old[32], rec[32], type;

	for (uint32_t s = 0; s < SUITES13; s++) {
		pair_begin(suites[s], secret, 5);
		for (uint32_t g = 0; g < 50; g++) {
			seal_one(&pair.tx, TG_REC_DATA, &byte, 1, rec);
			CU_ASSERT_EQUAL(open_one(&pair.rx, rec, &type), 1);
			memcpy(old, pair.tx.traffic_key, 32);
			CU_ASSERT(tg_rec_next_key(&pair.tx));
			CU_ASSERT(memcmp(old, pair.tx.traffic_key, 16));
			CU_ASSERT_EQUAL(pair.tx.seq, 0);
			/* Asleep it changes as well. */
			if (g % 2)
				tg_rec_rest(&pair.rx);
			CU_ASSERT(tg_rec_next_key(&pair.rx));
			if (g % 2)
				CU_ASSERT(tg_rec_wake(&pair.rx, &pair.rx_key));
		}
		/* One generation apart. */
		CU_ASSERT(tg_rec_next_key(&pair.tx));
		seal_one(&pair.tx, TG_REC_DATA, &byte, 1, rec);
		CU_ASSERT_EQUAL(open_one(&pair.rx, rec, &type), -TG_ALERT_BAD_RECORD_MAC);
		pair_end();
	}
}

static void generations(void)
{
	each(generations_one);
}

static void resting_one(void)
{
	uint8_t secret[48], rec[32], type;
	struct tg_rec none = {0};
	struct tg_rng r;

	tg_rng_seed(&r, 9);
	fill(&r, secret, sizeof(secret));
	for (uint32_t s = 0; s < SUITES; s++) {
		pair_begin(suites[s], secret, 0);
		for (uint8_t i = 0; i < 10; i++) {
			seal_one(&pair.tx, TG_REC_DATA, &i, 1, rec);
			CU_ASSERT_PTR_EQUAL(tg_rec_rest(&pair.rx), &pair.rx_key);
			CU_ASSERT_PTR_NULL(tg_rec_rest(&pair.rx));
			CU_ASSERT_PTR_NULL(memmem(&pair.rx_key, sizeof(pair.rx_key),
				pair.rx.traffic_key, ops_in_use(&pair.rx)->key_size));
			CU_ASSERT(tg_rec_wake(&pair.rx, &pair.rx_key));
			CU_ASSERT_EQUAL(open_one(&pair.rx, rec, &type), 1);
			CU_ASSERT(rec[pair.rx.front] == i && pair.rx.seq == i + 1u);
		}
		ops_in_use(&pair.tx)->discard(tg_rec_rest(&pair.tx));
		tg_rec_wipe(&pair.tx);
		CU_ASSERT(!memcmp(&pair.tx, &none, sizeof(none)));
		rec_discard(&pair.rx);
	}
}

static void resting(void)
{
	each(resting_one);
}

static void wear(void)
{
	uint8_t secret[48] = {1};
	struct tg_rec r;

	tg_aead_init("auto");
	for (uint32_t s = 0; s < 2; s++) {
		tg_rec_init(&r, suites[s], secret, 0);
		CU_ASSERT(!tg_rec_worn(&r));
		r.seq = 20000000; /* of 23.7 million, section 5.5 */
		CU_ASSERT(!tg_rec_worn(&r));
		r.seq = 23000000;
		CU_ASSERT(tg_rec_worn(&r));
		CU_ASSERT(tg_rec_next_key(&r));
		CU_ASSERT(!tg_rec_worn(&r));
	}
	tg_rec_init(&r, TG_SUITE_CHACHA20_POLY1305_SHA256, secret, UINT64_C(1) << 62);
	CU_ASSERT(!tg_rec_worn(&r));
}

TG_TEST_MAIN("record", {"RFC 8448 keys", rfc8448_keys}, {"RFC 8448 records", rfc8448_records},
	{"derivation", derivation}, {"TLS 1.2: derivation", derivation12},
	{"TLS 1.2: headers", headers12}, {"TLS 1.2: contents", contents12},
	{"round trips", round_trips}, {"interop", interop}, {"every bit", every_bit},
	{"order", order}, {"headers", headers}, {"inner plain text", inner_plaintext},
	{"generations", generations}, {"resting", resting}, {"wear", wear})
