/* hugepages.h: which hugepages there are. Reads /sys and /proc once. */
#ifndef TIDEGATE_APP_HUGEPAGES_H
#define TIDEGATE_APP_HUGEPAGES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct tg_hugepages {
	uint64_t page;       /* bytes of a page; of the size chosen */
	uint64_t free_bytes; /* in pages of that size */
	bool enough;
	char mount[PATH_MAX]; /* a writable hugetlbfs of that size; "" = none */
};

/* Chooses the size: one with enough free memory and a mount before one without mount. */
void tg_hugepages_look(struct tg_hugepages *h, uint64_t need);

#endif
