/* pages.h: large blocks of zeroed memory, reserved at start and given by the kernel page by page
 * when they are first touched: a table for the worst day costs little on others.
 *
 * A block of TG_PAGES_HUGE and more asks for huge pages; where the kernel has none (or may not:
 * transparent_hugepage/enabled is "never") it is ordinary pages. Owner: whoever reserved it. Not
 * for memory that a device reads or writes.
 */
#ifndef TIDEGATE_PAGES_H
#define TIDEGATE_PAGES_H

#include <stddef.h>

#define TG_PAGES_HUGE (8u << 20) /* bytes: at most a quarter more than is used */

/* NULL: no memory. n > 0. */
void *tg_pages_reserve(size_t n);
/* p of tg_pages_reserve(n), or NULL. */
void tg_pages_release(void *p, size_t n);

#endif
