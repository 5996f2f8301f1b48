/* TLS 1.2: OpenSSL's object and its record layer stay to the end of the connection. */
#include <openssl/err.h>

#include "internal.h"

struct tg_tls12 *tg_tls12_create(struct tg_facts *f)
{
	struct tg_hs_worker *w = f->w;
	struct tg_tls12 *t = w->tls12.count ? tg_pool_take(&w->tls12) : NULL;

	if (!t)
		return NULL;
	t->f = *f;
	tg_set_hold(f->set, w->index);
	f->ssl = NULL;
	SSL_set_mode(t->f.ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (tg_facts_bind(&t->f, t->f.ssl))
		return t;
	tg_tls12_free(t);
	return NULL;
}

static enum tg_tls12_state state_of(struct tg_tls12 *t, int r)
{
	int error = r > 0 ? SSL_ERROR_NONE : SSL_get_error(t->f.ssl, r);

	if (error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ ||
		error == SSL_ERROR_WANT_WRITE)
		return TG_TLS12_OK;
	if (error == SSL_ERROR_ZERO_RETURN)
		return TG_TLS12_CLOSED;
	tg_refuse_ssl(&t->f);
	return TG_TLS12_FAILED;
}

enum tg_tls12_state tg_tls12_read(
	struct tg_tls12 *t, struct tg_hs_io *io, struct tg_span plain, uint32_t *n)
{
	size_t got = 0;
	int r;

	ERR_clear_error();
	tg_wire_begin(&t->f.wire, io);
	r = SSL_read_ex(t->f.ssl, plain.p, plain.n, &got);
	tg_wire_end(&t->f.wire);
	*n = (uint32_t)got;
	return state_of(t, r);
}

enum tg_tls12_state tg_tls12_write(
	struct tg_tls12 *t, struct tg_hs_io *io, struct tg_view plain, uint32_t *n)
{
	size_t done = 0;
	int r;

	*n = 0;
	io->used = io->made = 0;
	/* All or nothing: OpenSSL would keep what does not fit, and want the same bytes again. */
	if (plain.n == 0 || plain.n > TG_REC_CONTENT_MAX || io->out.n < plain.n + TG_TLS12_OVERHEAD)
		return TG_TLS12_OK;
	ERR_clear_error();
	tg_wire_begin(&t->f.wire, io);
	r = SSL_write_ex(t->f.ssl, plain.p, plain.n, &done);
	tg_wire_end(&t->f.wire);
	*n = (uint32_t)done;
	return state_of(t, r);
}

void tg_tls12_finish(struct tg_tls12 *t, struct tg_hs_io *io)
{
	ERR_clear_error();
	tg_wire_begin(&t->f.wire, io);
	SSL_shutdown(t->f.ssl);
	tg_wire_end(&t->f.wire);
	ERR_clear_error();
}

void tg_tls12_failure(const struct tg_tls12 *t, struct tg_hs_fail *out)
{
	tg_facts_failure(&t->f, out);
}

void tg_tls12_free(struct tg_tls12 *t)
{
	struct tg_pool *home = &t->f.w->tls12;

	tg_facts_fini(&t->f);
	tg_pool_put(home, t);
}
