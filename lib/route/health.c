/* health.c: the registry of hosts. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tidegate/health.h>
#include <tidegate/route.h>

#define BUCKETS 16384
#define RING 256 /* events of a worker that wait for the control core */

/* One writer, one reader. */
struct ring {
	uint32_t head; /* the writer's */
	uint64_t lost;
	uint32_t tail __attribute__((aligned(64))); /* the reader's */
	struct tg_health_event event[RING];
} __attribute__((aligned(64)));

struct tg_health {
	pthread_mutex_t mutex;
	struct tg_health_cluster *clusters[BUCKETS];
	struct tg_host *hosts[BUCKETS];
	uint32_t n_workers, next_worker;
	uint32_t round;     /* of tg_health_replaced() */
	struct ring *rings; /* [n_workers] */
	uint64_t lost;      /* told of already */
};

static void *zeroed(size_t size)
{
	void *p = aligned_alloc(64, (size + 63) / 64 * 64);

	if (p)
		memset(p, 0, (size + 63) / 64 * 64);
	return p;
}

struct tg_health *tg_health_create(uint32_t n_workers)
{
	struct tg_health *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->n_workers = n_workers;
	h->rings = zeroed(n_workers * sizeof(*h->rings));
	if (!h->rings || pthread_mutex_init(&h->mutex, NULL)) {
		free(h->rings);
		free(h);
		return NULL;
	}
	return h;
}

void tg_health_destroy(struct tg_health *h)
{
	if (!h)
		return;
	pthread_mutex_destroy(&h->mutex);
	free(h->rings);
	free(h);
}

/* --- clusters --- */

static struct tg_health_cluster **cluster_bucket(struct tg_health *h, const char *name)
{
	return &h->clusters[tg_hash64(0, name, strlen(name)) % BUCKETS];
}

static void put_cluster(struct tg_health *h, struct tg_health_cluster *k)
{
	struct tg_health_cluster **at = cluster_bucket(h, k->name);

	if (--k->refs)
		return;
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	free(k->name);
	free(k);
}

static struct tg_health_cluster *get_cluster(struct tg_health *h, const char *name)
{
	struct tg_health_cluster **bucket = cluster_bucket(h, name), *k = *bucket;

	while (k && strcmp(k->name, name) != 0)
		k = k->next;
	if (!k) {
		k = zeroed(sizeof(*k));
		if (!k)
			return NULL;
		k->name = strdup(name);
		if (!k->name) {
			free(k);
			return NULL;
		}
		k->registry = h;
		k->worker = h->next_worker++ % h->n_workers;
		k->next = *bucket;
		*bucket = k;
	}
	k->refs++;
	return k;
}

/* --- hosts --- */

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct tg_host **host_bucket(
	struct tg_health *h, const struct tg_health_cluster *of, const struct tg_sockaddr *a)
{
	uint64_t hash = tg_hash64(tg_hash64(a->port, a->ip.b, sizeof(a->ip.b)), &of, sizeof(of));

	return &h->hosts[hash % BUCKETS];
}

static void put_host(struct tg_health *h, struct tg_host *host)
{
	struct tg_host **at = host_bucket(h, host->of, &host->addr);

	if (--host->refs)
		return;
	if (host->flags & TG_HEALTH_FAILED_OUTLIER)
		__atomic_fetch_sub(&host->of->ejected, 1, __ATOMIC_RELAXED);
	while (*at != host)
		at = &(*at)->next;
	*at = host->next;
	put_cluster(h, host->of);
	free(host->rows);
	free(host);
}

static struct tg_host *get_host(
	struct tg_health *h, struct tg_health_cluster *of, const struct tg_sockaddr *a)
{
	struct tg_host **bucket = host_bucket(h, of, a), *host = *bucket;

	while (host &&
		(host->of != of || host->addr.port != a->port || !tg_ip_eq(&host->addr.ip, &a->ip)))
		host = host->next;
	if (!host) {
		host = zeroed(sizeof(*host));
		if (!host)
			return NULL;
		host->of = of;
		of->refs++;
		host->addr = *a;
		host->since = monotonic();
		host->worker = (of->worker + of->n_hosts++) % h->n_workers;
		host->next = *bucket;
		*bucket = host;
	}
	host->refs++;
	return host;
}

/* --- binding --- */

static void unbind(struct tg_health *h, struct tg_cluster *c)
{
	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		if (c->endpoints[i].host)
			put_host(h, c->endpoints[i].host);
		c->endpoints[i].host = NULL;
	}
	put_cluster(h, c->health);
	c->health = NULL;
}

/* What c asks for of a host that may be new. */
static int prepare(struct tg_health *h, const struct tg_cluster *c, struct tg_host *host)
{
	if (c->check && host->refs == 1)
		host->flags = TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_PENDING;
	if (!c->outlier || host->rows)
		return 0;
	host->rows = zeroed(h->n_workers * sizeof(*host->rows));
	return host->rows ? 0 : TG_ENOMEM;
}

int tg_health_bind(struct tg_health *h, struct tg_cluster *c)
{
	int rc = 0;

	pthread_mutex_lock(&h->mutex);
	c->health = get_cluster(h, c->name);
	for (uint32_t i = 0; i < c->n_endpoints && c->health && !rc; i++) {
		c->endpoints[i].host = get_host(h, c->health, &c->endpoints[i].addr);
		rc = c->endpoints[i].host ? prepare(h, c, c->endpoints[i].host) : TG_ENOMEM;
	}
	if (c->health && rc)
		unbind(h, c);
	pthread_mutex_unlock(&h->mutex);
	return c->health ? 0 : TG_ENOMEM;
}

void tg_health_use(const struct tg_cluster *c)
{
	__atomic_store_n(&c->health->watched, c->outlier != NULL, __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->health->checked, c->check != NULL, __ATOMIC_SEQ_CST);
}

void tg_health_unbind(struct tg_cluster *c)
{
	struct tg_health *h = c->health ? c->health->registry : NULL;

	if (!h)
		return;
	pthread_mutex_lock(&h->mutex);
	unbind(h, c);
	pthread_mutex_unlock(&h->mutex);
}

/* As one step: whoever ejects it at the same moment comes first, or does not. */
static void mark_gone(struct tg_host *host)
{
	uint32_t old = __atomic_load_n(&host->flags, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(&host->flags, &old,
		(old | TG_HEALTH_GONE) & ~(uint32_t)TG_HEALTH_FAILED_OUTLIER, true,
		__ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	if (old & TG_HEALTH_FAILED_OUTLIER)
		__atomic_fetch_sub(&host->of->ejected, 1, __ATOMIC_RELAXED);
}

void tg_health_replaced(struct tg_cluster *old, const struct tg_cluster *c)
{
	struct tg_health *h = old->health ? old->health->registry : NULL;

	if (!h)
		return;
	pthread_mutex_lock(&h->mutex);
	h->round++;
	for (uint32_t i = 0; c && i < c->n_endpoints; i++) {
		struct tg_host *host = c->endpoints[i].host;

		host->round = h->round;
		__atomic_fetch_and(&host->flags, ~TG_HEALTH_GONE, __ATOMIC_RELAXED);
	}
	for (uint32_t i = 0; i < old->n_endpoints; i++)
		if (old->endpoints[i].host->round != h->round)
			mark_gone(old->endpoints[i].host);
	pthread_mutex_unlock(&h->mutex);
}

void tg_health_changed(const struct tg_cluster *c)
{
	__atomic_fetch_add(&c->health->generation, 1, __ATOMIC_RELEASE);
}

/* --- flags --- */

bool tg_host_change(struct tg_host *h, uint32_t set, uint32_t clear)
{
	uint32_t old = __atomic_load_n(&h->flags, __ATOMIC_RELAXED), next;

	do {
		next = (old & ~clear) | set;
		if (next == old || (set & TG_HEALTH_FAILED_OUTLIER & ~old && old & TG_HEALTH_GONE))
			return false;
		/* Before the verdict, with which it is read. */
		if (!tg_health_good(old) && tg_health_good(next))
			__atomic_store_n(&h->since, monotonic(), __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(
		&h->flags, &old, next, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	__atomic_fetch_add(&h->of->generation, 1, __ATOMIC_RELEASE);
	return true;
}

bool tg_host_fail(struct tg_host *h)
{
	if (!tg_host_change(h, TG_HEALTH_FAILED_ACTIVE, 0))
		return false;
	/* Behind the change: if checks end between the two, who ends them takes it back. */
	if (__atomic_load_n(&h->of->checked, __ATOMIC_SEQ_CST))
		return true;
	tg_host_change(h, 0, TG_HEALTH_FAILED_ACTIVE);
	return false;
}

/* --- events --- */

void tg_health_say(struct tg_host *h, uint32_t worker, enum tg_health_change change, uint8_t reason)
{
	struct ring *r = &h->of->registry->rings[worker];
	struct tg_health_event *e = &r->event[r->head % RING];

	if (r->head - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) == RING) {
		__atomic_store_n(&r->lost, r->lost + 1, __ATOMIC_RELAXED);
		return;
	}
	*e = (struct tg_health_event){(uint8_t)change, reason, h->addr, ""};
	strncpy(e->cluster, h->of->name, sizeof(e->cluster) - 1);
	__atomic_store_n(&r->head, r->head + 1, __ATOMIC_RELEASE);
}

bool tg_health_next(struct tg_health *h, struct tg_health_event *out, uint64_t *lost)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < h->n_workers; w++)
		sum += __atomic_load_n(&h->rings[w].lost, __ATOMIC_RELAXED);
	*lost = sum - h->lost;
	h->lost = sum;
	for (uint32_t w = 0; w < h->n_workers; w++) {
		struct ring *r = &h->rings[w];

		if (r->tail == __atomic_load_n(&r->head, __ATOMIC_ACQUIRE))
			continue;
		*out = r->event[r->tail % RING];
		__atomic_store_n(&r->tail, r->tail + 1, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

char *tg_health_event_text(const struct tg_health_event *e, char out[static TG_HEALTH_TEXT])
{
	static const char *const results[] = {[TG_CHECK_PASSED] = "a check passed",
		[TG_CHECK_DEGRADED] = "it says that it is degraded",
		[TG_CHECK_FAILED] = "its answer was not an expected one",
		[TG_CHECK_RETRIABLE] = "its answer was not an expected one",
		[TG_CHECK_NETWORK] = "no connection, or it was lost",
		[TG_CHECK_TIMEOUT] = "no answer in time"};
	static const char *const detectors[] = {
#define X(id, name, text) name,
		TG_DETECTOR_LIST(X)
#undef X
	};
	static const char *const changes[] = {[TG_HEALTH_IS_HEALTHY] = "healthy",
		[TG_HEALTH_IS_UNHEALTHY] = "unhealthy",
		[TG_HEALTH_CHECK_FAILED] = "a check failed",
		[TG_HEALTH_IS_DEGRADED] = "degraded",
		[TG_HEALTH_NO_LONGER_DEGRADED] = "no longer degraded",
		[TG_HEALTH_EJECTED] = "ejected",
		[TG_HEALTH_NOT_ENFORCED] = "would have been ejected",
		[TG_HEALTH_RETURNED] = "returned after an ejection"};
	const char *why = e->change == TG_HEALTH_EJECTED || e->change == TG_HEALTH_NOT_ENFORCED
				  ? detectors[e->reason]
			  : e->change == TG_HEALTH_RETURNED ? ""
							    : results[e->reason];

	snprintf(out, TG_HEALTH_TEXT, "%s%s%s", changes[e->change], *why ? ": " : "", why);
	return out;
}

char *tg_health_text(uint32_t flags, char out[static TG_HEALTH_TEXT])
{
	static const char *const words[] = {
#define X(id, text) "/" text,
		TG_HEALTH_LIST(X)
#undef X
	};

	strcpy(out, flags & (TG_HEALTH_GONE - 1) ? "" : "healthy");
	for (uint32_t i = 0; i < TG_HEALTH_WORDS; i++)
		if (flags >> i & 1)
			strcat(out, words[i]);
	return out;
}
