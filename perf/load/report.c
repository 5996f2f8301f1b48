/* report.c: what was measured, as one line of JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "load.h"

void load_event(const char *event, uint64_t number)
{
	printf("{\"event\": \"%s\", \"number\": %" PRIu64 "}\n", event, number);
	fflush(stdout);
}

static double us(const struct tg_hist *h, double percent)
{
	return (double)tg_hist_percentile(h, percent) / 1000;
}

/* From where percentiles are read: each step halves what lies above. */
static void print_curve(const struct tg_hist *h)
{
	double above = 1;

	printf("\"curve_us\": [[0, %.2f]", us(h, 0));
	for (uint64_t n = tg_hist_count(h); above * (double)n > 10; above /= 2)
		for (uint32_t i = 1; i <= 4; i++) {
			double percent = 100 * (1 - above + above * i / 8);

			printf(", [%.6f, %.2f]", percent, us(h, percent));
		}
	printf("], ");
}

static void print_counts(const struct load_counts *now, const struct load_counts *from)
{
#define X(name, text) printf("\"" #name "\": %" PRIu64 ", ", now->name - from->name);
	LOAD_COUNTS(X)
#undef X
	printf("\"errors\": %" PRIu64 "}", load_errors(now) - load_errors(from));
}

void load_report(
	const struct load *l, const struct load_counts *from, double seconds, uint64_t busy_from)
{
	static const struct load_counts zero;
	const struct tg_hist *h = &l->latency;

	printf("{\"event\": \"result\", \"seconds\": %.6f, \"generator_busy\": %.4f, ", seconds,
		(double)(l->busy_ns - busy_from) / (seconds * 1e9));
	printf("\"latency_us\": {\"count\": %" PRIu64 ", \"p50\": %.2f, \"p90\": %.2f, "
	       "\"p99\": %.2f, \"p99.9\": %.2f, \"p99.99\": %.2f, \"max\": %.2f}, ",
		tg_hist_count(h), us(h, 50), us(h, 90), us(h, 99), us(h, 99.9), us(h, 99.99),
		(double)h->max / 1000);
	print_curve(h);
	printf("\"hiccup_us\": {\"count\": %" PRIu64 ", \"p99.9\": %.2f, \"max\": %.2f}, ",
		tg_hist_count(&l->hiccup), us(&l->hiccup, 99.9), (double)l->hiccup.max / 1000);
	printf("\"window\": {");
	print_counts(&l->counts, from);
	/* From the first connection on: errors outside the window are errors too. */
	printf(", \"all\": {");
	print_counts(&l->counts, &zero);
	printf("}\n");
	fflush(stdout);
}
