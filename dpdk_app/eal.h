/* eal.h: DPDK's environment, started with arguments made from the configuration.
 *
 * Memory, best first:
 *   shared hugepages   enough of them are free and a hugetlbfs is mounted: other DPDK processes may
 *                      attach, which is what dpdk-dumpcap does
 *   private hugepages  enough are free, but none is mounted (--in-memory): no capture
 *   ordinary pages     --no-huge: slower by TLB misses, no capture; with a warning
 * dataplane.eal is appended and wins where it says otherwise.
 */
#ifndef TIDEGATE_APP_EAL_H
#define TIDEGATE_APP_EAL_H

#include "app.h"

int tg_eal_start(struct tg_app *app, struct tg_errbuf *e);
void tg_eal_stop(struct tg_app *app);

/* The first thing that DPDK complained of since the last call, for an error message:
 * " (DPDK: ...)" or "". */
const char *tg_eal_said(void);
/* Whether a device string is a PCI address ("0000:03:00.0", "03:00.1", with or without
 * ",arguments"). */
bool tg_device_is_pci(const char *device);

/* Packet buffers: app->mbufs. */
int tg_mbufs_start(struct tg_app *app, struct tg_errbuf *e);
void tg_mbufs_stop(struct tg_app *app);

#endif
