/* chain.c: filters in their order: built on the control core, run on a worker. */
#include <tidegate/filter.h>

#define STATE_ALIGN 16u
#define LINE 64u

static uint32_t round_up(uint32_t n, uint32_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* --- building ----------------------------------------------------------------------------------
 */

int tg_filter_compile(struct tg_filter_conf *out, const struct tg_filter_ops *ops, const char *id,
	const void *in, const struct tg_filter_env *env)
{
	void *conf = env->alloc(env->ctx, ops->conf_size + 1u);
	size_t core = (size_t)round_up(ops->core_size, LINE) * env->workers;
	uint8_t *rows = core ? env->alloc(env->ctx, core + LINE) : NULL;

	if (!conf || (core && !rows))
		return TG_ENOMEM;
	*out = (struct tg_filter_conf){.ops = ops, .id = id, .conf = conf};
	if (rows)
		out->core = rows + (LINE - (uintptr_t)rows % LINE) % LINE;
	return ops->compile(conf, in, env);
}

static bool same(const struct tg_filter_conf *a, const struct tg_filter_conf *b)
{
	return strcmp(a->ops->name, b->ops->name) == 0 && strcmp(a->id, b->id) == 0;
}

/* Which configuration stands at each place. Returns how many places, or TG_ETOOBIG. */
static int merge(const struct tg_filter_list *lists, uint32_t n,
	const struct tg_filter_conf *at[static TG_CHAIN_MAX])
{
	uint32_t places = 0;

	for (uint32_t l = 0; l < n; l++)
		for (uint32_t i = 0; i < lists[l].n; i++) {
			const struct tg_filter_conf *c = &lists[l].confs[i];
			uint32_t p = 0;

			while (p < places && !same(at[p], c))
				p++;
			if (p == TG_CHAIN_MAX)
				return TG_ETOOBIG;
			at[p] = c;
			places += p == places;
		}
	return (int)places;
}

static void hook(struct tg_filter_hook *h, uint32_t i, bool wanted)
{
	if (wanted)
		h->at[h->n++] = (uint8_t)i;
}

static void list_hooks(struct tg_filter_chain *c)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct tg_filter_ops *ops = c->filters[i].ops;

		hook(&c->conn, i, ops->on_conn);
		hook(&c->request, i, ops->on_request);
		hook(&c->body, i, ops->on_body);
		hook(&c->end, i, ops->on_end);
	}
	for (uint32_t i = c->n; i-- > 0;)
		hook(&c->response, i, c->filters[i].ops->on_response);
}

int tg_filter_chain_build(struct tg_filter_chain *out, const struct tg_filter_list *lists,
	uint32_t n, const struct tg_filter_env *env)
{
	const struct tg_filter_conf *at[TG_CHAIN_MAX];
	int places = merge(lists, n, at);

	memset(out, 0, sizeof(*out));
	if (places < 0)
		return places;
	out->filters = env->alloc(env->ctx, ((size_t)places + 1) * sizeof(*out->filters));
	if (!out->filters)
		return TG_ENOMEM;
	for (int i = 0; i < places; i++) {
		struct tg_filter *f = &out->filters[out->n];

		if (at[i]->disabled)
			continue;
		*f = (struct tg_filter){.ops = at[i]->ops, .of = at[i], .conf = at[i]->conf};
		f->state_at = out->exch_bytes;
		out->exch_bytes += round_up(f->ops->exch_size, STATE_ALIGN);
		out->n++;
	}
	list_hooks(out);
	return out->exch_bytes > TG_FILTER_EXCH_MAX ? TG_ETOOBIG : 0;
}

int tg_filter_chain_bind(struct tg_filter_chain *c, struct tg_stats *stats, const char *listener)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct tg_filter *f = &c->filters[i];
		char name[TG_STAT_NAME_MAX];

		if (!f->ops->n_counters)
			continue;
		snprintf(name, sizeof(name), "%s%s%s",
			f->ops->stat_name ? f->ops->stat_name : f->ops->name, *f->of->id ? "." : "",
			f->of->id);
		f->counters = tg_stats_filter(
			stats, listener, name, f->ops->counters, f->ops->n_counters);
		if (!f->counters)
			return TG_ENOMEM;
	}
	return 0;
}

/* --- running -----------------------------------------------------------------------------------
 */

enum tg_verdict tg_chain_conn(const struct tg_filter_chain *c, const struct tg_client *client,
	uint32_t worker, struct tg_filter_reply *why)
{
	for (uint32_t i = 0; i < c->conn.n; i++) {
		const struct tg_filter *f = &c->filters[c->conn.at[i]];

		*why = (struct tg_filter_reply){.why = TG_WHY_conn_denied};
		if (f->ops->on_conn(f, client, worker, why) != TG_PASS)
			return TG_RESET;
	}
	return TG_PASS;
}

static void ask(struct tg_exchange *ex)
{
	ex->reply = (struct tg_filter_reply){.why = TG_WHY_req_filter};
	ex->wake_at = UINT64_MAX;
}

enum tg_verdict tg_chain_request(struct tg_exchange *ex, struct tg_msg *m)
{
	const struct tg_filter_chain *c = ex->chain;

	for (; ex->next < c->request.n; ex->next++) {
		const struct tg_filter *f = &c->filters[c->request.at[ex->next]];
		enum tg_verdict v;

		ask(ex);
		v = f->ops->on_request(f, ex, m);
		if (v != TG_PASS)
			return v;
	}
	return TG_PASS;
}

enum tg_verdict tg_chain_response(struct tg_exchange *ex, struct tg_msg *m)
{
	const struct tg_filter_chain *c = ex->chain;

	for (uint32_t i = 0; i < c->response.n; i++) {
		const struct tg_filter *f = &c->filters[c->response.at[i]];
		enum tg_verdict v;

		ask(ex);
		v = f->ops->on_response(f, ex, m);
		if (v == TG_RESET || (v != TG_PASS && !ex->local))
			return v;
	}
	return TG_PASS;
}

enum tg_verdict tg_chain_body(struct tg_exchange *ex, struct tg_body *b)
{
	const struct tg_filter_chain *c = ex->chain;
	enum tg_verdict all = TG_PASS;
	uint64_t wake_at = 0;

	/* All are asked: each may have something to count, and the last to wake counts. */
	for (uint32_t i = 0; i < c->body.n; i++) {
		const struct tg_filter *f = &c->filters[c->body.at[i]];
		enum tg_verdict v;

		ask(ex);
		v = f->ops->on_body(f, ex, b);
		if (v == TG_RESET)
			return v;
		if (v == TG_PASS)
			continue;
		all = TG_WAIT;
		if (ex->wake_at > wake_at)
			wake_at = ex->wake_at;
	}
	ex->wake_at = all == TG_WAIT ? wake_at : UINT64_MAX;
	return all;
}

void tg_chain_end(struct tg_exchange *ex, const struct tg_outcome *o)
{
	const struct tg_filter_chain *c = ex->chain;

	if (ex->ended)
		return;
	ex->ended = true;
	for (uint32_t i = 0; i < c->end.n; i++) {
		const struct tg_filter *f = &c->filters[c->end.at[i]];

		f->ops->on_end(f, ex, o);
	}
}
