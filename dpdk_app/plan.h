/* plan.h: what the configuration means on this machine, before anything is taken: CPUs, kind of
 * memory (eal.h), its division (memory.h). Says what is not as one would wish. */
#ifndef TIDEGATE_APP_PLAN_H
#define TIDEGATE_APP_PLAN_H

#include "app.h"

/* Fills app->cpus, memory_kind, hugepages, huge_dir and budget. */
int tg_plan_start(struct tg_app *app, struct tg_errbuf *e);

#endif
