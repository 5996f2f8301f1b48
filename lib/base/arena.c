#include <tidegate/arena.h>

struct tg_arena_chunk {
	struct tg_arena_chunk *next;
	struct tg_pool *home;
	uint8_t data[];
};

int tg_arena_source_init(struct tg_arena_source *s, uint32_t small_size, uint32_t n_small,
	uint32_t large_size, uint32_t n_large)
{
	int rc = tg_pool_init(&s->small, "arena_small", small_size, n_small);

	if (rc)
		return rc;
	rc = tg_pool_init(&s->large, "arena_large", large_size, n_large);
	if (rc)
		tg_pool_fini(&s->small);
	return rc;
}

void tg_arena_source_fini(struct tg_arena_source *s)
{
	tg_pool_fini(&s->small);
	tg_pool_fini(&s->large);
}

void tg_arena_init(struct tg_arena *a, struct tg_arena_source *src, uint32_t max_bytes)
{
	*a = (struct tg_arena){.src = src, .max_bytes = max_bytes};
}

static bool add_chunk(struct tg_arena *a, uint32_t n)
{
	struct tg_pool *home = &a->src->small;
	struct tg_arena_chunk *c;

	if (n > home->size - sizeof(*c))
		home = &a->src->large;
	if (n > home->size - sizeof(*c) || home->size > a->max_bytes - a->used)
		return false;
	c = tg_pool_take(home);
	if (!c)
		return false;
	c->home = home;
	c->next = a->chunks;
	a->chunks = c;
	a->used += home->size;
	a->cur = c->data;
	a->end = (uint8_t *)c + home->size;
	return true;
}

void *tg_arena_alloc(struct tg_arena *a, uint32_t n)
{
	uint8_t *p;

	if (n > UINT32_MAX - 7)
		return NULL;
	n = (n + 7) & ~7u;
	if ((size_t)(a->end - a->cur) < n && !add_chunk(a, n))
		return NULL;
	p = a->cur;
	a->cur += n;
	return p;
}

struct tg_view tg_arena_copy(struct tg_arena *a, struct tg_view v)
{
	uint8_t *p;

	if (!v.n)
		return v;
	p = tg_arena_alloc(a, v.n);
	if (!p)
		return TG_VIEW_NONE;
	memcpy(p, v.p, v.n);
	return tg_view_of(p, v.n);
}

void tg_arena_reset(struct tg_arena *a)
{
	struct tg_arena_chunk *c = a->chunks;

	while (c) {
		struct tg_arena_chunk *next = c->next;

		tg_pool_put(c->home, c);
		c = next;
	}
	a->chunks = NULL;
	a->cur = a->end = NULL;
	a->used = 0;
}
