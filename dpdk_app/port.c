#include "port.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "eal.h"
#include "iface.h"
#include "rss.h"

#define DESCRIPTORS 2048
#define LINK_WAIT_MS 5000

/* --- sending --- */

static uint16_t send_burst(struct tg_txq *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent;

	if (!q->lock)
		return rte_eth_tx_burst(q->port, q->queue, pkts, n);
	/* A device with fewer queues than there are workers: never with RSS and queues enough. */
	pthread_mutex_lock(q->lock);
	sent = rte_eth_tx_burst(q->port, q->queue, pkts, n);
	pthread_mutex_unlock(q->lock);
	return sent;
}

static uint16_t port_tx(void *dev, struct rte_mbuf **pkts, uint16_t n)
{
	struct tg_txq *q = dev;
	enum tg_stage before = tg_tax_enter(q->tax, TG_STAGE_tx);
	uint16_t sent = send_burst(q, pkts, n);

	tg_tax_leave(q->tax, before);
	return sent;
}

const struct tg_netif_ops tg_port_ops = {.tx = port_tx};

/* --- probing --- */

static int find_port(const char *name, uint16_t *id)
{
	struct rte_eth_dev_info info;
	uint16_t i;

	RTE_ETH_FOREACH_DEV (i) {
		char eth[RTE_ETH_NAME_MAX_LEN];

		if (rte_eth_dev_get_name_by_port(i, eth) == 0 && strcmp(eth, name) == 0) {
			*id = i;
			return 0;
		}
		if (rte_eth_dev_info_get(i, &info) == 0 && info.device) {
			const char *dev = rte_dev_name(info.device);

			/* "03:00.0" means domain 0. */
			if (strcmp(dev, name) == 0 ||
				(strlen(dev) == 12 && strcmp(dev + 5, name) == 0)) {
				*id = i;
				return 0;
			}
		}
	}
	return TG_ENOENT;
}

static int probe_pci(struct tg_port *p, const char *name, struct tg_errbuf *e)
{
	if (find_port(name, &p->id) == 0)
		return 0;
	return tg_fail(e, TG_ENOENT,
		"port %s: no DPDK driver has PCI device %s: see \"dpdk-devbind.py -s\", then "
		"\"dpdk-devbind.py -b vfio-pci %s\"%s",
		p->conf->name, name, name, tg_eal_said());
}

static int probe_vdev(
	const struct tg_app *app, struct tg_port *p, const char *name, struct tg_errbuf *e)
{
	int rc;

	for (const struct tg_port *o = app->ports; o < p; o++)
		if (find_port(name, &p->id) == 0 && o->id == p->id)
			return tg_fail(e, TG_EEXIST,
				"port %s: port %s has device %s already; number them: net_af_xdp0, "
				"net_af_xdp1 ...",
				p->conf->name, o->conf->name, name);
	tg_eal_said();
	rc = rte_dev_probe(p->conf->device);
	if (rc == 0 && find_port(name, &p->id) == 0)
		return 0;
	return tg_fail(e, TG_ESYS, "port %s: DPDK cannot open \"%s\": %s%s%s", p->conf->name,
		p->conf->device,
		rc == 0 || rc == -EFAULT ? "no driver of that name, or not written as "
					   "DRIVER0,argument=value"
					 : strerror(-rc),
		tg_eal_said(), getuid() ? "; it may need root" : "");
}

static int probe(const struct tg_app *app, struct tg_port *p, struct tg_errbuf *e)
{
	const char *d = p->conf->device;
	char name[RTE_DEV_NAME_MAX_LEN];
	int rc = tg_iface_check(app, p, e);

	if (rc)
		return rc;
	if (strncmp(d, "pci:", 4) == 0)
		d += 4;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(d, ","), d);
	return tg_device_is_pci(d) ? probe_pci(p, name, e) : probe_vdev(app, p, name, e);
}

/* --- configuration --- */

static int choose_queues(struct tg_port *p, const struct rte_eth_dev_info *info, uint32_t workers,
	struct tg_errbuf *e)
{
	uint32_t most = RTE_MIN(info->max_rx_queues, info->max_tx_queues), n = p->conf->queues;

	/* Queues that the other side must know of: only when asked. */
	if (!n)
		n = strcmp(info->driver_name, "net_memif") ? RTE_MIN(workers, most) : 1;
	if (n > most)
		return tg_fail(e, TG_ERANGE,
			"port %s: queues = %u, but device %s has %u (some devices have an argument "
			"for it: qpairs=, queue_count=)",
			p->conf->name, n, info->driver_name, most);
	if (n > workers) {
		tg_say(TG_WARN, "port %s: queues = %u, but there are %u workers: using %u",
			p->conf->name, n, workers, workers);
		n = workers;
	}
	p->n_queues = (uint16_t)n;
	return 0;
}

/* The most that the device takes. net_af_packet names Ethernet's usual frame as its limit and takes
 * what its ring's frames hold (tg_iface_check); net_tap means it. */
static uint16_t largest_mtu(const struct rte_eth_dev_info *info)
{
	uint32_t overhead = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;

	if (info->max_mtu == UINT16_MAX && info->max_rx_pktlen > overhead)
		return (uint16_t)RTE_MIN(info->max_rx_pktlen - overhead, UINT16_MAX);
	return info->max_mtu;
}

static int configure(struct tg_app *app, struct tg_port *p, const struct rte_eth_dev_info *info,
	struct tg_errbuf *e)
{
	struct rte_eth_conf conf = {0};
	uint64_t rx = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	uint64_t tx = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
		      RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	uint16_t most = largest_mtu(info);
	int rc;

	p->mtu = p->conf->mtu;
	if (p->mtu > most && strcmp(info->driver_name, "net_af_packet"))
		return tg_fail(e, TG_ERANGE, "port %s: mtu = %u, but device %s takes at most %u",
			p->conf->name, p->mtu, info->driver_name, most);
	conf.rxmode.mtu = RTE_MAX(RTE_MIN(p->mtu, most), info->min_mtu);
	conf.rxmode.offloads = rx & info->rx_offload_capa;
	conf.txmode.offloads = tx & info->tx_offload_capa;
	if (p->n_queues > 1)
		tg_rss_conf(&app->steer, info, &conf);
	rc = rte_eth_dev_configure(p->id, p->n_queues, p->n_queues, &conf);
	if (rc)
		return tg_fail(e, TG_ESYS, "port %s: %s refuses %u queue(s): %s%s", p->conf->name,
			info->driver_name, p->n_queues, rte_strerror(-rc), tg_eal_said());
	p->rx_ipv4_csum = conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
	p->rx_tcp_csum = conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	p->tx_ipv4_csum = conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	p->tx_tcp_csum = conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	p->tx_room = conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS
			     ? RTE_MAX(info->tx_desc_lim.nb_seg_max, 1)
			     : 1;
	return 0;
}

static int set_queues(struct tg_app *app, struct tg_port *p, struct tg_errbuf *e)
{
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rx, &tx);

	for (uint16_t q = 0; q < p->n_queues && !rc; q++) {
		rc = rte_eth_rx_queue_setup(
			p->id, q, rx, (unsigned int)SOCKET_ID_ANY, NULL, app->mbufs);
		if (!rc)
			rc = rte_eth_tx_queue_setup(
				p->id, q, tx, (unsigned int)SOCKET_ID_ANY, NULL);
	}
	if (rc)
		return tg_fail(e, TG_ESYS, "port %s: device \"%s\" refuses its queues: %s%s%s",
			p->conf->name, p->conf->device, rte_strerror(-rc), tg_eal_said(),
			strcmp(p->driver, "net_af_xdp") == 0 ? "; has another process the queue, "
							       "or has its veth peer an mtu above "
							       "3498?"
							     : "");
	return 0;
}

static void set_mtu(struct tg_port *p)
{
	int rc = tg_iface_set_mtu(p);

	if (rc == TG_ENOENT)
		rc = rte_eth_dev_set_mtu(p->id, p->mtu);
	/* memif cannot set one; it takes what its buffers hold, 2048 bytes unless bsize= says else.
	 */
	if (rc && (rc != -ENOTSUP || p->mtu > 1500))
		tg_say(TG_WARN,
			"port %s: device %s cannot set mtu %u: larger frames than its own limit "
			"will "
			"be lost",
			p->conf->name, p->driver, p->mtu);
}

/* Neighbour discovery needs the solicited-node groups of all our addresses. */
static void hear_groups(struct tg_port *p)
{
	if (rte_eth_allmulticast_enable(p->id) == 0)
		return;
	if (rte_eth_promiscuous_enable(p->id) == 0)
		p->promiscuous = true;
}

static void set_mac(struct tg_port *p)
{
	struct rte_ether_addr a;

	if (rte_eth_macaddr_get(p->id, &a) == 0 && rte_is_valid_assigned_ether_addr(&a)) {
		memcpy(p->mac, &a, sizeof(p->mac));
		/* The kernel's end of a TAP has the device's address; ours must differ from it, as
		 * on any wire. The device filters nothing. */
		if (strcmp(p->driver, "net_tap") == 0)
			p->mac[5] ^= 1;
		return;
	}
	/* A device without an address (net_ring): a random one, locally administered. */
	rte_eth_random_addr(p->mac);
	memcpy(&a, p->mac, sizeof(a));
	rte_eth_dev_default_mac_addr_set(p->id, &a);
}

static int start_port(struct tg_app *app, struct tg_port *p, struct tg_errbuf *e)
{
	struct rte_eth_dev_info info;
	int rc = probe(app, p, e);

	if (rc)
		return rc;
	p->opened = true;
	rc = rte_eth_dev_info_get(p->id, &info);
	if (rc)
		return tg_fail(e, TG_ESYS, "port %s: DPDK knows nothing about it: %s",
			p->conf->name, rte_strerror(-rc));
	p->driver = info.driver_name;
	p->polled_by = (uint16_t)((p - app->ports) % app->n_workers);
	tg_eal_said(); /* drivers complain about what does not matter in the end */
	rc = choose_queues(p, &info, app->n_workers, e);
	if (!rc)
		rc = configure(app, p, &info, e);
	if (!rc)
		rc = set_queues(app, p, e);
	if (rc)
		return rc;
	set_mac(p);
	p->tx_shared = p->n_queues < app->n_workers;
	rc = rte_eth_dev_start(p->id);
	if (rc) {
		tg_iface_tell_janitor(app, p);
		return tg_fail(e, TG_ESYS, "port %s: device \"%s\" does not start: %s%s",
			p->conf->name, p->conf->device, rte_strerror(-rc), tg_eal_said());
	}
	p->started = true;
	set_mtu(p);
	hear_groups(p);
	tg_iface_tell_janitor(app, p);
	if (p->n_queues > 1)
		p->rx_rss_hash = tg_rss_start(&app->steer, p->id, p->n_queues, &info);
	return 0;
}

static void describe(const struct tg_app *app, const struct tg_port *p)
{
	const char *steered = "";

	if (app->n_workers > 1 && p->n_queues == 1)
		steered = ", one queue: the other workers get their packets through rings";
	else if (app->n_workers > 1 && !p->rx_rss_hash)
		steered = ", no symmetric RSS: packets for another worker go through its ring";
	tg_say(TG_INFO, "port %s: %s, %02x:%02x:%02x:%02x:%02x:%02x, mtu %u, %u queue(s)%s%s%s",
		p->conf->name, p->driver, p->mac[0], p->mac[1], p->mac[2], p->mac[3], p->mac[4],
		p->mac[5], p->mtu, p->n_queues,
		p->rx_tcp_csum && p->tx_tcp_csum ? ", checksums offloaded" : "", steered,
		atomic_load(&p->link_up) ? "" : ", link down");
}

/* --- links --- */

static bool link_is_up(const struct tg_port *p)
{
	struct rte_eth_link link;

	memset(&link, 0, sizeof(link));
	return rte_eth_link_get_nowait(p->id, &link) == 0 && link.link_status;
}

static uint32_t links_down(struct tg_app *app)
{
	uint32_t down = 0;

	for (uint32_t i = 0; i < app->n_ports; i++) {
		bool up = link_is_up(&app->ports[i]);

		atomic_store(&app->ports[i].link_up, up);
		down += !up;
	}
	return down;
}

static bool end_wanted(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT));
}

/* A link may come later (a cable, the peer of a memif): it is waited for, not insisted on. */
static void wait_for_links(struct tg_app *app)
{
	const struct timespec step = {.tv_nsec = 20 * 1000 * 1000};
	uint32_t down;

	for (uint32_t ms = 0; (down = links_down(app)) && ms < LINK_WAIT_MS; ms += 20) {
		if (end_wanted())
			return;
		if (ms == 500)
			tg_say(TG_INFO, "waiting for the link of %u port(s), up to %d s", down,
				LINK_WAIT_MS / 1000);
		nanosleep(&step, NULL);
	}
	for (uint32_t i = 0; i < app->n_ports && down; i++)
		if (!atomic_load(&app->ports[i].link_up))
			tg_say(TG_WARN,
				"port %s: no link yet; going on, it is used when it comes up",
				app->ports[i].conf->name);
}

bool tg_ports_look(struct tg_app *app)
{
	bool came_up = false;
	uint64_t missed = 0;

	for (uint32_t i = 0; i < app->n_ports; i++) {
		struct tg_port *p = &app->ports[i];
		bool up = link_is_up(p);
		struct rte_eth_stats s;

		if (up != atomic_load(&p->link_up)) {
			atomic_store(&p->link_up, up);
			tg_say(up ? TG_INFO : TG_WARN, "port %s: link %s", p->conf->name,
				up ? "up" : "down");
			came_up |= up;
		}
		if (rte_eth_stats_get(p->id, &s) == 0) {
			atomic_store(&p->missed, s.imissed + s.rx_nombuf);
			atomic_store(&p->rx_errors, s.ierrors);
			atomic_store(&p->tx_errors, s.oerrors);
		}
		missed += atomic_load(&p->missed);
	}
	/* The one counter of worker 0 that the control core writes: no worker sees these packets.
	 */
	if (app->stats)
		__atomic_store_n(&tg_stats_cores(app->stats)[0].why[TG_WHY_rx_no_buffer], missed,
			__ATOMIC_RELAXED);
	return came_up;
}

/* --- all of them --- */

int tg_ports_start(struct tg_app *app, struct tg_errbuf *e)
{
	app->n_ports = app->boot->n_ports;
	tg_steer_init(&app->steer, app->n_workers);
	for (uint32_t i = 0; i < app->n_ports; i++) {
		struct tg_port *p = &app->ports[i];
		int rc;

		p->conf = &app->boot->ports[i];
		pthread_mutex_init(&p->tx_lock, NULL);
		rc = start_port(app, p, e);
		if (rc) {
			tg_ports_stop(app);
			return rc;
		}
	}
	wait_for_links(app);
	for (uint32_t i = 0; i < app->n_ports; i++)
		describe(app, &app->ports[i]);
	return 0;
}

void tg_ports_stop(struct tg_app *app)
{
	for (uint32_t i = app->n_ports; i-- > 0;) {
		struct tg_port *p = &app->ports[i];

		if (p->started) {
			if (p->promiscuous && !p->was_promiscuous)
				rte_eth_promiscuous_disable(p->id);
			rte_eth_dev_stop(p->id);
		}
		if (p->opened)
			rte_eth_dev_close(p->id);
		if (p->conf)
			pthread_mutex_destroy(&p->tx_lock);
		p->started = p->opened = false;
		p->conf = NULL;
	}
	app->n_ports = 0;
}
