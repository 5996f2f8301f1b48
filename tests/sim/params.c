#include <inttypes.h>
#include <math.h>

#include "../../lib/tcp/secret.h"
#include "sim.h"

static uint32_t upto(struct tg_rng *r, uint32_t lo, uint32_t hi)
{
	return lo + tg_rng_below(r, hi - lo + 1);
}

static bool one_in(struct tg_rng *r, uint32_t n)
{
	return tg_rng_below(r, n) == 0;
}

/* Small values as often as large ones. Integers only: the same on every machine. */
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

struct tg_ip sim_ip(bool v6, uint32_t host)
{
	struct tg_ip ip;

	tg_ip_parse(v6 ? "fd77::1" : "10.77.0.1", &ip);
	ip.b[15] = (uint8_t)(1 + host);
	return ip;
}

void sim_secret(uint64_t seed, uint32_t which, uint8_t secret[32])
{
	struct tg_rng r;

	tg_rng_seed(&r, seed * 8 + which + UINT64_C(0x5ec2e7));
	for (uint32_t i = 0; i < 4; i++) {
		uint64_t v = tg_rng_next(&r);

		memcpy(secret + 8 * i, &v, 8);
	}
}

static void make_dir(struct tg_rng *r, struct sim_dir *d)
{
	if (!one_in(r, 3))
		d->loss = (uint32_t)log_upto(r, 1000, 300000);
	if (one_in(r, 3))
		d->dup = (uint32_t)log_upto(r, 1000, 200000);
	if (one_in(r, 3))
		d->corrupt = (uint32_t)log_upto(r, 1000, 100000);
	if (one_in(r, 2))
		d->reorder = (uint32_t)log_upto(r, 1000, 400000);
	d->delay = log_upto(r, 5 * TG_US, 300 * TG_MS);
	if (one_in(r, 2))
		d->jitter = log_upto(r, TG_US, d->delay);
	d->reorder_delay = log_upto(r, 10 * TG_US, 4 * d->delay + TG_MS);
	d->fifo = one_in(r, 2);
	if (one_in(r, 2)) {
		d->bps = log_upto(r, 100000, 10000000000);
		d->queue = (uint32_t)log_upto(r, 20000, 500000);
	}
}

static void make_host(struct tg_rng *r, struct sim_host_params *h, bool scarce)
{
	h->no_ts = one_in(r, 5);
	h->no_sack = one_in(r, 5);
	h->no_wscale = one_in(r, 5);
	h->no_ecn = one_in(r, 2);
	h->offload = one_in(r, 4);
	h->tx_lazy = one_in(r, 4);
	h->input_first = one_in(r, 2);
	h->tx_refuse = one_in(r, 8) ? 20000 : 0;
	h->rcv_buf = (uint32_t)log_upto(r, 4096, 256 << 10);
	h->snd_buf = (uint32_t)log_upto(r, 4096, 256 << 10);
	h->max_embryonic = scarce && one_in(r, 3) ? 1 : 0;
	h->max_active = scarce && one_in(r, 3) ? upto(r, 1, 4) : 0;
	h->max_time_wait = scarce && one_in(r, 3) ? 1 : 0;
	h->mbufs = scarce && one_in(r, 3) ? upto(r, 200, 800) : SIM_POOL;
	h->turn_gap = one_in(r, 2) ? log_upto(r, TG_US, 2 * TG_MS) : 0;
	h->msl = log_upto(r, TG_SEC, 30 * TG_SEC);
	h->keepalive_idle = log_upto(r, 5 * TG_SEC, 100 * TG_SEC);
	h->user_timeout = one_in(r, 4) ? log_upto(r, 60 * TG_SEC, 300 * TG_SEC) : 0;
	h->clock = log_upto(r, TG_SEC, UINT64_C(1) << 55);
}

static void make_end(struct tg_rng *r, struct sim_end_params *e)
{
	uint32_t kind = tg_rng_below(r, 10);

	e->ending = kind < 7 ? SIM_CLEAN : kind < 9 ? SIM_DETACH : SIM_ABORT;
	e->total = one_in(r, 6) ? 0 : (uint32_t)log_upto(r, 1, 1000000);
	e->write_max = (uint32_t)log_upto(r, 1, 65536);
	e->read_max = (uint32_t)log_upto(r, 1, 65536);
	if (one_in(r, 3))
		e->write_gap = log_upto(r, 10 * TG_US, 100 * TG_MS);
	if (one_in(r, 3))
		e->read_gap = log_upto(r, 10 * TG_US, 500 * TG_MS);
	if (one_in(r, 3))
		e->start_gap = log_upto(r, 10 * TG_US, 10 * TG_SEC);
	/* Bounded work: a pace of single bytes gets little to carry. */
	if (e->write_gap && e->total > e->write_max * 1000)
		e->total = e->write_max * 1000;
	if (e->total / e->write_max > 5000)
		e->total = e->write_max * 10000;
	e->end_after = tg_rng_below(r, 2 * e->total + 1);
	if (one_in(r, 3))
		e->rcv_buf = (uint32_t)log_upto(r, 4096, 128 << 10);
	if (one_in(r, 3))
		e->snd_buf = (uint32_t)log_upto(r, 4096, 128 << 10);
	if (one_in(r, 6))
		e->new_rcv_buf = (uint32_t)log_upto(r, 4096, 256 << 10);
	e->keepalive = one_in(r, 4);
	e->wait_drained = one_in(r, 2);
	e->abort_after_failure = one_in(r, 2);
}

/* What one end writes with long pauses at the other must not take days. */
static void bound_reader(struct sim_end_params *writer, struct sim_end_params *reader)
{
	if (reader->read_gap && writer->total / reader->read_max > 1000)
		writer->total = reader->read_max * 1000;
	if (writer->total / reader->read_max > 20000)
		reader->read_max = writer->total / 20000 + 1;
}

static void make_flow(struct tg_rng *r, struct sim_flow_params *f)
{
	f->dialer = (uint8_t)tg_rng_below(r, 2);
	f->open_at = one_in(r, 3) ? 0 : log_upto(r, TG_US, 2 * TG_SEC);
	make_end(r, &f->end[0]);
	make_end(r, &f->end[1]);
	bound_reader(&f->end[0], &f->end[1]);
	bound_reader(&f->end[1], &f->end[0]);
	for (uint32_t i = 0; i < 2; i++) /* more than there will be would be never */
		f->end[i].end_after %= f->end[0].total + f->end[1].total + 1;
}

/* The host's clock such that the sequence numbers of flow 0 (or its timestamps) wrap within its
 * first bytes. The clock stands for now / 4 us in the ISN (RFC 6528), for now / 1 ms in TSval. */
static void aim_at_wrap(struct tg_rng *r, struct sim_params *p, uint32_t host, bool isn)
{
	const struct sim_flow_params *flow = &p->flow[0];
	bool dials = flow->dialer == host;
	struct tg_secret s;
	uint8_t secret[32];
	struct tg_flow f = {.local = sim_ip(p->v6, host),
		.remote = sim_ip(p->v6, !host),
		.lport = dials ? p->port_first : SIM_PORT,
		.rport = dials ? SIM_PORT : p->port_first};
	uint32_t want = UINT32_MAX - tg_rng_below(r, 100000), units;

	sim_secret(p->seed, host, secret);
	tg_secret_init(&s, secret);
	if (isn) {
		units = want - tg_secret_isn(&s, &f, 0);
		p->host[host].clock = (units + (UINT64_C(1) << 32)) * 4 * TG_US;
	} else {
		want = UINT32_MAX - tg_rng_below(r, 3000);
		units = want - tg_secret_ts_offset(&s, &f);
		p->host[host].clock = (units + (UINT64_C(1) << 32)) * TG_MS;
	}
	p->host[host].clock -= flow->open_at;
}

static void make_mtu(struct tg_rng *r, struct sim_params *p)
{
	static const uint16_t mtus[] = {1280, 1400, 1492, 1500, 1500, 1500, 4000, 9000};

	p->if_mtu = mtus[tg_rng_below(r, TG_ARRAY_LEN(mtus))];
	p->path_mtu = p->if_mtu;
	if (p->if_mtu > 1280 && one_in(r, 5)) {
		p->mtu_change = one_in(r, 4) ? SIM_MTU_BLACK_HOLE : SIM_MTU_PTB;
		p->path_mtu = (uint16_t)upto(r, 1280, p->if_mtu - 1);
		p->mtu_at = one_in(r, 3) ? 0 : log_upto(r, TG_MS, 5 * TG_SEC);
	}
}

static void make_fate(struct tg_rng *r, struct sim_params *p)
{
	if (!one_in(r, 10))
		return;
	p->fate = one_in(r, 2) ? SIM_FATE_VANISH : SIM_FATE_REBOOT;
	p->fate_at = log_upto(r, TG_MS, 10 * TG_SEC);
	p->back_at = p->fate_at + log_upto(r, TG_MS, 20 * TG_SEC);
}

/* A failure needs an excuse: a wire that loses more than a tenth, a black hole, a vanished host,
 * buffers or slots so scarce that refusals are right. */
static bool is_strict(const struct sim_params *p)
{
	uint32_t bad = 0;

	if (p->fate != SIM_FATE_NONE || p->mtu_change == SIM_MTU_BLACK_HOLE || p->simultaneous ||
		p->n_flows > SIM_CONNS / 2)
		return false;
	for (uint32_t i = 0; i < 2; i++) {
		const struct sim_host_params *h = &p->host[i];

		bad += p->dir[i].loss + p->dir[i].corrupt;
		if (h->mbufs < SIM_POOL || h->max_active || h->max_embryonic || h->max_time_wait)
			return false;
	}
	return bad <= 100000;
}

static bool is_perfect(const struct sim_params *p)
{
	uint64_t rtt = 0;

	if (!p->strict || p->mtu_change || p->attack)
		return false;
	for (uint32_t i = 0; i < 2; i++) {
		const struct sim_dir *d = &p->dir[i];

		if (d->loss || d->dup || d->corrupt || d->reorder || d->bps ||
			(d->jitter && !d->fifo) || p->host[i].tx_refuse)
			return false;
		rtt += d->delay + d->jitter + p->host[i].turn_gap;
	}
	/* Neighbours are looked for in both directions before the first answer. */
	return rtt < 200 * TG_MS;
}

/* Ideal conditions are rare by chance, so one world in eight gets them. */
static void make_perfect(struct sim_params *p)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct sim_dir *d = &p->dir[i];

		d->loss = d->dup = d->corrupt = d->reorder = 0;
		d->bps = 0;
		d->fifo = true;
		d->delay = d->delay % (40 * TG_MS) + 1000;
		d->jitter %= d->delay;
		p->host[i].tx_refuse = 0;
	}
}

/* Users that never pause and go to the end: here every wait is the stacks'. */
static void make_brisk(struct sim_params *p)
{
	for (uint32_t i = 0; i < p->n_flows; i++)
		for (uint32_t side = 0; side < 2; side++) {
			struct sim_end_params *e = &p->flow[i].end[side];

			e->read_gap = e->write_gap = e->start_gap = 0;
			e->ending = SIM_CLEAN;
		}
}

void sim_params_make(struct sim_params *p, uint64_t seed)
{
	struct tg_rng r;
	bool wrap, simultaneous, perfect, scarce;

	memset(p, 0, sizeof(*p));
	p->seed = seed;
	tg_rng_seed(&r, seed ^ UINT64_C(0x7469646567617465));
	p->v6 = one_in(&r, 2);
	scarce = one_in(&r, 4);
	for (uint32_t i = 0; i < 2; i++) {
		make_dir(&r, &p->dir[i]);
		make_host(&r, &p->host[i], scarce);
	}
	/* A third of the worlds has a good wire in both directions: there, speed of events is all.
	 */
	if (one_in(&r, 3))
		for (uint32_t i = 0; i < 2; i++)
			p->dir[i].loss = p->dir[i].corrupt = 0;
	perfect = one_in(&r, 8);
	if (perfect)
		make_perfect(p);
	make_mtu(&r, p);
	make_fate(&r, p);
	p->n_flows = one_in(&r, 2) ? 1 : upto(&r, 2, SIM_CONNS / 2);
	if (one_in(&r, 20))
		p->n_flows = upto(&r, SIM_CONNS, SIM_FLOWS);
	p->port_first = 1024;
	p->port_last = 65535;
	if (one_in(&r, 6))
		p->attack = (uint32_t)log_upto(&r, 1000, 200000);
	wrap = one_in(&r, 4);
	simultaneous = one_in(&r, 25);
	if (wrap || simultaneous) {
		p->n_flows = 1;
		p->port_first = p->port_last = (uint16_t)upto(&r, 1024, 65535);
	}
	for (uint32_t i = 0; i < p->n_flows; i++)
		make_flow(&r, &p->flow[i]);
	if (perfect && one_in(&r, 2))
		make_brisk(p);
	if (wrap)
		for (uint32_t i = 0; i < 2; i++)
			aim_at_wrap(&r, p, i, !one_in(&r, 3));
	p->simultaneous = simultaneous;
	p->strict = is_strict(p);
	p->perfect = is_perfect(p);
}

void sim_params_tame(struct sim_params *p)
{
	if (p->n_flows > 2)
		p->n_flows = 2;
	for (uint32_t i = 0; i < p->n_flows; i++)
		for (uint32_t side = 0; side < 2; side++) {
			struct sim_end_params *e = &p->flow[i].end[side];

			e->total %= 20000;
			e->end_after %= e->total + 1;
			if (e->total / e->write_max > 50)
				e->write_max = e->total / 50;
			if (e->total / e->read_max > 50)
				e->read_max = e->total / 50;
		}
	for (uint32_t i = 0; i < 2; i++)
		p->dir[i].loss = p->dir[i].dup = p->dir[i].corrupt = p->dir[i].reorder = 0;
	p->strict = p->perfect = false;
}

static void print_dir(const struct sim_dir *d, uint32_t i, FILE *f)
{
	fprintf(f,
		"  wire %c>%c: loss %.1f%% dup %.1f%% corrupt %.1f%% reorder %.1f%% by %.3f ms, "
		"delay %.3f ms jitter %.3f ms%s, %.3f Mbit/s queue %u\n",
		'A' + (int)i, 'B' - (int)i, d->loss / 1e4, d->dup / 1e4, d->corrupt / 1e4,
		d->reorder / 1e4, (double)d->reorder_delay / 1e6, (double)d->delay / 1e6,
		(double)d->jitter / 1e6, d->fifo ? " fifo" : "", (double)d->bps / 1e6, d->queue);
}

static void print_host(const struct sim_host_params *h, uint32_t i, FILE *f)
{
	fprintf(f,
		"  host %c:%s%s%s%s%s%s%s rcv_buf %u snd_buf %u embryonic %u active %u tw %u mbufs "
		"%u "
		"refuse %u turn %.3f ms msl %.1f s keepalive %.1f s user_timeout %.1f s clock "
		"%" PRIu64 "\n",
		'A' + (int)i, h->no_ts ? " no-ts" : "", h->no_sack ? " no-sack" : "",
		h->no_wscale ? " no-wscale" : "", h->no_ecn ? " no-ecn" : "",
		h->offload ? " offload" : "", h->tx_lazy ? " tx-lazy" : "",
		h->input_first ? " input-first" : "", h->rcv_buf, h->snd_buf, h->max_embryonic,
		h->max_active, h->max_time_wait, h->mbufs, h->tx_refuse, (double)h->turn_gap / 1e6,
		(double)h->msl / 1e9, (double)h->keepalive_idle / 1e9,
		(double)h->user_timeout / 1e9, h->clock);
}

static void print_end(const struct sim_end_params *e, FILE *f)
{
	static const char *const ending[] = {"clean", "detach", "abort"};

	fprintf(f,
		"      %s: total %u write %u/%.3f ms read %u/%.3f ms start %.3f ms after %" PRIu64
		" buf %u %u new %u%s%s%s\n",
		ending[e->ending], e->total, e->write_max, (double)e->write_gap / 1e6, e->read_max,
		(double)e->read_gap / 1e6, (double)e->start_gap / 1e6, e->end_after, e->rcv_buf,
		e->snd_buf, e->new_rcv_buf, e->keepalive ? " keepalive" : "",
		e->wait_drained ? " wait-drained" : "",
		e->abort_after_failure ? " abort-after-failure" : "");
}

void sim_params_print(const struct sim_params *p, FILE *f)
{
	static const char *const change[] = {"", " then too-big to ", " then black hole at "};
	static const char *const fate[] = {"", ", B vanishes", ", B reboots"};

	fprintf(f, "seed %" PRIu64 ": %s%s%s, MTU %u", p->seed, p->v6 ? "IPv6" : "IPv4",
		p->perfect  ? ", perfect"
		: p->strict ? ", strict"
			    : "",
		p->simultaneous ? ", simultaneous open" : "", p->if_mtu);
	if (p->mtu_change)
		fprintf(f, "%s%u at %.3f ms", change[p->mtu_change], p->path_mtu,
			(double)p->mtu_at / 1e6);
	fprintf(f, "%s", fate[p->fate]);
	if (p->fate)
		fprintf(f, " at %.3f ms (back %.3f ms)", (double)p->fate_at / 1e6,
			(double)p->back_at / 1e6);
	fprintf(f, ", forged %.1f%%, ports %u..%u\n", p->attack / 1e4, p->port_first, p->port_last);
	for (uint32_t i = 0; i < 2; i++) {
		print_dir(&p->dir[i], i, f);
		print_host(&p->host[i], i, f);
	}
	for (uint32_t i = 0; i < p->n_flows; i++) {
		fprintf(f, "  flow %u: dialed by %c at %.3f ms\n", i, 'A' + p->flow[i].dialer,
			(double)p->flow[i].open_at / 1e6);
		print_end(&p->flow[i].end[0], f);
		print_end(&p->flow[i].end[1], f);
	}
}
