/* tcp.c: the stack as a whole: made and unmade, active opens, what it uses. */
#include <rte_mbuf_dyn.h>
#include <stdlib.h>

#include "stack.h"

static uint32_t or_default(uint32_t v, uint32_t dflt)
{
	return v ? v : dflt;
}

static void fill_defaults(struct tg_tcp_conf *f)
{
	f->max_active = or_default(f->max_active, f->max_conns / 4 + 64);
	f->max_embryonic = or_default(f->max_embryonic, f->max_conns / 8 + 64);
	f->max_time_wait = or_default(f->max_time_wait, f->max_conns / 2 + 64);
	f->rcv_buf = or_default(f->rcv_buf, 256 * 1024);
	f->snd_buf = or_default(f->snd_buf, 256 * 1024);
	f->msl = f->msl ? f->msl : 30 * TG_SEC;
	f->keepalive_idle = f->keepalive_idle ? f->keepalive_idle : 7200 * TG_SEC;
	f->keepalive_interval = f->keepalive_interval ? f->keepalive_interval : 75 * TG_SEC;
	f->keepalive_probes = or_default(f->keepalive_probes, 9);
	f->user_timeout = f->user_timeout ? f->user_timeout : 100 * TG_SEC;
	f->fin_timeout = f->fin_timeout ? f->fin_timeout : 60 * TG_SEC;
	f->port_first = f->port_first ? f->port_first : 1024;
	f->port_last = f->port_last ? f->port_last : 65535;
	f->cc = f->cc ? f->cc : &tg_cc_cubic;
}

static int check_conf(const struct tg_tcp_conf *f, struct tg_errbuf *e)
{
	if (f->max_conns < 16)
		return tg_fail(e, TG_EINVAL, "tcp: max_conns %u is below 16", f->max_conns);
	if (f->rcv_buf < 4096 || f->snd_buf < 4096)
		return tg_fail(e, TG_EINVAL, "tcp: buffers below 4096 bytes");
	if (f->rcv_buf > 1u << 29 || f->snd_buf > 1u << 29)
		return tg_fail(e, TG_EINVAL, "tcp: buffers above 512 MiB");
	if (f->port_first > f->port_last)
		return tg_fail(e, TG_EINVAL, "tcp: source ports %u..%u are none", f->port_first,
			f->port_last);
	if (!f->net || !f->mbufs || !f->wheel || !f->ready || !f->stats)
		return tg_fail(e, TG_EINVAL, "tcp: net, mbufs, wheel, ready and stats are needed");
	return 0;
}

static int find_room(struct tg_tcp *t, struct tg_errbuf *e)
{
	static const struct rte_mbuf_dynfield mark = {
		.name = "tidegate_tcp_mark",
		.size = sizeof(struct tg_mark),
		.align = 8,
	};
	uint16_t room = rte_pktmbuf_data_room_size(t->conf.mbufs);

	if (room < RTE_PKTMBUF_HEADROOM + 1536)
		return tg_fail(e, TG_EINVAL, "tcp: packet buffers of %u bytes are too small", room);
	t->room = room - RTE_PKTMBUF_HEADROOM;
	t->mbufs_total = t->conf.mbufs->size;
	t->share = UINT32_MAX;
	t->ooo_max = t->mbufs_total / 8 / (t->conf.steer ? t->conf.steer->n_workers : 1);
	t->mark_at = rte_mbuf_dynfield_register(&mark);
	if (t->mark_at < 0)
		return tg_fail(e, TG_ESYS, "tcp: no %zu bytes left in the mbuf's dynamic fields",
			sizeof(struct tg_mark));
	return 0;
}

static int make_pools(struct tg_tcp *t, struct tg_errbuf *e)
{
	const struct tg_tcp_conf *f = &t->conf;
	uint32_t flows = f->max_conns + f->max_embryonic + f->max_time_wait;

	if (tg_pool_init(&t->tcbs, "tcb", sizeof(struct tg_tcb), f->max_conns) ||
		tg_pool_init(&t->txs, "tcp_transmit", sizeof(struct tg_tx), f->max_active) ||
		tg_pool_init(&t->embs, "tcp_embryonic", sizeof(struct tg_emb), f->max_embryonic) ||
		tg_pool_init(&t->tws, "tcp_time_wait", sizeof(struct tg_tw), f->max_time_wait) ||
		tg_flow_init(&t->flows, flows, f->secret) || line_init(t))
		return tg_fail(e, TG_ENOMEM, "tcp: no memory for %u connections", f->max_conns);
	tg_flow_keys(
		&t->flows, TG_FLOW_TCB, t->tcbs.base + offsetof(struct tg_tcb, flow), t->tcbs.size);
	tg_flow_keys(&t->flows, TG_FLOW_EMBRYONIC, t->embs.base + offsetof(struct tg_emb, flow),
		t->embs.size);
	tg_flow_keys(&t->flows, TG_FLOW_TIME_WAIT, t->tws.base + offsetof(struct tg_tw, flow),
		t->tws.size);
	return 0;
}

static int make_timers(struct tg_tcp *t, struct tg_errbuf *e)
{
	int tcb = tg_wheel_kind(t->wheel, tcb_timer, t);
	int emb = tg_wheel_kind(t->wheel, embryonic_timer, t);
	int tw = tg_wheel_kind(t->wheel, time_wait_timer, t);
	int line = tg_wheel_kind(t->wheel, line_timer, t);

	if (tcb < 0 || emb < 0 || tw < 0 || line < 0)
		return tg_fail(e, TG_ENOMEM, "tcp: the wheel has no kinds of timers left");
	t->kind_tcb = (uint8_t)tcb;
	t->kind_emb = (uint8_t)emb;
	t->kind_tw = (uint8_t)tw;
	t->kind_line = (uint8_t)line;
	return 0;
}

struct tg_tcp *tg_tcp_create(const struct tg_tcp_conf *conf, struct tg_errbuf *e)
{
	struct tg_tcp *t;

	if (check_conf(&(struct tg_tcp_conf){.max_conns = conf->max_conns,
			       .rcv_buf = or_default(conf->rcv_buf, 4096),
			       .snd_buf = or_default(conf->snd_buf, 4096),
			       .port_first = conf->port_first,
			       .port_last = conf->port_last ? conf->port_last : UINT16_MAX,
			       .net = conf->net,
			       .mbufs = conf->mbufs,
			       .wheel = conf->wheel,
			       .ready = conf->ready,
			       .stats = conf->stats},
		    e))
		return NULL;
	t = calloc(1, sizeof(*t));
	if (!t) {
		tg_fail(e, TG_ENOMEM, "tcp: no memory");
		return NULL;
	}
	t->conf = *conf;
	fill_defaults(&t->conf);
	t->wheel = conf->wheel;
	t->stats = conf->stats;
	t->cc = t->conf.cc;
	tg_secret_init(&t->secret, conf->secret);
	tg_rng_seed(&t->rng, conf->seed);
	tg_admit_init(&t->admit, conf->seed ^ tg_hash64(0, conf->secret, sizeof(conf->secret)));
	conn_ops_init(t);
	if (find_room(t, e) || make_pools(t, e) || make_timers(t, e)) {
		tg_tcp_destroy(t);
		return NULL;
	}
	tg_net_on_icmp_error(conf->net, on_icmp_error, t);
	return t;
}

static void free_connections(struct tg_tcp *t)
{
	while (t->tw_head)
		time_wait_free(t, tg_pool_at(&t->tws, t->tw_head - 1), false);
	tg_timer_stop(t->wheel, &t->tw_timer);
	tg_timer_stop(t->wheel, &t->line_timer);
	for (uint32_t i = 0; i < t->embs.fresh; i++) {
		struct tg_emb *e = tg_pool_at(&t->embs, i);

		if (e->used)
			embryonic_drop(t, e);
	}
	for (uint32_t i = 0; i < t->tcbs.fresh; i++) {
		struct tg_tcb *c = tcb_at(t, i);

		if (tcb_state(c) == S_FREE)
			continue;
		c->flags &= ~(F_USER | F_ON_READY | F_ON_OUT);
		if (tcb_state(c) > S_CLOSED)
			tcb_close(t, c, true);
		else
			tcb_maybe_free(t, c);
	}
}

void tg_tcp_destroy(struct tg_tcp *t)
{
	if (!t)
		return;
	if (t->flows.buckets) {
		free_connections(t);
		tg_net_on_icmp_error(t->conf.net, NULL, NULL);
		tg_flow_fini(&t->flows);
	}
	tg_pool_fini(&t->tcbs);
	tg_pool_fini(&t->txs);
	tg_pool_fini(&t->embs);
	tg_pool_fini(&t->tws);
	line_fini(t);
	free(t);
}

/* Packet buffers belong to received data, sent data and the devices' rings alike: when they run
 * short, windows stop growing first, then nobody new comes in (ARCHITECTURE, principle 3). Counting
 * them walks over every core's cache, so it is done once a millisecond. */
void pressure_update(struct tg_tcp *t)
{
	uint32_t now = now_ms(t), avail, reserve;

	if (tg_likely(now == t->pressure_ms))
		return;
	t->pressure_ms = now;
	avail = rte_mempool_avail_count(t->conf.mbufs);
	/* While half of the buffers are free everyone has what it was configured for. Below that a
	 * queue may grow to a part of what is left above a reserve (a dynamic threshold): however
	 * many are slow, some remains for the others. */
	reserve = t->mbufs_total / 4;
	t->share = avail >= t->mbufs_total / 2 ? UINT32_MAX
		   : avail > reserve           ? (avail - reserve) / 256 * SHARE_UNIT
					       : 0;
	t->short_badly = avail < t->mbufs_total / 32 * 3;
	if (avail < t->mbufs_total / 16)
		t->pressure = 2;
	else if (avail < t->mbufs_total / 8)
		t->pressure = 1;
	else
		t->pressure = 0;
}

uint32_t tg_tcp_shortage(const struct tg_tcp *t)
{
	uint32_t s = 0;

	/* Those on their way out need no more to follow them. */
	if (tg_unlikely(conns_left(t) + t->orphans < CONNS_SHED(t->tcbs.count)))
		s |= TG_SHORT_CONNS;
	if (tg_unlikely(conns_left(t) < CONNS_SHED(t->tcbs.count) * 3 / 4))
		s |= TG_SHORT_CONNS | TG_SHORT_NOW;
	if (tg_unlikely(t->pressure))
		s |= TG_SHORT_BUFFERS;
	if (tg_unlikely(t->short_badly))
		s |= TG_SHORT_BADLY;
	return s;
}

void tg_tcp_refuse(struct tg_tcp *t, bool on)
{
	t->refusing = on;
}

/* --- active open --- */

#define PORT_TRIES 4096 /* candidates in a row: a search of all would hold the worker up for ms */

struct port_choice {
	struct tg_tcp *t;
	uint16_t reusable; /* 0, or a port whose 4-tuple in TIME-WAIT will do if none is free */
};

/* Linux: tcp_tw_reuse. With timestamps, a second after the end, the peer can tell the new one from
 * the old one: ours rise from connection to connection. */
static bool may_reuse(const struct tg_tcp *t, uint32_t ref)
{
	const struct tg_tw *w = tg_pool_at(&t->tws, tg_flow_index(ref));
	uint32_t began = w->ends - (uint32_t)(2 * t->conf.msl >> TG_WHEEL_TICK_SHIFT);

	return w->has_ts && !t->conf.no_timestamps &&
	       (int32_t)(now_tick(t) - began) > (int32_t)(TG_SEC >> TG_WHEEL_TICK_SHIFT);
}

static bool port_ok(void *ctx, const struct tg_flow *f)
{
	struct port_choice *p = ctx;
	struct tg_tcp *t = p->t;
	uint32_t ref;

	if (t->conf.steer && tg_steer_owner(t->conf.steer, f) != t->conf.worker)
		return false;
	ref = tg_flow_find(&t->flows, tg_flow_hash(&t->flows, f), f);
	if (ref && !p->reusable && tg_flow_kind(ref) == TG_FLOW_TIME_WAIT && may_reuse(t, ref))
		p->reusable = f->lport;
	return !ref;
}

/* Destinations whose ports were found taken, so that each request to one does not search again. */
static struct no_port *no_port_of(struct tg_tcp *t, const struct tg_flow *f)
{
	uint64_t h = tg_hash64(t->admit.seed ^ f->rport, f->remote.b, sizeof(f->remote.b));

	return &t->no_ports[h % TG_ARRAY_LEN(t->no_ports)];
}

static int choose_port(struct tg_tcp *t, struct tg_flow *f)
{
	struct port_choice p = {.t = t};
	struct no_port *n = no_port_of(t, f);

	if (t->wheel->now < n->until && n->to.port == f->rport && tg_ip_eq(&n->to.ip, &f->remote))
		return TG_ENOPORT;
	if (!tg_secret_port(
		    &t->secret, f, t->conf.port_first, t->conf.port_last, PORT_TRIES, port_ok, &p))
		return 0;
	if (p.reusable) {
		f->lport = p.reusable;
		return 0;
	}
	*n = (struct no_port){{f->remote, f->rport}, t->wheel->now + 10 * TG_MS};
	return TG_ENOPORT;
}

static int enter_table(struct tg_tcp *t, struct tg_tcb *c)
{
	uint64_t hash = tg_flow_hash(&t->flows, &c->flow);
	uint32_t own = tg_flow_ref(TG_FLOW_TCB, tcb_index(t, c));
	uint32_t old = tg_flow_find(&t->flows, hash, &c->flow);

	c->snd_una = tg_secret_isn(&t->secret, &c->flow, t->wheel->now);
	if (!old)
		return tg_flow_insert(&t->flows, hash, own);
	{
		struct tg_tw *w = tg_pool_at(&t->tws, tg_flow_index(old));

		if (seq_lt(c->snd_una, w->snd_nxt + 65535 + 2))
			c->snd_una = w->snd_nxt + 65535 + 2;
		tg_flow_replace(&t->flows, hash, old, own);
		time_wait_free(t, w, false);
	}
	return 0;
}

static void set_up(struct tg_tcp *t, struct tg_tcb *c, const struct tg_tcp_dial *d)
{
	c->conn.user = d->user;
	c->conn.owner = d->owner;
	if (d->rcv_buf)
		c->rcv_buf = u32_max(d->rcv_buf, 4096);
	if (d->snd_buf)
		c->snd_buf = u32_max(d->snd_buf, 4096);
	c->flags |= F_ACTIVE | (t->conf.no_timestamps ? 0 : F_TS) | (t->conf.no_sack ? 0 : F_SACK) |
		    (t->conf.no_window_scale ? 0 : F_WSCALE);
	c->rcv_scale = t->conf.no_window_scale ? 0 : rcv_scale_for(c->rcv_buf) & 15;
	c->ts_off = tg_secret_ts_offset(&t->secret, &c->flow);
	c->snd_nxt = c->snd_end = c->snd_una + 1;
	c->rcv_adv = initial_rcv_wnd(c->rcv_buf, own_mss(t, &c->flow.remote));
	c->last_snd = c->last_rcv = now_tick(t);
}

static int refuse(struct tg_tcp *t, enum tg_why why, int code)
{
	t->stats->why[why]++;
	return code;
}

int tg_tcp_connect(struct tg_tcp *t, const struct tg_tcp_dial *d, struct tg_conn **out)
{
	struct tg_flow f = {.local = d->local, .remote = d->remote.ip, .rport = d->remote.port};
	struct tg_tcb *c;

	t->stats->tcp_connect_attempts++;
	if (tg_ip_is_any(&f.local) && tg_net_source(t->conf.net, &f.remote, &f.local))
		return refuse(t, TG_WHY_conn_unreachable, TG_ENOROUTE);
	if (!tg_net_mtu(t->conf.net, &f.remote))
		return refuse(t, TG_WHY_conn_unreachable, TG_ENOROUTE);
	if (conns_left(t) <= CONNS_DIAL(t->tcbs.count))
		return refuse(t, TG_WHY_conn_no_memory, TG_ENOMEM);
	if (choose_port(t, &f))
		return refuse(t, TG_WHY_conn_no_port, TG_ENOPORT);
	c = tcb_new(t, &f);
	if (!c)
		return refuse(t, TG_WHY_conn_no_memory, TG_ENOMEM);
	if (enter_table(t, c)) {
		c->flags &= F_IN_LINE;
		tcb_maybe_free(t, c);
		return refuse(t, TG_WHY_conn_no_memory, TG_ENOMEM);
	}
	t->stats->tcp_connections++;
	set_state(c, S_SYN_SENT);
	set_up(t, c, d);
	send_syn(t, c, false);
	arm_rexmt(t, c, RX_RTO, RTO_INIT_US);
	if (d->timeout)
		arm_misc(t, c, d->timeout);
	*out = &c->conn;
	return 0;
}

uint32_t tg_tcp_usage(const struct tg_tcp *t, struct tg_tcp_usage *out, uint32_t n)
{
	const struct tg_pool *pools[] = {&t->tcbs, &t->txs, &t->embs, &t->tws};

	for (uint32_t i = 0; i < n && i < TG_ARRAY_LEN(pools); i++)
		out[i] = (struct tg_tcp_usage){.name = pools[i]->name,
			.size = pools[i]->size,
			.count = pools[i]->count,
			.in_use = pools[i]->in_use,
			.peak = pools[i]->peak,
			.refused = pools[i]->refused};
	return TG_ARRAY_LEN(pools);
}
