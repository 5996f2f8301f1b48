/* record.h: record protection of TLS 1.3 (RFC 8446 section 5) and, with AEAD suites, of TLS 1.2
 * (RFC 5246 section 6.2.3.3, RFC 5288, RFC 7905): one direction of one connection.
 *
 * Sans-IO: pieces of memory in, pieces of memory out; neither connections nor OpenSSL's SSL are
 * known here. Owner: the worker of the connection. Bounds: struct tg_rec, and an expanded key while
 * the connection is active: an idle one drops it (tg_rec_rest) and makes it again from the traffic
 * key when it wakes (some 100 ns; from the secret it would be a microsecond, which is why both are
 * kept). Nothing here allocates or calls the system, but for tg_aead_ops.expand (aead.h).
 *
 *   TLS 1.3:  header 5 | ciphertext of (content, type, zero padding) | tag 16
 *   TLS 1.2:  header 5 | with GCM: nonce 8 | ciphertext of content | tag 16
 *
 * TLS 1.2 has no KeyUpdate, so its keys live as long as the connection. A nonce of GCM is never
 * used twice: it counts on from that of our Finished, which OpenSSL chose at random.
 */
#ifndef TG_TLS_RECORD_H
#define TG_TLS_RECORD_H

#include "aead.h"

#define TG_REC_HEADER 5
#define TG_REC_CONTENT_MAX 16384                          /* plaintext of one record */
#define TG_REC_OVERHEAD (TG_REC_HEADER + 1 + TG_AEAD_TAG) /* what sealing adds in TLS 1.3 */
#define TG_REC_BODY_MAX (TG_REC_CONTENT_MAX + 256)        /* the length field's limit (5.2) */
#define TG_REC_NONCE12 8 /* TLS 1.2, GCM: a nonce's explicit part */
#define TG_REC_FRONT_MAX (TG_REC_HEADER + TG_REC_NONCE12)
#define TG_REC_OVERHEAD_MAX (TG_REC_FRONT_MAX + TG_AEAD_TAG) /* whatever the version */

/* ContentType */
enum { TG_REC_CCS = 20, TG_REC_ALERT = 21, TG_REC_HANDSHAKE = 22, TG_REC_DATA = 23 };

/* What of a cipher suite concerns records: version, AEAD, hash. */
enum tg_suite {
	TG_SUITE_AES_128_GCM_SHA256,
	TG_SUITE_AES_256_GCM_SHA384,
	TG_SUITE_CHACHA20_POLY1305_SHA256,
	TG_SUITE12_AES_128_GCM_SHA256, /* from here on TLS 1.2 */
	TG_SUITE12_AES_256_GCM_SHA384,
	TG_SUITE12_CHACHA20_POLY1305_SHA256
};

static inline bool tg_suite_is12(enum tg_suite suite)
{
	return suite >= TG_SUITE12_AES_128_GCM_SHA256;
}

struct tg_rec {
	/* What every record needs: 32 bytes. */
	struct tg_aead_key *key;   /* NULL: at rest */
	uint64_t seq;              /* of the next record */
	uint8_t iv[TG_AEAD_NONCE]; /* TLS 1.2, GCM: salt, and (sending) the nonce of record 0 */
	uint8_t suite;             /* enum tg_suite */
	uint8_t front;             /* bytes before the content */
	uint8_t max_log2;          /* content of a record: at most 2 to this power */
	uint8_t traffic_key[TG_AEAD_KEY_MAX];
	uint8_t secret[48]; /* TLS 1.3: traffic secret, 32 or 48 bytes */
};
_Static_assert(sizeof(struct tg_rec) == 112, "idle connections are counted in bytes");

static inline bool tg_rec_is12(const struct tg_rec *r)
{
	return tg_suite_is12((enum tg_suite)r->suite);
}
/* Bytes that sealing adds. */
static inline uint32_t tg_rec_overhead(const struct tg_rec *r)
{
	return r->front + !tg_rec_is12(r) + TG_AEAD_TAG;
}
/* The most content of a record: TG_REC_CONTENT_MAX, or what max_fragment_length says (RFC 6066). */
static inline uint32_t tg_rec_content_max(const struct tg_rec *r)
{
	return 1u << r->max_log2;
}

/* From a traffic secret (32 or 48 bytes, by suite) and the number of records that it has protected
 * already. The record is at rest. */
void tg_rec_init(struct tg_rec *r, enum tg_suite suite, const uint8_t *secret, uint64_t seq);
/* TLS 1.2: from a key, the nonce's fixed part (GCM: 4 bytes, ChaCha20: 12) and, for sending with
 * GCM, the explicit part of record 0, from which the others count up. */
void tg_rec_init12(struct tg_rec *r, enum tg_suite suite, const uint8_t *key, const uint8_t *iv,
	uint64_t nonce, uint64_t seq);
/* Makes the record usable with memory for its expanded key (see aead.h for its life); false: the
 * library refuses, and r stays at rest. */
bool tg_rec_wake(struct tg_rec *r, struct tg_aead_key *key);
/* Wipes the expanded key and returns its memory, or NULL if it was at rest. */
struct tg_aead_key *tg_rec_rest(struct tg_rec *r);
/* Wipes all secrets; after tg_rec_rest(). */
void tg_rec_wipe(struct tg_rec *r);
/* TLS 1.3, KeyUpdate (section 7.2): the next generation of the secret; seq = 0. Awake stays awake.
 * False: the library refuses to expand the key; r must not be used again. */
bool tg_rec_next_key(struct tg_rec *r);
/* Whether the key-use limit of section 5.5 is near: a KeyUpdate should be sent. No suite has a
 * lower limit than GCM's. */
#define TG_REC_WORN(max) ((max) - (max) / 8)
bool tg_rec_is_worn(const struct tg_rec *r);
static inline bool tg_rec_may_be_worn(const struct tg_rec *r)
{
	return r->seq >= TG_REC_WORN(TG_AEAD_GCM_RECORDS);
}
static inline bool tg_rec_worn(const struct tg_rec *r)
{
	return tg_unlikely(tg_rec_may_be_worn(r)) && tg_rec_is_worn(r);
}

/* Seals n bytes of content (<= tg_rec_content_max(), the total of `in`) as one record of n +
 * tg_rec_overhead() bytes into the front of `out`, which has room for them, in pieces of any size.
 * Content that stands already where its ciphertext goes (r->front bytes into `out`, both in one
 * piece) is fine; any other overlap is not. r must be awake. */
void tg_rec_seal(struct tg_rec *r, uint8_t type, const struct tg_view *in, uint32_t n_in,
	uint32_t n, const struct tg_span *out, uint32_t n_out);

/* Alerts of RFC 8446 section 6 and RFC 5246 section 7.2 that Tidegate sends by itself. Functions
 * return them negative, so that they fit beside lengths. */
enum tg_alert {
	TG_ALERT_CLOSE_NOTIFY = 0,
	TG_ALERT_UNEXPECTED_MESSAGE = 10,
	TG_ALERT_BAD_RECORD_MAC = 20,
	TG_ALERT_RECORD_OVERFLOW = 22,
	TG_ALERT_HANDSHAKE_FAILURE = 40,
	TG_ALERT_ILLEGAL_PARAMETER = 47,
	TG_ALERT_DECODE_ERROR = 50,
	TG_ALERT_PROTOCOL_VERSION = 70,
	TG_ALERT_INTERNAL_ERROR = 80,
	TG_ALERT_USER_CANCELED = 90,
	TG_ALERT_NO_RENEGOTIATION = 100,
};

/* Looks at a record header. > 0: bytes of the whole record; a negative alert: not acceptable on an
 * encrypted connection (type, version, length). */
int32_t tg_rec_frame_odd(const struct tg_rec *r, const uint8_t header[static TG_REC_HEADER]);
static inline int32_t tg_rec_frame(
	const struct tg_rec *r, const uint8_t header[static TG_REC_HEADER])
{
	int32_t n = tg_load_be16(header + 3);

	/* Nothing that either version would refuse. */
	if (tg_likely(header[0] == TG_REC_DATA && header[1] == 3 && header[2] == 3 &&
		      n <= TG_REC_BODY_MAX))
		return TG_REC_HEADER + n;
	return tg_rec_frame_odd(r, header);
}
/* Opens one whole record, which tg_rec_frame() accepted and which stands at the front of the pieces
 * (any sizes), in place. >= 0: bytes of content, which stand r->front bytes into it, and *type the
 * type (alert, handshake or data; in TLS 1.3 the first two are never empty); negative: an alert.
 * After a failure r must not be used again. r must be awake. */
int32_t tg_rec_open(struct tg_rec *r, const struct tg_span *rec, uint32_t cnt, uint8_t *type);

/* HKDF-Expand-Label (section 7.1) with the suite's hash; secret has the hash's length. label
 * without "tls13 ", at most 12 characters; context at most 64 bytes; n at most 255. */
void tg_hkdf_expand_label(enum tg_suite suite, const uint8_t *secret, const char *label,
	struct tg_view context, uint8_t *out, uint32_t n);
/* HKDF-Extract (RFC 5869 section 2.2) with the suite's hash, whose length out has. salt: at most
 * that length. */
void tg_hkdf_extract(enum tg_suite suite, struct tg_view salt, struct tg_view secret, uint8_t *out);
/* The hash of no bytes at all. */
void tg_hkdf_hash_empty(enum tg_suite suite, uint8_t *out);
/* Of the suite's hash: 32 or 48. */
uint32_t tg_suite_hash_size(enum tg_suite suite);

/* TLS 1.2: the key block (RFC 5246 section 6.3) of an AEAD suite: [0] is what the client seals
 * with, [1] what the server does. master: 48 bytes, randoms: 32 bytes. */
struct tg_keys12 {
	uint8_t key[2][TG_AEAD_KEY_MAX], iv[2][TG_AEAD_NONCE];
};
void tg_keys12(enum tg_suite suite, const uint8_t *master, const uint8_t *client_random,
	const uint8_t *server_random, struct tg_keys12 *out);
/* The PRF (section 5) with the suite's hash; seed at most 64 bytes. */
void tg_prf12(enum tg_suite suite, struct tg_view secret, const char *label, struct tg_view seed,
	uint8_t *out, uint32_t n);
/* Bytes of the fixed part of a nonce: 4 or 12. */
uint32_t tg_suite12_iv_size(enum tg_suite suite);
/* Bytes of a key: 16 or 32. */
uint32_t tg_suite_key_size(enum tg_suite suite);

#endif
