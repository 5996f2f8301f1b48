/* overload.c: a worker's pressures, and what follows from them (overload.h decides).
 *
 * One look an interval, by a timer. What is on stands in one word of the proxy, p->overload, which
 * a request compares with 0.
 */
#include "internal.h"

#define IDLE_A_LOOK 4096 /* connections looked at for one that idles too long */

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t fullest(const struct tg_proxy *p)
{
	const struct tg_pool *pools[] = {
		&p->downs, &p->ups, &p->exchs, &p->l4s, &p->arenas.small, &p->arenas.large};
	uint32_t most = (uint32_t)p->stats->buffers_used;

	for (uint32_t i = 0; i < TG_ARRAY_LEN(pools); i++)
		most = larger(most, tg_pressure_of(pools[i]->in_use, pools[i]->count));
	return most;
}

/* Clients of all workers, a moment old. */
static uint32_t connections(const struct tg_proxy *p, const struct tg_overload_conf *c)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < p->snap->n_listeners; i++)
		for (uint32_t w = 0; w < p->conf.n_workers; w++)
			n += __atomic_load_n(&p->snap->listeners[i].stats[w].downstream_cx_active,
				__ATOMIC_RELAXED);
	return tg_pressure_of(n, c->max_connections);
}

static uint32_t busy_share(struct tg_proxy *p)
{
	uint64_t busy = p->stats->busy_cycles, idle = p->stats->idle_cycles;
	uint32_t share =
		tg_pressure_of(busy - p->busy_mark, busy - p->busy_mark + idle - p->idle_mark);

	p->busy_mark = busy;
	p->idle_mark = idle;
	return share;
}

/* As CoDel sees it: the shortest wait since the last look. A queue that was short once is none that
 * stands, however long it was in between. */
static uint32_t delay(struct tg_proxy *p, const struct tg_overload_conf *c)
{
	uint64_t least = p->stats->queue.least;

	return least == UINT64_MAX ? 0 : tg_pressure_of(least, c->max_delay);
}

/* Those that idle for longer than what their timeout is reduced to: the hand goes round over all
 * connections. What has no timeout keeps none. */
static void close_idle_early(struct tg_proxy *p, uint64_t least, uint32_t state)
{
	uint32_t left = p->downs.fresh < IDLE_A_LOOK ? p->downs.fresh : IDLE_A_LOOK;

	while (left--) {
		struct px_down *d = tg_pool_at(&p->downs, p->reduce_at);
		uint64_t limit;

		p->reduce_at = p->reduce_at + 1 < p->downs.fresh ? p->reduce_at + 1 : 0;
		if (!d->used || d->state != PX_DOWN_IDLE || d->ln->conf->idle_timeout <= least)
			continue;
		limit = d->ln->conf->idle_timeout;
		limit -= (uint64_t)((unsigned __int128)(limit - least) * state / TG_OVERLOAD_WHOLE);
		if (px_now(p) < ((uint64_t)d->since << TG_WHEEL_TICK_SHIFT) + limit)
			continue;
		px_why(p, TG_WHY_conn_idle);
		d->ln->stats->downstream_cx_idle_timeout++;
		px_down_close(d);
	}
}

static void refuse_connections(struct tg_proxy *p, bool on)
{
	if (p->conf.net.refuse)
		p->conf.net.refuse(p->conf.net.ctx, on);
}

/* What /stats shows. */
static void tell(struct tg_proxy *p, const uint32_t pressure[TG_MONITORS])
{
	for (uint32_t i = 0; i < TG_MONITORS; i++)
		p->stats->overload_pressure[i] = pressure[i];
	for (uint32_t i = 0; i < TG_OVERLOADS; i++)
		p->stats->overload_state[i] = p->over.state[i];
}

static void look(struct tg_proxy *p)
{
	const struct tg_overload_conf *c = p->snap ? p->snap->overload : NULL;
	uint32_t pressure[TG_MONITORS] = {0}, was = p->overload;

	if (c) {
		bool connected = c->watched[TG_MONITOR_CONNECTIONS];

		pressure[TG_MONITOR_MEMORY] = c->watched[TG_MONITOR_MEMORY] ? fullest(p) : 0;
		pressure[TG_MONITOR_CONNECTIONS] = connected ? connections(p, c) : 0;
		pressure[TG_MONITOR_CPU] = c->watched[TG_MONITOR_CPU] ? busy_share(p) : 0;
		pressure[TG_MONITOR_DELAY] = c->watched[TG_MONITOR_DELAY] ? delay(p, c) : 0;
	}
	p->stats->queue.least = UINT64_MAX;
	p->overload = tg_overload_look(&p->over, c, pressure);
	if ((was ^ p->overload) & TG_OVERLOAD_BIT(NO_CONNECTIONS))
		refuse_connections(p, p->overload & TG_OVERLOAD_BIT(NO_CONNECTIONS));
	tell(p, pressure);
	if (p->overload & TG_OVERLOAD_BIT(REDUCE_TIMEOUTS))
		close_idle_early(
			p, c->idle_timeout_least, p->over.state[TG_OVERLOAD_REDUCE_TIMEOUTS]);
	if (c)
		tg_timer_start(p->wheel, &p->overload_timer, p->overload_kind, c->refresh);
}

static void on_timer(void *ctx, struct tg_timer *t)
{
	look(ctx);
}

int px_overload_init(struct tg_proxy *p)
{
	int kind = tg_wheel_kind(p->wheel, on_timer, p);

	p->overload_kind = (uint8_t)kind;
	return kind < 0 ? kind : 0;
}

void px_overload_adopt(struct tg_proxy *p)
{
	tg_timer_stop(p->wheel, &p->overload_timer);
	/* From now on: what came before is no sample. */
	p->busy_mark = p->stats->busy_cycles;
	p->idle_mark = p->stats->idle_cycles;
	look(p);
}

bool px_overload_admits(struct px_exch *ex)
{
	struct tg_proxy *p = ex->proxy;
	bool exempt = ex->route && ex->route->priority == TG_PRIORITY_HIGH;

	if (p->overload & TG_OVERLOAD_BIT(SHED_REQUESTS) && !exempt &&
		tg_rng_below(&p->rng, TG_OVERLOAD_WHOLE) < p->over.state[TG_OVERLOAD_SHED_REQUESTS])
		p->stats->overload_shed++;
	else if (!(p->overload & TG_OVERLOAD_BIT(NO_REQUESTS)))
		return true;
	ex->down->ln->stats->downstream_rq_overload_close++;
	px_reply(ex, PX_REPLY_OVERLOADED);
	return false;
}

void px_overload_keepalive(struct px_down *d)
{
	if (d->close_soon || d->shadow || !(d->ln->proxy->overload & TG_OVERLOAD_BIT(NO_KEEPALIVE)))
		return;
	d->close_soon = true;
	d->ln->stats->downstream_cx_overload_disable_keepalive++;
}
