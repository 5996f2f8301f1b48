/* ready.h: the worker's list of conns with something to look at.
 *
 * Owner: one worker. Bound: a conn is in it at most once, by a link of its own, so it needs no
 * memory. Implementations raise events; the worker's turn drains them within a budget. A conn that
 * raises an event while it is being handled comes again in the same drain, behind the others.
 *
 * An implementation that is told to detach or abort calls tg_ready_cancel(): if the conn is queued
 * it must not be freed yet; the drain hands it to `reap` instead, exactly once.
 */
#ifndef TIDEGATE_READY_H
#define TIDEGATE_READY_H

#include <tidegate/conn.h>

struct tg_ready {
	struct tg_conn *head, *tail;
	uint32_t queued;
};

void tg_ready_init(struct tg_ready *r);

/* Adds events to c and queues it if it is not queued. */
void tg_ready_raise(struct tg_ready *r, struct tg_conn *c, uint32_t events);

/* The user is gone: no more on_ready. True: c is queued, so its memory must stay until `reap` is
 * called for it by a drain; false: c may be freed at once. */
bool tg_ready_cancel(struct tg_ready *r, struct tg_conn *c);

typedef void tg_reap_fn(void *ctx, struct tg_conn *c);

/* Calls on_ready for up to budget conns (0: until empty). Returns how many were handled. */
uint32_t tg_ready_drain(struct tg_ready *r, uint32_t budget, tg_reap_fn *reap, void *ctx);

#endif
