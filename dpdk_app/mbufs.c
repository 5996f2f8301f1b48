#include "mbufs.h"

#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_memzone.h>

#include "memory.h"

static size_t total_size(const struct rte_mempool *mp)
{
	return (size_t)mp->header_size + mp->elt_size + mp->trailer_size;
}

static void free_zone(struct rte_mempool_memhdr *chunk, void *zone)
{
	(void)chunk;
	rte_memzone_free(zone);
}

/* Devices use our addresses, so what is contiguous for us is so for them, pages or not. */
static bool iova_is_va(void)
{
	return rte_eal_iova_mode() == RTE_IOVA_VA;
}

/* In one piece without gaps if there is such a piece; from a page on, so that buffers which fill a
 * page cross none. Else anyhow: only net_af_xdp minds. */
static int populate(struct rte_mempool *mp)
{
	const unsigned int flags = RTE_MEMZONE_1GB | RTE_MEMZONE_SIZE_HINT_ONLY;
	const struct rte_memzone *zone;
	int rc;

	if (!iova_is_va())
		return rte_mempool_populate_default(mp);
	zone = rte_memzone_reserve_aligned("mbufs", mp->size * total_size(mp), mp->socket_id, flags,
		(unsigned int)sysconf(_SC_PAGESIZE));
	if (!zone)
		return rte_mempool_populate_default(mp);
	/* The first: no gap where a page ends. It would leave the second set, which tells drivers
	 * that no device reads these buffers. */
	mp->flags |= RTE_MEMPOOL_F_NO_IOVA_CONTIG;
	mp->flags &= ~(unsigned int)RTE_MEMPOOL_F_NON_IO;
	rc = rte_mempool_populate_iova(
		mp, zone->addr, zone->iova, zone->len, free_zone, (void *)(uintptr_t)zone);
	if (rc <= 0)
		rte_memzone_free(zone);
	return rc;
}

/* As rte_pktmbuf_pool_create(), but for the place. */
struct rte_mempool *tg_mbufs_make(uint32_t n, uint32_t room, uint32_t cache)
{
	struct rte_pktmbuf_pool_private priv = {.mbuf_data_room_size = (uint16_t)room};
	/* What fills a page is not spread over the memory channels, which would make it larger. */
	unsigned int flags = tg_mbuf_fills_page(room) ? RTE_MEMPOOL_F_NO_SPREAD : 0;
	struct rte_mempool *mp =
		rte_mempool_create_empty("mbufs", n, (unsigned int)sizeof(struct rte_mbuf) + room,
			cache, sizeof(priv), (int)rte_socket_id(), flags);
	int rc;

	if (!mp)
		return NULL;
	rte_pktmbuf_pool_init(mp, &priv);
	rc = rte_mempool_set_ops_byname(mp, rte_mbuf_best_mempool_ops(), NULL);
	if (!rc)
		rc = populate(mp);
	if (rc < 0 || mp->populated_size < n) {
		rte_mempool_free(mp);
		rte_errno = rc < 0 ? -rc : ENOMEM;
		return NULL;
	}
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;
}

bool tg_mbufs_side_by_side(const struct rte_mempool *mp)
{
	size_t end = mp->populated_size * total_size(mp);
	const struct rte_mempool_objhdr *h;
	uintptr_t base;

	if (mp->nb_mem_chunks != 1)
		return false;
	base = (uintptr_t)STAILQ_FIRST(&mp->mem_list)->addr;
	STAILQ_FOREACH (h, &mp->elt_list, next) {
		uintptr_t at = (uintptr_t)(h + 1) - mp->header_size;

		if (at < base || at - base + total_size(mp) > end)
			return false;
	}
	return true;
}
