#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "peer.h"

/* What the key log says of the handshake under way. */
struct secrets {
	uint8_t client[48], server[48];
};

static struct secrets logged;

static void log_secret(const char *line, const char *label, uint8_t *out)
{
	const char *hex;
	size_t n = strlen(label);
	unsigned int byte;

	if (strncmp(line, label, n) || line[n] != ' ')
		return;
	hex = strchr(line + n + 1, ' ') + 1;
	for (uint32_t i = 0; hex[2 * i] && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++)
		out[i] = (uint8_t)byte;
}

static void keylog(const SSL *ssl, const char *line)
{
	log_secret(line, "CLIENT_TRAFFIC_SECRET_0", logged.client);
	log_secret(line, "SERVER_TRAFFIC_SECRET_0", logged.server);
}

static X509 *certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)"peer", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_sha256());
	return x;
}

bool peer_init(struct peer *p)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = certificate(key);
	bool ok;

	*p = (struct peer){.server_ctx = SSL_CTX_new(TLS_server_method()),
		.client_ctx = SSL_CTX_new(TLS_client_method())};
	SSL_CTX_set_options(p->server_ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	SSL_CTX_set_options(p->client_ctx, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_num_tickets(p->server_ctx, 0);
	SSL_CTX_set_keylog_callback(p->server_ctx, keylog);
	ok = SSL_CTX_use_certificate(p->server_ctx, x) == 1 &&
	     SSL_CTX_use_PrivateKey(p->server_ctx, key) == 1;
	X509_free(x);
	EVP_PKEY_free(key);
	return ok;
}

void peer_exit(struct peer *p)
{
	SSL_CTX_free(p->server_ctx);
	SSL_CTX_free(p->client_ctx);
}

static void move(BIO *from, BIO *to)
{
	uint8_t b[4096];
	int n;

	while ((n = BIO_read(from, b, sizeof(b))) > 0)
		BIO_write(to, b, n);
}

/* Both directions count from 0, for no ticket was sent. */
static void keys13(struct peer *p)
{
	tg_rec_init(&p->to, p->suite, p->server ? logged.client : logged.server, 0);
	tg_rec_init(&p->from, p->suite, p->server ? logged.server : logged.client, 0);
}

/* Record 0 was Finished. */
static void keys12(struct peer *p)
{
	uint8_t master[48], cr[32], sr[32];
	struct tg_keys12 k;

	SSL_SESSION_get_master_key(SSL_get_session(p->ssl), master, sizeof(master));
	SSL_get_client_random(p->ssl, cr, sizeof(cr));
	SSL_get_server_random(p->ssl, sr, sizeof(sr));
	tg_keys12(p->suite, master, cr, sr, &k);
	tg_rec_init12(&p->to, p->suite, k.key[!p->server], k.iv[!p->server], 1000, 1);
	tg_rec_init12(&p->from, p->suite, k.key[p->server], k.iv[p->server], 1000, 1);
}

bool peer_begin(struct peer *p, bool server, enum tg_suite suite)
{
	static const char *const names[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
		"TLS_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256",
		"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"};
	SSL *s = SSL_new(p->server_ctx), *c = SSL_new(p->client_ctx), *other;
	int done_c = 0, done_s = 0;

	if (tg_suite_is12(suite)) {
		SSL_set_max_proto_version(c, TLS1_2_VERSION);
		SSL_set_cipher_list(c, names[suite]);
	} else {
		SSL_set_ciphersuites(c, names[suite]);
	}
	SSL_set_accept_state(s);
	SSL_set_connect_state(c);
	SSL_set_bio(s, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_bio(c, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	for (uint32_t i = 0; i < 6 && !(done_c == 1 && done_s == 1); i++) {
		done_c = SSL_do_handshake(c);
		move(SSL_get_wbio(c), SSL_get_rbio(s));
		done_s = SSL_do_handshake(s);
		move(SSL_get_wbio(s), SSL_get_rbio(c));
	}
	p->ssl = server ? s : c;
	other = server ? c : s;
	p->in = SSL_get_rbio(p->ssl);
	p->out = SSL_get_wbio(p->ssl);
	p->server = server;
	p->suite = suite;
	if (tg_suite_is12(suite))
		keys12(p);
	else
		keys13(p);
	SSL_free(other);
	return done_c == 1 && done_s == 1 && BIO_pending(p->in) == 0 && BIO_pending(p->out) == 0;
}

void peer_end(struct peer *p)
{
	SSL_free(p->ssl);
}
