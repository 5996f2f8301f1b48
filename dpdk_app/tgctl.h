/* tgctl.h: what the two halves of the command share: talking to the admin interface (tgctl.c), and
 * showing what it said as tables (tgctl_show.c). Private to tgctl. */
#ifndef TIDEGATE_APP_TGCTL_H
#define TIDEGATE_APP_TGCTL_H

#include <jansson.h>
#include <stdbool.h>

/* Prints a document of the admin interface for people. all: also what is zero. */
typedef void tgctl_show_fn(const json_t *j, bool all);
tgctl_show_fn tgctl_show_clusters, tgctl_show_listeners, tgctl_show_ports, tgctl_show_memory,
	tgctl_show_drops, tgctl_show_info, tgctl_show_stats;

#endif
