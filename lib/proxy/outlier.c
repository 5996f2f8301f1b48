/* outlier.c: what a request's try came to, for outlier detection. */
#include "internal.h"

static struct tg_host *find(const struct tg_cluster *c, const struct tg_sockaddr *a)
{
	for (uint32_t i = 0; c && i < c->n_endpoints; i++)
		if (c->endpoints[i].addr.port == a->port &&
			tg_ip_eq(&c->endpoints[i].addr.ip, &a->ip))
			return c->endpoints[i].host;
	return NULL;
}

struct tg_host *px_host_of(const struct px_exch *ex, const struct tg_cluster **c)
{
	const struct tg_snapshot *s = ex->snap;

	*c = ex->cluster;
	if (ex->cluster->discovery == TG_DISCOVERY_STATIC) {
		/* Of several tries (hedge.c) it may be another that is answered. */
		if (tg_likely(tg_sockaddr_eq(&ex->chosen->addr, &ex->ep->addr)))
			return ex->chosen->host;
		return find(*c, &ex->ep->addr);
	}
	*c = px_cluster_live(ex->proxy, &s, ex->cluster);
	return find(*c, &ex->ep->addr);
}

/* False: nobody counts. */
static bool ask_of(struct tg_proxy *p, const struct tg_cluster *c, const struct tg_host *h,
	struct tg_outlier_ask *a)
{
	*a = (struct tg_outlier_ask){.c = c,
		.worker = p->conf.worker,
		.n_workers = p->conf.n_workers,
		.now = px_now(p),
		.rng = &p->rng};
	return c && c->outlier && h && h->rows;
}

/* Once a try: the head of an answer may be read more than once. */
void px_outlier_answer(struct px_exch *ex, uint16_t status)
{
	const struct tg_cluster *c;
	struct tg_host *h = px_host_of(ex, &c);
	struct tg_outlier_ask a;

	if (ex->judged || !ask_of(ex->proxy, c, h, &a))
		return;
	ex->judged = true;
	tg_outlier_answer(&a, h, status);
}

void px_outlier_failure(struct px_exch *ex, bool timeout)
{
	const struct tg_cluster *c;
	struct tg_host *h = px_host_of(ex, &c);
	struct tg_outlier_ask a;

	if (ask_of(ex->proxy, c, h, &a))
		tg_outlier_failure(&a, h, timeout);
}

void px_outlier_connected(struct px_exch *ex)
{
	const struct tg_cluster *c;
	struct tg_host *h = px_host_of(ex, &c);
	struct tg_outlier_ask a;

	ex->judged = false;
	if (ask_of(ex->proxy, c, h, &a))
		tg_outlier_connected(&a, h);
}

/* A connection that opened is an answer of its own, where there will be none. */
void px_outlier_l4(const struct px_l4 *l, bool good, bool timeout)
{
	struct tg_proxy *p = l->down->ln->proxy;
	const struct tg_cluster *c = l->of;
	struct tg_outlier_ask a;
	struct tg_host *h;

	if (p->snap->generation != l->generation || !c->outlier)
		return;
	h = l->host;
	if (c->discovery != TG_DISCOVERY_STATIC) {
		c = p->clusters[c->id];
		h = find(c, &l->upstream);
	}
	if (!ask_of(p, c, h, &a))
		return;
	if (!good)
		tg_outlier_failure(&a, h, timeout);
	else if (c->outlier->split)
		tg_outlier_connected(&a, h);
	else
		tg_outlier_answer(&a, h, 200);
}
