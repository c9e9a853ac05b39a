/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Crash states explored: between the explorer (what a power cut can leave, and trying it), the
 * workloads (what is done) and the judge (what may be found afterwards).
 *
 * A workload is some preparation and a few operations, each one call of the filesystem. It is run
 * once on a recording door, with a snapshot of everything a user can see before the first operation
 * and after each. Then every image that a power cut could leave at some moment of an operation is
 * recovered, and what it shows is judged against the snapshots before and after that operation.
 *
 * Or it has two operations that are made at the same time. Then it is run many times: one of them
 * waits at a call of the door while the other one is made, each time at another one (turns.h).
 */
#ifndef DDFS_TEST_CRASH_H
#define DDFS_TEST_CRASH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "fs/fs.h"

/* ---- workloads ------------------------------------------------------------------------------ */

enum crash_set {
	CRASH_SINGLES,	/* every operation in all its variants: a preparation and one operation */
	CRASH_PAIRS,	/* every ordered pair over a small set of names */
	CRASH_SYNCED,	/* the same with a sync between the two */
	CRASH_TRIPLES,	/* random */
	CRASH_LONG,	/* long random runs */
	CRASH_TOGETHER, /* two operations at the same time */
	CRASH_SETS,
};
const char *crash_set_name(enum crash_set set); /* "singles" ... */

#define CRASH_TEXT 4096

/* As text, to be shown, and to be given again: operations separated by "; ", those of the
 * preparation (which is not cut) before " | ", two that are made at the same time, and no others,
 * between " & ". What the fields below say is in the text too: the preparation may begin with "with
 * pinned dax=always align=2M". */
struct crash_workload {
	char name[64];	       /* "singles/17" */
	char text[CRASH_TEXT]; /* "create a; write a 0 5000 | rename a b" */
	bool together;	       /* the two operations are made at the same time */
	bool pinned;	   /* clients hold pages when it crashes: the daemon dies, they live on */
	enum ddfs_dax dax; /* mount option */
	uint64_t align_bytes; /* of the device: what DAX files are made of */
};

/* Random ones depend on seed and i alone. */
uint64_t crash_set_size(enum crash_set set);
void crash_workload_get(enum crash_set set, uint64_t seed, uint64_t i, struct crash_workload *out);
/* -EINVAL, and says why on stderr. */
int crash_workload_parse(const char *text, struct crash_workload *out);

/* ---- running one ---------------------------------------------------------------------------- */

struct crash_world;
struct crash_snap;

/* Mounts are the caller's: fs is open on an empty filesystem of 16 MiB whose free blocks hold
 * CRASH_STALE, which no file may ever show. It is mounted with atime=noatime, so that looking
 * changes nothing, and its clock is past 1e9 seconds: times before that are those that were set. */
#define CRASH_STALE 0xdb
struct crash_world *crash_world_new(const struct crash_workload *w);
void crash_world_delete(struct crash_world *world);
/* The operations behind the preparation. */
unsigned int crash_world_nr_ops(const struct crash_world *world);
const char *crash_world_op_text(const struct crash_world *world, unsigned int op);
void crash_world_prepare(struct crash_world *world, struct ddfs_fs *fs);
/* Whatever it returns is right or wrong by the world's own model: wrong aborts the test. */
void crash_world_run(struct crash_world *world, struct ddfs_fs *fs, unsigned int op);
/* The same without the model, for two at the same time: first they find what they name, as a kernel
 * does that has looked it up; when both have returned, the judge's notes are made. */
void crash_world_find_names(struct crash_world *world, struct ddfs_fs *fs);
void crash_world_call(struct crash_world *world, struct ddfs_fs *fs, unsigned int op);
void crash_world_note(struct crash_world *world, struct ddfs_fs *fs);
/* What the operation returned, once it ran. */
int64_t crash_world_result(const struct crash_world *world, unsigned int op);
/* Whether it is a sync: when it has returned 0, all that was stored before is flushed. */
bool crash_world_is_sync(const struct crash_world *world, unsigned int op);
/* Lets go of what the world has open. */
void crash_world_close(struct crash_world *world, struct ddfs_fs *fs);

/* ---- judging -------------------------------------------------------------------------------- */

/* All that a user can see, but for times that nobody set: names, types, modes, owners, links,
 * sizes, content, holes' content, xattrs, flags, targets; and of pins, which blocks they hold.
 * NULL: it can't be taken, and *why says what failed. */
struct crash_snap *crash_snap_take(struct ddfs_fs *fs, char why[256]);
void crash_snap_delete(struct crash_snap *snap);
bool crash_snap_is_equal(const struct crash_snap *a, const struct crash_snap *b);
/* Which number an inode got that is not in `old` is no matter: who comes first gets the lower. */
void crash_snap_forget_numbers(struct crash_snap *snap, const struct crash_snap *old);
/* The differences, for a person. */
void crash_snap_print_diff(FILE *to, const struct crash_snap *a, const struct crash_snap *b);

/* Whether `found` is allowed when the power goes during op: for most operations before or after,
 * and nothing between; for those that promise less (overwrite in place, what takes several
 * transactions) what they do promise. Synced or returned is durable. */
bool crash_judge(const struct crash_world *world, unsigned int op, const struct crash_snap *before,
	const struct crash_snap *after, const struct crash_snap *found, char why[256]);

/* The same while both of two operations run that change the contents of a file each, and neither
 * what the other does. after[i]: only operation i was made. */
bool crash_judge_both(const struct crash_world *world, const struct crash_snap *before,
	const struct crash_snap *const after[2], const struct crash_snap *found, char why[256]);
/* Whether both are such. */
bool crash_judge_has_both(const struct crash_world *world);

/* What was recovered is used: files are made, written to, renamed; then all is removed. Nothing may
 * fail. */
bool crash_use(struct ddfs_fs *fs, char why[256]);

#endif
