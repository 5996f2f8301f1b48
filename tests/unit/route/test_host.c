#include "../tgtest.h"
#include "reference.h"
#include "tests.h"

static const char *found(const struct tg_host_table *t, const char *authority)
{
	const struct tg_vhost *v = tg_host_find(t, tg_view_str(authority));

	return v ? v->name : "none";
}

static struct tg_vhost vhost(const char *name, struct tg_view *domains, uint32_t n)
{
	return (struct tg_vhost){.name = name, .n_domains = n, .domains = domains};
}

static struct tg_view da[] = {{(const uint8_t *)"shop.example", 12},
	{(const uint8_t *)"[fd00::1]", 9}, {(const uint8_t *)"10.0.0.1", 8}};
static struct tg_view db[] = {{(const uint8_t *)"*.example", 9}};
static struct tg_view dc[] = {{(const uint8_t *)"*.shop.example", 14}};
static struct tg_view dany[] = {{(const uint8_t *)"*", 1}};

static struct tg_host_table *table(struct test_memory *mem, bool any)
{
	static struct tg_vhost a, b, c, d;
	struct tg_vhost *all[] = {&a, &b, &c, &d};

	a = vhost("a", da, 3);
	b = vhost("b", db, 1);
	c = vhost("c", dc, 1);
	d = vhost("any", dany, 1);
	return tg_host_table_build(all, any ? 4 : 3, test_alloc, mem, NULL);
}

void host_order(void)
{
	static const struct {
		const char *authority, *name;
	} cases[] = {
		{"shop.example", "a"},
		{"SHOP.Example:8080", "a"},
		{"shop.example:", "a"},
		{"x.shop.example", "c"},
		{"x.y.shop.example", "c"},
		{"x.example", "b"},
		{"example", "any"},
		{".example", "any"},
		{"xshop.example", "b"},
		{"[fd00::1]", "a"},
		{"[FD00::1]:443", "a"},
		{"10.0.0.1:1", "a"},
		{"other", "any"},
		{"", "any"},
		{"*.example", "b"},
	};
	struct test_memory mem = {0};
	struct tg_host_table *t = table(&mem, true);

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
		CU_ASSERT_STRING_EQUAL(found(t, cases[i].authority), cases[i].name);
	test_memory_free(&mem);
}

void host_bad_authority(void)
{
	static const char *const bad[] = {":80", "a b", "user@shop.example", "shop.example:x",
		"shop.example:65536", "shop.example:80:80", "[fd00::1", "[]", "[fd00::1]x", "[x]",
		"fd00::1", "shop.example/", "shop\x80", "shop.example?"};
	struct test_memory mem = {0};
	struct tg_host_table *t = table(&mem, true);
	char longest[300];

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
		CU_ASSERT_STRING_EQUAL(found(t, bad[i]), "none");
	CU_ASSERT_PTR_NULL(tg_host_find(t, TG_VIEW("shop.example\0")));
	memset(longest, 'a', sizeof(longest));
	longest[255] = 0;
	CU_ASSERT_STRING_EQUAL(found(t, longest), "any");
	longest[255] = 'a';
	longest[256] = 0;
	CU_ASSERT_STRING_EQUAL(found(t, longest), "none");
	test_memory_free(&mem);
}

void host_without_any(void)
{
	struct test_memory mem = {0};
	struct tg_host_table *t = table(&mem, false);

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_STRING_EQUAL(found(t, "other"), "none");
	CU_ASSERT_STRING_EQUAL(found(t, ""), "none");
	CU_ASSERT_STRING_EQUAL(found(t, "*"), "none");
	test_memory_free(&mem);
}

void host_duplicates(void)
{
	struct tg_vhost a = vhost("one", da, 3), b = vhost("two", da + 2, 1);
	struct tg_vhost c = vhost("three", dany, 1), d = vhost("four", dany, 1);
	struct test_memory mem = {0};
	struct tg_errbuf e;

	CU_ASSERT_PTR_NULL(
		tg_host_table_build((struct tg_vhost *[]){&a, &b}, 2, test_alloc, &mem, &e));
	CU_ASSERT_STRING_EQUAL(
		e.text, "domain \"10.0.0.1\" is in virtual host \"one\" and in \"two\"");
	CU_ASSERT_PTR_NULL(
		tg_host_table_build((struct tg_vhost *[]){&c, &d}, 2, test_alloc, &mem, &e));
	CU_ASSERT_STRING_EQUAL(e.text, "domain \"*\" is in virtual host \"three\" and in \"four\"");
	test_memory_free(&mem);
}

void host_many(void)
{
	enum { N = 5000 };
	static char text[N][24];
	static struct tg_view domains[N];
	static struct tg_vhost v[N];
	static struct tg_vhost *all[N];
	struct test_memory mem = {0};
	struct tg_host_table *t;

	for (int i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), i % 2 ? "*.h%d.example" : "h%d.example", i);
		domains[i] = tg_view_str(text[i]);
		v[i] = vhost(text[i], &domains[i], 1);
		all[i] = &v[i];
	}
	t = tg_host_table_build(all, N, test_alloc, &mem, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (int i = 0; i < N; i++) {
		char host[32];

		snprintf(host, sizeof(host), i % 2 ? "www.h%d.example:80" : "h%d.example", i);
		CU_ASSERT_PTR_EQUAL(tg_host_find(t, tg_view_str(host)), &v[i]);
	}
	test_memory_free(&mem);
}
