/* SPDX-License-Identifier: BSD-3-Clause */
/* What may be found after a crash at some moment. */
#ifndef DDFS_TEST_CRASH_MOMENT_H
#define DDFS_TEST_CRASH_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

struct crash_recording;

/* An operation that may have been made, or in part; of snapshots. before == after: exactly that. */
struct crash_step {
	unsigned int op;
	unsigned int before, after;
};

/* Of two operations, in either order. */
#define CRASH_STEPS 4u

/* One of its steps must explain what is found. */
struct crash_moment {
	struct crash_step step[CRASH_STEPS];
	unsigned int nr_steps;
	bool both;     /* or both operations may be there in part: crash_judge_both */
	bool returned; /* what was called has */
	unsigned int op;
	uint64_t key; /* equal moments have equal ones; 0: nothing has begun */
};

/* One after the other: op begins (the one behind the last is the unmount), or has returned. */
void crash_moment_begin(struct crash_moment *m, const struct crash_recording *r, unsigned int op);
void crash_moment_end(struct crash_moment *m, const struct crash_recording *r, unsigned int op);

/* Two at the same time: a bit each of those that have begun, and that have returned. What is found
 * must be what some of the first operations leave, in an order that explains the whole run, and all
 * that have returned are among them. */
void crash_moment_together(struct crash_moment *m, const struct crash_recording *r,
	unsigned int begun, unsigned int returned);

#endif
