#include <CUnit/CUnit.h>
#include <stdlib.h>

#include "rig.h"

struct rig_block {
	struct rig_block *next;
	_Alignas(16) uint8_t data[];
};

static void *alloc(void *ctx, size_t n)
{
	struct rig *r = ctx;
	struct rig_block *b;

	if (++r->allocations == r->fail_at && r->fail_at)
		return NULL;
	b = calloc(1, sizeof(*b) + n);
	b->next = r->blocks;
	r->blocks = b;
	return b->data;
}

void *rig_alloc(struct rig *r, size_t n)
{
	uint32_t fail_at = r->fail_at;
	void *p;

	r->fail_at = 0;
	r->allocations--;
	p = alloc(r, n);
	r->fail_at = fail_at;
	return p;
}

void rig_start(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->env = (struct tg_filter_env){alloc, r, 2};
	CU_ASSERT_EQUAL_FATAL(tg_arena_source_init(&r->arenas, 8192, 4, 72 * 1024, 2), 0);
	tg_arena_init(&r->arena, &r->arenas, 1 << 18);
	r->stats = tg_stats_create(2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->stats);
	tg_rng_seed(&r->rng, 1);
}

void rig_end(struct rig *r)
{
	while (r->blocks) {
		struct rig_block *next = r->blocks->next;

		free(r->blocks);
		r->blocks = next;
	}
	tg_arena_reset(&r->arena);
	tg_arena_source_fini(&r->arenas);
	tg_stats_destroy(r->stats);
}

static uint32_t count_words(const char *s)
{
	uint32_t n = 0;

	while (s && *(s += strspn(s, " "))) {
		n++;
		s += strcspn(s, " ");
	}
	return n;
}

static struct tg_rbac_strings words(struct rig *r, const char *s)
{
	struct tg_rbac_strings out = {.n = count_words(s)};
	struct tg_view *v = rig_alloc(r, (out.n + 1) * sizeof(*v));

	for (uint32_t i = 0; i < out.n; i++) {
		s += strspn(s, " ");
		v[i] = tg_view_of(s, strcspn(s, " "));
		s += v[i].n;
	}
	out.v = v;
	return out;
}

static struct tg_rbac_networks networks(struct rig *r, const char *s)
{
	struct tg_rbac_strings w = words(r, s);
	struct tg_ip_prefix *v = rig_alloc(r, (w.n + 1) * sizeof(*v));

	for (uint32_t i = 0; i < w.n; i++) {
		char text[64];

		snprintf(text, sizeof(text), "%.*s", (int)w.v[i].n, (const char *)w.v[i].p);
		CU_ASSERT_EQUAL_FATAL(tg_ip_prefix_parse(text, &v[i]), 0);
	}
	return (struct tg_rbac_networks){w.n, v};
}

struct tg_rbac_rules rig_rules(
	struct rig *r, enum tg_rbac_action action, const struct spec *specs, uint32_t n)
{
	struct tg_rbac_policy *p = rig_alloc(r, (n + 1) * sizeof(*p));

	for (uint32_t i = 0; i < n; i++) {
		const struct spec *s = &specs[i];

		p[i] = (struct tg_rbac_policy){.name = s->name,
			.principals = words(r, s->who),
			.not_principals = words(r, s->not_who),
			.paths = words(r, s->paths),
			.not_paths = words(r, s->not_paths),
			.methods = words(r, s->methods),
			.not_methods = words(r, s->not_methods),
			.source_ips = networks(r, s->from),
			.not_source_ips = networks(r, s->not_from),
			.n_headers = s->n_headers,
			.headers = s->headers};
	}
	return (struct tg_rbac_rules){true, action, n, p};
}

int rig_chain(struct rig *r, const struct tg_filter_ops *ops, const struct tg_rbac_in *in)
{
	struct tg_filter_conf *conf = rig_alloc(r, sizeof(*conf));
	struct tg_filter_list list = {1, conf};
	int rc = tg_filter_compile(conf, ops, "", in, &r->env);

	if (!rc)
		rc = tg_filter_chain_build(&r->chain, &list, 1, &r->env);
	if (!rc)
		rc = tg_filter_chain_bind(&r->chain, r->stats, "web");
	return rc;
}

uint64_t rig_count(const struct rig *r, enum tg_rbac_counter i)
{
	const struct tg_filter *f = &r->chain.filters[0];

	return f->counters[i] + f->counters[TG_FILTER_ROW(f->ops->n_counters) + i];
}

static struct tg_view view(const char *s)
{
	return s ? tg_view_str(s) : TG_VIEW_NONE;
}

/* A list of one name. */
static struct tg_view list(const char *s)
{
	return s ? tg_view_of(s, strlen(s) + 1) : TG_VIEW_NONE;
}

static struct tg_identity identity(const struct who *w)
{
	return (struct tg_identity){
		.uris = list(w->uri), .dns_names = list(w->dns), .subject = view(w->subject)};
}

static bool anonymous(const struct who *w)
{
	return !w->uri && !w->dns && !w->subject;
}

static struct tg_ip address(const struct who *w)
{
	struct tg_ip ip;

	CU_ASSERT_EQUAL_FATAL(tg_ip_parse(w->from ? w->from : "10.0.0.1", &ip), 0);
	return ip;
}

uint16_t rig_ask_identity(struct rig *r, const struct tg_identity *id, struct tg_ip from,
	const struct request *q, struct tg_filter_reply *reply)
{
	struct tg_exchange *ex = calloc(1, sizeof(*ex) + r->chain.exch_bytes);
	struct tg_msg m = {.is_request = true,
		.version_minor = 1,
		.method_name = view(q->method ? q->method : "GET"),
		.path = view(q->path ? q->path : "/"),
		.fields = (struct tg_field *)(uintptr_t)q->fields,
		.n_fields = q->n_fields,
		.field_cap = q->n_fields};
	enum tg_verdict v;
	uint16_t status;

	ex->chain = &r->chain;
	ex->arena = &r->arena;
	ex->worker = 1;
	ex->rng = &r->rng;
	ex->client.identity = id;
	ex->client.tls = id != NULL;
	ex->client.remote.ip = from;
	v = tg_chain_request(ex, &m);
	CU_ASSERT(v == TG_PASS || v == TG_REPLY);
	status = v == TG_PASS ? 200 : ex->reply.status;
	if (reply)
		*reply = ex->reply;
	tg_arena_reset(&r->arena);
	free(ex);
	return status;
}

uint16_t rig_ask(
	struct rig *r, const struct who *w, const struct request *q, struct tg_filter_reply *reply)
{
	struct tg_identity id = identity(w);

	return rig_ask_identity(r, anonymous(w) ? NULL : &id, address(w), q, reply);
}

bool rig_connect(struct rig *r, const struct who *w, struct tg_filter_reply *reply)
{
	struct tg_identity id = identity(w);
	struct tg_client c = {.identity = anonymous(w) ? NULL : &id, .remote = {address(w), 1}};

	return tg_chain_conn(&r->chain, &c, 0, reply) == TG_PASS;
}
