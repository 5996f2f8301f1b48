/* reference.h: route matching as one would explain it: look at each route in order. The compiled
 * tables are compared with it by the unit test and by the fuzzer. */
#ifndef TEST_ROUTE_REFERENCE_H
#define TEST_ROUTE_REFERENCE_H

#include <tidegate/route.h>

bool reference_header(const struct tg_header_match *h, const struct tg_msg *m);
const struct tg_route *reference_find(const struct tg_vhost *v, const struct tg_msg *m);

/* Memory of a compiled table: freed as a whole. */
struct test_memory {
	void *block[4096];
	uint32_t n;
};

void *test_alloc(void *ctx, size_t n); /* NULL when all blocks are in use */
void test_memory_free(struct test_memory *t);

#endif
