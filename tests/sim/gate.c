#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "../../lib/tcp/stack.h"
#include "../unit/tls/pki.h"
#include "gate.h"

/* Nothing moves for so long (virtual), though pauses are short and loss is rare: nobody will. */
#define STILL (90 * TG_SEC)
#define STEPS_MAX 2000000

/* --- once a process ----------------------------------------------------------------------------
 */

static struct tg_tls_store *store;
static struct tg_stats *gate_stats;

static void complain(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "tls: %s\n", text);
}

static const char *const files[] = {"ca.crt", "gate.crt", "gate.key", "peer.crt", "peer.key"};

static bool make_store(void)
{
	static struct tg_tls_pair gate, peer;
	static struct tg_tls_conf c[4];
	const struct tg_tls_conf *all[4];
	struct pki_cert ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
	struct pki_cert g =
		pki_issue(&(struct pki_spec){.cn = "gate", .san = "DNS:gate.example"}, &ca);
	struct pki_cert p =
		pki_issue(&(struct pki_spec){.cn = "peer", .san = "DNS:peer.example"}, &ca);
	const char *path[5];
	struct tg_errbuf e;

	path[0] = pki_write_certs(files[0], (const struct pki_cert *[]){&ca}, 1);
	path[1] = pki_write_certs(files[1], (const struct pki_cert *[]){&g}, 1);
	path[2] = pki_write_key(files[2], &g, NULL);
	path[3] = pki_write_certs(files[3], (const struct pki_cert *[]){&p}, 1);
	path[4] = pki_write_key(files[4], &p, NULL);
	gate = (struct tg_tls_pair){path[1], path[2]};
	peer = (struct tg_tls_pair){path[3], path[4]};
	for (uint32_t i = 0; i < 4; i++) {
		c[i] = (struct tg_tls_conf){.id = i,
			.server = i % 2 == 0,
			.n_pairs = 1,
			.pairs = i < 2 ? &gate : &peer,
			.ca = path[0],
			.require_client_certificate = true,
			.sni = i == 1   ? "peer.example"
			       : i == 3 ? "gate.example"
					: NULL,
			.min_version = 13,
			.session_tickets = true};
		all[i] = &c[i];
	}
	store = tg_tls_store_create(2, &e);
	pki_free(&ca);
	pki_free(&g);
	pki_free(&p);
	return store && tg_tls_store_load(store, all, 4, time(NULL), complain, NULL) == 0;
}

bool gate_setup(void)
{
	gate_stats = tg_stats_create(1);
	tg_h1_init("auto");
	return sim_setup() && gate_stats && tg_tls_init() && make_store();
}

/* --- a scenario --------------------------------------------------------------------------------
 */

static uint32_t upto(struct tg_rng *r, uint32_t lo, uint32_t hi)
{
	return lo + tg_rng_below(r, hi - lo + 1);
}

static bool one_in(struct tg_rng *r, uint32_t n)
{
	return tg_rng_below(r, n) == 0;
}

static uint64_t log_upto(struct tg_rng *r, uint64_t lo, uint64_t hi)
{
	uint32_t bits = 0;
	uint64_t v;

	while (bits < 63 && lo << bits < hi)
		bits++;
	v = lo << tg_rng_below(r, bits + 1);
	v += tg_rng_next(r) % (v ? v : 1);
	return v > hi ? hi : v;
}

static void make_dir(struct tg_rng *r, struct sim_dir *d)
{
	if (one_in(r, 3))
		d->loss = (uint32_t)log_upto(r, 500, 40000);
	if (one_in(r, 6))
		d->dup = (uint32_t)log_upto(r, 1000, 50000);
	if (one_in(r, 5))
		d->reorder = (uint32_t)log_upto(r, 1000, 200000);
	d->delay = log_upto(r, 2 * TG_US, 30 * TG_MS);
	if (one_in(r, 4))
		d->jitter = log_upto(r, TG_US, d->delay);
	d->reorder_delay = log_upto(r, 10 * TG_US, 4 * d->delay + TG_MS);
	d->fifo = !one_in(r, 5);
	if (one_in(r, 2)) {
		d->bps = log_upto(r, 4000000, 10000000000);
		d->queue = (uint32_t)log_upto(r, 50000, 500000);
	}
}

static void make_host(struct tg_rng *r, struct sim_host_params *h)
{
	h->no_ts = one_in(r, 8);
	h->no_sack = one_in(r, 8);
	h->no_wscale = one_in(r, 8);
	h->no_ecn = one_in(r, 2);
	h->tx_lazy = one_in(r, 4);
	h->tx_refuse = one_in(r, 8) ? 20000 : 0;
	h->mbufs = SIM_POOL;
	h->turn_gap = one_in(r, 2) ? log_upto(r, TG_US, 500 * TG_US) : 0;
	h->msl = TG_SEC;
	h->clock = log_upto(r, TG_SEC, UINT64_C(1) << 50);
}

static void make_params(struct gate_world *g, struct tg_rng *r, uint64_t seed)
{
	struct sim_params *p = &g->w->p;

	memset(p, 0, sizeof(*p));
	p->seed = seed;
	p->v6 = one_in(r, 5);
	p->if_mtu = one_in(r, 6) ? 9000 : one_in(r, 6) ? 1280 : 1500;
	p->port_first = 30000;
	p->port_last = 40000;
	for (uint32_t i = 0; i < 2; i++) {
		make_dir(r, &p->dir[i]);
		make_host(r, &p->host[i]);
	}
}

static void make_client(struct gate_world *g, struct tg_rng *r, struct gate_end *e)
{
	uint32_t large = one_in(r, 3) ? 600000 : 60000;

	*e = (struct gate_end){.g = g, .used = true, .client = true};
	e->origin = (enum gate_leg)tg_rng_below(r, 2);
	e->pace.write_max = (uint32_t)log_upto(r, 20, GATE_PIECE);
	e->pace.read_max = (uint32_t)log_upto(r, 100, 65536);
	if (one_in(r, 3))
		e->pace.write_gap = log_upto(r, 10 * TG_US, 300 * TG_MS);
	if (one_in(r, 3))
		e->pace.read_gap = log_upto(r, 10 * TG_US, 300 * TG_MS);
	e->n_requests = upto(r, 1, GATE_REQUESTS);
	for (uint32_t i = 0; i < e->n_requests; i++) {
		struct gate_request *q = &e->request[i];
		uint32_t most = large;

		/* Bounded work. */
		if ((e->pace.write_gap || e->pace.read_gap) &&
			most > 300 * (e->pace.write_max < e->pace.read_max ? e->pace.write_max
									   : e->pace.read_max))
			most = 300 * (e->pace.write_max < e->pace.read_max ? e->pace.write_max
									   : e->pace.read_max);
		q->up = one_in(r, 3) ? 0 : (uint32_t)log_upto(r, 1, most);
		q->down = one_in(r, 6) ? 0 : (uint32_t)log_upto(r, 1, most);
		q->up_chunked = one_in(r, 3);
		q->down_chunked = one_in(r, 3);
		q->padding = one_in(r, 12) ? upto(r, 1000, 6000) : 10;
	}
}

static void make(struct gate_world *g, uint64_t seed)
{
	struct sim_world *w = g->w;
	struct tg_rng r;

	memset(g, 0, sizeof(*g));
	g->w = w;
	tg_rng_seed(&r, seed ^ 0x67617465);
	make_params(g, &r, seed);
	g->strict = true;
	g->down = (enum gate_leg) !one_in(&r, 4);
	g->l4 = one_in(&r, 4);
	g->listener_buf = (uint32_t)log_upto(&r, 16384, 512 << 10);
	g->cluster_buf = (uint32_t)log_upto(&r, 16384, 512 << 10);
	g->peer_buf = (uint32_t)log_upto(&r, 28 << 10, 512 << 10);
	g->max_head_kb = one_in(&r, 3) ? upto(&r, 58, 64) : 60;
	g->tls_active = one_in(&r, 3) ? upto(&r, 1, 3) : 64;
	g->handshake_budget = upto(&r, 1, 2);
	g->rx_ring = one_in(&r, 3) ? upto(&r, 16, 200) : 1024;
	g->pause = one_in(&r, 3) ? (uint32_t)log_upto(&r, 100, 50000) : 0;
	g->pause_max = log_upto(&r, 100 * TG_US, 800 * TG_MS);
	if (one_in(&r, 6))
		w->p.host[0].max_active = upto(&r, 2, 4);
	if (one_in(&r, 8)) {
		w->p.host[0].mbufs = upto(&r, SIM_POOL / 4 - 100, SIM_POOL / 2);
		g->strict = false;
	}
	g->n_clients = upto(&r, 1, GATE_CLIENTS);
	for (uint32_t i = 0; i < g->n_clients; i++)
		make_client(g, &r, &g->end[i]);
}

/* --- the gate: what dpdk_app/worker.c does ------------------------------------------------------
 */

static int on_connect(void *ctx, const struct tg_sockaddr *to, uint64_t timeout, uint32_t buf,
	const struct tg_conn_user *user, void *owner, struct tg_conn **out)
{
	struct gate_world *g = ctx;
	const struct tg_tcp_dial d = {.remote = *to,
		.user = user,
		.owner = owner,
		.rcv_buf = buf,
		.snd_buf = buf,
		.timeout = timeout};

	return tg_tcp_connect(g->w->host[0].tcp, &d, out);
}

static int on_listen(void *ctx, const struct tg_sockaddr *addr, uint32_t buf,
	const struct tg_conn_user *user, void *owner, void **handle)
{
	struct gate_world *g = ctx;
	struct tg_tcp_listener *l = &g->listeners[g->n_listeners++];

	*l = (struct tg_tcp_listener){
		.addr = *addr, .user = user, .owner = owner, .rcv_buf = buf, .snd_buf = buf};
	*handle = l;
	return tg_tcp_listen(g->w->host[0].tcp, l);
}

static void on_unlisten(void *ctx, void *handle)
{
	struct gate_world *g = ctx;

	tg_tcp_unlisten(g->w->host[0].tcp, handle);
}

static uint32_t on_shortage(void *ctx)
{
	struct gate_world *g = ctx;

	return tg_tcp_shortage(g->w->host[0].tcp);
}

uint16_t gate_port(const struct gate_world *g, enum gate_leg origin)
{
	return (uint16_t)(g->l4 ? 81 + 2 * g->down + origin : 80 + 363 * g->down);
}

static int write_config(const struct gate_world *g, char *text, size_t n)
{
	static const char tls[] = "tls: { certificate = \"gate.crt\"; private_key = \"gate.key\"; "
				  "client_ca = \"ca.crt\"; require_client_certificate = true; };",
			  up[] = "tls: { ca = \"ca.crt\"; sni = \"peer.example\"; certificate = "
				 "\"gate.crt\"; private_key = \"gate.key\"; };";
	const char *gate = g->w->p.v6 ? "[fd77::1]" : "10.77.0.1",
		   *peer = g->w->p.v6 ? "[fd77::2]" : "10.77.0.2";
	int k;

	k = snprintf(text, n,
		"dataplane: { workers = 1; };\n"
		"ports: ( { name = \"p\"; device = \"d\"; addresses = [\"%s\"]; } );\n"
		"virtual_hosts: ( { name = \"v\"; domains = [\"*\"]; routes: (\n"
		" { match: { prefix = \"/t/\"; }; route: { cluster = \"t\"; timeout = \"0s\"; }; "
		"},\n"
		" { match: { prefix = \"/\"; }; route: { cluster = \"p\"; timeout = \"0s\"; }; } "
		"); } );\n"
		"clusters: ( { name = \"p\"; connect_timeout = \"100s\"; "
		"per_connection_buffer_limit_bytes = %u; endpoints: ( { address = \"%s:8080\"; } "
		"); },\n"
		" { name = \"t\"; connect_timeout = \"100s\"; per_connection_buffer_limit_bytes = "
		"%u; "
		"endpoints: ( { address = \"%s:8081\"; } ); %s } );\nlisteners: (\n",
		g->w->p.v6 ? "fd77::1/64" : "10.77.0.1/24", g->cluster_buf, peer, g->cluster_buf,
		peer, up);
	for (int i = 0; i < 2; i++)
		k += snprintf(text + k, n - (size_t)k,
			" { name = \"h%d\"; address = \"%s:%d\"; protocol = \"http\"; "
			"virtual_hosts = [\"v\"]; "
			"max_request_headers_kb = %u; stream_idle_timeout = \"0s\"; "
			"per_connection_buffer_limit_bytes = %u; %s },\n",
			i, gate, 80 + 363 * i, g->max_head_kb, g->listener_buf, i ? tls : "");
	for (int i = 0; i < 4; i++)
		k += snprintf(text + k, n - (size_t)k,
			" { name = \"l%d\"; address = \"%s:%d\"; protocol = \"tcp\"; cluster = "
			"\"%s\"; "
			"per_connection_buffer_limit_bytes = %u; %s }%s\n",
			i, gate, 81 + i, i & 1 ? "t" : "p", g->listener_buf, i & 2 ? tls : "",
			i < 3 ? "," : " );");
	return k;
}

static bool make_snapshot(struct gate_world *g)
{
	static char text[8192];

	write_config(g, text, sizeof(text));
	g->snap = tg_config_parse("gate.cfg", text, gate_stats, stderr);
	if (!g->snap) {
		sim_fail(g->w, "tg_config_parse");
		return false;
	}
	for (uint32_t i = 0; i < g->snap->n_tls; i++)
		g->snap->tls[i].id = g->snap->tls[i].server ? 0 : 1;
	return true;
}

static struct gate_world *gate_of(const struct sim_host *h);

static bool make_tls(struct gate_world *g, struct sim_host *h)
{
	struct tg_tls_worker_conf c = {.worker = h->idx,
		.max_conns = 64,
		.max_handshakes = 16,
		.max_active = h->idx ? 64 : g->tls_active,
		.handshake_budget = g->handshake_budget,
		.handshake_timeout = 100 * TG_SEC,
		.sessions = 16,
		.realtime_offset = (uint64_t)time(NULL) * TG_SEC - h->wheel.now,
		.wheel = &h->wheel,
		.ready = &h->ready,
		.stats = h->stats};
	struct tg_errbuf e;

	g->tls[h->idx] = tg_tls_create(&c, &e);
	if (!g->tls[h->idx]) {
		sim_fail(g->w, "tg_tls_create: %s", e.text);
		return false;
	}
	tg_tls_adopt(g->tls[h->idx], tg_tls_store_current(store));
	return true;
}

static bool make_proxy(struct gate_world *g, struct sim_host *h)
{
	struct tg_proxy_conf c = {.n_workers = 1,
		.max_downstream = 16,
		.max_upstream = 16,
		.max_exchanges = 256,
		.net = {.connect = on_connect,
			.listen = on_listen,
			.unlisten = on_unlisten,
			.shortage = on_shortage,
			.ctx = g},
		.tls = g->tls[0],
		.realtime_offset = (uint64_t)time(NULL) * TG_SEC - h->wheel.now,
		.wheel = &h->wheel,
		.stats = h->stats,
		.seed = g->w->p.seed};
	struct tg_errbuf e;

	if (!make_snapshot(g))
		return false;
	g->proxy = tg_proxy_create(&c, &e);
	if (!g->proxy || tg_proxy_adopt(g->proxy, g->snap)) {
		sim_fail(g->w, "tg_proxy_create");
		return false;
	}
	return true;
}

static bool make_origins(struct gate_world *g, struct sim_host *h)
{
	h->app_timer = (uint8_t)tg_wheel_kind(&h->wheel, gate_app_timer, h);
	for (uint32_t i = 0; i < 2; i++) {
		g->origin[i] = (struct tg_tcp_listener){.user = &gate_origin_user[i],
			.owner = g,
			.rcv_buf = g->peer_buf,
			.snd_buf = g->peer_buf};
		g->origin[i].addr.ip = sim_ip(g->w->p.v6, 1);
		g->origin[i].addr.port = (uint16_t)(GATE_ORIGIN_PORT + i);
		if (tg_tcp_listen(h->tcp, &g->origin[i]))
			return false;
	}
	return true;
}

static struct gate_world *current;

static struct gate_world *gate_of(const struct sim_host *h)
{
	(void)h;
	return current;
}

static bool on_boot(struct sim_host *h)
{
	struct gate_world *g = gate_of(h);

	return make_tls(g, h) && (h->idx ? make_origins(g, h) : make_proxy(g, h));
}

/* --- the course of events ----------------------------------------------------------------------
 */

/* What has come beyond the device's ring while the host had no CPU is lost. */
static void limit_ring(struct gate_world *g, struct sim_host *h)
{
	struct sim_pkt **p = &h->rx, *rest;
	uint32_t n = 0;

	while (*p && n++ < g->rx_ring)
		p = &(*p)->next;
	rest = *p;
	*p = NULL;
	h->rx_tail = p;
	while (rest) {
		struct sim_pkt *next = rest->next;

		sim_trace_packet(g->w, !h->idx, 'q', rest->data, rest->len);
		free(rest);
		rest = next;
	}
}

static void turn(struct gate_world *g, struct sim_host *h)
{
	uint32_t work = h->rx != NULL;

	h->turn_at = UINT64_MAX;
	sim_wire_release(h, false);
	sim_host_set_clock(h);
	sim_host_input(h);
	work += tg_tls_turn(g->tls[h->idx]);
	work += tg_ready_drain(&h->ready, 256, tg_tcp_reap, h->tcp);
	work += tg_wheel_advance(&h->wheel, h->wheel.now, 256);
	if (!h->idx && tg_tcp_shortage(h->tcp))
		tg_proxy_relieve(g->proxy);
	tg_tcp_output(h->tcp);
	tg_net_flush(h->net);
	if (work)
		h->turn_at = g->w->t + 1 + g->w->p.host[h->idx].turn_gap;
	if (sim_chance(&g->w->wire_rng, g->pause))
		g->paused[h->idx] = g->w->t + tg_rng_next(&g->w->wire_rng) % g->pause_max;
}

static uint64_t next_of(const struct gate_world *g, uint32_t i)
{
	uint64_t at = sim_host_next(&g->w->host[i]);

	return at < g->paused[i] ? g->paused[i] : at;
}

/* False: nothing will ever happen again. */
static bool step(struct gate_world *g)
{
	struct sim_world *w = g->w;
	uint64_t at = sim_wire_next(w);

	for (uint32_t i = 0; i < 2; i++)
		if (next_of(g, i) < at)
			at = next_of(g, i);
	if (at == UINT64_MAX)
		return false;
	if (at > w->t)
		w->t = at;
	sim_wire_deliver(w);
	for (uint32_t i = 0; i < 2; i++) {
		limit_ring(g, &w->host[i]);
		if (next_of(g, i) <= w->t)
			turn(g, &w->host[i]);
	}
	w->steps++;
	if (w->validate_every && w->steps % w->validate_every == 0) {
		sim_host_validate(&w->host[0]);
		sim_host_validate(&w->host[1]);
		if (!tg_proxy_validate(g->proxy))
			sim_fail(w, "tg_proxy_validate");
	}
	return true;
}

static void run_clients(struct gate_world *g)
{
	struct sim_world *w = g->w;

	for (uint32_t i = 0; i < g->n_clients && !w->failed; i++)
		gate_client_begin(g, &g->end[i]);
	w->host[1].turn_at = 0;
	while (!w->failed && g->done < g->n_clients) {
		if (!step(g))
			sim_fail(w, "a stall: nothing will ever happen");
		else if (w->t - w->progress_at > STILL)
			sim_fail(w, "a stall: no byte moves");
		else if (w->steps > STEPS_MAX)
			sim_fail(w, "no end after %" PRIu64 " steps", w->steps);
	}
}

/* All leave; what TCP has to end, it ends. */
static void run_out(struct gate_world *g)
{
	struct sim_world *w = g->w;
	uint64_t start = w->t;

	gate_app_leave(g);
	tg_proxy_abort_all(g->proxy);
	for (uint32_t i = 0; i < 2; i++) {
		tg_tls_abort_handshakes(g->tls[i], TG_WHY_conn_drain);
		tg_ready_drain(&w->host[i].ready, 0, tg_tcp_reap, w->host[i].tcp);
		w->host[i].turn_at = w->t;
	}
	while (!w->failed && w->t - start < 300 * TG_SEC &&
		!(sim_host_idle(&w->host[0]) && sim_host_idle(&w->host[1])))
		if (!step(g))
			break;
}

static void end_host(struct gate_world *g, struct sim_host *h)
{
	if (h->tcp)
		tg_ready_drain(&h->ready, 0, tg_tcp_reap, h->tcp);
	if (!h->idx && g->proxy)
		tg_proxy_destroy(g->proxy);
	if (g->tls[h->idx])
		tg_tls_destroy(g->tls[h->idx]);
	sim_host_finish(h);
	if (!h->idx)
		tg_snapshot_free(g->snap);
}

bool gate_run(struct gate_world *g, struct sim_world *w, uint64_t seed)
{
	bool live = w->live_trace;

	current = g;
	sim_wire_reset(w);
	g->w = w;
	make(g, seed);
	w->on_boot = on_boot;
	w->t = w->steps = w->order = w->progress_at = 0;
	w->n_sent = w->n_lost = w->n_corrupt = w->n_forged = w->n_bytes = 0;
	w->failed = false;
	w->hash = seed;
	w->n_records = w->ghosts = 0;
	w->live_trace = live;
	tg_rng_seed(&w->wire_rng, seed ^ 0x77697265);
	tg_rng_seed(&w->app_rng, seed ^ 0x617070);
	sim_host_init(w, 0);
	sim_host_init(w, 1);
	if (!w->failed)
		run_clients(g);
	if (w->failed)
		gate_report(g, stdout);
	if (g->proxy && g->tls[1])
		run_out(g);
	end_host(g, &w->host[0]);
	end_host(g, &w->host[1]);
	sim_wire_reset(w);
	return !w->failed;
}

/* --- what a stall looks like -------------------------------------------------------------------
 */

static void print_tcb(const struct tg_tcp *t, const struct tg_tcb *c, FILE *f)
{
	const struct tg_tx *x = c->tx;

	fprintf(f,
		"  tcb %u port %u-%u state %u rx %u/%u window %u | flight %u queued %u snd_wnd %u "
		"snd_buf %u mss %u flags %08x rexmt %u backoff %u dl %d %d %d timer %d events %x "
		"queued %d\n",
		tcb_index(t, c), c->flow.lport, c->flow.rport, tcb_state(c), c->rx_bytes,
		c->rcv_buf, rcv_window(c), c->snd_nxt - c->snd_una, c->snd_end - c->snd_una,
		c->snd_wnd, c->snd_buf, c->mss, c->flags, c->conn.impl[I_REXMT], c->backoff,
		c->dl_rexmt ? (int)(c->dl_rexmt - now_tick(t)) : 0,
		c->dl_ack ? (int)(c->dl_ack - now_tick(t)) : 0,
		c->dl_misc ? (int)(c->dl_misc - now_tick(t)) : 0, tg_timer_running(&c->timer),
		c->conn.events, c->conn.ready_state);
	if (x)
		fprintf(f,
			"    tx head %d unsent %d bufs %u cwnd %u ca %u sacked %u lost %u retrans "
			"%u "
			"ooo %u flags %x\n",
			x->head != NULL, x->unsent != NULL, x->bufs, x->cc.cwnd, x->ca, x->sacked,
			x->lost, x->retrans, x->ooo_bytes, x->flags);
}

void gate_report(struct gate_world *g, FILE *f)
{
	struct sim_world *w = g->w;

	fprintf(f, "FAILED seed %" PRIu64 " at %.6f ms (last byte at %.6f): %s\n", w->p.seed,
		(double)w->t / 1e6, (double)w->progress_at / 1e6, w->why);
	fprintf(f,
		"%s%s, buffers %u %u %u, tls_active %u, max_active %u, ring %u, pause %u of "
		"%" PRIu64 ", mtu %u, mbufs %u, loss %u %u\n",
		g->down ? "tls" : "plain", g->l4 ? " l4" : "", g->listener_buf, g->cluster_buf,
		g->peer_buf, g->tls_active, w->p.host[0].max_active, g->rx_ring, g->pause,
		g->pause_max, w->p.if_mtu, w->p.host[0].mbufs, w->p.dir[0].loss, w->p.dir[1].loss);
	for (uint32_t i = 0; i < GATE_ENDS; i++)
		if (g->end[i].used)
			gate_end_print(&g->end[i], f);
	for (uint32_t i = 0; i < 2; i++) {
		const struct tg_tcp *t = w->host[i].tcp;

		fprintf(f, " host %c: shortage %x\n", 'A' + i, t ? tg_tcp_shortage(t) : 0);
		for (uint32_t k = 0; t && k < t->tcbs.fresh; k++)
			if (tcb_state(tcb_at(t, k)) != S_FREE)
				print_tcb(t, tcb_at(t, k), f);
	}
	if (w->live_trace)
		sim_trace_print(w, f);
	sim_print_stats(w->host[0].stats, "gate", f);
	sim_print_stats(w->host[1].stats, "peers", f);
}
