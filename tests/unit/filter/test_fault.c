/* Faults on purpose: whom they meet, how often, how long, and how many at a time. */
#include <tidegate/fault.h>
#include <tidegate/log.h>

#include "../tgtest.h"
#include "rig.h"

#define MS UINT64_C(1000000)
#define SEC UINT64_C(1000000000)
#define F(name_, value_) \
	{ \
		.name = TG_VIEW_OF(name_), .value = TG_VIEW_OF(value_) \
	}

static struct rig rig;
static struct tg_msg msg;
static struct tg_exchange *ex;

static void start(struct tg_fault_in in)
{
	struct tg_filter_conf *conf;
	struct tg_filter_list list = {1, NULL};

	rig_start(&rig);
	if (!in.max_active_faults)
		in.max_active_faults = UINT32_MAX;
	conf = rig_alloc(&rig, sizeof(*conf));
	list.confs = conf;
	CU_ASSERT_EQUAL_FATAL(tg_filter_compile(conf, &tg_fault_http, "", &in, &rig.env), 0);
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_build(&rig.chain, &list, 1, &rig.env), 0);
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_bind(&rig.chain, rig.stats, "web"), 0);
}

static struct tg_conn_fault spoilt;
static int spoil_rc;

static int spoil(struct tg_exchange *e, const struct tg_conn_fault *f)
{
	CU_ASSERT_PTR_EQUAL(e, ex);
	spoilt = *f;
	return spoil_rc;
}

/* A request that begins, with the fields. */
static struct tg_exchange *begin(struct tg_field *fields, uint16_t n)
{
	ex = rig_alloc(&rig, sizeof(*ex) + rig.chain.exch_bytes);
	ex->chain = &rig.chain;
	ex->arena = &rig.arena;
	ex->worker = 1;
	ex->rng = &rig.rng;
	ex->cluster = "v1";
	ex->spoil = spoil;
	ex->now = 7 * SEC;
	msg = (struct tg_msg){.is_request = true, .fields = fields, .n_fields = n, .field_cap = n};
	return ex;
}

static enum tg_verdict ask(struct tg_field *fields, uint16_t n)
{
	return tg_chain_request(begin(fields, n), &msg);
}

static void end(struct tg_exchange *e)
{
	tg_chain_end(e, &(struct tg_outcome){0});
}

static uint64_t count(enum tg_fault_counter i)
{
	const struct tg_filter *f = &rig.chain.filters[0];

	return f->counters[i] + f->counters[TG_FILTER_ROW(TG_FAULT_COUNTERS) + i];
}

static const struct tg_fault_abort all_500 = {true, false, 500, 0, TG_MILLION};

static void aborts(void)
{
	start((struct tg_fault_in){.abort = all_500});
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_REPLY);
	CU_ASSERT_EQUAL(ex->reply.status, 500);
	CU_ASSERT_EQUAL(ex->reply.flags, TG_FLAG(FI));
	CU_ASSERT(tg_view_eq(ex->reply.details, TG_VIEW("fault_filter_abort")));
	CU_ASSERT(tg_view_eq(ex->reply.body, TG_VIEW("fault filter abort")));
	CU_ASSERT_EQUAL(count(TG_FAULT_ABORTS), 1);
	CU_ASSERT_EQUAL(count(TG_FAULT_ACTIVE), 1);
	end(ex);
	end(ex);
	CU_ASSERT_EQUAL(count(TG_FAULT_ACTIVE), 0);
	rig_end(&rig);
}

static void grpc(void)
{
	for (uint8_t s = 0; s <= 16; s++) {
		char want[4];

		start((struct tg_fault_in){.abort = {true, false, 0, s, TG_MILLION}});
		snprintf(want, sizeof(want), "%u", s);
		CU_ASSERT_EQUAL(ask(NULL, 0), TG_REPLY);
		CU_ASSERT_EQUAL(ex->reply.status, 200);
		CU_ASSERT_EQUAL(ex->reply.body.n, 0);
		CU_ASSERT_EQUAL_FATAL(ex->reply.n_fields, 3);
		CU_ASSERT(tg_view_eq(ex->reply.fields[2].name, TG_VIEW("grpc-status")));
		CU_ASSERT(tg_view_eq(ex->reply.fields[2].value, tg_view_str(want)));
		end(ex);
		rig_end(&rig);
	}
}

/* The delay first, then the abort; asked too early, it goes on waiting. */
static void delays(void)
{
	start((struct tg_fault_in){.delay = {true, false, 5 * SEC, TG_MILLION}, .abort = all_500});
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_WAIT);
	CU_ASSERT_EQUAL(ex->wake_at, 12 * SEC);
	CU_ASSERT_EQUAL(ex->flags, TG_FLAG(DI));
	ex->now = 12 * SEC - 1;
	CU_ASSERT_EQUAL(tg_chain_request(ex, &msg), TG_WAIT);
	CU_ASSERT_EQUAL(ex->wake_at, 12 * SEC);
	ex->now = 12 * SEC;
	CU_ASSERT_EQUAL(tg_chain_request(ex, &msg), TG_REPLY);
	CU_ASSERT_EQUAL(count(TG_FAULT_DELAYS), 1);
	CU_ASSERT_EQUAL(count(TG_FAULT_ABORTS), 1);
	CU_ASSERT_EQUAL(count(TG_FAULT_ACTIVE), 1);
	end(ex);
	CU_ASSERT_EQUAL(count(TG_FAULT_ACTIVE), 0);
	rig_end(&rig);
}

/* Of a million requests with p = 0.5 % between 4,700 and 5,300 are hit: more than four deviations
 * (70.5) to each side, and the same ones for a seed. p = 0: none; a millionth: a few. */
static void percentages(void)
{
	static const struct {
		uint32_t p, from, to;
	} cases[] = {{0, 0, 0}, {1, 0, 8}, {5000, 4700, 5300}, {500000, 497900, 502100},
		{TG_MILLION, TG_MILLION, TG_MILLION}};

	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		uint32_t hit = 0;

		start((struct tg_fault_in){.abort = {true, false, 500, 0, cases[i].p}});
		begin(NULL, 0);
		for (uint32_t k = 0; k < TG_MILLION; k++) {
			ex->next = 0;
			memset(ex->state, 0, rig.chain.exch_bytes);
			hit += tg_chain_request(ex, &msg) == TG_REPLY;
		}
		CU_ASSERT(hit >= cases[i].from && hit <= cases[i].to);
		CU_ASSERT_EQUAL(count(TG_FAULT_ABORTS), hit);
		rig_end(&rig);
	}
}

static void only_whom_it_concerns(void)
{
	static const struct tg_header_match h = {
		TG_VIEW_OF("x-chaos"), TG_VIEW_OF("yes"), TG_HEADER_EXACT, false};
	struct tg_field yes[] = {F("X-Chaos", "yes")}, no[] = {F("x-chaos", "no")};
	struct tg_fault_in in = {
		.abort = all_500, .headers = &h, .n_headers = 1, .upstream_cluster = "v1"};

	start(in);
	CU_ASSERT_EQUAL(ask(yes, 1), TG_REPLY);
	CU_ASSERT_EQUAL(ask(no, 1), TG_PASS);
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_PASS);
	begin(yes, 1)->cluster = "v2";
	CU_ASSERT_EQUAL(tg_chain_request(ex, &msg), TG_PASS);
	begin(yes, 1)->cluster = NULL;
	CU_ASSERT_EQUAL(tg_chain_request(ex, &msg), TG_PASS);
	rig_end(&rig);
}

/* 0: no fault. */
static uint64_t delay_by(struct tg_field f, uint32_t percentage)
{
	uint64_t ns = 0;

	start((struct tg_fault_in){.delay = {true, true, 0, percentage}});
	if (ask(&f, 1) == TG_WAIT)
		ns = ex->wake_at - ex->now;
	rig_end(&rig);
	return ns;
}

static uint16_t abort_by(struct tg_field f)
{
	uint16_t status = 0;

	start((struct tg_fault_in){.abort = {true, true, 0, 0, TG_MILLION}});
	if (ask(&f, 1) == TG_REPLY)
		status = ex->reply.n_fields ? ex->reply.fields[2].value.p[0] : ex->reply.status;
	rig_end(&rig);
	return status;
}

#define DELAY(v) (struct tg_field) F("X-Envoy-Fault-Delay-Request", v)
#define ABORT(v) (struct tg_field) F("x-envoy-fault-abort-request", v)
#define GRPC(v) (struct tg_field) F("x-envoy-fault-abort-grpc-request", v)

static void by_header(void)
{
	CU_ASSERT_EQUAL(delay_by(DELAY("250"), TG_MILLION), 250 * MS);
	CU_ASSERT_EQUAL(delay_by(DELAY("0"), TG_MILLION), 0);
	CU_ASSERT_EQUAL(delay_by(DELAY(""), TG_MILLION), 0);
	CU_ASSERT_EQUAL(delay_by(DELAY("-1"), TG_MILLION), 0);
	CU_ASSERT_EQUAL(delay_by(DELAY("1.5"), TG_MILLION), 0);
	CU_ASSERT_EQUAL(delay_by(DELAY("5s"), TG_MILLION), 0);
	CU_ASSERT_EQUAL(delay_by(DELAY("86400000"), TG_MILLION), 86400 * SEC);
	CU_ASSERT_EQUAL(delay_by(DELAY("86400001"), TG_MILLION), 0);
	CU_ASSERT_EQUAL(delay_by(DELAY("99999999999999999999999999"), TG_MILLION), 0);
	CU_ASSERT_EQUAL(delay_by(DELAY("250"), 0), 0);
	CU_ASSERT_EQUAL(abort_by(ABORT("503")), 503);
	CU_ASSERT_EQUAL(abort_by(ABORT("200")), 200);
	CU_ASSERT_EQUAL(abort_by(ABORT("199")), 0);
	CU_ASSERT_EQUAL(abort_by(ABORT("600")), 0);
	CU_ASSERT_EQUAL(abort_by(ABORT("5O3")), 0);
	CU_ASSERT_EQUAL(abort_by(GRPC("7")), '7');
	CU_ASSERT_EQUAL(abort_by(GRPC("16")), '1');
	CU_ASSERT_EQUAL(abort_by(GRPC("17")), 0);
	CU_ASSERT_EQUAL(abort_by(DELAY("17")), 0);
}

/* What is not by header is not to be had by header. */
static void fixed_heeds_no_header(void)
{
	struct tg_field f[] = {F("x-envoy-fault-abort-request", "418"),
		F("x-envoy-fault-abort-request-percentage", "0")};

	start((struct tg_fault_in){.abort = all_500});
	CU_ASSERT_EQUAL(ask(f, 2), TG_REPLY);
	CU_ASSERT_EQUAL(ex->reply.status, 500);
	rig_end(&rig);
	start((struct tg_fault_in){.delay = {true, false, SEC, 0}});
	CU_ASSERT_EQUAL(ask(f, 2), TG_PASS);
	rig_end(&rig);
}

/* Hits of 10,000. */
static uint32_t hits(const char *percentage, uint32_t most)
{
	struct tg_field f[] = {F("x-envoy-fault-abort-request", "418"),
		{.name = TG_VIEW_OF("x-envoy-fault-abort-request-percentage")}};
	uint32_t n = 0;

	f[1].value = tg_view_str(percentage);
	start((struct tg_fault_in){.abort = {true, true, 0, 0, most}});
	for (uint32_t i = 0; i < 10000; i++)
		n += ask(f, 2) == TG_REPLY;
	rig_end(&rig);
	return n;
}

static void percentage_by_header_is_capped(void)
{
	CU_ASSERT_EQUAL(hits("0", TG_MILLION), 0);
	CU_ASSERT_EQUAL(hits("100", TG_MILLION), 10000);
	CU_ASSERT_EQUAL(hits("100", 0), 0);
	CU_ASSERT_EQUAL(hits("101", TG_MILLION), 10000); /* no percentage: as configured */
	CU_ASSERT_EQUAL(hits("x", 0), 0);
	for (int i = 0; i < 2; i++) { /* 1,000 or 250 of them, within five deviations */
		uint32_t a = hits("10", i ? 900000 : TG_MILLION);
		uint32_t b = hits(i ? "80" : "2.5", 25000);

		CU_ASSERT(a > 850 && a < 1150);
		CU_ASSERT(b > 172 && b < 328);
	}
}

static void at_most_so_many_at_a_time(void)
{
	struct tg_exchange *e[3];

	start((struct tg_fault_in){
		.delay = {true, false, SEC, TG_MILLION}, .max_active_faults = 2});
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(ask(NULL, 0), i < 2 ? TG_WAIT : TG_PASS);
		e[i] = ex;
	}
	CU_ASSERT_EQUAL(count(TG_FAULT_ACTIVE), 2);
	CU_ASSERT_EQUAL(count(TG_FAULT_OVERFLOW), 1);
	e[0]->now += SEC;
	CU_ASSERT_EQUAL(tg_chain_request(e[0], &msg), TG_PASS);
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_PASS); /* until the request ends */
	end(e[2]);
	end(e[0]);
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_WAIT);
	end(ex);
	end(e[1]);
	CU_ASSERT_EQUAL(count(TG_FAULT_ACTIVE), 0);
	CU_ASSERT_EQUAL(count(TG_FAULT_DELAYS), 3);
	rig_end(&rig);
}

/* Pulls as a pump would that is woken on time, or late by `late`; returns bytes in two seconds. */
static uint64_t pull(uint64_t late, uint64_t most)
{
	struct tg_body b = {.response = true};
	uint64_t from = ex->now;

	while (ex->now < from + 2 * SEC) {
		b.allow = UINT64_MAX;
		if (tg_chain_body(ex, &b) == TG_PASS)
			return UINT64_MAX;
		CU_ASSERT_FATAL(ex->wake_at > ex->now && b.allow >= b.moved);
		b.moved = b.allow - b.moved > most ? b.moved + most : b.allow;
		ex->now = ex->wake_at + late;
	}
	return b.moved;
}

static void slow_responses(void)
{
	struct tg_field f[] = {F("x-envoy-fault-throughput-response", "4")};
	struct tg_body up = {.allow = 5};

	start((struct tg_fault_in){.rate = {true, false, 64, TG_MILLION}});
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_PASS);
	CU_ASSERT_EQUAL(tg_chain_body(ex, &up), TG_PASS); /* not the request's */
	CU_ASSERT_EQUAL(pull(0, UINT64_MAX), 2 * 64 * 1024);
	CU_ASSERT_EQUAL(pull(100000, UINT64_MAX), 2 * 64 * 1024); /* the clock makes up for it */
	CU_ASSERT_EQUAL(count(TG_FAULT_RATES), 1);
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_PASS);
	CU_ASSERT_EQUAL(pull(0, 1024), 2 * 16 * 1024); /* what is not used is lost */
	rig_end(&rig);
	start((struct tg_fault_in){.rate = {true, true, 0, TG_MILLION}});
	CU_ASSERT_EQUAL(ask(f, 1), TG_PASS);
	CU_ASSERT_EQUAL(pull(0, UINT64_MAX), 2 * 4 * 1024);
	f[0].value = TG_VIEW("0");
	CU_ASSERT_EQUAL(ask(f, 1), TG_PASS);
	CU_ASSERT_EQUAL(pull(0, UINT64_MAX), UINT64_MAX);
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_PASS);
	CU_ASSERT_EQUAL(pull(0, UINT64_MAX), UINT64_MAX);
	rig_end(&rig);
}

static void spoilt_connections(void)
{
	struct tg_fault_in in = {.transport = {.given = true,
					 .percentage = TG_MILLION,
					 .network = {.loss = 5, .zero_window = SEC}}};

	start(in);
	spoil_rc = 0;
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_PASS);
	CU_ASSERT(spoilt.loss == 5 && spoilt.zero_window == SEC && !spoilt.truncate);
	CU_ASSERT_EQUAL(count(TG_FAULT_TRANSPORTS), 1);
	CU_ASSERT_EQUAL(tg_chain_body(ex, &(struct tg_body){.response = true}), TG_PASS);
	spoil_rc = TG_ENOMEM;
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_PASS);
	CU_ASSERT_EQUAL(count(TG_FAULT_TRANSPORTS), 1);
	CU_ASSERT_EQUAL(count(TG_FAULT_OVERFLOW), 1);
	rig_end(&rig);
	in.transport.percentage = 0;
	spoilt.loss = 0;
	start(in);
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_PASS);
	CU_ASSERT_EQUAL(spoilt.loss, 0);
	rig_end(&rig);
}

static void cut_responses(void)
{
	static const uint8_t cuts[] = {0, TG_CUT_RESET, TG_CUT_FIN, TG_CUT_ALERT};

	for (enum tg_fault_end e = TG_FAULT_END_RESET; e <= TG_FAULT_END_ALERT; e++) {
		struct tg_body b = {.response = true, .allow = UINT64_MAX};

		start((struct tg_fault_in){.transport = {.given = true,
						   .percentage = TG_MILLION,
						   .end = e,
						   .end_after = 100,
						   .alert = 49}});
		CU_ASSERT_EQUAL(ask(NULL, 0), TG_PASS);
		CU_ASSERT_EQUAL(tg_chain_body(ex, &b), TG_WAIT);
		CU_ASSERT_EQUAL(b.allow, 100);
		CU_ASSERT(ex->wake_at > ex->now && ex->wake_at < ex->now + SEC);
		b = (struct tg_body){.response = true, .moved = 100, .allow = UINT64_MAX};
		CU_ASSERT_EQUAL(tg_chain_body(ex, &b), TG_WAIT); /* time for the client to get it */
		CU_ASSERT_EQUAL(b.allow, 100);
		ex->now = ex->wake_at;
		CU_ASSERT_EQUAL(tg_chain_body(ex, &b), TG_RESET);
		CU_ASSERT_EQUAL(ex->reply.cut, cuts[e]);
		CU_ASSERT_EQUAL(ex->reply.alert, 49);
		CU_ASSERT_EQUAL(ex->reply.flags, TG_FLAG(FI));
		CU_ASSERT(tg_view_eq(ex->reply.details, TG_VIEW("fault_filter_transport")));
		rig_end(&rig);
	}
}

static void by_principal(void)
{
	static const struct tg_view list[] = {
		TG_VIEW_OF("spiffe://a/web"), TG_VIEW_OF("spiffe://a/ops/*")};
	const struct tg_identity ids[] = {{.uri = TG_VIEW_OF("spiffe://a/web")},
		{.uri = TG_VIEW_OF("spiffe://a/ops/x")}, {.uri = TG_VIEW_OF("spiffe://a/webx")},
		{.uri = TG_VIEW_OF("spiffe://a/ops")}, {.dns = TG_VIEW_OF("web")}};

	start((struct tg_fault_in){.abort = all_500, .n_principals = 2, .principals = list});
	for (size_t i = 0; i < TG_ARRAY_LEN(ids); i++) {
		begin(NULL, 0)->client.identity = &ids[i];
		CU_ASSERT_EQUAL(tg_chain_request(ex, &msg), i < 2 ? TG_REPLY : TG_PASS);
	}
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_PASS);
	rig_end(&rig);
}

static void no_memory(void)
{
	static uint8_t *taken;

	start((struct tg_fault_in){.abort = {true, false, 0, 5, TG_MILLION}});
	do
		taken = tg_arena_alloc(&rig.arena, 64);
	while (taken);
	CU_ASSERT_EQUAL(ask(NULL, 0), TG_REPLY);
	CU_ASSERT_EQUAL(ex->reply.n_fields, 0);
	rig_end(&rig);
}

TG_TEST_MAIN("fault", {"aborts", aborts}, {"grpc", grpc}, {"delays", delays},
	{"percentages", percentages}, {"only whom it concerns", only_whom_it_concerns},
	{"by header", by_header}, {"fixed heeds no header", fixed_heeds_no_header},
	{"percentage by header is capped", percentage_by_header_is_capped},
	{"at most so many at a time", at_most_so_many_at_a_time},
	{"slow responses", slow_responses}, {"spoilt connections", spoilt_connections},
	{"cut responses", cut_responses}, {"by principal", by_principal}, {"no memory", no_memory})
