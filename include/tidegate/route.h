/* route.h: where a request goes. Virtual host, route, cluster, endpoint.
 *
 * The tables are part of a configuration snapshot: built on the control core by lib/config,
 * immutable, read by every worker. Matching neither allocates nor writes. What changes (round-robin
 * position, counters) is per worker and handed in.
 *
 * Cost: one hash lookup for the host (exact), one for each label of a wildcard; one hash lookup for
 * each segment of the path, however many routes there are; predicates only of the candidates. An
 * expression is a candidate where the path begins as it does. First match in configured order wins
 * (Envoy). A peer's input bounds the work: names of hosts end at 255 bytes, and the walk ends where
 * the configured paths end.
 */
#ifndef TIDEGATE_ROUTE_H
#define TIDEGATE_ROUTE_H

#include <tidegate/addr.h>
#include <tidegate/breaker.h>
#include <tidegate/edit.h>
#include <tidegate/health.h>
#include <tidegate/lb.h>
#include <tidegate/match.h>
#include <tidegate/retry.h>
#include <tidegate/rng.h>
#include <tidegate/stats.h>

struct tg_endpoint {
	struct tg_sockaddr addr;
	uint32_t weight;         /* 1.. */
	uint32_t id;             /* dense over the snapshot: index of per-worker arrays */
	uint32_t priority;       /* 0: asked for first */
	uint32_t locality;       /* 0: this process's own; below TG_LOCALITIES_MAX */
	uint32_t zone_weight;    /* load_balancing_weight of its locality and priority */
	uint32_t upto;           /* set by tg_cluster_compile(): weights up to and with this one */
	struct tg_host *host;    /* its health; NULL: not bound, and healthy */
	char text[TG_ADDR_TEXT]; /* "10.77.2.2:8080", for logs and /clusters */
};

struct tg_tls_conf;
struct tg_dns_conf;

/* What the configuration calls an endpoint where its cluster's are found by DNS. */
struct tg_origin_name {
	const char *host;        /* NULL: addr is its address */
	struct tg_sockaddr addr; /* else only the port */
	uint32_t weight, priority, locality, zone_weight;
};

enum tg_discovery { TG_DISCOVERY_STATIC, TG_DISCOVERY_STRICT_DNS, TG_DISCOVERY_LOGICAL_DNS };

struct tg_ring_point {
	uint64_t hash;
	uint32_t endpoint; /* its index */
};

struct tg_cluster {
	const char *name;
	uint32_t id;                            /* dense over the snapshot */
	uint64_t connect_timeout, idle_timeout; /* ns; 0 = off. Defaults 5 s, 1 h */
	uint32_t max_requests_per_connection;   /* 0: no limit */
	uint64_t max_connection_duration;       /* ns; 0: no limit */
	struct tg_thresholds thresholds[TG_PRIORITIES];
	uint32_t buffer_limit;         /* per_connection_buffer_limit_bytes */
	const struct tg_tls_conf *tls; /* tls.h; NULL: plain text */
	enum tg_discovery discovery;
	/* Not STATIC: n_endpoints is 0, and they are those of `live`, which is this cluster as DNS
	 * has it now: made by the control core, replaced as a whole. NULL: no answer yet. */
	struct tg_cluster *live;
	const struct tg_dns_conf *dns; /* dns.h */
	uint32_t n_names;
	const struct tg_origin_name *names;
	uint32_t first_id, max_endpoints; /* ids of endpoints that live can have */
	uint32_t n_endpoints;
	struct tg_endpoint *endpoints;
	uint32_t n_self; /* of a local cluster: addresses of this process, which are no endpoints */
	const struct tg_lb_ops *lb;  /* NULL: round_robin */
	uint32_t choice_count;       /* least_request; 2 */
	uint32_t min_ring, max_ring; /* ring_hash: points; 1024, 8 Mi */
	uint32_t table_size;         /* maglev: a prime; 65537 */
	uint32_t overprovisioning;   /* percent; 0: 140 */
	uint32_t panic_threshold;    /* millionths of a level's endpoints; 0: no panic */
	bool fail_on_panic;          /* and then no endpoint is chosen */
	/* force_local_zone: if so many endpoints of priority 0 in the own locality are good, they
	 * get all that it is given. 0: off. */
	uint32_t near_least;
	/* zone_aware_lb_config: the cluster that this process is one of, with all others that send
	 * requests here; so many percent of the requests go by zone. NULL: none do. */
	const struct tg_cluster *local;
	uint32_t zone_percent;
	uint32_t zone_min;             /* both: only if so many endpoints of priority 0 are good */
	bool zone_weighted;            /* locality_weighted_lb_config: zone_weight counts */
	uint64_t slow_window;          /* ns; 0: no slow start */
	double slow_exponent;          /* 1 / aggression */
	double slow_least;             /* of its weight, from the beginning */
	uint32_t n_levels;             /* priorities that there are; 0: one */
	uint32_t total_weight, stride; /* set by tg_cluster_compile(), and these: */
	uint32_t n_ring;
	struct tg_ring_point *ring;          /* by hash */
	uint32_t *table;                     /* endpoints' indices */
	uint32_t *by_zone;                   /* the same, locality by locality; NULL: not needed */
	struct tg_cluster_stats *stats;      /* [worker]; survives reloads */
	struct tg_health_cluster *health;    /* health.h; NULL: not bound */
	const struct tg_health_check *check; /* NULL: no active checks */
	const struct tg_outlier *outlier;    /* NULL: answers are not looked at */
	bool close_on_failure;               /* close_connections_on_host_health_failure */
};

#define TG_ATTEMPT_COUNT_REQUEST 1u
#define TG_ATTEMPT_COUNT_RESPONSE 2u
#define TG_FRACTION_WHOLE 1000000u

enum tg_match_kind {
	TG_MATCH_PATH,
	TG_MATCH_PREFIX,
	TG_MATCH_SEPARATED, /* path_separated_prefix: the path is match, which does not end in "/",
			     or goes on with "/" */
	TG_MATCH_REGEX,     /* more->regex, all of the path; match is empty */
};

/* What is asked of a request besides its path and its fields. */
struct tg_route_match {
	const struct tg_regex *regex; /* TG_MATCH_REGEX */
	uint32_t n_query;
	struct tg_header_match *query; /* all must hold */
	uint32_t fraction;             /* of TG_FRACTION_WHOLE such requests; by chance */
};

enum tg_action_kind {
	TG_ACTION_CLUSTER,  /* the route's cluster */
	TG_ACTION_WEIGHTED, /* one of several, by chance */
	TG_ACTION_FIELD,    /* the one that a field of the request names */
	TG_ACTION_REDIRECT,
	TG_ACTION_DIRECT, /* an answer of Tidegate's own */
};

struct tg_weighted {
	const struct tg_cluster *cluster;
	uint32_t upto; /* weights up to and with this one; the last has their sum */
	const struct tg_edits *request, *response; /* NULL: none */
};

/* Every match of the expression, replaced (regex.h). */
struct tg_rewrite {
	const struct tg_regex *regex; /* NULL: nothing is rewritten; TG_REGEX_SEARCH */
	struct tg_view substitution;
};

/* Empty views and port 0: as the request has it. */
struct tg_redirect {
	struct tg_view scheme, host;
	struct tg_view path; /* of whole cloth; with its own query, the request's is not kept */
	uint16_t port;
	bool strip_query;
};

/* A copy of a request to another cluster, whose answer nobody gets. */
struct tg_mirror {
	const struct tg_cluster *cluster;
	uint32_t fraction; /* of TG_FRACTION_WHOLE */
};

#define TG_MIRRORS_MAX 4
#define TG_DIRECT_BODY_MAX 4096

/* What is done with a request besides sending it to one cluster as it is. */
struct tg_route_action {
	enum tg_action_kind kind;
	uint16_t status; /* REDIRECT and DIRECT; else where there is no such cluster (503) */
	uint32_t n_weighted;
	const struct tg_weighted *weighted;
	struct tg_view cluster_header; /* FIELD */
	struct tg_redirect redirect;
	struct tg_view body; /* DIRECT */
	/* Of the path: one of the two. x-envoy-original-path then has what it was. */
	struct tg_view prefix; /* .p NULL: none. Stands for what the route matched */
	struct tg_rewrite path;
	/* Of the host: one of the three. */
	struct tg_view host;         /* .n 0: none */
	struct tg_view host_field;   /* the name of a field that has it; .n 0: none */
	struct tg_rewrite host_path; /* made of the path */
	bool append_x_forwarded_host;
	const struct tg_edits *request, *response; /* NULL: none */
	uint32_t n_mirrors;
	const struct tg_mirror *mirrors;
};

struct tg_route {
	/* What every request looks at, in one cache line where routes[] begins at one. */
	const struct tg_route_action *action; /* NULL: to cluster, as it is */
	const struct tg_cluster *cluster;     /* NULL: action says which, if any */
	uint64_t timeout;                     /* ns; 0 = off. Default 15 s */
	/* ns without a byte either way; UINT64_MAX: the listener's; 0 = off */
	uint64_t idle_timeout;
	const struct tg_retry_policy *retry; /* its own or its virtual host's; NULL: none */
	const char *name;                    /* may be "" */
	uint32_t filters; /* which of its listener's chains (config.h); 0: the listener's own */
	uint32_t n_hash;
	uint32_t buffer_limit; /* bytes of a request's body that are kept to be sent again */
	uint8_t attempt_count; /* TG_ATTEMPT_COUNT_x: where x-envoy-attempt-count is said */
	bool ignore_case;      /* of the path; match is in lower case, its segments at most
				TG_SEGMENT_MAX bytes. Not with TG_MATCH_REGEX */
	uint8_t priority;      /* enum tg_priority */
	bool hedge;            /* hedge_on_per_try_timeout, its own or its virtual host's */
	/* And what some do. */
	enum tg_match_kind kind;
	struct tg_view match;
	uint32_t order; /* set by tg_vhost_compile(): index in routes[]; the smallest wins */
	uint32_t n_headers;
	struct tg_header_match *headers;   /* all must hold */
	const struct tg_route_match *more; /* NULL: nothing */
	const struct tg_hash_policy *hash; /* for ring_hash and maglev */
	uint64_t pad;
};
_Static_assert(offsetof(struct tg_route, kind) == 64, "one cache line for most requests");
_Static_assert(sizeof(struct tg_route) == 128, "no route shares one with its neighbour");

#define TG_SEGMENT_MAX 255

struct tg_vhost {
	const char *name;
	uint32_t n_domains;
	struct tg_view *domains; /* "shop.example", "*.shop.example", "*": lower case, no port */
	uint32_t n_routes;
	struct tg_route *routes;
	/* Private to lib/route; NULL: there are no routes of that kind. */
	struct tg_route_trie *trie, *ignore_case;
	bool require_tls;                          /* plain requests are redirected to https */
	const struct tg_edits *request, *response; /* NULL: none */
};

struct tg_host_table; /* private */

/* Build: control core; memory comes from alloc (the snapshot's, any alignment of max_align_t), and
 * stays referenced together with v's routes. TG_ENOMEM. A virtual host that was not compiled has no
 * routes. */
int tg_vhost_compile(struct tg_vhost *v, tg_alloc_fn *alloc, void *ctx);
/* NULL with e->text: the same domain twice, or no memory. */
struct tg_host_table *tg_host_table_build(struct tg_vhost *const *vhosts, uint32_t n,
	tg_alloc_fn *alloc, void *ctx, struct tg_errbuf *e);
/* Weights for the balancer. TG_ERANGE: a weight of 0, or a sum beyond 32 bits. */
int tg_cluster_compile(struct tg_cluster *c);
/* The balancer's tables, behind tg_cluster_compile(). Memory as with tg_vhost_compile(). TG_ENOMEM.
 */
int tg_cluster_compile_lb(struct tg_cluster *c, tg_alloc_fn *alloc, void *ctx);

/* Of a cluster by DNS: the cluster with these endpoints, max_endpoints at most, of which address
 * and weight are read. Memory as above. TG_ENOMEM. */
int tg_cluster_with(struct tg_cluster *out, const struct tg_cluster *c,
	const struct tg_endpoint *endpoints, uint32_t n, tg_alloc_fn *alloc, void *ctx);
/* The cluster that has the endpoints of c as they are now. Any thread that keeps the snapshot from
 * being freed; a worker adopts it (proxy.h), and may look here for as long as a turn lasts. */
static inline const struct tg_cluster *tg_cluster_live(const struct tg_cluster *c)
{
	const struct tg_cluster *live = __atomic_load_n(&c->live, __ATOMIC_ACQUIRE);

	return live ? live : c;
}

/* Of all that a set (lb.h) is made of. */
static inline uint32_t tg_lb_generation(const struct tg_cluster *c)
{
	uint32_t local = tg_unlikely(c->local != NULL)
				 ? tg_health_generation(tg_cluster_live(c->local)->health)
				 : 0;

	return tg_health_generation(c->health) + local;
}

/* Clusters by their names. NULL: no memory. */
struct tg_cluster_names;
struct tg_cluster_names *tg_cluster_names_build(
	const struct tg_cluster *clusters, uint32_t n, tg_alloc_fn *alloc, void *ctx);
const struct tg_cluster *tg_cluster_find(const struct tg_cluster_names *t, struct tg_view name);

/* Exact, then the longest `*.suffix`, then `*`; NULL: none. authority is host[:port]; the port is
 * ignored, case folded. An authority that is not one (RFC 3986 section 3.2, without userinfo), or
 * a host beyond 255 bytes, matches nothing; the empty one (HTTP/1.0 without Host) only `*`. */
const struct tg_vhost *tg_host_find(const struct tg_host_table *t, struct tg_view authority);
/* The first route in configured order that matches m->path, as it stands, the fields and the query;
 * NULL. env: as tg_headers_match(). */
const struct tg_route *tg_route_find(
	const struct tg_vhost *v, const struct tg_msg *m, const struct tg_match_env *env);

/* The same in steps, so that memory that is in no cache is fetched while something else is done:
 *
 *	tg_route_prepare()        the path is known: asks for the lines of the table
 *	tg_route_look()           some 100 ns later: walks the table. Where the path alone decides,
 *	                          which is so but for predicates, the route is known now; asks for
 *	                          its line. May be left out
 *	tg_route_find_prepared()  the answer is needed, and the fields are what they stay
 *
 * The virtual host and the path are the same all times. */
#define TG_ROUTE_PROBE 6 /* segments of a path that are looked for ahead */
struct tg_route_probe {
	/* private to lib/route */
	uint32_t n;
	bool known;
	const struct tg_route *route; /* if known */
	uint32_t place[TG_ROUTE_PROBE];
	uint64_t hash[TG_ROUTE_PROBE];
};
void tg_route_prepare(struct tg_route_probe *q, const struct tg_vhost *v, struct tg_view path);
void tg_route_look(struct tg_route_probe *q, const struct tg_vhost *v, struct tg_view path);
const struct tg_route *tg_route_find_prepared(const struct tg_route_probe *q,
	const struct tg_vhost *v, const struct tg_msg *m, const struct tg_match_env *env);

/* Whether a chance of `fraction` of TG_FRACTION_WHOLE comes true. */
static inline bool tg_fraction_met(const struct tg_match_env *env, uint32_t fraction)
{
	if (fraction >= TG_FRACTION_WHOLE)
		return true;
	if (tg_unlikely(env && env->likely))
		return fraction > TG_FRACTION_WHOLE / 2;
	return env && env->rng && tg_rng_below(env->rng, TG_FRACTION_WHOLE) < fraction;
}

/* Why one route takes a request or does not, for explanations: the first of these in this order. */
enum tg_route_miss {
	TG_ROUTE_TAKES, /* but for the chance of more->fraction */
	TG_ROUTE_PATH,
	TG_ROUTE_FIELD, /* *which of headers[] */
	TG_ROUTE_REGEX, /* of the path */
	TG_ROUTE_QUERY, /* *which of more->query[] */
};
enum tg_route_miss tg_route_test(const struct tg_route *r, const struct tg_msg *m,
	const struct tg_match_env *env, uint32_t *which);

/* Weighted round robin, no state shared between workers. Over total_weight picks each endpoint is
 * chosen exactly as often as its weight says, spread evenly. pos: this worker's position in this
 * cluster, zero at first, any value is fine (a reload may change the cluster under it); `avoid`: an
 * endpoint not to take if there is another (NULL: none). NULL only if there is no endpoint. A
 * cluster that was not compiled is taken to have equal weights. */
const struct tg_endpoint *tg_lb_round_robin(
	const struct tg_cluster *c, uint32_t *pos, const struct tg_endpoint *avoid);

#endif
