#include "tgtest.h"

#include <tidegate/rng.h>
#include <tidegate/why.h>

/* From the SipHash paper (Aumasson, Bernstein 2012), appendix A, and its published vectors. */
static void siphash_vectors(void)
{
	static const struct {
		uint8_t n;
		uint64_t want;
	} rows[] = {
		{0, UINT64_C(0x726fdb47dd0e0e31)},
		{1, UINT64_C(0x74f839c593dc67fd)},
		{8, UINT64_C(0x93f5f5799a932462)},
		{15, UINT64_C(0xa129ca6149be45e5)},
	};
	uint8_t key[16], data[16];

	for (int i = 0; i < 16; i++)
		key[i] = data[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(tg_siphash24(key, data, rows[i].n), rows[i].want);
}

static void hash64_sees_every_byte_length_and_seed(void)
{
	uint8_t data[70];

	for (uint32_t n = 0; n <= sizeof(data); n++) {
		uint64_t h;

		memset(data, 0x5a, sizeof(data));
		h = tg_hash64(1, data, n);
		CU_ASSERT_EQUAL(h, tg_hash64(1, data, n));
		CU_ASSERT_NOT_EQUAL(h, tg_hash64(2, data, n));
		if (n)
			CU_ASSERT_NOT_EQUAL(h, tg_hash64(1, data, n - 1));
		for (uint32_t i = 0; i < n; i++) {
			data[i] ^= 1;
			CU_ASSERT_NOT_EQUAL(h, tg_hash64(1, data, n));
			data[i] ^= 1;
		}
	}
}

static void hash64_spreads(void)
{
	uint32_t bucket[256] = {0};

	for (uint32_t i = 0; i < 256 * 1000; i++)
		bucket[tg_hash64(99, &i, sizeof(i)) & 255]++;
	for (int i = 0; i < 256; i++)
		CU_ASSERT(bucket[i] > 850 && bucket[i] < 1150); /* 1000 +- 4.7 sigma */
}

static void rng_repeats_from_its_seed(void)
{
	struct tg_rng a, b;
	uint32_t seen[10] = {0};

	tg_rng_seed(&a, 42);
	tg_rng_seed(&b, 42);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(tg_rng_next(&a), tg_rng_next(&b));
	for (int i = 0; i < 100000; i++)
		seen[tg_rng_below(&a, 10)]++;
	for (int i = 0; i < 10; i++)
		CU_ASSERT(seen[i] > 9500 && seen[i] < 10500);
}

static void secrets_differ(void)
{
	uint8_t a[32] = {0}, b[32] = {0};

	CU_ASSERT_EQUAL(tg_rng_secret(a, sizeof(a)), 0);
	CU_ASSERT_EQUAL(tg_rng_secret(b, sizeof(b)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof(a)), 0);
}

static void reasons_have_names(void)
{
	CU_ASSERT_STRING_EQUAL(tg_why_name(TG_WHY_ip_bad_checksum), "ip_bad_checksum");
	CU_ASSERT_EQUAL(tg_why_class(TG_WHY_req_no_route), TG_WHY_REQ);
	CU_ASSERT_STRING_EQUAL(tg_why_name(TG_WHY_MAX), "unknown");
}

TG_TEST_MAIN("hash", {"siphash vectors", siphash_vectors},
	{"hash64 sees every byte, length and seed", hash64_sees_every_byte_length_and_seed},
	{"hash64 spreads", hash64_spreads},
	{"rng repeats from its seed", rng_repeats_from_its_seed},
	{"secrets differ", secrets_differ}, {"reasons have names", reasons_have_names})
