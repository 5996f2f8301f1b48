#include <libconfig.h>
#include <stdlib.h>

#include "../tgtest.h"
#include "tests.h"

static uint32_t keys, absent;

/* Whether some group that `path` leads to has its last name. */
static bool has_path(config_setting_t *s, const char *path)
{
	const char *dot = strchr(path, '.');
	size_t n = dot ? (size_t)(dot - path) : strlen(path);
	char name[64];
	config_setting_t *e;

	if (config_setting_is_list(s)) {
		for (int i = 0; i < config_setting_length(s); i++)
			if (has_path(config_setting_get_elem(s, (unsigned int)i), path))
				return true;
		return false;
	}
	if (!config_setting_is_group(s) || n >= sizeof(name))
		return false;
	memcpy(name, path, n);
	name[n] = 0;
	e = config_setting_get_member(s, name);
	return e && (!dot || has_path(e, dot + 1));
}

static const char *const files[] = {"tidegate", "tls", "rbac", "spiffe", "chaos", "limits",
	"balance", "routing", "global-limits", "health", "zones", "l4"};

/* The reference, and the parts of it about TLS and about filters. */
static void look_for(void *ctx, const struct tg_config_key *k)
{
	static const char above[] = "listeners.filters.", below[] = "virtual_hosts.routes.filters.",
			  headers[] = "virtual_hosts.routes.match.headers";
	const char *match = strstr(k->path, ".headers.");
	config_t *c = ctx;
	char other[256];

	if (!k->supported)
		return;
	keys++;
	CU_ASSERT(k->doc && *k->doc && *k->type);
	for (size_t i = 0; i < TG_ARRAY_LEN(files); i++)
		if (has_path(config_root_setting(&c[i]), k->path))
			return;
	/* Filters stand also elsewhere. */
	if (strncmp(k->path, above, sizeof(above) - 1) == 0) {
		snprintf(other, sizeof(other), "%s%s", below, k->path + sizeof(above) - 1);
		for (size_t i = 0; i < TG_ARRAY_LEN(files); i++)
			if (has_path(config_root_setting(&c[i]), other))
				return;
	}
	/* And what can be said of fields is everywhere the same. */
	snprintf(other, sizeof(other), "%s%s", headers, match ? match + strlen(".headers") : "");
	if (match && has_path(config_root_setting(&c[0]), other))
		return;
	absent++;
	printf("%s is in none of those files\n", k->path);
}

void schema_in_reference(void)
{
	config_t c[TG_ARRAY_LEN(files)];
	char path[512];

	for (size_t i = 0; i < TG_ARRAY_LEN(files); i++) {
		config_init(&c[i]);
		snprintf(path, sizeof(path), "%s/%s.cfg", TG_CFG_DIR, files[i]);
		CU_ASSERT_FATAL(config_read_file(&c[i], path));
	}
	tg_config_walk_keys(look_for, c);
	for (size_t i = 0; i < TG_ARRAY_LEN(files); i++)
		config_destroy(&c[i]);
	CU_ASSERT(keys > 70);
	CU_ASSERT_EQUAL(absent, 0);
}

static const char *const filters[] = {"rbac", "fault", "local_ratelimit", "ratelimit"};
static const char *const groups[] = {"dataplane.", "admin.", "overload_manager.", "hedge_policy.",
	"rate_limited_retry_back_off.", "match.", "route.", "circuit_breakers.", "retry_budget.",
	"retry_policy.", "header.", "cookie.", "connection_properties.", "query_parameter.",
	"least_request_lb_config.", "ring_hash_lb_config.", "maglev_lb_config.", "retry_back_off.",
	"tls.", "set_current_client_cert_details.", "delay.", "abort.", "response_rate_limit.",
	"token_bucket.", "request_headers.", "remote_address.", "masked_remote_address.",
	"spiffe_id.", "path.", "generic_key.", "header_value_match.", "connection_rate_limit.",
	"per_client.", "transport.", "string_match.", "range.", "runtime_fraction.",
	"default_value.", "rate_limit_service.", "rate_limit.", "redirect.", "direct_response.",
	"regex_rewrite.", "host_rewrite_path_regex.", "common_lb_config.", "zone_aware_lb_config.",
	"round_robin_lb_config.", "slow_start_config.", "force_local_zone.", "locality.", "node.",
	"cluster_manager.", "locality_weighted_lb_config.", "http_health_check.",
	"tcp_health_check.", "send.", "outlier_detection."};

/* Whether a name is that of a group, or of a list of groups: what the schema takes. */
static bool is_list(const char *path)
{
	for (size_t i = 0; i < TG_ARRAY_LEN(groups); i++)
		if (strncmp(path, groups[i], strlen(groups[i])) == 0)
			return false;
	return true;
}

/* A file with one setting at path, wrapped as the groups above ask. */
static void at_path(const char *path, const char *filter, const char *value, char *out, size_t cap)
{
	char head[512] = "", tail[128] = "", name[64];
	const char *dot;

	while ((dot = strchr(path, '.'))) {
		bool list = is_list(path);

		snprintf(name, sizeof(name), "%.*s", (int)(dot - path), path);
		snprintf(head + strlen(head), sizeof(head) - strlen(head), "%s: %s{ ", name,
			list ? "( " : "");
		if (strcmp(name, "filters") == 0)
			snprintf(head + strlen(head), sizeof(head) - strlen(head),
				"name = \"%s\"; ", filter);
		memmove(tail + (list ? 5 : 3), tail, strlen(tail) + 1);
		memcpy(tail, list ? " } );" : " };", list ? 5 : 3);
		path = dot + 1;
	}
	snprintf(out, cap, "%s%s = %s;%s\n", head, path, value, tail);
}

static void must_be_refused(void *ctx, const struct tg_config_key *k)
{
	const char *last = strrchr(k->path, '.');
	char text[1024], expect[256], hint[256];

	if (k->supported)
		return;
	snprintf(expect, sizeof(expect), "\"%s\" is not supported by this version yet\n",
		last ? last + 1 : k->path);
	snprintf(hint, sizeof(hint), "there is no \"%s\": ", last ? last + 1 : k->path);
	for (size_t i = 0; i < TG_ARRAY_LEN(filters); i++) { /* some filter has it */
		at_path(k->path, filters[i], "1", text, sizeof(text));
		CU_ASSERT_PTR_NULL(parse(text));
		if (strstr(messages, expect) || strstr(messages, hint))
			return;
	}
	printf("%s: %s\n", k->path, messages);
	++*(uint32_t *)ctx;
}

void schema_refuses(void)
{
	uint32_t wrong = 0;

	tg_config_walk_keys(must_be_refused, &wrong);
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Each default, written out, is accepted where it stands. */
static void default_is_good(void *ctx, const struct tg_config_key *k)
{
	const char *last = strrchr(k->path, '.');
	char text[1024], value[128], complaint[128];
	bool bare = strcmp(k->type, "number") == 0 || strcmp(k->type, "true or false") == 0 ||
		    strcmp(k->type, "percentage") == 0;

	if (!k->dflt)
		return;
	snprintf(value, sizeof(value), bare ? "%s" : "\"%s\"", k->dflt);
	snprintf(complaint, sizeof(complaint), "\"%s\" is", last ? last + 1 : k->path);
	for (size_t i = 0; i < TG_ARRAY_LEN(filters); i++) {
		at_path(k->path, filters[i], value, text, sizeof(text));
		tg_snapshot_free(parse(text));
		if (!strstr(messages, complaint))
			continue;
		printf("%s: %s\n", k->path, messages);
		++*(uint32_t *)ctx;
	}
}

void schema_defaults(void)
{
	uint32_t wrong = 0;

	tg_config_walk_keys(default_is_good, &wrong);
	CU_ASSERT_EQUAL(wrong, 0);
}
