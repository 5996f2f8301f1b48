#include "../tgtest.h"
#include "reference.h"
#include "tests.h"

static struct tg_cluster cluster(struct tg_endpoint *e, const uint32_t *weights, uint32_t n)
{
	struct tg_cluster c = {.n_endpoints = n, .endpoints = e};

	for (uint32_t i = 0; i < n; i++)
		e[i] = (struct tg_endpoint){.weight = weights[i], .id = i};
	return c;
}

void balance_equal(void)
{
	struct tg_endpoint e[3];
	struct tg_cluster c = cluster(e, (uint32_t[]){7, 7, 7}, 3);
	uint32_t pos = 0;

	for (int compiled = 0; compiled < 2; compiled++) {
		for (uint32_t i = 0; i < 9; i++)
			CU_ASSERT_PTR_EQUAL(tg_lb_round_robin(&c, &pos, NULL), &e[i % 3]);
		CU_ASSERT_EQUAL_FATAL(tg_cluster_compile(&c), 0);
	}
}

void balance_weights(void)
{
	static const uint32_t weights[] = {2, 10, 1, 86, 1, 300, 40};
	struct tg_endpoint e[7];
	struct tg_cluster c = cluster(e, weights, 7);
	uint32_t got[7] = {0}, half[7] = {0}, pos = 0, total = 440;

	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile(&c), 0);
	CU_ASSERT_EQUAL(c.total_weight, total);
	for (uint32_t i = 0; i < 3 * total; i++)
		got[tg_lb_round_robin(&c, &pos, NULL)->id]++;
	for (uint32_t i = 0; i < 7; i++)
		CU_ASSERT_EQUAL(got[i], 3 * weights[i]);
	/* Spread evenly: half of a round has about half of each share. */
	CU_ASSERT_EQUAL(pos, 0);
	for (uint32_t i = 0; i < total / 2; i++)
		half[tg_lb_round_robin(&c, &pos, NULL)->id]++;
	for (uint32_t i = 0; i < 7; i++)
		CU_ASSERT(half[i] + 3 >= weights[i] / 2 && half[i] <= weights[i] / 2 + 3);
}

void balance_avoid(void)
{
	struct tg_endpoint e[3];
	struct tg_cluster c = cluster(e, (uint32_t[]){1, 1000000, 1}, 3), one = c, none = c;
	uint32_t pos = 0;

	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile(&c), 0);
	for (uint32_t i = 0; i < 1000; i++)
		CU_ASSERT_PTR_NOT_EQUAL(tg_lb_round_robin(&c, &pos, &e[1]), &e[1]);
	one.n_endpoints = 1;
	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile(&one), 0);
	CU_ASSERT_PTR_EQUAL(tg_lb_round_robin(&one, &pos, &e[0]), &e[0]);
	none.n_endpoints = 0;
	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile(&none), 0);
	CU_ASSERT_PTR_NULL(tg_lb_round_robin(&none, &pos, NULL));
}

void balance_any_position(void)
{
	struct tg_endpoint e[3];
	struct tg_cluster c = cluster(e, (uint32_t[]){1, 2, 3}, 3);
	uint32_t pos = UINT32_MAX;

	CU_ASSERT_EQUAL_FATAL(tg_cluster_compile(&c), 0);
	for (uint32_t i = 0; i < 10; i++) {
		const struct tg_endpoint *got = tg_lb_round_robin(&c, &pos, NULL);

		CU_ASSERT(got >= e && got < e + 3);
		CU_ASSERT(pos < 6);
	}
}

void balance_bad_weights(void)
{
	struct tg_endpoint e[2];
	struct tg_cluster c = cluster(e, (uint32_t[]){1, 0}, 2);

	CU_ASSERT_EQUAL(tg_cluster_compile(&c), TG_ERANGE);
	c = cluster(e, (uint32_t[]){UINT32_MAX, 1}, 2);
	CU_ASSERT_EQUAL(tg_cluster_compile(&c), TG_ERANGE);
	c = cluster(e, (uint32_t[]){UINT32_MAX - 1, 1}, 2);
	CU_ASSERT_EQUAL(tg_cluster_compile(&c), 0);
}
