/* The BIO between OpenSSL and the caller's memory.
 *
 * OpenSSL without read-ahead asks for a record's five bytes of header and then for just its body;
 * this BIO counts along, and after the end of one record it has no more to give until the next
 * call. So a step is bounded, and what follows the handshake is never taken out of the connection
 * below.
 */
#include "internal.h"

void tg_wire_begin(struct tg_wire *w, struct tg_hs_io *io)
{
	w->io = io;
	w->view = w->off = 0;
	w->ended = false;
	io->used = io->made = 0;
}

void tg_wire_end(struct tg_wire *w)
{
	w->io = NULL;
}

static uint32_t body_length(const uint8_t head[static TG_REC_HEADER])
{
	uint32_t total;

	if (!(head[0] & 0x80))
		return tg_load_be16(head + 3);
	/* A ClientHello of SSL 2.0, which OpenSSL still knows how to refuse. */
	total = 2u + (tg_load_be16(head) & 0x7fff);
	return total > TG_REC_HEADER ? total - TG_REC_HEADER : 0;
}

/* Counts n bytes that go up, which do not pass the end of the part they belong to. */
static void count_along(struct tg_wire *w, const uint8_t *p, uint32_t n)
{
	if (w->n_head < TG_REC_HEADER) {
		memcpy(w->head + w->n_head, p, n);
		w->n_head += n;
		if (w->n_head < TG_REC_HEADER)
			return;
		w->left = body_length(w->head);
	} else {
		w->left -= n;
	}
	if (w->left == 0) {
		w->ended = true;
		w->n_head = 0;
	}
}

static int wire_read(BIO *b, char *out, int want)
{
	struct tg_wire *w = BIO_get_data(b);
	int got = 0;

	BIO_clear_retry_flags(b);
	while (w->io && !w->ended && got < want && w->view < w->io->n_in) {
		const struct tg_view *v = &w->io->in[w->view];
		uint32_t n = v->n - w->off, part;

		part = w->n_head < TG_REC_HEADER ? (uint32_t)TG_REC_HEADER - w->n_head : w->left;
		if (n > part)
			n = part;
		if (n > (uint32_t)(want - got))
			n = (uint32_t)(want - got);
		if (n) {
			memcpy(out + got, v->p + w->off, n);
			count_along(w, v->p + w->off, n);
		}
		got += (int)n;
		w->io->used += n;
		w->off += n;
		if (w->off == v->n) {
			w->view++;
			w->off = 0;
		}
	}
	if (got)
		return got;
	BIO_set_retry_read(b);
	return -1;
}

static void remember_sent(struct tg_wire *w, const char *p, uint32_t n)
{
	uint32_t keep = n < sizeof(w->sent) ? (uint32_t)sizeof(w->sent) - n : 0;

	memmove(w->sent, w->sent + sizeof(w->sent) - keep, keep);
	memcpy(w->sent + keep, p + n - (sizeof(w->sent) - keep), sizeof(w->sent) - keep);
}

static int wire_write(BIO *b, const char *in, int len)
{
	struct tg_wire *w = BIO_get_data(b);
	uint32_t n;

	BIO_clear_retry_flags(b);
	n = w->io ? w->io->out.n - w->io->made : 0;
	if (n > (uint32_t)len)
		n = (uint32_t)len;
	if (n == 0) {
		BIO_set_retry_write(b);
		return -1;
	}
	memcpy(w->io->out.p + w->io->made, in, n);
	w->io->made += n;
	remember_sent(w, in, n);
	return (int)n;
}

static long wire_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

BIO_METHOD *tg_wire_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "views");

	if (m && BIO_meth_set_read(m, wire_read) && BIO_meth_set_write(m, wire_write) &&
		BIO_meth_set_ctrl(m, wire_ctrl))
		return m;
	BIO_meth_free(m);
	return NULL;
}

bool tg_wire_attach(const BIO_METHOD *m, SSL *ssl, struct tg_wire *w)
{
	BIO *b = BIO_new(m);

	if (!b)
		return false;
	BIO_set_data(b, w);
	BIO_set_init(b, 1);
	SSL_set_bio(ssl, b, b);
	return true;
}
