/* port.h: the configured ports as ethdevs.
 *
 * Each is probed from its device string, configured with as many queues as there are workers (or
 * as the device has), with a symmetric RSS key and table where the device can, started, and waited
 * for. What a device cannot do is done in software: checksums and steering by lib/net, sending on a
 * shared queue behind a mutex. Control core only, but for tg_port_ops.
 */
#ifndef TIDEGATE_APP_PORT_H
#define TIDEGATE_APP_PORT_H

#include "app.h"

int tg_ports_start(struct tg_app *app, struct tg_errbuf *e);
void tg_ports_stop(struct tg_app *app);

/* Link state and device counters, for /ready's friends and rx_no_buffer. About once a second. True
 * if a link came up since the last look: addresses should be announced again. */
bool tg_ports_look(struct tg_app *app);

/* tx with a struct tg_txq. */
extern const struct tg_netif_ops tg_port_ops;

#endif
