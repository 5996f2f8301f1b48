/* retry.c: sending a request again: what the client may ask for, what is kept for it, and when.
 *
 * An exchange has a struct px_retry only if its route or its client asks for retries or for a
 * timeout of a try, so requests without pay for one comparison of a pointer.
 *
 *	 UPSTREAM, WAIT --failed, refused status, too slow--> BACKOFF --timer--> WAIT or UPSTREAM
 */
#include "internal.h"

static const struct tg_retry_asked nothing_asked;

/* The fields that a client steers with, and what is said of a request, are the mesh's own: at the
 * edge they are removed unread, as Envoy does. */
static bool trusted(const struct tg_listener_conf *lc)
{
	return !lc->use_remote_address;
}

#define FIRST_ORDER TG_FIELD_X_ENVOY_RETRY_ON
#define LAST_ORDER TG_FIELD_X_ENVOY_ATTEMPT_COUNT
#define LAST_OF_MESH TG_FIELD_X_ENVOY_IP_TAGS
_Static_assert(LAST_ORDER + 1 == TG_FIELD_X_ENVOY_ORIGINAL_PATH, "they stand together");

#define IDS(from, to) ((UINT64_C(2) << (to)) - (UINT64_C(1) << (from)))

/* A decimal number; false: it is none, or absurd. */
static bool number(struct tg_view v, uint64_t *out)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < v.n; i++) {
		if ((uint8_t)(v.p[i] - '0') > 9)
			return false;
		n = n * 10 + (uint64_t)(v.p[i] - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*out = n;
	return v.n > 0;
}

static void take_order(struct px_orders *o, const struct tg_field *f)
{
	struct tg_view unknown;
	uint64_t n;

	switch (f->id) {
	case TG_FIELD_X_ENVOY_RETRY_ON:
	case TG_FIELD_X_ENVOY_RETRY_GRPC_ON:
		o->on |= tg_retry_on_parse(f->value, &unknown);
		break;
	case TG_FIELD_X_ENVOY_MAX_RETRIES:
		if (number(f->value, &n)) {
			o->max_retries = (uint32_t)n;
			o->has_max = true;
		}
		break;
	case TG_FIELD_X_ENVOY_RETRIABLE_STATUS_CODES:
		tg_retry_statuses_parse(f->value, &o->asked.statuses);
		break;
	case TG_FIELD_X_ENVOY_RETRIABLE_HEADER_NAMES:
		o->asked.names = f->value;
		break;
	case TG_FIELD_X_ENVOY_UPSTREAM_RQ_TIMEOUT_ALT_RESPONSE:
		o->no_content = true;
		break;
	case TG_FIELD_X_ENVOY_HEDGE_ON_PER_TRY_TIMEOUT:
		o->has_hedge = true;
		o->hedge = tg_view_eq(f->value, TG_VIEW("true"));
		break;
	case TG_FIELD_X_ENVOY_UPSTREAM_RQ_TIMEOUT_MS:
		o->has_timeout = number(f->value, &n);
		o->timeout = o->has_timeout ? n * TG_MS : 0;
		break;
	case TG_FIELD_X_ENVOY_UPSTREAM_RQ_PER_TRY_TIMEOUT_MS:
		o->has_per_try = number(f->value, &n);
		o->per_try = o->has_per_try ? n * TG_MS : 0;
		break;
	default: /* what only we may say */
		break;
	}
}

bool px_retry_orders(struct px_exch *ex)
{
	struct tg_msg *m = &ex->req;
	bool believe = trusted(ex->lc);
	uint16_t last = believe ? LAST_ORDER : LAST_OF_MESH;

	if (tg_likely(!(~m->absent & IDS(FIRST_ORDER, last))))
		return true;
	for (uint32_t i = 0; i < m->n_fields; i++) {
		struct tg_field *f = &m->fields[i];

		if (f->id < FIRST_ORDER || f->id > last || f->removed)
			continue;
		f->removed = true;
		if (!believe)
			continue;
		if (!ex->orders) {
			ex->orders = tg_arena_alloc(&ex->arena, sizeof(*ex->orders));
			if (!ex->orders)
				return false;
			memset(ex->orders, 0, sizeof(*ex->orders));
		}
		take_order(ex->orders, f);
	}
	return true;
}

/* In place where it is there already: a field a try would be too many. */
static bool set_number(struct px_exch *ex, enum tg_field_id id, uint64_t n)
{
	struct tg_field *f = tg_msg_find(&ex->req, id);
	uint8_t *text = tg_arena_alloc(&ex->arena, 20);
	struct tg_view value;

	if (!text)
		return false;
	value = tg_view_of(text, px_text_u64(n, text));
	if (!f)
		return tg_msg_add(&ex->req, id, tg_field_name(id), value) == 0;
	f->value = value;
	return true;
}

/* What the origin is told of the time that is left for it, and of tries. */
static bool tell(struct px_exch *ex, const struct px_retry *r)
{
	uint64_t expected = r && r->per_try ? r->per_try : ex->timeout;

	if ((r || ex->orders) && expected &&
		!set_number(ex, TG_FIELD_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS,
			(expected + TG_MS - 1) / TG_MS))
		return false;
	return !(ex->route->attempt_count & TG_ATTEMPT_COUNT_REQUEST) ||
	       set_number(ex, TG_FIELD_X_ENVOY_ATTEMPT_COUNT, 1);
}

bool px_retry_begin(struct px_exch *ex)
{
	const struct tg_retry_policy *p = ex->route->retry;
	const struct px_orders *o = ex->orders;
	struct px_retry *r;

	ex->timeout = o && o->has_timeout ? o->timeout : ex->route->timeout;
	if (tg_likely(!p && !o))
		return !ex->route->attempt_count || tell(ex, NULL);
	r = tg_arena_alloc(&ex->arena, sizeof(*r));
	if (!r)
		return false;
	memset(r, 0, sizeof(*r));
	r->policy = p;
	r->on = (p ? p->on : 0) | (o ? o->on : 0);
	r->left = o && o->has_max ? o->max_retries : p ? p->num_retries : 1;
	r->per_try = o && o->has_per_try ? o->per_try : p ? p->per_try_timeout : 0;
	r->per_try_idle = p ? p->per_try_idle_timeout : 0;
	if (ex->timeout && r->per_try >= ex->timeout)
		r->per_try = 0; /* the route's comes first */
	r->asked = o ? &o->asked : &nothing_asked;
	r->hedge = o && o->has_hedge ? o->hedge : ex->route->hedge;
	r->try_until = r->again_at = UINT64_MAX;
	ex->retry = r;
	return tell(ex, r);
}

/* --- tries --------------------------------------------------------------------------------------
 */

/* Room for the body, so that it can be sent again. Without, only what was not sent can. */
static void keep_body(struct px_exch *ex)
{
	struct tg_pump *q = &ex->req_pump;
	uint32_t cap = ex->route->buffer_limit;

	if (q->in.ended || q->taken || q->replay || !ex->retry->on || !ex->retry->left)
		return;
	if (ex->req.body == TG_BODY_LENGTH) {
		if (ex->req.content_length > cap)
			cap = 0;
		else
			cap = (uint32_t)ex->req.content_length;
	}
	q->replay = cap ? tg_arena_alloc(&ex->arena, cap) : NULL;
	q->replay_cap = q->replay ? cap : 0;
	ex->retry->keeps_body = q->replay;
	if (!q->replay)
		px_retry_abandon(ex);
}

void px_retry_abandon(struct px_exch *ex)
{
	if (ex->retry->abandoned)
		return;
	ex->retry->abandoned = true;
	ex->ep->stats->retry_or_shadow_abandoned++;
}

void px_retry_chosen(struct px_exch *ex, const struct tg_endpoint *e)
{
	struct px_retry *r = ex->retry;

	r->tries++;
	r->last = e->addr;
	if (r->n_tried < TG_ARRAY_LEN(r->tried))
		r->tried[r->n_tried++] = r->last;
}

bool px_retry_try(struct px_exch *ex)
{
	struct px_retry *r = ex->retry;

	keep_body(ex);
	px_retry_time(ex);
	if (r->per_try_idle) {
		ex->last_activity = px_now(ex->proxy);
		px_down_arm(ex->down);
	}
	if (r->tries == 1 || !(ex->route->attempt_count & TG_ATTEMPT_COUNT_REQUEST))
		return true;
	if (!set_number(ex, TG_FIELD_X_ENVOY_ATTEMPT_COUNT, r->tries))
		return false;
	ex->out_head = px_write_head(&ex->arena, &ex->req);
	return ex->out_head.p;
}

/* A try's time begins when it has a connection and the whole request is there. */
void px_retry_time(struct px_exch *ex)
{
	struct px_retry *r = ex->retry;

	if (!r->per_try || !ex->req_complete)
		return;
	r->try_until = px_now(ex->proxy) + r->per_try;
	px_down_arm(ex->down);
}

bool px_retry_was_tried(const struct px_exch *ex, const struct tg_endpoint *e)
{
	for (uint32_t i = 0; i < ex->retry->n_tried; i++)
		if (tg_sockaddr_eq(&ex->retry->tried[i], &e->addr))
			return true;
	return false;
}

static void give_lease(struct px_exch *ex)
{
	struct px_retry *r = ex->retry;

	if (r->breaker)
		tg_breaker_give(r->breaker, ex->priority, TG_RES_RETRY);
	r->breaker = NULL;
}

void px_retry_end(struct px_exch *ex)
{
	struct px_retry *r = ex->retry;

	give_lease(ex);
	r->try_until = r->again_at = UINT64_MAX;
	if (tg_unlikely(r->n_slow))
		px_hedge_end(ex);
}

/* ex would be tried again: may it? Counts why not. */
static bool allowed(struct px_exch *ex)
{
	struct tg_cluster_stats *cs = ex->ep->stats;
	struct px_retry *r = ex->retry;

	if (!r->left) {
		ex->flags |= TG_FLAG(URX);
		cs->upstream_rq_retry_limit_exceeded++;
		return false;
	}
	if (ex->req_pump.taken && !ex->req_pump.replay) {
		px_retry_abandon(ex);
		return false;
	}
	if (ex->interim_pending)
		return false;
	give_lease(ex); /* the last one's */
	if (!tg_breaker_take_retry(ex->ep->breaker, ex->priority)) {
		ex->flags |= TG_FLAG(UO);
		cs->upstream_rq_retry_overflow++;
		return false;
	}
	r->breaker = ex->ep->breaker;
	return true;
}

/* wait: ns; 0: as the policy says. */
static void schedule(struct px_exch *ex, uint64_t wait)
{
	const uint64_t base = 25 * TG_MS;
	const struct tg_retry_policy *p = ex->retry->policy;
	struct px_retry *r = ex->retry;

	r->left--;
	r->n++;
	ex->ep->stats->upstream_rq_retry++;
	ex->transport = TG_WHY_none;
	ex->resp_head = (struct px_head){0};
	ex->resp_head_at = 0;
	ex->interims = 0;
	ex->state = PX_EX_BACKOFF;
	r->try_until = UINT64_MAX;
	if (!wait)
		wait = tg_retry_backoff(p ? p->backoff_base : base, p ? p->backoff_max : 10 * base,
			r->n, &ex->proxy->rng);
	r->again_at = px_now(ex->proxy) + wait;
	px_down_arm(ex->down);
}

bool px_retry_failure(struct px_exch *ex, enum tg_retry_failure f)
{
	uint32_t flags = ex->flags;

	if (tg_likely(!ex->retry) || ex->state >= PX_EX_RESPONSE)
		return false;
	if (tg_retry_by_failure(ex->retry->on, f) && allowed(ex)) {
		px_exch_drop_upstream(ex, TG_WHY_conn_aborted);
		schedule(ex, 0);
		return true;
	}
	if (tg_likely(!px_hedge_goes_on(ex)))
		return false;
	ex->flags = flags; /* another one's failure is to be told, if any */
	return true;
}

/* What came is thrown away. Where it is all there, the connection can be used again. */
static void discard(struct px_exch *ex, const struct tg_msg *m, uint32_t head_len)
{
	uint64_t whole = head_len + (m->body == TG_BODY_LENGTH ? m->content_length : 0), have = 0;
	bool bounded = m->body == TG_BODY_NONE || m->body == TG_BODY_LENGTH;
	struct px_up *u = ex->up;
	struct tg_view v[16];
	uint32_t cnt = tg_conn_peek(u->conn, v, TG_ARRAY_LEN(v));

	for (uint32_t i = 0; i < cnt; i++)
		have += v[i].n;
	if (!bounded || have != whole || !ex->req_done || !m->keep_alive || u->eof || u->failed) {
		px_exch_drop_upstream(ex, TG_WHY_conn_aborted);
		return;
	}
	tg_conn_consume(u->conn, (uint32_t)whole);
	px_up_release(u, PX_RELEASE_REUSE);
}

bool px_retry_response(struct px_exch *ex, const struct tg_msg *m, uint32_t head_len)
{
	struct tg_proxy *p = ex->proxy;
	struct px_retry *r = ex->retry;
	uint32_t flags = ex->flags;
	uint64_t wait = 0;
	bool again;

	if (!tg_retry_by_response(r->on, r->policy, r->asked, m)) {
		ex->ep->stats->upstream_rq_retry_success += r->n > 0;
		return false;
	}
	again = allowed(ex);
	if (!again && !r->n_slow)
		return false;
	px_response_count(ex, m->status);
	ex->ep->view.rq_error++;
	if (again && r->policy && r->policy->n_resets)
		wait = tg_retry_reset_wait(
			r->policy, m, px_now(p) + p->conf.realtime_offset, &p->rng);
	discard(ex, m, head_len);
	if (again) {
		schedule(ex, wait);
	} else { /* a better one may come */
		px_hedge_goes_on(ex);
		ex->flags = flags;
	}
	return true;
}

/* It goes on, and another one begins if that is allowed; with the leases of both. */
static void hedge(struct px_exch *ex)
{
	struct px_retry *r = ex->retry;
	struct tg_breaker *held = r->breaker;
	uint32_t flags = ex->flags;

	r->breaker = NULL;
	if (allowed(ex)) {
		struct tg_breaker *next = r->breaker;

		r->breaker = held;
		px_hedge_park(ex);
		r->breaker = next;
		schedule(ex, 0);
	} else {
		r->breaker = held;
		ex->flags = flags;
	}
}

uint64_t px_retry_idle_limit(const struct px_exch *ex)
{
	const struct px_retry *r = ex->retry;

	if (!r->per_try_idle || !ex->up || ex->resp_done ||
		(ex->state != PX_EX_UPSTREAM && ex->state != PX_EX_RESPONSE))
		return UINT64_MAX;
	/* What has come and is not passed on: it is the client that idles. */
	if (ex->state == PX_EX_RESPONSE && tg_conn_peek(ex->up->conn, &(struct tg_view){0}, 1))
		return px_now(ex->proxy) + r->per_try_idle;
	return ex->last_activity + r->per_try_idle;
}

static void idled(struct px_exch *ex)
{
	ex->ep->stats->upstream_rq_per_try_idle_timeout++;
	ex->ep->view.rq_error++;
	if (px_retry_failure(ex, TG_RETRY_TOO_SLOW))
		return;
	if (ex->state < PX_EX_RESPONSE)
		px_reply(ex, PX_REPLY_TRY_IDLE_TIMEOUT);
	else
		px_exch_cut(
			ex, TG_WHY_req_cut_timeout, TG_FLAG(UT), "upstream_per_try_idle_timeout");
}

void px_retry_deadline(struct px_exch *ex, uint64_t now)
{
	if (ex->state == PX_EX_BACKOFF) {
		ex->retry->again_at = UINT64_MAX;
		px_up_request(ex);
		return;
	}
	if (now < ex->retry->try_until) {
		idled(ex);
		return;
	}
	ex->retry->try_until = UINT64_MAX;
	ex->ep->stats->upstream_rq_per_try_timeout++;
	ex->ep->view.rq_error++;
	if (ex->cluster->outlier)
		px_outlier_failure(ex, true);
	if (px_hedge_can(ex)) {
		hedge(ex);
		return;
	}
	if (!px_retry_failure(ex, TG_RETRY_TOO_SLOW))
		px_reply(ex, PX_REPLY_TRY_TIMEOUT);
}
