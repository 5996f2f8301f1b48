/* /memory: every pool of the process. Read while the workers change them: each number is right at
 * some moment. */
#include <inttypes.h>
#include <microhttpd.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <stdlib.h>
#include <string.h>

#include "admin_req.h"

struct list {
	struct tg_admin_pool *out;
	uint32_t n, cap;
	int worker;
};

static void put(struct list *l, struct tg_admin_pool p)
{
	p.worker = l->worker;
	if (l->n < l->cap)
		l->out[l->n] = p;
	l->n++;
}

/* A table or ring without a peak. */
static void put_table(
	struct list *l, const char *name, uint64_t size, uint64_t count, uint64_t in_use)
{
	if (count)
		put(l, (struct tg_admin_pool){name, 0, size, count, in_use, 0, 0, false});
}

/* The peak is what the workers saw, looking every 100 ms, or what is seen now. */
static void put_mbufs(struct list *l, const struct tg_admin_req *q)
{
	const struct rte_mempool *m = q->app->mbufs;
	uint32_t in_use = rte_mempool_in_use_count(m), peak = in_use;

	for (uint32_t i = 0; i < tg_admin_workers(q); i++) {
		uint32_t seen = __atomic_load_n(&q->app->workers[i].mbufs_peak, __ATOMIC_RELAXED);

		peak = seen > peak ? seen : peak;
	}
	put(l, (struct tg_admin_pool){"mbuf", 0, m->header_size + m->elt_size + m->trailer_size,
		       m->size, in_use, peak, 0, true});
}

static void put_tcp(struct list *l, const struct tg_tcp *tcp)
{
	struct tg_tcp_usage u[16];
	uint32_t n = tg_tcp_usage(tcp, u, TG_ARRAY_LEN(u));

	for (uint32_t i = 0; i < n && i < TG_ARRAY_LEN(u); i++)
		put(l, (struct tg_admin_pool){u[i].name, 0, u[i].size, u[i].count, u[i].in_use,
			       u[i].peak, u[i].refused, true});
}

static void put_pools(struct list *l, const struct tg_pool *const *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put(l, (struct tg_admin_pool){p[i]->name, 0, p[i]->size, p[i]->count, p[i]->in_use,
			       p[i]->peak, p[i]->refused, true});
}

static void put_net(struct list *l, const struct tg_net *net)
{
	struct tg_net_usage u;

	tg_net_usage(net, &u);
	put_table(l, "neighbours", 0, u.neighbours_max, u.neighbours);
	put_table(l, "neighbour_pending", 0, u.pending_max, u.pending);
	put_table(l, "reassembly", 0, u.reassembly_max, u.reassembly);
	put_table(l, "path_mtu", 0, u.pmtu_max, u.pmtu);
}

static void put_worker(struct list *l, const struct tg_worker *w)
{
	const struct tg_pool *p[16]; /* more than any of them has */

	if (w->tcp)
		put_tcp(l, w->tcp);
	if (w->proxy)
		put_pools(l, p, tg_proxy_pools(w->proxy, p, TG_ARRAY_LEN(p)));
	if (w->tls)
		put_pools(l, p, tg_tls_pools(w->tls, p, TG_ARRAY_LEN(p)));
	if (w->net)
		put_net(l, w->net);
	if (w->steer_ring)
		put_table(l, "steer_ring", sizeof(void *), rte_ring_get_capacity(w->steer_ring),
			rte_ring_count(w->steer_ring));
	if (w->log)
		put_table(l, "log_ring", sizeof(struct tg_log_record), tg_log_ring_size(w->log),
			tg_log_ring_used(w->log));
}

uint32_t tg_admin_pools(const struct tg_admin_req *q, struct tg_admin_pool *out, uint32_t n)
{
	struct list l = {.out = out, .cap = n, .worker = -1};

	if (tg_admin_workers(q) && q->app->mbufs)
		put_mbufs(&l, q);
	for (uint32_t i = 0; i < tg_admin_workers(q); i++) {
		l.worker = (int)i;
		put_worker(&l, &q->app->workers[i]);
	}
	return l.n;
}

static json_t *pool_json(const struct tg_admin_pool *p)
{
	json_t *j = json_pack("{s:s, s:o, s:I, s:I, s:I, s:o, s:I, s:I}", "name", p->name, "worker",
		p->worker < 0 ? json_null() : json_integer(p->worker), "size", (json_int_t)p->size,
		"count", (json_int_t)p->count, "in_use", (json_int_t)p->in_use, "peak",
		p->has_peak ? json_integer((json_int_t)p->peak) : json_null(), "refused",
		(json_int_t)p->refused, "bytes", (json_int_t)(p->size * p->count));

	return j;
}

static void pool_text(FILE *out, const struct tg_admin_pool *p)
{
	char worker[12] = "all", peak[24] = "-";

	if (p->worker >= 0)
		snprintf(worker, sizeof(worker), "%d", p->worker);
	if (p->has_peak)
		snprintf(peak, sizeof(peak), "%" PRIu64, p->peak);
	fprintf(out, "%-20s %6s %8" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10s %10" PRIu64 "\n",
		p->name, worker, p->size, p->count, p->in_use, peak, p->refused);
}

static void text(struct tg_admin_req *q, const struct tg_admin_pool *p, uint32_t n, uint64_t bytes)
{
	fprintf(q->out, "%-20s %6s %8s %10s %10s %10s %10s\n", "pool", "worker", "size", "count",
		"in_use", "peak", "refused");
	for (uint32_t i = 0; i < n; i++)
		pool_text(q->out, &p[i]);
	fprintf(q->out, "\nbytes in pools: %" PRIu64 "\nconfigured: %" PRIu64 "\nhugepages: %s\n",
		bytes, q->app->boot->dataplane.memory, q->app->hugepages ? "yes" : "no");
}

unsigned int tg_admin_memory(struct tg_admin_req *q)
{
	enum { MAX = 4096 };
	unsigned int status;
	bool json = tg_admin_wants_json(q, &status);
	struct tg_admin_pool *p = calloc(MAX, sizeof(*p));
	json_t *list = json ? json_array() : NULL;
	uint64_t bytes = 0;
	uint32_t n;

	if (!p)
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	n = tg_admin_pools(q, p, MAX);
	n = n < MAX ? n : MAX;
	for (uint32_t i = 0; i < n; i++) {
		bytes += p[i].size * p[i].count;
		if (json)
			json_array_append_new(list, pool_json(&p[i]));
	}
	if (json)
		status = tg_admin_json(q,
			json_pack("{s:o, s:I, s:I, s:b}", "pools", list, "bytes", (json_int_t)bytes,
				"configured_bytes", (json_int_t)q->app->boot->dataplane.memory,
				"hugepages", (int)q->app->hugepages));
	else if (status == MHD_HTTP_OK)
		text(q, p, n, bytes);
	free(p);
	return status;
}
