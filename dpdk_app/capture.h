/* capture.h: dpdk-dumpcap may copy the packets of this process (rte_pdump). It attaches by shared
 * hugepages; without them there is nothing to start. Control core only. */
#ifndef TIDEGATE_APP_CAPTURE_H
#define TIDEGATE_APP_CAPTURE_H

#include "app.h"

/* After the packet buffers, before the ports. Never fails: what cannot be captured can be carried.
 */
int tg_capture_start(struct tg_app *app, struct tg_errbuf *e);
void tg_capture_stop(struct tg_app *app);

#endif
