#include "explain.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate/log.h>

/* What a dry run tells as it goes. */
struct run {
	const struct tg_explain_query *q;
	const struct tg_explain_world *w;
	const struct tg_listener_conf *listener;
	struct tg_explain explain; /* filters' */
	json_t *doc, *filters, *says, *limits;
	char *head;
	size_t head_n;
	struct tg_identity identity;
	struct tg_dry_ask ask;
};

static bool is_text(uint8_t c)
{
	return c >= 0x20 && c < 0x7f;
}

json_t *tg_explain_text(struct tg_view v)
{
	json_t *j = json_stringn(v.p ? (const char *)v.p : "", v.n);
	char *t = j ? NULL : malloc(4 * (size_t)v.n + 1);
	size_t n = 0;

	for (uint32_t i = 0; t && i < v.n; i++)
		n += (size_t)sprintf(t + n, is_text(v.p[i]) ? "%c" : "\\x%02x", v.p[i]);
	if (t)
		j = json_stringn(t, n);
	free(t);
	return j;
}

/* --- filters -----------------------------------------------------------------------------------
 */

static void say(struct tg_explain *x, const char *fmt, ...)
{
	struct run *r = TG_CONTAINER(x, struct run, explain);
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(text))
		n = (int)sizeof(text) - 1;
	json_array_append_new(r->says, tg_explain_text(tg_view_of(text, n < 0 ? 0 : (size_t)n)));
}

static json_t *limit_json(
	const char *what, uint32_t left, const struct tg_bucket_rate *rate, uint64_t next)
{
	return json_pack("{s:o, s:I, s:I, s:I, s:f, s:f}", "what",
		tg_explain_text(tg_view_str(what)), "left", (json_int_t)left, "max",
		(json_int_t)rate->max, "tokens_per_fill", (json_int_t)rate->per_fill,
		"fill_interval_ms", (double)rate->interval / 1e6, "next_fill_ms",
		(double)next / 1e6);
}

static void limit(struct tg_explain *x, const char *what, uint32_t left,
	const struct tg_bucket_rate *rate, uint64_t next)
{
	struct run *r = TG_CONTAINER(x, struct run, explain);

	json_array_append_new(r->limits, limit_json(what, left, rate, next));
}

static struct tg_explain *on_filter(void *ctx, const struct tg_filter *f)
{
	struct run *r = ctx;
	json_t *one = json_pack("{s:s, s:s, s:o, s:o}", "name", f->ops->name, "id", f->of->id,
		"says", r->says = json_array(), "limits", r->limits = json_array());

	json_array_append_new(r->filters, one);
	return &r->explain;
}

static void on_verdict(void *ctx, const struct tg_filter *f, enum tg_verdict v,
	const struct tg_filter_reply *reply)
{
	static const char *const names[] = {
		[TG_PASS] = "pass", [TG_WAIT] = "wait", [TG_REPLY] = "reply", [TG_RESET] = "reset"};
	struct run *r = ctx;
	json_t *one = json_array_get(r->filters, json_array_size(r->filters) - 1);

	(void)f;
	json_object_set_new(one, "verdict", json_string(names[v]));
	if (v == TG_REPLY)
		json_object_set_new(one, "status", json_integer(reply->status));
	if (v != TG_PASS)
		json_object_set_new(one, "details", tg_explain_text(reply->details));
}

/* --- the request -------------------------------------------------------------------------------
 */

static bool is_token(const char *s)
{
	size_t n = strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return n > 0 && !s[n];
}

struct url {
	bool tls, tcp, has_port;
	uint16_t port;
	struct tg_view authority, target; /* target: with query; "/" or "*" at least */
};

/* The port of host[:port] or [v6][:port]. */
static bool read_port(struct url *u)
{
	const char *p = (const char *)u->authority.p, *end = p + u->authority.n;
	const char *bracket = memrchr(p, ']', u->authority.n);
	const char *colon = memrchr(p, ':', u->authority.n);
	unsigned long port = 0;

	u->port = u->tls ? 443 : 80;
	if (!colon || (bracket && bracket > colon))
		return !u->tcp;
	for (const char *d = colon + 1; d < end; d++) {
		if (*d < '0' || *d > '9' || port > 65535)
			return false;
		port = port * 10 + (unsigned long)(*d - '0');
	}
	u->has_port = true;
	u->port = (uint16_t)port;
	return port >= 1 && port <= 65535;
}

static int read_url(const char *text, struct url *u, struct tg_errbuf *e)
{
	static const char *const schemes[] = {"http://", "https://", "tcp://"};
	uint32_t s = 0;
	size_t n;

	*u = (struct url){.tls = false};
	for (const char *p = text; *p; p++)
		if ((uint8_t)*p <= ' ' || *p == 0x7f)
			return tg_fail(e, TG_EINVAL,
				"url: it has a space or a control character: escape it as %%20");
	while (s < TG_ARRAY_LEN(schemes) && strncasecmp(text, schemes[s], strlen(schemes[s])) != 0)
		s++;
	if (s == TG_ARRAY_LEN(schemes))
		return tg_fail(e, TG_EINVAL,
			"url: http://HOST/PATH, https://HOST/PATH or tcp://ADDRESS:PORT is "
			"expected");
	u->tls = s == 1;
	u->tcp = s == 2;
	text += strlen(schemes[s]);
	n = strcspn(text, "/?#");
	if (!n)
		return tg_fail(e, TG_EINVAL, "url: there is no host in it");
	if (memchr(text, '@', n))
		return tg_fail(e, TG_EINVAL, "url: no user and password, they are not sent");
	u->authority = tg_view_of(text, n);
	u->target = tg_view_of(text + n, strcspn(text + n, "#"));
	if (!read_port(u))
		return tg_fail(e, TG_EINVAL, "url: a port from 1 to 65535 is expected%s",
			u->tcp ? ": tcp://ADDRESS:PORT" : "");
	return 0;
}

static bool header_is(const char *line, const char *name)
{
	size_t n = strlen(name);

	return strncasecmp(line, name, n) == 0 && line[n] == ':';
}

static bool given(const struct tg_explain_query *q, const char *name)
{
	for (uint32_t i = 0; i < q->n_headers; i++)
		if (header_is(q->headers[i], name))
			return true;
	return false;
}

static int check_headers(const struct tg_explain_query *q, struct tg_errbuf *e)
{
	for (uint32_t i = 0; i < q->n_headers; i++) {
		const char *h = q->headers[i], *colon = strchr(h, ':');

		if (!colon || colon == h)
			return tg_fail(e, TG_EINVAL,
				"header: \"NAME: VALUE\" is expected, not \"%.64s\"", h);
		if (strpbrk(h, "\r\n"))
			return tg_fail(e, TG_EINVAL,
				"header: \"%.*s\" has a line break in its value",
				(int)(colon - h < 64 ? colon - h : 64), h);
	}
	return 0;
}

static int body_size(const struct tg_explain_query *q, uint64_t *out, struct tg_errbuf *e)
{
	char *end;

	if (!q->body_size)
		return 0;
	*out = strtoull(q->body_size, &end, 10);
	if (q->body_size[0] < '0' || q->body_size[0] > '9' || *end || *out > INT64_MAX)
		return tg_fail(e, TG_EINVAL, "body-size: a number of bytes is expected");
	return 0;
}

/* The head as a client would write it. */
static int write_head(struct run *r, const struct url *u, struct tg_errbuf *e)
{
	const struct tg_explain_query *q = r->q;
	bool slash = u->target.n && u->target.p[0] == '/';
	uint64_t size = 0;
	int rc = body_size(q, &size, e);
	FILE *out = rc ? NULL : open_memstream(&r->head, &r->head_n);

	if (rc)
		return rc;
	if (!out)
		return tg_fail(e, TG_ENOMEM, "no memory");
	if (strcmp(q->method, "OPTIONS") == 0 && tg_view_eq(u->target, TG_VIEW("/*")))
		fprintf(out, "OPTIONS * HTTP/1.1\r\n");
	else if (strcmp(q->method, "CONNECT") == 0)
		fprintf(out, "CONNECT %.*s HTTP/1.1\r\n", (int)u->authority.n, u->authority.p);
	else
		fprintf(out, "%s %s%.*s HTTP/1.1\r\n", q->method, slash ? "" : "/",
			(int)u->target.n, u->target.p);
	if (!given(q, "host"))
		fprintf(out, "Host: %.*s\r\n", (int)u->authority.n, u->authority.p);
	for (uint32_t i = 0; i < q->n_headers; i++)
		fprintf(out, "%s\r\n", q->headers[i]);
	if (q->body_size && !given(q, "content-length"))
		fprintf(out, "Content-Length: %llu\r\n", (unsigned long long)size);
	fputs("\r\n", out);
	if (fclose(out))
		return tg_fail(e, TG_ENOMEM, "no memory");
	if (r->head_n > TG_EXPLAIN_HEAD_MAX)
		return tg_fail(
			e, TG_ETOOBIG, "the head has more than %d bytes", TG_EXPLAIN_HEAD_MAX);
	return 0;
}

/* --- the listener ------------------------------------------------------------------------------
 */

static bool is_named(const struct tg_listener_conf *l, const char *name)
{
	char text[TG_ADDR_TEXT];

	return strcmp(l->name, name) == 0 || strcmp(tg_sockaddr_format(&l->addr, text), name) == 0;
}

/* How well it fits; 0: not at all. The host decides only where the port does not. */
static uint32_t fits(const struct tg_listener_conf *l, const struct url *u)
{
	char text[TG_ADDR_TEXT];

	if (u->tcp)
		return l->protocol == TG_PROTOCOL_TCP &&
		       tg_view_eq(tg_view_str(tg_sockaddr_format(&l->addr, text)), u->authority);
	if (l->protocol != TG_PROTOCOL_HTTP || (l->tls != NULL) != u->tls)
		return 0;
	if (l->addr.port != u->port)
		return u->has_port || !l->hosts || !tg_host_find(l->hosts, u->authority) ? 0 : 1;
	return l->hosts && tg_host_find(l->hosts, u->authority) ? 3 : 2;
}

static int fail_listener(const struct tg_snapshot *s, const char *what, struct tg_errbuf *e)
{
	char list[200] = "", addr[TG_ADDR_TEXT];
	size_t n = 0;

	for (uint32_t i = 0; i < s->n_listeners && n < sizeof(list) - 1; i++) {
		const struct tg_listener_conf *l = &s->listeners[i];

		snprintf(list + n, sizeof(list) - n, "%s%s (%s%s, %s)", i ? ", " : "", l->name,
			l->protocol == TG_PROTOCOL_TCP ? "tcp" : "http", l->tls ? " over TLS" : "",
			tg_sockaddr_format(&l->addr, addr));
		n += strlen(list + n);
	}
	return tg_fail(e, TG_ENOENT, "%s; there are: %s", what, list);
}

static int find_listener(struct run *r, const struct url *u, struct tg_errbuf *e)
{
	const struct tg_snapshot *s = r->w->snap;
	uint32_t best = 0;

	for (uint32_t i = 0; i < s->n_listeners; i++) {
		const struct tg_listener_conf *l = &s->listeners[i];
		uint32_t fit = r->q->listener ? is_named(l, r->q->listener) : fits(l, u);

		if (fit <= best)
			continue;
		best = fit;
		r->listener = l;
	}
	if (!best)
		return fail_listener(s,
			r->q->listener ? "listener: there is none of that name or address"
				       : "listener: none fits the URL's scheme and port, so say "
					 "which one",
			e);
	if ((r->listener->protocol == TG_PROTOCOL_TCP) != u->tcp)
		return tg_fail(e, TG_EINVAL, "listener: \"%s\" speaks %s: the URL begins with %s",
			r->listener->name, u->tcp ? "HTTP" : "no HTTP",
			u->tcp ? "http:// or https://" : "tcp://");
	return 0;
}

/* --- the client --------------------------------------------------------------------------------
 */

static int read_client(struct run *r, const struct url *u, struct tg_errbuf *e)
{
	const struct tg_explain_query *q = r->q;
	struct tg_view who = q->identity ? tg_view_str(q->identity) : TG_VIEW_NONE;
	const char *from = q->from ? q->from : "127.0.0.1";

	if (tg_sockaddr_parse(from, &r->ask.remote)) {
		r->ask.remote.port = 40000;
		if (tg_ip_parse(from, &r->ask.remote.ip))
			return tg_fail(
				e, TG_EINVAL, "from: an address is expected, not \"%.64s\"", from);
	}
	if (!r->listener->tls && (q->identity || q->sni))
		return tg_fail(e, TG_EINVAL,
			"%s: listener \"%s\" has no TLS, so nobody can show one there",
			q->identity ? "identity" : "sni", r->listener->name);
	r->ask.sni = q->sni ? tg_view_str(q->sni) : TG_VIEW_NONE;
	if (!q->sni && r->listener->tls && !u->tcp) {
		const uint8_t *colon = memrchr(u->authority.p, ':', u->authority.n);

		r->ask.sni = u->authority;
		if (colon && u->has_port)
			r->ask.sni.n = (uint32_t)(colon - u->authority.p);
	}
	if (!q->identity)
		return 0;
	if (strstr(q->identity, "://")) {
		r->identity.uri = who;
		r->identity.uris = tg_view_of(who.p, who.n + 1);
		if (tg_view_has_prefix(who, TG_VIEW("spiffe://")))
			r->identity.spiffe_id = who;
	} else if (strchr(q->identity, '=')) {
		r->identity.subject = who;
	} else {
		r->identity.dns = who;
		r->identity.dns_names = tg_view_of(who.p, who.n + 1);
	}
	r->identity.not_after = INT64_MAX;
	r->ask.identity = &r->identity;
	return 0;
}

/* --- the document ------------------------------------------------------------------------------
 */

static json_t *listener_json(struct run *r)
{
	const struct tg_listener_conf *l = r->listener;
	struct tg_connlimit *c = l->connlimit;
	char addr[TG_ADDR_TEXT];
	json_t *j = json_pack("{s:s, s:s, s:s, s:b}", "name", l->name, "address",
		tg_sockaddr_format(&l->addr, addr), "protocol",
		l->protocol == TG_PROTOCOL_TCP ? "tcp" : "http", "tls", l->tls != NULL);
	enum tg_why why;

	if (!c)
		return j;
	why = tg_connlimit_ask(c, &r->ask.remote.ip, r->w->now, false);
	if (c->has_all)
		json_object_set_new(j, "connection_limit",
			limit_json("new connections",
				tg_bucket_left(&c->bucket, &c->all, r->w->now), &c->all,
				tg_bucket_next_fill(&c->all, r->w->now)));
	if (why)
		json_object_set_new(j, "connection_refused", json_string(tg_why_text(why)));
	return j;
}

static void on_routed(void *ctx, const struct tg_vhost *v, const struct tg_route *route,
	const struct tg_msg *m, const struct tg_match_env *env)
{
	struct run *r = ctx;

	json_object_set_new(r->doc, "request",
		json_pack("{s:o, s:o, s:o, s:o}", "method", tg_explain_text(m->method_name),
			"authority", tg_explain_text(m->authority), "path",
			tg_explain_text(m->path), "query",
			m->query.p ? tg_explain_text(m->query) : json_null()));
	json_object_set_new(r->doc, "virtual_host", v ? json_string(v->name) : json_null());
	json_object_set_new(r->doc, "routes",
		v ? tg_explain_routes(v, route, m, env, r->q->all) : json_array());
}

static json_t *flags_json(uint32_t flags)
{
	static const char *const names[] = {
#define X(f) #f,
		TG_FLAG_LIST(X)
#undef X
	};
	json_t *list = json_array();

	for (uint32_t i = 0; i < TG_ARRAY_LEN(names); i++)
		if (flags >> i & 1)
			json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *answer_json(const struct tg_dry_result *r)
{
	const uint8_t *end = r->answer.n ? memmem(r->answer.p, r->answer.n, "\r\n\r\n", 4) : NULL;
	uint32_t n = end ? (uint32_t)(end - r->answer.p) + 4 : r->answer.n;

	return json_pack("{s:i, s:o, s:o, s:o, s:o}", "status", r->status, "flags",
		flags_json(r->flags), "details", tg_explain_text(r->details), "head",
		tg_explain_text(tg_view_of(r->answer.p, n)), "body",
		tg_explain_text(tg_view_of(r->answer.p + n, r->answer.n - n)));
}

static json_t *clusters_json(struct run *r, const struct tg_dry_result *out)
{
	const struct tg_route_action *a = out->route ? out->route->action : NULL;
	const struct tg_weighted *of = a ? a->weighted : r->listener->weighted;
	uint32_t n = a ? a->n_weighted : r->listener->n_weighted, before = 0;
	json_t *list = json_array();

	if (!n) {
		json_array_append_new(
			list, tg_explain_cluster(out->cluster, 1, out, r->w, r->q->all));
		return list;
	}
	for (uint32_t i = 0; i < n; i++) {
		double share = (double)(of[i].upto - before) / of[n - 1].upto;

		before = of[i].upto;
		if (share > 0)
			json_array_append_new(list,
				tg_explain_cluster(of[i].cluster, share, out, r->w, r->q->all));
	}
	return list;
}

static void note(json_t *notes, const char *text)
{
	json_array_append_new(notes, json_string(text));
}

static json_t *notes_json(struct run *r, const struct tg_dry_result *out)
{
	const struct tg_tls_conf *tls = r->listener->tls;
	json_t *notes = json_array();

	if (tls && tls->require_client_certificate && !r->ask.identity)
		note(notes, "the listener requires a client certificate: without one (--identity) "
			    "the TLS handshake fails");
	if (r->ask.identity)
		note(notes, "that the certificate is one that the listener trusts is taken for "
			    "granted");
	if (!r->q->from)
		note(notes, "the client's address is taken to be 127.0.0.1 (--from)");
	if (out->end == TG_DRY_ANSWERED && out->route && r->w->n_workers > 1)
		note(notes, "leases of limits are those of worker 0");
	return notes;
}

static void fill_document(struct run *r, const struct tg_dry_result *out)
{
	static const char *const ends[] = {[TG_DRY_FORWARDED] = "forwarded",
		[TG_DRY_ANSWERED] = "answered",
		[TG_DRY_CUT] = "cut",
		[TG_DRY_INCOMPLETE] = "incomplete"};
	char addr[TG_ADDR_TEXT];

	json_object_set_new(r->doc, "outcome", json_string(ends[out->end]));
	json_object_set_new(r->doc, "listener", listener_json(r));
	json_object_set_new(r->doc, "client",
		json_pack("{s:s, s:o, s:o}", "address", tg_sockaddr_format(&r->ask.remote, addr),
			"identity",
			r->q->identity ? tg_explain_text(tg_view_str(r->q->identity)) : json_null(),
			"sni", r->ask.sni.n ? tg_explain_text(r->ask.sni) : json_null()));
	json_object_set(r->doc, "filters", r->filters);
	json_object_set_new(r->doc, "notes", notes_json(r, out));
	if (out->route)
		json_object_set_new(r->doc, "route", tg_explain_route(out->vhost, out));
	if (out->end == TG_DRY_ANSWERED)
		json_object_set_new(r->doc, "answer", answer_json(out));
	if (out->end == TG_DRY_CUT)
		json_object_set_new(r->doc, "cut",
			json_pack("{s:s, s:o, s:o}", "why", tg_why_text(out->why), "flags",
				flags_json(out->flags), "details", tg_explain_text(out->details)));
	if (out->end != TG_DRY_FORWARDED)
		return;
	json_object_set_new(r->doc, "clusters", clusters_json(r, out));
	if (out->sent.n)
		json_object_set_new(r->doc, "sent", tg_explain_text(out->sent));
}

static int run(struct run *r, struct tg_errbuf *e)
{
	struct tg_dry_result out;
	struct tg_dry *d;

	r->ask.snap = r->w->snap;
	r->ask.listener = r->listener;
	r->ask.head = tg_view_of(r->head, r->head_n);
	r->ask.n_workers = r->w->n_workers ? r->w->n_workers : 1;
	r->ask.now = r->w->now;
	r->ask.realtime_offset = r->w->realtime_offset;
	r->ask.routed = on_routed;
	r->ask.filter = on_filter;
	r->ask.verdict = on_verdict;
	r->ask.ctx = r;
	r->explain = (struct tg_explain){say, limit};
	d = tg_dry_run(&r->ask, &out);
	if (!d)
		return tg_fail(e, TG_ENOMEM, "no memory");
	if (out.end == TG_DRY_INCOMPLETE)
		tg_fail(e, TG_EINVAL, "the fields do not make one head");
	else
		fill_document(r, &out);
	tg_dry_end(d);
	return out.end == TG_DRY_INCOMPLETE ? TG_EINVAL : 0;
}

static int prepare(struct run *r, struct tg_errbuf *e)
{
	const struct tg_explain_query *q = r->q;
	struct url u;
	int rc;

	if (!q->method || !q->url)
		return tg_fail(e, TG_EINVAL, "method and url are needed");
	if (!is_token(q->method))
		return tg_fail(e, TG_EINVAL, "method: \"%.64s\" is none", q->method);
	rc = read_url(q->url, &u, e);
	if (!rc)
		rc = check_headers(q, e);
	if (!rc)
		rc = find_listener(r, &u, e);
	if (!rc)
		rc = read_client(r, &u, e);
	return rc ? rc : write_head(r, &u, e);
}

json_t *tg_explain(
	const struct tg_explain_query *q, const struct tg_explain_world *w, struct tg_errbuf *e)
{
	struct run r = {.q = q, .w = w, .doc = json_object(), .filters = json_array()};
	int rc = r.doc && r.filters ? prepare(&r, e) : tg_fail(e, TG_ENOMEM, "no memory");

	if (!rc)
		rc = run(&r, e);
	free(r.head);
	json_decref(r.filters);
	if (!rc)
		return r.doc;
	json_decref(r.doc);
	return NULL;
}
