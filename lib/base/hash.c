#include <string.h>

#include <tidegate/rng.h>

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static uint64_t load_le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static uint32_t load_le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

/* n < 8 bytes, zeros behind them. By loads that overlap: a copy of n bytes is a function call, and
 * what it wrote in pieces cannot be loaded at once. */
static uint64_t load_tail(const uint8_t *p, size_t n)
{
	if (n >= 4)
		return load_le32(p) | (uint64_t)load_le32(p + n - 4) << 8 * (n - 4);
	if (n == 0)
		return 0;
	return p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static void sip_block(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
}

uint64_t tg_siphash24(const uint8_t key[16], const void *data, size_t n)
{
	uint64_t k0 = load_le64(key), k1 = load_le64(key + 8);
	uint64_t v[4] = {
		k0 ^ UINT64_C(0x736f6d6570736575),
		k1 ^ UINT64_C(0x646f72616e646f6d),
		k0 ^ UINT64_C(0x6c7967656e657261),
		k1 ^ UINT64_C(0x7465646279746573),
	};
	const uint8_t *p = data;
	size_t whole = n & ~(size_t)7;

	for (size_t i = 0; i < whole; i += 8)
		sip_block(v, load_le64(p + i));
	sip_block(v, load_tail(p + whole, n - whole) | (uint64_t)n << 56);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t fold(uint64_t a, uint64_t b)
{
	__uint128_t m = (__uint128_t)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t tg_hash64(uint64_t seed, const void *data, size_t n)
{
	const uint64_t c0 = UINT64_C(0xa0761d6478bd642f), c1 = UINT64_C(0xe7037ed1a0b428db);
	const uint8_t *p = data;
	uint64_t h = seed ^ c0;
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		h = fold(load_le64(p + i) ^ c1 ^ seed, load_le64(p + i + 8) ^ h);
	if (i + 8 <= n) {
		h = fold(load_le64(p + i) ^ c1, h ^ seed);
		i += 8;
	}
	if (i < n)
		h = fold(load_tail(p + i, n - i) ^ c1, h ^ seed);
	return fold(h ^ c0, (uint64_t)n ^ c1 ^ seed);
}
