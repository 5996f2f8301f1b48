#include <tidegate/ready.h>

/* ready_state of a conn */
enum {
	IDLE,   /* not in the list */
	QUEUED, /* in the list */
	GONE,   /* in the list, its user has left: to be reaped */
};

void tg_ready_init(struct tg_ready *r)
{
	*r = (struct tg_ready){0};
}

static void append(struct tg_ready *r, struct tg_conn *c)
{
	c->ready_next = NULL;
	if (r->tail)
		r->tail->ready_next = c;
	else
		r->head = c;
	r->tail = c;
	r->queued++;
}

void tg_ready_raise(struct tg_ready *r, struct tg_conn *c, uint32_t events)
{
	c->events |= (uint8_t)events;
	if (c->ready_state != IDLE)
		return;
	/* Its user comes next, and of very many connections most are cold. */
	__builtin_prefetch(c->owner, 1);
	c->ready_state = QUEUED;
	append(r, c);
}

bool tg_ready_cancel(struct tg_ready *r, struct tg_conn *c)
{
	(void)r;
	if (c->ready_state == IDLE)
		return false;
	c->ready_state = GONE;
	return true;
}

/* c comes next: time for what its user needs. A step of the way to that is made for each of the two
 * behind it, so that none has to wait for the one before. */
static inline void prepare(const struct tg_conn *c)
{
	const struct tg_conn *next = c->ready_next;

	if (next) {
		__builtin_prefetch(next->owner, 1);
		__builtin_prefetch(next->ready_next, 1);
	}
	if (c->user->soon && c->ready_state == QUEUED)
		c->user->soon(c);
}

uint32_t tg_ready_drain(struct tg_ready *r, uint32_t budget, tg_reap_fn *reap, void *ctx)
{
	uint32_t handled = 0;

	while (r->head && (!budget || handled < budget)) {
		struct tg_conn *c = r->head;
		uint8_t state = c->ready_state, events = c->events;

		r->head = c->ready_next;
		if (!r->head)
			r->tail = NULL;
		else
			prepare(r->head);
		r->queued--;
		c->ready_state = IDLE;
		c->events = 0;
		if (state == GONE)
			reap(ctx, c);
		else
			c->user->on_ready(c, events);
		handled++;
	}
	return handled;
}
