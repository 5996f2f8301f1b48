/* spiffe.h: SPIFFE IDs and X.509-SVIDs (the SPIFFE-ID and X509-SVID standards).
 *
 * Pure functions on text and on certificates; no state, any thread. Not here: chains (verify.c).
 */
#ifndef TG_TLS_SPIFFE_H
#define TG_TLS_SPIFFE_H

#include "cert.h"

#define TG_SPIFFE_ID_MAX 2048          /* bytes of an ID (SPIFFE-ID section 2.3) */
#define TG_SPIFFE_TRUST_DOMAIN_MAX 255 /* bytes (section 2.1) */

/* True if v is a trust domain's name: a-z, 0-9, ".", "-", "_"; 1 to 255 bytes. */
bool tg_spiffe_trust_domain_ok(struct tg_view v);

/* True if v is a SPIFFE ID; td and path (with its leading "/", or empty) are then views into it.
 * Exact and lower case as section 2 wants them: no port, user, query, fragment, percent-encoding,
 * empty or dot segment, or "/" at the end. */
bool tg_spiffe_parse(struct tg_view v, struct tg_view *td, struct tg_view *path);

/* Whether a pattern of match_spiffe_ids is acceptable: an ID with a path, or "spiffe://domain" and
 * a path (or none) followed by "/" and "*". */
bool tg_spiffe_pattern_ok(struct tg_view pattern);
/* Whether id (which parses) is meant by the pattern. The star stands for one byte at least. */
bool tg_spiffe_match(struct tg_view pattern, struct tg_view id);

/* Why x, whose names are n, is not a leaf X.509-SVID (X509-SVID section 5.2); NULL: it is one. */
const char *tg_svid_fault(X509 *x, const struct tg_cert_names *n);

#endif
