/* route.h: where a request goes. Virtual host, route, cluster, endpoint.
 *
 * The tables are part of a configuration snapshot: built on the control core by lib/config,
 * immutable, read by every worker. Matching neither allocates nor writes. What changes (round-robin
 * position, counters) is per worker and handed in.
 *
 * Cost: one hash lookup for the host (exact), one for each label of a wildcard; a trie walk for the
 * path; predicates only of the candidates. First match in configured order wins (Envoy).
 */
#ifndef TIDEGATE_ROUTE_H
#define TIDEGATE_ROUTE_H

#include <tidegate/addr.h>
#include <tidegate/msg.h>
#include <tidegate/rng.h>
#include <tidegate/stats.h>

struct tg_endpoint {
	struct tg_sockaddr addr;
	uint32_t weight;         /* 1.. */
	uint32_t id;             /* dense over the snapshot: index of per-worker arrays */
	char text[TG_ADDR_TEXT]; /* "10.77.2.2:8080", for logs and /clusters */
};

struct tg_cluster {
	const char *name;
	uint32_t id;                            /* dense over the snapshot */
	uint64_t connect_timeout, idle_timeout; /* ns; 0 = off. Defaults 5 s, 1 h */
	uint32_t max_requests_per_connection;   /* 0: no limit */
	uint32_t max_connections, max_pending_requests,
		max_requests;  /* per worker's share; 1024 each */
	uint32_t buffer_limit; /* per_connection_buffer_limit_bytes */
	uint32_t n_endpoints;
	struct tg_endpoint *endpoints;
	struct tg_cluster_stats *stats; /* [worker]; survives reloads */
};

enum tg_match_kind { TG_MATCH_PATH, TG_MATCH_PREFIX };
enum tg_header_match_kind {
	TG_HEADER_EXACT,
	TG_HEADER_PREFIX,
	TG_HEADER_CONTAINS,
	TG_HEADER_PRESENT
};

struct tg_header_match {
	struct tg_view name, value;
	enum tg_header_match_kind kind;
	bool invert;
};

struct tg_route {
	const char *name; /* may be "" */
	enum tg_match_kind kind;
	struct tg_view match;
	uint32_t order; /* position in its virtual host: the smallest wins */
	uint32_t n_headers;
	struct tg_header_match *headers; /* all must hold */
	const struct tg_cluster *cluster;
	uint64_t timeout;      /* ns; 0 = off. Default 15 s */
	uint64_t idle_timeout; /* ns without a byte either way; UINT64_MAX: the listener's; 0 = off
				*/
};

struct tg_vhost {
	const char *name;
	uint32_t n_domains;
	struct tg_view *domains; /* lower case */
	uint32_t n_routes;
	struct tg_route *routes;
	struct tg_route_trie *trie; /* private to lib/route */
};

struct tg_host_table; /* private */

/* Build: control core; memory comes from alloc (the snapshot's), NULL only when it fails. */
typedef void *tg_alloc_fn(void *ctx, size_t n);
int tg_vhost_compile(struct tg_vhost *v, tg_alloc_fn *alloc, void *ctx);
struct tg_host_table *tg_host_table_build(struct tg_vhost *const *vhosts, uint32_t n,
	tg_alloc_fn *alloc, void *ctx,
	struct tg_errbuf *e); /* NULL + text: the same domain twice */

/* Exact, then the longest `*.suffix`, then `*`. authority is host[:port]; the port is ignored, case
 * folded. NULL. */
const struct tg_vhost *tg_host_find(const struct tg_host_table *t, struct tg_view authority);
/* The first route in configured order that matches path and fields; NULL. */
const struct tg_route *tg_route_find(const struct tg_vhost *v, const struct tg_msg *m);

/* Weighted round robin, no state shared between workers. pos: this worker's position in this
 * cluster, zero at first; `avoid`: an endpoint not to take if there is another (NULL: none). NULL
 * only if there is no endpoint. */
const struct tg_endpoint *tg_lb_round_robin(
	const struct tg_cluster *c, uint32_t *pos, const struct tg_endpoint *avoid);

#endif
