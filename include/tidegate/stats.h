/* stats.h: counters and gauges, one writer each, read by the control core at any time.
 *
 * A worker counts in plain 64-bit words of its own (struct tg_core_stats): no atomics, no sharing
 * of cache lines between writers. The control core reads them with relaxed loads and sums over the
 * workers when somebody asks; a scrape never stops a worker. Statistics by name (cluster, listener)
 * live in a registry of the control core, keep their place over reloads, and are reached by workers
 * through pointers in the snapshot: stats[worker].
 *
 * Names follow Envoy where Envoy has one (docs/statistics.md is generated from the X-lists here).
 */
#ifndef TIDEGATE_STATS_H
#define TIDEGATE_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <tidegate/err.h>
#include <tidegate/hist.h>
#include <tidegate/overload.h>
#include <tidegate/tax.h>
#include <tidegate/why.h>

#define TG_MAX_WORKERS 64

/* name, sentence. Counters only grow; gauges (see TG_CORE_GAUGES) go both ways. */
#define TG_CORE_COUNTERS(X) \
	X(rx_packets, "packets taken from ports") \
	X(rx_bytes, "bytes in them, from the Ethernet header on") \
	X(rx_steered_in, "packets that came from another worker's queue") \
	X(rx_steered_out, "packets handed to the worker that owns their flow") \
	X(rx_mirrored, "ARP and ND packets copied to the other workers") \
	X(rx_mirror_lost, "such copies that a full ring or a lack of buffers cost") \
	X(tx_packets, "packets given to ports") \
	X(tx_bytes, "bytes in them") \
	X(rx_arp, "ARP packets used") \
	X(rx_nd, "neighbour discovery packets used") \
	X(rx_icmp, "ICMP and ICMPv6 messages used") \
	X(rx_fragments, "IP fragments received") \
	X(rx_reassembled, "datagrams made whole from fragments") \
	X(rx_absorbed_fragments, "fragments that became part of a whole datagram, minus that one") \
	X(rx_tcp_segments, "TCP segments accepted by TCP") \
	X(tcp_tx_segments, "TCP segments sent") \
	X(tcp_retransmits, "segments sent again") \
	X(tcp_rto, "retransmission timeouts") \
	X(tcp_tlp, "tail loss probes") \
	X(tcp_fast_recovery, "entries into loss recovery by SACK or duplicate ACKs") \
	X(tcp_spurious, "recoveries found to be needless (D-SACK, timestamps)") \
	X(tcp_zero_window_probes, "probes of a closed window") \
	X(tcp_keepalive_probes, "keepalive probes") \
	X(tcp_challenge_acks, "challenge ACKs sent (RFC 5961)") \
	X(tcp_resets_sent, "RST segments sent") \
	X(tcp_cookies_sent, "SYN cookies sent") \
	X(tcp_cookies_accepted, "connections opened by a valid SYN cookie") \
	X(tcp_accepted, "connections accepted") \
	X(tcp_connect_attempts, "active opens started") \
	X(tcp_connected, "active opens that succeeded") \
	X(tcp_ooo_segments, "segments that arrived out of order and were kept") \
	X(tcp_ooo_pruned, "out-of-order segments given up again to stay in bounds") \
	X(tls_handshakes, "TLS handshakes completed") \
	X(tls_resumed, "of them, by a ticket") \
	X(tls_handshake_failed, \
		"TLS handshakes that failed; the reasons are the drops called tls_*") \
	X(tls_handshake_steps, \
		"steps of TLS handshakes; a turn does at most its budget of them (2)") \
	X(tls_handshake_full_turns, "turns whose budget was spent while handshakes waited") \
	X(tls_handshake_cycles, "TSC cycles in those steps") \
	X(tls_key_updates, "KeyUpdates received (RFC 8446 section 4.6.3)") \
	X(regex_limit, "matches of regular expressions given up at their limit (no match)") \
	X(log_records, "access-log records handed to the sink") \
	X(log_dropped, "access-log records lost because the sink was behind") \
	X(turns, "turns of the worker's loop") \
	X(turns_busy, "turns that moved at least one packet or event") \
	X(busy_cycles, "TSC cycles in busy turns") \
	X(idle_cycles, "TSC cycles in empty turns and sleeps") \
	X(sleeps, "sleeps of an idle worker")

#define TG_CORE_GAUGES(X) \
	X(tcp_connections, "connections in the flow table") \
	X(tcp_embryonic, "handshakes in progress") \
	X(tcp_time_wait, "connections in TIME-WAIT") \
	X(rx_in_flight, "received packets held: reassembly and steering rings") \
	X(neighbours, "entries in the neighbour table") \
	X(http_exchanges, "requests in progress")

/* Histograms of durations, ns: tg_hist_record(&stats->rq_duration, ns) when an exchange ends. */
#define TG_CORE_HISTS(X) X(rq_duration, "first byte of a request to the last of its response")

struct tg_core_stats {
#define X(name, text) uint64_t name;
	TG_CORE_COUNTERS(X)
	TG_CORE_GAUGES(X)
#undef X
	uint64_t why[TG_WHY_MAX];
#define X(name, text) struct tg_hist name;
	TG_CORE_HISTS(X)
#undef X
	struct tg_tax tax; /* not among the statistics: /tax shows it */
	/* Shown as overload.<monitor or action>.*, see overload.h */
	struct tg_queue queue;
	uint64_t buffers_used; /* packet buffers, as a pressure */
	uint64_t overload_pressure[TG_MONITORS], overload_state[TG_OVERLOADS];
	uint64_t overload_shed; /* requests refused at a load shed point */
} __attribute__((aligned(64)));

/* cluster.<name>.*, Envoy's names. */
#define TG_CLUSTER_COUNTERS(X) \
	X(upstream_cx_total, "connections opened") \
	X(upstream_cx_connect_fail, "connections that failed to open") \
	X(upstream_cx_connect_timeout, "of them, by timeout") \
	X(upstream_cx_connect_attempts_exceeded, \
		"connections of protocol tcp that ended for it, after max_connect_attempts") \
	X(upstream_cx_destroy_remote_with_active_rq, "closed by the origin with a request on it") \
	X(upstream_cx_destroy_local_with_active_rq, "closed by Tidegate with a request on it") \
	X(upstream_cx_idle_timeout, "pooled connections closed for being idle") \
	X(upstream_cx_max_requests, "connections closed after max_requests_per_connection") \
	X(upstream_cx_max_duration_reached, "connections closed after max_connection_duration") \
	X(upstream_cx_none_healthy, "no endpoint to choose") \
	X(lb_healthy_panic, "requests for a priority with too few healthy endpoints: all were " \
			    "taken, or none by fail_traffic_on_panic") \
	X(lb_zone_routing_all_directly, \
		"requests to the own zone, which can take all of this process's") \
	X(lb_zone_routing_sampled, "requests to the own zone, which can take a part of them") \
	X(lb_zone_routing_cross_zone, "requests to another zone, beyond that part") \
	X(lb_zone_no_capacity_left, "of them, those to any zone, as none had room by the numbers") \
	X(lb_zone_cluster_too_small, \
		"requests not sent by zone: fewer healthy endpoints than min_cluster_size") \
	X(lb_local_cluster_not_ok, "requests not sent by zone: the local cluster has nobody in " \
				   "the own one, or is in panic") \
	X(lb_recalculate_zone_structures, "times that what each zone gets was worked out") \
	X(upstream_cx_overflow, "connection limit reached") \
	X(upstream_cx_rx_bytes_total, "bytes received from origins") \
	X(upstream_cx_tx_bytes_total, "bytes sent to origins") \
	X(upstream_rq_total, "requests sent") \
	X(upstream_rq_completed, "requests answered in full") \
	X(upstream_rq_1xx, "responses 1xx") \
	X(upstream_rq_2xx, "responses 2xx") \
	X(upstream_rq_3xx, "responses 3xx") \
	X(upstream_rq_4xx, "responses 4xx") \
	X(upstream_rq_5xx, "responses 5xx") \
	X(upstream_rq_timeout, "requests that met the route timeout") \
	X(upstream_rq_rx_reset, "requests reset by the origin") \
	X(upstream_rq_tx_reset, "requests reset by Tidegate") \
	X(upstream_rq_retry, "requests sent again") \
	X(upstream_rq_retry_unacked, "of them, on ACK proof that no byte had been delivered") \
	X(upstream_rq_retry_success, "retried requests that then succeeded") \
	X(upstream_rq_retry_overflow, "requests not sent again: the limit of retries was reached") \
	X(upstream_rq_retry_limit_exceeded, "requests that failed after all their retries") \
	X(upstream_rq_per_try_timeout, "tries that met the per_try_timeout") \
	X(upstream_rq_per_try_idle_timeout, "tries that met the per_try_idle_timeout") \
	X(upstream_rq_hedged, "tries that met the per_try_timeout and went on beside another") \
	X(upstream_rq_hedge_won, "of them, those that brought the answer") \
	X(retry_or_shadow_abandoned, "requests not sent again: the body was too large to keep") \
	X(mirror_rq_total, "copies of requests that were to be sent here") \
	X(mirror_rq_dropped, "of them, given up: no memory, a mirror that could not follow, or " \
			     "the request was cut") \
	X(upstream_rq_pending_overflow, \
		"requests refused because too many were waiting or under way") \
	X(update_attempt, "lookups of its endpoints' names that began") \
	X(update_success, "of them, those that found addresses or that there are none") \
	X(update_failure, "of them, those without an answer: the endpoints stay") \
	X(update_empty, "of the successful ones, those that found no address") \
	X(update_no_rebuild, "successful ones after which the endpoints were the same") \
	X(membership_change, "changes of its endpoints by DNS")

#define TG_CLUSTER_GAUGES(X) \
	X(upstream_cx_active, "connections open") \
	X(upstream_rq_active, "requests in progress") \
	X(upstream_rq_pending_active, "requests waiting for a connection") \
	X(membership_total, "endpoints")

/* Circuit breakers: resource, name of its gauges, what it is. */
#define TG_BREAKER_LIST(X) \
	X(CX, "cx_open", "remaining_cx", "connections") \
	X(PENDING, "rq_pending_open", "remaining_pending", "requests that wait for a connection") \
	X(RQ, "rq_open", "remaining_rq", "requests under way") \
	X(RETRY, "rq_retry_open", "remaining_retries", "retries under way")

#define TG_BREAKER_RESOURCE(name, open, left, text) TG_RES_##name,
enum tg_resource { TG_BREAKER_LIST(TG_BREAKER_RESOURCE) TG_RESOURCES };
enum tg_priority { TG_PRIORITY_DEFAULT, TG_PRIORITY_HIGH, TG_PRIORITIES };

/* What cluster.<name>.circuit_breakers.<priority>.* is made of when somebody asks. */
struct tg_breaker_stats {
	uint64_t used;    /* by this worker */
	uint64_t limit;   /* of all workers together; 0: not known */
	uint64_t tracked; /* 1: what is left is shown (track_remaining) */
};

/* cluster.<name>.health_check.* */
#define TG_CHECK_COUNTERS(X) \
	X(attempt, "active checks begun") \
	X(success, "checks that passed") \
	X(failure, "checks that failed") \
	X(network_failure, "of them, without an answer: no connection, a lost one, or no time") \
	X(passive_failure, \
		"endpoints that said so on a request (x-envoy-immediate-health-check-fail)")

/* cluster.<name>.outlier_detection.ejections_detected_* and _enforced_*; the first ones count
 * errors in a row. */
#define TG_DETECTOR_LIST(X) \
	X(CONSECUTIVE_5XX, "consecutive_5xx", "answers 5xx in a row") \
	X(CONSECUTIVE_GATEWAY_FAILURE, "consecutive_gateway_failure", \
		"answers 502, 503 and 504 in a row") \
	X(CONSECUTIVE_LOCAL_ORIGIN_FAILURE, "consecutive_local_origin_failure", \
		"failures in a row on the way to it") \
	X(SUCCESS_RATE, "success_rate", "fewer good answers than the others") \
	X(FAILURE_PERCENTAGE, "failure_percentage", "too many answers 5xx") \
	X(LOCAL_ORIGIN_SUCCESS_RATE, "local_origin_success_rate", \
		"more failures on the way to it than to the others") \
	X(LOCAL_ORIGIN_FAILURE_PERCENTAGE, "local_origin_failure_percentage", \
		"too many failures on the way to it")

enum tg_detector {
#define X(id, name, text) TG_DETECT_##id,
	TG_DETECTOR_LIST(X)
#undef X
		TG_DETECTORS
};

struct tg_outlier_stats {
	uint64_t detected[TG_DETECTORS], enforced[TG_DETECTORS];
	uint64_t enforced_total, overflow;
};

/* Gauges, written before they are shown, in row 0, by who shows them. */
#define TG_MEMBER_GAUGES(X) \
	X(membership_healthy, "membership_healthy", \
		"endpoints that are healthy, and not degraded") \
	X(membership_degraded, "membership_degraded", \
		"healthy endpoints that say they are degraded") \
	X(check_healthy, "health_check.healthy", "endpoints that active checks find healthy") \
	X(check_degraded, "health_check.degraded", "of them, those that say they are degraded") \
	X(ejections_active, "outlier_detection.ejections_active", "endpoints that are ejected")

struct tg_member_stats {
#define X(field, name, text) uint64_t field;
	TG_MEMBER_GAUGES(X)
#undef X
};

struct tg_check_stats {
#define X(name, text) uint64_t name;
	TG_CHECK_COUNTERS(X)
#undef X
};

struct tg_cluster_stats {
#define X(name, text) uint64_t name;
	TG_CLUSTER_COUNTERS(X)
	TG_CLUSTER_GAUGES(X)
#undef X
	struct tg_breaker_stats breaker[TG_PRIORITIES][TG_RESOURCES];
	uint32_t lb_pos; /* no statistic: where this worker's round robin stands (lb.h) */
	struct tg_check_stats check;
	struct tg_outlier_stats outlier;
	struct tg_member_stats members;
} __attribute__((aligned(64)));

/* listener.<name>.* and, for HTTP listeners, http.<name>.*, Envoy's names. */
#define TG_LISTENER_COUNTERS(X) \
	X(downstream_cx_total, "connections accepted") \
	X(downstream_cx_destroy, "connections ended") \
	X(downstream_cx_idle_timeout, "ended by the idle timeout") \
	X(downstream_cx_drain_close, "ended by a drain") \
	X(downstream_cx_tls_error, "TLS handshakes that failed") \
	X(downstream_cx_overflow, "refused: no memory or limit reached") \
	X(downstream_cx_protocol_error, "ended by a malformed request") \
	X(downstream_cx_rx_bytes_total, "bytes received") \
	X(downstream_cx_tx_bytes_total, "bytes sent") \
	X(downstream_rq_total, "requests received") \
	X(downstream_rq_1xx, "responses 1xx") \
	X(downstream_rq_2xx, "responses 2xx") \
	X(downstream_rq_3xx, "responses 3xx") \
	X(downstream_rq_4xx, "responses 4xx") \
	X(downstream_rq_5xx, "responses 5xx") \
	X(downstream_rq_completed, "requests whose exchange ended") \
	X(downstream_rq_rx_reset, "requests cut by the client") \
	X(downstream_rq_idle_timeout, "requests ended by the stream idle timeout") \
	X(downstream_rq_timeout, "requests not received in time") \
	X(downstream_rq_max_duration_reached, "requests ended by max_stream_duration") \
	X(downstream_cx_max_requests_reached, "ended after max_requests_per_connection") \
	X(downstream_cx_overload_disable_keepalive, \
		"ended after a response, by disable_http_keepalive") \
	X(downstream_rq_overload_close, "requests refused in overload")

#define TG_LISTENER_GAUGES(X) \
	X(downstream_cx_active, "connections open") \
	X(downstream_rq_active, "requests in progress") \
	X(downstream_cx_upgrades_active, "tunnels open after an upgrade") \
	X(listening, "1 for each worker that takes new connections")

struct tg_listener_stats {
#define X(name, text) uint64_t name;
	TG_LISTENER_COUNTERS(X) TG_LISTENER_GAUGES(X)
#undef X
} __attribute__((aligned(64)));

/* The registry. Blocks are found or made by name and live until it is destroyed; each returned
 * array has n_workers elements, one for each worker to write. NULL: out of memory. Not for workers;
 * any other thread (a mutex inside keeps the admin thread's walk and the control core's reload
 * apart). */
struct tg_stats;
struct tg_stats *tg_stats_create(uint32_t n_workers); /* 1 .. TG_MAX_WORKERS */
void tg_stats_destroy(struct tg_stats *s);
struct tg_core_stats *tg_stats_cores(struct tg_stats *s);
struct tg_cluster_stats *tg_stats_cluster(struct tg_stats *s, const char *name);
struct tg_listener_stats *tg_stats_listener(struct tg_stats *s, const char *name);
/* Counters of a filter at a listener, shown as http.<listener>.<filter>.<name> (or tcp. ...), as
 * Envoy does: worker w writes row[w * TG_FILTER_ROW(n) + i]. filter: "rbac", or "rbac.<id>". defs
 * is static; it says what a filter of this name has, always the same. */
struct tg_stat_def {
	const char *name, *text;
	bool gauge; /* one that a worker lowers was raised by the same */
};
#define TG_FILTER_ROW(n) (((n) + 7u) & ~7u) /* words: no two workers in a cache line */
uint64_t *tg_stats_filter(struct tg_stats *s, const char *listener, const char *filter,
	const struct tg_stat_def *defs, uint32_t n);
/* Says how a listener is shown beside listener.<name>.*: as http.<name>.* (at first) or as
 * tcp.<name>.*. */
void tg_stats_listener_is_tcp(struct tg_stats *s, const char *name, bool tcp);

/* One value in a walk. `scope` and `who`:
 *   "worker"    a worker's number; "" is the sum over all workers
 *   "cluster"   its name (sums over the workers, as all below)
 *   "listener"  its name: connections;  "http" and "tcp": what it is shown as besides, and its
 *               filters ("rbac.allowed")
 *   "why"       "pkt", "seg", "txp", "conn", "req": the reason's class; name is the reason
 * Other scopes ("server", "pool") come from the caller of tg_stats_render(). Gauges may be read as
 * int64_t: one that two workers write (+1 here, -1 there) is right only as a sum. */
struct tg_stat {
	const char *scope, *who, *name, *text;
	uint64_t value;
	bool gauge;
	const char *certificate; /* which its name has in the middle, and Envoy's tag; or NULL */
};
typedef void tg_stat_fn(void *ctx, const struct tg_stat *s);
/* Calls fn for every counter and gauge, with the registry locked: fn must not call back into it. */
void tg_stats_walk(const struct tg_stats *s, tg_stat_fn *fn, void *ctx);

/* The dotted name of /stats into buf, truncated: "cluster.v1.upstream_rq_total",
 * "server.rx_packets" (the sum), "worker.0.rx_packets", "drop.ip_bad_checksum". Bytes that would
 * break the line become '_'. Returns buf. */
#define TG_STAT_NAME_MAX 320
char *tg_stat_name(const struct tg_stat *s, char buf[static TG_STAT_NAME_MAX]);

/* A histogram of TG_CORE_HISTS summed over the workers. TG_ENOENT. */
int tg_stats_hist(const struct tg_stats *s, const char *name, struct tg_hist *out);

enum tg_stats_format { TG_STATS_TEXT, TG_STATS_PROMETHEUS, TG_STATS_JSON };
struct tg_stats_query {
	enum tg_stats_format format;
	bool used_only;     /* leave out what is zero */
	const char *filter; /* POSIX extended regular expression searched in the dotted name; NULL:
			       all */
	const struct tg_stat *extra; /* the caller's own values, printed first */
	uint32_t n_extra;
};
/* Writes them to out. TG_EINVAL with text: the filter is no acceptable expression (braces and back
 * references are refused: they let a short filter take unbounded time or memory). */
int tg_stats_render(
	const struct tg_stats *s, const struct tg_stats_query *q, FILE *out, struct tg_errbuf *e);

/* The packet ledger over all workers at this instant. It balances exactly when the workers rest; a
 * reader that races with them sees at most the packets of a turn. */
struct tg_ledger {
	uint64_t received;  /* rx_packets */
	uint64_t delivered; /* ARP, ND, ICMP and TCP that was used, fragments absorbed */
	uint64_t dropped;   /* sum of PKT and SEG reasons, without rx_no_buffer (never received) */
	uint64_t in_flight; /* held for reassembly, in steering rings: who puts one in a ring adds
				one, who takes it out subtracts one, so a worker's own may be < 0 */
};
struct tg_ledger tg_stats_ledger(const struct tg_stats *s);
/* Packets received but not accounted for; 0 is balance, negative: accounted for twice. */
int64_t tg_ledger_missing(const struct tg_ledger *l);
/* "pkt", "seg", "txp", "conn", "req". */
const char *tg_why_class_name(enum tg_why_class c);

#endif
