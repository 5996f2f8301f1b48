/* The paths that change something. They only ask: the control core does. */
#include <microhttpd.h>
#include <time.h>

#include "admin_req.h"

#define RELOAD_WAIT_MS 5000

/* Why the control core refused the file: it is read again as --check does, for all its errors. If
 * it has been mended since, the first one as the control core saw it. */
static void print_errors(struct tg_admin_req *q)
{
	struct tg_snapshot *s = tg_config_load(q->app->config_path, NULL, q->out);

	if (!s)
		return;
	if (tg_config_static_diff(q->app->boot, s, q->out)) {
		fputs("what differs there takes effect at a restart only\n", q->out);
	} else {
		pthread_mutex_lock(&q->app->lock);
		fprintf(q->out, "%s\n", q->app->reload_error);
		pthread_mutex_unlock(&q->app->lock);
	}
	tg_snapshot_free(s);
}

/* Waits until the control core has answered; false: not within the time. */
static bool wait_answer(struct tg_app *app, uint64_t reloads, uint64_t failures)
{
	for (uint32_t ms = 0; ms < RELOAD_WAIT_MS; ms += 2) {
		if (atomic_load(&app->reloads) != reloads ||
			atomic_load(&app->reload_failures) != failures)
			return true;
		nanosleep(&(struct timespec){0, 2000000}, NULL);
	}
	return false;
}

unsigned int tg_admin_reload(struct tg_admin_req *q)
{
	uint64_t reloads = atomic_load(&q->app->reloads);
	uint64_t failures = atomic_load(&q->app->reload_failures);
	uint64_t generation;

	if (atomic_load(&q->app->state) != TG_STATE_LIVE) {
		fprintf(q->out, "%s: nothing is reloaded\n",
			tg_state_name((enum tg_state)atomic_load(&q->app->state)));
		return MHD_HTTP_CONFLICT;
	}
	tg_app_command(q->app, TG_CMD_RELOAD);
	if (!wait_answer(q->app, reloads, failures)) {
		fputs("asked for; not yet done\n", q->out);
		return MHD_HTTP_ACCEPTED;
	}
	if (atomic_load(&q->app->reload_failures) != failures) {
		print_errors(q);
		fputs("nothing was changed\n", q->out);
		return MHD_HTTP_BAD_REQUEST;
	}
	generation = tg_app_hold(q->app)->generation;
	tg_app_release(q->app);
	fprintf(q->out, "OK\ngeneration %llu\n", (unsigned long long)generation);
	return MHD_HTTP_OK;
}

static unsigned int ask(struct tg_admin_req *q, enum tg_command c)
{
	tg_app_command(q->app, c);
	fputs("OK\n", q->out);
	return MHD_HTTP_OK;
}

unsigned int tg_admin_drain(struct tg_admin_req *q)
{
	return ask(q, TG_CMD_DRAIN);
}

unsigned int tg_admin_quit(struct tg_admin_req *q)
{
	return ask(q, TG_CMD_QUIT);
}

unsigned int tg_admin_reopen(struct tg_admin_req *q)
{
	return ask(q, TG_CMD_REOPEN);
}

unsigned int tg_admin_fail(struct tg_admin_req *q)
{
	*q->failed = true;
	fputs("OK\n", q->out);
	return MHD_HTTP_OK;
}

unsigned int tg_admin_ok(struct tg_admin_req *q)
{
	*q->failed = false;
	fputs("OK\n", q->out);
	return MHD_HTTP_OK;
}
