/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Something slow that serves everybody who asked before it began: a flush of the whole device.
 * Those who ask while one is under way wait for the next, which one of them does for all.
 */
#ifndef DDFS_DEVICE_TURN_H
#define DDFS_DEVICE_TURN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ddfs_turn {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	/* protected by lock */
	uint64_t nr_begun;
	uint64_t nr_ended;
	uint64_t nr_asked;  /* that the next run will serve */
	uint64_t nr_served; /* that the latest run serves */
	bool running;
	uint64_t failed; /* the last turn that failed, and how */
	int error;
};

void ddfs_turn_init(struct ddfs_turn *turn);
void ddfs_turn_fini(struct ddfs_turn *turn);

/* Returns when a run of fn that began after the call has ended: 0 or its -errno. */
int ddfs_turn_take(struct ddfs_turn *turn, int (*fn)(void *arg), void *arg);

/* For how many calls fn runs; to be asked by fn. */
uint64_t ddfs_turn_served(const struct ddfs_turn *turn);

#endif
