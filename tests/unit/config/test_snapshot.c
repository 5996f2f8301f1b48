#include <stdlib.h>
#include <unistd.h>

#include "../tgtest.h"
#include "tests.h"

static const char full[] =
	"dataplane: { workers = 2; cpus = [3, 1]; idle = \"spin\"; eal = \"-v\"; user = \"nobody\";"
	"  max_connections = 5000; source_ports = [2000, 2999]; drain_time = \"30s\"; };\n"
	"admin: { socket = \"/run/x\"; address = \"127.0.0.1:9901\"; access_log = \"-\"; };\n"
	"ports: ( { name = \"a\"; device = \"d\"; addresses = [\"10.0.0.1/24\", \"fd00::1/64\"];"
	"  mtu = 9000; vlan = 5; queues = 2; },\n"
	"  { name = \"b\"; pci = \"0000:3b:00.0\"; addresses = [\"10.0.1.1/24\"]; } );\n"
	"ip_routes: ( { destination = \"0.0.0.0/0\"; via = \"10.0.0.254\"; } );\n"
	"listeners: (\n"
	"  { name = \"web\"; address = \"10.0.0.1:80\"; virtual_hosts = [\"shop\"];"
	"    idle_timeout = \"1m\"; stream_idle_timeout = \"2m\"; request_timeout = \"3m\";"
	"    request_headers_timeout = \"4m\"; max_connection_duration = \"5m\";"
	"    delayed_close_timeout = \"6m\"; max_request_headers_kb = 32; max_headers_count = 50;"
	"    max_request_target_bytes = 1000; use_remote_address = false;"
	"    xff_num_trusted_hops = 2; generate_request_id = false; server_name = \"x\";"
	"    per_connection_buffer_limit_bytes = \"128KiB\"; },\n"
	"  { name = \"web6\"; address = \"[::]:80\"; virtual_hosts = [\"shop\"]; },\n"
	"  { name = \"raw\"; address = \"10.0.0.1:81\"; protocol = \"tcp\"; cluster = \"two\"; } "
	");\n"
	"virtual_hosts: ( { name = \"shop\"; domains = [\"Shop.Example\", \"*\"]; routes: (\n"
	"  { name = \"beta\"; match: { prefix = \"/\"; headers: ("
	"      { name = \"X-Beta\"; exact = \"true\"; }, { name = \"y\"; present = false; },"
	"      { name = \"z\"; contains = \"q\"; invert_match = true; } ); };"
	"    route: { cluster = \"two\"; timeout = \"1s\"; idle_timeout = \"0s\"; "
	"      hedge_policy: { hedge_on_per_try_timeout = true; }; "
	"      priority = \"HIGH\"; hash_policy: ( { header: { header_name = \"x-u\"; }; terminal "
	"= true; }, "
	"        { cookie: { name = \"c\"; ttl = \"0s\"; path = \"/p\"; }; }, "
	"        { query_parameter: { name = \"q\"; }; }, "
	"        { connection_properties: { source_ip = true; }; } ); "
	"      retry_policy: { retry_on = \"reset,retriable-status-codes\"; num_retries = 3; "
	"        per_try_timeout = \"100us\"; retriable_status_codes = [409, 503]; "
	"        per_try_idle_timeout = \"1s\"; rate_limited_retry_back_off: { reset_headers: ( { "
	"          name = \"x-r\"; format = \"UNIX_TIMESTAMP\"; } ); }; "
	"        retry_back_off: { base_interval = \"10ms\"; }; retry_host_predicate = []; }; }; "
	"},\n"
	"  { match: { path = \"/one\"; }; route: { cluster = \"one\"; }; } ); } );\n"
	"clusters: (\n"
	"  { name = \"one\"; connect_timeout = \"1s\"; idle_timeout = \"2s\";"
	"    max_requests_per_connection = 7; per_connection_buffer_limit_bytes = 65536;"
	"    circuit_breakers: { max_connections = 9; max_pending_requests = 8; max_requests = 7; "
	"      thresholds: ( { priority = \"HIGH\"; max_requests = 5; track_remaining = true; "
	"        retry_budget: { min_retry_concurrency = 1; }; } ); };"
	"    endpoints: ( { address = \"10.0.0.2:80\"; weight = 3; }, { address = "
	"\"[fd00::2]:80\"; } ); },\n"
	"  { name = \"two\"; lb_policy = \"maglev\"; maglev_lb_config: { table_size = 7; };"
	"    endpoints: ( { address = \"10.0.0.3:80\"; } ); } );\n";

#define SEC UINT64_C(1000000000)

static struct tg_snapshot *parse_full(void)
{
	struct tg_snapshot *s = parse(full);

	if (!s)
		printf("%s", messages);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

static void check_listener(const struct tg_listener_conf *l)
{
	CU_ASSERT_EQUAL(l->idle_timeout, 60 * SEC);
	CU_ASSERT_EQUAL(l->stream_idle_timeout, 120 * SEC);
	CU_ASSERT_EQUAL(l->request_timeout, 180 * SEC);
	CU_ASSERT_EQUAL(l->request_headers_timeout, 240 * SEC);
	CU_ASSERT_EQUAL(l->max_connection_duration, 300 * SEC);
	CU_ASSERT_EQUAL(l->delayed_close_timeout, 360 * SEC);
	CU_ASSERT_EQUAL(l->limits.max_head, 32 * 1024);
	CU_ASSERT_EQUAL(l->limits.max_target, 1000);
	CU_ASSERT_EQUAL(l->limits.max_fields, 50);
	CU_ASSERT(!l->use_remote_address && !l->generate_request_id);
	CU_ASSERT_EQUAL(l->xff_num_trusted_hops, 2);
	CU_ASSERT_EQUAL(l->buffer_limit, 128 * 1024);
	CU_ASSERT_STRING_EQUAL(l->server_name, "x");
	CU_ASSERT_EQUAL(l->addr.port, 80);
	CU_ASSERT_PTR_NULL(l->cluster);
}

void snapshot_values(void)
{
	struct tg_snapshot *s = parse_full();

	CU_ASSERT_EQUAL(s->generation, 1);
	CU_ASSERT_STRING_EQUAL(s->source, full);
	CU_ASSERT(s->loaded_at > 1600000000 * SEC);
	CU_ASSERT_EQUAL((uintptr_t)s % 64, 0);
	CU_ASSERT_EQUAL(s->dataplane.workers, 2);
	CU_ASSERT(
		s->dataplane.n_cpus == 2 && s->dataplane.cpus[0] == 3 && s->dataplane.cpus[1] == 1);
	CU_ASSERT_EQUAL(s->dataplane.idle, TG_IDLE_SPIN);
	CU_ASSERT_EQUAL(s->dataplane.max_connections, 5000);
	CU_ASSERT(s->dataplane.port_first == 2000 && s->dataplane.port_last == 2999);
	CU_ASSERT_STRING_EQUAL(s->dataplane.user, "nobody");
	CU_ASSERT(s->admin.has_address && s->admin.address.port == 9901);
	CU_ASSERT_STRING_EQUAL(s->admin.access_log, "-");
	CU_ASSERT_EQUAL_FATAL(s->n_ports, 2);
	CU_ASSERT(s->ports[0].mtu == 9000 && s->ports[0].vlan == 5 && s->ports[0].queues == 2);
	CU_ASSERT(s->ports[0].n_addrs == 2 && s->ports[0].addrs[0].len == 120);
	CU_ASSERT_STRING_EQUAL(s->ports[1].device, "0000:3b:00.0");
	CU_ASSERT(s->n_ip_routes == 1 && s->ip_routes[0].destination.len == 96);
	CU_ASSERT_EQUAL_FATAL(s->n_listeners, 3);
	check_listener(&s->listeners[0]);
	CU_ASSERT_PTR_EQUAL(s->listeners[0].hosts, s->listeners[1].hosts);
	CU_ASSERT_EQUAL(s->listeners[2].protocol, TG_PROTOCOL_TCP);
	CU_ASSERT_PTR_EQUAL(s->listeners[2].cluster, &s->clusters[1]);
	CU_ASSERT_EQUAL(s->listeners[2].id, 2);
	CU_ASSERT_EQUAL_FATAL(s->n_clusters, 2);
	CU_ASSERT_EQUAL(s->n_endpoints, 3);
	CU_ASSERT_EQUAL(s->clusters[1].endpoints[0].id, 2);
	CU_ASSERT_STRING_EQUAL(s->clusters[0].endpoints[1].text, "[fd00::2]:80");
	CU_ASSERT_EQUAL(s->clusters[0].total_weight, 4);
	CU_ASSERT_EQUAL(s->clusters[0].connect_timeout, SEC);
	CU_ASSERT_EQUAL(s->clusters[0].idle_timeout, 2 * SEC);
	CU_ASSERT_EQUAL(s->clusters[0].max_requests_per_connection, 7);
	CU_ASSERT_EQUAL(s->clusters[0].buffer_limit, 65536);
	tg_snapshot_free(s);
}

void snapshot_defaults(void)
{
	struct tg_snapshot *s = parse_full();
	const struct tg_listener_conf *l = &s->listeners[1];
	const struct tg_cluster *c = &s->clusters[1];

	CU_ASSERT_EQUAL(l->protocol, TG_PROTOCOL_HTTP);
	CU_ASSERT_EQUAL(l->idle_timeout, 3600 * SEC);
	CU_ASSERT_EQUAL(l->stream_idle_timeout, 300 * SEC);
	CU_ASSERT(
		!l->request_timeout && !l->request_headers_timeout && !l->max_connection_duration);
	CU_ASSERT_EQUAL(l->delayed_close_timeout, SEC);
	CU_ASSERT_EQUAL(l->limits.max_head, TG_H1_LIMITS_DEFAULT.max_head);
	CU_ASSERT_EQUAL(l->limits.max_target, TG_H1_LIMITS_DEFAULT.max_target);
	CU_ASSERT_EQUAL(l->limits.max_fields, TG_H1_LIMITS_DEFAULT.max_fields);
	CU_ASSERT(l->use_remote_address && l->generate_request_id && !l->xff_num_trusted_hops);
	CU_ASSERT_EQUAL(l->buffer_limit, 256 * 1024);
	CU_ASSERT_STRING_EQUAL(l->server_name, "tidegate");
	CU_ASSERT_EQUAL(c->connect_timeout, 5 * SEC);
	CU_ASSERT_EQUAL(c->idle_timeout, 3600 * SEC);
	CU_ASSERT_EQUAL(c->max_requests_per_connection, 0);
	CU_ASSERT_EQUAL(c->thresholds[TG_PRIORITY_DEFAULT].max[TG_RES_RQ], 1024);
	CU_ASSERT_EQUAL(c->thresholds[TG_PRIORITY_HIGH].max[TG_RES_PENDING], 1024);
	CU_ASSERT_EQUAL(c->buffer_limit, 256 * 1024);
	CU_ASSERT_EQUAL(c->endpoints[0].weight, 1);
	CU_ASSERT_EQUAL(s->ports[1].mtu, 1500);
	CU_ASSERT_EQUAL(s->vhosts[0].routes[1].timeout, 15 * SEC);
	CU_ASSERT_EQUAL(s->vhosts[0].routes[1].idle_timeout, UINT64_MAX);
	tg_snapshot_free(s);
	s = parse("ports: ( { name = \"p\"; device = \"d\"; addresses = [\"10.0.0.1/24\"]; } );");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(s->dataplane.workers, 1);
	CU_ASSERT_EQUAL(s->dataplane.memory, UINT64_C(512) << 20);
	CU_ASSERT_EQUAL(s->dataplane.idle, TG_IDLE_ADAPTIVE);
	CU_ASSERT_EQUAL(s->dataplane.drain_time, 600 * SEC);
	CU_ASSERT_STRING_EQUAL(s->dataplane.eal, "");
	CU_ASSERT_STRING_EQUAL(s->admin.socket, "");
	CU_ASSERT_STRING_EQUAL(s->admin.access_log, "");
	CU_ASSERT_PTR_NULL(s->admin.access_log_format);
	CU_ASSERT(!s->admin.has_address && !s->n_listeners && !s->n_clusters && !s->n_vhosts);
	tg_snapshot_free(s);
}

void snapshot_routes(void)
{
	struct tg_snapshot *s = parse_full();
	struct tg_field f[] = {{TG_VIEW("x-beta"), TG_VIEW("true"), 0, false},
		{TG_VIEW("z"), TG_VIEW("p"), 0, false}, {TG_VIEW("y"), TG_VIEW(""), 0, false}};
	struct tg_msg m = {.path = TG_VIEW("/one"), .fields = f, .n_fields = 2};
	const struct tg_vhost *v;
	const struct tg_route *r;

	v = tg_host_find(s->listeners[0].hosts, TG_VIEW("SHOP.example:80"));
	CU_ASSERT_PTR_EQUAL_FATAL(v, &s->vhosts[0]);
	r = tg_route_find(v, &m, NULL);
	CU_ASSERT_PTR_EQUAL_FATAL(r, &v->routes[0]);
	CU_ASSERT_STRING_EQUAL(r->name, "beta");
	CU_ASSERT_PTR_EQUAL(r->cluster, &s->clusters[1]);
	CU_ASSERT(r->timeout == SEC && r->idle_timeout == 0);
	m.n_fields = 3; /* y is there */
	r = tg_route_find(v, &m, NULL);
	CU_ASSERT_PTR_EQUAL_FATAL(r, &v->routes[1]);
	CU_ASSERT_STRING_EQUAL(r->name, "");
	m.path = TG_VIEW("/one/");
	CU_ASSERT_PTR_NULL(tg_route_find(v, &m, NULL));
	tg_snapshot_free(s);
}

/* Each kind of predicate from its text to what it takes. */
void snapshot_matches(void)
{
	static const struct {
		const char *match;
		struct tg_view path, query, value; /* of the field x; .p NULL: it is not there */
		bool yes;
	} cases[] = {
		{"path_separated_prefix = \"/api\"", TG_VIEW("/api/x"), TG_VIEW_NONE, TG_VIEW_NONE,
			true},
		{"path_separated_prefix = \"/api\"", TG_VIEW("/apix"), TG_VIEW_NONE, TG_VIEW_NONE,
			false},
		{"prefix = \"/Api\"; case_sensitive = false", TG_VIEW("/aPI/x"), TG_VIEW_NONE,
			TG_VIEW_NONE, true},
		{"path = \"/Api\"; case_sensitive = false", TG_VIEW("/API"), TG_VIEW_NONE,
			TG_VIEW_NONE, true},
		{"path = \"/Api\"", TG_VIEW("/API"), TG_VIEW_NONE, TG_VIEW_NONE, false},
		{"safe_regex = \"/v[0-9]+\"", TG_VIEW("/v12"), TG_VIEW_NONE, TG_VIEW_NONE, true},
		{"safe_regex: { regex = \"/v[0-9]+\"; }", TG_VIEW("/v12/"), TG_VIEW_NONE,
			TG_VIEW_NONE, false},
/* Two expressions that end alike. */
#define TWO \
	"prefix = \"/\"; headers: ( { name = \"x\"; safe_regex = \"a[0-9]+\"; } ); " \
	"query_parameters: ( { name = \"q\"; safe_regex = \"bb[0-9]+\"; } )"
#define X(p) "prefix = \"/\"; headers: ( { name = \"x\"; " p " } )"
		{X("exact = \"A\"; ignore_case = true;"), TG_VIEW("/"), TG_VIEW_NONE, TG_VIEW("a"),
			true},
		{X("exact = \"A\";"), TG_VIEW("/"), TG_VIEW_NONE, TG_VIEW("a"), false},
		{X("suffix = \"b\"; invert_match = true;"), TG_VIEW("/"), TG_VIEW_NONE,
			TG_VIEW("a"), true},
		{X("safe_regex = \"a|b\";"), TG_VIEW("/"), TG_VIEW_NONE, TG_VIEW("b"), true},
		{TWO, TG_VIEW("/"), TG_VIEW("q=bb7"), TG_VIEW("a7"), true},
		{TWO, TG_VIEW("/"), TG_VIEW("q=a7"), TG_VIEW("a7"), false},
		{TWO, TG_VIEW("/"), TG_VIEW("q=bb7"), TG_VIEW("bb7"), false},
		{X("range: { start = -5; end = 5; };"), TG_VIEW("/"), TG_VIEW_NONE, TG_VIEW("-5"),
			true},
		{X("range: { start = -5; end = 5; };"), TG_VIEW("/"), TG_VIEW_NONE, TG_VIEW("5"),
			false},
		{X("range: { start = 0L; end = 10000000000L; };"), TG_VIEW("/"), TG_VIEW_NONE,
			TG_VIEW("9999999999"), true},
		{X("present = false;"), TG_VIEW("/"), TG_VIEW_NONE, TG_VIEW_NONE, true},
		{X("present_match = true;"), TG_VIEW("/"), TG_VIEW_NONE, TG_VIEW("b"), true},
		{X("string_match: { contains = \"B\"; ignore_case = true; };"), TG_VIEW("/"),
			TG_VIEW_NONE, TG_VIEW("abc"), true},
		{X("string_match: { prefix = \"B\"; };"), TG_VIEW("/"), TG_VIEW_NONE,
			TG_VIEW("abc"), false},
		{X("prefix = \"\"; treat_missing_header_as_empty = true;"), TG_VIEW("/"),
			TG_VIEW_NONE, TG_VIEW_NONE, true},
		{X("prefix = \"\";"), TG_VIEW("/"), TG_VIEW_NONE, TG_VIEW_NONE, false},
#undef X
#undef TWO
		{"prefix = \"/\"; query_parameters: ( { name = \"q\"; exact = \"1\"; } )",
			TG_VIEW("/"), TG_VIEW("q=1"), TG_VIEW_NONE, true},
		{"prefix = \"/\"; query_parameters: ( { name = \"q\"; exact = \"1\"; }, { name = "
		 "\"r\"; present = true; } )",
			TG_VIEW("/"), TG_VIEW("q=1"), TG_VIEW_NONE, false},
		{"prefix = \"/\"; runtime_fraction: { default_value: { numerator = 0; }; }",
			TG_VIEW("/"), TG_VIEW_NONE, TG_VIEW_NONE, false},
		{"prefix = \"/\"; runtime_fraction: { default_value: { numerator = 100; }; }",
			TG_VIEW("/"), TG_VIEW_NONE, TG_VIEW_NONE, true},
	};
	uint64_t hits = 0;
	struct tg_match_env env = {.regex = tg_regex_scratch_create(&hits)};
	char text[1024];

	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		struct tg_field f = {TG_VIEW("x"), cases[i].value, 0, !cases[i].value.p};
		struct tg_msg m = {.path = cases[i].path,
			.query = cases[i].query,
			.fields = &f,
			.n_fields = 1};
		struct tg_snapshot *s;

		snprintf(text, sizeof(text),
			"ports: ( { name = \"p\"; device = \"d\"; addresses = [\"10.0.0.1/24\"]; } "
			");"
			"clusters: ( { name = \"c\"; endpoints: ( { address = \"10.0.0.2:1\"; } ); "
			"} );"
			"virtual_hosts: ( { name = \"v\"; domains = [\"*\"]; routes: ("
			"{ match: { %s; }; route: { cluster = \"c\"; }; } ); } );",
			cases[i].match);
		s = parse(text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		if ((tg_route_find(&s->vhosts[0], &m, &env) != NULL) != cases[i].yes)
			printf("%s\n", cases[i].match);
		CU_ASSERT_EQUAL(tg_route_find(&s->vhosts[0], &m, &env) != NULL, cases[i].yes);
		tg_snapshot_free(s);
	}
	tg_regex_scratch_destroy(env.regex);
}

void snapshot_breakers(void)
{
	struct tg_snapshot *s = parse_full();
	const struct tg_thresholds *t = s->clusters[0].thresholds;

	CU_ASSERT_EQUAL(t[TG_PRIORITY_DEFAULT].max[TG_RES_CX], 9);
	CU_ASSERT_EQUAL(t[TG_PRIORITY_DEFAULT].max[TG_RES_PENDING], 8);
	CU_ASSERT_EQUAL(t[TG_PRIORITY_DEFAULT].max[TG_RES_RQ], 7);
	CU_ASSERT_EQUAL(t[TG_PRIORITY_DEFAULT].max[TG_RES_RETRY], 3);
	CU_ASSERT_FALSE(t[TG_PRIORITY_DEFAULT].has_budget);
	CU_ASSERT_EQUAL(t[TG_PRIORITY_HIGH].max[TG_RES_CX], 1024);
	CU_ASSERT_EQUAL(t[TG_PRIORITY_HIGH].max[TG_RES_RQ], 5);
	CU_ASSERT_TRUE(t[TG_PRIORITY_HIGH].has_budget);
	CU_ASSERT_EQUAL(t[TG_PRIORITY_HIGH].budget_percent, 20);
	CU_ASSERT_EQUAL(t[TG_PRIORITY_HIGH].min_retry_concurrency, 1);
	CU_ASSERT_TRUE(t[TG_PRIORITY_HIGH].track_remaining);
	CU_ASSERT_EQUAL(s->vhosts[0].routes[0].priority, TG_PRIORITY_HIGH);
	CU_ASSERT_EQUAL(s->vhosts[0].routes[1].priority, TG_PRIORITY_DEFAULT);
	tg_snapshot_free(s);
}

void snapshot_balancers(void)
{
	struct tg_snapshot *s = parse_full();
	const struct tg_route *r = s->vhosts[0].routes;

	CU_ASSERT_PTR_NULL(s->clusters[0].lb);
	CU_ASSERT_PTR_EQUAL(s->clusters[1].lb, &tg_lb_ops_maglev);
	CU_ASSERT_EQUAL(s->clusters[1].table_size, 7);
	CU_ASSERT_EQUAL(s->clusters[1].table[6], 0);
	CU_ASSERT_EQUAL_FATAL(r[0].n_hash, 4);
	CU_ASSERT_EQUAL(r[0].hash[0].kind, TG_HASH_HEADER);
	CU_ASSERT_TRUE(r[0].hash[0].terminal);
	CU_ASSERT_EQUAL(r[0].hash[1].kind, TG_HASH_COOKIE);
	CU_ASSERT(r[0].hash[1].has_ttl && !r[0].hash[1].ttl && !r[0].hash[1].terminal);
	CU_ASSERT_TRUE(tg_view_eq(r[0].hash[1].path, TG_VIEW("/p")));
	CU_ASSERT_EQUAL(r[0].hash[2].kind, TG_HASH_QUERY);
	CU_ASSERT_EQUAL(r[0].hash[3].kind, TG_HASH_SOURCE_IP);
	CU_ASSERT_EQUAL(r[1].n_hash, 0);
	tg_snapshot_free(s);
}

void snapshot_retries(void)
{
	struct tg_snapshot *s = parse_full();
	const struct tg_route *r = s->vhosts[0].routes;
	const struct tg_retry_policy *p = r[0].retry;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->on, TG_RETRY_RESET | TG_RETRY_RETRIABLE_STATUS_CODES);
	CU_ASSERT_EQUAL(p->num_retries, 3);
	CU_ASSERT_EQUAL(p->per_try_timeout, 100000);
	CU_ASSERT_EQUAL(p->per_try_idle_timeout, 1000000000);
	CU_ASSERT_EQUAL(p->n_resets, 1);
	CU_ASSERT_TRUE(p->resets[0].timestamp);
	CU_ASSERT_TRUE(tg_view_eq(p->resets[0].name, TG_VIEW("x-r")));
	CU_ASSERT_EQUAL(p->reset_max, UINT64_C(300000000000));
	CU_ASSERT_TRUE(r[0].hedge);
	CU_ASSERT_FALSE(r[1].hedge);
	CU_ASSERT_EQUAL(p->backoff_base, 10000000);
	CU_ASSERT_EQUAL(p->backoff_max, 100000000);
	CU_ASSERT_FALSE(p->avoid_previous);
	CU_ASSERT_EQUAL(p->host_attempts, 1);
	CU_ASSERT_EQUAL(p->statuses.n, 2);
	CU_ASSERT_EQUAL(p->statuses.code[1], 503);
	CU_ASSERT_EQUAL(r[0].buffer_limit, 65536);
	CU_ASSERT_PTR_NULL(r[1].retry);
	tg_snapshot_free(s);
}

void snapshot_overload(void)
{
	static const char text[] =
		"ports: ( { name = \"p\"; device = \"d\"; addresses = [\"10.0.0.1/24\"]; } );\n"
		"overload_manager: { resource_monitors: ( "
		"  { name = \"envoy.resource_monitors.cpu_utilization\"; }, "
		"  { name = \"envoy.resource_monitors.global_downstream_max_connections\"; "
		"    max_active_downstream_connections = 7; } ); "
		"  actions: ( { name = \"envoy.overload_actions.stop_accepting_requests\"; "
		"triggers: ( "
		"    { name = \"envoy.resource_monitors.cpu_utilization\"; threshold: { value = 1; "
		"}; }, "
		"    { name = \"envoy.resource_monitors.global_downstream_max_connections\"; "
		"      scaled: { scaling_threshold = 0.25; saturation_threshold = 0.5; }; } ); } "
		"); };\n";
	struct tg_snapshot *s = parse(text);
	const struct tg_overload_trigger *t;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->overload);
	CU_ASSERT_EQUAL(s->overload->refresh, 100000000);
	CU_ASSERT_EQUAL(s->overload->max_connections, 7);
	CU_ASSERT_TRUE(s->overload->watched[TG_MONITOR_CPU]);
	CU_ASSERT_FALSE(s->overload->watched[TG_MONITOR_MEMORY]);
	t = s->overload->trigger[TG_OVERLOAD_NO_REQUESTS];
	CU_ASSERT_TRUE(t[TG_MONITOR_CPU].given && !t[TG_MONITOR_CPU].scaled);
	CU_ASSERT_EQUAL(t[TG_MONITOR_CPU].from, 1000000);
	CU_ASSERT_EQUAL(t[TG_MONITOR_CPU].to, 900000);
	CU_ASSERT_TRUE(t[TG_MONITOR_CONNECTIONS].given && t[TG_MONITOR_CONNECTIONS].scaled);
	CU_ASSERT_EQUAL(t[TG_MONITOR_CONNECTIONS].from, 250000);
	CU_ASSERT_EQUAL(t[TG_MONITOR_CONNECTIONS].to, 500000);
	tg_snapshot_free(s);
}

void snapshot_paths(void)
{
	char path[] = "/tmp/tg-config-XXXXXX", expect[64];
	FILE *f = fdopen(mkstemp(path), "w");
	struct tg_snapshot *s;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("ports: ( { name = \"p\"; device = \"d\"; addresses = [\"10.0.0.1/24\"]; } );\n"
	      "admin: { socket = \"run/admin.sock\"; access_log = \"/var/log/x\"; };",
		f);
	fclose(f);
	s = tg_config_load(path, NULL, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	snprintf(expect, sizeof(expect), "%.*s/run/admin.sock", (int)(strrchr(path, '/') - path),
		path);
	CU_ASSERT_STRING_EQUAL(s->admin.socket, expect);
	CU_ASSERT_STRING_EQUAL(s->admin.access_log, "/var/log/x");
	tg_snapshot_free(s);
	unlink(path);
}

void snapshot_stats(void)
{
	struct tg_stats *stats = tg_stats_create(2);
	struct tg_snapshot *a, *b = parse_full();

	CU_ASSERT_PTR_NOT_NULL_FATAL(stats);
	CU_ASSERT_PTR_NULL(b->clusters[0].stats);
	CU_ASSERT_EQUAL(tg_snapshot_bind_stats(b, stats), 0);
	a = tg_config_parse("t.cfg", full, stats, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	for (uint32_t i = 0; i < a->n_clusters; i++)
		CU_ASSERT(a->clusters[i].stats && a->clusters[i].stats == b->clusters[i].stats);
	for (uint32_t i = 0; i < a->n_listeners; i++)
		CU_ASSERT(a->listeners[i].stats && a->listeners[i].stats == b->listeners[i].stats);
	tg_snapshot_free(a);
	tg_snapshot_free(b);
	tg_stats_destroy(stats);
}

#define NET "ports: ( { name = \"p\"; device = \"d\"; addresses = [\"10.0.0.1/24\"]; } );"
#define CLUSTER(name) "{ name = \"" name "\"; endpoints: ( { address = \"10.0.0.2:1\"; } ); }"

/* Name of the only mirror of the first virtual host's route; "" where it has none. */
static const char *mirror_of(const struct tg_snapshot *s, uint32_t route)
{
	const struct tg_route_action *a = s->vhosts[0].routes[route].action;

	if (!a || !a->n_mirrors)
		return "";
	CU_ASSERT_EQUAL(a->n_mirrors, 1);
	return a->mirrors[0].cluster->name;
}

void snapshot_mirrors(void)
{
	struct tg_snapshot *s =
		parse(NET "clusters: ( " CLUSTER("c") ", " CLUSTER("m") ", " CLUSTER(
			"n") " );"
			     "virtual_hosts: ( { name = \"v\"; domains = [\"*\"];"
			     "  request_mirror_policies: ( { cluster = \"m\"; } ); routes: ("
			     "  { match: { path = \"/a\"; }; route: { cluster = \"c\"; }; },"
			     "  { match: { path = \"/b\"; }; route: { cluster = \"c\";"
			     "    request_mirror_policies: ( { cluster = \"n\"; } ); }; },"
			     "  { match: { path = \"/d\"; }; direct_response: { status = 200; }; } "
			     "); },"
			     "  { name = \"w\"; domains = [\"w\"]; routes: ("
			     "  { match: { path = \"/a\"; }; route: { cluster = \"c\"; }; } ); } "
			     ");");

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(mirror_of(s, 0), "m");
	CU_ASSERT_STRING_EQUAL(mirror_of(s, 1), "n");
	CU_ASSERT_STRING_EQUAL(mirror_of(s, 2), "");
	CU_ASSERT_PTR_NULL(s->vhosts[1].routes[0].action);
	tg_snapshot_free(s);
}

/* What is shown of the text has no password. */
void snapshot_service(void)
{
	struct tg_snapshot *s = parse(
		NET "rate_limit_service: { address = \"[::1]:6379\"; user = \"me\";\n"
		    "  password /* x */ = \"se\\\"cret\" # password\n \"two\"; database = 7; };");

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_TRUE(s->has_rate_limit_service);
	CU_ASSERT_EQUAL(s->redis.address.port, 6379);
	CU_ASSERT_STRING_EQUAL(s->redis.user, "me");
	CU_ASSERT_STRING_EQUAL(s->redis.password, "se\"crettwo");
	CU_ASSERT_EQUAL(s->redis.database, 7);
	CU_ASSERT_EQUAL(s->quota_keys, 100000);
	CU_ASSERT_PTR_NULL(strstr(s->source, "cret"));
	CU_ASSERT_PTR_NULL(strstr(s->source, "two"));
	CU_ASSERT_PTR_NOT_NULL(strstr(s->source, "user = \"me\";\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(s->source, "database = 7;"));
	tg_snapshot_free(s);
	s = parse(NET);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_FALSE(s->has_rate_limit_service);
	tg_snapshot_free(s);
}

/* full with one piece replaced. */
static struct tg_snapshot *changed(const char *from, const char *to)
{
	static char text[sizeof(full) + 256];
	const char *at = strstr(full, from);

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - full), full, to, at + strlen(from));
	return parse(text);
}

void snapshot_diff(void)
{
	static const struct {
		const char *from, *to, *line;
	} cases[] = {
		{"max_connections = 5000", "max_connections = 6000",
			"dataplane.max_connections changed from 5000 to 6000; this takes a "
			"restart\n"},
		{"cpus = [3, 1]", "cpus = [1, 3]",
			"dataplane.cpus changed; this takes a restart\n"},
		{"[2000, 2999]", "[2000, 3000]",
			"dataplane.source_ports changed; this takes a restart\n"},
		{"idle = \"spin\"", "idle = \"adaptive\"",
			"dataplane.idle changed from \"spin\" to \"adaptive\"; this takes a "
			"restart\n"},
		{"drain_time = \"30s\"", "drain_time = \"1m\"",
			"dataplane.drain_time changed from 30s to 1m; this takes a restart\n"},
		{"address = \"127.0.0.1:9901\"; ", "",
			"admin.address changed from \"127.0.0.1:9901\" to \"\"; this takes a "
			"restart\n"},
		{"mtu = 9000", "mtu = 1500", "port \"a\" changed; this takes a restart\n"},
		{"fd00::1/64", "fd00::1/65", "port \"a\" changed; this takes a restart\n"},
		{"\"b\"; pci", "\"c\"; pci", "port \"b\" became \"c\"; this takes a restart\n"},
		{"10.0.0.254", "10.0.0.253", "ip_routes changed; this takes a restart\n"},
		{"idle_timeout = \"1m\"", "idle_timeout = \"2m\"", ""},
		{"weight = 3", "weight = 4", ""},
	};
	struct tg_snapshot *a = parse_full();
	char out[512];

	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		struct tg_snapshot *b = changed(cases[i].from, cases[i].to);
		FILE *f = fmemopen(out, sizeof(out), "w");

		CU_ASSERT_PTR_NOT_NULL_FATAL(b);
		memset(out, 0, sizeof(out));
		CU_ASSERT_EQUAL(tg_config_static_diff(a, b, f), *cases[i].line != 0);
		fclose(f);
		CU_ASSERT_STRING_EQUAL(out, cases[i].line);
		tg_snapshot_free(b);
	}
	tg_snapshot_free(a);
}
