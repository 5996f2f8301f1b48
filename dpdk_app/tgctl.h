/* tgctl.h: what the parts of the command share: talking to the admin interface (tgctl.c), showing
 * what it said as tables (tgctl_show.c), and the report of `tgctl tax` (tgctl_tax.c). Private to
 * tgctl. */
#ifndef TIDEGATE_APP_TGCTL_H
#define TIDEGATE_APP_TGCTL_H

#include <jansson.h>
#include <stdbool.h>

/* Prints a document of the admin interface for people. all: also what is zero. */
typedef void tgctl_show_fn(const json_t *j, bool all);
tgctl_show_fn tgctl_show_clusters, tgctl_show_listeners, tgctl_show_ports, tgctl_show_memory,
	tgctl_show_drops, tgctl_show_info, tgctl_show_stats, tgctl_show_tax, tgctl_show_explain;

/* tgctl tax (tgctl_tax.c). What happened between two readings of /tax?format=json; to be freed. A
 * figure that is not known (no requests, nothing traced) is null. */
json_t *tgctl_tax_report(const json_t *a, const json_t *b);
/* A run that was recorded: wrk's output, the result of tg_load, or any JSON object with
 * requests_per_second and perhaps p50_us and p99_us. NULL: none in there; said. */
json_t *tgctl_tax_run(const char *path);
/* Adds the overhead; takes both runs. through: NULL, or how the clients saw the interval. */
void tgctl_tax_compare(json_t *report, json_t *direct, json_t *through);

#endif
