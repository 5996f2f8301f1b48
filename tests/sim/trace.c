#include <inttypes.h>

#include "../../lib/tcp/opts.h"
#include "sim.h"

/*
 * Fates: ' ' goes its way, 'l' lost, 'c' corrupted, 'r' reordered, 'q' queue full, 'b' bigger than
 * the path, 'f' forged, 'v' wire cut, '>' taken by the receiver, 0 a note.
 */
static const char *fate_text(char fate)
{
	switch (fate) {
	case 'l':
		return " LOST";
	case 'c':
		return " CORRUPTED";
	case 'r':
		return " late";
	case 'q':
		return " QUEUE FULL";
	case 'f':
		return " FORGED";
	case 'b':
		return " TOO BIG";
	case 'v':
		return " CUT";
	case '>':
		return " taken";
	default:
		return "";
	}
}

static int put(char *buf, size_t cap, int at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static int put(char *buf, size_t cap, int at, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (at < 0 || (size_t)at >= cap)
		return (int)cap;
	va_start(ap, fmt);
	n = vsnprintf(buf + at, cap - (size_t)at, fmt, ap);
	va_end(ap);
	return at + n;
}

static int put_options(char *buf, size_t cap, int at, const uint8_t *tcp, uint32_t len)
{
	struct tg_opts o;
	bool ok;

	if (len <= 20)
		return at;
	ok = tg_opts_parse(tcp + 20, len - 20, tcp[13] & TG_TCP_SYN, &o);
	at = put(buf, cap, at, " <");
	if (o.has & TG_OPT_MSS)
		at = put(buf, cap, at, "mss %u ", o.mss);
	if (o.has & TG_OPT_WSCALE)
		at = put(buf, cap, at, "ws %u ", o.wscale);
	if (o.has & TG_OPT_SACK_OK)
		at = put(buf, cap, at, "sackok ");
	if (o.has & TG_OPT_TS)
		at = put(buf, cap, at, "ts %u %u ", o.tsval, o.tsecr);
	for (uint32_t i = 0; i < o.n_sack; i++)
		at = put(buf, cap, at, "sack %u:%u ", o.sack[i].start, o.sack[i].end);
	return put(buf, cap, at, ok ? ">" : "malformed>");
}

static int put_tcp(char *buf, size_t cap, int at, const uint8_t *tcp, uint32_t have, uint32_t len)
{
	static const char names[8] = "FSRPAUEC";
	uint32_t hdr, seq;

	if (have < 20)
		return put(buf, cap, at, "TCP cut short");
	hdr = (uint32_t)(tcp[12] >> 4) * 4;
	seq = tg_load_be32(tcp + 4);
	at = put(buf, cap, at, "%u > %u [", tg_load_be16(tcp), tg_load_be16(tcp + 2));
	for (int i = 0; i < 8; i++)
		if (tcp[13] & 1 << i)
			at = put(buf, cap, at, "%c", names[i]);
	at = put(buf, cap, at, "] seq %u", seq);
	if (len > hdr)
		at = put(buf, cap, at, ":%u", seq + len - hdr);
	at = put(buf, cap, at, " ack %u win %u", tg_load_be32(tcp + 8), tg_load_be16(tcp + 14));
	if (hdr <= have)
		at = put_options(buf, cap, at, tcp, hdr);
	return put(buf, cap, at, " len %d", (int)len - (int)hdr);
}

static void describe(char *buf, size_t cap, const uint8_t *p, uint32_t have, uint32_t len)
{
	uint16_t type = tg_load_be16(p + 12);
	uint32_t ihl;

	if (type == 0x0806 && have >= 42) {
		put(buf, cap, 0, "ARP %s %u.%u.%u.%u tells %u.%u.%u.%u",
			p[21] == 1 ? "who-has" : "reply", p[38], p[39], p[40], p[41], p[28], p[29],
			p[30], p[31]);
	} else if (type == 0x0800 && have >= 34) {
		ihl = (p[14] & 15u) * 4;
		len = tg_load_be16(p + 16);
		if (p[23] == 6 && ihl + 14 < have)
			put_tcp(buf, cap, 0, p + 14 + ihl, have - 14 - ihl, len - ihl);
		else
			put(buf, cap, 0, "IPv4 proto %u len %u type %u", p[23], len, p[34]);
	} else if (type == 0x86dd && have >= 55) {
		if (p[20] == 6)
			put_tcp(buf, cap, 0, p + 54, have - 54, tg_load_be16(p + 18));
		else
			put(buf, cap, 0, "IPv6 next %u len %u type %u", p[20], tg_load_be16(p + 18),
				p[54]);
	} else {
		put(buf, cap, 0, "Ethernet type %04x len %u", type, len);
	}
}

static void print(const struct sim_record *r, FILE *f)
{
	char line[400] = "";

	fprintf(f, "%12.6f ms ", (double)r->t / 1e6);
	if (!r->fate) {
		fprintf(f, "%c * %s\n", 'A' + r->from, (const char *)r->data);
		return;
	}
	describe(line, sizeof(line), r->data, r->len < sizeof(r->data) ? r->len : sizeof(r->data),
		r->len);
	fprintf(f, "%c%c%c %s%s\n", 'A' + r->from, r->fate == '>' ? ' ' : '>', 'B' - r->from, line,
		fate_text(r->fate));
}

static struct sim_record *record(struct sim_world *w, uint8_t from, char fate)
{
	struct sim_record *r = &w->record[w->n_records++ % SIM_TRACE];

	r->t = w->t;
	r->from = from;
	r->fate = fate;
	return r;
}

void sim_trace_packet(struct sim_world *w, uint8_t from, char fate, const uint8_t *p, uint16_t len)
{
	struct sim_record *r = record(w, from, fate);

	r->len = len;
	memcpy(r->data, p, len < sizeof(r->data) ? len : sizeof(r->data));
	if (fate != '>') { /* written only when somebody watches */
		sim_hash(w, w->t ^ (uint64_t)fate << 56 ^ (uint64_t)from << 48);
		sim_hash(w, tg_hash64(1, p, len));
	}
	if (w->live_trace)
		print(r, stdout);
}

void sim_note(struct sim_world *w, uint8_t host, const char *fmt, ...)
{
	struct sim_record *r = record(w, host, 0);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf((char *)r->data, sizeof(r->data), fmt, ap);
	va_end(ap);
	if (w->live_trace)
		print(r, stdout);
}

void sim_trace_print(const struct sim_world *w, FILE *f)
{
	uint32_t n = w->n_records < SIM_TRACE ? w->n_records : SIM_TRACE;

	for (uint32_t i = w->n_records - n; i != w->n_records; i++)
		print(&w->record[i % SIM_TRACE], f);
}
