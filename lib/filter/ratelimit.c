/* ratelimit.c: limits of requests by token buckets, as Envoy's filter "local_ratelimit". */
#include "ratelimit.h"

#include <tidegate/log.h>

#define MILLION 1000000u

/* A bucket, or one for each key. */
struct target {
	struct tg_bucket_rate rate;
	struct tg_bucket *bucket; /* NULL: in the table */
	struct tg_buckets table;
	uint32_t lease; /* its number in leases */
};

struct rl_conf {
	const struct tg_ratelimit_in *in;
	struct ratelimit_limit *limits;
	struct target *descriptors, fallback;
	uint32_t n_workers, n_buckets,
		lease_row; /* leases of a worker: in cache lines of its own */
	struct tg_bucket_lease *leases;
};

static const struct tg_stat_def counters[TG_RATELIMIT_COUNTERS] = {
	[TG_RATELIMIT_ENABLED] = {"enabled", "requests that were looked at"},
	[TG_RATELIMIT_OK] = {"ok", "within the limits"},
	[TG_RATELIMIT_LIMITED] = {"rate_limited", "over a limit"},
	[TG_RATELIMIT_ENFORCED] = {"enforced", "of them, refused"},
	[TG_RATELIMIT_EVICTED] = {"evicted",
		"values whose bucket was given to another before it was full again"},
};

/* --- compiling ---------------------------------------------------------------------------------
 */

static void *lines(const struct tg_filter_env *env, size_t n)
{
	uint8_t *p = env->alloc(env->ctx, n + 64);

	return p ? p + (64 - (uintptr_t)p % 64) % 64 : NULL;
}

static int make_bucket(struct rl_conf *c, struct target *t, const struct tg_filter_env *env)
{
	t->lease = c->n_buckets++;
	t->bucket = lines(env, sizeof(*t->bucket));
	return t->bucket ? 0 : TG_ENOMEM;
}

static int make_table(struct target *t, uint32_t keys, const struct tg_filter_env *env)
{
	void *mem = lines(env, tg_buckets_bytes(keys));
	uint8_t secret[16];

	if (!mem || tg_rng_secret(secret, sizeof(secret)))
		return TG_ENOMEM;
	tg_buckets_init(&t->table, mem, keys, secret);
	return 0;
}

static int make_leases(struct rl_conf *c, const struct tg_filter_env *env)
{
	uint32_t row = c->n_buckets * (uint32_t)sizeof(*c->leases);

	c->lease_row = (row + 63) / 64 * 64;
	c->n_workers = env->workers;
	c->leases = lines(env, (size_t)c->lease_row * env->workers);
	return c->leases ? 0 : TG_ENOMEM;
}

static int compile(void *conf, const void *input, const struct tg_filter_env *env)
{
	const struct tg_ratelimit_in *in = input;
	struct rl_conf *c = conf;

	c->in = in;
	c->limits =
		ratelimit_limits(in->limits, in->n_limits, in->descriptors, in->n_descriptors, env);
	c->descriptors = env->alloc(env->ctx, (in->n_descriptors + 1) * sizeof(*c->descriptors));
	if (!c->limits || !c->descriptors)
		return TG_ENOMEM;
	for (uint32_t i = 0; i < in->n_descriptors; i++) {
		const struct tg_ratelimit_descriptor *d = &in->descriptors[i];
		struct target *t = &c->descriptors[i];

		t->rate = d->rate;
		if (ratelimit_is_open(d) ? make_table(t, in->max_dynamic_descriptors, env)
					 : make_bucket(c, t, env))
			return TG_ENOMEM;
	}
	c->fallback.rate = in->rate;
	if (in->has_default && make_bucket(c, &c->fallback, env))
		return TG_ENOMEM;
	return make_leases(c, env);
}

/* --- descriptors -------------------------------------------------------------------------------
 */

static uint64_t hash_of(const struct target *t, const struct tg_ratelimit_limit *l,
	const struct tg_ratelimit_descriptor *d, const struct ratelimit_value *v)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < d->n; i++) {
		if (!d->entries[i].any)
			continue;
		h = ratelimit_is_address(&l->actions[i])
			    ? tg_buckets_hash(&t->table, h, v[i].ip.b, 16)
			    : tg_buckets_hash(&t->table, h, v[i].text.p, v[i].text.n);
	}
	return h;
}

/* --- taking ------------------------------------------------------------------------------------
 */

static void note(struct ratelimit_told *told, const struct target *t, uint32_t left, uint64_t now)
{
	if (ratelimit_is_least(told, t->rate.max, left))
		told->reset = tg_bucket_next_fill(&t->rate, now);
}

static bool take_bucket(const struct tg_filter *f, struct tg_exchange *ex, const struct target *t)
{
	const struct rl_conf *c = f->conf;
	struct ratelimit_told *s = tg_filter_state(f, ex);
	struct tg_bucket_lease *leases =
		(void *)((uint8_t *)c->leases + (size_t)ex->worker * c->lease_row);
	uint32_t left = 0;
	bool ok = tg_bucket_take_leased(t->bucket, &t->rate, &leases[t->lease], c->n_workers,
		ex->now, c->in->x_ratelimit_headers ? &left : NULL);

	if (c->in->x_ratelimit_headers || !ok)
		note(s, t, left, ex->now);
	return ok;
}

static bool take_keyed(
	const struct tg_filter *f, struct tg_exchange *ex, struct target *t, uint64_t hash)
{
	struct ratelimit_told *s = tg_filter_state(f, ex);
	uint32_t left;
	enum tg_buckets_answer a = tg_buckets_take(&t->table, &t->rate, hash, ex->now, &left);

	if (a == TG_BUCKETS_GIVEN_EVICTED)
		tg_filter_count(f, ex->worker, TG_RATELIMIT_EVICTED);
	note(s, t, left, ex->now);
	return a != TG_BUCKETS_EMPTY;
}

/* *found: a descriptor fits. False: it has no token. */
static bool take_limit(const struct tg_filter *f, struct tg_exchange *ex, const struct tg_msg *m,
	const struct ratelimit_limit *l, bool *found)
{
	const struct rl_conf *c = f->conf;
	struct ratelimit_value v[TG_RATELIMIT_ENTRIES_MAX];
	const struct tg_ratelimit_descriptor *d = ratelimit_find(l, c->in->descriptors, ex, m, v);
	struct target *t;

	if (!d)
		return true;
	*found = true;
	t = &c->descriptors[d - c->in->descriptors];
	return t->bucket ? take_bucket(f, ex, t) : take_keyed(f, ex, t, hash_of(t, l->in, d, v));
}

static bool within_limits(const struct tg_filter *f, struct tg_exchange *ex, const struct tg_msg *m)
{
	const struct rl_conf *c = f->conf;
	bool found = false;

	for (uint32_t i = 0; i < c->in->n_limits; i++)
		if (!take_limit(f, ex, m, &c->limits[i], &found))
			return false;
	if (!c->in->has_default || (found && !c->in->always_default))
		return true;
	return take_bucket(f, ex, &c->fallback);
}

/* --- hooks -------------------------------------------------------------------------------------
 */

static bool chance(struct tg_exchange *ex, uint32_t millionths)
{
	return millionths == MILLION || (millionths && tg_rng_below(ex->rng, MILLION) < millionths);
}

static enum tg_verdict refuse(const struct tg_filter *f, struct tg_exchange *ex)
{
	const struct tg_ratelimit_in *in = ((const struct rl_conf *)f->conf)->in;

	ex->reply.body = TG_VIEW("local_rate_limited");
	return ratelimit_refuse(ex, in->status, TG_VIEW("local_rate_limited"),
		tg_filter_state(f, ex), in->fields, in->n_fields);
}

static enum tg_verdict on_request(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	const struct tg_ratelimit_in *in = ((const struct rl_conf *)f->conf)->in;

	if (!chance(ex, in->filter_enabled))
		return TG_PASS;
	tg_filter_count(f, ex->worker, TG_RATELIMIT_ENABLED);
	if (tg_likely(within_limits(f, ex, m))) {
		tg_filter_count(f, ex->worker, TG_RATELIMIT_OK);
		return TG_PASS;
	}
	tg_filter_count(f, ex->worker, TG_RATELIMIT_LIMITED);
	if (!chance(ex, in->filter_enforced))
		return TG_PASS;
	tg_filter_count(f, ex->worker, TG_RATELIMIT_ENFORCED);
	return refuse(f, ex);
}

static enum tg_verdict on_response(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	if (((const struct rl_conf *)f->conf)->in->x_ratelimit_headers)
		ratelimit_tell(ex, m, tg_filter_state(f, ex), TG_VIEW_NONE);
	return TG_PASS;
}

/* --- dry runs ----------------------------------------------------------------------------------
 */

static uint32_t leased(
	const struct rl_conf *c, const struct target *t, uint32_t worker, uint64_t now)
{
	const struct tg_bucket_lease *leases =
		(const void *)((const uint8_t *)c->leases + (size_t)worker * c->lease_row);

	return t->bucket ? tg_bucket_lease_left(&leases[t->lease], &t->rate, now) : 0;
}

/* True: this worker would get a token. */
static bool look(const struct tg_filter *f, struct tg_exchange *ex, const struct target *t,
	uint64_t hash, const char *what, struct tg_explain *x)
{
	const struct rl_conf *c = f->conf;
	struct ratelimit_told *s = tg_filter_state(f, ex);
	uint32_t left = t->bucket ? tg_bucket_left(t->bucket, &t->rate, ex->now)
				  : tg_buckets_left(&t->table, &t->rate, hash, ex->now);

	x->limit(x, what, left, &t->rate, tg_bucket_next_fill(&t->rate, ex->now));
	for (uint32_t w = 0; w < c->n_workers; w++)
		if (leased(c, t, w, ex->now))
			x->say(x, "worker %u has taken %u more of them ahead", w,
				leased(c, t, w, ex->now));
	note(s, t, left, ex->now);
	return left + leased(c, t, ex->worker, ex->now) > 0;
}

static bool look_all(const struct tg_filter *f, struct tg_exchange *ex, const struct tg_msg *m,
	struct tg_explain *x)
{
	const struct rl_conf *c = f->conf;
	bool found = false;

	for (uint32_t i = 0; i < c->in->n_limits; i++) {
		struct ratelimit_value v[TG_RATELIMIT_ENTRIES_MAX];
		const struct tg_ratelimit_descriptor *d =
			ratelimit_find(&c->limits[i], c->in->descriptors, ex, m, v);
		struct target *t;
		char what[256];

		if (!d)
			continue;
		found = true;
		t = &c->descriptors[d - c->in->descriptors];
		ratelimit_describe(&c->limits[i], d, v, what, sizeof(what));
		if (!look(f, ex, t, t->bucket ? 0 : hash_of(t, c->limits[i].in, d, v), what, x))
			return false;
	}
	if (!c->in->has_default || (found && !c->in->always_default)) {
		if (!found)
			x->say(x, "no descriptor fits, and there is no bucket for all");
		return true;
	}
	return look(f, ex, &c->fallback, 0, "all requests", x);
}

static bool likely(uint32_t millionths, const char *what, struct tg_explain *x)
{
	if (millionths != MILLION)
		x->say(x, "%s: %.4f %% of requests", what, millionths / 1e4);
	return millionths > MILLION / 2;
}

static enum tg_verdict explain(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m, struct tg_explain *x)
{
	const struct tg_ratelimit_in *in = ((const struct rl_conf *)f->conf)->in;

	if (!likely(in->filter_enabled, "filter_enabled", x) || look_all(f, ex, m, x) ||
		!likely(in->filter_enforced, "filter_enforced", x))
		return TG_PASS;
	return refuse(f, ex);
}

const struct tg_filter_ops tg_ratelimit_http = {
	.name = "local_ratelimit",
	.stat_name = "local_rate_limit",
	.conf_size = sizeof(struct rl_conf),
	.exch_size = sizeof(struct ratelimit_told),
	.n_counters = TG_RATELIMIT_COUNTERS,
	.counters = counters,
	.compile = compile,
	.on_request = on_request,
	.on_response = on_response,
	.explain = explain,
};
