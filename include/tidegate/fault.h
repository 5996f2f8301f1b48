/* fault.h: the filter "fault": delays, aborts and slow responses on purpose, by Envoy's rules.
 *
 * This is its input, which lib/config makes of the text; docs/filters.md is the reference. Input
 * strings must live as long as the compiled filter. Chances come from the worker's generator: a run
 * can be repeated from its seed.
 *
 * Where a fault is "by header", the request asks for it and for its size, and percentage is the
 * most that it can ask for:
 *	x-envoy-fault-delay-request: 250             ms
 *	x-envoy-fault-abort-request: 503             status
 *	x-envoy-fault-abort-grpc-request: 14         gRPC status
 *	x-envoy-fault-throughput-response: 64        KiB/s
 *	x-envoy-fault-{delay-request,abort-request,throughput-response}-percentage: 12.5
 */
#ifndef TIDEGATE_FAULT_H
#define TIDEGATE_FAULT_H

#include <tidegate/filter.h>
#include <tidegate/match.h>

#define TG_MILLION 1000000u

struct tg_fault_delay {
	bool given, by_header;
	uint64_t fixed;      /* ns, unless by_header */
	uint32_t percentage; /* millionths */
};

struct tg_fault_abort {
	bool given, by_header;
	uint16_t http_status; /* 200 .. 599; 0: gRPC */
	uint8_t grpc_status;  /* 0 .. 16 */
	uint32_t percentage;
};

struct tg_fault_rate {
	bool given, by_header;
	uint32_t limit_kbps; /* KiB/s of content */
	uint32_t percentage;
};

/* What only a proxy with a TCP of its own can do. The network's faults stay with the connection
 * until it ends, or another request has others. */
enum tg_fault_end { TG_FAULT_END_NONE, TG_FAULT_END_RESET, TG_FAULT_END_FIN, TG_FAULT_END_ALERT };
struct tg_fault_transport {
	bool given;
	uint32_t percentage;
	struct tg_conn_fault network; /* truncate and alert unused */
	enum tg_fault_end end;
	uint64_t end_after; /* bytes of the response's content that the client gets first */
	uint8_t alert;
};

struct tg_fault_in {
	struct tg_fault_delay delay;
	struct tg_fault_abort abort;
	struct tg_fault_rate rate;
	struct tg_fault_transport transport;
	/* Requests of this configuration under way with a fault in them, over all workers: never
	 * more. UINT32_MAX: any number. Those from before a reload are not counted. */
	uint32_t max_active_faults;
	/* Only of requests that match all of these, and go to that cluster; NULL: any. */
	const struct tg_header_match *headers;
	uint32_t n_headers;
	const char *upstream_cluster;
	/* Only of clients whose certificate has one of these URIs, or one that begins with what
	 * stands in front of a star; n 0: of any. */
	uint32_t n_principals;
	const struct tg_view *principals;
};

enum tg_fault_counter {
	TG_FAULT_DELAYS,
	TG_FAULT_ABORTS,
	TG_FAULT_RATES,
	TG_FAULT_TRANSPORTS,
	TG_FAULT_OVERFLOW,
	TG_FAULT_ACTIVE,
	TG_FAULT_COUNTERS
};

extern const struct tg_filter_ops tg_fault_http;

#endif
