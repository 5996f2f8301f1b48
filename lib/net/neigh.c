/* The neighbour table: next hop to MAC address, for ARP and ND alike, with the unreachability
 * detection of RFC 4861 section 7.3 (the state machine is drawn in internal.h). Entries are made
 * only because we send somewhere, never by what is received. */
#include <rte_malloc.h>
#include <string.h>

#include "internal.h"

#define VICTIM_STEPS 64 /* entries looked at for one that may go */

struct key {
	struct tg_ip ip;
	uint32_t ifidx;
};

static struct tg_neigh *lookup(struct tg_net *n, const struct key *key, uint32_t hash)
{
	void *found;

	if (rte_hash_lookup_with_hash_data(n->neigh.hash, key, hash, &found) < 0)
		return NULL;
	return found;
}

struct tg_neigh *tg_neigh_find(struct tg_net *n, uint16_t ifidx, const struct tg_ip *ip)
{
	struct key key = {*ip, ifidx};

	return lookup(n, &key, tg_net_hash(n, &key, sizeof(key)));
}

static struct rte_mbuf *pend_shift(struct tg_net *n, struct tg_neigh *e)
{
	struct tg_pend *q = e->first;
	struct rte_mbuf *m = q->m;

	e->first = q->next;
	if (!e->first)
		e->last = &e->first;
	e->n_pend--;
	q->next = n->neigh.free_pend;
	n->neigh.free_pend = q;
	n->neigh.n_pend--;
	return m;
}

static void release(struct tg_net *n, struct tg_neigh *e, enum tg_why why);

/* Gives up the entry that has waited longest for an answer, but not `but`. An answer takes less
 * than a millisecond as a rule, so it must be a fast flood of made-up addresses that pushes a real
 * one out; refusing new ones would keep them all out for the seconds that the made-up ones last. */
static bool give_up_oldest(struct tg_net *n, const struct tg_neigh *but, enum tg_why why)
{
	struct tg_link *l = n->neigh.asked.next;

	if (but && l == &but->asked)
		l = l->next;
	if (l == &n->neigh.asked)
		return false;
	release(n, TG_CONTAINER(l, struct tg_neigh, asked), why);
	return true;
}

static int pend_push(struct tg_net *n, struct tg_neigh *e, struct rte_mbuf *m)
{
	struct tg_pend *q;

	/* The newest says best what the connection wants now (RFC 4861 section 7.2.2). */
	if (e->n_pend == TG_NET_PENDING_EACH)
		tg_tx_lost(n, pend_shift(n, e), TG_WHY_tx_pending_full);
	while (!n->neigh.free_pend && give_up_oldest(n, e, TG_WHY_tx_pending_full))
		;
	q = n->neigh.free_pend;
	if (!q) {
		tg_tx_lost(n, m, TG_WHY_tx_pending_full);
		return TG_ENOMEM;
	}
	n->neigh.free_pend = q->next;
	n->neigh.n_pend++;
	*q = (struct tg_pend){.m = m};
	*e->last = q;
	e->last = &q->next;
	e->n_pend++;
	return 0;
}

static void release(struct tg_net *n, struct tg_neigh *e, enum tg_why why)
{
	struct key key = {e->ip, e->ifidx};
	struct tg_neigh_table *t = &n->neigh;

	while (e->n_pend)
		tg_tx_lost(n, pend_shift(n, e), why);
	tg_timer_stop(n->wheel, &e->timer);
	tg_list_del(&e->asked);
	rte_hash_del_key_with_hash(t->hash, &key, tg_net_hash(n, &key, sizeof(key)));
	e->state = TG_NUD_FREE;
	e->generation++;
	e->next_free = t->free;
	t->free = (uint32_t)(e - t->e) + 1;
	t->n--;
	n->stats->neighbours--;
}

/* Makes room if the table is full. An entry that was used lately is not given up for a new one: a
 * flood of made-up addresses must not cut working connections. */
static bool make_room(struct tg_net *n)
{
	struct tg_neigh_table *t = &n->neigh;

	if (t->free)
		return true;
	for (uint32_t i = 0; i < RTE_MIN(t->size, (uint32_t)VICTIM_STEPS); i++) {
		struct tg_neigh *e = &t->e[t->hand];

		t->hand = (t->hand + 1) % t->size;
		if (e->state == TG_NUD_INCOMPLETE || n->wheel->now - e->used < TG_ND_BUSY)
			continue;
		release(n, e, TG_WHY_tx_no_neighbour);
		return true;
	}
	return give_up_oldest(n, NULL, TG_WHY_tx_neigh_full);
}

static void start(struct tg_net *n, struct tg_neigh *e, enum tg_nud state, uint64_t delay)
{
	if (state != TG_NUD_INCOMPLETE)
		tg_list_del(&e->asked);
	e->state = (uint8_t)state;
	tg_timer_start(n->wheel, &e->timer, n->neigh.timer_kind, delay);
}

static void solicit(struct tg_net *n, struct tg_neigh *e)
{
	bool unicast = e->state == TG_NUD_PROBE && e->probes < TG_ND_PROBES;

	e->probes++;
	if (tg_ip_is_v4(&e->ip))
		tg_arp_solicit(n, e, unicast);
	else
		tg_nd_solicit(n, e, unicast);
}

struct tg_neigh *tg_neigh_get(struct tg_net *n, uint16_t ifidx, const struct tg_ip *ip)
{
	struct key key = {*ip, ifidx};
	uint32_t hash = tg_net_hash(n, &key, sizeof(key)), i;
	struct tg_neigh *e = lookup(n, &key, hash);
	struct tg_neigh_table *t = &n->neigh;

	if (e)
		return e;
	if (!make_room(n))
		return NULL;
	i = t->free - 1;
	e = &t->e[i];
	if (rte_hash_add_key_with_hash_data(t->hash, &key, hash, e) != 0)
		return NULL;
	t->free = e->next_free;
	t->n++;
	n->stats->neighbours++;
	e->ip = *ip;
	e->ifidx = (uint8_t)ifidx;
	e->probes = 0;
	e->used = n->wheel->now;
	e->confirmed = 0;
	e->first = NULL;
	e->last = &e->first;
	e->n_pend = 0;
	memset(e->mac, 0, sizeof(e->mac));
	e->doubted = false;
	tg_list_push(&t->asked, &e->asked);
	start(n, e, TG_NUD_INCOMPLETE, TG_ND_RETRANS);
	solicit(n, e);
	return e;
}

static uint64_t reachable_time(struct tg_net *n)
{
	return TG_ND_REACHABLE / 2 + tg_rng_below(&n->rng, 1000) * (TG_ND_REACHABLE / 1000);
}

static void send_frame(struct tg_net *n, struct tg_neigh *e, struct rte_mbuf *m)
{
	uint16_t type = tg_ip_is_v4(&e->ip) ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6;

	if (!tg_eth_push(&n->ifs[e->ifidx], m, e->mac, type)) {
		tg_tx_lost(n, m, TG_WHY_tx_no_mbuf);
		return;
	}
	tg_tx_frame(n, e->ifidx, m);
}

int tg_neigh_output(struct tg_net *n, struct tg_neigh *e, struct rte_mbuf *m)
{
	e->used = n->wheel->now;
	if (tg_unlikely(e->state == TG_NUD_INCOMPLETE))
		return pend_push(n, e, m);
	if (tg_unlikely(e->state == TG_NUD_STALE))
		start(n, e, TG_NUD_DELAY, TG_ND_DELAY);
	send_frame(n, e, m);
	return 0;
}

static void set_reachable(struct tg_net *n, struct tg_neigh *e)
{
	e->confirmed = n->wheel->now;
	e->doubted = false;
	if (e->state == TG_NUD_REACHABLE) /* its timer sees the new time when it fires */
		return;
	start(n, e, TG_NUD_REACHABLE, reachable_time(n));
}

/* Has the question whose address it is been put to all, so that whoever answers has it? */
static bool asked_all(const struct tg_neigh *e)
{
	return e->state == TG_NUD_INCOMPLETE ||
	       (e->state == TG_NUD_PROBE && e->probes > TG_ND_PROBES);
}

static void set_mac(struct tg_net *n, struct tg_neigh *e, const uint8_t *mac)
{
	memcpy(e->mac, mac, 6);
	while (e->n_pend)
		send_frame(n, e, pend_shift(n, e));
}

void tg_neigh_confirm(struct tg_net *n, struct tg_neigh *e)
{
	if (e->state != TG_NUD_INCOMPLETE)
		set_reachable(n, e);
}

/* Somebody says that the known address is not right: see the drawing in internal.h. */
static void doubt(struct tg_net *n, struct tg_neigh *e)
{
	if (e->doubted)
		return;
	e->doubted = true;
	if (e->state != TG_NUD_PROBE)
		start(n, e, TG_NUD_DELAY, TG_ND_DOUBT);
}

/* RFC 4861 section 7.2.5, but for what overrides. */
void tg_neigh_advert(struct tg_net *n, struct tg_neigh *e, const uint8_t *mac, bool solicited)
{
	bool open = asked_all(e);

	if (e->state == TG_NUD_INCOMPLETE && !mac)
		return;
	if (!open && mac && memcmp(mac, e->mac, 6) != 0) {
		doubt(n, e);
		return;
	}
	if (solicited) {
		set_reachable(n, e);
	} else if (open && mac) {
		e->doubted = false;
		start(n, e, TG_NUD_STALE, TG_ND_GC);
	}
	if (open && mac)
		set_mac(n, e, mac);
}

/* RFC 4861 section 7.2.3. */
void tg_neigh_heard(struct tg_net *n, struct tg_neigh *e, const uint8_t *mac)
{
	tg_neigh_advert(n, e, mac, false);
}

/* True for a moment that lies at least `span` back; else restarts the timer for the rest. */
static bool older(struct tg_net *n, struct tg_neigh *e, uint64_t since, uint64_t span)
{
	uint64_t age = n->wheel->now - since;

	if (age >= span)
		return true;
	tg_timer_start(n->wheel, &e->timer, n->neigh.timer_kind, span - age);
	return false;
}

/* INCOMPLETE, PROBE: no answer so far. */
static void unanswered(struct tg_net *n, struct tg_neigh *e)
{
	uint32_t most = e->state == TG_NUD_PROBE ? 2 * TG_ND_PROBES : TG_ND_PROBES;

	if (n->wheel->now - tg_timer_deadline(&e->timer) > TG_ND_LATE)
		e->probes--;
	if (e->probes >= most) {
		release(n, e, TG_WHY_tx_no_neighbour);
		return;
	}
	start(n, e, e->state, e->doubted ? TG_ND_VERIFY : TG_ND_RETRANS);
	solicit(n, e);
}

static void on_timer(void *ctx, struct tg_timer *timer)
{
	struct tg_neigh *e = TG_CONTAINER(timer, struct tg_neigh, timer);
	struct tg_net *n = ctx;

	switch (e->state) {
	case TG_NUD_REACHABLE: /* confirmations only noted the time */
		if (older(n, e, e->confirmed, reachable_time(n)))
			start(n, e, TG_NUD_STALE, TG_ND_GC);
		return;
	case TG_NUD_STALE:
		if (older(n, e, e->used, TG_ND_GC))
			release(n, e, TG_WHY_tx_no_neighbour);
		return;
	case TG_NUD_DELAY:
		e->probes = 0;
		start(n, e, TG_NUD_PROBE, e->doubted ? TG_ND_VERIFY : TG_ND_RETRANS);
		solicit(n, e);
		return;
	default:
		unanswered(n, e);
	}
}

int tg_neigh_init(struct tg_net *n, const struct tg_net_conf *c)
{
	struct tg_neigh_table *t = &n->neigh;
	int kind = tg_wheel_kind(n->wheel, on_timer, n);

	t->size = c->max_neighbours ? c->max_neighbours : 4096;
	t->max_pend = c->max_pending ? c->max_pending : 1024;
	t->timer_kind = (uint8_t)kind;
	t->hash = tg_net_table("neigh", t->size, sizeof(struct key), (int)c->socket);
	t->e = rte_calloc_socket(NULL, t->size, sizeof(*t->e), 64, (int)c->socket);
	t->pends = rte_calloc_socket(NULL, t->max_pend, sizeof(*t->pends), 64, (int)c->socket);
	if (kind < 0 || !t->hash || !t->e || !t->pends)
		return TG_ENOMEM;
	tg_list_init(&t->asked);
	for (uint32_t i = t->size; i-- > 0;) {
		t->e[i].generation = 1;
		tg_list_init(&t->e[i].asked);
		t->e[i].next_free = t->free;
		t->free = i + 1;
	}
	for (uint32_t i = t->max_pend; i-- > 0;) {
		t->pends[i].next = t->free_pend;
		t->free_pend = &t->pends[i];
	}
	return 0;
}

void tg_neigh_fini(struct tg_net *n)
{
	struct tg_neigh_table *t = &n->neigh;

	for (uint32_t i = 0; t->e && i < t->size; i++)
		if (t->e[i].state != TG_NUD_FREE)
			release(n, &t->e[i], TG_WHY_tx_no_neighbour);
	rte_hash_free(t->hash);
	rte_free(t->e);
	rte_free(t->pends);
}

static bool entry_ok(const struct tg_neigh *e)
{
	const struct tg_pend *const *end = (const struct tg_pend *const *)&e->first;
	uint32_t count = 0;

	for (const struct tg_pend *q = e->first; q; q = q->next) {
		if (++count > TG_NET_PENDING_EACH || rte_mbuf_refcnt_read(q->m) == 0)
			return false;
		end = (const struct tg_pend *const *)&q->next;
	}
	return count == e->n_pend && end == (const struct tg_pend *const *)e->last &&
	       (!count || e->state == TG_NUD_INCOMPLETE) && tg_timer_running(&e->timer);
}

bool tg_neigh_validate(const struct tg_net *n)
{
	const struct tg_neigh_table *t = &n->neigh;
	uint32_t used = 0, pend = 0, idle = 0, idle_pend = 0, asked = 0, incomplete = 0;

	for (uint32_t i = 0; i < t->size; i++) {
		if (t->e[i].state == TG_NUD_FREE)
			continue;
		used++;
		incomplete += t->e[i].state == TG_NUD_INCOMPLETE;
		pend += t->e[i].n_pend;
		if (!entry_ok(&t->e[i]))
			return false;
	}
	for (uint32_t i = t->free; i; i = t->e[i - 1].next_free)
		if (++idle > t->size)
			return false;
	tg_list_for_each (l, &t->asked) {
		if (TG_CONTAINER(l, struct tg_neigh, asked)->state != TG_NUD_INCOMPLETE)
			return false;
		asked++;
	}
	for (const struct tg_pend *q = t->free_pend; q; q = q->next)
		if (++idle_pend > t->max_pend)
			return false;
	return asked == incomplete && used == t->n && used + idle == t->size &&
	       rte_hash_count(t->hash) == (int)used && pend == t->n_pend &&
	       pend + idle_pend == t->max_pend;
}
