/* gate_app.c: clients and origins, on host 1. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "gate.h"

static struct sim_host *peers(const struct gate_world *g)
{
	return &g->w->host[1];
}

static uint64_t now_of(const struct gate_end *e)
{
	return peers(e->g)->wheel.now;
}

static struct tg_rng *rng_of(const struct gate_end *e)
{
	return &e->g->w->app_rng;
}

static void progress(const struct gate_end *e, uint32_t n)
{
	e->g->w->progress_at = e->g->w->t;
	e->g->bytes += n;
}

static void fail(struct gate_end *e, const char *what)
{
	if (e->g->strict)
		sim_fail(e->g->w, "%s %ld: %s", e->client ? "client" : "origin",
			(long)(e - e->g->end), what);
	e->over = true;
	if (e->client)
		e->g->done++;
}

static void leave(struct gate_end *e, bool abort)
{
	if (!e->c)
		return;
	tg_timer_stop(&peers(e->g)->wheel, &e->timer);
	if (abort)
		tg_conn_abort(e->c, TG_WHY_conn_aborted);
	else
		tg_conn_detach(e->c);
	e->c = NULL;
}

static uint8_t content(uint64_t key, uint64_t at)
{
	return (uint8_t)(key + at * 7 + (at >> 8) * 31 + (at >> 16));
}

/* --- out --- */

static void put_head(struct gate_end *e, const char *start, uint64_t n, bool chunked, uint32_t pad)
{
	char *p = (char *)e->out;
	size_t room = sizeof(e->out);
	int k = snprintf(p, room, "%s\r\nHost: h\r\nX-Pad: ", start);

	memset(p + k, 'p', pad + 1);
	k += (int)pad + 1;
	if (chunked)
		k += snprintf(p + k, room - (size_t)k, "\r\nTransfer-Encoding: chunked\r\n\r\n");
	else
		k += snprintf(
			p + k, room - (size_t)k, "\r\nContent-Length: %" PRIu64 "\r\n\r\n", n);
	e->n_out = (uint32_t)k;
	e->off_out = 0;
	e->out_left = n;
	e->out_at = 0;
	e->out_chunked = chunked;
	e->out_ended = false;
}

/* The next piece of content behind what is staged; false: all has been staged. */
static bool stage(struct gate_end *e, uint8_t key)
{
	uint32_t n = e->pace.write_max, k = 0;

	if (e->out_ended)
		return false;
	if (n > e->out_left)
		n = (uint32_t)e->out_left;
	e->off_out = 0;
	if (e->out_chunked && n)
		k = (uint32_t)snprintf((char *)e->out, 32, "%x\r\n", n);
	for (uint32_t i = 0; i < n; i++)
		e->out[k++] = content(key, e->out_at++);
	e->out_left -= n;
	if (e->out_chunked && n) {
		e->out[k++] = '\r';
		e->out[k++] = '\n';
	}
	if (!e->out_left) {
		e->out_ended = true;
		if (e->out_chunked)
			k += (uint32_t)snprintf((char *)e->out + k, 32, "0\r\n\r\n");
	}
	e->n_out = k;
	return k > 0;
}

static bool writes(const struct gate_end *e)
{
	return e->off_out < e->n_out || !e->out_ended;
}

static void pause_for(struct gate_end *e, uint64_t *next, uint64_t gap)
{
	*next = now_of(e) + (gap ? tg_rng_next(rng_of(e)) % gap : 0);
}

static void write_some(struct gate_end *e)
{
	uint8_t key = e->client ? 'u' : 'd';

	while (writes(e) && now_of(e) >= e->next_write) {
		struct tg_view v;
		uint32_t n;

		if (e->off_out == e->n_out && !stage(e, key))
			return;
		v = tg_view_of(e->out + e->off_out, e->n_out - e->off_out);
		if (v.n > e->pace.write_max)
			v.n = e->pace.write_max;
		n = tg_conn_write(e->c, &v, 1);
		if (n)
			progress(e, n);
		e->off_out += n;
		if (n < v.n)
			return; /* WRITABLE follows */
		pause_for(e, &e->next_write, e->pace.write_gap);
	}
}

/* --- in --- */

static void client_next(struct gate_end *e)
{
	const struct gate_request *r = &e->request[e->at];
	char start[64];

	if (e->at == e->n_requests) {
		e->over = true;
		e->g->done++;
		leave(e, false);
		return;
	}
	snprintf(start, sizeof(start), "POST /%c/%u/%u/%u HTTP/1.1", e->origin ? 't' : 'p', r->down,
		r->down_chunked, r->padding);
	put_head(e, start, r->up, r->up_chunked, r->padding);
	e->n_head = 0;
	e->in_body = false;
}

/* The head is whole: what does it say? False: nonsense. */
static bool head_is_whole(struct gate_end *e)
{
	const char *length, *chunked;
	char origin;
	unsigned int down, c, pad;

	for (uint32_t i = 0; i < e->n_head; i++)
		if (e->client || i > 40)
			e->head[i] = (char)tolower(e->head[i]);
	e->head[e->n_head] = 0;
	length = strstr(e->head, "content-length: ");
	chunked = strstr(e->head, "transfer-encoding: chunked");
	if (!length && !chunked)
		return false;
	tg_h1_body_init(&e->body, chunked ? TG_BODY_CHUNKED : TG_BODY_LENGTH,
		length ? strtoull(length + 16, NULL, 10) : 0);
	e->in_body = true;
	e->got = 0;
	if (e->client)
		return strncmp(e->head, "http/1.1 200", 12) == 0;
	if (sscanf(e->head, "POST /%c/%u/%u/%u ", &origin, &down, &c, &pad) != 4)
		return false;
	e->down = down;
	e->down_chunked = c;
	e->padding = pad;
	return true;
}

static void message_is_whole(struct gate_end *e)
{
	if (e->client) {
		if (e->got != e->request[e->at].down)
			fail(e, "the response has another length");
		e->at++;
		if (!e->over)
			client_next(e);
		return;
	}
	e->in_body = false;
	e->n_head = 0;
	put_head(e, "HTTP/1.1 200 OK", e->down, e->down_chunked, e->padding);
}

/* Bytes of v that were used; 0 and e->over: they are wrong. */
static uint32_t take(struct gate_end *e, struct tg_view v)
{
	uint8_t key = e->client ? 'd' : 'u';
	struct tg_view data;
	uint32_t used = 0;

	if (!e->in_body) {
		while (used < v.n) {
			if (e->n_head == sizeof(e->head) - 1) {
				fail(e, "the head is too long");
				return 0;
			}
			e->head[e->n_head++] = (char)v.p[used++];
			if (e->n_head >= 4 && memcmp(e->head + e->n_head - 4, "\r\n\r\n", 4) == 0)
				break;
		}
		if (e->n_head >= 4 && memcmp(e->head + e->n_head - 4, "\r\n\r\n", 4) == 0 &&
			!head_is_whole(e)) {
			e->head[60] = 0;
			fail(e, e->head);
			return 0;
		}
		return used;
	}
	if (tg_h1_body_read(&e->body, v, &used, &data)) {
		fail(e, "bad framing");
		return 0;
	}
	for (uint32_t i = 0; i < data.n; i++)
		if (data.p[i] != content(key, e->got + i)) {
			fail(e, "wrong content");
			return 0;
		}
	e->got += data.n;
	return used;
}

static void read_some(struct gate_end *e)
{
	struct tg_view v;

	while (e->c && !e->over && now_of(e) >= e->next_read &&
		!(!e->client && !e->in_body && writes(e)) && tg_conn_peek(e->c, &v, 1)) {
		uint32_t n;

		if (v.n > e->pace.read_max)
			v.n = e->pace.read_max;
		n = take(e, v);
		if (!n && !(e->in_body && e->body.ended))
			return;
		progress(e, n);
		tg_conn_consume(e->c, n);
		if (e->in_body && e->body.ended)
			message_is_whole(e);
		pause_for(e, &e->next_read, e->pace.read_gap);
	}
	if (e->c && e->in_body && e->body.ended && !e->over)
		message_is_whole(e);
}

static void arm(struct gate_end *e)
{
	uint64_t now = now_of(e), due = UINT64_MAX;

	if (e->next_read > now)
		due = e->next_read;
	if (e->next_write > now && e->next_write < due && writes(e))
		due = e->next_write;
	if (e->c && due != UINT64_MAX)
		tg_timer_start(&peers(e->g)->wheel, &e->timer, peers(e->g)->app_timer, due - now);
}

static void run(struct gate_end *e)
{
	if (e->open && e->c && !e->over) {
		write_some(e);
		read_some(e);
	}
	if (e->c && !e->over)
		write_some(e);
	if (e->c && e->eof && !e->over && !tg_conn_peek(e->c, &(struct tg_view){0}, 1)) {
		if (e->client || e->in_body || e->n_head)
			fail(e, "the gate closed in the middle");
		e->over = true;
	}
	if (e->over && e->c)
		leave(e, false);
	else
		arm(e);
}

void gate_app_timer(void *ctx, struct tg_timer *t)
{
	(void)ctx;
	run(TG_CONTAINER(t, struct gate_end, timer));
}

static void on_ready(struct tg_conn *c, uint32_t ev)
{
	struct gate_end *e = c->owner;

	if (ev & TG_EV_OPEN) {
		e->open = true;
		progress(e, 0);
	}
	e->eof |= (ev & TG_EV_EOF) != 0;
	if (ev & TG_EV_FAILED) {
		struct tg_conn_info info;
		bool in_use = e->client || e->in_body || e->n_head || writes(e);

		tg_conn_info(c, &info);
		if (in_use && !e->over)
			fail(e, tg_why_name(info.why));
		leave(e, false);
		return;
	}
	run(e);
}

static const struct tg_conn_user user = {on_ready};

void gate_client_begin(struct gate_world *g, struct gate_end *e)
{
	struct tg_tcp_dial d = {.user = &user,
		.owner = e,
		.rcv_buf = g->peer_buf,
		.snd_buf = g->peer_buf,
		.timeout = 100 * TG_SEC};
	int rc;

	e->client = true;
	e->next_read = e->next_write = 0;
	d.remote.ip = sim_ip(g->w->p.v6, 0);
	d.remote.port = gate_port(g, e->origin);
	rc = tg_tcp_connect(peers(g)->tcp, &d, &e->c);
	if (!rc && g->down == GATE_TLS) {
		struct tg_conn *c =
			tg_tls_connect(g->tls[1], GATE_CONF_CLIENT, e->c, 100 * TG_SEC, &user, e);

		if (!c)
			rc = TG_ENOMEM;
		else
			e->c = c;
	}
	if (rc)
		sim_fail(g->w, "client: %s", tg_err_name(rc));
	else
		client_next(e);
}

static void on_origin(struct tg_conn *c, uint32_t ev, enum gate_leg leg)
{
	struct gate_world *g = c->owner;
	struct gate_end *e = NULL;

	for (uint32_t i = 0; i < GATE_ENDS && !e; i++)
		if (!g->end[i].used)
			e = &g->end[i];
	if (!e || ev & TG_EV_FAILED) {
		if (!e)
			sim_fail(g->w, "more connections to origins than ends");
		tg_conn_detach(c);
		return;
	}
	*e = (struct gate_end){.g = g, .c = c, .used = true, .out_ended = true};
	e->pace = g->end[tg_rng_below(rng_of(e), g->n_clients)].pace;
	if (tg_rng_below(rng_of(e), 2))
		e->pace = (struct gate_pace){GATE_PIECE, 65536, 0, 0};
	if (leg == GATE_TLS) {
		struct tg_conn *tls =
			tg_tls_accept(g->tls[1], GATE_CONF_ORIGIN, c, 100 * TG_SEC, &user, e);

		if (!tls) {
			sim_fail(g->w, "an origin's TLS has no room");
			return;
		}
		e->c = tls;
		c->user->on_ready(c, ev & ~(uint32_t)TG_EV_OPEN);
		return;
	}
	c->user = &user;
	c->owner = e;
	on_ready(c, ev);
}

static void on_plain_origin(struct tg_conn *c, uint32_t ev)
{
	on_origin(c, ev, GATE_PLAIN);
}

static void on_tls_origin(struct tg_conn *c, uint32_t ev)
{
	on_origin(c, ev, GATE_TLS);
}

const struct tg_conn_user gate_origin_user[2] = {{on_plain_origin}, {on_tls_origin}};

void gate_app_leave(struct gate_world *g)
{
	for (uint32_t i = 0; i < GATE_ENDS; i++)
		if (g->end[i].used) {
			g->end[i].over = true;
			leave(&g->end[i], true);
		}
}

void gate_end_print(const struct gate_end *e, FILE *f)
{
	struct tg_conn_info info = {0};
	struct tg_view v[64];
	uint32_t n = 0, bytes = 0;

	if (e->c) {
		tg_conn_info(e->c, &info);
		n = tg_conn_peek(e->c, v, 64);
	}
	for (uint32_t i = 0; i < n; i++)
		bytes += v[i].n;
	fprintf(f,
		"%s %ld port %u: request %u/%u, head %u%s, %" PRIu64 " of content in, out %" PRIu64
		" left %u staged; unread %u; space %u; written %" PRIu64 " acked %" PRIu64
		"%s%s%s read %u/%" PRIu64 " write %u/%" PRIu64 "\n",
		e->client ? "client" : "origin", (long)(e - e->g->end), info.local.port, e->at,
		e->n_requests, e->n_head, e->in_body ? " (whole)" : "", e->got, e->out_left,
		e->n_out - e->off_out, bytes, e->c ? tg_conn_space(e->c) : 0, info.tx_written,
		info.tx_acked, e->open ? " open" : "", e->eof ? " eof" : "", e->over ? " over" : "",
		e->pace.read_max, e->pace.read_gap, e->pace.write_max, e->pace.write_gap);
}
