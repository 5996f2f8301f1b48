/* sink.h: the access log's other end. One thread takes the records out of the workers' rings,
 * formats and writes them.
 *
 * A worker never waits for it: a full ring is the worker's drop (log_dropped), lines that cannot be
 * written (disk full) are the sink's (lines_lost). Lines wait at most a second, or until there are
 * 64 KiB of them. Memory: one buffer, fixed at start. The thread blocks all signals and inherits
 * the CPUs of its maker (the control core's, not a worker's).
 */
#ifndef TIDEGATE_APP_SINK_H
#define TIDEGATE_APP_SINK_H

#include "app.h"

/* Opens the file named in app->boot->admin and starts the thread; app->workers[].log must be set
 * and stay. Nothing is done when there is no access log. Sets app->sink. TG_ESYS, TG_EINVAL,
 * TG_ENOMEM with text. */
int tg_sink_start(struct tg_app *app, struct tg_errbuf *e);
/* Writes what the rings hold and ends. The workers have stopped. Clears app->sink; NULL is fine. */
void tg_sink_stop(struct tg_app *app);
/* Opens the file anew before the next line (after a rotation). Any thread; returns at once. */
void tg_sink_reopen(struct tg_app *app);

struct tg_sink_counts {
	uint64_t lines, bytes; /* written */
	uint64_t lines_lost;   /* formatted, but not written in full */
	uint64_t writes_failed;
	uint64_t reopened, reopen_failed;
};
/* Any thread. All zero when there is no access log. */
void tg_sink_counts(const struct tg_app *app, struct tg_sink_counts *out);

#endif
