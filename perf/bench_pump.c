/* bench_pump.c: bodies moved from one connection to another: what the pump does for it, with
 * connections that do nothing (what they cost is bench_tcp's and bench_aead's).
 */
#include <stdio.h>
#include <string.h>

#include <pump.h>

#include "bench.h"

#define PASS 64
#define MOST (64 * 1024)

/* A source that always has the same bytes, in pieces as received packets hold them; and a
 * destination that takes all. */
struct end {
	struct tg_conn c;
	uint8_t bytes[MOST + 4096];
	uint32_t n, piece, took;
};

static uint32_t peek(struct tg_conn *c, struct tg_view *v, uint32_t cnt)
{
	struct end *e = (struct end *)c;
	uint32_t k = 0;

	for (uint32_t at = e->took; at < e->n && k < cnt; at += v[k++].n)
		v[k] = tg_view_of(e->bytes + at, e->n - at < e->piece ? e->n - at : e->piece);
	return k;
}

static void consume(struct tg_conn *c, uint32_t n)
{
	((struct end *)c)->took += n;
}

static uint32_t space(const struct tg_conn *c)
{
	return 256 * 1024;
}

static uint32_t write(struct tg_conn *c, const struct tg_view *v, uint32_t cnt)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < cnt; i++)
		n += v[i].n;
	((struct end *)c)->took += n;
	return n;
}

static const struct tg_conn_ops ops = {
	.rx_peek = peek, .rx_consume = consume, .tx_space = space, .tx_write = write};

static struct end src = {.c = {.ops = &ops}}, dst = {.c = {.ops = &ops}};

/* A chunked body of one chunk after another, each as long as a piece. */
static uint32_t make_chunks(uint32_t content, uint32_t each)
{
	uint32_t n = 0;

	for (uint32_t done = 0; done < content; done += each) {
		n += tg_h1_chunk_head(src.bytes + n, each);
		n += each;
		memcpy(src.bytes + n, "\r\n", 2);
		n += 2;
	}
	memcpy(src.bytes + n, "0\r\n\r\n", 5);
	return n + 5;
}

static bool failed;

static void move(const char *what, uint32_t content, enum tg_body_kind in, enum tg_body_kind out)
{
	static const uint32_t mss = 1448;
	char name[80];
	struct bench b;

	snprintf(name, sizeof(name), "pump: %u bytes, %s", content, what);
	src.piece = mss;
	src.n = in == TG_BODY_CHUNKED ? make_chunks(content, 1024) : content;
	for (bench_begin(&b, name); bench_more(&b);) {
		bench_start(&b);
		for (uint32_t i = 0; i < PASS; i++) {
			struct tg_pump p;

			src.took = dst.took = 0;
			tg_pump_init(&p, in, content, out, NULL);
			p.lead = TG_VIEW("HTTP/1.1 200 OK\r\n\r\n");
			failed |= tg_pump_run(&p, &src.c, &dst.c) != TG_PUMP_DONE;
		}
		bench_stop(&b, PASS);
		failed |= src.took != src.n || dst.took < content;
	}
}

int main(int argc, char **argv)
{
	bench_init(argc, argv);
	move("no content", 0, TG_BODY_NONE, TG_BODY_NONE);
	move("length", 64, TG_BODY_LENGTH, TG_BODY_LENGTH);
	move("length", 16384, TG_BODY_LENGTH, TG_BODY_LENGTH);
	move("chunks", 16384, TG_BODY_CHUNKED, TG_BODY_CHUNKED);
	move("chunks", MOST / 2, TG_BODY_CHUNKED, TG_BODY_CHUNKED);
	if (failed)
		fprintf(stderr, "bench_pump: a body did not arrive\n");
	return failed ? 1 : bench_end();
}
