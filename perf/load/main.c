/* main.c: brings tg_load up, turns it, and measures. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <tidegate/http1.h>

#include "load.h"

#define READY_BUDGET 256
#define REST_MAX TG_MS
/* What is under way at the end may wait for a few timeouts of TCP in a row. */
#define DRAIN (10 * TG_SEC)

uint64_t load_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * TG_SEC + (uint64_t)ts.tv_nsec;
}

/* --- a turn ----------------------------------------------------------------------------------- */

static uint64_t next_event(const struct load *l, uint64_t now)
{
	uint64_t next = tg_wheel_next(&l->wheel);

	if (l->conf.rate && l->asking && l->due < next)
		next = l->due;
	if (next > now + REST_MAX)
		return REST_MAX;
	return next > now ? next - now : 0;
}

static void turn(struct load *l)
{
	uint64_t now = load_now(), rest;
	uint32_t work;

	work = l->wire->receive(l);
	if (l->tls)
		work += tg_tls_turn(l->tls);
	work += tg_ready_drain(&l->ready, READY_BUDGET, l->wire->reap, l->wire->reap_ctx);
	work += tg_wheel_advance(&l->wheel, now, READY_BUDGET);
	work += load_clients_turn(l);
	l->wire->flush(l);
	l->turns++;
	if (work) {
		l->busy_ns += load_now() - now;
	} else if (!l->ready.queued) {
		rest = next_event(l, now);
		l->wire->rest(l, rest);
		/* What is beyond is the machine's: somebody else had the CPU. */
		rest += now;
		now = load_now();
		if (l->window_from != UINT64_MAX)
			tg_hist_record(&l->hiccup, now > rest ? now - rest : 0);
	}
}

static void turn_for(struct load *l, double seconds)
{
	uint64_t until = load_now() + (uint64_t)(seconds * 1e9);

	while (load_now() < until)
		turn(l);
}

/* --- phases ----------------------------------------------------------------------------------- */

/* Until n clients have had an answer. */
static bool open_up_to(struct load *l, uint32_t n)
{
	uint64_t moved = load_now();
	uint32_t seen = 0;

	l->open_limit = n;
	while (l->answered < n) {
		turn(l);
		if (l->answered != seen) {
			seen = l->answered;
			moved = load_now();
		} else if (load_now() - moved > l->conf.patience * TG_SEC) {
			return false;
		}
	}
	return true;
}

/* Turns until a line or the end comes on standard input. */
static void wait_for_line(struct load *l)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char c = 0;

	do {
		turn(l);
	} while ((l->turns & 1023) || poll(&in, 1, 0) == 0 ||
		 (read(STDIN_FILENO, &c, 1) == 1 && c != '\n'));
}

static bool hold(struct load *l)
{
	static const struct load_counts zero;

	for (uint32_t i = 0; i < l->conf.n_levels; i++) {
		if (!open_up_to(l, l->conf.levels[i]))
			return false;
		load_event("held", l->counts.connections);
		wait_for_line(l);
	}
	load_report(l, &zero, 1, 0);
	return true;
}

static void drain(struct load *l)
{
	uint64_t until = load_now() + DRAIN;

	/* Nothing new falls due; what waits is still sent. */
	l->due = UINT64_MAX;
	l->asking = l->conf.rate;
	while ((l->under_way || l->queue_head != l->queue_tail) && load_now() < until)
		turn(l);
	l->asking = false;
	l->counts.unanswered += l->under_way + (l->queue_tail - l->queue_head);
}

static bool measure(struct load *l)
{
	struct load_counts from, to;
	uint64_t began, busy, ended, busy_end;

	l->asking = !l->conf.rate;
	if (!open_up_to(l, l->conf.connections))
		return false;
	l->asking = true;
	turn_for(l, l->conf.warmup);
	load_event("begin", l->counts.responses);
	from = l->counts;
	busy = l->busy_ns;
	began = load_now();
	l->window_from = began;
	turn_for(l, l->conf.seconds);
	ended = load_now();
	l->window_to = ended;
	to = l->counts;
	busy_end = l->busy_ns;
	load_event("end", to.responses);
	drain(l);
	/* What was under way at the end is an error if it got no answer. */
	to.unanswered = l->counts.unanswered;
	l->counts = to;
	l->busy_ns = busy_end;
	load_report(l, &from, (double)(ended - began) / 1e9, busy);
	return true;
}

/* --- starting --------------------------------------------------------------------------------- */

static int start(struct load *l, struct tg_errbuf *e)
{
	int rc = 0;

	tg_h1_init("auto");
	tg_wheel_init(&l->wheel, load_now());
	tg_ready_init(&l->ready);
	tg_rng_seed(&l->rng, l->conf.seed);
	l->registry = tg_stats_create(1);
	if (!l->registry || !load_work_init(&l->work, &l->conf) || !load_clients_init(l))
		return tg_fail(e, TG_ENOMEM, "out of memory");
	l->stats = tg_stats_cores(l->registry);
	l->wire = l->conf.north ? load_stack_start(l, e) : load_sockets_start(l, e);
	if (!l->wire)
		return TG_ESYS;
	if (l->conf.client_tls.ca || l->conf.origin_tls.cert)
		rc = load_tls_start(l, e);
	if (!rc && !load_origin_init(l))
		rc = tg_fail(e, TG_ESYS, "the origin cannot listen");
	return rc;
}

int main(int argc, char **argv)
{
	static struct load l;
	struct tg_errbuf e = {{0}};
	bool ok;

	load_options(&l.conf, argc, argv);
	l.window_from = l.window_to = UINT64_MAX;
	if (start(&l, &e)) {
		fprintf(stderr, "tg_load: %s\n", e.text);
		return 1;
	}
	ok = l.conf.n_levels ? hold(&l) : measure(&l);
	if (!ok) {
		static const struct load_counts zero;

		l.counts.unanswered += l.under_way;
		fprintf(stderr, "tg_load: %u of %u clients had an answer\n", l.answered,
			l.open_limit);
		load_report(&l, &zero, 1, 0);
	}
	return !ok || load_errors(&l.counts) != 0;
}
