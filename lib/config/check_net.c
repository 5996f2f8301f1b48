/* What the process and the network are: dataplane, admin, ports, ip_routes, and the addresses of
 * listeners and endpoints among them. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <tidegate/spiffe.h>

#include "schema.h"

static const char *port_name(struct cfg *c, const struct raw_port *p)
{
	return cfg_who(c, p->h.at, &cfg_ports);
}

static void check_source_ports(struct cfg *c, const struct raw_list *l)
{
	const struct raw_item *ports = l->items;

	if (!l->at || !l->whole)
		return;
	if (l->n != 2)
		cfg_error(c, cfg_line_of(l->at),
			"dataplane: \"source_ports\" has %u items; give the first and the last "
			"port",
			l->n);
	else if (ports[0].ok && ports[1].ok && ports[0].u > ports[1].u)
		cfg_error(c, cfg_line_of(l->at),
			"dataplane: \"source_ports\" goes from %u down to %u: there is no port in "
			"it",
			ports[0].u, ports[1].u);
}

static void check_dataplane(struct cfg *c, const struct raw_dataplane *d)
{
	const struct raw_item *cpus = d->cpus.items;

	for (uint32_t i = 0; i < d->cpus.n; i++)
		for (uint32_t j = 0; j < i && cpus[i].ok; j++)
			if (cpus[j].ok && cpus[j].u == cpus[i].u) {
				cfg_error(c, cfg_line_of(cpus[i].at),
					"dataplane: CPU %u stands twice in \"cpus\"", cpus[i].u);
				break;
			}
	if (d->cpus.at && d->cpus.whole && d->c.workers && d->cpus.n != d->c.workers)
		cfg_error(c, cfg_line_of(d->cpus.at),
			"dataplane: \"cpus\" has %u items for %u workers; give one for each",
			d->cpus.n, d->c.workers);
	check_source_ports(c, &d->source_ports);
}

static void check_spiffe(struct cfg *c, const struct raw_spiffe *s)
{
	struct tg_spiffe_endpoint at;
	struct tg_errbuf e;

	if (s->socket && s->socket[0] && tg_spiffe_endpoint(s->socket, &at, &e))
		cfg_error(c, cfg_key_line(&s->h, "socket"), "spiffe: \"socket\": %s", e.text);
}

static void check_admin(struct cfg *c, const struct raw_admin *a)
{
	struct tg_log_format *format;
	struct tg_errbuf e;

	if (a->c.socket && strlen(a->c.socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		cfg_error(c, cfg_key_line(&a->h, "socket"),
			"admin: \"socket\" is longer than the %zu bytes that a unix socket may "
			"have",
			sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	if (!a->c.access_log_format)
		return;
	format = tg_log_format_compile(a->c.access_log_format, &e);
	if (!format)
		cfg_error(c, cfg_key_line(&a->h, "access_log_format"),
			"admin: \"access_log_format\": %s", e.text);
	else
		tg_log_format_free(format);
}

/* [domain:]bus:device.function in hexadecimal. */
static bool is_pci(const char *s)
{
	static const char *const shapes[] = {"xxxx:xx:xx.o", "xx:xx.o"};

	for (size_t k = 0; k < TG_ARRAY_LEN(shapes); k++) {
		const char *shape = shapes[k];
		size_t i = 0;

		while (shape[i] && s[i] &&
			(shape[i] == 'x'          ? isxdigit((unsigned char)s[i])
				: shape[i] == 'o' ? s[i] >= '0' && s[i] <= '7'
						  : s[i] == shape[i]))
			i++;
		if (!shape[i] && !s[i])
			return true;
	}
	return false;
}

static void check_device(struct cfg *c, const struct raw_port *ports, uint32_t n)
{
	const struct raw_port *p = &ports[n];
	bool device = cfg_given(&cfg_ports, &p->h, "device");
	bool pci = cfg_given(&cfg_ports, &p->h, "pci");
	const char *mine = device ? p->c.device : p->pci;
	uint32_t line = cfg_key_line(&p->h, device ? "device" : "pci");

	if (device == pci) {
		cfg_error(c, cfg_line_of(p->h.at), "%s: give either \"device\" or \"pci\"%s",
			port_name(c, p), device ? ", not both" : "");
		return;
	}
	if (!mine)
		return;
	if (!*mine || (pci && !is_pci(mine))) {
		cfg_error(c, line, "%s: \"%s\" has to be %s", port_name(c, p),
			pci ? "pci" : "device",
			pci ? "a PCI address, such as \"0000:3b:00.0\""
			    : "a DPDK device, such as \"net_af_xdp0,iface=eth1\"");
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		const char *other = ports[i].c.device ? ports[i].c.device : ports[i].pci;

		if (other && strcmp(other, mine) == 0) {
			cfg_error(c, line, "%s: device \"%s\" is the one of %s already",
				port_name(c, p), mine, port_name(c, &ports[i]));
			return;
		}
	}
}

/* "" or why no interface can have this address. */
static const char *interface_address(const struct tg_ip_prefix *a)
{
	uint32_t host_bits = 128u - a->len;
	bool v4 = tg_ip_is_v4(&a->ip), zeros = true, ones = true;

	if (tg_ip_is_multicast(&a->ip) || tg_ip_is_any(&a->ip))
		return "is not an address of one host";
	if (v4 ? a->ip.b[12] == 127 || a->ip.b[12] == 0 || a->ip.b[12] >= 240
	       : tg_ip_is_any(&(struct tg_ip){.w = {a->ip.w[0], a->ip.w[1], a->ip.w[2], 0}}) &&
				a->ip.b[12] == 0 && a->ip.b[13] == 0)
		return "is a loopback or reserved address";
	if (a->len == (v4 ? 96 : 0))
		return "has a network of length 0";
	if (host_bits < 2)
		return "";
	for (uint32_t bit = a->len; bit < 128; bit++) {
		bool one = a->ip.b[bit / 8] >> (7 - bit % 8) & 1;

		zeros &= !one;
		ones &= one;
	}
	if (zeros)
		return "is the address of the network itself, not of a host in it";
	if (ones && v4)
		return "is the broadcast address of its network";
	return "";
}

struct own { /* an address of a port */
	const struct raw_port *port;
	const struct raw_item *item;
};

struct net {
	struct cfg *c;
	struct own *own;
	uint32_t n_own;
	bool whole; /* every address of every port is readable */
};

/* Two networks of different ports of which one has addresses of the other. */
static bool overlap(const struct tg_ip_prefix *a, const struct tg_ip_prefix *b)
{
	const struct tg_ip_prefix *wide = a->len <= b->len ? a : b, *other = wide == a ? b : a;

	return tg_ip_is_v4(&a->ip) == tg_ip_is_v4(&b->ip) && tg_ip_in(&other->ip, wide) &&
	       !(tg_ip_is_linklocal(&a->ip) && !tg_ip_is_v4(&a->ip));
}

static void add_address(struct net *n, const struct raw_port *p, struct raw_item *item)
{
	struct cfg *c = n->c;
	const char *bad = interface_address(&item->prefix);
	uint32_t line = cfg_line_of(item->at);

	if (*bad) {
		cfg_error(c, line, "%s: %s %s", port_name(c, p), item->s, bad);
		return;
	}
	for (uint32_t i = 0; i < n->n_own; i++) {
		const struct own *o = &n->own[i];

		if (tg_ip_eq(&o->item->prefix.ip, &item->prefix.ip)) {
			cfg_error(c, line, "%s: address %s stands in %s already", port_name(c, p),
				item->s, cfg_line_text(c, cfg_line_of(o->item->at), line));
			return;
		}
		if (o->port != p && overlap(&o->item->prefix, &item->prefix)) {
			cfg_error(c, line, "%s: the network of %s overlaps %s of %s (%s)",
				port_name(c, p), item->s, o->item->s, port_name(c, o->port),
				cfg_line_text(c, cfg_line_of(o->item->at), line));
			return;
		}
	}
	n->own[n->n_own++] = (struct own){p, item};
}

static void check_ports(struct net *n, const struct raw_list *list)
{
	const struct raw_port *ports = list->items;
	struct cfg *c = n->c;
	uint32_t addresses = 0;

	n->whole = list->whole;
	if (list->n > TG_PORTS_MAX)
		cfg_error(c, cfg_line_of(list->at), "at most %d ports are possible, here are %u",
			TG_PORTS_MAX, list->n);
	for (uint32_t i = 0; i < list->n; i++)
		addresses += ports[i].addresses.n;
	n->own = cfg_need(c, &c->tmp, (addresses + 1) * sizeof(*n->own));
	for (uint32_t i = 0; i < list->n && n->own; i++) {
		const struct raw_port *p = &ports[i];

		check_device(c, ports, i);
		n->whole &= p->addresses.whole && p->addresses.n;
		if (p->addresses.n > TG_PORT_ADDRS_MAX)
			cfg_error(c, cfg_line_of(p->addresses.at),
				"%s: at most %d addresses are possible, here are %u",
				port_name(c, p), TG_PORT_ADDRS_MAX, p->addresses.n);
		for (uint32_t k = 0; k < p->addresses.n; k++) {
			struct raw_item *item = &cfg_items(&p->addresses, raw_item)[k];

			if (item->ok)
				add_address(n, p, item);
		}
	}
}

static const struct own *own_address(const struct net *n, const struct tg_ip *ip)
{
	for (uint32_t i = 0; i < n->n_own; i++)
		if (tg_ip_eq(&n->own[i].item->prefix.ip, ip))
			return &n->own[i];
	return NULL;
}

static void check_via(struct net *n, const struct raw_ip_route *r)
{
	uint32_t line = cfg_key_line(&r->h, "via");
	const struct own *own = own_address(n, &r->via);
	const struct tg_ip unreadable = {.w = {0}};
	char text[TG_ADDR_TEXT];

	if (tg_ip_eq(&r->via, &unreadable))
		return;
	tg_ip_format(&r->via, text);
	if (r->destination.ok && tg_ip_is_v4(&r->via) != tg_ip_is_v4(&r->destination.prefix.ip)) {
		cfg_error(n->c, line, "ip_route: \"via\" %s is not of the family of %s", text,
			r->destination.s);
		return;
	}
	if (own) {
		cfg_error(n->c, line, "ip_route: \"via\" %s is an own address, of %s", text,
			port_name(n->c, own->port));
		return;
	}
	for (uint32_t i = 0; i < n->n_own; i++)
		if (tg_ip_in(&r->via, &n->own[i].item->prefix))
			return;
	if (n->whole)
		cfg_error(n->c, line, "ip_route: \"via\" %s is in the network of no port", text);
}

static bool host_bits_set(const struct tg_ip_prefix *p)
{
	for (uint32_t bit = p->len; bit < 128; bit++)
		if (p->ip.b[bit / 8] >> (7 - bit % 8) & 1)
			return true;
	return false;
}

static void check_ip_routes(struct net *n, const struct raw_list *list)
{
	const struct raw_ip_route *r = list->items;
	struct cfg *c = n->c;

	if (list->n > TG_IP_ROUTES_MAX)
		cfg_error(c, cfg_line_of(list->at),
			"at most %d ip_routes are possible, here are %u", TG_IP_ROUTES_MAX,
			list->n);
	for (uint32_t i = 0; i < list->n; i++) {
		const struct raw_item *d = &r[i].destination;
		uint32_t line = cfg_key_line(&r[i].h, "destination");

		check_via(n, &r[i]);
		if (!d->ok)
			continue;
		if (host_bits_set(&d->prefix))
			cfg_error(c, line,
				"ip_route: \"destination\" %s has bits behind its length; a "
				"network is meant",
				d->s);
		for (uint32_t k = 0; k < i && k < TG_IP_ROUTES_MAX; k++)
			if (r[k].destination.ok && r[k].destination.prefix.len == d->prefix.len &&
				tg_ip_eq(&r[k].destination.prefix.ip, &d->prefix.ip)) {
				cfg_error(c, line, "ip_route: there is a route to %s in %s already",
					d->s,
					cfg_line_text(
						c, cfg_key_line(&r[k].h, "destination"), line));
				break;
			}
	}
}

static int by_address(const void *x, const void *y)
{
	const struct raw_listener *a = *(const struct raw_listener *const *)x;
	const struct raw_listener *b = *(const struct raw_listener *const *)y;
	int d = memcmp(&a->c.addr.ip, &b->c.addr.ip, sizeof(a->c.addr.ip));

	if (!d)
		d = (int)a->c.addr.port - (int)b->c.addr.port;
	if (!d)
		d = a < b ? -1 : a > b;
	return d;
}

static void check_listener_addresses(struct net *n, const struct raw_list *list)
{
	struct raw_listener *l = list->items, **sorted;
	struct cfg *c = n->c;
	char text[TG_ADDR_TEXT];
	uint32_t readable = 0;

	sorted = cfg_need(c, &c->tmp, (list->n + 1) * sizeof(struct raw_listener *));
	for (uint32_t i = 0; i < list->n && sorted; i++) {
		if (!l[i].c.addr.port)
			continue;
		sorted[readable++] = &l[i];
		if (n->whole && !tg_ip_is_any(&l[i].c.addr.ip) && !own_address(n, &l[i].c.addr.ip))
			cfg_error(c, cfg_key_line(&l[i].h, "address"),
				"%s: %s is an address of no port; add it to one, or listen on %s",
				cfg_who(c, l[i].h.at, &cfg_listeners),
				tg_ip_format(&l[i].c.addr.ip, text),
				tg_ip_is_v4(&l[i].c.addr.ip) ? "0.0.0.0" : "[::]");
	}
	if (readable)
		qsort(sorted, readable, sizeof(struct raw_listener *), by_address);
	for (uint32_t i = 1; i < readable; i++) {
		uint32_t line = cfg_key_line(&sorted[i]->h, "address");

		if (tg_ip_eq(&sorted[i]->c.addr.ip, &sorted[i - 1]->c.addr.ip) &&
			sorted[i]->c.addr.port == sorted[i - 1]->c.addr.port)
			cfg_error(c, line, "%s: %s listens on %s already (%s)",
				cfg_who(c, sorted[i]->h.at, &cfg_listeners),
				cfg_who(c, sorted[i - 1]->h.at, &cfg_listeners),
				tg_sockaddr_format(&sorted[i]->c.addr, text),
				cfg_line_text(c, cfg_key_line(&sorted[i - 1]->h, "address"), line));
	}
}

/* "" or why no connection can be made to this address. local: it may be this process. */
static const char *origin_address(const struct net *n, const struct tg_ip *ip, bool local)
{
	if (tg_ip_is_any(ip) || tg_ip_is_multicast(ip))
		return "is not an address of one host";
	if (!local && own_address(n, ip))
		return "is an address of an own port; Tidegate cannot be its own origin";
	return "";
}

static int by_endpoint(const void *x, const void *y)
{
	const struct raw_endpoint *a = *(const struct raw_endpoint *const *)x;
	const struct raw_endpoint *b = *(const struct raw_endpoint *const *)y;
	int d = memcmp(&a->at.addr.ip, &b->at.addr.ip, sizeof(a->at.addr.ip));

	if (!d)
		d = (int)a->at.addr.port - (int)b->at.addr.port;
	if (!d)
		d = a < b ? -1 : a > b;
	return d;
}

static void check_endpoints(struct net *n, const struct raw_cluster *cluster, bool local)
{
	const struct raw_endpoint *e = cluster->endpoints.items, **sorted;
	uint32_t readable = 0;
	struct cfg *c = n->c;
	char text[TG_ADDR_TEXT];

	sorted = cfg_need(
		c, &c->tmp, (cluster->endpoints.n + 1) * sizeof(const struct raw_endpoint *));
	for (uint32_t i = 0; i < cluster->endpoints.n && sorted; i++) {
		const char *bad;

		if (!e[i].at.addr.port || e[i].at.host)
			continue;
		sorted[readable++] = &e[i];
		bad = origin_address(n, &e[i].at.addr.ip, local);
		if (*bad)
			cfg_error(c, cfg_key_line(&e[i].h, "address"), "%s: endpoint %s %s",
				cfg_who(c, cluster->h.at, &cfg_clusters),
				tg_sockaddr_format(&e[i].at.addr, text), bad);
	}
	if (readable)
		qsort(sorted, readable, sizeof(const struct raw_endpoint *), by_endpoint);
	for (uint32_t i = 1; i < readable; i++)
		if (sorted[i]->at.addr.port == sorted[i - 1]->at.addr.port &&
			tg_ip_eq(&sorted[i]->at.addr.ip, &sorted[i - 1]->at.addr.ip))
			cfg_error(c, cfg_key_line(&sorted[i]->h, "address"),
				"%s: endpoint %s stands twice; give it a \"weight\" instead",
				cfg_who(c, cluster->h.at, &cfg_clusters),
				tg_sockaddr_format(&sorted[i]->at.addr, text));
}

void cfg_check_net(struct cfg *c, struct raw_config *raw)
{
	const struct raw_cluster *clusters = raw->clusters.items;
	struct cfg_index ports;
	struct net n = {.c = c};
	uint64_t endpoints = 0;

	check_dataplane(c, &raw->dataplane);
	check_admin(c, &raw->admin);
	check_spiffe(c, &raw->spiffe);
	cfg_check_rate_limit_service(c, &raw->service);
	cfg_index_build(c, &ports, &raw->ports, &cfg_ports, offsetof(struct raw_port, c.name));
	check_ports(&n, &raw->ports);
	if (!n.own)
		return;
	check_ip_routes(&n, &raw->ip_routes);
	check_listener_addresses(&n, &raw->listeners);
	for (uint32_t i = 0; i < raw->clusters.n; i++) {
		const char *name = clusters[i].c.name, *local = raw->manager.local;

		check_endpoints(&n, &clusters[i], name && local && strcmp(name, local) == 0);
		cfg_check_discovery(c, &clusters[i]);
		endpoints += clusters[i].endpoints.n;
	}
	if (endpoints > TG_ENDPOINTS_MAX)
		cfg_error(c, cfg_line_of(raw->clusters.at),
			"at most %d endpoints are possible in all clusters, here are %llu",
			TG_ENDPOINTS_MAX, (unsigned long long)endpoints);
}
