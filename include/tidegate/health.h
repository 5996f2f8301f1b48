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
 * endpoint does. Bounds: an endpoint of a snapshot in use costs a host of 256 bytes, and 64 a
 * worker where its answers are counted (outlier_detection).
 *
 * Threads: binding and unbinding take a lock and may ask for memory, they are the control core's;
 * all else is for any thread. Not here: connections to
 * endpoints that are checked (lib/proxy/check.c), who is chosen (lb.h).
 */
#ifndef TIDEGATE_HEALTH_H
#define TIDEGATE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/addr.h>
#include <tidegate/rng.h>
#include <tidegate/stats.h>
#include <tidegate/view.h>

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

/* Beside them: the newest configuration, or DNS, does not know it any more. It is not ejected. */
#define TG_HEALTH_GONE (1u << 31)

struct tg_cluster;

#define TG_STREAKS 3 /* detectors that count errors in a row: the first of TG_DETECTOR_LIST */

/* What of a host's answers counts for its success rate. Sums since start. */
struct tg_outlier_counts {
	uint64_t total, good;             /* answers, and those that were no 5xx */
	uint64_t local_total, local_good; /* the same of what happened on the way to it */
};
struct tg_outlier_rate {
	uint64_t total, good;
};
struct tg_outlier_row {
	struct tg_outlier_counts n;
} __attribute__((aligned(64)));

/* Of a cluster, by its name. */
struct tg_health_cluster {
	uint32_t generation; /* of its hosts' flags */
	uint32_t ejected;    /* hosts with FAILED_OUTLIER, for max_ejection_percent */
	bool watched;        /* the configuration in use has outlier_detection */
	bool checked;        /* and health_checks */
	uint32_t worker;     /* which looks after the cluster as a whole */
	void *owned;         /* that worker's own: what it keeps of the cluster */
	/* Private to the registry. */
	uint32_t refs, n_hosts; /* ever */
	char *name;
	struct tg_health_cluster *next;
	struct tg_health *registry;
} __attribute__((aligned(64)));

/* Of an endpoint. */
struct tg_host {
	uint32_t flags;
	/* Errors in a row, by enum tg_detector; written by who sees an error, and by who sees the
	 * first success behind one. */
	uint32_t streak[TG_STREAKS];
	struct tg_health_cluster *of;
	uint64_t since; /* CLOCK_MONOTONIC, ns: when it came, or was found to be well again */
	struct tg_outlier_row *rows; /* [worker]; NULL: its answers are not counted */
	/* Ejections: by who ejects, then by the cluster's worker. */
	uint64_t ejected_at; /* ns */
	uint32_t backoff;    /* how often of late: so many times base_ejection_time */
	uint32_t worker;     /* which checks it */
	void *owned;         /* that worker's own: what it keeps of the check */
	/* The cluster's worker's: sums at its last look, and what had come since the one before. */
	struct tg_outlier_counts seen;
	struct tg_outlier_rate rate[2]; /* answers; failures on the way */
	/* Private to the registry. */
	uint32_t refs, round;
	struct tg_sockaddr addr;
	struct tg_host *next;
} __attribute__((aligned(64)));

#define TG_HEALTH_TEXT 128

struct tg_health;
struct tg_health *tg_health_create(uint32_t n_workers); /* NULL: no memory */
void tg_health_destroy(struct tg_health *h);
/* Gives c and its endpoints their state: as it is where it is known already, without what c has
 * nobody to find out. TG_ENOMEM, and then nothing is bound. Before any worker sees c. */
int tg_health_bind(struct tg_health *h, struct tg_cluster *c);
/* c is of the configuration that is in use from now on: bound, and nothing can refuse it any more.
 * Before any worker sees it. */
void tg_health_use(const struct tg_cluster *c);
/* Nobody uses c any more. Nothing, if it is not bound. */
void tg_health_unbind(struct tg_cluster *c);

/* All workers have adopted c in place of old, both bound; NULL: the cluster is gone. An endpoint
 * that only old has gives back its place among the ejected ones, and takes none again while
 * requests under way keep it. */
void tg_health_replaced(struct tg_cluster *old, const struct tg_cluster *c);

/* c, bound, has other endpoints than the cluster of this name had: its generation grows. */
void tg_health_changed(const struct tg_cluster *c);

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

/* False: that is what they were, or FAILED_OUTLIER is to be set of one that is GONE. */
bool tg_host_change(struct tg_host *h, uint32_t set, uint32_t clear);
/* An answer says that it is unwell: until a check passes. False: that was known, or, under an old
 * configuration, nobody would find out that it is well again. */
bool tg_host_fail(struct tg_host *h);

static inline uint32_t tg_health_generation(const struct tg_health_cluster *c)
{
	/* Acquire: the flags read next are at least as new. */
	return c ? __atomic_load_n(&c->generation, __ATOMIC_ACQUIRE) : 0;
}

/* --- active checks: what a result means ------------------------------------------------------ */

struct tg_status_range {
	uint16_t first, end; /* first .. end - 1 */
};

#define TG_HEALTH_BLOCKS_MAX 16

/* Envoy's health_checks[]; times in ns. */
struct tg_health_check {
	uint64_t timeout, interval, initial_jitter, interval_jitter;
	uint32_t interval_jitter_percent;
	uint32_t unhealthy_threshold, healthy_threshold;
	uint64_t unhealthy_interval, unhealthy_edge_interval, healthy_edge_interval;
	uint64_t no_traffic_interval, no_traffic_healthy_interval;
	bool reuse_connection, always_log_failures;
	bool http;
	struct tg_view send; /* the whole request, or what is sent over TCP; .n 0: nothing */
	/* http */
	bool head; /* the method is HEAD: no content comes */
	uint32_t n_expected, n_retriable;
	const struct tg_status_range *expected, *retriable;
	/* TCP: blocks that have to come in this order, with anything in between */
	uint32_t n_receive;
	const struct tg_view *receive;
};

enum tg_health_result {
	TG_CHECK_PASSED,
	TG_CHECK_DEGRADED,  /* passed, with x-envoy-degraded */
	TG_CHECK_FAILED,    /* an answer that says so: unhealthy at once */
	TG_CHECK_RETRIABLE, /* one of retriable_statuses: counted up to the threshold */
	TG_CHECK_NETWORK,   /* no connection, or it ended */
	TG_CHECK_TIMEOUT,
};

/* What the one who checks a host keeps of it. Zeroed: it was never checked. */
struct tg_health_count {
	uint32_t good, bad; /* results in a row, where they have not changed anything yet */
	bool checked;
};

enum tg_health_result tg_health_status(const struct tg_health_check *hc, uint16_t status);
/* Takes a result to heart, as Envoy does: flags, counters. stats: the caller's own. Returns the ns
 * until the next check. traffic: the cluster was ever used. changed: FAILED_ACTIVE is another. */
uint64_t tg_health_judge(struct tg_host *h, const struct tg_health_check *hc,
	struct tg_health_count *n, enum tg_health_result r, bool traffic,
	struct tg_cluster_stats *stats, struct tg_rng *rng, bool *changed);
/* base and its jitter. */
uint64_t tg_health_interval(const struct tg_health_check *hc, uint64_t base, struct tg_rng *rng);

/* --- outlier detection ------------------------------------------------------------------------ */

/* Envoy's outlier_detection; times in ns. */
struct tg_outlier {
	uint32_t consecutive[TG_STREAKS]; /* 0: off */
	uint32_t enforcing[TG_DETECTORS]; /* percent of what is detected */
	uint64_t interval, base_ejection, max_ejection, max_jitter;
	uint32_t max_percent;                          /* of the hosts may be ejected */
	bool one_in_any_case;                          /* whatever percentage that is */
	uint32_t rate_hosts, rate_volume, rate_factor; /* success rate; thousandths of sigma */
	uint32_t failure_percent, failure_hosts, failure_volume;
	bool split;   /* what happens on the way counts apart from answers */
	bool uneject; /* by an active check that passes */
};

/* Who saw something: a worker. */
struct tg_outlier_ask {
	const struct tg_cluster *c; /* with outlier, bound */
	uint32_t worker, n_workers;
	uint64_t now; /* ns */
	struct tg_rng *rng;
};

/* An answer came; a connection failed or was lost without; one was opened. timeout: it was time
 * that ran out. */
void tg_outlier_answer(const struct tg_outlier_ask *a, struct tg_host *h, uint16_t status);
void tg_outlier_failure(const struct tg_outlier_ask *a, struct tg_host *h, bool timeout);
void tg_outlier_connected(const struct tg_outlier_ask *a, struct tg_host *h);
/* Each interval, by the cluster's worker: success rates, and those whose time is over return. */
void tg_outlier_look(const struct tg_outlier_ask *a);
/* It returns now. Nothing if it is not ejected. */
void tg_outlier_return(struct tg_host *h, uint32_t worker);

/* --- events: for the log ---------------------------------------------------------------------- */

enum tg_health_change {
	TG_HEALTH_IS_HEALTHY,
	TG_HEALTH_IS_UNHEALTHY,
	TG_HEALTH_CHECK_FAILED, /* the first one, or always_log_health_check_failures */
	TG_HEALTH_IS_DEGRADED,
	TG_HEALTH_NO_LONGER_DEGRADED,
	TG_HEALTH_EJECTED,
	TG_HEALTH_NOT_ENFORCED, /* detected, and let pass */
	TG_HEALTH_RETURNED,
};

struct tg_health_event {
	uint8_t change; /* enum tg_health_change */
	uint8_t reason; /* enum tg_health_result or enum tg_detector */
	struct tg_sockaddr addr;
	char cluster[64];
};

/* By a worker. Where the ring is full it is lost, and counted. */
void tg_health_say(
	struct tg_host *h, uint32_t worker, enum tg_health_change change, uint8_t reason);
/* The next event of any worker; false: there is none. One thread, the control core. *lost: how many
 * since the last call. */
bool tg_health_next(struct tg_health *h, struct tg_health_event *out, uint64_t *lost);
/* "unhealthy: no answer in time". Returns out. */
char *tg_health_event_text(const struct tg_health_event *e, char out[static TG_HEALTH_TEXT]);

/* "/failed_active_hc/pending_active_hc", or "healthy". Returns out. */
char *tg_health_text(uint32_t flags, char out[static TG_HEALTH_TEXT]);

#endif
