/* aead_ipsecmb.c: AEAD by intel-ipsec-mb's direct calls, which work synchronously: no jobs, no
 * queue. Where the CPU has VAES but no AVX-512, AES-GCM goes through aead_vaes.c, and only the key
 * is expanded by the library.
 *
 * What this file relies on (tests/unit/tls/test_aead.c compares every cut with OpenSSL):
 *
 *   - The library's manager serves only to choose functions for the CPU. Their pointers are copied
 *     out of it, and it is freed: none of them works on the manager.
 *   - in == out is allowed. Pieces may have any size and alignment: the context carries the partial
 *     block from one update to the next.
 *   - A call with a NULL pointer where bytes belong does nothing and tells only the library's error
 *     number; so empty pieces never get as far as the library.
 *   - The context holds key stream and, for ChaCha20-Poly1305, the one-time key. It lives in the
 *     memory of the expanded key and is wiped with it; that of AES-GCM records in one piece is the
 *     thread's, and the key stream is wiped at once.
 *   - Every instance of the library expands keys alike: one works on what another made.
 *   - Each direct call begins by clearing the library's error number, one word of the library's
 *     whose cache line cores that seal at the same time send to and fro (perf/results/aead.txt). So
 *     threads that ask for it (tg_aead_thread) have an instance of the library each, in a namespace
 *     of its own: its code is shared, its words are not. glibc has room for a dozen namespaces, and
 *     not all is ours to take: threads beyond INSTANCES share, in turn.
 */
#include "aead.h"

#ifndef TG_HAVE_IPSEC_MB

const struct tg_aead_ops *tg_aead_ipsecmb(const char **detail)
{
	*detail = NULL;
	return NULL;
}

void tg_aead_ipsecmb_thread(void)
{
}

#else

#include <dlfcn.h>
#include <pthread.h>

#include "aead_vaes.h"

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

struct gcm_calls {
	aes_gcm_pre_t pre;
	aes_gcm_enc_dec_t enc, dec;
	aes_gcm_init_t init;
	aes_gcm_enc_dec_update_t enc_update, dec_update;
	aes_gcm_enc_dec_finalize_t enc_finalize, dec_finalize;
};

struct chacha_calls {
	chacha_poly_init_t init;
	chacha_poly_enc_dec_update_t enc_update, dec_update;
	chacha_poly_finalize_t finalize;
};

/* What one instance of the library offers. */
struct calls {
	keyexp_t keyexp128, keyexp256;
	struct gcm_calls gcm128, gcm256;
	struct chacha_calls chacha;
};

struct gcm {
	struct gcm_key_data key;
	/* Of a record in pieces; by whose functions is decided when it starts. */
	struct gcm_context_data ctx;
	const struct gcm_calls *calls;
	bool sealing;
};
_Static_assert(sizeof(struct gcm) <= TG_AEAD_KEY_BYTES, "an expanded key");
_Static_assert(_Alignof(struct gcm) <= _Alignof(struct tg_aead_key), "an expanded key");
_Static_assert(sizeof(struct tg_gcm_vaes) <= TG_AEAD_KEY_BYTES, "an expanded key");
_Static_assert(offsetof(struct tg_gcm_vaes, round_key[11]) <= TG_AEAD_KEY_HOT, "AES-128's");

struct chacha {
	uint8_t key[32];
	const struct chacha_calls *calls;
	struct chacha20_poly1305_context_data ctx;
	bool sealing;
};
_Static_assert(sizeof(struct chacha) <= TG_AEAD_KEY_BYTES, "an expanded key");

#define INSTANCES 8

/* [0] is the one that is linked, filled by tg_aead_ipsecmb(); the others as threads ask. */
static struct calls instance[INSTANCES];
static _Thread_local const struct calls *here = &instance[0];

static void discard(struct tg_aead_key *k)
{
}

/* --- AES-GCM ---------------------------------------------------------------------------------- */

/* The context of records in one piece, which is nothing between two of them: one that stays warm.
 */
static _Thread_local struct gcm_context_data whole;

/* Key stream of a record's last block is left there. */
static inline void forget_whole(void)
{
	memset(whole.partial_block_enc_key, 0, sizeof(whole.partial_block_enc_key));
	/* The bytes are really written, though nobody reads them. */
	__asm__ volatile("" : : "r"(&whole) : "memory");
}

static void gcm_forget(struct tg_aead_key *k)
{
	explicit_bzero(k, sizeof(struct gcm));
}

static inline void seal_by(aes_gcm_enc_dec_t enc, struct tg_aead_key *k, const uint8_t *nonce,
	struct tg_view aad, const uint8_t *in, uint8_t *out, uint32_t n, uint8_t *tag)
{
	struct gcm *g = (struct gcm *)k;

	enc(&g->key, &whole, out, in, n, nonce, aad.p, aad.n, tag, TG_AEAD_TAG);
	forget_whole();
}

static inline bool open_by(aes_gcm_enc_dec_t dec, struct tg_aead_key *k, const uint8_t *nonce,
	struct tg_view aad, uint8_t *io, uint32_t n, const uint8_t *tag)
{
	struct gcm *g = (struct gcm *)k;
	uint8_t mine[TG_AEAD_TAG];

	dec(&g->key, &whole, io, io, n, nonce, aad.p, aad.n, mine, TG_AEAD_TAG);
	forget_whole();
	return tg_aead_tag_eq(mine, tag);
}

static inline bool expand_by(aes_gcm_pre_t pre, struct tg_aead_key *k, const uint8_t *key)
{
	struct gcm *g = (struct gcm *)k;

	pre(key, &g->key);
	return true;
}

static inline void start_by(const struct gcm_calls *calls, struct tg_aead_key *k,
	const uint8_t *nonce, struct tg_view aad, bool sealing)
{
	struct gcm *g = (struct gcm *)k;

	g->calls = calls;
	g->sealing = sealing;
	calls->init(&g->key, &g->ctx, nonce, aad.p, aad.n);
}

/* The two differ in the library's functions. */
#define GCM_OF(bits) \
	static bool gcm##bits##_expand(struct tg_aead_key *k, const uint8_t *key) \
	{ \
		return expand_by(here->gcm##bits.pre, k, key); \
	} \
	static void gcm##bits##_seal(struct tg_aead_key *k, \
		const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, const uint8_t *in, \
		uint8_t *out, uint32_t n, uint8_t tag[static TG_AEAD_TAG]) \
	{ \
		seal_by(here->gcm##bits.enc, k, nonce, aad, in, out, n, tag); \
	} \
	static bool gcm##bits##_open(struct tg_aead_key *k, \
		const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, uint8_t *io, \
		uint32_t n, const uint8_t tag[static TG_AEAD_TAG]) \
	{ \
		return open_by(here->gcm##bits.dec, k, nonce, aad, io, n, tag); \
	} \
	static void gcm##bits##_start(struct tg_aead_key *k, \
		const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, bool sealing) \
	{ \
		start_by(&here->gcm##bits, k, nonce, aad, sealing); \
	}

GCM_OF(128)
GCM_OF(256)

static void gcm_step(struct tg_aead_key *k, const uint8_t *in, uint8_t *out, uint32_t n)
{
	struct gcm *g = (struct gcm *)k;

	if (!n)
		return;
	if (g->sealing)
		g->calls->enc_update(&g->key, &g->ctx, out, in, n);
	else
		g->calls->dec_update(&g->key, &g->ctx, out, in, n);
}

static bool gcm_finish(struct tg_aead_key *k, uint8_t tag[static TG_AEAD_TAG])
{
	struct gcm *g = (struct gcm *)k;
	uint8_t mine[TG_AEAD_TAG];

	if (g->sealing) {
		g->calls->enc_finalize(&g->key, &g->ctx, tag, TG_AEAD_TAG);
		return true;
	}
	g->calls->dec_finalize(&g->key, &g->ctx, mine, TG_AEAD_TAG);
	return tg_aead_tag_eq(mine, tag);
}

/* --- AES-GCM by aead_vaes.c --------------------------------------------------------------------
 */

static void vaes_forget(struct tg_aead_key *k)
{
	explicit_bzero(k, sizeof(struct tg_gcm_vaes));
}

static inline bool vaes_expand(
	keyexp_t keyexp, uint32_t rounds, struct tg_aead_key *k, const uint8_t *key)
{
	struct tg_gcm_vaes *g = (struct tg_gcm_vaes *)k;
	uint8_t other[sizeof(g->round_key)] __attribute__((aligned(16))); /* to decrypt with */

	keyexp(key, g->round_key, other);
	explicit_bzero(other, sizeof(other));
	tg_gcm_vaes_init(g, rounds);
	return true;
}

static void vaes_start(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
	struct tg_view aad, bool sealing)
{
	tg_gcm_vaes_start((struct tg_gcm_vaes *)k, nonce, aad, sealing);
}

static inline bool vaes_finish(struct tg_aead_key *k, uint32_t rounds, uint8_t *tag)
{
	struct tg_gcm_vaes *g = (struct tg_gcm_vaes *)k;
	bool sealing = g->piece.sealing;
	uint8_t mine[TG_AEAD_TAG];

	tg_gcm_vaes_finish(g, rounds, sealing ? tag : mine);
	return sealing || tg_aead_tag_eq(mine, tag);
}

#define VAES_OF(bits, rounds) \
	static bool vaes##bits##_expand(struct tg_aead_key *k, const uint8_t *key) \
	{ \
		return vaes_expand(here->keyexp##bits, rounds, k, key); \
	} \
	static void vaes##bits##_seal(struct tg_aead_key *k, \
		const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, const uint8_t *in, \
		uint8_t *out, uint32_t n, uint8_t tag[static TG_AEAD_TAG]) \
	{ \
		tg_gcm_vaes_seal((struct tg_gcm_vaes *)k, rounds, nonce, aad, in, out, n, tag); \
	} \
	static bool vaes##bits##_open(struct tg_aead_key *k, \
		const uint8_t nonce[static TG_AEAD_NONCE], struct tg_view aad, uint8_t *io, \
		uint32_t n, const uint8_t tag[static TG_AEAD_TAG]) \
	{ \
		uint8_t mine[TG_AEAD_TAG]; \
\
		tg_gcm_vaes_open((struct tg_gcm_vaes *)k, rounds, nonce, aad, io, n, mine); \
		return tg_aead_tag_eq(mine, tag); \
	} \
	static void vaes##bits##_step( \
		struct tg_aead_key *k, const uint8_t *in, uint8_t *out, uint32_t n) \
	{ \
		tg_gcm_vaes_step((struct tg_gcm_vaes *)k, rounds, in, out, n); \
	} \
	static bool vaes##bits##_finish(struct tg_aead_key *k, uint8_t tag[static TG_AEAD_TAG]) \
	{ \
		return vaes_finish(k, rounds, tag); \
	}

VAES_OF(128, 10)
VAES_OF(256, 14)

/* --- ChaCha20-Poly1305 ------------------------------------------------------------------------ */

static void chacha_forget(struct tg_aead_key *k)
{
	explicit_bzero(k, sizeof(struct chacha));
}

static bool chacha_expand(struct tg_aead_key *k, const uint8_t *key)
{
	struct chacha *c = (struct chacha *)k;

	memcpy(c->key, key, sizeof(c->key));
	c->calls = &here->chacha;
	return true;
}

static void chacha_start(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
	struct tg_view aad, bool sealing)
{
	struct chacha *c = (struct chacha *)k;

	c->sealing = sealing;
	c->calls->init(c->key, &c->ctx, nonce, aad.p, aad.n);
}

static void chacha_step(struct tg_aead_key *k, const uint8_t *in, uint8_t *out, uint32_t n)
{
	struct chacha *c = (struct chacha *)k;

	if (!n)
		return;
	if (c->sealing)
		c->calls->enc_update(c->key, &c->ctx, out, in, n);
	else
		c->calls->dec_update(c->key, &c->ctx, out, in, n);
}

static bool chacha_finish(struct tg_aead_key *k, uint8_t tag[static TG_AEAD_TAG])
{
	struct chacha *c = (struct chacha *)k;
	uint8_t mine[TG_AEAD_TAG];

	if (c->sealing) {
		c->calls->finalize(&c->ctx, tag, TG_AEAD_TAG);
		return true;
	}
	c->calls->finalize(&c->ctx, mine, TG_AEAD_TAG);
	return tg_aead_tag_eq(mine, tag);
}

static void chacha_seal(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
	struct tg_view aad, const uint8_t *in, uint8_t *out, uint32_t n,
	uint8_t tag[static TG_AEAD_TAG])
{
	chacha_start(k, nonce, aad, true);
	chacha_step(k, in, out, n);
	chacha_finish(k, tag);
}

static bool chacha_open(struct tg_aead_key *k, const uint8_t nonce[static TG_AEAD_NONCE],
	struct tg_view aad, uint8_t *io, uint32_t n, const uint8_t tag[static TG_AEAD_TAG])
{
	uint8_t theirs[TG_AEAD_TAG];

	memcpy(theirs, tag, sizeof(theirs));
	chacha_start(k, nonce, aad, false);
	chacha_step(k, io, io, n);
	return chacha_finish(k, theirs);
}

/* --- choosing --------------------------------------------------------------------------------- */

#define CHACHA_OPS \
	{ \
		"ipsec-mb", 32, sizeof(struct chacha), TG_AEAD_CHACHA_RECORDS, chacha_expand, \
			chacha_forget, discard, chacha_seal, chacha_open, chacha_start, \
			chacha_step, chacha_finish \
	}

static const struct tg_aead_ops ops[TG_AEAD_MAX] = {
	[TG_AEAD_AES_128_GCM] = {"ipsec-mb", 16, sizeof(struct gcm), TG_AEAD_GCM_RECORDS,
		gcm128_expand, gcm_forget, discard, gcm128_seal, gcm128_open, gcm128_start,
		gcm_step, gcm_finish},
	[TG_AEAD_AES_256_GCM] = {"ipsec-mb", 32, sizeof(struct gcm), TG_AEAD_GCM_RECORDS,
		gcm256_expand, gcm_forget, discard, gcm256_seal, gcm256_open, gcm256_start,
		gcm_step, gcm_finish},
	[TG_AEAD_CHACHA20_POLY1305] = CHACHA_OPS,
};

/* Where the CPU has VAES but no AVX-512, for which the library has better code of its own. */
static const struct tg_aead_ops vaes_ops[TG_AEAD_MAX] = {
	[TG_AEAD_AES_128_GCM] = {"ipsec-mb", 16, sizeof(struct tg_gcm_vaes), TG_AEAD_GCM_RECORDS,
		vaes128_expand, vaes_forget, discard, vaes128_seal, vaes128_open, vaes_start,
		vaes128_step, vaes128_finish},
	[TG_AEAD_AES_256_GCM] = {"ipsec-mb", 32, sizeof(struct tg_gcm_vaes), TG_AEAD_GCM_RECORDS,
		vaes256_expand, vaes_forget, discard, vaes256_seal, vaes256_open, vaes_start,
		vaes256_step, vaes256_finish},
	[TG_AEAD_CHACHA20_POLY1305] = CHACHA_OPS,
};

static void copy_calls(struct calls *c, const IMB_MGR *m)
{
	c->keyexp128 = m->keyexp_128;
	c->keyexp256 = m->keyexp_256;
	c->gcm128 = (struct gcm_calls){m->gcm128_pre, m->gcm128_enc, m->gcm128_dec, m->gcm128_init,
		m->gcm128_enc_update, m->gcm128_dec_update, m->gcm128_enc_finalize,
		m->gcm128_dec_finalize};
	c->gcm256 = (struct gcm_calls){m->gcm256_pre, m->gcm256_enc, m->gcm256_dec, m->gcm256_init,
		m->gcm256_enc_update, m->gcm256_dec_update, m->gcm256_enc_finalize,
		m->gcm256_dec_finalize};
	c->chacha =
		(struct chacha_calls){m->chacha20_poly1305_init, m->chacha20_poly1305_enc_update,
			m->chacha20_poly1305_dec_update, m->chacha20_poly1305_finalize};
}

/* The code that it chose, in its own words. Without AES instructions it emulates them, slower than
 * OpenSSL: NULL. */
static const char *choice(const IMB_MGR *m, IMB_ARCH arch)
{
	switch (arch) {
	case IMB_ARCH_SSE:
		return "sse";
	case IMB_ARCH_AVX:
		return "avx";
	case IMB_ARCH_AVX2:
		return "avx2";
	case IMB_ARCH_AVX512:
		return m->features & IMB_FEATURE_VAES ? "vaes_avx512" : "avx512";
	default:
		return NULL;
	}
}

const struct tg_aead_ops *tg_aead_ipsecmb(const char **detail)
{
	static const struct tg_aead_ops *found;
	static const char *chosen;
	static bool tried;
	IMB_ARCH arch = IMB_ARCH_NONE;
	IMB_MGR *m;

	if (!tried) {
		tried = true;
		m = alloc_mb_mgr(0);
		if (m) {
			init_mb_mgr_auto(m, &arch);
			if (!imb_get_errno(m))
				chosen = choice(m, arch);
			copy_calls(&instance[0], m);
			if (chosen)
				found = ops;
			if (chosen && arch == IMB_ARCH_AVX2 && tg_gcm_vaes_here()) {
				chosen = "avx2, vaes";
				found = vaes_ops;
			}
			free_mb_mgr(m);
		}
	}
	*detail = chosen;
	return found;
}

/* --- an instance a thread ----------------------------------------------------------------------
 */

/* The functions that make and end a manager, of one instance. */
struct makers {
	IMB_MGR *(*alloc)(uint64_t flags);
	void (*init)(IMB_MGR *m, IMB_ARCH *arch);
	void (*free)(IMB_MGR *m);
};

/* POSIX has dlsym() return functions as void *. */
static void *find(void *library, const char *name)
{
	return library ? dlsym(library, name) : NULL;
}

static bool open_instance(struct calls *c)
{
	struct makers make = {0};
	Dl_info linked;
	void *lib = dladdr((void *)alloc_mb_mgr, &linked)
			    ? dlmopen(LM_ID_NEWLM, linked.dli_fname, RTLD_NOW | RTLD_LOCAL)
			    : NULL;
	IMB_MGR *m;

	*(void **)&make.alloc = find(lib, "alloc_mb_mgr");
	*(void **)&make.init = find(lib, "init_mb_mgr_auto");
	*(void **)&make.free = find(lib, "free_mb_mgr");
	m = make.alloc && make.init && make.free ? make.alloc(0) : NULL;
	if (!m) {
		if (lib)
			dlclose(lib);
		return false;
	}
	make.init(m, NULL);
	copy_calls(c, m);
	make.free(m);
	return true;
}

void tg_aead_ipsecmb_thread(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static uint32_t threads, n = 1; /* that have asked; instances */
	static bool full;
	uint32_t who;

	pthread_mutex_lock(&lock);
	who = threads++;
	if (who && !full && n < INSTANCES && open_instance(&instance[n]))
		n++;
	else
		full = who > 0;
	here = &instance[who % n];
	pthread_mutex_unlock(&lock);
}

#endif
