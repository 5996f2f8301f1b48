/* The chain itself, with filters made up here. */
#include <stdlib.h>

#include "../tgtest.h"
#include "rig.h"

static struct rig rig;
static char said[256];

struct note {
	char letter;
	enum tg_verdict request, response, body;
	uint64_t wake_at;
};

static char letter(const struct tg_filter *f)
{
	return ((const struct note *)f->conf)->letter;
}

static void say(const char *what, const struct tg_filter *f)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%s%c ", what, letter(f));
}

static int take(void *conf, const void *in, const struct tg_filter_env *env)
{
	*(struct note *)conf = *(const struct note *)in;
	return 0;
}

static enum tg_verdict request(const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	const struct note *n = f->conf;
	uint64_t *state = tg_filter_state(f, ex);

	say("q", f);
	CU_ASSERT_EQUAL((uintptr_t)state % 8, 0);
	state[0]++;
	CU_ASSERT_EQUAL(state[1], 0);
	tg_filter_count(f, ex->worker, 0);
	++*(uint64_t *)tg_filter_core(f, ex->worker);
	ex->wake_at = n->wake_at;
	ex->reply.status = 418;
	return state[0] > 1 ? TG_PASS : n->request;
}

static enum tg_verdict response(const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	say("s", f);
	return ((const struct note *)f->conf)->response;
}

static enum tg_verdict body(const struct tg_filter *f, struct tg_exchange *ex, struct tg_body *b)
{
	const struct note *n = f->conf;

	say("b", f);
	ex->wake_at = n->wake_at;
	if (b->allow > (uint64_t)n->letter)
		b->allow = (uint64_t)n->letter;
	return n->body;
}

static void end(const struct tg_filter *f, struct tg_exchange *ex, const struct tg_outcome *o)
{
	say("e", f);
	CU_ASSERT_EQUAL(o->status, 200);
}

static const struct tg_stat_def counters[] = {{"asked", "requests"}};

#define OPS(name_) \
	{ \
		.name = (name_), .conf_size = sizeof(struct note), .core_size = 8, \
		.exch_size = 16, .n_counters = 1, .counters = counters, .compile = take, \
		.on_request = request, .on_response = response, .on_body = body, .on_end = end, \
	}
static const struct tg_filter_ops x = OPS("x"), y = OPS("y"), z = OPS("z");
static const struct tg_filter_ops nothing = {
	.name = "nothing", .conf_size = sizeof(struct note), .compile = take};

static struct tg_filter_conf make(const struct tg_filter_ops *ops, const char *id, struct note n)
{
	struct tg_filter_conf c;

	CU_ASSERT_EQUAL_FATAL(tg_filter_compile(&c, ops, id, &n, &rig.env), 0);
	return c;
}

static struct tg_exchange *begin(void)
{
	struct tg_exchange *ex = calloc(1, sizeof(*ex) + rig.chain.exch_bytes);

	ex->chain = &rig.chain;
	ex->worker = 1;
	said[0] = 0;
	return ex;
}

static void build(const struct tg_filter_conf *confs, uint32_t n)
{
	struct tg_filter_list l = {n, confs};

	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_build(&rig.chain, &l, 1, &rig.env), 0);
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_bind(&rig.chain, rig.stats, "web"), 0);
}

static void order_of_hooks(void)
{
	static const struct tg_outcome outcome = {.status = 200};
	struct tg_filter_conf confs[4];
	struct tg_exchange *ex;
	struct tg_body b = {.allow = UINT64_MAX};
	struct tg_msg m = {0};

	rig_start(&rig);
	confs[0] = make(&x, "", (struct note){.letter = 'A'});
	confs[1] = make(&nothing, "", (struct note){.letter = 'N'});
	confs[2] = make(&y, "", (struct note){.letter = 'B'});
	confs[3] = make(&x, "two", (struct note){.letter = 'C'});
	build(confs, 4);
	CU_ASSERT_EQUAL(rig.chain.exch_bytes, 48);
	ex = begin();
	CU_ASSERT_EQUAL(tg_chain_request(ex, &m), TG_PASS);
	CU_ASSERT_EQUAL(tg_chain_body(ex, &b), TG_PASS);
	CU_ASSERT_EQUAL(tg_chain_response(ex, &m), TG_PASS);
	CU_ASSERT_EQUAL(b.allow, 'A');
	tg_chain_end(ex, &outcome);
	tg_chain_end(ex, &outcome);
	CU_ASSERT_STRING_EQUAL(said, "qA qB qC bA bB bC sC sB sA eA eB eC ");
	free(ex);
	rig_end(&rig);
}

/* Each asked once, the one that waited twice; state and place are kept. */
static void waiting(void)
{
	struct tg_filter_conf confs[3];
	struct tg_exchange *ex;
	struct tg_msg m = {0};

	rig_start(&rig);
	confs[0] = make(&x, "", (struct note){.letter = 'A'});
	confs[1] = make(&y, "",
		(struct note){
			.letter = 'B', .request = TG_WAIT, .response = TG_WAIT, .wake_at = 7});
	confs[2] = make(&z, "", (struct note){.letter = 'C', .request = TG_REPLY});
	build(confs, 3);
	ex = begin();
	CU_ASSERT_EQUAL(tg_chain_request(ex, &m), TG_WAIT);
	CU_ASSERT_EQUAL(ex->wake_at, 7);
	CU_ASSERT_EQUAL(tg_chain_request(ex, &m), TG_REPLY);
	CU_ASSERT_EQUAL(ex->reply.status, 418);
	CU_ASSERT_STRING_EQUAL(said, "qA qB qB qC ");
	CU_ASSERT_EQUAL(rig.chain.filters[1].counters[TG_FILTER_ROW(1)], 2);
	CU_ASSERT_EQUAL(*(uint64_t *)tg_filter_core(&rig.chain.filters[1], 1), 2);
	CU_ASSERT_EQUAL(*(uint64_t *)tg_filter_core(&rig.chain.filters[1], 0), 0);
	CU_ASSERT_EQUAL((uintptr_t)tg_filter_core(&rig.chain.filters[1], 1) % 64, 0);
	said[0] = 0;
	CU_ASSERT_EQUAL(tg_chain_response(ex, &m), TG_WAIT);
	CU_ASSERT_STRING_EQUAL(said, "sC sB ");
	/* Tidegate's own answer waits for nobody. */
	ex->local = true;
	CU_ASSERT_EQUAL(tg_chain_response(ex, &m), TG_PASS);
	free(ex);
	rig_end(&rig);
}

static void bodies(void)
{
	struct tg_filter_conf confs[3];
	struct tg_body b = {.allow = UINT64_MAX};
	struct tg_exchange *ex;

	rig_start(&rig);
	confs[0] = make(&x, "", (struct note){.letter = 'C', .body = TG_WAIT, .wake_at = 9});
	confs[1] = make(&y, "", (struct note){.letter = 'A'});
	confs[2] = make(&z, "", (struct note){.letter = 'B', .body = TG_WAIT, .wake_at = 5});
	build(confs, 3);
	ex = begin();
	CU_ASSERT_EQUAL(tg_chain_body(ex, &b), TG_WAIT);
	CU_ASSERT_EQUAL(ex->wake_at, 9);
	CU_ASSERT_EQUAL(b.allow, 'A');
	CU_ASSERT_STRING_EQUAL(said, "bC bA bB ");
	free(ex);
	rig_end(&rig);
}

static void overrides(void)
{
	struct tg_filter_conf listener[3], vhost[2], route[3];
	struct tg_filter_list lists[] = {{3, listener}, {2, vhost}, {3, route}};
	struct tg_exchange *ex;
	struct tg_msg m = {0};

	rig_start(&rig);
	listener[0] = make(&x, "", (struct note){.letter = 'A'});
	listener[1] = make(&x, "two", (struct note){.letter = 'B'});
	listener[2] = (struct tg_filter_conf){.ops = &y, .id = "", .disabled = true};
	vhost[0] = make(&x, "", (struct note){.letter = 'C'});
	vhost[1] = make(&z, "", (struct note){.letter = 'D'});
	route[0] = make(&z, "", (struct note){.letter = 'E'});
	route[1] = (struct tg_filter_conf){.ops = &x, .id = "two", .disabled = true};
	route[2] = make(&y, "", (struct note){.letter = 'F'});
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_build(&rig.chain, lists, 3, &rig.env), 0);
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_bind(&rig.chain, rig.stats, "web"), 0);
	ex = begin();
	CU_ASSERT_EQUAL(tg_chain_request(ex, &m), TG_PASS);
	CU_ASSERT_STRING_EQUAL(said, "qC qF qE ");
	free(ex);
	/* the listener's own, and everything taken out */
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_build(&rig.chain, lists, 1, &rig.env), 0);
	CU_ASSERT_EQUAL(rig.chain.n, 2);
	for (int i = 0; i < 3; i++)
		listener[i].disabled = true;
	CU_ASSERT_EQUAL_FATAL(tg_filter_chain_build(&rig.chain, lists, 1, &rig.env), 0);
	CU_ASSERT_EQUAL(rig.chain.n, 0);
	CU_ASSERT_EQUAL(rig.chain.exch_bytes, 0);
	rig_end(&rig);
}

/* The same statistics, wherever the configuration of a filter stands, and over generations. */
static void statistics(void)
{
	struct tg_filter_conf confs[2];
	uint64_t *first;

	rig_start(&rig);
	confs[0] = make(&x, "", (struct note){.letter = 'A'});
	confs[1] = make(&x, "two", (struct note){.letter = 'B'});
	build(confs, 2);
	first = rig.chain.filters[0].counters;
	CU_ASSERT_PTR_NOT_EQUAL(first, rig.chain.filters[1].counters);
	build(confs, 1);
	CU_ASSERT_PTR_EQUAL(first, rig.chain.filters[0].counters);
	CU_ASSERT_EQUAL(tg_filter_chain_bind(&rig.chain, rig.stats, "other"), 0);
	CU_ASSERT_PTR_NOT_EQUAL(first, rig.chain.filters[0].counters);
	rig_end(&rig);
}

static void limits(void)
{
	struct tg_filter_conf confs[TG_CHAIN_MAX + 1];
	struct tg_filter_list l = {TG_CHAIN_MAX + 1, confs};
	static struct tg_filter_ops large = OPS("large");
	static char ids[TG_CHAIN_MAX + 1][8];

	rig_start(&rig);
	for (int i = 0; i <= TG_CHAIN_MAX; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%d", i);
		confs[i] = make(&x, ids[i], (struct note){.letter = 'A'});
	}
	CU_ASSERT_EQUAL(tg_filter_chain_build(&rig.chain, &l, 1, &rig.env), TG_ETOOBIG);
	l.n--;
	CU_ASSERT_EQUAL(tg_filter_chain_build(&rig.chain, &l, 1, &rig.env), 0);
	CU_ASSERT_EQUAL(rig.chain.request.n, TG_CHAIN_MAX);
	large.exch_size = TG_FILTER_EXCH_MAX;
	confs[0] = make(&large, "", (struct note){.letter = 'A'});
	CU_ASSERT_EQUAL(tg_filter_chain_build(&rig.chain, &l, 1, &rig.env), TG_ETOOBIG);
	l.n = 1;
	CU_ASSERT_EQUAL(tg_filter_chain_build(&rig.chain, &l, 1, &rig.env), 0);
	rig_end(&rig);
}

TG_TEST_MAIN("filter chain", {"order of hooks, end once", order_of_hooks},
	{"waiting: state and place are kept", waiting}, {"bodies: the least is allowed", bodies},
	{"overrides", overrides}, {"statistics keep their place", statistics}, {"limits", limits})
