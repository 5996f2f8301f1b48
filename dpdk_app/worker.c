#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_pause.h>
#include <rte_ring.h>

#include "port.h"
#include "ratelimit.h"

/* What one turn does at most, so that no part of it starves another. */
#define READY_BUDGET 256
#define TIMER_BUDGET 256
#define ORDER_TURNS 32 /* turns between looks at the control core's orders; a power of two */

/* An idle worker first spins, because the next packet of an exchange under way is some tens of
 * microseconds off, then sleeps longer and longer. */
#define SPIN_NS (50 * TG_US)
#define SLEEP_FIRST (20 * TG_US)
#define SLEEP_MAX (200 * TG_US)
#define SLEEP_LEAST (5 * TG_US) /* less is not worth two system calls */

#define STEER_RING 4096 /* frames that wait for another worker */
#define CLOCK_EVERY (100 * TG_MS)
#define TLS_SESSIONS 1024 /* of origins, for resumption */

static uint64_t monotonic(void)
{
	struct timespec ts;

	/* From the vDSO: no system call. */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * TG_SEC + (uint64_t)ts.tv_nsec;
}

/* In a turn that is traced: from here on the time is stage s's. `traced` is a constant wherever
 * this stands, so a turn that is not has no trace of it. */
static inline void stage(struct tg_worker *w, enum tg_stage s, bool traced)
{
	if (traced)
		tg_tax_border(&w->stats->tax, s, rte_rdtsc());
}

static inline __attribute__((always_inline)) uint32_t receive(struct tg_worker *w, bool traced)
{
	struct rte_mbuf *pkts[TG_NET_BURST];
	struct tg_seg segs[TG_NET_BURST];
	uint32_t total = 0, n;

	w->full = false;
	for (uint32_t q = 0; q < w->n_rxq; q++) {
		stage(w, TG_STAGE_rx, traced);
		n = rte_eth_rx_burst(w->rxq[q].port, w->rxq[q].queue, pkts, TG_NET_BURST);
		if (!n)
			continue;
		total += n;
		w->full |= n == TG_NET_BURST;
		tg_tcp_backlog(w->tcp, n == TG_NET_BURST);
		n = tg_net_input(w->net, w->rxq[q].ifidx, pkts, n, segs);
		stage(w, TG_STAGE_tcp, traced);
		tg_tcp_input(w->tcp, segs, n);
	}
	if (w->steer_ring && !rte_ring_empty(w->steer_ring)) {
		stage(w, TG_STAGE_rx, traced);
		w->full |= rte_ring_count(w->steer_ring) > TG_NET_BURST;
		tg_tcp_backlog(w->tcp, rte_ring_count(w->steer_ring) >= TG_NET_BURST);
		n = tg_net_input_steered(w->net, segs);
		total++;
		stage(w, TG_STAGE_tcp, traced);
		tg_tcp_input(w->tcp, segs, n);
	}
	return total;
}

static void obey(struct tg_worker *w, struct tg_order *o)
{
	int rc;

	switch (o->kind) {
	case TG_ORDER_TLS:
		tg_tls_adopt(w->tls, o->tls);
		break;
	case TG_ORDER_ADOPT:
		tg_tls_adopt(w->tls, o->tls);
		rc = tg_proxy_adopt(w->proxy, o->snapshot);
		atomic_store(&w->listeners_failed, rc > 0 ? (uint32_t)rc : 0);
		atomic_store(&w->generation, o->snapshot->generation);
		break;
	case TG_ORDER_LIVE:
		tg_proxy_adopt_live(w->proxy, o->snapshot, o->live);
		break;
	case TG_ORDER_ANNOUNCE:
		if (w->index == 0)
			tg_net_announce(w->net);
		break;
	case TG_ORDER_DRAIN:
		tg_proxy_drain(w->proxy);
		break;
	case TG_ORDER_ABORT:
		tg_proxy_abort_all(w->proxy);
		break;
	case TG_ORDER_STOP:
		w->stopping = true;
		break;
	}
	atomic_store_explicit(&w->order, NULL, memory_order_release);
}

static uint64_t realtime_offset(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * TG_SEC + (uint64_t)ts.tv_nsec - monotonic();
}

/* The time of day may be set while we run, and certificates are judged by it. Less than this is the
 * time between two readings. */
#define CLOCK_SET (TG_SEC / 10)

static void follow_realtime(struct tg_worker *w)
{
	uint64_t now = realtime_offset();

	if (now - w->realtime_offset + CLOCK_SET <= 2 * CLOCK_SET)
		return;
	w->realtime_offset = now;
	tg_tls_set_realtime(w->tls, now);
	tg_proxy_set_realtime(w->proxy, now);
}

/* Every 100 ms or so. The buffers' pool, which all workers and devices share, keeps no peak itself.
 */
static void look_around(struct tg_worker *w)
{
	uint32_t out = rte_mempool_in_use_count(w->mbufs);

	if (out > w->mbufs_peak)
		w->mbufs_peak = out;
	w->stats->buffers_used = tg_pressure_of(out, w->mbufs->size);
	tg_clock_correct(&w->clock, rte_rdtsc(), monotonic());
	follow_realtime(w);
	w->clock_due = w->wheel->now + CLOCK_EVERY;
}

/* What need not be done in every turn. */
static void housekeep(struct tg_worker *w)
{
	struct tg_order *o = atomic_load_explicit(&w->order, memory_order_acquire);
	bool idle;

	if (tg_unlikely(o != NULL))
		obey(w, o);
	tg_proxy_attend(w->proxy);
	idle = tg_proxy_idle(w->proxy);
	if (idle != atomic_load_explicit(&w->idle, memory_order_relaxed))
		atomic_store_explicit(&w->idle, idle, memory_order_relaxed);
	if (w->wheel->now >= w->clock_due)
		look_around(w);
	w->taxed = w->stats->tax.on || tg_tax_wanted(&w->stats->tax, w->wheel->now);
}

/* Nothing to do: spin for a while, then see to who waits for that, and sleep in growing steps,
 * never beyond the next timer. */
static void rest(struct tg_worker *w)
{
	uint64_t now = w->wheel->now, next, ns;

	rte_pause();
	if (now - w->busy_at < SPIN_NS || w->ready.queued)
		return;
	tg_ratelimit_rest(w->app);
	if (!w->adaptive)
		return;
	ns = w->sleep ? w->sleep * 2 : SLEEP_FIRST;
	w->sleep = ns = RTE_MIN(ns, SLEEP_MAX);
	next = tg_wheel_next(w->wheel);
	if (next < now + ns)
		ns = next > now ? next - now : 0;
	if (ns >= SLEEP_LEAST) {
		struct timespec ts = {.tv_nsec = (long)ns};

		w->stats->sleeps++;
		nanosleep(&ts, NULL);
	}
}

/* Where the cycles since the last turn began went. */
static void account(struct tg_worker *w, uint64_t tsc, bool busy)
{
	struct tg_core_stats *s = w->stats;

	s->turns++;
	if (w->was_busy)
		s->busy_cycles += tsc - w->turn_tsc;
	else
		s->idle_cycles += tsc - w->turn_tsc;
	s->turns_busy += busy;
	w->turn_tsc = tsc;
	w->was_busy = busy;
}

/* Signatures are the longest work that there is: what they take of the core is told. */
static uint32_t handshake(struct tg_worker *w)
{
	uint64_t begin = tg_tls_has_work(w->tls) ? rte_rdtsc() : 0;
	uint32_t steps = tg_tls_turn(w->tls);

	if (begin)
		w->stats->tls_handshake_cycles += rte_rdtsc() - begin;
	return steps;
}

/* What is to be done now; returns how much that was. */
static inline __attribute__((always_inline)) uint32_t do_turn(struct tg_worker *w, bool traced)
{
	uint32_t work = receive(w, traced);

	stage(w, TG_STAGE_tls, traced);
	work += handshake(w);
	stage(w, TG_STAGE_http, traced);
	work += tg_ready_drain(&w->ready, READY_BUDGET, tg_tcp_reap, w->tcp);
	tg_queue_turn(&w->stats->queue, w->wheel->now, work > 0, w->full || w->ready.queued);
	stage(w, TG_STAGE_loop, traced);
	work += tg_wheel_advance(w->wheel, w->wheel->now, TIMER_BUDGET);
	if (tg_unlikely(tg_tcp_shortage(w->tcp)))
		tg_proxy_relieve(w->proxy);
	stage(w, TG_STAGE_tcp, traced);
	tg_tcp_output(w->tcp);
	stage(w, TG_STAGE_tx, traced);
	tg_net_flush(w->net);
	stage(w, TG_STAGE_loop, traced);
	return work;
}

/* The last turn ended and a new one begins: is it to be traced? */
static __attribute__((noinline)) bool change_trace(struct tg_worker *w, uint64_t tsc)
{
	struct tg_tax *tax = &w->stats->tax;
	bool was = tax->on;

	if (was)
		tg_tax_end(tax, tsc, w->was_busy);
	if (w->taxed && tg_tax_chosen(tax))
		tg_tax_begin(tax, tsc);
	if (tax->on != was) {
		tg_tcp_trace(w->tcp, tax->on);
		tg_tls_trace(w->tls, tax->on);
	}
	return tax->on;
}

static __attribute__((noinline)) uint32_t traced_turn(struct tg_worker *w)
{
	return do_turn(w, true);
}

static int worker_loop(void *arg)
{
	struct tg_worker *w = arg;
	uint32_t work;
	uint64_t tsc;

	prctl(PR_SET_TIMERSLACK, 1000); /* ns; the kernel's 50 us would be added to each sleep */
	tg_tls_thread();
	atomic_store(&w->tid, (int)gettid());
	w->turn_tsc = rte_rdtsc();
	while (!w->stopping) {
		tsc = rte_rdtsc();
		w->wheel->now = tg_clock_at(&w->clock, tsc);
		if (tg_unlikely(w->taxed) && change_trace(w, tsc))
			work = traced_turn(w);
		else
			work = do_turn(w, false);
		account(w, tsc, work > 0);
		if (work) {
			w->busy_at = w->wheel->now;
			w->sleep = 0;
		}
		if (!work || (w->stats->turns & (ORDER_TURNS - 1)) == 0)
			housekeep(w);
		if (!work)
			rest(w);
	}
	return 0;
}

/* --- the proxy's connections are TCP's --- */

static int proxy_connect(void *ctx, const struct tg_sockaddr *to, uint64_t timeout, uint32_t buf,
	const struct tg_conn_user *user, void *owner, struct tg_conn **out)
{
	struct tg_worker *w = ctx;
	const struct tg_tcp_dial d = {.remote = *to,
		.user = user,
		.owner = owner,
		.rcv_buf = buf,
		.snd_buf = buf,
		.timeout = timeout};
	enum tg_stage before;
	int rc;

	before = tg_tax_enter(&w->stats->tax, TG_STAGE_tcp);
	rc = tg_tcp_connect(w->tcp, &d, out);
	tg_tax_leave(&w->stats->tax, before);
	return rc;
}

static int proxy_listen(void *ctx, const struct tg_sockaddr *addr, uint32_t buf,
	const struct tg_conn_user *user, void *owner, void **handle)
{
	struct tg_worker *w = ctx;
	struct tg_tcp_listener *l = tg_pool_take(&w->listeners);
	int rc;

	if (!l)
		return TG_ENOMEM;
	*l = (struct tg_tcp_listener){
		.addr = *addr, .user = user, .owner = owner, .rcv_buf = buf, .snd_buf = buf};
	rc = tg_tcp_listen(w->tcp, l);
	if (rc) {
		tg_pool_put(&w->listeners, l);
		return rc;
	}
	*handle = l;
	return 0;
}

static void proxy_unlisten(void *ctx, void *handle)
{
	struct tg_worker *w = ctx;

	tg_tcp_unlisten(w->tcp, handle);
	tg_pool_put(&w->listeners, handle);
}

static enum tg_why ask_limit(void *ctx, const struct tg_ip *from, uint64_t now, bool take)
{
	return tg_connlimit_ask(ctx, from, now, take);
}

static void proxy_limit(void *ctx, void *handle, struct tg_connlimit *limit)
{
	struct tg_tcp_listener *l = handle;

	(void)ctx;
	l->admit = limit ? ask_limit : NULL;
	l->admit_ctx = limit;
}

static uint32_t proxy_shortage(void *ctx)
{
	struct tg_worker *w = ctx;

	return tg_tcp_shortage(w->tcp);
}

static void proxy_refuse(void *ctx, bool on)
{
	struct tg_worker *w = ctx;

	tg_tcp_refuse(w->tcp, on);
}

/* --- making one --- */

static void netif_conf(struct tg_worker *w, uint32_t i, struct tg_netif_conf *c)
{
	struct tg_port *p = &w->app->ports[i];

	w->txq[i] = (struct tg_txq){.port = p->id,
		.queue = (uint16_t)(w->index % p->n_queues),
		.lock = p->tx_shared ? &p->tx_lock : NULL,
		.tax = &w->stats->tax};
	*c = (struct tg_netif_conf){.name = p->conf->name,
		.ops = &tg_port_ops,
		.dev = &w->txq[i],
		.mtu = p->mtu,
		.vlan = p->conf->vlan,
		.tx_ipv4_csum = p->tx_ipv4_csum,
		.tx_tcp_csum = p->tx_tcp_csum,
		.rx_ipv4_csum = p->rx_ipv4_csum,
		.rx_tcp_csum = p->rx_tcp_csum,
		.rx_rss_hash = p->rx_rss_hash,
		.n_addrs = p->conf->n_addrs};
	memcpy(c->mac, p->mac, sizeof(c->mac));
	memcpy(c->addrs, p->conf->addrs, p->conf->n_addrs * sizeof(c->addrs[0]));
}

static void assign_queues(struct tg_worker *w)
{
	for (uint32_t i = 0; i < w->app->n_ports; i++) {
		struct tg_port *p = &w->app->ports[i];
		bool mine = p->n_queues == 1 ? p->polled_by == w->index : w->index < p->n_queues;

		if (!mine)
			continue;
		w->rxq[w->n_rxq].port = p->id;
		w->rxq[w->n_rxq].queue = p->n_queues == 1 ? 0 : (uint16_t)w->index;
		w->rxq[w->n_rxq++].ifidx = (uint16_t)i;
	}
}

static int make_net(struct tg_worker *w, struct rte_ring **rings, struct tg_errbuf *e)
{
	struct tg_app *app = w->app;
	const struct tg_snapshot *s = app->boot;
	struct tg_netif_conf *ifs = calloc(app->n_ports, sizeof(*ifs));
	struct tg_net_route *routes = calloc(s->n_ip_routes + 1, sizeof(*routes));
	struct tg_net_conf c = {.worker = w->index,
		.socket = (uint32_t)rte_lcore_to_socket_id(w->lcore),
		.n_ifs = app->n_ports,
		.ifs = ifs,
		.n_routes = s->n_ip_routes,
		.routes = routes,
		.mbufs = app->mbufs,
		.steer = app->n_workers > 1 ? &app->steer : NULL,
		.steer_rings = app->n_workers > 1 ? rings : NULL,
		.reassembly_timeout = s->dataplane.reassembly_timeout,
		.wheel = w->wheel,
		.stats = w->stats};
	int rc = TG_ENOMEM;

	tg_fail(e, TG_ENOMEM, "worker %u: out of memory", w->index);
	if (ifs && routes) {
		rc = tg_rng_secret(c.secret, sizeof(c.secret));
		for (uint32_t i = 0; i < app->n_ports; i++)
			netif_conf(w, i, &ifs[i]);
		for (uint32_t i = 0; i < s->n_ip_routes; i++)
			routes[i] = (struct tg_net_route){
				.dst = s->ip_routes[i].destination, .via = s->ip_routes[i].via};
		w->net = rc ? NULL : tg_net_create(&c, e);
		if (!w->net)
			rc = TG_EINVAL;
	}
	free(ifs);
	free(routes);
	return rc;
}

static int make_tcp(struct tg_worker *w, struct tg_errbuf *e)
{
	struct tg_app *app = w->app;
	struct tg_tcp_conf c = {.worker = w->index,
		.max_conns = app->budget.max_conns,
		.max_active = app->budget.max_active,
		.port_first = app->boot->dataplane.port_first,
		.port_last = app->boot->dataplane.port_last,
		.net = w->net,
		.mbufs = app->mbufs,
		.steer = app->n_workers > 1 ? &app->steer : NULL,
		.wheel = w->wheel,
		.ready = &w->ready,
		.stats = w->stats};

	/* One secret for all workers: a SYN cookie may be checked by another than made it. */
	memcpy(c.secret, app->secret, sizeof(c.secret));
	if (tg_rng_secret(&c.seed, sizeof(c.seed)))
		return tg_fail(e, TG_ESYS, "the kernel gives no random numbers");
	w->tcp = tg_tcp_create(&c, e);
	return w->tcp ? 0 : TG_ENOMEM;
}

static int make_tls(struct tg_worker *w, struct tg_errbuf *e)
{
	const struct tg_budget *b = &w->app->budget;
	struct tg_tls_worker_conf c = {.worker = w->index,
		.max_conns = b->max_conns,
		.max_handshakes = b->max_handshakes,
		.max_active = b->max_tls_active,
		.sessions = TLS_SESSIONS,
		.realtime_offset = w->realtime_offset,
		.wheel = w->wheel,
		.ready = &w->ready,
		.stats = w->stats};

	w->tls = tg_tls_create(&c, e);
	return w->tls ? 0 : TG_ENOMEM;
}

static int make_proxy(struct tg_worker *w, struct tg_errbuf *e)
{
	struct tg_app *app = w->app;
	struct tg_proxy_conf c = {.worker = w->index,
		.n_workers = app->n_workers,
		.max_downstream = app->budget.max_downstream,
		.max_upstream = app->budget.max_upstream,
		.max_exchanges = app->budget.max_exchanges,
		.max_pairs = app->budget.max_pairs,
		.net = {.connect = proxy_connect,
			.listen = proxy_listen,
			.unlisten = proxy_unlisten,
			.limit = proxy_limit,
			.shortage = proxy_shortage,
			.refuse = proxy_refuse,
			.ctx = w},
		.tls = w->tls,
		.breakers = app->breakers,
		.realtime_offset = w->realtime_offset,
		.wheel = w->wheel,
		.stats = w->stats,
		.log = w->log};

	if (tg_rng_secret(&c.seed, sizeof(c.seed)))
		return tg_fail(e, TG_ESYS, "the kernel gives no random numbers");
	w->proxy = tg_proxy_create(&c, e);
	return w->proxy ? 0 : TG_ENOMEM;
}

static int make_worker(struct tg_worker *w, struct rte_ring **rings, struct tg_errbuf *e)
{
	struct tg_app *app = w->app;
	uint64_t now = monotonic();
	int rc;

	w->lcore = w->index + 1;
	w->cpu = app->cpus.worker[w->index];
	w->adaptive = app->boot->dataplane.idle == TG_IDLE_ADAPTIVE;
	w->stats = &tg_stats_cores(app->stats)[w->index];
	w->realtime_offset = realtime_offset();
	w->mbufs = app->mbufs;
	w->steer_ring = app->n_workers > 1 ? rings[w->index] : NULL;
	tg_clock_init(&w->clock, rte_rdtsc(), now, rte_get_tsc_hz());
	w->wheel = malloc(sizeof(*w->wheel));
	if (!w->wheel || tg_pool_init(&w->listeners, "tcp_listener", sizeof(struct tg_tcp_listener),
				 TG_LISTENERS_MAX))
		return tg_fail(e, TG_ENOMEM, "worker %u: out of memory", w->index);
	tg_wheel_init(w->wheel, now);
	tg_ready_init(&w->ready);
	if (app->budget.log_records) {
		w->log = tg_log_ring_create(app->budget.log_records);
		if (!w->log)
			return tg_fail(e, TG_ENOMEM, "worker %u: no memory for its log", w->index);
	}
	assign_queues(w);
	rc = make_net(w, rings, e);
	if (!rc)
		rc = make_tcp(w, e);
	if (!rc)
		rc = make_tls(w, e);
	if (!rc)
		rc = make_proxy(w, e);
	return rc;
}

static void free_worker(struct tg_worker *w)
{
	if (w->proxy)
		tg_proxy_destroy(w->proxy);
	if (w->tls)
		tg_tls_destroy(w->tls);
	/* What the proxy let go of is reaped before its stack goes. */
	if (w->tcp) {
		tg_ready_drain(&w->ready, 0, tg_tcp_reap, w->tcp);
		tg_tcp_destroy(w->tcp);
	}
	if (w->net)
		tg_net_destroy(w->net);
	if (w->log)
		tg_log_ring_destroy(w->log);
	if (w->listeners.base)
		tg_pool_fini(&w->listeners);
	free(w->wheel);
}

static void free_rings(struct tg_app *app)
{
	for (uint32_t i = 0; i < app->n_workers && app->steer_rings[i]; i++) {
		struct rte_mbuf *m;

		while (rte_ring_dequeue(app->steer_rings[i], (void **)&m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(app->steer_rings[i]);
		app->steer_rings[i] = NULL;
	}
}

static int make_rings(struct tg_app *app, struct tg_errbuf *e)
{
	if (app->n_workers == 1)
		return 0;
	for (uint32_t i = 0; i < app->n_workers; i++) {
		char name[32];

		snprintf(name, sizeof(name), "steer%u", i);
		app->steer_rings[i] =
			rte_ring_create(name, STEER_RING, (int)rte_socket_id(), RING_F_SC_DEQ);
		if (!app->steer_rings[i])
			return tg_fail(e, TG_ENOMEM, "no memory for the workers' rings");
	}
	return 0;
}

int tg_workers_start(struct tg_app *app, struct tg_errbuf *e)
{
	int rc = tg_rng_secret(app->secret, sizeof(app->secret));

	if (rc)
		return tg_fail(e, TG_ESYS, "the kernel gives no random numbers");
	app->workers = aligned_alloc(64, app->n_workers * sizeof(*app->workers));
	if (!app->workers)
		return tg_fail(e, TG_ENOMEM, "out of memory");
	memset(app->workers, 0, app->n_workers * sizeof(*app->workers));
	rc = make_rings(app, e);
	for (uint32_t i = 0; i < app->n_workers && !rc; i++) {
		app->workers[i].app = app;
		app->workers[i].index = i;
		rc = make_worker(&app->workers[i], app->steer_rings, e);
	}
	if (rc)
		tg_workers_stop(app);
	return rc;
}

void tg_workers_stop(struct tg_app *app)
{
	for (uint32_t i = 0; app->workers && i < app->n_workers; i++)
		free_worker(&app->workers[i]);
	free_rings(app);
	free(app->workers);
	app->workers = NULL;
}

/* --- running --- */

int tg_workers_run(struct tg_app *app, struct tg_errbuf *e)
{
	for (uint32_t i = 0; i < app->n_workers; i++) {
		struct tg_worker *w = &app->workers[i];

		if (rte_eal_remote_launch(worker_loop, w, w->lcore))
			return tg_fail(e, TG_ESYS,
				"lcore %u of worker %u does not start: check dataplane.eal for "
				"options that change lcores",
				w->lcore, i);
		w->running = true;
	}
	return 0;
}

bool tg_workers_order(struct tg_app *app, struct tg_order *o)
{
	const struct timespec nap = {.tv_nsec = 100 * 1000};
	uint64_t until = monotonic() + 10 * TG_SEC;

	for (uint32_t i = 0; i < app->n_workers; i++)
		if (app->workers[i].running)
			atomic_store_explicit(&app->workers[i].order, o, memory_order_release);
	for (uint32_t i = 0; i < app->n_workers; i++)
		while (atomic_load_explicit(&app->workers[i].order, memory_order_acquire)) {
			if (monotonic() > until) {
				tg_say(TG_ERROR,
					"worker %u has not answered for 10 s: its CPU is taken by "
					"something else, or it hangs",
					i);
				return false;
			}
			nanosleep(&nap, NULL);
		}
	return true;
}

void tg_workers_halt(struct tg_app *app)
{
	static struct tg_order stop = {.kind = TG_ORDER_STOP};

	if (!tg_workers_order(app, &stop)) {
		tg_say(TG_ERROR, "ending without it; the janitor cleans up");
		_exit(EXIT_FAILURE);
	}
	for (uint32_t i = 0; i < app->n_workers; i++)
		if (app->workers[i].running) {
			rte_eal_wait_lcore(app->workers[i].lcore);
			app->workers[i].running = false;
		}
}
