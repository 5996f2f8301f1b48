/* fake_app.h: a struct tg_app with two workers, two listeners, a cluster and a port, and what the
 * admin interface and the sink call of other modules. For their tests. */
#ifndef FAKE_APP_H
#define FAKE_APP_H

#include "../../../dpdk_app/admin.h"
#include "../../../dpdk_app/sink.h"

#define FAKE_WORKERS 2

struct fake_app {
	struct tg_app app;
	struct tg_snapshot snapshot;
	struct tg_worker workers[FAKE_WORKERS];
	char dir[64]; /* an empty folder, removed with everything in it */
	char socket[96], log[96];
};

/* In state LIVE; neither admin nor sink is started. */
void fake_app_init(struct fake_app *f);
void fake_app_fini(struct fake_app *f);

/* What was asked of the control core since the last call: tg_command bits. */
unsigned int fake_commands(void);
/* What the next reload does: false is a file with two mistakes. */
void fake_reload_succeeds(bool yes);
/* The last text that was said, "" if none. */
const char *fake_said(void);

/* Waits until cond holds, 10 s at most; its value. */
#define FAKE_WAIT(cond) \
	({ \
		int fake_ms_ = 0; \
		while (!(cond) && fake_ms_++ < 10000) \
			fake_pause(); \
		(cond); \
	})
void fake_pause(void); /* 1 ms */

#endif
