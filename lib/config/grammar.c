#include "grammar.h"

#include <stddef.h>

enum state {
	WANT_NAME,   /* group: a name or its end */
	WANT_EQUALS, /* group: behind a name */
	WANT_VALUE,  /* group: behind = */
	HAVE_VALUE,  /* group: ; or , or the next name or its end */
	WANT_FIRST,  /* list: an item or its end */
	WANT_ITEM,   /* list: behind a comma */
	HAVE_ITEM,   /* list: a comma or its end */
};

/* Where the mistake is: at the token before rather than at the one that shows it. */
static const char *before(const struct cfg_grammar *g, uint32_t *line, const char *text)
{
	*line = g->last_line;
	return text;
}

/* What a token means that comes too early. NULL: it does not. */
static const char *missing(const struct cfg_grammar *g, uint32_t *line)
{
	switch (g->level[g->depth].state) {
	case WANT_EQUALS:
		return before(g, line, "behind this name \"=\" is missing; text wants quotes");
	case WANT_VALUE:
		return before(g, line, "behind \"=\" the value is missing");
	default:
		return NULL;
	}
}

bool cfg_grammar_joins(const struct cfg_grammar *g)
{
	const struct cfg_level *l = &g->level[g->depth];

	return l->string && (l->state == HAVE_VALUE || l->state == HAVE_ITEM);
}

static const char *value(struct cfg_grammar *g, enum cfg_token t, char close, uint32_t *line)
{
	struct cfg_level *l = &g->level[g->depth];
	const char *wrong = l->state == WANT_VALUE ? NULL : missing(g, line);

	if (t == TOKEN_STRING && cfg_grammar_joins(g))
		return NULL;
	if (wrong)
		return wrong;
	if (l->state == HAVE_ITEM)
		return before(g, line, "behind this item \",\" is missing");
	if (l->state == WANT_NAME || l->state == HAVE_VALUE)
		return "here a name has to stand: name = value;";
	if (l->close == ']' && t == TOKEN_OPEN)
		return "an array [ ] cannot hold this; use a list ( )";
	l->state = l->state == WANT_VALUE ? HAVE_VALUE : HAVE_ITEM;
	l->string = t == TOKEN_STRING;
	if (t == TOKEN_OPEN)
		g->level[++g->depth] = (struct cfg_level){
			close, close == '}' ? WANT_NAME : WANT_FIRST, false, *line};
	return NULL;
}

static const char *name(struct cfg_grammar *g, uint32_t *line)
{
	struct cfg_level *l = &g->level[g->depth];

	if (l->state == WANT_EQUALS)
		return missing(g, line);
	if (l->state == HAVE_ITEM)
		return before(g, line, "behind this item \",\" is missing");
	if (l->state != WANT_NAME && l->state != HAVE_VALUE)
		return "text wants quotes";
	l->state = WANT_EQUALS;
	return NULL;
}

static const char *separator(struct cfg_grammar *g, enum cfg_token t, uint32_t *line)
{
	struct cfg_level *l = &g->level[g->depth];
	const char *wrong = missing(g, line);

	if (wrong)
		return wrong;
	if (l->state == WANT_NAME)
		return "nothing stands between this \";\" or \",\" and what is before it";
	if (l->state == HAVE_VALUE) {
		l->state = WANT_NAME;
		return NULL;
	}
	if (t == TOKEN_SEMICOLON)
		return "\";\" inside a list or array: its items are separated by \",\"";
	if (l->state != HAVE_ITEM)
		return "no item stands before this \",\"";
	l->state = WANT_ITEM;
	return NULL;
}

static const char *close_bracket(struct cfg_grammar *g, uint32_t *line)
{
	const char *wrong = missing(g, line);

	if (wrong)
		return wrong;
	if (g->level[g->depth].state == WANT_ITEM)
		return before(g, line, "behind the last item there must be no \",\"");
	g->depth--;
	return NULL;
}

const char *cfg_grammar_step(struct cfg_grammar *g, enum cfg_token t, char close, uint32_t *line)
{
	const char *wrong = NULL;
	uint32_t here = *line;

	switch (t) {
	case TOKEN_NAME:
		wrong = name(g, line);
		break;
	case TOKEN_SCALAR:
	case TOKEN_STRING:
	case TOKEN_OPEN:
		wrong = value(g, t, close, line);
		break;
	case TOKEN_CLOSE:
		wrong = close_bracket(g, line);
		break;
	case TOKEN_EQUALS:
		if (g->level[g->depth].state == WANT_EQUALS)
			g->level[g->depth].state = WANT_VALUE;
		else
			wrong = "before this \"=\" or \":\" there is no name";
		break;
	case TOKEN_SEMICOLON:
	case TOKEN_COMMA:
		wrong = separator(g, t, line);
		break;
	}
	g->last_line = here;
	return wrong;
}

const char *cfg_grammar_end(const struct cfg_grammar *g, uint32_t *line)
{
	const struct cfg_level *l = &g->level[g->depth];

	if (g->depth == 0)
		return missing(g, line);
	*line = l->line;
	return l->close == ')'   ? "\"(\" is not closed"
	       : l->close == ']' ? "\"[\" is not closed"
				 : "\"{\" is not closed";
}
