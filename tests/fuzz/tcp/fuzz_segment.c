/* One stack, a conn moved into a chosen state, then anything: bytes are a program of segments from
 * the peer (near the right sequence numbers, so that they get far), acts of the user, ICMP errors
 * and the passing of time.
 *
 *	byte 0  state to begin in (enum start)
 *	byte 1  options agreed, sizes (enum knob)
 *	then    operations (run_op)
 *
 * Checked: nothing crashes, tg_tcp_validate after each operation, few packets for a packet, and at
 * the end everything goes back: pools, buffers, timers. */
#include <stdlib.h>

#include <tidegate/net.h>
#include <tidegate/tcp.h>

#include "../../eal.h"
#include "opts.h"

#define BUFFERS 512
#define ROOM (2048 + RTE_PKTMBUF_HEADROOM)
#define CONNS 4
#define PEER_PORT 7000
#define OWN_PORT 80
#define BURST_MAX \
	1100 /* frames that one operation may bring forth: a send buffer in 64-byte pieces */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum start {
	LISTEN,
	SYN_SENT,
	EMBRYONIC,
	SYN_RECEIVED,
	ESTABLISHED_PASSIVE,
	ESTABLISHED_ACTIVE,
	FIN_WAIT_1,
	FIN_WAIT_2,
	CLOSE_WAIT,
	CLOSING,
	LAST_ACK,
	TIME_WAIT,
	DATA_IN_FLIGHT,
	OUT_OF_ORDER,
	COOKIES,
	ORPHAN,
	N_STARTS
};
enum knob {
	NO_TS = 1,
	NO_SACK = 2,
	NO_WSCALE = 4,
	SMALL = 8,
	KEEPALIVE = 16,
	ZERO_WINDOW = 32,
	ECN = 64
};

struct input {
	const uint8_t *p;
	size_t n;
};

static struct {
	struct rte_mempool *pool;
	struct tg_core_stats stats;
	struct tg_wheel wheel;
	struct tg_ready ready;
	struct tg_net *net;
	struct tg_tcp *tcp;
	struct tg_tcp_listener listener;
	struct tg_conn *conn[CONNS];
	uint8_t knobs;
	/* what the peer knows */
	uint16_t own_port, peer_port;
	uint32_t snd_nxt, rcv_nxt; /* peer's: next to send; next expected from the stack */
	uint32_t ts_recent;        /* last TSval of the stack */
	bool wants_arp, ce;
	uint32_t frames; /* since the operation began */
} s;

static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t own_ip[4] = {10, 7, 0, 1}, peer_ip[4] = {10, 7, 0, 2};

static uint8_t next(struct input *in)
{
	if (!in->n)
		return 0;
	in->n--;
	return *in->p++;
}

static uint16_t next16(struct input *in)
{
	uint8_t high = next(in);

	return (uint16_t)(high << 8 | next(in));
}

/* --- frames --- */

static uint16_t sum16(const uint8_t *p, uint32_t n, uint32_t sum)
{
	for (; n > 1; p += 2, n -= 2)
		sum += tg_load_be16(p);
	if (n)
		sum += (uint32_t)p[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* What the stack sends: the peer's knowledge follows the newest segment. */
static void look(const uint8_t *p, uint32_t len)
{
	const uint8_t *tcp = p + 34;
	uint32_t hdr, end;
	struct tg_opts o;

	if (tg_load_be16(p + 12) == 0x0806)
		s.wants_arp = true;
	if (tg_load_be16(p + 12) != 0x0800 || p[23] != 6 || len < 54)
		return;
	hdr = (uint32_t)(tcp[12] >> 4) * 4;
	if (tcp[13] & TG_TCP_RST || tg_load_be16(tcp + 2) != s.peer_port)
		return;
	s.own_port = tg_load_be16(tcp);
	end = tg_load_be32(tcp + 4) + tg_load_be16(p + 16) - 20 - hdr;
	end += !!(tcp[13] & TG_TCP_SYN) + !!(tcp[13] & TG_TCP_FIN);
	if (tcp[13] & TG_TCP_SYN || (int32_t)(end - s.rcv_nxt) > 0)
		s.rcv_nxt = end;
	if (tg_opts_parse(tcp + 20, hdr - 20, false, &o) && o.has & TG_OPT_TS)
		s.ts_recent = o.tsval;
}

static uint16_t tx(void *dev, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		uint8_t buf[2048];

		if (pkts[i]->pkt_len > sizeof(buf))
			abort();
		look(rte_pktmbuf_read(pkts[i], 0, pkts[i]->pkt_len, buf), pkts[i]->pkt_len);
		rte_pktmbuf_free(pkts[i]);
		s.frames++;
	}
	return n;
}

static const struct tg_netif_ops wire = {.tx = tx};

static void frame_in(const uint8_t *p, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(s.pool);
	struct tg_seg segs[TG_NET_BURST];
	uint32_t n;

	if (!m)
		return;
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), p, len);
	n = tg_net_input(s.net, 0, &m, 1, segs);
	tg_tcp_input(s.tcp, segs, n);
}

static void ethernet(uint8_t *p, uint16_t type)
{
	memcpy(p, own_mac, 6);
	memcpy(p + 6, peer_mac, 6);
	tg_store_be16(p + 12, type);
}

static void arp_in(uint16_t op)
{
	uint8_t p[60] = {0};

	ethernet(p, 0x0806);
	memcpy(p + 14, "\0\1\10\0\6\4", 6);
	tg_store_be16(p + 20, op);
	memcpy(p + 22, peer_mac, 6);
	memcpy(p + 28, peer_ip, 4);
	memcpy(p + 32, own_mac, 6);
	memcpy(p + 38, own_ip, 4);
	frame_in(p, sizeof(p));
}

/* An IPv4 packet around `len` bytes that stand at p + 34. */
static void ip_in(uint8_t *p, uint8_t proto, uint32_t len)
{
	uint8_t *ip = p + 14, *l4 = p + 34;

	ethernet(p, 0x0800);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	ip[1] = s.ce ? 3 : 0;
	tg_store_be16(ip + 2, (uint16_t)(20 + len));
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, peer_ip, 4);
	memcpy(ip + 16, own_ip, 4);
	tg_store_be16(ip + 10, sum16(ip, 20, 0));
	if (proto == 6)
		tg_store_be16(l4 + 16, sum16(l4, len, 6 + len + (uint16_t)~sum16(ip + 12, 8, 0)));
	else
		tg_store_be16(l4 + 2, sum16(l4, len, 0));
	frame_in(p, 34 + len);
}

struct segment {
	uint32_t seq, ack;
	uint16_t wnd, len;
	uint8_t flags, n_opts; /* n_opts: a multiple of 4 */
	uint8_t opts[TG_OPTS_MAX];
};

static void segment_in(const struct segment *g)
{
	uint8_t p[2048] = {0}, *tcp = p + 34;
	uint32_t hdr = 20u + g->n_opts;

	tg_store_be16(tcp, s.peer_port);
	tg_store_be16(tcp + 2, s.own_port);
	tg_store_be32(tcp + 4, g->seq);
	tg_store_be32(tcp + 8, g->ack);
	tcp[12] = (uint8_t)(hdr / 4 << 4);
	tcp[13] = g->flags;
	tg_store_be16(tcp + 14, g->wnd);
	memcpy(tcp + 20, g->opts, g->n_opts);
	for (uint32_t i = 0; i < g->len; i++)
		tcp[hdr + i] = (uint8_t)(g->seq + i);
	ip_in(p, 6, hdr + g->len);
}

/* --- the stack's surroundings --- */

static void on_ready(struct tg_conn *c, uint32_t events)
{
	for (uint32_t i = 0; i < CONNS; i++)
		if (s.conn[i] == c)
			return;
	for (uint32_t i = 0; i < CONNS; i++)
		if (!s.conn[i]) {
			s.conn[i] = c;
			tg_tcp_set_keepalive(c, s.knobs & KEEPALIVE);
			return;
		}
	tg_conn_abort(c, TG_WHY_conn_aborted);
}

static const struct tg_conn_user user = {.on_ready = on_ready};

static void turn(uint64_t ns)
{
	tg_wheel_advance(&s.wheel, s.wheel.now + ns, 0);
	tg_ready_drain(&s.ready, 0, tg_tcp_reap, s.tcp);
	tg_tcp_output(s.tcp);
	tg_net_flush(s.net);
	if (s.wants_arp) {
		s.wants_arp = false;
		arp_in(2);
		tg_net_flush(s.net);
	}
}

static void start_stack(uint8_t start)
{
	struct tg_netif_conf nif = {.name = "w", .ops = &wire, .mtu = 1500, .n_addrs = 1};
	struct tg_net_conf nc = {.n_ifs = 1,
		.ifs = &nif,
		.mbufs = s.pool,
		.max_neighbours = 8,
		.max_pending = 16,
		.max_reassembly = 8,
		.max_pmtu = 8,
		.wheel = &s.wheel,
		.stats = &s.stats};
	struct tg_tcp_conf tc = {.max_conns = 16,
		.max_embryonic = start == COOKIES ? 1 : 8,
		.max_time_wait = 4,
		.rcv_buf = s.knobs & SMALL ? 4096 : 65536,
		.snd_buf = s.knobs & SMALL ? 4096 : 65536,
		.msl = TG_SEC,
		.no_timestamps = s.knobs & NO_TS,
		.no_sack = s.knobs & NO_SACK,
		.no_window_scale = s.knobs & NO_WSCALE,
		.secret = "a secret of thirty-two bytes...",
		.mbufs = s.pool,
		.wheel = &s.wheel,
		.ready = &s.ready,
		.stats = &s.stats};
	struct tg_errbuf e;

	memcpy(nif.mac, own_mac, 6);
	nif.addrs[0].ip = tg_ip_v4(0);
	memcpy(nif.addrs[0].ip.b + 12, own_ip, 4);
	nif.addrs[0].len = 120;
	tg_wheel_init(&s.wheel, 1000 * TG_SEC);
	tg_ready_init(&s.ready);
	memset(&s.stats, 0, sizeof(s.stats));
	s.net = tg_net_create(&nc, &e);
	if (!s.net)
		abort();
	tc.net = s.net;
	s.tcp = tg_tcp_create(&tc, &e);
	if (!s.tcp)
		abort();
	s.listener = (struct tg_tcp_listener){.user = &user};
	s.listener.addr = (struct tg_sockaddr){.ip = nif.addrs[0].ip, .port = OWN_PORT};
	if (tg_tcp_listen(s.tcp, &s.listener))
		abort();
	arp_in(1);
	turn(TG_MS);
}

/* --- getting into a state --- */

static void plain(uint8_t flags, uint16_t len)
{
	struct segment g = {.seq = s.snd_nxt,
		.ack = flags & TG_TCP_ACK ? s.rcv_nxt : 0,
		.wnd = s.knobs & ZERO_WINDOW ? 0 : 20000,
		.len = len,
		.flags = flags};
	struct tg_opts o = {.has = TG_OPT_MSS, .mss = 1460, .wscale = 4, .tsval = 1000};

	o.tsecr = s.ts_recent;
	if (!(s.knobs & NO_TS))
		o.has |= TG_OPT_TS;
	if (!(s.knobs & NO_SACK))
		o.has |= TG_OPT_SACK_OK;
	if (!(s.knobs & NO_WSCALE))
		o.has |= TG_OPT_WSCALE;
	if (flags == TG_TCP_SYN && s.knobs & ECN)
		g.flags |= TG_TCP_ECE | TG_TCP_CWR;
	if (flags & TG_TCP_SYN)
		g.n_opts = (uint8_t)tg_opts_build_syn(g.opts, &o);
	else if (o.has & TG_OPT_TS)
		g.n_opts = (uint8_t)tg_opts_put_ts(
			g.opts, 1000 + (uint32_t)(s.wheel.now / TG_MS), s.ts_recent);
	s.snd_nxt += len + !!(flags & TG_TCP_SYN) + !!(flags & TG_TCP_FIN);
	segment_in(&g);
	turn(TG_MS);
}

static void dial(void)
{
	struct tg_tcp_dial d = {.user = &user, .remote = {.port = PEER_PORT}};
	struct tg_conn *c;

	d.remote.ip = tg_ip_v4(0);
	memcpy(d.remote.ip.b + 12, peer_ip, 4);
	for (uint32_t i = 0; i < CONNS; i++)
		if (!s.conn[i]) {
			if (!tg_tcp_connect(s.tcp, &d, &c))
				s.conn[i] = c;
			break;
		}
	turn(TG_MS);
}

static void handshake(bool active)
{
	if (active) {
		dial();
		plain(TG_TCP_SYN | TG_TCP_ACK, 0);
	} else {
		plain(TG_TCP_SYN, 0);
		plain(TG_TCP_ACK, 0);
	}
}

static void give(uint32_t n)
{
	static const uint8_t zeros[65536];
	struct tg_view v = tg_view_of(zeros, n < sizeof(zeros) ? n : sizeof(zeros));

	if (s.conn[0])
		tg_conn_write(s.conn[0], &v, 1);
}

static void finish(void)
{
	if (s.conn[0])
		tg_conn_finish(s.conn[0]);
	turn(TG_MS);
}

static void leave(bool abort_it)
{
	struct tg_conn *c = s.conn[0];

	if (!c)
		return;
	memmove(s.conn, s.conn + 1, (CONNS - 1) * sizeof(s.conn[0]));
	s.conn[CONNS - 1] = NULL;
	if (abort_it)
		tg_conn_abort(c, TG_WHY_conn_aborted);
	else
		tg_conn_detach(c);
}

/* From ESTABLISHED on. */
static void move_on(enum start start)
{
	switch (start) {
	case FIN_WAIT_1:
		finish();
		break;
	case FIN_WAIT_2:
		finish();
		plain(TG_TCP_ACK, 0);
		break;
	case CLOSE_WAIT:
		plain(TG_TCP_FIN | TG_TCP_ACK, 0);
		break;
	case CLOSING:
		s.rcv_nxt--; /* our FIN is not acknowledged */
		finish();
		s.rcv_nxt--;
		plain(TG_TCP_FIN | TG_TCP_ACK, 0);
		break;
	case LAST_ACK:
		plain(TG_TCP_FIN | TG_TCP_ACK, 0);
		finish();
		break;
	case TIME_WAIT:
		finish();
		plain(TG_TCP_FIN | TG_TCP_ACK, 0);
		break;
	case DATA_IN_FLIGHT:
		give(30000);
		turn(TG_MS);
		break;
	case OUT_OF_ORDER:
		s.snd_nxt += 1000;
		plain(TG_TCP_ACK, 500);
		s.snd_nxt += 300;
		plain(TG_TCP_ACK, 700);
		s.snd_nxt -= 2500;
		break;
	case ORPHAN:
		give(5000);
		leave(false);
		turn(TG_MS);
		break;
	default:
		break;
	}
}

static void reach(enum start start)
{
	s.peer_port = PEER_PORT;
	s.own_port = OWN_PORT;
	s.snd_nxt = 0xfffffc00; /* wraps soon */
	s.rcv_nxt = s.ts_recent = 0;
	switch (start) {
	case LISTEN:
		return;
	case SYN_SENT:
		dial();
		return;
	case SYN_RECEIVED:
		dial();
		plain(TG_TCP_SYN, 0);
		return;
	case EMBRYONIC:
		plain(TG_TCP_SYN, 0);
		return;
	case COOKIES:
		s.peer_port = PEER_PORT + 1;
		plain(TG_TCP_SYN, 0);
		s.peer_port = PEER_PORT;
		plain(TG_TCP_SYN, 0);
		return;
	default:
		handshake(start == ESTABLISHED_ACTIVE || start == CLOSING);
		move_on(start);
	}
}

/* --- operations --- */

static void op_segment(struct input *in)
{
	struct segment g = {.flags = next(in)};
	uint8_t shape = next(in);
	uint32_t opts;

	g.seq = s.snd_nxt + (uint32_t)(int16_t)next16(in);
	g.ack = s.rcv_nxt + (uint32_t)(int16_t)next16(in);
	g.wnd = next16(in);
	g.len = (uint16_t)(shape & 0x40 ? next(in) * 5u : 0);
	if (shape & 1)
		g.n_opts = (uint8_t)tg_opts_put_ts(g.opts,
			1000 + (uint32_t)(s.wheel.now / TG_MS) + (uint32_t)(int8_t)next(in),
			s.ts_recent - next(in));
	if (shape & 2) { /* SACK blocks of what the stack sent */
		struct tg_sack b[3];

		for (uint32_t i = 0; i < 3; i++) {
			b[i].start = g.ack + (uint32_t)(int16_t)next16(in);
			b[i].end = b[i].start + next16(in);
		}
		g.n_opts = (uint8_t)(g.n_opts + tg_opts_put_sack(g.opts + g.n_opts,
							TG_OPTS_MAX - g.n_opts, b,
							1 + (shape >> 2) % 3));
	}
	if (shape & 0x20)
		for (opts = next(in) % 11 * 4; opts && g.n_opts < TG_OPTS_MAX; opts--)
			g.opts[g.n_opts++] = next(in);
	g.n_opts &= 0xfc;
	if (shape & 0x80) /* the peer goes on from here */
		s.snd_nxt = g.seq + g.len + !!(g.flags & TG_TCP_SYN) + !!(g.flags & TG_TCP_FIN);
	segment_in(&g);
}

static void op_icmp(struct input *in)
{
	uint8_t p[128] = {0}, *icmp = p + 34, *ip = icmp + 8;

	icmp[0] = 3;
	icmp[1] = next(in) % 16;
	tg_store_be16(icmp + 6, next16(in));
	ip[0] = 0x45;
	tg_store_be16(ip + 2, 1500);
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, own_ip, 4);
	memcpy(ip + 16, peer_ip, 4);
	tg_store_be16(ip + 10, sum16(ip, 20, 0));
	tg_store_be16(ip + 20, s.own_port);
	tg_store_be16(ip + 22, s.peer_port);
	tg_store_be32(ip + 24, s.rcv_nxt + (uint32_t)(int16_t)next16(in));
	ip_in(p, 1, 8 + 20 + 8);
}

static void op_read(uint32_t n)
{
	struct tg_view v[4];
	uint32_t have = 0, cnt;

	if (!s.conn[0])
		return;
	cnt = tg_conn_peek(s.conn[0], v, 4);
	for (uint32_t i = 0; i < cnt; i++) {
		volatile uint8_t sink = v[i].p[0] ^ v[i].p[v[i].n - 1];

		(void)sink;
		have += v[i].n;
	}
	tg_conn_consume(s.conn[0], n < have ? n : have);
}

/* The calls that are rare. */
static void op_rest(struct input *in, uint8_t which)
{
	struct tg_conn_info info;

	switch (which) {
	case 0:
		dial();
		break;
	case 1:
		tg_tcp_unlisten(s.tcp, &s.listener);
		turn(0);
		if (tg_tcp_listen(s.tcp, &s.listener))
			abort();
		break;
	case 2:
		if (!s.conn[0])
			break;
		tg_conn_info(s.conn[0], &info);
		if (info.tx_acked > info.tx_written)
			abort();
		break;
	default:
		if (s.conn[0])
			tg_tcp_set_rcv_buf(s.conn[0], 4096u + next(in) * 512u);
	}
}

static void run_op(struct input *in)
{
	uint8_t op = next(in);

	s.frames = 0;
	s.ce = op & 0x20;
	switch (op % 16) {
	case 8:
		give(next(in) * 101u);
		break;
	case 9:
		op_read(next16(in));
		break;
	case 10:
		finish();
		break;
	case 11:
		leave(op & 0x80);
		break;
	case 12:
		turn(next(in) * TG_MS / 4);
		break;
	case 13:
		turn(next(in) * TG_SEC / 8);
		break;
	case 14:
		op_icmp(in);
		break;
	case 15:
		op_rest(in, op >> 6);
		break;
	default:
		op_segment(in);
	}
	turn(op & 0x40 ? 0 : 100 * TG_US);
	if (!tg_tcp_validate(s.tcp))
		abort();
	if (!tg_wheel_validate(&s.wheel))
		abort();
	if (s.frames > BURST_MAX)
		abort();
}

static bool busy(void)
{
	struct tg_tcp_usage u[8];
	uint32_t n = tg_tcp_usage(s.tcp, u, 8);

	for (uint32_t i = 0; i < n && i < 8; i++)
		if (u[i].in_use)
			return true;
	return false;
}

static void end_stack(void)
{
	s.ce = false;
	while (s.conn[0])
		leave(true);
	/* A deserted stack comes to rest: orphans, TIME-WAIT, handshakes. */
	for (uint32_t i = 0; i < 4000 && busy(); i++)
		turn(TG_SEC / 4);
	if (busy() || !tg_tcp_validate(s.tcp))
		abort();
	tg_tcp_destroy(s.tcp);
	tg_net_destroy(s.net);
	if (s.wheel.running || rte_mempool_avail_count(s.pool) != BUFFERS)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	if (!tg_test_eal(64))
		abort();
	s.pool = rte_pktmbuf_pool_create("fuzz", BUFFERS, 0, 0, ROOM, -1);
	if (!s.pool)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t start = next(&in) % N_STARTS;

	s.knobs = next(&in);
	start_stack(start);
	reach(start);
	while (in.n)
		run_op(&in);
	end_stack();
	return 0;
}
