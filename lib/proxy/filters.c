/* filters.c: where an exchange meets the filters of its listener, virtual host and route. */
#include "internal.h"

/* In the exchange's arena. */
struct px_fx {
	struct px_exch *ex;
	struct tg_exchange pub; /* last: its state follows */
};

void px_client_of(struct tg_conn *c, struct tg_client *out)
{
	struct tg_conn_info info;
	struct tg_tls_info tls;

	tg_conn_info(c, &info);
	memset(out, 0, sizeof(*out));
	out->remote = info.remote;
	out->local = info.local;
	if (!tg_tls_info(c, &tls))
		return;
	out->tls = true;
	out->identity = tls.peer;
	out->sni = tls.sni;
}

/* The listener's, or what stands in its place below it. */
static const struct tg_filter_chain *chain_of(
	const struct tg_listener_conf *lc, const struct tg_route *r)
{
	const struct tg_filter_chain *c = lc->filters;

	if (tg_unlikely(r && r->filters && lc->overrides && lc->overrides[r->filters]))
		c = lc->overrides[r->filters];
	return c && c->n ? c : NULL;
}

struct tg_dry *px_dry_of(struct tg_exchange *fx)
{
	return TG_CONTAINER(fx, struct px_fx, pub)->ex->proxy->dry;
}

static int spoil(struct tg_exchange *fx, const struct tg_conn_fault *f)
{
	return tg_conn_fault(TG_CONTAINER(fx, struct px_fx, pub)->ex->down->conn, f);
}

/* A filter's word that whom it waited for is there. The timer fires in the next turn at latest: the
 * caller may be anywhere, and is not called back from here. */
static void resume(struct tg_exchange *fx)
{
	struct px_exch *ex = TG_CONTAINER(fx, struct px_fx, pub)->ex;

	ex->wake_at = px_now(ex->proxy);
	px_down_arm(ex->down);
}

static bool begin(struct px_exch *ex, const struct tg_filter_chain *c)
{
	struct px_fx *fx = tg_arena_alloc(&ex->arena, (uint32_t)sizeof(*fx) + c->exch_bytes + 16);
	if (!fx)
		return false;
	/* The arena aligns to 8. */
	fx = (struct px_fx *)(((uintptr_t)fx + 15) & ~(uintptr_t)15);
	memset(fx, 0, sizeof(*fx) + c->exch_bytes);
	fx->ex = ex;
	fx->pub.chain = c;
	px_client_of(ex->down->conn, &fx->pub.client);
	fx->pub.arena = &ex->arena;
	fx->pub.route = ex->route ? ex->route->name : NULL;
	fx->pub.cluster = ex->goes_to ? ex->goes_to->name : NULL;
	fx->pub.worker = ex->proxy->conf.worker;
	fx->pub.rng = &ex->proxy->rng;
	fx->pub.resume = resume;
	fx->pub.spoil = spoil;
	ex->fx = &fx->pub;
	return true;
}

bool px_filters_begin(struct px_exch *ex)
{
	const struct tg_filter_chain *c = chain_of(ex->lc, ex->route);
	struct tg_tax *tax = &ex->proxy->stats->tax;
	enum tg_stage before;
	bool ok;

	if (tg_likely(!c))
		return true;
	if (tg_unlikely(ex->proxy->dry != NULL))
		c = px_dry_chain(ex->proxy->dry, c);
	before = tg_tax_enter(tax, TG_STAGE_filters);
	ok = begin(ex, c);
	tg_tax_leave(tax, before);
	return ok;
}

static void wait(struct px_exch *ex, uint64_t until)
{
	if (until < ex->wake_at)
		ex->wake_at = until;
	px_down_arm(ex->down);
}

/* A cut that a filter wants: nothing of it may look like an answer. */
static void cut(struct px_exch *ex)
{
	const struct tg_filter_reply *r = &ex->fx->reply;
	const struct tg_conn_fault end = {
		.truncate = r->cut == TG_CUT_FIN, .alert = r->cut == TG_CUT_ALERT ? r->alert : 0};
	struct px_down *d = ex->down;

	ex->filter_details = r->details;
	if (r->cut == TG_CUT_RESET) {
		px_exch_cut(ex, r->why, r->flags, "filter_reset");
		return;
	}
	/* Who cannot end so is reset: an end that looks orderly would make a whole of what is none.
	 */
	if (tg_conn_fault(d->conn, &end) || r->cut == TG_CUT_ALERT) {
		px_exch_cut(ex, r->why, r->flags, "filter_reset");
		return;
	}
	ex->flags |= r->flags;
	ex->why = r->why;
	ex->details = "filter_reset";
	px_exch_end(ex);
	px_down_linger(d);
}

/* True: go on with the message. */
static bool obey(struct px_exch *ex, enum tg_verdict v)
{
	switch (v) {
	case TG_PASS:
		return true;
	case TG_WAIT:
		ex->waiting = true;
		if (ex->state == PX_EX_HEAD)
			ex->state = PX_EX_FILTER;
		wait(ex, ex->fx->wake_at);
		return false;
	case TG_REPLY:
		px_reply_filter(ex);
		return false;
	default:
		cut(ex);
		return false;
	}
}

/* m: the request, or its response. */
static enum tg_verdict ask(struct px_exch *ex, struct tg_msg *m, bool response)
{
	struct tg_tax *tax = &ex->proxy->stats->tax;
	enum tg_stage before = tg_tax_enter(tax, TG_STAGE_filters);
	enum tg_verdict v;

	ex->fx->now = px_now(ex->proxy);
	v = response ? tg_chain_response(ex->fx, m) : tg_chain_request(ex->fx, m);
	tg_tax_leave(tax, before);
	return v;
}

bool px_filters_request(struct px_exch *ex)
{
	if (!ex->fx)
		return true;
	if (!obey(ex, ask(ex, &ex->req, false)))
		return false;
	/* The route's timeout begins when the request has come to the router. */
	if (ex->state == PX_EX_FILTER && ex->req_complete)
		ex->req_complete = px_now(ex->proxy);
	return true;
}

bool px_filters_response(struct px_exch *ex, struct tg_msg *m)
{
	if (!ex->fx || !ex->fx->chain->response.n)
		return true;
	return obey(ex, ask(ex, m, true));
}

bool px_filters_local(struct px_exch *ex, struct tg_msg *m)
{
	enum tg_verdict v;

	/* The origin's answer has been through them: they have had their say. */
	if (!ex->fx || !ex->fx->chain->response.n || ex->resp_head_at)
		return true;
	ex->fx->local = true;
	v = ask(ex, m, true);
	return v != TG_RESET;
}

bool px_filters_body(struct px_exch *ex, struct tg_pump *pump, bool response)
{
	struct tg_body b = {response, pump->content, UINT64_MAX};
	enum tg_verdict v;

	if (!ex->fx->chain->body.n || ex->state == PX_EX_LOCAL)
		return true;
	ex->fx->now = px_now(ex->proxy);
	v = tg_chain_body(ex->fx, &b);
	if (v == TG_RESET) {
		cut(ex);
		return false;
	}
	if (v == TG_WAIT)
		wait(ex, ex->fx->wake_at);
	pump->limit = b.allow < b.moved ? b.moved : b.allow;
	return true;
}

void px_filters_end(struct px_exch *ex)
{
	struct tg_outcome o = {.status = ex->status,
		.flags = ex->flags |= ex->fx->flags,
		.why = ex->why,
		.request_bytes = ex->req_pump.content,
		.response_bytes = ex->resp_pump.content,
		.duration = px_now(ex->proxy) - ex->start};

	ex->fx->now = px_now(ex->proxy);
	tg_chain_end(ex->fx, &o);
}

bool px_filters_conn(struct px_down *d, struct tg_filter_reply *why)
{
	const struct tg_filter_chain *c = d->ln->conf->filters;
	struct tg_client client;

	if (tg_likely(!c || !c->conn.n))
		return true;
	px_client_of(d->conn, &client);
	return tg_chain_conn(c, &client, d->ln->proxy->conf.worker, why) == TG_PASS;
}
