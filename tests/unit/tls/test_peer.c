/* test_post.c: lib/tls/post.h: by itself, and beside OpenSSL's own TLS, which gets the same
 * records.
 */
#include <openssl/err.h>
#include <tgtest.h>

#include "peer.h"
#include "post.h"
#include "tlstest.h"

static struct tg_post_gather gather;

/* --- both sides of the comparison ------------------------------------------------------------- */

/* What a subject did with what it got. */
struct outcome {
	uint32_t data;     /* bytes handed up */
	char sent[600];    /* what it sent: "ku0 ", "alert 2/10 " */
	const char *state; /* "open", "closed" (close_notify came), "dead" */
};

static void say(struct outcome *o, const char *what)
{
	if (strlen(o->sent) + strlen(what) < sizeof(o->sent))
		strcat(o->sent, what);
}

static void say_message(struct outcome *o, uint8_t type, const uint8_t *b, uint32_t n)
{
	char text[64];

	if (type == TG_REC_ALERT && n == 2)
		sprintf(text, "alert %u/%u ", b[0], b[1]);
	else if (type == TG_REC_DATA)
		sprintf(text, "data ");
	else if (type == TG_REC_HANDSHAKE && n == 5 && !memcmp(b, "\x18\0\0\1", 4))
		sprintf(text, "ku%u ", b[4]);
	else
		sprintf(text, "type %u, %u bytes ", type, n);
	say(o, text);
}

/* A subject of ours. */
struct ours {
	struct tg_rec rx, tx;
	struct tg_post post;
	struct outcome o;
};

static void ours_send(struct ours *u, bool data)
{
	struct tg_post_msg m;

	while (tg_post_tx(&u->post, &u->tx, &u->rx, data, &m)) {
		say_message(&u->o, m.type, m.b, m.n);
		if (m.next_key)
			tg_rec_next_key(&u->tx);
	}
	if (data && !u->post.tx_closed)
		say(&u->o, "data ");
}

static void ours_message(struct ours *u, uint8_t type, struct tg_view content)
{
	struct tg_post_out out;

	for (;;)
		switch (tg_post_take(&u->post, type, &content, &gather, &out)) {
		case TG_POST_DONE:
			return;
		case TG_POST_TICKET:
			break;
		case TG_POST_KEY_UPDATE:
			tg_rec_next_key(&u->rx);
			break;
		case TG_POST_CLOSED:
			u->o.state = "closed";
			return;
		case TG_POST_ALERT:
		case TG_POST_REFUSED:
			u->o.state = "dead";
			return;
		}
}

static void ours_record(struct ours *u, const uint8_t *rec, uint32_t n)
{
	static uint8_t copy[20000];
	uint8_t type;
	int32_t rc = tg_rec_frame(&u->rx, rec);

	if (rc > (int32_t)n)
		return;
	memcpy(copy, rec, n);
	if (rc > 0)
		rc = tg_rec_open(&u->rx, &(struct tg_span){copy, n}, 1, &type);
	if (rc < 0) {
		tg_post_fail(&u->post, rc);
		u->o.state = "dead";
	} else if (type != TG_REC_DATA) {
		ours_message(u, type, (struct tg_view){copy + u->rx.front, (uint32_t)rc});
	} else if (tg_post_data(&u->post, (uint32_t)rc) < 0) {
		u->o.state = "dead";
	} else {
		u->o.data += (uint32_t)rc;
	}
	ours_send(u, false);
}

/* OpenSSL, and what reads its records. */
struct theirs {
	struct peer *p;
	struct tg_rec from;
	struct outcome o;
};

static void theirs_sent(struct theirs *t)
{
	uint8_t rec[TG_REC_HEADER + TG_REC_BODY_MAX], type;
	int32_t n;

	while (BIO_read(t->p->out, rec, TG_REC_HEADER) == TG_REC_HEADER) {
		n = tg_rec_frame(&t->from, rec);
		CU_ASSERT_FATAL(n > 0);
		BIO_read(t->p->out, rec + TG_REC_HEADER, n - TG_REC_HEADER);
		n = tg_rec_open(&t->from, &(struct tg_span){rec, (uint32_t)n}, 1, &type);
		CU_ASSERT_FATAL(n >= 0);
		say_message(&t->o, type, rec + t->from.front, (uint32_t)n);
		if (type == TG_REC_HANDSHAKE)
			tg_rec_next_key(&t->from);
	}
}

static void theirs_record(struct theirs *t, const uint8_t *rec, uint32_t n)
{
	uint8_t b[20000];
	int rc;

	BIO_write(t->p->in, rec, (int)n);
	ERR_clear_error();
	while ((rc = SSL_read(t->p->ssl, b, sizeof(b))) > 0)
		t->o.data += (uint32_t)rc;
	switch (SSL_get_error(t->p->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		break;
	case SSL_ERROR_ZERO_RETURN:
		t->o.state = "closed";
		break;
	default:
		t->o.state = "dead";
	}
	theirs_sent(t);
}

/* --- scripts ---------------------------------------------------------------------------------- */

/* A script is words, each a record:
 *
 *	h1800000101   handshake, with these bytes; a: alert, d: data; x63...: inner type 63
 *	...+9         9 zeros of padding
 *	...*33        33 times
 *	...k          the sender's keys change after it
 *	...~          a bit of the tag is wrong
 *	...^16385     filled up with zeros and a one to that many bytes
 *	!170303...    these bytes, not sealed
 *
 * or makes the subject do something: w: write a byte; s: say close_notify.
 */
struct word {
	uint8_t b[20000];
	uint32_t n, zeros, times;
	uint8_t type;
	bool next_key, spoiled, raw;
};

static const char *word_read(const char *s, struct word *w)
{
	char hex[1024];
	uint32_t n = 0, fill;

	memset(w, 0, sizeof(*w));
	w->times = 1;
	w->raw = *s == '!';
	w->type = *s == 'h' ? TG_REC_HANDSHAKE : *s == 'a' ? TG_REC_ALERT : TG_REC_DATA;
	s++;
	while (*s && strchr("0123456789abcdef", *s))
		hex[n++] = *s++;
	hex[n] = 0;
	w->n = unhex(hex, w->b);
	for (; *s && *s != ' '; s++) {
		if (*s == 'k')
			w->next_key = true;
		else if (*s == '~')
			w->spoiled = true;
		else if (*s == '+')
			w->zeros = (uint32_t)strtoul(s + 1, NULL, 10);
		else if (*s == '*')
			w->times = (uint32_t)strtoul(s + 1, NULL, 10);
		else if (*s == '^') {
			fill = (uint32_t)strtoul(s + 1, NULL, 10);
			w->b[fill - 1] = 1;
			w->n = fill;
		}
	}
	return *s ? s + 1 : s;
}

/* x: the inner type is the first byte. */
static void word_type(const char *s, struct word *w)
{
	if (*s != 'x')
		return;
	w->type = w->b[0];
	memmove(w->b, w->b + 1, --w->n);
}

static uint32_t word_record(struct word *w, struct tg_rec *to, uint8_t *rec)
{
	uint32_t n;

	if (w->raw) {
		memcpy(rec, w->b, w->n);
		return w->n;
	}
	if (tg_rec_is12(to)) {
		n = w->n + tg_rec_overhead(to);
		tg_rec_seal(to, w->type, &(struct tg_view){w->b, w->n}, 1, w->n,
			&(struct tg_span){rec, n}, 1);
		rec[n - 1] ^= w->spoiled;
		return n;
	}
	w->b[w->n] = w->type;
	memset(w->b + w->n + 1, 0, w->zeros);
	n = seal_raw(to, w->b, w->n + 1 + w->zeros, NULL, rec);
	if (w->spoiled)
		rec[n - 1] ^= 1;
	if (w->next_key)
		tg_rec_next_key(to);
	return n;
}

static struct tg_aead_key keys[4];

static void act(struct ours *u, struct theirs *t, bool finish)
{
	if (finish)
		tg_post_finish(&u->post);
	ours_send(u, !finish);
	if (finish)
		SSL_shutdown(t->p->ssl);
	else
		SSL_write(t->p->ssl, "x", 1);
	theirs_sent(t);
}

static void play(struct peer *p, const char *script, struct outcome *mine, struct outcome *other)
{
	static struct word w;
	static uint8_t rec[30000];
	struct tg_rec to = p->to;
	struct ours u = {.rx = p->to, .tx = p->from, .o.state = "open"};
	struct theirs t = {.p = p, .from = p->from, .o.state = "open"};
	uint32_t n;

	tg_rec_wake(&to, &keys[0]);
	tg_rec_wake(&u.rx, &keys[1]);
	tg_rec_wake(&u.tx, &keys[2]);
	tg_rec_wake(&t.from, &keys[3]);
	tg_post_init(&u.post, p->server, tg_rec_is12(&to));
	while (*script) {
		const char *next = word_read(script, &w);

		if (*script == 'w' || *script == 's') {
			act(&u, &t, *script == 's');
			script = next;
			continue;
		}
		word_type(script, &w);
		script = next;
		for (uint32_t i = 0; i < w.times; i++) {
			n = word_record(&w, &to, rec);
			if (!strcmp(u.o.state, "open"))
				ours_record(&u, rec, n);
			if (!strcmp(t.o.state, "open"))
				theirs_record(&t, rec, n);
		}
	}
	tg_post_end(&u.post, &gather);
	tg_rec_rest(&to);
	tg_rec_rest(&u.rx);
	tg_rec_rest(&u.tx);
	tg_rec_rest(&t.from);
	*mine = u.o;
	*other = t.o;
}

static bool same(const struct outcome *a, const struct outcome *b)
{
	return a->data == b->data && !strcmp(a->sent, b->sent) && !strcmp(a->state, b->state);
}

static void outcome_text(const struct outcome *o, char *out, size_t n)
{
	snprintf(out, n, "%s%u %s", o->sent, o->data, o->state);
}

/* --- what is said of each thing that a peer can do -------------------------------------------- */

struct peer_case {
	const char *script, *want; /* what is sent, bytes handed up, state */
	char side;                 /* 's', 'c': the subject; 'b': the same for both */
	const char *openssl;       /* what it does; NULL: what is wanted */
};

static const struct peer_case cases[] = {
	/* data */
	{"d616263", "3 open", 'b'},
	{"d616263+100 d6465", "5 open", 'b'},
	{"d^16384", "16384 open", 'b'},
	{"d^16384+239", "16384 open", 'b'},
	{"d^16385", "alert 2/22 0 dead", 'b'},
	{"d61 d^16385+10", "alert 2/22 1 dead", 'b'},
	{"d*32 d61", "1 open", 'b'},
	{"d*33", "alert 2/10 0 dead", 'b'},
	{"d*32 d61 d*32 d62", "2 open", 'b'},
	{"d*20 d61 d*32 d", "alert 2/10 1 dead", 'b'},
	{"d*32 h1800000100k d*32", "0 open", 'b'},
	{"d*32 a015a d*32", "0 open", 'b'},
	{"d+16000*33", "alert 2/10 0 dead", 'b'},
	{"d61~", "alert 2/20 0 dead", 'b'},
	{"d61 d62~", "alert 2/20 1 dead", 'b'},
	/* headers and inner types */
	{"!1703030000", "alert 2/20 0 dead", 'b'},
	{"!170303000100", "alert 2/20 0 dead", 'b'},
	{"!170303001000000000000000000000000000000000", "alert 2/20 0 dead", 'b'},
	{"!17030300110000000000000000000000000000000000", "alert 2/20 0 dead", 'b'},
	{"!1703034101", "alert 2/22 0 dead", 'b'},
	{"!170303ffff", "alert 2/22 0 dead", 'b'},
	{"!1703030020", "0 open", 'b'},
	{"!140303000101", "alert 2/10 0 dead", 'b'},
	{"d61 !140303000101", "alert 2/10 1 dead", 'b'},
	{"!15030300020100", "alert 2/10 0 dead", 'b'},
	{"!16030300050b000001", "alert 2/10 0 dead", 'b'},
	{"!18030300030100ff", "alert 2/10 0 dead", 'b'},
	{"!1703010020", "alert 2/50 0 dead", 'b'},
	{"!1703040020", "alert 2/50 0 dead", 'b'},
	{"!1704030020", "alert 2/70 0 dead", 'b'},
	{"!474554202f20485454502f312e310d0a", "alert 2/70 0 dead", 'b'},
	{"!1503010002", "alert 2/10 0 dead", 'b'},
	{"x00", "alert 2/10 0 dead", 'b'},
	{"x00+200", "alert 2/10 0 dead", 'b'},
	{"x1401", "alert 2/10 0 dead", 'b'},
	{"x18010000", "alert 2/10 0 dead", 'b'},
	{"xff61", "alert 2/10 0 dead", 'b'},
	{"x0161", "alert 2/10 0 dead", 'b'},
	{"h", "alert 2/10 0 dead", 'b'},
	{"a", "alert 2/10 0 dead", 'b'},
	{"h+5", "alert 2/10 0 dead", 'b'},
	{"a+5", "alert 2/10 0 dead", 'b'},
	/* alerts */
	{"a0100", "0 closed", 'b'},
	{"a0200", "0 closed", 'b'},
	{"aff00", "0 closed", 'b'},
	{"d6162 a0100", "2 closed", 'b'},
	{"d6162 a0100+3 d61", "2 closed", 'b'},
	{"a0228", "0 dead", 'b'},
	{"a0128", "0 dead", 'b'},
	{"a0014", "0 dead", 'b'},
	{"a02ff", "0 dead", 'b'},
	{"a0164", "0 dead", 'b'},
	{"a01", "alert 2/10 0 dead", 'b'},
	{"a010000", "alert 2/10 0 dead", 'b'},
	{"a01000100", "alert 2/10 0 dead", 'b'},
	{"a015a d61", "1 open", 'b'},
	{"a025a d61", "1 open", 'b'},
	{"a015a*4 d61", "1 open", 'b'},
	{"a015a*5", "alert 2/10 0 dead", 'b'},
	{"a025a*5", "alert 2/10 0 dead", 'b'},
	{"a015a*4 d61 a015a*4 d61", "2 open", 'b'},
	{"a015a*4 d a015a", "alert 2/10 0 dead", 'b'},
	{"a015a*4 h1800000100k a015a*4 d61", "1 open", 'b'},
	{"a015a a0100", "0 closed", 'b'},
	{"a015a*4 a0100", "alert 2/10 0 dead", 'b'},
	{"a015a*4 a0128", "alert 2/10 0 dead", 'b'},
	{"a015a*4 a0228", "0 dead", 'b'},
	/* KeyUpdate */
	{"h1800000100k d61", "1 open", 'b'},
	{"h1800000101k d61", "1 open", 'b'},
	{"h1800000101k w d61", "ku0 data 1 open", 'b'},
	{"h1800000101k w w", "ku0 data data 0 open", 'b'},
	{"h1800000101k h1800000100k d61", "ku0 1 open", 'b'},
	{"h1800000101k h1800000101k d61", "ku0 1 open", 'b'},
	{"h1800000101k h1800000101k w d61", "ku0 ku0 data 1 open", 'b'},
	{"h1800000101k h1800000102", "ku0 alert 2/47 0 dead", 'b'},
	{"h1800000101k h0500000000", "ku0 alert 2/10 0 dead", 'b'},
	{"h1800000101k d61~", "alert 2/20 0 dead", 'b'},
	{"h1800000101k a01", "alert 2/10 0 dead", 'b'},
	{"h1800000101k a0228", "0 dead", 'b'},
	{"h1800000101k s", "alert 1/0 0 open", 'b'},
	{"w s", "data alert 1/0 0 open", 'b'},
	{"h1800000101k*32 w d61",
		"ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 "
		"ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 ku0 data 1 open",
		'b'},
	{"h1800000100k*100 d61", "1 open", 'b'},
	{"h1800000100 d61", "alert 2/20 0 dead", 'b'},
	{"h1800000100k+77 d61", "1 open", 'b'},
	{"h18000000", "alert 2/50 0 dead", 'b'},
	{"h180000020000", "alert 2/47 0 dead", 'b'},
	{"h18000002", "alert 2/47 0 dead", 'b'},
	{"h18ffffff", "alert 2/47 0 dead", 'b'},
	{"h1800000102", "alert 2/47 0 dead", 'b'},
	{"h18000001ff", "alert 2/47 0 dead", 'b'},
	{"h180000010018000001", "alert 2/10 0 dead", 'b'},
	{"h18000001001800000100", "alert 2/10 0 dead", 'b'},
	{"h1800000000", "alert 2/10 0 dead", 'b'},
	{"h180000010200", "alert 2/10 0 dead", 'b'},
	{"h18 h00 h00 h01 h01k w d61", "ku0 data 1 open", 'b'},
	{"h1800 h000101k w d61", "ku0 data 1 open", 'b'},
	{"h18000001 h00k d61", "1 open", 'b'},
	{"h18 d61", "alert 2/10 0 dead", 'b'},
	{"h18 d", "alert 2/10 0 dead", 'b'},
	{"h180000 d61", "alert 2/10 0 dead", 'b'},
	{"h18000001 d61", "alert 2/10 0 dead", 'b'},
	{"h18000001 d", "alert 2/10 0 dead", 'b'},
	{"h18 a0100", "alert 2/10 0 dead", 'b'},
	{"h18 a0228", "alert 2/10 0 dead", 'b'},
	{"h180000 a015a", "alert 2/10 0 dead", 'b'},
	{"h18000001 a0100", "0 closed", 'b'},
	{"h18000001 a0228", "0 dead", 'b'},
	{"h18000001 a015a h01k w d61", "ku0 data 1 open", 'b'},
	{"h18000001 a015a*5", "alert 2/10 0 dead", 'b'},
	/* messages that have no place here: as soon as the head is there */
	{"h00000000", "alert 2/10 0 dead", 'b'},
	{"h01000100", "alert 2/10 0 dead", 'b'},
	{"h0100010003", "alert 2/10 0 dead", 'b'},
	{"h02000000", "alert 2/10 0 dead", 'b'},
	{"h05000000", "alert 2/10 0 dead", 'b'},
	{"h08000000", "alert 2/10 0 dead", 'b'},
	{"h0b000000", "alert 2/10 0 dead", 'b'},
	{"h0d000003000000", "alert 2/10 0 dead", 'b'},
	{"h0f000000", "alert 2/10 0 dead", 'b'},
	{"h14000020", "alert 2/10 0 dead", 'b'},
	{"hfe000000", "alert 2/10 0 dead", 'b'},
	{"hff", "0 open", 'b'},
	{"hffffff", "0 open", 'b'},
	{"h0400001200000e100000000101020004aabbccdd0000", "alert 2/10 0 dead", 's'},
	{"h04ffffff", "alert 2/10 0 dead", 's'},
	/* NewSessionTicket, for a client: lifetime, age_add, nonce, ticket, extensions */
	{"h0400001200000e100000000101020004aabbccdd0000 d61", "1 open", 'c'},
	{"h0400001a00000e100000000101020004aabbccdd0008002a000400000400 d61", "1 open", 'c'},
	{"h0400001200000e100000000101020004aabbccdd00000400001200000e100000000101020004aabbccdd0000"
	 "0400001200000e100000000101020004aabbccdd0000 d61",
		"1 open", 'c'},
	{"h0400001200000e100000000101020004aabbccdd00001800000100k d61", "1 open", 'c'},
	{"h0400001200000e100000000101020004aabbccdd000005000000", "alert 2/10 0 dead", 'c'},
	{"h04 h00001200000e100000000101020004aabbccdd0000 d61", "1 open", 'c'},
	{"h04000012 h00000e100000000101020004aabbccdd0000 d61", "1 open", 'c'},
	{"h0400001200000e h1000000001010200 h04aabbccdd0000 d61", "1 open", 'c'},
	{"h0400001200000e100000000101020004aabbccdd000004000012 "
	 "h00000e100000000101020004aabbccdd00000400001200000e100000000101020004aabbccdd0000040000 "
	 "h1200000e100000000101020004aabbccdd0000 d61",
		"1 open", 'c'},
	{"h0400001200000e h100000000101020004aabbccdd000018 h00000100k d61", "1 open", 'c'},
	{"h0400001200000e d61", "alert 2/10 0 dead", 'c'},
	{"h0400001200000e a0100", "0 closed", 'c'},
	{"h0400001200000e a015a h100000000101020004aabbccdd0000 d61", "1 open", 'c'},
	{"h0400001000000e100000000101020004aabbccdd d61", "alert 2/50 0 dead", 'c'},
	{"h0400001000000e h100000000101020004aabbccdd", "alert 2/50 0 dead", 'c'},
	{"h04000000", "alert 2/50 0 dead", 'c'},
	{"h0402010a", "0 open", 'c'},
	{"h0402010b", "alert 2/47 0 dead", 'c'},
	{"h0400000100", "alert 2/50 0 dead", 'c'},
	{"h040000020000", "alert 2/50 0 dead", 'c'},
	{"h0400000300000e", "alert 2/50 0 dead", 'c'},
	{"h0400000400000e10", "alert 2/50 0 dead", 'c'},
	{"h0400000500000e1000", "alert 2/50 0 dead", 'c'},
	{"h0400000600000e100000", "alert 2/50 0 dead", 'c'},
	{"h0400000700000e10000000", "alert 2/50 0 dead", 'c'},
	{"h0400000800000e1000000001", "alert 2/50 0 dead", 'c'},
	{"h0400000900000e100000000101", "alert 2/50 0 dead", 'c'},
	{"h0400000a00000e10000000010102", "alert 2/50 0 dead", 'c'},
	{"h0400000b00000e1000000001010200", "alert 2/50 0 dead", 'c'},
	{"h0400000c00000e100000000101020004", "alert 2/50 0 dead", 'c'},
	{"h0400000d00000e100000000101020004aa", "alert 2/50 0 dead", 'c'},
	{"h0400000e00000e100000000101020004aabb", "alert 2/50 0 dead", 'c'},
	{"h0400000f00000e100000000101020004aabbcc", "alert 2/50 0 dead", 'c'},
	{"h0400000e00000e1000000001010200000000", "alert 2/50 0 dead", 'c'},
	{"h0400000e00000e1000000001000001aa0000 d61", "1 open", 'c'},
	{"h0400001300000e100000000101020004aabbccdd000000", "alert 2/50 0 dead", 'c'},
	{"h0400001200000e100000000101020004aabbccdd0001", "alert 2/50 0 dead", 'c'},
	{"h0400001300000e100000000101020004aabbccdd000100", "alert 2/50 0 dead", 'c'},
	{"h0400001300000e100000000101020004aabbccdd000100", "alert 2/50 0 dead", 'c'},
	{"h0400001400000e100000000101020004aabbccdd00020000", "alert 2/50 0 dead", 'c'},
	{"h0400001400000e100000000101020004aabbccdd0002002a", "alert 2/50 0 dead", 'c'},
	{"h0400001500000e100000000101020004aabbccdd0003002a00", "alert 2/50 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004002a0001", "alert 2/50 0 dead", 'c'},
	{"h0400001700000e100000000101020004aabbccdd0005002a000400", "alert 2/50 0 dead", 'c'},
	{"h0400001b00000e100000000101020004aabbccdd0009002a00040000040000", "alert 2/50 0 dead",
		'c'},
	{"h0400001600000e100000000101020004aabbccdd0004002a0000", "alert 2/50 0 dead", 'c'},
	{"h0400001b00000e100000000101020004aabbccdd0009002a00050000040000", "alert 2/50 0 dead",
		'c'},
	{"h0400002200000e100000000101020004aabbccdd0010002a000400000400002a000400000400",
		"alert 2/47 0 dead", 'c'},
	{"h0400001a00000e100000000101020004aabbccdd0008002a0000002a0000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400000000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400010000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400050000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004000a0000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004000b0000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004000d0000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004000e0000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400100000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400120000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400150000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400160000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400170000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400230000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400290000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004002b0000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004002c0000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004002d0000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004002f0000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400310000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400320000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400330000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004ff010000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000433740000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004fde80000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004000c0000", "alert 2/47 0 dead", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400020000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400030000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400040000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400060000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400090000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004000f0000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400110000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400130000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400140000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400180000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004001b0000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004001c0000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400220000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400280000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400280000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004002e0000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400300000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400340000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000400390000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd00040a0a0000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd000431370000 d61", "1 open", 'c'},
	{"h0400001600000e100000000101020004aabbccdd0004fe0d0000 d61", "1 open", 'c'},
	{"h0400001a00000e100000000101020004aabbccdd00080a0a00000a0a0000 d61", "1 open", 'c'},
	{"h0400001e00000e100000000101020004aabbccdd000c00330000002a000400000400",
		"alert 2/47 0 dead", 'c'},
};

/* The same of TLS 1.2. */
static const struct peer_case cases12[] = {
	/* data */
	{"d616263", "3 open", 'b'},
	{"d61 d6263 w d64", "data 4 open", 'b'},
	{"d^16384", "16384 open", 'b'},
	{"d^16385", "alert 2/22 0 dead", 'b'},
	{"d61 d^16600", "alert 2/22 1 dead", 'b'},
	{"d^16672", "alert 2/22 0 dead", 'b'},
	{"d*32 d61", "1 open", 'b'},
	{"d*33", "alert 2/10 0 dead", 'b'},
	{"d*32 d61 d*32 d62", "2 open", 'b'},
	{"d*32 a015a d*32", "0 open", 'b'},
	{"d61~", "alert 2/20 0 dead", 'b'},
	{"d61 d62~", "alert 2/20 1 dead", 'b'},
	{"d~", "alert 2/20 0 dead", 'b'},
	/* headers and types */
	{"!1703030000", "alert 2/80 0 dead", 'b'},
	{"!170303000100", "alert 2/80 0 dead", 'b'},
	{"!170303000f000000000000000000000000000000", "alert 2/80 0 dead", 'b'},
	{"!1703030018"
	 "000000000000000000000000000000000000000000000000",
		"alert 2/20 0 dead", 'b'},
	{"!1703034140", "0 open", 'b'},
	{"!1703034141", "alert 2/22 0 dead", 'b'},
	{"!170303ffff", "alert 2/22 0 dead", 'b'},
	{"!140303000101", "alert 2/80 0 dead", 'b'},
	{"!15030300020100", "alert 2/80 0 dead", 'b'},
	{"!1703010020", "alert 2/70 0 dead", 'b'},
	{"!1703020020", "alert 2/70 0 dead", 'b'},
	{"!1703040020", "alert 2/70 0 dead", 'b'},
	{"!1704030020", "alert 2/70 0 dead", 'b'},
	{"!1503010002", "alert 2/70 0 dead", 'b'},
	{"!800e010301", "alert 2/70 0 dead", 'b'},
	{"!474554202f20485454502f312e310d0a", "alert 2/70 0 dead", 'b'},
	{"x1401", "alert 2/10 0 dead", 'b'},
	{"x14", "alert 2/10 0 dead", 'b'},
	{"x18010000", "alert 2/10 0 dead", 'b'},
	{"x0061", "alert 2/10 0 dead", 'b'},
	{"xff61", "alert 2/10 0 dead", 'b'},
	{"xff", "alert 2/10 0 dead", 'b'},
	{"h", "0 open", 'b'},
	{"h*33", "alert 2/10 0 dead", 'b'},
	{"d*16 h*16 d61", "1 open", 'b'},
	{"d*16 h*17 d61", "alert 2/10 0 dead", 'b'},
	{"a", "alert 2/10 0 dead", 'b'},
	/* alerts */
	{"a0100", "0 closed", 'b'},
	{"a0200", "0 dead", 'b'},
	{"aff00", "alert 2/47 0 dead", 'b'},
	{"a0000", "alert 2/47 0 dead", 'b'},
	{"a0064", "alert 2/40 0 dead", 'b'},
	{"aff64", "alert 2/40 0 dead", 'b'},
	{"d6162 a0100", "2 closed", 'b'},
	{"a0228", "0 dead", 'b'},
	{"a02ff", "0 dead", 'b'},
	{"a0128 d61", "1 open", 'b'},
	{"a01ff d61", "1 open", 'b'},
	{"a015a d61", "1 open", 'b'},
	{"a025a", "0 dead", 'b'},
	{"a0164", "alert 2/40 0 dead", 'b'},
	{"a0264", "0 dead", 'b'},
	{"a0014", "alert 2/47 0 dead", 'b'},
	{"a0314", "alert 2/47 0 dead", 'b'},
	{"a01", "alert 2/10 0 dead", 'b'},
	{"a010000", "alert 2/10 0 dead", 'b'},
	{"a01000100", "alert 2/10 0 dead", 'b'},
	{"a015a*4 d61", "1 open", 'b'},
	{"a015a*5", "alert 2/10 0 dead", 'b'},
	{"a015a*4 d61 a015a*4 d61", "2 open", 'b'},
	{"a015a*4 d a015a", "alert 2/10 0 dead", 'b'},
	{"a015a*4 a0100", "alert 2/10 0 dead", 'b'},
	{"a015a*4 a0164", "alert 2/10 0 dead", 'b'},
	{"a015a*4 a0228", "0 dead", 'b'},
	/* closing */
	{"s", "alert 1/0 0 open", 'b'},
	{"w s d61 a0100", "data alert 1/0 1 closed", 'b'},
	{"s h01000000 d61", "alert 1/0 1 open", 'b'},
	{"s h0b000000 d61", "alert 1/0 1 open", 'b'},
	{"s h00000000 d61", "alert 1/0 1 open", 'b'},
	/* renegotiation */
	{"h01000000 d61", "alert 1/100 1 open", 's'},
	{"h01000003010203 d61", "alert 1/100 1 open", 's'},
	{"h0100000301 h0203 d61", "alert 1/100 1 open", 's'},
	{"h01 h00 h00 h03 h01 h02 h03 d61", "alert 1/100 1 open", 's'},
	{"h01000003010203 h01000003010203 w", "alert 1/100 alert 1/100 data 0 open", 's'},
	{"h01000003010203*7 d61",
		"alert 1/100 alert 1/100 alert 1/100 alert 1/100 alert 1/100 alert 1/100 alert "
		"1/100 1 open",
		's'},
	{"h0100000301 d61", "alert 2/10 0 dead", 's'},
	{"h0100000301 d", "alert 2/10 0 dead", 's'},
	{"h0100000301 a0100", "0 closed", 's'},
	{"h0100000301 a015a h0203 d61", "alert 1/100 1 open", 's'},
	{"h0100000301 a0228", "0 dead", 's'},
	{"h01020144", "0 open", 's'},
	{"h01020145", "alert 2/47 0 dead", 's'},
	{"h01ffffff", "alert 2/47 0 dead", 's'},
	{"h00000000", "alert 2/10 0 dead", 's'},
	{"h00000000 d61", "alert 1/100 1 open", 'c'},
	{"h00 h000000 d61", "alert 1/100 1 open", 'c'},
	{"h0000000000000000 d61", "alert 1/100 alert 1/100 1 open", 'c'},
	{"h0000000100", "alert 2/47 0 dead", 'c'},
	{"h00000001", "alert 2/47 0 dead", 'c'},
	{"h01000000", "alert 2/10 0 dead", 'c'},
	/* the beginning of a message between others */
	{"h01 d61", "1 open", 'b'},
	{"h0100 a015a d61", "1 open", 'b'},
	{"h01 a0100", "0 closed", 'b'},
	{"h01 x1401", "alert 2/10 0 dead", 'b'},
	/* messages that have no place here */
	{"h02000000", "alert 2/10 0 dead", 'b'},
	{"h0400000600000e1000000000", "alert 2/10 0 dead", 'b'},
	{"h0b000000", "alert 2/10 0 dead", 'b'},
	{"h0c000000", "alert 2/10 0 dead", 'b'},
	{"h0d000000", "alert 2/10 0 dead", 'b'},
	{"h0e000000", "alert 2/10 0 dead", 'b'},
	{"h0f000000", "alert 2/10 0 dead", 'b'},
	{"h10000000", "alert 2/10 0 dead", 'b'},
	{"h1400000c", "alert 2/10 0 dead", 'b'},
	{"h16000000", "alert 2/10 0 dead", 'b'},
	{"h1800000100", "alert 2/10 0 dead", 'b'},
	{"hff000000", "alert 2/10 0 dead", 'b'},
	{"hff", "0 open", 'b'},
};

static bool openssl_3_0(void)
{
	return OpenSSL_version_num() >> 20 == 0x300;
}

/* What OpenSSL says. Its patch releases after 3.0.19 answer a record of TLS 1.2 that is too short
 * for nonce and tag with bad_record_mac; before, and here, it is internal_error. */
static bool openssl_says(const char *it, const char *want)
{
	bool later = (OpenSSL_version_num() >> 4 & 0xff) > 19;

	return strcmp(it, want) == 0 || (later && strcmp(want, "alert 2/80 0 dead") == 0 &&
						strcmp(it, "alert 2/20 0 dead") == 0);
}

static void case_play(struct peer *p, const struct peer_case *k, enum tg_suite suite, bool server)
{
	struct outcome mine, theirs;
	char m[700], t[700];
	const char *want;

	CU_ASSERT_FATAL(peer_begin(p, server, suite));
	play(p, k->script, &mine, &theirs);
	peer_end(p);
	outcome_text(&mine, m, sizeof(m));
	outcome_text(&theirs, t, sizeof(t));
	if (strcmp(m, k->want))
		printf("\n%s: %s, not %s", k->script, m, k->want);
	CU_ASSERT_STRING_EQUAL(m, k->want);
	if (!openssl_3_0())
		return;
	want = k->openssl ? k->openssl : k->want;
	if (!openssl_says(t, want))
		printf("\n%s: OpenSSL: %s, not %s", k->script, t, want);
	CU_ASSERT(openssl_says(t, want));
}

static void cases_play(const struct peer_case *k, uint32_t n, enum tg_suite first)
{
	struct peer p;

	tg_aead_init("auto");
	CU_ASSERT_FATAL(peer_init(&p));
	for (uint32_t i = 0; i < 3 * n; i++) {
		enum tg_suite suite = (enum tg_suite)(first + i % 3);

		if (k[i / 3].side != 'c')
			case_play(&p, &k[i / 3], suite, true);
		if (k[i / 3].side != 's')
			case_play(&p, &k[i / 3], suite, false);
	}
	peer_exit(&p);
}

static void as_openssl(void)
{
	cases_play(cases, TG_ARRAY_LEN(cases), TG_SUITE_AES_128_GCM_SHA256);
}

static void as_openssl12(void)
{
	cases_play(cases12, TG_ARRAY_LEN(cases12), TG_SUITE12_AES_128_GCM_SHA256);
}

/* --- whatever a peer can do, in any order ----------------------------------------------------- */

/* Kind words first. A KeyUpdate that asks is followed by one that does not, which lets it be
 * answered: where only the head of the next message follows in its record, OpenSSL answers and then
 * forgets to look at that head until more comes. */
#define KIND 11
static const char *const lexicon[] = {"d61", "d61", "d", "d*3", "d*17", "d6162+9", "a015a",
	"a015a*2", "h1800000100k", "h1800000101k h1800000100k", "h1800000101k*3 h1800000100k",
	"h18", "h1800", "h000100k", "h18000001", "h01k h1800000100k", "h00k", "h1800000102",
	"h18000001001", "a0100", "a0228", "a01", "h04", "h05000000", "h", "x2062", "x00", "d^16385",
	"d61~", "!1403030001", "!1703020003", "!170303410f", "h04000012",
	"h00000e100000000101020004aabbccdd0000", "h0400001200000e100000000101020004aabbccdd0000",
	"h0400001200000e100000000101020004aabbccdd000018", "h00000e1000000001",
	"h01020004aabbccdd0000", "h0400000e00000e100000000101020000",
	"h1800000101k+3 h1800000100k"};

/* Of TLS 1.2. Neither w nor s: in the middle of a ClientHello OpenSSL does not write, and we do. */
#define KIND12 16
static const char *const lexicon12[] = {"d61", "d61", "d", "d*3", "d*17", "h", "a015a", "a0128*2",
	"h01000000", "h01000003010203", "h0100000301 h0203", "h01 h000000", "h00000000",
	"h00000000", "h01000000010000020101", "h00 h000000", "h01", "h00", "h0000", "h0100",
	"h000001", "h01000003", "h0203", "a0100", "a0200", "a0228", "a0164", "a01", "a0314",
	"h0e000000", "h1800000100", "x1401", "x2062", "x14", "d^16385", "d61~", "!1703020003",
	"!1703034141"};

static void random_script(
	struct tg_rng *r, const char *const *words, uint32_t n_words, uint32_t n_kind, char *out)
{
	uint32_t n = 1 + tg_rng_below(r, 12);

	*out = 0;
	while (n--) {
		/* Most words are kind, so that something comes after them. */
		uint32_t kind = tg_rng_below(r, 4) ? n_kind : n_words;

		strcat(out, words[tg_rng_below(r, kind)]);
		strcat(out, n ? " " : "");
	}
}

static void random_peers(void)
{
	struct outcome mine, theirs;
	uint32_t differ = 0;
	char script[1024], m[700], t[700];
	struct tg_rng r;
	struct peer p;

	if (!openssl_3_0())
		return;
	tg_aead_init("auto");
	tg_rng_seed(&r, 6);
	CU_ASSERT_FATAL(peer_init(&p));
	for (uint32_t i = 0; i < 1200; i++) {
		if (i % 12 < 6)
			random_script(&r, lexicon, TG_ARRAY_LEN(lexicon), KIND, script);
		else
			random_script(&r, lexicon12, TG_ARRAY_LEN(lexicon12), KIND12, script);
		CU_ASSERT_FATAL(peer_begin(&p, i % 2, (enum tg_suite)(i % 12 / 2)));
		play(&p, script, &mine, &theirs);
		peer_end(&p);
		if (same(&mine, &theirs))
			continue;
		outcome_text(&mine, m, sizeof(m));
		outcome_text(&theirs, t, sizeof(t));
		printf("\n%s: %s, OpenSSL: %s", script, m, t);
		differ++;
	}
	CU_ASSERT_EQUAL(differ, 0);
	peer_exit(&p);
}

TG_TEST_MAIN("peer", {"as OpenSSL", as_openssl}, {"as OpenSSL, TLS 1.2", as_openssl12},
	{"random peers", random_peers})
