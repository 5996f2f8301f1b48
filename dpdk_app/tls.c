#include "tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "worker.h"

/* Lines about failed handshakes that are logged a second; the others are only counted. */
#define LINES_A_SECOND 10

struct live {
	struct live *next;
	const struct tg_snapshot *s;
};

struct tg_tls_control {
	pthread_mutex_t lock; /* of the store: the admin thread reads it */
	struct tg_tls_store *store;
	struct live *live;                /* snapshots whose configurations are loaded */
	const struct tg_tls_conf **confs; /* [n]: by id; NULL: free */
	uint32_t n;
	uint32_t lines; /* said in this second */
	uint64_t unsaid;
};

/* Where complaints go. */
struct complaints {
	const char *path; /* of the configuration; NULL: none in front */
	FILE *err;        /* NULL: the log */
};

static void complain(void *arg, const char *text)
{
	const struct complaints *c = arg;

	if (!c->err)
		tg_say(TG_ERROR, "TLS: %s", text);
	else if (c->path)
		fprintf(c->err, "%s: tls: %s\n", c->path, text);
	else
		fprintf(c->err, "tls: %s\n", text);
}

static int64_t seconds(void)
{
	return (int64_t)time(NULL);
}

/* --- ids ---------------------------------------------------------------------------------------
 */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_texts(const char *const *a, const char *const *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!same_text(a[i], b[i]))
			return false;
	return true;
}

static bool same_pairs(const struct tg_tls_conf *a, const struct tg_tls_conf *b)
{
	for (uint32_t i = 0; i < a->n_pairs; i++)
		if (!same_text(a->pairs[i].certificate, b->pairs[i].certificate) ||
			!same_text(a->pairs[i].private_key, b->pairs[i].private_key))
			return false;
	return true;
}

static bool same_bundles(const struct tg_tls_conf *a, const struct tg_tls_conf *b)
{
	for (uint32_t i = 0; i < a->n_bundles; i++)
		if (!same_text(a->bundles[i].trust_domain, b->bundles[i].trust_domain) ||
			!same_text(a->bundles[i].ca, b->bundles[i].ca))
			return false;
	return true;
}

static bool same(const struct tg_tls_conf *a, const struct tg_tls_conf *b)
{
	return a->server == b->server && a->n_pairs == b->n_pairs && a->n_bundles == b->n_bundles &&
	       a->n_match == b->n_match && a->n_alpn == b->n_alpn &&
	       a->require_client_certificate == b->require_client_certificate &&
	       a->spiffe == b->spiffe && a->workload_api == b->workload_api &&
	       a->min_version == b->min_version && a->session_tickets == b->session_tickets &&
	       same_text(a->ca, b->ca) && same_text(a->crl, b->crl) && same_text(a->sni, b->sni) &&
	       same_pairs(a, b) && same_bundles(a, b) &&
	       same_texts(a->match_spiffe_ids, b->match_spiffe_ids, a->n_match) &&
	       same_texts(a->alpn, b->alpn, a->n_alpn);
}

static uint32_t find_id(const struct tg_tls_control *c, const struct tg_tls_conf *conf)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->confs[i] && same(c->confs[i], conf))
			return i;
	return UINT32_MAX;
}

/* UINT32_MAX: no memory. */
static uint32_t take_id(struct tg_tls_control *c, const struct tg_tls_conf *conf)
{
	const struct tg_tls_conf **more;
	uint32_t id = find_id(c, conf);

	for (uint32_t i = 0; i < c->n && id == UINT32_MAX; i++)
		if (!c->confs[i])
			id = i;
	if (id == UINT32_MAX) {
		more = realloc(c->confs, (c->n + 1) * sizeof(*more));
		if (!more)
			return id;
		c->confs = more;
		id = c->n++;
	}
	c->confs[id] = conf;
	return id;
}

/* What the live snapshots use, and nothing else. */
static void rebuild(struct tg_tls_control *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		c->confs[i] = NULL;
	for (const struct live *l = c->live; l; l = l->next)
		for (uint32_t i = 0; i < l->s->n_tls; i++)
			c->confs[l->s->tls[i].id] = &l->s->tls[i];
}

/* --- loading -----------------------------------------------------------------------------------
 */

bool tg_tls_load(struct tg_app *app, struct tg_snapshot *s, FILE *err)
{
	struct tg_tls_control *c = app->tls;
	struct live *l = calloc(1, sizeof(*l));
	struct complaints to = {.path = app->config_path, .err = err};
	int rc;

	if (!l)
		return false;
	for (uint32_t i = 0; i < s->n_tls; i++) {
		s->tls[i].id = take_id(c, &s->tls[i]);
		if (s->tls[i].id == UINT32_MAX) {
			free(l);
			rebuild(c);
			return false;
		}
	}
	pthread_mutex_lock(&c->lock);
	rc = tg_tls_store_load(c->store, c->confs, c->n, seconds(), complain, &to);
	pthread_mutex_unlock(&c->lock);
	if (rc) {
		free(l);
		rebuild(c);
		return false;
	}
	l->s = s;
	l->next = c->live;
	c->live = l;
	return true;
}

void tg_tls_forget(struct tg_app *app, const struct tg_snapshot *s)
{
	struct tg_tls_control *c = app->tls;

	for (struct live **p = &c->live; *p; p = &(*p)->next) {
		struct live *l = *p;

		if (l->s != s)
			continue;
		*p = l->next;
		free(l);
		break;
	}
	rebuild(c); /* their contexts go with the next load */
}

struct tg_tls_set *tg_tls_current(struct tg_app *app)
{
	return tg_tls_store_current(app->tls->store);
}

void tg_tls_certs(
	struct tg_app *app, void (*each)(void *arg, const struct tg_tls_cert *c), void *arg)
{
	struct tg_tls_control *c = app->tls;
	const struct tg_tls_set *s;

	pthread_mutex_lock(&c->lock);
	s = tg_tls_store_current(c->store);
	if (s)
		tg_tls_set_certs(s, each, arg);
	pthread_mutex_unlock(&c->lock);
}

bool tg_tls_check(const char *path, const struct tg_snapshot *s, FILE *err)
{
	const struct tg_tls_conf **confs = calloc(s->n_tls + 1, sizeof(*confs));
	struct complaints to = {.path = path, .err = err};
	int rc;

	if (!confs)
		return false;
	for (uint32_t i = 0; i < s->n_tls; i++)
		confs[i] = &s->tls[i];
	rc = tg_tls_store_check(confs, s->n_tls, seconds(), complain, &to);
	free(confs);
	return rc == 0;
}

int tg_tls_start(struct tg_app *app, struct tg_errbuf *e)
{
	struct tg_tls_control *c = calloc(1, sizeof(*c));
	const char *aead = tg_tls_init();

	if (!c || !aead) {
		free(c);
		return tg_fail(e, TG_ENOMEM, "out of memory for TLS");
	}
	pthread_mutex_init(&c->lock, NULL);
	app->tls = c;
	if (app->boot->n_tls)
		tg_say(TG_INFO, "TLS records by %s", aead);
	c->store = tg_tls_store_create(app->n_workers, e);
	if (c->store && tg_tls_load(app, app->boot, stderr))
		return 0;
	if (c->store)
		tg_fail(e, TG_EINVAL, "the errors above are in files that %s names",
			app->config_path);
	tg_tls_stop(app);
	return TG_EINVAL;
}

void tg_tls_stop(struct tg_app *app)
{
	struct tg_tls_control *c = app->tls;

	while (c->live) {
		struct live *l = c->live;

		c->live = l->next;
		free(l);
	}
	if (c->store)
		tg_tls_store_destroy(c->store);
	free(c->confs);
	pthread_mutex_destroy(&c->lock);
	free(c);
	app->tls = NULL;
}

/* --- housekeeping ------------------------------------------------------------------------------
 */

static void say_failure(void *arg, const char *line)
{
	struct tg_tls_control *c = arg;

	if (c->lines++ < LINES_A_SECOND)
		tg_say(TG_WARN, "%s", line);
	else
		c->unsaid++;
}

static void say_failures(struct tg_app *app)
{
	struct tg_tls_control *c = app->tls;

	c->lines = 0;
	for (uint32_t i = 0; i < app->n_workers; i++)
		c->unsaid += tg_tls_failures(app->workers[i].tls, say_failure, c);
	if (c->unsaid)
		tg_say(TG_WARN, "TLS: %llu more handshakes failed: see the drops called tls_*",
			(unsigned long long)c->unsaid);
	c->unsaid = 0;
}

void tg_tls_look(struct tg_app *app)
{
	static struct tg_order order = {.kind = TG_ORDER_TLS};
	struct tg_tls_control *c = app->tls;
	struct complaints to = {.err = NULL};
	bool fresh;
	int rc;

	pthread_mutex_lock(&c->lock);
	rc = tg_tls_store_refresh(c->store, seconds(), complain, &to);
	fresh = tg_tls_store_tick(c->store, seconds()) || rc > 0;
	pthread_mutex_unlock(&c->lock);
	say_failures(app);
	if (rc < 0)
		tg_say(TG_ERROR,
			"TLS: the files were not loaded, the old ones stay in use: correct them");
	if (rc > 0)
		tg_say(TG_INFO,
			"TLS: certificates were read again: used from the next handshake on");
	if (!fresh)
		return;
	order.tls = tg_tls_store_current(c->store);
	tg_workers_order(app, &order);
}
