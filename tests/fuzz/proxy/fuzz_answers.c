/* Bytes become a play: clients that ask properly, an origin that answers as it likes (well, late,
 * short, too much, garbage, unasked), connections that end anywhere, windows that are small.
 *
 * Holds: the k-th answer of a client belongs to its k-th request, or is Tidegate's own; a whole
 * answer is one that the origin said whole; nothing that an origin said unasked reaches anybody; an
 * origin reads whole, well-formed requests with the bodies that were sent; and at the end of all
 * timeouts everyone who asked was answered or cut off.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define CLIENTS 6
#define ASKS 24
#define ORIGINS 40
#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ask {
	enum tg_method method;
	uint32_t body;   /* bytes of content sent */
	uint32_t answer; /* bytes of content that the origin announced */
	bool until_close, whole;
};

/* Somebody's outgoing bytes, and where in the incoming ones he is. */
struct side {
	struct bench_peer *p;
	uint8_t out[16384];
	uint32_t out_n, out_done, at;
	struct tg_h1_body body;
	bool in_body;
	uint32_t content;
};

struct client {
	struct side s;
	uint32_t ids[ASKS], sent_at[ASKS], n_asks, n_answers;
	bool from_origin;
	bool unsure; /* answered before it had said that it is a HEAD: what follows has no meaning
		      */
};

struct origin {
	struct side s;
	uint32_t id;
	bool asked; /* a head was read that is not answered yet */
};

static struct client clients[CLIENTS];
static struct origin origins[ORIGINS];
static struct ask asks[CLIENTS * ASKS + 1];
static uint32_t n_clients, n_ids;

static struct {
	const uint8_t *p;
	size_t n;
} in;

static uint8_t next(void)
{
	if (!in.n)
		return 0;
	in.n--;
	return *in.p++;
}

static uint8_t pattern(uint32_t id, uint32_t i)
{
	return (uint8_t)('a' + (id + i) % 26);
}

/* --- saying ---------------------------------------------------------------------------------- */

static bool may_talk(const struct side *s)
{
	return s->p && !s->p->detached && !s->p->failed;
}

static void add(struct side *s, const char *text)
{
	uint32_t n = (uint32_t)strlen(text);

	if (n > sizeof(s->out) - s->out_n)
		return;
	memcpy(s->out + s->out_n, text, n);
	s->out_n += n;
}

static void add_pattern(struct side *s, uint32_t id, uint32_t from, uint32_t n)
{
	for (uint32_t i = 0; i < n && s->out_n < sizeof(s->out); i++)
		s->out[s->out_n++] = pattern(id, from + i);
}

static void add_chunks(struct side *s, uint32_t id, uint32_t n, uint32_t step)
{
	char line[32];

	for (uint32_t i = 0; i < n; i += step) {
		uint32_t k = n - i < step ? n - i : step;

		snprintf(line, sizeof(line), step & 1 ? "%x;a=b\r\n" : "%x\r\n", k);
		add(s, line);
		add_pattern(s, id, i, k);
		add(s, "\r\n");
	}
	add(s, "0\r\n\r\n");
}

/* Writes at most `most` of what was added; returns how much is left. */
static uint32_t push(struct side *s, uint32_t most)
{
	struct tg_view v = tg_view_of(s->out + s->out_done, s->out_n - s->out_done);

	if (v.n > most)
		v.n = most;
	if (may_talk(s) && v.n) {
		s->out_done += tg_conn_write(s->p->conn, &v, 1);
		bench_run();
	}
	if (s->out_done == s->out_n)
		s->out_done = s->out_n = 0;
	return s->out_n - s->out_done;
}

/* --- clients --------------------------------------------------------------------------------- */

static void ask(struct client *c, uint8_t kind)
{
	static const char *const name[] = {"GET", "HEAD", "POST", "POST"};
	static const enum tg_method method[] = {TG_GET, TG_HEAD, TG_POST, TG_POST};
	uint32_t id = n_ids, size = kind & 2 ? (kind >> 3) * 17u : 0;
	char text[256];

	if (c->n_asks == ASKS || c->s.out_n > 8192)
		return;
	n_ids++;
	asks[id] = (struct ask){.method = method[kind & 3], .body = size};
	c->ids[c->n_asks++] = id;
	snprintf(text, sizeof(text), "%s /api/%u HTTP/1.%c\r\nHost: shop.example\r\n%s%s",
		name[kind & 3], id, kind == 4 ? '0' : '1',
		kind == 4 ? "Connection: keep-alive\r\n" : "",
		(kind & 6) == 6 ? "Expect: 100-continue\r\n" : "");
	add(&c->s, text);
	if ((kind & 3) == 2) {
		snprintf(text, sizeof(text), "Content-Length: %u\r\n\r\n", size);
		add(&c->s, text);
		add_pattern(&c->s, id, 0, size);
	} else if ((kind & 3) == 3) {
		add(&c->s, "Transfer-Encoding: chunked\r\n\r\n");
		add_chunks(&c->s, id, size, 1 + (kind & 0x38));
	} else {
		add(&c->s, "\r\n");
	}
}

/* True: there was an answer's head, or an interim one. */
static bool read_answer_head(struct client *c)
{
	static const struct tg_h1_limits limits = {61440, 8192, 64};
	struct tg_field fields[64];
	struct tg_msg m = {.fields = fields, .field_cap = TG_ARRAY_LEN(fields)};
	struct tg_h1_scan scan = {0};
	struct side *s = &c->s;
	struct tg_field *f;
	struct ask *a;
	int32_t n;

	if (s->at == s->p->n)
		return false;
	MUST(c->n_answers < c->n_asks); /* nobody is told what he did not ask */
	a = &asks[c->ids[c->n_answers]];
	n = tg_h1_parse_response(&scan, s->p->got + s->at, s->p->n - s->at, &limits, a->method, &m);
	MUST(n >= 0);
	if (n == 0)
		return false;
	s->at += (uint32_t)n;
	f = tg_msg_find_name(&m, TG_VIEW("x-id"), NULL);
	if (f) {
		char want[16];

		snprintf(want, sizeof(want), "%u", c->ids[c->n_answers]);
		MUST(tg_view_eq(f->value, tg_view_str(want)));
	}
	MUST(m.status != 101);
	if (m.status < 200)
		return true;
	MUST(f || m.status >= 400);
	c->unsure = !f && a->method == TG_HEAD && s->out_n && !m.keep_alive;
	c->from_origin = f;
	s->content = 0;
	s->in_body = true;
	tg_h1_body_init(&s->body, m.body, m.content_length);
	return true;
}

static void read_answers(struct client *c)
{
	struct side *s = &c->s;

	while (s->p && !c->unsure && (s->in_body || read_answer_head(c))) {
		struct tg_view rest = tg_view_of(s->p->got + s->at, s->p->n - s->at), data;
		uint32_t used = 0, id = c->ids[c->n_answers];

		if (!s->in_body)
			continue;
		MUST(!tg_h1_body_read(&s->body, rest, &used, &data));
		for (uint32_t i = 0; i < data.n && c->from_origin; i++)
			MUST(data.p[i] == pattern(id, s->content + i));
		s->content += data.n;
		s->at += used;
		if (s->body.kind == TG_BODY_UNTIL_CLOSE && s->p->eof && !s->p->failed &&
			s->at == s->p->n)
			s->body.ended = true;
		if (!s->body.ended && !used)
			return;
		if (!s->body.ended)
			continue;
		if (c->from_origin) {
			MUST(asks[id].whole);
			MUST(s->content == asks[id].answer || asks[id].method == TG_HEAD);
		}
		s->in_body = false;
		c->n_answers++;
	}
}

/* --- the origin ------------------------------------------------------------------------------ */

static bool read_request_head(struct origin *o)
{
	static const struct tg_h1_limits limits = {61440, 8192, 64};
	struct tg_field fields[64];
	struct tg_msg m = {.fields = fields, .field_cap = TG_ARRAY_LEN(fields)};
	struct tg_h1_scan scan = {0};
	struct side *s = &o->s;
	uint32_t id = 0;
	int32_t n = tg_h1_parse_request(&scan, s->p->got + s->at, s->p->n - s->at, &limits, &m);

	MUST(n >= 0);
	if (n == 0)
		return false;
	MUST(m.path.n > 5 && !memcmp(m.path.p, "/api/", 5));
	for (uint32_t i = 5; i < m.path.n; i++)
		id = id * 10 + (m.path.p[i] - '0');
	MUST(id < n_ids && m.method == asks[id].method);
	MUST(!o->asked); /* one after the other */
	s->at += (uint32_t)n;
	s->content = 0;
	s->in_body = true;
	tg_h1_body_init(&s->body, m.body, m.content_length);
	o->id = id;
	o->asked = true;
	return true;
}

static void read_requests(struct origin *o)
{
	struct side *s = &o->s;

	while (s->in_body || (s->at < s->p->n && read_request_head(o))) {
		struct tg_view rest = tg_view_of(s->p->got + s->at, s->p->n - s->at), data;
		uint32_t used = 0;

		MUST(!tg_h1_body_read(&s->body, rest, &used, &data));
		for (uint32_t i = 0; i < data.n; i++)
			MUST(data.p[i] == pattern(o->id, s->content + i));
		s->content += data.n;
		s->at += used;
		if (!s->body.ended && !used)
			return;
		if (s->body.ended) {
			MUST(s->content == asks[o->id].body);
			s->in_body = false;
		}
	}
}

static void look(void)
{
	bench_run();
	for (uint32_t i = 0; i < b.n_origins && i < ORIGINS; i++) {
		origins[i].s.p = b.origin[i];
		read_requests(&origins[i]);
		push(&origins[i].s, UINT32_MAX);
	}
	for (uint32_t i = 0; i < n_clients; i++)
		read_answers(&clients[i]);
	while (bench_log())
		;
}

#define POISON "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"

/* In one write or not at all: bytes that come later may rightly be taken for the next answer. */
static void say_at_once(struct origin *o)
{
	if (tg_conn_space(o->s.p->conn) < o->s.out_n - o->s.out_done) {
		bench_reset(o->s.p);
		return;
	}
	push(&o->s, UINT32_MAX);
}

static void answer(struct origin *o, uint8_t kind, uint8_t more)
{
	uint32_t size = (more & 0x3f) * 13u;
	struct ask *a;
	char head[128];
	bool body;

	bench_run();
	read_requests(o);
	a = &asks[o->id];
	body = a->method != TG_HEAD;
	if (!may_talk(&o->s) || o->s.out_n)
		return;
	if (!o->asked) {
		/* Unasked: the connection rests. */
		if (kind == 15 && !o->s.in_body && !o->s.p->hold) {
			add(&o->s, POISON);
			say_at_once(o);
		}
		return;
	}
	snprintf(head, sizeof(head), "HTTP/1.%c 200 OK\r\nX-Id: %u\r\n", kind == 6 ? '0' : '1',
		o->id);
	o->asked = kind == 3 || kind == 4;
	a->whole = a->until_close = false;
	a->answer = size;
	switch (kind) {
	case 0: /* chunked */
		add(&o->s, head);
		add(&o->s, "Transfer-Encoding: chunked\r\n\r\n");
		if (body)
			add_chunks(&o->s, o->id, size, 1 + (more >> 3));
		a->whole = true;
		break;
	case 1: /* until close */
		add(&o->s, head);
		add(&o->s, "\r\n");
		if (body)
			add_pattern(&o->s, o->id, 0, size);
		push(&o->s, UINT32_MAX);
		if (o->s.out_n || more & 0x40) {
			bench_reset(o->s.p);
		} else {
			a->whole = true;
			bench_fin(o->s.p);
		}
		a->whole |= !body;
		return;
	case 2: /* nothing */
		snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nX-Id: %u\r\n\r\n",
			more & 1 ? "204 No" : "304 Not", o->id);
		add(&o->s, head);
		a->answer = 0;
		a->whole = true;
		break;
	case 3: /* interim */
		snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nX-Id: %u\r\n\r\n",
			more & 1 ? "100 Continue" : "103 Early", o->id);
		add(&o->s, head);
		break;
	case 4: /* a piece of a head, then silence */
		add(&o->s, "HTTP/1.1 1");
		o->asked = false;
		break;
	case 5: /* too short */
		add(&o->s, head);
		snprintf(head, sizeof(head), "Content-Length: %u\r\n\r\n", size + 9);
		add(&o->s, head);
		if (body)
			add_pattern(&o->s, o->id, 0, size);
		push(&o->s, UINT32_MAX);
		a->whole = !body;
		bench_fin(o->s.p);
		return;
	case 7: /* and more behind it */
	case 8:
		add(&o->s, head);
		snprintf(head, sizeof(head), "Content-Length: %u\r\n\r\n", size);
		add(&o->s, head);
		if (body)
			add_pattern(&o->s, o->id, 0, size);
		add(&o->s, kind == 7 ? POISON : "\r\n");
		a->whole = true;
		say_at_once(o);
		return;
	case 9:
		add(&o->s, head);
		add(&o->s, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nPOISON");
		break;
	case 10: /* a chunk goes wrong */
		add(&o->s, head);
		add(&o->s, "Transfer-Encoding: chunked\r\n\r\n");
		if (body)
			add(&o->s, "-1\r\nPOISON");
		a->answer = 0;
		a->whole = !body;
		break;
	case 11:
		add(&o->s, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
			   "\r\nPOISON");
		break;
	case 12:
		add(&o->s, "POISON\r\n\r\n");
		break;
	default:
		add(&o->s, head);
		snprintf(head, sizeof(head), "%sContent-Length: %u\r\n\r\n",
			more & 0x40 ? "Connection: close\r\n"
			: kind == 6 ? "Connection: keep-alive\r\n"
				    : "",
			size);
		add(&o->s, head);
		if (body)
			add_pattern(&o->s, o->id, 0, size);
		a->whole = true;
	}
	push(&o->s, more & 0x80 ? more & 0x7fu : UINT32_MAX);
}

/* --- the play -------------------------------------------------------------------------------- */

static void act(uint8_t op, uint8_t who)
{
	struct client *c = &clients[who % (n_clients ? n_clients : 1)];
	struct origin *o = &origins[who % (b.n_origins ? b.n_origins : 1)];

	switch (op) {
	case 0:
		if (n_clients < CLIENTS)
			clients[n_clients++].s.p = bench_client(0);
		return;
	case 1:
	case 2:
	case 3:
		ask(c, next());
		push(&c->s, op == 3 ? next() : UINT32_MAX);
		return;
	case 4:
		push(&c->s, next());
		return;
	case 5:
	case 6:
	case 7:
	case 8:
		if (b.n_origins) {
			uint8_t kind = next();

			answer(o, op == 8 ? 13 : kind & 15, next());
		}
		return;
	case 9:
		if (c->s.p)
			c->s.p->hold = !c->s.p->hold;
		return;
	case 10:
		if (b.n_origins && who < 12)
			o->s.p->hold = !o->s.p->hold;
		else if (b.n_origins && may_talk(&o->s))
			(who & 1 ? tg_memconn_deaf : tg_memconn_hears)(o->s.p->conn);
		return;
	case 11:
		bench_advance((uint64_t)next() * TG_SEC / 8);
		return;
	case 12:
		if (may_talk(&c->s) && !c->s.out_n)
			bench_fin(c->s.p);
		return;
	case 13:
		if (may_talk(&c->s))
			bench_reset(c->s.p);
		return;
	case 14:
		if (b.n_origins && may_talk(&o->s) && !o->s.out_n)
			bench_fin(o->s.p);
		return;
	default:
		if (b.n_origins && may_talk(&o->s))
			bench_reset(o->s.p);
	}
}

/* Everyone reads on and time passes: who asked a whole question is answered or cut off. */
static void everybody_is_served(void)
{
	for (uint32_t i = 0; i < BENCH_PEERS; i++)
		b.peers[i].hold = false;
	for (int round = 0; round < 4; round++) {
		for (uint32_t i = 0; i < n_clients; i++) {
			uint32_t left = UINT32_MAX, now;

			while ((now = push(&clients[i].s, UINT32_MAX)) && now < left)
				left = now;
		}
		bench_advance(400 * TG_SEC);
		look();
	}
	for (uint32_t i = 0; i < n_clients; i++) {
		const struct client *c = &clients[i];
		const struct bench_peer *p = c->s.p;

		MUST(p->detached || p->eof || p->failed || c->n_answers == c->n_asks);
		MUST(!memmem(p->got, p->n, "POISON", 6));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t first;

	in.p = data;
	in.n = size;
	first = next();
	memset(clients, 0, sizeof(clients));
	memset(origins, 0, sizeof(origins));
	n_clients = n_ids = 0;
	bench_start(first & 1 ? 4096 : first & 2 ? 512 : 80);
	while (in.n && b.n_origins < ORIGINS - CLIENTS) {
		uint8_t op = next();

		act(op & 15, op >> 4);
		look();
	}
	everybody_is_served();
	bench_end();
	return 0;
}
