#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script_parse.h"
#include "script_rig.h"

#define LATE (2 * TG_MS)

void script_fail(const char *fmt, ...)
{
	va_list ap;

	if (r.failed)
		return;
	r.failed = true;
	printf("\n    %s, line %d: ", r.script->name, r.line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static uint64_t now(void)
{
	return r.wheel.now - r.start;
}

bool script_failed(void)
{
	return r.failed;
}

/* --- the wire: copies, since a lent buffer is still the sender's --- */

static void show(const struct caught *c, char *out, size_t n);

static void catch_segments(struct tg_seg *segs, uint32_t n)
{
	char text[512];

	for (uint32_t i = 0; i < n; i++) {
		struct caught *c = &r.q[r.q_tail % CAUGHT];
		const uint8_t *p = rte_pktmbuf_mtod(segs[i].m, const uint8_t *);

		if (r.q_tail - r.q_head == CAUGHT) {
			script_fail("too many segments");
			rte_pktmbuf_free(segs[i].m);
			continue;
		}
		c->at = now();
		c->s = segs[i];
		tg_opts_parse(p + 20, segs[i].hdr_len - 20u, segs[i].flags & TG_TCP_SYN, &c->o);
		for (uint32_t k = 0; k < segs[i].payload_len && r.iss_known; k++) {
			uint32_t at = segs[i].seq - r.iss - 1 + k;

			if (p[segs[i].hdr_len + k] != (uint8_t)(at * 7 + (at >> 8)))
				script_fail("byte %u of the stream is wrong", at);
		}
		rte_pktmbuf_free(segs[i].m);
		r.q_tail++;
		if (getenv("TG_SCRIPT_TRACE")) {
			show(c, text, sizeof(text));
			printf("    %s\n", text);
		}
	}
}

/* A question for the peer's MAC address: an ARP request, a neighbour solicitation. */
static bool asks(const struct rte_mbuf *m)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);

	if (tg_load_be16(d + 12) == 0x0806)
		return tg_load_be16(d + 20) == 1;
	return tg_load_be16(d + 12) == 0x86dd && d[20] == 58 && d[54] == 135;
}

uint16_t script_dut_tx(void *dev, struct rte_mbuf **pkts, uint16_t n)
{
	struct tg_seg out[TG_NET_BURST];

	(void)dev;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *copy = rte_pktmbuf_copy(pkts[i], r.pool, 0, UINT32_MAX);

		r.asked += asks(pkts[i]);
		rte_pktmbuf_free(pkts[i]);
		if (copy)
			catch_segments(out, tg_net_input(r.peer, 0, &copy, 1, out));
	}
	return n;
}

uint16_t script_peer_tx(void *dev, struct rte_mbuf **pkts, uint16_t n)
{
	struct tg_seg out[TG_NET_BURST];

	(void)dev;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint32_t cnt = tg_net_input(r.net, 0, &m, 1, out);

		r.segments += cnt;
		if (cnt)
			tg_tcp_input(r.tcp, out, cnt);
	}
	return n;
}

void script_flush(void)
{
	for (int i = 0; i < 3; i++) {
		tg_net_flush(r.net);
		tg_net_flush(r.peer);
	}
}

static void turn(void)
{
	tg_ready_drain(&r.ready, 0, tg_tcp_reap, r.tcp);
	tg_tcp_output(r.tcp);
	script_flush();
	if (!tg_tcp_validate(r.tcp))
		script_fail("tg_tcp_validate() at %.6f", (double)now() / 1e9);
}

static void run_until(uint64_t t, bool stop_at_packet)
{
	while (!r.failed) {
		uint64_t next = tg_wheel_next(&r.wheel), pnext = tg_wheel_next(&r.peer_wheel);
		uint64_t at;

		if (stop_at_packet && r.q_head != r.q_tail)
			return;
		next = pnext < next ? pnext : next;
		at = next < r.start + t ? next : r.start + t;
		if (at <= r.wheel.now && next >= r.start + t)
			break;
		if (at <= r.wheel.now)
			at = r.wheel.now + 1;
		tg_wheel_advance(&r.wheel, at, 0);
		tg_wheel_advance(&r.peer_wheel, at, 0);
		turn();
		if (at >= r.start + t)
			break;
	}
}

/* --- the user --- */

static void on_ready(struct tg_conn *c, uint32_t events)
{
	if (!r.c && !r.left)
		r.c = c;
	if (c == r.c)
		r.events |= events;
	else if (events & TG_EV_OPEN)
		tg_conn_detach(c);
}

static const struct tg_conn_user user = {.on_ready = on_ready};

static void do_write(uint32_t n)
{
	uint8_t buf[65536];
	struct tg_view v;
	uint32_t took;

	while (n) {
		uint32_t part = n < sizeof(buf) ? n : (uint32_t)sizeof(buf);

		for (uint32_t i = 0; i < part; i++) {
			uint32_t at = (uint32_t)r.written + i;

			buf[i] = (uint8_t)(at * 7 + (at >> 8));
		}
		v = tg_view_of(buf, part);
		took = tg_conn_write(r.c, &v, 1);
		r.written += took;
		if (took < part)
			return;
		n -= part;
	}
}

static uint32_t readable(void)
{
	struct tg_view v[512];
	uint32_t n = tg_conn_peek(r.c, v, 512), sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < v[i].n; k++) {
			uint32_t at = (uint32_t)r.read_at + sum + k;

			if (v[i].p[k] != (uint8_t)(at * 5 + (at >> 8)))
				script_fail("byte %u received is wrong", at);
		}
		sum += v[i].n;
	}
	return sum;
}

static void do_read(uint32_t n)
{
	uint32_t have = readable();

	if (have < n)
		script_fail("only %u bytes to read", have);
	r.read_at += n;
	tg_conn_consume(r.c, n);
}

/* --- in --- */

static uint32_t build_opts(uint8_t *out, struct line_seg *l)
{
	struct tg_opts *o = &l->opt.o;
	uint32_t n = 0;

	if (l->opt.n_raw) {
		memcpy(out, l->opt.raw, l->opt.n_raw);
		n = l->opt.n_raw;
		while (n % 4)
			out[n++] = 0;
		return n;
	}
	o->tsecr += o->has & TG_OPT_TS && r.ts_known ? r.ts0 : 0;
	if (l->flags & TG_TCP_SYN)
		return tg_opts_build_syn(out, o);
	if (o->has & TG_OPT_TS)
		n += tg_opts_put_ts(out, o->tsval, o->tsecr);
	for (uint32_t i = 0; i < o->n_sack; i++) {
		o->sack[i].start += r.iss;
		o->sack[i].end += r.iss;
	}
	if (o->has & TG_OPT_SACK)
		n += tg_opts_put_sack(out + n, 40 - n, o->sack, o->n_sack);
	return n;
}

static void inject(const char *p)
{
	struct line_seg l;
	uint8_t opts[44];
	uint32_t n, seq;
	struct rte_mbuf *m;
	uint8_t *h;

	script_seg(p, &l);
	if (r.failed)
		return;
	n = build_opts(opts, &l);
	m = rte_pktmbuf_alloc(r.pool);
	if (!m) {
		script_fail("no packet buffer for the script");
		return;
	}
	h = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(20 + n + l.len));
	seq = r.irs + l.seq;
	memset(h, 0, 20);
	tg_store_be16(h, r.flow.lport);
	tg_store_be16(h + 2, r.flow.rport);
	tg_store_be32(h + 4, seq);
	tg_store_be32(h + 8, l.has_ack ? r.iss + l.ack : 0);
	h[12] = (uint8_t)((20 + n) << 2);
	h[13] = l.flags;
	tg_store_be16(h + 14, (uint16_t)l.win);
	tg_store_be16(h + 18, (uint16_t)l.urg);
	memcpy(h + 20, opts, n);
	for (uint32_t i = 0; i < l.len; i++) {
		uint32_t at = l.seq - !(l.flags & TG_TCP_SYN) + i;

		h[20 + n + i] = (uint8_t)(at * 5 + (at >> 8));
	}
	tg_net_output(r.peer, m, &r.flow, l.ce ? 3 : l.ect ? 2 : 0, &r.dst);
	script_flush();
	turn();
}

/* --- out --- */

static void show(const struct caught *c, char *out, size_t n)
{
	static const char letters[] = "FSRP.UEW";
	char f[9], *p = f;
	int len;

	for (int i = 0; i < 8; i++)
		if (c->s.flags & 1 << i)
			*p++ = letters[i];
	*p = 0;
	len = snprintf(out, n, "%.6f > %s %u:%u(%u) ack %u win %u", (double)c->at / 1e9, f,
		c->s.seq - r.iss, c->s.seq - r.iss + c->s.payload_len, c->s.payload_len,
		c->s.flags & TG_TCP_ACK ? c->s.ack - r.irs : 0, c->s.wnd);
	if (c->o.has & TG_OPT_TS)
		len += snprintf(out + len, n - (size_t)len, " <TS val %u ecr %u>",
			c->o.tsval - r.ts0, c->o.tsecr);
	for (uint32_t i = 0; i < c->o.n_sack; i++)
		len += snprintf(out + len, n - (size_t)len, " sack %u:%u",
			c->o.sack[i].start - r.irs, c->o.sack[i].end - r.irs);
	if (c->o.has & TG_OPT_MSS)
		len += snprintf(out + len, n - (size_t)len, " mss %u", c->o.mss);
	if (c->o.has & TG_OPT_WSCALE)
		len += snprintf(out + len, n - (size_t)len, " wscale %u", c->o.wscale);
	if (c->s.ecn)
		snprintf(out + len, n - (size_t)len, " ecn %u", c->s.ecn);
}

static const char *compare_opts(const struct line_opt *l, const struct tg_opts *o)
{
	if (l->nosack && o->n_sack)
		return "SACK blocks";
	if (!l->given)
		return NULL;
	if ((l->o.has ^ o->has) &
		(TG_OPT_MSS | TG_OPT_WSCALE | TG_OPT_SACK_OK | TG_OPT_TS | TG_OPT_SACK))
		return "which options";
	if (l->o.mss != o->mss)
		return "mss";
	if (l->o.wscale != o->wscale)
		return "wscale";
	if (l->o.has & TG_OPT_TS && !l->any_val && (l->o.tsval - (o->tsval - r.ts0) + 2 > 4))
		return "TS val";
	if (l->o.has & TG_OPT_TS && !l->any_ecr && l->o.tsecr != o->tsecr)
		return "TS ecr";
	if (l->o.n_sack != o->n_sack)
		return "number of SACK blocks";
	for (uint32_t i = 0; i < o->n_sack; i++)
		if (l->o.sack[i].start != o->sack[i].start - r.irs ||
			l->o.sack[i].end != o->sack[i].end - r.irs)
			return "SACK block";
	return NULL;
}

static const char *compare(const struct line_seg *l, const struct caught *c)
{
	if (l->flags != c->s.flags)
		return "flags";
	if (l->seq != c->s.seq - r.iss && !(c->s.flags & TG_TCP_RST && l->seq == c->s.seq))
		return "seq";
	if (l->len != c->s.payload_len)
		return "length";
	if (l->has_ack && l->ack != c->s.ack - r.irs)
		return "ack";
	if (l->has_win && l->win != c->s.wnd)
		return "window";
	if ((l->ect && c->s.ecn != 2) || (l->notect && c->s.ecn))
		return "ECN";
	return compare_opts(&l->opt, &c->o);
}

static void learn(const struct caught *c)
{
	if (!r.iss_known && c->s.flags & TG_TCP_SYN) {
		r.iss = c->s.seq;
		r.iss_known = true;
		/* An active open: the script's peer talks to this port. */
		r.flow.rport = c->s.flow.rport;
	}
	if (!r.ts_known && c->o.has & TG_OPT_TS) {
		r.ts0 = c->o.tsval;
		r.ts_known = true;
	}
}

/* p: the line's text, for the reader */
static void expect(const struct line_seg *l, const char *p, uint64_t at, bool loose)
{
	uint64_t late = loose ? (at - r.last) / 10 + LATE : LATE;
	const struct caught *c;
	const char *differs;
	char text[512];

	run_until(at + late, true);
	if (r.failed)
		return;
	if (r.q_head == r.q_tail) {
		script_fail("nothing left; expected %u:%u of > %s", l->seq, l->end, p);
		return;
	}
	c = &r.q[r.q_head++ % CAUGHT];
	learn(c);
	show(c, text, sizeof(text));
	differs = compare(l, c);
	if (differs)
		script_fail("%s differs: %s\n      expected %u:%u of > %s", differs, text, l->seq,
			l->end, p);
	else if (c->at > at + late || c->at + TG_US * 100 < at)
		script_fail("at the wrong time, expected %.6f: %s", (double)at / 1e9, text);
	r.last = c->at > at ? c->at : at;
}

static void expect_one(const char *p, uint64_t at, bool loose)
{
	struct line_seg l;

	script_seg(p, &l);
	if (!(l.flags & TG_TCP_SYN) && l.end - l.seq != l.len)
		script_fail("%u:%u is not (%u)", l.seq, l.end, l.len);
	expect(&l, p, at, loose);
}

static void expect_run(const char *p, uint64_t at, bool loose)
{
	struct line_seg all, l;

	script_seg(p, &all);
	for (l = all; l.seq != all.end && !r.failed; l.seq += l.len) {
		bool last = all.end - l.seq <= all.len;

		l.len = last ? all.end - l.seq : all.len;
		l.end = l.seq + l.len;
		l.flags = (uint8_t)(last ? all.flags : all.flags & ~TG_TCP_PSH);
		expect(&l, p, at, loose);
		at = r.last;
	}
}

static void none_left(void)
{
	char text[512];

	if (r.failed || r.q_head == r.q_tail)
		return;
	learn(&r.q[r.q_head % CAUGHT]);
	show(&r.q[r.q_head % CAUGHT], text, sizeof(text));
	script_fail("unexpected: %s", text);
}

/* --- commands --- */

static const struct {
	const char *name;
	size_t at;
	bool gauge;
} counters[] = {
#define X(n, text) {#n, offsetof(struct tg_core_stats, n), false},
	TG_CORE_COUNTERS(X)
#undef X
#define X(n, text) {#n "_now", offsetof(struct tg_core_stats, n), true},
		TG_CORE_GAUGES(X)
#undef X
#define X(n, cls, text) \
	{#n, offsetof(struct tg_core_stats, why) + sizeof(uint64_t) * TG_WHY_##n, false},
			TG_WHY_LIST(X)
#undef X
};

static void check_stat(const char *p)
{
	for (size_t i = 0; i < TG_ARRAY_LEN(counters); i++) {
		const char *q = p;
		uint64_t is, want;

		if (!script_word(&q, counters[i].name))
			continue;
		want = script_number(&q);
		is = *(const uint64_t *)((const char *)&r.stats + counters[i].at);
		if (!counters[i].gauge)
			is -= *(const uint64_t *)((const char *)&r.before + counters[i].at);
		if (is != want)
			script_fail("%s is %" PRIu64 ", not %" PRIu64, counters[i].name, is, want);
		return;
	}
	script_fail("no counter \"%s\"", p);
}

static void check_events(const char *p)
{
	static const char *names[] = {"OPEN", "READABLE", "WRITABLE", "EOF", "FAILED", "DRAINED"};
	uint32_t want = 0;
	char text[80] = "";

	for (p = script_skip(p); *p && *p != '-'; p++) {
		const char *q = p;

		for (uint32_t i = 0; i < 6; i++)
			if (script_word(&q, names[i])) {
				want |= 1u << i;
				break;
			}
		if (q == p) {
			script_fail("event \"%s\"", p);
			return;
		}
		p = q;
		if (!*p)
			break;
	}
	turn();
	for (uint32_t i = 0; i < 6; i++)
		if (r.events & 1u << i)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", names[i]);
	if (want != r.events)
		script_fail("events:%s", text);
	r.events = 0;
}

static void check_info(const char *p)
{
	struct tg_conn_info info;

	if (!r.c) {
		script_fail("there is no conn");
		return;
	}
	tg_conn_info(r.c, &info);
	if (script_word(&p, "why")) {
		p = script_skip(p);
		if (strcmp(p, tg_why_name(info.why)) != 0)
			script_fail("why is %s", tg_why_name(info.why));
	} else if (script_word(&p, "acked")) {
		if (info.tx_acked != script_number(&p))
			script_fail("acked is %" PRIu64, info.tx_acked);
	} else if (script_word(&p, "written")) {
		if (info.tx_written != script_number(&p))
			script_fail("written is %" PRIu64, info.tx_written);
	} else if (script_word(&p, "final")) {
		if (info.tx_final != (script_number(&p) != 0))
			script_fail("final is %d", info.tx_final);
	} else if (script_word(&p, "readable")) {
		uint32_t n = readable();

		if (n != script_number(&p))
			script_fail("readable is %u", n);
	} else if (script_word(&p, "space")) {
		uint32_t n = tg_conn_space(r.c);

		if (n != script_number(&p))
			script_fail("space is %u", n);
	}
}

static void check_asked(const char *p)
{
	uint32_t n = script_number(&p);

	if (r.asked != n)
		script_fail("the peer's address was asked for %u times", r.asked);
	r.asked = 0;
}

static void check_state(const char *p)
{
	struct tg_flow f = {.local = r.flow.remote,
		.remote = r.flow.local,
		.lport = r.flow.rport,
		.rport = r.flow.lport};
	static const char *names[] = {"gone", "open", "embryonic", "time_wait"};
	uint32_t ref = tg_flow_find(&r.tcp->flows, tg_flow_hash(&r.tcp->flows, &f), &f);

	p = script_skip(p);
	if (strcmp(names[tg_flow_kind(ref)], p) != 0)
		script_fail("the flow is %s", names[tg_flow_kind(ref)]);
}

static void do_icmp(const char *p)
{
	struct tg_icmp_error e = {.flow = {.local = r.flow.remote,
					  .remote = r.flow.local,
					  .lport = r.flow.rport,
					  .rport = r.flow.lport}};

	if (script_word(&p, "toobig")) {
		e.kind = TG_ICMP_TOO_BIG;
		e.mtu = (uint16_t)script_number(&p);
	} else if (script_word(&p, "hard")) {
		e.kind = TG_ICMP_HARD;
	} else if (script_word(&p, "soft")) {
		e.kind = TG_ICMP_SOFT;
	}
	e.seq = r.iss + script_number(&p);
	on_icmp_error(r.tcp, &e);
	turn();
}

/* A limit of connections in all. */
static enum tg_why admit(void *left, const struct tg_ip *from, uint64_t now, bool take)
{
	uint32_t *n = left;

	if (!tg_ip_eq(from, &r.flow.local) || now != r.wheel.now)
		script_fail("the listener is asked for somebody else");
	if (!*n)
		return TG_WHY_tcp_listener_rate;
	*n -= take;
	return TG_WHY_none;
}

static void do_listen(const char *p)
{
	static uint32_t limit;

	r.listener = (struct tg_tcp_listener){
		.addr = {.ip = r.flow.remote, .port = DUT_PORT}, .user = &user};
	if (script_word(&p, "backlog"))
		r.listener.backlog = script_number(&p);
	if (script_word(&p, "limit")) {
		limit = script_number(&p);
		r.listener.admit = admit;
		r.listener.admit_ctx = &limit;
	}
	if (tg_tcp_listen(r.tcp, &r.listener))
		script_fail("tg_tcp_listen");
}

static void do_fault(const char *p)
{
	struct tg_conn_fault f = {0};

	if (script_word(&p, "loss"))
		f.loss = script_number(&p);
	else if (script_word(&p, "duplicate"))
		f.duplicate = script_number(&p);
	else if (script_word(&p, "reorder"))
		f.reorder = script_number(&p);
	else if (script_word(&p, "zero"))
		f.zero_window = script_number(&p) * TG_MS;
	else if (script_word(&p, "truncate"))
		f.truncate = true;
	if (tg_conn_fault(r.c, &f))
		script_fail("tg_conn_fault");
	turn();
}

static void do_connect(const char *p)
{
	struct tg_tcp_dial d = {.remote = {.ip = r.flow.local, .port = PEER_PORT}, .user = &user};
	int rc;

	if (script_word(&p, "timeout"))
		d.timeout = script_number(&p) * TG_MS;
	rc = tg_tcp_connect(r.tcp, &d, &r.c);
	if (rc)
		script_fail("tg_tcp_connect: %s", tg_err_name(rc));
	turn();
}

/* A connect that must not be possible, for this reason */
static void do_refused(const char *p)
{
	struct tg_tcp_dial d = {.remote = {.ip = r.flow.local, .port = PEER_PORT}, .user = &user};
	struct tg_core_stats was = r.stats;
	struct tg_conn *c = NULL;
	char name[40] = "", to[48] = "";

	if (sscanf(p, " %39s to %47s", name, to) == 2 && tg_ip_parse(to, &d.remote.ip))
		script_fail("address \"%s\"", to);
	if (!tg_tcp_connect(r.tcp, &d, &c)) {
		script_fail("the connect was not refused");
		tg_conn_abort(c, TG_WHY_conn_aborted);
		return;
	}
	for (uint32_t i = 0; i < TG_WHY_MAX; i++)
		if (r.stats.why[i] != was.why[i] && strcmp(name, tg_why_name(i)) != 0)
			script_fail("refused for %s", tg_why_name(i));
}

static bool user_command(const char *p)
{
	if (script_word(&p, "write")) {
		do_write(script_number(&p));
	} else if (script_word(&p, "read")) {
		do_read(script_number(&p));
	} else if (script_word(&p, "finish")) {
		tg_conn_finish(r.c);
	} else if (script_word(&p, "detach")) {
		tg_conn_detach(r.c);
		r.c = NULL;
		r.left = true;
	} else if (script_word(&p, "abort")) {
		tg_conn_abort(r.c, TG_WHY_conn_aborted);
		r.c = NULL;
		r.left = true;
	} else if (script_word(&p, "fault")) {
		do_fault(p);
	} else if (script_word(&p, "keepalive")) {
		tg_tcp_set_keepalive(r.c, script_word(&p, "on"));
	} else if (script_word(&p, "more")) {
		r.c->tx_more = script_word(&p, "on");
	} else if (script_word(&p, "rcvbuf")) {
		tg_tcp_set_rcv_buf(r.c, script_number(&p));
	} else {
		return false;
	}
	turn();
	return true;
}

static void command(const char *p)
{
	const char *q = p;
	static const char *infos[] = {"why", "acked", "written", "final", "readable", "space"};

	for (size_t i = 0; i < TG_ARRAY_LEN(infos); i++, q = p)
		if (script_word(&q, infos[i])) {
			check_info(p);
			return;
		}
	if (script_word(&p, "listen"))
		do_listen(p);
	else if (script_word(&p, "connect"))
		do_connect(p);
	else if (script_word(&p, "refused"))
		do_refused(p);
	else if (script_word(&p, "until"))
		;
	else if (script_word(&p, "event"))
		check_events(p);
	else if (script_word(&p, "stat"))
		check_stat(p);
	else if (script_word(&p, "asked"))
		check_asked(p);
	else if (script_word(&p, "state"))
		check_state(p);
	else if (script_word(&p, "icmp"))
		do_icmp(p);
	else if (script_word(&p, "unlisten"))
		tg_tcp_unlisten(r.tcp, &r.listener);
	else if (script_word(&p, "buffers"))
		script_buffers(script_number(&p));
	else if (script_word(&p, "other")) {
		uint32_t port = script_number(&p);

		r.flow.lport = port ? (uint16_t)port : PEER_PORT;
	} else if (script_word(&p, "again")) { /* the next SYN-ACK is another connection's */
		r.iss_known = false;
		r.left = false;
		r.written = r.read_at = 0;
	} else if (!r.c) {
		script_fail("there is no conn for \"%s\"", p);
	} else if (!user_command(p)) {
		script_fail("what is \"%s\"?", p);
	}
}

static void run_line(const char *p)
{
	bool relative = *p == '+', loose;
	char *end;
	double sec;
	uint64_t at;

	sec = strtod(p + relative, &end);
	at = (uint64_t)(sec * 1e9 + .5) + (relative ? r.last : 0);
	loose = *end == '~';
	p = script_skip(end + loose);
	if (*p == '>') {
		if (p[1] == '>')
			expect_run(script_skip(p + 2), at, loose);
		else
			expect_one(script_skip(p + 1), at, loose);
		return;
	}
	run_until(at, false);
	none_left();
	r.last = at;
	if (r.failed)
		return;
	if (*p == '<')
		inject(p + 1);
	else
		command(p);
}

bool script_run(const struct script *s)
{
	uint32_t mbufs = rte_mempool_avail_count(r.pool);
	const char *p = s->text;
	char line[256];

	script_set_up(s);
	while (*p && !r.failed) {
		size_t n = strcspn(p, "\n");
		const char *q;

		r.line++;
		snprintf(line, sizeof(line), "%.*s", (int)n, p);
		p += n + (p[n] == '\n');
		q = script_skip(line);
		if (strchr(q, '#'))
			*strchr(line, '#') = 0;
		while (strlen(line) && line[strlen(line) - 1] == ' ')
			line[strlen(line) - 1] = 0;
		if (*q)
			run_line(q);
	}
	none_left();
	script_take_down(mbufs);
	return !r.failed;
}
