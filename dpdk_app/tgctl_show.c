/* The admin interface's documents as tables. A missing member prints as 0 or "": an older or newer
 * tidegate can be asked too. */
#include "tgctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *str(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static int64_t num(const json_t *j, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(j, key));
}

static bool is(const json_t *j, const char *key)
{
	return json_is_true(json_object_get(j, key));
}

/* {"socket_address": {"address", "port_value"}} */
static const char *address(const json_t *j, char out[static 64])
{
	const json_t *a = json_object_get(j, "socket_address");
	const char *ip = str(a, "address");

	snprintf(out, 64, strchr(ip, ':') ? "[%s]:%d" : "%s:%d", ip, (int)num(a, "port_value"));
	return out;
}

/* "12" in a list of {"name", "value": "12"}. */
static uint64_t stat_of(const json_t *stats, const char *name)
{
	size_t i;
	json_t *s;

	json_array_foreach(stats, i, s) if (strcmp(str(s, "name"), name) == 0) return strtoull(
		str(s, "value"), NULL, 10);
	return 0;
}

/* "healthy", or what is found against it, as in the text of /clusters. */
static const char *health_of(const json_t *status, char out[static 160])
{
	const char *key;
	json_t *v;
	size_t n = 0;

	snprintf(out, 160, "healthy");
	json_object_foreach((json_t *)status, key, v) if (json_is_true(v) && n < 120) n +=
		(size_t)snprintf(out + n, 160 - n, "%s%s", n ? "," : "", key);
	return out;
}

void tgctl_show_clusters(const json_t *j, bool all)
{
	size_t i, k;
	json_t *c, *h;

	printf("%-20s %-24s %6s %9s %7s %9s %9s %10s %9s  %s\n", "cluster", "endpoint", "weight",
		"cx_active", "cx_idle", "cx_fail", "rq_active", "rq_total", "rq_error", "health");
	json_array_foreach(json_object_get(j, "cluster_statuses"), i, c)
	{
		json_array_foreach(json_object_get(c, "host_statuses"), k, h)
		{
			const json_t *s = json_object_get(h, "stats");
			char addr[64], health[160];

			printf("%-20s %-24s %6" PRId64 " %9" PRIu64 " %7" PRIu64 " %9" PRIu64
			       " %9" PRIu64 " %10" PRIu64 " %9" PRIu64 "  %s\n",
				str(c, "name"), address(json_object_get(h, "address"), addr),
				num(h, "weight"), stat_of(s, "cx_active"), stat_of(s, "cx_idle"),
				stat_of(s, "cx_connect_fail"), stat_of(s, "rq_active"),
				stat_of(s, "rq_total"), stat_of(s, "rq_error"),
				health_of(json_object_get(h, "health_status"), health));
		}
	}
}

void tgctl_show_listeners(const json_t *j, bool all)
{
	size_t i;
	json_t *l;

	printf("%-20s %-8s %s\n", "listener", "protocol", "address");
	json_array_foreach(json_object_get(j, "listener_statuses"), i, l)
	{
		char addr[64];

		printf("%-20s %-8s %s", str(l, "name"), str(l, "protocol"),
			address(json_object_get(l, "local_address"), addr));
		if (num(l, "listening") < num(l, "workers"))
			printf("  not open on %" PRId64 " of %" PRId64 " workers",
				num(l, "workers") - num(l, "listening"), num(l, "workers"));
		putchar('\n');
	}
}

void tgctl_show_ports(const json_t *j, bool all)
{
	size_t i, k;
	json_t *p, *a;

	printf("%-12s %-4s %-18s %-18s %5s %6s %10s  %s\n", "port", "link", "mac", "driver", "mtu",
		"queues", "missed", "addresses");
	json_array_foreach(json_object_get(j, "ports"), i, p)
	{
		printf("%-12s %-4s %-18s %-18s %5" PRId64 " %6" PRId64 " %10" PRId64 " ",
			str(p, "name"), is(p, "link_up") ? "up" : "down", str(p, "mac"),
			str(p, "driver"), num(p, "mtu"), num(p, "queues"), num(p, "missed"));
		json_array_foreach(json_object_get(p, "addresses"), k, a)
			printf(" %s", json_string_value(a));
		putchar('\n');
	}
}

void tgctl_show_memory(const json_t *j, bool all)
{
	size_t i;
	json_t *p;

	printf("%-20s %6s %8s %10s %10s %10s %10s\n", "pool", "worker", "size", "count", "in_use",
		"peak", "refused");
	json_array_foreach(json_object_get(j, "pools"), i, p)
	{
		const json_t *worker = json_object_get(p, "worker"),
			     *peak = json_object_get(p, "peak");
		char w[24] = "all", most[24] = "-";

		if (!all && num(p, "in_use") == 0 && json_integer_value(peak) == 0 &&
			num(p, "refused") == 0)
			continue;
		if (json_is_integer(worker))
			snprintf(w, sizeof(w), "%" PRId64, num(p, "worker"));
		if (json_is_integer(peak))
			snprintf(most, sizeof(most), "%" PRId64, num(p, "peak"));
		printf("%-20s %6s %8" PRId64 " %10" PRId64 " %10" PRId64 " %10s %10" PRId64 "\n",
			str(p, "name"), w, num(p, "size"), num(p, "count"), num(p, "in_use"), most,
			num(p, "refused"));
	}
	printf("\n%.1f MiB in pools, %.1f MiB configured, %s hugepages\n",
		(double)num(j, "bytes") / 1048576.0, (double)num(j, "configured_bytes") / 1048576.0,
		is(j, "hugepages") ? "in" : "no");
}

void tgctl_show_drops(const json_t *j, bool all)
{
	const json_t *l = json_object_get(j, "ledger");
	bool any = false;
	size_t i;
	json_t *r;

	printf("received %" PRId64 " = delivered %" PRId64 " + dropped %" PRId64
	       " + in flight %" PRId64,
		num(l, "received"), num(l, "delivered"), num(l, "dropped"), num(l, "in_flight"));
	if (is(l, "balanced"))
		printf("  (balanced)\n\n");
	else
		printf("  (%" PRId64 " not accounted for)\n\n", num(l, "missing"));
	json_array_foreach(json_object_get(j, "reasons"), i, r)
	{
		if (!all && num(r, "count") == 0)
			continue;
		any = true;
		printf("%12" PRId64 "  %-4s  %-22s %s\n", num(r, "count"), str(r, "class"),
			str(r, "reason"), str(r, "text"));
	}
	if (!any)
		printf("nothing was dropped\n");
}

void tgctl_show_info(const json_t *j, bool all)
{
	size_t i;
	json_t *w;

	printf("%s  %s  pid %" PRId64 "\n", str(j, "version"), str(j, "state"), num(j, "pid"));
	printf("started    %s (%s ago)\n", str(j, "started_at"), str(j, "uptime_current_epoch"));
	printf("config     %s, generation %" PRId64 ", %" PRId64 " reloads, %" PRId64 " refused\n",
		str(j, "config_path"), num(j, "config_generation"), num(j, "reloads"),
		num(j, "reload_failures"));
	if (str(j, "last_reload_error")[0])
		printf("           last refusal: %s\n", str(j, "last_reload_error"));
	printf("memory     %s\n", is(j, "hugepages") ? "hugepages" : "no hugepages");
	json_array_foreach(json_object_get(j, "workers"), i, w) printf(
		"worker %-3" PRId64 " lcore %" PRId64 ", cpu %" PRId64 ", generation %" PRId64
		", %s\n",
		num(w, "worker"), num(w, "lcore"), num(w, "cpu"), num(w, "config_generation"),
		is(w, "adaptive_idle") ? "sleeps when idle" : "spins when idle");
}

void tgctl_show_stats(const json_t *j, bool all)
{
	size_t i;
	json_t *s;

	json_array_foreach(json_object_get(j, "stats"), i, s)
	{
		const char *percent;
		json_t *v;

		if (!json_object_get(s, "percentiles")) {
			printf("%-56s %" PRId64 "\n", str(s, "name"), num(s, "value"));
			continue;
		}
		printf("%-56s count %" PRId64, str(s, "name"), num(s, "count"));
		json_object_foreach(json_object_get(s, "percentiles"), percent, v)
			printf("  p%s %.1f", percent, json_number_value(v));
		putchar('\n');
	}
}
