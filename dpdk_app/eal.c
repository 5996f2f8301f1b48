#include "eal.h"

#include <ctype.h>
#include <dirent.h>
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
#include <rte_mbuf.h>
#include <rte_pdump.h>

#include "cpus.h"
#include "hugepages.h"
#include "janitor.h"

#define ARGS_MAX 128
#define PREFIX "tidegate"

struct args {
	int n;
	char *v[ARGS_MAX + 1];
	bool full;
};

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
	snprintf(said, sizeof(said), "%.*s", (int)len, buf);
	/* Before DPDK is up, its last words go into our own error message; said twice they would
	 * only confuse. */
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

static uint16_t largest_mtu(const struct tg_snapshot *s)
{
	uint16_t mtu = 1500;

	for (uint32_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].mtu > mtu)
			mtu = s->ports[i].mtu;
	return mtu;
}

int tg_plan_start(struct tg_app *app, struct tg_errbuf *e)
{
	const struct tg_snapshot *s = app->boot;
	const struct tg_dataplane_conf *d = &s->dataplane;
	struct tg_budget_ask ask = {.memory = d->memory,
		.max_connections = d->max_connections,
		.workers = d->workers,
		.ports = s->n_ports,
		.mtu = largest_mtu(s),
		.log = s->admin.access_log && s->admin.access_log[0]};
	cpu_set_t allowed;
	int rc;

	for (uint32_t i = 0; i < s->n_ports; i++) {
		uint32_t q = s->ports[i].queues ? s->ports[i].queues : d->workers;

		ask.rx_queues += q < d->workers ? q : d->workers;
	}
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return tg_fail(e, TG_ESYS, "cannot read the CPU affinity: %s", strerror(errno));
	rc = tg_cpu_plan_make(&app->cpus, &allowed, d->workers, d->cpus, d->n_cpus, e);
	if (rc)
		return rc;
	if (app->cpus.workers_share)
		tg_say(TG_WARN,
			"%u workers share %d CPU(s), so none of them runs at full speed; set "
			"dataplane.workers to at most %d",
			d->workers, CPU_COUNT(&allowed), CPU_COUNT(&allowed));
	else if (app->cpus.control_shares && d->idle == TG_IDLE_SPIN)
		tg_say(TG_WARN, "every CPU has a worker that spins; admin requests and reloads "
				"will be slow: "
				"leave a CPU free, or set dataplane.idle = \"adaptive\"");
	return tg_budget_make(&ask, &app->budget, e);
}

/* --- arguments --- */

static void add(struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	if (a->n == ARGS_MAX) {
		a->full = true;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&a->v[a->n], fmt, ap) < 0)
		a->full = true;
	else
		a->v[++a->n] = NULL;
	va_end(ap);
}

/* dataplane.eal, split at blanks; quotes group, as in a shell. */
static void add_user(struct args *a, const char *text)
{
	char word[1024], quote = '\0';
	size_t n = 0;
	bool in = false;

	for (const char *p = text;; p++) {
		if (!*p || (!quote && isspace((unsigned char)*p))) {
			if (in)
				add(a, "%.*s", (int)n, word);
			in = false;
			n = 0;
			if (!*p)
				return;
		} else if (quote ? *p == quote : (*p == '"' || *p == '\'')) {
			quote = quote ? '\0' : *p;
			in = true;
		} else {
			in = true;
			if (n < sizeof(word))
				word[n++] = *p;
			else
				a->full = true;
		}
	}
}

/* Whether the user gave option `name` ("--no-huge", "-m"), with or without value. */
static bool given(const struct args *user, const char *name)
{
	size_t n = strlen(name);

	for (int i = 0; i < user->n; i++)
		if (strncmp(user->v[i], name, n) == 0 &&
			(!user->v[i][n] || user->v[i][n] == '=' || name[1] != '-'))
			return true;
	return false;
}

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
	if (mkdir(app->runtime_base, 0700) == 0)
		app->runtime_base_made = true;
	else if (errno != EEXIST)
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

static void add_memory(struct tg_app *app, struct args *a, const struct args *user)
{
	uint64_t need = app->budget.eal_bytes, mib = (need + (1 << 20) - 1) >> 20;
	struct tg_hugepages h;
	bool own = given(user, "--no-huge") || given(user, "--in-memory") ||
		   given(user, "--huge-dir") || given(user, "--legacy-mem");

	tg_hugepages_look(&h, need);
	if (given(user, "--no-huge") || (!own && !h.enough)) {
		app->memory_kind = TG_MEMORY_PLAIN;
		add(a, "--no-huge");
		add(a, "--no-shconf");
		if (!given(user, "-m"))
			add(a, "-m %llu", (unsigned long long)mib);
		if (!own)
			tg_say(TG_WARN,
				"no hugepages (%llu MiB needed, %llu MiB free): using ordinary "
				"pages, which is slower and cannot be captured from; to have them: "
				"sysctl vm.nr_hugepages=%llu",
				(unsigned long long)mib, (unsigned long long)(h.free_bytes >> 20),
				(unsigned long long)((need + (2 << 20) - 1) / (2 << 20) + 16));
	} else if (own ? given(user, "--in-memory") : !h.mount[0]) {
		app->memory_kind = TG_MEMORY_PRIVATE;
		add(a, "--in-memory");
		if (!own)
			tg_say(TG_WARN,
				"no hugetlbfs of %llu KiB pages is mounted, so packets cannot be "
				"captured; to change it: mount -t hugetlbfs -o pagesize=%lluK none "
				"/dev/hugepages",
				(unsigned long long)(h.page >> 10),
				(unsigned long long)(h.page >> 10));
	} else {
		app->memory_kind = TG_MEMORY_SHARED;
		if (!own) {
			add(a, "--huge-dir=%s", h.mount);
			snprintf(app->huge_dir, sizeof(app->huge_dir), "%s", h.mount);
		}
		if (any_device(app->boot, "net_memif"))
			add(a, "--single-file-segments");
	}
	app->hugepages = app->memory_kind != TG_MEMORY_PLAIN;
}

static void add_pci(const struct tg_snapshot *s, struct args *a)
{
	bool any = false;

	for (uint32_t i = 0; i < s->n_ports; i++) {
		const char *d = s->ports[i].device;

		if (!tg_device_is_pci(d))
			continue;
		any = true;
		add(a, "-a");
		add(a, "%s", strncmp(d, "pci:", 4) ? d : d + 4);
	}
	if (!any)
		add(a, "--no-pci");
}

static int make_args(struct tg_app *app, struct args *a, struct tg_errbuf *e)
{
	const struct tg_dataplane_conf *d = &app->boot->dataplane;
	const char *eal = d->eal ? d->eal : "";
	struct args user = {0};
	char lcores[16384];
	int rc = 0;

	add_user(&user, eal);
	add(a, PREFIX);
	if (tg_cpu_plan_lcores(&app->cpus, lcores, sizeof(lcores)))
		return tg_fail(e, TG_ETOOBIG, "too many CPUs to name them to DPDK");
	add(a, "--lcores=%s", lcores);
	add(a, "--main-lcore=0");
	add(a, "--iova-mode=va");
	add(a, "--no-telemetry");
	add(a, "--log-level=*:warning");
	add_pci(app->boot, a);
	add_memory(app, a, &user);
	choose_prefix(app, app->memory_kind == TG_MEMORY_SHARED);
	if (app->memory_kind != TG_MEMORY_PRIVATE)
		add(a, "--file-prefix=%s", app->file_prefix);
	add_user(a, eal);
	if (a->full || user.full)
		rc = tg_fail(e, TG_ETOOBIG, "dataplane.eal is too long");
	for (int i = 0; i < user.n; i++)
		free(user.v[i]);
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

static int init(struct tg_app *app, struct args *a, struct tg_errbuf *e)
{
	char *argv[ARGS_MAX + 1];

	/* EAL permutes its vector; ours is freed afterwards. */
	memcpy(argv, a->v, sizeof(argv));
	if (rte_eal_init(a->n, argv) < 0)
		return tg_fail(e, TG_ESYS, "DPDK does not start: %s%s",
			rte_errno ? rte_strerror(rte_errno) : "see above", tg_eal_said());
	app->eal_up = true;
	app->runtime_dir = rte_eal_get_runtime_dir();
	return 0;
}

int tg_eal_start(struct tg_app *app, struct tg_errbuf *e)
{
	struct args a = {0};
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
		if (app->runtime_base_made)
			tg_janitor_tell(app->janitor, TG_CHORE_EMPTY_DIR, app->runtime_base);
		if (app->memory_kind == TG_MEMORY_SHARED && app->huge_dir[0]) {
			snprintf(path, sizeof(path), "%s/%smap_*", app->huge_dir, app->file_prefix);
			tg_janitor_tell(app->janitor, TG_CHORE_FILES, path);
		}
		rc = init(app, &a, e);
	}
	for (int i = 0; i < a.n; i++)
		free(a.v[i]);
	close(lock);
	if (rc)
		return rc;
	if (app->memory_kind == TG_MEMORY_SHARED && rte_pdump_init() == 0)
		tg_say(TG_INFO, "packets can be captured: dpdk-dumpcap --file-prefix=%s -i 0",
			app->file_prefix);
	said[0] = '\0';
	return 0;
}

void tg_eal_stop(struct tg_app *app)
{
	if (!app->eal_up)
		return;
	if (app->memory_kind == TG_MEMORY_SHARED)
		rte_pdump_uninit();
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
	app->mbufs = rte_pktmbuf_pool_create(
		"mbufs", b->n_mbufs, cache, 0, (uint16_t)b->mbuf_room, (int)rte_socket_id());
	if (!app->mbufs)
		return tg_fail(e, TG_ENOMEM,
			"no memory for %u packet buffers of %u bytes: %s%s; lower dataplane.memory",
			b->n_mbufs, b->mbuf_bytes, rte_strerror(rte_errno), tg_eal_said());
	/* AF_XDP shares one piece of memory with the kernel. */
	if (app->mbufs->nb_mem_chunks > 1 && any_device(app->boot, "net_af_xdp"))
		return tg_fail(e, TG_ENOMEM,
			"the packet buffers do not lie in one piece, which net_af_xdp needs: use "
			"more "
			"or larger hugepages, or dataplane.eal = \"--no-huge\"");
	return 0;
}

void tg_mbufs_stop(struct tg_app *app)
{
	rte_mempool_free(app->mbufs);
	app->mbufs = NULL;
}
