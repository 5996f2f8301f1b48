#include <stddef.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "internal.h"

/* --- what OpenSSL tells on the way --------------------------------------------------------------
 */

static void on_message(
	int sent, int version, int type, const void *buf, size_t n, SSL *ssl, void *arg)
{
	struct tg_facts *f = tg_facts_of(ssl);
	const uint8_t *b = buf;

	if (!f)
		return;
	if (type == SSL3_RT_HEADER) {
		uint64_t *seq = sent ? &f->tx_seq : &f->rx_seq;

		/* TLS 1.2 changes keys behind a ChangeCipherSpec; TLS 1.3 tells by on_secret. */
		*seq = b[0] == TG_REC_CCS && SSL_version(ssl) == TLS1_2_VERSION ? 0 : *seq + 1;
	} else if (type == SSL3_RT_ALERT && n == 2 && b[1] != SSL_AD_CLOSE_NOTIFY &&
		   b[1] != SSL_AD_USER_CANCELLED) {
		f->alert = b[1];
		f->alert_by_peer = !sent;
	} else if (type == SSL3_RT_HANDSHAKE && !sent && n && b[0] == SSL3_MT_CERTIFICATE_REQUEST) {
		f->asked = true;
	}
}

static int nibble(char c)
{
	return c >= 'a' ? c - 'a' + 10 : c >= 'A' ? c - 'A' + 10 : c - '0';
}

/* A line of the key log (draft-ietf-tls-keylogfile): label, client's random, secret. OpenSSL
 * changes the keys of the direction in the same moment, so the counts begin here. */
static void on_secret(const SSL *ssl, const char *line)
{
	static const struct {
		const char *label;
		size_t n;
	} wanted[2] = {{"CLIENT_TRAFFIC_SECRET_0 ", 24}, {"SERVER_TRAFFIC_SECRET_0 ", 24}};
	struct tg_facts *f = tg_facts_of(ssl);

	for (int i = 0; f && i < 2; i++) {
		const char *hex;
		size_t n;

		if (strncmp(line, wanted[i].label, wanted[i].n) != 0)
			continue;
		hex = strchr(line + wanted[i].n, ' ');
		n = hex ? strlen(++hex) / 2 : 0;
		if (n == 0 || n > sizeof(f->secret[i]))
			return;
		for (size_t b = 0; b < n; b++)
			f->secret[i][b] =
				(uint8_t)(nibble(hex[2 * b]) << 4 | nibble(hex[2 * b + 1]));
		f->n_secret[i] = (uint8_t)n;
		if (SSL_is_server(ssl) == (i == 1))
			f->tx_seq = 0;
		else
			f->rx_seq = 0;
	}
}

void tg_hs_callbacks(SSL_CTX *ctx)
{
	SSL_CTX_set_msg_callback(ctx, on_message);
	SSL_CTX_set_keylog_callback(ctx, on_secret);
}

/* --- facts --------------------------------------------------------------------------------------
 */

bool tg_facts_bind(struct tg_facts *f, SSL *ssl)
{
	f->ssl = ssl;
	return SSL_set_app_data(ssl, f) && tg_wire_attach(f->w->bio, ssl, &f->wire);
}

OSSL_LIB_CTX *tg_facts_enter(const struct tg_facts *f)
{
	return OSSL_LIB_CTX_set0_default(f->ctx->worker[f->w->index].lib->bare);
}

void tg_facts_fini(struct tg_facts *f)
{
	if (f->ssl) {
		/* Otherwise OpenSSL takes the end for a truncation, and spoils the session. */
		SSL_set_shutdown(f->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(f->ssl);
	}
	if (f->set)
		tg_set_drop(f->set, f->w->index);
	explicit_bzero(f, sizeof(*f));
}

/* --- a worker -----------------------------------------------------------------------------------
 */

static bool open_pools(struct tg_hs_worker *w, const struct tg_hs_worker_conf *c)
{
	return tg_pool_init(&w->handshakes, "tls_handshakes", sizeof(struct tg_hs),
		       c->max_handshakes) == 0 &&
	       (c->max_resumes == 0 || tg_pool_init(&w->resumes, "tls_resumes",
					       sizeof(struct tg_hs_resume), c->max_resumes) == 0);
}

struct tg_hs_worker *tg_hs_worker_create(const struct tg_hs_worker_conf *c, struct tg_errbuf *e)
{
	struct tg_hs_worker *w = calloc(1, sizeof(*w));

	if (w) {
		w->index = c->worker;
		w->bio = tg_wire_method();
		w->serve = aligned_alloc(64, (sizeof(*w->serve) + 63) / 64 * 64);
		w->idents = tg_idents_create(c->max_conns);
		w->sessions = c->sessions ? tg_sessions_create(c->sessions) : NULL;
		if (w->serve) {
			memset(w->serve, 0, sizeof(*w->serve));
			w->serve->cipher = EVP_CIPHER_CTX_new();
		}
		if (w->bio && w->serve && w->serve->cipher && w->idents &&
			(w->sessions || !c->sessions) && open_pools(w, c))
			return w;
		tg_hs_worker_destroy(w);
	}
	tg_fail(e, TG_ENOMEM, "no memory for the TLS handshakes of worker %u", c->worker);
	return NULL;
}

void tg_hs_worker_destroy(struct tg_hs_worker *w)
{
	if (!w)
		return;
	tg_hs_worker_adopt(w, NULL);
	tg_sessions_destroy(w->sessions);
	tg_idents_destroy(w->idents);
	tg_pool_fini(&w->handshakes);
	tg_pool_fini(&w->resumes);
	BIO_meth_free(w->bio);
	if (w->serve) {
		EVP_CIPHER_CTX_free(w->serve->cipher);
		tg_aead_get(TG_AEAD_AES_128_GCM)->discard(&w->serve->key);
	}
	free(w->serve);
	free(w);
}

void tg_hs_worker_adopt(struct tg_hs_worker *w, struct tg_tls_set *s)
{
	if (s) {
		tg_set_hold(s, w->index);
		tg_set_adopted(s, w->index);
	}
	if (w->set)
		tg_set_drop(w->set, w->index);
	w->set = s;
}

/* --- begin --------------------------------------------------------------------------------------
 */

static bool is_address(const char *name)
{
	struct tg_ip ip;

	return tg_ip_parse(name, &ip) == 0;
}

static bool begin_client(struct tg_hs *h, const struct tg_sockaddr *origin)
{
	struct tg_facts *f = &h->f;
	const char *sni = f->ctx->conf->sni;
	SSL_SESSION *s;
	bool ok = true;

	f->origin = *origin;
	SSL_set_connect_state(f->ssl);
	if (sni && !is_address(sni)) /* addresses are no server names (RFC 6066 section 3) */
		ok = SSL_set_tlsext_host_name(f->ssl, sni);
	if (!f->w->sessions || !f->ctx->conf->session_tickets ||
		f->now >= tg_crls_end(f->ctx->crls))
		return ok;
	s = tg_session_take(f->w->sessions, f->ctx->serial, origin, f->now, &f->peer);
	if (s) {
		ok &= SSL_set_session(f->ssl, s);
		SSL_SESSION_free(s);
	}
	return ok;
}

/* OpenSSL's object. False: no memory. */
static bool open_ssl(struct tg_hs *h, const struct tg_sockaddr *origin)
{
	struct tg_facts *f = &h->f;
	SSL *ssl;
	bool ok;

	ERR_clear_error();
	ssl = SSL_new(f->ctx->worker[f->w->index].group[0]);
	ok = ssl && tg_facts_bind(f, ssl);
	if (ok && f->ctx->conf->server)
		SSL_set_accept_state(ssl);
	else if (ok)
		ok = begin_client(h, origin);
	if (!ok)
		ERR_clear_error();
	return ok;
}

struct tg_hs *tg_hs_begin(struct tg_hs_worker *w, uint32_t conf_id,
	const struct tg_sockaddr *origin, int64_t now, enum tg_why *why)
{
	struct tg_tls_ctx *x = w->set && conf_id < w->set->n ? w->set->ctx[conf_id] : NULL;
	struct tg_hs *h;

	*why = TG_WHY_tls_not_loaded;
	if (!x)
		return NULL;
	*why = TG_WHY_tls_no_memory;
	h = tg_pool_take(&w->handshakes);
	if (!h)
		return NULL;
	memset(h, 0, offsetof(struct tg_hs, serve.cert));
	h->f.w = w;
	h->f.set = w->set;
	h->f.ctx = x;
	h->f.now = now;
	tg_set_hold(w->set, w->index);
	tg_serve_begin(h);
	if (h->serve.state != SERVE_NOT || open_ssl(h, origin))
		return h;
	tg_hs_abandon(h);
	return NULL;
}

/* --- step ---------------------------------------------------------------------------------------
 */

static enum tg_hs_state fail_step(struct tg_facts *f, int error)
{
	if (error == SSL_ERROR_ZERO_RETURN)
		tg_refuse(f, TG_WHY_tls_closed, "the peer closed before the handshake was done");
	else
		tg_refuse_ssl(f);
	ERR_clear_error();
	return TG_HS_FAILED;
}

static enum tg_hs_state state_of(struct tg_facts *f, int r)
{
	int error = r == 1 ? SSL_ERROR_NONE : SSL_get_error(f->ssl, r);

	switch (error) {
	case SSL_ERROR_NONE:
		return TG_HS_DONE;
	case SSL_ERROR_WANT_READ:
		return TG_HS_WANT_INPUT;
	case SSL_ERROR_WANT_WRITE:
		return TG_HS_WANT_OUTPUT;
	default:
		return fail_step(f, error);
	}
}

static enum tg_hs_state step_ssl(struct tg_hs *h, struct tg_hs_io *io)
{
	struct tg_facts *f = &h->f;
	OSSL_LIB_CTX *before;
	enum tg_hs_state state;

	ERR_clear_error();
	tg_wire_begin(&f->wire, io);
	before = tg_facts_enter(f);
	state = state_of(f, SSL_do_handshake(f->ssl));
	OSSL_LIB_CTX_set0_default(before);
	tg_wire_end(&f->wire);
	if (state == TG_HS_FAILED && !io->made)
		io->made = tg_refuse_http(f, io->out);
	return state;
}

/* The ClientHello is not plain: OpenSSL begins with what has been read, which is a record at most.
 */
static enum tg_hs_state hand_on(struct tg_hs *h, struct tg_hs_io *io)
{
	struct tg_view seen = {h->serve.buf, h->serve.n_rec};
	struct tg_hs_io again = {.in = &seen, .n_in = 1, .out = io->out};
	enum tg_hs_state state;

	h->serve.state = SERVE_NOT;
	if (!open_ssl(h, NULL)) {
		tg_refuse(&h->f, TG_WHY_tls_no_memory, "no memory left for a handshake");
		return TG_HS_FAILED;
	}
	state = step_ssl(h, &again);
	io->made = again.made;
	return state;
}

enum tg_hs_state tg_hs_step(struct tg_hs *h, struct tg_hs_io *io)
{
	io->used = io->made = 0;
	if (h->state == TG_HS_DONE || h->state == TG_HS_FAILED)
		return h->state;
	if (h->serve.state == SERVE_NOT)
		h->state = step_ssl(h, io);
	else if (!tg_serve_step(h, io, &h->state))
		h->state = hand_on(h, io);
	return h->state;
}

void tg_hs_eof(struct tg_hs *h)
{
	tg_refuse(&h->f, TG_WHY_tls_closed, "the peer closed before the handshake was done");
	h->state = TG_HS_FAILED;
}

void tg_facts_failure(const struct tg_facts *f, struct tg_hs_fail *out)
{
	*out = (struct tg_hs_fail){.why = f->why,
		.alert = f->alert,
		.alert_by_peer = f->alert_by_peer,
		.text = f->text};
}

void tg_hs_failure(const struct tg_hs *h, struct tg_hs_fail *out)
{
	tg_facts_failure(&h->f, out);
}

/* --- take ---------------------------------------------------------------------------------------
 */

/* A resumed session stands for the handshake that it came from. */
static void recall_peer(struct tg_facts *f)
{
	struct tg_ticket_says says;

	if (!SSL_is_server(f->ssl) || !SSL_session_reused(f->ssl) ||
		!tg_ticket_says(SSL_get0_session(f->ssl), &says) || !says.peer)
		return; /* a client's came with the session */
	f->peer.known = true;
	f->peer.svid = says.svid;
	f->peer.expires = says.expires;
	f->peer.authenticated = says.authenticated;
	memcpy(f->peer.anchor, says.anchor, TG_DIGEST);
}

/* The peer's certificate has been digested when its chain was verified, unless that was before a
 * ticket. */
static struct tg_identity *peer_of(struct tg_facts *f, X509 *x)
{
	static const uint8_t none[TG_DIGEST];
	uint8_t *digest = f->peer.leaf;

	if (memcmp(digest, none, TG_DIGEST) == 0 &&
		!tg_cert_digest(x, f->ctx->worker[f->w->index].lib->sha256, digest))
		return NULL;
	return tg_ident_of(f->w->idents, x, digest, f->peer.svid ? TG_IDENT_SVID : TG_IDENT_PLAIN);
}

static struct tg_identity *own_of(struct tg_facts *f, X509 *x)
{
	const struct tg_ctx_worker *cw = &f->ctx->worker[f->w->index];

	for (uint32_t i = 0; i < TG_TLS_CERTS_MAX && cw->own[i]; i++)
		if (cw->own[i] == x)
			return tg_ident_of(f->w->idents, x, cw->own_digest[i], TG_IDENT_OWN);
	return NULL;
}

static bool take_identities(struct tg_facts *f, struct tg_hs_result *out)
{
	X509 *peer = SSL_get0_peer_certificate(f->ssl), *own = SSL_get_certificate(f->ssl);

	out->peer_expires = INT64_MAX;
	recall_peer(f);
	if (peer && f->peer.known) {
		out->peer_expires = f->peer.expires;
		out->peer = peer_of(f, peer);
		if (!out->peer ||
			(f->ctx->conf->keep_pem && !tg_ident_keep_pem_of(out->peer, peer)))
			return false;
	}
	if (!own || !(SSL_is_server(f->ssl) || f->asked || out->resumed))
		return true;
	out->own = own_of(f, own);
	return out->own != NULL;
}

static bool take_names(struct tg_facts *f, struct tg_hs_result *out)
{
	const char *sni = SSL_get_servername(f->ssl, TLSEXT_NAMETYPE_host_name);
	const unsigned char *alpn;
	unsigned int n;

	if (sni && !(out->sni = tg_name_of(f->w->idents, sni, strlen(sni))))
		return false;
	SSL_get0_alpn_selected(f->ssl, &alpn, &n);
	return n == 0 || (out->alpn = tg_name_of(f->w->idents, (const char *)alpn, n));
}

static bool take_keys13(struct tg_facts *f, struct tg_hs_result *out)
{
	int rx = SSL_is_server(f->ssl) ? 0 : 1;
	uint32_t id = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(f->ssl));
	enum tg_suite suite;

	if (id < 0x1301 || id > 0x1303 || !f->n_secret[0] || !f->n_secret[1])
		return false;
	suite = (enum tg_suite)(id - 0x1301 + TG_SUITE_AES_128_GCM_SHA256);
	tg_rec_init(&out->rx, suite, f->secret[rx], f->rx_seq);
	tg_rec_init(&out->tx, suite, f->secret[!rx], f->tx_seq);
	return true;
}

static bool suite12_of(uint32_t id, enum tg_suite *suite)
{
	static const struct {
		uint16_t id[2]; /* with ECDSA, with RSA */
		enum tg_suite suite;
	} all[] = {
		{{0xc02b, 0xc02f}, TG_SUITE12_AES_128_GCM_SHA256},
		{{0xc02c, 0xc030}, TG_SUITE12_AES_256_GCM_SHA384},
		{{0xcca9, 0xcca8}, TG_SUITE12_CHACHA20_POLY1305_SHA256},
	};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(all); i++)
		if (all[i].id[0] == id || all[i].id[1] == id) {
			*suite = all[i].suite;
			return true;
		}
	return false;
}

/* The explicit nonce that OpenSSL would have given record 0 of ours: that of our Finished, the last
 * record that we sent, less what was counted since. False: it was not the last. */
static bool first_nonce(const struct tg_facts *f, uint64_t *nonce)
{
	static const uint8_t finished[TG_REC_HEADER] = {
		TG_REC_HANDSHAKE, 3, 3, 0, TG_WIRE_SENT - TG_REC_HEADER};
	const uint8_t *p = f->wire.sent + TG_REC_HEADER;

	*nonce = (uint64_t)tg_load_be32(p) << 32 | tg_load_be32(p + 4);
	*nonce -= f->tx_seq - 1;
	return f->tx_seq > 0 && memcmp(f->wire.sent, finished, sizeof(finished)) == 0;
}

static bool take_keys12(struct tg_facts *f, struct tg_hs_result *out)
{
	uint8_t master[48], random[2][32];
	const SSL_SESSION *s = SSL_get0_session(f->ssl);
	int rx = SSL_is_server(f->ssl) ? 0 : 1;
	struct tg_keys12 k;
	enum tg_suite suite;
	uint64_t nonce;

	if (!suite12_of(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(f->ssl)), &suite) ||
		SSL_SESSION_get_master_key(s, master, sizeof(master)) != sizeof(master) ||
		SSL_get_client_random(f->ssl, random[0], 32) != 32 ||
		SSL_get_server_random(f->ssl, random[1], 32) != 32 ||
		(!first_nonce(f, &nonce) && tg_suite12_iv_size(suite) < TG_AEAD_NONCE))
		return false;
	tg_keys12(suite, master, random[0], random[1], &k);
	tg_rec_init12(&out->rx, suite, k.key[rx], k.iv[rx], 0, f->rx_seq);
	tg_rec_init12(&out->tx, suite, k.key[!rx], k.iv[!rx], nonce, f->tx_seq);
	OPENSSL_cleanse(master, sizeof(master));
	OPENSSL_cleanse(&k, sizeof(k));
	return true;
}

/* RFC 6066 section 4: a client with little memory wants short records, both ways. */
static void take_max_fragment(struct tg_facts *f, struct tg_hs_result *out)
{
	uint8_t code = SSL_SESSION_get_max_fragment_length(SSL_get0_session(f->ssl));

	if (code >= TLSEXT_max_fragment_length_512 && code <= TLSEXT_max_fragment_length_4096)
		out->rx.max_log2 = out->tx.max_log2 = (uint8_t)(8 + code);
}

static bool take_all(struct tg_hs *h, struct tg_hs_result *out)
{
	struct tg_facts *f = &h->f;

	if (h->serve.state == SERVE_OPEN)
		return tg_serve_take(h, out);
	out->version = SSL_version(f->ssl) == TLS1_3_VERSION ? 13 : 12;
	out->resumed = SSL_session_reused(f->ssl);
	out->cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(f->ssl));
	if (!take_identities(f, out) || !take_names(f, out))
		return false;
	if (!(out->version == 12 ? take_keys12(f, out) : take_keys13(f, out)))
		return false;
	take_max_fragment(f, out);
	out->trailing = SSL_has_pending(f->ssl);
	if (SSL_is_server(f->ssl) || !f->w->sessions || !f->ctx->conf->session_tickets)
		return true;
	if (out->version == 13)
		out->resume = tg_resume_create(f);
	else if (out->resumed)
		tg_session_again(f);
	return true;
}

int tg_hs_take(struct tg_hs *h, struct tg_hs_result *out)
{
	struct tg_hs_worker *w = h->f.w;

	memset(out, 0, sizeof(*out));
	if (take_all(h, out)) {
		tg_hs_abandon(h);
		return 0;
	}
	tg_hs_identity_drop(w, out->peer);
	tg_hs_identity_drop(w, out->own);
	tg_hs_name_drop(w, out->sni);
	tg_hs_name_drop(w, out->alpn);
	explicit_bzero(out, sizeof(*out));
	ERR_clear_error();
	tg_refuse(&h->f, TG_WHY_tls_no_memory, "no memory left for what the handshake found");
	h->state = TG_HS_FAILED;
	return TG_ENOMEM;
}

void tg_hs_abandon(struct tg_hs *h)
{
	struct tg_hs_worker *w = h->f.w;

	tg_serve_end(h);
	tg_facts_fini(&h->f);
	tg_pool_put(&w->handshakes, h);
}

void tg_hs_name_drop(struct tg_hs_worker *w, struct tg_name *n)
{
	tg_name_drop(w->idents, n);
}

void tg_hs_identity_drop(struct tg_hs_worker *w, struct tg_identity *id)
{
	tg_ident_drop(w->idents, id);
}
