/* script_rig.h: what a packet script runs on: the stack under test, its peer, the wire between
 * them. Private to script.c and script_rig.c. */
#ifndef SCRIPT_RIG_H
#define SCRIPT_RIG_H

#include <rte_mbuf.h>

#include <tidegate/stats.h>
#include <tidegate/tcp.h>

#include "opts.h"
#include "script.h"
#include "stack.h"

#define DUT_PORT 80
#define PEER_PORT 5000
#define CAUGHT 256

struct caught { /* a segment that left */
	uint64_t at;
	struct tg_seg s;
	struct tg_opts o;
};

struct rig {
	const struct script *script;
	struct rte_mempool *pool;
	struct tg_wheel wheel, peer_wheel;
	struct tg_ready ready;
	struct tg_core_stats stats, peer_stats, before;
	struct tg_net *net, *peer;
	struct tg_tcp *tcp;
	struct tg_tcp_listener listener;
	struct tg_conn *c;
	struct tg_dst dst;
	struct tg_flow flow; /* from the peer: local = peer */
	uint32_t events;
	uint32_t asked;         /* questions for the peer's MAC address, since "asked" */
	uint32_t iss, irs, ts0; /* ours, the peer's ISN; our first TSval */
	bool iss_known, ts_known;
	uint64_t segments;    /* that came in */
	uint64_t start, last; /* ns */
	struct caught q[CAUGHT];
	uint32_t q_head, q_tail;
	uint64_t written, read_at;
	int line;
	bool failed, left;
};

extern struct rig r;

/* script.c: the devices of the two hosts: what they are given goes to the other one. */
uint16_t script_dut_tx(void *dev, struct rte_mbuf **pkts, uint16_t n);
uint16_t script_peer_tx(void *dev, struct rte_mbuf **pkts, uint16_t n);
void script_flush(void);

/* script_rig.c */
void script_buffers(uint32_t percent); /* leaves so many of the pool free */
void script_set_up(const struct script *s);
/* mbufs_before: free packet buffers before the script; all must be back. */
void script_take_down(uint32_t mbufs_before);

#endif
