/* request.c: request heads (RFC 9112 section 3, RFC 9110 section 7). */
#include "fields.h"
#include "head.h"
#include "names.h"
#include "target.h"

/* Up to two empty lines: some clients send one behind a body (RFC 9112 section 2.2). */
static int empty_lines(struct tg_head *h)
{
	for (;;) {
		int rc;

		if (h->pos == h->len)
			return 0;
		if (h->buf[h->pos] == '\n')
			return tg_head_refuse(h, TG_H1_BARE_LF);
		if (h->buf[h->pos] != '\r')
			break;
		if (h->pos >= 4)
			return tg_head_refuse(h, TG_H1_BAD_START_LINE);
		rc = tg_head_crlf(h);
		if (rc <= 0)
			return rc;
		h->s->start = h->pos;
	}
	return 1;
}

/* What to say when a method or target ends with a byte that it may not end with. */
static int bad_end(struct tg_head *h, bool empty, enum tg_h1_refusal other)
{
	uint8_t c = h->buf[h->pos];

	if (c == '\n')
		return tg_head_refuse(h, TG_H1_BARE_LF);
	return tg_head_refuse(h, empty || c == '\r' ? TG_H1_BAD_START_LINE : other);
}

static int method(struct tg_head *h)
{
	uint32_t start = h->s->start;

	h->pos = tg_head_next(h, h->not_token, h->pos);
	if (h->pos - start > TG_HEAD_METHOD_MAX)
		return tg_head_refuse(h, TG_H1_BAD_METHOD);
	if (h->pos == h->len)
		return 0;
	if (h->buf[h->pos] != ' ' || h->pos == start)
		return bad_end(h, h->pos == start, TG_H1_BAD_METHOD);
	h->s->target = ++h->pos;
	return 1;
}

static int target(struct tg_head *h)
{
	uint32_t start = h->s->target, end = h->len;

	/* One byte more than the limit is enough to know. */
	if (end - start > h->limits->max_target)
		end = start + h->limits->max_target + 1;
	h->pos += tg_scan->target_run(h->buf + h->pos, end - h->pos);
	if (h->pos - start > h->limits->max_target)
		return tg_head_refuse(h, TG_H1_TARGET_TOO_LONG);
	if (h->pos == h->len)
		return 0;
	if (h->buf[h->pos] != ' ' || h->pos == start)
		return bad_end(h, h->pos == start, TG_H1_BAD_TARGET);
	h->s->token = ++h->pos;
	return 1;
}

static int version(struct tg_head *h)
{
	struct tg_h1_scan *s = h->s;
	struct tg_msg *m = h->m;
	int rc = tg_head_version(h, s->token);

	if (rc <= 0)
		return rc;
	h->pos = s->token + 8;
	if (h->pos == h->len)
		return 0;
	if (h->buf[h->pos] != '\r')
		return tg_head_refuse(
			h, h->buf[h->pos] == '\n' ? TG_H1_BARE_LF : TG_H1_BAD_VERSION);
	rc = tg_head_crlf(h);
	if (rc <= 0)
		return rc;
	m->method_name = tg_view_of(h->buf + s->start, s->target - 1 - s->start);
	m->method = (uint8_t)tg_method_of(m->method_name);
	m->target = tg_view_of(h->buf + s->target, s->token - 1 - s->target);
	return tg_target_split(m) ? 1 : tg_head_refuse(h, TG_H1_BAD_TARGET);
}

static int request_line(struct tg_head *h)
{
	struct tg_h1_scan *s = h->s;
	int rc = 1;

	h->m->is_request = true;
	if (s->phase == TG_HEAD_EMPTY) {
		rc = empty_lines(h);
		if (rc == 1)
			s->phase = TG_HEAD_METHOD;
	}
	if (rc == 1 && s->phase == TG_HEAD_METHOD) {
		rc = method(h);
		if (rc == 1)
			s->phase = TG_HEAD_TARGET;
	}
	if (rc == 1 && s->phase == TG_HEAD_TARGET) {
		rc = target(h);
		if (rc == 1)
			s->phase = TG_HEAD_VERSION;
	}
	return rc == 1 ? version(h) : rc;
}

/* RFC 9112 section 3.2 and 3.2.2: exactly one Host in HTTP/1.1; an absolute target overrides it,
 * also in what is forwarded, so that nobody behind us can go by the other one. Not an empty one: an
 * http URI without a host is invalid (RFC 9110 section 4.2.1), and who answers for it is a guess.
 */
static enum tg_h1_refusal check_host(struct tg_msg *m, struct tg_facts *f)
{
	bool from_target = m->authority.n > 0;

	if (f->hosts > 1)
		return TG_H1_MANY_HOSTS;
	if (f->hosts == 0 && m->version_minor > 0)
		return TG_H1_NO_HOST;
	if (f->host && !tg_authority_ok(f->host->value, false))
		return TG_H1_BAD_HOST;
	if (!from_target) {
		m->authority = f->host ? f->host->value : TG_VIEW_NONE;
		return TG_H1_OK;
	}
	if (f->host)
		f->host->value = m->authority;
	else if (tg_msg_add(m, TG_FIELD_HOST, tg_field_name(TG_FIELD_HOST), m->authority) < 0)
		return TG_H1_TOO_MANY_FIELDS;
	return TG_H1_OK;
}

/* RFC 9112 section 6.3. */
static enum tg_h1_refusal check_body(struct tg_msg *m, const struct tg_facts *f)
{
	enum tg_h1_refusal r;

	if (f->coding_fields) {
		if (m->version_minor == 0)
			return TG_H1_CODING_IN_HTTP10;
		if (f->lengths)
			return TG_H1_LENGTH_AND_CODING;
		r = tg_facts_coding(f);
		if (r != TG_H1_OK)
			return r;
		m->body = TG_BODY_CHUNKED;
	} else if (f->lengths) {
		if (f->lengths > 1)
			return TG_H1_MANY_CONTENT_LENGTHS;
		if (!tg_parse_length(f->length->value, &m->content_length))
			return TG_H1_BAD_CONTENT_LENGTH;
		m->body = TG_BODY_LENGTH;
		m->has_content_length = true;
	}
	if (m->method == TG_CONNECT && m->body != TG_BODY_NONE)
		return TG_H1_BODY_NOT_ALLOWED; /* RFC 9110 section 9.3.6: content has no meaning */
	if (m->method == TG_TRACE && (m->body == TG_BODY_CHUNKED || m->content_length))
		return TG_H1_BODY_NOT_ALLOWED; /* RFC 9110 section 9.3.8 */
	return TG_H1_OK;
}

static enum tg_h1_refusal finish(struct tg_head *h)
{
	struct tg_msg *m = h->m;
	bool has_body;
	struct tg_facts f;
	enum tg_h1_refusal r = tg_facts_gather(h, &f);

	if (r == TG_H1_OK)
		r = check_host(m, &f);
	if (r == TG_H1_OK)
		r = check_body(m, &f);
	if (r != TG_H1_OK)
		return r;
	has_body = m->body == TG_BODY_CHUNKED || m->content_length > 0;
	m->keep_alive = !f.close && (m->version_minor > 0 || f.keep_alive);
	m->te_trailers = f.te_trailers;
	/* RFC 9110 section 7.8: no upgrade in HTTP/1.0. With content it could come before or behind
	 * the switch of protocols; a server is free not to switch. */
	m->upgrade = m->version_minor > 0 && f.upgrade && f.upgrade_ok && !has_body &&
		     m->method != TG_CONNECT;
	m->expect_continue = f.expect_continue && m->version_minor > 0 && has_body;
	/* RFC 9110 section 10.1.1: ignored in HTTP/1.0, and we forward as 1.1; without content
	 * there is nothing to continue with, and an origin that says so all the same confuses
	 * others. */
	if (f.expect_continue && !m->expect_continue)
		tg_msg_remove(m, TG_FIELD_EXPECT);
	return TG_H1_OK;
}

int32_t tg_h1_parse_request(struct tg_h1_scan *s, const uint8_t *buf, uint32_t len,
	const struct tg_h1_limits *limits, struct tg_msg *m)
{
	struct tg_head h;

	tg_head_init(&h, s, buf, len, limits, m);
	return tg_head_parse(&h, TG_HEAD_EMPTY, request_line, finish);
}
