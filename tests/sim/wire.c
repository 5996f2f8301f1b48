#include <stdlib.h>

#include "sim.h"

#define ETH 14
#define ROUTER_LAST 0xfe /* last byte of the address that packet-too-big comes from */

/* --- arrivals: a binary heap by (time, order) --- */

static bool earlier(const struct sim_pkt *a, const struct sim_pkt *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_push(struct sim_world *w, struct sim_pkt *p)
{
	uint32_t i = w->n_heap++;

	if (w->n_heap > w->cap_heap) {
		w->cap_heap = w->cap_heap ? 2 * w->cap_heap : 1024;
		w->heap = realloc(w->heap, w->cap_heap * sizeof(*w->heap));
		if (!w->heap)
			abort();
	}
	while (i && earlier(p, w->heap[(i - 1) / 2])) {
		w->heap[i] = w->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->heap[i] = p;
}

static struct sim_pkt *heap_pop(struct sim_world *w)
{
	struct sim_pkt *top = w->heap[0], *last = w->heap[--w->n_heap];
	uint32_t i = 0;

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= w->n_heap)
			break;
		if (child + 1 < w->n_heap && earlier(w->heap[child + 1], w->heap[child]))
			child++;
		if (!earlier(w->heap[child], last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return top;
}

uint64_t sim_wire_next(const struct sim_world *w)
{
	return w->n_heap ? w->heap[0]->at : UINT64_MAX;
}

void sim_wire_reset(struct sim_world *w)
{
	while (w->n_heap)
		free(w->heap[--w->n_heap]);
	for (uint32_t i = 0; i < 2; i++) {
		struct sim_host *h = &w->host[i];

		while (h->rx) {
			struct sim_pkt *p = h->rx;

			h->rx = p->next;
			free(p);
		}
		h->rx_tail = &h->rx;
		w->busy_until[i] = w->last_at[i] = 0;
	}
	w->cut = false;
}

void sim_wire_deliver(struct sim_world *w)
{
	while (w->n_heap && w->heap[0]->at <= w->t) {
		struct sim_pkt *p = heap_pop(w);
		struct sim_host *h = &w->host[p->to];
		uint64_t gap = w->p.host[p->to].turn_gap;
		uint64_t at = w->t + (gap ? tg_rng_next(&w->wire_rng) % gap : 0);

		if (!h->up || w->cut) {
			sim_trace_packet(w, !p->to, 'v', p->data, p->len);
			free(p);
			continue;
		}
		p->next = NULL;
		*h->rx_tail = p;
		h->rx_tail = &p->next;
		if (at < h->turn_at)
			h->turn_at = at;
	}
}

/* --- what the wire does to a packet --- */

static bool is_ip(const struct sim_pkt *p)
{
	uint16_t type = tg_load_be16(p->data + 12);

	return p->len > ETH + 20 && (type == 0x0800 || type == 0x86dd);
}

/* Flips one to three bits behind the Ethernet header, at places that differ modulo 16: no sum of
 * such changes is zero in ones' complement, so a 16-bit checksum sees every one of them. IPv6's
 * payload length is left alone: it is covered only by luck. */
static void corrupt(struct sim_world *w, struct sim_pkt *p)
{
	uint32_t n = 1 + tg_rng_below(&w->wire_rng, 3), used = 0;
	uint16_t len = tg_load_be16(p->data + 12) == 0x0800
			       ? tg_load_be16(p->data + ETH + 2)
			       : (uint16_t)(40 + tg_load_be16(p->data + ETH + 4));

	/* Ethernet's padding is nobody's: flips there would be no corruption. */
	if (len > p->len - ETH)
		len = (uint16_t)(p->len - ETH);
	while (n) {
		uint32_t bit = tg_rng_below(&w->wire_rng, 8u * len), byte = bit / 8;

		if (used & 1u << bit % 16)
			continue;
		if (tg_load_be16(p->data + 12) == 0x86dd && (byte == 4 || byte == 5))
			continue;
		used |= 1u << bit % 16;
		p->data[ETH + byte] ^= (uint8_t)(0x80 >> bit % 8);
		n--;
	}
	w->n_corrupt++;
}

static struct sim_pkt *copy_of(const struct sim_pkt *p)
{
	struct sim_pkt *c = malloc(sizeof(*c) + p->len);

	if (!c)
		abort();
	memcpy(c, p, sizeof(*c) + p->len);
	return c;
}

/* What happens to a packet: chances of the direction, or the script's next byte. */
struct fate {
	bool lose, corrupt, dup, late;
	uint64_t delay; /* of a late one, and of the copy */
};

static struct fate fate_of(struct sim_world *w, const struct sim_dir *d)
{
	struct tg_rng *r = &w->wire_rng;
	struct fate f = {0};
	uint8_t b;

	if (!w->script) {
		f.late = sim_chance(r, d->reorder);
		f.lose = sim_chance(r, d->loss);
		f.corrupt = sim_chance(r, d->corrupt);
		f.dup = sim_chance(r, d->dup);
		f.delay = tg_rng_next(r) % (d->reorder_delay + 1);
		return f;
	}
	if (!w->script_left)
		return f;
	w->script_left--;
	b = *w->script++;
	f.lose = (b & 7) == 4;
	f.corrupt = (b & 7) == 5;
	f.dup = (b & 7) == 6;
	f.late = (b & 7) == 7;
	f.delay = (d->delay / 4 + 1) * (b >> 3);
	return f;
}

/* Takes p: from the sender's end of the wire to the heap, or nowhere. */
static void travel(struct sim_world *w, uint8_t from, struct sim_pkt *p, uint64_t ready)
{
	const struct sim_dir *d = &w->p.dir[from];
	struct tg_rng *r = &w->wire_rng;
	struct fate f = fate_of(w, d);
	char shown = f.lose ? 'l' : f.late ? 'r' : ' ';

	p->to = !from;
	p->at = ready + d->delay + (d->jitter ? tg_rng_next(r) % d->jitter : 0);
	p->order = w->order++;
	if (f.late)
		p->at += f.delay;
	else if (d->fifo && p->at < w->last_at[from])
		p->at = w->last_at[from];
	else
		w->last_at[from] = p->at;
	if (f.corrupt && !f.lose && is_ip(p)) {
		corrupt(w, p);
		shown = 'c';
	}
	sim_trace_packet(w, from, shown, p->data, p->len);
	if (f.lose) {
		w->n_lost++;
		free(p);
		return;
	}
	if (f.dup) {
		struct sim_pkt *c = copy_of(p);

		c->at += f.delay;
		c->order = w->order++;
		heap_push(w, c);
	}
	heap_push(w, p);
}

/* --- forged segments ---
 *
 * Off the path, but lucky with addresses, ports and the window: RST, SYN, SYN-ACK, RST-ACK and ACK
 * with a sequence number that lies ahead of everything sent, so never the very next one. RFC 5961:
 * none of them may harm a connection. (During a handshake a forged SYN can: simultaneous open.) */

static void forge(struct sim_world *w, uint8_t from, const struct sim_pkt *p)
{
	static const uint8_t flags[] = {TG_TCP_RST, TG_TCP_SYN, TG_TCP_RST | TG_TCP_ACK,
		TG_TCP_SYN | TG_TCP_ACK, TG_TCP_ACK};
	bool v6 = tg_load_be16(p->data + 12) == 0x86dd;
	uint32_t ip = v6 ? 40 : 20, ahead = 1 + tg_rng_below(&w->wire_rng, 60000), seq;
	struct sim_pkt *f;
	uint8_t *h, *tcp;

	if (p->len < ETH + ip + 20 || p->data[ETH + (v6 ? 6 : 9)] != 6 ||
		p->data[ETH + ip + 13] & TG_TCP_SYN)
		return;
	f = malloc(sizeof(*f) + ETH + ip + 20);
	if (!f)
		abort();
	f->len = (uint16_t)(ETH + ip + 20);
	memcpy(f->data, p->data, f->len);
	h = f->data + ETH;
	tcp = h + ip;
	seq = tg_load_be32(tcp + 4) + p->len - f->len + 1;
	tg_store_be32(tcp + 4, seq + ahead);
	tg_store_be32(tcp + 8, (uint32_t)tg_rng_next(&w->wire_rng));
	tcp[12] = 5 << 4;
	tcp[13] = flags[tg_rng_below(&w->wire_rng, TG_ARRAY_LEN(flags))];
	tg_store_be16(tcp + 16, 0);
	if (v6) {
		tg_store_be16(h + 4, 20);
	} else {
		tg_store_be16(h + 2, 40);
		tg_store_be16(h + 10, 0);
		tg_store_be16(h + 10, sim_sum16(h, 20, 0));
	}
	tg_store_be16(tcp + 16,
		sim_sum16(tcp, 20, 26 + (uint16_t)~sim_sum16(h + (v6 ? 8 : 12), v6 ? 32 : 8, 0)));
	f->to = !from;
	f->at = w->t;
	f->order = w->order++;
	w->n_forged++;
	sim_trace_packet(w, from, 'f', f->data, f->len);
	heap_push(w, f);
}

/* --- packet too big --- */

uint16_t sim_sum16(const uint8_t *p, uint32_t n, uint32_t sum)
{
	for (; n > 1; p += 2, n -= 2)
		sum += tg_load_be16(p);
	if (n)
		sum += (uint32_t)p[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* An ICMP error from a router in the middle, about p, to its sender. */
static struct sim_pkt *too_big(const struct sim_world *w, const struct sim_pkt *p)
{
	bool v6 = tg_load_be16(p->data + 12) == 0x86dd;
	uint32_t ip = v6 ? 40 : 20, quoted = p->len - ETH, total;
	struct sim_pkt *e;
	uint8_t *h;

	if (quoted > (v6 ? 1280u - 48 : 548u))
		quoted = v6 ? 1280 - 48 : 548;
	total = ip + 8 + quoted;
	e = calloc(1, sizeof(*e) + ETH + total);
	if (!e)
		abort();
	e->len = (uint16_t)(ETH + total);
	memcpy(e->data, p->data + 6, 6);
	memcpy(e->data + 6, p->data, 6);
	memcpy(e->data + 12, p->data + 12, 2);
	h = e->data + ETH;
	memcpy(h + ip + 8, p->data + ETH, quoted);
	h[ip] = v6 ? 2 : 3;
	h[ip + 1] = v6 ? 0 : 4;
	tg_store_be16(h + ip + 6, w->p.path_mtu);
	if (v6) {
		h[0] = 0x60;
		tg_store_be16(h + 4, (uint16_t)(8 + quoted));
		h[6] = 58;
		h[7] = 64;
		memcpy(h + 8, p->data + ETH + 24, 16);
		h[23] = ROUTER_LAST;
		memcpy(h + 24, p->data + ETH + 8, 16);
		tg_store_be16(h + ip + 2, sim_sum16(h + 8, 32 + 8 + quoted, 58 + 8 + quoted));
	} else {
		h[0] = 0x45;
		tg_store_be16(h + 2, (uint16_t)total);
		h[8] = 64;
		h[9] = 1;
		memcpy(h + 12, p->data + ETH + 16, 4);
		h[15] = ROUTER_LAST;
		memcpy(h + 16, p->data + ETH + 12, 4);
		tg_store_be16(h + 10, sim_sum16(h, 20, 0));
		tg_store_be16(h + ip + 2, sim_sum16(h + ip, 8 + quoted, 0));
	}
	return e;
}

static bool exceeds_path(const struct sim_world *w, const struct sim_pkt *p)
{
	return w->p.mtu_change != SIM_MTU_NONE && w->t >= w->p.mtu_at && is_ip(p) &&
	       p->len - ETH > w->p.path_mtu;
}

static void refuse_big(struct sim_world *w, uint8_t from, struct sim_pkt *p)
{
	bool v6 = tg_load_be16(p->data + 12) == 0x86dd;

	sim_trace_packet(w, from, 'b', p->data, p->len);
	if (!v6 && !(p->data[ETH + 6] & 0x40))
		sim_fail(w, "host %c sent %u bytes without DF over a path of %u", 'A' + from,
			p->len - ETH, w->p.path_mtu);
	if (w->p.mtu_change == SIM_MTU_PTB)
		travel(w, !from, too_big(w, p), w->t);
	free(p);
}

/* --- the device --- */

static uint64_t hash_bytes(const uint8_t *p, uint32_t n)
{
	return tg_hash64(0, p, n);
}

static struct sim_pkt *read_frame(const struct rte_mbuf *m)
{
	struct sim_pkt *p = malloc(sizeof(*p) + m->pkt_len);
	uint32_t at = 0;

	if (!p)
		abort();
	p->len = (uint16_t)m->pkt_len;
	for (; m; m = m->next) {
		memcpy(p->data + at, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
		at += m->data_len;
	}
	return p;
}

static void let_go(struct sim_host *h, uint32_t i)
{
	struct sim_pkt *p = read_frame(h->held[i].m);

	/* The device reads the frame when it sends it, not when it is handed over. */
	if (hash_bytes(p->data, p->len) != h->held[i].hash)
		sim_fail(h->w, "host %c changed a frame that its device still had", 'A' + h->idx);
	free(p);
	rte_pktmbuf_free(h->held[i].m);
	memmove(&h->held[i], &h->held[i + 1], (h->n_held - i - 1) * sizeof(h->held[0]));
	h->n_held--;
}

void sim_wire_release(struct sim_host *h, bool all)
{
	bool lazy = h->w->p.host[h->idx].tx_lazy;

	while (h->n_held && (all || (!lazy && h->held[0].done <= h->w->t)))
		let_go(h, 0);
}

static void hold(struct sim_host *h, struct rte_mbuf *m, const struct sim_pkt *p, uint64_t done)
{
	if (h->n_held == SIM_HELD)
		let_go(h, 0);
	h->held[h->n_held++] =
		(struct sim_held){.m = m, .done = done, .hash = hash_bytes(p->data, p->len)};
}

/* Checksums that the stack left to the device. */
static void offload(struct sim_host *h, const struct rte_mbuf *m, struct sim_pkt *p)
{
	uint8_t *ip = p->data + m->l2_len, *tcp = ip + m->l3_len;
	uint32_t len = p->len - m->l2_len - m->l3_len, pseudo;

	if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) {
		tg_store_be16(ip + 10, 0);
		tg_store_be16(ip + 10, sim_sum16(ip, m->l3_len, 0));
	}
	if ((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) != RTE_MBUF_F_TX_TCP_CKSUM)
		return;
	/* A real device adds to what it finds: the pseudo header's sum must be there. */
	pseudo = m->ol_flags & RTE_MBUF_F_TX_IPV6 ? (uint16_t)~sim_sum16(ip + 8, 32, 6 + len)
						  : (uint16_t)~sim_sum16(ip + 12, 8, 6 + len);
	if (tg_load_be16(tcp + 16) != pseudo)
		sim_fail(h->w, "host %c: no pseudo-header checksum for the device", 'A' + h->idx);
	tg_store_be16(tcp + 16, 0);
	tg_store_be16(tcp + 16, sim_sum16(tcp, len, pseudo));
}

static void send_frame(struct sim_host *h, struct rte_mbuf *m)
{
	struct sim_world *w = h->w;
	const struct sim_dir *d = &w->p.dir[h->idx];
	struct sim_pkt *p = read_frame(m);
	uint64_t start = w->busy_until[h->idx] > w->t ? w->busy_until[h->idx] : w->t, end = start;

	w->n_sent++;
	w->n_bytes += p->len;
	hold(h, m, p, start);
	offload(h, m, p);
	if (p->len > w->p.if_mtu + ETH)
		sim_fail(w, "host %c sent a frame of %u bytes, MTU %u", 'A' + h->idx, p->len,
			w->p.if_mtu);
	if (w->cut) {
		sim_trace_packet(w, h->idx, 'v', p->data, p->len);
		free(p);
		return;
	}
	if (d->bps) {
		end = start + (uint64_t)(p->len + 24) * 8 * TG_SEC / d->bps;
		if ((start - w->t) / 1000 * d->bps / 8000000 > d->queue) {
			sim_trace_packet(w, h->idx, 'q', p->data, p->len);
			free(p);
			return;
		}
		w->busy_until[h->idx] = end;
		h->held[h->n_held - 1].done = end;
	}
	if (sim_chance(&w->wire_rng, w->p.attack))
		forge(w, h->idx, p);
	if (exceeds_path(w, p))
		refuse_big(w, h->idx, p);
	else
		travel(w, h->idx, p, end);
}

uint16_t sim_wire_tx(void *dev, struct rte_mbuf **pkts, uint16_t n)
{
	struct sim_host *h = dev;

	if (sim_chance(&h->w->wire_rng, h->w->p.host[h->idx].tx_refuse))
		n = (uint16_t)tg_rng_below(&h->w->wire_rng, n);
	for (uint16_t i = 0; i < n; i++)
		send_frame(h, pkts[i]);
	return n;
}
