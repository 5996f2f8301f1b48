/* health.h: what is known of each endpoint's health, by all workers together.
 *
 * One word of flags an endpoint (struct tg_host), which whoever has found something out changes and
 * everybody reads, and one generation a cluster, which grows whenever a flag of one of its
 * endpoints changes: so a worker notices by one load that the endpoints it chooses from (struct
 * tg_lb_set, lb.h) have to be looked through again. Nothing is written on the way of a request that
 * succeeds.
 *
 * A host is a cluster's name with an address. It is kept in a registry, made at start, and lives as
 * long as a snapshot knows it: so verdicts and streaks of errors outlive a reload wherever the
 * endpoint does. Bounds: an endpoint of a snapshot in use costs a host of 128 bytes, and 64 a
 * worker where its answers are counted.
 *
 * Threads: binding and unbinding take a lock and may ask for memory, they are the control core's;
 * all else is for any thread. Not here: who checks endpoints (lib/proxy), who is chosen (lb.h).
 */
#ifndef TIDEGATE_HEALTH_H
#define TIDEGATE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/addr.h>

/* Flags, as Envoy calls them in /clusters. */
#define TG_HEALTH_LIST(X) \
	X(FAILED_ACTIVE, "failed_active_hc")      /* an active check found it unhealthy */ \
	X(FAILED_OUTLIER, "failed_outlier_check") /* outlier detection has ejected it */ \
	X(DEGRADED, "degraded_active_hc") /* it told a check so: for when no other is left */ \
	X(PENDING, "pending_active_hc")   /* never checked yet; FAILED_ACTIVE is set as well */ \
	X(TIMEOUT, "active_hc_timeout")   /* FAILED_ACTIVE, because no answer came in time */

enum tg_health_word {
#define X(id, text) TG_HEALTH_WORD_##id,
	TG_HEALTH_LIST(X)
#undef X
		TG_HEALTH_WORDS
};
enum tg_health_flag {
#define X(id, text) TG_HEALTH_##id = 1 << TG_HEALTH_WORD_##id,
	TG_HEALTH_LIST(X)
#undef X
};

struct tg_cluster;

/* Of a cluster, by its name. */
struct tg_health_cluster {
	uint32_t generation; /* of its hosts' flags */
	uint32_t ejected;    /* hosts with FAILED_OUTLIER, for max_ejection_percent */
	/* Private to the registry. */
	uint32_t refs;
	char *name;
	struct tg_health_cluster *next;
	struct tg_health *registry;
} __attribute__((aligned(64)));

/* Of an endpoint. */
struct tg_host {
	uint32_t flags;
	struct tg_health_cluster *of;
	uint64_t since; /* CLOCK_MONOTONIC, ns: when it came, or was found to be well again */
	/* Private to the registry. */
	uint32_t refs;
	struct tg_sockaddr addr;
	struct tg_host *next;
} __attribute__((aligned(64)));

struct tg_health;
struct tg_health *tg_health_create(uint32_t n_workers); /* NULL: no memory */
void tg_health_destroy(struct tg_health *h);
/* Gives c and its endpoints their state: as it is where it is known already, without what c has
 * nobody to find out. TG_ENOMEM, and then nothing is bound. Before any worker sees c. */
int tg_health_bind(struct tg_health *h, struct tg_cluster *c);
/* Nobody uses c any more. Nothing, if it is not bound. */
void tg_health_unbind(struct tg_cluster *c);

/* NULL: nobody looks. */
static inline uint32_t tg_host_flags(const struct tg_host *h)
{
	return h ? __atomic_load_n(&h->flags, __ATOMIC_RELAXED) : 0;
}

static inline uint64_t tg_host_since(const struct tg_host *h)
{
	return __atomic_load_n(&h->since, __ATOMIC_RELAXED);
}

/* Of an endpoint that nobody found anything against. */
static inline bool tg_health_good(uint32_t flags)
{
	return !(flags & (TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_FAILED_OUTLIER));
}

/* Of one that was never checked and never ejected: taken where nobody is known to be good. */
static inline bool tg_health_unknown(uint32_t flags)
{
	return (flags & TG_HEALTH_PENDING) && !(flags & TG_HEALTH_FAILED_OUTLIER);
}

/* False: that is what they were. */
bool tg_host_change(struct tg_host *h, uint32_t set, uint32_t clear);

static inline uint32_t tg_health_generation(const struct tg_health_cluster *c)
{
	/* Acquire: the flags read next are at least as new. */
	return c ? __atomic_load_n(&c->generation, __ATOMIC_ACQUIRE) : 0;
}

/* "/failed_active_hc/pending_active_hc", or "healthy". Returns out. */
#define TG_HEALTH_TEXT 128
char *tg_health_text(uint32_t flags, char out[static TG_HEALTH_TEXT]);

#endif
