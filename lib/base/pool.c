#include <assert.h>
#include <string.h>

#include <tidegate/pages.h>
#include <tidegate/pool.h>

static size_t pool_bytes(const struct tg_pool *p)
{
	return (size_t)p->size * p->count;
}

int tg_pool_init(struct tg_pool *p, const char *name, uint32_t size, uint32_t count)
{
	uint32_t align = size >= 64 ? 64 : 16;

	memset(p, 0, sizeof(*p));
	if (!size || !count || size > UINT32_MAX - align)
		return TG_EINVAL;
	p->name = name;
	p->size = (size + align - 1) & ~(align - 1);
	p->count = count;
	p->base = tg_pages_reserve(pool_bytes(p));
	return p->base ? 0 : TG_ENOMEM;
}

void tg_pool_fini(struct tg_pool *p)
{
	assert(p->in_use == 0);
	tg_pages_release(p->base, pool_bytes(p));
	memset(p, 0, sizeof(*p));
}

static bool made_to_fail(struct tg_pool *p)
{
	return p->fail_every && ++p->fail_seq % p->fail_every == 0;
}

void *tg_pool_take(struct tg_pool *p)
{
	struct tg_pool_node *n = p->free;

	if (tg_unlikely(made_to_fail(p))) {
		p->refused++;
		return NULL;
	}
	if (n) {
		p->free = n->next;
		__builtin_prefetch(n->next, 1); /* the next take reads it */
	} else if (p->fresh < p->count) {
		n = tg_pool_at(p, p->fresh++);
	} else {
		p->refused++;
		return NULL;
	}
	if (++p->in_use > p->peak)
		p->peak = p->in_use;
	return n;
}

void tg_pool_put(struct tg_pool *p, void *obj)
{
	struct tg_pool_node *n = obj;

	assert(p->in_use > 0);
	n->next = p->free;
	p->free = n;
	p->in_use--;
}

bool tg_pool_validate(const struct tg_pool *p)
{
	uint32_t n = 0;

	for (const struct tg_pool_node *f = p->free; f; f = f->next) {
		size_t off = (size_t)((const uint8_t *)f - p->base);

		if (off >= pool_bytes(p) || off % p->size || tg_pool_index(p, f) >= p->fresh)
			return false;
		if (++n > p->count)
			return false;
	}
	return n + p->in_use == p->fresh && p->fresh <= p->count && p->peak >= p->in_use;
}
