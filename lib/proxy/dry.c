/* dry.c: an exchange that goes as far as the choice of an endpoint, and leaves no trace. */
#include <stdlib.h>

#include <tidegate/dry.h>

#include "internal.h"

struct tg_dry {
	struct tg_dry_conn client;
	struct tg_view unread;
	const struct tg_dry_ask *ask;
	struct tg_proxy *proxy;
	struct tg_snapshot *snap; /* what an exchange needs of ask->snap, and pins of its own */
	struct px_listener listener;
	struct px_down *down;
	struct px_exch *ex;
	struct tg_filter_chain chain; /* asked in the place of the listener's */
	struct tg_filter filters[TG_CHAIN_MAX];
	struct tg_filter_reply cut; /* of a filter that cuts */
	struct tg_wheel wheel;
	struct tg_core_stats stats;
	struct tg_listener_stats listener_stats;
};

/* --- the client --------------------------------------------------------------------------------
 */

static struct tg_dry *dry_of(const struct tg_conn *c)
{
	return (struct tg_dry *)(uintptr_t)c; /* its first member's first */
}

static uint32_t peek(struct tg_conn *c, struct tg_view *v, uint32_t cnt)
{
	struct tg_dry *d = dry_of(c);

	if (!d->unread.n || !cnt)
		return 0;
	v[0] = d->unread;
	return 1;
}

static void consume(struct tg_conn *c, uint32_t n)
{
	struct tg_dry *d = dry_of(c);

	d->unread = tg_view_of(d->unread.p + n, d->unread.n - n);
}

static uint32_t space(const struct tg_conn *c)
{
	return 0; /* what is to be written stays where it can be read */
}

static uint32_t write_none(struct tg_conn *c, const struct tg_view *v, uint32_t cnt)
{
	return 0;
}

static uint32_t fill_none(
	struct tg_conn *c, uint32_t least, uint32_t most, tg_fill_fn *fill, void *ctx)
{
	return 0;
}

static void ignore(struct tg_conn *c)
{
}

static void abort_none(struct tg_conn *c, enum tg_why why)
{
}

static void info(const struct tg_conn *c, struct tg_conn_info *out)
{
	const struct tg_dry_ask *ask = dry_of(c)->ask;

	*out = (struct tg_conn_info){.local = ask->listener->addr, .remote = ask->remote};
}

static int take_fault(struct tg_conn *c, const struct tg_conn_fault *f)
{
	return 0;
}

static const struct tg_conn_ops ops = {
	peek, consume, space, write_none, fill_none, ignore, abort_none, ignore, info, take_fault};

/* --- filters -----------------------------------------------------------------------------------
 */

/* Asks a filter for what it would do: f stands in its place, and has it as conf. */
static enum tg_verdict ask_filter(
	struct tg_dry *d, const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	const struct tg_dry_ask *ask = d->ask;
	const struct tg_filter *real = f->conf;
	struct tg_explain *x = ask->filter(ask->ctx, real);
	enum tg_verdict v = TG_PASS;

	if (real->ops->explain)
		v = real->ops->explain(real, ex, m, x);
	else if (m ? real->ops->on_request != NULL : real->ops->on_conn != NULL)
		x->say(x, "cannot be asked in a dry run: taken to let it pass");
	ask->verdict(ask->ctx, real, v, &ex->reply);
	if (v == TG_RESET)
		d->cut = ex->reply;
	return v;
}

static enum tg_verdict on_request(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	return ask_filter(px_dry_of(ex), f, ex, m);
}

static const struct tg_filter_ops asks = {.name = "dry", .on_request = on_request};

const struct tg_filter_chain *px_dry_chain(struct tg_dry *d, const struct tg_filter_chain *real)
{
	d->chain = (struct tg_filter_chain){
		.n = real->n, .exch_bytes = real->exch_bytes, .filters = d->filters};
	for (uint32_t i = 0; i < real->n; i++) {
		d->filters[i] = real->filters[i];
		d->filters[i].ops = &asks;
		d->filters[i].conf = &real->filters[i];
		d->chain.request.at[d->chain.request.n++] = (uint8_t)i;
	}
	return &d->chain;
}

/* A TCP listener's filters decide over the connection. */
static void ask_connection(struct tg_dry *d, struct tg_dry_result *out)
{
	const struct tg_filter_chain *c = d->ask->listener->filters;
	struct tg_exchange ex = {.now = d->ask->now, .worker = d->ask->worker};

	out->end = TG_DRY_FORWARDED;
	out->cluster = d->ask->listener->cluster ? d->ask->listener->cluster
						 : d->ask->listener->weighted[0].cluster;
	px_client_of(&d->client.conn, &ex.client);
	for (uint32_t i = 0; c && i < c->conn.n; i++) {
		const struct tg_filter *real = &c->filters[c->conn.at[i]];
		struct tg_filter f = *real;

		f.conf = real;
		ex.reply = (struct tg_filter_reply){.why = TG_WHY_conn_denied};
		if (ask_filter(d, &f, &ex, NULL) == TG_PASS)
			continue;
		out->end = TG_DRY_CUT;
		out->why = ex.reply.why;
		out->flags = ex.reply.flags;
		out->details = ex.reply.details;
		return;
	}
}

/* --- the run -----------------------------------------------------------------------------------
 */

void px_dry_routed(struct px_exch *ex)
{
	const struct tg_dry_ask *ask = ex->proxy->dry->ask;

	ask->routed(ask->ctx, ex->vhost, ex->route, &ex->req, &ex->proxy->match);
}

static bool init_proxy(struct tg_dry *d, const struct tg_dry_ask *ask)
{
	struct tg_proxy_conf conf = {.worker = ask->worker,
		.n_workers = ask->n_workers,
		.max_downstream = 1,
		.max_upstream = 1,
		.max_exchanges = 1,
		.wheel = &d->wheel,
		.stats = &d->stats,
		.realtime_offset = ask->realtime_offset,
		.seed = ask->now};
	struct tg_errbuf e;

	tg_wheel_init(&d->wheel, ask->now);
	d->snap = calloc(1, sizeof(*d->snap));
	d->proxy = d->snap ? tg_proxy_create(&conf, &e) : NULL;
	if (!d->proxy)
		return false;
	d->snap->cluster_names = ask->snap->cluster_names;
	d->proxy->snap = d->snap;
	d->proxy->dry = d;
	d->proxy->match.likely = true;
	return true;
}

static void init_client(struct tg_dry *d, const struct tg_dry_ask *ask)
{
	d->client.conn = (struct tg_conn){.ops = &ops, .dry = 1};
	d->client.is_tls = ask->listener->tls != NULL;
	d->client.tls = (struct tg_tls_info){.peer = ask->identity,
		.version = "TLSv1.3",
		.cipher = "TLS_AES_128_GCM_SHA256",
		.sni = ask->sni};
	d->unread = ask->head;
	d->listener = (struct px_listener){
		.conf = ask->listener, .stats = &d->listener_stats, .proxy = d->proxy, .conns = 1};
}

static struct px_exch *begin(struct tg_dry *d)
{
	struct px_down *down = tg_pool_take(&d->proxy->downs);

	memset(down, 0, sizeof(*down));
	down->conn = &d->client.conn;
	down->ln = &d->listener;
	down->used = 1;
	d->client.conn.owner = down;
	d->proxy->n_idle++; /* as it is when it has been accepted */
	d->down = down;
	return px_exch_begin(down);
}

static void tell(const struct px_exch *ex, struct tg_dry_result *out)
{
	const struct px_retry *r = ex->retry;

	out->status = ex->status;
	out->flags = ex->flags;
	out->why = ex->why;
	out->details = ex->filter_details.n ? ex->filter_details
		       : ex->details        ? tg_view_str(ex->details)
					    : TG_VIEW_NONE;
	out->vhost = ex->vhost;
	out->route = ex->route;
	if (ex->state == PX_EX_LOCAL) {
		out->end = TG_DRY_ANSWERED;
		out->answer = ex->resp_pump.lead;
		return;
	}
	out->end = TG_DRY_FORWARDED;
	out->sent = ex->out_head;
	out->cluster = ex->cluster;
	out->timeout = ex->timeout;
	out->per_try_timeout = r ? r->per_try : 0;
	out->retries = r && r->on ? r->left : 0;
	out->retry_on = r ? r->on : 0;
	out->priority = (enum tg_priority)ex->priority;
	out->has_hash = ex->has_hash;
	out->hash = ex->hash;
	out->cookie = ex->cookie;
}

static void run(struct tg_dry *d, struct tg_dry_result *out)
{
	struct px_exch *ex = begin(d);
	struct px_lookup lookup;
	int rc = px_request_read(ex, &lookup);

	d->ex = ex;
	if (rc < 0)
		px_reply(ex, ex->req_head.no_memory ? PX_REPLY_NO_MEMORY : PX_REPLY_REFUSED);
	if (rc == 0 || (rc > 0 && d->unread.n)) {
		out->end = TG_DRY_INCOMPLETE;
		return;
	}
	if (rc > 0)
		px_request_route(ex, &lookup);
	if (ex->used) {
		tell(ex, out);
		return;
	}
	d->ex = NULL;
	out->end = TG_DRY_CUT;
	out->why = d->cut.why;
	out->flags = d->cut.flags;
	out->details = d->cut.details;
}

struct tg_dry *tg_dry_run(const struct tg_dry_ask *ask, struct tg_dry_result *out)
{
	struct tg_dry *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	memset(out, 0, sizeof(*out));
	d->ask = ask;
	if (!init_proxy(d, ask)) {
		tg_dry_end(d);
		return NULL;
	}
	init_client(d, ask);
	if (ask->listener->protocol == TG_PROTOCOL_TCP)
		ask_connection(d, out);
	else
		run(d, out);
	return d;
}

void tg_dry_end(struct tg_dry *d)
{
	if (d->ex) {
		d->ex->cluster = NULL; /* whose statistics are the workers' */
		px_exch_end(d->ex);
	}
	if (d->down && d->down->used)
		px_down_close(d->down);
	if (d->proxy) {
		d->proxy->snap = NULL;
		tg_proxy_destroy(d->proxy);
	}
	free(d->snap);
	free(d);
}
