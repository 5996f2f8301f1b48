/* Regular expressions of a configuration: each is compiled once, however often it stands there. */
#include <stdlib.h>
#include <string.h>

#include "schema.h"

struct cfg_regex {
	struct cfg_regex *next; /* with the same hash */
	const char *pattern;
	enum tg_regex_use use;
	struct tg_regex *regex; /* NULL: it is none, which was reported */
};

static struct cfg_regex *find(struct cfg_regex *at, const char *pattern, enum tg_regex_use use)
{
	while (at && (at->use != use || strcmp(at->pattern, pattern) != 0))
		at = at->next;
	return at;
}

const struct tg_regex *cfg_regex(struct cfg *c, const char *pattern, enum tg_regex_use use,
	const char *who, const char *key, uint32_t line)
{
	uint64_t hash = tg_hash64(use, pattern, strlen(pattern));
	struct cfg_regex **slot = &c->regexes->slots[hash % CFG_REGEX_SLOTS];
	struct cfg_regex *r = find(*slot, pattern, use);
	struct tg_errbuf e = {""};

	if (!r) {
		r = cfg_need(c, c->keep, sizeof(*r));
		if (!r)
			return NULL;
		*r = (struct cfg_regex){*slot, pattern, use, tg_regex_compile(pattern, use, &e)};
		*slot = r;
	} else if (!r->regex) {
		tg_regex_free(tg_regex_compile(pattern, use, &e)); /* for the message */
	}
	if (!r->regex)
		cfg_error(c, line, "%s: \"%s\": \"%.64s\" is no usable expression: %s", who, key,
			pattern, e.text);
	return r->regex;
}

void cfg_regexes_free(struct cfg_regexes *all)
{
	for (uint32_t i = 0; i < CFG_REGEX_SLOTS; i++)
		for (struct cfg_regex *r = all->slots[i]; r; r = r->next)
			tg_regex_free(r->regex);
}
