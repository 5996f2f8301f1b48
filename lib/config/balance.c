/* `lb_policy` of clusters and `hash_policy` of routes. */
#include <string.h>

#include "schema.h"

static bool is_prime(uint32_t n)
{
	for (uint32_t d = 2; (uint64_t)d * d <= n; d++)
		if (n % d == 0)
			return false;
	return n > 1;
}

static void check_group(struct cfg *c, const struct raw_cluster *raw, const struct raw_head *h,
	uint32_t policy, const char *key, const char *word)
{
	if (h->at && raw->lb_policy != policy)
		cfg_error(c, cfg_line_of(h->at), "%s: \"%s\" is only for lb_policy = \"%s\"",
			cfg_who(c, raw->h.at, &cfg_clusters), key, word);
}

/* Without a gap, so that a misspelt one does not leave its endpoints idle. */
static void check_priorities(struct cfg *c, const struct raw_cluster *raw)
{
	const struct raw_endpoint *e = raw->endpoints.items;
	bool used[TG_LB_LEVELS_MAX] = {false};

	for (uint32_t i = 0; i < raw->endpoints.n; i++)
		if (e[i].c.priority < TG_LB_LEVELS_MAX)
			used[e[i].c.priority] = true;
	for (uint32_t i = 0; i < raw->endpoints.n && raw->endpoints.whole; i++) {
		uint32_t p = e[i].c.priority;

		if (p == 0 || p >= TG_LB_LEVELS_MAX || used[p - 1])
			continue;
		cfg_error(c, cfg_key_line(&e[i].h, "priority"),
			"%s: an endpoint has \"priority\" %u and none has %u; they go on from 0 "
			"without a gap",
			cfg_who(c, raw->h.at, &cfg_clusters), p, p - 1);
	}
}

void cfg_check_balancer(struct cfg *c, const struct raw_cluster *raw)
{
	check_priorities(c, raw);
	check_group(c, raw, &raw->round_robin.h, CFG_LB_ROUND_ROBIN, "round_robin_lb_config",
		"round_robin");
	check_group(c, raw, &raw->least_request.h, CFG_LB_LEAST_REQUEST, "least_request_lb_config",
		"least_request");
	check_group(c, raw, &raw->ring.h, CFG_LB_RING_HASH, "ring_hash_lb_config", "ring_hash");
	check_group(c, raw, &raw->maglev.h, CFG_LB_MAGLEV, "maglev_lb_config", "maglev");
	if (raw->ring.min > raw->ring.max)
		cfg_error(c, cfg_line_of(raw->ring.h.at),
			"%s: \"minimum_ring_size\" is larger than \"maximum_ring_size\"",
			cfg_who(c, raw->h.at, &cfg_clusters));
	if (raw->maglev.h.at && raw->maglev.table_size && !is_prime(raw->maglev.table_size))
		cfg_error(c, cfg_key_line(&raw->maglev.h, "table_size"),
			"%s: \"table_size\" is %u and has to be a prime",
			cfg_who(c, raw->h.at, &cfg_clusters), raw->maglev.table_size);
}

void cfg_check_hash(struct cfg *c, const struct raw_list *raw, const char *who)
{
	for (uint32_t i = 0; i < raw->n; i++) {
		const struct raw_hash *p = &cfg_items(raw, raw_hash)[i];
		int given = (p->header.h.at != NULL) + (p->query.h.at != NULL) +
			    (p->cookie.h.at != NULL) + (p->conn.h.at != NULL);

		if (given > 1 || (!given && !p->h.meant))
			cfg_error(c, cfg_line_of(p->h.at),
				"%s: hash_policy: give one of \"header\", \"cookie\", "
				"\"connection_properties\" and \"query_parameter\"%s",
				who, given ? ", not more" : "");
		if (p->conn.h.at && !p->conn.source_ip)
			cfg_error(c, cfg_line_of(p->conn.h.at),
				"%s: connection_properties: only source_ip = true says something",
				who);
		if ((p->header.name && !cfg_is_token(p->header.name)) ||
			(p->cookie.name && !cfg_is_token(p->cookie.name)))
			cfg_error(c, cfg_line_of(p->h.at), "%s: hash_policy: \"%s\" is no name",
				who, p->header.name ? p->header.name : p->cookie.name);
		if (p->cookie.path && strpbrk(p->cookie.path, "; ,\""))
			cfg_error(c, cfg_key_line(&p->cookie.h, "path"),
				"%s: cookie: \"path\" has a character that no cookie's can have",
				who);
	}
}

bool cfg_compile_balancer(struct cfg *c, const struct raw_cluster *raw, struct tg_cluster *out)
{
	static const struct tg_lb_ops *const ops[] = {NULL, &tg_lb_ops_least_request,
		&tg_lb_ops_random, &tg_lb_ops_ring_hash, &tg_lb_ops_maglev};

	const struct raw_slow_start *slow = raw->lb_policy == CFG_LB_ROUND_ROBIN
						    ? &raw->round_robin.slow
						    : &raw->least_request.slow;

	out->lb = ops[raw->lb_policy];
	out->panic_threshold = raw->common.panic_threshold;
	if (slow->h.at) {
		out->slow_window = slow->window;
		out->slow_exponent = 1e4 / slow->aggression;
		out->slow_least = slow->least / 1e6;
	}
	out->choice_count = raw->least_request.choice_count;
	out->min_ring = raw->ring.min;
	out->max_ring = raw->ring.max;
	out->table_size = raw->maglev.table_size;
	if (tg_cluster_compile_lb(out, cfg_alloc, c->keep) == 0)
		return true;
	c->no_memory = true;
	return false;
}

bool cfg_compile_hash(struct cfg *c, const struct raw_list *raw, struct tg_route *out)
{
	struct tg_hash_policy *p = NULL;

	out->n_hash = raw->n;
	if (raw->n && !(p = cfg_need(c, c->keep, raw->n * sizeof(*p))))
		return false;
	out->hash = p;
	for (uint32_t i = 0; i < raw->n; i++, p++) {
		const struct raw_hash *r = &cfg_items(raw, raw_hash)[i];

		p->terminal = r->terminal;
		if (r->header.h.at) {
			p->kind = TG_HASH_HEADER;
			p->name = tg_view_str(r->header.name);
		} else if (r->query.h.at) {
			p->kind = TG_HASH_QUERY;
			p->name = tg_view_str(r->query.name);
		} else if (r->cookie.h.at) {
			p->kind = TG_HASH_COOKIE;
			p->name = tg_view_str(r->cookie.name);
			p->has_ttl = cfg_given(&cfg_hash_cookie, &r->cookie.h, "ttl");
			p->ttl = r->cookie.ttl;
			if (r->cookie.path)
				p->path = tg_view_str(r->cookie.path);
		} else {
			p->kind = TG_HASH_SOURCE_IP;
		}
	}
	return true;
}
