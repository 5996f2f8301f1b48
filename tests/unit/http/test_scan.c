/* test_scan.c: the scanners against the grammar, against each other, and how often they look at a
 * byte. */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/err.h>
#include <tidegate/http1.h>

#include "../../../lib/http/scan.h"
#include "../tgtest.h"

static bool in(const char *set, int c)
{
	return c && strchr(set, c);
}

static bool alnum(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The classes written down again, from the RFCs' ABNF. */
static uint8_t class_of(int c)
{
	uint8_t k = 0;
	bool vchar = c > 0x20 && c < 0x7f, value = vchar || c == ' ' || c == '\t' || c >= 0x80;

	if (alnum(c) || in("!#$%&'*+-.^_`|~", c))
		k |= TG_BYTE_TOKEN;
	if (value)
		k |= TG_BYTE_VALUE;
	if (vchar && !in("\"#<>\\", c))
		k |= TG_BYTE_TARGET;
	if (alnum(c) || in("-._~", c))
		k |= TG_BYTE_HOST | TG_BYTE_UNRESERVED;
	if (c >= '0' && c <= '9')
		k |= TG_BYTE_DIGIT;
	if (in("0123456789abcdefABCDEF", c))
		k |= TG_BYTE_HEX;
	if (value && !in("\"\\", c))
		k |= TG_BYTE_QUOTED;
	return k;
}

static void classes(void)
{
	for (int c = 0; c < 256; c++)
		CU_ASSERT_EQUAL(tg_byte_class[c], class_of(c));
}

static uint32_t others(const struct tg_scan_ops *ops[3])
{
	uint32_t n = 0;

	ops[n++] = &tg_scan_scalar;
	if (tg_scan_avx2())
		ops[n++] = tg_scan_avx2();
	if (tg_scan_neon())
		ops[n++] = tg_scan_neon();
	return n;
}

/* Every byte value at every place of a block of otherwise good, and otherwise bad, bytes. */
static void every_byte_everywhere(void)
{
	const struct tg_scan_ops *ops[3];
	uint32_t n = others(ops), bad = 0;
	uint8_t block[TG_SCAN_BLOCK];
	uint64_t t, s;

	for (uint32_t k = 0; k < n; k++)
		for (int fill = 0; fill < 2; fill++)
			for (int c = 0; c < 256; c++)
				for (uint32_t i = 0; i < TG_SCAN_BLOCK; i++) {
					uint64_t bit = 1ull << i, rest = fill ? ~bit : 0;

					memset(block, fill ? '\0' : 'a', sizeof(block));
					block[i] = (uint8_t)c;
					ops[k]->classify(block, 1, &t, &s);
					bad += t !=
					       (rest | (class_of(c) & TG_BYTE_TOKEN ? 0 : bit));
					bad += s !=
					       (rest | (class_of(c) & TG_BYTE_VALUE ? 0 : bit));
				}
	CU_ASSERT_EQUAL(bad, 0);
}

static void target_runs(void)
{
	const struct tg_scan_ops *ops[3];
	uint32_t n = others(ops), bad = 0;

	for (uint32_t k = 0; k < n; k++)
		for (uint32_t len = 0; len <= 100; len++) {
			uint8_t *p = malloc(len ? len : 1); /* its end is where reading must end */

			memset(p, '/', len);
			bad += ops[k]->target_run(p, len) != len;
			for (uint32_t i = 0; i < len; i++)
				for (int c = 0; c < 256; c += len == 70 ? 1 : 51) {
					uint32_t want = class_of(c) & TG_BYTE_TARGET ? len : i;

					p[i] = (uint8_t)c;
					bad += ops[k]->target_run(p, len) != want;
					p[i] = '/';
				}
			free(p);
		}
	CU_ASSERT_EQUAL(bad, 0);
}

/* Random bytes, many blocks, every alignment: equal to the scalar twin. */
static void equal_on_random(void)
{
	const struct tg_scan_ops *ops[3];
	uint32_t n = others(ops), bad = 0;
	uint8_t buf[64 * 8 + 64];
	uint64_t t[2][8], s[2][8], x = 88172645463325252ull;

	for (uint32_t round = 0; round < 2000; round++) {
		uint32_t at = round % 64, blocks = round % 8 + 1;

		for (uint32_t i = 0; i < sizeof(buf); i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			buf[i] = (uint8_t)(x >> 24);
		}
		ops[0]->classify(buf + at, blocks, t[0], s[0]);
		for (uint32_t k = 1; k < n; k++) {
			ops[k]->classify(buf + at, blocks, t[1], s[1]);
			bad += memcmp(t[0], t[1], 8 * blocks) != 0;
			bad += memcmp(s[0], s[1], 8 * blocks) != 0;
		}
	}
	CU_ASSERT_EQUAL(bad, 0);
}

static void choosing(void)
{
	CU_ASSERT_EQUAL(tg_h1_init("scalar"), 0);
	CU_ASSERT_STRING_EQUAL(tg_h1_scanner(), "scalar");
	CU_ASSERT_EQUAL(tg_h1_init("sse9"), TG_ENOSUP);
	CU_ASSERT_EQUAL(tg_h1_init(""), TG_ENOSUP);
	CU_ASSERT_STRING_EQUAL(tg_h1_scanner(), "scalar");
	CU_ASSERT_EQUAL(tg_h1_init("avx2"), tg_scan_avx2() ? 0 : TG_ENOSUP);
	CU_ASSERT_EQUAL(tg_h1_init("neon"), tg_scan_neon() ? 0 : TG_ENOSUP);
	CU_ASSERT_EQUAL(tg_h1_init("auto"), 0);
	if (tg_scan_avx2())
		CU_ASSERT_STRING_EQUAL(tg_h1_scanner(), "avx2");
}

static uint64_t looked_at;

static void counting_classify(
	const uint8_t *p, uint32_t blocks, uint64_t *not_token, uint64_t *stops)
{
	looked_at += (uint64_t)blocks * TG_SCAN_BLOCK;
	tg_scan_scalar.classify(p, blocks, not_token, stops);
}

static uint32_t counting_target_run(const uint8_t *p, uint32_t n)
{
	uint32_t run = tg_scan_scalar.target_run(p, n);

	looked_at += run + 1;
	return run;
}

/* A head that trickles in byte by byte must not be looked at from its start each time. */
static void trickle_is_linear(void)
{
	static const struct tg_scan_ops counting = {
		"counting", counting_classify, counting_target_run};
	struct tg_h1_limits limits = TG_H1_LIMITS_DEFAULT;
	struct tg_field fields[8];
	struct tg_msg m = {.fields = fields, .field_cap = 8};
	struct tg_h1_scan s = {0};
	static char buf[50000];
	uint32_t n = (uint32_t)sprintf(buf, "GET /");
	int32_t rc = 0;

	memset(buf + n, 'a', 8000);
	n += 8000;
	n += (uint32_t)sprintf(buf + n, " HTTP/1.1\r\nHost: a\r\nX: ");
	memset(buf + n, 'b', 40000);
	n += 40000;
	n += (uint32_t)sprintf(buf + n, "\r\n\r\n");
	tg_scan = &counting;
	looked_at = 0;
	for (uint32_t i = 1; i <= n && rc == 0; i++)
		rc = tg_h1_parse_request(&s, (uint8_t *)buf, i, &limits, &m);
	tg_h1_init("auto");
	CU_ASSERT_EQUAL(rc, (int32_t)n);
	/* One block of 64 a call, and once more at the end. */
	CU_ASSERT_TRUE(looked_at <= (uint64_t)n * 66);
}

TG_TEST_MAIN("http scanners", {"classes", classes},
	{"every_byte_everywhere", every_byte_everywhere}, {"target_runs", target_runs},
	{"equal_on_random", equal_on_random}, {"choosing", choosing},
	{"trickle_is_linear", trickle_is_linear})
