/* The filter "ratelimit" and what it asks, `rate_limit_service`: keys, checks, and into what
 * lib/filter and lib/redis take. */
#include <string.h>
#include <sys/un.h>

#include "ratelimit.h"

/* --- the service -------------------------------------------------------------------------------
 */

static const struct cfg_key service_keys[] = {
	KEY(raw_service, redis.address, "address", .type = CFG_SOCKADDR,
		.example = "\"10.0.0.5:6379\"", .doc = "Redis; on a network of the kernel's"),
	KEY(raw_service, redis.socket, "socket", .type = CFG_PATH,
		.example = "\"/run/redis/redis.sock\"", .doc = "or its unix socket"),
	KEY(raw_service, redis.user, "user", .type = CFG_STRING, .example = "\"tidegate\"",
		.doc = "of Redis's ACL; left out: the default user"),
	KEY(raw_service, redis.password, "password", .type = CFG_STRING, .example = "\"secret\"",
		.doc = "its password; hidden in /config_dump"),
	KEY(raw_service, redis.password_file, "password_file", .type = CFG_PATH,
		.example = "\"/etc/tidegate/redis.password\"",
		.doc = "or the file whose first line it is; read whenever a connection is made"),
	KEY(raw_service, redis.database, "database", .type = CFG_U32, .dflt = "0", .max = 65535,
		.example = "1", .doc = "number of Redis's database"),
	KEY(raw_service, redis.timeout, "timeout", .type = CFG_DURATION, .dflt = "100ms",
		.min = TG_REDIS_TIMEOUT_MIN, .max = TG_REDIS_HANGUP, .example = "\"100ms\"",
		.doc = "a question that has no answer after as long: Redis counts as away, and "
		       "failure_mode_deny decides; no request waits for it"),
	KEY(raw_service, max_keys, "max_keys", .type = CFG_U32, .dflt = "100000", .min = 16,
		.max = TG_QUOTA_KEYS_MAX, .example = "100000",
		.doc = "values with tokens of their own at a time, in this process; the memory is "
		       "taken at once, about 400 bytes each; fixed when first used"),
	END};
static const struct cfg_refused refused_service[] = {
	{"grpc_service"}, {"cluster"}, {"tls"}, {"sentinel"}, {"transport_api_version"}, {NULL}};
const struct cfg_group cfg_rate_limit_service = {
	"rate_limit_service", sizeof(struct raw_service), service_keys, refused_service};

static const char service[] = "rate_limit_service";

void cfg_check_rate_limit_service(struct cfg *c, const struct raw_service *s)
{
	if (!s->h.at)
		return;
	if (!s->redis.socket == !s->redis.address.port && !s->h.skip && !s->h.meant &&
		!(cfg_given(&cfg_rate_limit_service, &s->h, "address") && !s->redis.socket))
		cfg_error(c, cfg_line_of(s->h.at),
			"%s: say where Redis is: either \"address\" or \"socket\"", service);
	if (s->redis.socket &&
		strlen(s->redis.socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		cfg_error(c, cfg_key_line(&s->h, "socket"),
			"%s: \"socket\" is longer than the %zu bytes that a unix socket may have",
			service, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	if (s->redis.password && s->redis.password_file)
		cfg_error(c, cfg_key_line(&s->h, "password_file"),
			"%s: give either \"password\" or \"password_file\"", service);
	if (s->redis.user && !s->redis.password && !s->redis.password_file)
		cfg_error(c, cfg_key_line(&s->h, "user"),
			"%s: a \"user\" needs a \"password\" or \"password_file\"", service);
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/* What is shown of the text has no passwords. */
void cfg_hide_passwords(char *source)
{
	static const char key[] = "password";
	size_t n = strlen(source), i = 0;
	bool secret = false, closed;

	if (!strstr(source, key)) /* a look at each token takes its time */
		return;
	while (i < n) {
		size_t skip = cfg_skip(source + i, n - i, &closed), from = i;

		if (skip) {
			for (size_t k = 1; source[i] == '"' && secret && k + 1 < skip; k++)
				if (source[i + k] != '\n')
					source[i + k] = '*';
			i += skip;
			continue;
		}
		while (i < n && is_word(source[i]))
			i++;
		if (i > from)
			secret = i - from == sizeof(key) - 1 &&
				 memcmp(source + from, key, i - from) == 0;
		else if (!strchr(" \t\r\n=:", source[i++]))
			secret = false;
	}
}

/* --- keys --------------------------------------------------------------------------------------
 */

struct raw_global {
	struct raw_filter_head f;
	const char *domain;
	struct raw_list limits, descriptors;
	uint32_t type, status, status_on_error, x_headers, no_lease, max_credit;
	bool deny, no_envoy_header;
};

static const char *const words_unit[] = {"second", "minute", "hour", "day", NULL};
static const uint32_t unit_seconds[] = {1, 60, 3600, 86400};

static const struct cfg_key unit_keys[] = {
	KEY(raw_unit_limit, unit, "unit", .type = CFG_ENUM, .words = words_unit, .dflt = "second",
		.example = "\"minute\"",
		.doc = "how long a window is; they begin with the clock's"),
	KEY(raw_unit_limit, requests, "requests_per_unit", .type = CFG_U32, .dflt = "0",
		.max = TG_QUOTA_LIMIT_MAX, .example = "100",
		.doc = "so many pass in a window, at all nodes together; 0: none"),
	KEY(raw_unit_limit, unlimited, "unlimited", .type = CFG_BOOL, .dflt = "false",
		.example = "true", .doc = "instead: all of them"),
	END};
static const struct cfg_refused refused_unit[] = {{"name"}, {"replaces"}, {NULL}};
static const struct cfg_group unit_group = {
	"rate_limit", sizeof(struct raw_unit_limit), unit_keys, refused_unit};

static const struct cfg_key descriptor_keys[] = {ENTRIES_KEY(CFG_TOLD),
	KEY(raw_descriptor, limit, "rate_limit", .type = CFG_GROUP, .flags = CFG_REQUIRED,
		.group = &unit_group, .example = "{ unit = \"minute\"; requests_per_unit = 100; }",
		.doc = "its limit"),
	KEY(raw_descriptor, shadow_mode, "shadow_mode", .type = CFG_BOOL, .dflt = "false",
		.example = "true", .doc = "what is over the limit is counted, and passes"),
	END};
static const struct cfg_refused refused_descriptor[] = {
	{"detailed_metric"}, {"descriptors"}, {"value_to_metric"}, {"quota_mode"}, {NULL}};
static const struct cfg_group descriptor_group = {
	"descriptor", sizeof(struct raw_descriptor), descriptor_keys, refused_descriptor};

static const char *const words_type[] = {"both", "internal", "external", NULL};
static const char *const words_no_lease[] = {"ALLOW_ON_CREDIT", "DENY", NULL};
enum { ALLOW_ON_CREDIT, DENY };

static const struct cfg_key ratelimit_keys[] = {FILTER_KEYS(raw_global, "ratelimit", "clients"),
	KEY(raw_global, domain, "domain", .type = CFG_NAME, .example = "\"shop\"",
		.doc = "limits of one domain are the same ones at every node"),
	KEY(raw_global, limits, "rate_limits", .type = CFG_GROUPS,
		.flags = CFG_NOT_EMPTY | CFG_TOLD, .group = &cfg_rate_limit,
		.example = "( { actions: ( { remote_address: { }; } ); } )",
		.doc = "each makes a descriptor of a request; as those of local_ratelimit"),
	KEY(raw_global, descriptors, "descriptors", .type = CFG_GROUPS, .flags = CFG_NOT_EMPTY,
		.group = &descriptor_group,
		.example =
			"( { entries: ( { key = \"remote_address\"; } ); rate_limit: { ... }; } )",
		.doc = "limits of descriptors; the first that fits counts"),
	KEY(raw_global, type, "request_type", .type = CFG_ENUM, .words = words_type, .dflt = "both",
		.example = "\"external\"",
		.doc = "whose requests; internal: those with x-envoy-internal: true"),
	KEY(raw_global, no_lease, "no_lease_behavior", .type = CFG_ENUM, .words = words_no_lease,
		.dflt = "ALLOW_ON_CREDIT", .example = "\"DENY\"",
		.doc = "of who finds no token leased: passes within max_credit, which Redis is "
		       "charged with afterwards; or is refused: then no limit is ever exceeded"),
	KEY(raw_global, max_credit, "max_credit", .type = CFG_U32, .min = 1,
		.max = TG_QUOTA_CREDIT_MAX, .example = "16",
		.doc = "tokens that each process may give before Redis has counted them, so many "
		       "more may pass at most; left out: a 64th of the limit and at least 16, but "
		       "never more than the limit"),
	KEY(raw_global, deny, "failure_mode_deny", .type = CFG_BOOL, .dflt = "false",
		.example = "true",
		.doc = "while Redis is away: true: requests are refused; false: they pass"),
	KEY(raw_global, status, "rate_limited_status", .type = CFG_U32, .dflt = "429", .min = 400,
		.max = 599, .example = "429", .doc = "the answer to what is over the limit"),
	KEY(raw_global, status_on_error, "status_on_error", .type = CFG_U32, .dflt = "500",
		.min = 400, .max = 599, .example = "503", .doc = "the answer of failure_mode_deny"),
	X_RATELIMIT_KEY(raw_global, x_headers),
	KEY(raw_global, no_envoy_header, "disable_x_envoy_ratelimited_header", .type = CFG_BOOL,
		.dflt = "false", .example = "true",
		.doc = "true: refusals go without x-envoy-ratelimited"),
	END};
static const struct cfg_refused refused_ratelimit[] = {
	{"timeout", .hint = "no request waits for Redis; when it counts as away is told by "
			    "rate_limit_service: { timeout = \"100ms\"; };"},
	{"stage"}, {"stat_prefix"}, {"rate_limit_service"}, {"rate_limited_as_resource_exhausted"},
	{"response_headers_to_add"}, {"failure_mode_deny_percent"}, {"vh_rate_limits"}, {NULL}};
static const struct cfg_group ratelimit_group = {
	"filter", sizeof(struct raw_global), ratelimit_keys, refused_ratelimit};

/* --- checks ------------------------------------------------------------------------------------
 */

static const char who[] = "filter \"ratelimit\"";

static void check_limit(struct cfg *c, const struct raw_descriptor *d)
{
	const struct raw_unit_limit *l = &d->limit;
	bool requests = cfg_given(&unit_group, &l->h, "requests_per_unit");

	if (!l->h.at || l->h.skip || l->h.meant)
		return;
	if (requests == l->unlimited)
		cfg_error(c, cfg_line_of(l->h.at),
			"%s: a \"rate_limit\" has either \"requests_per_unit\" or \"unlimited\" = "
			"true",
			who);
}

static void check(struct cfg *c, const struct raw_filter_head *raw, bool tcp)
{
	const struct raw_global *r = (const struct raw_global *)raw;

	(void)tcp;
	cfg_check_descriptors(c, &r->limits, &r->descriptors, who);
	for (uint32_t i = 0; i < r->descriptors.n; i++)
		check_limit(c, &cfg_items(&r->descriptors, raw_descriptor)[i]);
	if (r->no_lease == DENY && r->max_credit)
		cfg_error(c, cfg_key_line(&raw->h, "max_credit"),
			"%s: \"max_credit\" is of no use with no_lease_behavior = \"DENY\"", who);
	if (raw->disabled || raw->h.meant)
		return;
	if (!r->domain && !cfg_given(&ratelimit_group, &raw->h, "domain"))
		cfg_error(c, cfg_line_of(raw->h.at),
			"%s: \"domain\" is missing: domain = \"shop\";", who);
	if (!r->descriptors.at)
		cfg_error(c, cfg_line_of(raw->h.at), "%s: it limits nothing: give \"descriptors\"",
			who);
	if (!c->has_rate_limit_service)
		cfg_error(c, cfg_line_of(raw->h.at),
			"%s: there is nobody to ask: rate_limit_service: { address = "
			"\"10.0.0.5:6379\"; };",
			who);
}

/* --- into the snapshot -------------------------------------------------------------------------
 */

static bool descriptors(
	struct cfg *c, const struct raw_global *r, struct tg_ratelimit_global_in *in)
{
	const struct raw_list *raw = &r->descriptors;
	struct tg_ratelimit_descriptor *out = cfg_compile_descriptors(c, raw);

	for (uint32_t i = 0; i < raw->n && out; i++) {
		const struct raw_descriptor *d = &cfg_items(raw, raw_descriptor)[i];

		out[i].quota.limit = d->limit.requests;
		out[i].quota.seconds = unit_seconds[d->limit.unit];
		out[i].quota.credit =
			r->no_lease == DENY ? 0 : tg_quota_credit(d->limit.requests, r->max_credit);
		out[i].unlimited = d->limit.unlimited;
		out[i].shadow = d->shadow_mode;
	}
	in->n_descriptors = raw->n;
	in->descriptors = out;
	return out != NULL;
}

static const void *input(struct cfg *c, const struct raw_filter_head *raw)
{
	const struct raw_global *r = (const struct raw_global *)raw;
	struct tg_ratelimit_global_in *in = cfg_need(c, c->keep, sizeof(*in));

	if (!in || !descriptors(c, r, in))
		return NULL;
	in->limits = cfg_compile_limits(c, &r->limits);
	in->n_limits = r->limits.n;
	in->quota = c->quota;
	in->domain = tg_view_str(r->domain);
	in->request_type = (uint8_t)r->type;
	in->status = (uint16_t)r->status;
	in->status_on_error = (uint16_t)r->status_on_error;
	in->failure_mode_deny = r->deny;
	in->x_ratelimit_headers = r->x_headers;
	in->no_envoy_header = r->no_envoy_header;
	return in->limits ? in : NULL;
}

const struct cfg_filter_kind cfg_filter_ratelimit_global = {
	&ratelimit_group, &tg_ratelimit_global_http, NULL, check, input};
