/* The checksum against its definition (RFC 1071), at every length and alignment, in chains. */
#include "rig.h"

#include "csum.h"

static uint8_t bytes[2100];

static uint16_t by_definition(const uint8_t *b, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void fill(uint64_t seed)
{
	struct tg_rng r;

	tg_rng_seed(&r, seed);
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = seed ? (uint8_t)tg_rng_next(&r) : 0xff; /* 0: most carries */
}

static void buffers_are_summed(void)
{
	for (uint64_t seed = 0; seed < 3; seed++) {
		fill(seed);
		for (uint32_t n = 0; n < 2000; n++) {
			const uint8_t *b = bytes + n % 9;

			CU_ASSERT_EQUAL(
				ntohs(tg_csum_fold(tg_csum_raw(b, n))), by_definition(b, n));
		}
	}
}

static void chains_are_summed(void)
{
	rig_up();
	for (uint64_t seed = 0; seed < 3; seed++) {
		fill(seed);
		for (uint32_t part = 1; part < 200; part += 3) {
			struct rte_mbuf *m = rig_mbuf(bytes, part);

			for (uint32_t at = part; at < 1000; at += part)
				rte_pktmbuf_chain(m, rig_mbuf(bytes + at, part));
			for (uint32_t off = 0; off < 300; off += 37)
				CU_ASSERT_EQUAL(ntohs(tg_csum_fold(tg_csum_mbuf(m, off, 700))),
					by_definition(bytes + off, 700));
			rte_pktmbuf_free(m);
		}
	}
	rig_down();
}

TG_TEST_MAIN("net checksum", {"buffers are summed", buffers_are_summed},
	{"chains are summed", chains_are_summed})
