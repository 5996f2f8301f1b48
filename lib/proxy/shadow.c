/* shadow.c: copies of requests for other clusters (request_mirror_policies).
 *
 *	client ===> exchange ===> origin
 *	               | what the pump moves
 *	               v
 *	            queue ===> exchange of the shadow ===> mirror, whose answer is dropped
 *
 * A shadow is an exchange like any other, whose client is a queue: what the origin got of the body
 * is copied into it, and what the mirror answers is forgotten. So it has the pools, timeouts and
 * breakers of its cluster, and none of its own. It is never waited for: when its queue has no room
 * for what the origin got, or anything is short, the copy is given up and counted.
 */
#include "internal.h"

#define QUEUE_BYTES (48 * 1024)

struct px_shadow {
	struct tg_conn conn; /* the client of down */
	struct px_down down;
	struct px_exch *of;     /* whose body is copied; NULL: all of it is here */
	struct px_shadow *next; /* of the same exchange */
	uint8_t *queue;         /* in its exchange's arena; NULL: there is no body */
	uint32_t begin, n;      /* bytes in it */
	bool full;              /* it could not take something */
};

/* --- the queue as a connection -----------------------------------------------------------------
 */

static struct px_shadow *shadow_of(const struct tg_conn *c)
{
	return (struct px_shadow *)(uintptr_t)c; /* its first member */
}

static uint32_t queue_peek(struct tg_conn *c, struct tg_view *v, uint32_t cnt)
{
	const struct px_shadow *s = shadow_of(c);
	uint32_t first = QUEUE_BYTES - s->begin < s->n ? QUEUE_BYTES - s->begin : s->n;

	if (!s->n || !cnt)
		return 0;
	v[0] = tg_view_of(s->queue + s->begin, first);
	if (first == s->n || cnt == 1)
		return 1;
	v[1] = tg_view_of(s->queue, s->n - first);
	return 2;
}

static void queue_consume(struct tg_conn *c, uint32_t n)
{
	struct px_shadow *s = shadow_of(c);

	s->begin = (s->begin + n) % QUEUE_BYTES;
	s->n -= n;
}

static uint32_t sink_space(const struct tg_conn *c)
{
	return 1 << 20;
}

static uint32_t sink_write(struct tg_conn *c, const struct tg_view *v, uint32_t cnt)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < cnt; i++)
		n += v[i].n;
	return n;
}

static uint32_t sink_fill(
	struct tg_conn *c, uint32_t least, uint32_t most, tg_fill_fn *fill, void *ctx)
{
	return 0; /* nobody seals for it */
}

static void queue_finish(struct tg_conn *c)
{
}

static void queue_abort(struct tg_conn *c, enum tg_why why)
{
}

static void queue_detach(struct tg_conn *c)
{
}

static void queue_info(const struct tg_conn *c, struct tg_conn_info *out)
{
	memset(out, 0, sizeof(*out));
}

static const struct tg_conn_ops queue_ops = {queue_peek, queue_consume, sink_space, sink_write,
	sink_fill, queue_finish, queue_abort, queue_detach, queue_info};

static void put(struct px_shadow *s, const uint8_t *p, uint32_t n)
{
	uint32_t at = (s->begin + s->n) % QUEUE_BYTES;
	uint32_t first = QUEUE_BYTES - at < n ? QUEUE_BYTES - at : n;

	memcpy(s->queue + at, p, first);
	if (n > first)
		memcpy(s->queue, p + first, n - first);
	s->n += n;
}

/* Content as the origin got it, in chunks where the request was. */
static void copy_content(struct px_shadow *s, const struct tg_view *v, uint32_t cnt, uint32_t n)
{
	bool chunked = s->of->req.body == TG_BODY_CHUNKED;
	uint8_t head[TG_H1_CHUNK_HEAD_MAX];
	uint32_t head_n = chunked ? tg_h1_chunk_head(head, n) : 0;

	if (s->full || head_n + n + 2 > QUEUE_BYTES - s->n) {
		s->full = true;
		return;
	}
	put(s, head, head_n);
	for (uint32_t i = 0; i < cnt; i++)
		put(s, v[i].p, v[i].n);
	if (chunked)
		put(s, (const uint8_t *)"\r\n", 2);
}

static void tee(void *ctx, const struct tg_view *v, uint32_t cnt, uint32_t n)
{
	const struct px_exch *ex = ctx;

	for (struct px_shadow *s = ex->shadows; s; s = s->next)
		copy_content(s, v, cnt, n);
}

/* --- life --------------------------------------------------------------------------------------
 */

static void unlink_from(struct px_exch *ex, struct px_shadow *s)
{
	struct px_shadow **at = &ex->shadows;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->of = NULL;
	s->next = NULL;
}

void px_shadow_leave(struct px_down *d)
{
	struct px_shadow *s = TG_CONTAINER(d, struct px_shadow, down);

	if (s->of)
		unlink_from(s->of, s);
}

void px_shadow_free(struct px_down *d)
{
	struct px_shadow *s = TG_CONTAINER(d, struct px_shadow, down);
	struct tg_proxy *p = d->ln->proxy;

	tg_timer_stop(p->wheel, &d->timer);
	px_shadow_leave(d);
	d->used = false;
	tg_pool_put(&p->shadows, s);
}

static void give_up(struct px_shadow *s)
{
	struct px_exch *ex = s->down.ex;

	ex->cluster->stats[ex->proxy->conf.worker].mirror_rq_dropped++;
	px_exch_cut(ex, TG_WHY_none, 0, NULL);
}

/* "shop.example-shadow:80" (Envoy). */
static struct tg_view shadow_host(struct tg_arena *a, struct tg_view host)
{
	const struct tg_view suffix = TG_VIEW("-shadow");
	const uint8_t *colon = host.n ? memrchr(host.p, ':', host.n) : NULL;
	const uint8_t *bracket = host.n ? memrchr(host.p, ']', host.n) : NULL;
	uint32_t n = colon && (!bracket || colon > bracket) ? (uint32_t)(colon - host.p) : host.n;
	uint8_t *t = tg_arena_alloc(a, host.n + suffix.n);

	if (!t)
		return TG_VIEW_NONE;
	if (n)
		memcpy(t, host.p, n);
	memcpy(t + n, suffix.p, suffix.n);
	if (host.n > n)
		memcpy(t + n + suffix.n, host.p + n, host.n - n);
	return tg_view_of(t, host.n + suffix.n);
}

/* The head that the origin gets, with another host. */
static bool copy_head(struct px_exch *to, struct px_exch *from)
{
	struct tg_field *f = tg_msg_find(&from->req, TG_FIELD_HOST);
	struct tg_view was = f ? f->value : TG_VIEW_NONE;

	if (!f)
		return false;
	f->value = shadow_host(&to->arena, was);
	if (f->value.p)
		to->out_head = px_write_head(&to->arena, &from->req);
	f->value = was;
	return to->out_head.p != NULL;
}

static void init_exchange(struct px_exch *ex, struct px_shadow *s, struct px_exch *of)
{
	struct tg_proxy *p = of->proxy;

	memset(ex, 0, sizeof(*ex));
	ex->used = true;
	ex->proxy = p;
	ex->down = &s->down;
	ex->lc = of->lc;
	ex->snap = of->snap;
	px_pin(p, ex->snap);
	tg_list_init(&ex->link);
	tg_arena_init(&ex->arena, &p->arenas, TG_PX_EXCHANGE_BYTES);
	ex->start = ex->last_activity = px_now(p);
	ex->wake_at = UINT64_MAX;
	ex->vhost = of->vhost;
	ex->route = of->route;
	ex->priority = of->priority;
	ex->timeout = of->timeout;
	ex->req.method = of->req.method;
	ex->req.version_minor = 1;
	ex->req.body = of->req.body;
	ex->req_ready = true;
	tg_pump_init(&ex->req_pump, of->req.body, of->req.content_length, of->req.body, NULL);
	if (ex->req_pump.in.ended)
		ex->req_complete = px_now(p);
	p->stats->http_exchanges++;
}

static void init_down(struct px_shadow *s, struct px_exch *ex, struct tg_proxy *p)
{
	s->conn.ops = &queue_ops;
	s->conn.owner = &s->down;
	s->down.conn = &s->conn;
	s->down.ln = &p->nowhere;
	s->down.ex = ex;
	s->down.state = PX_DOWN_BUSY;
	s->down.close_soon = 1;
	s->down.shadow = 1;
	s->down.used = 1;
}

/* NULL: there is no room for one. */
static struct px_shadow *new_shadow(struct px_exch *of, const struct tg_cluster *c)
{
	struct tg_proxy *p = of->proxy;
	/* The first to go when anything is short: nobody waits for them. */
	bool none = p->overload || px_shortage(p);
	struct px_exch *ex = none ? NULL : tg_pool_take(&p->exchs);
	struct px_shadow *s = ex ? tg_pool_take(&p->shadows) : NULL;

	if (!s) {
		if (ex)
			tg_pool_put(&p->exchs, ex);
		return NULL;
	}
	memset(s, 0, sizeof(*s));
	init_down(s, ex, p);
	init_exchange(ex, s, of);
	ex->goes_to = ex->cluster = c;
	if (!ex->req_pump.in.ended) {
		s->queue = tg_arena_alloc(&ex->arena, QUEUE_BYTES);
		s->of = of;
		s->next = of->shadows;
		of->shadows = s;
	}
	if (copy_head(ex, of) && (s->queue || ex->req_pump.in.ended))
		return s;
	px_exch_cut(ex, TG_WHY_none, 0, NULL);
	return NULL;
}

void px_shadows_begin(struct px_exch *ex)
{
	const struct tg_route_action *a = ex->route->action;
	struct tg_proxy *p = ex->proxy;

	ex->shadowed = true;
	if (ex->upgrade)
		return;
	for (uint32_t i = 0; i < a->n_mirrors; i++) {
		const struct tg_mirror *m = &a->mirrors[i];
		struct tg_cluster_stats *cs = &m->cluster->stats[p->conf.worker];
		struct px_shadow *s;

		if (m->fraction < TG_FRACTION_WHOLE &&
			tg_rng_below(&p->rng, TG_FRACTION_WHOLE) >= m->fraction)
			continue;
		cs->mirror_rq_total++;
		s = new_shadow(ex, m->cluster);
		if (!s) {
			cs->mirror_rq_dropped++;
			continue;
		}
		px_down_arm(&s->down); /* its deadlines */
		px_up_request(s->down.ex);
		if (s->down.used)
			px_down_run(&s->down);
	}
	if (ex->shadows) {
		ex->req_pump.tee = tee;
		ex->req_pump.tee_ctx = ex;
	}
}

void px_shadows_run(struct px_exch *ex)
{
	bool ended = ex->req_pump.in.ended;

	for (struct px_shadow *s = ex->shadows, *next; s; s = next) {
		/* When one gives its connection back, the next one may get a turn, and end too. */
		next = s->next;
		if (ended && ex->req.body == TG_BODY_CHUNKED && !s->full) {
			if (QUEUE_BYTES - s->n >= 5)
				put(s, (const uint8_t *)"0\r\n\r\n", 5);
			else
				s->full = true;
		}
		if (s->full) {
			give_up(s);
		} else {
			if (ended)
				unlink_from(ex, s);
			px_down_run(&s->down);
		}
		if (next && next->of != ex)
			next = ex->shadows;
	}
}

void px_shadows_end(struct px_exch *ex)
{
	/* What it has not got of the body will not come. */
	while (ex->shadows)
		give_up(ex->shadows);
}

void px_shadows_abort(struct tg_proxy *p)
{
	for (uint32_t i = 0; i < p->shadows.fresh; i++) {
		struct px_shadow *s = tg_pool_at(&p->shadows, i);

		if (s->down.used)
			px_exch_cut(s->down.ex, TG_WHY_none, 0, NULL);
	}
}

int px_shadows_init(struct tg_proxy *p)
{
	static const struct tg_listener_conf conf = {.name = ""};

	p->nowhere = (struct px_listener){.conf = &conf, .stats = &p->nowhere_stats, .proxy = p};
	return tg_pool_init(
		&p->shadows, "shadow", sizeof(struct px_shadow), p->conf.max_exchanges / 8 + 8);
}
