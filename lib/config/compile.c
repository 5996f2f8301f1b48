/* Raw structures, known to be good, into the snapshot. Texts are in its memory already. */
#include <string.h>

#include "schema.h"

struct compile {
	struct cfg *c;
	const struct raw_config *raw;
	struct tg_snapshot *s;
	struct cfg_index vhosts, clusters;
	struct cfg_zones zones;
	const struct tg_cluster *local; /* cluster_manager's; NULL: none */
};

static void *keep(struct compile *k, size_t n, size_t size)
{
	return cfg_need(k->c, k->c->keep, (n + 1) * size);
}

/* p of keep(), for elements of at least a cache line, at the beginning of one: there is room for
 * one more. */
static void *at_line(void *p)
{
	return p ? (uint8_t *)p + (-(uintptr_t)p & 63) : NULL;
}

static bool compile_fixed(struct compile *k)
{
	const struct raw_port *ports = k->raw->ports.items;
	const struct raw_ip_route *routes = k->raw->ip_routes.items;
	const struct raw_list *cpus = &k->raw->dataplane.cpus;
	const struct raw_list *source = &k->raw->dataplane.source_ports;
	struct tg_snapshot *s = k->s;

	s->dataplane = k->raw->dataplane.c;
	s->dataplane.idle = k->raw->dataplane.idle;
	s->dataplane.n_cpus = cpus->n;
	s->dataplane.cpus = keep(k, cpus->n, sizeof(*s->dataplane.cpus));
	s->admin = k->raw->admin.c;
	s->spiffe_socket = k->raw->spiffe.socket;
	s->has_rate_limit_service = k->raw->service.h.at;
	s->redis = k->raw->service.redis;
	s->quota_keys = k->raw->service.max_keys;
	s->admin.has_address = s->admin.address.port != 0;
	s->n_ports = k->raw->ports.n;
	s->ports = keep(k, s->n_ports, sizeof(*s->ports));
	s->n_ip_routes = k->raw->ip_routes.n;
	s->ip_routes = keep(k, s->n_ip_routes, sizeof(*s->ip_routes));
	if (k->c->no_memory)
		return false;
	for (uint32_t i = 0; i < cpus->n; i++)
		s->dataplane.cpus[i] = cfg_items(cpus, raw_item)[i].u;
	if (source->n == 2) {
		s->dataplane.port_first = (uint16_t)cfg_items(source, raw_item)[0].u;
		s->dataplane.port_last = (uint16_t)cfg_items(source, raw_item)[1].u;
	}
	for (uint32_t i = 0; i < s->n_ip_routes; i++)
		s->ip_routes[i] =
			(struct tg_ip_route_conf){routes[i].destination.prefix, routes[i].via};
	for (uint32_t i = 0; i < s->n_ports; i++) {
		struct tg_port_conf *p = &s->ports[i];

		*p = ports[i].c;
		if (!p->device)
			p->device = ports[i].pci;
		p->n_addrs = ports[i].addresses.n;
		p->addrs = keep(k, p->n_addrs, sizeof(*p->addrs));
		for (uint32_t a = 0; a < p->n_addrs && p->addrs; a++)
			p->addrs[a] = cfg_items(&ports[i].addresses, raw_item)[a].prefix;
	}
	return !k->c->no_memory;
}

/* The next of the snapshot's tls[]; NULL: the group is not there. */
static struct tg_tls_conf *compile_tls(
	struct compile *k, const struct raw_tls *raw, bool server, bool http)
{
	struct tg_tls_conf *out = &k->s->tls[k->s->n_tls];

	if (!raw->h.at || !cfg_compile_tls(k->c, raw, http, out))
		return NULL;
	out->server = server;
	out->id = k->s->n_tls++;
	return out;
}

static void compile_threshold(const struct raw_threshold *raw, struct tg_thresholds *t)
{
	memcpy(t->max, raw->max, sizeof(t->max));
	t->has_budget = raw->budget.h.at;
	t->budget_percent = raw->budget.percent;
	t->min_retry_concurrency = raw->budget.min_concurrency;
	t->track_remaining = raw->track_remaining;
}

static void compile_breakers(const struct raw_breakers *raw, struct tg_cluster *c)
{
	const struct raw_threshold *t = raw->thresholds.items;

	compile_threshold(&raw->flat, &c->thresholds[TG_PRIORITY_DEFAULT]);
	c->thresholds[TG_PRIORITY_HIGH] =
		(struct tg_thresholds){.max = {1024, 1024, 1024, 3}}; /* as the keys' defaults */
	for (uint32_t i = 0; i < raw->thresholds.n; i++)
		compile_threshold(&t[i], &c->thresholds[t[i].priority]);
}

static bool compile_cluster(struct compile *k, const struct raw_cluster *raw, struct tg_cluster *c)
{
	*c = raw->c;
	c->id = (uint32_t)(c - k->s->clusters);
	c->tls = compile_tls(k, &raw->tls, false, false);
	compile_breakers(&raw->breakers, c);
	if (!cfg_compile_discovery(k->c, raw, &k->zones, k->s, c == k->local, c))
		return false;
	cfg_compile_zones(raw, k->local, c);
	/* Weights are bounded by 65535, and 65536 endpoints would be needed to exceed their sum. */
	return tg_cluster_compile(c) == 0 && cfg_compile_balancer(k->c, raw, c) &&
	       cfg_compile_health(k->c, raw, c);
}

static bool compile_route(struct compile *k, const struct raw_vhost *v, const struct raw_route *raw,
	struct tg_route *r)
{
	r->name = raw->name ? raw->name : "";
	if (!cfg_compile_action(k->c, v, raw, &k->clusters, k->s->clusters, r))
		return false;
	r->timeout = raw->action.timeout;
	r->priority = raw->action.priority;
	r->idle_timeout = cfg_given(&cfg_action, &raw->action.h, "idle_timeout")
				  ? raw->action.idle_timeout
				  : UINT64_MAX;
	if (raw->action.hedge.h.at)
		r->hedge = raw->action.hedge.on_timeout;
	if (!cfg_compile_retry(k->c, &raw->action.retry, &r->retry) ||
		!cfg_compile_hash(k->c, &raw->action.hash, r))
		return false;
	return cfg_compile_match(k->c, &raw->match, r);
}

static bool compile_vhost(struct compile *k, const struct raw_vhost *raw, struct tg_vhost *v)
{
	const struct raw_route *routes = raw->routes.items;
	const struct tg_retry_policy *retry = NULL;
	uint8_t count = (uint8_t)((raw->count_in_request ? TG_ATTEMPT_COUNT_REQUEST : 0) |
				  (raw->count_in_response ? TG_ATTEMPT_COUNT_RESPONSE : 0));

	v->name = raw->name;
	v->require_tls = raw->require_tls != 0;
	v->request = cfg_compile_edits(k->c, &raw->request);
	v->response = cfg_compile_edits(k->c, &raw->response);
	v->n_domains = raw->domains.n;
	v->domains = keep(k, v->n_domains, sizeof(*v->domains));
	v->n_routes = raw->routes.n;
	v->routes = at_line(keep(k, v->n_routes, sizeof(*v->routes)));
	if (!v->domains || !v->routes)
		return false;
	for (uint32_t i = 0; i < v->n_domains; i++)
		v->domains[i] = tg_view_str(cfg_items(&raw->domains, raw_item)[i].s);
	if (!cfg_compile_retry(k->c, &raw->retry, &retry))
		return false;
	for (uint32_t i = 0; i < v->n_routes; i++) {
		struct tg_route *r = &v->routes[i];

		r->retry = retry;
		r->hedge = raw->hedge.on_timeout;
		r->attempt_count = count;
		r->buffer_limit =
			cfg_given(&cfg_route, &routes[i].h, "per_request_buffer_limit_bytes")
				? routes[i].buffer_limit
				: raw->buffer_limit;
		if (!compile_route(k, raw, &routes[i], r))
			return false;
	}
	return tg_vhost_compile(v, cfg_alloc, k->c->keep) == 0;
}

static bool same_names(const struct raw_list *a, const struct raw_list *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (strcmp(cfg_items(a, raw_item)[i].s, cfg_items(b, raw_item)[i].s) != 0)
			return false;
	return true;
}

/* Listeners with the same virtual hosts (web on IPv4 and on IPv6) share one table. */
static const struct tg_host_table *host_table(struct compile *k, uint32_t number)
{
	const struct raw_listener *l = k->raw->listeners.items;
	const struct raw_list *names = &l[number].virtual_hosts;
	struct tg_vhost **v;

	for (uint32_t i = 0; i < number; i++)
		if (k->s->listeners[i].hosts && same_names(names, &l[i].virtual_hosts))
			return k->s->listeners[i].hosts;
	v = cfg_need(k->c, &k->c->tmp, (names->n + 1) * sizeof(struct tg_vhost *));
	if (!v)
		return NULL;
	for (uint32_t i = 0; i < names->n; i++) {
		uint32_t at = cfg_index_find(&k->vhosts, cfg_items(names, raw_item)[i].s);

		v[i] = &k->s->vhosts[at];
	}
	return tg_host_table_build(v, names->n, cfg_alloc, k->c->keep, NULL);
}

static bool compile_listener(struct compile *k, uint32_t number)
{
	const struct raw_listener *raw = &cfg_items(&k->raw->listeners, raw_listener)[number];
	struct tg_listener_conf *l = &k->s->listeners[number];
	struct tg_tls_conf *tls;

	*l = raw->c;
	l->id = number;
	l->protocol = raw->protocol;
	tls = compile_tls(k, &raw->tls, true, l->protocol == TG_PROTOCOL_HTTP);
	if (tls)
		tls->keep_pem = raw->xfcc_set.cert;
	l->tls = tls;
	l->xfcc = (uint8_t)raw->xfcc;
	l->xfcc_set = (uint8_t)((raw->xfcc_set.subject ? TG_XFCC_SUBJECT : 0) |
				(raw->xfcc_set.cert ? TG_XFCC_CERT : 0) |
				(raw->xfcc_set.dns ? TG_XFCC_DNS : 0) |
				(raw->xfcc_set.uri ? TG_XFCC_URI : 0));
	l->tls_handshake_timeout = raw->tls.handshake_timeout;
	if (!cfg_compile_connlimit(k->c, &raw->connlimit, &l->connlimit))
		return false;
	l->limits.max_fields = (uint16_t)raw->max_fields;
	if (raw->max_headers_kb)
		l->limits.max_head = raw->max_headers_kb * 1024;
	if (l->limits.max_target > l->limits.max_head)
		l->limits.max_target = l->limits.max_head;
	if (l->protocol == TG_PROTOCOL_TCP) {
		return cfg_compile_tcp_route(k->c, raw, &k->clusters, k->s->clusters, l);
	}
	l->request_edits = cfg_compile_edits(k->c, &raw->request);
	l->response_edits = cfg_compile_edits(k->c, &raw->response);
	l->hosts = host_table(k, number);
	return l->hosts != NULL;
}

bool cfg_compile(struct cfg *c, const struct raw_config *raw, struct tg_snapshot *s)
{
	struct compile k = {.c = c, .raw = raw, .s = s};
	const struct raw_cluster *clusters = raw->clusters.items;
	const struct raw_vhost *vhosts = raw->virtual_hosts.items;

	cfg_index_build(c, &k.vhosts, &raw->virtual_hosts, &cfg_virtual_hosts,
		offsetof(struct raw_vhost, name));
	cfg_index_build(c, &k.clusters, &raw->clusters, &cfg_clusters,
		offsetof(struct raw_cluster, c.name));
	s->n_clusters = raw->clusters.n;
	s->clusters = keep(&k, s->n_clusters, sizeof(*s->clusters));
	s->n_vhosts = raw->virtual_hosts.n;
	s->vhosts = keep(&k, s->n_vhosts, sizeof(*s->vhosts));
	s->n_listeners = raw->listeners.n;
	s->listeners = keep(&k, s->n_listeners, sizeof(*s->listeners));
	s->tls = keep(&k, s->n_listeners + s->n_clusters, sizeof(*s->tls));
	if (!compile_fixed(&k) || c->no_memory)
		return false;
	cfg_zones_begin(&k.zones, &raw->node.locality);
	if (raw->manager.local)
		k.local = &s->clusters[cfg_index_find(&k.clusters, raw->manager.local)];
	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (!compile_cluster(&k, &clusters[i], &s->clusters[i]))
			return false;
	if (!cfg_keep_zones(c, &k.zones, s))
		return false;
	s->cluster_names = tg_cluster_names_build(s->clusters, s->n_clusters, cfg_alloc, c->keep);
	if (!s->cluster_names)
		return false;
	for (uint32_t i = 0; i < s->n_vhosts; i++)
		if (!compile_vhost(&k, &vhosts[i], &s->vhosts[i]))
			return false;
	for (uint32_t i = 0; i < s->n_listeners; i++)
		if (!compile_listener(&k, i))
			return false;
	return cfg_compile_overload(c, &raw->overload, &s->overload) &&
	       cfg_compile_filters(c, raw, s, &k.vhosts) && !c->no_memory;
}
