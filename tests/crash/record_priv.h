/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the two ways of recording: one operation after the other, and two at the same time. */
#ifndef DDFS_TEST_CRASH_RECORD_PRIV_H
#define DDFS_TEST_CRASH_RECORD_PRIV_H

#include "tests/crash/record.h"

/* The first image, if it is not there; true: it was made. */
bool crash_record_pristine(struct crash_recording *r, const struct crash_workload *w);

/* A mount of the live memory, with a world in which the preparation has been made. */
struct ddfs_fs *crash_record_begin(struct crash_recording *r, const struct crash_workload *w);
/* Lets go of everything and unmounts, which is logged if clients do not hold pages; then the memory
 * is as it was. */
void crash_record_end(
	struct crash_recording *r, struct ddfs_fs *fs, const struct crash_workload *w);

/* What can be seen. */
struct crash_snap *crash_record_look(struct ddfs_fs *fs);
/* The same, as snapshot at. */
void crash_record_keep(struct crash_recording *r, unsigned int at, struct crash_snap *snap);
void crash_record_make_room(struct crash_recording *r, unsigned int nr_snaps);

/* Aborts if the operation was to make all that was stored before durable, and has not. */
void crash_record_check_synced(const struct crash_recording *r, unsigned int op);

#endif
