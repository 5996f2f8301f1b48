/* Two stacks, a scenario (eight bytes: the simulator's seed) and the fate of each packet (one byte
 * each): lost, corrupted, doubled, late. The simulator's invariants decide. */
#include <stdlib.h>

#include "../../eal.h"
#include "sim.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sim_world world;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	if (!tg_test_eal(128) || !sim_setup())
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t seed = 0;

	if (size < 8)
		return 0;
	memcpy(&seed, data, 8);
	if (!sim_run_script(&world, seed, data + 8, size - 8)) {
		sim_report(&world, stderr);
		abort();
	}
	return 0;
}
