#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../../dpdk_app/tgctl.h"
#include "../tgtest.h"

static double num(const json_t *j, const char *key)
{
	return json_number_value(json_object_get(j, key));
}

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-6 * (1 + fabs(b));
}

/* A reading of one worker with two stages, whose cycles of a turn are 10 and 30. */
static json_t *reading(double now_s, json_int_t requests, json_int_t busy, json_int_t traced)
{
	json_t *j = json_pack(
		"{s:I, s:i, s:[{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:f, s:[{s:s, s:s, "
		"s:I, s:f, s:f}, {s:s, s:s, s:I, s:f, s:f}]}, s:{s:I, s:I, s:I, s:I}}]}",
		"now_ns", (json_int_t)(now_s * 1e9), "tsc_hz", 1000000000, "workers", "worker", 0,
		"requests", requests, "turns", (json_int_t)1000 * requests, "turns_busy",
		(json_int_t)4 * requests, "busy_cycles", busy, "idle_cycles", busy, "sleeps",
		(json_int_t)7, "traced", "turns", traced, "cycles", traced * 40, "square",
		(double)traced * 1600, "stages", "stage", "rx", "text", "a", "cycles", traced * 10,
		"squares", (double)traced * 100, "products", (double)traced * 400, "stage", "tx",
		"text", "b", "cycles", traced * 30, "squares", (double)traced * 900, "products",
		(double)traced * 1200, "thread", "voluntary_switches", (json_int_t)5,
		"involuntary_switches", requests, "user_ns", busy, "system_ns", (json_int_t)0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	return j;
}

static json_t *report(json_t *a, json_t *b)
{
	json_t *r = tgctl_tax_report(a, b);

	json_decref(a);
	json_decref(b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	return r;
}

static void differences_divide_as_the_traced_turns_do(void)
{
	json_t *r = report(reading(10, 100, 1000, 7), reading(12, 300, 401000, 107)), *s, *w;

	CU_ASSERT_TRUE(near(num(r, "seconds"), 2));
	CU_ASSERT_TRUE(near(num(r, "requests"), 200));
	CU_ASSERT_TRUE(near(num(r, "requests_per_second"), 100));
	CU_ASSERT_TRUE(near(num(r, "ns_per_request"), 2000));
	CU_ASSERT_TRUE(near(num(r, "busy_percent"), 50));
	CU_ASSERT_TRUE(near(num(r, "traced_cycles"), 4000));
	/* Traced: 40 cycles a turn; the other 700: 396,000. */
	CU_ASSERT_TRUE(near(num(r, "trace_cost_percent"), 100 * (40 / (396000. / 700) - 1)));
	s = json_array_get(json_object_get(r, "stages"), 0);
	CU_ASSERT_TRUE(near(num(s, "percent"), 25));
	CU_ASSERT_TRUE(near(num(s, "ns_per_request"), 500));
	CU_ASSERT_TRUE(near(num(s, "error_percent"), 0)); /* every turn was alike */
	s = json_array_get(json_object_get(r, "stages"), 1);
	CU_ASSERT_TRUE(near(num(s, "percent"), 75));
	w = json_array_get(json_object_get(r, "workers"), 0);
	CU_ASSERT_TRUE(near(num(w, "empty_polls_percent"), 99.6));
	CU_ASSERT_TRUE(near(num(w, "empty_poll_ns"), 400000 / (996. * 200)));
	CU_ASSERT_TRUE(json_is_real(json_object_get(w, "voluntary_switches")));
	CU_ASSERT_TRUE(near(num(w, "voluntary_switches"), 0));
	CU_ASSERT_TRUE(near(num(w, "involuntary_switches"), 200));
	CU_ASSERT_TRUE(near(num(w, "user_seconds"), 0.0004));
	json_decref(r);
}

/* Two turns, 10 of 40 and 30 of 40 cycles in a stage: the part is 1/2, and its standard error
 * sqrt(10^2 + 10^2) / 80. */
static void the_error_is_that_of_a_ratio(void)
{
	json_t *a = reading(1, 0, 0, 0), *b = reading(2, 1, 80, 0), *r, *t, *s;

	t = json_object_get(json_array_get(json_object_get(b, "workers"), 0), "traced");
	s = json_array_get(json_object_get(t, "stages"), 0);
	json_object_set_new(t, "turns", json_integer(2));
	json_object_set_new(t, "cycles", json_integer(80));
	json_object_set_new(t, "square", json_real(2 * 1600));
	json_object_set_new(s, "cycles", json_integer(40));
	json_object_set_new(s, "squares", json_real(100 + 900));
	json_object_set_new(s, "products", json_real(400 + 1200));
	r = report(a, b);
	s = json_array_get(json_object_get(r, "stages"), 0);
	CU_ASSERT_TRUE(near(num(s, "percent"), 50));
	CU_ASSERT_TRUE(near(num(s, "error_percent"), 100 * sqrt(200) / 80));
	json_decref(r);
}

static void nothing_happened(void)
{
	json_t *r = report(reading(1, 5, 100, 3), reading(2, 5, 100, 3)), *s;

	CU_ASSERT_TRUE(json_is_null(json_object_get(r, "ns_per_request")));
	s = json_array_get(json_object_get(r, "stages"), 0);
	CU_ASSERT_TRUE(json_is_null(json_object_get(s, "percent")));
	tgctl_show_tax(r, false);
	json_decref(r);
	/* Of another version, or not what was asked for. */
	r = report(json_object(), json_object());
	tgctl_show_tax(r, false);
	json_decref(r);
	/* A worker more, and no thread. */
	r = report(json_pack("{s:[]}", "workers"), json_pack("{s:[{s:n}]}", "workers", "thread"));
	tgctl_show_tax(r, true);
	json_decref(r);
}

static json_t *run(const char *text)
{
	char path[] = "/tmp/tgctl-tax-XXXXXX";
	int fd = mkstemp(path);
	json_t *j;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	j = tgctl_tax_run(path);
	unlink(path);
	return j;
}

static void expect_run(const char *text, double rate, double p50, double p99)
{
	json_t *j = run(text);

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	CU_ASSERT_TRUE(near(num(j, "requests_per_second"), rate));
	CU_ASSERT_TRUE(near(num(j, "p50_us"), p50));
	CU_ASSERT_TRUE(near(num(j, "p99_us"), p99));
	json_decref(j);
}

static void runs_of_several_generators(void)
{
	expect_run("Running 3s test @ http://10.77.3.2:8080/\n"
		   "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n"
		   "    Latency   483.00us  200.00us   9.00ms   90.00%\n"
		   "  Latency Distribution\n     50%  450.00us\n     75%  512.00us\n"
		   "     90%    1.01ms\n     99%    2.50ms\n"
		   "  145815 requests in 3.00s, 20.79MB read\nRequests/sec:  48605.11\n",
		48605.11, 450, 2500);
	expect_run("Requests/sec:  10.50\n", 10.5, 0, 0);
	expect_run("{\"event\": \"begin\", \"number\": 1}\n"
		   "{\"event\": \"result\", \"seconds\": 2.0, \"latency_us\": {\"count\": 9, "
		   "\"p50\": 3.5, "
		   "\"p99\": 7}, \"window\": {\"responses\": 5000}, \"all\": {}}\n",
		2500, 3.5, 7);
	expect_run("{\"requests_per_second\": 7, \"p99_us\": 2}", 7, 0, 2);
}

static void what_is_no_run(void)
{
	static const char *const texts[] = {"", "{}", "hello\n", "[1, 2]",
		"{\"requests_per_second\": 0}", "{\"window\": {\"responses\": 5}}",
		"{\"window\": 3, \"seconds\": \"x\"}", "\n\n{\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CU_ASSERT_PTR_NULL(run(texts[i]));
	CU_ASSERT_PTR_NULL(tgctl_tax_run("/no/such/file"));
	CU_ASSERT_PTR_NULL(tgctl_tax_run("/"));
}

static void overhead(void)
{
	json_t *r = report(reading(10, 0, 0, 0), reading(12, 200, 400000, 10));

	/* Without the clients' view the rate is that of the interval. */
	tgctl_tax_compare(
		r, json_pack("{s:f, s:f}", "requests_per_second", 150.0, "p50_us", 80.0), NULL);
	CU_ASSERT_TRUE(near(num(r, "overhead_percent"), 50));
	CU_ASSERT_PTR_NULL(json_object_get(r, "overhead_p50_percent"));
	tgctl_show_tax(r, false);
	tgctl_tax_compare(r, json_pack("{s:f, s:f}", "requests_per_second", 150.0, "p50_us", 80.0),
		json_pack("{s:f, s:f}", "requests_per_second", 120.0, "p50_us", 100.0));
	CU_ASSERT_TRUE(near(num(r, "overhead_percent"), 25));
	CU_ASSERT_TRUE(near(num(r, "overhead_p50_percent"), 25));
	tgctl_show_tax(r, false);
	json_decref(r);
}

TG_TEST_MAIN("tgctl tax",
	{"differences divide as the traced turns do", differences_divide_as_the_traced_turns_do},
	{"the error is that of a ratio", the_error_is_that_of_a_ratio},
	{"nothing happened", nothing_happened},
	{"runs of several generators", runs_of_several_generators},
	{"what is no run", what_is_no_run}, {"overhead", overhead})
