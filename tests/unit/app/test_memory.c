/* How dataplane.memory is divided: the sum is kept, more memory never means less of anything. */
#include "../../../dpdk_app/memory.h"

#include <rte_common.h>

#include "../tgtest.h"

#define MIB (UINT64_C(1) << 20)

static struct tg_budget_ask ask(uint64_t mib, uint32_t workers)
{
	return (struct tg_budget_ask){.memory = mib * MIB,
		.workers = workers,
		.ports = 2,
		.rx_queues = 2 * workers,
		.mtu = 1500,
		.log = true};
}

static void default_is_useful(void)
{
	struct tg_budget_ask a = ask(512, 1);
	struct tg_budget b;

	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	CU_ASSERT(b.max_conns >= 20000);
	CU_ASSERT(b.max_exchanges >= 10000);
	CU_ASSERT(b.n_mbufs >= 65536);
	CU_ASSERT_EQUAL(b.mbuf_room, 2048 + 128);
}

static void sum_is_within(void)
{
	for (uint32_t workers = 1; workers <= 64; workers *= 2)
		for (uint64_t mib = 32; mib <= 65536; mib = mib * 3 / 2) {
			struct tg_budget_ask a = ask(mib, workers);
			struct tg_errbuf e = {{0}};
			struct tg_budget b;

			if (tg_budget_make(&a, &b, &e)) {
				CU_ASSERT(strstr(e.text, "dataplane.memory") != NULL);
				continue;
			}
			CU_ASSERT(b.eal_bytes + b.worker_bytes * workers <= a.memory);
			CU_ASSERT(b.n_mbufs >= a.rx_queues * 4096);
			CU_ASSERT(b.max_exchanges <= b.max_conns);
			CU_ASSERT(b.max_conns >= 64);
		}
}

static void more_is_never_less(void)
{
	struct tg_budget last = {0};
	uint32_t ok = 0;

	for (uint64_t mib = 64; mib <= 8192; mib += 16) {
		struct tg_budget_ask a = ask(mib, 2);
		struct tg_budget b;

		if (tg_budget_make(&a, &b, NULL)) {
			CU_ASSERT_EQUAL(ok, 0);
			continue;
		}
		ok++;
		CU_ASSERT(b.n_mbufs >= last.n_mbufs);
		CU_ASSERT(b.max_conns >= last.max_conns);
		last = b;
	}
	CU_ASSERT(ok > 400);
}

static void refusal_says_how_much(void)
{
	struct tg_budget_ask a = ask(16, 2);
	struct tg_errbuf e = {{0}};
	struct tg_budget b;
	unsigned long long mib = 0;
	const char *p;

	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, &e), TG_ENOMEM);
	p = strstr(e.text, "at least \"");
	CU_ASSERT_FATAL(p != NULL);
	CU_ASSERT_EQUAL(sscanf(p, "at least \"%lluMiB", &mib), 1);
	/* What it asks for is enough, and nothing less is. */
	a.memory = mib * MIB;
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	a.memory = (mib - 1) * MIB;
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), TG_ENOMEM);
}

static void connections_are_kept(void)
{
	struct tg_budget_ask a = ask(1024, 3);
	struct tg_errbuf e = {{0}};
	struct tg_budget b, all;

	CU_ASSERT_EQUAL(tg_budget_make(&a, &all, NULL), 0);
	a.max_connections = 1000;
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	CU_ASSERT_EQUAL(b.max_conns, 334);
	CU_ASSERT(b.n_mbufs > all.n_mbufs);
	a.max_connections = 1;
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	CU_ASSERT_EQUAL(b.max_conns, 64);
	a.max_connections = 4000000;
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, &e), TG_ENOMEM);
	CU_ASSERT(strstr(e.text, "connections need") != NULL);
	a.memory = UINT64_MAX / 2;
	a.max_connections = UINT32_MAX;
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, &e), TG_ERANGE);
}

static void large_frames(void)
{
	struct tg_budget_ask a = ask(512, 1);
	struct tg_budget b;

	a.mtu = 9000;
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	CU_ASSERT(b.mbuf_room >= 9000 + 18 + 128);
	a.mtu = 3000; /* AF_XDP: a buffer within a page, 256 bytes of it the kernel's */
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	CU_ASSERT(b.mbuf_room >= 3000 + 18 + 128 + 256);
	CU_ASSERT(b.mbuf_bytes <= 4096);
	CU_ASSERT_FALSE(tg_mbuf_fills_page(b.mbuf_room));
	CU_ASSERT_EQUAL(tg_mtu_within_page(), RTE_CACHE_LINE_SIZE == 64 ? 3498 : 3434);
	a.mtu = tg_mtu_within_page(); /* just a page; the pool's own 16 bytes lie elsewhere */
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	CU_ASSERT(b.mbuf_room >= a.mtu + 22u + 128 + 256);
	CU_ASSERT_EQUAL(b.mbuf_bytes, 4096 + 16);
	CU_ASSERT(tg_mbuf_fills_page(b.mbuf_room));
	a.mtu++;
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	CU_ASSERT(b.mbuf_bytes > 4096 + 16);
}

/* A NIC behind AF_XDP: a buffer of 2368 bytes takes a page of its own, and all of it. */
static void paged(void)
{
	struct tg_budget_ask a = ask(512, 1);
	struct tg_budget b;

	a.paged = true;
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	CU_ASSERT_EQUAL(b.mbuf_bytes, 4096 + 16);
	CU_ASSERT(tg_mbuf_fills_page(b.mbuf_room));
	a.mtu = 9000; /* crosses, whatever is done */
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	CU_ASSERT(b.mbuf_room >= 9000 + 22 + 128 + 256);
}

/* The mempool's ring has a power of two of places. */
static void ring_fits(void)
{
	for (uint64_t mib = 64; mib <= 65536; mib += 25) {
		struct tg_budget_ask a = ask(mib, 1);
		struct tg_budget b;
		uint32_t object;

		if (tg_budget_make(&a, &b, NULL))
			continue;
		object = b.mbuf_room + 128 + RTE_CACHE_LINE_SIZE;
		CU_ASSERT(b.n_mbufs * (uint64_t)(b.mbuf_bytes - object) >=
			  8 * (uint64_t)rte_align32pow2(b.n_mbufs + 1));
	}
}

static void no_log_no_ring(void)
{
	struct tg_budget_ask a = ask(512, 1);
	struct tg_budget b;

	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	CU_ASSERT(b.log_records > 0);
	a.log = false;
	CU_ASSERT_EQUAL(tg_budget_make(&a, &b, NULL), 0);
	CU_ASSERT_EQUAL(b.log_records, 0);
}

TG_TEST_MAIN("memory", {"the default is useful", default_is_useful},
	{"the sum is within the budget", sum_is_within},
	{"more memory is never less", more_is_never_less},
	{"a refusal says how much is needed", refusal_says_how_much},
	{"max_connections is kept", connections_are_kept}, {"large frames", large_frames},
	{"buffers within pages", paged}, {"the ring fits", ring_fits},
	{"no log, no ring", no_log_no_ring})
