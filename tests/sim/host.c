/* host.c: a stack on the wire: from its start to its end, what it receives, what must hold. */
#include <inttypes.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_mempool.h>

#include "sim.h"

#define ROOM (TG_MTU_MAX + 18 + RTE_PKTMBUF_HEADROOM)

static struct rte_mempool *pools[2];
static struct tg_stats *registries[2];
static const struct tg_netif_ops wire_ops = {.tx = sim_wire_tx};

bool sim_setup(void)
{
	static const char *const names[] = {"sim_a", "sim_b"};

	for (uint32_t i = 0; i < 2; i++) {
		pools[i] = rte_pktmbuf_pool_create(names[i], SIM_POOL, 0, 0, ROOM, -1);
		registries[i] = tg_stats_create(1);
		if (!pools[i] || !registries[i]) {
			fprintf(stderr, "tg_sim: no memory for the pools: %s\n",
				rte_strerror(rte_errno));
			return false;
		}
	}
	return true;
}

void sim_fail(struct sim_world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->failed)
		return;
	w->failed = true;
	va_start(ap, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
	sim_note(w, 0, "FAILURE");
}

void sim_hash(struct sim_world *w, uint64_t v)
{
	w->hash = (w->hash ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	w->hash ^= w->hash >> 32;
}

/* --- life --- */

static bool start_net(struct sim_host *h)
{
	const struct sim_params *p = &h->w->p;
	struct tg_netif_conf nif = {.name = "wire0",
		.ops = &wire_ops,
		.dev = h,
		.mac = {2, 0, 0, 0, 0, (uint8_t)(h->idx + 1)},
		.mtu = p->if_mtu,
		.n_addrs = 1};
	struct tg_net_conf c = {.n_ifs = 1,
		.ifs = &nif,
		.mbufs = h->pool,
		.max_neighbours = 16,
		.max_pending = 32,
		.max_reassembly = 16,
		.max_pmtu = 16,
		.wheel = &h->wheel,
		.stats = h->stats};
	struct tg_errbuf e;

	nif.tx_ipv4_csum = nif.tx_tcp_csum = nif.rx_ipv4_csum = nif.rx_tcp_csum =
		p->host[h->idx].offload;
	nif.addrs[0].ip = sim_ip(p->v6, h->idx);
	nif.addrs[0].len = p->v6 ? 64 : 120;
	memcpy(c.secret, &p->seed, sizeof(p->seed));
	h->net = tg_net_create(&c, &e);
	if (!h->net)
		sim_fail(h->w, "tg_net_create: %s", e.text);
	return h->net;
}

static bool start_tcp(struct sim_host *h)
{
	const struct sim_host_params *hp = &h->w->p.host[h->idx];
	struct tg_tcp_conf c = {.max_conns = SIM_CONNS,
		.max_active = hp->max_active,
		.max_embryonic = hp->max_embryonic,
		.max_time_wait = hp->max_time_wait,
		.rcv_buf = hp->rcv_buf,
		.snd_buf = hp->snd_buf,
		.msl = hp->msl,
		.keepalive_idle = hp->keepalive_idle,
		.user_timeout = hp->user_timeout,
		.no_timestamps = hp->no_ts,
		.no_sack = hp->no_sack,
		.no_window_scale = hp->no_wscale,
		.no_ecn = hp->no_ecn,
		.port_first = h->w->p.port_first,
		.port_last = h->w->p.port_last,
		.seed = h->w->p.seed + h->idx,
		.net = h->net,
		.mbufs = h->pool,
		.wheel = &h->wheel,
		.ready = &h->ready,
		.stats = h->stats};
	struct tg_errbuf e;

	/* Never the same over a restart: tcp.h asks for it. */
	sim_secret(h->w->p.seed, h->idx + 2 * h->lives, c.secret);
	h->tcp = tg_tcp_create(&c, &e);
	if (!h->tcp) {
		sim_fail(h->w, "tg_tcp_create: %s", e.text);
		return false;
	}
	return true;
}

void sim_host_boot(struct sim_host *h)
{
	tg_wheel_init(&h->wheel, h->w->p.host[h->idx].clock + h->w->t);
	tg_ready_init(&h->ready);
	h->net = NULL;
	h->tcp = NULL;
	if (!start_net(h) || !start_tcp(h) || !h->w->on_boot(h))
		return;
	h->up = true;
	h->lives++;
	tg_net_announce(h->net);
	tg_net_flush(h->net);
}

/* The conns have been left before. */
void sim_host_shut_down(struct sim_host *h)
{
	h->up = false;
	h->turn_at = UINT64_MAX;
	if (h->tcp)
		tg_ready_drain(&h->ready, 0, tg_tcp_reap, h->tcp);
	if (h->tcp)
		tg_tcp_destroy(h->tcp);
	if (h->net)
		tg_net_destroy(h->net);
	h->tcp = NULL;
	h->net = NULL;
	sim_wire_release(h, true);
	if (h->wheel.running)
		sim_fail(h->w, "host %c: %u timers run after all is destroyed", 'A' + h->idx,
			h->wheel.running);
}

static void take_buffers(struct sim_host *h)
{
	uint32_t keep = h->w->p.host[h->idx].mbufs;

	h->pool_start = rte_mempool_avail_count(h->pool);
	h->n_taken = 0;
	while (rte_mempool_avail_count(h->pool) > keep)
		h->taken[h->n_taken++] = rte_pktmbuf_alloc(h->pool);
}

void sim_host_init(struct sim_world *w, uint8_t idx)
{
	struct sim_host *h = &w->host[idx];

	h->w = w;
	h->idx = idx;
	h->up = false;
	h->pool = pools[idx];
	h->registry = registries[idx];
	h->stats = tg_stats_cores(h->registry);
	memset(h->stats, 0, sizeof(*h->stats));
	h->n_held = 0;
	h->lives = 0;
	h->turn_at = UINT64_MAX;
	take_buffers(h);
	sim_host_boot(h);
}

/* --- input --- */

static bool l4_good(const uint8_t *ip, uint32_t len)
{
	uint32_t hdr = ip[0] >> 4 == 6 ? 40 : 20, payload;

	if (hdr == 40)
		payload = tg_load_be16(ip + 4);
	else if (ip[0] == 0x45 && !(tg_load_be16(ip + 6) & 0x3fff) && tg_load_be16(ip + 2) >= 20)
		payload = tg_load_be16(ip + 2) - 20u;
	else
		return false;
	if (payload < 20 || hdr + payload > len)
		return false;
	return sim_sum16(ip + hdr, payload,
		       (uint16_t)~sim_sum16(ip + hdr - (hdr == 40 ? 32 : 8), hdr == 40 ? 32 : 8,
			       6 + payload)) == 0;
}

/* What a device says of the checksums; nothing of what it does not understand. */
static void rx_offload(struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *), *ip = p + 14;
	bool v4 = tg_load_be16(p + 12) == 0x0800, v6 = tg_load_be16(p + 12) == 0x86dd;

	if (v4 && ip[0] == 0x45)
		m->ol_flags |= sim_sum16(ip, 20, 0) ? RTE_MBUF_F_RX_IP_CKSUM_BAD
						    : RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	if ((v4 && ip[9] == 6) || (v6 && ip[6] == 6))
		m->ol_flags |= l4_good(ip, m->pkt_len - 14) ? RTE_MBUF_F_RX_L4_CKSUM_GOOD
							    : RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

static struct rte_mbuf *receive(struct sim_host *h)
{
	struct sim_pkt *p = h->rx;
	struct rte_mbuf *m;

	h->rx = p->next;
	if (!h->rx)
		h->rx_tail = &h->rx;
	m = rte_pktmbuf_alloc(h->pool);
	if (m) {
		memcpy(rte_pktmbuf_append(m, p->len), p->data, p->len);
		if (h->w->p.host[h->idx].offload && p->len >= 54)
			rx_offload(m);
	} else {
		h->stats->why[TG_WHY_rx_no_buffer]++;
	}
	if (h->w->live_trace)
		sim_trace_packet(h->w, !h->idx, m ? '>' : 'q', p->data, p->len);
	free(p);
	return m;
}

void sim_host_input(struct sim_host *h)
{
	struct rte_mbuf *burst[TG_NET_BURST];
	struct tg_seg segs[TG_NET_BURST];
	uint32_t n = 0;

	while (h->rx && n < TG_NET_BURST) {
		burst[n] = receive(h);
		n += burst[n] != NULL;
	}
	if (!n)
		return;
	n = tg_net_input(h->net, 0, burst, n, segs);
	tg_tcp_input(h->tcp, segs, n);
}

/* A worker reads its clock before it does anything. */
void sim_host_set_clock(struct sim_host *h)
{
	uint64_t now = h->w->p.host[h->idx].clock + h->w->t;

	if (h->up && now > h->wheel.now)
		h->wheel.now = now;
}

/* --- invariants --- */

void sim_host_validate(struct sim_host *h)
{
	if (!h->up)
		return;
	if (!tg_tcp_validate(h->tcp))
		sim_fail(h->w, "host %c: tg_tcp_validate", 'A' + h->idx);
	if (!tg_net_validate(h->net))
		sim_fail(h->w, "host %c: tg_net_validate", 'A' + h->idx);
	if (!tg_wheel_validate(&h->wheel))
		sim_fail(h->w, "host %c: tg_wheel_validate", 'A' + h->idx);
}

bool sim_host_idle(const struct sim_host *h)
{
	struct tg_tcp_usage u[16];
	uint32_t n;

	if (!h->up)
		return true;
	n = tg_tcp_usage(h->tcp, u, TG_ARRAY_LEN(u));
	for (uint32_t i = 0; i < n && i < TG_ARRAY_LEN(u); i++)
		if (u[i].in_use)
			return false;
	return !h->ready.head;
}

static void check_ledger(struct sim_host *h)
{
	struct tg_ledger l = tg_stats_ledger(h->registry);

	if (h->lives == 1 && l.received != l.delivered + l.dropped + l.in_flight)
		sim_fail(h->w,
			"host %c: ledger: received %" PRIu64 " delivered %" PRIu64
			" dropped %" PRIu64 " in flight %" PRIu64,
			'A' + h->idx, l.received, l.delivered, l.dropped, l.in_flight);
	if (h->stats->tcp_connections || h->stats->tcp_embryonic || h->stats->tcp_time_wait)
		sim_fail(h->w,
			"host %c: gauges: connections %" PRIu64 " embryonic %" PRIu64
			" time_wait %" PRIu64,
			'A' + h->idx, h->stats->tcp_connections, h->stats->tcp_embryonic,
			h->stats->tcp_time_wait);
}

static void check_buffers(struct sim_host *h, const char *when)
{
	uint32_t now = rte_mempool_avail_count(h->pool) + h->n_taken;

	if (now != h->pool_start)
		sim_fail(h->w, "host %c: %d packet buffers lost, seen %s", 'A' + h->idx,
			(int)(h->pool_start - now), when);
}

uint64_t sim_host_next(const struct sim_host *h)
{
	uint64_t now, wheel, at = h->turn_at;

	if (!h->up)
		return UINT64_MAX;
	now = h->w->p.host[h->idx].clock;
	wheel = tg_wheel_next(&h->wheel);
	if (wheel == UINT64_MAX)
		return at;
	wheel = wheel > now + h->w->t ? wheel - now : h->w->t;
	return wheel < at ? wheel : at;
}

void sim_host_finish(struct sim_host *h)
{
	struct tg_net_usage u = {0};

	if (!h->w->failed && h->up) {
		check_ledger(h);
		sim_wire_release(h, true);
		tg_net_usage(h->net, &u);
		if (!u.pending && !u.reassembly)
			check_buffers(h, "at rest");
	}
	sim_host_shut_down(h);
	while (h->n_taken)
		rte_pktmbuf_free(h->taken[--h->n_taken]);
	check_buffers(h, "after destroy");
}

/* --- counters --- */

void sim_add_stats(const struct sim_world *w, struct tg_core_stats *sum)
{
	for (uint32_t i = 0; i < 2; i++) {
		const struct tg_core_stats *s = w->host[i].stats;

#define X(name, text) sum->name += s->name;
		TG_CORE_COUNTERS(X)
#undef X
		for (uint32_t k = 0; k < TG_WHY_MAX; k++)
			sum->why[k] += s->why[k];
	}
}

void sim_print_stats(const struct tg_core_stats *s, const char *title, FILE *f)
{
	fprintf(f, "%s:", title);
#define X(name, text) \
	if (s->name) \
		fprintf(f, " %s=%" PRIu64, #name, s->name);
	TG_CORE_COUNTERS(X)
	TG_CORE_GAUGES(X)
#undef X
	for (uint32_t i = 0; i < TG_WHY_MAX; i++)
		if (s->why[i])
			fprintf(f, " %s=%" PRIu64, tg_why_name((enum tg_why)i), s->why[i]);
	fprintf(f, "\n");
}
