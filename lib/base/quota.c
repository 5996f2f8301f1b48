/* quota.c: what workers do: take tokens that are here, want those that are not. */
#include "quota.h"

#include <stdlib.h>

#include <tidegate/rng.h>

#define SEC UINT64_C(1000000000)
/* A chain may change under the reader; no honest one is that long. */
#define STEPS 64

/* --- memory ------------------------------------------------------------------------------------
 */

static uint32_t heads_for(uint32_t keys)
{
	uint32_t n = 16;

	while (n < keys)
		n *= 2;
	return n;
}

size_t tg_quota_bytes(uint32_t keys, uint32_t workers)
{
	return sizeof(struct tg_quota) + workers * sizeof(struct quota_ring) +
	       heads_for(keys) * sizeof(uint32_t) +
	       keys * (sizeof(struct quota_entry) + sizeof(struct quota_cold));
}

static void *lines(size_t n)
{
	size_t bytes = (n + 63) & ~(size_t)63;
	void *p = aligned_alloc(64, bytes);

	if (p)
		memset(p, 0, bytes);
	return p;
}

struct tg_quota *tg_quota_create(uint32_t keys, uint32_t workers)
{
	struct tg_quota *q = lines(sizeof(*q));
	uint32_t n_heads = heads_for(keys);

	if (!q)
		return NULL;
	q->n_keys = keys;
	q->n_workers = workers;
	q->mask = n_heads - 1;
	q->heads = lines(n_heads * sizeof(*q->heads));
	q->entries = lines(keys * sizeof(*q->entries));
	q->cold = lines(keys * sizeof(*q->cold));
	q->rings = lines(workers * sizeof(*q->rings));
	if (!q->heads || !q->entries || !q->cold || !q->rings ||
		tg_rng_secret(q->secret, sizeof(q->secret))) {
		tg_quota_destroy(q);
		return NULL;
	}
	memset(q->heads, 0xff, n_heads * sizeof(*q->heads));
	q->todo = q->oldest = q->newest = NONE;
	q->pending = q->checks = (struct quota_list){NONE, NONE};
	q->counts.keys_max = keys;
	return q;
}

void tg_quota_destroy(struct tg_quota *q)
{
	if (!q)
		return;
	free(q->heads);
	free(q->entries);
	free(q->cold);
	free(q->rings);
	free(q);
}

/* --- keys --------------------------------------------------------------------------------------
 */

uint64_t tg_quota_hash(const struct tg_quota *q, uint64_t h, const void *part, size_t n)
{
	/* What an attacker chooses goes in by way of the secret. */
	h = (h << 7 | h >> 57) * UINT64_C(0x9e3779b97f4a7c15) ^ tg_siphash24(q->secret, part, n);
	return h | 1; /* never 0 */
}

static void put(struct tg_quota_text *t, uint8_t c)
{
	if (t->n < sizeof(t->b))
		t->b[t->n] = c;
	t->n++;
}

/* All processes have to come to the same text: no secret. */
static void digest(struct tg_quota_text *t, struct tg_view v)
{
	static const uint8_t keys[2][16] = {"tidegate quota 0", "tidegate quota 1"};

	for (uint32_t i = 0; i < 2; i++) {
		uint64_t both[2] = {t->rest[i], tg_siphash24(keys[i], v.p, v.n)};

		t->rest[i] = tg_siphash24(keys[i], both, sizeof(both));
	}
}

void tg_quota_text_raw(struct tg_quota_text *t, struct tg_view v)
{
	digest(t, v);
	for (uint32_t i = 0; i < v.n; i++)
		put(t, v.p[i]);
}

void tg_quota_text_add(struct tg_quota_text *t, struct tg_view v)
{
	static const char hex[] = "0123456789ABCDEF";

	digest(t, v);
	for (uint32_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i];

		if (c > ' ' && c < 0x7f && c != '%' && c != '|' && c != '=' && c != '~') {
			put(t, c);
			continue;
		}
		put(t, '%');
		put(t, (uint8_t)hex[c >> 4]);
		put(t, (uint8_t)hex[c & 15]);
	}
}

#define DIGEST_TEXT 33 /* ~ and 32 digits */

struct tg_view tg_quota_text_end(struct tg_quota_text *t)
{
	static const char hex[] = "0123456789abcdef";
	uint32_t at = TG_QUOTA_TEXT_MAX - DIGEST_TEXT;

	if (t->n <= TG_QUOTA_TEXT_MAX)
		return tg_view_of(t->b, t->n);
	t->b[at++] = '~';
	for (uint32_t i = 0; i < 32; i++)
		t->b[at++] = (uint8_t)hex[t->rest[i / 16] >> (60 - i % 16 * 4) & 15];
	return tg_view_of(t->b, at);
}

/* --- taking ------------------------------------------------------------------------------------
 */

static struct quota_entry *find(const struct tg_quota *q, uint64_t hash)
{
	uint32_t i = __atomic_load_n(&q->heads[hash >> 8 & q->mask], __ATOMIC_ACQUIRE);

	for (uint32_t step = 0; i != NONE && step < STEPS; step++) {
		struct quota_entry *e = &q->entries[i];

		if (__atomic_load_n(&e->hash, __ATOMIC_ACQUIRE) == hash)
			return e;
		i = __atomic_load_n(&e->next, __ATOMIC_ACQUIRE);
	}
	return NULL;
}

/* Onto the stack of those that the keeper has to look at; once. */
static void push(struct tg_quota *q, struct quota_entry *e)
{
	uint32_t i = (uint32_t)(e - q->entries), top;

	if (__atomic_load_n(&e->queued, __ATOMIC_SEQ_CST) ||
		__atomic_exchange_n(&e->queued, 1, __ATOMIC_SEQ_CST))
		return;
	top = __atomic_load_n(&q->todo, __ATOMIC_RELAXED);
	do
		__atomic_store_n(&e->todo, top, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(
		&q->todo, &top, i, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static enum tg_quota_answer none_here(
	const struct tg_quota *q, const struct quota_entry *e, uint32_t w)
{
	if (e && __atomic_load_n(&e->shut, __ATOMIC_RELAXED) == w)
		return TG_QUOTA_OVER;
	if (!__atomic_load_n(&q->here, __ATOMIC_RELAXED))
		return TG_QUOTA_AWAY;
	return e ? TG_QUOTA_EMPTY : TG_QUOTA_UNKNOWN;
}

enum tg_quota_answer tg_quota_take(struct tg_quota *q, uint64_t hash, const struct tg_quota_rate *r,
	uint64_t now, uint32_t *left)
{
	uint32_t w = quota_window(q, r->seconds, now), have;
	struct quota_entry *e = find(q, hash);
	uint64_t old, *word;

	if (left)
		*left = 0;
	if (!e)
		return none_here(q, NULL, w);
	word = &e->word[w & 1];
	old = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	do {
		/* Read behind the word: if another key has come since, the word has changed, or
		 * will have when it is compared. */
		if (__atomic_load_n(&e->hash, __ATOMIC_ACQUIRE) != hash)
			return none_here(q, NULL, w);
		if (word_window(old) != w || !word_tokens(old))
			return none_here(q, e, w);
	} while (!__atomic_compare_exchange_n(
		word, &old, old - 1, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	have = word_tokens(old) - 1;
	if (left)
		*left = have + __atomic_load_n(&e->left_there, __ATOMIC_RELAXED);
	if (tg_unlikely(__atomic_load_n(&e->limit, __ATOMIC_RELAXED) != r->limit))
		__atomic_store_n(&e->limit, r->limit, __ATOMIC_RELAXED);
	if (have < __atomic_load_n(&e->mark, __ATOMIC_RELAXED))
		push(q, e);
	return TG_QUOTA_GIVEN;
}

void tg_quota_look(const struct tg_quota *q, uint64_t hash, const struct tg_quota_rate *r,
	uint64_t now, uint32_t *here, uint32_t *left)
{
	uint32_t w = quota_window(q, r->seconds, now);
	const struct quota_entry *e = find(q, hash);
	uint64_t word = e ? __atomic_load_n(&e->word[w & 1], __ATOMIC_ACQUIRE) : 0;
	bool known = e && word_window(word) == w;

	*here = known ? word_tokens(word) : 0;
	*left = known ? *here + __atomic_load_n(&e->left_there, __ATOMIC_RELAXED) : r->limit;
	if (e && __atomic_load_n(&e->shut, __ATOMIC_RELAXED) == w)
		*left = *here;
}

bool tg_quota_is_here(const struct tg_quota *q)
{
	return __atomic_load_n(&q->here, __ATOMIC_RELAXED);
}

uint64_t tg_quota_reset(const struct tg_quota *q, const struct tg_quota_rate *r, uint64_t now)
{
	uint64_t window = SEC * r->seconds;

	return window - (now + __atomic_load_n(&q->offset, __ATOMIC_RELAXED)) % window;
}

uint32_t tg_quota_want(struct tg_quota *q, uint32_t worker, uint64_t hash,
	const struct tg_quota_rate *r, struct tg_view text)
{
	struct quota_ring *ring = &q->rings[worker];
	uint32_t head = ring->head, tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	struct quota_entry *e = find(q, hash);
	struct quota_record *rec;

	if (e) {
		__atomic_store_n(&e->limit, r->limit, __ATOMIC_RELAXED);
		__atomic_fetch_add(&e->want, 1, __ATOMIC_SEQ_CST);
		push(q, e);
		return tail - 1;
	}
	if (head - tail == RING) {
		__atomic_store_n(&ring->full, ring->full + 1, __ATOMIC_RELAXED);
		return tail - 1;
	}
	rec = &ring->r[head % RING];
	rec->hash = hash;
	rec->rate = *r;
	rec->n = text.n < sizeof(rec->text) ? text.n : sizeof(rec->text);
	memcpy(rec->text, text.p, rec->n);
	__atomic_store_n(&ring->head, head + 1, __ATOMIC_RELEASE);
	return head;
}

bool tg_quota_lost(const struct tg_quota *q, uint32_t worker, uint32_t wanted)
{
	return (int32_t)(__atomic_load_n(&q->rings[worker].tail, __ATOMIC_ACQUIRE) - wanted) > 0;
}

uint32_t tg_quota_enter(struct tg_quota *q, uint64_t hash)
{
	struct quota_entry *e = find(q, hash);

	if (!e)
		return TG_QUOTA_NOWHERE;
	__atomic_fetch_add(&e->waiters, 1, __ATOMIC_SEQ_CST);
	/* Seen by the keeper before it looks whether somebody waits, or the key is another's now.
	 */
	if (__atomic_load_n(&e->hash, __ATOMIC_SEQ_CST) != hash) {
		__atomic_fetch_sub(&e->waiters, 1, __ATOMIC_SEQ_CST);
		return TG_QUOTA_NOWHERE;
	}
	push(q, e);
	return (uint32_t)(e - q->entries);
}

void tg_quota_leave(struct tg_quota *q, uint32_t place)
{
	__atomic_fetch_sub(&q->entries[place].waiters, 1, __ATOMIC_SEQ_CST);
}
