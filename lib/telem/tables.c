#include <string.h>

#include <tidegate/view.h>

#include "tables.h"

/* What the names alone do not say is computed from them by the compiler: string comparisons of
 * literals fold. */
#define IS(name, lit) (__builtin_strcmp(#name, lit) == 0)
#define HAS_PREFIX(name, lit) (__builtin_strncmp(#name, lit, sizeof(lit) - 1) == 0)
#define CLASS_OF(name) \
	(sizeof(#name) > 4 && #name[sizeof(#name) - 2] == 'x' && #name[sizeof(#name) - 3] == 'x' \
			? #name[sizeof(#name) - 4] \
			: 0)

static const struct tg_desc core[] = {
#define X(name, text) {#name, text, offsetof(struct tg_core_stats, name), false, 0, 0, 0},
	TG_CORE_COUNTERS(X)
#undef X
#define X(name, text) {#name, text, offsetof(struct tg_core_stats, name), true, 0, 0, 0},
		TG_CORE_GAUGES(X)
#undef X
};
const struct tg_desc_table tg_core_table = {core, TG_ARRAY_LEN(core)};

static const struct tg_desc core_hists[] = {
#define X(name, text) {#name, text, offsetof(struct tg_core_stats, name), false, 0, 0, 0},
	TG_CORE_HISTS(X)
#undef X
};
const struct tg_desc_table tg_core_hist_table = {core_hists, TG_ARRAY_LEN(core_hists)};

/* Envoy counts all of these but the one that only a proxy with its own TCP can, and hedges. */
#define CLUSTER_ENVOY(name) \
	(IS(name, "upstream_rq_retry_unacked") || HAS_PREFIX(name, "upstream_rq_hedge") \
			? 0 \
			: TG_IN_CLUSTER)
#define CLUSTER(name, text, gauge) \
	{#name, text, offsetof(struct tg_cluster_stats, name), gauge, TG_IN_CLUSTER, \
		CLUSTER_ENVOY(name), CLASS_OF(name)},
#define CLUSTER_COUNTER(name, text) CLUSTER(name, text, false)
#define CLUSTER_GAUGE(name, text) CLUSTER(name, text, true)

#define BREAKER(r, prio, name, text, k) \
	{"circuit_breakers." name, text, \
		offsetof(struct tg_cluster_stats, breaker[TG_PRIORITY_##prio][TG_RES_##r]), true, \
		TG_IN_CLUSTER, TG_IN_CLUSTER, 0, k},
#define BREAKER_DEFAULT(r, open, left, text) \
	BREAKER(r, DEFAULT, "default." open, "1 while no more are allowed: " text, TG_DESC_OPEN) \
	BREAKER(r, DEFAULT, "default." left, "how many more (track_remaining): " text, TG_DESC_LEFT)
#define BREAKER_HIGH(r, open, left, text) \
	BREAKER(r, HIGH, "high." open, "1 while no more are allowed: " text, TG_DESC_OPEN) \
	BREAKER(r, HIGH, "high." left, "how many more (track_remaining): " text, TG_DESC_LEFT)

#define UNDER_CLUSTER(name, text, field) \
	{name, text, offsetof(struct tg_cluster_stats, field), false, TG_IN_CLUSTER, \
		TG_IN_CLUSTER, 0, 0},
#define MEMBER(field, name, text) \
	{name, text, offsetof(struct tg_cluster_stats, members.field), true, TG_IN_CLUSTER, \
		TG_IN_CLUSTER, 0, 0},
#define CHECK(name, text) UNDER_CLUSTER("health_check." #name, text, check.name)
#define DETECTOR(id, name, text) \
	UNDER_CLUSTER("outlier_detection.ejections_detected_" name, "detected: " text, \
		outlier.detected[TG_DETECT_##id]) \
	UNDER_CLUSTER("outlier_detection.ejections_enforced_" name, "ejected for it: " text, \
		outlier.enforced[TG_DETECT_##id])

static const struct tg_desc cluster[] = {TG_CLUSTER_COUNTERS(CLUSTER_COUNTER) TG_CLUSTER_GAUGES(
	CLUSTER_GAUGE) TG_BREAKER_LIST(BREAKER_DEFAULT) TG_BREAKER_LIST(BREAKER_HIGH)
		TG_MEMBER_GAUGES(MEMBER) TG_CHECK_COUNTERS(CHECK) TG_DETECTOR_LIST(
			DETECTOR) UNDER_CLUSTER("outlier_detection.ejections_enforced_total",
			"endpoints ejected", outlier.enforced_total)
			UNDER_CLUSTER("outlier_detection.ejections_overflow",
				"not ejected: max_ejection_percent was reached", outlier.overflow)};
const struct tg_desc_table tg_cluster_table = {cluster, TG_ARRAY_LEN(cluster)};

/* Connections belong to the listener as such, upgrades and requests to its HTTP side. */
#define LISTENER_SHOWN(name) \
	(IS(name, "listening") ? TG_IN_LISTENER \
		: !HAS_PREFIX(name, "downstream_cx_") || \
				IS(name, "downstream_cx_upgrades_active") || \
				IS(name, "downstream_cx_overload_disable_keepalive") \
			? TG_IN_HTTP \
		: IS(name, "downstream_cx_overflow") ? TG_IN_LISTENER \
		: IS(name, "downstream_cx_protocol_error") \
			? TG_IN_LISTENER | TG_IN_HTTP \
			: TG_IN_LISTENER | TG_IN_HTTP | TG_IN_TCP)
#define LISTENER_ENVOY(name) \
	((IS(name, "downstream_cx_overflow") ? 0 : TG_IN_HTTP) | \
		(IS(name, "downstream_cx_total") || IS(name, "downstream_cx_destroy") || \
					IS(name, "downstream_cx_active") || \
					IS(name, "downstream_cx_overflow") \
				? TG_IN_LISTENER \
				: 0) | \
		(IS(name, "downstream_cx_total") || IS(name, "downstream_cx_rx_bytes_total") || \
					IS(name, "downstream_cx_tx_bytes_total") \
				? TG_IN_TCP \
				: 0))
#define LISTENER(name, text, gauge) \
	{#name, text, offsetof(struct tg_listener_stats, name), gauge, LISTENER_SHOWN(name), \
		LISTENER_ENVOY(name), CLASS_OF(name)},
#define LISTENER_COUNTER(name, text) LISTENER(name, text, false)
#define LISTENER_GAUGE(name, text) LISTENER(name, text, true)

static const struct tg_desc listener[] = {
	TG_LISTENER_COUNTERS(LISTENER_COUNTER) TG_LISTENER_GAUGES(LISTENER_GAUGE)};
const struct tg_desc_table tg_listener_table = {listener, TG_ARRAY_LEN(listener)};
