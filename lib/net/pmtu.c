/* Path MTU (RFC 1191, 8201): what packet-too-big told, by destination, for ten minutes. When the
 * table is full the oldest entry goes; losing one costs a repeated packet-too-big. */
#include <rte_malloc.h>
#include <string.h>

#include "internal.h"

#define LIFETIME (600 * TG_SEC)

static void find_min(struct tg_pmtu_table *t)
{
	t->min = UINT16_MAX;
	tg_list_for_each (l, &t->used) {
		const struct tg_pmtu *e = TG_CONTAINER(l, struct tg_pmtu, link);

		t->min = RTE_MIN(t->min, e->mtu);
	}
}

static void forget(struct tg_net *n, struct tg_pmtu *e)
{
	struct tg_pmtu_table *t = &n->pmtu;

	tg_timer_stop(n->wheel, &e->timer);
	rte_hash_del_key_with_hash(t->hash, &e->ip, tg_net_hash(n, &e->ip, sizeof(e->ip)));
	tg_list_del(&e->link);
	tg_list_push(&t->free, &e->link);
	t->n--;
	if (e->mtu == t->min)
		find_min(t);
}

static void on_timer(void *ctx, struct tg_timer *timer)
{
	forget(ctx, TG_CONTAINER(timer, struct tg_pmtu, timer));
}

static struct tg_pmtu *lookup(const struct tg_net *n, const struct tg_ip *remote)
{
	void *found;

	if (rte_hash_lookup_with_hash_data(
		    n->pmtu.hash, remote, tg_net_hash(n, remote, sizeof(*remote)), &found) < 0)
		return NULL;
	return found;
}

void tg_pmtu_learn(struct tg_net *n, const struct tg_ip *remote, uint16_t mtu, bool checked)
{
	struct tg_pmtu_table *t = &n->pmtu;
	struct tg_pmtu *e = lookup(n, remote);
	struct tg_link *l;

	/* Only ever down; up again by forgetting. */
	if (e && mtu >= (checked ? e->mtu : e->any))
		return;
	if (!e) {
		if (tg_list_empty(&t->free))
			forget(n, TG_CONTAINER(t->used.next, struct tg_pmtu, link));
		l = tg_list_shift(&t->free);
		e = TG_CONTAINER(l, struct tg_pmtu, link);
		if (rte_hash_add_key_with_hash_data(
			    t->hash, remote, tg_net_hash(n, remote, sizeof(*remote)), e) != 0) {
			tg_list_push(&t->free, l);
			return;
		}
		e->ip = *remote;
		e->mtu = e->any = UINT16_MAX;
		tg_list_push(&t->used, l);
		t->n++;
	}
	e->any = RTE_MIN(e->any, mtu);
	if (checked)
		e->mtu = mtu;
	t->min = RTE_MIN(t->min, e->mtu);
	tg_timer_start(n->wheel, &e->timer, t->timer_kind, LIFETIME);
}

uint16_t tg_pmtu_find(const struct tg_net *n, const struct tg_ip *remote, uint16_t limit)
{
	const struct tg_pmtu *e = n->pmtu.min < limit ? lookup(n, remote) : NULL;

	return e ? RTE_MIN(e->mtu, limit) : limit;
}

uint16_t tg_pmtu_find_any(const struct tg_net *n, const struct tg_ip *remote, uint16_t limit)
{
	const struct tg_pmtu *e = n->pmtu.n ? lookup(n, remote) : NULL;

	return e ? RTE_MIN(e->any, limit) : limit;
}

int tg_pmtu_init(struct tg_net *n, const struct tg_net_conf *c)
{
	struct tg_pmtu_table *t = &n->pmtu;
	int kind = tg_wheel_kind(n->wheel, on_timer, n);

	t->size = c->max_pmtu ? c->max_pmtu : 1024;
	t->min = UINT16_MAX;
	t->timer_kind = (uint8_t)kind;
	tg_list_init(&t->used);
	tg_list_init(&t->free);
	t->hash = tg_net_table("pmtu", t->size, sizeof(struct tg_ip), (int)c->socket);
	t->e = rte_calloc_socket(NULL, t->size, sizeof(*t->e), 64, (int)c->socket);
	if (kind < 0 || !t->hash || !t->e)
		return TG_ENOMEM;
	for (uint32_t i = 0; i < t->size; i++)
		tg_list_push(&t->free, &t->e[i].link);
	return 0;
}

void tg_pmtu_fini(struct tg_net *n)
{
	struct tg_pmtu_table *t = &n->pmtu;

	for (uint32_t i = 0; t->e && i < t->size; i++)
		tg_timer_stop(n->wheel, &t->e[i].timer);
	rte_hash_free(t->hash);
	rte_free(t->e);
}

bool tg_pmtu_validate(const struct tg_net *n)
{
	const struct tg_pmtu_table *t = &n->pmtu;
	uint16_t min = UINT16_MAX;
	uint32_t count = 0;

	tg_list_for_each (l, &t->used) {
		const struct tg_pmtu *e = TG_CONTAINER(l, struct tg_pmtu, link);

		if (++count > t->size || !tg_timer_running(&e->timer) || lookup(n, &e->ip) != e)
			return false;
		min = RTE_MIN(min, e->mtu);
	}
	return count == t->n && min == t->min && rte_hash_count(t->hash) == (int)count;
}
