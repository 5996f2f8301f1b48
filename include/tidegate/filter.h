/* filter.h: what stands between a client's connection or request and the router: the filter chain.
 *
 * A listener has a chain of filters in configured order. Virtual hosts and routes may put another
 * configuration in the place of one of them, take one out, or add some behind. All chains that
 * requests can meet are built on the control core, with the snapshot, whose memory they are in; a
 * worker never merges anything.
 *
 *	accept, TLS       on_conn       PASS, or RESET: the connection is closed
 *	request head      on_request    in order; the route is known, the head is as the origin
 *	                                would get it (hop-by-hop fields and forgeries are gone)
 *	content           on_body       before bytes move, either way: how many may
 *	response head     on_response   in reverse order; also for Tidegate's own answers
 *	end               on_end        exactly once for every filter of a chain that began,
 *	                                however the exchange ends, also if its on_request never ran
 *
 * Owner: conf is immutable and shared by all workers; an exchange belongs to one worker. Bounds:
 * exch_size bytes per exchange, zeroed, in one piece with those of the other filters; nothing else
 * is allocated for an exchange unless the filter takes it from the exchange's arena. A hook that is
 * NULL costs nothing: chains keep a list for each hook. A listener without filters has no chain.
 *
 * Waiting: a hook that returns TG_WAIT is called again for the same message after wake_at, or after
 * tg_exchange_resume(), whichever is first; filters before it are not, except by on_response, which
 * begins anew with the head as it came. Timeouts go on; the route's does not begin before the
 * filters are through. A hook must not resume, or end, the exchange from inside.
 *
 * Not here: the configuration's text (lib/config), connections (lib/proxy).
 */
#ifndef TIDEGATE_FILTER_H
#define TIDEGATE_FILTER_H

#include <tidegate/addr.h>
#include <tidegate/arena.h>
#include <tidegate/bucket.h>
#include <tidegate/conn.h>
#include <tidegate/err.h>
#include <tidegate/msg.h>
#include <tidegate/rng.h>
#include <tidegate/stats.h>
#include <tidegate/tls.h>
#include <tidegate/why.h>

#define TG_FILTERS_MAX 16       /* in one list of the configuration */
#define TG_CHAIN_MAX 48         /* of listener, virtual host and route together */
#define TG_FILTER_EXCH_MAX 4096 /* bytes of all exch_size of a chain */

struct tg_filter;
struct tg_exchange;

enum tg_verdict {
	TG_PASS,  /* go on */
	TG_WAIT,  /* not yet */
	TG_REPLY, /* the filter's answer, in ex->reply, instead of the origin's (requests,
		     responses) */
	TG_RESET, /* cut: ex->reply says why */
};

/* Who is at the other end of a client's connection. */
struct tg_client {
	struct tg_sockaddr remote, local;
	const struct tg_identity *identity; /* by a verified certificate; NULL: none */
	struct tg_view sni;                 /* .n 0: none */
	bool tls;
};

/* How a connection is cut. */
enum tg_cut {
	TG_CUT_RESET,
	TG_CUT_FIN,   /* an end that looks orderly; over TLS, without close_notify */
	TG_CUT_ALERT, /* a fatal alert; without TLS a reset */
};

/* A filter's answer, or what it says of a cut. Views live as long as the exchange (in the arena, or
 * in conf); for on_conn, as long as conf. */
struct tg_filter_reply {
	uint16_t status;
	uint32_t flags; /* TG_FLAG of log.h */
	enum tg_why why;
	uint8_t cut, alert;            /* TG_RESET: enum tg_cut, and which alert */
	struct tg_view details;        /* response code details, in Envoy's words */
	struct tg_view body;           /* text/plain */
	const struct tg_field *fields; /* to add, such as retry-after */
	uint32_t n_fields;
};

/* Before content moves in one direction. */
struct tg_body {
	bool response;  /* to the client; else to the origin */
	uint64_t moved; /* bytes of content that have been */
	uint64_t allow; /* bytes of content, in all, that may have been moved after this: lower it.
			 * At least moved. Who lowers it returns TG_WAIT when nothing may move. */
};

/* How an exchange ended. */
struct tg_outcome {
	uint16_t status;                        /* sent to the client; 0: none */
	uint32_t flags;                         /* TG_FLAG */
	enum tg_why why;                        /* TG_WHY_none: well */
	uint64_t request_bytes, response_bytes; /* of content */
	uint64_t duration;                      /* ns */
};

/* A request and its response, as filters see it. The proxy makes one for an exchange that has a
 * chain, in its arena. */
struct tg_exchange {
	const struct tg_filter_chain *chain;
	struct tg_client client;
	struct tg_arena *arena; /* memory until the end of the exchange */
	const char *route;      /* its name, may be ""; NULL: no route matches */
	const char *cluster;    /* NULL: no route matches, or it leads to none */
	uint64_t now;           /* ns, of this turn; set before each call */
	uint32_t worker;
	struct tg_rng *rng;           /* the worker's: seeded, so that a run can be repeated */
	uint32_t flags;               /* TG_FLAG that filters add, whatever they say */
	struct tg_filter_reply reply; /* of who returns TG_REPLY or TG_RESET */
	uint64_t wake_at;             /* ns; of who returns TG_WAIT; UINT64_MAX: until resumed */
	void (*resume)(struct tg_exchange *); /* the proxy's: see tg_exchange_resume() */
	/* The proxy's: as tg_conn_fault() of the client's connection. */
	int (*spoil)(struct tg_exchange *, const struct tg_conn_fault *);
	uint8_t next; /* chain.c's: the request filter to be asked next */
	bool local;   /* on_response: Tidegate's own answer; only PASS and RESET are heard */
	bool ended;   /* chain.c's: on_end has been called */
	_Alignas(16) uint8_t state[]; /* chain->exch_bytes */
};

/* What compile() gets its memory from: the snapshot's, zeroed; NULL: none left. */
struct tg_filter_env {
	void *(*alloc)(void *ctx, size_t n);
	void *ctx;
	uint32_t workers;
};

/* Whom a dry run tells what a filter would do (dry.h). */
struct tg_explain {
	/* A sentence, without full stop. */
	void (*say)(struct tg_explain *x, const char *fmt, ...)
		__attribute__((format(printf, 2, 3)));
	/* Tokens left of a bucket that is looked at, and ns until more come. */
	void (*limit)(struct tg_explain *x, const char *what, uint32_t left,
		const struct tg_bucket_rate *rate, uint64_t next);
};

/* One kind of filter, static. At most eight hooks. */
struct tg_filter_ops {
	const char *name;      /* as in the configuration: "rbac" */
	const char *stat_name; /* as in statistics; NULL: the same */
	uint16_t conf_size;
	uint16_t core_size; /* bytes a worker and configuration that the filter may write to, zeroed
			       with each snapshot, in cache lines of their own; 0: none */
	uint16_t exch_size;
	uint16_t n_counters;
	const struct tg_stat_def *counters;
	/* in: the kind's own input (rbac.h); it stays as long as conf. 0, TG_ENOMEM. */
	int (*compile)(void *conf, const void *in, const struct tg_filter_env *env);
	enum tg_verdict (*on_conn)(const struct tg_filter *f, const struct tg_client *c,
		uint32_t worker, struct tg_filter_reply *why);
	enum tg_verdict (*on_request)(
		const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m);
	enum tg_verdict (*on_response)(
		const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m);
	enum tg_verdict (*on_body)(
		const struct tg_filter *f, struct tg_exchange *ex, struct tg_body *b);
	void (*on_end)(
		const struct tg_filter *f, struct tg_exchange *ex, const struct tg_outcome *o);
	/* What on_request (m NULL: on_conn) would return if this request came now, with ex->reply;
	 * never TG_WAIT: a delay is said. Reads what the workers use, and writes nothing: it counts
	 * nothing, takes no token, draws no chance. What happens by chance is taken to happen if
	 * that is likelier than not, and said. Control core. NULL: a dry run passes it by. */
	enum tg_verdict (*explain)(const struct tg_filter *f, struct tg_exchange *ex,
		struct tg_msg *m, struct tg_explain *x);
};

/* A configured filter. */
struct tg_filter_conf {
	const struct tg_filter_ops *ops;
	const char *id; /* "": none. Name and id together say which filter is overridden */
	const void *conf;
	uint8_t *core; /* [worker] core_size, rounded up to 64 */
	bool disabled; /* not in the chain; holds its place for an override */
};

/* And its place in one chain. */
struct tg_filter {
	const struct tg_filter_ops *ops;
	const struct tg_filter_conf *of;
	const void *conf;
	uint64_t *counters; /* [worker][TG_FILTER_ROW(n_counters)]; survives reloads */
	uint32_t state_at;  /* in tg_exchange's state */
};

/* Filters by hook; indices of filters[]. */
struct tg_filter_hook {
	uint8_t n, at[TG_CHAIN_MAX];
};

struct tg_filter_chain {
	uint32_t n, exch_bytes;
	struct tg_filter *filters; /* in order */
	struct tg_filter_hook conn, request, response /* in reverse */, body, end;
};

/* --- control core ------------------------------------------------------------------------------
 */

/* Makes a configured filter; id and in must live as long as env's memory. TG_ENOMEM. */
int tg_filter_compile(struct tg_filter_conf *out, const struct tg_filter_ops *ops, const char *id,
	const void *in, const struct tg_filter_env *env);

/* One list of the configuration. */
struct tg_filter_list {
	uint32_t n;
	const struct tg_filter_conf *confs;
};
/* The chain of several lists, the least specific first: each filter of a later list takes the place
 * of the one with its name and id, else it comes last. The result has n = 0 if nothing is left.
 * TG_ENOMEM; TG_ETOOBIG: more than TG_CHAIN_MAX filters or TG_FILTER_EXCH_MAX bytes. */
int tg_filter_chain_build(struct tg_filter_chain *out, const struct tg_filter_list *lists,
	uint32_t n, const struct tg_filter_env *env);
/* Gives each filter its counters at that listener. TG_ENOMEM. */
int tg_filter_chain_bind(struct tg_filter_chain *c, struct tg_stats *stats, const char *listener);

/* --- the proxy's, on a worker ------------------------------------------------------------------
 */

/* why: filled in unless TG_PASS. */
enum tg_verdict tg_chain_conn(const struct tg_filter_chain *c, const struct tg_client *client,
	uint32_t worker, struct tg_filter_reply *why);
/* Goes on where it waited. */
enum tg_verdict tg_chain_request(struct tg_exchange *ex, struct tg_msg *m);
enum tg_verdict tg_chain_response(struct tg_exchange *ex, struct tg_msg *m);
enum tg_verdict tg_chain_body(struct tg_exchange *ex, struct tg_body *b);
void tg_chain_end(struct tg_exchange *ex, const struct tg_outcome *o);

/* --- for filters -------------------------------------------------------------------------------
 */

/* Whoever a filter waited for has come: it will be asked again, in this or the next turn. Not from
 * inside a hook. */
static inline void tg_exchange_resume(struct tg_exchange *ex)
{
	ex->resume(ex);
}

static inline void *tg_filter_state(const struct tg_filter *f, struct tg_exchange *ex)
{
	return ex->state + f->state_at;
}

static inline void *tg_filter_core(const struct tg_filter *f, uint32_t worker)
{
	return f->of->core + (size_t)worker * ((f->ops->core_size + 63u) & ~63u);
}

static inline void tg_filter_count(const struct tg_filter *f, uint32_t worker, uint32_t counter)
{
	f->counters[worker * TG_FILTER_ROW(f->ops->n_counters) + counter]++;
}

#endif
