/* dns.h: endpoints that the configuration calls by name: looked up, followed, handed to the
 * workers.
 *
 * Control core only. A cluster with type STRICT_DNS or LOGICAL_DNS has a `live` twin with the
 * endpoints that its names stand for now. Each change makes a new twin, tables of the balancer
 * included, which the workers adopt between two turns (TG_ORDER_LIVE); the old one is freed then,
 * or when no reader of snapshots is about: requests under way keep nothing of it. What was found
 * outlives reloads: only names that are new are waited for, before the configuration is taken into
 * use, and not for long.
 *
 * A lookup that fails changes nothing. One that finds no address empties a STRICT_DNS cluster and
 * leaves a LOGICAL_DNS one as it is, as in Envoy. The resolver's sockets are the kernel's, in the
 * network namespace of the process; its threads and servers are none of the dataplane's.
 */
#ifndef TG_APP_DNS_H
#define TG_APP_DNS_H

#include "app.h"

/* Step of the start: asks for the names of the first snapshot, and waits for answers for a while.
 */
int tg_names_start(struct tg_app *app, struct tg_errbuf *e);
void tg_names_stop(struct tg_app *app);

/* Gives the clusters of s, which has statistics, their live twins. Errors go to err; nothing has
 * changed then. What only the former snapshot needs goes when s is in use: tg_names_adopted(). */
bool tg_names_load(struct tg_app *app, struct tg_snapshot *s, FILE *err);
void tg_names_adopted(struct tg_app *app);
/* s is about to be freed. */
void tg_names_forget(struct tg_snapshot *s);

/* As tg_tls_attach() and tg_tls_poll(). */
void tg_names_attach(struct tg_app *app, int epoll);
int tg_names_poll(struct tg_app *app);
/* Every second or so: frees what nobody uses any more. */
void tg_names_look(struct tg_app *app);

#endif
