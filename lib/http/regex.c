#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include <tidegate/regex.h>

#define GROUPS 10 /* \0 to \9 */

struct tg_regex {
	pcre2_code *code;
	uint32_t groups;
	struct tg_view literal; /* in text, behind the pattern */
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

/* Alternatives outside of all brackets have no common beginning that we would look for. */
static bool has_alternatives(const char *p)
{
	int depth = 0;

	for (; *p; p++) {
		if (*p == '\\' && p[1] == 'Q') /* to \E all is plain, brackets too: too rare */
			return true;
		if (*p == '\\' && p[1]) {
			p++;
		} else if (*p == '[') {
			p += p[1] == '^' ? 2 : 1;
			for (p += *p == ']'; *p && *p != ']'; p++)
				p += *p == '\\' && p[1];
			if (!*p)
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

static void find_literal(struct tg_regex *r, const char *pattern)
{
	const char *p = pattern + (pattern[0] == '^');
	char *text = r->text + strlen(pattern) + 1;
	uint32_t len = 0;
	uint8_t byte;
	size_t n;

	if (has_alternatives(pattern))
		return;
	for (; plain(p, &byte, &n); p += n) {
		if (p[n] && strchr("?*{", p[n])) /* perhaps not once */
			break;
		text[len++] = (char)byte;
	}
	r->literal = tg_view_of(text, len);
}

static int compile(struct tg_regex *r, const char *pattern, enum tg_regex_use use,
	pcre2_compile_context *ctx, struct tg_errbuf *e)
{
	uint32_t options =
		PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
	char text[128] = "";
	PCRE2_SIZE at = 0;
	size_t machine_code = 0;
	int rc = 0;

	if (use == TG_REGEX_FULL)
		options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
	r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &rc, &at, ctx);
	if (!r->code) {
		pcre2_get_error_message(rc, (PCRE2_UCHAR *)text, sizeof(text));
		return tg_fail(e, TG_EINVAL, "%s, at byte %zu", text, (size_t)at);
	}
	rc = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE);
	pcre2_pattern_info(r->code, PCRE2_INFO_JITSIZE, &machine_code);
	if (rc || !machine_code) /* none: (*NO_JIT) */
		return tg_fail(e, TG_ENOSUP, "it cannot be compiled to machine code (%d)", rc);
	pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &r->groups);
	return 0;
}

struct tg_regex *tg_regex_compile(const char *pattern, enum tg_regex_use use, struct tg_errbuf *e)
{
	pcre2_compile_context *ctx = pcre2_compile_context_create(NULL);
	size_t n = strlen(pattern);
	struct tg_regex *r = calloc(1, sizeof(*r) + 2 * n + 1);
	int rc = TG_ENOMEM;

	if (!r || !ctx) {
		tg_fail(e, rc, "no memory");
	} else if (n > TG_REGEX_PATTERN_MAX) {
		rc = tg_fail(e, TG_ETOOBIG, "it is longer than %d bytes", TG_REGEX_PATTERN_MAX);
	} else {
		memcpy(r->text, pattern, n);
		pcre2_set_parens_nest_limit(ctx, 50);
		rc = compile(r, pattern, use, ctx, e);
		find_literal(r, pattern);
	}
	pcre2_compile_context_free(ctx);
	if (!rc)
		return r;
	tg_regex_free(r);
	return NULL;
}

void tg_regex_free(struct tg_regex *r)
{
	if (r)
		pcre2_code_free(r->code);
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
	int rc = pcre2_jit_match(r->code, p, text.n, from, 0, s->data, s->limits);

	*s->limit_hits += tg_unlikely(rc < PCRE2_ERROR_NOMATCH);
	return rc == 0 ? GROUPS : rc; /* 0: more groups than we look at */
}

bool tg_regex_matches(const struct tg_regex *r, struct tg_view text, struct tg_regex_scratch *s)
{
	return match(r, text, 0, s) > 0;
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
		if ((uint32_t)(*p - '0') > r->groups)
			return tg_fail(e, TG_EINVAL, "it has \\%c, and the pattern %u groups", *p,
				r->groups);
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
