/* origin.c: the origin: one answer for each whole and undamaged request, in order. */
#include <stdlib.h>

#include <tidegate/http1.h>

#include "load.h"

#define FIELDS 100

enum { READ_HEAD, READ_BODY, WRITE };

struct load_served {
	struct tg_conn *conn; /* not in the pool's own link */
	struct load *l;
	struct tg_h1_scan scan;
	uint8_t state;
	bool last, ended;
	uint32_t number;
	uint64_t read, to_read; /* of the request's content */
	uint64_t written;       /* of the response's */
};

static void drop(struct load_served *s, bool damaged)
{
	s->l->counts.bad_request += damaged;
	if (damaged)
		tg_conn_abort(s->conn, TG_WHY_conn_aborted);
	else
		tg_conn_detach(s->conn);
	s->conn = NULL;
	tg_pool_put(&s->l->served, s);
}

/* > 0: a head was read; 0: not all of it is there; < 0: damaged. */
static int read_head(struct load_served *s)
{
	static const struct tg_h1_limits limits = TG_H1_LIMITS_DEFAULT;
	static struct tg_field fields[FIELDS];
	static uint8_t scratch[LOAD_HEAD_MAX];
	struct tg_view prefix = TG_VIEW("/load/"), v = load_front(s->conn, scratch);
	struct tg_msg m = {.fields = fields, .field_cap = FIELDS};
	int32_t n;

	if (!v.n)
		return 0;
	n = tg_h1_parse_request(&s->scan, v.p, v.n, &limits, &m);
	if (n <= 0)
		return n;
	if (m.path.n < prefix.n + LOAD_NUMBER || !tg_view_has_prefix(m.path, prefix))
		return -1;
	s->number = load_digits(tg_view_of(m.path.p + prefix.n, LOAD_NUMBER));
	s->to_read = m.body == TG_BODY_LENGTH ? m.content_length : 0;
	s->last = !m.keep_alive;
	if (s->number == UINT32_MAX || s->to_read != s->l->conf.upload)
		return -1;
	s->read = s->written = 0;
	s->scan = (struct tg_h1_scan){0};
	tg_conn_consume(s->conn, (uint32_t)n);
	return 1;
}

static int read_body(struct load_served *s)
{
	struct tg_view v[16];
	uint32_t cnt;

	while (s->read < s->to_read && (cnt = tg_conn_peek(s->conn, v, TG_ARRAY_LEN(v)))) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < cnt && s->read < s->to_read; i++) {
			uint64_t left = s->to_read - s->read;
			uint32_t part = v[i].n < left ? v[i].n : (uint32_t)left;

			if (!load_is_content(&s->l->work, s->number, s->read, v[i].p, part))
				return -1;
			s->read += part;
			n += part;
		}
		tg_conn_consume(s->conn, n);
	}
	return s->read == s->to_read;
}

static bool begin_answer(struct load_served *s)
{
	struct load_work *w = &s->l->work;
	struct load_head *h = s->last ? &w->last_response : &w->response;
	bool fits = load_send(w, s->conn, h, s->number, &s->written, s->l->conf.body);

	s->l->counts.short_write += !fits;
	return fits;
}

/* > 0: all is written. */
static int answer(struct load_served *s)
{
	uint64_t all = s->l->conf.body;

	load_send_body(&s->l->work, s->conn, s->number, &s->written, all);
	if (s->written < all)
		return 0;
	s->l->counts.served++;
	if (s->last)
		tg_conn_finish(s->conn);
	return 1;
}

static int step(struct load_served *s)
{
	int rc = 0;

	switch (s->state) {
	case READ_HEAD:
		rc = read_head(s);
		break;
	case READ_BODY:
		rc = read_body(s);
		if (rc > 0 && !begin_answer(s))
			rc = -1;
		break;
	case WRITE:
		rc = answer(s);
		break;
	}
	if (rc > 0)
		s->state = s->state == WRITE ? READ_HEAD : s->state + 1;
	return rc;
}

static void on_ready(struct tg_conn *c, uint32_t ev)
{
	struct load_served *s = c->owner;
	int rc;

	if (ev & TG_EV_FAILED) {
		drop(s, false);
		return;
	}
	s->ended |= (ev & TG_EV_EOF) != 0;
	do
		rc = step(s);
	while (rc > 0);
	/* Within a request, an end is damage. */
	if (rc < 0)
		drop(s, true);
	else if (s->ended && s->state != WRITE)
		drop(s, s->state == READ_BODY);
}

static const struct tg_conn_user user = {on_ready};

static void take(struct load *l, struct tg_conn *c, uint32_t ev)
{
	struct load_served *s = tg_pool_take(&l->served);

	if (!s) {
		tg_conn_abort(c, TG_WHY_conn_aborted);
		return;
	}
	*s = (struct load_served){.conn = c, .l = l};
	l->counts.origin_connections++;
	c->user = &user;
	c->owner = s;
	on_ready(c, ev);
}

static void on_tls(struct tg_conn *c, uint32_t ev)
{
	struct load *l = c->owner;

	if (ev & TG_EV_FAILED)
		tg_conn_detach(c);
	else if (ev & TG_EV_OPEN)
		take(l, c, ev & ~(uint32_t)TG_EV_OPEN);
}

static const struct tg_conn_user tls_user = {on_tls};

static void on_accept(struct tg_conn *c, uint32_t ev)
{
	struct load *l = c->owner;

	if (ev & TG_EV_FAILED) {
		tg_conn_detach(c);
	} else if (!l->conf.origin_tls.cert) {
		take(l, c, ev & ~(uint32_t)TG_EV_OPEN);
	} else if (tg_tls_accept(l->tls, LOAD_TLS_ORIGIN, c, 0, &tls_user, l)) {
		c->user->on_ready(c, ev & ~(uint32_t)TG_EV_OPEN);
	} else {
		tg_conn_abort(c, TG_WHY_tls_no_memory);
	}
}

static const struct tg_conn_user accept_user = {on_accept};

bool load_origin_init(struct load *l)
{
	if (!l->conf.origin.port)
		return true;
	return tg_pool_init(&l->served, "served", sizeof(struct load_served),
		       l->conf.connections + 1024) == 0 &&
	       l->wire->listen(l, &accept_user) == 0;
}
