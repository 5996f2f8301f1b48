#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_mbuf.h>

#include "../eal.h"
#include "stack.h" /* lib/tcp's: the flow table's size */
#include "world.h"

#define MBUFS 32767

static const char config[] =
	"ports: (\n"
	"  { name = \"north\"; device = \"net_null0\"; addresses = [\"10.0.0.1/24\", "
	"\"fd10::1/64\"]; },\n"
	"  { name = \"south\"; device = \"net_null1\"; addresses = [\"10.1.0.1/24\"]; } );\n"
	"ip_routes: ( { destination = \"10.64.0.0/10\"; via = \"10.0.0.2\"; },\n"
	"  { destination = \"fd64::/64\"; via = \"fd10::2\"; } );\n"
	"listeners: (\n"
	"  { name = \"web\"; address = \"10.0.0.1:80\"; virtual_hosts = [\"all\"]; %s },\n"
	"  { name = \"web6\"; address = \"[fd10::1]:80\"; virtual_hosts = [\"all\"]; %s } );\n"
	"virtual_hosts: ( { name = \"all\"; domains = [\"*\"];\n"
	"  routes: ( %s { match: { prefix = \"/\"; }; route: { cluster = \"origin\"; }; } ); } );\n"
	"clusters: ( { name = \"origin\"; endpoints: ( { address = \"10.1.0.2:8080\"; } );\n"
	"  circuit_breakers: { max_connections = 16384; max_pending_requests = 16384;\n"
	"                      max_requests = 16384; }; } );\n";

bool world_eal(uint32_t mib)
{
	return tg_h1_init("auto") == 0 && tg_test_eal(mib);
}

/* --- the wire -------------------------------------------------------------------------------- */

static void put(struct world_queue *q, struct rte_mbuf *m)
{
	if (q->tail - q->head == WORLD_FRAMES) {
		fprintf(stderr, "scale: more than %u frames at once\n", WORLD_FRAMES);
		abort();
	}
	q->m[q->tail++ & (WORLD_FRAMES - 1)] = m;
}

static uint16_t device_tx(void *dev, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		put(dev, pkts[i]);
	return n;
}

static void to_gate(void *ctx, enum outside_side side, struct rte_mbuf *m)
{
	put(&((struct world *)ctx)->in[side], m);
}

static void deliver(struct world *w)
{
	for (uint32_t side = 0; side < OUTSIDE_SIDES; side++) {
		struct world_queue *q = &w->sent[side];

		while (q->head != q->tail)
			outside_input(&w->out, side, q->m[q->head++ & (WORLD_FRAMES - 1)]);
	}
}

/* --- the worker ------------------------------------------------------------------------------ */

static int proxy_connect(void *ctx, const struct tg_sockaddr *to, uint64_t timeout, uint32_t buf,
	const struct tg_conn_user *user, void *owner, struct tg_conn **out)
{
	const struct tg_tcp_dial d = {.remote = *to,
		.user = user,
		.owner = owner,
		.rcv_buf = buf,
		.snd_buf = buf,
		.timeout = timeout};

	return tg_tcp_connect(((struct world *)ctx)->tcp, &d, out);
}

static int proxy_listen(void *ctx, const struct tg_sockaddr *addr, uint32_t buf,
	const struct tg_conn_user *user, void *owner, void **handle)
{
	struct world *w = ctx;
	struct tg_tcp_listener *l = tg_pool_take(&w->listeners);
	int rc;

	if (!l)
		return TG_ENOMEM;
	*l = (struct tg_tcp_listener){
		.addr = *addr, .user = user, .owner = owner, .rcv_buf = buf, .snd_buf = buf};
	rc = tg_tcp_listen(w->tcp, l);
	if (rc)
		tg_pool_put(&w->listeners, l);
	else
		*handle = l;
	return rc;
}

static void proxy_unlisten(void *ctx, void *handle)
{
	struct world *w = ctx;

	tg_tcp_unlisten(w->tcp, handle);
	tg_pool_put(&w->listeners, handle);
}

static bool make_net(struct world *w, struct tg_errbuf *e)
{
	static const struct tg_netif_ops ops = {.tx = device_tx};
	struct tg_netif_conf ifs[OUTSIDE_SIDES];
	const struct tg_snapshot *s = w->snap;
	struct tg_net_route routes[] = {{s->ip_routes[0].destination, s->ip_routes[0].via},
		{s->ip_routes[1].destination, s->ip_routes[1].via}};
	struct tg_net_conf nc = {.n_ifs = OUTSIDE_SIDES,
		.ifs = ifs,
		.n_routes = RTE_DIM(routes),
		.routes = routes,
		.mbufs = w->mbufs,
		.wheel = &w->wheel,
		.stats = w->stats,
		.secret = "sixteen bytes ok"};

	for (uint32_t i = 0; i < OUTSIDE_SIDES; i++) {
		ifs[i] = (struct tg_netif_conf){.name = s->ports[i].name,
			.ops = &ops,
			.dev = &w->sent[i],
			.mac = {2, 0, 0, 0, (uint8_t)(i + 1), 1},
			.mtu = 1500,
			.tx_ipv4_csum = true,
			.tx_tcp_csum = true,
			.rx_ipv4_csum = true,
			.rx_tcp_csum = true,
			.n_addrs = s->ports[i].n_addrs};
		memcpy(ifs[i].addrs, s->ports[i].addrs,
			s->ports[i].n_addrs * sizeof(ifs[i].addrs[0]));
	}
	w->net = tg_net_create(&nc, e);
	return w->net;
}

static bool make_tcp(struct world *w, struct tg_errbuf *e)
{
	struct tg_tcp_conf c = {.max_conns = w->budget.max_conns,
		.max_active = w->budget.max_active,
		.net = w->net,
		.mbufs = w->mbufs,
		.wheel = &w->wheel,
		.ready = &w->ready,
		.stats = w->stats,
		.secret = "thirty-two bytes that are secret",
		.seed = 1};

	w->tcp = tg_tcp_create(&c, e);
	return w->tcp;
}

static bool make_proxy(struct world *w, struct tg_errbuf *e)
{
	struct tg_proxy_conf c = {.n_workers = 1,
		.max_downstream = w->budget.max_downstream,
		.max_upstream = w->budget.max_upstream,
		.max_exchanges = w->budget.max_exchanges,
		.max_pairs = w->budget.max_pairs,
		.net = {.connect = proxy_connect,
			.listen = proxy_listen,
			.unlisten = proxy_unlisten,
			.ctx = w},
		.wheel = &w->wheel,
		.stats = w->stats,
		.log = w->log,
		.seed = 1};

	w->proxy = tg_proxy_create(&c, e);
	return w->proxy && tg_proxy_adopt(w->proxy, w->snap) == 0;
}

static bool read_config(struct world *w)
{
	const char *more = w->conf.listener ? w->conf.listener : "";
	char *text = NULL;

	if (asprintf(&text, config, more, more, w->conf.routes ? w->conf.routes : "") < 0)
		return false;
	w->snap = tg_config_parse("scale", text, w->registry, stderr);
	free(text);
	return w->snap;
}

static bool divide_memory(struct world *w, struct tg_errbuf *e)
{
	/* As much as is needed: what it comes to is what is looked at. */
	struct tg_budget_ask ask = {.memory = UINT64_C(1) << 40,
		.max_connections = w->conf.max_connections,
		.workers = 1,
		.ports = 2,
		.rx_queues = 2,
		.mtu = 1500,
		.log = true};

	return tg_budget_make(&ask, &w->budget, e) == 0;
}

static const char *next_path(void *ctx)
{
	const struct world *w = ctx;

	return w->conf.path(w->conf.ctx);
}

static bool fill(struct world *w, struct tg_errbuf *e)
{
	struct outside_conf oc = {
		.clients = w->conf.clients, .mbufs = w->mbufs, .send = to_gate, .ctx = w};

	if (w->conf.path)
		oc.path = next_path;

	return divide_memory(w, e) && read_config(w) && make_net(w, e) && make_tcp(w, e) &&
	       make_proxy(w, e) && outside_init(&w->out, &oc);
}

struct world *world_make(const struct world_conf *conf)
{
	struct world *w = calloc(1, sizeof(*w));
	struct tg_errbuf e = {{0}};

	if (!w)
		return NULL;
	w->conf = *conf;
	if (!w->conf.max_connections)
		w->conf.max_connections = conf->clients + 16384;
	tg_wheel_init(&w->wheel, 1000 * TG_SEC);
	tg_ready_init(&w->ready);
	w->registry = tg_stats_create(1);
	w->mbufs = rte_pktmbuf_pool_create("scale", MBUFS, 256, 0, 2176, SOCKET_ID_ANY);
	w->log = tg_log_ring_create(4096);
	if (w->registry)
		w->stats = tg_stats_cores(w->registry);
	if (!w->registry || !w->mbufs || !w->log ||
		tg_pool_init(&w->listeners, "tcp_listener", sizeof(struct tg_tcp_listener), 16) ||
		!fill(w, &e)) {
		fprintf(stderr, "scale: cannot make a world: %s\n", e.text);
		return NULL;
	}
	outside_greet(&w->out);
	world_turn(w);
	return w;
}

void world_free(struct world *w)
{
	tg_proxy_destroy(w->proxy);
	tg_ready_drain(&w->ready, 0, tg_tcp_reap, w->tcp);
	tg_tcp_destroy(w->tcp);
	tg_net_destroy(w->net);
	for (uint32_t side = 0; side < OUTSIDE_SIDES; side++) {
		struct world_queue *q[] = {&w->in[side], &w->sent[side]};

		for (uint32_t i = 0; i < RTE_DIM(q); i++)
			while (q[i]->head != q[i]->tail)
				rte_pktmbuf_free(q[i]->m[q[i]->head++ & (WORLD_FRAMES - 1)]);
	}
	outside_fini(&w->out);
	tg_pool_fini(&w->listeners);
	tg_log_ring_destroy(w->log);
	tg_snapshot_free(w->snap);
	tg_stats_destroy(w->registry);
	rte_mempool_free(w->mbufs);
	free(w);
}

static uint32_t receive(struct world *w)
{
	struct tg_seg segs[TG_NET_BURST];
	uint32_t total = 0;

	for (uint32_t side = 0; side < OUTSIDE_SIDES; side++) {
		struct world_queue *q = &w->in[side];
		struct rte_mbuf *pkts[TG_NET_BURST];
		uint32_t n = 0;

		while (n < TG_NET_BURST && q->head != q->tail)
			pkts[n++] = q->m[q->head++ & (WORLD_FRAMES - 1)];
		total += n;
		n = tg_net_input(w->net, (uint16_t)side, pkts, n, segs);
		tg_tcp_input(w->tcp, segs, n);
	}
	return total;
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * TG_SEC + (uint64_t)ts.tv_nsec;
}

static uint32_t worker_turn(struct world *w)
{
	uint64_t began = w->conf.around ? 0 : cpu_ns();
	uint32_t work;

	if (w->conf.around)
		w->conf.around(w->conf.ctx, true);
	work = receive(w);
	work += tg_ready_drain(&w->ready, 256, tg_tcp_reap, w->tcp);
	work += tg_wheel_advance(&w->wheel, w->wheel.now, 256);
	tg_tcp_output(w->tcp);
	tg_net_flush(w->net);
	if (w->conf.around)
		w->conf.around(w->conf.ctx, false);
	else
		w->cpu_ns += cpu_ns() - began;
	w->turns++;
	return work;
}

static uint32_t turn(struct world *w)
{
	uint32_t work;

	w->wheel.now += w->conf.step;
	w->out.now_ms = (uint32_t)(w->wheel.now / TG_MS);
	work = worker_turn(w);
	deliver(w);
	while (tg_log_peek(w->log))
		tg_log_release(w->log);
	return work;
}

void world_turn(struct world *w)
{
	turn(w);
}

static uint32_t waiting(const struct world_queue *q)
{
	return q->tail - q->head;
}

void world_pace(struct world *w)
{
	do
		turn(w);
	while (waiting(&w->in[0]) >= TG_NET_BURST || waiting(&w->in[1]) >= TG_NET_BURST);
}

bool world_settle(struct world *w, uint64_t seconds)
{
	uint64_t until = w->wheel.now + seconds * TG_SEC;

	while (!world_failure(w)) {
		uint32_t work = turn(w);
		bool coming = waiting(&w->in[0]) || waiting(&w->in[1]);

		if (!w->out.pending && !coming && !work)
			return true;
		if (w->wheel.now > until)
			break;
		/* Nothing moves: on to the next timer. */
		if (!coming && !work) {
			uint64_t next = tg_wheel_next(&w->wheel);

			if (next == UINT64_MAX)
				break;
			if (next > w->wheel.now)
				w->wheel.now = next;
		}
	}
	return false;
}

void world_sleep(struct world *w, uint64_t ns)
{
	uint64_t until = w->wheel.now + ns;

	while (w->wheel.now < until) {
		uint64_t next = tg_wheel_next(&w->wheel);

		turn(w);
		if (!waiting(&w->in[0]) && !waiting(&w->in[1]) && next > w->wheel.now)
			w->wheel.now = next < until ? next : until;
	}
	turn(w);
}

const char *world_failure(const struct world *w)
{
	if (w->out.failure[0])
		return w->out.failure;
	return w->stats->log_dropped ? "access-log records were lost" : NULL;
}

/* --- what it takes --------------------------------------------------------------------------- */

uint32_t world_usage(const struct world *w, struct world_usage out[static WORLD_POOLS])
{
	const struct tg_pool *pools[WORLD_POOLS];
	struct tg_tcp_usage tcp[8];
	uint32_t n = 0, k = tg_tcp_usage(w->tcp, tcp, RTE_DIM(tcp));

	for (uint32_t i = 0; i < k; i++)
		out[n++] = (struct world_usage){tcp[i].name, tcp[i].size, tcp[i].count,
			tcp[i].in_use, tcp[i].peak, tcp[i].refused};
	out[n++] = (struct world_usage){"flow_bucket", sizeof(struct tg_flow_bucket),
		w->tcp->flows.n_buckets, w->tcp->flows.count, w->tcp->flows.peak,
		w->tcp->flows.refused};
	k = tg_proxy_pools(w->proxy, pools, WORLD_POOLS - n);
	for (uint32_t i = 0; i < k; i++)
		out[n++] = (struct world_usage){pools[i]->name, pools[i]->size, pools[i]->count,
			pools[i]->in_use, pools[i]->peak, pools[i]->refused};
	return n;
}

double world_idle_bytes(const struct world *w)
{
	struct world_usage u[WORLD_POOLS];
	uint32_t n = world_usage(w, u);
	double bytes = 0;

	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(u[i].name, "tcb") || !strcmp(u[i].name, "downstream"))
			bytes += u[i].size;
		else if (!strcmp(u[i].name, "flow_bucket"))
			bytes += (double)u[i].size * u[i].count / w->budget.max_conns;
	return bytes;
}

uint64_t world_reserved(const struct world *w)
{
	struct world_usage u[WORLD_POOLS];
	uint32_t n = world_usage(w, u);
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++)
		bytes += (uint64_t)u[i].size * u[i].count;
	return bytes;
}

uint64_t world_resident(void)
{
	long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%ld %ld", &size, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
