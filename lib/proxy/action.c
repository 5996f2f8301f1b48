/* action.c: what a route does with a request: which cluster, redirects, answers, rewriting. */
#include "internal.h"

static const struct tg_weighted *heaviest(const struct tg_route_action *a)
{
	uint32_t best = 0, most = a->weighted[0].upto;

	for (uint32_t i = 1; i < a->n_weighted; i++) {
		uint32_t weight = a->weighted[i].upto - a->weighted[i - 1].upto;

		if (weight > most) {
			most = weight;
			best = i;
		}
	}
	return &a->weighted[best];
}

static const struct tg_weighted *pick_weighted(struct px_exch *ex, const struct tg_route_action *a)
{
	uint32_t at = tg_rng_below(&ex->proxy->rng, a->weighted[a->n_weighted - 1].upto);
	uint32_t i = 0;

	if (tg_unlikely(ex->proxy->match.likely))
		return heaviest(a);
	while (at >= a->weighted[i].upto)
		i++;
	return &a->weighted[i];
}

void px_choose_cluster(struct px_exch *ex)
{
	const struct tg_route_action *a = ex->route->action;
	const struct tg_field *f;

	ex->goes_to = ex->route->cluster;
	if (tg_likely(!a))
		return;
	if (a->kind == TG_ACTION_WEIGHTED) {
		ex->weighted = pick_weighted(ex, a);
		ex->goes_to = ex->weighted->cluster;
	} else if (a->kind == TG_ACTION_FIELD) {
		f = tg_msg_find_name(&ex->req, a->cluster_header, NULL);
		if (f)
			ex->goes_to = tg_cluster_find(ex->snap->cluster_names, f->value);
	}
}

struct tg_view px_scheme(const struct px_exch *ex)
{
	const struct tg_field *f = tg_msg_find(&ex->req, TG_FIELD_X_FORWARDED_PROTO);

	/* As set_proto() left it: the client's word only where it is believed. */
	return f && tg_view_eq_nocase(f->value, TG_VIEW("https")) ? TG_VIEW("https")
								  : TG_VIEW("http");
}

/* --- rewriting ---------------------------------------------------------------------------------
 */

/* Text of several pieces in the arena; .p NULL: no memory. */
static struct tg_view join(struct px_exch *ex, const struct tg_view *v, uint32_t n)
{
	uint32_t sum = 0, at = 0;
	uint8_t *t;

	for (uint32_t i = 0; i < n; i++)
		sum += v[i].n;
	t = tg_arena_alloc(&ex->arena, sum + 1);
	if (!t)
		return TG_VIEW_NONE;
	for (uint32_t i = 0; i < n; i++) {
		if (v[i].n)
			memcpy(t + at, v[i].p, v[i].n);
		at += v[i].n;
	}
	return tg_view_of(t, sum);
}

/* Of the path; TG_ERANGE, TG_ETOOBIG, TG_ENOMEM. */
static int rewrite(struct px_exch *ex, const struct tg_rewrite *w, struct tg_view *out)
{
	struct tg_regex_scratch *s = ex->proxy->match.regex;
	uint32_t cap = ex->req.path.n * 2 + w->substitution.n + 256;
	uint8_t *t;
	int32_t n;

	if (cap > TG_PX_REWRITTEN_MAX)
		cap = TG_PX_REWRITTEN_MAX;
	t = tg_arena_alloc(&ex->arena, cap);
	if (!t)
		return TG_ENOMEM;
	n = tg_regex_replace(w->regex, ex->req.path, w->substitution, s, t, cap);
	if (n < 0)
		return n;
	*out = tg_view_of(t, (uint32_t)n);
	return 0;
}

/* How much of the path is what the route asked for. */
static uint32_t matched(const struct px_exch *ex)
{
	const struct tg_route *r = ex->route;

	return r->kind == TG_MATCH_REGEX || r->match.n > ex->req.path.n ? ex->req.path.n
									: r->match.n;
}

/* What a path becomes must be a path again: an origin could take "/a/../b" for more than the
 * filters have seen. */
static bool again_a_path(struct px_exch *ex, struct tg_view v, struct tg_view *out)
{
	uint8_t *t;
	int32_t n;

	if (!v.n || v.p[0] != '/')
		return false;
	t = tg_arena_alloc(&ex->arena, v.n);
	n = t ? tg_path_normalise(v, true, t) : -1;
	*out = tg_view_of(t, n < 0 ? 0 : (uint32_t)n);
	return n > 0;
}

/* The path as the route wants it; PX_REPLY_MAX: done, else the reply. */
static enum px_reply new_path(
	struct px_exch *ex, const struct tg_route_action *a, struct tg_view *out)
{
	struct tg_view path = ex->req.path, pieces[2];
	uint32_t n = matched(ex);
	int rc = 0;

	*out = path;
	if (tg_view_eq(path, TG_VIEW("*")) || (!a->prefix.p && !a->path.regex))
		return PX_REPLY_MAX;
	if (a->prefix.p) {
		pieces[0] = a->prefix;
		pieces[1] = tg_view_of(path.p + n, path.n - n);
		path = join(ex, pieces, 2);
		rc = path.p ? 0 : TG_ENOMEM;
	} else {
		rc = rewrite(ex, &a->path, &path);
	}
	if (rc == TG_ENOMEM)
		return PX_REPLY_NO_MEMORY;
	return !rc && again_a_path(ex, path, out) ? PX_REPLY_MAX : PX_REPLY_BAD_PATH;
}

static bool set_original_path(struct px_exch *ex)
{
	const struct tg_msg *m = &ex->req;
	struct tg_view v[3] = {m->path, TG_VIEW("?"), m->query};
	struct tg_view was = m->query.p ? join(ex, v, 3) : m->path;

	tg_msg_remove(&ex->req, TG_FIELD_X_ENVOY_ORIGINAL_PATH);
	return was.p && tg_msg_add(&ex->req, TG_FIELD_X_ENVOY_ORIGINAL_PATH,
				tg_field_name(TG_FIELD_X_ENVOY_ORIGINAL_PATH), was) == 0;
}

static int new_host(struct px_exch *ex, const struct tg_route_action *a, struct tg_view *out)
{
	const struct tg_field *f;

	if (a->host.n)
		*out = a->host;
	if (a->host_field.n) {
		f = tg_msg_find_name(&ex->req, a->host_field, NULL);
		if (f)
			*out = f->value;
	}
	return a->host_path.regex ? rewrite(ex, &a->host_path, out) : 0;
}

static bool append_forwarded_host(struct px_exch *ex, struct tg_view was)
{
	const struct tg_view name = TG_VIEW("x-forwarded-host");
	struct tg_field *f = tg_msg_find_name(&ex->req, name, NULL);
	struct tg_view v[3] = {f ? f->value : TG_VIEW_NONE, TG_VIEW(","), was};

	if (!f)
		return tg_msg_add(&ex->req, TG_FIELD_UNKNOWN, name, was) == 0;
	f->value = join(ex, v, 3);
	return f->value.p != NULL;
}

/* A host that is none is not set: who can choose it must not choose what else is in the head. */
static bool rewrite_host(struct px_exch *ex, const struct tg_route_action *a)
{
	struct tg_view was = ex->req.authority, host = TG_VIEW_NONE;
	struct tg_field *f = tg_msg_find(&ex->req, TG_FIELD_HOST);
	int rc = new_host(ex, a, &host);

	if (rc == TG_ENOMEM)
		return false;
	if (rc || !f || !tg_is_authority(host))
		return true;
	f->value = ex->req.authority = host;
	return !a->append_x_forwarded_host || !was.n || append_forwarded_host(ex, was);
}

enum px_reply px_rewrite(struct px_exch *ex)
{
	const struct tg_route_action *a = ex->route->action;
	struct tg_view path;
	enum px_reply r;

	if (tg_likely(!a))
		return PX_REPLY_MAX;
	r = new_path(ex, a, &path);
	if (r != PX_REPLY_MAX)
		return r;
	/* The host may be made of the path that came. */
	if (!rewrite_host(ex, a))
		return PX_REPLY_NO_MEMORY;
	if (path.p != ex->req.path.p) {
		if (!set_original_path(ex))
			return PX_REPLY_NO_MEMORY;
		ex->req.path = path;
	}
	return PX_REPLY_MAX;
}

/* --- redirects and answers ---------------------------------------------------------------------
 */

/* Without a port that would be wrong for the new scheme, or that is replaced (Envoy). */
static struct tg_view host_without_port(
	struct tg_view host, struct tg_view from, struct tg_view to, bool always)
{
	struct tg_view left = host;
	const uint8_t *colon = host.n ? memrchr(host.p, ':', host.n) : NULL;
	const uint8_t *bracket = host.n ? memrchr(host.p, ']', host.n) : NULL;
	struct tg_view port;

	if (!colon || (bracket && bracket > colon))
		return host;
	left.n = (uint32_t)(colon - host.p);
	port = tg_view_of(colon + 1, host.n - left.n - 1);
	if (always ||
		(tg_view_eq(port, TG_VIEW("80")) && tg_view_eq(from, TG_VIEW("http")) &&
			tg_view_eq(to, TG_VIEW("https"))) ||
		(tg_view_eq(port, TG_VIEW("443")) && tg_view_eq(from, TG_VIEW("https")) &&
			tg_view_eq(to, TG_VIEW("http"))))
		return left;
	return host;
}

/* The host that was asked: where none was named (HTTP/1.0), the address that set_host() put there,
 * because a Location needs one (RFC 9110 section 10.2.2, RFC 3986 section 3.2). */
static struct tg_view asked_host(const struct px_exch *ex)
{
	const struct tg_field *f = tg_msg_find(&ex->req, TG_FIELD_HOST);

	return ex->req.authority.n || !f ? ex->req.authority : f->value;
}

/* The URI of a Location field; .p NULL: no memory. path: after rewriting. */
static struct tg_view location(struct px_exch *ex, const struct tg_redirect *r, struct tg_view path)
{
	struct tg_view from = px_scheme(ex), to = r->scheme.n ? r->scheme : from;
	struct tg_view host = r->host, query = ex->req.query, v[7];
	uint8_t port[24];
	uint32_t n = 0;

	if (!host.n)
		host = host_without_port(asked_host(ex), from, to, r->port != 0);
	/* The URI of `OPTIONS *` has no path (RFC 9112 section 3.3). */
	if (tg_view_eq(path, TG_VIEW("*")))
		path = TG_VIEW_NONE;
	if (r->path.n) {
		path = r->path;
		if (memchr(path.p, '?', path.n))
			query = TG_VIEW_NONE;
	}
	if (r->strip_query)
		query = TG_VIEW_NONE;
	v[n++] = to;
	v[n++] = TG_VIEW("://");
	v[n++] = host;
	if (r->port) {
		port[0] = ':';
		v[n++] = tg_view_of(port, 1 + px_text_u64(r->port, port + 1));
	}
	v[n++] = path;
	if (query.p) {
		v[n++] = TG_VIEW("?");
		v[n++] = query;
	}
	return join(ex, v, n);
}

static void redirect(
	struct px_exch *ex, const struct tg_redirect *r, uint16_t status, struct tg_view path)
{
	struct tg_field *f = tg_arena_alloc(&ex->arena, sizeof(*f));
	struct tg_view uri = location(ex, r, path);

	if (!f || !uri.p) {
		px_reply(ex, PX_REPLY_NO_MEMORY);
		return;
	}
	*f = (struct tg_field){TG_VIEW("location"), uri, TG_FIELD_UNKNOWN, false};
	px_reply_direct(ex, status, TG_VIEW_NONE, f);
}

bool px_answer_by_route(struct px_exch *ex)
{
	static const struct tg_redirect to_tls = {.scheme = TG_VIEW_OF("https")};
	const struct tg_route_action *a = ex->route->action;
	struct tg_view path;
	enum px_reply r;

	if (tg_unlikely(ex->vhost->require_tls) && tg_view_eq(px_scheme(ex), TG_VIEW("http"))) {
		redirect(ex, &to_tls, 301, ex->req.path);
		return true;
	}
	if (tg_likely(!a))
		return false;
	if (a->kind == TG_ACTION_DIRECT) {
		px_reply_direct(ex, a->status, a->body, NULL);
		return true;
	}
	if (a->kind == TG_ACTION_REDIRECT) {
		r = new_path(ex, a, &path);
		if (r == PX_REPLY_MAX)
			redirect(ex, &a->redirect, a->status, path);
		else
			px_reply(ex, r);
		return true;
	}
	return false;
}
