/* steer.h: which worker owns a flow.
 *
 * Pure function of the 4-tuple: Toeplitz over it with the symmetric key 6d5a... (both directions
 * hash alike), then a 128-entry redirection table filled round robin. A NIC that is given the same
 * key and table delivers each packet to its owner by itself; for any other device the receiving
 * worker computes the owner and hands the packet over through a ring, counted. Upstream source
 * ports are chosen so that owner(flow) is the dialling worker. Immutable after init; any thread.
 */
#ifndef TIDEGATE_STEER_H
#define TIDEGATE_STEER_H

#include <tidegate/addr.h>

#define TG_STEER_KEY_LEN 52 /* longest RSS key in use (i40e); shorter devices take a prefix */
#define TG_STEER_RETA 128

struct tg_steer {
	uint32_t n_workers;
	uint8_t key[TG_STEER_KEY_LEN];
	uint8_t reta[TG_STEER_RETA]; /* worker of a bucket */
};

void tg_steer_init(struct tg_steer *s, uint32_t n_workers);
/* What a NIC would report for the flow (TCP, IPv4 or IPv6, 4-tuple). The same for both directions.
 */
uint32_t tg_steer_hash(const struct tg_steer *s, const struct tg_flow *f);

static inline uint32_t tg_steer_owner_of(const struct tg_steer *s, uint32_t hash)
{
	return s->reta[hash & (TG_STEER_RETA - 1)];
}

static inline uint32_t tg_steer_owner(const struct tg_steer *s, const struct tg_flow *f)
{
	return s->n_workers == 1 ? 0 : tg_steer_owner_of(s, tg_steer_hash(s, f));
}

#endif
