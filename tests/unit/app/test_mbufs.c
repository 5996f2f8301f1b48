/* Packet buffers lie side by side: what net_af_xdp gives the kernel is all of them. */
#include "../../../dpdk_app/mbufs.h"

#include <rte_errno.h>
#include <rte_mbuf.h>

#include "../../eal.h"
#include "../tgtest.h"

#define N 5000

static void each_is_whole(struct rte_mempool *mp, uint32_t room)
{
	static struct rte_mbuf *m[N];
	uint32_t odd = 0;

	CU_ASSERT_EQUAL_FATAL(mp->size, N);
	/* Some drivers register only what devices read. */
	CU_ASSERT_FALSE(mp->flags & RTE_MEMPOOL_F_NON_IO);
	CU_ASSERT_EQUAL_FATAL(rte_mempool_get_bulk(mp, (void **)m, N), 0);
	for (uint32_t i = 0; i < N; i++)
		odd += m[i]->buf_len != room || m[i]->pool != mp ||
		       m[i]->buf_iova != (rte_iova_t)(uintptr_t)m[i]->buf_addr;
	CU_ASSERT_EQUAL(odd, 0);
	rte_mempool_put_bulk(mp, (void **)m, N);
}

static void side_by_side(void)
{
	for (uint32_t room = 2176; room <= 9600; room += 64) {
		struct rte_mempool *mp = tg_mbufs_make(N, room, 64);

		CU_ASSERT_FATAL(mp != NULL);
		CU_ASSERT(tg_mbufs_side_by_side(mp));
		each_is_whole(mp, room);
		rte_mempool_free(mp);
	}
}

/* 4,096 bytes with mbuf and header: none of them crosses a page. */
static void pages(void)
{
	struct rte_mempool *mp = tg_mbufs_make(N, 4096 - 128 - RTE_CACHE_LINE_SIZE, 64);
	struct rte_mempool_objhdr *h;
	uint32_t crossing = 0;

	CU_ASSERT_FATAL(mp != NULL);
	CU_ASSERT(tg_mbufs_side_by_side(mp));
	STAILQ_FOREACH (h, &mp->elt_list, next)
		crossing += (uintptr_t)(h + 1) % 4096 != mp->header_size;
	CU_ASSERT_EQUAL(crossing, 0);
	rte_mempool_free(mp);
}

/* DPDK's own way leaves a gap at the end of each page, here of 4 KiB. */
static void gaps_are_seen(void)
{
	struct rte_mempool *mp = rte_pktmbuf_pool_create("gaps", N, 64, 0, 2176, SOCKET_ID_ANY);

	CU_ASSERT_FATAL(mp != NULL);
	CU_ASSERT_FALSE(tg_mbufs_side_by_side(mp));
	rte_mempool_free(mp);
}

static void too_many(void)
{
	rte_errno = 0;
	CU_ASSERT_PTR_NULL(tg_mbufs_make(1 << 20, 2176, 64));
	CU_ASSERT_EQUAL(rte_errno, ENOMEM);
	/* Nothing of it is left: the same name and memory can be had. */
	gaps_are_seen();
	pages();
}

static void up(void)
{
	CU_ASSERT_FATAL(tg_test_eal(96));
}

TG_TEST_MAIN("packet buffers", {"EAL", up}, {"side by side", side_by_side}, {"pages", pages},
	{"gaps are seen", gaps_are_seen}, {"too many", too_many})
