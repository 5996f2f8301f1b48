#include "dns.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>

#include <tidegate/dns.h>
#include <tidegate/rng.h>

#include "worker.h"

/* New names are waited for so long before their configuration is used. */
#define WARM_NS (3 * TG_SEC)
#define BUCKETS 4096

/* A name of a cluster. */
struct target {
	struct target *next; /* in its bucket */
	struct tg_dns_control *control;
	char *cluster, *host, *resolvers;
	struct tg_dns_conf conf;
	bool logical;
	struct tg_dns_watch *watch;
	struct tg_cluster_stats *stats; /* row of the control core's words */
	bool wanted;
	bool answered;                      /* at least once */
	bool troubled;                      /* said */
	uint32_t fresh;                     /* successful answers that were not looked at */
	uint32_t n, n_self;                 /* addresses; and those of this process */
	struct tg_ip ips[TG_DNS_ADDRS_MAX]; /* strict: sorted */
};

/* A live twin, with all its memory. */
struct block {
	struct block *next;
	max_align_t data[];
};
struct twin {
	struct tg_cluster c; /* first: what c->live points to */
	struct tg_app *app;
	struct block *blocks;
	struct twin *next; /* retired */
};

struct tg_dns_control {
	struct tg_app *app;
	struct tg_dns *dns;
	struct twin *retired; /* readers of snapshots may still have them */
	uint32_t fresh;       /* answers to look at, of all targets */
	struct target *targets[BUCKETS];
};

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * TG_SEC + (uint64_t)ts.tv_nsec;
}

/* --- what comes back --- */

static bool is_self(const struct tg_app *app, const struct tg_ip *ip)
{
	const struct tg_snapshot *s = app->boot;

	for (uint32_t p = 0; p < s->n_ports; p++)
		for (uint32_t a = 0; a < s->ports[p].n_addrs; a++)
			if (tg_ip_eq(&s->ports[p].addrs[a].ip, ip))
				return true;
	return false;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tg_ip));
}

static void found(struct target *t, const struct tg_dns_answer *a)
{
	t->n = t->n_self = 0;
	for (uint32_t i = 0; i < a->n; i++)
		if (is_self(t->control->app, &a->ips[i]))
			t->n_self++; /* Tidegate cannot be its own origin */
		else if (!tg_ip_is_any(&a->ips[i]) && !tg_ip_is_multicast(&a->ips[i]))
			t->ips[t->n++] = a->ips[i];
	/* Servers turn the order round, which changes nothing where all are used. */
	if (!t->logical)
		qsort(t->ips, t->n, sizeof(t->ips[0]), by_bytes);
}

static void tell(struct target *t, const struct tg_dns_answer *a)
{
	bool trouble = a->outcome != TG_DNS_FOUND;

	if (trouble && !t->troubled)
		tg_say(TG_WARN, "cluster %s: name %s: %s; %s, asked again in %.3g s", t->cluster,
			t->host, a->why,
			a->outcome == TG_DNS_EMPTY && !t->logical ? "it has no endpoints now"
			: t->n                                    ? "its endpoints stay"
								  : "it has no endpoints",
			(double)a->again_in / 1e9);
	else if (!trouble && t->troubled)
		tg_say(TG_INFO, "cluster %s: name %s: found again", t->cluster, t->host);
	t->troubled = trouble;
}

static void take(void *owner, const struct tg_dns_answer *a)
{
	struct target *t = owner;

	if (a->outcome == TG_DNS_ASKED) {
		t->stats->update_attempt++;
		return;
	}
	t->answered = true;
	if (a->outcome == TG_DNS_FAILED) {
		t->stats->update_failure++;
		tell(t, a);
		return;
	}
	t->stats->update_success++;
	t->stats->update_empty += a->outcome == TG_DNS_EMPTY;
	if (a->outcome == TG_DNS_FOUND)
		found(t, a);
	else if (!t->logical)
		t->n = t->n_self = 0;
	t->fresh++;
	t->control->fresh++;
	tell(t, a);
}

/* --- targets --- */

static struct target **bucket_of(struct tg_dns_control *k, const char *cluster, const char *host)
{
	uint64_t h = tg_hash64(tg_hash64(0, cluster, strlen(cluster)), host, strlen(host));

	return &k->targets[h % BUCKETS];
}

static bool same_conf(const struct tg_dns_conf *a, const struct tg_dns_conf *b)
{
	return a->family == b->family && a->respect_ttl == b->respect_ttl &&
	       a->refresh == b->refresh && a->min_refresh == b->min_refresh &&
	       a->failure_base == b->failure_base && a->failure_max == b->failure_max &&
	       a->tcp == b->tcp && a->no_search == b->no_search && a->timeout_ms == b->timeout_ms &&
	       a->tries == b->tries && strcmp(a->resolvers, b->resolvers) == 0;
}

static struct target *find_target(
	struct tg_dns_control *k, const struct tg_cluster *c, const char *host)
{
	struct target *t = *bucket_of(k, c->name, host);

	while (t && (strcmp(t->cluster, c->name) != 0 || strcmp(t->host, host) != 0 ||
			    t->logical != (c->discovery == TG_DISCOVERY_LOGICAL_DNS) ||
			    !same_conf(&t->conf, c->dns)))
		t = t->next;
	return t;
}

static void free_target(struct target *t)
{
	if (t->watch)
		tg_dns_watch_free(t->watch);
	free(t->cluster);
	free(t->host);
	free(t->resolvers);
	free(t);
}

static struct target *new_target(
	struct tg_dns_control *k, const struct tg_cluster *c, const char *host, struct tg_errbuf *e)
{
	struct target **bucket = bucket_of(k, c->name, host), *t = calloc(1, sizeof(*t));

	tg_fail(e, TG_ENOMEM, "out of memory");
	if (!t)
		return NULL;
	t->control = k;
	t->cluster = strdup(c->name);
	t->host = strdup(host);
	t->resolvers = strdup(c->dns->resolvers);
	t->conf = *c->dns;
	t->conf.resolvers = t->resolvers;
	t->logical = c->discovery == TG_DISCOVERY_LOGICAL_DNS;
	t->stats = c->stats;
	if (t->cluster && t->host && t->resolvers)
		t->watch = tg_dns_watch_new(k->dns, t->host, &t->conf, take, t, e);
	if (!t->watch) {
		free_target(t);
		return NULL;
	}
	t->next = *bucket;
	*bucket = t;
	return t;
}

static bool by_dns(const struct tg_cluster *c)
{
	return c->discovery != TG_DISCOVERY_STATIC;
}

/* Targets of the clusters of s are wanted, all others are not. False: one could not be made. */
static bool want(struct tg_dns_control *k, const struct tg_snapshot *s, FILE *err)
{
	struct tg_errbuf e;

	for (uint32_t b = 0; b < BUCKETS; b++)
		for (struct target *t = k->targets[b]; t; t = t->next)
			t->wanted = false;
	for (uint32_t i = 0; i < s->n_clusters; i++)
		for (uint32_t n = 0; n < s->clusters[i].n_names; n++) {
			const struct tg_cluster *c = &s->clusters[i];
			struct target *t;

			if (!c->names[n].host)
				continue;
			t = find_target(k, c, c->names[n].host);
			if (!t)
				t = new_target(k, c, c->names[n].host, &e);
			if (!t) {
				fprintf(err, "cluster \"%s\": name %s: %s\n", c->name,
					c->names[n].host, e.text);
				return false;
			}
			t->wanted = true;
		}
	return true;
}

static void drop_unwanted(struct tg_dns_control *k)
{
	for (uint32_t b = 0; b < BUCKETS; b++)
		for (struct target **p = &k->targets[b]; *p;) {
			struct target *t = *p;

			if (t->wanted) {
				p = &t->next;
				continue;
			}
			*p = t->next;
			k->fresh -= t->fresh;
			free_target(t);
		}
}

/* --- twins --- */

static void *twin_alloc(void *ctx, size_t n)
{
	struct twin *w = ctx;
	struct block *b = calloc(1, sizeof(*b) + n);

	if (!b)
		return NULL;
	b->next = w->blocks;
	w->blocks = b;
	return b->data;
}

static void free_twin(struct twin *w)
{
	struct block *b = w ? w->blocks : NULL;

	if (w) {
		tg_health_unbind(&w->c); /* endpoints are in blocks */
		atomic_fetch_sub(&w->app->endpoint_sets, 1);
	}
	while (b) {
		struct block *next = b->next;

		free(b);
		b = next;
	}
	free(w);
}

static void add(struct tg_endpoint *list, uint32_t *n, const struct tg_ip *ip,
	const struct tg_origin_name *name)
{
	struct tg_sockaddr a = {*ip, name->addr.port};

	for (uint32_t i = 0; i < *n; i++)
		if (tg_sockaddr_eq(&list[i].addr, &a))
			return; /* two names of one host */
	list[(*n)++] = (struct tg_endpoint){.addr = a,
		.weight = name->weight,
		.priority = name->priority,
		.locality = name->locality,
		.zone_weight = name->zone_weight};
}

/* What c's names stand for now, into list (max_endpoints); how many. */
static uint32_t gather(struct tg_dns_control *k, const struct tg_cluster *c,
	struct tg_endpoint *list, uint32_t *n_self, uint32_t *fresh)
{
	uint32_t n = 0;

	*n_self = c->n_self;
	*fresh = 0;
	for (uint32_t i = 0; i < c->n_names; i++) {
		const struct tg_origin_name *name = &c->names[i];
		struct target *t;

		if (!name->host) {
			add(list, &n, &name->addr.ip, name);
			continue;
		}
		t = find_target(k, c, name->host);
		for (uint32_t a = 0; t && a < (t->logical && t->n ? 1 : t->n); a++)
			add(list, &n, &t->ips[a], name);
		if (t) {
			*n_self += t->n_self;
			*fresh += t->fresh;
			k->fresh -= t->fresh;
			t->fresh = 0;
		}
	}
	return n;
}

/* In the same order, as names are, and their addresses sorted. An address of two names takes
 * weight, priority and locality of the first, which may have lost it. */
static bool same_endpoints(
	const struct tg_cluster *live, const struct tg_endpoint *list, uint32_t n, uint32_t n_self)
{
	if (!live || live->n_endpoints != n || live->n_self != n_self)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!tg_sockaddr_eq(&live->endpoints[i].addr, &list[i].addr) ||
			live->endpoints[i].weight != list[i].weight ||
			live->endpoints[i].priority != list[i].priority ||
			live->endpoints[i].locality != list[i].locality)
			return false;
	return true;
}

/* NULL: no memory. */
static struct twin *make_twin(struct tg_dns_control *k, const struct tg_cluster *c,
	const struct tg_endpoint *list, uint32_t n, uint32_t n_self)
{
	struct twin *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->app = k->app;
	atomic_fetch_add(&w->app->endpoint_sets, 1);
	if (tg_cluster_with(&w->c, c, list, n, twin_alloc, w) ||
		tg_health_bind(k->app->health, &w->c)) {
		free_twin(w);
		return NULL;
	}
	w->c.n_self = n_self;
	return w;
}

/* No worker looks at it any more: between two turns nothing of theirs points into it, whatever is
 * under way. A reader of snapshots may. */
static void retire(struct tg_dns_control *k, struct tg_cluster *old)
{
	struct twin *w = (struct twin *)old;

	if (!w)
		return;
	w->next = k->retired;
	k->retired = w;
}

void tg_names_look(struct tg_app *app)
{
	struct tg_dns_control *k = app->dns;

	if (!k->retired)
		return;
	pthread_mutex_lock(&app->lock);
	while (k->retired && !app->holds) {
		struct twin *w = k->retired;

		k->retired = w->next;
		free_twin(w);
	}
	pthread_mutex_unlock(&app->lock);
}

void tg_names_forget(struct tg_snapshot *s)
{
	for (uint32_t i = 0; i < s->n_clusters; i++) {
		free_twin((struct twin *)s->clusters[i].live);
		s->clusters[i].live = NULL;
	}
}

/* Into use: nobody uses the old one when this returns, but for readers of snapshots. */
static void publish(struct tg_dns_control *k, struct tg_cluster *c, struct twin *w)
{
	static struct tg_order order = {.kind = TG_ORDER_LIVE};
	struct tg_cluster *old = c->live;

	__atomic_store_n(&c->live, &w->c, __ATOMIC_RELEASE);
	order.snapshot = k->app->current;
	order.live = &w->c;
	if (!tg_workers_order(k->app, &order))
		return; /* a worker hangs, and may still use it */
	if (old)
		tg_health_replaced(old, &w->c);
	tg_health_changed(&w->c);
	retire(k, old);
	tg_names_look(k->app);
}

static void count(struct tg_cluster *c, uint32_t n)
{
	c->stats->membership_change++;
	c->stats->membership_total = n;
}

static void look_at(struct tg_dns_control *k, struct tg_cluster *c)
{
	struct tg_endpoint *list = calloc(c->max_endpoints + 1, sizeof(*list));
	uint32_t fresh = 0, n_self = 0, n = list ? gather(k, c, list, &n_self, &fresh) : 0;
	struct twin *w = NULL;

	if (list && (!fresh || same_endpoints(c->live, list, n, n_self))) {
		c->stats->update_no_rebuild += fresh;
	} else if (list && (w = make_twin(k, c, list, n, n_self))) {
		publish(k, c, w);
		count(c, n);
		tg_say(TG_INFO, "cluster %s: %u endpoint(s) by DNS", c->name, n);
	} else {
		/* The next answer tries again. */
		tg_say(TG_ERROR, "cluster %s: out of memory for its endpoints", c->name);
	}
	free(list);
}

/* --- life --- */

/* False: some have not been answered yet. */
static bool all_answered(const struct tg_dns_control *k)
{
	for (uint32_t b = 0; b < BUCKETS; b++)
		for (const struct target *t = k->targets[b]; t; t = t->next)
			if (t->wanted && !t->answered)
				return false;
	return true;
}

static void warm_up(struct tg_dns_control *k)
{
	struct pollfd p = {.fd = tg_dns_fd(k->dns), .events = POLLIN};
	uint64_t now = monotonic(), until = now + WARM_NS;

	while (now < until) {
		int ms = tg_dns_run(k->dns, now), left = (int)((until - now) / TG_MS) + 1;

		if (all_answered(k))
			return;
		poll(&p, 1, ms >= 0 && ms < left ? ms : left);
		now = monotonic();
	}
	tg_say(TG_WARN, "some names of endpoints have had no answer for %d s; going on without",
		(int)(WARM_NS / TG_SEC));
}

static bool make_twins(struct tg_dns_control *k, struct tg_snapshot *s)
{
	for (uint32_t i = 0; i < s->n_clusters; i++) {
		struct tg_cluster *c = &s->clusters[i];
		struct tg_endpoint *list;
		uint32_t fresh, n, n_self = 0;
		struct twin *w;

		if (!by_dns(c)) {
			c->stats->membership_total = c->n_endpoints;
			continue;
		}
		list = calloc(c->max_endpoints + 1, sizeof(*list));
		n = list ? gather(k, c, list, &n_self, &fresh) : 0;
		w = list ? make_twin(k, c, list, n, n_self) : NULL;
		free(list);
		if (!w)
			return false;
		c->live = &w->c;
		if (c->stats->membership_total != n)
			count(c, n);
	}
	return true;
}

bool tg_names_load(struct tg_app *app, struct tg_snapshot *s, FILE *err)
{
	struct tg_dns_control *k = app->dns;
	bool ok = want(k, s, err);

	if (ok) {
		warm_up(k);
		ok = make_twins(k, s);
		if (!ok)
			fprintf(err, "out of memory for endpoints by DNS\n");
	}
	if (!ok) {
		tg_names_forget(s);
		want(k, app->current, err);
		drop_unwanted(k);
	}
	return ok;
}

void tg_names_adopted(struct tg_app *app)
{
	drop_unwanted(app->dns);
}

int tg_names_start(struct tg_app *app, struct tg_errbuf *e)
{
	struct tg_dns_control *k = calloc(1, sizeof(*k));
	uint64_t seed;

	if (!k)
		return tg_fail(e, TG_ENOMEM, "out of memory");
	if (tg_rng_secret(&seed, sizeof(seed))) {
		free(k);
		return tg_fail(e, TG_ESYS, "the kernel gives no random numbers");
	}
	k->app = app;
	k->dns = tg_dns_create(seed, e);
	if (!k->dns) {
		free(k);
		return TG_ESYS;
	}
	app->dns = k;
	if (!tg_names_load(app, app->boot, stderr)) {
		tg_names_stop(app);
		return tg_fail(e, TG_ENOMEM, "names of endpoints cannot be looked up");
	}
	return 0;
}

void tg_names_stop(struct tg_app *app)
{
	struct tg_dns_control *k = app->dns;

	if (!k)
		return;
	for (uint32_t b = 0; b < BUCKETS; b++)
		for (struct target *t = k->targets[b]; t; t = t->next)
			t->wanted = false;
	drop_unwanted(k);
	tg_dns_destroy(k->dns);
	while (k->retired) {
		struct twin *w = k->retired;

		k->retired = w->next;
		free_twin(w);
	}
	free(k);
	app->dns = NULL;
}

void tg_names_attach(struct tg_app *app, int epoll)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = tg_dns_fd(app->dns->dns)};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, ev.data.fd, &ev))
		tg_say(TG_WARN, "names of endpoints are looked at only once a second");
}

int tg_names_poll(struct tg_app *app)
{
	struct tg_dns_control *k = app->dns;
	struct tg_snapshot *s = app->current;
	int ms = tg_dns_run(k->dns, monotonic());

	for (uint32_t i = 0; i < s->n_clusters && k->fresh; i++)
		if (by_dns(&s->clusters[i]))
			look_at(k, &s->clusters[i]);
	return ms;
}
