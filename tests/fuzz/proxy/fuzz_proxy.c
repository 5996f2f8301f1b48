/* Bytes become what clients and origins do to a proxy: open, send, finish, reset, hold, wait.
 *
 * Each operation is one byte (what, and to whom) and, where it sends, a length byte and that many
 * bytes. Whatever happens: no crash, no broken structure (bench_run validates after every round),
 * and at the end nothing is left (bench_end).
 */
#include <stdlib.h>

#include "bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t n;
};

static uint8_t next(struct input *in)
{
	if (!in->n)
		return 0;
	in->n--;
	return *in->p++;
}

static void send_some(struct bench_peer *p, struct input *in)
{
	uint32_t n = next(in);
	struct tg_view v;

	if (n > in->n)
		n = (uint32_t)in->n;
	v = tg_view_of(in->p, n);
	in->p += n;
	in->n -= n;
	if (!p || p->detached)
		return;
	p->n = 0;
	if (n)
		tg_conn_write(p->conn, &v, 1);
	bench_run();
}

/* Whole messages, so that the interesting states are near. */
static void send_known(struct bench_peer *p, uint8_t which)
{
	static const char *known[] = {
		"GET /api HTTP/1.1\r\nHost: shop.example\r\n\r\n",
		"POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 8\r\n\r\n",
		"POST /api HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n",
		"3\r\nabc\r\n0\r\n\r\n",
		"GET /api HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nUpgrade: "
		"websocket\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: "
		"websocket\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nuntil close",
		"HEAD /api HTTP/1.0\r\n\r\n",
		"GET /empty HTTP/1.1\r\nHost: shop.example\r\n\r\n",
	};
	struct tg_view v = tg_view_str(known[which % TG_ARRAY_LEN(known)]);

	if (!p || p->detached)
		return;
	p->n = 0;
	tg_conn_write(p->conn, &v, 1);
	bench_run();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct bench_peer *client[8] = {0}, *p;
	uint32_t clients = 0;

	bench_start(next(&in) & 1 ? 64 : 4096);
	while (in.n && b.n_origins < 24) {
		uint8_t op = next(&in), who = op >> 4;

		p = who < 8 ? client[who] : b.origin[(who - 8u) % (b.n_origins ? b.n_origins : 1)];
		switch (op & 15) {
		case 0:
			if (clients < 8)
				client[clients++] = bench_client(who & 1);
			break;
		case 1:
		case 2:
			send_some(p, &in);
			break;
		case 3:
			if (p && !p->detached)
				bench_fin(p);
			break;
		case 4:
			if (p && !p->detached)
				bench_reset(p);
			break;
		case 5:
			if (p)
				bench_detach(p);
			break;
		case 6:
			if (p)
				p->hold = !p->hold;
			break;
		case 7:
			bench_advance((uint64_t)next(&in) * TG_SEC);
			break;
		case 8:
			if (p && !p->detached)
				tg_memconn_deaf(p->conn);
			break;
		case 9:
			b.connect_hangs = !b.connect_hangs;
			break;
		case 10:
			b.connect_error = b.connect_error ? 0 : TG_ENOROUTE;
			break;
		default:
			send_known(p, next(&in));
		}
		while (bench_log())
			;
	}
	bench_end();
	return 0;
}
