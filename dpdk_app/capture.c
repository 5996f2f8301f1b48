#include "capture.h"

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_pcapng.h>
#include <rte_pdump.h>

/* The library sets its clock when it stamps the first packet, and up to DPDK 22.11 a packet from
 * before that moment, as the first always is, shifts that clock by 2^64 cycles: centuries. So it
 * gets its first packet here, from a little later than now. */
static void set_clock(struct tg_app *app)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(app->mbufs), *copy;

	if (!m)
		return;
	if (rte_pktmbuf_append(m, RTE_ETHER_MIN_LEN)) {
		copy = rte_pcapng_copy(0, 0, m, app->mbufs, RTE_ETHER_MIN_LEN,
			rte_get_tsc_cycles() + rte_get_tsc_hz() / 2, RTE_PCAPNG_DIRECTION_IN);
		rte_pktmbuf_free(copy);
	}
	rte_pktmbuf_free(m);
}

int tg_capture_start(struct tg_app *app, struct tg_errbuf *e)
{
	(void)e;
	if (app->memory_kind != TG_MEMORY_SHARED || rte_pdump_init())
		return 0;
	app->capture = true;
	set_clock(app);
	tg_say(TG_INFO, "packets can be captured: dpdk-dumpcap --file-prefix=%s -i 0",
		app->file_prefix);
	return 0;
}

void tg_capture_stop(struct tg_app *app)
{
	if (app->capture)
		rte_pdump_uninit();
	app->capture = false;
}
