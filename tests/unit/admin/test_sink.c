#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tgtest.h"
#include "fake_app.h"

static struct fake_app f;

static void start(const char *path, const char *format)
{
	struct tg_errbuf e = {""};

	fake_app_init(&f);
	f.snapshot.admin.access_log = path ? path : f.log;
	f.snapshot.admin.access_log_format = format;
	CU_ASSERT_EQUAL_FATAL(tg_sink_start(&f.app, &e), 0);
}

static struct tg_sink_counts counts(void)
{
	struct tg_sink_counts c;

	tg_sink_counts(&f.app, &c);
	return c;
}

/* One record of worker w, whose path is /n. */
static void log_record(uint32_t w, uint32_t n)
{
	struct tg_log_record *r = NULL;

	CU_ASSERT_FATAL(FAKE_WAIT((r = tg_log_reserve(f.workers[w].log)) != NULL));
	memset(r, 0, sizeof(*r));
	r->upstream_ns = -1;
	r->path_n = (uint16_t)snprintf((char *)r->path, sizeof(r->path), "/%u", n);
	tg_log_commit(f.workers[w].log);
}

static char *content(const char *path)
{
	static char buf[1 << 20];
	FILE *in = fopen(path, "r");
	size_t n = in ? fread(buf, 1, sizeof(buf) - 1, in) : 0;

	if (in)
		fclose(in);
	buf[n] = '\0';
	return buf;
}

static void lines_reach_the_file(void)
{
	char want[16], *at;
	struct stat st;

	start(NULL, "w%REQ(:PATH)%");
	for (uint32_t i = 0; i < 5000; i++)
		log_record(i % 2, i);
	tg_sink_stop(&f.app);
	at = content(f.log);
	/* Each worker's own lines are in its order. */
	for (uint32_t i = 0; i < 5000; i += 2) {
		snprintf(want, sizeof(want), "w/%u\n", i);
		at = strstr(at, want);
		CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	}
	CU_ASSERT_EQUAL(stat(f.log, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0640);
	fake_app_fini(&f);
}

static void a_single_line_does_not_wait_for_more(void)
{
	start(NULL, NULL);
	log_record(0, 7);
	CU_ASSERT(FAKE_WAIT(counts().lines == 1));
	CU_ASSERT_STRING_EQUAL(content(f.log),
		"[1970-01-01T00:00:00.000Z] \"- /7 HTTP/1.0\" 0 - 0 0 "
		"0 - \"-\" \"-\" \"-\" \"-\" \"-\"\n");
	fake_app_fini(&f);
}

static void reopens_after_a_rotation(void)
{
	char old[128];

	start(NULL, "%REQ(:PATH)%");
	log_record(0, 1);
	CU_ASSERT(FAKE_WAIT(counts().lines == 1));
	snprintf(old, sizeof(old), "%s.1", f.log);
	CU_ASSERT_EQUAL(rename(f.log, old), 0);
	tg_sink_reopen(&f.app);
	CU_ASSERT(FAKE_WAIT(counts().reopened == 1));
	log_record(0, 2);
	tg_sink_stop(&f.app);
	CU_ASSERT_STRING_EQUAL(content(old), "/1\n");
	CU_ASSERT_STRING_EQUAL(content(f.log), "/2\n");
	fake_app_fini(&f);
}

static void full_disk_drops_and_counts(void)
{
	start("/dev/full", NULL);
	for (uint32_t i = 0; i < 3000; i++)
		log_record(i % 2, i);
	CU_ASSERT(FAKE_WAIT(counts().lines_lost == 3000));
	CU_ASSERT_EQUAL(counts().lines, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_said(), "No space left"));
	fake_app_fini(&f);
}

/* A write that stops within a line: the torn line is ended before the next one, so that every line
 * in the file is a whole record or visibly none. */
static void torn_line_is_ended(void)
{
	struct rlimit old, small = {10, RLIM_INFINITY};

	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &small);
	start(NULL, "line%REQ(:PATH)%");
	log_record(0, 1); /* "line/1\n" */
	log_record(0, 2);
	CU_ASSERT(FAKE_WAIT(counts().lines + counts().lines_lost == 2));
	CU_ASSERT_EQUAL(counts().lines, 1);
	setrlimit(RLIMIT_FSIZE, &old);
	log_record(0, 3);
	tg_sink_stop(&f.app);
	CU_ASSERT_STRING_EQUAL(content(f.log), "line/1\nlin\nline/3\n");
	fake_app_fini(&f);
}

/* A reader of a pipe that does not read holds nobody up: not the worker, not the end. */
static void stuck_pipe(void)
{
	char fifo[128];
	int rd;

	fake_app_init(&f);
	snprintf(fifo, sizeof(fifo), "%s/fifo", f.dir);
	CU_ASSERT_EQUAL_FATAL(mkfifo(fifo, 0600), 0);
	rd = open(fifo, O_RDONLY | O_NONBLOCK);
	f.snapshot.admin.access_log = fifo;
	CU_ASSERT_EQUAL_FATAL(tg_sink_start(&f.app, NULL), 0);
	for (uint32_t i = 0; i < 8000; i++)
		log_record(0, i);
	CU_ASSERT(FAKE_WAIT(counts().lines_lost > 0));
	CU_ASSERT(counts().lines > 0);
	tg_sink_stop(&f.app);
	close(rd);
	fake_app_fini(&f);
}

static void refuses_what_cannot_be_opened(void)
{
	struct tg_errbuf e = {""};

	fake_app_init(&f);
	f.snapshot.admin.access_log = "/no/such/folder/x";
	CU_ASSERT_EQUAL(tg_sink_start(&f.app, &e), TG_ESYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "/no/such/folder/x: No such file"));
	CU_ASSERT_PTR_NULL(f.app.sink);
	f.snapshot.admin.access_log = f.log;
	f.snapshot.admin.access_log_format = "%NOPE%";
	CU_ASSERT_EQUAL(tg_sink_start(&f.app, &e), TG_EINVAL);
	f.snapshot.admin.access_log = "";
	CU_ASSERT_EQUAL(tg_sink_start(&f.app, &e), 0);
	CU_ASSERT_PTR_NULL(f.app.sink);
	tg_sink_reopen(&f.app);
	CU_ASSERT_EQUAL(counts().lines, 0);
	fake_app_fini(&f);
}

TG_TEST_MAIN("sink", {"lines reach the file", lines_reach_the_file},
	{"a single line does not wait for more", a_single_line_does_not_wait_for_more},
	{"reopens after a rotation", reopens_after_a_rotation},
	{"full disk drops and counts", full_disk_drops_and_counts},
	{"torn line is ended", torn_line_is_ended}, {"stuck pipe", stuck_pipe},
	{"refuses what cannot be opened", refuses_what_cannot_be_opened})
