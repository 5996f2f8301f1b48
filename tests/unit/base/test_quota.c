/* Limits over several processes: three tables and a model of the store, which forgets nothing but
 * may lose answers. Never more than the limit and what quota.h says of credit; early by no more
 * than it says; nothing held for long. */
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
		uint64_t left;

		c->used += a->charge;
		left = c->used < a->limit ? a->limit - c->used : 0;
		n = n < left ? n : left;
		c->used += n;
	}
	*used = c->used;
	return (uint32_t)n;
}

/* --- the processes -----------------------------------------------------------------------------
 */

static struct tg_quota *quota[PROCESSES];
static uint64_t now, ahead; /* ahead: of the clock, that is wrong */

static void tick(struct tg_quota *q)
{
	tg_quota_tick(q, now, EPOCH + now + ahead);
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

static bool passed(enum tg_quota_answer a)
{
	return a == TG_QUOTA_GIVEN || a == TG_QUOTA_CREDITED;
}

/* A request of a worker, as the filter makes it. */
static enum tg_quota_answer take_at(
	struct tg_quota *q, uint32_t worker, const char *key, const struct tg_quota_rate *r)
{
	uint64_t h = hash_of(q, key);
	enum tg_quota_answer a = tg_quota_take(q, h, r, now, NULL);

	if (a == TG_QUOTA_UNKNOWN && tg_quota_bring(q, worker, h, r, tg_view_str(key)))
		a = tg_quota_take(q, h, r, now, NULL);
	return a;
}

static enum tg_quota_answer take(struct tg_quota *q, const char *key, const struct tg_quota_rate *r)
{
	return take_at(q, 0, key, r);
}

/* Requests between which the store always answers, until one is refused. */
static uint32_t take_all(struct tg_quota *q, const char *key, const struct tg_quota_rate *r)
{
	uint32_t n = 0;

	while (passed(take(q, key, r))) {
		n++;
		keep(q);
	}
	return n;
}

/* Requests without a break, until one is refused. */
static uint32_t burst(struct tg_quota *q, const char *key, const struct tg_quota_rate *r)
{
	uint32_t n = 0;

	while (passed(take_at(q, n & 1, key, r)))
		n++;
	return n;
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void the_usual_credit(void)
{
	static const uint32_t limits[][2] = {
		{1, 1}, {5, 5}, {16, 16}, {17, 16}, {1024, 16}, {6400, 100}, {1000000000, 1 << 20}};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(limits); i++)
		CU_ASSERT_EQUAL(tg_quota_credit(limits[i][0], 0), limits[i][1]);
	CU_ASSERT_EQUAL(tg_quota_credit(5, 1), 1);
	CU_ASSERT_EQUAL(tg_quota_credit(5, 9), 5);
}

/* With answers between the requests nothing is over, and nobody is refused early for good. */
static void small_limits_are_exact(void)
{
	static const struct tg_quota_rate r = {5, 3600, 5};
	uint32_t given = 0;

	start(3, 10);
	for (uint32_t i = 0; i < 30; i++) {
		given += passed(take(quota[i % 3], "k", &r));
		keep(quota[i % 3]);
	}
	CU_ASSERT_EQUAL(given, 5);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(take(quota[i], "k", &r), TG_QUOTA_OVER);
	end();
}

/* A single process is exact however fast requests come: it waits for nothing, and passes none
 * beyond the limit. */
static void one_process_is_exact(void)
{
	for (uint32_t limit = 1; limit < 300; limit += 7) {
		struct tg_quota_rate r = {limit, 3600, limit};

		start(1, 10);
		CU_ASSERT_EQUAL(burst(quota[0], "k", &r), limit);
		CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_OVER);
		keep(quota[0]);
		CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_OVER);
		r.credit = tg_quota_credit(limit, 0);
		CU_ASSERT_EQUAL(take_all(quota[0], "l", &r), limit);
		end();
	}
}

/* The first request is decided by credit, and that is paid with the first question. */
static void credit_is_charged(void)
{
	static const struct tg_quota_rate r = {100, 3600, 8};
	struct tg_quota_counts n;
	struct tg_quota_ask a;
	uint64_t used;

	start(1, 10);
	CU_ASSERT_EQUAL(burst(quota[0], "k", &r), 8);
	tick(quota[0]);
	CU_ASSERT_TRUE_FATAL(tg_quota_next(quota[0], &a));
	CU_ASSERT_EQUAL(a.charge, 8);
	CU_ASSERT_EQUAL(a.n, 1);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_EMPTY);
	/* An answer that does not come: it stays owed, and is charged with again. */
	tg_quota_unanswered(quota[0], &a);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_EMPTY);
	tick(quota[0]);
	CU_ASSERT_TRUE_FATAL(tg_quota_next(quota[0], &a));
	CU_ASSERT_EQUAL(a.charge, 8);
	tg_quota_answered(quota[0], &a, give(&a, &used), 9);
	CU_ASSERT_EQUAL(used, 9);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_GIVEN);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_CREDITED);
	tg_quota_counts(quota[0], &n);
	CU_ASSERT_EQUAL(n.credited, 8);
	CU_ASSERT_EQUAL(n.given, 1);
	end();
}

/* The bound, reached: one process has had all of the limit, and the others do not know. Afterwards
 * they do. */
static void over_by_the_others_credit(void)
{
	static const struct tg_quota_rate r = {640, 3600, 10};
	uint32_t given;

	start(3, 10);
	given = take_all(quota[0], "k", &r);
	CU_ASSERT_EQUAL(given, 640);
	given += burst(quota[1], "k", &r) + burst(quota[2], "k", &r);
	CU_ASSERT_EQUAL(given, 640 + 2 * 10);
	for (uint32_t i = 0; i < 3; i++)
		keep(quota[i]);
	for (uint32_t k = 0; k < 5; k++, now += TG_QUOTA_REST)
		for (uint32_t i = 0; i < 3; i++) {
			CU_ASSERT_FALSE(passed(take(quota[i], "k", &r)));
			keep(quota[i]);
		}
	end();
}

/* Without credit never more than the limit; who comes first is refused, the next one is not. */
static void without_credit(void)
{
	static const struct tg_quota_rate r = {3, 3600, 0};

	start(2, 10);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_EMPTY);
	keep(quota[0]);
	CU_ASSERT_EQUAL(take_all(quota[0], "k", &r), 3);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_OVER);
	CU_ASSERT_EQUAL(take(quota[1], "k", &r), TG_QUOTA_EMPTY);
	keep(quota[1]);
	CU_ASSERT_EQUAL(take(quota[1], "k", &r), TG_QUOTA_OVER);
	end();
}

/* As by a reload, in the middle of a window: the rest of the new limit is there after a rest. */
static void the_limit_changes(void)
{
	static const struct tg_quota_rate r = {5, 3600, 5}, more = {8, 3600, 5},
					  less = {6, 3600, 5};

	start(1, 10);
	CU_ASSERT_EQUAL(take_all(quota[0], "k", &r), 5);
	now += TG_QUOTA_REST;
	keep(quota[0]);
	CU_ASSERT_EQUAL(take(quota[0], "k", &more), TG_QUOTA_OVER);
	keep(quota[0]);
	CU_ASSERT_EQUAL(take_all(quota[0], "k", &more), 3);
	now += TG_QUOTA_REST;
	keep(quota[0]);
	CU_ASSERT_EQUAL(take_all(quota[0], "k", &less), 0);
	end();
}

static void windows_begin_anew(void)
{
	static const struct tg_quota_rate r = {5, 1, 5};

	start(1, 10);
	CU_ASSERT_EQUAL(take_all(quota[0], "k", &r), 5);
	/* EPOCH is a quarter second into one. */
	CU_ASSERT_EQUAL(tg_quota_reset(quota[0], &r, now), 3 * SEC / 4);
	now += 3 * SEC / 4 - 1;
	CU_ASSERT_EQUAL(tg_quota_reset(quota[0], &r, now), 1);
	CU_ASSERT_EQUAL(take_all(quota[0], "k", &r), 0);
	now += 1;
	CU_ASSERT_EQUAL(burst(quota[0], "k", &r), 5);
	end();
}

/* What is left over by one is there for the others after a rest, but for one token. */
static void what_rests_goes_back(void)
{
	static const struct tg_quota_rate r = {1000, 3600, 15};
	struct tg_quota_counts n;
	uint32_t given = 0;

	start(2, 10);
	for (uint32_t i = 0; i < 500; i++) {
		given += passed(take(quota[0], "k", &r));
		keep(quota[0]);
	}
	CU_ASSERT_EQUAL(given, 500);
	given += take_all(quota[1], "k", &r);
	CU_ASSERT(given < 1000);
	CU_ASSERT(given >= 1000 - 1000 / 64);
	for (uint32_t i = 0; i < 4; i++) {
		now += TG_QUOTA_REST;
		keep(quota[0]);
		keep(quota[1]);
	}
	tg_quota_counts(quota[0], &n);
	CU_ASSERT(n.back > 0);
	/* It was told that nothing is left: who comes next makes it ask again. */
	CU_ASSERT_EQUAL(take(quota[1], "k", &r), TG_QUOTA_OVER);
	keep(quota[1]);
	given += take_all(quota[1], "k", &r);
	CU_ASSERT_EQUAL(given, 999);
	given += take_all(quota[0], "k", &r);
	CU_ASSERT_EQUAL(given, 1000);
	end();
}

/* Who uses tokens steadily has them leased ahead, for the next window too: no credit is needed. */
static void the_next_window_is_asked_for_ahead(void)
{
	static const struct tg_quota_rate r = {6400, 1, 100};
	uint32_t credited = 0;

	start(1, 10);
	for (uint32_t ms = 0; ms < 3000; ms++, now += MS)
		for (uint32_t i = 0; i < 2; i++) {
			enum tg_quota_answer a = take(quota[0], "k", &r);

			credited += a != TG_QUOTA_GIVEN;
			if (ms == 100)
				credited = 0;
			keep(quota[0]);
		}
	CU_ASSERT_EQUAL(credited, 0);
	end();
}

/* A clock that was ahead is set back by two windows: the key is not refused until they have passed,
 * and what is asked of the store is not thrown away. */
static void the_clock_is_set_back(void)
{
	static const struct tg_quota_rate r = {100, 3600, 8};
	uint32_t given = 0;

	start(1, 10);
	ahead = 2 * 3600 * SEC;
	tick(quota[0]);
	CU_ASSERT(passed(take(quota[0], "k", &r)));
	keep(quota[0]);
	ahead = 0;
	tick(quota[0]);
	for (uint32_t i = 0; i < 200; i++) {
		given += passed(take(quota[0], "k", &r));
		now += TG_QUOTA_REST;
		keep(quota[0]);
	}
	CU_ASSERT_EQUAL(given, 100);
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
	uint32_t n; /* processes */
	struct flight air[PROCESSES][FLIGHT];
	uint64_t passed; /* in the window */
	uint32_t window;
	uint64_t most; /* of all windows */
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
		}
	}
}

/* Requests at n processes, more than the limit, in bursts; answers are late, or lost. Returns the
 * most that passed in a window. */
static uint64_t run_world(uint64_t seed, uint32_t n, uint32_t limit, uint32_t credit, uint32_t loss)
{
	static struct world w;
	uint32_t windows = 0;

	memset(&w, 0, sizeof(w));
	w.r = (struct tg_quota_rate){limit, 1, credit};
	w.n = n;
	tg_rng_seed(&w.rng, seed);
	start(n, 4);
	w.window = (uint32_t)((EPOCH + now) / SEC);
	for (uint32_t ms = 0; ms < 2500; ms++, now += MS) {
		uint32_t window = (uint32_t)((EPOCH + now) / SEC);

		if (window != w.window) {
			/* What each has at most: what it holds ahead, what was given back too late,
			 * and what is on its way. */
			if (!loss && windows++)
				CU_ASSERT(w.passed + n * (limit / 64 + 1) + limit / 10 >= limit);
			w.passed = 0;
			w.window = window;
		}
		for (uint32_t p = 0; p < n; p++) {
			uint32_t k =
				tg_rng_below(&w.rng, 4) ? 0 : tg_rng_below(&w.rng, limit / 40 + 3);

			for (uint32_t i = 0; i < k; i++)
				w.passed += passed(take_at(quota[p], i & 1, "k", &w.r));
			fly(&w, p, loss);
		}
		w.most = w.passed > w.most ? w.passed : w.most;
	}
	end();
	return w.most;
}

static void never_more_than_the_bound(void)
{
	uint32_t over = 0;

	for (uint64_t seed = 1; seed <= 10; seed++) {
		uint32_t small = 10 + (uint32_t)seed % 7;

		for (uint32_t loss = 0; loss <= 20; loss += 20) {
			/* Alone, or without credit: the limit. */
			CU_ASSERT(run_world(seed, 1, small, small, loss) <= small);
			CU_ASSERT(run_world(seed, 1, 1000, 16, loss) <= 1000);
			CU_ASSERT(run_world(seed, 3, small, 0, loss) <= small);
			CU_ASSERT(run_world(seed, 3, 1000, 0, loss) <= 1000);
			/* And three with credit. */
			CU_ASSERT(run_world(seed, 3, 1000, 16, loss) <= 1000 + 3 * 16);
			CU_ASSERT(run_world(seed, 3, small, 2, loss) <= small + 3 * 2);
			over += run_world(seed, 3, small, small, loss) > small;
			CU_ASSERT(run_world(seed, 3, small, small, loss) <= 4 * small);
		}
	}
	CU_ASSERT(over > 0); /* else this has shown nothing */
}

/* --- keys --------------------------------------------------------------------------------------
 */

/* What the store has counted of all keys. */
static uint64_t counted(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n_counts; i++)
		sum += counts[i].used;
	return sum;
}

/* A hundred thousand keys, twice as many as there is room for, two times: the memory is what it
 * was, and every token that was given is counted, whoever had to make room. */
static void more_keys_than_room(uint32_t credit)
{
	const struct tg_quota_rate r = {2, 3600, credit};
	const uint32_t keys = 100000, room = 50000;
	uint32_t given = 0, round, i;
	struct tg_quota_counts n;
	char key[16];

	start(1, room);
	for (round = 0; round < 2; round++)
		for (i = 0; i < keys; i++) {
			snprintf(key, sizeof(key), "k%u", i);
			if (!credit) { /* the first one brings it */
				CU_ASSERT_EQUAL_FATAL(take(quota[0], key, &r), TG_QUOTA_EMPTY);
				keep(quota[0]);
			}
			given += passed(take(quota[0], key, &r));
			keep(quota[0]);
			tg_quota_counts(quota[0], &n);
			CU_ASSERT_FATAL(n.keys <= room);
		}
	CU_ASSERT_EQUAL(given, 2 * keys);
	CU_ASSERT_EQUAL(n.keys_max, room);
	CU_ASSERT_EQUAL(n.evicted, 2 * keys - room);
	CU_ASSERT_EQUAL(n.late, 0);
	/* Those that are out hold nothing any more; those that are in hold a token if one was left.
	 */
	CU_ASSERT(counted() >= given && counted() <= given + room);
	/* A third time, when nothing is left: only credit can be given once more. */
	for (given = i = 0; i < keys; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		given += passed(take(quota[0], key, &r));
		keep(quota[0]);
	}
	CU_ASSERT_EQUAL(given, credit ? keys : 0);
	end();
}

static void more_keys_than_room_on_credit(void)
{
	more_keys_than_room(2);
}

static void more_keys_than_room_without(void)
{
	more_keys_than_room(0);
}

/* One that owes stays until that was charged, whatever comes; one that holds tokens gives them back
 * first. */
static void who_owes_stays(void)
{
	static const struct tg_quota_rate r = {100, 3600, 5};
	struct tg_quota_counts n;
	struct tg_quota_ask a[3];
	uint64_t used;

	start(1, 1);
	CU_ASSERT_EQUAL(burst(quota[0], "owes", &r), 5);
	CU_ASSERT_TRUE(passed(take(quota[0], "more", &r)));
	tick(quota[0]);
	CU_ASSERT_TRUE_FATAL(tg_quota_next(quota[0], &a[0]));
	CU_ASSERT_TRUE_FATAL(tg_quota_next(quota[0], &a[1]));
	CU_ASSERT_EQUAL(a[0].charge + a[1].charge, 6);
	tg_quota_unanswered(quota[0], &a[0]);
	tg_quota_unanswered(quota[0], &a[1]);
	tg_quota_here(quota[0], false);
	tick(quota[0]);
	tg_quota_counts(quota[0], &n);
	CU_ASSERT_EQUAL(n.evicted, 0);
	tg_quota_here(quota[0], true);
	CU_ASSERT_TRUE_FATAL(tg_quota_next(quota[0], &a[0]));
	CU_ASSERT_TRUE_FATAL(tg_quota_next(quota[0], &a[1]));
	CU_ASSERT_EQUAL(a[0].charge + a[1].charge, 6);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t given = give(&a[i], &used);

		tg_quota_answered(quota[0], &a[i], given, used);
	}
	keep(quota[0]);
	tg_quota_counts(quota[0], &n);
	CU_ASSERT_EQUAL(n.evicted, 1);
	CU_ASSERT_EQUAL(n.back, 1);
	CU_ASSERT_EQUAL(counted(), 6 + 1);
	end();
}

/* The oldest goes: who asks now and then stays. */
static void the_oldest_goes(void)
{
	static const struct tg_quota_rate r = {1000, 3600, 1};
	char key[16];

	start(1, 10);
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		CU_ASSERT_TRUE(passed(take(quota[0], key, &r)));
		keep(quota[0]);
		if (i)
			CU_ASSERT_NOT_EQUAL(
				tg_quota_take(quota[0], hash_of(quota[0], "stays"), &r, now, NULL),
				TG_QUOTA_UNKNOWN);
		CU_ASSERT_TRUE(passed(take(quota[0], "stays", &r)));
		keep(quota[0]);
	}
	end();
}

/* More keys at once than there are entries in stock: counted, and decided all the same; the next
 * time there is room. */
static void keys_that_come_too_fast(void)
{
	static const struct tg_quota_rate r = {1, 3600, 1};
	struct tg_quota_counts n;
	uint32_t unknown = 0;
	char key[16];

	start(1, 2000);
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		unknown += take(quota[0], key, &r) == TG_QUOTA_UNKNOWN;
	}
	tg_quota_counts(quota[0], &n);
	CU_ASSERT_EQUAL(unknown, 1000 - 512);
	CU_ASSERT_EQUAL(n.late, 1000 - 512);
	keep(quota[0]);
	CU_ASSERT_EQUAL(take(quota[0], "k511", &r), TG_QUOTA_OVER);
	CU_ASSERT_EQUAL(take(quota[0], "k512", &r), TG_QUOTA_CREDITED);
	end();
}

static void away_and_back(void)
{
	static const struct tg_quota_rate r = {10, 3600, 3};

	start(1, 10);
	tg_quota_here(quota[0], false);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_AWAY);
	tg_quota_here(quota[0], true);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_CREDITED);
	/* No credit without the store; what is owed is charged when it is back. */
	tg_quota_here(quota[0], false);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_AWAY);
	tg_quota_here(quota[0], true);
	keep(quota[0]);
	CU_ASSERT_EQUAL(counted(), 2);
	/* What is here is given, store or not. */
	tg_quota_here(quota[0], false);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_GIVEN);
	CU_ASSERT_EQUAL(take(quota[0], "k", &r), TG_QUOTA_AWAY);
	end();
}

static void what_is_left_is_told(void)
{
	static const struct tg_quota_rate r = {10, 3600, 10};
	uint32_t left;

	start(1, 10);
	take(quota[0], "k", &r);
	for (uint32_t i = 2; i <= 10; i++) {
		if (i & 1) /* on credit or not */
			keep(quota[0]);
		CU_ASSERT_TRUE(
			passed(tg_quota_take(quota[0], hash_of(quota[0], "k"), &r, now, &left)));
		CU_ASSERT_EQUAL(left, 10 - i);
	}
	end();
}

/* Who sleeps is woken once, by whoever has something for it. */
static void the_keeper_sleeps(void)
{
	static const struct tg_quota_rate r = {10, 3600, 10};

	start(1, 10);
	CU_ASSERT_FALSE(tg_quota_wake(quota[0]));
	take(quota[0], "k", &r);
	CU_ASSERT_FALSE(tg_quota_wake(quota[0])); /* it is awake */
	CU_ASSERT_FALSE(tg_quota_sleep(quota[0]));
	keep(quota[0]);
	CU_ASSERT_TRUE(tg_quota_sleep(quota[0]));
	CU_ASSERT_FALSE(tg_quota_wake(quota[0])); /* for nothing */
	take(quota[0], "k", &r);
	CU_ASSERT_TRUE(tg_quota_wake(quota[0]));
	CU_ASSERT_FALSE(tg_quota_wake(quota[0]));
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
static struct tg_quota_rate busy;
static uint32_t others; /* keys that push the busy one out of a small table */
static bool stop;

static void *taker(void *arg)
{
	uint32_t worker = (uint32_t)(uintptr_t)arg;
	uint64_t n = 0;
	char key[16];

	for (uint32_t i = 0; i < 50000 && !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		enum tg_quota_answer a = take_at(quota[0], worker, "k", &busy);

		n += passed(a);
		if (a == TG_QUOTA_OVER)
			break;
		if (others) {
			snprintf(key, sizeof(key), "%u", (i + worker) % others);
			take_at(quota[0], worker, key, &busy);
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

/* Returns what passed of the busy key. */
static uint64_t at_once(bool with_keeper)
{
	pthread_t t[TAKERS], k;
	uint64_t n = 0;
	void *got;

	stop = false;
	if (with_keeper)
		pthread_create(&k, NULL, keeper, NULL);
	for (uintptr_t i = 0; i < TAKERS; i++)
		pthread_create(&t[i], NULL, taker, (void *)i);
	for (uint32_t i = 0; i < TAKERS; i++) {
		pthread_join(t[i], &got);
		n += (uintptr_t)got;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	if (with_keeper)
		pthread_join(k, NULL);
	return n;
}

static void workers_share_the_credit(void)
{
	for (uint32_t i = 0; i < 10; i++) {
		start(1, 4);
		others = 0;
		busy = (struct tg_quota_rate){100000, 3600, 5000};
		CU_ASSERT_EQUAL(at_once(false), 5000);
		end();
	}
}

static void workers_and_keeper_at_once(void)
{
	start(1, 4);
	others = 0;
	busy = (struct tg_quota_rate){30000, 3600, 500};
	CU_ASSERT(at_once(true) <= busy.limit);
	end();
	/* Evicted again and again: what is not known any more is what credit gives anew. */
	start(1, 4);
	others = 8;
	busy.credit = 0;
	CU_ASSERT(at_once(true) <= busy.limit);
	end();
	start(1, 4);
	busy.credit = 500;
	at_once(true);
	keep(quota[0]);
	end();
}

static void memory_is_what_was_said(void)
{
	CU_ASSERT(tg_quota_bytes(100000, 2) < 50u << 20);
}

TG_TEST_MAIN("quota", {"the usual credit", the_usual_credit},
	{"small limits are exact", small_limits_are_exact},
	{"one process is exact", one_process_is_exact}, {"credit is charged", credit_is_charged},
	{"over by the others' credit", over_by_the_others_credit},
	{"without credit", without_credit}, {"the limit changes", the_limit_changes},
	{"windows begin anew", windows_begin_anew}, {"what rests goes back", what_rests_goes_back},
	{"the next window is asked for ahead", the_next_window_is_asked_for_ahead},
	{"the clock is set back", the_clock_is_set_back},
	{"never more than the bound", never_more_than_the_bound},
	{"more keys than room, on credit", more_keys_than_room_on_credit},
	{"more keys than room, without", more_keys_than_room_without},
	{"who owes stays", who_owes_stays}, {"the oldest goes", the_oldest_goes},
	{"keys that come too fast", keys_that_come_too_fast}, {"away and back", away_and_back},
	{"what is left is told", what_is_left_is_told}, {"the keeper sleeps", the_keeper_sleeps},
	{"keys cannot be forged", keys_cannot_be_forged},
	{"workers share the credit", workers_share_the_credit},
	{"workers and keeper at once", workers_and_keeper_at_once},
	{"memory is what was said", memory_is_what_was_said})
