/* `health_checks` and `outlier_detection` of clusters. */
#include <stdio.h>
#include <string.h>

#include "keys.h"

static const char *const words_method[] = {
	"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", NULL};
static const char *const refused_method[] = {"CONNECT", NULL};

static const struct cfg_key status_range_keys[] = {
	KEY(raw_status_range, start, "start", .type = CFG_U32, .flags = CFG_REQUIRED, .min = 100,
		.max = 599, .example = "200", .doc = "the first status"),
	KEY(raw_status_range, end, "end", .type = CFG_U32, .flags = CFG_REQUIRED, .min = 101,
		.max = 600, .example = "300", .doc = "the first one behind them"),
	END};

static const struct cfg_key payload_keys[] = {
	KEY(raw_payload, text, "text", .type = CFG_STRING, .flags = CFG_REQUIRED,
		.example = "\"50494e47\"", .doc = "bytes, as hexadecimal digits"),
	END};

static const struct cfg_key http_check_keys[] = {
	KEY(raw_http_check, path, "path", .type = CFG_STRING, .flags = CFG_REQUIRED,
		.example = "\"/healthz\"", .doc = "what is asked for"),
	KEY(raw_http_check, host, "host", .type = CFG_STRING, .example = "\"shop.example\"",
		.doc = "the Host field; the cluster's name where it is not given"),
	KEY(raw_http_check, method, "method", .type = CFG_ENUM, .words = words_method,
		.refused_words = refused_method, .dflt = "GET", .example = "\"HEAD\"",
		.doc = "the request's"),
	KEY(raw_http_check, add, "request_headers_to_add", .type = CFG_GROUPS,
		.group = &cfg_field_add, .flags = CFG_TOLD,
		.example = "( { header: { key = \"x-probe\"; value = \"1\"; }; } )",
		.doc = "more fields; values are taken as they stand"),
	KEY(raw_http_check, expected, "expected_statuses", .type = CFG_GROUPS,
		.flags = CFG_NOT_EMPTY, .group = &cfg_status_range,
		.example = "( { start = 200; end = 300; } )",
		.doc = "answers of a healthy endpoint; only 200 where they are not given"),
	KEY(raw_http_check, retriable, "retriable_statuses", .type = CFG_GROUPS,
		.group = &cfg_status_range, .example = "( { start = 503; end = 504; } )",
		.doc = "answers that count up to unhealthy_threshold; all others are believed at "
		       "once"),
	END};

static const struct cfg_key tcp_check_keys[] = {
	KEY(raw_tcp_check, send, "send", .type = CFG_GROUP, .group = &cfg_payload,
		.example = "{ text = \"50494e47\"; }",
		.doc = "sent as soon as the connection is open"),
	KEY(raw_tcp_check, receive, "receive", .type = CFG_GROUPS, .group = &cfg_payload,
		.flags = CFG_TOLD, .example = "( { text = \"504f4e47\"; } )",
		.doc = "blocks that have to come in this order; without them, a connection that "
		       "opens is enough"),
	END};

#define TIME(s, field, key, ...) \
	KEY(s, field, key, .type = CFG_DURATION, .max = YEAR / 4, __VA_ARGS__)

static const struct cfg_key check_keys[] = {
	TIME(raw_check, c.timeout, "timeout", .min = TG_MS, .flags = CFG_REQUIRED,
		.example = "\"1s\"", .doc = "for an answer, the connection included"),
	TIME(raw_check, c.interval, "interval", .min = TG_MS, .flags = CFG_REQUIRED,
		.example = "\"5s\"", .doc = "from the end of a check to the next one"),
	KEY(raw_check, c.unhealthy_threshold, "unhealthy_threshold", .type = CFG_U32, .min = 1,
		.max = 1000000, .flags = CFG_REQUIRED, .example = "2",
		.doc = "failures in a row before an endpoint is unhealthy; an unexpected status is "
		       "believed at once"),
	KEY(raw_check, c.healthy_threshold, "healthy_threshold", .type = CFG_U32, .min = 1,
		.max = 1000000, .flags = CFG_REQUIRED, .example = "2",
		.doc = "passes in a row before it is healthy again; the first check decides alone"),
	TIME(raw_check, c.initial_jitter, "initial_jitter", .dflt = "0s", .example = "\"1s\"",
		.doc = "the first check comes within that"),
	TIME(raw_check, c.interval_jitter, "interval_jitter", .dflt = "0s", .example = "\"1s\"",
		.doc = "added to each interval: at most so much, by chance"),
	KEY(raw_check, c.interval_jitter_percent, "interval_jitter_percent", .type = CFG_U32,
		.max = 1000, .dflt = "0", .example = "10", .doc = "the same, of the interval"),
	TIME(raw_check, c.unhealthy_interval, "unhealthy_interval", .min = TG_MS,
		.example = "\"10s\"", .doc = "while it is unhealthy; interval"),
	TIME(raw_check, c.unhealthy_edge_interval, "unhealthy_edge_interval", .min = TG_MS,
		.example = "\"1s\"",
		.doc = "after a failure that has not made it unhealthy yet; unhealthy_interval"),
	TIME(raw_check, c.healthy_edge_interval, "healthy_edge_interval", .min = TG_MS,
		.example = "\"1s\"",
		.doc = "after a pass that has not made it healthy yet; interval"),
	TIME(raw_check, c.no_traffic_interval, "no_traffic_interval", .min = TG_MS, .dflt = "60s",
		.example = "\"60s\"", .doc = "before the cluster was ever used"),
	TIME(raw_check, c.no_traffic_healthy_interval, "no_traffic_healthy_interval", .min = TG_MS,
		.example = "\"60s\"", .doc = "the same of healthy ones; no_traffic_interval"),
	KEY(raw_check, c.reuse_connection, "reuse_connection", .type = CFG_BOOL, .dflt = "true",
		.example = "false", .doc = "one connection for many checks"),
	KEY(raw_check, c.always_log_failures, "always_log_health_check_failures", .type = CFG_BOOL,
		.dflt = "false", .example = "true",
		.doc = "a line of log for each failed check, not for changes only"),
	KEY(raw_check, http, "http_health_check", .type = CFG_GROUP, .group = &cfg_http_check,
		.example = "{ path = \"/healthz\"; }", .doc = "one of these two: a request"),
	KEY(raw_check, tcp, "tcp_health_check", .type = CFG_GROUP, .group = &cfg_tcp_check,
		.example = "{ }", .doc = "a connection, and bytes over it"),
	END};

#define ENFORCING(field, key, default_) \
	KEY(raw_outlier, c.enforcing[field], key, .type = CFG_U32, .max = 100, .dflt = default_, \
		.example = "100", .doc = "percent of such detections that eject")

static const struct cfg_key outlier_keys[] = {
	KEY(raw_outlier, c.consecutive[TG_DETECT_CONSECUTIVE_5XX], "consecutive_5xx",
		.type = CFG_U32, .max = 1000000, .dflt = "5", .example = "5",
		.doc = "answers 5xx in a row, or failures to get one; 0 is off"),
	KEY(raw_outlier, c.consecutive[TG_DETECT_CONSECUTIVE_GATEWAY_FAILURE],
		"consecutive_gateway_failure", .type = CFG_U32, .max = 1000000, .dflt = "5",
		.example = "5", .doc = "the same of 502, 503 and 504"),
	KEY(raw_outlier, c.consecutive[TG_DETECT_CONSECUTIVE_LOCAL_ORIGIN_FAILURE],
		"consecutive_local_origin_failure", .type = CFG_U32, .max = 1000000, .dflt = "5",
		.example = "5",
		.doc = "connections that failed or were lost, timeouts; with "
		       "split_external_local_origin_errors"),
	TIME(raw_outlier, c.interval, "interval", .min = TG_MS, .dflt = "10s", .example = "\"10s\"",
		.doc = "between looks at success rates and at who returns"),
	TIME(raw_outlier, c.base_ejection, "base_ejection_time", .min = TG_MS, .dflt = "30s",
		.example = "\"30s\"", .doc = "an ejection lasts so long, times how often it was"),
	TIME(raw_outlier, c.max_ejection, "max_ejection_time", .dflt = "300s",
		.example = "\"300s\"", .doc = "and no longer"),
	TIME(raw_outlier, c.max_jitter, "max_ejection_time_jitter", .dflt = "0s",
		.example = "\"1s\"", .doc = "added to it by chance"),
	KEY(raw_outlier, c.max_percent, "max_ejection_percent", .type = CFG_U32, .max = 100,
		.dflt = "10", .example = "50",
		.doc = "of the endpoints that may be ejected at a time"),
	KEY(raw_outlier, c.one_in_any_case, "always_eject_one_host", .type = CFG_BOOL,
		.dflt = "true", .example = "false",
		.doc = "one may be, whatever part of them it is"),
	KEY(raw_outlier, c.rate_hosts, "success_rate_minimum_hosts", .type = CFG_U32,
		.max = 1000000, .dflt = "5", .example = "5",
		.doc = "endpoints with enough answers, for success rates to be compared"),
	KEY(raw_outlier, c.rate_volume, "success_rate_request_volume", .type = CFG_U32,
		.max = 1000000000, .dflt = "100", .example = "100",
		.doc = "enough answers in an interval"),
	KEY(raw_outlier, c.rate_factor, "success_rate_stdev_factor", .type = CFG_U32,
		.max = 1000000, .dflt = "1900", .example = "1900",
		.doc = "thousandths of the standard deviation that a rate may be below the mean"),
	KEY(raw_outlier, c.failure_percent, "failure_percentage_threshold", .type = CFG_U32,
		.max = 100, .dflt = "85", .example = "85", .doc = "failures that are too many"),
	KEY(raw_outlier, c.failure_hosts, "failure_percentage_minimum_hosts", .type = CFG_U32,
		.max = 1000000, .dflt = "5", .example = "5",
		.doc = "endpoints with enough answers, for it to be looked at"),
	KEY(raw_outlier, c.failure_volume, "failure_percentage_request_volume", .type = CFG_U32,
		.max = 1000000000, .dflt = "50", .example = "50",
		.doc = "enough answers in an interval"),
	ENFORCING(TG_DETECT_CONSECUTIVE_5XX, "enforcing_consecutive_5xx", "100"),
	ENFORCING(TG_DETECT_CONSECUTIVE_GATEWAY_FAILURE, "enforcing_consecutive_gateway_failure",
		"0"),
	ENFORCING(TG_DETECT_CONSECUTIVE_LOCAL_ORIGIN_FAILURE,
		"enforcing_consecutive_local_origin_failure", "100"),
	ENFORCING(TG_DETECT_SUCCESS_RATE, "enforcing_success_rate", "100"),
	ENFORCING(TG_DETECT_FAILURE_PERCENTAGE, "enforcing_failure_percentage", "0"),
	ENFORCING(
		TG_DETECT_LOCAL_ORIGIN_SUCCESS_RATE, "enforcing_local_origin_success_rate", "100"),
	ENFORCING(TG_DETECT_LOCAL_ORIGIN_FAILURE_PERCENTAGE,
		"enforcing_failure_percentage_local_origin", "0"),
	KEY(raw_outlier, c.split, "split_external_local_origin_errors", .type = CFG_BOOL,
		.dflt = "false", .example = "true",
		.doc = "failures on the way to an endpoint are counted apart from its answers"),
	KEY(raw_outlier, c.uneject, "successful_active_health_check_uneject_host", .type = CFG_BOOL,
		.dflt = "true", .example = "false",
		.doc = "an active check that passes ends an ejection"),
	END};

static const struct cfg_refused refused_none[] = {{NULL}};
static const struct cfg_refused refused_check[] = {{"alt_port"}, {"grpc_health_check"},
	{"custom_health_check"}, {"event_log_path"}, {"event_logger"}, {"event_service"},
	{"always_log_health_check_success"}, {"tls_options"}, {"transport_socket_match_criteria"},
	{NULL}};
static const struct cfg_refused refused_http_check[] = {{"send"}, {"receive"},
	{"response_buffer_size"}, {"service_name_matcher"}, {"codec_client_type"}, {"use_http2"},
	{"request_headers_to_remove"}, {NULL}};
static const struct cfg_refused refused_tcp_check[] = {{"proxy_protocol_config"}, {NULL}};
static const struct cfg_refused refused_payload[] = {{"binary", "text"}, {NULL}};
static const struct cfg_refused refused_outlier[] = {
	{"monitors"}, {"detect_degraded_hosts"}, {NULL}};

const struct cfg_group cfg_status_range = {
	"status range", sizeof(struct raw_status_range), status_range_keys, refused_none};
const struct cfg_group cfg_payload = {
	"payload", sizeof(struct raw_payload), payload_keys, refused_payload};
const struct cfg_group cfg_http_check = {
	"http_health_check", sizeof(struct raw_http_check), http_check_keys, refused_http_check};
const struct cfg_group cfg_tcp_check = {
	"tcp_health_check", sizeof(struct raw_tcp_check), tcp_check_keys, refused_tcp_check};
const struct cfg_group cfg_check = {
	"health check", sizeof(struct raw_check), check_keys, refused_check};
const struct cfg_group cfg_outlier = {
	"outlier_detection", sizeof(struct raw_outlier), outlier_keys, refused_outlier};

/* --- checks ----------------------------------------------------------------------------------- */

static int hex(char c)
{
	return c >= '0' && c <= '9'                 ? c - '0'
	       : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
						    : -1;
}

static void check_payload(
	struct cfg *c, const char *who, const char *key, const struct raw_payload *p, bool empty)
{
	size_t n = p->text ? strlen(p->text) : 0;
	bool good = n % 2 == 0 && n <= 8192 && (n || empty);

	for (size_t i = 0; i < n; i++)
		good &= hex(p->text[i]) >= 0;
	if (p->h.at && p->text && !good)
		cfg_error(c, cfg_key_line(&p->h, "text"),
			"%s: %s: \"text\" is bytes as pairs of hexadecimal digits, at most 4096",
			who, key);
}

static void check_ranges(struct cfg *c, const char *who, const char *key, const struct raw_list *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct raw_status_range *r = &cfg_items(l, raw_status_range)[i];

		if (r->end && r->end <= r->start)
			cfg_error(c, cfg_line_of(r->h.at),
				"%s: %s: \"end\" is behind the last status, so larger than "
				"\"start\"",
				who, key);
	}
}

static bool check_text(
	struct cfg *c, const char *who, const struct raw_head *h, const char *key, const char *s)
{
	for (const char *p = s; p && *p; p++)
		if ((uint8_t)*p <= ' ' || (uint8_t)*p >= 0x7f || strlen(s) > 4096) {
			cfg_error(c, cfg_key_line(h, key),
				"%s: \"%s\" is printable ASCII without spaces, at most 4096", who,
				key);
			return false;
		}
	return true;
}

static void check_http(struct cfg *c, const char *who, const struct raw_http_check *h)
{
	static const struct raw_edits none;
	struct raw_edits add = {.add = h->add};

	if (h->path && h->path[0] != '/')
		cfg_error(c, cfg_key_line(&h->h, "path"), "%s: \"path\" begins with \"/\"", who);
	check_text(c, who, &h->h, "path", h->path);
	if (check_text(c, who, &h->h, "host", h->host) && h->host && *h->host &&
		!tg_is_authority(tg_view_str(h->host)))
		cfg_error(c, cfg_key_line(&h->h, "host"), "%s: \"host\" is no host", who);
	check_ranges(c, who, "expected_statuses", &h->expected);
	check_ranges(c, who, "retriable_statuses", &h->retriable);
	cfg_check_edits(c, &add, &none, who);
	for (uint32_t i = 0; i < h->add.n; i++) {
		const struct raw_key_value *kv = &cfg_items(&h->add, raw_field_add)[i].header;

		if (kv->value && strchr(kv->value, '%'))
			cfg_error(c, cfg_key_line(&kv->h, "value"),
				"%s: request_headers_to_add: a check has nothing that "
				"%%OPERATORS%% could name",
				who);
	}
}

static void check_tcp(struct cfg *c, const char *who, const struct raw_tcp_check *t)
{
	check_payload(c, who, "send", &t->send, true);
	for (uint32_t i = 0; i < t->receive.n; i++)
		check_payload(c, who, "receive", &cfg_items(&t->receive, raw_payload)[i], false);
	if (t->receive.n > TG_HEALTH_BLOCKS_MAX)
		cfg_error(c, cfg_line_of(t->receive.at),
			"%s: at most %d blocks of \"receive\" are possible, here are %u", who,
			TG_HEALTH_BLOCKS_MAX, t->receive.n);
}

void cfg_check_health(struct cfg *c, const struct raw_cluster *raw)
{
	const char *who = cfg_who(c, raw->h.at, &cfg_clusters);
	const struct raw_check *hc = raw->checks.items;

	if (raw->checks.n > 1)
		cfg_error(c, cfg_line_of(hc[1].h.at),
			"%s: health_checks: one check is possible, here are %u", who,
			raw->checks.n);
	for (uint32_t i = 0; i < raw->checks.n; i++) {
		int given = (hc[i].http.h.at != NULL) + (hc[i].tcp.h.at != NULL);

		if (given > 1 || (!given && !hc[i].h.meant))
			cfg_error(c, cfg_line_of(hc[i].h.at),
				"%s: health_checks: give one of \"http_health_check\" and "
				"\"tcp_health_check\"%s",
				who, given ? ", not both" : "");
		if (hc[i].http.h.at)
			check_http(c, who, &hc[i].http);
		if (hc[i].tcp.h.at)
			check_tcp(c, who, &hc[i].tcp);
	}
	if (raw->c.close_on_failure && !raw->checks.n && raw->checks.whole)
		cfg_error(c, cfg_key_line(&raw->h, "close_connections_on_host_health_failure"),
			"%s: \"close_connections_on_host_health_failure\" does nothing without "
			"\"health_checks\"",
			who);
}

/* --- into the snapshot ------------------------------------------------------------------------ */

static bool compile_ranges(
	struct cfg *c, const struct raw_list *raw, uint32_t *n, const struct tg_status_range **out)
{
	struct tg_status_range *r = cfg_need(c, c->keep, (raw->n + (size_t)1) * sizeof(*r));

	if (!r)
		return false;
	*n = raw->n;
	*out = r;
	for (uint32_t i = 0; i < raw->n; i++) {
		const struct raw_status_range *from = &cfg_items(raw, raw_status_range)[i];

		r[i] = (struct tg_status_range){(uint16_t)from->start, (uint16_t)from->end};
	}
	return true;
}

/* The whole request: it is the same each time. */
static bool compile_http(struct cfg *c, const struct raw_cluster *of,
	const struct raw_http_check *raw, struct tg_health_check *hc)
{
	static const struct tg_status_range ok = {200, 201};
	const char *host = raw->host && *raw->host ? raw->host : of->c.name;
	const char *method = words_method[raw->method];
	size_t size = strlen(raw->path) + strlen(host) + 128;
	char *text;
	int n;

	for (uint32_t i = 0; i < raw->add.n; i++) {
		const struct raw_key_value *kv = &cfg_items(&raw->add, raw_field_add)[i].header;

		size += strlen(kv->key) + strlen(kv->value) + 4;
	}
	text = cfg_need(c, c->keep, size);
	if (!text || !compile_ranges(c, &raw->expected, &hc->n_expected, &hc->expected) ||
		!compile_ranges(c, &raw->retriable, &hc->n_retriable, &hc->retriable))
		return false;
	if (!hc->n_expected) {
		hc->n_expected = 1;
		hc->expected = &ok;
	}
	hc->http = true;
	hc->head = strcmp(method, "HEAD") == 0;
	n = snprintf(text, size, "%s %s HTTP/1.1\r\nhost: %s\r\nuser-agent: Tidegate/HC\r\n%s",
		method, raw->path, host,
		method[0] == 'P' ? "content-length: 0\r\n" : ""); /* POST, PUT, PATCH */
	for (uint32_t i = 0; i < raw->add.n; i++) {
		const struct raw_key_value *kv = &cfg_items(&raw->add, raw_field_add)[i].header;

		n += snprintf(text + n, size - (size_t)n, "%s: %s\r\n", kv->key, kv->value);
	}
	n += snprintf(text + n, size - (size_t)n, "\r\n");
	hc->send = tg_view_of(text, (uint32_t)n);
	return true;
}

static bool compile_payload(struct cfg *c, const char *text, struct tg_view *out)
{
	size_t n = text ? strlen(text) / 2 : 0;
	uint8_t *bytes = cfg_need(c, c->keep, n + 1);

	if (!bytes)
		return false;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(hex(text[2 * i]) << 4 | hex(text[2 * i + 1]));
	*out = tg_view_of(bytes, (uint32_t)n);
	return true;
}

static bool compile_tcp(struct cfg *c, const struct raw_tcp_check *raw, struct tg_health_check *hc)
{
	struct tg_view *blocks =
		cfg_need(c, c->keep, (raw->receive.n + (size_t)1) * sizeof(*blocks));

	if (!blocks || !compile_payload(c, raw->send.text, &hc->send))
		return false;
	hc->n_receive = raw->receive.n;
	hc->receive = blocks;
	for (uint32_t i = 0; i < raw->receive.n; i++)
		if (!compile_payload(c, cfg_items(&raw->receive, raw_payload)[i].text, &blocks[i]))
			return false;
	return true;
}

static void or_else(uint64_t *ns, uint64_t other)
{
	*ns = *ns ? *ns : other;
}

static bool compile_check(struct cfg *c, const struct raw_cluster *of, const struct raw_check *raw,
	struct tg_cluster *out)
{
	struct tg_health_check *hc = cfg_need(c, c->keep, sizeof(*hc));

	if (!hc)
		return false;
	*hc = raw->c;
	or_else(&hc->unhealthy_interval, hc->interval);
	or_else(&hc->unhealthy_edge_interval, hc->unhealthy_interval);
	or_else(&hc->healthy_edge_interval, hc->interval);
	or_else(&hc->no_traffic_healthy_interval, hc->no_traffic_interval);
	out->check = hc;
	return raw->http.h.at ? compile_http(c, of, &raw->http, hc) : compile_tcp(c, &raw->tcp, hc);
}

bool cfg_compile_health(struct cfg *c, const struct raw_cluster *raw, struct tg_cluster *out)
{
	struct tg_outlier *o;

	if (raw->checks.n && !compile_check(c, raw, cfg_items(&raw->checks, raw_check), out))
		return false;
	if (!raw->outlier.h.at)
		return true;
	o = cfg_need(c, c->keep, sizeof(*o));
	if (!o)
		return false;
	*o = raw->outlier.c;
	out->outlier = o;
	return true;
}
