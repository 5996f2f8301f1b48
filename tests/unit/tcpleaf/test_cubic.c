#include <math.h>
#include <stdbool.h>

#include <tidegate/wheel.h>

#include "cc.h"
#include "tgtest.h"

#define MSS 1460u

static const struct tg_cc_ops *ops = &tg_cc_cubic;

struct path {
	struct tg_cc cc;
	uint64_t now;
	uint32_t una;
	uint64_t rtt; /* ns */
};

/* A round trip: a window of data, an ACK for every second segment, spread over the round. */
static void round_trip(struct path *p, bool limited)
{
	uint32_t window = p->cc.cwnd, acks = window / (2 * MSS) + 1;
	uint64_t start = p->now;

	for (uint32_t i = 0; i < acks; i++) {
		struct tg_cc_ack a = {.acked = 2 * MSS,
			.rtt_us = (uint32_t)(p->rtt / 1000),
			.srtt_us = (uint32_t)(p->rtt / 1000),
			.limited = limited};

		p->una += 2 * MSS;
		a.now = start + p->rtt * (i + 1) / acks;
		a.snd_una = p->una;
		a.snd_nxt = p->una + window;
		ops->on_ack(&p->cc, &a);
	}
	p->now = start + p->rtt;
}

static struct path path(uint64_t rtt)
{
	struct path p = {.now = 1000 * TG_SEC, .rtt = rtt, .una = UINT32_MAX - 100000};

	ops->init(&p.cc, MSS);
	return p;
}

/* A path whose window was `segments` when a loss came and recovery is over. */
static struct path after_loss(uint64_t rtt, uint32_t segments)
{
	struct path p = path(rtt);

	p.cc.cwnd = segments * MSS;
	ops->on_loss(&p.cc, p.now, p.cc.cwnd);
	p.cc.cwnd = p.cc.ssthresh;
	return p;
}

static void initial_window(void)
{
	struct path p = path(TG_MS);

	CU_ASSERT_EQUAL(p.cc.cwnd, 10 * MSS);
	CU_ASSERT_EQUAL(tg_cc_initial_window(536), 5360);
	CU_ASSERT_EQUAL(tg_cc_initial_window(8960), 17920);
	CU_ASSERT_EQUAL(tg_cc_initial_window(1500), 14600);
	CU_ASSERT_EQUAL(p.cc.ssthresh, TG_CC_SSTHRESH_MAX);
}

static void slow_start_doubles(void)
{
	struct path p = path(20 * TG_MS);
	uint32_t before = p.cc.cwnd;

	round_trip(&p, true);
	CU_ASSERT_TRUE(p.cc.cwnd >= 2 * before && p.cc.cwnd <= 2 * before + 2 * MSS);
	/* One ACK for very much opens the window by as much. */
	before = p.cc.cwnd;
	ops->on_ack(&p.cc, &(struct tg_cc_ack){.now = p.now, .acked = 100 * MSS, .limited = true});
	CU_ASSERT_EQUAL(p.cc.cwnd, before + 100 * MSS);
}

static void grows_only_when_limited(void)
{
	struct path p = path(20 * TG_MS);

	for (int i = 0; i < 20; i++)
		round_trip(&p, false);
	CU_ASSERT_EQUAL(p.cc.cwnd, 10 * MSS);
	p = after_loss(20 * TG_MS, 100);
	for (int i = 0; i < 500; i++)
		round_trip(&p, false);
	CU_ASSERT_EQUAL(p.cc.cwnd, p.cc.ssthresh);
	/* The pause does not count as time on the curve: no jump at the first limited round. */
	round_trip(&p, true);
	CU_ASSERT_TRUE(p.cc.cwnd < p.cc.ssthresh + 10 * MSS);
}

static void loss_reduces_by_beta(void)
{
	struct path p = path(20 * TG_MS);

	p.cc.cwnd = 1000 * MSS;
	ops->on_loss(&p.cc, p.now, 1000 * MSS);
	CU_ASSERT_EQUAL(p.cc.ssthresh, 700 * MSS);
	CU_ASSERT_EQUAL(p.cc.cwnd, 1000 * MSS); /* PRR's */
	/* Of the window, not of what happens to be in flight while a turn's ACKs are read. */
	p = path(20 * TG_MS);
	p.cc.cwnd = 1000 * MSS;
	ops->on_loss(&p.cc, p.now, 100 * MSS);
	CU_ASSERT_EQUAL(p.cc.ssthresh, 700 * MSS);
	p = path(20 * TG_MS);
	p.cc.cwnd = 2 * MSS;
	ops->on_loss(&p.cc, p.now, 0);
	CU_ASSERT_EQUAL(p.cc.ssthresh, 2 * MSS);
	p = path(20 * TG_MS);
	ops->on_ecn(&p.cc, p.now, 10 * MSS);
	CU_ASSERT_EQUAL(p.cc.ssthresh, 7 * MSS);
	CU_ASSERT_EQUAL(p.cc.cwnd, 7 * MSS);
}

/* W_cubic of RFC 9438 section 4.2 in floating point, segments and seconds. */
static double reference(double w_max, double start, double t)
{
	double k = cbrt((w_max - start) / 0.4);

	return 0.4 * pow(t - k, 3) + w_max;
}

/* A long fat path, where the curve is CUBIC's own: within 1.5 % of the reference over concave and
 * convex region, for 25 s. The window trails its target by up to a round trip. */
static void follows_the_curve(void)
{
	static const struct {
		uint64_t rtt;
		uint32_t w_max;
	} t[] = {{100 * TG_MS, 5000}, {50 * TG_MS, 8000}, {200 * TG_MS, 3000}};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct path p = after_loss(t[i].rtt, t[i].w_max);
		uint64_t start = p.now;
		double worst = 0;

		while (p.now - start < 25 * TG_SEC) {
			double at, want, off;

			round_trip(&p, true);
			at = (double)(p.now - start) / 1e9;
			want = reference(t[i].w_max, t[i].w_max * 0.7, at);
			off = fabs(p.cc.cwnd / (double)MSS / want - 1);
			worst = off > worst ? off : worst;
		}
		CU_ASSERT_TRUE(worst < 0.015);
		CU_ASSERT_TRUE(p.cc.cwnd > t[i].w_max * MSS / 100 * 101);
	}
}

/* A short path: Reno would be faster, so the window is Reno's with alpha = 9/17 up to the former
 * window and 1 beyond (section 4.3). */
static void is_friendly_to_reno(void)
{
	struct path p = after_loss(5 * TG_MS, 40);
	double want = 28;

	for (int i = 0; i < 60; i++) {
		round_trip(&p, true);
		want += want < 40 ? 9.0 / 17 : 1.0;
		CU_ASSERT_TRUE(fabs(p.cc.cwnd / (double)MSS - want) < 0.06 * want + 1);
	}
	CU_ASSERT_TRUE(want > 70);
}

static void fast_convergence(void)
{
	struct path p = after_loss(100 * TG_MS, 5000);

	/* A second loss below the old plateau: the new plateau is lower than the window was. */
	ops->on_loss(&p.cc, p.now, p.cc.cwnd);
	p.cc.cwnd = p.cc.ssthresh;
	for (uint64_t start = p.now; p.now - start < 12 * TG_SEC;)
		round_trip(&p, true);
	/* K for (2975 - 2450) is 10.9 s: about there, the window is at 3500 * 0.85 = 2975. */
	CU_ASSERT_TRUE(p.cc.cwnd > 2940 * MSS && p.cc.cwnd < 3010 * MSS);
}

static void timeout_begins_again(void)
{
	struct path p = path(100 * TG_MS);

	p.cc.cwnd = 100 * MSS;
	ops->on_rto(&p.cc, p.now, 100 * MSS);
	CU_ASSERT_EQUAL(p.cc.cwnd, MSS);
	CU_ASSERT_EQUAL(p.cc.ssthresh, 70 * MSS);
	for (int i = 0; i < 10; i++)
		round_trip(&p, true);
	/* Slow start up to ssthresh, then K = 0: no race back to the old window. */
	CU_ASSERT_TRUE(p.cc.cwnd > 70 * MSS && p.cc.cwnd < 85 * MSS);
}

static void undo_restores(void)
{
	struct path p = after_loss(100 * TG_MS, 1000), q;

	for (int i = 0; i < 30; i++)
		round_trip(&p, true);
	q = p;
	ops->on_rto(&p.cc, p.now, p.cc.cwnd);
	ops->undo(&p.cc, p.now);
	CU_ASSERT_EQUAL(p.cc.cwnd, q.cc.cwnd);
	CU_ASSERT_EQUAL(p.cc.ssthresh, q.cc.ssthresh);
	ops->undo(&p.cc, p.now); /* a second one has nothing to undo */
	CU_ASSERT_EQUAL(p.cc.cwnd, q.cc.cwnd);
	for (int i = 0; i < 20; i++) {
		round_trip(&p, true);
		round_trip(&q, true);
	}
	CU_ASSERT_TRUE(fabs((double)p.cc.cwnd / q.cc.cwnd - 1) < 0.05);
	/* A mark is not undone. */
	ops->on_ecn(&p.cc, p.now, p.cc.cwnd);
	q = p;
	ops->undo(&p.cc, p.now);
	CU_ASSERT_EQUAL(p.cc.cwnd, q.cc.cwnd);
}

static void idle_restarts(void)
{
	struct path p = path(100 * TG_MS);

	p.cc.cwnd = 100 * MSS;
	ops->on_idle(&p.cc, p.now, TG_SEC, TG_SEC);
	CU_ASSERT_EQUAL(p.cc.cwnd, 100 * MSS);
	CU_ASSERT_EQUAL(p.cc.ssthresh, TG_CC_SSTHRESH_MAX);
	ops->on_idle(&p.cc, p.now, TG_SEC + 1, TG_SEC);
	CU_ASSERT_EQUAL(p.cc.cwnd, 50 * MSS);
	p.cc.ssthresh = 20 * MSS;
	p.cc.cwnd = 80 * MSS;
	ops->on_idle(&p.cc, p.now, 2 * TG_SEC + 1, TG_SEC);
	CU_ASSERT_EQUAL(p.cc.cwnd, 20 * MSS);
	CU_ASSERT_EQUAL(p.cc.ssthresh, 60 * MSS);
	ops->on_idle(&p.cc, p.now, 3600 * TG_SEC, TG_SEC);
	CU_ASSERT_EQUAL(p.cc.cwnd, 10 * MSS);
	p.cc.cwnd = 3 * MSS;
	ops->on_idle(&p.cc, p.now, 9 * TG_SEC, TG_SEC);
	CU_ASSERT_EQUAL(p.cc.cwnd, 3 * MSS);
}

/* A queue that builds up (RTT grows by the window over the capacity) ends slow start before loss:
 * RFC 9406; jitter of 2 ms around a long RTT does not. */
static void hystart_leaves_in_time(void)
{
	struct path p = path(40 * TG_MS);
	int rounds = 0;

	while (p.cc.cwnd < p.cc.ssthresh && rounds++ < 40) {
		uint64_t fill = p.cc.cwnd > 200 * MSS ? p.cc.cwnd - 200 * MSS : 0;

		p.rtt = 40 * TG_MS + fill * 40 * TG_MS / (200 * MSS);
		round_trip(&p, true);
	}
	CU_ASSERT_TRUE(p.cc.ssthresh < 3000 * MSS && p.cc.ssthresh >= 200 * MSS);
	p = path(40 * TG_MS);
	for (int i = 0; i < 8; i++) {
		p.rtt = 40 * TG_MS + (i & 1) * 2 * TG_MS;
		round_trip(&p, true);
	}
	CU_ASSERT_TRUE(p.cc.cwnd >= 2500 * MSS);
}

static void stays_in_bounds(void)
{
	struct path p = path(100 * TG_MS);

	/* Nothing wraps: at the upper end, with enormous times, and at one segment. */
	p.cc.cwnd = TG_CC_CWND_MAX - 1;
	p.cc.ssthresh = TG_CC_CWND_MAX - 2;
	for (int i = 0; i < 100; i++) {
		struct tg_cc_ack a = {.now = p.now += 1000 * TG_SEC,
			.acked = 100 * MSS,
			.srtt_us = UINT32_MAX,
			.limited = true};

		ops->on_ack(&p.cc, &a);
		CU_ASSERT_TRUE(p.cc.cwnd <= TG_CC_CWND_MAX && p.cc.cwnd >= MSS);
	}
	p = path(TG_MS);
	for (int i = 0; i < 100; i++)
		ops->on_rto(&p.cc, p.now, p.cc.cwnd);
	CU_ASSERT_EQUAL(p.cc.cwnd, MSS);
	CU_ASSERT_EQUAL(p.cc.ssthresh, 2 * MSS);
	for (int i = 0; i < 10; i++)
		round_trip(&p, true);
	CU_ASSERT_TRUE(p.cc.cwnd > 4 * MSS && p.cc.cwnd < 40 * MSS);
	tg_cc_set_mss(&p.cc, 9000 * 10);
	CU_ASSERT_TRUE(p.cc.cwnd >= p.cc.mss);
}

TG_TEST_MAIN("tcp_cubic", {"initial window", initial_window},
	{"slow start doubles", slow_start_doubles},
	{"grows only when limited", grows_only_when_limited},
	{"loss reduces by beta", loss_reduces_by_beta}, {"follows the curve", follows_the_curve},
	{"is friendly to Reno", is_friendly_to_reno}, {"fast convergence", fast_convergence},
	{"timeout begins again", timeout_begins_again}, {"undo restores", undo_restores},
	{"idle restarts", idle_restarts}, {"HyStart++ leaves in time", hystart_leaves_in_time},
	{"stays in bounds", stays_in_bounds})
