/* tg_sim: runs seeds of the simulator. See sim.h. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "../eal.h"
#include "sim.h"

static struct sim_world world;
static struct tg_core_stats totals;
static uint64_t strict, packets;
static char replay[64];
static size_t replay_len;

/* A crash is a failure like others: say how to see it again. Only what a signal handler may do. */
static void on_crash(int sig)
{
	ssize_t n = write(STDERR_FILENO, replay, replay_len);

	(void)n;
	signal(sig, SIG_DFL);
	raise(sig);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN
#endif
#ifdef UNDER_ASAN
void __sanitizer_set_death_callback(void (*callback)(void));
static void on_finding(void)
{
	ssize_t n = write(STDERR_FILENO, replay, replay_len);

	(void)n;
}
#endif

static void catch_crashes(void)
{
#ifdef UNDER_ASAN
	__sanitizer_set_death_callback(on_finding);
#else
	signal(SIGSEGV, on_crash);
	signal(SIGBUS, on_crash);
	signal(SIGFPE, on_crash);
#endif
	signal(SIGABRT, on_crash);
}

static void start_eal(void)
{
	if (!tg_test_eal(128) || !sim_setup()) {
		fprintf(stderr, "tg_sim: EAL does not start\n");
		exit(2);
	}
}

static bool run(uint64_t seed, bool verbose)
{
	bool good;

	replay_len = (size_t)snprintf(replay, sizeof(replay),
		"\nreplay: tg_sim --first %" PRIu64 " --seeds 1 --trace\n", seed);
	good = sim_run(&world, seed);
	if (!good)
		sim_report(&world, stdout);
	else if (verbose)
		printf("seed %" PRIu64 ": %" PRIu64 " packets, %" PRIu64 " bytes, %.3f s, %" PRIu64
		       " steps, %s, hash %016" PRIx64 "\n",
			seed, world.n_sent, world.n_bytes, (double)world.t / 1e9, world.steps,
			world.p.strict ? "strict" : "lenient", world.hash);
	sim_add_stats(&world, &totals);
	strict += world.p.strict;
	packets += world.n_sent;
	return good;
}

static void usage(void)
{
	fprintf(stderr,
		"tg_sim [--first SEED] [--seeds N] [--verbose] [--trace] [--check-every STEPS] "
		"[--twice] [--totals] [--half]\n"
		"  Two stacks on a simulated wire. The number of seeds: --seeds, else "
		"TG_SIM_SEEDS, else 2000.\n"
		"  --check-every N: invariants after every N-th step (1: each).\n"
		"  --half runs half as many: two programs beside each other run all.\n"
		"  --totals prints the counters of all worlds together.\n"
		"  --twice runs each seed two times and compares the hashes of all that "
		"happened.\n");
	exit(2);
}

static uint64_t number(const char *s)
{
	char *end;
	uint64_t v = strtoull(s, &end, 0);

	if (!*s || *end)
		usage();
	return v;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"first", 1, NULL, 'f'}, {"seeds", 1, NULL, 'n'},
		{"verbose", 0, NULL, 'v'}, {"trace", 0, NULL, 't'}, {"check-every", 1, NULL, 'c'},
		{"twice", 0, NULL, '2'}, {"totals", 0, NULL, 's'}, {"half", 0, NULL, 'h'}, {0}};
	const char *env = getenv("TG_SIM_SEEDS");
	uint64_t first = 1, seeds = env && *env ? number(env) : 2000, failures = 0, hash;
	bool verbose = false, twice = false, sums = false, half = false;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'f':
			first = number(optarg);
			break;
		case 'n':
			seeds = number(optarg);
			break;
		case 'v':
			verbose = true;
			break;
		case 't':
			world.live_trace = true;
			break;
		case 'c':
			world.validate_every = (uint32_t)number(optarg);
			break;
		case '2':
			twice = true;
			break;
		case 's':
			sums = true;
			break;
		case 'h':
			half = true;
			break;
		default:
			usage();
		}
	seeds = half ? (seeds + 1) / 2 : seeds;
	if (optind != argc)
		usage();
	setvbuf(stdout, NULL, _IOLBF, 0); /* a long run shows a failure when it happens */
	catch_crashes();
	start_eal();
	for (uint64_t seed = first; seed != first + seeds; seed++) {
		bool good = run(seed, verbose);

		hash = world.hash;
		if (good && twice) {
			good = run(seed, verbose);
			if (good && world.hash != hash) {
				printf("FAILED seed %" PRIu64 ": two runs differ\n", seed);
				good = false;
			}
		}
		failures += !good;
	}
	if (sums) {
		printf("%" PRIu64 " packets, %" PRIu64 " strict worlds\n", packets, strict);
		sim_print_stats(&totals, "all", stdout);
	}
	printf("%" PRIu64 " seeds, %" PRIu64 " failures\n", seeds, failures);
	rte_eal_cleanup();
	return failures != 0;
}
