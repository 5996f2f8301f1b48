/* Explanations over a real configuration and two proxies without a network. */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/rng.h>

#include "../../../dpdk_app/explain.h"
#include "../tgtest.h"

#define WORKERS 2
#define NOW (1000 * TG_SEC)

static const char config[] =
	"dataplane: { workers = 2; };\n"
	"admin: { socket = \"/tmp/x.sock\"; };\n"
	"ports: ( { name = \"n\"; device = \"net_null0\"; addresses = [\"10.77.1.1/24\"]; } );\n"
	"listeners: (\n"
	" { name = \"web\"; address = \"10.77.1.1:80\"; virtual_hosts = [\"shop\", \"secure\"];\n"
	"   connection_rate_limit: { token_bucket: { max_tokens = 9; fill_interval = \"1h\"; }; "
	"};\n"
	"   filters: ( { name = \"rbac\"; action = \"DENY\"; policies: (\n"
	"       { name = \"strangers\"; source_ips = [\"192.0.2.0/24\"]; },\n"
	"       { name = \"no deletes\"; methods = [\"DELETE\"]; } ); } ); },\n"
	" { name = \"old\"; address = \"10.77.1.1:8080\"; virtual_hosts = [\"shop\"]; },\n"
	" { name = \"mesh\"; address = \"10.77.1.1:443\"; virtual_hosts = [\"shop\"];\n"
	"   tls: { certificate = \"a\"; private_key = \"b\"; client_ca = \"c\";\n"
	"          require_client_certificate = true; };\n"
	"   forward_client_cert_details = \"sanitize_set\";\n"
	"   set_current_client_cert_details: { uri = true; };\n"
	"   filters: ( { name = \"rbac\"; policies: (\n"
	"       { name = \"shop\"; principals = [\"spiffe://mesh.example/ns/shop/*\"];\n"
	"         methods = [\"GET\"]; } ); } ); },\n"
	" { name = \"raw\"; address = \"10.77.1.1:5432\"; protocol = \"tcp\"; cluster = \"db\";\n"
	"   filters: ( { name = \"rbac\"; policies: (\n"
	"       { name = \"office\"; source_ips = [\"10.0.0.0/8\"]; } ); } ); } );\n"
	"virtual_hosts: (\n"
	" { name = \"shop\"; domains = [\"shop.test\", \"*.shop.test\"]; routes: (\n"
	"   { name = \"beta\"; match: { prefix = \"/\";\n"
	"       headers: ( { name = \"x-beta-group\"; exact = \"true\"; } ); };\n"
	"     route: { cluster = \"v2\"; }; },\n"
	"   { name = \"few\"; match: { prefix = \"/some\"; runtime_fraction: { default_value: { "
	"numerator = 30; }; }; };\n"
	"     route: { cluster = \"v2\"; }; },\n"
	"   { name = \"q\"; match: { path = \"/q\"; query_parameters: ( { name = \"v\"; exact = "
	"\"2\"; } ); };\n"
	"     route: { cluster = \"v1\"; }; },\n"
	"   { name = \"items\"; match: { safe_regex = \"/items/[0-9]+\"; };\n"
	"     route: { cluster = \"v1\"; prefix_rewrite = \"/i\"; timeout = \"3s\"; priority = "
	"\"HIGH\";\n"
	"       request_mirror_policies: ( { cluster = \"v2\"; } );\n"
	"       retry_policy: { retry_on = \"5xx,reset\"; num_retries = 4; per_try_timeout = "
	"\"1s\"; }; }; },\n"
	"   { name = \"gone\"; match: { path = \"/gone\"; };\n"
	"     direct_response: { status = 410; body = \"gone\"; }; },\n"
	"   { name = \"moved\"; match: { path_separated_prefix = \"/moved\"; };\n"
	"     redirect: { host_redirect = \"www.test\"; }; },\n"
	"   { name = \"split\"; match: { prefix = \"/split\"; }; route: { weighted_clusters: (\n"
	"     { cluster = \"v1\"; weight = 10; }, { cluster = \"v2\"; weight = 90; } ); }; },\n"
	"   { name = \"ring\"; match: { prefix = \"/ring\"; }; route: { cluster = \"ring\";\n"
	"     hash_policy: ( { header: { header_name = \"x-user\"; }; } ); }; },\n"
	"   { name = \"named\"; match: { prefix = \"/named\"; };\n"
	"     route: { cluster_header = \"x-cluster\"; }; },\n"
	"   { name = \"limited\"; match: { prefix = \"/limited\"; }; route: { cluster = \"v1\"; "
	"};\n"
	"     filters: ( { name = \"local_ratelimit\";\n"
	"       token_bucket: { max_tokens = 3; fill_interval = \"1h\"; }; } ); },\n"
	"   { name = \"chaos\"; match: { prefix = \"/chaos\"; }; route: { cluster = \"v1\"; };\n"
	"     filters: ( { name = \"fault\"; delay: { fixed_delay = \"5s\"; percentage = 1; };\n"
	"       abort: { http_status = 500; percentage = 60; }; } ); },\n"
	"   { name = \"api\"; match: { prefix = \"/api\"; }; route: { cluster = \"v1\"; }; } ); "
	"},\n"
	" { name = \"secure\"; domains = [\"secure.test\"]; require_tls = \"ALL\";\n"
	"   routes: ( { match: { prefix = \"/\"; }; route: { cluster = \"v1\"; }; } ); } );\n"
	"clusters: (\n"
	" { name = \"v1\"; endpoints: ( { address = \"10.77.2.2:1\"; }, { address = "
	"\"10.77.2.2:2\"; },\n"
	"                             { address = \"10.77.2.2:3\"; } );\n"
	"   circuit_breakers: { max_requests = 7; thresholds: ( { priority = \"HIGH\"; "
	"max_requests = 5; } ); }; },\n"
	" { name = \"v2\"; endpoints: ( { address = \"10.77.2.3:1\"; } ); },\n"
	" { name = \"ring\"; lb_policy = \"ring_hash\"; endpoints: ( { address = \"10.77.2.4:1\"; "
	"},\n"
	"     { address = \"10.77.2.4:2\"; }, { address = \"10.77.2.4:3\"; } ); },\n"
	" { name = \"any\"; lb_policy = \"random\"; endpoints: ( { address = \"10.77.2.4:1\"; },\n"
	"     { address = \"10.77.2.4:2\"; } ); },\n"
	" { name = \"db\"; endpoints: ( { address = \"10.77.2.5:5432\"; } ); },\n"
	" { name = \"here\"; endpoints: ( { address = \"10.0.0.1:1\"; locality: { zone = \"a\"; }; "
	"},\n"
	"     { address = \"10.0.0.2:1\"; locality: { zone = \"b\"; }; } ); },\n"
	" { name = \"zones\"; common_lb_config: { zone_aware_lb_config: { min_cluster_size = 4; "
	"routing_enabled = 90; }; };\n"
	"   endpoints: ( { address = \"10.0.1.1:1\"; locality: { zone = \"a\"; }; },\n"
	"     { address = \"10.0.1.2:1\"; locality: { region = \"r\"; zone = \"b\"; }; },\n"
	"     { address = \"10.0.1.3:1\"; locality: { zone = \"b\"; }; }, { address = "
	"\"10.0.1.4:1\"; } ); } );\n"
	"node: { locality: { zone = \"a\"; }; };\n"
	"cluster_manager: { local_cluster_name = \"here\"; };\n";

static struct tg_stats *stats;
static struct tg_health *health;
static struct tg_snapshot *snap;
static struct tg_proxy *proxies[WORKERS];
static struct tg_wheel wheels[WORKERS];
static struct tg_explain_world world;
static json_t *doc;
static struct tg_errbuf err;

static int no_connect(void *ctx, const struct tg_sockaddr *to, uint64_t timeout, uint32_t buf,
	const struct tg_conn_user *user, void *owner, struct tg_conn **out)
{
	return TG_ENOMEM;
}

static int listens(void *ctx, const struct tg_sockaddr *addr, uint32_t buf,
	const struct tg_conn_user *user, void *owner, void **handle)
{
	*handle = &wheels; /* anything but NULL */
	return 0;
}

static void unlistens(void *ctx, void *handle)
{
}

static void start(void)
{
	stats = tg_stats_create(WORKERS);
	snap = tg_config_parse("t.cfg", config, stats, stderr);
	CU_ASSERT_FATAL(snap != NULL);
	health = tg_health_create(WORKERS);
	CU_ASSERT_EQUAL_FATAL(tg_snapshot_bind_health(snap, health), 0);
	snap->generation = 1;
	for (uint32_t w = 0; w < WORKERS; w++) {
		struct tg_proxy_conf c = {.worker = w,
			.n_workers = WORKERS,
			.max_downstream = 4,
			.max_upstream = 4,
			.max_exchanges = 4,
			.net = {.connect = no_connect, .listen = listens, .unlisten = unlistens},
			.wheel = &wheels[w],
			.stats = &tg_stats_cores(stats)[w]};

		tg_wheel_init(&wheels[w], NOW);
		proxies[w] = tg_proxy_create(&c, &err);
		CU_ASSERT_FATAL(proxies[w] != NULL);
		CU_ASSERT_EQUAL(tg_proxy_adopt(proxies[w], snap), 0);
	}
	world = (struct tg_explain_world){
		snap, WORKERS, (const struct tg_proxy *const *)proxies, NOW, 0};
}

static void stop(void)
{
	json_decref(doc);
	doc = NULL;
	for (uint32_t w = 0; w < WORKERS; w++)
		tg_proxy_destroy(proxies[w]);
	CU_ASSERT_EQUAL(snap->worker[0].pins, 0);
	tg_snapshot_free(snap);
	tg_health_destroy(health);
	tg_stats_destroy(stats);
}

static json_t *explain(const struct tg_explain_query *q)
{
	json_decref(doc);
	err.text[0] = '\0';
	doc = tg_explain(q, &world, &err);
	return doc;
}

static json_t *get(const char *url, const char *header)
{
	struct tg_explain_query q = {
		.method = "GET", .url = url, .n_headers = header != NULL, .headers = {header}};

	if (!explain(&q))
		printf("\n--- %s: %s\n", url, err.text);
	CU_ASSERT_FATAL(doc != NULL);
	return doc;
}

/* The string at a path of keys and indices: "clusters 0 name". */
static const char *at(const char *path)
{
	json_t *j = doc;
	char text[128], *rest = NULL, *key;

	snprintf(text, sizeof(text), "%s", path);
	for (key = strtok_r(text, " ", &rest); key; key = strtok_r(NULL, " ", &rest))
		j = json_is_array(j) ? json_array_get(j, (size_t)atoi(key))
				     : json_object_get(j, key);
	return json_string_value(j) ? json_string_value(j) : "";
}

static json_int_t number(const char *path, const char *key)
{
	json_t *j = doc;
	char text[128], *rest = NULL, *k;

	snprintf(text, sizeof(text), "%s", path);
	for (k = strtok_r(text, " ", &rest); k; k = strtok_r(NULL, " ", &rest))
		j = json_is_array(j) ? json_array_get(j, (size_t)atoi(k)) : json_object_get(j, k);
	return json_integer_value(json_object_get(j, key));
}

#define IS(path, text) CU_ASSERT_STRING_EQUAL(at(path), text)
#define HAS(path, text) CU_ASSERT_PTR_NOT_NULL(strstr(at(path), text))

static void forwarded(void)
{
	start();
	get("http://shop.test/api/../api/x?y=1", NULL);
	IS("outcome", "forwarded");
	IS("listener name", "web");
	IS("request path", "/api/x");
	IS("request query", "y=1");
	IS("virtual_host", "shop");
	IS("route name", "api");
	IS("clusters 0 name", "v1");
	HAS("sent", "GET /api/x?y=1 HTTP/1.1\r\nHost: shop.test\r\nx-forwarded-for: 127.0.0.1\r\n");
	/* Why the first one did not, and that it is the last. */
	IS("routes 0 name", "beta");
	IS("routes 0 result", "no");
	IS("routes 0 why", "header x-beta-group exact \"true\": there is none");
	IS("routes 1 result", "taken");
	get("http://a.shop.test/api", "x-beta-group: no");
	IS("routes 0 why", "header x-beta-group exact \"true\": it is \"no\"");
	get("http://shop.test/api", "X-Beta-Group: true");
	IS("route name", "beta");
	IS("clusters 0 name", "v2");
	IS("routes 0 result", "taken");
	IS("routes 1 result", "later");
	get("http://shop.test/items/17", NULL);
	IS("route name", "items");
	HAS("sent", "GET /i HTTP/1.1\r\n");
	HAS("sent", "\r\nx-envoy-original-path: /items/17\r\n");
	IS("route priority", "HIGH");
	IS("route mirrors 0 cluster", "v2");
	IS("route retry_policy retry_on 0", "5xx");
	IS("route retry_policy retry_on 1", "reset");
	CU_ASSERT_EQUAL(number("route retry_policy", "num_retries"), 4);
	CU_ASSERT_EQUAL(number("clusters 0 circuit_breakers 2", "max"), 5);
	stop();
}

static void answered(void)
{
	start();
	get("http://shop.test/gone", NULL);
	IS("outcome", "answered");
	CU_ASSERT_EQUAL(number("answer", "status"), 410);
	IS("answer body", "gone");
	IS("answer details", "direct_response");
	IS("route action", "direct_response");
	get("http://shop.test/moved/x?y", NULL);
	HAS("answer head", "\r\nlocation: http://www.test/moved/x?y\r\n");
	get("http://secure.test/x", NULL);
	HAS("answer head", "\r\nlocation: https://secure.test/x\r\n");
	get("http://other.test/", NULL);
	CU_ASSERT_EQUAL(number("answer", "status"), 404);
	IS("answer flags 0", "NR");
	IS("virtual_host", "");
	get("http://shop.test/apx", NULL);
	CU_ASSERT_EQUAL(number("answer", "status"), 404);
	get("http://shop.test/apx", "x-beta-group: 1");
	IS("routes 0 name", "beta");
	get("http://shop.test/%00", NULL);
	CU_ASSERT_EQUAL(number("answer", "status"), 400);
	IS("answer details", "path_normalization_failed");
	get("http://shop.test/", "Transfer-Encoding: nothing");
	CU_ASSERT(number("answer", "status") >= 400);
	get("http://shop.test/named", "x-cluster: v3");
	CU_ASSERT_EQUAL(number("answer", "status"), 503);
	IS("answer flags 0", "NC");
	get("http://shop.test/named", "x-cluster: ring");
	IS("clusters 0 name", "ring");
	stop();
}

static void close_by(void)
{
	start();
	get("http://shop.test/q?v=3", NULL);
	IS("routes 1 name", "q");
	IS("routes 1 why", "query parameter v exact \"2\"");
	get("http://shop.test/items/x", NULL);
	IS("routes 1 name", "items");
	IS("routes 1 why", "the expression does not match the whole path");
	get("http://shop.test/something", NULL);
	IS("routes 1 name", "few");
	IS("routes 1 result", "by chance");
	HAS("routes 1 why", "30.0000 %");
	IS("outcome", "answered");
	stop();
}

static void filters(void)
{
	struct tg_explain_query q = {.method = "DELETE", .url = "http://shop.test/api"};

	start();
	CU_ASSERT_PTR_NOT_NULL_FATAL(explain(&q));
	IS("outcome", "answered");
	CU_ASSERT_EQUAL(number("answer", "status"), 403);
	IS("filters 0 name", "rbac");
	IS("filters 0 verdict", "reply");
	IS("filters 0 details", "rbac_access_denied_matched_policy[no_deletes]");
	q.method = "GET";
	q.from = "192.0.2.7";
	CU_ASSERT_PTR_NOT_NULL_FATAL(explain(&q));
	IS("answer details", "rbac_access_denied_matched_policy[strangers]");
	q = (struct tg_explain_query){.method = "GET",
		.url = "https://shop.test/api",
		.identity = "spiffe://mesh.example/ns/shop/sa/web"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(explain(&q));
	IS("listener name", "mesh");
	IS("outcome", "forwarded");
	IS("filters 0 says 0", "rules (ALLOW): policy \"shop\" matches");
	HAS("sent", "URI=spiffe://mesh.example/ns/shop/sa/web");
	q.method = "PUT";
	CU_ASSERT_PTR_NOT_NULL_FATAL(explain(&q));
	IS("filters 0 says 1",
		"policy \"shop\" names this client, but does not match for the method");
	q.identity = NULL;
	CU_ASSERT_PTR_NOT_NULL_FATAL(explain(&q));
	IS("filters 0 says 1", "no policy names this client");
	HAS("notes 0", "requires a client certificate");
	/* By the listener's name, whatever the port. */
	q = (struct tg_explain_query){
		.method = "GET", .url = "http://shop.test/chaos", .listener = "old"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(explain(&q));
	IS("listener name", "old");
	HAS("filters 0 says 0", "delay of 5000.000 ms: 1.0000 % of requests");
	HAS("filters 0 says 1", "abort with status 500: 60.0000 % of requests");
	CU_ASSERT_EQUAL(number("answer", "status"), 500);
	stop();
}

static void tcp(void)
{
	struct tg_explain_query q = {
		.method = "TCP", .url = "tcp://10.77.1.1:5432", .from = "10.1.2.3"};

	start();
	CU_ASSERT_PTR_NOT_NULL_FATAL(explain(&q));
	IS("listener name", "raw");
	IS("outcome", "forwarded");
	IS("clusters 0 name", "db");
	IS("clusters 0 next 1 endpoint", "10.77.2.5:5432");
	q.from = "[2001:db8::1]:7";
	CU_ASSERT_PTR_NOT_NULL_FATAL(explain(&q));
	IS("outcome", "cut");
	IS("cut details", "rbac_access_denied_matched_policy[none]");
	IS("client address", "[2001:db8::1]:7");
	stop();
}

static void balancers(void)
{
	struct tg_cluster *v1;

	start();
	v1 = &snap->clusters[0];
	v1->stats[1].lb_pos = 2;
	get("http://shop.test/api", NULL);
	IS("clusters 0 choice", "known");
	IS("clusters 0 next 0 endpoint", "10.77.2.2:1");
	IS("clusters 0 next 1 endpoint", "10.77.2.2:3");
	CU_ASSERT_EQUAL(v1->stats[1].lb_pos, 2);
	v1->stats[0].breaker[0][TG_RES_RQ].used = 2;
	v1->stats[1].breaker[0][TG_RES_RQ].used = 3;
	get("http://shop.test/api", NULL);
	IS("clusters 0 circuit_breakers 2 what", "max_requests");
	CU_ASSERT_EQUAL(number("clusters 0 circuit_breakers 2", "left"), 2);
	get("http://shop.test/split", NULL);
	IS("clusters 0 name", "v1");
	IS("clusters 1 name", "v2");
	CU_ASSERT_DOUBLE_EQUAL(
		json_real_value(json_object_get(
			json_array_get(json_object_get(doc, "clusters"), 1), "share")),
		0.9, 1e-9);
	get("http://shop.test/ring", "x-user: 17");
	IS("clusters 0 choice", "known");
	CU_ASSERT_STRING_EQUAL(at("clusters 0 next 0 endpoint"), at("clusters 0 next 1 endpoint"));
	CU_ASSERT_EQUAL(strlen(at("route hash_policy hash")), 16);
	get("http://shop.test/ring", NULL);
	IS("clusters 0 choice", "by chance");
	IS("clusters 0 next 0 endpoint", "");
	get("http://shop.test/named", "x-cluster: any");
	IS("clusters 0 choice", "by chance");
	stop();
}

/* Half of the callers are here and a quarter of the endpoints. */
static void zones(void)
{
	static const struct {
		const char *locality;
		double share;
	} want[] = {{"a", 0.5}, {"no locality", 0.25}, {"b", 0}, {"r/b", 0.25}};
	json_t *list;

	start();
	get("http://shop.test/named", "x-cluster: zones");
	IS("clusters 0 choice", "by chance");
	HAS("clusters 0 zones how", "to the own zone for its part");
	CU_ASSERT_EQUAL(number("clusters 0 zones", "routing_enabled"), 90);
	list = json_object_get(
		json_object_get(json_array_get(json_object_get(doc, "clusters"), 0), "zones"),
		"shares");
	CU_ASSERT_EQUAL_FATAL(json_array_size(list), TG_ARRAY_LEN(want));
	for (size_t i = 0; i < TG_ARRAY_LEN(want); i++) {
		json_t *z = json_array_get(list, i);

		CU_ASSERT_STRING_EQUAL(
			json_string_value(json_object_get(z, "locality")), want[i].locality);
		CU_ASSERT_EQUAL(json_is_true(json_object_get(z, "own")), i == 0);
		CU_ASSERT_DOUBLE_EQUAL(
			json_real_value(json_object_get(z, "share")), want[i].share, 1e-9);
	}
	get("http://shop.test/named", "x-cluster: v2");
	IS("clusters 0 zones how",
		"anywhere: not two zones in the cluster and in the local cluster");
	stop();
}

/* Everything that workers write, before and after a thousand explanations of all kinds. */
static void leaves_no_trace(void)
{
	static const char *const urls[] = {"http://shop.test/limited", "http://shop.test/chaos",
		"http://shop.test/api", "http://shop.test/some", "http://shop.test/ring",
		"http://shop.test/gone", "http://none.test/", "http://shop.test/split"};
	struct tg_cluster_stats before[8][WORKERS];
	struct tg_core_stats core[WORKERS];
	const struct tg_stats_query text_query = {.format = TG_STATS_TEXT};
	char *text[2] = {NULL};
	size_t n;

	start();
	CU_ASSERT_FATAL(snap->n_clusters <= 8);
	for (uint32_t i = 0; i < snap->n_clusters; i++)
		memcpy(before[i], snap->clusters[i].stats, sizeof(before[i]));
	memcpy(core, tg_stats_cores(stats), sizeof(core));
	for (uint32_t k = 0; k < 2; k++) {
		FILE *out = open_memstream(&text[k], &n);

		CU_ASSERT_EQUAL(tg_stats_render(stats, &text_query, out, &err), 0);
		fclose(out);
		for (uint32_t i = 0; i < 1000 && !k; i++) {
			get(urls[i % TG_ARRAY_LEN(urls)], NULL);
			if (i % TG_ARRAY_LEN(urls) == 0)
				CU_ASSERT_EQUAL(number("filters 1 limits 0", "left"), 3);
		}
	}
	CU_ASSERT_STRING_EQUAL(text[0], text[1]);
	for (uint32_t i = 0; i < snap->n_clusters; i++)
		CU_ASSERT_EQUAL(memcmp(before[i], snap->clusters[i].stats, sizeof(before[i])), 0);
	CU_ASSERT_EQUAL(memcmp(core, tg_stats_cores(stats), sizeof(core)), 0);
	CU_ASSERT_EQUAL(number("listener connection_limit", "left"), 9);
	free(text[0]);
	free(text[1]);
	stop();
}

static void refuse(struct tg_explain_query q, const char *text)
{
	if (!q.method)
		q.method = "GET";
	CU_ASSERT_PTR_NULL(explain(&q));
	if (!strstr(err.text, text))
		printf("\n--- %s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, text));
}

#define URL .url = "http://shop.test/"
#define Q(...) ((struct tg_explain_query){__VA_ARGS__})

static void wrong_questions(void)
{
	start();
	refuse(Q(.url = NULL), "method and url are needed");
	refuse(Q(URL, .method = "G T"), "method: \"G T\" is none");
	refuse(Q(.url = "shop.test/"), "url: http://HOST/PATH, https://HOST/PATH");
	refuse(Q(.url = "http:///x"), "url: there is no host");
	refuse(Q(.url = "http://a b/"), "url: it has a space");
	refuse(Q(.url = "http://me@shop.test/"), "url: no user and password");
	refuse(Q(.url = "http://shop.test:0/"), "url: a port from 1 to 65535");
	refuse(Q(.url = "http://shop.test:x/"), "url: a port from 1 to 65535");
	refuse(Q(.url = "tcp://10.77.1.1"), "url: a port from 1 to 65535");
	refuse(Q(.url = "http://shop.test:81/"), "listener: none fits the URL's scheme and port");
	refuse(Q(URL, .listener = "wob"), "listener: there is none of that name or address");
	refuse(Q(URL, .listener = "wob"), "web (http, 10.77.1.1:80)");
	refuse(Q(URL, .listener = "raw"), "listener: \"raw\" speaks no HTTP");
	refuse(Q(URL, .n_headers = 1, .headers = {"novalue"}), "header: \"NAME: VALUE\"");
	refuse(Q(URL, .n_headers = 1, .headers = {"a: b\r\nc: d"}), "has a line break");
	refuse(Q(URL, .identity = "spiffe://a/b"), "identity: listener \"web\" has no TLS");
	refuse(Q(URL, .sni = "a"), "sni: listener \"web\" has no TLS");
	refuse(Q(URL, .from = "here"), "from: an address is expected");
	refuse(Q(URL, .body_size = "-1"), "body-size: a number of bytes");
	stop();
}

/* Whatever is asked, there is a document or a text. */
static void anything(void)
{
	struct tg_rng rng;
	char url[64], header[64];

	start();
	tg_rng_seed(&rng, 11);
	for (uint32_t i = 0; i < 3000; i++) {
		struct tg_explain_query q = {
			.method = "GET", .url = url, .n_headers = 1, .headers = {header}};
		uint32_t n = 1 + tg_rng_below(&rng, 30);

		strcpy(url, "http://shop.test/");
		strcpy(header, "x-y: ");
		for (uint32_t k = 0; k < n; k++) {
			url[17 + k] = (char)(33 + tg_rng_below(&rng, 220));
			header[5 + k] = (char)(1 + tg_rng_below(&rng, 255));
		}
		url[17 + n] = header[5 + n] = '\0';
		CU_ASSERT(explain(&q) != NULL || err.text[0] != '\0');
	}
	stop();
}

TG_TEST_MAIN("explain", {"forwarded", forwarded}, {"answered", answered}, {"close by", close_by},
	{"filters", filters}, {"tcp", tcp}, {"balancers", balancers}, {"zones", zones},
	{"leaves no trace", leaves_no_trace}, {"wrong questions", wrong_questions},
	{"anything", anything})
