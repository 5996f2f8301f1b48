/* rx.c: records in: opened in place in lower's receive queue, read by the user from there. */
#include <stdio.h>

#include "conn.h"

/* A place in lower's pieces: v == end behind them all, else *v has something from off on. */
struct cursor {
	const struct tg_view *v, *end;
	uint32_t off;
};

static inline void skip(struct cursor *c, uint32_t n)
{
	c->off += n;
	while (c->v < c->end && c->off >= c->v->n) {
		c->off -= c->v->n;
		c->v++;
	}
}

static inline struct cursor cursor_at(const struct tg_view *v, uint32_t cnt)
{
	struct cursor c = {v, v + cnt, 0};

	skip(&c, 0);
	return c;
}

/* Bytes from here on in one piece. */
static inline uint32_t run_of(const struct cursor *c)
{
	return c->v < c->end ? c->v->n - c->off : 0;
}

/* Up to n bytes from the cursor in one piece; advances. .n = 0: behind the last. */
static inline struct tg_span piece(struct cursor *c, uint32_t n)
{
	uint32_t here = run_of(c);
	struct tg_span s = {NULL, n < here ? n : here};

	if (!here)
		return s;
	/* Received packets are ours to write to: nobody else holds them. */
	s.p = (uint8_t *)(uintptr_t)c->v->p + c->off;
	skip(c, s.n);
	return s;
}

/* The next n bytes as pieces; 0: they are not all there. Does not move the cursor then. */
static uint32_t pieces(struct cursor *c, uint32_t n, struct tg_span *out)
{
	struct cursor at = *c;
	uint32_t cnt = 0;

	while (n) {
		out[cnt] = piece(&at, n);
		if (!out[cnt].n)
			return 0;
		n -= out[cnt++].n;
	}
	*c = at;
	return cnt;
}

static bool copy_out(struct cursor c, uint8_t *to, uint32_t n)
{
	while (n) {
		struct tg_span s = piece(&c, n);

		if (!s.n)
			return false;
		memcpy(to, s.p, s.n);
		to += s.n;
		n -= s.n;
	}
	return true;
}

/* Moves n bytes to an earlier place in the same queue. */
static void move_up(struct cursor *to, struct cursor from, uint32_t n)
{
	while (n) {
		struct tg_span s = piece(&from, n);

		n -= s.n;
		while (s.n) {
			struct tg_span d = piece(to, s.n);

			memmove(d.p, s.p, d.n);
			s.p += d.n;
			s.n -= d.n;
		}
	}
}

/* What one look at lower's queue needs. */
struct look {
	struct tls_conn *c;
	struct tls_act *a;
	struct tg_view raw[RAW_VIEWS];
	struct cursor next; /* the first record that is not opened */
	struct cursor end;  /* behind the last region's content */
	uint32_t events;
};

static uint32_t raw_opened(const struct tls_act *a)
{
	uint32_t n = a->tail_skip;

	for (uint32_t i = 0; i < a->n_regions; i++)
		n += a->region[i].skip + a->region[i].plain;
	return n;
}

static void look_at(struct look *k, uint32_t cnt)
{
	uint32_t opened = raw_opened(k->a);

	k->next = k->end = cursor_at(k->raw, cnt);
	skip(&k->end, opened - k->a->tail_skip);
	skip(&k->next, opened);
}

/* Alerts come without a handshake's error text: who and which one. The origin that refuses our
 * certificate says so only now (RFC 8446 section 4.4.2.4). */
static void log_alert(struct tls_conn *c, bool by_peer, uint8_t alert)
{
	const struct tg_identity *id = c->peer;
	char line[320];

	snprintf(line, sizeof(line), "peer%s%.120s%s%s%.*s%s: %s alert %s (%u)", id ? " \"" : "",
		id ? (const char *)id->subject.p : "", id ? "\"" : "", id && id->uri.n ? " (" : "",
		id ? (int)(id->uri.n < 120 ? id->uri.n : 120) : 0,
		id && id->uri.n ? (const char *)id->uri.p : "", id && id->uri.n ? ")" : "",
		by_peer ? "sent" : "broke the rules of TLS: was sent", tg_alert_name(alert), alert);
	tls_log_failure(c, line);
}

static void refuse(struct look *k, int32_t alert)
{
	struct tls_conn *c = k->c;

	tg_post_fail(&c->post, alert);
	log_alert(c, false, (uint8_t)-alert);
	c->conn.impl[I_WHY] = TG_WHY_tls_record;
	k->events |= TG_EV_FAILED;
}

/* Moves n bytes of content from `from` up behind the last region's. */
static void append(struct look *k, struct cursor from, uint32_t n)
{
	uint32_t last = k->a->n_regions - 1;
	const uint8_t *p = k->a->region[last].p;

	if (p && (run_of(&k->end) < n || k->end.v->p + k->end.off != p + k->a->region[last].plain))
		k->a->region[last].p = NULL;
	move_up(&k->end, from, n);
	k->a->region[last].plain += n;
}

/* n > 0 bytes of content at p (NULL: in pieces) of a record of `all` bytes become a region of their
 * own. */
static inline void add_region(struct look *k, const uint8_t *p, uint32_t all, uint32_t n)
{
	struct tls_act *a = k->a;
	uint32_t front = k->c->rx.front;

	k->c->tls->pinned += !a->n_regions;
	a->region[a->n_regions].p = p;
	a->region[a->n_regions].skip = a->tail_skip + front;
	a->region[a->n_regions++].plain = n;
	a->tail_skip = all - front - n;
	a->plain += n;
	k->events |= TG_EV_READABLE;
}

/* A record of `all` bytes with n bytes of application data was opened; `at` stands at its content.
 */
static void take_data(struct look *k, struct cursor at, uint32_t all, uint32_t n)
{
	struct tls_act *a = k->a;
	int32_t refused = tg_post_data(&k->c->post, n);

	if (refused < 0) {
		refuse(k, refused);
		return;
	}
	if (!n) {
		a->tail_skip += all;
		return;
	}
	if (a->n_regions && (n <= SMALL_RECORD || a->n_regions == REGIONS)) {
		append(k, at, n);
		a->tail_skip += all - n;
		a->plain += n;
		k->events |= TG_EV_READABLE;
		return;
	}
	add_region(k, run_of(&at) >= n ? at.v->p + at.off : NULL, all, n);
	k->end = at;
	skip(&k->end, n);
}

static void use_ticket(struct tls_conn *c, const struct tg_ticket *ticket)
{
	if (c->resume && !tg_hs_ticket(c->resume, ticket, tls_time(c->tls)))
		c->resume = NULL;
}

/* A record of another type: alert or handshake message. */
static void take_message(struct look *k, struct cursor at, uint8_t type, uint32_t n)
{
	struct tls_conn *c = k->c;
	struct tg_view content = tg_view_of(c->tls->scratch, n);
	struct tg_post_out out;

	copy_out(at, c->tls->scratch, n);
	for (;;) {
		switch (tg_post_take(&c->post, type, &content, &c->tls->gather, &out)) {
		case TG_POST_DONE:
			return;
		case TG_POST_KEY_UPDATE:
			c->tls->conf.stats->tls_key_updates++;
			if (!tg_rec_next_key(&c->rx))
				refuse(k, -TG_ALERT_INTERNAL_ERROR);
			break;
		case TG_POST_TICKET:
			use_ticket(c, &out.ticket);
			break;
		case TG_POST_CLOSED:
			k->events |= TG_EV_EOF;
			return;
		case TG_POST_ALERT:
			log_alert(c, true, out.alert);
			c->conn.impl[I_WHY] = TG_WHY_tls_alert;
			k->events |= TG_EV_FAILED;
			return;
		case TG_POST_REFUSED:
			log_alert(c, false, out.alert);
			c->conn.impl[I_WHY] = TG_WHY_tls_record;
			k->events |= TG_EV_FAILED;
			return;
		}
	}
}

/* A record of `all` bytes was opened. */
static inline void take_record(
	struct look *k, struct cursor at, uint8_t type, uint32_t all, uint32_t n)
{
	if (tg_likely(type == TG_REC_DATA)) {
		take_data(k, at, all, n);
		return;
	}
	k->a->tail_skip += all;
	take_message(k, at, type, n);
}

/* The usual case: what lies there is one whole record in one piece. */
static inline bool is_lone(const struct look *k, uint32_t cnt)
{
	return cnt == 1 && !k->a->n_regions && !k->a->tail_skip && k->raw->n > TG_REC_HEADER &&
	       tg_rec_frame(&k->c->rx, k->raw->p) == (int32_t)k->raw->n;
}

static void open_lone(struct look *k)
{
	struct tls_conn *c = k->c;
	struct tg_span rec = {(uint8_t *)(uintptr_t)k->raw->p, k->raw->n};
	uint8_t type = 0;
	int32_t n = tg_rec_open(&c->rx, &rec, 1, &type);

	if (tg_unlikely(n < 0))
		refuse(k, n);
	else if (tg_likely(type == TG_REC_DATA && n && tg_post_plain_data(&c->post)))
		add_region(k, rec.p + c->rx.front, rec.n, (uint32_t)n);
	else
		take_record(k, (struct cursor){k->raw, k->raw + 1, c->rx.front}, type, rec.n,
			(uint32_t)n);
}

/* False: no whole record is there, or it was refused. */
static bool open_next(struct look *k)
{
	struct tg_span rec[RAW_VIEWS];
	struct tls_conn *c = k->c;
	uint8_t header[TG_REC_HEADER], type = 0;
	struct cursor at = k->next;
	int32_t all, n;
	uint32_t cnt;

	if (!copy_out(at, header, sizeof(header)))
		return false;
	all = tg_rec_frame(&c->rx, header);
	if (all < 0) {
		refuse(k, all);
		return false;
	}
	cnt = pieces(&k->next, (uint32_t)all, rec);
	if (!cnt)
		return false;
	n = tg_rec_open(&c->rx, rec, cnt, &type);
	if (n < 0) {
		refuse(k, n);
		return false;
	}
	skip(&at, c->rx.front);
	take_record(k, at, type, (uint32_t)all, (uint32_t)n);
	return !(k->events & (TG_EV_EOF | TG_EV_FAILED));
}

static void open_all(struct look *k, uint32_t cnt)
{
	look_at(k, cnt);
	do {
		if (k->a->plain >= OPEN_MAX) {
			k->c->flags |= F_STOPPED;
			return;
		}
	} while (open_next(k));
}

/* Headers, tags and padding with no content before them are dropped at once, lest content stand
 * behind more pieces than a user looks at. The header of the first content alone is worth no call.
 */
static void drop_skipped(struct tls_conn *c, struct tls_act *a)
{
	uint32_t *skip = a->n_regions ? &a->region[0].skip : &a->tail_skip, n = *skip;

	if (!n || (a->n_regions && n == c->rx.front))
		return;
	*skip = 0;
	tg_conn_consume(c->lower, n);
}

static bool no_more(const struct tls_conn *c)
{
	return tls_mode(c) != TLS_OPEN || c->post.peer_closed || c->flags & F_FAIL_TOLD;
}

/* The stream below ended, and everything that it brought has been opened. */
static uint32_t check_end(struct tls_conn *c, uint32_t events)
{
	if (events & (TG_EV_EOF | TG_EV_FAILED) || !(c->flags & F_LOWER_EOF))
		return events;
	/* Without close_notify anybody on the way may have cut it (RFC 8446 section 6.1). */
	c->conn.impl[I_WHY] = TG_WHY_tls_truncated;
	return events | TG_EV_FAILED;
}

uint32_t tls_rx_open(struct tls_conn *c)
{
	struct look k; /* large: not zeroed */
	bool was_short = c->lower->rx_short;
	uint32_t cnt;

	if (no_more(c))
		return 0;
	c->flags &= (uint16_t)~F_STOPPED;
	/* At rest, nothing opened and nothing come: the keys can rest on. */
	cnt = tg_conn_peek(c->lower, k.raw, RAW_VIEWS);
	if (!cnt)
		return check_end(c, 0);
	k.c = c;
	k.events = 0;
	k.a = tls_wake(c);
	if (!k.a) {
		c->flags |= F_STOPPED;
		return 0;
	}
	if (tg_likely(is_lone(&k, cnt)))
		open_lone(&k);
	else
		open_all(&k, cnt);
	/* What lies beyond the pieces that were looked at is for the next time. */
	if (cnt == RAW_VIEWS)
		c->flags |= F_STOPPED;
	/* At most a part of a record is there; or its user knows all and has said the same. */
	c->lower->rx_short = !k.a->n_regions || (was_short && !(k.events & TG_EV_READABLE));
	drop_skipped(c, k.a);
	if (tg_post_wants_tx(&c->post, &c->tx, &c->rx, false))
		tls_tx_control(c, false);
	if (!(c->flags & F_STOPPED))
		return check_end(c, k.events);
	return k.events;
}

/* Peek and consume are ops: what they find is told later. */
static void open_more(struct tls_conn *c)
{
	uint32_t ev = tls_rx_open(c);

	if (ev & (TG_EV_EOF | TG_EV_FAILED)) {
		c->conn.events |= (uint8_t)(ev & (TG_EV_EOF | TG_EV_FAILED));
		tls_call_back(c);
	}
}

/* Content from region i on, found in lower's pieces. */
static uint32_t walk(struct tls_conn *c, uint32_t i, struct tg_view *v, uint32_t cnt)
{
	const struct tls_act *a = c->act;
	struct tg_view raw[RAW_VIEWS];
	struct cursor at = cursor_at(raw, tg_conn_peek(c->lower, raw, RAW_VIEWS));
	uint32_t n = 0;

	for (uint32_t before = 0; before < i; before++)
		skip(&at, a->region[before].skip + a->region[before].plain);
	for (; i < a->n_regions && n < cnt; i++) {
		uint32_t left = a->region[i].plain;

		skip(&at, a->region[i].skip);
		while (left && n < cnt) {
			struct tg_span s = piece(&at, left);

			if (!s.n)
				return n;
			v[n++] = tg_view_of(s.p, s.n);
			left -= s.n;
		}
	}
	return n;
}

static uint32_t peek_slow(struct tls_conn *c, struct tg_view *v, uint32_t cnt)
{
	const struct tls_act *a;
	uint32_t n = 0;

	if (tls_mode(c) != TLS_OPEN)
		return 0;
	if (c->flags & F_STOPPED && (!c->act || c->act->plain < OPEN_MAX))
		open_more(c);
	a = c->act;
	if (!a)
		return 0;
	for (; n < a->n_regions && n < cnt; n++) {
		if (!a->region[n].p)
			return n + walk(c, n, v + n, cnt - n);
		v[n] = tg_view_of(a->region[n].p, a->region[n].plain);
	}
	return n;
}

uint32_t tls_rx_peek(struct tg_conn *conn, struct tg_view *v, uint32_t cnt)
{
	struct tls_conn *c = tls_of(conn);
	const struct tls_act *a = c->act;

	/* Users look often: nothing, or one piece, is told at once. */
	if (tg_unlikely(tls_mode(c) != TLS_OPEN || c->flags & F_STOPPED || !cnt))
		return peek_slow(c, v, cnt);
	if (!a || !a->n_regions)
		return 0;
	if (tg_unlikely(a->n_regions > 1 || !a->region[0].p))
		return peek_slow(c, v, cnt);
	v[0] = tg_view_of(a->region[0].p, a->region[0].plain);
	return 1;
}

/* n > 0 bytes of content, from the first region on; returns how many that is below. */
static uint32_t take_off(struct tls_act *a, uint32_t n)
{
	uint32_t raw = 0, gone = 0;

	while (n) {
		uint32_t part = a->region[gone].plain < n ? a->region[gone].plain : n;

		raw += a->region[gone].skip + part;
		a->region[gone].skip = 0;
		a->region[gone].plain -= part;
		if (a->region[gone].p)
			a->region[gone].p += part;
		n -= part;
		if (!a->region[gone].plain)
			gone++;
	}
	a->n_regions -= gone;
	if (gone && a->n_regions)
		memmove(a->region, a->region + gone, a->n_regions * sizeof(a->region[0]));
	return raw;
}

void tls_rx_consume(struct tg_conn *conn, uint32_t n)
{
	struct tls_conn *c = tls_of(conn);
	struct tls_act *a = c->act;
	uint32_t raw;

	if (tls_mode(c) != TLS_OPEN || !n || !a) {
		tg_conn_consume(c->lower, 0);
		return;
	}
	a->plain -= n;
	if (tg_likely(a->n_regions == 1 && a->region[0].plain == n)) {
		raw = a->region[0].skip + n;
		a->n_regions = 0;
	} else {
		raw = take_off(a, n);
	}
	/* What stands before the next content keeps the window closed for nothing. */
	if (a->n_regions) {
		raw += a->region[0].skip;
		a->region[0].skip = 0;
	} else {
		raw += a->tail_skip;
		a->tail_skip = 0;
		c->tls->pinned--;
	}
	tg_conn_consume(c->lower, raw);
	c->lower->rx_short = !a->n_regions;
}
