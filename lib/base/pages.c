#include <sys/mman.h>

#include <tidegate/pages.h>

void *tg_pages_reserve(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* A wish: what comes of it is the kernel's choice. */
	if (n >= TG_PAGES_HUGE)
		(void)madvise(p, n, MADV_HUGEPAGE);
	return p;
}

void tg_pages_release(void *p, size_t n)
{
	if (p)
		munmap(p, n);
}
