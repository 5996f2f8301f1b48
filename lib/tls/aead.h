/* aead.h: authenticated encryption of TLS 1.3 records (RFC 8446 section 5.2, RFC 5116).
 *
 * Two implementations behind one table: intel-ipsec-mb's direct calls (x86-64: AES-NI up to VAES
 * with AVX-512, chosen by the library for the CPU at run time) and OpenSSL's EVP (arm64 with the
 * ARMv8 AES and PMULL instructions, and wherever ipsec-mb is not built in). Both pass the same
 * vectors.
 *
 * Owner: whoever owns the key; no global state but the table, which tg_aead_init() fills once,
 * before the workers start. Bounds: an expanded key is TG_AEAD_KEY_BYTES, 64-byte aligned, made
 * from and wiped back into memory of the caller. seal and open neither allocate nor call the
 * system, and may be called with in == out (in place); partial overlap is not allowed. Not here:
 * nonces, sequence numbers, record headers (record.h).
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
#define TG_AEAD_KEY_BYTES 1088 /* an expanded key of any implementation; asserted */

struct tg_aead_key {
	uint8_t b[TG_AEAD_KEY_BYTES];
} __attribute__((aligned(64)));

struct tg_aead_ops {
	const char *name;     /* "ipsec-mb" or "evp" */
	uint8_t key_size;     /* 16 or 32 */
	uint64_t max_records; /* key-use limit (RFC 8446 section 5.5), records of full size */
	/* Expands key (key_size bytes) into k; false: the library refuses (counted by the caller).
	 */
	bool (*expand)(struct tg_aead_key *k, const uint8_t *key);
	/* Wipes k and lets go of whatever expand() took. */
	void (*forget)(struct tg_aead_key *k);
	/* Encrypts the bytes of `in` into those of `out`, two lists of pieces with equal totals
	 * (their cuts may differ), and writes the tag. */
	void (*seal)(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
		struct tg_view aad, const struct tg_view *in, uint32_t n_in,
		const struct tg_span *out, uint32_t n_out, uint8_t tag[static TG_AEAD_TAG]);
	/* Decrypts the pieces in place. False: the tag is wrong (compared in constant time), and
	 * the pieces hold garbage that nobody may look at. */
	bool (*open)(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
		struct tg_view aad, const struct tg_span *io, uint32_t n,
		const uint8_t tag[static TG_AEAD_TAG]);
};

/* Once, from the control core. Returns the name of the implementation in use ("ipsec-mb
 * (vaes_avx512)"). */
const char *tg_aead_init(void);
/* The implementation in use. */
const struct tg_aead_ops *tg_aead_get(enum tg_aead_id id);
/* A named one, for tests and benchmarks; NULL: not built in, or not for this CPU. */
const struct tg_aead_ops *tg_aead_named(const char *impl, enum tg_aead_id id);

#endif
