/* /explain: a request that is not sent (explain.h). */
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin_req.h"
#include "explain.h"

#define USAGE \
	"usage: /explain?method=GET&url=https://HOST/PATH, and as needed &header=NAME: VALUE " \
	"(again for each), &identity=, &from=, &listener=, &sni=, &body-size=, &all\n"

struct args {
	struct tg_explain_query query;
	char wrong[96]; /* "": nothing is */
};

static enum MHD_Result take(void *ctx, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct args *a = ctx;
	struct tg_explain_query *q = &a->query;
	const struct {
		const char *key;
		const char **to;
	} t[] = {{"method", &q->method}, {"url", &q->url}, {"listener", &q->listener},
		{"from", &q->from}, {"identity", &q->identity}, {"sni", &q->sni},
		{"body-size", &q->body_size}};

	value = value ? value : "";
	if (strcmp(key, "header") == 0) {
		if (q->n_headers < TG_EXPLAIN_HEADERS_MAX) {
			q->headers[q->n_headers++] = value;
			return MHD_YES;
		}
		snprintf(a->wrong, sizeof(a->wrong), "header: at most %d", TG_EXPLAIN_HEADERS_MAX);
		return MHD_NO;
	}
	if (strcmp(key, "all") == 0) {
		q->all = true;
		return MHD_YES;
	}
	if (strcmp(key, "format") == 0 && strcmp(value, "json") == 0)
		return MHD_YES; /* it is nothing else */
	for (uint32_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		if (strcmp(key, t[i].key) != 0)
			continue;
		if (*t[i].to)
			snprintf(a->wrong, sizeof(a->wrong), "%s: given twice", t[i].key);
		*t[i].to = value;
		return *a->wrong ? MHD_NO : MHD_YES;
	}
	snprintf(a->wrong, sizeof(a->wrong), "\"%.40s\" is no parameter of /explain", key);
	return MHD_NO;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * TG_SEC + (uint64_t)t.tv_nsec;
}

static json_t *explain(struct tg_admin_req *q, const struct args *a, struct tg_errbuf *e)
{
	const struct tg_proxy *proxies[TG_MAX_WORKERS];
	struct tg_explain_world w = {.n_workers = tg_admin_workers(q),
		.proxies = proxies,
		.now = clock_ns(CLOCK_MONOTONIC)};
	json_t *doc;

	for (uint32_t i = 0; i < w.n_workers; i++)
		proxies[i] = q->app->workers[i].proxy;
	w.realtime_offset = clock_ns(CLOCK_REALTIME) - w.now;
	w.snap = tg_app_hold(q->app);
	doc = tg_explain(&a->query, &w, e);
	tg_app_release(q->app);
	return doc;
}

unsigned int tg_admin_explain(struct tg_admin_req *q)
{
	struct args a = {.wrong = ""};
	struct tg_errbuf e = {""};
	json_t *doc;

	MHD_get_connection_values(q->conn, MHD_GET_ARGUMENT_KIND, take, &a);
	if (a.wrong[0]) {
		fprintf(q->out, "%s\n" USAGE, a.wrong);
		return MHD_HTTP_BAD_REQUEST;
	}
	doc = explain(q, &a, &e);
	if (doc)
		return tg_admin_json(q, doc);
	fprintf(q->out, "%s\n", e.text);
	if (!a.query.method || !a.query.url)
		fputs(USAGE, q->out);
	return MHD_HTTP_BAD_REQUEST;
}
