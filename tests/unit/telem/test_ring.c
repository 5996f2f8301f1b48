#include <pthread.h>
#include <sched.h>

#include <tidegate/log.h>

#include "../tgtest.h"

static void fills_and_empties(void)
{
	struct tg_log_ring *r = tg_log_ring_create(3); /* rounded up to 4 */
	struct tg_log_record *w;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	for (uint32_t round = 0; round < 100; round++) {
		CU_ASSERT_PTR_NULL(tg_log_peek(r));
		for (uint32_t i = 0; i < 4; i++) {
			w = tg_log_reserve(r);
			CU_ASSERT_PTR_NOT_NULL_FATAL(w);
			w->duration_ns = round * 4 + i;
			tg_log_commit(r);
		}
		CU_ASSERT_PTR_NULL(tg_log_reserve(r));
		for (uint32_t i = 0; i < 4; i++) {
			const struct tg_log_record *got = tg_log_peek(r);

			CU_ASSERT_PTR_NOT_NULL_FATAL(got);
			CU_ASSERT_EQUAL(got->duration_ns, round * 4 + i);
			tg_log_release(r);
		}
	}
	tg_log_ring_destroy(r);
}

static void reserve_without_commit_is_invisible(void)
{
	struct tg_log_ring *r = tg_log_ring_create(8);
	struct tg_log_record *first = tg_log_reserve(r);

	CU_ASSERT_PTR_NULL(tg_log_peek(r));
	/* A worker that gave up filling reserves the same place again. */
	CU_ASSERT_PTR_EQUAL(tg_log_reserve(r), first);
	tg_log_commit(r);
	CU_ASSERT_PTR_EQUAL(tg_log_peek(r), first);
	tg_log_ring_destroy(r);
}

static void text_is_cut(void)
{
	uint8_t big[300];
	struct tg_log_text t;

	memset(big, 'x', sizeof(big));
	tg_log_text_set(&t, tg_view_of(big, sizeof(big)));
	CU_ASSERT_EQUAL(t.n, TG_LOG_TEXT_MAX);
	tg_log_text_set(&t, TG_VIEW_NONE);
	CU_ASSERT_EQUAL(t.n, 0);
}

#define RECORDS 300000u

static void fill(struct tg_log_record *w, uint32_t i)
{
	w->start_ns = i;
	w->status = (uint16_t)i;
	w->path_n = (uint16_t)(i % TG_LOG_PATH_MAX);
	memset(w->path, (int)(i & 0xff), w->path_n);
	w->duration_ns = ~(uint64_t)i;
}

static void *produce(void *arg)
{
	struct tg_log_ring *r = arg;

	for (uint32_t i = 0; i < RECORDS;) {
		struct tg_log_record *w = tg_log_reserve(r);

		if (!w) {
			sched_yield();
			continue;
		}
		fill(w, i++);
		tg_log_commit(r);
	}
	return NULL;
}

/* Every record arrives once, whole and in order, over many wraps of a small ring. */
static void two_threads(void)
{
	struct tg_log_ring *r = tg_log_ring_create(16);
	struct tg_log_record want = {0};
	uint32_t bad = 0;
	pthread_t t;

	CU_ASSERT_FATAL(pthread_create(&t, NULL, produce, r) == 0);
	for (uint32_t i = 0; i < RECORDS;) {
		const struct tg_log_record *got = tg_log_peek(r);

		if (!got) {
			sched_yield();
			continue;
		}
		fill(&want, i++);
		bad += got->start_ns != want.start_ns || got->status != want.status ||
		       got->duration_ns != want.duration_ns || got->path_n != want.path_n ||
		       memcmp(got->path, want.path, want.path_n) != 0;
		tg_log_release(r);
	}
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_PTR_NULL(tg_log_peek(r));
	tg_log_ring_destroy(r);
}

TG_TEST_MAIN("log ring", {"fills and empties", fills_and_empties},
	{"reserve without commit is invisible", reserve_without_commit_is_invisible},
	{"text is cut", text_is_cut}, {"two threads", two_threads})
