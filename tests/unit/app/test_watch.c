/* Which changes of files are seen: in a directory of this process, with the kernel's inotify. The
 * kernel queues an event in the call that causes it, so nothing has to be waited for. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../dpdk_app/watch.h"
#include "../tgtest.h"

static char dir[64];

static void run(const char *fmt, ...)
{
	char cmd[512];
	int n = snprintf(cmd, sizeof(cmd), "cd %s && ", dir);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd + n, sizeof(cmd) - (size_t)n, fmt, ap);
	va_end(ap);
	CU_ASSERT_EQUAL_FATAL(system(cmd), 0);
}

static const char *in(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static struct tg_watch *watch(const char *name)
{
	struct tg_watch *w = tg_watch_open();

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	tg_watch_begin(w);
	tg_watch_add(w, in(name));
	tg_watch_end(w);
	CU_ASSERT_PTR_NULL(tg_watch_blind(w));
	CU_ASSERT_FALSE(tg_watch_changed(w));
	return w;
}

static void again(struct tg_watch *w, const char *name)
{
	tg_watch_begin(w);
	tg_watch_add(w, in(name));
	tg_watch_end(w);
}

/* A change is seen once. */
static void seen(struct tg_watch *w)
{
	CU_ASSERT(tg_watch_changed(w));
	CU_ASSERT_FALSE(tg_watch_changed(w));
}

static void plain(void)
{
	struct tg_watch *w;

	run("echo a > f; echo b > other");
	w = watch("f");
	run("echo b > f");
	seen(w);
	run("echo c >> f");
	seen(w);
	run("echo c > g && mv g f");
	seen(w);
	run("chmod 600 f");
	seen(w);
	run("rm f");
	seen(w);
	run("echo back > f");
	seen(w);
	run("echo noise > other && rm other && cat f > /dev/null");
	CU_ASSERT_FALSE(tg_watch_changed(w));
	tg_watch_close(w);
}

static void writers(void)
{
	struct tg_watch *w;
	FILE *f;

	run("echo a > f");
	w = watch("f");
	f = fopen(in("f"), "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	seen(w); /* it is empty now */
	CU_ASSERT(tg_watch_writing(w));
	fputs("half", f);
	fflush(f);
	seen(w);
	CU_ASSERT(tg_watch_writing(w));
	fclose(f);
	seen(w);
	CU_ASSERT_FALSE(tg_watch_writing(w));
	f = fopen(in("f"), "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("more", f);
	fflush(f);
	seen(w);
	CU_ASSERT(tg_watch_writing(w));
	run("echo b > g && mv g f"); /* another file now */
	seen(w);
	CU_ASSERT_FALSE(tg_watch_writing(w));
	fclose(f);
	tg_watch_close(w);
}

/* As Kubernetes mounts secrets: f -> ..data/f, ..data -> ..1; a swap renames another ..data over.
 */
static void kubernetes(void)
{
	struct tg_watch *w;

	run("mkdir k k/..1 && echo 1 > k/..1/f && ln -s ..1 k/..data && ln -s ..data/f k/f");
	w = watch("k/f");
	run("mkdir k/..2 && echo 2 > k/..2/f && ln -s ..2 k/..data_tmp");
	CU_ASSERT_FALSE(tg_watch_changed(w));
	run("mv -T k/..data_tmp k/..data");
	seen(w);
	again(w, "k/f");
	run("rm -r k/..1"); /* is not watched any more */
	CU_ASSERT_FALSE(tg_watch_changed(w));
	run("echo 3 > k/..2/f");
	seen(w);
	tg_watch_close(w);
}

static void links(void)
{
	struct tg_watch *w;

	run("mkdir -p r/1 r/2 && echo 1 > r/1/f && echo 2 > r/2/f && ln -s %s/r/1 r/now", dir);
	w = watch("./r/../r/now/f");
	run("ln -s 2 r/new && mv -T r/new r/now");
	seen(w);
	again(w, "r/now/f");
	run("echo 1 > r/1/f");
	CU_ASSERT_FALSE(tg_watch_changed(w));
	run("echo 2 > r/2/f");
	seen(w);
	/* Links that lead nowhere or in a circle end the walk, and their change is seen. */
	run("ln -sfn a r/b && ln -sfn b r/a");
	tg_watch_changed(w);
	again(w, "r/a/f");
	CU_ASSERT_FALSE(tg_watch_changed(w));
	run("rm r/a && mkdir r/a && echo 3 > r/a/f");
	seen(w);
	tg_watch_close(w);
}

static void directories(void)
{
	struct tg_watch *w;

	run("mkdir -p d/e && echo 1 > d/e/f");
	w = watch("d/e/f");
	run("rm -r d");
	seen(w);
	again(w, "d/e/f"); /* nothing is there */
	run("mkdir d");
	seen(w);
	again(w, "d/e/f");
	run("mkdir d/e");
	seen(w);
	again(w, "d/e/f");
	run("echo 1 > d/e/f");
	seen(w);
	again(w, "d/e/f");
	run("mv d/e d/old && mkdir d/e && echo 2 > d/e/f");
	seen(w);
	again(w, "d/e/f");
	run("echo 3 > d/e/f");
	seen(w);
	run("echo 3 > d/old/f");
	CU_ASSERT_FALSE(tg_watch_changed(w));
	tg_watch_close(w);
}

static void relative(void)
{
	struct tg_watch *w = tg_watch_open();
	char before[4096];

	CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(before, sizeof(before)));
	CU_ASSERT_EQUAL_FATAL(chdir(dir), 0);
	run("echo 1 > rel");
	tg_watch_begin(w);
	tg_watch_add(w, "rel");
	tg_watch_end(w);
	run("echo 2 > rel");
	seen(w);
	CU_ASSERT_EQUAL(chdir(before), 0);
	tg_watch_close(w);
}

/* Without a descriptor, or without the right to look into a directory, it says that it is blind. */
static void blind(void)
{
	struct rlimit lim, none = {0, 0};
	struct tg_watch *w;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &lim), 0);
	none.rlim_max = lim.rlim_max;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &none), 0);
	w = tg_watch_open();
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &lim), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	CU_ASSERT_EQUAL(tg_watch_fd(w), -1);
	again(w, "f");
	CU_ASSERT_PTR_NOT_NULL(tg_watch_blind(w));
	CU_ASSERT_FALSE(tg_watch_changed(w));
	tg_watch_close(w);
	w = tg_watch_open();
	run("mkdir -p p && echo 1 > p/f && chmod 111 p");
	if (geteuid() == 0)
		CU_ASSERT_EQUAL_FATAL(seteuid(65534), 0);
	again(w, "p/f");
	CU_ASSERT_PTR_NOT_NULL(tg_watch_blind(w));
	if (getuid() == 0)
		CU_ASSERT_EQUAL_FATAL(seteuid(0), 0);
	run("chmod 755 p");
	again(w, "p/f");
	CU_ASSERT_PTR_NULL(tg_watch_blind(w));
	tg_watch_close(w);
}

static void long_paths(void)
{
	struct tg_watch *w = tg_watch_open();
	char path[6000];

	memset(path, '/', sizeof(path));
	for (size_t i = 0; i < sizeof(path); i += 2)
		path[i + 1] = 'a';
	path[sizeof(path) - 1] = 0;
	tg_watch_begin(w);
	tg_watch_add(w, path);
	tg_watch_end(w);
	CU_ASSERT_PTR_NOT_NULL(tg_watch_blind(w));
	tg_watch_begin(w);
	tg_watch_end(w);
	CU_ASSERT_PTR_NULL(tg_watch_blind(w));
	tg_watch_close(w);
}

static void in_dir(void (*fn)(void))
{
	char cmd[128];

	strcpy(dir, "/tmp/tg-test-watch-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	chmod(dir, 0755);
	fn();
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

#define DIR_TEST(fn) \
	static void fn##_in_dir(void) \
	{ \
		in_dir(fn); \
	}
DIR_TEST(plain)
DIR_TEST(writers)
DIR_TEST(kubernetes)
DIR_TEST(links)
DIR_TEST(directories)
DIR_TEST(relative)
DIR_TEST(blind)
DIR_TEST(long_paths)

TG_TEST_MAIN("watch", {"files", plain_in_dir}, {"writers", writers_in_dir},
	{"Kubernetes' links", kubernetes_in_dir}, {"other links", links_in_dir},
	{"directories", directories_in_dir}, {"relative paths", relative_in_dir},
	{"blind", blind_in_dir}, {"long paths", long_paths_in_dir})
