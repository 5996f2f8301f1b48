/* snapshots.h: generations of the configuration: loaded, current, old, freed. Control core, but for
 * tg_app_hold() and tg_app_release(). */
#ifndef TIDEGATE_APP_SNAPSHOTS_H
#define TIDEGATE_APP_SNAPSHOTS_H

#include "app.h"

/* Loads app->config_path anew. The result is app->current, and the former one will be freed when
 * no worker uses it. NULL: nothing has changed; why is in the log and in app->reload_error. */
struct tg_snapshot *tg_snapshots_load(struct tg_app *app);
/* All workers have adopted next: endpoints that only old has are not ejected any more (health.h).
 */
void tg_snapshots_replaced(struct tg_snapshot *old, const struct tg_snapshot *next);
/* Frees the old ones that no worker, exchange or reader uses. */
void tg_snapshots_sweep(struct tg_app *app);

#endif
