/* internal.h: the objects of one worker's proxy, private to lib/proxy.
 *
 *   tg_listener_rt --- down (client connection) --- exch (request) --- up (origin connection) ---
 * ep (endpoint)
 *
 * A down has at most one exchange: pipelined requests wait unread in its receive buffer. An
 * exchange has at most one up. Every arrow is a plain pointer in both directions, cut by whoever
 * ends first.
 */
#ifndef TG_PROXY_INTERNAL_H
#define TG_PROXY_INTERNAL_H

#include <tidegate/arena.h>
#include <tidegate/list.h>
#include <tidegate/proxy.h>

#include "pump.h"

#define TG_PX_LISTENERS_MAX 1024
#define TG_PX_ENDPOINTS_MAX 65536
#define TG_PX_NAME_MAX 64
#define TG_PX_LIVE_MAX 1024 /* endpoints by DNS that a change finds again at once */

#define TG_PX_SMALL_CHUNK 8192
#define TG_PX_LARGE_CHUNK (72 * 1024)
#define TG_PX_EXCHANGE_BYTES (4 * TG_PX_LARGE_CHUNK)
#define TG_PX_HEAD_FIRST 1024 /* a head that comes in pieces begins in a buffer of this size */
#define TG_PX_FIELDS_ADDED 16 /* room for the fields that we add to a head */
#define TG_PX_REPLAY (3 * 1024)
#define TG_PX_REPLAYS_MAX 3
#define TG_PX_RESPONSE_LIMITS \
	{ \
		60 * 1024, 8 * 1024, 100 \
	}                               /* struct tg_h1_limits, of an origin */
#define TG_PX_INTERIM_MAX 16            /* 1xx responses in front of a final one */
#define TG_PX_REWRITTEN_MAX (32 * 1024) /* bytes of a path or host made by an expression */
/* A head, or a TLS record, is read when all of it is there, so the receive buffer must hold it, and
 * a segment more: the window is opened by whole ones. */
#define TG_PX_SEGMENT_MAX (9 * 1024)
#define TG_PX_RECORD_MAX (16384 + 512)
#define TG_PX_SLOW_HEAD TG_SEC        /* ns: a head that takes longer may be shed */
#define TG_PX_DISCARD_MAX (16u << 20) /* bytes thrown away while a close lingers */

/* A listening address. It outlives reloads as long as its address is configured, and its conns. */
struct px_listener {
	struct tg_sockaddr addr;
	const struct tg_listener_conf *conf; /* in p->snap; while gone: in pinned */
	struct tg_listener_stats *stats;     /* this worker's */
	struct tg_snapshot *pinned; /* gone from the configuration, conns left: their snapshot */
	void *handle;               /* tg_proxy_net.listen's; NULL: not listening */
	uint32_t conns;
	bool used, wanted;
	struct tg_proxy *proxy;
};

/* An origin address within a cluster; outlives reloads while it has connections. */
struct px_endpoint {
	struct tg_link idle;                   /* ups, most recently used last */
	struct tg_link pending[TG_PRIORITIES]; /* exchanges that wait for a connection */
	struct tg_link live;                   /* p->live: has some of either; see yield.c */
	struct tg_sockaddr addr;
	char cluster[TG_PX_NAME_MAX];
	struct tg_breaker *breaker;     /* this worker's part of its cluster's */
	struct tg_cluster_stats *stats; /* this worker's */
	uint32_t n_conns, n_idle, n_connecting, n_pending;
	uint32_t connecting[TG_PRIORITIES], waiting[TG_PRIORITIES]; /* the last two, parted */
	uint32_t refs; /* exchanges and ups that point here */
	bool used, wanted;
	bool closed; /* its connections were, since it failed */
	struct tg_endpoint_view view;
	struct tg_proxy *proxy;
};

enum px_down_state {
	PX_DOWN_IDLE,   /* no exchange: waits for a request */
	PX_DOWN_BUSY,   /* ex */
	PX_DOWN_LINGER, /* our FIN is out: reads and forgets until the peer closes */
	PX_DOWN_L4,     /* l4 */
};

/* A client's connection. Idle ones are many: a cache line, all of it. They stand in no list:
 * whoever looks for some walks the pool. */
struct px_down {
	struct tg_conn *conn;
	struct px_listener *ln;
	union {
		struct px_exch *ex;
		struct px_l4 *l4;
		struct {                     /* LINGER */
			uint32_t discarded;  /* bytes thrown away */
			uint32_t acked_mark; /* tx_acked at the last look, low bits */
		};
	};
	struct tg_timer timer;
	/* Times are ticks of the wheel, rounded up: 146 years of them. */
	uint64_t opened : 48;
	uint64_t state : 8;      /* enum px_down_state */
	uint64_t eof : 1;        /* the client's FIN came */
	uint64_t close_soon : 1; /* no other request after this one */
	uint64_t used : 1;
	uint64_t shadow : 1;    /* of a copy of a request: see shadow.c */
	uint64_t since : 48;    /* when this state began */
	uint64_t requests : 16; /* begun; counted only if there is a limit */
};
_Static_assert(sizeof(struct px_down) == 64, "idle connections are counted in bytes");

enum px_up_state { PX_UP_CONNECTING, PX_UP_IDLE, PX_UP_BUSY };

/* A message head that is being read. In one piece it is parsed where it landed; in several it is
 * gathered. */
struct px_head {
	struct tg_h1_scan scan;
	uint8_t *buf; /* in the exchange's arena; NULL: never needed */
	uint32_t cap, have;
	bool no_memory; /* the arena had no room for it: that is why it was refused */
};

/* A connection to an origin. */
struct px_up {
	struct tg_conn *conn;
	struct px_endpoint *ep;
	struct px_exch *ex;    /* BUSY */
	struct px_l4 *l4;      /* BUSY or CONNECTING for an L4 pair */
	struct tg_timer timer; /* IDLE: idle timeout */
	struct tg_link link;   /* IDLE: ep->idle */
	uint64_t base;         /* tx_written when the exchange began */
	uint64_t opened;       /* ns */
	uint64_t idle_timeout; /* ns, from its cluster */
	uint64_t max_duration; /* ns; 0: no limit */
	uint32_t requests, max_requests;
	uint8_t state;
	uint8_t priority; /* of the request that it was opened for: whose limit it counts for */
	bool eof, failed, used;
	bool parked; /* BUSY, and one of its exchange's slow tries: not ex->up */
};

enum px_exch_state {
	PX_EX_HEAD,     /* reading the request head */
	PX_EX_FILTER,   /* a filter waits for something before the request may go on */
	PX_EX_WAIT,     /* waiting for a connection to an origin */
	PX_EX_BACKOFF,  /* waiting before it is sent again */
	PX_EX_UPSTREAM, /* request going out, response head not yet here */
	PX_EX_RESPONSE, /* response going to the client */
	PX_EX_TUNNEL,   /* after 101 */
	PX_EX_LOCAL,    /* Tidegate's own answer going to the client */
};

/* What a trusted client asks for in x-envoy-* fields. */
struct px_orders {
	uint32_t on, max_retries;
	uint64_t timeout, per_try; /* ns; 0: none */
	bool has_max, has_timeout, has_per_try, has_hedge, hedge;
	bool no_content; /* a timeout is answered 204, not 504 */
	struct tg_retry_asked asked;
};

/* A try that met its per_try_timeout and goes on beside others: hedge.c. */
struct px_slow_try {
	struct px_up *up;
	struct tg_breaker *breaker; /* a lease of a retry is held from it; NULL: the first try */
	struct px_head head;        /* of the response */
	uint64_t sent;              /* ns */
	uint8_t interims;
};

/* Of an exchange that may be sent again, or whose tries have a timeout. */
struct px_retry {
	const struct tg_retry_policy *policy; /* NULL: only the client asked */
	const struct tg_retry_asked *asked;
	uint32_t on;   /* enum tg_retry_bit */
	uint32_t left; /* retries that are still allowed */
	uint32_t n;    /* retries so far */
	uint32_t tries;
	uint64_t per_try, per_try_idle, try_until, again_at; /* ns */
	struct tg_breaker *breaker;        /* a lease of a retry is held from it */
	struct tg_sockaddr tried[4], last; /* by address: their clusters may have changed */
	uint32_t n_tried;
	bool hedge;      /* a try that is too slow may go on beside the next one */
	bool keeps_body; /* what was sent of the body is kept, if it fits, until there is an answer
			  */
	bool abandoned;  /* it did not fit */
	uint32_t n_slow;
	struct px_slow_try slow[4];
};

struct px_exch {
	struct tg_link link;   /* HEAD, until it is whole: p->heads; WAIT: ep->pending */
	struct tg_timer timer; /* its nearest deadline, or earlier */
	struct px_down *down;
	struct px_up *up;
	struct px_endpoint *ep;
	struct tg_snapshot *snap; /* pinned */
	const struct tg_listener_conf *lc;
	const struct tg_vhost *vhost;       /* NULL: none has the host */
	const struct tg_route *route;       /* NULL: none matches */
	const struct tg_weighted *weighted; /* of the route, by chance; NULL: it has none */
	const struct tg_cluster *goes_to;   /* what the route says; NULL: no cluster */
	const struct tg_cluster *cluster;   /* goes_to, once the request has come to the router */
	/* In snap; ep is where it is. NULL where DNS finds its cluster's: those go while this
	 * lasts. */
	const struct tg_endpoint *chosen;
	uint64_t hash;            /* of the route's hash_policy, if has_hash */
	struct tg_view cookie;    /* for the client, that comes of it; .n 0: none */
	struct px_orders *orders; /* NULL: none */
	struct px_retry *retry;   /* NULL: once, and as long as the route allows */
	struct tg_proxy *proxy;
	struct tg_arena arena;
	/* request */
	struct px_head req_head;
	struct tg_msg req;
	struct tg_view target;   /* as received, for the log: req.target becomes what is sent */
	struct tg_view out_head; /* as sent upstream; kept for a replay */
	struct tg_pump req_pump;
	bool req_ready; /* head parsed */
	bool req_done;  /* the whole request has been written upstream */
	/* response */
	struct px_head resp_head;
	struct tg_pump resp_pump;
	bool resp_done, resp_keep_alive, interim_pending, upgrade;
	uint8_t interims, replays, state;
	uint8_t priority; /* enum tg_priority, the route's */
	bool has_hash, used;
	bool shadowed;             /* its copies have begun */
	struct px_shadow *shadows; /* those that wait for more of its body */
	/* filters */
	bool waiting;     /* the message under way is not gone on with before wake_at */
	uint64_t wake_at; /* ns; when filters are to be asked again; UINT64_MAX: not by time */
	struct tg_exchange *fx;        /* NULL: there are none, or the head is not read */
	struct tg_view filter_details; /* in place of details */
	bool judged;                   /* this try's answer has been counted (outlier.c) */
	/* account */
	uint64_t start, last_activity, req_complete, sent, resp_head_at; /* ns; 0: not yet */
	uint64_t timeout;      /* ns: the route's, or what the client asked for; 0: none */
	uint64_t head_bytes;   /* of the request head, as received */
	uint64_t answer_bytes; /* of the response's head, as sent */
	uint32_t flags;        /* TG_FLAG */
	uint16_t status;       /* sent to the client; 0: none */
	enum tg_why why;
	enum tg_why transport; /* why TLS with the origin failed; none: it did not */
	const char *details;
	struct tg_view request_id, xff;
};

/* A pair of connections under `protocol = "tcp"`. */
struct px_l4 {
	struct px_down *down;
	struct px_up *up;
	struct tg_pump to_up, to_down;
	uint64_t start, last_activity, idle_timeout; /* ns */
	/* Of the snapshot of this generation: gone with it. */
	uint64_t generation;
	const struct tg_cluster *of;
	struct tg_host *host;
	uint32_t attempts;           /* to connect, that are left */
	bool to_up_fin, to_down_fin; /* FIN passed on in that direction */
	bool open, used;
	uint32_t flags;
	enum tg_why why, transport;
	const char *details;
	struct tg_view filter_details; /* of a refusal: not kept beyond it */
	/* Copies: a connection that lasts for days pins no snapshot. */
	struct tg_sockaddr upstream;
	char cluster[TG_PX_NAME_MAX], listener[TG_PX_NAME_MAX];
};

struct tg_proxy {
	struct tg_proxy_conf conf;
	struct tg_wheel *wheel;
	struct tg_core_stats *stats;
	struct tg_rng rng;
	struct tg_match_env match;
	struct tg_dry *dry; /* NULL, but in a dry run */
	struct tg_snapshot *snap;
	struct px_endpoint **endpoints; /* [snap->n_endpoints]: of the current snapshot */
	const struct tg_cluster *
		*clusters;      /* [snap->n_clusters]: with the endpoints that it has now */
	struct tg_lb_set *sets; /* [snap->n_clusters]: what is chosen from */
	struct tg_breakers *breakers, *own_breakers; /* own: if none were handed in */
	struct tg_breaker *known;                    /* rows of all clusters that there ever were */
	/* overload.c */
	uint32_t overload;  /* TG_OVERLOAD_BIT()s of the actions that are on */
	uint32_t reduce_at; /* where in the pool of downs the next idle one is looked for */
	struct tg_overload over;
	struct tg_timer overload_timer;
	uint64_t busy_mark, idle_mark; /* at the last look: cycles */
	struct tg_timer yield_timer;
	struct tg_link live;          /* endpoints, if there are other workers */
	struct tg_link checks, looks; /* check.c's */
	struct tg_timer close_timer;
	uint8_t *check_buf;
	struct tg_pool downs, ups, exchs, l4s;
	struct tg_arena_source arenas;
	struct tg_pool listener_pool, endpoint_pool, shadows;
	struct px_listener nowhere; /* where copies of requests seem to come from */
	struct tg_listener_stats nowhere_stats;
	struct tg_link heads; /* exchanges whose head is not whole, oldest first */
	uint32_t n_idle;      /* downs in PX_DOWN_IDLE */
	uint32_t shed_at;     /* where in their pool the next idle one is looked for */
	uint32_t still_at;    /* and the next one that stands still */
	uint8_t down_kind, exch_kind, up_kind, yield_kind, overload_kind, check_kind, look_kind,
		close_kind;
	bool draining;
	/* Scratch of this worker's turn: parsed fields before they are copied to an exchange. */
	struct tg_field *fields;
	uint32_t field_cap;
	uint64_t date_second; /* what date_text says */
	char date_text[32];
};

static inline uint64_t px_now(const struct tg_proxy *p)
{
	return p->wheel->now;
}

static inline void px_why(struct tg_proxy *p, enum tg_why why)
{
	p->stats->why[why]++;
}

/* down.c: the client's side */
extern const struct tg_conn_user px_accept_user; /* owner: struct px_listener */
int px_down_init(struct tg_proxy *p);
void px_down_run(struct px_down *d); /* look at everything again */
void px_down_set(struct px_down *d, enum px_down_state s);
void px_down_arm(struct px_down *d);   /* the timer to the nearest deadline */
void px_down_close(struct px_down *d); /* FIN now, no lingering */
void px_down_abort(struct px_down *d, enum tg_why why);
void px_down_linger(struct px_down *d); /* FIN, then read and forget for a while */
/* Closes an idle connection, if there is one: the longest idle of the next few in the pool.
 * shortage: TG_SHORT_x, for which none has to go that has just come; 0: one must go now. */
bool px_shed_idle(struct tg_proxy *p, uint32_t shortage);

/* relieve.c */
uint32_t px_shortage(const struct tg_proxy *p); /* TG_SHORT_x */

/* exchange.c: life of a request */
struct px_exch *px_exch_begin(struct px_down *d);
void px_exch_run(struct px_exch *ex);
void px_exch_end(struct px_exch *ex); /* log, counters, memory; the down stays */
void px_exch_drop_upstream(
	struct px_exch *ex, enum tg_why why);     /* abort its up, or leave the queue */
void px_exch_downstream_gone(struct px_exch *ex); /* the client is lost */
void px_exch_cut(struct px_exch *ex, enum tg_why why, uint32_t flag, const char *details);
void px_exch_deadline(struct px_exch *ex, uint64_t now);
uint64_t px_exch_next_deadline(const struct px_exch *ex);
bool px_exch_upstream_lost(
	struct px_exch *ex, bool reset);      /* its up failed or closed; false: ex is gone */
bool px_exch_interim_out(struct px_exch *ex); /* true: the interim response is written */

/* request.c */
/* What reading begins, so that routing need not wait for memory. */
struct px_lookup {
	const struct tg_vhost *vhost; /* NULL: none */
	struct tg_route_probe probe;  /* if there is one */
};
/* 1 complete, 0 more needed, -1 refused: req_head tells why */
int px_request_read(struct px_exch *ex, struct px_lookup *l);
/* Behind px_request_read(), in the same turn. False: a local reply has begun. */
bool px_request_route(struct px_exch *ex, struct px_lookup *l);
/* The filters, then the head for the origin. False: a local reply has begun, ex waits for a filter
 * (PX_EX_FILTER), or is gone. */
bool px_request_pass(struct px_exch *ex);
/* Gathers what conn has and parses: > 0 length of the head, whose first byte is *base; 0 more
 * needed; < 0 refused. `to`: the request's method for a response, TG_METHOD_OTHER + 1 for a
 * request. Consumes nothing. */
#define PX_PARSE_REQUEST (TG_METHOD_OTHER + 1)
int32_t px_head_parse(struct px_exch *ex, struct px_head *h, struct tg_conn *conn,
	const struct tg_h1_limits *lim, int to, struct tg_msg *m, const uint8_t **base);
/* forward.c: makes of what came what the origin is to see, and writes it to ex->out_head. In
 * between it is routed and filtered: what nobody will see decides nothing. */
enum px_forward { PX_FORWARD_OK, PX_FORWARD_REFUSED, PX_FORWARD_NO_MEMORY };
enum px_forward px_request_edit(struct px_exch *ex);
bool px_request_write(struct px_exch *ex); /* false: no memory */
/* filters.c. Where a bool is false: ex waits, a local reply has begun, or ex is gone. */
void px_client_of(struct tg_conn *c, struct tg_client *out);
bool px_filters_begin(struct px_exch *ex); /* behind routing; false: no memory */
bool px_filters_request(struct px_exch *ex);
bool px_filters_response(struct px_exch *ex, struct tg_msg *m);
bool px_filters_local(struct px_exch *ex, struct tg_msg *m); /* false: cut it instead */
/* Before pump runs; only if ex->fx. False: ex is gone. */
bool px_filters_body(struct px_exch *ex, struct tg_pump *pump, bool response);
void px_filters_end(struct px_exch *ex);                              /* only if ex->fx */
bool px_filters_conn(struct px_down *d, struct tg_filter_reply *why); /* false: refuse it */

/* retry.c. Removes what clients say about retries and timeouts, and takes it if they may; at the
 * edge also what only the mesh says of a request. False: no memory. */
bool px_retry_orders(struct px_exch *ex);
bool px_retry_begin(struct px_exch *ex); /* ex has its route. False: no memory */
/* All below: only if ex->retry, but for px_retry_failure(). */
void px_retry_chosen(struct px_exch *ex, const struct tg_endpoint *e); /* it will be tried */
bool px_retry_try(struct px_exch *ex);     /* ex gets a connection. False: no memory */
void px_retry_time(struct px_exch *ex);    /* the time of a try begins, if it can */
void px_retry_abandon(struct px_exch *ex); /* the body is not kept */
bool px_retry_was_tried(const struct px_exch *ex, const struct tg_endpoint *e);
void px_retry_end(struct px_exch *ex);
/* True: what there was of its upstream is dropped, and it will be tried again. */
bool px_retry_failure(struct px_exch *ex, enum tg_retry_failure f);
bool px_retry_response(struct px_exch *ex, const struct tg_msg *m, uint32_t head_len);
/* try_until, again_at, or its try idles for too long; may end ex */
void px_retry_deadline(struct px_exch *ex, uint64_t now);
/* When the try under way has idled for too long; UINT64_MAX: never. */
uint64_t px_retry_idle_limit(const struct px_exch *ex);

/* hedge.c. Only if ex->retry, but for px_hedge_goes_on(). */
bool px_hedge_can(const struct px_exch *ex); /* its try may go on beside another one */
void px_hedge_park(struct px_exch *ex);      /* so it does */
void px_hedge_event(struct px_up *u);        /* a parked one's; may end its exchange */
void px_hedge_end(struct px_exch *ex);       /* none of them is waited for any more */
/* The newest try has failed for good. True: others go on, which are waited for. */
bool px_hedge_goes_on(struct px_exch *ex);

/* affinity.c: the route's hash_policy. False: no memory. Only if route->n_hash. */
bool px_affinity(struct px_exch *ex);

/* xfcc.c: x-forwarded-client-cert. False: no memory. */
bool px_set_xfcc(struct px_exch *ex);
/* m's head in arena memory; .p NULL: no memory. */
struct tg_view px_write_head(struct tg_arena *a, const struct tg_msg *m);

/* response.c */
void px_response_count(struct px_exch *ex, uint16_t status);
void px_response_read(struct px_exch *ex); /* the origin's head(s), then the body begins */
/* x-envoy-attempt-count, where the route wants it. Only of what has a route. False: no memory. */
bool px_set_attempts(struct px_exch *ex, struct tg_msg *m);

/* shadow.c: copies of requests to other clusters. */
int px_shadows_init(struct tg_proxy *p);
void px_shadows_begin(struct px_exch *ex); /* only if the route has mirrors; once */
void px_shadows_run(struct px_exch *ex);   /* behind the pump; only if ex->shadows */
void px_shadows_end(struct px_exch *ex);   /* ex ends */
void px_shadows_abort(struct tg_proxy *p); /* all there are */
void px_shadow_free(struct px_down *d);    /* d's exchange is gone */
void px_shadow_leave(struct px_down *d);   /* its request feeds it no more; before it ends */

/* edit.c: only if ex->route. False: no memory. m: the response, before it is framed. */
bool px_edit_request(struct px_exch *ex);
bool px_edit_response(struct px_exch *ex, struct tg_msg *m);

/* reply.c */
extern const struct tg_view
	px_overloaded; /* a whole 503 for when there is no memory to write one */
enum px_reply {
	PX_REPLY_REFUSED, /* status from req_head.scan.refusal */
	PX_REPLY_BAD_PATH,
	PX_REPLY_LAST_HOP, /* OPTIONS that may not be forwarded: what we can do is answer */
	PX_REPLY_NO_TRACE, /* the same for TRACE */
	PX_REPLY_TIMEOUT,
	PX_REPLY_IDLE_TIMEOUT,
	PX_REPLY_MAX_DURATION,
	PX_REPLY_HEADERS_TIMEOUT,
	PX_REPLY_NO_ROUTE,
	PX_REPLY_NO_CLUSTER, /* status from the route's action */
	PX_REPLY_NO_HOST,
	PX_REPLY_CONNECT_FAILURE,
	PX_REPLY_NO_PORT, /* no source port towards the endpoint is free */
	PX_REPLY_CONNECT_TIMEOUT,
	PX_REPLY_OVERFLOW,
	PX_REPLY_UPSTREAM_RESET,
	PX_REPLY_UPSTREAM_CLOSED,
	PX_REPLY_UPSTREAM_TIMEOUT,
	PX_REPLY_TRY_TIMEOUT,
	PX_REPLY_TRY_IDLE_TIMEOUT,
	PX_REPLY_UPSTREAM_BAD,
	PX_REPLY_NO_MEMORY,
	PX_REPLY_OVERLOADED,
	PX_REPLY_BODY_CUT,     /* the client's FIN came before the end of the body */
	PX_REPLY_BODY_REFUSED, /* a malformed request body: status from req_pump.in.refusal */
	PX_REPLY_MAX,
};
void px_reply(struct px_exch *ex, enum px_reply r);
void px_reply_filter(struct px_exch *ex); /* what ex->fx->reply says */
/* A route's own answer; field: one more, NULL: none. The route's edits are applied. */
void px_reply_direct(
	struct px_exch *ex, uint16_t status, struct tg_view body, const struct tg_field *field);

/* action.c */
void px_choose_cluster(struct px_exch *ex); /* sets goes_to and weighted; only if ex->route */
/* True: the route, or its virtual host, answers by itself, and the reply has begun. */
bool px_answer_by_route(struct px_exch *ex);
enum px_reply px_rewrite(struct px_exch *ex);       /* path and host; PX_REPLY_MAX: done */
struct tg_view px_scheme(const struct px_exch *ex); /* "http" or "https" */

/* upstream.c */
int px_up_init(struct tg_proxy *p);
void px_up_request(struct px_exch *ex); /* finds a connection; ex goes on in WAIT or UPSTREAM */
enum px_release { PX_RELEASE_REUSE, PX_RELEASE_CLOSE, PX_RELEASE_ABORT };
void px_up_release(struct px_up *u, enum px_release how);
void px_up_abort(struct px_up *u, enum tg_why why);
void px_up_leave_queue(struct px_exch *ex);
/* NULL with *err; TG_EAGAIN: as many connections as are allowed are open. */
struct px_up *px_up_dial(struct px_endpoint *ep, const struct tg_cluster *c,
	enum tg_priority priority, struct px_l4 *l4, int *err);
void px_up_try_again(struct px_endpoint *ep); /* for those that wait */

/* yield.c */
int px_yield_init(struct tg_proxy *p);
void px_yield_end(struct tg_proxy *p); /* it needs nothing any more */
/* ep has connections that idle, or requests that wait for one. */
void px_yield_arm(struct px_endpoint *ep);

/* dry.c: what an exchange tells its dry run; only if proxy->dry. */
void px_dry_routed(struct px_exch *ex);
const struct tg_filter_chain *px_dry_chain(struct tg_dry *d, const struct tg_filter_chain *real);
struct tg_dry *px_dry_of(struct tg_exchange *fx); /* filters.c */

/* overload.c */
int px_overload_init(struct tg_proxy *p);
void px_overload_adopt(struct tg_proxy *p); /* p->snap is new */
/* Only if p->overload. False: a local reply has begun. */
bool px_overload_admits(struct px_exch *ex);
void px_overload_keepalive(struct px_down *d); /* a response is about to begin */

/* All of them, those with a request too. */
void px_up_close_all(struct px_endpoint *ep);

/* check.c */
int px_checks_init(struct tg_proxy *p);
void px_checks_stop(struct tg_proxy *p);
/* What s needs is made, or nothing is: TG_ENOMEM. Then it is used, and the rest is gone; the former
 * snapshot is still there. */
int px_checks_make(struct tg_proxy *p, const struct tg_snapshot *s);
void px_checks_adopt(struct tg_proxy *p, const struct tg_snapshot *s);
/* The same for one cluster, as DNS has it now; old is still there. Without memory an endpoint that
 * is new stays without checks. */
void px_checks_adopt_live(
	struct tg_proxy *p, const struct tg_cluster *old, const struct tg_cluster *live);

/* An answer to a request may say that its endpoint is unwell. Only if the cluster has checks. */
void px_check_answer(const struct px_exch *ex, const struct tg_msg *m);

/* outlier.c: what a request's try came to, for outlier detection. Only if the cluster has it. */
void px_outlier_answer(struct px_exch *ex, uint16_t status);
/* Where its try went, and *c: its cluster as it is now, which DNS may have changed since. NULL: it
 * is gone, or nobody has bound it (health.h). Only if ex->ep. */
struct tg_host *px_host_of(const struct px_exch *ex, const struct tg_cluster **c);
void px_outlier_failure(struct px_exch *ex, bool timeout);
void px_outlier_connected(struct px_exch *ex);
void px_outlier_l4(const struct px_l4 *l, bool good, bool timeout);

/* endpoint.c */
void px_endpoint_put(struct px_endpoint *ep); /* drops a reference */
int px_endpoints_adopt(struct tg_proxy *p, struct tg_snapshot *s);
/* c, or what DNS made of it. *s: the snapshot whose ids the endpoints have. NULL: there is no such
 * cluster any more. */
const struct tg_cluster *px_cluster_live(
	const struct tg_proxy *p, const struct tg_snapshot **s, const struct tg_cluster *c);
/* ask: its hash and whom to avoid; the rest is filled in. */
const struct tg_endpoint *px_endpoint_pick(struct tg_proxy *p, const struct tg_snapshot *s,
	const struct tg_cluster *c, struct tg_lb_ask *ask);
struct px_endpoint *px_endpoint_of(struct tg_proxy *p, const struct tg_snapshot *s,
	const struct tg_cluster *c, const struct tg_endpoint *e);
/* The same, if it is there already. */
struct px_endpoint *px_endpoint_known(struct tg_proxy *p, const struct tg_snapshot *s,
	const struct tg_cluster *c, const struct tg_endpoint *e);

/* l4.c */
void px_l4_begin(struct px_down *d);
void px_l4_run(struct px_l4 *l);
void px_l4_up_event(struct px_l4 *l, uint32_t ev);
/* Both sides are aborted if still there; the client's counts why. lost: one of them failed, and has
 * counted why it did. */
void px_l4_end(struct px_l4 *l, enum tg_why why);
void px_l4_lost(struct px_l4 *l);
/* The origin that it has been dialled for is not there, and is told of: another one, or its end. */
void px_l4_connect_failed(struct px_l4 *l);
uint64_t px_l4_next_deadline(const struct px_l4 *l);
void px_l4_deadline(struct px_l4 *l, uint64_t now);

/* text.c: small formatting without libc */
uint32_t px_text_u64(uint64_t v, uint8_t out[static 20]);
uint32_t px_text_ip(const struct tg_ip *a, uint8_t out[static TG_ADDR_TEXT]);
uint32_t px_text_time(uint64_t ns, uint8_t out[static 24]); /* 2024-01-01T00:00:00.000Z */
uint32_t px_text_uuid4(struct tg_rng *r, uint8_t out[static 36]);
struct tg_view px_text_date(
	struct tg_proxy *p); /* IMF-fixdate of now; valid until the next second */

/* Who the client proved to be; .n 0: nobody. */
static inline struct tg_view px_peer_uri(const struct tg_conn *c)
{
	const struct tg_identity *peer = tg_tls_peer(c);

	return peer ? peer->uri : TG_VIEW_NONE;
}

/* What failed, if it was TLS. */
static inline enum tg_why px_transport_of(enum tg_why why)
{
	return tg_why_is_tls(why) ? why : TG_WHY_none;
}

/* Bytes that a connection's buffers must have at least. max_head 0: no heads are read. */
static inline uint32_t px_buffer_for(uint32_t limit, uint32_t max_head, bool tls)
{
	uint32_t least = max_head + (tls ? TG_PX_RECORD_MAX : 0) + TG_PX_SEGMENT_MAX;

	return (max_head || tls) && limit < least ? least : limit;
}

/* pins */
static inline void px_pin(struct tg_proxy *p, struct tg_snapshot *s)
{
	s->worker[p->conf.worker].pins++;
}

static inline void px_unpin(struct tg_proxy *p, struct tg_snapshot *s)
{
	uint64_t *pins = &s->worker[p->conf.worker].pins;

	/* Release: the control core may free s as soon as it sees the zero. */
	__atomic_store_n(pins, *pins - 1, __ATOMIC_RELEASE);
}

#endif
