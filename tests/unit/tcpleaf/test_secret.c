#include <math.h>
#include <stdlib.h>

#include <tidegate/rng.h>
#include <tidegate/view.h>
#include <tidegate/wheel.h>

#include "secret.h"
#include "tgtest.h"

static struct tg_secret s;

static void fresh(uint8_t salt)
{
	uint8_t key[32];

	for (uint8_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 3 + salt);
	tg_secret_init(&s, key);
}

static struct tg_flow a_flow(uint16_t rport)
{
	return (struct tg_flow){.local = tg_ip_v4(0x01014d0a),
		.remote = tg_ip_v4(0x02014d0a),
		.lport = 80,
		.rport = rport};
}

static void isn_rises_with_time_and_differs_by_flow(void)
{
	struct tg_flow f = a_flow(1000), g = a_flow(1001);
	uint32_t isn;

	fresh(0);
	isn = tg_secret_isn(&s, &f, 0);
	CU_ASSERT_EQUAL(tg_secret_isn(&s, &f, 3999), isn);
	CU_ASSERT_EQUAL(tg_secret_isn(&s, &f, 4000), isn + 1);
	CU_ASSERT_EQUAL(tg_secret_isn(&s, &f, TG_SEC), isn + 250000);
	CU_ASSERT_NOT_EQUAL(tg_secret_isn(&s, &g, 0), isn);
	fresh(1);
	CU_ASSERT_NOT_EQUAL(tg_secret_isn(&s, &f, 0), isn);
}

static void ts_offset_is_one_a_pair_of_hosts(void)
{
	struct tg_flow f = a_flow(1000), g = a_flow(1001);

	fresh(0);
	CU_ASSERT_EQUAL(tg_secret_ts_offset(&s, &f), tg_secret_ts_offset(&s, &g));
	g.remote = tg_ip_v4(0x03014d0a);
	CU_ASSERT_NOT_EQUAL(tg_secret_ts_offset(&s, &f), tg_secret_ts_offset(&s, &g));
}

struct ports {
	bool used[65536];
	uint32_t asked;
	uint32_t modulo; /* only ports of this worker's share */
};

static bool port_free(void *ctx, const struct tg_flow *f)
{
	struct ports *p = ctx;

	p->asked++;
	return !p->used[f->lport] && (!p->modulo || f->lport % p->modulo == 1);
}

static void ports_are_all_reached(void)
{
	static struct ports p;
	struct tg_flow f = a_flow(80);

	fresh(0);
	memset(&p, 0, sizeof(p));
	for (uint32_t i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(tg_secret_port(&s, &f, 5000, 5999, 0, port_free, &p), 0);
		CU_ASSERT_TRUE(f.lport >= 5000 && f.lport <= 5999 && !p.used[f.lport]);
		p.used[f.lport] = true;
	}
	p.asked = 0;
	CU_ASSERT_EQUAL(tg_secret_port(&s, &f, 5000, 5999, 0, port_free, &p), TG_ENOPORT);
	CU_ASSERT_EQUAL(p.asked, TG_SECRET_PORT_DRAWS + 1000);
	/* Full range, the last port only. */
	memset(p.used, true, sizeof(p.used));
	p.used[65535] = false;
	CU_ASSERT_EQUAL(tg_secret_port(&s, &f, 1024, 65535, 0, port_free, &p), 0);
	CU_ASSERT_EQUAL(f.lport, 65535);
	CU_ASSERT_EQUAL(tg_secret_port(&s, &f, 65535, 65535, 0, port_free, &p), 0);
}

static void port_search_is_bounded(void)
{
	static struct ports p;
	struct tg_flow f = a_flow(80);

	fresh(0);
	memset(&p, 0, sizeof(p));
	p.modulo = 4;
	CU_ASSERT_EQUAL(tg_secret_port(&s, &f, 1024, 65535, 100, port_free, &p), 0);
	CU_ASSERT_EQUAL(f.lport % 4, 1);
	CU_ASSERT_TRUE(p.asked <= TG_SECRET_PORT_DRAWS + 4);
	memset(p.used, true, sizeof(p.used));
	p.asked = 0;
	CU_ASSERT_EQUAL(tg_secret_port(&s, &f, 1024, 65535, 100, port_free, &p), TG_ENOPORT);
	CU_ASSERT_EQUAL(p.asked, TG_SECRET_PORT_DRAWS + 100);
}

static bool any_port(void *ctx, const struct tg_flow *f)
{
	return true;
}

static double bits(const uint32_t *count, uint32_t classes, uint32_t n)
{
	double h = 0;

	for (uint32_t i = 0; i < classes; i++)
		if (count[i])
			h -= (double)count[i] / n * log2((double)count[i] / n);
	return h;
}

/* What an observer of a million connections to one destination can say about the next port: the
 * entropy of a port and of its distance from the one before, of a worker that has all ports and of
 * one that has every second one. Of so many draws of 2^16 the estimate is a hundredth of a bit
 * below the truth. */
static void ports_have_15_bits_each_from_the_last(void)
{
	static uint32_t port[65536], step[65536];
	const uint32_t n = 1000000;

	fresh(3);
	for (uint32_t modulo = 1; modulo <= 2; modulo++) {
		static struct ports p;
		struct tg_flow f = a_flow(80);
		uint16_t last = 0;

		memset(&p, 0, sizeof(p));
		memset(port, 0, sizeof(port));
		memset(step, 0, sizeof(step));
		p.modulo = modulo - 1 ? modulo : 0;
		for (uint32_t i = 0; i < n; i++) {
			tg_secret_port(&s, &f, 1024, 65535, 0, port_free, &p);
			port[f.lport]++;
			step[(uint16_t)(f.lport - last)]++;
			last = f.lport;
		}
		CU_ASSERT_TRUE(bits(port, 65536, n) > 16.9 - modulo);
		CU_ASSERT_TRUE(bits(step, 65536, n) > 16.8 - modulo);
	}
}

/* The first port towards a destination says nothing about that of another one, and another secret
 * gives others: counted over 4096 destinations, in 256 classes of the port. */
static void ports_spread(void)
{
	uint32_t classes[256] = {0}, same = 0, least = UINT32_MAX, most = 0;
	uint16_t first[4096];

	fresh(0);
	for (uint32_t i = 0; i < 4096; i++) {
		struct tg_flow f = a_flow((uint16_t)(i + 1));

		tg_secret_port(&s, &f, 1024, 65535, 0, any_port, NULL);
		first[i] = f.lport;
		classes[(f.lport - 1024u) * 256 / 64512]++;
	}
	for (uint32_t i = 0; i < 256; i++) {
		least = classes[i] < least ? classes[i] : least;
		most = classes[i] > most ? classes[i] : most;
	}
	CU_ASSERT_TRUE(least >= 2 && most <= 40); /* mean 16 */
	fresh(1);
	for (uint32_t i = 0; i < 4096; i++) {
		struct tg_flow f = a_flow((uint16_t)(i + 1));

		tg_secret_port(&s, &f, 1024, 65535, 0, any_port, NULL);
		same += f.lport == first[i];
	}
	CU_ASSERT_TRUE(same <= 4);
}

static void cookie_gives_back_the_mss(void)
{
	static const struct {
		uint16_t in, out;
	} t[] = {{0, 536}, {536, 536}, {1219, 536}, {1220, 1220}, {1400, 1300}, {1460, 1460},
		{8960, 8940}, {65535, 8940}};
	struct tg_flow f = a_flow(999);

	fresh(0);
	for (size_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		uint32_t c = tg_cookie_make(&s, &f, 77, t[i].in, 1000 * TG_SEC);

		CU_ASSERT_EQUAL(tg_cookie_check(&s, &f, c, 77, 1000 * TG_SEC), t[i].out);
	}
}

static void cookie_ages(void)
{
	struct tg_flow f = a_flow(999);

	fresh(0);
	/* over the wrap of the period's low byte too */
	for (uint64_t period = 0; period < 520; period++) {
		uint64_t t = period * 64 * TG_SEC;
		uint32_t c = tg_cookie_make(&s, &f, 5, 1460, t);

		CU_ASSERT_EQUAL(tg_cookie_check(&s, &f, c, 5, t), 1460);
		CU_ASSERT_EQUAL(tg_cookie_check(&s, &f, c, 5, t + 64 * TG_SEC), 1460);
		CU_ASSERT_EQUAL(tg_cookie_check(&s, &f, c, 5, t + 128 * TG_SEC - 1), 1460);
		CU_ASSERT_EQUAL(tg_cookie_check(&s, &f, c, 5, t + 128 * TG_SEC), 0);
		CU_ASSERT_EQUAL(tg_cookie_check(&s, &f, c, 5, t + 256 * 64 * TG_SEC), 0);
		if (t)
			CU_ASSERT_EQUAL(tg_cookie_check(&s, &f, c, 5, t - 1), 0);
	}
}

static void cookie_is_for_one_flow_and_isn(void)
{
	struct tg_flow f = a_flow(999), g = a_flow(998);
	uint32_t c, hits = 0;
	struct tg_rng r;

	fresh(0);
	c = tg_cookie_make(&s, &f, 5, 1460, 0);
	CU_ASSERT_EQUAL(tg_cookie_check(&s, &g, c, 5, 0), 0);
	CU_ASSERT_EQUAL(tg_cookie_check(&s, &f, c, 6, 0), 0);
	/* A million guesses: 16 of 2^32 are good, so even one is a one in 260 event. */
	tg_rng_seed(&r, 9);
	for (uint32_t i = 0; i < 1000000; i++)
		hits += tg_cookie_check(&s, &f, (uint32_t)tg_rng_next(&r), 5, 200 * TG_SEC) != 0;
	CU_ASSERT_TRUE(hits <= 1);
	fresh(1);
	CU_ASSERT_EQUAL(tg_cookie_check(&s, &f, c, 5, 0), 0);
}

static void cookie_timestamp_carries_the_options(void)
{
	struct tg_rng r;

	tg_rng_seed(&r, 4);
	for (uint32_t i = 0; i < 10000; i++) {
		uint32_t now = (uint32_t)tg_rng_next(&r), ts;
		struct tg_cookie_opts o,
			in = {.wscale_ok = i & 1,
				.sack_ok = i & 2,
				.ecn_ok = i & 4,
				.wscale = i & 1 ? (uint8_t)tg_rng_below(&r, 15) : 0};

		ts = tg_cookie_ts(now, &in);
		CU_ASSERT_TRUE(now - ts < 128); /* not later, and not much earlier */
		tg_cookie_ts_parse(ts, &o);
		CU_ASSERT_EQUAL(o.wscale, in.wscale);
		CU_ASSERT_EQUAL(o.wscale_ok, in.wscale_ok);
		CU_ASSERT_EQUAL(o.sack_ok, in.sack_ok);
		CU_ASSERT_EQUAL(o.ecn_ok, in.ecn_ok);
	}
}

TG_TEST_MAIN("tcp_secret",
	{"ISN rises with time and differs by flow", isn_rises_with_time_and_differs_by_flow},
	{"TS offset is one a pair of hosts", ts_offset_is_one_a_pair_of_hosts},
	{"ports are all reached", ports_are_all_reached},
	{"ports have 15 bits each from the last", ports_have_15_bits_each_from_the_last},
	{"port search is bounded", port_search_is_bounded}, {"ports spread", ports_spread},
	{"cookie gives back the MSS", cookie_gives_back_the_mss}, {"cookie ages", cookie_ages},
	{"cookie is for one flow and ISN", cookie_is_for_one_flow_and_isn},
	{"cookie timestamp carries the options", cookie_timestamp_carries_the_options})
