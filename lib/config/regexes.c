/* Regular expressions of a configuration: each is compiled once, however often it stands there. */
#include <stdlib.h>
#include <string.h>

#include "schema.h"

struct cfg_regex {
	struct cfg_regex *next; /* in the same slot */
	uint64_t hash;
	const char *pattern;
	enum tg_regex_use use;
	struct tg_regex *regex; /* NULL: it is none, which was reported */
};

static struct cfg_regex *find(
	const struct cfg_regexes *all, const char *pattern, enum tg_regex_use use, uint64_t hash)
{
	struct cfg_regex *at = all->n_slots ? all->slots[hash & (all->n_slots - 1)] : NULL;

	while (at && (at->hash != hash || at->use != use || strcmp(at->pattern, pattern) != 0))
		at = at->next;
	return at;
}

static void add(struct cfg_regexes *all, struct cfg_regex *r)
{
	struct cfg_regex **slot = &all->slots[r->hash & (all->n_slots - 1)];

	r->next = *slot;
	*slot = r;
	all->n++;
}

/* A hundred thousand routes may each have their own: a slot for each. */
static bool make_room(struct cfg_regexes *all)
{
	struct cfg_regexes more = {.n_slots = all->n_slots ? all->n_slots * 2 : 64};

	if (all->n < all->n_slots)
		return true;
	more.slots = calloc(more.n_slots, sizeof(struct cfg_regex *));
	if (!more.slots)
		return false;
	for (uint32_t i = 0; i < all->n_slots; i++)
		for (struct cfg_regex *r = all->slots[i], *next; r; r = next) {
			next = r->next;
			add(&more, r);
		}
	free(all->slots);
	*all = more;
	return true;
}

const struct tg_regex *cfg_regex(struct cfg *c, const char *pattern, enum tg_regex_use use,
	const char *who, const char *key, uint32_t line)
{
	uint64_t hash = tg_hash64(use, pattern, strlen(pattern));
	struct cfg_regex *r = find(c->regexes, pattern, use, hash);
	struct tg_errbuf e = {""};

	if (!r) {
		if (!make_room(c->regexes)) {
			c->no_memory = true;
			return NULL;
		}
		r = cfg_need(c, c->keep, sizeof(*r));
		if (!r)
			return NULL;
		*r = (struct cfg_regex){
			NULL, hash, pattern, use, tg_regex_compile(pattern, use, &e)};
		add(c->regexes, r);
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
	for (uint32_t i = 0; i < all->n_slots; i++)
		for (struct cfg_regex *r = all->slots[i]; r; r = r->next)
			tg_regex_free(r->regex);
	free(all->slots);
	*all = (struct cfg_regexes){NULL, 0, 0};
}
