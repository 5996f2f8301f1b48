/* retry.h: whether, when and how often a request is sent again, as Envoy's retry_policy says.
 *
 * Decisions only: pure functions over a policy, which is part of a snapshot. What a retry needs
 * (the request's bytes, a timer, a lease of the cluster's breaker) is the proxy's. Any thread.
 */
#ifndef TIDEGATE_RETRY_H
#define TIDEGATE_RETRY_H

#include <tidegate/match.h>
#include <tidegate/rng.h>

/* Words of retry_on. What only HTTP/2 and 3 can have is accepted and never happens. The last five
 * are a grpc-status in the head of a response. */
#define TG_RETRY_LIST(X) \
	X(5XX, "5xx") \
	X(GATEWAY_ERROR, "gateway-error") \
	X(RESET, "reset") \
	X(RESET_BEFORE_REQUEST, "reset-before-request") \
	X(CONNECT_FAILURE, "connect-failure") \
	X(ENVOY_RATELIMITED, "envoy-ratelimited") \
	X(RETRIABLE_4XX, "retriable-4xx") \
	X(RETRIABLE_STATUS_CODES, "retriable-status-codes") \
	X(RETRIABLE_HEADERS, "retriable-headers") \
	X(REFUSED_STREAM, "refused-stream") \
	X(HTTP3_POST_CONNECT_FAILURE, "http3-post-connect-failure") \
	X(CANCELLED, "cancelled") \
	X(DEADLINE_EXCEEDED, "deadline-exceeded") \
	X(INTERNAL, "internal") \
	X(RESOURCE_EXHAUSTED, "resource-exhausted") \
	X(UNAVAILABLE, "unavailable")

enum tg_retry_word {
#define X(id, text) TG_RETRY_WORD_##id,
	TG_RETRY_LIST(X)
#undef X
};
enum tg_retry_bit {
#define X(id, text) TG_RETRY_##id = 1 << TG_RETRY_WORD_##id,
	TG_RETRY_LIST(X)
#undef X
};
#define TG_RETRY_GRPC \
	(TG_RETRY_CANCELLED | TG_RETRY_DEADLINE_EXCEEDED | TG_RETRY_INTERNAL | \
		TG_RETRY_RESOURCE_EXHAUSTED | TG_RETRY_UNAVAILABLE)

/* A field of a response that says when to come again. */
struct tg_retry_reset {
	struct tg_view name;
	bool timestamp; /* seconds since 1970, not from now */
};

#define TG_RETRY_STATUSES 16 /* at most, of a policy and of a request's field each */

struct tg_retry_statuses {
	uint16_t n, code[TG_RETRY_STATUSES];
};

/* What a request asks for itself, besides words: x-envoy-retriable-status-codes, -header-names. */
struct tg_retry_asked {
	struct tg_retry_statuses statuses;
	struct tg_view names; /* "x-again, x-later": with TG_RETRY_RETRIABLE_HEADERS, any of them */
};

struct tg_retry_policy {
	uint32_t on; /* enum tg_retry_bit */
	uint32_t num_retries;
	uint64_t per_try_timeout;              /* ns; 0: none */
	uint64_t per_try_idle_timeout;         /* ns without a byte of a try; 0: none */
	uint64_t backoff_base, backoff_max;    /* ns */
	bool avoid_previous;                   /* hosts that were tried: retry_host_predicate */
	uint32_t host_attempts;                /* choices made again for that; 1 */
	struct tg_retry_statuses statuses;     /* with TG_RETRY_RETRIABLE_STATUS_CODES */
	uint32_t n_headers;                    /* with TG_RETRY_RETRIABLE_HEADERS: any of them */
	const struct tg_header_match *headers; /* of the response */
	uint64_t reset_max;                    /* ns; longer waits are not believed */
	uint32_t n_resets;                     /* rate_limited_retry_back_off; 0: none */
	const struct tg_retry_reset *resets;   /* the first that says something counts */
};

/* Why an attempt ended without a response. */
enum tg_retry_failure {
	TG_RETRY_NO_CONNECTION,
	TG_RETRY_LOST_UNDELIVERED, /* no byte of the request can have been delivered */
	TG_RETRY_LOST,             /* reset, closed, or malformed */
	TG_RETRY_TOO_SLOW,         /* per_try_timeout */
};

/* "5xx,reset": the bits of the words that are known; *bad: the first that is not (empty: none). */
uint32_t tg_retry_on_parse(struct tg_view list, struct tg_view *bad);
/* "409, 503": those from 100 to 599, as many as there is room for; others are passed over, as Envoy
 * does. */
void tg_retry_statuses_parse(struct tg_view list, struct tg_retry_statuses *out);

/* on: the policy's bits together with those that the request asked for. policy may be NULL. */
bool tg_retry_by_response(uint32_t on, const struct tg_retry_policy *policy,
	const struct tg_retry_asked *asked, const struct tg_msg *m);
bool tg_retry_by_failure(uint32_t on, enum tg_retry_failure f);

/* ns before retry number n = 1 ..: uniform in [0, (2^n - 1) * base), less than max (Envoy's fully
 * jittered exponential back-off). */
uint64_t tg_retry_backoff(uint64_t base, uint64_t max, uint32_t n, struct tg_rng *rng);
/* ns to wait as the response asks, up to half as long again by chance (Envoy's
 * rate_limited_retry_back_off). 0: it says nothing that is believed. realtime: ns since 1970. */
uint64_t tg_retry_reset_wait(const struct tg_retry_policy *p, const struct tg_msg *m,
	uint64_t realtime, struct tg_rng *rng);

#endif
