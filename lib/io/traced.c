#include <tidegate/traced.h>

static const struct tg_traced_ops *traced_of(const struct tg_conn *c)
{
	return (const struct tg_traced_ops *)(const void *)c->ops;
}

static uint32_t peek(struct tg_conn *c, struct tg_view *v, uint32_t cnt)
{
	const struct tg_traced_ops *o = traced_of(c);
	enum tg_stage before = tg_tax_enter(o->tax, o->stage);
	uint32_t n = o->real->rx_peek(c, v, cnt);

	tg_tax_leave(o->tax, before);
	return n;
}

static void consume(struct tg_conn *c, uint32_t n)
{
	const struct tg_traced_ops *o = traced_of(c);
	enum tg_stage before = tg_tax_enter(o->tax, o->stage);

	o->real->rx_consume(c, n);
	tg_tax_leave(o->tax, before);
}

static uint32_t write(struct tg_conn *c, const struct tg_view *v, uint32_t cnt)
{
	const struct tg_traced_ops *o = traced_of(c);
	enum tg_stage before = tg_tax_enter(o->tax, o->stage);
	uint32_t n = o->real->tx_write(c, v, cnt);

	tg_tax_leave(o->tax, before);
	return n;
}

/* The user's part of a fill is the user's time. */
struct filling {
	struct tg_tax *tax;
	enum tg_stage user;
	tg_fill_fn *fill;
	void *ctx;
};

static void fill_traced(void *ctx, const struct tg_span *to, uint32_t cnt, uint32_t n)
{
	const struct filling *f = ctx;
	enum tg_stage before = tg_tax_enter(f->tax, f->user);

	f->fill(f->ctx, to, cnt, n);
	tg_tax_leave(f->tax, before);
}

static uint32_t fill(
	struct tg_conn *c, uint32_t least, uint32_t most, tg_fill_fn *user_fill, void *ctx)
{
	const struct tg_traced_ops *o = traced_of(c);
	enum tg_stage before = tg_tax_enter(o->tax, o->stage);
	struct filling f = {o->tax, before, user_fill, ctx};
	uint32_t n = o->real->tx_fill(c, least, most, fill_traced, &f);

	tg_tax_leave(o->tax, before);
	return n;
}

static void finish(struct tg_conn *c)
{
	const struct tg_traced_ops *o = traced_of(c);
	enum tg_stage before = tg_tax_enter(o->tax, o->stage);

	o->real->tx_finish(c);
	tg_tax_leave(o->tax, before);
}

/* c is gone after these two. */
static void abort_(struct tg_conn *c, enum tg_why why)
{
	const struct tg_traced_ops *o = traced_of(c);
	enum tg_stage before = tg_tax_enter(o->tax, o->stage);

	o->real->abort(c, why);
	tg_tax_leave(o->tax, before);
}

static void detach(struct tg_conn *c)
{
	const struct tg_traced_ops *o = traced_of(c);
	enum tg_stage before = tg_tax_enter(o->tax, o->stage);

	o->real->detach(c);
	tg_tax_leave(o->tax, before);
}

void tg_traced_init(struct tg_traced_ops *o, const struct tg_conn_ops *real, struct tg_tax *tax,
	enum tg_stage stage)
{
	*o = (struct tg_traced_ops){.ops = *real, .real = real, .tax = tax, .stage = stage};
}

void tg_traced_set(struct tg_traced_ops *o, bool on)
{
	o->ops = *o->real;
	if (!on)
		return;
	o->ops.rx_peek = peek;
	o->ops.rx_consume = consume;
	o->ops.tx_write = write;
	o->ops.tx_fill = fill;
	o->ops.tx_finish = finish;
	o->ops.abort = abort_;
	o->ops.detach = detach;
}
