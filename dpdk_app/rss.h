/* rss.h: a device's hash and redirection table made equal to steer.h's, where it can. */
#ifndef TIDEGATE_APP_RSS_H
#define TIDEGATE_APP_RSS_H

#include <rte_ethdev.h>

#include <tidegate/steer.h>

/* Asks for it in conf, if the device can. Before rte_eth_dev_configure(). */
void tg_rss_conf(
	const struct tg_steer *s, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf);
/* Sets the table. After rte_eth_dev_start(). True: the device's hash is tg_steer_hash(), and it
 * writes it into the mbufs. */
bool tg_rss_start(const struct tg_steer *s, uint16_t port, uint16_t queues,
	const struct rte_eth_dev_info *info);

#endif
