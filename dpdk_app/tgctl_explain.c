/* The document of /explain for people. */
#include "tgctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COLUMN 15 /* where values begin */

static const char *str(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static int64_t num(const json_t *j, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(j, key));
}

static double real(const json_t *j, const char *key)
{
	return json_number_value(json_object_get(j, key));
}

static void label(const char *name)
{
	printf("%-*s", COLUMN, name);
}

/* Lines of text, each with a margin. */
static void print_lines(const char *margin, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\r\n");

		if (n)
			printf("%s%.*s\n", margin, (int)n, text);
		text += n;
		text += strspn(text, "\r\n");
	}
}

static void print_limit(const json_t *l)
{
	printf("%*s%" PRId64 " of %" PRId64 " left for %s, %" PRId64 " more in %.1f ms\n", COLUMN,
		"", num(l, "left"), num(l, "max"), str(l, "what"), num(l, "tokens_per_fill"),
		real(l, "next_fill_ms"));
}

static void print_head(const json_t *j)
{
	const json_t *l = json_object_get(j, "listener"), *c = json_object_get(j, "client"),
		     *r = json_object_get(j, "request"),
		     *limit = json_object_get(l, "connection_limit");

	label("listener");
	printf("%s  %s%s  %s\n", str(l, "name"), str(l, "protocol"),
		json_is_true(json_object_get(l, "tls")) ? " over TLS" : "", str(l, "address"));
	if (limit)
		print_limit(limit);
	if (str(l, "connection_refused")[0])
		printf("%*sa new connection is refused: %s\n", COLUMN, "",
			str(l, "connection_refused"));
	label("client");
	printf("%s%s%s\n", str(c, "address"), str(c, "identity")[0] ? "  " : "",
		str(c, "identity"));
	if (!r)
		return;
	label("request");
	printf("%s %s%s%s%s\n", str(r, "method"), str(r, "authority"), str(r, "path"),
		json_is_string(json_object_get(r, "query")) ? "?" : "", str(r, "query"));
	label("virtual host");
	puts(str(j, "virtual_host")[0] ? str(j, "virtual_host") : "none has this host");
}

static void print_routes(const json_t *j)
{
	size_t i;
	json_t *r;

	json_array_foreach(json_object_get(j, "routes"), i, r)
	{
		label(i ? "" : "routes");
		printf("%-9s  %" PRId64 "%s%s  %s\n", str(r, "result"), num(r, "number"),
			str(r, "name")[0] ? " " : "", str(r, "name"), str(r, "match"));
		if (str(r, "why")[0])
			printf("%*s%s\n", COLUMN + 11, "", str(r, "why"));
	}
}

static void print_filters(const json_t *j)
{
	size_t i, k;
	json_t *f, *s;

	json_array_foreach(json_object_get(j, "filters"), i, f)
	{
		label(i ? "" : "filters");
		printf("%-9s  %s%s%s", str(f, "verdict"), str(f, "name"),
			str(f, "id")[0] ? " " : "", str(f, "id"));
		if (num(f, "status"))
			printf("  answers %" PRId64, num(f, "status"));
		printf("%s%s\n", str(f, "details")[0] ? "  " : "", str(f, "details"));
		json_array_foreach(json_object_get(f, "says"), k, s)
			printf("%*s%s\n", COLUMN + 11, "", json_string_value(s));
		json_array_foreach(json_object_get(f, "limits"), k, s)
		{
			printf("%*s", 11, "");
			print_limit(s);
		}
	}
}

static void print_list(const json_t *list)
{
	size_t i;
	json_t *s;

	json_array_foreach(list, i, s) printf("%s%s", i ? "," : "", json_string_value(s));
}

static void print_hash(const json_t *h)
{
	size_t i;
	json_t *by;

	label("");
	printf("hash by");
	json_array_foreach(json_object_get(h, "by"), i, by) printf("%s %s%s%s", i ? "," : "",
		str(by, "kind"), str(by, "name")[0] ? " " : "", str(by, "name"));
	printf(": %s\n", str(h, "hash")[0] ? str(h, "hash") : "this request has none of them");
	if (str(h, "set_cookie")[0])
		printf("%*sthe client is given %s\n", COLUMN, "", str(h, "set_cookie"));
}

static void print_route(const json_t *j)
{
	const json_t *r = json_object_get(j, "route"), *retry = json_object_get(r, "retry_policy"),
		     *hash = json_object_get(r, "hash_policy");
	size_t i;
	json_t *m;

	if (!r)
		return;
	label("route");
	printf("%" PRId64 "%s%s: %s", num(r, "number"), str(r, "name")[0] ? " " : "",
		str(r, "name"), str(r, "action"));
	if (json_object_get(r, "timeout_ms"))
		printf(", timeout %.1f ms%s, priority %s", real(r, "timeout_ms"),
			real(r, "timeout_ms") > 0 ? "" : " (off)", str(r, "priority"));
	putchar('\n');
	if (retry) {
		label("");
		printf("retries: %" PRId64 " on ", num(retry, "num_retries"));
		print_list(json_object_get(retry, "retry_on"));
		if (real(retry, "per_try_timeout_ms") > 0)
			printf(", %.1f ms a try", real(retry, "per_try_timeout_ms"));
		putchar('\n');
	}
	if (hash)
		print_hash(hash);
	json_array_foreach(json_object_get(r, "mirrors"), i, m)
		printf("%*smirrored to %s: %.4f %% of requests\n", COLUMN, "", str(m, "cluster"),
			real(m, "percent"));
}

static void print_zones(const json_t *z)
{
	size_t i;
	json_t *e;

	printf("%*szone: %s", COLUMN, "", str(z, "how"));
	if (num(z, "routing_enabled") < 100)
		printf(", for %" PRId64 " %% of requests", num(z, "routing_enabled"));
	putchar('\n');
	json_array_foreach(json_object_get(z, "shares"), i, e)
		printf("%*szone %s%s  priority %" PRId64 "%s, %" PRId64
		       " endpoints: %.2f %% of its requests\n",
			COLUMN, "", str(e, "locality"),
			json_is_true(json_object_get(e, "own")) ? " (own)" : "", num(e, "priority"),
			json_is_true(json_object_get(e, "degraded")) ? " (degraded)" : "",
			num(e, "n_endpoints"), real(e, "share") * 100);
}

static void print_cluster(const json_t *c)
{
	const json_t *z = json_object_get(c, "zones");
	size_t i;
	json_t *e;

	label("cluster");
	printf("%s  %s", str(c, "name"), str(c, "lb_policy"));
	if (real(c, "share") < 1)
		printf("  %.2f %% of requests", real(c, "share") * 100);
	if (strcmp(str(c, "choice"), "known") != 0)
		printf("  %s", str(c, "choice"));
	putchar('\n');
	if (z)
		print_zones(z);
	json_array_foreach(json_object_get(c, "next"), i, e) if (str(e, "endpoint")[0])
		printf("%*sworker %" PRId64 " takes %s next\n", COLUMN, "", num(e, "worker"),
			str(e, "endpoint"));
	json_array_foreach(json_object_get(c, "endpoints"), i, e)
		printf("%*sendpoint %s  %s, weight %" PRId64 ", %" PRId64 " connections (%" PRId64
		       " idle), %" PRId64 " requests\n",
			COLUMN, "", str(e, "address"), str(e, "health"), num(e, "weight"),
			num(e, "cx_active"), num(e, "cx_idle"), num(e, "rq_active"));
	json_array_foreach(json_object_get(c, "circuit_breakers"), i, e)
		printf("%*s%s: %" PRId64 " of %" PRId64 " left\n", COLUMN, "", str(e, "what"),
			num(e, "left"), num(e, "max"));
}

static void print_outcome(const json_t *j)
{
	const json_t *a = json_object_get(j, "answer"), *cut = json_object_get(j, "cut");
	size_t i;
	json_t *c;

	label("outcome");
	printf("%s", str(j, "outcome"));
	if (a)
		printf(" with %" PRId64 "  %s", num(a, "status"), str(a, "details"));
	if (cut)
		printf(": %s  %s", str(cut, "why"), str(cut, "details"));
	if (a || cut) {
		const json_t *flags = json_object_get(a ? a : cut, "flags");

		printf("%s", json_array_size(flags) ? "  " : "");
		print_list(flags);
	}
	putchar('\n');
	if (a) {
		print_lines("               < ", str(a, "head"));
		print_lines("                 ", str(a, "body"));
	}
	json_array_foreach(json_object_get(j, "clusters"), i, c) print_cluster(c);
	if (str(j, "sent")[0]) {
		puts("sent");
		print_lines("               > ", str(j, "sent"));
	}
}

void tgctl_show_explain(const json_t *j, bool all)
{
	size_t i;
	json_t *n;

	print_head(j);
	print_routes(j);
	print_filters(j);
	print_route(j);
	print_outcome(j);
	json_array_foreach(json_object_get(j, "notes"), i, n)
	{
		label(i ? "" : "notes");
		puts(json_string_value(n));
	}
}
