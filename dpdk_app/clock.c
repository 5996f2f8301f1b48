#include "clock.h"

#define NS_PER_SEC UINT64_C(1000000000)

static uint64_t scale(uint64_t ns, uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ns << 32) / ticks);
}

void tg_clock_init(struct tg_clock *c, uint64_t tsc, uint64_t mono, uint64_t hz)
{
	c->tsc = tsc;
	c->ns = c->mono = mono;
	c->mult = c->nominal = scale(NS_PER_SEC, hz);
}

void tg_clock_correct(struct tg_clock *c, uint64_t tsc, uint64_t mono)
{
	uint64_t slack = c->nominal / 20, ticks, own, rate, lag;

	if (tsc <= c->tsc || mono <= c->mono)
		return;
	ticks = tsc - c->tsc;
	own = tg_clock_at(c, tsc);
	rate = scale(mono - c->mono, ticks);
	if (mono > own && mono - own > NS_PER_SEC)
		own = mono;
	/* Make up for the difference over as many ticks as lie behind; the clamp keeps a reading
	 * that was delayed between its two halves from bending time. */
	lag = mono > own ? mono - own : own - mono;
	lag = scale(lag < NS_PER_SEC ? lag : NS_PER_SEC, ticks);
	if (mono > own)
		rate += lag;
	else
		rate = rate > lag ? rate - lag : 0;
	if (rate > c->nominal + slack)
		rate = c->nominal + slack;
	if (rate < c->nominal - slack)
		rate = c->nominal - slack;
	c->tsc = tsc;
	c->ns = own;
	c->mono = mono;
	c->mult = rate;
}
