/* `match` of routes: its keys, their checks, and into what lib/route compiles them. */
#include <string.h>

#include "keys.h"

static const char *const words_denominator[] = {"HUNDRED", "TEN_THOUSAND", "MILLION", NULL};
static const uint32_t denominators[] = {100, 10000, 1000000};

static const struct cfg_key fraction_keys[] = {
	KEY(raw_fraction, numerator, "numerator", .type = CFG_U32, .max = 1000000, .dflt = "0",
		.example = "10", .doc = "how many, of the denominator; more is all"),
	KEY(raw_fraction, denominator, "denominator", .type = CFG_ENUM, .words = words_denominator,
		.dflt = "HUNDRED", .example = "\"HUNDRED\"", .doc = "of how many"),
	END};

static const struct cfg_key runtime_fraction_keys[] = {
	KEY(raw_runtime_fraction, value, "default_value", .type = CFG_GROUP, .flags = CFG_REQUIRED,
		.group = &cfg_fraction, .example = "{ numerator = 10; denominator = \"HUNDRED\"; }",
		.doc = "the share"),
	END};

static const struct cfg_key range_keys[] = {
	KEY(raw_range, start, "start", .type = CFG_I64, .flags = CFG_REQUIRED, .example = "0",
		.doc = "the least number"),
	KEY(raw_range, end, "end", .type = CFG_I64, .flags = CFG_REQUIRED, .example = "10",
		.doc = "the first number beyond"),
	END};

/* What a value is compared with; `of` is the structure's name. */
#define VALUE_KEYS(of, at) \
	KEY(of, at.exact, "exact", .type = CFG_STRING, .example = "\"true\"", \
		.doc = "the value is this"), \
		KEY(of, at.prefix, "prefix", .type = CFG_STRING, .example = "\"v2.\"", \
			.doc = "the value begins with this"), \
		KEY(of, at.suffix, "suffix", .type = CFG_STRING, .example = "\".internal\"", \
			.doc = "the value ends with this"), \
		KEY(of, at.contains, "contains", .type = CFG_STRING, .example = "\"Mobile\"", \
			.doc = "the value has this in it"), \
		KEY(of, at.regex, "safe_regex", .type = CFG_REGEX, .example = "\"v[0-9]+\"", \
			.doc = "the whole value matches this expression"), \
		KEY(of, at.ignore_case, "ignore_case", .type = CFG_BOOL, .dflt = "false", \
			.example = "true", .doc = "compares without case (not safe_regex)")

static const struct cfg_key string_match_keys[] = {VALUE_KEYS(raw_string_match, v), END};

#define MATCH_KEYS(of) \
	VALUE_KEYS(of, v), \
		KEY(of, range, "range", .type = CFG_GROUP, .group = &cfg_range, \
			.example = "{ start = 0; end = 10; }", \
			.doc = "the value is a whole number from start to before end"), \
		KEY(of, present, "present", .type = CFG_BOOL, .example = "true", \
			.doc = "it is there (true), or is not (false)"), \
		KEY(of, present, "present_match", .type = CFG_BOOL, .example = "true", \
			.doc = "the same in Envoy's words"), \
		KEY(of, string_match, "string_match", .type = CFG_GROUP, \
			.group = &cfg_string_match, .example = "{ exact = \"true\"; }", \
			.doc = "the first five and ignore_case in a group of their own, as in " \
			       "Envoy"), \
		KEY(of, invert, "invert_match", .type = CFG_BOOL, .dflt = "false", \
			.example = "true", \
			.doc = "turns the result round; what is missing has no value to turn"), \
		KEY(of, missing_is_empty, "treat_missing_header_as_empty", .type = CFG_BOOL, \
			.dflt = "false", .example = "true", \
			.doc = "what is missing is compared as an empty value")

static const struct cfg_key header_keys[] = {
	KEY(raw_header, name, "name", .type = CFG_NAME, .max = 128, .flags = CFG_REQUIRED,
		.example = "\"x-beta-group\"", .doc = "field name, or :method or :authority"),
	MATCH_KEYS(raw_header), END};

static const struct cfg_key query_keys[] = {
	KEY(raw_header, name, "name", .type = CFG_NAME, .max = 1024, .flags = CFG_REQUIRED,
		.example = "\"version\"", .doc = "the parameter; of several the first counts"),
	MATCH_KEYS(raw_header), END};

static const struct cfg_key match_keys[] = {
	KEY(raw_match, path, "path", .type = CFG_STRING, .example = "\"/healthz\"",
		.doc = "the whole path, without query"),
	KEY(raw_match, prefix, "prefix", .type = CFG_STRING, .example = "\"/api/\"",
		.doc = "the path begins with this"),
	KEY(raw_match, separated, "path_separated_prefix", .type = CFG_STRING,
		.example = "\"/api\"", .doc = "the path is this, or goes on with a /"),
	KEY(raw_match, regex, "safe_regex", .type = CFG_REGEX, .example = "\"/api/v[0-9]+/.*\"",
		.doc = "the whole path, without query, matches this expression (PCRE2)"),
	KEY(raw_match, case_sensitive, "case_sensitive", .type = CFG_BOOL, .dflt = "true",
		.example = "false", .doc = "whether A is not a in the path (not safe_regex)"),
	KEY(raw_match, headers, "headers", .type = CFG_GROUPS, .group = &cfg_match_header,
		.example = "( { name = \"x-beta-group\"; exact = \"true\"; } )",
		.doc = "fields that must match, all of them"),
	KEY(raw_match, query, "query_parameters", .type = CFG_GROUPS, .group = &cfg_match_query,
		.example = "( { name = \"version\"; exact = \"2\"; } )",
		.doc = "query parameters that must match, all of them; nothing is decoded"),
	KEY(raw_match, fraction, "runtime_fraction", .type = CFG_GROUP,
		.group = &cfg_runtime_fraction,
		.example = "{ default_value: { numerator = 10; }; }",
		.doc = "the share of such requests that this route takes, by chance"),
	END};

static const struct cfg_refused refused_match[] = {{"connect_matcher", "prefix"}, {"grpc"},
	{"tls_context"}, {"dynamic_metadata"}, {"path_match_policy", "prefix"}, {NULL}};
static const struct cfg_refused refused_header[] = {{"regex", "safe_regex"},
	{"exact_match", "exact"}, {"prefix_match", "exact"}, {"suffix_match", "exact"},
	{"contains_match", "exact"}, {"range_match", "range"}, {"safe_regex_match", "exact"},
	{NULL}};
static const struct cfg_refused refused_string[] = {{"custom", "exact"}, {"exact_match", "exact"},
	{"prefix_match", "exact"}, {"suffix_match", "exact"}, {"contains_match", "exact"}, {NULL}};
static const struct cfg_refused refused_runtime[] = {{"runtime_key"}, {NULL}};
static const struct cfg_refused refused_none[] = {{NULL}};

const struct cfg_group cfg_fraction = {
	"fraction", sizeof(struct raw_fraction), fraction_keys, refused_none};
const struct cfg_group cfg_runtime_fraction = {"runtime_fraction",
	sizeof(struct raw_runtime_fraction), runtime_fraction_keys, refused_runtime};
const struct cfg_group cfg_range = {"range", sizeof(struct raw_range), range_keys, refused_none};
const struct cfg_group cfg_string_match = {
	"string_match", sizeof(struct raw_string_match), string_match_keys, refused_string};
const struct cfg_group cfg_match_header = {
	"header match", sizeof(struct raw_header), header_keys, refused_header};
const struct cfg_group cfg_match_query = {
	"query parameter", sizeof(struct raw_header), query_keys, refused_header};
const struct cfg_group cfg_match = {"match", sizeof(struct raw_match), match_keys, refused_match};

/* --- checks ------------------------------------------------------------------------------------
 */

static uint32_t count_given(
	const struct cfg_group *g, const struct raw_head *h, const char *const *keys, size_t n)
{
	uint32_t given = 0;

	for (size_t i = 0; i < n; i++)
		given += cfg_given(g, h, keys[i]);
	return given;
}

static void check_regex(
	struct cfg *c, const struct raw_head *h, const char *who, const char *key, const char *s)
{
	if (s)
		cfg_regex(c, s, TG_REGEX_FULL, who, key, cfg_key_line(h, key));
}

static void check_value(
	struct cfg *c, const struct raw_head *h, const struct raw_value *v, const char *who)
{
	check_regex(c, h, who, "safe_regex", v->regex);
	if (v->regex && v->ignore_case)
		cfg_error(c, cfg_key_line(h, "ignore_case"),
			"%s: \"ignore_case\" is not for safe_regex: begin the expression with (?i)",
			who);
}

static void check_predicate(struct cfg *c, const struct raw_header *h, const struct cfg_group *g)
{
	static const char *const kinds[] = {"exact", "prefix", "suffix", "contains", "safe_regex",
		"range", "present", "present_match", "string_match"};
	const char *who = cfg_who(c, h->h.at, g);
	const struct raw_head *nested = &h->string_match.h;
	uint32_t given = count_given(g, &h->h, kinds, TG_ARRAY_LEN(kinds));

	if (given > 1 || (!given && !h->h.meant))
		cfg_error(c, cfg_line_of(h->h.at),
			"%s: give one of \"exact\", \"prefix\", \"suffix\", \"contains\", "
			"\"safe_regex\", \"range\", \"present\" and \"string_match\"%s",
			who, given ? ", not more" : "");
	check_value(c, &h->h, &h->v, who);
	if (cfg_given(&cfg_range, &h->range.h, "start") &&
		cfg_given(&cfg_range, &h->range.h, "end") && h->range.end != INT64_MIN &&
		h->range.start >= h->range.end)
		cfg_error(c, cfg_line_of(h->range.h.at),
			"%s: range: \"end\" has to be greater than \"start\"", who);
	if (!nested->at)
		return;
	given = count_given(&cfg_string_match, nested, kinds, 5);
	if (given > 1 || (!given && !nested->meant))
		cfg_error(c, cfg_line_of(nested->at),
			"%s: string_match: give one of \"exact\", \"prefix\", \"suffix\", "
			"\"contains\" and \"safe_regex\"%s",
			who, given ? ", not more" : "");
	check_value(c, nested, &h->string_match.v, who);
}

static void check_header(struct cfg *c, const struct raw_header *h)
{
	check_predicate(c, h, &cfg_match_header);
	if (h->name)
		cfg_check_header_name(c, h, &cfg_match_header);
}

/* Segments are folded one at a time, into a buffer of that size. */
static void check_segments(struct cfg *c, const struct raw_match *m, const char *key, const char *s)
{
	size_t n;

	for (; *s; s += n) {
		s += *s == '/';
		n = strcspn(s, "/");
		if (n > TG_SEGMENT_MAX) {
			cfg_error(c, cfg_key_line(&m->h, key),
				"match: \"%s\" has a segment of more than %d bytes, which is not "
				"possible without case_sensitive",
				key, TG_SEGMENT_MAX);
			return;
		}
	}
}

static void check_path(struct cfg *c, const struct raw_match *m)
{
	static const char *const kinds[] = {
		"path", "prefix", "path_separated_prefix", "safe_regex"};
	uint32_t given = count_given(&cfg_match, &m->h, kinds, TG_ARRAY_LEN(kinds));
	const char *key = m->path ? "path" : m->prefix ? "prefix" : "path_separated_prefix";
	const char *s = m->path ? m->path : m->prefix ? m->prefix : m->separated;

	if (given != 1) {
		if (given || !m->h.meant)
			cfg_error(c, cfg_line_of(m->h.at),
				"match: give one of \"path\", \"prefix\", "
				"\"path_separated_prefix\" and \"safe_regex\"%s",
				given ? ", not more" : "");
		return;
	}
	check_regex(c, &m->h, "match", "safe_regex", m->regex);
	if (m->regex && !m->case_sensitive)
		cfg_error(c, cfg_key_line(&m->h, "case_sensitive"),
			"match: \"case_sensitive\" is not for safe_regex: begin the expression "
			"with (?i)");
	if (!s)
		return;
	cfg_check_path(c, "match", key, s, m->prefix != NULL, cfg_key_line(&m->h, key));
	if (!m->case_sensitive)
		check_segments(c, m, key, s);
	if (m->separated && s[0] && s[strlen(s) - 1] == '/')
		cfg_error(c, cfg_key_line(&m->h, key),
			"match: \"path_separated_prefix\" is \"%s\" and must not end in \"/\"", s);
}

void cfg_check_match(struct cfg *c, const struct raw_match *m)
{
	const struct raw_header *headers = m->headers.items, *query = m->query.items;

	check_path(c, m);
	for (uint32_t i = 0; i < m->headers.n; i++)
		check_header(c, &headers[i]);
	for (uint32_t i = 0; i < m->query.n; i++)
		check_predicate(c, &query[i], &cfg_match_query);
}

/* --- into the snapshot -------------------------------------------------------------------------
 */

uint32_t cfg_fraction_of(const struct raw_runtime_fraction *f)
{
	uint64_t v;

	if (!f->h.at)
		return TG_FRACTION_WHOLE;
	v = (uint64_t)f->value.numerator * (TG_FRACTION_WHOLE / denominators[f->value.denominator]);
	return v < TG_FRACTION_WHOLE ? (uint32_t)v : TG_FRACTION_WHOLE;
}

/* A text in lower case, in the snapshot's memory. */
static struct tg_view lower(struct cfg *c, const char *s)
{
	char *copy = cfg_strndup(c->keep, s, strlen(s));

	if (!copy) {
		c->no_memory = true;
		return TG_VIEW_NONE;
	}
	for (char *p = copy; *p; p++)
		*p = (char)tg_ascii_lower((uint8_t)*p);
	return tg_view_str(copy);
}

static void compile_value(struct cfg *c, const struct raw_value *v, struct tg_header_match *m)
{
	const char *s = v->exact ? v->exact : v->prefix ? v->prefix : v->suffix;

	if (v->regex) {
		m->kind = TG_HEADER_REGEX;
		m->regex = cfg_regex(c, v->regex, TG_REGEX_FULL, "", "", 0);
		return;
	}
	m->kind = v->exact    ? TG_HEADER_EXACT
		  : v->prefix ? TG_HEADER_PREFIX
		  : v->suffix ? TG_HEADER_SUFFIX
			      : TG_HEADER_CONTAINS;
	s = s ? s : v->contains;
	m->ignore_case = v->ignore_case;
	m->value = v->ignore_case ? lower(c, s) : tg_view_str(s);
}

static bool has_value(const struct raw_value *v)
{
	return v->exact || v->prefix || v->suffix || v->contains || v->regex;
}

struct tg_header_match *cfg_compile_headers(struct cfg *c, const struct raw_list *raw)
{
	const struct raw_header *h = raw->items;
	struct tg_header_match *out = cfg_need(c, c->keep, (raw->n + (size_t)1) * sizeof(*out));

	for (uint32_t i = 0; i < raw->n && out; i++) {
		struct tg_header_match *m = &out[i];

		m->name = tg_view_str(h[i].name);
		m->invert = h[i].invert;
		m->missing_is_empty = h[i].missing_is_empty;
		if (h[i].string_match.h.at) {
			compile_value(c, &h[i].string_match.v, m);
		} else if (has_value(&h[i].v)) {
			compile_value(c, &h[i].v, m);
		} else if (h[i].range.h.at) {
			m->kind = TG_HEADER_RANGE;
			m->from = h[i].range.start;
			m->to = h[i].range.end;
		} else {
			m->kind = TG_HEADER_PRESENT;
			m->invert ^= !h[i].present;
		}
	}
	return c->no_memory ? NULL : out;
}

static bool compile_more(struct cfg *c, const struct raw_match *raw, struct tg_route *r)
{
	struct tg_route_match *more = cfg_need(c, c->keep, sizeof(*more));

	if (!more)
		return false;
	r->more = more;
	if (raw->regex)
		more->regex = cfg_regex(c, raw->regex, TG_REGEX_FULL, "", "", 0);
	more->fraction = cfg_fraction_of(&raw->fraction);
	more->n_query = raw->query.n;
	more->query = cfg_compile_headers(c, &raw->query);
	return more->query != NULL;
}

bool cfg_compile_match(struct cfg *c, const struct raw_match *raw, struct tg_route *r)
{
	const char *s = raw->path ? raw->path : raw->prefix ? raw->prefix : raw->separated;

	r->kind = raw->path        ? TG_MATCH_PATH
		  : raw->prefix    ? TG_MATCH_PREFIX
		  : raw->separated ? TG_MATCH_SEPARATED
				   : TG_MATCH_REGEX;
	r->ignore_case = !raw->case_sensitive;
	r->match = s ? r->ignore_case ? lower(c, s) : tg_view_str(s) : TG_VIEW_NONE;
	if ((raw->regex || raw->query.n || raw->fraction.h.at) && !compile_more(c, raw, r))
		return false;
	r->n_headers = raw->headers.n;
	if (r->n_headers)
		r->headers = cfg_compile_headers(c, &raw->headers);
	return !c->no_memory;
}
