#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schema.h"

/* The snapshot and the memory of all it points to. */
struct owned {
	struct tg_snapshot s;
	struct cfg_mem mem;
	struct cfg_regexes regexes;
};

static bool load(struct cfg *c, struct tg_snapshot *s)
{
	struct raw_config *raw = cfg_need(c, &c->tmp, sizeof(*raw));
	struct timespec now;
	char *source;

	if (!raw || !cfg_parse(c))
		return false;
	cfg_read(c, raw);
	c->has_rate_limit_service = raw->service.h.at;
	cfg_check_net(c, raw);
	cfg_check_http(c, raw);
	cfg_check_overload(c, &raw->overload);
	if (c->n_errors || c->no_memory || !cfg_compile(c, raw, s))
		return false;
	source = cfg_strndup(c->keep, c->text.source.p, c->text.source.n);
	if (source)
		cfg_hide_passwords(source);
	clock_gettime(CLOCK_REALTIME, &now);
	s->source = source;
	s->loaded_at = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	s->generation = 1;
	return source != NULL;
}

/* text NULL: from the file `name`. */
static struct tg_snapshot *read_config(
	const char *name, const char *text, struct tg_stats *stats, FILE *err)
{
	struct owned *o = aligned_alloc(64, (sizeof(*o) + 63) & ~(size_t)63);
	struct cfg c = {.keep = NULL};
	bool ok;

	if (!o) {
		fprintf(err, "%s:1: not enough memory for this configuration\n", name);
		return NULL;
	}
	memset(o, 0, sizeof(*o));
	c.keep = &o->mem;
	c.regexes = &o->regexes;
	c.quota = &o->s.quota;
	config_init(&c.lib);
	ok = text ? cfg_text_from(&c, name, text) : cfg_text_load(&c, name);
	ok = ok && load(&c, &o->s);
	if (ok && stats)
		ok = tg_snapshot_bind_stats(&o->s, stats) == 0;
	if (!ok && !c.n_errors)
		c.no_memory = true;
	cfg_print_errors(&c, err);
	config_destroy(&c.lib);
	cfg_text_free(&c.text);
	cfg_mem_free(&c.tmp);
	free(c.errors);
	if (ok)
		return &o->s;
	tg_snapshot_free(&o->s);
	return NULL;
}

struct tg_snapshot *tg_config_load(const char *path, struct tg_stats *stats, FILE *err)
{
	return read_config(path, NULL, stats, err);
}

struct tg_snapshot *tg_config_parse(
	const char *name, const char *text, struct tg_stats *stats, FILE *err)
{
	return read_config(name, text, stats, err);
}

void tg_snapshot_free(struct tg_snapshot *s)
{
	struct owned *o;

	if (!s)
		return;
	o = TG_CONTAINER(s, struct owned, s);
	for (uint32_t i = 0; i < s->n_clusters && s->clusters; i++)
		tg_health_unbind(&s->clusters[i]);
	cfg_regexes_free(&o->regexes);
	cfg_mem_free(&o->mem);
	free(o);
}

int tg_snapshot_bind_stats(struct tg_snapshot *s, struct tg_stats *stats)
{
	for (uint32_t i = 0; i < s->n_clusters; i++) {
		s->clusters[i].stats = tg_stats_cluster(stats, s->clusters[i].name);
		if (!s->clusters[i].stats)
			return TG_ENOMEM;
	}
	for (uint32_t i = 0; i < s->n_listeners; i++) {
		s->listeners[i].stats = tg_stats_listener(stats, s->listeners[i].name);
		if (!s->listeners[i].stats)
			return TG_ENOMEM;
	}
	for (uint32_t i = 0; i < s->n_chains; i++)
		if (tg_filter_chain_bind(s->chains[i].chain, stats, s->chains[i].listener))
			return TG_ENOMEM;
	return 0;
}

int tg_snapshot_bind_health(struct tg_snapshot *s, struct tg_health *h)
{
	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (tg_health_bind(h, &s->clusters[i]))
			return TG_ENOMEM;
	return 0;
}

void tg_snapshot_use_health(const struct tg_snapshot *s)
{
	for (uint32_t i = 0; i < s->n_clusters; i++)
		tg_health_use(&s->clusters[i]);
}

/* ---- the schema as text ---- */

static const char *type_text(enum cfg_type t)
{
	static const char *const names[] = {
		[CFG_STRING] = "text",
		[CFG_NAME] = "name",
		[CFG_PATH] = "path",
		[CFG_BOOL] = "true or false",
		[CFG_U16] = "number",
		[CFG_U32] = "number",
		[CFG_FACTOR] = "number",
		[CFG_PERCENT] = "percentage",
		[CFG_FRACTION] = "fraction",
		[CFG_I64] = "number",
		[CFG_REGEX] = "regular expression",
		[CFG_SIZE32] = "size",
		[CFG_SIZE] = "size",
		[CFG_DURATION] = "duration",
		[CFG_ENUM] = "word",
		[CFG_SOCKADDR] = "address and port",
		[CFG_ORIGIN] = "address or name, and port",
		[CFG_IP] = "address",
		[CFG_PREFIX] = "network",
		[CFG_STRINGS] = "array of texts",
		[CFG_NAMES] = "array of names",
		[CFG_PATHS] = "array of paths",
		[CFG_UINTS] = "array of numbers",
		[CFG_PREFIXES] = "array of addresses with length",
		[CFG_GROUP] = "group",
		[CFG_GROUPS] = "list of groups",
		[CFG_FILTERS] = "list of filters",
	};

	return names[t];
}

static void range_text(const struct cfg_key *k, char out[static 128])
{
	char min[32], max[32];
	size_t n = 0;

	out[0] = 0;
	for (uint32_t i = 0; k->words && k->words[i] && n < 127; i++)
		n += (size_t)snprintf(out + n, 128 - n, "%s%s", i ? " | " : "", k->words[i]);
	if (k->words || !k->max || k->type == CFG_NAME || k->type == CFG_NAMES)
		return;
	if (k->type == CFG_DURATION) {
		cfg_format_duration(k->min, min);
		cfg_format_duration(k->max, max);
	} else if (k->type == CFG_SIZE || k->type == CFG_SIZE32) {
		cfg_format_size(k->min, min);
		cfg_format_size(k->max, max);
	} else if (k->type == CFG_FACTOR) {
		snprintf(min, sizeof(min), "%g", (double)k->min / 1e4);
		snprintf(max, sizeof(max), "%g", (double)k->max / 1e4);
	} else {
		snprintf(min, sizeof(min), "%" PRIu64, k->min);
		snprintf(max, sizeof(max), "%" PRIu64, k->max);
	}
	snprintf(out, 128, "%s .. %s", min, max);
}

/* Whether a key before k has the same keys below it (policies and shadow_policies). */
static bool told_already(const struct cfg_group *g, const struct cfg_key *k)
{
	for (const struct cfg_key *before = g->keys; before < k; before++)
		if (before->group == k->group)
			return true;
	return false;
}

static void walk(const struct cfg_group *g, const char *path, tg_config_key_fn *fn, void *ctx)
{
	char full[256], range[128];
	struct tg_config_key key = {.path = full, .range = range};

	for (const struct cfg_key *k = g->keys; k->name; k++) {
		snprintf(full, sizeof(full), "%s%s%s", path, *path ? "." : "", k->name);
		range_text(k, range);
		key.type = type_text(k->type);
		key.dflt = k->dflt;
		key.doc = k->doc;
		key.required = k->flags & CFG_REQUIRED;
		key.supported = true;
		fn(ctx, &key);
		if (k->group && !(k->flags & CFG_TOLD) && !told_already(g, k))
			walk(k->group, full, fn, ctx);
		/* Their keys are the same everywhere: told once. */
		for (uint32_t i = 0; k->type == CFG_FILTERS && g == &cfg_listeners; i++) {
			const struct cfg_filter_kind *kind = cfg_filter_kind_at(i);

			if (!kind)
				break;
			walk(kind->group, full, fn, ctx);
		}
	}
	key = (struct tg_config_key){.path = full, .type = "", .range = ""};
	for (const struct cfg_refused *r = g->refused; r->name; r++) {
		snprintf(full, sizeof(full), "%s%s%s", path, *path ? "." : "", r->name);
		key.doc = "not supported by this version yet";
		fn(ctx, &key);
	}
}

void tg_config_walk_keys(tg_config_key_fn *fn, void *ctx)
{
	walk(&cfg_root, "", fn, ctx);
}
