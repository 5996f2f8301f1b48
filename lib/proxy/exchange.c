/* exchange.c: the life of a request, from its first byte to its log record. */
#include "internal.h"

static void log_text(struct tg_log_text *t, const struct tg_msg *m, enum tg_field_id id)
{
	const struct tg_field *f = tg_msg_find(m, id);

	tg_log_text_set(t, f ? f->value : TG_VIEW_NONE);
}

static void log_exchange(struct px_exch *ex)
{
	struct tg_proxy *p = ex->proxy;
	struct tg_log_record *r;
	struct tg_conn_info info;
	uint64_t now = px_now(p);

	if (!p->conf.log || ex->down->shadow)
		return;
	r = tg_log_reserve(p->conf.log);
	if (!r) {
		p->stats->log_dropped++;
		return;
	}
	memset(r, 0, offsetof(struct tg_log_record, method));
	tg_conn_info(ex->down->conn, &info);
	r->start_ns = ex->start + p->conf.realtime_offset;
	r->duration_ns = now - ex->start;
	r->bytes_received = ex->req_pump.content;
	r->bytes_sent = ex->resp_pump.content;
	r->upstream_ns = ex->resp_head_at && ex->sent ? (int64_t)(ex->resp_head_at - ex->sent) : -1;
	r->flags = ex->flags;
	r->status = ex->status;
	r->version_minor = ex->req_ready ? ex->req.version_minor : 1; /* refused: as Envoy */
	r->details = ex->details ? ex->details : "via_upstream";
	r->transport = (uint8_t)ex->transport;
	tg_log_filter_details_set(r, ex->filter_details);
	tg_log_peer_uri_set(r, px_peer_uri(ex->down->conn));
	r->downstream = info.remote;
	r->local = info.local;
	if (ex->ep)
		r->upstream = ex->ep->addr;
	tg_log_text_set(&r->method, ex->req.method_name);
	tg_log_text_set(&r->authority, ex->req.authority);
	log_text(&r->user_agent, &ex->req, TG_FIELD_USER_AGENT);
	tg_log_text_set(&r->xff, ex->xff);
	tg_log_text_set(&r->request_id, ex->request_id);
	tg_log_text_set(&r->route, ex->route ? tg_view_str(ex->route->name) : TG_VIEW_NONE);
	tg_log_text_set(&r->cluster, ex->cluster ? tg_view_str(ex->cluster->name) : TG_VIEW_NONE);
	tg_log_text_set(&r->listener, tg_view_str(ex->lc->name));
	r->path_n = (uint16_t)(ex->target.n < TG_LOG_PATH_MAX ? ex->target.n : TG_LOG_PATH_MAX);
	if (r->path_n)
		memcpy(r->path, ex->target.p, r->path_n);
	tg_log_commit(p->conf.log);
	p->stats->log_records++;
}

static void count_end(struct px_exch *ex)
{
	struct tg_listener_stats *ls = ex->down->ln->stats;

	ls->downstream_rq_completed++;
	ls->downstream_rq_active--;
	if (ex->state == PX_EX_TUNNEL)
		ls->downstream_cx_upgrades_active--;
	ls->downstream_cx_rx_bytes_total += ex->head_bytes + ex->req_pump.taken;
	ls->downstream_cx_tx_bytes_total += ex->answer_bytes + ex->resp_pump.content;
	if (ex->cluster && tg_likely(!ex->proxy->dry)) { /* a dry run's statistics are a worker's */
		struct tg_cluster_stats *cs = &ex->cluster->stats[ex->proxy->conf.worker];

		cs->upstream_cx_tx_bytes_total += ex->out_head.n + ex->req_pump.content;
		cs->upstream_cx_rx_bytes_total += ex->resp_pump.taken;
		cs->upstream_rq_completed += ex->status && !ex->why;
	}
	switch (ex->status / 100) {
	case 1:
		ls->downstream_rq_1xx++;
		break;
	case 2:
		ls->downstream_rq_2xx++;
		break;
	case 3:
		ls->downstream_rq_3xx++;
		break;
	case 4:
		ls->downstream_rq_4xx++;
		break;
	case 5:
		ls->downstream_rq_5xx++;
		break;
	}
	ex->proxy->stats->http_exchanges--;
	if (tg_unlikely(ex->down->shadow)) /* nobody's request */
		return;
	if (ex->why != TG_WHY_none)
		px_why(ex->proxy, ex->why);
	tg_hist_record(&ex->proxy->stats->rq_duration, px_now(ex->proxy) - ex->start);
}

/* Who begins many requests and ends none ("slowloris") does not keep others out: the oldest head
 * that has been incomplete for a while goes. True: there is an exchange again. */
static bool shed_slow_head(struct tg_proxy *p)
{
	struct px_exch *ex = TG_CONTAINER(p->heads.next, struct px_exch, link);
	struct px_down *d;

	if (tg_list_empty(&p->heads) || px_now(p) - ex->start < TG_PX_SLOW_HEAD)
		return false;
	d = ex->down;
	px_why(p, TG_WHY_conn_shed);
	px_reply(ex, PX_REPLY_HEADERS_TIMEOUT);
	px_down_run(d);
	return p->exchs.in_use < p->exchs.count;
}

/* Without an exchange nobody can read the request; it is refused unread. */
static void refuse_unread(struct px_down *d)
{
	struct tg_proxy *p = d->ln->proxy;

	px_why(p, TG_WHY_req_no_memory);
	d->ln->stats->downstream_cx_overflow++;
	if (tg_conn_space(d->conn) < px_overloaded.n) {
		px_down_abort(d, TG_WHY_conn_no_memory);
		return;
	}
	tg_conn_write(d->conn, &px_overloaded, 1);
	px_down_linger(d);
}

struct px_exch *px_exch_begin(struct px_down *d)
{
	struct tg_proxy *p = d->ln->proxy;
	struct px_exch *ex;

	if (tg_unlikely(px_shortage(p) & TG_SHORT_BADLY)) {
		refuse_unread(d);
		return NULL;
	}
	ex = tg_pool_take(&p->exchs);
	if (!ex && shed_slow_head(p))
		ex = tg_pool_take(&p->exchs);
	if (!ex) {
		refuse_unread(d);
		return NULL;
	}
	memset(ex, 0, sizeof(*ex));
	ex->used = true;
	ex->proxy = p;
	ex->down = d;
	ex->lc = d->ln->conf;
	ex->snap = d->ln->pinned ? d->ln->pinned : p->snap;
	px_pin(p, ex->snap);
	tg_list_push(&p->heads, &ex->link);
	tg_arena_init(&ex->arena, &p->arenas, TG_PX_EXCHANGE_BYTES);
	ex->start = ex->last_activity = px_now(p);
	ex->wake_at = UINT64_MAX;
	p->stats->http_exchanges++;
	d->ln->stats->downstream_rq_total++;
	d->ln->stats->downstream_rq_active++;
	d->ex = ex;
	if (tg_unlikely(ex->lc->max_requests_per_connection != 0) &&
		++d->requests == ex->lc->max_requests_per_connection) {
		d->close_soon = true;
		d->ln->stats->downstream_cx_max_requests_reached++;
	}
	px_down_set(d, PX_DOWN_BUSY);
	px_down_arm(d);
	return ex;
}

void px_exch_end(struct px_exch *ex)
{
	struct tg_proxy *p = ex->proxy;

	if (tg_unlikely(ex->down->shadow))
		px_shadow_leave(ex->down);
	px_exch_drop_upstream(ex, TG_WHY_conn_aborted);
	if (ex->retry)
		px_retry_end(ex);
	if (tg_unlikely(ex->shadows != NULL))
		px_shadows_end(ex);
	if (ex->fx)
		px_filters_end(ex);
	log_exchange(ex);
	count_end(ex);
	if (ex->ep)
		px_endpoint_put(ex->ep);
	ex->down->ex = NULL;
	tg_list_del(&ex->link);
	tg_timer_stop(p->wheel, &ex->timer);
	tg_arena_reset(&ex->arena);
	px_unpin(p, ex->snap);
	ex->used = false;
	tg_pool_put(&p->exchs, ex);
}

void px_exch_drop_upstream(struct px_exch *ex, enum tg_why why)
{
	if (ex->state == PX_EX_WAIT)
		px_up_leave_queue(ex);
	if (ex->up)
		px_up_abort(ex->up, why);
}

void px_exch_downstream_gone(struct px_exch *ex)
{
	if (!ex->resp_done) {
		ex->flags |= TG_FLAG(DC);
		ex->why = TG_WHY_req_downstream_gone;
		ex->details = "downstream_remote_disconnect";
		ex->down->ln->stats->downstream_rq_rx_reset++;
	}
	px_exch_end(ex);
}

void px_exch_cut(struct px_exch *ex, enum tg_why why, uint32_t flag, const char *details)
{
	struct px_down *d = ex->down;

	ex->flags |= flag;
	ex->why = why;
	ex->details = details;
	px_exch_end(ex);
	/* The client must see that the response is not whole, whatever its framing: a reset. */
	px_down_abort(d, TG_WHY_conn_peer_gone);
}

static void finished(struct px_exch *ex)
{
	struct px_down *d = ex->down;
	bool again =
		!d->close_soon && ex->req.keep_alive && ex->req_done && !d->ln->proxy->draining;

	if (again && d->ln->pinned)
		again = false; /* its listener is gone */
	px_exch_end(ex);
	if (!again) {
		if (d->ln->proxy->draining || d->ln->pinned)
			d->ln->stats->downstream_cx_drain_close++;
		px_down_linger(d);
		return;
	}
	px_down_set(d, PX_DOWN_IDLE);
	px_down_arm(d);
}

static uint64_t at(uint64_t from, uint64_t timeout)
{
	return from && timeout ? from + timeout : UINT64_MAX;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t idle_limit(const struct px_exch *ex)
{
	if (ex->route && ex->route->idle_timeout != UINT64_MAX)
		return ex->route->idle_timeout;
	return ex->lc->stream_idle_timeout;
}

/* A tunnel may go on for ever, so it ends when what authenticated one of its two sides does. */
static uint64_t tunnel_expires(const struct px_exch *ex)
{
	uint64_t down = tg_tls_expires(ex->down->conn);

	return ex->up ? earlier(down, tg_tls_expires(ex->up->conn)) : down;
}

static void end_expired_tunnel(struct px_exch *ex)
{
	struct px_down *d = ex->down;
	bool down = px_now(ex->proxy) >= tg_tls_expires(d->conn);
	enum tg_why why = tg_tls_expires_why(down ? d->conn : ex->up->conn);

	/* Counted once, with the side whose certificate it was. */
	ex->details = "tls_certificate_expired";
	if (!down)
		px_up_abort(ex->up, why);
	px_exch_end(ex);
	px_down_abort(d, down ? why : TG_WHY_conn_peer_gone);
}

/* When the route's timeout is over. Only what has come to the router has one. */
static uint64_t route_limit(const struct px_exch *ex)
{
	if (!ex->cluster || ex->state == PX_EX_LOCAL || ex->state == PX_EX_TUNNEL)
		return UINT64_MAX;
	return at(ex->req_complete, ex->timeout);
}

/* When a try has taken too long, or the next one begins. */
static uint64_t try_limit(const struct px_exch *ex)
{
	if (tg_likely(!ex->retry))
		return UINT64_MAX;
	if (ex->state == PX_EX_BACKOFF)
		return ex->retry->again_at;
	return earlier(px_retry_idle_limit(ex),
		ex->state < PX_EX_RESPONSE ? ex->retry->try_until : UINT64_MAX);
}

uint64_t px_exch_next_deadline(const struct px_exch *ex)
{
	uint64_t due = earlier(at(ex->last_activity, idle_limit(ex)), ex->wake_at);

	due = earlier(due, at(ex->start, ex->lc->max_stream_duration));
	if (ex->state == PX_EX_TUNNEL)
		return earlier(due, tunnel_expires(ex));
	if (!ex->req_ready)
		due = earlier(due, at(ex->start, ex->lc->request_headers_timeout));
	if (!ex->req_complete)
		due = earlier(due, at(ex->start, ex->lc->request_timeout));
	else
		due = earlier(due, route_limit(ex));
	return earlier(due, try_limit(ex));
}

static void timed_out(struct px_exch *ex, enum px_reply reply, enum tg_why cut, uint32_t flag,
	const char *details)
{
	if (ex->state < PX_EX_RESPONSE)
		px_reply(ex, reply);
	else
		px_exch_cut(ex, cut, flag, details);
}

/* Empty lines have come, and no more: nobody has asked anything. */
static bool nothing_asked(const struct px_exch *ex)
{
	return !ex->req_ready && ex->req_head.have <= ex->req_head.scan.start;
}

/* The lines are read: a close with bytes unread is a reset, which costs the client the answers that
 * are on their way. */
static void end_unasked(struct px_exch *ex)
{
	struct px_down *d = ex->down;

	px_exch_end(ex);
	px_down_linger(d);
}

void px_exch_deadline(struct px_exch *ex, uint64_t now)
{
	struct tg_listener_stats *ls = ex->down->ln->stats;

	if (ex->state == PX_EX_TUNNEL && now >= tunnel_expires(ex)) {
		end_expired_tunnel(ex);
		return;
	}
	if (now >= ex->wake_at) { /* what comes next is the filters' to say; see on_exch_timer() */
		ex->wake_at = UINT64_MAX;
		ex->waiting = false;
		return;
	}
	if (now >= at(ex->start, ex->lc->max_stream_duration)) {
		ls->downstream_rq_max_duration_reached++;
		timed_out(ex, PX_REPLY_MAX_DURATION, TG_WHY_req_cut_timeout, TG_FLAG(DT),
			"max_duration_timeout");
		return;
	}
	/* A 408 could be taken for the answer to what the client is about to ask. */
	if (ex->state == PX_EX_HEAD && nothing_asked(ex)) {
		px_why(ex->proxy, TG_WHY_conn_idle);
		ls->downstream_cx_idle_timeout++;
		end_unasked(ex);
	} else if (!ex->req_ready && now >= at(ex->start, ex->lc->request_headers_timeout)) {
		ls->downstream_rq_timeout++;
		px_reply(ex, PX_REPLY_HEADERS_TIMEOUT);
	} else if (!ex->req_complete && now >= at(ex->start, ex->lc->request_timeout)) {
		ls->downstream_rq_timeout++;
		timed_out(
			ex, PX_REPLY_TIMEOUT, TG_WHY_req_cut_timeout, 0, "request_overall_timeout");
	} else if (ex->req_complete && now >= route_limit(ex)) {
		ex->cluster->stats[ex->proxy->conf.worker].upstream_rq_timeout++;
		if (ex->cluster->outlier && ex->up)
			px_outlier_failure(ex, true);
		timed_out(ex, PX_REPLY_UPSTREAM_TIMEOUT, TG_WHY_req_cut_timeout, TG_FLAG(UT),
			"response_timeout");
	} else if (now >= try_limit(ex)) {
		px_retry_deadline(ex, now);
	} else {
		ls->downstream_rq_idle_timeout++;
		timed_out(ex, PX_REPLY_IDLE_TIMEOUT, TG_WHY_req_cut_timeout, TG_FLAG(SI),
			"stream_idle_timeout");
	}
}

/* --- progress ------------------------------------------------------------------------------ */

static void run_head(struct px_exch *ex)
{
	struct px_lookup lookup;
	int rc = px_request_read(ex, &lookup);

	if (rc < 0 && ex->req_head.no_memory) {
		px_reply(ex, PX_REPLY_NO_MEMORY);
	} else if (rc < 0) {
		ex->down->ln->stats->downstream_cx_protocol_error++;
		px_reply(ex, PX_REPLY_REFUSED);
	} else if (rc == 0) {
		struct px_down *d = ex->down;

		if (d->eof && nothing_asked(ex)) {
			end_unasked(ex);
		} else if (d->eof) {
			ex->flags |= TG_FLAG(DPE);
			ex->req_head.scan.refusal = TG_H1_BAD_START_LINE;
			px_reply(ex, PX_REPLY_REFUSED);
		} else {
			tg_conn_consume(d->conn, 0);
		}
	} else if (px_request_route(ex, &lookup)) {
		px_up_request(ex);
	}
}

/* A filter has let it go on, perhaps. */
static void run_filter(struct px_exch *ex)
{
	if (!ex->waiting && px_request_pass(ex))
		px_up_request(ex);
}

/* The request's body was malformed or cut: the origin must not take what it has for a whole one. */
static void request_broken(struct px_exch *ex, bool cut)
{
	ex->down->ln->stats->downstream_cx_protocol_error++;
	ex->flags |= TG_FLAG(DPE);
	if (ex->state >= PX_EX_RESPONSE)
		px_exch_cut(ex, TG_WHY_req_malformed, TG_FLAG(DPE), "http1.codec_error");
	else
		px_reply(ex, cut ? PX_REPLY_BODY_CUT : PX_REPLY_BODY_REFUSED);
}

static bool has_mirrors(const struct px_exch *ex)
{
	return ex->route->action && ex->route->action->n_mirrors && !ex->down->shadow;
}

/* False: ex is gone. */
static bool run_request(struct px_exch *ex)
{
	struct px_down *d = ex->down;
	struct px_up *u = ex->up;
	uint64_t before = ex->req_pump.taken;
	enum tg_pump_result r;

	if (ex->req_done || !u || u->state != PX_UP_BUSY || u->failed)
		return true;
	if (tg_unlikely(has_mirrors(ex)) && !ex->shadowed)
		px_shadows_begin(ex);
	if (tg_unlikely(ex->fx != NULL) && !px_filters_body(ex, &ex->req_pump, false))
		return false;
	r = tg_pump_run(&ex->req_pump, d->conn, u->conn);
	if (tg_unlikely(ex->shadows != NULL))
		px_shadows_run(ex);
	if (ex->req_pump.taken != before)
		ex->last_activity = px_now(ex->proxy);
	if (!ex->req_complete && ex->req_pump.in.ended) {
		ex->req_complete = px_now(ex->proxy);
		px_down_arm(d); /* the route timeout begins */
		if (ex->retry)
			px_retry_time(ex);
	}
	if (tg_unlikely(ex->req_pump.gave_up))
		px_retry_abandon(ex);
	switch (r) {
	case TG_PUMP_DONE:
		ex->req_done = true;
		return true;
	case TG_PUMP_BAD:
		request_broken(ex, false);
		return false;
	case TG_PUMP_WAIT_SRC:
		if (!d->eof && ex->state != PX_EX_TUNNEL)
			tg_conn_consume(d->conn, 0);
		if (!d->eof || tg_conn_peek(d->conn, &(struct tg_view){0}, 1))
			return true;
		if (ex->state == PX_EX_TUNNEL) {
			tg_pump_eof(&ex->req_pump);
			tg_conn_finish(u->conn);
			ex->req_done = true;
			return true;
		}
		request_broken(ex, true);
		return false;
	default:
		return true;
	}
}

/* The origin failed or closed; ex->up is still there. False: ex is gone. */
bool px_exch_upstream_lost(struct px_exch *ex, bool reset)
{
	struct px_up *u = ex->up;
	struct tg_cluster_stats *cs = u->ep->stats;
	struct tg_conn_info info;
	bool undelivered;

	tg_conn_info(u->conn, &info);
	undelivered = info.tx_final && info.tx_acked <= u->base;
	ex->transport = u->failed ? px_transport_of(info.why) : TG_WHY_none;
	reset &= !ex->transport; /* its TLS ended it: Envoy calls that a termination */
	cs->upstream_cx_destroy_remote_with_active_rq++;
	if (reset)
		cs->upstream_rq_rx_reset++;
	u->ep->view.rq_error++;
	if (ex->state == PX_EX_UPSTREAM && undelivered && ex->replays < TG_PX_REPLAYS_MAX &&
		(ex->req_pump.replay || !ex->req_pump.taken)) {
		px_up_abort(u, TG_WHY_conn_peer_gone);
		ex->replays++;
		ex->transport = TG_WHY_none;
		cs->upstream_rq_retry++;
		cs->upstream_rq_retry_unacked++;
		px_up_request(ex);
		return ex->used && ex->state != PX_EX_LOCAL;
	}
	if (ex->cluster->outlier)
		px_outlier_failure(ex, false);
	if (px_retry_failure(ex, undelivered ? TG_RETRY_LOST_UNDELIVERED : TG_RETRY_LOST))
		return true;
	if (ex->state == PX_EX_UPSTREAM) {
		px_reply(ex, reset ? PX_REPLY_UPSTREAM_RESET : PX_REPLY_UPSTREAM_CLOSED);
		return false;
	}
	px_exch_cut(ex, TG_WHY_req_cut_upstream, reset ? TG_FLAG(UR) : TG_FLAG(UC),
		reset ? "upstream_reset_after_response_started{remote_reset}"
		      : "upstream_reset_after_response_started{connection_termination}");
	return false;
}

/* The response is complete: what happens to the connection that brought it. */
static void response_done(struct px_exch *ex)
{
	struct px_up *u = ex->up;
	enum px_release how = PX_RELEASE_CLOSE;

	ex->resp_done = true;
	if (!u)
		return;
	if (!ex->req_done)
		how = PX_RELEASE_ABORT; /* half a request is in there */
	else if (ex->resp_keep_alive && !u->eof && !u->failed &&
		 !tg_conn_peek(u->conn, &(struct tg_view){0}, 1))
		/* With bytes behind the response, which answer nothing, it would not be trusted
		 * again. */
		how = PX_RELEASE_REUSE;
	px_up_release(u, how);
}

/* False: ex is gone. */
static bool run_response(struct px_exch *ex)
{
	struct px_down *d = ex->down;
	struct px_up *u = ex->up;
	struct tg_conn *src = u ? u->conn : NULL;
	uint64_t before = ex->resp_pump.taken;
	enum tg_pump_result r;

	if (ex->resp_done) {
		/* A tunnel whose origin is gone ends, though the client could still speak. */
		return !u || !u->failed || px_exch_upstream_lost(ex, true);
	}
	if (tg_unlikely(ex->fx != NULL) && !px_filters_body(ex, &ex->resp_pump, true))
		return false;
	r = tg_pump_run(&ex->resp_pump, src, d->conn);
	if (ex->resp_pump.taken != before)
		ex->last_activity = px_now(ex->proxy);
	switch (r) {
	case TG_PUMP_DONE:
		response_done(ex);
		return true;
	case TG_PUMP_BAD:
		px_exch_cut(ex, TG_WHY_req_cut_upstream, TG_FLAG(UPE), "upstream_protocol_error");
		return false;
	case TG_PUMP_WAIT_SRC:
		if (u && !u->eof && !u->failed && ex->state != PX_EX_TUNNEL)
			tg_conn_consume(src, 0);
		if (!u || (!u->eof && !u->failed) || tg_conn_peek(src, &(struct tg_view){0}, 1))
			return true;
		if (u->failed)
			return px_exch_upstream_lost(ex, true);
		if (!tg_pump_eof(&ex->resp_pump))
			return px_exch_upstream_lost(ex, false);
		if (ex->state == PX_EX_TUNNEL) {
			tg_conn_finish(d->conn);
			ex->resp_done = true;
			return true;
		}
		return run_response(ex); /* now it can be sealed: at most once more */
	default:
		return true;
	}
}

/* An interim response must be out before the next head is read into its place. */
bool px_exch_interim_out(struct px_exch *ex)
{
	struct tg_view *lead = &ex->resp_pump.lead;

	if (lead->n) {
		uint32_t n = tg_conn_write(ex->down->conn, lead, 1);

		lead->p += n;
		lead->n -= n;
	}
	ex->interim_pending = lead->n > 0;
	return !ex->interim_pending;
}

/* Waits for the response head; everything that can happen to an origin meanwhile. */
static void run_upstream(struct px_exch *ex)
{
	if (!run_request(ex))
		return;
	if (ex->interim_pending && !px_exch_interim_out(ex))
		return;
	px_response_read(ex); /* may end ex */
}

static void check_end(struct px_exch *ex)
{
	if (!ex->resp_done)
		return;
	if (ex->state == PX_EX_TUNNEL) {
		struct px_down *d = ex->down;

		if (!ex->req_done)
			return;
		px_exch_end(ex);
		px_down_close(d);
		return;
	}
	finished(ex);
}

void px_exch_run(struct px_exch *ex)
{
	struct px_down *d = ex->down;
	uint32_t before;

	/* Each round ends a state or blocks. */
	do {
		before = ex->state;
		switch (ex->state) {
		case PX_EX_HEAD:
			run_head(ex);
			break;
		case PX_EX_FILTER:
			run_filter(ex);
			break;
		case PX_EX_WAIT:
		case PX_EX_BACKOFF:
			return;
		case PX_EX_UPSTREAM:
			run_upstream(ex);
			break;
		default:
			if (!run_request(ex) || !run_response(ex))
				return;
			check_end(ex);
		}
		/* Any of these may have ended the exchange, and with it perhaps d: then ex is
		 * unused. */
	} while (ex->used && ex->down == d && ex->state != before);
}
