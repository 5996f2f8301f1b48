/* test_post.c: lib/tls/post.h by itself; what peers may do wrong is test_peer.c's. */
#include <tgtest.h>

#include "post.h"
#include "rfc8448_ticket.h"
#include "tlstest.h"

static struct tg_post_gather gather;
static struct tg_post_out out;

static enum tg_post_ev take(struct tg_post *p, uint8_t type, const void *b, uint32_t n)
{
	struct tg_view content = {b, n};
	enum tg_post_ev ev = tg_post_take(p, type, &content, &gather, &out);

	CU_ASSERT_EQUAL(content.n, 0);
	return ev;
}

static enum tg_post_ev take_hex(struct tg_post *p, const char *hex)
{
	static uint8_t b[1024];
	uint32_t n = unhex(hex, b);

	return take(p, TG_REC_HANDSHAKE, b, n);
}

static void ticket_values(void)
{
	struct tg_post p;

	tg_post_init(&p, false, false);
	CU_ASSERT_EQUAL(take_hex(&p, ticket_text), TG_POST_TICKET);
	CU_ASSERT_EQUAL(out.ticket.lifetime, 30);
	CU_ASSERT_EQUAL(out.ticket.age_add, 0xfad6aac5);
	CU_ASSERT_EQUAL(out.ticket.max_early_data, 1024);
	CU_ASSERT(out.ticket.nonce.n == 2 && !memcmp(out.ticket.nonce.p, "\0\0", 2));
	CU_ASSERT(out.ticket.ticket.n == 178 && out.ticket.ticket.p[0] == 0x2c);
}

/* A ticket of n bytes in all, in `b`. */
static void ticket_make(uint8_t *b, uint32_t n)
{
	memset(b, 0, n + 4);
	b[0] = 4;
	b[1] = (uint8_t)((n - 4) >> 16);
	tg_store_be16(b + 2, (uint16_t)(n - 4));
	memset(b + 4 + 11, 0x77, n - 17);
	tg_store_be16(b + 4 + 9, (uint16_t)(n - 17));
}

static void gathering(void)
{
	static uint8_t b[TG_POST_TICKET_LEGAL + 8];
	struct tg_post p, q;
	uint32_t n = 4 + TG_POST_TICKET_MAX, at;

	tg_post_init(&p, false, false);
	tg_post_init(&q, false, false);
	/* The longest that is gathered, byte by byte. */
	ticket_make(b, n);
	for (at = 0; at + 1 < n; at++)
		CU_ASSERT_EQUAL_FATAL(take(&p, TG_REC_HANDSHAKE, b + at, 1), TG_POST_DONE);
	CU_ASSERT_EQUAL(take(&p, TG_REC_HANDSHAKE, b + at, 1), TG_POST_TICKET);
	CU_ASSERT(out.ticket.ticket.n == n - 17 && out.ticket.ticket.p[n - 18] == 0x77);
	CU_ASSERT_PTR_NULL(gather.owner);
	/* Longer: skipped, and what follows is read. */
	ticket_make(b, n + 1);
	CU_ASSERT_EQUAL(take(&p, TG_REC_HANDSHAKE, b, 10000), TG_POST_DONE);
	CU_ASSERT_EQUAL(take(&p, TG_REC_HANDSHAKE, b + 10000, n + 1 - 10000), TG_POST_DONE);
	CU_ASSERT_EQUAL(take_hex(&p, ticket_text), TG_POST_TICKET);
	memset(b, 0, sizeof(b));
	memcpy(b, "\4\2\1\x0a", 4);
	for (at = 0; at < TG_POST_TICKET_LEGAL + 4; at += n) {
		n = TG_POST_TICKET_LEGAL + 4 - at;
		n = n < TG_REC_CONTENT_MAX ? n : TG_REC_CONTENT_MAX;
		CU_ASSERT_EQUAL(take(&p, TG_REC_HANDSHAKE, b + at, n), TG_POST_DONE);
	}
	CU_ASSERT_EQUAL(take_hex(&p, "1800000100"), TG_POST_KEY_UPDATE);
	/* The buffer serves one at a time. */
	ticket_make(b, 300);
	CU_ASSERT_EQUAL(take(&p, TG_REC_HANDSHAKE, b, 100), TG_POST_DONE);
	CU_ASSERT_PTR_EQUAL(gather.owner, &p);
	CU_ASSERT_EQUAL(take(&q, TG_REC_HANDSHAKE, b, 4), TG_POST_DONE);
	CU_ASSERT_EQUAL(take(&q, TG_REC_HANDSHAKE, b + 4, 100), TG_POST_DONE);
	CU_ASSERT_EQUAL(take(&p, TG_REC_HANDSHAKE, b + 100, 200), TG_POST_TICKET);
	CU_ASSERT_EQUAL(take(&q, TG_REC_HANDSHAKE, b + 104, 196), TG_POST_DONE);
	CU_ASSERT_EQUAL(take(&q, TG_REC_HANDSHAKE, b, 100), TG_POST_DONE);
	CU_ASSERT_PTR_EQUAL(gather.owner, &q);
	tg_post_end(&p, &gather);
	CU_ASSERT_PTR_EQUAL(gather.owner, &q);
	tg_post_end(&q, &gather);
	CU_ASSERT_PTR_NULL(gather.owner);
	/* A KeyUpdate needs no buffer. */
	gather.owner = &q;
	tg_post_init(&p, true, false);
	CU_ASSERT_EQUAL(take_hex(&p, "180000"), TG_POST_DONE);
	CU_ASSERT_EQUAL(take_hex(&p, "01"), TG_POST_DONE);
	CU_ASSERT_EQUAL(take_hex(&p, "01"), TG_POST_KEY_UPDATE);
	gather.owner = NULL;
}

static void flood(void)
{
	struct tg_post p;

	tg_post_init(&p, true, false);
	for (uint32_t i = 0; i < TG_POST_KEY_UPDATES_MAX; i++)
		CU_ASSERT_EQUAL(take_hex(&p, "1800000101"), TG_POST_KEY_UPDATE);
	CU_ASSERT_EQUAL(p.answers, UINT8_MAX); /* and no more: RFC 8446 lets one answer many */
	CU_ASSERT_EQUAL(tg_post_data(&p, 1), 0);
	for (uint32_t i = 0; i < TG_POST_KEY_UPDATES_MAX; i++)
		CU_ASSERT_EQUAL(take_hex(&p, "1800000100"), TG_POST_KEY_UPDATE);
	CU_ASSERT_EQUAL(take_hex(&p, "1800000100"), TG_POST_REFUSED);
	CU_ASSERT_EQUAL(out.alert, TG_ALERT_UNEXPECTED_MESSAGE);
}

static bool message_is(struct tg_post *p, const struct tg_rec *tx, const struct tg_rec *rx,
	bool data_left, const char *want)
{
	struct tg_post_msg m;
	char got[32] = "none";
	bool wants = tg_post_wants_tx(p, tx, rx, data_left);

	if (tg_post_tx(p, tx, rx, data_left, &m) != wants)
		return false;
	if (wants && m.type == TG_REC_ALERT)
		sprintf(got, "alert %u/%u", m.b[0], m.b[1]);
	else if (wants)
		sprintf(got, "ku%u%s", m.b[4], m.next_key ? "" : " without next_key");
	return !strcmp(got, want);
}

static void worn_keys(void)
{
	struct tg_rec tx, rx;
	struct tg_post p;
	uint8_t secret[48] = {1};

	tg_aead_init("auto");
	tg_rec_init(&tx, TG_SUITE_AES_128_GCM_SHA256, secret, 0);
	tg_rec_init(&rx, TG_SUITE_AES_128_GCM_SHA256, secret, 0);
	tg_post_init(&p, true, false);
	CU_ASSERT(message_is(&p, &tx, &rx, true, "none"));
	tx.seq = TG_AEAD_GCM_RECORDS - 1;
	CU_ASSERT(message_is(&p, &tx, &rx, false, "none")); /* nothing to send: no hurry */
	CU_ASSERT(message_is(&p, &tx, &rx, true, "ku0"));
	tg_rec_next_key(&tx);
	CU_ASSERT(message_is(&p, &tx, &rx, true, "none"));
	/* The peer's: asked for once, until they come. */
	rx.seq = TG_AEAD_GCM_RECORDS - 1;
	CU_ASSERT(message_is(&p, &tx, &rx, false, "ku1"));
	CU_ASSERT(message_is(&p, &tx, &rx, true, "none"));
	CU_ASSERT_EQUAL(take_hex(&p, "1800000100"), TG_POST_KEY_UPDATE);
	tg_rec_next_key(&rx);
	CU_ASSERT(message_is(&p, &tx, &rx, true, "none"));
	rx.seq = TG_AEAD_GCM_RECORDS - 1;
	CU_ASSERT(message_is(&p, &tx, &rx, false, "ku1"));
	/* One answer to each, as both worn keys and their question may come together. */
	tg_rec_next_key(&rx);
	CU_ASSERT_EQUAL(take_hex(&p, "1800000101"), TG_POST_KEY_UPDATE);
	tx.seq = rx.seq = TG_AEAD_GCM_RECORDS - 1;
	CU_ASSERT(message_is(&p, &tx, &rx, true, "ku1"));
	tg_rec_next_key(&tx);
	CU_ASSERT(message_is(&p, &tx, &rx, true, "none"));
}

static void endings(void)
{
	struct tg_rec r;
	struct tg_post p;
	uint8_t secret[48] = {1};

	tg_aead_init("auto");
	tg_rec_init(&r, TG_SUITE_AES_128_GCM_SHA256, secret, 0);
	/* close_notify after the data, once. */
	tg_post_init(&p, true, false);
	tg_post_finish(&p);
	CU_ASSERT(message_is(&p, &r, &r, true, "none"));
	CU_ASSERT(message_is(&p, &r, &r, false, "alert 1/0"));
	CU_ASSERT(message_is(&p, &r, &r, false, "none"));
	/* Reading goes on, but nothing is answered any more. */
	CU_ASSERT_EQUAL(tg_post_data(&p, 5), 0);
	CU_ASSERT_EQUAL(take_hex(&p, "1800000101"), TG_POST_KEY_UPDATE);
	CU_ASSERT_EQUAL(take_hex(&p, "1800000102"), TG_POST_REFUSED);
	CU_ASSERT(message_is(&p, &r, &r, false, "none"));
	/* The peer's close_notify: sending goes on. */
	tg_post_init(&p, true, false);
	CU_ASSERT_EQUAL(take(&p, TG_REC_ALERT, "\1\0", 2), TG_POST_CLOSED);
	CU_ASSERT(p.peer_closed);
	tg_post_finish(&p);
	CU_ASSERT(message_is(&p, &r, &r, false, "alert 1/0"));
	/* A fatal alert of either side is the end. */
	tg_post_init(&p, true, false);
	CU_ASSERT_EQUAL(take(&p, TG_REC_ALERT, "\2\50", 2), TG_POST_ALERT);
	CU_ASSERT_EQUAL(out.alert, 40);
	tg_post_finish(&p);
	CU_ASSERT(message_is(&p, &r, &r, false, "none"));
	tg_post_init(&p, true, false);
	tg_post_fail(&p, -TG_ALERT_BAD_RECORD_MAC);
	tg_post_finish(&p);
	CU_ASSERT(message_is(&p, &r, &r, true, "alert 2/20"));
	CU_ASSERT(message_is(&p, &r, &r, false, "none"));
	CU_ASSERT(p.peer_closed && p.tx_closed);
}

TG_TEST_MAIN("post", {"ticket values", ticket_values}, {"gathering", gathering}, {"flood", flood},
	{"worn keys", worn_keys}, {"endings", endings})
