/* tx.c: records out: sealed straight into lower's outgoing packets. */
#include "conn.h"

#define SEAL_VIEWS 64

/* What one record is made of; how much of it is known only when lower has given the room. */
struct sealing {
	struct tls_conn *c;
	const struct tg_view *v;
	uint32_t cnt;
	uint32_t off; /* into v[0] */
	uint32_t all; /* bytes of all of v, if off is 0; else 0 */
	uint8_t type;
};

static void seal_into(void *ctx, const struct tg_span *to, uint32_t cnt, uint32_t n)
{
	const struct sealing *s = ctx;
	struct tg_view in[SEAL_VIEWS];
	uint32_t content = n - tg_rec_overhead(&s->c->tx), left = content, k = 0;

	if (tg_likely(content == s->all)) {
		tg_rec_seal(&s->c->tx, s->type, s->v, s->cnt, content, to, cnt);
		return;
	}
	for (uint32_t i = 0, off = s->off; i < s->cnt && left; i++, off = 0) {
		uint32_t here = s->v[i].n - off;

		if (!here)
			continue;
		if (here > left)
			here = left;
		in[k++] = tg_view_of(s->v[i].p + off, here);
		left -= here;
	}
	tg_rec_seal(&s->c->tx, s->type, in, k, content, to, cnt);
}

/* One record with at least `least` and at most n bytes of content; returns how many, 0: no room. */
static uint32_t seal(struct sealing *s, uint32_t least, uint32_t n)
{
	uint32_t more = tg_rec_overhead(&s->c->tx);
	uint32_t got = tg_conn_fill(s->c->lower, least + more, n + more, seal_into, s);

	return got ? got - more : 0;
}

static void finish_lower(struct tls_conn *c)
{
	if (c->flags & F_FINISHED)
		return;
	c->flags |= F_FINISHED;
	tg_conn_finish(c->lower);
}

static void fail_tx(struct tls_conn *c, enum tg_why why)
{
	c->conn.impl[I_WHY] = (uint8_t)why;
	c->conn.events |= TG_EV_FAILED;
	tls_call_back(c);
}

static bool send_control(struct tls_conn *c, bool data_left)
{
	struct tg_post_msg m;

	for (;;) {
		struct tg_view v = {m.b, 0};
		struct sealing s = {.c = c, .v = &v, .cnt = 1};

		if (!tg_post_wants_tx(&c->post, &c->tx, &c->rx, data_left))
			break;
		if (tg_conn_space(c->lower) < sizeof(m.b) + tg_rec_overhead(&c->tx)) {
			tg_conn_write(c->lower, NULL, 0); /* asks for WRITABLE */
			return false;
		}
		if (!tg_post_tx(&c->post, &c->tx, &c->rx, data_left, &m))
			break;
		v.n = m.n;
		s.type = m.type;
		if (!seal(&s, m.n, m.n)) {
			/* No packet buffer: the peer would wait for keys that never come. */
			fail_tx(c, TG_WHY_tx_no_mbuf);
			return false;
		}
		if (m.next_key && !tg_rec_next_key(&c->tx)) {
			fail_tx(c, TG_WHY_tls_record);
			return false;
		}
	}
	if (c->post.tx_closed)
		finish_lower(c);
	return true;
}

bool tls_tx_control(struct tls_conn *c, bool data_left)
{
	bool sent;

	if (!tls_wake_tx(c))
		return false;
	sent = send_control(c, data_left);
	tls_rest_tx(c);
	return sent;
}

static bool tx_open(const struct tls_conn *c)
{
	return tls_mode(c) == TLS_OPEN &&
	       !(c->flags & (F_FAIL_TOLD | F_FINISHED | F_LOWER_FAILED)) && !c->post.finish &&
	       !c->post.tx_closed && !c->post.alert;
}

uint32_t tls_tx_space(const struct tg_conn *conn)
{
	const struct tls_conn *c = tls_of(conn);
	uint32_t space, records, more = tg_rec_overhead(&c->tx);

	if (!tx_open(c))
		return 0;
	space = tg_conn_space(c->lower);
	if (space <= TX_RESERVE + more)
		return 0;
	space -= TX_RESERVE;
	records = 1 + (space >> c->tx.max_log2); /* as many at least as it takes */
	return space > records * more ? space - records * more : 0;
}

static uint32_t total(const struct tg_view *v, uint32_t cnt)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < cnt; i++)
		n += v[i].n;
	return n;
}

/* The most content that the next record may have; 0: no room. */
static uint32_t record_room(const struct tls_conn *c, uint32_t wanted)
{
	uint32_t space = tg_conn_space(c->lower), more = tg_rec_overhead(&c->tx);

	if (space <= TX_RESERVE + more)
		return 0;
	space -= TX_RESERVE + more;
	if (space > tg_rec_content_max(&c->tx))
		space = tg_rec_content_max(&c->tx);
	return wanted < space ? wanted : space;
}

static void advance(struct sealing *s, uint32_t n)
{
	while (n) {
		uint32_t here = s->v->n - s->off;

		if (n < here) {
			s->off += n;
			return;
		}
		n -= here;
		s->off = 0;
		s->v++;
		s->cnt--;
	}
}

/* What must go before n bytes of data, a KeyUpdate that the peer asked for or that worn keys need
 * (RFC 8446 sections 4.6.3 and 5.5), has gone. */
static bool ready_for_data(struct tls_conn *c, uint32_t n)
{
	return !tg_post_wants_tx(&c->post, &c->tx, &c->rx, n > 0) || tls_tx_control(c, n > 0);
}

/* Of wanted bytes those that fit, a record after the other; returns how many. */
static uint32_t seal_all(struct sealing *s, uint32_t wanted)
{
	uint32_t done = 0;

	while (done < wanted) {
		struct sealing part = *s;
		uint32_t n, room, ahead;

		/* What does not fit into the array of pieces goes into the next record. */
		if (part.cnt > SEAL_VIEWS)
			part.cnt = SEAL_VIEWS;
		ahead = total(part.v, part.cnt) - part.off;
		room = record_room(s->c, ahead);
		n = room ? seal(&part, 1, room) : 0;
		if (!n)
			break;
		done += n;
		advance(s, n);
	}
	return done;
}

uint32_t tls_tx_write(struct tg_conn *conn, const struct tg_view *v, uint32_t cnt)
{
	struct tls_conn *c = tls_of(conn);
	uint32_t wanted = total(v, cnt), done = 0;
	struct sealing s = {.c = c, .v = v, .cnt = cnt, .all = wanted, .type = TG_REC_DATA};

	if (!tx_open(c) || !ready_for_data(c, wanted) || !tls_wake_tx(c))
		return 0;
	/* Mostly it all goes into one record. */
	if (tg_likely(wanted && cnt <= SEAL_VIEWS && record_room(c, wanted) == wanted))
		done = seal(&s, 1, wanted);
	if (tg_unlikely(done < wanted)) {
		s.all = 0;
		advance(&s, done);
		done += seal_all(&s, wanted - done);
	}
	tls_rest_tx(c);
	if (tg_unlikely(done < wanted || !wanted))
		tg_conn_write(c->lower, NULL, 0); /* asks for WRITABLE */
	return done;
}

/* The user fills the worker's scratch once lower has said how much it takes. */
struct filling {
	struct tls_conn *c;
	tg_fill_fn *fill;
	void *ctx;
};

static void fill_and_seal(void *ctx, const struct tg_span *to, uint32_t cnt, uint32_t n)
{
	const struct filling *f = ctx;
	struct tg_span plain = {f->c->tls->scratch, n - tg_rec_overhead(&f->c->tx)};
	struct tg_view v = tg_view_of(plain.p, plain.n);

	f->fill(f->ctx, &plain, 1, plain.n);
	tg_rec_seal(&f->c->tx, TG_REC_DATA, &v, 1, plain.n, to, cnt);
}

uint32_t tls_tx_fill(
	struct tg_conn *conn, uint32_t least, uint32_t most, tg_fill_fn *fill, void *ctx)
{
	struct tls_conn *c = tls_of(conn);
	struct filling f = {.c = c, .fill = fill, .ctx = ctx};
	uint32_t room, got = 0, more = tg_rec_overhead(&c->tx);

	if (!tx_open(c) || !ready_for_data(c, most) || !tls_wake_tx(c))
		return 0;
	room = record_room(c, most);
	if (room && room >= least)
		got = tg_conn_fill(
			c->lower, (least ? least : 1) + more, room + more, fill_and_seal, &f);
	tls_rest_tx(c);
	if (got < most + more)
		tg_conn_write(c->lower, NULL, 0); /* asks for WRITABLE */
	return got ? got - more : 0;
}

void tls_tx_finish(struct tg_conn *conn)
{
	struct tls_conn *c = tls_of(conn);

	if (!tx_open(c))
		return;
	tg_post_finish(&c->post);
	tls_tx_control(c, false); /* if not now, then when lower is WRITABLE */
}
