/* SPDX-License-Identifier: BSD-3-Clause */
/* A workload run once: what it stored, and what could be seen before and after each operation. */
#ifndef DDFS_TEST_CRASH_RECORD_H
#define DDFS_TEST_CRASH_RECORD_H

#include "tests/crash/crash.h"
#include "tests/crash/log.h"
#include "tests/crash/memory.h"

struct crash_recording {
	struct crash_memory pristine, live;
	uint64_t nr_free_empty; /* blocks */
	uint32_t epoch;		/* of the mount */
	struct crash_log log;	/* op nr_ops: the unmount */
	struct crash_world *world;
	unsigned int nr_ops;
	struct crash_snap **snaps; /* nr_ops + 1 */
	uint32_t *snap_id;	   /* equal ones have equal numbers */
};

void crash_recording_init(struct crash_recording *r);
void crash_recording_fini(struct crash_recording *r);

/* True: pristine is another one than before. Aborts on whatever goes wrong without a crash. */
bool crash_recording_make(struct crash_recording *r, const struct crash_workload *w);
/* Forgets the workload. */
void crash_recording_clear(struct crash_recording *r);

const char *crash_recording_op_text(const struct crash_recording *r, unsigned int op);

#endif
