/* control.h: the control core: signals, reloads, drain, housekeeping.
 *
 * It runs on the main lcore, waits in epoll, and never touches a packet. Snapshots: it makes them,
 * hands them to the workers, and frees those that nobody uses any more.
 */
#ifndef TIDEGATE_APP_CONTROL_H
#define TIDEGATE_APP_CONTROL_H

#include "app.h"

/* Loads app->config_path into app->boot, with statistics. Errors have been printed when it fails.
 */
int tg_config_start(struct tg_app *app, struct tg_errbuf *e);
void tg_config_stop(struct tg_app *app);

/* Blocks the signals that are ours in this thread and those that it makes, and opens what
 * tg_app_command() needs. */
int tg_control_start(struct tg_app *app, struct tg_errbuf *e);
void tg_control_stop(struct tg_app *app);

/* Launches the workers, serves until told to end, ends the workers. 0 or an error with text. */
int tg_control_run(struct tg_app *app, struct tg_errbuf *e);

/* dataplane.user. */
int tg_privileges_drop(struct tg_app *app, struct tg_errbuf *e);

#endif
