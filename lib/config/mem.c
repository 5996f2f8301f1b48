#include "mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate/pages.h>

struct cfg_block {
	struct cfg_block *next;
	size_t size; /* of data */
	_Alignas(16) char data[];
};

#define BLOCK_MIN ((size_t)4096)
#define BLOCK_MAX ((size_t)4 << 20)

static bool is_large(size_t size)
{
	return size >= TG_PAGES_HUGE;
}

/* Blocks double with the configuration, so that a small one stays small. */
static struct cfg_block *new_block(struct cfg_mem *m, size_t need)
{
	size_t size = m->blocks ? m->blocks->size * 2 : BLOCK_MIN;
	struct cfg_block *b;

	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < need)
		size = need;
	/* Tables of this size are looked up at random: in ordinary pages each look is a TLB miss.
	 */
	b = is_large(size) ? tg_pages_reserve(sizeof(*b) + size) : calloc(1, sizeof(*b) + size);
	if (!b)
		return NULL;
	b->size = size;
	b->next = m->blocks;
	m->blocks = b;
	m->left = size;
	return b;
}

void *cfg_alloc(void *ctx, size_t n)
{
	struct cfg_mem *m = ctx;
	char *p;

	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + 15) & ~(size_t)15;
	if ((!m->blocks || m->left < n) && !new_block(m, n))
		return NULL;
	p = m->blocks->data + (m->blocks->size - m->left);
	m->left -= n;
	return p;
}

char *cfg_strndup(struct cfg_mem *m, const char *s, size_t n)
{
	char *p = cfg_alloc(m, n + 1);

	if (p)
		memcpy(p, s, n);
	return p;
}

char *cfg_printf(struct cfg_mem *m, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = n < 0 ? NULL : cfg_alloc(m, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

void cfg_mem_free(struct cfg_mem *m)
{
	while (m->blocks) {
		struct cfg_block *next = m->blocks->next;

		if (is_large(m->blocks->size))
			tg_pages_release(m->blocks, sizeof(*next) + m->blocks->size);
		else
			free(m->blocks);
		m->blocks = next;
	}
	m->left = 0;
}
