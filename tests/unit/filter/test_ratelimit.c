/* Limits of requests: which bucket a request takes from, what is answered, what is told. */
#include <tidegate/log.h>
#include <tidegate/ratelimit.h>

#include "../tgtest.h"
#include "rig.h"

#define MILLION 1000000u
#define SEC UINT64_C(1000000000)
#define F(name_, value_) \
	(struct tg_field) \
	{ \
		.name = TG_VIEW_OF(name_), .value = TG_VIEW_OF(value_) \
	}
#define V(text) TG_VIEW_OF(text)

static struct rig rig;
static struct tg_msg msg;
static struct tg_exchange *ex;
static struct tg_ip from;
static const struct tg_identity *who;
static const char *path = "/";

static const struct tg_bucket_rate two = {2, 1, SEC}, three = {3, 3, 10 * SEC}, one = {1, 1, SEC};

static void start(struct tg_ratelimit_in in)
{
	struct tg_filter_conf *conf;
	struct tg_filter_list list = {1, NULL};
	struct tg_ratelimit_in *kept;

	rig_start(&rig);
	in.status = in.status ? in.status : 429;
	in.max_dynamic_descriptors = 1000;
	kept = rig_alloc(&rig, sizeof(*kept));
	*kept = in;
	conf = rig_alloc(&rig, sizeof(*conf));
	list.confs = conf;
	CU_ASSERT_EQUAL_FATAL(tg_filter_compile(conf, &tg_ratelimit_http, "", kept, &rig.env), 0);
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_build(&rig.chain, &list, 1, &rig.env), 0);
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_bind(&rig.chain, rig.stats, "web"), 0);
	tg_ip_parse("10.0.0.1", &from);
	who = NULL;
	path = "/";
}

static enum tg_verdict ask_on(uint32_t worker, uint64_t now, struct tg_field *fields, uint16_t n)
{
	ex = rig_alloc(&rig, sizeof(*ex) + rig.chain.exch_bytes);
	ex->chain = &rig.chain;
	ex->arena = &rig.arena;
	ex->worker = worker;
	ex->rng = &rig.rng;
	ex->now = now;
	ex->client.remote.ip = from;
	ex->client.identity = who;
	msg = (struct tg_msg){.is_request = true, .fields = fields, .n_fields = n, .field_cap = n};
	msg.path = tg_view_str(path);
	return tg_chain_request(ex, &msg);
}

static enum tg_verdict ask(struct tg_field *fields, uint16_t n)
{
	return ask_on(0, 100 * SEC, fields, n);
}

/* Requests that pass before one is refused, at most 100. */
static uint32_t passed(struct tg_field *fields, uint16_t n)
{
	uint32_t k = 0;

	while (k < 100 && ask(fields, n) == TG_PASS)
		k++;
	return k;
}

static uint64_t count(enum tg_ratelimit_counter i)
{
	const struct tg_filter *f = &rig.chain.filters[0];

	return f->counters[i] + f->counters[TG_FILTER_ROW(TG_RATELIMIT_COUNTERS) + i];
}

static const char *field(const struct tg_field *f, uint32_t n, const char *name)
{
	static char out[64];

	for (uint32_t i = 0; i < n; i++)
		if (tg_view_eq(f[i].name, tg_view_str(name))) {
			snprintf(out, sizeof(out), "%.*s", (int)f[i].value.n, f[i].value.p);
			return out;
		}
	return "none";
}

#define ALWAYS .filter_enabled = MILLION, .filter_enforced = MILLION
#define DEFAULT(rate_) ALWAYS, .has_default = true, .always_default = true, .rate = rate_

static void one_bucket(void)
{
	struct tg_field more = F("x-why", "limit");

	start((struct tg_ratelimit_in){DEFAULT(two), .n_fields = 1, .fields = &more});
	CU_ASSERT_EQUAL(ask_on(0, 100 * SEC, NULL, 0), TG_PASS);
	CU_ASSERT_EQUAL(ask_on(1, 100 * SEC, NULL, 0), TG_PASS); /* of all workers */
	CU_ASSERT_EQUAL(ask_on(1, 100 * SEC + SEC / 4, NULL, 0), TG_REPLY);
	CU_ASSERT_EQUAL(ex->reply.status, 429);
	CU_ASSERT_EQUAL(ex->reply.flags, TG_FLAG(RL));
	CU_ASSERT_EQUAL(ex->reply.why, TG_WHY_req_rate_limited);
	CU_ASSERT(tg_view_eq(ex->reply.details, TG_VIEW("local_rate_limited")));
	CU_ASSERT_EQUAL_FATAL(ex->reply.n_fields, 2);
	CU_ASSERT_STRING_EQUAL(field(ex->reply.fields, 2, "retry-after"), "1");
	CU_ASSERT_STRING_EQUAL(field(ex->reply.fields, 2, "x-why"), "limit");
	CU_ASSERT_EQUAL(ask_on(1, 101 * SEC, NULL, 0), TG_PASS);
	CU_ASSERT_EQUAL(ask_on(0, 101 * SEC, NULL, 0), TG_REPLY);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_ENABLED), 5);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_OK), 3);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_LIMITED), 2);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_ENFORCED), 2);
	rig_end(&rig);
	start((struct tg_ratelimit_in){DEFAULT(one), .status = 503});
	CU_ASSERT_EQUAL(passed(NULL, 0), 1);
	CU_ASSERT_EQUAL(ex->reply.status, 503);
	rig_end(&rig);
}

static void enabled_and_enforced(void)
{
	start((struct tg_ratelimit_in){
		.has_default = true, .rate = one, .filter_enforced = MILLION});
	CU_ASSERT_EQUAL(passed(NULL, 0), 100);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_ENABLED), 0);
	rig_end(&rig);
	start((struct tg_ratelimit_in){
		.has_default = true, .rate = one, .filter_enabled = MILLION});
	CU_ASSERT_EQUAL(passed(NULL, 0), 100);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_LIMITED), 99);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_ENFORCED), 0);
	rig_end(&rig);
}

static void told(void)
{
	struct tg_field room[4];
	struct tg_msg r = {.fields = room, .field_cap = 4};

	start((struct tg_ratelimit_in){DEFAULT(two), .x_ratelimit_headers = true});
	CU_ASSERT_EQUAL(ask_on(0, 100 * SEC + 1, NULL, 0), TG_PASS);
	CU_ASSERT_EQUAL(tg_chain_response(ex, &r), TG_PASS);
	CU_ASSERT_EQUAL(r.n_fields, 3);
	CU_ASSERT_STRING_EQUAL(field(room, r.n_fields, "x-ratelimit-limit"), "2");
	CU_ASSERT_STRING_EQUAL(field(room, r.n_fields, "x-ratelimit-remaining"), "1");
	CU_ASSERT_STRING_EQUAL(field(room, r.n_fields, "x-ratelimit-reset"), "1");
	CU_ASSERT_EQUAL(passed(NULL, 0), 1);
	r.n_fields = 0;
	ex->local = true;
	CU_ASSERT_EQUAL(tg_chain_response(ex, &r), TG_PASS);
	CU_ASSERT_STRING_EQUAL(field(room, r.n_fields, "x-ratelimit-remaining"), "0");
	r.n_fields = r.field_cap = 0; /* no room */
	CU_ASSERT_EQUAL(tg_chain_response(ex, &r), TG_PASS);
	rig_end(&rig);
	start((struct tg_ratelimit_in){DEFAULT(two)});
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_PASS);
	r = (struct tg_msg){.fields = room, .field_cap = 4};
	CU_ASSERT_EQUAL(tg_chain_response(ex, &r), TG_PASS);
	CU_ASSERT_EQUAL(r.n_fields, 0);
	rig_end(&rig);
}

/* --- descriptors --- */

static const struct tg_ratelimit_action tenant = {
	.kind = TG_RATELIMIT_HEADER, .key = V("tenant"), .value = V("X-Tenant")};
static const struct tg_ratelimit_action by_path = {.kind = TG_RATELIMIT_PATH, .key = V("path")};

static void descriptors(void)
{
	const struct tg_ratelimit_action both[] = {tenant, by_path};
	const struct tg_ratelimit_limit limits[] = {{1, &tenant}, {2, both}};
	const struct tg_ratelimit_entry gold = {.key = V("tenant"), .value = V("gold")},
					any = {.key = V("tenant"), .any = true},
					report[] = {{.key = V("tenant"), .any = true},
						{.key = V("path"), .value = V("/report")}};
	const struct tg_ratelimit_descriptor d[] = {
		{1, &gold, three}, {1, &any, two}, {2, report, one}};
	struct tg_field g = F("x-tenant", "gold"), a = F("x-tenant", "a"), b = F("x-tenant", "b"),
			none = F("x-other", "gold");
	struct tg_ratelimit_in in = {
		ALWAYS, .n_limits = 2, .limits = limits, .n_descriptors = 3, .descriptors = d};

	start(in);
	CU_ASSERT_EQUAL(passed(&g, 1), 3); /* the first that fits, not the one for any */
	CU_ASSERT_STRING_EQUAL(field(ex->reply.fields, ex->reply.n_fields, "retry-after"), "10");
	CU_ASSERT_EQUAL(passed(&a, 1), 2);
	CU_ASSERT_EQUAL(passed(&b, 1), 2);      /* a bucket for each value */
	CU_ASSERT_EQUAL(passed(&none, 1), 100); /* no descriptor, no default */
	CU_ASSERT_EQUAL(passed(NULL, 0), 100);
	rig_end(&rig);
	/* every limit has to have a token; of each only the first descriptor counts */
	start(in);
	path = "/report";
	CU_ASSERT_EQUAL(passed(&a, 1), 1);
	CU_ASSERT_EQUAL(passed(&g, 1), 1);
	rig_end(&rig);
	/* with a default: as well, or only for what no descriptor fits */
	in.has_default = in.always_default = true;
	in.rate = three;
	start(in);
	CU_ASSERT_EQUAL(passed(&a, 1), 2);
	CU_ASSERT_EQUAL(passed(NULL, 0), 1);
	rig_end(&rig);
	in.always_default = false;
	start(in);
	CU_ASSERT_EQUAL(passed(&a, 1), 2);
	CU_ASSERT_EQUAL(passed(&b, 1), 2);
	CU_ASSERT_EQUAL(passed(NULL, 0), 3);
	rig_end(&rig);
}

/* One limit of one action; the descriptor's value is open, or is `value`. */
static void start_one(const struct tg_ratelimit_action *a, const char *value)
{
	static struct tg_ratelimit_action action;
	static struct tg_ratelimit_limit limit;
	static struct tg_ratelimit_entry e;
	static struct tg_ratelimit_descriptor d;

	action = *a;
	limit = (struct tg_ratelimit_limit){1, &action};
	e = (struct tg_ratelimit_entry){.key = a->key, .any = !value};
	if (value)
		e.value = tg_view_str(value);
	if (value &&
		(a->kind == TG_RATELIMIT_REMOTE_ADDRESS || a->kind == TG_RATELIMIT_MASKED_ADDRESS))
		CU_ASSERT_EQUAL_FATAL(tg_ip_prefix_parse(value, &e.ip), 0);
	d = (struct tg_ratelimit_descriptor){1, &e, one};
	start((struct tg_ratelimit_in){
		ALWAYS, .n_limits = 1, .limits = &limit, .n_descriptors = 1, .descriptors = &d});
}

static uint32_t passed_from(const char *ip)
{
	CU_ASSERT_EQUAL_FATAL(tg_ip_parse(ip, &from), 0);
	return passed(NULL, 0);
}

static void by_address(void)
{
	struct tg_ratelimit_action a = {.kind = TG_RATELIMIT_REMOTE_ADDRESS, .key = V("k")};

	start_one(&a, NULL);
	CU_ASSERT_EQUAL(passed_from("10.0.0.1"), 1);
	CU_ASSERT_EQUAL(passed_from("10.0.0.1"), 0);
	CU_ASSERT_EQUAL(passed_from("10.0.0.2"), 1);
	CU_ASSERT_EQUAL(passed_from("fd00::1"), 1);
	CU_ASSERT_EQUAL(passed_from("fd00::2"), 1);
	rig_end(&rig);
	start_one(&a, "10.0.0.2");
	CU_ASSERT_EQUAL(passed_from("10.0.0.1"), 100);
	CU_ASSERT_EQUAL(passed_from("10.0.0.2"), 1);
	rig_end(&rig);
	a = (struct tg_ratelimit_action){
		.kind = TG_RATELIMIT_MASKED_ADDRESS, .key = V("k"), .v4_len = 23, .v6_len = 65};
	start_one(&a, NULL);
	CU_ASSERT_EQUAL(passed_from("10.0.0.1"), 1);
	CU_ASSERT_EQUAL(passed_from("10.0.1.255"), 0);
	CU_ASSERT_EQUAL(passed_from("10.0.2.0"), 1);
	CU_ASSERT_EQUAL(passed_from("fd00::1"), 1);
	CU_ASSERT_EQUAL(passed_from("fd00::7fff:ffff:ffff:ffff"), 0);
	CU_ASSERT_EQUAL(passed_from("fd00::8000:0:0:1"), 1);
	CU_ASSERT_EQUAL(passed_from("fd00:0:0:1::1"), 1);
	rig_end(&rig);
	start_one(&a, "10.0.2.0/23");
	CU_ASSERT_EQUAL(passed_from("10.0.0.1"), 100);
	CU_ASSERT_EQUAL(passed_from("10.0.3.1"), 1);
	rig_end(&rig);
}

static void by_identity(void)
{
	const struct tg_identity web = {.uri = V("spiffe://a/web")},
				 ops = {.uri = V("spiffe://a/ops")}, dns = {.dns = V("web")};

	start_one(
		&(struct tg_ratelimit_action){.kind = TG_RATELIMIT_IDENTITY, .key = V("k")}, NULL);
	who = &web;
	CU_ASSERT_EQUAL(passed(NULL, 0), 1);
	who = &ops;
	CU_ASSERT_EQUAL(passed(NULL, 0), 1);
	who = &dns;
	CU_ASSERT_EQUAL(passed(NULL, 0), 100);
	who = NULL;
	CU_ASSERT_EQUAL(passed(NULL, 0), 100);
	rig_end(&rig);
}

static void by_other_things(void)
{
	static const struct tg_header_match beta = {.name = V("x-beta"), .kind = TG_HEADER_PRESENT};
	struct tg_field f = F("x-beta", "1");
	struct tg_ratelimit_action a = {.kind = TG_RATELIMIT_PATH, .key = V("k")};

	start_one(&a, NULL);
	CU_ASSERT_EQUAL(passed(NULL, 0), 1);
	path = "/other";
	CU_ASSERT_EQUAL(passed(NULL, 0), 1);
	rig_end(&rig);
	a = (struct tg_ratelimit_action){
		.kind = TG_RATELIMIT_GENERIC, .key = V("k"), .value = V("v")};
	start_one(&a, "v");
	CU_ASSERT_EQUAL(passed(NULL, 0), 1);
	rig_end(&rig);
	start_one(&a, "w");
	CU_ASSERT_EQUAL(passed(NULL, 0), 100);
	rig_end(&rig);
	a = (struct tg_ratelimit_action){.kind = TG_RATELIMIT_HEADER_MATCH,
		.key = V("k"),
		.value = V("v"),
		.expect_match = true,
		.n_headers = 1,
		.headers = &beta};
	start_one(&a, "v");
	CU_ASSERT_EQUAL(passed(&f, 1), 1);
	CU_ASSERT_EQUAL(passed(NULL, 0), 100);
	rig_end(&rig);
	a.expect_match = false;
	start_one(&a, "v");
	CU_ASSERT_EQUAL(passed(&f, 1), 100);
	CU_ASSERT_EQUAL(passed(NULL, 0), 1);
	rig_end(&rig);
}

static void memory_runs_out(void)
{
	struct tg_ratelimit_action a = {.kind = TG_RATELIMIT_PATH, .key = V("k")};
	const struct tg_ratelimit_limit l = {1, &a};
	const struct tg_ratelimit_entry any = {.key = V("k"), .any = true},
					this = {.key = V("k"), .value = V("v")};
	const struct tg_ratelimit_descriptor d[] = {{1, &any, one}, {1, &this, one}};
	const struct tg_ratelimit_in in = {DEFAULT(two), .n_limits = 1, .limits = &l,
		.n_descriptors = 2, .descriptors = d, .max_dynamic_descriptors = 10};
	int rc = TG_ENOMEM;
	uint32_t at = 0;

	while (rc && at < 50) {
		struct tg_filter_conf conf;

		rig_start(&rig);
		rig.fail_at = ++at;
		rc = tg_filter_compile(&conf, &tg_ratelimit_http, "", &in, &rig.env);
		CU_ASSERT(!rc || rc == TG_ENOMEM);
		rig_end(&rig);
	}
	CU_ASSERT(at > 5 && at < 50);
	start((struct tg_ratelimit_in){DEFAULT(one)});
	while (tg_arena_alloc(&rig.arena, 64))
		;
	CU_ASSERT_EQUAL(passed(NULL, 0), 1);
	CU_ASSERT_EQUAL(ex->reply.status, 429);
	CU_ASSERT_EQUAL(ex->reply.n_fields, 0);
	rig_end(&rig);
}

TG_TEST_MAIN("ratelimit", {"one bucket", one_bucket},
	{"enabled and enforced", enabled_and_enforced}, {"told", told},
	{"descriptors", descriptors}, {"by address", by_address}, {"by identity", by_identity},
	{"by other things", by_other_things}, {"memory runs out", memory_runs_out})
