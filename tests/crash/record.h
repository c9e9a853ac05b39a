/* SPDX-License-Identifier: BSD-3-Clause */
/* A workload run once: what it stored, and what could be seen before and after each operation. */
#ifndef DDFS_TEST_CRASH_RECORD_H
#define DDFS_TEST_CRASH_RECORD_H

#include "tests/crash/crash.h"
#include "tests/crash/log.h"
#include "tests/crash/memory.h"
#include "tests/crash/turns.h"

struct crash_recording {
	struct crash_memory pristine, live;
	uint64_t nr_free_empty; /* blocks */
	uint32_t epoch;		/* of the mount */
	struct crash_log log;	/* op nr_ops: the unmount */
	struct crash_world *world;
	unsigned int nr_ops;
	struct crash_snap **snaps; /* nr_snaps */
	unsigned int nr_snaps;
	uint32_t *snap_id; /* equal ones have equal numbers */
	/* Of two at the same time: */
	int64_t result[2][2];	   /* by who was first, one after the other; then by operation */
	unsigned int orders;	   /* a bit each: with that one first they give the same */
	uint64_t nr_calls[2];	   /* of the door */
	char what[2 * CRASH_TEXT]; /* both, and where they were parked */
};

/* Snapshots of one after the other: n of them made. Of two at the same time, to compare with: */
#define CRASH_SNAP_BEFORE	0u
#define CRASH_SNAP_ONE(first)	(1 + 2 * (first)) /* that one alone */
#define CRASH_SNAP_BOTH(first)	(2 + 2 * (first)) /* then the other one */
#define CRASH_SNAPS_OF_TOGETHER 5u

void crash_recording_init(struct crash_recording *r);
void crash_recording_fini(struct crash_recording *r);

/* True: pristine is another one than before. Aborts on whatever goes wrong without a crash. */
bool crash_recording_make(struct crash_recording *r, const struct crash_workload *w);

/* The same of a workload of two at the same time: first what they give one after the other, in both
 * orders; then, as often as is wanted, what they give as the schedule says. That aborts if neither
 * order explains it. */
bool crash_recording_compare(struct crash_recording *r, const struct crash_workload *w);
void crash_recording_make_together(
	struct crash_recording *r, const struct crash_workload *w, const struct crash_schedule *s);

/* Forgets the workload. */
void crash_recording_clear(struct crash_recording *r);

const char *crash_recording_op_text(const struct crash_recording *r, unsigned int op);

#endif
