/* set.h: zones of what a worker chooses from (lb.h); private to lib/route. */
#ifndef TG_ROUTE_SET_H
#define TG_ROUTE_SET_H

#include <tidegate/route.h>

enum set_state { SET_BAD, SET_GOOD, SET_DEGRADED };

/* What zone_aware_lb_config comes to, besides set->zoning and set->local_part. */
struct zone_plan {
	uint32_t room[TG_LOCALITIES_MAX]; /* what is left in each: TG_ZONING_RESIDUAL */
};
/* Of the verdicts in set->state, enum set_state. */
void zone_plan(struct tg_lb_set *set, const struct tg_cluster *c, struct zone_plan *plan);
/* What each zone of group g, of this priority, gets; it has its endpoints. */
void zone_share(struct tg_lb_set *set, const struct tg_cluster *c, const struct zone_plan *plan,
	struct tg_lb_group *g, uint32_t priority);

/* c->by_zone, if c goes by zone. TG_ENOMEM. */
int zone_compile(struct tg_cluster *c, tg_alloc_fn *alloc, void *ctx);
/* Weights of c's endpoints in a table over all of them, to be freed: a locality's weight goes to
 * its endpoints by theirs, within their priority, as in Envoy. NULL: no memory. */
double *zone_table_weights(const struct tg_cluster *c);

#endif
