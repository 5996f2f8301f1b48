#include "schedule.h"

static bool is_wide(enum tg_suite suite)
{
	return tg_suite_hash_size(suite) == 48;
}

/* Derive-Secret with a hash that is there. */
static void derive(const struct tg_sched *s, const char *label, const uint8_t *hash, uint8_t *out)
{
	uint32_t n = tg_suite_hash_size(s->suite);

	tg_hkdf_expand(&s->secret, label, tg_view_of(hash, n), out, n);
}

/* The salt for the next secret. */
static void derive_salt(struct tg_sched *s)
{
	uint8_t hash[TG_HASH_MAX];

	tg_hkdf_hash_empty(s->suite, hash);
	derive(s, "derived", hash, s->salt);
}

static void extract(struct tg_sched *s, struct tg_view salt, struct tg_view key)
{
	uint8_t secret[TG_HASH_MAX];

	tg_hkdf_extract(s->suite, salt, key, secret);
	tg_hkdf_begin(&s->secret, is_wide(s->suite), secret);
	explicit_bzero(secret, sizeof(secret));
}

/* From one secret of the schedule to the next. */
static void extract_next(struct tg_sched *s, struct tg_view key)
{
	extract(s, tg_view_of(s->salt, tg_suite_hash_size(s->suite)), key);
}

static const uint8_t zeros[TG_HASH_MAX];

/* Without a PSK what is derived from the Early Secret is the same in all handshakes: for SHA-256 it
 * is in RFC 8448 section 3. */
static const uint8_t salt_without_psk[2][TG_HASH_MAX] = {
	{0x6f, 0x26, 0x15, 0xa1, 0x08, 0xc7, 0x02, 0xc5, 0x67, 0x8f, 0x54, 0xfc, 0x9d, 0xba, 0xb6,
		0x97, 0x16, 0xc0, 0x76, 0x18, 0x9c, 0x48, 0x25, 0x0c, 0xeb, 0xea, 0xc3, 0x57, 0x6c,
		0x36, 0x11, 0xba},
	{0x15, 0x91, 0xda, 0xc5, 0xcb, 0xbf, 0x03, 0x30, 0xa4, 0xa8, 0x4d, 0xe9, 0xc7, 0x53, 0x33,
		0x0e, 0x92, 0xd0, 0x1f, 0x0a, 0x88, 0x21, 0x4b, 0x44, 0x64, 0x97, 0x2f, 0xd6, 0x68,
		0x04, 0x9e, 0x93, 0xe5, 0x2f, 0x2b, 0x16, 0xfa, 0xd9, 0x22, 0xfd, 0xc0, 0x58, 0x44,
		0x78, 0x42, 0x8f, 0x28, 0x2b}};

void tg_sched_begin(struct tg_sched *s, enum tg_suite suite, struct tg_view psk)
{
	s->suite = suite;
	tg_hash_init(&s->transcript, is_wide(suite));
	if (psk.n) {
		extract(s, TG_VIEW_NONE, psk);
		derive_salt(s);
	} else {
		memcpy(s->salt, salt_without_psk[is_wide(suite)], sizeof(s->salt));
	}
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
	const struct tg_sched *s, const char *c, uint8_t *client, const char *v, uint8_t *server)
{
	uint8_t hash[TG_HASH_MAX];

	tg_sched_hash(s, hash);
	derive(s, c, hash, client);
	derive(s, v, hash, server);
}

void tg_sched_handshake(struct tg_sched *s, struct tg_view dhe, uint8_t *client, uint8_t *server)
{
	extract_next(s, dhe);
	traffic(s, "c hs traffic", client, "s hs traffic", server);
	derive_salt(s);
}

void tg_sched_master(struct tg_sched *s, uint8_t *client, uint8_t *server)
{
	extract_next(s, tg_view_of(zeros, tg_suite_hash_size(s->suite)));
	traffic(s, "c ap traffic", client, "s ap traffic", server);
}

void tg_sched_ticket(const struct tg_sched *s, struct tg_view nonce, uint8_t *psk)
{
	uint8_t hash[TG_HASH_MAX], resumption[TG_HASH_MAX];

	tg_sched_hash(s, hash);
	derive(s, "res master", hash, resumption);
	tg_hkdf_expand_label(
		s->suite, resumption, "resumption", nonce, psk, tg_suite_hash_size(s->suite));
	explicit_bzero(resumption, sizeof(resumption));
}

/* The MAC over what is there, with the key that belongs to this secret. */
void tg_sched_finished(const struct tg_sched *s, const uint8_t *secret, uint8_t *out)
{
	uint32_t n = tg_suite_hash_size(s->suite);
	uint8_t key[TG_HASH_MAX], hash[TG_HASH_MAX];

	tg_sched_hash(s, hash);
	tg_hkdf_expand_label(s->suite, secret, "finished", TG_VIEW_NONE, key, n);
	tg_hkdf_extract(s->suite, tg_view_of(key, n), tg_view_of(hash, n), out); /* it is HMAC */
	explicit_bzero(key, sizeof(key));
}

void tg_sched_binder(const struct tg_sched *s, uint8_t *out)
{
	uint8_t key[TG_HASH_MAX], hash[TG_HASH_MAX];

	tg_hkdf_hash_empty(s->suite, hash);
	derive(s, "res binder", hash, key);
	tg_sched_finished(s, key, out);
	explicit_bzero(key, sizeof(key));
}

void tg_sched_wipe(struct tg_sched *s)
{
	explicit_bzero(s, sizeof(*s));
}
