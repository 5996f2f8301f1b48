/* fault.c: a TLS connection that ends badly on purpose (conn.h: tg_conn_fault). */
#include "conn.h"

int tls_conn_fault(struct tg_conn *conn, const struct tg_conn_fault *f)
{
	struct tls_conn *c = tls_of(conn);
	struct tg_conn_fault lower = *f;

	if (tls_mode(c) != TLS_OPEN)
		return TG_EINVAL;
	if (f->alert) {
		tg_post_fail(&c->post, -(int32_t)f->alert);
		tls_tx_control(c, false); /* FIN follows */
	}
	/* A FIN without close_notify: what RFC 8446 section 6.1 calls a truncation. */
	if (f->truncate)
		c->flags |= F_FINISHED;
	return tg_conn_fault(c->lower, &lower);
}
