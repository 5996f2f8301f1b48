/* Envoy's rules, case by case; hostile values. */
#include "../tgtest.h"
#include "rig.h"

static struct rig rig;

#define WEB "spiffe://mesh.example/ns/shop/sa/web"
#define OPS "spiffe://mesh.example/ns/ops/sa/root"
static const struct who web = {.uri = WEB}, ops = {.uri = OPS}, nobody = {.uri = NULL};

static void rules(enum tg_rbac_action action, const struct spec *specs, uint32_t n)
{
	struct tg_rbac_in in = {.rules = {0}};

	rig_start(&rig);
	in.rules = rig_rules(&rig, action, specs, n);
	CU_ASSERT_EQUAL_FATAL(rig_chain(&rig, &tg_rbac_http, &in), 0);
}

static uint16_t get(const struct who *w, const char *path)
{
	return rig_ask(&rig, w, &(struct request){.path = path}, NULL);
}

static bool details(const struct tg_filter_reply *r, const char *text)
{
	return tg_view_eq(r->details, tg_view_str(text));
}

/* No policies: ALLOW refuses everybody, DENY nobody. */
static void empty(void)
{
	struct tg_filter_reply r;

	rules(TG_RBAC_ALLOW, NULL, 0);
	CU_ASSERT_EQUAL(rig_ask(&rig, &web, &(struct request){0}, &r), 403);
	CU_ASSERT(details(&r, "rbac_access_denied_matched_policy[none]"));
	CU_ASSERT(tg_view_eq(r.body, TG_VIEW("RBAC: access denied")));
	CU_ASSERT_EQUAL(r.why, TG_WHY_req_denied);
	CU_ASSERT_EQUAL(r.flags, 0);
	rig_end(&rig);
	rules(TG_RBAC_DENY, NULL, 0);
	CU_ASSERT_EQUAL(get(&nobody, "/"), 200);
	rig_end(&rig);
}

static void principals(void)
{
	static const struct {
		const char *principals;
		struct who who;
		uint16_t want;
	} cases[] = {
		{"*", {0}, 200},
		{"*", {.uri = WEB}, 200},
		{"authenticated", {0}, 403},
		{"authenticated", {.uri = WEB}, 200},
		{"authenticated", {.subject = "CN=x"}, 200},
		{WEB, {.uri = WEB}, 200},
		{WEB, {0}, 403},
		{WEB, {.uri = WEB "x"}, 403},
		{WEB, {.uri = "spiffe://mesh.example/ns/shop/sa/we"}, 403},
		{WEB, {.uri = "spiffe://MESH.example/ns/shop/sa/web"}, 403},
		{WEB, {.uri = "spiffe://evil.example/ns/shop/sa/web"}, 403},
		{OPS " " WEB, {.uri = WEB}, 200},
		{"spiffe://mesh.example/*", {.uri = WEB}, 200},
		{"spiffe://mesh.example/ns/*", {.uri = WEB}, 200},
		{"spiffe://mesh.example/ns/shop/sa/*", {.uri = WEB}, 200},
		{"spiffe://mesh.example/ns/shop/sa/web/*", {.uri = WEB}, 403},
		{"spiffe://mesh.example/ns/sho/*", {.uri = WEB}, 403},
		{"spiffe://mesh.example/ns/*", {.uri = "spiffe://mesh.example/ns"}, 403},
		{"spiffe://mesh.example/ns/*", {.uri = "spiffe://mesh.example/ns/"}, 403},
		{"spiffe://mesh.example/*", {.uri = "spiffe://mesh.example"}, 403},
		{"spiffe://mesh.example/*", {.uri = "spiffe://mesh.example.evil/ns"}, 403},
		/* Envoy: URI, then DNS name, then subject */
		{"web.example", {.dns = "web.example", .uri = WEB}, 200},
		{"web.example", {.dns = "web.example.org"}, 403},
		{"web.example", {.subject = "web.example"}, 403},
		{"CN=web,O=shop", {.subject = "CN=web,O=shop"}, 200},
		{"CN=web,O=shop", {.subject = "CN=web"}, 403},
		/* a name of one kind in another's place is another name */
		{WEB, {.dns = WEB}, 403},
		{WEB, {.subject = WEB}, 403},
		{"CN=web,O=shop", {.dns = "CN=web,O=shop"}, 403},
		{"*", {.uri = "*"}, 200},
		{"authenticated", {.uri = "authenticated"}, 200},
		{"web.example", {.uri = "authenticated"}, 403},
	};

	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		struct spec s = {.name = "p", .who = cases[i].principals};

		rules(TG_RBAC_ALLOW, &s, 1);
		if (get(&cases[i].who, "/") != cases[i].want) {
			printf("principals case %zu: %s\n", i, cases[i].principals);
			CU_FAIL("principal");
		}
		rig_end(&rig);
	}
}

/* Without require_spiffe_id a certificate may have several names of a kind: each counts, so that
 * none hides another from a DENY. Who is more than can be judged is nobody's friend. */
static void several_names(void)
{
	static const char uris[] = "https://shop.example/\0" OPS "\0" WEB,
			  dns[] = "a.example\0web.example";
	static char many[200 * 40], all[200 * 40];
	struct tg_identity id = {
		.uris = tg_view_of(uris, sizeof(uris)), .dns_names = tg_view_of(dns, sizeof(dns))};
	static const char *const is[] = {"https://shop.example/", OPS, WEB,
		"spiffe://mesh.example/ns/*", "a.example", "web.example"};
	struct tg_filter_reply reply;
	struct request q = {.method = "GET", .path = "/"};
	struct tg_ip from;
	struct spec s = {.name = "p", .who = all};
	size_t n = 0, m = 0;

	tg_ip_parse("10.0.0.1", &from);
	for (size_t i = 0; i < TG_ARRAY_LEN(is); i++) {
		s.who = is[i];
		rules(TG_RBAC_DENY, &s, 1);
		CU_ASSERT_EQUAL(rig_ask_identity(&rig, &id, from, &q, &reply), 403);
		rig_end(&rig);
		rules(TG_RBAC_ALLOW, &s, 1);
		CU_ASSERT_EQUAL(rig_ask_identity(&rig, &id, from, &q, &reply), 200);
		rig_end(&rig);
	}
	s.who = "spiffe://mesh.example/ns/shop/sa/other";
	rules(TG_RBAC_DENY, &s, 1);
	CU_ASSERT_EQUAL(rig_ask_identity(&rig, &id, from, &q, &reply), 200);
	rig_end(&rig);
	for (int i = 0; i < 200; i++) {
		n += (size_t)snprintf(many + n, sizeof(many) - n, "spiffe://many.example/%d", i) +
		     1;
		m += (size_t)snprintf(all + m, sizeof(all) - m, "spiffe://many.example/%d ", i);
	}
	all[m - 1] = 0;
	id.uris = tg_view_of(many, n);
	s.who = all;
	rules(TG_RBAC_ALLOW, &s, 1);
	CU_ASSERT_EQUAL(rig_ask_identity(&rig, &id, from, &q, &reply), 403);
	rig_end(&rig);
}

/* A pattern means segments: an identity that was not validated as an SVID does not climb. */
static void hostile_identities(void)
{
	static const char *const bad[] = {"spiffe://mesh.example/ns/../admin",
		"spiffe://mesh.example/ns/./x", "spiffe://mesh.example/ns//x",
		"spiffe://mesh.example/ns/x/", "spiffe://mesh.example/ns/%2e%2e/x",
		"spiffe://mesh.example/ns/x?y", "spiffe://mesh.example/ns/x#y",
		"spiffe://mesh.example/ns/x y", "spiffe://mesh.example/ns/\\x",
		"spiffe://mesh.example/ns/..", "spiffe:///ns/x", "/ns/x", "spiffe://", ""};
	struct spec s = {.name = "p", .who = "spiffe://mesh.example/ns/* spiffe://mesh.example/*"};
	static uint8_t deep[4096];
	struct tg_identity id = {.uris = TG_VIEW_NONE};
	struct tg_ip from = {{{0}}};

	rules(TG_RBAC_ALLOW, &s, 1);
	CU_ASSERT_EQUAL(get(&(struct who){.uri = "spiffe://mesh.example/ns/..."}, "/"), 200);
	for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
		CU_ASSERT_EQUAL(get(&(struct who){.uri = bad[i]}, "/"), 403);
	memset(deep, '/', sizeof(deep));
	deep[4095] = 0;
	id.uris = tg_view_of(deep, 4096);
	CU_ASSERT_EQUAL(rig_ask_identity(&rig, &id, from, &(struct request){0}, NULL), 403);
	for (size_t i = 1; i < 4094; i += 2)
		deep[i] = 'a';
	memcpy(deep, "spiffe://mesh.example/ns/", 25);
	CU_ASSERT_EQUAL(rig_ask_identity(&rig, &id, from, &(struct request){0}, NULL), 403);
	deep[4094] = 0; /* no slash at its end */
	id.uris.n--;
	CU_ASSERT_EQUAL(rig_ask_identity(&rig, &id, from, &(struct request){0}, NULL), 200);
	rig_end(&rig);
	/* exact names are compared with their lengths */
	s.who = WEB;
	rules(TG_RBAC_ALLOW, &s, 1);
	id.uris = TG_VIEW(WEB "x\0");
	CU_ASSERT_EQUAL(rig_ask_identity(&rig, &id, from, &(struct request){0}, NULL), 403);
	id.uris = TG_VIEW(WEB); /* no 0 behind it: no name of a list */
	CU_ASSERT_EQUAL(rig_ask_identity(&rig, &id, from, &(struct request){0}, NULL), 403);
	id.uris = TG_VIEW(WEB "\0");
	CU_ASSERT_EQUAL(rig_ask_identity(&rig, &id, from, &(struct request){0}, NULL), 200);
	rig_end(&rig);
}

static void what_is_asked(void)
{
	static const struct tg_header_match team[] = {
		{TG_VIEW("x-team"), TG_VIEW("blue"), TG_HEADER_EXACT, false},
		{TG_VIEW("x-dry"), TG_VIEW(""), TG_HEADER_PRESENT, true}};
	static const struct tg_field blue[] = {{TG_VIEW("X-Team"), TG_VIEW("blue"), 0, false},
		{TG_VIEW("X-Dry"), TG_VIEW("1"), 0, false}};
	static const struct spec s[] = {
		{.name = "read",
			.who = WEB,
			.methods = "GET HEAD",
			.paths = "/cart /api/*",
			.not_paths = "/api/admin*"},
		{.name = "write", .who = WEB, .not_methods = "GET DELETE", .paths = "/cart"},
		{.name = "near",
			.paths = "/near",
			.from = "10.0.0.0/8 fd00::/8",
			.not_from = "10.0.0.13/32"},
		{.name = "team", .paths = "/team", .headers = team, .n_headers = 2},
		{.name = "all but",
			.who = "authenticated",
			.not_who = WEB " spiffe://bad.example/*",
			.paths = "/others"},
	};
	static const struct {
		struct who who;
		struct request q;
		uint16_t want;
	} cases[] = {
		{{.uri = WEB}, {"GET", "/cart", 0, NULL}, 200},
		{{.uri = WEB}, {"GET", "/api/", 0, NULL}, 200},
		{{.uri = WEB}, {"HEAD", "/api/x/y", 0, NULL}, 200},
		{{.uri = WEB}, {"GET", "/api", 0, NULL}, 403},
		{{.uri = WEB}, {"GET", "/api/admin", 0, NULL}, 403},
		{{.uri = WEB}, {"GET", "/api/administrator", 0, NULL}, 403},
		{{.uri = WEB}, {"GET", "/cart/", 0, NULL}, 403},
		{{.uri = WEB}, {"GET", "/CART", 0, NULL}, 403},
		{{.uri = WEB}, {"get", "/api/x", 0, NULL}, 403},
		{{.uri = WEB}, {"POST", "/api/x", 0, NULL}, 403},
		{{.uri = WEB}, {"POST", "/cart", 0, NULL}, 200},
		{{.uri = WEB}, {"DELETE", "/cart", 0, NULL}, 403},
		{{.uri = WEB}, {"BREW", "/cart", 0, NULL}, 200},
		{{.uri = OPS}, {"GET", "/cart", 0, NULL}, 403},
		{{0}, {"GET", "/cart", 0, NULL}, 403},
		{{.from = "10.9.9.9"}, {"GET", "/near", 0, NULL}, 200},
		{{.from = "11.0.0.0"}, {"GET", "/near", 0, NULL}, 403},
		{{.from = "9.255.255.255"}, {"GET", "/near", 0, NULL}, 403},
		{{.from = "10.0.0.13"}, {"GET", "/near", 0, NULL}, 403},
		{{.from = "10.0.0.14"}, {"GET", "/near", 0, NULL}, 200},
		{{.from = "fd12::1"}, {"GET", "/near", 0, NULL}, 200},
		{{.from = "fe00::1"}, {"GET", "/near", 0, NULL}, 403},
		{{0}, {"GET", "/team", 1, blue}, 200},
		{{0}, {"GET", "/team", 2, blue}, 403},
		{{0}, {"GET", "/team", 0, NULL}, 403},
		{{.uri = OPS}, {"GET", "/others", 0, NULL}, 200},
		{{.uri = WEB}, {"GET", "/others", 0, NULL}, 403},
		{{.uri = "spiffe://bad.example/a"}, {"GET", "/others", 0, NULL}, 403},
		{{0}, {"GET", "/others", 0, NULL}, 403},
		/* OPTIONS * goes where "/" goes, and CONNECT nowhere */
		{{.uri = WEB}, {"OPTIONS", "*", 0, NULL}, 403},
		{{.uri = WEB}, {"CONNECT", "", 0, NULL}, 403},
	};

	rules(TG_RBAC_ALLOW, s, TG_ARRAY_LEN(s));
	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
		if (rig_ask(&rig, &cases[i].who, &cases[i].q, NULL) != cases[i].want) {
			printf("case %zu: %s %s\n", i, cases[i].q.method, cases[i].q.path);
			CU_FAIL("asked");
		}
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_ALLOWED) + rig_count(&rig, TG_RBAC_DENIED),
		TG_ARRAY_LEN(cases));
	rig_end(&rig);
	/* DENY turns each of them round */
	rules(TG_RBAC_DENY, s, TG_ARRAY_LEN(s));
	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
		CU_ASSERT_EQUAL(rig_ask(&rig, &cases[i].who, &cases[i].q, NULL),
			cases[i].want == 200 ? 403 : 200);
	rig_end(&rig);
}

static void options_star_is_root(void)
{
	struct spec s = {.name = "root", .paths = "/"};

	rules(TG_RBAC_DENY, &s, 1);
	CU_ASSERT_EQUAL(get(&web, "*"), 403);
	CU_ASSERT_EQUAL(get(&web, "/x"), 200);
	rig_end(&rig);
}

/* The first policy in configured order is the one that the log tells. */
static void names_in_details(void)
{
	static const struct spec s[] = {{.name = "by path", .paths = "/x"},
		{.name = "by-name", .who = WEB}, {.name = "all", .paths = "/*"}};
	struct tg_filter_reply r;

	rules(TG_RBAC_DENY, s, 3);
	CU_ASSERT_EQUAL(rig_ask(&rig, &web, &(struct request){.path = "/x"}, &r), 403);
	CU_ASSERT(details(&r, "rbac_access_denied_matched_policy[by_path]"));
	rig_ask(&rig, &web, &(struct request){.path = "/y"}, &r);
	CU_ASSERT(details(&r, "rbac_access_denied_matched_policy[by-name]"));
	rig_ask(&rig, &ops, &(struct request){.path = "/y"}, &r);
	CU_ASSERT(details(&r, "rbac_access_denied_matched_policy[all]"));
	rig_end(&rig);
}

/* What an origin may read as another path is refused if that one would be. */
static void ambiguous_paths(void)
{
	static const char *const evasions[] = {"//admin", "/x//admin", "/%2Fadmin",
		"/x%2F..%2Fadmin", "/%5Cadmin", "/x/..;/admin", "/admin;v=1", "/x;y/..%2Fadmin",
		"/a;/..;/admin/b"};
	static const char *const fine[] = {
		"/public//x", "/public/a%2Fb", "/public/a;v=1", "/public/a;v=1/b", "/a%2Fb"};
	static const char *const climbs[] = {"/public/..%2F..%2Fx", "/..;/x", "/%5C..%5C.."};
	struct spec s = {.name = "admin", .paths = "/admin* /x/admin*"};

	rules(TG_RBAC_DENY, &s, 1);
	for (size_t i = 0; i < TG_ARRAY_LEN(evasions); i++) {
		if (get(&web, evasions[i]) == 403)
			continue;
		printf("%s\n", evasions[i]);
		CU_FAIL("evaded");
	}
	for (size_t i = 0; i < TG_ARRAY_LEN(fine); i++)
		CU_ASSERT_EQUAL(get(&web, fine[i]), 200);
	for (size_t i = 0; i < TG_ARRAY_LEN(climbs); i++)
		CU_ASSERT_EQUAL(get(&web, climbs[i]), 403);
	rig_end(&rig);
	s.paths = "/public/* /a%2Fb";
	rules(TG_RBAC_ALLOW, &s, 1);
	for (size_t i = 0; i < TG_ARRAY_LEN(fine); i++)
		CU_ASSERT_EQUAL(get(&web, fine[i]), 200);
	CU_ASSERT_EQUAL(get(&web, "/public/x/..;/..;/admin"), 403);
	CU_ASSERT_EQUAL(get(&web, "/public/x%2F..%2F..%2Fadmin"), 403);
	CU_ASSERT_EQUAL(get(&web, "/a/b"), 403);
	rig_end(&rig);
}

static void shadow_and_log(void)
{
	struct spec yes = {.name = "y", .who = WEB}, no = {.name = "n", .who = OPS};
	struct tg_rbac_in in = {.rules = {0}};

	/* shadow alone: nothing is refused, nothing else counted */
	rig_start(&rig);
	in.shadow = rig_rules(&rig, TG_RBAC_ALLOW, &yes, 1);
	CU_ASSERT_EQUAL_FATAL(rig_chain(&rig, &tg_rbac_http, &in), 0);
	CU_ASSERT_EQUAL(get(&web, "/"), 200);
	CU_ASSERT_EQUAL(get(&ops, "/"), 200);
	CU_ASSERT_EQUAL(get(&nobody, "/"), 200);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_SHADOW_ALLOWED), 1);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_SHADOW_DENIED), 2);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_ALLOWED), 0);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_DENIED), 0);
	rig_end(&rig);
	/* both: each its own verdict */
	rig_start(&rig);
	in.rules = rig_rules(&rig, TG_RBAC_ALLOW, &no, 1);
	in.shadow = rig_rules(&rig, TG_RBAC_DENY, &no, 1);
	CU_ASSERT_EQUAL_FATAL(rig_chain(&rig, &tg_rbac_http, &in), 0);
	CU_ASSERT_EQUAL(get(&web, "/"), 403);
	CU_ASSERT_EQUAL(get(&ops, "/"), 200);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_SHADOW_ALLOWED), 1);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_SHADOW_DENIED), 1);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_ALLOWED), 1);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_DENIED), 1);
	rig_end(&rig);
	rules(TG_RBAC_LOG, &yes, 1);
	CU_ASSERT_EQUAL(get(&web, "/"), 200);
	CU_ASSERT_EQUAL(get(&ops, "/"), 200);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_LOGGED), 1);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_NOT_LOGGED), 1);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_ALLOWED), 2);
	rig_end(&rig);
}

static void connections(void)
{
	static const struct spec s[] = {
		{.name = "mesh", .who = "spiffe://mesh.example/*"},
		{.name = "office", .from = "10.1.0.0/16"},
	};
	struct tg_rbac_in in = {.rules = {0}};
	struct tg_filter_reply r;

	rig_start(&rig);
	in.rules = rig_rules(&rig, TG_RBAC_ALLOW, s, 2);
	CU_ASSERT_EQUAL_FATAL(rig_chain(&rig, &tg_rbac_tcp, &in), 0);
	CU_ASSERT_EQUAL(rig.chain.request.n, 0);
	CU_ASSERT(rig_connect(&rig, &web, &r));
	CU_ASSERT(rig_connect(&rig, &(struct who){.from = "10.1.2.3"}, &r));
	CU_ASSERT(!rig_connect(&rig, &(struct who){.from = "10.2.2.3"}, &r));
	CU_ASSERT_EQUAL(r.why, TG_WHY_conn_denied);
	CU_ASSERT(details(&r, "rbac_access_denied_matched_policy[none]"));
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_ALLOWED), 2);
	CU_ASSERT_EQUAL(rig_count(&rig, TG_RBAC_DENIED), 1);
	rig_end(&rig);
}

static void faults(void)
{
	static const char *const good[] = {"*", "authenticated", WEB, "spiffe://mesh.example",
		"spiffe://mesh.example/*", "https://example.org/id", "web.example", "CN=web,O=x"};
	static const char *const bad[] = {"", "**", "spiffe://", "spiffe:///x", "spiffe:x",
		"spiffe://a/*/b", "spiffe://a/b*", "spiffe://*", "a*", "*.example", "://x",
		"spiffe://a/"};

	for (size_t i = 0; i < TG_ARRAY_LEN(good); i++)
		CU_ASSERT_PTR_NULL(tg_rbac_principal_fault(good[i]));
	for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
		CU_ASSERT_PTR_NOT_NULL(tg_rbac_principal_fault(bad[i]));
}

static void no_memory(void)
{
	static const struct spec s[] = {{.name = "a",
						.who = WEB " authenticated",
						.paths = "/a /b*",
						.methods = "GET",
						.from = "10.0.0.0/8"},
		{.name = "b", .not_who = OPS}};
	uint32_t at;

	for (at = 1; at < 1000; at++) {
		struct tg_rbac_in in = {.rules = {0}};
		int rc;

		rig_start(&rig);
		in.rules = in.shadow = rig_rules(&rig, TG_RBAC_ALLOW, s, 2);
		rig.fail_at = rig.allocations + at;
		rc = rig_chain(&rig, &tg_rbac_http, &in);
		rig_end(&rig);
		if (rc == 0)
			break;
		CU_ASSERT_EQUAL(rc, TG_ENOMEM);
	}
	CU_ASSERT(at > 20 && at < 1000);
}

/* An ambiguous path needs memory of the exchange: without it nobody passes. */
static void no_memory_for_a_reading(void)
{
	struct spec s = {.name = "a", .who = "*"};
	struct tg_filter_reply r;

	rules(TG_RBAC_ALLOW, &s, 1);
	rig.arena.max_bytes = 0;
	CU_ASSERT_EQUAL(rig_ask(&rig, &web, &(struct request){.path = "//a"}, &r), 503);
	CU_ASSERT_EQUAL(r.why, TG_WHY_req_no_memory);
	CU_ASSERT_EQUAL(get(&web, "/a"), 200);
	rig_end(&rig);
}

TG_TEST_MAIN("rbac", {"no policies", empty}, {"principals", principals},
	{"several names of a kind", several_names}, {"hostile identities", hostile_identities},
	{"method, path, header, address", what_is_asked}, {"OPTIONS *", options_star_is_root},
	{"details name the first policy", names_in_details},
	{"paths that can be read in two ways", ambiguous_paths}, {"shadow, LOG", shadow_and_log},
	{"connections", connections}, {"what is no principal", faults}, {"no memory", no_memory},
	{"no memory for a reading", no_memory_for_a_reading})
