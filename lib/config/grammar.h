/* grammar.h: libconfig's grammar as a state for each open bracket, fed with tokens. Private to
 * lib/config. Its own parser says no more than "syntax error", often a line late, and forgets
 * memory when it does; so that it should never have to. */
#ifndef TG_CONFIG_GRAMMAR_H
#define TG_CONFIG_GRAMMAR_H

#include <stdbool.h>
#include <stdint.h>

#define CFG_DEPTH_MAX 32 /* libconfig's parser and its destructor recurse */

enum cfg_token {
	TOKEN_NAME,
	TOKEN_SCALAR, /* number, true, false */
	TOKEN_STRING,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_EQUALS, /* = or : */
	TOKEN_SEMICOLON,
	TOKEN_COMMA,
};

struct cfg_level {
	char close;    /* what ends it: ) ] } ; 0 for the file itself */
	uint8_t state; /* private */
	bool string;   /* its last token was a string: another one continues it */
	uint32_t line; /* of the opening bracket */
};

struct cfg_grammar {
	struct cfg_level level[CFG_DEPTH_MAX + 1];
	int depth;          /* level[depth] is the innermost */
	uint32_t last_line; /* of the token before */
};

/* NULL, or what is wrong; *line: where. close: of TOKEN_OPEN. Brackets must have been found to
 * match, and depth to be below CFG_DEPTH_MAX. */
const char *cfg_grammar_step(struct cfg_grammar *g, enum cfg_token t, char close, uint32_t *line);
/* The same for the end of the text. */
const char *cfg_grammar_end(const struct cfg_grammar *g, uint32_t *line);

/* Whether a string now would continue the one before. */
bool cfg_grammar_joins(const struct cfg_grammar *g);

static inline bool cfg_in_items(const struct cfg_grammar *g)
{
	return g->level[g->depth].close == ')' || g->level[g->depth].close == ']';
}

#endif
