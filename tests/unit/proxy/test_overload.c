/* What a worker does in overload, and that it stops doing it. */
#include "../tgtest.h"
#include "bench.h"

#define GET "GET /api/x?y=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static struct tg_overload_conf conf;

static bool has(const char *text, const char *part)
{
	if (strstr(text, part))
		return true;
	printf("\n--- not found: %s\n--- in: %s\n", part, text);
	return false;
}

/* An action that begins at 3 connections of 4 and ends below 2. */
static void start(enum tg_overload_action a)
{
	bench_start(4096);
	memset(&conf, 0, sizeof(conf));
	conf.refresh = 100 * TG_MS;
	conf.watched[TG_MONITOR_CONNECTIONS] = true;
	conf.max_connections = 4;
	conf.trigger[a][TG_MONITOR_CONNECTIONS] =
		(struct tg_overload_trigger){true, false, 750000, 500000};
	b.snap->overload = &conf;
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, b.snap), 0);
}

/* The same with how long packets have been waiting, by degrees: 100 ms are all. */
static void start_delayed(enum tg_overload_action a)
{
	start(a);
	memset(conf.trigger, 0, sizeof(conf.trigger));
	conf.watched[TG_MONITOR_DELAY] = true;
	conf.max_delay = 100 * TG_MS;
	conf.trigger[a][TG_MONITOR_DELAY] =
		(struct tg_overload_trigger){true, true, 0, TG_OVERLOAD_WHOLE};
}

static void look(void)
{
	bench_advance(101 * TG_MS);
}

static void requests_are_refused(void)
{
	struct bench_peer *c[3];
	const struct tg_log_record *r;
	const char *got;

	start(TG_OVERLOAD_NO_REQUESTS);
	for (int i = 0; i < 3; i++)
		c[i] = bench_client(0);
	bench_send(c[0], GET); /* not before it was looked at */
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c[0]), "hello"));
	bench_log();
	look();
	CU_ASSERT_EQUAL(b.core.overload_pressure[TG_MONITOR_CONNECTIONS], 750000);
	CU_ASSERT_EQUAL(b.core.overload_state[TG_OVERLOAD_NO_REQUESTS], TG_OVERLOAD_WHOLE);
	bench_send(c[0], GET);
	got = bench_got(c[0]);
	CU_ASSERT(has(got, "HTTP/1.1 503 Service Unavailable\r\n"));
	CU_ASSERT(has(got, "\r\nx-envoy-local-overloaded: true\r\n"));
	CU_ASSERT(has(got, "envoy overloaded"));
	CU_ASSERT_PTR_NULL(strstr(got, "connection: close"));
	r = bench_log();
	CU_ASSERT_EQUAL(r->flags, TG_FLAG(OM));
	CU_ASSERT_STRING_EQUAL(r->details, "overload");
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_req_overload], 1);
	CU_ASSERT_EQUAL(bench_web()->stats->downstream_rq_overload_close, 1);
	/* it stays on until the pressure is below the other mark */
	bench_fin(c[2]);
	look();
	bench_send(c[0], GET);
	CU_ASSERT(has(bench_got(c[0]), "HTTP/1.1 503 "));
	bench_fin(c[1]);
	look();
	CU_ASSERT_EQUAL(b.core.overload_state[TG_OVERLOAD_NO_REQUESTS], 0);
	bench_send(c[0], GET);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c[0]), "hello"));
	CU_ASSERT_EQUAL(b.n_origins, 1);
	bench_end();
}

static void connections_end_with_their_response(void)
{
	struct bench_peer *c[4];
	const char *got;

	start(TG_OVERLOAD_NO_KEEPALIVE);
	for (int i = 0; i < 4; i++)
		c[i] = bench_client(0);
	look();
	bench_send(c[0], GET);
	bench_send(b.origin[0], OK5);
	got = bench_got(c[0]);
	CU_ASSERT(has(got, "\r\nconnection: close\r\n"));
	CU_ASSERT(has(got, "hello"));
	CU_ASSERT_TRUE(c[0]->eof);
	bench_send(c[1], "GET /nothing HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	CU_ASSERT(has(bench_got(c[1]), "\r\nconnection: close\r\n"));
	CU_ASSERT_TRUE(c[1]->eof);
	CU_ASSERT_EQUAL(bench_web()->stats->downstream_cx_overload_disable_keepalive, 2);
	bench_fin(c[0]);
	bench_fin(c[1]);
	bench_fin(c[2]);
	look();
	bench_send(c[3], GET);
	bench_send(b.origin[0], OK5);
	got = bench_got(c[3]);
	CU_ASSERT(has(got, "hello"));
	CU_ASSERT_PTR_NULL(strstr(got, "connection: close"));
	bench_end();
}

static void new_connections_are_refused(void)
{
	struct bench_peer *c[3];

	start(TG_OVERLOAD_NO_CONNECTIONS);
	for (int i = 0; i < 3; i++)
		c[i] = bench_client(0);
	CU_ASSERT_FALSE(b.refusing);
	look();
	CU_ASSERT_TRUE(b.refusing);
	bench_fin(c[0]);
	look();
	CU_ASSERT_TRUE(b.refusing);
	bench_fin(c[1]);
	look();
	CU_ASSERT_FALSE(b.refusing);
	/* nor does it stay on when a configuration is without it */
	c[0] = bench_client(0);
	c[1] = bench_client(0);
	look();
	CU_ASSERT_TRUE(b.refusing);
	b.snap->overload = NULL;
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, b.snap), 0);
	CU_ASSERT_FALSE(b.refusing);
	CU_ASSERT_EQUAL(b.core.overload_pressure[TG_MONITOR_CONNECTIONS], 0);
	bench_end();
}

static void idle_ones_go_earlier(void)
{
	struct bench_peer *c[3];

	start(TG_OVERLOAD_REDUCE_TIMEOUTS);
	conf.idle_timeout_least = 2 * TG_SEC;
	for (int i = 0; i < 3; i++)
		c[i] = bench_client(0);
	bench_advance(1800 * TG_MS);
	bench_send(c[0], GET);
	bench_send(b.origin[0], OK5);
	bench_send(c[1], GET);
	CU_ASSERT_FALSE(c[2]->eof);
	bench_advance(400 * TG_MS);
	CU_ASSERT_TRUE(c[2]->eof);
	CU_ASSERT_FALSE(c[0]->eof);
	CU_ASSERT_FALSE(c[1]->eof);
	CU_ASSERT_EQUAL(bench_web()->stats->downstream_cx_idle_timeout, 1);
	bench_end();
}

static uint32_t refused_of(uint32_t n, struct bench_peer *c)
{
	uint32_t refused = 0;

	for (uint32_t i = 0; i < n; i++) {
		const char *got;

		bench_send(c, GET);
		got = bench_got(c);
		bench_log();
		if (strstr(got, " 503 ")) {
			refused++;
			continue;
		}
		bench_send(b.origin[0], OK5);
		CU_ASSERT(has(bench_got(c), "hello"));
	}
	return refused;
}

static void a_queue_that_stands_is_shed(void)
{
	struct bench_peer *c;
	uint32_t n;

	start_delayed(TG_OVERLOAD_SHED_REQUESTS);
	c = bench_client(0);
	CU_ASSERT_EQUAL(b.core.queue.least, UINT64_MAX); /* no turn: nobody waits */
	look();
	CU_ASSERT_EQUAL(refused_of(1, c), 0);
	b.core.queue.least = 48 * TG_MS;
	look();
	CU_ASSERT_EQUAL(b.core.queue.least, UINT64_MAX);
	n = refused_of(200, c);
	CU_ASSERT_TRUE(n > 60 && n < 140);
	CU_ASSERT_EQUAL(b.core.overload_shed, n);
	b.core.queue.least = TG_SEC;
	look();
	CU_ASSERT_EQUAL(b.core.overload_pressure[TG_MONITOR_DELAY], TG_OVERLOAD_WHOLE);
	CU_ASSERT_EQUAL(refused_of(20, c), 20);
	bench_route()->priority = TG_PRIORITY_HIGH;
	CU_ASSERT_EQUAL(refused_of(20, c), 0);
	bench_route()->priority = TG_PRIORITY_DEFAULT;
	b.core.queue.least = 0;
	look();
	CU_ASSERT_EQUAL(refused_of(20, c), 0);
	bench_end();
}

static void time_and_memory_are_pressures(void)
{
	struct bench_peer *c[13];

	start(TG_OVERLOAD_NO_REQUESTS);
	conf.watched[TG_MONITOR_CPU] = conf.watched[TG_MONITOR_MEMORY] = true;
	b.core.busy_cycles += 300;
	b.core.idle_cycles += 100;
	b.core.buffers_used = 400000;
	look();
	CU_ASSERT_EQUAL(b.core.overload_pressure[TG_MONITOR_CPU], 750000);
	CU_ASSERT_EQUAL(b.core.overload_pressure[TG_MONITOR_MEMORY], 400000);
	b.core.idle_cycles += 100;
	for (int i = 0; i < 12; i++) {
		c[i] = bench_client(0);
		bench_send(c[i], "GET /api HTTP/1.1\r\n"); /* 12 of 16 exchanges */
	}
	look();
	CU_ASSERT_EQUAL(b.core.overload_pressure[TG_MONITOR_CPU], 0);
	CU_ASSERT_EQUAL(b.core.overload_pressure[TG_MONITOR_MEMORY], 750000);
	bench_end();
}

TG_TEST_MAIN("overload", {"requests are refused", requests_are_refused},
	{"connections end with their response", connections_end_with_their_response},
	{"new connections are refused", new_connections_are_refused},
	{"idle ones go earlier", idle_ones_go_earlier},
	{"a queue that stands is shed", a_queue_that_stands_is_shed},
	{"time and memory are pressures", time_and_memory_are_pressures})
