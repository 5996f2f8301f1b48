/* target.c: the four forms of a request target.
 *
 * Narrower than RFC 3986 where receivers are known to differ. In a target (TG_BYTE_TARGET): no
 * fragment, none of the delimiters < > " that URIs never hold, and no backslash, which some origins
 * read as a slash. In a host (TG_BYTE_HOST): unreserved characters only, no percent-encoding (is it
 * decoded before hosts are compared, or not?) and no sub-delims such as the comma (one Host or
 * two?).
 */
#include <arpa/inet.h>

#include "scan.h"
#include "target.h"

static bool is_port(struct tg_view v)
{
	uint32_t port = 0;

	if (v.n < 1 || v.n > 5)
		return false;
	for (uint32_t i = 0; i < v.n; i++) {
		if (!(tg_byte_class[v.p[i]] & TG_BYTE_DIGIT))
			return false;
		port = port * 10 + (v.p[i] - '0');
	}
	return port <= 65535;
}

/* "[" IPv6address "]" at the start of v: its length, or 0. */
static uint32_t ip_literal(struct tg_view v)
{
	const uint8_t *close = memchr(v.p, ']', v.n);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;
	size_t n;

	if (!close)
		return 0;
	n = (size_t)(close - v.p) - 1;
	if (n >= sizeof(text))
		return 0;
	memcpy(text, v.p + 1, n);
	text[n] = '\0';
	return inet_pton(AF_INET6, text, &addr) == 1 ? (uint32_t)n + 2 : 0;
}

/* The length of the run of TG_BYTE_HOST at the start of v, four at a time. */
static uint32_t reg_name(struct tg_view v)
{
	const uint8_t *p = v.p, *end = v.p + v.n, *c = tg_byte_class;

	while (end - p >= 4 && c[p[0]] & c[p[1]] & c[p[2]] & c[p[3]] & TG_BYTE_HOST)
		p += 4;
	while (p < end && c[*p] & TG_BYTE_HOST)
		p++;
	return (uint32_t)(p - v.p);
}

bool tg_authority_ok(struct tg_view v, bool need_port)
{
	uint32_t host = 0;

	if (v.n && v.p[0] == '[')
		host = ip_literal(v);
	else
		host = reg_name(v);
	if (host == 0 || host > 255)
		return false;
	if (host == v.n)
		return !need_port;
	return v.p[host] == ':' && is_port(tg_view_of(v.p + host + 1, v.n - host - 1));
}

bool tg_is_authority(struct tg_view v)
{
	return tg_authority_ok(v, false);
}

static void split_query(struct tg_msg *m, struct tg_view rest)
{
	const uint8_t *q = rest.n ? memchr(rest.p, '?', rest.n) : NULL;

	m->path = q ? tg_view_of(rest.p, (size_t)(q - rest.p)) : rest;
	m->query = q ? tg_view_of(q + 1, rest.n - m->path.n - 1) : TG_VIEW_NONE;
}

/* http://authority[/path][?query], the form that a forward proxy gets (RFC 9112 section 3.2.2). */
static bool split_absolute(struct tg_msg *m)
{
	struct tg_view t = m->target;
	uint32_t scheme, i;

	if (t.n > 7 && tg_view_eq_nocase(tg_view_of(t.p, 7), TG_VIEW("http://")))
		scheme = 4;
	else if (t.n > 8 && tg_view_eq_nocase(tg_view_of(t.p, 8), TG_VIEW("https://")))
		scheme = 5;
	else
		return false;
	for (i = scheme + 3; i < t.n && t.p[i] != '/' && t.p[i] != '?';)
		i++;
	m->scheme = tg_view_of(t.p, scheme);
	m->authority = tg_view_of(t.p + scheme + 3, i - scheme - 3);
	if (!tg_authority_ok(m->authority, false))
		return false;
	split_query(m, tg_view_of(t.p + i, t.n - i));
	if (m->path.n == 0) /* RFC 9112 section 3.2.4 */
		m->path = m->method == TG_OPTIONS && !m->query.p ? TG_VIEW("*") : TG_VIEW("/");
	return true;
}

bool tg_target_split(struct tg_msg *m)
{
	struct tg_view t = m->target;

	if (m->method == TG_CONNECT) {
		m->authority = t;
		m->path = TG_VIEW("");
		return tg_authority_ok(t, true);
	}
	if (t.p[0] == '/') {
		split_query(m, t);
		return true;
	}
	if (t.n == 1 && t.p[0] == '*') {
		m->path = t;
		return m->method == TG_OPTIONS;
	}
	return split_absolute(m);
}
