#include "schedule.h"

#include <openssl/crypto.h>

static bool is_wide(enum tg_suite suite)
{
	return tg_suite_hash_size(suite) == 48;
}

/* Derive-Secret with a hash that is there. */
static void derive(enum tg_suite suite, const uint8_t *secret, const char *label,
	const uint8_t *hash, uint8_t *out)
{
	uint32_t n = tg_suite_hash_size(suite);

	tg_hkdf_expand_label(suite, secret, label, tg_view_of(hash, n), out, n);
}

/* From one secret of the schedule to the next. */
static void extract_next(enum tg_suite suite, uint8_t *secret, struct tg_view key)
{
	uint8_t hash[TG_HASH_MAX], salt[TG_HASH_MAX];

	tg_hkdf_hash_empty(suite, hash);
	derive(suite, secret, "derived", hash, salt);
	tg_hkdf_extract(suite, tg_view_of(salt, tg_suite_hash_size(suite)), key, secret);
	OPENSSL_cleanse(salt, sizeof(salt));
}

static const uint8_t zeros[TG_HASH_MAX];

void tg_sched_begin(struct tg_sched *s, enum tg_suite suite, struct tg_view psk)
{
	s->suite = suite;
	tg_hash_init(&s->transcript, is_wide(suite));
	tg_hkdf_extract(suite, TG_VIEW_NONE,
		psk.n ? psk : tg_view_of(zeros, tg_suite_hash_size(suite)), s->secret);
}

void tg_sched_add(struct tg_sched *s, struct tg_view messages)
{
	tg_hash_update(&s->transcript, messages.p, messages.n);
}

void tg_sched_hash(const struct tg_sched *s, uint8_t *out)
{
	struct tg_hash h = s->transcript;

	tg_hash_final(&h, out);
}

/* Both traffic secrets, over what is there. */
static void traffic(
	struct tg_sched *s, const char *c, uint8_t *client, const char *v, uint8_t *server)
{
	uint32_t n = tg_suite_hash_size(s->suite);
	uint8_t hash[TG_HASH_MAX];
	struct tg_hmac keyed;

	tg_sched_hash(s, hash);
	tg_hkdf_begin(&keyed, is_wide(s->suite), s->secret);
	tg_hkdf_expand(&keyed, c, tg_view_of(hash, n), client, n);
	tg_hkdf_expand(&keyed, v, tg_view_of(hash, n), server, n);
	OPENSSL_cleanse(&keyed, sizeof(keyed));
}

void tg_sched_handshake(struct tg_sched *s, struct tg_view dhe, uint8_t *client, uint8_t *server)
{
	extract_next(s->suite, s->secret, dhe);
	traffic(s, "c hs traffic", client, "s hs traffic", server);
}

void tg_sched_master(struct tg_sched *s, uint8_t *client, uint8_t *server)
{
	extract_next(s->suite, s->secret, tg_view_of(zeros, tg_suite_hash_size(s->suite)));
	traffic(s, "c ap traffic", client, "s ap traffic", server);
}

void tg_sched_ticket(const struct tg_sched *s, struct tg_view nonce, uint8_t *psk)
{
	uint8_t hash[TG_HASH_MAX], resumption[TG_HASH_MAX];

	tg_sched_hash(s, hash);
	derive(s->suite, s->secret, "res master", hash, resumption);
	tg_hkdf_expand_label(
		s->suite, resumption, "resumption", nonce, psk, tg_suite_hash_size(s->suite));
	OPENSSL_cleanse(resumption, sizeof(resumption));
}

static void mac(enum tg_suite suite, const uint8_t *secret, const uint8_t *hash, uint8_t *out)
{
	uint32_t n = tg_suite_hash_size(suite);
	uint8_t key[TG_HASH_MAX];

	tg_hkdf_expand_label(suite, secret, "finished", TG_VIEW_NONE, key, n);
	tg_hkdf_extract(suite, tg_view_of(key, n), tg_view_of(hash, n), out); /* it is HMAC */
	OPENSSL_cleanse(key, sizeof(key));
}

void tg_sched_finished(const struct tg_sched *s, const uint8_t *secret, uint8_t *out)
{
	uint8_t hash[TG_HASH_MAX];

	tg_sched_hash(s, hash);
	mac(s->suite, secret, hash, out);
}

void tg_sched_binder(enum tg_suite suite, const uint8_t *psk, struct tg_view hello, uint8_t *out)
{
	uint8_t early[TG_HASH_MAX], key[TG_HASH_MAX], hash[TG_HASH_MAX];
	struct tg_hash h;

	tg_hkdf_extract(suite, TG_VIEW_NONE, tg_view_of(psk, tg_suite_hash_size(suite)), early);
	tg_hkdf_hash_empty(suite, hash);
	derive(suite, early, "res binder", hash, key);
	tg_hash_init(&h, is_wide(suite));
	tg_hash_update(&h, hello.p, hello.n);
	tg_hash_final(&h, hash);
	mac(suite, key, hash, out);
	OPENSSL_cleanse(early, sizeof(early));
	OPENSSL_cleanse(key, sizeof(key));
}

void tg_sched_wipe(struct tg_sched *s)
{
	OPENSSL_cleanse(s, sizeof(*s));
}
