/* quota_keeper.c: the one thread that decides what to ask of the store, adds what it gave, and
 * makes room for new keys. */
#include "quota.h"

#define SEC UINT64_C(1000000000)
#define CHECKS_A_TICK 4096
/* A window's tokens are asked for so long before it begins, by who used the one before. */
#define BEFORE (5 * TG_QUOTA_REST / 2)
#define VICTIMS 64 /* looked at beyond those that are to go */
/* Tokens that a key in use keeps until its window ends. */
#define HOLD 1

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

/* --- balances ----------------------------------------------------------------------------------
 */

static uint32_t window_of(const struct tg_quota *q, uint32_t i)
{
	return quota_window(q, q->cold[i].seconds, q->now);
}

static int32_t balance_of(const struct tg_quota *q, uint32_t i, uint32_t w)
{
	uint64_t word = __atomic_load_n(&q->entries[i].word[w & 1], __ATOMIC_ACQUIRE);

	return word_window(word) == w ? word_balance(word) : 0;
}

static uint32_t tokens_of(const struct tg_quota *q, uint32_t i, uint32_t w)
{
	int32_t n = balance_of(q, i, w);

	return n > 0 ? (uint32_t)n : 0;
}

static uint32_t owed_in(const struct tg_quota *q, uint32_t i, uint32_t w)
{
	int32_t n = balance_of(q, i, w);

	return n < 0 ? (uint32_t)-n : 0;
}

/* What was charged and given; returns how much of that had been owed. A window that has made room
 * for another since needs it no more. */
static uint32_t add_balance(struct tg_quota *q, uint32_t i, uint32_t w, uint32_t n)
{
	uint64_t *word = &q->entries[i].word[w & 1], old = __atomic_load_n(word, __ATOMIC_RELAXED);
	int32_t before;
	int64_t sum;

	do {
		if (word_window(old) - w == 2)
			return 0;
		before = word_window(old) == w ? word_balance(old) : 0;
		sum = (int64_t)n + before;
		if (sum > BALANCE_MAX)
			sum = BALANCE_MAX;
	} while (!__atomic_compare_exchange_n(word, &old, word_of(old, w, (int32_t)sum), true,
		__ATOMIC_RELEASE, __ATOMIC_RELAXED));
	if (before >= 0)
		return 0;
	return n < (uint32_t)-before ? n : (uint32_t)-before;
}

/* All that workers have not taken until now, but so many. */
static uint32_t take_back(struct tg_quota *q, uint32_t i, uint32_t w, int32_t keep)
{
	uint64_t *word = &q->entries[i].word[w & 1], old = __atomic_load_n(word, __ATOMIC_RELAXED);

	do
		if (word_window(old) != w || word_balance(old) <= keep)
			return 0;
	while (!__atomic_compare_exchange_n(
		word, &old, word_of(old, w, keep), true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return (uint32_t)(word_balance(old) - keep);
}

static uint32_t given_in(const struct tg_quota *q, uint32_t i, uint32_t w)
{
	return q->cold[i].window[w & 1] == w ? q->cold[i].given[w & 1] : 0;
}

static void add_given(struct tg_quota *q, uint32_t i, uint32_t w, uint32_t n)
{
	struct quota_cold *c = &q->cold[i];

	if (c->window[w & 1] != w) {
		c->window[w & 1] = w;
		c->given[w & 1] = 0;
	}
	c->given[w & 1] += n;
}

/* Requests that passed in the window. */
static uint32_t used_in(const struct tg_quota *q, uint32_t i, uint32_t w)
{
	int64_t n = (int64_t)given_in(q, i, w) - balance_of(q, i, w);

	return n > 0 ? (uint32_t)n : 0;
}

/* What may be held ahead of requests by who has used so many: quota.h has the bound. */
static uint32_t ahead_of(uint32_t limit, uint32_t used)
{
	uint32_t most = limit / 64, n = used / 4 + 1;

	most = most < 1 ? 1 : most < TG_QUOTA_CREDIT_MAX ? most : TG_QUOTA_CREDIT_MAX;
	return n < most ? n : most;
}

/* --- keys --------------------------------------------------------------------------------------
 */

void quota_stock(struct tg_quota *q)
{
	for (uint32_t k = 0; k < q->n_workers; k++) {
		struct quota_ring *r = &q->rings[k];
		uint32_t tail = __atomic_load_n(&r->stock_tail, __ATOMIC_ACQUIRE);
		uint32_t head = r->stock_head;

		while (q->free != NONE && head - tail < STOCK) {
			uint32_t i = q->free;

			q->free = q->cold[i].newer;
			r->stock[head++ % STOCK] = i;
		}
		__atomic_store_n(&r->stock_head, head, __ATOMIC_RELEASE);
	}
}

/* A worker brought it. The lists that it may still stand in find nothing to do for the new key. */
static void list(struct tg_quota *q, uint32_t i)
{
	struct quota_cold *c = &q->cold[i];

	c->window[0] = c->window[1] = c->given[0] = c->given[1] = 0;
	c->again = c->give_back = c->ahead = c->leaving = false;
	c->seen = NONE_SEEN;
	c->listed = true;
	link_newest(q, i);
	q->listed++;
	add_pending(q, i);
}

static void unchain(struct tg_quota *q, uint32_t i, uint64_t hash)
{
	uint64_t *at = quota_head(q, hash), head = __atomic_load_n(at, __ATOMIC_ACQUIRE), to;
	uint32_t next = q->entries[i].next, k;
	bool out = false;

	/* Before the entry may be used again, whoever is about to put something in has to see that
	 * the chain is another. */
	do {
		k = (uint32_t)head;
		if (!out && k != i) {
			while (q->entries[k].next != i)
				k = q->entries[k].next;
			__atomic_store_n(&q->entries[k].next, next, __ATOMIC_RELEASE);
			out = true;
		}
		k = (uint32_t)head;
		to = ((head >> 32) + 1) << 32 | (k == i ? next : k);
	} while (!__atomic_compare_exchange_n(
		at, &head, to, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}

static bool is_live(const struct tg_quota *q, uint32_t i)
{
	uint32_t w = window_of(q, i);

	return given_in(q, i, w) || balance_of(q, i, w) || q->entries[i].shut == w;
}

/* First nobody finds the key any more, then the words are new: who looked it up before fails. */
static void evict(struct tg_quota *q, uint32_t i)
{
	struct quota_entry *e = &q->entries[i];
	uint64_t hash = e->hash;

	q->counts.evicted += is_live(q, i);
	__atomic_store_n(&e->hash, 0, __ATOMIC_SEQ_CST);
	unchain(q, i, hash);
	for (uint32_t k = 0; k < 2; k++) {
		uint64_t old = __atomic_load_n(&e->word[k], __ATOMIC_ACQUIRE);

		while (!__atomic_compare_exchange_n(&e->word[k], &old,
			(old + GENERATION_ONE) & GENERATION_MASK, false, __ATOMIC_SEQ_CST,
			__ATOMIC_ACQUIRE))
			;
		__atomic_store_n(&e->left[k], 0, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&e->shut, NONE, __ATOMIC_RELAXED);
	__atomic_store_n(&e->mark, 1, __ATOMIC_RELAXED);
	unlink_age(q, i);
	q->cold[i].listed = false;
	q->cold[i].newer = q->free;
	q->free = i;
	q->listed--;
}

/* One of the oldest has to go: at once, or when it has given back what it holds, or has paid what
 * it owes. What cannot be given back because the store is away is lost. */
static void dismiss(struct tg_quota *q, uint32_t i)
{
	struct quota_cold *c = &q->cold[i];
	int32_t balance = balance_of(q, i, window_of(q, i));

	if (c->flying || c->leaving || balance < 0)
		return;
	if (balance == 0 || !q->here) {
		evict(q, i);
		return;
	}
	c->leaving = c->give_back = true;
	q->leaving++;
	add_pending(q, i);
}

static void make_room(struct tg_quota *q)
{
	uint32_t i = q->oldest;

	for (uint32_t k = 0; i != NONE && k < VICTIMS + q->leaving; k++) {
		uint32_t newer = q->cold[i].newer;

		if (q->listed - q->leaving <= q->n_keys)
			break;
		dismiss(q, i);
		i = newer;
	}
	__atomic_store_n(
		&q->counts.keys, q->listed < q->n_keys ? q->listed : q->n_keys, __ATOMIC_RELAXED);
}

/* --- each tick ---------------------------------------------------------------------------------
 */

static void drain_news(struct tg_quota *q, struct quota_ring *r)
{
	uint32_t head = __atomic_load_n(&r->news_head, __ATOMIC_ACQUIRE), tail = r->news_tail;

	while (tail != head)
		list(q, r->news[tail++ % STOCK]);
	r->news_tail = tail;
}

static void drain_todo(struct tg_quota *q)
{
	uint32_t i = __atomic_exchange_n(&q->todo, NONE, __ATOMIC_SEQ_CST);

	while (i != NONE) {
		struct quota_entry *e = &q->entries[i];
		uint32_t next = e->todo;

		/* Whoever wants something from now on puts it on the stack anew. */
		__atomic_store_n(&e->queued, 0, __ATOMIC_SEQ_CST);
		if (q->cold[i].listed) /* else it has gone, or is in the news */
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
	uint32_t w = window_of(q, i);
	int32_t balance = balance_of(q, i, w);
	bool used = balance != c->seen, shut = e->shut == w;

	if (e->shut != NONE)
		__atomic_store_n(&e->shut, NONE, __ATOMIC_RELAXED);
	if (balance > HOLD && !used) {
		c->give_back = true;
		add_pending(q, i);
	} else if (used && !shut && given_in(q, i, w) && rest_of(q, i) < BEFORE &&
		   !given_in(q, i, w + 1)) {
		c->ahead = true;
		add_pending(q, i);
	}
	c->seen = balance;
	if (balance > HOLD || tokens_of(q, i, w + 1) || (used && given_in(q, i, w)))
		add_check(q, i);
}

static void do_checks(struct tg_quota *q)
{
	for (uint32_t n = 0; n < CHECKS_A_TICK && q->checks.first != NONE; n++) {
		uint32_t i = q->checks.first;

		if (q->cold[i].check_at > q->now)
			break;
		q->checks.first = q->cold[i].check_next;
		if (q->checks.first == NONE)
			q->checks.last = NONE;
		q->cold[i].checking = false;
		if (q->cold[i].listed)
			check(q, i);
	}
}

/* Windows that are to come once more, since the clock was set back, begin anew: else whoever finds
 * the one behind the next takes his own clock to be late, until that has come. */
static void forget_future(struct tg_quota *q)
{
	for (uint32_t i = q->oldest; i != NONE; i = q->cold[i].newer) {
		uint32_t w = window_of(q, i);

		for (uint32_t k = 0; k < 2; k++) {
			uint64_t *word = &q->entries[i].word[k],
				 old = __atomic_load_n(word, __ATOMIC_ACQUIRE);

			while ((int32_t)(word_window(old) - w) > 1 &&
				!__atomic_compare_exchange_n(word, &old, word_of(old, 0, 0), true,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
				;
		}
	}
}

void tg_quota_tick(struct tg_quota *q, uint64_t monotonic, uint64_t realtime)
{
	uint64_t offset = realtime - monotonic;
	bool back = (int64_t)(q->offset - offset) > (int64_t)(SEC / 2);

	q->now = monotonic;
	__atomic_store_n(&q->offset, offset, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < q->n_workers; i++)
		drain_news(q, &q->rings[i]);
	if (tg_unlikely(back))
		forget_future(q);
	drain_todo(q);
	do_checks(q);
	make_room(q);
	quota_stock(q);
}

void tg_quota_here(struct tg_quota *q, bool here)
{
	__atomic_store_n(&q->here, here, __ATOMIC_RELEASE);
}

bool tg_quota_sleep(struct tg_quota *q)
{
	__atomic_store_n(&q->asleep, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&q->todo, __ATOMIC_SEQ_CST) == NONE)
		return true;
	tg_quota_woke(q);
	return false;
}

void tg_quota_woke(struct tg_quota *q)
{
	__atomic_store_n(&q->asleep, 0, __ATOMIC_SEQ_CST);
}

/* --- asking ------------------------------------------------------------------------------------
 */

static bool give_back(struct tg_quota *q, uint32_t i, struct tg_quota_ask *out)
{
	uint32_t w = window_of(q, i);

	q->cold[i].give_back = false;
	out->n = take_back(q, i, w, q->cold[i].leaving ? 0 : HOLD);
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
	uint32_t w = window_of(q, i), left = tokens_of(q, i, w);
	uint32_t ahead = ahead_of(out->limit, used_in(q, i, w));

	out->back = false;
	out->window = w;
	out->charge = owed_in(q, i, w);
	out->n = q->entries[i].shut != w && ahead > left ? ahead - left : 0;
	return out->charge || out->n;
}

static bool ask_ahead(struct tg_quota *q, uint32_t i, struct tg_quota_ask *out)
{
	uint32_t w = window_of(q, i);

	q->cold[i].ahead = false;
	out->window = w + 1;
	out->n = given_in(q, i, w + 1) ? 0 : ahead_of(out->limit, used_in(q, i, w));
	return out->n > 0;
}

static bool decide(struct tg_quota *q, uint32_t i, struct tg_quota_ask *out)
{
	const struct quota_cold *c = &q->cold[i];

	*out = (struct tg_quota_ask){.entry = i, .seconds = c->seconds, .key = {c->text, c->n}};
	out->limit = __atomic_load_n(&q->entries[i].limit, __ATOMIC_RELAXED);
	if (c->give_back && give_back(q, i, out))
		return true;
	if (c->leaving && !owed_in(q, i, window_of(q, i)))
		return false;
	return ask_now(q, i, out) || (c->ahead && ask_ahead(q, i, out));
}

/* The oldest, but for what has come up since. */
static void leave(struct tg_quota *q, uint32_t i)
{
	if (!q->cold[i].leaving)
		return;
	q->cold[i].leaving = false;
	q->leaving--;
	if (balance_of(q, i, window_of(q, i)) == 0 && q->listed > q->n_keys)
		evict(q, i);
}

bool tg_quota_next(struct tg_quota *q, struct tg_quota_ask *out)
{
	uint32_t i;

	while ((i = pop_pending(q)) != NONE) {
		struct quota_cold *c = &q->cold[i];

		if (!c->listed)
			continue;
		if (c->flying) {
			c->again = true;
			continue;
		}
		if (!decide(q, i, out)) {
			leave(q, i);
			continue;
		}
		c->flying = true;
		if (!out->back)
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
	leave(q, i);
	if (!c->listed)
		return;
	if (c->again || c->give_back || c->ahead || owed_in(q, i, window_of(q, i)))
		add_pending(q, i);
	c->again = false;
}

static void note_left(struct tg_quota *q, const struct tg_quota_ask *a, uint64_t used)
{
	uint64_t left = used < a->limit ? a->limit - used : 0;

	__atomic_store_n(&q->entries[a->entry].left[a->window & 1],
		(uint64_t)a->window << 32 | left, __ATOMIC_RELEASE);
}

static void add_answer(
	struct tg_quota *q, const struct tg_quota_ask *a, uint32_t given, uint64_t used)
{
	uint32_t w = window_of(q, a->entry), paid = a->charge;

	if (a->window - w <= 1) {
		add_given(q, a->entry, a->window, a->charge + given);
		paid = add_balance(q, a->entry, a->window, a->charge + given);
	}
	__atomic_store_n(&q->counts.given, q->counts.given + given, __ATOMIC_RELAXED);
	__atomic_store_n(&q->counts.credited, q->counts.credited + paid, __ATOMIC_RELAXED);
	if (a->window == w && used >= a->limit)
		__atomic_store_n(&q->entries[a->entry].shut, w, __ATOMIC_RELAXED);
	q->cold[a->entry].seen = NONE_SEEN;
	add_check(q, a->entry);
}

void tg_quota_answered(
	struct tg_quota *q, const struct tg_quota_ask *a, uint32_t given, uint64_t used)
{
	struct quota_entry *e = &q->entries[a->entry];
	uint32_t w = window_of(q, a->entry);

	/* What is of a window that is over serves nobody. */
	if (a->window - w <= 1)
		note_left(q, a, used);
	if (!a->back)
		add_answer(q, a, given, used);
	__atomic_store_n(&e->mark,
		e->shut == w ? 0 : (ahead_of(a->limit, used_in(q, a->entry, w)) + 1) / 2,
		__ATOMIC_RELAXED);
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
		.credited = __atomic_load_n(&q->counts.credited, __ATOMIC_RELAXED),
		.evicted = __atomic_load_n(&q->counts.evicted, __ATOMIC_RELAXED),
		.unanswered = __atomic_load_n(&q->counts.unanswered, __ATOMIC_RELAXED),
	};
	for (uint32_t i = 0; i < q->n_workers; i++)
		out->late += __atomic_load_n(&q->rings[i].late, __ATOMIC_RELAXED);
}
