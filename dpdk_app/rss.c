#include "rss.h"

#include <string.h>

#define WANTED (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)
#define TOEPLITZ_MIN 40 /* bytes of key that an IPv6 4-tuple uses */

static bool can(const struct rte_eth_dev_info *info)
{
	return (info->flow_type_rss_offloads & WANTED) == WANTED &&
	       info->hash_key_size >= TOEPLITZ_MIN && info->hash_key_size <= TG_STEER_KEY_LEN;
}

void tg_rss_conf(
	const struct tg_steer *s, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	if (!can(info))
		return;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_key = (uint8_t *)(uintptr_t)s->key;
	conf->rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
	conf->rx_adv_conf.rss_conf.rss_hf = WANTED;
	conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_RSS_HASH & info->rx_offload_capa;
}

static bool set_table(const struct tg_steer *s, uint16_t port, uint16_t queues, uint16_t size)
{
	struct rte_eth_rss_reta_entry64 reta[RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE];

	if (size > RTE_ETH_RSS_RETA_SIZE_512 || size < TG_STEER_RETA)
		return false;
	memset(reta, 0, sizeof(reta));
	for (uint32_t i = 0; i < size; i++) {
		struct rte_eth_rss_reta_entry64 *g = &reta[i / RTE_ETH_RETA_GROUP_SIZE];

		g->mask |= UINT64_C(1) << (i % RTE_ETH_RETA_GROUP_SIZE);
		g->reta[i % RTE_ETH_RETA_GROUP_SIZE] = s->reta[i % TG_STEER_RETA] % queues;
	}
	return rte_eth_dev_rss_reta_update(port, reta, size) == 0;
}

bool tg_rss_start(const struct tg_steer *s, uint16_t port, uint16_t queues,
	const struct rte_eth_dev_info *info)
{
	uint8_t key[TG_STEER_KEY_LEN] = {0};
	struct rte_eth_rss_conf now = {.rss_key = key, .rss_key_len = sizeof(key)};

	if (!can(info) || !set_table(s, port, queues, info->reta_size))
		return false;
	/* Drivers that take any key and use their own exist: believe what can be read back. */
	if (rte_eth_dev_rss_hash_conf_get(port, &now) || (now.rss_hf & WANTED) != WANTED ||
		memcmp(key, s->key, info->hash_key_size))
		return false;
	return info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
}
