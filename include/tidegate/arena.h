/* arena.h: memory that is given out piece by piece and taken back all at once.
 *
 * Owner: one thread. Chunks come from two pools: small ones serve almost every exchange, large
 * ones the rare 60 KiB head. Bound: max_bytes an arena, and the pools' sizes over all arenas.
 * Reset returns every chunk. Memory is not zeroed. Not for objects that outlive the exchange.
 */
#ifndef TIDEGATE_ARENA_H
#define TIDEGATE_ARENA_H

#include <stdint.h>

#include <tidegate/pool.h>
#include <tidegate/view.h>

struct tg_arena_chunk;

/* Where arenas of one worker get their chunks. */
struct tg_arena_source {
	struct tg_pool small, large;
};

struct tg_arena {
	struct tg_arena_source *src;
	struct tg_arena_chunk *chunks; /* newest first */
	uint8_t *cur, *end;            /* free part of the newest chunk */
	uint32_t used, max_bytes;      /* chunk bytes held, and their limit */
};

/* small_size and large_size: bytes a chunk, headers included; n_*: how many. TG_ENOMEM. */
int tg_arena_source_init(struct tg_arena_source *s, uint32_t small_size, uint32_t n_small,
	uint32_t large_size, uint32_t n_large);
void tg_arena_source_fini(struct tg_arena_source *s);

void tg_arena_init(struct tg_arena *a, struct tg_arena_source *src, uint32_t max_bytes);
/* n bytes aligned to 8, valid until reset; NULL when a limit or the pools refuse. */
void *tg_arena_alloc(struct tg_arena *a, uint32_t n);
/* A copy of v in the arena; .p NULL when refused (and v.n > 0). */
struct tg_view tg_arena_copy(struct tg_arena *a, struct tg_view v);
/* Gives every chunk back. The arena can be used again. */
void tg_arena_reset(struct tg_arena *a);

#endif
