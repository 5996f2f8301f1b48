/* config.h: from a libconfig file to an immutable snapshot.
 *
 * Control core only. Reading reports every error of the file in one run, each with its line;
 * nothing is guessed or silently defaulted. A snapshot is one generation of everything that may
 * change at a reload (listeners, virtual hosts, clusters) in one block of memory; what is fixed at
 * start (dataplane, admin, spiffe, ports, ip_routes) is in it too, and tg_config_static_diff()
 * tells what a reload cannot change.
 *
 * Life: the control core makes it, each worker adopts it between two turns, exchanges pin it; it is
 * freed when no worker and no exchange uses it any more: pins[] is written by one worker each and
 * read by the control core.
 */
#ifndef TIDEGATE_CONFIG_H
#define TIDEGATE_CONFIG_H

#include <stdio.h>

#include <tidegate/addr.h>
#include <tidegate/connlimit.h>
#include <tidegate/filter.h>
#include <tidegate/http1.h>
#include <tidegate/log.h>
#include <tidegate/overload.h>
#include <tidegate/redis.h>
#include <tidegate/route.h>
#include <tidegate/stats.h>
#include <tidegate/tls.h>

#define TG_PORTS_MAX 16       /* as TG_NETIF_MAX */
#define TG_PORT_ADDRS_MAX 31  /* TG_NETIF_ADDRS_MAX without the link-local one */
#define TG_IP_ROUTES_MAX 1024 /* as tg_net_create() */
#define TG_NAME_MAX 63        /* bytes of a name: every table holds it whole */
#define TG_ENDPOINTS_MAX \
	32768                 /* of all clusters; workers have room for those before a reload too */
#define TG_LISTENERS_MAX 1024 /* as tg_tcp_listen() */

struct tg_port_conf {
	const char *name, *device; /* DPDK device string ("net_af_xdp0,iface=x") or PCI address */
	uint32_t queues;           /* 0: one a worker where the device can */
	uint16_t mtu, vlan;        /* 1500, 0 = untagged */
	uint32_t n_addrs;
	struct tg_ip_prefix *addrs;
};

struct tg_ip_route_conf {
	struct tg_ip_prefix destination;
	struct tg_ip via;
};

struct tg_dataplane_conf {
	uint32_t workers; /* 1.. TG_MAX_WORKERS */
	uint32_t n_cpus;  /* cpus = [1, 2]: worker i runs on cpus[i]; none: chosen at start */
	uint32_t *cpus;
	enum { TG_IDLE_SPIN, TG_IDLE_ADAPTIVE } idle;
	uint64_t memory;                /* bytes of packet buffers and pools in all; 512 MiB */
	const char *eal;                /* extra EAL arguments */
	uint32_t max_connections;       /* TCP connections, all workers; 0: as memory allows */
	uint16_t port_first, port_last; /* source ports towards endpoints; 0: tcp.h's default */
	uint64_t reassembly_timeout;    /* ns; of IPv6, IPv4: half of it */
	uint64_t drain_time;            /* ns; 600 s as Envoy's */
	const char *user; /* privileges are dropped to this user after start; "" = stay */
	bool core_dumps;  /* with all keys in them; false: never */
};

struct tg_admin_conf {
	const char *socket; /* path; "" = none */
	bool has_address;
	struct tg_sockaddr address;    /* kernel TCP */
	const char *access_log;        /* path, "" = none, "-" = standard output */
	const char *access_log_format; /* NULL: Envoy's default */
};

/* Envoy's forward_client_cert_details: what happens to x-forwarded-client-cert. All but the first
 * and the last remove it from a client that has not shown a certificate. */
enum tg_xfcc {
	TG_XFCC_SANITIZE,
	TG_XFCC_FORWARD_ONLY,
	TG_XFCC_APPEND_FORWARD,
	TG_XFCC_SANITIZE_SET,
	TG_XFCC_ALWAYS_FORWARD_ONLY
};
/* set_current_client_cert_details */
#define TG_XFCC_SUBJECT 1u
#define TG_XFCC_CERT 2u
#define TG_XFCC_DNS 4u
#define TG_XFCC_URI 8u

enum tg_listener_protocol { TG_PROTOCOL_HTTP, TG_PROTOCOL_TCP };

struct tg_listener_conf {
	const char *name;
	uint32_t id; /* dense over the snapshot */
	struct tg_sockaddr addr;
	enum tg_listener_protocol protocol;
	uint32_t buffer_limit; /* per_connection_buffer_limit_bytes; 256 KiB */
	/* ns; 0 = off. Defaults of Envoy: 1 h, 5 min, off, off, off, 1 s */
	uint64_t idle_timeout, stream_idle_timeout, request_timeout, request_headers_timeout,
		max_connection_duration, delayed_close_timeout;
	uint64_t max_stream_duration;         /* ns; 0 (default): off */
	uint32_t max_requests_per_connection; /* 0 (default): no limit; at most 65535 */
	/* What every connection and request here passes; NULL: nothing. overrides[route->filters]:
	 * in its place, where virtual host or route say something else; NULL: this. */
	struct tg_filter_chain *filters, **overrides;
	/* http */
	struct tg_h1_limits limits;
	bool use_remote_address; /* true by default: the peer's address is appended to XFF */
	uint32_t xff_num_trusted_hops;
	bool generate_request_id;          /* true */
	bool preserve_external_request_id; /* false: at the edge a client's id is replaced */
	uint8_t xfcc;                      /* enum tg_xfcc */
	uint8_t xfcc_set;                  /* TG_XFCC_SUBJECT ... */
	const char *server_name;           /* "tidegate" */
	const struct tg_host_table *hosts;
	struct tg_connlimit *connlimit;                        /* of new connections; NULL: none */
	const struct tg_edits *request_edits, *response_edits; /* NULL: none */
	const struct tg_tls_conf *tls;  /* in the snapshot's tls[]; NULL: plain text */
	uint64_t tls_handshake_timeout; /* ns */
	/* tcp */
	const struct tg_cluster *cluster; /* NULL: one of those, by chance, for each connection */
	uint32_t n_weighted;
	const struct tg_weighted *weighted;
	bool hash_source_ip;             /* for ring_hash and maglev: by the client's address */
	uint32_t max_connect_attempts;   /* 1: the first that fails ends the client's connection */
	struct tg_listener_stats *stats; /* [worker]; survives reloads */
};

#define TG_CHAINS_MAX (1u << 20) /* listeners times different lists of filters below them */

/* "": not given. */
struct tg_locality {
	const char *region, *zone, *sub_zone;
};

struct tg_snapshot {
	uint64_t generation; /* 1 as loaded; who adopts it counts on from the running one */
	struct tg_dataplane_conf dataplane;
	struct tg_admin_conf admin;
	const char *spiffe_socket; /* of the Workload API; "": as SPIFFE_ENDPOINT_SOCKET says */
	/* What counts for the filter "ratelimit". quota: the process's table, which whoever loads
	 * the snapshot puts there before a worker adopts it; NULL: there is none. */
	bool has_rate_limit_service;
	struct tg_redis_conf redis;
	uint32_t quota_keys;
	struct tg_quota *quota;
	uint32_t n_ports, n_ip_routes, n_listeners, n_vhosts, n_clusters, n_endpoints;
	struct tg_port_conf *ports;
	struct tg_ip_route_conf *ip_routes;
	struct tg_listener_conf *listeners;
	struct tg_vhost *vhosts;
	struct tg_cluster *clusters;
	const struct tg_cluster_names *cluster_names;
	uint32_t n_chains; /* of all listeners */
	struct {
		struct tg_filter_chain *chain;
		const char *listener;
	} * chains;
	uint32_t n_localities;
	const struct tg_locality *localities;    /* by tg_endpoint.locality; the first: our own */
	const struct tg_overload_conf *overload; /* NULL: there is none */
	uint32_t n_tls;
	struct tg_tls_conf *tls; /* of all listeners and clusters */
	const char *source;      /* the file's text, @include expanded, for /config_dump */
	uint64_t loaded_at;      /* CLOCK_REALTIME, ns */
	/* Written by worker i only, read by the control core with acquire: exchanges and listeners
	 * of that worker that use this snapshot. Each in a cache line of its own. */
	struct {
		uint64_t pins;
	} __attribute__((aligned(64))) worker[TG_MAX_WORKERS];
};

/* Reads, validates, compiles. NULL: at least one error; all of them went to `err` as `FILE:LINE:
 * message`, one a line, in the order of the text. Relative paths in the file, @include's too, start
 * at the file's own directory. stats: where named statistics come from (NULL with --check: see
 * tg_snapshot_bind_stats). */
struct tg_snapshot *tg_config_load(const char *path, struct tg_stats *stats, FILE *err);
/* The same from memory; name stands for the file in messages. @include is refused. For tests and
 * fuzzing. */
struct tg_snapshot *tg_config_parse(
	const char *name, const char *text, struct tg_stats *stats, FILE *err);
void tg_snapshot_free(struct tg_snapshot *s);
/* Gives every cluster and listener its statistics, for a snapshot loaded without (the registry
 * wants to know the number of workers, which is in the snapshot). TG_ENOMEM. */
int tg_snapshot_bind_stats(struct tg_snapshot *s, struct tg_stats *stats);

/* Gives every endpoint its health (health.h), until it is freed. TG_ENOMEM. */
int tg_snapshot_bind_health(struct tg_snapshot *s, struct tg_health *h);
/* It is in use from now on (health.h). */
void tg_snapshot_use_health(const struct tg_snapshot *s);

/* What differs in the part that is fixed at start; prints a line for each to err and returns how
 * many. */
uint32_t tg_config_static_diff(
	const struct tg_snapshot *running, const struct tg_snapshot *next, FILE *err);

/* The schema, for documentation and tests: every key that is known, in the order of the reference
 * file. */
struct tg_config_key {
	const char *path;  /* "listeners.address" */
	const char *type;  /* "duration", "list of groups" ... */
	const char *range; /* "1 .. 64", "http | tcp"; "" = any */
	const char *dflt;  /* default as one would write it; NULL: none */
	const char *doc;   /* one sentence */
	bool required;
	bool supported; /* false: known by name, refused by this version */
};
typedef void tg_config_key_fn(void *ctx, const struct tg_config_key *k);
void tg_config_walk_keys(tg_config_key_fn *fn, void *ctx);

#endif
