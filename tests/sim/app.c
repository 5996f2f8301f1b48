#include <inttypes.h>

#include "sim.h"

/*
 * The users of the conns. Where a script has no gaps, an end acts on events alone, so a lost event
 * stops the world, which the world sees. Bytes are a function of (stream, offset): the reader knows
 * what must come, and where.
 */

#define PEEK_VIEWS 6

static uint64_t stream_word(uint64_t key, uint64_t i)
{
	uint64_t z = key + i * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return z ^ z >> 29;
}

static void stream_fill(uint64_t key, uint64_t off, uint8_t *p, uint32_t n)
{
	uint64_t word = stream_word(key, off / 8);

	for (uint32_t i = 0; i < n; i++, off++) {
		if (off % 8 == 0)
			word = stream_word(key, off / 8);
		p[i] = (uint8_t)(word >> off % 8 * 8);
	}
}

static bool stream_equals(uint64_t key, uint64_t off, const uint8_t *p, uint32_t n)
{
	uint64_t word = stream_word(key, off / 8);

	for (uint32_t i = 0; i < n; i++, off++) {
		if (off % 8 == 0)
			word = stream_word(key, off / 8);
		if (p[i] != (uint8_t)(word >> off % 8 * 8))
			return false;
	}
	return true;
}

static struct sim_world *world_of(const struct sim_end *e)
{
	return e->host->w;
}

static struct sim_end *peer_of(const struct sim_end *e)
{
	return &e->flow->end[!e->side];
}

static void note(struct sim_end *e, const char *what)
{
	struct sim_world *w = world_of(e);

	sim_hash(w, tg_hash64(2, what, strlen(what)) ^ w->t ^ e->side);
	w->progress_at = w->t;
	sim_note(w, e->host->idx, "flow %u %s: %s (sent %" PRIu64 " received %" PRIu64 ")",
		e->flow->idx, e->side ? "acceptor" : "dialer", what, e->sent, e->rcvd);
}

#define END_FAIL(e, ...) end_fail(e, __VA_ARGS__)
static void end_fail(struct sim_end *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void end_fail(struct sim_end *e, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sim_fail(world_of(e), "flow %u, %s (host %c): %s", e->flow->idx,
		e->side ? "acceptor" : "dialer", 'A' + e->host->idx, text);
}

static uint32_t readable(struct tg_conn *c)
{
	struct tg_view v[64];
	uint32_t n = tg_conn_peek(c, v, TG_ARRAY_LEN(v)), sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += v[i].n;
	return sum;
}

/* --- leaving --- */

static void over(struct sim_end *e)
{
	struct tg_conn_info info;

	tg_conn_info(e->c, &info);
	if (info.tx_written != e->sent)
		END_FAIL(e, "tx_written is %" PRIu64, info.tx_written);
	tg_timer_stop(&e->host->wheel, &e->timer);
	e->c = NULL;
	e->over = true;
	e->flow->over_at = world_of(e)->t;
}

static void leave(struct sim_end *e, bool abort_it)
{
	struct tg_conn *c = e->c;

	note(e, abort_it ? "abort" : "detach");
	over(e);
	if (abort_it)
		tg_conn_abort(c, TG_WHY_conn_aborted);
	else
		tg_conn_detach(c);
}

/* --- reading --- */

/* Looks at up to n bytes in front, checks and consumes them. Returns how many. */
static uint32_t take(struct sim_end *e, uint32_t n)
{
	uint64_t key = e->flow->key[!e->side];
	struct tg_view v[PEEK_VIEWS];
	uint32_t cnt = 1 + tg_rng_below(&world_of(e)->app_rng, PEEK_VIEWS), sum = 0;

	cnt = tg_conn_peek(e->c, v, cnt);
	for (uint32_t i = 0; i < cnt && sum < n; i++) {
		uint32_t part = v[i].n < n - sum ? v[i].n : n - sum;

		if (!v[i].n)
			END_FAIL(e, "an empty view");
		if (!stream_equals(key, e->rcvd + sum, v[i].p, part))
			END_FAIL(e, "wrong bytes behind offset %" PRIu64, e->rcvd + sum);
		sum += part;
	}
	if (!sum)
		return 0;
	tg_conn_consume(e->c, sum);
	if (e->p->new_rcv_buf && e->rcvd < peer_of(e)->p->total / 2 &&
		e->rcvd + sum >= peer_of(e)->p->total / 2)
		tg_tcp_set_rcv_buf(e->c, e->p->new_rcv_buf);
	e->rcvd += sum;
	world_of(e)->progress_at = world_of(e)->t;
	if (e->rcvd > peer_of(e)->sent)
		END_FAIL(e, "%" PRIu64 " bytes came, %" PRIu64 " were sent", e->rcvd,
			peer_of(e)->sent);
	return sum;
}

/* True: something is left that a timer must fetch. */
static bool read_some(struct sim_end *e)
{
	uint64_t now = e->host->wheel.now;
	uint32_t n;

	/* Nothing was left at the last look, and nobody said that more has come. */
	if (e->read_blocked)
		return false;
	e->read_blocked = true;
	if (!e->p->read_gap || e->failed) {
		while (take(e, 1 + tg_rng_below(&world_of(e)->app_rng, e->p->read_max)))
			;
		return false;
	}
	if (now >= e->next_read) {
		n = take(e, 1 + tg_rng_below(&world_of(e)->app_rng, e->p->read_max));
		if (n)
			e->next_read =
				now + 1 + tg_rng_next(&world_of(e)->app_rng) % (2 * e->p->read_gap);
	}
	e->read_blocked = readable(e->c) == 0;
	return !e->read_blocked;
}

/* --- writing --- */

static void copy_out(void *ctx, const struct tg_span *to, uint32_t cnt, uint32_t n)
{
	const uint8_t *from = ctx;

	(void)n;
	for (uint32_t i = 0; i < cnt; i++) {
		memcpy(to[i].p, from, to[i].n);
		from += to[i].n;
	}
}

/* took of n bytes were taken, at most space. Returns false if it was less than n. */
static bool given(struct sim_end *e, uint32_t n, uint32_t took, uint32_t space)
{
	e->sent += took;
	if (took > n || took > space)
		END_FAIL(e, "the send queue took %u of %u with %u space", took, n, space);
	if (took)
		world_of(e)->progress_at = world_of(e)->t;
	return took == n;
}

/* One tx_write of up to n bytes in one to three views, or one tx_fill. Returns false if it took
 * less. */
static bool give(struct sim_end *e, uint32_t n)
{
	static uint8_t buf[65536];
	struct tg_rng *r = &world_of(e)->app_rng;
	struct tg_view v[3];
	uint32_t cnt = 1 + tg_rng_below(r, 3), at = 0, took, space = tg_conn_space(e->c);

	stream_fill(e->flow->key[e->side], e->sent, buf, n);
	if (tg_rng_below(r, 4) == 0) {
		uint32_t least = tg_rng_below(r, n < 64 ? n + 1 : 64);

		took = tg_conn_fill(e->c, least, n, copy_out, buf);
		if (took && took < least)
			END_FAIL(e, "tx_fill took %u of at least %u", took, least);
		/* Its pieces are bounded: it may take less than there is space for. */
		return given(e, n, took, space);
	}
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t part = i + 1 == cnt ? n - at : tg_rng_below(r, n - at + 1);

		v[i] = tg_view_of(buf + at, part);
		at += part;
	}
	took = tg_conn_write(e->c, v, cnt);
	/* Without packet buffers space is a promise that cannot be kept. */
	if (took < n && took < space && world_of(e)->p.host[e->host->idx].mbufs == SIM_POOL)
		END_FAIL(e, "tx_write took only %u of %u with %u space", took, n, space);
	return given(e, n, took, space);
}

/* True: a timer must go on with it. */
static bool write_some(struct sim_end *e)
{
	uint64_t now = e->host->wheel.now;

	while (e->open && !e->write_blocked && !e->failed && !e->finished &&
		e->sent < e->p->total) {
		uint32_t n = 1 + tg_rng_below(&world_of(e)->app_rng, e->p->write_max);

		if (now < e->next_write)
			return true;
		if (n > e->p->total - e->sent)
			n = (uint32_t)(e->p->total - e->sent);
		if (e->p->write_gap)
			e->next_write = now + 1 +
					tg_rng_next(&world_of(e)->app_rng) % (2 * e->p->write_gap);
		/* It took less: nothing but WRITABLE makes us try again. */
		e->write_blocked = !give(e, n);
	}
	return false;
}

/* --- one look at everything --- */

static void set_timer(struct sim_end *e, bool reading, bool writing)
{
	uint64_t now = e->host->wheel.now, at = UINT64_MAX;

	if (reading)
		at = e->next_read;
	if (writing && e->next_write < at)
		at = e->next_write;
	if (at == UINT64_MAX)
		return;
	tg_timer_start(&e->host->wheel, &e->timer, e->host->app_timer, at > now ? at - now : 1);
}

static void check_eof(struct sim_end *e)
{
	struct sim_end *p = peer_of(e);

	if (!p->finished && !(p->over && p->was))
		END_FAIL(e, "EOF, but the peer has not finished");
	if (e->rcvd + readable(e->c) != p->sent)
		END_FAIL(e, "EOF after %" PRIu64 " bytes, %" PRIu64 " were sent",
			e->rcvd + readable(e->c), p->sent);
}

static void check_drained(struct sim_end *e)
{
	struct tg_conn_info info;

	tg_conn_info(e->c, &info);
	/* The event may be older than the last write. */
	e->drained = info.tx_acked == e->sent;
}

static bool may_end(const struct sim_end *e)
{
	if (e->p->ending == SIM_ABORT && e->open &&
		(e->sent + e->rcvd >= e->p->end_after || e->eof))
		return true;
	if (!e->open || e->sent < e->p->total)
		return false;
	if (e->p->ending == SIM_DETACH)
		return true;
	return e->finished && e->eof && (e->drained || !e->p->wait_drained);
}

static void act(struct sim_end *e)
{
	bool reading, writing;

	reading = read_some(e);
	if (e->failed) {
		leave(e, e->p->abort_after_failure);
		return;
	}
	writing = write_some(e);
	if (e->p->ending == SIM_CLEAN && e->open && !e->finished && e->sent == e->p->total) {
		e->finished = true;
		note(e, "finish");
		tg_conn_finish(e->c);
		if (tg_conn_space(e->c))
			END_FAIL(e, "space after finish");
	}
	if (may_end(e) && !(e->p->ending == SIM_CLEAN && reading)) {
		leave(e, e->p->ending == SIM_ABORT);
		return;
	}
	set_timer(e, reading, writing);
}

static void take_events(struct sim_end *e, uint32_t events)
{
	struct tg_conn_info info;

	tg_conn_info(e->c, &info);
	if (events & TG_EV_OPEN) {
		if (e->open)
			END_FAIL(e, "OPEN twice");
		e->open = true;
		if (e->p->start_gap)
			e->next_write = e->host->wheel.now +
					tg_rng_next(&world_of(e)->app_rng) % e->p->start_gap;
		if (e->p->keepalive)
			tg_tcp_set_keepalive(e->c, true);
		note(e, "OPEN");
	} else if (!e->open && !(events & TG_EV_FAILED)) {
		END_FAIL(e, "events %x before OPEN", events);
	}
	if (events & TG_EV_EOF) {
		if (e->eof)
			END_FAIL(e, "EOF twice");
		e->eof = true;
		check_eof(e);
		note(e, "EOF");
	}
	if (events & TG_EV_FAILED) {
		if (e->failed)
			END_FAIL(e, "FAILED twice");
		e->failed = true;
		e->why = info.why;
		if (info.why == TG_WHY_none)
			END_FAIL(e, "FAILED without a reason");
		note(e, tg_why_name(info.why));
	}
	if (events & TG_EV_DRAINED && e->finished)
		check_drained(e);
	if (events & (TG_EV_READABLE | TG_EV_FAILED))
		e->read_blocked = false;
	if (events & TG_EV_WRITABLE)
		e->write_blocked = false;
}

static void on_ready(struct tg_conn *c, uint32_t events)
{
	struct sim_end *e = c->owner;

	if (e->c != c) {
		END_FAIL(e, "event %x for a conn that was left", events);
		return;
	}
	sim_hash(world_of(e), events);
	take_events(e, events);
	if (!world_of(e)->failed)
		act(e);
}

static const struct tg_conn_user sim_end_user = {.on_ready = on_ready};

void sim_app_timer(void *ctx, struct tg_timer *t)
{
	struct sim_end *e = TG_CONTAINER(t, struct sim_end, timer);

	if (!world_of(e)->failed)
		act(e);
}

/* --- opening --- */

static void ghost(struct sim_host *h, struct tg_conn *c, const struct tg_conn_info *info)
{
	struct sim_world *w = h->w;

	/* An old ACK with a cookie in it makes a connection once more: that is the price of
	 * cookies. After a reboot old segments meet a host that forgot. */
	if (!h->stats->tcp_cookies_sent && w->p.fate == SIM_FATE_NONE)
		sim_fail(w, "host %c accepted a connection that nobody dialed, from port %u",
			'A' + h->idx, info->remote.port);
	w->ghosts++;
	sim_note(w, h->idx, "ghost connection from port %u", info->remote.port);
	tg_conn_abort(c, TG_WHY_conn_aborted);
}

static void on_accept(struct tg_conn *c, uint32_t events)
{
	struct sim_host *h = c->owner;
	struct tg_conn_info info;

	tg_conn_info(c, &info);
	if (!(events & TG_EV_OPEN))
		sim_fail(h->w, "host %c: a listener's conn without OPEN: %x", 'A' + h->idx, events);
	for (uint32_t i = 0; i < h->w->p.n_flows; i++) {
		struct sim_flow *f = &h->w->flow[i];
		struct sim_end *e = &f->end[1];

		if (!f->dialed || e->host != h || e->was || f->lport != info.remote.port)
			continue;
		e->was = true;
		e->c = c;
		c->owner = e;
		c->user = &sim_end_user;
		on_ready(c, events);
		return;
	}
	ghost(h, c, &info);
}

const struct tg_conn_user sim_accept_user = {.on_ready = on_accept};

static void dial(struct sim_world *w, struct sim_flow *f, uint32_t side)
{
	struct sim_end *e = &f->end[side];
	struct tg_tcp_dial d = {
		.remote = {.ip = sim_ip(w->p.v6, !e->host->idx), .port = SIM_PORT},
		.user = &sim_end_user,
		.owner = e,
		.rcv_buf = e->p->rcv_buf,
		.snd_buf = e->p->snd_buf,
	};
	struct tg_conn_info info;
	int rc;

	/* Both dial from and to the same two ports: simultaneous open (RFC 9293 figure 7). */
	if (w->p.simultaneous)
		d.remote.port = w->p.port_first;
	rc = tg_tcp_connect(e->host->tcp, &d, &e->c);
	if (rc) {
		/* Its only port may be in TIME-WAIT, and a crowd may have all the TCBs. */
		if (!(rc == TG_ENOPORT && w->p.port_first == w->p.port_last) &&
			!(rc == TG_ENOMEM && w->p.n_flows > SIM_CONNS / 2))
			END_FAIL(e, "tg_tcp_connect: %s", tg_err_name(rc));
		f->skipped = true;
		return;
	}
	e->was = true;
	tg_conn_info(e->c, &info);
	if (!side)
		f->lport = info.local.port;
	if (info.local.port < w->p.port_first || info.local.port > w->p.port_last)
		END_FAIL(e, "source port %u", info.local.port);
	note(e, "dial");
}

void sim_app_dial(struct sim_world *w, struct sim_flow *f)
{
	f->dialed = true;
	if (!f->end[0].host->up || (w->p.simultaneous && !f->end[1].host->up)) {
		f->skipped = true;
		return;
	}
	dial(w, f, 0);
	if (w->p.simultaneous && !f->skipped)
		dial(w, f, 1);
}

/* --- watching --- */

static void check_end(struct sim_end *e)
{
	struct sim_end *p = peer_of(e);
	struct tg_conn_info info;
	uint32_t bound = world_of(e)->p.host[e->host->idx].rcv_buf;

	tg_conn_info(e->c, &info);
	if (info.tx_written != e->sent || info.tx_acked > e->sent)
		END_FAIL(e, "tx_written %" PRIu64 " tx_acked %" PRIu64, info.tx_written,
			info.tx_acked);
	if (p->c && info.tx_acked > p->rcvd + readable(p->c) && p->rcvd + 4096 > info.tx_acked)
		END_FAIL(e, "acknowledged %" PRIu64 ", but the peer has only %" PRIu64,
			info.tx_acked, p->rcvd + readable(p->c));
	if (e->saw_final && info.tx_acked != e->acked_final)
		END_FAIL(e, "tx_acked moved after tx_final");
	e->saw_final = info.tx_final;
	e->acked_final = info.tx_acked;
	/* An acceptor has the stack's buffers, who dials what it asked for. */
	if ((!e->side || world_of(e)->p.simultaneous) && e->p->rcv_buf)
		bound = e->p->rcv_buf;
	if (e->p->new_rcv_buf > bound)
		bound = e->p->new_rcv_buf;
	if (readable(e->c) > bound)
		END_FAIL(e, "%u bytes readable, receive buffer %u", readable(e->c), bound);
}

void sim_app_check(struct sim_world *w)
{
	for (uint32_t i = 0; i < w->p.n_flows && !w->failed; i++)
		for (uint32_t side = 0; side < 2; side++)
			if (w->flow[i].end[side].c)
				check_end(&w->flow[i].end[side]);
}

bool sim_app_over(const struct sim_world *w)
{
	for (uint32_t i = 0; i < w->p.n_flows; i++) {
		const struct sim_flow *f = &w->flow[i];

		if (!f->dialed || f->end[0].c || f->end[1].c)
			return false;
	}
	return true;
}

void sim_app_kill(struct sim_world *w, struct sim_host *h)
{
	for (uint32_t i = 0; i < w->p.n_flows; i++)
		for (uint32_t side = 0; side < 2; side++) {
			struct sim_end *e = &w->flow[i].end[side];

			if (!e->c || (h && e->host != h))
				continue;
			e->killed = true;
			leave(e, true);
		}
}

/* --- the judgement --- */

static bool plain(const struct sim_end *e)
{
	return e->p->ending == SIM_CLEAN;
}

/* Reads so slowly that the other end, having left, runs out of patience (fin_timeout: 60 s). */
static bool sluggish(const struct sim_end *e)
{
	uint32_t buf = e->p->rcv_buf ? e->p->rcv_buf : e->host->w->p.host[e->host->idx].rcv_buf;

	return buf / e->p->read_max * e->p->read_gap > 15 * TG_SEC;
}

/* Nobody hurries away from anything the other still sends. */
static bool must_be_clean(const struct sim_flow *f)
{
	for (uint32_t i = 0; i < 2; i++) {
		const struct sim_end *e = &f->end[i];

		if (sluggish(e))
			return false;
		if (!plain(e) && !(e->p->ending == SIM_DETACH && !f->end[!i].p->total))
			return false;
	}
	return true;
}

/* The peer left with a reset, which is sent once: who has nothing more to send and no keepalive
 * never hears of it when it is lost. */
static bool reset_was_lost(const struct sim_end *e, bool clean)
{
	const struct sim_dir *d = &e->host->w->p.dir[!e->host->idx];

	return !clean && e->flow->end[!e->side].over && (d->loss || d->corrupt || d->bps) &&
	       e->sent == e->p->total && !e->p->keepalive;
}

static void judge_end(struct sim_end *e, bool clean)
{
	struct sim_end *p = peer_of(e);

	if (e->killed && !reset_was_lost(e, clean))
		END_FAIL(e,
			"did not end by itself (sent %" PRIu64 ", received %" PRIu64 ", eof %d)",
			e->sent, e->rcvd, e->eof);
	/* A forged SYN may reopen a TIME-WAIT early (RFC 1122 section 4.2.2.13), so that the last
	 * ACK of a close is not said again. Nothing but that ACK may be missing. */
	if (e->failed && e->host->w->p.attack && p->over && e->finished && e->rcvd == p->sent)
		return;
	if (clean && !e->was)
		END_FAIL(e, "was never opened");
	if (clean && e->failed)
		END_FAIL(e, "failed: %s", tg_why_name(e->why));
	if (clean && plain(e) && (!e->eof || e->rcvd != p->sent || p->sent != p->p->total))
		END_FAIL(e, "received %" PRIu64 " of %u bytes, eof %d", e->rcvd, p->p->total,
			e->eof);
	/* A forged SYN may take the place of a conn that has left, and be answered for a minute
	 * where the peer would get its reset. */
	if (e->why == TG_WHY_conn_timeout && e->host->w->p.attack && p->over && !clean)
		return;
	if (e->failed && e->why != TG_WHY_conn_reset_by_peer && e->why != TG_WHY_conn_refused &&
		e->why != TG_WHY_conn_linger)
		END_FAIL(e, "failed: %s", tg_why_name(e->why));
}

/* A buffer that shrinks may leave a window below the peer's segments: then its timer decides. */
static bool any_slow_reader(const struct sim_world *w)
{
	for (uint32_t i = 0; i < w->p.n_flows; i++)
		for (uint32_t side = 0; side < 2; side++) {
			const struct sim_end_params *e = &w->p.flow[i].end[side];

			if (e->read_gap || e->new_rcv_buf)
				return true;
		}
	return false;
}

void sim_app_perfect(struct sim_world *w)
{
	for (uint32_t i = 0; i < 2; i++) {
		const struct tg_core_stats *s = w->host[i].stats;

		/* Loss probes go by an RTT that knows nothing of the peer's delayed ACKs. */
		if (s->tcp_retransmits > s->tcp_tlp || s->tcp_rto || s->tcp_fast_recovery)
			sim_fail(w, "host %c sent again on a perfect wire", 'A' + (int)i);
		if (s->tcp_zero_window_probes && !any_slow_reader(w))
			sim_fail(w, "host %c probed a window that is open", 'A' + (int)i);
	}
}

static uint32_t min_buf(const struct sim_end *writer, const struct sim_end *reader)
{
	const struct sim_world *w = world_of(writer);
	uint32_t snd = w->p.host[writer->host->idx].snd_buf;
	uint32_t rcv = w->p.host[reader->host->idx].rcv_buf;

	/* What the dialer asks for; the acceptor has the stack's sizes. */
	if (!writer->side && writer->p->snd_buf)
		snd = writer->p->snd_buf;
	if (!reader->side && reader->p->rcv_buf)
		rcv = reader->p->rcv_buf;
	if (w->p.host[0].no_wscale || w->p.host[1].no_wscale)
		rcv = rcv < UINT16_MAX ? rcv : UINT16_MAX;
	return snd < rcv ? snd : rcv;
}

/* On a perfect wire, with users that never pause, a flow takes round trips for its windows and now
 * and then a delayed ACK (40 ms): nothing else. */
static void judge_time(struct sim_world *w, struct sim_flow *f, uint64_t took)
{
	uint64_t rtt = 0, limit, windows = 0;

	for (uint32_t i = 0; i < 2; i++) {
		const struct sim_end_params *e = f->end[i].p;

		if (e->read_gap || e->write_gap || e->start_gap || e->new_rcv_buf)
			return;
		rtt += w->p.dir[i].delay + w->p.dir[i].jitter + 4 * w->p.host[i].turn_gap;
		windows += e->total / (min_buf(&f->end[i], &f->end[!i]) / 4) + 1;
	}
	limit = 150 * TG_MS + (20 + windows) * (rtt + 45 * TG_MS) / 4;
	if (took > limit)
		sim_fail(w, "flow %u took %.3f ms, at most %.3f were expected", f->idx,
			(double)took / 1e6, (double)limit / 1e6);
}

void sim_app_judge(struct sim_world *w)
{
	for (uint32_t i = 0; i < w->p.n_flows && !w->failed && w->p.strict; i++) {
		struct sim_flow *f = &w->flow[i];

		if (f->skipped)
			continue;
		judge_end(&f->end[0], must_be_clean(f));
		judge_end(&f->end[1], must_be_clean(f));
		if (w->p.perfect && must_be_clean(f))
			judge_time(w, f, f->over_at - w->p.flow[i].open_at);
	}
}
