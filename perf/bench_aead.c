/* bench_aead.c: what sealing and opening a TLS 1.3 record costs, with each implementation.
 *
 * For content of 64 B, 256 B, 1400 B and 16 KiB: the record in one piece, and in pieces of 1448
 * bytes, as TCP's segments hold it. Also what waking a key and a KeyUpdate cost, and the same 256
 * bytes while a second thread does likewise: ipsec-mb clears one word at each call, which threads
 * share unless each has an instance of the library (tg_aead_thread).
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"
#include "record.h"

#define PASS 16 /* records */
#define MSS 1448
#define MAX (TG_REC_CONTENT_MAX + TG_REC_OVERHEAD)
#define PIECES (MAX / MSS + 1)

static const char *const suites[] = {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void check(bool ok)
{
	if (!ok) {
		fprintf(stderr, "a record was not opened\n");
		exit(1);
	}
}

/* One direction, and a record cut in some way. */
struct line {
	struct tg_rec tx, rx;
	struct tg_aead_key tx_key, rx_key;
	uint8_t content[TG_REC_CONTENT_MAX], rec[MAX];
	struct tg_span out[PIECES];
	uint32_t n, n_out;
};

static void begin(struct line *b, enum tg_suite suite)
{
	static const uint8_t secret[48] = {1};

	memset(b, 0, sizeof(*b));
	memset(b->content, 'x', sizeof(b->content));
	tg_rec_init(&b->tx, suite, secret, 0);
	tg_rec_init(&b->rx, suite, secret, 0);
	check(tg_rec_wake(&b->tx, &b->tx_key) && tg_rec_wake(&b->rx, &b->rx_key));
}

static void end(struct line *b, enum tg_suite suite)
{
	static const enum tg_aead_id ids[] = {
		TG_AEAD_AES_128_GCM, TG_AEAD_AES_256_GCM, TG_AEAD_CHACHA20_POLY1305};
	const struct tg_aead_ops *ops = tg_aead_get(ids[suite]);

	ops->discard(tg_rec_rest(&b->tx));
	ops->discard(tg_rec_rest(&b->rx));
}

static void cut(struct line *b, uint32_t n, uint32_t piece)
{
	uint32_t total = n + TG_REC_OVERHEAD;

	b->n = n;
	b->n_out = 0;
	for (uint32_t at = 0; at < total; at += piece)
		b->out[b->n_out++] =
			(struct tg_span){b->rec + at, total - at < piece ? total - at : piece};
}

static void seal(struct line *b)
{
	tg_rec_seal(&b->tx, TG_REC_DATA, &(struct tg_view){b->content, b->n}, 1, b->n, b->out,
		b->n_out);
}

static void measure_seal(struct line *b, const char *name)
{
	struct bench m;

	for (bench_begin(&m, name); bench_more(&m);) {
		bench_start(&m);
		for (uint32_t i = 0; i < PASS; i++)
			seal(b);
		bench_stop(&m, PASS);
	}
}

/* Opening overwrites the record: a pass has one for each time. */
static void measure_open(struct line *b, const char *name)
{
	static uint8_t sealed[MAX], records[PASS][MAX];
	static struct tg_span out[PASS][PIECES];
	struct bench m;
	uint8_t type;

	b->tx.seq = 0;
	seal(b);
	memcpy(sealed, b->rec, b->n + TG_REC_OVERHEAD);
	for (uint32_t i = 0; i < PASS; i++)
		for (uint32_t k = 0; k < b->n_out; k++)
			out[i][k] =
				(struct tg_span){records[i] + (b->out[k].p - b->rec), b->out[k].n};
	for (bench_begin(&m, name); bench_more(&m);) {
		for (uint32_t i = 0; i < PASS; i++)
			memcpy(records[i], sealed, b->n + TG_REC_OVERHEAD);
		bench_start(&m);
		for (uint32_t i = 0; i < PASS; i++) {
			b->rx.seq = 0;
			check(tg_rec_open(&b->rx, out[i], b->n_out, &type) == (int32_t)b->n);
		}
		bench_stop(&m, PASS);
	}
}

static void bench_records(const char *impl, enum tg_suite suite)
{
	static const uint32_t sizes[] = {64, 256, 1400, 16384}, pieces[] = {MAX, MSS};
	static struct line b;
	char name[100];

	begin(&b, suite);
	for (uint32_t p = 0; p < 2; p++)
		for (uint32_t i = 0; i < TG_ARRAY_LEN(sizes); i++) {
			cut(&b, sizes[i], pieces[p]);
			if (p && b.n_out == 1)
				continue;
			snprintf(name, sizeof(name), "%s %s: seal %u bytes in %u", impl,
				suites[suite], sizes[i], b.n_out);
			measure_seal(&b, name);
			snprintf(name, sizeof(name), "%s %s: open %u bytes in %u", impl,
				suites[suite], sizes[i], b.n_out);
			measure_open(&b, name);
		}
	end(&b, suite);
}

static void bench_keys(const char *impl, enum tg_suite suite)
{
	static struct line b;
	struct bench m;
	char name[100];

	begin(&b, suite);
	snprintf(name, sizeof(name), "%s %s: rest and wake", impl, suites[suite]);
	for (bench_begin(&m, name); bench_more(&m);) {
		bench_start(&m);
		for (uint32_t i = 0; i < PASS; i++)
			check(tg_rec_wake(&b.tx, tg_rec_rest(&b.tx)));
		bench_stop(&m, PASS);
	}
	snprintf(name, sizeof(name), "%s %s: KeyUpdate", impl, suites[suite]);
	for (bench_begin(&m, name); bench_more(&m);) {
		bench_start(&m);
		for (uint32_t i = 0; i < PASS; i++)
			check(tg_rec_next_key(&b.tx));
		bench_stop(&m, PASS);
	}
	end(&b, suite);
}

/* --- two threads ------------------------------------------------------------------------------ */

enum company { ALONE, SHARING, APART, END }; /* what the other thread does meanwhile */

static _Atomic enum company company;
static atomic_uint other_done; /* in tens of records */

/* To the n-th CPU that this program may use. */
static void pin(uint32_t n)
{
	static cpu_set_t may;
	cpu_set_t one;

	if (!CPU_COUNT(&may))
		sched_getaffinity(0, sizeof(may), &may);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &may) && !n--)
			CPU_SET(i, &one);
	if (CPU_COUNT(&one))
		sched_setaffinity(0, sizeof(one), &one);
}

/* The second thread seals with the first one's instance of the library, or with one for itself. */
static void *other_thread(void *arg)
{
	static struct line sharing, apart;
	enum company now_is;

	pin(1);
	begin(&sharing, TG_SUITE_AES_128_GCM_SHA256);
	tg_aead_thread();
	begin(&apart, TG_SUITE_AES_128_GCM_SHA256);
	cut(&sharing, 256, MAX);
	cut(&apart, 256, MAX);
	while ((now_is = atomic_load_explicit(&company, memory_order_relaxed)) != END) {
		if (now_is == ALONE) {
			sched_yield();
			continue;
		}
		for (uint32_t i = 0; i < 10; i++)
			seal(now_is == SHARING ? &sharing : &apart);
		atomic_fetch_add_explicit(&other_done, 1, memory_order_relaxed);
	}
	end(&sharing, TG_SUITE_AES_128_GCM_SHA256);
	end(&apart, TG_SUITE_AES_128_GCM_SHA256);
	return NULL;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#define ROUND 100 /* records */
#define SHORT_ROUNDS 60000

/* Short rounds in turn alone, beside a thread that shares, and beside one that does not; of those
 * in company, the ones in which the other thread did as much as we. Same key, same memory. */
static uint32_t one_round(struct line *b, enum company with, double *took)
{
	uint32_t before = atomic_load_explicit(&other_done, memory_order_relaxed), done;
	double start = now(), end;

	for (uint32_t k = 0; k < ROUND; k++)
		seal(b);
	end = now();
	done = atomic_load_explicit(&other_done, memory_order_relaxed) - before;
	*took = (end - start) / ROUND;
	return with == ALONE ? done == 0 : done * 10 > ROUND / 2 && done * 10 < ROUND * 2;
}

static void bench_company(const char *impl)
{
	static double took[END][SHORT_ROUNDS];
	static struct line mine;
	uint32_t n[END] = {0};
	pthread_t t;

	tg_aead_thread();
	begin(&mine, TG_SUITE_AES_128_GCM_SHA256);
	cut(&mine, 256, MAX);
	pin(0);
	atomic_store(&company, ALONE);
	check(!pthread_create(&t, NULL, other_thread, NULL));
	for (uint32_t i = 0; i < SHORT_ROUNDS; i++) {
		enum company with = i / 500 % END;

		atomic_store(&company, with);
		n[with] += one_round(&mine, with, &took[with][n[with]]);
	}
	atomic_store(&company, END);
	pthread_join(t, NULL);
	for (uint32_t i = 0; i < END; i++)
		qsort(took[i], n[i], sizeof(took[i][0]), order);
	printf("%-8s %-17s   256 bytes, medians of short rounds: seal alone %.1f ns, beside a "
	       "thread with the same instance of the library %.1f ns, with another %.1f ns (%u, %u "
	       "and %u rounds)\n",
		impl, suites[0], took[ALONE][n[ALONE] / 2], took[SHARING][n[SHARING] / 2],
		took[APART][n[APART] / 2], n[ALONE], n[SHARING], n[APART]);
	end(&mine, TG_SUITE_AES_128_GCM_SHA256);
}

int main(int argc, char **argv)
{
	static const char *const impls[] = {"ipsec-mb", "evp"};

	bench_init(argc, argv);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(impls); i++) {
		const char *name = tg_aead_init(impls[i]);

		if (!name)
			continue;
		printf("# %s\n", name);
		for (uint32_t k = 0; k < TG_ARRAY_LEN(suites); k++) {
			bench_records(impls[i], (enum tg_suite)k);
			bench_keys(impls[i], (enum tg_suite)k);
		}
		if (argc == 1 && !bench_counts())
			bench_company(impls[i]);
	}
	return bench_end();
}
