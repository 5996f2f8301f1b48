/* rig.h: a tg_net on fake ports, for the tests of lib/net.
 *
 *   north: MAC 02:00:00:00:00:01, 10.77.1.1/24, fd77:1::1/64; peer 02:...:02, .2, ::2
 *   south: MAC 02:00:00:00:01:01, 10.77.2.1/24, fd77:2::1/64
 *   default routes via 10.77.1.254 and fd77:1::fe
 *
 * What net sends is recorded frame by frame. Time is the wheel's and moves only by rig_wait().
 */
#ifndef NET_RIG_H
#define NET_RIG_H

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <tidegate/net.h>
#include <tidegate/rng.h>
#include <tidegate/view.h>

#include "tgtest.h"

#define RIG_NORTH 0
#define RIG_SOUTH 1
#define RIG_FRAMES 128
#define RIG_WORKERS 2

struct rig_frame {
	uint32_t ifidx, n;
	uint64_t ol_flags;
	uint8_t l2_len, l3_len, l4_len;
	uint8_t b[9100];
};

/* What net sent since the last rig_clear(). */
extern struct rig_frame rig_sent[RIG_FRAMES];
extern uint32_t rig_n_sent;
extern uint32_t rig_tx_refuse; /* the device takes nothing for so many calls */
extern struct rte_mempool *rig_mbufs;
extern struct tg_net_conf rig_conf; /* what the next rig_start() uses */
extern struct tg_netif_conf rig_ifs[2];
extern struct tg_net *rig_net[RIG_WORKERS];
extern struct tg_core_stats rig_stats[RIG_WORKERS];
extern struct tg_wheel rig_wheel;
extern struct tg_seg rig_out[TG_NET_BURST];
extern struct tg_icmp_error rig_error; /* the last one told, and how many */
extern uint32_t rig_n_errors;
extern bool rig_disbelieve; /* TCP says that it does not know what the error quotes */

/* EAL (once), pools, default configuration: change rig_conf and rig_ifs after it, then start. */
void rig_init(void);
void rig_start(uint32_t workers);
/* init and start with one worker. */
void rig_up(void);
/* Checks that the ledger balances and every packet buffer comes back. */
void rig_down(void);

/* A frame from vectors.hex. */
const uint8_t *rig_vector(const char *name, uint32_t *len);
struct rte_mbuf *rig_mbuf(const void *b, uint32_t n);
/* Feeds frames to worker 0's north port; the segments that come out are freed by rig_free_segs().
 */
uint32_t rig_feed(const void *b, uint32_t n);
uint32_t rig_in(const char *name);
void rig_free_segs(uint32_t n);
/* Feeds a frame that must end as a drop for this reason, and as nothing else. */
void rig_dropped(const char *name, enum tg_why why);
/* Frame `at` of rig_sent is this vector, but for the id of an IPv4 header without DF. */
void rig_expect(uint32_t at, const char *name);
void rig_clear(void);
/* Moves time and flushes. */
void rig_wait(uint64_t ns);
/* received - delivered - dropped - in flight, over the workers, taking segments for accepted. */
int64_t rig_missing(void);
/* Makes the peer's addresses known (REACHABLE) by asking and answering. */
void rig_know_peer(void);
/* A segment to send; payload n bytes of 'x'. refcnt as given. */
struct rte_mbuf *rig_segment(uint32_t payload);
int rig_send(const char *local, const char *remote, uint32_t payload, struct tg_dst *d);
struct tg_ip rig_ip(const char *s);
uint64_t rig_why(enum tg_why w);

#endif
