/* fuzz_post.c: what a peer sends after the handshake, in records of its choice.
 *
 * The input is a list of records: type, two bytes of length, content. It is read as it stands, and
 * again with each handshake record cut at another place: but for what depends on records (a
 * KeyUpdate at their end, empty ones, floods), it must come to the same end.
 */
#include <stdio.h>
#include <stdlib.h>

#include "post.h"

#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct end {
	uint32_t data, tickets, updates, ticket_bytes;
	enum tg_post_ev ev; /* the last one */
	uint8_t alert;
};

static struct tg_post_gather gather;
static struct tg_rec tx, rx;

static bool over(enum tg_post_ev ev)
{
	return ev == TG_POST_CLOSED || ev == TG_POST_ALERT || ev == TG_POST_REFUSED;
}

static void check(const struct tg_post *p, const struct end *e)
{
	MUST(p->n_head <= 4 && p->empty <= TG_POST_EMPTY_MAX + 1);
	if (p->tls12) {
		MUST(p->left <= (p->server ? TG_POST_HELLO_LEGAL : 0));
		MUST(!p->answers && !e->tickets && !e->updates);
	} else {
		MUST(p->due <= p->answers);
		MUST(p->left <= TG_POST_TICKET_LEGAL && (!p->server || p->left <= 1));
	}
	MUST(gather.n <= sizeof(gather.b));
	MUST(p->peer_closed == over(e->ev));
}

/* What the peer can make us send has an end. */
static void drain(struct tg_post *p)
{
	struct tg_post_msg m;
	uint32_t n = 0;

	while (tg_post_tx(p, &tx, &rx, n % 2, &m)) {
		MUST(m.n == (m.type == TG_REC_ALERT ? 2 : 5));
		MUST(++n <= 256 + 1);
	}
	MUST(p->tx_closed || !p->due);
}

static void take(struct tg_post *p, uint8_t type, const uint8_t *b, uint32_t n, struct end *e)
{
	uint8_t *copy = malloc(n ? n : 1);
	struct tg_view content = {copy, n};
	struct tg_post_out out;

	memcpy(copy, b, n);
	do {
		e->ev = tg_post_take(p, type, &content, &gather, &out);
		if (e->ev == TG_POST_TICKET) {
			e->tickets++;
			for (uint32_t i = 0; i < out.ticket.ticket.n; i++)
				e->ticket_bytes += out.ticket.ticket.p[i];
			for (uint32_t i = 0; i < out.ticket.nonce.n; i++)
				e->ticket_bytes += out.ticket.nonce.p[i];
		}
		e->updates += e->ev == TG_POST_KEY_UPDATE;
		MUST(e->ev != TG_POST_KEY_UPDATE || !content.n);
	} while (e->ev == TG_POST_TICKET);
	if (e->ev == TG_POST_ALERT || e->ev == TG_POST_REFUSED)
		e->alert = out.alert;
	free(copy);
}

static void one(
	struct tg_post *p, uint8_t type, const uint8_t *b, uint32_t n, uint32_t cut, struct end *e)
{
	if (type == TG_REC_DATA) {
		int32_t rc = tg_post_data(p, n);

		e->data += rc ? 0 : n;
		e->alert = (uint8_t)-rc;
		e->ev = rc ? TG_POST_REFUSED : TG_POST_DONE;
	} else if (type == TG_REC_HANDSHAKE && cut && cut < n) {
		take(p, type, b, cut, e);
		if (!over(e->ev))
			take(p, type, b + cut, n - cut, e);
	} else {
		take(p, type, b, n, e);
	}
}

/* who: bit 0 a server, bit 1 TLS 1.2. */
static void play(
	const uint8_t *in, uint32_t n, uint32_t who, uint32_t cut, bool drained, struct end *e)
{
	struct tg_post p;

	tg_post_init(&p, who & 1, who & 2);
	*e = (struct end){0};
	while (n >= 3 && !over(e->ev)) {
		uint8_t type = (uint8_t)(TG_REC_ALERT + in[0] % 3);
		uint32_t len = tg_load_be16(in + 1) % (TG_REC_CONTENT_MAX + 1);

		len = len < n - 3 ? len : n - 3;
		if (len || type == TG_REC_DATA || p.tls12)
			one(&p, type, in + 3, len, cut, e);
		check(&p, e);
		if (drained)
			drain(&p);
		in += 3 + len;
		n -= 3 + len;
	}
	tg_post_end(&p, &gather);
	MUST(!gather.owner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[48];
	struct end whole, other;
	uint32_t n, cut, who;

	if (size < 2)
		return 0;
	if (!tx.seq && !rx.seq) {
		tg_aead_init("auto");
		tg_rec_init(&tx, TG_SUITE_AES_128_GCM_SHA256, secret, 1);
		tg_rec_init(&rx, TG_SUITE_AES_128_GCM_SHA256, secret, 1);
	}
	who = (data[0] & 1) | (data[0] & 0x80) >> 6;
	cut = data[0] >> 1 & 0x3f;
	n = (uint32_t)size - 1;
	play(data + 1, n, who, 0, false, &whole);
	play(data + 1, n, who, 0, true, &other);
	MUST(!memcmp(&whole, &other, sizeof(whole)));
	/* A cut may put a KeyUpdate at the end of its record, so more may be accepted. */
	play(data + 1, n, who, cut, true, &other);
	MUST(other.tickets >= whole.tickets && other.updates >= whole.updates);
	if (!over(whole.ev))
		MUST(!memcmp(&whole, &other, sizeof(whole)));
	return 0;
}
