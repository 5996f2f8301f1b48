/* worker.c: one worker's TLS: pools, expanded keys, the turn, and what goes to the log. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "conn.h"

#define HANDSHAKE_BUDGET 2
#define HANDSHAKE_TIMEOUT (15 * TG_SEC)
#define RESUMES 64   /* each keeps OpenSSL's object until its first ticket */
#define LOG_LINES 64 /* a power of two */
#define VICTIM_LOOK 64
#define FEED_MAX 16 /* starved connections that are called in a turn */

/* Lines for the control core: one writer, one reader. */
struct tls_log {
	_Atomic uint32_t head, tail; /* next to read, next to write */
	_Atomic uint64_t lost;
	char line[LOG_LINES][TG_TLS_LOG_LINE];
};

const char *tg_tls_init(void)
{
	tg_heap_init();
	return tg_aead_init("auto");
}

void tg_tls_thread(void)
{
	tg_aead_thread();
}

/* --- expanded keys ------------------------------------------------------------------------------
 */

static void rest(struct tls_act *a)
{
	struct tls_conn *c = a->owner;

	tg_rec_rest(&c->rx);
	tg_rec_rest(&c->tx);
	c->act = NULL;
}

/* Whose keys are taken away: the hand goes round, and those used since it last came by get another
 * round. A list by age would be exact, and touch two cold neighbours with every record. NULL: of
 * those looked at, all have content opened; the next call looks at others. */
static struct tls_act *victim(struct tg_tls *t)
{
	struct tls_act *found = NULL;

	for (uint32_t i = 0; i < VICTIM_LOOK && i < t->acts.count; i++) {
		struct tls_act *a = tg_pool_at(&t->acts, t->hand);

		t->hand = t->hand + 1 < t->acts.count ? t->hand + 1 : 0;
		if (a->n_regions)
			continue;
		if (!a->used)
			return a;
		a->used = false;
		if (!found)
			found = a;
	}
	return found;
}

static void starve(struct tls_conn *c)
{
	tg_list_del(&c->starved);
	tg_list_push(&c->tls->starved, &c->starved);
}

/* NULL: all have content opened, or the library refuses. */
static struct tls_act *wake(struct tls_conn *c)
{
	struct tg_tls *t = c->tls;
	struct tls_act *a = t->acts.in_use == t->acts.count ? victim(t) : NULL;

	if (a)
		rest(a);
	else
		a = tg_pool_take(&t->acts);
	if (!a)
		return NULL;
	a->owner = c;
	a->n_regions = a->plain = a->tail_skip = 0;
	a->used = true;
	if (!tg_rec_wake(&c->rx, tls_rx_key(a)) || !tg_rec_wake(&c->tx, tls_tx_key(a))) {
		tg_rec_rest(&c->rx);
		tg_rec_rest(&c->tx);
		tg_pool_put(&t->acts, a);
		return NULL;
	}
	c->act = a;
	return a;
}

struct tls_act *tls_wake(struct tls_conn *c)
{
	if (c->act) {
		c->act->used = true;
		return c->act;
	}
	if (!wake(c))
		starve(c);
	return c->act;
}

bool tls_wake_tx(struct tls_conn *c)
{
	if (c->act) {
		c->act->used = true;
		return true;
	}
	if (wake(c) || tg_rec_wake(&c->tx, &c->tls->spare))
		return true;
	starve(c);
	return false;
}

/* --- life ---------------------------------------------------------------------------------------
 */

static int init_pools(struct tg_tls *t)
{
	const struct tg_tls_worker_conf *c = &t->conf;
	int rc = tg_pool_init(&t->conns, "tls_connection", sizeof(struct tls_conn), c->max_conns);

	if (!rc)
		rc = tg_pool_init(
			&t->hs, "tls_handshake", sizeof(struct tls_hs), c->max_handshakes);
	if (!rc)
		rc = tg_pool_init(&t->acts, "tls_active", tls_act_size(), c->max_active);
	return rc;
}

struct tg_tls *tg_tls_create(const struct tg_tls_worker_conf *conf, struct tg_errbuf *e)
{
	struct tg_hs_worker_conf hs = {.worker = conf->worker,
		.max_handshakes = conf->max_handshakes,
		.max_conns = conf->max_conns,
		.max_resumes = RESUMES,
		.sessions = conf->sessions};
	struct tg_tls *t = aligned_alloc(64, (sizeof(*t) + 63) / 64 * 64);
	int kind;

	if (!t)
		goto no_memory;
	memset(t, 0, sizeof(*t));
	t->conf = *conf;
	tls_ops_init(t);
	if (!t->conf.handshake_budget)
		t->conf.handshake_budget = HANDSHAKE_BUDGET;
	if (!t->conf.handshake_timeout)
		t->conf.handshake_timeout = HANDSHAKE_TIMEOUT;
	tg_list_init(&t->work);
	tg_list_init(&t->begun);
	tg_list_init(&t->lingering);
	tg_list_init(&t->starved);
	kind = tg_wheel_kind(conf->wheel, tls_hs_timeout, t);
	t->hs_timer = (uint8_t)kind;
	t->log = calloc(1, sizeof(*t->log));
	if (kind < 0 || !t->log || init_pools(t))
		goto no_memory;
	t->handshakes = tg_hs_worker_create(&hs, e);
	if (t->handshakes)
		return t;
	tg_tls_destroy(t);
	return NULL;
no_memory:
	tg_fail(e, TG_ENOMEM,
		"worker %u: no memory for %u TLS connections; lower dataplane.max_connections or "
		"dataplane.memory",
		conf->worker, conf->max_conns);
	if (t)
		tg_tls_destroy(t);
	return NULL;
}

static void discard_keys(struct tg_tls *t)
{
	const struct tg_aead_ops *ops = tg_aead_get(TG_AEAD_AES_128_GCM);

	for (uint32_t i = 0; i < t->acts.fresh; i++) {
		struct tls_act *a = tg_pool_at(&t->acts, i);

		ops->discard(tls_rx_key(a));
		ops->discard(tls_tx_key(a));
	}
	ops->discard(&t->spare);
}

void tg_tls_destroy(struct tg_tls *t)
{
	discard_keys(t);
	if (t->handshakes)
		tg_hs_worker_destroy(t->handshakes);
	tg_pool_fini(&t->acts);
	tg_pool_fini(&t->hs);
	tg_pool_fini(&t->conns);
	free(t->log);
	free(t);
}

void tg_tls_adopt(struct tg_tls *t, struct tg_tls_set *s)
{
	tg_hs_worker_adopt(t->handshakes, s);
}

void tg_tls_set_realtime(struct tg_tls *t, uint64_t offset)
{
	t->conf.realtime_offset = offset;
}

uint32_t tg_tls_pools(const struct tg_tls *t, const struct tg_pool **out, uint32_t n)
{
	const struct tg_pool *all[] = {&t->conns, &t->hs, &t->acts};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(all) && i < n; i++)
		out[i] = all[i];
	return TG_ARRAY_LEN(all);
}

/* --- a turn -------------------------------------------------------------------------------------
 */

static void feed_starved(struct tg_tls *t)
{
	uint32_t room = t->acts.count - t->pinned;

	if (room > FEED_MAX)
		room = FEED_MAX;
	while (room-- && !tg_list_empty(&t->starved)) {
		struct tls_conn *c = TG_CONTAINER(t->starved.next, struct tls_conn, starved);

		tg_list_del(&c->starved);
		tg_ready_raise(t->conf.ready, c->lower, TG_EV_READABLE | TG_EV_WRITABLE);
	}
}

uint32_t tg_tls_turn(struct tg_tls *t)
{
	uint32_t done = 0;

	while (done < t->conf.handshake_budget && !tg_list_empty(&t->work)) {
		struct tls_hs *h = TG_CONTAINER(t->work.next, struct tls_hs, queue);

		tg_list_del(&h->queue);
		tls_hs_step(h);
		done++;
	}
	t->conf.stats->tls_handshake_steps += done;
	t->conf.stats->tls_handshake_full_turns += tg_tls_has_work(t);
	if (tg_unlikely(!tg_list_empty(&t->starved)))
		feed_starved(t);
	return done;
}

bool tg_tls_has_work(const struct tg_tls *t)
{
	return !tg_list_empty(&t->work);
}

/* --- log ----------------------------------------------------------------------------------------
 */

void tls_log_failure(struct tls_conn *c, const char *who_why)
{
	struct tls_log *l = c->tls->log;
	uint32_t tail = atomic_load_explicit(&l->tail, memory_order_relaxed);
	char from[TG_ADDR_TEXT];
	struct tg_conn_info info;

	if (tail - atomic_load_explicit(&l->head, memory_order_acquire) == LOG_LINES) {
		atomic_fetch_add_explicit(&l->lost, 1, memory_order_relaxed);
		return;
	}
	tg_conn_info(c->lower, &info);
	tg_sockaddr_format(&info.remote, from);
	snprintf(l->line[tail % LOG_LINES], TG_TLS_LOG_LINE, "TLS %s %s: %s",
		c->flags & F_SERVER ? "from" : "to", from, who_why);
	atomic_store_explicit(&l->tail, tail + 1, memory_order_release);
}

uint64_t tg_tls_failures(struct tg_tls *t, void (*each)(void *arg, const char *line), void *arg)
{
	struct tls_log *l = t->log;
	uint32_t head = atomic_load_explicit(&l->head, memory_order_relaxed);

	while (head != atomic_load_explicit(&l->tail, memory_order_acquire)) {
		each(arg, l->line[head % LOG_LINES]);
		atomic_store_explicit(&l->head, ++head, memory_order_release);
	}
	return atomic_exchange_explicit(&l->lost, 0, memory_order_relaxed);
}
