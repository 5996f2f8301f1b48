/*
 * Own addresses and static routes.
 *
 * Longest prefix: a sorted array of at most 1024 static and 512 connected prefixes. Prefixes nest,
 * so the last one that starts at or before an address lies inside the longest match, or is it; from
 * there the links to the enclosing prefix lead to it. Eleven comparisons and a few steps, once a
 * connection (tg_dst remembers the result). rte_lpm takes 64 MiB a table and IPv4 only, rte_fib6
 * 16 MiB and more, for routing tables that a host does not have.
 */
#include <rte_malloc.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* --- own addresses --- */

static uint8_t scope_of(const struct tg_ip *a, uint16_t ifidx)
{
	bool local = !tg_ip_is_v4(a) && (tg_ip_is_linklocal(a) || a->b[0] == 0xff);

	return local ? (uint8_t)(ifidx + 1) : 0;
}

/* The addresses are ours, so nobody can aim at the slots. A third of them is used at most. */
static uint32_t own_slot(const struct tg_ip *a, uint8_t scope)
{
	uint64_t h = ((uint64_t)a->w[0] << 32 | a->w[3]) ^ ((uint64_t)a->w[2] << 32 | a->w[1]) * 3;

	return (uint32_t)((h + scope) * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (TG_OWN_SLOTS - 1);
}

const struct tg_own *tg_own_find(const struct tg_net *n, const struct tg_ip *a, uint16_t ifidx)
{
	uint8_t scope = scope_of(a, ifidx);

	for (uint32_t s = own_slot(a, scope);; s = (s + 1) & (TG_OWN_SLOTS - 1)) {
		const struct tg_own *o = &n->own[s];

		if (o->kind == TG_OWN_NONE)
			return NULL;
		if (o->scope == scope && tg_ip_eq(&o->ip, a))
			return o;
	}
}

bool tg_own_on(const struct tg_net *n, const struct tg_ip *a, uint16_t ifidx)
{
	const struct tg_own *o = tg_own_find(n, a, ifidx);

	return o && o->kind == TG_OWN_ADDR && o->ifidx == ifidx;
}

static void own_add(struct tg_net *n, const struct tg_ip *a, enum tg_own_kind kind, uint16_t ifidx)
{
	uint8_t scope = scope_of(a, ifidx);
	uint32_t s = own_slot(a, scope);

	while (n->own[s].kind != TG_OWN_NONE) {
		if (n->own[s].scope == scope && tg_ip_eq(&n->own[s].ip, a))
			return;
		s = (s + 1) & (TG_OWN_SLOTS - 1);
	}
	n->own[s] = (struct tg_own){*a, (uint8_t)kind, scope, (uint8_t)ifidx};
}

/* ff02::1:ffXX:XXXX (RFC 4291 section 2.7.1). */
struct tg_ip tg_solicited_node(const struct tg_ip *a)
{
	struct tg_ip g = {.b = {0xff, 0x02, [11] = 1, [12] = 0xff}};

	memcpy(&g.b[13], &a->b[13], 3);
	return g;
}

static void own_groups(struct tg_net *n, uint16_t ifidx, const struct tg_ip_prefix *a)
{
	static const struct tg_ip all_nodes = {.b = {0xff, 0x02, [15] = 1}};
	struct tg_ip g;

	if (!tg_ip_is_v4(&a->ip)) {
		g = tg_solicited_node(&a->ip);
		own_add(n, &g, TG_OWN_GROUP, ifidx);
		own_add(n, &all_nodes, TG_OWN_GROUP, ifidx);
		return;
	}
	if (a->len > 126) /* /31 and /32 have no broadcast address (RFC 3021) */
		return;
	g = a->ip;
	g.w[3] |= rte_cpu_to_be_32(UINT32_MAX >> (a->len - 96));
	own_add(n, &g, TG_OWN_BROADCAST, ifidx);
	g.w[3] &= rte_cpu_to_be_32(~(UINT32_MAX >> (a->len - 96)));
	own_add(n, &g, TG_OWN_BROADCAST, ifidx); /* the old form: RFC 1122 section 3.3.6 */
}

int tg_own_init(struct tg_net *n, struct tg_errbuf *e)
{
	char text[TG_ADDR_TEXT];

	/* All addresses first: a subnet's broadcast address must not hide one. */
	for (uint16_t i = 0; i < n->n_ifs; i++) {
		for (uint32_t a = 0; a < n->ifs[i].c.n_addrs; a++) {
			const struct tg_ip *ip = &n->ifs[i].c.addrs[a].ip;

			if (tg_own_find(n, ip, i))
				return tg_fail(e, TG_EEXIST, "address %s is configured twice",
					tg_ip_format(ip, text));
			own_add(n, ip, TG_OWN_ADDR, i);
		}
	}
	for (uint16_t i = 0; i < n->n_ifs; i++)
		for (uint32_t a = 0; a < n->ifs[i].c.n_addrs; a++)
			own_groups(n, i, &n->ifs[i].c.addrs[a]);
	return 0;
}

/* --- routes --- */

static void mask_host_bits(struct tg_ip_prefix *p)
{
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t keep = p->len > i * 8 ? RTE_MIN(p->len - i * 8, 8u) : 0;

		p->ip.b[i] &= (uint8_t)(0xff00u >> keep);
	}
}

static int compare(const void *a, const void *b)
{
	const struct tg_route *x = a, *y = b;
	int d = memcmp(x->dst.ip.b, y->dst.ip.b, 16);

	return d ? d : (int)x->dst.len - (int)y->dst.len;
}

static void link_parents(struct tg_net *n)
{
	for (uint32_t i = 1; i < n->n_routes; i++) {
		uint32_t up = i; /* index + 1 of the one before */

		while (up && !tg_ip_in(&n->routes[i].dst.ip, &n->routes[up - 1].dst))
			up = n->routes[up - 1].parent;
		n->routes[i].parent = up;
	}
}

static const struct tg_route *find(const struct tg_net *n, const struct tg_ip *a)
{
	uint32_t lo = 0, hi = n->n_routes;

	while (lo < hi) { /* the first route that starts behind a */
		uint32_t mid = (lo + hi) / 2;

		if (memcmp(n->routes[mid].dst.ip.b, a->b, 16) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	while (lo && !tg_ip_in(a, &n->routes[lo - 1].dst))
		lo = n->routes[lo - 1].parent;
	/* ::/0 contains ::ffff:0:0/96, where IPv4 is kept: it is not IPv4's default. */
	if (!lo || (tg_ip_is_v4(a) && n->routes[lo - 1].dst.len < 96))
		return NULL;
	return &n->routes[lo - 1];
}

bool tg_on_link(const struct tg_net *n, uint16_t ifidx, const struct tg_ip *a)
{
	const struct tg_netif *i = &n->ifs[ifidx];

	if (!tg_ip_is_v4(a) && tg_ip_is_linklocal(a))
		return i->has6;
	for (uint32_t k = 0; k < i->c.n_addrs; k++)
		if (tg_ip_is_v4(&i->c.addrs[k].ip) == tg_ip_is_v4(a) && tg_ip_in(a, &i->c.addrs[k]))
			return true;
	return false;
}

/* The port of a link-local destination: that of our end, else the first one with IPv6. */
static bool link_local_port(const struct tg_net *n, const struct tg_ip *local, uint16_t *ifidx)
{
	for (uint16_t i = 0; i < n->n_ifs; i++) {
		if (!n->ifs[i].has6 || (local && !tg_own_on(n, local, i)))
			continue;
		*ifidx = i;
		return true;
	}
	return false;
}

bool tg_path_find(const struct tg_net *n, const struct tg_ip *dst, const struct tg_ip *local,
	struct tg_path *p)
{
	const struct tg_route *r;

	if (tg_ip_is_multicast(dst) || tg_ip_is_any(dst) || tg_own_find(n, dst, 0))
		return false;
	if (!tg_ip_is_v4(dst) && tg_ip_is_linklocal(dst)) {
		p->hop = *dst;
		return link_local_port(n, local, &p->ifidx) && !tg_own_find(n, dst, p->ifidx);
	}
	r = find(n, dst);
	if (!r || (tg_ip_is_v4(dst) && dst->w[3] == UINT32_MAX))
		return false;
	p->ifidx = r->ifidx;
	p->hop = tg_ip_is_any(&r->via) ? *dst : r->via;
	return true;
}

const struct tg_ip *tg_route_source(const struct tg_net *n, uint16_t ifidx, const struct tg_ip *hop)
{
	const struct tg_netif *i = &n->ifs[ifidx];
	bool v4 = tg_ip_is_v4(hop), link_local = tg_ip_is_linklocal(hop);
	const struct tg_ip *first = NULL;

	for (uint32_t k = 0; k < i->c.n_addrs; k++) {
		const struct tg_ip_prefix *a = &i->c.addrs[k];

		if (tg_ip_is_v4(&a->ip) != v4)
			continue;
		if (tg_ip_in(hop, a))
			return &a->ip;
		if (!first || (tg_ip_is_linklocal(first) && !link_local))
			first = &a->ip;
	}
	return first;
}

static int add_route(struct tg_net *n, const struct tg_ip_prefix *dst, const struct tg_ip *via,
	uint16_t ifidx, struct tg_errbuf *e)
{
	struct tg_route *r = &n->routes[n->n_routes];
	char text[TG_ADDR_TEXT];

	*r = (struct tg_route){.dst = *dst, .ifidx = ifidx};
	if (via)
		r->via = *via;
	mask_host_bits(&r->dst);
	for (uint32_t i = 0; i < n->n_routes; i++) {
		if (n->routes[i].dst.len != r->dst.len ||
			!tg_ip_eq(&n->routes[i].dst.ip, &r->dst.ip))
			continue;
		if (!via && n->routes[i].ifidx == ifidx)
			return 0; /* two addresses of one subnet */
		return tg_fail(e, TG_EEXIST, "two routes to %s/%u", tg_ip_format(&r->dst.ip, text),
			tg_ip_is_v4(&r->dst.ip) ? r->dst.len - 96u : r->dst.len);
	}
	n->n_routes++;
	return 0;
}

static int add_static(struct tg_net *n, const struct tg_net_route *c, struct tg_errbuf *e)
{
	char text[TG_ADDR_TEXT];
	uint16_t i = 0;

	if (tg_ip_is_v4(&c->dst.ip) != tg_ip_is_v4(&c->via) ||
		(tg_ip_is_v4(&c->dst.ip) && c->dst.len < 96))
		return tg_fail(e, TG_EINVAL, "route via %s: destination is of the other IP version",
			tg_ip_format(&c->via, text));
	while (i < n->n_ifs && !tg_on_link(n, i, &c->via))
		i++;
	for (uint16_t k = i + 1; k < n->n_ifs; k++)
		if (tg_ip_is_linklocal(&c->via) && tg_on_link(n, k, &c->via))
			return tg_fail(e, TG_EINVAL,
				"route via %s: a link-local next hop is on several ports here",
				tg_ip_format(&c->via, text));
	if (i == n->n_ifs || tg_own_find(n, &c->via, i))
		return tg_fail(e, TG_EINVAL,
			"route via %s: the next hop is not a neighbour on any port",
			tg_ip_format(&c->via, text));
	return add_route(n, &c->dst, &c->via, i, e);
}

int tg_route_init(struct tg_net *n, const struct tg_net_conf *c, struct tg_errbuf *e)
{
	uint32_t room = c->n_routes + n->n_ifs * TG_NETIF_ADDRS_MAX;
	int rc;

	if (c->n_routes > 1024)
		return tg_fail(e, TG_ERANGE, "%u routes; 1024 is the most", c->n_routes);
	n->routes = rte_calloc_socket(NULL, room, sizeof(*n->routes), 64, (int)c->socket);
	if (!n->routes)
		return tg_fail(e, TG_ENOMEM, "no memory for %u routes", room);
	for (uint16_t i = 0; i < n->n_ifs; i++) {
		for (uint32_t a = 0; a < n->ifs[i].c.n_addrs; a++) {
			const struct tg_ip_prefix *p = &n->ifs[i].c.addrs[a];

			if (!tg_ip_is_v4(&p->ip) && tg_ip_is_linklocal(&p->ip))
				continue;
			rc = add_route(n, p, NULL, i, e);
			if (rc)
				return rc;
		}
	}
	for (uint32_t i = 0; i < c->n_routes; i++) {
		rc = add_static(n, &c->routes[i], e);
		if (rc)
			return rc;
	}
	qsort(n->routes, n->n_routes, sizeof(*n->routes), compare);
	link_parents(n);
	return 0;
}
