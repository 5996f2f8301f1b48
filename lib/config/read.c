/* Settings into raw structures, by the tables of schema.c. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "schema.h"

struct spot { /* what is being read, for messages */
	struct cfg *c;
	const config_setting_t *group;
	const struct cfg_group *g;
	const struct cfg_key *key;
	uint32_t line;
};

const char *cfg_who(struct cfg *c, const config_setting_t *s, const struct cfg_group *g)
{
	const char *name = NULL, *text;

	if (s && g != &cfg_root && config_setting_is_group(s))
		config_setting_lookup_string(s, "name", &name);
	if (!name || strlen(name) > 128)
		return g->what;
	text = cfg_printf(&c->tmp, "%s \"%s\"", g->what, name);
	return text ? text : g->what;
}

static const char *who(const struct spot *p)
{
	return cfg_who(p->c, p->group, p->g);
}

static int key_number(const struct cfg_group *g, const char *name)
{
	for (int i = 0; g->keys[i].name; i++)
		if (strcmp(g->keys[i].name, name) == 0)
			return i;
	return -1;
}

bool cfg_given(const struct cfg_group *g, const struct raw_head *h, const char *key)
{
	int i = h->given ? key_number(g, key) : -1;

	return i >= 0 && (h->given >> i & 1);
}

uint32_t cfg_key_line(const struct raw_head *h, const char *key)
{
	const config_setting_t *s = h->at ? config_setting_get_member(h->at, key) : NULL;

	if (s)
		return cfg_line_of(s);
	return h->at ? cfg_line_of(h->at) : 1;
}

/* "has to be a duration, such as idle_timeout = "1h"" */
static void wrong_type(const struct spot *p, const char *want, const config_setting_t *s)
{
	const char *got = "something else";

	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		got = "a number without quotes";
		break;
	case CONFIG_TYPE_FLOAT:
		got = "a number with a fraction";
		break;
	case CONFIG_TYPE_STRING:
		got = "a text in quotes";
		break;
	case CONFIG_TYPE_BOOL:
		got = "a bare true or false";
		break;
	case CONFIG_TYPE_GROUP:
		got = "a group { }";
		break;
	case CONFIG_TYPE_ARRAY:
		got = "an array [ ]";
		break;
	case CONFIG_TYPE_LIST:
		got = "a list ( )";
		break;
	}
	cfg_error(p->c, p->line, "%s: \"%s\" is %s and has to be %s: %s = %s;", who(p),
		p->key->name, got, want, p->key->name, p->key->example);
}

static void format_value(const struct cfg_key *k, uint64_t v, char out[static 32])
{
	if (k->type == CFG_DURATION)
		cfg_format_duration(v, out);
	else if (k->type == CFG_SIZE || k->type == CFG_SIZE32)
		cfg_format_size(v, out);
	else
		snprintf(out, 32, "%" PRIu64, v);
}

static void out_of_range(const struct spot *p, const char *got)
{
	char min[32], max[32];

	format_value(p->key, p->key->min, min);
	format_value(p->key, p->key->max, max);
	cfg_error(p->c, p->line, "%s: \"%s\" is %s and has to be from %s to %s", who(p),
		p->key->name, got, min, max);
}

static bool in_range(const struct spot *p, uint64_t v)
{
	char got[32];

	if (v >= p->key->min && (p->key->max == 0 || v <= p->key->max))
		return true;
	format_value(p->key, v, got);
	out_of_range(p, got);
	return false;
}

static bool read_integer(const struct spot *p, const config_setting_t *s, uint64_t *out)
{
	char got[32];
	int64_t v;

	if (config_setting_type(s) != CONFIG_TYPE_INT &&
		config_setting_type(s) != CONFIG_TYPE_INT64) {
		wrong_type(p, "a whole number", s);
		return false;
	}
	v = config_setting_get_int64(s);
	if (config_setting_type(s) == CONFIG_TYPE_INT)
		v = config_setting_get_int(s);
	if (v < 0) {
		snprintf(got, sizeof(got), "%" PRId64, v);
		out_of_range(p, got);
		return false;
	}
	*out = (uint64_t)v;
	return in_range(p, *out);
}

/* "64KiB" or a number of bytes; "5s". */
static bool read_amount(const struct spot *p, const config_setting_t *s, uint64_t *out)
{
	bool size = p->key->type != CFG_DURATION;
	const char *text;
	int rc;

	if (size && config_setting_type(s) != CONFIG_TYPE_STRING && config_setting_is_number(s) &&
		config_setting_type(s) != CONFIG_TYPE_FLOAT)
		return read_integer(p, s, out);
	if (config_setting_type(s) != CONFIG_TYPE_STRING) {
		wrong_type(p, size ? "a size" : "a duration with its unit", s);
		return false;
	}
	text = config_setting_get_string(s);
	rc = size ? cfg_parse_size(text, out) : cfg_parse_duration(text, out);
	if (rc == TG_ERANGE)
		out_of_range(p, text);
	else if (rc)
		cfg_error(p->c, p->line,
			"%s: \"%s\" is \"%s\" and has to be a number and %s: %s = %s;", who(p),
			p->key->name, text,
			size ? "one of B, KiB, MiB, GiB" : "one of us, ms, s, m, h, d",
			p->key->name, p->key->example);
	return !rc && in_range(p, *out);
}

/* 12.5 of a hundred, or 0.125: in steps of a millionth of the whole. */
static void read_percent(const struct spot *p, const config_setting_t *s, uint32_t *out)
{
	bool percent = p->key->type == CFG_PERCENT;
	int type = config_setting_type(s), whole = percent ? 100 : 1;
	double v, millionths;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64 && type != CONFIG_TYPE_FLOAT) {
		wrong_type(p, percent ? "a percentage" : "a number from 0 to 1", s);
		return;
	}
	v = type == CONFIG_TYPE_FLOAT ? config_setting_get_float(s)
				      : (double)config_setting_get_int64(s);
	if (type == CONFIG_TYPE_INT)
		v = config_setting_get_int(s);
	millionths = v * 1e6 / whole;
	if (!(v >= 0 && v <= whole)) {
		cfg_error(p->c, p->line, "%s: \"%s\" is %g and has to be from 0 to %d%s", who(p),
			p->key->name, v, whole, percent ? ", of a hundred" : "");
		return;
	}
	*out = (uint32_t)(millionths + 0.5);
	if (millionths - *out > 1e-6 || *out - millionths > 1e-6)
		cfg_error(p->c, p->line,
			"%s: \"%s\" is %.9g: the smallest step is %s, a millionth of the whole",
			who(p), p->key->name, v, percent ? "0.0001" : "0.000001");
}

/* 1.5, in ten-thousandths. */
static void read_factor(const struct spot *p, const config_setting_t *s, uint32_t *out)
{
	int type = config_setting_type(s);
	double v;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64 && type != CONFIG_TYPE_FLOAT) {
		wrong_type(p, "a number", s);
		return;
	}
	v = type == CONFIG_TYPE_FLOAT ? config_setting_get_float(s)
				      : (double)config_setting_get_int64(s);
	if (type == CONFIG_TYPE_INT)
		v = config_setting_get_int(s);
	if (v * 1e4 >= (double)p->key->min && v * 1e4 <= (double)p->key->max)
		*out = (uint32_t)(v * 1e4 + 0.5);
	else
		cfg_error(p->c, p->line, "%s: \"%s\" is %g and has to be from %g to %g", who(p),
			p->key->name, v, (double)p->key->min / 1e4, (double)p->key->max / 1e4);
}

/* NULL: reported. The text lives as long as libconfig's settings. */
static const char *read_text(const struct spot *p, const config_setting_t *s, const char *want)
{
	if (config_setting_type(s) == CONFIG_TYPE_STRING)
		return config_setting_get_string(s);
	wrong_type(p, want, s);
	return NULL;
}

static bool printable(const char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~' || *s == '"' || *s == '\\')
			return false;
	return true;
}

static const char *read_name(const struct spot *p, const config_setting_t *s)
{
	const char *text = read_text(p, s, "a name");
	size_t max = p->key->max ? (size_t)p->key->max : TG_NAME_MAX;

	if (!text)
		return NULL;
	if (*text && strlen(text) <= max && printable(text))
		return text;
	cfg_error(p->c, p->line,
		"%s: \"%s\" has to be 1 to %zu printable ASCII characters without \" and \\",
		who(p), p->key->name, max);
	return NULL;
}

static const char *keep_text(const struct spot *p, const char *text)
{
	char *kept = text ? cfg_strndup(p->c->keep, text, strlen(text)) : NULL;

	if (text && !kept)
		p->c->no_memory = true;
	return kept;
}

/* What is not readable is INT64_MIN. */
static void read_signed(const struct spot *p, const config_setting_t *s, int64_t *out)
{
	*out = INT64_MIN;
	if (config_setting_type(s) == CONFIG_TYPE_INT)
		*out = config_setting_get_int(s);
	else if (config_setting_type(s) == CONFIG_TYPE_INT64)
		*out = config_setting_get_int64(s);
	else
		wrong_type(p, "a whole number", s);
}

/* A text, or Envoy's group with the text in it. */
static const char *read_regex(const struct spot *p, const config_setting_t *s)
{
	const config_setting_t *in = s;

	if (config_setting_is_group(s)) {
		in = config_setting_get_member(s, "regex");
		if (!in || config_setting_length(s) != 1)
			in = s;
	}
	return keep_text(p, read_text(p, in, "an expression in quotes"));
}

static const char *keep_path(const struct spot *p, const char *text)
{
	char *kept;

	if (!text)
		return NULL;
	if (!*text || *text == '/' || strcmp(text, "-") == 0)
		return keep_text(p, text);
	kept = cfg_printf(p->c->keep, "%s%s", p->c->dir, text);
	if (!kept)
		p->c->no_memory = true;
	return kept;
}

static bool read_enum(const struct spot *p, const char *text, uint32_t *out)
{
	const char *const *w = p->key->words;
	char list[128] = "";

	for (uint32_t i = 0; w[i]; i++) {
		size_t n = strlen(list);

		if (strcmp(w[i], text) == 0) {
			*out = i;
			return true;
		}
		snprintf(list + n, sizeof(list) - n, "%s\"%s\"", i ? " or " : "", w[i]);
	}
	w = p->key->refused_words;
	for (uint32_t i = 0; w && w[i]; i++)
		if (strcmp(w[i], text) == 0) {
			cfg_error(p->c, p->line,
				"%s: %s \"%s\" is not supported by this version yet; use %s",
				who(p), p->key->name, text, list);
			return false;
		}
	cfg_error(p->c, p->line, "%s: \"%s\" is \"%s\" and has to be %s", who(p), p->key->name,
		text, list);
	return false;
}

static void bad_address(const struct spot *p, const char *text, const char *want)
{
	cfg_error(p->c, p->line, "%s: \"%s\" is \"%.80s\" and has to be %s, such as %s", who(p),
		p->key->name, text, want, p->key->example);
}

static void read_sockaddr(const struct spot *p, const char *text, struct tg_sockaddr *out)
{
	if (!tg_sockaddr_parse(text, out))
		return;
	out->port = 0;
	bad_address(p, text,
		"an IP address with a port from 1 to 65535 (IPv6 in brackets; names are not "
		"resolved)");
}

/* The port of "name:port" that begins at s; 0: none does. */
static uint16_t port_of(const char *s)
{
	uint32_t v = 0;

	for (; *s >= '0' && *s <= '9' && v <= UINT16_MAX; s++)
		v = v * 10 + (uint32_t)(*s - '0');
	return *s || v > UINT16_MAX ? 0 : (uint16_t)v;
}

static void read_origin(const struct spot *p, const char *text, struct raw_origin *out)
{
	const char *colon = strrchr(text, ':');
	char *host;

	if (!tg_sockaddr_parse(text, &out->addr))
		return;
	memset(&out->addr, 0, sizeof(out->addr));
	host = colon ? cfg_strndup(p->c->keep, text, (size_t)(colon - text)) : NULL;
	if (colon && !host)
		p->c->no_memory = true;
	if (host && tg_dns_is_name(host) && port_of(colon + 1)) {
		out->host = host;
		out->addr.port = port_of(colon + 1);
		return;
	}
	bad_address(
		p, text, "an IP address or a name, with a port from 1 to 65535 (IPv6 in brackets)");
}

static void read_prefix(const struct spot *p, const char *text, struct raw_item *out)
{
	/* Without its length an address would be a network of one: hardly what is meant. */
	if (strchr(text, '/') && !tg_ip_prefix_parse(text, &out->prefix))
		out->ok = true;
	else
		bad_address(p, text, "an IP address with the length of its network");
}

static void read_item(const struct spot *p, const config_setting_t *s, struct raw_item *out)
{
	const char *text;
	uint64_t v;

	switch (p->key->type) {
	case CFG_UINTS:
		out->ok = read_integer(p, s, &v);
		if (out->ok)
			out->u = (uint32_t)v;
		return;
	case CFG_PREFIXES:
	case CFG_PREFIX:
		out->s = read_text(p, s, "an address with the length of its network");
		if (out->s)
			read_prefix(p, out->s, out);
		return;
	case CFG_NAMES:
		out->s = keep_text(p, read_name(p, s));
		break;
	case CFG_PATHS:
		text = read_text(p, s, "a text");
		out->s = text ? keep_path(p, text) : NULL;
		break;
	default:
		out->s = keep_text(p, read_text(p, s, "a text"));
		break;
	}
	out->ok = out->s != NULL;
}

/* An array or list of scalars. */
static void read_items(const struct spot *p, config_setting_t *s, struct raw_list *out)
{
	int n = config_setting_is_aggregate(s) ? config_setting_length(s) : 0;
	struct raw_item *items;

	out->at = s;
	if (!config_setting_is_array(s) && !config_setting_is_list(s)) {
		wrong_type(p, "an array", s);
		return;
	}
	items = cfg_need(p->c, &p->c->tmp, ((size_t)n + 1) * sizeof(*items));
	if (!items)
		return;
	out->items = items;
	out->whole = true;
	for (int i = 0; i < n; i++) {
		config_setting_t *e = config_setting_get_elem(s, (unsigned int)i);
		struct spot at = *p;

		items[i].at = e;
		at.line = cfg_line_of(e);
		read_item(&at, e, &items[i]);
		out->whole &= items[i].ok;
	}
	out->n = (uint32_t)n;
}

static void read_group(struct cfg *c, config_setting_t *s, const struct cfg_group *g, void *out);
static void default_group(struct cfg *c, const struct cfg_group *g, void *out);

static void read_groups(const struct spot *p, config_setting_t *s, struct raw_list *out)
{
	const struct cfg_group *g = p->key->group;
	int n = config_setting_is_aggregate(s) ? config_setting_length(s) : 0;

	out->at = s;
	if (!config_setting_is_list(s) && !(config_setting_is_array(s) && n == 0)) {
		wrong_type(p, "a list of groups ( { ... }, { ... } )", s);
		return;
	}
	out->items = cfg_need(p->c, &p->c->tmp, ((size_t)n + 1) * g->size);
	if (!out->items)
		return;
	out->whole = true;
	for (int i = 0; i < n; i++) {
		config_setting_t *e = config_setting_get_elem(s, (unsigned int)i);
		char *item = (char *)out->items + out->n * g->size;

		if (config_setting_is_group(e)) {
			out->n++;
			read_group(p->c, e, g, item);
		} else {
			out->whole = false;
			cfg_error(p->c, cfg_line_of(e),
				"%s: each item of \"%s\" has to be a group { ... }", who(p),
				p->key->name);
		}
	}
}

/* Groups of different kinds, which their names tell. */
static void read_filters(const struct spot *p, config_setting_t *s, struct raw_list *out)
{
	int n = config_setting_is_aggregate(s) ? config_setting_length(s) : 0;
	struct raw_filter *items;

	out->at = s;
	if (!config_setting_is_list(s) && !(config_setting_is_array(s) && n == 0)) {
		wrong_type(p, "a list of groups ( { ... }, { ... } )", s);
		return;
	}
	items = cfg_need(p->c, &p->c->tmp, ((size_t)n + 1) * sizeof(*items));
	out->items = items;
	for (int i = 0; i < n && items; i++) {
		config_setting_t *e = config_setting_get_elem(s, (unsigned int)i);
		struct raw_filter *f = &items[out->n];

		if (!config_setting_is_group(e)) {
			cfg_error(p->c, cfg_line_of(e),
				"%s: each item of \"%s\" has to be a group { ... }", who(p),
				p->key->name);
			continue;
		}
		f->kind = cfg_filter_kind_of(p->c, e, who(p));
		f->raw = f->kind ? cfg_need(p->c, &p->c->tmp, f->kind->group->size) : NULL;
		if (!f->raw)
			continue;
		read_group(p->c, e, f->kind->group, f->raw);
		out->n++;
	}
}

static void read_numbers(const struct spot *p, const config_setting_t *s, void *out)
{
	bool integer = p->key->type == CFG_U16 || p->key->type == CFG_U32;
	uint64_t v;

	if (!(integer ? read_integer(p, s, &v) : read_amount(p, s, &v)))
		return;
	switch (p->key->type) {
	case CFG_U16:
		*(uint16_t *)out = (uint16_t)v;
		break;
	case CFG_U32:
	case CFG_SIZE32:
		*(uint32_t *)out = (uint32_t)v;
		break;
	default:
		*(uint64_t *)out = v;
		break;
	}
}

static void read_texts(const struct spot *p, const config_setting_t *s, void *out)
{
	const char *text;

	if (p->key->type == CFG_NAME) {
		*(const char **)out = keep_text(p, read_name(p, s));
		return;
	}
	text = read_text(p, s,
		p->key->type == CFG_SOCKADDR || p->key->type == CFG_ORIGIN
			? "an address with a port in quotes"
			: "a text in quotes");
	if (!text)
		return;
	switch (p->key->type) {
	case CFG_STRING:
		*(const char **)out = keep_text(p, text);
		break;
	case CFG_PATH:
		*(const char **)out = keep_path(p, text);
		break;
	case CFG_ENUM:
		read_enum(p, text, out);
		break;
	case CFG_SOCKADDR:
		read_sockaddr(p, text, out);
		break;
	case CFG_ORIGIN:
		read_origin(p, text, out);
		break;
	default: /* CFG_IP */
		if (tg_ip_parse(text, out)) {
			memset(out, 0, sizeof(struct tg_ip));
			bad_address(p, text, "an IP address");
		}
		break;
	}
}

static void read_value(const struct spot *p, config_setting_t *s, void *out)
{
	if (p->key->type == CFG_ENUM)
		*(uint32_t *)out = UINT32_MAX; /* none of the words, until one is read */
	switch (p->key->type) {
	case CFG_BOOL:
		if (config_setting_type(s) == CONFIG_TYPE_BOOL)
			*(bool *)out = config_setting_get_bool(s);
		else
			wrong_type(p, "true or false", s);
		break;
	case CFG_I64:
		read_signed(p, s, out);
		break;
	case CFG_REGEX:
		*(const char **)out = read_regex(p, s);
		break;
	case CFG_U16:
	case CFG_U32:
	case CFG_SIZE32:
	case CFG_SIZE:
	case CFG_DURATION:
		read_numbers(p, s, out);
		break;
	case CFG_FACTOR:
		read_factor(p, s, out);
		break;
	case CFG_PERCENT:
	case CFG_FRACTION:
		read_percent(p, s, out);
		break;
	case CFG_PREFIX:
		((struct raw_item *)out)->at = s;
		read_item(p, s, out);
		break;
	case CFG_STRINGS:
	case CFG_NAMES:
	case CFG_PATHS:
	case CFG_UINTS:
	case CFG_PREFIXES:
		read_items(p, s, out);
		break;
	case CFG_GROUP:
		if (config_setting_is_group(s)) {
			read_group(p->c, s, p->key->group, out);
		} else {
			wrong_type(p, "a group", s);
			default_group(p->c, p->key->group, out);
		}
		break;
	case CFG_GROUPS:
		read_groups(p, s, out);
		break;
	case CFG_FILTERS:
		read_filters(p, s, out);
		break;
	default:
		read_texts(p, s, out);
		break;
	}
	if ((p->key->flags & CFG_NOT_EMPTY) && config_setting_length(s) == 0 &&
		(config_setting_is_array(s) || config_setting_is_list(s)))
		cfg_error(p->c, p->line, "%s: \"%s\" is empty: %s = %s;", who(p), p->key->name,
			p->key->name, p->key->example);
}

/* A key that was left out. Defaults are written in the tables as in a file, and known to be good.
 */
static void set_default(const struct spot *p, void *out)
{
	const char *d = p->key->dflt;
	uint64_t v = 0;

	if (p->key->type == CFG_GROUP) {
		default_group(p->c, p->key->group, out);
		return;
	}
	if (p->key->type == CFG_GROUPS)
		((struct raw_list *)out)->whole = true;
	if (!d)
		return;
	switch (p->key->type) {
	case CFG_BOOL:
		*(bool *)out = strcmp(d, "true") == 0;
		break;
	case CFG_ENUM:
		read_enum(p, d, out);
		break;
	case CFG_U16:
	case CFG_U32:
		for (; *d; d++)
			v = v * 10 + (uint64_t)(*d - '0');
		if (p->key->type == CFG_U16)
			*(uint16_t *)out = (uint16_t)v;
		else
			*(uint32_t *)out = (uint32_t)v;
		break;
	case CFG_FACTOR:
	case CFG_PERCENT:
		*(uint32_t *)out = (uint32_t)(strtoul(d, NULL, 10) * 10000);
		break;
	case CFG_SIZE32:
		cfg_parse_size(d, &v);
		*(uint32_t *)out = (uint32_t)v;
		break;
	case CFG_SIZE:
		cfg_parse_size(d, out);
		break;
	case CFG_DURATION:
		cfg_parse_duration(d, out);
		break;
	default:
		*(const char **)out = d; /* static text */
		break;
	}
}

static void default_group(struct cfg *c, const struct cfg_group *g, void *out)
{
	struct spot p = {.c = c, .g = g};

	for (p.key = g->keys; p.key->name; p.key++)
		set_default(&p, (char *)out + p.key->at);
}

static const struct cfg_refused *refused_key(const struct cfg_group *g, const char *name)
{
	const struct cfg_refused *r = g->refused;

	while (r->name && strcmp(r->name, name) != 0)
		r++;
	return r->name ? r : NULL;
}

/* Another group that has this key: what was meant stands in the wrong place. */
static const struct cfg_group *home_of(const struct cfg_group *g, const char *name)
{
	const struct cfg_group *in;

	for (const struct cfg_key *k = g->keys; k->name; k++) {
		if (!k->group)
			continue;
		if (key_number(k->group, name) >= 0)
			return k->group;
		in = home_of(k->group, name);
		if (in)
			return in;
	}
	return NULL;
}

static void unknown_key(const struct spot *p, struct raw_head *h, const char *name)
{
	const struct cfg_refused *refused = refused_key(p->g, name);
	uint32_t best = (uint32_t)strlen(name) / 3 + 1;
	const struct cfg_group *home;
	int like = -1;

	if (refused) {
		if (refused->instead_of)
			like = key_number(p->g, refused->instead_of);
		if (like >= 0)
			h->meant |= UINT64_C(1) << like;
		if (refused->hint)
			cfg_error(p->c, p->line, "%s: there is no \"%.64s\": %s", who(p), name,
				refused->hint);
		else
			cfg_error(p->c, p->line,
				"%s: \"%.64s\" is not supported by this version yet", who(p), name);
		return;
	}
	for (int i = 0; p->g->keys[i].name; i++) {
		uint32_t d = cfg_distance(name, p->g->keys[i].name, best);

		if (d < best || (d == best && like < 0)) {
			best = d;
			like = i;
		}
	}
	home = home_of(p->g, name); /* deeper is likelier than elsewhere */
	if (!home)
		home = home_of(&cfg_root, name);
	/* Two bytes off in a short name is another name. */
	if (like >= 0 && (!home || best < 2 || (best == 2 && strlen(name) > 4))) {
		h->meant |= UINT64_C(1) << like;
		cfg_error(p->c, p->line, "%s: unknown key \"%.64s\"; did you mean \"%s\"?", who(p),
			name, p->g->keys[like].name);
	} else if (home) {
		cfg_error(p->c, p->line, "%s: unknown key \"%.64s\"; it is a key of %s", who(p),
			name, home->what);
	} else {
		cfg_error(p->c, p->line, "%s: unknown key \"%.64s\"", who(p), name);
	}
}

static void missing_key(const struct spot *p, const struct raw_head *h, void *out)
{
	int i = (int)(p->key - p->g->keys);
	struct raw_list *list = out;

	if (h->meant >> i & 1) {
		if (p->key->type == CFG_GROUPS)
			list->whole = false;
		return;
	}
	if (!(p->key->flags & CFG_REQUIRED))
		return;
	cfg_error(p->c, p->line, "%s: \"%s\" is missing: %s = %s;", who(p), p->key->name,
		p->key->name, p->key->example);
	if (p->key->type == CFG_GROUPS)
		list->whole = false;
}

static void read_group(struct cfg *c, config_setting_t *s, const struct cfg_group *g, void *out)
{
	struct raw_head *h = out;
	struct spot p = {.c = c, .group = s, .g = g};

	h->at = s;
	for (int i = 0; i < config_setting_length(s); i++) {
		config_setting_t *e = config_setting_get_elem(s, (unsigned int)i);
		int k = key_number(g, config_setting_name(e));

		p.line = cfg_line_of(e);
		if (k < 0) {
			unknown_key(&p, h, config_setting_name(e));
			continue;
		}
		h->given |= UINT64_C(1) << k;
		p.key = &g->keys[k];
		read_value(&p, e, (char *)out + p.key->at);
	}
	p.line = cfg_line_of(s);
	for (int i = 0; g->keys[i].name; i++) {
		p.key = &g->keys[i];
		if (h->given >> i & 1)
			continue;
		set_default(&p, (char *)out + p.key->at);
		missing_key(&p, h, (char *)out + p.key->at);
	}
}

void cfg_read(struct cfg *c, struct raw_config *raw)
{
	read_group(c, config_root_setting(&c->lib), &cfg_root, raw);
}
