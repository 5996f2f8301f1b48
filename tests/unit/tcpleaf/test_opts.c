#include <stdlib.h>

#include <tidegate/rng.h>

#include "opts.h"
#include "tgtest.h"

#define PARSE(syn, o, ...) \
	tg_opts_parse( \
		(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), syn, o)

static void reads_a_linux_syn(void)
{
	struct tg_opts o;

	CU_ASSERT_TRUE(
		PARSE(true, &o, 2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 9, 1, 3, 3, 7));
	CU_ASSERT_EQUAL(o.has, TG_OPT_MSS | TG_OPT_SACK_OK | TG_OPT_TS | TG_OPT_WSCALE);
	CU_ASSERT_EQUAL(o.mss, 1460);
	CU_ASSERT_EQUAL(o.wscale, 7);
	CU_ASSERT_EQUAL(o.tsval, 0x01020304);
	CU_ASSERT_EQUAL(o.tsecr, 9);
}

static void syn_options_only_in_syn(void)
{
	struct tg_opts o;

	CU_ASSERT_TRUE(PARSE(false, &o, 2, 4, 5, 180, 4, 2, 1, 3, 3, 7, 1));
	CU_ASSERT_EQUAL(o.has, 0);
	CU_ASSERT_EQUAL(o.mss, 0);
	CU_ASSERT_TRUE(PARSE(true, &o, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1));
	CU_ASSERT_EQUAL(o.has, 0);
}

static void reads_sack(void)
{
	struct tg_opts o;

	CU_ASSERT_TRUE(PARSE(false, &o, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 18, 0, 0, 1,
		0, 0, 0, 2, 0, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 8));
	CU_ASSERT_EQUAL(o.has, TG_OPT_TS | TG_OPT_SACK);
	CU_ASSERT_EQUAL(o.n_sack, 2);
	CU_ASSERT_EQUAL(o.sack[0].start, 256);
	CU_ASSERT_EQUAL(o.sack[0].end, 512);
	CU_ASSERT_EQUAL(o.sack[1].start, 0xfffffff0);
	CU_ASSERT_EQUAL(o.sack[1].end, 8);
	/* not a whole number of blocks, and none */
	CU_ASSERT_TRUE(PARSE(false, &o, 5, 11, 0, 0, 0, 1, 0, 0, 0, 2, 9, 1));
	CU_ASSERT_EQUAL(o.has, 0);
	CU_ASSERT_TRUE(PARSE(false, &o, 5, 2, 1, 1));
	CU_ASSERT_EQUAL(o.has, 0);
}

static void bad_lengths_end_the_parse(void)
{
	struct tg_opts o;

	CU_ASSERT_FALSE(PARSE(true, &o, 2, 4, 2, 24, 253, 0, 4, 2));
	CU_ASSERT_EQUAL(
		o.has, TG_OPT_MSS); /* what came before stays, what follows does not count */
	CU_ASSERT_EQUAL(o.mss, 536);
	CU_ASSERT_FALSE(PARSE(true, &o, 253, 1, 4, 2));
	CU_ASSERT_EQUAL(o.has, 0);
	CU_ASSERT_FALSE(PARSE(true, &o, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0));
	CU_ASSERT_EQUAL(o.has, 0);
	CU_ASSERT_FALSE(PARSE(true, &o, 1, 1, 1, 4)); /* a kind without its length */
	CU_ASSERT_FALSE(PARSE(true, &o, 34, 255, 1, 1));
}

static void wrong_length_of_a_known_kind_is_skipped(void)
{
	struct tg_opts o;

	CU_ASSERT_TRUE(PARSE(true, &o, 2, 3, 9, 3, 4, 9, 9, 8, 9, 0, 0, 0, 0, 0, 0, 0, 4, 2));
	CU_ASSERT_EQUAL(o.has, TG_OPT_SACK_OK);
}

static void eol_ends_and_unknown_is_skipped(void)
{
	struct tg_opts o;

	CU_ASSERT_TRUE(PARSE(true, &o, 30, 4, 1, 2, 4, 2, 0, 2, 4, 5, 180));
	CU_ASSERT_EQUAL(o.has, TG_OPT_SACK_OK);
	CU_ASSERT_TRUE(tg_opts_parse(NULL, 0, true, &o));
	CU_ASSERT_EQUAL(o.has, 0);
}

static void last_one_counts_and_wscale_is_cut(void)
{
	struct tg_opts o;

	CU_ASSERT_TRUE(PARSE(true, &o, 2, 4, 0, 1, 2, 4, 0, 2, 3, 3, 200, 1));
	CU_ASSERT_EQUAL(o.mss, 2);
	CU_ASSERT_EQUAL(o.wscale, 14);
}

static void fast_layout(void)
{
	uint8_t h[40] = {0};
	uint32_t v = 1, e = 1;

	CU_ASSERT_EQUAL(tg_opts_put_ts(h + 20, 0xdeadbeef, 77), 12);
	CU_ASSERT_TRUE(tg_opts_fast_ts(h, 32, &v, &e));
	CU_ASSERT_EQUAL(v, 0xdeadbeef);
	CU_ASSERT_EQUAL(e, 77);
	CU_ASSERT_FALSE(tg_opts_fast_ts(h, 36, &v, &e));
	h[20] = 0;
	CU_ASSERT_FALSE(tg_opts_fast_ts(h, 32, &v, &e));
	CU_ASSERT_FALSE(tg_opts_fast_ts(h, 20, &v, &e));
}

/* The layouts of Linux: what is padded stands behind its NOPs. */
static void builds_as_linux(void)
{
	struct tg_opts o = {.has = TG_OPT_MSS | TG_OPT_SACK_OK | TG_OPT_WSCALE, .mss = 1460};
	static const uint8_t no_ts[] = {2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 0};
	uint8_t buf[TG_OPTS_MAX];

	CU_ASSERT_EQUAL(tg_opts_build_syn(buf, &o), sizeof(no_ts));
	CU_ASSERT_EQUAL(memcmp(buf, no_ts, sizeof(no_ts)), 0);
	o.has = TG_OPT_TS | TG_OPT_SACK_OK;
	CU_ASSERT_EQUAL(tg_opts_build_syn(buf, &o), 12);
	CU_ASSERT_EQUAL(memcmp(buf, "\4\2\10\12", 4), 0);
	o.has = TG_OPT_TS;
	CU_ASSERT_EQUAL(tg_opts_build_syn(buf, &o), 12);
	CU_ASSERT_EQUAL(memcmp(buf, "\1\1\10\12", 4), 0);
}

/* Every combination that can be built is read back as it was. */
static void builds_what_it_reads(void)
{
	for (uint8_t has = 0; has < 16; has++) {
		struct tg_opts in = {.has = has, .mss = 1440, .wscale = 9, .tsval = 5, .tsecr = 6},
			       o;
		uint8_t buf[TG_OPTS_MAX];
		uint32_t n = tg_opts_build_syn(buf, &in);

		CU_ASSERT_EQUAL(n % 4, 0);
		CU_ASSERT_TRUE(n <= 24);
		CU_ASSERT_TRUE(tg_opts_parse(buf, n, true, &o));
		CU_ASSERT_EQUAL(o.has, has);
		CU_ASSERT_EQUAL(o.mss, has & TG_OPT_MSS ? 1440 : 0);
		CU_ASSERT_EQUAL(o.wscale, has & TG_OPT_WSCALE ? 9 : 0);
		CU_ASSERT_EQUAL(o.tsval, has & TG_OPT_TS ? 5 : 0);
		CU_ASSERT_EQUAL(o.tsecr, has & TG_OPT_TS ? 6 : 0);
	}
}

static void sack_fits_the_room(void)
{
	const struct tg_sack s[5] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}, {9, 10}};
	uint8_t buf[TG_OPTS_MAX];
	struct tg_opts o;

	CU_ASSERT_EQUAL(tg_opts_put_sack(buf, 40, s, 0), 0);
	CU_ASSERT_EQUAL(tg_opts_put_sack(buf, 11, s, 2), 0);
	CU_ASSERT_EQUAL(tg_opts_put_sack(buf, 28, s, 4), 28);
	CU_ASSERT_EQUAL(tg_opts_put_sack(buf, 40, s, 5), 36);
	CU_ASSERT_TRUE(tg_opts_parse(buf, 36, false, &o));
	CU_ASSERT_EQUAL(o.n_sack, 4);
	CU_ASSERT_EQUAL(memcmp(o.sack, s, sizeof(o.sack)), 0);
}

/* Any bytes, any length: ends, stays inside (the sanitizer watches), fields are in their range. */
static void total_on_noise(void)
{
	struct tg_rng r;
	uint32_t bad = 0;

	tg_rng_seed(&r, 3);
	for (uint32_t i = 0; i < 300000; i++) {
		uint32_t n = tg_rng_below(&r, TG_OPTS_MAX + 1);
		uint8_t *p = malloc(n ? n : 1);
		struct tg_opts o;

		for (uint32_t k = 0; k < n; k++)
			p[k] = (uint8_t)(tg_rng_below(&r, 3) ? tg_rng_below(&r, 12)
							     : tg_rng_next(&r));
		bad += !tg_opts_parse(p, n, i & 1, &o);
		CU_ASSERT_TRUE(o.wscale <= TG_WSCALE_MAX && o.n_sack <= TG_OPTS_SACK_MAX);
		CU_ASSERT_EQUAL(!(o.has & TG_OPT_SACK), !o.n_sack);
		free(p);
	}
	CU_ASSERT_TRUE(bad > 1000 && bad < 299000);
}

TG_TEST_MAIN("tcp_opts", {"reads a Linux SYN", reads_a_linux_syn},
	{"SYN options only in a SYN", syn_options_only_in_syn}, {"reads SACK", reads_sack},
	{"bad lengths end the parse", bad_lengths_end_the_parse},
	{"wrong length of a known kind is skipped", wrong_length_of_a_known_kind_is_skipped},
	{"EOL ends, unknown is skipped", eol_ends_and_unknown_is_skipped},
	{"last one counts, wscale is cut", last_one_counts_and_wscale_is_cut},
	{"builds as Linux", builds_as_linux}, {"fast layout", fast_layout},
	{"builds what it reads", builds_what_it_reads}, {"SACK fits the room", sack_fits_the_room},
	{"total on noise", total_on_noise})
