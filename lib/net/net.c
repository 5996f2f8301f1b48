#include <rte_malloc.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* --- configuration --- */

static int check_port(const struct tg_net_conf *c, uint32_t i, struct tg_errbuf *e)
{
	static const uint8_t zero[6];
	const struct tg_netif_conf *p = &c->ifs[i];
	const char *name = p->name ? p->name : "?";
	uint32_t room = rte_pktmbuf_data_room_size(c->mbufs) - RTE_PKTMBUF_HEADROOM;

	if (!p->ops || !p->ops->tx)
		return tg_fail(e, TG_EINVAL, "port %s: nothing to send with", name);
	if (p->mac[0] & 1 || memcmp(p->mac, zero, 6) == 0)
		return tg_fail(e, TG_EINVAL, "port %s: MAC address is not a host's", name);
	if (p->mtu < TG_MTU_MIN || p->mtu > TG_MTU_MAX)
		return tg_fail(e, TG_ERANGE, "port %s: MTU %u is not within %u..%u", name, p->mtu,
			TG_MTU_MIN, TG_MTU_MAX);
	if (room < p->mtu + 18u)
		return tg_fail(e, TG_ERANGE, "port %s: MTU %u needs packet buffers of %u bytes",
			name, p->mtu, p->mtu + 18u + RTE_PKTMBUF_HEADROOM);
	if (p->vlan > 4094)
		return tg_fail(
			e, TG_ERANGE, "port %s: VLAN %u is not within 1..4094", name, p->vlan);
	if (p->n_addrs > TG_NETIF_ADDRS_MAX)
		return tg_fail(
			e, TG_ERANGE, "port %s: more than %u addresses", name, TG_NETIF_ADDRS_MAX);
	return 0;
}

static int check(const struct tg_net_conf *c, struct tg_errbuf *e)
{
	if (!c->mbufs || !c->wheel || !c->stats)
		return tg_fail(e, TG_EINVAL, "net needs packet buffers, a wheel and counters");
	if (!c->n_ifs || c->n_ifs > TG_NETIF_MAX)
		return tg_fail(
			e, TG_ERANGE, "%u ports; 1..%u are possible", c->n_ifs, TG_NETIF_MAX);
	if (c->steer && c->steer->n_workers > 1 &&
		(!c->steer_rings || c->worker >= c->steer->n_workers))
		return tg_fail(e, TG_EINVAL, "several workers need steering rings");
	for (uint32_t i = 0; i < c->n_ifs; i++) {
		int rc = check_port(c, i, e);

		if (rc)
			return rc;
	}
	return 0;
}

/* fe80:: and the modified EUI-64 of the MAC (RFC 4291 appendix A). */
static struct tg_ip eui64(const uint8_t mac[6])
{
	struct tg_ip a = {.b = {0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3],
				  mac[4], mac[5]}};

	return a;
}

static int init_port(
	struct tg_net *n, uint32_t idx, const struct tg_netif_conf *c, struct tg_errbuf *e)
{
	struct tg_netif *i = &n->ifs[idx];
	bool has_link_local = false;
	char text[TG_ADDR_TEXT];

	i->c = *c;
	i->l2_len = c->vlan ? 18 : 14;
	for (uint32_t k = 0; k < c->n_addrs; k++) {
		const struct tg_ip *a = &c->addrs[k].ip;
		bool v4 = tg_ip_is_v4(a);

		if (tg_ip_is_any(a) || tg_ip_is_multicast(a) || c->addrs[k].len > 128 ||
			(v4 && (c->addrs[k].len < 96 || a->b[12] == 127 || a->b[12] >= 224)))
			return tg_fail(e, TG_EINVAL, "port %s: %s is no address of a host",
				c->name ? c->name : "?", tg_ip_format(a, text));
		i->has4 |= v4;
		i->has6 |= !v4;
		has_link_local |= !v4 && tg_ip_is_linklocal(a);
	}
	if (!i->has6 || has_link_local)
		return 0;
	if (c->n_addrs == TG_NETIF_ADDRS_MAX)
		return tg_fail(
			e, TG_ERANGE, "port %s: no room for its link-local address", c->name);
	i->c.addrs[i->c.n_addrs++] = (struct tg_ip_prefix){eui64(c->mac), 64};
	return 0;
}

struct rte_hash *tg_net_table(const char *what, uint32_t entries, uint32_t key_len, int socket)
{
	static uint32_t serial; /* DPDK wants a name of its own for each in the process */
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters p = {
		.name = name,
		.entries = RTE_MAX(entries, 8u),
		.key_len = key_len,
		.socket_id = socket,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE, /* every one of `entries` fits */
	};

	snprintf(name, sizeof(name), "tg%s%u", what,
		__atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED));
	return rte_hash_create(&p);
}

static int init(struct tg_net *n, const struct tg_net_conf *c, struct tg_errbuf *e)
{
	uint64_t seed[2];
	int rc;

	memcpy(seed, c->secret, sizeof(seed));
	n->seed = seed[0];
	n->ip_id = (uint32_t)seed[1];
	tg_rng_seed(&n->rng, seed[0] ^ seed[1]);
	n->mbufs = c->mbufs;
	n->wheel = c->wheel;
	n->stats = c->stats;
	n->worker = c->worker;
	n->n_ifs = c->n_ifs;
	n->data_room = rte_pktmbuf_data_room_size(c->mbufs) - RTE_PKTMBUF_HEADROOM;
	if (c->steer && c->steer->n_workers > 1) {
		n->steer = c->steer;
		n->rings = c->steer_rings;
	}
	tg_icmp_init(n);
	for (uint32_t i = 0; i < c->n_ifs; i++) {
		rc = init_port(n, i, &c->ifs[i], e);
		if (rc)
			return rc;
	}
	rc = tg_own_init(n, e);
	if (!rc)
		rc = tg_route_init(n, c, e);
	if (rc)
		return rc;
	if (tg_neigh_init(n, c) || tg_pmtu_init(n, c) || tg_frag_init(n, c))
		return tg_fail(e, TG_ENOMEM, "no memory (or timer kind) for net's tables");
	return 0;
}

struct tg_net *tg_net_create(const struct tg_net_conf *c, struct tg_errbuf *e)
{
	struct tg_net *n;

	if (check(c, e))
		return NULL;
	n = rte_zmalloc_socket(NULL, sizeof(*n), 64, (int)c->socket);
	if (!n) {
		tg_fail(e, TG_ENOMEM, "no memory for net: %zu bytes", sizeof(*n));
		return NULL;
	}
	if (init(n, c, e)) {
		tg_net_destroy(n);
		return NULL;
	}
	return n;
}

void tg_net_destroy(struct tg_net *n)
{
	if (!n)
		return;
	tg_frag_fini(n);
	tg_neigh_fini(n);
	tg_pmtu_fini(n);
	for (uint32_t i = 0; i < n->n_ifs; i++)
		rte_pktmbuf_free_bulk(n->ifs[i].tx, n->ifs[i].n_tx);
	rte_free(n->routes);
	rte_free(n);
}

/* --- small questions --- */

void tg_net_on_icmp_error(struct tg_net *n, tg_icmp_error_fn *fn, void *ctx)
{
	n->icmp_fn = fn;
	n->icmp_ctx = ctx;
}

void tg_net_announce(struct tg_net *n)
{
	for (uint16_t i = 0; i < n->n_ifs; i++) {
		if (n->ifs[i].has6)
			tg_mld_report(n, i);
		for (uint32_t a = 0; a < n->ifs[i].c.n_addrs; a++) {
			const struct tg_ip *ip = &n->ifs[i].c.addrs[a].ip;

			if (tg_ip_is_v4(ip))
				tg_arp_announce(n, i, ip);
			else
				tg_nd_announce(n, i, ip);
		}
	}
}

int tg_net_source(struct tg_net *n, const struct tg_ip *remote, struct tg_ip *local)
{
	const struct tg_ip *src;
	struct tg_path path;

	if (!tg_path_find(n, remote, NULL, &path))
		return TG_ENOROUTE;
	src = tg_route_source(n, path.ifidx, &path.hop);
	/* A next hop may be link-local; what is sent beyond it must not be. */
	if (src && tg_ip_is_linklocal(src) && !tg_ip_is_linklocal(remote))
		src = tg_route_source(n, path.ifidx, remote);
	if (!src || (!tg_ip_is_v4(src) && tg_ip_is_linklocal(src) && !tg_ip_is_linklocal(remote)))
		return TG_ENOROUTE;
	*local = *src;
	return 0;
}

uint16_t tg_net_mtu(struct tg_net *n, const struct tg_ip *remote)
{
	struct tg_path path;

	if (!tg_path_find(n, remote, NULL, &path))
		return 0;
	return tg_pmtu_find(n, remote, n->ifs[path.ifidx].c.mtu);
}

bool tg_net_is_local(const struct tg_net *n, const struct tg_ip *a)
{
	for (uint16_t i = 0; i < n->n_ifs; i++) {
		const struct tg_own *o = tg_own_find(n, a, i);

		if (o && o->kind == TG_OWN_ADDR)
			return true;
	}
	return false;
}

void tg_net_usage(const struct tg_net *n, struct tg_net_usage *u)
{
	*u = (struct tg_net_usage){
		.neighbours = n->neigh.n,
		.neighbours_max = n->neigh.size,
		.pending = n->neigh.n_pend,
		.pending_max = n->neigh.max_pend,
		.pmtu = n->pmtu.n,
		.pmtu_max = n->pmtu.size,
	};
	tg_frag_usage(n, u);
}

bool tg_net_validate(const struct tg_net *n)
{
	for (uint32_t i = 0; i < n->n_ifs; i++)
		if (n->ifs[i].n_tx > TG_NET_TX_BATCH)
			return false;
	return n->stats->neighbours == n->neigh.n && tg_neigh_validate(n) && tg_pmtu_validate(n) &&
	       tg_frag_validate(n);
}
