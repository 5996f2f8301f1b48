#include "keys.h"

static const char *const words_idle[] = {"spin", "adaptive", NULL};
static const char *const words_protocol[] = {"http", "tcp", NULL};
static const char *const refused_protocol[] = {
	"https", "http2", "h2c", "grpc", "tls", "udp", "auto", "redis", NULL};
static const char *const words_priority[] = {"DEFAULT", "HIGH", NULL};
static const char *const words_xfcc[] = {
	"sanitize", "forward_only", "append_forward", "sanitize_set", "always_forward_only", NULL};
static const char *const words_lb[] = {
	"round_robin", "least_request", "random", "ring_hash", "maglev", NULL};
static const char *const words_type[] = {"STATIC", "STRICT_DNS", "LOGICAL_DNS", NULL};
static const char *const refused_type[] = {"EDS", "ORIGINAL_DST", NULL};
static const char *const words_dns_family[] = {
	"AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL", NULL};
static const char *const refused_lb[] = {"cluster_provided", NULL};

static const char *const words_require_tls[] = {"NONE", "EXTERNAL_ONLY", "ALL", NULL};

static const struct cfg_key dataplane_keys[] = {
	KEY(raw_dataplane, c.workers, "workers", .type = CFG_U32, .min = 1, .max = TG_MAX_WORKERS,
		.dflt = "1", .example = "2", .doc = "poll-mode workers, each on a core of its own"),
	KEY(raw_dataplane, cpus, "cpus", .type = CFG_UINTS, .max = 1023, .example = "[2, 3]",
		.doc = "the CPU of each worker; without it they are chosen at start"),
	KEY(raw_dataplane, idle, "idle", .type = CFG_ENUM, .words = words_idle, .dflt = "adaptive",
		.example = "\"adaptive\"",
		.doc = "what a worker without work does: poll on, or sleep in growing steps"),
	KEY(raw_dataplane, c.memory, "memory", .type = CFG_SIZE, .min = 64 * MIB, .max = 1024 * GIB,
		.dflt = "512MiB", .example = "\"512MiB\"",
		.doc = "packet buffers and pools of all workers together"),
	KEY(raw_dataplane, c.eal, "eal", .type = CFG_STRING, .dflt = "",
		.example = "\"--no-huge -m 512\"", .doc = "more arguments for DPDK's EAL"),
	KEY(raw_dataplane, c.max_connections, "max_connections", .type = CFG_U32,
		.max = 16 * 1024 * 1024, .dflt = "0", .example = "100000",
		.doc = "TCP connections of all workers; 0 is as many as the memory allows"),
	KEY(raw_dataplane, source_ports, "source_ports", .type = CFG_UINTS, .min = 1, .max = 65535,
		.example = "[1024, 65535]",
		.doc = "first and last source port of connections to endpoints"),
	KEY(raw_dataplane, c.reassembly_timeout, "reassembly_timeout", .type = CFG_DURATION,
		.min = SEC, .max = 120 * SEC, .dflt = "60s", .example = "\"60s\"",
		.doc = "how long fragments of IPv6 wait for the rest of their datagram; those of "
		       "IPv4 half of it"),
	KEY(raw_dataplane, c.drain_time, "drain_time", .type = CFG_DURATION, .max = YEAR,
		.dflt = "600s", .example = "\"30s\"",
		.doc = "how long SIGTERM lets requests under way go on"),
	KEY(raw_dataplane, c.user, "user", .type = CFG_STRING, .dflt = "",
		.example = "\"tidegate\"", .doc = "user to become after start; \"\" stays root"),
	KEY(raw_dataplane, c.core_dumps, "core_dumps", .type = CFG_BOOL, .dflt = "false",
		.example = "true",
		.doc = "lets the kernel write what the memory holds, keys too, when the process "
		       "crashes"),
	END};

static const struct cfg_key admin_keys[] = {
	KEY(raw_admin, c.socket, "socket", .type = CFG_PATH, .dflt = "",
		.example = "\"/run/tidegate/admin.sock\"",
		.doc = "unix socket of the admin interface; \"\" is none"),
	KEY(raw_admin, c.address, "address", .type = CFG_SOCKADDR, .example = "\"127.0.0.1:9901\"",
		.doc = "kernel TCP address of the admin interface; without it, none"),
	KEY(raw_admin, c.access_log, "access_log", .type = CFG_PATH, .dflt = "",
		.example = "\"/var/log/tidegate/access.log\"",
		.doc = "file of the access log; \"-\" is standard output, \"\" none"),
	KEY(raw_admin, c.access_log_format, "access_log_format", .type = CFG_STRING,
		.example = "\"%START_TIME% %RESPONSE_CODE%\\n\"",
		.doc = "Envoy's operators; without it, Envoy's default format"),
	END};

static const struct cfg_key spiffe_keys[] = {
	KEY(raw_spiffe, socket, "socket", .type = CFG_STRING, .dflt = "",
		.example = "\"unix:///run/spire/agent.sock\"",
		.doc = "the SPIFFE Workload API; \"\" is what SPIFFE_ENDPOINT_SOCKET says"),
	END};

static const struct cfg_key port_keys[] = {
	KEY(raw_port, c.name, "name", .type = CFG_NAME, .flags = CFG_REQUIRED,
		.example = "\"north\"", .doc = "for messages and statistics"),
	KEY(raw_port, c.device, "device", .type = CFG_STRING,
		.example = "\"net_af_xdp0,iface=eth1\"",
		.doc = "DPDK device string; a port has either device or pci"),
	KEY(raw_port, pci, "pci", .type = CFG_STRING, .example = "\"0000:3b:00.0\"",
		.doc = "PCI address of a NIC that is bound to vfio-pci"),
	KEY(raw_port, addresses, "addresses", .type = CFG_PREFIXES,
		.flags = CFG_REQUIRED | CFG_NOT_EMPTY, .example = "[\"10.77.1.1/24\"]",
		.doc = "own addresses with the length of their network"),
	KEY(raw_port, c.mtu, "mtu", .type = CFG_U16, .min = 1280, .max = 9000, .dflt = "1500",
		.example = "1500", .doc = "largest IP packet in bytes"),
	KEY(raw_port, c.vlan, "vlan", .type = CFG_U16, .max = 4094, .dflt = "0", .example = "100",
		.doc = "the one tag of every frame; 0 is untagged"),
	KEY(raw_port, c.queues, "queues", .type = CFG_U32, .max = TG_MAX_WORKERS, .dflt = "0",
		.example = "1", .doc = "queue pairs; 0 is one a worker where the device can"),
	END};

static const struct cfg_key ip_route_keys[] = {
	KEY(raw_ip_route, destination, "destination", .type = CFG_PREFIX, .flags = CFG_REQUIRED,
		.example = "\"0.0.0.0/0\"", .doc = "network beyond the ports' own"),
	KEY(raw_ip_route, via, "via", .type = CFG_IP, .flags = CFG_REQUIRED,
		.example = "\"10.77.1.254\"", .doc = "next hop, in the network of a port"),
	END};

static const struct cfg_key listener_keys[] = {
	KEY(raw_listener, c.name, "name", .type = CFG_NAME, .flags = CFG_REQUIRED,
		.example = "\"web\"", .doc = "for messages, logs and statistics"),
	KEY(raw_listener, c.addr, "address", .type = CFG_SOCKADDR, .flags = CFG_REQUIRED,
		.example = "\"10.77.1.1:80\"",
		.doc = "an address of a port; 0.0.0.0 or [::] is every one of that family"),
	KEY(raw_listener, protocol, "protocol", .type = CFG_ENUM, .words = words_protocol,
		.refused_words = refused_protocol, .dflt = "http", .example = "\"http\"",
		.doc = "HTTP/1.1, or plain TCP to one cluster"),
	KEY(raw_listener, tls, "tls", .type = CFG_GROUP, .group = &cfg_listener_tls,
		.example = "{ certificate = \"server.crt\"; private_key = \"server.key\"; }",
		.doc = "TLS 1.3 with clients; without it, plain text"),
	KEY(raw_listener, filters, "filters", .type = CFG_FILTERS,
		.example = "( { name = \"rbac\"; policies: ( ... ); } )",
		.doc = "what connections and requests pass, in order (docs/filters.md)"),
	KEY(raw_listener, connlimit, "connection_rate_limit", .type = CFG_GROUP,
		.group = &cfg_connlimit,
		.example = "{ token_bucket: { max_tokens = 1000; tokens_per_fill = 500; "
			   "fill_interval = \"1s\"; }; }",
		.doc = "new connections, asked for at the SYN (docs/filters.md)"),
	KEY(raw_listener, virtual_hosts, "virtual_hosts", .type = CFG_NAMES,
		.flags = CFG_HTTP | CFG_NOT_EMPTY, .example = "[\"shop\"]",
		.doc = "names of virtual hosts served here (http)"),
	KEY(raw_listener, cluster, "cluster", .type = CFG_NAME, .flags = CFG_TCP,
		.example = "\"db\"", .doc = "cluster that connections go to (tcp)"),
	KEY(raw_listener, weighted, "weighted_clusters", .type = CFG_GROUPS,
		.flags = CFG_TCP | CFG_NOT_EMPTY, .group = &cfg_weighted_tcp,
		.example = "( { cluster = \"db\"; weight = 90; }, { cluster = \"db2\"; weight = "
			   "10; } )",
		.doc = "or one of several, by chance for each connection (tcp)"),
	KEY(raw_listener, hash, "hash_policy", .type = CFG_GROUPS, .flags = CFG_TCP,
		.group = &cfg_hash_tcp,
		.example = "( { connection_properties: { source_ip = true; }; } )",
		.doc = "a client's connections go to one endpoint, with ring_hash and maglev "
		       "(tcp)"),
	KEY(raw_listener, c.max_connect_attempts, "max_connect_attempts", .type = CFG_U32,
		.flags = CFG_TCP, .min = 1, .max = 100, .example = "3",
		.doc = "endpoints that are tried until one connects; without it, one (tcp)"),
	KEY(raw_listener, c.buffer_limit, "per_connection_buffer_limit_bytes", .type = CFG_SIZE32,
		.min = 16 * KIB, .max = 64 * MIB, .dflt = "256KiB", .example = "\"256KiB\"",
		.doc = "bytes of a client's connection that are held, each way"),
	KEY(raw_listener, c.idle_timeout, "idle_timeout", .type = CFG_DURATION, .max = YEAR,
		.dflt = "1h", .example = "\"1h\"",
		.doc = "ends a connection without a request (http) or byte (tcp); 0s is off"),
	KEY(raw_listener, c.stream_idle_timeout, "stream_idle_timeout", .type = CFG_DURATION,
		.flags = CFG_HTTP, .max = YEAR, .dflt = "5m", .example = "\"5m\"",
		.doc = "ends a request on which no byte moves; 0s is off"),
	KEY(raw_listener, c.request_timeout, "request_timeout", .type = CFG_DURATION,
		.flags = CFG_HTTP, .max = YEAR, .dflt = "0s", .example = "\"30s\"",
		.doc = "time for a whole request to arrive; 0s is off"),
	KEY(raw_listener, c.request_headers_timeout, "request_headers_timeout",
		.type = CFG_DURATION, .flags = CFG_HTTP, .max = YEAR, .dflt = "0s",
		.example = "\"10s\"", .doc = "time for a request's head to arrive; 0s is off"),
	KEY(raw_listener, c.max_connection_duration, "max_connection_duration",
		.type = CFG_DURATION, .max = YEAR, .dflt = "0s", .example = "\"24h\"",
		.doc = "longest life of a client's connection; 0s is off"),
	KEY(raw_listener, c.max_stream_duration, "max_stream_duration", .type = CFG_DURATION,
		.flags = CFG_HTTP, .max = YEAR, .dflt = "0s", .example = "\"1h\"",
		.doc = "longest time of a request and its response, tunnels too; 0s is off"),
	KEY(raw_listener, c.max_requests_per_connection, "max_requests_per_connection",
		.type = CFG_U32, .flags = CFG_HTTP, .max = 65535, .dflt = "0", .example = "1000",
		.doc = "then a client's connection is closed; 0 is no limit"),
	KEY(raw_listener, c.delayed_close_timeout, "delayed_close_timeout", .type = CFG_DURATION,
		.flags = CFG_HTTP, .max = YEAR, .dflt = "1s", .example = "\"1s\"",
		.doc = "time for the client to read a last response before the close; 0s is off"),
	KEY(raw_listener, max_headers_kb, "max_request_headers_kb", .type = CFG_U32,
		.flags = CFG_HTTP, .min = 1, .max = 64, .example = "60",
		.doc = "largest head of a request in KiB (60); beyond it 431"),
	KEY(raw_listener, c.limits.max_head, "max_request_headers_bytes", .type = CFG_SIZE32,
		.flags = CFG_HTTP, .min = KIB, .max = 64 * KIB, .dflt = "60KiB",
		.example = "\"60KiB\"", .doc = "the same in bytes; only one of both may be given"),
	KEY(raw_listener, c.limits.max_target, "max_request_target_bytes", .type = CFG_SIZE32,
		.flags = CFG_HTTP, .min = 64, .max = 64 * KIB, .dflt = "8KiB",
		.example = "\"8KiB\"", .doc = "longest request target; beyond it 414"),
	KEY(raw_listener, max_fields, "max_headers_count", .type = CFG_U32, .flags = CFG_HTTP,
		.min = 1, .max = 1000, .dflt = "100", .example = "100",
		.doc = "most fields of a request; beyond it 431"),
	KEY(raw_listener, c.use_remote_address, "use_remote_address", .type = CFG_BOOL,
		.flags = CFG_HTTP, .dflt = "true", .example = "true",
		.doc = "the client's address is appended to x-forwarded-for"),
	KEY(raw_listener, c.xff_num_trusted_hops, "xff_num_trusted_hops", .type = CFG_U32,
		.flags = CFG_HTTP, .max = 100, .dflt = "0", .example = "1",
		.doc = "proxies in front whose x-forwarded-for entries are believed"),
	KEY(raw_listener, c.generate_request_id, "generate_request_id", .type = CFG_BOOL,
		.flags = CFG_HTTP, .dflt = "true", .example = "true",
		.doc = "x-request-id is made for requests that have none"),
	KEY(raw_listener, c.preserve_external_request_id, "preserve_external_request_id",
		.type = CFG_BOOL, .flags = CFG_HTTP, .dflt = "false", .example = "false",
		.doc = "a client's own x-request-id is kept, also at the edge "
		       "(use_remote_address)"),
	KEY(raw_listener, xfcc, "forward_client_cert_details", .type = CFG_ENUM, .flags = CFG_HTTP,
		.words = words_xfcc, .dflt = "sanitize", .example = "\"sanitize_set\"",
		.doc = "what becomes of x-forwarded-client-cert: removed, set or passed on"),
	KEY(raw_listener, xfcc_set, "set_current_client_cert_details", .type = CFG_GROUP,
		.flags = CFG_HTTP, .group = &cfg_xfcc_set, .example = "{ uri = true; }",
		.doc = "what is said there of the client's certificate besides its hash"),
	EDIT_KEYS_WITH(raw_listener, CFG_HTTP | CFG_TOLD),
	KEY(raw_listener, c.server_name, "server_name", .type = CFG_NAME, .flags = CFG_HTTP,
		.max = 128, .dflt = "tidegate", .example = "\"tidegate\"",
		.doc = "value of the server field"),
	END};

static const struct cfg_key xfcc_set_keys[] = {
	KEY(raw_xfcc_set, subject, "subject", .type = CFG_BOOL, .dflt = "false", .example = "true",
		.doc = "its subject (RFC 2253)"),
	KEY(raw_xfcc_set, cert, "cert", .type = CFG_BOOL, .dflt = "false", .example = "true",
		.doc = "the certificate itself, PEM in URL encoding"),
	KEY(raw_xfcc_set, dns, "dns", .type = CFG_BOOL, .dflt = "false", .example = "true",
		.doc = "its first DNS name"),
	KEY(raw_xfcc_set, uri, "uri", .type = CFG_BOOL, .dflt = "false", .example = "true",
		.doc = "its first URI, the SPIFFE ID of an SVID"),
	END};

static const struct cfg_key header_keys[] = {
	KEY(raw_header, name, "name", .type = CFG_NAME, .max = 128, .flags = CFG_REQUIRED,
		.example = "\"x-beta-group\"", .doc = "field name, or :method or :authority"),
	KEY(raw_header, v.exact, "exact", .type = CFG_STRING, .example = "\"true\"",
		.doc = "the value is this"),
	KEY(raw_header, v.prefix, "prefix", .type = CFG_STRING, .example = "\"v2.\"",
		.doc = "the value begins with this"),
	KEY(raw_header, v.suffix, "suffix", .type = CFG_STRING, .example = "\".internal\"",
		.doc = "the value ends with this"),
	KEY(raw_header, v.contains, "contains", .type = CFG_STRING, .example = "\"Mobile\"",
		.doc = "the value has this in it"),
	KEY(raw_header, present, "present", .type = CFG_BOOL, .example = "true",
		.doc = "the field is there (true), or is not (false)"),
	KEY(raw_header, invert, "invert_match", .type = CFG_BOOL, .dflt = "false",
		.example = "true",
		.doc = "turns the result round; a missing field has no value to turn"),
	END};

static const struct cfg_key backoff_keys[] = {
	KEY(raw_backoff, base, "base_interval", .type = CFG_DURATION, .min = 1000,
		.max = 3600 * SEC, .dflt = "25ms", .example = "\"25ms\"",
		.doc = "a first retry waits for less than this, a second for less than three times "
		       "as long, then seven ..."),
	KEY(raw_backoff, max, "max_interval", .type = CFG_DURATION, .min = 1000, .max = 3600 * SEC,
		.example = "\"250ms\"",
		.doc = "none waits for longer; without it, ten times base_interval"),
	END};

static const struct cfg_key hash_header_keys[] = {
	KEY(raw_hash_header, name, "header_name", .type = CFG_NAME, .max = 128,
		.flags = CFG_REQUIRED, .example = "\"x-user\"", .doc = "of the request"),
	END};

static const struct cfg_key hash_query_keys[] = {
	KEY(raw_hash_header, name, "name", .type = CFG_NAME, .max = 128, .flags = CFG_REQUIRED,
		.example = "\"user\"", .doc = "of the parameter"),
	END};

static const struct cfg_key hash_cookie_keys[] = {
	KEY(raw_hash_cookie, name, "name", .type = CFG_NAME, .max = 128, .flags = CFG_REQUIRED,
		.example = "\"stick\"", .doc = "of the cookie"),
	KEY(raw_hash_cookie, ttl, "ttl", .type = CFG_DURATION, .max = YEAR, .example = "\"1h\"",
		.doc = "a client that has none is given one for so long; 0s is until it ends"),
	KEY(raw_hash_cookie, path, "path", .type = CFG_NAME, .max = 256, .example = "\"/\"",
		.doc = "for which it is given"),
	END};

static const struct cfg_key hash_conn_keys[] = {
	KEY(raw_hash_conn, source_ip, "source_ip", .type = CFG_BOOL, .dflt = "false",
		.example = "true", .doc = "the client's address"),
	END};

static const struct cfg_key hash_keys[] = {
	KEY(raw_hash, header, "header", .type = CFG_GROUP, .group = &cfg_hash_header,
		.example = "{ header_name = \"x-user\"; }", .doc = "a field of the request"),
	KEY(raw_hash, cookie, "cookie", .type = CFG_GROUP, .group = &cfg_hash_cookie,
		.example = "{ name = \"stick\"; ttl = \"1h\"; path = \"/\"; }", .doc = "a cookie"),
	KEY(raw_hash, conn, "connection_properties", .type = CFG_GROUP, .group = &cfg_hash_conn,
		.example = "{ source_ip = true; }", .doc = "where the request comes from"),
	KEY(raw_hash, query, "query_parameter", .type = CFG_GROUP, .group = &cfg_hash_query,
		.example = "{ name = \"user\"; }", .doc = "a parameter of the query"),
	KEY(raw_hash, terminal, "terminal", .type = CFG_BOOL, .dflt = "false", .example = "true",
		.doc = "if there is a hash by now, what stands behind does not matter"),
	END};

static const struct cfg_key hash_tcp_keys[] = {
	KEY(raw_hash, conn, "connection_properties", .type = CFG_GROUP, .group = &cfg_hash_conn,
		.flags = CFG_REQUIRED, .example = "{ source_ip = true; }",
		.doc = "where the connection comes from"),
	END};

static const char *const words_reset[] = {"SECONDS", "UNIX_TIMESTAMP", NULL};

static const struct cfg_key reset_keys[] = {
	KEY(raw_reset, name, "name", .type = CFG_NAME, .max = 128, .flags = CFG_REQUIRED,
		.example = "\"retry-after\"", .doc = "a field of the response"),
	KEY(raw_reset, format, "format", .type = CFG_ENUM, .words = words_reset, .dflt = "SECONDS",
		.example = "\"SECONDS\"", .doc = "seconds from now, or since 1970"),
	END};

static const struct cfg_refused no_refused[] = {{NULL}};
static const struct cfg_group reset_group = {
	"reset header", sizeof(struct raw_reset), reset_keys, no_refused};

static const struct cfg_key limited_keys[] = {
	KEY(raw_limited_backoff, resets, "reset_headers", .type = CFG_GROUPS,
		.flags = CFG_REQUIRED | CFG_NOT_EMPTY, .group = &reset_group,
		.example = "( { name = \"retry-after\"; format = \"SECONDS\"; } )",
		.doc = "where it may stand; the first that is a number counts"),
	KEY(raw_limited_backoff, max, "max_interval", .type = CFG_DURATION, .min = SEC, .max = YEAR,
		.dflt = "300s", .example = "\"300s\"", .doc = "a longer one is not believed"),
	END};
static const struct cfg_group limited_group = {"rate_limited_retry_back_off",
	sizeof(struct raw_limited_backoff), limited_keys, no_refused};

static const struct cfg_key hedge_keys[] = {
	KEY(raw_hedge, on_timeout, "hedge_on_per_try_timeout", .type = CFG_BOOL, .dflt = "false",
		.example = "true",
		.doc = "a try that meets its per_try_timeout goes on while the next one begins; "
		       "the "
		       "first good answer wins"),
	END};

static const struct cfg_key retry_keys[] = {
	KEY(raw_retry, retry_on, "retry_on", .type = CFG_NAME, .max = 256, .flags = CFG_REQUIRED,
		.example = "\"5xx,reset\"",
		.doc = "when: 5xx, gateway-error, reset, reset-before-request, connect-failure, "
		       "envoy-ratelimited, retriable-4xx, retriable-status-codes, "
		       "retriable-headers; by grpc-status cancelled, deadline-exceeded, internal, "
		       "resource-exhausted, unavailable; several with commas"),
	KEY(raw_retry, num_retries, "num_retries", .type = CFG_U32, .max = 100, .dflt = "1",
		.example = "2", .doc = "how often"),
	KEY(raw_retry, per_try_timeout, "per_try_timeout", .type = CFG_DURATION, .max = YEAR,
		.dflt = "0s", .example = "\"800us\"",
		.doc = "from the whole request and a connection to a response's head; 0s is off"),
	KEY(raw_retry, per_try_idle_timeout, "per_try_idle_timeout", .type = CFG_DURATION,
		.max = YEAR, .dflt = "0s", .example = "\"500ms\"",
		.doc = "ends a try on which no byte moves, in its response too; 0s is off"),
	KEY(raw_retry, statuses, "retriable_status_codes", .type = CFG_UINTS, .min = 100,
		.max = 599, .example = "[425, 503]", .doc = "those of retriable-status-codes"),
	KEY(raw_retry, headers, "retriable_headers", .type = CFG_GROUPS, .group = &cfg_header,
		.flags = CFG_TOLD, .example = "( { name = \"x-try-again\"; present = true; } )",
		.doc = "those of retriable-headers, in the response: any of them"),
	KEY(raw_retry, backoff, "retry_back_off", .type = CFG_GROUP, .group = &cfg_backoff,
		.example = "{ base_interval = \"25ms\"; }",
		.doc = "how long a retry waits: at random, longer each time"),
	KEY(raw_retry, limited, "rate_limited_retry_back_off", .type = CFG_GROUP,
		.group = &limited_group,
		.example =
			"{ reset_headers: ( { name = \"retry-after\"; format = \"SECONDS\"; } ); }",
		.doc = "the wait that a response asks for, and up to half of it more by chance"),
	KEY(raw_retry, host_predicates, "retry_host_predicate", .type = CFG_NAMES,
		.example = "[\"previous_hosts\"]",
		.doc = "hosts that a retry avoids; previous_hosts without this key, [] for none"),
	KEY(raw_retry, host_attempts, "host_selection_retry_max_attempts", .type = CFG_U32,
		.max = 100, .dflt = "1", .example = "3",
		.doc = "how often another host is looked for"),
	END};

static const struct cfg_key action_keys[] = {
	KEY(raw_action, cluster, "cluster", .type = CFG_NAME, .example = "\"v1\"",
		.doc = "where the request goes"),
	KEY(raw_action, cluster_header, "cluster_header", .type = CFG_NAME, .max = 128,
		.example = "\"x-cluster\"", .doc = "the request's field that names the cluster"),
	KEY(raw_action, weighted, "weighted_clusters", .type = CFG_GROUPS, .flags = CFG_NOT_EMPTY,
		.group = &cfg_weighted,
		.example = "( { cluster = \"v1\"; weight = 90; }, { cluster = \"v2\"; weight = 10; "
			   "} )",
		.doc = "one of these, by chance for each request"),
	KEY(raw_action, total_weight, "total_weight", .type = CFG_U32, .min = 1, .max = UINT32_MAX,
		.example = "100", .doc = "must be the sum of the weights, where it is given"),
	KEY(raw_action, not_found, "cluster_not_found_response_code", .type = CFG_U32, .min = 400,
		.max = 599, .dflt = "503", .example = "404",
		.doc = "status where there is no cluster of that name (cluster_header)"),
	KEY(raw_action, prefix, "prefix_rewrite", .type = CFG_STRING, .example = "\"/v2\"",
		.doc = "this in the place of what the route matched of the path"),
	KEY(raw_action, path, "regex_rewrite", .type = CFG_GROUP, .group = &cfg_regex_rewrite,
		.example = "{ pattern = \"^/a\"; substitution = \"/b\"; }",
		.doc = "the path with every match replaced"),
	KEY(raw_action, host, "host_rewrite_literal", .type = CFG_NAME, .max = 260,
		.example = "\"shop.internal\"", .doc = "the host that the origin sees"),
	KEY(raw_action, host_field, "host_rewrite_header", .type = CFG_NAME, .max = 128,
		.example = "\"x-host\"", .doc = "a field that has it"),
	KEY(raw_action, host_path, "host_rewrite_path_regex", .type = CFG_GROUP,
		.group = &cfg_regex_rewrite,
		.example = "{ pattern = \"^/([^/]+)/.*$\"; substitution = \"\\\\1.internal\"; }",
		.doc = "it is made of the path"),
	KEY(raw_action, append_x_forwarded_host, "append_x_forwarded_host", .type = CFG_BOOL,
		.dflt = "false", .example = "true",
		.doc = "the host before it was rewritten goes to x-forwarded-host"),
	KEY(raw_action, mirrors, "request_mirror_policies", .type = CFG_GROUPS,
		.group = &cfg_mirror, .example = "( { cluster = \"v2\"; } )",
		.doc = "clusters that get a copy, without waiting for them"),
	KEY(raw_action, timeout, "timeout", .type = CFG_DURATION, .max = YEAR, .dflt = "15s",
		.example = "\"15s\"",
		.doc = "from the whole request received to the whole response; 0s is off"),
	KEY(raw_action, idle_timeout, "idle_timeout", .type = CFG_DURATION, .max = YEAR,
		.example = "\"5m\"",
		.doc = "instead of the listener's stream_idle_timeout; 0s is off"),
	KEY(raw_action, retry, "retry_policy", .type = CFG_GROUP, .group = &cfg_retry,
		.example = "{ retry_on = \"5xx\"; num_retries = 2; }",
		.doc = "when a request is sent again; in place of the virtual host's"),
	KEY(raw_action, hedge, "hedge_policy", .type = CFG_GROUP, .group = &cfg_hedge,
		.example = "{ hedge_on_per_try_timeout = true; }",
		.doc = "two tries at once; in place of the virtual host's"),
	KEY(raw_action, hash, "hash_policy", .type = CFG_GROUPS, .group = &cfg_hash,
		.example = "( { cookie: { name = \"stick\"; ttl = \"1h\"; }; } )",
		.doc = "what of a request decides where it goes, with ring_hash and maglev"),
	KEY(raw_action, priority, "priority", .type = CFG_ENUM, .words = words_priority,
		.dflt = "DEFAULT", .example = "\"HIGH\"",
		.doc = "which of the cluster's circuit breakers counts the request"),
	END};

static const struct cfg_key route_keys[] = {
	KEY(raw_route, name, "name", .type = CFG_NAME, .max = 128, .example = "\"canary\"",
		.doc = "for the access log"),
	KEY(raw_route, match, "match", .type = CFG_GROUP, .flags = CFG_REQUIRED,
		.group = &cfg_match, .example = "{ prefix = \"/\"; }",
		.doc = "which requests; the first route that matches is taken"),
	KEY(raw_route, filters, "filters", .type = CFG_FILTERS,
		.example = "( { name = \"rbac\"; disabled = true; } )",
		.doc = "in place of filters with the same name and id, or behind the others"),
	KEY(raw_route, buffer_limit, "per_request_buffer_limit_bytes", .type = CFG_SIZE32,
		.max = 64 * KIB, .dflt = "64KiB", .example = "\"16KiB\"",
		.doc = "in place of the virtual host's"),
	KEY(raw_route, action, "route", .type = CFG_GROUP, .group = &cfg_action,
		.example = "{ cluster = \"v1\"; }", .doc = "which cluster they go to, and how"),
	KEY(raw_route, redirect, "redirect", .type = CFG_GROUP, .group = &cfg_redirect,
		.example = "{ https_redirect = true; }", .doc = "or elsewhere, by a redirect"),
	KEY(raw_route, direct, "direct_response", .type = CFG_GROUP, .group = &cfg_direct,
		.example = "{ status = 403; }", .doc = "or an answer of Tidegate's own"),
	EDIT_KEYS_WITH(raw_route, 0), END};

static const struct cfg_key vhost_keys[] = {
	KEY(raw_vhost, name, "name", .type = CFG_NAME, .flags = CFG_REQUIRED, .example = "\"shop\"",
		.doc = "for listeners to refer to"),
	KEY(raw_vhost, domains, "domains", .type = CFG_NAMES, .max = 255,
		.flags = CFG_REQUIRED | CFG_NOT_EMPTY,
		.example = "[\"shop.example\", \"*.shop.example\", \"*\"]",
		.doc = "hosts, without port: exact, then the longest *.suffix, then *"),
	KEY(raw_vhost, filters, "filters", .type = CFG_FILTERS,
		.example = "( { name = \"rbac\"; policies: ( ... ); } )",
		.doc = "in place of the listener's with the same name and id, or behind them"),
	KEY(raw_vhost, retry, "retry_policy", .type = CFG_GROUP, .group = &cfg_retry,
		.flags = CFG_TOLD, .example = "{ retry_on = \"5xx\"; num_retries = 2; }",
		.doc = "of all routes that have none of their own"),
	KEY(raw_vhost, hedge, "hedge_policy", .type = CFG_GROUP, .group = &cfg_hedge,
		.flags = CFG_TOLD, .example = "{ hedge_on_per_try_timeout = true; }",
		.doc = "of all routes that have none of their own"),
	KEY(raw_vhost, count_in_request, "include_request_attempt_count", .type = CFG_BOOL,
		.dflt = "false", .example = "true",
		.doc = "origins are told in x-envoy-attempt-count which try it is"),
	KEY(raw_vhost, count_in_response, "include_attempt_count_in_response", .type = CFG_BOOL,
		.dflt = "false", .example = "true",
		.doc = "clients are told there how many tries there were"),
	KEY(raw_vhost, buffer_limit, "per_request_buffer_limit_bytes", .type = CFG_SIZE32,
		.max = 64 * KIB, .dflt = "64KiB", .example = "\"16KiB\"",
		.doc = "of a request's body, kept for retries; a larger body is not sent again"),
	KEY(raw_vhost, require_tls, "require_tls", .type = CFG_ENUM, .words = words_require_tls,
		.dflt = "NONE", .example = "\"ALL\"",
		.doc = "which plain requests are redirected to https"),
	EDIT_KEYS(raw_vhost),
	KEY(raw_vhost, routes, "routes", .type = CFG_GROUPS, .flags = CFG_REQUIRED,
		.group = &cfg_route,
		.example = "( { match: { prefix = \"/\"; }; route: { cluster = \"v1\"; }; } )",
		.doc = "in order; a request that none matches is answered 404"),
	KEY(raw_vhost, mirrors, "request_mirror_policies", .type = CFG_GROUPS, .flags = CFG_TOLD,
		.group = &cfg_mirror, .example = "( { cluster = \"v2\"; } )",
		.doc = "clusters that get copies, for routes that have none of their own"),
	END};

static const struct cfg_key budget_keys[] = {
	KEY(raw_budget, percent, "budget_percent", .type = CFG_U32, .max = 100, .dflt = "20",
		.example = "20", .doc = "of the requests under way and waiting"),
	KEY(raw_budget, min_concurrency, "min_retry_concurrency", .type = CFG_U32,
		.max = 16 * 1024 * 1024, .dflt = "3", .example = "3",
		.doc = "so many retries at a time in any case"),
	END};

/* Of `circuit_breakers` itself, where they are those of DEFAULT, and of each of its thresholds. */
#define THRESHOLD_KEYS(s, of) \
	KEY(s, of max[TG_RES_CX], "max_connections", .type = CFG_U32, .min = 1, \
		.max = 16 * 1024 * 1024, .dflt = "1024", .example = "1024", \
		.doc = "connections to the cluster, all workers together"), \
		KEY(s, of max[TG_RES_PENDING], "max_pending_requests", .type = CFG_U32, .min = 1, \
			.max = 16 * 1024 * 1024, .dflt = "1024", .example = "1024", \
			.doc = "requests that wait for a connection"), \
		KEY(s, of max[TG_RES_RQ], "max_requests", .type = CFG_U32, .min = 1, \
			.max = 16 * 1024 * 1024, .dflt = "1024", .example = "1024", \
			.doc = "requests under way"), \
		KEY(s, of max[TG_RES_RETRY], "max_retries", .type = CFG_U32, \
			.max = 16 * 1024 * 1024, .dflt = "3", .example = "3", \
			.doc = "retries under way"), \
		KEY(s, of budget, "retry_budget", .type = CFG_GROUP, .group = &cfg_budget, \
			.example = "{ budget_percent = 20; }", \
			.doc = "a limit of retries that follows the load, in place of " \
			       "max_retries"), \
		KEY(s, of track_remaining, "track_remaining", .type = CFG_BOOL, .dflt = "false", \
			.example = "true", .doc = "statistics say how much is left")

static const struct cfg_key threshold_keys[] = {
	KEY(raw_threshold, priority, "priority", .type = CFG_ENUM, .words = words_priority,
		.dflt = "DEFAULT", .example = "\"HIGH\"",
		.doc = "of the routes whose requests are counted"),
	THRESHOLD_KEYS(raw_threshold, ), END};

static const struct cfg_key breaker_keys[] = {THRESHOLD_KEYS(raw_breakers, flat.),
	KEY(raw_breakers, thresholds, "thresholds", .type = CFG_GROUPS, .group = &cfg_threshold,
		.example = "( { priority = \"HIGH\"; max_requests = 64; } )",
		.doc = "the same by priority; what stands beside this list is DEFAULT's"),
	END};

static const struct cfg_key endpoint_keys[] = {
	KEY(raw_endpoint, at, "address", .type = CFG_ORIGIN, .flags = CFG_REQUIRED,
		.example = "\"10.77.2.2:8080\"",
		.doc = "IP address and port of an origin, or by the cluster's type a name and "
		       "port"),
	KEY(raw_endpoint, c.weight, "weight", .type = CFG_U32, .min = 1, .max = 65535, .dflt = "1",
		.example = "1", .doc = "its share of the cluster's requests"),
	KEY(raw_endpoint, c.priority, "priority", .type = CFG_U32, .max = TG_LB_LEVELS_MAX - 1,
		.dflt = "0", .example = "1",
		.doc = "0 is asked first; the others as far as its endpoints are not well"),
	KEY(raw_endpoint, locality, "locality", .type = CFG_GROUP, .flags = CFG_TOLD,
		.group = &cfg_locality, .example = "{ zone = \"eu-1a\"; }",
		.doc = "where it is; near, if that is the node's own in all parts"),
	END};

static const struct cfg_key slow_start_keys[] = {
	KEY(raw_slow_start, window, "slow_start_window", .type = CFG_DURATION,
		.flags = CFG_REQUIRED, .min = SEC / 1000, .max = YEAR, .example = "\"30s\"",
		.doc = "so long an endpoint that is new, or well again, gets less than its share"),
	KEY(raw_slow_start, aggression, "aggression", .type = CFG_FACTOR, .min = 100,
		.max = 1000000, .dflt = "1", .example = "2.0",
		.doc = "its weight is (time / window) ^ (1 / aggression) of what it will be"),
	KEY(raw_slow_start, least, "min_weight_percent", .type = CFG_PERCENT, .dflt = "10",
		.example = "10", .doc = "but not less than this of it"),
	END};

static const struct cfg_refused refused_slow_start[] = {{NULL}};
static const struct cfg_group cfg_slow_start = {
	"slow_start_config", sizeof(struct raw_slow_start), slow_start_keys, refused_slow_start};

static const struct cfg_key lb_turns_keys[] = {
	KEY(raw_lb_turns, slow, "slow_start_config", .type = CFG_GROUP, .group = &cfg_slow_start,
		.example = "{ slow_start_window = \"30s\"; }",
		.doc = "endpoints that are new get their share little by little"),
	END};

static const struct cfg_key common_lb_keys[] = {
	KEY(raw_common_lb, panic_threshold, "healthy_panic_threshold", .type = CFG_PERCENT,
		.dflt = "50", .example = "50",
		.doc = "where fewer endpoints of a priority are healthy, all are taken; 0: never"),
	KEY(raw_common_lb, zone, "zone_aware_lb_config", .type = CFG_GROUP,
		.group = &cfg_zone_aware, .example = "{ min_cluster_size = 6; }",
		.doc = "the own zone first"),
	KEY(raw_common_lb, weighted, "locality_weighted_lb_config", .type = CFG_GROUP,
		.group = &cfg_locality_weighted, .example = "{ }",
		.doc = "requests by weights of localities, which \"localities\" has"),
	END};

static const struct cfg_key lb_choice_keys[] = {
	KEY(raw_lb_choice, slow, "slow_start_config", .type = CFG_GROUP, .flags = CFG_TOLD,
		.group = &cfg_slow_start, .example = "{ slow_start_window = \"30s\"; }",
		.doc = "as of round_robin"),
	KEY(raw_lb_choice, choice_count, "choice_count", .type = CFG_U32, .min = 2, .max = 16,
		.dflt = "2", .example = "2", .doc = "endpoints that are drawn, to take the idlest"),
	END};

static const struct cfg_key lb_ring_keys[] = {
	KEY(raw_lb_ring, min, "minimum_ring_size", .type = CFG_U32, .min = 1,
		.max = 8 * 1024 * 1024, .dflt = "1024", .example = "1024",
		.doc = "points of the ring at least"),
	KEY(raw_lb_ring, max, "maximum_ring_size", .type = CFG_U32, .min = 1,
		.max = 8 * 1024 * 1024, .dflt = "8388608", .example = "8388608",
		.doc = "and at most, but for one an endpoint"),
	END};

static const struct cfg_key lb_maglev_keys[] = {
	KEY(raw_lb_maglev, table_size, "table_size", .type = CFG_U32, .min = 2, .max = 5000011,
		.dflt = "65537", .example = "65537", .doc = "entries; a prime"),
	END};

static const struct cfg_key cluster_keys[] = {
	KEY(raw_cluster, c.name, "name", .type = CFG_NAME, .flags = CFG_REQUIRED,
		.example = "\"v1\"", .doc = "for routes to refer to, and for statistics"),
	KEY(raw_cluster, type, "type", .type = CFG_ENUM, .words = words_type,
		.refused_words = refused_type, .dflt = "STATIC", .example = "\"STRICT_DNS\"",
		.doc = "what addresses of endpoints are: IP addresses, or names; STRICT_DNS: all "
		       "addresses of a name are endpoints, LOGICAL_DNS: the first is, for new "
		       "connections"),
	KEY(raw_cluster, dns.family, "dns_lookup_family", .type = CFG_ENUM,
		.words = words_dns_family, .dflt = "AUTO", .example = "\"V4_ONLY\"",
		.doc = "AUTO: IPv6, and where there is none, IPv4; V4_PREFERRED the other way; "
		       "ALL: both"),
	KEY(raw_cluster, dns.c.respect_ttl, "respect_dns_ttl", .type = CFG_BOOL, .dflt = "false",
		.example = "true", .doc = "names are looked up again when their TTL is over"),
	KEY(raw_cluster, dns.c.refresh, "dns_refresh_rate", .type = CFG_DURATION, .min = SEC / 1000,
		.max = YEAR, .dflt = "5s", .example = "\"5s\"",
		.doc = "else, or where the TTL is 0, so often"),
	KEY(raw_cluster, dns.c.min_refresh, "dns_min_refresh_rate", .type = CFG_DURATION,
		.min = SEC / 1000, .max = YEAR, .dflt = "5s", .example = "\"1s\"",
		.doc = "a shorter TTL counts as this"),
	KEY(raw_cluster, dns.failure, "dns_failure_refresh_rate", .type = CFG_GROUP,
		.group = &cfg_dns_failure, .example = "{ base_interval = \"2s\"; }",
		.doc = "how soon a failed lookup is repeated; without it as dns_refresh_rate"),
	KEY(raw_cluster, dns.resolvers, "dns_resolvers", .type = CFG_STRINGS,
		.flags = CFG_NOT_EMPTY, .example = "[\"10.0.0.53:53\"]",
		.doc = "servers to ask; without it, those of /etc/resolv.conf"),
	KEY(raw_cluster, dns.c.tcp, "use_tcp_for_dns_lookups", .type = CFG_BOOL, .dflt = "false",
		.example = "true", .doc = "servers are asked over TCP alone"),
	KEY(raw_cluster, dns.c.no_search, "no_default_search_domain", .type = CFG_BOOL,
		.dflt = "false", .example = "true",
		.doc = "the search domains of /etc/resolv.conf are not tried"),
	KEY(raw_cluster, dns.timeout, "dns_query_timeout", .type = CFG_DURATION, .min = SEC / 100,
		.max = 60 * SEC, .dflt = "2s", .example = "\"2s\"",
		.doc = "for a server to answer; doubled with each try"),
	KEY(raw_cluster, dns.c.tries, "dns_query_tries", .type = CFG_U32, .min = 1, .max = 10,
		.dflt = "3", .example = "3", .doc = "before a lookup has failed"),
	KEY(raw_cluster, lb_policy, "lb_policy", .type = CFG_ENUM, .words = words_lb,
		.refused_words = refused_lb, .dflt = "round_robin", .example = "\"round_robin\"",
		.doc = "how an endpoint is chosen"),
	KEY(raw_cluster, c.overprovisioning, "overprovisioning_factor", .type = CFG_U32, .min = 100,
		.max = 100000, .dflt = "140", .example = "140",
		.doc = "percent; so much more than its share a priority's healthy endpoints carry "
		       "before the next one is asked"),
	KEY(raw_cluster, common, "common_lb_config", .type = CFG_GROUP, .group = &cfg_common_lb,
		.example = "{ healthy_panic_threshold = 50; }", .doc = "of all policies"),
	KEY(raw_cluster, round_robin, "round_robin_lb_config", .type = CFG_GROUP,
		.group = &cfg_lb_turns,
		.example = "{ slow_start_config: { slow_start_window = \"30s\"; }; }",
		.doc = "of round_robin"),
	KEY(raw_cluster, least_request, "least_request_lb_config", .type = CFG_GROUP,
		.group = &cfg_lb_choice, .example = "{ choice_count = 3; }",
		.doc = "of least_request"),
	KEY(raw_cluster, ring, "ring_hash_lb_config", .type = CFG_GROUP, .group = &cfg_lb_ring,
		.example = "{ minimum_ring_size = 4096; }", .doc = "of ring_hash"),
	KEY(raw_cluster, maglev, "maglev_lb_config", .type = CFG_GROUP, .group = &cfg_lb_maglev,
		.example = "{ table_size = 65537; }", .doc = "of maglev"),
	KEY(raw_cluster, c.connect_timeout, "connect_timeout", .type = CFG_DURATION, .max = YEAR,
		.dflt = "5s", .example = "\"5s\"", .doc = "for a connection to open; 0s is off"),
	KEY(raw_cluster, c.idle_timeout, "idle_timeout", .type = CFG_DURATION, .max = YEAR,
		.dflt = "1h", .example = "\"1h\"",
		.doc = "closes a pooled connection that is not used; 0s is off"),
	KEY(raw_cluster, c.max_requests_per_connection, "max_requests_per_connection",
		.type = CFG_U32, .max = UINT32_MAX, .dflt = "0", .example = "1000",
		.doc = "then the connection is closed; 0 is no limit"),
	KEY(raw_cluster, c.max_connection_duration, "max_connection_duration", .type = CFG_DURATION,
		.max = YEAR, .dflt = "0s", .example = "\"1h\"",
		.doc = "then a connection is closed behind the response under way; 0s is off"),
	KEY(raw_cluster, c.buffer_limit, "per_connection_buffer_limit_bytes", .type = CFG_SIZE32,
		.min = 16 * KIB, .max = 64 * MIB, .dflt = "256KiB", .example = "\"256KiB\"",
		.doc = "bytes of an origin's connection that are held, each way"),
	KEY(raw_cluster, breakers, "circuit_breakers", .type = CFG_GROUP, .group = &cfg_breakers,
		.example = "{ max_requests = 1024; }",
		.doc = "limits beyond which requests are answered 503"),
	KEY(raw_cluster, tls, "tls", .type = CFG_GROUP, .group = &cfg_cluster_tls,
		.example = "{ ca = \"ca.crt\"; sni = \"shop.example\"; }",
		.doc = "TLS 1.3 with the origins; without it, plain text"),
	KEY(raw_cluster, checks, "health_checks", .type = CFG_GROUPS, .group = &cfg_check,
		.example = "( { timeout = \"1s\"; interval = \"5s\"; unhealthy_threshold = 2; "
			   "healthy_threshold = 2; http_health_check: { path = \"/\"; }; } )",
		.doc = "asks endpoints whether they are well; at most one"),
	KEY(raw_cluster, outlier, "outlier_detection", .type = CFG_GROUP, .group = &cfg_outlier,
		.example = "{ consecutive_5xx = 5; }",
		.doc = "ejects endpoints for what their answers are like, for a while"),
	KEY(raw_cluster, c.close_on_failure, "close_connections_on_host_health_failure",
		.type = CFG_BOOL, .dflt = "false", .example = "true",
		.doc = "connections to an endpoint end when active checks find it unhealthy"),
	KEY(raw_cluster, endpoints, "endpoints", .type = CFG_GROUPS,
		.flags = CFG_REQUIRED | CFG_NOT_EMPTY, .group = &cfg_endpoint,
		.example = "( { address = \"10.77.2.2:8080\"; } )", .doc = "the origins"),
	KEY(raw_cluster, localities, "localities", .type = CFG_GROUPS, .group = &cfg_zone_weight,
		.example = "( { locality: { zone = \"eu-1a\"; }; load_balancing_weight = 80; } )",
		.doc = "what localities of endpoints get: locality_weighted_lb_config"),
	END};

static const struct cfg_key root_keys[] = {
	KEY(raw_config, dataplane, "dataplane", .type = CFG_GROUP, .group = &cfg_dataplane,
		.example = "{ workers = 1; }", .doc = "the process; fixed at start"),
	KEY(raw_config, admin, "admin", .type = CFG_GROUP, .group = &cfg_admin,
		.example = "{ address = \"127.0.0.1:9901\"; }",
		.doc = "how the process is watched; fixed at start"),
	KEY(raw_config, spiffe, "spiffe", .type = CFG_GROUP, .group = &cfg_spiffe,
		.example = "{ socket = \"unix:///run/spire/agent.sock\"; }",
		.doc = "where SVIDs come from; fixed at start"),
	KEY(raw_config, node, "node", .type = CFG_GROUP, .group = &cfg_node,
		.example = "{ locality: { zone = \"eu-1a\"; }; }", .doc = "this process"),
	KEY(raw_config, manager, "cluster_manager", .type = CFG_GROUP,
		.group = &cfg_cluster_manager, .example = "{ local_cluster_name = \"gateways\"; }",
		.doc = "what is said of all clusters"),
	KEY(raw_config, service, "rate_limit_service", .type = CFG_GROUP,
		.group = &cfg_rate_limit_service, .example = "{ address = \"10.0.0.5:6379\"; }",
		.doc = "the Redis that counts for the filter \"ratelimit\""),
	KEY(raw_config, overload, "overload_manager", .type = CFG_GROUP, .group = &cfg_overload,
		.example = "{ resource_monitors: ( ... ); actions: ( ... ); }",
		.doc = "what each worker gives up when it has too much to do"),
	KEY(raw_config, ports, "ports", .type = CFG_GROUPS, .flags = CFG_REQUIRED | CFG_NOT_EMPTY,
		.group = &cfg_ports,
		.example = "( { name = \"north\"; device = \"...\"; addresses = "
			   "[\"10.77.1.1/24\"]; } )",
		.doc = "network devices; fixed at start"),
	KEY(raw_config, ip_routes, "ip_routes", .type = CFG_GROUPS, .group = &cfg_ip_routes,
		.example = "( { destination = \"0.0.0.0/0\"; via = \"10.77.1.254\"; } )",
		.doc = "networks behind routers; fixed at start"),
	KEY(raw_config, listeners, "listeners", .type = CFG_GROUPS, .group = &cfg_listeners,
		.example = "( { name = \"web\"; address = \"10.77.1.1:80\"; } )",
		.doc = "where clients connect"),
	KEY(raw_config, virtual_hosts, "virtual_hosts", .type = CFG_GROUPS,
		.group = &cfg_virtual_hosts, .example = "( { name = \"shop\"; } )",
		.doc = "which requests go where"),
	KEY(raw_config, clusters, "clusters", .type = CFG_GROUPS, .group = &cfg_clusters,
		.example = "( { name = \"v1\"; } )", .doc = "groups of origins"),
	END};

/* Known from Envoy or announced by Tidegate's design; refused by name, never passed over. */
static const struct cfg_refused refused_root[] = {{"static_resources"}, {"dynamic_resources"},
	{"secrets"}, {"tracing"}, {"stats_sinks"}, {"stats_config"}, {"layered_runtime"},
	{"runtime"}, {"filters"}, {"tls"}, {NULL}};
static const struct cfg_refused refused_dataplane[] = {{"numa"}, {"hugepages"}, {NULL}};
static const struct cfg_refused refused_admin[] = {
	{"tls"}, {"profile_path"}, {"access_log_json"}, {NULL}};
static const struct cfg_refused refused_spiffe[] = {{NULL}};
static const struct cfg_refused refused_port[] = {
	{"filters"}, {"acl"}, {"gateway"}, {"dhcp"}, {"bond"}, {NULL}};
static const struct cfg_refused refused_listener[] = {{"filter_chains"}, {"listener_filters"},
	{"access_log"}, {"stat_prefix"}, {"codec_type"}, {"normalize_path"}, {"merge_slashes"},
	{"path_with_escaped_slashes_action"}, {"drain_timeout"}, {"http2_protocol_options"},
	{"http_protocol_options"}, {"upgrade_configs"}, {"connection_balance_config"},
	{"tcp_backlog_size"}, {"max_connections"}, {"proxy_protocol"}, {"skip_xff_append"}, {"via"},
	{"tracing"}, {"rate_limits"}, {"local_reply_config"}, {"server_header_transformation"},
	{"internal_address_config"}, {"route_config", "virtual_hosts"}, {"rds", "virtual_hosts"},
	{NULL}};
static const struct cfg_refused refused_vhost[] = {
	{"rate_limits"}, {"cors"}, {"typed_per_filter_config"}, {"virtual_clusters"}, {NULL}};
static const struct cfg_refused refused_route[] = {{"decorator"}, {"tracing"},
	{"typed_per_filter_config"}, {"metadata"}, {"action", "route"},
	{"non_forwarding_action", "route"}, {NULL}};
static const struct cfg_refused refused_header[] = {{"safe_regex", "exact"}, {"regex", "exact"},
	{"range", "exact"}, {"string_match", "exact"}, {"exact_match", "exact"},
	{"prefix_match", "exact"}, {"suffix_match", "exact"}, {"contains_match", "exact"},
	{"present_match", "exact"}, {"range_match", "exact"}, {"safe_regex_match", "exact"},
	{"ignore_case"}, {"treat_missing_header_as_empty"}, {NULL}};
static const struct cfg_refused refused_action[] = {{"path_rewrite"}, {"host_rewrite"},
	{"auto_host_rewrite"}, {"rate_limits"}, {"max_stream_duration"}, {"upgrade_configs"},
	{"cors"}, {"internal_redirect_policy"}, {"metadata_match"}, {"early_data_policy"},
	{"max_grpc_timeout"}, {"grpc_timeout_offset"}, {NULL}};
static const struct cfg_refused refused_cluster[] = {{"transport_socket"}, {"filters"},
	{"load_assignment", "endpoints"}, {"dns_jitter"}, {"typed_dns_resolver_config"},
	{"wait_for_warm_on_init"}, {"http2_protocol_options"}, {"http_protocol_options"},
	{"protocol"}, {"lb_subset_config"},

	{"slow_start_config"}, {"load_balancing_policy"}, {"upstream_bind_config"},
	{"upstream_connection_options"}, {"tcp_keepalive"}, {"preconnect_policy"},
	{"cleanup_interval"}, {"track_cluster_stats"}, {"alt_stat_name"},
	{"eds_cluster_config", "endpoints"}, {"connection_pool_per_downstream_connection"},
	{"ignore_health_on_host_removal"}, {NULL}};
static const struct cfg_refused refused_breakers[] = {
	{"max_connection_pools"}, {"priority"}, {"per_host_thresholds"}, {NULL}};
static const struct cfg_refused refused_threshold[] = {{"max_connection_pools"}, {NULL}};
static const struct cfg_refused refused_endpoint[] = {{"zone"}, {"hostname"}, {"health_status"},
	{"health_check_config"}, {"metadata"}, {"load_balancing_weight"}, {"additional_addresses"},
	{NULL}};
static const struct cfg_refused refused_retry[] = {
	{"retriable_request_headers"}, {"retry_priority"}, {"retry_options_predicates"}, {NULL}};
static const struct cfg_refused refused_none[] = {{NULL}};

const struct cfg_group cfg_dataplane = {
	"dataplane", sizeof(struct raw_dataplane), dataplane_keys, refused_dataplane};
const struct cfg_group cfg_admin = {"admin", sizeof(struct raw_admin), admin_keys, refused_admin};
const struct cfg_group cfg_spiffe = {
	"spiffe", sizeof(struct raw_spiffe), spiffe_keys, refused_spiffe};
const struct cfg_group cfg_ports = {"port", sizeof(struct raw_port), port_keys, refused_port};
const struct cfg_group cfg_ip_routes = {
	"ip_route", sizeof(struct raw_ip_route), ip_route_keys, refused_none};
const struct cfg_group cfg_listeners = {
	"listener", sizeof(struct raw_listener), listener_keys, refused_listener};
static const struct cfg_refused refused_xfcc_set[] = {{"chain"}, {NULL}};
const struct cfg_group cfg_xfcc_set = {"set_current_client_cert_details",
	sizeof(struct raw_xfcc_set), xfcc_set_keys, refused_xfcc_set};
const struct cfg_group cfg_header = {
	"header match", sizeof(struct raw_header), header_keys, refused_header};
static const struct cfg_refused refused_hash[] = {{"filter_state", "header"}, {NULL}};
static const struct cfg_refused refused_hash_header[] = {{"regex_rewrite"}, {NULL}};
static const struct cfg_refused refused_hash_cookie[] = {{"attributes"}, {NULL}};
const struct cfg_group cfg_hash = {"hash_policy", sizeof(struct raw_hash), hash_keys, refused_hash};
static const struct cfg_refused refused_hash_tcp[] = {{"filter_state", "connection_properties"},
	{"header", "connection_properties"}, {"cookie", "connection_properties"},
	{"query_parameter", "connection_properties"}, {NULL}};
const struct cfg_group cfg_hash_tcp = {
	"hash_policy", sizeof(struct raw_hash), hash_tcp_keys, refused_hash_tcp};
const struct cfg_group cfg_hash_header = {
	"header", sizeof(struct raw_hash_header), hash_header_keys, refused_hash_header};
const struct cfg_group cfg_hash_query = {
	"query_parameter", sizeof(struct raw_hash_header), hash_query_keys, refused_none};
const struct cfg_group cfg_hash_cookie = {
	"cookie", sizeof(struct raw_hash_cookie), hash_cookie_keys, refused_hash_cookie};
const struct cfg_group cfg_hash_conn = {
	"connection_properties", sizeof(struct raw_hash_conn), hash_conn_keys, refused_none};
static const struct cfg_refused refused_lb_choice[] = {
	{"active_request_bias"}, {"locality_lb_config"}, {NULL}};
static const struct cfg_refused refused_lb_turns[] = {{"locality_lb_config"}, {NULL}};
const struct cfg_group cfg_lb_turns = {
	"round_robin_lb_config", sizeof(struct raw_lb_turns), lb_turns_keys, refused_lb_turns};
static const struct cfg_refused refused_common_lb[] = {{"update_merge_window"},
	{"ignore_new_hosts_until_first_hc"}, {"close_connections_on_host_set_change"},
	{"consistent_hashing_lb_config"}, {"override_host_status"}, {NULL}};
const struct cfg_group cfg_common_lb = {
	"common_lb_config", sizeof(struct raw_common_lb), common_lb_keys, refused_common_lb};
static const struct cfg_refused refused_lb_ring[] = {{"hash_function"}, {NULL}};
const struct cfg_group cfg_lb_choice = {
	"least_request_lb_config", sizeof(struct raw_lb_choice), lb_choice_keys, refused_lb_choice};
const struct cfg_group cfg_lb_ring = {
	"ring_hash_lb_config", sizeof(struct raw_lb_ring), lb_ring_keys, refused_lb_ring};
const struct cfg_group cfg_lb_maglev = {
	"maglev_lb_config", sizeof(struct raw_lb_maglev), lb_maglev_keys, refused_none};
const struct cfg_group cfg_retry = {
	"retry_policy", sizeof(struct raw_retry), retry_keys, refused_retry};
const struct cfg_group cfg_backoff = {
	"retry_back_off", sizeof(struct raw_backoff), backoff_keys, refused_none};
static const struct cfg_refused refused_hedge[] = {
	{"initial_requests"}, {"additional_request_chance"}, {NULL}};
const struct cfg_group cfg_hedge = {
	"hedge_policy", sizeof(struct raw_hedge), hedge_keys, refused_hedge};
const struct cfg_group cfg_action = {
	"route action", sizeof(struct raw_action), action_keys, refused_action};
const struct cfg_group cfg_route = {"route", sizeof(struct raw_route), route_keys, refused_route};
const struct cfg_group cfg_virtual_hosts = {
	"virtual host", sizeof(struct raw_vhost), vhost_keys, refused_vhost};
const struct cfg_group cfg_breakers = {
	"circuit_breakers", sizeof(struct raw_breakers), breaker_keys, refused_breakers};
const struct cfg_group cfg_threshold = {
	"threshold", sizeof(struct raw_threshold), threshold_keys, refused_threshold};
const struct cfg_group cfg_budget = {
	"retry_budget", sizeof(struct raw_budget), budget_keys, refused_none};
const struct cfg_group cfg_endpoint = {
	"endpoint", sizeof(struct raw_endpoint), endpoint_keys, refused_endpoint};
const struct cfg_group cfg_clusters = {
	"cluster", sizeof(struct raw_cluster), cluster_keys, refused_cluster};
const struct cfg_group cfg_root = {
	"configuration", sizeof(struct raw_config), root_keys, refused_root};
