/* Access-log formats: the text is compiled once into a list of pieces, each a literal or an
 * operator with its argument; a line is then written piece by piece. Sink thread; nothing here is
 * near a worker. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tidegate/log.h>
#include <tidegate/why.h>

const char tg_log_default_format[] =
	"[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
	"%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
	"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" "
	"\"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

/* Where a line grows. What does not fit is left out; the newline's byte is set aside. */
struct out {
	char *p;
	uint32_t n, cap;
};

struct piece;
typedef void write_fn(struct out *o, const struct piece *p, const struct tg_log_record *r);

struct piece {
	write_fn *write;
	uint32_t limit; /* %...:N%: bytes of the value to print; UINT32_MAX: all */
	uint32_t text_n;
	const char *text; /* literal, or strftime format; NUL-terminated; in the format's block */
};

struct tg_log_format {
	uint32_t n;
	struct piece *pieces;
	char *text; /* what pieces point to */
};

static void put(struct out *o, const void *p, uint32_t n)
{
	if (n > o->cap - o->n)
		n = o->cap - o->n;
	memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void put_u64(struct out *o, uint64_t v)
{
	char buf[20];
	uint32_t i = sizeof(buf);

	do {
		buf[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	put(o, buf + i, sizeof(buf) - i);
}

/* Zero-padded. */
static void put_digits(struct out *o, uint64_t v, uint32_t digits)
{
	char buf[20];

	for (uint32_t i = digits; i-- > 0; v /= 10)
		buf[i] = (char)('0' + v % 10);
	put(o, buf, digits);
}

/* A value that may come from a peer. An escape is written whole or not at all. */
static void put_value(struct out *o, const struct piece *p, const void *bytes, uint32_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	const uint8_t *b = bytes;

	if (n > p->limit)
		n = p->limit;
	if (n == 0)
		put(o, "-", 1);
	for (uint32_t i = 0; i < n; i++) {
		if (b[i] >= 0x20 && b[i] < 0x7f && b[i] != '"' && b[i] != '\\') {
			put(o, &b[i], 1);
		} else if (o->cap - o->n >= 4) {
			char esc[4] = {'\\', 'x', hex[b[i] >> 4], hex[b[i] & 15]};

			put(o, esc, 4);
		} else {
			o->cap = o->n;
		}
	}
}

static void put_string(struct out *o, const struct piece *p, const char *s)
{
	put_value(o, p, s, s ? (uint32_t)strlen(s) : 0);
}

static void put_addr(
	struct out *o, const struct piece *p, const struct tg_sockaddr *a, bool with_port)
{
	char buf[TG_ADDR_TEXT];

	if (a->port == 0)
		put_value(o, p, NULL, 0);
	else if (with_port)
		put_string(o, p, tg_sockaddr_format(a, buf));
	else
		put_string(o, p, tg_ip_format(&a->ip, buf));
}

static void w_literal(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put(o, p->text, p->text_n);
}

/* 2026-01-31T23:59:59.123Z */
static void w_start_time(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	time_t t = (time_t)(r->start_ns / 1000000000u);
	struct tm tm;
	struct out line = {(char[32]){0}, 0, 32};

	gmtime_r(&t, &tm);
	put_digits(&line, (uint64_t)tm.tm_year + 1900, 4);
	put(&line, "-", 1);
	put_digits(&line, (uint64_t)tm.tm_mon + 1, 2);
	put(&line, "-", 1);
	put_digits(&line, (uint64_t)tm.tm_mday, 2);
	put(&line, "T", 1);
	put_digits(&line, (uint64_t)tm.tm_hour, 2);
	put(&line, ":", 1);
	put_digits(&line, (uint64_t)tm.tm_min, 2);
	put(&line, ":", 1);
	put_digits(&line, (uint64_t)tm.tm_sec, 2);
	put(&line, ".", 1);
	put_digits(&line, r->start_ns / 1000000 % 1000, 3);
	put(&line, "Z", 1);
	put_value(o, p, line.p, line.n);
}

#define TIME_TEXT_MAX 256

/* Replaces what Envoy adds to strftime: %f (nanoseconds, 9 digits) and %1f .. %9f. */
static uint32_t expand_fractions(const char *fmt, uint64_t ns, char out[static TIME_TEXT_MAX])
{
	struct out o = {out, 0, TIME_TEXT_MAX - 1};

	for (const char *f = fmt; *f; f++) {
		uint32_t digits = 0;

		if (f[0] == '%' && f[1] == 'f')
			digits = 9;
		else if (f[0] == '%' && f[1] >= '1' && f[1] <= '9' && f[2] == 'f')
			digits = (uint32_t)(f[1] - '0');
		if (digits) {
			uint64_t v = ns;

			for (uint32_t i = digits; i < 9; i++)
				v /= 10;
			put_digits(&o, v, digits);
			f += f[1] == 'f' ? 1 : 2;
		} else if (f[0] == '%' && f[1]) {
			put(&o, f++, 2); /* also %%, so that %%f stays what it is */
		} else {
			put(&o, f, 1);
		}
	}
	out[o.n] = '\0';
	return o.n;
}

/* Length of the text; 0 when it is empty or too long. */
static size_t format_time(const char *fmt, uint64_t start_ns, char text[static TIME_TEXT_MAX])
{
	time_t t = (time_t)(start_ns / 1000000000u);
	char expanded[TIME_TEXT_MAX];
	struct tm tm;

	expand_fractions(fmt, start_ns % 1000000000u, expanded);
	gmtime_r(&t, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	return strftime(text, TIME_TEXT_MAX, expanded, &tm);
#pragma GCC diagnostic pop
}

static void w_start_time_as(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	char text[TIME_TEXT_MAX];

	put_value(o, p, text, (uint32_t)format_time(p->text, r->start_ns, text));
}

static void w_path(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_value(o, p, r->path, r->path_n < TG_LOG_PATH_MAX ? r->path_n : TG_LOG_PATH_MAX);
}

/* Text fields of the record: one writer each, made alike. */
#define TEXT_WRITER(field) \
	static void w_##field(struct out *o, const struct piece *p, const struct tg_log_record *r) \
	{ \
		put_value(o, p, r->field.b, \
			r->field.n < TG_LOG_TEXT_MAX ? r->field.n : TG_LOG_TEXT_MAX); \
	}
TEXT_WRITER(filter_details)
TEXT_WRITER(peer_uri)
TEXT_WRITER(method)
TEXT_WRITER(authority)
TEXT_WRITER(user_agent)
TEXT_WRITER(xff)
TEXT_WRITER(request_id)
TEXT_WRITER(route)
TEXT_WRITER(cluster)
TEXT_WRITER(listener)

static void w_known_peer_uri(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	if (r->has_peer_uri)
		w_peer_uri(o, p, r);
	else
		put_value(o, p, NULL, 0);
}

static void w_service_time(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	if (r->upstream_ns < 0)
		put(o, "-", 1);
	else
		put_u64(o, (uint64_t)r->upstream_ns / 1000000);
}

static void w_protocol(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_string(o, p, r->tcp ? NULL : r->version_minor ? "HTTP/1.1" : "HTTP/1.0");
}

static void w_response_code(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_u64(o, r->status);
}

#define TRANSPORT_TEXT 256

/* As Envoy writes it: no spaces. False: TLS was not why. */
static bool transport_text(const struct tg_log_record *r, char out[static TRANSPORT_TEXT])
{
	if (!r->transport)
		return false;
	snprintf(out, TRANSPORT_TEXT, "TLS error: %s", tg_why_text((enum tg_why)r->transport));
	for (char *c = out; *c; c++)
		if (*c == ' ')
			*c = '_';
	return true;
}

/* Why the transport failed is told inside the braces, as Envoy does. */
static void w_details(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	size_t n = r->details ? strlen(r->details) : 0;
	char why[TRANSPORT_TEXT], all[2 * TRANSPORT_TEXT];

	if (r->has_filter_details) {
		w_filter_details(o, p, r);
		return;
	}
	if (!n || !transport_text(r, why)) {
		put_string(o, p, r->details);
		return;
	}
	if (r->details[n - 1] == '}')
		snprintf(all, sizeof(all), "%.*s|%s}", (int)n - 1, r->details, why);
	else
		snprintf(all, sizeof(all), "%s{%s}", r->details, why);
	put_string(o, p, all);
}

static void w_transport(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	char why[TRANSPORT_TEXT];

	put_string(o, p, transport_text(r, why) ? why : NULL);
}

static void w_flags(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	char buf[TG_LOG_FLAGS_TEXT];

	put_string(o, p, tg_log_flags_text(r->flags, buf));
}

static void w_bytes_received(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_u64(o, r->bytes_received);
}

static void w_bytes_sent(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_u64(o, r->bytes_sent);
}

static void w_duration(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_u64(o, r->duration_ns / 1000000);
}

static void w_duration_us(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_u64(o, r->duration_ns / 1000);
}

static void w_upstream_host(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_addr(o, p, &r->upstream, true);
}

static void w_downstream(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_addr(o, p, &r->downstream, true);
}

static void w_downstream_ip(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_addr(o, p, &r->downstream, false);
}

static void w_local(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_addr(o, p, &r->local, true);
}

static void w_local_ip(struct out *o, const struct piece *p, const struct tg_log_record *r)
{
	put_addr(o, p, &r->local, false);
}

/* Every operator, with its argument as Envoy writes it; docs/access-log.md describes them. */
static const struct operator
{
	const char *name, *arg; /* arg NULL: none may be given */
	write_fn *write;
}
operators[] = {
	{"START_TIME", NULL, w_start_time},
	{"REQ", ":METHOD", w_method},
	{"REQ", ":PATH", w_path},
	{"REQ", "X-ENVOY-ORIGINAL-PATH?:PATH", w_path},
	{"REQ", ":AUTHORITY", w_authority},
	{"REQ", "USER-AGENT", w_user_agent},
	{"REQ", "X-FORWARDED-FOR", w_xff},
	{"REQ", "X-REQUEST-ID", w_request_id},
	{"RESP", "X-ENVOY-UPSTREAM-SERVICE-TIME", w_service_time},
	{"PROTOCOL", NULL, w_protocol},
	{"RESPONSE_CODE", NULL, w_response_code},
	{"RESPONSE_CODE_DETAILS", NULL, w_details},
	{"RESPONSE_FLAGS", NULL, w_flags},
	{"BYTES_RECEIVED", NULL, w_bytes_received},
	{"BYTES_SENT", NULL, w_bytes_sent},
	{"DURATION", NULL, w_duration},
	{"DURATION_US", NULL, w_duration_us},
	{"UPSTREAM_HOST", NULL, w_upstream_host},
	{"UPSTREAM_TRANSPORT_FAILURE_REASON", NULL, w_transport},
	{"UPSTREAM_CLUSTER", NULL, w_cluster},
	{"DOWNSTREAM_REMOTE_ADDRESS", NULL, w_downstream},
	{"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", NULL, w_downstream_ip},
	{"DOWNSTREAM_PEER_URI_SAN", NULL, w_known_peer_uri},
	{"DOWNSTREAM_LOCAL_ADDRESS", NULL, w_local},
	{"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", NULL, w_local_ip},
	{"ROUTE_NAME", NULL, w_route},
	{"LISTENER_NAME", NULL, w_listener},
};

/* One %...% as it stands in the text. */
struct spec {
	struct tg_view name, arg;
	bool has_arg;
	uint32_t limit;
	uint32_t n; /* bytes of the whole, both '%' included */
};

static uint32_t name_length(const char *s)
{
	uint32_t n = 0;

	while ((s[n] >= 'A' && s[n] <= 'Z') || (s[n] >= '0' && s[n] <= '9') || s[n] == '_')
		n++;
	return n;
}

/* ":N%" or "%" at s: the limit, and bytes used; 0: neither is there. */
static uint32_t scan_end(const char *s, uint32_t *limit)
{
	uint32_t i = 0;
	uint64_t n = 0;

	*limit = UINT32_MAX;
	if (s[0] == '%')
		return 1;
	if (s[0] != ':')
		return 0;
	for (i = 1; s[i] >= '0' && s[i] <= '9' && n < 1000000; i++)
		n = n * 10 + (uint64_t)(s[i] - '0');
	if (i == 1 || s[i] != '%')
		return 0;
	*limit = (uint32_t)n;
	return i + 1;
}

/* s stands at a '%' that opens an operator. The argument ends at the first ')' which the end of an
 * operator follows, for strftime's own '%' and ')' may be inside. False: not well formed. */
static bool scan_operator(const char *s, struct spec *out)
{
	uint32_t i = 1 + name_length(s + 1), end = 0;

	out->name = tg_view_of(s + 1, i - 1);
	out->has_arg = s[i] == '(';
	out->arg = TG_VIEW_NONE;
	if (out->name.n == 0)
		return false;
	if (out->has_arg) {
		uint32_t from = ++i;

		while (s[i] && !(s[i] == ')' && (end = scan_end(s + i + 1, &out->limit))))
			i++;
		out->arg = tg_view_of(s + from, i - from);
		i++;
	} else {
		end = scan_end(s + i, &out->limit);
	}
	out->n = i + end;
	return end != 0;
}

static bool has_limit(const struct operator* op)
{
	return op->write != w_response_code && op->write != w_bytes_received &&
	       op->write != w_bytes_sent && op->write != w_duration && op->write != w_duration_us &&
	       op->write != w_service_time;
}

static const struct operator* find_operator(const struct spec *s, struct tg_errbuf *e)
{
	bool known = false;

	for (uint32_t i = 0; i < TG_ARRAY_LEN(operators); i++) {
		const struct operator* op = & operators[i];

		if (!tg_view_eq(s->name, tg_view_str(op->name)))
			continue;
		known = true;
		if (op->arg ? s->has_arg && tg_view_eq_nocase(s->arg, tg_view_str(op->arg))
			    : !s->has_arg) {
			if (s->limit == UINT32_MAX || has_limit(op))
				return op;
			tg_fail(e, TG_EINVAL, "access log: %%%s%% is a number and takes no :N",
				op->name);
			return NULL;
		}
	}
	if (!known)
		tg_fail(e, TG_EINVAL, "access log: unknown operator %%%.*s%%", (int)s->name.n,
			(const char *)s->name.p);
	else if (s->has_arg)
		tg_fail(e, TG_EINVAL, "access log: %%%.*s(%.*s)%% is not recorded", (int)s->name.n,
			(const char *)s->name.p, (int)s->arg.n, (const char *)s->arg.p);
	else
		tg_fail(e, TG_EINVAL, "access log: %%%.*s%% needs an argument in parentheses",
			(int)s->name.n, (const char *)s->name.p);
	return NULL;
}

/* Appends to the format's text. Its block holds twice the source: each byte is copied at most once,
 * with one NUL a piece. */
static const char *keep(struct tg_log_format *f, uint32_t *used, const void *p, uint32_t n)
{
	char *s = f->text + *used;

	memcpy(s, p, n);
	s[n] = '\0';
	*used += n + 1;
	return s;
}

static int add_start_time(
	struct tg_log_format *f, uint32_t *used, const struct spec *s, struct tg_errbuf *e)
{
	struct piece *p = &f->pieces[f->n];
	char text[TIME_TEXT_MAX];

	*p = (struct piece){w_start_time_as, s->limit, s->arg.n, keep(f, used, s->arg.p, s->arg.n)};
	if (s->arg.n == 0 || s->arg.n > 100 || format_time(p->text, 0, text) == 0)
		return tg_fail(e, TG_EINVAL,
			"access log: %%START_TIME(%.100s)%%: empty or too long", p->text);
	f->n++;
	return 0;
}

static int add_operator(
	struct tg_log_format *f, uint32_t *used, const char *text, uint32_t *n, struct tg_errbuf *e)
{
	const struct operator* op;
	struct spec s;

	if (!scan_operator(text, &s))
		return tg_fail(e, TG_EINVAL,
			"access log: no operator at \"%.40s\" (a percent sign "
			"is written as %%%%)",
			text);
	*n = s.n;
	if (tg_view_eq(s.name, TG_VIEW("START_TIME")) && s.has_arg)
		return add_start_time(f, used, &s, e);
	op = find_operator(&s, e);
	if (!op)
		return TG_EINVAL;
	f->pieces[f->n++] = (struct piece){op->write, s.limit, 0, NULL};
	return 0;
}

static int compile(struct tg_log_format *f, const char *text, uint32_t n, struct tg_errbuf *e)
{
	uint32_t used = 0, i = 0, run = 0;

	while (i < n) {
		if (text[i] == '%' && text[i + 1] != '%') {
			if (add_operator(f, &used, text + i, &run, e) < 0)
				return TG_EINVAL;
			i += run;
			continue;
		}
		if (text[i] == '%')
			i++; /* %%: the second one is the literal */
		for (run = 1; i + run < n && text[i + run] != '%';)
			run++;
		f->pieces[f->n++] =
			(struct piece){w_literal, UINT32_MAX, run, keep(f, &used, text + i, run)};
		i += run;
	}
	return 0;
}

struct tg_log_format *tg_log_format_compile(const char *text, struct tg_errbuf *e)
{
	size_t n = strlen(text);
	struct tg_log_format *f;

	if (n > 0 && text[n - 1] == '\n')
		n--; /* the line writer puts it */
	if (n == 0 || n > TG_LOG_FORMAT_MAX) {
		tg_fail(e, TG_EINVAL, "access log: the format must have 1 to %d bytes",
			TG_LOG_FORMAT_MAX);
		return NULL;
	}
	if (memchr(text, '\n', n) || memchr(text, '\r', n)) {
		tg_fail(e, TG_EINVAL, "access log: the format has a line break inside");
		return NULL;
	}
	f = calloc(1, sizeof(*f));
	if (f) {
		/* A piece is at least one byte of the source. */
		f->pieces = calloc(n, sizeof(*f->pieces));
		f->text = malloc(2 * n + 1);
	}
	if (!f || !f->pieces || !f->text) {
		tg_fail(e, TG_ENOMEM, "access log: out of memory");
	} else if (compile(f, text, (uint32_t)n, e) == 0) {
		return f;
	}
	tg_log_format_free(f);
	return NULL;
}

void tg_log_format_free(struct tg_log_format *f)
{
	if (!f)
		return;
	free(f->pieces);
	free(f->text);
	free(f);
}

uint32_t tg_log_format_line(
	const struct tg_log_format *f, const struct tg_log_record *r, char *out, uint32_t cap)
{
	struct out o = {out, 0, cap - 1};

	for (uint32_t i = 0; i < f->n; i++)
		f->pieces[i].write(&o, &f->pieces[i], r);
	out[o.n++] = '\n';
	return o.n;
}

char *tg_log_flags_text(uint32_t flags, char out[static TG_LOG_FLAGS_TEXT])
{
	static const char *const names[] = {
#define X(f) #f,
		TG_FLAG_LIST(X)
#undef X
	};
	struct out o = {out, 0, TG_LOG_FLAGS_TEXT - 1};

	for (uint32_t i = 0; i < TG_FLAG_BITS; i++) {
		if (!(flags & 1u << i))
			continue;
		if (o.n)
			put(&o, ",", 1);
		put(&o, names[i], (uint32_t)strlen(names[i]));
	}
	if (o.n == 0)
		put(&o, "-", 1);
	out[o.n] = '\0';
	return out;
}
