/* worker.h: one core's whole dataplane, and the loop that turns it.
 *
 * Made and destroyed by the control core; turned by its lcore in between; told what to do through
 * one slot (struct tg_order), which it looks at every ORDER_TURNS turns and when idle.
 */
#ifndef TIDEGATE_APP_WORKER_H
#define TIDEGATE_APP_WORKER_H

#include "app.h"

/* Makes app->workers with all that they own. */
int tg_workers_start(struct tg_app *app, struct tg_errbuf *e);
void tg_workers_stop(struct tg_app *app);

/* Starts and ends the loops. tg_workers_halt() returns when every loop has ended. */
int tg_workers_run(struct tg_app *app, struct tg_errbuf *e);
void tg_workers_halt(struct tg_app *app);

/* Gives all workers the order and waits until all have carried it out: microseconds as a rule.
 * False: one did not within 10 s (said in the log); the order must then stay valid. */
bool tg_workers_order(struct tg_app *app, struct tg_order *o);

#endif
