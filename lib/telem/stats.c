#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate/view.h>

#include "tables.h"

struct tg_stats {
	uint32_t n_workers;
	struct tg_core_stats *cores;
	/* Adding a block (reload) against walking (admin thread). The blocks themselves never move.
	 */
	pthread_mutex_t mutex;
	struct tg_stats_blocks blocks;
};

static void *rows_alloc(size_t row_size, uint32_t n)
{
	void *rows = aligned_alloc(64, row_size * n);

	if (rows)
		memset(rows, 0, row_size * n);
	return rows;
}

struct tg_stats *tg_stats_create(uint32_t n_workers)
{
	struct tg_stats *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->n_workers = n_workers;
	s->blocks.clusters.row_size = sizeof(struct tg_cluster_stats);
	s->blocks.clusters.tail = &s->blocks.clusters.first;
	s->blocks.listeners.row_size = sizeof(struct tg_listener_stats);
	s->blocks.listeners.tail = &s->blocks.listeners.first;
	s->blocks.filters_tail = &s->blocks.filters;
	s->cores = rows_alloc(sizeof(*s->cores), n_workers);
	if (!s->cores || pthread_mutex_init(&s->mutex, NULL) != 0) {
		free(s->cores);
		free(s);
		return NULL;
	}
	return s;
}

static void list_free(struct tg_stats_list *l)
{
	struct tg_stats_block *b = l->first, *next;

	for (; b; b = next) {
		next = b->next;
		free(b->rows);
		free(b);
	}
}

static void filters_free(struct tg_stats_filter *f)
{
	struct tg_stats_filter *next;

	for (; f; f = next) {
		next = f->next;
		free(f->rows);
		free(f);
	}
}

void tg_stats_destroy(struct tg_stats *s)
{
	if (!s)
		return;
	filters_free(s->blocks.filters);
	list_free(&s->blocks.clusters);
	list_free(&s->blocks.listeners);
	pthread_mutex_destroy(&s->mutex);
	free(s->cores);
	free(s);
}

struct tg_core_stats *tg_stats_cores(struct tg_stats *s)
{
	return s->cores;
}

/* FNV-1a. Names are the operator's own, so nobody can choose them to collide. */
static uint32_t name_bucket(const char *name)
{
	uint32_t h = 2166136261u;

	for (uint32_t i = 0; name[i] && i < TG_STATS_WHO_MAX - 1; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h % TG_STATS_BUCKETS;
}

static struct tg_stats_block *block_find(const struct tg_stats_list *l, const char *name)
{
	struct tg_stats_block *b = l->bucket[name_bucket(name)];

	/* A name longer than the bound shares a block with its equal in the first 255 bytes. */
	while (b && strncmp(b->name, name, sizeof(b->name) - 1) != 0)
		b = b->hash_next;
	return b;
}

static struct tg_stats_block *block_add(
	struct tg_stats_list *l, const char *name, uint32_t n_workers)
{
	struct tg_stats_block *b = calloc(1, sizeof(*b)), **bucket = &l->bucket[name_bucket(name)];

	if (!b)
		return NULL;
	b->rows = rows_alloc(l->row_size, n_workers);
	if (!b->rows) {
		free(b);
		return NULL;
	}
	memcpy(b->name, name, strnlen(name, sizeof(b->name) - 1));
	b->hash_next = *bucket;
	*bucket = b;
	*l->tail = b;
	l->tail = &b->next;
	return b;
}

static void *block_get(struct tg_stats *s, struct tg_stats_list *l, const char *name)
{
	struct tg_stats_block *b;

	pthread_mutex_lock(&s->mutex);
	b = block_find(l, name);
	if (!b)
		b = block_add(l, name, s->n_workers);
	pthread_mutex_unlock(&s->mutex);
	return b ? b->rows : NULL;
}

struct tg_cluster_stats *tg_stats_cluster(struct tg_stats *s, const char *name)
{
	return block_get(s, &s->blocks.clusters, name);
}

struct tg_listener_stats *tg_stats_listener(struct tg_stats *s, const char *name)
{
	return block_get(s, &s->blocks.listeners, name);
}

static struct tg_stats_filter *filter_find(
	const struct tg_stats *s, const struct tg_stats_block *listener, const char *filter)
{
	struct tg_stats_filter *f = s->blocks.filters;

	while (f && (f->listener != listener || strncmp(f->name, filter, sizeof(f->name) - 1) != 0))
		f = f->next;
	return f;
}

static struct tg_stats_filter *filter_add(struct tg_stats *s, const struct tg_stats_block *listener,
	const char *filter, const struct tg_stat_def *defs, uint32_t n)
{
	struct tg_stats_filter *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->rows = rows_alloc(TG_FILTER_ROW(n) * sizeof(*f->rows), s->n_workers);
	if (!f->rows) {
		free(f);
		return NULL;
	}
	memcpy(f->name, filter, strnlen(filter, sizeof(f->name) - 1));
	f->listener = listener;
	f->defs = defs;
	f->n = n;
	*s->blocks.filters_tail = f;
	s->blocks.filters_tail = &f->next;
	return f;
}

uint64_t *tg_stats_filter(struct tg_stats *s, const char *listener, const char *filter,
	const struct tg_stat_def *defs, uint32_t n)
{
	struct tg_stats_filter *f = NULL;
	struct tg_stats_block *b;

	if (!tg_stats_listener(s, listener))
		return NULL;
	pthread_mutex_lock(&s->mutex);
	b = block_find(&s->blocks.listeners, listener);
	f = filter_find(s, b, filter);
	if (!f)
		f = filter_add(s, b, filter, defs, n);
	pthread_mutex_unlock(&s->mutex);
	return f ? f->rows : NULL;
}

void tg_stats_listener_is_tcp(struct tg_stats *s, const char *name, bool tcp)
{
	struct tg_stats_block *b;

	pthread_mutex_lock(&s->mutex);
	b = block_find(&s->blocks.listeners, name);
	if (b)
		b->tcp = tcp;
	pthread_mutex_unlock(&s->mutex);
}

const struct tg_stats_blocks *tg_stats_lock(const struct tg_stats *s)
{
	pthread_mutex_lock((pthread_mutex_t *)&s->mutex);
	return &s->blocks;
}

void tg_stats_unlock(const struct tg_stats *s)
{
	pthread_mutex_unlock((pthread_mutex_t *)&s->mutex);
}

uint32_t tg_stats_workers(const struct tg_stats *s)
{
	return s->n_workers;
}

uint64_t tg_desc_value(const struct tg_desc *d, const void *rows, size_t row_size, uint32_t worker)
{
	const char *row = (const char *)rows + row_size * worker;

	return __atomic_load_n((const uint64_t *)(row + d->offset), __ATOMIC_RELAXED);
}

/* Every row says the same limit, but for the moment of a reload. */
static uint64_t breaker_value(
	const struct tg_stats *s, const struct tg_desc *d, const void *rows, size_t row_size)
{
	uint64_t used = 0, limit = 0, tracked = 0;

	for (uint32_t w = 0; w < s->n_workers; w++) {
		const struct tg_breaker_stats *b =
			(const void *)((const char *)rows + row_size * w + d->offset);

		used += __atomic_load_n(&b->used, __ATOMIC_RELAXED);
		limit = __atomic_load_n(&b->limit, __ATOMIC_RELAXED);
		tracked = __atomic_load_n(&b->tracked, __ATOMIC_RELAXED);
	}
	if (d->kind == TG_DESC_OPEN)
		return limit && used >= limit;
	return tracked && used < limit ? limit - used : 0;
}

uint64_t tg_desc_sum(
	const struct tg_stats *s, const struct tg_desc *d, const void *rows, size_t row_size)
{
	uint64_t sum = 0;

	if (d->kind != TG_DESC_WORD)
		return breaker_value(s, d, rows, row_size);

	for (uint32_t w = 0; w < s->n_workers; w++)
		sum += tg_desc_value(d, rows, row_size, w);
	return sum;
}

uint64_t tg_filter_sum(const struct tg_stats *s, const struct tg_stats_filter *f, uint32_t i,
	char out[static TG_STAT_NAME_MAX])
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < s->n_workers; w++)
		sum += __atomic_load_n(&f->rows[w * TG_FILTER_ROW(f->n) + i], __ATOMIC_RELAXED);
	snprintf(out, TG_STAT_NAME_MAX, "%s.%s", f->name, f->defs[i].name);
	return sum;
}

uint64_t tg_why_sum(const struct tg_stats *s, enum tg_why why)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < s->n_workers; w++)
		sum += __atomic_load_n(&s->cores[w].why[why], __ATOMIC_RELAXED);
	return sum;
}

static void walk_cores(const struct tg_stats *s, tg_stat_fn *fn, void *ctx)
{
	char who[12];

	for (uint32_t i = 0; i < tg_core_table.n; i++) {
		const struct tg_desc *d = &tg_core_table.d[i];
		struct tg_stat v = {"worker", "", d->name, d->text, 0, d->gauge};

		v.value = tg_desc_sum(s, d, s->cores, sizeof(*s->cores));
		fn(ctx, &v);
	}
	for (uint32_t w = 0; w < s->n_workers; w++) {
		snprintf(who, sizeof(who), "%u", w);
		for (uint32_t i = 0; i < tg_core_table.n; i++) {
			const struct tg_desc *d = &tg_core_table.d[i];
			struct tg_stat v = {"worker", who, d->name, d->text, 0, d->gauge};

			v.value = tg_desc_value(d, s->cores, sizeof(*s->cores), w);
			fn(ctx, &v);
		}
	}
}

static void walk_block(const struct tg_stats *s, const struct tg_stats_block *b, size_t row_size,
	const struct tg_desc_table *t, uint8_t shown, const char *scope, tg_stat_fn *fn, void *ctx)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct tg_desc *d = &t->d[i];
		struct tg_stat v = {scope, b->name, d->name, d->text, 0, d->gauge};

		if (!(d->shown & shown))
			continue;
		v.value = tg_desc_sum(s, d, b->rows, row_size);
		fn(ctx, &v);
	}
}

static void walk_blocks(const struct tg_stats *s, tg_stat_fn *fn, void *ctx)
{
	const struct tg_stats_list *c = &s->blocks.clusters, *l = &s->blocks.listeners;

	for (const struct tg_stats_block *b = c->first; b; b = b->next)
		walk_block(s, b, c->row_size, &tg_cluster_table, TG_IN_CLUSTER, "cluster", fn, ctx);
	for (const struct tg_stats_block *b = l->first; b; b = b->next) {
		walk_block(
			s, b, l->row_size, &tg_listener_table, TG_IN_LISTENER, "listener", fn, ctx);
		walk_block(s, b, l->row_size, &tg_listener_table, b->tcp ? TG_IN_TCP : TG_IN_HTTP,
			b->tcp ? "tcp" : "http", fn, ctx);
	}
	for (const struct tg_stats_filter *f = s->blocks.filters; f; f = f->next)
		for (uint32_t i = 0; i < f->n; i++) {
			char name[TG_STAT_NAME_MAX];
			struct tg_stat v = {f->listener->tcp ? "tcp" : "http", f->listener->name,
				name, f->defs[i].text, 0, f->defs[i].gauge};

			v.value = tg_filter_sum(s, f, i, name);
			fn(ctx, &v);
		}
}

void tg_stats_walk(const struct tg_stats *s, tg_stat_fn *fn, void *ctx)
{
	tg_stats_lock(s);
	walk_cores(s, fn, ctx);
	for (uint32_t w = TG_WHY_none + 1; w < TG_WHY_MAX; w++) {
		struct tg_stat v = {"why", tg_why_class_name(tg_why_class(w)), tg_why_name(w),
			tg_why_text(w), tg_why_sum(s, w), false};

		fn(ctx, &v);
	}
	walk_blocks(s, fn, ctx);
	tg_stats_unlock(s);
}

int tg_stats_hist(const struct tg_stats *s, const char *name, struct tg_hist *out)
{
	for (uint32_t i = 0; i < tg_core_hist_table.n; i++) {
		const struct tg_desc *d = &tg_core_hist_table.d[i];

		if (strcmp(d->name, name) != 0)
			continue;
		memset(out, 0, sizeof(*out));
		for (uint32_t w = 0; w < s->n_workers; w++)
			tg_hist_merge(out, (const void *)((const char *)&s->cores[w] + d->offset));
		return 0;
	}
	return TG_ENOENT;
}

struct tg_ledger tg_stats_ledger(const struct tg_stats *s)
{
	struct tg_ledger l = {0};

	for (uint32_t w = 0; w < s->n_workers; w++) {
		const struct tg_core_stats *c = &s->cores[w];
#define LOAD(field) __atomic_load_n(&c->field, __ATOMIC_RELAXED)
		l.received += LOAD(rx_packets);
		l.delivered += LOAD(rx_arp) + LOAD(rx_nd) + LOAD(rx_icmp) + LOAD(rx_tcp_segments) +
			       LOAD(rx_absorbed_fragments);
		l.in_flight += LOAD(rx_in_flight);
#undef LOAD
	}
	for (uint32_t w = TG_WHY_none + 1; w < TG_WHY_MAX; w++) {
		enum tg_why_class c = tg_why_class(w);

		if ((c == TG_WHY_PKT || c == TG_WHY_SEG) && w != TG_WHY_rx_no_buffer)
			l.dropped += tg_why_sum(s, w);
	}
	return l;
}

int64_t tg_ledger_missing(const struct tg_ledger *l)
{
	return (int64_t)(l->received - l->delivered - l->dropped - l->in_flight);
}

const char *tg_why_class_name(enum tg_why_class c)
{
	static const char *const names[] = {"pkt", "seg", "txp", "conn", "req"};

	return (uint32_t)c < TG_ARRAY_LEN(names) ? names[c] : "?";
}
