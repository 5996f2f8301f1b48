/* crl.h: certificate revocation lists (RFC 5280 section 5): what the `crl` file holds, and whether
 * a verified chain is clean.
 *
 * Owner: made and freed on the control core; workers ask, each with notes of its own. Bounds: those
 * of the file. Complete lists of one CA each; parts (issuingDistributionPoint) and deltas are
 * refused when they are loaded. As in Envoy, where there is a list at all every CA of a chain needs
 * one. Not here: fetching lists, OCSP.
 */
#ifndef TG_TLS_CRL_H
#define TG_TLS_CRL_H

#include "material.h"

struct tg_crls;

/* All lists of a blob, PEM or DER; NULL after complaints: unreadable, out of date, not signed by
 * the one of the anchors whose name they bear. now: seconds since 1970. */
struct tg_crls *tg_crls_read(const struct tg_blob *b, OSSL_LIB_CTX *lib, uint32_t workers,
	int64_t now, struct tg_complaints *c);
bool tg_crls_signed(struct tg_crls *l, const struct tg_blob *b, STACK_OF(X509) *const *anchors,
	uint32_t n, const EVP_MD *sha256, struct tg_complaints *c);
/* Whether one of the lists bears the name of one of the anchors. */
bool tg_crls_concern(const struct tg_crls *l, STACK_OF(X509) * anchors);
void tg_crls_free(struct tg_crls *l);

/* X509_V_OK, or why the chain (leaf first, its anchor last) is not good enough; *where is then the
 * certificate that it is about. An anchor itself is trusted by being named (RFC 5280 section 6.1).
 * Expects a chain that has been verified. A signature by the same key is verified once a worker. */
int tg_crls_check(struct tg_crls *l, uint32_t worker, STACK_OF(X509) * chain, int64_t now,
	const EVP_MD *sha256, X509 **where);
/* When the first of the lists has to be replaced; until then what was found stays true. INT64_MAX:
 * never, or l is NULL. */
int64_t tg_crls_end(const struct tg_crls *l);

#endif
