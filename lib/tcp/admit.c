#include "admit.h"

#include <string.h>

#include <tidegate/rng.h>

#define FULL_FIRST \
	24          /* full bursts before the budget shrinks: what a herd of clients may bring \
		     */
#define FULL_MORE 4 /* and before it shrinks again */
#define CALM 64     /* bursts without a backlog before it grows by one */
#define PROOF_LASTS_MS (3600u * 1000)

void tg_admit_init(struct tg_admit *a, uint64_t seed)
{
	memset(a, 0, sizeof(*a));
	a->seed = seed;
	a->budget = TG_ADMIT_ALL;
}

void tg_admit_burst(struct tg_admit *a, bool backlog)
{
	a->used = 0;
	if (backlog) {
		a->calm = 0;
		if (++a->full < (a->budget == TG_ADMIT_ALL ? FULL_FIRST : FULL_MORE))
			return;
		a->full = 0;
		a->budget = a->budget / 2 > TG_ADMIT_LEAST ? a->budget / 2 : TG_ADMIT_LEAST;
		return;
	}
	a->full = 0;
	if (a->budget < TG_ADMIT_ALL && ++a->calm >= CALM) {
		a->calm = 0;
		a->budget++;
	}
}

bool tg_admit_stranger(struct tg_admit *a)
{
	if (a->budget == TG_ADMIT_ALL)
		return true;
	if (a->used >= a->budget)
		return false;
	a->used++;
	return true;
}

static struct tg_admit_source *place_of(
	struct tg_admit *a, const struct tg_ip *source, uint32_t *tag)
{
	uint64_t h = tg_hash64(a->seed, source->b, tg_ip_is_v4(source) ? 16 : 8);

	*tag = (uint32_t)(h >> 32) | 1;
	return &a->sources[h % TG_ADMIT_SOURCES];
}

void tg_admit_proven(struct tg_admit *a, const struct tg_ip *source, uint32_t now_ms)
{
	uint32_t tag;
	struct tg_admit_source *s = place_of(a, source, &tag);

	if (s->tag != tag)
		*s = (struct tg_admit_source){
			.tag = tag, .fill_ms = now_ms, .tokens = TG_ADMIT_BURST};
	s->seen_ms = now_ms;
}

static bool take_token(struct tg_admit_source *s, uint32_t now_ms)
{
	uint32_t more = (now_ms - s->fill_ms) * TG_ADMIT_RATE;

	if (now_ms - s->fill_ms > TG_ADMIT_BURST || more > TG_ADMIT_BURST - s->tokens)
		s->tokens = TG_ADMIT_BURST;
	else
		s->tokens += more;
	s->fill_ms = now_ms;
	if (!s->tokens)
		return false;
	s->tokens--;
	return true;
}

bool tg_admit_syn(struct tg_admit *a, const struct tg_ip *source, uint32_t now_ms)
{
	struct tg_admit_source *s;
	uint32_t tag;

	if (a->budget == TG_ADMIT_ALL)
		return true;
	s = place_of(a, source, &tag);
	if (s->tag == tag && now_ms - s->seen_ms < PROOF_LASTS_MS && take_token(s, now_ms))
		return true;
	return tg_admit_stranger(a);
}
