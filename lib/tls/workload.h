/* workload.h: what the SPIFFE Workload API said last, checked and kept.
 *
 * Owner: the control core. Kept in memory, since contexts are made again when a configuration
 * changes; wiped when it is replaced, withdrawn or the store ends.
 */
#ifndef TG_TLS_WORKLOAD_H
#define TG_TLS_WORKLOAD_H

#include "material.h"

struct tg_tls_lib;

struct tg_workload_svid {
	const char *id, *hint;
	struct tg_blob chain, key;
};
struct tg_workload_trust {
	const char *trust_domain;
	struct tg_blob certs;
};
struct tg_workload {
	uint32_t n_svids, n_trust;
	struct tg_workload_svid *svid;
	struct tg_workload_trust *trust; /* one a trust domain */
	struct tg_blob crl;              /* all lists in a row; .n 0: none */
	uint8_t *block;                  /* where it all is */
	size_t bytes;
};

/* NULL after complaints: one thing that is wrong spoils it all. */
struct tg_workload *tg_workload_create(const struct tg_tls_workload *from,
	const struct tg_tls_lib *lib, int64_t now, struct tg_complaints *c);
void tg_workload_free(struct tg_workload *w);
/* The SVID that a configuration means: of this SPIFFE ID or hint; NULL: the first (section 5.3). */
const struct tg_workload_svid *tg_workload_find(const struct tg_workload *w, const char *which);

#endif
