#include <string.h>

#include <tidegate/pages.h>

#include "flow.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static size_t table_bytes(const struct tg_flow_table *t)
{
	return (size_t)t->n_buckets * sizeof(struct tg_flow_bucket);
}

int tg_flow_init(struct tg_flow_table *t, uint32_t capacity, const uint8_t secret[16])
{
	memset(t, 0, sizeof(*t));
	if (!capacity || capacity > TG_FLOW_INDEX_MAX)
		return TG_EINVAL;
	t->capacity = capacity;
	t->n_buckets = (capacity + TG_FLOW_FILL - 1) / TG_FLOW_FILL;
	memcpy(t->key, secret, sizeof(t->key));
	t->buckets = tg_pages_reserve(table_bytes(t));
	return t->buckets ? 0 : TG_ENOMEM;
}

void tg_flow_fini(struct tg_flow_table *t)
{
	tg_pages_release(t->buckets, table_bytes(t));
	memset(t, 0, sizeof(*t));
}

void tg_flow_keys(
	struct tg_flow_table *t, enum tg_flow_kind kind, const void *base, uint32_t stride)
{
	t->key_base[kind] = base;
	t->key_stride[kind] = stride;
}

static const struct tg_flow *key_of(const struct tg_flow_table *t, uint32_t ref)
{
	enum tg_flow_kind kind = tg_flow_kind(ref);

	return (const struct tg_flow *)(t->key_base[kind] +
					(uint64_t)tg_flow_index(ref) * t->key_stride[kind]);
}

/* SipHash, the 1-3 rounds variant: made for hash tables; flooding it is an open problem. */

struct sip {
	uint64_t a, b, c, d;
};

static inline uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static inline void sip_round(struct sip *v)
{
	v->a += v->b;
	v->b = rotl(v->b, 13) ^ v->a;
	v->a = rotl(v->a, 32);
	v->c += v->d;
	v->d = rotl(v->d, 16) ^ v->c;
	v->a += v->d;
	v->d = rotl(v->d, 21) ^ v->a;
	v->c += v->b;
	v->b = rotl(v->b, 17) ^ v->c;
	v->c = rotl(v->c, 32);
}

static inline void sip_word(struct sip *v, uint64_t m)
{
	v->d ^= m;
	sip_round(v);
	v->a ^= m;
}

static inline uint64_t load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

uint64_t tg_flow_hash(const struct tg_flow_table *t, const struct tg_flow *f)
{
	struct sip v = {
		t->key[0] ^ UINT64_C(0x736f6d6570736575),
		t->key[1] ^ UINT64_C(0x646f72616e646f6d),
		t->key[0] ^ UINT64_C(0x6c7967656e657261),
		t->key[1] ^ UINT64_C(0x7465646279746573),
	};
	uint64_t ports = (uint64_t)f->lport << 16 | f->rport;

	/* IPv4's twelve constant bytes each say nothing: two words instead of five. The length byte
	 * in the last word keeps the families apart. */
	if (tg_ip_is_v4(&f->local) && tg_ip_is_v4(&f->remote)) {
		sip_word(&v, (uint64_t)f->local.w[3] << 32 | f->remote.w[3]);
		sip_word(&v, ports | UINT64_C(12) << 56);
	} else {
		sip_word(&v, load64(f->local.b));
		sip_word(&v, load64(f->local.b + 8));
		sip_word(&v, load64(f->remote.b));
		sip_word(&v, load64(f->remote.b + 8));
		sip_word(&v, ports | UINT64_C(36) << 56);
	}
	v.c ^= 0xff;
	sip_round(&v);
	sip_round(&v);
	sip_round(&v);
	return v.a ^ v.b ^ v.c ^ v.d;
}

/* The high half picks the bucket, the low half the tag: they are independent. */
static uint32_t home_of(const struct tg_flow_table *t, uint64_t hash)
{
	return (uint32_t)(((hash >> 32) * t->n_buckets) >> 32);
}

static uint16_t tag_of(uint64_t hash)
{
	uint16_t tag = (uint16_t)hash;

	return tag ? tag : 1;
}

static uint32_t next_bucket(const struct tg_flow_table *t, uint32_t b)
{
	return ++b == t->n_buckets ? 0 : b;
}

/* Bit i: slot i has the tag. */
static inline uint32_t match(const struct tg_flow_bucket *b, uint16_t tag)
{
	uint32_t m = 0;

#ifdef __SSE2__
	__m128i want = _mm_set1_epi16((short)tag);
	__m128i low = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)b->tag), want);

	/* 8 lanes of 16 bits to 8 bits of mask */
	m = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, _mm_setzero_si128()));
	m |= (uint32_t)(b->tag[8] == tag) << 8 | (uint32_t)(b->tag[9] == tag) << 9;
#else
	for (uint32_t i = 0; i < TG_FLOW_SLOTS; i++)
		m |= (uint32_t)(b->tag[i] == tag) << i;
#endif
	return m;
}

uint32_t tg_flow_find(const struct tg_flow_table *t, uint64_t hash, const struct tg_flow *f)
{
	uint32_t at = home_of(t, hash);
	uint16_t tag = tag_of(hash);

	for (uint32_t i = 0; i < t->n_buckets; i++, at = next_bucket(t, at)) {
		const struct tg_flow_bucket *b = &t->buckets[at];

		for (uint32_t m = match(b, tag); m; m &= m - 1) {
			uint32_t ref = b->ref[__builtin_ctz(m)];

			if (tg_likely(memcmp(key_of(t, ref), f, sizeof(*f)) == 0))
				return ref;
		}
		if (tg_likely(!b->passed))
			return 0;
	}
	return 0;
}

uint32_t tg_flow_guess(const struct tg_flow_table *t, uint64_t hash)
{
	const struct tg_flow_bucket *b = &t->buckets[home_of(t, hash)];
	uint32_t m = match(b, tag_of(hash));

	return m ? b->ref[__builtin_ctz(m)] : 0;
}

int tg_flow_insert(struct tg_flow_table *t, uint64_t hash, uint32_t ref)
{
	uint32_t at = home_of(t, hash), free_slots;

	if (tg_unlikely(t->count == t->capacity)) {
		t->refused++;
		return TG_ENOMEM;
	}
	/* Ends: there are more slots than capacity. */
	while (!(free_slots = match(&t->buckets[at], 0))) {
		t->buckets[at].passed++;
		at = next_bucket(t, at);
	}
	t->buckets[at].tag[__builtin_ctz(free_slots)] = tag_of(hash);
	t->buckets[at].ref[__builtin_ctz(free_slots)] = ref;
	if (++t->count > t->peak)
		t->peak = t->count;
	return 0;
}

/* The place of ref: its bucket, and the slot in *slot. -1: not there. */
static int64_t place_of(const struct tg_flow_table *t, uint64_t hash, uint32_t ref, uint32_t *slot)
{
	uint32_t at = home_of(t, hash);
	uint16_t tag = tag_of(hash);

	for (uint32_t i = 0; i < t->n_buckets; i++, at = next_bucket(t, at)) {
		const struct tg_flow_bucket *b = &t->buckets[at];

		for (uint32_t m = match(b, tag); m; m &= m - 1) {
			*slot = (uint32_t)__builtin_ctz(m);
			if (b->ref[*slot] == ref)
				return at;
		}
		if (!b->passed)
			return -1;
	}
	return -1;
}

bool tg_flow_remove(struct tg_flow_table *t, uint64_t hash, uint32_t ref)
{
	uint32_t slot, at = home_of(t, hash);
	int64_t place = place_of(t, hash, ref, &slot);

	if (place < 0)
		return false;
	for (; at != place; at = next_bucket(t, at))
		t->buckets[at].passed--;
	t->buckets[at].tag[slot] = 0;
	t->buckets[at].ref[slot] = 0;
	t->count--;
	return true;
}

bool tg_flow_replace(struct tg_flow_table *t, uint64_t hash, uint32_t old, uint32_t new_ref)
{
	uint32_t slot;
	int64_t place = place_of(t, hash, old, &slot);

	if (place < 0)
		return false;
	t->buckets[place].ref[slot] = new_ref;
	return true;
}

/* How many buckets an entry in bucket `at` went by on its way from home. */
static uint32_t steps(const struct tg_flow_table *t, uint32_t home, uint32_t at)
{
	return at >= home ? at - home : at + t->n_buckets - home;
}

static bool entry_ok(const struct tg_flow_table *t, uint32_t at, uint32_t slot, uint64_t *passes)
{
	const struct tg_flow_bucket *b = &t->buckets[at];
	const struct tg_flow *f = key_of(t, b->ref[slot]);
	uint64_t hash = tg_flow_hash(t, f);

	*passes += steps(t, home_of(t, hash), at);
	return tag_of(hash) == b->tag[slot] && tg_flow_find(t, hash, f) == b->ref[slot];
}

bool tg_flow_validate(const struct tg_flow_table *t)
{
	uint64_t passes = 0, passed = 0;
	uint32_t count = 0;

	for (uint32_t at = 0; at < t->n_buckets; at++) {
		const struct tg_flow_bucket *b = &t->buckets[at];

		passed += b->passed;
		for (uint32_t slot = 0; slot < TG_FLOW_SLOTS; slot++) {
			if (!b->tag[slot] != !b->ref[slot])
				return false;
			if (!b->tag[slot])
				continue;
			if (!t->key_base[tg_flow_kind(b->ref[slot])] ||
				!entry_ok(t, at, slot, &passes))
				return false;
			count++;
		}
	}
	return count == t->count && passes == passed && count <= t->capacity && count <= t->peak;
}
