#include <tidegate/retry.h>

#include "../tgtest.h"
#include "tests.h"

void retry_words(void)
{
	struct tg_view bad;

	CU_ASSERT_EQUAL(tg_retry_on_parse(TG_VIEW("5xx"), &bad), TG_RETRY_5XX);
	CU_ASSERT_EQUAL(bad.n, 0);
	CU_ASSERT_EQUAL(tg_retry_on_parse(TG_VIEW(" reset ,\tretriable-4xx,,"), &bad),
		TG_RETRY_RESET | TG_RETRY_RETRIABLE_4XX);
	CU_ASSERT_EQUAL(bad.n, 0);
	CU_ASSERT_EQUAL(tg_retry_on_parse(TG_VIEW("5xx,5xxx,reset,x"), &bad),
		TG_RETRY_5XX | TG_RETRY_RESET);
	CU_ASSERT_TRUE(tg_view_eq(bad, TG_VIEW("5xxx")));
	CU_ASSERT_EQUAL(tg_retry_on_parse(TG_VIEW_NONE, &bad), 0);
	CU_ASSERT_EQUAL(tg_retry_on_parse(TG_VIEW("cancelled,deadline-exceeded,internal,"
						  "resource-exhausted,unavailable"),
				&bad),
		TG_RETRY_GRPC);
}

/* A gRPC status in the head asks for the word that is its own, whatever the other status. */
void retry_grpc(void)
{
	static const struct {
		uint32_t on;
		const char *status;
	} rows[] = {{TG_RETRY_CANCELLED, "1"}, {TG_RETRY_DEADLINE_EXCEEDED, "4"},
		{TG_RETRY_RESOURCE_EXHAUSTED, "8"}, {TG_RETRY_INTERNAL, "13"},
		{TG_RETRY_UNAVAILABLE, "14"}, {0, "0"}, {0, "2"}, {0, "141"}, {0, ""}};
	static const struct tg_retry_asked nothing;
	struct tg_field f = {TG_VIEW("Grpc-Status"), TG_VIEW_NONE, TG_FIELD_UNKNOWN, false};
	struct tg_msg m = {.status = 200, .fields = &f, .n_fields = 1};

	for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
		f.value = tg_view_str(rows[i].status);
		CU_ASSERT_EQUAL(
			tg_retry_by_response(rows[i].on, NULL, &nothing, &m), rows[i].on != 0);
		CU_ASSERT_FALSE(
			tg_retry_by_response(TG_RETRY_GRPC & ~rows[i].on, NULL, &nothing, &m));
		CU_ASSERT_FALSE(tg_retry_by_failure(rows[i].on, TG_RETRY_LOST));
	}
	m.n_fields = 0;
	CU_ASSERT_FALSE(tg_retry_by_response(TG_RETRY_GRPC, NULL, &nothing, &m));
}

void retry_statuses(void)
{
	struct tg_retry_statuses s = {0};

	tg_retry_statuses_parse(TG_VIEW("409, 99,600,x,503x, 5030,100,599,"), &s);
	CU_ASSERT_EQUAL(s.n, 3);
	CU_ASSERT_EQUAL(s.code[0], 409);
	CU_ASSERT_EQUAL(s.code[2], 599);
	for (int i = 0; i < 10; i++)
		tg_retry_statuses_parse(TG_VIEW("500,501,502"), &s);
	CU_ASSERT_EQUAL(s.n, TG_RETRY_STATUSES);
}

void retry_failures(void)
{
	static const struct {
		uint32_t on;
		bool connect, undelivered, lost, slow;
	} rows[] = {{0, 0, 0, 0, 0}, {TG_RETRY_5XX, 1, 1, 1, 1},
		{TG_RETRY_GATEWAY_ERROR, 1, 1, 1, 1}, {TG_RETRY_RESET, 1, 1, 1, 1},
		{TG_RETRY_CONNECT_FAILURE, 1, 0, 0, 0}, {TG_RETRY_RESET_BEFORE_REQUEST, 1, 1, 0, 0},
		{TG_RETRY_RETRIABLE_4XX, 0, 0, 0, 0}, {TG_RETRY_REFUSED_STREAM, 0, 0, 0, 0}};

	for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
		uint32_t on = rows[i].on;

		CU_ASSERT_EQUAL(tg_retry_by_failure(on, TG_RETRY_NO_CONNECTION), rows[i].connect);
		CU_ASSERT_EQUAL(
			tg_retry_by_failure(on, TG_RETRY_LOST_UNDELIVERED), rows[i].undelivered);
		CU_ASSERT_EQUAL(tg_retry_by_failure(on, TG_RETRY_LOST), rows[i].lost);
		CU_ASSERT_EQUAL(tg_retry_by_failure(on, TG_RETRY_TOO_SLOW), rows[i].slow);
	}
}

/* Uniform in [0, (2^n - 1) * base), below max: mean half of it, and the ends are come near. */
void retry_backoff(void)
{
	struct tg_rng rng;

	tg_rng_seed(&rng, 1);
	for (uint32_t n = 1; n < 40; n++) {
		uint64_t limit = n < 4 ? (UINT64_C(1) << n) * 1000 - 1000 : 10000;
		uint64_t sum = 0, least = UINT64_MAX, most = 0;

		for (int i = 0; i < 10000; i++) {
			uint64_t w = tg_retry_backoff(1000, 10000, n, &rng);

			sum += w;
			least = w < least ? w : least;
			most = w > most ? w : most;
		}
		CU_ASSERT_TRUE(most < limit && most > limit - limit / 50);
		CU_ASSERT_TRUE(least < limit / 50);
		CU_ASSERT_TRUE(sum / 10000 > limit * 48 / 100 && sum / 10000 < limit * 52 / 100);
	}
	CU_ASSERT_EQUAL(tg_retry_backoff(0, 0, 1, &rng), 0);
}
