#include <inttypes.h>

#include "sim.h"

/* Without any byte or event for this long (virtual), a world does not go on by itself: longer than
 * any timeout of the stacks. */
#define STUCK (900 * TG_SEC)

/* Its user. */
static bool on_boot(struct sim_host *h)
{
	int rc;

	h->app_timer = (uint8_t)tg_wheel_kind(&h->wheel, sim_app_timer, h);
	h->listener = (struct tg_tcp_listener){.user = &sim_accept_user, .owner = h};
	h->listener.addr.ip = sim_ip(h->w->p.v6, h->idx);
	h->listener.addr.port = SIM_PORT;
	rc = h->w->p.simultaneous ? 0 : tg_tcp_listen(h->tcp, &h->listener);
	if (rc)
		sim_fail(h->w, "tg_tcp_listen: %s", tg_err_name(rc));
	return !rc;
}

/* --- a turn of a host, in the order of ARCHITECTURE.md --- */

static void turn(struct sim_host *h)
{
	struct sim_world *w = h->w;
	uint64_t now = w->p.host[h->idx].clock + w->t;

	h->turn_at = UINT64_MAX;
	sim_wire_release(h, false);
	if (w->p.host[h->idx].input_first) {
		sim_host_set_clock(h);
		sim_host_input(h);
		tg_ready_drain(&h->ready, 1 + tg_rng_below(&w->app_rng, 8), tg_tcp_reap, h->tcp);
		tg_wheel_advance(&h->wheel, now, 0);
	} else {
		tg_wheel_advance(&h->wheel, now, 0);
		sim_host_input(h);
		tg_ready_drain(&h->ready, 0, tg_tcp_reap, h->tcp);
	}
	tg_tcp_output(h->tcp);
	tg_net_flush(h->net);
	if (h->rx || h->ready.head)
		h->turn_at = w->t + 1 + w->p.host[h->idx].turn_gap;
}

/* --- invariants --- */

/* hosts: one bit each */
static void validate(struct sim_world *w, uint32_t hosts)
{
	for (uint32_t i = 0; i < 2; i++)
		if (hosts & 1u << i)
			sim_host_validate(&w->host[i]);
	sim_app_check(w);
}

/* --- the course of events --- */

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t plan_next(const struct sim_world *w)
{
	uint64_t at = UINT64_MAX;

	for (uint32_t i = 0; i < w->p.n_flows; i++)
		if (!w->flow[i].dialed)
			at = min64(at, w->p.flow[i].open_at);
	if (w->p.fate != SIM_FATE_NONE && !w->cut && w->host[1].lives == 1)
		at = min64(at, w->p.fate_at);
	if (w->p.fate == SIM_FATE_REBOOT && !w->host[1].up)
		at = min64(at, w->p.back_at);
	return at;
}

/* Host 1 disappears: nothing more of what it says is heard. */
static void vanish(struct sim_world *w)
{
	w->cut = true;
	sim_note(w, 1, "vanishes");
	if (w->p.fate != SIM_FATE_REBOOT)
		return;
	sim_app_kill(w, &w->host[1]);
	sim_host_shut_down(&w->host[1]);
}

static void follow_plan(struct sim_world *w)
{
	struct sim_host *b = &w->host[1];

	if (w->p.fate != SIM_FATE_NONE && !w->cut && b->lives == 1 && w->t >= w->p.fate_at)
		vanish(w);
	if (w->p.fate == SIM_FATE_REBOOT && w->cut && !b->up && w->t >= w->p.back_at) {
		w->cut = false;
		sim_note(w, 1, "is back");
		sim_host_boot(b);
	}
	for (uint32_t i = 0; i < w->p.n_flows; i++)
		if (!w->flow[i].dialed && w->t >= w->p.flow[i].open_at) {
			struct sim_host *h = w->flow[i].end[0].host;

			sim_host_set_clock(&w->host[0]);
			sim_host_set_clock(&w->host[1]);
			sim_app_dial(w, &w->flow[i]);
			h->turn_at = min64(h->turn_at, w->t);
			if (w->p.simultaneous)
				w->host[!h->idx].turn_at = w->t;
		}
}

/* One point in time. False: nothing will ever happen again. */
static bool step(struct sim_world *w)
{
	uint64_t at = min64(sim_wire_next(w), plan_next(w));
	uint32_t turned = 0;

	at = min64(at, min64(sim_host_next(&w->host[0]), sim_host_next(&w->host[1])));
	if (at == UINT64_MAX)
		return false;
	if (at > w->t)
		w->t = at;
	follow_plan(w);
	sim_wire_deliver(w);
	for (uint32_t i = 0; i < 2; i++)
		if (sim_host_next(&w->host[i]) <= w->t) {
			turn(&w->host[i]);
			turned |= 1u << i;
		}
	w->steps++;
	if (w->p.perfect)
		sim_app_perfect(w);
	/* Where nothing was done nothing has changed. */
	if (w->steps % w->validate_every == 0)
		validate(w, turned);
	return true;
}

/* Legal where the world is unkind: a silent peer that vanished, without keepalive. The judge knows.
 */
static void give_up(struct sim_world *w)
{
	sim_note(w, 0, "nothing moves: ends are aborted");
	sim_app_kill(w, NULL);
	for (uint32_t i = 0; i < 2; i++)
		if (w->host[i].up)
			w->host[i].turn_at = w->t;
}

/* Until every user has left and every connection is gone: TIME-WAIT, orphans and retransmissions
 * end by themselves. */
static void run_flows(struct sim_world *w)
{
	while (!w->failed) {
		bool over = sim_app_over(w), goes_on;

		if (over && sim_host_idle(&w->host[0]) && sim_host_idle(&w->host[1]))
			return;
		if (w->steps > SIM_STEPS && (w->p.strict || w->steps > 2 * SIM_STEPS))
			sim_fail(w, "no end after %" PRIu64 " steps", w->steps);
		goes_on = step(w);
		if (goes_on && w->t - w->progress_at <= STUCK && (over || w->steps <= SIM_STEPS))
			continue;
		if (!over)
			give_up(w);
		else
			sim_fail(w, "connections are left%s: host %c",
				goes_on ? "" : ", but no timer runs",
				sim_host_idle(&w->host[0]) ? 'B' : 'A');
	}
}

/* What is still on the wire arrives, what is held in IP is given up. */
static void run_out(struct sim_world *w)
{
	for (uint64_t start = w->t; !w->failed && w->t - start < 100 * TG_SEC;)
		if (!step(w))
			break;
}

static void init_world(struct sim_world *w, uint64_t seed)
{
	bool live = w->live_trace;
	uint32_t every = w->validate_every;

	sim_wire_reset(w);
	sim_params_make(&w->p, seed);
	if (w->script)
		sim_params_tame(&w->p);
	w->on_boot = on_boot;
	w->t = w->steps = w->order = w->progress_at = 0;
	w->n_sent = w->n_lost = w->n_corrupt = w->n_forged = w->n_bytes = 0;
	w->failed = false;
	w->hash = seed;
	w->n_records = w->ghosts = 0;
	w->live_trace = live;
	w->validate_every = every ? every : 1;
	tg_rng_seed(&w->wire_rng, seed ^ 0x77697265);
	tg_rng_seed(&w->app_rng, seed ^ 0x617070);
	memset(w->flow, 0, sizeof(w->flow));
	for (uint32_t i = 0; i < w->p.n_flows; i++) {
		struct sim_flow *f = &w->flow[i];

		f->idx = i;
		for (uint32_t side = 0; side < 2; side++) {
			f->key[side] = tg_rng_next(&w->app_rng);
			f->end[side].flow = f;
			f->end[side].side = (uint8_t)side;
			f->end[side].host = &w->host[w->p.flow[i].dialer ^ side];
			f->end[side].p = &w->p.flow[i].end[side];
		}
	}
}

bool sim_run_script(struct sim_world *w, uint64_t seed, const uint8_t *script, size_t n)
{
	static const uint8_t nothing;
	bool good;

	w->script = n ? script : &nothing;
	w->script_left = n;
	good = sim_run(w, seed);
	w->script = NULL;
	return good;
}

bool sim_run(struct sim_world *w, uint64_t seed)
{
	init_world(w, seed);
	sim_host_init(w, 0);
	sim_host_init(w, 1);
	if (!w->failed) {
		run_flows(w);
		if (!w->failed)
			run_out(w);
		if (!w->failed)
			validate(w, 3);
		sim_app_judge(w);
	}
	/* After a failure the conns are left so that the next seed finds the pools whole. */
	sim_app_kill(w, NULL);
	sim_host_finish(&w->host[0]);
	sim_host_finish(&w->host[1]);
	for (uint32_t i = 0; i < 2; i++)
		for (uint32_t k = 0; k < sizeof(*w->host[i].stats) / 8; k++)
			sim_hash(w, ((const uint64_t *)w->host[i].stats)[k]);
	sim_wire_reset(w);
	return !w->failed;
}

void sim_report(struct sim_world *w, FILE *f)
{
	fprintf(f, "FAILED seed %" PRIu64 " at %.6f ms: %s\n", w->p.seed, (double)w->t / 1e6,
		w->why);
	sim_params_print(&w->p, f);
	fprintf(f, "the last events:\n");
	sim_trace_print(w, f);
	sim_print_stats(w->host[0].stats, "host A", f);
	sim_print_stats(w->host[1].stats, "host B", f);
	fprintf(f, "replay: tg_sim --first %" PRIu64 " --seeds 1 --trace\n", w->p.seed);
}
