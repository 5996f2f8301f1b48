/* The filter "fault": its keys, checks, and into what lib/filter compiles. */
#include <string.h>

#include <tidegate/fault.h>
#include <tidegate/rbac.h>

#include "keys.h"

struct raw_delay {
	struct raw_head h;
	uint64_t fixed_delay;
	bool header_delay;
	uint32_t percentage;
};

struct raw_abort {
	struct raw_head h;
	uint32_t http_status, grpc_status;
	bool header_abort;
	uint32_t percentage;
};

struct raw_rate {
	struct raw_head h;
	uint32_t limit_kbps;
	bool header_limit;
	uint32_t percentage;
};

struct raw_transport {
	struct raw_head h;
	uint32_t percentage, loss, duplicate, reorder, end, alert;
	uint64_t zero_window, end_after;
};

struct raw_fault {
	struct raw_filter_head f;
	struct raw_transport transport;
	struct raw_list principals;
	struct raw_delay delay;
	struct raw_abort abort;
	struct raw_rate rate;
	uint32_t max_active_faults;
	struct raw_list headers;
	const char *upstream_cluster;
};

static const struct cfg_key delay_keys[] = {
	KEY(raw_delay, fixed_delay, "fixed_delay", .type = CFG_DURATION, .min = 1,
		.max = 24 * 3600 * SEC, .example = "\"5s\"",
		.doc = "how long a request waits before it goes to the origin"),
	KEY(raw_delay, header_delay, "header_delay", .type = CFG_BOOL, .dflt = "false",
		.example = "true",
		.doc = "x-envoy-fault-delay-request says how long instead, in milliseconds"),
	KEY(raw_delay, percentage, "percentage", .type = CFG_PERCENT, .dflt = "100",
		.example = "1.0", .doc = "of the requests, in steps of 0.0001"),
	END};
static const struct cfg_refused refused_delay[] = {{"type"}, {NULL}};
static const struct cfg_group delay_group = {
	"delay", sizeof(struct raw_delay), delay_keys, refused_delay};

static const struct cfg_key abort_keys[] = {
	KEY(raw_abort, http_status, "http_status", .type = CFG_U32, .min = 200, .max = 599,
		.example = "500", .doc = "what is answered instead of the origin's response"),
	KEY(raw_abort, grpc_status, "grpc_status", .type = CFG_U32, .min = 0, .max = 16,
		.example = "14", .doc = "a gRPC status instead, in a response 200"),
	KEY(raw_abort, header_abort, "header_abort", .type = CFG_BOOL, .dflt = "false",
		.example = "true",
		.doc = "x-envoy-fault-abort-request, or -abort-grpc-request, says which instead"),
	KEY(raw_abort, percentage, "percentage", .type = CFG_PERCENT, .dflt = "100",
		.example = "0.5", .doc = "of the requests, in steps of 0.0001"),
	END};
static const struct cfg_refused none[] = {{NULL}};
static const struct cfg_group abort_group = {"abort", sizeof(struct raw_abort), abort_keys, none};

static const struct cfg_key rate_keys[] = {
	KEY(raw_rate, limit_kbps, "limit_kbps", .type = CFG_U32, .min = 1, .max = 4 * 1024 * 1024,
		.example = "64", .doc = "KiB of content a second to the client"),
	KEY(raw_rate, header_limit, "header_limit", .type = CFG_BOOL, .dflt = "false",
		.example = "true",
		.doc = "x-envoy-fault-throughput-response says how many instead"),
	KEY(raw_rate, percentage, "percentage", .type = CFG_PERCENT, .dflt = "100", .example = "10",
		.doc = "of the responses, in steps of 0.0001"),
	END};
static const struct cfg_refused refused_rate[] = {{"fixed_limit", "limit_kbps"}, {NULL}};
static const struct cfg_group rate_group = {
	"response_rate_limit", sizeof(struct raw_rate), rate_keys, refused_rate};

/* In the order of enum tg_fault_end. */
static const char *const words_end[] = {"NONE", "RESET", "FIN", "TLS_ALERT", NULL};

static const struct cfg_key transport_keys[] = {
	KEY(raw_transport, percentage, "percentage", .type = CFG_PERCENT, .dflt = "100",
		.example = "1", .doc = "of the requests, in steps of 0.0001"),
	KEY(raw_transport, loss, "loss", .type = CFG_PERCENT, .dflt = "0", .example = "5",
		.doc = "of the segments to the client are lost ..."),
	KEY(raw_transport, duplicate, "duplicate", .type = CFG_PERCENT, .dflt = "0", .example = "5",
		.doc = "... are sent twice ..."),
	KEY(raw_transport, reorder, "reorder", .type = CFG_PERCENT, .dflt = "0", .example = "5",
		.doc = "... go behind the next one"),
	KEY(raw_transport, zero_window, "zero_window", .type = CFG_DURATION, .max = 3600 * SEC,
		.dflt = "0s", .example = "\"2s\"",
		.doc = "so long the client is told to send nothing"),
	KEY(raw_transport, end, "end", .type = CFG_ENUM, .words = words_end, .dflt = "NONE",
		.example = "\"RESET\"",
		.doc = "the response ends early: by a reset, by a FIN (over TLS without "
		       "close_notify), or by a fatal alert"),
	KEY(raw_transport, end_after, "end_after", .type = CFG_SIZE, .max = 1024 * GIB,
		.dflt = "0B", .example = "\"1KiB\"", .doc = "after so much of its content"),
	KEY(raw_transport, alert, "tls_alert", .type = CFG_U32, .min = 1, .max = 255, .dflt = "80",
		.example = "80", .doc = "which alert (RFC 8446 section 6.2); 80 is internal_error"),
	END};
static const struct cfg_group transport_group = {
	"transport", sizeof(struct raw_transport), transport_keys, none};

static const struct cfg_key fault_keys[] = {FILTER_KEYS(raw_fault, "fault", "slow"),
	KEY(raw_fault, delay, "delay", .type = CFG_GROUP, .group = &delay_group,
		.example = "{ fixed_delay = \"5s\"; percentage = 1.0; }",
		.doc = "requests wait before they go on"),
	KEY(raw_fault, abort, "abort", .type = CFG_GROUP, .group = &abort_group,
		.example = "{ http_status = 500; percentage = 0.5; }",
		.doc = "requests are answered instead of sent on; those that were delayed too"),
	KEY(raw_fault, rate, "response_rate_limit", .type = CFG_GROUP, .group = &rate_group,
		.example = "{ limit_kbps = 64; }", .doc = "responses come slowly"),
	KEY(raw_fault, transport, "transport", .type = CFG_GROUP, .group = &transport_group,
		.example = "{ loss = 5; end = \"RESET\"; end_after = \"1KiB\"; }",
		.doc = "the client's connection is spoilt, or cut in the response"),
	KEY(raw_fault, max_active_faults, "max_active_faults", .type = CFG_U32, .max = UINT32_MAX,
		.example = "100",
		.doc = "requests that may have a fault at a time, over all workers; any number by "
		       "default"),
	KEY(raw_fault, headers, "headers", .type = CFG_GROUPS, .flags = CFG_NOT_EMPTY,
		.group = &cfg_header, .example = "( { name = \"x-chaos\"; present = true; } )",
		.doc = "only requests whose fields match, all of these"),
	KEY(raw_fault, principals, "principals", .type = CFG_NAMES, .max = 2048,
		.flags = CFG_NOT_EMPTY, .example = "[\"spiffe://mesh.example/ns/shop/*\"]",
		.doc = "only requests of clients whose certificate has one of these URIs"),
	KEY(raw_fault, upstream_cluster, "upstream_cluster", .type = CFG_NAME, .example = "\"v1\"",
		.doc = "only requests that go to this cluster"),
	END};

static const struct cfg_refused refused_fault[] = {{"downstream_nodes"}, {"stats"},
	{"delay_percent_runtime"}, {"abort_percent_runtime"}, {"delay_duration_runtime"},
	{"abort_http_status_runtime"}, {"abort_grpc_status_runtime"}, {"max_active_faults_runtime"},
	{"response_rate_limit_percent_runtime"}, {"disable_downstream_cluster_stats"},
	{"filter_metadata"}, {NULL}};

static const struct cfg_group fault_group = {
	"filter", sizeof(struct raw_fault), fault_keys, refused_fault};

/* --- checks ------------------------------------------------------------------------------------
 */

/* given: how many of the keys that exclude each other. */
static void check_one_of(struct cfg *c, const struct cfg_group *g, const struct raw_head *h,
	int given, const char *keys)
{
	if (!h->at || given == 1 || (!given && h->meant))
		return;
	cfg_error(c, cfg_line_of(h->at), "filter \"fault\": \"%s\": give one of %s%s", g->what,
		keys, given ? ", not more" : "");
}

static void check_cluster(struct cfg *c, const struct raw_fault *f)
{
	const config_setting_t *l = config_lookup(&c->lib, "clusters");
	const char *name;

	if (!f->upstream_cluster || !l || !config_setting_is_list(l))
		return;
	for (int i = 0; i < config_setting_length(l); i++) {
		const config_setting_t *e = config_setting_get_elem(l, (unsigned int)i);

		if (config_setting_is_group(e) && config_setting_lookup_string(e, "name", &name) &&
			strcmp(name, f->upstream_cluster) == 0)
			return;
	}
	cfg_error(c, cfg_key_line(&f->f.h, "upstream_cluster"),
		"filter \"fault\": there is no cluster \"%s\"", f->upstream_cluster);
}

static void check_principals(struct cfg *c, const struct raw_list *l)
{
	const struct raw_item *p = l->items;

	for (uint32_t i = 0; i < l->n; i++) {
		const char *fault = p[i].ok ? tg_rbac_principal_fault(p[i].s) : NULL;

		if (fault)
			cfg_error(c, cfg_line_of(p[i].at),
				"filter \"fault\": principal \"%.80s\" %s", p[i].s, fault);
		else if (p[i].ok && !strstr(p[i].s, "://"))
			cfg_error(c, cfg_line_of(p[i].at),
				"filter \"fault\": principal \"%.80s\" is no URI", p[i].s);
	}
}

static void check_transport(struct cfg *c, const struct raw_transport *t)
{
	if (!t->h.at)
		return;
	if (!t->loss && !t->duplicate && !t->reorder && !t->zero_window && !t->end && !t->h.meant)
		cfg_error(c, cfg_line_of(t->h.at),
			"filter \"fault\": \"transport\" does nothing: give \"loss\", "
			"\"duplicate\", "
			"\"reorder\", \"zero_window\" or \"end\"");
	if (!t->end && cfg_given(&transport_group, &t->h, "end_after"))
		cfg_error(c, cfg_key_line(&t->h, "end_after"),
			"filter \"fault\": \"end_after\" without \"end\"");
	if (t->end != TG_FAULT_END_ALERT && t->end != UINT32_MAX &&
		cfg_given(&transport_group, &t->h, "tls_alert"))
		cfg_error(c, cfg_key_line(&t->h, "tls_alert"),
			"filter \"fault\": \"tls_alert\" without end = \"TLS_ALERT\"");
}

static void check(struct cfg *c, const struct raw_filter_head *raw, bool tcp)
{
	const struct raw_fault *f = (const struct raw_fault *)raw;
	const struct raw_header *headers = f->headers.items;

	(void)tcp;
	check_one_of(c, &delay_group, &f->delay.h,
		cfg_given(&delay_group, &f->delay.h, "fixed_delay") + f->delay.header_delay,
		"\"fixed_delay\" and \"header_delay\"");
	check_one_of(c, &abort_group, &f->abort.h,
		cfg_given(&abort_group, &f->abort.h, "http_status") +
			cfg_given(&abort_group, &f->abort.h, "grpc_status") + f->abort.header_abort,
		"\"http_status\", \"grpc_status\" and \"header_abort\"");
	check_one_of(c, &rate_group, &f->rate.h,
		cfg_given(&rate_group, &f->rate.h, "limit_kbps") + f->rate.header_limit,
		"\"limit_kbps\" and \"header_limit\"");
	for (uint32_t i = 0; i < f->headers.n; i++)
		cfg_check_header(c, &headers[i]);
	check_cluster(c, f);
	check_principals(c, &f->principals);
	check_transport(c, &f->transport);
	if (!f->delay.h.at && !f->abort.h.at && !f->rate.h.at && !f->transport.h.at &&
		!raw->disabled && !raw->h.meant)
		cfg_error(c, cfg_line_of(raw->h.at),
			"filter \"fault\": it does nothing: give \"delay\", \"abort\", "
			"\"response_rate_limit\" or \"transport\"");
}

/* --- into the snapshot -------------------------------------------------------------------------
 */

static const void *input(struct cfg *c, const struct raw_filter_head *raw)
{
	const struct raw_fault *f = (const struct raw_fault *)raw;
	struct tg_fault_in *in = cfg_need(c, c->keep, sizeof(*in));

	struct tg_view *principals =
		cfg_need(c, c->keep, (f->principals.n + 1) * sizeof(*principals));

	if (!in || !principals)
		return NULL;
	for (uint32_t i = 0; i < f->principals.n; i++)
		principals[i] = tg_view_str(cfg_items(&f->principals, raw_item)[i].s);
	*in = (struct tg_fault_in){
		.delay = {f->delay.h.at, f->delay.header_delay, f->delay.fixed_delay,
			f->delay.percentage},
		.abort = {f->abort.h.at, f->abort.header_abort, (uint16_t)f->abort.http_status,
			(uint8_t)f->abort.grpc_status, f->abort.percentage},
		.rate = {f->rate.h.at, f->rate.header_limit, f->rate.limit_kbps,
			f->rate.percentage},
		.transport = {.given = f->transport.h.at,
			.percentage = f->transport.percentage,
			.network = {.loss = f->transport.loss,
				.duplicate = f->transport.duplicate,
				.reorder = f->transport.reorder,
				.zero_window = f->transport.zero_window},
			.end = (enum tg_fault_end)f->transport.end,
			.end_after = f->transport.end_after,
			.alert = (uint8_t)f->transport.alert},
		.n_principals = f->principals.n,
		.principals = principals,
		.max_active_faults = cfg_given(&fault_group, &raw->h, "max_active_faults")
					     ? f->max_active_faults
					     : UINT32_MAX,
		.headers = cfg_compile_headers(c, &f->headers),
		.n_headers = f->headers.n,
		.upstream_cluster = f->upstream_cluster,
	};
	return in->headers ? in : NULL;
}

const struct cfg_filter_kind cfg_filter_fault = {&fault_group, &tg_fault_http, NULL, check, input};
