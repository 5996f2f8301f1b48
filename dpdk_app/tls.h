/* tls.h: certificates and keys of the process: loaded, watched, handed to the workers.
 *
 * Control core only, but for tg_tls_certs() and tg_tls_usable(). The configuration's `tls: { }`
 * groups get ids that stay the same over reloads (equal groups share one), so that what is under
 * way under an old snapshot dials with the contexts that it knows. Each change of a file makes a
 * new set, whole or not at all, which the workers adopt between two turns.
 */
#ifndef TG_APP_TLS_H
#define TG_APP_TLS_H

#include "app.h"

/* Step of the start: loads what the first snapshot names. */
int tg_tls_start(struct tg_app *app, struct tg_errbuf *e);
void tg_tls_stop(struct tg_app *app);

/* For --check: every error to err, with the configuration's name in front. False: there were some.
 */
bool tg_tls_check(const char *path, const struct tg_snapshot *s, FILE *err);

/* Loads what s names beside what is in use; on success s may be adopted together with the current
 * set, and is remembered until tg_tls_forget(). Errors go to err; nothing has changed then. */
bool tg_tls_load(struct tg_app *app, struct tg_snapshot *s, FILE *err);
void tg_tls_forget(struct tg_app *app, const struct tg_snapshot *s);

/* The set to adopt. */
struct tg_tls_set *tg_tls_current(struct tg_app *app);

/* Whether handshakes under conf, of the current snapshot, can begin; any thread but a worker. */
bool tg_tls_usable(struct tg_app *app, const struct tg_tls_conf *conf);

/* Every certificate in use; any thread but a worker. */
void tg_tls_certs(
	struct tg_app *app, void (*each)(void *arg, const struct tg_tls_cert *c), void *arg);

/* Changes of certificates that were taken into use, and tries that were not; any thread. */
struct tg_tls_counts {
	uint64_t rotations, rotation_failures;
	/* The Workload API's (spiffe.h); 0 where nobody needs it. */
	uint64_t agent_connected, agent_updates, agent_updates_bad, agent_failures;
};
void tg_tls_counts(struct tg_app *app, struct tg_tls_counts *out);

/* Every second or so: tickets' keys, lines for the log, files where nobody tells of changes. */
void tg_tls_look(struct tg_app *app);

/* Files are watched from now on: epoll wakes the caller when tg_tls_poll() has something to do. */
void tg_tls_attach(struct tg_app *app, int epoll);
/* Never waits, except for workers that adopt what changed. Returns in how many ms it wants to be
 * called again; -1: when epoll says so. */
int tg_tls_poll(struct tg_app *app);

#endif
