/* explain.h: /explain: what would become of a request now, and why, as a JSON document.
 *
 * A dry run (dry.h) of the request over a snapshot, and what the workers have at the moment:
 * limits, breakers, the balancer's next endpoint. docs/explain.md describes the document. Any
 * thread that holds the snapshot. Not here: HTTP (admin_explain.c), tables (tgctl).
 */
#ifndef TIDEGATE_APP_EXPLAIN_H
#define TIDEGATE_APP_EXPLAIN_H

#include <jansson.h>

#include <tidegate/dry.h>
#include <tidegate/proxy.h>

#define TG_EXPLAIN_HEADERS_MAX 128
#define TG_EXPLAIN_HEAD_MAX (64 * 1024) /* bytes of a head that is explained */

/* As the user writes it; NULL: not given. */
struct tg_explain_query {
	const char *method, *url;
	const char *listener; /* name or address; NULL: by the URL */
	const char *from;     /* client's address, port */
	const char *identity; /* of its certificate: URI, DNS name or subject */
	const char *sni, *body_size;
	uint32_t n_headers;
	const char *headers[TG_EXPLAIN_HEADERS_MAX]; /* "name: value" */
	bool all; /* every route that comes close, every endpoint */
};

struct tg_explain_world {
	const struct tg_snapshot *snap;
	uint32_t n_workers;
	const struct tg_proxy *const *proxies; /* [n_workers]; NULL: they are not there yet */
	uint64_t now, realtime_offset;         /* ns, as workers have it */
};

/* NULL with e->text: what is wrong with the query, or no memory. */
json_t *tg_explain(
	const struct tg_explain_query *q, const struct tg_explain_world *w, struct tg_errbuf *e);

/* --- its parts ---------------------------------------------------------------------------------
 */

/* v as a JSON string, whatever bytes it has: those that are no text as \xHH. */
json_t *tg_explain_text(struct tg_view v);
/* explain_route.c */
json_t *tg_explain_routes(const struct tg_vhost *v, const struct tg_route *taken,
	const struct tg_msg *m, const struct tg_match_env *env, bool all);
json_t *tg_explain_route(const struct tg_vhost *v, const struct tg_dry_result *r);
/* explain_cluster.c. share: of requests, 0 .. 1 */
json_t *tg_explain_cluster(const struct tg_cluster *c, double share, const struct tg_dry_result *r,
	const struct tg_explain_world *w, bool all);

#endif
