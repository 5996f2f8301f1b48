/* Where a cluster's endpoints come from: the file, or DNS. */
#include <string.h>

#include "keys.h"

static const struct cfg_key failure_keys[] = {
	KEY(raw_dns_failure, base, "base_interval", .type = CFG_DURATION, .flags = CFG_REQUIRED,
		.min = SEC / 1000, .max = YEAR, .example = "\"2s\"",
		.doc = "behind the first failure; doubled with each that follows"),
	KEY(raw_dns_failure, max, "max_interval", .type = CFG_DURATION, .min = SEC / 1000,
		.max = YEAR, .example = "\"20s\"", .doc = "at most; ten times the base"),
	END};
static const struct cfg_refused failure_refused[] = {{NULL}};
const struct cfg_group cfg_dns_failure = {
	"dns_failure_refresh_rate", sizeof(struct raw_dns_failure), failure_keys, failure_refused};

static const char *const dns_keys[] = {"dns_lookup_family", "respect_dns_ttl", "dns_refresh_rate",
	"dns_min_refresh_rate", "dns_failure_refresh_rate", "dns_resolvers",
	"use_tcp_for_dns_lookups", "no_default_search_domain", "dns_query_timeout",
	"dns_query_tries"};

static const char *who_of(struct cfg *c, const struct raw_cluster *raw)
{
	return cfg_who(c, raw->h.at, &cfg_clusters);
}

static void check_static(struct cfg *c, const struct raw_cluster *raw)
{
	const struct raw_endpoint *e = raw->endpoints.items;

	for (uint32_t i = 0; i < raw->endpoints.n; i++)
		if (e[i].at.host)
			cfg_error(c, cfg_key_line(&e[i].h, "address"),
				"%s: endpoint \"%s\" is a name: give the cluster type = "
				"\"STRICT_DNS\" (all its addresses) or \"LOGICAL_DNS\" (the first)",
				who_of(c, raw), e[i].at.host);
	for (size_t i = 0; i < TG_ARRAY_LEN(dns_keys); i++)
		if (cfg_given(&cfg_clusters, &raw->h, dns_keys[i]))
			cfg_error(c, cfg_key_line(&raw->h, dns_keys[i]),
				"%s: \"%s\" wants type = \"STRICT_DNS\" or \"LOGICAL_DNS\"",
				who_of(c, raw), dns_keys[i]);
}

static void check_names(struct cfg *c, const struct raw_cluster *raw)
{
	const struct raw_endpoint *e = raw->endpoints.items;

	if (raw->type == TG_DISCOVERY_LOGICAL_DNS && raw->endpoints.whole &&
		(raw->endpoints.n > 1 || (raw->endpoints.n == 1 && e->at.addr.port && !e->at.host)))
		cfg_error(c, cfg_line_of(raw->endpoints.at),
			"%s: with type = \"LOGICAL_DNS\" there is one endpoint, a name",
			who_of(c, raw));
	for (uint32_t i = 1; i < raw->endpoints.n; i++)
		for (uint32_t k = 0; k < i && e[i].at.host; k++)
			if (e[k].at.host && strcasecmp(e[k].at.host, e[i].at.host) == 0 &&
				e[k].at.addr.port == e[i].at.addr.port) {
				cfg_error(c, cfg_key_line(&e[i].h, "address"),
					"%s: endpoint %s:%u stands twice; give it a \"weight\" "
					"instead",
					who_of(c, raw), e[i].at.host, e[i].at.addr.port);
				break;
			}
}

void cfg_check_discovery(struct cfg *c, const struct raw_cluster *raw)
{
	const struct raw_list *r = &raw->dns.resolvers;

	if (raw->type == UINT32_MAX)
		return;
	if (raw->type == TG_DISCOVERY_STATIC) {
		check_static(c, raw);
		return;
	}
	check_names(c, raw);
	for (uint32_t i = 0; i < r->n; i++) {
		const struct raw_item *item = &cfg_items(r, raw_item)[i];

		if (item->ok && !tg_dns_is_resolver(item->s))
			cfg_error(c, cfg_line_of(item->at),
				"%s: \"dns_resolvers\": \"%s\" has to be an IP address with or "
				"without a port, such as \"10.0.0.53:53\"",
				who_of(c, raw), item->s);
	}
	if (raw->dns.failure.max && raw->dns.failure.max < raw->dns.failure.base)
		cfg_error(c, cfg_key_line(&raw->dns.failure.h, "max_interval"),
			"%s: \"max_interval\" is shorter than \"base_interval\"", who_of(c, raw));
}

/* "10.0.0.53:53,[fd00::53]:53" as c-ares wants it. NULL: no memory. */
static const char *join(struct cfg *c, const struct raw_list *r)
{
	const char *all = "";

	for (uint32_t i = 0; i < r->n && all; i++)
		all = cfg_printf(c->keep, "%s%s%s", all, i ? "," : "", cfg_items(r, raw_item)[i].s);
	return all;
}

static bool is_self(const struct tg_snapshot *s, const struct raw_endpoint *e)
{
	for (uint32_t p = 0; p < s->n_ports && !e->at.host; p++)
		for (uint32_t a = 0; a < s->ports[p].n_addrs; a++)
			if (tg_ip_eq(&s->ports[p].addrs[a].ip, &e->at.addr.ip))
				return true;
	return false;
}

static bool compile_names(struct cfg *c, const struct raw_cluster *raw, struct cfg_zones *zones,
	struct tg_snapshot *s, bool local, struct tg_cluster *out)
{
	const struct raw_endpoint *e = raw->endpoints.items;
	uint32_t n = raw->endpoints.n;
	struct tg_dns_conf *dns = cfg_need(c, c->keep, sizeof(*dns));
	struct tg_origin_name *names = cfg_need(c, c->keep, (n + 1) * sizeof(*names));
	uint32_t *weights = cfg_need(c, &c->tmp, (n + 1) * sizeof(*weights));

	if (!dns || !names || !weights || !cfg_compile_weights(c, zones, raw, weights))
		return false;
	*dns = raw->dns.c;
	dns->family = raw->dns.family;
	dns->timeout_ms = (uint32_t)(raw->dns.timeout / (SEC / 1000));
	dns->failure_base = raw->dns.failure.base;
	dns->failure_max = raw->dns.failure.max ? raw->dns.failure.max : 10 * dns->failure_base;
	dns->resolvers = join(c, &raw->dns.resolvers);
	if (!dns->resolvers)
		return false;
	out->dns = dns;
	out->names = names;
	out->first_id = s->n_endpoints;
	for (uint32_t i = 0; i < n; i++) {
		if (local && is_self(s, &e[i])) {
			out->n_self++;
			continue;
		}
		names[out->n_names++] = (struct tg_origin_name){e[i].at.host, e[i].at.addr,
			e[i].c.weight, e[i].c.priority, cfg_zone_number(zones, &e[i].locality),
			weights[i]};
		if (e[i].c.priority >= out->n_levels)
			out->n_levels = e[i].c.priority + 1;
		out->max_endpoints +=
			e[i].at.host && raw->type == TG_DISCOVERY_STRICT_DNS ? TG_DNS_ADDRS_MAX : 1;
	}
	s->n_endpoints += out->max_endpoints;
	return true;
}

bool cfg_compile_discovery(struct cfg *c, const struct raw_cluster *raw, struct cfg_zones *zones,
	struct tg_snapshot *s, bool local, struct tg_cluster *out)
{
	const struct raw_endpoint *e = raw->endpoints.items;
	uint32_t n = raw->endpoints.n, *weights;

	out->discovery = raw->type;
	if (out->discovery != TG_DISCOVERY_STATIC)
		return compile_names(c, raw, zones, s, local, out);
	out->endpoints = cfg_need(c, c->keep, (n + 1) * sizeof(*out->endpoints));
	weights = cfg_need(c, &c->tmp, (n + 1) * sizeof(*weights));
	if (!out->endpoints || !weights || !cfg_compile_weights(c, zones, raw, weights))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		struct tg_endpoint *next = &out->endpoints[out->n_endpoints];

		if (local && is_self(s, &e[i])) {
			out->n_self++;
			continue;
		}
		*next = e[i].c;
		next->addr = e[i].at.addr;
		next->locality = cfg_zone_number(zones, &e[i].locality);
		next->zone_weight = weights[i];
		next->id = s->n_endpoints++;
		tg_sockaddr_format(&e[i].at.addr, next->text);
		out->n_endpoints++;
	}
	return true;
}
