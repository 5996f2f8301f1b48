/* tgctl tax: what a request costs in the running process, from two readings of /tax.
 *
 * The time of a request is that of all busy turns by the number of requests; how it divides into
 * stages is known from the turns that were traced in between (tidegate/tax.h), with the standard
 * error of each part. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tgctl.h"

static double num(const json_t *j, const char *key)
{
	return json_number_value(json_object_get(j, key));
}

static void set(json_t *j, const char *key, double v)
{
	json_object_set_new(j, key, isfinite(v) ? json_real(v) : json_null());
}

static double over(double a, double b)
{
	return b > 0 ? a / b : NAN;
}

/* The difference of a member of two objects. */
static double diff(const json_t *a, const json_t *b, const char *key)
{
	return num(b, key) - num(a, key);
}

/* Sums over the workers of the difference; in: a member that is an object, or NULL. */
static double sum(const json_t *a, const json_t *b, const char *in, const char *key)
{
	json_t *x = json_object_get(a, "workers"), *y = json_object_get(b, "workers");
	double s = 0;

	for (size_t i = 0; i < json_array_size(y); i++) {
		const json_t *p = json_array_get(x, i), *q = json_array_get(y, i);

		s += in ? diff(json_object_get(p, in), json_object_get(q, in), key)
			: diff(p, q, key);
	}
	return s;
}

static double stage_sum(const json_t *a, const json_t *b, size_t stage, const char *key)
{
	const json_t *side[2] = {a, b};
	double s = 0;
	json_t *w;
	size_t i;

	for (int k = 0; k < 2; k++)
		json_array_foreach(json_object_get(side[k], "workers"), i, w)
		{
			const json_t *t = json_object_get(w, "traced");
			const json_t *st = json_array_get(json_object_get(t, "stages"), stage);

			s += (k ? 1 : -1) * num(st, key);
		}
	return s;
}

static json_t *stages(const json_t *a, const json_t *b, double ns_per_request)
{
	const json_t *w = json_array_get(json_object_get(b, "workers"), 0);
	const json_t *names = json_object_get(json_object_get(w, "traced"), "stages");
	double all = sum(a, b, "traced", "cycles"), square = sum(a, b, "traced", "square");
	json_t *list = json_array(), *s;
	size_t i;

	json_array_foreach(names, i, s)
	{
		double part = over(stage_sum(a, b, i, "cycles"), all);
		double spread = stage_sum(a, b, i, "squares") -
				2 * part * stage_sum(a, b, i, "products") + part * part * square;
		json_t *j = json_pack("{s:O, s:O}", "stage", json_object_get(s, "stage"), "text",
			json_object_get(s, "text"));

		set(j, "percent", 100 * part);
		set(j, "error_percent", 100 * over(sqrt(spread > 0 ? spread : 0), all));
		set(j, "ns_per_request", part * ns_per_request);
		set(j, "traced_cycles", stage_sum(a, b, i, "cycles"));
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *worker(const json_t *a, const json_t *b, double hz, double seconds)
{
	const json_t *ta = json_object_get(a, "thread"), *tb = json_object_get(b, "thread");
	double busy = diff(a, b, "busy_cycles"), idle = diff(a, b, "idle_cycles");
	double turns = diff(a, b, "turns"), busy_turns = diff(a, b, "turns_busy");
	json_t *j = json_pack("{s:O}", "worker", json_object_get(b, "worker"));
	static const char *const counts[] = {"voluntary_switches", "involuntary_switches"};
	static const char *const times[][2] = {{"user_ns", "user_seconds"},
		{"system_ns", "system_seconds"}, {"run_ns", "run_seconds"},
		{"wait_ns", "wait_seconds"}};

	set(j, "requests", diff(a, b, "requests"));
	set(j, "busy_percent", 100 * over(busy, busy + idle));
	set(j, "turns", turns);
	set(j, "empty_polls_percent", 100 * over(turns - busy_turns, turns));
	set(j, "empty_poll_ns", over(idle, turns - busy_turns) / hz * 1e9);
	set(j, "busy_turn_ns", over(busy, busy_turns) / hz * 1e9);
	set(j, "sleeps", diff(a, b, "sleeps"));
	set(j, "seconds", seconds);
	for (size_t i = 0; i < 2; i++)
		set(j, counts[i], tb && !json_is_null(tb) ? diff(ta, tb, counts[i]) : NAN);
	for (size_t i = 0; i < 4; i++)
		set(j, times[i][1],
			tb && !json_is_null(tb) ? diff(ta, tb, times[i][0]) / 1e9 : NAN);
	return j;
}

json_t *tgctl_tax_report(const json_t *a, const json_t *b)
{
	json_t *list = json_array(), *j = json_object(), *w;
	double hz = num(b, "tsc_hz"), seconds = diff(a, b, "now_ns") / 1e9;
	double requests = sum(a, b, NULL, "requests"), busy = sum(a, b, NULL, "busy_cycles");
	double turns = sum(a, b, NULL, "turns_busy"), traced = sum(a, b, "traced", "turns");
	double cycles = sum(a, b, "traced", "cycles"), ns = over(busy, requests) / hz * 1e9;
	size_t i;

	set(j, "seconds", seconds);
	set(j, "requests", requests);
	set(j, "requests_per_second", requests / seconds);
	set(j, "ns_per_request", ns);
	set(j, "cycles_per_request", over(busy, requests));
	set(j, "busy_percent", 100 * over(busy, busy + sum(a, b, NULL, "idle_cycles")));
	set(j, "traced_turns", traced);
	set(j, "traced_cycles", cycles);
	set(j, "trace_cost_percent",
		100 * (over(over(cycles, traced), over(busy - cycles, turns - traced)) - 1));
	json_object_set_new(j, "stages", stages(a, b, ns));
	json_array_foreach(json_object_get(b, "workers"), i, w) json_array_append_new(
		list, worker(json_array_get(json_object_get(a, "workers"), i), w, hz, seconds));
	json_object_set_new(j, "workers", list);
	return j;
}

/* --- other runs ------------------------------------------------------------------------------- */

/* "88.00us", "1.20ms", "2.01s" of wrk; us. */
static double wrk_time(const char *s)
{
	char *unit;
	double v = strtod(s, &unit);

	if (strncmp(unit, "us", 2) == 0)
		return v;
	if (strncmp(unit, "ms", 2) == 0)
		return v * 1e3;
	return *unit == 's' ? v * 1e6 : NAN;
}

static double wrk_percentile(const char *text, const char *percent)
{
	const char *p = strstr(text, "Latency Distribution");

	p = p ? strstr(p, percent) : NULL;
	return p ? wrk_time(p + strlen(percent)) : NAN;
}

static json_t *wrk_run(const char *text)
{
	const char *p = strstr(text, "Requests/sec:");
	json_t *j;

	if (!p)
		return NULL;
	j = json_object();
	set(j, "requests_per_second", strtod(p + 13, NULL));
	set(j, "p50_us", wrk_percentile(text, " 50%"));
	set(j, "p99_us", wrk_percentile(text, " 99%"));
	return j;
}

/* An object of tg_load's, or one with the names of perf/run.sh --json. Takes j. */
static json_t *json_run(json_t *j)
{
	const json_t *window = json_object_get(j, "window"), *l = json_object_get(j, "latency_us");
	json_t *run = json_object();

	if (window) {
		set(run, "requests_per_second", over(num(window, "responses"), num(j, "seconds")));
		set(run, "p50_us", l ? num(l, "p50") : NAN);
		set(run, "p99_us", l ? num(l, "p99") : NAN);
	} else {
		static const char *const keys[] = {"requests_per_second", "p50_us", "p99_us"};

		for (size_t i = 0; i < 3; i++)
			set(run, keys[i], json_object_get(j, keys[i]) ? num(j, keys[i]) : NAN);
	}
	json_decref(j);
	if (num(run, "requests_per_second") > 0)
		return run;
	json_decref(run);
	return NULL;
}

/* The whole text as JSON, else its last line that is some, else wrk's. */
static json_t *parse_run(char *text)
{
	json_t *j = json_loads(text, 0, NULL), *found;

	if (j)
		return json_run(j);
	found = wrk_run(text);
	for (char *save, *line = strtok_r(text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		json_t *run = (j = json_loads(line, 0, NULL)) ? json_run(j) : NULL;

		if (!run)
			continue;
		json_decref(found);
		found = run;
	}
	return found;
}

json_t *tgctl_tax_run(const char *path)
{
	enum { MOST = 1 << 20 };
	char *text = malloc(MOST);
	FILE *f = text ? fopen(path, "r") : NULL;
	json_t *run = NULL;

	if (f) {
		text[fread(text, 1, MOST - 1, f)] = '\0';
		fclose(f);
		run = parse_run(text);
		if (!run)
			fprintf(stderr,
				"tgctl: %s: no run: neither wrk's output nor JSON with "
				"requests_per_second or tg_load's result\n",
				path);
	} else {
		perror(path);
	}
	free(text);
	return run;
}

void tgctl_tax_compare(json_t *report, json_t *direct, json_t *through)
{
	double rate =
		through ? num(through, "requests_per_second") : num(report, "requests_per_second");
	double d50 = num(direct, "p50_us"), t50 = through ? num(through, "p50_us") : 0;

	/* In a closed loop the time of a request is the number of connections by the rate. */
	set(report, "overhead_percent", 100 * (over(num(direct, "requests_per_second"), rate) - 1));
	if (d50 > 0 && t50 > 0)
		set(report, "overhead_p50_percent", 100 * (t50 / d50 - 1));
	json_object_set_new(report, "direct", direct);
	if (through)
		json_object_set_new(report, "through", through);
}

/* --- for people ------------------------------------------------------------------------------- */

static void show_stages(const json_t *r)
{
	size_t i;
	json_t *s;

	if (!(num(r, "traced_turns") > 0)) {
		puts("\nno turn with something to do was traced: nothing to divide");
		return;
	}
	printf("\n%-9s %8s %7s %12s\n", "stage", "part", "+-", "ns/request");
	json_array_foreach(json_object_get(r, "stages"), i, s)
		printf("%-9s %6.1f %% %5.1f %% %12.1f   %s\n",
			json_string_value(json_object_get(s, "stage")), num(s, "percent"),
			num(s, "error_percent"), num(s, "ns_per_request"),
			json_string_value(json_object_get(s, "text")));
	printf("from %.0f traced turns (%+.0f %% in length by being traced); +- is the standard "
	       "error\n",
		num(r, "traced_turns"), num(r, "trace_cost_percent"));
}

static void show_worker(const json_t *w)
{
	printf("\nworker %.0f   %.1f %% busy in %.2f s: %.0f turns, %.1f %% of them empty (%.0f ns "
	       "each), the others %.0f ns\n",
		num(w, "worker"), num(w, "busy_percent"), num(w, "seconds"), num(w, "turns"),
		num(w, "empty_polls_percent"), num(w, "empty_poll_ns"), num(w, "busy_turn_ns"));
	if (json_is_null(json_object_get(w, "voluntary_switches")))
		return;
	printf("           switches: %.0f of its own (%.0f sleeps), %.0f by others; CPU: user %.2f "
	       "s, system %.2f s, waited for it %.2f s\n",
		num(w, "voluntary_switches"), num(w, "sleeps"), num(w, "involuntary_switches"),
		num(w, "user_seconds"), num(w, "system_seconds"), num(w, "wait_seconds"));
}

static void show_comparison(const json_t *r)
{
	const json_t *d = json_object_get(r, "direct"), *t = json_object_get(r, "through");
	double rate = num(t ? t : r, "requests_per_second"), d50 = num(d, "p50_us"), t50;

	if (!d)
		return;
	printf("\ndirectly %.0f requests a second, through the mesh %.0f: a request takes %.0f %% "
	       "%s\n",
		num(d, "requests_per_second"), rate, fabs(num(r, "overhead_percent")),
		num(r, "overhead_percent") < 0 ? "less" : "more");
	t50 = t ? num(t, "p50_us") : 0;
	if (d50 > 0 && t50 > 0)
		printf("median latency %.1f us directly, %.1f us through the mesh: %.1f us (%.0f "
		       "%%) more; Tidegate itself works %.1f us on a request\n",
			d50, t50, t50 - d50, num(r, "overhead_p50_percent"),
			num(r, "ns_per_request") / 1e3);
}

void tgctl_show_tax(const json_t *r, bool all)
{
	size_t i;
	json_t *w;

	printf("%.0f requests in %.2f s, %.0f a second", num(r, "requests"), num(r, "seconds"),
		num(r, "requests_per_second"));
	if (num(r, "requests") > 0)
		printf("; each took %.0f ns (%.0f cycles) of a worker", num(r, "ns_per_request"),
			num(r, "cycles_per_request"));
	puts("");
	show_stages(r);
	json_array_foreach(json_object_get(r, "workers"), i, w) show_worker(w);
	show_comparison(r);
}
