#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tgtest.h"
#include "tests.h"

char messages[16384];

struct tg_snapshot *parse(const char *text)
{
	FILE *f = fmemopen(messages, sizeof(messages) - 1, "w");
	struct tg_snapshot *s;

	memset(messages, 0, sizeof(messages));
	s = tg_config_parse("t.cfg", text, NULL, f);
	fclose(f);
	return s;
}

#define PORT "ports: ( { name = \"p\"; device = \"d\"; addresses = [\"10.0.0.1/24\"]; } );\n"

/* What parse() says of a text, after the file name. */
static void refused(const char *text, const char *expect)
{
	struct tg_snapshot *s = parse(text);

	CU_ASSERT_PTR_NULL(s);
	CU_ASSERT_STRING_EQUAL(messages, expect);
	tg_snapshot_free(s);
}

static void durations(void)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {{"0s", 0}, {"1ns", 1}, {"800us", 800000}, {"250ms", 250000000},
		{"1.5s", 1500000000}, {"15s", UINT64_C(15000000000)},
		{"0.5m", UINT64_C(30000000000)}, {"1h", UINT64_C(3600000000000)},
		{"1d", UINT64_C(86400000000000)}};
	static const char *const bad[] = {"", "5", "s", "5 s", " 5s", "5s ", "-5s", "+5s", "5S",
		"1.s", ".5s", "1.5.5s", "0x5s", "5ss", "1e3s", "5us5ms", "1.5ns",
		"99999999999999999999s", "10000000000h", "0.00000000000000000000000001s"};
	char text[256];

	for (size_t i = 0; i < TG_ARRAY_LEN(good); i++) {
		struct tg_snapshot *s;

		snprintf(text, sizeof(text), PORT "dataplane: { drain_time = \"%s\"; };",
			good[i].text);
		s = parse(text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		CU_ASSERT_EQUAL(s->dataplane.drain_time, good[i].ns);
		tg_snapshot_free(s);
	}
	for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), PORT "dataplane: { drain_time = \"%s\"; };", bad[i]);
		CU_ASSERT_PTR_NULL(parse(text));
		CU_ASSERT_PTR_NOT_NULL(strstr(messages, "t.cfg:2: dataplane: \"drain_time\" is"));
	}
}

static void sizes(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"\"64MiB\"", UINT64_C(64) << 20}, {"\"0.5GiB\"", UINT64_C(512) << 20},
		{"\"65536KiB\"", UINT64_C(64) << 20}, {"100000000", 100000000},
		{"\"100000000B\"", 100000000}, {"5000000000", UINT64_C(5000000000)},
		{"0x40000000", UINT64_C(1) << 30}, {"0x140000000L", UINT64_C(5) << 30}};
	static const char *const bad[] = {"\"64\"", "\"64MB\"", "\"64M\"", "64MiB", "\"1KiB\"", "0",
		"-1", "1.5e9", "\"99999999TiB\"", "true", "[1]", "{ }"};
	char text[256];

	for (size_t i = 0; i < TG_ARRAY_LEN(good); i++) {
		struct tg_snapshot *s;

		snprintf(text, sizeof(text), PORT "dataplane: { memory = %s; };", good[i].text);
		s = parse(text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		CU_ASSERT_EQUAL(s->dataplane.memory, good[i].bytes);
		tg_snapshot_free(s);
	}
	for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), PORT "dataplane: { memory = %s; };", bad[i]);
		CU_ASSERT_PTR_NULL(parse(text));
		CU_ASSERT_EQUAL(strncmp(messages, "t.cfg:2: ", 9), 0);
	}
}

static void memory_refuses_include(void)
{
	refused("@include \"/etc/hostname\"\n", "t.cfg:1: @include works only in files\n");
}

/* A string of the file cannot make an error look like two. */
static void one_error_one_line(void)
{
	refused(PORT "dataplane: { idle = \"a\\nt.cfg:9: b\"; };",
		"t.cfg:2: dataplane: \"idle\" is \"a?t.cfg:9: b\" and has to be \"spin\" or "
		"\"adaptive\"\n");
}

/* libconfig remembers the line behind such a text; we tell the text's. */
static void lines_of_items(void)
{
	refused("ports: ( { name = \"p\"; device = \"d\"; addresses = [\n\"10.0.0.1/24\",\n\"x\"\n"
		",\n\"10.0.0.\" # joined\n\"2\"\n\n]; } );",
		"t.cfg:3: port \"p\": \"addresses\" is \"x\" and has to be an IP address with the "
		"length of its network, such as [\"10.77.1.1/24\"]\n"
		"t.cfg:5: port \"p\": \"addresses\" is \"10.0.0.2\" and has to be an IP address "
		"with "
		"the length of its network, such as [\"10.77.1.1/24\"]\n");
}

static void unreadable_files(void)
{
	FILE *f = fmemopen(messages, sizeof(messages) - 1, "w");
	char dir[] = "/tmp/tg-config-XXXXXX", text[128];

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	memset(messages, 0, sizeof(messages));
	CU_ASSERT_PTR_NULL(tg_config_load(dir, NULL, f));
	rmdir(dir);
	CU_ASSERT_PTR_NULL(tg_config_load(dir, NULL, f));
	fclose(f);
	snprintf(text, sizeof(text), "%s:1: cannot read %s: Is a directory\n", dir, dir);
	CU_ASSERT_PTR_NOT_NULL(strstr(messages, text));
	snprintf(text, sizeof(text), "%s:1: cannot open %s: No such file or directory\n", dir, dir);
	CU_ASSERT_PTR_NOT_NULL(strstr(messages, text));
}

static void free_nothing(void)
{
	tg_snapshot_free(NULL);
}

TG_TEST_MAIN("config", {"durations", durations}, {"sizes", sizes},
	{"no @include from memory", memory_refuses_include},
	{"one error is one line", one_error_one_line}, {"lines of items", lines_of_items},
	{"unreadable files", unreadable_files}, {"free of nothing", free_nothing},
	{"schema: every key is in cfg/tidegate.cfg", schema_in_reference},
	{"schema: refused keys are refused", schema_refuses},
	{"schema: the written defaults are the defaults", schema_defaults},
	{"snapshot: values", snapshot_values}, {"snapshot: defaults", snapshot_defaults},
	{"snapshot: routes", snapshot_routes}, {"snapshot: matches", snapshot_matches},
	{"snapshot: breakers", snapshot_breakers}, {"snapshot: retries", snapshot_retries},
	{"snapshot: overload", snapshot_overload}, {"snapshot: balancers", snapshot_balancers},
	{"snapshot: relative paths", snapshot_paths},
	{"snapshot: mirrors of virtual hosts", snapshot_mirrors},
	{"snapshot: Redis", snapshot_service}, {"snapshot: statistics", snapshot_stats},
	{"snapshot: static differences", snapshot_diff}, {"filter chains", filter_chains})
