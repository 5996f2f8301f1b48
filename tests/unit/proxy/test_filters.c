/* Where exchanges meet filters: what these see, what becomes of their word, that each hears of the
 * end once. */
#include "../tgtest.h"
#include "bench.h"

#define GET "GET /api/x?y=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* A filter that does as it is told. */
static struct {
	enum tg_verdict request, response, conn;
	uint64_t wait;     /* TG_WAIT: ns until it wants to be asked again; 0: until resumed */
	uint32_t waits;    /* so often, then it passes */
	uint64_t per_wait; /* on_body: bytes more each time */
	bool edit, limit;
	uint8_t cut;
	uint32_t requests, responses, bodies, ends, conns;
	struct tg_exchange *ex;
	struct tg_client client;
	struct tg_outcome outcome;
	char route[32], seen[2048];
	uint8_t state_sum;
} puppet;

static enum tg_verdict act(struct tg_exchange *ex, enum tg_verdict v)
{
	static const struct tg_field retry = {
		{(const uint8_t *)"retry-after", 11}, {(const uint8_t *)"7", 1}, 0, false};

	ex->reply = (struct tg_filter_reply){.status = 429,
		.flags = TG_FLAG(RL),
		.why = TG_WHY_req_filter,
		.cut = puppet.cut,
		.details = TG_VIEW("puppet_said_so"),
		.body = TG_VIEW("no"),
		.fields = &retry,
		.n_fields = 1};
	if (v != TG_WAIT)
		return v;
	if (!puppet.waits)
		return TG_PASS;
	puppet.waits--;
	ex->wake_at = puppet.wait ? ex->now + puppet.wait : UINT64_MAX;
	return TG_WAIT;
}

static void note(const struct tg_msg *m)
{
	size_t n = 0;

	for (uint32_t i = 0; i < m->n_fields; i++)
		if (!m->fields[i].removed)
			n += (size_t)snprintf(puppet.seen + n, sizeof(puppet.seen) - n,
				"%.*s: %.*s\n", (int)m->fields[i].name.n, m->fields[i].name.p,
				(int)m->fields[i].value.n, m->fields[i].value.p);
}

static enum tg_verdict on_request(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	uint8_t *state = tg_filter_state(f, ex);

	puppet.requests++;
	for (int i = 0; i < 64; i++)
		puppet.state_sum |= state[i];
	puppet.ex = ex;
	puppet.client = ex->client;
	snprintf(puppet.route, sizeof(puppet.route), "%s", ex->route ? ex->route : "none");
	note(m);
	if (puppet.edit)
		CU_ASSERT_EQUAL(
			tg_msg_add(m, TG_FIELD_UNKNOWN, TG_VIEW("x-by"), TG_VIEW("filter")), 0);
	return act(ex, puppet.request);
}

static enum tg_verdict on_response(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	puppet.responses++;
	puppet.ex = ex;
	if (puppet.edit)
		CU_ASSERT_EQUAL(
			tg_msg_add(m, TG_FIELD_UNKNOWN, TG_VIEW("x-back"), TG_VIEW("yes")), 0);
	return act(ex, puppet.response);
}

static enum tg_verdict on_body(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_body *body)
{
	puppet.bodies++;
	if (!puppet.limit || !body->response)
		return TG_PASS;
	body->allow = body->moved;
	if (puppet.per_wait && ex->now >= puppet.wait) {
		body->allow += puppet.per_wait;
		puppet.wait = ex->now + 10 * TG_MS;
	}
	ex->wake_at = puppet.wait;
	return TG_WAIT;
}

static void on_end(const struct tg_filter *f, struct tg_exchange *ex, const struct tg_outcome *o)
{
	puppet.ends++;
	puppet.outcome = *o;
}

static enum tg_verdict on_conn(const struct tg_filter *f, const struct tg_client *c,
	uint32_t worker, struct tg_filter_reply *why)
{
	puppet.conns++;
	puppet.client = *c;
	why->details = TG_VIEW("puppet_closed_it");
	return puppet.conn;
}

static int compile(void *conf, const void *in, const struct tg_filter_env *env)
{
	return 0;
}

static const struct tg_filter_ops ops = {.name = "puppet",
	.exch_size = 64,
	.compile = compile,
	.on_conn = on_conn,
	.on_request = on_request,
	.on_response = on_response,
	.on_body = on_body,
	.on_end = on_end};

static struct tg_filter_conf conf, disabled;
static struct tg_filter_chain chain, empty_chain, *overrides[2];
static char memory[65536];
static size_t used;

static void *take(void *ctx, size_t n)
{
	void *p = memory + used;

	used += (n + 15) & ~(size_t)15;
	CU_ASSERT_FATAL(used <= sizeof(memory));
	return memset(p, 0, n);
}

static void start_at(uint32_t listener)
{
	const struct tg_filter_env env = {take, NULL, 1};
	struct tg_filter_list l = {1, &conf}, off = {1, &disabled};

	memset(&puppet, 0, sizeof(puppet));
	used = 0;
	bench_start(65536);
	CU_ASSERT_EQUAL_FATAL(tg_filter_compile(&conf, &ops, "", NULL, &env), 0);
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_build(&chain, &l, 1, &env), 0);
	disabled = conf;
	disabled.disabled = true;
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_build(&empty_chain, &off, 1, &env), 0);
	b.snap->listeners[listener].filters = &chain;
}

static void start(void)
{
	start_at(0);
}

static bool has(const char *text, const char *part)
{
	if (strstr(text, part))
		return true;
	printf("\n--- not found: %s\n--- in: %s\n", part, text);
	return false;
}

static void sees_what_the_origin_gets(void)
{
	struct bench_peer *c;
	const char *got;

	start();
	puppet.edit = true;
	c = bench_client(0);
	CU_ASSERT_EQUAL(puppet.conns, 1);
	bench_send(c, "GET /api/../api/x HTTP/1.1\r\nHost: shop.example\r\nX-Inner: 1\r\n"
		      "Connection: x-inner\r\nX-Forwarded-Client-Cert: forged\r\n"
		      "X-Forwarded-For: 1.2.3.4\r\nTE: trailers\r\n\r\n");
	CU_ASSERT_EQUAL(puppet.requests, 1);
	CU_ASSERT_PTR_NULL(strstr(puppet.seen, "X-Inner"));
	CU_ASSERT_PTR_NULL(strstr(puppet.seen, "forged"));
	CU_ASSERT_PTR_NULL(strstr(puppet.seen, "Connection"));
	CU_ASSERT(has(puppet.seen, "x-forwarded-for: 1.2.3.4, 10.0.1.2\n"));
	CU_ASSERT(has(puppet.seen, "x-request-id: "));
	CU_ASSERT_STRING_EQUAL(puppet.route, "r");
	CU_ASSERT_EQUAL(puppet.state_sum, 0);
	CU_ASSERT_EQUAL(puppet.client.remote.port, 40000);
	CU_ASSERT(!puppet.client.tls && !puppet.client.identity);
	got = bench_got(b.origin[0]);
	CU_ASSERT(has(got, "GET /api/x HTTP/1.1\r\n"));
	CU_ASSERT(has(got, "\r\nx-by: filter\r\n"));
	bench_send(b.origin[0], OK5);
	got = bench_got(c);
	CU_ASSERT(has(got, "\r\nx-back: yes\r\n"));
	CU_ASSERT(has(got, "hello"));
	CU_ASSERT_EQUAL(puppet.ends, 1);
	CU_ASSERT_EQUAL(puppet.outcome.status, 200);
	CU_ASSERT_EQUAL(puppet.outcome.response_bytes, 5);
	CU_ASSERT_EQUAL(puppet.outcome.why, TG_WHY_none);
	CU_ASSERT(puppet.bodies > 0);
	bench_end();
	CU_ASSERT_EQUAL(puppet.ends, 1);
}

static void replies(void)
{
	const struct tg_log_record *r;
	struct bench_peer *c;
	const char *got;

	start();
	puppet.request = TG_REPLY;
	puppet.edit = true;
	c = bench_client(0);
	bench_send(c, GET);
	got = bench_got(c);
	CU_ASSERT(has(got, "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n"
			   "content-type: text/plain\r\n"));
	CU_ASSERT(has(got, "\r\nretry-after: 7\r\n"));
	CU_ASSERT(has(got, "\r\nx-back: yes\r\n\r\nno")); /* our own answers pass on_response */
	CU_ASSERT_EQUAL(b.n_origins, 0);
	r = bench_log();
	CU_ASSERT_EQUAL(r->status, 429);
	CU_ASSERT_EQUAL(r->flags, TG_FLAG(RL));
	CU_ASSERT(tg_view_eq(
		tg_view_of(r->filter_details.b, r->filter_details.n), TG_VIEW("puppet_said_so")));
	CU_ASSERT(tg_view_eq(tg_view_of(r->route.b, r->route.n), TG_VIEW("r")));
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_req_filter], 1);
	CU_ASSERT_EQUAL(puppet.ends, 1);
	/* the connection goes on */
	puppet.request = TG_PASS;
	bench_send(c, GET);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	CU_ASSERT(!bench_log()->has_filter_details);
	/* HEAD has a length and no content; half a body ends the connection */
	puppet.request = TG_REPLY;
	bench_send(c, "HEAD /api HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	got = bench_got(c);
	CU_ASSERT(has(got, "content-length: 2\r\n"));
	CU_ASSERT_STRING_EQUAL(got + strlen(got) - 4, "\r\n\r\n");
	bench_send(c, "POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 9\r\n\r\nabc");
	CU_ASSERT(has(bench_got(c), "connection: close\r\n\r\nno"));
	CU_ASSERT(c->eof);
	CU_ASSERT_EQUAL(puppet.ends, 4);
	bench_end();
}

/* Who may not know answers nothing else, not even 404. */
static void before_no_route(void)
{
	struct bench_peer *c;

	start();
	puppet.request = TG_REPLY;
	c = bench_client(0);
	bench_send(c, "GET /nowhere HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 429 "));
	CU_ASSERT_STRING_EQUAL(puppet.route, "none");
	puppet.request = TG_PASS;
	bench_send(c, "GET /nowhere HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 404 "));
	CU_ASSERT_EQUAL(puppet.ends, 2);
	bench_end();
}

static void resets(void)
{
	struct bench_peer *c;

	start();
	puppet.request = TG_RESET;
	c = bench_client(0);
	bench_send(c, GET);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	CU_ASSERT_EQUAL(b.core.why[TG_WHY_req_filter], 1);
	CU_ASSERT_EQUAL(puppet.ends, 1);
	puppet.request = TG_PASS;
	puppet.response = TG_RESET;
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[0], OK5);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	CU_ASSERT_EQUAL(puppet.ends, 2);
	/* our own answers too */
	c = bench_client(0);
	bench_send(c, "GET /nowhere HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(puppet.ends, 3);
	/* an end that looks orderly; an alert where there is no TLS */
	puppet.cut = TG_CUT_FIN;
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[1], OK5);
	CU_ASSERT(c->eof && !c->failed);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	puppet.cut = TG_CUT_ALERT;
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[2], OK5);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(puppet.ends, 5);
	/* which cannot be had: no orderly end in its place */
	puppet.cut = TG_CUT_FIN;
	c = bench_client(0);
	tg_memconn_faultless(c->conn);
	bench_send(c, GET);
	bench_send(b.origin[3], OK5);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(puppet.ends, 6);
	bench_end();
}

static void waits(void)
{
	struct bench_peer *c;

	start();
	bench_route()->timeout = TG_SEC;
	puppet.request = TG_WAIT;
	puppet.waits = 2;
	puppet.wait = 3 * TG_SEC; /* longer than the route's timeout, which has not begun */
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(c, GET); /* pipelined: no reason to ask again */
	CU_ASSERT_EQUAL(puppet.requests, 1);
	bench_advance(2900 * TG_MS);
	CU_ASSERT_EQUAL(puppet.requests, 1);
	CU_ASSERT_EQUAL(b.n_origins, 0);
	bench_advance(200 * TG_MS);
	CU_ASSERT_EQUAL(puppet.requests, 2);
	bench_advance(3100 * TG_MS);
	CU_ASSERT_EQUAL(puppet.requests, 3);
	CU_ASSERT_EQUAL(b.n_origins, 1);
	CU_ASSERT(has(bench_got(b.origin[0]), "GET /api/x?y=1 HTTP/1.1\r\n"));
	bench_advance(800 * TG_MS);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "200 OK"));
	CU_ASSERT_EQUAL(puppet.ends, 1);
	/* and then the route's timeout does run */
	bench_run();
	CU_ASSERT_EQUAL(puppet.requests, 4);
	bench_advance(1100 * TG_MS);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 504 "));
	CU_ASSERT_EQUAL(puppet.ends, 2);
	bench_end();
}

static void is_resumed(void)
{
	struct bench_peer *c;

	start();
	puppet.request = TG_WAIT;
	puppet.waits = 1;
	c = bench_client(0);
	bench_send(c, GET);
	bench_advance(10 * TG_SEC);
	CU_ASSERT_EQUAL(puppet.requests, 1);
	tg_exchange_resume(puppet.ex);
	bench_advance(TG_MS);
	CU_ASSERT_EQUAL(puppet.requests, 2);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	bench_end();
}

/* The client goes, the stream's idle timeout comes, the process ends: a waiting filter hears it. */
static void ends_while_waiting(void)
{
	struct bench_peer *c;

	start();
	puppet.request = TG_WAIT;
	puppet.waits = 100;
	c = bench_client(0);
	bench_send(c, GET);
	bench_reset(c);
	CU_ASSERT_EQUAL(puppet.ends, 1);
	CU_ASSERT_EQUAL(puppet.outcome.why, TG_WHY_req_downstream_gone);
	c = bench_client(0);
	bench_send(c, GET);
	bench_advance(301 * TG_SEC);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 408 "));
	CU_ASSERT_EQUAL(puppet.ends, 2);
	c = bench_client(0);
	bench_send(c, GET);
	tg_proxy_abort_all(b.proxy);
	CU_ASSERT_EQUAL(puppet.ends, 3);
	CU_ASSERT_EQUAL(puppet.outcome.why, TG_WHY_req_drain);
	bench_end();
}

static void response_waits(void)
{
	struct bench_peer *c;

	start();
	puppet.response = TG_WAIT;
	puppet.waits = 2;
	puppet.wait = TG_SEC;
	puppet.edit = true;
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[0], "HTTP/1.1 200 OK\r\nX-A: b\r\nConte");
	bench_send(b.origin[0], "nt-Length: 5\r\n\r\nhello");
	bench_advance(500 * TG_MS);
	CU_ASSERT_STRING_EQUAL(bench_got(c), "");
	CU_ASSERT_EQUAL(puppet.responses, 1);
	bench_fin(b.origin[0]);
	bench_advance(600 * TG_MS);
	CU_ASSERT_EQUAL(puppet.responses, 2);
	bench_advance(1100 * TG_MS);
	CU_ASSERT_EQUAL(puppet.responses, 3);
	/* begun anew each time: one field, not three */
	CU_ASSERT(has(bench_got(c), "200 OK\r\nX-A: b\r\n"));
	CU_ASSERT_EQUAL(puppet.outcome.response_bytes, 5);
	CU_ASSERT_EQUAL(puppet.ends, 1);
	bench_end();
}

static void response_is_replaced(void)
{
	struct bench_peer *c;
	const char *got;

	start();
	puppet.response = TG_REPLY;
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[0], OK5);
	got = bench_got(c);
	CU_ASSERT(has(got, "HTTP/1.1 429 "));
	CU_ASSERT_PTR_NULL(strstr(got, "hello"));
	CU_ASSERT_EQUAL(puppet.responses, 1); /* not for the answer that it gave itself */
	CU_ASSERT_EQUAL(puppet.ends, 1);
	bench_end();
}

static void body_is_rationed(void)
{
	static const char *const heads[] = {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"};

	for (int chunked = 0; chunked < 2; chunked++) {
		struct bench_peer *c;
		uint32_t n = 0;

		start();
		puppet.limit = true;
		puppet.per_wait = 5;
		c = bench_client(0);
		bench_send(c, GET);
		puppet.wait = b.wheel.now;
		bench_send(b.origin[0], heads[chunked]);
		bench_send(b.origin[0], chunked ? "14\r\n01234567890123456789\r\n0\r\n\r\n"
						: "01234567890123456789");
		for (int i = 0; i < 4; i++) {
			for (const char *g = bench_got(c); *g; g++)
				n += *g >= '0' && *g <= '9';
			if (i == 0)
				CU_ASSERT_EQUAL(puppet.ends, 0);
			bench_advance(11 * TG_MS);
		}
		bench_advance(50 * TG_MS);
		CU_ASSERT_EQUAL(puppet.outcome.response_bytes, 20);
		CU_ASSERT_EQUAL(puppet.ends, 1);
		CU_ASSERT_EQUAL(b.core.http_exchanges, 0);
		CU_ASSERT(n > 15);
		bench_end();
	}
}

/* Each way that an exchange can end. */
static void end_comes_once(void)
{
	struct bench_peer *c;

	start();
	c = bench_client(0);
	bench_send(c, "GET / HTTP/1.1\r\nbad head\r\n\r\n"); /* no filter has seen it */
	CU_ASSERT_EQUAL(puppet.ends, 0);
	c = bench_client(0);
	bench_send(c, GET);
	bench_reset(b.origin[0]);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 "));
	CU_ASSERT_EQUAL(puppet.ends, 1);
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[1], "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal");
	bench_reset(b.origin[1]); /* after the head: cut */
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(puppet.ends, 2);
	CU_ASSERT_EQUAL(puppet.outcome.why, TG_WHY_req_cut_upstream);
	c = bench_client(0);
	bench_send(c, GET);
	bench_reset(c);
	CU_ASSERT_EQUAL(puppet.ends, 3);
	c = bench_client(0);
	bench_send(c, "GET /empty HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 "));
	CU_ASSERT_EQUAL(puppet.ends, 4);
	c = bench_client(0);
	bench_send(c, "POST /api HTTP/1.1\r\nHost: shop.example\r\n"
		      "Transfer-Encoding: chunked\r\n\r\nzz\r\n");
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 400 "));
	CU_ASSERT_EQUAL(puppet.ends, 5);
	c = bench_client(0);
	bench_send(c, GET);
	bench_advance(16 * TG_SEC);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 504 "));
	CU_ASSERT_EQUAL(puppet.ends, 6);
	CU_ASSERT_EQUAL(puppet.requests, 6);
	bench_end();
	CU_ASSERT_EQUAL(puppet.ends, 6);
}

static void connections(void)
{
	struct bench_peer *c;
	const struct tg_log_record *r;

	start();
	puppet.conn = TG_RESET;
	c = bench_client(0);
	CU_ASSERT_TRUE(c->failed);
	puppet.conn = TG_PASS;
	c = bench_client(0);
	CU_ASSERT_FALSE(c->failed);
	bench_end();
	start_at(1);
	puppet.conn = TG_RESET;
	c = bench_client(1);
	CU_ASSERT_TRUE(c->failed);
	CU_ASSERT_EQUAL(b.n_origins, 0);
	r = bench_log();
	CU_ASSERT(r && r->tcp);
	CU_ASSERT(r && tg_view_eq(tg_view_of(r->filter_details.b, r->filter_details.n),
			       TG_VIEW("puppet_closed_it")));
	puppet.conn = TG_PASS;
	c = bench_client(1);
	CU_ASSERT_FALSE(c->failed);
	CU_ASSERT_EQUAL(b.n_origins, 1);
	CU_ASSERT_EQUAL(puppet.requests, 0);
	bench_end();
}

static void routes_override(void)
{
	struct bench_peer *c;

	start();
	puppet.request = TG_REPLY;
	bench_web()->overrides = overrides;
	overrides[1] = &empty_chain;
	bench_route()->filters = 1;
	c = bench_client(0);
	bench_send(c, GET);
	bench_send(b.origin[0], OK5);
	CU_ASSERT(has(bench_got(c), "hello"));
	bench_send(c, "GET /empty HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 429 "));
	/* the other way round: only the route has some */
	bench_web()->filters = NULL;
	overrides[1] = &chain;
	bench_send(c, GET);
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 429 "));
	bench_send(c, "GET /empty HTTP/1.1\r\nHost: shop.example\r\n\r\n");
	CU_ASSERT(has(bench_got(c), "HTTP/1.1 503 "));
	bench_end();
}

TG_TEST_MAIN("filters in the proxy",
	{"they see what the origin gets, and can edit it", sees_what_the_origin_gets},
	{"replies", replies}, {"before 404", before_no_route}, {"resets", resets},
	{"waits; the route's timeout does too", waits}, {"is resumed", is_resumed},
	{"ends while waiting", ends_while_waiting}, {"response waits", response_waits},
	{"response is replaced", response_is_replaced}, {"body is rationed", body_is_rationed},
	{"the end comes once, however it comes", end_comes_once},
	{"connections are refused", connections}, {"routes override", routes_override})
