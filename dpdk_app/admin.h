/* admin.h: the admin interface, HTTP on a unix socket and, if configured, a TCP address of the
 * kernel's.
 *
 * Served by libmicrohttpd in threads of its own (two for each address, so that a slow scrape does
 * not hold up /ready). They never write what a worker owns and never wait for one: counters are
 * read with plain loads, snapshots are held with tg_app_hold(), orders go to the control core with
 * tg_app_command(). Bounds: ADMIN_CONNECTIONS an address, idle ones closed after ADMIN_TIMEOUT_S.
 * The threads block all signals and inherit the CPUs of their maker.
 *
 * Paths, parameters and formats are Envoy's where it has them; `/help` lists all. Whoever can open
 * the socket (mode 0660) can drain the process: there is no other authentication.
 */
#ifndef TIDEGATE_APP_ADMIN_H
#define TIDEGATE_APP_ADMIN_H

#include "app.h"

/* Binds what app->boot->admin asks for and starts serving; with neither socket nor address nothing
 * is done. May be called before the workers are there: until the state leaves TG_STATE_INIT, they
 * are not looked at. Sets app->admin. TG_ESYS, TG_EEXIST (a living process has the socket),
 * TG_ENOMEM, with text. */
int tg_admin_start(struct tg_app *app, struct tg_errbuf *e);
/* Ends all requests and removes the socket; call it before workers, sink or snapshots are taken
 * down. NULL is fine. */
void tg_admin_stop(struct tg_app *app);

#endif
