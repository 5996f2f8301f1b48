/* The filter "local_ratelimit": its keys, checks, and into what lib/filter compiles. */
#include <string.h>

#include "ratelimit.h"

struct raw_field {
	struct raw_head h;
	const char *name, *value;
};

struct raw_ratelimit {
	struct raw_filter_head f;
	struct raw_token_bucket bucket;
	struct raw_list limits, descriptors, fields;
	bool always_default;
	uint32_t max_dynamic, status, enabled, enforced, x_headers;
};

static const struct cfg_refused none[] = {{NULL}};

/* --- token buckets: also those of listeners' connections ---------------------------------------
 */

static const struct cfg_key bucket_keys[] = {
	KEY(raw_token_bucket, max_tokens, "max_tokens", .type = CFG_U32, .flags = CFG_REQUIRED,
		.min = 1, .max = TG_BUCKET_MAX, .example = "1000",
		.doc = "so many at once, after a pause"),
	KEY(raw_token_bucket, tokens_per_fill, "tokens_per_fill", .type = CFG_U32, .dflt = "1",
		.min = 1, .max = TG_BUCKET_MAX, .example = "100", .doc = "so many more ..."),
	KEY(raw_token_bucket, fill_interval, "fill_interval", .type = CFG_DURATION,
		.flags = CFG_REQUIRED, .min = TG_BUCKET_INTERVAL_MIN, .max = YEAR,
		.example = "\"1s\"", .doc = "... each time this has gone by"),
	END};
const struct cfg_group cfg_token_bucket = {
	"token_bucket", sizeof(struct raw_token_bucket), bucket_keys, none};

struct tg_bucket_rate cfg_bucket_rate(const struct raw_token_bucket *b)
{
	return (struct tg_bucket_rate){b->max_tokens, b->tokens_per_fill, b->fill_interval};
}

/* --- keys --------------------------------------------------------------------------------------
 */

static const struct cfg_key no_keys[] = {END};
static const struct cfg_group empty_group = {"action", sizeof(struct raw_empty), no_keys, none};

static const struct cfg_key request_headers_keys[] = {
	KEY(raw_request_headers, header_name, "header_name", .type = CFG_NAME,
		.flags = CFG_REQUIRED, .example = "\"x-tenant\"", .doc = "the field"),
	KEY(raw_request_headers, descriptor_key, "descriptor_key", .type = CFG_NAME,
		.flags = CFG_REQUIRED, .example = "\"tenant\"",
		.doc = "what descriptors call its value"),
	END};
static const struct cfg_refused refused_request_headers[] = {{"skip_if_absent"}, {NULL}};
static const struct cfg_group request_headers_group = {"request_headers",
	sizeof(struct raw_request_headers), request_headers_keys, refused_request_headers};

static const struct cfg_key masked_keys[] = {
	KEY(raw_masked, v4, "v4_prefix_mask_len", .type = CFG_U32, .dflt = "32", .max = 32,
		.example = "24", .doc = "bits of an IPv4 address"),
	KEY(raw_masked, v6, "v6_prefix_mask_len", .type = CFG_U32, .dflt = "128", .max = 128,
		.example = "64", .doc = "bits of an IPv6 address"),
	END};
static const struct cfg_group masked_group = {
	"masked_remote_address", sizeof(struct raw_masked), masked_keys, none};

static const struct cfg_key generic_keys[] = {
	KEY(raw_generic, key, "descriptor_key", .type = CFG_NAME, .dflt = "generic_key",
		.example = "\"generic_key\"", .doc = "what descriptors call it"),
	KEY(raw_generic, value, "descriptor_value", .type = CFG_NAME, .flags = CFG_REQUIRED,
		.example = "\"api\"", .doc = "always this value"),
	END};
static const struct cfg_refused refused_generic[] = {{"default_value"}, {NULL}};
static const struct cfg_group generic_group = {
	"generic_key", sizeof(struct raw_generic), generic_keys, refused_generic};

static const struct cfg_key match_keys[] = {
	KEY(raw_header_match, key, "descriptor_key", .type = CFG_NAME, .dflt = "header_match",
		.example = "\"header_match\"", .doc = "what descriptors call it"),
	KEY(raw_header_match, value, "descriptor_value", .type = CFG_NAME, .flags = CFG_REQUIRED,
		.example = "\"beta\"", .doc = "the value, where the fields match"),
	KEY(raw_header_match, expect_match, "expect_match", .type = CFG_BOOL, .dflt = "true",
		.example = "false", .doc = "false: where they do not"),
	KEY(raw_header_match, headers, "headers", .type = CFG_GROUPS,
		.flags = CFG_REQUIRED | CFG_NOT_EMPTY, .group = &cfg_header,
		.example = "( { name = \"x-beta\"; present = true; } )",
		.doc = "fields that must match, all of them"),
	END};
static const struct cfg_group match_group = {
	"header_value_match", sizeof(struct raw_header_match), match_keys, none};

static const struct cfg_key action_keys[] = {
	KEY(raw_action_of_limit, request_headers, "request_headers", .type = CFG_GROUP,
		.group = &request_headers_group,
		.example = "{ header_name = \"x-tenant\"; descriptor_key = \"tenant\"; }",
		.doc = "the first line of a field; without it the limit does not apply"),
	KEY(raw_action_of_limit, remote_address, "remote_address", .type = CFG_GROUP,
		.group = &empty_group, .example = "{ }",
		.doc = "the address that the connection comes from"),
	KEY(raw_action_of_limit, masked, "masked_remote_address", .type = CFG_GROUP,
		.group = &masked_group, .example = "{ v4_prefix_mask_len = 24; }",
		.doc = "the network that it comes from"),
	KEY(raw_action_of_limit, spiffe_id, "spiffe_id", .type = CFG_GROUP, .group = &empty_group,
		.example = "{ }",
		.doc = "the URI of the client's certificate; without one the limit does not apply"),
	KEY(raw_action_of_limit, path, "path", .type = CFG_GROUP, .group = &empty_group,
		.example = "{ }", .doc = "the path without query"),
	KEY(raw_action_of_limit, generic, "generic_key", .type = CFG_GROUP, .group = &generic_group,
		.example = "{ descriptor_value = \"api\"; }", .doc = "a fixed value"),
	KEY(raw_action_of_limit, match, "header_value_match", .type = CFG_GROUP,
		.group = &match_group,
		.example = "{ descriptor_value = \"beta\"; headers: ( ... ); }",
		.doc = "a fixed value where fields match; else the limit does not apply"),
	END};
static const struct cfg_refused refused_action[] = {{"source_cluster"}, {"destination_cluster"},
	{"dynamic_metadata"}, {"metadata"}, {"extension"}, {"query_parameter_value_match"},
	{"query_parameters"}, {NULL}};
static const struct cfg_group action_group = {
	"action", sizeof(struct raw_action_of_limit), action_keys, refused_action};

static const struct cfg_key limit_keys[] = {
	KEY(raw_limit, actions, "actions", .type = CFG_GROUPS,
		.flags = CFG_REQUIRED | CFG_NOT_EMPTY, .group = &action_group,
		.example = "( { remote_address: { }; } )",
		.doc = "what makes the descriptor's entries, in order"),
	END};
static const struct cfg_refused refused_limit[] = {
	{"stage"}, {"disable_key"}, {"limit"}, {"hits_addend"}, {"apply_on_stream_done"}, {NULL}};
const struct cfg_group cfg_rate_limit = {
	"rate limit", sizeof(struct raw_limit), limit_keys, refused_limit};

static const struct cfg_key entry_keys[] = {
	KEY(raw_entry, key, "key", .type = CFG_NAME, .flags = CFG_REQUIRED, .example = "\"tenant\"",
		.doc = "which value of an action"),
	KEY(raw_entry, value, "value", .type = CFG_NAME, .max = 2048, .example = "\"gold\"",
		.doc = "what it has to be; left out: each value has a bucket of its own"),
	END};
const struct cfg_group cfg_descriptor_entry = {"entry", sizeof(struct raw_entry), entry_keys, none};

static const struct cfg_key descriptor_keys[] = {ENTRIES_KEY(0),
	KEY(raw_descriptor, bucket, "token_bucket", .type = CFG_GROUP, .flags = CFG_REQUIRED,
		.group = &cfg_token_bucket,
		.example = "{ max_tokens = 10; tokens_per_fill = 10; fill_interval = \"1s\"; }",
		.doc = "the limit"),
	END};
static const struct cfg_group descriptor_group = {
	"descriptor", sizeof(struct raw_descriptor), descriptor_keys, none};

static const struct cfg_key field_keys[] = {
	KEY(raw_field, name, "name", .type = CFG_NAME, .flags = CFG_REQUIRED,
		.example = "\"x-local-rate-limit\"", .doc = "field name"),
	KEY(raw_field, value, "value", .type = CFG_NAME, .max = 2048, .flags = CFG_REQUIRED,
		.example = "\"true\"", .doc = "its value"),
	END};
static const struct cfg_refused refused_field[] = {
	{"header", "name"}, {"append_action"}, {"append"}, {NULL}};
static const struct cfg_group field_group = {
	"response header", sizeof(struct raw_field), field_keys, refused_field};

const char *const cfg_words_x_ratelimit[] = {"OFF", "DRAFT_VERSION_03", NULL};

static const struct cfg_key ratelimit_keys[] = {
	FILTER_KEYS(raw_ratelimit, "local_ratelimit", "clients"),
	KEY(raw_ratelimit, bucket, "token_bucket", .type = CFG_GROUP, .group = &cfg_token_bucket,
		.example = "{ max_tokens = 1000; tokens_per_fill = 100; fill_interval = \"1s\"; }",
		.doc = "the limit of all requests together"),
	KEY(raw_ratelimit, limits, "rate_limits", .type = CFG_GROUPS, .flags = CFG_NOT_EMPTY,
		.group = &cfg_rate_limit,
		.example = "( { actions: ( { remote_address: { }; } ); } )",
		.doc = "each makes a descriptor of a request"),
	KEY(raw_ratelimit, descriptors, "descriptors", .type = CFG_GROUPS, .flags = CFG_NOT_EMPTY,
		.group = &descriptor_group,
		.example = "( { entries: ( { key = \"remote_address\"; } ); token_bucket: { ... }; "
			   "} )",
		.doc = "limits of descriptors; the first that fits counts"),
	KEY(raw_ratelimit, always_default, "always_consume_default_token_bucket", .type = CFG_BOOL,
		.dflt = "true", .example = "false",
		.doc = "false: token_bucket is only for requests that no descriptor fits"),
	KEY(raw_ratelimit, max_dynamic, "max_dynamic_descriptors", .type = CFG_U32,
		.dflt = "100000", .min = 1, .max = TG_BUCKETS_KEYS_MAX, .example = "100000",
		.doc = "values with a bucket of their own at a time, of each descriptor; the "
		       "memory is taken at once, 84 bytes each"),
	KEY(raw_ratelimit, status, "status", .type = CFG_U32, .dflt = "429", .min = 400, .max = 599,
		.example = "429", .doc = "the answer to what is over the limit"),
	KEY(raw_ratelimit, enabled, "filter_enabled", .type = CFG_PERCENT, .dflt = "100",
		.example = "100", .doc = "of the requests are looked at"),
	KEY(raw_ratelimit, enforced, "filter_enforced", .type = CFG_PERCENT, .dflt = "100",
		.example = "100",
		.doc = "of those over a limit are refused; the others are counted"),
	X_RATELIMIT_KEY(raw_ratelimit, x_headers),
	KEY(raw_ratelimit, fields, "response_headers_to_add", .type = CFG_GROUPS,
		.group = &field_group,
		.example = "( { name = \"x-local-rate-limit\"; value = \"true\"; } )",
		.doc = "fields of the answer to what is over the limit"),
	END};

static const struct cfg_refused refused_ratelimit[] = {{"stage"}, {"stat_prefix"},
	{"request_headers_to_add_when_not_enforced"},
	{"local_rate_limit_per_downstream_connection"}, {"local_cluster_rate_limit"},
	{"rate_limited_as_resource_exhausted"}, {"vh_rate_limits"}, {"runtime"}, {NULL}};

static const struct cfg_group ratelimit_group = {
	"filter", sizeof(struct raw_ratelimit), ratelimit_keys, refused_ratelimit};

/* --- actions -----------------------------------------------------------------------------------
 */

static const char remote_key[] = "remote_address", masked_key[] = "masked_remote_address";

/* The i-th kind of an action: whether it is given, and its descriptor key. */
static const struct raw_head *kind_of(
	const struct raw_action_of_limit *a, enum tg_ratelimit_action_kind kind, const char **key)
{
	switch (kind) {
	case TG_RATELIMIT_HEADER:
		*key = a->request_headers.descriptor_key;
		return &a->request_headers.h;
	case TG_RATELIMIT_REMOTE_ADDRESS:
		*key = remote_key;
		return &a->remote_address.h;
	case TG_RATELIMIT_MASKED_ADDRESS:
		*key = masked_key;
		return &a->masked.h;
	case TG_RATELIMIT_IDENTITY:
		*key = "spiffe_id";
		return &a->spiffe_id.h;
	case TG_RATELIMIT_PATH:
		*key = "path";
		return &a->path.h;
	case TG_RATELIMIT_GENERIC:
		*key = a->generic.key;
		return &a->generic.h;
	default:
		*key = a->match.key;
		return &a->match.h;
	}
}

#define KINDS (TG_RATELIMIT_HEADER_MATCH + 1)

/* Its kind and key; KINDS: not exactly one. */
static uint32_t action_kind(const struct raw_action_of_limit *a, const char **key)
{
	uint32_t found = KINDS, n = 0;
	const char *k;

	for (uint32_t i = 0; i < KINDS; i++)
		if (kind_of(a, (enum tg_ratelimit_action_kind)i, &k)->at) {
			found = i;
			*key = k;
			n++;
		}
	return n == 1 ? found : KINDS;
}

/* --- checks ------------------------------------------------------------------------------------
 */

static void check_action(struct cfg *c, const struct raw_action_of_limit *a, const char *who)
{
	const struct raw_header *headers = a->match.headers.items;
	const char *key;

	if (action_kind(a, &key) == KINDS && !a->h.meant)
		cfg_error(c, cfg_line_of(a->h.at),
			"%s: an action has to be one of \"request_headers\", \"remote_address\", "
			"\"masked_remote_address\", \"spiffe_id\", \"path\", \"generic_key\" and "
			"\"header_value_match\"",
			who);
	if (a->request_headers.header_name && !cfg_is_token(a->request_headers.header_name))
		cfg_error(c, cfg_key_line(&a->request_headers.h, "header_name"),
			"%s: \"%s\" is no field name", who, a->request_headers.header_name);
	for (uint32_t i = 0; i < a->match.headers.n; i++)
		cfg_check_header(c, &headers[i]);
}

static void check_length(struct cfg *c, const struct raw_list *l, const char *what, const char *who)
{
	if (l->n > TG_RATELIMIT_ENTRIES_MAX)
		cfg_error(c, cfg_line_of(l->at), "%s: at most %d %s are possible, here are %u", who,
			TG_RATELIMIT_ENTRIES_MAX, what, l->n);
}

static void check_entry(struct cfg *c, const struct raw_entry *e, const char *who)
{
	struct tg_ip_prefix net;
	struct tg_ip ip;

	if (!e->key || !e->value)
		return;
	if (strcmp(e->key, remote_key) == 0 && tg_ip_parse(e->value, &ip))
		cfg_error(c, cfg_key_line(&e->h, "value"),
			"%s: \"%s\" is no IP address, as the value of remote_address has to be",
			who, e->value);
	if (strcmp(e->key, masked_key) == 0 &&
		(!strchr(e->value, '/') || tg_ip_prefix_parse(e->value, &net)))
		cfg_error(c, cfg_key_line(&e->h, "value"),
			"%s: \"%s\" is no network, as the value of masked_remote_address has to "
			"be: "
			"\"10.0.0.0/24\"",
			who, e->value);
}

/* Whether the limit makes descriptors with these keys; also where an error hides it. */
static bool makes(const struct raw_limit *l, const struct raw_descriptor *d)
{
	const struct raw_action_of_limit *a = l->actions.items;
	const struct raw_entry *e = d->entries.items;
	const char *key = NULL;

	if (!l->actions.whole || !d->entries.whole || !d->entries.n)
		return true;
	if (l->actions.n != d->entries.n)
		return false;
	for (uint32_t i = 0; i < l->actions.n; i++) {
		if (action_kind(&a[i], &key) == KINDS || !key || !e[i].key)
			return true;
		if (strcmp(key, e[i].key) != 0)
			return false;
	}
	return true;
}

static bool readable(const struct raw_limit *l)
{
	const struct raw_action_of_limit *a = l->actions.items;
	const char *key = NULL;

	for (uint32_t i = 0; i < l->actions.n; i++)
		if (action_kind(&a[i], &key) == KINDS || !key)
			return false;
	return l->actions.whole && l->actions.n;
}

/* Descriptors that nothing makes, and limits that make what nobody limits. */
static void check_pairs(struct cfg *c, const struct raw_list *limits,
	const struct raw_list *descriptors, const char *who)
{
	const struct raw_limit *l = limits->items;
	const struct raw_descriptor *d = descriptors->items;

	for (uint32_t k = 0; k < descriptors->n; k++) {
		uint32_t i = 0;

		while (i < limits->n && !makes(&l[i], &d[k]))
			i++;
		if (i == limits->n && limits->whole)
			cfg_error(c, cfg_line_of(d[k].h.at),
				"%s: no item of \"rate_limits\" makes a descriptor with these "
				"keys, "
				"in this order",
				who);
	}
	for (uint32_t i = 0; i < limits->n; i++) {
		uint32_t k = 0;

		while (k < descriptors->n && !makes(&l[i], &d[k]))
			k++;
		if (k == descriptors->n && descriptors->whole && readable(&l[i]))
			cfg_error(c, cfg_line_of(l[i].h.at),
				"%s: no item of \"descriptors\" has the keys that these actions "
				"make, in this order",
				who);
	}
}

void cfg_check_descriptors(struct cfg *c, const struct raw_list *limits,
	const struct raw_list *descriptors, const char *who)
{
	const struct raw_limit *l = limits->items;
	const struct raw_descriptor *d = descriptors->items;

	for (uint32_t i = 0; i < limits->n; i++) {
		check_length(c, &l[i].actions, "actions", who);
		for (uint32_t k = 0; k < l[i].actions.n; k++)
			check_action(c, &cfg_items(&l[i].actions, raw_action_of_limit)[k], who);
	}
	for (uint32_t i = 0; i < descriptors->n; i++)
		for (uint32_t k = 0; k < d[i].entries.n; k++)
			check_entry(c, &cfg_items(&d[i].entries, raw_entry)[k], who);
	check_pairs(c, limits, descriptors, who);
}

static const char who[] = "filter \"local_ratelimit\"";

static void check_field(struct cfg *c, const struct raw_field *f)
{
	if (!f->name)
		return;
	if (!cfg_is_token(f->name))
		cfg_error(c, cfg_key_line(&f->h, "name"), "%s: \"%s\" is no field name", who,
			f->name);
	else if (tg_field_id_of(tg_view_str(f->name)) != TG_FIELD_UNKNOWN)
		cfg_error(c, cfg_key_line(&f->h, "name"),
			"%s: the field \"%s\" is not for \"response_headers_to_add\"", who,
			f->name);
}

static void check(struct cfg *c, const struct raw_filter_head *raw, bool tcp)
{
	const struct raw_ratelimit *r = (const struct raw_ratelimit *)raw;

	(void)tcp;
	cfg_check_descriptors(c, &r->limits, &r->descriptors, who);
	for (uint32_t i = 0; i < r->fields.n; i++)
		check_field(c, &cfg_items(&r->fields, raw_field)[i]);
	if (r->fields.n > 16)
		cfg_error(c, cfg_line_of(r->fields.at),
			"%s: at most 16 \"response_headers_to_add\" are possible", who);
	if (!r->bucket.h.at && !r->descriptors.at && !raw->disabled && !raw->h.meant)
		cfg_error(c, cfg_line_of(raw->h.at),
			"%s: it limits nothing: give \"token_bucket\" or \"descriptors\"", who);
}

/* --- into the snapshot -------------------------------------------------------------------------
 */

static bool action(
	struct cfg *c, const struct raw_action_of_limit *raw, struct tg_ratelimit_action *out)
{
	const char *key = "";

	out->kind = (enum tg_ratelimit_action_kind)action_kind(raw, &key);
	out->key = tg_view_str(key);
	out->v4_len = (uint8_t)raw->masked.v4;
	out->v6_len = (uint8_t)raw->masked.v6;
	switch (out->kind) {
	case TG_RATELIMIT_HEADER:
		out->value = tg_view_str(raw->request_headers.header_name);
		return true;
	case TG_RATELIMIT_GENERIC:
		out->value = tg_view_str(raw->generic.value);
		return true;
	case TG_RATELIMIT_HEADER_MATCH:
		out->value = tg_view_str(raw->match.value);
		out->expect_match = raw->match.expect_match;
		out->n_headers = raw->match.headers.n;
		out->headers = cfg_compile_headers(c, &raw->match.headers);
		return out->headers != NULL;
	default:
		return true;
	}
}

const struct tg_ratelimit_limit *cfg_compile_limits(struct cfg *c, const struct raw_list *raw)
{
	const struct raw_limit *l = raw->items;
	struct tg_ratelimit_limit *out = cfg_need(c, c->keep, (raw->n + 1) * sizeof(*out));

	for (uint32_t i = 0; i < raw->n && out; i++) {
		struct tg_ratelimit_action *a =
			cfg_need(c, c->keep, (l[i].actions.n + 1) * sizeof(*a));

		if (!a)
			return NULL;
		out[i].n = l[i].actions.n;
		out[i].actions = a;
		for (uint32_t k = 0; k < out[i].n; k++)
			if (!action(c, &cfg_items(&l[i].actions, raw_action_of_limit)[k], &a[k]))
				return NULL;
	}
	return out;
}

static void entry(const struct raw_entry *raw, struct tg_ratelimit_entry *out)
{
	*out = (struct tg_ratelimit_entry){.key = tg_view_str(raw->key), .any = !raw->value};
	if (!raw->value)
		return;
	out->value = tg_view_str(raw->value);
	if (strcmp(raw->key, remote_key) != 0 && strcmp(raw->key, masked_key) != 0)
		return;
	tg_ip_prefix_parse(raw->value, &out->ip);
	out->ip.ip = tg_ip_masked(&out->ip.ip, out->ip.len); /* host bits do not count */
}

struct tg_ratelimit_descriptor *cfg_compile_descriptors(struct cfg *c, const struct raw_list *raw)
{
	const struct raw_descriptor *d = raw->items;
	struct tg_ratelimit_descriptor *out = cfg_need(c, c->keep, (raw->n + 1) * sizeof(*out));

	for (uint32_t i = 0; i < raw->n && out; i++) {
		struct tg_ratelimit_entry *e =
			cfg_need(c, c->keep, (d[i].entries.n + 1) * sizeof(*e));

		if (!e)
			return NULL;
		out[i].n = d[i].entries.n;
		out[i].entries = e;
		for (uint32_t k = 0; k < out[i].n; k++)
			entry(&cfg_items(&d[i].entries, raw_entry)[k], &e[k]);
	}
	return out;
}

/* With their limits. */
static bool descriptors(struct cfg *c, const struct raw_list *raw, struct tg_ratelimit_in *in)
{
	struct tg_ratelimit_descriptor *out = cfg_compile_descriptors(c, raw);

	for (uint32_t i = 0; i < raw->n && out; i++)
		out[i].rate = cfg_bucket_rate(&cfg_items(raw, raw_descriptor)[i].bucket);
	in->n_descriptors = raw->n;
	in->descriptors = out;
	return out != NULL;
}

static bool fields(struct cfg *c, const struct raw_list *raw, struct tg_ratelimit_in *in)
{
	const struct raw_field *f = raw->items;
	struct tg_field *out = cfg_need(c, c->keep, (raw->n + 1) * sizeof(*out));

	in->n_fields = raw->n;
	in->fields = out;
	for (uint32_t i = 0; i < raw->n && out; i++)
		out[i] = (struct tg_field){
			.name = tg_view_str(f[i].name), .value = tg_view_str(f[i].value)};
	return out != NULL;
}

static const void *input(struct cfg *c, const struct raw_filter_head *raw)
{
	const struct raw_ratelimit *r = (const struct raw_ratelimit *)raw;
	struct tg_ratelimit_in *in = cfg_need(c, c->keep, sizeof(*in));

	if (!in || !descriptors(c, &r->descriptors, in) || !fields(c, &r->fields, in))
		return NULL;
	in->n_limits = r->limits.n;
	in->limits = cfg_compile_limits(c, &r->limits);
	if (!in->limits)
		return NULL;
	in->has_default = r->bucket.h.at;
	in->always_default = r->always_default;
	in->rate = cfg_bucket_rate(&r->bucket);
	in->max_dynamic_descriptors = r->max_dynamic;
	in->status = (uint16_t)r->status;
	in->filter_enabled = r->enabled;
	in->filter_enforced = r->enforced;
	in->x_ratelimit_headers = r->x_headers;
	return in;
}

const struct cfg_filter_kind cfg_filter_ratelimit = {
	&ratelimit_group, &tg_ratelimit_http, NULL, check, input};
