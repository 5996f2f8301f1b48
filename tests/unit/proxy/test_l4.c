#include "../tgtest.h"
#include "bench.h"

static void bytes_and_fins_pass_both_ways(void)
{
	struct bench_peer *c, *o;

	bench_start(64);
	c = bench_client(1);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 1); /* dialled on accept, before any byte */
	o = b.origin[0];
	bench_send(c, "ping");
	CU_ASSERT_STRING_EQUAL(bench_got(o), "ping");
	bench_send(
		o, "a longer answer than the buffer between the two can hold at once, so it waits");
	CU_ASSERT_STRING_EQUAL(bench_got(c),
		"a longer answer than the buffer between the two can hold at once, so it waits");
	bench_fin(c);
	CU_ASSERT_TRUE(o->eof);
	CU_ASSERT_FALSE(c->eof);
	bench_send(o, "after your FIN");
	CU_ASSERT_STRING_EQUAL(bench_got(c), "after your FIN");
	bench_fin(o);
	CU_ASSERT_TRUE(c->eof);
	CU_ASSERT_TRUE(tg_proxy_idle(b.proxy));
	CU_ASSERT_EQUAL(bench_log()->bytes_received, 4);
	bench_end();
}

static void origin_may_speak_and_close_first(void)
{
	struct bench_peer *c;

	bench_start(64);
	c = bench_client(1);
	bench_send(b.origin[0], "220 hello\r\n");
	bench_fin(b.origin[0]);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "220 hello\r\n");
	CU_ASSERT_TRUE(c->eof);
	bench_send(c, "quit");
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[0]), "quit");
	bench_fin(c);
	bench_end();
}

static void bytes_before_the_origin_is_there_wait(void)
{
	struct bench_peer *c;

	bench_start(64);
	b.connect_hangs = true;
	c = bench_client(1);
	bench_send(c, "early");
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[0]), "");
	/* now the handshake is done */
	b.connect_hangs = false;
	bench_reset(c);
	CU_ASSERT_TRUE(b.origin[0]->failed);
	bench_end();
}

static void resets_pass_on(void)
{
	struct bench_peer *c;

	bench_start(64);
	c = bench_client(1);
	bench_reset(b.origin[0]);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UC));
	bench_end();
}

static void slow_reader_closes_the_window(void)
{
	struct bench_peer *c;
	struct tg_view v = TG_VIEW("0123456789");
	uint32_t took = 0, n;

	bench_start(64);
	c = bench_client(1);
	c->hold = true;
	while ((n = tg_conn_write(b.origin[0]->conn, &v, 1))) {
		took += n;
		bench_run();
	}
	CU_ASSERT_EQUAL(took, 128); /* one buffer on either side of the proxy, nothing in between */
	c->hold = false;
	bench_run();
	CU_ASSERT_EQUAL(c->n, 128);
	bench_end();
}

static void no_origin_is_a_reset(void)
{
	struct bench_peer *c;

	bench_start(64);
	b.connect_error = TG_ENOROUTE;
	c = bench_client(1);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UF));
	b.connect_error = 0;
	b.connect_fails = TG_WHY_conn_refused;
	c = bench_client(1);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UF));
	bench_end();
}

static struct tg_listener_conf *raw(void)
{
	return (struct tg_listener_conf *)(uintptr_t)&b.snap->listeners[1];
}

/* The next endpoint, and the one after that, until one is there. */
static void others_are_tried(void)
{
	struct bench_peer *c;

	bench_start(64);
	raw()->cluster = &b.snap->clusters[0]; /* with two endpoints */
	raw()->max_connect_attempts = 3;
	bench_cluster()->n_endpoints = 2;
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, b.snap), 0);
	b.connect_fails = TG_WHY_conn_refused;
	b.connect_fails_first = 2;
	c = bench_client(1);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 3);
	CU_ASSERT_NOT_EQUAL(b.to[0].ip.b[15], b.to[1].ip.b[15]);
	CU_ASSERT_EQUAL(b.to[0].ip.b[15], b.to[2].ip.b[15]);
	CU_ASSERT_FALSE(c->failed);
	bench_send(c, "ping");
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[2]), "ping");
	CU_ASSERT_EQUAL(bench_cluster()->stats->upstream_cx_connect_fail, 2);
	bench_reset(c);
	CU_ASSERT_FALSE(bench_log()->flags & (TG_FLAG(UF) | TG_FLAG(URX)));
	/* and no more than so many */
	b.connect_fails_first = 0;
	c = bench_client(1);
	CU_ASSERT_EQUAL(b.n_origins, 6);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(bench_log()->flags, TG_FLAG(UF) | TG_FLAG(URX));
	CU_ASSERT_EQUAL(bench_cluster()->stats->upstream_cx_connect_attempts_exceeded, 1);
	/* what cannot even be begun is an attempt too */
	b.connect_error = TG_ENOROUTE;
	c = bench_client(1);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(bench_cluster()->stats->upstream_cx_connect_fail, 8);
	bench_end();
}

static void clusters_by_weight(void)
{
	struct tg_weighted of[2] = {{.upto = 1}, {.upto = 2}};
	uint32_t db = 0;

	bench_start(64);
	of[0].cluster = &b.snap->clusters[0];
	of[1].cluster = &b.snap->clusters[2];
	raw()->cluster = NULL;
	raw()->weighted = of;
	raw()->n_weighted = 2;
	for (uint32_t i = 0; i < 20; i++) {
		struct bench_peer *c = bench_client(1);

		CU_ASSERT_EQUAL_FATAL(b.n_origins, i + 1);
		db += b.to[i].port == 5432;
		bench_reset(c);
		bench_log();
	}
	CU_ASSERT_TRUE(db > 0 && db < 20);
	bench_end();
}

static void idle_pairs_end(void)
{
	struct bench_peer *c;

	bench_start(64);
	c = bench_client(1);
	bench_advance(3599 * TG_SEC);
	bench_send(c, "still here");
	bench_advance(3599 * TG_SEC);
	CU_ASSERT_FALSE(c->failed);
	bench_advance(2 * TG_SEC);
	CU_ASSERT_TRUE(c->failed);
	bench_end();
}

TG_TEST_MAIN("l4", {"bytes and FINs pass both ways", bytes_and_fins_pass_both_ways},
	{"origin may speak and close first", origin_may_speak_and_close_first},
	{"bytes before the origin is there wait", bytes_before_the_origin_is_there_wait},
	{"resets pass on", resets_pass_on},
	{"slow reader closes the window", slow_reader_closes_the_window},
	{"no origin is a reset", no_origin_is_a_reset}, {"others are tried", others_are_tried},
	{"clusters by weight", clusters_by_weight}, {"idle pairs end", idle_pairs_end})
