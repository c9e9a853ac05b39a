/* SPDX-License-Identifier: BSD-3-Clause */
/* Waits that end at a time, by the clock that nobody sets. */
#ifndef DDFS_LAYOUT_DEADLINE_H
#define DDFS_LAYOUT_DEADLINE_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

struct ddfs_deadline {
	bool never;
	struct timespec at;
};

/* For ddfs_deadline_wait. 0 or -ENOMEM. */
int ddfs_deadline_cond_init(pthread_cond_t *cond);

struct ddfs_deadline ddfs_deadline_in(int msec); /* negative: never */

/* As pthread_cond_wait. 0, or -ETIMEDOUT behind the deadline. */
int ddfs_deadline_wait(const struct ddfs_deadline *d, pthread_cond_t *cond, pthread_mutex_t *lock);

#endif
