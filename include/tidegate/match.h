/* match.h: predicates over a message's fields, for routes and filters.
 *
 * Immutable, part of a snapshot; matching neither allocates nor writes, and costs no more than the
 * fields that bear the name. Any thread. Not here: paths, query parameters.
 */
#ifndef TIDEGATE_MATCH_H
#define TIDEGATE_MATCH_H

#include <tidegate/msg.h>

enum tg_header_match_kind {
	TG_HEADER_EXACT,
	TG_HEADER_PREFIX,
	TG_HEADER_SUFFIX,
	TG_HEADER_CONTAINS,
	TG_HEADER_PRESENT
};

/* Envoy's rules: several lines of one field are compared as one value, joined by ","; a field that
 * is missing matches only an inverted PRESENT, whatever the kind. The names ":method" and
 * ":authority" stand for these parts of the request. */
struct tg_header_match {
	struct tg_view name, value; /* name in any case; PRESENT has no value */
	enum tg_header_match_kind kind;
	bool invert;
};

/* Whether all n predicates hold. */
bool tg_headers_match(const struct tg_header_match *h, uint32_t n, const struct tg_msg *m);

#endif
