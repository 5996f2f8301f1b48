/* health.c: the registry of hosts. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tidegate/health.h>
#include <tidegate/route.h>

#define BUCKETS 16384

struct tg_health {
	pthread_mutex_t mutex;
	struct tg_health_cluster *clusters[BUCKETS];
	struct tg_host *hosts[BUCKETS];
	uint32_t n_workers;
};

struct tg_health *tg_health_create(uint32_t n_workers)
{
	struct tg_health *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->n_workers = n_workers;
	if (pthread_mutex_init(&h->mutex, NULL)) {
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
	free(h);
}

static void *zeroed(size_t size)
{
	void *p = aligned_alloc(64, (size + 63) / 64 * 64);

	if (p)
		memset(p, 0, (size + 63) / 64 * 64);
	return p;
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

int tg_health_bind(struct tg_health *h, struct tg_cluster *c)
{
	int rc = 0;

	pthread_mutex_lock(&h->mutex);
	c->health = get_cluster(h, c->name);
	for (uint32_t i = 0; i < c->n_endpoints && c->health && !rc; i++) {
		c->endpoints[i].host = get_host(h, c->health, &c->endpoints[i].addr);
		if (!c->endpoints[i].host)
			rc = TG_ENOMEM;
	}
	if (c->health && rc)
		unbind(h, c);
	pthread_mutex_unlock(&h->mutex);
	return c->health ? 0 : TG_ENOMEM;
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

/* --- flags --- */

bool tg_host_change(struct tg_host *h, uint32_t set, uint32_t clear)
{
	uint32_t old = __atomic_load_n(&h->flags, __ATOMIC_RELAXED), next;

	do {
		next = (old & ~clear) | set;
		if (next == old)
			return false;
		/* Before the verdict, with which it is read. */
		if (!tg_health_good(old) && tg_health_good(next))
			__atomic_store_n(&h->since, monotonic(), __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(
		&h->flags, &old, next, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	__atomic_fetch_add(&h->of->generation, 1, __ATOMIC_RELEASE);
	return true;
}

char *tg_health_text(uint32_t flags, char out[static TG_HEALTH_TEXT])
{
	static const char *const words[] = {
#define X(id, text) "/" text,
		TG_HEALTH_LIST(X)
#undef X
	};

	strcpy(out, flags ? "" : "healthy");
	for (uint32_t i = 0; i < TG_HEALTH_WORDS; i++)
		if (flags >> i & 1)
			strcat(out, words[i]);
	return out;
}
