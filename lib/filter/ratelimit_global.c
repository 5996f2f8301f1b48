/* ratelimit_global.c: limits over several processes, as Envoy's filter "ratelimit". */
#include "ratelimit.h"

#include <tidegate/log.h>

struct gl_conf {
	const struct tg_ratelimit_global_in *in;
	struct ratelimit_limit *limits;
	uint64_t *seeds; /* of the descriptors' hashes */
};

struct gl_state {
	struct ratelimit_told told;
	uint32_t seconds; /* how long the windows of the limit are that is told of */
};

static const struct tg_stat_def counters[TG_RATELIMIT_GLOBAL_COUNTERS] = {
	[TG_RATELIMIT_GLOBAL_OK] = {"ok", "requests within the limits"},
	[TG_RATELIMIT_GLOBAL_CREDIT] = {"on_credit",
		"of them, those with a token that Redis had not given yet, and is charged with"},
	[TG_RATELIMIT_GLOBAL_OVER] = {"over_limit", "requests over a limit, which were refused"},
	[TG_RATELIMIT_GLOBAL_NO_LEASE] = {"no_lease",
		"of them, those that came faster than tokens: none was leased, and none on credit"},
	[TG_RATELIMIT_GLOBAL_SHADOW] = {"shadow_mode",
		"requests over a limit in shadow_mode, which passed it"},
	[TG_RATELIMIT_GLOBAL_ERROR] = {"error",
		"requests that found no token while Redis was away"},
	[TG_RATELIMIT_GLOBAL_ALLOWED] = {"failure_mode_allowed", "of them, those that passed"},
};

/* --- compiling ---------------------------------------------------------------------------------
 */

/* What all keys of a descriptor have in common, in a number. */
static uint64_t seed_of(
	const struct tg_ratelimit_global_in *in, const struct tg_ratelimit_descriptor *d)
{
	static const uint8_t key[16] = "quota descriptor";
	uint64_t parts[3 + 3 * TG_RATELIMIT_ENTRIES_MAX];
	uint32_t n = 0;

	parts[n++] = tg_siphash24(key, in->domain.p, in->domain.n);
	parts[n++] = d->quota.seconds;
	parts[n++] = d->quota.limit; /* another route may have another: only the store's is one */
	for (uint32_t i = 0; i < d->n; i++) {
		const struct tg_ratelimit_entry *e = &d->entries[i];

		parts[n++] = tg_siphash24(key, e->key.p, e->key.n);
		parts[n++] = e->any;
		parts[n++] = e->any ? 0 : tg_siphash24(key, e->value.p, e->value.n);
	}
	return tg_siphash24(key, parts, n * sizeof(parts[0]));
}

static int compile(void *conf, const void *input, const struct tg_filter_env *env)
{
	const struct tg_ratelimit_global_in *in = input;
	struct gl_conf *c = conf;

	c->in = in;
	c->limits =
		ratelimit_limits(in->limits, in->n_limits, in->descriptors, in->n_descriptors, env);
	c->seeds = env->alloc(env->ctx, (in->n_descriptors + 1) * sizeof(*c->seeds));
	if (!c->limits || !c->seeds)
		return TG_ENOMEM;
	for (uint32_t i = 0; i < in->n_descriptors; i++)
		c->seeds[i] = seed_of(in, &in->descriptors[i]);
	return 0;
}

/* --- keys --------------------------------------------------------------------------------------
 */

static uint64_t hash_of(const struct tg_quota *q, uint64_t h, const struct tg_ratelimit_limit *l,
	const struct tg_ratelimit_descriptor *d, const struct ratelimit_value *v)
{
	for (uint32_t i = 0; i < d->n; i++) {
		const struct tg_ratelimit_action *a = &l->actions[i];
		uint8_t net[18] = {a->v4_len, a->v6_len};

		if (!d->entries[i].any)
			continue;
		if (!ratelimit_is_address(a)) {
			h = tg_quota_hash(q, h, v[i].text.p, v[i].text.n);
			continue;
		}
		memcpy(net + 2, v[i].ip.b, 16);
		h = tg_quota_hash(q, h, net, sizeof(net));
	}
	return h;
}

static void put_number(struct tg_quota_text *t, uint32_t v)
{
	uint8_t b[10];
	uint32_t at = sizeof(b);

	do
		b[--at] = (uint8_t)('0' + v % 10);
	while (v /= 10);
	tg_quota_text_raw(t, tg_view_of(b + at, sizeof(b) - at));
}

static void put_address(struct tg_quota_text *t, const struct tg_ratelimit_action *a,
	const struct ratelimit_value *v)
{
	char text[TG_ADDR_TEXT];

	tg_quota_text_raw(t, tg_view_str(tg_ip_format(&v->ip, text)));
	if (a->kind != TG_RATELIMIT_MASKED_ADDRESS)
		return;
	tg_quota_text_raw(t, TG_VIEW("/"));
	put_number(t, tg_ip_is_v4(&v->ip) ? a->v4_len : a->v6_len);
}

/* domain|key=value|key=value|seconds of a window */
static struct tg_view text_of(struct tg_quota_text *t, const struct gl_conf *c,
	const struct tg_ratelimit_limit *l, const struct tg_ratelimit_descriptor *d,
	const struct ratelimit_value *v)
{
	*t = (struct tg_quota_text){0};
	tg_quota_text_add(t, c->in->domain);
	for (uint32_t i = 0; i < d->n; i++) {
		tg_quota_text_raw(t, TG_VIEW("|"));
		tg_quota_text_add(t, d->entries[i].key);
		tg_quota_text_raw(t, TG_VIEW("="));
		if (ratelimit_is_address(&l->actions[i]))
			put_address(t, &l->actions[i], &v[i]);
		else
			tg_quota_text_add(t, v[i].text);
	}
	tg_quota_text_raw(t, TG_VIEW("|"));
	put_number(t, d->quota.seconds);
	return tg_quota_text_end(t);
}

/* --- taking ------------------------------------------------------------------------------------
 */

enum outcome { PASSED, OVER, EARLY, FAILED };

static void note(struct gl_state *s, const struct tg_quota *q, const struct tg_quota_rate *r,
	uint32_t left, uint64_t now)
{
	if (!ratelimit_is_least(&s->told, r->limit, left))
		return;
	s->seconds = r->seconds;
	s->told.reset = q && r->limit ? tg_quota_reset(q, r, now) : RATELIMIT_SEC * r->seconds;
}

static enum tg_quota_answer take_token(const struct tg_filter *f, struct tg_exchange *ex,
	const struct ratelimit_limit *l, const struct tg_ratelimit_descriptor *d,
	const struct ratelimit_value *v, uint32_t *left)
{
	const struct gl_conf *c = f->conf;
	struct tg_quota *q = *c->in->quota;
	uint64_t hash = hash_of(q, c->seeds[d - c->in->descriptors], l->in, d, v);
	enum tg_quota_answer a = tg_quota_take(q, hash, &d->quota, ex->now, left);
	struct tg_quota_text t;

	if (a != TG_QUOTA_UNKNOWN)
		return a;
	if (tg_quota_bring(q, ex->worker, hash, &d->quota, text_of(&t, c, l->in, d, v)))
		a = tg_quota_take(q, hash, &d->quota, ex->now, left);
	return a;
}

static enum outcome outcome_of(
	const struct tg_filter *f, struct tg_exchange *ex, enum tg_quota_answer a)
{
	switch (a) {
	case TG_QUOTA_CREDITED:
		tg_filter_count(f, ex->worker, TG_RATELIMIT_GLOBAL_CREDIT);
		return PASSED;
	case TG_QUOTA_GIVEN:
		return PASSED;
	case TG_QUOTA_OVER:
		return OVER;
	case TG_QUOTA_AWAY:
		return FAILED;
	default:
		return EARLY;
	}
}

static enum outcome take(const struct tg_filter *f, struct tg_exchange *ex,
	const struct ratelimit_limit *l, const struct tg_ratelimit_descriptor *d,
	const struct ratelimit_value *v)
{
	struct gl_state *s = tg_filter_state(f, ex);
	struct tg_quota *q = *((const struct gl_conf *)f->conf)->in->quota;
	enum outcome o = FAILED;
	uint32_t left = 0;

	if (d->unlimited)
		return PASSED;
	if (!d->quota.limit)
		o = OVER;
	else if (q)
		o = outcome_of(f, ex, take_token(f, ex, l, d, v, &left));
	if (o != FAILED)
		note(s, q, &d->quota, left, ex->now);
	if (o == EARLY) /* tokens are on their way */
		s->told.reset = TG_QUOTA_REST;
	if ((o == OVER || o == EARLY) && d->shadow) {
		tg_filter_count(f, ex->worker, TG_RATELIMIT_GLOBAL_SHADOW);
		return PASSED;
	}
	return o;
}

static enum outcome within_limits(
	const struct tg_filter *f, struct tg_exchange *ex, const struct tg_msg *m)
{
	const struct gl_conf *c = f->conf;
	struct ratelimit_value v[TG_RATELIMIT_ENTRIES_MAX];
	enum outcome all = PASSED;

	for (uint32_t i = 0; i < c->in->n_limits; i++) {
		const struct ratelimit_limit *l = &c->limits[i];
		const struct tg_ratelimit_descriptor *d =
			ratelimit_find(l, c->in->descriptors, ex, m, v);
		enum outcome o = d ? take(f, ex, l, d, v) : PASSED;

		if (o == FAILED && !c->in->failure_mode_deny)
			all = FAILED;
		else if (o != PASSED)
			return o;
	}
	return all;
}

/* --- hooks -------------------------------------------------------------------------------------
 */

static bool concerns(const struct tg_ratelimit_global_in *in, const struct tg_msg *m)
{
	const struct tg_field *field;
	bool internal;

	if (tg_likely(in->request_type == TG_RATELIMIT_BOTH))
		return true;
	field = tg_msg_find_name(m, TG_VIEW("x-envoy-internal"), NULL);
	internal = field && tg_view_eq(field->value, TG_VIEW("true"));
	return internal == (in->request_type == TG_RATELIMIT_INTERNAL);
}

static enum tg_verdict over(const struct tg_filter *f, struct tg_exchange *ex)
{
	static const struct tg_field limited = {
		.name = TG_VIEW_OF("x-envoy-ratelimited"), .value = TG_VIEW_OF("true")};
	const struct tg_ratelimit_global_in *in = ((const struct gl_conf *)f->conf)->in;
	const struct gl_state *s = tg_filter_state(f, ex);

	return ratelimit_refuse(ex, in->status, TG_VIEW("request_rate_limited"), &s->told, &limited,
		!in->no_envoy_header);
}

static enum tg_verdict away(const struct tg_filter *f, struct tg_exchange *ex)
{
	const struct tg_ratelimit_global_in *in = ((const struct gl_conf *)f->conf)->in;

	if (!in->failure_mode_deny)
		return TG_PASS;
	ex->reply.status = in->status_on_error;
	ex->reply.flags = TG_FLAG(RLSE);
	ex->reply.why = TG_WHY_req_rate_limit_error;
	ex->reply.details = TG_VIEW("rate_limiter_error");
	return TG_REPLY;
}

static enum tg_verdict on_request(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	if (!concerns(((const struct gl_conf *)f->conf)->in, m))
		return TG_PASS;
	switch (within_limits(f, ex, m)) {
	case PASSED:
		tg_filter_count(f, ex->worker, TG_RATELIMIT_GLOBAL_OK);
		return TG_PASS;
	case EARLY:
		tg_filter_count(f, ex->worker, TG_RATELIMIT_GLOBAL_NO_LEASE);
		/* fall through */
	case OVER:
		tg_filter_count(f, ex->worker, TG_RATELIMIT_GLOBAL_OVER);
		return over(f, ex);
	default:
		tg_filter_count(f, ex->worker, TG_RATELIMIT_GLOBAL_ERROR);
		if (away(f, ex) == TG_REPLY)
			return TG_REPLY;
		tg_filter_count(f, ex->worker, TG_RATELIMIT_GLOBAL_ALLOWED);
		return TG_PASS;
	}
}

/* "10, 10;w=60": the limit, and of how many seconds it is
 * (draft-ietf-httpapi-ratelimit-headers-03). */
static struct tg_view policy(struct tg_exchange *ex, const struct gl_state *s)
{
	struct tg_view n = ratelimit_number(ex, s->told.limit),
		       w = ratelimit_number(ex, s->seconds);
	uint8_t *text = tg_arena_alloc(ex->arena, 32), *p = text;

	if (!n.p || !w.p || !text)
		return TG_VIEW_NONE;
	p = (uint8_t *)mempcpy(p, n.p, n.n);
	p = (uint8_t *)mempcpy(p, ", ", 2);
	p = (uint8_t *)mempcpy(p, n.p, n.n);
	p = (uint8_t *)mempcpy(p, ";w=", 3);
	p = (uint8_t *)mempcpy(p, w.p, w.n);
	return tg_view_of(text, (size_t)(p - text));
}

static enum tg_verdict on_response(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	const struct gl_state *s = tg_filter_state(f, ex);

	if (((const struct gl_conf *)f->conf)->in->x_ratelimit_headers && s->told.known)
		ratelimit_tell(ex, m, &s->told, policy(ex, s));
	return TG_PASS;
}

/* --- dry runs ----------------------------------------------------------------------------------
 */

static enum tg_verdict look(const struct tg_filter *f, struct tg_exchange *ex,
	const struct ratelimit_limit *l, const struct tg_ratelimit_descriptor *d,
	const struct ratelimit_value *v, struct tg_explain *x)
{
	const struct gl_conf *c = f->conf;
	const struct tg_quota *q = *c->in->quota;
	const struct tg_bucket_rate rate = {
		d->quota.limit, d->quota.limit, d->quota.seconds * RATELIMIT_SEC};
	uint32_t here = 0, left = d->quota.limit;
	char what[256];

	ratelimit_describe(l, d, v, what, sizeof(what));
	if (d->unlimited) {
		x->say(x, "%s: unlimited", what);
		return TG_PASS;
	}
	if (q && d->quota.limit)
		tg_quota_look(q, hash_of(q, c->seeds[d - c->in->descriptors], l->in, d, v),
			&d->quota, ex->now, &here, &left);
	note(tg_filter_state(f, ex), q, &d->quota, left, ex->now);
	x->limit(x, what, left, &rate,
		((const struct gl_state *)tg_filter_state(f, ex))->told.reset);
	x->say(x, "%u of them leased to this node", here);
	if (!here && left && (!q || !tg_quota_is_here(q))) {
		x->say(x, "Redis is away: failure_mode_deny is %s",
			c->in->failure_mode_deny ? "true" : "false");
		return away(f, ex);
	}
	if (left && !here && !d->quota.credit)
		x->say(x, "none is leased: no_lease_behavior refuses the next request, and leases "
			  "one");
	if ((left && (here || d->quota.credit)) || d->shadow)
		return TG_PASS;
	return over(f, ex);
}

static enum tg_verdict explain(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m, struct tg_explain *x)
{
	const struct gl_conf *c = f->conf;
	struct ratelimit_value v[TG_RATELIMIT_ENTRIES_MAX];
	enum tg_verdict verdict = TG_PASS;

	if (!concerns(c->in, m)) {
		x->say(x, "request_type is another");
		return TG_PASS;
	}
	for (uint32_t i = 0; i < c->in->n_limits && verdict == TG_PASS; i++) {
		const struct tg_ratelimit_descriptor *d =
			ratelimit_find(&c->limits[i], c->in->descriptors, ex, m, v);

		if (d)
			verdict = look(f, ex, &c->limits[i], d, v, x);
	}
	return verdict;
}

const struct tg_filter_ops tg_ratelimit_global_http = {
	.name = "ratelimit",
	.conf_size = sizeof(struct gl_conf),
	.exch_size = sizeof(struct gl_state),
	.n_counters = TG_RATELIMIT_GLOBAL_COUNTERS,
	.counters = counters,
	.compile = compile,
	.on_request = on_request,
	.on_response = on_response,
	.explain = explain,
};
