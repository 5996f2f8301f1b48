/* outlier.c: outlier detection, as Envoy's DetectorImpl has it, but by all workers together: who
 * sees the last error of a streak ejects, and one worker a cluster looks at the rates.
 *
 * A success behind a success writes two plain words of its worker's row. */
#include <tidegate/health.h>
#include <tidegate/route.h>

static struct tg_outlier_stats *stats_of(const struct tg_outlier_ask *a)
{
	return &a->c->stats[a->worker].outlier;
}

/* A place among those that may be ejected; false: there is none. */
static bool take_place(const struct tg_outlier_ask *a)
{
	uint64_t hosts = a->c->n_endpoints, percent = a->c->outlier->max_percent;
	uint32_t n = __atomic_load_n(&a->c->health->ejected, __ATOMIC_RELAXED);

	do {
		if ((n || !a->c->outlier->one_in_any_case) &&
			(n + UINT64_C(1)) * 100 > hosts * percent)
			return false;
	} while (!__atomic_compare_exchange_n(
		&a->c->health->ejected, &n, n + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

static void forget_streaks(struct tg_host *h)
{
	for (uint32_t i = 0; i < TG_STREAKS; i++)
		if (__atomic_load_n(&h->streak[i], __ATOMIC_RELAXED))
			__atomic_store_n(&h->streak[i], 0, __ATOMIC_RELAXED);
}

static uint64_t term_of(const struct tg_outlier *o, uint32_t backoff)
{
	uint64_t most = o->max_ejection > o->base_ejection ? o->max_ejection : o->base_ejection;
	uint64_t ns = backoff <= most / o->base_ejection ? o->base_ejection * backoff : most;

	return ns < most ? ns : most;
}

void tg_outlier_return(struct tg_host *h, uint32_t worker)
{
	if (!(tg_host_flags(h) & TG_HEALTH_FAILED_OUTLIER))
		return;
	forget_streaks(h);
	if (!tg_host_change(h, 0, TG_HEALTH_FAILED_OUTLIER))
		return;
	__atomic_fetch_sub(&h->of->ejected, 1, __ATOMIC_RELAXED);
	tg_health_say(h, worker, TG_HEALTH_RETURNED, 0);
}

static void eject(const struct tg_outlier_ask *a, struct tg_host *h, enum tg_detector why)
{
	const struct tg_outlier *o = a->c->outlier;
	struct tg_outlier_stats *s = stats_of(a);
	uint32_t backoff;

	if (tg_host_flags(h) & TG_HEALTH_FAILED_OUTLIER)
		return;
	s->detected[why]++;
	if (tg_rng_below(a->rng, 100) >= o->enforcing[why]) {
		tg_health_say(h, a->worker, TG_HEALTH_NOT_ENFORCED, why);
		return;
	}
	if (!take_place(a)) {
		s->overflow++;
		return;
	}
	backoff = __atomic_load_n(&h->backoff, __ATOMIC_RELAXED) + 1;
	/* Before the flag, which is released: who sees that sees these. Two that eject at the same
	 * moment write nearly the same. */
	__atomic_store_n(&h->ejected_at,
		a->now + (o->max_jitter ? tg_rng_next(a->rng) % (o->max_jitter + 1) : 0),
		__ATOMIC_RELAXED);
	if (term_of(o, backoff) > term_of(o, backoff - 1))
		__atomic_store_n(&h->backoff, backoff, __ATOMIC_RELAXED);
	if (!tg_host_change(h, TG_HEALTH_FAILED_OUTLIER, 0)) {
		__atomic_fetch_sub(&a->c->health->ejected, 1, __ATOMIC_RELAXED);
		return;
	}
	s->enforced[why]++;
	s->enforced_total++;
	tg_health_say(h, a->worker, TG_HEALTH_EJECTED, why);
	/* Under an old configuration, when nobody would take it back. */
	if (!__atomic_load_n(&a->c->health->watched, __ATOMIC_SEQ_CST))
		tg_outlier_return(h, a->worker);
}

/* --- in a row --- */

static void one_more(const struct tg_outlier_ask *a, struct tg_host *h, enum tg_detector d)
{
	uint32_t n = __atomic_add_fetch(&h->streak[d], 1, __ATOMIC_RELAXED);
	uint32_t limit = a->c->outlier->consecutive[d];

	/* More, when the limit was another one, or none, before. */
	if (!limit || n < limit)
		return;
	__atomic_store_n(&h->streak[d], 0, __ATOMIC_RELAXED);
	eject(a, h, d);
}

static void none(struct tg_host *h, enum tg_detector d)
{
	if (__atomic_load_n(&h->streak[d], __ATOMIC_RELAXED))
		__atomic_store_n(&h->streak[d], 0, __ATOMIC_RELAXED);
}

void tg_outlier_answer(const struct tg_outlier_ask *a, struct tg_host *h, uint16_t status)
{
	struct tg_outlier_counts *n = &h->rows[a->worker].n;

	n->total++;
	if (status < 500 || status > 599) {
		n->good++;
		none(h, TG_DETECT_CONSECUTIVE_5XX);
		none(h, TG_DETECT_CONSECUTIVE_GATEWAY_FAILURE);
		return;
	}
	if (status >= 502 && status <= 504)
		one_more(a, h, TG_DETECT_CONSECUTIVE_GATEWAY_FAILURE);
	else
		none(h, TG_DETECT_CONSECUTIVE_GATEWAY_FAILURE);
	one_more(a, h, TG_DETECT_CONSECUTIVE_5XX);
}

void tg_outlier_failure(const struct tg_outlier_ask *a, struct tg_host *h, bool timeout)
{
	if (!a->c->outlier->split) {
		tg_outlier_answer(a, h, timeout ? 504 : 503);
		return;
	}
	h->rows[a->worker].n.local_total++;
	one_more(a, h, TG_DETECT_CONSECUTIVE_LOCAL_ORIGIN_FAILURE);
}

void tg_outlier_connected(const struct tg_outlier_ask *a, struct tg_host *h)
{
	if (!a->c->outlier->split)
		return;
	h->rows[a->worker].n.local_total++;
	h->rows[a->worker].n.local_good++;
	none(h, TG_DETECT_CONSECUTIVE_LOCAL_ORIGIN_FAILURE);
}

/* --- rates --- */

/* What all workers counted since the last look. They go on meanwhile: totals are read last, so that
 * none has more good ones than there are. */
static void measure(struct tg_host *h, uint32_t n_workers)
{
	struct tg_outlier_counts sum = {0};

	for (uint32_t w = 0; w < n_workers; w++) {
		const struct tg_outlier_counts *n = &h->rows[w].n;

		sum.good += __atomic_load_n(&n->good, __ATOMIC_ACQUIRE);
		sum.local_good += __atomic_load_n(&n->local_good, __ATOMIC_ACQUIRE);
		sum.total += __atomic_load_n(&n->total, __ATOMIC_RELAXED);
		sum.local_total += __atomic_load_n(&n->local_total, __ATOMIC_RELAXED);
	}
	h->rate[0] = (struct tg_outlier_rate){sum.total - h->seen.total, sum.good - h->seen.good};
	h->rate[1] = (struct tg_outlier_rate){
		sum.local_total - h->seen.local_total, sum.local_good - h->seen.local_good};
	h->seen = sum;
}

static double percent_of(const struct tg_outlier_rate *r)
{
	return 100.0 * (double)r->good / (double)r->total;
}

/* Of the hosts that are not ejected and have that many answers, i-th; NULL: it does not count. */
static struct tg_host *counted(
	const struct tg_outlier_ask *a, uint32_t i, uint32_t local, uint32_t volume)
{
	struct tg_host *h = a->c->endpoints[i].host;

	return h->rate[local].total && h->rate[local].total >= volume &&
			       !(tg_host_flags(h) & TG_HEALTH_FAILED_OUTLIER)
		       ? h
		       : NULL;
}

/* Mean and variance of the rates; how many there are. */
static uint32_t spread(
	const struct tg_outlier_ask *a, uint32_t local, double *mean, double *variance)
{
	double sum = 0, squares = 0;
	uint32_t n = 0;
	struct tg_host *h;

	for (uint32_t i = 0; i < a->c->n_endpoints; i++)
		if ((h = counted(a, i, local, a->c->outlier->rate_volume))) {
			sum += percent_of(&h->rate[local]);
			n++;
		}
	*mean = n ? sum / n : 0;
	for (uint32_t i = 0; i < a->c->n_endpoints; i++)
		if ((h = counted(a, i, local, a->c->outlier->rate_volume))) {
			double d = percent_of(&h->rate[local]) - *mean;

			squares += d * d;
		}
	*variance = n ? squares / n : 0;
	return n;
}

static void look_at_success(const struct tg_outlier_ask *a, uint32_t local)
{
	const struct tg_outlier *o = a->c->outlier;
	double mean, variance, factor = o->rate_factor / 1000.0;
	uint32_t n = spread(a, local, &mean, &variance);
	struct tg_host *h;

	if (!n || n < o->rate_hosts)
		return;
	for (uint32_t i = 0; i < a->c->n_endpoints; i++) {
		double below;

		if (!(h = counted(a, i, local, o->rate_volume)))
			continue;
		below = mean - percent_of(&h->rate[local]);
		if (below > 0 && below * below > factor * factor * variance)
			eject(a, h,
				local ? TG_DETECT_LOCAL_ORIGIN_SUCCESS_RATE
				      : TG_DETECT_SUCCESS_RATE);
	}
}

static void look_at_failures(const struct tg_outlier_ask *a, uint32_t local)
{
	const struct tg_outlier *o = a->c->outlier;
	struct tg_host *h;
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->c->n_endpoints; i++)
		n += counted(a, i, local, o->failure_volume) != NULL;
	if (!n || n < o->failure_hosts)
		return;
	for (uint32_t i = 0; i < a->c->n_endpoints; i++)
		if ((h = counted(a, i, local, o->failure_volume)) &&
			100 - percent_of(&h->rate[local]) >= o->failure_percent)
			eject(a, h,
				local ? TG_DETECT_LOCAL_ORIGIN_FAILURE_PERCENTAGE
				      : TG_DETECT_FAILURE_PERCENTAGE);
}

/* One that was ejected returns when its time is over; each interval without an ejection shortens
 * the next one. */
static void look_at_term(const struct tg_outlier_ask *a, struct tg_host *h)
{
	uint32_t backoff = __atomic_load_n(&h->backoff, __ATOMIC_RELAXED);

	if (!(tg_host_flags(h) & TG_HEALTH_FAILED_OUTLIER)) {
		if (backoff)
			__atomic_store_n(&h->backoff, backoff - 1, __ATOMIC_RELAXED);
	} else if (a->now >= __atomic_load_n(&h->ejected_at, __ATOMIC_RELAXED) +
				     term_of(a->c->outlier, backoff)) {
		tg_outlier_return(h, a->worker);
	}
}

void tg_outlier_look(const struct tg_outlier_ask *a)
{
	for (uint32_t i = 0; i < a->c->n_endpoints; i++)
		look_at_term(a, a->c->endpoints[i].host);
	for (uint32_t i = 0; i < a->c->n_endpoints; i++)
		measure(a->c->endpoints[i].host, a->n_workers);
	for (uint32_t local = 0; local <= a->c->outlier->split; local++) {
		look_at_success(a, local);
		look_at_failures(a, local);
	}
}
