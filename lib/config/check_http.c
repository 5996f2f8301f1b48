/* What names refer to, and what routes can match. */
#include <stdlib.h>
#include <string.h>

#include "schema.h"

struct http {
	struct cfg *c;
	struct raw_config *raw;
	struct cfg_index vhosts, clusters;
	const struct raw_listener **used_by; /* of each virtual host: the last listener seen */
};

/* A domain and where it stands. */
struct domain {
	const char *name;
	const struct raw_vhost *vhost;
	struct raw_item *item;
};

static int by_name(const void *x, const void *y)
{
	const struct domain *a = x, *b = y;
	int d = strcmp(a->name, b->name);

	if (d)
		return d;
	return a->item < b->item ? -1 : a->item > b->item;
}

/* Domains that stand twice among d[0 .. n); each is reported once, whoever asks. */
static void report_domains(struct cfg *c, struct domain *d, uint32_t n, const char *listener)
{
	if (n)
		qsort(d, n, sizeof(*d), by_name);
	for (uint32_t i = 1, first = 0; i < n; i++) {
		uint32_t line = cfg_line_of(d[i].item->at);
		const char *where;

		if (strcmp(d[i].name, d[first].name) != 0) {
			first = i;
			continue;
		}
		if (d[i].item->reported)
			continue;
		d[i].item->reported = true;
		where = cfg_line_text(c, cfg_line_of(d[first].item->at), line);
		if (listener)
			cfg_error(c, line,
				"%s: domain \"%s\" stands in %s (%s) too, and %s uses both",
				cfg_who(c, d[i].vhost->h.at, &cfg_virtual_hosts), d[i].name,
				cfg_who(c, d[first].vhost->h.at, &cfg_virtual_hosts), where,
				listener);
		else
			cfg_error(c, line, "%s: domain \"%s\" stands in %s already",
				cfg_who(c, d[i].vhost->h.at, &cfg_virtual_hosts), d[i].name, where);
	}
}

static uint32_t take_domains(const struct raw_vhost *v, struct domain *d)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->domains.n; i++) {
		struct raw_item *item = &cfg_items(&v->domains, raw_item)[i];

		if (item->ok)
			d[n++] = (struct domain){item->s, v, item};
	}
	return n;
}

/* NULL, or what is wrong with a host. */
static const char *bad_host(const char *s)
{
	uint32_t label = 0;

	if (strlen(s) > 253)
		return "is longer than 253 bytes";
	if (strchr(s, '*'))
		return "has a * that is not the whole first label: \"*\" and \"*.suffix\" are "
		       "possible";
	for (; *s; s++) {
		if (*s == ':')
			return "has a port; the port of a request is not looked at";
		if (*s == '.' && !label)
			return "has an empty label";
		if (!((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || strchr("-_.", *s)))
			return "has a character that no host name has";
		label = *s == '.' ? 0 : label + 1;
		if (label > 63)
			return "has a label of more than 63 bytes";
	}
	return label ? NULL : "ends in a dot or is empty";
}

static const char *bad_domain(const char *s)
{
	char ip[TG_ADDR_TEXT];
	struct tg_ip unused;
	size_t n = strlen(s);

	if (strcmp(s, "*") == 0)
		return NULL;
	if (s[0] != '[')
		return bad_host(strncmp(s, "*.", 2) == 0 ? s + 2 : s);
	if (n < 4 || n - 2 >= sizeof(ip) || s[n - 1] != ']')
		return "begins with [ and is no IPv6 address in brackets, without port";
	memcpy(ip, s + 1, n - 2);
	ip[n - 2] = 0;
	return tg_ip_parse(ip, &unused) || tg_ip_is_v4(&unused)
		       ? "has no IPv6 address in the brackets"
		       : NULL;
}

static void check_domains(struct cfg *c, const struct raw_vhost *v)
{
	struct domain *d = cfg_need(c, &c->tmp, (v->domains.n + 1) * sizeof(*d));

	for (uint32_t i = 0; i < v->domains.n; i++) {
		struct raw_item *item = &cfg_items(&v->domains, raw_item)[i];
		const char *bad;

		if (!item->ok)
			continue;
		for (char *s = (char *)(uintptr_t)item->s; *s; s++)
			*s = (char)tg_ascii_lower((uint8_t)*s);
		bad = bad_domain(item->s);
		if (bad) {
			cfg_error(c, cfg_line_of(item->at), "%s: domain \"%s\" %s",
				cfg_who(c, v->h.at, &cfg_virtual_hosts), item->s, bad);
			item->ok = false;
		}
	}
	if (d)
		report_domains(c, d, take_domains(v, d), NULL);
}

enum path_verdict { PATH_GOOD, PATH_NOT_NORMAL, PATH_INVALID };

/* Requests are matched by their normalised path: a text that normalisation would change never
 * matches. Of a prefix only the whole segments can be judged. normal: what to write instead. */
static enum path_verdict judge_path(struct cfg *c, const char *s, bool prefix, const char **normal)
{
	size_t n = prefix ? (size_t)(strrchr(s, '/') + 1 - s) : strlen(s);
	char *out = cfg_need(c, &c->tmp, strlen(s) + 1);
	int32_t len;

	if (!out)
		return PATH_GOOD;
	len = tg_path_normalise(tg_view_of(s, n), true, (uint8_t *)out);
	if (len < 0)
		return PATH_INVALID;
	if ((size_t)len == n && memcmp(out, s, n) == 0)
		return PATH_GOOD;
	strcpy(out + len, s + n);
	*normal = out;
	return PATH_NOT_NORMAL;
}

void cfg_check_path(
	struct cfg *c, const char *who, const char *key, const char *s, bool prefix, uint32_t line)
{
	const char *normal = "";

	if (!prefix && strcmp(s, "*") == 0) /* OPTIONS * */
		return;
	if (s[0] != '/') {
		cfg_error(c, line, "%s: \"%s\" is \"%s\" and has to begin with \"/\"", who, key, s);
		return;
	}
	if (strpbrk(s, "?#")) {
		cfg_error(c, line,
			"%s: \"%s\" is \"%s\": query and fragment are no part of the path", who,
			key, s);
		return;
	}
	switch (judge_path(c, s, prefix, &normal)) {
	case PATH_GOOD:
		break;
	case PATH_NOT_NORMAL:
		cfg_error(c, line,
			"%s: \"%s\" is \"%s\" and never matches: paths are normalised first; "
			"write \"%s\"",
			who, key, s, normal);
		break;
	case PATH_INVALID:
		cfg_error(c, line, "%s: \"%s\" is \"%s\" and never matches: it is no valid path",
			who, key, s);
		break;
	}
}

bool cfg_is_token(const char *s)
{
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			    (*s >= '0' && *s <= '9') || strchr("!#$%&'*+-.^_`|~", *s)))
			return false;
	return true;
}

void cfg_check_header(struct cfg *c, const struct raw_header *h)
{
	static const char *const kinds[] = {"exact", "prefix", "suffix", "contains", "present"};
	const char *who = cfg_who(c, h->h.at, &cfg_header);
	uint32_t given = 0;

	for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++)
		given += cfg_given(&cfg_header, &h->h, kinds[i]);
	if (given > 1 || (!given && !h->h.meant))
		cfg_error(c, cfg_line_of(h->h.at),
			"%s: give one of \"exact\", \"prefix\", \"suffix\", \"contains\" and "
			"\"present\"%s",
			who, given ? ", not more" : "");
	if (h->name)
		cfg_check_header_name(c, h, &cfg_header);
}

void cfg_check_header_name(struct cfg *c, const struct raw_header *h, const struct cfg_group *g)
{
	const char *who = cfg_who(c, h->h.at, g);
	uint32_t line = cfg_key_line(&h->h, "name");

	if (strcmp(h->name, ":method") == 0 || strcmp(h->name, ":authority") == 0)
		return;
	if (strcmp(h->name, ":path") == 0)
		cfg_error(c, line, "%s: use \"path\" or \"prefix\" of the match", who);
	else if (h->name[0] == ':')
		cfg_error(c, line, "%s: only :method and :authority are possible", who);
	else if (!cfg_is_token(h->name))
		cfg_error(c, line, "%s: this is no field name", who);
}

static void check_route(struct http *p, const struct raw_route *r)
{
	const struct raw_action *a = &r->action;

	if (r->match.h.at)
		cfg_check_match(p->c, &r->match);
	cfg_check_action(p->c, r, &p->clusters);
	cfg_check_hash(p->c, &a->hash, cfg_who(p->c, r->h.at, &cfg_route));
	cfg_check_retry(p->c, &a->retry, cfg_who(p->c, r->h.at, &cfg_route));
	cfg_check_filters(p->c, &r->filters, cfg_who(p->c, r->h.at, &cfg_route), false, true);
}

/* Keys of the other protocol. */
static void check_protocol_keys(struct cfg *c, const struct raw_listener *l)
{
	uint32_t wrong = l->protocol ? CFG_HTTP : CFG_TCP;

	for (const struct cfg_key *k = cfg_listeners.keys; k->name; k++)
		if ((k->flags & wrong) && cfg_given(&cfg_listeners, &l->h, k->name))
			cfg_error(c, cfg_key_line(&l->h, k->name),
				"%s: \"%s\" is only for protocol = \"%s\"",
				cfg_who(c, l->h.at, &cfg_listeners), k->name,
				l->protocol ? "http" : "tcp");
}

static void missing(struct cfg *c, const struct raw_listener *l, const char *key, const char *text)
{
	for (int i = 0; cfg_listeners.keys[i].name; i++)
		if (strcmp(cfg_listeners.keys[i].name, key) == 0 && (l->h.meant >> i & 1))
			return;
	cfg_error(c, cfg_line_of(l->h.at), "%s: \"%s\" is missing: %s;",
		cfg_who(c, l->h.at, &cfg_listeners), key, text);
}

/* The virtual hosts of a listener: known, different, and no domain in two of them. */
static void check_hosts(struct http *p, const struct raw_listener *l, struct domain *scratch)
{
	const struct raw_vhost *vhosts = p->raw->virtual_hosts.items;
	const struct raw_item *items = l->virtual_hosts.items;
	const char *who = cfg_who(p->c, l->h.at, &cfg_listeners);
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->virtual_hosts.n; i++) {
		uint32_t line = cfg_line_of(items[i].at), found;

		if (!items[i].ok)
			continue;
		found = cfg_index_refer(p->c, &p->vhosts, items[i].s, line, who, "virtual host");
		if (found == UINT32_MAX)
			continue;
		if (p->used_by[found] == l)
			cfg_error(p->c, line, "%s: virtual host \"%s\" stands twice", who,
				items[i].s);
		else
			n += take_domains(&vhosts[found], scratch + n);
		p->used_by[found] = l;
	}
	report_domains(p->c, scratch, n, who);
}

static void check_listener(struct http *p, const struct raw_listener *l, struct domain *scratch)
{
	const char *who = cfg_who(p->c, l->h.at, &cfg_listeners);
	struct cfg *c = p->c;

	if (l->protocol == TG_PROTOCOL_HTTP && !l->virtual_hosts.at)
		missing(c, l, "virtual_hosts", "virtual_hosts = [\"shop\"]");
	if (l->protocol == TG_PROTOCOL_TCP && !cfg_given(&cfg_listeners, &l->h, "cluster") &&
		!cfg_given(&cfg_listeners, &l->h, "weighted_clusters"))
		missing(c, l, "cluster", "cluster = \"db\"");
	if (l->protocol != UINT32_MAX)
		check_protocol_keys(c, l);
	if (l->protocol == TG_PROTOCOL_TCP)
		cfg_check_tcp_route(c, l, &p->clusters);
	if (l->protocol == TG_PROTOCOL_HTTP)
		check_hosts(p, l, scratch);
	cfg_check_edits(c, &l->request, &l->response, who);
	cfg_check_tls(c, &l->tls, &cfg_listener_tls, l->h.at, &cfg_listeners);
	cfg_check_connlimit(c, &l->connlimit, who);
	cfg_check_filters(c, &l->filters, who, l->protocol == TG_PROTOCOL_TCP,
		cfg_tls_knows_clients(&l->tls));
	if (cfg_given(&cfg_listeners, &l->h, "max_request_headers_kb") &&
		cfg_given(&cfg_listeners, &l->h, "max_request_headers_bytes"))
		cfg_error(c, cfg_key_line(&l->h, "max_request_headers_kb"),
			"%s: give either \"max_request_headers_kb\" or "
			"\"max_request_headers_bytes\"",
			who);
}

static void check_breakers(struct http *p, const struct raw_cluster *cluster)
{
	const struct raw_breakers *b = &cluster->breakers;
	const struct raw_threshold *t = b->thresholds.items;
	const char *who = cfg_who(p->c, cluster->h.at, &cfg_clusters);
	uint32_t seen[TG_PRIORITIES] = {0}; /* line */

	for (const struct cfg_key *k = cfg_breakers.keys; k->name && b->thresholds.at; k++)
		if (k->type != CFG_GROUPS && cfg_given(&cfg_breakers, &b->flat.h, k->name))
			seen[TG_PRIORITY_DEFAULT] = cfg_key_line(&b->flat.h, k->name);
	for (uint32_t i = 0; i < b->thresholds.n; i++) {
		uint32_t line = cfg_line_of(t[i].h.at);

		if (t[i].priority >= TG_PRIORITIES)
			continue; /* reported */
		if (seen[t[i].priority])
			cfg_error(p->c, line,
				"%s: thresholds of priority \"%s\" stand in %s already", who,
				t[i].priority ? "HIGH" : "DEFAULT",
				cfg_line_text(p->c, seen[t[i].priority], line));
		seen[t[i].priority] = line;
	}
}

void cfg_check_http(struct cfg *c, struct raw_config *raw)
{
	struct http p = {.c = c, .raw = raw};
	const struct raw_listener *l = raw->listeners.items;
	const struct raw_vhost *v = raw->virtual_hosts.items;
	const struct raw_cluster *clusters = raw->clusters.items;
	struct cfg_index names;
	struct domain *scratch;
	size_t domains = 1;

	cfg_index_build(
		c, &names, &raw->listeners, &cfg_listeners, offsetof(struct raw_listener, c.name));
	cfg_index_build(c, &p.vhosts, &raw->virtual_hosts, &cfg_virtual_hosts,
		offsetof(struct raw_vhost, name));
	cfg_index_build(c, &p.clusters, &raw->clusters, &cfg_clusters,
		offsetof(struct raw_cluster, c.name));
	for (uint32_t i = 0; i < raw->virtual_hosts.n; i++) {
		const struct raw_route *routes = v[i].routes.items;

		domains += v[i].domains.n;
		check_domains(c, &v[i]);
		cfg_check_retry(c, &v[i].retry, cfg_who(c, v[i].h.at, &cfg_virtual_hosts));
		cfg_check_edits(c, &v[i].request, &v[i].response,
			cfg_who(c, v[i].h.at, &cfg_virtual_hosts));
		cfg_check_mirrors(
			c, &v[i].mirrors, &p.clusters, cfg_who(c, v[i].h.at, &cfg_virtual_hosts));
		cfg_check_filters(
			c, &v[i].filters, cfg_who(c, v[i].h.at, &cfg_virtual_hosts), false, true);
		cfg_check_hedge(
			c, &v[i].hedge, &v[i].retry, cfg_who(c, v[i].h.at, &cfg_virtual_hosts));
		for (uint32_t k = 0; k < v[i].routes.n; k++) {
			const struct raw_action *a = &routes[k].action;

			check_route(&p, &routes[k]);
			cfg_check_hedge(c, &a->hedge, a->retry.h.at ? &a->retry : &v[i].retry,
				cfg_who(c, routes[k].h.at, &cfg_route));
		}
	}
	scratch = cfg_need(c, &c->tmp, domains * sizeof(*scratch));
	p.used_by = cfg_need(
		c, &c->tmp, (raw->virtual_hosts.n + 1) * sizeof(const struct raw_listener *));
	if (raw->listeners.n > TG_LISTENERS_MAX)
		cfg_error(c, cfg_line_of(raw->listeners.at),
			"at most %d listeners are possible, here are %u", TG_LISTENERS_MAX,
			raw->listeners.n);
	for (uint32_t i = 0; i < raw->listeners.n && scratch && p.used_by; i++)
		check_listener(&p, &l[i], scratch);
	for (uint32_t i = 0; i < raw->clusters.n; i++)
		cfg_check_tls(
			c, &clusters[i].tls, &cfg_cluster_tls, clusters[i].h.at, &cfg_clusters);
	for (uint32_t i = 0; i < raw->clusters.n; i++)
		check_breakers(&p, &clusters[i]);
	for (uint32_t i = 0; i < raw->clusters.n; i++)
		cfg_check_balancer(c, &clusters[i]);
	for (uint32_t i = 0; i < raw->clusters.n; i++)
		cfg_check_health(c, &clusters[i]);
	cfg_check_zones(c, raw, &p.clusters);
}
