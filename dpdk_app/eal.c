#include "eal.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mempool.h>

#include "args.h"
#include "janitor.h"
#include "mbufs.h"

#define PREFIX "tidegate"

/* DPDK's log is per process; so is what of it we keep. */
static char said[200];
static bool debug_log;

static ssize_t log_write(void *ctx, const char *buf, size_t n)
{
	size_t len = n;

	while (len && isspace((unsigned char)buf[len - 1]))
		len--;
	if (!len)
		return (ssize_t)n;
	/* The first line is the cause, what follows are consequences. They go into our own error
	 * messages; said twice they would only confuse. */
	if (!said[0])
		snprintf(said, sizeof(said), "%.*s", (int)len, buf);
	if (debug_log)
		tg_say(TG_INFO, "DPDK: %.*s", (int)len, buf);
	return (ssize_t)n;
}

const char *tg_eal_said(void)
{
	static char text[sizeof(said) + 16];

	text[0] = '\0';
	if (said[0])
		snprintf(text, sizeof(text), " (DPDK: %s)", said);
	said[0] = '\0';
	return text;
}

static void catch_log(const char *user_args)
{
	static const cookie_io_functions_t io = {.write = log_write};
	FILE *f = fopencookie(NULL, "w", io);

	debug_log = strstr(user_args, "--log-level") != NULL;
	if (f) {
		setvbuf(f, NULL, _IOLBF, BUFSIZ);
		rte_openlog_stream(f);
	}
}

static int bpf_print(int level, const char *fmt, va_list ap)
{
	char text[512];

	if (!debug_log || level > 1)
		return 0;
	vsnprintf(text, sizeof(text), fmt, ap);
	tg_say(TG_INFO, "%.*s", (int)strcspn(text, "\n"), text);
	return 0;
}

/* net_af_xdp's libraries write what they find remarkable to standard error: a dozen lines for each
 * interface, none of them the user's concern. They come with the driver, so they are looked up. */
static void quiet_bpf(void)
{
	static const char *const who[][2] = {
		{"libbpf.so.1", "libbpf_set_print"}, {"libxdp.so.1", "libxdp_set_print"}};

	for (size_t i = 0; i < sizeof(who) / sizeof(who[0]); i++) {
		void *lib = dlopen(who[i][0], RTLD_LAZY | RTLD_NOLOAD);
		void *sym = lib ? dlsym(lib, who[i][1]) : NULL;
		void *(*set)(int (*)(int, const char *, va_list));

		memcpy(&set, &sym, sizeof(set)); /* ISO C has no cast for it */
		if (sym)
			set(bpf_print);
	}
}

bool tg_device_is_pci(const char *d)
{
	unsigned int domain, bus, dev, fn;
	int n = 0;

	if (strncmp(d, "pci:", 4) == 0)
		d += 4;
	if (sscanf(d, "%4x:%2x:%2x.%1x%n", &domain, &bus, &dev, &fn, &n) == 4 && n > 0)
		return d[n] == '\0' || d[n] == ',';
	n = 0;
	if (sscanf(d, "%2x:%2x.%1x%n", &bus, &dev, &fn, &n) == 3 && n > 0)
		return d[n] == '\0' || d[n] == ',';
	return false;
}

/* --- arguments --- */

/* "tidegate", so that the command line of dpdk-dumpcap is always the same; with the process's
 * number if another instance has that name. The caller holds the lock on the folder. */
static void choose_prefix(struct tg_app *app, bool shared)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_MAX + 32];
	int fd;

	snprintf(app->file_prefix, sizeof(app->file_prefix), PREFIX "-%d", (int)getpid());
	if (!shared)
		return;
	snprintf(path, sizeof(path), "%s/" PREFIX "/config", app->runtime_base);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK))
		snprintf(app->file_prefix, sizeof(app->file_prefix), PREFIX);
	if (fd >= 0)
		close(fd);
}

/* EAL's rule for where its files are, and the folder locked against other instances' start. */
static int lock_runtime_base(struct tg_app *app, struct tg_errbuf *e)
{
	const char *dir = getenv("RUNTIME_DIRECTORY");
	int fd;

	if (!dir && getuid() == 0)
		dir = "/var/run";
	if (!dir)
		dir = getenv("XDG_RUNTIME_DIR");
	snprintf(app->runtime_base, sizeof(app->runtime_base), "%s/dpdk", dir ? dir : "/tmp");
	if (mkdir(app->runtime_base, 0700) && errno != EEXIST)
		return tg_fail(
			e, TG_ESYS, "cannot create %s: %s", app->runtime_base, strerror(errno));
	fd = open(app->runtime_base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		int err = errno;

		if (fd >= 0)
			close(fd);
		return tg_fail(e, TG_ESYS, "cannot open %s: %s", app->runtime_base, strerror(err));
	}
	return fd;
}

static bool any_device(const struct tg_snapshot *s, const char *start)
{
	for (uint32_t i = 0; i < s->n_ports; i++)
		if (strncmp(s->ports[i].device, start, strlen(start)) == 0)
			return true;
	return false;
}

static void add_memory(struct tg_app *app, struct tg_args *a, const struct tg_args *user)
{
	uint64_t need = app->budget.eal_bytes;
	unsigned long long mib = (need + (1 << 20) - 1) >> 20;

	switch (app->memory_kind) {
	case TG_MEMORY_PLAIN:
		tg_args_add(a, "--no-huge");
		tg_args_add(a, "--no-shconf");
		if (!tg_args_have(user, "-m"))
			tg_args_add(a, "-m%llu", mib);
		break;
	case TG_MEMORY_PRIVATE:
		tg_args_add(a, "--in-memory");
		break;
	case TG_MEMORY_SHARED:
		if (app->huge_dir[0])
			tg_args_add(a, "--huge-dir=%s", app->huge_dir);
		if (any_device(app->boot, "net_memif"))
			tg_args_add(a, "--single-file-segments");
		break;
	}
}

static void add_pci(const struct tg_snapshot *s, struct tg_args *a)
{
	bool any = false;

	for (uint32_t i = 0; i < s->n_ports; i++) {
		const char *d = s->ports[i].device;

		if (!tg_device_is_pci(d))
			continue;
		any = true;
		tg_args_add(a, "-a");
		tg_args_add(a, "%s", strncmp(d, "pci:", 4) ? d : d + 4);
	}
	if (!any)
		tg_args_add(a, "--no-pci");
}

static int make_args(struct tg_app *app, struct tg_args *a, struct tg_errbuf *e)
{
	const struct tg_dataplane_conf *d = &app->boot->dataplane;
	const char *eal = d->eal ? d->eal : "";
	struct tg_args user = {0};
	char lcores[16384];
	int rc = 0;

	tg_args_split(&user, eal);
	tg_args_add(a, PREFIX);
	if (tg_cpu_plan_lcores(&app->cpus, lcores, sizeof(lcores)))
		return tg_fail(e, TG_ETOOBIG, "too many CPUs to name them to DPDK");
	tg_args_add(a, "--lcores=%s", lcores);
	tg_args_add(a, "--main-lcore=0");
	tg_args_add(a, "--iova-mode=va");
	tg_args_add(a, "--no-telemetry");
	tg_args_add(a, "--log-level=*:warning");
	add_pci(app->boot, a);
	add_memory(app, a, &user);
	choose_prefix(app, app->memory_kind == TG_MEMORY_SHARED);
	if (app->memory_kind != TG_MEMORY_PRIVATE)
		tg_args_add(a, "--file-prefix=%s", app->file_prefix);
	tg_args_split(a, eal);
	if (a->full || user.full)
		rc = tg_fail(e, TG_ETOOBIG, "dataplane.eal is too long");
	tg_args_free(&user);
	return rc;
}

/* What of EAL's is left behind by a killed process: its runtime folder. Hugepage files are cleared
 * by EAL's own start. */
static void sweep_dead(struct tg_app *app)
{
	DIR *dir = opendir(app->runtime_base);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		char path[PATH_MAX + 300];
		char *end;
		long pid;

		if (strncmp(d->d_name, PREFIX "-", sizeof(PREFIX)) != 0)
			continue;
		pid = strtol(d->d_name + sizeof(PREFIX), &end, 10);
		if (*end || pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
			continue;
		snprintf(path, sizeof(path), "%s/%s", app->runtime_base, d->d_name);
		tg_janitor_remove_dir(path);
	}
	if (dir)
		closedir(dir);
}

static int init(struct tg_app *app, struct tg_args *a, struct tg_errbuf *e)
{
	char *argv[TG_ARGS_MAX + 1];
	int out = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC), rc;

	/* EAL permutes its vector; ours is freed afterwards. About an option that it does not know
	 * it prints all that it does know. */
	memcpy(argv, a->v, sizeof(argv));
	if (null >= 0 && out >= 0)
		dup2(null, STDOUT_FILENO);
	rc = rte_eal_init(a->n, argv);
	fflush(stdout);
	if (null >= 0 && out >= 0)
		dup2(out, STDOUT_FILENO);
	if (null >= 0)
		close(null);
	if (out >= 0)
		close(out);
	if (rc < 0 && rte_errno == EINVAL && app->boot->dataplane.eal &&
		app->boot->dataplane.eal[0])
		return tg_fail(e, TG_EINVAL,
			"DPDK does not accept its arguments: check dataplane.eal = \"%s\"%s",
			app->boot->dataplane.eal, tg_eal_said());
	if (rc < 0)
		return tg_fail(e, TG_ESYS, "DPDK does not start: %s%s", rte_strerror(rte_errno),
			tg_eal_said());
	app->eal_up = true;
	quiet_bpf();
	app->runtime_dir = rte_eal_get_runtime_dir();
	return 0;
}

int tg_eal_start(struct tg_app *app, struct tg_errbuf *e)
{
	struct tg_args a = {0};
	int lock = lock_runtime_base(app, e), rc;

	if (lock < 0)
		return lock;
	sweep_dead(app);
	catch_log(app->boot->dataplane.eal ? app->boot->dataplane.eal : "");
	rc = make_args(app, &a, e);
	if (!rc) {
		char path[PATH_MAX * 2];

		/* Told before the files exist: whatever happens now, they go. */
		snprintf(path, sizeof(path), "%s/%s", app->runtime_base, app->file_prefix);
		if (app->memory_kind != TG_MEMORY_PRIVATE)
			tg_janitor_tell(app->janitor, TG_CHORE_DIR, path);
		tg_janitor_tell(app->janitor, TG_CHORE_EMPTY_DIR, app->runtime_base);
		if (app->memory_kind == TG_MEMORY_SHARED && app->huge_dir[0]) {
			snprintf(path, sizeof(path), "%s/%smap_*", app->huge_dir, app->file_prefix);
			tg_janitor_tell(app->janitor, TG_CHORE_FILES, path);
		}
		rc = init(app, &a, e);
	}
	tg_args_free(&a);
	close(lock);
	if (rc)
		return rc;
	said[0] = '\0';
	return 0;
}

void tg_eal_stop(struct tg_app *app)
{
	if (!app->eal_up)
		return;
	rte_eal_cleanup();
	app->eal_up = false;
}

/* --- packet buffers --- */

int tg_mbufs_start(struct tg_app *app, struct tg_errbuf *e)
{
	const struct tg_budget *b = &app->budget;
	uint32_t cache = b->n_mbufs / 4 / (app->n_workers + 1);

	if (cache > RTE_MEMPOOL_CACHE_MAX_SIZE)
		cache = RTE_MEMPOOL_CACHE_MAX_SIZE;
	if (cache > 256)
		cache = 256;
	app->mbufs = tg_mbufs_make(b->n_mbufs, b->mbuf_room, cache);
	if (!app->mbufs)
		return tg_fail(e, TG_ENOMEM,
			"no memory for %u packet buffers of %u bytes: %s%s; lower dataplane.memory",
			b->n_mbufs, b->mbuf_bytes, rte_strerror(rte_errno), tg_eal_said());
	if (any_device(app->boot, "net_af_xdp") && !tg_mbufs_side_by_side(app->mbufs))
		return tg_fail(e, TG_ENOMEM,
			"the packet buffers do not lie side by side in one piece, which net_af_xdp "
			"needs: %s",
			rte_eal_iova_mode() == RTE_IOVA_PA
				? "leave --iova-mode=pa out of dataplane.eal"
				: "use larger hugepages, or more of them on one NUMA node, or a "
				  "smaller dataplane.memory, or dataplane.eal = \"--no-huge\"");
	return 0;
}

void tg_mbufs_stop(struct tg_app *app)
{
	rte_mempool_free(app->mbufs);
	app->mbufs = NULL;
}
