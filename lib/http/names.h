/* names.h: well-known names, found without a loop over them. Private to lib/http. */
#ifndef TIDEGATE_HTTP_NAMES_H
#define TIDEGATE_HTTP_NAMES_H

#include <tidegate/msg.h>

enum tg_method tg_method_of(struct tg_view name);

static inline uint64_t tg_load_lower8(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v | 0x2020202020202020;
}

/* Is the token at p the lower-case literal of n bytes? n is a constant, so that this becomes one to
 * four comparisons of words. Setting bit 5 of every byte maps no other tchar onto letters, digits
 * or '-'. */
static inline __attribute__((always_inline)) bool tg_token_is(
	const uint8_t *p, const char *lower, uint32_t n)
{
	uint32_t i = 0;

	for (; i + 8 <= n; i += 8)
		if (tg_load_lower8(p + i) != tg_load_lower8(lower + i))
			return false;
	if (i < n && n >= 8)
		return tg_load_lower8(p + n - 8) == tg_load_lower8(lower + n - 8);
	for (; i < n; i++)
		if ((p[i] | 0x20) != lower[i])
			return false;
	return true;
}

/* The id of a name that is known to be a token. A test holds the cases against TG_FIELD_LIST. */
static inline __attribute__((always_inline)) enum tg_field_id tg_field_id_of_token(struct tg_view v)
{
#define IS(name) tg_token_is(v.p, (name), sizeof(name) - 1)
	switch (v.n) {
	case 2:
		if (IS("te"))
			return TG_FIELD_TE;
		break;
	case 4:
		if (IS("host"))
			return TG_FIELD_HOST;
		if (IS("date"))
			return TG_FIELD_DATE;
		break;
	case 6:
		if (IS("expect"))
			return TG_FIELD_EXPECT;
		if (IS("server"))
			return TG_FIELD_SERVER;
		break;
	case 7:
		if (IS("upgrade"))
			return TG_FIELD_UPGRADE;
		if (IS("trailer"))
			return TG_FIELD_TRAILER;
		break;
	case 10:
		if (IS("connection"))
			return TG_FIELD_CONNECTION;
		if (IS("user-agent"))
			return TG_FIELD_USER_AGENT;
		if (IS("keep-alive"))
			return TG_FIELD_KEEP_ALIVE;
		break;
	case 12:
		if (IS("x-request-id"))
			return TG_FIELD_X_REQUEST_ID;
		break;
	case 14:
		if (IS("content-length"))
			return TG_FIELD_CONTENT_LENGTH;
		if (IS("http2-settings"))
			return TG_FIELD_HTTP2_SETTINGS;
		break;
	case 15:
		if (IS("x-forwarded-for"))
			return TG_FIELD_X_FORWARDED_FOR;
		if (IS("x-envoy-ip-tags"))
			return TG_FIELD_X_ENVOY_IP_TAGS;
		break;
	case 16:
		if (IS("x-envoy-retry-on"))
			return TG_FIELD_X_ENVOY_RETRY_ON;
		if (IS("proxy-connection"))
			return TG_FIELD_PROXY_CONNECTION;
		if (IS("x-envoy-internal"))
			return TG_FIELD_X_ENVOY_INTERNAL;
		break;
	case 17:
		if (IS("transfer-encoding"))
			return TG_FIELD_TRANSFER_ENCODING;
		if (IS("x-forwarded-proto"))
			return TG_FIELD_X_FORWARDED_PROTO;
		break;
	case 18:
		if (IS("proxy-authenticate"))
			return TG_FIELD_PROXY_AUTHENTICATE;
		break;
	case 19:
		if (IS("x-envoy-max-retries"))
			return TG_FIELD_X_ENVOY_MAX_RETRIES;
		if (IS("x-envoy-ratelimited"))
			return TG_FIELD_X_ENVOY_RATELIMITED;
		if (IS("proxy-authorization"))
			return TG_FIELD_PROXY_AUTHORIZATION;
		if (IS("x-envoy-force-trace"))
			return TG_FIELD_X_ENVOY_FORCE_TRACE;
		break;
	case 20:
		if (IS("x-envoy-original-url"))
			return TG_FIELD_X_ENVOY_ORIGINAL_URL;
		break;
	case 21:
		if (IS("x-envoy-attempt-count"))
			return TG_FIELD_X_ENVOY_ATTEMPT_COUNT;
		if (IS("x-envoy-original-path"))
			return TG_FIELD_X_ENVOY_ORIGINAL_PATH;
		if (IS("x-envoy-original-host"))
			return TG_FIELD_X_ENVOY_ORIGINAL_HOST;
		if (IS("x-envoy-retry-grpc-on"))
			return TG_FIELD_X_ENVOY_RETRY_GRPC_ON;
		break;
	case 23:
		if (IS("x-forwarded-client-cert"))
			return TG_FIELD_X_FORWARDED_CLIENT_CERT;
		break;
	case 24:
		if (IS("x-envoy-external-address"))
			return TG_FIELD_X_ENVOY_EXTERNAL_ADDRESS;
		break;
	case 27:
		if (IS("x-envoy-decorator-operation"))
			return TG_FIELD_X_ENVOY_DECORATOR_OPERATION;
		break;
	case 29:
		if (IS("x-envoy-upstream-service-time"))
			return TG_FIELD_X_ENVOY_UPSTREAM_SERVICE_TIME;
		break;
	case 30:
		if (IS("x-envoy-upstream-rq-timeout-ms"))
			return TG_FIELD_X_ENVOY_UPSTREAM_RQ_TIMEOUT_MS;
		if (IS("x-envoy-retriable-status-codes"))
			return TG_FIELD_X_ENVOY_RETRIABLE_STATUS_CODES;
		if (IS("x-envoy-expected-rq-timeout-ms"))
			return TG_FIELD_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS;
		if (IS("x-envoy-retriable-header-names"))
			return TG_FIELD_X_ENVOY_RETRIABLE_HEADER_NAMES;
		if (IS("x-envoy-upstream-alt-stat-name"))
			return TG_FIELD_X_ENVOY_UPSTREAM_ALT_STAT_NAME;
		break;
	case 31:
		if (IS("x-envoy-downstream-service-node"))
			return TG_FIELD_X_ENVOY_DOWNSTREAM_SERVICE_NODE;
		break;
	case 32:
		if (IS("x-envoy-hedge-on-per-try-timeout"))
			return TG_FIELD_X_ENVOY_HEDGE_ON_PER_TRY_TIMEOUT;
		break;
	case 34:
		if (IS("x-envoy-downstream-service-cluster"))
			return TG_FIELD_X_ENVOY_DOWNSTREAM_SERVICE_CLUSTER;
		break;
	case 38:
		if (IS("x-envoy-upstream-rq-per-try-timeout-ms"))
			return TG_FIELD_X_ENVOY_UPSTREAM_RQ_PER_TRY_TIMEOUT_MS;
		break;
	case 40:
		if (IS("x-envoy-upstream-rq-timeout-alt-response"))
			return TG_FIELD_X_ENVOY_UPSTREAM_RQ_TIMEOUT_ALT_RESPONSE;
		break;
	default:
		break;
	}
#undef IS
	return TG_FIELD_UNKNOWN;
}

#endif
