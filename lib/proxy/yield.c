/* yield.c: connections that one worker keeps and another cannot do without.
 *
 * No part of a cluster's limit belongs to a worker, so one may hold all the connections that are
 * allowed while another's requests wait: it says so (tg_breaker_need()), and who has idle ones
 * gives them up here; who has none idle does so when a request ends (px_up_release()). Workers do
 * not call each other: while somebody needs something, a look every few milliseconds is enough for
 * what is so rare, and until then there is no timer.
 */
#include "internal.h"

#define EVERY (5 * TG_MS)

static void start_timer(struct tg_proxy *p)
{
	if (!tg_timer_running(&p->yield_timer))
		tg_timer_start(p->wheel, &p->yield_timer, p->yield_kind, EVERY);
}

void tg_proxy_attend(struct tg_proxy *p)
{
	if (tg_unlikely(tg_breakers_needed(p->breakers)) && !tg_list_empty(&p->live))
		start_timer(p);
}

void px_yield_arm(struct px_endpoint *ep)
{
	if (tg_likely(ep->breaker->n_workers == 1))
		return;
	if (tg_list_empty(&ep->live))
		tg_list_push(&ep->proxy->live, &ep->live);
	if (ep->n_pending)
		start_timer(ep->proxy);
}

static bool others_need(const struct tg_breaker *b)
{
	return tg_breaker_others_need(b, TG_PRIORITY_DEFAULT) ||
	       tg_breaker_others_need(b, TG_PRIORITY_HIGH);
}

static void look_at(struct px_endpoint *ep)
{
	/* A part of them at a time: all others may give, and the need may soon be over. */
	uint32_t give = ep->n_idle / 4 + 1;

	if (ep->n_pending) {
		px_up_try_again(ep); /* needs again if it must */
		return;
	}
	while (ep->n_idle && give-- && others_need(ep->breaker))
		px_up_release(TG_CONTAINER(ep->idle.next, struct px_up, link), PX_RELEASE_CLOSE);
}

/* All of p->live, into a ring of its own: what is looked at may come back. */
static void take_live(struct tg_proxy *p, struct tg_link *ring)
{
	struct tg_link *l;

	tg_list_init(ring);
	while ((l = tg_list_shift(&p->live)))
		tg_list_push(ring, l);
}

static void on_timer(void *ctx, struct tg_timer *t)
{
	struct tg_proxy *p = ctx;
	struct tg_link ring, *l;

	take_live(p, &ring);
	tg_list_for_each (at, &ring)
		for (uint32_t i = 0; i < TG_PRIORITIES; i++)
			tg_breaker_need(TG_CONTAINER(at, struct px_endpoint, live)->breaker, i,
				TG_NEED_NONE);
	while ((l = tg_list_shift(&ring))) {
		struct px_endpoint *ep = TG_CONTAINER(l, struct px_endpoint, live);

		ep->refs++;
		look_at(ep);
		if (ep->n_idle || ep->n_pending)
			px_yield_arm(ep);
		px_endpoint_put(ep);
	}
	tg_proxy_attend(p); /* again, while somebody needs something */
}

int px_yield_init(struct tg_proxy *p)
{
	int kind = tg_wheel_kind(p->wheel, on_timer, p);

	p->yield_kind = (uint8_t)kind;
	return kind < 0 ? kind : 0;
}

void px_yield_end(struct tg_proxy *p)
{
	for (struct tg_breaker *b = p->known; b; b = b->next)
		for (uint32_t i = 0; i < TG_PRIORITIES; i++)
			tg_breaker_need(b, i, TG_NEED_NONE);
}
