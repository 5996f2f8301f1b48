/* cfgcheck FILE: what `tidegate -c FILE --check` does, without the rest of the program. */
#include <tidegate/config.h>

int main(int argc, char **argv)
{
	struct tg_snapshot *s;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE\n", argv[0]);
		return 2;
	}
	s = tg_config_load(argv[1], NULL, stderr);
	tg_snapshot_free(s);
	return s ? 0 : 1;
}
