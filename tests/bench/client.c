/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs_bench_client: the timed loops of tests/bench/run, see workload.h. */
#include <err.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/workload.h"

uint64_t number(const char *word)
{
	char *end;
	uint64_t n = strtoull(word, &end, 10);

	if (!*word || *end)
		errx(1, "%s: not a number", word);
	return n;
}

uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static const struct {
	const char *name;
	int nr_args;
	void (*run)(char **argv);
} workloads[] = {
	{ "fill", 2, workload_fill },
	{ "data", 6, workload_data },
	{ "names", 4, workload_names },
	{ "cached", 4, workload_cached },
	{ "fences", 2, workload_fences },
	{ "scale", 7, workload_scale },
	{ "extents", 5, workload_extents },
	{ "pin", 3, workload_pin },
	{ "ioctl", 2, workload_ioctl },
	{ "hold", 3, workload_hold },
	{ "park", 2, workload_park },
	{ "map", 4, workload_map },
	{ "sync", 3, workload_sync },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		if (strcmp(workloads[i].name, argv[1]) || workloads[i].nr_args != argc - 2)
			continue;
		workloads[i].run(argv + 2);
		return EXIT_SUCCESS;
	}
	fprintf(stderr, "ddfs_bench_client is called by tests/bench/run; workload.h says how\n");
	return EXIT_FAILURE;
}
