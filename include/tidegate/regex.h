/* regex.h: regular expressions over what a peer sends: PCRE2, compiled to machine code.
 *
 * A pattern is compiled on the control core, is immutable, and belongs to a snapshot. Matching
 * neither allocates nor calls the system: each worker has a scratch with all that a match needs.
 * Bounds: patterns of TG_REGEX_PATTERN_MAX bytes, TG_REGEX_STEPS steps of backtracking a match
 * (some 50 us), TG_REGEX_STACK bytes of stack. What exceeds them does not match, and is counted: no
 * text can make an expression take exponential time. Bytes are compared, not characters.
 *
 * Owner: a scratch belongs to one worker. Not here: where patterns are used (match.h, route.h).
 */
#ifndef TIDEGATE_REGEX_H
#define TIDEGATE_REGEX_H

#include <tidegate/err.h>
#include <tidegate/view.h>

#define TG_REGEX_PATTERN_MAX 1024
#define TG_REGEX_STEPS 20000
#define TG_REGEX_STACK (256 * 1024)
#define TG_REGEX_TEXT_MAX (64 * 1024) /* bytes of a text that is gathered from pieces */

struct tg_regex;

enum tg_regex_use {
	TG_REGEX_FULL,  /* the whole text has to match, as Envoy's safe_regex wants */
	TG_REGEX_SEARCH /* anywhere in it: for tg_regex_replace() */
};

/* NULL with e->text: no expression, or one that cannot be compiled to machine code. Its memory is
 * its own. Control core. */
struct tg_regex *tg_regex_compile(const char *pattern, enum tg_regex_use use, struct tg_errbuf *e);
/* Compiling costs some 5 to 10 us, so what an expression begins with is compared as it is, and only
 * the rest of it, which ends the pattern, becomes a program. A hundred thousand routes often differ
 * in their beginnings only: */
const char *tg_regex_rest(const char *pattern); /* of one with TG_REGEX_FULL; may be all of it */
/* As tg_regex_compile() with TG_REGEX_FULL. like: one of which the rest is the same; their program
 * is one. Control core, as long as others with that program are freed there. */
struct tg_regex *tg_regex_compile_like(
	const struct tg_regex *like, const char *pattern, struct tg_errbuf *e);
void tg_regex_free(struct tg_regex *r);                 /* NULL is fine */
const char *tg_regex_pattern(const struct tg_regex *r); /* its text; lives as long as r */
/* What every text that matches begins with, as far as that is plain to see; lives as long as r. */
struct tg_view tg_regex_literal(const struct tg_regex *r);

struct tg_regex_scratch {
	void *data, *limits, *stack;     /* private to regex.c */
	uint64_t *limit_hits;            /* matches that were given up */
	uint8_t text[TG_REGEX_TEXT_MAX]; /* where users gather a text */
};
/* limit_hits: the worker's counter. NULL: no memory. */
struct tg_regex_scratch *tg_regex_scratch_create(uint64_t *limit_hits);
void tg_regex_scratch_destroy(struct tg_regex_scratch *s);

/* False also beyond the limits. */
bool tg_regex_matches(const struct tg_regex *r, struct tg_view text, struct tg_regex_scratch *s);

/* What stands for a match: text, \0 the whole of it, \1 to \9 its groups, \\ a backslash (RE2, and
 * with it Envoy). TG_EINVAL with e->text: something else behind a backslash, or no such group. */
int tg_regex_check_substitution(
	const struct tg_regex *r, const char *substitution, struct tg_errbuf *e);
/* Every match in text, from left to right, replaced. Returns the length of what is in out, or
 * TG_ETOOBIG: cap is too small; TG_ERANGE: beyond the limits. */
int32_t tg_regex_replace(const struct tg_regex *r, struct tg_view text, struct tg_view substitution,
	struct tg_regex_scratch *s, uint8_t *out, uint32_t cap);

#endif
