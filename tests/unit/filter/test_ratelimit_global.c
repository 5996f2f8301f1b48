/* Limits over several nodes: what a request takes, is answered and told, at once; the keeper of the
 * tokens is this test. */
#include <stdarg.h>
#include <stdio.h>

#include <tidegate/log.h>
#include <tidegate/ratelimit.h>

#include "../tgtest.h"
#include "rig.h"

#define MS UINT64_C(1000000)
#define SEC UINT64_C(1000000000)
#define T0 (100 * SEC)
#define F(name_, value_) \
	(struct tg_field) \
	{ \
		.name = TG_VIEW_OF(name_), .value = TG_VIEW_OF(value_) \
	}
#define V(text) TG_VIEW_OF(text)

static struct rig rig;
static struct tg_quota *quota;
static struct tg_msg msg;
static struct tg_exchange *ex;
static struct tg_field fields[8];

static const struct tg_ratelimit_action tenant = {
	.kind = TG_RATELIMIT_HEADER, .key = V("tenant"), .value = V("x-tenant")};
static const struct tg_ratelimit_action address = {
	.kind = TG_RATELIMIT_MASKED_ADDRESS, .key = V("net"), .v4_len = 24, .v6_len = 64};
static const struct tg_ratelimit_action both[] = {
	{.kind = TG_RATELIMIT_HEADER, .key = V("tenant"), .value = V("x-tenant")},
	{.kind = TG_RATELIMIT_PATH, .key = V("path")}};
static const struct tg_ratelimit_limit by_tenant = {1, &tenant}, by_net = {1, &address};
static const struct tg_ratelimit_limit two_limits[] = {{1, &tenant}, {2, both}};
static const struct tg_ratelimit_entry any_tenant = {.key = V("tenant"), .any = true},
				       gold = {.key = V("tenant"), .value = V("gold")},
				       any_net = {.key = V("net"), .any = true};
static const struct tg_ratelimit_entry any_both[] = {
	{.key = V("tenant"), .any = true}, {.key = V("path"), .any = true}};

#define DESCRIPTORS(...) \
	.n_descriptors = sizeof((struct tg_ratelimit_descriptor[]){__VA_ARGS__}) / \
			 sizeof(struct tg_ratelimit_descriptor), \
	.descriptors = (struct tg_ratelimit_descriptor[]) \
	{ \
		__VA_ARGS__ \
	}
#define TWO_A_DAY .quota = {2, 86400, 2}
#define TWO_STRICT .quota = {2, 86400, 0}

static void start(struct tg_ratelimit_global_in in)
{
	struct tg_filter_list list = {1, NULL};
	struct tg_ratelimit_global_in *kept;
	struct tg_filter_conf *conf;

	rig_start(&rig);
	quota = tg_quota_create(16, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(quota);
	tg_quota_tick(quota, T0, 1700000000 * SEC);
	tg_quota_here(quota, true);
	in.quota = &quota;
	in.domain = TG_VIEW("shop");
	in.status = in.status ? in.status : 429;
	in.status_on_error = 500;
	kept = rig_alloc(&rig, sizeof(*kept));
	*kept = in;
	conf = rig_alloc(&rig, sizeof(*conf));
	list.confs = conf;
	CU_ASSERT_EQUAL_FATAL(
		tg_filter_compile(conf, &tg_ratelimit_global_http, "", kept, &rig.env), 0);
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_build(&rig.chain, &list, 1, &rig.env), 0);
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_bind(&rig.chain, rig.stats, "web"), 0);
}

static void end(void)
{
	tg_quota_destroy(quota);
	quota = NULL;
	rig_end(&rig);
}

/* A request of that tenant (NULL: of none) begins. */
static void begin(const char *of)
{
	ex = rig_alloc(&rig, sizeof(*ex) + rig.chain.exch_bytes);
	ex->chain = &rig.chain;
	ex->arena = &rig.arena;
	ex->rng = &rig.rng;
	tg_ip_parse("10.1.2.3", &ex->client.remote.ip);
	fields[0] =
		(struct tg_field){.name = TG_VIEW("x-tenant"), .value = tg_view_str(of ? of : "")};
	msg = (struct tg_msg){
		.is_request = true, .fields = fields, .n_fields = of != NULL, .field_cap = 8};
	msg.path = TG_VIEW("/a b");
}

static enum tg_verdict at(uint64_t now)
{
	ex->now = now;
	return tg_chain_request(ex, &msg);
}

static char key[TG_QUOTA_TEXT_MAX + 1];

/* The store gives so many out of a window of which `used` are gone then; returns what it was
 * charged with and asked for, the first in tens, and for which key, in key. */
static uint32_t give(uint64_t now, uint32_t n, uint64_t used)
{
	struct tg_quota_ask a;

	tg_quota_tick(quota, now, 1700000000 * SEC + now - T0);
	if (!tg_quota_next(quota, &a))
		return 0;
	snprintf(key, sizeof(key), "%.*s", (int)a.key.n, a.key.p);
	tg_quota_answered(quota, &a, n, used);
	return 10 * a.charge + a.n;
}

static uint64_t count(enum tg_ratelimit_global_counter i)
{
	return rig.chain.filters[0].counters[i];
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

static void passes_on_credit_and_by_tokens(void)
{
	start((struct tg_ratelimit_global_in){.n_limits = 1,
		.limits = &by_tenant,
		.x_ratelimit_headers = true,
		DESCRIPTORS({1, &any_tenant, .quota = {3, 86400, 1}})});
	begin("a|b");
	CU_ASSERT_EQUAL(at(T0), TG_PASS);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_CREDIT), 1);
	msg.n_fields = 0;
	CU_ASSERT_EQUAL(tg_chain_response(ex, &msg), TG_PASS);
	CU_ASSERT_STRING_EQUAL(field(fields, msg.n_fields, "x-ratelimit-limit"), "3, 3;w=86400");
	CU_ASSERT_STRING_EQUAL(field(fields, msg.n_fields, "x-ratelimit-remaining"), "2");
	CU_ASSERT_STRING_EQUAL(field(fields, msg.n_fields, "x-ratelimit-reset"), "6400");
	CU_ASSERT_EQUAL(give(T0 + MS, 1, 2), 11); /* charged with one, asked for one */
	CU_ASSERT_STRING_EQUAL(key, "shop|tenant=a%7Cb|86400");
	begin("a|b");
	CU_ASSERT_EQUAL(at(T0 + 2 * MS), TG_PASS);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_CREDIT), 1);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_OK), 2);
	end();
}

static void check_refusal(const char *after)
{
	CU_ASSERT_EQUAL(ex->reply.status, 429);
	CU_ASSERT_EQUAL(ex->reply.flags, TG_FLAG(RL));
	CU_ASSERT_EQUAL(ex->reply.why, TG_WHY_req_rate_limited);
	CU_ASSERT(tg_view_eq(ex->reply.details, TG_VIEW("request_rate_limited")));
	CU_ASSERT_STRING_EQUAL(
		field(ex->reply.fields, ex->reply.n_fields, "x-envoy-ratelimited"), "true");
	CU_ASSERT_STRING_EQUAL(field(ex->reply.fields, ex->reply.n_fields, "retry-after"), after);
}

static void is_refused_when_nothing_is_left(void)
{
	start((struct tg_ratelimit_global_in){
		.n_limits = 1, .limits = &by_tenant, DESCRIPTORS({1, &any_tenant, TWO_A_DAY})});
	begin("a");
	CU_ASSERT_EQUAL(at(T0), TG_PASS);
	CU_ASSERT_EQUAL(give(T0, 0, 3), 11);
	begin("a");
	CU_ASSERT_EQUAL(at(T0 + MS), TG_REPLY);
	check_refusal("6400");
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_OVER), 1);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_NO_LEASE), 0);
	end();
	start((struct tg_ratelimit_global_in){.n_limits = 1,
		.limits = &by_tenant,
		.status = 503,
		.no_envoy_header = true,
		DESCRIPTORS({1, &gold, .quota = {0, 60, 0}})});
	begin("gold");
	CU_ASSERT_EQUAL(at(T0), TG_REPLY);
	CU_ASSERT_EQUAL(ex->reply.status, 503);
	CU_ASSERT_EQUAL(ex->reply.n_fields, 1);
	end();
}

/* Without credit the first one is refused, for a moment only; with it, who comes when it is spent.
 */
static void is_refused_while_nothing_is_leased(void)
{
	for (uint32_t credit = 0; credit < 2; credit++) {
		start((struct tg_ratelimit_global_in){.n_limits = 1,
			.limits = &by_tenant,
			DESCRIPTORS({1, &any_tenant, .quota = {20, 86400, credit}})});
		for (uint32_t i = 0; i < credit; i++) {
			begin("a");
			CU_ASSERT_EQUAL(at(T0), TG_PASS);
		}
		begin("a");
		CU_ASSERT_EQUAL(at(T0), TG_REPLY);
		check_refusal("1");
		CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_OVER), 1);
		CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_NO_LEASE), 1);
		CU_ASSERT_EQUAL(give(T0 + MS, 1, 1 + credit), 10 * credit + 1);
		begin("a");
		CU_ASSERT_EQUAL(at(T0 + 2 * MS), TG_PASS);
		end();
	}
}

/* failure_mode_deny decides, at once. */
static void without_the_store(void)
{
	for (uint32_t deny = 0; deny < 2; deny++) {
		start((struct tg_ratelimit_global_in){.n_limits = 1,
			.limits = &by_tenant,
			.failure_mode_deny = deny,
			DESCRIPTORS({1, &any_tenant, TWO_A_DAY})});
		tg_quota_here(quota, false);
		begin("a");
		CU_ASSERT_EQUAL(at(T0), deny ? TG_REPLY : TG_PASS);
		CU_ASSERT_EQUAL(ex->reply.status, deny ? 500 : 0);
		CU_ASSERT_EQUAL(ex->reply.flags, deny ? TG_FLAG(RLSE) : 0);
		CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_ERROR), 1);
		CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_ALLOWED), !deny);
		CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_OK), 0);
		tg_quota_here(quota, true);
		begin("a");
		CU_ASSERT_EQUAL(at(T0 + MS), TG_PASS);
		CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_OK), 1);
		end();
	}
}

static void several_limits(void)
{
	start((struct tg_ratelimit_global_in){.n_limits = 2,
		.limits = two_limits,
		DESCRIPTORS({1, &gold, .unlimited = true}, {1, &any_tenant, TWO_A_DAY},
			{2, any_both, TWO_STRICT})});
	begin("a");
	CU_ASSERT_EQUAL(at(T0), TG_REPLY); /* by the second one */
	CU_ASSERT_EQUAL(give(T0, 1, 2), 11);
	CU_ASSERT_STRING_EQUAL(key, "shop|tenant=a|86400");
	CU_ASSERT_EQUAL(give(T0, 1, 1), 1);
	CU_ASSERT_STRING_EQUAL(key, "shop|tenant=a|path=/a%20b|86400");
	begin("a");
	CU_ASSERT_EQUAL(at(T0 + MS), TG_PASS);
	/* The first one is unlimited for gold. */
	begin("gold");
	CU_ASSERT_EQUAL(at(T0), TG_REPLY);
	while (give(T0, 1, 1) && !strstr(key, "gold"))
		;
	CU_ASSERT_STRING_EQUAL(key, "shop|tenant=gold|path=/a%20b|86400");
	begin("gold");
	CU_ASSERT_EQUAL(at(T0 + MS), TG_PASS);
	/* Without a descriptor there is no limit. */
	begin(NULL);
	CU_ASSERT_EQUAL(at(T0), TG_PASS);
	end();
	start((struct tg_ratelimit_global_in){
		.n_limits = 1, .limits = &by_net, DESCRIPTORS({1, &any_net, TWO_A_DAY})});
	begin(NULL);
	CU_ASSERT_EQUAL(at(T0), TG_PASS);
	CU_ASSERT_EQUAL(give(T0, 1, 2), 11);
	CU_ASSERT_STRING_EQUAL(key, "shop|net=10.1.2.0/24|86400");
	end();
}

/* Another route may have another limit of the same domain and key: they share the store's count,
 * and each keeps to its own. What the larger one leased is none of the smaller one's. */
static void a_limit_of_its_own(void)
{
	struct tg_quota *kept;

	start((struct tg_ratelimit_global_in){.n_limits = 1,
		.limits = &by_tenant,
		DESCRIPTORS({1, &any_tenant, .quota = {6400, 86400, 16}})});
	begin("a");
	CU_ASSERT_EQUAL(at(T0), TG_PASS);
	CU_ASSERT_EQUAL(give(T0, 1, 2), 11);
	kept = quota;
	quota = NULL;
	end();
	start((struct tg_ratelimit_global_in){.n_limits = 1,
		.limits = &by_tenant,
		DESCRIPTORS({1, &any_tenant, .quota = {1, 86400, 0}})});
	tg_quota_destroy(quota);
	quota = kept; /* the filter has &quota */
	begin("a");
	CU_ASSERT_EQUAL(at(T0 + MS), TG_REPLY); /* two have passed already */
	CU_ASSERT_EQUAL(give(T0 + MS, 0, 2), 1);
	CU_ASSERT_STRING_EQUAL(key, "shop|tenant=a|86400");
	begin("a");
	CU_ASSERT_EQUAL(at(T0 + 2 * MS), TG_REPLY);
	end();
}

static void shadow_mode_only_counts(void)
{
	start((struct tg_ratelimit_global_in){.n_limits = 1,
		.limits = &by_tenant,
		DESCRIPTORS({1, &any_tenant, TWO_STRICT, .shadow = true})});
	begin("a");
	CU_ASSERT_EQUAL(at(T0), TG_PASS);
	give(T0, 0, 2);
	begin("a");
	CU_ASSERT_EQUAL(at(T0 + MS), TG_PASS);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_SHADOW), 2);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_OVER), 0);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_NO_LEASE), 0);
	end();
}

/* More keys than there are entries for: refused, or not, as what is not leased; a value is never
 * decided without a limit. */
static void no_room_for_the_key(void)
{
	char of[16];

	start((struct tg_ratelimit_global_in){
		.n_limits = 1, .limits = &by_tenant, DESCRIPTORS({1, &any_tenant, TWO_A_DAY})});
	for (uint32_t i = 0; i < 600; i++) {
		snprintf(of, sizeof(of), "%u", i);
		begin(of);
		at(T0);
	}
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_OK), 512);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_NO_LEASE), 600 - 512);
	end();
}

static void internal_and_external(void)
{
	for (uint32_t type = 0; type < 3; type++)
		for (uint32_t internal = 0; internal < 2; internal++) {
			bool concerned = type == TG_RATELIMIT_BOTH ||
					 (type == TG_RATELIMIT_INTERNAL) == (internal == 1);

			start((struct tg_ratelimit_global_in){.n_limits = 1,
				.limits = &by_tenant,
				.request_type = (uint8_t)type,
				DESCRIPTORS({1, &any_tenant, .quota = {0, 60, 0}})});
			begin("a");
			fields[1] = F("x-envoy-internal", "true");
			msg.n_fields = (uint16_t)(1 + internal);
			CU_ASSERT_EQUAL(at(T0), concerned ? TG_REPLY : TG_PASS);
			end();
		}
}

static char told[4][128];
static uint32_t n_told, told_left;

static void tell(struct tg_explain *x, const char *fmt, ...)
{
	va_list ap;

	(void)x;
	va_start(ap, fmt);
	vsnprintf(told[n_told++ % 4], sizeof(told[0]), fmt, ap);
	va_end(ap);
}

static void tell_limit(struct tg_explain *x, const char *what, uint32_t left,
	const struct tg_bucket_rate *rate, uint64_t next)
{
	(void)x;
	CU_ASSERT_EQUAL(rate->max, 2);
	CU_ASSERT_EQUAL(next, 6400 * SEC);
	snprintf(told[n_told++ % 4], sizeof(told[0]), "%s", what);
	told_left = left;
}

static enum tg_verdict dry(void)
{
	static struct tg_explain x = {tell, tell_limit};
	const struct tg_filter *f = &rig.chain.filters[0];

	n_told = 0;
	begin("a");
	ex->now = T0;
	return f->ops->explain(f, ex, &msg, &x);
}

/* Says what is left, and takes nothing. */
static void dry_runs(void)
{
	start((struct tg_ratelimit_global_in){.n_limits = 1,
		.limits = &by_tenant,
		.failure_mode_deny = true,
		DESCRIPTORS({1, &any_tenant, TWO_A_DAY})});
	CU_ASSERT_EQUAL(dry(), TG_PASS);
	CU_ASSERT_EQUAL(told_left, 2); /* nobody knows better */
	tg_quota_here(quota, false);
	CU_ASSERT_EQUAL(dry(), TG_REPLY);
	CU_ASSERT_EQUAL(ex->reply.status, 500);
	CU_ASSERT_STRING_EQUAL(told[2], "Redis is away: failure_mode_deny is true");
	tg_quota_here(quota, true);
	CU_ASSERT_EQUAL(give(T0, 2, 2), 0);
	begin("a");
	CU_ASSERT_EQUAL(at(T0), TG_PASS);
	CU_ASSERT_EQUAL(give(T0, 1, 2), 11);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(dry(), TG_PASS);
	CU_ASSERT_EQUAL(told_left, 1);
	CU_ASSERT_STRING_EQUAL(told[0], "tenant=a");
	CU_ASSERT_STRING_EQUAL(told[1], "1 of them leased to this node");
	begin("a");
	CU_ASSERT_EQUAL(at(T0), TG_PASS);
	CU_ASSERT_EQUAL(dry(), TG_REPLY);
	CU_ASSERT_EQUAL(ex->reply.status, 429);
	CU_ASSERT_EQUAL(told_left, 0);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_OVER), 0);
	CU_ASSERT_EQUAL(count(TG_RATELIMIT_GLOBAL_ERROR), 0);
	end();
}

/* Without credit it is refused: nothing is leased. */
static void dry_runs_without_credit(void)
{
	start((struct tg_ratelimit_global_in){
		.n_limits = 1, .limits = &by_tenant, DESCRIPTORS({1, &any_tenant, TWO_STRICT})});
	CU_ASSERT_EQUAL(dry(), TG_REPLY);
	CU_ASSERT_EQUAL(ex->reply.status, 429);
	CU_ASSERT_PTR_NOT_NULL(strstr(told[2], "no_lease_behavior"));
	begin("a");
	CU_ASSERT_EQUAL(at(T0), TG_REPLY);
	CU_ASSERT_EQUAL(give(T0, 1, 1), 1);
	CU_ASSERT_EQUAL(dry(), TG_PASS);
	end();
}

static void no_memory(void)
{
	struct tg_ratelimit_global_in in = {.quota = &quota,
		.n_limits = 1,
		.limits = &by_tenant,
		DESCRIPTORS({1, &any_tenant, TWO_A_DAY})};
	struct tg_filter_conf conf;

	for (uint32_t i = 1; i <= 4; i++) {
		rig_start(&rig);
		rig.fail_at = i;
		CU_ASSERT_EQUAL(
			tg_filter_compile(&conf, &tg_ratelimit_global_http, "", &in, &rig.env),
			TG_ENOMEM);
		rig_end(&rig);
	}
}

TG_TEST_MAIN("ratelimit_global", {"passes on credit and by tokens", passes_on_credit_and_by_tokens},
	{"is refused when nothing is left", is_refused_when_nothing_is_left},
	{"is refused while nothing is leased", is_refused_while_nothing_is_leased},
	{"without the store", without_the_store}, {"several limits", several_limits},
	{"a limit of its own", a_limit_of_its_own},
	{"shadow mode only counts", shadow_mode_only_counts},
	{"no room for the key", no_room_for_the_key},
	{"internal and external", internal_and_external}, {"dry runs", dry_runs},
	{"dry runs without credit", dry_runs_without_credit}, {"no memory", no_memory})
