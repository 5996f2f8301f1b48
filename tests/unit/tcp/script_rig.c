#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../eal.h"
#include "script_parse.h"
#include "script_rig.h"

#define MBUFS 2047

struct rig r;

/* --- set up, take down --- */

static struct tg_net *make_net(
	bool dut, struct tg_wheel *w, struct tg_core_stats *st, uint32_t conf)
{
	static const struct tg_netif_ops dut_ops = {.tx = script_dut_tx},
					 peer_ops = {.tx = script_peer_tx};
	struct tg_netif_conf nif = {.name = dut ? "dut" : "peer",
		.ops = dut ? &dut_ops : &peer_ops,
		.mac = {2, 0, 0, 0, 0, dut ? 1 : 2},
		.mtu = 1500,
		.n_addrs = 1};
	struct tg_net_conf c = {.n_ifs = 1, .ifs = &nif, .mbufs = r.pool, .wheel = w, .stats = st};
	struct tg_errbuf e;
	struct tg_net *n;

	tg_ip_prefix_parse(conf & CONF_V6 ? (dut ? "fd00::1/64" : "fd00::2/64")
					  : (dut ? "10.0.0.1/24" : "10.0.0.2/24"),
		&nif.addrs[0]);
	n = tg_net_create(&c, &e);
	if (!n)
		script_fail("tg_net_create: %s", e.text);
	else
		(dut ? (void)(r.flow.remote = nif.addrs[0].ip)
		     : (void)(r.flow.local = nif.addrs[0].ip));
	return n;
}

static void make_tcp(uint32_t conf)
{
	struct tg_tcp_conf c = {.max_conns = 64,
		.max_active = conf & CONF_SMALL_TX ? 1 : 32,
		.max_embryonic = conf & CONF_SMALL_EMB ? 2 : 32,
		.max_time_wait = conf & CONF_SMALL_TW ? 2 : 32,
		.keepalive_idle = conf & CONF_KEEPALIVE ? 10 * TG_SEC : 0,
		.keepalive_interval = conf & CONF_KEEPALIVE ? 3 * TG_SEC : 0,
		.keepalive_probes = conf & CONF_KEEPALIVE ? 2 : 0,
		.user_timeout = conf & CONF_SHORT_USER  ? 5 * TG_SEC
				: conf & CONF_LONG_USER ? 86400 * TG_SEC
							: 0,
		.rcv_buf = conf & CONF_SMALL_BUF ? 8192 : 0,
		.snd_buf = conf & CONF_SMALL_BUF ? 8192 : 0,
		.no_timestamps = conf & CONF_NO_TS,
		.no_sack = conf & CONF_NO_SACK,
		.no_window_scale = conf & CONF_NO_WSCALE,
		.no_ecn = conf & CONF_NO_ECN,
		.port_first = conf & CONF_ONE_PORT ? 4000 : 0,
		.port_last = conf & CONF_ONE_PORT ? 4000 : 0,
		.secret = "a secret of thirty-two bytes...",
		.seed = 1,
		.net = r.net,
		.mbufs = r.pool,
		.wheel = &r.wheel,
		.ready = &r.ready,
		.stats = &r.stats};
	struct tg_errbuf e;

	r.tcp = tg_tcp_create(&c, &e);
	if (!r.tcp)
		script_fail("tg_tcp_create: %s", e.text);
}

/* ISN and timestamps are a hash and a clock: the clock is set so that they come out as the script
 * wants. */
static uint64_t start_time(uint32_t conf)
{
	struct tg_secret s;
	struct tg_flow f = {.local = r.flow.remote,
		.remote = r.flow.local,
		.lport = DUT_PORT,
		.rport = PEER_PORT};
	uint64_t t = 1000 * TG_SEC, step = 4096 * TG_US;

	tg_secret_init(&s, (const uint8_t *)"a secret of thirty-two bytes...");
	if (conf & CONF_TS_WRAP) {
		uint32_t ms = UINT32_MAX - 999 - tg_secret_ts_offset(&s, &f);

		return (ms + (UINT64_C(1) << 32)) * TG_MS;
	}
	if (!(conf & CONF_WRAP))
		return t;
	while (tg_secret_isn(&s, &f, t) < UINT32_MAX - 4096)
		t += step;
	return t;
}

void script_set_up(const struct script *s)
{
	struct rte_mempool *pool = r.pool;

	memset(&r, 0, sizeof(r));
	r.script = s;
	r.pool = pool;
	r.flow.lport = PEER_PORT;
	r.flow.rport = DUT_PORT;
	r.irs = s->conf & CONF_WRAP ? 0xfffffc00 : 1000000000;
	tg_ip_parse(s->conf & CONF_V6 ? "fd00::1" : "10.0.0.1", &r.flow.remote);
	tg_ip_parse(s->conf & CONF_V6 ? "fd00::2" : "10.0.0.2", &r.flow.local);
	r.start = start_time(s->conf);
	tg_wheel_init(&r.wheel, r.start);
	tg_wheel_init(&r.peer_wheel, r.start);
	tg_ready_init(&r.ready);
	r.net = make_net(true, &r.wheel, &r.stats, s->conf);
	r.peer = make_net(false, &r.peer_wheel, &r.peer_stats, s->conf);
	if (!r.failed)
		make_tcp(s->conf);
	if (r.failed)
		return;
	tg_net_announce(r.net);
	tg_net_announce(r.peer);
	script_flush();
	r.before = r.stats;
	r.asked = 0;
}

static struct rte_mbuf *elsewhere[MBUFS];
static uint32_t n_elsewhere;

void script_buffers(uint32_t percent)
{
	uint32_t want = MBUFS * percent / 100;

	while (n_elsewhere && rte_mempool_avail_count(r.pool) < want)
		rte_pktmbuf_free(elsewhere[--n_elsewhere]);
	while (rte_mempool_avail_count(r.pool) > want)
		elsewhere[n_elsewhere++] = rte_pktmbuf_alloc(r.pool);
}

/* Received = accepted + refused, TCP's part of the ledger. */
static void check_ledger(void)
{
	uint64_t segs = r.stats.rx_tcp_segments;

	for (uint32_t i = 0; i < TG_WHY_MAX; i++)
		if (tg_why_class(i) == TG_WHY_SEG)
			segs += r.stats.why[i];
	if (segs != r.segments)
		script_fail(
			"%" PRIu64 " segments came, %" PRIu64 " were counted", r.segments, segs);
}

void script_take_down(uint32_t mbufs_before)
{
	if (r.tcp) {
		if (r.c)
			tg_conn_abort(r.c, TG_WHY_conn_aborted);
		tg_ready_drain(&r.ready, 0, tg_tcp_reap, r.tcp);
		check_ledger();
		if (!tg_tcp_validate(r.tcp))
			script_fail("tg_tcp_validate() at the end");
		tg_tcp_destroy(r.tcp);
	}
	tg_net_destroy(r.net);
	tg_net_destroy(r.peer);
	script_buffers(100);
	if (rte_mempool_avail_count(r.pool) != mbufs_before)
		script_fail(
			"%u packet buffers leaked", mbufs_before - rte_mempool_avail_count(r.pool));
	if (r.wheel.running)
		script_fail("%u timers still run", r.wheel.running);
}

/* --- as a test program --- */

static int print_table(const char *suite, const struct script *s, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		unsigned int lines = 0;

		if (!s[i].text) {
			printf("\n%s: %s\n\n| script | lines |\n|---|---|\n", suite, s[i].name);
			continue;
		}
		for (const char *p = s[i].text; *p; p++)
			lines += *p == '\n';
		printf("| %s | %u |\n", s[i].name, lines);
	}
	return 0;
}

int script_main(const char *suite, const struct script *s, unsigned int n, int argc, char **argv)
{
	unsigned int failed = 0, ran = 0;

	if (argc > 1 && !strcmp(argv[1], "--table"))
		return print_table(suite, s, n);
	if (!tg_test_eal(64))
		return 2;
	r.pool = rte_pktmbuf_pool_create("script", MBUFS, 0, 0, 2176, SOCKET_ID_ANY);
	if (!r.pool)
		return 2;
	for (unsigned int i = 0; i < n; i++) {
		bool good;

		if (!s[i].text || (argc > 1 && !strstr(s[i].name, argv[1])))
			continue;
		good = script_run(&s[i]);
		printf("  %-64s %s\n", s[i].name, good ? "ok" : "FAILED");
		failed += !good;
		ran++;
	}
	printf("%s: %u scripts, %u failed\n", suite, ran, failed);
	return failed || !ran;
}
