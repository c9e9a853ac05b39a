/* SPDX-License-Identifier: BSD-3-Clause */
/* One image that a crash left: recovered, checked, judged, used, and checked again. */
#ifndef DDFS_TEST_CRASH_TRIAL_H
#define DDFS_TEST_CRASH_TRIAL_H

#include <stdio.h>

#include "tests/crash/crash.h"
#include "tests/crash/memory.h"
#include "tests/crash/moment.h"
#include "tests/crash/seen.h"

/* What trials of one workload share. */
struct crash_trials {
	const struct crash_workload *workload;
	const struct crash_world *world;
	struct crash_snap **snaps;
	uint32_t epoch;		/* of the mount that crashed */
	uint64_t nr_free_empty; /* blocks of the empty filesystem */
	struct crash_seen good; /* what was right after recovery */
	uint64_t nr_whole;	/* trials that went all the way */
};

struct crash_trial {
	struct crash_memory *memory; /* in: the image. Out: anything */
	struct crash_log *log;	     /* gets what recovery does */
	FILE *detail;		     /* NULL: nobody wants to know how it differs */
	struct ddfs_recovery recovery;
	char why[512];
	char said[1024]; /* what the filesystem logged */
	bool erred;	 /* it logged an error */
};

/* False: not as it must be, and t->why says how. */
bool crash_trial_run(
	struct crash_trials *trials, struct crash_trial *t, const struct crash_moment *moment);

/* The options of every mount, with no client alive. */
struct ddfs_fs_options crash_mount_options(const struct crash_workload *w);

#endif
