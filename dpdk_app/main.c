/* main.c: the order in which the process comes up, and the reverse of it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rte_version.h>

#include <tidegate/http1.h>

#include "admin.h"
#include "capture.h"
#include "control.h"
#include "dns.h"
#include "eal.h"
#include "janitor.h"
#include "plan.h"
#include "port.h"
#include "ratelimit.h"
#include "sink.h"
#include "tls.h"
#include "worker.h"

static const char help[] =
	"tidegate: a service-mesh and API-gateway dataplane in user space\n"
	"\n"
	"usage: tidegate -c FILE            run in the foreground until SIGTERM or SIGINT\n"
	"       tidegate -c FILE --check    only read FILE: exit 0, or 1 with every error as\n"
	"                                   FILE:LINE: message (needs no root and no device)\n"
	"       tidegate --version | --help\n"
	"\n"
	"signals: SIGHUP   reload FILE; a bad file changes nothing and the log says why\n"
	"         SIGTERM  and SIGINT: finish what is under way (dataplane.drain_time), then exit\n"
	"                  0; a second one ends it now\n"
	"         SIGUSR1  open log files anew, after a rotation\n"
	"\n"
	"The least FILE that proxies HTTP from one interface to an origin behind another:\n"
	"\n"
	"  ports: (\n"
	"    { name = \"north\"; device = \"net_af_xdp0,iface=eth1\"; addresses = "
	"[\"10.77.1.1/24\"]; },\n"
	"    { name = \"south\"; device = \"net_af_xdp1,iface=eth2\"; addresses = "
	"[\"10.77.2.1/24\"]; }\n"
	"  );\n"
	"  listeners: ( { name = \"web\"; address = \"10.77.1.1:80\"; protocol = \"http\";\n"
	"                 virtual_hosts = [\"all\"]; } );\n"
	"  virtual_hosts: ( { name = \"all\"; domains = [\"*\"];\n"
	"    routes: ( { match: { prefix = \"/\"; }; route: { cluster = \"origin\"; }; } ); } );\n"
	"  clusters: ( { name = \"origin\"; endpoints: ( { address = \"10.77.2.2:8080\"; } ); } "
	");\n"
	"\n"
	"cfg/tidegate.cfg explains every key. Devices are DPDK's: a PCI address "
	"(\"0000:03:00.0\",\n"
	"bound to vfio-pci), net_af_xdp, net_af_packet, net_tap, net_memif, virtio_user and "
	"others.\n"
	"While it runs, tgctl asks it: tgctl ready, tgctl stats, tgctl clusters.\n";

struct step {
	const char *name;
	int (*start)(struct tg_app *app, struct tg_errbuf *e);
	void (*stop)(struct tg_app *app);
};

static int janitor_start(struct tg_app *app, struct tg_errbuf *e)
{
	app->janitor = tg_janitor_start(e);
	return app->janitor ? 0 : TG_ESYS;
}

static void janitor_stop(struct tg_app *app)
{
	tg_janitor_stop(app->janitor);
	app->janitor = NULL;
}

static int admin_start(struct tg_app *app, struct tg_errbuf *e)
{
	const char *path = app->boot->admin.socket;
	int rc = tg_admin_start(app, e);
	char what[PATH_MAX];
	struct stat st;

	if (!rc && path && path[0] && stat(path, &st) == 0) {
		snprintf(what, sizeof(what), "%llu %llu %s", (unsigned long long)st.st_dev,
			(unsigned long long)st.st_ino, path);
		tg_janitor_tell(app->janitor, TG_CHORE_INODE, what);
	}
	return rc;
}

/* Undone in reverse. Admin and sink end before what they look at; the loops of the workers have
 * ended by then (tg_control_run). */
static const struct step steps[] = {
	{"configuration", tg_config_start, tg_config_stop},
	{"signals", tg_control_start, tg_control_stop},
	{"janitor", janitor_start, janitor_stop},
	{"plan", tg_plan_start, NULL},
	{"DPDK", tg_eal_start, tg_eal_stop},
	{"packet buffers", tg_mbufs_start, tg_mbufs_stop},
	{"capture", tg_capture_start, tg_capture_stop},
	{"ports", tg_ports_start, tg_ports_stop},
	{"TLS", tg_tls_start, tg_tls_stop},
	{"names of endpoints", tg_names_start, tg_names_stop},
	{"workers", tg_workers_start, tg_workers_stop},
	{"rate limits", tg_ratelimit_start, tg_ratelimit_stop},
	{"sink", tg_sink_start, tg_sink_stop},
	{"admin", admin_start, tg_admin_stop},
	{"privileges", tg_privileges_drop, NULL},
};
#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

static int run(const char *config_path)
{
	static struct tg_app app;
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct tg_errbuf e = {{0}};
	struct timespec ts;
	size_t done = 0;
	int rc = 0;

	tg_h1_init("auto"); /* cannot fail: the scalar scanner always works */
	umask(0027);
	prctl(PR_SET_DUMPABLE, 0); /* until the configuration says otherwise (privs.c) */
	setrlimit(RLIMIT_MEMLOCK, &unlimited); /* AF_XDP pins its memory; may be refused */
	clock_gettime(CLOCK_REALTIME, &ts);
	app.started_at = (uint64_t)ts.tv_sec * TG_SEC + (uint64_t)ts.tv_nsec;
	app.config_path = config_path;
	app.command_fd = -1;
	pthread_mutex_init(&app.lock, NULL);
	for (; done < N_STEPS && !rc; done++)
		rc = steps[done].start(&app, &e);
	if (rc)
		done--; /* a step that fails has cleaned up after itself */
	else
		rc = tg_control_run(&app, &e);
	if (rc)
		tg_say(TG_ERROR, "not started: %s [%s]", e.text,
			done < N_STEPS ? steps[done].name : "run");
	while (done-- > 0)
		if (steps[done].stop)
			steps[done].stop(&app);
	if (!rc)
		tg_say(TG_INFO, "ended");
	pthread_mutex_destroy(&app.lock);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int check(const char *path)
{
	struct tg_snapshot *s = tg_config_load(path, NULL, stderr);
	uint32_t endpoints = 0;

	if (!s)
		return EXIT_FAILURE;
	if (!tg_tls_check(path, s, stderr)) {
		tg_snapshot_free(s);
		return EXIT_FAILURE;
	}
	for (uint32_t i = 0; i < s->n_clusters; i++)
		endpoints += s->clusters[i].n_endpoints + s->clusters[i].n_names;
	printf("%s: good: %u port(s), %u listener(s), %u virtual host(s), %u cluster(s), %u "
	       "endpoint(s)\n",
		path, s->n_ports, s->n_listeners, s->n_vhosts, s->n_clusters, endpoints);
	tg_snapshot_free(s);
	return EXIT_SUCCESS;
}

static int usage(const char *why)
{
	fprintf(stderr,
		"tidegate: %s\nusage: tidegate -c FILE [--check]; \"tidegate --help\" "
		"explains\n",
		why);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'k'}, {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *config = NULL;
	bool only_check = false;
	int c;

	while ((c = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			config = optarg;
			break;
		case 'k':
			only_check = true;
			break;
		case 'V':
			printf("tidegate %s (%s)\n", TG_VERSION, rte_version());
			return EXIT_SUCCESS;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			return usage("unknown option");
		}
	}
	if (optind < argc)
		return usage("an argument too many");
	if (!config)
		return usage("no configuration: -c FILE");
	return only_check ? check(config) : run(config);
}
