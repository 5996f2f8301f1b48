/*
 * Reassembly (RFC 791 section 3.2, 815; RFC 8200 section 4.5, 5722, 6946).
 *
 * rte_ip_frag of 22.11 was weighed and not taken, because it cannot be made safe from outside:
 *  - it adds up lengths and looks at ranges only when the sum is right, so one duplicated fragment
 *    (networks do that) loses the datagram, and an overlap is not told apart from it; RFC 5722
 *    wants the whole datagram refused, late fragments too, but no call removes an entry;
 *  - what it drops goes to a death row without a reason: no ledger can be kept;
 *  - its keys are hashed with a constant seed, so a peer can aim at one bucket;
 *  - it is built for 8 fragments, and expiry is a scan of the table.
 * A check in front of it would have to keep the same table again. What would be left to the library
 * is joining the chain, which is join() below.
 *
 * A datagram's fragments are kept in order of offset. Bounds: max_reassembly datagrams, four times
 * as many fragments in all, 64 a datagram, 30 s (IPv4) or 60 s (IPv6) from the first on, if not
 * told otherwise. When there is no room the oldest datagram goes: a good one is whole within
 * milliseconds, so a flood must be fast to hurt it, whereas refusing new ones would shut everybody
 * out for those 30 s.
 */
#include <netinet/in.h>
#include <rte_hash.h>
#include <rte_malloc.h>
#include <string.h>

#include "csum.h"
#include "internal.h"

#define PIECES_EACH 64
#define TIMEOUT6 (60 * TG_SEC)
#define TIME_EXCEEDED4 11
#define TIME_EXCEEDED6 3
#define REASSEMBLY_TIME 1

struct piece {
	struct rte_mbuf *m; /* data at the fragment's payload; of the first one at the IP header */
	uint32_t off, len;
	struct piece *next;
};

struct key {
	struct tg_ip src, dst;
	uint32_t id, proto; /* proto: 0 for IPv6 */
};

struct datagram {
	struct key key;
	struct tg_timer timer;
	struct piece *first;      /* by offset */
	uint32_t n;               /* pieces */
	uint32_t got, total;      /* payload bytes; total 0: the last fragment has not come */
	uint16_t hdr_len, nh_off; /* of the piece at offset 0 */
	uint16_t ifidx;
	uint8_t proto, tos; /* of the piece at offset 0 */
	bool congested;     /* a fragment carried CE (RFC 3168 section 5.3) */
	bool refused;       /* overlapped: kept without pieces, so that late fragments go as well */
	struct tg_link link; /* oldest first; or the free list */
};

struct tg_frag_table {
	struct rte_hash *hash; /* key -> datagram */
	struct datagram *d;
	struct tg_link used, free;
	struct piece *pieces, *free_piece;
	uint64_t timeout6; /* IPv4: half of it */
	uint32_t size, n, n_pieces;
	uint8_t timer_kind;
};

static void piece_put(struct tg_frag_table *t, struct piece *q)
{
	q->next = t->free_piece;
	t->free_piece = q;
	t->n_pieces--;
}

/* Frees what was kept of d, as dropped for `why`. */
static void drop_pieces(struct tg_net *n, struct datagram *d, enum tg_why why)
{
	struct piece *q;

	n->stats->why[why] += d->n;
	n->stats->rx_in_flight -= d->n;
	while ((q = d->first)) {
		d->first = q->next;
		rte_pktmbuf_free(q->m);
		piece_put(n->frag, q);
	}
	d->n = 0;
}

static void datagram_put(struct tg_net *n, struct datagram *d)
{
	struct tg_frag_table *t = n->frag;

	tg_timer_stop(n->wheel, &d->timer);
	rte_hash_del_key_with_hash(t->hash, &d->key, tg_net_hash(n, &d->key, sizeof(d->key)));
	tg_list_del(&d->link);
	tg_list_push(&t->free, &d->link);
	t->n--;
}

/* RFC 792, 4443 section 3.3: said only to who sent the first fragment. */
static void say_timeout(struct tg_net *n, struct datagram *d)
{
	struct tg_rx p = {.m = d->first->m, .src = d->key.src, .dst = d->key.dst};

	p.ifidx = d->ifidx;
	p.v6 = !tg_ip_is_v4(&p.src);
	p.l4_off = d->hdr_len;
	p.proto = d->proto;
	tg_icmp_refuse(n, &p, p.v6 ? TIME_EXCEEDED6 : TIME_EXCEEDED4, REASSEMBLY_TIME, 0,
		TG_WHY_frag_timeout);
}

static void on_timeout(void *ctx, struct tg_timer *timer)
{
	struct datagram *d = TG_CONTAINER(timer, struct datagram, timer);
	struct tg_net *n = ctx;

	if (d->first && d->first->off == 0)
		say_timeout(n, d);
	drop_pieces(n, d, TG_WHY_frag_timeout);
	datagram_put(n, d);
}

/* Gives the oldest datagram up, but not `but`. False: there is no other. */
static bool make_room(struct tg_net *n, const struct datagram *but)
{
	struct tg_link *l = n->frag->used.next;
	struct datagram *d;

	if (but && l == &but->link)
		l = l->next;
	if (l == &n->frag->used)
		return false;
	d = TG_CONTAINER(l, struct datagram, link);
	drop_pieces(n, d, TG_WHY_frag_table_full);
	datagram_put(n, d);
	return true;
}

static struct datagram *datagram_get(struct tg_net *n, const struct key *key, bool v6)
{
	uint32_t hash = tg_net_hash(n, key, sizeof(*key));
	struct tg_frag_table *t = n->frag;
	struct datagram *d;
	void *found;

	if (rte_hash_lookup_with_hash_data(t->hash, key, hash, &found) >= 0)
		return found;
	if (tg_list_empty(&t->free))
		make_room(n, NULL);
	d = TG_CONTAINER(t->free.next, struct datagram, link);
	if (rte_hash_add_key_with_hash_data(t->hash, key, hash, d) != 0)
		return NULL;
	tg_list_del(&d->link);
	memset(d, 0, sizeof(*d));
	tg_list_push(&t->used, &d->link);
	t->n++;
	d->key = *key;
	tg_timer_start(n->wheel, &d->timer, t->timer_kind, v6 ? t->timeout6 : t->timeout6 / 2);
	return d;
}

/* Overlap, contradiction, too many: nothing of the datagram is used any more (RFC 5722). */
static enum tg_why refuse(struct tg_net *n, struct datagram *d)
{
	drop_pieces(n, d, TG_WHY_frag_bad);
	d->refused = true;
	return TG_WHY_frag_bad;
}

/* Finds the place of [off, off + len) in d's list. none: *at is where to link it in. */
static enum tg_why place(struct datagram *d, const struct tg_frag_info *f, struct piece ***at)
{
	uint32_t end = f->off + f->len;
	struct piece **q = &d->first;

	if (d->total && (end > d->total || (!f->more && end != d->total)))
		return TG_WHY_frag_bad;
	while (*q && (*q)->off + (*q)->len <= f->off)
		q = &(*q)->next;
	*at = q;
	if (!f->more && *q && (*q)->off >= end) /* data behind the end */
		return TG_WHY_frag_bad;
	if (!*q || end <= (*q)->off)
		return TG_WHY_none;
	/* Networks duplicate; that harms nothing (RFC 8200 section 4.5). */
	return (*q)->off == f->off && (*q)->len == f->len ? TG_WHY_frag_duplicate : TG_WHY_frag_bad;
}

/* Tiny first fragments and fragments that overwrite the header of an upper layer are attacks on
 * filters (RFC 1858, 3128). Empty ones prove nothing. */
static bool sizes_ok(const struct tg_rx *p, const struct tg_frag_info *f, uint8_t proto)
{
	uint32_t least = proto == IPPROTO_TCP ? 16 : 8;

	if (!f->len || (f->more && f->len % 8) || f->hdr_len + f->off + f->len > UINT16_MAX)
		return false;
	if (f->off)
		return f->off >= least;
	return f->len >= least || !f->more;
}

/* Takes the pieces out and chains their buffers. The first one's data is at its IP header. */
static struct rte_mbuf *join(struct tg_net *n, struct datagram *d)
{
	struct rte_mbuf *head = d->first->m, *tail = head;
	struct piece *q = d->first;

	d->first = q->next;
	piece_put(n->frag, q);
	while ((q = d->first)) {
		d->first = q->next;
		tail->next = q->m;
		tail = q->m;
		head->nb_segs++;
		head->pkt_len += q->m->pkt_len;
		piece_put(n->frag, q);
	}
	return head;
}

/* Cuts the fragment header of `hdr_len` bytes of headers out, so that a plain packet is left. */
static void unfragment(struct tg_rx *p, uint16_t hdr_len)
{
	uint8_t *h = rte_pktmbuf_mtod(p->m, uint8_t *);
	uint16_t sum;

	if (!p->v6) {
		tg_store_be16(h + 2, (uint16_t)p->m->pkt_len);
		memset(h + 6, 0, 2);
		memset(h + 10, 0, 2);
		sum = tg_csum_of(tg_csum_raw(h, hdr_len));
		memcpy(h + 10, &sum, 2);
		p->l4_off = hdr_len;
		return;
	}
	p->l4_off = (uint16_t)(hdr_len - 8);
	p->proto = h[p->l4_off];
	h[p->nh_off] = p->proto;
	memmove(h + 8, h, p->l4_off);
	h = (uint8_t *)rte_pktmbuf_adj(p->m, 8);
	tg_store_be16(h + 4, (uint16_t)(p->m->pkt_len - 40));
}

static void complete(struct tg_net *n, struct tg_rx *p, struct datagram *d)
{
	n->stats->rx_in_flight -= d->n;
	n->stats->rx_absorbed_fragments += d->n - 1;
	n->stats->rx_reassembled++;
	p->m = join(n, d);
	p->nh_off = d->nh_off;
	p->tos = d->tos;
	if (d->congested && p->tos & 3)
		p->tos |= 3;
	p->reassembled = true;
	unfragment(p, d->hdr_len);
	datagram_put(n, d);
}

/* Links the fragment in. p->m becomes NULL, or the whole datagram. */
static void keep(struct tg_net *n, struct tg_rx *p, struct datagram *d,
	const struct tg_frag_info *f, struct piece **at)
{
	struct tg_frag_table *t = n->frag;
	struct piece *q = t->free_piece;

	t->free_piece = q->next;
	t->n_pieces++;
	*q = (struct piece){.m = p->m, .off = f->off, .len = f->len, .next = *at};
	*at = q;
	d->n++;
	d->got += f->len;
	d->congested |= (p->tos & 3) == 3;
	if (!f->more)
		d->total = f->off + f->len;
	if (f->off == 0) {
		d->hdr_len = f->hdr_len;
		d->nh_off = p->nh_off;
		d->ifidx = p->ifidx;
		d->tos = p->tos;
		d->proto = p->v6 ? *rte_pktmbuf_mtod_offset(p->m, uint8_t *, f->hdr_len - 8)
				 : p->proto;
	} else {
		rte_pktmbuf_adj(p->m, f->hdr_len);
	}
	n->stats->rx_in_flight++;
	p->m = NULL;
	if (!d->total || d->got != d->total) /* no overlaps: the sum says it all */
		return;
	if (d->hdr_len + d->total > UINT16_MAX) /* the first one's header is the longer one */
		refuse(n, d);
	else
		complete(n, p, d);
}

enum tg_why tg_frag_input(struct tg_net *n, struct tg_rx *p, const struct tg_frag_info *f)
{
	struct key key = {p->src, p->dst, f->id, p->v6 ? 0 : p->proto};
	uint8_t proto =
		p->v6 ? *rte_pktmbuf_mtod_offset(p->m, uint8_t *, f->hdr_len - 8) : p->proto;
	struct tg_frag_table *t = n->frag;
	struct piece **at;
	struct datagram *d;
	enum tg_why why;

	n->stats->rx_fragments++;
	if (!f->off && !f->more) { /* atomic: alone, whatever else has its id (RFC 6946) */
		p->reassembled = true;
		unfragment(p, f->hdr_len);
		return TG_WHY_none;
	}
	if (!sizes_ok(p, f, proto))
		return TG_WHY_frag_bad;
	d = datagram_get(n, &key, p->v6);
	if (!d)
		return TG_WHY_frag_table_full;
	if (d->refused)
		return TG_WHY_frag_bad;
	why = place(d, f, &at);
	if (why == TG_WHY_frag_duplicate)
		return why;
	if (why || d->n == PIECES_EACH)
		return refuse(n, d);
	while (!t->free_piece)
		if (!make_room(n, d))
			return TG_WHY_frag_table_full;
	keep(n, p, d, f, at);
	return TG_WHY_none;
}

int tg_frag_init(struct tg_net *n, const struct tg_net_conf *c)
{
	uint32_t size = c->max_reassembly ? c->max_reassembly : 256;
	struct tg_frag_table *t = rte_zmalloc_socket(NULL, sizeof(*t), 64, (int)c->socket);
	int kind = tg_wheel_kind(n->wheel, on_timeout, n);

	n->frag = t;
	if (!t || kind < 0)
		return TG_ENOMEM;
	t->timer_kind = (uint8_t)kind;
	t->size = size;
	t->timeout6 = c->reassembly_timeout ? c->reassembly_timeout : TIMEOUT6;
	t->hash = tg_net_table("frag", size, sizeof(struct key), (int)c->socket);
	t->d = rte_calloc_socket(NULL, size, sizeof(*t->d), 64, (int)c->socket);
	t->pieces = rte_calloc_socket(NULL, 4 * size, sizeof(*t->pieces), 64, (int)c->socket);
	if (!t->hash || !t->d || !t->pieces)
		return TG_ENOMEM;
	tg_list_init(&t->used);
	tg_list_init(&t->free);
	for (uint32_t i = 0; i < size; i++)
		tg_list_push(&t->free, &t->d[i].link);
	for (uint32_t i = 4 * size; i-- > 0;) {
		t->pieces[i].next = t->free_piece;
		t->free_piece = &t->pieces[i];
	}
	return 0;
}

void tg_frag_fini(struct tg_net *n)
{
	struct tg_frag_table *t = n->frag;

	if (!t)
		return;
	for (uint32_t i = 0; t->d && i < t->size; i++) {
		if (!tg_timer_running(&t->d[i].timer))
			continue;
		drop_pieces(n, &t->d[i], TG_WHY_frag_timeout);
		tg_timer_stop(n->wheel, &t->d[i].timer);
	}
	rte_hash_free(t->hash);
	rte_free(t->d);
	rte_free(t->pieces);
	rte_free(t);
}

void tg_frag_usage(const struct tg_net *n, struct tg_net_usage *u)
{
	u->reassembly = n->frag->n;
	u->reassembly_max = n->frag->size;
}

static bool datagram_ok(const struct datagram *d, uint32_t *pieces)
{
	uint32_t count = 0, got = 0, end = 0;

	for (const struct piece *q = d->first; q; q = q->next) {
		if (q->off < end || ++count > PIECES_EACH || !rte_pktmbuf_is_contiguous(q->m) ||
			q->m->pkt_len != q->len + (q->off ? 0u : d->hdr_len))
			return false;
		end = q->off + q->len;
		got += q->len;
	}
	*pieces += count;
	return count == d->n && (d->refused ? !count : got == d->got && count) &&
	       (!d->total || got < d->total || d->refused);
}

bool tg_frag_validate(const struct tg_net *n)
{
	const struct tg_frag_table *t = n->frag;
	uint32_t used = 0, pieces = 0;

	for (uint32_t i = 0; i < t->size; i++) {
		if (!tg_timer_running(&t->d[i].timer))
			continue;
		used++;
		if (!datagram_ok(&t->d[i], &pieces))
			return false;
	}
	return used == t->n && pieces == t->n_pieces && rte_hash_count(t->hash) == (int)used &&
	       n->stats->rx_in_flight ==
		       pieces + n->stats->rx_steered_out - n->stats->rx_steered_in;
}
