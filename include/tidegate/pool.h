/* pool.h: a fixed number of equal objects, carved from one block at start.
 *
 * Owner: one thread (no lock). Bound: count objects, never more; an empty pool refuses. Take and
 * put are LIFO, so a busy pool stays in cache. Every pool has a name and counts itself, which is
 * what /memory prints. A large one lies in huge pages where the kernel has some: objects that are
 * used in random order would else cost a page walk each. Not a general allocator; not for sharing
 * between workers.
 */
#ifndef TIDEGATE_POOL_H
#define TIDEGATE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/err.h>
#include <tidegate/view.h>

struct tg_pool_node {
	struct tg_pool_node *next;
};

struct tg_pool {
	struct tg_pool_node *free;
	uint8_t *base;
	const char *name; /* static string */
	uint32_t size;  /* bytes an object, rounded up to 16; or to 64 for objects of 64 and more */
	uint32_t count; /* objects in all */
	uint32_t in_use;     /* objects handed out now */
	uint32_t peak;       /* highest in_use since start */
	uint64_t refused;    /* takes that found the pool empty (or were made to fail) */
	uint32_t fail_every; /* tests: every n-th take fails; 0 = never */
	uint32_t fail_seq;
	uint32_t fresh; /* objects handed out at least once; memory behind them is untouched */
};

/* Reserves count objects of size bytes (mmap: pages are touched on first use). TG_ENOMEM. */
int tg_pool_init(struct tg_pool *p, const char *name, uint32_t size, uint32_t count);
/* Releases the block. Every object must be back (asserted). */
void tg_pool_fini(struct tg_pool *p);

/* An object, or NULL: the caller refuses with a named reason. Beyond its first 8 bytes its content
 * is what it was when it was put back; the first time, zeros. */
void *tg_pool_take(struct tg_pool *p);
void tg_pool_put(struct tg_pool *p, void *obj);

/* Position of obj in the block, 0 .. count-1, and back. For tables that hold 32-bit references. */
static inline uint32_t tg_pool_index(const struct tg_pool *p, const void *obj)
{
	return (uint32_t)(((const uint8_t *)obj - p->base) / p->size);
}

static inline void *tg_pool_at(const struct tg_pool *p, uint32_t index)
{
	return p->base + (uint64_t)index * p->size;
}

/* True if the free list and the counts agree (walks the list: tests only). */
bool tg_pool_validate(const struct tg_pool *p);

#endif
