/* Active checks and outlier detection in a worker: what is asked, what is made of the answers. */
#include <stdlib.h>

#include "../tgtest.h"
#include "bench.h"

static const struct tg_status_range only_200 = {200, 201};
static struct tg_health_check hc;
static struct tg_outlier outlier;

#define ASK "GET /healthz HTTP/1.1\r\nhost: v1\r\n\r\n"
#define GOOD "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

/* The cluster gets a second endpoint, checks and detection as they stand; adopted. */
static void adopt(const struct tg_health_check *check, const struct tg_outlier *o)
{
	struct tg_snapshot *old = b.snap, *next = bench_snapshot(b.snap->generation + 1);
	struct tg_cluster *c = &next->clusters[0];

	tg_health_unbind(c);
	c->n_endpoints = 2;
	CU_ASSERT_EQUAL(tg_cluster_compile(c), 0);
	c->check = check;
	c->outlier = o;
	CU_ASSERT_EQUAL_FATAL(tg_health_bind(b.health, c), 0);
	tg_health_use(c);
	b.snap = next;
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, next), 0);
	bench_snapshot_free(old);
}

static void begin(uint32_t n_workers)
{
	hc = (struct tg_health_check){.timeout = TG_SEC,
		.interval = 5 * TG_SEC,
		.unhealthy_threshold = 2,
		.healthy_threshold = 2,
		.unhealthy_interval = 5 * TG_SEC,
		.unhealthy_edge_interval = 5 * TG_SEC,
		.healthy_edge_interval = 5 * TG_SEC,
		.no_traffic_interval = 5 * TG_SEC,
		.no_traffic_healthy_interval = 5 * TG_SEC,
		.reuse_connection = true,
		.http = true,
		.send = TG_VIEW(ASK),
		.n_expected = 1,
		.expected = &only_200};
	outlier = (struct tg_outlier){.consecutive = {3, 3, 3},
		.enforcing = {100, 0, 100, 0, 0, 0, 0},
		.interval = TG_SEC,
		.base_ejection = 10 * TG_SEC,
		.max_ejection = 300 * TG_SEC,
		.max_percent = 50,
		.one_in_any_case = true,
		.uneject = true};
	bench_start_of(65536, n_workers);
}

static uint32_t flags(uint32_t e)
{
	return tg_host_flags(bench_cluster()->endpoints[e].host);
}

static struct tg_check_stats *stats(void)
{
	return &bench_cluster()->stats[0].check;
}

/* The answers to the checks that have been asked since. */
static void answer(uint32_t origin, const char *text)
{
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[origin]), ASK);
	bench_send(b.origin[origin], text);
}

/* One connection an endpoint, kept; the first answer decides; a status that is not expected, too.
 */
static void http(void)
{
	begin(1);
	adopt(&hc, NULL);
	CU_ASSERT_EQUAL(flags(0), 0); /* in use before there were checks */
	CU_ASSERT_EQUAL(flags(1), TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_PENDING);
	bench_advance(TG_MS);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	answer(0, "HTTP/1.1 100 Continue\r\n\r\n" GOOD);
	answer(1, "HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n");
	CU_ASSERT_EQUAL(flags(0), 0);
	CU_ASSERT_EQUAL(flags(1), TG_HEALTH_FAILED_ACTIVE);
	CU_ASSERT_EQUAL(stats()->attempt, 2);
	CU_ASSERT_EQUAL(stats()->success, 1);
	CU_ASSERT_EQUAL(stats()->failure, 1);

	bench_advance(4 * TG_SEC);
	CU_ASSERT_EQUAL(stats()->attempt, 2);
	bench_advance(TG_SEC + TG_MS);
	CU_ASSERT_EQUAL(b.n_origins, 2);
	answer(0, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
	answer(1, GOOD);
	CU_ASSERT_EQUAL(flags(0), TG_HEALTH_FAILED_ACTIVE);
	CU_ASSERT_EQUAL(flags(1), TG_HEALTH_FAILED_ACTIVE); /* one pass of two */
	bench_advance(5 * TG_SEC + TG_MS);
	answer(1, "HTTP/1.1 200 OK\r\nx-envoy-degraded: 1\r\nconnection: close\r\n\r\nto the end");
	bench_fin(b.origin[1]);
	CU_ASSERT_EQUAL(flags(1), TG_HEALTH_DEGRADED);
	bench_end();
}

/* No answer, no connection, a lost one, rubbish: each counts up to the threshold. */
static void failures(void)
{
	begin(1);
	adopt(&hc, NULL);
	bench_advance(TG_MS);
	answer(0, GOOD);
	answer(1, GOOD);
	bench_advance(5 * TG_SEC + TG_MS);
	answer(0, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhang");
	answer(1, GOOD);
	bench_advance(TG_SEC);
	CU_ASSERT_TRUE(b.origin[0]->failed); /* cut, not kept */
	CU_ASSERT_EQUAL(flags(0), 0);
	CU_ASSERT_EQUAL(stats()->network_failure, 1);
	b.connect_hangs = true;
	bench_advance(5 * TG_SEC + TG_MS);
	CU_ASSERT_EQUAL(b.n_origins, 3);
	bench_advance(TG_SEC + TG_MS);
	CU_ASSERT_EQUAL(flags(0), TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_TIMEOUT);
	b.connect_hangs = false;
	b.connect_error = TG_ENOPORT;
	bench_advance(5 * TG_SEC);
	CU_ASSERT_EQUAL(flags(0), TG_HEALTH_FAILED_ACTIVE);
	b.connect_error = 0;
	b.connect_fails = TG_WHY_conn_refused;
	bench_advance(5 * TG_SEC);
	b.connect_fails = TG_WHY_none;
	bench_advance(5 * TG_SEC);
	CU_ASSERT_TRUE(stats()->network_failure >= 4);
	CU_ASSERT_EQUAL(stats()->failure, stats()->network_failure);
	bench_end();
}

/* A connection that its origin closed while nobody asked says nothing: the check dials anew. */
static void closed_while_idle(void)
{
	begin(1);
	adopt(&hc, NULL);
	bench_advance(TG_MS);
	answer(0, GOOD);
	answer(1, GOOD);
	bench_fin(b.origin[0]);
	bench_advance(5 * TG_SEC + TG_MS);
	CU_ASSERT_EQUAL(b.n_origins, 3);
	answer(2, GOOD);
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[1]), ASK);
	bench_fin(b.origin[1]); /* as the request arrives */
	CU_ASSERT_EQUAL(b.n_origins, 4);
	answer(3, "garbage\r\n\r\n");
	CU_ASSERT_EQUAL(stats()->success, 3);
	CU_ASSERT_EQUAL(stats()->network_failure, 1);
	CU_ASSERT_EQUAL(flags(1), 0);
	bench_end();
}

/* TCP: a connection is enough, or what has to come comes in order. */
static void tcp(void)
{
	static const struct tg_view blocks[] = {TG_VIEW("PO"), TG_VIEW("NG")};

	begin(1);
	hc.http = false;
	hc.send = TG_VIEW_NONE;
	adopt(&hc, NULL);
	bench_advance(TG_MS);
	CU_ASSERT_EQUAL(b.n_origins, 2);
	CU_ASSERT_EQUAL(flags(0), 0);
	CU_ASSERT_EQUAL(flags(1), 0);
	CU_ASSERT_TRUE(b.origin[0]->eof);
	hc.send = TG_VIEW("PING");
	hc.receive = blocks;
	hc.n_receive = 2;
	bench_advance(5 * TG_SEC + TG_MS);
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 4);
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[2]), "PING");
	bench_send(b.origin[2], "+P");
	bench_send(b.origin[2], "O-");
	CU_ASSERT_EQUAL(stats()->success, 2);
	bench_send(b.origin[2], "NG");
	CU_ASSERT_EQUAL(stats()->success, 3);
	bench_send(b.origin[3], "NGPO");
	bench_fin(b.origin[3]);
	CU_ASSERT_EQUAL(stats()->failure, 1);
	bench_advance(5 * TG_SEC + TG_MS);
	CU_ASSERT_STRING_EQUAL(bench_got(b.origin[2]), "PING"); /* kept */
	bench_end();
}

static struct bench_peer *ask(void)
{
	struct bench_peer *c = bench_client(0);

	bench_send(c, "GET /api HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	return c;
}

/* Requests go where the checks say; nowhere, if all say no. */
static void routing(void)
{
	struct bench_peer *c;
	uint32_t first;

	begin(1);
	adopt(&hc, NULL);
	bench_advance(TG_MS);
	answer(0, GOOD);
	answer(1, "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n");
	first = b.n_origins;
	for (uint32_t i = 0; i < 4; i++) {
		c = ask();
		CU_ASSERT_EQUAL_FATAL(b.n_origins, first + 1);
		CU_ASSERT_EQUAL(b.to[first].ip.b[15], 2); /* 10.0.2.2 */
		bench_send(b.origin[first], GOOD);
		CU_ASSERT_PTR_NOT_NULL(strstr(bench_got(c), "200 OK"));
	}
	bench_advance(5 * TG_SEC + TG_MS);
	answer(0, "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
	c = ask();
	CU_ASSERT_PTR_NOT_NULL(strstr(bench_got(c), "503 Service Unavailable"));
	CU_ASSERT_EQUAL(b.n_origins, first + 1);
	CU_ASSERT_EQUAL(bench_cluster()->stats[0].upstream_cx_none_healthy, 1);
	bench_end();
}

/* An endpoint that says so on a request gets no more of them. */
static void says_so(void)
{
	uint32_t at;

	begin(1);
	adopt(&hc, NULL);
	bench_advance(TG_MS);
	answer(0, GOOD);
	answer(1, "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n");
	at = b.n_origins;
	ask();
	bench_send(b.origin[at], "HTTP/1.1 200 OK\r\nX-Envoy-Immediate-Health-Check-Fail: true\r\n"
				 "content-length: 0\r\n\r\n");
	CU_ASSERT_EQUAL(flags(0), TG_HEALTH_FAILED_ACTIVE);
	CU_ASSERT_EQUAL(stats()->passive_failure, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(bench_got(ask()), "503"));
	bench_end();
	/* and not under a configuration that others have left behind, with its checks */
	begin(1);
	adopt(&hc, NULL);
	bench_advance(TG_MS);
	answer(0, GOOD);
	answer(1, GOOD);
	bench_cluster()->health->checked = false;
	at = b.n_origins;
	ask();
	bench_send(b.origin[at], "HTTP/1.1 200 OK\r\nX-Envoy-Immediate-Health-Check-Fail: true\r\n"
				 "content-length: 0\r\n\r\n");
	CU_ASSERT_EQUAL(flags(0) | flags(1), 0);
	CU_ASSERT_EQUAL(stats()->passive_failure, 0);
	bench_end();
}

/* A reload keeps verdicts and thresholds; an endpoint that is not checked any more is healthy. */
static void reload(void)
{
	begin(1);
	adopt(&hc, NULL);
	bench_advance(TG_MS);
	answer(0, GOOD);
	answer(1, "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n");
	bench_advance(3 * TG_SEC);
	adopt(&hc, NULL);
	CU_ASSERT_EQUAL(flags(0), 0);
	CU_ASSERT_EQUAL(flags(1), TG_HEALTH_FAILED_ACTIVE);
	bench_advance(TG_SEC);
	CU_ASSERT_EQUAL(stats()->attempt, 2);
	bench_advance(TG_SEC + TG_MS);
	CU_ASSERT_EQUAL(stats()->attempt, 4);
	adopt(&hc, NULL); /* amid a check: asked again */
	bench_advance(TG_MS);
	CU_ASSERT_EQUAL(b.n_origins, 6);
	answer(4, GOOD);
	answer(5, GOOD);
	CU_ASSERT_EQUAL(flags(1), TG_HEALTH_FAILED_ACTIVE); /* one of two passes */
	adopt(NULL, NULL);
	CU_ASSERT_EQUAL(flags(1), 0);
	bench_advance(20 * TG_SEC);
	CU_ASSERT_EQUAL(b.n_origins, 6);
	bench_end();
}

/* Of two workers each checks a part. */
static void shares(void)
{
	begin(2);
	adopt(&hc, NULL);
	bench_advance(TG_MS);
	CU_ASSERT_EQUAL(b.n_origins, 1);
	bench_end();
}

/* Connections to who has failed end when that is asked for. */
static void closes(void)
{
	struct bench_peer *busy;
	uint32_t at;

	begin(1);
	adopt(&hc, NULL);
	bench_cluster()->close_on_failure = true;
	b.snap->generation--; /* the same again */
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, b.snap), 0);
	bench_advance(TG_MS);
	answer(0, GOOD);
	answer(1, "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n");
	at = b.n_origins;
	busy = ask();
	CU_ASSERT_EQUAL_FATAL(b.n_origins, at + 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(bench_got(b.origin[at]), "GET /api"));
	bench_advance(5 * TG_SEC + TG_MS);
	answer(0, "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n");
	bench_advance(20 * TG_MS);
	CU_ASSERT_TRUE(b.origin[at]->failed);
	CU_ASSERT_PTR_NOT_NULL(strstr(bench_got(busy), "503 Service Unavailable"));
	CU_ASSERT_TRUE(bench_log()->flags & TG_FLAG(UC));
	bench_end();
}

/* Three answers 5xx in a row, of any connection: the endpoint is out, and returns. */
static void ejects(void)
{
	struct tg_outlier_stats *s;
	uint32_t n = 0, bad = UINT32_MAX;

	begin(1);
	adopt(NULL, &outlier);
	s = &bench_cluster()->stats[0].outlier;
	for (uint32_t i = 0; i < 12; i++) {
		struct bench_peer *c = ask();
		uint32_t at = b.n_origins - 1;

		for (at = 0; at < b.n_origins && b.origin[at]->n == 0; at++)
			;
		CU_ASSERT_FATAL(at < b.n_origins);
		bench_got(b.origin[at]);
		if (b.to[at].ip.b[15] == 2) {
			bad = at;
			n++;
			bench_send(b.origin[at], "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
		} else {
			bench_send(b.origin[at], GOOD);
		}
		bench_got(c);
	}
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_NOT_EQUAL(bad, UINT32_MAX);
	CU_ASSERT_EQUAL(flags(0), TG_HEALTH_FAILED_OUTLIER);
	CU_ASSERT_EQUAL(s->enforced[TG_DETECT_CONSECUTIVE_5XX], 1);
	bench_advance(9 * TG_SEC);
	adopt(NULL, &outlier);
	CU_ASSERT_EQUAL(flags(0), TG_HEALTH_FAILED_OUTLIER);
	bench_advance(2 * TG_SEC);
	CU_ASSERT_EQUAL(flags(0), 0);
	bench_end();
}

/* Connections that fail count as answers 503. */
static void ejects_unreachable(void)
{
	begin(1);
	adopt(NULL, &outlier);
	b.connect_fails = TG_WHY_conn_refused;
	for (uint32_t i = 0; i < 6; i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(bench_got(ask()), "503"));
	/* Both were at their third failure; half of them may go. */
	CU_ASSERT_EQUAL(bench_cluster()->health->ejected, 1);
	CU_ASSERT_EQUAL(bench_cluster()->stats[0].outlier.overflow, 1);
	/* Without detection nobody stays out. */
	adopt(NULL, NULL);
	CU_ASSERT_EQUAL(flags(0) | flags(1), 0);
	CU_ASSERT_EQUAL(bench_cluster()->health->ejected, 0);
	bench_end();
}

TG_TEST_MAIN("proxy_checks", {"http", http}, {"failures", failures},
	{"closed while idle", closed_while_idle}, {"tcp", tcp}, {"routing", routing},
	{"says so", says_so}, {"reload", reload}, {"shares", shares}, {"closes", closes},
	{"ejects", ejects}, {"ejects the unreachable", ejects_unreachable})
