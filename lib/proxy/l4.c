/* l4.c: `protocol = "tcp"`: bytes both ways, FIN by FIN. */
#include "internal.h"

static struct tg_proxy *proxy_of(const struct px_l4 *l)
{
	return l->down->ln->proxy;
}

static void log_l4(const struct px_l4 *l)
{
	struct tg_proxy *p = proxy_of(l);
	struct tg_log_record *r;
	struct tg_conn_info info;

	if (!p->conf.log)
		return;
	r = tg_log_reserve(p->conf.log);
	if (!r) {
		p->stats->log_dropped++;
		return;
	}
	memset(r, 0, sizeof(*r));
	tg_conn_info(l->down->conn, &info);
	r->tcp = true;
	r->start_ns = l->start + p->conf.realtime_offset;
	r->duration_ns = px_now(p) - l->start;
	r->bytes_received = l->to_up.content;
	r->bytes_sent = l->to_down.content;
	r->upstream_ns = -1;
	r->flags = l->flags;
	r->details = l->details;
	r->transport = (uint8_t)l->transport;
	tg_log_filter_details_set(r, l->filter_details);
	tg_log_peer_uri_set(r, px_peer_uri(l->down->conn));
	r->downstream = info.remote;
	r->local = info.local;
	r->upstream = l->upstream;
	tg_log_text_set(&r->cluster, tg_view_str(l->cluster));
	tg_log_text_set(&r->listener, tg_view_str(l->listener));
	tg_log_commit(p->conf.log);
	p->stats->log_records++;
}

/* Log, counters, memory. Both conns are the caller's to end; l->up is gone. */
static void free_l4(struct px_l4 *l)
{
	struct tg_proxy *p = proxy_of(l);
	struct tg_listener_stats *ls = l->down->ln->stats;

	ls->downstream_cx_rx_bytes_total += l->to_up.content;
	ls->downstream_cx_tx_bytes_total += l->to_down.content;
	log_l4(l);
	l->used = false;
	tg_pool_put(&p->l4s, l);
}

void px_l4_end(struct px_l4 *l, enum tg_why why)
{
	struct px_down *d = l->down;

	if (l->up)
		px_up_abort(l->up, TG_WHY_conn_peer_gone);
	free_l4(l);
	px_down_abort(d, why);
}

void px_l4_lost(struct px_l4 *l)
{
	px_l4_end(l, TG_WHY_conn_peer_gone);
}

static uint64_t up_expires(const struct px_l4 *l)
{
	return l->up ? tg_tls_expires(l->up->conn) : UINT64_MAX;
}

uint64_t px_l4_next_deadline(const struct px_l4 *l)
{
	uint64_t due = l->idle_timeout ? l->last_activity + l->idle_timeout : UINT64_MAX;

	return up_expires(l) < due ? up_expires(l) : due;
}

void px_l4_deadline(struct px_l4 *l, uint64_t now)
{
	if (now >= up_expires(l)) {
		l->details = "tls_certificate_expired";
		px_up_abort(l->up, tg_tls_expires_why(l->up->conn));
		px_l4_lost(l);
		return;
	}
	l->down->ln->stats->downstream_cx_idle_timeout++;
	l->details = "idle_timeout";
	px_l4_end(l, TG_WHY_conn_idle);
}

/* One direction. True: src's FIN has been passed on. */
static bool run_way(struct px_l4 *l, struct tg_pump *pump, struct tg_conn *src, bool src_eof,
	struct tg_conn *dst, bool *fin)
{
	uint64_t before = pump->taken;

	if (*fin)
		return true;
	if (tg_pump_run(pump, src, dst) == TG_PUMP_WAIT_SRC && src_eof &&
		!tg_conn_peek(src, &(struct tg_view){0}, 1)) {
		tg_conn_finish(dst);
		*fin = true;
	}
	dst->tx_more = src->rx_more;
	if (pump->taken != before)
		l->last_activity = px_now(proxy_of(l));
	return *fin;
}

void px_l4_run(struct px_l4 *l)
{
	struct px_down *d = l->down;
	struct px_up *u = l->up;
	bool up, down;

	if (!l->open)
		return; /* bytes wait unread until the origin is there */
	up = run_way(l, &l->to_up, d->conn, d->eof, u->conn, &l->to_up_fin);
	down = run_way(l, &l->to_down, u->conn, u->eof, d->conn, &l->to_down_fin);
	if (up && down) {
		u->l4 = NULL;
		px_up_release(u, PX_RELEASE_CLOSE);
		free_l4(l);
		px_down_close(d);
	}
}

void px_l4_up_event(struct px_l4 *l, uint32_t ev)
{
	struct px_up *u = l->up;

	if (ev & TG_EV_OPEN) {
		l->open = true;
		px_outlier_l4(l, true, false);
		px_down_arm(l->down); /* its certificate has an end */
	}
	u->eof |= (ev & TG_EV_EOF) != 0;
	if (ev & TG_EV_FAILED) {
		struct tg_conn_info info;

		tg_conn_info(u->conn, &info);
		l->transport = px_transport_of(info.why);
		l->flags |= TG_FLAG(UC);
		px_l4_lost(l);
		return;
	}
	px_l4_run(l);
}

/* Where a client's connections go under ring_hash and maglev, with source_ip. */
static void hash_client(struct px_l4 *l, struct tg_lb_ask *ask)
{
	static const struct tg_hash_policy by_source = {.kind = TG_HASH_SOURCE_IP};
	const struct tg_hash_policy *give;
	struct tg_msg none = {0};
	struct tg_conn_info info;
	uint8_t value[16];

	tg_conn_info(l->down->conn, &info);
	ask->has_hash = tg_hash_request(
		&by_source, 1, &none, &info.remote.ip, &proxy_of(l)->rng, &ask->hash, &give, value);
}

/* The endpoint of c that was tried last. NULL: it is the first try, or there is no such endpoint
 * any more. */
static const struct tg_endpoint *tried(const struct px_l4 *l, const struct tg_cluster *c)
{
	const struct tg_snapshot *s = proxy_of(l)->snap;
	const struct tg_cluster *live = px_cluster_live(proxy_of(l), &s, c);

	for (uint32_t i = 0; l->of && live && i < live->n_endpoints; i++)
		if (tg_sockaddr_eq(&live->endpoints[i].addr, &l->upstream))
			return &live->endpoints[i];
	return NULL;
}

static struct px_endpoint *choose(struct px_l4 *l, struct tg_proxy *p, const struct tg_cluster *c)
{
	struct tg_lb_ask ask = {.avoid = tried(l, c)};
	const struct tg_endpoint *e;

	if (l->down->ln->conf->hash_source_ip)
		hash_client(l, &ask);
	e = px_endpoint_pick(p, p->snap, c, &ask);
	l->generation = p->snap->generation;
	l->of = c;
	l->host = e ? e->host : NULL;
	return e ? px_endpoint_of(p, p->snap, c, e) : NULL;
}

static void refuse(struct px_l4 *l, uint32_t flag, enum tg_why why, const char *details)
{
	l->flags |= flag;
	l->details = details;
	px_why(proxy_of(l), why);
	px_l4_lost(l);
}

/* The connection to the origin begins, or l ends. */
static void dial(struct px_l4 *l, const struct tg_cluster *c)
{
	struct px_endpoint *ep;
	int err;

	do {
		ep = choose(l, proxy_of(l), c);
		if (!ep) {
			refuse(l, TG_FLAG(UH), TG_WHY_req_no_host, "no_healthy_upstream");
			return;
		}
		l->upstream = ep->addr;
		l->attempts -= l->attempts > 0;
		l->up = px_up_dial(ep, c, TG_PRIORITY_DEFAULT, l, &err);
	} while (!l->up && err != TG_EAGAIN && l->attempts);
	if (l->up) {
		px_down_arm(l->down);
	} else if (err == TG_EAGAIN) {
		ep->stats->upstream_cx_overflow++;
		refuse(l, TG_FLAG(UO), TG_WHY_req_overflow, "upstream_overflow");
	} else {
		refuse(l, TG_FLAG(UF), TG_WHY_req_connect_failure,
			err == TG_ENOPORT ? "upstream_connect_failure{no_free_source_port}"
					  : "upstream_connect_failure");
	}
}

/* The cluster as it is now: a reload may have come while it was dialled for. NULL: it is gone. */
static const struct tg_cluster *cluster_now(const struct px_l4 *l)
{
	struct tg_proxy *p = proxy_of(l);

	if (p->snap->generation == l->generation)
		return l->of;
	return l->down->ln->pinned
		       ? NULL
		       : tg_cluster_find(p->snap->cluster_names, tg_view_str(l->cluster));
}

void px_l4_connect_failed(struct px_l4 *l)
{
	const struct tg_cluster *c = l->attempts ? cluster_now(l) : NULL;

	if (c) {
		px_up_abort(l->up, TG_WHY_conn_peer_gone);
		l->transport = TG_WHY_none;
		dial(l, c);
		return;
	}
	l->flags |= TG_FLAG(UF);
	l->details = "upstream_connect_failure";
	if (l->down->ln->conf->max_connect_attempts > 1)
		l->flags |= TG_FLAG(URX);
	l->up->ep->stats->upstream_cx_connect_attempts_exceeded++;
	px_l4_lost(l);
}

static const struct tg_cluster *pick_cluster(const struct tg_listener_conf *lc, struct tg_proxy *p)
{
	uint32_t i = 0, at;

	if (lc->cluster)
		return lc->cluster;
	at = tg_rng_below(&p->rng, lc->weighted[lc->n_weighted - 1].upto);
	while (at >= lc->weighted[i].upto)
		i++;
	return lc->weighted[i].cluster;
}

void px_l4_begin(struct px_down *d)
{
	struct px_listener *ln = d->ln;
	struct tg_proxy *p = ln->proxy;
	const struct tg_cluster *c = pick_cluster(ln->conf, p);
	struct px_l4 *l = tg_pool_take(&p->l4s);
	struct tg_filter_reply denied;

	if (!l) {
		ln->stats->downstream_cx_overflow++;
		px_down_abort(d, TG_WHY_conn_no_memory);
		return;
	}
	memset(l, 0, sizeof(*l));
	l->used = true;
	l->down = d;
	l->start = l->last_activity = px_now(p);
	l->idle_timeout = ln->conf->idle_timeout;
	strncpy(l->cluster, c->name, TG_PX_NAME_MAX - 1);
	strncpy(l->listener, ln->conf->name, TG_PX_NAME_MAX - 1);
	tg_pump_init(&l->to_up, TG_BODY_TUNNEL, 0, TG_BODY_TUNNEL, NULL);
	tg_pump_init(&l->to_down, TG_BODY_TUNNEL, 0, TG_BODY_TUNNEL, NULL);
	d->l4 = l;
	px_down_set(d, PX_DOWN_L4);
	if (!px_filters_conn(d, &denied)) {
		l->flags |= denied.flags;
		l->filter_details = denied.details;
		px_l4_end(l, denied.why);
		return;
	}
	l->attempts = ln->conf->max_connect_attempts;
	dial(l, c);
}
