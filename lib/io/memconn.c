#include <stdlib.h>

#include <tidegate/memconn.h>

struct end {
	struct tg_conn c;
	struct end *peer; /* NULL once the peer is gone */
	struct tg_ready *ready;
	struct tg_sockaddr local, remote;
	uint8_t *buf; /* ring of bytes that the peer wrote and we have not consumed */
	uint32_t cap, head, len;
	uint64_t written; /* by us */
	uint64_t acked;   /* of it, what the peer took while it was not deaf */
	bool deaf;        /* we acknowledge nothing */
	uint32_t stingy;  /* most bytes that a write takes; 0: as many as fit */
	bool fin_sent, fin_seen, failed, starved, gone, final;
	bool faultless; /* knows no faults */
	enum tg_why why;
};

static uint32_t alive;

static struct end *end_of(const struct tg_conn *c)
{
	return TG_CONTAINER(c, struct end, c);
}

static void release(struct end *e)
{
	free(e->buf);
	free(e);
	alive--;
}

static void raise(struct end *e, uint32_t ev)
{
	if (!e->gone)
		tg_ready_raise(e->ready, &e->c, ev);
}

static uint32_t m_peek(struct tg_conn *c, struct tg_view *v, uint32_t cnt)
{
	struct end *e = end_of(c);
	uint32_t first = e->len < e->cap - e->head ? e->len : e->cap - e->head;

	if (!cnt || !e->len)
		return 0;
	v[0] = tg_view_of(e->buf + e->head, first);
	if (first == e->len || cnt == 1)
		return 1;
	v[1] = tg_view_of(e->buf, e->len - first);
	return 2;
}

static void m_consume(struct tg_conn *c, uint32_t n)
{
	struct end *e = end_of(c);

	if (n > e->len)
		n = e->len;
	e->head = (e->head + n) % e->cap;
	e->len -= n;
	if (n && e->peer && e->peer->starved) {
		e->peer->starved = false;
		raise(e->peer, TG_EV_WRITABLE);
	}
	if (n && e->peer && !e->len)
		raise(e->peer, TG_EV_DRAINED);
}

static uint32_t m_space(const struct tg_conn *c)
{
	const struct end *e = end_of(c);

	if (e->failed || e->fin_sent)
		return 0;
	return e->peer ? e->peer->cap - e->peer->len : e->cap;
}

static uint32_t put(struct end *to, struct tg_view v)
{
	uint32_t n = v.n < to->cap - to->len ? v.n : to->cap - to->len;

	for (uint32_t i = 0; i < n; i++)
		to->buf[(to->head + to->len + i) % to->cap] = v.p[i];
	to->len += n;
	return n;
}

static uint32_t m_write(struct tg_conn *c, const struct tg_view *v, uint32_t cnt)
{
	struct end *e = end_of(c);
	uint32_t done = 0;

	if (e->failed || e->fin_sent)
		return 0;
	e->starved |= cnt == 0;
	for (uint32_t i = 0; i < cnt; i++) {
		/* Like TCP with a peer that vanished in silence: bytes are taken and never
		 * acknowledged. */
		struct tg_view w = v[i];
		uint32_t n;

		if (e->stingy && w.n > e->stingy - done)
			w.n = e->stingy - done;
		n = e->peer ? put(e->peer, w) : w.n;
		done += n;
		if (e->peer && !e->peer->deaf)
			e->acked += n;
		if (n < v[i].n) {
			e->starved = true;
			break;
		}
	}
	e->written += done;
	if (done && e->peer)
		raise(e->peer, TG_EV_READABLE);
	return done;
}

static uint32_t m_fill(
	struct tg_conn *c, uint32_t least, uint32_t most, tg_fill_fn *fill, void *ctx)
{
	struct end *e = end_of(c), *to = e->peer;
	uint32_t n = m_space(c), cnt = 0, at;
	struct tg_span s[2];

	if (n > most)
		n = most;
	if (n < most)
		e->starved = true;
	if (!n || n < least)
		return 0;
	/* Without a peer the bytes go to our own ring, where nobody looks any more. */
	if (!to)
		to = e;
	at = (to->head + to->len) % to->cap;
	s[cnt++] = (struct tg_span){to->buf + at, n < to->cap - at ? n : to->cap - at};
	if (s[0].n < n)
		s[cnt++] = (struct tg_span){to->buf, n - s[0].n};
	fill(ctx, s, cnt, n);
	e->written += n;
	if (!e->peer)
		return n;
	to->len += n;
	if (!to->deaf)
		e->acked += n;
	raise(to, TG_EV_READABLE);
	return n;
}

static void m_finish(struct tg_conn *c)
{
	struct end *e = end_of(c);

	if (e->fin_sent || e->failed)
		return;
	e->fin_sent = true;
	if (e->peer) {
		e->peer->fin_seen = true;
		raise(e->peer, TG_EV_EOF);
	}
}

static void leave(struct end *e)
{
	e->gone = true;
	if (e->peer)
		e->peer->peer = NULL;
	if (!tg_ready_cancel(e->ready, &e->c))
		release(e);
}

void tg_memconn_fail(struct tg_conn *c, enum tg_why why)
{
	struct end *e = end_of(c);

	if (e->failed)
		return;
	e->failed = true;
	e->final = e->fin_seen;
	e->why = why;
	raise(e, TG_EV_FAILED);
}

static void m_abort(struct tg_conn *c, enum tg_why why)
{
	struct end *e = end_of(c);

	(void)why;
	if (e->peer)
		tg_memconn_fail(&e->peer->c, TG_WHY_conn_reset_by_peer);
	leave(e);
}

static void m_detach(struct tg_conn *c)
{
	struct end *e = end_of(c);

	if (e->len && e->peer) /* unread bytes: the peer hears a reset, as from TCP */
		tg_memconn_fail(&e->peer->c, TG_WHY_conn_reset_by_peer);
	else
		m_finish(c);
	leave(e);
}

static void m_info(const struct tg_conn *c, struct tg_conn_info *out)
{
	const struct end *e = end_of(c);

	*out = (struct tg_conn_info){
		.local = e->local,
		.remote = e->remote,
		.why = e->why,
		.tx_written = e->written,
		.tx_acked = e->acked,
		.tx_final = e->final,
		.rx_held = e->len,
	};
}

/* There is no network to be bad, and no TLS: what is left is the end. */
static int m_fault(struct tg_conn *c, const struct tg_conn_fault *f)
{
	if (end_of(c)->faultless)
		return TG_EINVAL;
	if (f->truncate)
		m_finish(c);
	return 0;
}

static const struct tg_conn_ops mem_ops = {
	m_peek,
	m_consume,
	m_space,
	m_write,
	m_fill,
	m_finish,
	m_abort,
	m_detach,
	m_info,
	m_fault,
};

static struct end *new_end(struct tg_ready *r, uint32_t cap, const struct tg_sockaddr *local,
	const struct tg_sockaddr *remote)
{
	struct end *e = calloc(1, sizeof(*e));

	if (!e)
		abort();
	e->c.ops = &mem_ops;
	e->ready = r;
	e->buf = malloc(cap);
	e->cap = cap;
	if (local)
		e->local = *local;
	if (remote)
		e->remote = *remote;
	alive++;
	return e;
}

struct tg_memconn_pair tg_memconn_open(struct tg_ready *r, uint32_t buf_bytes,
	const struct tg_sockaddr *a, const struct tg_sockaddr *b)
{
	struct end *x = new_end(r, buf_bytes, a, b), *y = new_end(r, buf_bytes, b, a);

	x->peer = y;
	y->peer = x;
	return (struct tg_memconn_pair){&x->c, &y->c};
}

void tg_memconn_reap(void *ctx, struct tg_conn *c)
{
	(void)ctx;
	release(end_of(c));
}

void tg_memconn_deaf(struct tg_conn *c)
{
	end_of(c)->deaf = true;
}

void tg_memconn_hears(struct tg_conn *c)
{
	struct end *e = end_of(c);

	e->deaf = false;
	if (e->peer)
		e->peer->acked = e->peer->written;
}

void tg_memconn_stingy(struct tg_conn *c, uint32_t most)
{
	end_of(c)->stingy = most;
}

uint32_t tg_memconn_alive(void)
{
	return alive;
}

void tg_memconn_faultless(struct tg_conn *c)
{
	end_of(c)->peer->faultless = true;
}
