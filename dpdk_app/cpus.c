#include <stdio.h>
#include <string.h>

#include "cpus.h"

char *tg_cpu_set_text(const cpu_set_t *s, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	for (int c = 0, end; c < CPU_SETSIZE && n + 12 < cap; c = end + 1) {
		end = c;
		if (!CPU_ISSET(c, s))
			continue;
		while (end + 1 < CPU_SETSIZE && CPU_ISSET(end + 1, s))
			end++;
		n += (size_t)snprintf(
			out + n, cap - n, end > c ? "%s%d-%d" : "%s%d", n ? "," : "", c, end);
	}
	return out;
}

static int take_asked(
	struct tg_cpu_plan *p, const uint32_t *cpus, uint32_t n_cpus, struct tg_errbuf *e)
{
	char text[128];

	if (n_cpus < p->n_workers)
		return tg_fail(e, TG_EINVAL, "dataplane.cpus names %u CPUs for %u workers", n_cpus,
			p->n_workers);
	for (uint32_t i = 0; i < p->n_workers; i++) {
		if (cpus[i] >= CPU_SETSIZE || !CPU_ISSET(cpus[i], &p->allowed))
			return tg_fail(e, TG_EINVAL,
				"dataplane.cpus: CPU %u cannot be used; this process may use %s",
				cpus[i], tg_cpu_set_text(&p->allowed, text, sizeof(text)));
		p->worker[i] = (int)cpus[i];
		CPU_CLR(cpus[i], &p->control);
	}
	return 0;
}

/* Workers on the last CPUs, in order: interrupts and everybody else like the first ones. */
static void take_last(struct tg_cpu_plan *p)
{
	uint32_t i = p->n_workers;

	for (int c = CPU_SETSIZE - 1; c >= 0 && i > 0; c--)
		if (CPU_ISSET(c, &p->allowed)) {
			p->worker[--i] = c;
			CPU_CLR(c, &p->control);
		}
}

int tg_cpu_plan_make(struct tg_cpu_plan *p, const cpu_set_t *allowed, uint32_t n_workers,
	const uint32_t *cpus, uint32_t n_cpus, struct tg_errbuf *e)
{
	memset(p, 0, sizeof(*p));
	p->allowed = p->control = *allowed;
	p->n_workers = n_workers;
	if (n_cpus) {
		int rc = take_asked(p, cpus, n_cpus, e);

		if (rc)
			return rc;
	} else if ((uint32_t)CPU_COUNT(allowed) >= n_workers) {
		take_last(p);
	} else {
		p->workers_share = true;
		for (uint32_t i = 0; i < n_workers; i++)
			p->worker[i] = -1;
	}
	if (p->workers_share || CPU_COUNT(&p->control) == 0) {
		p->control = p->allowed;
		p->control_shares = true;
	}
	return 0;
}

int tg_cpu_plan_lcores(const struct tg_cpu_plan *p, char *out, size_t cap)
{
	char text[CPU_SETSIZE * 5];
	size_t n = (size_t)snprintf(
		out, cap, "0@(%s)", tg_cpu_set_text(&p->control, text, sizeof(text)));

	for (uint32_t i = 0; i < p->n_workers && n < cap; i++) {
		if (p->worker[i] >= 0)
			n += (size_t)snprintf(out + n, cap - n, ",%u@%d", i + 1, p->worker[i]);
		else
			n += (size_t)snprintf(out + n, cap - n, ",%u@(%s)", i + 1,
				tg_cpu_set_text(&p->allowed, text, sizeof(text)));
	}
	return n < cap ? 0 : TG_ETOOBIG;
}
