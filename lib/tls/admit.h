/* admit.h: clients that are accepted without asking OpenSSL: their certificate is plain (plain.h),
 * they sent nothing else, and it is signed by a trust anchor.
 *
 *                     .--> the identity: accepted, as OpenSSL would have done
 *   certificate --> tg_admit
 *                     `--> NULL: this says nothing; tg_verify_chain() is asked (verify.c)
 *
 * Refusing is never done here, nor is anything looked at that would need thought; a certificate
 * whose signature is wrong costs a verification in vain. The conditions are those of RFC 5280
 * section 6.1 for a path of one certificate, in the order and meaning that OpenSSL 3.0's
 * X509_verify_cert() gives them with what verify.c and options.c ask of it: partial chains, purpose
 * sslclient, level 2 (P-256 and SHA-256 are above that), no policies, no flags.
 * tests/unit/tls/test_admit.c compares the two over some thousand spoiled certificates.
 *
 * Owner: anchors are noted by the control core and read by workers; admitting is the worker's.
 * Bounds: an anchor a certificate of the bundle, TG_ANCHORS_MAX of them.
 */
#ifndef TG_TLS_ADMIT_H
#define TG_TLS_ADMIT_H

#include "context.h"

#define TG_ANCHORS_MAX 256 /* bundles of more are OpenSSL's to search */

struct tg_facts;
struct tg_identity;

/* Notes t->anchor for t's certificates, which stay; NULL where nobody can be admitted by them.
 * False: no memory. */
bool tg_anchors_note(struct tg_trust *t, STACK_OF(X509) * all);

/* A server's client. digest: SHA-256 of der. The identity has a reference, is remembered as
 * verified, and has a point of P-256; *f's peer is noted. */
struct tg_identity *tg_admit(
	struct tg_facts *f, struct tg_view der, const uint8_t digest[static TG_DIGEST]);

#endif
