/* quota.c: what workers do: take tokens, on credit where none are here, and bring new keys. */
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

static uint32_t entries_for(uint32_t keys, uint32_t workers)
{
	return keys + workers * (STOCK + 1);
}

size_t tg_quota_bytes(uint32_t keys, uint32_t workers)
{
	return sizeof(struct tg_quota) + workers * sizeof(struct quota_ring) +
	       heads_for(entries_for(keys, workers)) * sizeof(uint64_t) +
	       entries_for(keys, workers) *
		       (sizeof(struct quota_entry) + sizeof(struct quota_cold));
}

static void *lines(size_t n)
{
	size_t bytes = (n + 63) & ~(size_t)63;
	void *p = aligned_alloc(64, bytes);

	if (p)
		memset(p, 0, bytes);
	return p;
}

static void init(struct tg_quota *q, uint32_t n_heads)
{
	for (uint32_t i = 0; i < n_heads; i++)
		q->heads[i] = NONE;
	for (uint32_t i = 0; i < q->n_workers; i++)
		q->rings[i].spare = NONE;
	q->todo = q->oldest = q->newest = q->free = NONE;
	for (uint32_t i = q->n_entries; i-- > 0;) {
		q->entries[i].shut = NONE;
		q->entries[i].mark = 1;
		q->cold[i].newer = q->free;
		q->free = i;
	}
	q->pending = q->checks = (struct quota_list){NONE, NONE};
	q->counts.keys_max = q->n_keys;
}

struct tg_quota *tg_quota_create(uint32_t keys, uint32_t workers)
{
	struct tg_quota *q = lines(sizeof(*q));
	uint32_t n_heads = heads_for(entries_for(keys, workers));

	if (!q)
		return NULL;
	q->n_keys = keys;
	q->n_entries = entries_for(keys, workers);
	q->n_workers = workers;
	q->mask = n_heads - 1;
	q->heads = lines(n_heads * sizeof(*q->heads));
	q->entries = lines(q->n_entries * sizeof(*q->entries));
	q->cold = lines(q->n_entries * sizeof(*q->cold));
	q->rings = lines(workers * sizeof(*q->rings));
	if (!q->heads || !q->entries || !q->cold || !q->rings ||
		tg_rng_secret(q->secret, sizeof(q->secret))) {
		tg_quota_destroy(q);
		return NULL;
	}
	init(q, n_heads);
	quota_stock(q);
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

/* In the chain that begins there. */
static struct quota_entry *find(const struct tg_quota *q, uint64_t head, uint64_t hash)
{
	uint32_t i = (uint32_t)head;

	for (uint32_t step = 0; i != NONE && step < STEPS; step++) {
		struct quota_entry *e = &q->entries[i];

		if (__atomic_load_n(&e->hash, __ATOMIC_ACQUIRE) == hash)
			return e;
		i = __atomic_load_n(&e->next, __ATOMIC_ACQUIRE);
	}
	return NULL;
}

static struct quota_entry *look_up(const struct tg_quota *q, uint64_t hash)
{
	return find(q, __atomic_load_n(quota_head(q, hash), __ATOMIC_ACQUIRE), hash);
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
		&q->todo, &top, i, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

/* What the store has left of the window, as far as is known. Read behind the word: the keeper
 * lowers it before it raises that. */
static uint32_t left_of(const struct quota_entry *e, const struct tg_quota_rate *r, uint32_t w)
{
	uint64_t left = __atomic_load_n(&e->left[w & 1], __ATOMIC_ACQUIRE);

	return word_window(left) == w ? (uint32_t)left : r->limit;
}

static bool may_owe(const struct tg_quota *q, const struct quota_entry *e,
	const struct tg_quota_rate *r, uint32_t w, uint32_t more_than)
{
	return more_than < r->credit && more_than < left_of(e, r, w) &&
	       __atomic_load_n(&e->shut, __ATOMIC_RELAXED) != w &&
	       __atomic_load_n(&q->here, __ATOMIC_RELAXED);
}

static uint32_t left_in_all(
	const struct quota_entry *e, const struct tg_quota_rate *r, uint32_t w, int32_t balance)
{
	int64_t n = (int64_t)left_of(e, r, w) + balance;

	return n > 0 ? (uint32_t)n : 0;
}

/* A reload may have changed it. */
static void follow_limit(struct quota_entry *e, const struct tg_quota_rate *r)
{
	if (tg_unlikely(__atomic_load_n(&e->limit, __ATOMIC_RELAXED) != r->limit))
		__atomic_store_n(&e->limit, r->limit, __ATOMIC_RELAXED);
}

/* e: NULL: the key is unknown. */
static enum tg_quota_answer none_here(struct tg_quota *q, struct quota_entry *e,
	const struct tg_quota_rate *r, uint32_t w, int32_t balance)
{
	if (e && __atomic_load_n(&e->shut, __ATOMIC_RELAXED) == w)
		return TG_QUOTA_OVER;
	if (!__atomic_load_n(&q->here, __ATOMIC_RELAXED))
		return TG_QUOTA_AWAY;
	if (!e)
		return TG_QUOTA_UNKNOWN;
	follow_limit(e, r);
	push(q, e);
	return left_in_all(e, r, w, balance) ? TG_QUOTA_EMPTY : TG_QUOTA_OVER;
}

enum tg_quota_answer tg_quota_take(struct tg_quota *q, uint64_t hash, const struct tg_quota_rate *r,
	uint64_t now, uint32_t *left)
{
	uint32_t w = quota_window(q, r->seconds, now);
	struct quota_entry *e = look_up(q, hash);
	uint64_t old, fresh, *word;
	int32_t balance;

	if (left)
		*left = 0;
	if (!e)
		return none_here(q, NULL, r, w, 0);
	word = &e->word[w & 1];
	old = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	do {
		/* Read behind the word: if another key has come since, the word has changed, or
		 * will have when it is compared. */
		if (__atomic_load_n(&e->hash, __ATOMIC_ACQUIRE) != hash)
			return none_here(q, NULL, r, w, 0);
		fresh = old;
		if (word_window(old) != w) {
			if (word_window(old) - w == 2) /* our clock is behind the others' */
				return none_here(q, e, r, w, 0);
			fresh = word_of(old, w, 0);
		}
		balance = word_balance(fresh);
		if (balance <= 0 && !may_owe(q, e, r, w, (uint32_t)-balance))
			return none_here(q, e, r, w, balance);
	} while (!__atomic_compare_exchange_n(
		word, &old, fresh - 1, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	if (left)
		*left = left_in_all(e, r, w, balance - 1);
	follow_limit(e, r);
	if (balance - 1 < (int32_t)__atomic_load_n(&e->mark, __ATOMIC_RELAXED))
		push(q, e);
	return balance > 0 ? TG_QUOTA_GIVEN : TG_QUOTA_CREDITED;
}

void tg_quota_look(const struct tg_quota *q, uint64_t hash, const struct tg_quota_rate *r,
	uint64_t now, uint32_t *here, uint32_t *left)
{
	uint32_t w = quota_window(q, r->seconds, now);
	const struct quota_entry *e = look_up(q, hash);
	uint64_t word = e ? __atomic_load_n(&e->word[w & 1], __ATOMIC_ACQUIRE) : 0;
	int32_t balance = word_window(word) == w ? word_balance(word) : 0;

	*here = balance > 0 ? (uint32_t)balance : 0;
	*left = e ? left_in_all(e, r, w, balance) : r->limit;
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

bool tg_quota_wake(struct tg_quota *q)
{
	return __atomic_load_n(&q->todo, __ATOMIC_SEQ_CST) != NONE &&
	       __atomic_load_n(&q->asleep, __ATOMIC_SEQ_CST) &&
	       __atomic_exchange_n(&q->asleep, 0, __ATOMIC_SEQ_CST);
}

/* --- bringing ----------------------------------------------------------------------------------
 */

static uint32_t from_stock(struct quota_ring *ring)
{
	uint32_t i = ring->spare, tail = ring->stock_tail;

	ring->spare = NONE;
	if (i != NONE)
		return i;
	if (tail == __atomic_load_n(&ring->stock_head, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&ring->late, ring->late + 1, __ATOMIC_RELAXED);
		return NONE;
	}
	i = ring->stock[tail % STOCK];
	__atomic_store_n(&ring->stock_tail, tail + 1, __ATOMIC_RELEASE);
	return i;
}

/* False: somebody else was first. */
static bool put_in(struct tg_quota *q, uint32_t i, uint64_t hash)
{
	uint64_t *at = quota_head(q, hash), head = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	struct quota_entry *e = &q->entries[i];

	do {
		if (find(q, head, hash)) {
			__atomic_store_n(&e->hash, 0, __ATOMIC_RELEASE);
			return false;
		}
		__atomic_store_n(&e->next, (uint32_t)head, __ATOMIC_RELAXED);
		__atomic_store_n(&e->hash, hash, __ATOMIC_RELEASE);
	} while (!__atomic_compare_exchange_n(
		at, &head, ((head >> 32) + 1) << 32 | i, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return true;
}

bool tg_quota_bring(struct tg_quota *q, uint32_t worker, uint64_t hash,
	const struct tg_quota_rate *r, struct tg_view text)
{
	struct quota_ring *ring = &q->rings[worker];
	uint32_t i = from_stock(ring);
	struct quota_cold *c;

	if (i == NONE)
		return false;
	c = &q->cold[i];
	c->seconds = r->seconds;
	c->n = (uint16_t)(text.n < sizeof(c->text) ? text.n : sizeof(c->text));
	memcpy(c->text, text.p, c->n);
	__atomic_store_n(&q->entries[i].limit, r->limit, __ATOMIC_RELAXED);
	if (!put_in(q, i, hash)) {
		ring->spare = i;
		return true;
	}
	ring->news[ring->news_head % STOCK] = i;
	__atomic_store_n(&ring->news_head, ring->news_head + 1, __ATOMIC_RELEASE);
	push(q, &q->entries[i]);
	return true;
}
