/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two threads of which one runs at a time, so that what they do is the same in each run. One gives
 * the turn to the other where it is to be parked, at a call of the door; where a lock that it wants
 * is taken; where it lets go of one that the other wants; and at its end. Locks are seen by the
 * linker's --wrap of pthread_mutex_lock and so on: no time passes and nothing is guessed.
 */
#ifndef DDFS_TEST_CRASH_TURNS_H
#define DDFS_TEST_CRASH_TURNS_H

#include <stdint.h>

#define CRASH_TURNS 2u

/* Who runs first, and before which call of the door, from 0 on, each is parked. */
struct crash_schedule {
	unsigned int first;
	uint64_t park[CRASH_TURNS];
};
#define CRASH_NEVER UINT64_MAX

struct crash_turns;

struct crash_turns *crash_turns_new(const struct crash_schedule *s);
void crash_turns_delete(struct crash_turns *t);

/* Runs body(arg, 0) and body(arg, 1), each in its thread, to their ends. switched is told who has
 * the turn. Aborts if each waits for a lock of the other. */
void crash_turns_run(struct crash_turns *t, void (*body)(void *arg, unsigned int i),
	void (*switched)(void *arg, unsigned int i), void *arg);

/* The caller is at the door; of any other thread nothing is wanted. */
void crash_turns_at_door(void);

/* How often it has been there. */
uint64_t crash_turns_nr_calls(const struct crash_turns *t, unsigned int i);

#endif
