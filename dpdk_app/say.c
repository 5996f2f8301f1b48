/* say.c: what the operator reads: one line at a time, whole, on standard error. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app.h"

const char *tg_state_name(enum tg_state s)
{
	switch (s) {
	case TG_STATE_INIT:
		return "PRE_INITIALIZING";
	case TG_STATE_LIVE:
		return "LIVE";
	case TG_STATE_DRAINING:
	case TG_STATE_STOPPING:
		return "DRAINING";
	}
	return "UNKNOWN";
}

void tg_say(enum tg_level level, const char *fmt, ...)
{
	static const char *const names[] = {"info", "warning", "error"};
	char line[1200];
	struct timespec ts;
	struct tm tm;
	size_t n;
	va_list ap;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(
		line + n, sizeof(line) - n, ".%03ldZ %s: ", ts.tv_nsec / 1000000, names[level]);
	va_start(ap, fmt);
	n += (size_t)vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	/* One write a line: lines of several threads do not mix. Nobody can be told if it fails. */
	while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR)
		;
}
