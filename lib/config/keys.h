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

#define SEC UINT64_C(1000000000)
#define YEAR (UINT64_C(8760) * 3600 * SEC)
#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * KIB)
#define GIB (UINT64_C(1024) * MIB)

#endif
