/* What happens at the edges of memory: who is turned away, how, and who is not. */
#include "../tgtest.h"
#include "bench.h"

#define GET "GET /api/x?y=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define EXCHANGES 16 /* bench_start()'s */

static bool has(const char *text, const char *part)
{
	if (strstr(text, part))
		return true;
	printf("\n--- not found: %s\n--- in: %s\n", part, text);
	return false;
}

static void overflow_says_so(void)
{
	struct bench_peer *c[2];
	const char *got;

	bench_start(4096);
	bench_cluster()->max_requests = 1;
	c[0] = bench_client(0);
	bench_send(c[0], GET);
	c[1] = bench_client(0);
	bench_send(c[1], GET);
	got = bench_got(c[1]);
	CU_ASSERT(has(got, "HTTP/1.1 503 Service Unavailable\r\n"));
	CU_ASSERT(has(got, "\r\nx-envoy-overloaded: true\r\n"));
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UO));
	/* and nobody else does */
	bench_send(c[1], "GET /empty HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	got = bench_got(c[1]);
	CU_ASSERT(has(got, "HTTP/1.1 503 Service Unavailable\r\n"));
	CU_ASSERT_PTR_NULL(strstr(got, "overloaded"));
	bench_end();
}

/* All exchanges wait for an origin: the next request is told 503, not just cut off. */
static void no_exchange_left(void)
{
	struct bench_peer *c[EXCHANGES], *late;
	const char *got;

	bench_start(4096);
	for (int i = 0; i < EXCHANGES; i++) {
		c[i] = bench_client(0);
		bench_send(c[i], GET);
	}
	late = bench_client(0);
	bench_send(late, GET);
	got = bench_got(late);
	CU_ASSERT(has(got, "HTTP/1.1 503 Service Unavailable\r\n"));
	CU_ASSERT(has(got, "\r\nconnection: close\r\n"));
	CU_ASSERT_TRUE(late->eof);
	CU_ASSERT_FALSE(late->failed);
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_req_no_memory], 1);
	CU_ASSERT_EQUAL(b.n_origins, EXCHANGES);
	for (int i = 0; i < EXCHANGES; i++) {
		bench_send(b.origin[i], OK5);
		CU_ASSERT(has(bench_got(c[i]), "hello"));
	}
	bench_end();
}

/* Heads that trickle hold every exchange: the oldest makes room. */
static void slow_heads_do_not_keep_others_out(void)
{
	struct bench_peer *slow[EXCHANGES], *c;

	bench_start(4096);
	for (int i = 0; i < EXCHANGES; i++) {
		slow[i] = bench_client(0);
		bench_send(slow[i], "GET /api HTTP/1.1\r\nHost: shop");
	}
	/* young ones are let finish */
	c = bench_client(0);
	bench_send(c, GET);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 "));
	bench_advance(2 * TG_SEC);
	for (int i = 0; i < 3; i++) {
		c = bench_client(0);
		bench_send(c, GET);
		CU_ASSERT_EQUAL_FATAL(b.n_origins, (uint32_t)i + 1);
		CU_ASSERT(has(bench_got(slow[i]), "HTTP/1.1 408 "));
		CU_ASSERT_TRUE(slow[i]->eof);
		CU_ASSERT_FALSE(slow[i + 1]->eof);
	}
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_conn_shed], 3);
	bench_send(slow[5], ".example\r\n\r\n");
	CU_ASSERT_EQUAL(b.n_origins, 4);
	bench_end();
}

/* Not the client's fault, so not a 431. */
static void no_memory_for_a_head(void)
{
	static char text[40000];
	const struct tg_pool *pools[16];
	const struct tg_log_record *r;
	struct bench_peer *c;
	uint32_t n, size;

	size = (uint32_t)snprintf(
		text, sizeof(text), "GET /api HTTP/1.1\r\nHost: shop.example\r\nX: ");
	memset(text + size, 'a', sizeof(text) - size);
	memcpy(text + sizeof(text) - 4, "\r\n\r\n", 4);
	for (uint32_t first = 700; first <= sizeof(text); first += sizeof(text) - 700) {
		bench_start(1 << 17);
		n = tg_proxy_pools(b.proxy, pools, 16);
		for (uint32_t i = 0; i < n; i++)
			if (!strcmp(pools[i]->name, "arena_large"))
				((struct tg_pool *)(uintptr_t)pools[i])->fail_every = 1;
		c = bench_client(0);
		bench_send_n(c, text, first); /* in two pieces it is gathered, in one copied */
		bench_send_n(c, text + first, sizeof(text) - first);
		CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 "));
		CU_ASSERT_TRUE(c->eof);
		r = bench_log();
		CU_ASSERT_EQUAL(r->flags, TG_FLAG(OM));
		CU_ASSERT_EQUAL(r->version_minor, 1);
		CU_ASSERT_EQUAL(b.n_origins, 0);
		bench_end();
	}
}

/* A cluster's small buffer must still hold the largest head that we take. */
static void a_big_response_head_fits(void)
{
	static char text[59000];
	struct bench_peer *c;
	uint32_t n;

	n = (uint32_t)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: ");
	memset(text + n, 'a', sizeof(text) - n);
	memcpy(text + sizeof(text) - 9, "\r\n\r\nhello", 9);
	bench_start(1 << 17);
	bench_cluster()->buffer_limit = 16 * 1024;
	b.honour_buffer = true;
	c = bench_client(0);
	bench_send(c, GET);
	bench_send_n(b.origin[0], text, sizeof(text));
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
	bench_end();
}

TG_TEST_MAIN("limits", {"overflow says so", overflow_says_so},
	{"no exchange left", no_exchange_left},
	{"slow heads do not keep others out", slow_heads_do_not_keep_others_out},
	{"no memory for a head", no_memory_for_a_head},
	{"a big response head fits", a_big_response_head_fits})
