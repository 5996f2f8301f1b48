/* yield.c: connections that one worker keeps idle and another cannot do without.
 *
 * Each worker owns a lease of a connection to a cluster, unless the limit is too small for that.
 * Then one worker may hold all that are allowed, with nothing to do on them, while another's
 * requests wait. Workers do not call each other: a few milliseconds' look is enough for what is so
 * rare.
 */
#include "internal.h"

#define EVERY (5 * TG_MS)

void px_yield_arm(const struct px_endpoint *ep)
{
	struct tg_proxy *p = ep->proxy;

	if (tg_likely(!tg_breaker_scarce(ep->breaker, TG_PRIORITY_DEFAULT) &&
		      !tg_breaker_scarce(ep->breaker, TG_PRIORITY_HIGH)))
		return;
	if (!tg_timer_running(&p->yield_timer))
		tg_timer_start(p->wheel, &p->yield_timer, p->yield_kind, EVERY);
}

static void look_at(struct px_endpoint *ep)
{
	struct tg_breaker *b = ep->breaker;

	if (ep->n_idle && !ep->n_pending && tg_breaker_others_starve(b))
		px_up_release(TG_CONTAINER(ep->idle.next, struct px_up, link), PX_RELEASE_CLOSE);
	else if (ep->n_pending)
		px_up_try_again(ep); /* starves again if it must */
}

static void on_timer(void *ctx, struct tg_timer *t)
{
	struct tg_proxy *p = ctx;

	for (struct tg_breaker *b = p->known; b; b = b->next)
		tg_breaker_starve(b, false);
	for (uint32_t i = 0; i < p->endpoint_pool.fresh; i++) {
		struct px_endpoint *ep = tg_pool_at(&p->endpoint_pool, i);

		if (!ep->used)
			continue;
		ep->refs++;
		look_at(ep);
		if (ep->n_idle || ep->n_pending)
			px_yield_arm(ep);
		px_endpoint_put(ep);
	}
}

int px_yield_init(struct tg_proxy *p)
{
	int kind = tg_wheel_kind(p->wheel, on_timer, p);

	p->yield_kind = (uint8_t)kind;
	return kind < 0 ? kind : 0;
}
