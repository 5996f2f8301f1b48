#include <stdlib.h>
#include <sys/mman.h>

#include <tidegate/rng.h>

#include "flow.h"
#include "tgtest.h"

#define N 6000 /* not a power of two */

static const uint8_t secret[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* Two kinds of object, with their keys at different places. */
static struct {
	uint64_t pad;
	struct tg_flow flow;
} conns[N];
static struct tg_flow waits[N];
static bool in_conns[N], in_waits[N];

static struct tg_flow flow_of(uint32_t i, bool v6)
{
	struct tg_flow f = {.lport = 80, .rport = (uint16_t)(i * 7)};

	if (v6) {
		tg_ip_parse("fd77:1::1", &f.local);
		tg_ip_parse("fd77:2::1", &f.remote);
		f.remote.w[3] = i;
	} else {
		f.local = tg_ip_v4(0x0100007f);
		f.remote = tg_ip_v4(i);
	}
	return f;
}

static void make(struct tg_flow_table *t, uint32_t capacity)
{
	CU_ASSERT_EQUAL_FATAL(tg_flow_init(t, capacity, secret), 0);
	tg_flow_keys(t, TG_FLOW_TCB, &conns[0].flow, sizeof(conns[0]));
	tg_flow_keys(t, TG_FLOW_TIME_WAIT, &waits[0], sizeof(waits[0]));
	for (uint32_t i = 0; i < N; i++) {
		conns[i].flow = flow_of(i, i & 1);
		waits[i] = flow_of(i + N, i & 1);
		in_conns[i] = in_waits[i] = false;
	}
}

static void inserts_finds_removes(void)
{
	struct tg_flow_table t;

	make(&t, N);
	for (uint32_t i = 0; i < N; i++) {
		uint64_t h = tg_flow_hash(&t, &conns[i].flow);

		CU_ASSERT_EQUAL(tg_flow_find(&t, h, &conns[i].flow), 0);
		CU_ASSERT_EQUAL(tg_flow_insert(&t, h, tg_flow_ref(TG_FLOW_TCB, i)), 0);
	}
	CU_ASSERT_EQUAL(t.count, N);
	CU_ASSERT_TRUE(tg_flow_validate(&t));
	for (uint32_t i = 0; i < N; i++) {
		uint64_t h = tg_flow_hash(&t, &conns[i].flow);

		CU_ASSERT_EQUAL(tg_flow_find(&t, h, &conns[i].flow), tg_flow_ref(TG_FLOW_TCB, i));
		CU_ASSERT_EQUAL(tg_flow_find(&t, tg_flow_hash(&t, &waits[i]), &waits[i]), 0);
	}
	for (uint32_t i = 0; i < N; i++) {
		uint64_t h = tg_flow_hash(&t, &conns[i].flow);

		CU_ASSERT_TRUE(tg_flow_remove(&t, h, tg_flow_ref(TG_FLOW_TCB, i)));
		CU_ASSERT_FALSE(tg_flow_remove(&t, h, tg_flow_ref(TG_FLOW_TCB, i)));
		CU_ASSERT_EQUAL(tg_flow_find(&t, h, &conns[i].flow), 0);
	}
	CU_ASSERT_TRUE(tg_flow_validate(&t));
	CU_ASSERT_EQUAL(t.count, 0);
	CU_ASSERT_EQUAL(t.peak, N);
	tg_flow_fini(&t);
}

static void refuses_when_full(void)
{
	struct tg_flow_table t;
	uint64_t h;

	make(&t, 7);
	for (uint32_t i = 0; i < 7; i++)
		CU_ASSERT_EQUAL(tg_flow_insert(&t, tg_flow_hash(&t, &conns[i].flow),
					tg_flow_ref(TG_FLOW_TCB, i)),
			0);
	h = tg_flow_hash(&t, &conns[7].flow);
	CU_ASSERT_EQUAL(tg_flow_insert(&t, h, tg_flow_ref(TG_FLOW_TCB, 7)), TG_ENOMEM);
	CU_ASSERT_EQUAL(t.refused, 1);
	CU_ASSERT_EQUAL(tg_flow_find(&t, h, &conns[7].flow), 0);
	CU_ASSERT_TRUE(tg_flow_validate(&t));
	tg_flow_fini(&t);
	CU_ASSERT_EQUAL(tg_flow_init(&t, 0, secret), TG_EINVAL);
	CU_ASSERT_EQUAL(tg_flow_init(&t, UINT32_MAX, secret), TG_EINVAL);
}

static void replaces_in_place(void)
{
	struct tg_flow_table t;
	uint64_t h;

	make(&t, 1);
	waits[5] = conns[3].flow;
	h = tg_flow_hash(&t, &conns[3].flow);
	CU_ASSERT_EQUAL(tg_flow_insert(&t, h, tg_flow_ref(TG_FLOW_TCB, 3)), 0);
	/* The table is full, which must not matter. */
	CU_ASSERT_TRUE(tg_flow_replace(
		&t, h, tg_flow_ref(TG_FLOW_TCB, 3), tg_flow_ref(TG_FLOW_TIME_WAIT, 5)));
	CU_ASSERT_FALSE(tg_flow_replace(
		&t, h, tg_flow_ref(TG_FLOW_TCB, 3), tg_flow_ref(TG_FLOW_TIME_WAIT, 5)));
	CU_ASSERT_EQUAL(tg_flow_find(&t, h, &conns[3].flow), tg_flow_ref(TG_FLOW_TIME_WAIT, 5));
	CU_ASSERT_EQUAL(tg_flow_guess(&t, h), tg_flow_ref(TG_FLOW_TIME_WAIT, 5));
	CU_ASSERT_TRUE(tg_flow_validate(&t));
	tg_flow_fini(&t);
}

static void random_step(struct tg_flow_table *t, struct tg_rng *r)
{
	uint32_t i = tg_rng_below(r, N);
	bool wait = tg_rng_below(r, 2), *in = wait ? &in_waits[i] : &in_conns[i];
	const struct tg_flow *f = wait ? &waits[i] : &conns[i].flow;
	uint32_t ref = tg_flow_ref(wait ? TG_FLOW_TIME_WAIT : TG_FLOW_TCB, i);
	uint64_t h = tg_flow_hash(t, f);

	CU_ASSERT_EQUAL(tg_flow_find(t, h, f), *in ? ref : 0);
	if (*in) {
		CU_ASSERT_TRUE(tg_flow_remove(t, h, ref));
		*in = false;
	} else if (t->count < t->capacity) {
		CU_ASSERT_EQUAL(tg_flow_insert(t, h, ref), 0);
		*in = true;
	} else {
		CU_ASSERT_EQUAL(tg_flow_insert(t, h, ref), TG_ENOMEM);
	}
}

static uint64_t all_passed(const struct tg_flow_table *t)
{
	uint64_t n = 0;

	for (uint32_t b = 0; b < t->n_buckets; b++)
		n += t->buckets[b].passed;
	return n;
}

/* Millions of insertions and removals at full load leave nothing behind. */
static void does_not_rot(void)
{
	struct tg_flow_table t;
	struct tg_rng r;
	uint64_t early = 0, passed;

	tg_rng_seed(&r, 1);
	make(&t, N / 2);
	for (uint32_t i = 0; i < 2000000; i++) {
		random_step(&t, &r);
		if (i % 100000 == 0)
			CU_ASSERT_TRUE(tg_flow_validate(&t));
		if (i == 100000)
			early = all_passed(&t);
	}
	CU_ASSERT_TRUE(t.count > N / 3);
	passed = all_passed(&t);
	/* Six a bucket on average: about one entry in fifteen finds ten there already, early and
	 * late alike. */
	CU_ASSERT_TRUE(early < t.count / 10);
	CU_ASSERT_TRUE(passed < t.count / 10);
	for (uint32_t i = 0; i < N; i++) {
		if (in_conns[i])
			tg_flow_remove(
				&t, tg_flow_hash(&t, &conns[i].flow), tg_flow_ref(TG_FLOW_TCB, i));
		if (in_waits[i])
			tg_flow_remove(
				&t, tg_flow_hash(&t, &waits[i]), tg_flow_ref(TG_FLOW_TIME_WAIT, i));
	}
	CU_ASSERT_EQUAL(t.count, 0);
	CU_ASSERT_TRUE(tg_flow_validate(&t));
	for (uint32_t b = 0; b < t.n_buckets; b++)
		CU_ASSERT_EQUAL(t.buckets[b].passed, 0);
	tg_flow_fini(&t);
}

/* One home bucket for all: still correct, and removal in any order repairs the counts. */
static void survives_one_bucket(void)
{
	struct tg_flow_table t;
	uint64_t h = UINT64_C(0x7fffffff00000000);

	make(&t, 240);
	for (uint32_t i = 0; i < 240; i++)
		CU_ASSERT_EQUAL(tg_flow_insert(&t, h | (i & 3), tg_flow_ref(TG_FLOW_TCB, i)), 0);
	for (uint32_t i = 0; i < 240; i++)
		CU_ASSERT_EQUAL(
			tg_flow_find(&t, h | (i & 3), &conns[i].flow), tg_flow_ref(TG_FLOW_TCB, i));
	for (uint32_t i = 0; i < 240; i++) {
		uint32_t j = i * 77 % 240;

		CU_ASSERT_TRUE(tg_flow_remove(&t, h | (j & 3), tg_flow_ref(TG_FLOW_TCB, j)));
	}
	CU_ASSERT_TRUE(tg_flow_validate(&t));
	for (uint32_t b = 0; b < t.n_buckets; b++)
		CU_ASSERT_EQUAL(t.buckets[b].passed, 0);
	tg_flow_fini(&t);
}

/* Keys that differ in one place spread over the buckets; another secret spreads them otherwise. */
static void hash_spreads(void)
{
	struct tg_flow_table t, other;
	uint32_t per_bucket[N / TG_FLOW_FILL] = {0}, most = 0, same = 0;
	uint8_t secret2[16] = {9};

	make(&t, N);
	CU_ASSERT_EQUAL_FATAL(tg_flow_init(&other, N, secret2), 0);
	for (uint32_t i = 0; i < N; i++) {
		struct tg_flow f = flow_of(1, false);
		uint64_t h;
		uint32_t b;

		f.rport = (uint16_t)i;
		h = tg_flow_hash(&t, &f);
		same += h == tg_flow_hash(&other, &f);
		b = (uint32_t)(((h >> 32) * t.n_buckets) >> 32);
		if (++per_bucket[b] > most)
			most = per_bucket[b];
	}
	CU_ASSERT_TRUE(most <= 22); /* P(any of 1000 buckets > 22) with mean 6: below 1e-4 */
	CU_ASSERT_EQUAL(same, 0);
	tg_flow_fini(&t);
	tg_flow_fini(&other);
}

static void costs_sixteen_bytes_at_most(void)
{
	struct tg_flow_table t;

	make(&t, 1000000);
	CU_ASSERT_TRUE((uint64_t)t.n_buckets * sizeof(struct tg_flow_bucket) <= 16 * 1000000);
	tg_flow_fini(&t);
}

static void validate_sees_damage(void)
{
	struct tg_flow_table t;

	make(&t, 10);
	CU_ASSERT_EQUAL(
		tg_flow_insert(&t, tg_flow_hash(&t, &conns[1].flow), tg_flow_ref(TG_FLOW_TCB, 1)),
		0);
	CU_ASSERT_TRUE(tg_flow_validate(&t));
	conns[1].flow.rport ^= 1; /* the object changed under the table */
	CU_ASSERT_FALSE(tg_flow_validate(&t));
	conns[1].flow.rport ^= 1;
	t.buckets[0].passed++;
	CU_ASSERT_FALSE(tg_flow_validate(&t));
	t.buckets[0].passed--;
	t.count++;
	CU_ASSERT_FALSE(tg_flow_validate(&t));
	tg_flow_fini(&t);
}

TG_TEST_MAIN("tcp_flow", {"inserts, finds, removes", inserts_finds_removes},
	{"refuses when full", refuses_when_full}, {"replaces in place", replaces_in_place},
	{"does not rot", does_not_rot}, {"survives one bucket", survives_one_bucket},
	{"hash spreads", hash_spreads},
	{"costs sixteen bytes at most", costs_sixteen_bytes_at_most},
	{"validate sees damage", validate_sees_damage})
