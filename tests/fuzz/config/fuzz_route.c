/* Lines of text become routes, domains and requests; the compiled tables must say what a look at
 *one route after the other says.
 *
 *	P/prefix  E/path        a route
 *	Hename=value            a predicate of the last route; e p c x: kind; upper case: inverted
 *	Dname                   a domain, each of a virtual host of its own
 *	Fname=value             a field of the request
 *	R/path                  a request
 *	Aauthority              a lookup
 */
#include <stdlib.h>

#include "reference.h"

#define MAX 64

struct world {
	struct test_memory mem;
	struct tg_route routes[MAX];
	struct tg_header_match headers[MAX][4];
	struct tg_vhost vhost, hosts[MAX], *all[MAX];
	struct tg_view domains[MAX];
	struct tg_field fields[MAX];
	uint32_t n_hosts, n_fields;
};

static void add_route(struct world *w, bool prefix, struct tg_view v)
{
	uint32_t i = w->vhost.n_routes;

	if (i == MAX)
		return;
	w->routes[i] = (struct tg_route){.kind = prefix ? TG_MATCH_PREFIX : TG_MATCH_PATH,
		.match = v,
		.headers = w->headers[i]};
	w->vhost.n_routes++;
}

static bool split(struct tg_view v, struct tg_view *name, struct tg_view *value)
{
	const uint8_t *eq = v.n ? memchr(v.p, '=', v.n) : NULL;

	if (!eq || eq == v.p)
		return false;
	*name = tg_view_of(v.p, (size_t)(eq - v.p));
	*value = tg_view_of(eq + 1, v.n - name->n - 1);
	return true;
}

static void add_header(struct world *w, struct tg_view v)
{
	static const char kinds[] = "epcx";
	struct tg_header_match h = {.kind = TG_HEADER_EXACT};
	const char *at;
	struct tg_route *r;

	if (!w->vhost.n_routes || v.n < 2)
		return;
	r = &w->routes[w->vhost.n_routes - 1];
	at = memchr(kinds, tg_ascii_lower(v.p[0]), 4);
	if (r->n_headers == 4 || !at || !split(tg_view_of(v.p + 1, v.n - 1), &h.name, &h.value) ||
		h.name.p[0] == ':')
		return;
	h.kind = (enum tg_header_match_kind)(at - kinds);
	h.invert = v.p[0] < 'a';
	r->headers[r->n_headers++] = h;
}

static void add_domain(struct world *w, struct tg_view v)
{
	uint32_t i = w->n_hosts;

	if (i == MAX)
		return;
	w->domains[i] = v;
	w->hosts[i] = (struct tg_vhost){.name = "", .n_domains = 1, .domains = &w->domains[i]};
	w->all[i] = &w->hosts[i];
	w->n_hosts++;
}

static void add_field(struct world *w, struct tg_view v)
{
	struct tg_field f = {.id = 0};

	if (w->n_fields < MAX && split(v, &f.name, &f.value))
		w->fields[w->n_fields++] = f;
}

static void request(struct world *w, struct tg_view path)
{
	struct tg_msg m = {.path = path, .fields = w->fields, .n_fields = (uint16_t)w->n_fields};

	if (tg_route_find(&w->vhost, &m, NULL) != reference_find(&w->vhost, &m))
		abort();
}

/* Only what can be said of plain lower-case names: which domain is the best. */
static void lookup(const struct world *w, const struct tg_host_table *t, struct tg_view a)
{
	const struct tg_vhost *found = tg_host_find(t, a), *best = NULL;
	uint32_t best_len = 0;

	for (uint32_t i = 0; i < a.n; i++)
		if ((uint8_t)(a.p[i] - 'a') > 25 && a.p[i] != '.')
			return;
	for (uint32_t i = 0; i < w->n_hosts && a.n && a.n < 256; i++) {
		struct tg_view d = w->domains[i];
		uint32_t len = 0;

		if (tg_view_eq(d, a))
			len = UINT32_MAX;
		else if (tg_view_eq(d, TG_VIEW("*")))
			len = 1;
		else if (d.n > 2 && d.p[0] == '*' && d.p[1] == '.' && a.n > d.n - 1 &&
			 memcmp(a.p + a.n - (d.n - 1), d.p + 1, d.n - 1) == 0)
			len = d.n;
		if (len > best_len) {
			best_len = len;
			best = &w->hosts[i];
		}
	}
	if (a.n && a.n < 256 && found != best)
		abort();
}

static void lines(
	struct world *w, const uint8_t *p, size_t n, bool build, const struct tg_host_table *t)
{
	const uint8_t *end = p + n;

	while (p < end) {
		const uint8_t *eol = memchr(p, '\n', (size_t)(end - p));
		struct tg_view v = tg_view_of(p + 1, (size_t)((eol ? eol : end) - p));

		v.n = v.n ? v.n - 1 : 0;
		if (build && (*p == 'P' || *p == 'E'))
			add_route(w, *p == 'P', v);
		else if (build && *p == 'H')
			add_header(w, v);
		else if (build && *p == 'D')
			add_domain(w, v);
		else if (!build && *p == 'F')
			add_field(w, v);
		else if (!build && *p == 'R')
			request(w, v);
		else if (!build && t && *p == 'A')
			lookup(w, t, v);
		p = eol ? eol + 1 : end;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct world w;
	struct tg_host_table *t;

	memset(&w, 0, sizeof(w));
	w.vhost.routes = w.routes;
	lines(&w, data, n, true, NULL);
	if (tg_vhost_compile(&w.vhost, test_alloc, &w.mem))
		abort();
	t = tg_host_table_build(w.all, w.n_hosts, test_alloc, &w.mem, NULL);
	lines(&w, data, n, false, t);
	test_memory_free(&w.mem);
	return 0;
}
