/* dry.h: what would become of a request or a connection, without sending it.
 *
 * A dry run is an exchange in a proxy of its own, with statistics, pools and generator of its own,
 * whose client is a piece of memory. It goes the way of a worker's exchange, by the same functions,
 * over the same compiled configuration, from the parser to the head that the origin would get, and
 * ends where a connection would be looked for. Filters are asked by their hook explain. So it
 * counts nothing, takes nothing and moves nothing of what the workers use, and reads it as it
 * stands. What happens by chance is taken to happen if that is likelier than not (match.h).
 *
 * Owner: one thread of the control core; the snapshot is held from tg_dry_run() to tg_dry_end().
 * Bounds: memory for one exchange. Not here: which endpoint (tg_proxy_peek()), text.
 */
#ifndef TIDEGATE_DRY_H
#define TIDEGATE_DRY_H

#include <tidegate/config.h>

struct tg_dry;

struct tg_dry_ask {
	const struct tg_snapshot *snap;
	const struct tg_listener_conf *listener;
	struct tg_view head; /* of the request, as the client writes it; not of TCP listeners */
	struct tg_sockaddr remote;
	struct tg_view sni;
	const struct tg_identity *identity; /* NULL: no certificate. Only with listener->tls */
	uint32_t worker, n_workers;         /* whose leases filters look at */
	uint64_t now, realtime_offset;      /* ns, as the workers' wheels have it */
	/* The request as routes see it: normalised, before anything is rewritten. route: the one
	 * that it takes, NULL: none. vhost NULL: no route is asked. */
	void (*routed)(void *ctx, const struct tg_vhost *v, const struct tg_route *route,
		const struct tg_msg *m, const struct tg_match_env *env);
	/* Before a filter of the chain is asked; the hooks of *x are called meanwhile. */
	struct tg_explain *(*filter)(void *ctx, const struct tg_filter *f);
	/* What it said; r: its answer, unless TG_PASS. */
	void (*verdict)(void *ctx, const struct tg_filter *f, enum tg_verdict v,
		const struct tg_filter_reply *r);
	void *ctx;
};

enum tg_dry_end {
	TG_DRY_FORWARDED, /* an endpoint of `cluster` would get it */
	TG_DRY_ANSWERED,  /* by Tidegate itself: status, details, answer */
	TG_DRY_CUT,       /* the connection would be cut */
	TG_DRY_INCOMPLETE /* head is not one head and all of it */
};

/* Views and pointers until tg_dry_end(). */
struct tg_dry_result {
	enum tg_dry_end end;
	uint16_t status;
	uint32_t flags; /* TG_FLAG */
	enum tg_why why;
	struct tg_view details;
	struct tg_view answer; /* head and content */
	struct tg_view sent;   /* the head that the origin would get */
	const struct tg_vhost *vhost;
	const struct tg_route *route;
	const struct tg_cluster *cluster;
	uint64_t timeout, per_try_timeout; /* ns; 0: none. With what the client may ask for */
	uint32_t retries, retry_on;        /* at most so many; enum tg_retry_bit */
	enum tg_priority priority;
	bool has_hash;
	uint64_t hash;
	struct tg_view cookie; /* that the client would be given for it; .n 0: none */
};

/* NULL: no memory. *out is filled in. */
struct tg_dry *tg_dry_run(const struct tg_dry_ask *ask, struct tg_dry_result *out);
void tg_dry_end(struct tg_dry *d);

#endif
