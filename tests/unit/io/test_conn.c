#include "tgtest.h"

#include <tidegate/memconn.h>

static struct tg_ready ready;
static uint32_t seen[2], calls;
static struct tg_conn *ends[2];
static struct tg_conn *to_detach;

static void on_ready(struct tg_conn *c, uint32_t ev)
{
	calls++;
	seen[c == ends[1]] |= ev;
	if (to_detach) {
		tg_conn_detach(to_detach);
		to_detach = NULL;
	}
}

static const struct tg_conn_user user = {on_ready};

static void drain(void)
{
	tg_ready_drain(&ready, 0, tg_memconn_reap, NULL);
}

static void setup(uint32_t buf)
{
	struct tg_memconn_pair p;

	tg_ready_init(&ready);
	p = tg_memconn_open(&ready, buf, NULL, NULL);
	ends[0] = p.a;
	ends[1] = p.b;
	p.a->user = p.b->user = &user;
	seen[0] = seen[1] = calls = 0;
}

static uint32_t write_to(struct tg_conn *c, const char *s)
{
	struct tg_view v = tg_view_str(s);

	return tg_conn_write(c, &v, 1);
}

static void read_is(struct tg_conn *c, const char *want)
{
	struct tg_view v[2];
	uint8_t got[64];
	uint32_t n = 0, cnt = tg_conn_peek(c, v, 2);

	for (uint32_t i = 0; i < cnt; i++) {
		memcpy(got + n, v[i].p, v[i].n);
		n += v[i].n;
	}
	CU_ASSERT_TRUE(tg_view_eq(tg_view_of(got, n), tg_view_str(want)));
}

static void bytes_arrive_in_order_and_wrap(void)
{
	setup(8);
	CU_ASSERT_EQUAL(write_to(ends[0], "abcdef"), 6);
	drain();
	CU_ASSERT_EQUAL(seen[1], TG_EV_READABLE);
	read_is(ends[1], "abcdef");
	tg_conn_consume(ends[1], 4);
	CU_ASSERT_EQUAL(tg_conn_space(ends[0]), 6);
	CU_ASSERT_EQUAL(write_to(ends[0], "ghijkl"), 6);
	read_is(ends[1], "efghijkl");
	tg_conn_abort(ends[0], TG_WHY_conn_aborted);
	drain();
	CU_ASSERT_EQUAL(seen[1] & TG_EV_FAILED, TG_EV_FAILED);
	tg_conn_detach(ends[1]);
	drain();
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
}

static void letters(void *ctx, const struct tg_span *to, uint32_t cnt, uint32_t n)
{
	uint8_t *next = ctx;

	CU_ASSERT_TRUE(n > 0);
	for (uint32_t i = 0; i < cnt; i++)
		for (uint32_t k = 0; k < to[i].n; k++, n--)
			to[i].p[k] = (*next)++;
	CU_ASSERT_EQUAL(n, 0);
}

static void fill_is_whole_or_nothing(void)
{
	uint8_t next = 'a';

	setup(8);
	CU_ASSERT_EQUAL(tg_conn_fill(ends[0], 1, 6, letters, &next), 6);
	drain();
	tg_conn_consume(ends[1], 4);
	CU_ASSERT_EQUAL(tg_conn_fill(ends[0], 7, 10, letters, &next), 0);
	seen[0] = 0;
	CU_ASSERT_EQUAL(tg_conn_fill(ends[0], 6, 10, letters, &next), 6); /* in two pieces */
	read_is(ends[1], "efghijkl");
	tg_conn_consume(ends[1], 8);
	drain();
	CU_ASSERT_EQUAL(seen[0] & TG_EV_WRITABLE, TG_EV_WRITABLE);
	tg_conn_finish(ends[0]);
	CU_ASSERT_EQUAL(tg_conn_fill(ends[0], 1, 1, letters, &next), 0);
	tg_conn_detach(ends[0]);
	tg_conn_detach(ends[1]);
	drain();
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
}

static void no_consume_no_space(void)
{
	setup(4);
	CU_ASSERT_EQUAL(write_to(ends[0], "abcdef"), 4);
	CU_ASSERT_EQUAL(write_to(ends[0], "x"), 0);
	drain();
	CU_ASSERT_EQUAL(seen[0] & TG_EV_WRITABLE, 0);
	tg_conn_consume(ends[1], 1);
	drain();
	CU_ASSERT_EQUAL(seen[0] & TG_EV_WRITABLE, TG_EV_WRITABLE);
	tg_conn_consume(ends[1], 3);
	tg_conn_detach(ends[0]);
	drain();
	CU_ASSERT_EQUAL(seen[1] & TG_EV_EOF, TG_EV_EOF);
	tg_conn_detach(ends[1]);
	drain();
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
}

static void queued_conn_may_be_detached_by_another(void)
{
	setup(16);
	write_to(ends[0], "a"); /* queues 1 */
	write_to(ends[1], "b"); /* queues 0 */
	to_detach = ends[0];    /* while 1 is handled */
	drain();
	CU_ASSERT_EQUAL(tg_memconn_alive(), 1);
	CU_ASSERT_EQUAL(seen[0], 0);
	CU_ASSERT_EQUAL(seen[1] & TG_EV_FAILED, TG_EV_FAILED); /* "b" was never read */
	tg_conn_detach(ends[1]);
	drain();
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
}

static void events_join_until_handled(void)
{
	setup(16);
	tg_ready_raise(&ready, ends[0], TG_EV_READABLE);
	tg_ready_raise(&ready, ends[0], TG_EV_EOF);
	CU_ASSERT_EQUAL(ready.queued, 1);
	drain();
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT_EQUAL(seen[0], TG_EV_READABLE | TG_EV_EOF);
	tg_ready_raise(&ready, ends[0], TG_EV_READABLE);
	tg_ready_raise(&ready, ends[1], TG_EV_READABLE);
	CU_ASSERT_EQUAL(tg_ready_drain(&ready, 1, tg_memconn_reap, NULL), 1);
	CU_ASSERT_EQUAL(ready.queued, 1);
	drain();
	CU_ASSERT_EQUAL(calls, 3);
	tg_conn_detach(ends[0]);
	tg_conn_detach(ends[1]);
	drain();
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
}

static void deaf_peers_prove_nothing(void)
{
	struct tg_conn_info info;

	setup(16);
	write_to(ends[0], "ab");
	tg_conn_info(ends[0], &info);
	CU_ASSERT_EQUAL(info.tx_acked, 2);
	tg_memconn_deaf(ends[1]);
	write_to(ends[0], "cde");
	tg_conn_info(ends[0], &info);
	CU_ASSERT_EQUAL(info.tx_acked, 2);
	CU_ASSERT_EQUAL(info.tx_written, 5);
	CU_ASSERT_FALSE(info.tx_final);
	tg_conn_finish(ends[1]);
	tg_conn_info(ends[0], &info);
	CU_ASSERT_FALSE(info.tx_final);
	tg_conn_abort(ends[1], TG_WHY_conn_aborted);
	tg_conn_info(ends[0], &info);
	CU_ASSERT_TRUE(info.tx_final);
	CU_ASSERT_EQUAL(info.why, TG_WHY_conn_reset_by_peer);
	tg_conn_detach(ends[0]);
	drain();
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
}

TG_TEST_MAIN("conn", {"bytes arrive in order and wrap", bytes_arrive_in_order_and_wrap},
	{"fill is whole or nothing", fill_is_whole_or_nothing},
	{"no consume, no space", no_consume_no_space},
	{"queued conn may be detached by another", queued_conn_may_be_detached_by_another},
	{"events join until handled", events_join_until_handled},
	{"deaf peers prove nothing", deaf_peers_prove_nothing})
