/* fields.c: the fields that say where a message ends and what becomes of its connection. */
#include "fields.h"
#include "head.h"
#include "names.h"
#include "scan.h"

bool tg_list_next(struct tg_view *rest, struct tg_view *element)
{
	const uint8_t *p = rest->p, *end, *comma;

	if (!p)
		return false;
	end = p + rest->n;
	comma = rest->n ? memchr(p, ',', rest->n) : NULL;
	*rest = comma ? tg_view_of(comma + 1, (size_t)(end - comma - 1)) : TG_VIEW_NONE;
	if (comma)
		end = comma;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (p < end && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*element = tg_view_of(p, (size_t)(end - p));
	return true;
}

bool tg_is_token(struct tg_view v)
{
	for (uint32_t i = 0; i < v.n; i++)
		if (!(tg_byte_class[v.p[i]] & TG_BYTE_TOKEN))
			return false;
	return v.n > 0;
}

static inline bool is(struct tg_view v, struct tg_view lower)
{
	return tg_view_eq_nocase(v, lower);
}

#define NAME(lit) \
	{ \
		(const uint8_t *)(lit), sizeof(lit) - 1 \
	}

/* Not all end-to-end fields there are (that would be every field but a handful): those whose
 * removal lets a client lie to the origin about framing, routing, identity or content. */
bool tg_field_is_end_to_end(struct tg_view name)
{
	static const struct tg_view names[] = {NAME("host"), NAME("content-length"),
		NAME("transfer-encoding"), NAME("content-type"), NAME("content-encoding"),
		NAME("content-range"), NAME("content-language"), NAME("content-location"),
		NAME("authorization"), NAME("cookie"), NAME("set-cookie"), NAME("cache-control"),
		NAME("expires"), NAME("expect"), NAME("range"), NAME("date"), NAME("location"),
		NAME("vary"), NAME("via"), NAME("forwarded"), NAME("origin"), NAME("referer"),
		NAME("max-forwards"), NAME("x-forwarded-for"), NAME("x-forwarded-proto"),
		NAME("x-forwarded-host"), NAME("x-forwarded-port"), NAME("x-forwarded-client-cert"),
		NAME("x-real-ip"), NAME("x-request-id")};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(names); i++)
		if (tg_view_eq_nocase(name, names[i]))
			return true;
	return false;
}

bool tg_field_is_lookalike(struct tg_view name)
{
	static const struct tg_view framing[] = {NAME("content-length"), NAME("transfer-encoding")};

	for (uint32_t k = 0; k < TG_ARRAY_LEN(framing); k++) {
		uint32_t i = 0;

		while (i < name.n && name.n == framing[k].n &&
			(name.p[i] == '_' ? '-' : tg_ascii_lower(name.p[i])) == framing[k].p[i])
			i++;
		if (i == framing[k].n)
			return true;
	}
	return false;
}

bool tg_parse_length(struct tg_view v, uint64_t *out)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < v.n; i++) {
		uint8_t digit = (uint8_t)(v.p[i] - '0');

		/* Below 2^63, as others count in signed words. */
		if (digit > 9 || n > ((uint64_t)INT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;
	return v.n > 0;
}

static void add_codings(struct tg_facts *f, struct tg_view rest)
{
	struct tg_view e;

	f->coding_fields++;
	while (tg_list_next(&rest, &e)) {
		/* No coding that is registered has parameters; an empty element is a way to hide
		 * one. */
		if (!tg_is_token(e)) {
			f->codings_bad = true;
			return;
		}
		f->codings++;
		f->chunked_last = is(e, TG_VIEW("chunked"));
		f->chunked += f->chunked_last;
	}
}

enum tg_h1_refusal tg_facts_coding(const struct tg_facts *f)
{
	if (f->codings_bad || f->chunked > 1 || (f->chunked && !f->chunked_last))
		return TG_H1_BAD_TRANSFER_ENCODING;
	return f->chunked && f->codings == 1 ? TG_H1_OK : TG_H1_UNKNOWN_CODING;
}

static enum tg_h1_refusal add_options(struct tg_facts *f, struct tg_view rest)
{
	struct tg_view e;

	/* What nearly every message says. */
	if (rest.n == 10 && tg_token_is(rest.p, "keep-alive", 10)) {
		f->keep_alive = true;
		return TG_H1_OK;
	}
	while (tg_list_next(&rest, &e)) {
		if (!e.n)
			continue; /* RFC 9110 section 5.6.1.2 */
		if (!tg_is_token(e) || ++f->options > TG_CONNECTION_OPTIONS_MAX)
			return TG_H1_BAD_CONNECTION;
		if (is(e, TG_VIEW("close")))
			f->close = true;
		else if (is(e, TG_VIEW("keep-alive")))
			f->keep_alive = true;
		else if (is(e, TG_VIEW("upgrade")))
			f->upgrade = true;
		else if (tg_field_is_end_to_end(e))
			return TG_H1_BAD_CONNECTION;
	}
	return TG_H1_OK;
}

/* protocol-name ["/" protocol-version] */
static bool is_protocol(struct tg_view v)
{
	const uint8_t *slash = v.n ? memchr(v.p, '/', v.n) : NULL;
	uint32_t name = slash ? (uint32_t)(slash - v.p) : v.n;

	return tg_is_token(tg_view_of(v.p, name)) &&
	       (!slash || tg_is_token(tg_view_of(slash + 1, v.n - name - 1)));
}

/* An upgrade to HTTP or TLS would turn into a tunnel past routing and filters ("h2c smuggling"): we
 * stay in HTTP/1.1, as RFC 9110 section 7.8 lets every server do. */
static bool is_tunnelled(struct tg_view v)
{
	static const struct tg_view not [] = {
		NAME("h2c"), NAME("h2"), NAME("h3"), NAME("http"), NAME("tls")};
	const uint8_t *slash = memchr(v.p, '/', v.n);

	if (slash)
		v.n = (uint32_t)(slash - v.p);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(not ); i++)
		if (tg_view_eq_nocase(v, not [i]))
			return false;
	return true;
}

static enum tg_h1_refusal add_upgrades(struct tg_facts *f, struct tg_view rest)
{
	struct tg_view e;

	while (tg_list_next(&rest, &e)) {
		if (!is_protocol(e))
			return TG_H1_BAD_UPGRADE;
		if (!f->upgrades++)
			f->upgrade_ok = true;
		if (!is_tunnelled(e))
			f->upgrade_ok = false;
	}
	return TG_H1_OK;
}

static enum tg_h1_refusal add_expectation(
	const struct tg_msg *m, struct tg_facts *f, struct tg_view v)
{
	if (!m->is_request)
		return TG_H1_OK;
	if (!is(v, TG_VIEW("100-continue")))
		return TG_H1_BAD_EXPECT;
	f->expect_continue = true;
	return TG_H1_OK;
}

static enum tg_h1_refusal add(struct tg_msg *m, struct tg_facts *f, struct tg_field *fld)
{
	struct tg_view rest = fld->value, e;

	switch (fld->id) {
	case TG_FIELD_HOST:
		if (!f->hosts++)
			f->host = fld;
		return TG_H1_OK;
	case TG_FIELD_CONTENT_LENGTH:
		if (!f->lengths++)
			f->length = fld;
		return TG_H1_OK;
	case TG_FIELD_TRANSFER_ENCODING:
		add_codings(f, rest);
		return TG_H1_OK;
	case TG_FIELD_CONNECTION:
		return add_options(f, rest);
	case TG_FIELD_UPGRADE:
		return add_upgrades(f, rest);
	case TG_FIELD_EXPECT:
		return add_expectation(m, f, rest);
	case TG_FIELD_TE:
		while (tg_list_next(&rest, &e))
			f->te_trailers |= is(e, TG_VIEW("trailers"));
		return TG_H1_OK;
	default:
		return TG_H1_OK;
	}
}

enum tg_h1_refusal tg_facts_gather(struct tg_head *h, struct tg_facts *f)
{
	static const uint64_t wanted = 1ull << TG_FIELD_HOST | 1ull << TG_FIELD_CONTENT_LENGTH |
				       1ull << TG_FIELD_TRANSFER_ENCODING |
				       1ull << TG_FIELD_CONNECTION | 1ull << TG_FIELD_UPGRADE |
				       1ull << TG_FIELD_EXPECT | 1ull << TG_FIELD_TE;
	enum tg_h1_refusal r = TG_H1_OK;
	struct tg_msg *m = h->m;

	*f = (struct tg_facts){0};
	for (uint64_t left = h->ids & wanted; left && r == TG_H1_OK; left &= left - 1) {
		uint32_t id = (uint32_t)__builtin_ctzll(left);

		if (tg_likely(!(h->ids_again >> id & 1))) {
			r = add(m, f, &m->fields[h->where[id]]);
			continue;
		}
		for (uint32_t i = 0; i < m->n_fields && r == TG_H1_OK; i++)
			if (m->fields[i].id == id)
				r = add(m, f, &m->fields[i]);
	}
	return r;
}
