/* dataplane.eal as words. */
#include "../../../dpdk_app/args.h"

#include "../tgtest.h"

static void check(const char *text, int n, const char *const *words)
{
	struct tg_args a = {0};

	tg_args_split(&a, text);
	CU_ASSERT_EQUAL(a.n, n);
	CU_ASSERT_FALSE(a.full);
	for (int i = 0; i < n && i < a.n; i++)
		CU_ASSERT_STRING_EQUAL(a.v[i], words[i]);
	tg_args_free(&a);
	CU_ASSERT_EQUAL(a.n, 0);
}

static void words(void)
{
	check("", 0, NULL);
	check("  \t ", 0, NULL);
	check("--no-huge -m 512", 3, (const char *const[]){"--no-huge", "-m", "512"});
	check(" -m512  ", 1, (const char *const[]){"-m512"});
	check("--vdev=\"net_null0,x= y\" ''", 2,
		(const char *const[]){"--vdev=net_null0,x= y", ""});
	check("a'b c'\"d\"", 1, (const char *const[]){"ab cd"});
	check("'never closed", 1, (const char *const[]){"never closed"});
}

static void have(void)
{
	struct tg_args a = {0};

	tg_args_split(&a, "--no-huge -m512 --huge-dir=/x --log-level x");
	CU_ASSERT(tg_args_have(&a, "--no-huge"));
	CU_ASSERT(tg_args_have(&a, "-m"));
	CU_ASSERT(tg_args_have(&a, "--huge-dir"));
	CU_ASSERT_FALSE(tg_args_have(&a, "--no-hug"));
	CU_ASSERT_FALSE(tg_args_have(&a, "--huge"));
	CU_ASSERT_FALSE(tg_args_have(&a, "--in-memory"));
	tg_args_free(&a);
}

static void bounds(void)
{
	struct tg_args a = {0}, b = {0};
	char text[4096];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	tg_args_split(&a, text);
	CU_ASSERT(a.full);
	tg_args_free(&a);
	for (size_t i = 1; i < sizeof(text) - 1; i += 2)
		text[i] = ' ';
	tg_args_split(&b, text);
	CU_ASSERT(b.full);
	CU_ASSERT_EQUAL(b.n, TG_ARGS_MAX);
	tg_args_free(&b);
}

TG_TEST_MAIN("args", {"words", words}, {"have", have}, {"bounds", bounds})
