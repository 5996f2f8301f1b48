#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate/breaker.h>
#include <tidegate/route.h>

#define BUCKETS 4096

/* What all workers write: a line for each priority, and one that is rarely written. */
struct tg_breaker_shared {
	struct {
		struct tg_lease_pool pool[TG_RESOURCES];
	} __attribute__((aligned(64))) of[TG_PRIORITIES];
	uint32_t needing[TG_PRIORITIES][TG_NEED_FIRST + 1]; /* workers */
	uint32_t *all;                                      /* of the registry */
};

struct block {
	struct tg_breaker_shared shared;
	struct block *next, *hash_next;
	char *name;
	struct tg_breaker *rows;
};

struct tg_breakers {
	uint32_t n_workers;
	uint32_t needing; /* rows and priorities that need something */
	pthread_mutex_t mutex;
	struct block *first, *bucket[BUCKETS];
};

struct tg_breakers *tg_breakers_create(uint32_t n_workers)
{
	struct tg_breakers *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->n_workers = n_workers;
	if (pthread_mutex_init(&b->mutex, NULL)) {
		free(b);
		return NULL;
	}
	return b;
}

static void free_block(struct block *k)
{
	free(k->rows);
	free(k->name);
	free(k);
}

void tg_breakers_destroy(struct tg_breakers *b)
{
	if (!b)
		return;
	while (b->first) {
		struct block *k = b->first;

		b->first = k->next;
		free_block(k);
	}
	pthread_mutex_destroy(&b->mutex);
	free(b);
}

/* FNV-1a. Names are the operator's own, so nobody can choose them to collide. */
static struct block **bucket_of(struct tg_breakers *b, const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return &b->bucket[h % BUCKETS];
}

static struct block *new_block(const char *name, uint32_t n_workers)
{
	struct block *k = aligned_alloc(64, (sizeof(*k) + 63) / 64 * 64);

	if (!k)
		return NULL;
	memset(k, 0, sizeof(*k));
	k->name = strdup(name);
	k->rows = aligned_alloc(64, n_workers * sizeof(*k->rows));
	if (!k->name || !k->rows) {
		free_block(k);
		return NULL;
	}
	memset(k->rows, 0, n_workers * sizeof(*k->rows));
	for (uint32_t w = 0; w < n_workers; w++) {
		struct tg_breaker *row = &k->rows[w];

		row->name = k->name;
		row->n_workers = n_workers;
		row->shared = &k->shared;
		for (uint32_t p = 0; p < TG_PRIORITIES; p++)
			for (uint32_t r = 0; r < TG_RESOURCES; r++)
				tg_lease_init(&row->lease[p][r], &k->shared.of[p].pool[r]);
	}
	return k;
}

struct tg_breaker *tg_breakers_get(struct tg_breakers *b, const char *name)
{
	struct block **bucket = bucket_of(b, name), *k;

	pthread_mutex_lock(&b->mutex);
	for (k = *bucket; k && strcmp(k->name, name) != 0; k = k->hash_next)
		;
	if (!k && (k = new_block(name, b->n_workers))) {
		k->shared.all = &b->needing;
		k->next = b->first;
		b->first = k;
		k->hash_next = *bucket;
		*bucket = k;
	}
	pthread_mutex_unlock(&b->mutex);
	return k ? k->rows : NULL;
}

void tg_breaker_adopt(struct tg_breaker *row, const struct tg_cluster *c, uint32_t worker)
{
	memcpy(row->thresholds, c->thresholds, sizeof(row->thresholds));
	row->all_stats = c->stats;
	row->stats = &c->stats[worker];
	for (uint32_t p = 0; p < TG_PRIORITIES; p++)
		for (uint32_t r = 0; r < TG_RESOURCES; r++) {
			const struct tg_thresholds *t = &c->thresholds[p];
			struct tg_breaker_stats *s = &row->stats->breaker[p][r];
			bool budget = r == TG_RES_RETRY && t->has_budget;

			tg_lease_limit(&row->lease[p][r], t->max[r], row->n_workers);
			s->limit = budget ? 0 : t->max[r];
			s->tracked = t->track_remaining && !budget;
		}
}

/* What all workers have under way and waiting: their own words, a moment old. */
static uint64_t going_on(const struct tg_breaker *b, enum tg_priority p)
{
	uint64_t n = 0;

	for (uint32_t w = 0; w < b->n_workers; w++) {
		const struct tg_breaker_stats *s = b->all_stats[w].breaker[p];

		n += __atomic_load_n(&s[TG_RES_RQ].used, __ATOMIC_RELAXED) +
		     __atomic_load_n(&s[TG_RES_PENDING].used, __ATOMIC_RELAXED);
	}
	return n;
}

bool tg_breaker_take_retry(struct tg_breaker *b, enum tg_priority p)
{
	const struct tg_thresholds *t = &b->thresholds[p];
	uint64_t limit;

	if (t->has_budget) {
		limit = going_on(b, p) * t->budget_percent / 100;
		if (limit < t->min_retry_concurrency)
			limit = t->min_retry_concurrency;
		tg_lease_limit(&b->lease[p][TG_RES_RETRY],
			limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX, b->n_workers);
	}
	return tg_breaker_take(b, p, TG_RES_RETRY);
}

void tg_breaker_need(struct tg_breaker *b, enum tg_priority p, enum tg_need n)
{
	uint32_t *counts = b->shared->needing[p];
	uint8_t was = b->needs[p];

	if (was == n)
		return;
	b->needs[p] = (uint8_t)n;
	if (was)
		__atomic_fetch_sub(&counts[was], 1, __ATOMIC_RELAXED);
	else
		__atomic_fetch_add(b->shared->all, 1, __ATOMIC_RELAXED);
	if (n)
		__atomic_fetch_add(&counts[n], 1, __ATOMIC_RELAXED);
	else
		__atomic_fetch_sub(b->shared->all, 1, __ATOMIC_RELAXED);
}

enum tg_need tg_breaker_others_need(const struct tg_breaker *b, enum tg_priority p)
{
	for (enum tg_need n = TG_NEED_FIRST; n; n--)
		if (__atomic_load_n(&b->shared->needing[p][n], __ATOMIC_RELAXED) >
			(uint32_t)(b->needs[p] == n))
			return n;
	return TG_NEED_NONE;
}

bool tg_breakers_needed(const struct tg_breakers *b)
{
	return __atomic_load_n(&b->needing, __ATOMIC_RELAXED);
}
