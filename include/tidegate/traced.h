/* traced.h: operations of connections that say which stage they are (tax.h).
 *
 * A kind of connection whose table of operations is its worker's own can be traced without a cost
 * for the turns that are not: the table holds the operations themselves, and for a traced turn
 * others that stand around them. What has nothing to do but a few loads (tx_space, info) is not
 * worth a look at the clock and stays as it is.
 *
 * Owner: the worker whose connections point at the table. The connections' memory is not touched.
 */
#ifndef TIDEGATE_TRACED_H
#define TIDEGATE_TRACED_H

#include <tidegate/conn.h>
#include <tidegate/tax.h>

struct tg_traced_ops {
	struct tg_conn_ops ops; /* first: what conns point at */
	const struct tg_conn_ops *real;
	struct tg_tax *tax;
	enum tg_stage stage;
};

/* real lives as long as o. */
void tg_traced_init(struct tg_traced_ops *o, const struct tg_conn_ops *real, struct tg_tax *tax,
	enum tg_stage stage);
/* Between two turns. */
void tg_traced_set(struct tg_traced_ops *o, bool on);

#endif
