/* client.c: the clients: connections that ask one thing after another and check what they get. */
#include <math.h>
#include <stdlib.h>

#include <tidegate/http1.h>

#include "load.h"

#define FIELDS 100
#define RETRY (20 * TG_MS)
#define QUEUE (1u << 20) /* requests that are due and find no connection; a power of two */
#define TRIES 16         /* to hit an idle connection by chance */

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
	bool slow, ended;            /* ended: the proxy's FIN is there, and content before it */
	uint32_t asked;              /* on this connection */
	uint32_t number;             /* of the request under way */
	uint64_t due;                /* ns: when it should have been sent */
	uint64_t sent;               /* bytes of its content */
	uint64_t got;                /* of the response's */
	uint32_t head_sent;          /* slow: bytes */
	uint32_t may;                /* slow: bytes to read until the next tick */
	struct tg_timer tick;        /* slow, and within an exchange */
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
	tg_timer_stop(&l->wheel, &c->tick);
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

static uint32_t next_number(struct load *l)
{
	if (l->sequence)
		return l->sequence[l->in_sequence++ & (LOAD_SEQUENCE - 1)];
	return tg_rng_below(&l->rng, l->conf.paths);
}

static struct load_head *head_of(const struct load_client *c)
{
	struct load_work *w = &c->l->work;

	return c->last ? &w->last_request : &w->request;
}

static uint32_t slow_part(const struct load *l)
{
	return (uint32_t)(l->conf.slow_rate * LOAD_SLOW_TICK / TG_SEC);
}

/* A slow client's head, and then its content, bit by bit. */
static void send_slowly(struct load_client *c)
{
	struct load *l = c->l;
	struct load_head *h = head_of(c);
	uint64_t until = c->sent + slow_part(l);

	if (c->head_sent < h->n)
		load_send_slowly(c->conn, h, c->number, &c->head_sent, slow_part(l));
	else if (c->sent < l->conf.upload)
		load_send_body(&l->work, c->conn, c->number, &c->sent,
			until < l->conf.upload ? until : l->conf.upload);
}

static void send_more(struct load_client *c)
{
	if (!c->slow)
		load_send_body(&c->l->work, c->conn, c->number, &c->sent, c->l->conf.upload);
}

static void ask(struct load_client *c, uint64_t due)
{
	struct load *l = c->l;
	const struct load_conf *conf = &l->conf;

	c->last = conf->each && c->asked + 1 >= conf->each;
	c->number = next_number(l);
	c->due = due;
	c->sent = c->got = 0;
	c->scan = (struct tg_h1_scan){0};
	c->state = HEAD;
	c->asked++;
	tg_list_del(&c->link);
	l->under_way++;
	l->counts.requests++;
	if (c->slow) {
		c->head_sent = 0;
		c->ended = false;
		tg_timer_start(&l->wheel, &c->tick, l->slow_kind, 0);
	} else if (!load_send(&l->work, c->conn, head_of(c), c->number, &c->sent, conf->upload)) {
		give_up(c, &l->counts.short_write);
	}
}

/* Closed loop with fewer requests than connections: each goes to one of those by chance, so that
 * all are used alike and none is expected to be in a cache. */
static struct load_client *any_idle(struct load *l)
{
	for (uint32_t i = 0; i < TRIES; i++) {
		struct load_client *c = &l->clients[tg_rng_below(&l->rng, l->conf.connections)];

		if (c->state == IDLE)
			return c;
	}
	return tg_list_empty(&l->idle) ? NULL
				       : TG_CONTAINER(l->idle.next, struct load_client, link);
}

static uint32_t ask_any(struct load *l)
{
	struct load_client *c;
	uint32_t n = 0;

	while (l->under_way < l->conf.active && (c = any_idle(l))) {
		ask(c, load_now());
		n++;
	}
	return n;
}

static void be_idle(struct load_client *c)
{
	struct load *l = c->l;

	c->state = IDLE;
	tg_list_push(&l->idle, &c->link);
	if (!l->asking || l->conf.active)
		return; /* load_clients_turn() asks */
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
	uint64_t all = l->conf.body, until = all;
	uint32_t cnt;

	if (c->slow && c->got + c->may < all)
		until = c->got + c->may;
	while (c->got < until && (cnt = tg_conn_peek(c->conn, v, TG_ARRAY_LEN(v)))) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < cnt && c->got < until; i++) {
			uint64_t left = until - c->got;
			uint32_t part = v[i].n < left ? v[i].n : (uint32_t)left;

			if (!load_is_content(&l->work, c->number, c->got, v[i].p, part)) {
				give_up(c, &l->counts.bad_body);
				return -1;
			}
			c->got += part;
			n += part;
		}
		c->may -= c->slow ? n : 0;
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
	tg_timer_stop(&l->wheel, &c->tick);
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
		send_more(c);
		if (!read_answer(c))
			return;
	}
	if (ev & TG_EV_EOF && c->slow && c->state == BODY && !(ev & TG_EV_FAILED)) {
		c->ended = true; /* the rest is read in its own time */
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

static void on_tick(void *ctx, struct tg_timer *t)
{
	struct load_client *c = TG_CONTAINER(t, struct load_client, tick);
	uint32_t before = c->state;

	(void)ctx;
	c->may = slow_part(c->l);
	tg_timer_start(&c->l->wheel, t, c->l->slow_kind, LOAD_SLOW_TICK);
	send_slowly(c);
	/* The head is all that a tick may bring. */
	if (before == BODY && read_answer(c) && c->ended && c->state != BODY)
		close_it(c);
}

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
	if (l->conf.active)
		return n + ask_any(l);
	/* Those that fell idle while nobody was asking. */
	while (!tg_list_empty(&l->idle)) {
		ask(TG_CONTAINER(l->idle.next, struct load_client, link), load_now());
		n++;
	}
	return n;
}

/* By the law of Zipf, targets in no order that the proxy's tables could have. */
static bool make_sequence(struct load *l)
{
	uint32_t n = l->conf.paths;
	double *sum = malloc(n * sizeof(*sum)), all = 0;

	l->sequence = malloc(LOAD_SEQUENCE * sizeof(*l->sequence));
	if (!sum || !l->sequence) {
		free(sum);
		return false;
	}
	for (uint32_t i = 0; i < n; i++)
		sum[i] = all += pow(i + 1, -l->conf.zipf);
	for (uint32_t i = 0; i < LOAD_SEQUENCE; i++) {
		double x = all * (double)(tg_rng_next(&l->rng) >> 11) / 9007199254740992.0;
		uint32_t low = 0, high = n - 1;

		while (low < high) {
			uint32_t mid = low + (high - low) / 2;

			if (sum[mid] > x)
				high = mid;
			else
				low = mid + 1;
		}
		/* 2^31 - 1 is prime: a permutation. */
		l->sequence[i] = (uint32_t)((uint64_t)low * 2147483647u % n);
	}
	free(sum);
	return true;
}

bool load_clients_init(struct load *l)
{
	int kind = tg_wheel_kind(&l->wheel, on_tick, NULL);

	if (kind < 0 || (l->conf.zipf > 0 && !make_sequence(l)))
		return false;
	l->slow_kind = (uint8_t)kind;
	l->clients = calloc(l->conf.connections, sizeof(*l->clients));
	l->queue = l->conf.rate ? malloc(QUEUE * sizeof(*l->queue)) : NULL;
	if (!l->clients || (l->conf.rate && !l->queue))
		return false;
	tg_list_init(&l->idle);
	tg_list_init(&l->closed);
	for (uint32_t i = 0; i < l->conf.connections; i++) {
		l->clients[i].l = l;
		l->clients[i].slow = i < l->conf.slow;
		tg_list_push(&l->closed, &l->clients[i].link);
	}
	return true;
}
