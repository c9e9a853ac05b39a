/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A workload, run once on a recorded device, and cut wherever it can be: each image that a crash
 * could leave is tried, and so is each that a crash of that recovery could leave.
 */
#ifndef DDFS_TEST_CRASH_EXPLORE_H
#define DDFS_TEST_CRASH_EXPLORE_H

#include "tests/crash/path.h"
#include "tests/crash/states.h"
#include "tests/crash/trial.h"

struct crash_counts {
	uint64_t nr_workloads;
	uint64_t nr_states; /* built, of all levels */
	uint64_t nr_distinct;
	uint64_t nr_recoveries; /* that were cut themselves */
	uint64_t nr_whole;  /* states that were checked to the end, the others being like them */
	uint64_t nr_failed; /* states */
};

struct crash_options {
	enum crash_mode mode;
	uint32_t budget; /* states of a cut, about */
	uint64_t seed;
	unsigned int levels; /* of recoveries that are cut: 0 to CRASH_LEVELS - 1 */
	/* Only this one; nr 0: all. It is told at length, to stdout, and its image before recovery
	 * goes to save (NULL: nowhere). */
	struct crash_path only;
	const char *save;
};

struct crash_failure {
	const struct crash_workload *workload;
	struct crash_path path;
	const char *op; /* what ran, or had run last */
	bool returned;	/* it had */
	const char *why, *said;
};

struct crash_explorer;

struct crash_explorer *crash_explorer_new(void);
void crash_explorer_delete(struct crash_explorer *x);

/* counts are added to, and are right also if this never returns; failed is called for each state
 * that is not as it must be, and returns whether to go on. */
void crash_explore(struct crash_explorer *x, const struct crash_workload *w,
	const struct crash_options *opt, struct crash_counts *counts, struct crash_path *now,
	bool (*failed)(void *arg, const struct crash_failure *f), void *arg);

#endif
