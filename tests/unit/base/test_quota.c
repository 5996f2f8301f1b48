/* Limits over several processes: three tables and a model of the store, which forgets nothing but
 * may lose answers. Never more than the limit; early by no more than quota.h says; nothing held for
 * long. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/quota.h>
#include <tidegate/rng.h>

#include "../tgtest.h"

#define PROCESSES 3
#define MS UINT64_C(1000000)
#define SEC (1000 * MS)
#define EPOCH (UINT64_C(1700000000) * SEC + SEC / 4)

/* --- the store ---------------------------------------------------------------------------------
 */

static struct count {
	char key[TG_QUOTA_TEXT_MAX + 16];
	uint64_t used;
} * counts;
static uint32_t n_counts, n_commands;

static struct count *count_of(const struct tg_quota_ask *a)
{
	char key[sizeof(counts->key)];
	uint32_t i;

	snprintf(key, sizeof(key), "%.*s|%u", (int)a->key.n, a->key.p, a->window);
	for (i = (uint32_t)tg_hash64(1, key, strlen(key)) % n_counts;
		counts[i].key[0] && strcmp(counts[i].key, key) != 0; i = (i + 1) % n_counts)
		;
	strcpy(counts[i].key, key);
	return &counts[i];
}

/* As the script of lib/redis. */
static uint32_t give(const struct tg_quota_ask *a, uint64_t *used)
{
	struct count *c = count_of(a);
	uint64_t n = a->n;

	n_commands++;
	if (a->back) {
		c->used -= n < c->used ? n : c->used;
		n = 0;
	} else {
		uint64_t left = c->used < a->limit ? a->limit - c->used : 0;

		n = n < left ? n : left;
		c->used += n;
	}
	*used = c->used;
	return (uint32_t)n;
}

/* --- the processes -----------------------------------------------------------------------------
 */

static struct tg_quota *quota[PROCESSES];
static uint64_t now;

static void tick(struct tg_quota *q)
{
	tg_quota_tick(q, now, EPOCH + now);
}

static void start(uint32_t n, uint32_t keys)
{
	n_counts = 4 * keys + 4096;
	counts = calloc(n_counts, sizeof(*counts));
	n_commands = 0;
	now = SEC;
	for (uint32_t i = 0; i < n; i++) {
		quota[i] = tg_quota_create(keys, 2);
		CU_ASSERT_PTR_NOT_NULL_FATAL(quota[i]);
		tg_quota_here(quota[i], true);
		tick(quota[i]);
	}
}

static void end(void)
{
	for (uint32_t i = 0; i < PROCESSES; i++) {
		tg_quota_destroy(quota[i]);
		quota[i] = NULL;
	}
	free(counts);
}

/* What the keeper does, with a store that answers at once. */
static void keep(struct tg_quota *q)
{
	struct tg_quota_ask a;
	uint64_t used;

	tick(q);
	while (tg_quota_next(q, &a)) {
		uint32_t given = give(&a, &used);

		tg_quota_answered(q, &a, given, used);
	}
}

static uint64_t hash_of(const struct tg_quota *q, const char *text)
{
	return tg_quota_hash(q, 1, text, strlen(text));
}

static enum tg_quota_answer take(struct tg_quota *q, const char *key, const struct tg_quota_rate *r)
{
	return tg_quota_take(q, hash_of(q, key), r, now, NULL);
}

/* A request that waits for the answer. */
static enum tg_quota_answer ask(struct tg_quota *q, const char *key, const struct tg_quota_rate *r)
{
	enum tg_quota_answer a = take(q, key, r);

	if (a != TG_QUOTA_EMPTY && a != TG_QUOTA_UNKNOWN)
		return a;
	tg_quota_want(q, 0, hash_of(q, key), r, tg_view_str(key));
	keep(q);
	return take(q, key, r);
}

static uint32_t ask_all(struct tg_quota *q, const char *key, const struct tg_quota_rate *r)
{
	uint32_t n = 0;

	while (ask(q, key, r) == TG_QUOTA_GIVEN) {
		n++;
		keep(q);
	}
	return n;
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void small_limits_are_exact(void)
{
	static const struct tg_quota_rate r = {5, 3600};
	uint32_t given = 0;

	start(3, 10);
	for (uint32_t i = 0; i < 30; i++)
		given += ask(quota[i % 3], "k", &r) == TG_QUOTA_GIVEN;
	CU_ASSERT_EQUAL(given, 5);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_OVER);
	end();
}

static void windows_begin_anew(void)
{
	static const struct tg_quota_rate r = {5, 1};

	start(1, 10);
	CU_ASSERT_EQUAL(ask_all(quota[0], "k", &r), 5);
	/* EPOCH is a quarter second into one. */
	CU_ASSERT_EQUAL(tg_quota_reset(quota[0], &r, now), 3 * SEC / 4);
	now += 3 * SEC / 4 - 1;
	CU_ASSERT_EQUAL(tg_quota_reset(quota[0], &r, now), 1);
	CU_ASSERT_EQUAL(ask_all(quota[0], "k", &r), 0);
	now += 1;
	CU_ASSERT_EQUAL(ask_all(quota[0], "k", &r), 5);
	end();
}

/* What is left over by one is there for the others after a rest, to the last one. */
static void what_rests_goes_back(void)
{
	static const struct tg_quota_rate r = {1000, 3600};
	struct tg_quota_counts n;
	uint32_t given = 0;

	start(2, 10);
	for (uint32_t i = 0; i < 500; i++)
		given += ask(quota[0], "k", &r) == TG_QUOTA_GIVEN;
	CU_ASSERT_EQUAL(given, 500);
	given += ask_all(quota[1], "k", &r);
	CU_ASSERT(given < 1000);
	CU_ASSERT(given >= 1000 - 1000 / 64);
	for (uint32_t i = 0; i < 4; i++) {
		now += TG_QUOTA_REST;
		keep(quota[0]);
		keep(quota[1]);
	}
	tg_quota_counts(quota[0], &n);
	CU_ASSERT(n.back > 0);
	given += ask_all(quota[1], "k", &r);
	CU_ASSERT_EQUAL(given, 1000);
	end();
}

/* Who uses tokens steadily asks ahead, for the next window too: nobody waits. */
static void the_next_window_is_asked_for_ahead(void)
{
	static const struct tg_quota_rate r = {6400, 1};
	uint32_t empty = 0;

	start(1, 10);
	for (uint32_t ms = 0; ms < 3000; ms++, now += MS)
		for (uint32_t i = 0; i < 2; i++) {
			enum tg_quota_answer a = take(quota[0], "k", &r);

			if (a != TG_QUOTA_GIVEN && ms > 100)
				empty++;
			if (a != TG_QUOTA_GIVEN)
				tg_quota_want(
					quota[0], 0, hash_of(quota[0], "k"), &r, TG_VIEW("k"));
			keep(quota[0]);
		}
	CU_ASSERT_EQUAL(empty, 0);
	end();
}

/* --- by chance ---------------------------------------------------------------------------------
 */

#define FLIGHT 64
struct flight {
	struct tg_quota_ask a;
	uint64_t due, used;
	uint32_t given;
	bool busy, lost;
};

struct world {
	struct tg_rng rng;
	struct tg_quota_rate r;
	struct flight air[PROCESSES][FLIGHT];
	uint64_t taken[PROCESSES]; /* of the window */
	uint32_t window;
	uint64_t lost; /* tokens of answers that did not come */
};

static void fly(struct world *w, uint32_t p, uint32_t loss)
{
	tick(quota[p]);
	for (uint32_t i = 0; i < FLIGHT; i++) {
		struct flight *f = &w->air[p][i];

		if (f->busy && f->due <= now) {
			f->busy = false;
			if (f->lost)
				tg_quota_unanswered(quota[p], &f->a);
			else
				tg_quota_answered(quota[p], &f->a, f->given, f->used);
		}
		if (!f->busy && tg_quota_next(quota[p], &f->a)) {
			f->given = give(&f->a, &f->used);
			f->lost = tg_rng_below(&w->rng, 100) < loss;
			f->due = now + tg_rng_below(&w->rng, 5) * MS;
			f->busy = true;
			w->lost += f->lost && f->a.window == w->window ? f->given : 0;
		}
	}
}

static uint64_t sum(const struct world *w)
{
	return w->taken[0] + w->taken[1] + w->taken[2];
}

/* Requests at every process, more than the limit; answers are late, or lost. */
static void run_world(uint64_t seed, uint32_t limit, uint32_t loss)
{
	static struct world w;
	char key[] = "k";

	memset(&w, 0, sizeof(w));
	w.r = (struct tg_quota_rate){limit, 1};
	tg_rng_seed(&w.rng, seed);
	start(3, 4);
	w.window = (uint32_t)((EPOCH + now) / SEC);
	for (uint32_t ms = 0; ms < 2500; ms++, now += MS) {
		uint32_t window = (uint32_t)((EPOCH + now) / SEC);

		if (window != w.window) {
			/* What each has at most: what it holds ahead, what was given back too late,
			 * and what is on its way. */
			if (!loss && ms > 1000)
				CU_ASSERT(sum(&w) >= limit - 2 * (limit / 64 + 1) - limit / 10);
			memset(w.taken, 0, sizeof(w.taken));
			w.window = window;
			w.lost = 0;
		}
		for (uint32_t p = 0; p < PROCESSES; p++) {
			uint32_t n = tg_rng_below(&w.rng, limit / 200 + 2);

			for (uint32_t i = 0; i < n; i++) {
				enum tg_quota_answer a = take(quota[p], key, &w.r);

				w.taken[p] += a == TG_QUOTA_GIVEN;
				if (a == TG_QUOTA_EMPTY || a == TG_QUOTA_UNKNOWN)
					tg_quota_want(quota[p], i & 1, hash_of(quota[p], key), &w.r,
						tg_view_str(key));
			}
			fly(&w, p, loss);
		}
		CU_ASSERT_FATAL(sum(&w) <= limit);
	}
	end();
}

static void never_more_than_the_limit(void)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		run_world(seed, 10 + (uint32_t)seed % 7, 0);
		run_world(seed, 1000, 0);
		run_world(seed, 1000, 20);
	}
}

/* --- keys --------------------------------------------------------------------------------------
 */

/* A hundred thousand keys, twice as many as there is room for: each gets its token, and none a
 * second one. */
static void more_keys_than_room(void)
{
	static const struct tg_quota_rate r = {1, 3600};
	const uint32_t keys = 100000, room = 50000;
	struct tg_quota_counts n;
	uint32_t wrong = 0;
	char key[16];

	start(1, room);
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t i = 0; i < keys; i++) {
			snprintf(key, sizeof(key), "k%u", i);
			wrong += ask(quota[0], key, &r) != (round ? TG_QUOTA_OVER : TG_QUOTA_GIVEN);
		}
	CU_ASSERT_EQUAL(wrong, 0);
	tg_quota_counts(quota[0], &n);
	CU_ASSERT_EQUAL(n.keys, room);
	CU_ASSERT_EQUAL(n.keys_max, room);
	CU_ASSERT_EQUAL(n.evicted, 2 * keys - room);
	CU_ASSERT_EQUAL(n_commands, 2 * keys);
	end();
}

/* The oldest goes: who asks now and then stays. */
static void the_oldest_goes(void)
{
	static const struct tg_quota_rate r = {1000, 3600};
	char key[16];

	start(1, 10);
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		CU_ASSERT_EQUAL(ask(quota[0], key, &r), TG_QUOTA_GIVEN);
		if (i)
			CU_ASSERT_NOT_EQUAL(take(quota[0], "stays", &r), TG_QUOTA_UNKNOWN);
		CU_ASSERT_EQUAL(ask(quota[0], "stays", &r), TG_QUOTA_GIVEN);
		keep(quota[0]);
	}
	end();
}

/* However often a request looks again, and however late the keeper is, it is one token that is
 * asked for. */
static void one_token_for_one_request(void)
{
	static const struct tg_quota_rate r = {5, 3600};
	struct tg_quota_ask a;
	uint64_t h, used;
	uint32_t at;

	start(1, 10);
	h = hash_of(quota[0], "k");
	tg_quota_want(quota[0], 0, h, &r, TG_VIEW("k"));
	tick(quota[0]);
	CU_ASSERT_TRUE_FATAL(tg_quota_next(quota[0], &a));
	for (uint32_t i = 0; i < 3; i++) { /* it looks, and finds nothing */
		CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_EMPTY);
		at = tg_quota_enter(quota[0], h);
		tick(quota[0]);
		CU_ASSERT_FALSE(tg_quota_next(quota[0], &a));
		tg_quota_leave(quota[0], at);
	}
	at = tg_quota_enter(quota[0], h);
	tick(quota[0]);
	tg_quota_answered(quota[0], &a, give(&a, &used), 1);
	CU_ASSERT_FALSE(tg_quota_next(quota[0], &a));
	tg_quota_leave(quota[0], at);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_GIVEN);
	keep(quota[0]);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_EMPTY);
	CU_ASSERT_EQUAL(n_commands, 1);
	end();
}

/* A key that somebody waits for keeps its place. */
static void who_waits_keeps_his_place(void)
{
	static const struct tg_quota_rate r = {5, 3600};
	char key[16];
	uint32_t at;

	start(1, 10);
	CU_ASSERT_EQUAL(ask(quota[0], "waits", &r), TG_QUOTA_GIVEN);
	at = tg_quota_enter(quota[0], hash_of(quota[0], "waits"));
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		CU_ASSERT_EQUAL(ask(quota[0], key, &r), TG_QUOTA_GIVEN);
	}
	tg_quota_leave(quota[0], at);
	CU_ASSERT_EQUAL(take(quota[0], "waits", &r), TG_QUOTA_GIVEN);
	end();
}

/* More keys than a ring has room for: they are counted, and ask again. */
static void a_full_ring(void)
{
	static const struct tg_quota_rate r = {1, 3600};
	struct tg_quota_counts n;
	char key[16];

	start(1, 2000);
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		tg_quota_want(quota[0], 0, hash_of(quota[0], key), &r, tg_view_str(key));
	}
	tg_quota_counts(quota[0], &n);
	CU_ASSERT_EQUAL(n.ring_full, 1000 - 512);
	keep(quota[0]);
	CU_ASSERT_EQUAL(take(quota[0], "k0", &r), TG_QUOTA_GIVEN);
	CU_ASSERT_EQUAL(take(quota[0], "k511", &r), TG_QUOTA_GIVEN);
	CU_ASSERT_EQUAL(take(quota[0], "k512", &r), TG_QUOTA_UNKNOWN);
	end();
}

static void away_and_back(void)
{
	static const struct tg_quota_rate r = {3, 3600};
	struct tg_quota_ask a;
	uint32_t place, at;

	start(1, 10);
	tg_quota_here(quota[0], false);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_AWAY);
	tg_quota_here(quota[0], true);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_UNKNOWN);
	/* An answer that does not come: whoever waits asks again. */
	place = tg_quota_want(quota[0], 0, hash_of(quota[0], "k"), &r, TG_VIEW("k"));
	CU_ASSERT_FALSE(tg_quota_lost(quota[0], 0, place));
	tick(quota[0]);
	CU_ASSERT_TRUE(tg_quota_lost(quota[0], 0, place));
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_EMPTY);
	at = tg_quota_enter(quota[0], hash_of(quota[0], "k"));
	CU_ASSERT_NOT_EQUAL(at, TG_QUOTA_NOWHERE);
	CU_ASSERT_TRUE(tg_quota_next(quota[0], &a));
	CU_ASSERT_EQUAL(a.n, 1);
	CU_ASSERT_FALSE(tg_quota_next(quota[0], &a));
	tg_quota_unanswered(quota[0], &a);
	tick(quota[0]);
	CU_ASSERT_TRUE(tg_quota_next(quota[0], &a));
	CU_ASSERT_EQUAL(a.n, 1);
	tg_quota_unanswered(quota[0], &a);
	tg_quota_leave(quota[0], at);
	tick(quota[0]);
	CU_ASSERT_FALSE(tg_quota_next(quota[0], &a));
	CU_ASSERT_EQUAL(ask(quota[0], "k", &r), TG_QUOTA_GIVEN);
	/* What is here is given, store or not. */
	tg_quota_want(quota[0], 0, hash_of(quota[0], "k"), &r, TG_VIEW("k"));
	keep(quota[0]);
	tg_quota_here(quota[0], false);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_GIVEN);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_AWAY);
	end();
}

static void what_is_left_is_told(void)
{
	static const struct tg_quota_rate r = {10, 3600};
	uint32_t left;

	start(1, 10);
	for (uint32_t i = 1; i <= 10; i++) {
		tg_quota_want(quota[0], 0, hash_of(quota[0], "k"), &r, TG_VIEW("k"));
		keep(quota[0]);
		CU_ASSERT_EQUAL(tg_quota_take(quota[0], hash_of(quota[0], "k"), &r, now, &left),
			TG_QUOTA_GIVEN);
		CU_ASSERT_EQUAL(left, 10 - i);
	}
	end();
}

static void keys_cannot_be_forged(void)
{
	struct tg_quota_text t = {0}, u = {0}, v = {0};
	uint8_t large[300];
	struct tg_view k;

	tg_quota_text_raw(&t, TG_VIEW("shop|a="));
	tg_quota_text_add(&t, TG_VIEW("b|c=d%~\x01\xff z"));
	k = tg_quota_text_end(&t);
	CU_ASSERT(tg_view_eq(k, TG_VIEW("shop|a=b%7Cc%3Dd%25%7E%01%FF%20z")));
	memset(large, 'x', sizeof(large));
	tg_quota_text_add(&u, tg_view_of(large, sizeof(large)));
	large[299] = 'y';
	tg_quota_text_add(&v, tg_view_of(large, sizeof(large)));
	CU_ASSERT_EQUAL(tg_quota_text_end(&u).n, TG_QUOTA_TEXT_MAX);
	CU_ASSERT_FALSE(tg_view_eq(tg_quota_text_end(&u), tg_quota_text_end(&v)));
	CU_ASSERT_EQUAL(memcmp(u.b, v.b, 190), 0);
}

/* --- threads -----------------------------------------------------------------------------------
 */

#define TAKERS 2
static const struct tg_quota_rate busy = {100000, 3600};
static bool stop;

static void *taker(void *arg)
{
	uint32_t worker = (uint32_t)(uintptr_t)arg;
	uint64_t h = hash_of(quota[0], "k"), n = 0;
	char key[16];

	for (uint32_t i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		enum tg_quota_answer a = tg_quota_take(quota[0], h, &busy, SEC, NULL);

		if (a == TG_QUOTA_GIVEN) {
			n++;
		} else if (a == TG_QUOTA_OVER) {
			break;
		} else {
			tg_quota_want(quota[0], worker, h, &busy, TG_VIEW("k"));
			/* Others push the key out of the small table. */
			snprintf(key, sizeof(key), "%u", i % 8);
			tg_quota_want(
				quota[0], worker, hash_of(quota[0], key), &busy, tg_view_str(key));
		}
	}
	return (void *)(uintptr_t)n;
}

static void *keeper(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		keep(quota[0]);
	return NULL;
}

static void workers_and_keeper_at_once(void)
{
	pthread_t t[TAKERS], k;
	uint64_t n = 0;
	void *got;

	start(1, 4);
	stop = false;
	pthread_create(&k, NULL, keeper, NULL);
	for (uintptr_t i = 0; i < TAKERS; i++)
		pthread_create(&t[i], NULL, taker, (void *)i);
	for (uint32_t i = 0; i < TAKERS; i++) {
		pthread_join(t[i], &got);
		n += (uintptr_t)got;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(k, NULL);
	CU_ASSERT(n <= busy.limit);
	CU_ASSERT(n > 0); /* how many an eviction takes along is chance */
	end();
}

static void memory_is_what_was_said(void)
{
	CU_ASSERT(tg_quota_bytes(100000, 2) < 50u << 20);
}

TG_TEST_MAIN("quota", {"small limits are exact", small_limits_are_exact},
	{"windows begin anew", windows_begin_anew}, {"what rests goes back", what_rests_goes_back},
	{"the next window is asked for ahead", the_next_window_is_asked_for_ahead},
	{"never more than the limit", never_more_than_the_limit},
	{"more keys than room", more_keys_than_room}, {"the oldest goes", the_oldest_goes},
	{"one token for one request", one_token_for_one_request},
	{"who waits keeps his place", who_waits_keeps_his_place}, {"a full ring", a_full_ring},
	{"away and back", away_and_back}, {"what is left is told", what_is_left_is_told},
	{"keys cannot be forged", keys_cannot_be_forged},
	{"workers and keeper at once", workers_and_keeper_at_once},
	{"memory is what was said", memory_is_what_was_said})
