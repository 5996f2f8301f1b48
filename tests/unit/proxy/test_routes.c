/* What routes do with requests besides sending them to a cluster as they are. */
#include "../tgtest.h"
#include "bench.h"

#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: x\r\n\r\nhello"

static bool has(const char *text, const char *part)
{
	if (strstr(text, part))
		return true;
	printf("\n--- not found: %s\n--- in: %s\n", part, text);
	return false;
}

static void *take(void *ctx, size_t n)
{
	static _Alignas(16) uint8_t mem[1 << 16];
	static size_t used;
	void *p = mem + used;

	used += (n + 15) & ~(size_t)15;
	CU_ASSERT_FATAL(used <= sizeof(mem));
	return p;
}

/* Asks under the bench's route, and answers if an origin was asked; what the client got. *origin:
 * what the origin got, "" where it was not asked. */
static const char *ask(const struct tg_route_action *a, const char *request, const char **origin)
{
	struct bench_peer *c;

	bench_route()->action = a;
	c = bench_client(0);
	bench_send(c, request);
	*origin = "";
	if (b.n_origins) {
		*origin = bench_got(b.origin[0]);
		bench_send(b.origin[0], OK5);
	}
	return bench_got(c);
}

#define REQUEST(target, fields) "GET " target " HTTP/1.1\r\nHost: shop.example:80\r\n" fields "\r\n"

static void redirect(struct tg_route_action a, const char *target, const char *location)
{
	char request[256], want[256];
	const char *origin, *got;

	bench_start(4096);
	a.kind = TG_ACTION_REDIRECT;
	a.status = 302;
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: shop.example:80\r\n\r\n",
		target);
	snprintf(want, sizeof(want), "\r\nlocation: %s\r\n", location);
	got = ask(&a, request, &origin);
	CU_ASSERT(has(got, "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n"));
	CU_ASSERT(has(got, want));
	CU_ASSERT_STRING_EQUAL(origin, "");
	CU_ASSERT_STRING_EQUAL(bench_log()->details, "direct_response");
	bench_end();
}

static void redirects(void)
{
	struct tg_route_action a = {.redirect.scheme = TG_VIEW("https")};

	redirect(a, "/api/x?y=1", "https://shop.example/api/x?y=1");
	a.redirect.port = 8443;
	redirect(a, "/api/x?y=1", "https://shop.example:8443/api/x?y=1");
	a.redirect = (struct tg_redirect){.host = TG_VIEW("www.example"), .strip_query = true};
	redirect(a, "/api/x?y=1", "http://www.example/api/x");
	a.redirect = (struct tg_redirect){.path = TG_VIEW("/new")};
	redirect(a, "/api/x?y=1", "http://shop.example:80/new?y=1");
	a.redirect = (struct tg_redirect){.path = TG_VIEW("/new?z=2"), .strip_query = true};
	redirect(a, "/api/x?y=1", "http://shop.example:80/new?z=2");
	a.redirect = (struct tg_redirect){.port = 0};
	a.prefix = TG_VIEW("/v2");
	redirect(a, "/api/x?y=1", "http://shop.example:80/v2/x?y=1");
}

static void redirect_of(struct tg_route_action a, const char *request, const char *location)
{
	struct tg_vhost *v;
	struct tg_errbuf e;
	char want[256];
	const char *origin;

	bench_start(4096);
	v = &b.snap->vhosts[0];
	v->domains[0] = TG_VIEW("*");
	bench_web()->hosts = tg_host_table_build(&v, 1, take, NULL, &e);
	bench_route()->match = TG_VIEW("/");
	CU_ASSERT_EQUAL_FATAL(tg_vhost_compile(v, take, NULL), 0);
	a.kind = TG_ACTION_REDIRECT;
	a.status = 302;
	snprintf(want, sizeof(want), "\r\nlocation: %s\r\n", location);
	CU_ASSERT(has(ask(&a, request, &origin), want));
	bench_end();
}

/* Requests whose URI has no path, or names no host. */
static void redirects_without_path_or_host(void)
{
	const char *star = "OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n";
	const char *old = "GET /api/x?y=1 HTTP/1.0\r\n\r\n";
	struct tg_route_action a = {.redirect.scheme = TG_VIEW("https")};
	char want[128], local[TG_ADDR_TEXT];

	redirect_of(a, star, "https://shop.example");
	bench_start(4096);
	tg_sockaddr_format(&bench_web()->addr, local);
	bench_end();
	snprintf(want, sizeof(want), "http://%s/api/x?y=1", local);
	redirect_of((struct tg_route_action){.prefix = TG_VIEW_NONE}, old, want);
	a.redirect = (struct tg_redirect){.path = TG_VIEW("/new")};
	redirect_of(a, star, "http://shop.example/new");
	a.redirect = (struct tg_redirect){.host = TG_VIEW("www.example")};
	redirect_of(a, old, "http://www.example/api/x?y=1");
}

static void rewrite_by_prefix(void)
{
	struct tg_route_action a = {.prefix = TG_VIEW("/v2")};
	const char *origin, *got;

	bench_start(4096);
	got = ask(&a, REQUEST("/api/x?y=1", "x-envoy-original-path: /forged\r\n"), &origin);
	CU_ASSERT(has(origin, "GET /v2/x?y=1 HTTP/1.1\r\n"));
	CU_ASSERT(has(origin, "\r\nx-envoy-original-path: /api/x?y=1\r\n"));
	CU_ASSERT_PTR_NULL(strstr(origin, "forged"));
	CU_ASSERT(has(got, "200 OK"));
	bench_end();
}

static void by_regex(
	const char *pattern, const char *substitution, const char *target, const char *want)
{
	struct tg_route_action a = {.status = 503};
	struct tg_regex *re = tg_regex_compile(pattern, TG_REGEX_SEARCH, NULL);
	char request[256];
	const char *origin, *got;

	bench_start(4096);
	a.path = (struct tg_rewrite){re, tg_view_str(substitution)};
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: shop.example\r\n\r\n", target);
	got = ask(&a, request, &origin);
	if (want)
		CU_ASSERT(has(origin, want));
	if (!want)
		CU_ASSERT(has(got, "HTTP/1.1 400 "));
	bench_end();
	tg_regex_free(re);
}

static void rewrite_by_regex(void)
{
	by_regex("^/api/([^/]+)(/.*)$", "\\2/of/\\1", "/api/foo/v1?q",
		"GET /v1/of/foo?q HTTP/1.1\r\n");
	by_regex("nothing", "x", "/api/foo", "GET /api/foo HTTP/1.1\r\n");
	/* What would not be a path, or would be another one than the filters saw, is one of
	 * neither. */
	by_regex("^/api", "", "/apix/", NULL);
	by_regex("x", ".", "/api/xx/../secret", "GET /api/secret HTTP/1.1\r\n");
	by_regex("_", ".", "/api/__/b", "GET /b HTTP/1.1\r\n");
	by_regex("_", ".", "/api/__/__/__/b", NULL);
}

static void rewrite_host(void)
{
	struct tg_route_action a = {
		.host = TG_VIEW("v1.internal"), .append_x_forwarded_host = true};
	struct tg_regex *re = tg_regex_compile("^/api/([^/]+).*$", TG_REGEX_SEARCH, NULL);
	const char *origin;

	bench_start(4096);
	ask(&a, REQUEST("/api/x", "x-forwarded-host: first\r\n"), &origin);
	CU_ASSERT(has(origin, "\r\nHost: v1.internal\r\n"));
	CU_ASSERT(has(origin, "\r\nx-forwarded-host: first,shop.example:80\r\n"));
	bench_end();
	a = (struct tg_route_action){.host_field = TG_VIEW("X-Host")};
	bench_start(4096);
	ask(&a, REQUEST("/api/x", "x-host: other:1\r\n"), &origin);
	CU_ASSERT(has(origin, "\r\nHost: other:1\r\n"));
	bench_end();
	bench_start(4096); /* no host: it stays what it was */
	ask(&a, REQUEST("/api/x", "x-host: a b\r\n"), &origin);
	CU_ASSERT(has(origin, "\r\nHost: shop.example:80\r\n"));
	bench_end();
	a = (struct tg_route_action){.host_path = {re, TG_VIEW("\\1.internal")}};
	bench_start(4096);
	ask(&a, REQUEST("/api/cart/x", ""), &origin);
	CU_ASSERT(has(origin, "\r\nHost: cart.internal\r\n"));
	bench_end();
	tg_regex_free(re);
}

static struct tg_piece words(struct tg_view v)
{
	return (struct tg_piece){.text = v};
}

static void edits(void)
{
	const struct tg_piece client[] = {words(TG_VIEW("<")),
		{.kind = TG_PIECE_VAR, .var = TG_VAR_DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT},
		words(TG_VIEW(">")),
		{.kind = TG_PIECE_REQ, .text = TG_VIEW("none"), .other = TG_VIEW("x-b"), .max = 2}};
	const struct tg_piece origin_is[] = {{.kind = TG_PIECE_VAR, .var = TG_VAR_UPSTREAM_HOST},
		words(TG_VIEW(" ")), {.kind = TG_PIECE_RESP, .text = TG_VIEW("via")},
		{.kind = TG_PIECE_VAR, .var = TG_VAR_RESPONSE_CODE}};
	const struct tg_piece one[] = {words(TG_VIEW("1"))},
			      missing[] = {{.kind = TG_PIECE_REQ, .text = TG_VIEW("none")}};
	const struct tg_view gone[] = {TG_VIEW("X-A"), TG_VIEW("via")};
	const struct tg_field_add add[] = {
		{TG_VIEW("x-client"), 0, TG_APPEND_IF_EXISTS_OR_ADD, false, 4, client},
		{TG_VIEW("x-b"), 0, TG_ADD_IF_ABSENT, false, 1, one},
		{TG_VIEW("x-c"), 0, TG_OVERWRITE_IF_EXISTS_OR_ADD, false, 1, one},
		{TG_VIEW("x-d"), 0, TG_OVERWRITE_IF_EXISTS, false, 1, one},
		{TG_VIEW("x-e"), 0, TG_APPEND_IF_EXISTS_OR_ADD, false, 1, missing},
		{TG_VIEW("x-f"), 0, TG_APPEND_IF_EXISTS_OR_ADD, true, 1, missing}};
	const struct tg_field_add back[] = {
		{TG_VIEW("x-origin"), 0, TG_APPEND_IF_EXISTS_OR_ADD, false, 4, origin_is}};
	struct tg_edits request = {1, 6, gone, add}, response = {2, 1, gone, back};
	struct tg_route_action a = {.request = &request, .response = &response};
	const char *origin, *got;

	bench_start(4096);
	got = ask(&a, REQUEST("/api/x", "x-a: 1\r\nx-a: 2\r\nx-b: beta\r\nx-c: 7\r\nx-c: 8\r\n"),
		&origin);
	CU_ASSERT(has(origin, "\r\nx-client: <10.0.1.2>be\r\n"));
	CU_ASSERT(has(origin, "\r\nx-b: beta\r\n"));
	CU_ASSERT(has(origin, "\r\nx-c: 1\r\n"));
	CU_ASSERT(has(origin, "\r\nx-f: \r\n"));
	CU_ASSERT(!strstr(origin, "x-a") && !strstr(origin, "x-c: 7") && !strstr(origin, "x-c: 8"));
	CU_ASSERT(!strstr(origin, "x-b: 1") && !strstr(origin, "x-d") && !strstr(origin, "x-e"));
	CU_ASSERT(has(got, "\r\nx-origin: 10.0.2.2:8080 200\r\n"));
	CU_ASSERT(!strstr(got, "Via"));
	bench_end();
}

/* More fields than a head has room for at first. */
static void many_edits(void)
{
	const struct tg_piece one[] = {words(TG_VIEW("1"))};
	struct tg_field_add add[100];
	struct tg_edits e = {0, 100, NULL, add};
	struct tg_route_action a = {.request = &e, .response = &e};
	const char *origin, *got;
	uint32_t n = 0, m = 0;

	for (int i = 0; i < 100; i++)
		add[i] = (struct tg_field_add){
			TG_VIEW("x-many"), 0, TG_APPEND_IF_EXISTS_OR_ADD, false, 1, one};
	bench_start(1 << 16);
	got = ask(&a, REQUEST("/api/x", ""), &origin);
	for (const char *p = origin; (p = strstr(p, "x-many: 1\r\n")); p++)
		n++;
	for (const char *p = got; (p = strstr(p, "x-many: 1\r\n")); p++)
		m++;
	CU_ASSERT_EQUAL(n, 100);
	CU_ASSERT_EQUAL(m, 100);
	bench_end();
}

static void direct(void)
{
	const struct tg_piece one[] = {words(TG_VIEW("1"))};
	const struct tg_field_add add[] = {
		{TG_VIEW("x-one"), 0, TG_APPEND_IF_EXISTS_OR_ADD, false, 1, one}};
	struct tg_edits e = {0, 1, NULL, add};
	struct tg_route_action a = {.kind = TG_ACTION_DIRECT,
		.status = 403,
		.body = TG_VIEW("closed\n"),
		.response = &e};
	const char *origin, *got;

	bench_start(4096);
	got = ask(&a, REQUEST("/api/x", ""), &origin);
	CU_ASSERT(has(got, "HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\n"));
	CU_ASSERT(has(got, "\r\nx-one: 1\r\n"));
	CU_ASSERT(has(got, "\r\n\r\nclosed\n"));
	CU_ASSERT_EQUAL(b.n_origins, 0);
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_req_no_route], 0);
	bench_end();
}

static void cluster_by_field(void)
{
	struct tg_route_action a = {
		.kind = TG_ACTION_FIELD, .cluster_header = TG_VIEW("x-cluster"), .status = 404};
	const char *origin, *got;
	const struct tg_log_record *r;

	for (int i = 0; i < 3; i++) {
		bench_start(4096);
		b.snap->cluster_names =
			tg_cluster_names_build(b.snap->clusters, b.snap->n_clusters, take, NULL);
		bench_route()->cluster = NULL;
		got = ask(&a,
			i == 0   ? REQUEST("/api/x", "x-cluster: v1\r\n")
			: i == 1 ? REQUEST("/api/x", "x-cluster: v11\r\n")
				 : REQUEST("/api/x", ""),
			&origin);
		CU_ASSERT(has(got, i ? "HTTP/1.1 404 " : "HTTP/1.1 200 "));
		r = bench_log();
		CU_ASSERT_EQUAL(r->flags, i ? TG_FLAG(NC) : 0);
		CU_ASSERT_STRING_EQUAL(r->details, i ? "cluster_not_found" : "via_upstream");
		CU_ASSERT_EQUAL(b.core.why[TG_WHY_req_no_cluster], i ? 1 : 0);
		bench_end();
	}
}

/* Of weights 0, 1, 0 all go to the one. */
static void weighted(void)
{
	struct tg_weighted w[3] = {{.upto = 0}, {.upto = 1}, {.upto = 1}};
	struct tg_route_action a = {.kind = TG_ACTION_WEIGHTED, .n_weighted = 3, .weighted = w};
	const char *origin;

	bench_start(4096);
	w[0].cluster = w[2].cluster = &b.snap->clusters[1];
	w[1].cluster = bench_cluster();
	bench_route()->cluster = NULL;
	CU_ASSERT(has(ask(&a, REQUEST("/api/x", ""), &origin), "HTTP/1.1 200 "));
	bench_end();
}

/* --- mirrors -----------------------------------------------------------------------------------
 */

static struct tg_mirror mirror;
static const struct tg_route_action mirrored = {.status = 503, .n_mirrors = 1, .mirrors = &mirror};

static struct bench_peer *begin_mirrored(uint32_t buf)
{
	bench_start(buf);
	mirror = (struct tg_mirror){&b.snap->clusters[2], TG_FRACTION_WHOLE};
	memset(mirror.cluster->stats, 0, sizeof(*mirror.cluster->stats));
	bench_route()->action = &mirrored;
	return bench_client(0);
}

/* The mirror answers long after the origin, and is not waited for; its connection is used again. */
static void mirror_is_not_waited_for(void)
{
	struct bench_peer *c = begin_mirrored(4096);
	const char *got;

	bench_send(c, REQUEST("/api/x?y=1", "x-a: 1\r\n"));
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	CU_ASSERT(has(bench_got(b.origin[0]), "\r\nHost: shop.example:80\r\n"));
	got = bench_got(b.origin[1]);
	CU_ASSERT(has(got, "GET /api/x?y=1 HTTP/1.1\r\n"));
	CU_ASSERT(has(got, "\r\nHost: shop.example-shadow:80\r\n"));
	CU_ASSERT(has(got, "\r\nx-a: 1\r\n"));
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
	CU_ASSERT_EQUAL(b.core.http_exchanges, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bench_log());
	bench_send(b.origin[1], "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno");
	CU_ASSERT_EQUAL(b.core.http_exchanges, 0);
	CU_ASSERT_PTR_NULL(bench_log()); /* one request, one record */
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	bench_send(c, REQUEST("/api/z", ""));
	CU_ASSERT_EQUAL(b.n_origins, 2);
	CU_ASSERT(has(bench_got(b.origin[1]), "GET /api/z HTTP/1.1\r\n"));
	bench_got(b.origin[0]);
	bench_send(b.origin[0], OK5);
	bench_send(b.origin[1], OK5);
	CU_ASSERT_EQUAL(mirror.cluster->stats[0].mirror_rq_total, 2);
	CU_ASSERT_EQUAL(mirror.cluster->stats[0].mirror_rq_dropped, 0);
	bench_end();
}

/* Content arrives whole, in pieces as it came, whatever its framing. */
static void mirror_gets_the_body(void)
{
	struct bench_peer *c = begin_mirrored(4096);

	bench_send(
		c, "POST /api/x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 10\r\n\r\n01234");
	bench_send(c, "56789");
	CU_ASSERT(has(bench_got(b.origin[1]), "\r\n\r\n0123456789"));
	bench_send(b.origin[0], OK5);
	bench_send(b.origin[1], OK5);
	bench_send(c, "POST /api/x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: "
		      "chunked\r\n\r\n3\r\nabc\r\n");
	bench_send(c, "2\r\nde\r\n0\r\n\r\n");
	CU_ASSERT(has(bench_got(b.origin[1]), "\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
	bench_send(b.origin[0], OK5);
	bench_send(b.origin[1], OK5);
	CU_ASSERT_EQUAL(mirror.cluster->stats[0].mirror_rq_dropped, 0);
	CU_ASSERT_EQUAL(b.core.http_exchanges, 0);
	bench_end();
}

/* A mirror that reads nothing loses its copy; the origin gets everything. */
static void mirror_that_hangs(void)
{
	static char body[100001];
	struct bench_peer *c = begin_mirrored(4096);
	const char *got;

	memset(body, 'x', sizeof(body) - 1);
	bench_send(
		c, "POST /api/x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\n");
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	b.origin[1]->hold = true;
	bench_send(c, body);
	got = bench_got(b.origin[0]);
	CU_ASSERT_EQUAL(strlen(strstr(got, "\r\n\r\n")), 4 + 100000);
	CU_ASSERT_EQUAL(mirror.cluster->stats[0].mirror_rq_dropped, 1);
	CU_ASSERT_EQUAL(b.core.http_exchanges, 1);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
	bench_end();
}

/* Two copies for a cluster of one connection, which the second one has, as the first one's was
 * lost. Neither can follow: the end of the second gives its connection to the first, whose dialling
 * fails, so that it ends within the end of the other. */
static void mirror_that_ends_within_the_end_of_another(void)
{
	static struct tg_mirror two[2];
	static const struct tg_route_action twice = {.status = 503, .n_mirrors = 2, .mirrors = two};
	static char body[60001];
	struct bench_peer *c;
	struct tg_cluster *m;

	bench_start(1 << 16);
	m = &b.snap->clusters[2];
	two[0] = two[1] = (struct tg_mirror){m, TG_FRACTION_WHOLE};
	memset(m->stats, 0, sizeof(*m->stats));
	m->thresholds[TG_PRIORITY_DEFAULT].max[TG_RES_CX] = 1;
	tg_breaker_adopt(tg_breakers_get(b.breakers, m->name), m, 0);
	bench_route()->action = &twice;
	c = bench_client(0);
	b.connect_hangs = true;
	bench_send(
		c, "POST /api/x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 60000\r\n\r\n");
	tg_ready_raise(&b.ready, b.dialled[0], TG_EV_OPEN);
	bench_run();
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	b.connect_hangs = false;
	tg_memconn_deaf(b.origin[1]->conn);
	tg_ready_raise(&b.ready, b.dialled[1], TG_EV_OPEN);
	bench_run();
	tg_conn_finish(b.origin[1]->conn);
	bench_run();
	bench_reset(b.origin[1]);
	bench_run();
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 3);
	b.origin[2]->hold = true;
	b.connect_error = TG_ENOPORT;
	memset(body, 'x', sizeof(body) - 1);
	bench_send(c, body);
	CU_ASSERT_EQUAL(b.core.http_exchanges, 1);
	CU_ASSERT_EQUAL(m->stats[0].mirror_rq_total, 2);
	CU_ASSERT_EQUAL(m->stats[0].mirror_rq_dropped, 1);
	CU_ASSERT_EQUAL(strlen(strstr(bench_got(b.origin[0]), "\r\n\r\n")), 4 + 60000);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
	bench_end();
}

/* Copies are the first to go when a worker has too much to do. */
static void mirror_goes_first_in_overload(void)
{
	static struct tg_overload_conf conf = {.refresh = 100 * TG_MS, .max_connections = 1};
	struct bench_peer *c = begin_mirrored(4096);

	conf.watched[TG_MONITOR_CONNECTIONS] = true;
	conf.trigger[TG_OVERLOAD_NO_CONNECTIONS][TG_MONITOR_CONNECTIONS] =
		(struct tg_overload_trigger){true, false, TG_OVERLOAD_WHOLE, TG_OVERLOAD_WHOLE};
	b.snap->overload = &conf;
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, b.snap), 0);
	bench_send(c, "GET /api HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	CU_ASSERT_EQUAL(b.n_origins, 1);
	bench_send(b.origin[0], "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
	CU_ASSERT_PTR_NOT_NULL(strstr(bench_got(c), "hello"));
	CU_ASSERT_EQUAL(mirror.cluster->stats[0].mirror_rq_dropped, 1);
	bench_end();
}

/* Half a request is none: with the client gone, the mirror's is cut. */
static void mirror_of_a_cut_request(void)
{
	struct bench_peer *c = begin_mirrored(4096);

	bench_send(
		c, "POST /api/x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 10\r\n\r\n01234");
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	bench_reset(c);
	bench_run();
	CU_ASSERT(b.origin[1]->failed);
	CU_ASSERT_EQUAL(b.core.http_exchanges, 0);
	CU_ASSERT_EQUAL(mirror.cluster->stats[0].mirror_rq_dropped, 1);
	bench_end();
}

/* No mirror, no connection to it, or no time left: the request does not know. */
static void mirror_that_is_not_there(void)
{
	struct bench_peer *c = begin_mirrored(4096);

	mirror.cluster = &b.snap->clusters[1]; /* without endpoints */
	bench_send(c, REQUEST("/api/x", ""));
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 1);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
	CU_ASSERT_EQUAL(b.core.http_exchanges, 0);
	mirror.cluster = &b.snap->clusters[2];
	bench_send(c, REQUEST("/api/x", ""));
	CU_ASSERT_EQUAL_FATAL(b.n_origins, 2);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "\r\n\r\nhello"));
	bench_advance(16 * TG_SEC); /* the route's timeout */
	CU_ASSERT_EQUAL(b.core.http_exchanges, 0);
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_req_upstream_timeout], 0);
	mirror.fraction = 0;
	bench_send(c, REQUEST("/api/x", ""));
	CU_ASSERT_EQUAL(b.n_origins, 2);
	bench_send(b.origin[0], OK5);
	bench_end();
}

TG_TEST_MAIN("routes", {"redirects", redirects},
	{"redirects without path or host", redirects_without_path_or_host},
	{"rewrite by prefix", rewrite_by_prefix}, {"rewrite by expression", rewrite_by_regex},
	{"rewrite host", rewrite_host}, {"edits", edits}, {"many edits", many_edits},
	{"direct response", direct}, {"cluster by field", cluster_by_field},
	{"weighted clusters", weighted}, {"mirror: not waited for", mirror_is_not_waited_for},
	{"mirror: body", mirror_gets_the_body}, {"mirror: hangs", mirror_that_hangs},
	{"a mirror that ends within the end of another",
		mirror_that_ends_within_the_end_of_another},
	{"mirror: goes first in overload", mirror_goes_first_in_overload},
	{"mirror: cut request", mirror_of_a_cut_request},
	{"mirror: not there", mirror_that_is_not_there})
