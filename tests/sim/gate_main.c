/* gate_main.c: runs seeds of the gate. See gate.h. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>

#include "../eal.h"
#include "gate.h"

static struct sim_world world;
static struct gate_world gate;

int main(int argc, char **argv)
{
	static const struct option options[] = {{"first", 1, NULL, 'f'}, {"seeds", 1, NULL, 'n'},
		{"verbose", 0, NULL, 'v'}, {"trace", 0, NULL, 't'}, {"check-every", 1, NULL, 'c'},
		{0}};
	uint64_t first = 1, seeds = 100, failures = 0;
	bool verbose = false;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'f':
			first = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			seeds = strtoull(optarg, NULL, 0);
			break;
		case 'v':
			verbose = true;
			break;
		case 't':
			world.live_trace = true;
			break;
		case 'c':
			world.validate_every = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		default:
			fprintf(stderr, "tg_gate [--first SEED] [--seeds N] [--verbose] [--trace] "
					"[--check-every STEPS]\n");
			return 2;
		}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!tg_test_eal(256) || !gate_setup()) {
		fprintf(stderr, "tg_gate: cannot start\n");
		return 2;
	}
	for (uint64_t seed = first; seed != first + seeds; seed++) {
		bool good = gate_run(&gate, &world, seed);

		if (!good)
			printf("replay: tg_gate --first %" PRIu64 " --seeds 1\n", seed);
		else if (verbose)
			printf("seed %" PRIu64 ": %" PRIu64 " packets, %" PRIu64
			       " bytes, %.3f s, %" PRIu64 " steps\n",
				seed, world.n_sent, gate.bytes, (double)world.t / 1e9, world.steps);
		failures += !good;
	}
	printf("%" PRIu64 " seeds, %" PRIu64 " failures\n", seeds, failures);
	rte_eal_cleanup();
	return failures != 0;
}
