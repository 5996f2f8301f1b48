/* tables.h: the X-lists of stats.h as arrays, for whoever walks, renders or documents them. Private
 * to lib/telem. */
#ifndef TG_TELEM_TABLES_H
#define TG_TELEM_TABLES_H

#include <stddef.h>

#include <tidegate/stats.h>

/* Where a value is shown under a name that Envoy uses too, and so gets Envoy's name in Prometheus.
 */
enum tg_desc_scope {
	TG_IN_LISTENER = 1 << 0, /* listener.<name>. */
	TG_IN_HTTP = 1 << 1,     /* http.<name>. */
	TG_IN_TCP = 1 << 2,      /* tcp.<name>. */
	TG_IN_CLUSTER = 1 << 3,  /* cluster.<name>. */
};

/* What of a breaker's words is shown. */
enum tg_desc_kind { TG_DESC_WORD, TG_DESC_OPEN, TG_DESC_LEFT };

struct tg_desc {
	const char *name, *text;
	/* of the uint64_t (or struct tg_hist, or struct tg_breaker_stats) in its block */
	size_t offset;
	bool gauge;
	uint8_t shown; /* enum tg_desc_scope: where it appears */
	uint8_t envoy; /* enum tg_desc_scope: where Envoy has the same */
	char rq_class; /* '2' for "..._2xx", else 0 */
	uint8_t kind;  /* enum tg_desc_kind */
};

struct tg_desc_table {
	const struct tg_desc *d;
	uint32_t n;
};

extern const struct tg_desc_table tg_core_table, tg_core_hist_table;
extern const struct tg_desc_table tg_cluster_table, tg_listener_table;

/* The registry behind struct tg_stats. */
#define TG_STATS_WHO_MAX 256
struct tg_stats_block {
	struct tg_stats_block *next;      /* in order of making */
	struct tg_stats_block *hash_next; /* in the same bucket */
	char name[TG_STATS_WHO_MAX];
	void *rows; /* [n_workers] of the kind's struct */
	bool tcp;   /* listeners */
};

#define TG_STATS_BUCKETS 4096
struct tg_stats_list {
	struct tg_stats_block *first, **tail;
	struct tg_stats_block *bucket[TG_STATS_BUCKETS]; /* by hash of the name */
	size_t row_size;
};

/* Counters of a filter at a listener. */
struct tg_stats_filter {
	struct tg_stats_filter *next; /* in order of making */
	const struct tg_stats_block *listener;
	char name[TG_STATS_WHO_MAX]; /* "rbac" */
	const struct tg_stat_def *defs;
	uint32_t n;
	uint64_t *rows; /* [n_workers][TG_FILTER_ROW(n)] */
};

struct tg_stats_blocks {
	struct tg_stats_list clusters, listeners;
	struct tg_stats_filter *filters, **filters_tail;
};

/* For the duration of a walk. */
const struct tg_stats_blocks *tg_stats_lock(const struct tg_stats *s);
void tg_stats_unlock(const struct tg_stats *s);
uint32_t tg_stats_workers(const struct tg_stats *s);
/* One worker's value, and the sum over them. rows: a block's, or tg_stats_cores(). */
uint64_t tg_desc_value(const struct tg_desc *d, const void *rows, size_t row_size, uint32_t worker);
uint64_t tg_desc_sum(
	const struct tg_stats *s, const struct tg_desc *d, const void *rows, size_t row_size);
/* Counter i of f; out has the dotted name within the listener, "rbac.allowed". */
uint64_t tg_filter_sum(const struct tg_stats *s, const struct tg_stats_filter *f, uint32_t i,
	char out[static TG_STAT_NAME_MAX]);
uint64_t tg_why_sum(const struct tg_stats *s, enum tg_why w);

#endif
