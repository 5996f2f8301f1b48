#include <string.h>

#include "cc.h"

/*
 * CUBIC (RFC 9438) in integers. Windows are bytes; time is ticks of 1/1024 s (32 bits: differences
 * of up to 24 days). The cube is computed as (d^3 / 2^10) * (C * mss) / 2^20 in segments' bytes,
 * which stays within 63 bits for |d| up to 256 s.
 */
#define TICK_NS UINT64_C(976562)
#define D_MAX ((int64_t)256 << 10)

/* beta = 0.7, C = 0.4, alpha = 3 * (1 - beta) / (1 + beta) = 9/17 (RFC 9438 sections 4.3, 4.6) */
#define BETA(x) ((uint32_t)((uint64_t)(x)*7 / 10))
#define FAST_CONVERGENCE(x) ((uint32_t)((uint64_t)(x)*17 / 20)) /* (1 + beta) / 2 */
#define ALPHA_NUM 9
#define ALPHA_DEN 17

/* HyStart++ (RFC 9406 section 4.3) */
#define HY_MIN_RTT_THRESH 4000u /* us */
#define HY_MAX_RTT_THRESH 16000u
#define HY_RTT_DIVISOR 8
#define HY_SAMPLES 8
#define HY_CSS_DIVISOR 4
#define HY_CSS_ROUNDS 5
#define NO_RTT UINT32_MAX

enum {
	F_EPOCH = 1,     /* ca is valid: a congestion avoidance stage is going on */
	F_AFTER_RTO = 2, /* next stage: K = 0, W_max = cwnd (section 4.8) */
	F_HYSTART = 4,   /* first slow start: hy is valid */
	F_CSS = 8,       /* conservative slow start */
	F_UNDO = 16,     /* prior_* are valid */
	F_HY_ROUND = 32, /* window_end is set */
};

struct cubic {
	uint32_t w_max;      /* bytes; window before the last reduction */
	uint32_t prior_cwnd; /* of the last reduction: for undo and cwnd_prior */
	uint32_t prior_ssthresh;
	uint32_t prior_w_max;
	uint32_t acc; /* remainder of the window's growth, in bytes^2 / cwnd */
	uint8_t flags, samples, css_rounds, prior_flags;
	union {
		struct {
			uint32_t epoch;   /* tick: start of the stage, later by pauses */
			uint32_t last;    /* tick of the last ACK: finds the pauses */
			uint32_t k;       /* ticks from epoch to w_max */
			uint32_t origin;  /* bytes: plateau of the curve */
			uint32_t w_est;   /* bytes: what Reno would have */
			uint32_t est_acc; /* its remainder */
		} ca;
		struct {
			uint32_t window_end;         /* the round ends when this is acknowledged */
			uint32_t last_min, this_min; /* us: smallest RTT of the rounds */
			uint32_t css_base;           /* us */
		} hy;
	};
};
_Static_assert(sizeof(struct cubic) <= TG_CC_STATE, "congestion state does not fit");

static struct cubic *state(struct tg_cc *c)
{
	return (struct cubic *)c->state;
}

static uint32_t ticks(uint64_t now)
{
	return (uint32_t)(now / TICK_NS);
}

static uint32_t max32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void grow(struct tg_cc *c, uint32_t by)
{
	c->cwnd = c->cwnd >= TG_CC_CWND_MAX - by ? TG_CC_CWND_MAX : c->cwnd + by;
}

static void cubic_init(struct tg_cc *c, uint32_t mss)
{
	struct cubic *s = state(c);

	memset(c, 0, sizeof(*c));
	c->mss = mss;
	c->cwnd = tg_cc_initial_window(mss);
	c->ssthresh = TG_CC_SSTHRESH_MAX;
	s->flags = F_HYSTART;
	s->hy.last_min = s->hy.this_min = s->hy.css_base = NO_RTT;
}

/* Largest r with r^3 <= x, digit by digit. Once a stage, not once an ACK. */
static uint32_t cube_root(uint64_t x)
{
	uint64_t r = 0;

	for (int bit = 63; bit >= 0; bit -= 3) {
		uint64_t b;

		r <<= 1;
		b = 3 * r * (r + 1) + 1;
		if (x >> bit >= b) {
			x -= b << bit;
			r++;
		}
	}
	return (uint32_t)r;
}

/* Bytes: C * mss * (d ticks)^3. */
static int64_t cube(int64_t d, uint32_t mss)
{
	if (d > D_MAX)
		d = D_MAX;
	if (d < -D_MAX)
		d = -D_MAX;
	return (d * d * d / 1024) * (int64_t)(mss * 2 / 5) / (1 << 20);
}

/* K = cbrt((W_max - cwnd) / C) in ticks, windows in segments (section 4.2, eq. 2). */
static uint32_t cubic_k(uint32_t bytes, uint32_t mss)
{
	uint64_t segs = ((uint64_t)bytes << 20) * 5 / (2 * (uint64_t)mss);

	return cube_root(segs << 10);
}

static void start_epoch(struct tg_cc *c, uint32_t now)
{
	struct cubic *s = state(c);

	s->flags &= (uint8_t) ~(F_HYSTART | F_CSS | F_HY_ROUND);
	s->flags |= F_EPOCH;
	s->acc = 0;
	s->ca.epoch = s->ca.last = now;
	s->ca.est_acc = 0;
	s->ca.w_est = c->cwnd;
	if (s->flags & F_AFTER_RTO || s->w_max <= c->cwnd) {
		s->ca.k = 0;
		s->ca.origin = c->cwnd;
	} else {
		s->ca.k = cubic_k(s->w_max - c->cwnd, c->mss);
		s->ca.origin = s->w_max;
	}
	s->flags &= (uint8_t)~F_AFTER_RTO;
}

/* W_cubic(t), at least one segment. */
static uint32_t w_cubic(const struct tg_cc *c, const struct cubic *s, uint32_t t)
{
	int64_t w = (int64_t)s->ca.origin + cube((int64_t)t - s->ca.k, c->mss);

	if (w < (int64_t)c->mss)
		return c->mss;
	return w > TG_CC_CWND_MAX ? TG_CC_CWND_MAX : (uint32_t)w;
}

/* Reno's window with CUBIC's beta (section 4.3, eq. 4): alpha segments a window, and one segment
 * once the window before the reduction is reached. */
static void grow_w_est(struct tg_cc *c, struct cubic *s, uint32_t acked)
{
	uint64_t e = (uint64_t)acked * c->mss;

	if (s->ca.w_est < s->prior_cwnd)
		e = e * ALPHA_NUM / ALPHA_DEN;
	e += s->ca.est_acc;
	s->ca.w_est = (uint32_t)(s->ca.w_est + e / c->cwnd);
	s->ca.est_acc = (uint32_t)(e % c->cwnd);
	if (s->ca.w_est > TG_CC_CWND_MAX)
		s->ca.w_est = TG_CC_CWND_MAX;
}

static void avoid_congestion(struct tg_cc *c, const struct tg_cc_ack *a)
{
	struct cubic *s = state(c);
	uint32_t now = ticks(a->now), t, target;
	uint64_t step;

	if (!(s->flags & F_EPOCH))
		start_epoch(c, now);
	/* Time in which the user or the peer limited us is not time in which we probed (5.8). */
	if (!a->limited)
		s->ca.epoch += now - s->ca.last;
	s->ca.last = now;
	if (!a->limited)
		return;
	t = now - s->ca.epoch;
	grow_w_est(c, s, a->acked);
	if (w_cubic(c, s, t) < s->ca.w_est) {
		c->cwnd = max32(c->cwnd, s->ca.w_est);
		return;
	}
	target = w_cubic(c, s, t + (uint32_t)((uint64_t)a->srtt_us * 1024 / 1000000));
	target = min32(target, c->cwnd + c->cwnd / 2);
	if (target <= c->cwnd)
		return;
	step = (uint64_t)(target - c->cwnd) * a->acked + s->acc;
	s->acc = (uint32_t)(step % c->cwnd);
	grow(c, (uint32_t)(step / c->cwnd));
}

/* One RTT sample or none (RFC 9406 section 4.2). */
static void hystart_sample(struct tg_cc *c, struct cubic *s, uint32_t rtt_us)
{
	uint32_t thresh;

	if (!rtt_us)
		return;
	s->hy.this_min = min32(s->hy.this_min, rtt_us);
	if (s->samples < UINT8_MAX)
		s->samples++;
	if (s->samples < HY_SAMPLES)
		return;
	if (s->flags & F_CSS) {
		if (s->hy.this_min < s->hy.css_base) { /* it was jitter: back to slow start */
			s->hy.css_base = NO_RTT;
			s->flags &= (uint8_t)~F_CSS;
		}
	} else if (s->hy.last_min != NO_RTT) {
		thresh = max32(HY_MIN_RTT_THRESH,
			min32(s->hy.last_min / HY_RTT_DIVISOR, HY_MAX_RTT_THRESH));
		if (s->hy.this_min >= s->hy.last_min && s->hy.this_min - s->hy.last_min >= thresh) {
			s->hy.css_base = s->hy.this_min;
			s->css_rounds = 0;
			s->flags |= F_CSS;
		}
	}
}

static void hystart_round(struct tg_cc *c, struct cubic *s, const struct tg_cc_ack *a)
{
	if (s->flags & F_HY_ROUND) {
		if ((int32_t)(a->snd_una - s->hy.window_end) < 0)
			return;
		if (s->flags & F_CSS && ++s->css_rounds >= HY_CSS_ROUNDS)
			c->ssthresh = c->cwnd; /* congestion avoidance from here on */
		s->hy.last_min = s->hy.this_min;
	}
	s->flags |= F_HY_ROUND;
	s->hy.window_end = a->snd_nxt;
	s->hy.this_min = NO_RTT;
	s->samples = 0;
}

static void slow_start(struct tg_cc *c, const struct tg_cc_ack *a)
{
	struct cubic *s = state(c);
	uint32_t by =
		a->acked; /* RFC 9406's L is infinity, as Linux has it (RFC 3465 with no limit) */

	if (s->flags & F_HYSTART) {
		hystart_sample(c, s, a->rtt_us);
		if (s->flags & F_CSS)
			by /= HY_CSS_DIVISOR;
	}
	if (a->limited)
		grow(c, min32(by, c->ssthresh - c->cwnd));
	if (s->flags & F_HYSTART)
		hystart_round(c, s, a);
}

static void cubic_on_ack(struct tg_cc *c, const struct tg_cc_ack *a)
{
	if (c->cwnd < c->ssthresh)
		slow_start(c, a);
	else
		avoid_congestion(c, a);
}

/* Section 4.6, with cwnd in FlightSize's place, which it allows to who grows cwnd only when it
 * limits: the ACKs of a turn are all read before anything is sent, so what is in flight just now is
 * less than what the path was carrying. */
static void reduce(struct tg_cc *c)
{
	struct cubic *s = state(c);

	s->prior_cwnd = c->cwnd;
	s->prior_ssthresh = c->ssthresh;
	s->prior_w_max = s->w_max;
	s->prior_flags = s->flags & F_AFTER_RTO;
	/* Fast convergence (4.7): the plateau sinks, others get room sooner. */
	s->w_max = c->cwnd < s->w_max ? FAST_CONVERGENCE(c->cwnd) : c->cwnd;
	c->ssthresh = BETA(c->cwnd);
	c->ssthresh = max32(c->ssthresh - c->ssthresh % c->mss, 2 * c->mss);
	s->flags = F_UNDO;
}

static void cubic_on_loss(struct tg_cc *c, uint64_t now, uint32_t flight)
{
	reduce(c);
}

static void cubic_on_ecn(struct tg_cc *c, uint64_t now, uint32_t flight)
{
	reduce(c);
	c->cwnd = min32(c->cwnd, c->ssthresh);
	state(c)->flags &= (uint8_t)~F_UNDO; /* a mark is never spurious */
}

static void cubic_on_rto(struct tg_cc *c, uint64_t now, uint32_t flight)
{
	reduce(c);
	state(c)->flags |= F_AFTER_RTO;
	c->cwnd = c->mss;
}

static void cubic_on_idle(struct tg_cc *c, uint64_t now, uint64_t idle, uint64_t rto)
{
	uint32_t low = min32(c->cwnd, tg_cc_initial_window(c->mss));

	if (idle <= rto)
		return;
	/* What is known of the path ages: half of the window for each RTO, down to what a new
	 * connection would begin with; ssthresh remembers the rest (RFC 2861; RFC 5681
	 * section 4.1 would drop to the end of it at once; Linux: tcp_cwnd_restart). */
	if (c->ssthresh != TG_CC_SSTHRESH_MAX)
		c->ssthresh = max32(c->ssthresh, c->cwnd / 4 * 3);
	for (; idle > rto && c->cwnd > low; idle -= rto)
		c->cwnd /= 2;
	c->cwnd = max32(c->cwnd, low);
	if (state(c)->flags & F_EPOCH)
		state(c)->flags &= (uint8_t)~F_EPOCH;
}

/* Section 4.9. The next ACK begins a new stage from the old window: where it was on its curve is
 * not kept, the plateau is. */
static void cubic_undo(struct tg_cc *c, uint64_t now)
{
	struct cubic *s = state(c);

	if (!(s->flags & F_UNDO))
		return;
	c->cwnd = max32(c->cwnd, s->prior_cwnd);
	c->ssthresh = max32(c->ssthresh, s->prior_ssthresh);
	s->w_max = s->prior_w_max;
	s->flags = s->prior_flags;
}

const struct tg_cc_ops tg_cc_cubic = {
	.name = "cubic",
	.init = cubic_init,
	.on_ack = cubic_on_ack,
	.on_loss = cubic_on_loss,
	.on_rto = cubic_on_rto,
	.on_ecn = cubic_on_ecn,
	.on_idle = cubic_on_idle,
	.undo = cubic_undo,
};
