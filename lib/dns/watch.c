/* watch.c: when a name is asked for, and what an answer says. */
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "internal.h"

#define SEC UINT64_C(1000000000)
#define TTL_MAX (7 * 86400u) /* s: longer is not believed (RFC 8767 section 4) */
#define LEAST (SEC / 1000)   /* ns: no name is asked for more often */

/* --- life --- */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_init(void)
{
	ares_library_init(ARES_LIB_INIT_ALL);
}

struct tg_dns *tg_dns_create(uint64_t seed, struct tg_errbuf *e)
{
	struct tg_dns *d = calloc(1, sizeof(*d));

	pthread_once(&library_once, library_init);
	if (!d) {
		tg_fail(e, TG_ENOMEM, "out of memory");
		return NULL;
	}
	tg_rng_seed(&d->rng, seed);
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (d->epoll < 0) {
		tg_fail(e, TG_ESYS, "no epoll for the resolver");
		free(d);
		return NULL;
	}
	return d;
}

static void free_watch(struct tg_dns_watch *w)
{
	struct tg_dns_watch **at = &w->dns->watches;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	dns_channel_put(w->channel);
	free(w->name);
	free(w);
}

void tg_dns_destroy(struct tg_dns *d)
{
	if (!d)
		return;
	d->ending = true;
	/* The last watch of a channel takes it along, and so ends what the others asked. */
	for (struct dns_channel *c = d->channels; c; c = c->next)
		ares_cancel(c->ares);
	while (d->watches)
		free_watch(d->watches);
	close(d->epoll);
	free(d);
}

struct tg_dns_watch *tg_dns_watch_new(struct tg_dns *d, const char *name,
	const struct tg_dns_conf *conf, tg_dns_fn *fn, void *owner, struct tg_errbuf *e)
{
	struct tg_dns_watch *w = calloc(1, sizeof(*w));

	if (w)
		w->name = strdup(name);
	if (!w || !w->name) {
		free(w);
		tg_fail(e, TG_ENOMEM, "out of memory");
		return NULL;
	}
	w->dns = d;
	w->conf = *conf;
	w->fn = fn;
	w->owner = owner;
	w->channel = dns_channel_get(d, conf, e);
	if (!w->channel) {
		free(w->name);
		free(w);
		return NULL;
	}
	w->conf.resolvers = w->channel->resolvers;
	w->next = d->watches;
	d->watches = w;
	return w;
}

void tg_dns_watch_free(struct tg_dns_watch *w)
{
	/* c-ares cannot be told to forget one question. */
	w->gone = true;
	if (!w->asking)
		free_watch(w);
}

void tg_dns_watch_hurry(struct tg_dns_watch *w)
{
	w->due = 0;
}

/* --- when --- */

/* Behind failures: doubled each time, and up to a half of it by chance, so that the names of one
 * server that was away do not come back together. */
static uint64_t backoff(struct tg_dns_watch *w)
{
	uint64_t base = w->conf.failure_base, wait = base;

	if (!base)
		return w->conf.refresh;
	for (uint32_t i = 1; i < w->failures && wait < w->conf.failure_max; i++)
		wait *= 2;
	if (wait > w->conf.failure_max)
		wait = w->conf.failure_max;
	return wait - (uint64_t)((double)(wait / 2) *
				 ((double)tg_rng_below(&w->dns->rng, 1 << 20) / (double)(1 << 20)));
}

static uint64_t next_in(struct tg_dns_watch *w, enum tg_dns_outcome o)
{
	uint64_t in = w->conf.refresh;

	if (o == TG_DNS_FAILED) {
		in = backoff(w);
	} else if (o == TG_DNS_FOUND && w->conf.respect_ttl && w->ttl) {
		in = w->ttl * SEC;
		if (in < w->conf.min_refresh)
			in = w->conf.min_refresh;
	}
	return in > LEAST ? in : LEAST;
}

/* --- what --- */

static void ask(struct tg_dns_watch *w);

static void take(struct tg_dns_watch *w, const struct ares_addrinfo_node *node)
{
	uint32_t ttl = node->ai_ttl < 0 ? 0 : (uint32_t)node->ai_ttl;
	struct tg_ip ip;

	if (node->ai_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)node->ai_addr;

		ip = tg_ip_v4(in->sin_addr.s_addr);
	} else if (node->ai_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)node->ai_addr;

		memcpy(ip.b, &in6->sin6_addr, sizeof(ip.b));
	} else {
		return;
	}
	for (uint32_t i = 0; i < w->n; i++)
		if (tg_ip_eq(&w->ips[i], &ip))
			return;
	if (w->n == TG_DNS_ADDRS_MAX)
		return;
	ttl = ttl > TTL_MAX ? TTL_MAX : ttl;
	if (w->n == 0 || ttl < w->ttl)
		w->ttl = ttl;
	w->ips[w->n++] = ip;
}

static bool has_second(const struct tg_dns_watch *w)
{
	return !w->second &&
	       (w->conf.family == TG_DNS_AUTO || w->conf.family == TG_DNS_V4_PREFERRED);
}

static bool says_empty(int status)
{
	return status == ARES_SUCCESS || status == ARES_ENOTFOUND || status == ARES_ENODATA;
}

static void answered(void *ctx, int status, int timeouts, struct ares_addrinfo *found)
{
	struct tg_dns_watch *w = ctx;
	struct tg_dns_answer a = {.outcome = TG_DNS_FAILED};

	(void)timeouts;
	w->channel->asking--;
	w->dns->asking--;
	w->asking = false;
	for (const struct ares_addrinfo_node *n = found ? found->nodes : NULL; n; n = n->ai_next)
		take(w, n);
	if (found)
		ares_freeaddrinfo(found);
	if (w->gone || w->dns->ending) {
		if (!w->dns->ending)
			w->due = 0; /* freed by the next run: c-ares is still at it */
		return;
	}
	if (w->n == 0 && has_second(w)) {
		w->unsure = !says_empty(status);
		w->second = true;
		ask(w);
		return;
	}
	if (w->n)
		a.outcome = TG_DNS_FOUND;
	else if (says_empty(status) && !w->unsure)
		a.outcome = TG_DNS_EMPTY;
	a.n = w->n;
	a.ips = w->ips;
	a.why = status == ARES_SUCCESS ? "no address" : ares_strerror(status);
	w->failures = a.outcome == TG_DNS_FAILED ? w->failures + 1 : 0;
	a.again_in = next_in(w, a.outcome);
	w->due = w->dns->now + a.again_in;
	w->fn(w->owner, &a);
}

static void ask(struct tg_dns_watch *w)
{
	static const int first[] = {[TG_DNS_AUTO] = AF_INET6,
		[TG_DNS_V4_ONLY] = AF_INET,
		[TG_DNS_V6_ONLY] = AF_INET6,
		[TG_DNS_V4_PREFERRED] = AF_INET,
		[TG_DNS_ALL] = AF_UNSPEC};
	struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT};

	hints.ai_family = first[w->conf.family];
	if (w->second)
		hints.ai_family = hints.ai_family == AF_INET ? AF_INET6 : AF_INET;
	w->asking = true;
	w->channel->asking++;
	w->dns->asking++;
	ares_getaddrinfo(w->channel->ares, w->name, NULL, &hints, answered, w);
}

static void begin(struct tg_dns_watch *w)
{
	const struct tg_dns_answer a = {.outcome = TG_DNS_ASKED};

	dns_channel_renew(w->channel);
	w->second = w->unsure = false;
	w->n = w->ttl = 0;
	w->fn(w->owner, &a);
	ask(w);
}

static int ms_left(const struct dns_channel *c)
{
	struct timeval room, *t = ares_timeout(c->ares, NULL, &room);

	return t ? (int)(t->tv_sec * 1000 + (t->tv_usec + 999) / 1000) : -1;
}

static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

int tg_dns_run(struct tg_dns *d, uint64_t now)
{
	struct tg_dns_watch *w, *next;
	int ms = -1;

	d->now = now;
	for (struct dns_channel *c = d->channels; c; c = c->next)
		dns_channel_process(c);
	for (w = d->watches; w; w = next) {
		next = w->next;
		if (w->gone && !w->asking)
			free_watch(w);
		else if (!w->asking && w->due <= now && d->asking < TG_DNS_ASKING_MAX)
			begin(w);
	}
	for (w = d->watches; w; w = w->next) {
		uint64_t left = w->due > now ? w->due - now : 0;

		/* Who waits because too many ask is started by the next answer. */
		if (!w->asking && (left || d->asking < TG_DNS_ASKING_MAX))
			ms = sooner(ms, left / 1000000 > 3600000
						? 3600000
						: (int)((left + 999999) / 1000000));
	}
	for (struct dns_channel *c = d->channels; c; c = c->next)
		ms = sooner(ms, ms_left(c));
	return ms;
}

int tg_dns_fd(const struct tg_dns *d)
{
	return d->epoll;
}

/* --- texts --- */

static bool label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

bool tg_dns_is_name(const char *s)
{
	size_t n = strlen(s), label = 0;
	bool number = true;

	if (n && s[n - 1] == '.')
		n--;
	if (n == 0 || n > TG_DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (!label_char(s[i]) || ++label > 63 || (label == 1 && s[i] == '-'))
			return false;
		number &= s[i] >= '0' && s[i] <= '9';
	}
	return label && !number;
}

bool tg_dns_is_resolver(const char *s)
{
	struct tg_sockaddr a;
	struct tg_ip ip;

	return tg_sockaddr_parse(s, &a) == 0 || tg_ip_parse(s, &ip) == 0;
}
