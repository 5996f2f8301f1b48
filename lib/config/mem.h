/* mem.h: memory that is given out piece by piece and freed all at once. Private to lib/config.
 * Zeroed, aligned to 16. Control core only. */
#ifndef TG_CONFIG_MEM_H
#define TG_CONFIG_MEM_H

#include <stddef.h>

struct cfg_block;

struct cfg_mem {
	struct cfg_block *blocks; /* newest first */
	size_t left;              /* bytes free at the end of the newest */
};

/* NULL: the system has no more. ctx is a struct cfg_mem: also a tg_alloc_fn. */
void *cfg_alloc(void *ctx, size_t n);
/* n bytes of s and a terminator. */
char *cfg_strndup(struct cfg_mem *m, const char *s, size_t n);
char *cfg_printf(struct cfg_mem *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cfg_mem_free(struct cfg_mem *m);

#endif
