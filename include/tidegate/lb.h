/* lb.h: which endpoint of a cluster a request goes to.
 *
 * A balancer is a table of functions. What it needs of a cluster (ring, table) is made when the
 * configuration is compiled and immutable then; what changes from request to request comes with
 * the question. Picking neither allocates nor writes anything but *pos. Any worker.
 *
 * Zones: where endpoints have localities, a request of a group may be for those of one of them
 * only: in shares that the configuration gives (locality_weighted_lb_config), or, at priority 0,
 * for this process's own as far as that leaves every endpoint its part of all callers' requests
 * (zone_aware_lb_config). What each zone gets is worked out with the set.
 *
 * Cost: round_robin and random a lookup by weight; least_request choice_count of them; ring_hash a
 * binary search of the ring; maglev one look. Bounds: a ring has at most 8 Mi points, together with
 * its endpoints' names 16 bytes each; a Maglev table 65537 entries of 4 bytes, or what is asked
 * for.
 */
#ifndef TIDEGATE_LB_H
#define TIDEGATE_LB_H

#include <tidegate/addr.h>
#include <tidegate/msg.h>
#include <tidegate/rng.h>

struct tg_cluster;
struct tg_endpoint;
typedef void *tg_alloc_fn(void *ctx, size_t n);

/* A priority of a cluster: 0 is asked for first. */
struct tg_lb_level {
	uint32_t n, good, degraded;   /* endpoints; of them, those that may be chosen */
	uint32_t load, load_degraded; /* percent of the requests for good, and for degraded ones */
	bool panic; /* so few are well that all of the level are taken, whatever is known of them */
};

/* Envoy's distribution of requests over priorities, to the percent: a level takes as much as it has
 * well endpoints, times factor percent (140), at most all, and hands the rest on; where all of them
 * together have less than they would need, each in proportion. Degraded ones come behind all good
 * ones. panic_threshold: millionths of a level's endpoints (500000); 0: never. From n, good and
 * degraded of each level; n is at least 1. */
void tg_lb_loads(struct tg_lb_level *levels, uint32_t n, uint32_t factor, uint32_t panic_threshold);

#define TG_LB_LEVELS_MAX 127 /* priorities from 0; two groups each have a number in a byte */

#define TG_LOCALITIES_MAX 256 /* of a configuration; 0 is this process's own */

/* Those of a group that are in one locality. */
struct tg_lb_zone {
	uint32_t from, n; /* index[from .. from + n) of the set */
	uint32_t before;  /* weights of the group in front of it */
	uint32_t total, stride;
	uint32_t share; /* of the group's, with those of all zones in front */
	uint32_t pos;   /* round_robin's */
	uint32_t locality;
};

/* What is chosen from behind the choice of a level. */
struct tg_lb_group {
	uint32_t from, n;       /* index[from .. from + n) of the set */
	uint32_t total, stride; /* as the cluster's */
	uint32_t percent;       /* of the requests, with those of all groups before */
	uint32_t pos;           /* round_robin's */
	uint32_t zone, n_zones; /* zones[zone .. zone + n_zones) of the set; none: by no zone */
	uint32_t shares;        /* the last zone's */
	uint32_t turn;          /* of locality_weighted_lb_config */
	bool panic;
};

/* What zone_aware_lb_config comes to at priority 0. */
enum tg_lb_zoning {
	TG_ZONING_OFF,    /* there are no two zones, or none is asked for */
	TG_ZONING_SMALL,  /* fewer good endpoints than min_cluster_size */
	TG_ZONING_NOT_OK, /* of this process's own cluster none is in its zone, or it is in panic */
	TG_ZONING_REFUSED,  /* it is in panic, and fail_traffic_on_panic is set */
	TG_ZONING_DIRECT,   /* the own zone can take all requests of this process */
	TG_ZONING_RESIDUAL, /* it can take a part; the rest goes where more is left, by share */
};
/* And to a request. */
enum tg_lb_way {
	TG_LB_ANYWHERE,
	TG_LB_REFUSED,
	TG_LB_DIRECT,
	TG_LB_SAMPLED,     /* to the own zone */
	TG_LB_CROSS,       /* to another one */
	TG_LB_NO_CAPACITY, /* to any, since by the numbers none has room for more */
	TG_LB_WEIGHTED,    /* by locality_weighted_lb_config */
};

/* The endpoints of a cluster that a worker chooses from: those whose verdicts (health.h) let it, in
 * the shares of their priorities, and with less weight while they start slowly. tg_lb_set_make()
 * alone says which they are, when it is made and whenever it is due or a verdict has changed.
 * Owner: a worker. Memory: tg_lb_set_bytes(), at the adoption of a snapshot; about 10 bytes an
 * endpoint. */
struct tg_lb_set {
	uint32_t generation; /* of the verdicts that it is made of */
	uint32_t n;          /* endpoints in it */
	bool all;            /* every one is: the cluster's own tables hold */
	bool panic;          /* some group is in panic; all: all are taken because of it */
	bool near;           /* force_local_zone: priority 0 is those in the own zone */
	uint8_t zoning;      /* enum tg_lb_zoning */
	bool counted;        /* some choices are */
	uint32_t local_part; /* RESIDUAL: of 10000 requests, those for the own zone */
	/* If not all: */
	struct tg_lb_group *groups; /* [2 * levels]: good ones of each level, then degraded ones */
	struct tg_lb_group *only;   /* that gets all requests; NULL: there are several */
	uint32_t *index;            /* [n] which they are, group by group */
	uint32_t *upto;             /* [n] weights of the group up to and with that one */
	uint8_t *in;                /* [c->n_endpoints] the number of its group + 1; 0: none */
	struct tg_lb_level *levels;
	struct tg_lb_zone *zones; /* of all groups that go by zone */
	uint32_t n_zones;
	uint8_t *state; /* scratch */
	uint64_t next;  /* ns: it is not made again before */
	uint64_t due;   /* ns: then it is made again in any case; UINT64_MAX: never */
};

size_t tg_lb_set_bytes(const struct tg_cluster *c);
/* memory: so many bytes, aligned for a uint32_t, which outlive the set. */
void tg_lb_set_init(struct tg_lb_set *set, const struct tg_cluster *c, void *memory);
void tg_lb_set_make(struct tg_lb_set *set, const struct tg_cluster *c, uint64_t now);
/* Of weighted round robin over n endpoints with weights of this sum. */
uint32_t tg_lb_stride(uint32_t total, uint32_t n);

struct tg_lb_ask {
	struct tg_rng *rng;
	const struct tg_lb_set *set; /* NULL: all of the cluster */
	uint32_t *pos; /* round_robin's, of this worker and cluster; any value is fine */
	bool has_hash; /* false: as good as any */
	uint64_t hash;
	const struct tg_endpoint *avoid; /* not this one if there is another; NULL: none */
	/* Requests of this worker under way at an endpoint; NULL: not known. */
	uint64_t (*active)(void *ctx, const struct tg_endpoint *e);
	void *ctx;
	/* What was chosen from: set by tg_lb_pick(). NULL: the whole cluster, or group. */
	struct tg_lb_group *group;
	struct tg_lb_zone *zone;
	enum tg_lb_way way;
};

/* What a balancer with tables of its own may choose. */
static inline bool tg_lb_may(const struct tg_lb_ask *ask, uint32_t endpoint)
{
	return !ask->group ||
	       ask->set->in[endpoint] == (uint8_t)(ask->group - ask->set->groups + 1);
}

struct tg_lb_ops {
	const char *name;
	/* c's endpoints have their weights. TG_ENOMEM. NULL: nothing to make */
	int (*compile)(struct tg_cluster *c, tg_alloc_fn *alloc, void *ctx);
	/* The set has at least two endpoints. */
	const struct tg_endpoint *(*pick)(const struct tg_cluster *c, const struct tg_lb_ask *ask);
};

extern const struct tg_lb_ops tg_lb_ops_round_robin, tg_lb_ops_least_request, tg_lb_ops_random,
	tg_lb_ops_ring_hash, tg_lb_ops_maglev;

/* zone.c: ask->zone and ask->way of a request for ask->group, which goes by zone. False: it is
 * refused. */
bool tg_lb_pick_zone(const struct tg_cluster *c, struct tg_lb_ask *ask);
/* Another zone of ask->group that is to get any; ask->zone if there is none. */
struct tg_lb_zone *tg_lb_next_zone(const struct tg_lb_ask *ask);
/* Its part of the requests, 0 .. 1, of those that go by zone. */
double tg_lb_zone_part(const struct tg_lb_set *set, const struct tg_lb_group *g, uint32_t i);

/* By c->lb. NULL: there is none that may be chosen. */
const struct tg_endpoint *tg_lb_pick(const struct tg_cluster *c, struct tg_lb_ask *ask);

/* A route's hash_policy: what of a request decides, for ring_hash and maglev. */
enum tg_hash_kind { TG_HASH_HEADER, TG_HASH_COOKIE, TG_HASH_SOURCE_IP, TG_HASH_QUERY };
struct tg_hash_policy {
	enum tg_hash_kind kind;
	bool terminal; /* what stands behind is not looked at if there is a hash by now */
	struct tg_view name;
	/* COOKIE: a client without one is given one, if has_ttl */
	bool has_ttl;
	uint64_t ttl;        /* ns; 0: until the browser ends */
	struct tg_view path; /* .n 0: none */
};

/* Combines them as Envoy does. False: none of them found anything. *give: a cookie that the client
 * is to be given, with the 16 bytes of value, which has decided already; NULL: none. */
bool tg_hash_request(const struct tg_hash_policy *p, uint32_t n, const struct tg_msg *m,
	const struct tg_ip *source, struct tg_rng *rng, uint64_t *hash,
	const struct tg_hash_policy **give, uint8_t value[static 16]);

#endif
