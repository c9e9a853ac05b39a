/* SPDX-License-Identifier: BSD-3-Clause */
/* The workloads that were asked for, each in its modes, one after the other in a process of its
 * own: what ends that (an assertion, a hang) fails one workload, and the next ones are done by
 * another process. */
#ifndef DDFS_TEST_CRASH_JOBS_H
#define DDFS_TEST_CRASH_JOBS_H

#include <stdbool.h>

#include "tests/crash/explore.h"

struct crash_jobs {
	/* which: the text, or those of the set in [first, end) */
	const char *text; /* NULL: of the set */
	enum crash_set set;
	uint64_t first, end;
	double fraction; /* of those, chosen by seed */
	uint64_t seed;
	bool flushed, in_order; /* modes */
	/* how */
	struct crash_options opt;
	bool stop_at_first, verbose;
	const char *failures; /* directory for what fails; NULL: none */
};

struct crash_outcome {
	struct crash_counts counts;
	uint64_t nr_failed; /* workloads */
};

/* Tells of failures on stdout. -errno. */
int crash_jobs_run(const struct crash_jobs *jobs, struct crash_outcome *out);

/* The workloads, on stdout. */
void crash_jobs_list(const struct crash_jobs *jobs);

/* The one that is asked for, here and now. False: it is not as it must be. */
bool crash_jobs_show(const struct crash_jobs *jobs);

#endif
