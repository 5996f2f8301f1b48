/* post.c: what passes after the handshake besides application data.
 *
 * What a peer may do wrong, in the order in which it is noticed, and the alert that answers it, as
 * OpenSSL 3.0 has it (ssl3_get_record, ssl3_read_bytes, tls_get_message_header, read_state_machine,
 * tls_process_key_update, tls_process_new_session_ticket), compared with it in
 * tests/unit/tls/test_peer.c:
 *
 *   header (record.c)    major version                            protocol_version
 *                        type other than 23, also CCS             unexpected_message
 *                        minor version                            decode_error
 *                        length > 16640                           record_overflow
 *   record (record.c)    shorter than type and tag; wrong tag     bad_record_mac
 *                        zeros only; inner type not 21, 22, 23    unexpected_message
 *                        alert or handshake of no bytes           unexpected_message
 *                        content > 16384                          record_overflow
 *   data                 the 33rd empty record in a row           unexpected_message
 *                        in the middle of a handshake message     unexpected_message
 *   alert                inside a handshake message's 4-byte head unexpected_message
 *                        not two bytes                            unexpected_message
 *                        the 5th warning in a row: level 1, or
 *                        user_canceled of any level               unexpected_message
 *                        close_notify of any level                TG_POST_CLOSED
 *                        user_canceled of any level               ignored
 *                        any other, of any level, also unknown    TG_POST_ALERT
 *   handshake            neither KeyUpdate nor, from a server,
 *                        NewSessionTicket: as soon as its head
 *                        is there                                 unexpected_message
 *                        KeyUpdate of more than 1 byte            illegal_parameter
 *                        NewSessionTicket of more than 131338     illegal_parameter
 *   KeyUpdate            more behind it in its record             unexpected_message
 *                        no byte                                  decode_error
 *                        neither 0 nor 1                          illegal_parameter
 *   NewSessionTicket     lengths that do not fit, no ticket       decode_error
 *                        an extension of TLS that does not belong
 *                        there, or twice                          illegal_parameter
 *                        early_data that is not four bytes        decode_error
 *
 * In TLS 1.2:
 *
 *   header (record.c)    version                                  protocol_version
 *                        length > 16704                           record_overflow
 *   record (record.c)    shorter than nonce and tag               internal_error
 *                        wrong tag                                bad_record_mac
 *                        content > 16384                          record_overflow
 *                        type not 21, 22, 23                      unexpected_message
 *   data                 the 33rd empty record in a row           unexpected_message
 *                        in the body of a handshake message       unexpected_message
 *   alert                not two bytes                            unexpected_message
 *                        the 5th warning in a row                 unexpected_message
 *                        close_notify as a warning                TG_POST_CLOSED
 *                        fatal, also close_notify                 TG_POST_ALERT
 *                        no_renegotiation of another level        handshake_failure
 *                        another warning                          ignored
 *                        another level                            illegal_parameter
 *   handshake            behind our close_notify                  ignored
 *                        not a ClientHello to a server,
 *                        HelloRequest to a client: as soon as
 *                        its head is there                        unexpected_message
 *                        ClientHello of more than 131396,
 *                        HelloRequest of more than 0              illegal_parameter
 *                        complete, whatever it says               no_renegotiation, as a warning
 *
 * Ours alone: the 1025th KeyUpdate or refused renegotiation in a row is unexpected_message
 * (OpenSSL counts none); in the middle of a ClientHello we write on (OpenSSL waits); tickets that
 * are longer than TG_POST_TICKET_MAX or find the gathering buffer taken are skipped unchecked.
 */
#include "post.h"

/* HandshakeType */
enum { HELLO_REQUEST = 0, CLIENT_HELLO = 1, NEW_SESSION_TICKET = 4, KEY_UPDATE = 24 };
enum { UPDATE_NOT_REQUESTED = 0, UPDATE_REQUESTED = 1 };
enum { LEVEL_WARNING = 1, LEVEL_FATAL = 2 };

#define ANSWERS_MAX UINT8_MAX
#define HEAD sizeof(((struct tg_post *)0)->head)

void tg_post_init(struct tg_post *p, bool server, bool tls12)
{
	*p = (struct tg_post){.server = server, .tls12 = tls12};
}

static void gather_release(const struct tg_post *p, struct tg_post_gather *g)
{
	if (g->owner == p)
		g->owner = NULL;
}

void tg_post_end(struct tg_post *p, struct tg_post_gather *g)
{
	gather_release(p, g);
}

void tg_post_fail(struct tg_post *p, int32_t alert)
{
	p->peer_closed = true;
	p->alert = (uint8_t)-alert;
}

/* --- receiving -------------------------------------------------------------------------------- */

static int32_t fail(struct tg_post *p, enum tg_alert alert)
{
	tg_post_fail(p, -(int32_t)alert);
	return -(int32_t)alert;
}

static enum tg_post_ev refuse(struct tg_post *p, enum tg_alert alert, struct tg_post_out *out)
{
	fail(p, alert);
	out->alert = (uint8_t)alert;
	return TG_POST_REFUSED;
}

int32_t tg_post_data(struct tg_post *p, uint32_t n)
{
	if (!n && ++p->empty > TG_POST_EMPTY_MAX)
		return fail(p, TG_ALERT_UNEXPECTED_MESSAGE);
	if (p->tls12 ? p->n_head == HEAD : p->n_head > 0)
		return fail(p, TG_ALERT_UNEXPECTED_MESSAGE);
	if (n) {
		p->empty = 0;
		p->warnings = 0;
		p->key_updates = 0;
	}
	return 0;
}

static enum tg_post_ev take_alert(
	struct tg_post *p, struct tg_view *content, struct tg_post_out *out)
{
	const uint8_t *b = content->p;
	uint32_t n = content->n;

	*content = TG_VIEW_NONE;
	if (p->n_head && p->n_head < sizeof(p->head))
		return refuse(p, TG_ALERT_UNEXPECTED_MESSAGE, out);
	if (n != 2)
		return refuse(p, TG_ALERT_UNEXPECTED_MESSAGE, out);
	if ((b[0] == LEVEL_WARNING || b[1] == TG_ALERT_USER_CANCELED) &&
		++p->warnings > TG_POST_WARNINGS_MAX)
		return refuse(p, TG_ALERT_UNEXPECTED_MESSAGE, out);
	out->alert = b[1];
	if (b[1] == TG_ALERT_USER_CANCELED)
		return TG_POST_DONE;
	p->peer_closed = true;
	if (b[1] == TG_ALERT_CLOSE_NOTIFY)
		return TG_POST_CLOSED;
	/* Section 6: whatever its level says, it ends the connection, and nothing answers it. */
	p->tx_closed = true;
	return TG_POST_ALERT;
}

static enum tg_post_ev take_alert12(
	struct tg_post *p, struct tg_view *content, struct tg_post_out *out)
{
	const uint8_t *b = content->p;
	uint32_t n = content->n;

	*content = TG_VIEW_NONE;
	if (n != 2)
		return refuse(p, TG_ALERT_UNEXPECTED_MESSAGE, out);
	if (b[0] == LEVEL_WARNING && ++p->warnings > TG_POST_WARNINGS_MAX)
		return refuse(p, TG_ALERT_UNEXPECTED_MESSAGE, out);
	out->alert = b[1];
	if (b[0] == LEVEL_FATAL) {
		p->peer_closed = p->tx_closed = true;
		return TG_POST_ALERT;
	}
	if (b[1] == TG_ALERT_NO_RENEGOTIATION)
		return refuse(p, TG_ALERT_HANDSHAKE_FAILURE, out);
	if (b[0] != LEVEL_WARNING)
		return refuse(p, TG_ALERT_ILLEGAL_PARAMETER, out);
	if (b[1] != TG_ALERT_CLOSE_NOTIFY)
		return TG_POST_DONE;
	p->peer_closed = true;
	return TG_POST_CLOSED;
}

/* --- reading bytes ---------------------------------------------------------------------------- */

static bool get_bytes(struct tg_view *v, uint32_t n, struct tg_view *out)
{
	if (v->n < n)
		return false;
	*out = (struct tg_view){v->p, n};
	v->p += n;
	v->n -= n;
	return true;
}

static bool get_int(struct tg_view *v, uint32_t bytes, uint32_t *out)
{
	struct tg_view b;

	if (!get_bytes(v, bytes, &b))
		return false;
	*out = 0;
	for (uint32_t i = 0; i < bytes; i++)
		*out = *out << 8 | b.p[i];
	return true;
}

/* opaque<..>, with a length of so many bytes. */
static bool get_vector(struct tg_view *v, uint32_t len_bytes, struct tg_view *out)
{
	uint32_t n;

	return get_int(v, len_bytes, &n) && get_bytes(v, n, out);
}

/* --- NewSessionTicket ------------------------------------------------------------------------- */

#define EXT_EARLY_DATA 42

/* Extensions that have no place in a ticket. Unknown ones are for others and pass. */
static bool ext_misplaced(uint32_t type)
{
	static const uint16_t known[] = {0, 1, 5, 10, 11, 12, 13, 14, 16, 18, 21, 22, 23, 35, 41,
		43, 44, 45, 47, 49, 50, 51, 13172, 65000, 65281};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(known); i++)
		if (known[i] == type)
			return true;
	return false;
}

/* 0 or an alert. All extensions are looked at before the value of one, as OpenSSL does. */
static enum tg_alert ticket_extensions(struct tg_view exts, uint32_t *max_early_data)
{
	struct tg_view ext, early = TG_VIEW_NONE;
	bool has_early = false;
	uint32_t type;

	*max_early_data = 0;
	while (exts.n) {
		if (!get_int(&exts, 2, &type) || !get_vector(&exts, 2, &ext))
			return TG_ALERT_DECODE_ERROR;
		if (ext_misplaced(type) || (type == EXT_EARLY_DATA && has_early))
			return TG_ALERT_ILLEGAL_PARAMETER;
		if (type == EXT_EARLY_DATA) {
			has_early = true;
			early = ext;
		}
	}
	if (has_early && (early.n != 4 || !get_int(&early, 4, max_early_data)))
		return TG_ALERT_DECODE_ERROR;
	return 0;
}

static enum tg_alert ticket_read(struct tg_view body, struct tg_ticket *t)
{
	struct tg_view exts;

	if (!get_int(&body, 4, &t->lifetime) || !get_int(&body, 4, &t->age_add) ||
		!get_vector(&body, 1, &t->nonce) || !get_vector(&body, 2, &t->ticket) ||
		!t->ticket.n || !get_vector(&body, 2, &exts) || body.n)
		return TG_ALERT_DECODE_ERROR;
	return ticket_extensions(exts, &t->max_early_data);
}

/* --- handshake messages ----------------------------------------------------------------------- */

static uint32_t body_size(const struct tg_post *p)
{
	return (uint32_t)p->head[1] << 16 | p->head[2] << 8 | p->head[3];
}

/* 0 or an alert: what its four bytes say is enough to refuse a message. */
static enum tg_alert head_check(const struct tg_post *p)
{
	if (p->head[0] == KEY_UPDATE)
		return body_size(p) > 1 ? TG_ALERT_ILLEGAL_PARAMETER : 0;
	if (p->head[0] == NEW_SESSION_TICKET && !p->server)
		return body_size(p) > TG_POST_TICKET_LEGAL ? TG_ALERT_ILLEGAL_PARAMETER : 0;
	return TG_ALERT_UNEXPECTED_MESSAGE;
}

/* Takes bytes of the head. False: it is not complete yet. */
static bool take_head(struct tg_post *p, struct tg_view *content)
{
	struct tg_view b;
	uint32_t n = sizeof(p->head) - p->n_head;

	get_bytes(content, n < content->n ? n : content->n, &b);
	memcpy(p->head + p->n_head, b.p, b.n);
	p->n_head = (uint8_t)(p->n_head + b.n);
	return p->n_head == sizeof(p->head);
}

static enum tg_post_ev key_update(
	struct tg_post *p, struct tg_view body, struct tg_view rest, struct tg_post_out *out)
{
	/* Keys change between records. */
	if (rest.n)
		return refuse(p, TG_ALERT_UNEXPECTED_MESSAGE, out);
	if (body.n != 1)
		return refuse(p, TG_ALERT_DECODE_ERROR, out);
	if (body.p[0] > UPDATE_REQUESTED)
		return refuse(p, TG_ALERT_ILLEGAL_PARAMETER, out);
	if (++p->key_updates > TG_POST_KEY_UPDATES_MAX)
		return refuse(p, TG_ALERT_UNEXPECTED_MESSAGE, out);
	if (body.p[0] == UPDATE_REQUESTED && p->answers < ANSWERS_MAX)
		p->answers++;
	p->asked = false;
	return TG_POST_KEY_UPDATE;
}

static enum tg_post_ev ticket(struct tg_post *p, struct tg_view body, struct tg_post_out *out)
{
	enum tg_alert alert = ticket_read(body, &out->ticket);

	return alert ? refuse(p, alert, out) : TG_POST_TICKET;
}

/* Puts a part of a ticket away, or drops it. True: the last part completed *body. */
static bool gather(const struct tg_post *p, struct tg_view part, struct tg_post_gather *g,
	struct tg_view *body)
{
	uint32_t size = body_size(p);

	/* The first part claims the buffer; p->left is without `part` already. */
	if (p->left + part.n == size && !g->owner && size <= sizeof(g->b)) {
		g->owner = p;
		g->n = 0;
	}
	if (g->owner != p)
		return false;
	memcpy(g->b + g->n, part.p, part.n);
	g->n += part.n;
	if (p->left)
		return false;
	*body = (struct tg_view){g->b, g->n};
	g->owner = NULL;
	return true;
}

/* One message, or as much of it as is there. */
static enum tg_post_ev take_message(struct tg_post *p, struct tg_view *content,
	struct tg_post_gather *g, struct tg_post_out *out)
{
	struct tg_view body;
	enum tg_alert alert;
	bool begun = p->n_head == sizeof(p->head), whole = true;

	if (!begun) {
		if (!take_head(p, content))
			return TG_POST_DONE;
		p->due = p->answers;
		alert = head_check(p);
		if (alert)
			return refuse(p, alert, out);
		p->left = body_size(p);
	}
	get_bytes(content, p->left < content->n ? p->left : content->n, &body);
	p->left -= body.n;
	/* The body of a KeyUpdate is one byte: always whole. */
	if (p->head[0] == NEW_SESSION_TICKET && (begun || p->left))
		whole = gather(p, body, g, &body);
	if (p->left)
		return TG_POST_DONE;
	p->n_head = 0;
	if (!whole)
		return TG_POST_DONE;
	return p->head[0] == KEY_UPDATE ? key_update(p, body, *content, out) : ticket(p, body, out);
}

/* 0 or an alert. */
static enum tg_alert head_check12(const struct tg_post *p)
{
	if (p->head[0] != (p->server ? CLIENT_HELLO : HELLO_REQUEST))
		return TG_ALERT_UNEXPECTED_MESSAGE;
	return body_size(p) > (p->server ? TG_POST_HELLO_LEGAL : 0) ? TG_ALERT_ILLEGAL_PARAMETER
								    : 0;
}

/* One message, or as much of it as is there: what asks for a renegotiation is not even read. */
static enum tg_post_ev take_message12(
	struct tg_post *p, struct tg_view *content, struct tg_post_out *out)
{
	struct tg_view body;
	enum tg_alert alert;

	if (p->n_head < HEAD) {
		if (!take_head(p, content))
			return TG_POST_DONE;
		alert = head_check12(p);
		if (alert)
			return refuse(p, alert, out);
		p->left = body_size(p);
	}
	get_bytes(content, p->left < content->n ? p->left : content->n, &body);
	p->left -= body.n;
	if (p->left)
		return TG_POST_DONE;
	p->n_head = 0;
	if (++p->key_updates > TG_POST_KEY_UPDATES_MAX)
		return refuse(p, TG_ALERT_UNEXPECTED_MESSAGE, out);
	p->due += p->due < ANSWERS_MAX;
	return TG_POST_DONE;
}

static enum tg_post_ev take12(
	struct tg_post *p, uint8_t type, struct tg_view *content, struct tg_post_out *out)
{
	enum tg_post_ev ev = TG_POST_DONE;

	if (content->n)
		p->empty = 0;
	else if (++p->empty > TG_POST_EMPTY_MAX)
		return refuse(p, TG_ALERT_UNEXPECTED_MESSAGE, out);
	if (type == TG_REC_ALERT)
		return take_alert12(p, content, out);
	if (content->n)
		p->warnings = 0;
	if (p->tx_closed)
		*content = TG_VIEW_NONE;
	while (content->n && ev == TG_POST_DONE)
		ev = take_message12(p, content, out);
	return ev;
}

enum tg_post_ev tg_post_take(struct tg_post *p, uint8_t type, struct tg_view *content,
	struct tg_post_gather *g, struct tg_post_out *out)
{
	enum tg_post_ev ev = TG_POST_DONE;

	if (p->tls12)
		return take12(p, type, content, out);
	p->empty = 0;
	if (type == TG_REC_ALERT)
		return take_alert(p, content, out);
	p->warnings = 0;
	while (content->n && ev == TG_POST_DONE)
		ev = take_message(p, content, g, out);
	return ev;
}

/* --- sending ---------------------------------------------------------------------------------- */

void tg_post_finish(struct tg_post *p)
{
	p->finish = true;
}

/* The peer should change its keys, and has not been told. */
static bool rx_wants_key(const struct tg_post *p, const struct tg_rec *rx)
{
	return !p->asked && !p->peer_closed && tg_rec_worn(rx);
}

/* A KeyUpdate, or in TLS 1.2 the refusal of a renegotiation. */
static bool wants_answer(
	const struct tg_post *p, const struct tg_rec *tx, const struct tg_rec *rx, bool data_left)
{
	if (p->tls12)
		return p->due;
	return p->due || (data_left && (p->answers || tg_rec_worn(tx))) || rx_wants_key(p, rx);
}

bool tg_post_wants_any(
	const struct tg_post *p, const struct tg_rec *tx, const struct tg_rec *rx, bool data_left)
{
	return !p->tx_closed &&
	       (p->alert || (p->finish && !data_left) || wants_answer(p, tx, rx, data_left));
}

static struct tg_post_msg key_update_msg(struct tg_post *p, bool ask)
{
	p->asked |= ask;
	p->answers -= p->answers > 0;
	p->due -= p->due > 0;
	return (struct tg_post_msg){TG_REC_HANDSHAKE, 5,
		{KEY_UPDATE, 0, 0, 1, ask ? UPDATE_REQUESTED : UPDATE_NOT_REQUESTED}, true};
}

bool tg_post_tx(struct tg_post *p, const struct tg_rec *tx, const struct tg_rec *rx, bool data_left,
	struct tg_post_msg *m)
{
	if (!tg_post_wants_tx(p, tx, rx, data_left))
		return false;
	if (p->alert && !p->due) {
		*m = (struct tg_post_msg){TG_REC_ALERT, 2, {LEVEL_FATAL, p->alert}, false};
		p->tx_closed = true;
	} else if (p->tls12 && p->due) {
		*m = (struct tg_post_msg){
			TG_REC_ALERT, 2, {LEVEL_WARNING, TG_ALERT_NO_RENEGOTIATION}, false};
		p->due--;
	} else if (wants_answer(p, tx, rx, data_left)) {
		*m = key_update_msg(p, rx_wants_key(p, rx));
	} else {
		*m = (struct tg_post_msg){
			TG_REC_ALERT, 2, {LEVEL_WARNING, TG_ALERT_CLOSE_NOTIFY}, false};
		p->tx_closed = true;
	}
	return true;
}
