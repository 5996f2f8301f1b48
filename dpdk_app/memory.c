#include "memory.h"

#include <stdbool.h>

#include <rte_common.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)

/* Packet buffers: struct rte_mbuf (128 bytes), the mempool's header (a cache line, which DPDK takes
 * for 64 bytes on x86-64 and for 128 on arm64), headroom (128). A device may put more in front of
 * the data (AF_XDP: 256). The room of 2048 is what devices expect at least; its sum stays below a
 * page, which AF_XDP asks for. */
#define LINE RTE_CACHE_LINE_SIZE
#define MBUF_OVERHEAD (128 + LINE)
#define MBUF_HEADROOM 128
#define MBUF_DEVICE_ROOM 256
#define MBUF_L2 22 /* Ethernet header, a VLAN tag, FCS */
#define PAGE 4096u
#define MBUF_ROOM_MIN (2048 + MBUF_HEADROOM)
/* Held by an rx queue and its tx queue at rest, and by a worker's mempool cache. */
#define MBUFS_A_QUEUE 6144
#define MBUFS_A_WORKER 1024
#define MBUFS_TO_WORK_WITH 4096

/* What a connection costs in lib/tcp: TCB 256, its share of embryonic (16) and TIME-WAIT records
 * (32) and of the flow table (18), and a transmit block while data is under way; in lib/proxy:
 * downstream (64) and upstream objects (128), and half an L4 pair (512). tests/scale compares with
 * what is made. */
#define TCP_BYTES_A_CONN 328
#define TRANSMIT_BYTES 320
#define PROXY_BYTES_A_CONN 448
/* With TLS: a connection's secrets and identity; expanded keys of those that move data; OpenSSL's
 * memory of a handshake under way. */
#define TLS_BYTES_A_CONN 512
#define TLS_ACTIVE_BYTES 2432
#define TLS_HANDSHAKE_BYTES (96 * KIB) /* measured: perf/results/handshake.txt */
#define TLS_ACTIVE_MAX 8192u
#define TLS_HANDSHAKES_MIN 32u
#define TLS_HANDSHAKES_MAX 512u

/* An exchange: itself, an 8 KiB arena chunk, and a sixteenth of a 72 KiB one. */
#define EXCHANGE_BYTES (2 * KIB + 8 * KIB + 4608)
/* A worker's tables of fixed size: endpoints, listeners, wheel, parsed fields. */
#define WORKER_FIXED (16 * MIB)
#define LOG_RECORD_BYTES 2048
#define LOG_RECORDS 4096
/* DPDK's heap beside the buffers: EAL itself, per worker the tables of lib/net and rings, per port
 * its queues. */
#define EAL_FIXED (16 * MIB)
#define EAL_A_WORKER (8 * MIB)
#define EAL_A_PORT (4 * MIB)

#define CONNS_MIN 64
#define CONNS_MAX (1u << 24) /* a worker; indices of lib/tcp's tables */

static uint32_t mbuf_room(uint32_t mtu, bool paged)
{
	uint32_t room = mtu + MBUF_L2 + MBUF_HEADROOM + MBUF_DEVICE_ROOM;

	room = (room + 63) & ~63u;
	if (room < MBUF_ROOM_MIN)
		room = MBUF_ROOM_MIN;
	return paged && room < PAGE - MBUF_OVERHEAD ? PAGE - MBUF_OVERHEAD : room;
}

bool tg_mbuf_fills_page(uint32_t room)
{
	return room + MBUF_OVERHEAD == PAGE;
}

uint16_t tg_mtu_within_page(void)
{
	return PAGE - MBUF_OVERHEAD - MBUF_DEVICE_ROOM - MBUF_HEADROOM - MBUF_L2;
}

/* A mempool object: whole cache lines, an odd number of them, so that the memory channels take
 * turns, unless it fills a page. */
static uint32_t mbuf_bytes(uint32_t room)
{
	uint32_t n = (room + MBUF_OVERHEAD + LINE - 1) / LINE * LINE;

	if (!tg_mbuf_fills_page(room))
		n |= LINE;
	return n + 16; /* its place in the mempool's ring, whose size is a power of two above all */
}

/* Each exchange under way has a connection on both sides, so half as many suffice; of very many
 * connections most are idle. */
static uint32_t exchanges_of(uint32_t conns)
{
	const uint32_t many = 32768;

	return conns <= many ? conns / 2 : many / 2 + (conns - many) / 16;
}

/* Transmit blocks: every connection may have data under way, but of very many most rest. */
static uint32_t active_of(uint32_t conns)
{
	const uint32_t many = 65536;

	return conns <= many ? conns : many + (conns - many) / 4;
}

static uint32_t tls_active_of(uint32_t conns)
{
	return conns < TLS_ACTIVE_MAX ? conns : TLS_ACTIVE_MAX;
}

static uint32_t handshakes_of(uint32_t conns)
{
	uint32_t n = conns / 8;

	return n < TLS_HANDSHAKES_MIN   ? TLS_HANDSHAKES_MIN
	       : n > TLS_HANDSHAKES_MAX ? TLS_HANDSHAKES_MAX
					: n;
}

static uint64_t tls_bytes(uint32_t conns)
{
	return conns * (uint64_t)TLS_BYTES_A_CONN +
	       tls_active_of(conns) * (uint64_t)TLS_ACTIVE_BYTES +
	       handshakes_of(conns) * TLS_HANDSHAKE_BYTES;
}

static uint64_t worker_bytes(uint32_t conns, const struct tg_budget_ask *ask)
{
	return WORKER_FIXED + (ask->tls ? tls_bytes(conns) : 0) +
	       conns * (uint64_t)(TCP_BYTES_A_CONN + PROXY_BYTES_A_CONN) +
	       active_of(conns) * (uint64_t)TRANSMIT_BYTES + exchanges_of(conns) * EXCHANGE_BYTES +
	       (ask->log ? LOG_RECORDS * LOG_RECORD_BYTES : 0);
}

/* The most connections a worker can have within bytes; 0: not even the least. */
static uint32_t conns_within(uint64_t bytes, const struct tg_budget_ask *ask)
{
	uint32_t low = CONNS_MIN, high = CONNS_MAX;

	if (worker_bytes(low, ask) > bytes)
		return 0;
	while (low < high) {
		uint32_t mid = low + (high - low + 1) / 2;

		if (worker_bytes(mid, ask) <= bytes)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

int tg_budget_make(const struct tg_budget_ask *ask, struct tg_budget *out, struct tg_errbuf *e)
{
	uint64_t w = ask->workers, least_mbufs, fixed, need, rest, conn_bytes;
	uint32_t conns = (uint32_t)((ask->max_connections + w - 1) / w);

	*out = (struct tg_budget){.mbuf_room = mbuf_room(ask->mtu, ask->paged)};
	out->mbuf_bytes = mbuf_bytes(out->mbuf_room);
	least_mbufs =
		ask->rx_queues * (uint64_t)MBUFS_A_QUEUE + w * MBUFS_A_WORKER + MBUFS_TO_WORK_WITH;
	fixed = EAL_FIXED + w * EAL_A_WORKER + ask->ports * EAL_A_PORT;
	if (conns < CONNS_MIN)
		conns = CONNS_MIN;
	if (conns > CONNS_MAX)
		return tg_fail(
			e, TG_ERANGE, "dataplane.max_connections: at most %u a worker", CONNS_MAX);
	need = fixed + least_mbufs * out->mbuf_bytes + w * worker_bytes(conns, ask);
	if (ask->memory < need)
		return tg_fail(e, TG_ENOMEM,
			"dataplane.memory = \"%lluMiB\" is too little: %u worker(s), %u port(s) "
			"and %s%u "
			"connections need at least \"%lluMiB\"",
			(unsigned long long)(ask->memory / MIB), ask->workers, ask->ports,
			ask->max_connections ? "" : "no more than ", conns * ask->workers,
			(unsigned long long)((need + MIB - 1) / MIB));
	rest = ask->memory - fixed;
	if (!ask->max_connections) {
		uint64_t share = rest / 2;

		/* Half, but never so that the other could not run at all. */
		if (share < w * worker_bytes(CONNS_MIN, ask))
			share = w * worker_bytes(CONNS_MIN, ask);
		if (rest - share < least_mbufs * out->mbuf_bytes)
			share = rest - least_mbufs * out->mbuf_bytes;
		conns = conns_within(share / w, ask);
	}
	conn_bytes = w * worker_bytes(conns, ask);
	rest = (rest - conn_bytes) / out->mbuf_bytes;
	out->n_mbufs = rest < (1u << 26) ? (uint32_t)rest : 1u << 26;
	out->max_conns = out->max_downstream = out->max_upstream = conns;
	out->max_active = active_of(conns);
	out->max_exchanges = exchanges_of(conns);
	out->max_tls_active = tls_active_of(conns);
	out->max_handshakes = handshakes_of(conns);
	out->max_pairs = conns / 2;
	out->log_records = ask->log ? LOG_RECORDS : 0;
	out->eal_bytes = fixed + (uint64_t)out->n_mbufs * out->mbuf_bytes;
	out->worker_bytes = worker_bytes(conns, ask);
	return 0;
}
