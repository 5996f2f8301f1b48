/* cpus.h: which CPUs the control core and the workers run on. A pure function of what the process
 * may use and what the configuration asks for. */
#ifndef TIDEGATE_APP_CPUS_H
#define TIDEGATE_APP_CPUS_H

#include <sched.h>
#include <stdbool.h>

#include <tidegate/config.h>

struct tg_cpu_plan {
	cpu_set_t control;          /* never empty */
	int worker[TG_MAX_WORKERS]; /* CPU; -1: shares all of `allowed` with the others */
	cpu_set_t allowed;
	uint32_t n_workers;
	bool control_shares; /* the control core has no CPU without a worker */
	bool workers_share;  /* fewer CPUs than workers */
};

/* cpus: dataplane.cpus, n_cpus of them or none. Unasked, workers take the last CPUs, one each, and
 * the control core what is left. TG_EINVAL with text: a CPU that the process may not use. */
int tg_cpu_plan_make(struct tg_cpu_plan *p, const cpu_set_t *allowed, uint32_t n_workers,
	const uint32_t *cpus, uint32_t n_cpus, struct tg_errbuf *e);
/* EAL's --lcores: lcore 0 is the control core, lcore 1 + i worker i. TG_ETOOBIG. */
int tg_cpu_plan_lcores(const struct tg_cpu_plan *p, char *out, size_t cap);
/* "0,2-5". Returns out. */
char *tg_cpu_set_text(const cpu_set_t *s, char *out, size_t cap);

#endif
