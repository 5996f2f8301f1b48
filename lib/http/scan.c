/* scan.c: which scanner runs. */
#include <string.h>

#include <tidegate/err.h>
#include <tidegate/http1.h>

#include "scan.h"

/* Set once at start, before any worker runs; until then the scalar one works. */
const struct tg_scan_ops *tg_scan = &tg_scan_scalar;

int tg_h1_init(const char *scanner)
{
	const struct tg_scan_ops *wide = tg_scan_avx2() ? tg_scan_avx2() : tg_scan_neon();

	if (!strcmp(scanner, "scalar")) {
		tg_scan = &tg_scan_scalar;
		return 0;
	}
	if (strcmp(scanner, "auto") && (!wide || strcmp(scanner, wide->name)))
		return TG_ENOSUP;
	tg_scan = wide ? wide : &tg_scan_scalar;
	return 0;
}

const char *tg_h1_scanner(void)
{
	return tg_scan->name;
}
