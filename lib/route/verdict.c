/* verdict.c: what the result of an active check means, as Envoy's ActiveHealthCheckSession has it.
 */
#include <tidegate/health.h>

static bool in_ranges(const struct tg_status_range *r, uint32_t n, uint16_t status)
{
	for (uint32_t i = 0; i < n; i++)
		if (status >= r[i].first && status < r[i].end)
			return true;
	return false;
}

enum tg_health_result tg_health_status(const struct tg_health_check *hc, uint16_t status)
{
	if (in_ranges(hc->expected, hc->n_expected, status))
		return TG_CHECK_PASSED;
	return in_ranges(hc->retriable, hc->n_retriable, status) ? TG_CHECK_RETRIABLE
								 : TG_CHECK_FAILED;
}

/* What a result was in the end: the next check may come sooner before a change. */
enum turn { SAME, ON_THE_EDGE, CHANGED };

/* A host that was never checked is believed at once. */
static enum turn passed(struct tg_host *h, const struct tg_health_check *hc,
	struct tg_health_count *n, bool degraded, uint32_t worker)
{
	enum turn turn = SAME;

	n->bad = 0;
	if (tg_host_flags(h) & TG_HEALTH_FAILED_ACTIVE) {
		turn = ON_THE_EDGE;
		if (!n->checked || ++n->good >= hc->healthy_threshold) {
			tg_host_change(h, 0,
				TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_PENDING | TG_HEALTH_TIMEOUT);
			tg_health_say(h, worker, TG_HEALTH_IS_HEALTHY, TG_CHECK_PASSED);
			n->good = 0;
			turn = CHANGED;
		}
	}
	if (tg_host_change(
		    h, degraded ? TG_HEALTH_DEGRADED : 0, degraded ? 0 : TG_HEALTH_DEGRADED)) {
		tg_health_say(h, worker,
			degraded ? TG_HEALTH_IS_DEGRADED : TG_HEALTH_NO_LONGER_DEGRADED,
			degraded ? TG_CHECK_DEGRADED : TG_CHECK_PASSED);
		turn = CHANGED;
	}
	return turn;
}

static enum turn failed(struct tg_host *h, const struct tg_health_check *hc,
	struct tg_health_count *n, enum tg_health_result r, uint32_t worker)
{
	enum turn turn = SAME;

	n->good = 0;
	if (!(tg_host_flags(h) & TG_HEALTH_FAILED_ACTIVE)) {
		turn = ON_THE_EDGE;
		n->bad++;
		if (r == TG_CHECK_FAILED || !n->checked || n->bad >= hc->unhealthy_threshold) {
			tg_host_change(h, TG_HEALTH_FAILED_ACTIVE, 0);
			tg_health_say(h, worker, TG_HEALTH_IS_UNHEALTHY, (uint8_t)r);
			n->bad = 0;
			turn = CHANGED;
		}
	} else if (!n->checked || hc->always_log_failures) {
		tg_health_say(h, worker, TG_HEALTH_CHECK_FAILED, (uint8_t)r);
	}
	if (tg_host_flags(h) & TG_HEALTH_FAILED_ACTIVE)
		tg_host_change(h, r == TG_CHECK_TIMEOUT ? TG_HEALTH_TIMEOUT : 0,
			TG_HEALTH_PENDING | (r == TG_CHECK_TIMEOUT ? 0 : TG_HEALTH_TIMEOUT));
	return turn;
}

static uint64_t next_base(const struct tg_health_check *hc, enum turn turn, bool good, bool traffic)
{
	if (!traffic)
		return good ? hc->no_traffic_healthy_interval : hc->no_traffic_interval;
	if (turn == ON_THE_EDGE)
		return good ? hc->healthy_edge_interval : hc->unhealthy_edge_interval;
	return good ? hc->interval : hc->unhealthy_interval;
}

uint64_t tg_health_interval(const struct tg_health_check *hc, uint64_t base, struct tg_rng *rng)
{
	uint64_t part = base / 100 * hc->interval_jitter_percent, ns = base;

	if (part)
		ns += tg_rng_next(rng) % part;
	if (hc->interval_jitter)
		ns += tg_rng_next(rng) % hc->interval_jitter;
	return ns;
}

uint64_t tg_health_judge(struct tg_host *h, const struct tg_health_check *hc,
	struct tg_health_count *n, enum tg_health_result r, bool traffic,
	struct tg_cluster_stats *stats, struct tg_rng *rng, bool *changed)
{
	bool good = r == TG_CHECK_PASSED || r == TG_CHECK_DEGRADED;
	uint32_t before = tg_host_flags(h) & TG_HEALTH_FAILED_ACTIVE;
	enum turn turn = good ? passed(h, hc, n, r == TG_CHECK_DEGRADED, h->worker)
			      : failed(h, hc, n, r, h->worker);

	stats->check.success += good;
	stats->check.failure += !good;
	stats->check.network_failure += r == TG_CHECK_NETWORK || r == TG_CHECK_TIMEOUT;
	n->checked = true;
	*changed = before != (tg_host_flags(h) & TG_HEALTH_FAILED_ACTIVE);
	return tg_health_interval(hc, next_base(hc, turn, good, traffic), rng);
}
