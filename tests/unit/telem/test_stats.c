#include <stdlib.h>

#include <tidegate/stats.h>
#include <tidegate/view.h>

#include "../tgtest.h"

static struct tg_stats *s;

static void start(uint32_t n_workers)
{
	s = tg_stats_create(n_workers);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
}

static char *render(const struct tg_stats_query *q)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	struct tg_errbuf e = {""};

	CU_ASSERT_EQUAL(tg_stats_render(s, q, out, &e), 0);
	fclose(out);
	return text;
}

/* Whether text has exactly this line. */
static bool has_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *p = strstr(text, line); p; p = strstr(p + 1, line))
		if ((p == text || p[-1] == '\n') && p[n] == '\n')
			return true;
	return false;
}

static void blocks_keep_their_place(void)
{
	struct tg_cluster_stats *first;
	char name[32];

	start(3);
	first = tg_stats_cluster(s, "v1");
	for (uint32_t i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		CU_ASSERT_PTR_NOT_NULL_FATAL(tg_stats_cluster(s, name));
	}
	CU_ASSERT_PTR_EQUAL(tg_stats_cluster(s, "v1"), first);
	CU_ASSERT_PTR_NOT_EQUAL(tg_stats_cluster(s, "v2"), first);
	/* The same name, another kind. */
	CU_ASSERT_PTR_NOT_EQUAL((void *)tg_stats_listener(s, "v1"), (void *)first);
	for (uint32_t w = 0; w < 3; w++) {
		CU_ASSERT_EQUAL((uintptr_t)&first[w] % 64, 0);
		CU_ASSERT_EQUAL((uintptr_t)&tg_stats_cores(s)[w] % 64, 0);
	}
	tg_stats_destroy(s);
}

static void text(void)
{
	struct tg_stats_query q = {0};
	struct tg_stat extra = {"server", "", "live", "", 1, true};
	char *t;

	start(2);
	tg_stats_cores(s)[0].rx_packets = 5;
	tg_stats_cores(s)[1].rx_packets = 7;
	tg_stats_cores(s)[0].rx_in_flight = (uint64_t)-1; /* taken from the other's ring */
	tg_stats_cores(s)[1].rx_in_flight = 3;
	tg_stats_cores(s)[1].why[TG_WHY_ip_bad_checksum] = 2;
	tg_hist_record(&tg_stats_cores(s)[0].rq_duration, 100);
	tg_hist_record(&tg_stats_cores(s)[1].rq_duration, 100000);
	tg_stats_cluster(s, "v1")[0].upstream_rq_total = 12;
	tg_stats_listener(s, "web")[1].downstream_rq_2xx = 4;
	tg_stats_listener(s, "web")[1].downstream_cx_total = 3;
	tg_stats_listener(s, "raw")[1].downstream_cx_total = 9;
	tg_stats_listener_is_tcp(s, "raw", true);
	q.extra = &extra;
	q.n_extra = 1;
	t = render(&q);
	CU_ASSERT(has_line(t, "server.live: 1"));
	CU_ASSERT(has_line(t, "server.rx_packets: 12"));
	CU_ASSERT(has_line(t, "worker.0.rx_packets: 5"));
	CU_ASSERT(has_line(t, "worker.1.rx_packets: 7"));
	CU_ASSERT(has_line(t, "server.rx_in_flight: 2"));
	CU_ASSERT(has_line(t, "worker.0.rx_in_flight: -1"));
	CU_ASSERT(has_line(t, "drop.ip_bad_checksum: 2"));
	CU_ASSERT(has_line(t, "drop.ip_not_ours: 0"));
	CU_ASSERT_PTR_NULL(strstr(t, "drop.none"));
	CU_ASSERT(has_line(t, "cluster.v1.upstream_rq_total: 12"));
	CU_ASSERT(has_line(t, "listener.web.downstream_cx_total: 3"));
	CU_ASSERT(has_line(t, "http.web.downstream_cx_total: 3"));
	CU_ASSERT(has_line(t, "http.web.downstream_rq_2xx: 4"));
	CU_ASSERT(has_line(t, "listener.raw.downstream_cx_total: 9"));
	CU_ASSERT(has_line(t, "tcp.raw.downstream_cx_total: 9"));
	CU_ASSERT_PTR_NULL(strstr(t, "http.raw"));
	CU_ASSERT_PTR_NULL(strstr(t, "tcp.web"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t, "server.rq_duration_us: count(2) P0(0.1)"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t, "P100(100.0)"));
	free(t);
	tg_stats_destroy(s);
}

/* Counters of filters, under the name of their listener as Envoy's. */
static void of_filters(void)
{
	static const struct tg_stat_def defs[] = {{"allowed", "let in"}, {"denied", "not let in"}};
	struct tg_stats_query q = {.used_only = true};
	uint64_t *web, *named, *raw;
	char *t;

	start(2);
	web = tg_stats_filter(s, "web", "rbac", defs, 2);
	named = tg_stats_filter(s, "web", "rbac.deny", defs, 2);
	raw = tg_stats_filter(s, "raw", "rbac", defs, 2);
	CU_ASSERT_FATAL(web && named && raw && web != named && web != raw);
	CU_ASSERT_PTR_EQUAL(tg_stats_filter(s, "web", "rbac", defs, 2), web);
	CU_ASSERT_EQUAL((uintptr_t)web % 64, 0);
	CU_ASSERT_EQUAL(TG_FILTER_ROW(2) * sizeof(*web) % 64, 0);
	tg_stats_listener_is_tcp(s, "raw", true);
	web[0] = 1;
	web[TG_FILTER_ROW(2)] = 2;
	named[1] = 5;
	raw[TG_FILTER_ROW(2) + 1] = 7;
	t = render(&q);
	CU_ASSERT_STRING_EQUAL(t, "http.web.rbac.allowed: 3\nhttp.web.rbac.deny.denied: 5\n"
				  "tcp.raw.rbac.denied: 7\n");
	free(t);
	q.format = TG_STATS_PROMETHEUS;
	t = render(&q);
	CU_ASSERT(has_line(t, "envoy_http_rbac_allowed{envoy_http_conn_manager_prefix=\"web\"} 3"));
	CU_ASSERT(has_line(
		t, "envoy_http_rbac_deny_denied{envoy_http_conn_manager_prefix=\"web\"} 5"));
	CU_ASSERT(has_line(t, "envoy_tcp_rbac_denied{envoy_tcp_prefix=\"raw\"} 7"));
	CU_ASSERT(has_line(t, "# HELP envoy_http_rbac_allowed let in"));
	free(t);
	tg_stats_destroy(s);
}

static void filter_and_used_only(void)
{
	struct tg_stats_query q = {.used_only = true};
	char *t;

	start(1);
	tg_stats_cores(s)[0].rx_packets = 5;
	tg_stats_cluster(s, "v1")[0].upstream_rq_total = 1;
	tg_stats_cluster(s, "v2")[0].upstream_rq_total = 2;
	t = render(&q);
	CU_ASSERT_STRING_EQUAL(t, "server.rx_packets: 5\nworker.0.rx_packets: 5\n"
				  "cluster.v1.upstream_rq_total: 1\n"
				  "cluster.v2.upstream_rq_total: 2\n");
	free(t);
	q.filter = "^cluster\\.v(2|3)\\.";
	t = render(&q);
	CU_ASSERT_STRING_EQUAL(t, "cluster.v2.upstream_rq_total: 2\n");
	free(t);
	q.format = TG_STATS_JSON;
	t = render(&q);
	CU_ASSERT_STRING_EQUAL(t, "{\"stats\":[\n"
				  "{\"name\":\"cluster.v2.upstream_rq_total\",\"value\":2}\n]}\n");
	free(t);
	q.format = TG_STATS_PROMETHEUS;
	t = render(&q);
	CU_ASSERT_STRING_EQUAL(t, "# HELP envoy_cluster_upstream_rq_total requests sent\n"
				  "# TYPE envoy_cluster_upstream_rq_total counter\n"
				  "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"v2\"} 2\n");
	free(t);
	tg_stats_destroy(s);
}

static void bad_filters(void)
{
	static const char *const bad[] = {"(", "[", "((a{1,1000}){1,1000})", "(a*)\\1"};
	struct tg_stats_query q = {0};
	char big[300];

	start(1);
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	for (uint32_t i = 0; i <= TG_ARRAY_LEN(bad); i++) {
		struct tg_errbuf e = {""};

		q.filter = i < TG_ARRAY_LEN(bad) ? bad[i] : big;
		CU_ASSERT_EQUAL(tg_stats_render(s, &q, stderr, &e), TG_EINVAL);
		CU_ASSERT_EQUAL(strncmp(e.text, "filter: ", 8), 0);
	}
	tg_stats_destroy(s);
}

static void names_cannot_break_lines(void)
{
	struct tg_stats_query q = {.used_only = true};
	char *t, name[400];

	start(1);
	tg_stats_cluster(s, "a b\nserver.live: 0")[0].upstream_rq_total = 1;
	t = render(&q);
	CU_ASSERT_STRING_EQUAL(t, "cluster.a_b_server.live__0.upstream_rq_total: 1\n");
	free(t);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	CU_ASSERT_PTR_EQUAL(tg_stats_cluster(s, name), tg_stats_cluster(s, name));
	tg_stats_destroy(s);
}

struct walked {
	uint32_t n, gauges;
	uint64_t rx_sum, rx_workers;
};

static void note(void *ctx, const struct tg_stat *v)
{
	struct walked *w = ctx;

	w->n++;
	w->gauges += v->gauge;
	CU_ASSERT(v->text[0] != '\0');
	if (strcmp(v->name, "rx_bytes") == 0 && v->who[0])
		w->rx_workers += v->value;
	else if (strcmp(v->name, "rx_bytes") == 0)
		w->rx_sum += v->value;
}

static void walk_sees_everything_once(void)
{
	struct walked w = {0};
	uint32_t counters = 0, gauges = 0;

#define C(name, text) counters++;
#define G(name, text) gauges++;
	TG_CORE_COUNTERS(C)
	TG_CORE_GAUGES(G)
#undef C
#undef G
	start(2);
	tg_stats_cores(s)[0].rx_bytes = 1;
	tg_stats_cores(s)[1].rx_bytes = 2;
	tg_stats_walk(s, note, &w);
	CU_ASSERT_EQUAL(w.n, 3 * (counters + gauges) + TG_WHY_MAX - 1);
	CU_ASSERT_EQUAL(w.gauges, 3 * gauges);
	CU_ASSERT_EQUAL(w.rx_sum, 3);
	CU_ASSERT_EQUAL(w.rx_workers, 3);
	tg_stats_destroy(s);
}

static void ledger(void)
{
	struct tg_core_stats *c;
	struct tg_ledger l;

	start(2);
	c = tg_stats_cores(s);
	c[0].rx_packets = 100;
	c[0].rx_arp = 1;
	c[0].rx_nd = 2;
	c[0].rx_icmp = 3;
	c[1].rx_tcp_segments = 80; /* some were steered there */
	c[0].rx_absorbed_fragments = 4;
	c[0].why[TG_WHY_ip_not_ours] = 5;
	c[1].why[TG_WHY_tcp_paws] = 4;
	c[0].why[TG_WHY_rx_no_buffer] = 1000; /* these were never received */
	c[0].why[TG_WHY_tx_no_route] = 1000;  /* these were ours */
	c[0].why[TG_WHY_req_no_route] = 1000;
	c[0].rx_in_flight = 3;
	c[1].rx_in_flight = (uint64_t)-2;
	l = tg_stats_ledger(s);
	CU_ASSERT_EQUAL(l.received, 100);
	CU_ASSERT_EQUAL(l.delivered, 90);
	CU_ASSERT_EQUAL(l.dropped, 9);
	CU_ASSERT_EQUAL(l.in_flight, 1);
	CU_ASSERT_EQUAL(tg_ledger_missing(&l), 0);
	c[1].rx_arp++;
	l = tg_stats_ledger(s);
	CU_ASSERT_EQUAL(tg_ledger_missing(&l), -1);
	tg_stats_destroy(s);
}

static void hist_sums_workers(void)
{
	static struct tg_hist h;

	start(2);
	tg_hist_record(&tg_stats_cores(s)[0].rq_duration, 5);
	tg_hist_record(&tg_stats_cores(s)[1].rq_duration, 6);
	CU_ASSERT_EQUAL(tg_stats_hist(s, "rq_duration", &h), 0);
	CU_ASSERT_EQUAL(tg_hist_count(&h), 2);
	CU_ASSERT_EQUAL(h.sum, 11);
	CU_ASSERT_EQUAL(tg_stats_hist(s, "no such", &h), TG_ENOENT);
	tg_stats_destroy(s);
}

TG_TEST_MAIN("stats", {"blocks keep their place", blocks_keep_their_place}, {"text", text},
	{"of filters", of_filters}, {"filter and used only", filter_and_used_only},
	{"bad filters", bad_filters}, {"names cannot break lines", names_cannot_break_lines},
	{"walk sees everything once", walk_sees_everything_once}, {"ledger", ledger},
	{"hist sums workers", hist_sums_workers})
