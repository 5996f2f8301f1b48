/* One SSL_CTX: what Tidegate negotiates. */
#include "internal.h"

/* Ours, in order of preference: the fastest first. A client without AES instructions says so by
 * preferring ChaCha20, and gets it. */
static const char suites13[] =
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char suites12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
			       "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
			       "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char groups[] = "X25519:P-256";

#define CHAIN_MAX 8 /* certificates between a leaf and its anchor */

static bool set_protocol(SSL_CTX *c, const struct tg_tls_conf *conf)
{
	int min = conf->min_version == 12 ? TLS1_2_VERSION : TLS1_3_VERSION;

	SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
				       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_security_level(c, 2);
	SSL_CTX_set_read_ahead(c, 0); /* wire.c relies on it */
	SSL_CTX_set_verify_depth(c, CHAIN_MAX);
	return SSL_CTX_set_min_proto_version(c, min) &&
	       SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION) &&
	       SSL_CTX_set_ciphersuites(c, suites13) && SSL_CTX_set_cipher_list(c, suites12) &&
	       SSL_CTX_set1_groups_list(c, groups) && SSL_CTX_set_max_early_data(c, 0);
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *n_out,
	const unsigned char *in, unsigned int n_in, void *arg)
{
	const struct tg_tls_ctx *x = arg;
	unsigned char *found;

	if (SSL_select_next_proto(&found, n_out, x->alpn, x->n_alpn, in, n_in) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
	*out = found;
	return SSL_TLSEXT_ERR_OK;
}

static int choose_name(SSL *ssl, int *alert, void *arg)
{
	const struct tg_tls_ctx *x = arg;
	struct tg_facts *f = tg_facts_of(ssl);
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	uint32_t g = tg_ctx_group(x, name);

	if (g != 0)
		SSL_set_SSL_CTX(ssl, x->worker[f->w->index].group[g]);
	return SSL_TLSEXT_ERR_OK;
}

static bool set_server(SSL_CTX *c, struct tg_tls_ctx *x)
{
	const struct tg_tls_conf *conf = x->conf;
	int verify = SSL_VERIFY_NONE;

	if (x->n_trust)
		verify = SSL_VERIFY_PEER;
	if (conf->require_client_certificate)
		verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(c, verify, NULL);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	if (conf->session_tickets) {
		tg_ticket_serve(c);
		SSL_CTX_set_num_tickets(c, 1); /* each resumed connection brings another */
	} else {
		SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(c, 0);
	}
	SSL_CTX_set_tlsext_servername_callback(c, choose_name);
	SSL_CTX_set_tlsext_servername_arg(c, x);
	if (x->n_alpn)
		SSL_CTX_set_alpn_select_cb(c, choose_alpn, x);
	/* Sessions of another policy, or from before a change of the revocation lists, are not ours
	 * to resume. */
	return SSL_CTX_set_session_id_context(c, x->policy, sizeof(x->policy));
}

static bool set_client(SSL_CTX *c, struct tg_tls_ctx *x)
{
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
	if (x->conf->session_tickets) {
		SSL_CTX_set_session_cache_mode(
			c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(c, tg_session_new);
	} else {
		SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
	}
	return x->n_alpn == 0 || SSL_CTX_set_alpn_protos(c, x->alpn, x->n_alpn) == 0;
}

SSL_CTX *tg_ssl_ctx(struct tg_tls_ctx *x, const struct tg_tls_lib *lib)
{
	bool server = x->conf->server;
	SSL_CTX *c =
		SSL_CTX_new_ex(lib->ctx, NULL, server ? TLS_server_method() : TLS_client_method());

	if (!c)
		return NULL;
	tg_hs_callbacks(c);
	SSL_CTX_set_cert_verify_callback(c, tg_verify_peer, x);
	if (set_protocol(c, x->conf) && (server ? set_server(c, x) : set_client(c, x)))
		return c;
	SSL_CTX_free(c);
	return NULL;
}
