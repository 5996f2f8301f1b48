/* Regular expressions of a configuration: each is compiled once, however often it stands there, and
 * of those that differ only in what they begin with, one. */
#include <stdlib.h>
#include <string.h>

#include "schema.h"

struct cfg_regex {
	struct cfg_regex *next; /* in the same slot */
	uint64_t hash;
	const char *pattern; /* of rests: the rest */
	enum tg_regex_use use;
	struct tg_regex *regex; /* NULL: it is none, which was reported */
};

static struct cfg_regex *find(const struct cfg_regex_table *all, const char *pattern,
	enum tg_regex_use use, uint64_t hash)
{
	struct cfg_regex *at = all->n_slots ? all->slots[hash & (all->n_slots - 1)] : NULL;

	while (at && (at->hash != hash || at->use != use || strcmp(at->pattern, pattern) != 0))
		at = at->next;
	return at;
}

static void add(struct cfg_regex_table *all, struct cfg_regex *r)
{
	struct cfg_regex **slot = &all->slots[r->hash & (all->n_slots - 1)];

	r->next = *slot;
	*slot = r;
	all->n++;
}

/* A hundred thousand routes may each have their own: a slot for each. */
static bool make_room(struct cfg_regex_table *all)
{
	struct cfg_regex_table more = {.n_slots = all->n_slots ? all->n_slots * 2 : 64};

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

/* NULL: no memory. */
static struct cfg_regex *put(struct cfg *c, struct cfg_regex_table *all, const char *pattern,
	enum tg_regex_use use, struct tg_regex *regex)
{
	struct cfg_regex *r = make_room(all) ? cfg_alloc(c->keep, sizeof(*r)) : NULL;

	if (!r) {
		c->no_memory = true;
		return NULL;
	}
	*r = (struct cfg_regex){
		NULL, tg_hash64(use, pattern, strlen(pattern)), pattern, use, regex};
	add(all, r);
	return r;
}

static struct tg_regex *compile(
	struct cfg *c, const char *pattern, enum tg_regex_use use, struct tg_errbuf *e)
{
	const char *rest = use == TG_REGEX_FULL ? tg_regex_rest(pattern) : NULL;
	struct cfg_regex_table *rests = &c->regexes->rests;
	struct cfg_regex *like =
		rest ? find(rests, rest, use, tg_hash64(use, rest, strlen(rest))) : NULL;
	struct tg_regex *r = like ? tg_regex_compile_like(like->regex, pattern, e)
				  : tg_regex_compile(pattern, use, e);

	if (r && rest && !like)
		put(c, rests, rest, use, r);
	return r;
}

const struct tg_regex *cfg_regex(struct cfg *c, const char *pattern, enum tg_regex_use use,
	const char *who, const char *key, uint32_t line)
{
	struct cfg_regex_table *all = &c->regexes->all;
	struct cfg_regex *r = find(all, pattern, use, tg_hash64(use, pattern, strlen(pattern)));
	struct tg_errbuf e = {""};

	if (!r) {
		r = put(c, all, pattern, use, NULL);
		if (!r)
			return NULL;
		r->regex = compile(c, pattern, use, &e);
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
	for (uint32_t i = 0; i < all->all.n_slots; i++)
		for (struct cfg_regex *r = all->all.slots[i]; r; r = r->next)
			tg_regex_free(r->regex);
	free(all->all.slots);
	free(all->rests.slots);
	*all = (struct cfg_regexes){0};
}
