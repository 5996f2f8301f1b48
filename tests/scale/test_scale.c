/* Very many connections through real handshakes, and what is left of them: nothing.
 *
 *	test_scale [--connections N] [--cycles N]
 *
 * TG_TEST_MODE: quick 20,000 and 64,000; full (the default) 100,000 and 320,000; long 1,000,000 and
 * 10,000,000. Prints TAP.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mempool.h>

#include "world.h"

#define BURST 32
#define HOUR (UINT64_C(3600) * TG_SEC)

static uint32_t n_conns, n_cycles;
static struct world *w;
static struct world_usage base[WORLD_POOLS];
static uint32_t base_mbufs;
static char why[200]; /* the case's first failure */

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void fail(const char *fmt, ...)
{
	va_list ap;

	if (why[0])
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
}

static void equal(uint64_t is, uint64_t should, const char *what)
{
	if (is != should)
		fail("%s: %llu, should be %llu", what, (unsigned long long)is,
			(unsigned long long)should);
}

static void settle(void)
{
	if (!world_settle(w, 600))
		fail("%s", world_failure(w) ? world_failure(w) : "stuck");
}

static void valid(const char *when)
{
	if (!tg_wheel_validate(&w->wheel))
		fail("%s: the wheel is broken", when);
	if (!tg_tcp_validate(w->tcp))
		fail("%s: the stack is broken", when);
	if (!tg_proxy_validate(w->proxy))
		fail("%s: the proxy is broken", when);
}

static uint32_t in_use(const char *pool)
{
	struct world_usage u[WORLD_POOLS];
	uint32_t n = world_usage(w, u);

	for (uint32_t i = 0; i < n; i++)
		if (strcmp(u[i].name, pool) == 0)
			return u[i].in_use;
	fail("no pool %s", pool);
	return 0;
}

/* Exactly as at the start: every pool, every packet buffer, every timer. */
static void all_is_back(const char *when)
{
	struct world_usage u[WORLD_POOLS];
	uint32_t n = world_usage(w, u);

	for (uint32_t i = 0; i < n; i++)
		if (u[i].in_use != base[i].in_use)
			fail("%s: %s: %u in use, %u at the start", when, u[i].name, u[i].in_use,
				base[i].in_use);
	equal(rte_mempool_in_use_count(w->mbufs), base_mbufs, "packet buffers");
	equal(w->stats->tcp_connections + w->stats->tcp_embryonic + w->stats->tcp_time_wait, 0,
		"connections");
	valid(when);
}

/* Once through everything, alone, in both families: after a rest the gate asks for its neighbours'
 * addresses, and lets only a few packets wait for the answer. */
static void one_alone(void)
{
	for (uint32_t i = 0; i < 2; i++) {
		outside_open(&w->out, i);
		settle();
		outside_ask(&w->out, i, false);
		settle();
		outside_close(&w->out, i);
		settle();
	}
}

static void begin(const char *listener, uint64_t step)
{
	const struct world_conf conf = {.clients = n_conns, .step = step, .listener = listener};

	w = world_make(&conf);
	if (!w)
		exit(1);
	one_alone();              /* what is made on first use and stays is made */
	world_sleep(w, 2 * HOUR); /* idle timeout of the origin's connection: an hour */
	world_usage(w, base);
	base_mbufs = rte_mempool_in_use_count(w->mbufs);
	equal(in_use("tcb"), 0, "TCBs at the start");
	one_alone();
}

static void end(void)
{
	if (w->out.failure[0])
		fail("%s", w->out.failure);
	world_free(w);
}

static void open_all(void)
{
	for (uint32_t i = 0; i < n_conns; i++) {
		outside_open(&w->out, i);
		if (i % BURST == 0)
			world_pace(w);
	}
	settle();
	equal(in_use("downstream"), n_conns, "downstream connections");
}

static uint32_t pick(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(((x >> 32) * n_conns) >> 32);
}

static void ask_at_random(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t c = pick();

		if (outside_state(&w->out, c) == CLIENT_OPEN)
			outside_ask(&w->out, c, false);
		if (i % BURST == 0)
			world_pace(w);
	}
}

/* Every connection that is open is one of a client or one to the origin, and idle ones hold
 * nothing but themselves. */
static void only_idle_ones(const char *when)
{
	uint32_t ups = in_use("upstream");

	equal(in_use("tcb"), n_conns + ups, "TCBs");
	equal(in_use("flow_bucket"), n_conns + ups, "entries of the flow table");
	equal(in_use("downstream"), n_conns, "downstream connections");
	equal(in_use("tcp_transmit") + in_use("exchange") + in_use("arena_small") +
			in_use("arena_large") + in_use("tcp_embryonic"),
		0, "what idle connections hold");
	equal(rte_mempool_in_use_count(w->mbufs), base_mbufs, "packet buffers");
	valid(when);
}

static void holds_them_all(void)
{
	uint64_t asked;

	/* So little time passes that more deadlines run at once than fit in TCP's line. */
	begin(NULL, TG_US);
	if (world_idle_bytes(w) > 384)
		fail("an idle connection takes %.0f bytes", world_idle_bytes(w));
	if (world_reserved(w) > w->budget.worker_bytes)
		fail("pools of %llu bytes, planned are %llu", (unsigned long long)world_reserved(w),
			(unsigned long long)w->budget.worker_bytes);
	open_all();
	only_idle_ones("open");
	ask_at_random(2 * n_conns);
	valid("busy");
	settle();
	only_idle_ones("idle again");
	world_sleep(w, 10 * TG_SEC);
	asked = w->out.answered;
	ask_at_random(n_conns / 10);
	settle();
	if (w->out.answered - asked < n_conns / 20)
		fail("only %llu answers", (unsigned long long)(w->out.answered - asked));
	equal(w->out.repeats, 0, "segments that were sent again");
	equal(w->out.pushed_out, 0, "connections that the gate closed");
	for (uint32_t i = 0, c = 0; i < n_conns; i++, c = (c + 7919) % n_conns) {
		outside_close(&w->out, c);
		if (i % BURST == 0)
			world_pace(w);
	}
	settle();
	equal(in_use("downstream"), 0, "downstream connections after the last one");
	world_sleep(w, 2 * HOUR);
	all_is_back("closed");
	end();
}

static void closes_the_idle(void)
{
	uint64_t first;

	begin("idle_timeout = \"60s\";", 32 * TG_US);
	first = w->wheel.now;
	open_all();
	world_sleep(w, 30 * TG_SEC);
	ask_at_random(n_conns / 4);
	settle();
	world_sleep(w, first + 60 * TG_SEC - TG_MS - w->wheel.now);
	equal(w->out.pushed_out, 0, "connections closed too early");
	world_sleep(w, 60 * TG_SEC);
	equal(w->out.pushed_out, n_conns, "connections closed for being idle");
	world_sleep(w, 2 * HOUR);
	all_is_back("closed");
	end();
}

static void run_dry(void)
{
	for (uint32_t i = 0; i < 100000; i++) {
		world_turn(w);
		if (!w->out.pending && w->in[0].head == w->in[0].tail &&
			w->in[1].head == w->in[1].tail)
			return;
	}
	fail("%s", world_failure(w) ? world_failure(w) : "stuck");
}

/* Four ends: the client closes; it resets; the gate closes, behind an answer (TIME-WAIT); the
 * client closes behind an answer. */
static void one_burst(uint32_t first)
{
	for (uint32_t k = 0; k < BURST; k++)
		outside_open(&w->out, first + k);
	run_dry();
	for (uint32_t k = 0; k < BURST; k++)
		switch (k / 2 % 4) {
		case 0:
			outside_close(&w->out, first + k);
			break;
		case 1:
			outside_reset(&w->out, first + k);
			break;
		default:
			outside_ask(&w->out, first + k, k / 2 % 4 == 2);
		}
	run_dry();
	for (uint32_t k = 0; k < BURST; k++)
		if (k / 2 % 4 == 3)
			outside_close(&w->out, first + k);
	run_dry();
}

static void opens_and_closes(void)
{
	uint32_t bursts = n_cycles / BURST, at = 0, alone = 4;

	begin(NULL, TG_US);
	for (uint32_t i = 1; i <= bursts && !why[0] && !world_failure(w); i++) {
		one_burst(at);
		at = at + 2 * BURST <= n_conns ? at + BURST : 0;
		if (i % (bursts / 10) == 0) {
			world_sleep(w, 2 * HOUR);
			all_is_back("a tenth more");
			printf("# %u connections opened and closed, resident %llu KiB\n", i * BURST,
				(unsigned long long)(world_resident() >> 10));
			fflush(stdout);
			one_alone();
			alone += 2;
		}
	}
	equal(w->out.opened, (uint64_t)bursts * BURST + alone, "connections opened");
	equal(w->out.closed, (uint64_t)bursts * BURST + alone, "connections closed");
	equal(w->stats->tcp_accepted, w->out.opened, "connections accepted");
	equal(w->out.pushed_out + w->out.repeats, 0, "ends and repeats that nobody asked for");
	end();
}

static void sizes(int argc, char **argv)
{
	const char *mode = getenv("TG_TEST_MODE");

	n_conns = 100000;
	n_cycles = 320000;
	if (mode && strcmp(mode, "quick") == 0) {
		n_conns = 20000;
		n_cycles = 64000;
	} else if (mode && strcmp(mode, "long") == 0) {
		n_conns = 1000000;
		n_cycles = 10000000;
	}
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--connections") == 0)
			n_conns = (uint32_t)strtoul(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--cycles") == 0)
			n_cycles = (uint32_t)strtoul(argv[i + 1], NULL, 0);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {{"holds them all, idle and busy", holds_them_all},
		{"closes the idle in time", closes_the_idle},
		{"opens and closes without leaving anything", opens_and_closes}};
	int failed = 0;

	sizes(argc, argv);
	if (!world_eal(256))
		return 1;
	printf("1..%zu\n# %u connections, %u opened and closed\n", sizeof(cases) / sizeof(cases[0]),
		n_conns, n_cycles);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why[0] = '\0';
		cases[i].run();
		if (why[0])
			printf("# %s\n", why);
		printf("%sok %zu - %s\n", why[0] ? "not " : "", i + 1, cases[i].name);
		fflush(stdout);
		failed += !!why[0];
	}
	return failed != 0;
}
