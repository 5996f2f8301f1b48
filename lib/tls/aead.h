/* aead.h: authenticated encryption of TLS 1.3 records (RFC 8446 section 5.2, RFC 5116).
 *
 * Two implementations behind one table: intel-ipsec-mb's direct calls (x86-64: AES-NI up to VAES
 * with AVX-512, chosen by the library for the CPU at run time; aead_vaes.h stands in where the CPU
 * has the one without the other) and OpenSSL's EVP (arm64 with the ARMv8 AES and PMULL
 * instructions, and wherever ipsec-mb is not built in). Both pass the same vectors.
 *
 * Owner: whoever owns the key; no global state but the table, which tg_aead_init() fills once,
 * before the workers start. Bounds: an expanded key is TG_AEAD_KEY_BYTES, 64-byte aligned, in
 * memory of the caller, which also holds the state of the record that is under way. Its life:
 *
 *	zeroed --> expand() --> seal, open, ... --> forget() --> expand() ... --> discard()
 *
 * seal, open and the calls on pieces neither allocate nor call the system. Nor does expand() with
 * ipsec-mb. With EVP it allocates what libcrypto wants (under 1 KiB) the first time that this
 * memory is used with this cipher; it stays through forget(), so that a pool of keys comes to rest,
 * and discard() frees it. Not here: nonces, sequence numbers, record headers (record.h).
 */
#ifndef TG_TLS_AEAD_H
#define TG_TLS_AEAD_H

#include <tidegate/view.h>

enum tg_aead_id {
	TG_AEAD_AES_128_GCM,
	TG_AEAD_AES_256_GCM,
	TG_AEAD_CHACHA20_POLY1305,
	TG_AEAD_MAX
};

#define TG_AEAD_TAG 16
#define TG_AEAD_NONCE 12
#define TG_AEAD_KEY_MAX 32
#define TG_AEAD_KEY_BYTES 1472 /* an expanded key of any implementation; asserted */
#define TG_AEAD_KEY_HOT 320    /* of which a record of moderate size touches the first, mostly */

struct tg_aead_key {
	uint8_t b[TG_AEAD_KEY_BYTES];
} __attribute__((aligned(64)));

/* Lengths are at most 2^31 bytes a record. n = 0 is fine everywhere, and the pointer that goes with
 * it may then be anything. `in` and `out` are the same memory or do not overlap. */
struct tg_aead_ops {
	const char *name;     /* "ipsec-mb" or "evp" */
	uint8_t key_size;     /* 16 or 32 */
	uint16_t key_bytes;   /* of a struct tg_aead_key, what it uses: at most TG_AEAD_KEY_BYTES */
	uint64_t max_records; /* key-use limit (RFC 8446 section 5.5), records of full size */

	/* Expands key (key_size bytes) into k; false: the library refuses, and k is as it was. */
	bool (*expand)(struct tg_aead_key *k, const uint8_t *key);
	/* Wipes what expand() made. */
	void (*forget)(struct tg_aead_key *k);
	/* After forget(): lets go of k for good; k is zeroed. */
	void (*discard)(struct tg_aead_key *k);

	/* A whole record in one piece. open() is false where the tag is wrong (compared in constant
	 * time): then io holds garbage that nobody may look at. */
	void (*seal)(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
		struct tg_view aad, const uint8_t *in, uint8_t *out, uint32_t n,
		uint8_t tag[static TG_AEAD_TAG]);
	bool (*open)(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
		struct tg_view aad, uint8_t *io, uint32_t n, const uint8_t tag[static TG_AEAD_TAG]);

	/* The same in pieces of any size: start, any number of steps, finish. Sealing, finish()
	 * writes the tag and is true; opening, it compares. */
	void (*start)(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
		struct tg_view aad, bool sealing);
	void (*step)(struct tg_aead_key *k, const uint8_t *in, uint8_t *out, uint32_t n);
	bool (*finish)(struct tg_aead_key *k, uint8_t tag[static TG_AEAD_TAG]);
};

/* Chooses the implementation: "auto", "ipsec-mb", "evp". Once, from the control core, before any
 * worker runs. Returns what is in use, for people: "ipsec-mb (vaes_avx512)"; NULL: not built in, or
 * not for this CPU. */
const char *tg_aead_init(const char *impl);
/* The implementation in use; set by tg_aead_init(), constant afterwards. */
extern const struct tg_aead_ops *tg_aead_in_use;
/* What keys of any of its ciphers use, a multiple of 64. Where very many are kept, each lies in so
 * many bytes, not in a struct tg_aead_key. */
extern uint32_t tg_aead_key_bytes;
static inline const struct tg_aead_ops *tg_aead_get(enum tg_aead_id id)
{
	return &tg_aead_in_use[id];
}
/* On a worker's thread, before it expands keys: gives it an instance of the implementation's
 * library that no other thread uses, as far as there are (the memory and symbols of one, kept to
 * the end of the process). Whoever never calls it shares the first. */
void tg_aead_thread(void);
/* A named one, for tests and benchmarks; NULL: not built in, or not for this CPU. */
const struct tg_aead_ops *tg_aead_named(const char *impl, enum tg_aead_id id);

/* --- for the implementations ------------------------------------------------------------------ */

/* RFC 8446 section 5.5: 2^24.5 full-size records; ChaCha20-Poly1305 outlives its sequence numbers.
 */
#define TG_AEAD_GCM_RECORDS UINT64_C(23726566)
#define TG_AEAD_CHACHA_RECORDS UINT64_MAX

/* TG_AEAD_MAX tables each; NULL: not for this CPU. detail: for tg_aead_init()'s name. */
const struct tg_aead_ops *tg_aead_evp(void);
const struct tg_aead_ops *tg_aead_ipsecmb(const char **detail);
void tg_aead_ipsecmb_thread(void); /* tg_aead_thread() */

/* No early way out: the time tells nothing about where the difference is. */
static inline bool tg_aead_tag_eq(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

#endif
