/* mbufs.h: the pool of packet buffers that all workers and devices share.
 *
 * The buffers lie side by side, without a gap, in one piece of memory. net_af_xdp needs that: it
 * gives the kernel as many bytes as the buffers have together, counted from the first, and the
 * kernel drops what lies behind them without a word. A pool as DPDK makes it by default leaves the
 * rest of each hugepage out that a buffer would cross. With --iova-mode=va devices do not mind one
 * that crosses, but for a NIC behind AF_XDP, whose buffers fill a page of 4 KiB each (plan.c).
 *
 * Made and freed by the main thread, while EAL is up. Bounds: n buffers of struct rte_mbuf, room
 * and a cache line, and n pointers in a ring.
 */
#ifndef TIDEGATE_APP_MBUFS_H
#define TIDEGATE_APP_MBUFS_H

#include <stdbool.h>
#include <stdint.h>

struct rte_mempool;

/* n buffers with this data room (bytes, headroom included; tg_budget's) and this many in a cache of
 * each core. NULL: no memory, rte_errno says why. The pool is freed with rte_mempool_free(). There
 * are gaps, and perhaps several pieces, if the user asked for --iova-mode=pa, and if no piece of
 * memory is large enough. */
struct rte_mempool *tg_mbufs_make(uint32_t n, uint32_t room, uint32_t cache);

/* Whether they lie as said above. */
bool tg_mbufs_side_by_side(const struct rte_mempool *mp);

#endif
