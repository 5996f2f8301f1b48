/* iface.h: the kernel's interface below a port (net_af_xdp, net_af_packet): is it there, is it
 * free, what will be left on it. Other devices have none. Control core only. */
#ifndef TIDEGATE_APP_IFACE_H
#define TIDEGATE_APP_IFACE_H

#include "app.h"

/* Before the device is opened: opening net_af_xdp on an interface that another process uses would
 * take that one's XDP program off. Sets ifindex and what was there before. TG_EINVAL, TG_ENOENT,
 * TG_EEXIST with text. */
int tg_iface_check(const struct tg_app *app, struct tg_port *p, struct tg_errbuf *e);
/* What the device has left on it, should we end without undoing it. */
void tg_iface_tell_janitor(struct tg_app *app, const struct tg_port *p);

/* Sets the mtu of the interface to p->mtu, unless it has it. TG_ENOENT: there is none below;
 * TG_ESYS. */
int tg_iface_set_mtu(const struct tg_port *p);

/* The value of key ("iface=") in a device string, into out; false: not in it. */
bool tg_device_arg(const char *device, const char *key, char *out, size_t cap);

#endif
