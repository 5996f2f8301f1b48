/* Who is the peer? The chain, the trust domain's bundle, and the name. */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "internal.h"

/* Ends the verification: error decides the alert (ssl_x509err2alert of OpenSSL). */
static int fail(X509_STORE_CTX *sc, int error)
{
	X509_STORE_CTX_set_error(sc, error);
	return 0;
}

static enum tg_why why_of(int error)
{
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return TG_WHY_tls_expired;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TG_WHY_tls_not_yet_valid;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return TG_WHY_tls_self_signed;
	case X509_V_ERR_CERT_REVOKED:
		return TG_WHY_tls_revoked;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
		return TG_WHY_tls_no_crl;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return TG_WHY_tls_unknown_ca;
	default:
		return TG_WHY_tls_cert_bad;
	}
}

/* Index of the trust that may vouch for the leaf; negative: refused. */
static int choose_trust(struct tg_facts *f, X509 *leaf, const struct tg_cert_names *names)
{
	struct tg_view td, path;
	const char *fault;
	int t;

	if (!f->ctx->conf->spiffe)
		return 0;
	fault = tg_svid_fault(leaf, names);
	if (fault || !tg_spiffe_parse(names->uri, &td, &path)) {
		tg_refuse_cert(f, TG_WHY_tls_svid_bad, leaf, fault);
		return -X509_V_ERR_CERT_REJECTED;
	}
	t = tg_ctx_trust_of(f->ctx, td);
	if (t >= 0)
		return t;
	tg_refuse_cert(f, TG_WHY_tls_trust_domain, leaf, "its trust domain has no bundle here");
	return -X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
}

/* The peer is its leaf; what is wrong may be wrong with a certificate above it. */
static void refuse_chain(struct tg_facts *f, X509_STORE_CTX *sc, int error)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(sc), *where = X509_STORE_CTX_get_current_cert(sc);
	char *above = where && where != leaf ? tg_cert_subject(where) : NULL;
	char text[256];

	snprintf(text, sizeof(text), "%s%s%.100s%s", X509_verify_cert_error_string(error),
		above ? " (\"" : "", above ? above : "", above ? "\")" : "");
	tg_refuse_cert(f, why_of(error), leaf, text);
	free(above);
}

static bool check_chain(struct tg_facts *f, X509_STORE_CTX *sc, STACK_OF(X509) * anchors)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(sc);
	int error;

	X509_STORE_CTX_set0_trusted_stack(sc, anchors);
	X509_VERIFY_PARAM_set_time(param, (time_t)f->now);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	if (X509_verify_cert(sc) == 1)
		return true;
	error = X509_STORE_CTX_get_error(sc);
	if (error == X509_V_OK)
		X509_STORE_CTX_set_error(sc, error = X509_V_ERR_UNSPECIFIED);
	refuse_chain(f, sc, error);
	return false;
}

/* After the chain, so that only whom a CA vouches for makes us look into long lists. */
static bool check_revoked(struct tg_facts *f, X509_STORE_CTX *sc, int trust)
{
	const EVP_MD *md = f->ctx->worker[f->w->index].lib->sha256;
	X509 *where = NULL;
	int error;

	if (!f->ctx->crls || !f->ctx->trust[trust].crl)
		return true;
	error = tg_crls_check(
		f->ctx->crls, f->w->index, X509_STORE_CTX_get0_chain(sc), f->now, md, &where);
	if (error == X509_V_OK)
		return true;
	X509_STORE_CTX_set_error(sc, error);
	tg_refuse_cert(f, why_of(error), where, X509_verify_cert_error_string(error));
	return false;
}

static bool is_ip(const char *s)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(s);

	ASN1_OCTET_STRING_free(ip);
	ERR_clear_error();
	return ip != NULL;
}

/* Clients: whether the origin is the one that we mean. */
static bool is_meant(struct tg_facts *f, X509 *leaf, const struct tg_cert_names *names)
{
	const struct tg_tls_conf *conf = f->ctx->conf;
	int flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

	if (conf->server)
		return true;
	for (uint32_t i = 0; i < conf->n_match; i++)
		if (tg_spiffe_match(tg_view_str(conf->match_spiffe_ids[i]), names->uri))
			return true;
	if (conf->n_match) {
		tg_refuse_cert(f, TG_WHY_tls_wrong_name, leaf, "is not in match_spiffe_ids");
		return false;
	}
	if (!conf->sni ||
		(is_ip(conf->sni) ? X509_check_ip_asc(leaf, conf->sni, 0)
				  : X509_check_host(leaf, conf->sni, 0, flags, NULL)) == 1)
		return true;
	tg_refuse_cert(f, TG_WHY_tls_wrong_name, leaf, "is not for the name that was expected");
	return false;
}

/* Notes who vouched and until when, for the connection, for tickets, and for the next handshake of
 * the same certificate. */
static bool note(struct tg_facts *f, X509_STORE_CTX *sc, const uint8_t leaf[TG_DIGEST])
{
	const EVP_MD *md = f->ctx->worker[f->w->index].lib->sha256;
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(sc);
	struct tg_peer *p = &f->peer;
	int n = sk_X509_num(chain);
	struct tg_identity *id;

	memcpy(p->leaf, leaf, TG_DIGEST);
	p->expires = INT64_MAX;
	for (int i = 0; i < n; i++) {
		int64_t end = tg_cert_not_after(sk_X509_value(chain, i));

		if (end < p->expires)
			p->expires = end;
	}
	if (n < 1 || !tg_cert_digest(sk_X509_value(chain, n - 1), md, p->anchor))
		return false;
	p->svid = f->ctx->conf->spiffe;
	p->authenticated = f->now;
	p->known = true;
	id = tg_ident_of(f->w->idents, sk_X509_value(chain, 0), leaf,
		p->svid ? TG_IDENT_SVID : TG_IDENT_PLAIN);
	if (!id)
		return false;
	tg_ident_remember(id, f->ctx->serial, p);
	tg_ident_drop(f->w->idents, id);
	return true;
}

static int verify(struct tg_facts *f, X509_STORE_CTX *sc)
{
	const struct tg_ctx_worker *cw = &f->ctx->worker[f->w->index];
	X509 *leaf = X509_STORE_CTX_get0_cert(sc);
	struct tg_cert_names names;
	uint8_t digest[TG_DIGEST];
	int t, error;

	if (!tg_cert_digest(leaf, cw->lib->sha256, digest))
		return fail(sc, X509_V_ERR_OUT_OF_MEM);
	/* The same certificate was found good with this very trust and policy: what is left is the
	 * proof that the peer has its key, which OpenSSL takes in any case. */
	if (f->now < tg_crls_end(f->ctx->crls) &&
		tg_ident_recall(f->w->idents, digest, f->ctx, f->now, &f->peer)) {
		X509_STORE_CTX_set_error(sc, X509_V_OK);
		return 1;
	}
	if (!tg_cert_names(leaf, &names)) {
		tg_refuse_cert(f, TG_WHY_tls_cert_bad, leaf, "its alternative names are malformed");
		tg_cert_names_free(&names);
		return fail(sc, X509_V_ERR_INVALID_EXTENSION);
	}
	error = X509_V_OK;
	t = choose_trust(f, leaf, &names);
	if (t < 0)
		error = -t;
	else if (!check_chain(f, sc, cw->trust[t]) || !check_revoked(f, sc, t))
		error = X509_STORE_CTX_get_error(sc);
	else if (!is_meant(f, leaf, &names))
		error = X509_V_ERR_HOSTNAME_MISMATCH;
	else if (!note(f, sc, digest))
		error = X509_V_ERR_OUT_OF_MEM;
	tg_cert_names_free(&names);
	return error == X509_V_OK ? 1 : fail(sc, error);
}

int tg_verify_peer(X509_STORE_CTX *sc, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(sc, SSL_get_ex_data_X509_STORE_CTX_idx());

	return verify(tg_facts_of(ssl), sc);
}

/* --- without an SSL object ----------------------------------------------------------------------
 */

/* As libssl prepares it for the callback above. */
int tg_verify_chain(struct tg_facts *f, STACK_OF(X509) * chain)
{
	const struct tg_ctx_worker *cw = &f->ctx->worker[f->w->index];
	SSL_CTX *ctx = cw->group[0];
	X509_STORE_CTX *sc = X509_STORE_CTX_new_ex(cw->lib->ctx, NULL);
	int error = X509_V_ERR_OUT_OF_MEM;

	if (sc && X509_STORE_CTX_init(
			  sc, SSL_CTX_get_cert_store(ctx), sk_X509_value(chain, 0), chain)) {
		X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(sc);

		X509_VERIFY_PARAM_set_auth_level(param, SSL_CTX_get_security_level(ctx));
		X509_STORE_CTX_set_default(sc, "ssl_client");
		X509_VERIFY_PARAM_set1(param, SSL_CTX_get0_param(ctx));
		error = verify(f, sc) ? X509_V_OK : X509_STORE_CTX_get_error(sc);
	}
	X509_STORE_CTX_free(sc);
	return error;
}

uint8_t tg_alert_of_x509(int error)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
	case X509_V_ERR_INVALID_CA:
		return SSL_AD_UNKNOWN_CA;
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
		return SSL_AD_DECRYPT_ERROR;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CRL_HAS_EXPIRED:
		return SSL_AD_CERTIFICATE_EXPIRED;
	case X509_V_ERR_CERT_REVOKED:
		return SSL_AD_CERTIFICATE_REVOKED;
	case X509_V_ERR_INVALID_PURPOSE:
		return SSL_AD_UNSUPPORTED_CERTIFICATE;
	case X509_V_ERR_APPLICATION_VERIFICATION:
		return SSL_AD_HANDSHAKE_FAILURE;
	case X509_V_ERR_OUT_OF_MEM:
	case X509_V_ERR_UNSPECIFIED:
	case X509_V_ERR_INVALID_CALL:
	case X509_V_ERR_STORE_LOOKUP:
		return SSL_AD_INTERNAL_ERROR;
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
	case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
	case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
	case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
	case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_CERT_REJECTED:
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
	case X509_V_ERR_EC_KEY_EXPLICIT_PARAMS:
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_EMAIL_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
	case X509_V_ERR_DANE_NO_MATCH:
		return SSL_AD_BAD_CERTIFICATE;
	default:
		return SSL_AD_CERTIFICATE_UNKNOWN;
	}
}
