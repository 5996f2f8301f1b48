/* quota_keeper.c: the one thread that brings keys, decides what to ask of the store, and adds what
 * it gave. */
#include "quota.h"

#define SEC UINT64_C(1000000000)
#define CHECKS_A_TICK 4096
/* A window's tokens are asked for so long before it begins, by who used the one before. */
#define BEFORE (5 * TG_QUOTA_REST / 2)
#define VICTIMS 16

/* --- lists -------------------------------------------------------------------------------------
 */

static void add_pending(struct tg_quota *q, uint32_t i)
{
	if (q->cold[i].pending)
		return;
	q->cold[i].pending = true;
	q->cold[i].pending_next = NONE;
	if (q->pending.last == NONE)
		q->pending.first = i;
	else
		q->cold[q->pending.last].pending_next = i;
	q->pending.last = i;
}

static uint32_t pop_pending(struct tg_quota *q)
{
	uint32_t i = q->pending.first;

	if (i == NONE)
		return NONE;
	q->pending.first = q->cold[i].pending_next;
	if (q->pending.first == NONE)
		q->pending.last = NONE;
	q->cold[i].pending = false;
	return i;
}

/* Every check is as long ahead as every other, so the list is in the order of time. */
static void add_check(struct tg_quota *q, uint32_t i)
{
	if (q->cold[i].checking)
		return;
	q->cold[i].checking = true;
	q->cold[i].check_at = q->now + TG_QUOTA_REST;
	q->cold[i].check_next = NONE;
	if (q->checks.last == NONE)
		q->checks.first = i;
	else
		q->cold[q->checks.last].check_next = i;
	q->checks.last = i;
}

static void unlink_age(struct tg_quota *q, uint32_t i)
{
	struct quota_cold *c = &q->cold[i];

	*(c->older == NONE ? &q->oldest : &q->cold[c->older].newer) = c->newer;
	*(c->newer == NONE ? &q->newest : &q->cold[c->newer].older) = c->older;
}

static void link_newest(struct tg_quota *q, uint32_t i)
{
	q->cold[i].newer = NONE;
	q->cold[i].older = q->newest;
	*(q->newest == NONE ? &q->oldest : &q->cold[q->newest].newer) = i;
	q->newest = i;
}

static void touch(struct tg_quota *q, uint32_t i)
{
	if (q->newest == i)
		return;
	unlink_age(q, i);
	link_newest(q, i);
}

/* --- tokens ------------------------------------------------------------------------------------
 */

static uint32_t window_of(const struct tg_quota *q, uint32_t i)
{
	return quota_window(q, q->cold[i].seconds, q->now);
}

static uint32_t tokens_of(const struct tg_quota *q, uint32_t i, uint32_t w)
{
	uint64_t word = __atomic_load_n(&q->entries[i].word[w & 1], __ATOMIC_ACQUIRE);

	return word_window(word) == w ? word_tokens(word) : 0;
}

static void add_tokens(struct tg_quota *q, uint32_t i, uint32_t w, uint32_t n)
{
	uint64_t *word = &q->entries[i].word[w & 1], old = __atomic_load_n(word, __ATOMIC_RELAXED);
	uint32_t sum;

	do {
		sum = n + (word_window(old) == w ? word_tokens(old) : 0);
		if (sum > TOKENS_MAX)
			sum = TOKENS_MAX;
	} while (!__atomic_compare_exchange_n(word, &old,
		(uint64_t)w << 32 | (old & GENERATION_MASK) | sum, true, __ATOMIC_RELEASE,
		__ATOMIC_RELAXED));
}

/* All that workers have not taken until now. */
static uint32_t take_back(struct tg_quota *q, uint32_t i, uint32_t w)
{
	uint64_t *word = &q->entries[i].word[w & 1], old = __atomic_load_n(word, __ATOMIC_RELAXED);

	do
		if (word_window(old) != w || !word_tokens(old))
			return 0;
	while (!__atomic_compare_exchange_n(
		word, &old, old & ~(uint64_t)TOKENS_MAX, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return word_tokens(old);
}

static uint32_t given_in(const struct tg_quota *q, uint32_t i, uint32_t w)
{
	return q->cold[i].window[w & 1] == w ? q->cold[i].given[w & 1] : 0;
}

/* What may be held ahead of requests by who has used so many: quota.h has the bound. */
static uint32_t ahead_of(uint32_t limit, uint32_t used)
{
	uint32_t most = limit >= 64 ? limit / 64 : limit >= 16, n = used / 16 + (used > 0);

	return n < most ? n : most;
}

/* --- keys --------------------------------------------------------------------------------------
 */

static uint32_t *chain_of(struct tg_quota *q, uint64_t hash)
{
	return &q->heads[hash >> 8 & q->mask];
}

static uint32_t find(struct tg_quota *q, uint64_t hash)
{
	uint32_t i = *chain_of(q, hash);

	while (i != NONE && q->entries[i].hash != hash)
		i = q->entries[i].next;
	return i;
}

static bool is_live(const struct tg_quota *q, uint32_t i)
{
	uint32_t w = window_of(q, i);

	return given_in(q, i, w) || q->entries[i].shut == w;
}

/* First nobody finds the key any more, then the words are new: who looked it up before fails.
 * False: somebody waits for it. */
static bool take_out(struct tg_quota *q, uint32_t i)
{
	struct quota_entry *e = &q->entries[i];
	uint64_t hash = e->hash;
	uint32_t *at;

	__atomic_store_n(&e->hash, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&e->waiters, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&e->hash, hash, __ATOMIC_SEQ_CST);
		return false;
	}
	q->counts.evicted += is_live(q, i);
	for (at = chain_of(q, hash); *at != i;)
		at = &q->entries[*at].next;
	__atomic_store_n(at, e->next, __ATOMIC_RELEASE);
	for (uint32_t k = 0; k < 2; k++) {
		uint64_t old = __atomic_load_n(&e->word[k], __ATOMIC_ACQUIRE);

		while (!__atomic_compare_exchange_n(&e->word[k], &old,
			(old + GENERATION_ONE) & GENERATION_MASK, false, __ATOMIC_SEQ_CST,
			__ATOMIC_ACQUIRE))
			;
	}
	unlink_age(q, i);
	return true;
}

/* Free, or the oldest that nobody asks for now; NONE. */
static uint32_t get_entry(struct tg_quota *q)
{
	uint32_t i = q->oldest;

	if (q->used < q->n_keys) {
		__atomic_store_n(&q->counts.keys, q->used + 1, __ATOMIC_RELAXED);
		return q->used++;
	}
	for (uint32_t k = 0; i != NONE && k < VICTIMS; k++) {
		uint32_t newer = q->cold[i].newer;

		if (!q->cold[i].flying && take_out(q, i))
			return i;
		i = newer;
	}
	return NONE;
}

/* The lists that it may still stand in find nothing to do for the new key. */
static void bring(struct tg_quota *q, const struct quota_record *r)
{
	uint32_t i = find(q, r->hash);
	struct quota_entry *e;
	struct quota_cold *c;

	if (i == NONE) {
		i = get_entry(q);
		if (i == NONE)
			return; /* they will ask again */
		e = &q->entries[i];
		c = &q->cold[i];
		/* Who looked the old key up may still look. */
		__atomic_store_n(&e->want, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&e->mark, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&e->left_there, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&e->shut, NONE, __ATOMIC_RELAXED);
		c->seconds = r->rate.seconds;
		c->given[0] = c->given[1] = 0;
		c->again = c->give_back = c->ahead = false;
		c->left_seen = NONE;
		c->n = (uint16_t)r->n;
		memcpy(c->text, r->text, r->n);
		link_newest(q, i);
		__atomic_store_n(&e->next, *chain_of(q, r->hash), __ATOMIC_RELAXED);
		__atomic_store_n(&e->hash, r->hash, __ATOMIC_RELEASE);
		__atomic_store_n(chain_of(q, r->hash), i, __ATOMIC_RELEASE);
	}
	e = &q->entries[i];
	__atomic_store_n(&e->limit, r->rate.limit, __ATOMIC_RELAXED);
	__atomic_fetch_add(&e->want, 1, __ATOMIC_RELAXED);
	add_pending(q, i);
}

/* --- each tick ---------------------------------------------------------------------------------
 */

static void drain_ring(struct tg_quota *q, struct quota_ring *r)
{
	uint32_t head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE), tail = r->tail;

	while (tail != head)
		bring(q, &r->r[tail++ % RING]);
	__atomic_store_n(&r->tail, tail, __ATOMIC_RELEASE);
}

static void drain_todo(struct tg_quota *q)
{
	uint32_t i = __atomic_exchange_n(&q->todo, NONE, __ATOMIC_ACQUIRE);

	while (i != NONE) {
		struct quota_entry *e = &q->entries[i];
		uint32_t next = e->todo;

		/* Whoever wants something from now on puts it on the stack anew. */
		__atomic_store_n(&e->queued, 0, __ATOMIC_SEQ_CST);
		add_pending(q, i);
		i = next;
	}
}

/* How long the window lasts yet. */
static uint64_t rest_of(const struct tg_quota *q, uint32_t i)
{
	uint64_t window = SEC * q->cold[i].seconds;

	return window - (q->now + q->offset) % window;
}

/* One that had or has tokens, or was told that there are none. */
static void check(struct tg_quota *q, uint32_t i)
{
	struct quota_entry *e = &q->entries[i];
	struct quota_cold *c = &q->cold[i];
	uint32_t w = window_of(q, i), left = tokens_of(q, i, w);
	bool used = left != c->left_seen, shut = e->shut == w;

	if (e->shut != NONE)
		__atomic_store_n(&e->shut, NONE, __ATOMIC_RELAXED);
	if (left && !used) {
		c->give_back = true;
		add_pending(q, i);
	} else if (used && !shut && given_in(q, i, w) && rest_of(q, i) < BEFORE &&
		   !given_in(q, i, w + 1)) {
		c->ahead = true;
		add_pending(q, i);
	}
	c->left_seen = left;
	if (left || tokens_of(q, i, w + 1) || (used && given_in(q, i, w)))
		add_check(q, i);
}

void tg_quota_tick(struct tg_quota *q, uint64_t monotonic, uint64_t realtime)
{
	q->now = monotonic;
	__atomic_store_n(&q->offset, realtime - monotonic, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < q->n_workers; i++)
		drain_ring(q, &q->rings[i]);
	drain_todo(q);
	for (uint32_t n = 0; n < CHECKS_A_TICK && q->checks.first != NONE; n++) {
		uint32_t i = q->checks.first;

		if (q->cold[i].check_at > monotonic)
			break;
		q->checks.first = q->cold[i].check_next;
		if (q->checks.first == NONE)
			q->checks.last = NONE;
		q->cold[i].checking = false;
		check(q, i);
	}
}

void tg_quota_here(struct tg_quota *q, bool here)
{
	__atomic_store_n(&q->here, here, __ATOMIC_RELEASE);
}

/* --- asking ------------------------------------------------------------------------------------
 */

static bool give_back(struct tg_quota *q, uint32_t i, struct tg_quota_ask *out)
{
	uint32_t w = window_of(q, i);

	q->cold[i].give_back = false;
	out->n = take_back(q, i, w);
	out->window = w;
	out->back = true;
	if (!out->n)
		return false;
	q->cold[i].given[w & 1] -= out->n;
	__atomic_store_n(&q->counts.back, q->counts.back + out->n, __ATOMIC_RELAXED);
	return true;
}

static bool ask_now(struct tg_quota *q, uint32_t i, struct tg_quota_ask *out)
{
	struct quota_entry *e = &q->entries[i];
	/* What is left is read first: who waits leaves before it takes. */
	uint32_t w = window_of(q, i), left = tokens_of(q, i, w), given = given_in(q, i, w);
	uint32_t want = __atomic_exchange_n(&e->want, 0, __ATOMIC_SEQ_CST), ahead;
	uint32_t waiters = __atomic_load_n(&e->waiters, __ATOMIC_SEQ_CST);

	if (e->shut == w)
		return false;
	ahead = ahead_of(out->limit, given > left ? given - left : 0);
	want = want > waiters ? want : waiters;
	if (want + ahead <= left)
		return false;
	out->n = want + ahead - left;
	out->window = w;
	return true;
}

static bool ask_ahead(struct tg_quota *q, uint32_t i, struct tg_quota_ask *out)
{
	uint32_t w = window_of(q, i), left = tokens_of(q, i, w), given = given_in(q, i, w);

	q->cold[i].ahead = false;
	out->window = w + 1;
	out->n = given_in(q, i, w + 1) ? 0 : ahead_of(out->limit, given - left);
	return out->n > 0;
}

static bool decide(struct tg_quota *q, uint32_t i, struct tg_quota_ask *out)
{
	const struct quota_cold *c = &q->cold[i];

	*out = (struct tg_quota_ask){.entry = i, .seconds = c->seconds, .key = {c->text, c->n}};
	out->limit = __atomic_load_n(&q->entries[i].limit, __ATOMIC_RELAXED);
	if (c->give_back && give_back(q, i, out))
		return true;
	return ask_now(q, i, out) || (c->ahead && ask_ahead(q, i, out));
}

bool tg_quota_next(struct tg_quota *q, struct tg_quota_ask *out)
{
	uint32_t i;

	while ((i = pop_pending(q)) != NONE) {
		struct quota_cold *c = &q->cold[i];

		if (c->flying) {
			c->again = true;
			continue;
		}
		if (!decide(q, i, out))
			continue;
		c->flying = true;
		touch(q, i);
		__atomic_store_n(&q->counts.asked, q->counts.asked + !out->back, __ATOMIC_RELAXED);
		return true;
	}
	return false;
}

static void landed(struct tg_quota *q, uint32_t i)
{
	struct quota_cold *c = &q->cold[i];

	c->flying = false;
	if (c->again || c->give_back || c->ahead)
		add_pending(q, i);
	c->again = false;
}

void tg_quota_answered(
	struct tg_quota *q, const struct tg_quota_ask *a, uint32_t given, uint64_t used)
{
	struct quota_entry *e = &q->entries[a->entry];
	struct quota_cold *c = &q->cold[a->entry];
	uint32_t w = window_of(q, a->entry), at = a->window & 1, ahead, here;

	if (a->window == w && !a->back)
		__atomic_store_n(&e->left_there, used < a->limit ? (uint32_t)(a->limit - used) : 0,
			__ATOMIC_RELAXED);
	/* What is of a window that is over serves nobody. */
	if (!a->back && given && a->window - w <= 1) {
		if (c->window[at] != a->window) {
			c->window[at] = a->window;
			c->given[at] = 0;
		}
		c->given[at] += given;
		add_tokens(q, a->entry, a->window, given);
		__atomic_store_n(&q->counts.given, q->counts.given + given, __ATOMIC_RELAXED);
		c->left_seen = NONE;
		add_check(q, a->entry);
	}
	if (!a->back && a->window == w && given < a->n) {
		__atomic_store_n(&e->shut, w, __ATOMIC_RELAXED);
		add_check(q, a->entry);
	}
	here = tokens_of(q, a->entry, w);
	ahead = ahead_of(a->limit, given_in(q, a->entry, w) - here);
	__atomic_store_n(&e->mark, e->shut == w ? 0 : (ahead + 1) / 2, __ATOMIC_RELAXED);
	landed(q, a->entry);
}

void tg_quota_unanswered(struct tg_quota *q, const struct tg_quota_ask *a)
{
	__atomic_store_n(&q->counts.unanswered, q->counts.unanswered + 1, __ATOMIC_RELAXED);
	landed(q, a->entry);
}

void tg_quota_counts(const struct tg_quota *q, struct tg_quota_counts *out)
{
	*out = (struct tg_quota_counts){
		.keys = __atomic_load_n(&q->counts.keys, __ATOMIC_RELAXED),
		.keys_max = q->counts.keys_max,
		.asked = __atomic_load_n(&q->counts.asked, __ATOMIC_RELAXED),
		.given = __atomic_load_n(&q->counts.given, __ATOMIC_RELAXED),
		.back = __atomic_load_n(&q->counts.back, __ATOMIC_RELAXED),
		.evicted = __atomic_load_n(&q->counts.evicted, __ATOMIC_RELAXED),
		.unanswered = __atomic_load_n(&q->counts.unanswered, __ATOMIC_RELAXED),
	};
	for (uint32_t i = 0; i < q->n_workers; i++)
		out->ring_full += __atomic_load_n(&q->rings[i].full, __ATOMIC_RELAXED);
}
