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
	printf("\"window\": {");
	print_counts(&l->counts, from);
	/* From the first connection on: errors outside the window are errors too. */
	printf(", \"all\": {");
	print_counts(&l->counts, &zero);
	printf("}\n");
	fflush(stdout);
}
