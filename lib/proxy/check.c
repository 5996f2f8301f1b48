/* check.c: active checks of endpoints over this worker's own TCP, and what a worker does for the
 * health of a cluster besides: the look at its outliers, and ending connections to who has failed.
 *
 * Each endpoint is checked by one worker (tg_host.worker), whose verdict all see. One connection an
 * endpoint at a time; what an origin sends is bounded. Adoption of a snapshot makes and ends
 * checks, and is the one moment when memory is asked for.
 */
#include <stdlib.h>

#include "internal.h"

#define ANSWER_MAX 16384         /* bytes of a head, and of what is looked through over TCP */
#define CONTENT_MAX (256 * 1024) /* of an answer; beyond, the connection is not kept */
#define APART 20000              /* ns between the first checks of two endpoints */
#define CLOSE_LOOK (10 * TG_MS)  /* how soon connections to who has failed end */

struct px_check {
	struct tg_link link;
	struct tg_timer timer; /* the next check, or the end of the time of this one */
	struct tg_proxy *proxy;
	const struct tg_cluster *cluster; /* in p->clusters; NULL: not adopted yet */
	const struct tg_endpoint *endpoint;
	struct tg_host *host;
	struct tg_health_count count;
	struct tg_conn *conn; /* NULL: none */
	uint32_t sent;        /* bytes of the request */
	uint32_t content, interims;
	uint16_t status; /* of the answer whose content comes; 0: no head yet */
	bool asking, open, reused, heard, keep, degraded, wanted;
	struct tg_h1_scan scan;
	struct tg_h1_body body;
};

/* A cluster with outlier detection, of its worker. */
struct px_look {
	struct tg_link link;
	struct tg_timer timer;
	struct tg_proxy *proxy;
	struct tg_health_cluster *of;
	const struct tg_cluster *cluster; /* as that of a check */
	bool wanted;
};

static void begin(struct px_check *k);

/* --- the end of a check ----------------------------------------------------------------------- */

static void drop(struct px_check *k, bool politely)
{
	if (k->conn && politely)
		tg_conn_detach(k->conn);
	else if (k->conn)
		tg_conn_abort(k->conn, TG_WHY_conn_aborted);
	k->conn = NULL;
	k->open = false;
}

static bool was_used(const struct px_check *k)
{
	for (uint32_t w = 0; w < k->proxy->conf.n_workers; w++)
		if (__atomic_load_n(&k->cluster->stats[w].upstream_cx_total, __ATOMIC_RELAXED))
			return true;
	return false;
}

static void finish(struct px_check *k, enum tg_health_result r)
{
	struct tg_proxy *p = k->proxy;
	bool changed;
	uint64_t next = tg_health_judge(k->host, k->cluster->check, &k->count, r, was_used(k),
		&k->cluster->stats[p->conf.worker], &p->rng, &changed);

	k->asking = false;
	if ((r == TG_CHECK_PASSED || r == TG_CHECK_DEGRADED) && k->cluster->outlier &&
		k->cluster->outlier->uneject && !(tg_host_flags(k->host) & TG_HEALTH_FAILED_ACTIVE))
		tg_outlier_return(k->host, p->conf.worker);
	tg_timer_start(p->wheel, &k->timer, p->check_kind, next);
}

static void lost(struct px_check *k, bool timeout)
{
	bool again = k->reused && !k->heard && !timeout;

	drop(k, false);
	if (again) /* it was closed while it was idle: that says nothing */
		begin(k);
	else
		finish(k, timeout ? TG_CHECK_TIMEOUT : TG_CHECK_NETWORK);
}

/* --- HTTP --- */

static void answered(struct px_check *k)
{
	enum tg_health_result r = tg_health_status(k->cluster->check, k->status);

	if (!k->keep || !k->cluster->check->reuse_connection)
		drop(k, true);
	finish(k, r == TG_CHECK_PASSED && k->degraded ? TG_CHECK_DEGRADED : r);
}

/* Unread bytes in one piece; *base. */
static uint32_t gather(struct px_check *k, const uint8_t **base)
{
	struct tg_proxy *p = k->proxy;
	struct tg_view v[64];
	uint32_t cnt = tg_conn_peek(k->conn, v, TG_ARRAY_LEN(v)), n = 0;

	*base = cnt ? v[0].p : NULL;
	if (cnt < 2)
		return cnt ? v[0].n : 0;
	for (uint32_t i = 0; i < cnt && n < ANSWER_MAX; i++) {
		uint32_t take = v[i].n < ANSWER_MAX - n ? v[i].n : ANSWER_MAX - n;

		memcpy(p->check_buf + n, v[i].p, take);
		n += take;
	}
	*base = p->check_buf;
	return n;
}

/* 1: go on; 0: wait for more; -1: it is no answer. */
static int read_head(struct px_check *k)
{
	static const struct tg_h1_limits limits = {ANSWER_MAX - 1, 8192, 100};
	const struct tg_health_check *hc = k->cluster->check;
	struct tg_proxy *p = k->proxy;
	struct tg_msg m = {.fields = p->fields, .field_cap = p->field_cap};
	const uint8_t *base;
	uint32_t have = gather(k, &base);
	int32_t n;

	if (!have)
		return 0;
	k->heard = true;
	n = tg_h1_parse_response(&k->scan, base, have, &limits, hc->head ? TG_HEAD : TG_GET, &m);
	if (n <= 0)
		return n < 0 ? -1 : 0;
	k->scan = (struct tg_h1_scan){0};
	if (m.status >= 200) {
		k->status = m.status;
		k->degraded = tg_msg_find_name(&m, TG_VIEW("x-envoy-degraded"), NULL) != NULL;
		k->keep = m.keep_alive && m.body != TG_BODY_UNTIL_CLOSE;
		tg_h1_body_init(&k->body, m.body, m.content_length);
	} else if (m.status == 101 || ++k->interims > TG_PX_INTERIM_MAX) {
		return -1;
	}
	tg_conn_consume(k->conn, (uint32_t)n);
	return 1;
}

/* 1: all is there; 0: wait; -1. */
static int read_content(struct px_check *k)
{
	struct tg_view v, data;
	uint32_t used;

	while (!k->body.ended && tg_conn_peek(k->conn, &v, 1)) {
		if (tg_h1_body_read(&k->body, v, &used, &data))
			return -1;
		k->content += data.n;
		tg_conn_consume(k->conn, used);
		if (k->content > CONTENT_MAX) {
			k->keep = false;
			return 1;
		}
		if (!used)
			break;
	}
	if (!k->body.ended)
		return 0;
	k->keep &= !tg_conn_peek(k->conn, &v, 1);
	return 1;
}

static void read_http(struct px_check *k, bool ended, bool failed)
{
	int r = 1;

	while (r > 0 && !k->status)
		r = read_head(k);
	if (r > 0)
		r = read_content(k);
	if (r == 0 && ended && !failed && k->status && k->body.kind == TG_BODY_UNTIL_CLOSE)
		r = 1;
	k->keep &= !ended;
	if (r > 0)
		answered(k);
	else if (r < 0 || ended) {
		k->reused &= r == 0;
		lost(k, false);
	}
}

/* --- TCP --- */

static bool find(const uint8_t **at, const uint8_t *end, const struct tg_view *block)
{
	const uint8_t *p = memmem(*at, (size_t)(end - *at), block->p, block->n);

	if (p)
		*at = p + block->n;
	return p;
}

static void read_tcp(struct px_check *k, bool ended)
{
	const struct tg_health_check *hc = k->cluster->check;
	const uint8_t *base;
	uint32_t have = gather(k, &base), i = 0;
	const uint8_t *at = base;

	k->heard |= have > 0;
	while (i < hc->n_receive && have && find(&at, base + have, &hc->receive[i]))
		i++;
	if (i == hc->n_receive) {
		tg_conn_consume(k->conn, have);
		if (!hc->reuse_connection || !hc->n_receive || ended)
			drop(k, true);
		finish(k, TG_CHECK_PASSED);
	} else if (ended || have >= ANSWER_MAX) {
		lost(k, false);
	}
}

/* --- the course of a check --- */

static void write_rest(struct px_check *k)
{
	const struct tg_view *send = &k->cluster->check->send;
	struct tg_view v = {send->p + k->sent, send->n - k->sent};

	if (v.n)
		k->sent += tg_conn_write(k->conn, &v, 1);
}

static void go_on(struct px_check *k, uint32_t ev)
{
	bool ended = ev & (TG_EV_EOF | TG_EV_FAILED);

	write_rest(k);
	if (k->cluster->check->http)
		read_http(k, ended, ev & TG_EV_FAILED);
	else
		read_tcp(k, ended);
}

static void on_check_ready(struct tg_conn *c, uint32_t ev)
{
	struct px_check *k = c->owner;
	struct tg_conn_info info;

	if (!k->asking) { /* kept for the next one: nobody asked */
		if (ev & (TG_EV_EOF | TG_EV_FAILED) || tg_conn_peek(c, &(struct tg_view){0}, 1))
			drop(k, ev & TG_EV_EOF);
		return;
	}
	if (!k->open && (ev & TG_EV_FAILED)) {
		tg_conn_info(c, &info);
		k->reused = false;
		lost(k, info.why == TG_WHY_conn_connect_timeout ||
				info.why == TG_WHY_conn_timeout || info.why == TG_WHY_tls_timeout);
		return;
	}
	if (!k->open && !(ev & TG_EV_OPEN))
		return;
	k->open = true;
	go_on(k, ev);
}

static const struct tg_conn_user check_user = {on_check_ready};

static int dial(struct px_check *k)
{
	struct tg_proxy *p = k->proxy;
	const struct tg_cluster *c = k->cluster;
	int err = p->conf.net.connect(p->conf.net.ctx, &k->endpoint->addr, c->check->timeout,
		2 * ANSWER_MAX, &check_user, k, &k->conn);

	if (err) {
		k->conn = NULL;
		return err;
	}
	if (c->tls) {
		struct tg_conn *tls = p->conf.tls ? tg_tls_connect(p->conf.tls, c->tls->id, k->conn,
							    c->check->timeout, &check_user, k)
						  : NULL;

		if (!tls) {
			drop(k, false);
			return TG_ENOMEM;
		}
		k->conn = tls;
	}
	return 0;
}

/* Asks, on the connection that was kept or on a new one. */
static void begin(struct px_check *k)
{
	k->asking = true;
	k->sent = k->content = k->interims = 0;
	k->status = 0;
	k->heard = k->degraded = false;
	k->scan = (struct tg_h1_scan){0};
	k->reused = k->conn != NULL;
	if (!k->conn && dial(k)) {
		finish(k, TG_CHECK_NETWORK);
		return;
	}
	if (k->open)
		write_rest(k);
}

static void on_check_timer(void *ctx, struct tg_timer *t)
{
	struct px_check *k = TG_CONTAINER(t, struct px_check, timer);
	struct tg_proxy *p = ctx;

	if (k->asking) {
		lost(k, true);
		return;
	}
	k->cluster->stats[p->conf.worker].check.attempt++;
	tg_timer_start(p->wheel, &k->timer, p->check_kind, k->cluster->check->timeout);
	begin(k);
}

/* As Envoy: until checks that pass say otherwise. Not for an old snapshot: perhaps nobody checks
 * any more; this worker's newest one may be old too (tg_host_fail). */
void px_check_answer(const struct px_exch *ex, const struct tg_msg *m)
{
	struct tg_proxy *p = ex->proxy;
	const struct tg_cluster *c;
	struct tg_host *h = px_host_of(ex, &c);

	if (ex->snap != p->snap || !h ||
		!tg_msg_find_name(m, TG_VIEW("x-envoy-immediate-health-check-fail"), NULL) ||
		!tg_host_fail(h))
		return;
	ex->cluster->stats[p->conf.worker].check.passive_failure++;
	tg_health_say(h, p->conf.worker, TG_HEALTH_IS_UNHEALTHY, TG_CHECK_FAILED);
}

/* --- the look at a cluster --- */

static void on_look_timer(void *ctx, struct tg_timer *t)
{
	struct px_look *l = TG_CONTAINER(t, struct px_look, timer);
	struct tg_proxy *p = ctx;
	struct tg_outlier_ask a = {.c = l->cluster,
		.worker = p->conf.worker,
		.n_workers = p->conf.n_workers,
		.now = px_now(p),
		.rng = &p->rng};

	tg_outlier_look(&a);
	tg_timer_start(p->wheel, &l->timer, p->look_kind, l->cluster->outlier->interval);
}

/* --- adoption --------------------------------------------------------------------------------- */

static bool mine(const struct tg_proxy *p, const struct tg_cluster *c, const struct tg_host *h)
{
	return c->check && h && h->worker == p->conf.worker;
}

static bool looks_at(const struct tg_proxy *p, const struct tg_cluster *c)
{
	return c->outlier && c->health && c->health->worker == p->conf.worker;
}

static void free_check(struct px_check *k)
{
	tg_timer_stop(k->proxy->wheel, &k->timer);
	drop(k, false);
	tg_list_del(&k->link);
	k->host->owned = NULL;
	free(k);
}

static void free_look(struct px_look *l)
{
	tg_timer_stop(l->proxy->wheel, &l->timer);
	tg_list_del(&l->link);
	l->of->owned = NULL;
	free(l);
}

static bool make_check(struct tg_proxy *p, struct tg_host *h)
{
	struct px_check *k = calloc(1, sizeof(*k));

	if (!k)
		return false;
	k->proxy = p;
	k->host = h;
	h->owned = k;
	tg_list_push(&p->checks, &k->link);
	return true;
}

static bool make_look(struct tg_proxy *p, struct tg_health_cluster *h)
{
	struct px_look *l = calloc(1, sizeof(*l));

	if (!l)
		return false;
	l->proxy = p;
	l->of = h;
	h->owned = l;
	tg_list_push(&p->looks, &l->link);
	return true;
}

static bool make(struct tg_proxy *p, const struct tg_cluster *c)
{
	bool ok = true;

	if (looks_at(p, c) && !c->health->owned)
		ok = make_look(p, c->health);
	for (uint32_t e = 0; e < c->n_endpoints && ok; e++)
		if (mine(p, c, c->endpoints[e].host) && !c->endpoints[e].host->owned)
			ok = make_check(p, c->endpoints[e].host);
	return ok;
}

/* What make() made and nobody has adopted. */
static void unmake(struct tg_proxy *p)
{
	tg_list_for_each_safe (l, next, &p->checks) {
		struct px_check *k = TG_CONTAINER(l, struct px_check, link);

		if (!k->cluster)
			free_check(k);
	}
	tg_list_for_each_safe (l, next, &p->looks) {
		struct px_look *k = TG_CONTAINER(l, struct px_look, link);

		if (!k->cluster)
			free_look(k);
	}
}

int px_checks_make(struct tg_proxy *p, const struct tg_snapshot *s)
{
	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (!make(p, tg_cluster_live(&s->clusters[i]))) {
			unmake(p);
			return TG_ENOMEM;
		}
	return 0;
}

/* A check under way asks anew, as it may be another question now; one that waits does so no longer
 * than the new configuration says. */
static void adopt_check(struct px_check *k, const struct tg_cluster *c, const struct tg_endpoint *e,
	bool by_dns, uint64_t *apart)
{
	struct tg_proxy *p = k->proxy;
	const struct tg_health_check *hc = c->check;
	uint64_t now = px_now(p), wait = 0;

	/* Other endpoints beside it: the question is the same, and goes on. */
	if (k->cluster && by_dns) {
		k->wanted = true;
		k->cluster = c;
		k->endpoint = e;
		return;
	}
	if (!k->cluster) {
		if (hc->initial_jitter)
			wait = tg_rng_next(&p->rng) % hc->initial_jitter;
		wait += *apart += APART;
	} else if (!k->asking) {
		uint64_t at = tg_timer_deadline(&k->timer);

		wait = at > now ? at - now : 0;
		wait = wait < hc->interval ? wait : hc->interval;
	}
	drop(k, !k->asking); /* an answer that is on its way finds nobody */
	k->asking = false;
	k->wanted = true;
	k->cluster = c;
	k->endpoint = e;
	tg_timer_start(p->wheel, &k->timer, p->check_kind, wait);
}

static void adopt_look(struct px_look *l, const struct tg_cluster *c)
{
	struct tg_proxy *p = l->proxy;

	if (!l->cluster || l->cluster->outlier->interval != c->outlier->interval)
		tg_timer_start(p->wheel, &l->timer, p->look_kind, c->outlier->interval);
	l->wanted = true;
	l->cluster = c;
}

/* Nobody would take back what nobody finds out any more. */
static void give_up(struct px_check *k)
{
	tg_host_change(k->host, 0,
		TG_HEALTH_FAILED_ACTIVE | TG_HEALTH_PENDING | TG_HEALTH_DEGRADED |
			TG_HEALTH_TIMEOUT);
	free_check(k);
}

static void look_no_more(struct px_look *l)
{
	const struct tg_cluster *c = l->cluster;

	for (uint32_t i = 0; i < c->n_endpoints; i++)
		tg_outlier_return(c->endpoints[i].host, l->proxy->conf.worker);
	free_look(l);
}

static void adopt(struct tg_proxy *p, const struct tg_cluster *c, bool by_dns, uint64_t *apart)
{
	if (looks_at(p, c) && c->health->owned)
		adopt_look(c->health->owned, c);
	for (uint32_t e = 0; e < c->n_endpoints; e++) {
		struct tg_host *h = c->endpoints[e].host;
		struct px_check *k = mine(p, c, h) ? h->owned : NULL;

		if (k && !k->wanted)
			adopt_check(k, c, &c->endpoints[e], by_dns, apart);
	}
}

static void drop_unwanted(struct tg_proxy *p)
{
	tg_list_for_each_safe (l, next, &p->checks) {
		struct px_check *k = TG_CONTAINER(l, struct px_check, link);

		if (!k->wanted)
			give_up(k);
	}
	tg_list_for_each_safe (l, next, &p->looks) {
		struct px_look *k = TG_CONTAINER(l, struct px_look, link);

		if (!k->wanted)
			look_no_more(k);
	}
}

void px_checks_adopt(struct tg_proxy *p, const struct tg_snapshot *s)
{
	uint64_t apart = 0;
	bool closes = false;

	tg_list_for_each (l, &p->checks)
		TG_CONTAINER(l, struct px_check, link)->wanted = false;
	tg_list_for_each (l, &p->looks)
		TG_CONTAINER(l, struct px_look, link)->wanted = false;
	for (uint32_t i = 0; i < s->n_clusters; i++) {
		adopt(p, tg_cluster_live(&s->clusters[i]), false, &apart);
		closes |= s->clusters[i].close_on_failure && s->clusters[i].check;
	}
	drop_unwanted(p);
	if (closes)
		tg_timer_start(p->wheel, &p->close_timer, p->close_kind, CLOSE_LOOK);
	else
		tg_timer_stop(p->wheel, &p->close_timer);
}

void px_checks_adopt_live(
	struct tg_proxy *p, const struct tg_cluster *old, const struct tg_cluster *live)
{
	uint64_t apart = 0;

	if (!make(p, live))
		unmake(p);
	tg_list_for_each (l, &p->checks) {
		struct px_check *k = TG_CONTAINER(l, struct px_check, link);

		k->wanted = k->cluster && k->cluster != old;
	}
	adopt(p, live, true, &apart);
	drop_unwanted(p);
}

void px_checks_stop(struct tg_proxy *p)
{
	tg_list_for_each_safe (l, next, &p->checks)
		free_check(TG_CONTAINER(l, struct px_check, link));
	tg_list_for_each_safe (l, next, &p->looks) {
		free_look(TG_CONTAINER(l, struct px_look, link));
	}
	tg_timer_stop(p->wheel, &p->close_timer);
}

/* --- close_connections_on_host_health_failure --------------------------------------------------
 */

static void close_failed(struct tg_proxy *p, const struct tg_cluster *c)
{
	for (uint32_t i = 0; i < c->n_endpoints; i++) {
		const struct tg_endpoint *e = &c->endpoints[i];
		struct px_endpoint *ep = p->endpoints[e->id];
		uint32_t flags = tg_host_flags(e->host);
		/* Of one that was never checked nothing is known. */
		bool failed = (flags & TG_HEALTH_FAILED_ACTIVE) && !(flags & TG_HEALTH_PENDING);

		/* Once a failure: while there is none better, it may be used again. */
		if (ep && failed && !ep->closed)
			px_up_close_all(ep);
		if (ep)
			ep->closed = failed;
	}
}

static void on_close_timer(void *ctx, struct tg_timer *t)
{
	struct tg_proxy *p = ctx;

	for (uint32_t i = 0; i < p->snap->n_clusters; i++) {
		const struct tg_cluster *c = p->clusters[i];

		if (c->close_on_failure && c->check)
			close_failed(p, c);
	}
	tg_timer_start(p->wheel, t, p->close_kind, CLOSE_LOOK);
}

int px_checks_init(struct tg_proxy *p)
{
	int check = tg_wheel_kind(p->wheel, on_check_timer, p);
	int look = tg_wheel_kind(p->wheel, on_look_timer, p);
	int close = tg_wheel_kind(p->wheel, on_close_timer, p);

	p->check_kind = (uint8_t)check;
	p->look_kind = (uint8_t)look;
	p->close_kind = (uint8_t)close;
	p->check_buf = malloc(ANSWER_MAX);
	return check < 0 || look < 0 || close < 0 || !p->check_buf ? TG_ENOMEM : 0;
}
