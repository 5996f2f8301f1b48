#include "../tgtest.h"
#include "bench.h"
#include "pump.h"

/* Moves in through a pump between two small memory conns and returns what came out. */
static char out[4096];
static enum tg_pump_result last;
static struct tg_pump pump;
static uint8_t trailers[TG_PUMP_TRAILERS];
static uint32_t stingy;             /* of the destination */
static struct tg_view head;         /* leads */
static struct tg_conn_ops counting; /* the destination's ops, but that writes are counted */
static uint32_t (*real_write)(struct tg_conn *c, const struct tg_view *v, uint32_t cnt);
static uint32_t writes;

static void on_ready(struct tg_conn *c, uint32_t ev)
{
	(void)c;
	(void)ev;
}
static const struct tg_conn_user user = {on_ready};

static uint32_t count_write(struct tg_conn *c, const struct tg_view *v, uint32_t cnt)
{
	writes += cnt > 0;
	return real_write(c, v, cnt);
}

static uint32_t step(struct tg_conn *from, struct tg_conn *to, const char **in, struct tg_ready *r,
	struct tg_conn *src, struct tg_conn *dst, uint32_t got)
{
	struct tg_view v = tg_view_str(*in), w[2];
	uint32_t cnt;

	*in += tg_conn_write(from, &v, 1);
	last = tg_pump_run(&pump, src, dst);
	cnt = tg_conn_peek(to, w, 2);
	for (uint32_t i = 0, n = 0; i < cnt; i++, got += n) {
		n = w[i].n;
		memcpy(out + got, w[i].p, n);
	}
	for (uint32_t i = 0; i < cnt; i++)
		tg_conn_consume(to, w[i].n);
	tg_ready_drain(r, 0, tg_memconn_reap, NULL);
	return got;
}

static const char *move(enum tg_body_kind in, uint64_t len, enum tg_body_kind to, const char *text,
	uint32_t buf, bool eof)
{
	struct tg_ready r;
	struct tg_memconn_pair a, z;
	uint32_t got = 0;

	tg_ready_init(&r);
	a = tg_memconn_open(&r, buf, NULL, NULL);
	z = tg_memconn_open(&r, buf, NULL, NULL);
	a.a->user = a.b->user = z.a->user = z.b->user = &user;
	tg_memconn_stingy(z.a, stingy);
	counting = *z.a->ops;
	real_write = counting.tx_write;
	counting.tx_write = count_write;
	z.a->ops = &counting;
	writes = 0;
	tg_pump_init(&pump, in, len, to, trailers);
	pump.lead = head;
	for (int i = 0; i < 2000; i++)
		got = step(a.a, z.b, &text, &r, a.b, z.a, got);
	if (eof && last == TG_PUMP_WAIT_SRC && tg_pump_eof(&pump))
		for (int i = 0; i < 10; i++)
			got = step(a.a, z.b, &text, &r, a.b, z.a, got);
	tg_conn_abort(a.a, TG_WHY_conn_aborted);
	tg_conn_abort(a.b, TG_WHY_conn_aborted);
	tg_conn_abort(z.a, TG_WHY_conn_aborted);
	tg_conn_abort(z.b, TG_WHY_conn_aborted);
	tg_ready_drain(&r, 0, tg_memconn_reap, NULL);
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
	out[got] = 0;
	return out;
}

static void lengths_pass_and_stop(void)
{
	for (uint32_t buf = 1; buf < 40; buf++) {
		CU_ASSERT_STRING_EQUAL(
			move(TG_BODY_LENGTH, 5, TG_BODY_LENGTH, "helloGET /", buf, false), "hello");
		CU_ASSERT_EQUAL(last, TG_PUMP_DONE);
		CU_ASSERT_EQUAL(pump.taken, 5);
	}
}

/* Whatever the sizes of the buffers and of the chunks that result: decoded, it is the same. */
static void chunks_are_made_anew(void)
{
	static const char in[] = "5;ext=1\r\nhello\r\n7\r\n, world\r\n0\r\nx-sum: 12\r\n\r\nrest";

	for (uint32_t buf = TG_H1_CHUNK_HEAD_MAX + 3; buf < 200; buf++) {
		const char *got = move(TG_BODY_CHUNKED, 0, TG_BODY_CHUNKED, in, buf, false);
		struct tg_h1_body body;
		uint8_t t[64];
		struct tg_view v = tg_view_str(got);
		char text[64] = "";
		uint32_t n = 0;

		CU_ASSERT_EQUAL(last, TG_PUMP_DONE);
		CU_ASSERT_EQUAL(pump.content, 12);
		tg_h1_body_init(&body, TG_BODY_CHUNKED, 0);
		body.trailers = t;
		body.trailers_cap = sizeof(t);
		while (v.n && !body.ended) {
			struct tg_view data = TG_VIEW_NONE;
			uint32_t used = 0;

			CU_ASSERT_EQUAL_FATAL(tg_h1_body_read(&body, v, &used, &data), 0);
			memcpy(text + n, data.p, data.n);
			n += data.n;
			v.p += used;
			v.n -= used;
			if (!used)
				break;
		}
		CU_ASSERT_TRUE(body.ended);
		CU_ASSERT_EQUAL(v.n, 0);
		CU_ASSERT_STRING_EQUAL(text, "hello, world");
		CU_ASSERT_TRUE(tg_view_eq(tg_h1_body_trailers(&body), TG_VIEW("x-sum: 12\r\n")));
	}
}

/* Space without packet buffers: a write takes less than was promised, and no byte is lost. */
static void short_writes_lose_nothing(void)
{
	static const char in[] = "5;ext=1\r\nhello\r\n7\r\n, world\r\n0\r\nx-sum: 12\r\n\r\nrest";

	for (stingy = 1; stingy < 40; stingy++) {
		CU_ASSERT_STRING_EQUAL(move(TG_BODY_CHUNKED, 0, TG_BODY_CHUNKED, in, 100, false),
			"c\r\nhello, world\r\n0\r\nx-sum: 12\r\n\r\n");
		CU_ASSERT_EQUAL(last, TG_PUMP_DONE);
		CU_ASSERT_EQUAL(pump.content, 12);
		CU_ASSERT_STRING_EQUAL(
			move(TG_BODY_UNTIL_CLOSE, 0, TG_BODY_CHUNKED, "hello", 100, true),
			"5\r\nhello\r\n0\r\n\r\n");
		CU_ASSERT_STRING_EQUAL(
			move(TG_BODY_LENGTH, 5, TG_BODY_LENGTH, "helloGET /", 100, false), "hello");
		CU_ASSERT_EQUAL(pump.taken, 5);
	}
	stingy = 0;
}

/* Over TLS, a write is a record. */
static void a_head_leaves_with_the_content_that_is_there(void)
{
	head = TG_VIEW("head,");
	CU_ASSERT_STRING_EQUAL(
		move(TG_BODY_LENGTH, 5, TG_BODY_LENGTH, "hello", 100, false), "head,hello");
	CU_ASSERT_EQUAL(writes, 1);
	CU_ASSERT_EQUAL(pump.content, 5);
	CU_ASSERT_STRING_EQUAL(
		move(TG_BODY_CHUNKED, 0, TG_BODY_CHUNKED, "5\r\nhello\r\n0\r\n\r\n", 100, false),
		"head,5\r\nhello\r\n0\r\n\r\n");
	CU_ASSERT_EQUAL(writes, 2); /* the end apart */
	CU_ASSERT_STRING_EQUAL(move(TG_BODY_NONE, 0, TG_BODY_NONE, "", 100, false), "head,");
	CU_ASSERT_EQUAL(writes, 1);
	head = TG_VIEW_NONE;
}

/* Nothing is there but the beginning of a chunk's frame; or room for less than the head; or a write
 * that takes any part of head and content. */
static void a_head_waits_for_nothing(void)
{
	head = TG_VIEW("head,");
	CU_ASSERT_STRING_EQUAL(move(TG_BODY_LENGTH, 5, TG_BODY_LENGTH, "", 100, false), "head,");
	CU_ASSERT_STRING_EQUAL(
		move(TG_BODY_CHUNKED, 0, TG_BODY_CHUNKED, "5;ext", 100, false), "head,");
	for (uint32_t buf = TG_H1_CHUNK_HEAD_MAX + 3; buf < 60; buf++)
		CU_ASSERT_STRING_EQUAL(
			move(TG_BODY_LENGTH, 5, TG_BODY_LENGTH, "hello", buf, false), "head,hello");
	for (stingy = 1; stingy < 40; stingy++) {
		CU_ASSERT_STRING_EQUAL(
			move(TG_BODY_LENGTH, 5, TG_BODY_LENGTH, "hello", 100, false), "head,hello");
		CU_ASSERT_STRING_EQUAL(
			move(TG_BODY_UNTIL_CLOSE, 0, TG_BODY_CHUNKED, "hello", 100, true),
			"head,5\r\nhello\r\n0\r\n\r\n");
		CU_ASSERT_EQUAL(pump.content, 5);
	}
	stingy = 0;
	head = TG_VIEW_NONE;
}

static void until_close_becomes_chunks(void)
{
	CU_ASSERT_STRING_EQUAL(move(TG_BODY_UNTIL_CLOSE, 0, TG_BODY_CHUNKED, "hello", 100, true),
		"5\r\nhello\r\n0\r\n\r\n");
	CU_ASSERT_EQUAL(last, TG_PUMP_DONE);
}

static void a_cut_body_is_not_complete(void)
{
	CU_ASSERT_STRING_EQUAL(
		move(TG_BODY_LENGTH, 10, TG_BODY_LENGTH, "hello", 100, true), "hello");
	CU_ASSERT_EQUAL(last, TG_PUMP_WAIT_SRC);
	CU_ASSERT_FALSE(tg_pump_eof(&pump));
	move(TG_BODY_CHUNKED, 0, TG_BODY_CHUNKED, "5\r\nhello\r\n", 100, true);
	CU_ASSERT_FALSE(tg_pump_eof(&pump));
}

static void malformed_chunks_stop(void)
{
	CU_ASSERT_STRING_EQUAL(move(TG_BODY_CHUNKED, 0, TG_BODY_CHUNKED, "zz\r\n", 100, false), "");
	CU_ASSERT_EQUAL(last, TG_PUMP_BAD);
	CU_ASSERT_EQUAL(pump.in.refusal, TG_H1_BAD_CHUNK_SIZE);
}

static void replay_is_kept_and_bounded(void)
{
	static uint8_t kept[8];
	struct tg_ready r;
	struct tg_memconn_pair a, z;
	struct tg_view v = TG_VIEW("0123456789");

	tg_ready_init(&r);
	a = tg_memconn_open(&r, 64, NULL, NULL);
	z = tg_memconn_open(&r, 64, NULL, NULL);
	a.a->user = a.b->user = z.a->user = z.b->user = &user;
	tg_pump_init(&pump, TG_BODY_LENGTH, 10, TG_BODY_LENGTH, NULL);
	pump.replay = kept;
	pump.replay_cap = sizeof(kept);
	tg_conn_write(a.a, &v, 1);
	CU_ASSERT_EQUAL(tg_pump_run(&pump, a.b, z.a), TG_PUMP_WAIT_ACK);
	CU_ASSERT_EQUAL(pump.taken, 8);
	CU_ASSERT_EQUAL(memcmp(kept, "01234567", 8), 0);
	tg_pump_forget(&pump);
	CU_ASSERT_EQUAL(tg_pump_run(&pump, a.b, z.a), TG_PUMP_DONE);
	CU_ASSERT_EQUAL(pump.taken, 10);
	tg_conn_abort(a.a, TG_WHY_conn_aborted);
	tg_conn_abort(a.b, TG_WHY_conn_aborted);
	tg_conn_abort(z.a, TG_WHY_conn_aborted);
	tg_conn_abort(z.b, TG_WHY_conn_aborted);
	tg_ready_drain(&r, 0, tg_memconn_reap, NULL);
}

/* Another connection gets all that the one before was given, whatever that took of a last run. */
static void begins_anew(void)
{
	static uint8_t replay[64];
	struct tg_memconn_pair a, z[2];
	struct tg_view v = TG_VIEW("abcdefgh");
	struct tg_ready r;
	char got[64];
	uint32_t n = 0;

	for (stingy = 0; stingy < 12; stingy += 3) {
		n = 0;
		tg_ready_init(&r);
		a = tg_memconn_open(&r, 256, NULL, NULL);
		a.a->user = a.b->user = &user;
		tg_pump_init(&pump, TG_BODY_LENGTH, 8, TG_BODY_LENGTH, NULL);
		pump.replay = replay;
		pump.replay_cap = sizeof(replay);
		for (int i = 0; i < 2; i++) {
			z[i] = tg_memconn_open(&r, 256, NULL, NULL);
			z[i].a->user = z[i].b->user = &user;
			tg_memconn_stingy(z[i].a, i ? 0 : stingy);
			tg_pump_restart(&pump, i ? TG_VIEW("2:") : TG_VIEW("1:"));
			tg_conn_write(a.a, &(struct tg_view){v.p + 5 * i, i ? 3 : 5}, 1);
			last = tg_pump_run(&pump, a.b, z[i].a);
		}
		CU_ASSERT_EQUAL(last, TG_PUMP_DONE);
		while (tg_conn_peek(z[1].b, &v, 1)) {
			memcpy(got + n, v.p, v.n);
			n += v.n;
			tg_conn_consume(z[1].b, v.n);
		}
		got[n] = 0;
		CU_ASSERT_STRING_EQUAL(got, "2:abcdefgh");
		v = TG_VIEW("abcdefgh");
		tg_conn_abort(a.a, TG_WHY_conn_aborted);
		tg_conn_abort(a.b, TG_WHY_conn_aborted);
		for (int i = 0; i < 2; i++) {
			tg_conn_abort(z[i].a, TG_WHY_conn_aborted);
			tg_conn_abort(z[i].b, TG_WHY_conn_aborted);
		}
		tg_ready_drain(&r, 0, tg_memconn_reap, NULL);
	}
	stingy = 0;
}

TG_TEST_MAIN("pump", {"begins anew", begins_anew}, {"lengths pass and stop", lengths_pass_and_stop},
	{"chunks are made anew", chunks_are_made_anew},
	{"short writes lose nothing", short_writes_lose_nothing},
	{"a head leaves with the content that is there",
		a_head_leaves_with_the_content_that_is_there},
	{"a head waits for nothing", a_head_waits_for_nothing},
	{"until close becomes chunks", until_close_becomes_chunks},
	{"a cut body is not complete", a_cut_body_is_not_complete},
	{"malformed chunks stop", malformed_chunks_stop},
	{"replay is kept and bounded", replay_is_kept_and_bounded})
