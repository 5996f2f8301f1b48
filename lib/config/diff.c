/* What a reload cannot change. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "cfg.h"

struct diff {
	FILE *err;
	uint32_t n;
};

static void differs(struct diff *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void differs(struct diff *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(d->err, fmt, ap);
	va_end(ap);
	fputs("; this takes a restart\n", d->err);
	d->n++;
}

static void number(struct diff *d, const char *key, uint64_t a, uint64_t b)
{
	if (a != b)
		differs(d, "%s changed from %" PRIu64 " to %" PRIu64, key, a, b);
}

static void duration(struct diff *d, const char *key, uint64_t a, uint64_t b)
{
	char from[32], to[32];

	if (a == b)
		return;
	cfg_format_duration(a, from);
	cfg_format_duration(b, to);
	differs(d, "%s changed from %s to %s", key, from, to);
}

static void text(struct diff *d, const char *key, const char *a, const char *b)
{
	if (strcmp(a ? a : "", b ? b : "") != 0)
		differs(d, "%s changed from \"%s\" to \"%s\"", key, a ? a : "", b ? b : "");
}

static void diff_dataplane(
	struct diff *d, const struct tg_dataplane_conf *a, const struct tg_dataplane_conf *b)
{
	bool cpus = a->n_cpus == b->n_cpus;

	number(d, "dataplane.workers", a->workers, b->workers);
	for (uint32_t i = 0; cpus && i < a->n_cpus; i++)
		cpus = a->cpus[i] == b->cpus[i];
	if (!cpus)
		differs(d, "dataplane.cpus changed");
	text(d, "dataplane.idle", a->idle == TG_IDLE_SPIN ? "spin" : "adaptive",
		b->idle == TG_IDLE_SPIN ? "spin" : "adaptive");
	number(d, "dataplane.memory", a->memory, b->memory);
	text(d, "dataplane.eal", a->eal, b->eal);
	number(d, "dataplane.max_connections", a->max_connections, b->max_connections);
	if (a->port_first != b->port_first || a->port_last != b->port_last)
		differs(d, "dataplane.source_ports changed");
	duration(d, "dataplane.reassembly_timeout", a->reassembly_timeout, b->reassembly_timeout);
	duration(d, "dataplane.drain_time", a->drain_time, b->drain_time);
	text(d, "dataplane.user", a->user, b->user);
	number(d, "dataplane.core_dumps", a->core_dumps, b->core_dumps);
}

static void diff_admin(struct diff *d, const struct tg_admin_conf *a, const struct tg_admin_conf *b)
{
	char from[TG_ADDR_TEXT] = "", to[TG_ADDR_TEXT] = "";

	if (a->has_address)
		tg_sockaddr_format(&a->address, from);
	if (b->has_address)
		tg_sockaddr_format(&b->address, to);
	text(d, "admin.socket", a->socket, b->socket);
	text(d, "admin.address", from, to);
	text(d, "admin.access_log", a->access_log, b->access_log);
	text(d, "admin.access_log_format", a->access_log_format, b->access_log_format);
}

static void diff_port(struct diff *d, const struct tg_port_conf *a, const struct tg_port_conf *b)
{
	bool addrs = a->n_addrs == b->n_addrs;

	if (strcmp(a->name, b->name) != 0) {
		differs(d, "port \"%s\" became \"%s\"", a->name, b->name);
		return;
	}
	for (uint32_t i = 0; addrs && i < a->n_addrs; i++)
		addrs = tg_ip_eq(&a->addrs[i].ip, &b->addrs[i].ip) &&
			a->addrs[i].len == b->addrs[i].len;
	if (strcmp(a->device, b->device) != 0 || a->mtu != b->mtu || a->vlan != b->vlan ||
		a->queues != b->queues || !addrs)
		differs(d, "port \"%s\" changed", a->name);
}

uint32_t tg_config_static_diff(
	const struct tg_snapshot *running, const struct tg_snapshot *next, FILE *err)
{
	struct diff d = {.err = err};
	bool routes = running->n_ip_routes == next->n_ip_routes;

	diff_dataplane(&d, &running->dataplane, &next->dataplane);
	text(&d, "spiffe.socket", running->spiffe_socket, next->spiffe_socket);
	diff_admin(&d, &running->admin, &next->admin);
	if (running->n_ports != next->n_ports)
		differs(&d, "the number of ports changed from %u to %u", running->n_ports,
			next->n_ports);
	for (uint32_t i = 0; running->n_ports == next->n_ports && i < next->n_ports; i++)
		diff_port(&d, &running->ports[i], &next->ports[i]);
	for (uint32_t i = 0; routes && i < next->n_ip_routes; i++) {
		const struct tg_ip_route_conf *a = &running->ip_routes[i], *b = &next->ip_routes[i];

		routes = a->destination.len == b->destination.len && tg_ip_eq(&a->via, &b->via) &&
			 tg_ip_eq(&a->destination.ip, &b->destination.ip);
	}
	if (!routes)
		differs(&d, "ip_routes changed");
	return d.n;
}
