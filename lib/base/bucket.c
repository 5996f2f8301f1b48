#include <tidegate/bucket.h>
#include <tidegate/rng.h>
#include <tidegate/view.h>

#define LEASE_MAX 64u /* tokens at a time */
#define WAYS 8u

#define SPENT_BITS 24
#define SPENT_MASK ((UINT64_C(1) << SPENT_BITS) - 1)
#define GENERATION_ONE (UINT64_C(1) << SPENT_BITS)
#define GENERATION_MASK (UINT64_C(0xff) << SPENT_BITS)

/* --- one bucket --------------------------------------------------------------------------------
 */

static uint32_t fill_of(const struct tg_bucket_rate *r, uint64_t now)
{
	return (uint32_t)(now / r->interval);
}

static uint32_t word_fill(uint64_t w)
{
	return (uint32_t)(w >> 32);
}

static uint32_t word_spent(uint64_t w)
{
	return (uint32_t)(w & SPENT_MASK);
}

/* Clocks are behind by a turn. What is behind by more has not been asked for half the numbers there
 * are, or never. */
#define SKEW (1 << 16)

/* The word as of fill number f. */
static uint64_t advance(uint64_t w, const struct tg_bucket_rate *r, uint32_t f)
{
	int32_t ahead = (int32_t)(f - word_fill(w));
	uint64_t spent = w & SPENT_MASK, back;

	if (ahead <= 0 && ahead > -SKEW)
		return w;
	back = (uint64_t)(f - word_fill(w)) * r->per_fill;
	spent = back < spent ? spent - back : 0;
	return (uint64_t)f << 32 | (w & GENERATION_MASK) | spent;
}

/* Tokens that w has. A limit may have fallen below what is spent. */
static uint32_t word_left(uint64_t w, const struct tg_bucket_rate *r)
{
	return word_spent(w) < r->max ? r->max - word_spent(w) : 0;
}

/* Takes 1 and, where there are plenty, up to `ahead` more; returns how many. */
static uint32_t take(uint64_t *word, const struct tg_bucket_rate *r, uint64_t now, uint32_t ahead,
	uint32_t n_workers, uint32_t *left)
{
	uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED), w;
	uint32_t f = fill_of(r, now), n, have;

	do {
		w = advance(old, r, f);
		have = word_left(w, r);
		if (!have)
			break;
		n = 1 + (ahead < have / (8 * n_workers) ? ahead : have / (8 * n_workers));
	} while (!__atomic_compare_exchange_n(
		word, &old, w + n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (left)
		*left = have ? have - n : 0;
	return have ? n : 0;
}

bool tg_bucket_take(
	struct tg_bucket *b, const struct tg_bucket_rate *r, uint64_t now, uint32_t *left)
{
	return take(&b->word, r, now, 0, 1, left) > 0;
}

bool tg_bucket_take_leased(struct tg_bucket *b, const struct tg_bucket_rate *r,
	struct tg_bucket_lease *l, uint32_t n_workers, uint64_t now, uint32_t *left)
{
	uint32_t f = fill_of(r, now), ahead, most, got;

	if (l->fill != f)
		*l = (struct tg_bucket_lease){.fill = f};
	if (l->left) {
		l->left--;
		l->used++;
		if (left)
			*left = tg_bucket_left(b, r, now) + l->left;
		return true;
	}
	most = r->max / (64 * n_workers);
	ahead = l->used / 16;
	ahead = ahead < most ? ahead : most;
	got = take(&b->word, r, now, ahead < LEASE_MAX ? ahead : LEASE_MAX - 1, n_workers, left);
	if (!got)
		return false;
	l->left = got - 1;
	l->used++;
	if (left)
		*left += l->left;
	return true;
}

uint32_t tg_bucket_left(const struct tg_bucket *b, const struct tg_bucket_rate *r, uint64_t now)
{
	return word_left(
		advance(__atomic_load_n(&b->word, __ATOMIC_RELAXED), r, fill_of(r, now)), r);
}

uint32_t tg_bucket_lease_left(
	const struct tg_bucket_lease *l, const struct tg_bucket_rate *r, uint64_t now)
{
	return l->fill == fill_of(r, now) ? l->left : 0;
}

/* --- many --------------------------------------------------------------------------------------
 *
 * A key's tag stands in tag[i], its bucket in word[i]. Tags change only under the set's lock, which
 * is held for a few instructions, and only by who brings a new key. Who looks a key up takes no
 * lock: it may find that the way has got another key since. So that it does not take from that
 * one's bucket, a new key makes a new generation of the word.
 */

struct tg_buckets_set {
	uint32_t tag[WAYS]; /* 0: free */
	uint32_t lock;
	uint32_t pad[7];
	uint64_t word[WAYS];
};
_Static_assert(sizeof(struct tg_buckets_set) == 128, "two cache lines a set");

/* Twice as many ways as keys, and so many more that sets are rarely full: with 100,000 keys it is
 * one and a half of 65,536 on average. */
static uint32_t sets_for(uint32_t keys)
{
	uint32_t n = 1;

	while (n < keys / 2 + 1)
		n *= 2;
	return n;
}

size_t tg_buckets_bytes(uint32_t keys)
{
	return sets_for(keys) * sizeof(struct tg_buckets_set);
}

void tg_buckets_init(
	struct tg_buckets *t, void *mem, uint32_t keys, const uint8_t secret[static 16])
{
	t->sets = mem;
	t->mask = sets_for(keys) - 1;
	memcpy(t->secret, secret, sizeof(t->secret));
}

uint64_t tg_buckets_hash(const struct tg_buckets *t, uint64_t h, const void *part, size_t n)
{
	uint64_t both[2] = {h, tg_siphash24(t->secret, part, n)};

	return h ? tg_siphash24(t->secret, both, sizeof(both)) : both[1];
}

static struct tg_buckets_set *set_of(const struct tg_buckets *t, uint64_t hash, uint32_t *tag)
{
	*tag = (uint32_t)(hash >> 32) | 1;
	return &t->sets[hash & t->mask];
}

/* WAYS: it is not there. */
static uint32_t way_of(const struct tg_buckets_set *s, uint32_t tag)
{
	uint32_t i = 0;

	while (i < WAYS && __atomic_load_n(&s->tag[i], __ATOMIC_ACQUIRE) != tag)
		i++;
	return i;
}

/* Takes a token, if the way is still that key's. TG_BUCKETS_GIVEN_EVICTED: it is not. */
static enum tg_buckets_answer take_way(struct tg_buckets_set *s, uint32_t i, uint32_t tag,
	const struct tg_bucket_rate *r, uint64_t now, uint32_t *left)
{
	uint64_t old = __atomic_load_n(&s->word[i], __ATOMIC_ACQUIRE), w;
	uint32_t have;

	do {
		/* Read behind the word: if a new key has come since, the word has changed, or will
		 * have when it is compared. */
		if (__atomic_load_n(&s->tag[i], __ATOMIC_ACQUIRE) != tag)
			return TG_BUCKETS_GIVEN_EVICTED;
		w = advance(old, r, fill_of(r, now));
		have = word_left(w, r);
		if (left)
			*left = have ? have - 1 : 0;
		if (!have)
			return TG_BUCKETS_EMPTY;
	} while (!__atomic_compare_exchange_n(
		&s->word[i], &old, w + 1, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return TG_BUCKETS_GIVEN;
}

/* Who holds it may have lost its core to somebody else for a while; then this key is refused rather
 * than waited for. */
#define LOCK_TRIES 10000

static bool lock(struct tg_buckets_set *s)
{
	for (uint32_t i = 0; i < LOCK_TRIES; i++) {
		if (!__atomic_exchange_n(&s->lock, 1, __ATOMIC_ACQUIRE))
			return true;
#ifdef __x86_64__
		__builtin_ia32_pause();
#endif
	}
	return false;
}

/* A free way, else the one that was asked for longest ago. */
static uint32_t victim(const struct tg_buckets_set *s)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < WAYS; i++) {
		if (!s->tag[i])
			return i;
		if ((int32_t)(word_fill(s->word[i]) - word_fill(s->word[oldest])) < 0)
			oldest = i;
	}
	return oldest;
}

/* Under the lock: the way of a key that was not there a moment ago. */
static uint32_t bring(struct tg_buckets_set *s, uint32_t tag, const struct tg_bucket_rate *r,
	uint64_t now, bool *evicted)
{
	uint32_t f = fill_of(r, now), i = way_of(s, tag);
	uint64_t old;

	if (i < WAYS)
		return i;
	i = victim(s);
	/* First nobody finds the old key any more, then the word is new, then the new key is there.
	 */
	*evicted = s->tag[i] != 0;
	__atomic_store_n(&s->tag[i], 0, __ATOMIC_SEQ_CST);
	old = __atomic_load_n(&s->word[i], __ATOMIC_ACQUIRE);
	while (!__atomic_compare_exchange_n(&s->word[i], &old,
		(uint64_t)f << 32 | ((old + GENERATION_ONE) & GENERATION_MASK), false,
		__ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
		;
	*evicted = *evicted && word_spent(advance(old, r, f));
	__atomic_store_n(&s->tag[i], tag, __ATOMIC_RELEASE);
	return i;
}

enum tg_buckets_answer tg_buckets_take(struct tg_buckets *t, const struct tg_bucket_rate *r,
	uint64_t hash, uint64_t now, uint32_t *left)
{
	enum tg_buckets_answer a;
	bool evicted = false;
	uint32_t tag, i;
	struct tg_buckets_set *s = set_of(t, hash, &tag);

	i = way_of(s, tag);
	a = i < WAYS ? take_way(s, i, tag, r, now, left) : TG_BUCKETS_GIVEN_EVICTED;
	if (tg_likely(a != TG_BUCKETS_GIVEN_EVICTED))
		return a;
	if (left)
		*left = 0;
	if (!lock(s))
		return TG_BUCKETS_EMPTY;
	a = take_way(s, bring(s, tag, r, now, &evicted), tag, r, now, left);
	__atomic_store_n(&s->lock, 0, __ATOMIC_RELEASE);
	return a == TG_BUCKETS_GIVEN && evicted ? TG_BUCKETS_GIVEN_EVICTED : a;
}

uint32_t tg_buckets_left(
	const struct tg_buckets *t, const struct tg_bucket_rate *r, uint64_t hash, uint64_t now)
{
	uint32_t tag, i;
	const struct tg_buckets_set *s = set_of(t, hash, &tag);

	i = way_of(s, tag);
	if (i == WAYS)
		return r->max;
	return word_left(
		advance(__atomic_load_n(&s->word[i], __ATOMIC_ACQUIRE), r, fill_of(r, now)), r);
}
