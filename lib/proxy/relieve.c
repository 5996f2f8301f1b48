/* relieve.c: what the proxy gives up when TCP is short of connections or of packet buffers. */
#include "internal.h"

#define CLOSE_A_CALL 16 /* idle connections */
#define LOOK_A_CALL 64  /* connections looked at for one that stands still */
#define PATIENCE TG_SEC
#define PATIENCE_BADLY (250 * TG_MS)

static bool conn_holds(struct tg_conn *c)
{
	struct tg_conn_info info;

	tg_conn_info(c, &info);
	return info.tx_written != info.tx_acked || info.rx_held;
}

/* Since when no byte has moved; UINT64_MAX: it holds nothing that others lack. */
static uint64_t still_since(const struct px_down *d)
{
	const struct px_up *u = NULL;
	uint64_t since;

	switch (d->state) {
	case PX_DOWN_IDLE:
		return UINT64_MAX;
	case PX_DOWN_L4:
		since = d->l4->last_activity;
		u = d->l4->up;
		break;
	case PX_DOWN_BUSY:
		since = d->ex->last_activity;
		u = d->ex->up;
		break;
	default: /* LINGER: its timer, a second by default, is patience enough */
		return UINT64_MAX;
	}
	return conn_holds(d->conn) || (u && conn_holds(u->conn)) ? since : UINT64_MAX;
}

static void shed(struct px_down *d)
{
	struct px_exch *ex = d->ex;

	if (d->state == PX_DOWN_L4) {
		d->l4->flags |= TG_FLAG(OM);
		d->l4->details = "overload";
		px_l4_end(d->l4, TG_WHY_conn_shed);
		return;
	}
	ex->flags |= TG_FLAG(OM);
	ex->why = TG_WHY_req_shed;
	ex->details = "overload";
	px_exch_end(ex);
	px_down_abort(d, TG_WHY_conn_shed);
}

/* A peer that takes nothing, or sends what nobody takes, may do so for hours; while buffers are
 * short it may not. The hand goes round over all connections. */
static void shed_still(struct tg_proxy *p, uint64_t patience)
{
	uint32_t left = p->downs.fresh < LOOK_A_CALL ? p->downs.fresh : LOOK_A_CALL;

	while (left--) {
		struct px_down *d = tg_pool_at(&p->downs, p->still_at);
		uint64_t since;

		p->still_at = p->still_at + 1 < p->downs.fresh ? p->still_at + 1 : 0;
		since = d->used ? still_since(d) : UINT64_MAX;
		if (since != UINT64_MAX && px_now(p) - since >= patience)
			shed(d);
	}
}

uint32_t px_shortage(const struct tg_proxy *p)
{
	return p->conf.net.shortage ? p->conf.net.shortage(p->conf.net.ctx) : 0;
}

void tg_proxy_relieve(struct tg_proxy *p)
{
	uint32_t s = px_shortage(p);

	for (uint32_t i = 0; i < CLOSE_A_CALL && s & TG_SHORT_CONNS; i++) {
		if (!px_shed_idle(p, s))
			break;
		s = px_shortage(p);
	}
	if (s & (TG_SHORT_BUFFERS | TG_SHORT_BADLY))
		shed_still(p, s & TG_SHORT_BADLY ? PATIENCE_BADLY : PATIENCE);
}
