/* response.c: from the origin's head to the client's. Origins are not trusted. */
#include "internal.h"

void px_response_count(struct px_exch *ex, uint16_t status)
{
	struct tg_cluster_stats *cs = ex->ep->stats;

	switch (status / 100) {
	case 1:
		cs->upstream_rq_1xx++;
		break;
	case 2:
		cs->upstream_rq_2xx++;
		break;
	case 3:
		cs->upstream_rq_3xx++;
		break;
	case 4:
		cs->upstream_rq_4xx++;
		break;
	case 5:
		cs->upstream_rq_5xx++;
		break;
	}
}

/* 100 goes on only to a client that waits for it; the others to any client that can know them
 * (RFC 9110 section 15.2). */
static bool interim(struct px_exch *ex, struct tg_msg *m, uint32_t head_len)
{
	bool wanted = ex->req.version_minor >= 1 && (m->status != 100 || ex->req.expect_continue);

	px_response_count(ex, m->status);
	if (++ex->interims > TG_PX_INTERIM_MAX || !tg_msg_remove_hop_by_hop(m))
		return false;
	if (wanted) {
		ex->resp_pump.lead = px_write_head(&ex->arena, m);
		if (!ex->resp_pump.lead.p)
			return false;
		ex->interim_pending = true;
	}
	tg_conn_consume(ex->up->conn, head_len);
	ex->resp_head = (struct px_head){0};
	return true;
}

/* How the client gets the content that comes as m->body. */
static enum tg_body_kind out_kind(const struct px_exch *ex, const struct tg_msg *m)
{
	if (m->body == TG_BODY_NONE || m->body == TG_BODY_LENGTH || m->body == TG_BODY_TUNNEL)
		return m->body;
	return ex->req.version_minor >= 1 ? TG_BODY_CHUNKED : TG_BODY_UNTIL_CLOSE;
}

static bool set_fields(struct px_exch *ex, struct tg_msg *m)
{
	struct tg_proxy *p = ex->proxy;

	tg_msg_remove(m, TG_FIELD_SERVER);
	if (tg_msg_add(m, TG_FIELD_SERVER, TG_VIEW("server"), tg_view_str(ex->lc->server_name)))
		return false;
	return tg_msg_find(m, TG_FIELD_DATE) ||
	       tg_msg_add(m, TG_FIELD_DATE, TG_VIEW("date"), px_text_date(p)) == 0;
}

bool px_set_attempts(struct px_exch *ex, struct tg_msg *m)
{
	uint8_t *text;

	if (tg_likely(!(ex->route->attempt_count & TG_ATTEMPT_COUNT_RESPONSE)))
		return true;
	text = tg_arena_alloc(&ex->arena, 20);
	tg_msg_remove(m, TG_FIELD_X_ENVOY_ATTEMPT_COUNT);
	return text &&
	       tg_msg_add(m, TG_FIELD_X_ENVOY_ATTEMPT_COUNT,
		       tg_field_name(TG_FIELD_X_ENVOY_ATTEMPT_COUNT),
		       tg_view_of(text, px_text_u64(ex->retry ? ex->retry->tries : 1, text))) == 0;
}

static bool set_service_time(struct px_exch *ex, struct tg_msg *m, uint8_t *scratch)
{
	uint64_t ms = (ex->resp_head_at - ex->sent) / TG_MS;

	tg_msg_remove(m, TG_FIELD_X_ENVOY_UPSTREAM_SERVICE_TIME);
	return tg_msg_add(m, TG_FIELD_X_ENVOY_UPSTREAM_SERVICE_TIME,
		       tg_field_name(TG_FIELD_X_ENVOY_UPSTREAM_SERVICE_TIME),
		       tg_view_of(scratch, px_text_u64(ms, scratch))) == 0;
}

static bool frame(struct px_exch *ex, struct tg_msg *m, enum tg_body_kind out,
	struct tg_view upgrade, uint8_t *scratch)
{
	struct px_down *d = ex->down;
	enum tg_body_kind kind = out;
	bool close;

	/* Responses to HEAD, and 304, tell a length without content. */
	if (out == TG_BODY_NONE && m->has_content_length)
		kind = TG_BODY_LENGTH;
	if (out == TG_BODY_UNTIL_CLOSE)
		d->close_soon = true;
	/* An answer instead of 100 (Continue): whether content will follow it, nobody knows. */
	if (ex->req.expect_continue && !ex->req_pump.in.ended && !ex->req_pump.taken)
		d->close_soon = true;
	if (tg_unlikely(ex->proxy->overload) && !upgrade.n && ex->req.keep_alive)
		px_overload_keepalive(d);
	close = d->close_soon || !ex->req.keep_alive || ex->proxy->draining || d->ln->pinned;
	if (upgrade.n && tg_msg_add(m, TG_FIELD_UPGRADE, TG_VIEW("upgrade"), upgrade))
		return false;
	if (tg_h1_frame(m, kind, m->content_length, close && !upgrade.n, upgrade.n > 0, scratch))
		return false;
	d->close_soon |= close;
	if (!close && ex->req.version_minor == 0)
		return tg_msg_add(m, TG_FIELD_CONNECTION, TG_VIEW("connection"),
			       TG_VIEW("keep-alive")) == 0;
	return true;
}

/* Ending other tries makes room for requests that wait, and whoever is run then may parse another
 * head into the fields that all exchanges of a worker share. */
static bool keep_fields(struct px_exch *ex, struct tg_msg *m)
{
	uint16_t cap = (uint16_t)(m->n_fields + TG_PX_FIELDS_ADDED);
	struct tg_field *fields = tg_arena_alloc(&ex->arena, cap * (uint32_t)sizeof(*fields));

	if (!fields)
		return false;
	memcpy(fields, m->fields, m->n_fields * sizeof(*fields));
	m->fields = fields;
	m->field_cap = cap;
	return true;
}

/* Writes the final head and sets the pump up. -1: that, or the filters have taken over; else the
 * reply to give instead. */
static int begin(struct px_exch *ex, struct tg_msg *m, uint32_t head_len)
{
	enum tg_body_kind in = m->body, out = out_kind(ex, m);
	const struct tg_field *up = tg_msg_find(m, TG_FIELD_UPGRADE);
	struct tg_view upgrade = m->status == 101 && up ? up->value : TG_VIEW_NONE;
	uint8_t *scratch = tg_arena_alloc(&ex->arena, 48), *trailers = NULL;
	uint64_t length = m->content_length;
	struct tg_view lead;

	tg_conn_tx_soon(ex->down->conn);
	if (tg_unlikely(ex->cluster->outlier != NULL))
		px_outlier_answer(ex, m->status);
	if (tg_unlikely(ex->cluster->check != NULL))
		px_check_answer(ex, m);
	if (tg_unlikely(ex->retry != NULL)) {
		if (px_retry_response(ex, m, head_len))
			return -1;
		if (tg_unlikely(ex->retry->n_slow) && !keep_fields(ex, m))
			return PX_REPLY_NO_MEMORY;
		px_retry_end(ex);
	}
	if (m->status == 101 && (!ex->upgrade || !tg_view_eq_nocase(upgrade, TG_VIEW("websocket"))))
		return PX_REPLY_UPSTREAM_BAD;
	if (!ex->resp_head_at)
		ex->resp_head_at = px_now(ex->proxy);
	ex->resp_keep_alive = m->keep_alive && in != TG_BODY_UNTIL_CLOSE;
	if (!tg_msg_remove_hop_by_hop(m))
		return PX_REPLY_UPSTREAM_BAD;
	if (!scratch || !set_service_time(ex, m, scratch + 24))
		return PX_REPLY_NO_MEMORY;
	if (!ex->down->shadow && !px_edit_response(ex, m))
		return PX_REPLY_NO_MEMORY;
	if (!px_filters_response(ex, m)) {
		/* If they wait, the head is read again for them. */
		if (ex->used && ex->waiting)
			ex->resp_head.scan = (struct tg_h1_scan){0};
		return -1;
	}
	if (tg_unlikely(ex->cookie.n) &&
		tg_msg_add(m, TG_FIELD_UNKNOWN, TG_VIEW("set-cookie"), ex->cookie))
		return PX_REPLY_NO_MEMORY;
	if (!frame(ex, m, out, upgrade, scratch) || !set_fields(ex, m) || !px_set_attempts(ex, m))
		return PX_REPLY_NO_MEMORY;
	if (in == TG_BODY_CHUNKED && out == TG_BODY_CHUNKED)
		trailers = tg_arena_alloc(&ex->arena, TG_PUMP_TRAILERS);
	lead = px_write_head(&ex->arena, m);
	if (!lead.p)
		return PX_REPLY_NO_MEMORY;
	px_response_count(ex, m->status);
	ex->status = m->status;
	tg_pump_init(&ex->resp_pump, in, length, out, trailers);
	ex->resp_pump.lead = lead;
	ex->answer_bytes = lead.n;
	tg_conn_consume(ex->up->conn, head_len);
	ex->last_activity = px_now(ex->proxy);
	/* Answered: not to be sent again, and the rest need not wait for an ACK. */
	tg_pump_forget(&ex->req_pump);
	if (m->status == 101) {
		ex->state = PX_EX_TUNNEL;
		ex->down->close_soon = true;
		ex->req_done = false;
		tg_pump_init(&ex->req_pump, TG_BODY_TUNNEL, 0, TG_BODY_TUNNEL, NULL);
		ex->down->ln->stats->downstream_cx_upgrades_active++;
		px_down_arm(ex->down);
	} else {
		ex->state = PX_EX_RESPONSE;
	}
	return -1;
}

/* Nothing complete to read: did the origin leave? */
static void check_lost(struct px_exch *ex)
{
	struct px_up *u = ex->up;
	struct tg_conn_info info;

	if (u->failed) {
		px_exch_upstream_lost(ex, true);
		return;
	}
	if (!u->eof)
		return;
	/* Its FIN may have crossed the request. If nothing of the request was acknowledged, either
	 * an ACK or a reset is on its way and decides whether the request may be sent again. */
	tg_conn_info(u->conn, &info);
	if (info.tx_acked > u->base || ex->interims)
		px_exch_upstream_lost(ex, false);
}

void px_response_read(struct px_exch *ex)
{
	static const struct tg_h1_limits limits = TG_PX_RESPONSE_LIMITS;
	struct px_up *u = ex->up;
	struct tg_conn_info info;
	struct tg_msg m;

	while (u && ex->state == PX_EX_UPSTREAM && !ex->interim_pending && !ex->waiting) {
		const uint8_t *base = NULL;
		int32_t n;
		int reply;

		if (!tg_conn_peek(u->conn, &(struct tg_view){0}, 1)) {
			check_lost(ex);
			return;
		}
		/* An answer that comes before any byte of the request was acknowledged answers
		 * something else: it was sent ahead to poison the connection. */
		tg_conn_info(u->conn, &info);
		if (info.tx_acked <= u->base) {
			px_reply(ex, PX_REPLY_UPSTREAM_BAD);
			return;
		}
		n = px_head_parse(ex, &ex->resp_head, u->conn, &limits, ex->req.method, &m, &base);
		if (n == 0) {
			tg_conn_consume(u->conn, 0);
			check_lost(ex);
			return;
		}
		if (n < 0) {
			if (ex->cluster->outlier && !ex->resp_head.no_memory)
				px_outlier_failure(ex, false);
			if (!ex->resp_head.no_memory && px_retry_failure(ex, TG_RETRY_LOST))
				return;
			px_reply(ex, ex->resp_head.no_memory ? PX_REPLY_NO_MEMORY
							     : PX_REPLY_UPSTREAM_BAD);
			return;
		}
		if (m.status < 200 && m.status != 101) {
			if (!interim(ex, &m, (uint32_t)n)) {
				px_reply(ex, PX_REPLY_UPSTREAM_BAD);
				return;
			}
			px_exch_interim_out(ex);
			continue;
		}
		reply = begin(ex, &m, (uint32_t)n);
		if (reply >= 0)
			px_reply(ex, (enum px_reply)reply);
		return;
	}
}
