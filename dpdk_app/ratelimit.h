/* ratelimit.h: the thread that leases tokens of limits over several nodes from Redis (quota.h's
 * keeper).
 *
 * Runs on the control core's CPUs, beside it, so that a reload does not hold answers up; not there
 * as long as no configuration has a `rate_limit_service`. The table of keys is made with the first
 * that has one, and stays until the end. Control core, but for the counters.
 */
#ifndef TIDEGATE_APP_RATELIMIT_H
#define TIDEGATE_APP_RATELIMIT_H

#include <stdio.h>

#include <tidegate/quota.h>
#include <tidegate/redis.h>

#include "app.h"

/* Gives the snapshot its table. False: it cannot be, which was printed. */
bool tg_ratelimit_prepare(struct tg_app *app, struct tg_snapshot *s, FILE *err);
/* From now on the service is the one of s, if it is another than before's. */
void tg_ratelimit_change(
	struct tg_app *app, const struct tg_snapshot *before, const struct tg_snapshot *s);
int tg_ratelimit_start(struct tg_app *app, struct tg_errbuf *e);
void tg_ratelimit_stop(struct tg_app *app);
/* After the last worker and snapshot. */
void tg_ratelimit_free(struct tg_app *app);

/* A worker has nothing to do: wakes the thread if there is something for it. */
void tg_ratelimit_rest(struct tg_app *app);

struct tg_ratelimit_counts {
	struct tg_quota_counts quota;
	struct tg_redis_counts redis;
};
/* Any thread; zeros where there is no service. */
void tg_ratelimit_counts(const struct tg_app *app, struct tg_ratelimit_counts *out);

#endif
