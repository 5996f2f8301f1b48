/* memory.h: how dataplane.memory is divided. A pure function, so that it can be tested and its
 * result printed.
 *
 *   memory = packet buffers (shared by all workers, as devices are)
 *          + for each worker: TCBs, transmit blocks, embryonic and TIME-WAIT records (lib/tcp),
 *            connection objects, exchanges and their arenas (lib/proxy), the tables of lib/net,
 *            the access-log ring
 *          + what EAL and the devices take for themselves
 *
 * Buffers and connections grow together: a connection that moves data has buffers, one that is idle
 * has none. max_connections = 0 gives half of what is left after the fixed parts to each; with
 * max_connections set, its cost is taken and the rest is buffers.
 */
#ifndef TIDEGATE_MEMORY_H
#define TIDEGATE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/err.h>

struct tg_budget_ask {
	uint64_t memory;          /* bytes */
	uint32_t max_connections; /* all workers; 0: as memory allows */
	uint32_t workers, ports;
	uint32_t rx_queues; /* over all ports */
	uint16_t mtu;       /* the largest of the ports */
	bool log;           /* an access log is kept */
	bool tls;           /* a listener or cluster speaks TLS */
	bool paged;         /* no packet buffer crosses a page of 4 KiB, if it fits into one */
};

struct tg_budget {
	uint32_t n_mbufs, mbuf_room; /* packet buffers; data room of each, headroom included */
	uint32_t mbuf_bytes;         /* what one takes in all */
	/* for each worker */
	uint32_t max_conns, max_active, max_downstream, max_upstream, max_exchanges, max_pairs;
	uint32_t max_handshakes, max_tls_active; /* counted only with `tls`, else they are small */
	uint32_t log_records;                    /* 0: no log */
	uint64_t eal_bytes; /* DPDK heap to ask for: buffers and what EAL needs besides */
	uint64_t worker_bytes;
};

/* TG_ENOMEM with a text that says how much memory is needed. */
int tg_budget_make(const struct tg_budget_ask *ask, struct tg_budget *out, struct tg_errbuf *e);

/* The largest mtu whose buffers lie within a page of 4 KiB each, as AF_XDP wants them: 3498 on
 * x86-64, 3434 on arm64. */
uint16_t tg_mtu_within_page(void);
/* A buffer with this data room takes just a page: nothing may be added to it. */
bool tg_mbuf_fills_page(uint32_t mbuf_room);

#endif
