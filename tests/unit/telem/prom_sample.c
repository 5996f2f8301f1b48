/* Statistics with every kind of value and the worst names, as Prometheus text, for
 * check_prometheus.py. */
#include <tidegate/stats.h>

int main(int argc, char **argv)
{
	static const struct tg_stat extra[] = {
		{"server", "", "uptime", "seconds since start", 7, true},
		{"pool", "tcb", "in_use", "objects in use", 3, true},
		{"pool", "tcb", "refused", "takes refused", 1, false},
		{"pool", "arena", "in_use", "objects in use", 4, true},
		{"pool", "arena", "refused", "takes refused", 0, false},
	};
	struct tg_stats_query q = {.format = TG_STATS_PROMETHEUS, .extra = extra, .n_extra = 5};
	static const struct tg_stat_def filter[] = {{"allowed", "let in"}, {"denied", "not"}};
	struct tg_stats *s = tg_stats_create(2);

	if (!s)
		return 2;
	for (uint32_t w = 0; w < 2; w++) {
		struct tg_core_stats *c = &tg_stats_cores(s)[w];

		c->rx_packets = 100 + w;
		c->rx_in_flight = w ? (uint64_t)-1 : 1;
		c->why[TG_WHY_ip_bad_checksum] = 3 + w;
		for (uint64_t ns = 1; ns < 1ull << 45; ns = ns * 3 / 2 + 1)
			tg_hist_record(&c->rq_duration, ns);
		tg_stats_cluster(s, "v1")[w].upstream_rq_2xx = 10;
		tg_stats_cluster(s, "odd \"name\"\\\n} 1")[w].upstream_rq_5xx = 1;
		tg_stats_listener(s, "web")[w].downstream_rq_4xx = 2;
		tg_stats_listener(s, "raw")[w].downstream_cx_total = 2;
	}
	for (uint32_t i = 0; i < 6; i++) {
		static const char *const where[] = {"web", "odd \"name\"", "raw"};

		if (!tg_stats_filter(s, where[i % 3], i < 3 ? "rbac" : "rbac.od-d", filter, 2))
			return 2;
	}
	tg_stats_listener_is_tcp(s, "raw", true);
	if (tg_stats_render(s, &q, stdout, NULL) < 0)
		return 1;
	tg_stats_destroy(s);
	return 0;
}
