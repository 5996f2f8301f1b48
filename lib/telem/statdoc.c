/* Prints docs/statistics.md from the X-lists. With the name of a file: exit 1 unless it has just
 * that text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tables.h"

static const char intro[] =
	"# Statistics\n\n"
	"Printed by `build/lib/telem/tg_statdoc`; do not edit. The lists are in "
	"`include/tidegate/stats.h` and `why.h`.\n\n"
	"`/stats` prints `name: value`, `/stats?format=json` the same as JSON, `/stats/prometheus` "
	"the Prometheus text format.\n"
	"`filter=REGEX` (searched in the dotted name) and `usedonly` narrow each of them down. "
	"What Envoy counts too has\n"
	"Envoy's name, in Prometheus as well "
	"(`envoy_cluster_upstream_rq_total{envoy_cluster_name=\"v1\"}`); all else begins with\n"
	"`tidegate_`. Counters only grow, as long as the process runs, over reloads too; gauges go "
	"both ways.\n";

/* Shown as another family in Prometheus than by its plain name. */
static void prom_name(FILE *out, const char *scope, const struct tg_desc *d, uint8_t as)
{
	size_t n = strlen(d->name);
	char name[128];
	bool total = n > 6 && strcmp(d->name + n - 6, "_total") == 0;

	snprintf(name, sizeof(name), "%s", d->name);
	for (char *c = name; *c; c++)
		*c = *c == '.' ? '_' : *c;
	if ((d->envoy & as) && d->rq_class)
		fprintf(out, "`envoy_%s_%.*sxx{envoy_response_code_class=\"%c\"}`", scope,
			(int)(n - 3), name, d->rq_class);
	else if (d->envoy & as)
		fprintf(out, "`envoy_%s_%s`", scope, name);
	else
		fprintf(out, "`tidegate_%s%s%s%s`", scope, scope[0] ? "_" : "", name,
			d->gauge || total ? "" : "_total");
}

static void table(FILE *out, const char *scope, const struct tg_desc_table *t, uint8_t as)
{
	fputs("| name | kind | what | in Prometheus |\n|---|---|---|---|\n", out);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct tg_desc *d = &t->d[i];

		if (as && !(d->shown & as))
			continue;
		fprintf(out, "| `%s` | %s | %s | ", d->name, d->gauge ? "gauge" : "counter",
			d->text);
		if (as == TG_IN_LISTENER && d->shown != as && !(d->envoy & TG_IN_LISTENER))
			fputs("with `http` or `tcp` below", out);
		else
			prom_name(out, scope, d, as);
		fputs(" |\n", out);
	}
}

static void reasons(FILE *out)
{
	fputs("\n## `drop.<reason>`\n\n"
	      "Every packet, segment, connection and request that does not go the good way ends "
	      "with exactly one\n"
	      "reason. In Prometheus: `tidegate_drops_total{reason=\"...\",class=\"...\"}`. "
	      "Classes: `pkt` a received packet ends\n"
	      "here, `seg` a received TCP segment is not used, `txp` a packet of ours is not sent, "
	      "`conn` a connection does not\n"
	      "start or ends other than by FINs, `req` a request is answered by Tidegate itself or "
	      "cut. `/drops` shows the\n"
	      "ledger: received = delivered + sum(`pkt`) + sum(`seg`) + in flight.\n\n"
	      "| reason | class | what |\n|---|---|---|\n",
		out);
	for (uint32_t w = TG_WHY_none + 1; w < TG_WHY_MAX; w++)
		fprintf(out, "| `%s` | %s | %s |\n", tg_why_name(w),
			tg_why_class_name(tg_why_class(w)), tg_why_text(w));
}

/* Counted by the program itself (dpdk_app/admin_stats.c), not by these lists. */
static const char program[] =
	"\n## From the program\n\n"
	"| name | what | in Prometheus |\n|---|---|---|\n"
	"| `server.live`, `.state`, `.uptime`, `.concurrency` | as Envoy's: 1 when ready; 0 live, "
	"1 draining, 2 starting; "
	"seconds; workers | `envoy_server_live` ... |\n"
	"| `config.generation`, `.reloads`, `.reload_failures` | the configuration in use, applied "
	"and refused ones | "
	"`tidegate_config_generation`, `tidegate_config_reloads_total` ... |\n"
	"| `dns.endpoint_sets` | sets of endpoints by DNS in memory: one for each cluster by DNS "
	"of each "
	"configuration in use, and those that are just being replaced | "
	"`tidegate_dns_endpoint_sets` "
	"|\n"
	"| `pool.<pool>.count`, `.in_use`, `.refused` | sums over the workers; `/memory` has each "
	"| "
	"`tidegate_pool_in_use{pool=\"tcb\"}` ... |\n"
	"| `port.<port>.link_up`, `.missed`, `.rx_errors`, `.tx_errors` | what the device says | "
	"`tidegate_port_missed_total{port=\"north\"}` ... |\n"
	"| `tls.rotations`, `.rotation_failures` | changes of certificates, keys and CAs taken "
	"into "
	"use; tries that found files "
	"which cannot be used | `tidegate_tls_rotations_total` ... |\n"
	"| `certificate.<file or SPIFFE ID>.expiration_unix_time_seconds`, "
	"`server.days_until_first_cert_expiring` | when each certificate in use ends (of a bundle: "
	"the first that does); days until the first of all does | "
	"`tidegate_certificate_expiration_unix_time_seconds{certificate=\"server.crt\"}`, "
	"`envoy_server_days_until_first_cert_expiring` |\n"
	"| `listener.<name>.ssl.certificate.<file or SPIFFE ID>.expiration_unix_time_seconds`, and "
	"`cluster.<name>.ssl...` | the same for each who uses it, ours and CAs, with Envoy's names "
	"| "
	"`envoy_listener_ssl_certificate_expiration_unix_time_seconds{envoy_listener_address="
	"\"web\","
	"envoy_tls_certificate=\"server.crt\"}`, `envoy_cluster_ssl...{envoy_cluster_name=...}` |\n"
	"| `workload_api.connected`, `.updates`, `.updates_bad`, `.failures` | the SPIFFE agent: 1 "
	"while it is connected; responses; those that could not be used; connections and calls "
	"that ended | `tidegate_workload_api_connected` ... |\n"
	"| `ratelimit.connected`, `.connects`, `.connect_failures`, `.commands`, `.unanswered` | "
	"the "
	"Redis of `rate_limit_service`: 1 while it answers; connections made; those that failed or "
	"ended; questions; those without an answer that can be used | "
	"`tidegate_ratelimit_connected` ... |\n"
	"| `ratelimit.tokens_leased`, `.tokens_returned`, `.tokens_on_credit`, `.keys`, "
	"`.keys_max`, `.keys_evicted`, `.keys_late` | tokens that it gave; that went back unused; "
	"that were given before it, and that it was charged with; values that have tokens of "
	"their own here; room for them; those that lost their place before their window was over; "
	"times that one found no room because they came too fast | `tidegate_ratelimit_keys` ... "
	"|\n"
	"| `overload.<monitor>.pressure`, `overload.<action>.active`, `.scale_percent`, "
	"`overload.<load shed point>.shed_load_count` | Envoy's overload manager: of a hundred, of "
	"the worst worker; what the configuration has | "
	"`tidegate_overload_pressure{overload=\"envoy.resource_monitors.cpu_utilization\"}` ... "
	"|\n"
	"| `access_log.lines`, `.bytes`, `.lines_lost`, `.writes_failed`, `.reopened`, "
	"`.reopen_failed` | the sink; lines are "
	"lost when the disk is full | `tidegate_access_log_lines_total` ... |\n";

static void document(FILE *out)
{
	fputs(intro, out);
	fputs("\n## `server.<name>` and `worker.<n>.<name>`\n\n"
	      "Counted by each worker; `server.` is the sum. Prometheus has one sample for each "
	      "`worker`.\n\n",
		out);
	table(out, "", &tg_core_table, 0);
	fputs("\nHistograms, in `/stats` as percentiles in microseconds (`server.<name>_us`), in "
	      "Prometheus as\n"
	      "`tidegate_<name>_seconds`:\n\n| name | what |\n|---|---|\n",
		out);
	for (uint32_t i = 0; i < tg_core_hist_table.n; i++)
		fprintf(out, "| `%s` | %s |\n", tg_core_hist_table.d[i].name,
			tg_core_hist_table.d[i].text);
	fputs("\n## `listener.<listener>.<name>`\n\n", out);
	table(out, "listener", &tg_listener_table, TG_IN_LISTENER);
	fputs("\n## `http.<listener>.<name>`\n\nOf listeners with `protocol = \"http\"`.\n\n", out);
	table(out, "http", &tg_listener_table, TG_IN_HTTP);
	fputs("\n## `tcp.<listener>.<name>`\n\nOf listeners with `protocol = \"tcp\"`.\n\n", out);
	table(out, "tcp", &tg_listener_table, TG_IN_TCP);
	fputs("\n## `http.<listener>.<filter>.<name>`, `tcp.<listener>.<filter>.<name>`\n\n"
	      "Of the filters at a listener, wherever their configuration stands "
	      "([filters.md](filters.md) lists them);\n"
	      "`<filter>.<id>` for one that was given an `id`. In Prometheus: "
	      "`envoy_http_rbac_allowed{envoy_http_conn_manager_prefix=\"web\"}`.\n",
		out);
	fputs("\n## `cluster.<cluster>.<name>`\n\n", out);
	table(out, "cluster", &tg_cluster_table, TG_IN_CLUSTER);
	fputs(program, out);
	reasons(out);
}

static int check(const char *path, const char *want, size_t n)
{
	FILE *f = fopen(path, "r");
	char *have = malloc(n + 1);
	size_t got = f && have ? fread(have, 1, n + 1, f) : 0;
	int same = got == n && memcmp(have, want, n) == 0;

	if (f)
		fclose(f);
	free(have);
	if (!same)
		fprintf(stderr, "%s is out of date: run tg_statdoc > docs/statistics.md\n", path);
	return same ? 0 : 1;
}

int main(int argc, char **argv)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	int rc = 0;

	if (!out)
		return 2;
	document(out);
	fclose(out);
	if (argc > 1)
		rc = check(argv[1], text, n);
	else
		fwrite(text, 1, n, stdout);
	free(text);
	return rc;
}
