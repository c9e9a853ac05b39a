/* SPDX-License-Identifier: BSD-3-Clause */
/* One of several things to do to a world, by chance. */
#ifndef DDFS_TEST_WEIGHTED_H
#define DDFS_TEST_WEIGHTED_H

#include <stddef.h>

#include "tests/unit/rng.h"

struct world;

struct weighted_call {
	void (*call)(struct world *w);
	unsigned int weight; /* how often, against the others; one of them at least is not 0 */
};

static inline const struct weighted_call *weighted_pick(
	struct rng *rng, const struct weighted_call *calls, size_t nr)
{
	unsigned int total = 0, at;

	for (size_t i = 0; i < nr; i++)
		total += calls[i].weight;
	at = (unsigned int)rng_below(rng, total);
	while (at >= calls->weight)
		at -= calls++->weight;
	return calls;
}

#endif
