/* eal.h: EAL for a test program: no hugepages, no device, nothing shared, and no CPU of its own. */
#ifndef TG_TEST_EAL_H
#define TG_TEST_EAL_H

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

#include <rte_common.h>
#include <rte_eal.h>

/* mib: of memory. EAL pins the caller to CPU 0; that is undone, so that programs which run beside
 * each other share all CPUs. False: EAL does not start. */
static inline bool tg_test_eal(unsigned int mib)
{
	static char args[][24] = {"test", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
		"-l", "0", "--log-level=lib.eal:4", "-m", ""};
	char *av[RTE_DIM(args) + 1] = {NULL};
	cpu_set_t cpus;
	bool known = sched_getaffinity(0, sizeof(cpus), &cpus) == 0;

	snprintf(args[RTE_DIM(args) - 1], sizeof(args[0]), "%u", mib);
	for (size_t i = 0; i < RTE_DIM(args); i++)
		av[i] = args[i];
	if (rte_eal_init((int)RTE_DIM(args), av) < 0)
		return false;
	if (known)
		sched_setaffinity(0, sizeof(cpus), &cpus);
	return true;
}

#endif
