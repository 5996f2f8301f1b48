/* What libconfig passes over in silence (integers that do not fit, comments that do not end,
 * escapes that it does not know) or says badly (all errors of syntax) is found here, on its
 * tokens. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cfg.h"
#include "grammar.h"

struct scan {
	struct cfg *c;
	struct cfg_buf out; /* for libconfig: as the source, large integers marked with L */
	const char *s;
	size_t n, at;
	uint32_t line;
	struct cfg_grammar grammar;
};

static bool fail(struct scan *k, uint32_t line, const char *what)
{
	cfg_error(k->c, line, "%s", what);
	return false;
}

static bool step(struct scan *k, enum cfg_token t, char close)
{
	uint32_t line = k->line;
	const char *wrong = cfg_grammar_step(&k->grammar, t, close, &line);

	return wrong ? fail(k, line, wrong) : true;
}

/* libconfig remembers the line behind a scalar in a list: we keep our own. */
static bool note_item(struct scan *k)
{
	struct cfg_text *t = &k->c->text;

	if (!cfg_in_items(&k->grammar))
		return true;
	if (t->n_items == t->cap_items) {
		uint32_t cap = t->cap_items ? t->cap_items * 2 : 64;
		uint32_t *p = realloc(t->items, cap * sizeof(*p));

		if (!p)
			return !(k->c->no_memory = true);
		t->items = p;
		t->cap_items = cap;
	}
	t->items[t->n_items++] = k->line;
	return true;
}

static bool check_string(struct scan *k, size_t n)
{
	uint32_t line = k->line;

	for (size_t i = 1; i + 1 < n; i++) {
		char e = k->s[k->at + i];

		line += e == '\n';
		if (e != '\\')
			continue;
		e = k->s[k->at + ++i];
		if (e == 'x') {
			const char *h = k->s + k->at + i + 1;

			if (n - i < 4 || !isxdigit((unsigned char)h[0]) ||
				!isxdigit((unsigned char)h[1]) || (h[0] == '0' && h[1] == '0'))
				return fail(k, line,
					"bad escape: \\x wants two hexadecimal digits, not 00");
		} else if (!strchr("\\\"fnrt", e)) {
			cfg_error(k->c, line, "unknown escape \\%c: write \\\\ for a backslash", e);
			return false;
		}
	}
	return true;
}

static bool take_string_or_comment(struct scan *k, size_t n, bool closed)
{
	bool string = k->s[k->at] == '"';

	if (!closed)
		return fail(k, k->line,
			string ? "this string is not closed: its last \" is missing"
			       : "this comment is not closed: its */ is missing");
	if (string && (!check_string(k, n) || (!cfg_grammar_joins(&k->grammar) && !note_item(k)) ||
			      !step(k, TOKEN_STRING, 0)))
		return false;
	for (size_t i = 0; i < n; i++)
		k->line += k->s[k->at + i] == '\n';
	return cfg_buf_put(k->c, &k->out, k->s + k->at, n);
}

static size_t run_of(const struct scan *k, const char *more)
{
	size_t n = 1;

	while (k->at + n < k->n && (isalnum((unsigned char)k->s[k->at + n]) ||
					   (k->s[k->at + n] && strchr(more, k->s[k->at + n]))))
		n++;
	return n;
}

static bool take_float(struct scan *k, const char *text)
{
	char *end;

	strtod(text, &end);
	return *end ? fail(k, k->line, "malformed number; text wants quotes") : true;
}

/* Integers beyond 32 bits lose their upper half without libconfig's suffix L. */
static bool take_number(struct scan *k, size_t n)
{
	char text[64];
	bool hex;
	long long v;
	char *end;

	if (!note_item(k) || !step(k, TOKEN_SCALAR, 0))
		return false;
	if (n >= sizeof(text))
		return fail(k, k->line, "this number is too long");
	memcpy(text, k->s + k->at, n);
	text[n] = 0;
	if (!cfg_buf_put(k->c, &k->out, text, n))
		return false;
	hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	if (!hex && strpbrk(text, ".eE"))
		return take_float(k, text);
	errno = 0;
	v = strtoll(text, &end, hex ? 16 : 10);
	if (errno == ERANGE)
		return fail(k, k->line, "this number does not fit in 64 bits");
	if (end == text || (*end && strcmp(end, "L") != 0 && strcmp(end, "LL") != 0))
		return fail(k, k->line, "malformed number; text wants quotes");
	if (*end || (v >= INT32_MIN && v <= INT32_MAX))
		return true;
	return cfg_buf_put(k->c, &k->out, "L", 1);
}

static bool take_bracket(struct scan *k)
{
	const char *opening = "([{", *closing = ")]}";
	const struct cfg_level *l = &k->grammar.level[k->grammar.depth];
	char ch = k->s[k->at];
	const char *at = strchr(opening, ch);

	if (at && k->grammar.depth == CFG_DEPTH_MAX)
		return fail(k, k->line, "brackets are nested too deeply");
	if (!at && k->grammar.depth == 0) {
		cfg_error(k->c, k->line, "\"%c\" closes nothing", ch);
		return false;
	}
	if (!at && l->close != ch) {
		cfg_error(k->c, k->line,
			"\"%c\" stands where \"%c\" has to close the bracket of %s", ch, l->close,
			cfg_line_text(k->c, l->line, k->line));
		return false;
	}
	return step(k, at ? TOKEN_OPEN : TOKEN_CLOSE, at ? closing[at - opening] : 0) &&
	       cfg_buf_put(k->c, &k->out, &ch, 1);
}

static bool take_word(struct scan *k, size_t n)
{
	const char *w = k->s + k->at;
	bool truth = (n == 4 && strncasecmp(w, "true", n) == 0) ||
		     (n == 5 && strncasecmp(w, "false", n) == 0);

	if (truth && !note_item(k))
		return false;
	return step(k, truth ? TOKEN_SCALAR : TOKEN_NAME, 0) && cfg_buf_put(k->c, &k->out, w, n);
}

static bool take_sign(struct scan *k)
{
	char ch = k->s[k->at];

	if (ch != '=' && ch != ':' && ch != ';' && ch != ',') {
		cfg_error(k->c, k->line, "unexpected character \"%c\"; text wants quotes", ch);
		return false;
	}
	return step(k,
		       ch == ';'   ? TOKEN_SEMICOLON
		       : ch == ',' ? TOKEN_COMMA
				   : TOKEN_EQUALS,
		       0) &&
	       cfg_buf_put(k->c, &k->out, &ch, 1);
}

static bool take_token(struct scan *k)
{
	unsigned char ch = (unsigned char)k->s[k->at];
	bool closed, ok;
	size_t n = cfg_skip(k->s + k->at, k->n - k->at, &closed);

	if (n) {
		ok = take_string_or_comment(k, n, closed);
		k->at += n;
		return ok;
	}
	if (ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n' || ch == '\f') {
		k->line += ch == '\n';
		k->at++;
		return cfg_buf_put(k->c, &k->out, (const char *)&ch, 1);
	}
	n = 1;
	if (isalpha(ch) || ch == '*') {
		n = run_of(k, "-_*");
		ok = take_word(k, n);
	} else if (isdigit(ch) || ch == '+' || ch == '-' || ch == '.') {
		n = run_of(k, "+-.");
		ok = take_number(k, n);
	} else if (strchr("()[]{}", ch)) {
		ok = take_bracket(k);
	} else {
		ok = take_sign(k);
	}
	k->at += n;
	return ok;
}

static bool scan(struct scan *k)
{
	uint32_t line = k->line;
	const char *wrong;

	while (k->at < k->n)
		if (!take_token(k))
			return false;
	wrong = cfg_grammar_end(&k->grammar, &line);
	return wrong ? fail(k, line, wrong) : cfg_buf_put(k->c, &k->out, "", 0);
}

/* Gives scalars in lists and arrays the lines that note_item() found, in the same order. */
static void give_lines(const struct cfg_text *t, config_setting_t *s, uint32_t *next)
{
	bool items = config_setting_is_list(s) || config_setting_is_array(s);
	int n = config_setting_is_aggregate(s) ? config_setting_length(s) : 0;

	for (int i = 0; i < n; i++) {
		config_setting_t *e = config_setting_get_elem(s, (unsigned int)i);

		if (config_setting_is_aggregate(e))
			give_lines(t, e, next);
		else if (items && *next < t->n_items)
			config_setting_set_hook(e, (void *)(uintptr_t)t->items[(*next)++]);
	}
}

uint32_t cfg_line_of(const config_setting_t *s)
{
	uint32_t line = (uint32_t)(uintptr_t)config_setting_get_hook(s);

	if (!line)
		line = config_setting_source_line(s);
	return line ? line : 1;
}

/* libconfig's few errors, with what to do. */
static const char *advice(const char *text)
{
	if (strcmp(text, "syntax error") == 0)
		return "syntax error: look here and at the line before for a missing \";\", \",\" "
		       "or "
		       "\"=\", or a comma behind the last item";
	if (strcmp(text, "duplicate setting name") == 0)
		return "this key stands in its group already; keep one of both";
	if (strcmp(text, "mismatched element type in array") == 0)
		return "the items of an array [ ] have to be of one type";
	return text;
}

bool cfg_parse(struct cfg *c)
{
	struct scan k = {.c = c, .s = c->text.source.p, .n = c->text.source.n, .line = 1};
	uint32_t next = 0;
	bool ok = scan(&k);

	if (ok && !config_read_string(&c->lib, k.out.p)) {
		ok = false;
		cfg_error(c, (uint32_t)config_error_line(&c->lib), "%s",
			advice(config_error_text(&c->lib)));
	}
	if (ok)
		give_lines(&c->text, config_root_setting(&c->lib), &next);
	free(k.out.p);
	return ok;
}
