/* test_aead.c: both implementations of lib/tls/aead.h against known answers and against each other.
 */
#include <openssl/crypto.h>
#include <pthread.h>
#include <sys/mman.h>
#include <tgtest.h>
#include <unistd.h>

#include "tlstest.h"
#include "vectors.h"

#define MAX (16384 + 64)

/* libcrypto's allocations, counted. */
static uint64_t allocations;

static void *count_malloc(size_t n, const char *file, int line)
{
	allocations++;
	return malloc(n);
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
	allocations++;
	return realloc(p, n);
}

static void count_free(void *p, const char *file, int line)
{
	free(p);
}

__attribute__((constructor)) static void count_libcrypto(void)
{
	CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free);
}

/* A key of each implementation that is there: calls fn with it expanded. */
struct subject {
	const struct tg_aead_ops *ops;
	struct tg_aead_key *key;
};

static struct tg_aead_key key_memory[2];

static bool subject_open(struct subject *s, uint32_t impl, enum tg_aead_id id, const uint8_t *key)
{
	s->ops = tg_aead_named(impls[impl], id);
	if (!s->ops)
		return false;
	s->key = &key_memory[impl];
	memset(s->key, 0, sizeof(*s->key));
	CU_ASSERT_FATAL(s->ops->expand(s->key, key));
	return true;
}

static void subject_close(struct subject *s)
{
	s->ops->forget(s->key);
	s->ops->discard(s->key);
	for (uint32_t i = 0; i < sizeof(*s->key); i++)
		CU_ASSERT_EQUAL_FATAL(s->key->b[i], 0);
}

static void seal_cut(struct subject *s, const uint8_t *nonce, struct tg_view aad, const uint8_t *in,
	uint8_t *out, const struct tg_span *cuts, uint32_t cnt, uint8_t *tag)
{
	s->ops->start(s->key, nonce, aad, true);
	for (uint32_t i = 0; i < cnt; i++) {
		s->ops->step(s->key, in, out, cuts[i].n);
		in += cuts[i].n;
		out += cuts[i].n;
	}
	CU_ASSERT(s->ops->finish(s->key, tag));
}

static bool open_cut(struct subject *s, const uint8_t *nonce, struct tg_view aad, uint8_t *io,
	const struct tg_span *cuts, uint32_t cnt, const uint8_t *tag)
{
	uint8_t copy[TG_AEAD_TAG];

	memcpy(copy, tag, sizeof(copy));
	s->ops->start(s->key, nonce, aad, false);
	for (uint32_t i = 0; i < cnt; i++) {
		s->ops->step(s->key, io, io, cuts[i].n);
		io += cuts[i].n;
	}
	return s->ops->finish(s->key, copy);
}

/* --- known answers ---------------------------------------------------------------------------- */

static void vector_one(struct subject *s, const struct vector *v)
{
	uint8_t nonce[12], text[512], aad[128], want[512], out[512];
	uint32_t n = unhex(v->text, text), n_sealed = unhex(v->sealed, want);
	struct tg_view a = {aad, unhex(v->aad, aad)};
	struct tg_span cuts[512];
	bool ok;

	CU_ASSERT_EQUAL_FATAL(unhex(v->nonce, nonce), sizeof(nonce));
	CU_ASSERT_EQUAL_FATAL(n_sealed, n + TG_AEAD_TAG);
	s->ops->seal(s->key, nonce, a, text, out, n, out + n);
	ok = !memcmp(out, want, n_sealed);
	ok = ok && s->ops->open(s->key, nonce, a, out, n, out + n) && !memcmp(out, text, n);
	for (uint32_t size = 1; size < 20; size++) {
		uint32_t cnt = cut_even(out, n, size, cuts);

		seal_cut(s, nonce, a, text, out, cuts, cnt, out + n);
		ok = ok && !memcmp(out, want, n_sealed);
		ok = ok && open_cut(s, nonce, a, out, cuts, cnt, out + n) && !memcmp(out, text, n);
	}
	if (!ok)
		printf("\n%s: %s", s->ops->name, v->name);
	CU_ASSERT(ok);
}

static void known_answers(void)
{
	uint8_t key[32];
	struct subject s;

	for (uint32_t i = 0; i < TG_ARRAY_LEN(vectors); i++) {
		unhex(vectors[i].key, key);
		for (uint32_t impl = 0; impl < TG_ARRAY_LEN(impls); impl++) {
			if (!subject_open(&s, impl, vectors[i].id, key))
				continue;
			CU_ASSERT_EQUAL(s.ops->key_size * 2, strlen(vectors[i].key));
			vector_one(&s, &vectors[i]);
			subject_close(&s);
		}
	}
}

/* --- one implementation against the other, and against itself --------------------------------- */

struct case_ {
	uint8_t nonce[12], aad[64], text[MAX];
	struct tg_view a;
	uint32_t n;
	uint8_t want[MAX + TG_AEAD_TAG]; /* by EVP, in one piece */
};

static void case_make(struct tg_rng *r, struct subject *evp, struct case_ *c, uint32_t n)
{
	fill(r, c->nonce, sizeof(c->nonce));
	fill(r, c->aad, sizeof(c->aad));
	fill(r, c->text, n);
	c->a = (struct tg_view){c->aad, tg_rng_below(r, 4) ? 5 : tg_rng_below(r, 65)};
	c->n = n;
	evp->ops->seal(evp->key, c->nonce, c->a, c->text, c->want, n, c->want + n);
}

/* Memory with guards before and behind, at any alignment. */
struct guarded {
	uint8_t b[64 + 64 + MAX + TG_AEAD_TAG + 64];
};

static uint8_t *guard(struct guarded *g, uint32_t shift, uint32_t n)
{
	memset(g->b, 0xa5, 64 + shift + n + 64);
	return g->b + 64 + shift;
}

/* Of n bytes at p; those behind it may hold a tag. */
static bool intact(const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < 64; i++)
		if (p[-1 - (int)i] != 0xa5 || (i < 64 - TG_AEAD_TAG && p[n + i] != 0xa5))
			return false;
	return true;
}

/* Seals and opens, in place and not, whole and in these pieces. */
static bool case_holds(struct subject *s, const struct case_ *c, const struct tg_span *cuts,
	uint32_t cnt, uint32_t shift)
{
	static struct guarded g;
	uint32_t n = c->n;
	uint8_t *p = guard(&g, shift, n), tag[TG_AEAD_TAG];
	bool ok;

	s->ops->seal(s->key, c->nonce, c->a, c->text, p, n, p + n);
	ok = !memcmp(p, c->want, n + TG_AEAD_TAG) && intact(p, n + TG_AEAD_TAG);
	ok &= s->ops->open(s->key, c->nonce, c->a, p, n, p + n) && !memcmp(p, c->text, n);
	ok &= intact(p, n + TG_AEAD_TAG);

	p = guard(&g, shift, n);
	memcpy(p, c->text, n);
	s->ops->seal(s->key, c->nonce, c->a, p, p, n, tag);
	ok &= !memcmp(p, c->want, n) && !memcmp(tag, c->want + n, TG_AEAD_TAG);
	ok &= intact(p, n);

	p = guard(&g, shift, n);
	seal_cut(s, c->nonce, c->a, c->text, p, cuts, cnt, tag);
	ok &= !memcmp(p, c->want, n) && !memcmp(tag, c->want + n, TG_AEAD_TAG);
	ok &= intact(p, n);
	ok &= open_cut(s, c->nonce, c->a, p, cuts, cnt, tag) && !memcmp(p, c->text, n);

	p = guard(&g, shift, n);
	memcpy(p, c->text, n);
	seal_cut(s, c->nonce, c->a, p, p, cuts, cnt, tag);
	ok &= !memcmp(p, c->want, n) && !memcmp(tag, c->want + n, TG_AEAD_TAG);
	ok &= intact(p, n);
	return ok;
}

static bool both_open(struct subject s[2], enum tg_aead_id id, struct tg_rng *r)
{
	uint8_t key[32];

	fill(r, key, sizeof(key));
	CU_ASSERT_FATAL(subject_open(&s[1], 1, id, key));
	return subject_open(&s[0], 0, id, key);
}

/* Every way to cut a record of up to 50 bytes into three. */
static void every_cut(void)
{
	static struct case_ c;
	struct tg_span cuts[3];
	struct tg_rng r;

	tg_rng_seed(&r, 1);
	for (uint32_t id = 0; id < TG_AEAD_MAX; id++) {
		struct subject s[2];
		bool two = both_open(s, id, &r);
		uint32_t bad = 0;

		for (uint32_t n = 0; n <= 50; n += n < 18 || n > 30 ? 1 : 6) {
			case_make(&r, &s[1], &c, n);
			for (uint32_t i = 0; i <= n; i++)
				for (uint32_t k = i; k <= n; k++) {
					cuts[0] = (struct tg_span){c.text, i};
					cuts[1] = (struct tg_span){c.text + i, k - i};
					cuts[2] = (struct tg_span){c.text + k, n - k};
					bad += two && !case_holds(&s[0], &c, cuts, 3, i % 16);
					bad += !case_holds(&s[1], &c, cuts, 3, i % 16);
				}
		}
		CU_ASSERT_EQUAL(bad, 0);
		if (two)
			subject_close(&s[0]);
		subject_close(&s[1]);
	}
}

/* Records in one piece, of every length up to several chunks of whoever works on many blocks. */
static void every_length(void)
{
	static struct case_ c;
	struct tg_rng r;

	tg_rng_seed(&r, 4);
	for (uint32_t id = 0; id < TG_AEAD_MAX; id++) {
		struct subject s[2];
		bool two = both_open(s, id, &r);
		uint32_t bad = 0;

		for (uint32_t n = 0; n <= 1100; n++) {
			struct tg_span whole = {c.text, n};

			case_make(&r, &s[1], &c, n);
			bad += two && !case_holds(&s[0], &c, &whole, 1, n % 37);
			bad += !case_holds(&s[1], &c, &whole, 1, n % 37);
		}
		CU_ASSERT_EQUAL(bad, 0);
		if (two)
			subject_close(&s[0]);
		subject_close(&s[1]);
	}
}

static void random_cuts(void)
{
	static struct case_ c;
	struct tg_span cuts[64];
	struct tg_rng r;

	tg_rng_seed(&r, 2);
	for (uint32_t id = 0; id < TG_AEAD_MAX; id++) {
		struct subject s[2];
		bool two = both_open(s, id, &r);
		uint32_t bad = 0;

		for (uint32_t i = 0; i < 1500; i++) {
			static const uint32_t most[] = {64, 600, 3000, MAX};
			uint32_t n = tg_rng_below(&r, most[i % 16 ? i % 3 : 3] + 1), cnt;

			case_make(&r, &s[1], &c, n);
			cnt = cut_random(&r, c.text, n, cuts, TG_ARRAY_LEN(cuts));
			bad += two && !case_holds(&s[0], &c, cuts, cnt, tg_rng_below(&r, 64));
			bad += !case_holds(&s[1], &c, cuts, cnt, tg_rng_below(&r, 64));
		}
		CU_ASSERT_EQUAL(bad, 0);
		if (two)
			subject_close(&s[0]);
		subject_close(&s[1]);
	}
}

/* Bytes that end where memory ends: the library's vector loads stay inside. */
static void edge_of_memory(void)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE), bad = 0;
	uint8_t *area = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
	uint8_t *end = area + 2 * page, nonce[12] = {0}, key[32] = {7}, aad[5] = {1};

	CU_ASSERT_FATAL(area != MAP_FAILED && !mprotect(end, page, PROT_NONE));
	CU_ASSERT_FATAL(!mprotect(area, page, PROT_NONE));
	for (uint32_t impl = 0; impl < 2; impl++)
		for (uint32_t id = 0; id < TG_AEAD_MAX; id++) {
			struct subject s;
			struct tg_view a = {aad, 5};

			if (!subject_open(&s, impl, id, key))
				continue;
			for (uint32_t n = 0; n < 600; n++) {
				uint8_t tag[16], *at = end - n;

				for (uint32_t side = 0; side < 2; side++) {
					s.ops->seal(s.key, nonce, a, at, at, n, tag);
					bad += !s.ops->open(s.key, nonce, a, at, n, tag);
					s.ops->start(s.key, nonce, a, true);
					s.ops->step(s.key, at, at, n / 3);
					s.ops->step(s.key, at + n / 3, at + n / 3, n - n / 3);
					s.ops->finish(s.key, tag);
					bad += !s.ops->open(s.key, nonce, a, at, n, tag);
					at = area + page;
				}
			}
			subject_close(&s);
		}
	CU_ASSERT_EQUAL(bad, 0);
	munmap(area, 3 * page);
}

/* --- refusing --------------------------------------------------------------------------------- */

static bool opens(struct subject *s, const uint8_t *nonce, struct tg_view aad,
	const uint8_t *sealed, uint32_t n)
{
	uint8_t io[256];
	struct tg_span cuts[2] = {{io, n / 2}, {io + n / 2, n - n / 2}};
	bool whole, cut;

	memcpy(io, sealed, n);
	whole = s->ops->open(s->key, nonce, aad, io, n, sealed + n);
	memcpy(io, sealed, n);
	cut = open_cut(s, nonce, aad, io, cuts, 2, sealed + n);
	CU_ASSERT_EQUAL(whole, cut);
	return whole;
}

static void flipped_bits(void)
{
	uint8_t key[32] = {9}, nonce[12] = {3}, aad[5] = {23, 3, 3, 0, 80}, b[100 + TG_AEAD_TAG];
	struct tg_view a = {aad, 5};
	struct subject s;
	uint32_t bad = 0;

	for (uint32_t impl = 0; impl < 2; impl++)
		for (uint32_t id = 0; id < TG_AEAD_MAX; id++) {
			if (!subject_open(&s, impl, id, key))
				continue;
			memset(b, 0x5a, sizeof(b));
			s.ops->seal(s.key, nonce, a, b, b, 100, b + 100);
			CU_ASSERT(opens(&s, nonce, a, b, 100));
			for (uint32_t bit = 0; bit < sizeof(b) * 8; bit++) {
				b[bit / 8] ^= (uint8_t)(1 << bit % 8);
				bad += opens(&s, nonce, a, b, 100);
				b[bit / 8] ^= (uint8_t)(1 << bit % 8);
			}
			for (uint32_t bit = 0; bit < sizeof(aad) * 8; bit++) {
				aad[bit / 8] ^= (uint8_t)(1 << bit % 8);
				bad += opens(&s, nonce, a, b, 100);
				aad[bit / 8] ^= (uint8_t)(1 << bit % 8);
			}
			for (uint32_t bit = 0; bit < sizeof(nonce) * 8; bit++) {
				nonce[bit / 8] ^= (uint8_t)(1 << bit % 8);
				bad += opens(&s, nonce, a, b, 100);
				nonce[bit / 8] ^= (uint8_t)(1 << bit % 8);
			}
			bad += opens(&s, nonce, (struct tg_view){aad, 4}, b, 100);
			bad += opens(&s, nonce, a, b, 99);
			CU_ASSERT(opens(&s, nonce, a, b, 100));
			subject_close(&s);
		}
	CU_ASSERT_EQUAL(bad, 0);
}

static void tags_compared(void)
{
	uint8_t a[16] = {0}, b[16] = {0};

	CU_ASSERT(tg_aead_tag_eq(a, b));
	for (uint32_t bit = 0; bit < 128; bit++) {
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT(!tg_aead_tag_eq(a, b));
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* --- keys ------------------------------------------------------------------------------------- */

static bool holds(const void *where, size_t n, const void *what, size_t k)
{
	return memmem(where, n, what, k) != NULL;
}

/* What forget() leaves behind opens nothing, and the memory serves the next key of any cipher. */
static void key_life(void)
{
	uint8_t key[32], nonce[12] = {1}, b[32] = {0}, sealed[48];
	struct tg_view aad = {nonce, 5};
	struct tg_rng r;

	tg_rng_seed(&r, 3);
	for (uint32_t impl = 0; impl < 2; impl++) {
		struct subject s = {0};

		for (uint32_t round = 0; round < 3 * TG_AEAD_MAX; round++) {
			enum tg_aead_id id = round % TG_AEAD_MAX;
			bool first = !s.ops;

			s.ops = tg_aead_named(impls[impl], id);
			if (!s.ops)
				break;
			s.key = &key_memory[impl];
			if (first)
				memset(s.key, 0, sizeof(*s.key));
			fill(&r, key, sizeof(key));
			CU_ASSERT_FATAL(s.ops->expand(s.key, key));
			s.ops->seal(s.key, nonce, aad, b, sealed, 32, sealed + 32);
			CU_ASSERT(opens(&s, nonce, aad, sealed, 32));
			s.ops->forget(s.key);
			CU_ASSERT(!holds(s.key, sizeof(*s.key), key, s.ops->key_size));
			if (!strcmp(s.ops->name, "evp"))
				CU_ASSERT(!opens(&s, nonce, aad, sealed, 32));
		}
		if (s.ops)
			s.ops->discard(s.key);
	}
}

/* The data path: nothing is allocated, except by the first expand() of a cipher in a memory. */
static void allocates_nothing(void)
{
	uint8_t key[32] = {5}, nonce[12] = {1}, b[300] = {0}, tag[16];
	struct tg_view aad = {nonce, 5};

	for (uint32_t impl = 0; impl < 2; impl++)
		for (uint32_t id = 0; id < TG_AEAD_MAX; id++) {
			struct tg_span cuts[2] = {{b, 100}, {b, 200}};
			struct subject s;
			uint64_t before;

			if (!subject_open(&s, impl, id, key))
				continue;
			before = allocations;
			for (uint32_t i = 0; i < 3; i++) {
				s.ops->seal(s.key, nonce, aad, b, b, sizeof(b), tag);
				CU_ASSERT(s.ops->open(s.key, nonce, aad, b, sizeof(b), tag));
				seal_cut(&s, nonce, aad, b, b, cuts, 2, tag);
				CU_ASSERT(open_cut(&s, nonce, aad, b, cuts, 2, tag));
				tag[0] ^= 1;
				CU_ASSERT(!s.ops->open(s.key, nonce, aad, b, sizeof(b), tag));
				s.ops->forget(s.key);
				CU_ASSERT(s.ops->expand(s.key, key));
			}
			CU_ASSERT_EQUAL(allocations, before);
			subject_close(&s);
		}
}

static void choosing(void)
{
	const char *name = tg_aead_init("auto");
	bool has = tg_aead_named("ipsec-mb", TG_AEAD_AES_128_GCM) != NULL;

	printf("%s ", name);
	CU_ASSERT_EQUAL(!strncmp(name, "ipsec-mb (", 10), has);
	CU_ASSERT_EQUAL(!strcmp(name, "evp"), !has);
	CU_ASSERT_EQUAL(tg_aead_init("ipsec-mb") != NULL, has);
	CU_ASSERT_PTR_NULL(tg_aead_init("rot13"));
	CU_ASSERT_STRING_EQUAL(tg_aead_init("evp"), "evp");
	CU_ASSERT_STRING_EQUAL(tg_aead_get(TG_AEAD_CHACHA20_POLY1305)->name, "evp");
	CU_ASSERT_EQUAL(tg_aead_get(TG_AEAD_AES_128_GCM)->key_size, 16);
	CU_ASSERT_EQUAL(tg_aead_get(TG_AEAD_AES_256_GCM)->key_size, 32);
}

/* --- threads -------------------------------------------------------------------------------------
 */

#define THREADS 24 /* more than there is room for */

struct sealed {
	bool own; /* the thread asks for an instance of the library */
	uint8_t bytes[TG_AEAD_MAX][1000 + TG_AEAD_TAG], pieces[TG_AEAD_MAX][1000 + TG_AEAD_TAG];
};

static void *seal_all(void *arg)
{
	static const uint8_t key[TG_AEAD_KEY_MAX] = {7}, nonce[TG_AEAD_NONCE] = {1};
	struct sealed *to = arg;
	struct tg_aead_key k;
	uint8_t in[1000];

	if (to->own)
		tg_aead_thread();
	memset(in, 'x', sizeof(in));
	for (int id = 0; id < TG_AEAD_MAX; id++) {
		const struct tg_aead_ops *o = tg_aead_get((enum tg_aead_id)id);
		struct tg_view aad = {in, 5};

		memset(&k, 0, sizeof(k));
		if (!o->expand(&k, key))
			continue;
		o->seal(&k, nonce, aad, in, to->bytes[id], 1000, to->bytes[id] + 1000);
		o->start(&k, nonce, aad, true);
		o->step(&k, in, to->pieces[id], 333);
		o->step(&k, in + 333, to->pieces[id] + 333, 667);
		o->finish(&k, to->pieces[id] + 1000);
		o->forget(&k);
		o->discard(&k);
	}
	return NULL;
}

/* A key may be used by another thread than the one that it was expanded by. */
static void *open_there(void *arg)
{
	struct tg_aead_key *k = arg;
	const struct tg_aead_ops *o = tg_aead_get(TG_AEAD_AES_128_GCM);
	static const uint8_t nonce[TG_AEAD_NONCE];
	uint8_t b[64] = {0}, tag[TG_AEAD_TAG];

	tg_aead_thread();
	o->seal(k, nonce, TG_VIEW_NONE, b, b, sizeof(b), tag);
	return o->open(k, nonce, TG_VIEW_NONE, b, sizeof(b), tag) && b[0] == 0 ? k : NULL;
}

/* Whoever keeps very many keys gives each tg_aead_key_bytes and no more. */
static void key_bytes(void)
{
	static const uint8_t key[TG_AEAD_KEY_MAX] = {7}, nonce[TG_AEAD_NONCE] = {1};
	struct tg_aead_key k;
	uint8_t b[1000] = {0}, tag[TG_AEAD_TAG];

	for (uint32_t impl = 0; impl < 2; impl++) {
		if (!tg_aead_init(impls[impl]))
			continue;
		CU_ASSERT(tg_aead_key_bytes % 64 == 0 && tg_aead_key_bytes <= sizeof(k));
		memset(k.b, 0, tg_aead_key_bytes);
		memset(k.b + tg_aead_key_bytes, 0xa5, sizeof(k) - tg_aead_key_bytes);
		for (int id = 0; id < TG_AEAD_MAX; id++) {
			const struct tg_aead_ops *o = tg_aead_get((enum tg_aead_id)id);

			CU_ASSERT_FATAL(o->expand(&k, key));
			o->seal(&k, nonce, TG_VIEW_NONE, b, b, sizeof(b), tag);
			o->start(&k, nonce, TG_VIEW_NONE, false);
			o->step(&k, b, b, 333);
			o->step(&k, b + 333, b + 333, 667);
			CU_ASSERT(o->finish(&k, tag));
			o->forget(&k);
		}
		tg_aead_get(TG_AEAD_AES_128_GCM)->discard(&k);
		for (uint32_t i = 0; i < sizeof(k); i++)
			CU_ASSERT(k.b[i] == (i < tg_aead_key_bytes ? 0 : 0xa5));
	}
}

#define STACK 8192

static __attribute__((noinline)) void clear_stack(void)
{
	uint8_t below[STACK];

	memset(below, 0, sizeof(below));
	__asm__ volatile("" : : "r"(below) : "memory");
}

/* Whether a block of the key that is no plain zeros lies where functions had their frames. */
static __attribute__((noinline)) bool is_on_stack(const struct tg_aead_key *k)
{
	static const uint8_t zeros[16];
	uint8_t below[STACK];

	__asm__ volatile("" : "=m"(below)); /* it has what was there */
	for (uint32_t i = 0; i < tg_aead_key_bytes; i += 16)
		if (memcmp(k->b + i, zeros, 16) != 0 && memmem(below, sizeof(below), k->b + i, 16))
			return true;
	return false;
}

/* Round keys give the key away, and nobody wipes the stack. Clang 14 spills some powers of the hash
 * key at once after it has loaded them, whatever the source says: judged is what GCC makes. */
static void stack(void)
{
	static const uint8_t key[TG_AEAD_KEY_MAX] = {1, 2, 3}, nonce[TG_AEAD_NONCE] = {1};
	static struct tg_aead_key k;
	static uint8_t b[1000], tag[TG_AEAD_TAG];

#ifdef __clang__
	return;
#endif
	if (!tg_aead_init("ipsec-mb"))
		return;
	for (int id = TG_AEAD_AES_128_GCM; id <= TG_AEAD_AES_256_GCM; id++) {
		const struct tg_aead_ops *o = tg_aead_get((enum tg_aead_id)id);

		CU_ASSERT_FATAL(o->expand(&k, key));
		for (uint32_t n = 8; n <= sizeof(b); n += 31) {
			clear_stack();
			o->seal(&k, nonce, TG_VIEW_NONE, b, b, n, tag);
			CU_ASSERT_FALSE(is_on_stack(&k));
			clear_stack();
			o->open(&k, nonce, TG_VIEW_NONE, b, n, tag);
			CU_ASSERT_FALSE(is_on_stack(&k));
		}
		o->forget(&k);
	}
}

static void instances(void)
{
	static struct sealed first, other[THREADS];
	static const uint8_t key[TG_AEAD_KEY_MAX] = {7};
	struct tg_aead_key k = {{0}};
	pthread_t t[THREADS];
	void *good;

	for (uint32_t impl = 0; impl < 2; impl++) {
		if (!tg_aead_init(impls[impl]))
			continue;
		memset(other, 0, sizeof(other));
		seal_all(&first);
		for (uint32_t i = 0; i < THREADS; i++) {
			other[i].own = i != 3;
			CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, seal_all, &other[i]), 0);
		}
		for (uint32_t i = 0; i < THREADS; i++) {
			pthread_join(t[i], NULL);
			CU_ASSERT_EQUAL(
				memcmp(other[i].bytes, first.bytes, sizeof(first.bytes)), 0);
			CU_ASSERT_EQUAL(
				memcmp(other[i].pieces, first.bytes, sizeof(first.bytes)), 0);
		}
		tg_aead_get(TG_AEAD_AES_128_GCM)->expand(&k, key);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[0], NULL, open_there, &k), 0);
		pthread_join(t[0], &good);
		CU_ASSERT_PTR_EQUAL(good, &k);
		tg_aead_get(TG_AEAD_AES_128_GCM)->forget(&k);
		tg_aead_get(TG_AEAD_AES_128_GCM)->discard(&k);
	}
}

TG_TEST_MAIN("aead", {"known answers", known_answers}, {"every cut", every_cut},
	{"every length", every_length}, {"key bytes", key_bytes}, {"stack", stack},
	{"random cuts", random_cuts}, {"edge of memory", edge_of_memory},
	{"flipped bits", flipped_bits}, {"tags compared", tags_compared}, {"key life", key_life},
	{"allocates nothing", allocates_nothing}, {"choosing", choosing},
	{"an instance a thread", instances})
