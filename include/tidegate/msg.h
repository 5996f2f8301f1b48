/* msg.h: an HTTP message head, whatever version carried it.
 *
 * Views into memory that lives as long as the exchange (its arena). Codecs fill it, filters and
 * routes read it, the proxy edits and serialises it. Owner: one worker. Bounds: field_cap fields,
 * set by the codec's limits. Vocabulary of RFC 9110: field = name and value; target as received.
 */
#ifndef TIDEGATE_MSG_H
#define TIDEGATE_MSG_H

#include <tidegate/view.h>

enum tg_method {
	TG_GET,
	TG_HEAD,
	TG_POST,
	TG_PUT,
	TG_DELETE,
	TG_CONNECT,
	TG_OPTIONS,
	TG_TRACE,
	TG_PATCH,
	TG_METHOD_OTHER, /* any other token: method_name has it */
};

/* Fields that Tidegate itself looks at: enum suffix, lower-case name. */
#define TG_FIELD_LIST(X) \
	X(HOST, "host") \
	X(CONNECTION, "connection") \
	X(CONTENT_LENGTH, "content-length") \
	X(TRANSFER_ENCODING, "transfer-encoding") \
	X(KEEP_ALIVE, "keep-alive") \
	X(PROXY_CONNECTION, "proxy-connection") \
	X(PROXY_AUTHENTICATE, "proxy-authenticate") \
	X(PROXY_AUTHORIZATION, "proxy-authorization") \
	X(TE, "te") \
	X(TRAILER, "trailer") \
	X(UPGRADE, "upgrade") \
	X(HTTP2_SETTINGS, "http2-settings") \
	X(EXPECT, "expect") \
	X(DATE, "date") \
	X(SERVER, "server") \
	X(USER_AGENT, "user-agent") \
	X(X_FORWARDED_FOR, "x-forwarded-for") \
	X(X_FORWARDED_PROTO, "x-forwarded-proto") \
	X(X_FORWARDED_CLIENT_CERT, "x-forwarded-client-cert") \
	X(X_REQUEST_ID, "x-request-id") \
	X(X_ENVOY_RATELIMITED, "x-envoy-ratelimited") \
	/* A client's word about retries and timeouts. These stand together. */ \
	X(X_ENVOY_RETRY_ON, "x-envoy-retry-on") \
	X(X_ENVOY_RETRY_GRPC_ON, "x-envoy-retry-grpc-on") \
	X(X_ENVOY_MAX_RETRIES, "x-envoy-max-retries") \
	X(X_ENVOY_RETRIABLE_STATUS_CODES, "x-envoy-retriable-status-codes") \
	X(X_ENVOY_RETRIABLE_HEADER_NAMES, "x-envoy-retriable-header-names") \
	X(X_ENVOY_UPSTREAM_RQ_TIMEOUT_MS, "x-envoy-upstream-rq-timeout-ms") \
	X(X_ENVOY_UPSTREAM_RQ_PER_TRY_TIMEOUT_MS, "x-envoy-upstream-rq-per-try-timeout-ms") \
	X(X_ENVOY_UPSTREAM_RQ_TIMEOUT_ALT_RESPONSE, "x-envoy-upstream-rq-timeout-alt-response") \
	X(X_ENVOY_HEDGE_ON_PER_TRY_TIMEOUT, "x-envoy-hedge-on-per-try-timeout") \
	X(X_ENVOY_EXPECTED_RQ_TIMEOUT_MS, "x-envoy-expected-rq-timeout-ms") \
	X(X_ENVOY_ATTEMPT_COUNT, "x-envoy-attempt-count") \
	/* What the mesh says to itself about a request, and these. */ \
	X(X_ENVOY_ORIGINAL_PATH, "x-envoy-original-path") \
	X(X_ENVOY_ORIGINAL_HOST, "x-envoy-original-host") \
	X(X_ENVOY_ORIGINAL_URL, "x-envoy-original-url") \
	X(X_ENVOY_INTERNAL, "x-envoy-internal") \
	X(X_ENVOY_EXTERNAL_ADDRESS, "x-envoy-external-address") \
	X(X_ENVOY_DOWNSTREAM_SERVICE_CLUSTER, "x-envoy-downstream-service-cluster") \
	X(X_ENVOY_DOWNSTREAM_SERVICE_NODE, "x-envoy-downstream-service-node") \
	X(X_ENVOY_DECORATOR_OPERATION, "x-envoy-decorator-operation") \
	X(X_ENVOY_UPSTREAM_ALT_STAT_NAME, "x-envoy-upstream-alt-stat-name") \
	X(X_ENVOY_FORCE_TRACE, "x-envoy-force-trace") \
	X(X_ENVOY_IP_TAGS, "x-envoy-ip-tags") \
	X(X_ENVOY_UPSTREAM_SERVICE_TIME, "x-envoy-upstream-service-time")

enum tg_field_id {
	TG_FIELD_UNKNOWN,
#define X(id, name) TG_FIELD_##id,
	TG_FIELD_LIST(X)
#undef X
		TG_FIELD_MAX
};

struct tg_field {
	struct tg_view name;  /* as received: case kept */
	struct tg_view value; /* without surrounding white space */
	uint16_t id;          /* enum tg_field_id */
	bool removed;         /* skipped by lookups and when serialised */
};

/* How the length of the content is known (RFC 9112 section 6.3). */
enum tg_body_kind {
	TG_BODY_NONE,
	TG_BODY_LENGTH,
	TG_BODY_CHUNKED,
	TG_BODY_UNTIL_CLOSE, /* responses only */
	TG_BODY_TUNNEL,      /* after 101, or 2xx to CONNECT */
};

struct tg_msg {
	bool is_request;
	uint8_t version_minor; /* HTTP/1.x: 0 or 1 */
	/* request */
	uint8_t method; /* enum tg_method */
	struct tg_view method_name;
	struct tg_view target; /* as received */
	struct tg_view scheme; /* absolute-form only, else empty */
	struct tg_view
		authority;    /* absolute-form's or Host's: host[:port] as received, validated */
	struct tg_view path;  /* without query; "*" for OPTIONS *; "" for CONNECT */
	struct tg_view query; /* behind '?', which it does not include; .p NULL: there is no '?' */
	/* response */
	uint16_t status; /* 100..599 */
	struct tg_view reason;
	/* framing and connection, derived from the fields and already validated */
	enum tg_body_kind body;
	uint64_t content_length; /* with TG_BODY_LENGTH; for HEAD and 304 what the field said */
	bool has_content_length;
	bool keep_alive; /* the sender wants, and the framing allows, another message after it */
	bool upgrade;    /* Connection: upgrade and an Upgrade field */
	bool expect_continue; /* Expect: 100-continue */
	bool te_trailers;     /* TE: trailers */
	/* fields in the order received, then those added */
	struct tg_field *fields;
	uint16_t n_fields, field_cap;
	/* Ids (a bit each) that certainly no field has but removed ones, so that nobody need look.
	 * The codec and the functions below keep it; who brings a field back by hand clears it. */
	uint64_t absent;
};

/* The first field with that id; NULL: none. */
struct tg_field *tg_msg_find(const struct tg_msg *m, enum tg_field_id id);
/* By any name, case-insensitively; `after` = a former result to go on behind, or NULL. */
struct tg_field *tg_msg_find_name(
	const struct tg_msg *m, struct tg_view name, const struct tg_field *after);
/* Appends; name and value must live as long as m. TG_ENOMEM: field_cap reached. */
int tg_msg_add(struct tg_msg *m, enum tg_field_id id, struct tg_view name, struct tg_view value);
/* Removes every field with that id; returns how many. */
uint32_t tg_msg_remove(struct tg_msg *m, enum tg_field_id id);
/* The well-known id of a field name (any case), or TG_FIELD_UNKNOWN. */
enum tg_field_id tg_field_id_of(struct tg_view name);
struct tg_view tg_field_name(enum tg_field_id id);
struct tg_view tg_method_name(enum tg_method m);

/* Removes what belongs to one connection only: Connection and every field that it names,
 * Keep-Alive, Proxy-Connection, TE, Trailer is kept, Transfer-Encoding, Upgrade (RFC 9110
 * section 7.6.1). Leaves message framing to whoever serialises. Never lets Connection remove Host,
 * Content-Length or other fields that framing and routing need: returns false if it tried to. */
bool tg_msg_remove_hop_by_hop(struct tg_msg *m);

#endif
