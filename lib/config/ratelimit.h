/* ratelimit.h: what the filters "local_ratelimit" and "ratelimit" share. Private to their files. */
#ifndef TG_CONFIG_RATELIMIT_H
#define TG_CONFIG_RATELIMIT_H

#include <tidegate/ratelimit.h>

#include "keys.h"

struct raw_empty {
	struct raw_head h;
};

struct raw_request_headers {
	struct raw_head h;
	const char *header_name, *descriptor_key;
};

struct raw_masked {
	struct raw_head h;
	uint32_t v4, v6;
};

struct raw_generic {
	struct raw_head h;
	const char *key, *value;
};

struct raw_header_match {
	struct raw_head h;
	const char *key, *value;
	bool expect_match;
	struct raw_list headers;
};

struct raw_action_of_limit {
	struct raw_head h;
	struct raw_request_headers request_headers;
	struct raw_empty remote_address, spiffe_id, path;
	struct raw_masked masked;
	struct raw_generic generic;
	struct raw_header_match match;
};

struct raw_limit {
	struct raw_head h;
	struct raw_list actions;
};

struct raw_entry {
	struct raw_head h;
	const char *key, *value;
};

/* envoyproxy/ratelimit's. */
struct raw_unit_limit {
	struct raw_head h;
	uint32_t unit, requests;
	bool unlimited;
};

struct raw_descriptor {
	struct raw_head h;
	struct raw_list entries;
	struct raw_token_bucket bucket; /* local */
	struct raw_unit_limit limit;    /* global */
	bool shadow_mode;
};

extern const char *const cfg_words_x_ratelimit[];
#define X_RATELIMIT_KEY(of, field) \
	KEY(of, field, "enable_x_ratelimit_headers", .type = CFG_ENUM, \
		.words = cfg_words_x_ratelimit, .dflt = "OFF", .example = "\"DRAFT_VERSION_03\"", \
		.doc = "responses say what is left: x-ratelimit-limit, -remaining, -reset")
#define ENTRIES_KEY(more_flags) \
	KEY(raw_descriptor, entries, "entries", .type = CFG_GROUPS, \
		.flags = CFG_REQUIRED | CFG_NOT_EMPTY | (more_flags), \
		.group = &cfg_descriptor_entry, .example = "( { key = \"remote_address\"; } )", \
		.doc = "fits if these are the keys, and the values, of a rate limit")

/* Items of rate_limits; of a descriptor's entries. */
extern const struct cfg_group cfg_rate_limit, cfg_descriptor_entry;

void cfg_check_descriptors(struct cfg *c, const struct raw_list *limits,
	const struct raw_list *descriptors, const char *who);
/* NULL: no memory, or an error was reported. */
const struct tg_ratelimit_limit *cfg_compile_limits(struct cfg *c, const struct raw_list *raw);
/* Without their limits. */
struct tg_ratelimit_descriptor *cfg_compile_descriptors(struct cfg *c, const struct raw_list *raw);

#endif
