/* client.c: the clients: connections that ask one thing after another and check what they get. */
#include <math.h>
#include <stdlib.h>

#include <tidegate/http1.h>

#include "load.h"

#define FIELDS 100
#define RETRY (20 * TG_MS)
#define QUEUE (1u << 20) /* requests that are due and find no connection; a power of two */

/* ENDING: the last answer is there, the proxy's FIN is not. */
enum { CLOSED, OPENING, IDLE, HEAD, BODY, ENDING };

struct load_client {
	struct tg_conn *conn;
	struct load *l;
	struct tg_link link; /* l->idle or l->closed */
	struct tg_h1_scan scan;
	uint8_t state;
	bool was_open, was_answered; /* ever */
	bool last;                   /* no request after this one */
	uint32_t asked;              /* on this connection */
	uint32_t number;             /* of the request under way */
	uint64_t due;                /* ns: when it should have been sent */
	uint64_t sent;               /* bytes of its content */
	uint64_t got;                /* of the response's */
};

/* --- ends ------------------------------------------------------------------------------------- */

static void put_away(struct load_client *c)
{
	struct load *l = c->l;

	if (c->state == OPENING)
		l->opening--;
	if (c->state == HEAD || c->state == BODY)
		l->under_way--;
	tg_list_del(&c->link);
	c->state = CLOSED;
	c->conn = NULL;
	/* In front: those behind it may be beyond open_limit, and end the search. */
	tg_list_push(l->closed.next, &c->link);
}

static void close_it(struct load_client *c)
{
	tg_conn_detach(c->conn);
	put_away(c);
}

static void give_up(struct load_client *c, uint64_t *count)
{
	(*count)++;
	tg_conn_abort(c->conn, TG_WHY_conn_aborted);
	put_away(c);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void ask(struct load_client *c, uint64_t due)
{
	struct load *l = c->l;
	const struct load_conf *conf = &l->conf;

	c->last = conf->each && c->asked + 1 >= conf->each;
	c->number = tg_rng_below(&l->rng, conf->paths);
	c->due = due;
	c->sent = c->got = 0;
	c->scan = (struct tg_h1_scan){0};
	c->state = HEAD;
	c->asked++;
	tg_list_del(&c->link);
	l->under_way++;
	l->counts.requests++;
	if (!load_send(&l->work, c->conn, c->last ? &l->work.last_request : &l->work.request,
		    c->number, &c->sent, conf->upload))
		give_up(c, &l->counts.short_write);
}

static void be_idle(struct load_client *c)
{
	struct load *l = c->l;

	c->state = IDLE;
	tg_list_push(&l->idle, &c->link);
	if (!l->asking)
		return;
	if (!l->conf.rate)
		ask(c, load_now());
	else if (l->queue_head != l->queue_tail)
		ask(c, l->queue[l->queue_head++ & (QUEUE - 1)]);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* > 0: read, and it is the answer to what was asked; 0: not all there; < 0: counted. */
static int read_head(struct load_client *c)
{
	static const struct tg_h1_limits limits = TG_H1_LIMITS_DEFAULT;
	static const struct tg_view number = {(const uint8_t *)"x-load", 6};
	static struct tg_field fields[FIELDS];
	static uint8_t scratch[LOAD_HEAD_MAX];
	struct tg_view v = load_front(c->conn, scratch);
	struct tg_msg m = {.fields = fields, .field_cap = FIELDS};
	struct load_counts *counts = &c->l->counts;
	const struct tg_field *f;
	int32_t n;

	if (!v.n)
		return 0;
	n = tg_h1_parse_response(&c->scan, v.p, v.n, &limits, TG_GET, &m);
	if (n == 0)
		return 0;
	if (n > 0 && m.status != 200) {
		give_up(c, &counts->bad_status);
		return -1;
	}
	f = n > 0 ? tg_msg_find_name(&m, number, NULL) : NULL;
	if (!f || load_digits(f->value) != c->number || m.body != TG_BODY_LENGTH ||
		m.content_length != c->l->conf.body || m.keep_alive == c->last) {
		give_up(c, &counts->bad_head);
		return -1;
	}
	tg_conn_consume(c->conn, (uint32_t)n);
	c->state = BODY;
	return 1;
}

static int read_body(struct load_client *c)
{
	struct load *l = c->l;
	struct tg_view v[16];
	uint64_t all = l->conf.body;
	uint32_t cnt;

	while (c->got < all && (cnt = tg_conn_peek(c->conn, v, TG_ARRAY_LEN(v)))) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < cnt && c->got < all; i++) {
			uint64_t left = all - c->got;
			uint32_t part = v[i].n < left ? v[i].n : (uint32_t)left;

			if (!load_is_content(&l->work, c->number, c->got, v[i].p, part)) {
				give_up(c, &l->counts.bad_body);
				return -1;
			}
			c->got += part;
			n += part;
		}
		l->counts.body_bytes += n;
		tg_conn_consume(c->conn, n);
	}
	return c->got == all;
}

static void answered(struct load_client *c)
{
	struct load *l = c->l;
	uint64_t now = load_now();

	/* Bytes that nobody asked for. */
	if (tg_conn_peek(c->conn, &(struct tg_view){0}, 1)) {
		give_up(c, &l->counts.bad_body);
		return;
	}
	l->counts.responses++;
	l->under_way--;
	if (c->due >= l->window_from && c->due < l->window_to)
		tg_hist_record(&l->latency, now > c->due ? now - c->due : 0);
	if (!c->was_answered) {
		c->was_answered = true;
		l->answered++;
	}
	if (c->last)
		c->state = ENDING;
	else
		be_idle(c);
}

static void on_open(struct load_client *c)
{
	struct load *l = c->l;

	l->opening--;
	l->counts.connections++;
	c->asked = 0;
	/* One request whatever the loop, so that a connection has been through all when it idles.
	 */
	if (!c->was_open) {
		c->was_open = true;
		l->opened++;
		ask(c, load_now());
		return;
	}
	be_idle(c);
}

/* The proxy may still be starting: until it has taken one connection, that is no failure. */
static void not_open(struct load *l)
{
	if (l->counts.connections)
		l->counts.not_connected++;
	else
		l->not_before = load_now() + RETRY;
}

/* What is there of the answer. False: c has given up. */
static bool read_answer(struct load_client *c)
{
	int rc = 0;

	if (c->state == HEAD && read_head(c) < 0)
		return false;
	if (c->state == BODY)
		rc = read_body(c);
	if (rc > 0)
		answered(c);
	return rc >= 0 && c->conn;
}

static void on_ready(struct tg_conn *conn, uint32_t ev)
{
	struct load_client *c = conn->owner;
	struct load *l = c->l;

	if (c->state == OPENING && ev & TG_EV_OPEN)
		on_open(c);
	if (c->state == HEAD || c->state == BODY) {
		load_send_body(&l->work, conn, c->number, &c->sent, l->conf.upload);
		if (!read_answer(c))
			return;
	}
	if (ev & (TG_EV_FAILED | TG_EV_EOF)) {
		if (c->state == OPENING)
			not_open(l);
		l->counts.closed_early += c->state == HEAD || c->state == BODY;
		close_it(c);
	}
}

static const struct tg_conn_user user = {on_ready};

/* --- opening ---------------------------------------------------------------------------------- */

static void open_one(struct load *l, struct load_client *c)
{
	uint32_t slot = (uint32_t)(c - l->clients);
	struct tg_conn *lower;
	int rc = l->wire->connect(l, slot % l->conf.n_addresses, &user, c, &lower);

	tg_list_del(&c->link);
	c->state = OPENING;
	c->conn = rc ? NULL : lower;
	l->opening++;
	if (!rc && l->conf.client_tls.ca) {
		c->conn = tg_tls_connect(l->tls, LOAD_TLS_CLIENT, lower, 0, &user, c);
		if (!c->conn)
			tg_conn_abort(lower, TG_WHY_tls_no_memory);
	}
	if (!c->conn) {
		not_open(l);
		put_away(c);
	}
}

static uint32_t open_some(struct load *l)
{
	/* One alone at first: few packets wait for a neighbour's address. */
	uint32_t most = l->counts.connections ? l->conf.opening : 1, done = 0;

	if (!l->counts.connections && load_now() < l->not_before)
		return 0;

	while (l->opening < most && !tg_list_empty(&l->closed)) {
		struct load_client *c = TG_CONTAINER(l->closed.next, struct load_client, link);

		/* Those beyond open_limit were never open, and stand behind. */
		if ((uint32_t)(c - l->clients) >= l->open_limit || (c->was_open && !l->asking))
			break;
		open_one(l, c);
		if (++done == most)
			break;
	}
	return done;
}

/* --- a turn ----------------------------------------------------------------------------------- */

static uint64_t gap(struct load *l)
{
	double u = (double)((tg_rng_next(&l->rng) >> 11) + 1) / 9007199254740992.0;

	return (uint64_t)(-log(u) * 1e9 / l->conf.rate);
}

static uint32_t send_due(struct load *l)
{
	uint64_t now = load_now();
	uint32_t n = 0;

	if (!l->due)
		l->due = now;
	while (l->due <= now && l->queue_tail - l->queue_head < QUEUE) {
		l->queue[l->queue_tail++ & (QUEUE - 1)] = l->due;
		l->due += gap(l);
	}
	while (l->queue_head != l->queue_tail && !tg_list_empty(&l->idle)) {
		struct load_client *c = TG_CONTAINER(l->idle.next, struct load_client, link);

		ask(c, l->queue[l->queue_head++ & (QUEUE - 1)]);
		n++;
	}
	return n;
}

uint32_t load_clients_turn(struct load *l)
{
	uint32_t n = open_some(l);

	if (!l->asking)
		return n;
	if (l->conf.rate)
		return n + send_due(l);
	/* Those that fell idle while nobody was asking. */
	while (!tg_list_empty(&l->idle)) {
		ask(TG_CONTAINER(l->idle.next, struct load_client, link), load_now());
		n++;
	}
	return n;
}

bool load_clients_init(struct load *l)
{
	l->clients = calloc(l->conf.connections, sizeof(*l->clients));
	l->queue = l->conf.rate ? malloc(QUEUE * sizeof(*l->queue)) : NULL;
	if (!l->clients || (l->conf.rate && !l->queue))
		return false;
	tg_list_init(&l->idle);
	tg_list_init(&l->closed);
	for (uint32_t i = 0; i < l->conf.connections; i++) {
		l->clients[i].l = l;
		tg_list_push(&l->closed, &l->clients[i].link);
	}
	return true;
}
