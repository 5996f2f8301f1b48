/* ratelimit.h: the filters "local_ratelimit" and "ratelimit": limits of requests, by Envoy's rules.
 *
 * This is its input, which lib/config makes of the text; docs/filters.md is the reference. Input
 * strings must live as long as the compiled filter.
 *
 *	request --actions of a rate limit--> descriptor [(key, value), ...] --first that fits-->
 *bucket
 *
 * local_ratelimit: a descriptor that leaves a value open has a bucket for each value (and
 *combination of values) that comes: a bounded table (bucket.h). All buckets are shared by the
 *workers: no limit is exceeded by a single request. A reload begins with full ones.
 *
 * ratelimit: the same descriptors, with limits of a second, minute, hour or day that hold over all
 * processes with the same domain: quota.h has the tokens and the bound, lib/redis asks for them. No
 * request waits: one that finds no token here is decided on credit, or refused. The table outlives
 * reloads.
 */
#ifndef TIDEGATE_RATELIMIT_H
#define TIDEGATE_RATELIMIT_H

#include <tidegate/bucket.h>
#include <tidegate/filter.h>
#include <tidegate/match.h>
#include <tidegate/quota.h>

#define TG_RATELIMIT_ENTRIES_MAX 8 /* of a descriptor */

enum tg_ratelimit_action_kind {
	TG_RATELIMIT_HEADER,         /* the first line of the field; none: no descriptor */
	TG_RATELIMIT_REMOTE_ADDRESS, /* of the connection */
	TG_RATELIMIT_MASKED_ADDRESS, /* its first v4_len or v6_len bits */
	TG_RATELIMIT_IDENTITY,       /* the certificate's URI; none: no descriptor */
	TG_RATELIMIT_PATH,           /* without query */
	TG_RATELIMIT_GENERIC,        /* `value` */
	TG_RATELIMIT_HEADER_MATCH,   /* `value`, if the fields match; else: no descriptor */
};

struct tg_ratelimit_action {
	enum tg_ratelimit_action_kind kind;
	struct tg_view key;   /* of the descriptor's entry */
	struct tg_view value; /* HEADER: the field's name */
	uint8_t v4_len, v6_len;
	bool expect_match; /* HEADER_MATCH: false: if they do not match */
	uint32_t n_headers;
	const struct tg_header_match *headers;
};

/* What makes one descriptor of a request. */
struct tg_ratelimit_limit {
	uint32_t n; /* 1 .. TG_RATELIMIT_ENTRIES_MAX */
	const struct tg_ratelimit_action *actions;
};

struct tg_ratelimit_entry {
	struct tg_view key, value;
	bool any;               /* each value has its own bucket */
	struct tg_ip_prefix ip; /* the value, for a key of addresses */
};

struct tg_ratelimit_descriptor {
	uint32_t n;
	const struct tg_ratelimit_entry *entries;
	struct tg_bucket_rate rate; /* local */
	struct tg_quota_rate quota; /* global; limit 0: nobody passes */
	bool unlimited, shadow;     /* global; shadow: what is over is counted, and passes */
};

struct tg_ratelimit_in {
	bool has_default;    /* a bucket for requests without a descriptor that fits ... */
	bool always_default; /* ... and for the others too */
	struct tg_bucket_rate rate;
	uint32_t n_limits, n_descriptors;
	const struct tg_ratelimit_limit *limits;
	const struct tg_ratelimit_descriptor *descriptors;
	uint32_t max_dynamic_descriptors; /* values that a descriptor has buckets for at a time */
	uint16_t status;
	uint32_t filter_enabled, filter_enforced; /* millionths */
	bool x_ratelimit_headers;
	uint32_t n_fields; /* response_headers_to_add */
	const struct tg_field *fields;
};

enum tg_ratelimit_counter {
	TG_RATELIMIT_ENABLED,
	TG_RATELIMIT_OK,
	TG_RATELIMIT_LIMITED,
	TG_RATELIMIT_ENFORCED,
	TG_RATELIMIT_EVICTED,
	TG_RATELIMIT_COUNTERS
};

extern const struct tg_filter_ops tg_ratelimit_http;

/* Envoy's request_type: an internal request has x-envoy-internal: true. */
enum tg_ratelimit_type { TG_RATELIMIT_BOTH, TG_RATELIMIT_INTERNAL, TG_RATELIMIT_EXTERNAL };

struct tg_ratelimit_global_in {
	/* Where the process's table will stand before the first request. NULL in there: as if the
	 * store were away. */
	struct tg_quota *const *quota;
	struct tg_view domain;
	uint32_t n_limits, n_descriptors;
	const struct tg_ratelimit_limit *limits;
	const struct tg_ratelimit_descriptor *descriptors;
	uint16_t status, status_on_error;
	uint8_t request_type;
	bool failure_mode_deny; /* without the store: refuse; else let pass */
	bool x_ratelimit_headers, no_envoy_header /* x-envoy-ratelimited */;
};

enum tg_ratelimit_global_counter {
	TG_RATELIMIT_GLOBAL_OK,
	TG_RATELIMIT_GLOBAL_CREDIT,
	TG_RATELIMIT_GLOBAL_OVER,
	TG_RATELIMIT_GLOBAL_NO_LEASE,
	TG_RATELIMIT_GLOBAL_SHADOW,
	TG_RATELIMIT_GLOBAL_ERROR,
	TG_RATELIMIT_GLOBAL_ALLOWED,
	TG_RATELIMIT_GLOBAL_COUNTERS
};

extern const struct tg_filter_ops tg_ratelimit_global_http;

#endif
