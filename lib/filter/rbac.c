/* rbac.c: role-based access control, as Envoy's filter of that name. */
#include "rbac.h"

struct rbac_conf {
	struct rbac_engine rules, shadow;
};

static const struct tg_stat_def counters[TG_RBAC_COUNTERS] = {
	[TG_RBAC_ALLOWED] = {"allowed", "allowed by the policies"},
	[TG_RBAC_DENIED] = {"denied", "refused by the policies"},
	[TG_RBAC_SHADOW_ALLOWED] = {"shadow_allowed", "the shadow policies would have allowed"},
	[TG_RBAC_SHADOW_DENIED] = {"shadow_denied", "the shadow policies would have refused"},
	[TG_RBAC_LOGGED] = {"logged", "matched by a policy of action LOG"},
	[TG_RBAC_NOT_LOGGED] = {"not_logged", "matched by none of them"},
};

static int compile(void *conf, const void *in, const struct tg_filter_env *env)
{
	const struct tg_rbac_in *i = in;
	struct rbac_conf *c = conf;

	if (rbac_engine_build(&c->rules, &i->rules, env))
		return TG_ENOMEM;
	return rbac_engine_build(&c->shadow, &i->shadow, env);
}

static struct rbac_answer decide(
	const struct tg_filter *f, uint32_t worker, const struct rbac_question *q)
{
	const struct rbac_conf *c = f->conf;
	struct rbac_answer a = {.allowed = true};

	if (c->shadow.given) {
		a = rbac_engine_ask(&c->shadow, q);
		tg_filter_count(
			f, worker, a.allowed ? TG_RBAC_SHADOW_ALLOWED : TG_RBAC_SHADOW_DENIED);
	}
	if (!c->rules.given)
		return (struct rbac_answer){.allowed = true};
	a = rbac_engine_ask(&c->rules, q);
	tg_filter_count(f, worker, a.allowed ? TG_RBAC_ALLOWED : TG_RBAC_DENIED);
	if (c->rules.action == TG_RBAC_LOG)
		tg_filter_count(f, worker, a.matched ? TG_RBAC_LOGGED : TG_RBAC_NOT_LOGGED);
	return a;
}

static enum tg_verdict on_conn(const struct tg_filter *f, const struct tg_client *client,
	uint32_t worker, struct tg_filter_reply *why)
{
	struct rbac_answer a = decide(f, worker, &(struct rbac_question){.client = client});

	if (a.allowed)
		return TG_PASS;
	why->details = a.details;
	return TG_RESET;
}

/* False: no memory. Routes take `OPTIONS *` for "/", and so do policies. */
static bool read_path(struct tg_exchange *ex, const struct tg_msg *m, struct rbac_question *q)
{
	uint8_t *out;

	q->path = tg_view_eq(m->path, TG_VIEW("*")) ? TG_VIEW("/") : m->path;
	if (!rbac_path_ambiguous(q->path))
		return true;
	out = tg_arena_alloc(ex->arena, q->path.n);
	if (!out)
		return false;
	q->reading = tg_view_of(out, rbac_path_reading(q->path, out));
	return true;
}

static enum tg_verdict reply_no_memory(struct tg_exchange *ex)
{
	ex->reply.status = 503;
	ex->reply.why = TG_WHY_req_no_memory;
	ex->reply.details = TG_VIEW("overload");
	return TG_REPLY;
}

static enum tg_verdict deny(struct tg_exchange *ex, const struct rbac_answer *a)
{
	ex->reply.status = 403;
	ex->reply.why = TG_WHY_req_denied;
	ex->reply.details = a->details;
	ex->reply.body = TG_VIEW("RBAC: access denied");
	return TG_REPLY;
}

static enum tg_verdict on_request(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	struct rbac_question q = {.client = &ex->client, .m = m};
	struct rbac_answer a;

	if (tg_unlikely(!read_path(ex, m, &q)))
		return reply_no_memory(ex);
	a = decide(f, ex->worker, &q);
	return a.allowed ? TG_PASS : deny(ex, &a);
}

/* --- dry runs ----------------------------------------------------------------------------------
 */

#define NEAR_MAX 8 /* policies that name the client and do not match, told one by one */

static void say_misses(
	const struct rbac_engine *e, const struct rbac_question *q, struct tg_explain *x)
{
	struct rbac_found f;
	uint32_t said = 0, named = 0;

	rbac_table_find(&e->table, q->client, &f);
	for (uint32_t i = 0; i < f.n; i++)
		named += f.who[i]->n_yes;
	if (!named)
		x->say(x, "no policy names this client");
	for (uint32_t i = 0; i < f.n; i++)
		for (uint32_t k = 0; k < f.who[i]->n_yes && said < NEAR_MAX; k++) {
			uint32_t id = f.who[i]->yes[k];
			const char *miss = rbac_engine_miss(e, id, q, &f);

			if (!miss)
				continue;
			x->say(x, "policy \"%s\" names this client, but does not match for %s",
				e->policies[id].name, miss);
			said++;
		}
}

static struct rbac_answer explain_rules(const struct rbac_engine *e, const char *what,
	const struct rbac_question *q, struct tg_explain *x)
{
	static const char *const actions[] = {
		[TG_RBAC_ALLOW] = "ALLOW", [TG_RBAC_DENY] = "DENY", [TG_RBAC_LOG] = "LOG"};
	struct rbac_answer a = rbac_engine_ask(e, q);

	if (a.policy != RBAC_NONE)
		x->say(x, "%s (%s): policy \"%s\" matches", what, actions[e->action],
			e->policies[a.policy].name);
	else
		x->say(x, "%s (%s): no policy matches", what, actions[e->action]);
	if (a.policy == RBAC_NONE)
		say_misses(e, q, x);
	return a;
}

static enum tg_verdict explain(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m, struct tg_explain *x)
{
	const struct rbac_conf *c = f->conf;
	struct rbac_question q = {.client = &ex->client, .m = m};
	struct rbac_answer a = {.allowed = true};

	if (m && !read_path(ex, m, &q))
		return reply_no_memory(ex);
	if (c->shadow.given)
		explain_rules(&c->shadow, "shadow_rules", &q, x);
	if (c->rules.given)
		a = explain_rules(&c->rules, "rules", &q, x);
	if (a.allowed)
		return TG_PASS;
	if (m)
		return deny(ex, &a);
	ex->reply.details = a.details;
	return TG_RESET;
}

const struct tg_filter_ops tg_rbac_http = {
	.name = "rbac",
	.conf_size = sizeof(struct rbac_conf),
	.n_counters = TG_RBAC_COUNTERS,
	.counters = counters,
	.compile = compile,
	.on_request = on_request,
	.explain = explain,
};

const struct tg_filter_ops tg_rbac_tcp = {
	.name = "rbac",
	.conf_size = sizeof(struct rbac_conf),
	.n_counters = TG_RBAC_COUNTERS,
	.counters = counters,
	.compile = compile,
	.on_conn = on_conn,
	.explain = explain,
};
