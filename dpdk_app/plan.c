/* plan.c: what the configuration means on this machine: CPUs, kind of memory, its division. */
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "eal.h"
#include "hugepages.h"
#include "iface.h"

/* A NIC behind AF_XDP. */
static bool is_xdp_nic(const struct tg_port_conf *p)
{
	char iface[64], path[128];

	if (strncmp(p->device, "net_af_xdp", 10) ||
		!tg_device_arg(p->device, "iface=", iface, sizeof(iface)))
		return false;
	snprintf(path, sizeof(path), "/sys/class/net/%s/device", iface);
	return access(path, F_OK) == 0;
}

static void plan_ask(const struct tg_snapshot *s, struct tg_budget_ask *ask)
{
	const struct tg_dataplane_conf *d = &s->dataplane;

	*ask = (struct tg_budget_ask){.memory = d->memory,
		.max_connections = d->max_connections,
		.workers = d->workers,
		.ports = s->n_ports,
		.mtu = 1500,
		.tls = s->n_tls > 0,
		.log = s->admin.access_log && s->admin.access_log[0]};
	for (uint32_t i = 0; i < s->n_ports; i++) {
		uint32_t q = s->ports[i].queues ? s->ports[i].queues : d->workers;

		ask->rx_queues += q < d->workers ? q : d->workers;
		if (s->ports[i].mtu > ask->mtu)
			ask->mtu = s->ports[i].mtu;
		/* Without copies its kernel driver maps page by page, and drops what crosses to a
		 * page that does not follow for the device: at the end of a hugepage, or anywhere
		 * behind an IOMMU. */
		ask->paged |= is_xdp_nic(&s->ports[i]);
	}
}

/* All ports share the packet buffers, and AF_XDP takes none that is larger than a page. */
static int check_mtu(
	const struct tg_snapshot *s, const struct tg_budget_ask *ask, struct tg_errbuf *e)
{
	uint16_t most = tg_mtu_within_page();

	for (uint32_t i = 0; i < s->n_ports && ask->mtu > most; i++)
		if (strncmp(s->ports[i].device, "net_af_xdp", 10) == 0)
			return tg_fail(e, TG_ERANGE,
				"port %s: mtu = %u, but net_af_xdp needs packet buffers within a "
				"page, "
				"and all ports share them: at most %u, for each port; larger "
				"frames: "
				"net_af_packet, or a NIC",
				s->ports[i].name, ask->mtu, most);
	return 0;
}

static int plan_cpus(struct tg_app *app, struct tg_errbuf *e)
{
	const struct tg_dataplane_conf *d = &app->boot->dataplane;
	cpu_set_t allowed;
	int rc;

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
	return 0;
}

/* The user's own choice in dataplane.eal; false: none. */
static bool memory_chosen(struct tg_app *app, const struct tg_args *user)
{
	if (tg_args_have(user, "--no-huge"))
		app->memory_kind = TG_MEMORY_PLAIN;
	else if (tg_args_have(user, "--in-memory"))
		app->memory_kind = TG_MEMORY_PRIVATE;
	else if (tg_args_have(user, "--huge-dir") || tg_args_have(user, "--legacy-mem"))
		app->memory_kind = TG_MEMORY_SHARED;
	else
		return false;
	return true;
}

static void choose_memory(struct tg_app *app)
{
	uint64_t need = app->budget.eal_bytes;
	struct tg_hugepages h;

	tg_hugepages_look(&h, need);
	if (!h.enough) {
		app->memory_kind = TG_MEMORY_PLAIN;
		tg_say(TG_WARN,
			"no hugepages (%llu MiB needed, %llu MiB free): using ordinary pages, "
			"which is "
			"slower and cannot be captured from; to have them: sysctl "
			"vm.nr_hugepages=%llu",
			(unsigned long long)(need >> 20), (unsigned long long)(h.free_bytes >> 20),
			(unsigned long long)(need / (2 << 20) + 16));
	} else if (!h.mount[0]) {
		app->memory_kind = TG_MEMORY_PRIVATE;
		tg_say(TG_WARN,
			"no hugetlbfs of %llu KiB pages is mounted, so packets cannot be captured; "
			"to "
			"change it: mount -t hugetlbfs -o pagesize=%lluK none /dev/hugepages",
			(unsigned long long)(h.page >> 10), (unsigned long long)(h.page >> 10));
	} else {
		app->memory_kind = TG_MEMORY_SHARED;
		snprintf(app->huge_dir, sizeof(app->huge_dir), "%s", h.mount);
	}
}

/* A number of bytes in a file of one number ("max" and the like: none). */
static uint64_t read_limit(const char *path)
{
	unsigned long long n = 0;
	FILE *f = fopen(path, "re");

	if (!f || fscanf(f, "%llu", &n) != 1)
		n = UINT64_MAX;
	if (f)
		fclose(f);
	return n;
}

/* What the kernel could give without killing somebody. */
static uint64_t available(void)
{
	uint64_t cgroup = read_limit("/sys/fs/cgroup/memory.max");
	unsigned long long kib = UINT64_MAX >> 10;
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib << 10 < cgroup ? kib << 10 : cgroup;
}

/* Memory is fixed at start, and it shall be there: better an error now than an end by the kernel's
 * out-of-memory killer under load. */
static int check_available(const struct tg_app *app, struct tg_errbuf *e)
{
	const struct tg_budget *b = &app->budget;
	uint64_t need = app->n_workers * b->worker_bytes, have = available();

	if (!app->hugepages)
		need += b->eal_bytes;
	if (need <= have)
		return 0;
	return tg_fail(e, TG_ENOMEM,
		"dataplane.memory = \"%lluMiB\" takes %llu MiB beside hugepages, but only %llu MiB "
		"are "
		"free: lower it",
		(unsigned long long)(app->boot->dataplane.memory >> 20),
		(unsigned long long)(need >> 20), (unsigned long long)(have >> 20));
}

int tg_plan_start(struct tg_app *app, struct tg_errbuf *e)
{
	const char *eal = app->boot->dataplane.eal;
	struct tg_args user = {0};
	struct tg_budget_ask ask;
	int rc = plan_cpus(app, e);

	plan_ask(app->boot, &ask);
	if (!rc)
		rc = check_mtu(app->boot, &ask, e);
	if (!rc)
		rc = tg_budget_make(&ask, &app->budget, e);
	if (rc)
		return rc;
	tg_args_split(&user, eal ? eal : "");
	if (!memory_chosen(app, &user))
		choose_memory(app);
	tg_args_free(&user);
	app->hugepages = app->memory_kind != TG_MEMORY_PLAIN;
	return check_available(app, e);
}
