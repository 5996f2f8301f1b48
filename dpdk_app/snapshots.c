#include "snapshots.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "dns.h"
#include "ratelimit.h"
#include "tls.h"

struct tg_snapshots {
	struct tg_snapshots *next;
	struct tg_snapshot *s;
};

/* --- the first one --- */

int tg_config_start(struct tg_app *app, struct tg_errbuf *e)
{
	app->boot = tg_config_load(app->config_path, NULL, stderr);
	if (!app->boot)
		return tg_fail(e, TG_EINVAL, "the errors above are in %s", app->config_path);
	app->current = app->boot;
	app->n_workers = app->boot->dataplane.workers;
	app->stats = tg_stats_create(app->n_workers);
	app->breakers = tg_breakers_create(app->n_workers);
	app->health = tg_health_create(app->n_workers);
	if (!app->stats || !app->health || tg_snapshot_bind_stats(app->boot, app->stats) ||
		tg_snapshot_bind_health(app->boot, app->health)) {
		tg_config_stop(app);
		return tg_fail(e, TG_ENOMEM, "out of memory for the statistics");
	}
	if (!tg_ratelimit_prepare(app, app->boot, stderr)) {
		tg_config_stop(app);
		return tg_fail(e, TG_ENOMEM, "out of memory for the keys of rate limits");
	}
	tg_snapshot_use_health(app->boot);
	return 0;
}

void tg_config_stop(struct tg_app *app)
{
	while (app->old) {
		struct tg_snapshots *o = app->old;

		app->old = o->next;
		tg_names_forget(o->s);
		tg_snapshot_free(o->s);
		free(o);
	}
	if (app->current != app->boot) {
		tg_names_forget(app->current);
		tg_snapshot_free(app->current);
	}
	if (app->boot) {
		tg_names_forget(app->boot);
		tg_snapshot_free(app->boot);
	}
	app->boot = app->current = NULL;
	if (app->stats)
		tg_stats_destroy(app->stats);
	tg_breakers_destroy(app->breakers);
	tg_health_destroy(app->health);
	app->health = NULL;
	tg_ratelimit_free(app);
	app->stats = NULL;
}

/* --- readers --- */

const struct tg_snapshot *tg_app_hold(struct tg_app *app)
{
	const struct tg_snapshot *s;

	pthread_mutex_lock(&app->lock);
	app->holds++;
	s = app->current;
	pthread_mutex_unlock(&app->lock);
	return s;
}

void tg_app_release(struct tg_app *app)
{
	pthread_mutex_lock(&app->lock);
	app->holds--;
	pthread_mutex_unlock(&app->lock);
}

/* --- the others --- */

/* Every line of a failed load goes to the log, the first also to app->reload_error. */
static void failed(struct tg_app *app, char *lines)
{
	char *rest = NULL, *line = strtok_r(lines, "\n", &rest);

	pthread_mutex_lock(&app->lock);
	snprintf(app->reload_error, sizeof(app->reload_error), "%s", line ? line : "out of memory");
	pthread_mutex_unlock(&app->lock);
	atomic_fetch_add(&app->reload_failures, 1);
	for (; line; line = strtok_r(NULL, "\n", &rest))
		tg_say(TG_ERROR, "%s", line);
	tg_say(TG_ERROR, "%s was not loaded, nothing has changed: correct it and reload again",
		app->config_path);
}

struct tg_snapshot *tg_snapshots_load(struct tg_app *app)
{
	struct tg_snapshots *o = calloc(1, sizeof(*o));
	struct tg_snapshot *next = NULL;
	char *lines = NULL;
	size_t n = 0;
	FILE *err = open_memstream(&lines, &n);

	if (err && o) {
		/* Without statistics at first: names of a refused file must not stay in them. */
		next = tg_config_load(app->config_path, NULL, err);
		if (next && tg_config_static_diff(app->boot, next, err)) {
			tg_snapshot_free(next);
			next = NULL;
		}
		if (next && !tg_tls_load(app, next, err)) {
			tg_snapshot_free(next);
			next = NULL;
		}
		/* What it makes stays: after what may refuse the file. */
		if (next && !tg_ratelimit_prepare(app, next, err)) {
			tg_tls_forget(app, next);
			tg_snapshot_free(next);
			next = NULL;
		}
		if (next && (tg_snapshot_bind_stats(next, app->stats) ||
				    tg_snapshot_bind_health(next, app->health))) {
			tg_tls_forget(app, next);
			fprintf(err, "out of memory for the statistics\n");
			tg_snapshot_free(next);
			next = NULL;
		}
		if (next && !tg_names_load(app, next, err)) {
			tg_tls_forget(app, next);
			tg_snapshot_free(next);
			next = NULL;
		}
	}
	if (err)
		fclose(err);
	if (!next) {
		char none[] = "out of memory";

		failed(app, lines ? lines : none);
		free(lines);
		free(o);
		return NULL;
	}
	free(lines);
	pthread_mutex_lock(&app->lock);
	next->generation = app->current->generation + 1;
	o->s = app->current;
	app->current = next;
	app->reload_error[0] = '\0';
	pthread_mutex_unlock(&app->lock);
	tg_ratelimit_change(app, o->s, next);
	tg_snapshot_use_health(next);
	if (o->s == app->boot) {
		free(o); /* it stays until the end */
	} else {
		o->next = app->old;
		app->old = o;
	}
	return next;
}

void tg_snapshots_replaced(struct tg_snapshot *old, const struct tg_snapshot *next)
{
	for (uint32_t i = 0; i < old->n_clusters; i++) {
		struct tg_cluster *was = &old->clusters[i];
		const struct tg_cluster *c =
			tg_cluster_find(next->cluster_names, tg_view_str(was->name));

		tg_health_replaced(was->live ? was->live : was, c ? tg_cluster_live(c) : NULL);
	}
}

static bool in_use(struct tg_app *app, struct tg_snapshot *s)
{
	for (uint32_t i = 0; i < app->n_workers; i++)
		if (atomic_load(&app->workers[i].generation) <= s->generation ||
			__atomic_load_n(&s->worker[i].pins, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

void tg_snapshots_sweep(struct tg_app *app)
{
	pthread_mutex_lock(&app->lock);
	for (struct tg_snapshots **p = &app->old; *p && !app->holds;) {
		struct tg_snapshots *o = *p;

		if (in_use(app, o->s)) {
			p = &o->next;
			continue;
		}
		*p = o->next;
		tg_tls_forget(app, o->s);
		tg_names_forget(o->s);
		tg_snapshot_free(o->s);
		free(o);
	}
	pthread_mutex_unlock(&app->lock);
}
