/* keys.h: how a table of keys is written. Private to the schema's files. */
#ifndef TG_CONFIG_KEYS_H
#define TG_CONFIG_KEYS_H

#include "schema.h"

#define KEY(type_, field, key, ...) \
	{ \
		.name = (key), .at = offsetof(struct type_, field), __VA_ARGS__ \
	}
#define END \
	{ \
		.name = NULL \
	}

/* Fields that are added and removed; of structures with `request` and `response`. */
#define EDIT_KEYS_WITH(of, flags_) \
	KEY(of, request.add, "request_headers_to_add", .type = CFG_GROUPS, .flags = (flags_), \
		.group = &cfg_field_add, \
		.example = "( { header: { key = \"x-a\"; value = \"1\"; }; } )", \
		.doc = "fields to add to requests, or to change"), \
		KEY(of, request.remove, "request_headers_to_remove", .type = CFG_NAMES, \
			.flags = (flags_), .max = 128, .example = "[\"x-debug\"]", \
			.doc = "fields that are taken out of requests, before any is added"), \
		KEY(of, response.add, "response_headers_to_add", .type = CFG_GROUPS, \
			.flags = (flags_), .group = &cfg_field_add, \
			.example = "( { header: { key = \"x-a\"; value = \"1\"; }; } )", \
			.doc = "fields to add to responses, or to change"), \
		KEY(of, response.remove, "response_headers_to_remove", .type = CFG_NAMES, \
			.flags = (flags_), .max = 128, .example = "[\"x-powered-by\"]", \
			.doc = "fields that are taken out of responses, before any is added")
/* Told where routes have them. */
#define EDIT_KEYS(of) EDIT_KEYS_WITH(of, CFG_TOLD)

/* Every filter has them; of structures that begin with a raw_filter_head f. */
#define FILTER_KEYS(of, filter, an_id) \
	KEY(of, f.name, "name", .type = CFG_NAME, .flags = CFG_REQUIRED, \
		.example = "\"" filter "\"", .doc = "which filter"), \
		KEY(of, f.id, "id", .type = CFG_NAME, .example = "\"" an_id "\"", \
			.doc = "tells several filters of one name apart"), \
		KEY(of, f.disabled, "disabled", .type = CFG_BOOL, .dflt = "false", \
			.example = "true", .doc = "takes the filter out, here and below")

#define SEC UINT64_C(1000000000)
#define YEAR (UINT64_C(8760) * 3600 * SEC)
#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * KIB)
#define GIB (UINT64_C(1024) * MIB)

#endif
