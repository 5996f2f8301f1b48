/* `filters: ( ... )` of listeners, virtual hosts and routes: which there are, and their chains. */
#include <string.h>

#include "schema.h"

static const struct cfg_filter_kind *const kinds[] = {
	&cfg_filter_rbac, &cfg_filter_fault, &cfg_filter_ratelimit, &cfg_filter_ratelimit_global};

/* Envoy's, and Tidegate's to come: refused by name. */
static const char *const refused[] = {"jwt_authn", "ext_authz", "ext_proc", "cors", "csrf", "lua",
	"wasm", "compressor", "decompressor", "buffer", "health_check", "header_mutation", "oauth2",
	"basic_auth", "api_key_auth", "adaptive_concurrency", "admission_control",
	"bandwidth_limit", "cache", "router", "grpc_web", "grpc_json_transcoder", "tap",
	"stateful_session", NULL};

static const char *name_of(const struct cfg_filter_kind *k)
{
	return (k->http ? k->http : k->tcp)->name;
}

const struct cfg_filter_kind *cfg_filter_kind_at(uint32_t i)
{
	return i < TG_ARRAY_LEN(kinds) ? kinds[i] : NULL;
}

/* "rbac", "fault" ... */
static const char *known_names(struct cfg *c)
{
	const char *list = "";

	for (size_t i = 0; i < TG_ARRAY_LEN(kinds) && list; i++)
		list = cfg_printf(&c->tmp, "%s%s\"%s\"", list, i ? ", " : "", name_of(kinds[i]));
	return list ? list : "";
}

const struct cfg_filter_kind *cfg_filter_kind_of(
	struct cfg *c, const config_setting_t *s, const char *who)
{
	const config_setting_t *n = config_setting_get_member(s, "name");
	const char *name = n ? config_setting_get_string(n) : NULL;

	if (!name) {
		cfg_error(c, n ? cfg_line_of(n) : cfg_line_of(s),
			"%s: a filter has to say which it is: name = \"rbac\"; known filters: %s",
			who, known_names(c));
		return NULL;
	}
	for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++)
		if (strcmp(name_of(kinds[i]), name) == 0)
			return kinds[i];
	for (size_t i = 0; refused[i]; i++)
		if (strcmp(refused[i], name) == 0) {
			cfg_error(c, cfg_line_of(n),
				"%s: filter \"%s\" is not supported by this version yet; known "
				"filters: %s",
				who, name, known_names(c));
			return NULL;
		}
	for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++)
		if (cfg_distance(name, name_of(kinds[i]), 2) <= 2) {
			cfg_error(c, cfg_line_of(n),
				"%s: unknown filter \"%.64s\"; did you mean \"%s\"? known filters: "
				"%s",
				who, name, name_of(kinds[i]), known_names(c));
			return NULL;
		}
	cfg_error(c, cfg_line_of(n), "%s: unknown filter \"%.64s\"; known filters: %s", who, name,
		known_names(c));
	return NULL;
}

/* --- checks ------------------------------------------------------------------------------------
 */

static const char *id_of(const struct raw_filter *f)
{
	return f->raw->id ? f->raw->id : "";
}

static void check_one(
	struct cfg *c, const struct raw_filter *f, const char *who, bool tcp, bool known)
{
	uint32_t line = cfg_line_of(f->raw->h.at);

	if (!(tcp ? f->kind->tcp : f->kind->http)) {
		cfg_error(c, line, "%s: filter \"%s\" is only for protocol = \"%s\"", who,
			name_of(f->kind), tcp ? "http" : "tcp");
		return;
	}
	f->kind->check(c, f->raw, tcp);
	if (!known && f->kind == &cfg_filter_rbac && cfg_rbac_needs_identity(f->raw))
		cfg_error(c, line,
			"%s: filter \"rbac\" names principals, and nobody can prove here who he "
			"is: the listener has no \"tls\" with a \"client_ca\"",
			who);
}

void cfg_check_filters(
	struct cfg *c, const struct raw_list *l, const char *who, bool tcp, bool known_clients)
{
	const struct raw_filter *f = l->items;

	if (l->n > TG_FILTERS_MAX)
		cfg_error(c, cfg_line_of(l->at), "%s: at most %d filters are possible, here are %u",
			who, TG_FILTERS_MAX, l->n);
	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t line = cfg_line_of(f[i].raw->h.at);

		check_one(c, &f[i], who, tcp, known_clients);
		for (uint32_t k = 0; k < i; k++) {
			if (f[k].kind != f[i].kind || strcmp(id_of(&f[k]), id_of(&f[i])) != 0)
				continue;
			cfg_error(c, line,
				"%s: filter \"%s\" stands in %s already: to have both, give one an "
				"\"id\"",
				who, name_of(f[i].kind),
				cfg_line_text(c, cfg_line_of(f[k].raw->h.at), line));
			break;
		}
	}
}

/* --- into the snapshot -------------------------------------------------------------------------
 */

struct build {
	struct cfg *c;
	const struct raw_config *raw;
	struct tg_snapshot *s;
	struct tg_filter_env env;
	uint32_t n_sets; /* 1 ..: what overrides[] is indexed by */
	uint32_t *first; /* of each virtual host: its sets are first[i] .. first[i + 1] - 1 */
	/* Set 0 is unused. Lists of virtual host and route. */
	struct tg_filter_list (*sets)[2];
	uint32_t cap_chains;
};

static bool build_list(
	struct build *b, const struct raw_list *raw, bool tcp, struct tg_filter_list *out)
{
	const struct raw_filter *f = raw->items;
	struct tg_filter_conf *confs = cfg_need(b->c, b->c->keep, (raw->n + 1) * sizeof(*confs));

	out->n = raw->n;
	out->confs = confs;
	for (uint32_t i = 0; i < raw->n && confs; i++) {
		const struct tg_filter_ops *ops = tcp ? f[i].kind->tcp : f[i].kind->http;
		const void *in;

		if (f[i].raw->disabled) {
			confs[i] = (struct tg_filter_conf){
				.ops = ops, .id = id_of(&f[i]), .disabled = true};
			continue;
		}
		in = f[i].kind->input(b->c, f[i].raw);
		if (!in || tg_filter_compile(&confs[i], ops, id_of(&f[i]), in, &b->env))
			return false;
	}
	return confs != NULL;
}

/* Numbers the different lists below listeners, and gives routes the number of theirs. */
static bool number_sets(struct build *b)
{
	const struct raw_vhost *v = b->raw->virtual_hosts.items;
	uint32_t n = b->raw->virtual_hosts.n, next = 1, most = 1;

	for (uint32_t i = 0; i < n; i++) {
		most++;
		for (uint32_t r = 0; r < v[i].routes.n; r++)
			most += cfg_items(&v[i].routes, raw_route)[r].filters.n > 0;
	}
	b->first = cfg_need(b->c, &b->c->tmp, (n + (size_t)1) * sizeof(*b->first));
	b->sets = cfg_need(b->c, &b->c->tmp, (most + (size_t)1) * sizeof(*b->sets));
	if (!b->first || !b->sets)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		const struct raw_route *routes = v[i].routes.items;
		struct tg_filter_list of_vhost = {0};
		uint32_t own = 0;

		b->first[i] = next;
		if (v[i].filters.n) {
			if (!build_list(b, &v[i].filters, false, &of_vhost))
				return false;
			own = next++;
			b->sets[own][0] = of_vhost;
		}
		for (uint32_t r = 0; r < v[i].routes.n; r++) {
			uint32_t set = own;

			if (routes[r].filters.n) {
				set = next++;
				b->sets[set][0] = of_vhost;
				if (!build_list(b, &routes[r].filters, false, &b->sets[set][1]))
					return false;
			}
			b->s->vhosts[i].routes[r].filters = set;
		}
	}
	b->first[n] = next;
	b->n_sets = next;
	return true;
}

static struct tg_filter_chain *build_chain(struct build *b, const struct tg_listener_conf *l,
	const struct tg_filter_list *lists, uint32_t n, uint32_t line)
{
	struct tg_filter_chain *chain = cfg_need(b->c, b->c->keep, sizeof(*chain));
	int rc = chain ? tg_filter_chain_build(chain, lists, n, &b->env) : TG_ENOMEM;

	if (rc == TG_ETOOBIG)
		cfg_error(b->c, line,
			"listener \"%s\": its filters and those of a virtual host and route are "
			"together more than %d, or need too much memory",
			l->name, TG_CHAIN_MAX);
	if (rc)
		return NULL;
	b->s->chains[b->s->n_chains].chain = chain;
	b->s->chains[b->s->n_chains++].listener = l->name;
	return chain;
}

static bool build_listener(struct build *b, uint32_t number, const struct cfg_index *vhosts)
{
	const struct raw_listener *raw = &cfg_items(&b->raw->listeners, raw_listener)[number];
	struct tg_listener_conf *l = &b->s->listeners[number];
	uint32_t line = cfg_line_of(raw->h.at);
	struct tg_filter_list lists[3] = {{0}};

	if (!build_list(b, &raw->filters, l->protocol == TG_PROTOCOL_TCP, &lists[0]))
		return false;
	if (raw->filters.n) {
		l->filters = build_chain(b, l, lists, 1, line);
		if (!l->filters)
			return false;
	}
	for (uint32_t i = 0; i < raw->virtual_hosts.n; i++) {
		uint32_t v = cfg_index_find(vhosts, cfg_items(&raw->virtual_hosts, raw_item)[i].s);

		for (uint32_t set = b->first[v]; set < b->first[v + 1]; set++) {
			if (!l->overrides)
				l->overrides = cfg_need(b->c, b->c->keep,
					b->n_sets * sizeof(struct tg_filter_chain *));
			if (!l->overrides)
				return false;
			memcpy(&lists[1], b->sets[set], sizeof(b->sets[set]));
			l->overrides[set] = build_chain(b, l, lists, 3, line);
			if (!l->overrides[set])
				return false;
		}
	}
	return true;
}

/* How many chains there will be; 0: reported. */
static uint32_t count_chains(struct build *b, const struct cfg_index *vhosts)
{
	const struct raw_listener *l = b->raw->listeners.items;
	uint64_t n = 1, pointers = 0;

	for (uint32_t i = 0; i < b->raw->listeners.n; i++) {
		uint64_t before = n;

		for (uint32_t v = 0; v < l[i].virtual_hosts.n; v++) {
			uint32_t at = cfg_index_find(
				vhosts, cfg_items(&l[i].virtual_hosts, raw_item)[v].s);

			n += b->first[at + 1] - b->first[at];
		}
		pointers += n == before ? 0 : b->n_sets;
		n++;
	}
	if (n <= TG_CHAINS_MAX && pointers <= TG_CHAINS_MAX)
		return (uint32_t)n;
	cfg_error(b->c, cfg_line_of(b->raw->listeners.at),
		"too many different lists of filters: %u of virtual hosts and routes, at %u "
		"listeners",
		b->n_sets - 1, b->raw->listeners.n);
	return 0;
}

bool cfg_compile_filters(struct cfg *c, const struct raw_config *raw, struct tg_snapshot *s,
	const struct cfg_index *vhosts)
{
	struct build b = {
		.c = c, .raw = raw, .s = s, .env = {cfg_alloc, c->keep, s->dataplane.workers}};
	uint32_t n;

	if (!number_sets(&b))
		return false;
	n = count_chains(&b, vhosts);
	s->chains = n ? cfg_need(c, c->keep, n * sizeof(*s->chains)) : NULL;
	if (!s->chains)
		return false;
	for (uint32_t i = 0; i < s->n_listeners; i++)
		if (!build_listener(&b, i, vhosts))
			return false;
	return true;
}
