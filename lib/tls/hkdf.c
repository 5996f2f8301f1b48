/* hkdf.c: how keys come from secrets: HKDF of TLS 1.3 (RFC 8446 section 7.1) and the
 * PRF of TLS 1.2 (RFC 5246 section 5), over HMAC (RFC 2104, RFC 5869).
 *
 * HMAC is spelled out over hash.h: EVP_MAC and EVP_KDF allocate at each use, and a KeyUpdate is
 * handled on a worker, as often as a peer likes.
 */
#include "hash.h"

#include "record.h"

#define BLOCK_MAX 128
#define HASH_MAX 48
#define INFO_MAX (2 + 1 + 6 + 12 + 1 + 64 + 1) /* with the round */
#define SEED_MAX (32 + 64)                     /* the PRF's, with its label */

void tg_hash_init(struct tg_hash *h, bool wide)
{
	h->wide = wide;
	if (wide)
		SHA384_Init(&h->s384);
	else
		SHA256_Init(&h->s256);
}

void tg_hash_update(struct tg_hash *h, const void *p, uint32_t n)
{
	if (h->wide)
		SHA384_Update(&h->s384, p, n);
	else
		SHA256_Update(&h->s256, p, n);
}

void tg_hash_final(struct tg_hash *h, uint8_t *out)
{
	if (h->wide)
		SHA384_Final(out, &h->s384);
	else
		SHA256_Final(out, &h->s256);
}

/* n: at most a block of the hash. */
static void hmac_init(struct tg_hmac *m, bool wide, const uint8_t *key, uint32_t n)
{
	uint32_t block = wide ? 128 : 64;
	uint8_t pad[BLOCK_MAX] = {0};

	if (n)
		memcpy(pad, key, n);
	for (uint32_t i = 0; i < block; i++)
		pad[i] ^= 0x36;
	tg_hash_init(&m->inner, wide);
	tg_hash_update(&m->inner, pad, block);
	for (uint32_t i = 0; i < block; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	tg_hash_init(&m->outer, wide);
	tg_hash_update(&m->outer, pad, block);
	explicit_bzero(pad, sizeof(pad));
}

/* What m, keyed, says of n bytes and then more. */
static void hmac_of(
	const struct tg_hmac *keyed, struct tg_view a, struct tg_view more, uint8_t *out)
{
	struct tg_hmac m = *keyed;
	uint32_t size = m.inner.wide ? 48 : 32;

	tg_hash_update(&m.inner, a.p, a.n);
	if (more.n)
		tg_hash_update(&m.inner, more.p, more.n);
	tg_hash_final(&m.inner, out);
	tg_hash_update(&m.outer, out, size);
	tg_hash_final(&m.outer, out);
	explicit_bzero(&m, sizeof(m));
}

uint32_t tg_suite_hash_size(enum tg_suite suite)
{
	return suite == TG_SUITE_AES_256_GCM_SHA384 || suite == TG_SUITE12_AES_256_GCM_SHA384 ? 48
											      : 32;
}

/* struct HkdfLabel; returns its length. */
static uint32_t label_write(
	uint8_t *info, const char *label, struct tg_view context, uint32_t length)
{
	uint32_t n = (uint32_t)strlen(label), at = 0;

	tg_store_be16(info, (uint16_t)length);
	at += 2;
	info[at++] = (uint8_t)(6 + n);
	memcpy(info + at, "tls13 ", 6);
	at += 6;
	memcpy(info + at, label, n);
	at += n;
	info[at++] = (uint8_t)context.n;
	if (context.n)
		memcpy(info + at, context.p, context.n);
	return at + context.n;
}

void tg_hkdf_begin(struct tg_hmac *m, bool wide, const uint8_t *secret)
{
	hmac_init(m, wide, secret, wide ? 48 : 32);
}

void tg_hkdf_expand(const struct tg_hmac *keyed, const char *label, struct tg_view context,
	uint8_t *out, uint32_t n)
{
	uint32_t size = keyed->inner.wide ? 48 : 32, info_n, take;
	uint8_t info[INFO_MAX], t[HASH_MAX], round = 0;
	struct tg_hmac m;

	info_n = label_write(info, label, context, n);
	while (n) {
		m = *keyed;
		if (round)
			tg_hash_update(&m.inner, t, size);
		info[info_n] = ++round;
		tg_hash_update(&m.inner, info, info_n + 1);
		tg_hash_final(&m.inner, t);
		tg_hash_update(&m.outer, t, size);
		tg_hash_final(&m.outer, t);
		take = n < size ? n : size;
		memcpy(out, t, take);
		out += take;
		n -= take;
	}
	explicit_bzero(t, sizeof(t));
	explicit_bzero(&m, sizeof(m));
}

void tg_hkdf_expand_label(enum tg_suite suite, const uint8_t *secret, const char *label,
	struct tg_view context, uint8_t *out, uint32_t n)
{
	struct tg_hmac keyed;

	tg_hkdf_begin(&keyed, tg_suite_hash_size(suite) == 48, secret);
	tg_hkdf_expand(&keyed, label, context, out, n);
	explicit_bzero(&keyed, sizeof(keyed));
}

void tg_prf12(enum tg_suite suite, struct tg_view secret, const char *label, struct tg_view seed,
	uint8_t *out, uint32_t n)
{
	uint32_t size = tg_suite_hash_size(suite), n_label = (uint32_t)strlen(label), part;
	uint8_t text[SEED_MAX], a[HASH_MAX], t[HASH_MAX];
	struct tg_view all = {text, n_label + seed.n};
	struct tg_hmac keyed;

	memcpy(text, label, n_label);
	memcpy(text + n_label, seed.p, seed.n);
	hmac_init(&keyed, size == 48, secret.p, secret.n);
	hmac_of(&keyed, all, TG_VIEW_NONE, a);
	while (n) {
		hmac_of(&keyed, (struct tg_view){a, size}, all, t);
		hmac_of(&keyed, (struct tg_view){a, size}, TG_VIEW_NONE, a);
		part = n < size ? n : size;
		memcpy(out, t, part);
		out += part;
		n -= part;
	}
	explicit_bzero(a, sizeof(a));
	explicit_bzero(t, sizeof(t));
	explicit_bzero(&keyed, sizeof(keyed));
}

void tg_keys12(enum tg_suite suite, const uint8_t *master, const uint8_t *client_random,
	const uint8_t *server_random, struct tg_keys12 *out)
{
	uint32_t key = tg_suite_key_size(suite), iv = tg_suite12_iv_size(suite);
	uint8_t seed[64], block[2 * (TG_AEAD_KEY_MAX + TG_AEAD_NONCE)];

	memcpy(seed, server_random, 32);
	memcpy(seed + 32, client_random, 32);
	tg_prf12(suite, (struct tg_view){master, 48}, "key expansion",
		(struct tg_view){seed, sizeof(seed)}, block, 2 * (key + iv));
	for (uint32_t i = 0; i < 2; i++) {
		memcpy(out->key[i], block + i * key, key);
		memcpy(out->iv[i], block + 2 * key + i * iv, iv);
	}
	explicit_bzero(block, sizeof(block));
}

void tg_hkdf_extract(enum tg_suite suite, struct tg_view salt, struct tg_view secret, uint8_t *out)
{
	struct tg_hmac m;

	hmac_init(&m, tg_suite_hash_size(suite) == 48, salt.p, salt.n);
	tg_hash_update(&m.inner, secret.p, secret.n);
	tg_hash_final(&m.inner, out);
	tg_hash_update(&m.outer, out, tg_suite_hash_size(suite));
	tg_hash_final(&m.outer, out);
	explicit_bzero(&m, sizeof(m));
}

/* FIPS 180-4 */
void tg_hkdf_hash_empty(enum tg_suite suite, uint8_t *out)
{
	static const uint8_t empty[2][HASH_MAX] = {
		{0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f,
			0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95,
			0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55},
		{0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38, 0x4c, 0xd9, 0x32, 0x7e, 0xb1, 0xb1,
			0xe3, 0x6a, 0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe, 0x07, 0x43, 0x4c, 0x0c,
			0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda, 0x27, 0x4e, 0xde, 0xbf, 0xe7, 0x6f,
			0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b}};
	uint32_t n = tg_suite_hash_size(suite);

	memcpy(out, empty[n == 48], n);
}
