#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <tidegate/view.h>

#include "outside.h"

#define CLIENTS_NET RTE_IPV4(10, 64, 0, 1)
#define PORTS_AN_ADDRESS 50000u
#define FIRST_PORT 10000u
#define GATE_NORTH RTE_IPV4(10, 0, 0, 1)
#define GATE_SOUTH RTE_IPV4(10, 1, 0, 1)
#define ORIGIN RTE_IPV4(10, 1, 0, 2)
#define GATE_PORT 80
#define ORIGIN_PORT 8080
#define WINDOW 65535
#define ICMP6_NS 135
#define ICMP6_NA 136
#define ORIGIN_PORTS 65536
#define NUMBER_DIGITS 9
#define FIN RTE_TCP_FIN_FLAG
#define SYN RTE_TCP_SYN_FLAG
#define RST RTE_TCP_RST_FLAG
#define PSH RTE_TCP_PSH_FLAG
#define ACK RTE_TCP_ACK_FLAG

/* Clients have the last 32 bits of their IPv4 address, less its net. */
static const uint8_t clients6[16] = {0xfd, 0x64}, gate6[16] = {0xfd, 0x10, [15] = 1},
		     router6[16] = {0xfd, 0x10, [15] = 2};
static const uint8_t macs[OUTSIDE_SIDES][6] = {{2, 0, 0, 0, 1, 2}, {2, 0, 0, 0, 2, 2}};

/* MSS 1460, SACK permitted, timestamps, window scale 7: as Linux */
static const uint8_t syn_options[20] = {
	2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7};
#define SYN_TS 8
static const uint8_t options[12] = {1, 1, 8, 10};
#define TS 4

/* 350 bytes with what is put between the parts: the length that PERFORMANCE figures are given for.
 */
static const char request_1[] = "GET ";
static const char request_own[] = "/c/"; /* behind what conf.path puts in front */
static const char request_2[] =
	" HTTP/1.1\r\nHost: shop.example\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0\r\n"
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
	"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"
	"Cookie: session=8f14e45fceea167a5a36dedd4bea2543\r\n";
static const char request_keep[] = "\r\n";
static const char request_last[] = "Connection: close\r\n\r\n";
static const char answer_head[] = "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n";

static void fail(struct outside *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct outside *o, const char *fmt, ...)
{
	va_list ap;

	if (o->failure[0])
		return;
	va_start(ap, fmt);
	vsnprintf(o->failure, sizeof(o->failure), fmt, ap);
	va_end(ap);
}

static void *zeroed(size_t n)
{
	/* Touched now: the memory of those outside is not to be counted as the gate's. */
	void *p = mmap(
		NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

bool outside_init(struct outside *o, const struct outside_conf *conf)
{
	memset(o, 0, sizeof(*o));
	o->conf = *conf;
	o->clients = zeroed(conf->clients * sizeof(o->clients[0]));
	o->origins = zeroed(ORIGIN_PORTS * sizeof(o->origins[0]));
	return o->clients && o->origins;
}

void outside_fini(struct outside *o)
{
	if (o->clients)
		munmap(o->clients, o->conf.clients * sizeof(o->clients[0]));
	if (o->origins)
		munmap(o->origins, ORIGIN_PORTS * sizeof(o->origins[0]));
}

/* --- frames out ------------------------------------------------------------------------------ */

struct segment {
	enum outside_side side;
	bool v6;
	uint32_t src, dst; /* v6: src is the host's part, dst the gate's only one */
	uint16_t sport, dport;
	uint8_t flags;
	const struct tg_view *part;
	uint32_t n_parts;
};

static void put_ts(const struct outside *o, uint8_t *at, const struct outside_peer *p)
{
	uint32_t v[2] = {rte_cpu_to_be_32(o->now_ms), rte_cpu_to_be_32(p->ts)};

	memcpy(at, v, sizeof(v));
}

static uint32_t put_options(
	const struct outside *o, uint8_t *at, const struct outside_peer *p, bool syn)
{
	if (syn) {
		memcpy(at, syn_options, sizeof(syn_options));
		put_ts(o, at + SYN_TS, p);
		return sizeof(syn_options);
	}
	memcpy(at, options, sizeof(options));
	put_ts(o, at + TS, p);
	return sizeof(options);
}

static uint8_t *put_parts(const struct segment *s, uint8_t *at)
{
	for (uint32_t i = 0; i < s->n_parts; i++) {
		memcpy(at, s->part[i].p, s->part[i].n);
		at += s->part[i].n;
	}
	return at;
}

/* What is behind an Ethernet header, in front of the TCP header: the IP header. */
static uint32_t ip_len(const struct segment *s)
{
	return s->v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
}

static void put_ipv4(
	const struct outside *o, const struct segment *s, struct rte_ipv4_hdr *ip, uint32_t tcp_len)
{
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);

	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + tcp_len)),
		.fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_TCP,
		.src_addr = rte_cpu_to_be_32(s->src),
		.dst_addr = rte_cpu_to_be_32(s->dst)};
	if (o->conf.checksums) {
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		tcp->cksum = rte_ipv4_udptcp_cksum(ip, tcp);
	}
}

static void put_ipv6(
	const struct outside *o, const struct segment *s, struct rte_ipv6_hdr *ip, uint32_t tcp_len)
{
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);
	uint32_t host = rte_cpu_to_be_32(s->src);

	*ip = (struct rte_ipv6_hdr){.vtc_flow = rte_cpu_to_be_32(6u << 28),
		.payload_len = rte_cpu_to_be_16((uint16_t)tcp_len),
		.proto = IPPROTO_TCP,
		.hop_limits = 64};
	memcpy(ip->src_addr, clients6, 12);
	memcpy(ip->src_addr + 12, &host, 4);
	memcpy(ip->dst_addr, gate6, 16);
	if (o->conf.checksums)
		tcp->cksum = rte_ipv6_udptcp_cksum(ip, tcp);
}

/* Sends and moves SND.NXT. */
static void transmit(struct outside *o, struct outside_peer *p, const struct segment *s)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(o->conf.mbufs);
	struct rte_ether_hdr *eth;
	struct rte_tcp_hdr *tcp;
	uint8_t *payload, *end;

	if (!m) {
		fail(o, "out of packet buffers");
		return;
	}
	eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	tcp = (struct rte_tcp_hdr *)((uint8_t *)(eth + 1) + ip_len(s));
	memcpy(&eth->dst_addr, o->gate_mac[s->side], 6);
	memcpy(&eth->src_addr, macs[s->side], 6);
	eth->ether_type = rte_cpu_to_be_16(s->v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	payload = (uint8_t *)(tcp + 1);
	payload += put_options(o, payload, p, s->flags & SYN);
	end = put_parts(s, payload);
	*tcp = (struct rte_tcp_hdr){.src_port = rte_cpu_to_be_16(s->sport),
		.dst_port = rte_cpu_to_be_16(s->dport),
		.sent_seq = rte_cpu_to_be_32(p->seq),
		.recv_ack = rte_cpu_to_be_32(s->flags & ACK ? p->ack : 0),
		.data_off = (uint8_t)((payload - (uint8_t *)tcp) << 2),
		.tcp_flags = s->flags,
		.rx_win = rte_cpu_to_be_16(WINDOW)};
	if (s->v6)
		put_ipv6(o, s, (struct rte_ipv6_hdr *)(eth + 1), (uint32_t)(end - (uint8_t *)tcp));
	else
		put_ipv4(o, s, (struct rte_ipv4_hdr *)(eth + 1), (uint32_t)(end - (uint8_t *)tcp));
	m->data_len = (uint16_t)(end - (uint8_t *)eth);
	m->pkt_len = m->data_len;
	m->ol_flags =
		o->conf.checksums ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	p->seq += (uint32_t)(end - payload) + !!(s->flags & SYN) + !!(s->flags & FIN);
	o->conf.send(o->conf.ctx, s->side, m);
}

static void client_sends(
	struct outside *o, uint32_t n, uint8_t flags, const struct tg_view *part, uint32_t n_parts)
{
	bool v6 = n % 2;
	const struct segment s = {.side = OUTSIDE_NORTH,
		.v6 = v6,
		.src = (v6 ? 1 : CLIENTS_NET) + n / PORTS_AN_ADDRESS,
		.sport = (uint16_t)(FIRST_PORT + n % PORTS_AN_ADDRESS),
		.dst = GATE_NORTH,
		.dport = GATE_PORT,
		.flags = flags,
		.part = part,
		.n_parts = n_parts};

	transmit(o, &o->clients[n], &s);
}

static void origin_sends(struct outside *o, uint16_t port, uint8_t flags,
	const struct tg_view *part, uint32_t n_parts)
{
	const struct segment s = {.side = OUTSIDE_SOUTH,
		.src = ORIGIN,
		.sport = ORIGIN_PORT,
		.dst = GATE_SOUTH,
		.dport = port,
		.flags = flags,
		.part = part,
		.n_parts = n_parts};

	transmit(o, &o->origins[port], &s);
}

/* --- what clients do ------------------------------------------------------------------------- */

static void expect(struct outside *o, uint32_t n, enum outside_state now, enum outside_state next)
{
	if (outside_state(o, n) != now)
		fail(o, "client %u: state %u, should be %u", n, o->clients[n].state, now);
	o->clients[n].state = next;
}

void outside_open(struct outside *o, uint32_t n)
{
	struct outside_peer *c = &o->clients[n];

	expect(o, n, CLIENT_CLOSED, CLIENT_OPENING);
	/* Beyond what an earlier connection of this address has used. */
	c->seq += 100000;
	c->ack = c->ts = 0;
	o->pending++;
	client_sends(o, n, SYN, NULL, 0);
}

void outside_open_again(struct outside *o)
{
	for (uint32_t n = 0; n < o->conf.clients; n++)
		if (outside_state(o, n) == CLIENT_OPENING) {
			o->clients[n].seq--;
			client_sends(o, n, SYN, NULL, 0);
		}
}

static void put_number(char *at, uint32_t n)
{
	for (uint32_t i = NUMBER_DIGITS; i-- > 0; n /= 10)
		at[i] = (char)('0' + n % 10);
}

void outside_ask(struct outside *o, uint32_t n, bool last)
{
	char number[NUMBER_DIGITS];
	const char *tail = last ? request_last : request_keep;
	const char *path = o->conf.path ? o->conf.path(o->conf.ctx) : "";
	const struct tg_view part[] = {tg_view_str(request_1), tg_view_str(path),
		tg_view_str(request_own), tg_view_of(number, sizeof(number)),
		tg_view_str(request_2), tg_view_str(tail)};

	expect(o, n, CLIENT_OPEN, last ? CLIENT_ENDING : CLIENT_ASKING);
	put_number(number, n);
	o->pending++;
	client_sends(o, n, ACK | PSH, part, RTE_DIM(part));
}

void outside_close(struct outside *o, uint32_t n)
{
	expect(o, n, CLIENT_OPEN, CLIENT_CLOSING);
	o->pending++;
	client_sends(o, n, ACK | FIN, NULL, 0);
}

void outside_reset(struct outside *o, uint32_t n)
{
	expect(o, n, CLIENT_OPEN, CLIENT_CLOSED);
	client_sends(o, n, RST | ACK, NULL, 0);
	o->closed++;
}

/* --- frames in ------------------------------------------------------------------------------- */

struct incoming {
	uint32_t seq, ack, len, tsval;
	uint16_t sport, dport;
	uint8_t flags;
	const char *payload;
};

static void finished(struct outside *o, struct outside_peer *c, enum outside_state next)
{
	c->state = next;
	o->pending--;
}

/* An answer in one segment that says the client's own number. */
static void check_answer(struct outside *o, uint32_t n, const struct incoming *in)
{
	char number[NUMBER_DIGITS];
	const char *end = memmem(in->payload, in->len, "\r\n\r\n", 4);

	put_number(number, n);
	if (in->len < 12 || memcmp(in->payload, "HTTP/1.1 200", 12) != 0)
		fail(o, "client %u: %.12s", n, in->payload);
	else if (!end || in->payload + in->len - (end + 4) != OUTSIDE_ANSWER)
		fail(o, "client %u: an answer of %u bytes is not whole", n, in->len);
	else if (memcmp(end + 4, number, NUMBER_DIGITS) != 0)
		fail(o, "client %u: somebody else's answer, %.9s", n, end + 4);
}

static void client_data(struct outside *o, uint32_t n, const struct incoming *in)
{
	struct outside_peer *c = &o->clients[n];

	if (c->state != CLIENT_ASKING && c->state != CLIENT_ENDING) {
		fail(o, "client %u: %u bytes that nobody asked for", n, in->len);
		return;
	}
	check_answer(o, n, in);
	c->ack += in->len;
	o->answered++;
	if (c->state == CLIENT_ASKING)
		finished(o, c, CLIENT_OPEN);
	if (!(in->flags & FIN))
		client_sends(o, n, ACK, NULL, 0);
}

static void client_fin(struct outside *o, uint32_t n)
{
	struct outside_peer *c = &o->clients[n];

	c->ack++;
	switch (c->state) {
	case CLIENT_CLOSING:
		client_sends(o, n, ACK, NULL, 0);
		break;
	case CLIENT_OPEN: /* idle timeout, shedding, drain */
		o->pending++;
		o->pushed_out++;
		client_sends(o, n, ACK | FIN, NULL, 0);
		break;
	case CLIENT_ENDING:
		client_sends(o, n, ACK | FIN, NULL, 0);
		break;
	default:
		fail(o, "client %u: FIN in state %u", n, c->state);
		return;
	}
	finished(o, c, CLIENT_CLOSED);
	o->closed++;
}

static void client_input(struct outside *o, uint32_t n, const struct incoming *in)
{
	struct outside_peer *c = &o->clients[n];

	if (c->state == CLIENT_CLOSED)
		return; /* the ACK of our last FIN, or an answer to a RST */
	if (in->flags & RST) {
		if (c->state != CLIENT_OPEN)
			fail(o, "client %u: reset in state %u", n, c->state);
		c->state = CLIENT_CLOSED;
		o->pushed_out++;
		return;
	}
	c->ts = in->tsval;
	if (c->state == CLIENT_OPENING) {
		if ((in->flags & (SYN | ACK)) != (SYN | ACK) || in->ack != c->seq) {
			fail(o, "client %u: no SYN-ACK but flags %#x", n, in->flags);
			return;
		}
		c->ack = in->seq + 1;
		o->opened++;
		finished(o, c, CLIENT_OPEN);
		client_sends(o, n, ACK, NULL, 0);
		return;
	}
	if (in->seq != c->ack) {
		if ((int32_t)(in->seq - c->ack) > 0)
			fail(o, "client %u: %u bytes were lost", n, in->seq - c->ack);
		o->repeats++;
		client_sends(o, n, ACK, NULL, 0);
		return;
	}
	if (in->len)
		client_data(o, n, in);
	if (in->flags & FIN)
		client_fin(o, n);
}

static void origin_answers(struct outside *o, uint16_t port, const struct incoming *in)
{
	static const char filler[OUTSIDE_ANSWER - NUMBER_DIGITS] = "";
	const char *own =
		in->len ? memmem(in->payload, in->len, request_own, sizeof(request_own) - 1) : NULL;
	const char *number = own ? own + sizeof(request_own) - 1 : in->payload;
	const struct tg_view part[] = {tg_view_str(answer_head), tg_view_of(number, NUMBER_DIGITS),
		tg_view_of(filler, sizeof(filler))};

	if (!own || (size_t)(in->payload + in->len - own) < sizeof(request_own) + NUMBER_DIGITS ||
		memcmp(in->payload, request_1, sizeof(request_1) - 1) != 0 ||
		memcmp(in->payload + in->len - 4, "\r\n\r\n", 4) != 0) {
		fail(o, "origin: a request of %u bytes is not whole: %.20s", in->len, in->payload);
		return;
	}
	origin_sends(o, port, ACK | PSH, part, RTE_DIM(part));
}

static void origin_input(struct outside *o, uint16_t port, const struct incoming *in)
{
	struct outside_peer *p = &o->origins[port];

	if (in->flags & RST)
		return;
	p->ts = in->tsval;
	if (in->flags & SYN) {
		p->seq += 100000;
		p->ack = in->seq + 1;
		origin_sends(o, port, SYN | ACK, NULL, 0);
		return;
	}
	if (in->seq != p->ack) {
		if ((int32_t)(in->seq - p->ack) > 0)
			fail(o, "origin: %u bytes were lost", in->seq - p->ack);
		o->repeats++;
		origin_sends(o, port, ACK, NULL, 0);
		return;
	}
	p->ack += in->len;
	if (in->len)
		origin_answers(o, port, in);
	if (in->flags & FIN) {
		p->ack++;
		origin_sends(o, port, ACK | FIN, NULL, 0);
	}
}

/* host: of the destination address, v6 or not. */
static void tcp_input(struct outside *o, enum outside_side side, const struct rte_tcp_hdr *tcp,
	uint32_t len, bool v6, uint32_t host)
{
	uint32_t header = (uint32_t)(tcp->data_off >> 4) * 4;
	const uint8_t *opts = (const uint8_t *)(tcp + 1);
	struct incoming in = {.sport = rte_be_to_cpu_16(tcp->src_port),
		.dport = rte_be_to_cpu_16(tcp->dst_port),
		.seq = rte_be_to_cpu_32(tcp->sent_seq),
		.ack = rte_be_to_cpu_32(tcp->recv_ack),
		.flags = tcp->tcp_flags,
		.len = len - header,
		.payload = (const char *)tcp + header};
	uint32_t ts = 0;

	/* Its SYN-ACK has the timestamp behind MSS and SACK-permitted, everything else in front. */
	if (header > 20)
		memcpy(&ts, opts + (in.flags & SYN ? SYN_TS : TS), sizeof(ts));
	in.tsval = rte_be_to_cpu_32(ts);
	if (side == OUTSIDE_SOUTH) {
		origin_input(o, in.sport, &in);
	} else {
		uint32_t n =
			(host - (v6 ? 1 : CLIENTS_NET)) * PORTS_AN_ADDRESS + in.dport - FIRST_PORT;

		if (n < o->conf.clients && n % 2 == v6)
			client_input(o, n, &in);
		else
			fail(o, "a segment to nobody, %#x:%u", host, in.dport);
	}
}

static void ipv4_input(struct outside *o, enum outside_side side, const struct rte_ipv4_hdr *ip)
{
	if (ip->next_proto_id == IPPROTO_TCP)
		tcp_input(o, side, (const struct rte_tcp_hdr *)(ip + 1),
			rte_be_to_cpu_16(ip->total_length) - (uint32_t)sizeof(*ip), false,
			rte_be_to_cpu_32(ip->dst_addr));
}

void outside_greet(struct outside *o)
{
	static const uint32_t us[] = {RTE_IPV4(10, 0, 0, 2), ORIGIN},
			      gate[] = {GATE_NORTH, GATE_SOUTH};

	for (uint32_t side = 0; side < OUTSIDE_SIDES; side++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(o->conf.mbufs);
		struct rte_ether_hdr *eth;
		struct rte_arp_hdr *arp;

		if (!m || o->known[side]) {
			rte_pktmbuf_free(m);
			continue;
		}
		eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
		m->data_len = sizeof(*eth) + sizeof(*arp);
		m->pkt_len = m->data_len;
		arp = (struct rte_arp_hdr *)(eth + 1);
		memset(&eth->dst_addr, 0xff, 6);
		memcpy(&eth->src_addr, macs[side], 6);
		eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP);
		*arp = (struct rte_arp_hdr){.arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER),
			.arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4),
			.arp_hlen = 6,
			.arp_plen = 4,
			.arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REQUEST),
			.arp_data = {.arp_sip = rte_cpu_to_be_32(us[side]),
				.arp_tip = rte_cpu_to_be_32(gate[side])}};
		memcpy(&arp->arp_data.arp_sha, macs[side], 6);
		o->conf.send(o->conf.ctx, side, m);
	}
}

bool outside_ready(const struct outside *o)
{
	return o->known[OUTSIDE_NORTH] && o->known[OUTSIDE_SOUTH];
}

static void arp_input(struct outside *o, enum outside_side side, struct rte_mbuf *m)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_arp_hdr *arp = (struct rte_arp_hdr *)(eth + 1);
	uint32_t asked = arp->arp_data.arp_tip;

	memcpy(o->gate_mac[side], &arp->arp_data.arp_sha, 6);
	o->known[side] = true;
	if (arp->arp_opcode != rte_cpu_to_be_16(RTE_ARP_OP_REQUEST) ||
		asked == arp->arp_data.arp_sip) {
		rte_pktmbuf_free(m);
		return;
	}
	arp->arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REPLY);
	arp->arp_data.arp_tha = arp->arp_data.arp_sha;
	arp->arp_data.arp_tip = arp->arp_data.arp_sip;
	memcpy(&arp->arp_data.arp_sha, macs[side], 6);
	arp->arp_data.arp_sip = asked;
	eth->dst_addr = eth->src_addr;
	memcpy(&eth->src_addr, macs[side], 6);
	m->ol_flags = 0;
	o->conf.send(o->conf.ctx, side, m);
}

/* Turns a solicitation of the router's address into the advertisement. */
static bool advertise(struct rte_ether_hdr *eth, struct rte_ipv6_hdr *ip)
{
	uint8_t *nd = (uint8_t *)(ip + 1);
	uint16_t sum;

	if (ip->proto != IPPROTO_ICMPV6 || nd[0] != ICMP6_NS || memcmp(nd + 8, router6, 16) != 0)
		return false;
	memset(nd, 0, 8);
	nd[0] = ICMP6_NA;
	nd[4] = 0x60; /* solicited, override */
	nd[24] = 2;   /* target's hardware address */
	nd[25] = 1;
	memcpy(nd + 26, macs[OUTSIDE_NORTH], 6);
	memcpy(ip->dst_addr, ip->src_addr, 16);
	memcpy(ip->src_addr, router6, 16);
	ip->payload_len = rte_cpu_to_be_16(32);
	sum = rte_ipv6_udptcp_cksum(ip, nd);
	memcpy(nd + 2, &sum, 2);
	eth->dst_addr = eth->src_addr;
	memcpy(&eth->src_addr, macs[OUTSIDE_NORTH], 6);
	return true;
}

/* True: m is sent back. */
static bool ipv6_input(struct outside *o, enum outside_side side, struct rte_mbuf *m)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(eth + 1);
	uint32_t host;

	if (ip->proto == IPPROTO_TCP) {
		memcpy(&host, ip->dst_addr + 12, 4);
		tcp_input(o, side, (const struct rte_tcp_hdr *)(ip + 1),
			rte_be_to_cpu_16(ip->payload_len), true, rte_be_to_cpu_32(host));
	} else if (side == OUTSIDE_NORTH && advertise(eth, ip)) {
		m->data_len = sizeof(*eth) + sizeof(*ip) + 32;
		m->pkt_len = m->data_len;
		m->ol_flags = 0;
		o->conf.send(o->conf.ctx, side, m);
		return true;
	}
	return false;
}

void outside_input(struct outside *o, enum outside_side side, struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	switch (rte_be_to_cpu_16(eth->ether_type)) {
	case RTE_ETHER_TYPE_ARP:
		arp_input(o, side, m);
		return;
	case RTE_ETHER_TYPE_IPV4:
		ipv4_input(o, side, (const struct rte_ipv4_hdr *)(eth + 1));
		break;
	case RTE_ETHER_TYPE_IPV6:
		if (ipv6_input(o, side, m))
			return;
		break;
	}
	rte_pktmbuf_free(m);
}
