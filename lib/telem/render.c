/* /stats as text and JSON. Prometheus: prom.c. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate/view.h>

#include "render.h"
#include "tables.h"

bool tg_render_wants(const struct tg_render *r, const struct tg_stat *v)
{
	char name[TG_STAT_NAME_MAX];

	if (r->q->used_only && v->value == 0)
		return false;
	return !r->q->filter || regexec(&r->regex, tg_stat_name(v, name), 0, NULL, 0) == 0;
}

char *tg_stat_name(const struct tg_stat *s, char buf[static TG_STAT_NAME_MAX])
{
	const char *scope = s->scope;

	/* The sum over the workers is the server's; a reason stands alone, its class is for people.
	 */
	if (strcmp(scope, "why") == 0)
		snprintf(buf, TG_STAT_NAME_MAX, "drop.%s", s->name);
	else if (s->who[0])
		snprintf(buf, TG_STAT_NAME_MAX, "%s.%s.%s", scope, s->who, s->name);
	else
		snprintf(buf, TG_STAT_NAME_MAX, "%s.%s",
			strcmp(scope, "worker") == 0 ? "server" : scope, s->name);
	for (char *c = buf; *c; c++)
		if ((uint8_t)*c <= 0x20 || *c == 0x7f || *c == ':')
			*c = '_';
	return buf;
}

static void print_value(FILE *out, const struct tg_stat *v)
{
	if (v->gauge)
		fprintf(out, "%" PRId64, (int64_t)v->value);
	else
		fprintf(out, "%" PRIu64, v->value);
}

static void text_value(void *ctx, const struct tg_stat *v)
{
	struct tg_render *r = ctx;
	char name[TG_STAT_NAME_MAX];

	if (!tg_render_wants(r, v))
		return;
	fprintf(r->out, "%s: ", tg_stat_name(v, name));
	print_value(r->out, v);
	fputc('\n', r->out);
}

static void json_value(void *ctx, const struct tg_stat *v)
{
	struct tg_render *r = ctx;
	char name[TG_STAT_NAME_MAX];

	if (!tg_render_wants(r, v))
		return;
	fprintf(r->out, "%s\n{\"name\":\"", r->n++ ? "," : "");
	/* A name has no control bytes by now; it may have what JSON wants escaped. */
	for (const char *c = tg_stat_name(v, name); *c; c++)
		fprintf(r->out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	fputs("\",\"value\":", r->out);
	print_value(r->out, v);
	fputc('}', r->out);
}

/* The percentiles that Envoy prints. */
static const double percents[] = {0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100};

/* "server.rq_duration_us: count(12) P0(80.1) ..."; microseconds, as a proxy's share is below a
 * millisecond. */
static void text_hist(struct tg_render *r, const char *name, const struct tg_hist *h)
{
	fprintf(r->out, "%s: count(%" PRIu64 ")", name, tg_hist_count(h));
	for (uint32_t i = 0; i < TG_ARRAY_LEN(percents); i++)
		fprintf(r->out, " P%g(%.1f)", percents[i],
			(double)tg_hist_percentile(h, percents[i]) / 1e3);
	fputc('\n', r->out);
}

static void json_hist(struct tg_render *r, const char *name, const struct tg_hist *h)
{
	fprintf(r->out, "%s\n{\"name\":\"%s\",\"count\":%" PRIu64 ",\"percentiles\":{",
		r->n++ ? "," : "", name, tg_hist_count(h));
	for (uint32_t i = 0; i < TG_ARRAY_LEN(percents); i++)
		fprintf(r->out, "%s\"%g\":%.3f", i ? "," : "", percents[i],
			(double)tg_hist_percentile(h, percents[i]) / 1e3);
	fputs("}}", r->out);
}

static void render_hists(struct tg_render *r)
{
	struct tg_hist *h = malloc(sizeof(*h)); /* 19 KiB: not for a thread's small stack */

	for (uint32_t i = 0; h && i < tg_core_hist_table.n; i++) {
		char name[TG_STAT_NAME_MAX];
		struct tg_stat v = {"server", "", name, "", 0, false};
		char dotted[TG_STAT_NAME_MAX];

		snprintf(name, sizeof(name), "%s_us", tg_core_hist_table.d[i].name);
		tg_stats_hist(r->s, tg_core_hist_table.d[i].name, h);
		v.value = tg_hist_count(h);
		if (!tg_render_wants(r, &v))
			continue;
		tg_stat_name(&v, dotted);
		(r->q->format == TG_STATS_JSON ? json_hist : text_hist)(r, dotted, h);
	}
	free(h);
}

static void render_plain(struct tg_render *r)
{
	bool json = r->q->format == TG_STATS_JSON;
	tg_stat_fn *fn = json ? json_value : text_value;

	if (json)
		fputs("{\"stats\":[", r->out);
	for (uint32_t i = 0; i < r->q->n_extra; i++)
		fn(r, &r->q->extra[i]);
	tg_stats_walk(r->s, fn, r);
	render_hists(r);
	if (json)
		fputs("\n]}\n", r->out);
}

/* glibc's matcher needs memory exponential in nested {n,m} and time exponential in back references.
 */
static int filter_compile(const char *filter, regex_t *regex, struct tg_errbuf *e)
{
	char why[128];
	int rc;

	if (strlen(filter) > 256)
		return tg_fail(e, TG_EINVAL, "filter: longer than 256 bytes");
	for (const char *c = filter; *c; c++)
		if (*c == '{' || (*c == '\\' && isdigit((uint8_t)c[1])))
			return tg_fail(e, TG_EINVAL,
				"filter: braces and back references are not accepted");
	rc = regcomp(regex, filter, REG_EXTENDED | REG_NOSUB);
	if (rc == 0)
		return 0;
	regerror(rc, regex, why, sizeof(why));
	return tg_fail(e, TG_EINVAL, "filter: %s", why);
}

int tg_stats_render(
	const struct tg_stats *s, const struct tg_stats_query *q, FILE *out, struct tg_errbuf *e)
{
	struct tg_render r = {.s = s, .q = q, .out = out};

	if (q->filter) {
		int rc = filter_compile(q->filter, &r.regex, e);

		if (rc < 0)
			return rc;
	}
	if (q->format == TG_STATS_PROMETHEUS)
		tg_render_prometheus(&r);
	else
		render_plain(&r);
	if (q->filter)
		regfree(&r.regex);
	return 0;
}
