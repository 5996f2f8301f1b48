/* hedge.c: tries that met their per_try_timeout and go on beside the next one
 * (hedge_on_per_try_timeout).
 *
 *	ex->up  ===try 2===> origin      the newest try: as without hedging
 *	slow[0] ===try 1===> origin      all of the request is written; only its answer is waited
 *for
 *
 * The first good answer wins: its try becomes ex->up, and the others are reset. What fails of
 * several drops out; the last one's failure is the request's. Each holds its leases of the breakers
 * until it ends.
 */
#include "internal.h"

static void give_lease(struct px_exch *ex, struct px_slow_try *s)
{
	if (s->breaker)
		tg_breaker_give(s->breaker, ex->priority, TG_RES_RETRY);
	s->breaker = NULL;
}

static struct px_slow_try *of_up(const struct px_up *u)
{
	struct px_retry *r = u->ex->retry;

	for (uint32_t i = 0; i < r->n_slow; i++)
		if (r->slow[i].up == u)
			return &r->slow[i];
	return NULL;
}

static void take_out(struct px_retry *r, struct px_slow_try *s)
{
	*s = r->slow[--r->n_slow];
}

static void drop(struct px_exch *ex, struct px_slow_try *s, enum tg_why why)
{
	struct px_up *u = s->up;

	give_lease(ex, s);
	take_out(ex->retry, s);
	px_up_abort(u, why);
}

void px_hedge_end(struct px_exch *ex)
{
	struct px_retry *r = ex->retry;

	while (r->n_slow)
		drop(ex, &r->slow[r->n_slow - 1], TG_WHY_conn_aborted);
}

bool px_hedge_can(const struct px_exch *ex)
{
	const struct px_retry *r = ex->retry;

	return r->hedge && ex->state == PX_EX_UPSTREAM && ex->up && ex->req_done &&
	       r->n_slow < TG_ARRAY_LEN(r->slow);
}

void px_hedge_park(struct px_exch *ex)
{
	struct px_retry *r = ex->retry;

	r->slow[r->n_slow++] =
		(struct px_slow_try){.up = ex->up, .breaker = r->breaker, .sent = ex->sent};
	r->breaker = NULL;
	ex->up->parked = true;
	ex->up = NULL;
	ex->ep->stats->upstream_rq_hedged++;
}

bool px_hedge_goes_on(struct px_exch *ex)
{
	struct px_retry *r = ex->retry;

	if (!r || !r->n_slow || ex->state >= PX_EX_RESPONSE)
		return false;
	px_exch_drop_upstream(ex, TG_WHY_conn_aborted);
	ex->state = PX_EX_BACKOFF;
	r->try_until = r->again_at = UINT64_MAX;
	return true;
}

/* Nothing else is on its way, and nothing will be. */
static bool is_last(const struct px_exch *ex)
{
	return ex->retry->n_slow == 1 && ex->state == PX_EX_BACKOFF &&
	       ex->retry->again_at == UINT64_MAX;
}

static void lost(struct px_exch *ex, struct px_slow_try *s, bool broken)
{
	struct px_up *u = s->up;
	bool last = is_last(ex);
	enum px_reply r = broken      ? PX_REPLY_UPSTREAM_BAD
			  : u->failed ? PX_REPLY_UPSTREAM_RESET
				      : PX_REPLY_UPSTREAM_CLOSED;

	u->ep->view.rq_error++;
	drop(ex, s, TG_WHY_conn_peer_gone);
	if (last)
		px_reply(ex, r);
}

/* It becomes the request's only try, whose answer is read as any. */
static void win(struct px_exch *ex, struct px_slow_try *s)
{
	struct px_slow_try won = *s;

	take_out(ex->retry, s);
	px_exch_drop_upstream(ex, TG_WHY_conn_aborted);
	px_hedge_end(ex);
	px_retry_end(ex);
	won.up->ep->refs++;
	if (ex->ep)
		px_endpoint_put(ex->ep);
	ex->ep = won.up->ep;
	ex->ep->stats->upstream_rq_hedge_won++;
	ex->up = won.up;
	ex->up->parked = false;
	ex->sent = won.sent;
	ex->retry->breaker = won.breaker;
	ex->req_done = true;
	ex->resp_head = (struct px_head){0};
	ex->interims = 0;
	ex->state = PX_EX_UPSTREAM;
}

enum found { NOTHING_YET, INTERIM, BAD_ANSWER, BROKEN, GOOD_ANSWER };

static enum found look_for_answer(struct px_exch *ex, struct px_slow_try *s)
{
	static const struct tg_h1_limits limits = TG_PX_RESPONSE_LIMITS;
	const struct px_retry *r = ex->retry;
	const uint8_t *base = NULL;
	struct tg_msg m;
	int32_t n;

	if (!tg_conn_peek(s->up->conn, &(struct tg_view){0}, 1))
		return NOTHING_YET;
	n = px_head_parse(ex, &s->head, s->up->conn, &limits, ex->req.method, &m, &base);
	if (n <= 0)
		return n ? BROKEN : NOTHING_YET;
	if (m.status < 200 && m.status != 101) {
		/* Those of the newest try are passed on; these would come twice. */
		tg_conn_consume(s->up->conn, (uint32_t)n);
		s->head = (struct px_head){0};
		return ++s->interims > TG_PX_INTERIM_MAX ? BROKEN : INTERIM;
	}
	if (!is_last(ex) && tg_retry_by_response(r->on, r->policy, r->asked, &m)) {
		s->up->ep->stats->upstream_rq_5xx += m.status >= 500;
		return BAD_ANSWER;
	}
	return GOOD_ANSWER;
}

void px_hedge_event(struct px_up *u)
{
	struct px_exch *ex = u->ex;
	struct px_slow_try *s = of_up(u);
	struct px_down *d = ex->down;
	enum found found;

	do {
		found = look_for_answer(ex, s);
	} while (found == INTERIM);
	if (found == NOTHING_YET && !u->eof && !u->failed)
		return;
	if (found == GOOD_ANSWER)
		win(ex, s);
	else
		lost(ex, s, found == BROKEN);
	if (d->used)
		px_down_run(d);
}
