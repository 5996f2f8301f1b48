/* Which chain a request meets: the listener's, or what virtual hosts and routes make of it. */
#include "../tgtest.h"
#include "tests.h"

#define RBAC(id) "{ name = \"rbac\"; id = \"" id "\"; policies: (); }"
#define OFF(id) "{ name = \"rbac\"; id = \"" id "\"; disabled = true; }"
#define TO "route: { cluster = \"c\"; }; "

static const char text[] =
	"dataplane: { workers = 3; };\n"
	"ports: ( { name = \"a\"; device = \"d\"; addresses = [\"10.0.0.1/24\"]; } );\n"
	"listeners: (\n"
	"  { name = \"two\"; address = \"10.0.0.1:80\"; virtual_hosts = [\"v\", \"plain\"];"
	"    filters: ( " RBAC("x") ", " RBAC(
		"y") " ); },\n"
		     "  { name = \"none\"; address = \"10.0.0.1:81\"; virtual_hosts = [\"v\"]; },\n"
		     "  { name = \"bare\"; address = \"10.0.0.1:82\"; virtual_hosts = [\"plain\"]; "
		     "},\n"
		     "  { name = \"raw\"; address = \"10.0.0.1:83\"; protocol = \"tcp\"; cluster = "
		     "\"c\";"
		     "    filters: ( { name = \"rbac\"; policies: (); } ); } );\n"
		     "virtual_hosts: (\n"
		     "  { name = \"v\"; domains = [\"v\"]; filters: ( " OFF("y") ", " RBAC(
			     "v") " ); routes: (\n"
				  "    { match: { path = \"/v\"; }; " TO "},\n"
				  "    { match: { path = \"/off\"; }; " TO
				  "filters: ( " OFF("x") ", " OFF(
					  "v") " ); },\n"
					       "    { match: { path = \"/y\"; }; " TO
					       "filters: ( " RBAC(
						       "y") " ); } ); },\n"
							    "  { name = \"plain\"; domains = "
							    "[\"p\"]; routes: ( { match: { prefix "
							    "= \"/\"; }; " TO "} ); } );\n"
							    "clusters: ( { name = \"c\"; "
							    "endpoints: ( { address = "
							    "\"10.0.0.2:1\"; } ); } );\n";

/* The ids in a chain, "xy"; "-" if there is no chain. */
static const char *ids(const struct tg_filter_chain *c)
{
	static char out[64];
	size_t n = 0;

	if (!c)
		return "-";
	for (uint32_t i = 0; i < c->n; i++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s", c->filters[i].of->id);
	out[n] = 0;
	return out;
}

/* What the proxy does. */
static const char *of_route(const struct tg_listener_conf *l, const struct tg_route *r)
{
	bool other = r->filters && l->overrides && l->overrides[r->filters];

	return ids(other ? l->overrides[r->filters] : l->filters);
}

void filter_chains(void)
{
	struct tg_stats *stats = tg_stats_create(3);
	struct tg_snapshot *s = parse(text);
	const struct tg_listener_conf *l;
	const struct tg_route *v, *plain;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	l = s->listeners;
	v = s->vhosts[0].routes;
	plain = s->vhosts[1].routes;
	CU_ASSERT_STRING_EQUAL(ids(l[0].filters), "xy");
	CU_ASSERT_STRING_EQUAL(of_route(&l[0], &v[0]), "xv");
	CU_ASSERT_STRING_EQUAL(of_route(&l[0], &v[1]), "");
	CU_ASSERT_STRING_EQUAL(of_route(&l[0], &v[2]), "xyv");
	CU_ASSERT_STRING_EQUAL(of_route(&l[0], &plain[0]), "xy");
	CU_ASSERT_STRING_EQUAL(ids(l[1].filters), "-");
	CU_ASSERT_STRING_EQUAL(of_route(&l[1], &v[0]), "v");
	CU_ASSERT_STRING_EQUAL(of_route(&l[1], &v[1]), "");
	CU_ASSERT_STRING_EQUAL(of_route(&l[1], &v[2]), "yv");
	CU_ASSERT(!l[2].filters && !l[2].overrides);
	CU_ASSERT_STRING_EQUAL(of_route(&l[2], &plain[0]), "-");
	/* connections have a filter of their own */
	CU_ASSERT_EQUAL(l[3].filters->conn.n, 1);
	CU_ASSERT_EQUAL(l[3].filters->request.n, 0);
	CU_ASSERT_EQUAL(l[0].filters->conn.n, 0);
	/* one configuration in several chains is compiled once, and counted for each listener */
	CU_ASSERT_PTR_EQUAL(
		l[0].filters->filters[0].conf, l[0].overrides[v[2].filters]->filters[0].conf);
	CU_ASSERT_EQUAL_FATAL(tg_snapshot_bind_stats(s, stats), 0);
	CU_ASSERT_PTR_EQUAL(l[0].filters->filters[0].counters,
		l[0].overrides[v[2].filters]->filters[0].counters);
	CU_ASSERT_PTR_EQUAL(l[0].filters->filters[0].counters,
		tg_stats_filter(stats, "two", "rbac.x", NULL, 0));
	CU_ASSERT_PTR_NOT_EQUAL(l[0].overrides[v[0].filters]->filters[1].counters,
		l[1].overrides[v[0].filters]->filters[0].counters);
	tg_snapshot_free(s);
	tg_stats_destroy(stats);
}
