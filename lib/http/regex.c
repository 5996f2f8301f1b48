#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include <stdlib.h>

#include <tidegate/regex.h>

#define GROUPS 10 /* \0 to \9 */

/* What is compiled, immutable; shared by expressions with the same rest. */
struct program {
	pcre2_code *code;
	uint32_t groups;
	uint32_t users;
	bool of_rest; /* it is that of tg_regex_rest() */
};

struct tg_regex {
	struct program *program;
	struct tg_view literal; /* in text, behind the pattern */
	uint32_t front;         /* bytes of literal that are not in the program */
	char text[];            /* the pattern, 0, the literal, which is not longer */
};

/* One byte of a pattern that stands for itself; *n: bytes it takes there. False: it does not. */
static bool plain(const char *p, uint8_t *byte, size_t *n)
{
	bool escaped = *p == '\\';
	char c = p[escaped];

	*n = 1 + escaped;
	*byte = (uint8_t)c;
	if (!c)
		return false;
	if (escaped) /* of letters and digits, escapes mean something */
		return !(
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
	return !strchr("^$.[]|()?*+{}", c);
}

/* The ] of the class at p; NULL: not found, or it has what is rare. */
static const char *class_end(const char *p)
{
	p += p[1] == '^' ? 2 : 1;
	for (p += *p == ']'; *p && *p != ']'; p++) {
		if (*p == '\\' && p[1]) {
			if (p[1] == 'Q' || p[1] == 'c')
				return NULL;
			p++;
		} else if (*p == '[' && p[1] == ':') {
			p += 2;
			p += strspn(p, "^abcdefghijklmnopqrstuvwxyz");
			if (p[0] != ':' || p[1] != ']')
				return NULL;
			p++;
		}
	}
	return *p ? p : NULL;
}

/* Alternatives outside of all brackets have no common beginning that we would look for. True too
 * where brackets are not what they seem: between \Q and \E, behind \c, in a comment, a name, or a
 * callout's text; and where a quantifier reaches over what is nothing (\E, a comment). */
static bool has_alternatives(const char *p)
{
	int depth = 0;

	for (; *p; p++) {
		if (*p == '\\' && p[1] && strchr("QEc", p[1]))
			return true;
		if (*p == '(' && (p[1] == '*' || (p[1] == '?' && strchr("#C", p[2]))))
			return true;
		/* Options: with x, # begins a comment. */
		if (*p == '(' && p[1] == '?' &&
			(isalpha((unsigned char)p[2]) || p[2] == '-' || p[2] == '^') &&
			p[2] != 'P' && p[2] != 'R')
			return true;
		if (*p == '\\' && p[1]) {
			p++;
		} else if (*p == '[') {
			p = class_end(p);
			if (!p)
				return true;
		} else if (*p == '(') {
			depth++;
		} else if (*p == ')') {
			depth--;
		} else if (*p == '|' && depth <= 0) {
			return true;
		}
	}
	return false;
}

/* The bytes that a pattern begins with, into text, if it is not NULL; *rest: what is behind them.
 */
static uint32_t take_literal(const char *pattern, char *text, const char **rest)
{
	const char *p = pattern + (pattern[0] == '^');
	uint32_t len = 0;
	uint8_t byte;
	size_t n;

	*rest = pattern;
	if (has_alternatives(pattern))
		return 0;
	for (; plain(p, &byte, &n); p += n) {
		if (p[n] && strchr("?*{", p[n])) /* perhaps not once */
			break;
		if (text)
			text[len] = (char)byte;
		len++;
	}
	*rest = p;
	return len;
}

/* Whether a rest means the same without what stands in front: it does not begin with what belongs
 * to that (a quantifier), or what is something else at the beginning ((*UTF)), and has nothing that
 * asks where it is, or for the pattern as a whole. Of what is rare nothing is believed. */
static bool stands_alone(const char *rest)
{
	if (*rest && !strchr(".[(\\$", *rest))
		return false;
	for (const char *p = rest; *p; p++) {
		if (*p == '\\') {
			p++;
			if (!*p || (isalnum((unsigned char)*p) && !strchr("dDwWsSbBnrt", *p)))
				return false;
		} else if (*p == '(' && (p[1] == '*' || (p[1] == '?' && p[2] != ':'))) {
			return false;
		}
	}
	return true;
}

const char *tg_regex_rest(const char *pattern)
{
	const char *rest;

	return take_literal(pattern, NULL, &rest) && stands_alone(rest) ? rest : pattern;
}

static struct program *compile(const char *pattern, enum tg_regex_use use, struct tg_errbuf *e)
{
	uint32_t options =
		PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
	pcre2_compile_context *ctx = pcre2_compile_context_create(NULL);
	struct program *g = calloc(1, sizeof(*g));
	char text[128] = "";
	PCRE2_SIZE at = 0;
	size_t machine_code = 0;
	int rc = 0;

	if (!ctx || !g) {
		tg_fail(e, TG_ENOMEM, "no memory");
		goto failed;
	}
	if (use == TG_REGEX_FULL)
		options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
	pcre2_set_parens_nest_limit(ctx, 50);
	g->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &rc, &at, ctx);
	if (!g->code) {
		pcre2_get_error_message(rc, (PCRE2_UCHAR *)text, sizeof(text));
		tg_fail(e, TG_EINVAL, "%s, at byte %zu", text, (size_t)at);
		goto failed;
	}
	rc = pcre2_jit_compile(g->code, PCRE2_JIT_COMPLETE);
	pcre2_pattern_info(g->code, PCRE2_INFO_JITSIZE, &machine_code);
	if (rc || !machine_code) { /* none: (*NO_JIT) */
		tg_fail(e, TG_ENOSUP, "it cannot be compiled to machine code (%d)", rc);
		goto failed;
	}
	pcre2_pattern_info(g->code, PCRE2_INFO_CAPTURECOUNT, &g->groups);
	pcre2_compile_context_free(ctx);
	return g;
failed:
	pcre2_compile_context_free(ctx);
	if (g)
		pcre2_code_free(g->code);
	free(g);
	return NULL;
}

/* Without its program. */
static struct tg_regex *begin(const char *pattern, struct tg_errbuf *e)
{
	size_t n = strlen(pattern);
	struct tg_regex *r;
	const char *rest;

	if (n > TG_REGEX_PATTERN_MAX) {
		tg_fail(e, TG_ETOOBIG, "it is longer than %d bytes", TG_REGEX_PATTERN_MAX);
		return NULL;
	}
	/* With it, machine code of PCRE2 10.42 takes a part of the text for all of it. */
	if (strstr(pattern, "(*ACCEPT")) {
		tg_fail(e, TG_ENOSUP, "(*ACCEPT) is not supported: all of the text has to match");
		return NULL;
	}
	r = calloc(1, sizeof(*r) + 2 * n + 1);
	if (!r) {
		tg_fail(e, TG_ENOMEM, "no memory");
		return NULL;
	}
	memcpy(r->text, pattern, n);
	r->literal.p = (const uint8_t *)r->text + n + 1;
	r->literal.n = take_literal(pattern, r->text + n + 1, &rest);
	return r;
}

struct tg_regex *tg_regex_compile(const char *pattern, enum tg_regex_use use, struct tg_errbuf *e)
{
	const char *rest = use == TG_REGEX_FULL ? tg_regex_rest(pattern) : pattern;
	struct tg_regex *r = begin(pattern, e);

	if (!r)
		return NULL;
	r->program = rest != pattern ? compile(rest, use, NULL) : NULL;
	if (r->program)
		r->front = r->literal.n;
	else /* errors are told of the whole */
		r->program = compile(pattern, use, e);
	if (!r->program) {
		free(r);
		return NULL;
	}
	r->program->of_rest = r->front || rest == pattern;
	r->program->users = 1;
	return r;
}

struct tg_regex *tg_regex_compile_like(
	const struct tg_regex *like, const char *pattern, struct tg_errbuf *e)
{
	struct tg_regex *r;

	if (!like->program->of_rest)
		return tg_regex_compile(pattern, TG_REGEX_FULL, e);
	r = begin(pattern, e);
	if (!r)
		return NULL;
	r->program = like->program;
	r->program->users++;
	r->front = tg_regex_rest(pattern) != pattern ? r->literal.n : 0;
	return r;
}

void tg_regex_free(struct tg_regex *r)
{
	if (r && --r->program->users == 0) {
		pcre2_code_free(r->program->code);
		free(r->program);
	}
	free(r);
}

const char *tg_regex_pattern(const struct tg_regex *r)
{
	return r->text;
}

struct tg_view tg_regex_literal(const struct tg_regex *r)
{
	return r->literal;
}

struct tg_regex_scratch *tg_regex_scratch_create(uint64_t *limit_hits)
{
	struct tg_regex_scratch *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->limit_hits = limit_hits;
	s->data = pcre2_match_data_create(GROUPS, NULL);
	s->limits = pcre2_match_context_create(NULL);
	s->stack = pcre2_jit_stack_create(TG_REGEX_STACK, TG_REGEX_STACK, NULL);
	if (!s->data || !s->limits || !s->stack) {
		tg_regex_scratch_destroy(s);
		return NULL;
	}
	pcre2_set_match_limit(s->limits, TG_REGEX_STEPS);
	pcre2_jit_stack_assign(s->limits, NULL, s->stack);
	return s;
}

void tg_regex_scratch_destroy(struct tg_regex_scratch *s)
{
	if (!s)
		return;
	pcre2_match_data_free(s->data);
	pcre2_match_context_free(s->limits);
	pcre2_jit_stack_free(s->stack);
	free(s);
}

/* As pcre2_match(): > 0 it matches, else not; < PCRE2_ERROR_NOMATCH: it was given up. */
static int match(
	const struct tg_regex *r, struct tg_view text, uint32_t from, struct tg_regex_scratch *s)
{
	const uint8_t *p = text.p ? text.p : (const uint8_t *)"";
	int rc = pcre2_jit_match(r->program->code, p, text.n, from, 0, s->data, s->limits);

	*s->limit_hits += tg_unlikely(rc < PCRE2_ERROR_NOMATCH);
	return rc == 0 ? GROUPS : rc; /* 0: more groups than we look at */
}

bool tg_regex_matches(const struct tg_regex *r, struct tg_view text, struct tg_regex_scratch *s)
{
	struct tg_view front = tg_view_of(r->literal.p, r->front);

	return tg_view_has_prefix(text, front) && match(r, text, r->front, s) > 0;
}

/* --- replacing ---------------------------------------------------------------------------------
 */

int tg_regex_check_substitution(
	const struct tg_regex *r, const char *substitution, struct tg_errbuf *e)
{
	for (const char *p = substitution; *p; p++) {
		if (*p != '\\')
			continue;
		p++;
		if (*p == '\\')
			continue;
		if (*p < '0' || *p > '9')
			return tg_fail(
				e, TG_EINVAL, "behind \\ in it has to stand a digit or another \\");
		if ((uint32_t)(*p - '0') > r->program->groups)
			return tg_fail(e, TG_EINVAL, "it has \\%c, and the pattern %u groups", *p,
				r->program->groups);
	}
	return 0;
}

struct out {
	uint8_t *p;
	uint32_t n, cap;
	bool full;
};

static void put(struct out *o, const uint8_t *p, size_t n)
{
	if (n > o->cap - o->n) {
		o->full = true;
		return;
	}
	if (n)
		memcpy(o->p + o->n, p, n);
	o->n += (uint32_t)n;
}

static void put_match(
	struct out *o, struct tg_view text, struct tg_view sub, const PCRE2_SIZE *v, int groups)
{
	for (uint32_t i = 0; i < sub.n; i++) {
		int g = sub.p[i] == '\\' && i + 1 < sub.n ? sub.p[i + 1] - '0' : -1;

		i += sub.p[i] == '\\' && i + 1 < sub.n;
		if (g < 0 || g > 9)
			put(o, &sub.p[i], 1);
		else if (g < groups && v[2 * g] != PCRE2_UNSET)
			put(o, text.p + v[2 * g], v[2 * g + 1] - v[2 * g]);
	}
}

int32_t tg_regex_replace(const struct tg_regex *r, struct tg_view text, struct tg_view substitution,
	struct tg_regex_scratch *s, uint8_t *out, uint32_t cap)
{
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(s->data);
	struct out o = {.p = out, .cap = cap};
	uint32_t at = 0, done = 0; /* text up to done is in out */
	bool after = false;        /* a match ended at `at` */
	int rc;

	while (at <= text.n && (rc = match(r, text, at, s)) > 0) {
		/* \K may put the beginning behind the end: nothing sensible can be done. */
		if (v[0] < done || v[1] < v[0])
			break;
		if (v[0] == v[1] && v[0] == at && after) { /* nothing, right behind a match */
			at++;
			after = false;
			continue;
		}
		put(&o, text.p + done, v[0] - done);
		put_match(&o, text, substitution, v, rc);
		after = v[1] > v[0];
		done = (uint32_t)v[1];
		at = done + !after;
	}
	if (at <= text.n && rc < PCRE2_ERROR_NOMATCH)
		return TG_ERANGE;
	put(&o, text.p + done, text.n - done);
	return o.full ? TG_ETOOBIG : (int32_t)o.n;
}
