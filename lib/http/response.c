/* response.c: response heads (RFC 9112 sections 4 and 6.3). */
#include "fields.h"
#include "head.h"

/* "HTTP/1.1 200 " with every byte checked as soon as it is there. */
static int status(struct tg_head *h)
{
	int rc = tg_head_version(h, 0);

	if (rc <= 0) {
		/* Not even the protocol's name: this is no response at all. */
		if (rc < 0 && h->len && h->buf[0] != 'H')
			h->s->refusal = TG_H1_BAD_START_LINE;
		return rc;
	}
	for (h->pos = 8; h->pos < 13; h->pos++) {
		uint8_t c;

		if (h->pos == h->len)
			return 0;
		c = h->buf[h->pos];
		if (h->pos == 8 || h->pos == 12) {
			if (c != ' ')
				return tg_head_refuse(
					h, h->pos == 8 ? TG_H1_BAD_VERSION : TG_H1_BAD_STATUS);
		} else if (!(tg_byte_class[c] & TG_BYTE_DIGIT) ||
			   (h->pos == 9 && (c < '1' || c > '5'))) {
			return tg_head_refuse(h, TG_H1_BAD_STATUS);
		}
	}
	return 1;
}

static int reason(struct tg_head *h)
{
	const uint8_t *p = h->buf;
	uint32_t end = tg_head_next(h, h->stops, h->pos);
	int rc;

	h->pos = end;
	if (end == h->len)
		return 0;
	if (p[end] != '\r')
		return tg_head_refuse(h, p[end] == '\n' ? TG_H1_BARE_LF : TG_H1_BAD_START_LINE);
	rc = tg_head_crlf(h);
	if (rc <= 0)
		return rc;
	h->m->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
	h->m->version_minor = p[7] != '0';
	h->m->reason = tg_view_of(p + 13, end - 13);
	return 1;
}

static int status_line(struct tg_head *h)
{
	if (h->s->phase == TG_HEAD_VERSION) {
		int rc = status(h);

		if (rc <= 0)
			return rc;
		h->s->phase = TG_HEAD_REASON;
	}
	return reason(h);
}

/* The length of what the fields announce, whether or not such content follows. */
static enum tg_h1_refusal check_length(struct tg_msg *m, const struct tg_facts *f)
{
	enum tg_h1_refusal r;

	if (f->coding_fields) {
		if (m->version_minor == 0)
			return TG_H1_CODING_IN_HTTP10;
		if (f->lengths)
			return TG_H1_LENGTH_AND_CODING;
		/* Codings that do not end in chunked would mean "until close" (RFC 9112
		 * section 6.3); other readers take them for no coding at all: refused. */
		r = tg_facts_coding(f);
		if (r != TG_H1_OK)
			return r;
		m->body = TG_BODY_CHUNKED;
		return TG_H1_OK;
	}
	if (f->lengths > 1)
		return TG_H1_MANY_CONTENT_LENGTHS;
	if (f->lengths) {
		if (!tg_parse_length(f->length->value, &m->content_length))
			return TG_H1_BAD_CONTENT_LENGTH;
		m->has_content_length = true;
		m->body = TG_BODY_LENGTH;
		return TG_H1_OK;
	}
	m->body = TG_BODY_UNTIL_CLOSE;
	return TG_H1_OK;
}

/* Responses that end with their head whatever the fields say. Where the RFC forbids a length and
 * somebody might believe it all the same, the response is refused. */
static enum tg_h1_refusal check_no_body(
	struct tg_msg *m, const struct tg_facts *f, enum tg_method to)
{
	bool announced = m->body == TG_BODY_CHUNKED || m->has_content_length;

	if (m->status == 101 || (to == TG_CONNECT && m->status / 100 == 2)) {
		if (announced)
			return TG_H1_BODY_NOT_ALLOWED;
		/* RFC 9110 section 7.8: it must say to what. */
		if (m->status == 101 && !(f->upgrade && f->upgrades && m->version_minor > 0))
			return TG_H1_BAD_UPGRADE;
		m->upgrade = m->status == 101;
		m->body = TG_BODY_TUNNEL;
		return TG_H1_OK;
	}
	if (m->status / 100 == 1) {
		if (m->version_minor == 0)
			return TG_H1_BAD_STATUS; /* HTTP/1.0 has none (RFC 9110 section 15.2) */
		if (announced)
			return TG_H1_BODY_NOT_ALLOWED;
		m->body = TG_BODY_NONE;
	} else if (m->status == 204) {
		/* "Content-Length: 0" is forbidden too, but common and says the same; it is not
		 * passed on. */
		if (m->body == TG_BODY_CHUNKED || m->content_length)
			return TG_H1_BODY_NOT_ALLOWED;
		m->body = TG_BODY_NONE;
		m->has_content_length = false;
		tg_msg_remove(m, TG_FIELD_CONTENT_LENGTH);
	} else if (m->status == 304 || to == TG_HEAD) {
		m->body = TG_BODY_NONE;
	}
	return TG_H1_OK;
}

struct response {
	struct tg_head h;
	enum tg_method to;
};

static enum tg_h1_refusal finish(struct tg_head *h)
{
	struct tg_msg *m = h->m;
	struct tg_facts f;
	enum tg_h1_refusal r = tg_facts_gather(h, &f);

	if (r == TG_H1_OK)
		r = check_length(m, &f);
	if (r == TG_H1_OK)
		r = check_no_body(m, &f, TG_CONTAINER(h, struct response, h)->to);
	if (r != TG_H1_OK)
		return r;
	m->keep_alive = !f.close && (m->version_minor > 0 || f.keep_alive) &&
			m->body != TG_BODY_UNTIL_CLOSE && m->body != TG_BODY_TUNNEL;
	return TG_H1_OK;
}

int32_t tg_h1_parse_response(struct tg_h1_scan *s, const uint8_t *buf, uint32_t len,
	const struct tg_h1_limits *limits, enum tg_method to, struct tg_msg *m)
{
	struct response r;

	tg_head_init(&r.h, s, buf, len, limits, m);
	r.to = to;
	return tg_head_parse(&r.h, TG_HEAD_VERSION, status_line, finish);
}
