#include <stdlib.h>
#include <string.h>

#include <tidegate/memconn.h>
#include <tidegate/traced.h>

#include "../tgtest.h"

static struct tg_tax *tax;
static struct tg_ready ready;
static struct tg_memconn_pair pair;
static const struct tg_conn_ops *real;
static struct tg_traced_ops ops;

static void on_ready(struct tg_conn *c, uint32_t ev)
{
	(void)c;
	(void)ev;
}
static const struct tg_conn_user user = {on_ready};

static void start(void)
{
	tax = aligned_alloc(64, sizeof(*tax));
	CU_ASSERT_PTR_NOT_NULL_FATAL(tax);
	memset(tax, 0, sizeof(*tax));
	tg_ready_init(&ready);
	pair = tg_memconn_open(&ready, 4096, &(struct tg_sockaddr){0}, &(struct tg_sockaddr){0});
	pair.a->user = pair.b->user = &user;
	real = pair.a->ops;
	tg_traced_init(&ops, real, tax, TG_STAGE_tcp);
	pair.a->ops = &ops.ops;
}

static void end(void)
{
	tg_conn_detach(pair.a);
	tg_conn_detach(pair.b);
	tg_ready_drain(&ready, 0, tg_memconn_reap, NULL);
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
	free(tax);
}

static void without_a_trace_they_are_the_operations_themselves(void)
{
	start();
	CU_ASSERT_EQUAL(memcmp(&ops.ops, real, sizeof(*real)), 0);
	tg_traced_set(&ops, true);
	CU_ASSERT_NOT_EQUAL(memcmp(&ops.ops, real, sizeof(*real)), 0);
	/* Who these are is known by it: lib/tls. */
	CU_ASSERT_PTR_EQUAL((void *)(uintptr_t)ops.ops.info, (void *)(uintptr_t)real->info);
	tg_traced_set(&ops, false);
	CU_ASSERT_EQUAL(memcmp(&ops.ops, real, sizeof(*real)), 0);
	end();
}

static enum tg_stage in_fill;

static void fill(void *ctx, const struct tg_span *to, uint32_t cnt, uint32_t n)
{
	(void)ctx;
	in_fill = tax->stage;
	for (uint32_t i = 0; i < cnt; i++)
		memset(to[i].p, 'f', to[i].n);
	CU_ASSERT_TRUE(n > 0);
}

static void they_do_the_same_and_their_time_is_their_stages(void)
{
	const struct tg_view hello = TG_VIEW("hello");
	struct tg_tax_totals s;
	struct tg_view v = TG_VIEW_NONE;

	start();
	tg_traced_set(&ops, true);
	tg_tax_begin(tax, tg_tsc());
	tg_tax_enter(tax, TG_STAGE_tls);
	CU_ASSERT_EQUAL(tg_conn_write(pair.a, &hello, 1), 5);
	CU_ASSERT_EQUAL(tg_conn_fill(pair.a, 1, 3, fill, NULL), 3);
	/* What the user makes in the packets is the user's work. */
	CU_ASSERT_EQUAL(in_fill, TG_STAGE_tls);
	CU_ASSERT_EQUAL(tg_conn_peek(pair.b, &v, 1), 1);
	CU_ASSERT_TRUE(v.n >= 5 && memcmp(v.p, "hello", 5) == 0);
	CU_ASSERT_EQUAL(tg_conn_write(pair.b, &hello, 1), 5);
	CU_ASSERT_EQUAL(tg_conn_peek(pair.a, &v, 1), 1);
	tg_conn_consume(pair.a, 5);
	CU_ASSERT_EQUAL(tg_conn_peek(pair.a, &v, 1), 0);
	tg_conn_finish(pair.a);
	CU_ASSERT_EQUAL(tax->stage, TG_STAGE_tls);
	tg_tax_end(tax, tg_tsc(), true);
	tg_tax_read(tax, &s);
	CU_ASSERT_TRUE(s.stage[TG_STAGE_tcp] > 0 && s.stage[TG_STAGE_tls] > 0);
	CU_ASSERT_EQUAL(
		s.stage[TG_STAGE_tcp] + s.stage[TG_STAGE_tls] + s.stage[TG_STAGE_loop], s.cycles);
	tg_traced_set(&ops, false);
	end();
}

static void a_connection_may_end_in_them(void)
{
	start();
	tg_traced_set(&ops, true);
	tg_tax_begin(tax, tg_tsc());
	tg_conn_abort(pair.a, TG_WHY_conn_aborted);
	CU_ASSERT_EQUAL(tax->stage, TG_STAGE_loop);
	tg_conn_detach(pair.b);
	tg_ready_drain(&ready, 0, tg_memconn_reap, NULL);
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
	free(tax);
}

TG_TEST_MAIN("traced",
	{"without a trace they are the operations themselves",
		without_a_trace_they_are_the_operations_themselves},
	{"they do the same, and their time is their stage's",
		they_do_the_same_and_their_time_is_their_stages},
	{"a connection may end in them", a_connection_may_end_in_them})
