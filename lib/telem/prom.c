/* The Prometheus text format, version 0.0.4: all samples of a family stand together behind its HELP
 * and TYPE, so this goes statistic by statistic and not name by name as the walk does. Families
 * that Envoy has keep Envoy's names and labels, so that dashboards made for Envoy work; ours begin
 * with tidegate_. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate/view.h>

#include "render.h"
#include "tables.h"

/* One family while its samples are printed. The header waits for the first sample. */
struct family {
	char name[160];
	const char *text;
	bool gauge, opened;
};

static void family_open(struct tg_render *r, struct family *f)
{
	if (f->opened)
		return;
	f->opened = true;
	fprintf(r->out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->text, f->name,
		f->gauge ? "gauge" : "counter");
}

/* prefix_name, with _total for counters that lack it when the name is ours to choose. */
static void family_name(struct family *f, const char *prefix, const char *name, bool add_total)
{
	size_t n = strlen(name);
	bool has = n > 6 && strcmp(name + n - 6, "_total") == 0;

	snprintf(f->name, sizeof(f->name), "%s_%s%s", prefix, name,
		add_total && !f->gauge && !has ? "_total" : "");
	for (char *c = f->name; *c; c++)
		*c = *c == '.' ? '_' : *c;
}

static void print_label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (const char *c = value; *c; c++) {
		if (*c == '\n')
			fputs("\\n", out);
		else if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else
			fputc(*c, out);
	}
	fputc('"', out);
}

/* v gives the dotted name for the filter, and the value; label and value2 may be NULL. */
static void sample(struct tg_render *r, struct family *f, const struct tg_stat *v,
	const char *label1, const char *value1, const char *label2, const char *value2)
{
	if (!tg_render_wants(r, v))
		return;
	family_open(r, f);
	fputs(f->name, r->out);
	if (label1) {
		fputc('{', r->out);
		print_label(r->out, label1, value1);
		if (label2) {
			fputc(',', r->out);
			print_label(r->out, label2, value2);
		}
		fputc('}', r->out);
	}
	if (v->gauge)
		fprintf(r->out, " %" PRId64 "\n", (int64_t)v->value);
	else
		fprintf(r->out, " %" PRIu64 "\n", v->value);
}

/* Envoy's, one family for all listeners, one for all clusters. */
static void certificates(struct tg_render *r, const char *scope, const char *label)
{
	struct family f = {.gauge = true};

	snprintf(f.name, sizeof(f.name), "envoy_%s_ssl_certificate_expiration_unix_time_seconds",
		scope);
	for (uint32_t i = 0; i < r->q->n_extra; i++) {
		const struct tg_stat *v = &r->q->extra[i];

		if (!v->certificate || strcmp(v->scope, scope) != 0)
			continue;
		f.text = v->text;
		sample(r, &f, v, label, v->who, "envoy_tls_certificate", v->certificate);
	}
}

/* The caller's own: "server" values are Envoy's envoy_server_*, others
 * tidegate_SCOPE_NAME{SCOPE="who"}. */
static void extras(struct tg_render *r)
{
	const struct tg_stats_query *q = r->q;

	for (uint32_t i = 0; i < q->n_extra; i++) {
		const struct tg_stat *v = &q->extra[i];
		struct family f = {.text = v->text, .gauge = v->gauge};
		char prefix[64];
		uint32_t j;

		if (v->certificate)
			continue;
		for (j = 0; j < i; j++)
			if (!strcmp(q->extra[j].scope, v->scope) &&
				!strcmp(q->extra[j].name, v->name))
				break;
		if (j < i)
			continue; /* printed with its family's first */
		snprintf(prefix, sizeof(prefix), "%s_%s",
			strcmp(v->scope, "server") == 0 ? "envoy" : "tidegate", v->scope);
		family_name(&f, prefix, v->name, true);
		for (j = i; j < q->n_extra; j++) {
			const struct tg_stat *w = &q->extra[j];

			if (strcmp(w->scope, v->scope) != 0 || strcmp(w->name, v->name) != 0)
				continue;
			sample(r, &f, w, w->who[0] ? w->scope : NULL, w->who, NULL, NULL);
		}
	}
}

static void cores(struct tg_render *r)
{
	const struct tg_core_stats *rows = tg_stats_cores((struct tg_stats *)r->s);

	for (uint32_t i = 0; i < tg_core_table.n; i++) {
		const struct tg_desc *d = &tg_core_table.d[i];
		struct family f = {.text = d->text, .gauge = d->gauge};

		family_name(&f, "tidegate", d->name, true);
		for (uint32_t w = 0; w < tg_stats_workers(r->s); w++) {
			char who[12];
			struct tg_stat v = {"worker", who, d->name, d->text, 0, d->gauge};

			snprintf(who, sizeof(who), "%u", w);
			v.value = tg_desc_value(d, rows, sizeof(*rows), w);
			sample(r, &f, &v, "worker", who, NULL, NULL);
		}
	}
}

static void whys(struct tg_render *r)
{
	struct family f = {.name = "tidegate_drops_total",
		.text = "packets, segments, connections and requests that ended other than well, "
			"by reason"};

	for (uint32_t w = TG_WHY_none + 1; w < TG_WHY_MAX; w++) {
		const char *cls = tg_why_class_name(tg_why_class(w));
		struct tg_stat v = {
			"why", cls, tg_why_name(w), tg_why_text(w), tg_why_sum(r->s, w), false};

		sample(r, &f, &v, "reason", v.name, "class", cls);
	}
}

/* How the blocks of one kind are shown. */
struct view_of {
	enum tg_desc_scope scope;
	const char *dotted; /* scope of the dotted name */
	const char *label;  /* Envoy's */
};

static void block_samples(struct tg_render *r, const struct tg_stats_list *l,
	const struct view_of *as, const struct tg_desc *d, struct family *f)
{
	char cls[2] = {d->rq_class, '\0'};
	bool envoy = d->envoy & as->scope;

	for (const struct tg_stats_block *b = l->first; b; b = b->next) {
		struct tg_stat v = {as->dotted, b->name, d->name, d->text, 0, d->gauge};

		if ((as->scope == TG_IN_TCP && !b->tcp) || (as->scope == TG_IN_HTTP && b->tcp))
			continue;
		v.value = tg_desc_sum(r->s, d, b->rows, l->row_size);
		if (envoy && d->rq_class)
			sample(r, f, &v, "envoy_response_code_class", cls, as->label, b->name);
		else
			sample(r, f, &v, envoy ? as->label : as->dotted, b->name, NULL, NULL);
	}
}

/* What the listener's HTTP or TCP side shows as Envoy's needs not be said twice. */
static bool said_elsewhere(const struct tg_desc *d, const struct view_of *as)
{
	return as->scope == TG_IN_LISTENER && !(d->envoy & TG_IN_LISTENER);
}

static void blocks(struct tg_render *r, const struct tg_stats_list *l,
	const struct tg_desc_table *t, const struct view_of *as)
{
	struct family f = {.name = ""};
	bool in_classes = false;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct tg_desc *d = &t->d[i];
		bool envoy = d->envoy & as->scope;
		char prefix[32], name[128];

		if (!(d->shown & as->scope) || said_elsewhere(d, as))
			continue;
		/* ..._1xx to ..._5xx stand together in the lists and are one family: ..._xx with a
		 * class. */
		if (!(d->rq_class && in_classes)) {
			f = (struct family){.text = d->text, .gauge = d->gauge};
			snprintf(prefix, sizeof(prefix), "%s_%s", envoy ? "envoy" : "tidegate",
				as->dotted);
			snprintf(name, sizeof(name), "%s", d->name);
			if (d->rq_class) {
				memmove(strchr(name, '\0') - 3, "xx", 3);
				f.text = "responses by class of status";
			}
			family_name(&f, prefix, name, !envoy);
		}
		in_classes = d->rq_class != 0;
		block_samples(r, l, as, d, &f);
	}
}

/* The counters of filters of one name at listeners of one kind stand together, as Envoy's:
 * envoy_http_rbac_allowed{envoy_http_conn_manager_prefix="web"}. */
static void filter_families(
	struct tg_render *r, const struct tg_stats_filter *first, const struct view_of *as)
{
	bool tcp = first->listener->tcp;

	for (uint32_t i = 0; i < first->n; i++) {
		struct family f = {.text = first->defs[i].text, .gauge = first->defs[i].gauge};

		for (const struct tg_stats_filter *s = first; s; s = s->next) {
			char name[TG_STAT_NAME_MAX];
			struct tg_stat v = {
				as->dotted, s->listener->name, name, f.text, 0, f.gauge};

			if (s->listener->tcp != tcp || strcmp(s->name, first->name) != 0)
				continue;
			v.value = tg_filter_sum(r->s, s, i, name);
			if (!f.name[0]) {
				snprintf(f.name, sizeof(f.name), "envoy_%s_%.140s", as->dotted,
					name);
				for (char *c = f.name; *c; c++)
					if (!isalnum((uint8_t)*c))
						*c = '_';
			}
			sample(r, &f, &v, as->label, s->listener->name, NULL, NULL);
		}
	}
}

static void filters(struct tg_render *r, const struct tg_stats_filter *all,
	const struct view_of *http, const struct view_of *tcp)
{
	for (const struct tg_stats_filter *f = all; f; f = f->next) {
		const struct tg_stats_filter *before = all;

		while (before != f && (before->listener->tcp != f->listener->tcp ||
					      strcmp(before->name, f->name) != 0))
			before = before->next;
		if (before == f)
			filter_families(r, f, f->listener->tcp ? tcp : http);
	}
}

/* Upper bounds of the buckets, ns: 1-2.5-5 from 10 us on, then as Envoy's up to an hour. */
static const uint64_t bounds[] = {10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000,
	5000000, 10000000, 25000000, 50000000, 100000000, 250000000, 500000000, 1000000000,
	2500000000, 5000000000, 10000000000, 30000000000, 60000000000, 300000000000, 600000000000,
	1800000000000, 3600000000000};

static void hist(struct tg_render *r, const struct tg_desc *d, struct tg_hist *h)
{
	char f[160], name[128];
	struct tg_stat v = {"server", "", name, d->text, 0, false};
	uint64_t count;

	snprintf(name, sizeof(name), "%s_us", d->name); /* as /stats calls it, for the filter */
	tg_stats_hist(r->s, d->name, h);
	v.value = count = tg_hist_count(h);
	if (!tg_render_wants(r, &v))
		return;
	snprintf(f, sizeof(f), "tidegate_%s_seconds", d->name);
	fprintf(r->out, "# HELP %s %s\n# TYPE %s histogram\n", f, d->text, f);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(bounds); i++)
		fprintf(r->out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", f, (double)bounds[i] / 1e9,
			tg_hist_at_most(h, bounds[i]));
	fprintf(r->out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", f, count);
	fprintf(r->out, "%s_sum %.9f\n", f, (double)h->sum / 1e9);
	fprintf(r->out, "%s_count %" PRIu64 "\n", f, count);
}

void tg_render_prometheus(struct tg_render *r)
{
	static const struct view_of cluster = {TG_IN_CLUSTER, "cluster", "envoy_cluster_name"};
	static const struct view_of of_listener[] = {
		{TG_IN_LISTENER, "listener", "envoy_listener_address"},
		{TG_IN_HTTP, "http", "envoy_http_conn_manager_prefix"},
		{TG_IN_TCP, "tcp", "envoy_tcp_prefix"},
	};
	const struct tg_stats_blocks *b;
	struct tg_hist *h;

	extras(r);
	certificates(r, "listener", of_listener[0].label);
	certificates(r, "cluster", cluster.label);
	cores(r);
	whys(r);
	b = tg_stats_lock(r->s);
	blocks(r, &b->clusters, &tg_cluster_table, &cluster);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(of_listener); i++)
		blocks(r, &b->listeners, &tg_listener_table, &of_listener[i]);
	filters(r, b->filters, &of_listener[1], &of_listener[2]);
	tg_stats_unlock(r->s);
	h = malloc(sizeof(*h));
	for (uint32_t i = 0; h && i < tg_core_hist_table.n; i++)
		hist(r, &tg_core_hist_table.d[i], h);
	free(h);
}
