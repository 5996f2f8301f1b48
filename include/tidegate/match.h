/* match.h: predicates over a message's fields and its query parameters, for routes and filters.
 *
 * Immutable, part of a snapshot; matching neither allocates nor writes, but for the worker's
 * scratch, and costs no more than the fields that bear the name. Not here: paths.
 */
#ifndef TIDEGATE_MATCH_H
#define TIDEGATE_MATCH_H

#include <tidegate/msg.h>
#include <tidegate/regex.h>
#include <tidegate/rng.h>

/* What a worker lends to a match. */
struct tg_match_env {
	struct tg_regex_scratch *regex; /* NULL: no expression matches */
	struct tg_rng *rng;             /* NULL: no fraction but the whole is met */
	bool likely;                    /* dry runs: instead, what is likelier than not happens */
};

enum tg_header_match_kind {
	TG_HEADER_EXACT,
	TG_HEADER_PREFIX,
	TG_HEADER_SUFFIX,
	TG_HEADER_CONTAINS,
	TG_HEADER_PRESENT,
	TG_HEADER_REGEX, /* all of the value */
	TG_HEADER_RANGE, /* the value is a whole decimal number, from <= it < to */
};

/* Envoy's rules: several lines of one field are compared as one value, joined by ","; a field that
 * is missing matches only an inverted PRESENT, whatever the kind, unless it counts as empty. The
 * names ":method" and ":authority" stand for these parts of the request. */
struct tg_header_match {
	struct tg_view name, value; /* name in any case; only the first four kinds have a value */
	enum tg_header_match_kind kind;
	bool invert;
	bool ignore_case; /* the first four kinds; value is in lower case */
	bool missing_is_empty;
	int64_t from, to;
	const struct tg_regex *regex;
};

/* Whether all n predicates hold. env: NULL is as one with nothing in it. */
bool tg_headers_match(const struct tg_header_match *h, uint32_t n, const struct tg_msg *m,
	const struct tg_match_env *env);
/* The same over m->query, parameters in the place of fields: "name=value" or "name", between "&".
 * Names are compared with case, nothing is decoded, and of several the first counts (Envoy). */
bool tg_query_matches(const struct tg_header_match *h, uint32_t n, const struct tg_msg *m,
	const struct tg_match_env *env);

#endif
