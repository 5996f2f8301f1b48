/* serve.c: the steps of a handshake of our own: records in, messages to answer.c, bytes out. */
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/sslerr.h>

#include "internal.h"

#define CCS_MAX 32     /* in a row */
#define WARNINGS_MAX 5 /* in a row: one too many */
enum { LEVEL_WARNING = 1, LEVEL_FATAL = 2 };

/* --- life ---------------------------------------------------------------------------------------
 */

void tg_serve_begin(struct tg_hs *h)
{
	struct tg_serve *s = &h->serve;
	const struct tg_tls_ctx *x = h->f.ctx;

	s->buf = s->space;
	s->size = sizeof(s->space);
	if (x->plain && !h->f.w->serve->off)
		s->state = SERVE_HELLO;
}

static void drop_buf(struct tg_serve *s)
{
	if (s->buf == s->space)
		return;
	explicit_bzero(s->buf, s->size);
	free(s->buf);
	s->buf = s->space;
	s->size = sizeof(s->space);
}

void tg_serve_end(struct tg_hs *h)
{
	struct tg_serve *s = &h->serve;

	X509_free(s->leaf);
	tg_ident_drop(h->f.w->idents, s->known);
	if (s->buf)
		drop_buf(s);
	/* Certificates are no secrets; what stands behind them is. */
	explicit_bzero(s, offsetof(struct tg_serve, cert));
	explicit_bzero(s->space, sizeof(s->space));
}

bool tg_serve_random(
	struct tg_serve_worker *w, const struct tg_tls_lib *lib, uint8_t *out, uint32_t n)
{
	uint8_t *from;

	if (w->n_random < n) {
		w->n_random = 0;
		if (RAND_bytes_ex(lib->ctx, w->random, sizeof(w->random), 0) != 1)
			return false;
		w->n_random = sizeof(w->random);
	}
	w->n_random -= n;
	from = w->random + w->n_random;
	memcpy(out, from, n);
	explicit_bzero(from, n);
	return true;
}

void tg_serve_keep(struct tg_serve *s, struct tg_view cert)
{
	s->n_cert = cert.n;
	if (cert.n && cert.n <= sizeof(s->cert))
		memcpy(s->cert, cert.p, cert.n);
}

/* Room for n bytes; what is there stays. */
static bool grow(struct tg_serve *s, uint32_t n)
{
	uint32_t size = n < 2 * s->size ? 2 * s->size : n;
	uint8_t *b;

	if (n <= s->size)
		return true;
	b = malloc(size);
	if (!b)
		return false;
	memcpy(b, s->buf, s->n_msg + s->n_rec);
	drop_buf(s);
	s->buf = b;
	s->size = size;
	return true;
}

/* --- refusing -----------------------------------------------------------------------------------
 */

bool tg_serve_refuse(struct tg_hs *h, uint8_t alert, int reason)
{
	if (!h->f.alert)
		h->f.alert = alert;
	tg_refuse_reason(&h->f, alert, reason);
	return false;
}

static bool no_memory(struct tg_hs *h)
{
	return tg_serve_refuse(h, SSL_AD_INTERNAL_ERROR, ERR_R_MALLOC_FAILURE);
}

/* Behind our Finished all that we send is sealed with the application's keys. */
static void put_alert(struct tg_hs *h, struct tg_hs_io *io)
{
	uint8_t b[2] = {LEVEL_FATAL, h->f.alert};
	struct tg_serve_worker *w = h->f.w->serve;

	if (!h->f.alert || h->f.alert_by_peer || h->serve.n_out)
		return;
	w->n_wire = 0;
	if (tg_serve_seal(w, &h->serve.tx, TG_REC_ALERT, tg_view_of(b, 2)) &&
		w->n_wire <= io->out.n - io->made) {
		memcpy(io->out.p + io->made, w->wire, w->n_wire);
		io->made += w->n_wire;
	}
}

/* --- bytes --------------------------------------------------------------------------------------
 */

/* Takes bytes of the peer's until the record has `want` of them. False: there are fewer. */
static bool gather(struct tg_serve *s, struct tg_hs_io *io, uint32_t want)
{
	uint32_t skip = io->used;

	for (uint32_t i = 0; i < io->n_in && s->n_rec < want; i++) {
		const struct tg_view *v = &io->in[i];
		uint32_t n;

		if (skip >= v->n) {
			skip -= v->n;
			continue;
		}
		n = v->n - skip < want - s->n_rec ? v->n - skip : want - s->n_rec;
		memcpy(s->buf + s->n_msg + s->n_rec, v->p + skip, n);
		s->n_rec += n;
		io->used += n;
		skip = 0;
	}
	return s->n_rec >= want;
}

/* What had no room goes out first. True: all is out. */
static bool flush(struct tg_serve *s, struct tg_hs_io *io)
{
	uint32_t left = s->n_out - s->sent, room = io->out.n - io->made;
	uint32_t n = left < room ? left : room;

	if (n)
		memcpy(io->out.p + io->made, s->buf + s->sent, n);
	io->made += n;
	s->sent += n;
	if (s->sent < s->n_out)
		return false;
	if (s->n_out)
		drop_buf(s);
	s->n_out = s->sent = 0;
	return true;
}

/* The worker's wire goes out, or what has no room is kept. False: no memory. */
static bool put_wire(struct tg_hs *h, struct tg_hs_io *io)
{
	const struct tg_serve_worker *w = h->f.w->serve;
	struct tg_serve *s = &h->serve;
	uint32_t room = io->out.n - io->made, n = w->n_wire < room ? w->n_wire : room;

	if (n)
		memcpy(io->out.p + io->made, w->wire, n);
	io->made += n;
	if (n == w->n_wire)
		return true;
	if (!grow(s, w->n_wire - n))
		return false;
	s->n_out = w->n_wire - n;
	memcpy(s->buf, w->wire + n, s->n_out);
	return true;
}

/* --- the ClientHello ----------------------------------------------------------------------------
 */

/* Of a record that holds all of a ClientHello, and nothing else. */
static bool plain_header(const uint8_t *p, uint32_t *n)
{
	*n = TG_REC_HEADER + tg_load_be16(p + 3);
	return p[0] == TG_REC_HANDSHAKE && p[1] == 3 && (p[2] == 1 || p[2] == 3) &&
	       *n > TG_REC_HEADER && *n <= SERVE_INLINE;
}

/* False: it is for OpenSSL. */
static bool read_hello(struct tg_hs *h, struct tg_hs_io *io, enum tg_hs_state *state)
{
	struct tg_serve *s = &h->serve;
	uint32_t n;

	*state = TG_HS_WANT_INPUT;
	if (!gather(s, io, TG_REC_HEADER))
		return true;
	if (!plain_header(s->buf, &n))
		return false;
	if (!gather(s, io, n))
		return true;
	if (!tg_flight_make(h, tg_view_of(s->buf + TG_REC_HEADER, n - TG_REC_HEADER)))
		return false;
	s->n_rec = 0;
	s->plain_alerts = true;
	s->state = h->f.ctx->request.n && !s->resumed ? SERVE_CERTIFICATE : SERVE_FINISHED;
	if (!put_wire(h, io)) {
		no_memory(h);
		*state = TG_HS_FAILED;
	} else if (s->n_out) {
		*state = TG_HS_WANT_OUTPUT;
	}
	return true;
}

/* --- messages -----------------------------------------------------------------------------------
 */

/* Type and length, as soon as they are there. */
static bool check_head(struct tg_hs *h, const uint8_t *head, uint32_t *n)
{
	static const struct {
		uint8_t type;
		uint32_t max;
	} want[] = {[SERVE_CERTIFICATE] = {SSL3_MT_CERTIFICATE, SERVE_CERTIFICATE_MAX},
		[SERVE_VERIFY] = {SSL3_MT_CERTIFICATE_VERIFY, SERVE_VERIFY_MAX},
		[SERVE_FINISHED] = {SSL3_MT_FINISHED, SERVE_FINISHED_MAX}};

	*n = (uint32_t)head[1] << 16 | tg_load_be16(head + 2);
	if (head[0] != want[h->serve.state].type)
		return tg_serve_refuse(h, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_MESSAGE);
	if (*n > want[h->serve.state].max)
		return tg_serve_refuse(h, SSL_AD_ILLEGAL_PARAMETER, SSL_R_EXCESSIVE_MESSAGE_SIZE);
	return true;
}

/* rest: bytes of the record that stand behind it. */
static bool take_message(struct tg_hs *h, struct tg_view m, uint32_t rest)
{
	h->serve.plain_alerts = false;
	switch (h->serve.state) {
	case SERVE_CERTIFICATE:
		return tg_answer_certificate(h, m);
	case SERVE_VERIFY:
		return tg_answer_verify(h, m);
	default: /* keys change behind Finished */
		if (rest)
			return tg_serve_refuse(
				h, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_NOT_ON_RECORD_BOUNDARY);
		return tg_answer_finished(h, m);
	}
}

/* All that are complete. */
static bool take_messages(struct tg_hs *h)
{
	struct tg_serve *s = &h->serve;
	uint32_t at = 0, n;

	while (s->state != SERVE_OPEN && s->n_msg - at >= 4) {
		if (!check_head(h, s->buf + at, &n))
			return false;
		if (s->n_msg - at < 4 + n)
			break;
		if (!take_message(h, tg_view_of(s->buf + at, 4 + n), s->n_msg - at - 4 - n))
			return false;
		at += 4 + n;
	}
	s->n_msg -= at;
	if (at && s->n_msg)
		memmove(s->buf, s->buf + at, s->n_msg);
	return true;
}

/* --- records ------------------------------------------------------------------------------------
 */

/* As OpenSSL looks at them, in its order. */
static bool check_header(struct tg_hs *h, const uint8_t *p)
{
	bool known = p[0] == TG_REC_DATA || p[0] == TG_REC_CCS ||
		     (p[0] == TG_REC_ALERT && h->serve.plain_alerts);

	if (p[1] != 3)
		return tg_serve_refuse(h, SSL_AD_PROTOCOL_VERSION, SSL_R_WRONG_VERSION_NUMBER);
	if (!known)
		return tg_serve_refuse(h, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_BAD_RECORD_TYPE);
	if (p[2] != 3)
		return tg_serve_refuse(h, SSL_AD_DECODE_ERROR, SSL_R_WRONG_VERSION_NUMBER);
	if (tg_load_be16(p + 3) > TG_REC_BODY_MAX)
		return tg_serve_refuse(h, SSL_AD_RECORD_OVERFLOW, SSL_R_PACKET_LENGTH_TOO_LONG);
	return true;
}

/* Appendix D.4: it means nothing. */
static bool take_ccs(struct tg_hs *h, struct tg_view body)
{
	if (body.n != 1 || body.p[0] != 1)
		return tg_serve_refuse(h, SSL_AD_ILLEGAL_PARAMETER, SSL_R_INVALID_CCS_MESSAGE);
	if (++h->serve.empty > CCS_MAX)
		return tg_serve_refuse(h, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_CCS_MESSAGE);
	return true;
}

/* Section 6. True: it is passed over. */
static bool take_alert(struct tg_hs *h, struct tg_view a)
{
	if (a.n != 2)
		return tg_serve_refuse(
			h, SSL_AD_UNEXPECTED_MESSAGE, a.n ? SSL_R_INVALID_ALERT : SSL_R_BAD_LENGTH);
	if ((a.p[0] == LEVEL_WARNING || a.p[1] == SSL_AD_USER_CANCELLED) &&
		++h->serve.warnings == WARNINGS_MAX)
		return tg_serve_refuse(h, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_TOO_MANY_WARN_ALERTS);
	if (a.p[1] == SSL_AD_USER_CANCELLED)
		return true;
	if (a.p[1] == SSL_AD_CLOSE_NOTIFY) {
		tg_refuse(
			&h->f, TG_WHY_tls_closed, "the peer closed before the handshake was done");
		return false;
	}
	h->f.alert = a.p[1];
	h->f.alert_by_peer = true;
	tg_refuse_ssl(&h->f);
	return false;
}

static int reason_of(int32_t alert)
{
	return alert == -TG_ALERT_BAD_RECORD_MAC    ? SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC
	       : alert == -TG_ALERT_RECORD_OVERFLOW ? SSL_R_DATA_LENGTH_TOO_LONG
						    : SSL_R_BAD_RECORD_TYPE;
}

/* A sealed record: its content goes behind the message that is under way. */
static bool take_sealed(struct tg_hs *h)
{
	struct tg_serve *s = &h->serve;
	uint8_t *rec = s->buf + s->n_msg, type = 0;
	struct tg_span span = {rec, s->n_rec};
	int32_t n = -TG_ALERT_INTERNAL_ERROR;

	if (tg_rec_wake(&s->rx, &h->f.w->serve->key)) {
		n = tg_rec_open(&s->rx, &span, 1, &type);
		tg_rec_rest(&s->rx);
	}
	if (n < 0)
		return tg_serve_refuse(h, (uint8_t)-n, reason_of(n));
	if (n)
		s->empty = 0;
	if (type == TG_REC_ALERT)
		return take_alert(h, tg_view_of(rec + TG_REC_HEADER, (uint32_t)n));
	if (type != TG_REC_HANDSHAKE)
		return tg_serve_refuse(h, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_RECORD);
	s->warnings = 0;
	memmove(rec, rec + TG_REC_HEADER, (uint32_t)n);
	s->n_msg += (uint32_t)n;
	s->n_rec = 0;
	return take_messages(h);
}

static bool take_record(struct tg_hs *h)
{
	struct tg_serve *s = &h->serve;
	const uint8_t *rec = s->buf + s->n_msg;
	struct tg_view body = {rec + TG_REC_HEADER, s->n_rec - TG_REC_HEADER};
	bool ok;

	ok = rec[0] == TG_REC_CCS     ? take_ccs(h, body)
	     : rec[0] == TG_REC_ALERT ? take_alert(h, body)
				      : take_sealed(h);
	s->n_rec = 0;
	return ok;
}

/* True: go on; *whole: a record has been taken. */
static bool read_record(struct tg_hs *h, struct tg_hs_io *io)
{
	struct tg_serve *s = &h->serve;
	const uint8_t *rec;
	uint32_t n;

	if (!grow(s, s->n_msg + TG_REC_HEADER))
		return no_memory(h);
	if (!gather(s, io, TG_REC_HEADER))
		return true;
	rec = s->buf + s->n_msg;
	n = TG_REC_HEADER + tg_load_be16(rec + 3);
	if (!check_header(h, rec))
		return false;
	if (!grow(s, s->n_msg + n))
		return no_memory(h);
	return gather(s, io, n) ? take_record(h) : true;
}

/* After Finished: a ticket, if there is one. False: no memory. */
static bool finish(struct tg_hs *h, struct tg_hs_io *io)
{
	h->f.w->serve->n_wire = 0;
	if (!h->f.ctx->conf->session_tickets || h->serve.n_cert > SERVE_LEAF_MAX ||
		!tg_resume_ticket(h))
		return true;
	return put_wire(h, io) || no_memory(h);
}

bool tg_serve_step(struct tg_hs *h, struct tg_hs_io *io, enum tg_hs_state *state)
{
	struct tg_serve *s = &h->serve;
	bool ok;

	if (s->state == SERVE_HELLO)
		return read_hello(h, io, state);
	*state = TG_HS_WANT_OUTPUT;
	if (!flush(s, io))
		return true;
	ok = s->state == SERVE_OPEN || read_record(h, io);
	if (ok && s->state == SERVE_OPEN && !s->finished) {
		s->finished = true;
		ok = finish(h, io);
	}
	if (!ok)
		put_alert(h, io);
	*state = !ok                      ? TG_HS_FAILED
		 : s->n_out               ? TG_HS_WANT_OUTPUT
		 : s->state == SERVE_OPEN ? TG_HS_DONE
					  : TG_HS_WANT_INPUT;
	ERR_clear_error();
	return true;
}

/* --- take ---------------------------------------------------------------------------------------
 */

static bool take_identities(struct tg_hs *h, struct tg_hs_result *out)
{
	const struct tg_ctx_worker *cw = &h->f.ctx->worker[h->f.w->index];
	struct tg_ident_table *t = h->f.w->idents;
	struct tg_serve *s = &h->serve;

	out->peer_expires = h->f.peer.known ? h->f.peer.expires : INT64_MAX;
	out->peer = s->known;
	s->known = NULL;
	if (s->leaf) {
		out->peer = tg_ident_of(t, s->leaf, h->f.peer.leaf,
			h->f.peer.svid ? TG_IDENT_SVID : TG_IDENT_PLAIN);
		if (!out->peer ||
			(h->f.ctx->conf->keep_pem && !tg_ident_keep_pem_of(out->peer, s->leaf)))
			return false;
	}
	out->own = tg_ident_of(
		t, (X509 *)(uintptr_t)cw->own[s->pair], cw->own_digest[s->pair], TG_IDENT_OWN);
	return out->own;
}

static bool take_names(struct tg_hs *h, struct tg_hs_result *out)
{
	struct tg_serve *s = &h->serve;
	struct tg_ident_table *t = h->f.w->idents;

	if (s->n_sni && !(out->sni = tg_name_of(t, s->sni, s->n_sni)))
		return false;
	return !s->alpn.n || (out->alpn = tg_name_of(t, (const char *)s->alpn.p, s->alpn.n));
}

bool tg_serve_take(struct tg_hs *h, struct tg_hs_result *out)
{
	static const char *const names[] = {
		"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
	struct tg_serve *s = &h->serve;

	out->version = 13;
	out->resumed = s->resumed;
	out->cipher = names[s->sched.suite];
	if (!take_identities(h, out) || !take_names(h, out))
		return false;
	tg_rec_init(&out->rx, s->sched.suite, h->f.secret[0], 0);
	out->tx = s->tx;
	return true;
}
