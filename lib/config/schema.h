/* schema.h: every key of the configuration in tables, and the structures they are read into.
 * Private to lib/config. A key that is not in a table is an error; one that is in a group's
 * `refused` is known from Envoy and not supported by this version. */
#ifndef TG_CONFIG_SCHEMA_H
#define TG_CONFIG_SCHEMA_H

#include <tidegate/bucket.h>
#include <tidegate/dns.h>

#include "cfg.h"

enum cfg_type {       /* C type at the key's offset */
	CFG_STRING,   /* const char * */
	CFG_NAME,     /* const char *: printable, not empty */
	CFG_PATH,     /* const char *: relative ones start at the file's directory */
	CFG_BOOL,     /* bool */
	CFG_U16,      /* uint16_t */
	CFG_U32,      /* uint32_t */
	CFG_I64,      /* int64_t: any */
	CFG_REGEX,    /* const char *: a text, or Envoy's { regex = "..."; } */
	CFG_SIZE32,   /* uint32_t, bytes */
	CFG_SIZE,     /* uint64_t, bytes */
	CFG_DURATION, /* uint64_t, ns */
	CFG_FACTOR,   /* uint32_t: ten-thousandths; min and max too */
	CFG_PERCENT,  /* uint32_t: millionths of the whole; written as percent */
	CFG_FRACTION, /* the same, written as 0 .. 1 */
	CFG_ENUM,     /* uint32_t: index of words */
	CFG_SOCKADDR, /* struct tg_sockaddr; port 0: not readable */
	CFG_ORIGIN,   /* struct raw_origin: the same, or a name with a port */
	CFG_IP,       /* struct tg_ip; all zero: not readable */
	CFG_PREFIX,   /* struct raw_item */
	CFG_STRINGS,  /* struct raw_list of struct raw_item, and so on */
	CFG_NAMES,
	CFG_PATHS,
	CFG_UINTS,
	CFG_PREFIXES,
	CFG_GROUP,   /* the group's structure, in place */
	CFG_GROUPS,  /* struct raw_list of the group's structure */
	CFG_FILTERS, /* struct raw_list of struct raw_filter */
};

#define CFG_REQUIRED 1u  /* the key must stand in the group */
#define CFG_HTTP 2u      /* only for listeners with protocol "http" */
#define CFG_TCP 4u       /* only with "tcp" */
#define CFG_NOT_EMPTY 8u /* lists: at least one item */
#define CFG_TOLD 16u     /* groups: the keys in it are documented where else it stands */

struct cfg_group;
struct cfg_index;

struct cfg_key {
	const char *name;
	enum cfg_type type;
	uint32_t flags;
	uint32_t at;         /* offset in the group's structure */
	uint64_t min, max;   /* numbers, bytes, ns; names: max is their length; max 0: any */
	const char *dflt;    /* as one would write it, strings without quotes */
	const char *example; /* for messages */
	const char *doc;
	const struct cfg_group *group;    /* CFG_GROUP, CFG_GROUPS */
	const char *const *words;         /* CFG_ENUM, up to NULL */
	const char *const *refused_words; /* known, not supported */
};

/* A key that is known and not supported. */
struct cfg_refused {
	const char *name;
	const char
		*instead_of; /* the key that it stands for, which is then not missed; NULL: none */
	const char *hint;    /* why, and what to write; NULL: it may come */
};

struct cfg_group {
	const char *what; /* "listener", in messages */
	size_t size;
	const struct cfg_key *keys;        /* up to name NULL */
	const struct cfg_refused *refused; /* up to name NULL */
};

/* First member of every group's structure. */
struct raw_head {
	config_setting_t *at; /* NULL: the group was not given, or is no group */
	uint64_t given;       /* bit i: keys[i] stands in it */
	uint64_t meant;       /* bit i: an unknown or refused key of it stands for keys[i] */
	bool skip;            /* an error makes it useless for further checks */
};

struct raw_item {
	config_setting_t *at;
	bool ok;       /* readable */
	bool reported; /* an error was already told */
	const char *s;
	uint32_t u;
	struct tg_ip_prefix prefix;
};

struct raw_list {
	config_setting_t *at; /* NULL: not given */
	uint32_t n;
	void *items;
	bool whole; /* no item was lost to an error */
};

struct raw_dataplane {
	struct raw_head h;
	struct tg_dataplane_conf c;
	uint32_t idle;
	struct raw_list cpus, source_ports;
};

struct raw_spiffe {
	struct raw_head h;
	const char *socket;
};

/* `rate_limit_service` */
struct raw_service {
	struct raw_head h;
	struct tg_redis_conf redis;
	uint32_t max_keys;
};

struct raw_monitor {
	struct raw_head h;
	const char *name;
	uint32_t max_connections;
	uint64_t max_delay;
};

struct raw_level {
	struct raw_head h;
	uint32_t value, clear;
};

struct raw_scaled {
	struct raw_head h;
	uint32_t from, to;
};

struct raw_trigger {
	struct raw_head h;
	const char *name;
	struct raw_level level;
	struct raw_scaled scaled;
};

struct raw_timer {
	struct raw_head h;
	const char *timer;
	uint64_t least;
};

/* Of `actions` and `loadshed_points`. */
struct raw_overload_action {
	struct raw_head h;
	const char *name;
	struct raw_list triggers, timers;
};

struct raw_overload {
	struct raw_head h;
	uint64_t refresh;
	struct raw_list monitors, actions, points;
};

struct raw_admin {
	struct raw_head h;
	struct tg_admin_conf c;
};

struct raw_port {
	struct raw_head h;
	struct tg_port_conf c;
	const char *pci;
	struct raw_list addresses;
};

struct raw_ip_route {
	struct raw_head h;
	struct raw_item destination;
	struct tg_ip via;
};

/* `tls` of listeners and of clusters. */
struct raw_tls_pair {
	struct raw_head h;
	const char *certificate, *private_key;
};

struct raw_trust_domain {
	struct raw_head h;
	const char *name, *ca;
};

struct raw_tls {
	struct raw_head h;
	struct raw_tls_pair pair; /* h unused */
	struct raw_list certificates, trust_domains, match_spiffe_ids, alpn, ticket_keys;
	bool no_tickets;
	struct tg_tls_conf c;
	uint32_t min_version;
	uint64_t handshake_timeout;
};

struct raw_xfcc_set {
	struct raw_head h;
	bool subject, cert, dns, uri;
};

/* What every filter's structure begins with. */
struct raw_filter_head {
	struct raw_head h;
	const char *name, *id;
	bool disabled;
};

struct raw_token_bucket {
	struct raw_head h;
	uint32_t max_tokens, tokens_per_fill;
	uint64_t fill_interval;
};

struct cfg_filter_kind;
struct raw_filter {
	const struct cfg_filter_kind *kind;
	struct raw_filter_head *raw; /* the kind's structure, in tmp */
};

struct raw_client_limit {
	struct raw_head h;
	struct raw_token_bucket bucket;
	uint32_t v4, v6, max_clients;
};

struct raw_connlimit {
	struct raw_head h;
	struct raw_token_bucket bucket;
	struct raw_client_limit client;
};

/* Of `request_headers_to_add` and `response_headers_to_add`. */
struct raw_key_value {
	struct raw_head h;
	const char *key, *value;
};

struct raw_field_add {
	struct raw_head h;
	struct raw_key_value header;
	uint32_t append;
	bool keep_empty;
};

struct raw_edits {
	struct raw_list add, remove;
};

struct raw_listener {
	struct raw_head h;
	struct raw_connlimit connlimit;
	struct raw_list filters;
	uint32_t xfcc;
	struct raw_xfcc_set xfcc_set;
	struct raw_tls tls;
	struct tg_listener_conf c;
	uint32_t protocol;
	const char *cluster;
	struct raw_list weighted, hash; /* tcp */
	struct raw_list virtual_hosts;
	struct raw_edits request, response;
	uint32_t max_headers_kb, max_fields;
};

/* What a value is compared with: one of them, or none. */
struct raw_value {
	const char *exact, *prefix, *suffix, *contains, *regex;
	bool ignore_case;
};

struct raw_string_match {
	struct raw_head h;
	struct raw_value v;
};

struct raw_range {
	struct raw_head h;
	int64_t start, end;
};

/* Of `headers` and `query_parameters`. */
struct raw_header {
	struct raw_head h;
	const char *name;
	struct raw_value v;
	struct raw_string_match string_match;
	struct raw_range range;
	bool present, invert, missing_is_empty;
};

struct raw_fraction {
	struct raw_head h;
	uint32_t numerator, denominator;
};

struct raw_runtime_fraction {
	struct raw_head h;
	struct raw_fraction value;
};

struct raw_match {
	struct raw_head h;
	const char *path, *prefix, *separated, *regex;
	bool case_sensitive;
	struct raw_list headers, query;
	struct raw_runtime_fraction fraction;
};

struct raw_backoff {
	struct raw_head h;
	uint64_t base, max; /* max 0: not given */
};

/* One of a route's hash_policy. */
struct raw_hash_header {
	struct raw_head h;
	const char *name;
};
struct raw_hash_cookie {
	struct raw_head h;
	const char *name, *path;
	uint64_t ttl;
};
struct raw_hash_conn {
	struct raw_head h;
	bool source_ip;
};
struct raw_hash {
	struct raw_head h;
	struct raw_hash_header header, query;
	struct raw_hash_cookie cookie;
	struct raw_hash_conn conn;
	bool terminal;
};

/* rate_limited_retry_back_off */
struct raw_reset {
	struct raw_head h;
	const char *name;
	uint32_t format;
};

struct raw_limited_backoff {
	struct raw_head h;
	struct raw_list resets;
	uint64_t max;
};

struct raw_hedge {
	struct raw_head h;
	bool on_timeout;
};

struct raw_retry {
	struct raw_head h;
	uint64_t per_try_idle_timeout;
	struct raw_limited_backoff limited;
	const char *retry_on;
	uint32_t num_retries, host_attempts;
	uint64_t per_try_timeout;
	struct raw_list statuses, headers, host_predicates;
	struct raw_backoff backoff;
};

struct raw_weighted {
	struct raw_head h;
	const char *cluster;
	uint32_t weight;
	struct raw_edits request, response;
};

struct raw_rewrite {
	struct raw_head h;
	const char *pattern, *substitution;
};

struct raw_redirect {
	struct raw_head h;
	const char *scheme, *host, *path, *prefix;
	uint32_t port, status;
	bool https, strip_query;
	struct raw_rewrite regex;
};

struct raw_direct {
	struct raw_head h;
	uint32_t status;
	const char *body;
};

struct raw_mirror {
	struct raw_head h;
	const char *cluster;
	struct raw_runtime_fraction fraction;
};

struct raw_action {
	struct raw_head h;
	const char *cluster, *cluster_header;
	struct raw_list weighted, mirrors;
	uint32_t total_weight, not_found;
	const char *prefix, *host, *host_field;
	struct raw_rewrite path, host_path;
	bool append_x_forwarded_host;
	struct raw_retry retry;
	struct raw_hedge hedge;
	struct raw_list hash;
	uint32_t priority;
	uint64_t timeout, idle_timeout;
};

struct raw_route {
	struct raw_head h;
	const char *name;
	struct raw_match match;
	struct raw_action action;
	struct raw_redirect redirect;
	struct raw_direct direct;
	struct raw_edits request, response;
	struct raw_list filters;
	uint32_t buffer_limit;
};

struct raw_vhost {
	struct raw_head h;
	const char *name;
	struct raw_list domains, routes, filters, mirrors;
	struct raw_retry retry;
	struct raw_hedge hedge;
	bool count_in_request, count_in_response;
	uint32_t buffer_limit;
	struct raw_edits request, response;
	uint32_t require_tls;
};

struct raw_origin {
	struct tg_sockaddr addr; /* port 0: not readable */
	const char *host;        /* NULL: addr is all there is */
};

struct raw_locality {
	struct raw_head h;
	const char *region, *zone, *sub_zone; /* "": not given */
};

struct raw_node {
	struct raw_head h;
	struct raw_locality locality;
};

struct raw_cluster_manager {
	struct raw_head h;
	const char *local; /* NULL: not given */
};

/* What a locality of a cluster gets at a priority. */
struct raw_zone_weight {
	struct raw_head h;
	struct raw_locality locality;
	uint32_t priority, weight;
};

struct raw_endpoint {
	struct raw_head h;
	struct raw_locality locality;
	struct raw_origin at;
	struct tg_endpoint c;
};

/* Of clusters whose endpoints are names. */
struct raw_dns_failure {
	struct raw_head h;
	uint64_t base, max; /* max 0: not given */
};
struct raw_dns {
	struct tg_dns_conf c;
	uint32_t family;
	uint64_t timeout;
	struct raw_list resolvers;
	struct raw_dns_failure failure;
};

struct raw_budget {
	struct raw_head h;
	uint32_t percent, min_concurrency;
};

struct raw_threshold {
	struct raw_head h;
	uint32_t priority, max[TG_RESOURCES];
	struct raw_budget budget;
	bool track_remaining;
};

struct raw_breakers {
	struct raw_threshold flat; /* DEFAULT's, without a list */
	struct raw_list thresholds;
};

struct raw_slow_start {
	struct raw_head h;
	uint64_t window;
	uint32_t aggression, least; /* ten-thousandths; of a percent */
};
struct raw_lb_turns {
	struct raw_head h;
	struct raw_slow_start slow;
};
struct raw_local_zone {
	struct raw_head h;
	uint32_t min_size;
};
struct raw_zone_aware {
	struct raw_head h;
	bool fail_on_panic;
	uint32_t routing_enabled; /* millionths */
	uint32_t min_cluster_size;
	struct raw_local_zone local;
};
struct raw_locality_weighted {
	struct raw_head h;
};
struct raw_common_lb {
	struct raw_head h;
	uint32_t panic_threshold;
	struct raw_zone_aware zone;
	struct raw_locality_weighted weighted;
};
struct raw_lb_choice {
	struct raw_head h;
	uint32_t choice_count;
	struct raw_slow_start slow;
};
struct raw_lb_ring {
	struct raw_head h;
	uint32_t min, max;
};
struct raw_lb_maglev {
	struct raw_head h;
	uint32_t table_size;
};

struct raw_status_range {
	struct raw_head h;
	uint32_t start, end;
};

struct raw_payload {
	struct raw_head h;
	const char *text;
};

struct raw_http_check {
	struct raw_head h;
	const char *path, *host;
	uint32_t method;
	struct raw_list add, expected, retriable;
};

struct raw_tcp_check {
	struct raw_head h;
	struct raw_payload send;
	struct raw_list receive;
};

struct raw_check {
	struct raw_head h;
	struct tg_health_check c;
	struct raw_http_check http;
	struct raw_tcp_check tcp;
};

struct raw_outlier {
	struct raw_head h;
	struct tg_outlier c;
};

struct raw_cluster {
	struct raw_head h;
	struct tg_cluster c;
	uint32_t lb_policy, type;
	struct raw_dns dns;
	struct raw_common_lb common;
	struct raw_lb_turns round_robin;
	struct raw_lb_choice least_request;
	struct raw_lb_ring ring;
	struct raw_lb_maglev maglev;
	struct raw_breakers breakers;
	struct raw_tls tls;
	struct raw_list checks;
	struct raw_outlier outlier;
	struct raw_list endpoints, localities;
};

struct raw_config {
	struct raw_head h;
	struct raw_dataplane dataplane;
	struct raw_admin admin;
	struct raw_spiffe spiffe;
	struct raw_node node;
	struct raw_cluster_manager manager;
	struct raw_service service;
	struct raw_overload overload;
	struct raw_list ports, ip_routes, listeners, virtual_hosts, clusters;
};

extern const struct cfg_group cfg_root;
extern const struct cfg_group cfg_ports, cfg_ip_routes, cfg_listeners, cfg_virtual_hosts,
	cfg_clusters, cfg_dataplane, cfg_admin, cfg_match, cfg_action, cfg_header, cfg_route,
	cfg_endpoint, cfg_breakers, cfg_threshold, cfg_budget, cfg_retry, cfg_backoff, cfg_hedge,
	cfg_hash, cfg_hash_tcp, cfg_hash_header, cfg_hash_query, cfg_hash_cookie, cfg_hash_conn,
	cfg_lb_choice, cfg_lb_ring, cfg_lb_turns, cfg_common_lb, cfg_lb_maglev, cfg_listener_tls,
	cfg_cluster_tls, cfg_tls_pair, cfg_trust_domain, cfg_xfcc_set, cfg_spiffe;
/* overload.c */
extern const struct cfg_group cfg_overload;
void cfg_check_overload(struct cfg *c, const struct raw_overload *o);
/* *out stays as it is where there is none. False: no memory. */
bool cfg_compile_overload(
	struct cfg *c, const struct raw_overload *o, const struct tg_overload_conf **out);

/* match.c */
extern const struct cfg_group cfg_fraction, cfg_runtime_fraction, cfg_range, cfg_string_match,
	cfg_match_header, cfg_match_query;

/* tls.c */
void cfg_check_tls(struct cfg *c, const struct raw_tls *t, const struct cfg_group *g,
	const config_setting_t *of, const struct cfg_group *of_group);
/* Whether a listener asks clients for certificates and can verify them. */
bool cfg_tls_knows_clients(const struct raw_tls *t);
/* Into out, which is the snapshot's; false: no memory. */
bool cfg_compile_tls(struct cfg *c, const struct raw_tls *t, bool http, struct tg_tls_conf *out);

/* ratelimit.c */
extern const struct cfg_group cfg_token_bucket;
struct tg_bucket_rate cfg_bucket_rate(const struct raw_token_bucket *b);

/* ratelimit_global.c */
extern const struct cfg_group cfg_rate_limit_service;
void cfg_check_rate_limit_service(struct cfg *c, const struct raw_service *s);
void cfg_hide_passwords(char *source);

/* connlimit.c */
extern const struct cfg_group cfg_connlimit;
void cfg_check_connlimit(struct cfg *c, const struct raw_connlimit *l, const char *who);
/* *out: NULL where nothing is limited. False: no memory. */
bool cfg_compile_connlimit(
	struct cfg *c, const struct raw_connlimit *raw, struct tg_connlimit **out);

/* retry.c. raw->h.at may be NULL: nothing to check; compiled to NULL. */
void cfg_check_retry(struct cfg *c, const struct raw_retry *raw, const char *who);
/* hedge_policy, where that is the retry_policy (the virtual host's, if a route has none). */
void cfg_check_hedge(
	struct cfg *c, const struct raw_hedge *raw, const struct raw_retry *retry, const char *who);
/* False: no memory. */
bool cfg_compile_retry(
	struct cfg *c, const struct raw_retry *raw, const struct tg_retry_policy **out);

/* balance.c */
enum cfg_lb_policy {
	CFG_LB_ROUND_ROBIN,
	CFG_LB_LEAST_REQUEST,
	CFG_LB_RANDOM,
	CFG_LB_RING_HASH,
	CFG_LB_MAGLEV
};
void cfg_check_balancer(struct cfg *c, const struct raw_cluster *raw);
void cfg_check_hash(struct cfg *c, const struct raw_list *raw, const char *who);
/* False: no memory. */
bool cfg_compile_balancer(struct cfg *c, const struct raw_cluster *raw, struct tg_cluster *out);
bool cfg_compile_hash(struct cfg *c, const struct raw_list *raw, struct tg_route *out);

/* zones.c */
extern const struct cfg_group cfg_locality, cfg_node, cfg_cluster_manager, cfg_zone_aware,
	cfg_locality_weighted, cfg_zone_weight;
/* Localities of all clusters, each with a number; 0 is this process's own. */
struct cfg_zones {
	const struct raw_locality *all[TG_LOCALITIES_MAX];
	uint32_t n, last;
	bool too_many;
};
void cfg_zones_begin(struct cfg_zones *z, const struct raw_locality *own);
/* One that is new gets the next number; 0, where there are too many. */
uint32_t cfg_zone_number(struct cfg_zones *z, const struct raw_locality *l);
void cfg_check_zones(struct cfg *c, const struct raw_config *raw, const struct cfg_index *clusters);
/* Into out, [endpoints], which is all 0: weights of their localities. False: no memory. */
bool cfg_compile_weights(
	struct cfg *c, struct cfg_zones *z, const struct raw_cluster *raw, uint32_t *out);
/* local: the one of cluster_manager; NULL: none. */
void cfg_compile_zones(
	const struct raw_cluster *raw, const struct tg_cluster *local, struct tg_cluster *out);
/* The snapshot's. False: no memory. */
bool cfg_keep_zones(struct cfg *c, const struct cfg_zones *z, struct tg_snapshot *s);

/* discovery.c: clusters whose endpoints have names. */
extern const struct cfg_group cfg_dns_failure;
void cfg_check_discovery(struct cfg *c, const struct raw_cluster *raw);
/* Its endpoints, or the names that they come from; ids from s->n_endpoints on. local: it is that of
 * cluster_manager, and what has an address of a port of s counts without being an endpoint. False:
 * no memory. */
bool cfg_compile_discovery(struct cfg *c, const struct raw_cluster *raw, struct cfg_zones *zones,
	struct tg_snapshot *s, bool local, struct tg_cluster *out);
/* health.c */
extern const struct cfg_group cfg_check, cfg_outlier, cfg_http_check, cfg_tcp_check, cfg_payload,
	cfg_status_range;
void cfg_check_health(struct cfg *c, const struct raw_cluster *raw);
/* False: no memory. */
bool cfg_compile_health(struct cfg *c, const struct raw_cluster *raw, struct tg_cluster *out);

/* edits.c */
extern const struct cfg_group cfg_field_add, cfg_key_value;
void cfg_check_edits(struct cfg *c, const struct raw_edits *request,
	const struct raw_edits *response, const char *who);
/* NULL: there are none; c->no_memory says otherwise. */
const struct tg_edits *cfg_compile_edits(struct cfg *c, const struct raw_edits *raw);

/* action.c */
extern const struct cfg_group cfg_weighted, cfg_weighted_tcp, cfg_regex_rewrite, cfg_redirect,
	cfg_direct, cfg_mirror;
void cfg_check_action(struct cfg *c, const struct raw_route *r, const struct cfg_index *clusters);
/* Where the connections of a listener with protocol = "tcp" go. False: no memory. */
void cfg_check_tcp_route(
	struct cfg *c, const struct raw_listener *l, const struct cfg_index *clusters);
bool cfg_compile_tcp_route(struct cfg *c, const struct raw_listener *raw,
	const struct cfg_index *index, const struct tg_cluster *clusters,
	struct tg_listener_conf *l);
/* Into r's action and cluster. clusters: the snapshot's. */
bool cfg_compile_action(struct cfg *c, const struct raw_vhost *v, const struct raw_route *raw,
	const struct cfg_index *index, const struct tg_cluster *clusters, struct tg_route *r);
/* Of a virtual host. */
void cfg_check_mirrors(
	struct cfg *c, const struct raw_list *l, const struct cfg_index *clusters, const char *who);

/* match.c */
void cfg_check_match(struct cfg *c, const struct raw_match *m);
bool cfg_compile_match(struct cfg *c, const struct raw_match *raw, struct tg_route *r);
/* Of TG_FRACTION_WHOLE; not given: all. */
uint32_t cfg_fraction_of(const struct raw_runtime_fraction *f);
/* Of struct raw_header. NULL: no memory. */
struct tg_header_match *cfg_compile_headers(struct cfg *c, const struct raw_list *raw);

/* check_http.c */
void cfg_check_header(struct cfg *c, const struct raw_header *h);
void cfg_check_header_name(struct cfg *c, const struct raw_header *h, const struct cfg_group *g);
/* A text that paths of requests are compared with. who: the beginning of messages. */
void cfg_check_path(
	struct cfg *c, const char *who, const char *key, const char *s, bool prefix, uint32_t line);
bool cfg_is_token(const char *s);

/* filters.c: the filters that there are, and their lists. A kind of filter is a row of a table
 * there, and a file with its keys (rbac.c). */
struct cfg_filter_kind {
	const struct cfg_group *group;          /* its structure begins with raw_filter_head */
	const struct tg_filter_ops *http, *tcp; /* NULL: not for that protocol */
	void (*check)(struct cfg *c, const struct raw_filter_head *raw, bool tcp);
	/* What ops->compile takes, in the snapshot's memory. NULL: no memory. */
	const void *(*input)(struct cfg *c, const struct raw_filter_head *raw);
};
extern const struct cfg_filter_kind cfg_filter_rbac, cfg_filter_fault, cfg_filter_ratelimit,
	cfg_filter_ratelimit_global;
/* Whether some principal in it needs a client that was authenticated. */
bool cfg_rbac_needs_identity(const struct raw_filter_head *raw);

/* The kind of a group in a list of filters; NULL: reported. */
const struct cfg_filter_kind *cfg_filter_kind_of(
	struct cfg *c, const config_setting_t *s, const char *who);
/* The i-th kind, for documentation; NULL: no more. */
const struct cfg_filter_kind *cfg_filter_kind_at(uint32_t i);
/* known_clients: clients can prove who they are there. */
void cfg_check_filters(
	struct cfg *c, const struct raw_list *l, const char *who, bool tcp, bool known_clients);
/* All chains into the snapshot, whose listeners, virtual hosts and routes are there. */
bool cfg_compile_filters(struct cfg *c, const struct raw_config *raw, struct tg_snapshot *s,
	const struct cfg_index *vhosts);

/* Whether a key stands in the group's text. */
bool cfg_given(const struct cfg_group *g, const struct raw_head *h, const char *key);
/* The line of a key in a group, or of the group where it is not given. */
uint32_t cfg_key_line(const struct raw_head *h, const char *key);
/* `listener "web"`, or `listener` where the name is not readable. In tmp. */
const char *cfg_who(struct cfg *c, const config_setting_t *s, const struct cfg_group *g);

#define cfg_items(list, type) ((struct type *)(list)->items)

/* index.c: names of a section, sorted, to find references and duplicates. */
struct cfg_name {
	const char *name;
	uint32_t index;
};
struct cfg_index {
	struct cfg_name *names; /* in tmp */
	uint32_t n;
	bool whole; /* false: a name is not readable, so that one may be missing here */
};

/* Of groups of `size` bytes with a name at offset name_at; reports duplicates, and sets skip in
 * them. */
void cfg_index_build(struct cfg *c, struct cfg_index *x, const struct raw_list *l,
	const struct cfg_group *g, size_t name_at);
/* The item's number, or UINT32_MAX. */
uint32_t cfg_index_find(const struct cfg_index *x, const char *name);
/* The same for a reference: one that leads nowhere is reported, unless the section has errors that
 * may be the reason. */
uint32_t cfg_index_refer(struct cfg *c, const struct cfg_index *x, const char *name, uint32_t line,
	const char *who, const char *what);
/* The name that looks most like it, or NULL. */
const char *cfg_index_like(const struct cfg_index *x, const char *name);

/* Edits that turn a into b, or more than `most`. */
uint32_t cfg_distance(const char *a, const char *b, uint32_t most);

#endif
