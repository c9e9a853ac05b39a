/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that pin and threads that change, on one filesystem in memory: what they share. */
#ifndef DDFS_TEST_PINS_CROWD_H
#define DDFS_TEST_PINS_CROWD_H

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/fs.h"
#include "layout/holder.h"
#include "tests/unit/ram.h"
#include "tests/unit/rng.h"

#define BLK	   UINT64_C(4096)
#define NR_FILES   4u
#define NR_HOLDERS 4u
#define NR_CHANGES 3u
#define NR_THREADS (NR_HOLDERS + NR_CHANGES)
#define FILE_MAX   64u /* blocks */
#define LEASE_TIME 1000000

#define THREAD_ENDED UINT64_MAX

/* A wait of a thread that sleeps until it is woken. */
struct sleeper {
	struct ddfs_wait wait; /* first: wake is given this */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool woken; /* protected by lock, as all below */
	int err;
	uint64_t nr_wakes;
};

/* What is pinned of the device, by the threads' own books. */
struct held_page {
	unsigned int nr;
	ddfs_id file;
};

struct thread {
	struct crowd *crowd;
	unsigned int nr;
	struct rng rng;
	pthread_t thread;
	/* Its wait while it is in a call that may wait: for who interrupts it. */
	pthread_mutex_t lock;
	struct sleeper *sleeper;   /* protected by lock */
	_Atomic uint64_t progress; /* counts; THREAD_ENDED at last */
	const char *_Atomic doing;
	uint64_t nr_parked, nr_done;
};

struct crowd {
	struct ram ram;
	struct ddfs_fs *fs;
	struct ddfs_layouts *ls;
	struct ddfs_inode *root, *ballast;
	enum ddfs_lease_expire lease_expire;
	uint64_t steps; /* pins that are made, together, before all end */
	uint64_t nr_blocks;
	pthread_mutex_t books; /* protects held */
	struct held_page *held;
	struct thread threads[NR_THREADS];
	_Atomic bool hurry; /* nobody holds on any more */
	_Atomic bool stop;
	_Atomic unsigned int nr_changing;
	_Atomic uint64_t nr_wakes, nr_parked, nr_pins, nr_killed, nr_interrupted;
};

/* call, again and again, until it need not wait; what it, or the wake, gives. */
int64_t crowd_wait(struct thread *t, const char *what,
	int64_t (*call)(void *arg, struct ddfs_wait *w), void *arg);

/* A file, referenced; NULL: it is just not there. */
struct ddfs_inode *crowd_file(struct thread *t, unsigned int *nr);

void *crowd_hold(void *thread);	  /* pins and lets go */
void *crowd_change(void *thread); /* takes pages away */

#endif
