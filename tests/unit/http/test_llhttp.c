/* test_llhttp.c: the same inputs to llhttp, the parser of Node.js, which nobody here wrote.
 *
 * Every row of the tables goes to both (llhttp compiled in its strict mode, no leniency). Verdicts
 * and, where both accept, meanings must be equal, or the row must stand in llhttp_differences.h
 * with the reason. A row that stands there and does not differ fails as well, so that the list
 * stays true. Then the good rows are broken in every place; there the reasons are rules over our
 * refusals.
 */
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>

#include "../tgtest.h"
#include "cases.h"

/* What one of the two says about a message. */
struct opinion {
	bool refused, head, ended;
	bool chunked, has_length, keep_alive, upgrade;
	uint64_t length;
	uint32_t status, n_start, n_fields, n_data, left_over;
	char start[9000], fields[9000],
		data[9000]; /* start: target or reason; fields: "name\1value\2" */
	int error;          /* llhttp's or our refusal */
};

static struct opinion theirs, ours;
static bool is_head_response, is_connect_response;

static void append(char *to, uint32_t *n, const char *p, size_t len)
{
	CU_ASSERT_TRUE_FATAL(*n + len <= sizeof(theirs.fields));
	memcpy(to + *n, p, len);
	*n += (uint32_t)len;
}

/* Trailers come by the same callbacks; they are not compared here. */
static void append_field(const char *p, size_t len)
{
	if (!theirs.head)
		append(theirs.fields, &theirs.n_fields, p, len);
}

static int on_start(llhttp_t *p, const char *at, size_t n)
{
	append(theirs.start, &theirs.n_start, at, n);
	return 0;
}

static int on_name(llhttp_t *p, const char *at, size_t n)
{
	append_field(at, n);
	return 0;
}

static int on_name_end(llhttp_t *p)
{
	append_field("\1", 1);
	return 0;
}

static int on_value_end(llhttp_t *p)
{
	/* Values come without white space before, but with that behind. */
	while (!theirs.head && theirs.n_fields &&
		(theirs.fields[theirs.n_fields - 1] == ' ' ||
			theirs.fields[theirs.n_fields - 1] == '\t'))
		theirs.n_fields--;
	append_field("\2", 1);
	return 0;
}

static int on_head(llhttp_t *p)
{
	theirs.head = true;
	theirs.chunked = p->flags & F_CHUNKED;
	theirs.has_length = p->flags & F_CONTENT_LENGTH;
	theirs.length = p->content_length;
	theirs.keep_alive = llhttp_should_keep_alive(p);
	theirs.upgrade = p->upgrade;
	theirs.status = p->type == HTTP_RESPONSE ? p->status_code : 0;
	if (is_connect_response && p->status_code / 100 == 2) {
		theirs.upgrade = true;
		return 2; /* a tunnel follows */
	}
	return is_head_response; /* no content follows */
}

static int on_data(llhttp_t *p, const char *at, size_t n)
{
	append(theirs.data, &theirs.n_data, at, n);
	return 0;
}

static int on_end(llhttp_t *p)
{
	theirs.ended = true;
	return HPE_PAUSED;
}

static void ask_llhttp(const uint8_t *in, uint32_t n, bool request, enum tg_method to)
{
	llhttp_settings_t settings;
	llhttp_t p;
	llhttp_errno_t e;

	memset(&theirs, 0, sizeof(theirs));
	is_head_response = !request && to == TG_HEAD;
	is_connect_response = !request && to == TG_CONNECT;
	llhttp_settings_init(&settings);
	settings.on_url = on_start;
	settings.on_status = on_start;
	settings.on_header_field = on_name;
	settings.on_header_field_complete = on_name_end;
	settings.on_header_value = on_name;
	settings.on_header_value_complete = on_value_end;
	settings.on_headers_complete = on_head;
	settings.on_body = on_data;
	settings.on_message_complete = on_end;
	llhttp_init(&p, request ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	e = llhttp_execute(&p, (const char *)in, n);
	theirs.error = e;
	theirs.refused = e != HPE_OK && e != HPE_PAUSED && e != HPE_PAUSED_UPGRADE && !theirs.ended;
	theirs.left_over =
		theirs.ended ? n - (uint32_t)(llhttp_get_error_pos(&p) - (const char *)in) : 0;
}

static void read_body(struct tg_msg *m, struct tg_view in)
{
	struct tg_h1_body b;
	struct tg_view data;
	uint32_t used;

	tg_h1_body_init(&b, m->body, m->content_length);
	do {
		if (tg_h1_body_read(&b, in, &used, &data) < 0) {
			ours.refused = true;
			ours.error = b.refusal;
			return;
		}
		append(ours.data, &ours.n_data, (const char *)data.p, data.n);
		in.p += used;
		in.n -= used;
	} while (used);
	ours.ended = b.ended;
	ours.left_over = b.ended ? in.n : 0;
}

static void ask_us(const uint8_t *in, uint32_t n, bool request, enum tg_method to)
{
	struct tg_h1_limits limits = TG_H1_LIMITS_DEFAULT;
	struct tg_field fields[64];
	struct tg_msg m = {.fields = fields, .field_cap = 64};
	struct tg_h1_scan s = {0};
	struct tg_view start;
	int32_t rc;

	memset(&ours, 0, sizeof(ours));
	rc = request ? tg_h1_parse_request(&s, in, n, &limits, &m)
		     : tg_h1_parse_response(&s, in, n, &limits, to, &m);
	ours.refused = rc < 0;
	ours.error = s.refusal;
	if (rc <= 0)
		return;
	ours.head = true;
	ours.chunked = m.body == TG_BODY_CHUNKED;
	ours.has_length = m.has_content_length;
	ours.length = m.content_length;
	ours.keep_alive = m.keep_alive;
	ours.upgrade = m.upgrade || m.method == TG_CONNECT || m.body == TG_BODY_TUNNEL;
	ours.status = m.status;
	start = request ? m.target : m.reason;
	append(ours.start, &ours.n_start, (const char *)start.p, start.n);
	for (uint32_t i = 0; i < m.n_fields; i++) {
		append(ours.fields, &ours.n_fields, (const char *)fields[i].name.p,
			fields[i].name.n);
		append(ours.fields, &ours.n_fields, "\1", 1);
		append(ours.fields, &ours.n_fields, (const char *)fields[i].value.p,
			fields[i].value.n);
		append(ours.fields, &ours.n_fields, "\2", 1);
	}
	read_body(&m, tg_view_of(in + rc, n - (uint32_t)rc));
}

/* What they differ in; NULL: nothing. */
static const char *difference(void)
{
	if (ours.refused != theirs.refused)
		return ours.refused ? "we refuse" : "llhttp refuses";
	if (ours.refused)
		return NULL;
	if (ours.head != theirs.head)
		return "head complete";
	if (!ours.head)
		return NULL;
	if (ours.chunked != theirs.chunked || ours.has_length != theirs.has_length ||
		ours.length != theirs.length)
		return "framing";
	if (ours.upgrade != theirs.upgrade)
		return "upgrade";
	if (ours.keep_alive != theirs.keep_alive)
		return "keep-alive";
	if (ours.n_start != theirs.n_start || memcmp(ours.start, theirs.start, ours.n_start) ||
		ours.status != theirs.status)
		return "start line";
	if (ours.n_fields != theirs.n_fields || memcmp(ours.fields, theirs.fields, ours.n_fields))
		return "fields";
	if (ours.ended != theirs.ended || ours.left_over != theirs.left_over)
		return "end";
	if (ours.n_data != theirs.n_data || memcmp(ours.data, theirs.data, ours.n_data))
		return "content";
	return NULL;
}

static const char *compare(const uint8_t *in, uint32_t n, bool request, enum tg_method to)
{
	ask_llhttp(in, n, request, to);
	ask_us(in, n, request, to);
	return difference();
}

struct listed {
	const char *table, *what, *reason, *cases; /* names of rows, with spaces between */
};

static const struct listed differences[] = {
#include "llhttp_differences.h"
};

static const struct listed *find(const char *table, const char *what, const char *name)
{
	size_t len = strlen(name);

	for (uint32_t i = 0; i < TG_ARRAY_LEN(differences); i++) {
		const struct listed *d = &differences[i];
		const char *p = d->cases;

		if (strcmp(d->table, table) || (what && strcmp(d->what, what)))
			continue;
		for (; (p = strstr(p, name)); p += len)
			if ((p == d->cases || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
				return d;
	}
	return NULL;
}

static void judge(const char *table, const struct h1_case *c, const char *what)
{
	bool listed = find(table, what, c->name) != NULL;

	if (what && !listed)
		fprintf(stderr, "DIFF %s|%s|%s (ours %s, theirs %s)\n", table, what, c->name,
			tg_h1_refusal_name((enum tg_h1_refusal)ours.error),
			llhttp_errno_name((llhttp_errno_t)theirs.error));
	if (!what && listed)
		fprintf(stderr, "%s %s: listed as different, but is not\n", table, c->name);
	CU_ASSERT_EQUAL(what != NULL, listed);
}

static void requests(void)
{
	for (uint32_t i = 0; i < n_request_cases; i++) {
		const struct h1_case *c = &request_cases[i];

		judge("request", c, compare((const uint8_t *)c->in, c->n, true, TG_GET));
	}
}

static void responses(void)
{
	for (uint32_t i = 0; i < n_response_cases; i++) {
		const struct h1_case *c = &response_cases[i];

		judge("response", c, compare((const uint8_t *)c->in, c->n, false, c->to));
	}
}

static void chunked(void)
{
	static const char head[] =
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
	uint8_t in[2000];

	memcpy(in, head, sizeof(head) - 1);
	for (uint32_t i = 0; i < n_chunked_cases; i++) {
		const struct h1_case *c = &chunked_cases[i];

		memcpy(in + sizeof(head) - 1, c->in, c->n);
		judge("chunked", c, compare(in, (uint32_t)sizeof(head) - 1 + c->n, true, TG_GET));
	}
}

/* Every name in the list is a row of its table. */
static bool is_row(const char *table, const char *name, size_t len)
{
	const struct h1_case *cases = !strcmp(table, "request")    ? request_cases
				      : !strcmp(table, "response") ? response_cases
								   : chunked_cases;
	uint32_t n = !strcmp(table, "request")    ? n_request_cases
		     : !strcmp(table, "response") ? n_response_cases
						  : n_chunked_cases;

	for (uint32_t i = 0; i < n; i++)
		if (strlen(cases[i].name) == len && !memcmp(cases[i].name, name, len))
			return true;
	return false;
}

static void list_names_rows(void)
{
	for (uint32_t i = 0; i < TG_ARRAY_LEN(differences); i++) {
		const char *p = differences[i].cases;

		while (*p) {
			size_t len = strcspn(p, " ");

			if (!is_row(differences[i].table, p, len)) {
				fprintf(stderr, "no row %.*s\n", (int)len, p);
				CU_FAIL("row");
			}
			p += len + strspn(p + len, " ");
		}
	}
}

/* What broken rows may differ in when we accept them: {difference, llhttp's error or -1}. That we
 * refuse what llhttp takes is the aim, and the rows above say why. */
static const struct {
	const char *what;
	int error;
	const char *reason;
} broken_differences[] = {
	{"llhttp refuses", HPE_INVALID_METHOD, "a fixed set of methods"},
	{"llhttp refuses", HPE_INVALID_VERSION, "no minor version above 1"},
	{"llhttp refuses", HPE_INVALID_CONSTANT, "knows the method by its first letters"},
	{"llhttp refuses", HPE_INVALID_TRANSFER_ENCODING, "a tab behind chunked"},
	{"llhttp refuses", HPE_INVALID_CONTENT_LENGTH, "a tab behind the number"},
	{"llhttp refuses", HPE_INVALID_CHUNK_SIZE, "no BWS around chunk extensions"},
	{"llhttp refuses", HPE_STRICT, "nor escapes in quoted ones"},
	{"upgrade", -1, "we never switch to HTTP or TLS, in HTTP/1.0 or with content"},
	{"fields", -1, "Host is replaced by the absolute target"},
	{"keep-alive", -1, "obeys Proxy-Connection, and close does not win in HTTP/1.0"},
	{"framing", -1, "of responses without content"},
	{"end", -1, "304 with a length"},
};

static bool may_differ(const char *what)
{
	if (ours.refused)
		return true;
	for (uint32_t i = 0; i < TG_ARRAY_LEN(broken_differences); i++)
		if (!strcmp(what, broken_differences[i].what) &&
			(broken_differences[i].error < 0 ||
				broken_differences[i].error == theirs.error))
			return true;
	return false;
}

/* Rows that must agree in all: no Host to replace, no upgrade, no tunnel, no 304. */
static bool is_plain(const struct h1_case *c)
{
	static const char *const not [] = {"absolute", "connect", "upgrade", "websocket", "star",
		"304", "head_", "101", "_10", "proxy", "TE"};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(not ); i++)
		if (strstr(c->name, not [i]))
			return false;
	return c->verdict == TG_H1_OK && c->n < 300;
}

/* One byte changed, added or taken away, everywhere. Where both accept the result, both must have
 * read the same message out of it: that is where smuggling lives. */
static void break_row(const struct h1_case *c, bool request)
{
	static const uint8_t bytes[] = {'\r', '\n', '\0', ' ', '\t', '\x0b', ':', ';', ',', '0',
		'a', '-', '_', '"', '/', '\x7f', '\x80', '\xff'};
	uint8_t in[400];

	for (uint32_t at = 0; at < c->n; at++)
		for (uint32_t k = 0; k <= 2 * sizeof(bytes); k++) {
			uint32_t n = c->n, more = k >= sizeof(bytes);
			const char *what;

			memcpy(in, c->in, at);
			if (k == 2 * sizeof(bytes)) {
				n--;
				memcpy(in + at, c->in + at + 1, n - at);
			} else {
				in[at] = bytes[k % sizeof(bytes)];
				n += more;
				memcpy(in + at + 1, c->in + at + !more, n - at - 1);
			}
			what = compare(in, n, request, c->to);
			if (!what || may_differ(what))
				continue;
			fprintf(stderr, "broken %s at %u by %u: %s (llhttp %s)\n", c->name, at, k,
				what, llhttp_errno_name((llhttp_errno_t)theirs.error));
			CU_FAIL("difference");
		}
}

static void broken(void)
{
	for (uint32_t i = 0; i < n_request_cases; i++)
		if (is_plain(&request_cases[i]))
			break_row(&request_cases[i], true);
	for (uint32_t i = 0; i < n_response_cases; i++)
		if (is_plain(&response_cases[i]))
			break_row(&response_cases[i], false);
}

TG_TEST_MAIN("http and llhttp", {"requests", requests}, {"responses", responses},
	{"chunked", chunked}, {"list_names_rows", list_names_rows}, {"broken", broken})
