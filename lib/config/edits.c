/* Fields that are added, changed and taken out: their keys, their checks, and the pieces of values.
 */
#include <string.h>

#include "keys.h"

#define PIECES_MAX 32 /* as lib/http/edit.c */
#define VALUE_MAX 4096

/* In the order of enum tg_append. */
static const char *const words_append[] = {"APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT",
	"OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS", NULL};

static const struct cfg_key key_value_keys[] = {
	KEY(raw_key_value, key, "key", .type = CFG_NAME, .max = 128, .flags = CFG_REQUIRED,
		.example = "\"x-client\"", .doc = "the field's name"),
	KEY(raw_key_value, value, "value", .type = CFG_STRING, .flags = CFG_REQUIRED,
		.example = "\"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\"",
		.doc = "its value; %OPERATORS% as in the access log (docs/routing.md), %% is a %"),
	END};

static const struct cfg_key field_add_keys[] = {
	KEY(raw_field_add, header, "header", .type = CFG_GROUP, .group = &cfg_key_value,
		.flags = CFG_REQUIRED, .example = "{ key = \"x-client\"; value = \"a\"; }",
		.doc = "the field"),
	KEY(raw_field_add, append, "append_action", .type = CFG_ENUM, .words = words_append,
		.dflt = "APPEND_IF_EXISTS_OR_ADD", .example = "\"OVERWRITE_IF_EXISTS_OR_ADD\"",
		.doc = "what becomes of it when the message has that field, and when it has not"),
	KEY(raw_field_add, keep_empty, "keep_empty_value", .type = CFG_BOOL, .dflt = "false",
		.example = "true", .doc = "without it nothing is done when the value is empty"),
	END};

static const struct cfg_refused refused_add[] = {{"append"}, {NULL}};
static const struct cfg_refused refused_key_value[] = {{"raw_value", "value"}, {NULL}};

const struct cfg_group cfg_key_value = {
	"header", sizeof(struct raw_key_value), key_value_keys, refused_key_value};
const struct cfg_group cfg_field_add = {
	"header to add", sizeof(struct raw_field_add), field_add_keys, refused_add};

/* --- values ------------------------------------------------------------------------------------
 */

struct parse {
	struct tg_piece pieces[PIECES_MAX];
	uint32_t n;
	const char *bad; /* what is wrong; at: where */
	const char *at;
};

static bool fail(struct parse *p, const char *at, const char *bad)
{
	p->at = at;
	p->bad = bad;
	return false;
}

static bool add_piece(struct parse *p, const char *at, struct tg_piece piece)
{
	if (p->n == PIECES_MAX)
		return fail(p, at, "there are too many pieces");
	p->pieces[p->n++] = piece;
	return true;
}

/* "NAME", "NAME?OTHER", ":path". */
static bool field_argument(
	struct parse *p, const char *at, struct tg_view arg, struct tg_piece *out)
{
	const uint8_t *mark = arg.n ? memchr(arg.p, '?', arg.n) : NULL;

	out->text = mark ? tg_view_of(arg.p, (size_t)(mark - arg.p)) : arg;
	out->other = mark ? tg_view_of(mark + 1, arg.n - out->text.n - 1) : TG_VIEW_NONE;
	if (!out->text.n || (mark && !out->other.n))
		return fail(p, at, "a field's name is missing in it");
	return true;
}

/* ":12" behind an operator. */
static bool length_argument(struct parse *p, const char *at, struct tg_view v, struct tg_piece *out)
{
	if (!v.n)
		return true;
	if (v.p[0] != ':' || v.n < 2 || v.n > 6)
		return fail(
			p, at, "what follows its name has to be (ARGUMENT), :LENGTH or nothing");
	for (uint32_t i = 1; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return fail(p, at, "its length has to be a number");
		out->max = out->max * 10 + (uint32_t)(v.p[i] - '0');
	}
	return out->max ? true : fail(p, at, "its length has to be a number from 1");
}

static const char *const var_names[] = {
#define X(name) #name,
	TG_EDIT_VARS(X)
#undef X
};

/* What stands between two %. */
static bool operator(struct parse *p, const char *at, struct tg_view v)
{
	const uint8_t *open = memchr(v.p, '(', v.n), *close = memrchr(v.p, ')', v.n);
	uint32_t len = open ? (uint32_t)(open - v.p) : v.n;
	const uint8_t *colon = open ? NULL : memchr(v.p, ':', v.n);
	struct tg_piece piece = {.kind = TG_PIECE_VAR};
	struct tg_view name, arg = TG_VIEW_NONE, rest = TG_VIEW_NONE;

	if (open && (!close || close < open))
		return fail(p, at, "it has no closing parenthesis");
	if (colon)
		len = (uint32_t)(colon - v.p);
	name = tg_view_of(v.p, len);
	if (open) {
		arg = tg_view_of(open + 1, (size_t)(close - open - 1));
		rest = tg_view_of(close + 1, (size_t)(v.p + v.n - close - 1));
	} else {
		rest = tg_view_of(v.p + len, v.n - len);
	}
	if (!length_argument(p, at, rest, &piece))
		return false;
	if (tg_view_eq(name, TG_VIEW("REQ")) || tg_view_eq(name, TG_VIEW("RESP"))) {
		piece.kind = name.n == 3 ? TG_PIECE_REQ : TG_PIECE_RESP;
		return field_argument(p, at, arg, &piece) && add_piece(p, at, piece);
	}
	for (uint32_t i = 0; i < TG_VAR_MAX; i++) {
		if (!tg_view_eq(name, tg_view_str(var_names[i])))
			continue;
		piece.var = (enum tg_edit_var)i;
		return open ? fail(p, at, "it takes no argument") : add_piece(p, at, piece);
	}
	return fail(p, at, "there is no such operator in fields");
}

static bool parse(struct parse *p, const char *s)
{
	*p = (struct parse){.n = 0};
	while (*s) {
		size_t n = strcspn(s, "%");
		const char *end;

		if (n && !add_piece(p, s, (struct tg_piece){.text = tg_view_of(s, n)}))
			return false;
		s += n;
		if (!*s)
			break;
		if (s[1] == '%') {
			if (!add_piece(p, s, (struct tg_piece){.text = TG_VIEW("%")}))
				return false;
			s += 2;
			continue;
		}
		end = strchr(s + 1, '%');
		if (!end)
			return fail(p, s, "it has no closing % (a % itself is written %%)");
		if (!operator(p, s, tg_view_of(s + 1, (size_t)(end - s - 1))))
			return false;
		s = end + 1;
	}
	return true;
}

/* --- checks ------------------------------------------------------------------------------------
 */

/* Frames a message, belongs to a connection or decides where it goes. */
static bool is_reserved(const char *name, bool response)
{
	switch (tg_field_id_of(tg_view_str(name))) {
	case TG_FIELD_HOST:
	case TG_FIELD_CONNECTION:
	case TG_FIELD_CONTENT_LENGTH:
	case TG_FIELD_TRANSFER_ENCODING:
	case TG_FIELD_KEEP_ALIVE:
	case TG_FIELD_PROXY_CONNECTION:
	case TG_FIELD_TE:
	case TG_FIELD_TRAILER:
	case TG_FIELD_UPGRADE:
	case TG_FIELD_HTTP2_SETTINGS:
	case TG_FIELD_EXPECT:
		return true;
	case TG_FIELD_SERVER:
		return response;
	default:
		return false;
	}
}

static void check_name(
	struct cfg *c, const char *who, const char *name, bool response, uint32_t line)
{
	if (!name)
		return;
	if (!cfg_is_token(name))
		cfg_error(c, line, "%s: \"%s\" is no field name", who, name);
	else if (is_reserved(name, response))
		cfg_error(c, line,
			"%s: \"%s\" cannot be changed: messages and connections depend on it", who,
			name);
}

static bool is_field_value(const char *s)
{
	for (const char *p = s; *p; p++)
		if ((uint8_t)*p < ' ' || *p == 0x7f)
			return false;
	return !*s || (s[0] != ' ' && s[strlen(s) - 1] != ' ');
}

static void check_value(struct cfg *c, const char *who, const struct raw_key_value *h)
{
	uint32_t line = cfg_key_line(&h->h, "value");
	struct parse p;

	if (!h->value)
		return;
	if (!is_field_value(h->value) || strlen(h->value) > VALUE_MAX)
		cfg_error(c, line,
			"%s: a value is at most %d characters, none of them a control character, "
			"the first and the last no space",
			who, VALUE_MAX);
	else if (!parse(&p, h->value))
		cfg_error(c, line, "%s: \"value\": at \"%.32s\": %s", who, p.at, p.bad);
}

static void check_edits(struct cfg *c, const struct raw_edits *e, bool response, const char *who)
{
	const struct raw_field_add *add = e->add.items;
	const struct raw_item *remove = e->remove.items;

	for (uint32_t i = 0; i < e->add.n; i++) {
		const struct raw_key_value *h = &add[i].header;

		check_name(c, who, h->key, response, cfg_key_line(&h->h, "key"));
		check_value(c, who, h);
	}
	for (uint32_t i = 0; i < e->remove.n; i++)
		if (remove[i].ok)
			check_name(c, who, remove[i].s, response, cfg_line_of(remove[i].at));
}

void cfg_check_edits(struct cfg *c, const struct raw_edits *request,
	const struct raw_edits *response, const char *who)
{
	check_edits(c, request, false, who);
	check_edits(c, response, true, who);
}

/* --- into the snapshot -------------------------------------------------------------------------
 */

static bool compile_add(struct cfg *c, const struct raw_field_add *raw, struct tg_field_add *out)
{
	struct tg_piece *pieces;
	struct parse p;

	parse(&p, raw->header.value);
	pieces = cfg_need(c, c->keep, (p.n + (size_t)1) * sizeof(*pieces));
	if (!pieces)
		return false;
	memcpy(pieces, p.pieces, p.n * sizeof(*pieces));
	out->name = tg_view_str(raw->header.key);
	out->id = (uint16_t)tg_field_id_of(out->name);
	out->append = (uint8_t)raw->append;
	out->keep_empty = raw->keep_empty;
	out->n = p.n;
	out->pieces = pieces;
	return true;
}

const struct tg_edits *cfg_compile_edits(struct cfg *c, const struct raw_edits *raw)
{
	struct tg_edits *e;
	struct tg_field_add *add;
	struct tg_view *remove;

	if (!raw->add.n && !raw->remove.n)
		return NULL;
	e = cfg_need(c, c->keep, sizeof(*e));
	add = cfg_need(c, c->keep, (raw->add.n + (size_t)1) * sizeof(*add));
	remove = cfg_need(c, c->keep, (raw->remove.n + (size_t)1) * sizeof(*remove));
	if (!e || !add || !remove)
		return NULL;
	for (uint32_t i = 0; i < raw->add.n; i++)
		if (!compile_add(c, &cfg_items(&raw->add, raw_field_add)[i], &add[i]))
			return NULL;
	for (uint32_t i = 0; i < raw->remove.n; i++)
		remove[i] = tg_view_str(cfg_items(&raw->remove, raw_item)[i].s);
	*e = (struct tg_edits){raw->remove.n, raw->add.n, remove, add};
	return e;
}
